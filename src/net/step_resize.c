/* step_resize.c: maps made larger or smaller, transposed convolutions, running sums: rare, so plain. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "net/plain.h"

/* One place of the input that an output is made of. */
struct tap {
    uint32_t at;
    float weight;
};

struct resize_work {
    struct eg_plain_work plain; /* first: what the lines find */
    size_t n_rows, n_columns;   /* taps an output */
    struct tap taps[];          /* rows, then columns */
};

/* Where place i of `out` lies in `in`.
 * Source  ONNX Resize, coordinate_transformation_mode */
static double place_in(const struct eg_resizing *r, double scale, size_t i, size_t in, size_t out)
{
    const double x = (double)i;
    switch (r->place) {
    case EG_PLACE_HALF_PIXEL: return (x + 0.5) / scale - 0.5;
    case EG_PLACE_PYTORCH_HALF_PIXEL: return out > 1 ? (x + 0.5) / scale - 0.5 : 0;
    case EG_PLACE_HALF_PIXEL_SYMMETRIC: {
        const double adjustment = (double)out / (scale * (double)in), centre = (double)in / 2;
        return centre * (1 - adjustment) + (x + 0.5) / scale - 0.5;
    }
    case EG_PLACE_ALIGN_CORNERS: return out > 1 ? x * (double)(in - 1) / (double)(out - 1) : 0;
    case EG_PLACE_ASYMMETRIC: break;
    }
    return x / scale;
}

static double nearest(enum eg_resize_round how, double x)
{
    switch (how) {
    case EG_ROUND_PREFER_FLOOR: return ceil(x - 0.5);
    case EG_ROUND_PREFER_CEIL: return floor(x + 0.5);
    case EG_ROUND_FLOOR: return floor(x);
    case EG_ROUND_CEIL: break;
    }
    return ceil(x);
}

/* Keys' cubic (IEEE Transactions on Acoustics 1981) at distance t. */
static double cubic(double a, double t)
{
    t = fabs(t);
    if (t < 1) return ((a + 2) * t - (a + 3)) * t * t + 1;
    return t < 2 ? ((a * t - 5 * a) * t + 8 * a) * t - 4 * a : 0;
}

static uint32_t held(double x, size_t n)
{
    return x < 0 ? 0 : x > (double)(n - 1) ? (uint32_t)(n - 1) : (uint32_t)x;
}

static double scale_of(double given, size_t in, size_t out)
{
    return given > 0 ? given : (double)out / (double)in;
}

/* How far an output sees: further where it is one of fewer, if nothing may be missed. */
static double support_of(const struct eg_resizing *r, double scale)
{
    if (r->mode == EG_RESIZE_NEAREST) return 0.5;
    return (r->mode == EG_RESIZE_LINEAR ? 1 : 2) * (r->antialias && scale < 1 ? 1 / scale : 1);
}

static size_t count_taps(const struct eg_resizing *r, double scale)
{
    return r->mode == EG_RESIZE_NEAREST ? 1 : 2 * (size_t)ceil(support_of(r, scale));
}

static double weight_at(const struct eg_resizing *r, double t)
{
    if (r->mode == EG_RESIZE_CUBIC) return cubic((double)r->cubic_a, t);
    return fabs(t) < 1 ? 1 - fabs(t) : 0;
}

static void find_taps(const struct eg_resizing *r, double scale, size_t in, size_t out, struct tap *tap)
{
    const size_t n = count_taps(r, scale);
    const double support = support_of(r, scale), wide = support / (r->mode == EG_RESIZE_CUBIC ? 2 : 1);
    for (size_t i = 0; i < out; i++, tap += n) {
        const double x = place_in(r, scale, i, in, out), first = floor(x - support) + 1;
        if (r->mode == EG_RESIZE_NEAREST) {
            *tap = (struct tap){held(nearest(r->round, x), in), 1};
            continue;
        }
        double sum = 0;
        for (unsigned pass = 0; pass < 2; pass++)
            for (size_t k = 0; k < n; k++) {
                const double at = first + (double)k;
                const bool outside = at < 0 || at > (double)(in - 1);
                const double weight = r->exclude_outside && outside ? 0 : weight_at(r, (at - x) / wide);
                if (pass)
                    tap[k] = (struct tap){held(at, in), (float)(sum > 0 ? weight / sum : 1.0 / (double)n)};
                else
                    sum += weight;
            }
    }
}

