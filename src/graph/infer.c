/* infer.c: the shape rule of every operator, and the check that its inputs, parameters and
 * attributes fit together. After it kernels need not check anything. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "graph/graph_private.h"

/* No side and no activation of one image past this: sizes then never overflow. */
#define EG_SIDE_MAX ((size_t)1 << 24)
#define EG_ELEMENTS_MAX ((size_t)1 << 31)

__attribute__((format(printf, 3, 4))) static enum eg_status
misfit(struct eg_error *err, const struct eg_node *node, const char *format, ...)
{
    char text[700];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return eg__fail(err, EG_E_SHAPE, "layer '%.200s' (%s) does not fit: %s", node->name ? node->name : "",
                    eg__op_info[node->op].text, text);
}

static enum eg_status check_arity(const struct eg_graph *graph, const struct eg_node *node,
                                  struct eg_error *err)
{
    const struct eg_op_info *info = &eg__op_info[node->op];
    if (node->n_inputs < info->least_inputs || node->n_inputs > info->most_inputs)
        return misfit(err, node, "%u inputs, it takes %u to %u", node->n_inputs, info->least_inputs,
                      info->most_inputs);
    for (uint32_t i = 0; i < node->n_inputs; i++)
        if (node->inputs[i] >= graph->n_nodes) return misfit(err, node, "input %u is no earlier layer", i);
    for (unsigned i = 0; i < EG_PARAMS_MAX; i++) {
        const char *param = info->params[i];
        if (!param && node->params[i]) return misfit(err, node, "it takes no parameter %u", i);
        if (param && !node->params[i] && !strchr(param, '?'))
            return misfit(err, node, "%s is missing", param);
        if (!node->params[i]) continue;
        size_t count = 1; /* the product must not wrap, or counts would lie */
        for (unsigned d = 0; d < node->params[i]->rank; d++)
            if (__builtin_mul_overflow(count, node->params[i]->dim[d], &count) ||
                count > EG_ELEMENTS_MAX * 16)
                return misfit(err, node, "%s is too large", param);
    }
    return EG_OK;
}

/* A parameter of one number per channel. */
static enum eg_status check_vector(const struct eg_node *node, unsigned param, size_t n, struct eg_error *err)
{
    const struct eg_tensor *tensor = node->params[param];
    if (!tensor || (tensor->rank == 1 && tensor->dim[0] == n)) return EG_OK;
    return misfit(err, node, "%s has %zu numbers, the layer has %zu channels",
                  eg__op_info[node->op].params[param], eg__tensor_count(tensor), n);
}

static enum eg_status check_vectors(const struct eg_node *node, unsigned first, unsigned last, size_t n,
                                    struct eg_error *err)
{
    for (unsigned i = first; i <= last; i++) {
        enum eg_status status = check_vector(node, i, n, err);
        if (status) return status;
    }
    return EG_OK;
}

/* Positions of a window along one side; pads of SAME_* are computed here.
 * Source  ONNX Conv and AveragePool (auto_pad, ceil_mode); torch's pooling_output_shape for
 *         the rule that with ceil_mode the last window starts inside the input or its left padding */
static enum eg_status slide(const struct eg_node *node, size_t in, uint32_t kernel, uint32_t stride,
                            uint32_t dilation, uint32_t *before, uint32_t *after, size_t *out,
                            struct eg_error *err)
{
    enum eg_padding padding = node->window.padding;
    if (!kernel || !stride || !dilation || kernel > EG_SIDE_MAX || stride > EG_SIDE_MAX ||
        dilation > EG_SIDE_MAX)
        return misfit(err, node, "kernel %u, stride %u, dilation %u", kernel, stride, dilation);
    size_t extent = (size_t)dilation * (kernel - 1) + 1;
    if (padding != EG_PAD_EXPLICIT) {
        size_t n = (in + stride - 1) / stride, need = (n - 1) * stride + extent;
        size_t total = need > in ? need - in : 0, less = total / 2;
        *before = (uint32_t)(padding == EG_PAD_SAME_UPPER ? less : total - less);
        *after = (uint32_t)(total - *before);
        *out = n;
        return EG_OK;
    }
    if (*before > EG_SIDE_MAX || *after > EG_SIDE_MAX)
        return misfit(err, node, "padding %u, %u", *before, *after);
    size_t padded = in + *before + *after;
    if (padded < extent)
        return misfit(err, node, "its window spans %zu, its input with padding only %zu (use a larger input)",
                      extent, padded);
    size_t n = (padded - extent + (node->ceil_mode ? stride - 1 : 0)) / stride + 1;
    if (node->ceil_mode && (n - 1) * stride >= in + *before) n--;
    *out = n;
    return EG_OK;
}

