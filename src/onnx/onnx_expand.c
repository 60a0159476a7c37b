/* onnx_expand.c: writing nodes for an operator, the table of those that are written so, and the rows of
 * normalisations and rearrangements. */
#include "onnx/onnx_expand.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"

enum { MOST_INPUTS = 12, MOST_ATTRIBUTES = 8 };

/* ---- writing ---------------------------------------------------------------------------- */

static const char *new_name(struct eg_emit *e)
{
    char text[600];
    const EgOnnx__NodeProto *proto = e->step->proto;
    snprintf(text, sizeof text, "%.500s/%s.%u", proto->n_output ? proto->output[0] : "", proto->op_type,
             e->n++);
    char *name = e->status ? NULL : eg__graph_string(e->step->onnx->graph, text);
    if (!name && !e->status) e->status = eg__step_memory(e->step);
    return name ? name : "";
}

static void fill_attribute(EgOnnx__AttributeProto *a, const struct eg_with *with)
{
    enum { FLOAT_TYPE = 1, INT_TYPE, STRING_TYPE, INTS_TYPE = 7 };
    *a = (EgOnnx__AttributeProto)EG_ONNX__ATTRIBUTE_PROTO__INIT;
    a->name = (char *)with->name;
    a->has_type = 1;
    if (with->s) {
        a->type = STRING_TYPE;
        a->has_s = 1;
        a->s.data = (uint8_t *)with->s;
        a->s.len = strlen(with->s);
    } else if (with->ints) {
        a->type = INTS_TYPE;
        a->ints = (int64_t *)with->ints;
        a->n_ints = with->n_ints;
    } else if (with->is_float) {
        a->type = FLOAT_TYPE;
        a->has_f = 1;
        a->f = with->f;
    } else {
        a->type = INT_TYPE;
        a->has_i = 1;
        a->i = with->i;
    }
}

static void write_node(struct eg_emit *e, const char *label, const char *output, const char *op,
                       const char *const *in, const struct eg_with *with)
{
    EgOnnx__NodeProto node = EG_ONNX__NODE_PROTO__INIT;
    EgOnnx__AttributeProto attribute[MOST_ATTRIBUTES], *attributes[MOST_ATTRIBUTES];
    if (e->status) return;
    while (with && with[node.n_attribute].name && node.n_attribute < MOST_ATTRIBUTES) {
        fill_attribute(&attribute[node.n_attribute], &with[node.n_attribute]);
        attributes[node.n_attribute] = &attribute[node.n_attribute];
        node.n_attribute++;
    }
    while (in[node.n_input] && node.n_input < MOST_INPUTS) node.n_input++;
    char *outputs[1] = {(char *)output};
    node.attribute = attributes;
    node.input = (char **)in;
    node.output = outputs;
    node.n_output = 1;
    node.op_type = (char *)op;
    e->status = eg__step_read(e->step->onnx, &node, label);
}

const char *eg__emit(struct eg_emit *e, const char *op, const char *const *in, const struct eg_with *with)
{
    const char *name = new_name(e);
    write_node(e, name, name, op, in, with);
    return name;
}

enum eg_status eg__emit_as(struct eg_emit *e, unsigned output, const char *op, const char *const *in,
                           const struct eg_with *with)
{
    const EgOnnx__NodeProto *proto = e->step->proto;
    if (output >= proto->n_output || !proto->output[output][0]) return e->status;
    write_node(e, output ? proto->output[output] : e->step->label, proto->output[output], op, in, with);
    return e->status;
}

static const char *new_constant(struct eg_emit *e, enum eg_dtype dtype, unsigned rank, size_t n,
                                const void *numbers)
{
    const char *name = new_name(e);
    struct eg_tensor tensor;
    void *data;
    if (!e->status) e->status = eg__onnx_new_tensor(e->step->onnx, dtype, rank, &n, &tensor, &data);
    struct eg_value *value = e->status ? NULL : eg__onnx_value(e->step->onnx, name);
    if (!value && !e->status) e->status = eg__step_memory(e->step);
    if (e->status) return "";
    memcpy(data, numbers, n * eg__dtype_size(dtype));
    value->is_constant = value->is_defined = true;
    value->tensor = tensor;
    return name;
}

