/* onnx_fold.c: nodes whose inputs are all constants, and what asks for a layer's shape, are computed
 * while loading: the shape arithmetic of exporters, masks, casts, weights that are made from others.
 * What only moves dimensions gives a view of the same bytes. One row of the table an operator; those
 * that compute are in onnx_fold_numbers.c, those that make or move numbers in onnx_fold_make.c. */
#include "onnx/onnx_fold.h"

#include <math.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"

/* ---- elements ------------------------------------------------------------------------ */

void eg__fold_load(const struct eg_tensor *tensor, size_t first, size_t n, double *numbers)
{
    size_t side = tensor->rank ? tensor->dim[tensor->rank - 1] : 1;
    ptrdiff_t stride = tensor->rank ? tensor->stride[tensor->rank - 1] : 0;
    struct eg_tensor row = {.dtype = tensor->dtype, .rank = 1, .stride = {stride}};
    while (n) {
        size_t run = side - first % side;
        if (run > n) run = n;
        row.data = eg__tensor_element(tensor, first);
        row.dim[0] = run;
        if (tensor->dtype == EG_F32 && stride == 1) {
            float x;
            for (size_t i = 0; i < run; i++) {
                memcpy(&x, (const uint8_t *)row.data + i * sizeof x, sizeof x);
                numbers[i] = (double)x;
            }
        } else {
            for (size_t i = 0; i < run; i++) numbers[i] = eg__tensor_number_at(&row, i);
        }
        numbers += run;
        first += run;
        n -= run;
    }
}

static int64_t whole(double number)
{
    return number >= 9.2e18 ? INT64_MAX : number <= -9.2e18 ? INT64_MIN : isnan(number) ? 0 : (int64_t)number;
}

void eg__fold_store(enum eg_dtype dtype, void *data, size_t first, size_t n, const double *numbers)
{
    size_t size = eg__dtype_size(dtype);
    uint8_t *to = (uint8_t *)data + first * size;
    for (size_t i = 0; i < n; i++, to += size) {
        float f = (float)numbers[i];
        int64_t integer = whole(numbers[i]);
        if (dtype == EG_F32)
            memcpy(to, &f, sizeof f);
        else if (dtype == EG_F64)
            memcpy(to, &numbers[i], sizeof numbers[i]);
        else
            memcpy(to, &integer, size); /* the low bytes: little-endian */
    }
}

void eg__fold_copy(const struct eg_tensor *from, const struct eg_tensor *to)
{
    size_t size = eg__dtype_size(from->dtype), count = eg__tensor_count(from);
    size_t side = from->rank ? from->dim[from->rank - 1] : 1;
    ptrdiff_t in = from->rank ? from->stride[from->rank - 1] * (ptrdiff_t)size : 0;
    ptrdiff_t out = to->rank ? to->stride[to->rank - 1] * (ptrdiff_t)size : 0;
    for (size_t at = 0; at < count; at += side) {
        const uint8_t *a = eg__tensor_element(from, at);
        uint8_t *b = (uint8_t *)to->data + (eg__tensor_element(to, at) - (const uint8_t *)to->data);
        if (in == (ptrdiff_t)size && out == in)
            memcpy(b, a, side * size);
        else
            for (size_t i = 0; i < side; i++) memcpy(b + (ptrdiff_t)i * out, a + (ptrdiff_t)i * in, size);
    }
}

bool eg__fold_spread(struct eg_tensor *tensor, unsigned rank, const size_t *dim)
{
    struct eg_tensor made = *tensor;
    if (rank < tensor->rank) return false;
    unsigned missing = rank - tensor->rank;
    made.rank = (uint8_t)rank;
    for (unsigned i = 0; i < rank; i++) {
        size_t have = i < missing ? 1 : tensor->dim[i - missing];
        if (have != dim[i] && have != 1) return false;
        made.dim[i] = dim[i];
        made.stride[i] = have == 1 ? 0 : tensor->stride[i - missing];
    }
    *tensor = made;
    return true;
}

enum eg_status eg__fold_charge(struct eg_reading *step, size_t n)
{
    struct eg_onnx *onnx = step->onnx;
    if (n > onnx->folded_max - onnx->folded_work)
        return eg__fail(onnx->err, EG_E_FORMAT, "its constants would take too long to compute");
    onnx->folded_work += n;
    return EG_OK;
}

enum eg_status eg__fold_give(struct eg_reading *step, unsigned output, const struct eg_tensor *tensor)
{
    struct eg_value *out = eg__step_output(step, output);
    if (!out)
        return output < step->proto->n_output && step->proto->output[output][0] ? eg__step_memory(step)
                                                                                : EG_OK;
    out->is_constant = out->is_defined = true;
    out->tensor = *tensor;
    return EG_OK;
}

static enum eg_status give(struct eg_reading *step, const struct eg_tensor *tensor)
{
    return eg__fold_give(step, 0, tensor);
}

enum eg_status eg__fold_cast(struct eg_reading *step, const struct eg_tensor *from, enum eg_dtype dtype,
                             struct eg_tensor *tensor)
{
    void *data;
    struct eg_tensor made;
    enum eg_status status =
        eg__onnx_new_tensor(step->onnx, eg__fold_type(dtype), from->rank, from->dim, &made, &data);
    if (status) return status;
    if (made.dtype == from->dtype) {
        eg__fold_copy(from, &made);
    } else if (made.dtype == EG_F32) {
        if (eg__tensor_count(from)) eg__tensor_read(from, data);
    } else {
        double run[EG_FOLD_RUN];
        for (size_t at = 0, n, count = eg__tensor_count(from); at < count; at += n) {
            n = count - at < EG_FOLD_RUN ? count - at : EG_FOLD_RUN;
            eg__fold_load(from, at, n, run);
            for (size_t i = 0; i < n && dtype == EG_BOOL; i++) run[i] = run[i] != 0;
            eg__fold_store(made.dtype, data, at, n, run);
        }
    }
    *tensor = made;
    return EG_OK;
}

