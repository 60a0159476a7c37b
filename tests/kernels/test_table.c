/* Every kernel of every table against its twin in the portable one: odd sizes and strides, arrays
 * that end at a page that may not be touched. The two round differently (fused or not), so they
 * agree to a tolerance; the tile must also give the same bits for a row alone as among others. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/rng.h"
#include "check.h"
#include "kernels/table.h"

static uint64_t seed;
static struct eg_rng rng;

static size_t below(size_t n) { return (size_t)eg__rng_below(&rng, n); }

enum { GUARDED_MAX = 64 };
static struct {
    void *base;
    size_t bytes;
} guarded[GUARDED_MAX];
static size_t n_guarded;

/* n floats whose last one is followed by a page that faults. */
static float *guard(size_t n)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes = (n * sizeof(float) + page - 1) / page * page;
    char *base = mmap(NULL, bytes + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(base != MAP_FAILED && n_guarded < GUARDED_MAX);
    assert_int_equal(mprotect(base + bytes, page, PROT_NONE), 0);
    guarded[n_guarded].base = base;
    guarded[n_guarded++].bytes = bytes + page;
    return (float *)(void *)(base + bytes) - n;
}

static float *numbers(size_t n)
{
    float *x = guard(n);
    for (size_t i = 0; i < n; i++) x[i] = (float)eg__rng_normal(&rng);
    return x;
}

static void release(void)
{
    while (n_guarded) {
        n_guarded--;
        munmap(guarded[n_guarded].base, guarded[n_guarded].bytes);
    }
}

static void same(const char *kernel, const struct eg_kernels *k, const float *got, const float *want,
                 size_t n, double tolerance)
{
    for (size_t i = 0; i < n; i++) {
        double a = (double)got[i], b = (double)want[i];
        if (!(fabs(a - b) <= tolerance * (1 + fabs(b))) && !(isnan(a) && isnan(b)) && !(a == b))
            fail_msg("%s %s at %zu of %zu: %.9g, portable %.9g (seed %llu)", k->name, kernel, i, n, a, b,
                     (unsigned long long)seed);
    }
}

static bool is_smooth(enum eg_activation act)
{
    return act != EG_ACT_SIGN && act != EG_ACT_SQRT && act != EG_ACT_POW && act != EG_ACT_LOG &&
           act != EG_ACT_FLOOR && act != EG_ACT_CEIL && act != EG_ACT_ROUND;
}

static void test_elementwise(const struct eg_kernels *p, const struct eg_kernels *k)
{
    for (size_t n = 1; n < 70; n += 1 + below(3)) {
        float *x = numbers(n), *s = numbers(n), *t = numbers(n), *a = guard(n), *b = guard(n);
        for (enum eg_activation act = EG_ACT_NONE; act < EG_ACT_COUNT; act++) {
            p->activate(act, 0.3f, 0.6f, x, a, n);
            k->activate(act, 0.3f, 0.6f, x, b, n);
            same("activate", k, b, a, n, 1e-6);
            p->scale_shift(x, s, t, act, 0.3f, 0.6f, a, n);
            k->scale_shift(x, s, t, act, 0.3f, 0.6f, b, n);
            if (is_smooth(act)) /* the sums before it differ in their last bit */
                same("scale_shift", k, b, a, n, 1e-5);
        }
        for (enum eg_binary op = EG_BIN_ADD; op <= EG_BIN_EQUAL; op++)
            for (unsigned steps = 0; steps < 4; steps++) {
                p->binary(op, x, steps & 1, s, steps >> 1, a, n);
                k->binary(op, x, steps & 1, s, steps >> 1, b, n);
                same("binary", k, b, a, n, 0);
            }
        p->softmax_row(x, 1.5f, n % 2 ? s : NULL, a, n);
        k->softmax_row(x, 1.5f, n % 2 ? s : NULL, b, n);
        same("softmax_row", k, b, a, n, 1e-6);
        p->layer_norm_row(x, n % 2 ? s : NULL, n % 3 ? t : NULL, 1e-5f, a, n);
        k->layer_norm_row(x, n % 2 ? s : NULL, n % 3 ? t : NULL, 1e-5f, b, n);
        same("layer_norm_row", k, b, a, n, 1e-5 * (n < 4 ? 100 : 1)); /* of two near numbers it is steep */
        const float *pixels[3] = {x, s, t};
        p->max_pixels(pixels, 3, a, n);
        k->max_pixels(pixels, 3, b, n);
        same("max_pixels", k, b, a, n, 0);
        p->mean_pixels(pixels, 3, 1.0f / 3, a, n);
        k->mean_pixels(pixels, 3, 1.0f / 3, b, n);
        same("mean_pixels", k, b, a, n, 0);
        assert_true(fabs((double)p->dot(x, s, n) - (double)k->dot(x, s, n)) <= 1e-5 * (double)n);
        memcpy(a, t, n * sizeof *a);
        memcpy(b, t, n * sizeof *b);
        p->axpy(0.7f, x, a, n);
        k->axpy(0.7f, x, b, n);
        same("axpy", k, b, a, n, 1e-6);
        release();
    }
}

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }

