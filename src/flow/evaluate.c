/* evaluate.c: a trained model against labelled data. On the data it was trained from only the
 * test rows count: the split is made again from its seed, and known by its training rows. Where
 * the data have changed since, rows that it learned from are known by their contents. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "base/versioned.h"
#include "eval/metrics.h"
#include "flow/class_rules.h"
#include "flow/trained.h"
#include "flow/trial.h"
#include "image/photo.h"
#include "sample/sample.h"

bool eg__is_hdf5(const char *path)
{
    static const unsigned char signature[8] = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'};
    unsigned char first[8];
    FILE *file = fopen(path, "rb");
    bool is = file && fread(first, 1, sizeof first, file) == sizeof first &&
              !memcmp(first, signature, sizeof first);
    if (file) fclose(file);
    return is;
}

enum eg_status eg__same_source(const struct eg_store_spec *a, const struct eg_store_spec *b, const char *path,
                               struct eg_error *err)
{
    const char *const pairs[][3] = {{"weights", a->weights_sha256, b->weights_sha256},
                                    {"recipe", a->recipe, b->recipe}};
    for (size_t i = 0; i < 2; i++) {
        const char *x = pairs[i][1] ? pairs[i][1] : "", *y = pairs[i][2] ? pairs[i][2] : "";
        if (strcmp(x, y) && !(i && eg__recipe_same(x, y)))
            return eg__fail(err, EG_E_ARGUMENT, "'%s' has another %s: %s, not %s", path, pairs[i][0], y, x);
    }
    return EG_OK;
}

void eg__verdict_keep(struct eg_verdict *v, size_t from, size_t to)
{
    memmove(v->probabilities + to * v->k, v->probabilities + from * v->k, v->k * sizeof *v->probabilities);
    v->labels[to] = v->labels[from];
    memmove(v->hashes[to], v->hashes[from], sizeof v->hashes[to]);
}

/* ---- gathering -------------------------------------------------------------------------- */

/* Classes as the model was trained on them: renamed, merged, left out. */
static enum eg_status choose(struct eg_trial *t, const char *const *all, size_t n_all, size_t n,
                             const char ***classes, size_t *n_classes, struct eg_error *err)
{
    enum eg_status status = eg__class_rules_read(t->model->card.class_choice, &t->rules, err);
    return status ? status
                  : eg__class_choose(&t->rules.choice, all, n_all, t->truth, n, classes, n_classes, err);
}

static enum eg_status judge_images(struct eg_trial *t, const char *path, struct eg_error *err)
{
    enum eg_status status = eg__dataset_scan(&path, 1, t->options->images, &t->images, err);
    if (status) return status;
    const struct eg_dataset *images = t->images;
    int32_t *map = NULL;
    const char **classes = NULL;
    size_t n_classes = 0;
    struct eg_judge_options how = {t->options->batch, t->options->pool, t->options->progress,
                                   t->options->user};
    t->truth = eg__alloc(images->n_items + 1, sizeof *t->truth);
    t->paths = eg__alloc(images->n_items + 1, sizeof *t->paths);
    t->places = eg__alloc(images->n_items + 1, sizeof *t->places);
    if (!t->truth || !t->paths || !t->places) status = eg__fail_memory(err, "labels");
    for (size_t i = 0; i < images->n_items && !status; i++) t->truth[i] = images->items[i].label;
    if (!status)
        status = choose(t, (const char *const *)images->classes, images->n_classes, images->n_items, &classes,
                        &n_classes, err);
    if (!status)
        status = eg__class_map(t->model->classes, t->model->n_classes, classes, n_classes, t->truth,
                               images->n_items, &map, err);
    if (!status) status = eg__judge_photos(t->model, images, &how, &t->verdict, err);
    for (size_t i = 0; !status && i < images->n_items; i++) {
        if (t->verdict.reasons[i]) {
            status = eg__skip(&t->report.unreadable, &t->report.n_unreadable, images->items[i].path,
                              t->verdict.reasons[i], err);
        } else if (t->truth[i] < 0) {
            t->report.n_unlabelled++;
        } else {
            eg__verdict_keep(&t->verdict, i, t->n);
            t->paths[t->n] = images->items[i].path;
            t->places[t->n] = i;
            t->truth[t->n++] = map[t->truth[i]];
        }
    }
    eg__class_rules_release(&t->rules);
    free(classes);
    free(map);
    return status;
}

enum eg_status eg__model_source(const struct eg_net *model, const struct eg_store_spec *spec,
                                const char *path, struct eg_error *err)
{
    char *recipe = model->has_recipe ? eg__recipe_json(&model->recipe) : strdup("");
    if (!recipe) return eg__fail_memory(err, "a recipe");
    struct eg_store_spec own = {.weights_sha256 = model->card.weights_sha256, .recipe = recipe};
    enum eg_status status = eg__same_source(&own, spec, path, err);
    free(recipe);
    return status;
}

enum eg_status eg__model_head(const struct eg_net *model, struct eg_graph **head, struct eg_error *err)
{
    const char *name = model->card.cut_node;
    uint32_t node = 0;
    enum eg_status status = name ? eg__graph_find(model->graph, name, &node, err) : EG_OK;
    return status ? status : eg__graph_rest(model->graph, node, head, err);
}

