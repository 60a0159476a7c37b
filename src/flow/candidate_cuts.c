/* candidate_cuts.c: which cuts of a network are worth comparing.
 *
 * A cut has to be a place that all of what follows goes through (a waist): inside a residual
 * block, or one branch of several, there is only a part of what the network knows. Of a layer
 * with its normalisation and activation, and of a block, the end is taken. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "flow/flow.h"

enum { MOST_CUTS = 16, LONGEST = 32768 };

struct walk {
    const struct eg_graph *graph;
    bool cut_already; /* its end is features, not classes */
    uint32_t *waists, *n_readers;
    size_t n;
    double *done; /* [n] multiply-adds up to there */
};

static bool passes_through(const struct eg_graph *graph, uint32_t i)
{
    const struct eg_node *node = &graph->nodes[i];
    return node->op == EG_OP_IDENTITY || node->op == EG_OP_DROPOUT || node->op == EG_OP_FLATTEN ||
           (node->op == EG_OP_ADAPTIVE_POOL &&
            eg__shape_count(node->shape) == eg__shape_count(graph->nodes[node->inputs[0]].shape));
}

/* What belongs to the layer before it. */
static bool finishes_layer(enum eg_op op)
{
    switch (op) {
    case EG_OP_BATCH_NORM:
    case EG_OP_LAYER_NORM:
    case EG_OP_LRN:
    case EG_OP_RELU:
    case EG_OP_LEAKY_RELU:
    case EG_OP_CLIP:
    case EG_OP_SIGMOID:
    case EG_OP_HARD_SWISH:
    case EG_OP_SILU:
    case EG_OP_GELU:
    case EG_OP_GELU_TANH:
    case EG_OP_TANH:
    case EG_OP_MAX_POOL:
    case EG_OP_AVG_POOL: return true;
    default: return false;
    }
}

/* Does a node take the average of all positions of its input? */
static bool averages_all(const struct eg_graph *graph, const struct eg_node *node)
{
    if (node->op == EG_OP_GLOBAL_AVG) return true;
    struct eg_map in = eg__map(graph->nodes[node->inputs[0]].shape);
    const struct eg_window *window = &node->window;
    bool one = eg__map(node->shape).h == 1 && eg__map(node->shape).w == 1;
    return one && (node->op == EG_OP_ADAPTIVE_POOL ||
                   (node->op == EG_OP_AVG_POOL && window->kernel_h == in.h && window->kernel_w == in.w));
}

static bool has_weights(enum eg_op op) { return op == EG_OP_CONV || op == EG_OP_LINEAR; }

/* "layer1.0" of "layer1.0.conv2", "_blocks.5" of "_blocks.5._bn2": to the first component with a
 * digit, and plain numbers behind it. */
static size_t block_length(const char *name)
{
    size_t end = 0;
    for (const char *at = name; *at;) {
        size_t n = strcspn(at, "./"), digits = strspn(at, "0123456789");
        bool number = n && digits >= n, any = strcspn(at, "0123456789") < n;
        if (end ? !number : !any && !at[n]) break;
        if (any) end = (size_t)(at - name) + n;
        at += n + (at[n] != '\0');
    }
    return end ? end : strlen(name);
}

bool eg__same_block(const char *a, const char *b)
{
    size_t n = block_length(a);
    return n == block_length(b) && !strncmp(a, b, n);
}

/* A waist: no later node reads an earlier one. Numbered in an order of computation. */
static void find_waists(struct walk *w)
{
    const struct eg_graph *graph = w->graph;
    uint32_t last = graph->output, *reach = w->waists; /* room is shared: reach[i] >= i is read first */
    for (uint32_t i = 0; i <= last; i++) reach[i] = i;
    for (uint32_t i = 0; i <= last; i++)
        for (uint32_t k = 0; k < graph->nodes[i].n_inputs; k++) {
            reach[graph->nodes[i].inputs[k]] = i;
            w->n_readers[graph->nodes[i].inputs[k]]++;
        }
    uint32_t farthest = 0;
    for (uint32_t i = 0; i <= last; i++) {
        uint32_t own = reach[i];
        if (farthest <= i) w->waists[w->n++] = i;
        if (own > farthest) farthest = own;
    }
}

/* The end of the features: the last layer with weights, which is the classifier's, is not before it. */
static size_t features_end(const struct walk *w)
{
    const struct eg_graph *graph = w->graph;
    if (w->cut_already) return w->n;
    for (size_t i = w->n; i-- > 0;)
        if (has_weights(graph->nodes[w->waists[i]].op)) return i;
    return w->n;
}

static bool is_candidate(const struct walk *w, size_t i, size_t end)
{
    const struct eg_graph *graph = w->graph;
    uint32_t node = w->waists[i];
    if (node == graph->default_cut && node) return true;
    if (!eg__node_is_cut(graph, node) || passes_through(graph, node)) return false;
    if (i + 1 == end) return true;
    size_t next = i + 1;
    while (next + 1 < end && passes_through(graph, w->waists[next])) next++;
    const struct eg_node *after = &graph->nodes[w->waists[next]];
    if (w->n_readers[node] == 1 && w->waists[i + 1] == node + 1 && finishes_layer(after->op) &&
        !averages_all(graph, after))
        return false;
    return !eg__same_block(graph->nodes[node].name, after->name);
}

/* The last cut of its size, and the default one, stay in any case. */
static bool stays(const struct walk *w, const size_t *list, size_t n, size_t i)
{
    const struct eg_node *nodes = w->graph->nodes;
    uint32_t node = w->waists[list[i]];
    if (i + 1 == n || node == w->graph->default_cut) return true;
    struct eg_map here = eg__map(nodes[node].shape), next = eg__map(nodes[w->waists[list[i + 1]]].shape);
    return here.h != next.h || here.w != next.w;
}

