/* onnx_value.c: what an ONNX value is while its graph is read: a constant, or a layer whose
 * [h][w][c] the file sees in some order of dimensions (onnx_private.h). Helpers for the rows
 * of the other files. */
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "onnx/onnx_private.h"

/* ---- messages ------------------------------------------------------------------- */

static enum eg_status say(struct eg_reading *step, enum eg_status status, const char *format,
                          va_list arguments)
{
    char text[600];
    vsnprintf(text, sizeof text, format, arguments);
    return eg__fail(step->onnx->err, status, "node '%.200s' (%.60s): %s", step->label, step->proto->op_type,
                    text);
}

enum eg_status eg__step_refuse(struct eg_reading *step, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    enum eg_status status = say(step, EG_E_UNSUPPORTED, format, arguments);
    va_end(arguments);
    return status;
}

enum eg_status eg__step_broken(struct eg_reading *step, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    enum eg_status status = say(step, EG_E_FORMAT, format, arguments);
    va_end(arguments);
    return status;
}

enum eg_status eg__step_memory(struct eg_reading *step)
{
    return eg__fail_memory(step->onnx->err, "a layer");
}

/* ---- attributes ------------------------------------------------------------------ */

const EgOnnx__AttributeProto *eg__step_attribute(const struct eg_reading *step, const char *name)
{
    for (size_t i = 0; i < step->proto->n_attribute; i++) {
        const EgOnnx__AttributeProto *attribute = step->proto->attribute[i];
        if (attribute->name && !strcmp(attribute->name, name)) return attribute;
    }
    return NULL;
}

int64_t eg__step_int(const struct eg_reading *step, const char *name, int64_t otherwise)
{
    const EgOnnx__AttributeProto *attribute = eg__step_attribute(step, name);
    return attribute ? attribute->i : otherwise; /* one without a value is 0 */
}

float eg__step_float(const struct eg_reading *step, const char *name, float otherwise)
{
    const EgOnnx__AttributeProto *attribute = eg__step_attribute(step, name);
    return attribute ? attribute->f : otherwise;
}

bool eg__step_is(const struct eg_reading *step, const char *name, const char *text)
{
    const EgOnnx__AttributeProto *attribute = eg__step_attribute(step, name);
    return attribute && attribute->has_s && attribute->s.len == strlen(text) &&
           !memcmp(attribute->s.data, text, attribute->s.len);
}

enum eg_status eg__step_ints(struct eg_reading *step, const char *name, unsigned input, int64_t *ints,
                             size_t most, size_t *n)
{
    const EgOnnx__AttributeProto *attribute = eg__step_attribute(step, name);
    *n = 0;
    if (attribute) {
        if (attribute->n_ints > most)
            return eg__step_broken(step, "'%s' has %zu numbers", name, attribute->n_ints);
        for (; *n < attribute->n_ints; (*n)++) ints[*n] = attribute->ints[*n];
        return EG_OK;
    }
    if (input >= step->n_in || !step->in[input]) return EG_OK;
    const struct eg_value *value = step->in[input];
    if (!value->is_constant)
        return eg__step_refuse(
            step, "its '%s' is computed from the image (export the network with a fixed size)", name);
    size_t count = eg__tensor_count(&value->tensor);
    if (count > most || value->tensor.rank > 1)
        return eg__step_broken(step, "'%s' has %zu numbers", name, count);
    for (; *n < count; (*n)++) ints[*n] = eg__tensor_int_at(&value->tensor, *n);
    return EG_OK;
}

enum eg_status eg__step_number(struct eg_reading *step, unsigned input, float otherwise, float *number)
{
    *number = otherwise;
    if (input >= step->n_in || !step->in[input]) return EG_OK;
    const struct eg_value *value = step->in[input];
    if (!value->is_constant || eg__tensor_count(&value->tensor) != 1)
        return eg__step_refuse(step, "input %u is not one constant number", input);
    *number = (float)eg__tensor_number_at(&value->tensor, 0);
    return EG_OK;
}

enum eg_status eg__step_axis(struct eg_reading *step, int64_t axis, size_t rank, unsigned *index)
{
    if (axis < -(int64_t)rank || axis >= (int64_t)rank)
        return eg__step_broken(step, "axis %lld of a value with %zu dimensions", (long long)axis, rank);
    *index = (unsigned)(axis < 0 ? axis + (int64_t)rank : axis);
    return EG_OK;
}

/* ---- values ------------------------------------------------------------------------ */

static size_t axis_extent(const struct eg_onnx *onnx, uint32_t node, uint32_t axis)
{
    const struct eg_shape *shape = &onnx->graph->nodes[node].shape;
    if (axis == EG_AXIS_N) return onnx->batch;
    return axis < shape->rank ? shape->dim[shape->rank - 1 - axis] : 1;
}

