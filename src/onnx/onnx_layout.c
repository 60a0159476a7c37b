/* onnx_layout.c: nodes that only move, join, split or drop dimensions, and those that act
 * along one of them. A Reshape or Transpose costs nothing here: it regroups the parts of the
 * value's dimensions, and a layer is made only where the result is a vector of an image
 * (FLATTEN) or a channel shuffle. */
#include <string.h>

#include "base/mem.h"
#include "onnx/onnx_private.h"

/* Join neighbouring parts that are one run along their axis. */
static void merge_parts(struct eg_dimension *dim)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < dim->n; i++) {
        struct eg_part *last = n ? &dim->part[n - 1] : NULL, *next = &dim->part[i];
        if (last && last->axis == next->axis && last->stride == next->stride * next->extent) {
            last->extent *= next->extent;
            last->stride = next->stride;
        } else {
            dim->part[n++] = *next;
        }
    }
    dim->n = n;
}

/* Deal the parts of `value`, in order, to dimensions of the sizes asked for. */
static enum eg_status regroup(struct eg_reading *step, struct eg_value *value, const size_t *size,
                              unsigned rank)
{
    enum { MOST = EG_RANK_MAX * EG_PARTS_MAX };
    struct eg_part part[MOST + 1];
    uint32_t n = 0, next = 0;
    for (unsigned i = 0; i < value->rank; i++)
        for (uint32_t k = 0; k < value->dim[i].n; k++) part[n++] = value->dim[i].part[k];
    for (unsigned i = 0; i < rank; i++) {
        struct eg_dimension *dim = &value->dim[i];
        size_t have = 1;
        dim->n = 0;
        /* a part of 1 can only be the batch: it goes to the first dimension that comes */
        while (next < n && (have < size[i] || part[next].extent == 1)) {
            if (have == size[i] && dim->n) break;
            size_t need = size[i] / have;
            if (dim->n == EG_PARTS_MAX) return eg__step_refuse(step, "this reshape is too intricate");
            struct eg_part *taken = &dim->part[dim->n];
            if (part[next].extent <= need) {
                if (need % part[next].extent)
                    return eg__step_refuse(step, "this reshape splits rows or channels unevenly");
                *taken = part[next++];
            } else {
                if (part[next].extent % need)
                    return eg__step_refuse(step, "this reshape splits rows or channels unevenly");
                size_t inner = part[next].extent / need;
                *taken = (struct eg_part){part[next].axis, need, part[next].stride * inner};
                part[next].extent = inner;
            }
            have *= taken->extent;
            dim->n++;
        }
        if (have != size[i]) return eg__step_broken(step, "its shape does not fit its input");
        merge_parts(dim);
    }
    if (next < n) return eg__step_broken(step, "its shape does not fit its input");
    value->rank = rank;
    return EG_OK;
}

/* Output 0 has the dimensions of `made`: a FLATTEN or CHANNEL_SHUFFLE under this node's name
 * if that is what they ask for, else another name of the same layer. */
static enum eg_status finish(struct eg_reading *step, struct eg_value *made)
{
    struct eg_value *out = eg__step_output(step, 0);
    if (!out) return eg__step_memory(step);
    made->name = out->name;
    enum eg_status status = EG_OK;
    uint32_t before = step->onnx->graph->n_nodes;
    if (eg__value_can_settle(step->onnx, made)) status = eg__value_settle(step, made, step->label);
    if (status) return status;
    made->is_defined = true;
    *out = *made;
    return step->onnx->graph->n_nodes == before ? eg__step_alias(step, out) : EG_OK;
}

/* Input 0 as it is, not settled. */
static enum eg_status raw_layer(struct eg_reading *step, struct eg_value *copy)
{
    if (!step->n_in || !step->in[0]) return eg__step_broken(step, "input 0 is missing");
    *copy = *step->in[0];
    return EG_OK;
}

enum eg_status eg__lower_identity(struct eg_reading *step)
{
    struct eg_value made;
    enum eg_status status = raw_layer(step, &made);
    struct eg_value *out = eg__step_output(step, 0);
    if (status) return status;
    if (!out) return eg__step_memory(step);
    made.name = out->name;
    *out = made;
    return eg__step_alias(step, out);
}

