/* tune_evidence.c: did fine-tuning bring anything? Weights between the linear start and the end of
 * training (WiSE-FT: Wortsman et al., CVPR 2022) and the linear classifier answer for photos that none of
 * them has seen: of folds, each of which is tuned again on the others; or the validation rows.
 *
 *   rows = learned | held        every fold: head begun and tuned on `learned`, judged on `held`
 *
 * What is said of tuned weights is not of the share that was best on the same photos: each fold is judged
 * by the share that was best on the other folds. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "flow/tuning.h"

enum { SHARES = EG_TUNE_SHARES, DEFAULT_FOLDS = 3, MOST_FOLDS = 100 };
static const double share_of[SHARES] = {0, 0.25, 0.5, 0.75, 1};

struct weighing {
    struct tuning *t;
    struct eg_tune_phase phase; /* the fold's, or the main one */
    unsigned folds, done;       /* done: all rows of folds below it are judged */
    uint8_t *fold;              /* [n_train] */
    size_t *rows;               /* [n] learned, then held */
    float *start;               /* values a fold begins with */
    float *end, *mixed, *last;  /* states: of a fold, between, of the main training */
    float *answers;             /* [n][classes] */
    /* counted up by row judged */
    size_t n, right[SHARES];
    double loss[SHARES], *fold_loss; /* sums; fold_loss [folds][SHARES] */
    uint8_t *tuned, *linear,
        *of; /* [n] rows judged: a bit for every share that was right; right; which fold */
};

static void release(struct weighing *w)
{
    free(w->fold);
    free(w->rows);
    free(w->start);
    free(w->end);
    free(w->mixed);
    free(w->last);
    free(w->answers);
    free(w->fold_loss);
    free(w->tuned);
    free(w->linear);
    free(w->of);
}

static enum eg_status begin(struct weighing *w, struct tuning *t, unsigned folds, struct eg_error *err)
{
    struct eg_trainer *trainer = eg__tuning_last(t);
    size_t n_values, n_state = eg__trainer_state_count(trainer);
    eg__tape_values(eg__trainer_tape(trainer), &n_values);
    *w = (struct weighing){.t = t, .phase = eg__tuning_phase(t), .folds = folds};
    w->fold = eg__zalloc(t->n, 1);
    w->rows = eg__alloc(t->n, sizeof *w->rows);
    w->start = eg__alloc(n_values, sizeof *w->start);
    w->end = eg__alloc(n_state, sizeof *w->end);
    w->mixed = eg__alloc(n_state, sizeof *w->mixed);
    w->last = eg__alloc(n_state, sizeof *w->last);
    w->answers = eg__alloc(t->n, t->report.train.n_classes * sizeof *w->answers);
    w->fold_loss = eg__zalloc(folds + 1, SHARES * sizeof *w->fold_loss);
    w->tuned = eg__zalloc(t->n, 1);
    w->linear = eg__zalloc(t->n, 1);
    w->of = eg__zalloc(t->n, 1);
    if (w->fold && w->rows && w->start && w->end && w->mixed && w->last && w->answers && w->fold_loss &&
        w->tuned && w->linear && w->of) {
        eg__trainer_get_state(trainer, w->last);
        return EG_OK;
    }
    release(w);
    return eg__fail_memory(err, "the evidence");
}

/* The trainer's weights: `share` of the way from the start to the end, running statistics as well. */
static void set_share(struct weighing *w, const float *start, const float *end, double share)
{
    struct eg_trainer *trainer = eg__tuning_last(w->t);
    size_t n, n_statistics, n_state = eg__trainer_state_count(trainer);
    eg__tape_values(eg__trainer_tape(trainer), &n);
    eg__tape_statistics(eg__trainer_tape(trainer), &n_statistics);
    memcpy(w->mixed, end, n_state * sizeof *end);
    for (size_t i = 0; i < n + n_statistics && share < 1; i++) {
        float from = i < n ? start[i] : w->t->pristine[i];
        w->mixed[i] = from + (float)share * (end[i] - from);
    }
    eg__trainer_set_state(trainer, w->mixed);
}

/* ---- judging ----------------------------------------------------------------------------------- */

static double log_loss(const float *logits, size_t k, int32_t label)
{
    double most = (double)logits[eg__likeliest(logits, k)], sum = 0;
    for (size_t c = 0; c < k; c++) sum += exp((double)logits[c] - most);
    return log(sum) + most - (double)logits[label];
}

