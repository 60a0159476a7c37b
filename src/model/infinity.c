/* infinity.c: images through a run, and where in a network NaN and infinity begin. */
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "image/photo.h"
#include "model/model.h"

enum { LAYERS_AT_ONCE = 32, FLOATS_AT_ONCE = 1 << 23 };

/* NaN and infinities are the numbers whose exponent is all ones. */
bool eg__all_finite(const float *values, size_t n)
{
    uint32_t worst = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        bits &= 0x7f800000;
        worst = bits > worst ? bits : worst;
    }
    return worst < 0x7f800000;
}

enum eg_status eg__input_forward(struct eg_run *run, const struct eg_input *input, size_t n,
                                 float *const *out, struct eg_error *err)
{
    if (input->values) return eg__run_forward(run, input->values, n, out, err);
    float scale[3], offset[3];
    eg__recipe_affine(input->recipe, scale, offset);
    return eg__run_forward_pixels(run, input->pixels, scale, offset, input->recipe->bgr, n, out, err);
}

/* Layers first .. end-1 in one pass; *bad is the first that is not finite. */
static enum eg_status look_at(const struct eg_graph *graph, const struct eg_input *input, uint32_t first,
                              uint32_t end, uint32_t *bad, struct eg_error *err)
{
    uint32_t nodes[LAYERS_AT_ONCE] = {0}, n = end - first;
    float *out[LAYERS_AT_ONCE] = {0};
    struct eg_run *run = NULL;
    enum eg_status status = EG_OK;
    for (uint32_t i = 0; i < n && !status; i++) {
        nodes[i] = first + i;
        out[i] = eg__alloc(eg__shape_count(graph->nodes[nodes[i]].shape), sizeof(float));
        if (!out[i]) status = eg__fail_memory(err, "a layer's values");
    }
    if (!status) status = eg__run_create(graph, nodes, n, NULL, NULL, &run, err);
    if (!status) status = eg__input_forward(run, input, 1, out, err);
    for (uint32_t i = 0; i < n && !status && !*bad; i++)
        if (!eg__all_finite(out[i], eg__shape_count(graph->nodes[nodes[i]].shape))) *bad = nodes[i];
    eg__run_free(run);
    for (uint32_t i = 0; i < n; i++) free(out[i]);
    return status;
}

enum eg_status eg__explain_infinity(const struct eg_graph *graph, const struct eg_input *input,
                                    const char *path, struct eg_error *err)
{
    uint32_t bad = 0;
    for (uint32_t first = 1, end; first < graph->n_nodes && !bad; first = end) {
        size_t floats = 0;
        for (end = first; end < graph->n_nodes && end - first < LAYERS_AT_ONCE; end++) {
            floats += eg__shape_count(graph->nodes[end].shape);
            if (end > first && floats > FLOATS_AT_ONCE) break;
        }
        enum eg_status status = look_at(graph, input, first, end, &bad, err);
        if (status) return status;
    }
    return eg__fail(
        err, EG_E_NUMERIC,
        "'%.200s' gives NaN or infinity for '%.300s', from layer '%.200s' on (look at its weights "
        "and its recipe)",
        graph->name, path, bad ? graph->nodes[bad].name : graph->nodes[graph->output].name);
}
