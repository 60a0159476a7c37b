/* step_product.c: products of two values, and attention.
 *
 * Attention takes a block of queries at a time: their products with all keys, softmax of those rows, and
 * the product of that with the values, while the rows are in the cache; no table of all products is ever
 * in memory. Keys and values are packed once for each head. A row is the same sums in the same order
 * whatever the block it is in.
 * Source  the order of work of Dao et al., FlashAttention (NeurIPS 2022), with whole rows of products,
 *         which for the few thousand tokens of an image fit in the second-level cache */
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "base/pool.h"
#include "net/array.h"

enum { ROWS = 48 /* queries at a time: whole tiles of 6 and 12 */ };

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }
static size_t rounded(size_t n) { return (n + 15) / 16 * 16; }

/* ---- one matrix by another -------------------------------------------------------------- */

/* Element (i, j) at data[i row + j column]. */
struct matrix {
    const float *data;
    ptrdiff_t row, column;
};

/* B, element (p, j) at b.data[p b.row + j b.column], to panels. */
static void pack(const struct eg_kernels *kernels, struct matrix b, size_t k, size_t n, float *packed)
{
    if (b.row == 1 || b.column == 1) {
        if (b.column == 1 || n == 1)
            eg__pack(kernels, 0, n, n, k, b.data, (size_t)b.row, 1, packed);
        else
            eg__pack(kernels, 0, n, n, k, b.data, 1, (size_t)b.column, packed);
        return;
    }
    for (size_t j0 = 0; j0 < n; j0 += kernels->panel) {
        const size_t columns = smaller(kernels->panel, n - j0);
        const size_t width = (columns + kernels->granule - 1) / kernels->granule * kernels->granule;
        for (size_t p = 0; p < k; p++)
            for (size_t j = 0; j < width; j++)
                packed[j0 * k + p * width + j] =
                    j < columns ? b.data[(ptrdiff_t)p * b.row + (ptrdiff_t)(j0 + j) * b.column] : 0;
    }
}

/* Rows [begin, begin + rows) of A as they are, or as copies in scratch [rows][k]. */
static void rows_of(const struct eg_kernels *kernels, struct matrix a, size_t begin, size_t rows, size_t k,
                    float *scratch, const float *row[ROWS])
{
    const float *from = a.data + (ptrdiff_t)begin * a.row;
    if (a.column == 1) {
        for (size_t i = 0; i < rows; i++) row[i] = from + (ptrdiff_t)i * a.row;
        return;
    }
    if (a.row == 1 && a.column > 0)
        kernels->transpose(from, (size_t)a.column, k, rows, scratch, k);
    else
        for (size_t i = 0; i < rows; i++)
            for (size_t p = 0; p < k; p++)
                scratch[i * k + p] = from[(ptrdiff_t)i * a.row + (ptrdiff_t)p * a.column];
    for (size_t i = 0; i < rows; i++) row[i] = scratch + i * k;
}

static void multiply(const struct eg_kernels *kernels, const float *const *row, size_t rows, size_t k,
                     const float *packed, size_t n, float *c, size_t ldc)
{
    for (size_t j = 0; j < n; j += kernels->panel)
        for (size_t i = 0; i < rows; i += kernels->tile_rows) {
            struct eg_tile tile = {.rows = smaller(kernels->tile_rows, rows - i),
                                   .columns = smaller(kernels->panel, n - j),
                                   .runs = 1,
                                   .run_length = k,
                                   .a = row + i,
                                   .b = packed + j * k,
                                   .c = c + i * ldc + j,
                                   .ldc = ldc};
            kernels->gemm_tile(&tile);
        }
}

/* ---- the many matrices of a value -------------------------------------------------------- */

struct product {
    struct eg_run *run;
    const struct eg_run_step *step;
    struct eg_array in[4], out;
    bool masked;
    float alpha;
    size_t matrices, blocks, m, k, n, e; /* of an image; blocks of rows that a matrix is cut in */
};

/* Where matrix `index` of an image starts. */
static float *matrix_at(const struct eg_array *a, size_t image, size_t index)
{
    float *at = a->data + image * a->image;
    for (size_t i = a->rank - 2; i-- > 0; index /= a->dim[i])
        at += (ptrdiff_t)(index % a->dim[i]) * a->stride[i];
    return at;
}

static struct matrix matrix_of(const struct eg_array *a, size_t image, size_t index)
{
    return (struct matrix){matrix_at(a, image, index), a->stride[a->rank - 2], a->stride[a->rank - 1]};
}