/* These rows by all shares of what was learned, and by the linear classifier. */
static enum eg_status judge(struct weighing *w, const size_t *rows, size_t n, const float *start,
                            const float *end, const struct eg_learned *linear, struct eg_error *err)
{
    struct tuning *t = w->t;
    size_t k = t->report.train.n_classes;
    struct eg_batch_result ignored;
    enum eg_status status = EG_OK;
    for (size_t a = 0; a < SHARES && !status; a++) {
        set_share(w, start, end, share_of[a]);
        status = eg__tune_measure(&w->phase, rows, n, w->answers, &ignored, err);
        for (size_t i = 0; i < n && !status; i++) {
            const float *logits = w->answers + i * k;
            bool right = eg__likeliest(logits, k) == (size_t)t->labels[rows[i]];
            double loss = log_loss(logits, k, t->labels[rows[i]]);
            w->loss[a] += loss;
            w->fold_loss[w->done * SHARES + a] += loss;
            w->right[a] += right;
            w->tuned[w->n + i] |= (uint8_t)(right << a);
        }
    }
    if (!status) status = eg__tuning_ask_linear(t, linear, rows, n, w->answers, err);
    for (size_t i = 0; i < n && !status; i++) {
        w->linear[w->n + i] = eg__likeliest(w->answers + i * k, k) == (size_t)t->labels[rows[i]];
        w->of[w->n + i] = (uint8_t)w->done;
    }
    if (status) return status;
    w->done++;
    w->n += n;
    return EG_OK;
}

/* Begun, tuned and judged as if the fold's photos were not there. */
static enum eg_status run_fold(struct weighing *w, struct eg_error *err)
{
    struct tuning *t = w->t;
    size_t n = 0, held = t->n_train;
    for (size_t i = 0; i < t->n_train; i++)
        if (w->fold[i] == w->done)
            w->rows[--held] = t->rows[i];
        else
            w->rows[n++] = t->rows[i];
    struct eg_tune_report own = {.train.n_classes = t->report.train.n_classes};
    w->phase.train = w->rows;
    w->phase.n_train = n;
    w->phase.number = 2 + w->done;
    w->phase.start = w->start;
    w->phase.report = &own;
    if (t->report.rate > 0) w->phase.rate = t->report.rate;
    struct eg_learned linear = {0};
    enum eg_status status = eg__tuning_begin(t, &w->phase, err);
    if (!status) status = eg__tune_phase(&w->phase, err);
    if (!status) {
        eg__trainer_get_state(w->phase.trainer, w->end);
        status = eg__tuning_best_linear(t, w->rows, n, &linear, err);
        if (!status) status = judge(w, w->rows + n, t->n_train - n, w->start, w->end, &linear, err);
        status = eg__tune_agree(&t->dist, status, err);
    }
    eg__learned_release(&linear);
    free(own.epochs);
    free(own.curve);
    return status;
}

/* The training rows in as many folds as asked for, or as their classes allow: 0 where that is none. */
static unsigned divide(struct tuning *t, unsigned folds, uint8_t *fold)
{
    const struct eg_train_report *r = &t->report.train;
    int32_t *labels = eg__alloc(t->n_train, sizeof *labels);
    uint8_t(*identity)[32] = eg__alloc(t->n_train, sizeof *identity);
    for (size_t i = 0; i < t->n_train && labels && identity; i++) {
        labels[i] = t->labels[t->rows[i]];
        memcpy(identity[i], t->sample.identity[t->by_row[t->rows[i]]], sizeof *identity);
    }
    if (!labels || !identity) folds = 0;
    while (folds > 1 && eg__folds((eg_hashes)identity, labels, t->n_train, (const char *const *)r->classes,
                                  r->n_classes, folds, t->options->seed + 2, fold, NULL))
        folds--;
    free(labels);
    free(identity);
    return folds > 1 ? folds : 0;
}

/* ---- choosing ------------------------------------------------------------------------------------- */

/* The smallest loss, without that of fold `but` (none left: of all). Right answers of a few hundred photos
 * differ by chance alone; the loss is of every photo. */
static size_t best_share(const struct weighing *w, unsigned but)
{
    size_t best = 0;
    double least = INFINITY;
    for (size_t a = 0; a < SHARES; a++) {
        double loss = w->loss[a] - (but < w->done && w->done > 1 ? w->fold_loss[but * SHARES + a] : 0);
        if (loss < least) {
            least = loss;
            best = a;
        }
    }
    return best;
}

/* Paired: only_tuned of n photos only fine-tuning gets right, only_linear only the other. The interval
 * is that of Agresti & Min (2005): half a photo more in each of the four cells. */
static void compare(struct eg_tune_evidence *e, size_t only_tuned, size_t only_linear, size_t n)
{
    double b = (double)only_tuned, c = (double)only_linear, all = (double)n + 2;
    double middle = (b - c) / all, error = sqrt((b + c + 1) / all - middle * middle) / sqrt(all);
    e->gain = (b - c) / (double)n;
    e->gain_low = fmax(-1, middle - 1.96 * error);
    e->gain_high = fmin(1, middle + 1.96 * error);
}

