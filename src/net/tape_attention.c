/* tape_attention.c: products of two values, attention, and their gradients, by the engine's GEMM:
 *     C = A B          dA = dC B'      dB = A' dC
 *     O = P V, P = softmax(alpha Q K' + mask)
 *     dV = P' dO       dP = dO V'      dS = P (dP - sum of P dP)      dQ = alpha dS K    dK = alpha dS' Q
 * P is kept from forward to backward. */
#include <string.h>

#include "kernels/kernels.h"
#include "kernels/table.h"
#include "net/tape_ops.h"

static size_t side(const struct eg_tape_node *node, size_t from_last)
{
    return node->node->shape.dim[node->node->shape.rank - 1 - from_last];
}

/* Of matrix `index` of a result, the one of `shape` that belongs to it. */
static size_t matrix_at(struct eg_shape shape, struct eg_shape whole, size_t index)
{
    size_t at = 0, step = 1, missing = whole.rank - shape.rank;
    for (size_t i = whole.rank - 2; i-- > 0; index /= whole.dim[i]) {
        if (i < missing) continue;
        if (shape.dim[i - missing] > 1) at += index % whole.dim[i] * step;
        step *= shape.dim[i - missing];
    }
    return at;
}

enum eg_status eg__tape_matmul_forward(struct eg_tape_step *step, struct eg_tape_node *node,
                                       struct eg_error *err)
{
    struct eg_tape_node *a = eg__tape_input(step, node, 0), *b = eg__tape_input(step, node, 1);
    const size_t m = side(node, 1), n = side(node, 0), k = side(a, 0), each = node->count / (m * n);
    enum eg_status status = EG_OK;
    for (size_t i = 0; i < step->n * each && !status; i++) {
        const size_t image = i / each, index = i % each;
        status = eg__gemm_nn(
            m, n, k, a->y + image * a->count + matrix_at(a->node->shape, node->node->shape, index) * m * k, k,
            b->y + image * b->count + matrix_at(b->node->shape, node->node->shape, index) * k * n, n,
            node->y + i * m * n, n, false, step->pool, err);
    }
    return status;
}

enum eg_status eg__tape_matmul_backward(struct eg_tape_step *step, struct eg_tape_node *node,
                                        struct eg_error *err)
{
    struct eg_tape_node *a = eg__tape_input(step, node, 0), *b = eg__tape_input(step, node, 1);
    const size_t m = side(node, 1), n = side(node, 0), k = side(a, 0), each = node->count / (m * n);
    float *da = eg__tape_dx(step, node, 0), *db = eg__tape_dx(step, node, 1);
    enum eg_status status = EG_OK;
    if (da && !node->add_dx[0]) memset(da, 0, step->n * a->count * sizeof *da);
    if (db && (!node->add_dx[1]) && db != da) memset(db, 0, step->n * b->count * sizeof *db);
    for (size_t i = 0; i < step->n * each && !status; i++) {
        const size_t image = i / each, index = i % each;
        const size_t at = image * a->count + matrix_at(a->node->shape, node->node->shape, index) * m * k;
        const size_t bt = image * b->count + matrix_at(b->node->shape, node->node->shape, index) * k * n;
        const float *dc = node->dy + i * m * n;
        if (da) status = eg__gemm_nt(m, k, n, dc, n, b->y + bt, n, da + at, k, true, step->pool, err);
        if (db && !status)
            status = eg__gemm_tn(k, n, m, a->y + at, k, dc, n, db + bt, n, true, step->pool, err);
    }
    return status;
}

/* ---- attention --------------------------------------------------------------------------- */

static size_t key_count(const struct eg_tape_node *nodes, const struct eg_tape_node *node)
{
    return side(&nodes[node->node->inputs[1]], 1);
}

size_t eg__tape_attention_saved(const struct eg_tape_node *nodes, const struct eg_tape_node *node,
                                size_t max_batch)
{
    return max_batch * (node->count / side(node, 0)) * key_count(nodes, node) * sizeof(float);
}

size_t eg__tape_attention_scratch(const struct eg_tape_node *nodes, const struct eg_tape_node *node,
                                  size_t max_batch)
{
    (void)max_batch;
    return side(node, 1) * key_count(nodes, node); /* the products of one head */
}

