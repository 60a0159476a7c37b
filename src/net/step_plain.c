/* step_plain.c: element-wise operators, batch-norm on its own, pooling, and what moves values
 * without changing them. Each has a line function that makes one row of pixels of the output;
 * lines are shared out among the threads. */
#include "net/plain.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/half.h"
#include "base/mem.h"
#include "base/pool.h"
#include "net/array.h"

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

static const float *pixel_at(const struct eg_view *v, size_t image, size_t y, size_t x)
{
    return v->data + ((image * v->h + y) * v->w + x) * v->ld;
}

static float *out_pixel(const struct eg_plain_pass *p, size_t image, size_t y, size_t x)
{
    return p->out.data + ((image * p->out.h + y) * p->out.w + x) * p->out.ld;
}

/* ---- element-wise -------------------------------------------------------------------- */

static void line_activation(const struct eg_plain_pass *p, size_t image, size_t y, float *scratch)
{
    (void)scratch;
    const struct eg_run_step *s = p->step;
    const size_t c = p->out.c;
    if (p->in[0].ld == c && p->out.ld == c) {
        p->run->kernels->activate(s->act, s->act_a, s->act_b, pixel_at(&p->in[0], image, y, 0),
                                  out_pixel(p, image, y, 0), p->out.w * c);
        return;
    }
    for (size_t x = 0; x < p->out.w; x++)
        p->run->kernels->activate(s->act, s->act_a, s->act_b, pixel_at(&p->in[0], image, y, x),
                                  out_pixel(p, image, y, x), c);
}

static void line_scale_shift(const struct eg_plain_pass *p, size_t image, size_t y, float *scratch)
{
    (void)scratch;
    const struct eg_run_step *s = p->step;
    for (size_t x = 0; x < p->out.w; x++)
        p->run->kernels->scale_shift(pixel_at(&p->in[0], image, y, x), s->scale, s->shift, s->act, s->act_a,
                                     s->act_b, out_pixel(p, image, y, x), p->out.c);
}

/* Pixel (y, x) of an operand that may be spread along any side; *step is 0 along channels then. */
static const float *spread_pixel(const struct eg_view *v, size_t image, size_t y, size_t x, size_t *step)
{
    *step = v->c > 1;
    if (!v->ld) return v->data + ((v->h > 1 ? y * v->w : 0) + (v->w > 1 ? x : 0)) * v->c; /* constant */
    return pixel_at(v, image, v->h > 1 ? y : 0, v->w > 1 ? x : 0);
}

enum eg_binary eg__binary_of(enum eg_op op)
{
    switch (op) {
    case EG_OP_SUB: return EG_BIN_SUB;
    case EG_OP_MUL: return EG_BIN_MUL;
    case EG_OP_DIV: return EG_BIN_DIV;
    case EG_OP_MAX: return EG_BIN_MAX;
    case EG_OP_MIN: return EG_BIN_MIN;
    case EG_OP_LESS: return EG_BIN_LESS;
    case EG_OP_EQUAL: return EG_BIN_EQUAL;
    default: return EG_BIN_ADD;
    }
}

static void line_binary(const struct eg_plain_pass *p, size_t image, size_t y, float *scratch)
{
    (void)scratch;
    const struct eg_run_step *s = p->step;
    const struct eg_view *a = &p->in[0], *b = &p->in[1];
    const size_t c = p->out.c;
    const bool dense = a->c == c && b->c == c && a->ld == c && b->ld == c && p->out.ld == c &&
                       a->w == p->out.w && b->w == p->out.w; /* a view may have fewer channels than its ld */
    const size_t pixels = dense ? 1 : p->out.w, length = dense ? p->out.w * c : c;
    for (size_t x = 0; x < pixels; x++) {
        size_t step_a, step_b;
        const float *left = spread_pixel(a, image, y, x, &step_a),
                    *right = spread_pixel(b, image, y, x, &step_b);
        float *to = out_pixel(p, image, y, x);
        if (dense) step_a = step_b = 1;
        p->run->kernels->binary(eg__binary_of(s->node.op), left, step_a, right, step_b, to, length);
        if (s->act) p->run->kernels->activate(s->act, s->act_a, s->act_b, to, to, length);
    }
}

static void line_where(const struct eg_plain_pass *p, size_t image, size_t y, float *scratch)
{
    (void)scratch;
    for (size_t x = 0; x < p->out.w; x++) {
        size_t step[3];
        const float *v[3];
        for (unsigned i = 0; i < 3; i++) v[i] = spread_pixel(&p->in[i], image, y, x, &step[i]);
        float *to = out_pixel(p, image, y, x);
        for (size_t c = 0; c < p->out.c; c++)
            to[c] = v[0][c * step[0]] != 0 ? v[1][c * step[1]] : v[2][c * step[2]];
    }
}

