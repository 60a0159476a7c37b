/* train_rows.c: which rows of a feature file are learned from, in which folds, and which test. */
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "base/versioned.h"
#include "flow/training.h"
#include "image/photo.h"

enum { FEW = 5 }; /* photos: as many as there are folds */

static int compare_hashes(const void *a, const void *b) { return memcmp(a, b, 32); }

void eg__training_count_known(struct training *t, eg_hashes hashes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        t->report.n_test_known +=
            bsearch(hashes[i], t->known, t->sample.n_train, sizeof *t->known, compare_hashes) != NULL;
}

static enum eg_status copy_names(char **names, size_t n, char ***copies, size_t *n_copies,
                                 struct eg_error *err)
{
    *copies = eg__zalloc(n + 1, sizeof **copies);
    if (!*copies) return eg__fail_memory(err, "class names");
    for (; *n_copies < n; ++*n_copies)
        if (!((*copies)[*n_copies] = strdup(names[*n_copies]))) return eg__fail_memory(err, "class names");
    return EG_OK;
}

enum eg_status eg__training_note_rows(struct training *t, struct eg_error *err)
{
    struct eg_sample *s = &t->sample;
    t->report.n_train = s->n_train;
    t->trained.sample = s;
    t->known = eg__alloc(s->n_train, sizeof *t->known);
    if (!t->known) return eg__fail_memory(err, "the images' hashes");
    memcpy(t->known, s->hashes, s->n_train * sizeof *t->known);
    qsort(t->known, s->n_train, sizeof *t->known, compare_hashes);
    eg__training_count_known(t, (eg_hashes)s->hashes + s->n_train, s->n - s->n_train);
    return EG_OK;
}

/* What the sample says of the rows, for the report and the file. */
static enum eg_status note_sample(struct training *t, struct eg_error *err)
{
    struct eg_sample *s = &t->sample;
    struct eg_train_report *r = &t->report;
    enum eg_status status = copy_names(s->classes, s->n_classes, &r->classes, &r->n_classes, err);
    if (!status) status = copy_names(s->empty, s->n_empty, &r->empty, &r->n_empty, err);
    if (status) return status;
    r->n_unlabelled = s->n_unlabelled;
    r->n_left_out = s->n_left_out;
    r->twice = s->twice;
    r->n_twice = s->n_twice;
    s->twice = NULL;
    s->n_twice = 0;
    return eg__training_note_rows(t, err);
}

/* Classifiers that are worked out do without folds where a class has one photo. */
static bool needs_folds(const struct eg_train_options *o)
{
    return o->folds || !o->classifier ||
           (strcmp(o->classifier, "centroid") && strcmp(o->classifier, "lda") &&
            strcmp(o->classifier, "auto"));
}

static bool has_single(const struct eg_sample *s)
{
    size_t *count = eg__zalloc(s->n_classes, sizeof *count);
    bool single = false;
    for (size_t i = 0; count && i < s->n_train; i++) count[s->labels[i]]++;
    for (size_t k = 0; count && k < s->n_classes; k++) single = single || count[k] == 1;
    free(count);
    return single;
}

/* Classes with fewer photos than folds, and the classifier is to be chosen: every photo is held out alone, by
 * classifiers of all others; of very many one of each class at a time. */
static enum eg_status hold_out_alone(struct training *t, struct eg_error *err)
{
    enum { FOLDS_MOST = 255 };
    const struct eg_sample *s = &t->sample;
    size_t *count = eg__zalloc(s->n_classes, sizeof *count), most = 0;
    t->fold = eg__alloc(s->n_train, 1);
    if (!count || !t->fold) {
        free(count);
        return eg__fail_memory(err, "the folds");
    }
    const bool each = s->n_train <= FOLDS_MOST;
    for (size_t i = 0; i < s->n_train; i++) {
        const size_t place = count[s->labels[i]]++;
        size_t first = i; /* copies of one photo stay together */
        for (size_t j = 0; j < i && first == i && each; j++)
            if (!memcmp(s->identity[j], s->identity[i], sizeof s->identity[i])) first = j;
        t->fold[i] = (uint8_t)(each ? first == i ? i : t->fold[first] : place % FOLDS_MOST);
        if (place + 1 > most) most = place + 1;
    }
    t->report.folds = (unsigned)(each ? s->n_train : most < FOLDS_MOST ? most : FOLDS_MOST);
    free(count);
    return EG_OK;
}