/* Enough pieces for all threads; what a row is does not depend on it. */
static void cut_in_blocks(struct product *p, size_t n)
{
    const size_t pieces = n * p->matrices, wanted = 4 * (size_t)p->run->threads;
    const size_t most = (p->m + ROWS - 1) / ROWS;
    p->blocks = pieces >= wanted ? 1 : smaller(most, (wanted + pieces - 1) / pieces);
}

static void spread_outer(struct eg_array *a, const struct eg_array *out)
{
    struct eg_shape shape = {.rank = out->rank};
    memcpy(shape.dim, out->dim, sizeof shape.dim);
    shape.dim[shape.rank - 2] = a->dim[a->rank - 2];
    shape.dim[shape.rank - 1] = a->dim[a->rank - 1];
    eg__array_spread(a, shape);
}

static void matmul_task(void *context, size_t task, unsigned thread)
{
    const struct product *p = context;
    const struct eg_kernels *kernels = p->run->kernels;
    const size_t block = task % p->blocks, index = task / p->blocks % p->matrices;
    const size_t image = task / p->blocks / p->matrices;
    float *packed = eg__run_scratch(p->run, thread);
    float *copies = packed + rounded(eg__packed_count(kernels, p->n, p->k));
    const size_t each = ((p->m + p->blocks - 1) / p->blocks + ROWS - 1) / ROWS * ROWS;
    const size_t end = smaller(p->m, (block + 1) * each);
    if (block * each >= end) return;
    pack(kernels, matrix_of(&p->in[1], image, index), p->k, p->n, packed);
    const struct matrix a = matrix_of(&p->in[0], image, index);
    const size_t ldc = (size_t)p->out.stride[p->out.rank - 2];
    float *c = matrix_at(&p->out, image, index);
    for (size_t i = block * each; i < end; i += ROWS) {
        const float *row[ROWS];
        const size_t rows = smaller(ROWS, end - i);
        rows_of(kernels, a, i, rows, p->k, copies, row);
        multiply(kernels, row, rows, p->k, packed, p->n, c + i * ldc, ldc);
    }
}

static void run_matmul(struct eg_run *run, struct eg_run_step *step, size_t n)
{
    struct product p = {.run = run, .step = step, .matrices = 1, .out = eg__run_array(run, step->output)};
    for (unsigned i = 0; i < 2; i++) {
        p.in[i] = eg__run_array(run, step->inputs[i]);
        spread_outer(&p.in[i], &p.out);
    }
    const size_t rank = p.out.rank;
    for (size_t i = 0; i + 2 < rank; i++) p.matrices *= p.out.dim[i];
    p.m = p.out.dim[rank - 2];
    p.n = p.out.dim[rank - 1];
    p.k = p.in[0].dim[rank - 1];
    cut_in_blocks(&p, n);
    eg__pool_run(run->pool, n * p.matrices * p.blocks, matmul_task, &p);
}

enum eg_status eg__plan_matmul(struct eg_run *run, struct eg_run_step *step, const struct eg_node *node,
                               struct eg_error *err)
{
    (void)err;
    const struct eg_shape a = run->values[step->inputs[0]].shape;
    const size_t k = a.dim[a.rank - 1], n = node->shape.dim[node->shape.rank - 1];
    step->run = run_matmul;
    step->info.algorithm = eg__op_info[node->op].text;
    step->info.macs = (uint64_t)eg__shape_count(node->shape) * k;
    step->scratch_thread = rounded(eg__packed_count(run->kernels, n, k)) + ROWS * k;
    return EG_OK;
}

/* ---- attention ---------------------------------------------------------------------------- */

static size_t attention_scratch(const struct eg_kernels *kernels, size_t s, size_t d, size_t e)
{
    return rounded(eg__packed_count(kernels, s, d)) + rounded(eg__packed_count(kernels, e, s)) +
           ROWS * (rounded(s) + rounded(d)) + rounded(s);
}

/* Row r of the mask: as it lies, or (a layer's, spread) in `copy`. */
static const float *row_of_mask(const struct product *p, const float *mask, size_t r, float *copy)
{
    const struct eg_array *a = &p->in[3];
    const float *row = mask + (ptrdiff_t)r * a->stride[p->out.rank - 2];
    const ptrdiff_t step = a->stride[p->out.rank - 1];
    if (step == 1) return row;
    for (size_t i = 0; i < p->n; i++) copy[i] = row[(ptrdiff_t)i * step];
    return copy;
}

