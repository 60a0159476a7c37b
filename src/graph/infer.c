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

static enum eg_status slide_window(struct eg_node *node, struct eg_map in, size_t c, struct eg_shape *out,
                                   struct eg_error *err)
{
    struct eg_window *w = &node->window;
    size_t rows, columns;
    enum eg_status status =
        slide(node, in.h, w->kernel_h, w->stride_h, w->dilation_h, &w->pad_top, &w->pad_bottom, &rows, err);
    if (!status)
        status = slide(node, in.w, w->kernel_w, w->stride_w, w->dilation_w, &w->pad_left, &w->pad_right,
                       &columns, err);
    if (!status) *out = eg__map_shape(rows, columns, c);
    return status;
}

/* ---- rules: `in` is the first input's shape, *out is that before the rule ---------------- */

typedef enum eg_status shape_rule(const struct eg_graph *graph, struct eg_node *node, struct eg_shape in,
                                  struct eg_shape *out, struct eg_error *err);

static size_t last_side(struct eg_shape shape) { return shape.dim[shape.rank - 1]; }

static enum eg_status check_map(const struct eg_node *node, struct eg_shape in, struct eg_error *err)
{
    return in.rank <= 3 ? EG_OK
                        : misfit(err, node, "its input is no map of pixels (%zu dimensions)", in.rank);
}

#define RULE(name)                                                                                           \
    static enum eg_status shape_##name(const struct eg_graph *graph, struct eg_node *node,                   \
                                       struct eg_shape in, struct eg_shape *out, struct eg_error *err)
#define UNUSED_GRAPH ((void)graph)

RULE(same)
{
    (void)graph, (void)node, (void)in, (void)out, (void)err;
    return EG_OK;
}

RULE(conv)
{
    UNUSED_GRAPH;
    const struct eg_tensor *weight = node->params[0];
    const size_t *dim = weight->dim, c = last_side(in);
    enum eg_status status = check_map(node, in, err);
    if (status) return status;
    if (weight->rank != 4 || !dim[0] || dim[1] != node->window.kernel_h || dim[2] != node->window.kernel_w)
        return misfit(err, node, "its weight is not [out][%u][%u][in]", node->window.kernel_h,
                      node->window.kernel_w);
    if (!node->groups || node->groups > c || dim[3] > EG_SIDE_MAX || dim[3] * node->groups != c ||
        dim[0] % node->groups)
        return misfit(err, node,
                      "its weight takes %zu channels in %u groups and gives %zu, its input has %zu", dim[3],
                      node->groups, dim[0], c);
    status = check_vector(node, 1, dim[0], err);
    return status ? status : slide_window(node, eg__map(in), dim[0], out, err);
}

RULE(linear)
{
    UNUSED_GRAPH;
    const struct eg_tensor *weight = node->params[0];
    if (weight->rank != 2 || !weight->dim[0]) return misfit(err, node, "its weight is not [out][in]");
    if (weight->dim[1] != last_side(in))
        return misfit(err, node,
                      "it takes %zu numbers, its input has %zu (the image size is fixed by this layer)",
                      weight->dim[1], last_side(in));
    out->dim[out->rank - 1] = weight->dim[0];
    return check_vector(node, 1, weight->dim[0], err);
}

RULE(batch_norm)
{
    UNUSED_GRAPH, (void)out;
    return check_vectors(node, 0, 3, last_side(in), err);
}

RULE(layer_norm)
{
    UNUSED_GRAPH, (void)out;
    return check_vectors(node, 0, 1, last_side(in), err);
}

RULE(lrn)
{
    UNUSED_GRAPH, (void)in, (void)out;
    return node->size ? EG_OK : misfit(err, node, "its size is 0");
}

RULE(pool)
{
    UNUSED_GRAPH;
    enum eg_status status = check_map(node, in, err);
    return status ? status : slide_window(node, eg__map(in), last_side(in), out, err);
}

RULE(adaptive)
{
    UNUSED_GRAPH;
    *out = eg__map_shape(node->out_h, node->out_w, last_side(in));
    return check_map(node, in, err);
}

