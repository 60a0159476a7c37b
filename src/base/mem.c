#include "base/mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 64 };

void *eg__alloc(size_t n, size_t size)
{
    size_t bytes;
    if (!eg__mul(n, size, &bytes) || bytes > PTRDIFF_MAX - ALIGNMENT) return NULL;
    bytes = (bytes + ALIGNMENT) / ALIGNMENT * ALIGNMENT; /* never 0 */
    return aligned_alloc(ALIGNMENT, bytes);
}

void *eg__zalloc(size_t n, size_t size) { return calloc(n ? n : 1, size ? size : 1); }

bool eg__grow(void *array, size_t *capacity, size_t need, size_t size)
{
    if (need <= *capacity) return true;
    size_t want = *capacity < 8 ? 8 : *capacity, bytes;
    while (want < need)
        if (!eg__mul(want, 2, &want)) return false;
    if (!eg__mul(want, size, &bytes)) return false;
    void *old;
    memcpy(&old, array, sizeof old);
    void *grown = realloc(old, bytes);
    if (!grown) return false;
    memcpy(array, &grown, sizeof grown);
    *capacity = want;
    return true;
}
