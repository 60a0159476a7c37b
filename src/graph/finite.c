/* finite.c: weights that are no numbers are refused before they become features. */
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "graph/checks.h"

/* Is one of `count` numbers side by side a NaN or, with `infinite`, infinite? */
static bool any_broken(const uint8_t *at, enum eg_dtype dtype, size_t count, bool infinite)
{
    const uint32_t exponent = dtype == EG_F32 ? 0x7f800000u : dtype == EG_F16 ? 0x7c00u : 0x7f80u;
    const uint32_t least = infinite ? exponent : exponent + 1;
    uint32_t most = 0;
    if (dtype == EG_F32)
        for (size_t i = 0; i < count; i++) {
            uint32_t bits;
            memcpy(&bits, at + 4 * i, sizeof bits);
            bits &= 0x7fffffffu;
            most = bits > most ? bits : most;
        }
    else
        for (size_t i = 0; i < count; i++) {
            uint16_t bits;
            memcpy(&bits, at + 2 * i, sizeof bits);
            bits &= 0x7fffu;
            most = bits > most ? bits : most;
        }
    return most >= least;
}

/* Do the elements, in whatever order, lie side by side from `data` on? */
static bool is_run(const struct eg_tensor *t, size_t count)
{
    size_t reach = 0;
    for (unsigned i = 0; i < t->rank; i++) {
        if (t->stride[i] < 0) return false;
        reach += (t->dim[i] - 1) * (size_t)t->stride[i];
    }
    return reach < count;
}

static enum eg_status look(const struct eg_tensor *t, bool infinite, bool *broken, struct eg_error *err)
{
    const size_t count = eg__tensor_count(t);
    *broken = false;
    if (t->dtype >= EG_I64 || !count) return EG_OK;
    if (t->dtype != EG_F64 && is_run(t, count)) {
        *broken = any_broken(t->data, t->dtype, count, infinite);
        return EG_OK;
    }
    float *numbers = eg__alloc(count, sizeof *numbers);
    if (!numbers) return eg__fail_memory(err, "a layer's parameters");
    eg__tensor_read(t, numbers);
    *broken = any_broken((const uint8_t *)numbers, EG_F32, count, infinite);
    free(numbers);
    return EG_OK;
}

enum eg_status eg__graph_check_finite(const struct eg_graph *graph, const bool *which, struct eg_error *err)
{
    for (uint32_t i = 0; i < graph->n_nodes; i++) {
        const struct eg_node *node = &graph->nodes[i];
        if (which && !which[i]) continue;
        /* a mask's or a bound's infinity is meant */
        const bool learned = node->op == EG_OP_CONV || node->op == EG_OP_LINEAR ||
                             node->op == EG_OP_BATCH_NORM || node->op == EG_OP_LAYER_NORM;
        for (unsigned k = 0; k < EG_PARAMS_MAX; k++) {
            const struct eg_tensor *t = node->params[k];
            bool broken;
            if (!t || !t->data) continue;
            enum eg_status status = look(t, learned, &broken, err);
            if (status) return status;
            if (!broken) continue;
            return eg__fail(
                err, EG_E_FORMAT,
                "layer '%.200s': its %s '%.200s' holds NaN or infinity (the training failed, or the "
                "file is damaged: get another)",
                node->name, eg__op_info[node->op].text, t->name ? t->name : "constant");
        }
    }
    return EG_OK;
}
