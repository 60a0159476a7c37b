/* ridge.h: numbers from rows by ridge regression. Private to learn.
 *
 *     min over w, b  |y - X w - b|^2 + penalty |w|^2,   penalty = 1 / (2 C)
 *
 * Everything is solved in the smaller of the two spaces: of the features by A = Z'Z + penalty, Z the rows
 * less their mean, or of the rows by A = ZZ' + penalty. One Cholesky factor gives what every row would get
 * were its fold left out, in closed form: with e the residuals of the fit on all rows and H its hat matrix,
 *     (I - H)_FF^-1 e_F
 * are those of the rows F of a fold when they are held out (Cook & Weisberg 1982; exact for any fold). */
#ifndef EG_LEARN_RIDGE_H
#define EG_LEARN_RIDGE_H

#include "learn/matrix.h"

struct eg_ridge_space {
    size_t n, m;     /* rows; dimensions of the space: the smaller of rows and features */
    bool features;   /* the space is that of the features */
    float *moment;   /* [m][m] Z'Z or ZZ', both triangles */
    float *z;        /* [n][m] of features: the rows less their mean */
    double *mean;    /* [d] of the scaled rows */
    double *numbers; /* [n] less their mean */
    double mean_number, total, mean_square; /* of the numbers; sum of squares; mean of a row's |z|^2 */
};
/* Of the matrix at its present scale. Cost: n d m. */
EG_MUST_CHECK enum eg_status eg__ridge_open(struct eg_matrix *matrix, const double *numbers,
                                            struct eg_ridge_space *space, struct eg_error *err);
void eg__ridge_close(struct eg_ridge_space *space);
/* Bytes of work space for each thread that factors. */
double eg__ridge_work_bytes(size_t n, size_t d, unsigned folds);

/* penalties [count]: held_out [count][n] gets what each row's number is predicted to be, less the mean of
 * all, by the rows of the other folds. Cost a penalty: m^3 / 6 + n m^2 / 2 + n^2 m / folds multiply-adds. */
EG_MUST_CHECK enum eg_status eg__ridge_hold_out(const struct eg_ridge_space *space, const uint8_t *fold,
                                                unsigned folds, const double *penalties, size_t count,
                                                double *held_out, eg_pool *pool, struct eg_error *err);
/* The fit on all rows, to the last digits: conjugate gradients on the rows themselves in double, the factor
 * of the float32 moments as preconditioner. w [d]. */
EG_MUST_CHECK enum eg_status eg__ridge_fit(struct eg_matrix *matrix, const struct eg_ridge_space *space,
                                           double penalty, double *w, double *b, struct eg_error *err);

/* The whole of it: scaling and penalty by the folds, the fit, the head. learned->cv_accuracy and the grid's
 * are R2 of rows held out; learned->held_out, where o->out_of_fold, those rows' predictions. */
EG_MUST_CHECK enum eg_status eg__ridge_train(const struct eg_row_source *rows, const double *numbers,
                                             const struct eg_learn_options *options,
                                             struct eg_learned *learned, struct eg_error *err);

#endif
