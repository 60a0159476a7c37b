/* onnx_lower.c: ONNX operators on layers to ours, one row of the table each. Every row finds
 * its inputs settled, fills in a node, and says which dimensions the result has. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "onnx/onnx_private.h"

/* Add node with one layer input; output 0 sees it in the same dimensions. */
static enum eg_status add_like(struct eg_reading *step, struct eg_node *node, struct eg_value *in)
{
    struct eg_value like = *in;
    uint32_t index;
    node->n_inputs = 1;
    node->inputs[0] = in->node;
    enum eg_status status = eg__step_add(step, node, &index);
    if (status) return status;
    struct eg_value *out = eg__step_output(step, 0);
    if (!out) return eg__step_memory(step);
    eg__value_set_like(step->onnx, out, index, &like, -1);
    return EG_OK;
}

static enum eg_status lower_unary(struct eg_reading *step, struct eg_node node)
{
    struct eg_value *in;
    enum eg_status status = eg__step_layer(step, 0, &in);
    return status ? status : add_like(step, &node, in);
}

/* ---- parameters ----------------------------------------------------------------------- */

/* Input `input` as a constant of that rank, in the arena with dimensions permuted. */
static enum eg_status parameter(struct eg_reading *step, unsigned input, unsigned rank, const uint8_t *order,
                                const struct eg_tensor **tensor)
{
    static const uint8_t same[EG_RANK_MAX] = {0, 1, 2, 3, 4, 5};
    if (input >= step->n_in || !step->in[input]) return eg__step_broken(step, "input %u is missing", input);
    if (!step->in[input]->is_constant)
        return eg__step_refuse(step, "its parameter (input %u) is not a constant", input);
    const struct eg_tensor *from = &step->in[input]->tensor;
    if (from->rank != rank)
        return eg__step_refuse(step, "its parameter (input %u) has %u dimensions, not %u", input, from->rank,
                               rank);
    struct eg_tensor seen = eg__tensor_permuted(from, order ? order : same);
    *tensor = eg__graph_tensor(step->onnx->graph, &seen);
    return *tensor ? EG_OK : eg__step_memory(step);
}

static bool given(const struct eg_reading *step, unsigned input)
{
    return input < step->n_in && step->in[input];
}

/* "features.0" as a name of the layer whose weight is "features.0.weight". */
static enum eg_status alias_by_weight(struct eg_reading *step, uint32_t index, const struct eg_tensor *weight)
{
    static const char *const endings[] = {".weight", "/kernel", "/kernel:0", "/gamma", "/gamma:0"};
    size_t n = weight && weight->name ? strlen(weight->name) : 0;
    char name[256];
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        size_t tail = strlen(endings[i]);
        if (n <= tail || n - tail >= sizeof name || strcmp(weight->name + n - tail, endings[i])) continue;
        memcpy(name, weight->name, n - tail);
        name[n - tail] = '\0';
        return eg__graph_alias(step->onnx->graph, index, name, step->onnx->err);
    }
    return EG_OK;
}

/* ---- windows ---------------------------------------------------------------------------- */

static enum eg_status pair(struct eg_reading *step, const char *name, uint32_t *first, uint32_t *second)
{
    int64_t ints[2];
    size_t n;
    enum eg_status status = eg__step_ints(step, name, EG_INPUTS_MAX, ints, 2, &n);
    if (status || !n) return status;
    if (n != 2 || ints[0] < 0 || ints[1] < 0 || ints[0] > INT32_MAX || ints[1] > INT32_MAX)
        return eg__step_refuse(step, "'%s' is not two sizes (engraft works on images, two-dimensional)",
                               name);
    *first = (uint32_t)ints[0];
    *second = (uint32_t)ints[1];
    return EG_OK;
}

