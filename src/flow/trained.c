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

enum eg_status eg__row_hashes(struct eg_store *store, size_t cut, const size_t *rows, size_t n,
                              uint8_t (*hashes)[32], struct eg_error *err)
{
    enum eg_status status = EG_OK;
    for (size_t i = 0, count; i < n && !status; i += count) {
        for (count = 1; i + count < n && rows[i + count] == rows[i] + count;) count++;
        status = eg__store_hashes(store, rows[i], count, hashes + i, err);
    }
    if (status != EG_E_NOT_FOUND) return status;
    size_t d = eg__store_spec(store)->cuts[cut].length;
    float *row = malloc(d * sizeof *row);
    status = row ? EG_OK : eg__fail_memory(err, "a row");
    for (size_t i = 0; i < n && !status; i++) {
        status = eg__store_gather(store, cut, rows + i, 1, row, err);
        if (!status) status = eg__sha256(row, d * sizeof *row, hashes[i], err);
    }
    free(row);
    return status;
}

enum eg_status eg__rows_digest(const uint8_t (*hashes)[32], const uint8_t *part, size_t n, char hex[65],
                               struct eg_error *err)
{
    uint8_t(*kept)[32] = malloc((n ? n : 1) * sizeof *kept), digest[32];
    if (!kept) return eg__fail_memory(err, "a digest");
    size_t n_kept = 0;
    for (size_t i = 0; i < n; i++)
        if (!part[i]) memcpy(kept[n_kept++], hashes[i], sizeof *kept);
    enum eg_status status = eg__sha256(kept, n_kept * sizeof *kept, digest, err);
    if (!status) eg__hex(digest, sizeof digest, hex);
    free(kept);
    return status;
}

__attribute__((format(printf, 4, 5))) static enum eg_status note(struct eg_graph *graph, struct eg_error *err,
                                                                 const char *key, const char *format, ...)
{
    char *value;
    va_list arguments;
    va_start(arguments, format);
    int n = vasprintf(&value, format, arguments);
    va_end(arguments);
    if (n < 0) return eg__fail_memory(err, "metadata");
    enum eg_status status = eg__graph_set_metadata(graph, key, value, err);
    free(value);
    return status;
}

/* Name, recipe, version, date: what every file we write says. */
static enum eg_status note_common(struct eg_graph *graph, const struct eg_net *net, struct eg_error *err)
{
    char date[32];
    time_t now = time(NULL);
    struct tm utc;
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
    enum eg_status status = note(graph, err, "engraft.version", "%s", eg_version());
    if (!status) status = note(graph, err, "engraft.date", "%s", date);
    if (status || !net) return status;
    status = note(graph, err, "engraft.network", "%s", eg_net_name(net));
    if (status || !net->has_recipe) return status;
    char *recipe = eg__recipe_json(&net->recipe);
    status = recipe ? eg__graph_set_metadata(graph, "engraft.recipe", recipe, err)
                    : eg__fail_memory(err, "a recipe");
    free(recipe);
    return status;
}

static enum eg_status note_classes(struct eg_graph *graph, const char *const *classes, size_t n,
                                   struct eg_error *err)
{
    char *names = eg__names_json(classes, n);
    enum eg_status status = names ? eg__graph_set_metadata(graph, "engraft.classes", names, err)
                                  : eg__fail(err, EG_E_FORMAT, "class names are not UTF-8 (rename them)");
    free(names);
    return status;
}

enum eg_status eg_net_convert(const eg_net *net, const char *path, const struct eg_convert_options *options,
                              struct eg_error *err)
{
    static const struct eg_convert_options defaults;
    const struct eg_convert_options *o = options ? options : &defaults;
    struct eg_run_cuts cuts = {.cuts = &o->cut, .n_cuts = 1};
    struct eg_cut_plan plan;
    enum eg_status status =
        o->cut ? eg__cuts_plan(net, &cuts, &plan, err) : eg__probabilities_plan(net, &plan, err);
    if (status) return status;
    struct eg_graph *graph = plan.graph;
    status = note_common(graph, net, err);
    if (!status && o->cut) status = note(graph, err, "engraft.cut", "%s", plan.infos[0].name);
    if (!status && !o->cut)
        status = note_classes(graph, (const char *const *)net->classes, net->n_classes, err);
    struct eg_onnx_options how = {.overwrite = o->overwrite,
                                  .half = o->half,
                                  .output_name = o->cut ? "features" : "probabilities",
                                  .recipe = net->has_recipe ? &net->recipe : NULL};
    if (!status) status = eg__onnx_save(graph, path, &how, err);
    eg__cuts_release(&plan);
    return status;
}

/* ---- classifiers ------------------------------------------------------------------------ */

