/* onnx_fold_numbers.c: arithmetic on constants. Operands are seen as of the result's shape and read a
 * run at a time as double, so one line an operator is enough whatever the types. */
#include <math.h>
#include <string.h>

#include "onnx/onnx_fold.h"

/* ---- element by element ----------------------------------------------------------------- */

enum kind { SAME, TRUTH };
typedef double number_fn(double a, double b);

#define FN(name, expression)                                                                                 \
    static double name(double a, double b)                                                                   \
    {                                                                                                        \
        (void)a, (void)b;                                                                                    \
        return expression;                                                                                   \
    }
FN(add, a + b)
FN(subtract, a - b)
FN(multiply, a *b)
FN(divide, a / b)
FN(larger, isnan(a) || a > b ? a : b)
FN(smaller, isnan(a) || a < b ? a : b)
FN(remainder_of_divisor, b != 0 ? fmod(a, b) + (fmod(a, b) * b < 0 ? b : 0) : 0)
FN(remainder_of_dividend, b != 0 ? fmod(a, b) : 0)
FN(equal, a == b)
FN(less, a < b)
FN(greater, a > b)
FN(less_or_equal, a <= b)
FN(greater_or_equal, a >= b)
FN(both, a != 0 && b != 0)
FN(either, a != 0 || b != 0)
FN(one_only, (a != 0) != (b != 0))
FN(negated, a == 0)
FN(negative, -a)
FN(root, sqrt(a))
FN(down, floor(a))
FN(up, ceil(a))
FN(to_even, nearbyint(a))
FN(inverse, 1 / a)
FN(exponential, exp(a))
FN(logarithm, log(a))
FN(magnitude, fabs(a))
FN(sign, a > 0 ? 1 : a < 0 ? -1 : a)
FN(error_function, erf(a))
FN(sine, sin(a))
FN(cosine, cos(a))
FN(hyperbolic, tanh(a))
FN(logistic, 1 / (1 + exp(-a)))
FN(rectified, a > 0 ? a : 0)
FN(is_nan, isnan(a))
FN(is_infinite, isinf(a))
FN(is_above_all, isinf(a) && a > 0)
FN(is_below_all, isinf(a) && a < 0)
FN(never, 0)
#undef FN

static const struct {
    const char *op;
    number_fn *of;
    unsigned inputs; /* 0: as many as there are, two at a time */
    enum kind kind;
} rows[] = {
    {"Add", add, 2, SAME},
    {"Sub", subtract, 2, SAME},
    {"Mul", multiply, 2, SAME},
    {"Div", divide, 2, SAME},
    {"Pow", pow, 2, SAME},
    {"Mod", remainder_of_divisor, 2, SAME},
    {"Max", larger, 0, SAME},
    {"Min", smaller, 0, SAME},
    {"Sum", add, 0, SAME},
    {"Equal", equal, 2, TRUTH},
    {"Less", less, 2, TRUTH},
    {"Greater", greater, 2, TRUTH},
    {"LessOrEqual", less_or_equal, 2, TRUTH},
    {"GreaterOrEqual", greater_or_equal, 2, TRUTH},
    {"And", both, 2, TRUTH},
    {"Or", either, 2, TRUTH},
    {"Xor", one_only, 2, TRUTH},
    {"Not", negated, 1, TRUTH},
    {"Neg", negative, 1, SAME},
    {"Sqrt", root, 1, SAME},
    {"Floor", down, 1, SAME},
    {"Ceil", up, 1, SAME},
    {"Round", to_even, 1, SAME},
    {"Reciprocal", inverse, 1, SAME},
    {"Exp", exponential, 1, SAME},
    {"Log", logarithm, 1, SAME},
    {"Abs", magnitude, 1, SAME},
    {"Sign", sign, 1, SAME},
    {"Erf", error_function, 1, SAME},
    {"Sin", sine, 1, SAME},
    {"Cos", cosine, 1, SAME},
    {"Tanh", hyperbolic, 1, SAME},
    {"Sigmoid", logistic, 1, SAME},
    {"Relu", rectified, 1, SAME},
    {"IsNaN", is_nan, 1, TRUTH},
    {"IsInf", is_infinite, 1, TRUTH},
};

/* The shape that n operands spread to; they become views of it. */
static enum eg_status spread(struct eg_reading *step, struct eg_tensor *operand, size_t n, unsigned *rank,
                             size_t *dim)
{
    *rank = 0;
    for (size_t k = 0; k < n; k++)
        if (operand[k].rank > *rank) *rank = operand[k].rank;
    for (unsigned i = 0; i < *rank; i++) dim[i] = 1;
    for (size_t k = 0; k < n; k++)
        for (unsigned i = 0; i < operand[k].rank; i++) {
            size_t *to = &dim[*rank - operand[k].rank + i];
            if (*to == 1) *to = operand[k].dim[i];
        }
    for (size_t k = 0; k < n; k++)
        if (!eg__fold_spread(&operand[k], *rank, dim))
            return eg__step_broken(step, "its constants differ in shape");
    return EG_OK;
}