static enum eg_status window(struct eg_reading *step, struct eg_window *window)
{
    int64_t pads[4];
    size_t n;
    window->stride_h = window->stride_w = window->dilation_h = window->dilation_w = 1;
    enum eg_status status = pair(step, "kernel_shape", &window->kernel_h, &window->kernel_w);
    if (!status) status = pair(step, "strides", &window->stride_h, &window->stride_w);
    if (!status) status = pair(step, "dilations", &window->dilation_h, &window->dilation_w);
    if (!status) status = eg__step_ints(step, "pads", EG_INPUTS_MAX, pads, 4, &n);
    if (status) return status;
    bool valid = eg__step_is(step, "auto_pad", "VALID");
    if (eg__step_is(step, "auto_pad", "SAME_UPPER")) {
        window->padding = EG_PAD_SAME_UPPER;
    } else if (eg__step_is(step, "auto_pad", "SAME_LOWER")) {
        window->padding = EG_PAD_SAME_LOWER;
    } else if (eg__step_attribute(step, "auto_pad") && !valid && !eg__step_is(step, "auto_pad", "NOTSET")) {
        return eg__step_broken(step, "its 'auto_pad' is none that ONNX knows");
    } else if (n && !valid) {
        for (unsigned i = 0; i < 4; i++)
            if (n != 4 || pads[i] < 0 || pads[i] > INT32_MAX)
                return eg__step_refuse(step, "'pads' is not four sizes of 0 or more");
        window->pad_top = (uint32_t)pads[0];
        window->pad_left = (uint32_t)pads[1];
        window->pad_bottom = (uint32_t)pads[2];
        window->pad_right = (uint32_t)pads[3];
    }
    return EG_OK;
}

static enum eg_status give_image(struct eg_reading *step, struct eg_node *node, struct eg_value *in)
{
    uint32_t index;
    node->n_inputs = 1;
    node->inputs[0] = in->node;
    enum eg_status status = eg__step_add(step, node, &index);
    struct eg_value *out = eg__step_output(step, 0);
    if (status) return status;
    if (!out) return eg__step_memory(step);
    eg__value_set(step->onnx, out, index, "nchw");
    return alias_by_weight(step, index, node->params[0]);
}

static enum eg_status lower_conv(struct eg_reading *step)
{
    static const uint8_t from_oihw[4] = {0, 2, 3, 1};
    struct eg_node node = {.op = EG_OP_CONV};
    struct eg_value *in;
    enum eg_status status = eg__step_image(step, 0, &in);
    if (!status) status = parameter(step, 1, 4, from_oihw, &node.params[0]);
    if (!status && given(step, 2)) status = parameter(step, 2, 1, NULL, &node.params[1]);
    if (status) return status;
    const size_t *dim = node.params[0]->dim;
    if (dim[1] > INT32_MAX || dim[2] > INT32_MAX) return eg__step_broken(step, "its kernel is too large");
    node.window.kernel_h = (uint32_t)dim[1];
    node.window.kernel_w = (uint32_t)dim[2];
    if ((status = window(step, &node.window))) return status;
    int64_t groups = eg__step_int(step, "group", 1);
    if (groups < 1 || groups > INT32_MAX) return eg__step_broken(step, "%lld groups", (long long)groups);
    node.groups = (uint32_t)groups;
    return give_image(step, &node, in);
}

static enum eg_status lower_pool(struct eg_reading *step)
{
    bool max = step->proto->op_type[0] == 'M';
    struct eg_node node = {.op = max ? EG_OP_MAX_POOL : EG_OP_AVG_POOL};
    struct eg_value *in;
    enum eg_status status = eg__step_image(step, 0, &in);
    if (!status) status = window(step, &node.window);
    if (status) return status;
    if (eg__step_output(step, 1)) return eg__step_refuse(step, "its output of indices is used");
    if (eg__step_int(step, "storage_order", 0)) return eg__step_refuse(step, "storage_order 1");
    node.ceil_mode = eg__step_int(step, "ceil_mode", 0) != 0;
    node.count_include_pad = eg__step_int(step, "count_include_pad", 0) != 0;
    return give_image(step, &node, in);
}

static enum eg_status lower_global_pool(struct eg_reading *step)
{
    struct eg_node node = {.op = step->proto->op_type[6] == 'A' ? EG_OP_GLOBAL_AVG : EG_OP_GLOBAL_MAX};
    struct eg_value *in;
    enum eg_status status = eg__step_image(step, 0, &in);
    return status ? status : give_image(step, &node, in);
}

