/* When to answer "unknown": thresholds on confidence and on the distance to the nearest class mean,
 * fitted on rows held out; in the model they are plain operators. */
#include "learn/reject.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "learn/linear.h"

void eg__reject_free(struct eg_reject *reject)
{
    free(reject->mean);
    free(reject->spread);
    *reject = (struct eg_reject){0};
}

/* Means of the classes over rows outside fold `out` (-1: over all), as coefficients of the rows. */
static void mean_coefficients(const int32_t *labels, size_t n, size_t n_classes, const uint8_t *fold, int out,
                              double *beta)
{
    for (size_t k = 0; k < n_classes; k++) {
        double count = 0;
        for (size_t i = 0; i < n; i++) count += labels[i] == (int32_t)k && (out < 0 || fold[i] != out);
        for (size_t i = 0; i < n; i++)
            beta[k * n + i] = labels[i] == (int32_t)k && (out < 0 || fold[i] != out) ? 1 / count : 0;
    }
}

/* distance [n_classes][n]: |x_i - mean_k|^2, the means taken without the row's own fold. */
static enum eg_status held_out_distances(struct eg_matrix *m, const int32_t *labels, size_t n_classes,
                                         const uint8_t *fold, unsigned folds, double *means, double *distance,
                                         struct eg_error *err)
{
    const size_t n = m->n, d = m->d;
    double *beta = eg__alloc(n_classes, n * sizeof *beta), *along = eg__alloc(n_classes, n * sizeof *along);
    double *square = eg__alloc(n, sizeof *square);
    enum eg_status status = beta && along && square ? EG_OK : eg__fail_memory(err, "distances");
    if (!status) status = eg__matrix_squares(m, square, err);
    for (unsigned f = 0; f < folds && !status; f++) {
        mean_coefficients(labels, n, n_classes, fold, (int)f, beta);
        status = eg__matrix_combine(m, beta, n_classes, means, err);
        if (!status) status = eg__matrix_project(m, means, n_classes, along, err);
        for (size_t k = 0; k < n_classes && !status; k++) {
            double own = 0;
            for (size_t j = 0; j < d; j++) own += means[k * d + j] * means[k * d + j];
            for (size_t i = 0; i < n; i++)
                if (fold[i] == f) distance[k * n + i] = fmax(0, square[i] - 2 * along[k * n + i] + own);
        }
    }
    free(beta);
    free(along);
    free(square);
    return status;
}

/* Mean square distance of each class's rows to its mean; where all are equal, a speck of the rest. */
static void find_spreads(const double *distance, const int32_t *labels, size_t n, size_t n_classes,
                         double *spread)
{
    double all = 0;
    for (size_t k = 0; k < n_classes; k++) {
        double count = 0;
        spread[k] = 0;
        for (size_t i = 0; i < n; i++)
            if (labels[i] == (int32_t)k) {
                spread[k] += distance[k * n + i];
                count++;
            }
        all += spread[k] / (double)n;
        spread[k] /= count;
    }
    for (size_t k = 0; k < n_classes; k++) spread[k] = fmax(spread[k], all > 0 ? 1e-6 * all : 1);
}

