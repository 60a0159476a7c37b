/* onnx_along.c: nodes that work along one dimension of a layer, whichever axis it is. */
#include <stdio.h>
#include <string.h>

#include "onnx/onnx_private.h"

static enum eg_status axis_of(struct eg_reading *step, unsigned input, int64_t otherwise, unsigned *dimension)
{
    if (input >= step->n_in || !step->in[input]) return eg__step_broken(step, "input %u is missing", input);
    const struct eg_value *in = step->in[input];
    return eg__step_axis(step, eg__step_int(step, "axis", otherwise),
                         in->is_constant ? in->tensor.rank : in->rank, dimension);
}

/* ---- concat --------------------------------------------------------------------------- */

/* Do the two lie alike but for their length along `dimension`? */
static bool lie_alike(const struct eg_onnx *onnx, const struct eg_value *a, const struct eg_value *b,
                      unsigned dimension)
{
    if (a->rank != b->rank ||
        onnx->graph->nodes[a->node].shape.rank != onnx->graph->nodes[b->node].shape.rank)
        return false;
    for (unsigned d = 0; d < a->rank; d++) {
        const struct eg_dimension *x = &a->dim[d], *y = &b->dim[d];
        if (d == dimension) continue;
        if (x->n != y->n) return false;
        for (uint32_t k = 0; k < x->n; k++)
            if (x->part[k].axis != y->part[k].axis || x->part[k].extent != y->part[k].extent) return false;
    }
    return true;
}

/* All inputs as they are, if they lie alike and have the dimension as the same axis. */
static bool all_alike(struct eg_reading *step, unsigned dimension, uint32_t *axis)
{
    for (unsigned i = 0; i < step->n_in; i++) {
        struct eg_value *value;
        uint32_t own;
        if (!step->in[i] || step->in[i]->is_constant) return false;
        if (i >= EG_STEP_OWN && !eg__value_can_settle(step->onnx, step->in[i])) return false;
        if (eg__step_layer(step, i, &value)) return false;
        if (dimension >= value->rank || !eg__dimension_axis(step->onnx, value, dimension, &own)) return false;
        if (i && (own != *axis || !lie_alike(step->onnx, step->in[0], value, dimension))) return false;
        *axis = own;
    }
    return true;
}

/* The axis of a dimension of a layer that has the file's own order; false: it has images of the batch too. */
static bool natural_axis(const struct eg_value *value, unsigned dimension, uint32_t *axis)
{
    *axis = 0;
    if (dimension >= value->rank) return false;
    for (unsigned k = dimension + 1; k < value->rank; k++) *axis += !eg__dimension_is_batch(value, k);
    return !value->dim[dimension].n || value->dim[dimension].part[0].axis == *axis;
}

enum eg_status eg__lower_concat(struct eg_reading *step)
{
    struct eg_node node = {.op = EG_OP_CONCAT, .n_inputs = (uint32_t)step->n_in};
    struct eg_value first = {0}, next;
    unsigned dimension;
    uint32_t axis = 0, made, own;
    enum eg_status status = axis_of(step, 0, 1, &dimension);
    if (status) return status;
    const struct eg_value *like = NULL;
    for (unsigned i = 0; i < step->n_in; i++) {
        if (!step->in[i]) return eg__step_broken(step, "input %u is missing", i);
        if (!step->in[i]->is_constant && !like) like = step->in[i];
    }
    const bool alike = all_alike(step, dimension, &axis);
    for (unsigned i = 0; i < step->n_in; i++) {
        struct eg_value *value = step->in[i];
        if (alike)
            next = *value;
        else if (value->is_constant)
            status = eg__value_of_constant(step, value, like, &next);
        else
            status = eg__value_natural(step, value, &next);
        if (status) return status;
        if (!i) first = next;
        if (!alike && (!natural_axis(&next, dimension, &own) ||
                       (i && (own != axis || !lie_alike(step->onnx, &first, &next, dimension)))))
            return eg__step_refuse(step, "its inputs have different dimensions");
        if (!alike) axis = own;
        node.inputs[i] = next.node;
    }
    node.axis = (uint8_t)axis;
    status = eg__step_add(step, &node, &made);
    struct eg_value *out = eg__step_output(step, 0);
    if (status) return status;
    if (!out) return eg__step_memory(step);
    eg__value_set_along(step->onnx, out, made, &first, dimension, axis);
    return EG_OK;
}

/* ---- parts ------------------------------------------------------------------------------ */

