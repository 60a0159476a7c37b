/* repeats.c: how much of a cross-validated figure is luck: the same classifier by other folds, again and
 * again; and (nested) what the whole procedure, its choices included, comes to on rows that had no part in
 * them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "flow/training.h"
#include "learn/ridge.h"

/* Folds drawn with another seed. */
static enum eg_status draw_folds(const struct training *t, uint64_t seed, uint8_t *fold, struct eg_error *err)
{
    const struct eg_sample *s = &t->sample;
    const char *const *names = (const char *const *)s->classes;
    if (eg__training_has_targets(t)) return eg__training_draw_folds(t, t->report.folds, seed, fold, err);
    return eg__folds((eg_hashes)s->identity, s->labels, s->n_train, names, s->n_classes, t->report.folds,
                     seed, fold, err);
}

static enum eg_status learn(struct training *t, const struct eg_row_source *rows,
                            const struct eg_learn_options *how, const int32_t *labels, const double *numbers,
                            struct eg_learned *learned, struct eg_error *err)
{
    if (t->numbers) return eg__ridge_train(rows, numbers, how, learned, err);
    return eg__learn(rows, labels, t->report.n_classes, how, learned, err);
}

enum eg_status eg__training_repeat(struct training *t, struct eg_error *err)
{
    const unsigned repeats = t->options->repeats;
    struct eg_train_report *r = &t->report;
    if (repeats < 2) return EG_OK;
    if (t->report.folds < 2 || t->how.learner == EG_MLP)
        return eg__fail(err, EG_E_UNSUPPORTED, "repeated cross-validation: not %s",
                        t->how.learner == EG_MLP ? "made for mlp" : "without folds");
    uint8_t *fold = eg__alloc(t->sample.n_train, 1);
    r->repeated = eg__alloc(repeats, sizeof *r->repeated);
    enum eg_status status = fold && r->repeated ? EG_OK : eg__fail_memory(err, "the folds");
    struct eg_learn_options how = t->how;
    const struct eg_row_source source = eg__training_rows(t);
    how.fold = fold;
    how.scale = t->learned.scale;
    how.c = &t->learned.c;
    how.n_c = t->learned.c > 0 ? 1 : 0; /* NAN: has none */
    how.choose_only = how.learner != EG_FOREST;
    how.reject_rate = 0;
    if (!status) r->repeated[r->n_repeated++] = t->learned.cv_accuracy;
    for (unsigned i = 1; i < repeats && !status; i++) {
        struct eg_learned learned;
        status = draw_folds(t, t->options->seed + i, fold, err);
        if (!status) status = learn(t, &source, &how, t->sample.labels, t->numbers, &learned, err);
        if (status) break;
        r->repeated[r->n_repeated++] = learned.cv_accuracy;
        eg__learned_release(&learned);
    }
    double mean = 0, square = 0;
    for (size_t i = 0; i < r->n_repeated; i++) mean += r->repeated[i] / (double)r->n_repeated;
    for (size_t i = 0; i < r->n_repeated; i++) square += (r->repeated[i] - mean) * (r->repeated[i] - mean);
    r->cv_mean = mean;
    r->cv_deviation = sqrt(square / ((double)r->n_repeated - 1));
    free(fold);
    return status;
}

/* ---- nested ---------------------------------------------------------------------------------------- */

/* The training rows outside of one fold, or inside it. */
struct part {
    struct training *t;
    size_t n, *rows; /* of the training rows */
    int32_t *labels;
    double *numbers;
    uint8_t *sets, *fold;
};

static enum eg_status gather(void *self, const size_t *rows, size_t count, float *out, struct eg_error *err)
{
    const struct part *p = self;
    struct eg_row_source all = eg__training_rows(p->t);
    size_t *places = eg__alloc(count, sizeof *places);
    if (!places) return eg__fail_memory(err, "rows");
    for (size_t i = 0; i < count; i++) places[i] = p->rows[rows[i]];
    enum eg_status status = all.gather(all.self, places, count, out, err);
    free(places);
    return status;
}

