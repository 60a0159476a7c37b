/* plan.c: from a graph and the outputs wanted to a list of steps. What is fused depends on the
 * graph alone, never on what is asked for, wherever fusing changes bits (batch-norm folded into
 * a convolution); elsewhere a value that is asked for or used twice simply ends its chain. */
#include "net/plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "graph/checks.h"
#include "net/array.h"
#include "net/place.h"
#include "net/plain.h"

struct planner {
    const struct eg_graph *graph;
    struct eg_run *run;
    bool *needed;                       /* [nodes] some output depends on it */
    bool *wanted;                       /* [nodes] is an output */
    bool *made;                         /* [nodes] its value is in memory behind the steps so far */
    bool *done;                         /* [nodes] made, or inside a step */
    bool *by_strides;                   /* [nodes] not asked for, and all that use it read strides */
    uint32_t *users;                    /* [nodes] in the whole graph */
    uint32_t *needed_users, *last_user; /* [nodes] among the needed; the last of those */
    size_t names_length;
};

static enum eg_status start(struct planner *p, const uint32_t *outputs, size_t n_outputs,
                            struct eg_error *err)
{
    const struct eg_graph *g = p->graph;
    const size_t n = g->n_nodes;
    p->needed = eg__zalloc(n, sizeof *p->needed);
    p->wanted = eg__zalloc(n, sizeof *p->wanted);
    p->made = eg__zalloc(n, sizeof *p->made);
    p->done = eg__zalloc(n, sizeof *p->done);
    p->by_strides = eg__zalloc(n, sizeof *p->by_strides);
    p->users = eg__zalloc(n, sizeof *p->users);
    p->needed_users = eg__zalloc(n, sizeof *p->needed_users);
    p->last_user = eg__zalloc(n, sizeof *p->last_user);
    if (!p->needed || !p->wanted || !p->made || !p->done || !p->by_strides || !p->users || !p->needed_users ||
        !p->last_user)
        return eg__fail_memory(err, "the plan");
    for (size_t i = 0; i < n_outputs; i++) {
        if (outputs[i] >= n) return eg__fail(err, EG_E_ARGUMENT, "there is no layer #%u", outputs[i]);
        if (p->wanted[outputs[i]])
            return eg__fail(err, EG_E_ARGUMENT, "layer '%.200s' is asked for twice",
                            g->nodes[outputs[i]].name);
        if (g->nodes[outputs[i]].times > 1)
            return eg__fail(err, EG_E_ARGUMENT,
                            "layer '%.200s' has several views of an image (ask for their mean)",
                            g->nodes[outputs[i]].name);
        p->wanted[outputs[i]] = p->needed[outputs[i]] = true;
    }
    for (size_t i = 0; i < n; i++) p->by_strides[i] = !p->wanted[i];
    for (size_t i = n; i-- > 0;)
        for (uint32_t j = 0; j < g->nodes[i].n_inputs; j++) {
            uint32_t input = g->nodes[i].inputs[j];
            p->users[input]++;
            if (!p->needed[i]) continue;
            p->needed[input] = true;
            p->needed_users[input]++;
            p->by_strides[input] &= eg__reads_arrays(&g->nodes[i], j);
            if (p->last_user[input] < i) p->last_user[input] = (uint32_t)i;
        }
    for (size_t i = 0; i < n; i++) {
        if (!p->needed[i]) continue;
        for (unsigned k = 0; k < EG_PARAMS_MAX; k++)
            if (g->nodes[i].params[k] && !g->nodes[i].params[k]->data)
                return eg__fail(err, EG_E_ARGUMENT, "layer '%.200s' has no weights (name a weights file)",
                                g->nodes[i].name);
        p->names_length += strlen(g->nodes[i].name) + 1;
    }
    return eg__graph_check_finite(g, p->needed, err);
}

/* The one node that uses `node`, if nothing else does and its value is not asked for. */
static const struct eg_node *only_user(const struct planner *p, uint32_t node)
{
    if (p->wanted[node] || p->needed_users[node] != 1) return NULL;
    return &p->graph->nodes[p->last_user[node]];
}

static uint32_t index_of(const struct planner *p, const struct eg_node *node)
{
    return (uint32_t)(node - p->graph->nodes);
}

