/* text_rows.h: transposition, element-wise work and pooling along the channels of a pixel; included
 * once per instruction set. */

ALWAYS_INLINE void transpose_block(const float *x, size_t ldx, float *y, size_t ldy)
{
    vf row[VL];
#pragma GCC unroll 16
    for (int i = 0; i < VL; i++) row[i] = vload(x + (size_t)i * ldx);
#pragma GCC unroll 4
    for (int s = 1; s < VL; s *= 2)
#pragma GCC unroll 16
        for (int i = 0; i < VL; i++)
            if (!(i & s)) vexchange(&row[i], &row[i + s], s);
#pragma GCC unroll 16
    for (int i = 0; i < VL; i++) vstore(y + (size_t)i * ldy, row[i]);
}

static void transpose(const float *x, size_t ldx, size_t rows, size_t columns, float *y, size_t ldy)
{
    size_t i = 0;
    for (; i + VL <= rows; i += VL) {
        size_t j = 0;
        for (; j + VL <= columns; j += VL) transpose_block(x + i * ldx + j, ldx, y + j * ldy + i, ldy);
        for (; j < columns; j++)
            for (size_t k = i; k < i + VL; k++) y[j * ldy + k] = x[k * ldx + j];
    }
    for (; i < rows; i++)
        for (size_t j = 0; j < columns; j++) y[j * ldy + i] = x[i * ldx + j];
}

static void scale_shift(const float *x, const float *scale, const float *shift, enum eg_activation act,
                        float a, float b, float *y, size_t n)
{
    size_t i = 0;
    for (; i + VL <= n; i += VL)
        vstore(y + i, act_vector(act, a, b, vfma(vload(x + i), vload(scale + i), vload(shift + i))));
    if (i < n) {
        size_t m = n - i;
        vf sum = vfma(vload_n(x + i, m), vload_n(scale + i, m), vload_n(shift + i, m));
        vstore_n(y + i, act_vector(act, a, b, sum), m);
    }
}

ALWAYS_INLINE vf binary_vector(enum eg_binary op, vf x, vf y)
{
    switch (op) {
    case EG_BIN_ADD: return x + y;
    case EG_BIN_SUB: return x - y;
    case EG_BIN_MUL: return x * y;
    case EG_BIN_DIV: return x / y;
    case EG_BIN_MAX: return vselect(x != x, x, vmax(x, y)); /* NaN on either side stays */
    case EG_BIN_MIN: return vselect(x != x, x, vmin(x, y));
    case EG_BIN_LESS: return vselect(x < y, vset(1.0f), (vf){0});
    case EG_BIN_EQUAL: return vselect(x == y, vset(1.0f), (vf){0});
    }
    return x;
}

static void binary(enum eg_binary op, const float *a, size_t a_step, const float *b, size_t b_step, float *y,
                   size_t n)
{
    for (size_t i = 0; i < n; i += VL) {
        size_t m = n - i < VL ? n - i : VL;
        vf left = a_step ? m == VL ? vload(a + i) : vload_n(a + i, m) : vset(*a);
        vf right = b_step ? m == VL ? vload(b + i) : vload_n(b + i, m) : vset(*b);
        vf result = binary_vector(op, left, right);
        if (m == VL)
            vstore(y + i, result);
        else
            vstore_n(y + i, result, m);
    }
}

static void max_pixels(const float *const *pixels, size_t count, float *y, size_t n)
{
    for (size_t c = 0; c < n; c += VL) {
        size_t m = n - c < VL ? n - c : VL;
        vf most = m == VL ? vload(pixels[0] + c) : vload_n(pixels[0] + c, m);
        for (size_t i = 1; i < count; i++)
            most =
                binary_vector(EG_BIN_MAX, most, m == VL ? vload(pixels[i] + c) : vload_n(pixels[i] + c, m));
        if (m == VL)
            vstore(y + c, most);
        else
            vstore_n(y + c, most, m);
    }
}

