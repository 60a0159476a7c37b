/* fitting.h: a linear classifier being trained: what the grid and the final fit share. Private to
 * learn's linear files. */
#ifndef EG_LEARN_FITTING_H
#define EG_LEARN_FITTING_H

#include "learn/linear.h"
#include "learn/primal.h"

struct eg_fitting {
    struct eg_matrix *matrix;
    const int32_t *labels;              /* [n]; of several labels a row [columns][n] of 0 and 1 */
    size_t n, n_classes, columns, fits; /* fits a fold: 1 multinomial, or one for each class */
    size_t coordinates;                 /* of a column's beta */
    const struct eg_learn_options *options;
    const uint8_t *fold;
    unsigned folds;
    enum eg_space space;
    float *gram;             /* EG_SPACE_ROWS */
    struct eg_primal primal; /* EG_SPACE_FEATURES */
    struct eg_solver solver;
    double *c;                /* [folds][n] */
    double *beta, *intercept; /* [folds][columns][coordinates], [folds][columns] */
    double *score;            /* [folds][columns][n]; of features [columns][n], each row's held-out ones */
    double *out_of_fold;      /* [columns][n] of the best so far */
    double *near;             /* [columns][coordinates] of features: its classifiers' mean over folds */
    struct eg_fit *fit;       /* [folds][fits] */
    size_t steps_done, steps;
};

struct eg_choice {
    enum eg_scaling scale;
    double c, accuracy;
};

/* The scaling, then C: what is chosen, and what was tried in learned->grid and ->tried. The matrix is
 * left at the scale chosen (choose_only: at any). linear_grid.c */
EG_MUST_CHECK enum eg_status eg__fitting_choose(struct eg_fitting *t, struct eg_choice *best,
                                                struct eg_learned *learned, struct eg_error *err);

/* Shared, linear.c: */
EG_MUST_CHECK enum eg_status eg__fitting_scale(struct eg_fitting *t, enum eg_scaling scale, bool *have,
                                               struct eg_error *err);
EG_MUST_CHECK enum eg_status eg__fitting_solve(struct eg_fitting *t, struct eg_fit *fits, size_t n_fits,
                                               enum eg_primal_scores scores, struct eg_error *err);
/* The penalty of each row when fold `out` (-1: none) stays outside: C, or balanced
 * C n / (K n_k) over the rows inside. */
EG_MUST_CHECK enum eg_status eg__fitting_weigh(const struct eg_fitting *t, double c, int out, double *weights,
                                               struct eg_error *err);
void eg__fitting_fits(const struct eg_fitting *t, struct eg_fit *fit, const double *c, double *beta,
                      double *score, double *intercept);
/* Begin at the earlier classifier's scores, options->start. linear_warm.c */
EG_MUST_CHECK enum eg_status eg__fitting_warm(const struct eg_fitting *t, struct eg_fit *fits, size_t n_fits,
                                              struct eg_error *err);
EG_MUST_CHECK enum eg_status eg__fitting_step(struct eg_fitting *t, struct eg_error *err);

#endif
