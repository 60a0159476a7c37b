/* cuts.c: "LAYER:POOL" to nodes of a graph. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/versioned.h"
#include "graph/checks.h"
#include "model/cut_tokens.h"
#include "model/model.h"
#include "model/views.h"

static const struct {
    const char *name;
    enum eg_op op;
    bool cls, patches; /* of tokens */
} pools[] = {{"flatten", EG_OP_FLATTEN, false, false}, {"avg", EG_OP_GLOBAL_AVG, false, true},
             {"max", EG_OP_GLOBAL_MAX, false, true},   {"gem", EG_OP_GLOBAL_GEM, false, true},
             {"cls", EG_OP_GLOBAL_AVG, true, false},   {"cls-avg", EG_OP_GLOBAL_AVG, true, true}};
enum { N_POOLS = sizeof pools / sizeof *pools };

static int find_pool(const char *name)
{
    for (int i = 0; i < N_POOLS; i++)
        if (!strcmp(pools[i].name, name)) return i;
    return -1;
}

struct cut { /* one, taken apart */
    char *layer;
    int pool;
    uint32_t node;
};

/* The last layers of a network that could not be read to its end: nothing that was read needs them. */
static enum eg_status fail_unread(const struct eg_net *net, const char *what, struct eg_error *err)
{
    enum { NAMES = 5 };
    const struct eg_graph *graph = net->graph;
    struct eg_text names = {0};
    unsigned n = 0;
    bool *used = eg__zalloc(graph->n_nodes, sizeof *used);
    if (!used) return eg__fail_memory(err, "the names of layers");
    for (uint32_t i = 0; i < graph->n_nodes; i++)
        for (uint32_t k = 0; k < graph->nodes[i].n_inputs; k++) used[graph->nodes[i].inputs[k]] = true;
    for (uint32_t i = graph->n_nodes; i-- > 1 && n < NAMES;)
        if (!used[i] && eg__node_is_cut(graph, i))
            eg__text_append(&names, n++ ? ", '%.100s'" : "'%.100s'", graph->nodes[i].name);
    enum eg_status status =
        names.failed
            ? eg__fail_memory(err, "the names of layers")
            : eg__fail(err, EG_E_UNSUPPORTED,
                       "%s: the network is read up to what cannot be: %.500s (cut it at or before %s)", what,
                       eg__graph_metadata(graph, EG_GRAPH_LEFT_OUT), names.chars ? names.chars : "");
    free(names.chars);
    free(used);
    return status;
}

static enum eg_status parse_cut(const struct eg_net *net, const char *text, const char *default_pool,
                                struct cut *cut, struct eg_error *err)
{
    const char *colon = strrchr(text, ':');
    int pool = colon ? find_pool(colon + 1) : -1;
    cut->layer = strndup(text, pool >= 0 ? (size_t)(colon - text) : strlen(text));
    if (!cut->layer) return eg__fail_memory(err, "a layer's name");
    cut->pool = pool >= 0 ? pool : find_pool(default_pool);
    if (cut->pool < 0)
        return eg__fail(err, EG_E_ARGUMENT, "pool '%s' is none of flatten, avg, max, gem, cls, cls-avg",
                        default_pool);
    enum eg_status status = eg__graph_find(net->graph, cut->layer, &cut->node, err);
    if (status && eg__graph_metadata(net->graph, EG_GRAPH_LEFT_OUT)) {
        char what[160];
        snprintf(what, sizeof what, "no layer '%.100s'", cut->layer);
        return fail_unread(net, what, err);
    }
    if (status) return status;
    if (!eg__node_is_cut(net->graph, cut->node))
        return eg__fail_for(err, EG_E_ARGUMENT, EG_REASON_NOT_A_CUT, "layer '%s' gives no features",
                            net->graph->nodes[cut->node].name);
    return EG_OK;
}

const char *eg__join(struct eg_graph *graph, const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b);
    char *joined = eg__graph_memory(graph, n + m + 1, 1);
    if (joined) {
        memcpy(joined, a, n);
        memcpy(joined + n, b, m + 1);
    }
    return joined;
}

