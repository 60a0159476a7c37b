/* onnx_layout.c: nodes that only move, join, split or drop dimensions. A Reshape or Transpose costs nothing
 * here: it regroups the parts of the value's dimensions, and a layer is made only where the result is a
 * vector of an image (FLATTEN) or a channel shuffle. */
#include <stdio.h>
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

/* The batch of one as part k of a dimension. */
static enum eg_status join_batch(struct eg_reading *step, struct eg_dimension *dim, uint32_t k)
{
    if (dim->n == EG_PARTS_MAX) return eg__step_refuse(step, "this reshape is too intricate");
    memmove(dim->part + k + 1, dim->part + k, (dim->n++ - k) * sizeof *dim->part);
    dim->part[k] = (struct eg_part){EG_AXIS_N, 1, 1};
    return EG_OK;
}

/* Fill one dimension of `size` with parts of the list, from *next on. */
static enum eg_status deal(struct eg_reading *step, struct eg_part *part, uint32_t n, uint32_t *next,
                           size_t size, struct eg_dimension *dim)
{
    size_t have = 1;
    dim->n = 0;
    while (*next < n && have < size) {
        const size_t need = size / have;
        if (dim->n == EG_PARTS_MAX) return eg__step_refuse(step, "this reshape is too intricate");
        struct eg_part *taken = &dim->part[dim->n], *from = &part[*next];
        if (need % from->extent && from->extent % need)
            return eg__step_refuse(step, "this reshape splits rows or channels unevenly");
        *taken = *from;
        if (from->extent <= need) {
            ++*next;
        } else {
            from->extent /= need;
            *taken = (struct eg_part){from->axis, need, from->stride * from->extent};
        }
        have *= taken->extent;
        dim->n++;
    }
    if (have != size) return eg__step_broken(step, "its shape does not fit its input");
    merge_parts(dim);
    return EG_OK;
}

/* Deal the parts of `value`, in order, to dimensions of the sizes asked for. A batch of one is in nobody's
 * way: it is the dimension of 1 in its place, else the first if that is one, else it goes with what follows
 * it. */
static enum eg_status regroup(struct eg_reading *step, struct eg_value *value, const size_t *size,
                              unsigned rank)
{
    struct eg_part part[EG_RANK_MAX * EG_PARTS_MAX];
    uint32_t n = 0, next = 0, before = UINT32_MAX;
    unsigned with = 0;
    bool found = false, alone = false;
    for (unsigned i = 0; i < value->rank; i++)
        for (uint32_t k = 0; k < value->dim[i].n; k++) {
            part[n] = value->dim[i].part[k];
            if (part[n].extent > 1)
                n++;
            else
                before = n; /* a part of 1 can only be that */
        }
    const size_t whole = before < n ? part[before].extent : 1;
    value->rank = rank;
    for (unsigned i = 0; i < rank; i++) {
        const bool begun = before < n && part[before].extent != whole, here = next == before && !begun;
        enum eg_status status = deal(step, part, n, &next, size[i], &value->dim[i]);
        if (status) return status;
        if (found) continue;
        with = i;
        alone = here && size[i] == 1;
        found = alone || next > before || (before < n && part[before].extent != whole);
    }
    if (next < n) return eg__step_broken(step, "its shape does not fit its input");
    if (before == UINT32_MAX) return EG_OK;
    if (!rank) return eg__step_broken(step, "its shape does not fit its input");
    if (!alone && size[0] == 1) return join_batch(step, &value->dim[0], 0);
    if (!alone && with && with + 1 == rank) /* what is last is to be worked along */
        return join_batch(step, &value->dim[with - 1], value->dim[with - 1].n);
    return join_batch(step, &value->dim[with], 0);
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
    const bool added = step->onnx->graph->n_nodes != before;
    made->label = NULL;
    if (!added && !eg__value_names_layer(step->onnx, made)) {
        made->label = eg__graph_string(step->onnx->graph, step->label);
        if (!made->label) return eg__step_memory(step);
    }
    *out = *made;
    return added || made->label ? EG_OK : eg__step_alias(step, out);
}

/* Input 0 as it is, not settled. */
static enum eg_status raw_layer(struct eg_reading *step, struct eg_value *copy)
{
    if (!step->n_in || !step->in[0]) return eg__step_broken(step, "input 0 is missing");
    if (step->in[0]->is_constant)
        return eg__step_refuse(step, "input 0 is a constant where a layer is expected");
    *copy = *step->in[0];
    copy->natural = 0;
    return EG_OK;
}

/* The same over a layer of one axis, whatever the order before. */
static enum eg_status as_one_axis(struct eg_reading *step, struct eg_value *value)
{
    struct eg_value made;
    enum eg_status status = eg__value_natural(step, step->in[0], &made);
    if (status) return status;
    const bool batch = made.rank && made.dim[0].n && made.dim[0].part[0].axis == EG_AXIS_N;
    const size_t count = eg__shape_count(step->onnx->graph->nodes[made.node].shape);
    for (unsigned i = batch ? 1 : 0; i < made.rank; i++)
        if (made.dim[i].n && made.dim[i].part[0].axis == EG_AXIS_N)
            return eg__step_refuse(step, "it works across the images of a batch");
    struct eg_node node = {.op = EG_OP_RESHAPE, .to = {1, {count}}, .n_inputs = 1, .inputs = {made.node}};
    char name[300];
    snprintf(name, sizeof name, "%.250s/flat", step->label);
    node.name = name;
    status = eg__graph_add(step->onnx->graph, &node, &made.node, step->onnx->err);
    made.natural = 0;
    made.is_array = true;
    made.rank = 1;
    made.dim[0].n = 0;
    if (batch) made.dim[0].part[made.dim[0].n++] = (struct eg_part){EG_AXIS_N, step->onnx->batch, 1};
    if (count > 1) made.dim[0].part[made.dim[0].n++] = (struct eg_part){EG_AXIS_C, count, 1};
    *value = made;
    return status;
}

