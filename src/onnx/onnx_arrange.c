/* onnx_arrange.c: layers whose axes are a value's dimensions in the order that an operator asks for.
 * A value's dimensions are parts of its layer's axes (onnx_private.h); RESHAPE cuts the axes into those
 * parts, TRANSPOSE puts them in order, RESHAPE joins them to dimensions. What is not needed is left out. */
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "onnx/onnx_private.h"

static bool is_loose(const struct eg_onnx *onnx, const struct eg_value *value)
{
    const struct eg_shape shape = onnx->graph->nodes[value->node].shape;
    for (unsigned i = 0; i < value->rank; i++)
        for (uint32_t k = 0; k < value->dim[i].n; k++) {
            const struct eg_part *part = &value->dim[i].part[k];
            if (part->axis == EG_AXIS_N) continue;
            if (part->axis >= shape.rank || part->extent != shape.dim[shape.rank - 1 - part->axis])
                return false;
        }
    return true;
}

/* What it takes to arrange a value. */
struct arrangement {
    struct eg_shape split, turned, to; /* the axes cut into parts; in order; the result */
    uint8_t order[EG_RANK_MAX];
    bool turns; /* order is not 0, 1, 2, ... */
};

static bool comes_before(const struct eg_part *a, const struct eg_part *b)
{
    return a->axis != b->axis ? a->axis > b->axis : a->stride > b->stride;
}

/* The parts of all dimensions in the order asked for, the batch left out; false: too many. */
static bool list_parts(const struct eg_value *value, const uint8_t order[], const struct eg_part **part,
                       unsigned *n)
{
    *n = 0;
    for (unsigned i = 0; i < value->rank; i++) {
        const struct eg_dimension *dim = &value->dim[order[i]];
        for (uint32_t k = 0; k < dim->n; k++) {
            if (dim->part[k].axis == EG_AXIS_N) continue;
            if (*n == EG_RANK_MAX) return false;
            part[(*n)++] = &dim->part[k];
        }
    }
    return true;
}

static enum eg_status plan(struct eg_reading *step, const struct eg_value *value, const uint8_t order[],
                           unsigned joined, struct arrangement *a)
{
    const struct eg_part *part[EG_RANK_MAX];
    unsigned n;
    *a = (struct arrangement){.turns = false};
    if (!list_parts(value, order, part, &n))
        return eg__step_refuse(step, "its input's order is too intricate");
    a->split.rank = a->turned.rank = n;
    for (unsigned i = 0; i < n; i++) {
        unsigned at = 0;
        for (unsigned k = 0; k < n; k++) at += comes_before(part[k], part[i]);
        a->order[i] = (uint8_t)at;
        a->split.dim[at] = part[i]->extent;
        a->turned.dim[i] = part[i]->extent;
        a->turns |= at != i;
    }
    for (unsigned i = 0; i < value->rank; i++) {
        const struct eg_dimension *dim = &value->dim[order[i]];
        size_t extent = 1;
        for (uint32_t k = 0; k < dim->n; k++) {
            if (dim->part[k].axis != EG_AXIS_N)
                extent *= dim->part[k].extent;
            else if ((k && k + 1 < dim->n) || i >= joined)
                return eg__step_refuse(step, "it works across the images of a batch");
        }
        if (i == joined || (i < joined && !eg__dimension_is_batch(value, order[i]))) {
            if (a->to.rank == EG_RANK_MAX)
                return eg__step_refuse(step, "its input has more than %d dimensions", EG_RANK_MAX);
            a->to.dim[a->to.rank++] = 1;
        }
        if (i >= joined || !eg__dimension_is_batch(value, order[i])) a->to.dim[a->to.rank - 1] *= extent;
    }
    if (!a->to.rank) a->to = (struct eg_shape){1, {1}};
    return EG_OK;
}