enum eg_status eg__lower_reshape(struct eg_reading *step)
{
    int64_t shape[EG_RANK_MAX];
    size_t n, size[EG_RANK_MAX], total = 1, known = 1;
    unsigned free_dim = EG_RANK_MAX;
    struct eg_value made;
    enum eg_status status = raw_layer(step, &made);
    if (!status) status = eg__step_ints(step, "shape", 1, shape, EG_RANK_MAX, &n);
    if (status) return status;
    for (unsigned i = 0; i < made.rank; i++) total *= eg__value_extent(step->onnx, &made, i);
    for (unsigned i = 0; i < n; i++) {
        if (shape[i] == -1 && free_dim == EG_RANK_MAX) {
            free_dim = i;
            continue;
        }
        if (shape[i] == 0 && !eg__step_int(step, "allowzero", 0) && i < made.rank)
            size[i] = eg__value_extent(step->onnx, &made, i);
        else if (shape[i] > 0 && (uint64_t)shape[i] <= total)
            size[i] = (size_t)shape[i];
        else
            return eg__step_broken(step, "dimension %u of its shape is %lld", i, (long long)shape[i]);
        if (!eg__mul(known, size[i], &known)) return eg__step_broken(step, "its shape overflows");
    }
    if (free_dim < EG_RANK_MAX) {
        if (total % known) return eg__step_broken(step, "its shape does not fit its input");
        size[free_dim] = total / known;
        known = total;
    }
    if (known != total)
        return eg__step_broken(step, "its shape holds %zu numbers, its input %zu", known, total);
    status = regroup(step, &made, size, (unsigned)n);
    return status ? status : finish(step, &made);
}

enum eg_status eg__lower_flatten(struct eg_reading *step)
{
    struct eg_value made;
    enum eg_status status = raw_layer(step, &made);
    if (status) return status;
    unsigned axis;
    int64_t wanted = eg__step_int(step, "axis", 1);
    if (wanted == (int64_t)made.rank)
        axis = made.rank;
    else if ((status = eg__step_axis(step, wanted, made.rank, &axis)))
        return status;
    size_t size[2] = {1, 1};
    for (unsigned i = 0; i < made.rank; i++) size[i >= axis] *= eg__value_extent(step->onnx, &made, i);
    if ((status = regroup(step, &made, size, 2))) return status;
    if (!eg__value_is_plain(step->onnx, &made)) return finish(step, &made);
    struct eg_node node = {.op = EG_OP_FLATTEN, .n_inputs = 1, .inputs = {made.node}, .order_chw = true};
    status = eg__step_add(step, &node, &made.node);
    struct eg_value *out = eg__step_output(step, 0);
    if (status) return status;
    if (!out) return eg__step_memory(step);
    eg__value_set_like(step->onnx, out, made.node, &made, -1);
    return EG_OK;
}

enum eg_status eg__lower_transpose(struct eg_reading *step)
{
    int64_t perm[EG_RANK_MAX];
    size_t n;
    struct eg_value in, made;
    enum eg_status status = raw_layer(step, &in);
    if (!status) status = eg__step_ints(step, "perm", EG_INPUTS_MAX, perm, EG_RANK_MAX, &n);
    if (status) return status;
    if (n && n != in.rank) return eg__step_broken(step, "%zu axes for %u dimensions", n, in.rank);
    made = in;
    unsigned seen = 0;
    for (unsigned i = 0; i < in.rank; i++) {
        unsigned from = in.rank - 1 - i;
        if (n && (status = eg__step_axis(step, perm[i], in.rank, &from))) return status;
        if (seen & 1u << from) return eg__step_broken(step, "axis %u twice", from);
        seen |= 1u << from;
        made.dim[i] = in.dim[from];
    }
    return finish(step, &made);
}

