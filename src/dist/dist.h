/* dist.h: the processes that share a job. Built with EG_MPI they are MPI's ranks; without, there
 * is one. Which rows are whose: eg__shard_range (features/store.h). */
#ifndef EG_DIST_DIST_H
#define EG_DIST_DIST_H

#include "engraft.h"

struct eg_dist {
    size_t rank, n_ranks;
    bool owner; /* MPI was started here, to be ended here */
};

/* Starts MPI unless the program has. EG_E_SYSTEM: MPI fails. */
EG_MUST_CHECK enum eg_status eg__dist_init(struct eg_dist *dist, struct eg_error *err);
void eg__dist_release(struct eg_dist *dist);

/* All ranks wait for each other; `failed` is true on every one when it was on any. */
EG_MUST_CHECK enum eg_status eg__dist_agree(const struct eg_dist *dist, bool *failed, struct eg_error *err);

/* The sum over ranks, on every one. */
EG_MUST_CHECK enum eg_status eg__dist_total(const struct eg_dist *dist, uint64_t *value,
                                            struct eg_error *err);

/* Sums over ranks, on every one. Added in the order of ranks, so that equal inputs give equal
 * bits whatever the network does. */
EG_MUST_CHECK enum eg_status eg__dist_sum(const struct eg_dist *dist, float *values, size_t n,
                                          struct eg_error *err);

#endif