/* Of too many, those go whose neighbours are closest, in multiply-adds: the rest is spread over the work. */
static size_t thin(const struct walk *w, size_t *list, size_t n)
{
    while (n > MOST_CUTS) {
        size_t least = n;
        double gap = 0;
        for (size_t i = 0; i < n; i++) {
            if (stays(w, list, n, i)) continue;
            double here = w->done[list[i + 1]] - (i ? w->done[list[i - 1]] : 0);
            if (least < n && here >= gap) continue;
            gap = here;
            least = i;
        }
        if (least == n) break;
        memmove(list + least, list + least + 1, (n - least - 1) * sizeof *list);
        n--;
    }
    return n;
}

static void measure(struct walk *w)
{
    double sum = 0;
    uint32_t node = 0;
    for (size_t i = 0; i < w->n; i++) {
        for (; node <= w->waists[i]; node++) sum += (double)eg__node_macs(w->graph, node);
        w->done[i] = sum;
    }
}

/* ---- the list ---------------------------------------------------------------------------- */

static enum eg_status append(struct eg_cut_list *list, const char *layer, const char *pool,
                             struct eg_error *err)
{
    char **grown = realloc(list->cuts, (list->n + 1) * sizeof *grown);
    if (!grown) return eg__fail_memory(err, "cuts");
    list->cuts = grown;
    if (asprintf(&grown[list->n], pool ? "%s:%s" : "%s", layer, pool) < 0)
        return eg__fail_memory(err, "cuts");
    list->n++;
    return EG_OK;
}

/* A vector as it is; a volume by its averages and maxima, and whole unless it is too long.
 * averaged: its averages are a cut of their own. */
static enum eg_status append_pools(struct eg_cut_list *list, const char *layer, struct eg_map shape,
                                   size_t longest, bool averaged, struct eg_error *err)
{
    bool vector = shape.h == 1 && shape.w == 1;
    enum eg_status status = EG_OK;
    if (vector) return shape.c <= longest ? append(list, layer, NULL, err) : EG_OK;
    if (shape.c <= longest && !averaged) status = append(list, layer, "avg", err);
    if (!status && shape.c <= longest) status = append(list, layer, "max", err);
    if (!status && eg__map_count(shape) <= longest) status = append(list, layer, "flatten", err);
    return status;
}

static enum eg_status list_given(const struct eg_graph *graph, const char *const *layers, size_t n_layers,
                                 size_t longest, struct eg_cut_list *list, struct eg_error *err)
{
    enum eg_status status = EG_OK;
    for (size_t i = 0; i < n_layers && !status; i++) {
        uint32_t node;
        if (eg__graph_find(graph, layers[i], &node, err)) /* with its pooling, or no layer: told later */
            status = append(list, layers[i], NULL, err);
        else
            status = append_pools(list, layers[i], eg__map(graph->nodes[node].shape), longest, false, err);
    }
    return status;
}

/* longest 0: LONGEST, but for the default cut. */
static enum eg_status list_worth(const struct eg_net *net, size_t longest, struct eg_cut_list *list,
                                 struct eg_error *err)
{
    const struct eg_graph *graph = net->graph;
    size_t room = (size_t)graph->output + 1, n = 0, *kept = eg__alloc(room, sizeof *kept);
    struct walk w = {.graph = graph,
                     .cut_already = net->card.cut && !net->card.classifier,
                     .waists = eg__alloc(room, sizeof *w.waists),
                     .n_readers = eg__zalloc(room, sizeof *w.n_readers),
                     .done = eg__alloc(room, sizeof *w.done)};
    enum eg_status status = kept && w.waists && w.n_readers && w.done ? EG_OK : eg__fail_memory(err, "cuts");
    if (!status) {
        find_waists(&w);
        measure(&w);
        size_t end = features_end(&w);
        for (size_t i = 0; i < end; i++)
            if (is_candidate(&w, i, end)) kept[n++] = i;
        n = thin(&w, kept, n);
    }
    for (size_t i = 0; i < n && !status; i++) {
        uint32_t at = w.waists[kept[i]];
        bool averaged = kept[i] + 1 < w.n && averages_all(graph, &graph->nodes[w.waists[kept[i] + 1]]);
        size_t most = longest ? longest : at == graph->default_cut ? SIZE_MAX : LONGEST;
        status =
            append_pools(list, graph->nodes[at].name, eg__map(graph->nodes[at].shape), most, averaged, err);
    }
    free(kept);
    free(w.waists);
    free(w.n_readers);
    free(w.done);
    return status;
}

enum eg_status eg_net_list_cuts(const eg_net *net, const char *const *layers, size_t n_layers, size_t longest,
                                struct eg_cut_list *out, struct eg_error *err)
{
    struct eg_cut_list list = {0};
    size_t most = longest ? longest : LONGEST;
    enum eg_status status = n_layers ? list_given(net->graph, layers, n_layers, most, &list, err)
                                     : list_worth(net, longest, &list, err);
    if (!status && !list.n)
        status =
            eg__fail(err, EG_E_ARGUMENT, "no cut of '%s' has %zu features or fewer", eg_net_name(net), most);
    if (status)
        eg_cut_list_release(&list);
    else
        *out = list;
    return status;
}

void eg_cut_list_release(struct eg_cut_list *list)
{
    for (size_t i = 0; i < list->n; i++) free(list->cuts[i]);
    free(list->cuts);
    *list = (struct eg_cut_list){0};
}
