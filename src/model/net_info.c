/* net_info.c: what can be asked of a network. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/mem.h"
#include "graph/checks.h"
#include "kernels/kernels.h"
#include "model/model.h"

const char *eg_cpu(void) { return eg__kernels_name(); }

const char *eg_net_name(const eg_net *net)
{
    return net->card.network && !eg_net_is_trained(net) ? net->card.network : net->graph->name;
}

size_t eg_net_layer_count(const eg_net *net) { return net->graph->n_nodes; }

struct eg_layer eg_net_layer(const eg_net *net, size_t index)
{
    const struct eg_node *node = &net->graph->nodes[index];
    struct eg_layer layer = {
        .name = node->name,
        .aliases = node->aliases,
        .n_aliases = node->n_aliases,
        .op = eg__op_info[node->op].text,
        .inputs = node->inputs,
        .n_inputs = node->n_inputs,
        .shape = node->shape,
        .parameters = eg__node_parameters(net->graph, (uint32_t)index),
        .macs = eg__node_macs(net->graph, (uint32_t)index),
        .field = {node->receptive.field_h, node->receptive.field_w},
        .jump = {node->receptive.jump_h, node->receptive.jump_w},
        .cut = eg__node_is_cut(net->graph, (uint32_t)index),
    };
    if (node->op == EG_OP_CONV || node->op == EG_OP_MAX_POOL || node->op == EG_OP_AVG_POOL) {
        const struct eg_window *w = &node->window;
        memcpy(layer.kernel, (uint32_t[]){w->kernel_h, w->kernel_w}, sizeof layer.kernel);
        memcpy(layer.stride, (uint32_t[]){w->stride_h, w->stride_w}, sizeof layer.stride);
        memcpy(layer.dilation, (uint32_t[]){w->dilation_h, w->dilation_w}, sizeof layer.dilation);
        memcpy(layer.padding, (uint32_t[]){w->pad_top, w->pad_left, w->pad_bottom, w->pad_right},
               sizeof layer.padding);
        layer.groups = node->op == EG_OP_CONV ? node->groups : 0;
    }
    return layer;
}

enum eg_status eg_net_find(const eg_net *net, const char *layer, size_t *index, struct eg_error *err)
{
    uint32_t found;
    enum eg_status status = eg__graph_find(net->graph, layer, &found, err);
    if (!status) *index = found;
    return status;
}

const char *eg_net_default_cut(const eg_net *net)
{
    return net->graph->default_cut ? net->graph->nodes[net->graph->default_cut].name : NULL;
}

const char *eg_net_remark(const eg_net *net, size_t index)
{
    return index < net->n_remarks ? net->remarks[index] : NULL;
}

const char *eg_net_unread(const eg_net *net) { return eg__graph_metadata(net->graph, EG_GRAPH_UNREAD); }

const struct eg_recipe *eg_net_recipe(const eg_net *net) { return net->has_recipe ? &net->recipe : NULL; }

size_t eg_net_class_count(const eg_net *net) { return net->n_classes; }

const char *eg_net_class_name(const eg_net *net, size_t index) { return net->classes[index]; }

bool eg_net_is_trained(const eg_net *net) { return net->card.classifier != NULL; }

const char *eg_net_metadata(const eg_net *net, const char *key)
{
    return eg__graph_metadata(net->graph, key);
}

const char *eg_net_metadata_key(const eg_net *net, size_t index)
{
    return index < net->graph->n_metadata ? net->graph->metadata[index].key : NULL;
}

const char *eg_net_weights_path(const eg_net *net) { return net->graph->weights_path; }

enum eg_status eg_net_weights_sha256(const eg_net *net, char hex[65], struct eg_error *err)
{
    uint8_t digest[32];
    if (net->bytes) {
        enum eg_status of_bytes = eg__sha256(net->bytes, net->n_bytes, digest, err);
        if (!of_bytes) eg__hex(digest, sizeof digest, hex);
        return of_bytes;
    }
    if (!net->graph->weights_path)
        return eg__fail(err, EG_E_ARGUMENT, "'%s' has no weights file", net->graph->name);
    const struct eg_graph *graph = net->graph;
    uint8_t(*parts)[32] = eg__alloc(graph->n_weights_parts + 1, sizeof *parts);
    if (!parts) return eg__fail_memory(err, "a checksum");
    enum eg_status status = EG_OK;
    for (size_t i = 0; i < graph->n_weights_parts && !status; i++)
        status = eg__sha256_file(graph->weights_parts[i], parts[i], err);
    if (!status)
        status = graph->n_weights_parts
                     ? eg__sha256(parts, graph->n_weights_parts * sizeof *parts, digest, err)
                     : eg__sha256_file(graph->weights_path, digest, err);
    free(parts);
    if (!status) eg__hex(digest, sizeof digest, hex);
    return status;
}

/* A volume stays a volume unless its pooling was asked for. */
static enum eg_status drop_flatten(struct eg_cut_plan *plan, const char *cut, struct eg_error *err)
{
    static const char asked[] = ":flatten";
    const struct eg_node *last = &plan->graph->nodes[plan->outputs[0]];
    size_t n = strlen(cut), m = sizeof asked - 1;
    if (last->op != EG_OP_FLATTEN || !strstr(last->name, asked) || (n > m && !strcmp(cut + n - m, asked)))
        return EG_OK;
    struct eg_graph *whole = plan->graph;
    plan->graph = NULL;
    enum eg_status status = eg__graph_cut(whole, last->inputs[0], &plan->graph, err);
    eg__graph_free(whole);
    return status;
}

enum eg_status eg_net_cut(const eg_net *net, const char *cut, eg_net **out, struct eg_error *err)
{
    struct eg_run_cuts cuts = {.cuts = &cut, .n_cuts = 1};
    struct eg_cut_plan plan;
    enum eg_status status = eg__cuts_plan(net, cut ? &cuts : NULL, &plan, err);
    if (status) return status;
    if (cut) status = drop_flatten(&plan, cut, err);
    if (status) {
        eg__cuts_release(&plan);
        return status;
    }
    struct eg_net *made = NULL;
    if (!eg__net_new(&made, NULL)) {
        made->recipe = net->recipe;
        made->has_recipe = net->has_recipe;
        made->bytes = net->bytes; /* the graphs share what holds them */
        made->n_bytes = net->n_bytes;
        made->model = strdup(net->model);
        made->graph = plan.graph;
        made->card = cut ? eg__card_of_network(&net->card) : net->card;
        plan.graph = NULL;
    }
    eg__cuts_release(&plan);
    if (!made || !made->model) {
        eg_net_free(made);
        return eg__fail_memory(err, "a network");
    }
    if (cut && (status = eg__card_write(made->graph, &made->card, err))) {
        eg_net_free(made);
        return status;
    }
    size_t n = eg__shape_count(made->graph->nodes[made->graph->output].shape);
    made->classes = eg__zalloc(n ? n : 1, sizeof *made->classes);
    for (size_t i = 0; made->classes && i < n; i++) {
        bool same = n == net->n_classes;
        if (!same && asprintf(&made->classes[i], "feature %zu", i) < 0) made->classes[i] = NULL;
        if (same) made->classes[i] = strdup(net->classes[i]);
        if (!made->classes[i]) break;
        made->n_classes++;
    }
    if (made->n_classes < n) {
        eg_net_free(made);
        return eg__fail_memory(err, "class names");
    }
    if ((status = eg__net_read_thresholds(made, err))) {
        eg_net_free(made);
        return status;
    }
    *out = made;
    return EG_OK;
}