const char *eg__emit_ints(struct eg_emit *e, const int64_t *numbers, size_t n)
{
    return new_constant(e, EG_I64, 1, n, numbers);
}

const char *eg__emit_number(struct eg_emit *e, float number)
{
    return new_constant(e, EG_F32, 0, 1, &number);
}

const char *eg__emit_in(const struct eg_emit *e, unsigned input)
{
    return input < e->step->proto->n_input ? e->step->proto->input[input] : "";
}

unsigned eg__emit_rank(const struct eg_emit *e, unsigned input)
{
    const struct eg_value *value = input < e->step->n_in ? e->step->in[input] : NULL;
    return !value ? 0 : value->is_constant ? value->tensor.rank : value->rank;
}

size_t eg__emit_extent(const struct eg_emit *e, unsigned input, unsigned dimension)
{
    const struct eg_value *value = e->step->in[input];
    return value->is_constant ? value->tensor.dim[dimension]
                              : eg__value_extent(e->step->onnx, value, dimension);
}

static const char *in(const struct eg_emit *e, unsigned input) { return eg__emit_in(e, input); }

static bool has(const struct eg_emit *e, unsigned input) { return *eg__emit_in(e, input) != '\0'; }

/* ---- normalisations ------------------------------------------------------------------------ */

static const char *reduced(struct eg_emit *e, const char *op, const char *x, const int64_t *axes, size_t n)
{
    if (e->step->onnx->opset >= 18 || !strcmp(op, "ReduceSum"))
        return emit(e, op, IN(x, eg__emit_ints(e, axes, n)), WITH(INT("keepdims", 1)));
    return emit(e, op, IN(x), WITH(INTS("axes", axes, n), INT("keepdims", 1)));
}

/* (x - mean) / sqrt(variance + epsilon) over those axes; without the mean: x / sqrt(mean of squares +
 * epsilon) */
static const char *normalised(struct eg_emit *e, const char *x, const int64_t *axes, size_t n, float epsilon,
                              bool centred)
{
    if (centred) x = emit2(e, "Sub", x, reduced(e, "ReduceMean", x, axes, n));
    const char *variance = reduced(e, "ReduceMean", emit2(e, "Mul", x, x), axes, n);
    const char *sum = emit2(e, "Add", variance, eg__emit_number(e, epsilon));
    return emit2(e, "Div", x, emit1(e, "Sqrt", sum));
}

static const char *reshaped(struct eg_emit *e, const char *x, const int64_t *shape, size_t n)
{
    return emit(e, "Reshape", IN(x, eg__emit_ints(e, shape, n)), NULL);
}

/* [c] as [c][1][1]..., beside [n][c][...] of that rank */
static const char *along_channels(struct eg_emit *e, const char *vector, unsigned rank)
{
    int64_t shape[EG_RANK_MAX] = {-1, 1, 1, 1, 1, 1, 1, 1};
    return reshaped(e, vector, shape, rank > 1 ? rank - 1 : 1);
}

static size_t axes_from(int64_t *axes, unsigned first, unsigned rank)
{
    for (unsigned i = first; i < rank; i++) axes[i - first] = i;
    return rank > first ? rank - first : 0;
}

static enum eg_status scaled_and_shifted(struct eg_emit *e, const char *x, const char *scale,
                                         const char *shift)
{
    if (!*shift) return eg__emit_as(e, 0, "Mul", IN(x, scale), NULL);
    return eg__emit_as(e, 0, "Add", IN(emit2(e, "Mul", x, scale), shift), NULL);
}

static enum eg_status expand_instance_norm(struct eg_emit *e)
{
    int64_t axes[EG_RANK_MAX];
    unsigned rank = eg__emit_rank(e, 0);
    if (rank < 3 || !has(e, 2)) return eg__step_broken(e->step, "its input has %u dimensions", rank);
    const char *x = normalised(e, in(e, 0), axes, axes_from(axes, 2, rank),
                               eg__step_float(e->step, "epsilon", 1e-5f), true);
    return scaled_and_shifted(e, x, along_channels(e, in(e, 1), rank), along_channels(e, in(e, 2), rank));
}

