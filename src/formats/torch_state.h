/* torch_state.h: the named tensors of a network among whatever else a checkpoint holds. */
#ifndef EG_FORMATS_TORCH_STATE_H
#define EG_FORMATS_TORCH_STATE_H

#include "formats/pickle.h"

typedef enum eg_status eg_state_fn(void *context, const char *name, size_t length,
                                   const struct eg_pickle_tensor *tensor, struct eg_error *err);

/* Find the state dictionary, or the whole pickled module, and call `each` for its tensors: EG_E_FORMAT
 * when there is none. */
EG_MUST_CHECK enum eg_status eg__state_read(const struct eg_pickle *pickle, eg_state_fn *each, void *context,
                                            struct eg_error *err);

#endif
