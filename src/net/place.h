/* place.h: where values live (private to net/). */
#ifndef EG_NET_PLACE_H
#define EG_NET_PLACE_H

#include "net/plan.h"

/* Before steps are planned: which values share a storage. placed [nodes], cleared, is scratch. */
struct eg_place_users {
    const uint32_t *n;      /* [nodes] that use a value, among the needed */
    const bool *wanted;     /* [nodes] it is asked for */
    const bool *by_strides; /* [nodes] all that use it read strides */
};
void eg__place_roots(struct eg_run *run, const struct eg_graph *graph, const bool *needed,
                     const struct eg_place_users *users, bool *placed);
/* Is the node's value its input's, seen another way, so that nothing is to be computed? */
bool eg__place_is_view(const struct eg_run *run, const struct eg_graph *graph, uint32_t node);
/* Does input's value lie in concat's storage, `first` channels in? */
bool eg__place_is_member(const struct eg_run *run, uint32_t concat, uint32_t input, size_t first);
/* After: outputs that have no storage of their own get a copying step. */
EG_MUST_CHECK enum eg_status eg__place_outputs(struct eg_run *run, const struct eg_graph *graph,
                                               struct eg_error *err);
/* Then, for the run's batch and threads: storage by lifetime, and the memory. */
EG_MUST_CHECK enum eg_status eg__place_values(struct eg_run *run, struct eg_error *err);

#endif
