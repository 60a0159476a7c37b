/* text_winograd.h: the transforms of Winograd's minimal filtering (Lavin and Gray 2016), points
 * 0, 1, -1 (alpha 4), 2, -2 (alpha 6) and also 1/2, -1/2 (alpha 8), and infinity; included once per
 * instruction set. Channels are the lanes. The same forward transform serves F(6x6,3x3) and
 * F(4x4,5x5); which is which is only in the inverse one (m) and in the filter (net). */

/* out = B' in for four, six and eight values. */
ALWAYS_INLINE void wino_forward_4(const vf *x, vf *y)
{
    y[0] = x[0] - x[2];
    y[1] = x[1] + x[2];
    y[2] = x[2] - x[1];
    y[3] = x[3] - x[1];
}

ALWAYS_INLINE void wino_forward_6(const vf *x, vf *y)
{
    const vf four = vset(4.0f), five = vset(5.0f), two = vset(2.0f);
    vf even = vfma(-four, x[2], x[4]), odd = vfma(-four, x[1], x[3]);
    vf even2 = x[4] - x[2], odd2 = two * (x[3] - x[1]);
    y[0] = vfma(four, x[0], vfma(-five, x[2], x[4]));
    y[1] = even + odd;
    y[2] = even - odd;
    y[3] = even2 + odd2;
    y[4] = even2 - odd2;
    y[5] = vfma(four, x[1], vfma(-five, x[3], x[5]));
}

ALWAYS_INLINE void wino_forward_8(const vf *x, vf *y)
{
    y[0] = vfma(vset(5.25f), x[4] - x[2], x[0] - x[6]);
    vf even = vfma(vset(-4.25f), x[4], x[2] + x[6]), odd = vfma(vset(-4.25f), x[3], x[1] + x[5]);
    y[1] = even + odd;
    y[2] = even - odd;
    even = vfma(vset(-1.25f), x[4], vfma(vset(0.25f), x[2], x[6]));
    odd = vfma(vset(2.0f), x[5], vfma(vset(-2.5f), x[3], vset(0.5f) * x[1]));
    y[3] = even + odd;
    y[4] = even - odd;
    even = vfma(vset(4.0f), vfma(vset(-1.25f), x[4], x[2]), x[6]);
    odd = vfma(vset(2.0f), x[1], vfma(vset(-2.5f), x[3], vset(0.5f) * x[5]));
    y[5] = even + odd;
    y[6] = even - odd;
    y[7] = vfma(vset(5.25f), x[3] - x[5], x[7] - x[1]);
}

ALWAYS_INLINE void wino_forward(const unsigned alpha, const vf *x, vf *y)
{
    if (alpha == 4)
        wino_forward_4(x, y);
    else if (alpha == 6)
        wino_forward_6(x, y);
    else
        wino_forward_8(x, y);
}

ALWAYS_INLINE void wino_input_vector(const unsigned alpha, const float *x, size_t row, size_t pixel, float *v,
                                     size_t stride, size_t n)
{
    vf middle[8][8], line[8], result[8];
#pragma GCC unroll 8
    for (unsigned j = 0; j < alpha; j++) {
#pragma GCC unroll 8
        for (unsigned i = 0; i < alpha; i++)
            line[i] = n == VL ? vload(x + i * row + j * pixel) : vload_n(x + i * row + j * pixel, n);
        wino_forward(alpha, line, result);
#pragma GCC unroll 8
        for (unsigned i = 0; i < alpha; i++) middle[i][j] = result[i];
    }
    for (unsigned i = 0; i < alpha; i++) {
        wino_forward(alpha, middle[i], result);
#pragma GCC unroll 8
        for (unsigned j = 0; j < alpha; j++) {
            float *p = v + (i * alpha + j) * stride;
            if (n == VL)
                vstore(p, result[j]);
            else
                vstore_n(p, result[j], n);
        }
    }
}

ALWAYS_INLINE void wino_input_size(const unsigned alpha, const float *x, size_t row, size_t pixel,
                                   size_t channels, float *v, size_t stride)
{
    size_t c = 0;
    for (; c + VL <= channels; c += VL) wino_input_vector(alpha, x + c, row, pixel, v + c, stride, VL);
    if (c < channels) wino_input_vector(alpha, x + c, row, pixel, v + c, stride, channels - c);
}

