/* trained_parts.c: classifiers on several cuts side by side, of one network or of several that see the
 * same pixels: as one graph with one image, and as a model says it of itself. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "flow/trained.h"
#include "image/photo.h"

/* ---- one recipe ------------------------------------------------------------------------------ */

static bool one_network(const struct eg_trained_part *parts, size_t n)
{
    for (size_t p = 1; p < n; p++)
        if (parts[p].net != parts[0].net) return false;
    return true;
}

enum eg_status eg__parts_recipe(const struct eg_trained_part *parts, size_t n, struct eg_recipe *recipe,
                                struct eg_error *err)
{
    struct eg_recipe made = parts[0].net->recipe;
    for (size_t p = 1; p < n; p++) {
        struct eg_recipe like = parts[p].net->recipe, first = parts[0].net->recipe;
        first.bgr = like.bgr;
        first.scale = like.scale;
        memcpy(first.mean, like.mean, sizeof like.mean);
        memcpy(first.std, like.std, sizeof like.std);
        char *want = eg__recipe_json(&first), *have = eg__recipe_json(&like);
        enum eg_status status = EG_OK;
        if (!want || !have)
            status = eg__fail_memory(err, "a recipe");
        else if (strcmp(want, have))
            status =
                eg__fail(err, EG_E_ARGUMENT,
                         "networks of one classifier see the same pixels: '%s' would have to take %s, it "
                         "has %s (extract its features so)",
                         eg_net_name(parts[p].net), want, have);
        free(want);
        free(have);
        if (status) return status;
    }
    if (!one_network(parts, n)) {
        made.bgr = false;
        made.scale = 1;
        for (int c = 0; c < 3; c++) {
            made.mean[c] = 0;
            made.std[c] = 1;
        }
    }
    *recipe = made;
    return EG_OK;
}

/* ---- one graph ------------------------------------------------------------------------------- */

/* The image as one network is used to it: a convolution of one pixel. */
static enum eg_status normalise(struct eg_graph *graph, const struct eg_recipe *recipe, uint32_t *at,
                                struct eg_error *err)
{
    float scale[3], offset[3], weight[9] = {0};
    eg__recipe_affine(recipe, scale, offset);
    for (size_t c = 0; c < 3; c++) weight[3 * c + (recipe->bgr ? 2 - c : c)] = scale[c];
    struct eg_node node = {
        .op = EG_OP_CONV,
        .name = "normalised",
        .n_inputs = 1,
        .groups = 1,
        .window = {
            .kernel_h = 1, .kernel_w = 1, .stride_h = 1, .stride_w = 1, .dilation_h = 1, .dilation_w = 1}};
    const size_t one = 3;
    node.params[0] = eg__graph_constant(graph, "normalised/weight", 4, (size_t[]){3, 1, 1, 3}, weight);
    node.params[1] = eg__graph_constant(graph, "normalised/bias", 1, &one, offset);
    if (!node.params[0] || !node.params[1]) return eg__fail_memory(err, "a network");
    return eg__graph_add(graph, &node, at, err);
}

/* "layer:pool", which a cut is typed as. */
static enum eg_status plan_cuts(const struct eg_net *net, const struct eg_trained_part *parts,
                                const size_t *own, size_t n, struct eg_cut_plan *plan, struct eg_error *err)
{
    char **typed = eg__zalloc(n, sizeof *typed);
    enum eg_status status = typed ? EG_OK : eg__fail_memory(err, "cuts");
    for (size_t i = 0; i < n && !status; i++) {
        const struct eg_cut_info *cut = parts[own[i]].cut;
        if (asprintf(&typed[i], "%s:%s", cut->layer, cut->pool) < 0) {
            typed[i] = NULL;
            status = eg__fail_memory(err, "a layer's name");
        }
    }
    struct eg_run_cuts cuts = {.size = sizeof cuts,
                               .cuts = (const char *const *)typed,
                               .n_cuts = n,
                               .order = parts[own[0]].cut->order};
    if (!status) status = eg__cuts_plan(net, &cuts, plan, err);
    for (size_t i = 0; typed && i < n; i++) free(typed[i]);
    free(typed);
    return status;
}

