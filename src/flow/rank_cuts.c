/* rank_cuts.c: which cut, and which classifier on it: the linear ones are cross-validated on every
 * cut of a feature file, each from one Gram matrix a scaling, and ranked. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "base/versioned.h"
#include "eval/metrics.h"
#include "flow/training.h"

void eg__compared_free(struct eg_compared *list, size_t n)
{
    for (size_t i = 0; i < n; i++) free(list[i].features);
    free(list);
}

/* The caller's progress counts comparisons, the learner's steps only ask whether to stop. */
struct watch {
    const struct eg_train_options *options;
    size_t done, total;
};

static bool watch(void *user, size_t done, size_t total)
{
    (void)done;
    (void)total;
    const struct watch *w = user;
    return !w->options->progress || w->options->progress(w->options->user, w->done, w->total);
}

/* One classifier on t->cut. */
static enum eg_status compare_one(struct training *t, enum eg_learner learner, struct watch *progress,
                                  struct eg_compared *out, struct eg_error *err)
{
    double start = eg__seconds();
    struct eg_learn_options how = t->how;
    how.learner = learner;
    how.choose_only = true;
    how.progress = watch;
    how.user = progress;
    struct eg_row_source source = eg__training_rows(t);
    struct eg_learned learned;
    enum eg_status status = eg__learn(&source, t->sample.labels, t->sample.n_classes, &how, &learned, err);
    if (status)
        return status == EG_E_CANCELLED
                   ? status
                   : eg__fail_within(err, status, "cut '%s'", t->spec->cuts[t->cut].name);
    *out = (struct eg_compared){.features = eg__training_cut_names(t),
                                .length = t->joint.length,
                                .classifier = eg__learner_names[learner],
                                .scale = eg__scaling_names[learned.scale],
                                .c = learned.c,
                                .cv_accuracy = learned.cv_accuracy};
    eg__wilson((size_t)llround(learned.cv_accuracy * (double)t->sample.n_train), t->sample.n_train,
               &out->cv_low, &out->cv_high);
    eg__learned_release(&learned);
    out->seconds = eg__seconds() - start;
    progress->done++;
    return out->features ? EG_OK : eg__fail_memory(err, "the comparison");
}

/* Best first; of equals the shorter; then as they came. */
static bool goes_before(const struct eg_compared *a, const struct eg_compared *b)
{
    return a->cv_accuracy > b->cv_accuracy || (a->cv_accuracy == b->cv_accuracy && a->length < b->length);
}

static void insert(struct eg_compared *list, size_t n, struct eg_compared item)
{
    for (; n && goes_before(&item, &list[n - 1]); n--) list[n] = list[n - 1];
    list[n] = item;
}

enum eg_status eg__training_compare(struct training *t, struct eg_error *err)
{
    const char *asked = t->options->classifier;
    bool one = asked && strcmp(asked, "auto") != 0;
    if (t->options->folds == 1)
        return eg__fail(err, EG_E_ARGUMENT, "nothing can be compared without folds (give 2 or more)");
    if (one && t->how.learner > EG_SVM)
        return eg__fail(err, EG_E_ARGUMENT, "only logistic and svm are compared, not '%s'", asked);
    static const enum eg_learner all[] = {EG_CENTROID, EG_LDA, EG_LOGISTIC,
                                          EG_SVM}; /* the first two of few photos */
    const enum eg_learner only[] = {t->how.learner}, *learners = one ? only : t->few ? all : all + 2;
    const size_t n_learners = one ? 1 : t->few ? 4 : 2;
    const bool given = t->options->features || eg__training_is_joined(t);
    size_t from = given ? t->cut : 0, to = given ? t->cut + 1 : t->spec->n_cuts;
    size_t total = (to - from) * n_learners;
    struct watch progress = {t->options, 0, total};
    struct eg_train_report *r = &t->report;
    r->compared = eg__zalloc(total, sizeof *r->compared);
    enum eg_status status = r->compared ? EG_OK : eg__fail_memory(err, "the comparison");
    for (size_t cut = from; cut < to && !status; cut++) {
        if (!given) status = eg__training_take_cut(t, cut, err);
        for (size_t l = 0; l < n_learners && !status; l++) {
            struct eg_compared found = {0};
            status = compare_one(t, learners[l], &progress, &found, err);
            if (status == EG_E_UNSUPPORTED &&
                n_learners > 1) { /* LDA of too many features: the others go on */
                status = EG_OK;
                progress.done++;
                continue;
            }
            insert(r->compared, r->n_compared, found);
            r->n_compared++;
        }
    }
    return status;
}

/* Those of the cuts that are better side by side, with the classifier that came first. */
static enum eg_status put_together(struct training *t, struct eg_error *err)
{
    t->how.learner = strcmp(t->report.compared[0].classifier, "svm") ? EG_LOGISTIC : EG_SVM;
    eg__joint_release(&t->joint);
    enum eg_status status = EG_OK;
    for (size_t i = 0; i < t->spec->n_cuts && !status; i++)
        status = eg__joint_add(&t->joint, t->store, i, NULL, err);
    return status ? status : eg__training_select(t, err);
}

enum eg_status eg_features_compare(eg_features *features, const struct eg_train_options *options,
                                   struct eg_comparison **comparison, struct eg_error *err)
{
    struct eg_train_options asked;
    enum eg_status status = eg__options(&asked, sizeof asked, options, err);
    if (status) return status;
    const bool together = asked.features && !strcmp(asked.features, "auto");
    if (together) asked.features = NULL;
    if (!asked.classifier) asked.classifier = "auto";
    struct training t = {.store = features, .spec = eg__store_spec(features), .options = &asked};
    double start = eg__seconds();
    status = eg__training_begin(&t, err);
    if (!status) status = eg__training_compare(&t, err);
    if (!status && together && t.spec->n_cuts > 1) status = put_together(&t, err);
    if (!status) {
        const struct eg_comparison made = {.selection = t.report.selection,
                                           .n_selection = t.report.n_selection,
                                           .compared = t.report.compared,
                                           .n_compared = t.report.n_compared,
                                           .n_train = t.sample.n_train,
                                           .n_kept = t.sample.n - t.sample.n_train,
                                           .n_unlabelled = t.report.n_unlabelled,
                                           .n_classes = t.report.n_classes,
                                           .folds = t.report.folds,
                                           .seconds = eg__seconds() - start};
        status = eg__hand_out(&made, sizeof made, comparison, err);
    }
    if (!status) {
        t.report.compared = NULL;
        t.report.n_compared = 0;
        t.report.selection = NULL;
        t.report.n_selection = 0;
    }
    eg__training_release(&t);
    eg__train_report_release(&t.report);
    return status;
}

void eg_comparison_free(struct eg_comparison *comparison)
{
    if (comparison) eg__compared_free(comparison->compared, comparison->n_compared);
    if (comparison) eg__selection_free(comparison->selection, comparison->n_selection);
    free(comparison);
}
