/* trained.c: what is written: whole networks, cut networks, and classifiers grown on them, each
 * one ONNX file with its metadata (DESIGN.md, "The trained file"). */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "arch/arch.h"
#include "base/fail.h"
#include "base/file.h"
#include "base/versioned.h"
#include "flow/class_rules.h"
#include "flow/flow.h"
#include "flow/trained.h"
#include "image/photo.h"
#include "onnx/onnx.h"

char *eg__names_json(const char *const *names, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) json_array_append_new(list, json_string(names[i]));
    char *text = json_array_size(list) == n ? json_dumps(list, JSON_COMPACT) : NULL;
    json_decref(list);
    return text;
}

/* What the card of a file being written is made of; texts it holds by itself. */
struct writing {
    struct eg_card card;
    char date[32];
    char *recipe, *classes, *filter, *choice, *thresholds, *cuts;
};

/* Name, recipe, version, date: what every file we write says. */
static enum eg_status write_common(struct writing *w, const struct eg_net *net, struct eg_error *err)
{
    time_t now = time(NULL);
    struct tm utc;
    strftime(w->date, sizeof w->date, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
    w->card.version = eg_version();
    w->card.date = w->date;
    if (!net) return EG_OK;
    w->card.network = eg_net_name(net);
    if (!net->has_recipe) return EG_OK;
    w->card.recipe = w->recipe = eg__recipe_json(&net->recipe);
    return w->recipe ? EG_OK : eg__fail_memory(err, "a recipe");
}

static enum eg_status write_classes(struct writing *w, const char *const *classes, size_t n,
                                    struct eg_error *err)
{
    w->card.classes = w->classes = eg__names_json(classes, n);
    return w->classes ? EG_OK : eg__fail(err, EG_E_FORMAT, "class names are not UTF-8 (rename them)");
}

static enum eg_status write_card(struct writing *w, struct eg_graph *graph, enum eg_status status,
                                 struct eg_error *err)
{
    if (!status) status = eg__card_write(graph, &w->card, err);
    free(w->recipe);
    free(w->classes);
    free(w->filter);
    free(w->choice);
    free(w->thresholds);
    free(w->cuts);
    return status;
}

enum eg_status eg_net_convert(const eg_net *net, const char *path, const struct eg_convert_options *options,
                              struct eg_error *err)
{
    struct eg_convert_options own, *o = &own;
    enum eg_status status = eg__options(&own, sizeof own, options, err);
    if (status) return status;
    const char *cut = o->cut;
    struct eg_run_cuts cuts = {.cuts = &cut, .n_cuts = 1};
    struct eg_cut_plan plan;
    bool features = o->cut || !eg_net_has_classifier(net);
    status = features ? eg__cuts_plan(net, o->cut ? &cuts : NULL, &plan, err)
                      : eg__probabilities_plan(net, &plan, err);
    if (status) return status;
    struct eg_graph *graph = plan.graph;
    struct writing w = {.card = features ? eg__card_of_network(&net->card) : net->card};
    status = write_common(&w, net, err);
    if (features) w.card.cut = o->cut ? plan.infos[0].name : net->card.cut;
    if (!status && !features)
        status = write_classes(&w, (const char *const *)net->classes, net->n_classes, err);
    status = write_card(&w, graph, status, err);
    const bool value = net->card.answer && !strcmp(net->card.answer, "value");
    struct eg_onnx_options how = {.overwrite = o->overwrite,
                                  .half = o->half,
                                  .output_name = features ? "features"
                                                 : value  ? "value"
                                                          : "probabilities",
                                  .one_number = value && !features,
                                  .recipe = net->has_recipe ? &net->recipe : NULL};
    if (!status) status = eg__onnx_save(graph, path, &how, err);
    eg__cuts_release(&plan);
    return status;
}

/* ---- classifiers ------------------------------------------------------------------------ */

/* By which its test rows are found again, and its training rows known wherever they turn up. */
static enum eg_status write_sample(struct writing *w, const struct eg_sample *s, struct eg_error *err)
{
    w->card.split = "photos";
    w->card.split_seed = eg__card_whole(s->seed);
    w->card.test_fraction = s->test_fraction;
    w->card.group = s->group;
    w->card.training_digest = s->digest;
    enum eg_status status = eg__filter_make((eg_hashes)s->hashes, s->n_train, &w->filter, err);
    w->card.training_filter = w->filter;
    return status;
}

/* Of answers that are no single class. */
static enum eg_status write_answer(struct writing *w, const struct eg_trained *t, struct eg_error *err)
{
    const struct eg_train_report *r = t->report;
    w->card.answer = t->answer;
    if (!t->answer) return EG_OK;
    if (r->numbers.n) {
        w->card.r2 = r->numbers.r2;
        w->card.mae = r->numbers.mae;
    }
    if (r->labels.n) w->card.mean_average_precision = r->labels.mean_average_precision;
    w->card.target = r->target;
    if (!r->thresholds) return EG_OK;
    w->card.labels_separator = t->labels_separator;
    json_t *list = json_array();
    for (size_t i = 0; i < r->n_classes; i++)
        json_array_append_new(list, json_real((double)r->thresholds[i]));
    w->card.thresholds = w->thresholds = json_array_size(list) == r->n_classes
                                             ? json_dumps(list, JSON_COMPACT | JSON_REAL_PRECISION(9))
                                             : NULL;
    json_decref(list);
    return w->thresholds ? EG_OK : eg__fail_memory(err, "thresholds");
}

static enum eg_status write_training(struct writing *w, const struct eg_trained *t, struct eg_error *err)
{
    const struct eg_train_report *r = t->report;
    struct eg_card *card = &w->card;
    card->classifier = r->classifier;
    card->loss = t->loss;
    card->scale = r->scale;
    card->c = r->c;
    card->cv_accuracy = r->cv_accuracy;
    card->accuracy =
        (struct eg_card_score){r->test.accuracy, r->test.accuracy_low, r->test.accuracy_high, r->test.n};
    if (r->reject_rate > 0) card->reject_rate = r->reject_rate;
    card->training_rows = eg__card_whole(r->n_train);
    card->command = t->command;
    enum eg_status status = t->sample ? write_sample(w, t->sample, err) : EG_OK;
    if (!status && t->classes) status = eg__class_rules_write(t->classes, &w->choice, err);
    card->class_choice = w->choice;
    if (!status) status = write_answer(w, t, err);
    const char *column = r->target;
    if (!status && column) return write_classes(w, &column, 1, err);
    return status ? status : write_classes(w, (const char *const *)r->classes, r->n_classes, err);
}

/* Several: a list, by which another program that knows one alone does not take the first for all. */
static enum eg_status write_cuts(struct writing *w, const struct eg_trained *t, const char *node,
                                 struct eg_error *err)
{
    bool one = true;
    for (size_t p = 1; p < t->n_parts; p++)
        one = one && t->parts[p].weights_sha256 && t->parts[0].weights_sha256 &&
              !strcmp(t->parts[p].weights_sha256, t->parts[0].weights_sha256);
    w->card.weights_sha256 = one ? t->parts[0].weights_sha256 : NULL;
    w->card.cuts = w->cuts = eg__parts_json(t->parts, t->n_parts);
    w->card.cut_node = node;
    return w->cuts ? EG_OK : eg__fail(err, EG_E_FORMAT, "the names of cuts are not UTF-8 (rename them)");
}

static void write_cut(struct eg_card *card, const struct eg_trained *t, const char *node)
{
    card->weights_sha256 = t->weights_sha256;
    card->cut = t->cut->name;
    card->layer = t->cut->layer_name;
    card->pool = t->cut->pool;
    card->order = t->cut->order;
    card->cut_node = node;
}

/* An answer's label: the likeliest class, where the head has no rule of its own. */
static enum eg_status add_label(struct eg_graph *graph, bool value, struct eg_error *err)
{
    if (graph->label_output || value) return EG_OK;
    uint32_t output = graph->output; /* the newest node becomes the output */
    struct eg_node label = {.op = EG_OP_ARG_MAX, .name = "label", .n_inputs = 1, .inputs = {output}};
    enum eg_status status = eg__graph_add(graph, &label, &graph->label_output, err);
    graph->output = output;
    return status;
}

static enum eg_status keep_head(const struct eg_graph *head, struct eg_graph **graph, struct eg_error *err)
{
    uint32_t last[2] = {head->label_output ? head->label_output : head->output, head->output};
    return eg__graph_keep(head, last, 2, graph, err);
}

enum eg_status eg__trained_build(const struct eg_net *net, const struct eg_trained *t,
                                 const struct eg_graph *head, struct eg_graph **out, struct eg_error *err)
{
    enum eg_status status;
    struct eg_graph *graph = NULL;
    struct writing w = {.card = eg__card_empty()};
    if (t->n_parts) {
        uint32_t at = 0;
        status = net ? eg__parts_graph(t->parts, t->n_parts, &graph, &at, err) : keep_head(head, &graph, err);
        if (!status && net) status = eg__graph_attach(graph, at, head, err);
        if (!status) status = write_cuts(&w, t, net ? graph->nodes[at].name : NULL, err);
    } else if (net) {
        struct eg_run_cuts cuts = {
            .cuts = &t->cut->layer, .n_cuts = 1, .pool = t->cut->pool, .order = t->cut->order};
        struct eg_cut_plan plan;
        status = eg__cuts_plan(net, &cuts, &plan, err);
        if (status) return status;
        graph = plan.graph;
        plan.graph = NULL;
        const char *node = graph->nodes[plan.outputs[0]].name;
        status = eg__graph_attach(graph, plan.outputs[0], head, err);
        write_cut(&w.card, t, node);
        eg__cuts_release(&plan);
    } else {
        status = keep_head(head, &graph, err);
        if (status) return status;
    }
    if (!status) status = add_label(graph, t->answer && !strcmp(t->answer, "value"), err);
    if (!status) status = write_common(&w, net, err);
    if (!status) status = write_training(&w, t, err);
    status = write_card(&w, graph, status, err);
    if (status)
        eg__graph_free(graph);
    else
        *out = graph;
    return status;
}

enum eg_status eg__trained_save(const struct eg_graph *graph, const struct eg_net *net, const char *path,
                                bool overwrite, struct eg_error *err)
{
    const char *answer = eg__graph_metadata(graph, "engraft.answer");
    const bool value = answer && !strcmp(answer, "value");
    struct eg_onnx_options how = {.overwrite = overwrite,
                                  .input_name = net ? NULL : "features",
                                  .output_name = value ? "value" : NULL,
                                  .one_number = value,
                                  .vector_input = !net,
                                  .recipe = net && net->has_recipe ? &net->recipe : NULL};
    return eg__onnx_save(graph, path, &how, err);
}
