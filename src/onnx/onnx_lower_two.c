/* onnx_lower_two.c: nodes on two or three values: products, and element by element with broadcasting.
 * Values that lie alike are taken as they are; others, and constants that spread a layer, are brought to
 * the file's own order of dimensions first. */
#include <stdio.h>
#include <string.h>

#include "onnx/onnx_private.h"

/* ---- products ----------------------------------------------------------------------------- */

enum eg_status eg__lower_gemm(struct eg_reading *step)
{
    static const uint8_t transposed[2] = {1, 0};
    struct eg_node node = {.op = EG_OP_LINEAR};
    struct eg_value *in;
    enum eg_status status = eg__step_layer(step, 0, &in);
    if (status) return status;
    if (in->rank == 2 && (status = eg__step_last(step, 0, 1, &in))) return status;
    if (eg__step_int(step, "transA", 0) || eg__step_float(step, "alpha", 1) != 1 ||
        (eg__step_given(step, 2) && eg__step_float(step, "beta", 1) != 1))
        return eg__step_refuse(step, "transA, alpha and beta other than 1 are not supported");
    if (in->rank != 2 || !eg__dimension_is(step->onnx, in, 1, EG_AXIS_C))
        return eg__step_refuse(step, "its input is not one vector an image");
    status =
        eg__step_parameter(step, 1, 2, eg__step_int(step, "transB", 0) ? NULL : transposed, &node.params[0]);
    if (status) return status;
    size_t out = node.params[0]->dim[0];
    if (eg__step_given(step, 2)) {
        struct eg_value *bias = step->in[2];
        if (!bias->is_constant || !bias->tensor.rank || bias->tensor.rank > 2 ||
            eg__tensor_count(&bias->tensor) != out)
            return eg__step_refuse(step, "its bias is not %zu constant numbers", out);
        struct eg_tensor vector = bias->tensor;
        vector.rank = 1;
        vector.dim[0] = out;
        vector.stride[0] = bias->tensor.stride[bias->tensor.rank - 1];
        if (bias->tensor.rank == 2 && bias->tensor.dim[0] != 1)
            return eg__step_refuse(step, "its bias is not %zu constant numbers", out);
        if (!(node.params[1] = eg__graph_tensor(step->onnx->graph, &vector))) return eg__step_memory(step);
    }
    node.n_inputs = 1;
    node.inputs[0] = in->node;
    uint32_t index;
    struct eg_value like = *in;
    status = eg__step_add(step, &node, &index);
    struct eg_value *made = eg__step_output(step, 0);
    if (status) return status;
    if (!made) return eg__step_memory(step);
    eg__value_set_like(step->onnx, made, index, &like, 1);
    return eg__step_alias_by_weight(step, index, node.params[0]);
}

/* Both in the file's order: matrices in the last two dimensions, what is before them spread. */
static enum eg_status two_matrices(struct eg_reading *step)
{
    struct eg_value *a, *b, made;
    const struct eg_value *like = step->in[0]->is_constant ? step->in[1] : step->in[0];
    if (like->is_constant) return eg__step_refuse(step, "both of its inputs are constants");
    struct eg_value beside = *like;
    enum eg_status status = eg__step_natural(step, 0, &beside, &a);
    if (!status) status = eg__step_natural(step, 1, &beside, &b);
    if (status) return status;
    if (a->rank < 2 || b->rank < 2) return eg__step_refuse(step, "an input is no matrix");
    for (unsigned i = 0; i < 2; i++) {
        const struct eg_value *x = i ? b : a;
        for (unsigned d = x->rank - 2; d < x->rank; d++)
            if (x->dim[d].n && x->dim[d].part[0].axis == EG_AXIS_N)
                return eg__step_refuse(step, "it works across the images of a batch");
    }
    made = a->rank >= b->rank ? *a : *b;
    const struct eg_value *less = a->rank >= b->rank ? b : a;
    for (unsigned i = 0; i < less->rank; i++) { /* the batch is where it is in the other, or nowhere */
        struct eg_dimension *x = &made.dim[made.rank - less->rank + i];
        const struct eg_dimension *y = &less->dim[i];
        const bool in_x = x->n && x->part[0].axis == EG_AXIS_N, in_y = y->n && y->part[0].axis == EG_AXIS_N;
        if (in_x != in_y) return eg__step_refuse(step, "it works across the images of a batch");
        if (!x->n) *x = *y;
    }
    struct eg_node node = {.op = EG_OP_MATMUL, .n_inputs = 2, .inputs = {a->node, b->node}};
    uint32_t index;
    status = eg__recognize_attention(step, a->node, b->node, &index);
    if (status == EG_E_NOT_FOUND) status = eg__step_add(step, &node, &index);
    struct eg_value *out = eg__step_output(step, 0);
    if (status) return status;
    if (!out) return eg__step_memory(step);
    made.is_array = true;
    eg__value_set_along(step->onnx, &made, index, &made, made.rank - 1, 0);
    eg__value_set_along(step->onnx, out, index, &made, made.rank - 2, 1);
    return EG_OK;
}

