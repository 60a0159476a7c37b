/* audit_learn.c: what a classifier that has not seen a row says of it.
 *
 * Copies of one photo stay in one fold: a copy of a wrong photo in another fold would confirm the
 * wrong label. Probabilities are the mean over REPEATS divisions into folds, of which the first
 * chooses scaling and C as training does. Of more than MANY rows there is one division, and so many of
 * them choose: what is gained there is less than a row's noise, and the time is that of the whole report. */
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

enum { REPEATS = 3, FOLDS = 5, LEAST_CURVE = 40, MANY = 3000 };

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
    return (struct eg_row_source){
        .n = r->n, .d = r->audit->spec->cuts[r->audit->cut].length, .gather = gather, .self = r};
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

static void add_probabilities(struct eg_audit *a, const struct labelled_rows *r, const float *p, int repeats)
{
    for (size_t i = 0; i < r->n; i++)
        for (size_t c = 0; c < r->n_classes; c++)
            a->probabilities[r->rows[i] * a->spec->n_classes + (size_t)r->class_of[c]] +=
                p[i * r->n_classes + c] / (float)repeats;
}

/* The first n rows of an order, divided into folds. EG_E_ARGUMENT: too few of a class. */
static enum eg_status take_some(const struct labelled_rows *r, const size_t *order, size_t n, uint64_t seed,
                                struct labelled_rows *out, struct eg_error *err)
{
    struct labelled_rows some = {.audit = r->audit, .n_classes = r->n_classes, .n = n};
    enum eg_status status = rows_reserve(&some, n) ? EG_OK : eg__fail_memory(err, "some of the rows");
    for (size_t i = 0; i < n && !status; i++) {
        some.rows[i] = r->rows[order[i]];
        some.labels[i] = r->labels[order[i]];
        memcpy(some.identity[i], r->identity[order[i]], sizeof *some.identity);
    }
    if (!status)
        status =
            eg__folds(some.identity, some.labels, n, r->classes, r->n_classes, FOLDS, seed, some.fold, err);
    if (status)
        rows_release(&some);
    else
        *out = some;
    return status;
}

/* Cross-validated accuracy of part of the rows, a rising part, in the order of a shuffle. */
static enum eg_status learning_curve(struct eg_audit *a, const struct labelled_rows *r, const size_t *order,
                                     struct eg_learn_options how, struct eg_error *err)
{
    for (size_t parts = 16; parts; parts /= 2) {
        struct labelled_rows some;
        struct eg_learned learned = {0};
        const size_t n = r->n / parts;
        /* a part too small for its classes gives no point */
        if (n < LEAST_CURVE || take_some(r, order, n, how.seed, &some, NULL)) continue;
        struct eg_row_source source = source_of(&some);
        struct eg_error why;
        how.fold = some.fold;
        enum eg_status status = eg__learn(&source, some.labels, r->n_classes, &how, &learned, &why);
        if (!status) {
            struct eg_curve_point *point = &a->curve[a->n_curve++];
            point->rows = n * (FOLDS - 1) / FOLDS;
            point->accuracy = learned.cv_accuracy;
            eg__wilson((size_t)lround(learned.cv_accuracy * (double)n), n, &point->low, &point->high);
            eg__learned_release(&learned);
        }
        rows_release(&some);
        if (status != EG_E_CANCELLED) continue;
        if (err) *err = why;
        return status;
    }
    return EG_OK;
}

/* Of many rows some say which scaling and C; *c is then that of as much penalty a row for all. */
static enum eg_status choose_by_some(const struct labelled_rows *r, const size_t *order,
                                     struct eg_learn_options how, enum eg_scaling *scale, double *c,
                                     struct eg_error *err)
{
    struct labelled_rows some;
    struct eg_learned learned = {0};
    enum eg_status status = take_some(r, order, MANY, how.seed, &some, NULL);
    if (status) return status == EG_E_ARGUMENT ? EG_OK : eg__fail_memory(err, "some of the rows");
    struct eg_row_source source = source_of(&some);
    how.fold = some.fold;
    how.out_of_fold = false;
    status = eg__learn(&source, some.labels, r->n_classes, &how, &learned, err);
    if (!status) {
        *scale = learned.scale;
        *c = learned.c * MANY / (double)r->n;
        eg__learned_release(&learned);
    }
    rows_release(&some);
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
    struct eg_rng rng;
    double c = 0;
    const int repeats = r->n > MANY ? 1 : REPEATS;
    size_t *order = eg__alloc(r->n, sizeof *order);
    if (!order) return eg__fail_memory(err, "the order of rows");
    for (size_t i = 0; i < r->n; i++) order[i] = i;
    eg__rng_init(&rng, how.seed, 7);
    eg__rng_shuffle(&rng, order, r->n);
    enum eg_status status = r->n > MANY ? choose_by_some(r, order, how, &how.scale, &c, err) : EG_OK;
    for (int repeat = 0; repeat < repeats && !status; repeat++) {
        struct eg_learned learned = {0};
        how.c = c > 0 ? &c : NULL;
        how.n_c = c > 0;
        status =
            eg__folds(r->identity, r->labels, r->n, r->classes, r->n_classes, FOLDS, how.seed, r->fold, err);
        if (!status) status = eg__learn(&source, r->labels, r->n_classes, &how, &learned, err);
        if (status) break;
        add_probabilities(a, r, learned.out_of_fold, repeats);
        c = learned.c;
        how.scale = learned.scale;
        how.seed++;
        eg__learned_release(&learned);
    }
    a->scale = scale_names[how.scale];
    a->c = c;
    how.c = &c;
    how.n_c = 1;
    how.out_of_fold = false;
    how.seed = a->options->seed;
    if (!status) status = learning_curve(a, r, order, how, err);
    free(order);
    return status;
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