static enum eg_status lower_pad(struct eg_reading *step)
{
    struct eg_node node = {.op = EG_OP_PAD};
    struct eg_value *in;
    int64_t pads[2 * EG_RANK_MAX];
    size_t n;
    enum eg_status status = eg__step_layer(step, 0, &in);
    if (!status) status = eg__step_ints(step, "pads", 1, pads, 2 * EG_RANK_MAX, &n);
    if (!status) status = eg__step_number(step, 2, eg__step_float(step, "value", 0), &node.alpha);
    if (status) return status;
    const EgOnnx__AttributeProto *mode = eg__step_attribute(step, "mode");
    if (mode && !eg__step_is(step, "mode", "constant"))
        return eg__step_refuse(step, "only mode 'constant' is supported");
    if (n != 2 * in->rank || (step->n_in > 3 && step->in[3]))
        return eg__step_refuse(step, "%zu paddings for %u dimensions", n, in->rank);
    for (unsigned i = 0; i < in->rank; i++) {
        int64_t before = pads[i], after = pads[in->rank + i];
        if (!before && !after) continue;
        if (before < 0 || after < 0 || before > INT32_MAX || after > INT32_MAX)
            return eg__step_refuse(step, "negative padding");
        bool h = in->dim[i].n && in->dim[i].part[0].axis == EG_AXIS_H;
        bool w = in->dim[i].n && in->dim[i].part[0].axis == EG_AXIS_W;
        if (!h && !w)
            return eg__step_refuse(step, "it pads dimension %u, engraft pads rows and columns only", i);
        *(h ? &node.window.pad_top : &node.window.pad_left) = (uint32_t)before;
        *(h ? &node.window.pad_bottom : &node.window.pad_right) = (uint32_t)after;
    }
    return add_like(step, &node, in);
}

/* ---- products ----------------------------------------------------------------------------- */