static enum eg_status note_training(struct eg_graph *graph, const struct eg_trained *t, struct eg_error *err)
{
    const struct eg_train_report *r = t->report;
    enum eg_status status = note_classes(graph, (const char *const *)r->classes, r->n_classes, err);
    if (!status) status = note(graph, err, "engraft.classifier", "%s", r->classifier);
    if (!status && t->loss) status = note(graph, err, "engraft.loss", "%s", t->loss);
    if (!status) status = note(graph, err, "engraft.scale", "%s", r->scale);
    if (!status && r->c == r->c) status = note(graph, err, "engraft.C", "%.9g", r->c);
    if (!status && r->cv_accuracy == r->cv_accuracy)
        status = note(graph, err, "engraft.cv_accuracy", "%.6f", r->cv_accuracy);
    if (!status && r->test.n)
        status = note(graph, err, "engraft.accuracy", "%.6f (95 %%: %.6f to %.6f, %zu photos)",
                      r->test.accuracy, r->test.accuracy_low, r->test.accuracy_high, r->test.n);
    if (!status) status = note(graph, err, "engraft.split_seed", "%llu", (unsigned long long)t->seed);
    if (!status) status = note(graph, err, "engraft.test_fraction", "%.9g", t->test_fraction);
    if (!status && r->reject_rate > 0)
        status = note(graph, err, "engraft.reject_rate", "%.6f", r->reject_rate);
    if (!status && t->group) status = note(graph, err, "engraft.group", "%s", t->group);
    if (!status) status = note(graph, err, "engraft.training_digest", "%s", t->digest);
    if (!status) status = note(graph, err, "engraft.training_rows", "%zu", r->n_train);
    if (!status && t->command) status = note(graph, err, "engraft.command", "%s", t->command);
    return status;
}

static enum eg_status note_cut(struct eg_graph *graph, const struct eg_trained *t, const char *node,
                               struct eg_error *err)
{
    const struct eg_cut_info *c = t->cut;
    enum eg_status status = note(graph, err, "engraft.weights_sha256", "%s", t->weights_sha256);
    if (!status) status = note(graph, err, "engraft.cut", "%s", c->name);
    if (!status) status = note(graph, err, "engraft.layer", "%s", c->layer_name);
    if (!status) status = note(graph, err, "engraft.pool", "%s", c->pool);
    if (!status) status = note(graph, err, "engraft.order", "%s", c->order);
    if (!status) status = note(graph, err, "engraft.cut_node", "%s", node);
    return status;
}

/* An answer's label: the likeliest class, where the head has no rule of its own. */
static enum eg_status add_label(struct eg_graph *graph, struct eg_error *err)
{
    if (graph->label_output) return EG_OK;
    uint32_t output = graph->output; /* the newest node becomes the output */
    struct eg_node label = {.op = EG_OP_ARG_MAX, .name = "label", .n_inputs = 1, .inputs = {output}};
    enum eg_status status = eg__graph_add(graph, &label, &graph->label_output, err);
    graph->output = output;
    return status;
}

enum eg_status eg__trained_build(const struct eg_net *net, const struct eg_trained *t,
                                 const struct eg_graph *head, struct eg_graph **out, struct eg_error *err)
{
    enum eg_status status;
    struct eg_graph *graph = NULL;
    if (net) {
        struct eg_run_cuts cuts = {
            .cuts = &t->cut->layer, .n_cuts = 1, .pool = t->cut->pool, .order = t->cut->order};
        struct eg_cut_plan plan;
        status = eg__cuts_plan(net, &cuts, &plan, err);
        if (status) return status;
        graph = plan.graph;
        plan.graph = NULL;
        const char *node = graph->nodes[plan.outputs[0]].name;
        status = eg__graph_attach(graph, plan.outputs[0], head, err);
        if (!status) status = note_cut(graph, t, node, err);
        eg__cuts_release(&plan);
    } else {
        uint32_t last[2] = {head->label_output ? head->label_output : head->output, head->output};
        status = eg__graph_keep(head, last, 2, &graph, err);
        if (status) return status;
    }
    if (!status) status = add_label(graph, err);
    if (!status) status = note_common(graph, net, err);
    if (!status) status = note_training(graph, t, err);
    if (status)
        eg__graph_free(graph);
    else
        *out = graph;
    return status;
}

enum eg_status eg__trained_save(const struct eg_graph *graph, const struct eg_net *net, const char *path,
                                bool overwrite, struct eg_error *err)
{
    struct eg_onnx_options how = {.overwrite = overwrite,
                                  .input_name = net ? NULL : "features",
                                  .vector_input = !net,
                                  .recipe = net && net->has_recipe ? &net->recipe : NULL};
    return eg__onnx_save(graph, path, &how, err);
}