RULE(global)
{
    UNUSED_GRAPH;
    *out = eg__map_shape(1, 1, last_side(in));
    return check_map(node, in, err);
}

static void write_shape(struct eg_shape shape, char text[200])
{
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < shape.rank && used < 170; i++)
        used += (size_t)snprintf(text + used, 200 - used, i ? "x%zu" : "%zu", shape.dim[i]);
}

/* Sides count from the last; a missing one and one of 1 spread. */
static enum eg_status broadcast(const struct eg_node *node, struct eg_shape a, struct eg_shape b,
                                struct eg_shape *out, struct eg_error *err)
{
    struct eg_shape made = {.rank = a.rank > b.rank ? a.rank : b.rank};
    for (size_t i = 0; i < made.rank; i++) {
        size_t x = i < made.rank - a.rank ? 1 : a.dim[i - (made.rank - a.rank)];
        size_t y = i < made.rank - b.rank ? 1 : b.dim[i - (made.rank - b.rank)];
        if (x != y && x != 1 && y != 1) {
            char left[200], right[200];
            write_shape(a, left);
            write_shape(b, right);
            return misfit(err, node, "%s and %s cannot be combined", left, right);
        }
        made.dim[i] = x == 1 ? y : x;
    }
    *out = made;
    return EG_OK;
}

static struct eg_shape tensor_shape(const struct eg_tensor *tensor)
{
    struct eg_shape shape = {.rank = tensor->rank};
    memcpy(shape.dim, tensor->dim, sizeof shape.dim);
    return shape;
}

RULE(binary)
{
    const struct eg_tensor *constant = node->params[0];
    if (node->n_inputs + (constant ? 1u : 0u) != 2) return misfit(err, node, "it takes two values");
    return broadcast(node, in, constant ? tensor_shape(constant) : graph->nodes[node->inputs[1]].shape, out,
                     err);
}

RULE(where)
{
    (void)in;
    enum eg_status status = EG_OK;
    for (uint32_t i = 1; i < 3 && !status; i++)
        status = broadcast(node, *out, graph->nodes[node->inputs[i]].shape, out, err);
    return status;
}

/* node->axis counts from the last, so that a channel is 0 whatever the rank. */
static enum eg_status find_axis(const struct eg_node *node, struct eg_shape in, size_t *axis,
                                struct eg_error *err)
{
    if (node->axis >= in.rank) return misfit(err, node, "it works along axis %u of %zu", node->axis, in.rank);
    *axis = in.rank - 1 - node->axis;
    return EG_OK;
}

RULE(concat)
{
    size_t axis = 0;
    enum eg_status status = find_axis(node, in, &axis, err);
    if (status) return status;
    for (uint32_t i = 1; i < node->n_inputs; i++) {
        struct eg_shape next = graph->nodes[node->inputs[i]].shape;
        struct eg_shape like = in;
        like.dim[axis] = axis < next.rank ? next.dim[axis] : 0;
        if (!eg__shape_is(like, next)) {
            char left[200], right[200];
            write_shape(in, left);
            write_shape(next, right);
            return misfit(err, node, "input 0 is %s, input %u is %s", left, i, right);
        }
        out->dim[axis] += next.dim[axis];
    }
    return EG_OK;
}

RULE(slice)
{
    UNUSED_GRAPH;
    size_t axis = 0;
    enum eg_status status = find_axis(node, in, &axis, err);
    if (status) return status;
    if (node->begin >= node->end || node->end > in.dim[axis])
        return misfit(err, node, "%s %zu to %zu of %zu", node->axis ? "places" : "channels", node->begin,
                      node->end, in.dim[axis]);
    out->dim[axis] = node->end - node->begin;
    return EG_OK;
}

RULE(shuffle)
{
    UNUSED_GRAPH, (void)out;
    return node->groups && last_side(in) % node->groups == 0
               ? EG_OK
               : misfit(err, node, "%zu channels in %u groups", last_side(in), node->groups);
}