static enum eg_status lower_gemm(struct eg_reading *step)
{
    static const uint8_t transposed[2] = {1, 0};
    struct eg_node node = {.op = EG_OP_LINEAR};
    struct eg_value *in;
    enum eg_status status = eg__step_layer(step, 0, &in);
    if (status) return status;
    if (eg__step_int(step, "transA", 0) || eg__step_float(step, "alpha", 1) != 1 ||
        (given(step, 2) && eg__step_float(step, "beta", 1) != 1))
        return eg__step_refuse(step, "transA, alpha and beta other than 1 are not supported");
    if (in->rank != 2 || !eg__dimension_is(step->onnx, in, 1, EG_AXIS_C))
        return eg__step_refuse(step, "its input is not one vector an image");
    status = parameter(step, 1, 2, eg__step_int(step, "transB", 0) ? NULL : transposed, &node.params[0]);
    if (status) return status;
    size_t out = node.params[0]->dim[0];
    if (given(step, 2)) {
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
    status = eg__step_add(step, &node, &index);
    struct eg_value *made = eg__step_output(step, 0);
    if (status) return status;
    if (!made) return eg__step_memory(step);
    eg__value_set(step->onnx, made, index, "nc");
    return alias_by_weight(step, index, node.params[0]);
}

static enum eg_status lower_matmul(struct eg_reading *step)
{
    static const uint8_t transposed[2] = {1, 0};
    struct eg_node node = {.op = EG_OP_LINEAR, .n_inputs = 1};
    struct eg_value *in;
    if (given(step, 1) && !step->in[1]->is_constant)
        return eg__step_refuse(step, "a product of two layers (attention) is not supported");
    enum eg_status status = eg__step_layer(step, 0, &in);
    if (!status) status = parameter(step, 1, 2, transposed, &node.params[0]);
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
    return alias_by_weight(step, index, node.params[0]);
}

/* ---- normalisation ------------------------------------------------------------------------ */

static enum eg_status lower_batch_norm(struct eg_reading *step)
{
    struct eg_node node = {.op = EG_OP_BATCH_NORM, .epsilon = eg__step_float(step, "epsilon", 1e-5f)};
    struct eg_value *in;
    enum eg_status status = eg__step_layer(step, 0, &in);
    for (unsigned i = 0; i < 4 && !status; i++) status = parameter(step, i + 1, 1, NULL, &node.params[i]);
    if (status) return status;
    bool training = eg__step_int(step, "training_mode", 0) != 0;
    for (size_t i = 1; i < step->proto->n_output; i++) training |= step->proto->output[i][0] != '\0';
    if (training)
        return eg__step_refuse(step, "it is in training mode (export the network in inference mode)");
    if (in->rank < 2 || !eg__dimension_is(step->onnx, in, 1, EG_AXIS_C))
        return eg__step_refuse(step, "its input's second dimension is not the channels");
    status = add_like(step, &node, in);
    return status ? status : alias_by_weight(step, step->onnx->graph->n_nodes - 1, node.params[0]);
}

static enum eg_status lower_layer_norm(struct eg_reading *step)
{
    struct eg_node node = {.op = EG_OP_LAYER_NORM, .epsilon = eg__step_float(step, "epsilon", 1e-5f)};
    struct eg_value *in;
    unsigned axis;
    enum eg_status status = eg__step_layer(step, 0, &in);
    if (!status && given(step, 1)) status = parameter(step, 1, 1, NULL, &node.params[0]);
    if (!status && given(step, 2)) status = parameter(step, 2, 1, NULL, &node.params[1]);
    if (!status) status = eg__step_axis(step, eg__step_int(step, "axis", -1), in->rank, &axis);
    if (status) return status;
    if (axis != in->rank - 1 || !eg__dimension_is(step->onnx, in, axis, EG_AXIS_C))
        return eg__step_refuse(step, "engraft normalises over the channels only");
    status = add_like(step, &node, in);
    return status ? status : alias_by_weight(step, step->onnx->graph->n_nodes - 1, node.params[0]);
}

static enum eg_status lower_lrn(struct eg_reading *step)
{
    struct eg_value *in;
    int64_t size = eg__step_int(step, "size", 0);
    if (size < 1 || size > INT32_MAX) return eg__step_broken(step, "its size is %lld", (long long)size);
    struct eg_node node = {.op = EG_OP_LRN,
                           .size = (uint32_t)size,
                           .alpha = eg__step_float(step, "alpha", 1e-4f),
                           .beta = eg__step_float(step, "beta", 0.75f),
                           .bias = eg__step_float(step, "bias", 1)};
    enum eg_status status = eg__step_image(step, 0, &in);
    return status ? status : give_image(step, &node, in);
}

/* ---- element by element --------------------------------------------------------------------- */

static const struct {
    const char *op;
    enum eg_op ours;
    float alpha, beta;
} unary[] = {
    {"Relu", EG_OP_RELU, 0, 0},
    {"Sigmoid", EG_OP_SIGMOID, 0, 0},
    {"Tanh", EG_OP_TANH, 0, 0},
    {"Erf", EG_OP_ERF, 0, 0},
    {"Exp", EG_OP_EXP, 0, 0},
    {"Sqrt", EG_OP_SQRT, 0, 0},
    {"Abs", EG_OP_ABS, 0, 0},
    {"Sign", EG_OP_SIGN, 0, 0},
    {"Neg", EG_OP_NEG, 0, 0},
    {"Identity", EG_OP_IDENTITY, 0, 0},
    {"HardSwish", EG_OP_HARD_SWISH, 0, 0},
    {"LeakyRelu", EG_OP_LEAKY_RELU, 0.01f, 0},
    {"HardSigmoid", EG_OP_HARD_SIGMOID, 0.2f, 0.5f},
};

static enum eg_status lower_elementwise(struct eg_reading *step)
{
    for (size_t i = 0; i < sizeof unary / sizeof *unary; i++) {
        if (strcmp(step->proto->op_type, unary[i].op)) continue;
        struct eg_node node = {.op = unary[i].ours,
                               .alpha = eg__step_float(step, "alpha", unary[i].alpha),
                               .beta = eg__step_float(step, "beta", unary[i].beta)};
        return lower_unary(step, node);
    }
    return eg__step_refuse(step, "unknown");
}

static enum eg_status lower_gelu(struct eg_reading *step)
{
    return lower_unary(step, (struct eg_node){.op = eg__step_is(step, "approximate", "tanh") ? EG_OP_GELU_TANH
                                                                                             : EG_OP_GELU});
}

static enum eg_status lower_clip(struct eg_reading *step)
{
    struct eg_node node = {.op = EG_OP_CLIP};
    enum eg_status status = eg__step_number(step, 1, eg__step_float(step, "min", -INFINITY), &node.alpha);
    if (!status) status = eg__step_number(step, 2, eg__step_float(step, "max", INFINITY), &node.beta);
    return status ? status : lower_unary(step, node);
}

static enum eg_status lower_dropout(struct eg_reading *step)
{
    struct eg_node node = {.op = EG_OP_DROPOUT};
    float training;
    enum eg_status status = eg__step_number(step, 1, eg__step_float(step, "ratio", 0.5f), &node.alpha);
    if (!status) status = eg__step_number(step, 2, 0, &training);
    if (!status && training != 0 && node.alpha > 0)
        return eg__step_refuse(step, "it is in training mode (export the network in inference mode)");
    return status ? status : lower_unary(step, node);
}

/* Are the numbers of a node whole, or (truths) 0 and 1, whatever the image? `depth` bounds the look back. */
static bool is_whole(const struct eg_graph *graph, uint32_t index, bool truths, unsigned depth)
{
    const struct eg_node *node = &graph->nodes[index];
    unsigned first = 0;
    switch (node->op) {
    case EG_OP_LESS: return true;
    case EG_OP_ARG_MAX:
    case EG_OP_SIGN: return !truths;
    case EG_OP_CAST:
        if (node->size == EG_BOOL || (!truths && node->size != EG_F16 && node->size != EG_BF16)) return true;
        break;
    case EG_OP_WHERE: first = 1; break;
    case EG_OP_NEG:
    case EG_OP_ADD:
    case EG_OP_SUB:
        if (truths) return false;
        break;
    case EG_OP_MUL:
    case EG_OP_MAX:
    case EG_OP_MIN:
    case EG_OP_IDENTITY:
    case EG_OP_SLICE:
    case EG_OP_CONCAT:
    case EG_OP_FLATTEN: break;
    default: return false;
    }
    if (!depth || node->params[0]) return false;
    for (unsigned i = first; i < node->n_inputs; i++)
        if (!is_whole(graph, node->inputs[i], truths, depth - 1)) return false;
    return true;
}

/* What does not change the numbers is the same layer under another name. */
static enum eg_status lower_cast(struct eg_reading *step)
{
    enum { LOOK_BACK = 4 };
    enum eg_dtype dtype;
    if (!step->n_in || !step->in[0]) return eg__step_broken(step, "input 0 is missing");
    struct eg_value in = *step->in[0];
    enum eg_status status = eg__onnx_dtype(step->onnx, eg__step_int(step, "to", 0), &dtype);
    if (status) return status;
    bool half = dtype == EG_F16 || dtype == EG_BF16;
    if (dtype == EG_F32 || dtype == EG_F64 ||
        (!half && is_whole(step->onnx->graph, in.node, dtype == EG_BOOL, LOOK_BACK)))
        return eg__lower_identity(step);
    struct eg_node node = {.op = EG_OP_CAST, .size = dtype};
    return add_like(step, &node, &in);
}

static enum eg_status lower_softmax(struct eg_reading *step)
{
    struct eg_value *in;
    unsigned axis;
    enum eg_status status = eg__step_layer(step, 0, &in);
    if (!status)
        status =
            eg__step_axis(step, eg__step_int(step, "axis", step->onnx->opset < 13 ? 1 : -1), in->rank, &axis);
    if (status) return status;
    struct eg_map shape = eg__map(step->onnx->graph->nodes[in->node].shape);
    if (!eg__dimension_is(step->onnx, in, axis, EG_AXIS_C) ||
        (step->onnx->opset < 13 && axis + 1 != in->rank && shape.h * shape.w != 1))
        return eg__step_refuse(step, "it runs along dimension %u, engraft's along the channels", axis);
    struct eg_node node = {.op = EG_OP_SOFTMAX};
    return add_like(step, &node, in);
}

static enum eg_status lower_arg_max(struct eg_reading *step)
{
    struct eg_value *in;
    unsigned axis;
    enum eg_status status = eg__step_layer(step, 0, &in);
    if (!status) status = eg__step_axis(step, eg__step_int(step, "axis", 0), in->rank, &axis);
    if (status) return status;
    if (!eg__dimension_is(step->onnx, in, axis, EG_AXIS_C) || eg__step_int(step, "select_last_index", 0))
        return eg__step_refuse(step, "engraft's finds the first largest channel only");
    struct eg_node node = {.op = EG_OP_ARG_MAX};
    status = add_like(step, &node, in);
    struct eg_value *out = eg__step_output(step, 0);
    if (status) return status;
    if (!out) return eg__step_memory(step);
    out->dim[axis].n = 0;
    if (!eg__step_int(step, "keepdims", 1)) {
        memmove(&out->dim[axis], &out->dim[axis + 1], (out->rank - 1 - axis) * sizeof out->dim[0]);
        out->rank--;
    }
    return EG_OK;
}

/* ---- two values --------------------------------------------------------------------------- */

/* A constant beside a layer: its dimensions are the layer's last ones. To [h][w][c], [c] or one number. */
static enum eg_status constant_operand(struct eg_reading *step, struct eg_value *layer,
                                       const struct eg_value *constant, const struct eg_tensor **tensor)
{
    const struct eg_tensor *from = &constant->tensor;
    struct eg_tensor made = {
        .name = from->name, .data = from->data, .dtype = from->dtype, .rank = 3, .dim = {1, 1, 1}};
    while (layer->rank < from->rank) { /* the result has as many dimensions as the constant */
        memmove(&layer->dim[1], &layer->dim[0], layer->rank * sizeof layer->dim[0]);
        layer->dim[0].n = 0;
        layer->rank++;
    }
    for (unsigned i = 0; i < from->rank; i++) {
        unsigned at = layer->rank - from->rank + i;
        if (from->dim[i] == 1) continue;
        bool h = eg__dimension_is(step->onnx, layer, at, EG_AXIS_H),
             w = eg__dimension_is(step->onnx, layer, at, EG_AXIS_W);
        bool c = eg__dimension_is(step->onnx, layer, at, EG_AXIS_C);
        if (!layer->dim[at].n || !(h || w || c) || eg__value_extent(step->onnx, layer, at) != from->dim[i])
            return eg__step_refuse(step, "its constant of %zu numbers does not fit dimension %u",
                                   from->dim[i], at);
        unsigned to = h ? 0 : w ? 1 : 2;
        made.dim[to] = from->dim[i];
        made.stride[to] = from->stride[i];
    }
    if (made.dim[0] == 1 && made.dim[1] == 1) {
        made.rank = from->rank ? 1 : 0;
        made.dim[0] = made.dim[2];
        made.stride[0] = made.stride[2];
    }
    *tensor = eg__graph_tensor(step->onnx->graph, &made);
    return *tensor ? EG_OK : eg__step_memory(step);
}

/* The dimensions of a value spread over another's. */
static enum eg_status join_dimensions(struct eg_reading *step, const struct eg_value *a,
                                      const struct eg_value *b, struct eg_value *joined)
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
        if (!from->n || (to->n == 1 && to->part[0].axis == from->part[0].axis)) continue;
        return eg__step_refuse(step, "its inputs have their dimensions in different orders");
    }
    unsigned seen = 0; /* [n][c][1][1] and [n][1][1][c] make a table of c by c, not c sums */
    for (unsigned i = 0; i < joined->rank; i++) {
        if (!joined->dim[i].n) continue;
        if (seen & 1u << joined->dim[i].part[0].axis)
            return eg__step_refuse(step, "its inputs have their dimensions in different orders");
        seen |= 1u << joined->dim[i].part[0].axis;
    }
    return EG_OK;
}

