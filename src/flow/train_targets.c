/* train_targets.c: training where the answer is no single class: rows, folds and test of several labels, or
 * of numbers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/mem.h"
#include "eval/rank_metrics.h"
#include "flow/training.h"
#include "learn/multi_label.h"

enum { FOLDS_USUAL = 5, FOLDS_LEAST = 2 };

/* ---- labels ----------------------------------------------------------------------------------- */

static enum eg_status keep_name(const char *name, char **list, size_t *n, struct eg_error *err)
{
    if (!(list[*n] = strdup(name))) return eg__fail_memory(err, "labels");
    ++*n;
    return EG_OK;
}

/* Labels that the training rows can teach: on two of them at least, and missing on two. */
static enum eg_status choose_labels(struct training *t, struct eg_error *err)
{
    const struct eg_targets *from = &t->targets;
    struct eg_train_report *r = &t->report;
    const size_t k = from->n_labels, n = t->sample.n, least = FOLDS_LEAST;
    size_t *kept = eg__alloc(k + 1, sizeof *kept), n_kept = 0;
    r->classes = eg__zalloc(k + 1, sizeof *r->classes);
    r->rare = eg__zalloc(k + 1, sizeof *r->rare);
    enum eg_status status = kept && r->classes && r->rare ? EG_OK : eg__fail_memory(err, "labels");
    for (size_t c = 0; c < k && !status; c++) {
        size_t count = 0;
        for (size_t i = 0; i < t->sample.n_train; i++) count += from->sets[t->place[i] * k + c];
        if (count < least || count + least > t->sample.n_train) {
            status = keep_name(from->labels[c], r->rare, &r->n_rare, err);
            continue;
        }
        kept[n_kept++] = c;
        status = keep_name(from->labels[c], r->classes, &r->n_classes, err);
    }
    if (!status && !n_kept)
        status = eg__fail_for(err, EG_E_ARGUMENT, EG_REASON_FEW_ROWS,
                              "no label is on two of the %zu training photos and missing on two others",
                              t->sample.n_train);
    if (!status && !(t->sets = eg__zalloc(n + 1, n_kept))) status = eg__fail_memory(err, "labels");
    for (size_t i = 0; i < n && !status; i++)
        for (size_t c = 0; c < n_kept; c++) t->sets[i * n_kept + c] = from->sets[t->place[i] * k + kept[c]];
    free(kept);
    return status;
}

/* Photos with a label, or without it, that all came to one fold: one of them goes to the next. */
static void spread_folds(const struct training *t, unsigned folds, uint8_t *fold)
{
    const size_t k = t->report.n_classes, n = t->sample.n_train;
    for (size_t c = 0; c < k; c++)
        for (uint8_t has = 0; has < 2; has++) {
            size_t last = n;
            bool several = false;
            for (size_t i = 0; i < n; i++) {
                if (t->sets[i * k + c] != has) continue;
                several = several || (last < n && fold[i] != fold[last]);
                last = i;
            }
            if (!several && last < n) fold[last] = (uint8_t)((fold[last] + 1U) % folds);
        }
}

static unsigned usual_folds(const struct training *t)
{
    const size_t k = t->report.n_classes, n = t->sample.n_train;
    size_t folds = n < FOLDS_USUAL ? n : FOLDS_USUAL;
    for (size_t c = 0; c < k; c++) {
        size_t count = 0;
        for (size_t i = 0; i < n; i++) count += t->sets[i * k + c];
        if (count < folds) folds = count;
        if (n - count < folds) folds = n - count;
    }
    return folds < FOLDS_LEAST ? FOLDS_LEAST : (unsigned)folds;
}

enum eg_status eg__training_draw_folds(const struct training *t, unsigned folds, uint64_t seed, uint8_t *fold,
                                       struct eg_error *err)
{
    const struct eg_sample *s = &t->sample;
    enum eg_status status =
        eg__fold_strata((eg_hashes)s->identity, s->labels, s->n_train, (const char *const *)s->classes,
                        s->n_classes, folds, seed, fold, err);
    if (!status && t->sets && !s->group) spread_folds(t, folds, fold);
    return status;
}

static double score_of(const void *context, size_t label, size_t row)
{
    const void *const *both = context;
    const struct training *t = both[0];
    const float *p = both[1];
    return (double)p[row * t->report.n_classes + label];
}

double eg__training_figure(const struct training *t, const float *p)
{
    const size_t n = t->sample.n_train, k = t->report.n_classes;
    const void *const both[] = {t, p};
    double mean = 0, total = 0, off = 0;
    size_t right = 0;
    if (t->sets) return eg__sets_precision(t->sets, n, k, score_of, both);
    for (size_t i = 0; i < n && t->numbers; i++) mean += t->numbers[i] / (double)n;
    for (size_t i = 0; i < n && t->numbers; i++) {
        total += (t->numbers[i] - mean) * (t->numbers[i] - mean);
        off += ((double)p[i] - t->numbers[i]) * ((double)p[i] - t->numbers[i]);
    }
    if (t->numbers) return 1 - off / total;
    for (size_t i = 0; i < n; i++) {
        size_t best = 0;
        for (size_t c = 1; c < k; c++)
            if (p[i * k + c] > p[i * k + best]) best = c;
        right += (int32_t)best == t->sample.labels[i];
    }
    return (double)right / (double)n;
}

