/* training.h: training from a feature file, as its files share it.
 *
 * train.c       learning, file
 * train_rows.c  rows, split, folds
 * train_test.c  the test
 * train_targets.c several labels, or numbers, in place of a class
 * train_join.c  several cuts or networks side by side
 * train_select.c  which of them, by cross-validation
 * rank_cuts.c   which cut, classifier, scale and C: by cross-validation
 * mlp.c         the FC head of fine-tuning as a classifier */
#ifndef EG_FLOW_TRAINING_H
#define EG_FLOW_TRAINING_H

#include "flow/trained.h"
#include "learn/learn.h"
#include "sample/targets.h"

struct training {
    struct eg_store *store;
    const struct eg_store_spec *spec;
    const struct eg_net *net;
    const struct eg_train_options *options;
    size_t cut; /* the first of `joint` */
    struct eg_joint joint;
    size_t cuts_done, cuts_total;  /* of the search for those side by side */
    size_t **maps;                 /* [options->n_others] rows of the other files */
    struct eg_row_block *blocks;   /* [joint.n] how each is scaled */
    struct eg_trained_part *parts; /* [joint.n] where they are several; what is written of them */
    struct eg_net pixels;          /* the network, its recipe that of all networks' image */
    const struct eg_net *whole;    /* what the trained graph is of: net, or pixels */
    struct eg_sample sample;       /* done and labelled rows: for training first, then for the test */
    uint8_t (*known)[32];          /* [n_train] contents of the training rows, sorted */
    uint8_t *fold;                 /* [n_train]; NULL: no cross-validation */
    struct eg_learn_options how;
    double c, *start; /* of the model to go on from */
    struct eg_learned learned;
    struct eg_graph *graph; /* the trained network */
    struct eg_trained trained;
    struct eg_train_report report;
    bool few;         /* a class has fewer photos than folds: they are held out one by one */
    const char *path; /* of the model */
    /* of answers that are no class (options->multi_label, ->target) */
    struct eg_targets targets;
    size_t *place;   /* [sample.n] which of the targets each row is */
    uint8_t *sets;   /* [sample.n][report.n_classes] */
    double *numbers; /* [sample.n] */
};

static inline bool eg__training_has_targets(const struct training *t)
{
    return t->options->multi_label || t->options->target;
}

/* In the order of enum eg_learner and enum eg_scaling. */
extern const char *const eg__learner_names[], *const eg__scaling_names[];

/* The rows of t->cut split in two, and t->how: what learning starts from. */
EG_MUST_CHECK enum eg_status eg__training_begin(struct training *t, struct eg_error *err);
void eg__training_release(struct training *t); /* all but the report */
/* The rows, their split and their folds, noted in the report. */
EG_MUST_CHECK enum eg_status eg__training_choose_rows(struct training *t, struct eg_error *err);
/* The same of several labels, or of numbers; and the test of what was learned of them. */
EG_MUST_CHECK enum eg_status eg__training_choose_targets(struct training *t, struct eg_error *err);
EG_MUST_CHECK enum eg_status eg__training_test_targets(struct training *t, struct eg_error *err);
/* Folds of rows with several labels, or numbers. */
EG_MUST_CHECK enum eg_status eg__training_draw_folds(const struct training *t, unsigned folds, uint64_t seed,
                                                     uint8_t *fold, struct eg_error *err);
/* What held-out answers p [n_train][n_classes] of the training rows come to: accuracy, mean average precision
 * or R2. */
double eg__training_figure(const struct training *t, const float *p);
/* report.repeated, report.nested (repeats.c). */
EG_MUST_CHECK enum eg_status eg__training_repeat(struct training *t, struct eg_error *err);
EG_MUST_CHECK enum eg_status eg__training_nest(struct training *t, struct eg_error *err);
/* What the report and the file say of the sample's rows. */
EG_MUST_CHECK enum eg_status eg__training_note_rows(struct training *t, struct eg_error *err);
/* Test rows whose contents were learned from, for the report. */
void eg__training_count_known(struct training *t, eg_hashes hashes, size_t n);
/* t->learned.head, or for photos t->graph, on the rows kept for the test or options->test. */
EG_MUST_CHECK enum eg_status eg__training_test(struct training *t, struct eg_error *err);
/* The training rows of t->joint. */
struct eg_row_source eg__training_rows(struct training *t);

/* t->joint as the options have it; one cut of t->store in its place. */
EG_MUST_CHECK enum eg_status eg__training_join(struct training *t, struct eg_error *err);
EG_MUST_CHECK enum eg_status eg__training_take_cut(struct training *t, size_t cut, struct eg_error *err);
/* EG_E_NOT_FOUND: a photo that another network's file does not have. */
EG_MUST_CHECK enum eg_status eg__training_check_rows(const struct training *t, struct eg_error *err);
/* After learning: what the report and the file say of several cuts. */
EG_MUST_CHECK enum eg_status eg__training_parts(struct training *t, struct eg_error *err);
char *eg__training_cut_names(const struct training *t); /* "a + b"; free() it; NULL: no memory */

/* Is it more than one cut of t->store? Are the cuts to be chosen? */
bool eg__training_is_joined(const struct training *t);
bool eg__training_selects(const struct training *t);

/* Which training rows are classified right by a classifier that has not seen them, t->how on t->joint. */
struct eg_held_out {
    uint8_t *right; /* [n_train]; free() it */
    double accuracy, seconds;
    enum eg_scaling scale;
};
EG_MUST_CHECK enum eg_status eg__training_held_out(struct training *t, struct eg_held_out *out,
                                                   struct eg_error *err);
/* What changed answers bring a photo, and the standard error of that. */
void eg__paired_gain(const uint8_t *before, const uint8_t *after, size_t n, double *gain, double *noise);
/* t->joint becomes those of its cuts that are better side by side; told in the report. */
EG_MUST_CHECK enum eg_status eg__training_select(struct training *t, struct eg_error *err);

/* Cross-validate the linear classifiers on every cut (or the one asked for) into
 * t->report.compared, best first. */
EG_MUST_CHECK enum eg_status eg__training_compare(struct training *t, struct eg_error *err);

/* What t->how asks for as t->learned, by one hidden layer. Features past the memory limit go to
 * a file beside `path`. */
EG_MUST_CHECK enum eg_status eg__training_mlp(struct training *t, const char *path, struct eg_error *err);

#endif
