/* step_views.c: an image to its views, which follow each other as if they were images, and back to one
 * value by their mean. */
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "base/pool.h"
#include "net/plan.h"

struct views {
    struct eg_view in, out;
    const int32_t *places; /* [size][3]: top, left, mirrored */
    size_t size;
};

static void copy_line(void *context, size_t task, unsigned thread)
{
    (void)thread;
    const struct views *v = context;
    const size_t y = task % v->out.h, image = task / v->out.h, view = image % v->size, c = v->in.c;
    const int32_t *at = v->places + 3 * view;
    const float *from =
        v->in.data + ((image / v->size * v->in.h + y + (size_t)at[0]) * v->in.w + (size_t)at[1]) * v->in.ld;
    float *to = v->out.data + (image * v->out.h + y) * v->out.w * v->out.ld;
    for (size_t x = 0; x < v->out.w; x++)
        memcpy(to + x * v->out.ld, from + (at[2] ? v->out.w - 1 - x : x) * v->in.ld, c * sizeof *to);
}

static void run_views(struct eg_run *run, struct eg_run_step *step, size_t n)
{
    struct views v = {.in = eg__run_view(run, step->inputs[0]),
                      .out = eg__run_view(run, step->output),
                      .places = step->work,
                      .size = step->node.size};
    eg__pool_run(run->pool, n * v.out.h, copy_line, &v);
}

static void average_line(void *context, size_t task, unsigned thread)
{
    (void)thread;
    const struct views *v = context;
    const size_t pixels = v->in.h * v->in.w, image = task / pixels, pixel = task % pixels;
    float *to = v->out.data + (image * pixels + pixel) * v->out.ld;
    for (size_t c = 0; c < v->in.c; c++) {
        float sum = 0; /* in the order of the views */
        for (size_t k = 0; k < v->size; k++)
            sum += v->in.data[((image * v->size + k) * pixels + pixel) * v->in.ld + c];
        to[c] = sum / (float)v->size;
    }
}

static void run_mean(struct eg_run *run, struct eg_run_step *step, size_t n)
{
    struct views v = {.in = eg__run_view(run, step->inputs[0]),
                      .out = eg__run_view(run, step->output),
                      .size = run->values[run->values[step->inputs[0]].root].times};
    eg__pool_run(run->pool, n * v.in.h * v.in.w, average_line, &v);
}

enum eg_status eg__plan_views(struct eg_run *run, struct eg_run_step *step, const struct eg_node *node,
                              struct eg_error *err)
{
    (void)run;
    step->info.algorithm = eg__op_info[node->op].text;
    step->run = run_mean;
    if (node->op == EG_OP_VIEWS_MEAN) return EG_OK;
    step->run = run_views;
    int32_t *places = eg__alloc(node->size, 3 * sizeof *places);
    if (!places) return eg__fail_memory(err, "a layer");
    memcpy(places, node->params[0]->data, node->size * 3 * sizeof *places);
    step->work = places;
    return EG_OK;
}