static void mean_pixels(const float *const *pixels, size_t count, float factor, float *y, size_t n)
{
    for (size_t c = 0; c < n; c += VL) {
        size_t m = n - c < VL ? n - c : VL;
        vf sum = {0};
        for (size_t i = 0; i < count; i++) sum += m == VL ? vload(pixels[i] + c) : vload_n(pixels[i] + c, m);
        sum *= vset(factor);
        if (m == VL)
            vstore(y + c, sum);
        else
            vstore_n(y + c, sum, m);
    }
}

/* y = softmax(scale x + mask) over n numbers; mask NULL: none. y may be x. */
static void softmax_row(const float *x, float scale, const float *mask, float *y, size_t n)
{
    vf most = vset(-INFINITY), sums = {0};
    const vf factor = vset(scale);
    for (size_t i = 0; i < n; i += VL) {
        size_t m = n - i < VL ? n - i : VL;
        vf v = (m == VL ? vload(x + i) : vload_n(x + i, m)) * factor;
        if (mask) v += m == VL ? vload(mask + i) : vload_n(mask + i, m);
        if (m == VL) {
            vstore(y + i, v);
            most = vmax(v, most);
        } else {
            vstore_n(y + i, v, m);
            for (size_t j = 0; j < m; j++) most = vmax(vset(y[i + j]), most);
        }
    }
    float lanes[VL], largest;
    vstore(lanes, most);
    largest = lanes[0];
    for (size_t i = 1; i < VL; i++) largest = lanes[i] > largest ? lanes[i] : largest;
    if (!(largest > -INFINITY)) largest = 0; /* all of it masked away: 0 / 0 */
    const vf top = vset(largest);
    for (size_t i = 0; i < n; i += VL) {
        size_t m = n - i < VL ? n - i : VL;
        if (m == VL) {
            vf e = vexp(vload(y + i) - top);
            vstore(y + i, e);
            sums += e;
        } else {
            float last[VL] = {0};
            vstore_n(y + i, vexp(vload_n(y + i, m) - top), m);
            memcpy(last, y + i, m * sizeof *last);
            sums += vload(last);
        }
    }
    const vf inverse = vset(1.0f / vsum(sums));
    for (size_t i = 0; i < n; i += VL) {
        size_t m = n - i < VL ? n - i : VL;
        if (m == VL)
            vstore(y + i, vload(y + i) * inverse);
        else
            vstore_n(y + i, vload_n(y + i, m) * inverse, m);
    }
}

/* y = (x - mean) / sqrt(variance + epsilon) gamma + beta; gamma, beta NULL: none. The mean first, then the
 * squares about it, in a few vectors of sums. */
static void layer_norm_row(const float *x, const float *gamma, const float *beta, float epsilon, float *y,
                           size_t n)
{
    vf sum = {0}, sum2 = {0};
    size_t i = 0;
    for (; i + 2 * VL <= n; i += 2 * VL) {
        sum += vload(x + i);
        sum2 += vload(x + i + VL);
    }
    double total = (double)vsum(sum + sum2);
    for (; i < n; i++) total += (double)x[i];
    const float mean = (float)(total / (double)n);
    const vf centre = vset(mean);
    sum = sum2 = (vf){0};
    for (i = 0; i + 2 * VL <= n; i += 2 * VL) {
        vf d = vload(x + i) - centre, e = vload(x + i + VL) - centre;
        sum = vfma(d, d, sum);
        sum2 = vfma(e, e, sum2);
    }
    double squares = (double)vsum(sum + sum2);
    for (; i < n; i++) squares += (double)(x[i] - mean) * (double)(x[i] - mean);
    const vf factor = vset((float)(1 / sqrt(squares / (double)n + (double)epsilon))), one = vset(1.0f);
    for (i = 0; i < n; i += VL) {
        size_t m = n - i < VL ? n - i : VL;
        if (m == VL) {
            vf v = (vload(x + i) - centre) * factor;
            if (gamma || beta) v = vfma(v, gamma ? vload(gamma + i) : one, beta ? vload(beta + i) : (vf){0});
            vstore(y + i, v);
        } else {
            vf v = (vload_n(x + i, m) - centre) * factor;
            if (gamma || beta)
                v = vfma(v, gamma ? vload_n(gamma + i, m) : one, beta ? vload_n(beta + i, m) : (vf){0});
            vstore_n(y + i, v, m);
        }
    }
}
