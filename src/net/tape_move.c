/* tape_move.c: operators that only move values (concat, slice, shuffle, pad, flatten), and sums
 * along c. Each moves runs of floats; the gradient moves them back. */
#include <math.h>
#include <string.h>

#include "base/pool.h"
#include "net/tape_ops.h"

struct move_work {
    struct eg_tape_step *step;
    struct eg_tape_node *node;
    bool back;
};

static void move_run(float *x, float *y, size_t n, bool back, bool add)
{
    if (!back)
        memcpy(y, x, n * sizeof *y);
    else if (!add)
        memcpy(x, y, n * sizeof *x);
    else
        for (size_t k = 0; k < n; k++) x[k] += y[k];
}

/* Between an input (x) and the output (y) of one image, forward or back. */
static void move(const struct eg_tape_node *node, struct eg_map in, size_t first_channel, float *x, float *y,
                 bool back, bool add)
{
    const struct eg_node *n = node->node;
    struct eg_map out = eg__map(n->shape);
    size_t pixels = in.h * in.w;
    switch (n->op) {
    case EG_OP_CONCAT:
        for (size_t p = 0; p < pixels; p++)
            move_run(x + p * in.c, y + p * out.c + first_channel, in.c, back, add);
        break;
    case EG_OP_SLICE:
        if (back && !add) memset(x, 0, pixels * in.c * sizeof *x);
        for (size_t p = 0; p < pixels; p++)
            move_run(x + p * in.c + n->begin, y + p * out.c, out.c, back, back);
        break;
    case EG_OP_CHANNEL_SHUFFLE: { /* [groups][c/groups] to [c/groups][groups] */
        size_t group = in.c / n->groups;
        for (size_t p = 0; p < pixels; p++)
            for (size_t g = 0; g < n->groups; g++)
                for (size_t k = 0; k < group; k++)
                    move_run(x + p * in.c + g * group + k, y + p * in.c + k * n->groups + g, 1, back, add);
        break;
    }
    case EG_OP_PAD:
        if (!back)
            for (size_t k = 0; k < node->count; k++) y[k] = n->alpha;
        for (size_t r = 0; r < in.h; r++)
            move_run(x + r * in.w * in.c, y + ((r + n->window.pad_top) * out.w + n->window.pad_left) * out.c,
                     in.w * in.c, back, add);
        break;
    default: /* FLATTEN */
        if (!n->order_chw || pixels == 1) {
            move_run(x, y, pixels * in.c, back, add);
            break;
        }
        for (size_t p = 0; p < pixels; p++)
            for (size_t k = 0; k < in.c; k++) move_run(x + p * in.c + k, y + k * pixels + p, 1, back, add);
    }
}

static void move_task(void *context, size_t image, unsigned thread)
{
    (void)thread;
    const struct move_work *w = context;
    size_t first_channel = 0;
    for (uint32_t i = 0; i < w->node->node->n_inputs; i++) {
        struct eg_tape_node *input = eg__tape_input(w->step, w->node, i);
        struct eg_map in = eg__map(input->node->shape);
        float *x = w->back ? eg__tape_dx(w->step, w->node, i) : input->y;
        float *y = (w->back ? w->node->dy : w->node->y) + image * w->node->count;
        if (x)
            move(w->node, in, first_channel, x + image * eg__map_count(in), y, w->back, w->node->add_dx[i]);
        first_channel += in.c;
    }
}

enum eg_status eg__tape_move_forward(struct eg_tape_step *step, struct eg_tape_node *node,
                                     struct eg_error *err)
{
    if (node->node->axis) return eg__tape_array_forward(step, node, err);
    struct move_work work = {step, node, false};
    eg__pool_run(step->pool, step->n, move_task, &work);
    return EG_OK;
}

enum eg_status eg__tape_move_backward(struct eg_tape_step *step, struct eg_tape_node *node,
                                      struct eg_error *err)
{
    if (node->node->axis) return eg__tape_array_backward(step, node, err);
    struct move_work work = {step, node, true};
    eg__pool_run(step->pool, step->n, move_task, &work);
    return EG_OK;
}

/* ---- sums along c -------------------------------------------------------------------------- */

enum eg_status eg__tape_reduce_forward(struct eg_tape_step *step, struct eg_tape_node *node,
                                       struct eg_error *err)
{
    (void)err;
    const struct eg_tape_node *input = eg__tape_input(step, node, 0);
    size_t c = eg__map(input->node->shape).c, rows = step->n * node->count;
    for (size_t r = 0; r < rows; r++) {
        const float *x = input->y + r * c;
        float result = node->node->op == EG_OP_REDUCE_MAX ? -INFINITY : 0;
        for (size_t k = 0; k < c; k++)
            if (node->node->op == EG_OP_REDUCE_MAX)
                result = x[k] > result ? x[k] : result;
            else
                result += x[k];
        node->y[r] = node->node->op == EG_OP_REDUCE_MEAN ? result / (float)c : result;
    }
    return EG_OK;
}

enum eg_status eg__tape_reduce_backward(struct eg_tape_step *step, struct eg_tape_node *node,
                                        struct eg_error *err)
{
    (void)err;
    const struct eg_tape_node *input = eg__tape_input(step, node, 0);
    size_t c = eg__map(input->node->shape).c, rows = step->n * node->count;
    float *dx = eg__tape_dx(step, node, 0);
    for (size_t r = 0; dx && r < rows; r++) {
        size_t top = 0;
        for (size_t k = 1; k < c; k++)
            if (input->y[r * c + k] > input->y[r * c + top]) top = k;
        for (size_t k = 0; k < c; k++) {
            float d = node->node->op == EG_OP_REDUCE_MAX    ? k == top ? node->dy[r] : 0
                      : node->node->op == EG_OP_REDUCE_MEAN ? node->dy[r] / (float)c
                                                            : node->dy[r];
            dx[r * c + k] = (node->add_dx[0] ? dx[r * c + k] : 0) + d;
        }
    }
    return EG_OK;
}