static enum eg_status expand_group_norm(struct eg_emit *e)
{
    unsigned rank = eg__emit_rank(e, 0);
    int64_t groups = eg__step_int(e->step, "num_groups", 0), shape[EG_RANK_MAX], axes[1] = {2};
    if (rank < 3 || groups < 1 || !has(e, 2))
        return eg__step_broken(e->step, "it has %lld groups", (long long)groups);
    for (unsigned i = 0; i < rank; i++) shape[i] = (int64_t)eg__emit_extent(e, 0, i);
    const int64_t channels = shape[1], grouped[3] = {0, groups, -1};
    if (channels % groups)
        return eg__step_broken(e->step, "%lld channels in %lld groups", (long long)channels,
                               (long long)groups);
    shape[0] = 0; /* the batch, as it is */
    const char *x = normalised(e, reshaped(e, in(e, 0), grouped, 3), axes, 1,
                               eg__step_float(e->step, "epsilon", 1e-5f), true);
    x = reshaped(e, x, shape, rank);
    const char *vector[2];
    for (unsigned i = 0; i < 2; i++) {
        vector[i] = in(e, i + 1);
        if (eg__emit_rank(e, i + 1) == 1 && eg__emit_extent(e, i + 1, 0) == (size_t)groups &&
            groups != channels) {
            const char *column =
                reshaped(e, vector[i], LIST(groups, 1), 2); /* before opset 21: one a group */
            vector[i] = reshaped(e, emit2(e, "Expand", column, ints(e, groups, channels / groups)),
                                 LIST(channels), 1);
        }
        vector[i] = along_channels(e, vector[i], rank);
    }
    return scaled_and_shifted(e, x, vector[0], vector[1]);
}

/* Over the last dimensions, from `axis` on. */
static enum eg_status over_last(struct eg_emit *e, bool centred)
{
    int64_t axes[EG_RANK_MAX];
    unsigned rank = eg__emit_rank(e, 0), axis;
    enum eg_status status = eg__step_axis(e->step, eg__step_int(e->step, "axis", -1), rank, &axis);
    if (status) return status;
    const char *x = normalised(e, in(e, 0), axes, axes_from(axes, axis, rank),
                               eg__step_float(e->step, "epsilon", 1e-5f), centred);
    return scaled_and_shifted(e, x, in(e, 1), in(e, 2));
}

static enum eg_status expand_rms_norm(struct eg_emit *e) { return over_last(e, false); }

/* Where it is no LAYER_NORM of ours: over several dimensions, or of a constant. */
static enum eg_status expand_layer_norm(struct eg_emit *e)
{
    unsigned axis, rank = eg__emit_rank(e, 0);
    enum eg_status status = eg__step_axis(e->step, eg__step_int(e->step, "axis", -1), rank, &axis);
    if (status) return status;
    if (axis + 1 == rank && !e->step->in[0]->is_constant) return EG_E_NOT_FOUND;
    return over_last(e, true);
}

/* Of weights, to standardise them; what has a batch is no constant and has a layer of its own. */
static enum eg_status expand_batch_norm(struct eg_emit *e)
{
    unsigned rank = eg__emit_rank(e, 0), n = 0;
    if (!e->step->in[0] || !e->step->in[0]->is_constant || rank < 2 || !has(e, 4)) return EG_E_NOT_FOUND;
    const float epsilon = eg__step_float(e->step, "epsilon", 1e-5f);
    int64_t axes[EG_RANK_MAX];
    for (unsigned i = 0; i < rank; i++)
        if (i != 1) axes[n++] = i;
    const char *x;
    if (eg__step_int(e->step, "training_mode", 0)) {
        x = normalised(e, in(e, 0), axes, n, epsilon, true);
    } else {
        const char *variance = emit2(e, "Add", in(e, 4), eg__emit_number(e, epsilon));
        x = emit2(e, "Sub", in(e, 0), along_channels(e, in(e, 3), rank));
        x = emit2(e, "Div", x, along_channels(e, emit1(e, "Sqrt", variance), rank));
    }
    return scaled_and_shifted(e, x, along_channels(e, in(e, 1), rank), along_channels(e, in(e, 2), rank));
}

static enum eg_status expand_mean_variance(struct eg_emit *e)
{
    int64_t axes[EG_RANK_MAX] = {0, 2, 3};
    size_t n;
    enum eg_status status = eg__step_ints(e->step, "axes", EG_INPUTS_MAX, axes, EG_RANK_MAX, &n);
    if (status) return status;
    const char *x = normalised(e, in(e, 0), axes, n ? n : 3, 1e-9f, true);
    return eg__emit_as(e, 0, "Identity", IN(x), NULL);
}