enum eg_status eg__fold_elementwise(struct eg_reading *step)
{
    size_t row = 0, dim[EG_RANK_MAX];
    while (row < sizeof rows / sizeof *rows && strcmp(rows[row].op, step->proto->op_type)) row++;
    if (row == sizeof rows / sizeof *rows) return EG_E_NOT_FOUND;
    if (rows[row].inputs && step->n_in != rows[row].inputs)
        return eg__step_broken(step, "it has %zu inputs", step->n_in);
    struct eg_tensor operand[EG_INPUTS_MAX], made;
    unsigned rank;
    for (size_t k = 0; k < step->n_in; k++) {
        if (!step->in[k]) return eg__step_broken(step, "input %zu is missing", k);
        operand[k] = step->in[k]->tensor;
    }
    enum eg_dtype dtype = rows[row].kind == TRUTH ? EG_BOOL : eg__fold_type(operand[0].dtype);
    number_fn *of = rows[row].of;
    if (of == remainder_of_divisor && eg__step_int(step, "fmod", 0)) of = remainder_of_dividend;
    if (of == is_infinite) {
        bool above = eg__step_int(step, "detect_positive", 1),
             below = eg__step_int(step, "detect_negative", 1);
        of = above && below ? is_infinite : above ? is_above_all : below ? is_below_all : never;
    }
    bool cut_short = !eg__dtype_is_float(dtype);
    void *data;
    enum eg_status status = spread(step, operand, step->n_in, &rank, dim);
    if (!status) status = eg__onnx_new_tensor(step->onnx, dtype, rank, dim, &made, &data);
    if (status) return status;
    double a[EG_FOLD_RUN], b[EG_FOLD_RUN];
    for (size_t at = 0, n, count = eg__tensor_count(&made); at < count; at += n) {
        n = count - at < EG_FOLD_RUN ? count - at : EG_FOLD_RUN;
        eg__fold_load(&operand[0], at, n, a);
        for (size_t i = 0; i < n && step->n_in == 1 && rows[row].inputs; i++) a[i] = of(a[i], 0);
        for (size_t k = 1; k < step->n_in; k++) {
            eg__fold_load(&operand[k], at, n, b);
            for (size_t i = 0; i < n; i++) a[i] = of(a[i], b[i]);
        }
        for (size_t i = 0; i < n && cut_short; i++) a[i] = trunc(a[i]);
        eg__fold_store(dtype, data, at, n, a);
    }
    return eg__fold_give(step, 0, &made);
}

enum eg_status eg__fold_clip(struct eg_reading *step)
{
    float low, high;
    const struct eg_tensor *in = &step->in[0]->tensor;
    enum eg_status status = eg__step_number(step, 1, eg__step_float(step, "min", -INFINITY), &low);
    if (!status) status = eg__step_number(step, 2, eg__step_float(step, "max", INFINITY), &high);
    if (status) return status;
    struct eg_tensor made;
    void *data;
    enum eg_dtype dtype = eg__fold_type(in->dtype);
    if ((status = eg__onnx_new_tensor(step->onnx, dtype, in->rank, in->dim, &made, &data))) return status;
    double run[EG_FOLD_RUN];
    for (size_t at = 0, n, count = eg__tensor_count(&made); at < count; at += n) {
        n = count - at < EG_FOLD_RUN ? count - at : EG_FOLD_RUN;
        eg__fold_load(in, at, n, run);
        for (size_t i = 0; i < n; i++) {
            if (run[i] < (double)low) run[i] = (double)low;
            if (run[i] > (double)high) run[i] = (double)high; /* where low > high, high wins */
        }
        eg__fold_store(dtype, data, at, n, run);
    }
    return eg__fold_give(step, 0, &made);
}

