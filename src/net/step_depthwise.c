/* step_depthwise.c: convolutions with one filter per channel. A task is a few output rows. Where the
 * input is large and comes from a 1 x 1 convolution, a task makes the input's rows itself, each when
 * it is first needed, in a ring of kernel_h rows that stays in the second-level cache. */
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

static void depthwise_task(void *context, size_t task, unsigned thread)
{
    const struct depthwise_pass *p = context;
    const struct eg_window *w = &p->step->node.window;
    const struct eg_run_step *before = p->step->before;
    const struct eg_map in = p->step->in;
    const size_t line = in.w * in.c; /* of the ring */
    float *ring = eg__run_scratch(p->run, thread);
    size_t made = 0; /* rows before this one are in the ring, or were */
    const size_t image = task / p->tasks_in_image, y0 = task % p->tasks_in_image * p->rows_in_task;
    const float *rows[KERNEL_MAX];
    struct eg_epilogue epilogue = eg__step_epilogue(p->step);
    epilogue.bias = p->step->bias;
    epilogue.ld_residual = p->residual.ld;
    struct eg_depthwise d = {
        .channels = p->out.c,
        .count = p->out.w,
        .kernel_h = w->kernel_h,
        .kernel_w = w->kernel_w,
        .stride = w->stride_w,
        .dilation = w->dilation_w,
        .pad = w->pad_left,
        .width = in.w,
        .rows = rows,
        .ld = before ? in.c : p->in.ld,
        .weight = p->step->weights,
        .ldw = p->out.c,
        .ldy = p->out.ld,
        .epilogue = &epilogue,
    };
    for (size_t y = y0; y < smaller(p->out.h, y0 + p->rows_in_task); y++) {
        for (size_t ky = 0; ky < w->kernel_h; ky++) {
            size_t iy = y * w->stride_h + ky * w->dilation_h - w->pad_top; /* wraps when negative */
            rows[ky] = NULL;
            if (iy >= in.h) continue;
            const float *from = p->in.data + (image * in.h + iy) * in.w * p->in.ld;
            if (before) {
                float *to = ring + iy % w->kernel_h * line;
                if (iy >= made) eg__gemm_pixels(p->run, before, from, p->in.ld, in.w, to);
                made = iy >= made ? iy + 1 : made;
                from = to;
            }
            rows[ky] = from;
        }
        const size_t pixel = (image * p->out.h + y) * p->out.w;
        if (p->residual.data) epilogue.residual = p->residual.data + pixel * p->residual.ld;
        d.y = p->out.data + pixel * p->out.ld;
        p->run->kernels->depthwise(&d);
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
    /* where a task makes its input, rows at its ends are made twice: as few as there are threads */
    size_t tasks = smaller(p.out.h, ((step->before ? 1 : 4) * run->threads + n - 1) / n);
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
    step->info.algorithm = step->before ? "gemm and depthwise" : "depthwise";
    if (step->before) step->scratch_thread = w->kernel_h * step->in.w * c;
    return eg__plan_bias(run, step, conv, c, err);
}