static void part_free(struct part *p)
{
    free(p->rows);
    free(p->labels);
    free(p->numbers);
    free(p->sets);
    free(p->fold);
}

static enum eg_status take_part(struct training *t, unsigned outer, bool inside, struct part *p,
                                struct eg_error *err)
{
    const struct eg_sample *s = &t->sample;
    const size_t n = s->n_train, k = t->report.n_classes;
    *p = (struct part){.t = t};
    p->rows = eg__alloc(n, sizeof *p->rows);
    p->labels = eg__alloc(n, sizeof *p->labels);
    p->numbers = eg__alloc(n, sizeof *p->numbers);
    p->sets = eg__alloc(n, k ? k : 1);
    p->fold = eg__alloc(n, 1);
    if (!p->rows || !p->labels || !p->numbers || !p->sets || !p->fold) return eg__fail_memory(err, "a fold");
    for (size_t i = 0; i < n; i++) {
        if ((t->fold[i] == outer) != inside) continue;
        p->labels[p->n] = s->labels[i];
        if (t->numbers) p->numbers[p->n] = t->numbers[i];
        if (t->sets) memcpy(p->sets + p->n * k, t->sets + i * k, k);
        p->fold[p->n] = (uint8_t)(t->fold[i] > outer ? t->fold[i] - 1 : t->fold[i]); /* the other folds */
        p->rows[p->n++] = i;
    }
    return EG_OK;
}

/* What is learned outside of a fold, everything chosen there, says of the rows in it: p [n_train][k]. */
static enum eg_status judge_fold(struct training *t, unsigned outer, float *p, struct eg_error *err)
{
    struct part out = {0}, in = {0};
    struct eg_learned learned = {0};
    struct eg_verdict verdict = {0};
    enum eg_status status = take_part(t, outer, false, &out, err);
    if (!status) status = take_part(t, outer, true, &in, err);
    struct eg_learn_options how = t->how;
    how.fold = out.fold;
    how.folds = t->report.folds - 1;
    how.sets = t->sets ? out.sets : NULL;
    how.start = NULL;
    how.reject_rate = 0;
    struct eg_row_source source = eg__training_rows(t);
    source.n = out.n;
    source.gather = gather;
    source.self = &out;
    if (!status) status = learn(t, &source, &how, out.labels, out.numbers, &learned, err);
    size_t *rows = eg__alloc(in.n + 1, sizeof *rows);
    if (!status && !rows) status = eg__fail_memory(err, "rows");
    for (size_t i = 0; i < in.n && !status; i++) rows[i] = t->sample.rows[in.rows[i]];
    if (!status)
        status = eg__judge_rows(learned.head, &t->joint, rows, in.n, t->options->pool, &verdict, err);
    for (size_t i = 0; i < in.n && !status; i++)
        memcpy(p + in.rows[i] * verdict.k, verdict.probabilities + i * verdict.k, verdict.k * sizeof *p);
    eg__verdict_release(&verdict);
    eg__learned_release(&learned);
    part_free(&out);
    part_free(&in);
    free(rows);
    return status;
}

enum eg_status eg__training_nest(struct training *t, struct eg_error *err)
{
    const size_t n = t->sample.n_train, k = t->numbers ? 1 : t->report.n_classes;
    struct eg_train_report *r = &t->report;
    if (!t->options->nested) return EG_OK;
    if (r->folds < 3 || t->how.learner == EG_MLP)
        return eg__fail(err, EG_E_UNSUPPORTED, "nested cross-validation: not %s",
                        t->how.learner == EG_MLP ? "made for mlp" : "with fewer than 3 folds");
    float *p = eg__zalloc(n, k * sizeof *p);
    enum eg_status status = p ? EG_OK : eg__fail_memory(err, "the folds");
    for (unsigned f = 0; f < r->folds && !status; f++) status = judge_fold(t, f, p, err);
    r->has_nested = !status;
    if (!status) r->nested = eg__training_figure(t, p);
    free(p);
    return status;
}