static enum eg_status two_layers(struct eg_reading *step, enum eg_op op, unsigned first, unsigned second,
                                 struct eg_value *result)
{
    struct eg_value *a, *b, joined;
    enum eg_status status = eg__step_layer(step, first, &a);
    if (!status) status = eg__step_layer(step, second, &b);
    if (!status) status = join_dimensions(step, a, b, &joined);
    if (status) return status;
    struct eg_node node = {.op = op, .n_inputs = 2, .inputs = {a->node, b->node}};
    uint32_t index;
    if ((status = eg__step_add(step, &node, &index))) return status;
    eg__value_set_like(step->onnx, result, index, &joined, -1);
    return EG_OK;
}

static const struct {
    const char *op;
    enum eg_op ours;
    bool turned;
} binary[] = {
    {"Add", EG_OP_ADD, false}, {"Sum", EG_OP_ADD, false},   {"Sub", EG_OP_SUB, false},
    {"Mul", EG_OP_MUL, false}, {"Div", EG_OP_DIV, false},   {"Max", EG_OP_MAX, false},
    {"Min", EG_OP_MIN, false}, {"Less", EG_OP_LESS, false}, {"Greater", EG_OP_LESS, true},
};

static enum eg_status with_constant(struct eg_reading *step, enum eg_op op, bool turned, unsigned layer_input)
{
    struct eg_value *in;
    enum eg_status status = eg__step_layer(step, layer_input, &in);
    if (status) return status;
    struct eg_value layer = *in;
    struct eg_node node = {.op = op, .swapped = (layer_input == 1) != turned};
    if (op == EG_OP_ADD || op == EG_OP_MUL || op == EG_OP_MAX || op == EG_OP_MIN) node.swapped = false;
    status = constant_operand(step, &layer, step->in[1 - layer_input], &node.params[0]);
    return status ? status : add_like(step, &node, &layer);
}

