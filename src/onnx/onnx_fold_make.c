/* onnx_fold_make.c: constants that are made from a shape, and numbers of others put elsewhere. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "onnx/onnx_fold.h"

/* Sides, which are in a shape's input. */
static enum eg_status sides(struct eg_reading *step, unsigned input, size_t *dim, unsigned *rank)
{
    int64_t shape[EG_RANK_MAX];
    size_t n;
    enum eg_status status = eg__step_ints(step, "shape", input, shape, EG_RANK_MAX, &n);
    if (status) return status;
    for (size_t i = 0; i < n; i++) {
        if (shape[i] < 0) return eg__step_broken(step, "dimension %zu is negative", i);
        dim[i] = (size_t)shape[i];
    }
    *rank = (unsigned)n;
    return EG_OK;
}

enum eg_status eg__fold_constant_of_shape(struct eg_reading *step)
{
    static const float zero = 0;
    struct eg_tensor one = {.data = &zero, .dtype = EG_F32}, made;
    size_t dim[EG_RANK_MAX];
    unsigned rank;
    enum eg_status status = sides(step, 0, dim, &rank);
    const EgOnnx__AttributeProto *value = eg__step_attribute(step, "value");
    if (!status && value && value->has_t && value->t.len == 2 * sizeof(uint64_t)) {
        uint64_t place[2];
        memcpy(place, value->t.data, sizeof place);
        status = eg__onnx_tensor(step->onnx,
                                 (struct eg_span){step->onnx->map.bytes + place[0], (size_t)place[1]}, &one);
        if (!status && eg__tensor_count(&one) != 1)
            return eg__step_broken(step, "its value is not one number");
        one.rank = 0;
    }
    void *data;
    if (!status) status = eg__onnx_new_tensor(step->onnx, one.dtype, rank, dim, &made, &data);
    if (status) return status;
    if (!eg__fold_spread(&one, rank, dim)) return eg__step_broken(step, "its value is not one number");
    eg__fold_copy(&one, &made);
    return eg__fold_give(step, 0, &made);
}

enum eg_status eg__fold_range(struct eg_reading *step)
{
    double from[3];
    for (unsigned i = 0; i < 3; i++) {
        if (eg__tensor_count(&step->in[i]->tensor) != 1)
            return eg__step_broken(step, "input %u is not one number", i);
        from[i] = eg__tensor_number_at(&step->in[i]->tensor, 0);
    }
    double length = ceil((from[1] - from[0]) / from[2]);
    if (!(from[2] != 0) || isnan(length)) return eg__step_broken(step, "its step is 0 or no number");
    size_t n = length <= 0 ? 0 : length < 1e15 ? (size_t)length : SIZE_MAX / 16;
    struct eg_tensor made;
    void *data;
    enum eg_dtype dtype = eg__fold_type(step->in[0]->tensor.dtype);
    enum eg_status status = eg__onnx_new_tensor(step->onnx, dtype, 1, &n, &made, &data);
    for (size_t i = 0; i < n && !status; i++) {
        double x = from[0] + (double)i * from[2];
        eg__fold_store(dtype, data, i, 1, &x);
    }
    return status ? status : eg__fold_give(step, 0, &made);
}

enum eg_status eg__fold_eye(struct eg_reading *step)
{
    const struct eg_tensor *in = &step->in[0]->tensor;
    if (in->rank != 2) return eg__step_broken(step, "its input has %u dimensions", in->rank);
    enum eg_dtype dtype = in->dtype;
    enum eg_status status = EG_OK;
    if (eg__step_attribute(step, "dtype"))
        status = eg__onnx_dtype(step->onnx, eg__step_int(step, "dtype", 1), &dtype);
    struct eg_tensor made;
    void *data;
    dtype = eg__fold_type(dtype);
    if (!status) status = eg__onnx_new_tensor(step->onnx, dtype, 2, in->dim, &made, &data);
    if (status) return status;
    int64_t k = eg__step_int(step, "k", 0);
    for (size_t i = 0, count = eg__tensor_count(&made); i < count; i++) {
        double x = (int64_t)(i % in->dim[1]) - (int64_t)(i / in->dim[1]) == k;
        eg__fold_store(dtype, data, i, 1, &x);
    }
    return eg__fold_give(step, 0, &made);
}

/* ---- spread and repeated -------------------------------------------------------------------- */