static enum eg_status add_move(struct eg_reading *step, const struct eg_value *value, struct eg_node *node,
                               const char *suffix, struct eg_value *made)
{
    char name[300];
    const char *stem = value->label ? value->label : value->name ? value->name : step->label;
    snprintf(name, sizeof name, "%.250s%s", stem, suffix);
    node->name = name;
    node->n_inputs = 1;
    node->inputs[0] = made->node;
    enum eg_status status = eg__graph_add(step->onnx->graph, node, &made->node, step->onnx->err);
    node->name = NULL; /* the graph has its own */
    return status;
}

static enum eg_status add_reshape(struct eg_reading *step, const struct eg_value *value, struct eg_shape to,
                                  const char *suffix, struct eg_value *made)
{
    struct eg_node node = {.op = EG_OP_RESHAPE, .to = to};
    if (eg__shape_is(step->onnx->graph->nodes[made->node].shape, to)) return EG_OK;
    return add_move(step, value, &node, suffix, made);
}

/* The dimensions as they lie in a layer of shape a->to. */
static void set_dimensions(struct eg_value *made, const uint8_t order[], unsigned joined, struct eg_shape to)
{
    uint32_t axis = (uint32_t)to.rank;
    size_t stride = joined < made->rank ? to.dim[to.rank - 1] : 1;
    for (unsigned i = 0; i < made->rank; i++) {
        struct eg_dimension *dim = &made->dim[order[i]];
        if (i < joined && dim->n == 1 && dim->part[0].axis == EG_AXIS_N) continue;
        size_t extent = 1;
        for (uint32_t k = 0; k < dim->n; k++)
            if (dim->part[k].axis != EG_AXIS_N) extent *= dim->part[k].extent;
        const struct eg_part last = dim->n ? dim->part[dim->n - 1] : (struct eg_part){0};
        const bool behind = dim->n > 1 && last.axis == EG_AXIS_N; /* tokens, and within them images */
        dim->n = dim->n && dim->part[0].axis == EG_AXIS_N;
        if (i < joined) axis--;
        if (i >= joined) stride /= extent;
        if (extent > 1)
            dim->part[dim->n++] =
                i < joined ? (struct eg_part){axis, extent, 1} : (struct eg_part){EG_AXIS_C, extent, stride};
        if (behind) dim->part[dim->n++] = last;
    }
}

enum eg_status eg__value_arrange(struct eg_reading *step, const struct eg_value *value, const uint8_t order[],
                                 unsigned joined, struct eg_value *made)
{
    struct arrangement a;
    enum eg_status status = plan(step, value, order, joined, &a);
    if (status) return status;
    struct eg_value copy = *value;
    copy.natural = 0;
    copy.label = NULL;
    copy.is_array = true;
    if (a.turns) {
        struct eg_node turn = {.op = EG_OP_TRANSPOSE};
        memcpy(turn.order, a.order, sizeof turn.order);
        status = add_reshape(step, value, a.split, "/split", &copy);
        const bool last = eg__shape_is(a.turned, a.to);
        if (!status) status = add_move(step, value, &turn, last ? "" : "/turned", &copy);
    }
    if (!status) status = add_reshape(step, value, a.to, "", &copy);
    if (status) return status;
    set_dimensions(&copy, order, joined, a.to);
    *made = copy;
    return EG_OK;
}

enum eg_status eg__value_natural(struct eg_reading *step, struct eg_value *value, struct eg_value *made)
{
    uint8_t order[EG_RANK_MAX];
    for (unsigned i = 0; i < EG_RANK_MAX; i++) order[i] = (uint8_t)i;
    if (value->natural) {
        struct arrangement a;
        enum eg_status status = plan(step, value, order, value->rank, &a);
        if (status) return status;
        *made = *value;
        made->node = value->natural;
        made->natural = 0;
        set_dimensions(made, order, value->rank, a.to);
        return EG_OK;
    }
    enum eg_status status = eg__value_arrange(step, value, order, value->rank, made);
    if (status) return status;
    value->natural = made->node;
    if (made->node == value->node) made->is_array = value->is_array;
    for (unsigned i = 0; i < 2 && value->label && !status; i++)
        status =
            eg__graph_alias(step->onnx->graph, made->node, i ? value->name : value->label, step->onnx->err);
    return status;
}

