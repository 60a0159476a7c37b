/* gemm.c: general matrix products for whoever has matrices (learners, training), over the
 * tile of the kernel table. B is packed block by block; rows of A are read where they are, or
 * turned into rows first when A is transposed.
 * Every element of C is ((C or 0) + s_1) + s_2 + ..., where s_b is the sum over the b-th
 * K_BLOCK of k, upwards: it depends on k alone. */
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "base/pool.h"
#include "kernels/table.h"

enum {
    K_BLOCK = 256,    /* a packed panel of 32 columns then fills the first-level cache */
    N_BLOCK = 2048,   /* the packed block of B is at most 2 MB */
    TILES_IN_TASK = 8 /* 96 rows of A, 96 KB: half the second-level cache at most */
};

size_t eg__packed_count(const struct eg_kernels *kernels, size_t n, size_t k)
{
    size_t last = n % kernels->panel;
    return (n - last + (last + kernels->granule - 1) / kernels->granule * kernels->granule) * k;
}

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

void eg__pack(const struct eg_kernels *kernels, size_t begin, size_t end, size_t n, size_t k, const float *b,
              size_t stride_k, size_t stride_n, float *packed)
{
    for (size_t j0 = begin; j0 < end; j0 += kernels->panel) {
        size_t columns = smaller(kernels->panel, n - j0);
        size_t width = (columns + kernels->granule - 1) / kernels->granule * kernels->granule;
        float *panel = packed + j0 * k;
        const float *from = b + j0 * stride_n;
        if (stride_n == 1)
            for (size_t p = 0; p < k; p++)
                memcpy(panel + p * width, from + p * stride_k, columns * sizeof *from);
        else
            kernels->transpose(from, stride_n, columns, k, panel, width);
        for (size_t p = 0; columns < width && p < k; p++)
            memset(panel + p * width + columns, 0, (width - columns) * sizeof *panel);
    }
}

struct product {
    const struct eg_kernels *kernels;
    size_t m, n, k;
    const float *a, *b;
    size_t lda; /* rows of A when !a_transposed, else rows of A' */
    size_t b_stride_k, b_stride_n, ldc;
    float *c;
    bool a_transposed, lower; /* lower: only j <= i is wanted */
    float *packed;            /* one block of B */
    float *turned;            /* [threads][rows of a task][K_BLOCK], when A is transposed */
    size_t n0, n1, k0, k1;    /* the block being worked on */
    bool accumulate;          /* this block adds to C */
    size_t row_tasks, column_tasks;
};

static void pack_task(void *context, size_t task, unsigned thread)
{
    (void)thread;
    struct product *p = context;
    size_t begin = task * p->kernels->panel, n = p->n1 - p->n0;
    eg__pack(p->kernels, begin, smaller(begin + p->kernels->panel, n), n, p->k1 - p->k0,
             p->b + p->n0 * p->b_stride_n + p->k0 * p->b_stride_k, p->b_stride_k, p->b_stride_n, p->packed);
}

/* A tile on the diagonal: what lies above it in C is not ours to write. */
static void lower_tile(const struct product *p, struct eg_tile *tile, size_t row, size_t column)
{
    float values[EG_TILE_ROWS_MAX * EG_PANEL_MAX];
    tile->c = values;
    tile->ldc = EG_PANEL_MAX;
    tile->accumulate = false;
    p->kernels->gemm_tile(tile);
    for (size_t i = 0; i < tile->rows; i++)
        for (size_t j = 0; j < tile->columns && column + j <= row + i; j++) {
            float *c = p->c + (row + i) * p->ldc + column + j;
            // cppcheck-suppress uninitvar ; gemm_tile has filled it
            float sum = values[i * EG_PANEL_MAX + j];
            *c = p->accumulate ? *c + sum : sum;
        }
}

static void product_task(void *context, size_t task, unsigned thread)
{
    const struct product *p = context;
    const size_t step = p->kernels->tile_rows, panel = p->kernels->panel, depth = p->k1 - p->k0;
    const size_t begin = task / p->column_tasks * TILES_IN_TASK * step;
    const size_t end = smaller(p->m, begin + TILES_IN_TASK * step);
    const size_t panels = (p->n1 - p->n0 + panel - 1) / panel, part = task % p->column_tasks;
    const float *turned = NULL;
    if (p->a_transposed) {
        float *rows = p->turned + thread * TILES_IN_TASK * step * K_BLOCK;
        p->kernels->transpose(p->a + p->k0 * p->lda + begin, p->lda, depth, end - begin, rows, K_BLOCK);
        turned = rows;
    }
    for (size_t j = panels * part / p->column_tasks; j < panels * (part + 1) / p->column_tasks; j++) {
        size_t column = p->n0 + j * panel;
        if (p->lower && column >= end) break;
        for (size_t i = begin; i < end; i += step) {
            const float *rows[EG_TILE_ROWS_MAX];
            struct eg_tile tile = {
                .rows = smaller(step, end - i),
                .columns = smaller(panel, p->n1 - column),
                .runs = 1,
                .run_length = depth,
                .a = rows,
                .b = p->packed + j * panel * depth,
                .c = p->c + i * p->ldc + column,
                .ldc = p->ldc,
                .accumulate = p->accumulate,
            };
            for (size_t r = 0; r < tile.rows; r++)
                rows[r] = turned ? turned + (i + r - begin) * K_BLOCK : p->a + (i + r) * p->lda + p->k0;
            if (!p->lower || column + tile.columns <= i + 1)
                p->kernels->gemm_tile(&tile);
            else if (column < i + tile.rows)
                lower_tile(p, &tile, i, column);
        }
    }
}

