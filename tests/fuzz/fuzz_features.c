/* fuzz_features.c: a mangled feature file, opened, described and read.
 *
 * libhdf5 1.10 forgets memory of its own on some files that it refuses, and asks for sizes that no
 * machine has before it refuses others: neither is ours to mend, nor harm to those who use it. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "features/store.h"

const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) { return "leak:libhdf5"; }
const char *__asan_default_options(void);
const char *__asan_default_options(void) { return "allocator_may_return_null=1"; }

enum { MOST_FLOATS = 1 << 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static float values[MOST_FLOATS];
    char path[40];
    int fd = memfd_create("features", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size) abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    struct eg_store *store;
    struct eg_error err;
    if (!eg__store_open(path, &store, &err)) {
        const struct eg_store_spec *spec = eg__store_spec(store);
        for (size_t cut = 0; cut < spec->n_cuts; cut++) {
            size_t rows = MOST_FLOATS / spec->cuts[cut].length;
            if (rows > spec->n_rows) rows = spec->n_rows;
            if (rows && eg__store_read(store, cut, 0, rows, values, &err)) continue;
        }
        for (size_t i = 0; i < spec->n_rows; i++) {
            const char *reason = eg__store_reason(store, i);
            if (reason && !spec->paths[i]) abort();
        }
        struct eg_history *records;
        size_t n;
        if (!eg__store_history(store, &records, &n, &err)) free(records);
        if (eg__store_close(store, &err)) abort();
    }
    close(fd);
    return 0;
}
