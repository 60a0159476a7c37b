/* tape_pointwise.c: functions of one value, of two (with broadcasting), dropout, softmax. */
#include <math.h>
#include <string.h>

#include "base/fail.h"
#include "base/pool.h"
#include "base/rng.h"
#include "kernels/grad_kernels.h"
#include "net/plain.h"
#include "net/tape_ops.h"

/* Identity passes on what it gets. */
static enum eg_activation activation_of(const struct eg_node *node, float *a, float *b)
{
    enum eg_activation act;
    return eg__node_activation(node, &act, a, b) ? act : EG_ACT_NONE;
}

enum eg_status eg__tape_unary_forward(struct eg_tape_step *step, struct eg_tape_node *node,
                                      struct eg_error *err)
{
    (void)err;
    float a, b;
    enum eg_activation act = activation_of(node->node, &a, &b);
    eg__unary(act, a, b, eg__tape_input(step, node, 0)->y, node->y, step->n * node->count, step->pool);
    return EG_OK;
}

enum eg_status eg__tape_unary_backward(struct eg_tape_step *step, struct eg_tape_node *node,
                                       struct eg_error *err)
{
    (void)err;
    float *dx = eg__tape_dx(step, node, 0), a, b;
    enum eg_activation act = activation_of(node->node, &a, &b);
    if (dx && !(node->in_place && act == EG_ACT_NONE))
        eg__unary_gradient(act, a, b, eg__tape_input(step, node, 0)->y, node->y, node->dy, dx,
                           step->n * node->count, node->add_dx[0], step->pool);
    return EG_OK;
}

/* ---- two values ------------------------------------------------------------------------------ */

/* One side: strides are 0 where it is spread. */
struct side {
    const float *values;
    float *d;
    bool add;
    size_t image, stride[EG_RANK_MAX];
};

static struct side side_of_shape(struct eg_shape s, struct eg_shape whole, bool image)
{
    struct side side = {.image = image ? eg__shape_count(s) : 0};
    const size_t missing = whole.rank - s.rank;
    for (size_t i = whole.rank, step = 1; i-- > missing; step *= s.dim[i - missing])
        side.stride[i] = s.dim[i - missing] > 1 ? step : 0;
    return side;
}

/* Where row r of the whole (all but its last side) starts. */
static inline size_t row_at(const struct side *side, const struct eg_shape *whole, size_t r)
{
    size_t at = 0;
    for (size_t i = whole->rank - 1; i-- > 0; r /= whole->dim[i]) at += r % whole->dim[i] * side->stride[i];
    return at;
}

struct binary_work {
    const struct eg_node *node;
    struct side a, b;
    struct eg_shape shape;
    const float *dy;
    float *y;
    size_t count, rows, c;
};

static struct binary_work binary_of(struct eg_tape_step *step, struct eg_tape_node *node)
{
    struct binary_work w = {
        .node = node->node, .shape = node->node->shape, .dy = node->dy, .y = node->y, .count = node->count};
    struct side sides[2];
    w.c = w.shape.dim[w.shape.rank - 1];
    w.rows = w.count / w.c;
    for (uint32_t i = 0; i < 2; i++) {
        if (i < node->node->n_inputs) {
            struct eg_tape_node *input = eg__tape_input(step, node, i);
            sides[i] = side_of_shape(input->node->shape, w.shape, true);
            sides[i].values = input->y;
            sides[i].d = eg__tape_dx(step, node, i);
            sides[i].add = node->add_dx[i];
        } else {
            const struct eg_tensor *t = node->node->params[0];
            struct eg_shape s = {.rank = t->rank};
            memcpy(s.dim, t->dim, sizeof s.dim);
            sides[i] = side_of_shape(s, w.shape, false);
            sides[i].values = node->param[0];
            sides[i].d = node->grad[0];
        }
    }
    bool swapped = node->node->swapped;
    w.a = sides[swapped];
    w.b = sides[!swapped];
    return w;
}

static inline float apply(enum eg_op op, float a, float b)
{
    switch (op) {
    case EG_OP_ADD: return a + b;
    case EG_OP_SUB: return a - b;
    case EG_OP_MUL: return a * b;
    case EG_OP_DIV: return a / b;
    case EG_OP_MAX: return a > b ? a : b;
    case EG_OP_MIN: return a < b ? a : b;
    default: return a < b ? 1 : 0; /* LESS */
    }
}

static inline float slope(enum eg_op op, float a, float b, bool of_a)
{
    switch (op) {
    case EG_OP_ADD: return 1;
    case EG_OP_SUB: return of_a ? 1 : -1;
    case EG_OP_MUL: return of_a ? b : a;
    case EG_OP_DIV: return of_a ? 1 / b : -a / (b * b);
    case EG_OP_MAX: return a == b ? 0.5f : (a > b) == of_a ? 1 : 0; /* equals share, as torch */
    case EG_OP_MIN: return a == b ? 0.5f : (a < b) == of_a ? 1 : 0;
    default: return 0;
    }
}