static eg_lower_fn lower_binary;

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
        enum eg_status status = lower_binary(&pair);
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
        if (value->is_constant ? dtype < EG_I64 : !is_whole(step->onnx->graph, value->node, false, 1))
            return false;
    }
    return true;
}

static enum eg_status lower_binary(struct eg_reading *step)
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
    return two_layers(step, op, binary[row].turned, !binary[row].turned, out);
}

static enum eg_status lower_pow(struct eg_reading *step)
{
    struct eg_node node = {.op = EG_OP_POW};
    enum eg_status status = eg__step_number(step, 1, 1, &node.alpha);
    return status ? status : lower_unary(step, node);
}

static enum eg_status lower_reciprocal(struct eg_reading *step)
{
    static const float one = 1;
    struct eg_node node = {.op = EG_OP_DIV, .swapped = true};
    node.params[0] = eg__graph_constant(step->onnx->graph, NULL, 1, (size_t[]){1}, &one);
    return node.params[0] ? lower_unary(step, node) : eg__step_memory(step);
}

/* One of several layers that an operator becomes; only the last has its name. */
static enum eg_status add_part(struct eg_reading *step, enum eg_op op, uint32_t input,
                               const struct eg_tensor *constant, uint32_t *index)
{
    struct eg_reading part = *step;
    struct eg_node node = {.op = op, .n_inputs = 1, .inputs = {input}, .params = {constant}};
    char label[256];
    snprintf(label, sizeof label, "%.200s/%s", step->label, eg__op_info[op].text);
    part.label = label;
    return eg__step_add(&part, &node, index);
}