static void conclude(struct weighing *w, const char *from)
{
    struct eg_tune_evidence *e = &w->t->report.evidence;
    size_t tuned = 0, linear = 0, only_tuned = 0, only_linear = 0;
    if (!w->n) return;
    for (size_t i = 0; i < w->n; i++) {
        bool right = w->tuned[i] >> best_share(w, w->of[i]) & 1;
        tuned += right;
        linear += w->linear[i];
        only_tuned += right && !w->linear[i];
        only_linear += !right && w->linear[i];
    }
    e->from = from;
    e->folds = w->folds ? w->done : 0;
    e->n = w->n;
    e->tuned_accuracy = (double)tuned / (double)w->n;
    e->linear_accuracy = (double)linear / (double)w->n;
    compare(e, only_tuned, only_linear, w->n);
    for (size_t a = 0; a < SHARES; a++) {
        e->share[a] = share_of[a];
        e->share_accuracy[a] = (double)w->right[a] / (double)w->n;
        e->share_loss[a] = w->loss[a] / (double)w->n;
    }
    w->t->report.share = share_of[best_share(w, UINT32_MAX)];
    w->t->report.linear_written = only_linear > only_tuned && !w->t->options->keep_tuned;
}

void eg__tuning_compare_test(struct tuning *t, size_t only_tuned, size_t only_linear)
{
    struct eg_tune_evidence *e = &t->report.evidence;
    if (e->from) return;
    e->from = "test";
    e->n = t->n_test;
    e->tuned_accuracy = t->report.tuned_accuracy;
    e->linear_accuracy = t->report.linear_accuracy;
    compare(e, only_tuned, only_linear, t->n_test);
    t->report.linear_written = only_linear > only_tuned && !t->options->keep_tuned;
}

/* The same on every rank: another kind of processor may have added up otherwise. */
static enum eg_status decide_alike(struct tuning *t, struct eg_error *err)
{
    struct eg_tune_report *r = &t->report;
    float decided[2] = {(float)r->share, r->linear_written};
    if (t->dist.rank) memset(decided, 0, sizeof decided);
    enum eg_status status = eg__dist_sum(&t->dist, decided, 2, err);
    r->share = (double)decided[0];
    r->linear_written = decided[1] > 0;
    return status;
}

static unsigned folds_asked(const struct tuning *t)
{
    int folds = t->options->folds;
    return folds < 0 ? 0 : !folds ? DEFAULT_FOLDS : folds < MOST_FOLDS ? (unsigned)folds : MOST_FOLDS;
}

/* The validation rows chose the epoch; here they choose between its end and the start. */
static enum eg_status judge_validation(struct weighing *w, struct eg_error *err)
{
    struct tuning *t = w->t;
    struct eg_learned linear;
    enum eg_status status = eg__tuning_best_linear(t, t->rows, t->n_train, &linear, err);
    if (status) return status;
    status = judge(w, t->rows + t->n_train, t->n_valid, t->start, w->last, &linear, err);
    eg__learned_release(&linear);
    return status;
}

enum eg_status eg__tuning_weigh(struct tuning *t, struct eg_error *err)
{
    struct weighing w;
    double began = eg__seconds();
    enum eg_status status = begin(&w, t, folds_asked(t), err);
    t->report.share = 1;
    if (status) return status;
    w.folds = divide(t, w.folds, w.fold);
    while (w.done < w.folds && !status) status = run_fold(&w, err);
    if (!status && !w.folds && t->n_valid) status = eg__tune_agree(&t->dist, judge_validation(&w, err), err);
    if (!status || status == EG_E_CANCELLED) {
        conclude(&w, w.folds ? "folds" : "validation");
        enum eg_status alike = decide_alike(t, status ? NULL : err);
        if (!status) status = alike;
    }
    set_share(&w, t->start, w.last, t->report.share);
    t->report.evidence.seconds = eg__seconds() - began;
    release(&w);
    return status;
}

enum eg_status eg__tuning_estimate(struct tuning *t, struct eg_error *err)
{
    struct weighing w;
    struct eg_tune_evidence *e = &t->report.evidence;
    double began = eg__seconds();
    unsigned folds = folds_asked(t);
    enum eg_status status = begin(&w, t, folds ? folds : DEFAULT_FOLDS, err);
    if (status) return status;
    w.folds = divide(t, w.folds, w.fold);
    if (!w.folds)
        status =
            eg__fail(err, EG_E_ARGUMENT,
                     "every class needs two photos to learn from and be judged by, to estimate anything");
    if (!status) status = run_fold(&w, err);
    if (!status) conclude(&w, "folds");
    e->seconds = eg__seconds() - began;
    /* all photos, and every fold without its own */
    if (!status) e->seconds_whole = e->seconds * w.folds / (w.folds - 1.0) * (folds ? w.folds : 1);
    t->report.linear_written = false;
    release(&w);
    return status;
}
