/* onnx_fold.c: nodes whose inputs are all constants, and Shape of a layer, are computed while
 * loading: the shape arithmetic of exporters, casts and dequantised weights. What only moves
 * dimensions gives a view of the same bytes. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "onnx/onnx_private.h"

static bool is_op(const struct eg_reading *step, const char *op) { return !strcmp(step->proto->op_type, op); }

bool eg__fold_applies(const struct eg_reading *step)
{
    if (is_op(step, "Shape")) return true;
    for (size_t i = 0; i < step->n_in; i++)
        if (step->in[i] && !step->in[i]->is_constant) return false;
    return true;
}

static enum eg_status give(struct eg_reading *step, const struct eg_tensor *tensor)
{
    struct eg_value *out = eg__step_output(step, 0);
    if (!out) return eg__step_memory(step);
    out->is_constant = out->is_defined = true;
    out->tensor = *tensor;
    return EG_OK;
}

static bool is_float(enum eg_dtype dtype)
{
    return dtype == EG_F32 || dtype == EG_F16 || dtype == EG_BF16 || dtype == EG_F64;
}

static void put_number(enum eg_dtype dtype, void *data, size_t index, double number, int64_t integer)
{
    float f = (float)number;
    int32_t i = (int32_t)integer;
    int16_t s = (int16_t)integer;
    uint8_t b = (uint8_t)integer;
    switch (dtype) {
    case EG_F64: memcpy((double *)data + index, &number, sizeof number); break;
    case EG_I64: memcpy((int64_t *)data + index, &integer, sizeof integer); break;
    case EG_I32: memcpy((int32_t *)data + index, &i, sizeof i); break;
    case EG_I16: memcpy((int16_t *)data + index, &s, sizeof s); break;
    case EG_I8:
    case EG_U8:
    case EG_BOOL: memcpy((uint8_t *)data + index, &b, 1); break;
    default: memcpy((float *)data + index, &f, sizeof f); break; /* halves are made float32 */
    }
}

static int64_t whole(double number)
{
    return number >= 9.2e18 ? INT64_MAX : number <= -9.2e18 ? INT64_MIN : isnan(number) ? 0 : (int64_t)number;
}

static enum eg_dtype result_type(enum eg_dtype dtype)
{
    return dtype == EG_F16 || dtype == EG_BF16 ? EG_F32 : dtype;
}

/* A dense copy as dtype. */
static enum eg_status copy_as(struct eg_reading *step, const struct eg_tensor *from, enum eg_dtype dtype,
                              struct eg_tensor *tensor)
{
    void *data;
    enum eg_status status =
        eg__onnx_new_tensor(step->onnx, result_type(dtype), from->rank, from->dim, tensor, &data);
    size_t count = status ? 0 : eg__tensor_count(from);
    if (tensor->dtype == EG_F32 && count) {
        eg__tensor_read(from, data);
        return status;
    }
    for (size_t i = 0; i < count; i++) {
        double number = is_float(from->dtype) ? eg__tensor_number_at(from, i) : 0;
        int64_t integer = is_float(from->dtype) ? whole(number) : eg__tensor_int_at(from, i);
        if (dtype == EG_BOOL) integer = is_float(from->dtype) ? number != 0 : integer != 0;
        put_number(tensor->dtype, data, i, is_float(from->dtype) ? number : (double)integer, integer);
    }
    return status;
}

/* ---- elementwise ------------------------------------------------------------------- */

enum arithmetic {
    ADD,
    SUB,
    MUL,
    DIV,
    POW,
    MAX,
    MIN,
    EQUAL,
    LESS,
    GREATER,
    NEG,
    SQRT,
    FLOOR,
    CEIL,
    RECIPROCAL,
    EXP,
    ABS,
    N_ARITHMETIC
};
static const struct {
    const char *name;
    unsigned inputs;
} arithmetic[N_ARITHMETIC] = {
    [ADD] = {"Add", 2},         [SUB] = {"Sub", 2},     [MUL] = {"Mul", 2},
    [DIV] = {"Div", 2},         [POW] = {"Pow", 2},     [MAX] = {"Max", 2},
    [MIN] = {"Min", 2},         [EQUAL] = {"Equal", 2}, [LESS] = {"Less", 2},
    [GREATER] = {"Greater", 2}, [NEG] = {"Neg", 1},     [SQRT] = {"Sqrt", 1},
    [FLOOR] = {"Floor", 1},     [CEIL] = {"Ceil", 1},   [RECIPROCAL] = {"Reciprocal", 1},
    [EXP] = {"Exp", 1},         [ABS] = {"Abs", 1},
};

