/* onnx_fold.h: what the files of constant folding share. */
#ifndef EG_ONNX_ONNX_FOLD_H
#define EG_ONNX_ONNX_FOLD_H

#include "onnx/onnx_private.h"

/* Numbers are computed in double, a run of this many at a time. */
enum { EG_FOLD_RUN = 512 };

static inline bool eg__dtype_is_float(enum eg_dtype dtype)
{
    return dtype == EG_F32 || dtype == EG_F16 || dtype == EG_BF16 || dtype == EG_F64;
}
/* What a result of that type is kept as: halves are made float32. */
static inline enum eg_dtype eg__fold_type(enum eg_dtype dtype)
{
    return dtype == EG_F16 || dtype == EG_BF16 ? EG_F32 : dtype;
}
/* A Cast between floats is none: what is of one kind in the file may be of several here. */
static inline bool eg__fold_same_type(enum eg_dtype a, enum eg_dtype b)
{
    return a == b || (eg__dtype_is_float(a) && eg__dtype_is_float(b));
}

/* Output `output` is that constant (nothing happens where it has no name). */
EG_MUST_CHECK enum eg_status eg__fold_give(struct eg_reading *step, unsigned output,
                                           const struct eg_tensor *tensor);
/* n numbers from the first-th on, in row-major order. */
void eg__fold_load(const struct eg_tensor *tensor, size_t first, size_t n, double *numbers);
/* The same into a dense array; whole numbers are cut short and held within 64 bits. */
void eg__fold_store(enum eg_dtype dtype, void *data, size_t first, size_t n, const double *numbers);
/* Every element of `from`, as it is, to where `to` (of the same sides and type, in memory of our own) has it.
 */
void eg__fold_copy(const struct eg_tensor *from, const struct eg_tensor *to);
/* `tensor` seen as of that shape, by strides of 0; false: it does not spread so. */
bool eg__fold_spread(struct eg_tensor *tensor, unsigned rank, const size_t *dim);
/* A dense copy as dtype. */
EG_MUST_CHECK enum eg_status eg__fold_cast(struct eg_reading *step, const struct eg_tensor *from,
                                           enum eg_dtype dtype, struct eg_tensor *tensor);
/* Work is counted, so that no small file keeps the reader busy: `n` numbers looked at. */
EG_MUST_CHECK enum eg_status eg__fold_charge(struct eg_reading *step, size_t n);

/* Rows: every input they say they need is there and constant. */
typedef enum eg_status eg_fold_fn(struct eg_reading *step);
eg_fold_fn eg__fold_elementwise, eg__fold_clip, eg__fold_where, eg__fold_reduce, eg__fold_cum_sum,
    eg__fold_dequantize; /* onnx_fold_numbers.c */
eg_fold_fn eg__fold_range, eg__fold_constant_of_shape, eg__fold_expand, eg__fold_tile, eg__fold_gather,
    eg__fold_gather_nd, eg__fold_scatter_nd, eg__fold_concat, eg__fold_split, eg__fold_trilu,
    eg__fold_eye; /* onnx_fold_make.c */

#endif