static bool is_op(const struct eg_reading *step, const char *op) { return !strcmp(step->proto->op_type, op); }

bool eg__fold_applies(const struct eg_reading *step)
{
    if (is_op(step, "Shape") || is_op(step, "Size")) return true;
    bool only_type = is_op(step, "CastLike"); /* of its second input */
    for (size_t i = 0; i < step->n_in; i++)
        if (step->in[i] && !step->in[i]->is_constant && (i == 0 || !only_type)) return false;
    return true;
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

/* How many numbers, the images of a batch counted. */
static enum eg_status fold_size(struct eg_reading *step)
{
    const struct eg_value *value = step->in[0];
    size_t count = value->is_constant ? eg__tensor_count(&value->tensor) : 1;
    for (unsigned i = 0; i < value->rank && !value->is_constant; i++)
        count *= eg__value_extent(step->onnx, value, i);
    struct eg_tensor made;
    void *data;
    enum eg_status status = eg__onnx_new_tensor(step->onnx, EG_I64, 0, NULL, &made, &data);
    if (status) return status;
    *(int64_t *)data = (int64_t)count;
    return give(step, &made);
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
        enum eg_status status = eg__fold_cast(step, &step->in[0]->tensor, made.dtype, &made);
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
    struct eg_tensor made = step->in[0]->tensor;
    struct eg_slice_list s;
    enum eg_status status = eg__step_slices(step, &s);
    if (status) return status;
    for (unsigned i = 0; i < s.n; i++) {
        unsigned axis;
        if ((status = eg__step_axis(step, s.axes[i], made.rank, &axis))) return status;
        int64_t size = (int64_t)made.dim[axis], from = s.starts[i], to = s.ends[i], by = s.steps[i];
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

static enum eg_status fold_cast(struct eg_reading *step)
{
    enum eg_dtype dtype;
    struct eg_tensor made = step->in[0]->tensor;
    const char *name = made.name;
    enum eg_status status = EG_OK;
    if (is_op(step, "CastLike"))
        dtype = step->in[1]->is_constant ? step->in[1]->tensor.dtype : EG_F32;
    else
        status = eg__onnx_dtype(step->onnx, eg__step_int(step, "to", 0), &dtype);
    if (status) return status;
    /* every float is read as float32 whatever it is stored as: half weights stay in the file */
    if (!(eg__dtype_is_float(dtype) && eg__dtype_is_float(made.dtype)) && dtype != made.dtype)
        status = eg__fold_cast(step, &step->in[0]->tensor, dtype, &made);
    made.name = name;
    return status ? status : give(step, &made);
}

/* ---- the table ------------------------------------------------------------------------ */

static enum eg_status fold_identity(struct eg_reading *step) { return give(step, &step->in[0]->tensor); }
static enum eg_status fold_add_sides(struct eg_reading *step) { return fold_squeeze(step, true); }
static enum eg_status fold_drop_sides(struct eg_reading *step) { return fold_squeeze(step, false); }

static const struct {
    const char *op;
    eg_fold_fn *fold;
    unsigned inputs; /* that must be there */
} rows[] = {
    {"Shape", fold_shape, 1},
    {"Size", fold_size, 1},
    {"Constant", fold_constant, 0},
    {"ConstantOfShape", eg__fold_constant_of_shape, 1},
    {"Range", eg__fold_range, 3},
    {"EyeLike", eg__fold_eye, 1},
    {"Identity", fold_identity, 1},
    {"Dropout", fold_identity, 1},
    {"Cast", fold_cast, 1},
    {"CastLike", fold_cast, 2},
    {"Reshape", fold_reshape, 1},
    {"Squeeze", fold_drop_sides, 1},
    {"Unsqueeze", fold_add_sides, 1},
    {"Flatten", fold_flatten, 1},
    {"Transpose", fold_transpose, 1},
    {"Slice", fold_slice, 1},
    {"Concat", eg__fold_concat, 1},
    {"Split", eg__fold_split, 1},
    {"Gather", eg__fold_gather, 2},
    {"GatherND", eg__fold_gather_nd, 2},
    {"ScatterND", eg__fold_scatter_nd, 3},
    {"Expand", eg__fold_expand, 2},
    {"Tile", eg__fold_tile, 2},
    {"Trilu", eg__fold_trilu, 1},
    {"Where", eg__fold_where, 3},
    {"Clip", eg__fold_clip, 1},
    {"CumSum", eg__fold_cum_sum, 2},
    {"DequantizeLinear", eg__fold_dequantize, 2},
};

static eg_fold_fn *row_of(const struct eg_reading *step, unsigned *inputs)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!is_op(step, rows[i].op)) continue;
        *inputs = rows[i].inputs;
        return rows[i].fold;
    }
    *inputs = 1;
    if (!strncmp(step->proto->op_type, "Reduce", 6)) return eg__fold_reduce;
    return eg__fold_elementwise;
}

enum eg_status eg__fold(struct eg_reading *step)
{
    unsigned inputs;
    eg_fold_fn *fold = row_of(step, &inputs);
    for (unsigned i = 0; i < inputs; i++)
        if (i >= step->n_in || !step->in[i]) return eg__step_broken(step, "input %u is missing", i);
    for (unsigned i = 0; i < step->n_in; i++) {
        if (!step->in[i] || !step->in[i]->is_constant) continue;
        enum eg_status status = eg__fold_charge(step, eg__tensor_count(&step->in[i]->tensor));
        if (status) return status;
    }
    return fold(step);
}
