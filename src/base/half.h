/* half.h: float16 and bfloat16 to and from float32, round to nearest even. */
#ifndef EG_BASE_HALF_H
#define EG_BASE_HALF_H

#include <stdint.h>
#include <string.h>

static inline float eg__bits_f32(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static inline uint32_t eg__f32_bits(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

static inline float eg__f16_to_f32(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000u) << 16, exponent = (half >> 10) & 31u, fraction = half & 1023u;
    if (exponent == 31) return eg__bits_f32(sign | 0x7f800000u | fraction << 13);
    if (exponent) return eg__bits_f32(sign | (exponent + 112u) << 23 | fraction << 13);
    float magnitude = (float)fraction * 0x1p-24f; /* subnormal: exact */
    return sign ? -magnitude : magnitude;
}

/* Values past 65504 become infinity. */
static inline uint16_t eg__f32_to_f16(float f)
{
    uint32_t bits = eg__f32_bits(f), sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u) return (uint16_t)(sign | 0x7e00u);
    if (magnitude >= 0x477ff000u) return (uint16_t)(sign | 0x7c00u); /* rounds past 65504 */
    if (magnitude >= 0x38800000u) {
        uint32_t rounded = magnitude - (112u << 23) + 0xfffu + (magnitude >> 13 & 1u);
        return (uint16_t)(sign | rounded >> 13);
    }
    float shifted = eg__bits_f32(magnitude) + 0.5f; /* ulp of 0.5 is 2^-24: the FPU rounds to even */
    return (uint16_t)(sign | (eg__f32_bits(shifted) - 0x3f000000u));
}

/* Rounded to even; a NaN stays one. */
static inline uint16_t eg__f32_to_bf16(float f)
{
    uint32_t bits = eg__f32_bits(f);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return (uint16_t)(bits >> 16 | 0x40u);
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

static inline float eg__bf16_to_f32(uint16_t half) { return eg__bits_f32((uint32_t)half << 16); }

#endif
