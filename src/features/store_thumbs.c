/* Small pictures of the photos, where they were asked for: /thumbnails [N][4096] u8, each a JPEG of at most
 * 96 pixels a side and zeros behind it; of a photo that could not be read zeros alone. */
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "features/store_private.h"

static const char name[] = "thumbnails";
enum { BLOCK = 256 };

enum eg_status eg__thumbs_open(struct eg_store *store, struct eg_error *err)
{
    if (!eg__h5_has(store->h5, name)) return EG_OK;
    enum eg_status status = eg__h5_set_open(store->h5, name, &store->thumbs, err);
    if (status) return status;
    const struct eg_h5_shape *shape = eg__h5_set_shape(store->thumbs);
    store->spec.thumbnails = shape->rank == 2 && shape->dims[0] == store->spec.n_rows &&
                             shape->dims[1] == EG_THUMBNAIL_BYTES && shape->kind == EG_H5_U8;
    if (store->spec.thumbnails) return EG_OK;
    eg__h5_set_free(store->thumbs); /* no use to us */
    store->thumbs = NULL;
    return EG_OK;
}

enum eg_status eg__thumbs_clear(struct eg_h5_set *set, size_t first, size_t n, struct eg_error *err)
{
    uint8_t(*nothing)[EG_THUMBNAIL_BYTES] = eg__zalloc(BLOCK, sizeof *nothing);
    enum eg_status status = nothing ? EG_OK : eg__fail_memory(err, "small pictures");
    for (size_t at = 0; !status && at < n; at += BLOCK)
        status = eg__h5_write(set, first + at, n - at < BLOCK ? n - at : BLOCK, nothing, err);
    free(nothing);
    return status;
}

enum eg_status eg__thumbs_create(struct eg_h5 *h5, size_t n_rows, const struct eg_h5_source *sources,
                                 size_t n_sources, struct eg_error *err)
{
    struct eg_h5_set *set;
    struct eg_h5_shape shape = {.kind = EG_H5_U8,
                                .bytes = 1,
                                .rank = 2,
                                .dims = {n_rows, EG_THUMBNAIL_BYTES},
                                .chunk_rows = eg__store_chunk_rows(EG_THUMBNAIL_BYTES, n_rows, 16)};
    if (sources) return eg__h5_virtual_create(h5, name, &shape, sources, n_sources, err);
    enum eg_status status = eg__h5_set_create(h5, name, &shape, &set, err);
    if (status) return status;
    status = eg__thumbs_clear(set, 0, n_rows, err);
    eg__h5_set_free(set);
    return status;
}

enum eg_status eg__store_put_thumbs(struct eg_store *store, const size_t *rows, size_t n,
                                    const uint8_t (*thumbs)[EG_THUMBNAIL_BYTES], struct eg_error *err)
{
    enum eg_status status = EG_OK;
    if (!store->thumbs || !store->write) return EG_OK;
    for (size_t i = 0, count; i < n && !status; i += count) {
        for (count = 1; i + count < n && rows[i + count] == rows[i] + count;) count++;
        status = eg__h5_write(store->thumbs, rows[i], count, thumbs + i, err);
    }
    return status;
}

bool eg__store_thumb(struct eg_store *store, size_t row, uint8_t jpeg[EG_THUMBNAIL_BYTES])
{
    return store->thumbs && row < store->spec.n_rows && store->status[row] == EG_ROW_DONE &&
           !eg__h5_read(store->thumbs, EG_H5_U8, row, 1, jpeg, NULL) && jpeg[0];
}