static enum eg_status slide_window(struct eg_node *node, struct eg_shape in, struct eg_shape *out,
                                   struct eg_error *err)
{
    struct eg_window *w = &node->window;
    enum eg_status status =
        slide(node, in.h, w->kernel_h, w->stride_h, w->dilation_h, &w->pad_top, &w->pad_bottom, &out->h, err);
    if (status) return status;
    return slide(node, in.w, w->kernel_w, w->stride_w, w->dilation_w, &w->pad_left, &w->pad_right, &out->w,
                 err);
}

static enum eg_status infer_conv(struct eg_node *node, struct eg_shape in, struct eg_shape *out,
                                 struct eg_error *err)
{
    const struct eg_tensor *weight = node->params[0];
    const size_t *dim = weight->dim;
    if (weight->rank != 4 || !dim[0] || dim[1] != node->window.kernel_h || dim[2] != node->window.kernel_w)
        return misfit(err, node, "its weight is not [out][%u][%u][in]", node->window.kernel_h,
                      node->window.kernel_w);
    if (!node->groups || node->groups > in.c || dim[3] > EG_SIDE_MAX || dim[3] * node->groups != in.c ||
        dim[0] % node->groups)
        return misfit(err, node,
                      "its weight takes %zu channels in %u groups and gives %zu, its input has %zu", dim[3],
                      node->groups, dim[0], in.c);
    out->c = dim[0];
    enum eg_status status = check_vector(node, 1, out->c, err);
    return status ? status : slide_window(node, in, out, err);
}

static enum eg_status infer_linear(const struct eg_node *node, struct eg_shape in, struct eg_shape *out,
                                   struct eg_error *err)
{
    const struct eg_tensor *weight = node->params[0];
    if (weight->rank != 2 || !weight->dim[0]) return misfit(err, node, "its weight is not [out][in]");
    if (weight->dim[1] != in.c)
        return misfit(err, node,
                      "it takes %zu numbers, its input has %zu (the image size is fixed by this layer)",
                      weight->dim[1], in.c);
    *out = (struct eg_shape){in.h, in.w, weight->dim[0]};
    return check_vector(node, 1, out->c, err);
}

static bool same_shape(struct eg_shape a, struct eg_shape b)
{
    return a.h == b.h && a.w == b.w && a.c == b.c;
}

/* May `b` be spread over `a`: equal, a vector per channel, a number per pixel, or one number? */
static bool spreads(struct eg_shape a, struct eg_shape b)
{
    return same_shape(a, b) || (b.h == 1 && b.w == 1 && (b.c == a.c || b.c == 1)) ||
           (b.h == a.h && b.w == a.w && b.c == 1);
}

static enum eg_status broadcast(const struct eg_node *node, struct eg_shape a, struct eg_shape b,
                                struct eg_shape *out, struct eg_error *err)
{
    if (spreads(a, b))
        *out = a;
    else if (spreads(b, a))
        *out = b;
    else
        return misfit(err, node, "%zux%zux%zu and %zux%zux%zu cannot be combined", a.h, a.w, a.c, b.h, b.w,
                      b.c);
    return EG_OK;
}

