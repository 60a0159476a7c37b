/* nearest_rows.h: the rows of a feature file nearest to some vectors. */
#ifndef EG_FLOW_NEAREST_ROWS_H
#define EG_FLOW_NEAREST_ROWS_H

#include "features/store.h"

struct eg_near {
    size_t row;
    float similarity; /* cosine, -1 to 1 */
};

/* Of every query the `top` rows of the largest cosine among those that are done, best first, of equals the
 * lower row first: every row is looked at.
 * queries     [m][D], made of length 1 in place; near [m][top] out; n_near: how many each has (fewer than
 *             top where the file has fewer rows)
 * Cost        one pass over the cut, 2 m n D operations; a block of some megabytes of scratch
 * Errors      EG_E_NUMERIC: a query is not finite; EG_E_CANCELLED */
EG_MUST_CHECK enum eg_status eg__nearest_rows(struct eg_store *store, size_t cut, float *queries, size_t m,
                                              size_t top, eg_pool *pool, eg_progress_fn *progress, void *user,
                                              struct eg_near *near, size_t *n_near, struct eg_error *err);

#endif