enum eg_status eg__lower_identity(struct eg_reading *step)
{
    struct eg_value made;
    enum eg_status status = raw_layer(step, &made);
    struct eg_value *out = eg__step_output(step, 0);
    if (status) return status;
    if (!out) return eg__step_memory(step);
    made.name = out->name;
    made.label = NULL;
    if (!eg__value_names_layer(step->onnx, &made) &&
        !(made.label = eg__graph_string(step->onnx->graph, step->label)))
        return eg__step_memory(step);
    *out = made;
    return made.label ? EG_OK : eg__step_alias(step, out);
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
    struct eg_value flat = made;
    status = regroup(step, &made, size, (unsigned)n);
    if (status == EG_E_UNSUPPORTED) {
        made = flat;
        status = as_one_axis(step, &made);
        if (!status) status = regroup(step, &made, size, (unsigned)n);
    }
    return status ? status : finish(step, &made);
}

/* Every dimension one whole axis, or a side of 1. */
static bool is_plain(const struct eg_onnx *onnx, const struct eg_value *value)
{
    for (uint32_t i = 0; i < value->rank; i++)
        if (value->dim[i].n && !eg__dimension_is(onnx, value, i, value->dim[i].part[0].axis)) return false;
    return true;
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
    if (!is_plain(step->onnx, &made)) return finish(step, &made);
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

/* A batch of one, baked in: it is kept, before the next dimension. */
static bool drop_batch(const struct eg_reading *step, struct eg_value *value, unsigned i)
{
    if (step->onnx->batch != 1 || !eg__dimension_is_batch(value, i) || i + 1 >= value->rank) return false;
    struct eg_dimension *next = &value->dim[i + 1];
    if (next->n == EG_PARTS_MAX) return false;
    memmove(next->part + 1, next->part, next->n++ * sizeof *next->part);
    next->part[0] = value->dim[i].part[0];
    return true;
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
            if (made.dim[i].n && !drop_batch(step, &made, i))
                return eg__step_refuse(step, "dimension %u is not a side of 1", i);
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

/* To a shape that the value is spread over. */
enum eg_status eg__lower_expand(struct eg_reading *step)
{
    int64_t to[EG_RANK_MAX];
    size_t n;
    struct eg_value *in, made;
    enum eg_status status = eg__step_ints(step, "shape", 1, to, EG_RANK_MAX, &n);
    if (!status) status = eg__step_natural(step, 0, NULL, &in);
    if (status) return status;
    struct eg_node node = {.op = EG_OP_EXPAND};
    made = *in;
    const unsigned rank = n > made.rank ? (unsigned)n : made.rank, missing = rank - made.rank;
    for (unsigned i = made.rank; i-- > 0 && missing;) made.dim[i + missing] = made.dim[i];
    for (unsigned i = 0; i < missing; i++) made.dim[i].n = 0;
    made.rank = rank;
    for (unsigned i = 0; i < rank; i++) {
        const size_t have = eg__value_extent(step->onnx, &made, i);
        const int64_t wanted = i + n < rank ? 1 : to[i + n - rank];
        if (wanted < 1 || (have != 1 && wanted != 1 && (size_t)wanted != have))
            return eg__step_broken(step, "its shape does not fit its input");
        const bool batch = made.dim[i].n && made.dim[i].part[0].axis == EG_AXIS_N;
        if (batch && wanted != 1 && (size_t)wanted != have)
            return eg__step_refuse(step, "it spreads the images of a batch");
        if (eg__dimension_is_batch(&made, i)) continue;
        node.to.dim[node.to.rank++] =
            (batch ? 1 : have) == 1 && !batch ? (size_t)wanted : have / (batch ? step->onnx->batch : 1);
    }
    uint32_t axis = (uint32_t)node.to.rank;
    for (unsigned i = 0; i < rank; i++) {
        if (eg__dimension_is_batch(&made, i)) continue;
        axis--;
        if (!made.dim[i].n && node.to.dim[node.to.rank - 1 - axis] > 1) {
            made.dim[i].n = 1;
            made.dim[i].part[0] = (struct eg_part){axis, node.to.dim[node.to.rank - 1 - axis], 1};
        }
    }
    node.n_inputs = 1;
    node.inputs[0] = made.node;
    if (eg__shape_is(node.to, step->onnx->graph->nodes[made.node].shape)) return finish(step, &made);
    status = eg__step_add(step, &node, &made.node);
    struct eg_value *out = eg__step_output(step, 0);
    if (status) return status;
    if (!out) return eg__step_memory(step);
    made.name = out->name;
    made.natural = 0;
    *out = made;
    return EG_OK;
}
