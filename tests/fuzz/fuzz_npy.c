/* Any bytes as the dictionary of a .npy file, and as a whole file. */
#include <stdlib.h>

#include "image/dataset_build.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct eg_npy_header header;
    struct eg_error err;
    if (!eg__npy_parse((const char *)data, size, &header, &err) && header.n_dims > EG_RANK_MAX) abort();
    const uint8_t *numbers;
    if (!eg__npy_view(data, size, &header, &numbers, &err) && (numbers < data || numbers > data + size))
        abort();
    return 0;
}
