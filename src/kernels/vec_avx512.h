/* vec_avx512.h: the vector vocabulary (see vec.h) on AVX-512F. */
#ifndef EG_KERNELS_VEC_AVX512_H
#define EG_KERNELS_VEC_AVX512_H

#include <immintrin.h>

#define VEC_BYTES 64
#define VEC_SCALES
#include "kernels/vec.h"

/* 12 x 32: 24 accumulators, 2 vectors of B, one broadcast. */
#define TILE_ROWS 12
#define TILE_HALVES /* a tile's last vector may be half a one */
#define TILE_VECTORS 2

static inline vf vfma(vf a, vf b, vf c) { return (vf)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c); }
static inline vf vmax(vf a, vf b) { return (vf)_mm512_max_ps((__m512)a, (__m512)b); }
static inline vf vmin(vf a, vf b) { return (vf)_mm512_min_ps((__m512)a, (__m512)b); }
static inline __mmask16 vmask_n(size_t n) { return (__mmask16)((1u << n) - 1u); }
static inline vf vload_n(const float *p, size_t n) { return (vf)_mm512_maskz_loadu_ps(vmask_n(n), p); }
static inline void vstore_n(float *p, vf v, size_t n) { _mm512_mask_storeu_ps(p, vmask_n(n), (__m512)v); }

/* Half vectors cost half the time here. */
typedef float vh __attribute__((vector_size(32)));
typedef float vh_unaligned __attribute__((vector_size(32), aligned(4), may_alias));
static inline vh vhload(const float *p) { return *(const vh_unaligned *)p; }
static inline vh vhfma(vf a, vh b, vh c)
{
    return (vh)_mm256_fmadd_ps(_mm512_castps512_ps256((__m512)a), (__m256)b, (__m256)c);
}
static inline vf vwiden(vh x) { return (vf)_mm512_zextps256_ps512((__m256)x); }

static inline vf vscale(vf x, vf n) { return (vf)_mm512_scalef_ps((__m512)x, (__m512)n); }
/* 14 bits and a Newton step: one unit in the last place; x and 1 / x normal and finite. */
static inline vf vreciprocal(vf x)
{
    vf r = (vf)_mm512_rcp14_ps((__m512)x);
    return vfma(r, vfma(-x, r, vset(1.0f)), r);
}

static inline vf vsqrt(vf x) { return (vf)_mm512_sqrt_ps((__m512)x); }

#endif
