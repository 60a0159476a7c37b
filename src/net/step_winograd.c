/* step_winograd.c: stride-1 convolutions by Winograd's minimal filtering F(m x m, r x r)
 * (Lavin and Gray 2016): each alpha x alpha input tile (alpha = m + r - 1) is transformed,
 * the tiles are multiplied by the transformed filters at each of the alpha^2 points (a
 * product [tiles][in] x [in][out] a point), and each m x m output tile is transformed back.
 *
 * Tiles are numbered through the batch. Two ways to share the work, same bits:
 *   apart     a thread takes a block of tiles through all three stages in its own cache
 *   together  where the transformed filters are large they are what must be read least often:
 *             all threads work on one large block of tiles, stage by stage, and in the middle
 *             one each thread has its own points
 * Layouts: V [point][tile][in], M [point][tile][out], filters [point][panel][in][columns]. */
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "base/pool.h"
#include "net/plan.h"

enum {
    ALPHA_MAX = 8,
    TILES_APART = 24,
    TILES_TOGETHER = 192,
    OUT_AT_ONCE = 64,        /* output channels between two inverse transforms, apart */
    GATHER = 64,             /* channels of a border tile gathered at once */
    FILTERS_APART = 3 << 18, /* floats of transformed filters up to which threads work apart */
};

struct wino_work {
    unsigned m, r, alpha;
    size_t points, tiles_h, tiles_w;
    size_t packed;    /* floats of one point's filters */
    size_t out_block; /* output channels of a block of M */
    bool together;
    size_t tiles; /* in a block */
};

struct wino_pass {
    struct eg_run *run;
    const struct eg_run_step *step;
    const struct wino_work *work;
    struct eg_view in, out, residual;
    size_t n_tiles;
    float *v, *m; /* together: the block at hand */
    size_t first, count;
    size_t column_tasks;
};

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

static void transform_tile(const struct wino_pass *p, size_t tile, float *v)
{
    const struct wino_work *work = p->work;
    const struct eg_window *w = &p->step->node.window;
    const size_t ld = p->in.ld, row = p->in.w * ld, alpha = work->alpha, stride = work->tiles * p->in.c;
    const size_t image = tile / (work->tiles_h * work->tiles_w);
    const size_t y0 = tile / work->tiles_w % work->tiles_h * work->m - w->pad_top; /* wrap when negative */
    const size_t x0 = tile % work->tiles_w * work->m - w->pad_left;
    const float *base = p->in.data + image * p->in.h * row;
    if (y0 < p->in.h && y0 + alpha <= p->in.h && x0 < p->in.w && x0 + alpha <= p->in.w) {
        p->run->kernels->wino_input(work->alpha, base + y0 * row + x0 * ld, row, ld, p->in.c, v, stride);
        return;
    }
    float gathered[ALPHA_MAX * ALPHA_MAX * GATHER];
    for (size_t c = 0; c < p->in.c; c += GATHER) {
        size_t channels = smaller(GATHER, p->in.c - c);
        for (size_t y = 0; y < alpha; y++)
            for (size_t x = 0; x < alpha; x++) {
                float *to = gathered + (y * alpha + x) * GATHER;
                if (y0 + y < p->in.h && x0 + x < p->in.w)
                    memcpy(to, base + (y0 + y) * row + (x0 + x) * ld + c, channels * sizeof *to);
                else
                    memset(to, 0, channels * sizeof *to);
            }
        p->run->kernels->wino_input(work->alpha, gathered, alpha * GATHER, GATHER, channels, v + c, stride);
    }
}

/* Products at one point for output channels [from, to), from a multiple of the panel. */
static void multiply(const struct wino_pass *p, size_t point, size_t count, const float *v, float *m,
                     size_t m_ld, size_t from, size_t to)
{
    const struct eg_kernels *kernels = p->run->kernels;
    const size_t in = p->in.c;
    v += point * p->work->tiles * in;
    m += point * p->work->tiles * m_ld;
    for (size_t j = from; j < to; j += kernels->panel)
        for (size_t t = 0; t < count; t += kernels->tile_rows) {
            const float *rows[EG_TILE_ROWS_MAX];
            struct eg_tile tile = {
                .rows = smaller(kernels->tile_rows, count - t),
                .columns = smaller(kernels->panel, to - j),
                .runs = 1,
                .run_length = in,
                .a = rows,
                .b = p->step->weights + point * p->work->packed + j * in,
                .c = m + t * m_ld + (j - from),
                .ldc = m_ld,
            };
            for (size_t i = 0; i < tile.rows; i++) rows[i] = v + (t + i) * in;
            kernels->gemm_tile(&tile);
        }
}