bool eg__value_names_layer(const struct eg_onnx *onnx, const struct eg_value *value)
{
    if (!value->is_array && eg__value_is_settled(onnx, value)) return true;
    uint32_t axis = (uint32_t)onnx->graph->nodes[value->node].shape.rank;
    for (unsigned i = 0; i < value->rank; i++) {
        if (eg__dimension_is_batch(value, i)) continue;
        const struct eg_dimension *dim = &value->dim[i];
        const uint32_t own = dim->n && dim->part[0].axis == EG_AXIS_N;
        if (!axis-- || dim->n > own + 1) return false;
        if (dim->n > own &&
            (dim->part[own].axis != axis ||
             dim->part[own].extent != eg__value_extent(onnx, value, i) / (own ? dim->part[0].extent : 1)))
            return false;
    }
    return axis == 0 && is_loose(onnx, value);
}

/* ---- constants as layers -------------------------------------------------------------------- */

enum eg_status eg__value_of_constant(struct eg_reading *step, const struct eg_value *constant,
                                     const struct eg_value *like, struct eg_value *made)
{
    struct eg_tensor view = constant->tensor;
    const size_t batch = step->onnx->batch;
    *made =
        (struct eg_value){.name = constant->name, .is_defined = true, .is_array = true, .rank = view.rank};
    unsigned kept = 0;
    for (unsigned i = 0; i < view.rank; i++) {
        const unsigned from_last = view.rank - 1 - i;
        const bool is_batch =
            like && from_last < like->rank && eg__dimension_is_batch(like, like->rank - 1 - from_last);
        if (is_batch && view.dim[i] == batch && batch > 1 && view.stride[i])
            return eg__step_refuse(step, "its constant differs from image to image");
        if (is_batch && view.dim[i] != 1 && view.dim[i] != batch)
            return eg__step_refuse(step, "it works across the images of a batch");
        if (is_batch) {
            made->dim[i].n = 1;
            made->dim[i].part[0] = (struct eg_part){EG_AXIS_N, batch, 1};
            continue;
        }
        view.dim[kept] = view.dim[i];
        view.stride[kept++] = view.stride[i];
    }
    view.rank = (uint8_t)kept;
    if (!kept) {
        view.rank = 1;
        view.dim[0] = 1;
        view.stride[0] = 1;
    }
    char name[300];
    snprintf(name, sizeof name, "%.250s/constant", step->label);
    struct eg_node node = {.op = EG_OP_CONSTANT,
                           .name = constant->tensor.name ? constant->tensor.name : name};
    node.params[0] = eg__graph_tensor(step->onnx->graph, &view);
    if (!node.params[0]) return eg__step_memory(step);
    enum eg_status status = eg__graph_add(step->onnx->graph, &node, &made->node, step->onnx->err);
    for (unsigned i = 0; i < made->rank && !status; i++) {
        if (made->dim[i].n) continue;
        const size_t extent = constant->tensor.dim[i];
        made->dim[i].n = extent > 1;
        unsigned axis = 0;
        for (unsigned k = i + 1; k < made->rank; k++) axis += !eg__dimension_is_batch(made, k);
        made->dim[i].part[0] = (struct eg_part){axis, extent, 1};
    }
    return status;
}

/* ---- inputs ------------------------------------------------------------------------------------ */

/* A place of the step's own for its input. */
static enum eg_status own(struct eg_reading *step, unsigned input, struct eg_value **value)
{
    if (input >= EG_STEP_OWN)
        return eg__step_refuse(step, "input %u is in an order engraft does not know", input);
    *value = &step->own[input];
    return EG_OK;
}

static enum eg_status natural_input(struct eg_reading *step, unsigned input, struct eg_value **value)
{
    struct eg_value made, *in = step->in[input];
    enum eg_status status = own(step, input, value);
    if (!status) status = eg__value_natural(step, in, &made);
    if (status) return status;
    **value = made;
    step->in[input] = *value;
    return EG_OK;
}

