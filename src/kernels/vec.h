/* vec.h: the small vocabulary in which every kernel is written once: a vector of VL floats
 * (GCC vector extension: + - * / and comparisons work on it), unaligned loads and stores,
 * partial ones for the last n < VL elements, fused multiply-add. vec_ISA.h defines VEC_BYTES,
 * includes this, and adds what the ISA does better (vfma, vmax, vmin, tails, tile size).
 * vmax(a, b) and vmin(a, b) give b where either is NaN, as x86 does.
 * Compiled with -ffp-contract=off: only vfma fuses. */
#ifndef EG_KERNELS_VEC_H
#define EG_KERNELS_VEC_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef float vf __attribute__((vector_size(VEC_BYTES)));
typedef int32_t vi __attribute__((vector_size(VEC_BYTES)));

enum { VL = VEC_BYTES / 4 };

#if defined(__aarch64__) && !defined(__clang__)
/* gcc 14 for aarch64 stops with an internal error on pointers to a less aligned vf. */
static inline vf vload(const float *p)
{
    vf v;
    memcpy(&v, p, sizeof v);
    return v;
}
static inline void vstore(float *p, vf v) { memcpy(p, &v, sizeof v); }
#else
typedef float vf_unaligned __attribute__((vector_size(VEC_BYTES), aligned(4), may_alias));
static inline vf vload(const float *p) { return *(const vf_unaligned *)p; }
static inline void vstore(float *p, vf v) { *(vf_unaligned *)p = v; }
#endif
static inline vf vset(float x) { return x - (vf){0}; }
static inline vf vselect(vi mask, vf a, vf b) { return (vf)(((vi)a & mask) | ((vi)b & ~mask)); }

#ifdef VEC_GENERIC_TAIL
static inline vf vload_n(const float *p, size_t n)
{
    float lanes[VL] = {0};
    for (size_t i = 0; i < n; i++) lanes[i] = p[i];
    return vload(lanes);
}

static inline void vstore_n(float *p, vf v, size_t n)
{
    float lanes[VL];
    vstore(lanes, v);
    for (size_t i = 0; i < n; i++) p[i] = lanes[i];
}
#endif

#ifndef VEC_SCALES
/* x 2^n for whole n, in two steps so that results near both ends of the range come out right; 1 / x. */
static inline vf vscale(vf x, vf n)
{
    vi exponent = __builtin_convertvector(n, vi), half = exponent >> 1;
    return x * (vf)((half + 127) << 23) * (vf)((exponent - half + 127) << 23);
}
static inline vf vreciprocal(vf x) { return vset(1.0f) / x; }
#endif

/* Exchange the odd blocks of s lanes of a with the even ones of b (s a power of two below VL): a step
 * of a transposition. */
static inline __attribute__((always_inline)) void vexchange(vf *a, vf *b, int s)
{
    const vf x = *a, y = *b;
#ifdef __clang__
    for (int i = 0; i < VL; i++) {
        (*a)[i] = i & s ? y[i - s] : x[i];
        (*b)[i] = i & s ? y[i] : x[i + s];
    }
#else
    vi of_a, of_b;
    for (int i = 0; i < VL; i++) {
        of_a[i] = i & s ? VL + i - s : i;
        of_b[i] = i & s ? VL + i : i + s;
    }
    *a = __builtin_shuffle(x, y, of_a);
    *b = __builtin_shuffle(x, y, of_b);
#endif
}

/* Lanes added in a fixed tree. */
static inline float vsum(vf v)
{
    float lanes[VL];
    vstore(lanes, v);
    for (size_t half = VL / 2; half; half /= 2)
        for (size_t i = 0; i < half; i++) lanes[i] += lanes[i + half];
    return lanes[0];
}

#endif
