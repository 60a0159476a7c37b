/* Any bytes as an archive of photos: listed, and every photo read; and as one that comes through a pipe. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "image/dataset_build.h"

static void stream(int fd)
{
    static const struct eg_dataset_options options;
    struct eg_dataset *dataset = NULL;
    struct eg_error err;
    if (lseek(fd, 0, SEEK_SET) || eg__dataset_stream(fd, &options, &dataset, &err)) return;
    while (!eg__stream_next(dataset->stream, 3, NULL, NULL, &err) && dataset->n_items)
        for (size_t i = 0; i < dataset->n_items; i++) {
            uint8_t *bytes;
            size_t n;
            const char *path = dataset->items[i].path;
            if (*path == '/' || !strncmp(path, "../", 3) || strstr(path, "/../")) abort();
            if (!eg__dataset_read(dataset, i, &bytes, &n, &err)) free(bytes);
        }
    eg__dataset_free(dataset);
}

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
    stream(fd);
    close(fd);
    return 0;
}
