/* text_depthwise.h: depthwise convolution, along the channels of a pixel; included once per instruction
 * set. A few neighbouring pixels are made at once: a tap's weights are loaded once for all of them, and a
 * pixel of the input once for all the taps it lies under. Each sum runs over (ky, kx) upwards from zero
 * and leaves out what lies outside; how many pixels are made at once does not enter it. */

/* Pixels [first, first + pixels), channels [c, c + n) with n <= VL. Sizes but n are constants where it
 * matters. */
ALWAYS_INLINE void depthwise_vector(const struct eg_depthwise *d, size_t first, size_t c, size_t n,
                                    const size_t pixels, const size_t kernel_w, const size_t stride)
{
    const struct eg_epilogue *e = d->epilogue;
    const size_t columns = (pixels - 1) * stride + kernel_w;
    const size_t start = first * stride; /* of the padded row */
    const size_t low = start < d->pad ? d->pad - start : 0;
    const size_t past = d->width + d->pad > start ? d->width + d->pad - start : 0;
    vf sum[8];
#pragma GCC unroll 8
    for (size_t i = 0; i < pixels; i++) sum[i] = (vf){0};
    for (size_t ky = 0; ky < d->kernel_h; ky++) {
        if (!d->rows[ky]) continue;
        const float *x = d->rows[ky] + (start + low - d->pad) * d->ld + c;
        const float *w = d->weight + ky * kernel_w * d->ldw + c;
        vf weight[5];
#pragma GCC unroll 5
        for (size_t kx = 0; kx < kernel_w; kx++)
            weight[kx] = n == VL ? vload(w + kx * d->ldw) : vload_n(w + kx * d->ldw, n);
#pragma GCC unroll 32
        for (size_t column = 0; column < columns; column++) {
            if (column < low || column >= past) continue;
            vf value = n == VL ? vload(x) : vload_n(x, n);
            x += d->ld;
#pragma GCC unroll 8
            for (size_t i = 0; i < pixels; i++)
                if (column - i * stride < kernel_w) /* wraps when left of the pixel's first tap */
                    sum[i] = vfma(value, weight[column - i * stride], sum[i]);
        }
    }
    vf bias = e->bias ? vload_n(e->bias + c, n) : (vf){0};
#pragma GCC unroll 8
    for (size_t i = 0; i < pixels; i++) {
        sum[i] += bias;
        if (e->residual) sum[i] += vload_n(e->residual + (first + i) * e->ld_residual + c, n);
    }
    if (e->act == EG_ACT_CLAMP) {
        const vf low_value = vset(e->a), high_value = vset(e->b);
#pragma GCC unroll 8
        for (size_t i = 0; i < pixels; i++) sum[i] = vmin(high_value, vmax(low_value, sum[i]));
    } else if (e->act == EG_ACT_SILU) {
#pragma GCC unroll 8
        for (size_t i = 0; i < pixels; i++) sum[i] *= vsigmoid(sum[i]);
    } else if (e->act) {
#pragma GCC unroll 8
        for (size_t i = 0; i < pixels; i++) sum[i] = act_any(e->act, e->a, e->b, sum[i]);
    }
    float *y = d->y + first * d->ldy + c;
#pragma GCC unroll 8
    for (size_t i = 0; i < pixels; i++) {
        if (n == VL)
            vstore(y + i * d->ldy, sum[i]);
        else
            vstore_n(y + i * d->ldy, sum[i], n);
    }
}

/* One pixel, any kernel. */
static __attribute__((noinline)) void depthwise_any(const struct eg_depthwise *d, size_t i, size_t c)
{
    const struct eg_epilogue *e = d->epilogue;
    for (; c < d->channels; c += VL) {
        const size_t n = d->channels - c < VL ? d->channels - c : VL;
        vf sum = {0};
        for (size_t ky = 0; ky < d->kernel_h; ky++) {
            if (!d->rows[ky]) continue;
            for (size_t kx = 0; kx < d->kernel_w; kx++) {
                size_t x = i * d->stride + kx * d->dilation - d->pad; /* wraps when negative */
                if (x >= d->width) continue;
                vf weight = vload_n(d->weight + (ky * d->kernel_w + kx) * d->ldw + c, n);
                sum = vfma(vload_n(d->rows[ky] + x * d->ld + c, n), weight, sum);
            }
        }
        if (e->bias) sum += vload_n(e->bias + c, n);
        if (e->residual) sum += vload_n(e->residual + i * e->ld_residual + c, n);
        vstore_n(d->y + i * d->ldy + c, act_any(e->act, e->a, e->b, sum), n);
    }
}

#define DEPTHWISE_FUNCTION(K, S, P)                                                                          \
    static __attribute__((noinline)) void depthwise_##K##_##S##_##P(const struct eg_depthwise *d, size_t i,  \
                                                                    size_t end)                              \
    {                                                                                                        \
        for (size_t c = 0; c < end; c += VL) depthwise_vector(d, i, c, VL, P, K, S);                         \
    }
#define DEPTHWISE_SIZES(X, P) X(3, 1, P) X(3, 2, P) X(5, 1, P) X(5, 2, P)
DEPTHWISE_SIZES(DEPTHWISE_FUNCTION, 1)
DEPTHWISE_SIZES(DEPTHWISE_FUNCTION, 4)
DEPTHWISE_SIZES(DEPTHWISE_FUNCTION, 7)
DEPTHWISE_SIZES(DEPTHWISE_FUNCTION, 8)

static void depthwise(const struct eg_depthwise *d)
{
    typedef void group(const struct eg_depthwise *d, size_t i, size_t end);
    static const size_t pixels[4] = {1, 4, 7, 8};
#define DEPTHWISE_ENTRY(K, S, P) [(K) / 5][(S)-1] = depthwise_##K##_##S##_##P,
    static group *const groups[4][2][2] = {{DEPTHWISE_SIZES(DEPTHWISE_ENTRY, 1)},
                                           {DEPTHWISE_SIZES(DEPTHWISE_ENTRY, 4)},
                                           {DEPTHWISE_SIZES(DEPTHWISE_ENTRY, 7)},
                                           {DEPTHWISE_SIZES(DEPTHWISE_ENTRY, 8)}};
    const bool known =
        (d->kernel_w == 3 || d->kernel_w == 5) && (d->stride == 1 || d->stride == 2) && d->dilation == 1;
    const size_t whole = known ? d->channels - d->channels % VL : 0;
    for (size_t i = 0, left = d->count; left && whole;) {
        /* maps are mostly 7 times a power of two wide */
        size_t size = left % 8 && left % 7 == 0 ? 2 : left >= 8 ? 3 : left >= 4 ? 1 : 0;
        groups[size][d->kernel_w / 5][d->stride - 1](d, i, whole);
        i += pixels[size];
        left -= pixels[size];
    }
    for (size_t i = 0; i < d->count && whole < d->channels; i++) depthwise_any(d, i, whole);
}