static double compute(enum arithmetic op, double a, double b)
{
    switch (op) {
    case ADD: return a + b;
    case SUB: return a - b;
    case MUL: return a * b;
    case DIV: return a / b;
    case POW: return pow(a, b);
    case MAX: return a > b ? a : b;
    case MIN: return a < b ? a : b;
    case EQUAL: return a == b;
    case LESS: return a < b;
    case GREATER: return a > b;
    case NEG: return -a;
    case SQRT: return sqrt(a);
    case FLOOR: return floor(a);
    case CEIL: return ceil(a);
    case RECIPROCAL: return 1 / a;
    case EXP: return exp(a);
    case ABS: return fabs(a);
    case N_ARITHMETIC: break;
    }
    return 0;
}

static enum eg_status fold_arithmetic(struct eg_reading *step, enum arithmetic op)
{
    struct eg_tensor a = step->in[0]->tensor, b = arithmetic[op].inputs > 1 ? step->in[1]->tensor : a, made;
    unsigned rank = a.rank > b.rank ? a.rank : b.rank;
    size_t dim[EG_RANK_MAX];
    struct eg_tensor *side[2] = {&a, &b};
    for (unsigned s = 0; s < 2; s++) { /* both as views of the full rank, spread by strides of 0 */
        struct eg_tensor spread = *side[s];
        spread.rank = (uint8_t)rank;
        for (unsigned i = 0; i < rank; i++) {
            unsigned missing = rank - side[s]->rank;
            spread.dim[i] = i < missing ? 1 : side[s]->dim[i - missing];
            spread.stride[i] = i < missing ? 0 : side[s]->stride[i - missing];
        }
        *side[s] = spread;
    }
    for (unsigned i = 0; i < rank; i++) {
        if (a.dim[i] != b.dim[i] && a.dim[i] != 1 && b.dim[i] != 1)
            return eg__step_broken(step, "constants of %zu and %zu numbers", a.dim[i], b.dim[i]);
        dim[i] = a.dim[i] == 1 ? b.dim[i] : a.dim[i];
        for (unsigned s = 0; s < 2; s++) {
            if (side[s]->dim[i] == 1) side[s]->stride[i] = 0;
            side[s]->dim[i] = dim[i];
        }
    }
    void *data;
    enum eg_dtype dtype = op == EQUAL || op == LESS || op == GREATER ? EG_BOOL : result_type(a.dtype);
    enum eg_status status = eg__onnx_new_tensor(step->onnx, dtype, rank, dim, &made, &data);
    if (status) return status;
    bool integers = !is_float(a.dtype);
    for (size_t i = 0, count = eg__tensor_count(&made); i < count; i++) {
        double y = compute(op, eg__tensor_number_at(&a, i), eg__tensor_number_at(&b, i));
        put_number(dtype, data, i, y, whole(integers && op == DIV ? trunc(y) : y));
    }
    return give(step, &made);
}

/* ---- shapes --------------------------------------------------------------------------- */

static enum eg_status fold_shape(struct eg_reading *step)
{
    const struct eg_value *value = step->n_in ? step->in[0] : NULL;
    if (!value) return eg__step_broken(step, "input 0 is missing");
    size_t rank = value->is_constant ? value->tensor.rank : value->rank;
    int64_t start = eg__step_int(step, "start", 0), end = eg__step_int(step, "end", (int64_t)rank);
    if (start < 0) start += (int64_t)rank;
    if (end < 0) end += (int64_t)rank;
    if (start < 0) start = 0;
    if (end > (int64_t)rank) end = (int64_t)rank;
    size_t n = end > start ? (size_t)(end - start) : 0;
    struct eg_tensor made;
    void *data;
    enum eg_status status = eg__onnx_new_tensor(step->onnx, EG_I64, 1, &n, &made, &data);
    for (size_t i = 0; i < n && !status; i++) {
        unsigned d = (unsigned)start + (unsigned)i;
        ((int64_t *)data)[i] =
            (int64_t)(value->is_constant ? value->tensor.dim[d] : eg__value_extent(step->onnx, value, d));
    }
    return status ? status : give(step, &made);
}