/* The inverse transform of a tile for output channels [from, to); m is at the tile's. */
static void finish_tile(const struct wino_pass *p, size_t tile, const float *m, size_t m_ld, size_t from,
                        size_t to)
{
    const struct wino_work *work = p->work;
    const bool pool = p->step->pool;
    const size_t side = pool ? work->m / 2 : work->m;
    const size_t image = tile / (work->tiles_h * work->tiles_w);
    const size_t y = tile / work->tiles_w % work->tiles_h * side, x = tile % work->tiles_w * side;
    if (y >= p->out.h || x >= p->out.w) return; /* pooled: the odd last row is dropped */
    struct eg_epilogue epilogue = eg__step_epilogue(p->step);
    size_t pixel = (image * p->out.h + y) * p->out.w + x;
    if (p->step->bias) epilogue.bias = p->step->bias + from;
    if (p->residual.data) epilogue.residual = p->residual.data + pixel * p->residual.ld + from;
    epilogue.ld_residual = p->residual.ld;
    struct eg_wino_output o = {
        .m = work->m,
        .alpha = work->alpha,
        .pool = pool,
        .sums = m,
        .stride = work->tiles * m_ld,
        .channels = to - from,
        .y = p->out.data + pixel * p->out.ld + from,
        .row = p->out.w * p->out.ld,
        .pixel = p->out.ld,
        .rows = smaller(side, p->out.h - y),
        .columns = smaller(side, p->out.w - x),
        .epilogue = &epilogue,
        .residual_row = p->out.w * p->residual.ld,
    };
    p->run->kernels->wino_output(&o);
}

static void apart_task(void *context, size_t task, unsigned thread)
{
    const struct wino_pass *p = context;
    const struct wino_work *work = p->work;
    const size_t first = task * work->tiles, count = smaller(work->tiles, p->n_tiles - first), out = p->out.c;
    float *v = eg__run_scratch(p->run, thread), *m = v + work->points * work->tiles * p->in.c;
    for (size_t t = 0; t < count; t++) transform_tile(p, first + t, v + t * p->in.c);
    for (size_t from = 0; from < out; from += work->out_block) {
        size_t to = smaller(out, from + work->out_block);
        for (size_t point = 0; point < work->points; point++)
            multiply(p, point, count, v, m, work->out_block, from, to);
        for (size_t t = 0; t < count; t++)
            finish_tile(p, first + t, m + t * work->out_block, work->out_block, from, to);
    }
}

static void transform_task(void *context, size_t task, unsigned thread)
{
    (void)thread;
    const struct wino_pass *p = context;
    transform_tile(p, p->first + task, p->v + task * p->in.c);
}

static void multiply_task(void *context, size_t task, unsigned thread)
{
    (void)thread;
    const struct wino_pass *p = context;
    const size_t panel = p->run->kernels->panel, panels = (p->out.c + panel - 1) / panel;
    const size_t part = task % p->column_tasks;
    const size_t from = panels * part / p->column_tasks * panel;
    const size_t to = smaller(p->out.c, panels * (part + 1) / p->column_tasks * panel);
    multiply(p, task / p->column_tasks, p->count, p->v, p->m + from, p->out.c, from, to);
}

static void finish_task(void *context, size_t task, unsigned thread)
{
    (void)thread;
    const struct wino_pass *p = context;
    finish_tile(p, p->first + task, p->m + task * p->out.c, p->out.c, 0, p->out.c);
}

static void run_winograd(struct eg_run *run, struct eg_run_step *step, size_t n)
{
    const struct wino_work *work = step->work;
    struct wino_pass p = {
        .run = run,
        .step = step,
        .work = work,
        .in = eg__run_view(run, step->inputs[0]),
        .out = eg__run_view(run, step->output),
        .n_tiles = n * work->tiles_h * work->tiles_w,
    };
    if (step->residual != EG_NO_VALUE) p.residual = eg__run_view(run, step->residual);
    if (!work->together) {
        eg__pool_run(run->pool, (p.n_tiles + work->tiles - 1) / work->tiles, apart_task, &p);
        return;
    }
    p.v = run->shared;
    p.m = p.v + work->points * work->tiles * p.in.c;
    p.column_tasks = smaller(4, (p.out.c + run->kernels->panel - 1) / run->kernels->panel);
    for (p.first = 0; p.first < p.n_tiles; p.first += work->tiles) {
        p.count = smaller(work->tiles, p.n_tiles - p.first);
        eg__pool_run(run->pool, p.count, transform_task, &p);
        eg__pool_run(run->pool, work->points * p.column_tasks, multiply_task, &p);
        eg__pool_run(run->pool, p.count, finish_task, &p);
    }
}

/* Points and the factors of the filter transform that go with the forward transform in
 * kernels/text_winograd.h: row j of G is factor_j (1, a_j, a_j^2, ...). */
static const double factors_4[3] = {1, 1.0 / 2, 1.0 / 2};
static const double factors_6[5] = {1.0 / 4, -1.0 / 6, -1.0 / 6, 1.0 / 24, 1.0 / 24};
static const double points[7] = {0, 1, -1, 2, -2, 0.5, -0.5};
static const double factors_8[7] = {1, -2.0 / 9, -2.0 / 9, 1.0 / 90, 1.0 / 90, 32.0 / 45, 32.0 / 45};

