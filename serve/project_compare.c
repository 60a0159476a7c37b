/* project_compare.c: which network, cut where: by cross-validation, with the time a photo takes beside it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "serve/http_private.h"
#include "serve/project_private.h"

enum { MOST_CUTS = 8, TIMED = 4 };
static const size_t LONGEST = 4096; /* features of a cut */

/* Milliseconds a photo, the best of some. NAN: it cannot be run. */
static double time_cut(struct project *p, const eg_net *net, const char *cut)
{
    eg_run *run = NULL;
    const struct eg_recipe *recipe = eg_net_recipe(net);
    struct eg_run_cuts cuts = {EG_SIZED(eg_run_cuts), .cuts = &cut, .n_cuts = 1};
    if (!recipe || eg_run_create(net, &cuts, 1, p->pool, &run, NULL)) return NAN;
    uint8_t *pixels = calloc(recipe->crop[0] * recipe->crop[1], 3);
    float *out = calloc(eg_run_length(run, 0) + 1, sizeof *out);
    double best = INFINITY;
    for (int i = 0; pixels && out && i < TIMED; i++) {
        double began = project_clock();
        if (eg_run_forward_pixels(run, recipe, pixels, 1, &out, NULL)) break;
        best = fmin(best, project_clock() - began);
    }
    free(pixels);
    free(out);
    eg_run_free(run);
    return isfinite(best) ? 1000 * best : NAN;
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && !strcmp(text + n - m, end);
}

/* Averages, spread over the last two thirds of the network, and the last one. */
static enum eg_status choose_cuts(const eg_net *net, struct eg_cut_list *list, struct eg_error *err)
{
    enum eg_status status = eg_net_list_cuts(net, NULL, 0, LONGEST, list, err);
    if (status) return status;
    size_t n = 0;
    for (size_t i = 0; i < list->n; i++) {
        char *cut = list->cuts[i];
        if (ends_with(cut, ":max") || ends_with(cut, ":gem") || ends_with(cut, ":flatten"))
            free(cut);
        else
            list->cuts[n++] = cut;
    }
    const size_t first = n > 2 * MOST_CUTS ? n / 3 : 0, of = n - first;
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        bool wanted = i >= first &&
                      (of <= MOST_CUTS || (i - first + 1) * MOST_CUTS / of > (i - first) * MOST_CUTS / of);
        if (wanted)
            list->cuts[kept++] = list->cuts[i];
        else
            free(list->cuts[i]);
    }
    list->n = kept;
    return EG_OK;
}

static void add_row(struct project *p, json_t *rows, const char *network, const eg_net *net,
                    eg_features *features, const struct eg_compared *c)
{
    size_t index;
    if (eg_features_find_cut(features, c->features, &index, NULL)) return;
    struct eg_features_cut cut = eg_features_cut(features, index);
    char *name;
    if (asprintf(&name, cut.pool ? "%s:%s" : "%s", cut.layer, cut.pool) < 0) return;
    json_array_append_new(rows, json_pack("{s:o,s:o,s:I,s:o,s:o,s:o,s:o,s:o}", "network", text_json(network),
                                          "cut", text_json(name), "length", (json_int_t)c->length, "accuracy",
                                          number_json(c->cv_accuracy), "low", number_json(c->cv_low), "high",
                                          number_json(c->cv_high), "ms", number_json(time_cut(p, net, name)),
                                          "classifier", text_json(c->classifier)));
    free(name);
}

/* One network's cuts into rows. */
static enum eg_status compare_one(struct project *p, const char *network, json_t *rows, struct eg_error *err)
{
    const char *folder = p->folder;
    eg_net *net = NULL;
    eg_dataset *images = NULL;
    eg_features *features = NULL;
    struct eg_extract_report *report = NULL;
    struct eg_comparison *found = NULL;
    struct eg_cut_list list = {0};
    struct eg_net_options where = {EG_SIZED(eg_net_options), .folders = p->folders};
    char *path = project_file(p, "compare.h5");
    enum eg_status status =
        path ? eg_net_load(network, &where, &net, err) : serve_fail(err, EG_E_MEMORY, "no memory");
    if (!status) status = choose_cuts(net, &list, err);
    if (!status) status = eg_dataset_scan(&folder, 1, NULL, &images, err);
    if (!status) {
        struct eg_run_cuts cuts = {EG_SIZED(eg_run_cuts), .cuts = (const char *const *)list.cuts,
                                   .n_cuts = list.n};
        struct eg_extract_options how = {
            EG_SIZED(eg_extract_options), .cuts = &cuts, .overwrite = true, .half = true, .pool = p->pool,
            .progress = project_step,     .user = p};
        status = eg_extract(net, images, path, &how, &report, err);
    }
    if (!status) status = eg_features_open(path, &features, err);
    if (!status) {
        struct eg_train_options how = {EG_SIZED(eg_train_options), .classifier = "logistic",
                                       .test_fraction = -1,        .pool = p->pool,
                                       .progress = project_step,   .user = p};
        status = eg_features_compare(features, &how, &found, err);
    }
    for (size_t i = 0; !status && i < found->n_compared; i++)
        add_row(p, rows, network, net, features, &found->compared[i]);
    eg_comparison_free(found);
    eg_features_close(features);
    eg_extract_report_free(report);
    eg_dataset_free(images);
    eg_cut_list_release(&list);
    eg_net_free(net);
    if (path) unlink(path);
    free(path);
    return status;
}

static int better_first(const void *a, const void *b)
{
    const json_t *const *x = a, *const *y = b;
    double one = json_number_value(json_object_get(*x, "accuracy")),
           other = json_number_value(json_object_get(*y, "accuracy"));
    if (one != other) return one > other ? -1 : 1;
    one = json_number_value(json_object_get(*x, "ms")); /* of equals the quicker */
    other = json_number_value(json_object_get(*y, "ms"));
    return one < other ? -1 : one > other;
}

static json_t *sorted(json_t *rows)
{
    size_t n = json_array_size(rows);
    json_t **list = calloc(n + 1, sizeof *list), *made = json_array();
    for (size_t i = 0; list && i < n; i++) list[i] = json_array_get(rows, i);
    if (list && n) qsort(list, n, sizeof *list, better_first);
    for (size_t i = 0; list && i < n; i++) json_array_append(made, list[i]);
    free(list);
    json_decref(rows);
    return made;
}

enum eg_status project_compare(struct project *p, struct eg_error *err)
{
    json_t *rows = json_array();
    project_enter(p, COMPARING, true);
    enum eg_status status = compare_one(p, p->network, rows, err);
    for (size_t i = 0; i < eg_known_net_count() && !status; i++) {
        struct eg_known_net known = eg_known_net_at(i);
        char *weights = eg_known_net_find_weights(known.name, p->folders);
        if (weights && strcmp(known.name, p->network) && compare_one(p, known.name, rows, err))
            status = err->status == EG_E_CANCELLED ? EG_E_CANCELLED
                                                   : EG_OK; /* one that does not work is left out */
        free(weights);
    }
    if (status) {
        json_decref(rows);
        return status;
    }
    rows = sorted(rows);
    pthread_rwlock_wrlock(&p->lock);
    json_t *old = p->comparison;
    p->comparison = rows;
    pthread_rwlock_unlock(&p->lock);
    json_decref(old);
    return EG_OK;
}
