/* text_grad.h: the inner loops of grad_kernels.c; included once per instruction set. Plain C
 * over channels where the compiler vectorises well, vec.h's vectors elsewhere. */
#include <math.h>

#include "kernels/grad_table.h"

/* y += a b */
static inline void multiply_into(float *restrict y, const float *restrict a, const float *restrict b,
                                 size_t n)
{
    size_t i = 0;
    for (; i + VL <= n; i += VL) vstore(y + i, vfma(vload(a + i), vload(b + i), vload(y + i)));
    if (i < n)
        vstore_n(y + i, vfma(vload_n(a + i, n - i), vload_n(b + i, n - i), vload_n(y + i, n - i)), n - i);
}

static void grad_add_row(float *restrict y, const float *restrict row, size_t rows, size_t c)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t k = 0; k < c; k++) y[r * c + k] += row[k];
}

static void grad_affine_rows(const float *x, const float *restrict a, const float *restrict b, float *y,
                             size_t rows, size_t c, bool add)
{
    for (size_t r = 0; r < rows; r++, x += c, y += c) {
        if (add && b)
            for (size_t k = 0; k < c; k++) y[k] += x[k] * a[k] + b[k];
        else if (add)
            for (size_t k = 0; k < c; k++) y[k] += x[k] * a[k];
        else if (b)
            for (size_t k = 0; k < c; k++) y[k] = x[k] * a[k] + b[k];
        else
            for (size_t k = 0; k < c; k++) y[k] = x[k] * a[k];
    }
}

static void grad_column_sums(const float *restrict x, const float *restrict z, size_t rows, size_t c,
                             size_t stride, float *restrict sums)
{
    memset(sums, 0, c * sizeof *sums);
    for (size_t r = 0; r < rows; r++) {
        if (z)
            for (size_t k = 0; k < c; k++) sums[k] += x[r * stride + k] * z[r * stride + k];
        else
            for (size_t k = 0; k < c; k++) sums[k] += x[r * stride + k];
    }
}

/* ---- pointwise ------------------------------------------------------------------ */

static inline vf hard_swish_slope(vf v)
{
    const vf zero = {0}, one = vset(1.0f);
    return vselect(v <= vset(-3.0f), zero,
                   vselect(v >= vset(3.0f), one, vfma(v, vset(1.0f / 3), vset(0.5f))));
}

/* Of max(0, min(1, u)), u = a x + b. */
static inline vf hard_sigmoid_slope(float a, vf u)
{
    return vselect((u > (vf){0}) & (u < vset(1.0f)), vset(a), (vf){0});
}

static inline vf silu_slope(vf v)
{
    vf p = vsigmoid(v);
    return vfma(v * p, vset(1.0f) - p, p);
}

static inline vf gelu_slope(vf v)
{
    vf e = vexp_normal(vmax(vset(-87.0f), vset(-0.5f) * v * v));
    return vfma(v * vset(0.39894228040143268f), e,
                vset(0.5f) * (vset(1.0f) + verf(v * vset(0.70710678118654752f))));
}

static inline vf gelu_tanh_slope(vf v)
{
    vf p = vgelu_tanh_gate(v), z = v * v;
    vf inner = vset(1.59576912160573071f) * vfma(z, vset(3 * 0.044715f), vset(1.0f));
    return vfma(v * p * (vset(1.0f) - p), inner, p);
}

static inline vf mish_slope(vf v)
{
    vf t = vtanh(vlanes(softplus, v));
    return vfma(v * vsigmoid(v), vset(1.0f) - t * t, t);
}

static void grad_unary(enum eg_activation f, float alpha, float beta, const float *x, float *y, size_t n)
{
    if (f != EG_ACT_NONE)
        activate(f, alpha, beta, x, y, n);
    else if (x != y)
        memcpy(y, x, n * sizeof *y);
}

ALWAYS_INLINE vf act_slope(enum eg_activation f, float a, float b, vf X, vf Y)
{
    const vf zero = {0}, one = vset(1.0f);
    (void)zero, (void)one;
    switch (f) {
#define EG_ACT(name, value, slope)                                                                           \
    case EG_ACT_##name:                                                                                      \
        return slope;
#include "kernels/activations.def"
#undef EG_ACT
    case EG_ACT_COUNT: break;
    }
    return one;
}

