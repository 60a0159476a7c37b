/* Scores to probabilities that can be believed, fitted on rows the scores were not trained on. */
#include <math.h>
#include <stdlib.h>

#include "base/fail.h"
#include "base/mem.h"
#include "learn/linear.h"

/* Platt's sigmoid p = 1 / (1 + exp(-(a f + b))) with his smoothed targets.
 * Solves  min - sum_i t_i log p_i + (1 - t_i) log(1 - p_i)
 * Stops   gradient below 1e-8 a row, or 100 Newton steps with halving
 * Source  Lin, Lin, Weng, Machine Learning 68 (2007), algorithm 1 */
void eg__platt(const double *score, const int32_t *labels, int32_t positive, size_t n, double *slope,
               double *shift)
{
    double ups = 0, downs, a = 0, b, value = INFINITY;
    for (size_t i = 0; i < n; i++) ups += labels[i] == positive;
    downs = (double)n - ups;
    const double high = (ups + 1) / (ups + 2), low = 1 / (downs + 2);
    b = log((ups + 1) / (downs + 1));
    double step_a = 0, step_b = 0, t = 0;
    for (int round = 0; round < 100; round++) {
        double next = 0, ga = 0, gb = 0, haa = 1e-12, hbb = 1e-12, hab = 0;
        for (size_t i = 0; i < n; i++) {
            double f = score[i], z = (a + t * step_a) * f + b + t * step_b;
            double target = labels[i] == positive ? high : low, e = exp(-fabs(z));
            double p = (z >= 0 ? 1 : e) / (1 + e), h = e / ((1 + e) * (1 + e));
            next += log1p(e) + (z >= 0 ? (1 - target) * z : -target * z);
            ga += (target - p) * f;
            gb += target - p;
            haa += h * f * f;
            hbb += h;
            hab += h * f;
        }
        if (next > value + 1e-12 * fabs(value)) { /* too far: back half way */
            t /= 2;
            if (t < 1e-10) break;
            continue;
        }
        value = next;
        a += t * step_a;
        b += t * step_b;
        if (fabs(ga) + fabs(gb) < 1e-8 * (double)n) break;
        double determinant = haa * hbb - hab * hab;
        if (!(determinant > 0)) break;
        step_a = (hbb * ga - hab * gb) / determinant;
        step_b = (haa * gb - hab * ga) / determinant;
        t = 1;
    }
    *slope = a;
    *shift = b;
}

/* Mean log loss of softmax(scores / temperature). */
static double log_loss(const struct eg_linear *linear, const double *scores, const int32_t *labels,
                       double inverse)
{
    const size_t n = linear->n;
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        if (linear->columns == 1) {
            double z = (labels[i] == 1 ? 1 : -1) * scores[i] * inverse, e = exp(-fabs(z));
            sum += log1p(e) + (z < 0 ? -z : 0);
            continue;
        }
        double most = -INFINITY, total = 0;
        for (size_t k = 0; k < linear->columns; k++) most = fmax(most, scores[k * n + i]);
        for (size_t k = 0; k < linear->columns; k++) total += exp((scores[k * n + i] - most) * inverse);
        sum += log(total) + (most - scores[(size_t)labels[i] * n + i]) * inverse;
    }
    return sum / (double)n;
}

/* Guo et al., ICML 2017: one temperature; the loss is convex in its inverse. Golden section
 * on the logarithm of the inverse, to 1e-6. */
static double best_temperature(const struct eg_linear *linear, const double *scores, const int32_t *labels)
{
    const double golden = 0.6180339887498949;
    double low = -5, high = 5, x = high - golden * (high - low), y = low + golden * (high - low);
    double at_x = log_loss(linear, scores, labels, exp(x)), at_y = log_loss(linear, scores, labels, exp(y));
    while (high - low > 1e-6) {
        if (at_x <= at_y) {
            high = y;
            y = x;
            at_y = at_x;
            x = high - golden * (high - low);
            at_x = log_loss(linear, scores, labels, exp(x));
        } else {
            low = x;
            x = y;
            at_x = at_y;
            y = low + golden * (high - low);
            at_y = log_loss(linear, scores, labels, exp(y));
        }
    }
    return exp(-(low + high) / 2);
}

enum eg_status eg__calibrate(const struct eg_linear *linear, const int32_t *labels,
                             struct eg_calibration *calibration, struct eg_error *err)
{
    struct eg_calibration made = {.temperature = 1};
    const double *scores = linear->out_of_fold ? linear->out_of_fold : linear->in_fold;
    if (linear->loss == EG_LOSS_LOGISTIC) {
        if (linear->out_of_fold) made.temperature = best_temperature(linear, scores, labels);
        *calibration = made;
        return EG_OK;
    }
    made.slope = eg__alloc(linear->columns, sizeof *made.slope);
    made.shift = eg__alloc(linear->columns, sizeof *made.shift);
    if (!made.slope || !made.shift) {
        eg__calibration_free(&made);
        return eg__fail_memory(err, "the calibration");
    }
    for (size_t k = 0; k < linear->columns; k++)
        eg__platt(scores + k * linear->n, labels, linear->columns == 1 ? 1 : (int32_t)k, linear->n,
                  &made.slope[k], &made.shift[k]);
    *calibration = made;
    return EG_OK;
}

static void of_one_row(const struct eg_linear *linear, const struct eg_calibration *how, size_t i,
                       double *part, float *p)
{
    const size_t n = linear->n, columns = linear->columns;
    const bool logistic = linear->loss == EG_LOSS_LOGISTIC;
    double most = -INFINITY, total = 0;
    for (size_t k = 0; k < columns; k++) {
        double score = linear->out_of_fold[k * n + i];
        part[k] = logistic ? score / how->temperature : how->slope[k] * score + how->shift[k];
        most = fmax(most, part[k]);
    }
    if (columns == 1) {
        double second = 1 / (1 + exp(-part[0]));
        p[0] = (float)(1 - second);
        p[1] = (float)second;
        return;
    }
    for (size_t k = 0; k < columns; k++)
        total += part[k] = logistic ? exp(part[k] - most) : fmax(1 / (1 + exp(-part[k])), 1e-30);
    for (size_t k = 0; k < columns; k++) p[k] = (float)(part[k] / total);
}

enum eg_status eg__calibrated(const struct eg_linear *linear, const struct eg_calibration *how, float *p,
                              struct eg_error *err)
{
    double *part = eg__alloc(linear->columns, sizeof *part);
    if (!part) return eg__fail_memory(err, "probabilities");
    for (size_t i = 0; i < linear->n; i++) of_one_row(linear, how, i, part, p + i * linear->n_classes);
    free(part);
    return EG_OK;
}

void eg__calibration_free(struct eg_calibration *calibration)
{
    free(calibration->slope);
    free(calibration->shift);
    *calibration = (struct eg_calibration){0};
}
