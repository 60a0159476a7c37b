/* vec_avx512.h: the vector vocabulary (see vec.h) on AVX-512F. */
#ifndef EG_KERNELS_VEC_AVX512_H
#define EG_KERNELS_VEC_AVX512_H

#include <immintrin.h>

#define VEC_BYTES 64
#include "kernels/vec.h"

/* 12 x 32: 24 accumulators, 2 vectors of B, one broadcast. */
#define TILE_ROWS 12
#define TILE_VECTORS 2

static inline vf vfma(vf a, vf b, vf c) { return (vf)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c); }
static inline vf vmax(vf a, vf b) { return (vf)_mm512_max_ps((__m512)a, (__m512)b); }
static inline vf vmin(vf a, vf b) { return (vf)_mm512_min_ps((__m512)a, (__m512)b); }
static inline __mmask16 vmask_n(size_t n) { return (__mmask16)((1u << n) - 1u); }
static inline vf vload_n(const float *p, size_t n) { return (vf)_mm512_maskz_loadu_ps(vmask_n(n), p); }
static inline void vstore_n(float *p, vf v, size_t n) { _mm512_mask_storeu_ps(p, vmask_n(n), (__m512)v); }

static inline vf vsqrt(vf x) { return (vf)_mm512_sqrt_ps((__m512)x); }

#endif