static enum eg_status fold_constant(struct eg_reading *step)
{
    const EgOnnx__AttributeProto *value = eg__step_attribute(step, "value");
    struct eg_tensor made = {0};
    void *data;
    enum eg_status status;
    if (value && value->has_t && value->t.len == 2 * sizeof(uint64_t)) {
        uint64_t place[2];
        memcpy(place, value->t.data, sizeof place);
        struct eg_span span = {step->onnx->map.bytes + place[0], (size_t)place[1]};
        if ((status = eg__onnx_tensor(step->onnx, span, &made))) return status;
        return give(step, &made);
    }
    const EgOnnx__AttributeProto *a = step->proto->n_attribute ? step->proto->attribute[0] : NULL;
    if (!a || !a->name || strncmp(a->name, "value_", 6))
        return eg__step_refuse(step, "it holds neither a tensor nor numbers");
    bool floats = !strcmp(a->name, "value_float") || !strcmp(a->name, "value_floats");
    bool one = !strcmp(a->name, "value_float") || !strcmp(a->name, "value_int");
    size_t n = one ? 1 : floats ? a->n_floats : a->n_ints;
    status = eg__onnx_new_tensor(step->onnx, floats ? EG_F32 : EG_I64, one ? 0 : 1, &n, &made, &data);
    for (size_t i = 0; i < n && !status; i++) {
        if (floats)
            ((float *)data)[i] = one ? a->f : a->floats[i];
        else
            ((int64_t *)data)[i] = one ? a->i : a->ints[i];
    }
    return status ? status : give(step, &made);
}

static enum eg_status fold_constant_of_shape(struct eg_reading *step)
{
    int64_t shape[EG_RANK_MAX];
    size_t n, dim[EG_RANK_MAX] = {0};
    struct eg_tensor one = {.dtype = EG_F32}, made;
    static const float zero = 0;
    one.data = &zero;
    enum eg_status status = eg__step_ints(step, "shape", 0, shape, EG_RANK_MAX, &n);
    const EgOnnx__AttributeProto *value = eg__step_attribute(step, "value");
    if (!status && value && value->has_t && value->t.len == 2 * sizeof(uint64_t)) {
        uint64_t place[2];
        memcpy(place, value->t.data, sizeof place);
        status = eg__onnx_tensor(step->onnx,
                                 (struct eg_span){step->onnx->map.bytes + place[0], (size_t)place[1]}, &one);
        if (!status && eg__tensor_count(&one) != 1)
            return eg__step_broken(step, "its value is not one number");
    }
    for (size_t i = 0; i < n && !status; i++) {
        if (shape[i] < 0) return eg__step_broken(step, "dimension %zu is negative", i);
        dim[i] = (size_t)shape[i];
    }
    void *data;
    enum eg_dtype dtype = result_type(one.dtype);
    if (!status) status = eg__onnx_new_tensor(step->onnx, dtype, (unsigned)n, dim, &made, &data);
    if (status) return status;
    double number = eg__tensor_number_at(&one, 0);
    for (size_t i = 0, count = eg__tensor_count(&made); i < count; i++)
        put_number(dtype, data, i, number, whole(number));
    return give(step, &made);
}

/* ---- views and copies ------------------------------------------------------------------ */

static bool is_dense(const struct eg_tensor *tensor)
{
    struct eg_tensor dense = *tensor;
    eg__tensor_pack_strides(&dense);
    for (unsigned i = 0; i < tensor->rank; i++)
        if (tensor->dim[i] != 1 && tensor->stride[i] != dense.stride[i]) return false;
    return true;
}

