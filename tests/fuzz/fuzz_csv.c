/* Any bytes as a dataset's CSV. */
#include <stdlib.h>

#include "image/dataset_build.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct eg_dataset_builder builder;
    struct eg_dataset *dataset = NULL;
    struct eg_error err;
    enum eg_status status = eg__dataset_begin(&builder, NULL, &err);
    if (!status) status = eg__scan_csv(&builder, (const char *)data, size, &err);
    if (eg__dataset_end(&builder, status, &dataset)) return 0;
    for (size_t i = 0; i < dataset->n_items; i++)
        if (!*dataset->items[i].path || dataset->items[i].label >= (int32_t)dataset->n_classes) abort();
    eg__dataset_free(dataset);
    return 0;
}
