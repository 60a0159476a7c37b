/* vec_neon.h: the vector vocabulary (see vec.h) on aarch64 Advanced SIMD. */
#ifndef EG_KERNELS_VEC_NEON_H
#define EG_KERNELS_VEC_NEON_H

#include <arm_neon.h>

#define VEC_BYTES 16
#define VEC_GENERIC_TAIL
#include "kernels/vec.h"

/* 8 x 12: 24 accumulators of the 32 registers. */
#define TILE_ROWS 8
#define TILE_VECTORS 3

static inline vf vfma(vf a, vf b, vf c)
{
    return (vf)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
}
static inline vf vmax(vf a, vf b) { return vselect(a > b, a, b); }
static inline vf vmin(vf a, vf b) { return vselect(a < b, a, b); }

static inline vf vsqrt(vf x) { return (vf)vsqrtq_f32((float32x4_t)x); }

#endif
