/* audit_learn.c: what a classifier that has not seen a row says of it.
 *
 * Copies of one photo stay in one fold: a copy of a wrong photo in another fold would confirm the
 * wrong label. Probabilities are the mean over REPEATS divisions into folds, of which the first
 * chooses scaling and C as training does. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "base/rng.h"
#include "eval/metrics.h"
#include "flow/audit.h"
#include "learn/learn.h"
#include "sample/sample.h"

enum { REPEATS = 3, FOLDS = 5, LEAST_CURVE = 40 };

static const char *const scale_names[] = {"none", "unit", "root", "standard", "auto"};

/* Labelled rows of classes that have enough of them. */
struct labelled_rows {
    struct eg_audit *audit;
    size_t *rows, n;            /* of audit->labelled */
    int32_t *labels, *class_of; /* class_of[learned class] */
    uint8_t (*identity)[32];    /* copies of one photo have one */
    uint8_t *fold;              /* [n] */
    const char **classes;
    size_t n_classes;
};

static void rows_release(struct labelled_rows *r)
{
    free(r->rows);
    free(r->labels);
    free(r->class_of);
    free(r->identity);
    free(r->fold);
    free(r->classes);
}

static bool rows_reserve(struct labelled_rows *r, size_t n)
{
    r->rows = eg__alloc(n + 1, sizeof *r->rows);
    r->labels = eg__alloc(n + 1, sizeof *r->labels);
    r->identity = eg__alloc(n + 1, sizeof *r->identity);
    r->fold = eg__alloc(n + 1, 1);
    return r->rows && r->labels && r->identity && r->fold;
}

static enum eg_status gather(void *self, const size_t *rows, size_t count, float *out, struct eg_error *err)
{
    const struct labelled_rows *r = self;
    const struct eg_audit *a = r->audit;
    size_t *places = eg__alloc(count, sizeof *places);
    if (!places) return eg__fail_memory(err, "rows");
    for (size_t i = 0; i < count; i++) places[i] = a->rows[a->labelled[r->rows[rows[i]]]];
    enum eg_status status = eg__rows_gather(a->store, a->cut, places, count, out, err);
    free(places);
    return status;
}

static struct eg_row_source source_of(struct labelled_rows *r)
{
    return (struct eg_row_source){r->n, r->audit->spec->cuts[r->audit->cut].length, gather, r};
}

/* A class takes part when its photos, copies counted once, can be divided among the folds. */
static enum eg_status choose(struct eg_audit *a, unsigned folds, struct labelled_rows *out,
                             struct eg_error *err)
{
    const size_t k = a->spec->n_classes, n = a->n_labelled;
    struct labelled_rows r = {.audit = a};
    size_t *count = eg__zalloc(k + 1, sizeof *count);
    int32_t *number = eg__alloc(k + 1, sizeof *number);
    uint8_t *seen = eg__zalloc(a->n + 1, 1);
    uint8_t(*hashes)[32] = eg__alloc(a->n + 1, sizeof *hashes);
    r.class_of = eg__alloc(k + 1, sizeof *r.class_of);
    r.classes = eg__alloc(k + 1, sizeof *r.classes);
    bool room = count && number && seen && hashes && r.class_of && r.classes && rows_reserve(&r, n);
    enum eg_status status = room ? eg__row_hashes(a->store, a->cut, a->rows, a->n, hashes, err)
                                 : eg__fail_memory(err, "labelled rows");
    for (size_t i = 0; i < n && !status; i++) {
        size_t row = a->labelled[i];
        if (!seen[a->set[row]]) count[a->labels[row]]++;
        seen[a->set[row]] = 1;
    }
    for (size_t c = 0; c < k && !status; c++) {
        number[c] = count[c] >= folds ? (int32_t)r.n_classes : -1;
        if (count[c] < folds) continue;
        r.classes[r.n_classes] = a->spec->classes[c];
        r.class_of[r.n_classes++] = (int32_t)c;
    }
    for (size_t i = 0; i < n && !status; i++) {
        size_t row = a->labelled[i];
        if (number[a->labels[row]] < 0) continue;
        r.rows[r.n] = i;
        r.labels[r.n] = number[a->labels[row]];
        memcpy(r.identity[r.n++], hashes[a->set[row]], sizeof *hashes);
    }
    free(hashes);
    free(count);
    free(number);
    free(seen);
    if (status)
        rows_release(&r);
    else
        *out = r;
    return status;
}

enum eg_status eg__audit_test_rows(struct eg_store *store, const struct eg_audit_options *options, size_t cut,
                                   uint8_t *test, struct eg_error *err)
{
    const struct eg_sample_options how = {.test_fraction = options->test_fraction, .seed = options->seed};
    struct eg_sample sample = {0};
    enum eg_status status = eg__sample_of_store(store, cut, &how, &sample, err);
    if (status == EG_E_ARGUMENT) return EG_OK; /* no training is possible, so nothing is kept from it */
    for (size_t i = sample.n_train; i < sample.n && !status; i++) test[sample.rows[i]] = 1;
    eg__sample_release(&sample);
    return status;
}