RULE(flatten)
{
    UNUSED_GRAPH, (void)node, (void)err;
    *out = eg__vector_shape(eg__shape_count(in));
    return EG_OK;
}

RULE(reduce)
{
    UNUSED_GRAPH, (void)node, (void)in, (void)err;
    out->dim[out->rank - 1] = 1;
    return EG_OK;
}

RULE(transpose)
{
    UNUSED_GRAPH;
    unsigned seen = 0;
    for (size_t i = 0; i < in.rank; i++) {
        if (node->order[i] >= in.rank || seen & 1u << node->order[i])
            return misfit(err, node, "its order is none of %zu axes", in.rank);
        seen |= 1u << node->order[i];
        out->dim[i] = in.dim[node->order[i]];
    }
    return EG_OK;
}

RULE(reshape)
{
    UNUSED_GRAPH;
    size_t count = 1;
    for (size_t i = 0; i < node->to.rank; i++)
        if (__builtin_mul_overflow(count, node->to.dim[i], &count))
            return misfit(err, node, "its shape overflows");
    if (node->to.rank < 1 || node->to.rank > EG_RANK_MAX || count != eg__shape_count(in))
        return misfit(err, node, "its shape holds %zu numbers, its input %zu (the image size is fixed by it)",
                      count, eg__shape_count(in));
    *out = node->to;
    return EG_OK;
}

RULE(expand)
{
    UNUSED_GRAPH;
    enum eg_status status = broadcast(node, in, node->to, out, err);
    return status;
}

RULE(constant)
{
    UNUSED_GRAPH, (void)in, (void)err;
    if (!node->params[0]->rank) return misfit(err, node, "it has no dimension");
    *out = tensor_shape(node->params[0]);
    return EG_OK;
}

RULE(gather)
{
    UNUSED_GRAPH;
    size_t axis = 0;
    const struct eg_tensor *index = node->params[0];
    enum eg_status status = find_axis(node, in, &axis, err);
    if (status) return status;
    if (index->rank != 1 || index->dtype != EG_I32 || !index->data)
        return misfit(err, node, "its places are not a row of integers");
    for (size_t i = 0; i < index->dim[0]; i++) {
        int32_t at;
        memcpy(&at, (const uint8_t *)index->data + (ptrdiff_t)i * index->stride[0] * 4, 4);
        if (at < 0 || (size_t)at >= in.dim[axis])
            return misfit(err, node, "place %d of %zu", at, in.dim[axis]);
    }
    out->dim[axis] = index->dim[0];
    return EG_OK;
}

/* [...][m][k] by [...][k][n], what comes before spread over each other. */
RULE(matmul)
{
    struct eg_shape b = graph->nodes[node->inputs[1]].shape, outer_a = in, outer_b = b;
    if (in.rank < 2 || b.rank < 2) return misfit(err, node, "its inputs are no matrices");
    if (in.dim[in.rank - 1] != b.dim[b.rank - 2])
        return misfit(err, node, "rows of %zu numbers meet columns of %zu", last_side(in), b.dim[b.rank - 2]);
    outer_a.rank -= 2;
    outer_b.rank -= 2;
    enum eg_status status = broadcast(node, outer_a, outer_b, out, err);
    if (status) return status;
    out->dim[out->rank++] = in.dim[in.rank - 2];
    out->dim[out->rank++] = last_side(b);
    return EG_OK;
}

/* Queries [...][t][d], keys [...][s][d], values [...][s][e]: [...][t][e]. A fourth input is added to the
 * products [...][t][s], and may be spread. */