/* The cut's name in a feature file: as typed, "/" written ".", a leading one dropped. */
static const char *stored_name(struct eg_graph *graph, const char *typed)
{
    char *name = eg__graph_string(graph, *typed == '/' ? typed + 1 : typed);
    for (char *c = name; c && *c; c++)
        if (*c == '/') *c = '.';
    return name;
}

/* The pooling's node behind a cut, and what the file says of it. */
static enum eg_status add_pool(struct eg_cut_plan *plan, size_t i, const struct cut *cut, const char *typed,
                               bool chw, struct eg_error *err)
{
    struct eg_graph *graph = plan->graph;
    struct eg_map shape = eg__map(graph->nodes[plan->outputs[i]].shape);
    const struct eg_node at = graph->nodes[plan->outputs[i]];
    bool flatten = pools[cut->pool].op == EG_OP_FLATTEN, vector = shape.h == 1 && shape.w == 1;
    struct eg_node node = {
        .op = pools[cut->pool].op, .n_inputs = 1, .inputs = {plan->outputs[i]}, .order_chw = chw};
    node.alpha = 3; /* GeM: p and floor of Radenovic et al. 2018 */
    node.beta = 1e-6f;
    bool taken = false;
    for (size_t k = 0; k < i; k++) taken = taken || plan->outputs[k] == plan->outputs[i];
    if (flatten && vector) node.op = EG_OP_IDENTITY;
    node.name = eg__join(graph, at.name, flatten ? ":flatten" : "");
    if (node.name && !flatten) node.name = eg__join(graph, node.name, ":");
    if (node.name && !flatten) node.name = eg__join(graph, node.name, pools[cut->pool].name);
    if (!node.name) return eg__fail_memory(err, "a layer's name");
    const bool tokens = at.shape.rank == 2, array = tokens || at.shape.rank > 3; /* in their own order */
    if (array) node.order_chw = chw = false;
    if (pools[cut->pool].cls && !tokens)
        return eg__fail(err, EG_E_ARGUMENT,
                        "layer '%.200s' has no tokens, of which there could be a class token", at.name);
    if (tokens && !flatten) {
        enum eg_status status =
            eg__token_pool(graph, plan->outputs[i], node.op, pools[cut->pool].cls, pools[cut->pool].patches,
                           node.name + strlen(at.name), &plan->outputs[i], err);
        if (status) return status;
    } else if (!flatten || !vector || taken) {
        enum eg_status status = eg__graph_add(graph, &node, &plan->outputs[i], err);
        if (status) return status;
    }
    struct eg_map out = eg__map(graph->nodes[plan->outputs[i]].shape);
    struct eg_map kept = flatten ? shape : out;
    plan->infos[i] = (struct eg_cut_info){
        .name = stored_name(graph, typed),
        .layer = eg__graph_string(graph, cut->layer),
        .layer_name = at.name,
        .op = eg__op_info[at.op].text,
        .shape = {kept.h, kept.w, kept.c},
        .order = chw ? "chw" : "hwc",
        .pool = pools[cut->pool].name,
        .length = eg__map_count(out),
    };
    if (!plan->infos[i].name || !plan->infos[i].layer) return eg__fail_memory(err, "a layer's name");
    for (size_t k = 0; k < i; k++)
        if (!strcmp(plan->infos[k].name, plan->infos[i].name))
            return eg__fail(err, EG_E_ARGUMENT, "cut '%s' is given twice", typed);
    return EG_OK;
}

/* The graph of what the outputs need, at the size asked for. */
static enum eg_status take(const struct eg_net *net, struct eg_cut_plan *plan, struct eg_error *err)
{
    enum eg_status status = eg__graph_keep(net->graph, plan->outputs, plan->n_outputs, &plan->graph, err);
    if (!status && net->height) status = eg__graph_resize(plan->graph, net->height, net->width, err);
    return status;
}

/* The answer behind the cuts. The label goes first: the last of them becomes the graph's output. */
static void want_answer(const struct eg_net *net, struct eg_cut_plan *plan)
{
    plan->n_outputs = plan->n;
    if (net->graph->label_output && !eg__graph_says_labels(net->graph))
        plan->outputs[plan->n_outputs++] = net->graph->label_output;
    plan->outputs[plan->n_outputs++] = net->graph->output;
}