static int compare_numbers(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* The highest thresholds, of equal rank in confidence and in closeness, that refuse no more than
 * `rate` of the rows: the count grows with the rank, so it is found by halving. */
static void find_thresholds(const double *confidence, const double *closeness, size_t n, double rate,
                            double *sorted, struct eg_reject *reject)
{
    double *close = sorted + n;
    memcpy(sorted, confidence, n * sizeof *sorted);
    memcpy(close, closeness, n * sizeof *close);
    qsort(sorted, n, sizeof *sorted, compare_numbers);
    qsort(close, n, sizeof *close, compare_numbers);
    size_t low = 0, high = n - 1; /* rank 0 refuses none */
    while (low < high) {
        size_t rank = low + (high - low + 1) / 2, refused = 0;
        for (size_t i = 0; i < n; i++) refused += confidence[i] < sorted[rank] || closeness[i] < close[rank];
        if ((double)refused <= rate * (double)n)
            low = rank;
        else
            high = rank - 1;
    }
    size_t refused = 0;
    for (size_t i = 0; i < n; i++) refused += confidence[i] < sorted[low] || closeness[i] < close[low];
    reject->confidence = sorted[low];
    reject->closeness = close[low];
    reject->rate = (double)refused / (double)n;
}

enum eg_status eg__reject_fit(struct eg_matrix *m, const int32_t *labels, size_t n_classes,
                              const uint8_t *fold, unsigned folds, const double *confidence, double rate,
                              struct eg_reject *out, struct eg_error *err)
{
    const size_t n = m->n;
    struct eg_reject made = {.n_classes = n_classes, .d = m->d};
    double *distance = eg__alloc(n_classes, n * sizeof *distance);
    double *closeness = eg__alloc(n, 3 * sizeof *closeness);
    made.mean = eg__alloc(n_classes, m->d * sizeof *made.mean);
    made.spread = eg__alloc(n_classes, sizeof *made.spread);
    enum eg_status status =
        distance && closeness && made.mean && made.spread ? EG_OK : eg__fail_memory(err, "the class means");
    if (!status) status = held_out_distances(m, labels, n_classes, fold, folds, made.mean, distance, err);
    if (!status) {
        find_spreads(distance, labels, n, n_classes, made.spread);
        for (size_t i = 0; i < n; i++) {
            closeness[i] = -INFINITY;
            for (size_t k = 0; k < n_classes; k++)
                closeness[i] = fmax(closeness[i], -distance[k * n + i] / made.spread[k]);
        }
        find_thresholds(confidence, closeness, n, rate, closeness + n, &made);
        mean_coefficients(labels, n, n_classes, NULL, -1, distance);
        status = eg__matrix_combine(m, distance, n_classes, made.mean, err);
    }
    free(distance);
    free(closeness);
    if (status)
        eg__reject_free(&made);
    else
        *out = made;
    return status;
}

/* ---- in the head --------------------------------------------------------------------- */

static enum eg_status add_linear(struct eg_graph *g, const char *name, uint32_t from, size_t out, size_t in,
                                 const float *weight, const float *bias, uint32_t *at, struct eg_error *err)
{
    struct eg_node node = {.op = EG_OP_LINEAR, .name = name, .n_inputs = 1, .inputs = {from}};
    node.params[0] = eg__graph_constant(g, "weight", 2, (size_t[]){out, in}, weight);
    node.params[1] = bias ? eg__graph_constant(g, "bias", 1, &out, bias) : NULL;
    if (!node.params[0] || (bias && !node.params[1])) return eg__fail_memory(err, "the class means");
    return eg__graph_add(g, &node, at, err);
}

/* (2 mean_k . x - |mean_k|^2 - |x|^2) / spread_k, the largest of them. */
static enum eg_status add_closeness(struct eg_graph *g, uint32_t rows, const struct eg_reject *r,
                                    uint32_t *at, struct eg_error *err)
{
    const size_t k_count = r->n_classes, d = r->d;
    struct eg_node square = {.op = EG_OP_MUL, .name = "squares", .n_inputs = 2, .inputs = {rows, rows}};
    float *weight = eg__alloc(k_count, d * sizeof *weight), *bias = eg__alloc(k_count, sizeof *bias);
    float *shrink = eg__alloc(k_count, sizeof *shrink);
    uint32_t size = 0, along = 0;
    enum eg_status status = weight && bias && shrink ? EG_OK : eg__fail_memory(err, "the class means");
    for (size_t k = 0; k < k_count && !status; k++) {
        double own = 0;
        for (size_t j = 0; j < d; j++) {
            double mean = r->mean[k * d + j];
            own += mean * mean;
            weight[k * d + j] = (float)(2 * mean / r->spread[k]);
        }
        bias[k] = (float)(-own / r->spread[k]);
        shrink[k] = (float)(-1 / r->spread[k]);
    }
    if (!status) status = add_linear(g, "along", rows, k_count, d, weight, bias, &along, err);
    if (!status) status = eg__graph_add(g, &square, &size, err);
    if (!status) status = eg__head_node(g, EG_OP_REDUCE_SUM, "size", size, 0, NULL, &size, err);
    if (!status) status = add_linear(g, "shrunk", size, k_count, 1, shrink, NULL, &size, err);
    if (!status) status = eg__head_node(g, EG_OP_ADD, "nearness", along, size, NULL, at, err);
    if (!status) status = eg__head_node(g, EG_OP_REDUCE_MAX, "closeness", *at, 0, NULL, at, err);
    free(weight);
    free(bias);
    free(shrink);
    return status;
}

static enum eg_status below(struct eg_graph *g, const char *name, uint32_t from, double least, uint32_t *at,
                            struct eg_error *err)
{
    const float value = (float)least;
    const struct eg_tensor *threshold = eg__graph_constant(g, "threshold", 1, (size_t[]){1}, &value);
    return threshold ? eg__head_node(g, EG_OP_LESS, name, from, 0, threshold, at, err)
                     : eg__fail_memory(err, "a threshold");
}

enum eg_status eg__head_label(struct eg_graph *g, uint32_t rows, uint32_t probabilities,
                              const struct eg_reject *reject, uint32_t *label, struct eg_error *err)
{
    uint32_t likeliest = 0, unsure = 0, far = 0, minus_one = 0;
    if (!reject) return eg__head_node(g, EG_OP_ARG_MAX, "label", probabilities, 0, NULL, label, err);
    enum eg_status status =
        eg__head_node(g, EG_OP_ARG_MAX, "likeliest", probabilities, 0, NULL, &likeliest, err);
    if (!status)
        status = eg__head_node(g, EG_OP_REDUCE_MAX, "confidence", probabilities, 0, NULL, &unsure, err);
    if (!status) status = below(g, "unsure", unsure, reject->confidence, &unsure, err);
    if (!status) status = add_closeness(g, rows, reject, &far, err);
    if (!status) status = below(g, "far", far, reject->closeness, &far, err);
    if (!status) status = eg__head_node(g, EG_OP_MAX, "refused", unsure, far, NULL, &far, err);
    if (!status) status = eg__head_node(g, EG_OP_NEG, "none", far, 0, NULL, &minus_one, err);
    if (status) return status;
    struct eg_node choose = {
        .op = EG_OP_WHERE, .name = "label", .n_inputs = 3, .inputs = {far, minus_one, likeliest}};
    return eg__graph_add(g, &choose, label, err);
}
