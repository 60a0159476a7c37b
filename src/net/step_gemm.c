/* step_gemm.c: convolutions and linear layers as matrix products whose rows of A are pixels.
 *
 *   direct   1 x 1, stride 1: a row is a pixel where it lies
 *   indirect a row is found by pointer, tap by tap; a tap outside the image points to zeros
 *            (Dukhan 2019, "The Indirect Convolution Algorithm")
 *   band     few input channels (the first layer): the input rows that some output rows need
 *            are copied once, padded, from floats or straight from 8-bit pixels; then one run
 *            per kernel row covers all its taps
 *
 * A task is a block of output pixels, or a block of pixels and a range of filters where pixels
 * are few. Every output is the sum over blocks of at most DEPTH products in the order
 * (tap, channel): it depends on the layer alone. */
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "base/pool.h"
#include "net/plan.h"

enum {
    TILES_IN_TASK = 8,
    DEPTH = 1024,          /* longest sum kept in registers before it is added to memory */
    BAND_CHANNELS_MAX = 4, /* below: runs of one tap are too short */
    BAND_PIXELS = 384      /* output pixels of a band, about */
};

enum method { DIRECT, INDIRECT, BAND };

struct gemm_work {
    enum method method;
    size_t groups, in_group, out_group; /* channels */
    size_t taps, depth;                 /* of the whole filter: kernel area, taps * in_group */
    size_t packed_group;                /* floats of one group's packed filters */
    size_t band_rows, band_width;       /* output rows of a band; padded input pixels of its row */
};

struct gemm_pass {
    struct eg_run *run;
    const struct eg_run_step *step;
    const struct gemm_work *work;
    struct eg_view in, out, residual;
    size_t n, rows, task_rows, row_tasks, column_tasks;
};

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

/* Pointers [tap][tile_rows] for the pixels [row, row + count) of the output, channel group g. */
static void point(const struct gemm_pass *p, size_t row, size_t count, size_t channel, const float **pointers)
{
    const struct eg_window *w = &p->step->node.window;
    const size_t step = p->run->kernels->tile_rows;
    size_t x = row % p->out.w, y = row / p->out.w % p->out.h, image = row / p->out.w / p->out.h;
    for (size_t i = 0; i < count; i++) {
        const float *base = p->in.data + image * p->in.h * p->in.w * p->in.ld + channel;
        const float **to = pointers + i;
        for (size_t ky = 0; ky < w->kernel_h; ky++) {
            size_t iy = y * w->stride_h + ky * w->dilation_h - w->pad_top; /* wraps when negative */
            for (size_t kx = 0; kx < w->kernel_w; kx++, to += step) {
                size_t ix = x * w->stride_w + kx * w->dilation_w - w->pad_left;
                *to = iy < p->in.h && ix < p->in.w ? base + (iy * p->in.w + ix) * p->in.ld : p->run->zeros;
            }
        }
        if (++x < p->out.w) continue;
        x = 0;
        if (++y < p->out.h) continue;
        y = 0;
        image++;
    }
}

/* Filters [j0, j0 + columns) of a group on the pixels of one tile. */
static void run_tile(const struct gemm_pass *p, struct eg_tile *tile, size_t row, size_t channel,
                     struct eg_epilogue *epilogue, bool last)
{
    tile->c = p->out.data + row * p->out.ld + channel;
    tile->ldc = p->out.ld;
    if (last) {
        epilogue->bias = p->step->bias ? p->step->bias + channel : NULL;
        epilogue->residual = p->residual.data ? p->residual.data + row * p->residual.ld + channel : NULL;
    }
    tile->epilogue = last ? epilogue : NULL;
    p->run->kernels->gemm_tile(tile);
}