/* x as a number of that type: whole ones are cut short, halves rounded to even. */
static float cast_number(enum eg_dtype dtype, float x)
{
    static const struct {
        float low, high;
    } range[] = {[EG_I64] = {-0x1p63f, 0x1p63f},
                 [EG_I32] = {-0x1p31f, 0x1p31f},
                 [EG_I16] = {-32768, 32767},
                 [EG_I8] = {-128, 127},
                 [EG_U8] = {0, 255}};
    switch (dtype) {
    case EG_F32:
    case EG_F64: return x;
    case EG_F16: return eg__f16_to_f32(eg__f32_to_f16(x));
    case EG_BF16: return eg__bf16_to_f32(eg__f32_to_bf16(x));
    case EG_BOOL: return x != 0;
    default: break;
    }
    if (isnan(x)) return 0;
    return truncf(fmaxf(range[dtype].low, fminf(range[dtype].high, x)));
}

static void line_cast(const struct eg_plain_pass *p, size_t image, size_t y, float *scratch)
{
    (void)scratch;
    for (size_t x = 0; x < p->out.w; x++) {
        const float *from = pixel_at(&p->in[0], image, y, x);
        float *to = out_pixel(p, image, y, x);
        for (size_t c = 0; c < p->out.c; c++) to[c] = cast_number((enum eg_dtype)p->step->node.size, from[c]);
    }
}

/* ---- pooling ---------------------------------------------------------------------------- */

/* Mean (divided by `area`) or maximum of the pixels of rows [y0, y1), columns [x0, x1). */
static void pool_pixels(const struct eg_plain_pass *p, size_t image, size_t y0, size_t y1, size_t x0,
                        size_t x1, bool max, size_t area, float *to, float *scratch)
{
    const float **pixels = (const float **)(void *)scratch;
    size_t count = 0;
    for (size_t y = y0; y < y1; y++)
        for (size_t x = x0; x < x1; x++) pixels[count++] = pixel_at(&p->in[0], image, y, x);
    if (!max)
        p->run->kernels->mean_pixels(pixels, count, area ? 1.0f / (float)area : 0, to, p->out.c);
    else if (count)
        p->run->kernels->max_pixels(pixels, count, to, p->out.c);
    else
        for (size_t c = 0; c < p->out.c; c++) to[c] = -INFINITY; /* a window of padding alone */
}

static void line_window_pool(const struct eg_plain_pass *p, size_t image, size_t y, float *scratch)
{
    const struct eg_node *node = &p->step->node;
    const struct eg_window *w = &node->window;
    const struct eg_view *in = &p->in[0];
    const bool max = node->op == EG_OP_MAX_POOL;
    const float **pixels = (const float **)(void *)scratch;
    for (size_t x = 0; x < p->out.w; x++) {
        size_t count = 0, area = 0;
        for (size_t ky = 0; ky < w->kernel_h; ky++)
            for (size_t kx = 0; kx < w->kernel_w; kx++) {
                size_t iy = y * w->stride_h + ky * w->dilation_h, ix = x * w->stride_w + kx * w->dilation_w;
                if (iy < in->h + w->pad_top + w->pad_bottom && ix < in->w + w->pad_left + w->pad_right)
                    area++;
                iy -= w->pad_top; /* wrap when negative */
                ix -= w->pad_left;
                if (iy < in->h && ix < in->w) pixels[count++] = pixel_at(in, image, iy, ix);
            }
        float *to = out_pixel(p, image, y, x);
        if (!node->count_include_pad) area = count;
        if (!max)
            p->run->kernels->mean_pixels(pixels, count, area ? 1.0f / (float)area : 0, to, p->out.c);
        else if (count)
            p->run->kernels->max_pixels(pixels, count, to, p->out.c);
        else
            for (size_t c = 0; c < p->out.c; c++) to[c] = -INFINITY;
    }
}

static void line_adaptive_pool(const struct eg_plain_pass *p, size_t image, size_t y, float *scratch)
{
    const struct eg_view *in = &p->in[0];
    const size_t y0 = y * in->h / p->out.h, y1 = ((y + 1) * in->h + p->out.h - 1) / p->out.h;
    for (size_t x = 0; x < p->out.w; x++) {
        size_t x0 = x * in->w / p->out.w, x1 = ((x + 1) * in->w + p->out.w - 1) / p->out.w;
        pool_pixels(p, image, y0, y1, x0, x1, false, (y1 - y0) * (x1 - x0), out_pixel(p, image, y, x),
                    scratch);
    }
}