static void add_probabilities(struct eg_audit *a, const struct labelled_rows *r, const float *p)
{
    for (size_t i = 0; i < r->n; i++)
        for (size_t c = 0; c < r->n_classes; c++)
            a->probabilities[r->rows[i] * a->spec->n_classes + (size_t)r->class_of[c]] +=
                p[i * r->n_classes + c] / REPEATS;
}

/* Cross-validated accuracy of part of the rows, a rising part, in the order of a shuffle. */
static enum eg_status learning_curve(struct eg_audit *a, const struct labelled_rows *r,
                                     struct eg_learn_options how, struct eg_error *err)
{
    size_t *order = eg__alloc(r->n, sizeof *order);
    if (!order) return eg__fail_memory(err, "the learning curve");
    for (size_t i = 0; i < r->n; i++) order[i] = i;
    struct eg_rng rng;
    eg__rng_init(&rng, how.seed, 7);
    eg__rng_shuffle(&rng, order, r->n);
    enum eg_status status = EG_OK;
    for (size_t parts = 16; parts && !status; parts /= 2) {
        struct labelled_rows some = {.audit = a, .n_classes = r->n_classes};
        some.n = r->n / parts;
        if (some.n < LEAST_CURVE) continue;
        if (!rows_reserve(&some, some.n)) status = eg__fail_memory(err, "the learning curve");
        for (size_t i = 0; i < some.n && !status; i++) {
            some.rows[i] = r->rows[order[i]];
            some.labels[i] = r->labels[order[i]];
            memcpy(some.identity[i], r->identity[order[i]], sizeof *some.identity);
        }
        struct eg_learned learned = {0};
        struct eg_row_source source = source_of(&some);
        how.fold = some.fold;
        /* a part too small for its classes gives no point */
        if (!status &&
            !eg__folds(some.identity, some.labels, some.n, r->classes, r->n_classes, FOLDS, how.seed,
                       some.fold, NULL) &&
            !eg__learn(&source, some.labels, r->n_classes, &how, &learned, NULL)) {
            struct eg_curve_point *point = &a->curve[a->n_curve++];
            size_t right = (size_t)lround(learned.cv_accuracy * (double)some.n);
            point->rows = some.n * (FOLDS - 1) / FOLDS;
            point->accuracy = learned.cv_accuracy;
            eg__wilson(right, some.n, &point->low, &point->high);
            eg__learned_release(&learned);
        }
        rows_release(&some);
    }
    free(order);
    return status;
}

static enum eg_status learn_all(struct eg_audit *a, struct labelled_rows *r, struct eg_error *err)
{
    struct eg_learn_options how = {.learner = EG_LOGISTIC,
                                   .scale = EG_SCALE_AUTO,
                                   .folds = FOLDS,
                                   .choose_only = true,
                                   .out_of_fold = true,
                                   .fold = r->fold,
                                   .memory_bytes = a->options->memory_bytes,
                                   .seed = a->options->seed,
                                   .pool = a->options->pool,
                                   .progress = a->options->progress,
                                   .user = a->options->user};
    struct eg_row_source source = source_of(r);
    double c = 0;
    enum eg_status status = EG_OK;
    for (int repeat = 0; repeat < REPEATS && !status; repeat++) {
        struct eg_learned learned = {0};
        status =
            eg__folds(r->identity, r->labels, r->n, r->classes, r->n_classes, FOLDS, how.seed, r->fold, err);
        if (!status) status = eg__learn(&source, r->labels, r->n_classes, &how, &learned, err);
        if (status) break;
        add_probabilities(a, r, learned.out_of_fold);
        c = learned.c;
        how.c = &c;
        how.n_c = 1;
        how.scale = learned.scale;
        how.seed++;
        eg__learned_release(&learned);
    }
    a->scale = scale_names[how.scale];
    a->c = c;
    how.out_of_fold = false;
    how.seed = a->options->seed;
    return status ? status : learning_curve(a, r, how, err);
}

enum eg_status eg__audit_learn(struct eg_audit *a, struct eg_error *err)
{
    struct labelled_rows r;
    size_t cells;
    enum eg_status status = choose(a, FOLDS, &r, err);
    if (status) return status;
    if (r.n_classes >= 2) { /* else there is nothing to confuse */
        if (eg__mul(a->n_labelled, a->spec->n_classes, &cells))
            a->probabilities = eg__zalloc(cells, sizeof *a->probabilities);
        status = a->probabilities ? learn_all(a, &r, err) : eg__fail_memory(err, "probabilities");
    }
    rows_release(&r);
    return status;
}