enum eg_status eg__lower_matmul(struct eg_reading *step)
{
    static const uint8_t transposed[2] = {1, 0};
    struct eg_node node = {.op = EG_OP_LINEAR, .n_inputs = 1};
    struct eg_value *in;
    if (!eg__step_given(step, 0) || !eg__step_given(step, 1))
        return eg__step_broken(step, "it has not two inputs");
    if (step->in[0]->is_constant || !step->in[1]->is_constant || step->in[1]->tensor.rank != 2)
        return two_matrices(step);
    enum eg_status status = eg__step_layer(step, 0, &in);
    if (!status) status = eg__step_parameter(step, 1, 2, transposed, &node.params[0]);
    if (!status && in->rank) status = eg__step_last(step, 0, in->rank - 1, &in);
    if (status) return status;
    if (!in->rank || !eg__dimension_is(step->onnx, in, in->rank - 1, EG_AXIS_C))
        return eg__step_refuse(step, "its input's last dimension is not the channels");
    node.inputs[0] = in->node;
    struct eg_value like = *in;
    uint32_t index;
    status = eg__step_add(step, &node, &index);
    struct eg_value *out = eg__step_output(step, 0);
    if (status) return status;
    if (!out) return eg__step_memory(step);
    eg__value_set_like(step->onnx, out, index, &like, (int)like.rank - 1);
    return eg__step_alias_by_weight(step, index, node.params[0]);
}

/* ---- two values --------------------------------------------------------------------------- */

/* A constant's side dealt to the axes of the layer's dimension, in strides of the view; false: it cannot be.
 */
static bool deal_side(const struct eg_onnx *onnx, const struct eg_value *layer, unsigned at, size_t side,
                      ptrdiff_t stride, size_t rank, struct eg_tensor *made)
{
    const struct eg_dimension *dim = &layer->dim[at];
    if (!dim->n || eg__value_extent(onnx, layer, at) != side) return false;
    for (uint32_t k = 0; k < dim->n; k++) {
        const struct eg_part *part = &dim->part[k];
        if (part->axis == EG_AXIS_N && part->extent > 1) return false;
    }
    for (uint32_t k = dim->n; k-- > 0;) {
        const struct eg_part *part = &dim->part[k];
        if (part->axis == EG_AXIS_N) continue;
        made->dim[rank - 1 - part->axis] = part->extent;
        made->stride[rank - 1 - part->axis] = stride;
        stride *= (ptrdiff_t)part->extent;
    }
    return true;
}

/* A constant beside a layer: its dimensions are the layer's last ones. Its tensor has the layer's axes, [c]
 * or one number. False: it is longer than the layer, or across the batch. */
static bool beside(const struct eg_onnx *onnx, struct eg_value *layer, const struct eg_value *constant,
                   struct eg_tensor *made)
{
    const struct eg_tensor *from = &constant->tensor;
    const size_t rank = onnx->graph->nodes[layer->node].shape.rank;
    *made = (struct eg_tensor){
        .name = from->name, .data = from->data, .dtype = from->dtype, .rank = (uint8_t)rank};
    for (size_t i = 0; i < rank; i++) made->dim[i] = 1;
    if (layer->rank < from->rank) { /* the result has as many dimensions as the constant */
        const unsigned missing = from->rank - layer->rank;
        memmove(&layer->dim[missing], &layer->dim[0], layer->rank * sizeof layer->dim[0]);
        for (unsigned i = 0; i < missing; i++) layer->dim[i].n = 0;
        layer->rank = from->rank;
        layer->natural = 0;
    }
    for (unsigned i = 0; i < from->rank; i++)
        if (from->dim[i] != 1 &&
            !deal_side(onnx, layer, layer->rank - from->rank + i, from->dim[i], from->stride[i], rank, made))
            return false;
    for (size_t i = 0; i + 1 < rank; i++)
        if (made->dim[i] != 1) return true;
    made->dim[0] = made->dim[rank - 1];
    made->stride[0] = made->stride[rank - 1];
    made->rank = from->rank ? 1 : 0;
    return true;
}