static enum eg_status plan_whole(const struct eg_net *net, struct eg_cut_plan *plan, struct eg_error *err)
{
    if (eg_net_unread(net)) return fail_unread(net, "it cannot be run to its end", err);
    plan->outputs = eg__alloc(2, sizeof *plan->outputs);
    if (!plan->outputs) return eg__fail_memory(err, "a cut");
    want_answer(net, plan);
    enum eg_status status = eg__views_check_whole(net, err);
    if (!status) status = take(net, plan, err);
    plan->outputs[0] = plan->outputs[plan->n_outputs - 1];
    plan->n = plan->n_outputs = 1;
    return status;
}

static enum eg_status plan_cuts(const struct eg_net *net, const struct eg_run_cuts *cuts, bool answer,
                                struct eg_cut_plan *plan, struct eg_error *err)
{
    const char *own = eg_net_default_cut(net), *pool = cuts->pool ? cuts->pool : "flatten";
    const char *order = cuts->order ? cuts->order : "chw";
    const char *const *typed = cuts->n_cuts ? cuts->cuts : &own;
    size_t n = cuts->n_cuts ? cuts->n_cuts : 1;
    if (!typed[0] && eg_net_unread(net)) return fail_unread(net, "it has no default cut", err);
    if (!typed[0])
        return eg__fail_for(err, EG_E_ARGUMENT, EG_REASON_NO_DEFAULT_CUT, "'%s' has no default cut",
                            net->graph->name);
    if (strcmp(order, "chw") && strcmp(order, "hwc"))
        return eg__fail(err, EG_E_ARGUMENT, "order '%s' is neither chw nor hwc", order);
    struct cut *parsed = eg__zalloc(n, sizeof *parsed);
    plan->outputs = eg__zalloc(n + 2, sizeof *plan->outputs);
    plan->infos = eg__zalloc(n, sizeof *plan->infos);
    plan->n = plan->n_outputs = n;
    enum eg_status status = parsed && plan->outputs && plan->infos ? EG_OK : eg__fail_memory(err, "cuts");
    for (size_t i = 0; i < n && !status; i++) {
        status = parse_cut(net, typed[i], pool, &parsed[i], err);
        plan->outputs[i] = parsed[i].node;
    }
    if (!status && answer) want_answer(net, plan);
    if (!status) status = take(net, plan, err);
    if (!status && answer) status = eg__views_check_whole(net, err);
    const uint32_t output = status ? 0 : plan->graph->output;
    for (size_t i = 0; i < n && !status; i++)
        status = add_pool(plan, i, &parsed[i], typed[i], !strcmp(order, "chw"), err);
    if (!status) status = eg__views_plan(net, plan, err);
    if (!status) plan->graph->output = answer ? output : plan->outputs[n - 1];
    for (size_t i = 0; parsed && i < n; i++) free(parsed[i].layer);
    free(parsed);
    return status;
}

enum eg_status eg__cuts_plan(const struct eg_net *net, const struct eg_run_cuts *cuts,
                             struct eg_cut_plan *out, struct eg_error *err)
{
    struct eg_cut_plan plan = {0};
    struct eg_run_cuts own;
    enum eg_status status = eg__options(&own, sizeof own, cuts, err);
    if (!status) status = cuts ? plan_cuts(net, &own, false, &plan, err) : plan_whole(net, &plan, err);
    if (status)
        eg__cuts_release(&plan);
    else
        *out = plan;
    return status;
}

void eg__cuts_release(struct eg_cut_plan *plan)
{
    eg__graph_free(plan->graph);
    free(plan->outputs);
    free(plan->infos);
    *plan = (struct eg_cut_plan){0};
}

/* The layer whose values these are, in another shape at most. */
static const struct eg_node *behind(const struct eg_graph *graph, const struct eg_node *node)
{
    while (node->op == EG_OP_IDENTITY || node->op == EG_OP_FLATTEN || node->op == EG_OP_DROPOUT)
        node = &graph->nodes[node->inputs[0]];
    return node;
}

static bool gives_probabilities(const struct eg_net *net, const struct eg_graph *graph)
{
    enum eg_op op = behind(graph, &graph->nodes[graph->output])->op;
    return net->card.classifier || op == EG_OP_SOFTMAX || op == EG_OP_TREE_ENSEMBLE;
}

