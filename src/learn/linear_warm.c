/* Linear classifiers that go on from an earlier one's scores. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "kernels/kernels.h"
#include "learn/fitting.h"

/* Score of a row for a fit's column k by the earlier classifier; of two classes, the second's over
 * the first's. */
static double start_score(const struct eg_fitting *t, size_t column, size_t i)
{
    const double *start = t->options->start;
    return t->columns == 1 ? start[t->n + i] - start[i] : start[column * t->n + i];
}

/* Back to 0 where that is the better place, as it may be with many new rows. */
static void keep_better(const struct eg_fitting *t, struct eg_fit *fit)
{
    const size_t size = fit->columns * t->n;
    double square = 0, at_zero = 0;
    for (size_t i = 0; i < size; i++) square += fit->beta[i] * fit->score[i];
    for (size_t i = 0; i < t->n; i++) at_zero += fit->c[i];
    if (t->solver.loss == EG_LOSS_LOGISTIC) at_zero *= log((double)(fit->columns > 1 ? fit->columns : 2));
    if (square / 2 + eg__loss(fit, t->n, t->solver.loss, fit->score, NULL) <= at_zero) return;
    memset(fit->beta, 0, size * sizeof *fit->beta);
    memset(fit->score, 0, size * sizeof *fit->score);
    memset(fit->intercept, 0, fit->columns * sizeof *fit->intercept);
}

/* beta as it were at the optimum if the earlier classifier's scores were it: -c loss'. What it does
 * not know begins at 0: other columns, rows of other classes. */
enum eg_status eg__fitting_warm(const struct eg_fitting *t, struct eg_fit *fits, size_t n_fits,
                                struct eg_error *err)
{
    const size_t n = t->n, wide = t->columns / t->fits;
    float *in = eg__alloc(wide, n * sizeof *in), *out = eg__alloc(wide, n * sizeof *out);
    const bool features = t->space == EG_SPACE_FEATURES;
    double *slope = features ? eg__alloc(wide, n * sizeof *slope) : NULL;
    enum eg_status status =
        in && out && (slope || !features) ? EG_OK : eg__fail_memory(err, "where to start from");
    for (size_t f = 0; f < n_fits && !status; f++) {
        struct eg_fit *fit = &fits[f];
        double *beta = features ? slope : fit->beta; /* of the rows */
        for (size_t k = 0; k < wide; k++)
            for (size_t i = 0; i < n; i++) {
                double score = start_score(t, f % t->fits * wide + k, i);
                bool hinge = t->solver.loss == EG_LOSS_HINGE, own = fit->labels[i] == fit->positive;
                fit->score[k * n + i] = isnan(score) ? -1e9 : score;
                if (hinge) beta[i] = (own ? score : -score) < 1 ? (own ? fit->c[i] : -fit->c[i]) : 0;
            }
        if (t->solver.loss != EG_LOSS_HINGE) (void)eg__loss(fit, n, t->solver.loss, fit->score, beta);
        for (size_t k = 0; k < wide; k++)
            for (size_t i = 0; i < n; i++) {
                size_t truth = wide > 1 ? (size_t)fit->labels[i] : f % t->fits;
                if (isnan(start_score(t, f % t->fits * wide + k, i)) || isnan(start_score(t, truth, i)))
                    beta[k * n + i] = 0;
                in[k * n + i] = (float)beta[k * n + i];
            }
        if (features) {
            status = eg__primal_combine(&t->primal, beta, wide, fit->beta, t->options->pool, err);
            continue;
        }
        if (t->gram)
            status = eg__gemm_nt(n, wide, n, t->gram, n, in, n, out, wide, false, t->options->pool, err);
        for (size_t k = 0; k < wide && !status; k++) {
            double sum = 0;
            for (size_t i = 0; i < n; i++) sum += fit->beta[k * n + i];
            fit->intercept[k] = t->solver.constant * sum;
            for (size_t i = 0; i < n; i++)
                fit->score[k * n + i] = t->gram ? (double)out[i * wide + k] + fit->intercept[k] : 0;
        }
        if (t->gram && !status) keep_better(t, fit);
    }
    free(in);
    free(out);
    free(slope);
    return status;
}