static enum eg_status judge_file(struct eg_trial *t, const char *path, struct eg_error *err)
{
    enum eg_status status = eg__store_open(path, &t->store, err);
    if (status) return status;
    struct eg_store *store = t->store;
    const struct eg_store_spec *spec = eg__store_spec(store);
    const uint8_t *row_status = eg__store_status(store);
    struct eg_graph *head = NULL;
    int32_t *map = NULL;
    const char **classes = NULL;
    struct eg_joint joint = {0};
    size_t n_classes = 0, *rows = t->places = eg__alloc(spec->n_rows + 1, sizeof *rows);
    t->truth = eg__alloc(spec->n_rows + 1, sizeof *t->truth);
    t->paths = eg__alloc(spec->n_rows + 1, sizeof *t->paths);
    if (!rows || !t->truth || !t->paths) status = eg__fail_memory(err, "rows");
    if (!status) status = eg__model_joint(t->model, store, path, &joint, err);
    if (!status) status = eg__model_source(t->model, spec, path, err);
    if (!status) status = eg__model_head(t->model, &head, err);
    for (size_t i = 0; !status && i < spec->n_rows; i++) {
        if (row_status[i] != EG_ROW_DONE) continue;
        if (spec->labels[i] < 0) {
            t->report.n_unlabelled++;
            continue;
        }
        rows[t->n] = i;
        t->truth[t->n++] = spec->labels[i];
    }
    const size_t labelled = t->n;
    if (!status) status = choose(t, spec->classes, spec->n_classes, t->n, &classes, &n_classes, err);
    if (!status) t->n = eg__without_unlabelled(rows, t->truth, t->n);
    t->report.n_unlabelled += labelled - t->n;
    for (size_t i = 0; i < t->n && !status; i++) t->paths[i] = spec->paths[rows[i]];
    if (!status)
        status = eg__class_map(t->model->classes, t->model->n_classes, classes, n_classes, t->truth, t->n,
                               &map, err);
    for (size_t i = 0; i < t->n && !status; i++) t->truth[i] = map[t->truth[i]];
    if (!status) status = eg__judge_rows(head, &joint, rows, t->n, t->options->pool, &t->verdict, err);
    if (!status) status = eg__row_hashes(store, joint.parts[0].cut, rows, t->n, t->verdict.hashes, err);
    eg__joint_release(&joint);
    eg__graph_free(head);
    eg__class_rules_release(&t->rules);
    free(classes);
    free(map);
    return status;
}

/* ---- which rows count ------------------------------------------------------------------------ */

/* The split by the model's seed and groups, if the rows are such that it can be made. */
static bool split_again(const struct eg_trial *t, bool by_order, uint8_t *part, struct eg_error *err)
{
    const struct eg_card *card = &t->model->card;
    const char *pattern = card->group;
    const double fraction = card->test_fraction;
    const uint64_t seed = card->split_seed.value;
    eg_hashes hashes = (eg_hashes)t->verdict.hashes;
    int32_t *groups = eg__alloc(t->n, sizeof *groups);
    uint8_t(*identity)[32] = eg__alloc(t->n, sizeof *identity);
    enum eg_status status = groups && identity ? EG_OK : eg__fail_memory(err, "the groups");
    if (!status) memcpy(identity, hashes, t->n * sizeof *identity);
    if (!status && pattern) status = eg__groups(pattern, t->paths, t->n, groups, identity, err);
    if (!status && fraction > 0)
        status = by_order ? eg__split_by_order(t->truth, t->n, t->n_classes, pattern ? groups : NULL,
                                               fraction, seed, part, err)
                          : eg__split((eg_hashes)identity, t->truth, t->n, t->n_classes, fraction, seed, part,
                                      err);
    free(groups);
    free(identity);
    return !status;
}

/* part[i] = 1 for a test row, if these are the rows the model was trained from. */
static enum eg_status recognise(struct eg_trial *t, uint8_t *part, struct eg_error *err)
{
    const struct eg_card *card = &t->model->card;
    const bool by_order = !card->split; /* version 0.1 */
    if (!card->training_digest || !card->split_seed.known || isnan(card->test_fraction) || !t->n)
        return EG_OK;
    char hex[65];
    if (!split_again(t, by_order, part, NULL)) return EG_OK; /* not to be split so: other data */
    enum eg_status status = eg__rows_digest((eg_hashes)t->verdict.hashes, part, t->n, by_order, hex, err);
    if (!status) t->report.trained_here = !strcmp(hex, card->training_digest);
    return status;
}

/* counts[i] = 1 for a row the model has not learned from. */
static enum eg_status find_unknown(struct eg_trial *t, uint8_t *counts, struct eg_error *err)
{
    const char *filter = t->model->card.training_filter;
    enum eg_status status = recognise(t, counts, err);
    if (status || t->report.trained_here) return status;
    memset(counts, 0, t->n);
    if (filter) status = eg__filter_find(filter, (eg_hashes)t->verdict.hashes, t->n, counts, err);
    for (size_t i = 0; i < t->n; i++) counts[i] = !counts[i];
    return status;
}