/* The batch-norm that is always folded into this convolution, or NULL. */
static const struct eg_node *folded_norm(const struct planner *p, uint32_t conv)
{
    if (p->users[conv] != 1 || !p->needed_users[conv]) return NULL;
    const struct eg_node *user = &p->graph->nodes[p->last_user[conv]];
    return user->op == EG_OP_BATCH_NORM ? user : NULL;
}

/* Follow the step's output through what can be fused behind it. */
static void fuse_tail(struct planner *p, struct eg_run_step *step, bool residual_too, bool pool_too)
{
    const struct eg_node *next;
    while ((next = only_user(p, step->output))) {
        enum eg_activation act;
        float a, b;
        if (residual_too && next->op == EG_OP_ADD && next->n_inputs == 2 && step->residual == EG_NO_VALUE &&
            !step->act) {
            uint32_t other = next->inputs[next->inputs[0] == step->output];
            if (!p->made[other] || !eg__shape_is(p->graph->nodes[other].shape, next->shape) ||
                !eg__shape_is(p->graph->nodes[step->output].shape, next->shape))
                return;
            step->residual = other;
        } else if (!step->act && eg__node_activation(next, &act, &a, &b)) {
            step->act = act;
            step->act_a = a;
            step->act_b = b;
        } else if (pool_too && next->op == EG_OP_MAX_POOL && step->residual == EG_NO_VALUE &&
                   step->act <= EG_ACT_CLAMP) {
            const struct eg_window *w = &next->window;
            struct eg_map in = eg__map(p->graph->nodes[step->output].shape);
            if (w->kernel_h != 2 || w->kernel_w != 2 || w->stride_h != 2 || w->stride_w != 2 ||
                w->dilation_h != 1 || w->dilation_w != 1 || w->pad_top || w->pad_left ||
                eg__map(next->shape).h != in.h / 2 || eg__map(next->shape).w != in.w / 2)
                return;
            step->pool = true;
            step->output = index_of(p, next);
            p->done[step->output] = true;
            return;
        } else {
            return;
        }
        step->output = index_of(p, next);
        p->done[step->output] = true;
    }
}

enum eg_status eg__run_add_step(struct eg_run *run, const struct eg_node *node, uint32_t output,
                                const uint32_t *inputs, uint32_t n_inputs, struct eg_run_step **step,
                                struct eg_error *err)
{
    if (!eg__grow(&run->steps, &run->steps_capacity, run->n_steps + 1, sizeof *run->steps))
        return eg__fail_memory(err, "the plan");
    struct eg_run_step *s = &run->steps[run->n_steps];
    *s = (struct eg_run_step){.node = *node, .output = output, .residual = EG_NO_VALUE};
    s->inputs = eg__alloc(n_inputs, sizeof *s->inputs);
    if (!s->inputs) return eg__fail_memory(err, "the plan");
    run->n_steps++;
    for (uint32_t i = 0; i < n_inputs; i++) s->inputs[i] = inputs[i];
    s->n_inputs = n_inputs;
    if (n_inputs) s->in = eg__map(run->values[inputs[0]].shape);
    *step = s;
    return EG_OK;
}

static void end_step(struct planner *p, struct eg_run_step *step)
{
    const struct eg_run_step *last = step > p->run->steps ? step - 1 : NULL;
    const char *name = p->graph->nodes[step->output].name;
    size_t length = strlen(name) + 1;
    if (last && last->output == step->output) { /* a concatenation has a step for each of its members */
        step->info.name = last->info.name;
    } else {
        step->info.name = memcpy(p->run->names + p->names_length, name, length);
        p->names_length += length;
    }
    p->made[step->output] = true;
}

/* A depthwise step whose large input the last step makes from a 1 x 1 convolution, for it alone, takes
 * that step over. Same sums, so that it does not matter to the bits that only some graphs allow it. */
static enum eg_status take_before(struct planner *p, struct eg_run_step *step, struct eg_error *err)
{
    struct eg_run *run = p->run;
    struct eg_run_step *last = step - 1;
    const struct eg_window *w = &step->node.window;
    const uint32_t value = step->inputs[0];
    if (run->n_steps < 2 || last->output != value || !only_user(p, value) || !eg__gemm_goes_before(last) ||
        run->values[value].root != value || w->dilation_h != 1 || w->stride_h > w->kernel_h ||
        eg__map_count(step->in) < EG_MADE_BEFORE_FLOATS)
        return EG_OK;
    struct eg_run_step *before = malloc(sizeof *before);
    if (!before) return eg__fail_memory(err, "the plan");
    *before = *last;
    *last = *step;
    last->before = before;
    last->inputs[0] = before->inputs[0];
    last->info.macs += before->info.macs;
    run->n_steps--;
    return EG_OK;
}