static enum eg_status infer_binary(const struct eg_graph *graph, const struct eg_node *node,
                                   struct eg_shape in, struct eg_shape *out, struct eg_error *err)
{
    const struct eg_tensor *constant = node->params[0];
    if (node->n_inputs + (constant ? 1u : 0u) != 2) return misfit(err, node, "it takes two values");
    if (!constant) return broadcast(node, in, graph->nodes[node->inputs[1]].shape, out, err);
    if (constant->rank > 3) return misfit(err, node, "its constant is not [h][w][c], [c] or one number");
    size_t side[3] = {1, 1, 1};
    for (unsigned i = 0; i < constant->rank; i++) side[3 - constant->rank + i] = constant->dim[i];
    struct eg_shape shape = {side[0], side[1], side[2]};
    return broadcast(node, in, shape, out, err);
}

static enum eg_status infer_concat(const struct eg_graph *graph, const struct eg_node *node,
                                   struct eg_shape in, struct eg_shape *out, struct eg_error *err)
{
    *out = in;
    for (uint32_t i = 1; i < node->n_inputs; i++) {
        struct eg_shape next = graph->nodes[node->inputs[i]].shape;
        if (next.h != in.h || next.w != in.w)
            return misfit(err, node, "input 0 is %zux%zu, input %u is %zux%zu", in.h, in.w, i, next.h,
                          next.w);
        out->c += next.c;
    }
    return EG_OK;
}

static int32_t int_at(const struct eg_tensor *tensor, size_t i)
{
    int32_t x;
    memcpy(&x, (const uint8_t *)tensor->data + (ptrdiff_t)i * tensor->stride[0] * (ptrdiff_t)sizeof x,
           sizeof x);
    return x;
}

/* Every index is inside, and children come after their parent, so that every walk ends. */
static enum eg_status check_trees(const struct eg_node *node, size_t n_features, struct eg_error *err)
{
    const struct eg_tensor *feature = node->params[0], *left = node->params[2], *right = node->params[3];
    const struct eg_tensor *leaf = node->params[4], *roots = node->params[5];
    size_t n = feature->dim[0];
    for (size_t i = 0; i < roots->dim[0]; i++)
        if (int_at(roots, i) < 0 || (size_t)int_at(roots, i) >= n)
            return misfit(err, node, "tree %zu starts at node %d of %zu", i, int_at(roots, i), n);
    for (size_t i = 0; i < n; i++) {
        int32_t f = int_at(feature, i), l = int_at(left, i), r = int_at(right, i);
        if (f == -1 ? l < 0 || (size_t)l >= leaf->dim[0]
                    : f < 0 || (size_t)f >= n_features || l < 0 || r < 0 || (size_t)l <= i ||
                          (size_t)r <= i || (size_t)l >= n || (size_t)r >= n)
            return misfit(err, node, "tree node %zu points outside the trees or the %zu features", i,
                          n_features);
    }
    return EG_OK;
}

static enum eg_status infer_trees(const struct eg_node *node, struct eg_shape in, struct eg_shape *out,
                                  struct eg_error *err)
{
    static const enum eg_dtype dtypes[EG_PARAMS_MAX] = {EG_I32, EG_F32, EG_I32, EG_I32, EG_F32, EG_I32};
    bool with_values = true;
    for (unsigned i = 0; i < EG_PARAMS_MAX; i++) {
        const struct eg_tensor *tensor = node->params[i];
        if (tensor->rank != (i == 4 ? 2 : 1) || tensor->dtype != dtypes[i] ||
            (i < 4 && tensor->dim[0] != node->params[0]->dim[0]))
            return misfit(err, node, "%s has the wrong shape or type", eg__op_info[node->op].params[i]);
        with_values &= tensor->data != NULL;
    }
    if (in.h != 1 || in.w != 1) return misfit(err, node, "its input is not a vector");
    *out = (struct eg_shape){1, 1, node->params[4]->dim[1]};
    return with_values ? check_trees(node, in.c, err) : EG_OK;
}

