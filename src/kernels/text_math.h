/* text_math.h: activations and the exponential on vectors; included once per instruction set. */
#include <math.h>

/* e^x: x = n ln 2 + r, |r| <= ln 2 / 2, polynomial of degree 6 in r (the coefficients of
 * Moshier's Cephes expf), scaled by 2^n in two steps so that results near both ends of the
 * range come out right. Error below 2 units in the last place; NaN stays NaN. */
static inline vf vexp(vf x)
{
    vf clamped = vmin(vset(89.0f), vmax(vset(-104.0f), x));
    const vf magic = vset(12582912.0f); /* 1.5 * 2^23: adding it rounds to an integer */
    vf n = vfma(clamped, vset(1.44269504088896341f), magic) - magic;
    vf r = vfma(n, vset(-0.693359375f), clamped);
    r = vfma(n, vset(2.12194440e-4f), r);
    vf p = vset(1.9875691500e-4f);
    p = vfma(p, r, vset(1.3981999507e-3f));
    p = vfma(p, r, vset(8.3334519073e-3f));
    p = vfma(p, r, vset(4.1665795894e-2f));
    p = vfma(p, r, vset(1.6666665459e-1f));
    p = vfma(p, r, vset(5.0000001201e-1f));
    p = vfma(p, r * r, r) + vset(1.0f);
    return vselect(x == x, vscale(p, n), x);
}

/* Never below e^-87, so that the divisor stays finite. */
static inline vf vsigmoid(vf x) { return vreciprocal(vset(1.0f) + vexp(vmin(vset(87.0f), -x))); }

static inline float act_scalar(enum eg_activation act, float a, float x)
{
    switch (act) {
    case EG_ACT_SIGN: return x > 0 ? 1.0f : x < 0 ? -1.0f : x;
    case EG_ACT_TANH: return tanhf(x);
    case EG_ACT_ERF: return erff(x);
    case EG_ACT_GELU: return 0.5f * x * (1.0f + erff(x * 0.70710678118654752f));
    case EG_ACT_GELU_TANH:
        return 0.5f * x * (1.0f + tanhf(0.79788456080286536f * (x + 0.044715f * x * x * x)));
    case EG_ACT_POW: return powf(x, a);
    default: return x;
    }
}

static __attribute__((noinline)) vf act_lanes(enum eg_activation act, float a, vf x)
{
    float lanes[VL];
    vstore(lanes, x);
    for (size_t i = 0; i < VL; i++) lanes[i] = act_scalar(act, a, lanes[i]);
    return vload(lanes);
}

static inline vf act_vector(enum eg_activation act, float a, float b, vf x)
{
    const vf zero = {0}, one = vset(1.0f);
    switch (act) {
    case EG_ACT_NONE: break;
    case EG_ACT_CLAMP: return vmin(vset(b), vmax(vset(a), x));
    case EG_ACT_LEAKY: return vselect(x < zero, x * vset(a), x);
    case EG_ACT_HARD_SWISH: return x * vmin(one, vmax(zero, vfma(x, vset(1.0f / 6), vset(0.5f))));
    case EG_ACT_HARD_SIGMOID: return vmin(one, vmax(zero, vfma(x, vset(a), vset(b))));
    case EG_ACT_SIGMOID: return vsigmoid(x);
    case EG_ACT_SILU: return x * vsigmoid(x);
    case EG_ACT_ABS: return (vf)((vi)x & 0x7fffffff);
    case EG_ACT_NEG: return -x;
    case EG_ACT_SQRT: return vsqrt(x);
    case EG_ACT_EXP: return vexp(x);
    default: return act_lanes(act, a, x);
    }
    return x;
}