static enum eg_status give_reshaped(struct eg_reading *step, unsigned rank, const size_t *dim)
{
    struct eg_tensor made = step->in[0]->tensor;
    const char *name = made.name;
    if (!is_dense(&made)) {
        enum eg_status status = copy_as(step, &step->in[0]->tensor, made.dtype, &made);
        if (status) return status;
    }
    made.name = name;
    made.rank = (uint8_t)rank;
    memcpy(made.dim, dim, rank * sizeof *dim);
    eg__tensor_pack_strides(&made);
    return give(step, &made);
}

static enum eg_status fold_reshape(struct eg_reading *step)
{
    int64_t shape[EG_RANK_MAX];
    size_t n, dim[EG_RANK_MAX], known = 1, total = eg__tensor_count(&step->in[0]->tensor);
    unsigned free_dim = EG_RANK_MAX;
    enum eg_status status = eg__step_ints(step, "shape", 1, shape, EG_RANK_MAX, &n);
    if (status) return status;
    for (unsigned i = 0; i < n; i++) {
        dim[i] = 1;
        if (shape[i] == -1 && free_dim == EG_RANK_MAX)
            free_dim = i;
        else if (shape[i] == 0 && i < step->in[0]->tensor.rank)
            dim[i] = step->in[0]->tensor.dim[i];
        else if (shape[i] >= 0)
            dim[i] = (size_t)shape[i];
        else
            return eg__step_broken(step, "dimension %u of its shape is %lld", i, (long long)shape[i]);
        if (!eg__mul(known, dim[i], &known)) return eg__step_broken(step, "its shape overflows");
    }
    if (free_dim < EG_RANK_MAX && known) dim[free_dim] = total / known;
    if (free_dim < EG_RANK_MAX) known *= dim[free_dim];
    if (known != total)
        return eg__step_broken(step, "its shape holds %zu numbers, its input %zu", known, total);
    return give_reshaped(step, (unsigned)n, dim);
}

static enum eg_status fold_squeeze(struct eg_reading *step, bool add)
{
    int64_t axes[EG_RANK_MAX];
    size_t n, dim[EG_RANK_MAX];
    const struct eg_tensor *in = &step->in[0]->tensor;
    enum eg_status status = eg__step_ints(step, "axes", 1, axes, EG_RANK_MAX, &n);
    if (status) return status;
    unsigned rank = add ? in->rank + (unsigned)n : in->rank, marked = 0, index, from = 0, to = 0;
    if (rank > EG_RANK_MAX) return eg__step_refuse(step, "%u dimensions", rank);
    for (size_t i = 0; i < n; i++) {
        if ((status = eg__step_axis(step, axes[i], rank, &index))) return status;
        if (marked & 1u << index) return eg__step_broken(step, "axis %u twice", index);
        marked |= 1u << index;
    }
    if (add) {
        for (unsigned i = 0; i < rank; i++) dim[i] = marked & 1u << i ? 1 : in->dim[from++];
        return give_reshaped(step, rank, dim);
    }
    for (unsigned i = 0; i < rank; i++) {
        bool drop = n ? (marked & 1u << i) != 0 : in->dim[i] == 1;
        if (drop && in->dim[i] != 1) return eg__step_broken(step, "dimension %u is not 1", i);
        if (!drop) dim[to++] = in->dim[i];
    }
    return give_reshaped(step, to, dim);
}

static enum eg_status fold_flatten(struct eg_reading *step)
{
    const struct eg_tensor *in = &step->in[0]->tensor;
    int64_t axis = eg__step_int(step, "axis", 1);
    if (axis < 0) axis += in->rank;
    if (axis < 0 || axis > in->rank) return eg__step_broken(step, "axis %lld", (long long)axis);
    size_t dim[2] = {1, 1};
    for (unsigned i = 0; i < in->rank; i++) dim[i >= axis] *= in->dim[i];
    return give_reshaped(step, 2, dim);
}

