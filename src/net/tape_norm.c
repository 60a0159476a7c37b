/* tape_norm.c: batch norm (frozen, or with the batch's statistics), layer norm, LRN. */
#include <math.h>
#include <string.h>

#include "base/fail.h"
#include "base/pool.h"
#include "kernels/grad_kernels.h"
#include "net/tape_ops.h"

/* ---- batch norm (Ioffe & Szegedy 2015) ------------------------------------------------ *
 * saved, floats: a[c], b[c] of y = a x + b; with batch statistics also mean[c] and
 * inverse[c] = 1/sqrt(variance + epsilon), and two rows to work in. */

enum { BN_ROWS = 6 };

size_t eg__tape_batch_norm_saved(const struct eg_tape_node *nodes, const struct eg_tape_node *node,
                                 size_t max_batch)
{
    (void)nodes;
    (void)max_batch;
    return BN_ROWS * eg__map(node->node->shape).c * sizeof(float);
}

/* Moments in two passes (the mean first): the sum of squares would lose digits. */
static void batch_moments(struct eg_tape_step *step, struct eg_tape_node *node, const float *x, size_t rows,
                          float *mean, float *inverse, float *work)
{
    size_t c = eg__map(node->node->shape).c;
    eg__column_sums(x, rows, c, mean, step->pool);
    for (size_t k = 0; k < c; k++) mean[k] /= (float)rows;
    /* y is free until the result goes there: it holds x - mean */
    for (size_t k = 0; k < c; k++) {
        inverse[k] = 1;
        work[k] = -mean[k];
    }
    eg__affine_rows(x, inverse, work, node->y, rows, c, false, step->pool);
    eg__column_dots(node->y, node->y, rows, c, work, step->pool);
    float *running_mean = node->param[2], *running_variance = node->param[3], keep = 1 - step->momentum;
    for (size_t k = 0; k < c; k++) {
        float variance = work[k] / (float)rows;
        inverse[k] = 1 / sqrtf(variance + node->node->epsilon);
        running_mean[k] = keep * running_mean[k] + step->momentum * mean[k];
        /* the running one is of a sample: n - 1, as torch */
        running_variance[k] =
            keep * running_variance[k] + step->momentum * (rows > 1 ? work[k] / (float)(rows - 1) : variance);
    }
}

enum eg_status eg__tape_batch_norm_forward(struct eg_tape_step *step, struct eg_tape_node *node,
                                           struct eg_error *err)
{
    (void)err;
    const float *x = eg__tape_input(step, node, 0)->y, *gamma = node->param[0], *beta = node->param[1];
    size_t c = eg__map(node->node->shape).c, rows = step->n * (node->count / c);
    float *a = node->saved, *b = a + c, *mean = b + c, *inverse = mean + c;
    if (node->batch_stats && step->training) {
        batch_moments(step, node, x, rows, mean, inverse, inverse + c);
    } else {
        memcpy(mean, node->param[2], c * sizeof *mean);
        for (size_t k = 0; k < c; k++) inverse[k] = 1 / sqrtf(node->param[3][k] + node->node->epsilon);
    }
    for (size_t k = 0; k < c; k++) {
        a[k] = inverse[k] * (gamma ? gamma[k] : 1);
        b[k] = (beta ? beta[k] : 0) - mean[k] * a[k];
    }
    eg__affine_rows(x, a, b, node->y, rows, c, false, step->pool);
    return EG_OK;
}