static void wino_input(unsigned alpha, const float *x, size_t row, size_t pixel, size_t channels, float *v,
                       size_t stride)
{
    if (alpha == 4)
        wino_input_size(4, x, row, pixel, channels, v, stride);
    else if (alpha == 6)
        wino_input_size(6, x, row, pixel, channels, v, stride);
    else
        wino_input_size(8, x, row, pixel, channels, v, stride);
}

/* out = A' in: out[i] = sum over the finite points p of p^i in[p], and in[infinity] in the last. */
ALWAYS_INLINE void wino_inverse(const unsigned m, const unsigned alpha, const vf *x, vf *y)
{
    vf sum[3] = {{0}}, difference[3] = {{0}};
#pragma GCC unroll 3
    for (unsigned k = 0; k < alpha / 2 - 1; k++) {
        sum[k] = x[2 * k + 1] + x[2 * k + 2];
        difference[k] = x[2 * k + 1] - x[2 * k + 2];
    }
#pragma GCC unroll 8
    for (unsigned i = 0; i < m; i++) {
        const float power = (float)(1u << i);
        const vf *pair = i % 2 ? difference : sum;
        vf t = pair[0];
        if (alpha >= 6) t = vfma(vset(power), pair[1], t);
        if (alpha == 8) t = vfma(vset(1.0f / power), pair[2], t);
        if (i == 0) t += x[0];
        if (i == m - 1) t += x[alpha - 1];
        y[i] = t;
    }
}

ALWAYS_INLINE vf wino_finish(const struct eg_epilogue *e, const float *residual, vf bias, vf x, size_t n)
{
    x += bias;
    if (residual) x += vload_n(residual, n);
    return e->act == EG_ACT_CLAMP ? vmin(vset(e->b), vmax(vset(e->a), x)) : act_any(e->act, e->a, e->b, x);
}

ALWAYS_INLINE void wino_output_vector(const struct eg_wino_output *o, const unsigned m, const unsigned alpha,
                                      size_t c, size_t n)
{
    const struct eg_epilogue *e = o->epilogue;
    vf middle[6][8], line[8], result[6];
    for (unsigned j = 0; j < alpha; j++) {
#pragma GCC unroll 8
        for (unsigned i = 0; i < alpha; i++) {
            const float *p = o->sums + (i * alpha + j) * o->stride + c;
            line[i] = n == VL ? vload(p) : vload_n(p, n);
        }
        wino_inverse(m, alpha, line, result);
#pragma GCC unroll 8
        for (unsigned i = 0; i < m; i++) middle[i][j] = result[i];
    }
    vf bias = e->bias ? vload_n(e->bias + c, n) : (vf){0};
    if (o->pool) {
        for (unsigned i = 0; i < o->rows; i++) {
            vf upper[6];
            wino_inverse(m, alpha, middle[2 * i], upper);
            wino_inverse(m, alpha, middle[2 * i + 1], result);
#pragma GCC unroll 3
            for (unsigned j = 0; j < m / 2; j++) {
                vf most = binary_vector(EG_BIN_MAX, upper[2 * j], upper[2 * j + 1]);
                most = binary_vector(EG_BIN_MAX, most, result[2 * j]);
                most = binary_vector(EG_BIN_MAX, most, result[2 * j + 1]);
                if (j < o->columns)
                    vstore_n(o->y + i * o->row + j * o->pixel + c, wino_finish(e, NULL, bias, most, n), n);
            }
        }
        return;
    }
    for (unsigned i = 0; i < o->rows; i++) {
        wino_inverse(m, alpha, middle[i], result);
#pragma GCC unroll 8
        for (unsigned j = 0; j < m; j++) {
            if (j >= o->columns) break;
            const float *residual =
                e->residual ? e->residual + i * o->residual_row + j * e->ld_residual + c : NULL;
            vstore_n(o->y + i * o->row + j * o->pixel + c, wino_finish(e, residual, bias, result[j], n), n);
        }
    }
}

ALWAYS_INLINE void wino_output_size(const struct eg_wino_output *o, const unsigned m, const unsigned alpha)
{
    size_t c = 0;
    for (; c + VL <= o->channels; c += VL) wino_output_vector(o, m, alpha, c, VL);
    if (c < o->channels) wino_output_vector(o, m, alpha, c, o->channels - c);
}

static void wino_output(const struct eg_wino_output *o)
{
    if (o->alpha == 4)
        wino_output_size(o, 2, 4);
    else if (o->alpha == 6)
        wino_output_size(o, 4, 6);
    else if (o->m == 6)
        wino_output_size(o, 6, 8);
    else
        wino_output_size(o, 4, 8);
}
