/* graph.c: making, joining and cutting graphs. */
#include "graph/checks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "graph/graph_private.h"

enum eg_status eg__graph_create(const char *name, struct eg_graph **graph, struct eg_error *err)
{
    struct eg_graph *made = eg__zalloc(1, sizeof *made);
    if (!made) return eg__fail_memory(err, "a network");
    enum eg_status status = eg__graph_arena_create(made, err);
    if (!status && !(made->name = eg__graph_string(made, name))) status = eg__fail_memory(err, "a network");
    if (status) {
        eg__graph_free(made);
        return status;
    }
    *graph = made;
    return EG_OK;
}

void eg__graph_free(struct eg_graph *graph)
{
    if (!graph) return;
    eg__names_free(graph);
    eg__graph_release_holds(graph);
    free(graph->nodes);
    free(graph->metadata);
    free(graph);
}

/* Room for one more node; its place is nodes[n_nodes]. */
static enum eg_status reserve(struct eg_graph *graph, size_t need, struct eg_error *err)
{
    size_t capacity = graph->capacity;
    if (need > UINT32_MAX / 2 || !eg__grow(&graph->nodes, &capacity, need, sizeof *graph->nodes))
        return eg__fail_memory(err, "a network's layers");
    graph->capacity = (uint32_t)capacity;
    return EG_OK;
}

/* `wanted`, or the first free of wanted_2, wanted_3, ...; NULL: no memory. */
static const char *unique_name(struct eg_graph *graph, const char *wanted)
{
    struct eg_name_entry *taken = eg__names_find(graph, wanted);
    if (!taken) return eg__graph_string(graph, wanted);
    size_t size = strlen(wanted) + 12;
    char *name = eg__graph_memory(graph, size, 1);
    if (!name) return NULL;
    do snprintf(name, size, "%s_%u", wanted, ++taken->last_suffix);
    while (!eg__names_is_free(graph, name));
    return name;
}

enum eg_status eg__graph_add(struct eg_graph *graph, const struct eg_node *node, uint32_t *index,
                             struct eg_error *err)
{
    enum eg_status status = reserve(graph, (size_t)graph->n_nodes + 1, err);
    if (status) return status;
    struct eg_node added = *node;
    uint32_t at = graph->n_nodes;
    added.name = node->name && *node->name ? node->name : eg__op_info[node->op].text;
    if ((node->op == EG_OP_INPUT) != (at == 0))
        return eg__fail(err, EG_E_SHAPE, "layer '%.200s' does not fit: a network starts with its one input",
                        added.name);
    status = eg__infer(graph, &added, err);
    if (status) return status;
    added.name = unique_name(graph, added.name);
    added.aliases = NULL;
    added.n_aliases = 0;
    if (!added.name || !eg__names_add(graph, added.name, at)) return eg__fail_memory(err, "a layer's name");
    graph->nodes[at] = added;
    graph->n_nodes++;
    graph->output = at;
    for (uint32_t i = 0; i < node->n_aliases; i++)
        if ((status = eg__graph_alias(graph, at, node->aliases[i], err))) return status;
    *index = at;
    return EG_OK;
}

enum eg_status eg__graph_set_metadata(struct eg_graph *graph, const char *key, const char *value,
                                      struct eg_error *err)
{
    const char *copy = eg__graph_string(graph, value);
    if (!copy) return eg__fail_memory(err, "metadata");
    for (uint32_t i = 0; i < graph->n_metadata; i++) {
        if (strcmp(graph->metadata[i].key, key)) continue;
        graph->metadata[i].value = copy;
        return EG_OK;
    }
    size_t capacity = graph->metadata_capacity;
    const char *name = eg__graph_string(graph, key);
    if (!name ||
        !eg__grow(&graph->metadata, &capacity, graph->n_metadata + (size_t)1, sizeof *graph->metadata))
        return eg__fail_memory(err, "metadata");
    graph->metadata_capacity = (uint32_t)capacity;
    graph->metadata[graph->n_metadata++] = (struct eg_metadata){name, copy};
    return EG_OK;
}

const char *eg__graph_metadata(const struct eg_graph *graph, const char *key)
{
    for (uint32_t i = 0; i < graph->n_metadata; i++)
        if (!strcmp(graph->metadata[i].key, key)) return graph->metadata[i].value;
    return NULL;
}

