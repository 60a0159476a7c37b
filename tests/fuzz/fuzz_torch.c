/* fuzz_torch.c: PyTorch files, zip and stream. */
#include "feed_weights.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    feed_weights(data, size);
    return 0;
}