enum eg_status eg__lower_squeeze(struct eg_reading *step)
{
    int64_t axes[EG_RANK_MAX];
    size_t n;
    struct eg_value made;
    enum eg_status status = raw_layer(step, &made);
    if (!status) status = eg__step_ints(step, "axes", 1, axes, EG_RANK_MAX, &n);
    if (status) return status;
    unsigned drop = 0, kept = 0, index;
    for (size_t i = 0; i < n; i++) {
        if ((status = eg__step_axis(step, axes[i], made.rank, &index))) return status;
        drop |= 1u << index;
    }
    for (unsigned i = 0; i < made.rank; i++)
        if (!n && !made.dim[i].n) drop |= 1u << i;
    for (unsigned i = 0; i < made.rank; i++) {
        if (drop & 1u << i) {
            if (made.dim[i].n) return eg__step_refuse(step, "dimension %u is not a side of 1", i);
            continue;
        }
        made.dim[kept++] = made.dim[i];
    }
    made.rank = kept;
    return finish(step, &made);
}

enum eg_status eg__lower_unsqueeze(struct eg_reading *step)
{
    int64_t axes[EG_RANK_MAX];
    size_t n;
    struct eg_value in, made;
    enum eg_status status = raw_layer(step, &in);
    if (!status) status = eg__step_ints(step, "axes", 1, axes, EG_RANK_MAX, &n);
    if (status) return status;
    unsigned rank = in.rank + (unsigned)n, added = 0, index;
    if (rank > EG_RANK_MAX) return eg__step_refuse(step, "%u dimensions", rank);
    for (size_t i = 0; i < n; i++) {
        if ((status = eg__step_axis(step, axes[i], rank, &index))) return status;
        if (added & 1u << index) return eg__step_broken(step, "axis %u twice", index);
        added |= 1u << index;
    }
    made = in;
    made.rank = rank;
    for (unsigned i = 0, from = 0; i < rank; i++) {
        if (added & 1u << i)
            made.dim[i].n = 0;
        else
            made.dim[i] = in.dim[from++];
    }
    return finish(step, &made);
}

/* ---- along one dimension ----------------------------------------------------------- */

/* The dimension of `axis`, which must be that of the channels. */
static enum eg_status channel_dimension(struct eg_reading *step, const struct eg_value *value, int64_t axis,
                                        unsigned *index)
{
    enum eg_status status = eg__step_axis(step, axis, value->rank, index);
    if (status) return status;
    if (!eg__dimension_is(step->onnx, value, *index, EG_AXIS_C))
        return eg__step_refuse(step, "it works along dimension %u, engraft does so along the channels only",
                               *index);
    return EG_OK;
}

enum eg_status eg__lower_concat(struct eg_reading *step)
{
    struct eg_node node = {.op = EG_OP_CONCAT, .n_inputs = (uint32_t)step->n_in};
    struct eg_value *first = NULL;
    unsigned axis = 0, index;
    enum eg_status status;
    for (unsigned i = 0; i < step->n_in; i++) {
        struct eg_value *value;
        if ((status = eg__step_layer(step, i, &value))) return status;
        if ((status = channel_dimension(step, value, eg__step_int(step, "axis", 1), &index))) return status;
        if (first && (index != axis || value->rank != first->rank))
            return eg__step_refuse(step, "its inputs have different dimensions");
        if (!first) first = value;
        axis = index;
        for (unsigned d = 0; d < value->rank; d++) {
            const struct eg_dimension *a = &value->dim[d], *b = &first->dim[d];
            if (d != axis && (a->n != b->n || (a->n && a->part[0].axis != b->part[0].axis)))
                return eg__step_refuse(step, "its inputs have their dimensions in different orders");
        }
        node.inputs[i] = value->node;
    }
    uint32_t made;
    status = eg__step_add(step, &node, &made);
    struct eg_value *out = eg__step_output(step, 0);
    if (status) return status;
    if (!out) return eg__step_memory(step);
    eg__value_set_like(step->onnx, out, made, first, (int)axis);
    return EG_OK;
}