/* What an activation is, by the C library in double precision. */
static double truth(enum eg_activation act, double x)
{
    switch (act) {
    case EG_ACT_SIGMOID: return sigmoid(x);
    case EG_ACT_SILU: return x * sigmoid(x);
    case EG_ACT_EXP: return exp(x);
    case EG_ACT_TANH: return tanh(x);
    case EG_ACT_ERF: return erf(x);
    case EG_ACT_GELU: return 0.5 * x * (1 + erf(x / sqrt(2.0)));
    case EG_ACT_GELU_TANH: return 0.5 * x * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    default: return x;
    }
}

/* Within 1e-6 of the C library from tiny to far out (GELU of what 1 + erf leaves), NaN stays NaN,
 * and a value alone gets the bits it gets among others. */
static void test_smooth(const struct eg_kernels *k)
{
    enum { N = 4001 };
    static const enum eg_activation smooth[] = {EG_ACT_SIGMOID, EG_ACT_SILU, EG_ACT_EXP,      EG_ACT_TANH,
                                                EG_ACT_ERF,     EG_ACT_GELU, EG_ACT_GELU_TANH};
    static float x[N], y[N];
    for (size_t i = 0; i < N; i++) {
        double u = (double)i / (N - 1) * 2 - 1;
        x[i] = (float)(i % 2 ? u * 12 : copysign(pow(10, -6 + 7.9 * fabs(u)), u));
    }
    x[7] = NAN;
    for (size_t a = 0; a < sizeof smooth / sizeof *smooth; a++) {
        k->activate(smooth[a], 0, 0, x, y, N);
        for (size_t i = 0; i < N; i++) {
            if (i == 7) {
                assert_true(isnan(y[i]));
                continue;
            }
            double want = truth(smooth[a], (double)x[i]), slack = 1e-6 * fabs(want) + 1e-37;
            if (smooth[a] == EG_ACT_GELU || smooth[a] == EG_ACT_GELU_TANH) slack += 3e-7 * fabs((double)x[i]);
            if (!(fabs((double)y[i] - want) <= slack) && !(want > (double)__FLT_MAX__ && isinf(y[i])))
                fail_msg("%s activation %d at %.9g: %.9g, not %.9g", k->name, (int)smooth[a], (double)x[i],
                         (double)y[i], want);
            float alone;
            k->activate(smooth[a], 0, 0, &x[i], &alone, 1);
            assert_memory_equal(&alone, &y[i], sizeof alone);
        }
    }
}

/* Whole blocks and what is left of them, rows wider than what is taken. */
static void test_transpose(const struct eg_kernels *k)
{
    for (int round = 0; round < 60; round++) {
        size_t rows = 1 + below(40), columns = 1 + below(40), ldx = columns + below(3), ldy = rows + below(3);
        float *x = numbers((rows - 1) * ldx + columns), *y = guard((columns - 1) * ldy + rows);
        k->transpose(x, ldx, rows, columns, y, ldy);
        for (size_t i = 0; i < rows; i++)
            for (size_t j = 0; j < columns; j++) assert_true(y[j * ldy + i] == x[i * ldx + j]);
        release();
    }
}

