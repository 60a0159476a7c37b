/* tape.c: plans a tape (what is differentiated, where every value lies) and runs it. The
 * operators are in tape_*.c, one row each in tape_table.c. */
#include "net/tape.h"

#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "net/tape_ops.h"

struct block {
    float *floats;
    size_t count;
};

struct eg_tape {
    const struct eg_graph *graph;
    eg_pool *pool;
    size_t max_batch, last_n, first;
    uint64_t seed, last_step;
    float momentum;
    bool ready_for_backward;
    struct eg_tape_node *nodes; /* [graph->n_nodes] */
    uint32_t *boundary;
    size_t n_boundary;
    struct eg_parameter *parameters;
    size_t n_parameters, parameters_capacity;
    float *values, *gradients, *statistics;
    size_t n_values, n_statistics;
    float *scratch;
    struct block *blocks; /* every other array */
    size_t n_blocks, blocks_capacity;
};

/* An array that lives as long as the tape; NULL: no memory. */
static float *take(struct eg_tape *tape, size_t count)
{
    if (!eg__grow(&tape->blocks, &tape->blocks_capacity, tape->n_blocks + 1, sizeof *tape->blocks))
        return NULL;
    float *floats = eg__alloc(count, sizeof(float));
    if (!floats) return NULL;
    tape->blocks[tape->n_blocks++] = (struct block){floats, count};
    return floats;
}

static bool is_optional(const char *param) { return param && strchr(param, '?'); }

/* The parameters a gradient is worked out for. */
static bool is_learned(const struct eg_tape_node *node, const bool *trainable, uint32_t index, unsigned slot)
{
    if (!trainable[index] || !node->node->params[slot]) return false;
    switch (node->node->op) {
    case EG_OP_BATCH_NORM: return node->batch_stats && slot < 2;
    case EG_OP_TREE_ENSEMBLE:
    case EG_OP_CONSTANT:
    case EG_OP_GATHER:
    case EG_OP_ATTENTION:
    case EG_OP_EQUAL:
    case EG_OP_LESS: return false;
    case EG_OP_ADD:
    case EG_OP_SUB:
    case EG_OP_MUL:
    case EG_OP_DIV:
    case EG_OP_MAX:
    case EG_OP_MIN: return eg__tensor_count(node->node->params[slot]) > 1; /* one number is a formula's */
    default: return true;
    }
}

static enum eg_status find_active(struct eg_tape *tape, const struct eg_tape_options *options,
                                  struct eg_error *err)
{
    const struct eg_graph *graph = tape->graph;
    bool any = false, *needed = eg__zalloc(graph->n_nodes, sizeof *needed);
    if (!needed) return eg__fail_memory(err, "the training plan");
    needed[graph->output] = true;
    for (uint32_t i = graph->output + 1; i-- > 0;)
        for (uint32_t k = 0; needed[i] && k < graph->nodes[i].n_inputs; k++)
            needed[graph->nodes[i].inputs[k]] = true;
    for (uint32_t i = 0; i <= graph->output; i++) {
        struct eg_tape_node *node = &tape->nodes[i];
        node->node = &graph->nodes[i];
        node->count = eg__shape_count(node->node->shape);
        if (!needed[i]) continue;
        node->batch_stats =
            node->node->op == EG_OP_BATCH_NORM && options->trainable[i] && options->train_batch_norm;
        if (node->node->op == EG_OP_INPUT) node->active = options->of_input;
        for (unsigned slot = 0; slot < EG_PARAMS_MAX; slot++)
            node->active |= is_learned(node, options->trainable, i, slot);
        for (uint32_t k = 0; k < node->node->n_inputs; k++)
            node->active |= tape->nodes[node->node->inputs[k]].active;
        any |= node->active;
    }
    free(needed);
    if (!any || !tape->nodes[graph->output].active)
        return eg__fail(err, EG_E_ARGUMENT, "nothing to learn: no layer that is unfrozen has parameters");
    for (uint32_t i = 0; i <= graph->output; i++) {
        const struct eg_tape_node *node = &tape->nodes[i];
        const bool learned_mask = node->node && node->node->op == EG_OP_ATTENTION &&
                                  node->node->n_inputs > 3 && tape->nodes[node->node->inputs[3]].active;
        if (node->active && node->node->op != EG_OP_INPUT &&
            (learned_mask || !eg__tape_ops[node->node->op].backward))
            return eg__fail(err, EG_E_UNSUPPORTED,
                            "layer '%s' (%s) has no gradient: keep it and what is below frozen",
                            node->node->name, eg__op_info[node->node->op].text);
    }
    return EG_OK;
}