enum eg_status eg__fold_expand(struct eg_reading *step)
{
    struct eg_tensor in = step->in[0]->tensor, made;
    size_t want[EG_RANK_MAX], dim[EG_RANK_MAX];
    unsigned n, rank;
    enum eg_status status = sides(step, 1, want, &n);
    if (status) return status;
    rank = in.rank > n ? in.rank : n;
    for (unsigned i = 0; i < rank; i++) {
        size_t have = i >= rank - in.rank ? in.dim[i - (rank - in.rank)] : 1;
        size_t asked = i >= rank - n ? want[i - (rank - n)] : 1;
        dim[i] = asked == 1 ? have : asked;
    }
    if (!eg__fold_spread(&in, rank, dim)) return eg__step_broken(step, "its shape does not fit its input");
    void *data;
    status = eg__onnx_new_tensor(step->onnx, in.dtype, rank, dim, &made, &data);
    if (status) return status;
    eg__fold_copy(&in, &made);
    return eg__fold_give(step, 0, &made);
}

/* A part of `tensor`: `n` of axis from `first` on. */
static struct eg_tensor part_of(const struct eg_tensor *tensor, unsigned axis, size_t first, size_t n)
{
    struct eg_tensor part = *tensor;
    ptrdiff_t skip = (ptrdiff_t)first * tensor->stride[axis] * (ptrdiff_t)eg__dtype_size(tensor->dtype);
    part.data = (const uint8_t *)tensor->data + skip;
    part.dim[axis] = n;
    return part;
}

/* One axis after the other; the result of one is what the next repeats. */
enum eg_status eg__fold_tile(struct eg_reading *step)
{
    struct eg_tensor in = step->in[0]->tensor;
    int64_t times[EG_RANK_MAX];
    size_t n;
    enum eg_status status = eg__step_ints(step, "repeats", 1, times, EG_RANK_MAX, &n);
    if (!status && n != in.rank) return eg__step_broken(step, "%zu repeats for %u dimensions", n, in.rank);
    for (unsigned axis = 0; axis < in.rank && !status; axis++) {
        struct eg_tensor made, shape = in;
        void *data;
        if (times[axis] == 1) continue;
        if (times[axis] < 0) return eg__step_broken(step, "it repeats %lld times", (long long)times[axis]);
        if (!eg__mul(in.dim[axis], (size_t)times[axis], &shape.dim[axis]))
            return eg__step_broken(step, "its shape overflows");
        status = eg__onnx_new_tensor(step->onnx, in.dtype, in.rank, shape.dim, &made, &data);
        for (size_t k = 0; k < (size_t)times[axis] && !status && in.dim[axis]; k++) {
            struct eg_tensor to = part_of(&made, axis, k * in.dim[axis], in.dim[axis]);
            eg__fold_copy(&in, &to);
            if (!eg__tensor_count(&in)) break;
        }
        if (!status) in = made;
    }
    return status ? status : eg__fold_give(step, 0, &in);
}

enum eg_status eg__fold_trilu(struct eg_reading *step)
{
    const struct eg_tensor *in = &step->in[0]->tensor;
    if (in->rank < 2) return eg__step_broken(step, "its input has %u dimensions", in->rank);
    float k;
    bool upper = eg__step_int(step, "upper", 1) != 0;
    struct eg_tensor made;
    void *data;
    enum eg_status status = eg__step_number(step, 1, 0, &k);
    if (!status) status = eg__onnx_new_tensor(step->onnx, in->dtype, in->rank, in->dim, &made, &data);
    if (status) return status;
    eg__fold_copy(in, &made);
    size_t columns = in->dim[in->rank - 1], rows = in->dim[in->rank - 2], size = eg__dtype_size(in->dtype);
    for (size_t i = 0, count = eg__tensor_count(&made); i < count; i++) {
        double off = (double)(i % columns) - (double)(i / columns % rows) - (double)k;
        if (upper ? off < 0 : off > 0) memset((uint8_t *)data + i * size, 0, size);
    }
    return eg__fold_give(step, 0, &made);
}

/* ---- joined, split, picked ------------------------------------------------------------------- */

enum eg_status eg__fold_concat(struct eg_reading *step)
{
    const struct eg_tensor *first = &step->in[0]->tensor;
    unsigned axis;
    size_t dim[EG_RANK_MAX], side = 0;
    enum eg_status status = eg__step_axis(step, eg__step_int(step, "axis", 0), first->rank, &axis);
    if (status) return status;
    memcpy(dim, first->dim, sizeof dim);
    enum eg_dtype dtype = first->dtype;
    for (size_t k = 0; k < step->n_in; k++) {
        if (!step->in[k]) return eg__step_broken(step, "input %zu is missing", k);
        const struct eg_tensor *next = &step->in[k]->tensor;
        if (next->rank != first->rank || !eg__fold_same_type(next->dtype, first->dtype))
            return eg__step_broken(step, "its inputs differ in type or dimensions");
        if (next->dtype != first->dtype) dtype = EG_F32;
        for (unsigned i = 0; i < first->rank; i++)
            if (i != axis && next->dim[i] != first->dim[i])
                return eg__step_broken(step, "its inputs differ in shape");
        if (__builtin_add_overflow(side, next->dim[axis], &side))
            return eg__step_broken(step, "its shape overflows");
    }
    dim[axis] = side;
    struct eg_tensor made;
    void *data;
    if ((status = eg__onnx_new_tensor(step->onnx, dtype, first->rank, dim, &made, &data))) return status;
    side = 0;
    for (size_t k = 0; k < step->n_in; k++) {
        struct eg_tensor next = step->in[k]->tensor;
        if (next.dtype != dtype && (status = eg__fold_cast(step, &next, dtype, &next))) return status;
        struct eg_tensor to = part_of(&made, axis, side, next.dim[axis]);
        eg__fold_copy(&next, &to);
        side += next.dim[axis];
    }
    return eg__fold_give(step, 0, &made);
}

