/* checks.h: what is asked of a graph before it is used. */
#ifndef EG_GRAPH_CHECKS_H
#define EG_GRAPH_CHECKS_H

#include "graph/graph.h"

/* Metadata that tells how a file was read: not passed on to a cut, nor written. */
#define EG_GRAPH_LOAD "engraft.load."
/* Of a graph whose file could be read up to some node only: why. `output` is then no answer. */
#define EG_GRAPH_UNREAD "engraft.load.unread"
/* The same where the answer was read and some other value was not. */
#define EG_GRAPH_LEFT_OUT "engraft.load.left_out"

/* No NaN, and no infinity in what was learned, in the parameters of the nodes marked in `which` (NULL:
 * all); those without values are passed over. EG_E_FORMAT names the first layer that has some. */
EG_MUST_CHECK enum eg_status eg__graph_check_finite(const struct eg_graph *graph, const bool *which,
                                                    struct eg_error *err);

#endif
