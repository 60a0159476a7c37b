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

/* The same for results that are surely normal numbers, |x| <= 87: degree 5, one scaling, 2e-7 relative;
 * NaN gives anything. */
static inline vf vexp_normal(vf x)
{
    const vf magic = vset(12582912.0f); /* the low bits of n + magic are n */
    vf shifted = vfma(x, vset(1.44269504088896341f), magic), n = shifted - magic;
    vf r = vfma(n, vset(-0.693359375f), x);
    r = vfma(n, vset(2.12194440e-4f), r);
    vf p = vset(0.00831253033f);
    p = vfma(p, r, vset(0.0418901148f));
    p = vfma(p, r, vset(0.166671144f));
    p = vfma(p, r, vset(0.499992318f));
    p = vfma(p, r * r, r) + vset(1.0f);
    return (vf)((vi)p + ((vi)shifted << 23));
}

static inline vf vsigmoid(vf x)
{
    vf e = vexp_normal(vmax(vset(-87.0f), vmin(vset(87.0f), -x)));
    return vselect(x == x, vreciprocal(vset(1.0f) + e), x);
}

/* The rational functions below are least-maximum fits of f(x)/x in x^2 of our own; past the last point
 * that matters the argument is held. NaN stays NaN. */

/* 4e-7 relative. */
static inline vf vtanh(vf x)
{
    vf held = vmin(vset(9.0f), vmax(vset(-9.0f), x)), z = held * held;
    vf p = vset(1.33549134e-8f), q = vset(7.77667288e-7f);
    p = vfma(p, z, vset(2.06093036e-5f));
    q = vfma(q, z, vset(3.28565848e-4f));
    p = vfma(p, z, vset(3.4956034e-3f));
    q = vfma(q, z, vset(2.58770423e-2f));
    p = vfma(p, z, vset(0.133810391f));
    q = vfma(q, z, vset(0.467143548f));
    p = vfma(p, z, vset(0.999999979f));
    q = vfma(q, z, vset(1.0f));
    return held * p / q;
}

/* 4e-7 relative. */
static inline vf verf(vf x)
{
    vf held = vmin(vset(3.92f), vmax(vset(-3.92f), x)), z = held * held;
    vf p = vset(2.05003309e-6f), q = vset(3.8090753e-5f);
    p = vfma(p, z, vset(2.84875152e-4f));
    q = vfma(q, z, vset(1.16250061e-3f));
    p = vfma(p, z, vset(3.76551508e-3f));
    q = vfma(q, z, vset(1.49690228e-2f));
    p = vfma(p, z, vset(5.27484074e-2f));
    q = vfma(q, z, vset(0.114108337f));
    p = vfma(p, z, vset(0.19040481f));
    q = vfma(q, z, vset(0.502074612f));
    p = vfma(p, z, vset(1.12837915f));
    q = vfma(q, z, vset(1.0f));
    /* held to one, so that GELU does not change its sign */
    return vmin(vset(1.0f), vmax(vset(-1.0f), held * p / q));
}

static inline vf vgelu(vf x) { return vset(0.5f) * x * (vset(1.0f) + verf(x * vset(0.70710678118654752f))); }

/* (1 + tanh u) / 2 is the sigmoid of 2 u. */
static inline vf vgelu_tanh_gate(vf x)
{
    return vsigmoid(vset(1.59576912160573071f) * x * vfma(x * x, vset(0.044715f), vset(1.0f)));
}

static inline vf vabs(vf x) { return (vf)((vi)x & 0x7fffffff); }
static inline vf vsign(vf x)
{
    const vf zero = {0};
    return vselect(x > zero, vset(1.0f), vselect(x < zero, vset(-1.0f), x));
}

/* What the C library does lane by lane. */
static __attribute__((noinline)) vf vlanes(float (*f)(float), vf x)
{
    float lanes[VL];
    vstore(lanes, x);
    for (size_t i = 0; i < VL; i++) lanes[i] = f(lanes[i]);
    return vload(lanes);
}

static __attribute__((noinline)) vf vpow(vf x, float power)
{
    float lanes[VL];
    vstore(lanes, x);
    for (size_t i = 0; i < VL; i++) lanes[i] = powf(lanes[i], power);
    return vload(lanes);
}

static float softplus(float x) { return x > 0 ? x + log1pf(expf(-x)) : log1pf(expf(x)); }

ALWAYS_INLINE vf act_vector(enum eg_activation act, float a, float b, vf x)
{
    const vf zero = {0}, one = vset(1.0f);
    (void)zero, (void)one;
    switch (act) {
#define EG_ACT(name, value, slope)                                                                           \
    case EG_ACT_##name:                                                                                      \
        return value;
#include "kernels/activations.def"
#undef EG_ACT
    case EG_ACT_COUNT: break;
    }
    return x;
}

/* Where the code around it is long already. */
static __attribute__((noinline)) vf act_any(enum eg_activation act, float a, float b, vf x)
{
    return act_vector(act, a, b, x);
}

/* Those worth a loop of their own, in which a few vectors are on their way at once. */
#define ACT_LOOPS(X)                                                                                         \
    X(EG_ACT_CLAMP)                                                                                          \
    X(EG_ACT_LEAKY_RELU)                                                                                     \
    X(EG_ACT_HARD_SWISH)                                                                                     \
    X(EG_ACT_HARD_SIGMOID)                                                                                   \
    X(EG_ACT_SIGMOID) X(EG_ACT_SILU) X(EG_ACT_TANH) X(EG_ACT_ERF) X(EG_ACT_GELU) X(EG_ACT_GELU_TANH)

ALWAYS_INLINE void activate_as(const enum eg_activation act, float a, float b, const float *x, float *y,
                               size_t n)
{
    size_t i = 0;
#pragma GCC unroll 4
    for (; i + VL <= n; i += VL) vstore(y + i, act_vector(act, a, b, vload(x + i)));
    if (i < n) vstore_n(y + i, act_vector(act, a, b, vload_n(x + i, n - i)), n - i);
}

static __attribute__((noinline)) void activate(enum eg_activation act, float a, float b, const float *x,
                                               float *y, size_t n)
{
    switch (act) {
#define ACT_LOOP(ACT)                                                                                        \
    case ACT: activate_as(ACT, a, b, x, y, n); break;
        ACT_LOOPS(ACT_LOOP)
#undef ACT_LOOP
    default:
        for (size_t i = 0; i < n; i += VL) {
            size_t m = n - i < VL ? n - i : VL;
            vstore_n(y + i, act_any(act, a, b, vload_n(x + i, m)), m);
        }
    }
}
