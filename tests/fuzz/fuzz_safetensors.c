/* fuzz_safetensors.c: safetensors files. */
#include "feed_weights.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    feed_weights(data, size);
    return 0;
}