/* Boundary nodes, numbers of consumers, and which values may overwrite their input. */
static enum eg_status link_nodes(struct eg_tape *tape, struct eg_error *err)
{
    const struct eg_graph *graph = tape->graph;
    bool *is_boundary = eg__zalloc(graph->n_nodes, sizeof *is_boundary);
    bool *locked = eg__zalloc(graph->n_nodes, sizeof *locked); /* a backward reads this y */
    tape->boundary = eg__zalloc(graph->n_nodes, sizeof *tape->boundary);
    enum eg_status status =
        is_boundary && locked && tape->boundary ? EG_OK : eg__fail_memory(err, "the training plan");
    for (uint32_t i = 0; !status && i <= graph->output; i++) {
        struct eg_tape_node *node = &tape->nodes[i];
        if (!node->active) continue;
        for (uint32_t k = 0; k < node->node->n_inputs; k++) {
            uint32_t input = node->node->inputs[k];
            tape->nodes[input].n_consumers++;
            bool given = !tape->nodes[input].active || graph->nodes[input].op == EG_OP_INPUT;
            if (given && !is_boundary[input]) {
                is_boundary[input] = true;
                tape->boundary[tape->n_boundary++] = input;
            }
        }
    }
    tape->nodes[graph->output].n_consumers++;
    for (uint32_t i = 0; !status && i <= graph->output; i++) {
        struct eg_tape_node *node = &tape->nodes[i];
        if (!node->active) continue;
        const struct eg_tape_op *op = &eg__tape_ops[node->node->op];
        uint32_t input = node->node->inputs[0];
        node->in_place = op->may_be_in_place && !node->batch_stats && tape->nodes[input].active &&
                         tape->nodes[input].n_consumers == 1 && !locked[input];
        locked[i] = op->reads_y || (node->in_place && locked[input]);
    }
    free(is_boundary);
    free(locked);
    return status;
}

static enum eg_status take_parameters(struct eg_tape *tape, const bool *trainable, struct eg_error *err)
{
    const struct eg_graph *graph = tape->graph;
    for (uint32_t i = 0; i <= graph->output; i++) {
        struct eg_tape_node *node = &tape->nodes[i];
        if (!node->active) continue;
        for (unsigned slot = 0; slot < EG_PARAMS_MAX; slot++) {
            const struct eg_tensor *tensor = node->node->params[slot];
            const char *name = eg__op_info[node->node->op].params[slot];
            if (!tensor && name && !is_optional(name))
                return eg__fail(err, EG_E_ARGUMENT, "layer '%s' has no %s", node->node->name, name);
            if (!tensor) continue;
            if (!tensor->data)
                return eg__fail(err, EG_E_ARGUMENT,
                                "layer '%s' has no values for its %s (give a weights file)", node->node->name,
                                name ? name : "parameter");
            node->param_count[slot] = eg__tensor_count(tensor);
            if (is_learned(node, trainable, i, slot)) {
                if (!eg__grow(&tape->parameters, &tape->parameters_capacity, tape->n_parameters + 1,
                              sizeof *tape->parameters))
                    return eg__fail_memory(err, "the parameters");
                tape->parameters[tape->n_parameters++] = (struct eg_parameter){
                    .node = i,
                    .slot = slot,
                    .first = tape->n_values,
                    .count = node->param_count[slot],
                    .decays = slot == 0 && (node->node->op == EG_OP_CONV || node->node->op == EG_OP_LINEAR)};
                tape->n_values += node->param_count[slot];
            } else if (node->batch_stats) {
                tape->n_statistics += node->param_count[slot];
            } else {
                if (!(node->param[slot] = take(tape, node->param_count[slot])))
                    return eg__fail_memory(err, "the parameters");
                eg__tensor_read(tensor, node->param[slot]);
            }
        }
    }
    tape->values = take(tape, tape->n_values);
    tape->gradients = take(tape, tape->n_values);
    tape->statistics = take(tape, tape->n_statistics);
    if (!tape->values || !tape->gradients || !tape->statistics) return eg__fail_memory(err, "the parameters");
    memset(tape->gradients, 0, tape->n_values * sizeof(float));
    for (size_t k = 0; k < tape->n_parameters; k++) {
        const struct eg_parameter *parameter = &tape->parameters[k];
        struct eg_tape_node *node = &tape->nodes[parameter->node];
        node->param[parameter->slot] = tape->values + parameter->first;
        node->grad[parameter->slot] = tape->gradients + parameter->first;
        eg__tensor_read(node->node->params[parameter->slot], node->param[parameter->slot]);
    }
    float *next = tape->statistics;
    for (uint32_t i = 0; i <= graph->output; i++) {
        struct eg_tape_node *node = &tape->nodes[i];
        for (unsigned slot = 2; node->batch_stats && slot < 4; slot++) {
            node->param[slot] = next;
            eg__tensor_read(node->node->params[slot], next);
            next += node->param_count[slot];
        }
    }
    return EG_OK;
}