static enum eg_status fold_transpose(struct eg_reading *step)
{
    int64_t perm[EG_RANK_MAX];
    size_t n;
    uint8_t order[EG_RANK_MAX];
    const struct eg_tensor *in = &step->in[0]->tensor;
    enum eg_status status = eg__step_ints(step, "perm", EG_INPUTS_MAX, perm, EG_RANK_MAX, &n);
    if (status) return status;
    if (n && n != in->rank) return eg__step_broken(step, "%zu axes for %u dimensions", n, in->rank);
    unsigned seen = 0;
    for (unsigned i = 0; i < in->rank; i++) {
        unsigned from = in->rank - 1u - i;
        if (n && (status = eg__step_axis(step, perm[i], in->rank, &from))) return status;
        if (seen & 1u << from) return eg__step_broken(step, "axis %u twice", from);
        seen |= 1u << from;
        order[i] = (uint8_t)from;
    }
    struct eg_tensor made = eg__tensor_permuted(in, order);
    return give(step, &made);
}

static enum eg_status fold_slice(struct eg_reading *step)
{
    int64_t starts[EG_RANK_MAX], ends[EG_RANK_MAX], axes[EG_RANK_MAX], steps[EG_RANK_MAX];
    size_t n, n_ends, n_axes, n_steps;
    struct eg_tensor made = step->in[0]->tensor;
    enum eg_status status = eg__step_ints(step, "starts", 1, starts, EG_RANK_MAX, &n);
    if (!status) status = eg__step_ints(step, "ends", 2, ends, EG_RANK_MAX, &n_ends);
    if (!status) status = eg__step_ints(step, "axes", 3, axes, EG_RANK_MAX, &n_axes);
    if (!status) status = eg__step_ints(step, "steps", 4, steps, EG_RANK_MAX, &n_steps);
    if (status) return status;
    if (n != n_ends || (n_axes && n_axes != n) || (n_steps && n_steps != n))
        return eg__step_broken(step, "starts, ends, axes and steps differ in number");
    for (unsigned i = 0; i < n; i++) {
        unsigned axis;
        if ((status = eg__step_axis(step, n_axes ? axes[i] : i, made.rank, &axis))) return status;
        int64_t size = (int64_t)made.dim[axis], from = starts[i], to = ends[i], by = n_steps ? steps[i] : 1;
        if (by == 0 || by > INT32_MAX || by < -INT32_MAX)
            return eg__step_broken(step, "its step is %lld", (long long)by);
        if (from < 0) from = from < -size ? (by > 0 ? 0 : -1) : from + size;
        if (to < 0) to = to < -size ? (by > 0 ? 0 : -1) : to + size;
        if (from > size) from = size;
        if (by < 0 && from > size - 1) from = size - 1;
        if (to > size) to = size;
        int64_t span = by > 0 ? to - from : from - to, pace = by > 0 ? by : -by;
        made.dim[axis] = span > 0 ? (size_t)((span + pace - 1) / pace) : 0;
        if (made.dim[axis])
            made.data =
                (const uint8_t *)made.data + from * made.stride[axis] * (ptrdiff_t)eg__dtype_size(made.dtype);
        if (made.dim[axis] > 1) made.stride[axis] *= by; /* else by may be anything */
    }
    return give(step, &made);
}

static enum eg_status fold_gather(struct eg_reading *step)
{
    const struct eg_tensor *in = &step->in[0]->tensor, *which = &step->in[1]->tensor;
    unsigned axis, rank = 0;
    size_t dim[2 * EG_RANK_MAX];
    enum eg_status status = eg__step_axis(step, eg__step_int(step, "axis", 0), in->rank, &axis);
    if (status) return status;
    for (unsigned i = 0; i < axis; i++) dim[rank++] = in->dim[i];
    for (unsigned i = 0; i < which->rank; i++) dim[rank++] = which->dim[i];
    for (unsigned i = axis + 1; i < in->rank; i++) dim[rank++] = in->dim[i];
    if (rank > EG_RANK_MAX) return eg__step_refuse(step, "%u dimensions", rank);
    struct eg_tensor made;
    void *data;
    enum eg_dtype dtype = result_type(in->dtype);
    if ((status = eg__onnx_new_tensor(step->onnx, dtype, rank, dim, &made, &data))) return status;
    size_t outer = 1, inner = 1, picks = eg__tensor_count(which), side = in->dim[axis], at = 0;
    for (unsigned i = 0; i < axis; i++) outer *= in->dim[i];
    for (unsigned i = axis + 1; i < in->rank; i++) inner *= in->dim[i];
    if (!eg__tensor_count(&made)) return give(step, &made);
    for (size_t o = 0; o < outer; o++) {
        for (size_t p = 0; p < picks; p++) {
            int64_t pick = eg__tensor_int_at(which, p);
            if (pick < 0) pick += (int64_t)side;
            if (pick < 0 || (size_t)pick >= side)
                return eg__step_broken(step, "index %lld of %zu", (long long)pick, side);
            for (size_t i = 0; i < inner; i++, at++) {
                size_t from = (o * side + (size_t)pick) * inner + i;
                put_number(dtype, data, at, eg__tensor_number_at(in, from), eg__tensor_int_at(in, from));
            }
        }
    }
    return give(step, &made);
}

