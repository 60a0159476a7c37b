/* solve.h: linear classifiers in the span of the rows: w = sum_i beta_i x_i, so that only the
 * Gram matrix K = X X' is needed. Private to learn.
 *
 * A fit is one problem over the rows of K: one class against the rest (one column) or all
 * classes at once (multinomial, a column for each). Rows with c = 0 take no part in it, but
 * get their score: so folds are sub-blocks of one K, and out-of-fold scores cost nothing.
 *
 *     min  1/2 sum_c |w_c|^2 + sum_i c_i loss(score_i),  score = K beta + intercept + offset
 *
 * Intercept: for the hinges regularised, as a constant-1 column (LIBLINEAR): K + 1 in place
 * of K and intercept = sum beta. For logistic loss free (scikit-learn): sum beta = 0; or,
 * where the rows come in blocks, regularised with a large constant. */
#ifndef EG_LEARN_SOLVE_H
#define EG_LEARN_SOLVE_H

#include "engraft.h"

enum eg_loss { EG_LOSS_LOGISTIC, EG_LOSS_SQUARED_HINGE, EG_LOSS_HINGE };

struct eg_fit {
    const double *c;       /* [n] penalty of each row; 0: not in this problem */
    const int32_t *labels; /* [n] */
    int32_t positive;      /* with one column: this class against the rest */
    size_t columns;
    double *beta;          /* [columns][n] in: where to start; out */
    double *score;         /* [columns][n] in: at the beta given; out */
    double *intercept;     /* [columns] in, out */
    const double *offset;  /* [columns][n] or NULL */
    double objective, gap; /* out */
};

struct eg_solver {
    const float *gram; /* [n][n] */
    size_t n;
    enum eg_loss loss;
    double constant;   /* K + constant, intercept = constant * sum beta; 0: a free intercept */
    double tolerance;  /* stop at gap <= tolerance * objective */
    size_t work_bytes; /* fits are solved together while their work space fits this */
    uint64_t seed;
    eg_pool *pool;
    bool (*go_on)(void *user); /* asked now and then; false: EG_E_CANCELLED; or NULL */
    void *user;
};

/* In four sums, an order given by n alone. */
static inline double eg__dot_double(const double *a, const double *b, size_t n)
{
    double sum[4] = {0};
    size_t i = 0;
    for (; i + 4 <= n; i += 4)
        for (size_t l = 0; l < 4; l++) sum[l] += a[i + l] * b[i + l];
    for (; i < n; i++) sum[0] += a[i] * b[i];
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

/* Solve all fits; `gap` says how far each came. EG_E_MEMORY; EG_E_NUMERIC: not finite. */
EG_MUST_CHECK enum eg_status eg__solve(const struct eg_solver *solver, struct eg_fit *fits, size_t n_fits,
                                       struct eg_error *err);
/* The two methods behind it: Newton-CG for smooth losses, coordinates of the dual for hinge. */
EG_MUST_CHECK enum eg_status eg__newton(const struct eg_solver *solver, struct eg_fit *fits, size_t n_fits,
                                        struct eg_error *err);
EG_MUST_CHECK enum eg_status eg__dual_ascent(const struct eg_solver *solver, struct eg_fit *fits,
                                             size_t n_fits, struct eg_error *err);

/* sum_i c_i loss(score_i), and what beta has to become where the optimum is reached,
 * -c_i d loss/d score, into slope [columns][n] (NULL: not wanted). Hinge has no slope at its
 * kink: only NULL is allowed for it. */
double eg__loss(const struct eg_fit *fit, size_t n, enum eg_loss loss, const double *score, double *slope);

/* Move the free intercept of a logistic fit to its best value for the scores as they are. */
void eg__balance_intercept(struct eg_fit *fit, size_t n, double *work);

#endif