static enum eg_status multiply(struct product *p, bool accumulate, eg_pool *pool, struct eg_error *err)
{
    if (!p->m || !p->n) return EG_OK;
    if (!p->k) {
        if (!accumulate)
            for (size_t i = 0; i < p->m; i++)
                for (size_t j = 0; j < (p->lower ? i + 1 : p->n); j++) p->c[i * p->ldc + j] = 0;
        return EG_OK;
    }
    p->kernels = eg__kernels();
    const size_t rows = TILES_IN_TASK * p->kernels->tile_rows, panel = p->kernels->panel;
    const unsigned threads = eg_pool_threads(pool);
    p->packed = eg__alloc(eg__packed_count(p->kernels, smaller(p->n, N_BLOCK), smaller(p->k, K_BLOCK)),
                          sizeof(float));
    p->turned = p->a_transposed ? eg__alloc(threads * rows * K_BLOCK, sizeof(float)) : NULL;
    if (!p->packed || (p->a_transposed && !p->turned)) {
        free(p->packed);
        free(p->turned);
        return eg__fail_memory(err, "a matrix product");
    }
    p->row_tasks = (p->m + rows - 1) / rows;
    for (p->n0 = 0; p->n0 < p->n; p->n0 += N_BLOCK) {
        p->n1 = smaller(p->n, p->n0 + N_BLOCK);
        size_t panels = (p->n1 - p->n0 + panel - 1) / panel;
        p->column_tasks = p->row_tasks >= 4 * threads ? 1 : smaller(panels, 4 * threads);
        for (p->k0 = 0; p->k0 < p->k; p->k0 += K_BLOCK) {
            p->k1 = smaller(p->k, p->k0 + K_BLOCK);
            p->accumulate = accumulate || p->k0;
            eg__pool_run(pool, panels, pack_task, p);
            eg__pool_run(pool, p->row_tasks * p->column_tasks, product_task, p);
        }
    }
    free(p->packed);
    free(p->turned);
    return EG_OK;
}

enum eg_status eg__gemm_nt(size_t m, size_t n, size_t k, const float *a, size_t lda, const float *b,
                           size_t ldb, float *c, size_t ldc, bool accumulate, eg_pool *pool,
                           struct eg_error *err)
{
    struct product p = {.m = m,
                        .n = n,
                        .k = k,
                        .a = a,
                        .b = b,
                        .lda = lda,
                        .b_stride_k = 1,
                        .b_stride_n = ldb,
                        .ldc = ldc,
                        .c = c};
    return multiply(&p, accumulate, pool, err);
}

enum eg_status eg__gemm_nn(size_t m, size_t n, size_t k, const float *a, size_t lda, const float *b,
                           size_t ldb, float *c, size_t ldc, bool accumulate, eg_pool *pool,
                           struct eg_error *err)
{
    struct product p = {.m = m,
                        .n = n,
                        .k = k,
                        .a = a,
                        .b = b,
                        .lda = lda,
                        .b_stride_k = ldb,
                        .b_stride_n = 1,
                        .ldc = ldc,
                        .c = c};
    return multiply(&p, accumulate, pool, err);
}

enum eg_status eg__gemm_tn(size_t m, size_t n, size_t k, const float *a, size_t lda, const float *b,
                           size_t ldb, float *c, size_t ldc, bool accumulate, eg_pool *pool,
                           struct eg_error *err)
{
    struct product p = {.m = m,
                        .n = n,
                        .k = k,
                        .a = a,
                        .b = b,
                        .lda = lda,
                        .b_stride_k = ldb,
                        .b_stride_n = 1,
                        .ldc = ldc,
                        .c = c,
                        .a_transposed = true};
    return multiply(&p, accumulate, pool, err);
}

enum eg_status eg__syrk(size_t n, size_t k, const float *a, size_t lda, float *c, size_t ldc, bool accumulate,
                        eg_pool *pool, struct eg_error *err)
{
    struct product p = {.m = n,
                        .n = n,
                        .k = k,
                        .a = a,
                        .b = a,
                        .lda = lda,
                        .b_stride_k = 1,
                        .b_stride_n = lda,
                        .ldc = ldc,
                        .c = c,
                        .lower = true};
    return multiply(&p, accumulate, pool, err);
}

float eg__dot(const float *a, const float *b, size_t n) { return eg__kernels()->dot(a, b, n); }

void eg__axpy(float alpha, const float *x, float *y, size_t n) { eg__kernels()->axpy(alpha, x, y, n); }