enum eg_status eg__tape_batch_norm_backward(struct eg_tape_step *step, struct eg_tape_node *node,
                                            struct eg_error *err)
{
    (void)err;
    const float *x = eg__tape_input(step, node, 0)->y;
    float *dx = eg__tape_dx(step, node, 0);
    size_t c = eg__map(node->node->shape).c, rows = step->n * (node->count / c);
    float *a = node->saved, *mean = a + 2 * c, *inverse = mean + c, *sum_dy = inverse + c,
          *sum_dy_x = sum_dy + c;
    if (!node->batch_stats) {
        if (dx) eg__affine_rows(node->dy, a, NULL, dx, rows, c, node->add_dx[0], step->pool);
        return EG_OK;
    }
    /* with z = (x - mean) inverse:  dx = a (dy - mean(dy) - z mean(dy z)) */
    eg__column_sums(node->dy, rows, c, sum_dy, step->pool);
    eg__column_dots(node->dy, x, rows, c, sum_dy_x, step->pool);
    for (size_t k = 0; k < c; k++) {
        float sum_dy_z = (sum_dy_x[k] - mean[k] * sum_dy[k]) * inverse[k];
        if (node->grad[0]) node->grad[0][k] = sum_dy_z;
        if (node->grad[1]) node->grad[1][k] = sum_dy[k];
        float slope = -a[k] * sum_dy_z * inverse[k] / (float)rows; /* on x */
        sum_dy[k] = -a[k] * sum_dy[k] / (float)rows - slope * mean[k];
        sum_dy_x[k] = slope;
    }
    if (!dx) return EG_OK;
    eg__affine_rows(node->dy, a, sum_dy, dx, rows, c, node->add_dx[0], step->pool);
    eg__affine_rows(x, sum_dy_x, NULL, dx, rows, c, true, step->pool);
    return EG_OK;
}

/* ---- layer norm over c (Ba et al. 2016) ----------------------------------------------------- *
 * saved: mean and inverse of every row. */

size_t eg__tape_layer_norm_saved(const struct eg_tape_node *nodes, const struct eg_tape_node *node,
                                 size_t max_batch)
{
    (void)nodes;
    return 2 * max_batch * (node->count / eg__map(node->node->shape).c) * sizeof(float);
}

/* dy z of every row, for the gradient of gamma. */
size_t eg__tape_layer_norm_scratch(const struct eg_tape_node *nodes, const struct eg_tape_node *node,
                                   size_t max_batch)
{
    (void)nodes;
    return max_batch * node->count;
}

struct norm_work {
    struct eg_tape_node *node;
    const float *x;
    float *dx, *scaled;
    size_t c;
    bool add;
};

static void layer_norm_task(void *context, size_t row, unsigned thread)
{
    (void)thread;
    const struct norm_work *w = context;
    const float *x = w->x + row * w->c, *gamma = w->node->param[0], *beta = w->node->param[1];
    float *y = w->node->y + row * w->c, *saved = (float *)w->node->saved + 2 * row;
    double sum = 0, squares = 0;
    for (size_t k = 0; k < w->c; k++) sum += (double)x[k];
    float mean = (float)(sum / (double)w->c);
    for (size_t k = 0; k < w->c; k++) squares += (double)(x[k] - mean) * (double)(x[k] - mean);
    float inverse = 1 / sqrtf((float)(squares / (double)w->c) + w->node->node->epsilon);
    saved[0] = mean;
    saved[1] = inverse;
    for (size_t k = 0; k < w->c; k++)
        y[k] = (x[k] - mean) * inverse * (gamma ? gamma[k] : 1) + (beta ? beta[k] : 0);
}

enum eg_status eg__tape_layer_norm_forward(struct eg_tape_step *step, struct eg_tape_node *node,
                                           struct eg_error *err)
{
    (void)err;
    size_t c = eg__map(node->node->shape).c;
    struct norm_work work = {.node = node, .x = eg__tape_input(step, node, 0)->y, .c = c};
    eg__pool_run(step->pool, step->n * (node->count / c), layer_norm_task, &work);
    return EG_OK;
}

static void layer_norm_gradient_task(void *context, size_t row, unsigned thread)
{
    (void)thread;
    const struct norm_work *w = context;
    const float *x = w->x + row * w->c, *dy = w->node->dy + row * w->c, *gamma = w->node->param[0];
    const float *saved = (const float *)w->node->saved + 2 * row;
    float *scaled = w->scaled + row * w->c, *dx = w->dx ? w->dx + row * w->c : NULL;
    double sum = 0, dot = 0;
    for (size_t k = 0; k < w->c; k++) {
        float z = (x[k] - saved[0]) * saved[1], d = dy[k] * (gamma ? gamma[k] : 1);
        scaled[k] = dy[k] * z;
        sum += (double)d;
        dot += (double)d * (double)z;
    }
    float mean_d = (float)(sum / (double)w->c), mean_dz = (float)(dot / (double)w->c);
    for (size_t k = 0; dx && k < w->c; k++) {
        float z = (x[k] - saved[0]) * saved[1], d = dy[k] * (gamma ? gamma[k] : 1);
        dx[k] = (w->add ? dx[k] : 0) + saved[1] * (d - mean_d - z * mean_dz);
    }
}

