/* embed.h: rows of many numbers laid out on a plane, so that what is near stays near. */
#ifndef EG_EVAL_EMBED_H
#define EG_EVAL_EMBED_H

#include "engraft.h"

/* x           [n][d] finite rows
 * near        [n][k] of each row its nearest others, nearest first; UINT32_MAX: there are no more
 * distance    [n][k] how far they are
 * place       [n][2] out; the same for the same seed, whatever the machine's threads
 * Begins with the two principal components (subspace iteration), then moves linked rows together
 * and rows drawn by chance apart, by the gradient of the cross-entropy between the fuzzy graph of
 * neighbours and that of the plane.
 * Cost        O(n d) for the start, O(n k) for each of some hundred rounds
 * Source      McInnes, Healy, Melville 2018 (UMAP), sections 3 and 4, a and b of min_dist 0.1 */
EG_MUST_CHECK enum eg_status eg__embed(const float *x, size_t n, size_t d, const uint32_t *near,
                                       const float *distance, size_t k, uint64_t seed, float (*place)[2],
                                       struct eg_error *err);

#endif
