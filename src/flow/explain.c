/* explain.c: photos to maps of what spoke for a class. */
#include "flow/explain.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "base/versioned.h"

enum { BATCH = 8, OUTPUTS = 5 };

struct work {
    const eg_net *net;
    struct eg_explain_options o;
    eg_explanation_fn *take;
    void *take_user;
    struct eg_cut_plan plan;
    struct eg_score_path path;
    struct eg_grad_cam *cam;
    struct eg_run *run;
    struct eg_feeder feeder;
    size_t asked; /* class; SIZE_MAX: the likeliest */
    uint32_t nodes[OUTPUTS];
    size_t n_nodes;
    float *values[OUTPUTS]; /* [BATCH][...] of the map, the probabilities; label, confidence, closeness */
    float *map;
    double confidence_least, closeness_least;
};

/* The label is WHERE(MAX(unsure, far), -1, likeliest), each of the two a number below its threshold
 * (learn/reject.c). */
static void find_rejection(struct work *w)
{
    const struct eg_graph *g = w->plan.graph;
    w->confidence_least = w->closeness_least = NAN;
    if (!g->label_output || g->nodes[g->label_output].op != EG_OP_WHERE) return;
    const struct eg_node *refused = &g->nodes[g->nodes[g->label_output].inputs[0]];
    if (refused->op != EG_OP_MAX || refused->n_inputs != 2) return;
    float least[2];
    for (size_t i = 0; i < 2; i++) {
        const struct eg_node *less = &g->nodes[refused->inputs[i]];
        if (less->op != EG_OP_LESS || !less->params[0] || eg__tensor_count(less->params[0]) != 1) return;
        eg__tensor_read(less->params[0], &least[i]);
        w->nodes[3 + i] = less->inputs[0];
    }
    w->nodes[2] = g->label_output;
    w->n_nodes = OUTPUTS;
    w->confidence_least = (double)least[0];
    w->closeness_least = (double)least[1];
}

static enum eg_status find_class(struct work *w, struct eg_error *err)
{
    w->asked = SIZE_MAX;
    if (!w->o.label) return EG_OK;
    for (size_t k = 0; k < w->net->n_classes; k++)
        if (!strcmp(w->net->classes[k], w->o.label)) w->asked = k;
    return w->asked != SIZE_MAX
               ? EG_OK
               : eg__fail_for(err, EG_E_NOT_FOUND, EG_REASON_CLASS_UNKNOWN, "no class '%.200s' in '%.200s'",
                              w->o.label, eg_net_name(w->net));
}

static enum eg_status find_path(struct work *w, struct eg_error *err)
{
    bool trained = eg_net_is_trained(w->net);
    enum eg_status status = eg__probabilities_plan(w->net, &w->plan, err);
    if (!status)
        status = eg__score_path(w->plan.graph, trained ? w->net->card.scale : NULL, trained, &w->path, err);
    if (status) return status;
    if (w->path.k != w->net->n_classes)
        return eg__fail(err, EG_E_UNSUPPORTED, "the answer of '%s' is not made of a score a class",
                        eg_net_name(w->net));
    if (w->o.method == EG_EXPLAIN_EXACT && !w->path.exact)
        return eg__fail(err, EG_E_UNSUPPORTED, "the scores of '%s' are no sum over the positions of a map",
                        eg_net_name(w->net));
    if (w->path.exact && w->o.method != EG_EXPLAIN_GRAD_CAM) return EG_OK;
    w->path.exact = false;
    return eg__grad_cam_create(&w->path, w->o.pool, &w->cam, err);
}

static enum eg_status open_work(struct work *w, const eg_dataset *images, struct eg_error *err)
{
    enum eg_status status = find_class(w, err);
    if (!status && w->net->has_recipe && w->net->recipe.views)
        status = eg__fail(err, EG_E_UNSUPPORTED,
                          "'%s' averages several views of a photo: there is no one map of what it saw",
                          eg_net_name(w->net));
    if (!status) status = find_path(w, err);
    if (status) return status;
    w->nodes[0] = w->path.map;
    w->nodes[1] = w->plan.graph->output;
    w->n_nodes = 2;
    find_rejection(w);
    const struct eg_node *nodes = w->plan.graph->nodes;
    for (size_t i = 0; i < w->n_nodes && !status; i++) {
        w->values[i] = eg__alloc(BATCH * eg__shape_count(nodes[w->nodes[i]].shape), sizeof(float));
        if (!w->values[i]) status = eg__fail_memory(err, "a map");
    }
    struct eg_map m = eg__map(nodes[w->path.map].shape);
    if (!(w->map = eg__alloc(m.h * m.w, sizeof *w->map))) status = eg__fail_memory(err, "a map");
    struct eg_run_options how = {.max_batch = BATCH};
    if (!status) status = eg__run_create(w->plan.graph, w->nodes, w->n_nodes, &how, w->o.pool, &w->run, err);
    if (status) return status;
    return eg__feeder_init(w->net->has_recipe ? &w->net->recipe : NULL, w->plan.graph, images, BATCH,
                           w->o.pool, &w->feeder, err);
}

