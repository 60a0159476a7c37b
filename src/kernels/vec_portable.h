/* vec_portable.h: the vector vocabulary (see vec.h) in GCC vector extensions alone. A product
 * and a sum are rounded apart: a fused one would be a library call on many CPUs. */
#ifndef EG_KERNELS_VEC_PORTABLE_H
#define EG_KERNELS_VEC_PORTABLE_H

#define VEC_BYTES 16
#define VEC_GENERIC_TAIL
#include "kernels/vec.h"

/* 4 x 8: 8 accumulators of the 16 registers of plain x86-64. */
#define TILE_ROWS 4
#define TILE_VECTORS 2

static inline vf vfma(vf a, vf b, vf c) { return a * b + c; }
static inline vf vmax(vf a, vf b) { return vselect(a > b, a, b); }
static inline vf vmin(vf a, vf b) { return vselect(a < b, a, b); }

static inline vf vsqrt(vf x)
{
    for (size_t i = 0; i < VL; i++) x[i] = __builtin_sqrtf(x[i]);
    return x;
}

#endif