enum eg_status eg__step_layer(struct eg_reading *step, unsigned input, struct eg_value **value)
{
    if (input >= step->n_in || !step->in[input]) return eg__step_broken(step, "input %u is missing", input);
    struct eg_value *in = step->in[input];
    if (in->is_constant)
        return eg__step_refuse(step, "input %u is a constant where a layer is expected", input);
    *value = in;
    if (in->is_array && !eg__value_names_layer(step->onnx, in)) return natural_input(step, input, value);
    if (eg__value_can_settle(step->onnx, in)) return eg__value_settle(step, in, in->name);
    return is_loose(step->onnx, in) ? EG_OK : natural_input(step, input, value);
}

enum eg_status eg__step_natural(struct eg_reading *step, unsigned input, const struct eg_value *like,
                                struct eg_value **value)
{
    struct eg_value *in = input < step->n_in ? step->in[input] : NULL;
    enum eg_status status = EG_OK;
    if (!in || !in->is_constant || !like) status = eg__step_layer(step, input, value);
    if (!status) status = own(step, input, value);
    if (status) return status;
    in = step->in[input];
    struct eg_value made;
    status =
        in->is_constant ? eg__value_of_constant(step, in, like, &made) : eg__value_natural(step, in, &made);
    if (status) return status;
    **value = made;
    step->in[input] = *value;
    return EG_OK;
}

static enum eg_status arranged(struct eg_reading *step, unsigned input, const uint8_t order[],
                               struct eg_value **value)
{
    const struct eg_value *in = step->in[input];
    struct eg_value made;
    enum eg_status status = own(step, input, value);
    if (!status) status = eg__value_arrange(step, in, order, in->rank, &made);
    if (status) return status;
    **value = made;
    step->in[input] = *value;
    return EG_OK;
}

enum eg_status eg__step_along(struct eg_reading *step, unsigned input, unsigned dimension,
                              struct eg_value **value, uint32_t *axis)
{
    enum eg_status status = eg__step_layer(step, input, value);
    if (status || eg__dimension_axis(step->onnx, *value, dimension, axis)) return status;
    status = eg__step_natural(step, input, NULL, value);
    if (status || eg__dimension_axis(step->onnx, *value, dimension, axis)) return status;
    return eg__step_refuse(step, "it works across the images of a batch");
}

enum eg_status eg__step_last(struct eg_reading *step, unsigned input, unsigned dimension,
                             struct eg_value **value)
{
    uint8_t order[EG_RANK_MAX];
    uint32_t axis;
    enum eg_status status = eg__step_layer(step, input, value);
    if (status || (eg__dimension_axis(step->onnx, *value, dimension, &axis) && axis == EG_AXIS_C))
        return status;
    unsigned n = 0;
    for (unsigned i = 0; i < (*value)->rank; i++)
        if (i != dimension) order[n++] = (uint8_t)i;
    order[n] = (uint8_t)dimension;
    if ((*value)->dim[dimension].n && (*value)->dim[dimension].part[0].axis == EG_AXIS_N)
        return eg__step_refuse(step, "it works across the images of a batch");
    return arranged(step, input, order, value);
}

enum eg_status eg__step_image(struct eg_reading *step, unsigned input, struct eg_value **value)
{
    static const uint8_t to_nhwc[4] = {0, 2, 3, 1};
    enum eg_status status = eg__step_layer(step, input, value);
    if (status) return status;
    const struct eg_value *v = *value;
    const struct eg_onnx *onnx = step->onnx;
    bool image = (v->rank == 4 || v->rank == 2) && eg__dimension_is(onnx, v, 0, EG_AXIS_N) &&
                 eg__dimension_is(onnx, v, 1, EG_AXIS_C) &&
                 (v->rank == 2 ||
                  (eg__dimension_is(onnx, v, 2, EG_AXIS_H) && eg__dimension_is(onnx, v, 3, EG_AXIS_W)));
    if (image && onnx->graph->nodes[v->node].shape.rank <= 3) return EG_OK;
    if (v->rank == 4 && eg__dimension_is_batch(v, 0)) return arranged(step, input, to_nhwc, value);
    return eg__step_refuse(step, "its input is not an image batch in the order n, c, h, w (%u dimensions)",
                           v->rank);
}