/* NaN comes through where it must. */
static void test_nan(const struct eg_kernels *k)
{
    float x[40], y[40];
    for (size_t i = 0; i < 40; i++) x[i] = i % 3 ? 1 : NAN;
    k->activate(EG_ACT_CLAMP, 0, INFINITY, x, y, 40);
    for (size_t i = 0; i < 40; i++) assert_true(i % 3 ? y[i] == 1 : isnan(y[i]));
    k->activate(EG_ACT_EXP, 0, 0, x, y, 40);
    for (size_t i = 0; i < 40; i++) assert_true(i % 3 ? fabs((double)y[i] - exp(1)) < 1e-6 : isnan(y[i]));
}

static void test_tile(const struct eg_kernels *p, const struct eg_kernels *k)
{
    for (int round = 0; round < 120; round++) {
        const size_t rows = 1 + below(k->tile_rows), columns = 1 + below(k->panel), runs = 1 + below(4);
        const size_t length = 1 + below(40), depth = runs * length, ldc = columns + below(3);
        const size_t width = (columns + k->granule - 1) / k->granule * k->granule;
        float *filters = numbers(columns * depth), *packed = guard(width * depth), *a = numbers(rows * depth);
        float *bias = numbers(columns), *residual = numbers(rows * ldc), *start = numbers(rows * ldc);
        float *got = guard(rows * ldc), *alone = guard(columns);
        eg__pack(k, 0, columns, columns, depth, filters, 1, depth, packed);
        const float *pointers[4 * EG_TILE_ROWS_MAX] = {NULL}, *first[4 * EG_TILE_ROWS_MAX] = {NULL};
        for (size_t r = 0; r < runs; r++)
            for (size_t i = 0; i < rows; i++) pointers[r * k->tile_rows + i] = a + (i * runs + r) * length;
        struct eg_epilogue e = {.bias = round % 2 ? bias : NULL,
                                .residual = round % 3 ? residual : NULL,
                                .ld_residual = ldc,
                                .act = (enum eg_activation)below(EG_ACT_EXP + 1),
                                .a = -0.5f,
                                .b = 0.8f};
        if (e.act == EG_ACT_SQRT) e.act = EG_ACT_SILU;
        struct eg_tile tile = {rows, columns, runs, length, pointers, packed, got, ldc, round % 5 == 0, &e};
        memcpy(got, start, rows * ldc * sizeof *got);
        k->gemm_tile(&tile);
        for (size_t i = 0; i < rows; i++)
            for (size_t j = 0; j < ldc; j++) {
                double sum = tile.accumulate ? (double)start[i * ldc + j] : 0, size = 1;
                if (j >= columns) {
                    assert_true(got[i * ldc + j] == start[i * ldc + j]); /* between rows: untouched */
                    continue;
                }
                for (size_t q = 0; q < depth; q++) {
                    sum += (double)a[i * depth + q] * (double)filters[j * depth + q];
                    size += fabs((double)a[i * depth + q] * (double)filters[j * depth + q]);
                }
                float want = (float)(sum + (e.bias ? (double)bias[j] : 0) +
                                     (e.residual ? (double)residual[i * ldc + j] : 0));
                p->activate(e.act, e.a, e.b, &want, &want, 1);
                if (!(fabs((double)(got[i * ldc + j] - want)) <= 2e-6 * size * (1 + fabs((double)want))))
                    fail_msg("%s tile %zu x %zu x %zu: %g, expected %g (seed %llu)", k->name, rows, columns,
                             depth, (double)got[i * ldc + j], (double)want, (unsigned long long)seed);
            }
        size_t row = below(rows);
        for (size_t r = 0; r < runs; r++) first[r * k->tile_rows] = pointers[r * k->tile_rows + row];
        memcpy(alone, start + row * ldc, columns * sizeof *alone);
        if (e.residual) e.residual = residual + row * ldc;
        tile.rows = 1;
        tile.a = first;
        tile.c = alone;
        k->gemm_tile(&tile);
        assert_memory_equal(alone, got + row * ldc, columns * sizeof *alone);
        release();
    }
}

