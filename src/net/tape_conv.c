/* tape_conv.c: convolution and its gradients. Four ways, chosen by the layer's shape alone:
 *   depthwise       direct
 *   1x1, stride 1   the images are the matrix: GEMM
 *   3x3, stride 1   Winograd F(4x4,3x3) where the channels are whole vectors; forward is
 *                   M = V U', so backward is dV = dM U and dU = dM' V at each of 36 positions,
 *                   between the adjoints of the transforms
 *   the rest        columns (im2col), by group
 * Large batches go in parts of whole images so that scratch stays bounded. Sums over images
 * are added part by part, in order. */
#include <string.h>

#include "base/fail.h"
#include "base/pool.h"
#include "kernels/grad_kernels.h"
#include "kernels/kernels.h"
#include "net/tape_ops.h"

enum { POSITIONS = 36, SCRATCH_FLOATS = 6 << 20 };

enum way { DEPTHWISE, POINTWISE, WINOGRAD, COLUMNS };

static struct eg_conv_geometry geometry_of(const struct eg_tape_node *nodes, const struct eg_tape_node *node)
{
    struct eg_map in = eg__map(nodes[node->node->inputs[0]].node->shape), out = eg__map(node->node->shape);
    const struct eg_window *w = &node->node->window;
    return (struct eg_conv_geometry){in.h,          in.w,          in.c,        out.h,       out.w,
                                     out.c,         w->kernel_h,   w->kernel_w, w->stride_h, w->stride_w,
                                     w->dilation_h, w->dilation_w, w->pad_top,  w->pad_left};
}

static enum way way_of(const struct eg_conv_geometry *g, const struct eg_node *node)
{
    if (node->groups > 1 && node->groups == g->in_c && g->in_c == g->out_c) return DEPTHWISE;
    if (node->groups > 1 || g->stride_h != 1 || g->stride_w != 1) return COLUMNS;
    if (g->kernel_h == 1 && g->kernel_w == 1 && g->out_h == g->in_h && g->out_w == g->in_w && !g->pad_top &&
        !g->pad_left)
        return POINTWISE;
    if (g->kernel_h == 3 && g->kernel_w == 3 && g->dilation_h == 1 && g->dilation_w == 1 &&
        g->in_c % 16 == 0 && g->out_c % 16 == 0 && g->out_h >= 3 && g->out_w >= 3)
        return WINOGRAD;
    return COLUMNS;
}

struct conv {
    struct eg_conv_geometry g;
    enum way way;
    size_t groups, group_in, group_out, taps; /* taps: kernel_h kernel_w */
    size_t image_in, image_out, pixels;
    size_t part;             /* images at a time */
    size_t per_image, fixed; /* floats of scratch */
};

static struct conv conv_of(const struct eg_tape_node *nodes, const struct eg_tape_node *node, size_t n)
{
    struct conv c = {.g = geometry_of(nodes, node)};
    const struct eg_conv_geometry *g = &c.g;
    c.way = way_of(g, node->node);
    c.groups = node->node->groups ? node->node->groups : 1;
    c.group_in = g->in_c / c.groups;
    c.group_out = g->out_c / c.groups;
    c.taps = g->kernel_h * g->kernel_w;
    c.image_in = g->in_h * g->in_w * g->in_c;
    c.image_out = node->count;
    c.pixels = g->out_h * g->out_w;
    switch (c.way) {
    case DEPTHWISE:
        c.fixed = 2 * c.taps * g->in_c;
        c.per_image = c.taps * g->in_c;
        break;
    case POINTWISE: break;
    case WINOGRAD:
        c.fixed = 2 * POSITIONS * g->in_c * g->out_c;
        c.per_image = POSITIONS * eg__winograd_tiles(g) * (g->in_c + g->out_c);
        break;
    case COLUMNS: c.per_image = 2 * c.pixels * c.taps * c.group_in; break;
    }
    c.part = n;
    if (c.way != DEPTHWISE && c.per_image * n > SCRATCH_FLOATS) {
        c.part = SCRATCH_FLOATS / c.per_image;
        if (!c.part) c.part = 1;
    }
    return c;
}

size_t eg__tape_conv_scratch(const struct eg_tape_node *nodes, const struct eg_tape_node *node,
                             size_t max_batch)
{
    struct conv c = conv_of(nodes, node, max_batch);
    return c.fixed + c.part * c.per_image;
}

/* [c][taps] (the file's order of a depthwise weight) to [taps][c] and back. */
static void turn(const float *from, size_t rows, size_t columns, float *to)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t k = 0; k < columns; k++) to[k * rows + r] = from[r * columns + k];
}

/* ---- Winograd: one product a position ---------------------------------------------------- */

struct position_work {
    const struct conv *c;
    size_t rows; /* tiles */
    float *u, *v, *m, *du;
    bool first, need_dv;
    enum eg_status *status;
};

