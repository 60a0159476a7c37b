/* out_of_fold.c: every labelled row judged by a classifier that has not seen it. */
#include "flow/out_of_fold.h"

#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "flow/training.h"

static enum eg_status learn(struct training *t, struct eg_error *err)
{
    enum eg_status status = eg__training_selects(t) ? eg__training_select(t, err) : EG_OK;
    if (status) return status;
    struct eg_row_source source = eg__training_rows(t);
    t->how.out_of_fold = t->how.choose_only = true;
    return t->how.learner == EG_MLP
               ? eg__training_mlp(t, "./", err)
               : eg__learn(&source, t->sample.labels, t->sample.n_classes, &t->how, &t->learned, err);
}

enum eg_status eg__out_of_fold(struct eg_store *store, const struct eg_train_options *options,
                               struct eg_out_of_fold *out, struct eg_error *err)
{
    struct eg_train_options every = *options;
    every.test = NULL;
    every.test_fraction = -1;
    every.from = NULL;
    struct training t = {.store = store, .spec = eg__store_spec(store), .options = &every};
    enum eg_status status = eg__training_begin(&t, err);
    if (!status && !t.fold)
        status = eg__fail(err, EG_E_ARGUMENT, "nothing is out of fold without folds (ask for 2 or more)");
    if (!status) status = learn(&t, err);
    if (!status) {
        *out = (struct eg_out_of_fold){.sample = t.sample,
                                       .fold = t.fold,
                                       .folds = t.report.folds,
                                       .probabilities = t.learned.out_of_fold,
                                       .cut = t.cut,
                                       .learner = t.learned.learner,
                                       .scale = t.learned.scale,
                                       .c = t.learned.c,
                                       .cv_accuracy = t.learned.cv_accuracy};
        out->sample.group = NULL; /* the caller's */
        out->sample.twice = t.report.twice;
        out->sample.n_twice = t.report.n_twice;
        t.report.twice = NULL;
        t.report.n_twice = 0;
        t.learned.out_of_fold = NULL;
        t.fold = NULL;
        t.sample = (struct eg_sample){0};
    }
    eg__training_release(&t);
    eg__train_report_release(&t.report);
    return status;
}

void eg__out_of_fold_release(struct eg_out_of_fold *out)
{
    eg__sample_release(&out->sample);
    free(out->fold);
    free(out->probabilities);
    *out = (struct eg_out_of_fold){0};
}
