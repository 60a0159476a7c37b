/* mem.h: memory whose size comes from outside. Everything is released by free(). */
#ifndef EG_BASE_MEM_H
#define EG_BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>

/* a * b, false on overflow. */
static inline bool eg__mul(size_t a, size_t b, size_t *product)
{
    return !__builtin_mul_overflow(a, b, product);
}

/* n items of `size` bytes, 64-byte aligned, not cleared; NULL on overflow or no memory.
 * n = 0 gives a pointer that may be freed. */
void *eg__alloc(size_t n, size_t size) __attribute__((malloc, warn_unused_result));

/* The same, cleared (not necessarily 64-byte aligned). */
void *eg__zalloc(size_t n, size_t size) __attribute__((malloc, warn_unused_result));

/* Make *array (capacity *capacity items of `size`) hold at least `need` items; grows by
 * doubling. False, with *array untouched, when there is no memory. `array` points to the
 * array pointer. */
bool eg__grow(void *array, size_t *capacity, size_t need, size_t size) __attribute__((warn_unused_result));

/* Memory taken beforehand, given out from its start. */
struct eg_room {
    unsigned char *bytes; /* 64-byte aligned */
    size_t size, used;
};
/* n items of `size` bytes, 64-byte aligned, of the room; NULL: it is full. room NULL: eg__alloc. */
void *eg__room_take(struct eg_room *room, size_t n, size_t size) __attribute__((warn_unused_result));

#endif
