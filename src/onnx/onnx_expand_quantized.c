/* onnx_expand_quantized.c: quantised forms, with every rounding step done, in float: a quantised value is a
 * layer of whole numbers. */
#include <string.h>

#include "onnx/onnx_expand.h"
#include "onnx/onnx_fold.h"

static const char *in(const struct eg_emit *e, unsigned input) { return eg__emit_in(e, input); }
static bool has(const struct eg_emit *e, unsigned input) { return *in(e, input) != '\0'; }

/* The least and the largest number of the type that a zero point has; uint8 where there is none. */
static void range_of(const struct eg_emit *e, unsigned zero, float *low, float *high)
{
    const struct eg_value *value = zero < e->step->n_in ? e->step->in[zero] : NULL;
    const enum eg_dtype dtype = value && value->is_constant ? value->tensor.dtype : EG_U8;
    *low = dtype == EG_I8 ? -128 : dtype == EG_I16 ? -32768 : 0;
    *high = dtype == EG_I8 ? 127 : dtype == EG_I16 ? 32767 : 255;
}

/* A scale or zero point as it lies beside a value of that rank: one number, or one along `axis`. */
static const char *beside(struct eg_emit *e, unsigned input, unsigned rank, int64_t axis)
{
    const struct eg_value *value = e->step->in[input];
    const char *x = in(e, input);
    if (!value->is_constant) return x;
    if (!eg__dtype_is_float(value->tensor.dtype)) x = emit(e, "Cast", IN(x), WITH(INT("to", 1)));
    int64_t shape[EG_RANK_MAX] = {1, 1, 1, 1, 1, 1, 1, 1};
    if (axis < 0) axis += rank;
    if (eg__tensor_count(&value->tensor) == 1)
        return emit(e, "Reshape", IN(x, eg__emit_ints(e, shape, 0)), NULL);
    if (value->tensor.rank != 1 || axis < 0 || axis >= rank) return x;
    shape[axis] = -1;
    return emit(e, "Reshape", IN(x, eg__emit_ints(e, shape, rank)), NULL);
}

static const char *dequantized(struct eg_emit *e, const char *x, unsigned scale, unsigned zero, unsigned rank,
                               int64_t axis)
{
    if (has(e, zero)) x = emit2(e, "Sub", x, beside(e, zero, rank, axis));
    return emit2(e, "Mul", x, beside(e, scale, rank, axis));
}

static enum eg_status quantize_as(struct eg_emit *e, const char *x, unsigned scale, unsigned zero,
                                  unsigned rank, int64_t axis)
{
    float low, high;
    range_of(e, zero, &low, &high);
    x = emit1(e, "Round", emit2(e, "Div", x, beside(e, scale, rank, axis)));
    if (has(e, zero)) x = emit2(e, "Add", x, beside(e, zero, rank, axis));
    return eg__emit_as(e, 0, "Clip", IN(x, eg__emit_number(e, low), eg__emit_number(e, high)), NULL);
}

/* Constants of 8 bits as float, lest their sums be taken for whole numbers' arithmetic. */
static const char *as_float(struct eg_emit *e, unsigned input)
{
    const struct eg_value *value = e->step->in[input];
    return value && value->is_constant ? emit(e, "Cast", IN(in(e, input)), WITH(INT("to", 1))) : in(e, input);
}

static enum eg_status check(struct eg_emit *e, unsigned needed)
{
    for (unsigned i = 0; i < needed; i++)
        if (i >= e->step->n_in || !e->step->in[i]) return eg__step_broken(e->step, "input %u is missing", i);
    return EG_OK;
}

enum eg_status eg__expand_quantize(struct eg_emit *e)
{
    enum eg_status status = check(e, 2);
    if (status) return status;
    if (eg__step_int(e->step, "block_size", 0)) return eg__step_refuse(e->step, "blocks");
    return quantize_as(e, in(e, 0), 1, 2, eg__emit_rank(e, 0), eg__step_int(e->step, "axis", 1));
}

