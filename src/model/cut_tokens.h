/* cut_tokens.h: features of tokens [t][c]. */
#ifndef EG_MODEL_CUT_TOKENS_H
#define EG_MODEL_CUT_TOKENS_H

#include "graph/graph.h"

/* How many tokens of node's value stand before those of the patches; false: that cannot be told (0 then). */
bool eg__first_tokens(const struct eg_graph *graph, uint32_t node, size_t *count);
/* Behind `from`, [t][c]: its first token (cls), the `pool` of its patches' (patches), or both joined. The
 * last layer is named as `from` with `typed` behind. EG_E_ARGUMENT: there is no class token. */
EG_MUST_CHECK enum eg_status eg__token_pool(struct eg_graph *graph, uint32_t from, enum eg_op pool, bool cls,
                                            bool patches, const char *typed, uint32_t *index,
                                            struct eg_error *err);

#endif
