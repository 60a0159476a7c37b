/* grad_table.h: private to kernels/: the loops that text_grad.h gives for one instruction set. */
#ifndef EG_KERNELS_GRAD_TABLE_H
#define EG_KERNELS_GRAD_TABLE_H

#include "kernels/grad_kernels.h"

struct eg_grad_loops {
    void (*add_row)(float *y, const float *row, size_t rows, size_t c);
    void (*affine_rows)(const float *x, const float *a, const float *b, float *y, size_t rows, size_t c,
                        bool add);
    void (*column_sums)(const float *x, const float *z, size_t rows, size_t c, size_t stride, float *sums);
    void (*unary)(enum eg_activation f, float alpha, float beta, const float *x, float *y, size_t n);
    void (*unary_gradient)(enum eg_activation f, float alpha, float beta, const float *x, const float *y,
                           const float *dy, float *dx, size_t n, bool add);
    void (*depthwise_line)(const struct eg_conv_geometry *g, const float *x, const float *weight,
                           const float *bias, float *y, size_t oy);
    void (*depthwise_input_gradient_line)(const struct eg_conv_geometry *g, const float *dy,
                                          const float *weight, float *dx, size_t iy, bool add);
    void (*depthwise_weight_gradient_image)(const struct eg_conv_geometry *g, const float *x, const float *dy,
                                            float *gradient);
    void (*winograd_weight_row)(const struct eg_conv_geometry *g, const float *weight, float *u, size_t k);
    void (*winograd_weight_gradient_row)(const struct eg_conv_geometry *g, const float *du, float *dweight,
                                         size_t k);
    void (*winograd_input_line)(const struct eg_conv_geometry *g, const float *x, float *v, size_t plane,
                                size_t ty);
    void (*winograd_input_gradient_line)(const struct eg_conv_geometry *g, const float *dv, float *dx,
                                         size_t plane, size_t ty);
    void (*winograd_output_line)(const struct eg_conv_geometry *g, const float *m, const float *bias,
                                 float *y, size_t plane, size_t ty);
    void (*winograd_output_gradient_line)(const struct eg_conv_geometry *g, const float *dy, float *dm,
                                          size_t plane, size_t ty);
    void (*sgd)(float *w, const float *gradient, float *velocity, size_t n, float rate, float momentum,
                float decay, bool nesterov, float gradient_scale);
    void (*adamw)(float *w, const float *gradient, float *m, float *v, size_t n, float rate, float beta1,
                  float beta2, float epsilon, float decay, float correction1, float correction2,
                  float gradient_scale);
};

#endif