static enum eg_status plan_conv(struct planner *p, uint32_t index, bool fold, struct eg_error *err)
{
    const struct eg_node *node = &p->graph->nodes[index], *norm = fold ? folded_norm(p, index) : NULL;
    struct eg_run_step *step;
    enum eg_status status = eg__run_add_step(p->run, node, index, node->inputs, 1, &step, err);
    if (status) return status;
    struct eg_plan_conv conv = {.graph = p->graph, .node = node};
    float *factors = NULL;
    if (norm) {
        size_t c = eg__map(node->shape).c;
        factors = eg__alloc(2 * c, sizeof *factors);
        if (!factors || !eg__batch_norm_factors(norm, c, factors, factors + c)) {
            free(factors);
            return eg__fail_memory(err, "the plan");
        }
        conv.scale = factors;
        conv.shift = factors + c;
        step->output = index_of(p, norm);
        p->done[step->output] = true;
    }
    step->info.macs = eg__node_macs(p->graph, index);
    const bool depthwise = node->op == EG_OP_CONV && node->groups > 1 && node->groups == step->in.c &&
                           eg__map(node->shape).c == step->in.c &&
                           node->window.kernel_h <= EG_DEPTHWISE_ROWS_MAX;
    const bool winograd = eg__winograd_tile(node, step->in, p->run->exact) != 0;
    fuse_tail(p, step, true, winograd);
    if (depthwise && !(status = take_before(p, step, err))) step = &p->run->steps[p->run->n_steps - 1];
    if (status) {
        free(factors);
        return status;
    }
    if (depthwise)
        status = eg__plan_depthwise(p->run, step, &conv, err);
    else if (winograd)
        status = eg__plan_winograd(p->run, step, &conv, err);
    else
        status = eg__plan_gemm(p->run, step, &conv, err);
    free(factors);
    end_step(p, step);
    return status;
}

static bool is_move(const struct eg_node *node)
{
    return node->op == EG_OP_CONSTANT || node->op == EG_OP_TRANSPOSE || node->op == EG_OP_RESHAPE ||
           node->op == EG_OP_EXPAND || node->op == EG_OP_GATHER || node->axis;
}

static enum eg_status plan_node(struct planner *p, uint32_t index, struct eg_error *err)
{
    const struct eg_node *node = &p->graph->nodes[index];
    struct eg_run_step *step;
    enum eg_status status;
    if (node->op == EG_OP_CONV || node->op == EG_OP_LINEAR) {
        if (p->wanted[index] && folded_norm(p, index)) { /* asked for as it is before the norm, too */
            status = plan_conv(p, index, false, err);
            if (status) return status;
        }
        return plan_conv(p, index, true, err);
    }
    if (eg__place_is_view(p->run, p->graph, index)) {
        p->made[index] = true;
        return EG_OK;
    }
    if (node->op == EG_OP_CONCAT && !node->axis) { /* what could not be made in place is copied */
        for (uint32_t i = 0, first = 0; i < node->n_inputs; i++) {
            uint32_t c = (uint32_t)eg__map(p->graph->nodes[node->inputs[i]].shape).c;
            if (!eg__place_is_member(p->run, index, node->inputs[i], first)) {
                status = eg__run_add_step(p->run, node, index, &node->inputs[i], 1, &step, err);
                if (!status) status = eg__plan_plain(p->run, step, node, err);
                if (status) return status;
                step->slice_first = first;
                step->slice_count = c;
                end_step(p, step);
            }
            first += c;
        }
        p->made[index] = true;
        return EG_OK;
    }
    status = eg__run_add_step(p->run, node, index, node->inputs, node->n_inputs, &step, err);
    if (!status && node->op == EG_OP_MATMUL)
        status = eg__plan_matmul(p->run, step, node, err);
    else if (!status && node->op == EG_OP_ATTENTION)
        status = eg__plan_attention(p->run, step, node, err);
    else if (!status && (node->op == EG_OP_VIEWS || node->op == EG_OP_VIEWS_MEAN))
        status = eg__plan_views(p->run, step, node, err);
    else if (!status && is_move(node))
        status = eg__plan_move(p->run, step, node, err);
    else if (!status)
        status = eg__plan_plain(p->run, step, node, err);
    if (status) return status;
    const bool binary = node->op >= EG_OP_ADD && node->op <= EG_OP_MIN;
    if (binary || node->op == EG_OP_BATCH_NORM) fuse_tail(p, step, false, false);
    end_step(p, step);
    return EG_OK;
}