struct along {
    struct eg_value value;
    unsigned dimension;
    uint32_t axis;
};

static enum eg_status add_slice(struct eg_reading *step, const struct along *at, size_t begin, size_t end,
                                struct eg_value *out)
{
    struct eg_node node = {.op = EG_OP_SLICE,
                           .n_inputs = 1,
                           .inputs = {at->value.node},
                           .begin = begin,
                           .end = end,
                           .axis = (uint8_t)at->axis};
    uint32_t made;
    enum eg_status status = eg__step_add(step, &node, &made);
    if (status || !out) return status;
    eg__value_set_along(step->onnx, out, made, &at->value, at->dimension, at->axis);
    return EG_OK;
}

static enum eg_status add_gather(struct eg_reading *step, const struct along *at, size_t n,
                                 const int64_t *places, struct eg_value *out)
{
    struct eg_node node = {
        .op = EG_OP_GATHER, .n_inputs = 1, .inputs = {at->value.node}, .axis = (uint8_t)at->axis};
    int32_t *numbers = eg__graph_memory(step->onnx->graph, n, sizeof *numbers);
    struct eg_tensor tensor = {.data = numbers, .dtype = EG_I32, .rank = 1, .dim = {n}, .stride = {1}};
    if (!numbers || !(node.params[0] = eg__graph_tensor(step->onnx->graph, &tensor)))
        return eg__step_memory(step);
    for (size_t i = 0; i < n; i++) numbers[i] = (int32_t)places[i];
    uint32_t made;
    enum eg_status status = eg__step_add(step, &node, &made);
    if (status || !out) return status;
    eg__value_set_along(step->onnx, out, made, &at->value, at->dimension, at->axis);
    return EG_OK;
}

enum eg_status eg__lower_split(struct eg_reading *step)
{
    int64_t sizes[EG_INPUTS_MAX];
    size_t n, parts = step->proto->n_output, begin = 0;
    struct eg_value *value;
    struct along at = {0};
    enum eg_status status = eg__step_ints(step, "split", 1, sizes, EG_INPUTS_MAX, &n);
    if (!status) status = axis_of(step, 0, 0, &at.dimension);
    if (!status) status = eg__step_along(step, 0, at.dimension, &value, &at.axis);
    if (status) return status;
    if (!parts || (n && n != parts)) return eg__step_broken(step, "%zu sizes for %zu outputs", n, parts);
    at.value = *value;
    const size_t c = eg__value_extent(step->onnx, value, at.dimension), even = (c + parts - 1) / parts;
    for (unsigned i = 0; i < parts; i++) {
        size_t size = n ? (size_t)sizes[i] : i + 1 < parts ? even : c - begin;
        if ((n && sizes[i] <= 0) || size > c - begin)
            return eg__step_broken(step, "its sizes do not add up to %zu", c);
        if ((status = add_slice(step, &at, begin, begin + size, eg__step_output(step, i)))) return status;
        begin += size;
    }
    return begin == c ? EG_OK : eg__step_broken(step, "its sizes do not add up to %zu", c);
}

/* One dimension's range: a slice, or places where the steps are not 1. */
static enum eg_status cut_range(struct eg_reading *step, const struct along *at, int64_t from, int64_t to,
                                int64_t stride, struct eg_value *out)
{
    const int64_t size = (int64_t)eg__value_extent(step->onnx, &at->value, at->dimension);
    if (from < 0) from += size;
    if (to < 0) to = to < -size ? -1 : to + size;
    if (stride > 0) {
        from = from < 0 ? 0 : from;
        to = to < 0 ? 0 : to > size ? size : to;
    } else {
        from = from >= size ? size - 1 : from;
    }
    if (stride == 1) {
        if (from >= to) return eg__step_broken(step, "it keeps nothing");
        return add_slice(step, at, (size_t)from, (size_t)to, out);
    }
    int64_t *places = eg__graph_memory(step->onnx->graph, (size_t)size, sizeof *places);
    if (!places) return eg__step_memory(step);
    size_t n = 0;
    for (int64_t i = from; i >= 0 && i < size && (stride > 0 ? i < to : i > to) && n < (size_t)size;) {
        places[n++] = i;
        if (__builtin_add_overflow(i, stride, &i)) break;
    }
    if (!n) return eg__step_broken(step, "it keeps nothing");
    return add_gather(step, at, n, places, out);
}

