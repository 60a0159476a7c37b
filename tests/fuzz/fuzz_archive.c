/* Any bytes as an archive of photos: listed, and every photo read. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "image/dataset_build.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    int fd = memfd_create("archive", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size) abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    struct eg_dataset_builder builder;
    struct eg_dataset *dataset = NULL;
    struct eg_error err;
    enum eg_status status = eg__dataset_begin(&builder, NULL, &err);
    if (!status) status = eg__scan_archive(&builder, path, "x.tar", "", true, &err);
    if (!eg__dataset_end(&builder, status, &dataset)) {
        for (size_t i = 0; i < dataset->n_items; i++) {
            uint8_t *bytes;
            size_t n;
            const char *name = dataset->items[i].path;
            if (strncmp(name, "x.tar/", 6) || strstr(name, "/../") ||
                dataset->items[i].label >= (int32_t)dataset->n_classes)
                abort();
            if (!eg__dataset_read(dataset, i, &bytes, &n, &err)) free(bytes);
        }
        eg__dataset_free(dataset);
    }
    close(fd);
    return 0;
}
