/* out_of_fold.h: what a classifier says of every labelled row of a feature file without having
 * seen it: what audit, thresholds and reports build on. */
#ifndef EG_FLOW_OUT_OF_FOLD_H
#define EG_FLOW_OUT_OF_FOLD_H

#include "learn/learn.h"
#include "sample/sample.h"

struct eg_out_of_fold {
    struct eg_sample sample; /* rows in the file's order, labels, class names, hashes; all of them train */
    uint8_t *fold;           /* [sample.n] */
    unsigned folds;
    float *probabilities; /* [sample.n][sample.n_classes], calibrated */
    size_t cut;
    enum eg_learner learner; /* with what */
    enum eg_scaling scale;
    double c, cv_accuracy;
};

/* options   classifier (NULL: logistic), scale, C, folds, group, balance, seed, features, memory,
 *           pool, progress as for eg_train; its test part is not looked at: every row has its turn */
EG_MUST_CHECK enum eg_status eg__out_of_fold(struct eg_store *store, const struct eg_train_options *options,
                                             struct eg_out_of_fold *out, struct eg_error *err);
void eg__out_of_fold_release(struct eg_out_of_fold *out);

#endif
