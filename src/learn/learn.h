/* learn.h: classifiers on rows of numbers. Rows come from a row source; what is learned is
 * given back as a small graph (the head), so that one engine runs it and one writer saves it. */
#ifndef EG_LEARN_LEARN_H
#define EG_LEARN_LEARN_H

#include "graph/graph.h"

enum eg_scaling { EG_SCALE_NONE, EG_SCALE_UNIT, EG_SCALE_ROOT, EG_SCALE_STANDARD, EG_SCALE_AUTO };

/* Columns that are scaled by themselves: those of one cut of several. */
struct eg_row_block {
    size_t d;
    enum eg_scaling scale; /* EG_SCALE_AUTO: the learner's */
    double factor;         /* what its scaled rows are multiplied by; 0 = 1 */
};

/* Where rows come from: a feature file, a subset of one, or memory. */
struct eg_row_source {
    size_t n, d;
    /* rows[i] for i in 0..count-1 into out [count][d]; called from one thread at a time */
    enum eg_status (*gather)(void *self, const size_t *rows, size_t count, float *out, struct eg_error *err);
    void *self;
    const struct eg_row_block *blocks; /* [n_blocks] whose widths make d, borrowed; NULL: one */
    size_t n_blocks;
};
/* Rows of a matrix in memory: everything borrowed. */
struct eg_rows_memory {
    const float *rows;
    size_t n, d;
};
struct eg_row_source eg__rows_in_memory(struct eg_rows_memory *memory);

enum eg_learner { EG_LOGISTIC, EG_SVM, EG_FOREST, EG_MLP, EG_CENTROID, EG_LDA, EG_RIDGE };

/* The space linear classifiers are found in: by default that with fewer dimensions. */
enum eg_spaces { EG_IN_EITHER, EG_IN_ROWS, EG_IN_FEATURES };

struct eg_learn_options {
    enum eg_learner learner;
    enum eg_spaces space;
    enum eg_scaling scale;
    const double *c; /* grid of C; n_c 0 = the default grid */
    size_t n_c;
    const uint8_t *fold; /* [n] in 0..folds-1; NULL: no cross-validation (then one C only) */
    unsigned folds;      /* 0 = 5 */
    bool hinge;          /* svm: hinge in place of squared hinge */
    bool balance;        /* class weights n / (K n_k) */
    size_t n_trees;      /* forest; 0 = 500 */
    size_t memory_bytes; /* 0 = half of what the machine, or a container, allows */
    double tolerance;    /* relative gap; 0 = 1e-5 */
    const double *start; /* [n_classes][n] an earlier classifier's scores, to begin near its place:
                          * changes the time, not the optimum. NAN: not known. NULL: none */
    double reject_rate;  /* of known rows, held out, to answer with label -1; 0 = none */
    bool one_error;      /* C: the smallest whose figure is within a standard error of the best */
    bool choose_only;    /* scale, C and what cross-validation says; no head */
    bool out_of_fold;    /* probabilities of every row by a classifier that has not seen it */
    const uint8_t *sets; /* [n][n_classes] several labels a row, in place of labels (logistic, svm):
                          * cv_accuracy is then the mean average precision; NULL: one class each */
    uint64_t seed;
    eg_pool *pool;
    eg_progress_fn *progress;
    void *user;
};

/* A scaling, at the few C that it was tried with. */
struct eg_scaling_tried {
    enum eg_scaling scale;
    size_t points;
    double c, cv_accuracy; /* its best */
};

struct eg_learned {
    struct eg_graph *head; /* INPUT [1][1][d] -> scaler -> scores -> probabilities; owned */
    enum eg_learner learner;
    enum eg_scaling scale;
    double c; /* NAN for a forest */
    struct eg_grid_point *grid;
    size_t n_grid;
    struct eg_scaling_tried tried[EG_SCALE_AUTO]; /* where the scaling was chosen */
    size_t n_tried;
    double cv_accuracy;    /* NAN when folds = 1 */
    double objective, gap; /* NAN for a forest */
    double oob_accuracy;   /* forest; else NAN */
    double reject_rate;    /* share of the held-out rows that is refused; 0: none */
    float *out_of_fold;    /* [n][n_classes] calibrated, rows sum to 1; NULL: not asked for */
    float *thresholds;     /* [n_classes] several labels: said from there on; else NULL */
};

/* rows: source; labels [n] in 0..n_classes-1. Errors: one class only, a class with no row,
 * a class that a fold has whole, C <= 0, NaN or infinite features (names the row). */
EG_MUST_CHECK enum eg_status eg__learn(const struct eg_row_source *rows, const int32_t *labels,
                                       size_t n_classes, const struct eg_learn_options *options,
                                       struct eg_learned *learned, struct eg_error *err);
void eg__learned_release(struct eg_learned *learned);

#endif