enum eg_status eg__expand_dequantize(struct eg_emit *e)
{
    const unsigned rank = eg__emit_rank(e, 0);
    const int64_t axis = eg__step_int(e->step, "axis", 1);
    enum eg_status status = check(e, 2);
    if (status) return status;
    if (eg__step_int(e->step, "block_size", 0)) return eg__step_refuse(e->step, "blocks");
    const char *x = in(e, 0);
    if (has(e, 2)) x = emit2(e, "Sub", x, beside(e, 2, rank, axis));
    return eg__emit_as(e, 0, "Mul", IN(x, beside(e, 1, rank, axis)), NULL);
}

/* The convolution's own attributes. */
static const char *convolved(struct eg_emit *e, const char *x, const char *w, const char *bias)
{
    static const char *const lists[] = {"kernel_shape", "strides", "dilations", "pads"};
    static const char *const pads[] = {"SAME_UPPER", "SAME_LOWER", "VALID"};
    int64_t numbers[4][4];
    struct eg_with with[8] = {{0}};
    unsigned n = 0;
    for (unsigned i = 0; i < 4 && !e->status; i++) {
        size_t length = 0;
        e->status = eg__step_ints(e->step, lists[i], EG_INPUTS_MAX, numbers[i], 4, &length);
        if (length) with[n++] = (struct eg_with)INTS(lists[i], numbers[i], length);
    }
    for (unsigned i = 0; i < 3; i++)
        if (eg__step_is(e->step, "auto_pad", pads[i])) with[n++] = (struct eg_with)TEXT("auto_pad", pads[i]);
    with[n] = (struct eg_with)INT("group", eg__step_int(e->step, "group", 1));
    return emit(e, "Conv", IN(x, w, bias), with);
}

/* x, its scale and zero, w, its, y's, bias (in steps of both scales) */
enum eg_status eg__expand_quantized_conv(struct eg_emit *e)
{
    enum eg_status status = check(e, 7);
    if (status) return status;
    const unsigned rank = eg__emit_rank(e, 0);
    const char *bias = "", *x = dequantized(e, in(e, 0), 1, 2, rank, 0),
               *w = dequantized(e, as_float(e, 3), 4, 5, rank, 0);
    if (has(e, 8)) {
        const char *steps = emit2(e, "Mul", beside(e, 1, 1, 0), beside(e, 4, 1, 0));
        bias = emit2(e, "Mul", as_float(e, 8), steps);
    }
    return quantize_as(e, convolved(e, x, w, bias), 6, 7, rank, 1);
}

enum eg_status eg__expand_quantized_matmul(struct eg_emit *e)
{
    enum eg_status status = check(e, 8);
    if (status) return status;
    const unsigned rank = eg__emit_rank(e, 0), other = eg__emit_rank(e, 3);
    const char *a = dequantized(e, as_float(e, 0), 1, 2, rank, -2),
               *b = dequantized(e, as_float(e, 3), 4, 5, other, -1);
    return quantize_as(e, emit2(e, "MatMul", a, b), 6, 7, rank, -1);
}

/* The scale is of one image here, of a whole batch in a runtime that runs several at a time. */
enum eg_status eg__expand_dynamic_quantize(struct eg_emit *e)
{
    int64_t axes[EG_RANK_MAX];
    const unsigned rank = eg__emit_rank(e, 0);
    for (unsigned i = 1; i < rank; i++) axes[i - 1] = i;
    const char *zero = eg__emit_number(e, 0), *most = eg__emit_number(e, 255), *ends[2];
    for (unsigned i = 0; i < 2; i++) {
        const char *op = i ? "ReduceMax" : "ReduceMin";
        ends[i] = e->step->onnx->opset >= 18
                      ? emit(e, op, IN(in(e, 0), eg__emit_ints(e, axes, rank - 1)), WITH(INT("keepdims", 1)))
                      : emit(e, op, IN(in(e, 0)), WITH(INTS("axes", axes, rank - 1), INT("keepdims", 1)));
        ends[i] = emit2(e, i ? "Max" : "Min", ends[i], zero);
    }
    const char *scale = emit2(e, "Div", emit2(e, "Sub", ends[1], ends[0]), most);
    const char *offset = emit1(e, "Round", emit2(e, "Div", emit1(e, "Neg", ends[0]), scale));
    const char *x = emit2(e, "Add", emit1(e, "Round", emit2(e, "Div", in(e, 0), scale)), offset);
    enum eg_status status = eg__emit_as(e, 0, "Clip", IN(x, zero, most), NULL);
    if (!status) status = eg__emit_as(e, 1, "Identity", IN(scale), NULL);
    return status ? status : eg__emit_as(e, 2, "Identity", IN(offset), NULL);
}

