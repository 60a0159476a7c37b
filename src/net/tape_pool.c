/* tape_pool.c: pooling and its gradients; one image a task. */
#include <math.h>
#include <string.h>

#include "base/pool.h"
#include "kernels/grad_kernels.h"
#include "net/tape_ops.h"

struct pool_work {
    struct eg_tape_node *node;
    struct eg_map in;
    const float *x;
    float *dx;
    bool add;
};

static struct pool_work work_of(struct eg_tape_step *step, struct eg_tape_node *node)
{
    struct eg_tape_node *input = eg__tape_input(step, node, 0);
    return (struct pool_work){node, eg__map(input->node->shape), input->y, eg__tape_dx(step, node, 0),
                              node->add_dx[0]};
}

/* The inputs first..last-1 of output o along one side; with padding, those the divisor counts. */
struct range {
    size_t first, last, counted;
};

static struct range window_range(size_t o, size_t stride, size_t kernel, size_t pad, size_t pad_after,
                                 size_t in)
{
    size_t begin = o * stride, end = begin + kernel; /* in padded coordinates */
    struct range r = {begin > pad ? begin - pad : 0, end > pad ? end - pad : 0, 0};
    if (r.last > in) r.last = in;
    if (r.first > r.last) r.first = r.last;
    if (end > in + pad + pad_after) end = in + pad + pad_after;
    r.counted = end > begin ? end - begin : 0;
    return r;
}

/* The window of an averaging pool, whichever kind it is. */
static struct range average_range(const struct eg_node *node, size_t o, size_t out, size_t in, bool vertical)
{
    if (node->op == EG_OP_GLOBAL_AVG) return (struct range){0, in, in};
    if (node->op == EG_OP_ADAPTIVE_POOL)
        return (struct range){o * in / out, ((o + 1) * in + out - 1) / out, 0};
    const struct eg_window *w = &node->window;
    return vertical ? window_range(o, w->stride_h, w->kernel_h, w->pad_top, w->pad_bottom, in)
                    : window_range(o, w->stride_w, w->kernel_w, w->pad_left, w->pad_right, in);
}

static float share(const struct eg_node *node, struct range y, struct range x)
{
    size_t n = node->op == EG_OP_AVG_POOL && node->count_include_pad
                   ? y.counted * x.counted
                   : (y.last - y.first) * (x.last - x.first);
    return n ? 1 / (float)n : 0;
}

static void average_task(void *context, size_t image, unsigned thread)
{
    (void)thread;
    const struct pool_work *w = context;
    struct eg_map in = w->in, out = eg__map(w->node->node->shape);
    const float *x = w->x + image * eg__map_count(in);
    float *y = w->node->y + image * w->node->count;
    for (size_t oy = 0; oy < out.h; oy++)
        for (size_t ox = 0; ox < out.w; ox++, y += out.c) {
            struct range ry = average_range(w->node->node, oy, out.h, in.h, true);
            struct range rx = average_range(w->node->node, ox, out.w, in.w, false);
            memset(y, 0, out.c * sizeof *y);
            for (size_t iy = ry.first; iy < ry.last; iy++)
                for (size_t ix = rx.first; ix < rx.last; ix++)
                    for (size_t k = 0; k < out.c; k++) y[k] += x[(iy * in.w + ix) * in.c + k];
            float part = share(w->node->node, ry, rx);
            for (size_t k = 0; k < out.c; k++) y[k] *= part;
        }
}

enum eg_status eg__tape_avg_pool_forward(struct eg_tape_step *step, struct eg_tape_node *node,
                                         struct eg_error *err)
{
    (void)err;
    struct pool_work work = work_of(step, node);
    eg__pool_run(step->pool, step->n, average_task, &work);
    return EG_OK;
}

static void average_gradient_task(void *context, size_t image, unsigned thread)
{
    (void)thread;
    const struct pool_work *w = context;
    struct eg_map in = w->in, out = eg__map(w->node->node->shape);
    float *dx = w->dx + image * eg__map_count(in);
    const float *dy = w->node->dy + image * w->node->count;
    if (!w->add) memset(dx, 0, eg__map_count(in) * sizeof *dx);
    for (size_t oy = 0; oy < out.h; oy++)
        for (size_t ox = 0; ox < out.w; ox++, dy += out.c) {
            struct range ry = average_range(w->node->node, oy, out.h, in.h, true);
            struct range rx = average_range(w->node->node, ox, out.w, in.w, false);
            float part = share(w->node->node, ry, rx);
            for (size_t iy = ry.first; iy < ry.last; iy++)
                for (size_t ix = rx.first; ix < rx.last; ix++)
                    for (size_t k = 0; k < out.c; k++) dx[(iy * in.w + ix) * in.c + k] += part * dy[k];
        }
}

enum eg_status eg__tape_avg_pool_backward(struct eg_tape_step *step, struct eg_tape_node *node,
                                          struct eg_error *err)
{
    (void)err;
    struct pool_work work = work_of(step, node);
    if (work.dx) eg__pool_run(step->pool, step->n, average_gradient_task, &work);
    return EG_OK;
}

/* ---- max: saved is where each maximum was (the first of equals, as torch) ------------------ */

size_t eg__tape_max_pool_saved(const struct eg_tape_node *nodes, const struct eg_tape_node *node,
                               size_t max_batch)
{
    (void)nodes;
    return max_batch * node->count * sizeof(uint32_t);
}