size_t eg__value_extent(const struct eg_onnx *onnx, const struct eg_value *value, unsigned dimension)
{
    (void)onnx;
    size_t extent = 1;
    const struct eg_dimension *dim = &value->dim[dimension];
    for (uint32_t i = 0; i < dim->n; i++) extent *= dim->part[i].extent;
    return extent;
}

bool eg__dimension_is(const struct eg_onnx *onnx, const struct eg_value *value, unsigned dimension,
                      uint32_t axis)
{
    const struct eg_dimension *dim = &value->dim[dimension];
    size_t extent = axis_extent(onnx, value->node, axis);
    if (!dim->n) return extent == 1 && axis != EG_AXIS_N;
    return dim->n == 1 && dim->part[0].axis == axis && dim->part[0].extent == extent;
}

bool eg__dimension_is_batch(const struct eg_value *value, unsigned dimension)
{
    return value->dim[dimension].n == 1 && value->dim[dimension].part[0].axis == EG_AXIS_N;
}

/* The axis that a side of 1 stands for: as in an image, else as the layer lies, else the channels. */
static bool axis_of_one(const struct eg_onnx *onnx, const struct eg_value *value, unsigned dimension,
                        uint32_t *axis)
{
    static const uint32_t image[4] = {EG_AXIS_N, EG_AXIS_C, EG_AXIS_H, EG_AXIS_W};
    const size_t rank = onnx->graph->nodes[value->node].shape.rank;
    bool fits = rank <= 3 && (value->rank == 4 || value->rank == 2);
    for (unsigned i = 0; i < value->rank && fits; i++) fits = eg__dimension_is(onnx, value, i, image[i]);
    if (fits) {
        *axis = image[dimension];
        return *axis < rank;
    }
    uint32_t next = 0, found = 0;
    fits = true;
    for (unsigned i = value->rank; i-- > 0 && fits;) {
        if (eg__dimension_is_batch(value, i)) continue;
        struct eg_value bare = {.node = value->node, .dim = {value->dim[i]}};
        struct eg_dimension *dim = &bare.dim[0];
        if (dim->n && dim->part[0].axis == EG_AXIS_N)
            memmove(dim->part, dim->part + 1, --dim->n * sizeof *dim->part);
        if (i == dimension) found = next;
        fits = next < rank && eg__dimension_is(onnx, &bare, 0, next);
        next++;
    }
    *axis = fits && next == rank ? found : EG_AXIS_C;
    return axis_extent(onnx, value->node, *axis) == 1;
}

bool eg__dimension_axis(const struct eg_onnx *onnx, const struct eg_value *value, unsigned dimension,
                        uint32_t *axis)
{
    const struct eg_dimension *dim = &value->dim[dimension];
    if (!dim->n) return axis_of_one(onnx, value, dimension, axis);
    *axis = dim->part[0].axis;
    return *axis != EG_AXIS_N && eg__dimension_is(onnx, value, dimension, *axis);
}

static void set_dimension(struct eg_onnx *onnx, struct eg_value *value, unsigned dimension, uint32_t axis)
{
    size_t extent = axis_extent(onnx, value->node, axis);
    value->dim[dimension].n = axis == EG_AXIS_N || extent > 1;
    value->dim[dimension].part[0] = (struct eg_part){axis, extent, 1};
}

void eg__value_set(struct eg_onnx *onnx, struct eg_value *value, uint32_t node, const char *order)
{
    value->is_constant = false;
    value->is_defined = true;
    value->node = node;
    value->natural = 0;
    value->is_array = false;
    value->label = NULL;
    value->rank = (uint32_t)strlen(order);
    for (unsigned i = 0; i < value->rank; i++)
        set_dimension(onnx, value, i,
                      order[i] == 'n'   ? EG_AXIS_N
                      : order[i] == 'h' ? EG_AXIS_H
                      : order[i] == 'w' ? EG_AXIS_W
                                        : EG_AXIS_C);
}

void eg__value_set_along(struct eg_onnx *onnx, struct eg_value *value, uint32_t node,
                         const struct eg_value *like, unsigned dimension, uint32_t axis)
{
    struct eg_value made = *like;
    made.name = value->name;
    made.is_defined = true;
    made.is_constant = false;
    made.node = node;
    made.natural = 0;
    made.label = NULL;
    for (unsigned i = 0; i < made.rank; i++) {
        struct eg_dimension *dim = &made.dim[i];
        uint32_t kept = 0;
        if (i == dimension) {
            set_dimension(onnx, &made, i, axis);
            continue;
        }
        for (uint32_t k = 0; k < dim->n; k++) {
            struct eg_part part = dim->part[k];
            if (part.extent == axis_extent(onnx, like->node, part.axis))
                part.extent = axis_extent(onnx, node, part.axis);
            if (part.axis == EG_AXIS_N || part.extent > 1) dim->part[kept++] = part;
        }
        dim->n = kept;
    }
    *value = made;
}

void eg__value_set_like(struct eg_onnx *onnx, struct eg_value *value, uint32_t node,
                        const struct eg_value *like, int channels)
{
    eg__value_set_along(onnx, value, node, like, channels < 0 ? UINT_MAX : (unsigned)channels, EG_AXIS_C);
}