static enum eg_status add_slice(struct eg_reading *step, const struct eg_value *value, unsigned axis,
                                size_t begin, size_t end, unsigned output)
{
    struct eg_node node = {
        .op = EG_OP_SLICE, .n_inputs = 1, .inputs = {value->node}, .begin = begin, .end = end};
    uint32_t made;
    struct eg_value like = *value;
    enum eg_status status = eg__step_add(step, &node, &made);
    struct eg_value *out = eg__step_output(step, output);
    if (status || !out) return status;
    eg__value_set_like(step->onnx, out, made, &like, (int)axis);
    return EG_OK;
}

enum eg_status eg__lower_split(struct eg_reading *step)
{
    int64_t sizes[EG_INPUTS_MAX];
    size_t n, parts = step->proto->n_output, begin = 0;
    struct eg_value *value;
    unsigned axis;
    enum eg_status status = eg__step_layer(step, 0, &value);
    if (!status) status = eg__step_ints(step, "split", 1, sizes, EG_INPUTS_MAX, &n);
    if (!status) status = channel_dimension(step, value, eg__step_int(step, "axis", 0), &axis);
    if (status) return status;
    if (!parts || (n && n != parts)) return eg__step_broken(step, "%zu sizes for %zu outputs", n, parts);
    size_t c = eg__map(step->onnx->graph->nodes[value->node].shape).c, even = (c + parts - 1) / parts;
    struct eg_value source = *value;
    for (unsigned i = 0; i < parts; i++) {
        size_t size = n ? (size_t)sizes[i] : i + 1 < parts ? even : c - begin;
        if ((n && sizes[i] <= 0) || size > c - begin)
            return eg__step_broken(step, "its sizes do not add up to %zu channels", c);
        if ((status = add_slice(step, &source, axis, begin, begin + size, i))) return status;
        begin += size;
    }
    return begin == c ? EG_OK : eg__step_broken(step, "its sizes do not add up to %zu channels", c);
}

enum eg_status eg__lower_slice(struct eg_reading *step)
{
    int64_t starts[EG_RANK_MAX], ends[EG_RANK_MAX], axes[EG_RANK_MAX], steps[EG_RANK_MAX];
    size_t n, n_ends, n_axes, n_steps, begin = 0, end = 0;
    struct eg_value *value;
    unsigned channels = EG_RANK_MAX;
    enum eg_status status = eg__step_layer(step, 0, &value);
    if (!status) status = eg__step_ints(step, "starts", 1, starts, EG_RANK_MAX, &n);
    if (!status) status = eg__step_ints(step, "ends", 2, ends, EG_RANK_MAX, &n_ends);
    if (!status) status = eg__step_ints(step, "axes", 3, axes, EG_RANK_MAX, &n_axes);
    if (!status) status = eg__step_ints(step, "steps", 4, steps, EG_RANK_MAX, &n_steps);
    if (status) return status;
    if (n != n_ends || (n_axes && n_axes != n) || (n_steps && n_steps != n))
        return eg__step_broken(step, "starts, ends, axes and steps differ in number");
    for (unsigned i = 0; i < n; i++) {
        unsigned axis;
        if ((status = eg__step_axis(step, n_axes ? axes[i] : i, value->rank, &axis))) return status;
        if (n_steps && steps[i] != 1) return eg__step_refuse(step, "a step of %lld", (long long)steps[i]);
        int64_t size = (int64_t)eg__value_extent(step->onnx, value, axis), from = starts[i], to = ends[i];
        if (from < 0) from = from < -size ? 0 : from + size;
        if (to < 0) to = to < -size ? 0 : to + size;
        if (to > size) to = size;
        bool is_batch = value->dim[axis].n && value->dim[axis].part[0].axis == EG_AXIS_N;
        if (from == 0 && (to == size || (is_batch && to > 0))) continue; /* all of it */
        if (!eg__dimension_is(step->onnx, value, axis, EG_AXIS_C) || channels != EG_RANK_MAX)
            return eg__step_refuse(step, "it cuts dimension %u, engraft cuts channels only", axis);
        if (from >= to) return eg__step_broken(step, "it keeps nothing");
        channels = axis;
        begin = (size_t)from;
        end = (size_t)to;
    }
    if (channels == EG_RANK_MAX) return eg__lower_identity(step);
    return add_slice(step, value, channels, begin, end, 0);
}