static void max_task(void *context, size_t image, unsigned thread)
{
    (void)thread;
    const struct pool_work *w = context;
    const struct eg_window *window = &w->node->node->window;
    struct eg_map in = w->in, out = eg__map(w->node->node->shape);
    const float *x = w->x + image * eg__map_count(in);
    float *y = w->node->y + image * w->node->count;
    uint32_t *where = (uint32_t *)w->node->saved + image * w->node->count;
    for (size_t oy = 0; oy < out.h; oy++)
        for (size_t ox = 0; ox < out.w; ox++, y += out.c, where += out.c) {
            for (size_t k = 0; k < out.c; k++) {
                y[k] = -INFINITY;
                where[k] = 0;
            }
            for (size_t ky = 0; ky < window->kernel_h; ky++) {
                size_t iy = oy * window->stride_h + ky * window->dilation_h - window->pad_top;
                for (size_t kx = 0; iy < in.h && kx < window->kernel_w; kx++) {
                    size_t ix = ox * window->stride_w + kx * window->dilation_w - window->pad_left;
                    if (ix >= in.w) continue;
                    const float *from = x + (iy * in.w + ix) * in.c;
                    uint32_t pixel = (uint32_t)(iy * in.w + ix);
                    for (size_t k = 0; k < out.c; k++) {
                        bool larger = from[k] > y[k];
                        y[k] = larger ? from[k] : y[k];
                        where[k] = larger ? pixel : where[k];
                    }
                }
            }
        }
}

enum eg_status eg__tape_max_pool_forward(struct eg_tape_step *step, struct eg_tape_node *node,
                                         struct eg_error *err)
{
    (void)err;
    struct pool_work work = work_of(step, node);
    eg__pool_run(step->pool, step->n, max_task, &work);
    return EG_OK;
}

static void max_gradient_task(void *context, size_t image, unsigned thread)
{
    (void)thread;
    const struct pool_work *w = context;
    size_t c = w->in.c, pixels = w->node->count / c;
    float *dx = w->dx + image * eg__map_count(w->in);
    const float *dy = w->node->dy + image * w->node->count;
    const uint32_t *where = (const uint32_t *)w->node->saved + image * w->node->count;
    if (!w->add) memset(dx, 0, eg__map_count(w->in) * sizeof *dx);
    for (size_t p = 0; p < pixels; p++, dy += c, where += c)
        for (size_t k = 0; k < c; k++) dx[where[k] * c + k] += dy[k];
}

enum eg_status eg__tape_max_pool_backward(struct eg_tape_step *step, struct eg_tape_node *node,
                                          struct eg_error *err)
{
    (void)err;
    struct pool_work work = work_of(step, node);
    if (work.dx) eg__pool_run(step->pool, step->n, max_gradient_task, &work);
    return EG_OK;
}

/* ---- global max, and generalised mean: (mean max(x, floor)^p)^(1/p) (Radenovic et al. 2019) -- */

static void global_task(void *context, size_t image, unsigned thread)
{
    (void)thread;
    const struct pool_work *w = context;
    const struct eg_node *node = w->node->node;
    size_t c = w->in.c, pixels = w->in.h * w->in.w;
    const float *x = w->x + image * pixels * c;
    float *y = w->node->y + image * c;
    for (size_t k = 0; k < c; k++) y[k] = node->op == EG_OP_GLOBAL_MAX ? -INFINITY : 0;
    for (size_t p = 0; p < pixels; p++)
        for (size_t k = 0; k < c; k++) {
            float v = x[p * c + k];
            if (node->op == EG_OP_GLOBAL_MAX)
                y[k] = v > y[k] ? v : y[k];
            else
                y[k] += powf(v > node->beta ? v : node->beta, node->alpha);
        }
    for (size_t k = 0; node->op == EG_OP_GLOBAL_GEM && k < c; k++)
        y[k] = powf(y[k] / (float)pixels, 1 / node->alpha);
}

enum eg_status eg__tape_global_pool_forward(struct eg_tape_step *step, struct eg_tape_node *node,
                                            struct eg_error *err)
{
    (void)err;
    struct pool_work work = work_of(step, node);
    eg__pool_run(step->pool, step->n, global_task, &work);
    return EG_OK;
}

static void global_gradient_task(void *context, size_t image, unsigned thread)
{
    (void)thread;
    const struct pool_work *w = context;
    const struct eg_node *node = w->node->node;
    size_t c = w->in.c, pixels = w->in.h * w->in.w;
    const float *x = w->x + image * pixels * c, *y = w->node->y + image * c, *dy = w->node->dy + image * c;
    float *dx = w->dx + image * pixels * c;
    for (size_t k = 0; k < c; k++) {
        bool taken = false;
        for (size_t p = 0; p < pixels; p++) {
            float v = x[p * c + k], d = 0;
            if (node->op == EG_OP_GLOBAL_MAX) {
                if (!taken && v >= y[k]) d = dy[k], taken = true;
            } else if (v > node->beta && y[k] > 0) {
                d = dy[k] * powf(v / y[k], node->alpha - 1) / (float)pixels;
            }
            dx[p * c + k] = (w->add ? dx[p * c + k] : 0) + d;
        }
    }
}

enum eg_status eg__tape_global_pool_backward(struct eg_tape_step *step, struct eg_tape_node *node,
                                             struct eg_error *err)
{
    (void)err;
    struct pool_work work = work_of(step, node);
    if (work.dx) eg__pool_run(step->pool, step->n, global_gradient_task, &work);
    return EG_OK;
}
