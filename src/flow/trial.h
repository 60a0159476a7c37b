/* trial.h: a model before labelled data: its answers, and which of the rows count. evaluate.c */
#ifndef EG_FLOW_TRIAL_H
#define EG_FLOW_TRIAL_H

#include "flow/class_rules.h"
#include "flow/flow.h"
#include "flow/trained.h"

struct eg_trial {
    const struct eg_net *model;
    const struct eg_evaluate_options *options;
    struct eg_verdict verdict; /* of the labelled rows that could be read: n of them */
    int32_t *truth;
    size_t n_classes;   /* of truth: the model's, or the strata of other answers */
    const char **paths; /* [n], of `store` or `images` */
    size_t *places;     /* [n] where each is in the data: the same for every model */
    size_t n;
    struct eg_class_rules rules; /* while classes are mapped */
    struct eg_store *store;
    struct eg_dataset *images;
    struct eg_evaluate_report report;
};

/* Of all rows those that count. */
EG_MUST_CHECK enum eg_status eg__trial_keep(struct eg_trial *t, const char *data, struct eg_error *err);
/* Models of several labels, or of numbers (evaluate_targets.c). */
EG_MUST_CHECK enum eg_status eg__evaluate_targets(struct eg_trial *t, const char *data,
                                                  struct eg_evaluate_report **report, struct eg_error *err);
/* The rows that count, in the order of the data; release in any case. */
EG_MUST_CHECK enum eg_status eg__trial_hold(struct eg_trial *t, const char *data, struct eg_error *err);
/* Answers and rows; the report stays. */
EG_MUST_CHECK enum eg_status eg__trial_release(struct eg_trial *t, const char *data, enum eg_status status,
                                               struct eg_error *err);

#endif
