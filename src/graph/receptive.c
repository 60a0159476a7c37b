/* receptive.c: which pixels a value depends on.
 *
 * field       pixels along one side that reach one value
 * jump        pixels between two values beside each other
 * Along a window of k values, every s-th:  field += (k - 1) jump,  jump *= s. Where paths meet the
 * widest counts. A gate (squeeze-and-excitation) is a vector spread over a map: it sees the whole
 * image and is left out, or nothing past it could be told apart.
 * Source  Araujo, Norris and Sim, Computing receptive fields of convolutional networks,
 *         Distill 2019 */
#include "graph/graph_private.h"

#define LARGEST ((uint64_t)1 << 30) /* past it numbers stop growing */

static uint32_t at_most(uint64_t value) { return (uint32_t)(value < LARGEST ? value : LARGEST); }

static void slide(uint32_t *field, uint32_t *jump, uint64_t window, uint64_t stride)
{
    uint64_t steps = window > LARGEST ? LARGEST : window;
    *field = at_most(*field + (steps ? steps - 1 : 0) * *jump);
    *jump = at_most(*jump * (stride > LARGEST ? LARGEST : stride));
}

/* As a plain pooling that gives as many values: the same where `out` divides `in`. */
static void slide_adaptive(uint32_t *field, uint32_t *jump, size_t in, size_t out)
{
    size_t stride = in > out ? in / out : 1, covered = (out - 1) * stride;
    slide(field, jump, in > covered ? in - covered : 1, stride);
}

void eg__infer_receptive(const struct eg_graph *graph, struct eg_node *node)
{
    const struct eg_window *w = &node->window;
    struct eg_receptive r = {1, 1, 1, 1};
    struct eg_map in = eg__map(node->shape);
    if (node->n_inputs) in = eg__map(graph->nodes[node->inputs[0]].shape);
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        const struct eg_node *from = &graph->nodes[node->inputs[i]];
        if (eg__map(from->shape).h * eg__map(from->shape).w <
                eg__map(node->shape).h * eg__map(node->shape).w &&
            node->n_inputs > 1)
            continue;
        const struct eg_receptive *f = &from->receptive;
        if (f->field_h > r.field_h) r.field_h = f->field_h;
        if (f->field_w > r.field_w) r.field_w = f->field_w;
        if (f->jump_h > r.jump_h) r.jump_h = f->jump_h;
        if (f->jump_w > r.jump_w) r.jump_w = f->jump_w;
    }
    switch (node->op) {
    case EG_OP_CONV:
    case EG_OP_MAX_POOL:
    case EG_OP_AVG_POOL:
        slide(&r.field_h, &r.jump_h, (uint64_t)(w->kernel_h - 1) * w->dilation_h + 1, w->stride_h);
        slide(&r.field_w, &r.jump_w, (uint64_t)(w->kernel_w - 1) * w->dilation_w + 1, w->stride_w);
        break;
    case EG_OP_ADAPTIVE_POOL:
        slide_adaptive(&r.field_h, &r.jump_h, in.h, eg__map(node->shape).h);
        slide_adaptive(&r.field_w, &r.jump_w, in.w, eg__map(node->shape).w);
        break;
    case EG_OP_GLOBAL_AVG:
    case EG_OP_GLOBAL_MAX:
    case EG_OP_GLOBAL_GEM:
    case EG_OP_FLATTEN:
        slide(&r.field_h, &r.jump_h, in.h, in.h);
        slide(&r.field_w, &r.jump_w, in.w, in.w);
        break;
    default: break;
    }
    node->receptive = r;
}
