/* evaluate_targets.c: a model of several labels, or of numbers, before data. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "base/unicode.h"
#include "base/versioned.h"
#include "eval/rank_metrics.h"
#include "flow/trial.h"
#include "sample/targets.h"

static bool is_value(const struct eg_net *model) { return eg_net_answer(model) == EG_ANSWER_VALUE; }

static enum eg_status judge_file(struct eg_trial *t, const char *data, struct eg_targets *targets,
                                 struct eg_error *err)
{
    const struct eg_card *card = &t->model->card;
    struct eg_graph *head = NULL;
    struct eg_joint joint = {0};
    enum eg_status status = eg__store_open(data, &t->store, err);
    if (!status) status = eg__model_source(t->model, eg__store_spec(t->store), data, err);
    if (!status) status = eg__model_joint(t->model, t->store, data, &joint, err);
    if (!status) status = eg__model_head(t->model, &head, err);
    if (!status) status = eg__class_rules_read(card->class_choice, &t->rules, err);
    if (!status)
        status = eg__targets_of_store(t->store, joint.parts[0].cut, card->labels_separator, &t->rules.choice,
                                      is_value(t->model) ? card->target : NULL, targets, err);
    if (!status)
        status = eg__judge_rows(head, &joint, targets->rows, targets->n, t->options->pool, &t->verdict, err);
    if (!status)
        status =
            eg__row_hashes(t->store, joint.parts[0].cut, targets->rows, targets->n, t->verdict.hashes, err);
    eg__joint_release(&joint);
    eg__graph_free(head);
    eg__class_rules_release(&t->rules);
    return status;
}

/* The items that could be read come to the front of every array. */
struct readable {
    size_t n, *rows;
    int32_t *labels;
    uint8_t (*hashes)[32];
    double *numbers;
};

static enum eg_status find_readable(struct eg_trial *t, struct readable *r, struct eg_error *err)
{
    const struct eg_dataset *images = t->images;
    const size_t n = images->n_items;
    r->rows = eg__alloc(n + 1, sizeof *r->rows);
    r->labels = eg__alloc(n + 1, sizeof *r->labels);
    r->hashes = eg__alloc(n + 1, sizeof *r->hashes);
    r->numbers = eg__alloc(n + 1, sizeof *r->numbers);
    if (!r->rows || !r->labels || !r->hashes || !r->numbers) return eg__fail_memory(err, "photos");
    enum eg_status status = EG_OK;
    for (size_t i = 0; i < n && !status; i++) {
        if (t->verdict.reasons[i]) {
            status = eg__skip(&t->report.unreadable, &t->report.n_unreadable, images->items[i].path,
                              t->verdict.reasons[i], err);
            continue;
        }
        r->rows[r->n] = i;
        r->labels[r->n] = images->items[i].label;
        r->numbers[r->n] = images->items[i].number;
        memcpy(r->hashes[r->n++], t->verdict.hashes[i], sizeof *r->hashes);
    }
    return status;
}

static enum eg_status judge_images(struct eg_trial *t, const char *data, struct eg_targets *targets,
                                   struct eg_error *err)
{
    const struct eg_card *card = &t->model->card;
    struct eg_dataset_options listing;
    struct readable r = {0};
    const struct eg_judge_options how = {t->options->batch, t->options->pool, t->options->progress,
                                         t->options->user};
    enum eg_status status = eg__options(&listing, sizeof listing, t->options->images, err);
    if (status) return status;
    if (!is_value(t->model)) listing.several = card->labels_separator ? card->labels_separator : ";";
    if (is_value(t->model)) listing.number = card->target;
    status = eg__dataset_scan(&data, 1, &listing, &t->images, err);
    if (!status) status = eg__judge_photos(t->model, t->images, &how, &t->verdict, err);
    if (!status) status = find_readable(t, &r, err);
    if (!status) status = eg__class_rules_read(card->class_choice, &t->rules, err);
    if (!status) {
        const struct eg_targets_source source = {.rows = r.rows,
                                                 .n = r.n,
                                                 .labels = r.labels,
                                                 .classes = (const char *const *)t->images->classes,
                                                 .n_classes = t->images->n_classes,
                                                 .numbers = r.numbers,
                                                 .hashes = (eg_hashes)r.hashes,
                                                 .separator = card->labels_separator};
        status = is_value(t->model) ? eg__targets_numbers(&source, targets, err)
                                    : eg__targets_labels(&source, &t->rules.choice, targets, err);
    }
    for (size_t i = 0; i < targets->n && !status; i++) eg__verdict_keep(&t->verdict, targets->rows[i], i);
    eg__class_rules_release(&t->rules);
    free(r.rows);
    free(r.labels);
    free(r.hashes);
    free(r.numbers);
    return status;
}