static enum eg_status fold_concat(struct eg_reading *step)
{
    const struct eg_tensor *first = &step->in[0]->tensor;
    unsigned axis;
    size_t dim[EG_RANK_MAX], side = 0;
    enum eg_status status = eg__step_axis(step, eg__step_int(step, "axis", 0), first->rank, &axis);
    if (status) return status;
    memcpy(dim, first->dim, sizeof dim);
    for (size_t k = 0; k < step->n_in; k++) {
        if (!step->in[k]) return eg__step_broken(step, "input %zu is missing", k);
        const struct eg_tensor *next = &step->in[k]->tensor;
        if (next->rank != first->rank || next->dtype != first->dtype)
            return eg__step_broken(step, "its inputs differ in type or dimensions");
        for (unsigned i = 0; i < first->rank; i++)
            if (i != axis && next->dim[i] != first->dim[i])
                return eg__step_broken(step, "its inputs differ in shape");
        if (__builtin_add_overflow(side, next->dim[axis], &side))
            return eg__step_broken(step, "its shape overflows");
    }
    dim[axis] = side;
    struct eg_tensor made;
    void *data;
    enum eg_dtype dtype = result_type(first->dtype);
    if ((status = eg__onnx_new_tensor(step->onnx, dtype, first->rank, dim, &made, &data))) return status;
    size_t outer = 1, inner = 1, at = 0;
    for (unsigned i = 0; i < axis; i++) outer *= dim[i];
    for (unsigned i = axis + 1; i < first->rank; i++) inner *= dim[i];
    if (!eg__tensor_count(&made)) return give(step, &made);
    for (size_t o = 0; o < outer; o++)
        for (size_t k = 0; k < step->n_in; k++) {
            const struct eg_tensor *next = &step->in[k]->tensor;
            size_t run = next->dim[axis] * inner;
            for (size_t i = 0; i < run; i++, at++)
                put_number(dtype, data, at, eg__tensor_number_at(next, o * run + i),
                           eg__tensor_int_at(next, o * run + i));
        }
    return give(step, &made);
}

static enum eg_status fold_cast(struct eg_reading *step)
{
    enum eg_dtype dtype;
    struct eg_tensor made = step->in[0]->tensor;
    const char *name = made.name;
    enum eg_status status = eg__onnx_dtype(step->onnx, eg__step_int(step, "to", 0), &dtype);
    if (status) return status;
    /* every float is read as float32 whatever it is stored as: half weights stay in the file */
    if (!(is_float(dtype) && is_float(made.dtype)) && dtype != made.dtype)
        status = copy_as(step, &step->in[0]->tensor, dtype, &made);
    made.name = name;
    return status ? status : give(step, &made);
}