/* One network and the places of its cuts in the graph. graph NULL: the network's own becomes it. */
static enum eg_status add_network(const struct eg_trained_part *parts, const size_t *own, size_t n,
                                  bool alone, struct eg_graph **graph, uint32_t *nodes, struct eg_error *err)
{
    const struct eg_net *net = parts[own[0]].net;
    struct eg_cut_plan plan;
    uint32_t image = 0, index = 0;
    enum eg_status status = plan_cuts(net, parts, own, n, &plan, err);
    if (status) return status;
    if (alone) {
        *graph = plan.graph;
        plan.graph = NULL;
    } else {
        struct eg_node input = {.op = EG_OP_INPUT, .name = "image", .shape = plan.graph->nodes[0].shape};
        if (!*graph) {
            status = eg__graph_create(plan.graph->name, graph, err);
            if (!status) status = eg__graph_add(*graph, &input, &index, err);
            if (!status) (*graph)->input_nchw = plan.graph->input_nchw;
        }
        if (!status && !eg__shape_is((*graph)->nodes[0].shape, input.shape))
            status = eg__fail(err, EG_E_SHAPE,
                              "'%s' takes images of another size than the first network of the classifier",
                              eg_net_name(net));
        if (!status) status = normalise(*graph, &net->recipe, &image, err);
        if (!status) status = eg__graph_graft(*graph, image, plan.graph, plan.outputs, n, err);
    }
    for (size_t i = 0; i < n && !status; i++) nodes[own[i]] = plan.outputs[i];
    eg__cuts_release(&plan);
    return status;
}

/* As vectors, one behind the other. */
static enum eg_status join(struct eg_graph *graph, const uint32_t *nodes, size_t n, uint32_t *at,
                           struct eg_error *err)
{
    struct eg_node all = {.op = EG_OP_CONCAT, .name = "cuts", .n_inputs = (uint32_t)n};
    if (n > EG_INPUTS_MAX)
        return eg__fail(err, EG_E_UNSUPPORTED, "%zu cuts at once, at most %d are supported", n,
                        EG_INPUTS_MAX);
    for (size_t i = 0; i < n; i++) {
        struct eg_node flat = {
            .op = EG_OP_FLATTEN, .name = "cut", .n_inputs = 1, .inputs = {nodes[i]}, .order_chw = true};
        all.inputs[i] = nodes[i];
        if (graph->nodes[nodes[i]].shape.rank == 1) continue;
        enum eg_status status = eg__graph_add(graph, &flat, &all.inputs[i], err);
        if (status) return status;
    }
    return eg__graph_add(graph, &all, at, err);
}

enum eg_status eg__parts_graph(const struct eg_trained_part *parts, size_t n, struct eg_graph **out,
                               uint32_t *at, struct eg_error *err)
{
    struct eg_graph *graph = NULL;
    uint32_t *nodes = eg__zalloc(n, sizeof *nodes);
    size_t *own = eg__alloc(n, sizeof *own);
    const bool alone = one_network(parts, n);
    enum eg_status status = nodes && own ? EG_OK : eg__fail_memory(err, "cuts");
    for (size_t p = 0; p < n && !status; p++) {
        size_t count = 0, before = 0;
        for (size_t q = 0; q < p; q++) before += parts[q].net == parts[p].net;
        for (size_t q = p; q < n && !before; q++)
            if (parts[q].net == parts[p].net) own[count++] = q;
        if (!before) status = add_network(parts, own, count, alone, &graph, nodes, err);
    }
    if (!status) status = join(graph, nodes, n, at, err);
    free(nodes);
    free(own);
    if (status)
        eg__graph_free(graph);
    else
        *out = graph;
    return status;
}

/* ---- what the card says ------------------------------------------------------------------------ */

