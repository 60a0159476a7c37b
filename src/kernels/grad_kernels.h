/* grad_kernels.h: the arithmetic that only learning needs: gradients of convolutions around
 * their GEMM, of pointwise functions, sums over rows, and optimiser updates. Every function
 * gives the same bits with any number of threads. */
#ifndef EG_KERNELS_GRAD_KERNELS_H
#define EG_KERNELS_GRAD_KERNELS_H

#include "engraft.h"
#include "kernels/activations.h"

void eg__add_row(float *y, const float *row, size_t rows, size_t c, eg_pool *pool); /* y[r][c] += row[c] */
/* y[r][c] = x[r][c] a[c] + b[c] (+ y if add); b may be NULL; y may be x. */
void eg__affine_rows(const float *x, const float *a, const float *b, float *y, size_t rows, size_t c,
                     bool add, eg_pool *pool);
/* sums[c] = sum over r of x[r][c], or of x[r][c] z[r][c]. */
void eg__column_sums(const float *x, size_t rows, size_t c, float *sums, eg_pool *pool);
void eg__column_dots(const float *x, const float *z, size_t rows, size_t c, float *sums, eg_pool *pool);

/* ---- pointwise ------------------------------------------------------------------ */

void eg__unary(enum eg_activation f, float alpha, float beta, const float *x, float *y, size_t n,
               eg_pool *pool);
/* dx (+)= dy f'(x), where y = f(x). What x holds does not matter where the slope is had from y. */
void eg__unary_gradient(enum eg_activation f, float alpha, float beta, const float *x, const float *y,
                        const float *dy, float *dx, size_t n, bool add, eg_pool *pool);

/* ---- convolutions ----------------------------------------------------------------- */

/* One image [in_h][in_w][in_c] to [out_h][out_w][out_c]. */
struct eg_conv_geometry {
    size_t in_h, in_w, in_c, out_h, out_w, out_c;
    size_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w;
    size_t pad_top, pad_left;
};

/* Rows of a convolution as a matrix: columns[n out_h out_w][kernel_h kernel_w c] from the c
 * channels of x that start at `first`; and its adjoint, dx (+)= what the columns came from. */
void eg__image_to_columns(const struct eg_conv_geometry *g, size_t first, size_t c, const float *x, size_t n,
                          float *columns, eg_pool *pool);
void eg__columns_to_image(const struct eg_conv_geometry *g, size_t first, size_t c, const float *columns,
                          size_t n, float *dx, bool add, eg_pool *pool);

/* Depthwise: weight and its gradient [kernel_h][kernel_w][c]; bias may be NULL; partial is
 * scratch of n kernel_h kernel_w c floats. */
void eg__depthwise(const struct eg_conv_geometry *g, const float *x, const float *weight, const float *bias,
                   float *y, size_t n, eg_pool *pool);
void eg__depthwise_input_gradient(const struct eg_conv_geometry *g, const float *dy, const float *weight,
                                  float *dx, size_t n, bool add, eg_pool *pool);
void eg__depthwise_weight_gradient(const struct eg_conv_geometry *g, const float *x, const float *dy,
                                   float *partial, float *gradient, size_t n, eg_pool *pool);

/* Winograd F(4x4,3x3) (Lavin & Gray 2016): its transforms and their adjoints, for stride 1,
 * dilation 1 and channel counts that are multiples of 16. With P = 36 positions and T tiles
 * an image:  weight [k][3][3][c] <-> U[P][k][c],  x <-> V[P][n T][c],  y <-> M[P][n T][k]. */
size_t eg__winograd_tiles(const struct eg_conv_geometry *g);
void eg__winograd_weight(const struct eg_conv_geometry *g, const float *weight, float *u, eg_pool *pool);
void eg__winograd_weight_gradient(const struct eg_conv_geometry *g, const float *du, float *dweight,
                                  eg_pool *pool);
void eg__winograd_input(const struct eg_conv_geometry *g, const float *x, size_t n, float *v, eg_pool *pool);
void eg__winograd_input_gradient(const struct eg_conv_geometry *g, const float *dv, size_t n, float *dx,
                                 bool add, eg_pool *pool);
void eg__winograd_output(const struct eg_conv_geometry *g, const float *m, const float *bias, size_t n,
                         float *y, eg_pool *pool);
void eg__winograd_output_gradient(const struct eg_conv_geometry *g, const float *dy, size_t n, float *dm,
                                  eg_pool *pool);

/* ---- optimisers ------------------------------------------------------------------- */

/* PyTorch's SGD: g += decay w; v = momentum v + g; w -= rate (nesterov ? g + momentum v : v). */
void eg__sgd_update(float *w, const float *gradient, float *velocity, size_t n, float rate, float momentum,
                    float decay, bool nesterov, float gradient_scale);
/* AdamW (Loshchilov & Hutter 2019): w -= rate decay w; then Adam with the bias corrections
 * 1 / (1 - beta^t) given as correction1, correction2. */
void eg__adamw_update(float *w, const float *gradient, float *m, float *v, size_t n, float rate, float beta1,
                      float beta2, float epsilon, float decay, float correction1, float correction2,
                      float gradient_scale);
double eg__sum_of_squares(const float *x, size_t n);

#endif