static enum eg_status plan_steps(struct planner *p, struct eg_error *err)
{
    struct eg_run *run = p->run;
    const struct eg_graph *g = p->graph;
    run->names = malloc(p->names_length * 2 + 1); /* a convolution may be there twice */
    if (!run->names) return eg__fail_memory(err, "the plan");
    p->names_length = 0;
    p->made[0] = true;
    for (uint32_t i = 1; i < g->n_nodes; i++) {
        if (!p->needed[i] || p->done[i]) continue;
        enum eg_status status = plan_node(p, i, err);
        if (status) return status;
    }
    return EG_OK;
}

static enum eg_status create(const struct eg_graph *graph, const uint32_t *outputs, size_t n_outputs,
                             struct eg_run *run, struct planner *p, struct eg_error *err)
{
    enum eg_status status = start(p, outputs, n_outputs, err);
    if (status) return status;
    run->values = eg__zalloc(graph->n_nodes + n_outputs, sizeof *run->values);
    run->outputs = eg__alloc(n_outputs, sizeof *run->outputs);
    if (!run->values || !run->outputs) return eg__fail_memory(err, "the plan");
    run->n_values = graph->n_nodes + (uint32_t)n_outputs; /* the last are copies for the caller */
    for (size_t i = 0; i < n_outputs; i++) run->outputs[i] = outputs[i];
    run->n_outputs = n_outputs;
    eg__place_roots(run, graph, p->needed,
                    &(struct eg_place_users){p->needed_users, p->wanted, p->by_strides}, p->done);
    memset(p->done, 0, graph->n_nodes * sizeof *p->done);
    status = plan_steps(p, err);
    if (!status) status = eg__place_outputs(run, graph, err);
    return status;
}

enum eg_status eg__run_create(const struct eg_graph *graph, const uint32_t *outputs, size_t n_outputs,
                              const struct eg_run_options *options, eg_pool *pool, struct eg_run **out,
                              struct eg_error *err)
{
    if (!n_outputs) return eg__fail(err, EG_E_ARGUMENT, "no output is asked for");
    struct eg_run *run = eg__zalloc(1, sizeof *run);
    if (!run) return eg__fail_memory(err, "the plan");
    run->kernels = eg__kernels();
    run->pool = pool;
    run->threads = eg_pool_threads(pool);
    run->max_batch = options && options->max_batch ? options->max_batch : 1;
    run->exact = options && options->exact;
    struct planner p = {.graph = graph, .run = run};
    enum eg_status status = create(graph, outputs, n_outputs, run, &p, err);
    if (!status && !(options && options->plan_only)) status = eg__place_values(run, err);
    free(p.needed);
    free(p.wanted);
    free(p.made);
    free(p.done);
    free(p.by_strides);
    free(p.users);
    free(p.needed_users);
    free(p.last_user);
    if (status) {
        eg__run_free(run);
        return status;
    }
    *out = run;
    return EG_OK;
}

enum eg_status eg__run_twin(const struct eg_run *first, eg_pool *pool, struct eg_run **out,
                            struct eg_error *err)
{
    struct eg_run *run = eg__zalloc(1, sizeof *run);
    if (!run) return eg__fail_memory(err, "the plan");
    *run = *first;
    run->twin = true;
    run->pool = pool;
    run->threads = eg_pool_threads(pool);
    run->values = eg__alloc(first->n_values, sizeof *run->values);
    run->steps = eg__alloc(first->n_steps, sizeof *run->steps);
    enum eg_status status = run->values && run->steps ? EG_OK : eg__fail_memory(err, "the plan");
    if (!status) {
        memcpy(run->values, first->values, first->n_values * sizeof *run->values);
        memcpy(run->steps, first->steps, first->n_steps * sizeof *run->steps);
        status = eg__place_values(run, err);
    }
    if (status) {
        eg__run_free(run);
        return status;
    }
    *out = run;
    return EG_OK;
}
