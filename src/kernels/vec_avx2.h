/* vec_avx2.h: the vector vocabulary (see vec.h) on AVX2 and FMA. */
#ifndef EG_KERNELS_VEC_AVX2_H
#define EG_KERNELS_VEC_AVX2_H

#include <immintrin.h>

#define VEC_BYTES 32
#include "kernels/vec.h"

/* 6 x 16: 12 accumulators, 2 vectors of B, one broadcast. */
#define TILE_ROWS 6
#define TILE_VECTORS 2

static inline vf vfma(vf a, vf b, vf c) { return (vf)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c); }
static inline vf vmax(vf a, vf b) { return (vf)_mm256_max_ps((__m256)a, (__m256)b); }
static inline vf vmin(vf a, vf b) { return (vf)_mm256_min_ps((__m256)a, (__m256)b); }

static inline __m256i vmask_n(size_t n)
{
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), lane);
}

/* A masked store takes some twenty cycles on AMD: not where n is known to be all. */
static inline __attribute__((always_inline)) vf vload_n(const float *p, size_t n)
{
    return __builtin_constant_p(n == VL) && n == VL ? vload(p) : (vf)_mm256_maskload_ps(p, vmask_n(n));
}
static inline __attribute__((always_inline)) void vstore_n(float *p, vf v, size_t n)
{
    if (__builtin_constant_p(n == VL) && n == VL)
        vstore(p, v);
    else
        _mm256_maskstore_ps(p, vmask_n(n), (__m256)v);
}

static inline vf vsqrt(vf x) { return (vf)_mm256_sqrt_ps((__m256)x); }

#endif