/* A gradient is alive from the backward of its last consumer to its own. */
static enum eg_status place_gradients(struct eg_tape *tape, struct eg_error *err)
{
    struct block *spare = eg__zalloc(tape->graph->n_nodes, sizeof *spare);
    if (!spare) return eg__fail_memory(err, "the training plan");
    size_t n_spare = 0;
    enum eg_status status = EG_OK;
    struct eg_tape_node *output = &tape->nodes[tape->graph->output];
    size_t output_count = output->count * tape->max_batch;
    if (!(output->dy = take(tape, output_count))) status = eg__fail_memory(err, "the gradients");
    size_t *capacity = eg__zalloc(tape->graph->n_nodes, sizeof *capacity);
    if (!capacity)
        status = eg__fail_memory(err, "the training plan");
    else
        capacity[tape->graph->output] = output_count;
    for (uint32_t i = tape->graph->output + 1; !status && i-- > 0;) {
        struct eg_tape_node *node = &tape->nodes[i];
        if (!node->active) continue;
        for (uint32_t k = 0; !status && k < node->node->n_inputs; k++) {
            uint32_t j = node->node->inputs[k];
            struct eg_tape_node *input = &tape->nodes[j];
            if (!input->active) continue;
            node->add_dx[k] = input->dy != NULL;
            if (input->dy) continue;
            if (node->in_place) {
                input->dy = node->dy;
                capacity[j] = capacity[i];
                continue;
            }
            size_t want = input->count * tape->max_batch, best = n_spare;
            for (size_t s = 0; s < n_spare; s++)
                if (spare[s].count >= want && (best == n_spare || spare[s].count < spare[best].count))
                    best = s;
            if (best < n_spare) {
                input->dy = spare[best].floats;
                capacity[j] = spare[best].count;
                spare[best] = spare[--n_spare];
            } else if ((input->dy = take(tape, want))) {
                capacity[j] = want;
            } else {
                status = eg__fail_memory(err, "the gradients");
            }
        }
        if (!node->in_place) spare[n_spare++] = (struct block){node->dy, capacity[i]};
    }
    free(capacity);
    free(spare);
    return status;
}

static enum eg_status place_values(struct eg_tape *tape, struct eg_error *err)
{
    size_t scratch = 0;
    for (uint32_t i = 0; i <= tape->graph->output; i++) {
        struct eg_tape_node *node = &tape->nodes[i];
        if (!node->active) continue;
        const struct eg_tape_op *op = &eg__tape_ops[node->node->op];
        node->y =
            node->in_place ? tape->nodes[node->node->inputs[0]].y : take(tape, node->count * tape->max_batch);
        if (!node->y) return eg__fail_memory(err, "the activations");
        size_t bytes = op->saved_bytes ? op->saved_bytes(tape->nodes, node, tape->max_batch) : 0;
        if (bytes && !(node->saved = take(tape, (bytes + sizeof(float) - 1) / sizeof(float))))
            return eg__fail_memory(err, "the activations");
        size_t floats = op->scratch ? op->scratch(tape->nodes, node, tape->max_batch) : 0;
        scratch = floats > scratch ? floats : scratch;
    }
    if (!(tape->scratch = take(tape, scratch)))
        return eg__fail_memory(err, "the scratch of the training pass");
    return EG_OK;
}

enum eg_status eg__tape_create(const struct eg_graph *graph, const struct eg_tape_options *options,
                               eg_pool *pool, struct eg_tape **out, struct eg_error *err)
{
    struct eg_tape *tape = eg__zalloc(1, sizeof *tape);
    if (!tape) return eg__fail_memory(err, "the training plan");
    tape->graph = graph;
    tape->pool = pool;
    tape->max_batch = options->max_batch ? options->max_batch : 1;
    tape->seed = options->seed;
    tape->momentum = options->batch_norm_momentum > 0 ? options->batch_norm_momentum : 0.1f;
    tape->nodes = eg__zalloc(graph->n_nodes, sizeof *tape->nodes);
    enum eg_status status = tape->nodes ? EG_OK : eg__fail_memory(err, "the training plan");
    if (!status) status = find_active(tape, options, err);
    if (!status) status = link_nodes(tape, err);
    if (!status) status = take_parameters(tape, options->trainable, err);
    if (!status) status = place_values(tape, err);
    if (!status) status = place_gradients(tape, err);
    if (status)
        eg__tape_free(tape);
    else
        *out = tape;
    return status;
}

void eg__tape_free(struct eg_tape *tape)
{
    if (!tape) return;
    for (size_t i = 0; i < tape->n_blocks; i++) free(tape->blocks[i].floats);
    free(tape->blocks);
    free(tape->parameters);
    free(tape->boundary);
    free(tape->nodes);
    free(tape);
}