static void line_global_pool(const struct eg_plain_pass *p, size_t image, size_t y, float *scratch)
{
    const struct eg_view *in = &p->in[0];
    pool_pixels(p, image, 0, in->h, 0, in->w, p->step->node.op == EG_OP_GLOBAL_MAX, in->h * in->w,
                out_pixel(p, image, y, 0), scratch);
}

/* Generalised mean (Radenovic, Tolias and Chum 2019). */
static void line_gem(const struct eg_plain_pass *p, size_t image, size_t y, float *scratch)
{
    (void)scratch;
    const struct eg_view *in = &p->in[0];
    const double power = (double)p->step->node.alpha;
    const float least = p->step->node.beta;
    float *to = out_pixel(p, image, y, 0);
    for (size_t c = 0; c < p->out.c; c++) {
        double sum = 0;
        for (size_t i = 0; i < in->h * in->w; i++) {
            float v = pixel_at(in, image, 0, i)[c];
            sum += pow((double)(v > least ? v : least), power);
        }
        to[c] = (float)pow(sum / (double)(in->h * in->w), 1 / power);
    }
}

/* ---- moving ----------------------------------------------------------------------------- */

static void line_copy(const struct eg_plain_pass *p, size_t image, size_t y, float *scratch)
{
    (void)scratch;
    for (size_t x = 0; x < p->out.w; x++)
        memcpy(out_pixel(p, image, y, x), pixel_at(&p->in[0], image, y, x), p->out.c * sizeof(float));
}

static void line_shuffle(const struct eg_plain_pass *p, size_t image, size_t y, float *scratch)
{
    (void)scratch;
    const size_t groups = p->step->node.groups, each = p->out.c / groups;
    for (size_t x = 0; x < p->out.w; x++) {
        const float *from = pixel_at(&p->in[0], image, y, x);
        float *to = out_pixel(p, image, y, x);
        for (size_t i = 0; i < each; i++)
            for (size_t g = 0; g < groups; g++) *to++ = from[g * each + i];
    }
}

static void line_pad(const struct eg_plain_pass *p, size_t image, size_t y, float *scratch)
{
    (void)scratch;
    const struct eg_window *w = &p->step->node.window;
    const struct eg_view *in = &p->in[0];
    for (size_t x = 0; x < p->out.w; x++) {
        size_t iy = y - w->pad_top, ix = x - w->pad_left; /* wrap when negative */
        float *to = out_pixel(p, image, y, x);
        if (iy < in->h && ix < in->w)
            memcpy(to, pixel_at(in, image, iy, ix), p->out.c * sizeof *to);
        else
            for (size_t c = 0; c < p->out.c; c++) to[c] = p->step->node.alpha;
    }
}

static void line_flatten(const struct eg_plain_pass *p, size_t image, size_t y, float *scratch)
{
    (void)scratch;
    const struct eg_view *in = &p->in[0];
    float *to = out_pixel(p, image, y, 0);
    const size_t pixels = in->h * in->w;
    for (size_t i = 0; i < pixels; i++) {
        const float *from = pixel_at(in, image, 0, i);
        if (p->step->node.order_chw)
            for (size_t c = 0; c < in->c; c++) to[c * pixels + i] = from[c];
        else
            memcpy(to + i * in->c, from, in->c * sizeof *to);
    }
}

/* ---- running ------------------------------------------------------------------------------ */

struct lines_task {
    const struct eg_plain_pass *pass;
    eg_plain_line *line;
    size_t lines, in_task;
};

static void lines_task(void *context, size_t task, unsigned thread)
{
    const struct lines_task *t = context;
    const struct eg_plain_pass *p = t->pass;
    float *scratch = eg__run_scratch(p->run, thread);
    for (size_t i = task * t->in_task; i < smaller(t->lines, (task + 1) * t->in_task); i++)
        t->line(p, i / p->out.h, i % p->out.h, scratch);
}

static void run_lines(struct eg_run *run, struct eg_run_step *step, size_t n)
{
    const struct eg_plain_work *work = step->work;
    struct eg_plain_pass pass = {.run = run, .step = step, .out = eg__run_view(run, step->output)};
    if (step->slice_count) {
        pass.out.data += step->slice_first;
        pass.out.c = step->slice_count;
    }
    unsigned constant_at = step->node.swapped ? 0 : 1, j = 0;
    for (unsigned i = 0; i < step->n_inputs; i++, j++) {
        if (work->constant && j == constant_at) j++;
        pass.in[j] = eg__run_view(run, step->inputs[i]);
    }
    if (work->constant) pass.in[constant_at] = work->constant_view;
    struct lines_task t = {&pass, work->line, n * pass.out.h, 1};
    t.in_task = (t.lines + 8 * run->threads - 1) / (8 * run->threads);
    eg__pool_run(run->pool, (t.lines + t.in_task - 1) / t.in_task, lines_task, &t);
}

