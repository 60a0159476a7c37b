/* onnx_views.c: several views of an image, read from ONNX as onnx_write_views.c writes them:
 *
 *   image -> engraft.views/view1, ... (Slice: a mirror or a crop) -> engraft.views (Concat along the batch)
 *         -> the trunk, once -> engraft.views.mean/apart (Reshape to [views][n]...) -> engraft.views.mean
 *
 * They are read by these names; a node that bears one and is something else is refused. */
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "onnx/onnx_private.h"

#define VIEWS "engraft.views"
#define MEAN "engraft.views.mean"

bool eg__is_of_views(const char *label) { return !strncmp(label, VIEWS, sizeof VIEWS - 1); }

static bool is_op(const struct eg_reading *step, const char *op) { return !strcmp(step->proto->op_type, op); }

/* The same layer under another name. */
static enum eg_status pass_on(struct eg_reading *step, const struct eg_value *in, struct eg_value **made)
{
    struct eg_value *out = eg__step_output(step, 0);
    if (!out) return eg__step_memory(step);
    const char *name = out->name;
    *out = *in;
    out->name = name;
    out->is_defined = true;
    *made = out;
    return EG_OK;
}

static bool is_image(const struct eg_reading *step, const struct eg_value *value)
{
    static const uint32_t axes[3] = {EG_AXIS_C, EG_AXIS_H, EG_AXIS_W};
    if (!value || value->is_constant || value->rank != 4 || !eg__dimension_is_batch(value, 0)) return false;
    for (unsigned d = 1; d < 4; d++)
        if (!eg__dimension_is(step->onnx, value, d, axes[d - 1])) return false;
    return true;
}

static struct eg_view_of view_of(const struct eg_reading *step, const struct eg_value *value)
{
    const struct eg_map map = eg__map(step->onnx->graph->nodes[value->node].shape);
    return value->view.h ? value->view : (struct eg_view_of){.h = map.h, .w = map.w};
}

static enum eg_status read_view(struct eg_reading *step)
{
    struct eg_slice_list s = {0};
    struct eg_value *in = step->n_in ? step->in[0] : NULL, *out;
    if (!is_image(step, in) || in->view.h) return eg__step_broken(step, "it is no view of an image");
    enum eg_status status = eg__step_slices(step, &s);
    if (status) return status;
    struct eg_view_of view = view_of(step, in);
    const int64_t h = (int64_t)view.h, w = (int64_t)view.w;
    if (s.n == 1 && s.axes[0] == 3 && s.steps[0] == -1 && s.starts[0] == -1 && s.ends[0] < -w) {
        view.mirrored = true;
    } else if (s.n == 2 && s.axes[0] == 2 && s.axes[1] == 3 && s.steps[0] == 1 && s.steps[1] == 1 &&
               s.starts[0] >= 0 && s.starts[0] < s.ends[0] && s.ends[0] <= h && s.starts[1] >= 0 &&
               s.starts[1] < s.ends[1] && s.ends[1] <= w) {
        view = (struct eg_view_of){.top = (size_t)s.starts[0],
                                   .left = (size_t)s.starts[1],
                                   .h = (size_t)(s.ends[0] - s.starts[0]),
                                   .w = (size_t)(s.ends[1] - s.starts[1])};
    } else {
        return eg__step_broken(step, "it is neither a mirror nor a crop");
    }
    status = pass_on(step, in, &out);
    if (!status) out->view = view;
    return status;
}

static enum eg_status join_views(struct eg_reading *step)
{
    const size_t n = step->n_in;
    if (n < 2 || n > EG_VIEWS_MAX || eg__step_int(step, "axis", 1) != 0)
        return eg__step_broken(step, "it is no list of views");
    size_t dim[2] = {n, 3};
    struct eg_tensor tensor;
    void *data;
    enum eg_status status = eg__onnx_new_tensor(step->onnx, EG_I32, 2, dim, &tensor, &data);
    if (status) return status;
    int32_t *places = data;
    struct eg_view_of first = {0};
    for (size_t i = 0; i < n; i++) {
        if (!is_image(step, step->in[i]) || step->in[i]->node != step->in[0]->node)
            return eg__step_broken(step, "view %zu is of something else", i);
        const struct eg_view_of v = view_of(step, step->in[i]);
        if (!i) first = v;
        if (v.h != first.h || v.w != first.w) return eg__step_broken(step, "view %zu has another size", i);
        places[3 * i] = (int32_t)v.top;
        places[3 * i + 1] = (int32_t)v.left;
        places[3 * i + 2] = v.mirrored;
    }
    const struct eg_map map = eg__map(step->onnx->graph->nodes[step->in[0]->node].shape);
    struct eg_node node = {.op = EG_OP_VIEWS,
                           .n_inputs = 1,
                           .inputs = {step->in[0]->node},
                           .size = (uint32_t)n,
                           .out_h = first.h == map.h ? 0 : (uint32_t)first.h,
                           .out_w = first.w == map.w ? 0 : (uint32_t)first.w};
    if (!(node.params[0] = eg__graph_tensor(step->onnx->graph, &tensor))) return eg__step_memory(step);
    uint32_t index;
    status = eg__step_add(step, &node, &index);
    struct eg_value *out = status ? NULL : eg__step_output(step, 0);
    if (status || !out) return status ? status : eg__step_memory(step);
    eg__value_set(step->onnx, out, index, "nchw");
    return EG_OK;
}

/* [views][n]... and its mean over the views: one node on what the trunk gives. */
static enum eg_status take_apart(struct eg_reading *step)
{
    struct eg_value *in = step->n_in ? step->in[0] : NULL, *out;
    int64_t to[2 + EG_RANK_MAX];
    size_t n = 0;
    if (!in || in->is_constant || !in->rank || !eg__dimension_is_batch(in, 0))
        return eg__step_broken(step, "there are no views to tell apart");
    enum eg_status status = eg__step_ints(step, "shape", 1, to, 2 + EG_RANK_MAX, &n);
    if (status) return status;
    bool same = n == in->rank + 1 && to[1] == -1 && to[0] > 1 &&
                to[0] == (int64_t)step->onnx->graph->nodes[in->node].times;
    for (unsigned d = 1; d < in->rank && same; d++)
        same = to[d + 1] == (int64_t)eg__value_extent(step->onnx, in, d);
    return same ? pass_on(step, in, &out) : eg__step_broken(step, "its shape is not that of views");
}

static enum eg_status average(struct eg_reading *step)
{
    struct eg_value *in;
    int64_t axes[2];
    size_t n = 0;
    enum eg_status status = eg__step_ints(step, "axes", 1, axes, 2, &n);
    if (status) return status;
    if (n != 1 || axes[0] != 0 || eg__step_int(step, "keepdims", 1) != 0)
        return eg__step_broken(step, "it is no mean of views");
    status = eg__step_layer(step, 0, &in);
    struct eg_node node = {.op = EG_OP_VIEWS_MEAN};
    return status ? status : eg__step_add_like(step, &node, in);
}

enum eg_status eg__read_views(struct eg_reading *step)
{
    const bool mean = !strncmp(step->label, MEAN, sizeof MEAN - 1);
    if (mean && is_op(step, "Reshape")) return take_apart(step);
    if (mean && is_op(step, "ReduceMean")) return average(step);
    if (!mean && is_op(step, "Slice")) return read_view(step);
    if (!mean && is_op(step, "Concat")) return join_views(step);
    return eg__step_broken(step, "no view is made so");
}
