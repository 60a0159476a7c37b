/* tune_head.c: the FC head that is put on a cut. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fail.h"
#include "base/mem.h"
#include "base/rng.h"
#include "flow/tune.h"

static enum eg_status add_linear(struct eg_graph *head, const char *name, size_t in, size_t out,
                                 struct eg_rng *rng, struct eg_error *err)
{
    size_t n, dim[2] = {out, in};
    float *values = eg__mul(in + 1, out, &n) ? eg__alloc(n, sizeof *values) : NULL;
    if (!values) return eg__fail_memory(err, "the new head");
    double bound = 1 / sqrt((double)in); /* as torch begins a Linear */
    for (size_t i = 0; i < n; i++) values[i] = (float)(bound * (2 * eg__rng_uniform(rng) - 1));
    char label[64];
    struct eg_node node = {.op = EG_OP_LINEAR, .name = name, .n_inputs = 1, .inputs = {head->output}};
    snprintf(label, sizeof label, "%s.weight", name);
    node.params[0] = eg__graph_constant(head, label, 2, dim, values);
    snprintf(label, sizeof label, "%s.bias", name);
    node.params[1] = eg__graph_constant(head, label, 1, dim, values + in * out);
    free(values);
    if (!node.params[0] || !node.params[1]) return eg__fail_memory(err, "the new head");
    return eg__graph_add(head, &node, &head->output, err);
}

static enum eg_status build(struct eg_graph *head, size_t d, size_t hidden, size_t classes,
                            struct eg_rng *rng, struct eg_error *err)
{
    struct eg_node input = {.op = EG_OP_INPUT, .name = "features", .shape = eg__vector_shape(d)};
    enum eg_status status = eg__graph_add(head, &input, &head->output, err);
    if (!status && hidden) {
        status = add_linear(head, "head.fc1", d, hidden, rng, err);
        struct eg_node relu = {
            .op = EG_OP_RELU, .name = "head.relu", .n_inputs = 1, .inputs = {head->output}};
        if (!status) status = eg__graph_add(head, &relu, &head->output, err);
        struct eg_node dropout = {.op = EG_OP_DROPOUT,
                                  .name = "head.dropout",
                                  .n_inputs = 1,
                                  .inputs = {head->output},
                                  .alpha = 0.5f};
        if (!status) status = eg__graph_add(head, &dropout, &head->output, err);
    }
    if (!status) status = add_linear(head, "head.fc", hidden ? hidden : d, classes, rng, err);
    struct eg_node softmax = {.op = EG_OP_SOFTMAX, .name = "probabilities", .n_inputs = 1, .inputs = {0}};
    if (status) return status;
    softmax.inputs[0] = head->output;
    return eg__graph_add(head, &softmax, &head->output, err);
}

enum eg_status eg__tune_head(size_t d, size_t hidden, size_t classes, uint64_t seed, struct eg_graph **out,
                             struct eg_error *err)
{
    struct eg_rng rng;
    struct eg_graph *head;
    eg__rng_init(&rng, seed, 0x68656164);
    enum eg_status status = eg__graph_create("head", &head, err);
    if (status) return status;
    status = build(head, d, hidden, classes, &rng, err);
    if (status)
        eg__graph_free(head);
    else
        *out = head;
    return status;
}

void eg__softmax(const float *logits, size_t n, float *p)
{
    float largest = logits[0], sum = 0;
    for (size_t k = 1; k < n; k++) largest = fmaxf(largest, logits[k]);
    for (size_t k = 0; k < n; k++) sum += p[k] = expf(logits[k] - largest);
    for (size_t k = 0; k < n; k++) p[k] /= sum;
}