static const struct eg_tensor *one_number(struct eg_reading *step, float number)
{
    return eg__graph_constant(step->onnx->graph, NULL, 0, NULL, &number);
}

/* max(x, 0) + what becomes of min(x, 0): PRelu a slope a channel, Elu alpha (exp - 1). */
static enum eg_status lower_two_sided(struct eg_reading *step)
{
    const bool elu = !strcmp(step->proto->op_type, "Elu");
    struct eg_value *in;
    enum eg_status status = eg__step_layer(step, 0, &in);
    if (status) return status;
    if (!elu && (!given(step, 1) || !step->in[1]->is_constant))
        return eg__step_refuse(step, "its slope is not a constant");
    struct eg_value layer = *in;
    const struct eg_tensor *zero = one_number(step, 0), *factor = NULL;
    if (elu)
        factor = one_number(step, eg__step_float(step, "alpha", 1));
    else
        status = constant_operand(step, &layer, step->in[1], &factor);
    if (!status && (!zero || !factor)) status = eg__step_memory(step);
    struct eg_node sum = {.op = EG_OP_ADD, .n_inputs = 2};
    uint32_t low = 0;
    if (!status) status = add_part(step, EG_OP_RELU, layer.node, NULL, &sum.inputs[0]);
    if (!status) status = add_part(step, EG_OP_MIN, layer.node, zero, &low);
    if (!status && elu) status = add_part(step, EG_OP_EXP, low, NULL, &low);
    if (!status) status = add_part(step, EG_OP_MUL, low, factor, &low);
    if (!status && elu) status = add_part(step, EG_OP_SUB, low, factor, &low);
    sum.inputs[1] = low;
    uint32_t index;
    if (!status) status = eg__step_add(step, &sum, &index);
    if (status) return status;
    struct eg_value *out = eg__step_output(step, 0);
    if (!out) return eg__step_memory(step);
    eg__value_set_like(step->onnx, out, index, &layer, -1);
    return EG_OK;
}