/* The dimensions of a value spread over another's; false: they do not lie alike. */
static bool join_dimensions(const struct eg_value *a, const struct eg_value *b, struct eg_value *joined)
{
    if (a->rank < b->rank) {
        const struct eg_value *swap = a;
        a = b;
        b = swap;
    }
    *joined = *a;
    for (unsigned i = 0; i < b->rank; i++) {
        struct eg_dimension *to = &joined->dim[a->rank - b->rank + i];
        const struct eg_dimension *from = &b->dim[i];
        if (!to->n) *to = *from;
        if (!from->n) continue;
        if (to->n != from->n) return false;
        for (uint32_t k = 0; k < to->n; k++)
            if (to->part[k].axis != from->part[k].axis) return false;
    }
    uint32_t seen = 0; /* [n][c][1][1] and [n][1][1][c] make a table of c by c, not c sums */
    for (unsigned i = 0; i < joined->rank; i++)
        for (uint32_t k = 0; k < joined->dim[i].n; k++) {
            if (seen & 1u << joined->dim[i].part[k].axis) return false;
            seen |= 1u << joined->dim[i].part[k].axis;
        }
    return true;
}

/* Inputs of `node`, spread over each other: as they are if that can be, else in the file's order. Constants
 * become layers beside the first layer. */
static enum eg_status add_spread(struct eg_reading *step, struct eg_node *node, const unsigned *input,
                                 struct eg_value *result)
{
    struct eg_value *value, joined = {0}, like = {0};
    enum eg_status status = EG_OK;
    bool alike = true;
    for (unsigned i = node->n_inputs; i-- > 0;) {
        struct eg_value *in = step->in[input[i]];
        if (!in) return eg__step_broken(step, "input %u is missing", input[i]);
        if (in->is_constant)
            alike = false;
        else
            like = *in;
    }
    for (unsigned i = 0; i < node->n_inputs && alike; i++) {
        struct eg_value before = joined;
        if ((status = eg__step_layer(step, input[i], &value))) return status;
        if (!i)
            joined = *value;
        else
            alike = join_dimensions(&before, value, &joined);
        node->inputs[i] = value->node;
    }
    for (unsigned i = 0; i < node->n_inputs && !alike; i++) {
        struct eg_value before = joined;
        if ((status = eg__step_natural(step, input[i], &like, &value))) return status;
        if (!i)
            joined = *value;
        else if (!join_dimensions(&before, value, &joined))
            return eg__step_refuse(step, "its inputs have the batch in different dimensions");
        node->inputs[i] = value->node;
    }
    uint32_t index;
    if ((status = eg__step_add(step, node, &index))) return status;
    eg__value_set_like(step->onnx, result, index, &joined, -1);
    return EG_OK;
}

static const struct {
    const char *op;
    enum eg_op ours;
    bool turned;
} binary[] = {
    {"Add", EG_OP_ADD, false},     {"Sum", EG_OP_ADD, false},   {"Sub", EG_OP_SUB, false},
    {"Mul", EG_OP_MUL, false},     {"Div", EG_OP_DIV, false},   {"Max", EG_OP_MAX, false},
    {"Min", EG_OP_MIN, false},     {"Less", EG_OP_LESS, false}, {"Greater", EG_OP_LESS, true},
    {"Equal", EG_OP_EQUAL, false},
};

/* A constant that spreads the layer: to all its dimensions first. */
static enum eg_status constant_operand(struct eg_reading *step, unsigned layer_input, unsigned constant_input,
                                       struct eg_value *layer, const struct eg_tensor **tensor)
{
    struct eg_value *in;
    const struct eg_value *constant = step->in[constant_input];
    struct eg_tensor view;
    enum eg_status status = eg__step_layer(step, layer_input, &in);
    if (status) return status;
    *layer = *in;
    *tensor = NULL;
    if (!beside(step->onnx, layer, constant, &view)) return EG_OK;
    *tensor = eg__graph_tensor(step->onnx->graph, &view);
    return *tensor ? EG_OK : eg__step_memory(step);
}

static enum eg_status with_constant(struct eg_reading *step, enum eg_op op, bool turned, unsigned layer_input)
{
    struct eg_value layer;
    struct eg_node node = {.op = op, .swapped = (layer_input == 1) != turned};
    if (op == EG_OP_ADD || op == EG_OP_MUL || op == EG_OP_MAX || op == EG_OP_MIN || op == EG_OP_EQUAL)
        node.swapped = false;
    enum eg_status status = constant_operand(step, layer_input, 1 - layer_input, &layer, &node.params[0]);
    if (status) return status;
    if (node.params[0]) {
        status = eg__step_add_like(step, &node, &layer);
        const uint32_t last = step->onnx->graph->n_nodes - 1;
        return status || op != EG_OP_ADD ? status : eg__step_alias_by_weight(step, last, node.params[0]);
    }
    struct eg_value *out = eg__step_output(step, 0);
    struct eg_node two = {.op = op, .n_inputs = 2};
    return out ? add_spread(step, &two, (const unsigned[]){turned, !turned}, out) : eg__step_memory(step);
}

