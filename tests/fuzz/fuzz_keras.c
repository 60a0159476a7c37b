/* fuzz_keras.c: Keras's HDF5 files. */
#include "feed_weights.h"

/* libhdf5 asks for as much memory as a damaged file says, and can do without; what it leaks on
 * its own way out of a damaged file is not ours. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) { return "allocator_may_return_null=1"; }
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) { return "leak:libhdf5\n"; }

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    feed_weights(data, size);
    return 0;
}
