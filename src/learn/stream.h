/* stream.h: the problems of solve.h where K does not fit in memory. Private to learn. */
#ifndef EG_LEARN_STREAM_H
#define EG_LEARN_STREAM_H

#include "learn/matrix.h"
#include "learn/solve.h"

/* As eg__solve over all rows of the matrix, with passes over blocks of rows instead of K
 * (solver->gram and n are not used; constant must be above 0). */
EG_MUST_CHECK enum eg_status eg__stream_solve(struct eg_matrix *matrix, const struct eg_solver *solver,
                                              struct eg_fit *fits, size_t n_fits, struct eg_error *err);

#endif
