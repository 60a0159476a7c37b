/* step_move.c: what moves numbers between values of any rank, and element-wise work on two or three of
 * them that spread over each other. Everything is loops over strides; runs that lie as one are joined
 * first, and the innermost two sides go by memcpy or by a transposition in registers. */
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "base/pool.h"
#include "net/array.h"
#include "net/plain.h"

/* ---- copies ------------------------------------------------------------------------- */

struct copy {
    const struct eg_kernels *kernels;
    size_t rank, dim[EG_RANK_MAX];
    ptrdiff_t from_stride[EG_RANK_MAX], to_stride[EG_RANK_MAX];
    const float *from;
    float *to;
    size_t from_image, to_image, outer; /* outer: pieces of an image */
};

static void copy_sides(const struct copy *c, size_t side, const float *from, float *to)
{
    const size_t n = c->dim[side];
    const ptrdiff_t fs = c->from_stride[side], ts = c->to_stride[side];
    if (side + 1 == c->rank) {
        if (fs == 1 && ts == 1)
            memcpy(to, from, n * sizeof *to);
        else
            for (size_t i = 0; i < n; i++) to[(ptrdiff_t)i * ts] = from[(ptrdiff_t)i * fs];
        return;
    }
    const ptrdiff_t inner = c->from_stride[side + 1];
    if (side + 2 == c->rank && fs == 1 && c->to_stride[side + 1] == 1 && inner > 1 && ts > 0) {
        c->kernels->transpose(from, (size_t)inner, c->dim[side + 1], n, to, (size_t)ts);
        return;
    }
    for (size_t i = 0; i < n; i++) copy_sides(c, side + 1, from + (ptrdiff_t)i * fs, to + (ptrdiff_t)i * ts);
}

static void copy_task(void *context, size_t task, unsigned thread)
{
    (void)thread;
    const struct copy *c = context;
    const size_t image = task / c->outer, piece = task % c->outer;
    const float *from = c->from + image * c->from_image + (ptrdiff_t)piece * c->from_stride[0];
    float *to = c->to + image * c->to_image + (ptrdiff_t)piece * c->to_stride[0];
    if (c->outer == 1)
        copy_sides(c, 0, from, to);
    else
        copy_sides(c, 1, from, to);
}

/* From a to b, of the same sides. */
static void copy_array(const struct eg_run *run, const struct eg_array *a, const struct eg_array *b, size_t n)
{
    struct copy c = {.kernels = run->kernels,
                     .from = a->data,
                     .to = b->data,
                     .from_image = a->image,
                     .to_image = b->image,
                     .outer = 1};
    for (size_t i = 0; i < b->rank; i++) {
        if (b->dim[i] == 1) continue;
        const ptrdiff_t side = (ptrdiff_t)b->dim[i];
        size_t last = c.rank - 1;
        if (c.rank && c.from_stride[last] == a->stride[i] * side &&
            c.to_stride[last] == b->stride[i] * side) {
            c.dim[last] *= b->dim[i];
        } else {
            last = c.rank++;
            c.dim[last] = b->dim[i];
        }
        c.from_stride[last] = a->stride[i];
        c.to_stride[last] = b->stride[i];
    }
    if (!c.rank) {
        c.rank = 1;
        c.dim[0] = 1;
        c.from_stride[0] = c.to_stride[0] = 1;
    }
    const bool turns = c.rank == 2 && c.from_stride[0] == 1; /* wants both sides */
    if (c.rank > 1 && !turns) c.outer = c.dim[0];
    eg__pool_run(run->pool, n * c.outer, copy_task, &c);
}

/* `count` places of array from `begin` on along side `axis`. */
static struct eg_array part_of(struct eg_array a, size_t axis, size_t begin, size_t count)
{
    a.data += (ptrdiff_t)begin * a.stride[axis];
    a.dim[axis] = count;
    return a;
}

struct move_work {
    int32_t *places;
    size_t n_places;
    struct eg_shape constant; /* of step->weights */
};