RULE(attention)
{
    struct eg_shape k = graph->nodes[node->inputs[1]].shape, v = graph->nodes[node->inputs[2]].shape;
    if (in.rank < 2 || k.rank != in.rank || v.rank != in.rank)
        return misfit(err, node, "its inputs differ in dimensions");
    for (size_t i = 0; i + 2 < in.rank; i++)
        if (k.dim[i] != in.dim[i] || v.dim[i] != in.dim[i])
            return misfit(err, node, "its inputs differ along axis %zu", i);
    const size_t t = in.rank - 2, d = in.rank - 1;
    if (k.dim[d] != in.dim[d] || v.dim[t] != k.dim[t])
        return misfit(err, node, "its queries, keys and values differ in size");
    out->dim[d] = v.dim[d];
    if (node->n_inputs < 4 && !node->params[0]) return EG_OK;
    struct eg_shape products = in, mask, spread;
    products.dim[d] = k.dim[t];
    mask = node->params[0] ? tensor_shape(node->params[0]) : graph->nodes[node->inputs[3]].shape;
    enum eg_status status = broadcast(node, products, mask, &spread, err);
    if (!status && !eg__shape_is(spread, products)) return misfit(err, node, "its mask is too large");
    return status;
}

RULE(resize)
{
    UNUSED_GRAPH;
    *out = eg__map_shape(node->out_h, node->out_w, last_side(in));
    return check_map(node, in, err);
}

/* The adjoint of a convolution's window: kernel_* and pads as the convolution has them. */
RULE(conv_transpose)
{
    UNUSED_GRAPH;
    const struct eg_tensor *weight = node->params[0]; /* [in][kh][kw][out/groups] */
    const struct eg_window *w = &node->window;
    struct eg_map map = eg__map(in);
    enum eg_status status = check_map(node, in, err);
    if (status) return status;
    if (weight->rank != 4 || weight->dim[0] != map.c || !node->groups || map.c % node->groups ||
        weight->dim[1] != w->kernel_h || weight->dim[2] != w->kernel_w || !w->stride_h || !w->stride_w ||
        !w->kernel_h || !w->kernel_w || w->kernel_h > EG_SIDE_MAX || w->kernel_w > EG_SIDE_MAX ||
        w->stride_h > EG_SIDE_MAX || w->stride_w > EG_SIDE_MAX || w->dilation_h > EG_SIDE_MAX ||
        w->dilation_w > EG_SIDE_MAX || weight->dim[3] > EG_SIDE_MAX)
        return misfit(err, node, "its weight is not [in][%u][%u][out] for %zu channels", w->kernel_h,
                      w->kernel_w, map.c);
    size_t h = (map.h - 1) * w->stride_h + (size_t)w->dilation_h * (w->kernel_h - 1) + 1 + node->out_h,
           w_ = (map.w - 1) * w->stride_w + (size_t)w->dilation_w * (w->kernel_w - 1) + 1 + node->out_w;
    if (h <= (size_t)w->pad_top + w->pad_bottom || w_ <= (size_t)w->pad_left + w->pad_right)
        return misfit(err, node, "its padding takes all of it");
    *out = eg__map_shape(h - w->pad_top - w->pad_bottom, w_ - w->pad_left - w->pad_right,
                         weight->dim[3] * node->groups);
    return check_vector(node, 1, weight->dim[3] * node->groups, err);
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

RULE(trees)
{
    UNUSED_GRAPH;
    static const enum eg_dtype dtypes[EG_PARAMS_MAX] = {EG_I32, EG_F32, EG_I32, EG_I32, EG_F32, EG_I32};
    bool with_values = true;
    for (unsigned i = 0; i < EG_PARAMS_MAX; i++) {
        const struct eg_tensor *tensor = node->params[i];
        if (tensor->rank != (i == 4 ? 2 : 1) || tensor->dtype != dtypes[i] ||
            (i < 4 && tensor->dim[0] != node->params[0]->dim[0]))
            return misfit(err, node, "%s has the wrong shape or type", eg__op_info[node->op].params[i]);
        with_values &= tensor->data != NULL;
    }
    if (eg__shape_count(in) != last_side(in)) return misfit(err, node, "its input is not a vector");
    out->dim[out->rank - 1] = node->params[4]->dim[1];
    return with_values ? check_trees(node, last_side(in), err) : EG_OK;
}

RULE(pad)
{
    UNUSED_GRAPH;
    const struct eg_window *w = &node->window;
    const struct eg_map map = eg__map(in);
    if (w->pad_top > EG_SIDE_MAX || w->pad_bottom > EG_SIDE_MAX || w->pad_left > EG_SIDE_MAX ||
        w->pad_right > EG_SIDE_MAX)
        return misfit(err, node, "padding too large");
    *out = eg__map_shape(map.h + w->pad_top + w->pad_bottom, map.w + w->pad_left + w->pad_right, map.c);
    return check_map(node, in, err);
}

RULE(views)
{
    UNUSED_GRAPH;
    const struct eg_tensor *places = node->params[0];
    const struct eg_map map = eg__map(in);
    const size_t h = node->out_h ? node->out_h : map.h, w = node->out_w ? node->out_w : map.w;
    if (!node->size || node->size > EG_VIEWS_MAX || places->rank != 2 || places->dim[0] != node->size ||
        places->dim[1] != 3 || places->dtype != EG_I32 || !places->data)
        return misfit(err, node, "its views are not said");
    for (size_t i = 0; i < node->size; i++) {
        const int32_t *at = (const int32_t *)places->data + 3 * i;
        if (at[0] < 0 || at[1] < 0 || h > map.h || w > map.w || (size_t)at[0] > map.h - h ||
            (size_t)at[1] > map.w - w)
            return misfit(err, node, "view %zu (%zux%zu) lies outside an image of %zux%zu", i, h, w, map.h,
                          map.w);
    }
    *out = eg__map_shape(h, w, map.c);
    return check_map(node, in, err);
}

RULE(views_mean)
{
    UNUSED_GRAPH, (void)in, (void)out, (void)node, (void)err;
    return EG_OK;
}

/* How often an image is there: values that meet are of the same views, or constants. */
static enum eg_status infer_times(const struct eg_graph *graph, struct eg_node *node, struct eg_error *err)
{
    uint32_t times = node->op == EG_OP_INPUT;
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        const uint32_t own = graph->nodes[node->inputs[i]].times;
        if (own && times && own != times)
            return misfit(err, node, "its inputs are of %u and of %u views", times, own);
        if (own) times = own;
    }
    if (node->op == EG_OP_VIEWS && times > 1) return misfit(err, node, "views of views");
    if (node->op == EG_OP_VIEWS_MEAN && times < 2) return misfit(err, node, "there are no views");
    node->times = node->op == EG_OP_VIEWS ? node->size : node->op == EG_OP_VIEWS_MEAN ? 1 : times;
    return EG_OK;
}