/* Sum, Max and Min of many: two at a time; the last of the layers has the node's name. */
static enum eg_status lower_many(struct eg_reading *step)
{
    struct eg_value partial = {0};
    char label[256];
    for (size_t i = 1; i < step->n_in; i++) {
        struct eg_reading pair = *step;
        pair.n_in = 2;
        if (i > 1) pair.in[0] = &partial;
        pair.in[1] = step->in[i];
        snprintf(label, sizeof label, "%.200s/%zu", step->label, i);
        if (i + 1 < step->n_in) pair.label = label;
        enum eg_status status = eg__lower_binary(&pair);
        if (status) return status;
        struct eg_value *out = eg__step_output(step, 0);
        if (!out) return eg__step_memory(step);
        partial = *out;
        partial.is_defined = true;
    }
    return EG_OK;
}

/* Integers, whose quotient ONNX cuts short. */
static bool divides_whole(const struct eg_reading *step)
{
    for (unsigned i = 0; i < 2; i++) {
        const struct eg_value *value = step->in[i];
        enum eg_dtype dtype = value->tensor.dtype;
        if (value->is_constant ? dtype < EG_I64 : !eg__is_whole(step->onnx->graph, value->node, false, 1))
            return false;
    }
    return true;
}

enum eg_status eg__lower_binary(struct eg_reading *step)
{
    size_t row = 0;
    while (strcmp(binary[row].op, step->proto->op_type)) row++;
    enum eg_op op = binary[row].ours;
    bool many = op == EG_OP_ADD || op == EG_OP_MAX || op == EG_OP_MIN;
    if (step->n_in == 1 && many) return eg__lower_identity(step);
    if (step->n_in > 2 && many) return lower_many(step);
    if (step->n_in != 2 || !step->in[0] || !step->in[1])
        return eg__step_refuse(step, "it has %zu inputs", step->n_in);
    if (op == EG_OP_DIV && divides_whole(step)) return eg__step_refuse(step, "it divides whole numbers");
    if (step->in[1]->is_constant) return with_constant(step, op, binary[row].turned, 0);
    if (step->in[0]->is_constant) return with_constant(step, op, binary[row].turned, 1);
    struct eg_value *out = eg__step_output(step, 0);
    if (!out) return eg__step_memory(step);
    struct eg_node node = {.op = op, .n_inputs = 2};
    return add_spread(step, &node, (const unsigned[]){binary[row].turned, !binary[row].turned}, out);
}

enum eg_status eg__lower_where(struct eg_reading *step)
{
    struct eg_node node = {.op = EG_OP_WHERE, .n_inputs = 3};
    if (step->n_in != 3) return eg__step_broken(step, "it has %zu inputs", step->n_in);
    struct eg_value *out = eg__step_output(step, 0);
    return out ? add_spread(step, &node, (const unsigned[]){0, 1, 2}, out) : eg__step_memory(step);
}

/* max(x, 0) + slope min(x, 0) */
enum eg_status eg__lower_prelu(struct eg_reading *step)
{
    static const float nought = 0;
    struct eg_value layer;
    const struct eg_tensor *slope, *zero = eg__graph_constant(step->onnx->graph, NULL, 0, NULL, &nought);
    if (!eg__step_given(step, 1) || !step->in[1]->is_constant)
        return eg__step_refuse(step, "its slope is not a constant");
    enum eg_status status = zero ? constant_operand(step, 0, 1, &layer, &slope) : eg__step_memory(step);
    if (!status && !slope) return eg__step_refuse(step, "its slope does not fit its input");
    struct eg_node sum = {.op = EG_OP_ADD, .n_inputs = 2};
    uint32_t low = 0, index;
    if (!status) status = eg__step_add_part(step, EG_OP_RELU, layer.node, NULL, &sum.inputs[0]);
    if (!status) status = eg__step_add_part(step, EG_OP_MIN, layer.node, zero, &low);
    if (!status) status = eg__step_add_part(step, EG_OP_MUL, low, slope, &low);
    sum.inputs[1] = low;
    if (!status) status = eg__step_add(step, &sum, &index);
    if (status) return status;
    struct eg_value *out = eg__step_output(step, 0);
    if (!out) return eg__step_memory(step);
    eg__value_set_like(step->onnx, out, index, &layer, -1);
    return EG_OK;
}