static enum eg_status expand_lp_norm(struct eg_emit *e)
{
    const int64_t axis = eg__step_int(e->step, "axis", -1), p = eg__step_int(e->step, "p", 2);
    if (p != 1 && p != 2) return eg__step_broken(e->step, "p is %lld", (long long)p);
    return eg__emit_as(e, 0, "Div",
                       IN(in(e, 0), reduced(e, p == 1 ? "ReduceL1" : "ReduceL2", in(e, 0), &axis, 1)), NULL);
}

static enum eg_status expand_log_sum_exp(struct eg_emit *e)
{
    int64_t axes[EG_RANK_MAX];
    size_t n;
    unsigned rank = eg__emit_rank(e, 0);
    enum eg_status status = eg__step_ints(e->step, "axes", 1, axes, EG_RANK_MAX, &n);
    if (status) return status;
    if (!n) n = axes_from(axes, 0, rank);
    const char *most = reduced(e, "ReduceMax", in(e, 0), axes, n);
    const char *sum = reduced(e, "ReduceSum", emit1(e, "Exp", emit2(e, "Sub", in(e, 0), most)), axes, n);
    if (eg__step_int(e->step, "keepdims", 1))
        return eg__emit_as(e, 0, "Add", IN(emit1(e, "Log", sum), most), NULL);
    const char *whole = emit2(e, "Add", emit1(e, "Log", sum), most);
    return eg__emit_as(e, 0, "Squeeze", IN(whole, eg__emit_ints(e, axes, n)), NULL);
}

/* Not the logarithm of a Softmax, which is 0 where x is 104 below the largest. */
static enum eg_status expand_log_softmax(struct eg_emit *e)
{
    int64_t axes[EG_RANK_MAX];
    size_t n = 1;
    const bool old = e->step->onnx->opset < 13; /* over all dimensions from the axis on */
    unsigned rank = eg__emit_rank(e, 0), axis;
    enum eg_status status = eg__step_axis(e->step, eg__step_int(e->step, "axis", old ? 1 : -1), rank, &axis);
    if (status) return status;
    axes[0] = axis;
    if (old) n = axes_from(axes, axis, rank);
    const char *x = emit2(e, "Sub", in(e, 0), reduced(e, "ReduceMax", in(e, 0), axes, n));
    const char *sum = reduced(e, "ReduceSum", emit1(e, "Exp", x), axes, n);
    return eg__emit_as(e, 0, "Sub", IN(x, emit1(e, "Log", sum)), NULL);
}

/* ---- rearrangements -------------------------------------------------------------------------- */

static enum eg_status expand_depth(struct eg_emit *e)
{
    const bool to_space = e->step->proto->op_type[0] == 'D', crd = eg__step_is(e->step, "mode", "CRD");
    const int64_t b = eg__step_int(e->step, "blocksize", 0);
    if (eg__emit_rank(e, 0) != 4 || b < 1 || b > 1024)
        return eg__step_broken(e->step, "a block of %lld", (long long)b);
    const int64_t c = (int64_t)eg__emit_extent(e, 0, 1), h = (int64_t)eg__emit_extent(e, 0, 2),
                  w = (int64_t)eg__emit_extent(e, 0, 3);
    if (to_space ? c % (b * b) : h % b || w % b)
        return eg__step_broken(e->step, "its input does not fit its blocks");
    if (to_space) {
        const int64_t split_dcr[6] = {0, b, b, c / (b * b), h, w},
                      split_crd[6] = {0, c / (b * b), b, b, h, w};
        const int64_t dcr[6] = {0, 3, 4, 1, 5, 2}, crd_order[6] = {0, 1, 4, 2, 5, 3};
        const char *x = reshaped(e, in(e, 0), crd ? split_crd : split_dcr, 6);
        x = emit(e, "Transpose", IN(x), WITH(INTS("perm", crd ? crd_order : dcr, 6)));
        return eg__emit_as(e, 0, "Reshape", IN(x, ints(e, 0, c / (b * b), h * b, w * b)), NULL);
    }
    const char *x = reshaped(e, in(e, 0), LIST(0, c, h / b, b, w / b, b), 6);
    x = emit(e, "Transpose", IN(x),
             WITH(INTS("perm", crd ? LIST(0, 1, 3, 5, 2, 4) : LIST(0, 3, 5, 1, 2, 4), 6)));
    return eg__emit_as(e, 0, "Reshape", IN(x, ints(e, 0, c * b * b, h / b, w / b)), NULL);
}

