/* nearest_rows.c: exact nearest neighbours by cosine: matrix products, streaming over the rows. */
#include "flow/nearest_rows.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "base/pool.h"
#include "kernels/kernels.h"

enum { BLOCK_BYTES = 16 << 20, ROWS_A_TASK = 64, FEW = 4 }; /* FEW: products a row at a time are faster */

struct search {
    const float *rows, *queries; /* [n][d], [m][d] */
    size_t n, m, d, first, top;
    float *products, *inverse; /* [n][m], [n]: 1 / length, 0 where the row is none */
    const uint8_t *status;
    struct eg_near *near;
    size_t *filled; /* [m] */
};

static void measure_rows(void *context, size_t task, unsigned thread)
{
    (void)thread;
    struct search *s = context;
    size_t end = (task + 1) * ROWS_A_TASK < s->n ? (task + 1) * ROWS_A_TASK : s->n;
    for (size_t i = task * ROWS_A_TASK; i < end; i++) {
        const float *row = s->rows + i * s->d;
        float square = eg__dot(row, row, s->d);
        bool usable = s->status[s->first + i] == EG_ROW_DONE && square > 0 && isfinite(square);
        s->inverse[i] = usable ? 1 / sqrtf(square) : 0;
        for (size_t q = 0; s->m <= FEW && q < s->m && usable; q++)
            s->products[i * s->m + q] = eg__dot(row, s->queries + q * s->d, s->d);
    }
}

/* Rows come in ascending order: one that only equals those listed is behind them. */
static void list_rows(void *context, size_t query, unsigned thread)
{
    (void)thread;
    struct search *s = context;
    struct eg_near *near = s->near + query * s->top;
    size_t n = s->filled[query];
    for (size_t i = 0; i < s->n; i++) {
        if (!(s->inverse[i] > 0)) continue;
        float similarity = s->products[i * s->m + query] * s->inverse[i];
        if (n == s->top && !(similarity > near[n - 1].similarity)) continue;
        size_t at = n < s->top ? n++ : n - 1;
        for (; at > 0 && near[at - 1].similarity < similarity; at--) near[at] = near[at - 1];
        near[at] = (struct eg_near){s->first + i, similarity};
    }
    s->filled[query] = n;
}

static enum eg_status make_unit(float *queries, size_t m, size_t d, struct eg_error *err)
{
    for (size_t q = 0; q < m; q++) {
        float *x = queries + q * d;
        double square = 0;
        for (size_t k = 0; k < d; k++) square += (double)x[k] * x[k];
        if (!isfinite(square)) return eg__fail(err, EG_E_NUMERIC, "a photo's features are not finite");
        float scale = square > 0 ? (float)(1 / sqrt(square)) : 0;
        for (size_t k = 0; k < d; k++) x[k] *= scale;
    }
    return EG_OK;
}

static enum eg_status search_block(struct search *s, eg_pool *pool, struct eg_error *err)
{
    eg__pool_run(pool, (s->n + ROWS_A_TASK - 1) / ROWS_A_TASK, measure_rows, s);
    enum eg_status status = EG_OK;
    if (s->m > FEW)
        status = eg__gemm_nt(s->n, s->m, s->d, s->rows, s->d, s->queries, s->d, s->products, s->m, false,
                             pool, err);
    if (!status) eg__pool_run(pool, s->m, list_rows, s);
    return status;
}

enum eg_status eg__nearest_rows(struct eg_store *store, size_t cut, float *queries, size_t m, size_t top,
                                eg_pool *pool, eg_progress_fn *progress, void *user, struct eg_near *near,
                                size_t *n_near, struct eg_error *err)
{
    const struct eg_store_spec *spec = eg__store_spec(store);
    size_t d = spec->cuts[cut].length, n = spec->n_rows, products;
    size_t most = BLOCK_BYTES / (d * sizeof(float));
    if (most < ROWS_A_TASK) most = ROWS_A_TASK;
    if (most > n) most = n;
    float *rows = eg__alloc(most ? most : 1, d * sizeof *rows);
    struct search s = {.rows = rows, .queries = queries, .m = m, .d = d, .top = top};
    s.status = eg__store_status(store);
    s.near = near;
    s.inverse = eg__alloc(most + 1, sizeof *s.inverse);
    s.products = eg__mul(most, m, &products) ? eg__alloc(products + 1, sizeof *s.products) : NULL;
    s.filled = eg__zalloc(m + 1, sizeof *s.filled);
    enum eg_status status =
        rows && s.inverse && s.products && s.filled ? EG_OK : eg__fail_memory(err, "a block of rows");
    if (!status) status = make_unit(queries, m, d, err);
    for (s.first = 0; s.first < n && m && top && !status; s.first += s.n) {
        s.n = n - s.first < most ? n - s.first : most;
        status = eg__store_read(store, cut, s.first, s.n, rows, err);
        if (!status) status = search_block(&s, pool, err);
        if (!status && progress && !progress(user, s.first + s.n, n))
            status = eg__fail(err, EG_E_CANCELLED, "stopped");
    }
    if (!status) *n_near = s.filled[0];
    free(rows);
    free(s.inverse);
    free(s.products);
    free(s.filled);
    return status;
}
