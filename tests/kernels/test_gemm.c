/* Matrix products of every kernel table against sums in double, on odd shapes and strides, with
 * NaN where nothing may be read and a pattern where nothing may be written; the same bits with
 * and without a pool, and element by element. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "base/rng.h"
#include "check.h"
#include "kernels/table.h"

static uint64_t seed;

static float *numbers(struct eg_rng *rng, size_t n)
{
    float *x = eg__alloc(n, sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; i < n; i++) x[i] = (float)eg__rng_normal(rng);
    return x;
}

/* A as [rows][columns] inside rows of `ld`, NaN between. */
static float *matrix(struct eg_rng *rng, size_t rows, size_t columns, size_t ld)
{
    float *x = numbers(rng, rows * ld);
    for (size_t i = 0; i < rows; i++)
        for (size_t j = columns; j < ld; j++) x[i * ld + j] = NAN;
    return x;
}

enum kind { NT, NN, TN, SYRK };

static void check(enum kind kind, size_t m, size_t n, size_t k, bool accumulate, eg_pool *pool,
                  struct eg_rng *rng)
{
    if (kind == SYRK) n = m;
    size_t lda = (kind == TN ? m : k) + 3, ldb = (kind == NT ? k : n) + 5, ldc = n + 2;
    float *a = kind == TN ? matrix(rng, k, m, lda) : matrix(rng, m, k, lda);
    float *b = kind == NT ? matrix(rng, n, k, ldb) : matrix(rng, k, n, ldb);
    float *c = numbers(rng, m * ldc), *before = numbers(rng, m * ldc), *again = numbers(rng, m * ldc);
    for (size_t i = 0; i < m * ldc; i++) before[i] = again[i] = c[i];
    struct eg_error err;
    enum eg_status status = EG_OK;
    for (int pass = 0; pass < 2 && !status; pass++) {
        float *to = pass ? again : c;
        eg_pool *with = pass ? NULL : pool;
        if (kind == NT) status = eg__gemm_nt(m, n, k, a, lda, b, ldb, to, ldc, accumulate, with, &err);
        if (kind == NN) status = eg__gemm_nn(m, n, k, a, lda, b, ldb, to, ldc, accumulate, with, &err);
        if (kind == TN) status = eg__gemm_tn(m, n, k, a, lda, b, ldb, to, ldc, accumulate, with, &err);
        if (kind == SYRK) status = eg__syrk(n, k, a, lda, to, ldc, accumulate, with, &err);
    }
    assert_int_equal(status, EG_OK);
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < ldc; j++) {
            bool written = j < n && (kind != SYRK || j <= i);
            double sum = !written || accumulate ? (double)before[i * ldc + j] : 0, size = fabs(sum);
            for (size_t p = 0; written && p < k; p++) {
                double x = (double)(kind == TN ? a[p * lda + i] : a[i * lda + p]);
                double y = (double)(kind == SYRK ? a[j * lda + p]
                                    : kind == NT ? b[j * ldb + p]
                                                 : b[p * ldb + j]);
                sum += x * y;
                size += fabs(x * y);
            }
            double error = fabs((double)c[i * ldc + j] - sum);
            if (!(error <= 1e-5 * size) || memcmp(&c[i * ldc + j], &again[i * ldc + j], 4)) {
                fail_msg("%s kind %d m %zu n %zu k %zu at %zu,%zu: %g, expected %g (seed %llu)",
                         eg__kernels_name(), kind, m, n, k, i, j, (double)c[i * ldc + j], sum,
                         (unsigned long long)seed);
            }
        }
    free(a);
    free(b);
    free(c);
    free(before);
    free(again);
}

static void test_products(void **state)
{
    (void)state;
    eg_pool *pool;
    assert_int_equal(eg_pool_create(3, &pool, NULL), EG_OK);
    for (size_t isa = 0; eg__kernels_at(isa); isa++) {
        assert_true(eg__kernels_select(eg__kernels_at(isa)->name));
        struct eg_rng rng;
        eg__rng_init(&rng, seed, isa);
        for (int round = 0; round < 60; round++) {
            size_t m = 1 + eg__rng_below(&rng, 60), n = 1 + eg__rng_below(&rng, 90);
            size_t k = round % 7 ? eg__rng_below(&rng, 70) : 200 + eg__rng_below(&rng, 400);
            for (enum kind kind = NT; kind <= SYRK; kind++) check(kind, m, n, k, round % 2, pool, &rng);
        }
        check(NT, 230, 70, 300, false, pool, &rng);
        check(SYRK, 230, 0, 300, true, pool, &rng);
    }
    eg_pool_free(pool);
}

/* One row of a product has the same bits alone as among others. */
static void test_rows_alone(void **state)
{
    (void)state;
    enum { M = 29, N = 45, K = 611 };
    for (size_t isa = 0; eg__kernels_at(isa); isa++) {
        assert_true(eg__kernels_select(eg__kernels_at(isa)->name));
        struct eg_rng rng;
        eg__rng_init(&rng, seed, isa);
        float *a = numbers(&rng, M * K), *b = numbers(&rng, N * K), *c = numbers(&rng, M * N), one;
        assert_int_equal(eg__gemm_nt(M, N, K, a, K, b, K, c, N, false, NULL, NULL), EG_OK);
        for (size_t i = 0; i < M; i++)
            for (size_t j = 0; j < N; j++) {
                assert_int_equal(eg__gemm_nt(1, 1, K, a + i * K, K, b + j * K, K, &one, 1, false, NULL, NULL),
                                 EG_OK);
                assert_memory_equal(&one, &c[i * N + j], sizeof one);
            }
        free(a);
        free(b);
        free(c);
    }
}

static void test_dot_axpy(void **state)
{
    (void)state;
    for (size_t isa = 0; eg__kernels_at(isa); isa++) {
        assert_true(eg__kernels_select(eg__kernels_at(isa)->name));
        struct eg_rng rng;
        eg__rng_init(&rng, seed, isa);
        for (size_t n = 0; n < 200; n++) {
            float *x = numbers(&rng, n + 1), *y = numbers(&rng, n + 1), *z = numbers(&rng, n + 1);
            double sum = 0, size = 0;
            for (size_t i = 0; i < n; i++) {
                sum += (double)x[i] * (double)y[i];
                size += fabs((double)x[i] * (double)y[i]);
                z[i] = y[i];
            }
            assert_true(fabs((double)eg__dot(x, y, n) - sum) <= 1e-6 * size);
            float guard = z[n] = 7;
            eg__axpy(0.5f, x, z, n);
            assert_true(z[n] == guard);
            for (size_t i = 0; i < n; i++)
                assert_true(fabs((double)z[i] - ((double)y[i] + 0.5 * (double)x[i])) <=
                            1e-6 * (1 + fabs((double)z[i])));
            free(x);
            free(y);
            free(z);
        }
    }
}

int main(void)
{
    seed = (uint64_t)time(NULL);
    printf("seed %llu\n", (unsigned long long)seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_products),
        cmocka_unit_test(test_rows_alone),
        cmocka_unit_test(test_dot_axpy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