/* A convolution along one dimension is one of images of one row. */
static enum eg_status expand_conv(struct eg_emit *e)
{
    if (eg__emit_rank(e, 0) != 3 || eg__emit_rank(e, 1) != 3) return EG_E_NOT_FOUND;
    static const char *const names[] = {"strides", "dilations", "pads"};
    int64_t numbers[3][2] = {{1, 1}, {1, 1}, {0, 0}};
    for (unsigned i = 0; i < 3; i++) {
        size_t n;
        enum eg_status status = eg__step_ints(e->step, names[i], EG_INPUTS_MAX, numbers[i], 2, &n);
        if (status) return status;
    }
    const EgOnnx__AttributeProto *pad = eg__step_attribute(e->step, "auto_pad");
    if (pad && !eg__step_is(e->step, "auto_pad", "NOTSET"))
        return eg__step_refuse(e->step, "auto_pad along one dimension");
    const char *two = ints(e, 2), *x = emit2(e, "Unsqueeze", in(e, 0), two),
               *w = emit2(e, "Unsqueeze", in(e, 1), two);
    if (e->step->onnx->opset < 13) {
        x = emit(e, "Unsqueeze", IN(in(e, 0)), WITH(INTS("axes", LIST(2), 1)));
        w = emit(e, "Unsqueeze", IN(in(e, 1)), WITH(INTS("axes", LIST(2), 1)));
    }
    x = emit(e, "Conv", IN(x, w, in(e, 2)),
             WITH(INTS("strides", LIST(1, numbers[0][0]), 2), INTS("dilations", LIST(1, numbers[1][0]), 2),
                  INTS("pads", LIST(0, numbers[2][0], 0, numbers[2][1]), 4),
                  INT("group", eg__step_int(e->step, "group", 1))));
    return eg__emit_as(e, 0, "Squeeze", IN(x), WITH(INTS("axes", LIST(2), 1)));
}

/* ---- small ones --------------------------------------------------------------------------------- */

static enum eg_status expand_opposite(struct eg_emit *e)
{
    const char *op = e->step->proto->op_type, *x = in(e, 0);
    if (!strcmp(op, "LessOrEqual")) x = emit2(e, "Greater", x, in(e, 1));
    if (!strcmp(op, "GreaterOrEqual")) x = emit2(e, "Less", x, in(e, 1));
    return eg__emit_as(e, 0, "Sub", IN(eg__emit_number(e, 1), x), NULL);
}

static enum eg_status expand_and(struct eg_emit *e)
{
    return eg__emit_as(e, 0, "Mul", IN(in(e, 0), in(e, 1)), NULL);
}
static enum eg_status expand_or(struct eg_emit *e)
{
    return eg__emit_as(e, 0, "Max", IN(in(e, 0), in(e, 1)), NULL);
}

static enum eg_status expand_mean(struct eg_emit *e)
{
    const size_t n = e->step->n_in;
    const char *sum = in(e, 0);
    for (unsigned i = 1; i < n; i++) sum = emit2(e, "Add", sum, in(e, i));
    return eg__emit_as(e, 0, "Div", IN(sum, eg__emit_number(e, (float)n)), NULL);
}

static enum eg_status expand_thresholded(struct eg_emit *e)
{
    const char *limit = eg__emit_number(e, eg__step_float(e->step, "alpha", 1));
    return eg__emit_as(e, 0, "Mul", IN(in(e, 0), emit2(e, "Greater", in(e, 0), limit)), NULL);
}

static enum eg_status expand_swish(struct eg_emit *e)
{
    const float alpha = eg__step_float(e->step, "alpha", 1);
    const char *x = alpha == 1 ? in(e, 0) : emit2(e, "Mul", in(e, 0), eg__emit_number(e, alpha));
    return eg__emit_as(e, 0, "Mul", IN(in(e, 0), emit1(e, "Sigmoid", x)), NULL);
}