enum eg_status eg__step_slices(struct eg_reading *step, struct eg_slice_list *s)
{
    size_t n_ends, n_axes, n_steps;
    enum eg_status status = eg__step_ints(step, "starts", 1, s->starts, EG_RANK_MAX, &s->n);
    if (!status) status = eg__step_ints(step, "ends", 2, s->ends, EG_RANK_MAX, &n_ends);
    if (!status) status = eg__step_ints(step, "axes", 3, s->axes, EG_RANK_MAX, &n_axes);
    if (!status) status = eg__step_ints(step, "steps", 4, s->steps, EG_RANK_MAX, &n_steps);
    if (status) return status;
    if (s->n != n_ends || (n_axes && n_axes != s->n) || (n_steps && n_steps != s->n))
        return eg__step_broken(step, "starts, ends, axes and steps differ in number");
    for (size_t i = 0; i < s->n && !n_axes; i++) s->axes[i] = (int64_t)i;
    for (size_t i = 0; i < s->n && !n_steps; i++) s->steps[i] = 1;
    return EG_OK;
}

enum eg_status eg__lower_slice(struct eg_reading *step)
{
    struct eg_slice_list s;
    enum eg_status status = eg__step_slices(step, &s);
    if (status) return status;
    struct eg_value *value, partial;
    struct eg_reading part = *step;
    char label[300];
    unsigned cuts = 0, left = 0;
    if ((status = eg__step_layer(step, 0, &value))) return status;
    partial = *value;
    for (unsigned pass = 0; pass < 2; pass++)
        for (unsigned i = 0; i < s.n; i++) {
            struct along at;
            if ((status = eg__step_axis(step, s.axes[i], partial.rank, &at.dimension))) return status;
            const int64_t stride = s.steps[i],
                          size = (int64_t)eg__value_extent(step->onnx, &partial, at.dimension);
            if (!stride) return eg__step_broken(step, "a step of 0");
            const bool batch = eg__dimension_is_batch(&partial, at.dimension);
            if (stride == 1 && (s.starts[i] == 0 || s.starts[i] <= -size) &&
                (s.ends[i] >= size || (batch && s.ends[i])))
                continue; /* all of it */
            if (!pass) {
                cuts++;
                continue;
            }
            if (batch) return eg__step_refuse(step, "it takes images out of a batch");
            snprintf(label, sizeof label, "%.250s/%u", step->label, left);
            part.label = ++left == cuts ? step->label : label;
            part.in[0] = &partial;
            if ((status = eg__step_along(&part, 0, at.dimension, &value, &at.axis))) return status;
            at.value = *value;
            if ((status = cut_range(&part, &at, s.starts[i], s.ends[i], stride, &partial))) return status;
        }
    if (!cuts) return eg__lower_identity(step);
    struct eg_value *out = eg__step_output(step, 0);
    if (!out) return eg__step_memory(step);
    partial.name = out->name;
    partial.is_defined = true;
    *out = partial;
    return EG_OK;
}

/* Constant places along a dimension; one place, no list of one, drops the dimension. */
enum eg_status eg__lower_gather(struct eg_reading *step)
{
    struct eg_value *value;
    struct along at;
    if (step->n_in < 2 || !step->in[1] || !step->in[1]->is_constant)
        return eg__step_refuse(step, "the places it picks are computed from the image");
    const struct eg_tensor *index = &step->in[1]->tensor;
    enum eg_status status = axis_of(step, 0, 0, &at.dimension);
    if (status) return status;
    const int64_t size = (int64_t)eg__value_extent(step->onnx, step->in[0], at.dimension);
    const size_t n = eg__tensor_count(index);
    if (index->rank > 1 || !n || n > (size_t)1 << 24)
        return eg__step_refuse(step, "it picks by a table of %u dimensions", index->rank);
    int64_t *places = eg__graph_memory(step->onnx->graph, n, sizeof *places);
    if (!places) return eg__step_memory(step);
    for (size_t i = 0; i < n; i++) {
        places[i] = eg__tensor_int_at(index, i);
        if (places[i] < -size || places[i] >= size)
            return eg__step_broken(step, "place %lld of %lld", (long long)places[i], (long long)size);
        if (places[i] < 0) places[i] += size;
    }
    if ((status = eg__step_along(step, 0, at.dimension, &value, &at.axis))) return status;
    at.value = *value;
    struct eg_value *out = eg__step_output(step, 0);
    if (!out) return eg__step_memory(step);
    if (n == 1)
        status = add_slice(step, &at, (size_t)places[0], (size_t)places[0] + 1, out);
    else
        status = add_gather(step, &at, n, places, out);
    if (!status && !index->rank) eg__value_drop(out, at.dimension);
    return status;
}

