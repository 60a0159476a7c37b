/* tape_array.c: what moves numbers of any rank while learning; its gradient is the same walk the other
 * way, added up where a number went to several places. */
#include <string.h>

#include "base/pool.h"
#include "net/tape_ops.h"

struct walk {
    size_t rank, dim[EG_RANK_MAX];
    size_t x_stride[EG_RANK_MAX], y_stride[EG_RANK_MAX];
    bool back;
};

static void walk_sides(const struct walk *w, size_t side, float *x, float *y)
{
    for (size_t i = 0; i < w->dim[side]; i++, x += w->x_stride[side], y += w->y_stride[side])
        if (side + 1 < w->rank)
            walk_sides(w, side + 1, x, y);
        else if (w->back)
            *x += *y;
        else
            *y = *x;
}

static void dense_strides(struct eg_shape shape, size_t stride[EG_RANK_MAX])
{
    for (size_t i = shape.rank, step = 1; i-- > 0; step *= shape.dim[i]) stride[i] = step;
}

struct array_work {
    struct eg_tape_step *step;
    struct eg_tape_node *node;
    bool back;
};

/* One input of one image. */
static void move_input(const struct array_work *w, uint32_t i, size_t at, float *x, float *y)
{
    const struct eg_node *node = w->node->node;
    const struct eg_shape in = eg__tape_input(w->step, w->node, i)->node->shape, out = node->shape;
    struct walk walk = {.rank = out.rank, .back = w->back};
    const size_t axis = out.rank - 1 - node->axis;
    memcpy(walk.dim, out.dim, sizeof walk.dim);
    dense_strides(out, walk.y_stride);
    dense_strides(in, walk.x_stride);
    switch (node->op) {
    case EG_OP_RESHAPE: walk = (struct walk){1, {eg__shape_count(in)}, {1}, {1}, w->back}; break;
    case EG_OP_TRANSPOSE: {
        size_t stride[EG_RANK_MAX];
        dense_strides(in, stride);
        for (size_t k = 0; k < out.rank; k++) walk.x_stride[k] = stride[node->order[k]];
        break;
    }
    case EG_OP_EXPAND: {
        size_t stride[EG_RANK_MAX], missing = out.rank - in.rank;
        dense_strides(in, stride);
        for (size_t k = 0; k < out.rank; k++)
            walk.x_stride[k] = k < missing || in.dim[k - missing] == 1 ? 0 : stride[k - missing];
        break;
    }
    case EG_OP_SLICE: x += node->begin * walk.x_stride[axis]; break;
    case EG_OP_CONCAT:
        y += at * walk.y_stride[axis];
        walk.dim[axis] = in.dim[axis];
        break;
    case EG_OP_GATHER:
        walk.dim[axis] = 1;
        for (size_t k = 0; k < out.dim[axis]; k++) {
            int32_t place;
            memcpy(&place,
                   (const char *)node->params[0]->data + (ptrdiff_t)k * node->params[0]->stride[0] * 4,
                   sizeof place);
            walk_sides(&walk, 0, x + (size_t)place * walk.x_stride[axis], y + k * walk.y_stride[axis]);
        }
        return;
    default: break;
    }
    walk_sides(&walk, 0, x, y);
}

static void array_task(void *context, size_t image, unsigned thread)
{
    (void)thread;
    const struct array_work *w = context;
    size_t at = 0;
    for (uint32_t i = 0; i < w->node->node->n_inputs; i++) {
        struct eg_tape_node *input = eg__tape_input(w->step, w->node, i);
        const size_t count = eg__shape_count(input->node->shape);
        float *x = w->back ? eg__tape_dx(w->step, w->node, i) : input->y;
        float *y = (w->back ? w->node->dy : w->node->y) + image * w->node->count;
        if (x && w->back && !w->node->add_dx[i]) memset(x + image * count, 0, count * sizeof *x);
        if (x) move_input(w, i, at, x + image * count, y);
        const size_t side = input->node->shape.rank - 1;
        if (side >= w->node->node->axis) at += input->node->shape.dim[side - w->node->node->axis];
    }
}

enum eg_status eg__tape_array_forward(struct eg_tape_step *step, struct eg_tape_node *node,
                                      struct eg_error *err)
{
    (void)err;
    struct array_work work = {step, node, false};
    eg__pool_run(step->pool, step->n, array_task, &work);
    return EG_OK;
}

enum eg_status eg__tape_array_backward(struct eg_tape_step *step, struct eg_tape_node *node,
                                       struct eg_error *err)
{
    (void)err;
    struct array_work work = {step, node, true};
    eg__pool_run(step->pool, step->n, array_task, &work);
    return EG_OK;
}