static void gemm_task(void *context, size_t task, unsigned thread)
{
    const struct gemm_pass *p = context;
    const struct gemm_work *work = p->work;
    const size_t step = p->run->kernels->tile_rows, panel = p->run->kernels->panel;
    const size_t granule = p->run->kernels->granule;
    const size_t begin = task / p->column_tasks * p->task_rows, end = smaller(p->rows, begin + p->task_rows);
    const size_t panels = (work->out_group + panel - 1) / panel, part = task % p->column_tasks;
    const size_t panel0 = panels * part / p->column_tasks, panel1 = panels * (part + 1) / p->column_tasks;
    const float **pointers = (const float **)(void *)eg__run_scratch(p->run, thread);
    const size_t tile_pointers = work->taps * step;
    struct eg_epilogue epilogue = eg__step_epilogue(p->step);
    epilogue.ld_residual = p->residual.ld;

    for (size_t g = 0; g < work->groups; g++) {
        const float **to = pointers;
        for (size_t row = begin; row < end; row += step, to += tile_pointers) {
            size_t count = smaller(step, end - row);
            if (work->method == INDIRECT)
                point(p, row, count, g * work->in_group, to);
            else
                for (size_t i = 0; i < count; i++)
                    to[i] = p->in.data + (row + i) * p->in.ld + g * work->in_group;
        }
        /* blocks of whole taps, or of one tap's channels when those are many */
        const size_t channels_at_once = smaller(work->in_group, DEPTH);
        const size_t taps_at_once = work->in_group > DEPTH ? 1 : DEPTH / work->in_group;
        for (size_t tap = 0; tap < work->taps; tap += taps_at_once) {
            size_t runs = smaller(taps_at_once, work->taps - tap);
            for (size_t k = 0; k < work->in_group; k += channels_at_once) {
                size_t length = smaller(channels_at_once, work->in_group - k);
                bool last = tap + runs == work->taps && k + length == work->in_group;
                for (size_t j = panel0; j < panel1; j++) {
                    size_t columns = smaller(panel, work->out_group - j * panel);
                    size_t width = (columns + granule - 1) / granule * granule;
                    struct eg_tile tile = {
                        .columns = columns,
                        .runs = runs,
                        .run_length = length,
                        .b = p->step->weights + g * work->packed_group + j * panel * work->depth +
                             (tap * work->in_group + k) * width,
                        .accumulate = tap || k,
                    };
                    to = pointers;
                    for (size_t row = begin; row < end; row += step, to += tile_pointers) {
                        const float *moved[EG_TILE_ROWS_MAX];
                        tile.rows = smaller(step, end - row);
                        tile.a = to + tap * step;
                        if (k) {
                            for (size_t i = 0; i < tile.rows; i++) moved[i] = tile.a[i] + k;
                            tile.a = moved;
                        }
                        run_tile(p, &tile, row, g * work->out_group + j * panel, &epilogue, last);
                    }
                }
            }
        }
    }
}

/* Copy one input row of an image between its paddings. */
static void copy_row(const struct gemm_pass *p, size_t image, size_t y, float *to)
{
    const struct eg_run *run = p->run;
    const size_t c = p->in.c, left = p->step->node.window.pad_left, width = p->work->band_width;
    const size_t inside = width > left ? smaller(p->in.w, width - left) : 0;
    memset(to, 0, left * c * sizeof *to);
    memset(to + (left + inside) * c, 0, (width - left - inside) * c * sizeof *to);
    to += left * c;
    if (p->in.data) {
        const float *from = p->in.data + (image * p->in.h + y) * p->in.w * p->in.ld;
        if (p->in.ld == c)
            memcpy(to, from, inside * c * sizeof *to);
        else
            for (size_t x = 0; x < inside; x++) memcpy(to + x * c, from + x * p->in.ld, c * sizeof *to);
        return;
    }
    const uint8_t *from = run->pixels + ((run->first + image) * p->in.h + y) * p->in.w * 3;
    const uint8_t *b = run->pixel_byte;
    for (size_t x = 0; x < inside; x++, from += 3, to += 3) {
        to[0] = run->pixel_table[0][from[b[0]]];
        to[1] = run->pixel_table[1][from[b[1]]];
        to[2] = run->pixel_table[2][from[b[2]]];
    }
}