char *eg__parts_json(const struct eg_trained_part *parts, size_t n)
{
    json_t *list = json_array();
    for (size_t p = 0; p < n; p++) {
        const struct eg_cut_info *c = parts[p].cut;
        json_t *part =
            json_pack("{s:s?,s:s?,s:s,s:s?,s:s?,s:s?,s:s,s:f}", "network", parts[p].network, "weights_sha256",
                      parts[p].weights_sha256, "cut", c->name, "layer", c->layer_name, "pool", c->pool,
                      "order", c->order, "scale", parts[p].scale, "factor", parts[p].factor);
        json_array_append_new(list, part);
    }
    char *text = json_array_size(list) == n ? json_dumps(list, JSON_COMPACT) : NULL;
    json_decref(list);
    return text;
}

/* What a model says of one cut; NULL: nothing. */
struct wanted {
    const char *name, *layer, *pool, *order, *weights;
};

static bool is_wanted(const struct wanted *w, const struct eg_cut_info *c)
{
    if (w->layer && w->pool && w->order && c->layer_name && c->pool && c->order)
        return !strcmp(c->layer_name, w->layer) && !strcmp(c->pool, w->pool) && !strcmp(c->order, w->order);
    return !w->layer && w->name && !strcmp(c->name, w->name);
}

static enum eg_status find_cut(const struct wanted *w, struct eg_store *store, const char *path, size_t *cut,
                               struct eg_error *err)
{
    const struct eg_store_spec *spec = eg__store_spec(store);
    for (size_t i = 0; i < spec->n_cuts; i++)
        if (is_wanted(w, &spec->cuts[i])) {
            *cut = i;
            return EG_OK;
        }
    if (!w->name) return eg__store_find_cut(store, NULL, cut, err); /* a head alone: the first features */
    return eg__fail(err, EG_E_NOT_FOUND, "'%s' has no features of cut '%s', which the model was grown on",
                    path, w->name);
}

static enum eg_status add_wanted(const struct wanted *w, struct eg_store *store, const char *path,
                                 struct eg_joint *joint, struct eg_error *err)
{
    size_t cut = 0;
    enum eg_status status = find_cut(w, store, path, &cut, err);
    return status ? status : eg__joint_add(joint, store, cut, NULL, err);
}

static enum eg_status add_cuts(const struct eg_net *model, struct eg_store *store, const char *path,
                               struct eg_joint *joint, struct eg_error *err)
{
    json_t *list = json_loads(model->card.cuts, 0, NULL), *part;
    size_t i;
    const char *first = NULL;
    enum eg_status status =
        json_array_size(list)
            ? EG_OK
            : eg__fail(err, EG_E_FORMAT, "'%s' says nothing readable of its cuts (train it again)",
                       eg_net_name(model));
    json_array_foreach(list, i, part)
    {
        struct wanted w = {0};
        if (status) break;
        if (json_unpack(part, "{s?s,s?s,s?s,s?s,s?s}", "cut", &w.name, "layer", &w.layer, "pool", &w.pool,
                        "order", &w.order, "weights_sha256", &w.weights))
            status = eg__fail(err, EG_E_FORMAT, "'%s' says nothing readable of cut %zu (train it again)",
                              eg_net_name(model), i);
        else if (i && w.weights && first && strcmp(w.weights, first))
            status = eg__fail(err, EG_E_UNSUPPORTED,
                              "'%s' is of several networks, '%s' has the features of one (take photos)",
                              eg_net_name(model), path);
        else
            status = add_wanted(&w, store, path, joint, err);
        if (!i) first = w.weights;
    }
    json_decref(list);
    return status;
}

enum eg_status eg__model_joint(const struct eg_net *model, struct eg_store *store, const char *path,
                               struct eg_joint *joint, struct eg_error *err)
{
    const struct eg_card *card = &model->card;
    if (card->cuts) return add_cuts(model, store, path, joint, err);
    const struct wanted w = {
        .name = card->cut, .layer = card->layer, .pool = card->pool, .order = card->order};
    return add_wanted(&w, store, path, joint, err);
}