static void attention_task(void *context, size_t task, unsigned thread)
{
    const struct product *p = context;
    const struct eg_kernels *kernels = p->run->kernels;
    const size_t block = task % p->blocks, index = task / p->blocks % p->matrices;
    const size_t image = task / p->blocks / p->matrices, s = p->n, d = p->k, ld = rounded(s);
    float *keys = eg__run_scratch(p->run, thread);
    float *values = keys + rounded(eg__packed_count(kernels, s, d));
    float *products = values + rounded(eg__packed_count(kernels, p->e, s)), *copies = products + ROWS * ld,
          *mask_row = copies + ROWS * rounded(d);
    const size_t each = ((p->m + p->blocks - 1) / p->blocks + ROWS - 1) / ROWS * ROWS;
    const size_t end = smaller(p->m, (block + 1) * each);
    if (block * each >= end) return;
    struct matrix k = matrix_of(&p->in[1], image, index);
    pack(kernels, (struct matrix){k.data, k.column, k.row}, d, s, keys);
    pack(kernels, matrix_of(&p->in[2], image, index), s, p->e, values);
    const struct matrix q = matrix_of(&p->in[0], image, index);
    const size_t ldc = (size_t)p->out.stride[p->out.rank - 2];
    float *out = matrix_at(&p->out, image, index);
    const float *mask = p->masked ? matrix_at(&p->in[3], image, index) : NULL;
    for (size_t i = block * each; i < end; i += ROWS) {
        const float *row[ROWS];
        const size_t rows = smaller(ROWS, end - i);
        rows_of(kernels, q, i, rows, d, copies, row);
        multiply(kernels, row, rows, d, keys, s, products, ld);
        for (size_t r = 0; r < rows; r++) {
            row[r] = products + r * ld;
            kernels->softmax_row(products + r * ld, p->alpha,
                                 mask ? row_of_mask(p, mask, i + r, mask_row) : NULL, products + r * ld, s);
        }
        multiply(kernels, row, rows, s, values, p->e, out + i * ldc, ldc);
    }
}

static void run_attention(struct eg_run *run, struct eg_run_step *step, size_t n)
{
    struct product p = {.run = run,
                        .step = step,
                        .alpha = step->node.alpha,
                        .matrices = 1,
                        .out = eg__run_array(run, step->output)};
    for (unsigned i = 0; i < 3; i++) p.in[i] = eg__run_array(run, step->inputs[i]);
    const size_t rank = p.out.rank;
    for (size_t i = 0; i + 2 < rank; i++) p.matrices *= p.out.dim[i];
    p.m = p.out.dim[rank - 2];
    p.e = p.out.dim[rank - 1];
    p.k = p.in[0].dim[rank - 1];
    p.n = p.in[1].dim[rank - 2];
    struct eg_shape products = {.rank = rank};
    memcpy(products.dim, p.out.dim, sizeof products.dim);
    products.dim[rank - 1] = p.n;
    if (step->n_inputs > 3) {
        p.masked = true;
        p.in[3] = eg__run_array(run, step->inputs[3]);
        eg__array_spread(&p.in[3], products);
    } else if (step->weights) {
        struct eg_shape mask;
        memcpy(&mask, step->work, sizeof mask);
        p.masked = true;
        p.in[3] = eg__array_of_weights(step->weights, mask);
        eg__array_spread(&p.in[3], products);
    }
    cut_in_blocks(&p, n);
    eg__pool_run(run->pool, n * p.matrices * p.blocks, attention_task, &p);
}

/* The mask with its last side whole. */
static enum eg_status read_mask(struct eg_run *run, struct eg_run_step *step, const struct eg_tensor *mask,
                                size_t s, struct eg_error *err)
{
    struct eg_shape *shape = eg__zalloc(1, sizeof *shape);
    if (!shape) return eg__fail_memory(err, "a layer");
    step->work = shape;
    struct eg_tensor whole = *mask;
    const unsigned last = mask->rank - 1;
    if (mask->dim[last] != s) {
        whole.dim[last] = s;
        whole.stride[last] = 0;
    }
    shape->rank = whole.rank;
    memcpy(shape->dim, whole.dim, sizeof shape->dim);
    step->weights = eg__read_weights(run, &whole);
    return step->weights ? EG_OK : eg__fail_memory(err, "the weights");
}

enum eg_status eg__plan_attention(struct eg_run *run, struct eg_run_step *step, const struct eg_node *node,
                                  struct eg_error *err)
{
    const struct eg_shape q = run->values[step->inputs[0]].shape, k = run->values[step->inputs[1]].shape;
    const size_t d = q.dim[q.rank - 1], s = k.dim[k.rank - 2], e = node->shape.dim[node->shape.rank - 1];
    step->run = run_attention;
    step->info.algorithm = eg__op_info[node->op].text;
    step->info.macs = (uint64_t)(eg__shape_count(node->shape) / e) * s * (d + e);
    step->scratch_thread = attention_scratch(run->kernels, s, d, e);
    return node->params[0] ? read_mask(run, step, node->params[0], s, err) : EG_OK;
}
