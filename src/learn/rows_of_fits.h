/* rows_of_fits.h: what the rows make of scores: losses, slopes and curvatures of many fits side by
 * side, row by row. Private to learn's primal solver. */
#ifndef EG_LEARN_ROWS_OF_FITS_H
#define EG_LEARN_ROWS_OF_FITS_H

#include "learn/solve.h"

enum eg_rows_phase { EG_ROWS_MOVE, EG_ROWS_CURVE };

/* One fit's part. `first` is the place of its columns in score and slope, `place` in v. */
struct eg_rows_of_fit {
    struct eg_fit *fit;
    size_t first, place;
    enum eg_rows_phase phase;
    bool known, look;    /* known: score was given; look: in eg__rows_look */
    double along;        /* t: looked at are score + t v */
    double loss, bend;   /* there: sum c loss, sum c loss'' (mean over columns) */
    double loss_at_zero; /* of scores 0 */
    double weight;       /* sum c */
    unsigned halvings;
};

struct eg_rows_space {
    size_t n, n_fits, columns, stride; /* columns in v; stride: in score and slope */
    enum eg_loss loss;
    struct eg_rows_of_fit **rows; /* [n_fits] */
    double *score;                /* [n][stride] */
    float *slope;                 /* [n][stride] loss' at the last look, as p - (1 at the truth) */
    float *v;                     /* [n][columns] */
    double *sums;                 /* [parts][fits][2] */
};
EG_MUST_CHECK enum eg_status eg__rows_open(size_t n, size_t n_fits, size_t columns, enum eg_loss loss,
                                           struct eg_rows_space *space, struct eg_error *err);
void eg__rows_close(struct eg_rows_space *space);

/* Before the first look: loss_at_zero and weight, and score where it is known. */
void eg__rows_begin(struct eg_rows_space *space, struct eg_rows_of_fit *rows);
/* loss, bend and slope at score + along v, of the fits with `look`. */
void eg__rows_look(struct eg_rows_space *space, eg_pool *pool);
/* MOVE: score += along v and v = c loss' there. CURVE: v = c loss'' v. */
void eg__rows_move(struct eg_rows_space *space, eg_pool *pool);
/* Into fit->score: of every row or of those with c = 0 alone. */
void eg__rows_scores(const struct eg_rows_space *space, const struct eg_rows_of_fit *rows, bool held_only);

#endif