static void band_task(void *context, size_t task, unsigned thread)
{
    const struct gemm_pass *p = context;
    const struct gemm_work *work = p->work;
    const struct eg_window *w = &p->step->node.window;
    const size_t bands = (p->out.h + work->band_rows - 1) / work->band_rows;
    const size_t image = task / bands, y0 = task % bands * work->band_rows;
    const size_t y1 = smaller(p->out.h, y0 + work->band_rows), c = p->in.c;
    const size_t line = work->band_width * c, step = p->run->kernels->tile_rows;
    const size_t panel = p->run->kernels->panel;
    float *band = eg__run_scratch(p->run, thread);
    for (size_t i = 0; i < (y1 - y0 - 1) * w->stride_h + w->kernel_h; i++) {
        size_t y = y0 * w->stride_h + i - w->pad_top; /* wraps when negative */
        if (y < p->in.h)
            copy_row(p, image, y, band + i * line);
        else
            memset(band + i * line, 0, line * sizeof *band);
    }
    struct eg_epilogue epilogue = eg__step_epilogue(p->step);
    epilogue.ld_residual = p->residual.ld;
    const size_t pixels = (y1 - y0) * p->out.w;
    size_t x = 0, y = 0; /* of the next pixel, in the band */
    for (size_t first = 0; first < pixels; first += step) {
        const float *pointers[EG_TILE_ROWS_MAX * 32];
        size_t count = smaller(step, pixels - first);
        for (size_t i = 0; i < count; i++) {
            const float *from = band + y * w->stride_h * line + x * w->stride_w * c;
            for (size_t ky = 0; ky < w->kernel_h; ky++, from += line) pointers[ky * step + i] = from;
            if (++x < p->out.w) continue;
            x = 0;
            y++;
        }
        for (size_t j = 0; j < work->out_group; j += panel) {
            struct eg_tile tile = {
                .rows = count,
                .columns = smaller(panel, work->out_group - j),
                .runs = w->kernel_h,
                .run_length = w->kernel_w * c,
                .a = pointers,
                .b = p->step->weights + j * work->depth,
            };
            run_tile(p, &tile, (image * p->out.h + y0) * p->out.w + first, j, &epilogue, true);
        }
    }
}

static void run_gemm(struct eg_run *run, struct eg_run_step *step, size_t n);

bool eg__gemm_goes_before(const struct eg_run_step *step)
{
    const struct gemm_work *work = step->work;
    return step->run == run_gemm && work->method == DIRECT && work->groups == 1 && work->depth <= DEPTH &&
           step->residual == EG_NO_VALUE;
}

void eg__gemm_pixels(const struct eg_run *run, const struct eg_run_step *step, const float *in, size_t ld,
                     size_t count, float *out)
{
    const struct gemm_work *work = step->work;
    const size_t rows = run->kernels->tile_rows, panel = run->kernels->panel;
    struct eg_epilogue epilogue = eg__step_epilogue(step);
    for (size_t j = 0; j < work->out_group; j += panel) {
        if (step->bias) epilogue.bias = step->bias + j;
        for (size_t i = 0; i < count; i += rows) {
            const float *pixels[EG_TILE_ROWS_MAX];
            struct eg_tile tile = {
                .rows = smaller(rows, count - i),
                .columns = smaller(panel, work->out_group - j),
                .runs = 1,
                .run_length = work->depth,
                .a = pixels,
                .b = step->weights + j * work->depth,
                .c = out + i * work->out_group + j,
                .ldc = work->out_group,
                .epilogue = &epilogue,
            };
            for (size_t k = 0; k < tile.rows; k++) pixels[k] = in + (i + k) * ld;
            run->kernels->gemm_tile(&tile);
        }
    }
}

static void run_gemm(struct eg_run *run, struct eg_run_step *step, size_t n)
{
    const struct gemm_work *work = step->work;
    struct gemm_pass p = {
        .run = run,
        .step = step,
        .work = work,
        .in = eg__run_view(run, step->inputs[0]),
        .out = eg__run_view(run, step->output),
        .n = n,
    };
    if (step->residual != EG_NO_VALUE) p.residual = eg__run_view(run, step->residual);
    if (work->method == BAND) {
        size_t bands = (p.out.h + work->band_rows - 1) / work->band_rows;
        eg__pool_run(run->pool, n * bands, band_task, &p);
        return;
    }
    const size_t tile = run->kernels->tile_rows, most = TILES_IN_TASK * tile;
    p.rows = n * p.out.h * p.out.w;
    p.row_tasks = (p.rows + most - 1) / most;
    p.task_rows = ((p.rows + p.row_tasks - 1) / p.row_tasks + tile - 1) / tile * tile;
    p.row_tasks = (p.rows + p.task_rows - 1) / p.task_rows;
    size_t panels = (work->out_group + run->kernels->panel - 1) / run->kernels->panel;
    size_t wanted = run->threads > 1 ? 4 * run->threads : 1;
    p.column_tasks = p.row_tasks >= wanted ? 1 : smaller(panels, (wanted + p.row_tasks - 1) / p.row_tasks);
    eg__pool_run(run->pool, p.row_tasks * p.column_tasks, gemm_task, &p);
}

