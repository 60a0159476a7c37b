/* h5_tensors.h: every array of real numbers in an HDF5 file that lies in memory, seen in place. */
#ifndef EG_H5_H5_TENSORS_H
#define EG_H5_H5_TENSORS_H

#include "h5/h5.h"

struct eg_h5_tensor {
    const char *path;     /* of the dataset, without a first '/' */
    const char *name;     /* attribute `name` of the group it is in; NULL: none */
    enum eg_h5_kind kind; /* F16, F32, F64; little-endian */
    size_t rank, dims[EG_H5_MAX_RANK];
    const void *bytes; /* in the image; or, if owned, malloc'd for the receiver, who frees it */
    void *owned;
};

typedef enum eg_status eg_h5_tensor_fn(void *context, const struct eg_h5_tensor *tensor,
                                       struct eg_error *err);

/* Call `each` with every dataset of floats, in order of name; others are passed over. The file
 * is checked as eg__h5_open checks it. Contiguous data stays in the image, which is only read;
 * chunked data is decoded. path is for messages. */
EG_MUST_CHECK enum eg_status eg__h5_tensors(const void *image, size_t size, const char *path,
                                            eg_h5_tensor_fn *each, void *context, struct eg_error *err);

#endif