static size_t smallest_class(const struct eg_sample *s)
{
    size_t *count = eg__zalloc(s->n_classes, sizeof *count), least = s->n_train;
    for (size_t i = 0; count && i < s->n_train; i++) count[s->labels[i]]++;
    for (size_t k = 0; count && k < s->n_classes; k++) least = count[k] < least ? count[k] : least;
    free(count);
    return least;
}

enum eg_status eg__training_choose_rows(struct training *t, struct eg_error *err)
{
    const struct eg_train_options *o = t->options;
    if (eg__training_has_targets(t)) return eg__training_choose_targets(t, err);
    struct eg_sample_options how = {.test_fraction = o->test ? -1 : o->test_fraction,
                                    .seed = o->seed,
                                    .group = o->group,
                                    .classes = o->classes};
    enum eg_status status = eg__sample_of_store(t->store, t->cut, &how, &t->sample, err);
    if (!status) status = note_sample(t, err);
    if (!status) status = eg__training_check_rows(t, err);
    if (status) return status;
    const size_t least = smallest_class(&t->sample);
    t->few = !o->folds && !o->group && o->classifier && !strcmp(o->classifier, "auto") && least < FEW;
    t->report.folds = 1;
    if (t->few) return least < 2 ? EG_OK : hold_out_alone(t, err);
    const unsigned folds =
        !needs_folds(o) && has_single(&t->sample)
            ? 1
            : eg__fold_count(o->folds, t->sample.labels, t->sample.n_train, t->sample.n_classes);
    t->report.folds = folds;
    if (folds < 2) return EG_OK;
    t->fold = eg__alloc(t->sample.n_train, 1);
    return t->fold ? eg__sample_folds(&t->sample, folds, t->fold, err) : eg__fail_memory(err, "the folds");
}

static enum eg_status gather(void *self, const size_t *rows, size_t count, float *out, struct eg_error *err)
{
    const struct training *t = self;
    size_t *places = eg__alloc(count, sizeof *places);
    if (!places) return eg__fail_memory(err, "rows");
    for (size_t i = 0; i < count; i++) places[i] = t->sample.rows[rows[i]];
    enum eg_status status = eg__joint_gather(&t->joint, places, count, out, err);
    free(places);
    return status;
}

struct eg_row_source eg__training_rows(struct training *t)
{
    return (struct eg_row_source){.n = t->sample.n_train,
                                  .d = t->joint.length,
                                  .gather = gather,
                                  .self = t,
                                  .blocks = t->joint.n > 1 ? t->blocks : NULL,
                                  .n_blocks = t->joint.n > 1 ? t->joint.n : 0};
}

enum eg_status eg_train_check(const eg_dataset *images, const struct eg_train_options *options,
                              struct eg_error *err)
{
    struct eg_train_options own, *o = &own;
    enum eg_status status = eg__options(&own, sizeof own, options, err);
    if (status) return status;
    if (o->multi_label || o->target) return EG_OK; /* known when copies are */
    int32_t *labels = eg__alloc(images->n_items, sizeof *labels);
    if (!labels) return eg__fail_memory(err, "labels");
    const char *const *all = (const char *const *)images->classes, **classes = NULL;
    size_t n_classes = 0;
    for (size_t i = 0; i < images->n_items; i++) labels[i] = images->items[i].label;
    status = eg__class_choice_check(&o->classes, all, images->n_classes, err);
    if (!status)
        status = eg__class_choose(&o->classes, all, images->n_classes, labels, images->n_items, &classes,
                                  &n_classes, err);
    if (!status)
        status =
            eg__sample_check(labels, images->n_items, classes, n_classes, o->test ? -1 : o->test_fraction,
                             o->folds         ? o->folds
                             : needs_folds(o) ? 2
                                              : 1,
                             err);
    free(classes);
    free(labels);
    return status;
}