static shape_rule *const rules[EG_OP_COUNT] = {
#define EG_OP(name, text, onnx, least, most, shape, run, grad, write, cut, ...)                              \
    [EG_OP_##name] = shape_##shape,
#include "graph/ops.def"
#undef EG_OP
};

enum eg_status eg__infer(const struct eg_graph *graph, struct eg_node *node, struct eg_error *err)
{
    enum eg_status status = check_arity(graph, node, err);
    if (!status) status = infer_times(graph, node, err);
    if (status) return status;
    struct eg_shape in = node->n_inputs ? graph->nodes[node->inputs[0]].shape : node->shape, out = in;
    if (!node->n_inputs && node->op != EG_OP_CONSTANT && (in.rank < 1 || in.rank > EG_RANK_MAX))
        return misfit(err, node, "%zu dimensions", in.rank);
    if ((status = rules[node->op](graph, node, in, &out, err))) return status;
    size_t count = 1;
    bool fits = out.rank >= 1 && out.rank <= EG_RANK_MAX;
    for (size_t i = 0; i < out.rank && fits; i++) {
        size_t most = i + 1 < out.rank ? EG_SIDE_MAX : EG_ELEMENTS_MAX;
        fits = out.dim[i] && out.dim[i] <= most && !__builtin_mul_overflow(count, out.dim[i], &count) &&
               count <= EG_ELEMENTS_MAX;
    }
    if (!fits) {
        char text[200];
        write_shape(out, text);
        return misfit(err, node, "its output would be %s", text);
    }
    for (size_t i = out.rank; i < EG_RANK_MAX; i++) out.dim[i] = 0;
    node->shape = out;
    eg__infer_receptive(graph, node);
    return EG_OK;
}