/* ---- reductions ---------------------------------------------------------------------------- */

static const struct {
    const char *op;
    enum eg_op first, reduce, last; /* IDENTITY: nothing before, nothing behind */
} reductions[] = {
    {"ReduceSum", EG_OP_IDENTITY, EG_OP_REDUCE_SUM, EG_OP_IDENTITY},
    {"ReduceMean", EG_OP_IDENTITY, EG_OP_REDUCE_MEAN, EG_OP_IDENTITY},
    {"ReduceMax", EG_OP_IDENTITY, EG_OP_REDUCE_MAX, EG_OP_IDENTITY},
    {"ReduceMin", EG_OP_IDENTITY, EG_OP_REDUCE_MIN, EG_OP_IDENTITY},
    {"ReduceProd", EG_OP_IDENTITY, EG_OP_REDUCE_PROD, EG_OP_IDENTITY},
    {"ReduceL1", EG_OP_ABS, EG_OP_REDUCE_SUM, EG_OP_IDENTITY},
    {"ReduceL2", EG_OP_MUL, EG_OP_REDUCE_SUM, EG_OP_SQRT},
    {"ReduceSumSquare", EG_OP_MUL, EG_OP_REDUCE_SUM, EG_OP_IDENTITY},
    {"ReduceLogSum", EG_OP_IDENTITY, EG_OP_REDUCE_SUM, EG_OP_LOG},
};

/* Which dimensions go, as a mask. */
static enum eg_status find_reduced(struct eg_reading *step, unsigned rank, unsigned *reduced)
{
    int64_t axes[EG_RANK_MAX];
    size_t n;
    unsigned index;
    enum eg_status status = eg__step_ints(step, "axes", 1, axes, EG_RANK_MAX, &n);
    *reduced = 0;
    for (size_t i = 0; i < n && !status; i++) {
        status = eg__step_axis(step, axes[i], rank, &index);
        if (!status) *reduced |= 1u << index;
    }
    if (!n && !eg__step_int(step, "noop_with_empty_axes", 0)) *reduced = (1u << rank) - 1;
    return status;
}

/* Over all pixels of a map (or all tokens), for which there are faster layers? */
static bool is_over_pixels(const struct eg_onnx *onnx, const struct eg_value *value, unsigned reduced)
{
    const struct eg_shape shape = onnx->graph->nodes[value->node].shape;
    unsigned over = 0;
    for (unsigned i = 0; i < value->rank; i++)
        for (uint32_t k = 0; k < value->dim[i].n && reduced & 1u << i; k++)
            over |= 1u << value->dim[i].part[k].axis;
    if (shape.rank > 3 || over & (1u << EG_AXIS_C | 1u << EG_AXIS_N)) return false;
    for (unsigned axis = 1; axis < shape.rank; axis++)
        if (shape.dim[shape.rank - 1 - axis] > 1 && !(over & 1u << axis)) return false;
    return true;
}

/* The reduced dimensions together as the channels. */
static enum eg_status bring_last(struct eg_reading *step, unsigned reduced, struct eg_value *made)
{
    struct eg_value *in;
    uint8_t order[EG_RANK_MAX];
    unsigned kept = 0, n = 0;
    uint32_t axis;
    enum eg_status status = eg__step_layer(step, 0, &in);
    if (status) return status;
    for (unsigned i = 0; i < in->rank; i++)
        if (!(reduced & 1u << i)) order[kept++] = (uint8_t)i;
    n = kept;
    for (unsigned i = 0; i < in->rank; i++)
        if (reduced & 1u << i) order[n++] = (uint8_t)i;
    unsigned single = 0, sides = 0;
    for (unsigned i = 0; i < in->rank; i++)
        if (reduced & 1u << i && (in->dim[i].n || !sides)) {
            sides += in->dim[i].n > 0;
            single = i;
        }
    if (sides <= 1 && eg__dimension_axis(step->onnx, in, single, &axis) && axis == EG_AXIS_C) {
        *made = *in;
        return EG_OK;
    }
    return eg__value_arrange(step, in, order, kept, made);
}