static void test_depthwise(const struct eg_kernels *p, const struct eg_kernels *k)
{
    for (int round = 0; round < 200; round++) {
        const size_t c = 1 + below(50), count = 1 + below(30), side = 1 + below(5), stride = 1 + below(3);
        const size_t ld = c + below(4), dilation = 1 + below(5) / 4, pad = below(4);
        const size_t pixels = 1 + below((count - 1) * stride + side * dilation);
        float *x = numbers(side * pixels * ld), *w = numbers(side * side * c), *bias = numbers(c);
        float *residual = numbers(count * c), *a = guard(count * c), *b = guard(count * c);
        const float *rows[5];
        for (size_t i = 0; i < side; i++) rows[i] = i && below(4) == 0 ? NULL : x + i * pixels * ld;
        struct eg_epilogue e = {.bias = round % 2 ? bias : NULL,
                                .residual = round % 3 ? NULL : residual,
                                .ld_residual = c,
                                .act = round % 4 ? EG_ACT_CLAMP : EG_ACT_SILU,
                                .a = 0,
                                .b = 6};
        struct eg_depthwise d = {.channels = c,
                                 .count = count,
                                 .kernel_h = side,
                                 .kernel_w = side,
                                 .stride = stride,
                                 .dilation = dilation,
                                 .pad = pad,
                                 .width = pixels,
                                 .rows = rows,
                                 .ld = ld,
                                 .weight = w,
                                 .ldw = c,
                                 .y = a,
                                 .ldy = c,
                                 .epilogue = &e};
        p->depthwise(&d);
        d.y = b;
        k->depthwise(&d);
        same("depthwise", k, b, a, count * c, 1e-5);
        release();
    }
}

static void test_winograd(const struct eg_kernels *p, const struct eg_kernels *k)
{
    for (int round = 0; round < 40; round++) {
        const unsigned alpha = 4 + 2 * (unsigned)(round % 3);
        const unsigned m = alpha == 4 ? 2 : alpha == 6 || round % 4 == 0 ? 4 : 6;
        const size_t c = 1 + below(45), ld = c + below(3), points = (size_t)alpha * alpha,
                     stride = c + below(5);
        float *x = numbers(points * ld), *a = guard(points * stride), *b = guard(points * stride);
        memset(a, 0, points * stride * sizeof *a);
        memset(b, 0, points * stride * sizeof *b);
        p->wino_input(alpha, x, alpha * ld, ld, c, a, stride);
        k->wino_input(alpha, x, alpha * ld, ld, c, b, stride);
        same("wino_input", k, b, a, points * stride, 1e-4);
        const bool pool = round % 5 < 2;
        const size_t side = pool ? m / 2 : m, count = side * side * ld;
        float *bias = numbers(c), *residual = numbers(count), *u = guard(count), *v = guard(count);
        for (size_t i = 0; i < count; i++) u[i] = v[i] = 7;
        struct eg_epilogue e = {.bias = bias,
                                .residual = pool || round % 2 ? NULL : residual,
                                .ld_residual = ld,
                                .act = EG_ACT_CLAMP,
                                .a = 0,
                                .b = 1000};
        struct eg_wino_output o = {.m = m,
                                   .alpha = alpha,
                                   .pool = pool,
                                   .sums = a,
                                   .stride = stride,
                                   .channels = c,
                                   .y = u,
                                   .row = side * ld,
                                   .pixel = ld,
                                   .rows = 1 + below(side),
                                   .columns = 1 + below(side),
                                   .epilogue = &e,
                                   .residual_row = side * ld};
        p->wino_output(&o);
        o.y = v;
        k->wino_output(&o);
        same("wino_output", k, v, u, count, 2e-3); /* sums of numbers up to 32^2 times larger */
        release();
    }
}

static void test_tables(void **state)
{
    (void)state;
    const struct eg_kernels *portable = eg__kernels_at(0), *k;
    for (size_t i = 0; (k = eg__kernels_at(i)); i++) {
        test_elementwise(portable, k);
        test_transpose(k);
        test_nan(k);
        test_smooth(k);
        test_tile(portable, k);
        test_depthwise(portable, k);
        test_winograd(portable, k);
    }
}

static void test_selection(void **state)
{
    (void)state;
    assert_false(eg__kernels_select("no such set"));
    assert_true(eg__kernels_select("portable"));
    assert_string_equal(eg__kernels_name(), "portable");
}

int main(int argc, char **argv)
{
    seed = argc > 1 ? strtoull(argv[1], NULL, 10) : (uint64_t)time(NULL);
    printf("seed %llu\n", (unsigned long long)seed);
    eg__rng_init(&rng, seed, 0);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_tables), cmocka_unit_test(test_selection)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
