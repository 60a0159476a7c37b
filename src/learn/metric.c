/* The inverse Cholesky factor of diag(ridge) + weight Z'Z, in float32 and in blocks: it only has to
 * be near, symmetric and positive, and root' root is so whatever the rounding. */
#include "learn/metric.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "kernels/kernels.h"

enum { SIDE = 64, ROWS_ENOUGH = 16 };
/* Of the largest diagonal: what rounding may take from the smallest eigenvalues of M. */
static const double LIFT = 2e-6;

enum eg_status eg__metric_open(const float *z, size_t n, size_t width, eg_pool *pool,
                               struct eg_metric *metric, struct eg_error *err)
{
    struct eg_metric m = {.width = width};
    m.moment = eg__alloc(width, width * sizeof *m.moment);
    m.root = eg__alloc(width, width * sizeof *m.root);
    enum eg_status status = m.moment && m.root ? EG_OK : eg__fail_memory(err, "a preconditioner");
    size_t step = n / (ROWS_ENOUGH * width); /* every step-th row */
    if (step < 1) step = 1;
    const size_t rows = (n + step - 1) / step;
    if (!status)
        status = eg__gemm_tn(width, width, rows, z, step * width, z, step * width, m.moment, width, false,
                             pool, err);
    for (size_t i = 0; i < width * width && !status; i++) m.moment[i] *= (float)n / (float)rows;
    if (status)
        eg__metric_close(&m);
    else
        *metric = m;
    return status;
}

void eg__metric_close(struct eg_metric *metric)
{
    free(metric->moment);
    free(metric->root);
    *metric = (struct eg_metric){0};
}

/* The inverse of the Cholesky factor of the block at `a` (its lower triangle, negated), in double.
 * The factor goes to `factor`, the inverse to `inverse`, both [side][side] floats, zeros above. */
static void small_root(const float *a, size_t stride, size_t side, float *factor, float *inverse)
{
    double l[SIDE][SIDE] = {{0}}, x[SIDE][SIDE] = {{0}};
    for (size_t i = 0; i < side; i++)
        for (size_t j = 0; j <= i; j++) {
            double sum = -(double)a[i * stride + j];
            for (size_t k = 0; k < j; k++) sum -= l[i][k] * l[j][k];
            /* rounding that went below zero: a direction that is left as it is */
            l[i][j] = i > j ? sum / l[j][j] : sqrt(fmax(sum, 1e-3));
        }
    for (size_t j = 0; j < side; j++)
        for (size_t i = j; i < side; i++) {
            double sum = i == j;
            for (size_t k = j; k < i; k++) sum -= l[i][k] * x[k][j];
            x[i][j] = sum / l[i][i];
        }
    for (size_t i = 0; i < side; i++)
        for (size_t j = 0; j < side; j++) {
            factor[i * side + j] = (float)l[i][j];
            inverse[i * side + j] = (float)x[i][j];
        }
}

static void negate(float *a, size_t stride, size_t rows, size_t columns)
{
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < columns; j++) a[i * stride + j] = -a[i * stride + j];
}

/* Cholesky of -b (lower triangle), in place: below the diagonal blocks L; their inverses, one after
 * another, in `inverses`. Blocks are subtracted by adding to what is held negated. */
static enum eg_status factorize(float *b, size_t n, float *inverses, float *panel, eg_pool *pool,
                                struct eg_error *err)
{
    float factor[SIDE * SIDE];
    enum eg_status status = EG_OK;
    for (size_t at = 0; at < n && !status; at += SIDE) {
        const size_t side = n - at < SIDE ? n - at : SIDE, below = n - at - side;
        float *inverse = inverses + at * SIDE, *under = b + (at + side) * n + at;
        small_root(b + at * n + at, n, side, factor, inverse);
        if (!below) break;
        status = eg__gemm_nt(below, side, side, under, n, inverse, side, panel, side, false, pool, err);
        for (size_t i = 0; i < below; i++)
            for (size_t j = 0; j < side; j++) under[i * n + j] = -panel[i * side + j];
        if (!status)
            status = eg__syrk(below, side, panel, side, b + (at + side) * n + at + side, n, true, pool, err);
    }
    return status;
}

/* root = L^-1, row of blocks after row of blocks. */
static enum eg_status invert(const float *l, size_t n, const float *inverses, float *panel, float *root,
                             eg_pool *pool, struct eg_error *err)
{
    enum eg_status status = EG_OK;
    memset(root, 0, n * n * sizeof *root);
    for (size_t at = 0; at < n && !status; at += SIDE) {
        const size_t side = n - at < SIDE ? n - at : SIDE;
        const float *inverse = inverses + at * SIDE;
        for (size_t i = 0; i < side; i++)
            memcpy(root + (at + i) * n + at, inverse + i * side, side * sizeof *root);
        if (!at) continue;
        status = eg__gemm_nn(side, at, at, l + at * n, n, root, n, panel, at, false, pool, err);
        if (!status)
            status =
                eg__gemm_nn(side, at, side, inverse, side, panel, at, root + at * n, n, false, pool, err);
        negate(root + at * n, n, side, at);
    }
    return status;
}

enum eg_status eg__metric_set(struct eg_metric *m, double weight, double last_ridge, eg_pool *pool,
                              struct eg_error *err)
{
    const size_t n = m->width;
    float *b = eg__alloc(n, n * sizeof *b), *panel = eg__alloc(n, SIDE * sizeof *panel),
          *inverses = eg__alloc(n + SIDE, SIDE * sizeof *inverses);
    enum eg_status status = b && panel && inverses ? EG_OK : eg__fail_memory(err, "a preconditioner");
    double most = 0;
    for (size_t i = 0; i < n; i++) most = fmax(most, weight * (double)m->moment[i * n + i]);
    for (size_t i = 0; i < n * n && !status; i++) b[i] = (float)-(weight * (double)m->moment[i]);
    for (size_t i = 0; i < n && !status; i++)
        b[i * n + i] -= (float)((i + 1 < n ? 1 : last_ridge) + LIFT * most);
    if (!status) status = factorize(b, n, inverses, panel, pool, err);
    if (!status) status = invert(b, n, inverses, panel, m->root, pool, err);
    m->weight = weight;
    free(b);
    free(panel);
    free(inverses);
    return status;
}

enum eg_status eg__metric_apply(const struct eg_metric *m, const float *in, size_t count, float *between,
                                float *out, eg_pool *pool, struct eg_error *err)
{
    const size_t n = m->width;
    enum eg_status status = eg__gemm_nt(count, n, n, in, n, m->root, n, between, n, false, pool, err);
    if (!status) status = eg__gemm_nn(count, n, n, between, n, m->root, n, out, n, false, pool, err);
    return status;
}