static void binary_task(void *context, size_t image, unsigned thread)
{
    (void)thread;
    const struct binary_work *w = context;
    const enum eg_op op = w->node->op;
    const size_t last = w->shape.rank - 1, as = w->a.stride[last], bs = w->b.stride[last];
    float *y = w->y + image * w->count;
    for (size_t r = 0; r < w->rows; r++, y += w->c) {
        const float *a = w->a.values + image * w->a.image + row_at(&w->a, &w->shape, r);
        const float *b = w->b.values + image * w->b.image + row_at(&w->b, &w->shape, r);
        if (op == EG_OP_ADD && as && bs)
            for (size_t k = 0; k < w->c; k++) y[k] = a[k] + b[k];
        else if (op == EG_OP_MUL && as && bs)
            for (size_t k = 0; k < w->c; k++) y[k] = a[k] * b[k];
        else
            for (size_t k = 0; k < w->c; k++) y[k] = apply(op, a[k * as], b[k * bs]);
    }
}

enum eg_status eg__tape_binary_forward(struct eg_tape_step *step, struct eg_tape_node *node,
                                       struct eg_error *err)
{
    (void)err;
    struct binary_work work = binary_of(step, node);
    eg__pool_run(step->pool, step->n, binary_task, &work);
    return EG_OK;
}

/* The gradient of one side for one image, added up over what it is spread to. */
static void side_gradient(const struct binary_work *w, const struct side *side, size_t image, float *d)
{
    const bool of_a = side == &w->a;
    const enum eg_op op = w->node->op;
    const size_t last = w->shape.rank - 1, as = w->a.stride[last], bs = w->b.stride[last];
    const float *dy = w->dy + image * w->count;
    for (size_t r = 0; r < w->rows; r++, dy += w->c) {
        const float *a = w->a.values + image * w->a.image + row_at(&w->a, &w->shape, r);
        const float *b = w->b.values + image * w->b.image + row_at(&w->b, &w->shape, r);
        float *to = d + row_at(side, &w->shape, r);
        if (op == EG_OP_ADD && side->stride[last])
            for (size_t k = 0; k < w->c; k++) to[k] += dy[k];
        else
            for (size_t k = 0; k < w->c; k++)
                to[k * side->stride[last]] += dy[k] * slope(op, a[k * as], b[k * bs], of_a);
    }
}

static void binary_gradient_task(void *context, size_t image, unsigned thread)
{
    (void)thread;
    const struct binary_work *w = context;
    const struct side *sides[2] = {&w->a, &w->b};
    for (int s = 0; s < 2; s++) {
        if (!sides[s]->d || !sides[s]->image) continue;
        float *d = sides[s]->d + image * sides[s]->image;
        if (!sides[s]->add) memset(d, 0, sides[s]->image * sizeof *d);
        side_gradient(w, sides[s], image, d);
    }
}

enum eg_status eg__tape_binary_backward(struct eg_tape_step *step, struct eg_tape_node *node,
                                        struct eg_error *err)
{
    (void)err;
    struct binary_work work = binary_of(step, node);
    if (work.a.d == work.b.d && work.a.d) { /* x op x: the second adds to the first */
        work.b.add = true;
    }
    eg__pool_run(step->pool, step->n, binary_gradient_task, &work);
    if (node->grad[0]) { /* a learned constant: over all images, in order */
        const struct side *side = node->node->swapped ? &work.a : &work.b;
        memset(node->grad[0], 0, node->param_count[0] * sizeof(float));
        for (size_t image = 0; image < step->n; image++) side_gradient(&work, side, image, node->grad[0]);
    }
    return EG_OK;
}

/* ---- where: condition != 0 ? second : third, all of one shape or broadcast ---------------------- */

struct where_work {
    struct side sides[3];
    struct eg_shape shape;
    size_t rows, c, count;
};

static struct where_work where_of(struct eg_tape_step *step, struct eg_tape_node *node)
{
    struct where_work w = {.shape = node->node->shape, .count = node->count};
    w.c = w.shape.dim[w.shape.rank - 1];
    w.rows = w.count / w.c;
    for (uint32_t i = 0; i < 3; i++) {
        w.sides[i] = side_of_shape(eg__tape_input(step, node, i)->node->shape, w.shape, true);
        w.sides[i].values = eg__tape_input(step, node, i)->y;
        w.sides[i].d = i ? eg__tape_dx(step, node, i) : NULL;
        w.sides[i].add = node->add_dx[i];
    }
    return w;
}

/* Place of element k of row r of an image on that side. */
static inline size_t place_of(const struct where_work *w, const struct side *s, size_t image, size_t r,
                              size_t k)
{
    return image * s->image + row_at(s, &w->shape, r) + k * s->stride[w->shape.rank - 1];
}