static void forward_position(void *context, size_t p, unsigned thread)
{
    (void)thread;
    const struct position_work *w = context;
    size_t in = w->c->g.in_c, out = w->c->g.out_c;
    w->status[p] = eg__gemm_nt(w->rows, out, in, w->v + p * w->rows * in, in, w->u + p * out * in, in,
                               w->m + p * w->rows * out, out, false, NULL, NULL);
}

static void backward_position(void *context, size_t p, unsigned thread)
{
    (void)thread;
    const struct position_work *w = context;
    size_t in = w->c->g.in_c, out = w->c->g.out_c;
    float *v = w->v + p * w->rows * in, *m = w->m + p * w->rows * out;
    w->status[p] = EG_OK;
    if (w->du)
        w->status[p] =
            eg__gemm_tn(out, in, w->rows, m, out, v, in, w->du + p * out * in, in, !w->first, NULL, NULL);
    if (!w->status[p] && w->need_dv) /* v has been used */
        w->status[p] =
            eg__gemm_nn(w->rows, in, out, m, out, w->u + p * out * in, in, v, in, false, NULL, NULL);
}

static enum eg_status run_positions(const struct position_work *work, eg_task_fn *task, eg_pool *pool,
                                    struct eg_error *err)
{
    enum eg_status status[POSITIONS];
    struct position_work w = *work;
    w.status = status;
    eg__pool_run(pool, POSITIONS, task, &w);
    for (int p = 0; p < POSITIONS; p++)
        if (status[p]) return eg__fail_memory(err, "a matrix product");
    return EG_OK;
}

static enum eg_status winograd_forward(struct eg_tape_step *step, struct eg_tape_node *node,
                                       const struct conv *c, const float *x, struct eg_error *err)
{
    const struct eg_conv_geometry *g = &c->g;
    float *u = step->scratch, *v = u + c->fixed,
          *m = v + c->part * POSITIONS * eg__winograd_tiles(g) * g->in_c;
    eg__winograd_weight(g, node->param[0], u, step->pool);
    enum eg_status status = EG_OK;
    for (size_t i = 0; !status && i < step->n; i += c->part) {
        size_t n = step->n - i < c->part ? step->n - i : c->part;
        eg__winograd_input(g, x + i * c->image_in, n, v, step->pool);
        struct position_work work = {.c = c, .rows = n * eg__winograd_tiles(g), .u = u, .v = v, .m = m};
        status = run_positions(&work, forward_position, step->pool, err);
        if (!status) eg__winograd_output(g, m, node->param[1], n, node->y + i * c->image_out, step->pool);
    }
    return status;
}

static enum eg_status winograd_backward(struct eg_tape_step *step, struct eg_tape_node *node,
                                        const struct conv *c, const float *x, float *dx, struct eg_error *err)
{
    const struct eg_conv_geometry *g = &c->g;
    float *u = step->scratch, *du = u + c->fixed / 2, *v = u + c->fixed;
    float *m = v + c->part * POSITIONS * eg__winograd_tiles(g) * g->in_c;
    if (dx) eg__winograd_weight(g, node->param[0], u, step->pool);
    enum eg_status status = EG_OK;
    for (size_t i = 0; !status && i < step->n; i += c->part) {
        size_t n = step->n - i < c->part ? step->n - i : c->part;
        if (node->grad[0]) eg__winograd_input(g, x + i * c->image_in, n, v, step->pool);
        eg__winograd_output_gradient(g, node->dy + i * c->image_out, n, m, step->pool);
        struct position_work work = {.c = c,
                                     .rows = n * eg__winograd_tiles(g),
                                     .u = u,
                                     .v = v,
                                     .m = m,
                                     .du = node->grad[0] ? du : NULL,
                                     .first = i == 0,
                                     .need_dv = dx != NULL};
        status = run_positions(&work, backward_position, step->pool, err);
        if (!status && dx)
            eg__winograd_input_gradient(g, v, n, dx + i * c->image_in, node->add_dx[0], step->pool);
    }
    if (!status && node->grad[0]) eg__winograd_weight_gradient(g, du, node->grad[0], step->pool);
    return status;
}

/* ---- columns -------------------------------------------------------------------------------- */

static enum eg_status columns_forward(struct eg_tape_step *step, struct eg_tape_node *node,
                                      const struct conv *c, const float *x, struct eg_error *err)
{
    size_t depth = c->taps * c->group_in, out = c->g.out_c;
    enum eg_status status = EG_OK;
    for (size_t i = 0; !status && i < step->n; i += c->part) {
        size_t n = step->n - i < c->part ? step->n - i : c->part;
        for (size_t k = 0; !status && k < c->groups; k++) {
            eg__image_to_columns(&c->g, k * c->group_in, c->group_in, x + i * c->image_in, n, step->scratch,
                                 step->pool);
            status = eg__gemm_nt(n * c->pixels, c->group_out, depth, step->scratch, depth,
                                 node->param[0] + k * c->group_out * depth, depth,
                                 node->y + i * c->image_out + k * c->group_out, out, false, step->pool, err);
        }
    }
    return status;
}

