/* run_weights.c: from a graph's tensors to a run's own numbers. */
#include <math.h>
#include <stdlib.h>

#include "base/fail.h"
#include "base/mem.h"
#include "net/plain.h"

enum {
    ALIGN_FLOATS = 16,
    SLAB_FLOATS = 1 << 20 /* 4 MB: two large pages */
};

/* Large ones have a block of their own, so that nothing of a slab is lost to them. */
float *eg__run_weights(struct eg_run *run, size_t count)
{
    count = (count + ALIGN_FLOATS - 1) / ALIGN_FLOATS * ALIGN_FLOATS;
    const bool own = count > SLAB_FLOATS / 4;
    float *weights = run->slab;
    if (own || !run->slab || count > run->slab_left) {
        if (!eg__grow(&run->slabs, &run->slabs_capacity, run->n_slabs + 1, sizeof *run->slabs)) return NULL;
        weights = eg__alloc(own ? count : SLAB_FLOATS, sizeof *weights);
        if (!weights) return NULL;
        run->slabs[run->n_slabs++] = weights;
        if (!own) run->slab_left = SLAB_FLOATS;
    }
    run->weights_bytes += count * sizeof *weights;
    if (own) return weights;
    run->slab = weights + count;
    run->slab_left -= count;
    return weights;
}

void eg__read_filters(const struct eg_tensor *tensor, size_t begin, size_t end, float *out)
{
    struct eg_tensor part = *tensor;
    part.data = (const char *)tensor->data +
                (ptrdiff_t)begin * tensor->stride[0] * (ptrdiff_t)eg__dtype_size(tensor->dtype);
    part.dim[0] = end - begin;
    eg__tensor_read(&part, out);
}

float *eg__read_weights(struct eg_run *run, const struct eg_tensor *tensor)
{
    float *weights = eg__run_weights(run, eg__tensor_count(tensor));
    if (weights) eg__tensor_read(tensor, weights);
    return weights;
}

bool eg__batch_norm_factors(const struct eg_node *node, size_t c, float *scale, float *shift)
{
    float *numbers = eg__alloc(4 * c, sizeof *numbers);
    if (!numbers) return false;
    for (unsigned i = 0; i < 4; i++) {
        if (node->params[i])
            eg__tensor_read(node->params[i], numbers + i * c);
        else
            for (size_t j = 0; j < c; j++) numbers[i * c + j] = i == 0 ? 1 : 0;
    }
    const float *gamma = numbers, *beta = numbers + c, *mean = numbers + 2 * c, *variance = numbers + 3 * c;
    for (size_t i = 0; i < c; i++) {
        double factor = (double)gamma[i] / sqrt((double)variance[i] + (double)node->epsilon);
        scale[i] = (float)factor;
        shift[i] = (float)((double)beta[i] - (double)mean[i] * factor);
    }
    free(numbers);
    return true;
}

enum eg_status eg__plan_bias(struct eg_run *run, struct eg_run_step *step, const struct eg_plan_conv *conv,
                             size_t n, struct eg_error *err)
{
    const struct eg_tensor *bias = conv->node->params[1];
    if (!bias && !conv->shift) return EG_OK;
    step->bias = eg__run_weights(run, n);
    if (!step->bias) return eg__fail_memory(err, "the weights");
    for (size_t i = 0; i < n; i++) step->bias[i] = 0;
    if (bias) eg__tensor_read(bias, step->bias);
    for (size_t i = 0; conv->shift && i < n; i++)
        step->bias[i] = (float)((double)step->bias[i] * (double)conv->scale[i] + (double)conv->shift[i]);
    return EG_OK;
}

bool eg__node_activation(const struct eg_node *node, enum eg_activation *act, float *a, float *b)
{
    enum { EG_OP_NONE = EG_OP_COUNT, EG_OP_CLAMP }; /* rows that are no operator of their own name */
    *a = node->alpha;
    *b = node->beta;
    switch ((unsigned)node->op) {
    case EG_OP_RELU:
        *act = EG_ACT_CLAMP;
        *a = 0;
        *b = INFINITY;
        return true;
    case EG_OP_CLIP: *act = EG_ACT_CLAMP; return true;
#define EG_ACT(name, value, slope)                                                                           \
    case EG_OP_##name:                                                                                       \
        *act = EG_ACT_##name;                                                                                \
        return node->op < EG_OP_COUNT;
#include "kernels/activations.def"
#undef EG_ACT
    default: return false;
    }
}