static void keep_rows(struct eg_trial *t, const uint8_t *counts)
{
    size_t kept = 0;
    for (size_t i = 0; i < t->n; i++)
        if (counts[i]) {
            eg__verdict_keep(&t->verdict, i, kept);
            t->paths[kept] = t->paths[i];
            t->places[kept] = t->places[i];
            t->truth[kept++] = t->truth[i];
        }
    t->n = kept;
}

enum eg_status eg__trial_keep(struct eg_trial *t, const char *data, struct eg_error *err)
{
    enum eg_rows rows = t->options->rows;
    uint8_t *counts = eg__zalloc(t->n + 1, 1);
    if (!counts) return eg__fail_memory(err, "the split");
    enum eg_status status = find_unknown(t, counts, err);
    size_t n_unknown = 0;
    for (size_t i = 0; i < t->n; i++) n_unknown += counts[i];
    const bool overlaps = n_unknown < t->n;
    if (!status && rows == EG_ROWS_TEST && !overlaps)
        status = eg__fail_for(err, EG_E_ARGUMENT, EG_REASON_NOT_TRAINED_HERE,
                              "the model was not trained from '%s', so it has no test rows", data);
    if (!status && rows != EG_ROWS_ALL && !n_unknown)
        status = eg__fail_for(err, EG_E_ARGUMENT, EG_REASON_LEARNED_ALL,
                              "the model learned from every row of '%s'", data);
    bool only_test = overlaps && rows != EG_ROWS_ALL;
    t->report.rows = only_test ? EG_ROWS_TEST : EG_ROWS_ALL;
    if (!status && only_test) {
        t->report.n_known = t->n - n_unknown;
        keep_rows(t, counts);
    }
    free(counts);
    return status;
}

/* What was answered of each photo goes to the report. */
static enum eg_status hand_answers(struct eg_trial *t, struct eg_error *err)
{
    struct eg_evaluate_report *r = &t->report;
    r->paths = eg__zalloc(t->n + 1, sizeof *r->paths);
    bool room = r->paths != NULL;
    for (size_t i = 0; i < t->n && room; i++) room = (r->paths[i] = strdup(t->paths[i])) != NULL;
    if (!room) return eg__fail_memory(err, "answers");
    r->truth = t->truth;
    r->answers = t->verdict.labels;
    r->probabilities = t->verdict.probabilities;
    t->truth = t->verdict.labels = NULL;
    t->verdict.probabilities = NULL;
    return EG_OK;
}

enum eg_status eg__trial_hold(struct eg_trial *t, const char *data, struct eg_error *err)
{
    t->n_classes = t->model->n_classes;
    enum eg_status status = eg__is_hdf5(data) ? judge_file(t, data, err) : judge_images(t, data, err);
    if (!status && !t->n)
        status = eg__fail(err, EG_E_ARGUMENT, "nothing in '%s' could be read and has a label", data);
    return status ? status : eg__trial_keep(t, data, err);
}

enum eg_status eg__trial_release(struct eg_trial *t, const char *data, enum eg_status status,
                                 struct eg_error *err)
{
    eg__verdict_release(&t->verdict);
    free(t->truth);
    free(t->paths);
    free(t->places);
    eg__dataset_free(t->images);
    if (eg__store_close(t->store, NULL) && !status) return eg__fail(err, EG_E_IO, "cannot close '%s'", data);
    return status;
}

enum eg_status eg_evaluate(const eg_net *model, const char *data, const struct eg_evaluate_options *options,
                           struct eg_evaluate_report **report, struct eg_error *err)
{
    struct eg_evaluate_options own;
    enum eg_status status = eg__options(&own, sizeof own, options, err);
    if (status) return status;
    struct eg_trial t = {.model = model, .options = &own};
    if (model->card.answer) return eg__evaluate_targets(&t, data, report, err);
    status = eg__trial_hold(&t, data, err);
    if (!status)
        status = eg__metrics(t.truth, t.verdict.labels, t.verdict.probabilities, t.n, model->n_classes,
                             &t.report.metrics, err);
    if (!status) status = hand_answers(&t, err);
    status = eg__trial_release(&t, data, status, err);
    if (!status) status = eg__hand_out(&t.report, sizeof t.report, report, err);
    if (status) eg__evaluate_report_release(&t.report);
    return status;
}

void eg__evaluate_report_release(struct eg_evaluate_report *report)
{
    for (size_t i = 0; report->paths && report->paths[i]; i++) free(report->paths[i]);
    free(report->paths);
    free(report->truth);
    free(report->answers);
    free(report->probabilities);
    free(report->number_truth);
    free(report->number_answers);
    eg_label_metrics_release(&report->labels);
    eg_metrics_release(&report->metrics);
    eg__skipped_free(report->unreadable, report->n_unreadable);
    *report = (struct eg_evaluate_report){0};
}

void eg_evaluate_report_free(struct eg_evaluate_report *report)
{
    if (report) eg__evaluate_report_release(report);
    free(report);
}