enum eg_status eg__fold_split(struct eg_reading *step)
{
    const struct eg_tensor in = step->in[0]->tensor;
    int64_t size[EG_INPUTS_MAX];
    size_t n, parts = step->proto->n_output, begin = 0;
    unsigned axis;
    enum eg_status status = eg__step_axis(step, eg__step_int(step, "axis", 0), in.rank, &axis);
    if (!status) status = eg__step_ints(step, "split", 1, size, EG_INPUTS_MAX, &n);
    if (status) return status;
    if (!parts || (n && n != parts)) return eg__step_broken(step, "%zu sizes for %zu outputs", n, parts);
    size_t side = in.dim[axis], even = (side + parts - 1) / parts;
    for (unsigned k = 0; k < parts; k++) {
        size_t left = side - begin, some = even < left ? even : left;
        if (n && (size[k] < 0 || (uint64_t)size[k] > left))
            return eg__step_broken(step, "its sizes do not add up to %zu", side);
        if (n) some = (size_t)size[k];
        struct eg_tensor part = part_of(&in, axis, begin, some);
        if ((status = eg__fold_give(step, k, &part))) return status;
        begin += some;
    }
    return begin == side ? EG_OK : eg__step_broken(step, "its sizes do not add up to %zu", side);
}

static enum eg_status place_of(struct eg_reading *step, const struct eg_tensor *which, size_t i, size_t side,
                               size_t *place)
{
    int64_t pick = eg__tensor_int_at(which, i);
    if (pick < 0) pick += (int64_t)side;
    if (pick < 0 || (size_t)pick >= side)
        return eg__step_broken(step, "index %lld of %zu", (long long)pick, side);
    *place = (size_t)pick;
    return EG_OK;
}

static bool is_whole(const struct eg_tensor *tensor) { return !eg__dtype_is_float(tensor->dtype); }

enum eg_status eg__fold_gather(struct eg_reading *step)
{
    const struct eg_tensor *in = &step->in[0]->tensor, *which = &step->in[1]->tensor;
    unsigned axis, rank = 0;
    size_t dim[2 * EG_RANK_MAX], picks = eg__tensor_count(which), place = 0;
    enum eg_status status = eg__step_axis(step, eg__step_int(step, "axis", 0), in->rank, &axis);
    if (status) return status;
    if (!is_whole(which)) return eg__step_broken(step, "its indices are no whole numbers");
    for (unsigned i = 0; i < axis; i++) dim[rank++] = in->dim[i];
    for (unsigned i = 0; i < which->rank; i++) dim[rank++] = which->dim[i];
    for (unsigned i = axis + 1; i < in->rank; i++) dim[rank++] = in->dim[i];
    if (rank > EG_RANK_MAX) return eg__step_refuse(step, "%u dimensions", rank);
    struct eg_tensor made, flat = *in;
    void *data;
    if ((status = eg__onnx_new_tensor(step->onnx, in->dtype, rank, dim, &made, &data))) return status;
    flat.dim[axis] = picks; /* the result with all picks along one axis */
    flat.data = data;
    eg__tensor_pack_strides(&flat);
    for (size_t i = 0; i < picks && eg__tensor_count(&made); i++) {
        if ((status = place_of(step, which, i, in->dim[axis], &place))) return status;
        struct eg_tensor from = part_of(in, axis, place, 1), to = part_of(&flat, axis, i, 1);
        eg__fold_copy(&from, &to);
    }
    return eg__fold_give(step, 0, &made);
}