static void line_resize(const struct eg_plain_pass *p, size_t image, size_t y, float *scratch)
{
    (void)scratch;
    const struct resize_work *work = p->step->work;
    const struct eg_view *in = &p->in[0], *out = &p->out;
    const struct tap *row = &work->taps[y * work->n_rows];
    const bool nearest_only = p->step->node.resize.mode == EG_RESIZE_NEAREST;
    for (size_t x = 0; x < out->w; x++) {
        const struct tap *column = &work->taps[out->h * work->n_rows + x * work->n_columns];
        float *to = out->data + ((image * out->h + y) * out->w + x) * out->ld;
        if (nearest_only) {
            memcpy(to, in->data + ((image * in->h + row->at) * in->w + column->at) * in->ld,
                   out->c * sizeof *to);
            continue;
        }
        memset(to, 0, out->c * sizeof *to);
        for (size_t i = 0; i < work->n_rows; i++)
            for (size_t j = 0; j < work->n_columns; j++) {
                const float weight = row[i].weight * column[j].weight;
                if (weight == 0) continue;
                p->run->kernels->axpy(
                    weight, in->data + ((image * in->h + row[i].at) * in->w + column[j].at) * in->ld, to,
                    out->c);
            }
    }
}

enum eg_status eg__plan_resize(struct eg_run *run, struct eg_run_step *step, const struct eg_node *node,
                               struct eg_error *err)
{
    (void)run;
    const struct eg_map out = eg__map(node->shape);
    const struct eg_resizing *r = &node->resize;
    const double h = scale_of((double)r->scale_h, step->in.h, out.h),
                 w = scale_of((double)r->scale_w, step->in.w, out.w);
    const size_t n_rows = count_taps(r, h), n_columns = count_taps(r, w);
    struct resize_work *work =
        eg__zalloc(1, sizeof *work + (out.h * n_rows + out.w * n_columns) * sizeof(struct tap));
    if (!work) return eg__fail_memory(err, "a layer");
    work->plain = *(struct eg_plain_work *)step->work;
    work->plain.line = line_resize;
    work->n_rows = n_rows;
    work->n_columns = n_columns;
    free(step->work);
    step->work = work;
    find_taps(r, h, step->in.h, out.h, work->taps);
    find_taps(r, w, step->in.w, out.w, work->taps + out.h * n_rows);
    return EG_OK;
}

/* ---- running sums ------------------------------------------------------------------------- */

void eg__line_cum_sum(const struct eg_plain_pass *p, size_t image, size_t y, float *scratch)
{
    (void)scratch;
    const struct eg_node *node = &p->step->node;
    const struct eg_view *in = &p->in[0], *out = &p->out;
    for (size_t x = 0; x < out->w; x++) {
        const float *from = in->data + ((image * in->h + y) * in->w + x) * in->ld;
        float *to = out->data + ((image * out->h + y) * out->w + x) * out->ld;
        double sum = 0;
        for (size_t i = 0; i < out->c; i++) {
            const size_t at = node->swapped ? out->c - 1 - i : i;
            const double next = sum + (double)from[at];
            to[at] = (float)(node->begin ? sum : next);
            sum = next;
        }
    }
}

/* ---- transposed convolution: what a convolution's gradient by its input is ------------------ */

void eg__line_conv_transpose(const struct eg_plain_pass *p, size_t image, size_t y, float *scratch)
{
    (void)scratch;
    const struct eg_node *node = &p->step->node;
    const struct eg_window *w = &node->window;
    const struct eg_view *in = &p->in[0], *out = &p->out;
    const size_t in_group = in->c / node->groups, out_group = out->c / node->groups;
    for (size_t x = 0; x < out->w; x++) {
        float *to = out->data + ((image * out->h + y) * out->w + x) * out->ld;
        for (size_t c = 0; c < out->c; c++) to[c] = p->step->bias ? p->step->bias[c] : 0;
        for (size_t ky = 0; ky < w->kernel_h; ky++) {
            const size_t iy = y + w->pad_top - ky * w->dilation_h; /* wraps when negative */
            if (iy > y + w->pad_top || iy % w->stride_h || iy / w->stride_h >= in->h) continue;
            for (size_t kx = 0; kx < w->kernel_w; kx++) {
                const size_t ix = x + w->pad_left - kx * w->dilation_w;
                if (ix > x + w->pad_left || ix % w->stride_w || ix / w->stride_w >= in->w) continue;
                const float *from =
                    in->data + ((image * in->h + iy / w->stride_h) * in->w + ix / w->stride_w) * in->ld;
                for (size_t c = 0; c < in->c; c++)
                    p->run->kernels->axpy(
                        from[c], p->step->weights + ((c * w->kernel_h + ky) * w->kernel_w + kx) * out_group,
                        to + c / in_group * out_group, out_group);
            }
        }
    }
}

enum eg_status eg__plan_conv_transpose(struct eg_run *run, struct eg_run_step *step,
                                       const struct eg_node *node, struct eg_error *err)
{
    step->weights = eg__read_weights(run, node->params[0]);
    if (node->params[1]) step->bias = eg__read_weights(run, node->params[1]);
    if (!step->weights || (node->params[1] && !step->bias)) return eg__fail_memory(err, "the weights");
    return EG_OK;
}
