/* graph_memory.c: what lives as long as a graph: its arena (node names, small tensors) and
 * the objects it holds (mapped files). Each is counted, so that cuts and copies share them;
 * a graph's list is flat, so that graphs may share with one another in any order. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "graph/graph_private.h"

enum { CHUNK_BYTES = 1 << 15, ALIGNMENT = 64 };

struct chunk {
    struct chunk *next;
    size_t used, size; /* of bytes */
    _Alignas(ALIGNMENT) uint8_t bytes[];
};

struct eg_arena {
    struct chunk *chunks; /* the first is the one being filled */
};

struct shared {
    atomic_size_t count;
    void *object;
    void (*release)(void *);
};

struct eg_hold {
    struct eg_hold *next;
    struct shared *shared;
};

static void arena_release(void *object)
{
    struct eg_arena *arena = object;
    for (struct chunk *chunk = arena->chunks, *next; chunk; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    free(arena);
}

enum eg_status eg__graph_hold(struct eg_graph *graph, void *object, void (*release)(void *),
                              struct eg_error *err)
{
    struct eg_hold *hold = malloc(sizeof *hold);
    struct shared *shared = malloc(sizeof *shared);
    if (!hold || !shared) {
        free(hold);
        free(shared);
        release(object);
        return eg__fail_memory(err, "a network");
    }
    atomic_init(&shared->count, 1);
    shared->object = object;
    shared->release = release;
    *hold = (struct eg_hold){graph->holds, shared};
    graph->holds = hold;
    return EG_OK;
}

enum eg_status eg__graph_share(struct eg_graph *to, const struct eg_graph *from, struct eg_error *err)
{
    for (const struct eg_hold *source = from->holds; source; source = source->next) {
        const struct eg_hold *have = to->holds;
        while (have && have->shared != source->shared) have = have->next;
        if (have) continue;
        struct eg_hold *hold = malloc(sizeof *hold);
        if (!hold) return eg__fail_memory(err, "a network");
        atomic_fetch_add(&source->shared->count, 1);
        *hold = (struct eg_hold){to->holds, source->shared};
        to->holds = hold;
    }
    return EG_OK;
}

enum eg_status eg__graph_arena_create(struct eg_graph *graph, struct eg_error *err)
{
    graph->arena = eg__zalloc(1, sizeof *graph->arena);
    if (!graph->arena) return eg__fail_memory(err, "a network");
    return eg__graph_hold(graph, graph->arena, arena_release, err);
}

void eg__graph_release_holds(struct eg_graph *graph)
{
    for (struct eg_hold *hold = graph->holds, *next; hold; hold = next) {
        next = hold->next;
        if (atomic_fetch_sub(&hold->shared->count, 1) == 1) {
            hold->shared->release(hold->shared->object);
            free(hold->shared);
        }
        free(hold);
    }
    graph->holds = NULL;
}

void *eg__graph_memory(struct eg_graph *graph, size_t n, size_t size)
{
    size_t bytes;
    if (!eg__mul(n, size, &bytes) || bytes > PTRDIFF_MAX - 2 * ALIGNMENT - sizeof(struct chunk)) return NULL;
    bytes = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    struct eg_arena *arena = graph->arena;
    struct chunk *chunk = arena->chunks;
    if (!chunk || chunk->size - chunk->used < bytes) {
        size_t room = bytes > CHUNK_BYTES / 4 ? bytes : CHUNK_BYTES;
        struct chunk *made = eg__alloc(1, sizeof *made + room);
        if (!made) return NULL;
        made->used = 0;
        made->size = room;
        if (chunk && room == bytes) { /* a large piece has a chunk of its own, behind the first */
            made->next = chunk->next;
            chunk->next = made;
        } else {
            made->next = chunk;
            arena->chunks = made;
        }
        chunk = made;
    }
    void *memory = chunk->bytes + chunk->used;
    chunk->used += bytes;
    return memory;
}

char *eg__graph_string(struct eg_graph *graph, const char *string)
{
    size_t n = strlen(string) + 1;
    char *copy = eg__graph_memory(graph, n, 1);
    if (copy) memcpy(copy, string, n);
    return copy;
}

struct eg_tensor *eg__graph_tensor(struct eg_graph *graph, const struct eg_tensor *tensor)
{
    struct eg_tensor *copy = eg__graph_memory(graph, 1, sizeof *copy);
    if (!copy) return NULL;
    *copy = *tensor;
    if (tensor->name && !(copy->name = eg__graph_string(graph, tensor->name))) return NULL;
    return copy;
}

struct eg_tensor *eg__graph_constant(struct eg_graph *graph, const char *name, uint8_t rank,
                                     const size_t *dim, const float *values)
{
    struct eg_tensor tensor = {.name = name, .dtype = EG_F32, .rank = rank};
    size_t count = 1;
    for (unsigned i = 0; i < rank; i++) {
        tensor.dim[i] = dim[i];
        if (!eg__mul(count, dim[i], &count)) return NULL;
    }
    eg__tensor_pack_strides(&tensor);
    float *copy = eg__graph_memory(graph, count, sizeof *copy);
    if (!copy) return NULL;
    if (count) memcpy(copy, values, count * sizeof *copy);
    tensor.data = copy;
    return eg__graph_tensor(graph, &tensor);
}
