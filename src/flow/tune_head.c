/* tune_head.c: the FC head that is put on a cut. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fail.h"
#include "base/mem.h"
#include "base/rng.h"
#include "flow/tune.h"

/* rng NULL: all 0. */
static enum eg_status add_linear(struct eg_graph *head, const char *name, size_t in, size_t out,
                                 struct eg_rng *rng, struct eg_error *err)
{
    size_t n, dim[2] = {out, in};
    float *values = eg__mul(in + 1, out, &n) ? eg__alloc(n, sizeof *values) : NULL;
    if (!values) return eg__fail_memory(err, "the new head");
    double bound = 1 / sqrt((double)in); /* as torch begins a Linear */
    for (size_t i = 0; i < n; i++) values[i] = rng ? (float)(bound * (2 * eg__rng_uniform(rng) - 1)) : 0;
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

/* A unary layer on the head's end. */
static enum eg_status add_layer(struct eg_graph *head, enum eg_op op, const char *name, struct eg_error *err)
{
    struct eg_node node = {.op = op,
                           .name = name,
                           .n_inputs = 1,
                           .inputs = {head->output},
                           .alpha = op == EG_OP_DROPOUT ? 0.5f : 0};
    return eg__graph_add(head, &node, &head->output, err);
}

static enum eg_status add_hidden(struct eg_graph *head, size_t d, size_t hidden, struct eg_rng *rng,
                                 struct eg_error *err)
{
    enum eg_status status = add_linear(head, "head.fc1", d, hidden, rng, err);
    if (!status) status = add_layer(head, EG_OP_RELU, "head.relu", err);
    return status ? status : add_layer(head, EG_OP_DROPOUT, "head.dropout", err);
}

static enum eg_status build(struct eg_graph *head, const struct eg_head_shape *shape, struct eg_rng *rng,
                            struct eg_error *err)
{
    struct eg_node input = {.op = EG_OP_INPUT, .name = "features", .shape = eg__vector_shape(shape->d)};
    enum eg_status status = eg__graph_add(head, &input, &head->output, err);
    uint32_t features = head->output;
    if (!status && shape->hidden) status = add_hidden(head, shape->d, shape->hidden, rng, err);
    if (!status && shape->hidden && shape->skip)
        status = add_linear(head, "head.fc2", shape->hidden, shape->classes, NULL, err);
    struct eg_node sum = {
        .op = EG_OP_ADD, .name = "head.sum", .n_inputs = 2, .inputs = {head->output, head->output}};
    bool beside = shape->hidden && shape->skip;
    if (beside) head->output = features;
    if (!status)
        status = add_linear(head, EG_HEAD_LINEAR, shape->hidden && !beside ? shape->hidden : shape->d,
                            shape->classes, rng, err);
    if (!status && beside) {
        sum.inputs[1] = head->output;
        status = eg__graph_add(head, &sum, &head->output, err);
    }
    return status ? status : add_layer(head, EG_OP_SOFTMAX, "probabilities", err);
}

enum eg_status eg__tune_head(const struct eg_head_shape *shape, uint64_t seed, struct eg_graph **out,
                             struct eg_error *err)
{
    struct eg_rng rng;
    struct eg_graph *head;
    eg__rng_init(&rng, seed, 0x68656164);
    enum eg_status status = eg__graph_create("head", &head, err);
    if (status) return status;
    status = build(head, shape, &rng, err);
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
