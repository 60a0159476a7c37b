/* onnx_lower.c: ONNX operators on layers to ours, one row of the table each. Every row finds
 * its inputs settled, fills in a node, and says which dimensions the result has. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "onnx/onnx_private.h"

enum eg_status eg__step_add_like(struct eg_reading *step, struct eg_node *node, struct eg_value *in)
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
    return status ? status : eg__step_add_like(step, &node, in);
}

enum eg_status eg__step_add_part(struct eg_reading *step, enum eg_op op, uint32_t input,
                                 const struct eg_tensor *constant, uint32_t *index)
{
    struct eg_reading part = *step;
    struct eg_node node = {.op = op, .n_inputs = 1, .inputs = {input}, .params = {constant}};
    char label[256];
    snprintf(label, sizeof label, "%.200s/%s", step->label, eg__op_info[op].text);
    part.label = label;
    return eg__step_add(&part, &node, index);
}

/* ---- parameters ----------------------------------------------------------------------- */

enum eg_status eg__step_parameter(struct eg_reading *step, unsigned input, unsigned rank,
                                  const uint8_t *order, const struct eg_tensor **tensor)
{
    static const uint8_t same[EG_RANK_MAX] = {0, 1, 2, 3, 4, 5, 6, 7};
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

bool eg__step_given(const struct eg_reading *step, unsigned input)
{
    return input < step->n_in && step->in[input];
}

enum eg_status eg__step_alias_by_weight(struct eg_reading *step, uint32_t index,
                                        const struct eg_tensor *weight)
{
    static const char *const endings[] = {".weight", ".bias", "/kernel", "/kernel:0", "/gamma", "/gamma:0"};
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

enum eg_status eg__step_window(struct eg_reading *step, struct eg_window *window)
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

enum eg_status eg__step_give_image(struct eg_reading *step, struct eg_node *node, struct eg_value *in)
{
    uint32_t index;
    node->n_inputs = 1;
    node->inputs[0] = in->node;
    enum eg_status status = eg__step_add(step, node, &index);
    struct eg_value *out = eg__step_output(step, 0);
    if (status) return status;
    if (!out) return eg__step_memory(step);
    eg__value_set(step->onnx, out, index, "nchw");
    return eg__step_alias_by_weight(step, index, node->params[0]);
}

/* Filters, [..][h][w] by `order`, a bias, the window and the groups, of a convolution either way. */
enum eg_status eg__step_filters(struct eg_reading *step, const uint8_t order[4], struct eg_node *node)
{
    enum eg_status status = eg__step_parameter(step, 1, 4, order, &node->params[0]);
    if (!status && eg__step_given(step, 2)) status = eg__step_parameter(step, 2, 1, NULL, &node->params[1]);
    if (status) return status;
    const size_t *dim = node->params[0]->dim;
    if (dim[1] > INT32_MAX || dim[2] > INT32_MAX) return eg__step_broken(step, "its kernel is too large");
    node->window.kernel_h = (uint32_t)dim[1];
    node->window.kernel_w = (uint32_t)dim[2];
    if ((status = eg__step_window(step, &node->window))) return status;
    const int64_t groups = eg__step_int(step, "group", 1);
    if (groups < 1 || groups > INT32_MAX) return eg__step_broken(step, "%lld groups", (long long)groups);
    node->groups = (uint32_t)groups;
    return EG_OK;
}

static enum eg_status lower_conv(struct eg_reading *step)
{
    static const uint8_t from_oihw[4] = {0, 2, 3, 1};
    struct eg_node node = {.op = EG_OP_CONV};
    struct eg_value *in;
    enum eg_status status = eg__step_image(step, 0, &in);
    if (!status) status = eg__step_filters(step, from_oihw, &node);
    return status ? status : eg__step_give_image(step, &node, in);
}

static enum eg_status lower_pool(struct eg_reading *step)
{
    bool max = step->proto->op_type[0] == 'M';
    struct eg_node node = {.op = max ? EG_OP_MAX_POOL : EG_OP_AVG_POOL};
    struct eg_value *in;
    enum eg_status status = eg__step_image(step, 0, &in);
    if (!status) status = eg__step_window(step, &node.window);
    if (status) return status;
    if (eg__step_output(step, 1)) return eg__step_refuse(step, "its output of indices is used");
    if (eg__step_int(step, "storage_order", 0)) return eg__step_refuse(step, "storage_order 1");
    node.ceil_mode = eg__step_int(step, "ceil_mode", 0) != 0;
    node.count_include_pad = eg__step_int(step, "count_include_pad", 0) != 0;
    return eg__step_give_image(step, &node, in);
}

static enum eg_status lower_global_pool(struct eg_reading *step)
{
    struct eg_node node = {.op = step->proto->op_type[6] == 'A' ? EG_OP_GLOBAL_AVG : EG_OP_GLOBAL_MAX};
    struct eg_value *in;
    enum eg_status status = eg__step_image(step, 0, &in);
    return status ? status : eg__step_give_image(step, &node, in);
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
    uint32_t axis;
    bool is_map = true;
    for (unsigned i = 0; i < in->rank; i++)
        if (pads[i] || pads[in->rank + i])
            is_map &= in->dim[i].n == 1 &&
                      (in->dim[i].part[0].axis == EG_AXIS_H || in->dim[i].part[0].axis == EG_AXIS_W);
    const bool as_image = !is_map && in->rank == 4; /* a side of 1, which gets longer, too */
    if (as_image && (status = eg__step_image(step, 0, &in))) return status;
    for (unsigned i = 0; i < in->rank; i++) {
        int64_t before = pads[i], after = pads[in->rank + i];
        if (!before && !after) continue;
        if (before < 0 || after < 0 || before > INT32_MAX || after > INT32_MAX)
            return eg__step_refuse(step, "negative padding");
        if (!eg__dimension_axis(step->onnx, in, i, &axis) || (axis != EG_AXIS_H && axis != EG_AXIS_W))
            return eg__step_refuse(step, "it pads dimension %u, engraft pads rows and columns only", i);
        const bool h = axis == EG_AXIS_H;
        *(h ? &node.window.pad_top : &node.window.pad_left) = (uint32_t)before;
        *(h ? &node.window.pad_bottom : &node.window.pad_right) = (uint32_t)after;
    }
    return as_image ? eg__step_give_image(step, &node, in) : eg__step_add_like(step, &node, in);
}

/* ---- normalisation ------------------------------------------------------------------------ */

static enum eg_status lower_batch_norm(struct eg_reading *step)
{
    struct eg_node node = {.op = EG_OP_BATCH_NORM, .epsilon = eg__step_float(step, "epsilon", 1e-5f)};
    struct eg_value *in;
    enum eg_status status = eg__step_layer(step, 0, &in);
    for (unsigned i = 0; i < 4 && !status; i++)
        status = eg__step_parameter(step, i + 1, 1, NULL, &node.params[i]);
    if (status) return status;
    bool training = eg__step_int(step, "training_mode", 0) != 0;
    for (size_t i = 1; i < step->proto->n_output; i++) training |= step->proto->output[i][0] != '\0';
    if (training)
        return eg__step_refuse(step, "it is in training mode (export the network in inference mode)");
    if (in->rank < 2) return eg__step_refuse(step, "its input has no channels");
    if ((status = eg__step_last(step, 0, 1, &in))) return status;
    status = eg__step_add_like(step, &node, in);
    return status ? status : eg__step_alias_by_weight(step, step->onnx->graph->n_nodes - 1, node.params[0]);
}

static enum eg_status lower_layer_norm(struct eg_reading *step)
{
    struct eg_node node = {.op = EG_OP_LAYER_NORM, .epsilon = eg__step_float(step, "epsilon", 1e-5f)};
    struct eg_value *in;
    unsigned axis;
    enum eg_status status = eg__step_layer(step, 0, &in);
    if (!status && eg__step_given(step, 1)) status = eg__step_parameter(step, 1, 1, NULL, &node.params[0]);
    if (!status && eg__step_given(step, 2)) status = eg__step_parameter(step, 2, 1, NULL, &node.params[1]);
    if (!status) status = eg__step_axis(step, eg__step_int(step, "axis", -1), in->rank, &axis);
    if (status) return status;
    if (axis != in->rank - 1) return eg__step_refuse(step, "it normalises over several dimensions at once");
    if ((status = eg__step_last(step, 0, axis, &in))) return status;
    status = eg__step_add_like(step, &node, in);
    return status ? status : eg__step_alias_by_weight(step, step->onnx->graph->n_nodes - 1, node.params[0]);
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
    return status ? status : eg__step_give_image(step, &node, in);
}

/* ---- element by element --------------------------------------------------------------------- */

/* Operators that are the same in ONNX (`unary` in ops.def); attributes that are absent. */
static const struct {
    const char *op, *write;
    enum eg_op ours;
} same[] = {
#define EG_OP(name, text, onnx, least, most, shape, run, grad, write, cut, ...) {onnx, #write, EG_OP_##name},
#include "graph/ops.def"
#undef EG_OP
};

static enum eg_status lower_elementwise(struct eg_reading *step)
{
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        if (!same[i].op || strcmp(step->proto->op_type, same[i].op)) continue;
        const bool leaky = same[i].ours == EG_OP_LEAKY_RELU, hard = same[i].ours == EG_OP_HARD_SIGMOID;
        struct eg_node node = {.op = same[i].ours,
                               .alpha = eg__step_float(step, "alpha",
                                                       leaky  ? 0.01f
                                                       : hard ? 0.2f
                                                              : 0),
                               .beta = eg__step_float(step, "beta", hard ? 0.5f : 0)};
        return lower_unary(step, node);
    }
    return eg__step_refuse(step, "engraft does not know this operator (cut the network before it, or export "
                                 "without it)");
}

static enum eg_status lower_mish(struct eg_reading *step)
{
    return lower_unary(step, (struct eg_node){.op = EG_OP_MISH});
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

bool eg__is_whole(const struct eg_graph *graph, uint32_t index, bool truths, unsigned depth)
{
    const struct eg_node *node = &graph->nodes[index];
    unsigned first = 0;
    switch (node->op) {
    case EG_OP_LESS:
    case EG_OP_EQUAL: return true;
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
        if (!eg__is_whole(graph, node->inputs[i], truths, depth - 1)) return false;
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
        (!half && eg__is_whole(step->onnx->graph, in.node, dtype == EG_BOOL, LOOK_BACK)))
        return eg__lower_identity(step);
    struct eg_node node = {.op = EG_OP_CAST, .size = dtype};
    return eg__step_add_like(step, &node, &in);
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

static const struct eg_tensor *one_number(struct eg_reading *step, float number)
{
    return eg__graph_constant(step->onnx->graph, NULL, 0, NULL, &number);
}

/* Elu, Selu and Celu are one family: x < 0 ? alpha (e^(x beta) - 1) : x, times a number for Selu. */
static enum eg_status lower_elu(struct eg_reading *step)
{
    const char *op = step->proto->op_type;
    const bool selu = op[0] == 'S';
    struct eg_node node = {.op = EG_OP_ELU, .beta = 1};
    node.alpha = eg__step_float(step, "alpha", selu ? 1.67326319217681884765625f : 1);
    if (op[0] == 'C') node.beta = 1 / node.alpha;
    if (!selu) return lower_unary(step, node);
    struct eg_value *in;
    enum eg_status status = eg__step_layer(step, 0, &in);
    if (status) return status;
    struct eg_value made = *in;
    struct eg_node elu = {
        .op = EG_OP_ELU, .alpha = node.alpha, .beta = 1, .n_inputs = 1, .inputs = {in->node}};
    struct eg_reading part = *step;
    char label[256];
    snprintf(label, sizeof label, "%.200s/elu", step->label);
    part.label = label;
    struct eg_node scale = {.op = EG_OP_MUL};
    scale.params[0] = one_number(step, eg__step_float(step, "gamma", 1.05070102214813232421875f));
    if (!scale.params[0]) return eg__step_memory(step);
    status = eg__step_add(&part, &elu, &made.node);
    return status ? status : eg__step_add_like(step, &scale, &made);
}

/* ---- the table ---------------------------------------------------------------------------- */

static const struct {
    const char *op;
    eg_lower_fn *lower;
} rows[] = {
    {"Conv", lower_conv},
    {"Add", eg__lower_binary},
    {"BatchNormalization", lower_batch_norm},
    {"MaxPool", lower_pool},
    {"AveragePool", lower_pool},
    {"GlobalAveragePool", lower_global_pool},
    {"GlobalMaxPool", lower_global_pool},
    {"Concat", eg__lower_concat},
    {"Gemm", eg__lower_gemm},
    {"MatMul", eg__lower_matmul},
    {"Flatten", eg__lower_flatten},
    {"Reshape", eg__lower_reshape},
    {"Transpose", eg__lower_transpose},
    {"Squeeze", eg__lower_squeeze},
    {"Unsqueeze", eg__lower_unsqueeze},
    {"Identity", lower_elementwise},
    {"Dropout", lower_dropout},
    {"Clip", lower_clip},
    {"Softmax", eg__lower_softmax},
    {"LeakyRelu", lower_elementwise},
    {"HardSigmoid", lower_elementwise},
    {"Gelu", lower_gelu},
    {"Pow", lower_pow},
    {"Reciprocal", lower_reciprocal},
    {"PRelu", eg__lower_prelu},
    {"Elu", lower_elu},
    {"Selu", lower_elu},
    {"Celu", lower_elu},
    {"Mish", lower_mish},
    {"Sum", eg__lower_binary},
    {"Sub", eg__lower_binary},
    {"Mul", eg__lower_binary},
    {"Div", eg__lower_binary},
    {"Max", eg__lower_binary},
    {"Min", eg__lower_binary},
    {"Less", eg__lower_binary},
    {"Greater", eg__lower_binary},
    {"Equal", eg__lower_binary},
    {"Where", eg__lower_where},
    {"ReduceMean", eg__lower_reduce},
    {"ReduceSum", eg__lower_reduce},
    {"ReduceMax", eg__lower_reduce},
    {"ReduceMin", eg__lower_reduce},
    {"ReduceProd", eg__lower_reduce},
    {"ReduceL1", eg__lower_reduce},
    {"ReduceL2", eg__lower_reduce},
    {"ReduceSumSquare", eg__lower_reduce},
    {"ReduceLogSum", eg__lower_reduce},
    {"ArgMax", eg__lower_arg_max},
    {"Pad", lower_pad},
    {"Slice", eg__lower_slice},
    {"Split", eg__lower_split},
    {"Gather", eg__lower_gather},
    {"Resize", eg__lower_resize},
    {"Upsample", eg__lower_resize},
    {"ConvTranspose", eg__lower_conv_transpose},
    {"CumSum", eg__lower_cum_sum},
    {"Expand", eg__lower_expand},
    {"LayerNormalization", lower_layer_norm},
    {"LRN", lower_lrn},
    {"Cast", lower_cast},
    {"TreeEnsembleClassifier", eg__lower_trees},
};

enum eg_status eg__lower(struct eg_reading *step)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (!strcmp(rows[i].op, step->proto->op_type)) return rows[i].lower(step);
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        if (same[i].op && !strcmp(same[i].op, step->proto->op_type) && !strcmp(same[i].write, "unary"))
            return lower_elementwise(step);
    return eg__step_refuse(step, "engraft does not know this operator (cut the network before it, or export "
                                 "without it)");
}
