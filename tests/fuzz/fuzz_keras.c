/* fuzz_keras.c: Keras's HDF5 files, bare or in a zip. */
#include "feed_weights.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    feed_weights(data, size);
    return 0;
}