static enum eg_status columns_backward(struct eg_tape_step *step, struct eg_tape_node *node,
                                       const struct conv *c, const float *x, float *dx, struct eg_error *err)
{
    size_t depth = c->taps * c->group_in, out = c->g.out_c;
    float *columns = step->scratch, *d_columns = columns + c->part * c->pixels * depth;
    enum eg_status status = EG_OK;
    for (size_t i = 0; !status && i < step->n; i += c->part) {
        size_t n = step->n - i < c->part ? step->n - i : c->part;
        for (size_t k = 0; !status && k < c->groups; k++) {
            const float *dy = node->dy + i * c->image_out + k * c->group_out;
            size_t weights = k * c->group_out * depth;
            if (node->grad[0]) {
                eg__image_to_columns(&c->g, k * c->group_in, c->group_in, x + i * c->image_in, n, columns,
                                     step->pool);
                status = eg__gemm_tn(c->group_out, depth, n * c->pixels, dy, out, columns, depth,
                                     node->grad[0] + weights, depth, i > 0, step->pool, err);
            }
            if (status || !dx) continue;
            status = eg__gemm_nn(n * c->pixels, depth, c->group_out, dy, out, node->param[0] + weights, depth,
                                 d_columns, depth, false, step->pool, err);
            if (!status)
                eg__columns_to_image(&c->g, k * c->group_in, c->group_in, d_columns, n, dx + i * c->image_in,
                                     node->add_dx[0], step->pool);
        }
    }
    return status;
}

/* ---- the two passes ---------------------------------------------------------------------------- */

enum eg_status eg__tape_conv_forward(struct eg_tape_step *step, struct eg_tape_node *node,
                                     struct eg_error *err)
{
    struct conv c = conv_of(step->nodes, node, step->n);
    const float *x = eg__tape_input(step, node, 0)->y;
    size_t rows = step->n * c.pixels;
    enum eg_status status = EG_OK;
    switch (c.way) {
    case DEPTHWISE:
        turn(node->param[0], c.g.in_c, c.taps, step->scratch);
        eg__depthwise(&c.g, x, step->scratch, node->param[1], node->y, step->n, step->pool);
        return EG_OK;
    case WINOGRAD: return winograd_forward(step, node, &c, x, err);
    case POINTWISE:
        status = eg__gemm_nt(rows, c.g.out_c, c.g.in_c, x, c.g.in_c, node->param[0], c.g.in_c, node->y,
                             c.g.out_c, false, step->pool, err);
        break;
    case COLUMNS: status = columns_forward(step, node, &c, x, err); break;
    }
    if (!status && node->param[1]) eg__add_row(node->y, node->param[1], rows, c.g.out_c, step->pool);
    return status;
}

enum eg_status eg__tape_conv_backward(struct eg_tape_step *step, struct eg_tape_node *node,
                                      struct eg_error *err)
{
    struct conv c = conv_of(step->nodes, node, step->n);
    const float *x = eg__tape_input(step, node, 0)->y;
    float *dx = eg__tape_dx(step, node, 0);
    size_t rows = step->n * c.pixels, in = c.g.in_c, out = c.g.out_c;
    if (node->grad[1]) eg__column_sums(node->dy, rows, out, node->grad[1], step->pool);
    switch (c.way) {
    case DEPTHWISE: {
        float *turned = step->scratch, *gradient = turned + c.taps * in, *partial = step->scratch + c.fixed;
        if (node->grad[0]) {
            eg__depthwise_weight_gradient(&c.g, x, node->dy, partial, gradient, step->n, step->pool);
            turn(gradient, c.taps, in, node->grad[0]);
        }
        if (dx) {
            turn(node->param[0], in, c.taps, turned);
            eg__depthwise_input_gradient(&c.g, node->dy, turned, dx, step->n, node->add_dx[0], step->pool);
        }
        return EG_OK;
    }
    case WINOGRAD: return winograd_backward(step, node, &c, x, dx, err);
    case POINTWISE: {
        enum eg_status status = EG_OK;
        if (node->grad[0])
            status =
                eg__gemm_tn(out, in, rows, node->dy, out, x, in, node->grad[0], in, false, step->pool, err);
        if (!status && dx)
            status = eg__gemm_nn(rows, in, out, node->dy, out, node->param[0], in, dx, in, node->add_dx[0],
                                 step->pool, err);
        return status;
    }
    case COLUMNS: return columns_backward(step, node, &c, x, dx, err);
    }
    return EG_OK;
}
