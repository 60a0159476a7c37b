/* tuning.h: fine-tuning as its files share it.
 *
 * tune.c           the whole story, test, file
 * tune_rows.c      classes, rows, splits; what lies below the learned layers, computed once
 * tune_layers.c    the network with its new head: which layers learn, at which rates
 * tune_linear.c    the linear classifier on the same rows: the head's start, and the mark to beat
 * tune_learn.c     head and layers learn
 * tune_evidence.c  what that brought on photos held out: which weights, or the linear classifier */
#ifndef EG_FLOW_TUNING_H
#define EG_FLOW_TUNING_H

#include "dist/dist.h"
#include "flow/trained.h"
#include "flow/tune.h"
#include "learn/learn.h"

struct tuning {
    const struct eg_net *net;
    const struct eg_dataset *dataset;
    const struct eg_tune_options *options;
    const char *path;
    struct eg_dist dist; /* processes that share every batch; the first one writes */
    char *state_path, identity[65];
    char unfreeze_from[256]; /* the lowest layer that learns; "": the head alone */
    struct eg_cut_plan plan;
    struct eg_graph *head, *graph; /* the head alone; everything, with the head on it */
    uint32_t cut, logits;          /* in graph */
    enum eg_augment augment;
    bool *trainable; /* by node of graph; NULL: the head alone */
    float *rate_scale;
    size_t *items;           /* readable labelled rows: items of the dataset */
    int32_t *label_of;       /* class of the dataset to label; -1: it has no photo */
    int32_t *labels;         /* [n] 0.. of the classes that have photos */
    struct eg_sample sample; /* of those rows: rows[i] is one of 0..n-1 */
    size_t *rows;            /* training rows, then validation, then test */
    size_t *by_row;          /* [n] where a row is in the sample */
    size_t n, n_train, n_valid, n_test;
    size_t batch, head_batch;      /* images of a step: of all, of the head alone */
    struct eg_tune_cache features; /* [n][d] at the cut */
    size_t d;
    struct eg_trainer *head_trainer, *trainer; /* trainer NULL: the head alone */
    struct eg_tune_source source;
    float *pristine;          /* the state of the trainer that learns last, before it has learned */
    float *start;             /* the values it then begins with: the linear classifier's */
    struct eg_learned linear; /* the classifier that `train` would give; head NULL: none could be learned */
    struct eg_trained trained;
    struct eg_tune_report report;
};

/* ---- rows (tune_rows.c) ----------------------------------------------------------------- */

/* Classes that have photos, before any of these is read. */
EG_MUST_CHECK enum eg_status eg__tuning_classes(struct tuning *t, struct eg_error *err);
EG_MUST_CHECK enum eg_status eg__tuning_rows(struct tuning *t, struct eg_error *err);
/* Everything below the learned layers, once, for every row as it is; then the splits. Photos that
 * cannot be read are left out. */
EG_MUST_CHECK enum eg_status eg__tuning_compute(struct tuning *t, struct eg_error *err);

/* ---- layers (tune_layers.c) ---------------------------------------------------------------- */

/* t->plan, head, graph, and what of it learns. */
EG_MUST_CHECK enum eg_status eg__tuning_build(struct tuning *t, struct eg_error *err);
double eg__tuning_smoothing(const struct tuning *t); /* of the labels */
EG_MUST_CHECK enum eg_status eg__tuning_trainers(struct tuning *t, struct eg_error *err);

/* ---- the linear classifier (tune_linear.c) --------------------------------------------------- */

/* What `train` with its classifier auto learns on these rows: the better of logistic regression and
 * SVM, each at its best scale and C, by cross-validation. */
EG_MUST_CHECK enum eg_status eg__tuning_best_linear(struct tuning *t, const size_t *rows, size_t n,
                                                    struct eg_learned *learned, struct eg_error *err);
/* probabilities [n][classes]: its answers for these rows. */
EG_MUST_CHECK enum eg_status eg__tuning_ask_linear(struct tuning *t, const struct eg_learned *learned,
                                                   const size_t *rows, size_t n, float *probabilities,
                                                   struct eg_error *err);
/* The head's FC layer on the features becomes the logistic regression on these rows: layers below it
 * that learn from a head which knows nothing lose what they know (Kumar et al., ICLR 2022). */
EG_MUST_CHECK enum eg_status eg__tuning_begin_head(struct tuning *t, const size_t *rows, size_t n,
                                                   struct eg_error *err);
/* The likeliest of k. */
size_t eg__likeliest(const float *p, size_t k);

/* ---- learning (tune_learn.c) -------------------------------------------------------------------- */

/* The trainer that learns last, on all rows, as the file is made from it. */
struct eg_trainer *eg__tuning_last(const struct tuning *t);
unsigned eg__tuning_epochs(const struct tuning *t);
/* All training rows, nothing saved. */
struct eg_tune_phase eg__tuning_phase(struct tuning *t);
/* From the network's own weights: the head begins as the logistic regression on phase->train, then it
 * learns, with the layers. */
EG_MUST_CHECK enum eg_status eg__tuning_begin(struct tuning *t, const struct eg_tune_phase *phase,
                                              struct eg_error *err);
EG_MUST_CHECK enum eg_status eg__tuning_learn(struct tuning *t, struct eg_error *err);

/* ---- evidence (tune_evidence.c) -------------------------------------------------------------------- */

/* Which weights between the linear start and the end are best, and whether they are better than the
 * linear classifier, on photos that neither has seen: t->report.evidence. The trainer ends with
 * those weights. EG_E_CANCELLED: the same, from the folds that were done. */
EG_MUST_CHECK enum eg_status eg__tuning_weigh(struct tuning *t, struct eg_error *err);
/* Where there was no other evidence, the test rows: so many only one of the two gets right. */
void eg__tuning_compare_test(struct tuning *t, size_t only_tuned, size_t only_linear);
/* One fold alone: what fine-tuning would bring, and how long it would take. */
EG_MUST_CHECK enum eg_status eg__tuning_estimate(struct tuning *t, struct eg_error *err);

#endif
