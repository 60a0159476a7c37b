/* npy.h: float32 arrays in NumPy's format, in memory. */
#ifndef EG_IMAGE_NPY_H
#define EG_IMAGE_NPY_H

#include "engraft.h"

struct eg_npy_header {
    size_t shape[EG_RANK_MAX], n_dims;
};
/* The dictionary of a header, without the bytes before it. */
EG_MUST_CHECK enum eg_status eg__npy_parse(const char *text, size_t n, struct eg_npy_header *header,
                                           struct eg_error *err);
/* A whole file's bytes: *numbers (perhaps unaligned, little-endian) has as many as the shape says. */
EG_MUST_CHECK enum eg_status eg__npy_view(const uint8_t *bytes, size_t n_bytes, struct eg_npy_header *header,
                                          const uint8_t **numbers, struct eg_error *err);

#endif