/* x before it is reduced. */
static enum eg_status add_first(struct eg_reading *step, enum eg_op op, uint32_t *index)
{
    if (op == EG_OP_IDENTITY) return EG_OK;
    if (op != EG_OP_MUL) return eg__step_add_part(step, op, *index, NULL, index);
    struct eg_node square = {.op = EG_OP_MUL, .n_inputs = 2, .inputs = {*index, *index}};
    struct eg_reading part = *step;
    char label[300];
    snprintf(label, sizeof label, "%.250s/square", step->label);
    part.label = label;
    return eg__step_add(&part, &square, index);
}

enum eg_status eg__lower_reduce(struct eg_reading *step)
{
    size_t row = 0;
    unsigned reduced;
    struct eg_value *in, made;
    while (strcmp(reductions[row].op, step->proto->op_type)) row++;
    enum eg_status status = eg__step_layer(step, 0, &in);
    if (!status) status = find_reduced(step, in->rank, &reduced);
    if (status) return status;
    if (!reduced) return eg__lower_identity(step);
    for (unsigned i = 0; i < in->rank; i++)
        for (uint32_t k = 0; k < in->dim[i].n && reduced & 1u << i; k++)
            if (in->dim[i].part[k].axis == EG_AXIS_N)
                return eg__step_refuse(step, "it works across the images of a batch");
    struct eg_node node = {.op = reductions[row].reduce, .n_inputs = 1};
    const bool pixels = is_over_pixels(step->onnx, in, reduced);
    if (pixels && node.op == EG_OP_REDUCE_MEAN)
        node.op = EG_OP_GLOBAL_AVG;
    else if (pixels && node.op == EG_OP_REDUCE_MAX)
        node.op = EG_OP_GLOBAL_MAX;
    if (node.op == reductions[row].reduce)
        status = bring_last(step, reduced, &made);
    else
        made = *in;
    if (!status) status = add_first(step, reductions[row].first, &made.node);
    node.inputs[0] = made.node;
    const bool more = reductions[row].last != EG_OP_IDENTITY;
    if (!status && more) status = eg__step_add_part(step, node.op, made.node, NULL, &made.node);
    if (more) node = (struct eg_node){.op = reductions[row].last, .n_inputs = 1, .inputs = {made.node}};
    if (!status) status = eg__step_add(step, &node, &made.node);
    if (status) return status;
    const bool keep = eg__step_int(step, "keepdims", 1) != 0;
    for (unsigned i = made.rank; i-- > 0;) {
        if (!(reduced & 1u << i)) continue;
        made.dim[i].n = 0;
        if (!keep) eg__value_drop(&made, i);
    }
    struct eg_value *out = eg__step_output(step, 0);
    if (!out) return eg__step_memory(step);
    made.name = out->name;
    made.natural = 0;
    made.is_defined = true;
    *out = made;
    return EG_OK;
}

/* ---- what keeps the shape -------------------------------------------------------------------- */

enum eg_status eg__lower_softmax(struct eg_reading *step)
{
    struct eg_value *in;
    unsigned dimension;
    const bool old = step->onnx->opset < 13; /* over all dimensions from the axis on */
    enum eg_status status = axis_of(step, 0, old ? 1 : -1, &dimension);
    if (status) return status;
    unsigned above = 0;
    for (unsigned i = dimension; old && i < step->in[0]->rank; i++)
        if (eg__value_extent(step->onnx, step->in[0], i) > 1) {
            above++;
            dimension = i;
        }
    if (above > 1) return eg__step_refuse(step, "it runs along %u dimensions at once", above);
    status = eg__step_last(step, 0, dimension, &in);
    struct eg_node node = {.op = EG_OP_SOFTMAX};
    return status ? status : eg__step_add_like(step, &node, in);
}

enum eg_status eg__lower_arg_max(struct eg_reading *step)
{
    struct eg_value *in;
    unsigned dimension;
    enum eg_status status = axis_of(step, 0, 0, &dimension);
    if (!status) status = eg__step_last(step, 0, dimension, &in);
    if (status) return status;
    if (eg__step_int(step, "select_last_index", 0))
        return eg__step_refuse(step, "engraft's finds the first of the largest only");
    struct eg_node node = {.op = EG_OP_ARG_MAX};
    status = eg__step_add_like(step, &node, in);
    struct eg_value *out = eg__step_output(step, 0);
    if (status) return status;
    if (!out) return eg__step_memory(step);
    out->dim[dimension].n = 0;
    if (!eg__step_int(step, "keepdims", 1)) eg__value_drop(out, dimension);
    return EG_OK;
}