/* ---- the table ------------------------------------------------------------------------------------ */

static const struct {
    const char *op;
    eg_expand_fn *expand;
    bool microsoft, constants; /* onnxruntime's own; of constants there is a row in onnx_fold.c */
} rows[] = {
    {"InstanceNormalization", expand_instance_norm, false, false},
    {"GroupNormalization", expand_group_norm, false, false},
    {"LayerNormalization", expand_layer_norm, false, false},
    {"RMSNormalization", expand_rms_norm, false, false},
    {"SimplifiedLayerNormalization", expand_rms_norm, false, false},
    {"BatchNormalization", expand_batch_norm, false, false},
    {"MeanVarianceNormalization", expand_mean_variance, false, false},
    {"LpNormalization", expand_lp_norm, false, false},
    {"ReduceLogSumExp", expand_log_sum_exp, false, true},
    {"LogSoftmax", expand_log_softmax, false, false},
    {"Gather", eg__expand_gather, false, true},
    {"Pad", eg__expand_pad, false, true},
    {"DepthToSpace", expand_depth, false, false},
    {"SpaceToDepth", expand_depth, false, false},
    {"Conv", expand_conv, false, false},
    {"LessOrEqual", expand_opposite, false, true},
    {"GreaterOrEqual", expand_opposite, false, true},
    {"Not", expand_opposite, false, true},
    {"And", expand_and, false, true},
    {"Or", expand_or, false, true},
    {"Mean", expand_mean, false, false},
    {"ThresholdedRelu", expand_thresholded, false, false},
    {"Swish", expand_swish, false, false},
    {"Einsum", eg__expand_einsum, false, false},
    {"Attention", eg__expand_attention, false, false},
    {"QuantizeLinear", eg__expand_quantize, false, false},
    {"DequantizeLinear", eg__expand_dequantize, false, true},
    {"QLinearConv", eg__expand_quantized_conv, false, false},
    {"QLinearMatMul", eg__expand_quantized_matmul, false, false},
    {"DynamicQuantizeLinear", eg__expand_dynamic_quantize, false, false},
    {"MatMulInteger", eg__expand_matmul_integer, false, false},
    {"ConvInteger", eg__expand_conv_integer, false, false},
    {"QuantizeLinear", eg__expand_quantize, true, false},
    {"DequantizeLinear", eg__expand_dequantize, true, true},
    {"QLinearAdd", eg__expand_quantized_two, true, false},
    {"QLinearMul", eg__expand_quantized_two, true, false},
    {"QLinearSigmoid", eg__expand_quantized_one, true, false},
    {"QLinearLeakyRelu", eg__expand_quantized_one, true, false},
    {"QLinearGlobalAveragePool", eg__expand_quantized_one, true, false},
    {"QGemm", eg__expand_quantized_gemm, true, false},
    {"MultiHeadAttention", eg__expand_multi_head, true, false},
    {"SkipLayerNormalization", eg__expand_skip_norm, true, false},
    {"BiasGelu", eg__expand_bias_gelu, true, false},
    {"Gelu", eg__expand_bias_gelu, true, false},
    {"FastGelu", eg__expand_fast_gelu, true, false},
    {"QuickGelu", eg__expand_quick_gelu, true, false},
    {"FusedMatMul", eg__expand_fused_matmul, true, false},
    {"FusedConv", eg__expand_fused_conv, true, false},
    {"FusedGemm", eg__expand_fused_gemm, true, false},
};

bool eg__expand_knows(const char *op)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].microsoft && !strcmp(rows[i].op, op)) return true;
    return false;
}

enum eg_status eg__expand(struct eg_reading *step)
{
    const char *domain = step->proto->domain ? step->proto->domain : "";
    const bool microsoft = !strcmp(domain, "com.microsoft");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (rows[i].microsoft != microsoft || strcmp(rows[i].op, step->proto->op_type)) continue;
        if (rows[i].constants && eg__fold_applies(step)) return EG_E_NOT_FOUND;
        if (!step->n_in || !step->in[0]) return eg__step_broken(step, "input 0 is missing");
        struct eg_emit e = {.step = step};
        enum eg_status status = rows[i].expand(&e);
        return e.status ? e.status : status;
    }
    return EG_E_NOT_FOUND;
}