/* The rows that count, told apart by their strata as training had them. */
static enum eg_status keep_rows(struct eg_trial *t, const char *data, const struct eg_targets *targets,
                                struct eg_error *err)
{
    t->n = targets->n;
    t->n_classes = targets->n_strata;
    t->report.n_unlabelled = targets->n_unlabelled;
    t->truth = eg__alloc(t->n + 1, sizeof *t->truth);
    t->paths = eg__alloc(t->n + 1, sizeof *t->paths);
    t->places = eg__alloc(t->n + 1, sizeof *t->places);
    if (!t->truth || !t->paths || !t->places) return eg__fail_memory(err, "rows");
    for (size_t i = 0; i < t->n; i++) {
        t->truth[i] = targets->strata[i];
        t->places[i] = i;
        t->paths[i] = t->store ? eg__store_spec(t->store)->paths[targets->rows[i]]
                               : t->images->items[targets->rows[i]].path;
    }
    return eg__trial_keep(t, data, err);
}

static enum eg_status measure_numbers(struct eg_trial *t, const struct eg_targets *targets,
                                      struct eg_error *err)
{
    struct eg_evaluate_report *r = &t->report;
    r->number_truth = eg__alloc(t->n, sizeof *r->number_truth);
    r->number_answers = eg__alloc(t->n, sizeof *r->number_answers);
    if (!r->number_truth || !r->number_answers) return eg__fail_memory(err, "answers");
    for (size_t i = 0; i < t->n; i++) {
        r->number_truth[i] = targets->values[t->places[i]];
        r->number_answers[i] = (double)t->verdict.probabilities[i];
    }
    return eg__number_metrics(r->number_truth, r->number_answers, t->n, t->model->card.split_seed.value,
                              &r->numbers, err);
}

/* Labels by name; those that the model does not know are not asked for. */
static enum eg_status measure_labels(struct eg_trial *t, const struct eg_targets *targets,
                                     struct eg_error *err)
{
    const struct eg_net *model = t->model;
    const size_t k = model->n_classes, own = targets->n_labels;
    uint8_t *sets = eg__zalloc(t->n + 1, k);
    enum eg_status status = sets ? EG_OK : eg__fail_memory(err, "labels");
    for (size_t c = 0; c < own && !status; c++)
        for (size_t m = 0; m < k; m++) {
            if (!eg__same_name(model->classes[m], targets->labels[c])) continue;
            for (size_t i = 0; i < t->n; i++) sets[i * k + m] = targets->sets[t->places[i] * own + c];
        }
    if (!status)
        status = eg__label_metrics(sets, t->verdict.probabilities, model->thresholds, t->n, k,
                                   &t->report.labels, err);
    free(sets);
    return status;
}

static enum eg_status hand_paths(struct eg_trial *t, struct eg_error *err)
{
    char **paths = t->report.paths = eg__zalloc(t->n + 1, sizeof *paths);
    for (size_t i = 0; i < t->n; i++)
        if (!paths || !(paths[i] = strdup(t->paths[i]))) return eg__fail_memory(err, "answers");
    t->report.probabilities = t->verdict.probabilities;
    t->verdict.probabilities = NULL;
    return EG_OK;
}

enum eg_status eg__evaluate_targets(struct eg_trial *t, const char *data, struct eg_evaluate_report **report,
                                    struct eg_error *err)
{
    struct eg_targets targets = {0};
    enum eg_status status =
        eg__is_hdf5(data) ? judge_file(t, data, &targets, err) : judge_images(t, data, &targets, err);
    if (!status) status = keep_rows(t, data, &targets, err);
    if (!status) status = (is_value(t->model) ? measure_numbers : measure_labels)(t, &targets, err);
    if (!status) status = hand_paths(t, err);
    eg__targets_free(&targets);
    status = eg__trial_release(t, data, status, err);
    if (!status) status = eg__hand_out(&t->report, sizeof t->report, report, err);
    if (status) eg__evaluate_report_release(&t->report);
    return status;
}