static void filter_matrix(const struct wino_work *work, double g[ALPHA_MAX][ALPHA_MAX])
{
    const double *factors = work->alpha == 4 ? factors_4 : work->alpha == 6 ? factors_6 : factors_8;
    for (unsigned j = 0; j + 1 < work->alpha; j++) {
        double power = factors[j];
        for (unsigned k = 0; k < work->r; k++) {
            g[j][k] = power;
            power *= points[j];
        }
    }
    for (unsigned k = 0; k < work->r; k++) g[work->alpha - 1][k] = k + 1 == work->r ? 1 : 0;
}

static void transform_filters(struct eg_run *run, struct eg_run_step *step, const struct eg_plan_conv *conv,
                              const struct wino_work *work, float *filters)
{
    const size_t panel = run->kernels->panel, in = step->in.c, out = eg__map(conv->node->shape).c,
                 r = work->r;
    double g[ALPHA_MAX][ALPHA_MAX];
    filter_matrix(work, g);
    for (size_t o = 0; o < out; o++) {
        size_t j0 = o / panel * panel, columns = smaller(panel, out - j0);
        size_t width = (columns + run->kernels->granule - 1) / run->kernels->granule * run->kernels->granule;
        eg__read_filters(conv->node->params[0], o, o + 1, filters);
        for (size_t c = 0; c < in; c++) {
            double half[ALPHA_MAX][ALPHA_MAX];
            double scale = conv->scale ? (double)conv->scale[o] : 1;
            for (size_t i = 0; i < work->alpha; i++)
                for (size_t x = 0; x < r; x++) {
                    half[i][x] = 0;
                    for (size_t y = 0; y < r; y++)
                        half[i][x] += g[i][y] * (double)filters[(y * r + x) * in + c];
                }
            for (size_t i = 0; i < work->alpha; i++)
                for (size_t j = 0; j < work->alpha; j++) {
                    double sum = 0;
                    for (size_t x = 0; x < r; x++) sum += half[i][x] * g[j][x];
                    step->weights[(i * work->alpha + j) * work->packed + j0 * in + c * width + (o - j0)] =
                        (float)(sum * scale);
                }
        }
    }
}

unsigned eg__winograd_tile(const struct eg_node *node, struct eg_map in, bool exact)
{
    const struct eg_window *w = &node->window;
    if (exact || node->op != EG_OP_CONV || node->groups != 1 || w->kernel_h != w->kernel_w ||
        w->stride_h != 1 || w->stride_w != 1 || w->dilation_h != 1 || w->dilation_w != 1 || in.c < 16 ||
        eg__map(node->shape).c < 16)
        return 0;
    size_t side =
        eg__map(node->shape).h < eg__map(node->shape).w ? eg__map(node->shape).h : eg__map(node->shape).w;
    if (w->kernel_h == 5) return side >= 8 ? 4 : 0;
    if (w->kernel_h != 3 || side < 6) return 0;
    return side < 8 ? 2 : side >= 56 && in.c <= 256 ? 6 : 4;
}

enum eg_status eg__plan_winograd(struct eg_run *run, struct eg_run_step *step,
                                 const struct eg_plan_conv *conv, struct eg_error *err)
{
    struct wino_work *work = eg__zalloc(1, sizeof *work);
    if (!work) return eg__fail_memory(err, "a layer");
    step->work = work;
    step->run = run_winograd;
    const struct eg_map out = eg__map(conv->node->shape);
    const size_t in = step->in.c;
    work->m = eg__winograd_tile(conv->node, step->in, false);
    work->r = conv->node->window.kernel_h;
    work->alpha = work->m + work->r - 1;
    work->points = (size_t)work->alpha * work->alpha;
    work->tiles_h = (out.h + work->m - 1) / work->m;
    work->tiles_w = (out.w + work->m - 1) / work->m;
    work->packed = eg__packed_count(run->kernels, out.c, in);
    work->together = work->points * work->packed > FILTERS_APART;
    size_t all = run->max_batch * run->values[step->output].times * work->tiles_h * work->tiles_w;
    work->tiles = TILES_APART; /* together: a block need not be larger than what it saves reading twice */
    if (work->together) work->tiles = smaller(TILES_TOGETHER, 2 * work->packed / (in + out.c) + 1);
    work->tiles = smaller(all, work->tiles);
    work->out_block =
        work->together ? out.c : smaller(out.c, OUT_AT_ONCE / run->kernels->panel * run->kernels->panel);
    size_t block = work->points * work->tiles * (in + work->out_block);
    *(work->together ? &step->scratch_shared : &step->scratch_thread) = block;
    step->info.algorithm = work->r == 5   ? "winograd 4x4, 5x5"
                           : work->m == 2 ? "winograd 2x2"
                           : work->m == 6 ? "winograd 6x6"
                                          : "winograd 4x4";
    size_t taps = (size_t)work->r * work->r;
    float *filters = eg__alloc(in * taps, sizeof *filters);
    step->weights = eg__run_weights(run, work->points * work->packed);
    if (!filters || !step->weights) {
        free(filters);
        return eg__fail_memory(err, "the weights");
    }
    memset(step->weights, 0, work->points * work->packed * sizeof(float)); /* columns that round up */
    transform_filters(run, step, conv, work, filters);
    free(filters);
    return eg__plan_bias(run, step, conv, out.c, err);
}