/* Row r of the mask for matrix `index`; NULL: none. */
static const float *mask_row(const struct eg_tape_step *step, const struct eg_tape_node *node, size_t image,
                             size_t index, size_t r, size_t s, float *row)
{
    const float *values = node->param[0];
    struct eg_shape shape = {0};
    if (values) {
        shape.rank = node->node->params[0]->rank;
        memcpy(shape.dim, node->node->params[0]->dim, sizeof shape.dim);
    } else if (node->node->n_inputs > 3) {
        const struct eg_tape_node *mask = &step->nodes[node->node->inputs[3]];
        shape = mask->node->shape;
        values = mask->y + image * mask->count;
    } else {
        return NULL;
    }
    const size_t rows = shape.rank > 1 ? shape.dim[shape.rank - 2] : 1, width = shape.dim[shape.rank - 1];
    struct eg_shape whole = node->node->shape;
    const size_t at = shape.rank > 2 ? matrix_at(shape, whole, index) : 0;
    values += (at * rows + (rows > 1 ? r : 0)) * width;
    for (size_t k = 0; k < s; k++) row[k] = values[width > 1 ? k : 0];
    return row;
}

enum eg_status eg__tape_attention_forward(struct eg_tape_step *step, struct eg_tape_node *node,
                                          struct eg_error *err)
{
    struct eg_tape_node *q = eg__tape_input(step, node, 0), *k = eg__tape_input(step, node, 1),
                        *v = eg__tape_input(step, node, 2);
    const size_t t = side(node, 1), e = side(node, 0), d = side(q, 0), s = side(k, 1);
    const size_t each = node->count / (t * e);
    float *p = node->saved;
    enum eg_status status = EG_OK;
    for (size_t i = 0; i < step->n * each && !status; i++, p += t * s) {
        status = eg__gemm_nt(t, s, d, q->y + i * t * d, d, k->y + i * s * d, d, p, s, false, step->pool, err);
        for (size_t r = 0; r < t && !status; r++)
            eg__kernels()->softmax_row(p + r * s, node->node->alpha,
                                       mask_row(step, node, i / each, i % each, r, s, step->scratch),
                                       p + r * s, s);
        if (!status)
            status = eg__gemm_nn(t, e, s, p, s, v->y + i * s * e, e, node->y + i * t * e, e, false,
                                 step->pool, err);
    }
    return status;
}

enum eg_status eg__tape_attention_backward(struct eg_tape_step *step, struct eg_tape_node *node,
                                           struct eg_error *err)
{
    struct eg_tape_node *q = eg__tape_input(step, node, 0), *k = eg__tape_input(step, node, 1),
                        *v = eg__tape_input(step, node, 2);
    const size_t t = side(node, 1), e = side(node, 0), d = side(q, 0), s = side(k, 1);
    const size_t each = node->count / (t * e);
    float *dq = eg__tape_dx(step, node, 0), *dk = eg__tape_dx(step, node, 1),
          *dv = eg__tape_dx(step, node, 2);
    const float *p = node->saved;
    float *ds = step->scratch;
    /* one value may be all three: what comes later adds to what came before */
    const bool add_k = node->add_dx[1] || dk == dq, add_v = node->add_dx[2] || dv == dq || dv == dk;
    enum eg_status status = EG_OK;
    for (size_t i = 0; i < step->n * each && !status; i++, p += t * s) {
        const float *out = node->dy + i * t * e;
        status = eg__gemm_nt(t, s, e, out, e, v->y + i * s * e, e, ds, s, false, step->pool, err);
        for (size_t r = 0; r < t && !status; r++) {
            float dot = 0;
            for (size_t j = 0; j < s; j++) dot += p[r * s + j] * ds[r * s + j];
            for (size_t j = 0; j < s; j++)
                ds[r * s + j] = node->node->alpha * p[r * s + j] * (ds[r * s + j] - dot);
        }
        if (!status && dq)
            status = eg__gemm_nn(t, d, s, ds, s, k->y + i * s * d, d, dq + i * t * d, d, node->add_dx[0],
                                 step->pool, err);
        if (!status && dk)
            status = eg__gemm_tn(s, d, t, ds, s, q->y + i * t * d, d, dk + i * s * d, d,
                                 dq ? add_k : node->add_dx[1], step->pool, err);
        if (!status && dv)
            status = eg__gemm_tn(s, e, t, p, s, out, e, dv + i * s * e, e, dq || dk ? add_v : node->add_dx[2],
                                 step->pool, err);
    }
    return status;
}