static void close_work(struct work *w)
{
    eg__run_free(w->run);
    eg__feeder_release(&w->feeder);
    eg__grad_cam_free(w->cam);
    eg__score_path_release(&w->path);
    eg__cuts_release(&w->plan);
    for (size_t i = 0; i < OUTPUTS; i++) free(w->values[i]);
    free(w->map);
}

static void tell_rejection(const struct work *w, size_t i, struct eg_explanation *e)
{
    e->confidence = e->confidence_least = e->distance = e->distance_most = NAN;
    if (w->n_nodes < OUTPUTS) return;
    e->unknown = w->values[2][i] < 0;
    e->confidence = (double)w->values[3][i];
    e->confidence_least = w->confidence_least;
    e->distance = sqrt(fmax(0, -(double)w->values[4][i]));
    e->distance_most = sqrt(fmax(0, -w->closeness_least));
}

static enum eg_status explain_one(struct work *w, size_t i, size_t asked, const char *path,
                                  struct eg_error *err)
{
    const eg_net *net = w->net;
    struct eg_map m = eg__map(w->plan.graph->nodes[w->path.map].shape);
    const float *values = w->values[0] + i * eg__map_count(m), *p = w->values[1] + i * w->path.k;
    size_t k = asked != SIZE_MAX ? asked : 0;
    for (size_t c = 1; asked == SIZE_MAX && c < w->path.k; c++)
        if (p[c] > p[k]) k = c;
    struct eg_explanation e = {.path = path, .label = net->classes[k], .index = (int32_t)k};
    e.probability = p[k];
    e.exact = w->path.exact;
    e.bias = NAN;
    e.layer = w->plan.graph->nodes[w->path.map].name;
    e.map = w->map;
    e.height = m.h;
    e.width = m.w;
    if (w->feeder.pixels) {
        e.seen_height = w->feeder.recipe.crop[0];
        e.seen_width = w->feeder.recipe.crop[1];
        e.seen = w->feeder.pixels + i * 3 * e.seen_height * e.seen_width;
    }
    tell_rejection(w, i, &e);
    enum eg_status status = e.exact ? eg__exact_map(&w->path, values, k, w->map, &e.score, &e.bias, err)
                                    : eg__grad_cam(w->cam, values, k, w->map, &e.score, err);
    if (!status) w->take(w->take_user, &e);
    return status;
}

static enum eg_status explain_all(struct work *w, const eg_dataset *images, const size_t *rows,
                                  const size_t *asked, size_t n_rows, struct eg_error *err)
{
    enum eg_status status = EG_OK;
    for (size_t first = 0, n; first < n_rows && !status; first += n) {
        n = n_rows - first < BATCH ? n_rows - first : BATCH;
        eg__feeder_load(&w->feeder, rows + first, n);
        status = eg__feeder_run(&w->feeder, w->run, n, w->values, err);
        for (size_t i = 0; i < n && !status; i++) {
            const char *path = images->items[rows[first + i]].path;
            struct eg_explanation unread = {.path = path, .error = w->feeder.reasons[i], .index = -1};
            if (*unread.error)
                w->take(w->take_user, &unread);
            else
                status = explain_one(w, i, asked ? asked[first + i] : w->asked, path, err);
        }
        if (!status && w->o.progress && !w->o.progress(w->o.user, first + n, n_rows))
            status = eg__fail(err, EG_E_CANCELLED, "stopped");
    }
    return status;
}

enum eg_status eg__explain_rows(const eg_net *net, const struct eg_dataset *images, const size_t *rows,
                                const size_t *asked, size_t n, const struct eg_explain_options *options,
                                eg_explanation_fn *explanation, void *explanation_user, struct eg_error *err)
{
    struct work w = {.net = net, .take = explanation, .take_user = explanation_user};
    enum eg_status status = eg__options(&w.o, sizeof w.o, options, err);
    if (status) return status;
    status = open_work(&w, images, err);
    if (!status) status = explain_all(&w, images, rows, asked, n, err);
    close_work(&w);
    return status;
}

enum eg_status eg_explain(const eg_net *net, const eg_dataset *images,
                          const struct eg_explain_options *options, eg_explanation_fn *explanation,
                          void *explanation_user, struct eg_error *err)
{
    size_t *rows = eg__alloc(images->n_items + 1, sizeof *rows);
    if (!rows) return eg__fail_memory(err, "photos");
    enum eg_status checked = eg__net_check_class(net, "what spoke for it", err);
    if (checked) {
        free(rows);
        return checked;
    }
    for (size_t i = 0; i < images->n_items; i++) rows[i] = i;
    enum eg_status status = eg__explain_rows(net, images, rows, NULL, images->n_items, options, explanation,
                                             explanation_user, err);
    free(rows);
    return status;
}