enum eg_status eg__tape_where_forward(struct eg_tape_step *step, struct eg_tape_node *node,
                                      struct eg_error *err)
{
    (void)err;
    struct where_work w = where_of(step, node);
    for (size_t i = 0, at = 0; i < step->n; i++)
        for (size_t r = 0; r < w.rows; r++)
            for (size_t k = 0; k < w.c; k++, at++) {
                const struct side *s = &w.sides[0];
                s = &w.sides[s->values[place_of(&w, s, i, r, k)] != 0 ? 1 : 2];
                node->y[at] = s->values[place_of(&w, s, i, r, k)];
            }
    return EG_OK;
}

enum eg_status eg__tape_where_backward(struct eg_tape_step *step, struct eg_tape_node *node,
                                       struct eg_error *err)
{
    (void)err;
    struct where_work w = where_of(step, node);
    for (int s = 1; s < 3; s++)
        if (w.sides[s].d && !w.sides[s].add)
            memset(w.sides[s].d, 0, step->n * w.sides[s].image * sizeof(float));
    for (size_t i = 0, at = 0; i < step->n; i++)
        for (size_t r = 0; r < w.rows; r++)
            for (size_t k = 0; k < w.c; k++, at++) {
                const struct side *s = &w.sides[0];
                s = &w.sides[s->values[place_of(&w, s, i, r, k)] != 0 ? 1 : 2];
                if (s->d) s->d[place_of(&w, s, i, r, k)] += node->dy[at];
            }
    return EG_OK;
}

/* ---- dropout (Srivastava et al. 2014): saved is the factor of each value, 0 or 1/(1 - ratio) ------ */

size_t eg__tape_dropout_saved(const struct eg_tape_node *nodes, const struct eg_tape_node *node,
                              size_t max_batch)
{
    (void)nodes;
    return max_batch * node->count * sizeof(float);
}

struct dropout_work {
    const struct eg_tape_step *step;
    struct eg_tape_node *node;
    const float *x;
};

static void dropout_task(void *context, size_t image, unsigned thread)
{
    (void)thread;
    const struct dropout_work *w = context;
    struct eg_rng rng;
    eg__rng_init(&rng, w->step->seed ^ (uint64_t)w->step->index << 40,
                 w->step->step << 16 ^ (w->step->first + image));
    float ratio = w->node->node->alpha, keep = ratio < 1 ? 1 / (1 - ratio) : 0;
    const float *x = w->x + image * w->node->count;
    float *y = w->node->y + image * w->node->count,
          *factor = (float *)w->node->saved + image * w->node->count;
    for (size_t i = 0; i < w->node->count; i++) {
        factor[i] = eg__rng_uniform(&rng) < (double)ratio ? 0 : keep;
        y[i] = x[i] * factor[i];
    }
}

enum eg_status eg__tape_dropout_forward(struct eg_tape_step *step, struct eg_tape_node *node,
                                        struct eg_error *err)
{
    (void)err;
    const float *x = eg__tape_input(step, node, 0)->y;
    if (step->training) {
        struct dropout_work work = {step, node, x};
        eg__pool_run(step->pool, step->n, dropout_task, &work);
    } else {
        eg__unary(EG_ACT_NONE, 0, 0, x, node->y, step->n * node->count, step->pool);
    }
    return EG_OK;
}

enum eg_status eg__tape_dropout_backward(struct eg_tape_step *step, struct eg_tape_node *node,
                                         struct eg_error *err)
{
    (void)err;
    float *dx = eg__tape_dx(step, node, 0);
    const float *factor = node->saved;
    for (size_t i = 0; dx && i < step->n * node->count; i++)
        dx[i] = (node->add_dx[0] ? dx[i] : 0) + node->dy[i] * factor[i];
    return EG_OK;
}

/* ---- softmax over c ---------------------------------------------------------------------------------- */

enum eg_status eg__tape_softmax_forward(struct eg_tape_step *step, struct eg_tape_node *node,
                                        struct eg_error *err)
{
    (void)err;
    size_t c = eg__map(node->node->shape).c, rows = step->n * (node->count / c);
    for (size_t r = 0; r < rows; r++) {
        const float *x = eg__tape_input(step, node, 0)->y + r * c;
        float *y = node->y + r * c, largest = x[0], sum = 0;
        for (size_t k = 1; k < c; k++) largest = x[k] > largest ? x[k] : largest;
        for (size_t k = 0; k < c; k++) sum += y[k] = expf(x[k] - largest);
        for (size_t k = 0; k < c; k++) y[k] /= sum;
    }
    return EG_OK;
}

enum eg_status eg__tape_softmax_backward(struct eg_tape_step *step, struct eg_tape_node *node,
                                         struct eg_error *err)
{
    (void)err;
    size_t c = eg__map(node->node->shape).c, rows = step->n * (node->count / c);
    float *dx = eg__tape_dx(step, node, 0);
    for (size_t r = 0; dx && r < rows; r++) {
        const float *y = node->y + r * c, *dy = node->dy + r * c;
        float dot = 0;
        for (size_t k = 0; k < c; k++) dot += y[k] * dy[k];
        for (size_t k = 0; k < c; k++)
            dx[r * c + k] = (node->add_dx[0] ? dx[r * c + k] : 0) + y[k] * (dy[k] - dot);
    }
    return EG_OK;
}