static void run_move(struct eg_run *run, struct eg_run_step *step, size_t n)
{
    const struct move_work *work = step->work;
    const struct eg_node *node = &step->node;
    struct eg_array out = eg__run_array(run, step->output), in = {0};
    if (step->n_inputs) in = eg__run_array(run, step->inputs[0]);
    const size_t axis = out.rank - 1 - node->axis;
    switch (node->op) {
    case EG_OP_CONSTANT: in = eg__array_of_weights(step->weights, work->constant); break;
    case EG_OP_TRANSPOSE: {
        struct eg_array turned = in;
        for (size_t i = 0; i < in.rank; i++) {
            turned.dim[i] = in.dim[node->order[i]];
            turned.stride[i] = in.stride[node->order[i]];
        }
        in = turned;
        break;
    }
    case EG_OP_RESHAPE: { /* the output is dense: it is seen in the input's shape */
        struct eg_shape like = {.rank = in.rank};
        memcpy(like.dim, in.dim, sizeof like.dim);
        struct eg_array seen = eg__array_of_weights(out.data, like);
        seen.image = out.image;
        out = seen;
        break;
    }
    case EG_OP_EXPAND: {
        struct eg_shape like = {.rank = out.rank};
        memcpy(like.dim, out.dim, sizeof like.dim);
        eg__array_spread(&in, like);
        break;
    }
    case EG_OP_SLICE: in = part_of(in, axis, node->begin, out.dim[axis]); break;
    case EG_OP_GATHER:
        for (size_t i = 0; i < work->n_places; i++) {
            struct eg_array from = part_of(in, axis, (size_t)work->places[i], 1),
                            to = part_of(out, axis, i, 1);
            copy_array(run, &from, &to, n);
        }
        return;
    case EG_OP_CONCAT:
        for (size_t i = 0, at = 0; i < step->n_inputs; i++) {
            in = eg__run_array(run, step->inputs[i]);
            struct eg_array to = part_of(out, axis, at, in.dim[axis]);
            copy_array(run, &in, &to, n);
            at += in.dim[axis];
        }
        return;
    default: break;
    }
    copy_array(run, &in, &out, n);
}

enum eg_status eg__plan_move(struct eg_run *run, struct eg_run_step *step, const struct eg_node *node,
                             struct eg_error *err)
{
    const struct eg_tensor *param = node->params[0];
    const size_t places = node->op == EG_OP_GATHER ? param->dim[0] : 0;
    struct move_work *work = eg__zalloc(1, sizeof *work + places * sizeof(int32_t));
    if (!work) return eg__fail_memory(err, "a layer");
    step->work = work;
    step->run = run_move;
    step->info.algorithm = eg__op_info[node->op].text;
    work->n_places = places;
    work->places = (int32_t *)(void *)(work + 1);
    for (size_t i = 0; i < places; i++)
        memcpy(&work->places[i], (const char *)param->data + (ptrdiff_t)i * param->stride[0] * 4, 4);
    if (node->op != EG_OP_CONSTANT) return EG_OK;
    work->constant = node->shape;
    step->weights = eg__read_weights(run, param);
    return step->weights ? EG_OK : eg__fail_memory(err, "the weights");
}

/* ---- two or three values --------------------------------------------------------------- */

struct spread {
    struct eg_run *run;
    const struct eg_run_step *step;
    enum eg_binary op;
    struct eg_array in[3], out;
    size_t rows; /* of an image */
};

struct spread_work {
    bool constant;
    struct eg_shape shape; /* of the constant, step->weights */
};

