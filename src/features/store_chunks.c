/* Rows of compressed cuts wait in memory until their chunk is full, so that each chunk is
 * compressed and written once; many are compressed at a time. What a checkpoint writes is
 * staged, and its commit makes chunks, index and status appear together. */
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "base/pool.h"
#include "features/store_private.h"

static size_t chunk_rows(const struct eg_store *store, size_t cut)
{
    return eg__h5_set_shape(store->cut_sets[cut])->chunk_rows;
}

static size_t row_bytes(const struct eg_store *store, size_t cut)
{
    return store->cuts[cut].length * eg__h5_set_shape(store->cut_sets[cut])->bytes;
}

/* With the rows that an earlier run wrote there, and NaN elsewhere. */
static enum eg_status open_chunk(struct eg_store *store, size_t cut, size_t number, uint8_t **values,
                                 struct eg_error *err)
{
    for (size_t i = store->n_chunks; i--;)
        if (store->chunks[i].cut == cut && store->chunks[i].number == number) {
            *values = store->chunks[i].values;
            return EG_OK;
        }
    const struct eg_h5_shape *shape = eg__h5_set_shape(store->cut_sets[cut]);
    size_t rows = shape->chunk_rows, first = number * rows, left = store->spec.n_rows - first, bytes;
    if (!eg__mul(rows, row_bytes(store, cut), &bytes) ||
        !eg__grow(&store->chunks, &store->chunks_capacity, store->n_chunks + 1, sizeof *store->chunks))
        return eg__fail_memory(err, "a chunk of rows");
    uint8_t *made = eg__zalloc(bytes, 1);
    if (!made) return eg__fail_memory(err, "a chunk of rows");
    enum eg_status status =
        eg__h5_read(store->cut_sets[cut], shape->kind, first, left < rows ? left : rows, made, err);
    if (status) {
        free(made);
        return status;
    }
    store->chunks[store->n_chunks++] = (struct store_chunk){cut, number, made};
    store->chunk_bytes += bytes;
    *values = made;
    return EG_OK;
}

enum eg_status eg__chunks_put(struct eg_store *store, size_t cut, size_t first, size_t count,
                              const void *values, struct eg_error *err)
{
    size_t rows = chunk_rows(store, cut), width = row_bytes(store, cut);
    const uint8_t *in = values;
    for (size_t row = first, end = first + count; row < end;) {
        uint8_t *chunk = NULL;
        enum eg_status status = open_chunk(store, cut, row / rows, &chunk, err);
        if (status) return status;
        size_t at = row % rows, n = end - row < rows - at ? end - row : rows - at;
        memcpy(chunk + at * width, in, n * width);
        in += n * width;
        row += n;
    }
    return EG_OK;
}

static bool is_full(const struct eg_store *store, const struct store_chunk *chunk)
{
    size_t rows = chunk_rows(store, chunk->cut), row = chunk->number * rows, end = row + rows;
    if (end > store->spec.n_rows) end = store->spec.n_rows;
    while (row < end && store->status[row] != EG_ROW_WAITING) row++;
    return row == end;
}

struct packing {
    const struct eg_store *store;
    const struct store_chunk *chunks;
    struct {
        uint8_t *bytes;
        size_t n;
        enum eg_status status;
    } * packed;
};

static void pack(void *context, size_t i, unsigned thread)
{
    (void)thread;
    struct packing *work = context;
    size_t cut = work->chunks[i].cut;
    work->packed[i].status =
        eg__h5_pack(eg__h5_set_shape(work->store->cut_sets[cut]), work->store->cuts[cut].length,
                    work->chunks[i].values, &work->packed[i].bytes, &work->packed[i].n, NULL);
}

enum eg_status eg__chunks_write(struct eg_store *store, bool all, struct eg_error *err)
{
    /* Those to write come first. */
    size_t n = 0;
    for (size_t i = 0; i < store->n_chunks; i++) {
        struct store_chunk chunk = store->chunks[i];
        if (!all && !is_full(store, &chunk)) continue;
        store->chunks[i] = store->chunks[n];
        store->chunks[n++] = chunk;
    }
    if (!n) return EG_OK;
    struct packing work = {store, store->chunks, eg__zalloc(n, sizeof *work.packed)};
    if (!work.packed) return eg__fail_memory(err, "compressed chunks");
    eg__pool_run(store->pool, n, pack, &work);
    enum eg_status status = EG_OK;
    for (size_t i = 0; i < n; i++) {
        const struct store_chunk *chunk = &store->chunks[i];
        if (!status && work.packed[i].status) status = eg__fail_memory(err, "compressed chunks");
        if (!status)
            status =
                eg__h5_write_chunk(store->cut_sets[chunk->cut], chunk->number * chunk_rows(store, chunk->cut),
                                   work.packed[i].bytes, work.packed[i].n, err);
        free(work.packed[i].bytes);
    }
    free(work.packed);
    if (status) return status;
    for (size_t i = 0; i < n; i++) {
        store->chunk_bytes -=
            chunk_rows(store, store->chunks[i].cut) * row_bytes(store, store->chunks[i].cut);
        free(store->chunks[i].values);
    }
    store->n_chunks -= n;
    memmove(store->chunks, store->chunks + n, store->n_chunks * sizeof *store->chunks);
    return EG_OK;
}

bool eg__chunks_hold(const struct eg_store *store, size_t row)
{
    for (size_t i = 0; i < store->n_chunks; i++)
        if (store->chunks[i].number == row / chunk_rows(store, store->chunks[i].cut)) return true;
    return false;
}

void eg__chunks_free(struct eg_store *store)
{
    for (size_t i = 0; i < store->n_chunks; i++) free(store->chunks[i].values);
    free(store->chunks);
}
