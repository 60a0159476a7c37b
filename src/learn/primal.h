/* primal.h: the smooth problems of solve.h in the space of the features, the smaller one where
 * there are more rows than features. Private to learn. */
#ifndef EG_LEARN_PRIMAL_H
#define EG_LEARN_PRIMAL_H

#include "learn/matrix.h"
#include "learn/metric.h"
#include "learn/solve.h"

/* Scaled rows with a constant 1 behind them, and what their products say of the curvature. */
struct eg_primal {
    size_t n, width; /* features + 1 */
    float *z;        /* [n][width] */
    struct eg_metric metric;
};
double eg__primal_bytes(size_t n, size_t d);
/* Bytes of work space for each column solved at a time. */
double eg__primal_column_bytes(size_t n, size_t d);

/* Of the matrix at its present scale. */
EG_MUST_CHECK enum eg_status eg__primal_open(struct eg_matrix *matrix, struct eg_primal *primal,
                                             struct eg_error *err);
void eg__primal_close(struct eg_primal *primal);

enum eg_primal_scores {
    EG_SCORES_ALL,   /* out: of every row */
    EG_SCORES_HELD,  /* out: of rows with c = 0 alone; several fits may share one array */
    EG_SCORES_KNOWN, /* in: of w, to more digits than float32 products give; out: of every row */
};

/* As eg__solve, with beta [columns][width] the classifier itself, its last coordinate the intercept:
 * free for logistic loss, as solver->constant is 0, else regularised. solver->gram is not used. */
EG_MUST_CHECK enum eg_status eg__primal_solve(struct eg_primal *primal, const struct eg_solver *solver,
                                              struct eg_fit *fits, size_t n_fits,
                                              enum eg_primal_scores scores, struct eg_error *err);

/* w [columns][width] = sum_i coefficients [columns][n] z_i. */
EG_MUST_CHECK enum eg_status eg__primal_combine(const struct eg_primal *primal, const double *coefficients,
                                                size_t columns, double *w, eg_pool *pool,
                                                struct eg_error *err);

#endif