/* Where the index-th of `which`'s rows points to: the first dimensions of `tensor` are taken away. */
static enum eg_status point_to(struct eg_reading *step, const struct eg_tensor *tensor,
                               const struct eg_tensor *which, size_t index, struct eg_tensor *part)
{
    unsigned depth = (unsigned)which->dim[which->rank - 1];
    struct eg_tensor at = *tensor;
    ptrdiff_t skip = 0;
    for (unsigned i = 0; i < depth; i++) {
        size_t place = 0;
        enum eg_status status = place_of(step, which, index * depth + i, tensor->dim[i], &place);
        if (status) return status;
        skip += (ptrdiff_t)place * tensor->stride[i];
    }
    at.data = (const uint8_t *)tensor->data + skip * (ptrdiff_t)eg__dtype_size(tensor->dtype);
    at.rank = (uint8_t)(tensor->rank - depth);
    memmove(at.dim, at.dim + depth, at.rank * sizeof *at.dim);
    memmove(at.stride, at.stride + depth, at.rank * sizeof *at.stride);
    *part = at;
    return EG_OK;
}

static enum eg_status check_points(struct eg_reading *step, const struct eg_tensor *in,
                                   const struct eg_tensor *which, size_t *n)
{
    *n = 1;
    if (eg__step_int(step, "batch_dims", 0)) return eg__step_refuse(step, "batch_dims");
    if (!which->rank || !is_whole(which) || !which->dim[which->rank - 1] ||
        which->dim[which->rank - 1] > in->rank)
        return eg__step_broken(step, "its indices do not fit its input");
    for (unsigned i = 0; i + 1 < which->rank; i++) *n *= which->dim[i];
    return EG_OK;
}

/* The shape of one part a row of `which`. */
static enum eg_status shape_of_points(struct eg_reading *step, const struct eg_tensor *in,
                                      const struct eg_tensor *which, unsigned *rank, size_t *dim)
{
    *rank = 0;
    for (unsigned i = 0; i + 1 < which->rank; i++) dim[(*rank)++] = which->dim[i];
    for (size_t i = which->dim[which->rank - 1]; i < in->rank; i++) dim[(*rank)++] = in->dim[i];
    return *rank > EG_RANK_MAX ? eg__step_refuse(step, "%u dimensions", *rank) : EG_OK;
}

enum eg_status eg__fold_gather_nd(struct eg_reading *step)
{
    const struct eg_tensor *in = &step->in[0]->tensor, *which = &step->in[1]->tensor;
    size_t n, dim[2 * EG_RANK_MAX];
    unsigned rank;
    struct eg_tensor made;
    void *data;
    enum eg_status status = check_points(step, in, which, &n);
    if (!status) status = shape_of_points(step, in, which, &rank, dim);
    if (!status) status = eg__onnx_new_tensor(step->onnx, in->dtype, rank, dim, &made, &data);
    if (status) return status;
    size_t each = n ? eg__tensor_count(&made) / n * eg__dtype_size(in->dtype) : 0;
    for (size_t i = 0; i < n && each; i++) {
        struct eg_tensor from, to;
        if ((status = point_to(step, in, which, i, &from))) return status;
        to = from;
        to.data = (uint8_t *)data + i * each;
        eg__tensor_pack_strides(&to);
        eg__fold_copy(&from, &to);
    }
    return eg__fold_give(step, 0, &made);
}

enum eg_status eg__fold_scatter_nd(struct eg_reading *step)
{
    const struct eg_tensor *in = &step->in[0]->tensor, *which = &step->in[1]->tensor;
    struct eg_tensor updates = step->in[2]->tensor, made;
    size_t n, dim[2 * EG_RANK_MAX];
    unsigned rank;
    void *data;
    const EgOnnx__AttributeProto *reduction = eg__step_attribute(step, "reduction");
    if (reduction && !eg__step_is(step, "reduction", "none"))
        return eg__step_refuse(step, "it adds up what falls together");
    enum eg_status status = check_points(step, in, which, &n);
    if (!status) status = shape_of_points(step, in, which, &rank, dim);
    if (status) return status;
    bool fits = updates.rank == rank && updates.dtype == in->dtype;
    for (unsigned i = 0; i < rank && fits; i++) fits = updates.dim[i] == dim[i];
    if (!fits) return eg__step_broken(step, "its updates do not fit its indices");
    if ((status = eg__onnx_new_tensor(step->onnx, in->dtype, in->rank, in->dim, &made, &data))) return status;
    eg__fold_copy(in, &made);
    struct eg_tensor dense;
    if ((status = eg__fold_cast(step, &updates, updates.dtype, &dense))) return status;
    if (dense.dtype != in->dtype) return eg__step_refuse(step, "its constants are of half precision");
    size_t each = n ? eg__tensor_count(&dense) / n * eg__dtype_size(in->dtype) : 0;
    for (size_t i = 0; i < n && each; i++) {
        struct eg_tensor to, from;
        if ((status = point_to(step, &made, which, i, &to))) return status;
        from = to;
        from.data = (const uint8_t *)dense.data + i * each;
        eg__tensor_pack_strides(&from);
        eg__fold_copy(&from, &to);
    }
    return eg__fold_give(step, 0, &made);
}