enum eg_status eg__fold_where(struct eg_reading *step)
{
    struct eg_tensor operand[3], made;
    unsigned rank;
    size_t dim[EG_RANK_MAX];
    for (unsigned k = 0; k < 3; k++) operand[k] = step->in[k]->tensor;
    if (!eg__fold_same_type(operand[1].dtype, operand[2].dtype))
        return eg__step_broken(step, "its constants differ in type");
    void *data;
    bool same = operand[1].dtype == operand[2].dtype;
    enum eg_dtype dtype = same ? eg__fold_type(operand[1].dtype) : EG_F32;
    enum eg_status status = spread(step, operand, 3, &rank, dim);
    if (!status) status = eg__onnx_new_tensor(step->onnx, dtype, rank, dim, &made, &data);
    if (status) return status;
    double which[EG_FOLD_RUN], a[EG_FOLD_RUN], b[EG_FOLD_RUN];
    for (size_t at = 0, n, count = eg__tensor_count(&made); at < count; at += n) {
        n = count - at < EG_FOLD_RUN ? count - at : EG_FOLD_RUN;
        eg__fold_load(&operand[0], at, n, which);
        eg__fold_load(&operand[1], at, n, a);
        eg__fold_load(&operand[2], at, n, b);
        for (size_t i = 0; i < n; i++) a[i] = which[i] != 0 ? a[i] : b[i];
        eg__fold_store(dtype, data, at, n, a);
    }
    return eg__fold_give(step, 0, &made);
}

/* ---- along dimensions -------------------------------------------------------------------- */

enum reduction {
    SUM,
    MEAN,
    LARGEST,
    SMALLEST,
    PRODUCT,
    L1,
    L2,
    LOG_SUM,
    LOG_SUM_EXP,
    SUM_SQUARE,
    N_REDUCTIONS
};
static const char *const reductions[N_REDUCTIONS] = {
    "ReduceSum", "ReduceMean", "ReduceMax",    "ReduceMin",       "ReduceProd",
    "ReduceL1",  "ReduceL2",   "ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare"};

static double take(enum reduction how, double sum, double x)
{
    switch (how) {
    case LARGEST: return x > sum || isnan(x) ? x : sum;
    case SMALLEST: return x < sum || isnan(x) ? x : sum;
    case PRODUCT: return sum * x;
    case L1: return sum + fabs(x);
    case L2:
    case SUM_SQUARE: return sum + x * x;
    default: return sum + x;
    }
}

static double one_reduced(const struct eg_tensor *in, size_t first, size_t n, enum reduction how)
{
    double run[EG_FOLD_RUN], most = -INFINITY;
    double sum = how == PRODUCT ? 1 : how == LARGEST ? -INFINITY : how == SMALLEST ? INFINITY : 0;
    for (unsigned pass = how != LOG_SUM_EXP; pass < 2; pass++) /* the largest first, lest exp overflows */
        for (size_t at = 0, some; at < n; at += some) {
            some = n - at < EG_FOLD_RUN ? n - at : EG_FOLD_RUN;
            eg__fold_load(in, first + at, some, run);
            for (size_t i = 0; i < some; i++) {
                if (!pass)
                    most = fmax(most, run[i]);
                else
                    sum = take(how, sum, how == LOG_SUM_EXP ? exp(run[i] - most) : run[i]);
            }
        }
    switch (how) {
    case MEAN: return sum / (double)n;
    case L2: return sqrt(sum);
    case LOG_SUM: return log(sum);
    case LOG_SUM_EXP: return most + log(sum);
    default: return sum;
    }
}

enum eg_status eg__fold_reduce(struct eg_reading *step)
{
    unsigned how = 0, reduced = 0, index, kept = 0, last = 0;
    while (how < N_REDUCTIONS && strcmp(reductions[how], step->proto->op_type)) how++;
    if (how == N_REDUCTIONS) return EG_E_NOT_FOUND;
    int64_t axes[EG_RANK_MAX];
    size_t n, dim[EG_RANK_MAX], length = 1;
    const struct eg_tensor *in = &step->in[0]->tensor;
    enum eg_status status = eg__step_ints(step, "axes", 1, axes, EG_RANK_MAX, &n);
    for (size_t i = 0; i < n && !status; i++) {
        status = eg__step_axis(step, axes[i], in->rank, &index);
        if (!status) reduced |= 1u << index;
    }
    if (status) return status;
    if (!n && eg__step_int(step, "noop_with_empty_axes", 0)) return eg__fold_give(step, 0, in);
    if (!n) reduced = ~0u;
    bool keep = eg__step_int(step, "keepdims", 1) != 0;
    uint8_t order[EG_RANK_MAX];
    for (unsigned i = 0; i < in->rank; i++) last += !(reduced & 1u << i);
    for (unsigned i = 0, first = 0; i < in->rank; i++) { /* what is reduced comes last */
        bool gone = (reduced & 1u << i) != 0;
        if (gone) length *= in->dim[i];
        if (keep || !gone) dim[kept++] = gone ? 1 : in->dim[i];
        if (gone)
            order[last++] = (uint8_t)i;
        else
            order[first++] = (uint8_t)i;
    }
    struct eg_tensor turned = eg__tensor_permuted(in, order), made;
    void *data;
    enum eg_dtype dtype = eg__fold_type(in->dtype);
    if ((status = eg__onnx_new_tensor(step->onnx, dtype, kept, dim, &made, &data))) return status;
    for (size_t i = 0, count = eg__tensor_count(&made); i < count; i++) {
        double x = one_reduced(&turned, i * length, length, (enum reduction)how);
        eg__fold_store(dtype, data, i, 1, &x);
    }
    return eg__fold_give(step, 0, &made);
}