void eg__value_drop(struct eg_value *value, unsigned dimension)
{
    memmove(&value->dim[dimension], &value->dim[dimension + 1],
            (value->rank - 1 - dimension) * sizeof value->dim[0]);
    value->rank--;
    value->natural = 0;
}

/* What one layer would make the value plain. */
enum settling { SETTLED, TO_FLATTEN_CHW, TO_FLATTEN_HWC, TO_SHUFFLE, UNKNOWN_ORDER };

static enum settling how_to_settle(const struct eg_onnx *onnx, const struct eg_value *value,
                                   unsigned *dimension)
{
    static const uint32_t chw[3] = {EG_AXIS_C, EG_AXIS_H, EG_AXIS_W};
    static const uint32_t hwc[3] = {EG_AXIS_H, EG_AXIS_W, EG_AXIS_C};
    unsigned n_odd = 0, n_full = 0;
    for (unsigned i = 0; i < value->rank; i++) {
        const struct eg_dimension *dim = &value->dim[i];
        if (!dim->n) continue;
        if (eg__dimension_is(onnx, value, i, dim->part[0].axis)) {
            n_full += dim->part[0].axis != EG_AXIS_N;
            continue;
        }
        *dimension = i;
        n_odd++;
    }
    if (!n_odd) return SETTLED;
    if (n_odd > 1 || onnx->graph->nodes[value->node].shape.rank > 3) return UNKNOWN_ORDER;
    const struct eg_dimension *odd = &value->dim[*dimension];
    size_t c = axis_extent(onnx, value->node, EG_AXIS_C);
    if (odd->n == 2 && odd->part[0].axis == EG_AXIS_C && odd->part[1].axis == EG_AXIS_C &&
        odd->part[0].stride == 1 && odd->part[1].stride == odd->part[0].extent &&
        odd->part[0].extent * odd->part[1].extent == c)
        return TO_SHUFFLE;
    if (n_full) return UNKNOWN_ORDER;
    for (unsigned order = 0; order < 2; order++) {
        uint32_t seen = 0;
        for (unsigned i = 0; i < 3; i++) {
            uint32_t axis = order ? hwc[i] : chw[i];
            size_t extent = axis_extent(onnx, value->node, axis);
            if (extent == 1) continue;
            if (seen < odd->n && odd->part[seen].axis == axis && odd->part[seen].extent == extent)
                seen++;
            else
                seen = UINT32_MAX - 3;
        }
        if (seen == odd->n) return order ? TO_FLATTEN_HWC : TO_FLATTEN_CHW;
    }
    return UNKNOWN_ORDER;
}

bool eg__value_is_settled(const struct eg_onnx *onnx, const struct eg_value *value)
{
    unsigned dimension;
    return how_to_settle(onnx, value, &dimension) == SETTLED;
}

bool eg__value_can_settle(const struct eg_onnx *onnx, const struct eg_value *value)
{
    unsigned dimension;
    return how_to_settle(onnx, value, &dimension) != UNKNOWN_ORDER;
}

enum eg_status eg__value_settle(struct eg_reading *step, struct eg_value *value, const char *name)
{
    unsigned dimension = 0;
    struct eg_node node = {.n_inputs = 1, .inputs = {value->node}, .name = name};
    enum settling how = how_to_settle(step->onnx, value, &dimension);
    if (how == SETTLED) return EG_OK;
    if (how == UNKNOWN_ORDER)
        return eg__step_refuse(step,
                               "it needs the values of layer '%.200s' in an order engraft does not know",
                               step->onnx->graph->nodes[value->node].name);
    node.op = how == TO_SHUFFLE ? EG_OP_CHANNEL_SHUFFLE : EG_OP_FLATTEN;
    node.order_chw = how == TO_FLATTEN_CHW;
    if (how == TO_SHUFFLE) node.groups = (uint32_t)value->dim[dimension].part[1].extent;
    uint32_t index;
    enum eg_status status = eg__graph_add(step->onnx->graph, &node, &index, step->onnx->err);
    if (status) return status;
    value->node = index;
    value->natural = 0;
    set_dimension(step->onnx, value, dimension, EG_AXIS_C);
    return EG_OK;
}

/* ---- steps ------------------------------------------------------------------------- */

enum eg_status eg__step_add(struct eg_reading *step, struct eg_node *node, uint32_t *index)
{
    node->name = step->label;
    return eg__graph_add(step->onnx->graph, node, index, step->onnx->err);
}

struct eg_value *eg__step_output(struct eg_reading *step, unsigned output)
{
    if (output >= step->proto->n_output || !step->proto->output[output][0]) return NULL;
    return eg__onnx_value(step->onnx, step->proto->output[output]);
}

enum eg_status eg__step_alias(struct eg_reading *step, struct eg_value *out)
{
    return eg__graph_alias(step->onnx->graph, out->node, step->label, step->onnx->err);
}
