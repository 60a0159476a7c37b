/* step_depthwise.c: convolutions with one filter per channel. A task is a few output rows. */
#include <stdlib.h>

#include "base/fail.h"
#include "base/mem.h"
#include "base/pool.h"
#include "net/plan.h"

enum { KERNEL_MAX = 64 };

struct depthwise_pass {
    struct eg_run *run;
    const struct eg_run_step *step;
    struct eg_view in, out, residual;
    size_t n, rows_in_task, tasks_in_image;
};

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

/* Output pixels [x0, x1) of row y, all of them with taps [first, end) inside the image. */
static void some_pixels(const struct depthwise_pass *p, struct eg_depthwise *d,
                        const float *const *row_starts, size_t image, size_t y, size_t x0, size_t x1,
                        size_t first, size_t end)
{
    const struct eg_window *w = &p->step->node.window;
    const float *rows[KERNEL_MAX];
    /* The row's pixel 0 tap 0 may lie before the row: keep to offsets that are taken. */
    const ptrdiff_t start = (ptrdiff_t)(x0 * w->stride_w) - (ptrdiff_t)w->pad_left;
    for (size_t ky = 0; ky < w->kernel_h; ky++)
        rows[ky] = row_starts[ky] ? row_starts[ky] + start * (ptrdiff_t)p->in.ld : NULL;
    struct eg_epilogue epilogue = eg__step_epilogue(p->step);
    size_t pixel = (image * p->out.h + y) * p->out.w + x0;
    epilogue.bias = p->step->bias;
    epilogue.ld_residual = p->residual.ld;
    if (p->residual.data) epilogue.residual = p->residual.data + pixel * p->residual.ld;
    d->rows = rows;
    d->first_tap = first;
    d->end_tap = end;
    d->count = x1 - x0;
    d->y = p->out.data + pixel * p->out.ld;
    d->epilogue = &epilogue;
    p->run->kernels->depthwise(d);
}

static void depthwise_task(void *context, size_t task, unsigned thread)
{
    (void)thread;
    const struct depthwise_pass *p = context;
    const struct eg_window *w = &p->step->node.window;
    const size_t image = task / p->tasks_in_image, y0 = task % p->tasks_in_image * p->rows_in_task;
    const size_t y1 = smaller(p->out.h, y0 + p->rows_in_task), extent = (w->kernel_w - 1) * w->dilation_w;
    struct eg_depthwise d = {
        .channels = p->out.c,
        .kernel_h = w->kernel_h,
        .kernel_w = w->kernel_w,
        .step = w->stride_w * p->in.ld,
        .tap = w->dilation_w * p->in.ld,
        .weight = p->step->weights,
        .ldw = p->out.c,
        .ldy = p->out.ld,
    };
    /* pixels whose taps are all inside: x stride >= pad and x stride - pad + extent < width */
    size_t inner0 = smaller(p->out.w, (w->pad_left + w->stride_w - 1) / w->stride_w), inner1 = inner0;
    if (p->in.w + w->pad_left > extent)
        inner1 = smaller(p->out.w, (p->in.w + w->pad_left - extent - 1) / w->stride_w + 1);
    if (inner1 < inner0) inner1 = inner0;
    for (size_t y = y0; y < y1; y++) {
        const float *rows[KERNEL_MAX];
        for (size_t ky = 0; ky < w->kernel_h; ky++) {
            size_t iy = y * w->stride_h + ky * w->dilation_h - w->pad_top; /* wraps when negative */
            rows[ky] = iy < p->in.h ? p->in.data + (image * p->in.h + iy) * p->in.w * p->in.ld : NULL;
        }
        for (size_t x = 0; x < p->out.w; x++) {
            if (x == inner0 && inner1 > inner0) {
                some_pixels(p, &d, rows, image, y, inner0, inner1, 0, w->kernel_w);
                x = inner1 - 1;
                continue;
            }
            size_t first = w->kernel_w, end = 0;
            for (size_t kx = 0; kx < w->kernel_w; kx++)
                if (x * w->stride_w + kx * w->dilation_w - w->pad_left < p->in.w) {
                    if (first > kx) first = kx;
                    end = kx + 1;
                }
            if (first > end) first = end;
            some_pixels(p, &d, rows, image, y, x, x + 1, first, end);
        }
    }
}

static void run_depthwise(struct eg_run *run, struct eg_run_step *step, size_t n)
{
    struct depthwise_pass p = {
        .run = run,
        .step = step,
        .in = eg__run_view(run, step->inputs[0]),
        .out = eg__run_view(run, step->output),
        .n = n,
    };
    if (step->residual != EG_NO_VALUE) p.residual = eg__run_view(run, step->residual);
    size_t tasks = smaller(p.out.h, (4 * run->threads + n - 1) / n);
    p.rows_in_task = (p.out.h + tasks - 1) / tasks;
    p.tasks_in_image = (p.out.h + p.rows_in_task - 1) / p.rows_in_task;
    eg__pool_run(run->pool, n * p.tasks_in_image, depthwise_task, &p);
}

enum eg_status eg__plan_depthwise(struct eg_run *run, struct eg_run_step *step,
                                  const struct eg_plan_conv *conv, struct eg_error *err)
{
    const struct eg_window *w = &conv->node->window;
    const size_t c = step->in.c, taps = (size_t)w->kernel_h * w->kernel_w;
    if (w->kernel_h > KERNEL_MAX)
        return eg__fail(err, EG_E_UNSUPPORTED,
                        "layer '%.200s' has a depthwise kernel of %u rows, the most is %d", conv->node->name,
                        w->kernel_h, KERNEL_MAX);
    float *filters = eg__alloc(c * taps, sizeof *filters);
    step->weights = eg__run_weights(run, c * taps);
    if (!filters || !step->weights) {
        free(filters);
        return eg__fail_memory(err, "the weights");
    }
    eg__read_filters(conv->node->params[0], 0, c, filters);
    for (size_t i = 0; i < c; i++)
        for (size_t t = 0; t < taps; t++)
            step->weights[t * c + i] = filters[i * taps + t] * (conv->scale ? conv->scale[i] : 1.0f);
    free(filters);
    step->run = run_depthwise;
    step->info.algorithm = "depthwise";
    return eg__plan_bias(run, step, conv, c, err);
}