enum eg_status eg__graph_resize(struct eg_graph *graph, size_t h, size_t w, struct eg_error *err)
{
    struct eg_node *before = eg__alloc(graph->n_nodes, sizeof *before);
    if (!before) return eg__fail_memory(err, "a network's layers");
    memcpy(before, graph->nodes, graph->n_nodes * sizeof *before);
    if (graph->nodes[0].shape.rank == 3) {
        graph->nodes[0].shape.dim[0] = h;
        graph->nodes[0].shape.dim[1] = w;
    }
    enum eg_status status = EG_OK;
    for (uint32_t i = 0; i < graph->n_nodes && !status; i++) status = eg__infer(graph, &graph->nodes[i], err);
    if (status) {
        memcpy(graph->nodes, before, graph->n_nodes * sizeof *before);
        status = eg__fail_within(err, status, "cannot use input size %zux%zu for '%.100s' (made for %zux%zu)",
                                 h, w, graph->name, eg__map(before[0].shape).h, eg__map(before[0].shape).w);
    }
    free(before);
    return status;
}

static enum eg_status copy_metadata(struct eg_graph *to, const struct eg_graph *from, struct eg_error *err)
{
    size_t capacity = 0;
    if (!eg__grow(&to->metadata, &capacity, from->n_metadata, sizeof *to->metadata))
        return eg__fail_memory(err, "metadata");
    to->metadata_capacity = (uint32_t)capacity;
    for (uint32_t i = 0; i < from->n_metadata; i++)
        if (strncmp(from->metadata[i].key, EG_GRAPH_LOAD, sizeof EG_GRAPH_LOAD - 1))
            to->metadata[to->n_metadata++] = from->metadata[i];
    return EG_OK;
}

/* Copy the nodes marked in `place`, writing there 1 + their new index. The strings are shared. */
static enum eg_status copy_nodes(struct eg_graph *to, const struct eg_graph *from, uint32_t *place,
                                 struct eg_error *err)
{
    for (uint32_t i = 0; i < from->n_nodes; i++) {
        if (!place[i]) continue;
        enum eg_status status = reserve(to, (size_t)to->n_nodes + 1, err);
        if (status) return status;
        struct eg_node *node = &to->nodes[to->n_nodes];
        *node = from->nodes[i];
        for (uint32_t k = 0; k < node->n_inputs; k++) node->inputs[k] = place[node->inputs[k]] - 1;
        bool named = eg__names_add(to, node->name, to->n_nodes);
        for (uint32_t a = 0; a < node->n_aliases; a++)
            named = named && eg__names_add(to, node->aliases[a], to->n_nodes);
        if (!named) return eg__fail_memory(err, "a layer's name");
        place[i] = ++to->n_nodes;
    }
    return EG_OK;
}

enum eg_status eg__graph_keep(const struct eg_graph *graph, uint32_t *nodes, size_t n, struct eg_graph **kept,
                              struct eg_error *err)
{
    for (size_t k = 0; k < n; k++)
        if (nodes[k] >= graph->n_nodes)
            return eg__fail(err, EG_E_ARGUMENT, "layer #%u is not in '%s'", nodes[k], graph->name);
    uint32_t *place = eg__zalloc(graph->n_nodes, sizeof *place);
    if (!place) return eg__fail_memory(err, "a network's layers");
    place[0] = 1;
    for (size_t k = 0; k < n; k++) place[nodes[k]] = 1;
    for (uint32_t i = graph->n_nodes; i-- > 0;)
        for (uint32_t k = 0; place[i] && k < graph->nodes[i].n_inputs; k++)
            place[graph->nodes[i].inputs[k]] = 1;
    struct eg_graph *made = NULL;
    enum eg_status status = eg__graph_create(graph->name, &made, err);
    if (!status) status = eg__graph_share(made, graph, err);
    if (!status) status = copy_nodes(made, graph, place, err);
    if (!status) status = copy_metadata(made, graph, err);
    if (status) {
        eg__graph_free(made);
    } else {
        for (size_t k = 0; k < n; k++) nodes[k] = place[nodes[k]] - 1;
        made->output = n ? nodes[n - 1] : 0;
        made->default_cut = place[graph->default_cut] ? place[graph->default_cut] - 1 : 0;
        made->label_output = place[graph->label_output] ? place[graph->label_output] - 1 : 0;
        made->weights_path = graph->weights_path;
        made->weights_parts = graph->weights_parts;
        made->n_weights_parts = graph->n_weights_parts;
        made->input_nchw = graph->input_nchw;
        *kept = made;
    }
    free(place);
    return status;
}

