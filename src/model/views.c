/* views.c: several views of a photo: one trunk for all, each cut their mean. */
#include "model/views.h"

#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "image/photo.h"

enum { VIEWS_FIVE = 5, VIEWS_FLIP = 2 };

static enum eg_status add_views(struct eg_graph *graph, const struct eg_recipe *recipe, uint32_t *at,
                                struct eg_error *err)
{
    const bool five = recipe->views == EG_VIEWS_FIVE;
    const size_t n = five ? VIEWS_FIVE : VIEWS_FLIP;
    int32_t *places = eg__graph_memory(graph, 3 * n, sizeof *places);
    if (!places) return eg__fail_memory(err, "a network");
    memset(places, 0, 3 * n * sizeof *places);
    if (five) {
        const int32_t down = (int32_t)(recipe->size - recipe->crop[0]),
                      right = (int32_t)(recipe->size - recipe->crop[1]);
        const int32_t corners[VIEWS_FIVE][2] = {
            {0, 0}, {0, right}, {down, 0}, {down, right}, {down / 2, right / 2}};
        for (size_t i = 0; i < n; i++) memcpy(places + 3 * i, corners[i], sizeof corners[i]);
    } else {
        places[5] = 1;
    }
    struct eg_tensor tensor = {.name = "places", .data = places, .dtype = EG_I32, .rank = 2, .dim = {n, 3}};
    eg__tensor_pack_strides(&tensor);
    struct eg_node node = {.op = EG_OP_VIEWS,
                           .name = "engraft.views",
                           .n_inputs = 1,
                           .size = (uint32_t)n,
                           .out_h = five ? (uint32_t)recipe->crop[0] : 0,
                           .out_w = five ? (uint32_t)recipe->crop[1] : 0};
    node.params[0] = eg__graph_tensor(graph, &tensor);
    return node.params[0] ? eg__graph_add(graph, &node, at, err) : eg__fail_memory(err, "a network");
}

/* The graph anew behind the views. */
static enum eg_status put_views(const struct eg_net *net, struct eg_cut_plan *plan, struct eg_error *err)
{
    struct eg_graph *whole = plan->graph, *made = NULL;
    struct eg_recipe pixels;
    eg__recipe_of_pixels(&net->recipe, &pixels);
    struct eg_node image = {
        .op = EG_OP_INPUT,
        .name = whole->nodes[0].name,
        .shape = eg__map_shape(pixels.crop[0], pixels.crop[1], eg__map(whole->nodes[0].shape).c)};
    uint32_t at = 0, *places = eg__alloc(plan->n + 1, sizeof *places);
    if (!places) return eg__fail_memory(err, "a network");
    memcpy(places, plan->outputs, plan->n * sizeof *places);
    places[plan->n] = whole->default_cut;
    enum eg_status status = eg__graph_create(whole->name, &made, err);
    if (!status) status = eg__graph_add(made, &image, &at, err);
    if (!status) status = add_views(made, &net->recipe, &at, err);
    if (!status) status = eg__graph_graft(made, at, whole, places, plan->n + 1, err);
    for (uint32_t i = 0; i < whole->n_metadata && !status; i++)
        status = eg__graph_set_metadata(made, whole->metadata[i].key, whole->metadata[i].value, err);
    if (status) {
        eg__graph_free(made);
        free(places);
        return status;
    }
    memcpy(plan->outputs, places, plan->n * sizeof *places);
    made->default_cut = whole->default_cut ? places[plan->n] : 0;
    free(places);
    made->weights_path = whole->weights_path;
    made->input_nchw = whole->input_nchw;
    eg__graph_free(whole);
    plan->graph = made;
    return EG_OK;
}

enum eg_status eg__views_check_whole(const struct eg_net *net, struct eg_error *err)
{
    if (!net->has_recipe || !net->recipe.views || eg__graph_views(net->graph)) return EG_OK;
    return eg__fail(
        err, EG_E_UNSUPPORTED,
        "views of a photo are averaged at a cut, and '%s' is to answer by itself (train a classifier "
        "on it)",
        eg_net_name(net));
}

enum eg_status eg__views_plan(const struct eg_net *net, struct eg_cut_plan *plan, struct eg_error *err)
{
    const bool has = eg__graph_views(plan->graph) != NULL;
    enum eg_status status = EG_OK;
    if (net->has_recipe && net->recipe.views && !has) status = put_views(net, plan, err);
    for (size_t i = 0; i < plan->n && !status; i++) {
        if (plan->graph->nodes[plan->outputs[i]].times < 2) continue;
        struct eg_node mean = {.op = EG_OP_VIEWS_MEAN,
                               .name = "engraft.views.mean",
                               .n_inputs = 1,
                               .inputs = {plan->outputs[i]}};
        status = eg__graph_add(plan->graph, &mean, &plan->outputs[i], err);
    }
    return status;
}