enum eg_status eg__tape_layer_norm_backward(struct eg_tape_step *step, struct eg_tape_node *node,
                                            struct eg_error *err)
{
    (void)err;
    size_t c = eg__map(node->node->shape).c, rows = step->n * (node->count / c);
    struct norm_work work = {
        node,           eg__tape_input(step, node, 0)->y, eg__tape_dx(step, node, 0), step->scratch, c,
        node->add_dx[0]};
    eg__pool_run(step->pool, rows, layer_norm_gradient_task, &work);
    if (node->grad[0]) eg__column_sums(step->scratch, rows, c, node->grad[0], step->pool);
    if (node->grad[1]) eg__column_sums(node->dy, rows, c, node->grad[1], step->pool);
    return EG_OK;
}

/* ---- local response normalisation (Krizhevsky et al. 2012) ------------------------------------ *
 * y = x s^-beta, s = bias + alpha/size sum of x^2 over size channels. saved: s. */

size_t eg__tape_lrn_saved(const struct eg_tape_node *nodes, const struct eg_tape_node *node, size_t max_batch)
{
    (void)nodes;
    return max_batch * node->count * sizeof(float);
}

static void neighbours(size_t k, size_t c, uint32_t size, size_t *first, size_t *last)
{
    size_t before = (size - 1) / 2, after = size - 1 - before;
    *first = k > before ? k - before : 0;
    *last = k + after + 1 < c ? k + after + 1 : c;
}

static void lrn_task(void *context, size_t row, unsigned thread)
{
    (void)thread;
    const struct norm_work *w = context;
    const struct eg_node *node = w->node->node;
    const float *x = w->x + row * w->c;
    float *y = w->node->y + row * w->c, *s = (float *)w->node->saved + row * w->c;
    for (size_t k = 0; k < w->c; k++) {
        size_t first, last;
        neighbours(k, w->c, node->size, &first, &last);
        float sum = 0;
        for (size_t j = first; j < last; j++) sum += x[j] * x[j];
        s[k] = node->bias + node->alpha / (float)node->size * sum;
        y[k] = x[k] * powf(s[k], -node->beta);
    }
}

enum eg_status eg__tape_lrn_forward(struct eg_tape_step *step, struct eg_tape_node *node,
                                    struct eg_error *err)
{
    (void)err;
    size_t c = eg__map(node->node->shape).c;
    struct norm_work work = {.node = node, .x = eg__tape_input(step, node, 0)->y, .c = c};
    eg__pool_run(step->pool, step->n * (node->count / c), lrn_task, &work);
    return EG_OK;
}

/* dx_k = dy_k s_k^-beta - 2 alpha beta / size x_k sum over j that see k of dy_j y_j / s_j */
static void lrn_gradient_task(void *context, size_t row, unsigned thread)
{
    (void)thread;
    const struct norm_work *w = context;
    const struct eg_node *node = w->node->node;
    const float *x = w->x + row * w->c, *y = w->node->y + row * w->c, *dy = w->node->dy + row * w->c;
    const float *s = (const float *)w->node->saved + row * w->c;
    float *dx = w->dx + row * w->c;
    uint32_t after = node->size - 1 - (node->size - 1) / 2;
    for (size_t k = 0; k < w->c; k++) {
        size_t first = k > after ? k - after : 0, last = k + (node->size - 1) / 2 + 1;
        if (last > w->c) last = w->c;
        float sum = 0;
        for (size_t j = first; j < last; j++) sum += dy[j] * y[j] / s[j];
        dx[k] = (w->add ? dx[k] : 0) + dy[k] * powf(s[k], -node->beta) -
                2 * node->alpha * node->beta / (float)node->size * x[k] * sum;
    }
}

enum eg_status eg__tape_lrn_backward(struct eg_tape_step *step, struct eg_tape_node *node,
                                     struct eg_error *err)
{
    (void)err;
    size_t c = eg__map(node->node->shape).c;
    struct norm_work work = {.node = node,
                             .x = eg__tape_input(step, node, 0)->y,
                             .dx = eg__tape_dx(step, node, 0),
                             .c = c,
                             .add = node->add_dx[0]};
    if (work.dx) eg__pool_run(step->pool, step->n * (node->count / c), lrn_gradient_task, &work);
    return EG_OK;
}