static enum eg_status make_folds(struct training *t, struct eg_error *err)
{
    const struct eg_sample *s = &t->sample;
    const unsigned folds = t->options->folds ? t->options->folds : usual_folds(t);
    t->report.folds = folds;
    if (folds < 2) return EG_OK;
    if (folds > s->n_train)
        return eg__fail_for(err, EG_E_ARGUMENT, EG_REASON_FEW_ROWS,
                            "there are %zu photos to learn from, fewer than the %u folds", s->n_train, folds);
    if (folds > UINT8_MAX)
        return eg__fail(err, EG_E_ARGUMENT, "%u folds asked for, it must be 2 to 255", folds);
    t->fold = eg__alloc(s->n_train, 1);
    if (!t->fold) return eg__fail_memory(err, "the folds");
    for (size_t i = 0; i < s->n_train && folds == s->n_train; i++) t->fold[i] = (uint8_t)i; /* each alone */
    return folds == s->n_train ? EG_OK : eg__training_draw_folds(t, folds, s->seed, t->fold, err);
}

enum eg_status eg__training_choose_targets(struct training *t, struct eg_error *err)
{
    const struct eg_train_options *o = t->options;
    const struct eg_sample_options how = {
        .test_fraction = o->test ? -1 : o->test_fraction, .seed = o->seed, .group = o->group};
    enum eg_status status =
        eg__targets_of_store(t->store, t->cut, o->labels_sep, &o->classes, o->target, &t->targets, err);
    if (!status) status = eg__targets_sample(&t->targets, t->store, t->cut, &how, &t->sample, &t->place, err);
    if (!status) status = eg__training_note_rows(t, err);
    if (status) return status;
    t->report.n_unlabelled = t->targets.n_unlabelled;
    t->report.n_copies = t->targets.n_copies;
    if (t->targets.sets) status = choose_labels(t, err);
    if (t->targets.values && !(t->numbers = eg__alloc(t->sample.n, sizeof *t->numbers)))
        status = eg__fail_memory(err, "numbers");
    for (size_t i = 0; i < t->sample.n && t->numbers; i++) t->numbers[i] = t->targets.values[t->place[i]];
    return status ? status : make_folds(t, err);
}

/* ---- the test ----------------------------------------------------------------------------------- */

/* Other data: what a model that is written for this and removed again says of them. */
static enum eg_status test_elsewhere(struct training *t, struct eg_error *err)
{
    char *path;
    eg_net *model = NULL;
    struct eg_evaluate_report *found = NULL;
    const struct eg_train_options *o = t->options;
    const struct eg_evaluate_options how = {
        .rows = EG_ROWS_ALL, .pool = o->pool, .progress = o->progress, .user = o->user, .images = o->images};
    if (asprintf(&path, "%s.tested.onnx", t->path) < 0) return eg__fail_memory(err, "a path");
    enum eg_status status = eg__trained_save(t->graph, t->whole, path, true, err);
    if (!status) status = eg_net_load(path, NULL, &model, err);
    if (!status) status = eg_evaluate(model, o->test, &how, &found, err);
    if (!status) {
        struct eg_train_report *r = &t->report;
        r->labels = found->labels;
        r->numbers = found->numbers;
        r->number_truth = found->number_truth;
        r->number_answers = found->number_answers;
        r->unreadable = found->unreadable;
        r->n_unreadable = found->n_unreadable;
        found->labels = (struct eg_label_metrics){0};
        found->number_truth = found->number_answers = NULL;
        found->unreadable = NULL;
        found->n_unreadable = 0;
    }
    eg_evaluate_report_free(found);
    eg_net_free(model);
    unlink(path);
    free(path);
    return status;
}

static enum eg_status measure_numbers(struct training *t, const struct eg_verdict *verdict,
                                      struct eg_error *err)
{
    struct eg_train_report *r = &t->report;
    const size_t n = verdict->n;
    r->number_truth = eg__alloc(n, sizeof *r->number_truth);
    r->number_answers = eg__alloc(n, sizeof *r->number_answers);
    if (!r->number_truth || !r->number_answers) return eg__fail_memory(err, "the test");
    for (size_t i = 0; i < n; i++) {
        r->number_truth[i] = t->numbers[t->sample.n_train + i];
        r->number_answers[i] = (double)verdict->probabilities[i];
    }
    return eg__number_metrics(r->number_truth, r->number_answers, n, t->options->seed, &r->numbers, err);
}

enum eg_status eg__training_test_targets(struct training *t, struct eg_error *err)
{
    const struct eg_sample *s = &t->sample;
    const size_t n = s->n - s->n_train, k = t->report.n_classes;
    struct eg_verdict verdict = {0};
    if (t->options->test) return test_elsewhere(t, err);
    if (!n) return EG_OK;
    enum eg_status status =
        eg__judge_rows(t->learned.head, &t->joint, s->rows + s->n_train, n, t->options->pool, &verdict, err);
    if (!status && t->numbers) status = measure_numbers(t, &verdict, err);
    if (!status && t->sets)
        status = eg__label_metrics(t->sets + s->n_train * k, verdict.probabilities, t->report.thresholds, n,
                                   k, &t->report.labels, err);
    eg__verdict_release(&verdict);
    return status;
}
