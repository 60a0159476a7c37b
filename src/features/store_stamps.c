/* Sizes and times of the photos' files, so that what has not changed need not be read to know it.
 * They are hints only: without them, or with wrong ones, photos are hashed again. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fail.h"
#include "base/mem.h"
#include "features/store_private.h"

enum { BLOCK = 4096 };

enum eg_status eg__stamps_open(struct eg_store *store, struct eg_error *err)
{
    if (!eg__h5_has(store->h5, "stamps")) return EG_OK;
    enum eg_status status = eg__h5_set_open(store->h5, "stamps", &store->stamps, err);
    if (status) return status;
    const struct eg_h5_shape *shape = eg__h5_set_shape(store->stamps);
    if (shape->rank == 2 && shape->dims[0] == store->spec.n_rows && shape->dims[1] == 2 &&
        shape->kind == EG_H5_I64)
        return EG_OK;
    eg__h5_set_free(store->stamps); /* no use to us */
    store->stamps = NULL;
    return EG_OK;
}

enum eg_status eg__stamps_clear(struct eg_h5_set *set, size_t first, size_t n, struct eg_error *err)
{
    static const int64_t unknown[BLOCK][2];
    enum eg_status status = EG_OK;
    for (size_t at = 0; !status && at < n; at += BLOCK)
        status = eg__h5_write(set, first + at, n - at < BLOCK ? n - at : BLOCK, unknown, err);
    return status;
}

enum eg_status eg__stamps_create(struct eg_h5 *h5, size_t n_rows, struct eg_h5_set **set,
                                 struct eg_error *err)
{
    struct eg_h5_shape shape = {.kind = EG_H5_I64,
                                .bytes = sizeof(int64_t),
                                .rank = 2,
                                .dims = {n_rows, 2},
                                .chunk_rows = eg__store_chunk_rows(2 * sizeof(int64_t), n_rows, 256)};
    enum eg_status status = eg__h5_set_create(h5, "stamps", &shape, set, err);
    if (!status) status = eg__stamps_clear(*set, 0, n_rows, err);
    return status;
}

enum eg_status eg__store_put_stamps(struct eg_store *store, const size_t *rows, size_t n,
                                    const int64_t (*stamps)[2], struct eg_error *err)
{
    enum eg_status status = EG_OK;
    if (!store->stamps || !store->write) return EG_OK;
    for (size_t i = 0, count; i < n && !status; i += count) {
        for (count = 1; i + count < n && rows[i + count] == rows[i] + count;) count++;
        status = eg__h5_write(store->stamps, rows[i], count, stamps + i, err);
    }
    return status;
}

static int by_path(const void *a, const void *b, void *paths)
{
    const char *const *of = paths;
    size_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return strcmp(of[x], of[y]);
}

static size_t find_path(const struct eg_store *store, const size_t *order, const char *path)
{
    size_t low = 0, high = store->spec.n_rows;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(store->paths[order[middle]], path) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < store->spec.n_rows && !strcmp(store->paths[order[low]], path) ? order[low] : SIZE_MAX;
}

static enum eg_status look_up(struct eg_store *store, const char *const *paths, size_t n,
                              const int64_t (*stamps)[2], uint8_t (*hashes)[HASH_BYTES], bool *known,
                              struct eg_error *err)
{
    size_t n_rows = store->spec.n_rows;
    size_t *order = eg__alloc(n_rows, sizeof *order);
    int64_t(*of_rows)[2] = eg__zalloc(n_rows, sizeof *of_rows);
    uint8_t(*row_hashes)[HASH_BYTES] = eg__alloc(n_rows, sizeof *row_hashes);
    enum eg_status status =
        order && of_rows && row_hashes ? EG_OK : eg__fail_memory(err, "the photos' stamps");
    if (!status && store->stamps) status = eg__h5_read(store->stamps, EG_H5_I64, 0, n_rows, of_rows, err);
    if (!status) status = eg__store_hashes(store, 0, n_rows, row_hashes, err);
    if (!status) {
        for (size_t i = 0; i < n_rows; i++) order[i] = i;
        qsort_r(order, n_rows, sizeof *order, by_path, store->paths);
    }
    for (size_t i = 0; !status && i < n; i++) {
        static const uint8_t none[HASH_BYTES];
        size_t row = find_path(store, order, paths[i]);
        if (row == SIZE_MAX) continue;
        bool same = stamps[i][1] && !memcmp(stamps[i], of_rows[row], sizeof *of_rows) &&
                    memcmp(row_hashes[row], none, sizeof none) != 0;
        known[i] = same || store->status[row] == EG_ROW_WAITING; /* that one will be read anyway */
        if (same) memcpy(hashes[i], row_hashes[row], HASH_BYTES);
    }
    free(order);
    free(of_rows);
    free(row_hashes);
    return status;
}

enum eg_status eg__store_known(const char *path, const char *const *paths, size_t n,
                               const int64_t (*stamps)[2], uint8_t (*hashes)[HASH_BYTES], bool *known,
                               struct eg_error *err)
{
    struct eg_store *store;
    struct stat info;
    if (stat(path, &info)) return EG_OK;
    if (eg__store_open(path, &store, NULL)) return EG_OK; /* who writes to it will say why */
    enum eg_status status = store->foreign ? EG_OK : look_up(store, paths, n, stamps, hashes, known, err);
    enum eg_status closing = eg__store_close(store, status ? NULL : err);
    return status ? status : closing;
}
