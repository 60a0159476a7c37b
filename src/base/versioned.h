/* versioned.h: structs that cross to callers, whatever version of the headers these were built with. */
#ifndef EG_BASE_VERSIONED_H
#define EG_BASE_VERSIONED_H

#include "engraft.h"

/* own [own_size] becomes what was given (NULL: all defaults). Both begin with `size_t size`, of
 * which 0 means own_size. Members that this version does not have must be zero: else
 * EG_E_UNSUPPORTED. */
EG_MUST_CHECK enum eg_status eg__options(void *own, size_t own_size, const void *given, struct eg_error *err);

/* *out becomes a copy on the heap of a finished report, which keeps what it points to. */
EG_MUST_CHECK enum eg_status eg__hand_out(const void *report, size_t size, void *out, struct eg_error *err);

#endif
