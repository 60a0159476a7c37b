/* step_vector.c: operators over the channels of a pixel, and trees. Rare and small: plain C. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "net/plain.h"

struct pixel {
    const float *x;
    float *y;
};

static struct pixel pixel(const struct eg_plain_pass *p, size_t image, size_t y, size_t x)
{
    const struct eg_view *in = &p->in[0];
    return (struct pixel){in->data + ((image * in->h + y) * in->w + x) * in->ld,
                          p->out.data + ((image * p->out.h + y) * p->out.w + x) * p->out.ld};
}

void eg__line_layer_norm(const struct eg_plain_pass *p, size_t image, size_t y, float *scratch)
{
    (void)scratch;
    const struct eg_run_step *s = p->step;
    for (size_t x = 0; x < p->out.w; x++) {
        struct pixel at = pixel(p, image, y, x);
        p->run->kernels->layer_norm_row(at.x, s->scale, s->shift, s->node.epsilon, at.y, p->out.c);
    }
}

/* Source  ONNX LRN: the window of `size` channels leans to the right when size is even. */
void eg__line_lrn(const struct eg_plain_pass *p, size_t image, size_t y, float *scratch)
{
    (void)scratch;
    const struct eg_node *node = &p->step->node;
    const size_t c = p->out.c, before = (node->size - 1) / 2, after = node->size - 1 - before;
    for (size_t x = 0; x < p->out.w; x++) {
        struct pixel at = pixel(p, image, y, x);
        for (size_t i = 0; i < c; i++) {
            double squares = 0;
            size_t end = c - i > after ? i + after + 1 : c;
            for (size_t j = i > before ? i - before : 0; j < end; j++)
                squares += (double)at.x[j] * (double)at.x[j];
            double base = (double)node->bias + (double)node->alpha / node->size * squares;
            at.y[i] = (float)((double)at.x[i] * pow(base, -(double)node->beta));
        }
    }
}

void eg__line_softmax(const struct eg_plain_pass *p, size_t image, size_t y, float *scratch)
{
    (void)scratch;
    for (size_t x = 0; x < p->out.w; x++) {
        struct pixel at = pixel(p, image, y, x);
        p->run->kernels->softmax_row(at.x, 1, NULL, at.y, p->out.c);
    }
}

void eg__line_reduce(const struct eg_plain_pass *p, size_t image, size_t y, float *scratch)
{
    (void)scratch;
    const size_t c = p->in[0].c;
    for (size_t x = 0; x < p->out.w; x++) {
        struct pixel at = pixel(p, image, y, x);
        double sum = 0, product = 1;
        float most = at.x[0], least = at.x[0];
        for (size_t i = 0; i < c; i++) {
            sum += (double)at.x[i];
            product *= (double)at.x[i];
            if (at.x[i] > most || at.x[i] != at.x[i]) most = at.x[i];
            if (at.x[i] < least || at.x[i] != at.x[i]) least = at.x[i];
        }
        switch (p->step->node.op) {
        case EG_OP_REDUCE_MEAN: *at.y = (float)(sum / (double)c); break;
        case EG_OP_REDUCE_MAX: *at.y = most; break;
        case EG_OP_REDUCE_MIN: *at.y = least; break;
        case EG_OP_REDUCE_PROD: *at.y = (float)product; break;
        default: *at.y = (float)sum; break;
        }
    }
}

void eg__line_arg_max(const struct eg_plain_pass *p, size_t image, size_t y, float *scratch)
{
    (void)scratch;
    for (size_t x = 0; x < p->out.w; x++) {
        struct pixel at = pixel(p, image, y, x);
        size_t best = 0;
        for (size_t i = 1; i < p->in[0].c; i++)
            if (at.x[i] > at.x[best]) best = i;
        *at.y = (float)best;
    }
}

void eg__line_trees(const struct eg_plain_pass *p, size_t image, size_t y, float *scratch)
{
    (void)scratch;
    const struct eg_plain_work *work = p->step->work;
    const float *threshold = p->step->scale, *leaf = p->step->shift;
    const size_t c = p->out.c;
    struct pixel at = pixel(p, image, y, 0);
    for (size_t i = 0; i < c; i++) at.y[i] = 0;
    for (size_t t = 0; t < work->n_roots; t++) {
        int32_t i = work->roots[t];
        while (work->feature[i] >= 0)
            i = at.x[work->feature[i]] <= threshold[i] ? work->left[i] : work->right[i];
        const float *scores = leaf + (size_t)work->left[i] * c;
        for (size_t k = 0; k < c; k++) at.y[k] += scores[k];
    }
}

/* The I32 tensor as a run of its own numbers at *next, which moves on. */
static int32_t *copy_ints(const struct eg_tensor *tensor, int32_t **next)
{
    int32_t *to = *next;
    for (size_t i = 0; i < tensor->dim[0]; i++)
        memcpy(&to[i], (const char *)tensor->data + (ptrdiff_t)i * tensor->stride[0] * 4, 4);
    *next += tensor->dim[0];
    return to;
}

enum eg_status eg__plan_trees(struct eg_run *run, struct eg_run_step *step, const struct eg_node *node,
                              struct eg_error *err)
{
    const size_t n = node->params[0]->dim[0], roots = node->params[5]->dim[0];
    struct eg_plain_work *work = realloc(step->work, sizeof *work + (3 * n + roots) * sizeof(int32_t));
    if (!work) return eg__fail_memory(err, "the trees");
    step->work = work;
    int32_t *next = (int32_t *)(void *)(work + 1);
    work->feature = copy_ints(node->params[0], &next);
    work->left = copy_ints(node->params[2], &next);
    work->right = copy_ints(node->params[3], &next);
    work->roots = copy_ints(node->params[5], &next);
    work->n_roots = roots;
    step->scale = eg__read_weights(run, node->params[1]);
    step->shift = eg__read_weights(run, node->params[4]);
    run->weights_bytes += (3 * n + roots) * sizeof(int32_t);
    return step->scale && step->shift ? EG_OK : eg__fail_memory(err, "the trees");
}