/* Is it the average of a convolution that lies past the features, as SqueezeNet ends? */
static bool averages_classes(const struct eg_graph *graph, const struct eg_node *node)
{
    switch (node->op) {
    case EG_OP_GLOBAL_AVG:
    case EG_OP_AVG_POOL:
    case EG_OP_ADAPTIVE_POOL:
    case EG_OP_REDUCE_MEAN: break;
    default: return false;
    }
    do node = behind(graph, &graph->nodes[node->inputs[0]]);
    while (node->op == EG_OP_RELU);
    return node->op == EG_OP_CONV && graph->nodes + graph->default_cut < node;
}

bool eg_net_has_classifier(const eg_net *net)
{
    const struct eg_graph *graph = net->graph;
    if (net->card.classifier || net->card.classes) return true;
    if (net->card.cut) return false;
    const struct eg_node *node = &graph->nodes[graph->output];
    if (eg__shape_count(node->shape) != eg__map(node->shape).c) return false;
    node = behind(graph, node);
    if (node->op == EG_OP_SIGMOID) node = behind(graph, &graph->nodes[node->inputs[0]]);
    return gives_probabilities(net, graph) || node->op == EG_OP_LINEAR || node->op == EG_OP_CONV ||
           averages_classes(graph, node);
}

/* The graph's output becomes a vector of probabilities: where it is none, and where a cut is the same. */
static enum eg_status make_probabilities(const struct eg_net *net, struct eg_cut_plan *plan,
                                         struct eg_error *err)
{
    struct eg_graph *graph = plan->graph;
    struct eg_map shape = eg__map(graph->nodes[graph->output].shape);
    const bool probabilities = gives_probabilities(net, graph);
    enum eg_status status = EG_OK;
    if (shape.h * shape.w != 1) {
        struct eg_node flat = {
            .op = EG_OP_FLATTEN, .name = "flat", .n_inputs = 1, .inputs = {graph->output}, .order_chw = true};
        status = eg__graph_add(graph, &flat, &graph->output, err);
    }
    bool taken = false;
    for (size_t i = 0; i < plan->n; i++) taken = taken || plan->outputs[i] == graph->output;
    if (!status && (!probabilities || taken)) {
        struct eg_node last = {.op = probabilities ? EG_OP_IDENTITY : EG_OP_SOFTMAX,
                               .name = "probabilities",
                               .n_inputs = 1,
                               .inputs = {graph->output}};
        status = eg__graph_add(graph, &last, &graph->output, err);
    }
    return status;
}

static enum eg_status check_classifier(const struct eg_net *net, struct eg_error *err)
{
    if (eg_net_has_classifier(net)) return EG_OK;
    return eg__fail_for(err, EG_E_ARGUMENT, EG_REASON_NO_CLASSIFIER,
                        "'%s' has no classifier: its answer is features (train one on it, or take a "
                        "network that has its own)",
                        eg_net_name(net));
}

enum eg_status eg__answer_plan(const struct eg_net *net, const struct eg_run_cuts *cuts,
                               struct eg_cut_plan *out, struct eg_error *err)
{
    struct eg_cut_plan plan = {0};
    struct eg_run_cuts own;
    enum eg_status status = check_classifier(net, err);
    if (!status && eg_net_unread(net)) status = fail_unread(net, "it cannot be run to its end", err);
    if (!status) status = eg__options(&own, sizeof own, cuts, err);
    if (!status) status = cuts ? plan_cuts(net, &own, true, &plan, err) : plan_whole(net, &plan, err);
    if (!status && !cuts) plan.n = 0;
    if (!status) status = make_probabilities(net, &plan, err);
    if (status) {
        eg__cuts_release(&plan);
        return status;
    }
    plan.answer = true;
    plan.n_outputs = plan.n;
    plan.outputs[plan.n_outputs++] = plan.graph->output;
    if (plan.graph->label_output && !eg__graph_says_labels(plan.graph)) /* labels go by thresholds */
        plan.outputs[plan.n_outputs++] = plan.graph->label_output;
    *out = plan;
    return EG_OK;
}

enum eg_status eg__probabilities_plan(const struct eg_net *net, struct eg_cut_plan *plan,
                                      struct eg_error *err)
{
    enum eg_status status = eg__answer_plan(net, NULL, plan, err);
    if (!status) plan->n = plan->n_outputs = 1;
    return status;
}
