#include "base/mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { ALIGNMENT = 64, HUGE_PAGE = 2 << 20 };

void *eg__alloc(size_t n, size_t size)
{
    size_t bytes;
    if (!eg__mul(n, size, &bytes) || bytes > PTRDIFF_MAX - HUGE_PAGE) return NULL;
    bytes = (bytes + ALIGNMENT) / ALIGNMENT * ALIGNMENT; /* never 0 */
    if (bytes < HUGE_PAGE) return aligned_alloc(ALIGNMENT, bytes);
    /* Large pages: weights then stream from memory about twice as fast. Only a hint: failing is fine. */
    void *memory;
    if (posix_memalign(&memory, HUGE_PAGE, bytes)) return NULL;
#ifdef MADV_HUGEPAGE
    (void)madvise(memory, bytes, MADV_HUGEPAGE);
#endif
    return memory;
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

void *eg__room_take(struct eg_room *room, size_t n, size_t size)
{
    size_t bytes;
    if (!room) return eg__alloc(n, size);
    if (!eg__mul(n, size, &bytes) || bytes > SIZE_MAX - 63) return NULL;
    bytes = (bytes + 63) / 64 * 64;
    if (bytes > room->size - room->used) return NULL;
    void *taken = room->bytes + room->used;
    room->used += bytes;
    return taken;
}