static enum eg_status plan_constant(struct eg_run *run, struct eg_plain_work *work, struct eg_run_step *step,
                                    const struct eg_node *node, struct eg_error *err)
{
    const struct eg_tensor *tensor = node->params[0];
    struct eg_shape shape = node->shape; /* of the result, where the constant has no sides of its own 1 */
    for (size_t i = 0; i < shape.rank; i++)
        shape.dim[i] = i < shape.rank - tensor->rank ? 1 : tensor->dim[i - (shape.rank - tensor->rank)];
    const struct eg_map map = eg__map(shape);
    work->constant = true;
    step->weights = eg__read_weights(run, tensor);
    if (!step->weights) return eg__fail_memory(err, "the weights");
    work->constant_view = (struct eg_view){step->weights, map.h, map.w, map.c, 0};
    return EG_OK;
}

static enum eg_status plan_batch_norm(struct eg_run *run, struct eg_run_step *step,
                                      const struct eg_node *node, struct eg_error *err)
{
    step->scale = eg__run_weights(run, step->in.c);
    step->shift = eg__run_weights(run, step->in.c);
    if (!step->scale || !step->shift || !eg__batch_norm_factors(node, step->in.c, step->scale, step->shift))
        return eg__fail_memory(err, "the weights");
    return EG_OK;
}

/* The lines of other files under the names of the table. */
#define line_none NULL
#define line_layer_norm eg__line_layer_norm
#define line_lrn eg__line_lrn
#define line_softmax eg__line_softmax
#define line_reduce eg__line_reduce
#define line_arg_max eg__line_arg_max
#define line_trees eg__line_trees
#define line_cum_sum eg__line_cum_sum
#define line_conv_transpose eg__line_conv_transpose
#define line_resize line_copy /* its own once the taps are known */

enum eg_status eg__plan_plain(struct eg_run *run, struct eg_run_step *step, const struct eg_node *node,
                              struct eg_error *err)
{
    static eg_plain_line *const lines[EG_OP_COUNT] = {
#define EG_OP(name, text, onnx, least, most, shape, run, grad, write, cut, ...) [EG_OP_##name] = line_##run,
#include "graph/ops.def"
#undef EG_OP
    };
    if (lines[node->op] == line_binary || node->op == EG_OP_WHERE)
        if (!eg__spreads_as_map(run, step, node)) return eg__plan_spread(run, step, node, err);
    struct eg_plain_work *work = eg__zalloc(1, sizeof *work);
    if (!work) return eg__fail_memory(err, "a layer");
    step->work = work;
    step->run = run_lines;
    step->info.algorithm = eg__op_info[node->op].text;
    work->line = lines[node->op];
    if (work->line == line_activation && !eg__node_activation(node, &step->act, &step->act_a, &step->act_b))
        work->line = NULL;
    if (!work->line) /* INPUT and the convolutions never come here */
        return eg__fail(err, EG_E_UNSUPPORTED, "layer '%.200s': %s cannot be computed", node->name,
                        eg__op_info[node->op].text);
    size_t pointers = 0;
    switch (node->op) {
    case EG_OP_MAX_POOL:
    case EG_OP_AVG_POOL: pointers = (size_t)node->window.kernel_h * node->window.kernel_w; break;
    case EG_OP_ADAPTIVE_POOL:
    case EG_OP_GLOBAL_AVG:
    case EG_OP_GLOBAL_MAX: pointers = step->in.h * step->in.w; break;
    case EG_OP_BATCH_NORM: return plan_batch_norm(run, step, node, err);
    case EG_OP_RESIZE: return eg__plan_resize(run, step, node, err);
    case EG_OP_CONV_TRANSPOSE: return eg__plan_conv_transpose(run, step, node, err);
    case EG_OP_LAYER_NORM:
        if (node->params[0] && !(step->scale = eg__read_weights(run, node->params[0])))
            return eg__fail_memory(err, "the weights");
        if (node->params[1] && !(step->shift = eg__read_weights(run, node->params[1])))
            return eg__fail_memory(err, "the weights");
        break;
    case EG_OP_TREE_ENSEMBLE: return eg__plan_trees(run, step, node, err);
    default:
        if (node->params[0]) return plan_constant(run, work, step, node, err);
    }
    step->scratch_thread = pointers * sizeof(float *) / sizeof(float);
    return EG_OK;
}