static void spread_task(void *context, size_t task, unsigned thread)
{
    (void)thread;
    const struct spread *s = context;
    const struct eg_array *out = &s->out;
    const size_t last = out->rank - 1, n = out->dim[last];
    const bool where = s->step->node.op == EG_OP_WHERE;
    size_t row = task % s->rows, image = task / s->rows;
    float *to = out->data + image * out->image;
    const float *in[3];
    for (unsigned k = 0; k < (where ? 3u : 2u); k++) in[k] = s->in[k].data + image * s->in[k].image;
    for (size_t i = last; i-- > 0; row /= out->dim[i]) {
        const ptrdiff_t at = (ptrdiff_t)(row % out->dim[i]);
        to += at * out->stride[i];
        for (unsigned k = 0; k < (where ? 3u : 2u); k++) in[k] += at * s->in[k].stride[i];
    }
    const size_t a = (size_t)s->in[0].stride[last], b = (size_t)s->in[1].stride[last];
    if (where) {
        const size_t c = (size_t)s->in[2].stride[last];
        for (size_t i = 0; i < n; i++) to[i] = in[0][i * a] != 0 ? in[1][i * b] : in[2][i * c];
        return;
    }
    s->run->kernels->binary(s->op, in[0], a, in[1], b, to, n);
    if (s->step->act) s->run->kernels->activate(s->step->act, s->step->act_a, s->step->act_b, to, to, n);
}

static void run_spread(struct eg_run *run, struct eg_run_step *step, size_t n)
{
    const struct spread_work *work = step->work;
    struct spread s = {.run = run, .step = step, .out = eg__run_array(run, step->output), .rows = 1};
    struct eg_shape shape = {.rank = s.out.rank};
    memcpy(shape.dim, s.out.dim, sizeof shape.dim);
    const unsigned constant_at = step->node.swapped ? 0 : 1;
    for (unsigned i = 0, j = 0; i < step->n_inputs; i++, j++) {
        if (work->constant && j == constant_at) j++;
        s.in[j] = eg__run_array(run, step->inputs[i]);
        eg__array_spread(&s.in[j], shape);
    }
    if (work->constant) {
        s.in[constant_at] = eg__array_of_weights(step->weights, work->shape);
        eg__array_spread(&s.in[constant_at], shape);
    }
    if (step->node.op != EG_OP_WHERE) s.op = eg__binary_of(step->node.op);
    for (size_t i = 0; i + 1 < shape.rank; i++) s.rows *= shape.dim[i];
    eg__pool_run(run->pool, n * s.rows, spread_task, &s);
}

static struct eg_shape operand_shape(const struct eg_run *run, const struct eg_run_step *step,
                                     const struct eg_node *node, uint32_t i)
{
    if (i < step->n_inputs) return run->values[step->inputs[i]].shape;
    struct eg_shape shape = {.rank = node->params[0]->rank};
    memcpy(shape.dim, node->params[0]->dim, sizeof shape.dim);
    return shape;
}

bool eg__spreads_as_map(const struct eg_run *run, const struct eg_run_step *step, const struct eg_node *node)
{
    const struct eg_map out = eg__map(node->shape);
    const uint32_t n = node->op == EG_OP_WHERE ? 3 : 2;
    for (uint32_t i = 0; i < n; i++) {
        struct eg_shape shape = operand_shape(run, step, node, i);
        /* a side count of its own shifts nothing where only leading sides are missing */
        struct eg_shape full = {.rank = node->shape.rank};
        for (size_t k = 0; k < full.rank; k++)
            full.dim[k] = k < full.rank - shape.rank ? 1 : shape.dim[k - (full.rank - shape.rank)];
        const struct eg_map map = eg__map(full), own = eg__map(shape);
        const bool shifted = i < step->n_inputs && (map.h != own.h || map.w != own.w);
        if ((map.h != 1 && map.h != out.h) || (map.w != 1 && map.w != out.w) || shifted) return false;
    }
    return true;
}

enum eg_status eg__plan_spread(struct eg_run *run, struct eg_run_step *step, const struct eg_node *node,
                               struct eg_error *err)
{
    struct spread_work *work = eg__zalloc(1, sizeof *work);
    if (!work) return eg__fail_memory(err, "a layer");
    step->work = work;
    step->run = run_spread;
    step->info.algorithm = eg__op_info[node->op].text;
    if (!node->params[0]) return EG_OK;
    work->constant = true;
    work->shape = operand_shape(run, step, node, step->n_inputs);
    step->weights = eg__read_weights(run, node->params[0]);
    return step->weights ? EG_OK : eg__fail_memory(err, "the weights");
}