static enum eg_status lower_where(struct eg_reading *step)
{
    struct eg_node node = {.op = EG_OP_WHERE, .n_inputs = 3};
    struct eg_value *value, joined = {0};
    enum eg_status status;
    for (unsigned i = 0; i < 3; i++) {
        if ((status = eg__step_layer(step, i, &value))) return status;
        node.inputs[i] = value->node;
        struct eg_value before = joined;
        if (!i)
            joined = *value;
        else if ((status = join_dimensions(step, &before, value, &joined)))
            return status;
    }
    uint32_t index;
    status = eg__step_add(step, &node, &index);
    struct eg_value *out = eg__step_output(step, 0);
    if (status) return status;
    if (!out) return eg__step_memory(step);
    eg__value_set_like(step->onnx, out, index, &joined, -1);
    return EG_OK;
}

/* ---- the table ---------------------------------------------------------------------------- */

static const struct {
    const char *op;
    eg_lower_fn *lower;
} rows[] = {
    {"Conv", lower_conv},
    {"Relu", lower_elementwise},
    {"Add", lower_binary},
    {"BatchNormalization", lower_batch_norm},
    {"MaxPool", lower_pool},
    {"AveragePool", lower_pool},
    {"GlobalAveragePool", lower_global_pool},
    {"GlobalMaxPool", lower_global_pool},
    {"Concat", eg__lower_concat},
    {"Gemm", lower_gemm},
    {"MatMul", lower_matmul},
    {"Flatten", eg__lower_flatten},
    {"Reshape", eg__lower_reshape},
    {"Transpose", eg__lower_transpose},
    {"Squeeze", eg__lower_squeeze},
    {"Unsqueeze", eg__lower_unsqueeze},
    {"Identity", lower_elementwise},
    {"Dropout", lower_dropout},
    {"Clip", lower_clip},
    {"Softmax", lower_softmax},
    {"LeakyRelu", lower_elementwise},
    {"Sigmoid", lower_elementwise},
    {"HardSigmoid", lower_elementwise},
    {"HardSwish", lower_elementwise},
    {"Tanh", lower_elementwise},
    {"Erf", lower_elementwise},
    {"Exp", lower_elementwise},
    {"Sqrt", lower_elementwise},
    {"Abs", lower_elementwise},
    {"Sign", lower_elementwise},
    {"Neg", lower_elementwise},
    {"Gelu", lower_gelu},
    {"Pow", lower_pow},
    {"Reciprocal", lower_reciprocal},
    {"PRelu", lower_two_sided},
    {"Elu", lower_two_sided},
    {"Sum", lower_binary},
    {"Sub", lower_binary},
    {"Mul", lower_binary},
    {"Div", lower_binary},
    {"Max", lower_binary},
    {"Min", lower_binary},
    {"Less", lower_binary},
    {"Greater", lower_binary},
    {"Where", lower_where},
    {"ReduceMean", eg__lower_reduce},
    {"ReduceSum", eg__lower_reduce},
    {"ReduceMax", eg__lower_reduce},
    {"ArgMax", lower_arg_max},
    {"Pad", lower_pad},
    {"Slice", eg__lower_slice},
    {"Split", eg__lower_split},
    {"Gather", eg__lower_gather},
    {"LayerNormalization", lower_layer_norm},
    {"LRN", lower_lrn},
    {"Cast", lower_cast},
    {"TreeEnsembleClassifier", eg__lower_trees},
};

enum eg_status eg__lower(struct eg_reading *step)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (!strcmp(rows[i].op, step->proto->op_type)) return rows[i].lower(step);
    return eg__step_refuse(step, "engraft does not know this operator (cut the network before it, or export "
                                 "without it)");
}