/* dx (+)= dy slope */
ALWAYS_INLINE void gradient_as(const enum eg_activation f, float a, float b, const float *x, const float *y,
                               const float *dy, float *dx, size_t n, bool add)
{
    for (size_t i = 0; i < n; i += VL) {
        size_t m = n - i < VL ? n - i : VL;
        if (m == VL) {
            vf d = vload(dy + i) * act_slope(f, a, b, vload(x + i), vload(y + i));
            vstore(dx + i, add ? vload(dx + i) + d : d);
        } else {
            vf d = vload_n(dy + i, m) * act_slope(f, a, b, vload_n(x + i, m), vload_n(y + i, m));
            vstore_n(dx + i, add ? vload_n(dx + i, m) + d : d, m);
        }
    }
}

static void grad_unary_gradient(enum eg_activation f, float alpha, float beta, const float *x, const float *y,
                                const float *dy, float *dx, size_t n, bool add)
{
    switch (f) {
#define EG_ACT(name, value, slope)                                                                           \
    case EG_ACT_##name:                                                                                      \
        gradient_as(EG_ACT_##name, alpha, beta, x, y, dy, dx, n, add);                                       \
        break;
#include "kernels/activations.def"
#undef EG_ACT
    case EG_ACT_COUNT: break;
    }
}

/* ---- depthwise -------------------------------------------------------------------- */

/* What one offset of the kernel meets along a line of outputs: outputs first..last-1 read
 * inputs that exist. */
struct reach {
    size_t first, last;
};

static struct reach reach_of(size_t offset, size_t pad, size_t stride, size_t in, size_t out)
{
    struct reach reach = {0, 0};
    if (pad > offset) reach.first = (pad - offset + stride - 1) / stride;
    if (in + pad > offset) reach.last = (in + pad - offset - 1) / stride + 1;
    if (reach.last > out) reach.last = out;
    if (reach.first > reach.last) reach.first = reach.last;
    return reach;
}

static void depthwise_line(const struct eg_conv_geometry *g, const float *restrict x,
                           const float *restrict weight, const float *restrict bias, float *restrict y,
                           size_t oy)
{
    size_t c = g->in_c;
    for (size_t ox = 0; ox < g->out_w; ox++) {
        if (bias)
            memcpy(y + ox * c, bias, c * sizeof *y);
        else
            memset(y + ox * c, 0, c * sizeof *y);
    }
    for (size_t ky = 0; ky < g->kernel_h; ky++) {
        size_t iy = oy * g->stride_h + ky * g->dilation_h;
        if (iy < g->pad_top || iy - g->pad_top >= g->in_h) continue;
        const float *line = x + (iy - g->pad_top) * g->in_w * c;
        for (size_t kx = 0; kx < g->kernel_w; kx++) {
            const float *restrict w = weight + (ky * g->kernel_w + kx) * c;
            struct reach reach = reach_of(kx * g->dilation_w, g->pad_left, g->stride_w, g->in_w, g->out_w);
            for (size_t ox = reach.first; ox < reach.last; ox++) {
                const float *restrict in = line + (ox * g->stride_w + kx * g->dilation_w - g->pad_left) * c;
                multiply_into(y + ox * c, in, w, c);
            }
        }
    }
}

static void depthwise_input_gradient_line(const struct eg_conv_geometry *g, const float *restrict dy,
                                          const float *restrict weight, float *restrict dx, size_t iy,
                                          bool add)
{
    size_t c = g->in_c;
    if (!add) memset(dx, 0, g->in_w * c * sizeof *dx);
    for (size_t ky = 0; ky < g->kernel_h; ky++) {
        size_t at = iy + g->pad_top, offset = ky * g->dilation_h;
        if (at < offset || (at - offset) % g->stride_h || (at - offset) / g->stride_h >= g->out_h) continue;
        const float *line = dy + (at - offset) / g->stride_h * g->out_w * c;
        for (size_t kx = 0; kx < g->kernel_w; kx++) {
            const float *restrict w = weight + (ky * g->kernel_w + kx) * c;
            struct reach reach = reach_of(kx * g->dilation_w, g->pad_left, g->stride_w, g->in_w, g->out_w);
            for (size_t ox = reach.first; ox < reach.last; ox++) {
                float *restrict to = dx + (ox * g->stride_w + kx * g->dilation_w - g->pad_left) * c;
                multiply_into(to, line + ox * c, w, c);
            }
        }
    }
}

static void depthwise_weight_gradient_image(const struct eg_conv_geometry *g, const float *restrict x,
                                            const float *restrict dy, float *restrict gradient)
{
    size_t c = g->in_c;
    memset(gradient, 0, g->kernel_h * g->kernel_w * c * sizeof *gradient);
    for (size_t oy = 0; oy < g->out_h; oy++)
        for (size_t ky = 0; ky < g->kernel_h; ky++) {
            size_t iy = oy * g->stride_h + ky * g->dilation_h;
            if (iy < g->pad_top || iy - g->pad_top >= g->in_h) continue;
            const float *line = x + (iy - g->pad_top) * g->in_w * c;
            for (size_t kx = 0; kx < g->kernel_w; kx++) {
                float *restrict sum = gradient + (ky * g->kernel_w + kx) * c;
                struct reach reach =
                    reach_of(kx * g->dilation_w, g->pad_left, g->stride_w, g->in_w, g->out_w);
                for (size_t ox = reach.first; ox < reach.last; ox++) {
                    const float *restrict in =
                        line + (ox * g->stride_w + kx * g->dilation_w - g->pad_left) * c;
                    const float *restrict out = dy + (oy * g->out_w + ox) * c;
                    multiply_into(sum, in, out, c);
                }
            }
        }
}

/* ---- Winograd F(4x4,3x3) ------------------------------------------------------------ */

/* One dimension of each transform on six (or three, four) vectors: r = B' d, M' adjoint.. */
static inline void times_bt(const vf d[6], vf r[6])
{
    r[0] = 4 * d[0] - 5 * d[2] + d[4];
    r[1] = (d[4] - 4 * d[2]) + (d[3] - 4 * d[1]);
    r[2] = (d[4] - 4 * d[2]) - (d[3] - 4 * d[1]);
    r[3] = (d[4] - d[2]) + 2 * (d[3] - d[1]);
    r[4] = (d[4] - d[2]) - 2 * (d[3] - d[1]);
    r[5] = 4 * d[1] - 5 * d[3] + d[5];
}

static inline void times_b(const vf d[6], vf r[6])
{
    r[0] = 4 * d[0];
    r[1] = -4 * d[1] + 4 * d[2] - 2 * d[3] + 2 * d[4] + 4 * d[5];
    r[2] = -5 * d[0] - 4 * d[1] - 4 * d[2] - d[3] - d[4];
    r[3] = d[1] - d[2] + 2 * d[3] - 2 * d[4] - 5 * d[5];
    r[4] = d[0] + d[1] + d[2] + d[3] + d[4];
    r[5] = d[5];
}

static inline void times_at(const vf m[6], vf r[4])
{
    vf a = m[1] + m[2], b = m[1] - m[2], c = m[3] + m[4], d = m[3] - m[4];
    r[0] = m[0] + a + c;
    r[1] = b + 2 * d;
    r[2] = a + 4 * c;
    r[3] = b + 8 * d + m[5];
}

static inline void times_a(const vf y[4], vf r[6])
{
    r[0] = y[0];
    r[1] = y[0] + y[1] + y[2] + y[3];
    r[2] = y[0] - y[1] + y[2] - y[3];
    r[3] = y[0] + 2 * y[1] + 4 * y[2] + 8 * y[3];
    r[4] = y[0] - 2 * y[1] + 4 * y[2] - 8 * y[3];
    r[5] = y[3];
}

static inline void times_g(const vf w[3], vf r[6])
{
    vf a = (w[0] + w[2]) * (-1.0f / 6), b = w[1] * (-1.0f / 6);
    vf c = w[0] * (1.0f / 24) + w[2] * (1.0f / 6), d = w[1] * (1.0f / 12);
    r[0] = w[0] * 0.25f;
    r[1] = a + b;
    r[2] = a - b;
    r[3] = c + d;
    r[4] = c - d;
    r[5] = w[2];
}

static inline void times_gt(const vf u[6], vf r[3])
{
    vf a = u[1] + u[2], b = u[1] - u[2], c = u[3] + u[4], d = u[3] - u[4];
    r[0] = u[0] * 0.25f - a * (1.0f / 6) + c * (1.0f / 24);
    r[1] = b * (-1.0f / 6) + d * (1.0f / 12);
    r[2] = a * (-1.0f / 6) + c * (1.0f / 6) + u[5];
}

static void winograd_weight_row(const struct eg_conv_geometry *g, const float *weight, float *u, size_t k)
{
    size_t c = g->in_c, plane = g->out_c * c;
    for (size_t i = 0; i < c; i += VL) {
        vf t[6][3], w[3], r[6];
        for (int x = 0; x < 3; x++) {
            for (int y = 0; y < 3; y++) w[y] = vload(weight + ((k * 3 + (size_t)y) * 3 + (size_t)x) * c + i);
            times_g(w, r);
            for (int y = 0; y < 6; y++) t[y][x] = r[y];
        }
        for (int y = 0; y < 6; y++) {
            times_g(t[y], r);
            for (int x = 0; x < 6; x++) vstore(u + (size_t)(y * 6 + x) * plane + k * c + i, r[x]);
        }
    }
}

static void winograd_weight_gradient_row(const struct eg_conv_geometry *g, const float *du, float *dweight,
                                         size_t k)
{
    size_t c = g->in_c, plane = g->out_c * c;
    for (size_t i = 0; i < c; i += VL) {
        vf t[3][6], d[6], r[3];
        for (int x = 0; x < 6; x++) {
            for (int y = 0; y < 6; y++) d[y] = vload(du + (size_t)(y * 6 + x) * plane + k * c + i);
            times_gt(d, r);
            for (int y = 0; y < 3; y++) t[y][x] = r[y];
        }
        for (int y = 0; y < 3; y++) {
            times_gt(t[y], r);
            for (int x = 0; x < 3; x++) vstore(dweight + ((k * 3 + (size_t)y) * 3 + (size_t)x) * c + i, r[x]);
        }
    }
}

/* The part of a tile's patch (size `patch`) at `from` that lies inside 0..limit-1. */
struct span {
    size_t first, last;
};

static inline struct span inside(size_t at, size_t pad, size_t patch, size_t limit)
{
    struct span s = {at < pad ? pad - at : 0, patch};
    if (at + patch > limit + pad) s.last = at < limit + pad ? limit + pad - at : 0;
    if (s.first > s.last) s.first = s.last;
    return s;
}

static void winograd_input_line(const struct eg_conv_geometry *g, const float *x, float *v, size_t plane,
                                size_t ty)
{
    size_t c = g->in_c, tiles_w = (g->out_w + 3) / 4;
    struct span rows = inside(4 * ty, g->pad_top, 6, g->in_h);
    for (size_t tx = 0; tx < tiles_w; tx++) {
        struct span columns = inside(4 * tx, g->pad_left, 6, g->in_w);
        for (size_t i = 0; i < c; i += VL) {
            vf t[6][6], d[6], r[6];
            for (size_t px = 0; px < 6; px++) {
                bool in = px >= columns.first && px < columns.last;
                for (size_t py = 0; py < 6; py++)
                    d[py] =
                        in && py >= rows.first && py < rows.last
                            ? vload(x +
                                    ((4 * ty + py - g->pad_top) * g->in_w + 4 * tx + px - g->pad_left) * c +
                                    i)
                            : (vf){0};
                times_bt(d, r);
                for (size_t py = 0; py < 6; py++) t[py][px] = r[py];
            }
            for (size_t py = 0; py < 6; py++) {
                times_bt(t[py], r);
                for (size_t px = 0; px < 6; px++) vstore(v + (py * 6 + px) * plane + tx * c + i, r[px]);
            }
        }
    }
}

static void winograd_input_gradient_line(const struct eg_conv_geometry *g, const float *dv, float *dx,
                                         size_t plane, size_t ty)
{
    size_t c = g->in_c, tiles_w = (g->out_w + 3) / 4;
    struct span rows = inside(4 * ty, g->pad_top, 6, g->in_h);
    for (size_t tx = 0; tx < tiles_w; tx++) {
        struct span columns = inside(4 * tx, g->pad_left, 6, g->in_w);
        for (size_t i = 0; i < c; i += VL) {
            vf t[6][6], d[6], r[6];
            for (size_t px = 0; px < 6; px++) {
                for (size_t py = 0; py < 6; py++) d[py] = vload(dv + (py * 6 + px) * plane + tx * c + i);
                times_b(d, r);
                for (size_t py = 0; py < 6; py++) t[py][px] = r[py];
            }
            for (size_t py = rows.first; py < rows.last; py++) {
                times_b(t[py], r);
                for (size_t px = columns.first; px < columns.last; px++) {
                    float *to =
                        dx + ((4 * ty + py - g->pad_top) * g->in_w + 4 * tx + px - g->pad_left) * c + i;
                    vstore(to, vload(to) + r[px]);
                }
            }
        }
    }
}

static void winograd_output_line(const struct eg_conv_geometry *g, const float *m, const float *bias,
                                 float *y, size_t plane, size_t ty)
{
    size_t c = g->out_c, tiles_w = (g->out_w + 3) / 4;
    for (size_t tx = 0; tx < tiles_w; tx++)
        for (size_t i = 0; i < c; i += VL) {
            vf t[4][6], d[6], r[4], b = bias ? vload(bias + i) : (vf){0};
            for (size_t px = 0; px < 6; px++) {
                for (size_t py = 0; py < 6; py++) d[py] = vload(m + (py * 6 + px) * plane + tx * c + i);
                times_at(d, r);
                for (size_t py = 0; py < 4; py++) t[py][px] = r[py];
            }
            for (size_t py = 0; py < 4 && 4 * ty + py < g->out_h; py++) {
                times_at(t[py], r);
                for (size_t px = 0; px < 4 && 4 * tx + px < g->out_w; px++)
                    vstore(y + ((4 * ty + py) * g->out_w + 4 * tx + px) * c + i, r[px] + b);
            }
        }
}

static void winograd_output_gradient_line(const struct eg_conv_geometry *g, const float *dy, float *dm,
                                          size_t plane, size_t ty)
{
    size_t c = g->out_c, tiles_w = (g->out_w + 3) / 4;
    for (size_t tx = 0; tx < tiles_w; tx++)
        for (size_t i = 0; i < c; i += VL) {
            vf t[6][4], d[4], r[6];
            for (size_t px = 0; px < 4; px++) {
                for (size_t py = 0; py < 4; py++)
                    d[py] = 4 * ty + py < g->out_h && 4 * tx + px < g->out_w
                                ? vload(dy + ((4 * ty + py) * g->out_w + 4 * tx + px) * c + i)
                                : (vf){0};
                times_a(d, r);
                for (size_t py = 0; py < 6; py++) t[py][px] = r[py];
            }
            for (size_t py = 0; py < 6; py++) {
                times_a(t[py], r);
                for (size_t px = 0; px < 6; px++) vstore(dm + (py * 6 + px) * plane + tx * c + i, r[px]);
            }
        }
}

/* ---- optimisers --------------------------------------------------------------------- */

static void grad_sgd(float *restrict w, const float *restrict gradient, float *restrict velocity, size_t n,
                     float rate, float momentum, float decay, bool nesterov, float gradient_scale)
{
    for (size_t i = 0; i < n; i++) {
        float g = gradient[i] * gradient_scale + decay * w[i];
        float v = momentum * velocity[i] + g;
        velocity[i] = v;
        w[i] -= rate * (nesterov ? g + momentum * v : v);
    }
}

static void grad_adamw(float *restrict w, const float *restrict gradient, float *restrict m,
                       float *restrict v, size_t n, float rate, float beta1, float beta2, float epsilon,
                       float decay, float correction1, float correction2, float gradient_scale)
{
    float root = sqrtf(correction2);
    for (size_t i = 0; i < n; i++) {
        float g = gradient[i] * gradient_scale;
        m[i] = beta1 * m[i] + (1 - beta1) * g;
        v[i] = beta2 * v[i] + (1 - beta2) * g * g;
        w[i] -= rate * decay * w[i] + rate * correction1 * m[i] / (sqrtf(v[i]) * root + epsilon);
    }
}

static const struct eg_grad_loops grad_loops = {
    grad_add_row,
    grad_affine_rows,
    grad_column_sums,
    grad_unary,
    grad_unary_gradient,
    depthwise_line,
    depthwise_input_gradient_line,
    depthwise_weight_gradient_image,
    winograd_weight_row,
    winograd_weight_gradient_row,
    winograd_input_line,
    winograd_input_gradient_line,
    winograd_output_line,
    winograd_output_gradient_line,
    grad_sgd,
    grad_adamw,
};