/* One channel, the dimension dropped. */
enum eg_status eg__lower_gather(struct eg_reading *step)
{
    struct eg_value *value;
    unsigned axis;
    enum eg_status status = eg__step_layer(step, 0, &value);
    if (!status) status = channel_dimension(step, value, eg__step_int(step, "axis", 0), &axis);
    if (status) return status;
    if (step->n_in < 2 || !step->in[1] || !step->in[1]->is_constant || step->in[1]->tensor.rank)
        return eg__step_refuse(step, "it picks more than one channel, or not a constant one");
    int64_t index = eg__tensor_int_at(&step->in[1]->tensor, 0);
    int64_t c = (int64_t)eg__map(step->onnx->graph->nodes[value->node].shape).c;
    if (index < -c || index >= c)
        return eg__step_broken(step, "channel %lld of %lld", (long long)index, (long long)c);
    if (index < 0) index += c;
    if ((status = add_slice(step, value, axis, (size_t)index, (size_t)index + 1, 0))) return status;
    struct eg_value *out = eg__step_output(step, 0);
    if (!out) return eg__step_memory(step);
    memmove(&out->dim[axis], &out->dim[axis + 1], (out->rank - 1 - axis) * sizeof out->dim[0]);
    out->rank--;
    return EG_OK;
}

/* Mean, sum or maximum over the pixels, or over the channels. */
enum eg_status eg__lower_reduce(struct eg_reading *step)
{
    int64_t axes[EG_RANK_MAX];
    size_t n;
    struct eg_value made;
    const char *op = step->proto->op_type;
    enum eg_status status = raw_layer(step, &made);
    if (!status) status = eg__step_ints(step, "axes", 1, axes, EG_RANK_MAX, &n);
    if (status) return status;
    unsigned reduced = 0, over = 0, index, kept = 0;
    for (size_t i = 0; i < n; i++) {
        if ((status = eg__step_axis(step, axes[i], made.rank, &index))) return status;
        reduced |= 1u << index;
    }
    if (!n && !eg__step_int(step, "noop_with_empty_axes", 0)) reduced = ~0u;
    size_t h = 1, w = 1, c = 1;
    for (unsigned i = 0; i < made.rank; i++) {
        for (uint32_t k = 0; k < made.dim[i].n && reduced & 1u << i; k++) {
            const struct eg_part *part = &made.dim[i].part[k];
            over |= 1u << part->axis;
            *(part->axis == EG_AXIS_H ? &h : part->axis == EG_AXIS_W ? &w : &c) *= part->extent;
        }
    }
    struct eg_map shape = eg__map(step->onnx->graph->nodes[made.node].shape);
    bool pixels = !(over & (1u << EG_AXIS_C | 1u << EG_AXIS_N)) && h == shape.h && w == shape.w;
    bool channels = over == 1u << EG_AXIS_C && c == shape.c;
    struct eg_node node = {.n_inputs = 1, .inputs = {made.node}};
    if (!strcmp(op, "ReduceMean") && pixels)
        node.op = EG_OP_GLOBAL_AVG;
    else if (!strcmp(op, "ReduceMax") && pixels)
        node.op = EG_OP_GLOBAL_MAX;
    else if (channels)
        node.op = op[6] == 'S'                ? EG_OP_REDUCE_SUM
                  : !strcmp(op, "ReduceMean") ? EG_OP_REDUCE_MEAN
                                              : EG_OP_REDUCE_MAX;
    else
        return eg__step_refuse(step, "engraft reduces over all pixels or all channels only");
    bool keep = eg__step_int(step, "keepdims", 1) != 0;
    for (unsigned i = 0; i < made.rank; i++) {
        if (reduced & 1u << i) made.dim[i].n = 0;
        if (keep || !(reduced & 1u << i)) made.dim[kept++] = made.dim[i];
    }
    made.rank = kept;
    status = eg__step_add(step, &node, &made.node);
    struct eg_value *out = eg__step_output(step, 0);
    if (status) return status;
    if (!out) return eg__step_memory(step);
    made.name = out->name;
    *out = made;
    return EG_OK;
}
