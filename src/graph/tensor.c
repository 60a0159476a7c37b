/* tensor.c: strided views of numbers, whatever their type and order of dimensions. */
#include <assert.h>
#include <string.h>

#include "base/half.h"
#include "graph/graph.h"

size_t eg__dtype_size(enum eg_dtype dtype)
{
    switch (dtype) {
    case EG_F64:
    case EG_I64: return 8;
    case EG_F32:
    case EG_I32: return 4;
    case EG_F16:
    case EG_BF16:
    case EG_I16: return 2;
    case EG_I8:
    case EG_U8:
    case EG_BOOL: return 1;
    }
    return 0;
}

size_t eg__tensor_count(const struct eg_tensor *tensor)
{
    size_t count = 1;
    for (unsigned i = 0; i < tensor->rank; i++) count *= tensor->dim[i];
    return count;
}

void eg__tensor_pack_strides(struct eg_tensor *tensor)
{
    size_t stride = 1;
    for (unsigned i = tensor->rank; i-- > 0;) {
        tensor->stride[i] = (ptrdiff_t)stride;
        stride *= tensor->dim[i];
    }
}

struct eg_tensor eg__tensor_permuted(const struct eg_tensor *tensor, const uint8_t *order)
{
    struct eg_tensor permuted = *tensor;
    for (unsigned i = 0; i < tensor->rank; i++) {
        permuted.dim[i] = tensor->dim[order[i]];
        permuted.stride[i] = tensor->stride[order[i]];
    }
    return permuted;
}

struct eg_tensor eg__tensor_channels_reversed(const struct eg_tensor *tensor)
{
    struct eg_tensor reversed = *tensor;
    unsigned last = tensor->rank - 1u;
    ptrdiff_t bytes = tensor->stride[last] * (ptrdiff_t)eg__dtype_size(tensor->dtype);
    if (tensor->data)
        reversed.data = (const uint8_t *)tensor->data + (ptrdiff_t)(tensor->dim[last] - 1) * bytes;
    reversed.stride[last] = -tensor->stride[last];
    return reversed;
}

/* n elements, `stride` elements apart at `from`, `out_stride` apart at `out`. */
static void read_line(enum eg_dtype dtype, const uint8_t *from, ptrdiff_t stride, size_t n, float *out,
                      size_t out_stride)
{
    ptrdiff_t step = stride * (ptrdiff_t)eg__dtype_size(dtype);
#define LINE(type, expression)                                                                               \
    for (size_t i = 0; i < n; i++, from += step, out += out_stride) {                                        \
        type x;                                                                                              \
        memcpy(&x, from, sizeof x);                                                                          \
        *out = (expression);                                                                                 \
    }                                                                                                        \
    break
    switch (dtype) {
    case EG_F32: LINE(float, x);
    case EG_F16: LINE(uint16_t, eg__f16_to_f32(x));
    case EG_BF16: LINE(uint16_t, eg__bf16_to_f32(x));
    case EG_F64: LINE(double, (float)x);
    case EG_I64: LINE(int64_t, (float)x);
    case EG_I32: LINE(int32_t, (float)x);
    case EG_I16: LINE(int16_t, (float)x);
    case EG_I8: LINE(int8_t, (float)x);
    case EG_U8: LINE(uint8_t, (float)x);
    case EG_BOOL: LINE(uint8_t, x ? 1.0f : 0.0f);
    }
#undef LINE
}

void eg__tensor_read(const struct eg_tensor *tensor, float *out)
{
    enum { TILE = 32 };
    size_t count = eg__tensor_count(tensor), size = eg__dtype_size(tensor->dtype);
    if (!count) return;
    struct eg_tensor dense = *tensor;
    eg__tensor_pack_strides(&dense);
    unsigned rank = tensor->rank;
    bool same = true;
    for (unsigned i = 0; i < rank; i++) same &= tensor->dim[i] == 1 || tensor->stride[i] == dense.stride[i];
    if (same) {
        if (tensor->dtype == EG_F32)
            memcpy(out, tensor->data, count * size);
        else
            read_line(tensor->dtype, tensor->data, 1, count, out, 1);
        return;
    }
    /* Tiles over the dimension dense in `out` and the one dense in the source, so that a
     * transposed weight is read cache line by cache line. */
    unsigned last = rank - 1, near = last;
    for (unsigned i = 0; i < rank; i++)
        if (tensor->dim[i] > 1 && (tensor->dim[near] == 1 || tensor->stride[i] < tensor->stride[near]))
            near = i;
    assert(tensor->dim[last] && tensor->dim[near]); /* their product is count */
    size_t outer = count / tensor->dim[last];
    if (near != last) outer /= tensor->dim[near];
    for (size_t o = 0; o < outer; o++) {
        const uint8_t *from = tensor->data;
        float *to = out;
        size_t index = o;
        for (unsigned i = rank; i-- > 0;) {
            if (i == last || i == near) continue;
            assert(tensor->dim[i]);
            size_t at = index % tensor->dim[i];
            index /= tensor->dim[i];
            from += (ptrdiff_t)at * tensor->stride[i] * (ptrdiff_t)size;
            to += (ptrdiff_t)at * dense.stride[i];
        }
        size_t columns = tensor->dim[last], rows = near == last ? 1 : tensor->dim[near];
        ptrdiff_t row_step = tensor->stride[near] * (ptrdiff_t)size, to_step = dense.stride[near];
        for (size_t c = 0; c < columns; c += TILE) {
            size_t n = columns - c < TILE ? columns - c : TILE;
            for (size_t r = 0; r < rows; r++)
                read_line(tensor->dtype,
                          from + (ptrdiff_t)r * row_step +
                              (ptrdiff_t)c * tensor->stride[last] * (ptrdiff_t)size,
                          tensor->stride[last], n, to + (ptrdiff_t)r * to_step + c, 1);
        }
    }
}