/* Filters [out][depth], scaled, into panels, a panel's worth at a time. */
static enum eg_status pack_filters(struct eg_run *run, struct eg_run_step *step,
                                   const struct eg_plan_conv *conv, const struct gemm_work *work,
                                   struct eg_error *err)
{
    const size_t panel = run->kernels->panel;
    float *filters = eg__alloc(panel * work->depth, sizeof *filters);
    step->weights = eg__run_weights(run, work->groups * work->packed_group);
    if (!filters || !step->weights) {
        free(filters);
        return eg__fail_memory(err, "the weights");
    }
    for (size_t g = 0; g < work->groups; g++)
        for (size_t j = 0; j < work->out_group; j += panel) {
            size_t count = smaller(panel, work->out_group - j), first = g * work->out_group + j;
            eg__read_filters(conv->node->params[0], first, first + count, filters);
            for (size_t i = 0; conv->scale && i < count; i++)
                for (size_t k = 0; k < work->depth; k++)
                    filters[i * work->depth + k] *= conv->scale[first + i];
            eg__pack(run->kernels, 0, count, count, work->depth, filters, 1, work->depth,
                     step->weights + g * work->packed_group + j * work->depth);
        }
    free(filters);
    return eg__plan_bias(run, step, conv, work->groups * work->out_group, err);
}

enum eg_status eg__plan_gemm(struct eg_run *run, struct eg_run_step *step, const struct eg_plan_conv *conv,
                             struct eg_error *err)
{
    struct gemm_work *work = eg__zalloc(1, sizeof *work);
    if (!work) return eg__fail_memory(err, "a layer");
    step->work = work;
    step->run = run_gemm;
    struct eg_window *w = &step->node.window;
    if (conv->node->op == EG_OP_LINEAR) {
        *w = (struct eg_window){
            .kernel_h = 1, .kernel_w = 1, .stride_h = 1, .stride_w = 1, .dilation_h = 1, .dilation_w = 1};
        step->node.groups = 1;
    }
    const struct eg_map out = eg__map(conv->node->shape);
    work->groups = step->node.groups;
    work->in_group = step->in.c / work->groups;
    work->out_group = out.c / work->groups;
    work->taps = (size_t)w->kernel_h * w->kernel_w;
    work->depth = work->taps * work->in_group;
    work->packed_group = eg__packed_count(run->kernels, work->out_group, work->depth);
    const size_t tile = run->kernels->tile_rows;
    if (work->taps == 1 && w->stride_h == 1 && w->stride_w == 1 && !w->pad_top && !w->pad_left &&
        !w->pad_bottom && !w->pad_right) {
        work->method = DIRECT;
        step->info.algorithm = "gemm";
    } else if (step->in.c <= BAND_CHANNELS_MAX && work->groups == 1 && w->dilation_h == 1 &&
               w->dilation_w == 1 && w->kernel_h <= 32 && work->depth <= DEPTH) {
        work->method = BAND;
        step->reads_pixels = step->in.c == 3;
        step->info.algorithm = "band gemm";
        work->band_width = (out.w - 1) * w->stride_w + w->kernel_w;
        work->band_rows = smaller(out.h, (BAND_PIXELS + out.w - 1) / out.w);
        step->scratch_thread =
            ((work->band_rows - 1) * w->stride_h + w->kernel_h) * work->band_width * step->in.c;
        return pack_filters(run, step, conv, work, err);
    } else {
        work->method = INDIRECT;
        step->info.algorithm = work->groups > 1 ? "indirect gemm, groups" : "indirect gemm";
    }
    step->scratch_thread = TILES_IN_TASK * tile * work->taps * sizeof(float *) / sizeof(float);
    return pack_filters(run, step, conv, work, err);
}
