/* matrix.h: the rows as a learner sees them: checked, scaled, read in blocks under a memory
 * budget. Private to learn. */
#ifndef EG_LEARN_MATRIX_H
#define EG_LEARN_MATRIX_H

#include "learn/learn.h"

/* Columns first .. first+d-1, scaled by themselves: rows become factor * row. */
struct eg_block {
    size_t first, d;
    enum eg_scaling own, scale; /* own EG_SCALE_AUTO: the matrix's */
    double weight;              /* of the block beside the others */
    double *square, *sum;       /* [n] of the raw row's part */
    double *factor;             /* [n] weight / norm */
};

/* One block, or several side by side: K is then the sum of theirs. */
struct eg_matrix {
    struct eg_row_source source;
    size_t n, d;
    enum eg_scaling scale; /* never EG_SCALE_AUTO */
    float *mean, *spread;  /* [d] of all rows; spread: 1 / standard deviation; EG_SCALE_STANDARD */
    double *factor; /* [n] what a row is multiplied by after its columns are scaled; several blocks: 1 */
    double *square, *sum;    /* [n] squared norm; sum of absolute values: of the raw row */
    struct eg_block *blocks; /* [n_blocks]; n_blocks 0: one, which is the matrix itself */
    size_t n_blocks;
    float *cache;    /* [n][d] raw rows, when they fit the budget; NULL: read again */
    float *block[2]; /* [block_rows][d] */
    size_t block_rows;
    eg_pool *pool;
};

/* Read every row once: refuse NaN and infinity, take norms and column moments. `bytes` is
 * what rows held in memory may cost. standard: moments are wanted. */
EG_MUST_CHECK enum eg_status eg__matrix_open(const struct eg_row_source *source, bool standard, size_t bytes,
                                             eg_pool *pool, struct eg_matrix *matrix, struct eg_error *err);
void eg__matrix_close(struct eg_matrix *matrix);
/* Choose the scaling that the functions below apply. */
void eg__matrix_scale(struct eg_matrix *matrix, enum eg_scaling scale);

/* |x|^2 of the scaled rows, on the average. */
double eg__matrix_mean_square(const struct eg_matrix *matrix);

/* Rows first.. with columns scaled but not yet multiplied by `factor`; in buffer `which`
 * (0 or 1), or in the cache; valid until that buffer is used again. */
EG_MUST_CHECK enum eg_status eg__matrix_rows(struct eg_matrix *matrix, size_t first, size_t count, int which,
                                             const float **rows, struct eg_error *err);

/* Any rows, scaled to the end (`factor` too), in buffer `which`; count <= block_rows. */
EG_MUST_CHECK enum eg_status eg__matrix_pick(struct eg_matrix *matrix, const size_t *list, size_t count,
                                             int which, const float **rows, struct eg_error *err);

/* K[n][n] = X X', both triangles, float32; sums over d in a fixed order. Cost n^2 d. go_on (or NULL) is
 * asked every few 10^10 operations; false: EG_E_CANCELLED. */
EG_MUST_CHECK enum eg_status eg__matrix_gram(struct eg_matrix *matrix, bool (*go_on)(void *user), void *user,
                                             float *gram, struct eg_error *err);

/* w[columns][d] = sum_i beta[c][i] x_i, and score[c][i] = w[c] . x_i, in double: the truth
 * against which what was solved on the float32 Gram matrix is measured. */
EG_MUST_CHECK enum eg_status eg__matrix_combine(struct eg_matrix *matrix, const double *beta, size_t columns,
                                                double *w, struct eg_error *err);
EG_MUST_CHECK enum eg_status eg__matrix_project(struct eg_matrix *matrix, const double *w, size_t columns,
                                                double *score, struct eg_error *err);
/* square[n]: squared length of each scaled row. */
EG_MUST_CHECK enum eg_status eg__matrix_squares(struct eg_matrix *matrix, double *square,
                                                struct eg_error *err);

#endif
