/* Any bytes as the dictionary of a .npy file. */
#include <stdlib.h>

#include "image/dataset_build.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct eg_npy_header header;
    struct eg_error err;
    if (!eg__npy_parse((const char *)data, size, &header, &err) && header.n_dims > 4) abort();
    return 0;
}