static const char *less_zero(struct eg_emit *e, unsigned input, unsigned zero, int64_t axis)
{
    const char *x = as_float(e, input);
    return has(e, zero) ? emit2(e, "Sub", x, beside(e, zero, eg__emit_rank(e, input), axis)) : x;
}

enum eg_status eg__expand_matmul_integer(struct eg_emit *e)
{
    enum eg_status status = check(e, 2);
    if (status) return status;
    const char *a = less_zero(e, 0, 2, -2), *b = less_zero(e, 1, 3, -1);
    return eg__emit_as(e, 0, "MatMul", IN(a, b), NULL);
}

enum eg_status eg__expand_conv_integer(struct eg_emit *e)
{
    enum eg_status status = check(e, 2);
    if (status) return status;
    const char *y = convolved(e, less_zero(e, 0, 2, 1), less_zero(e, 1, 3, 0), "");
    return eg__emit_as(e, 0, "Identity", IN(y), NULL);
}

/* ---- onnxruntime's own ------------------------------------------------------------------------------ */

/* A and its scale and zero, B and its, the result's. */
enum eg_status eg__expand_quantized_two(struct eg_emit *e)
{
    enum eg_status status = check(e, 2);
    if (!status && (!has(e, 4) || !has(e, 6))) return eg__step_broken(e->step, "a scale is missing");
    if (status) return status;
    const char *a = dequantized(e, as_float(e, 0), 1, 2, eg__emit_rank(e, 0), 0);
    const char *b = dequantized(e, as_float(e, 3), 4, 5, eg__emit_rank(e, 3), 0);
    return quantize_as(e, emit2(e, e->step->proto->op_type + strlen("QLinear"), a, b), 6, 7,
                       eg__emit_rank(e, 0), 0);
}

enum eg_status eg__expand_quantized_one(struct eg_emit *e)
{
    const char *op = e->step->proto->op_type + strlen("QLinear");
    enum eg_status status = check(e, 2);
    if (!status && !has(e, 3)) return eg__step_broken(e->step, "a scale is missing");
    if (status) return status;
    if (eg__step_int(e->step, "channels_last", 0)) return eg__step_refuse(e->step, "channels_last");
    const char *x = dequantized(e, in(e, 0), 1, 2, eg__emit_rank(e, 0), 0);
    if (!strcmp(op, "LeakyRelu"))
        x = emit(e, op, IN(x), WITH(FLOAT("alpha", eg__step_float(e->step, "alpha", 0.01f))));
    else
        x = emit1(e, op, x);
    return quantize_as(e, x, 3, 4, eg__emit_rank(e, 0), 0);
}

/* A, scale, zero, B, scale, zero, C (in steps of both scales), the result's scale and zero; without: in
 * float. */
enum eg_status eg__expand_quantized_gemm(struct eg_emit *e)
{
    enum eg_status status = check(e, 5);
    if (status) return status;
    const bool turned = eg__step_int(e->step, "transB", 0) != 0;
    const char *a = dequantized(e, as_float(e, 0), 1, 2, 2, 0),
               *b = dequantized(e, as_float(e, 3), 4, 5, 2, turned ? 0 : 1), *c = "";
    if (has(e, 6))
        c = emit2(e, "Mul", as_float(e, 6), emit2(e, "Mul", beside(e, 1, 1, 0), beside(e, 4, 1, 0)));
    const struct eg_with *with =
        WITH(INT("transA", eg__step_int(e->step, "transA", 0)), INT("transB", turned),
             FLOAT("alpha", eg__step_float(e->step, "alpha", 1)));
    if (!has(e, 7)) return eg__emit_as(e, 0, "Gemm", IN(a, b, c), with);
    return quantize_as(e, emit(e, "Gemm", IN(a, b, c), with), 7, 8, 2, 0);
}