enum eg_status eg__fold_cum_sum(struct eg_reading *step)
{
    const struct eg_tensor *in = &step->in[0]->tensor;
    unsigned axis;
    float along;
    enum eg_status status = eg__step_number(step, 1, 0, &along);
    if (!status) status = eg__step_axis(step, (int64_t)along, in->rank, &axis);
    if (status) return status;
    bool without = eg__step_int(step, "exclusive", 0) != 0, reverse = eg__step_int(step, "reverse", 0) != 0;
    uint8_t order[EG_RANK_MAX], back[EG_RANK_MAX];
    for (unsigned i = 0, at = 0; i < in->rank; i++) order[i == axis ? in->rank - 1u : at++] = (uint8_t)i;
    for (unsigned i = 0; i < in->rank; i++) back[order[i]] = (uint8_t)i;
    struct eg_tensor turned = eg__tensor_permuted(in, order), made;
    void *data;
    enum eg_dtype dtype = eg__fold_type(in->dtype);
    if ((status = eg__onnx_new_tensor(step->onnx, dtype, in->rank, turned.dim, &made, &data))) return status;
    size_t side = in->dim[axis], count = eg__tensor_count(&made);
    for (size_t row = 0; row < count; row += side) {
        double sum = 0, x;
        for (size_t i = 0; i < side; i++) {
            size_t at = row + (reverse ? side - 1 - i : i);
            eg__fold_load(&turned, at, 1, &x);
            double before = sum;
            sum += x;
            eg__fold_store(dtype, data, at, 1, without ? &before : &sum);
        }
    }
    made = eg__tensor_permuted(&made, back);
    return eg__fold_give(step, 0, &made);
}

/* (x - zero_point) scale: one for all, one along `axis`, or one a block of `block_size` along it. */
enum eg_status eg__fold_dequantize(struct eg_reading *step)
{
    const struct eg_tensor *in = &step->in[0]->tensor;
    struct eg_tensor scale = step->in[1]->tensor, zero = scale, made;
    bool has_zero = step->n_in > 2 && step->in[2];
    int64_t block = eg__step_int(step, "block_size", 0);
    unsigned axis = 0;
    enum eg_status status = EG_OK;
    if (has_zero) zero = step->in[2]->tensor;
    if (has_zero && eg__tensor_count(&zero) != eg__tensor_count(&scale))
        return eg__step_broken(step, "scale and zero point differ in number");
    bool blocked = scale.rank == in->rank && block > 0;
    if (eg__tensor_count(&scale) != 1 || blocked)
        status = eg__step_axis(step, eg__step_int(step, "axis", 1), in->rank, &axis);
    if (status) return status;
    size_t side = in->rank ? in->dim[axis] : 1, inner = 1, n = eg__tensor_count(&scale), per = 1;
    for (unsigned i = axis + 1; i < in->rank; i++) inner *= in->dim[i];
    if (blocked) {
        per = (size_t)block;
        for (unsigned i = 0; i < in->rank; i++)
            if (scale.dim[i] != (i == axis ? (side + per - 1) / per : in->dim[i]))
                return eg__step_broken(step, "its scales do not fit its blocks");
    } else if (n != 1 && (scale.rank != 1 || n != side)) {
        return eg__step_broken(step, "it has %zu scales along a dimension of %zu", n, side);
    }
    void *data;
    if ((status = eg__onnx_new_tensor(step->onnx, EG_F32, in->rank, in->dim, &made, &data))) return status;
    size_t blocks = (side + per - 1) / per;
    for (size_t i = 0, count = eg__tensor_count(in); i < count; i++) {
        size_t place = i / inner % side, k = place;
        if (blocked) k = (i / inner / side * blocks + place / per) * inner + i % inner;
        if (n == 1) k = 0;
        double offset = has_zero ? eg__tensor_number_at(&zero, k) : 0;
        ((float *)data)[i] =
            (float)((eg__tensor_number_at(in, i) - offset) * eg__tensor_number_at(&scale, k));
    }
    made.name = in->name;
    return eg__fold_give(step, 0, &made);
}
