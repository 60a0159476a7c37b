/* A chunk's values to the bytes that HDF5's shuffle and deflate filters would make, and back,
 * outside libhdf5, so that many threads may work at once. */
#include <stdlib.h>
#include <zlib.h>

#include "base/fail.h"
#include "base/mem.h"
#include "h5/h5_private.h"

/* All first bytes of the values, then all second ones, ... */
static void shuffle(const uint8_t *values, size_t n, size_t width, uint8_t *out)
{
    for (size_t b = 0; b < width; b++)
        for (size_t i = 0; i < n; i++) out[b * n + i] = values[i * width + b];
}

enum eg_status eg__h5_pack(const struct eg_h5_shape *shape, size_t row_length, const void *values,
                           uint8_t **packed, size_t *n_packed, struct eg_error *err)
{
    size_t n = shape->chunk_rows * row_length, bytes = n * shape->bytes;
    uLongf length = compressBound(bytes);
    uint8_t *shuffled = eg__alloc(bytes, 1), *out = eg__alloc(length, 1);
    bool done = shuffled && out;
    if (done) {
        shuffle(values, n, shape->bytes, shuffled);
        done = compress2(out, &length, shuffled, bytes, (int)shape->deflate) == Z_OK;
    }
    free(shuffled);
    if (!done) {
        free(out);
        return eg__fail_memory(err, "a compressed chunk");
    }
    *packed = out;
    *n_packed = length;
    return EG_OK;
}