const uint32_t *eg__tape_boundary(const struct eg_tape *tape, size_t *n)
{
    *n = tape->n_boundary;
    return tape->boundary;
}

const struct eg_parameter *eg__tape_parameters(const struct eg_tape *tape, size_t *n)
{
    *n = tape->n_parameters;
    return tape->parameters;
}

float *eg__tape_values(struct eg_tape *tape, size_t *n)
{
    *n = tape->n_values;
    return tape->values;
}

float *eg__tape_gradients(struct eg_tape *tape) { return tape->gradients; }

float *eg__tape_statistics(struct eg_tape *tape, size_t *n)
{
    *n = tape->n_statistics;
    return tape->statistics;
}

const float *eg__tape_input_gradient(const struct eg_tape *tape) { return tape->nodes[0].dy; }

void eg__tape_begin_at(struct eg_tape *tape, size_t first) { tape->first = first; }

static struct eg_tape_step step_of(struct eg_tape *tape, bool training)
{
    return (struct eg_tape_step){.nodes = tape->nodes,
                                 .pool = tape->pool,
                                 .scratch = tape->scratch,
                                 .n = tape->last_n,
                                 .first = tape->first,
                                 .training = training,
                                 .seed = tape->seed,
                                 .step = tape->last_step,
                                 .momentum = tape->momentum};
}

enum eg_status eg__tape_forward(struct eg_tape *tape, const float *const *inputs, size_t n, bool training,
                                uint64_t step, const float **output, struct eg_error *err)
{
    if (!n || n > tape->max_batch)
        return eg__fail(err, EG_E_ARGUMENT, "a batch of %zu images, planned for 1 to %zu", n,
                        tape->max_batch);
    tape->last_n = n;
    tape->last_step = step;
    tape->ready_for_backward = false;
    for (size_t b = 0; b < tape->n_boundary; b++) {
        struct eg_tape_node *node = &tape->nodes[tape->boundary[b]];
        if (node->active) /* the input, which those behind it may overwrite */
            memcpy(node->y, inputs[b], node->count * n * sizeof *node->y);
        else
            node->y = (float *)inputs[b];
    }
    struct eg_tape_step at = step_of(tape, training);
    for (uint32_t i = 0; i <= tape->graph->output; i++) {
        struct eg_tape_node *node = &tape->nodes[i];
        if (!node->active || node->node->op == EG_OP_INPUT) continue;
        at.index = i;
        enum eg_status status = eg__tape_ops[node->node->op].forward(&at, node, err);
        if (status) return status;
    }
    tape->ready_for_backward = training;
    *output = tape->nodes[tape->graph->output].y;
    return EG_OK;
}

enum eg_status eg__tape_backward(struct eg_tape *tape, const float *d_output, struct eg_error *err)
{
    if (!tape->ready_for_backward)
        return eg__fail(err, EG_E_ARGUMENT, "a backward pass without a forward pass for training before it");
    tape->ready_for_backward = false; /* in-place gradients have used up the values */
    struct eg_tape_node *output = &tape->nodes[tape->graph->output];
    memcpy(output->dy, d_output, output->count * tape->last_n * sizeof(float));
    struct eg_tape_step at = step_of(tape, true);
    for (uint32_t i = tape->graph->output + 1; i-- > 0;) {
        struct eg_tape_node *node = &tape->nodes[i];
        if (!node->active || node->node->op == EG_OP_INPUT) continue;
        at.index = i;
        enum eg_status status = eg__tape_ops[node->node->op].backward(&at, node, err);
        if (status) return status;
    }
    return EG_OK;
}

static enum eg_status replace(struct eg_graph *graph, uint32_t node, unsigned slot, const float *values,
                              struct eg_error *err)
{
    const struct eg_tensor *old = graph->nodes[node].params[slot];
    struct eg_tensor *learned = eg__graph_constant(graph, old->name, old->rank, old->dim, values);
    if (!learned) return eg__fail_memory(err, "the trained network");
    graph->nodes[node].params[slot] = learned;
    return EG_OK;
}

enum eg_status eg__tape_export(const struct eg_tape *tape, struct eg_graph *graph, struct eg_error *err)
{
    enum eg_status status = EG_OK;
    for (size_t k = 0; !status && k < tape->n_parameters; k++)
        status = replace(graph, tape->parameters[k].node, tape->parameters[k].slot,
                         tape->values + tape->parameters[k].first, err);
    for (uint32_t i = 0; !status && i <= tape->graph->output; i++)
        for (unsigned slot = 2; !status && tape->nodes[i].batch_stats && slot < 4; slot++)
            status = replace(graph, i, slot, tape->nodes[i].param[slot], err);
    return status;
}
