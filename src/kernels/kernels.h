/* kernels.h: arithmetic on arrays: one table of functions per instruction set, the best one
 * chosen once. Callers outside kernels/ and net/ use the few plain functions below. */
#ifndef EG_KERNELS_KERNELS_H
#define EG_KERNELS_KERNELS_H

#include "engraft.h"

/* Name of the kernel set in use: "avx512", "avx2", "neon", "portable". */
const char *eg__kernels_name(void);

/* C[m][n] = A[m][k] B'[n][k]  (+ C if accumulate): the rows of A against the rows of B.
 * lda, ldb, ldc in floats. Sums are added in an order that depends on k only: the same bits
 * for any m, n, tiling or pool. Cost 2 m n k; scratch is taken and given back inside.
 * EG_E_MEMORY is the only failure. */
EG_MUST_CHECK enum eg_status eg__gemm_nt(size_t m, size_t n, size_t k, const float *a, size_t lda,
                                         const float *b, size_t ldb, float *c, size_t ldc, bool accumulate,
                                         eg_pool *pool, struct eg_error *err);
/* C[m][n] = A[m][k] B[k][n] (+ C), and C[m][n] = A'[k][m] B[k][n] (+ C): the same promises. */
EG_MUST_CHECK enum eg_status eg__gemm_nn(size_t m, size_t n, size_t k, const float *a, size_t lda,
                                         const float *b, size_t ldb, float *c, size_t ldc, bool accumulate,
                                         eg_pool *pool, struct eg_error *err);
EG_MUST_CHECK enum eg_status eg__gemm_tn(size_t m, size_t n, size_t k, const float *a, size_t lda,
                                         const float *b, size_t ldb, float *c, size_t ldc, bool accumulate,
                                         eg_pool *pool, struct eg_error *err);
/* The lower triangle of C[n][n] (+)= A[n][k] A'[n][k]; half the work of gemm_nt, same bits. */
EG_MUST_CHECK enum eg_status eg__syrk(size_t n, size_t k, const float *a, size_t lda, float *c, size_t ldc,
                                      bool accumulate, eg_pool *pool, struct eg_error *err);

float eg__dot(const float *a, const float *b, size_t n);        /* fixed order of sums */
void eg__axpy(float alpha, const float *x, float *y, size_t n); /* y += alpha x */

#endif