static enum eg_status infer_pad(const struct eg_node *node, struct eg_shape in, struct eg_shape *out,
                                struct eg_error *err)
{
    const struct eg_window *w = &node->window;
    if (w->pad_top > EG_SIDE_MAX || w->pad_bottom > EG_SIDE_MAX || w->pad_left > EG_SIDE_MAX ||
        w->pad_right > EG_SIDE_MAX)
        return misfit(err, node, "padding too large");
    *out = (struct eg_shape){in.h + w->pad_top + w->pad_bottom, in.w + w->pad_left + w->pad_right, in.c};
    return EG_OK;
}

static enum eg_status infer_shape(const struct eg_graph *graph, struct eg_node *node, struct eg_shape *out,
                                  struct eg_error *err)
{
    struct eg_shape in = node->n_inputs ? graph->nodes[node->inputs[0]].shape : node->shape;
    enum eg_status status;
    *out = in;
    switch (node->op) {
    case EG_OP_CONV: return infer_conv(node, in, out, err);
    case EG_OP_LINEAR: return infer_linear(node, in, out, err);
    case EG_OP_BATCH_NORM: return check_vectors(node, 0, 3, in.c, err);
    case EG_OP_LAYER_NORM: return check_vectors(node, 0, 1, in.c, err);
    case EG_OP_LRN: return node->size ? EG_OK : misfit(err, node, "its size is 0");
    case EG_OP_MAX_POOL:
    case EG_OP_AVG_POOL: return slide_window(node, in, out, err);
    case EG_OP_ADAPTIVE_POOL: *out = (struct eg_shape){node->out_h, node->out_w, in.c}; return EG_OK;
    case EG_OP_GLOBAL_AVG:
    case EG_OP_GLOBAL_MAX:
    case EG_OP_GLOBAL_GEM: *out = (struct eg_shape){1, 1, in.c}; return EG_OK;
    case EG_OP_ADD:
    case EG_OP_SUB:
    case EG_OP_MUL:
    case EG_OP_DIV:
    case EG_OP_MAX:
    case EG_OP_MIN:
    case EG_OP_LESS: return infer_binary(graph, node, in, out, err);
    case EG_OP_WHERE:
        for (uint32_t i = 1; i < 3; i++)
            if ((status = broadcast(node, *out, graph->nodes[node->inputs[i]].shape, out, err)))
                return status;
        return EG_OK;
    case EG_OP_CONCAT: return infer_concat(graph, node, in, out, err);
    case EG_OP_SLICE:
        if (node->begin >= node->end || node->end > in.c)
            return misfit(err, node, "channels %zu to %zu of %zu", node->begin, node->end, in.c);
        out->c = node->end - node->begin;
        return EG_OK;
    case EG_OP_CHANNEL_SHUFFLE:
        return node->groups && in.c % node->groups == 0
                   ? EG_OK
                   : misfit(err, node, "%zu channels in %u groups", in.c, node->groups);
    case EG_OP_PAD: return infer_pad(node, in, out, err);
    case EG_OP_FLATTEN: *out = (struct eg_shape){1, 1, eg__shape_count(in)}; return EG_OK;
    case EG_OP_REDUCE_SUM:
    case EG_OP_REDUCE_MEAN:
    case EG_OP_REDUCE_MAX:
    case EG_OP_ARG_MAX: out->c = 1; return EG_OK;
    case EG_OP_TREE_ENSEMBLE: return infer_trees(node, in, out, err);
    default: return EG_OK; /* the rest keep their input's shape */
    }
}

enum eg_status eg__infer(const struct eg_graph *graph, struct eg_node *node, struct eg_error *err)
{
    struct eg_shape out;
    enum eg_status status = check_arity(graph, node, err);
    if (!status) status = infer_shape(graph, node, &out, err);
    if (status) return status;
    if (!out.h || !out.w || !out.c || out.h > EG_SIDE_MAX || out.w > EG_SIDE_MAX || out.c > EG_ELEMENTS_MAX ||
        out.h * out.w > EG_ELEMENTS_MAX / out.c)
        return misfit(err, node, "its output would be %zux%zux%zu", out.h, out.w, out.c);
    node->shape = out;
    eg__infer_receptive(graph, node);
    return EG_OK;
}
