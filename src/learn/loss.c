/* The losses of linear classifiers, and the free intercept of the logistic one. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "learn/solve.h"

static double one_column(const struct eg_fit *fit, size_t n, enum eg_loss loss, const double *score,
                         double *slope)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        double c = fit->c[i], y = fit->labels[i] == fit->positive ? 1 : -1, margin = y * score[i], pull = 0;
        if (c > 0 && loss == EG_LOSS_LOGISTIC) {
            double e = exp(-fabs(margin));
            sum += c * (log1p(e) + (margin < 0 ? -margin : 0));
            pull = c * y * (margin < 0 ? 1 : e) / (1 + e);
        } else if (c > 0 && margin < 1) {
            double short_of = 1 - margin;
            sum += c * (loss == EG_LOSS_HINGE ? short_of : short_of * short_of);
            pull = 2 * c * y * short_of;
        }
        if (slope) slope[i] = pull;
    }
    return sum;
}

static double multinomial(const struct eg_fit *fit, size_t n, const double *score, double *slope)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        double c = fit->c[i], most = -DBL_MAX, total = 0;
        if (!(c > 0)) {
            for (size_t k = 0; slope && k < fit->columns; k++) slope[k * n + i] = 0;
            continue;
        }
        for (size_t k = 0; k < fit->columns; k++) most = fmax(most, score[k * n + i]);
        for (size_t k = 0; k < fit->columns; k++) {
            double e = exp(score[k * n + i] - most);
            total += e;
            if (slope) slope[k * n + i] = e;
        }
        sum += c * (log(total) + most - score[(size_t)fit->labels[i] * n + i]);
        for (size_t k = 0; slope && k < fit->columns; k++)
            slope[k * n + i] = c * ((k == (size_t)fit->labels[i]) - slope[k * n + i] / total);
    }
    return sum;
}

double eg__loss(const struct eg_fit *fit, size_t n, enum eg_loss loss, const double *score, double *slope)
{
    return fit->columns == 1 ? one_column(fit, n, loss, score, slope) : multinomial(fit, n, score, slope);
}

/* Newton on the intercepts alone, the systems (columns x columns, singular along the ones)
 * solved by conjugate gradients with the diagonal as preconditioner.
 * work    [columns][n] + 6 [columns] */
void eg__balance_intercept(struct eg_fit *fit, size_t n, double *work)
{
    const size_t k_count = fit->columns;
    double *slope = work, *g = work + k_count * n, *h = g + k_count, *r = h + k_count, *d = r + k_count,
           *x = d + k_count, *m = x + k_count, weight = 0;
    for (size_t i = 0; i < n; i++) weight += fit->c[i];
    double loss = eg__loss(fit, n, EG_LOSS_LOGISTIC, fit->score, slope);
    for (int round = 0; round < 30; round++) {
        double off = 0;
        for (size_t k = 0; k < k_count; k++) {
            g[k] = h[k] = 0;
            for (size_t i = 0; i < n; i++) {
                double c = fit->c[i], s = slope[k * n + i];
                if (!(c > 0)) continue;
                double y =
                    k_count > 1 ? (double)(fit->labels[i] == (int32_t)k) : fit->labels[i] == fit->positive;
                double p = y - s / c;
                g[k] += s;
                h[k] += c * p * (1 - p);
            }
            off += fabs(g[k]);
            h[k] = fmax(h[k], 1e-12 * weight);
        }
        if (off <= 1e-10 * weight) return;
        double rho = 0, first = 0;
        for (size_t k = 0; k < k_count; k++) {
            x[k] = 0;
            r[k] = g[k];
            d[k] = g[k] / h[k];
            rho += r[k] * d[k];
        }
        first = rho;
        for (int step = 0; step < 50 && rho > 1e-16 * first; step++) {
            double curvature = 0, rho_next = 0;
            if (k_count == 1)
                m[0] = h[0] * d[0];
            else {
                memset(m, 0, k_count * sizeof *m);
                for (size_t i = 0; i < n; i++) {
                    double c = fit->c[i], mean = 0;
                    if (!(c > 0)) continue;
                    for (size_t k = 0; k < k_count; k++)
                        mean += ((fit->labels[i] == (int32_t)k) - slope[k * n + i] / c) * d[k];
                    for (size_t k = 0; k < k_count; k++)
                        m[k] += (c * (fit->labels[i] == (int32_t)k) - slope[k * n + i]) * (d[k] - mean);
                }
            }
            for (size_t k = 0; k < k_count; k++) curvature += d[k] * m[k];
            if (!(curvature > 0)) break;
            double alpha = rho / curvature;
            for (size_t k = 0; k < k_count; k++) {
                x[k] += alpha * d[k];
                r[k] -= alpha * m[k];
                rho_next += r[k] * r[k] / h[k];
            }
            for (size_t k = 0; k < k_count; k++) d[k] = r[k] / h[k] + rho_next / rho * d[k];
            rho = rho_next;
        }
        double t = 1, slope_along = 0, moved = 0;
        for (size_t k = 0; k < k_count; k++) slope_along += g[k] * x[k];
        for (int halving = 0; halving < 40; halving++) {
            for (size_t k = 0; k < k_count; k++)
                for (size_t i = 0; i < n; i++) fit->score[k * n + i] += (t - moved) * x[k];
            moved = t;
            double next = eg__loss(fit, n, EG_LOSS_LOGISTIC, fit->score, slope);
            bool enough = next <= loss - 1e-4 * t * slope_along + 1e-15 * fabs(loss);
            if (enough) {
                loss = next;
                break;
            }
            t /= 2;
        }
        for (size_t k = 0; k < k_count; k++) fit->intercept[k] += moved * x[k];
        if (moved < 1e-10) return;
    }
}
