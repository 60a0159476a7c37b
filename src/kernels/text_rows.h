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
