/* h5_tensors.h: every array of real numbers in an HDF5 file that lies in memory, seen in place.
 *
 * Weights come from strangers, and libhdf5 1.10 is not made for hostile files (its own attribute
 * reader runs off a heap block within a minute of fuzzing). What h5py writes for Keras needs
 * little of the format, so that little is read here, bounds-checked, and nothing is copied. */
#ifndef EG_H5_H5_TENSORS_H
#define EG_H5_H5_TENSORS_H

#include "h5/h5.h"

struct eg_h5_tensor {
    const char *path;     /* of the dataset, without a first '/' */
    const char *name;     /* attribute `name` of the group it is in; NULL: none */
    enum eg_h5_kind kind; /* F16, F32, F64; little-endian */
    size_t rank, dims[EG_H5_MAX_RANK];
    const void *bytes; /* in the image, dense, row-major */
};

typedef enum eg_status eg_h5_tensor_fn(void *context, const struct eg_h5_tensor *tensor,
                                       struct eg_error *err);

/* Call `each` with every dataset of floats; others are passed over. EG_E_UNSUPPORTED: chunked data
 * or a group past what is read (the words say how to repack it); EG_E_FORMAT: damaged, or it
 * points outside the file. path is for messages. */
EG_MUST_CHECK enum eg_status eg__h5_tensors(const void *image, size_t size, const char *path,
                                            eg_h5_tensor_fn *each, void *context, struct eg_error *err);

#endif