/* (x - zero_point) scale, per tensor or along `axis`. */
static enum eg_status fold_dequantize(struct eg_reading *step)
{
    const struct eg_tensor *in = &step->in[0]->tensor;
    if (step->n_in < 2 || !step->in[1]) return eg__step_broken(step, "its scale is missing");
    const struct eg_tensor *scale = &step->in[1]->tensor;
    const struct eg_tensor *zero = step->n_in > 2 && step->in[2] ? &step->in[2]->tensor : NULL;
    size_t n = eg__tensor_count(scale), inner = 1;
    unsigned axis = 0;
    enum eg_status status = EG_OK;
    if (n != 1) {
        status = eg__step_axis(step, eg__step_int(step, "axis", 1), in->rank, &axis);
        if (status) return status;
        if (scale->rank != 1 || n != in->dim[axis]) return eg__step_refuse(step, "blocked quantisation");
        for (unsigned i = axis + 1; i < in->rank; i++) inner *= in->dim[i];
    }
    if (zero && eg__tensor_count(zero) != n)
        return eg__step_broken(step, "scale and zero point differ in number");
    struct eg_tensor made;
    void *data;
    status = eg__onnx_new_tensor(step->onnx, EG_F32, in->rank, in->dim, &made, &data);
    for (size_t i = 0, count = status ? 0 : eg__tensor_count(in); i < count; i++) {
        size_t k = n == 1 ? 0 : i / inner % n;
        double offset = zero ? eg__tensor_number_at(zero, k) : 0;
        ((float *)data)[i] = (float)((eg__tensor_number_at(in, i) - offset) * eg__tensor_number_at(scale, k));
    }
    made.name = in->name;
    return status ? status : give(step, &made);
}

static enum eg_status fold_expand(struct eg_reading *step)
{
    int64_t shape[EG_RANK_MAX];
    size_t n;
    struct eg_tensor in = step->in[0]->tensor, made = in;
    enum eg_status status = eg__step_ints(step, "shape", 1, shape, EG_RANK_MAX, &n);
    if (status) return status;
    unsigned rank = in.rank > n ? in.rank : (unsigned)n;
    made.rank = (uint8_t)rank;
    for (unsigned i = 0; i < rank; i++) {
        bool has = i >= rank - in.rank, wants = i >= rank - n;
        size_t have = has ? in.dim[i - (rank - in.rank)] : 1;
        int64_t want = wants ? shape[i - (rank - n)] : 1;
        if (want < 0 || (want != 1 && have != 1 && (size_t)want != have))
            return eg__step_broken(step, "its shape does not fit its input");
        made.dim[i] = want == 1 ? have : (size_t)want;
        made.stride[i] = have == 1 ? 0 : in.stride[i - (rank - in.rank)];
    }
    struct eg_tensor dense;
    status = copy_as(step, &made, made.dtype, &dense);
    return status ? status : give(step, &dense);
}

enum eg_status eg__fold(struct eg_reading *step)
{
    if (is_op(step, "Shape")) return fold_shape(step);
    if (is_op(step, "Constant")) return fold_constant(step);
    if (!step->n_in || !step->in[0]) return eg__step_broken(step, "input 0 is missing");
    if (is_op(step, "ConstantOfShape")) return fold_constant_of_shape(step);
    if (is_op(step, "Reshape")) return fold_reshape(step);
    if (is_op(step, "Squeeze")) return fold_squeeze(step, false);
    if (is_op(step, "Unsqueeze")) return fold_squeeze(step, true);
    if (is_op(step, "Flatten")) return fold_flatten(step);
    if (is_op(step, "Transpose")) return fold_transpose(step);
    if (is_op(step, "Slice")) return fold_slice(step);
    if (is_op(step, "Concat")) return fold_concat(step);
    if (is_op(step, "Cast")) return fold_cast(step);
    if (is_op(step, "DequantizeLinear")) return fold_dequantize(step);
    if (is_op(step, "Expand")) return fold_expand(step);
    if (is_op(step, "Identity") || is_op(step, "Dropout")) return give(step, &step->in[0]->tensor);
    if (is_op(step, "Gather") && step->n_in > 1 && step->in[1]) return fold_gather(step);
    for (unsigned op = 0; op < N_ARITHMETIC; op++)
        if (is_op(step, arithmetic[op].name) && step->n_in == arithmetic[op].inputs &&
            step->in[step->n_in - 1])
            return fold_arithmetic(step, op);
    return eg__step_refuse(step, "it cannot be computed from constants (simplify the file with onnxsim)");
}
