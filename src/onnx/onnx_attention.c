/* onnx_attention.c: attention out of the products that exporters write it as:
 *     MatMul(Softmax(Add(Mul(MatMul(q, k'), a), mask)), v)
 * with the factor before or behind the first product, or on both of its sides, and up to two masks. What
 * was read before stays for its names; nothing needs it any more. */
#include <stdio.h>
#include <string.h>

#include "onnx/onnx_private.h"

struct found {
    struct eg_graph *graph;
    float alpha;
    uint32_t q, k_turned, mask;          /* mask: a layer, 0: none */
    const struct eg_tensor *constant[2]; /* masks */
    unsigned n_constants;
};

/* Behind a product with one number, which goes into the factor. */
static uint32_t behind_factor(struct found *f, uint32_t index)
{
    for (;;) {
        const struct eg_node *node = &f->graph->nodes[index];
        const struct eg_tensor *number = node->params[0];
        if ((node->op != EG_OP_MUL && node->op != EG_OP_DIV) || node->n_inputs != 1 || node->swapped ||
            eg__tensor_count(number) != 1 || !number->data)
            return index;
        const float x = (float)eg__tensor_number_at(number, 0);
        f->alpha = node->op == EG_OP_MUL ? f->alpha * x : f->alpha / x;
        index = node->inputs[0];
    }
}

static bool find_masks(struct found *f, uint32_t *index)
{
    const struct eg_node *node = &f->graph->nodes[*index];
    while (node->op == EG_OP_ADD) {
        if (node->n_inputs == 2) {
            const bool first = f->graph->nodes[node->inputs[0]].op == EG_OP_CONSTANT;
            const uint32_t mask = node->inputs[first ? 0 : 1];
            if (f->mask || f->n_constants || !mask) return false;
            f->mask = mask;
            *index = node->inputs[first ? 1 : 0];
        } else {
            if (f->mask || f->n_constants == 2 || !node->params[0]->data || !node->params[0]->rank)
                return false;
            f->constant[f->n_constants++] = node->params[0];
            *index = node->inputs[0];
        }
        node = &f->graph->nodes[*index];
    }
    return true;
}

static bool find(struct found *f, uint32_t rows)
{
    const struct eg_node *node = &f->graph->nodes[rows];
    if (node->op != EG_OP_SOFTMAX) return false;
    uint32_t at = node->inputs[0];
    if (!find_masks(f, &at)) return false;
    node = &f->graph->nodes[behind_factor(f, at)];
    if (node->op != EG_OP_MATMUL) return false;
    f->q = behind_factor(f, node->inputs[0]);
    f->k_turned = behind_factor(f, node->inputs[1]);
    return true;
}

/* [..][d][s] as [..][s][d]: what it was turned from, if it was. */
static enum eg_status turn_keys(struct eg_reading *step, struct found *f, uint32_t *k)
{
    const struct eg_node *turned = &f->graph->nodes[f->k_turned];
    const size_t rank = turned->shape.rank;
    if (rank < 2) return eg__step_refuse(step, "its keys have fewer than two dimensions");
    struct eg_node node = {.op = EG_OP_TRANSPOSE, .n_inputs = 1, .inputs = {f->k_turned}};
    for (size_t i = 0; i < rank; i++) node.order[i] = (uint8_t)i;
    if (turned->op == EG_OP_TRANSPOSE) {
        memcpy(node.order, turned->order, sizeof node.order);
        node.inputs[0] = turned->inputs[0];
    }
    const uint8_t last = node.order[rank - 1];
    node.order[rank - 1] = node.order[rank - 2];
    node.order[rank - 2] = last;
    bool same = true;
    for (size_t i = 0; i < rank; i++) same &= node.order[i] == i;
    *k = node.inputs[0];
    if (same) return EG_OK;
    struct eg_reading part = *step;
    char label[300];
    snprintf(label, sizeof label, "%.250s/keys", step->label);
    part.label = label;
    return eg__step_add(&part, &node, k);
}

/* The masks as one, as wide as the products [..][t][s]. */
static enum eg_status one_mask(struct eg_reading *step, struct found *f, struct eg_shape products,
                               const struct eg_tensor **mask)
{
    *mask = f->constant[0];
    if (f->n_constants < 2) return EG_OK;
    struct eg_tensor sum, view;
    void *data;
    enum eg_status status =
        eg__onnx_new_tensor(step->onnx, EG_F32, (unsigned)products.rank, products.dim, &sum, &data);
    float *to = data,
          *part = status ? NULL : eg__graph_memory(f->graph, eg__shape_count(products), sizeof *part);
    if (status) return status;
    if (!part) return eg__step_memory(step);
    for (unsigned m = 0; m < 2; m++) {
        view = *f->constant[m];
        const size_t missing = products.rank - view.rank;
        for (size_t i = products.rank; i-- > 0;) {
            const bool own = i >= missing && f->constant[m]->dim[i - missing] > 1;
            view.stride[i] = own ? f->constant[m]->stride[i - missing] : 0;
            view.dim[i] = products.dim[i];
        }
        view.rank = (uint8_t)products.rank;
        eg__tensor_read(&view, m ? part : to);
    }
    for (size_t i = 0; i < eg__shape_count(products); i++) to[i] += part[i];
    *mask = eg__graph_tensor(f->graph, &sum);
    return *mask ? EG_OK : eg__step_memory(step);
}

static bool fits(const struct eg_shape *mask, const struct eg_shape *products)
{
    if (mask->rank > products->rank) return false;
    for (size_t i = 0; i < mask->rank; i++) {
        const size_t side = products->dim[products->rank - mask->rank + i];
        if (mask->dim[i] != 1 && mask->dim[i] != side) return false;
    }
    return true;
}

enum eg_status eg__recognize_attention(struct eg_reading *step, uint32_t rows, uint32_t values,
                                       uint32_t *index)
{
    struct eg_graph *graph = step->onnx->graph;
    struct found f = {.graph = graph, .alpha = 1};
    if (!find(&f, rows)) return EG_E_NOT_FOUND;
    const struct eg_shape q = graph->nodes[f.q].shape, k = graph->nodes[f.k_turned].shape,
                          v = graph->nodes[values].shape;
    struct eg_shape products = q;
    if (q.rank != k.rank || q.rank != v.rank) return EG_E_NOT_FOUND;
    for (size_t i = 0; i + 2 < q.rank; i++)
        if (k.dim[i] != q.dim[i] || v.dim[i] != q.dim[i]) return EG_E_NOT_FOUND;
    products.dim[q.rank - 1] = k.dim[k.rank - 1];
    for (unsigned m = 0; m < f.n_constants; m++) {
        struct eg_shape own = {.rank = f.constant[m]->rank};
        memcpy(own.dim, f.constant[m]->dim, sizeof own.dim);
        if (!fits(&own, &products)) return EG_E_NOT_FOUND;
    }
    if (f.mask && !fits(&graph->nodes[f.mask].shape, &products)) return EG_E_NOT_FOUND;
    struct eg_node node = {.op = EG_OP_ATTENTION, .n_inputs = 3, .alpha = f.alpha};
    node.inputs[0] = f.q;
    node.inputs[2] = values;
    if (f.mask) node.inputs[node.n_inputs++] = f.mask;
    enum eg_status status = turn_keys(step, &f, &node.inputs[1]);
    if (!status && f.n_constants) status = one_mask(step, &f, products, &node.params[0]);
    return status ? status : eg__step_add(step, &node, index);
}