enum eg_status eg__graph_cut(const struct eg_graph *graph, uint32_t node, struct eg_graph **cut,
                             struct eg_error *err)
{
    return eg__graph_keep(graph, &node, 1, cut, err);
}

enum eg_status eg__graph_rest(const struct eg_graph *graph, uint32_t node, struct eg_graph **rest,
                              struct eg_error *err)
{
    uint32_t *place = eg__zalloc(graph->n_nodes, sizeof *place); /* 1 + index in rest; 0: before it */
    if (!place) return eg__fail_memory(err, "a network's layers");
    struct eg_graph *made = NULL;
    struct eg_node input = {.op = EG_OP_INPUT, .name = "features", .shape = graph->nodes[node].shape};
    uint32_t index = 0;
    enum eg_status status = eg__graph_create(graph->name, &made, err);
    if (!status) status = eg__graph_share(made, graph, err);
    if (!status) status = eg__graph_add(made, &input, &index, err);
    place[node] = 1;
    for (uint32_t i = 1; i < graph->n_nodes && !status; i++) {
        if (i <= node && graph->nodes[i].op != EG_OP_CONSTANT) continue; /* constants are of no image */
        struct eg_node copy = graph->nodes[i];
        uint32_t known = 0;
        for (uint32_t k = 0; k < copy.n_inputs; k++) known += place[copy.inputs[k]] > 0;
        if (!known && copy.op != EG_OP_CONSTANT) continue;
        if (known < copy.n_inputs) {
            status = eg__fail(err, EG_E_SHAPE, "layer '%.200s' needs more than what layer '%.200s' gives",
                              copy.name, graph->nodes[node].name);
            break;
        }
        for (uint32_t k = 0; k < copy.n_inputs; k++) copy.inputs[k] = place[copy.inputs[k]] - 1;
        status = eg__graph_add(made, &copy, &index, err);
        place[i] = index + 1;
    }
    if (!status && !place[graph->output])
        status = eg__fail(err, EG_E_SHAPE, "the result of '%.100s' does not come from layer '%.200s'",
                          graph->name, graph->nodes[node].name);
    if (status) {
        eg__graph_free(made);
    } else {
        made->output = place[graph->output] - 1;
        made->label_output = place[graph->label_output] ? place[graph->label_output] - 1 : 0;
        *rest = made;
    }
    free(place);
    return status;
}

enum eg_status eg__graph_attach(struct eg_graph *graph, uint32_t at, const struct eg_graph *head,
                                struct eg_error *err)
{
    uint32_t nodes[2] = {head->output, head->label_output};
    enum eg_status status = eg__graph_graft(graph, at, head, nodes, 2, err);
    if (status) return status;
    graph->output = nodes[0];
    graph->label_output = head->label_output ? nodes[1] : 0;
    return EG_OK;
}

enum eg_status eg__graph_graft(struct eg_graph *graph, uint32_t at, const struct eg_graph *head,
                               uint32_t *nodes, size_t n, struct eg_error *err)
{
    struct eg_map have = eg__map(graph->nodes[at].shape), want = eg__map(head->nodes[0].shape);
    if (have.h != want.h || have.w != want.w || have.c != want.c)
        return eg__fail(err, EG_E_SHAPE,
                        "cannot put '%.100s' on layer '%.200s': it takes %zux%zux%zu, not %zux%zux%zu",
                        head->name, graph->nodes[at].name, want.h, want.w, want.c, have.h, have.w, have.c);
    uint32_t *place = eg__zalloc(head->n_nodes, sizeof *place);
    if (!place) return eg__fail_memory(err, "a network's layers");
    uint32_t before = graph->n_nodes, output = graph->output;
    place[0] = at;
    enum eg_status status = eg__graph_share(graph, head, err);
    for (uint32_t i = 1; i < head->n_nodes && !status; i++) {
        struct eg_node node = head->nodes[i];
        for (uint32_t k = 0; k < node.n_inputs; k++) node.inputs[k] = place[node.inputs[k]];
        status = eg__graph_add(graph, &node, &place[i], err);
    }
    if (status) {
        graph->n_nodes = before;
        eg__names_truncate(graph);
    }
    for (size_t i = 0; i < n && !status; i++) nodes[i] = place[nodes[i]];
    graph->output = output;
    free(place);
    return status;
}
