/* Labels that a person has said are right: /confirmed [N] u8. It is made when the first is said, and
 * grows when a later one lies behind its end; rows behind its end are not confirmed. */
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "features/store_private.h"

static const char name[] = "confirmed";
enum { CHUNK = 65536 };

static bool fits(const struct eg_h5_set *set)
{
    const struct eg_h5_shape *shape = eg__h5_set_shape(set);
    return shape->rank == 1 && shape->kind == EG_H5_U8;
}

enum eg_status eg__store_confirmed(struct eg_store *store, uint8_t *confirmed, struct eg_error *err)
{
    memset(confirmed, 0, store->spec.n_rows);
    if (store->foreign || !eg__h5_has(store->h5, name)) return EG_OK;
    struct eg_h5_set *set;
    enum eg_status status = eg__h5_set_open(store->h5, name, &set, err);
    if (status) return status;
    size_t n = eg__h5_set_shape(set)->dims[0];
    if (!fits(set))
        status = eg__fail(err, EG_E_FORMAT, "'confirmed' of '%s' is not a byte a row", store->path);
    else if (n)
        status =
            eg__h5_read(set, EG_H5_U8, 0, n < store->spec.n_rows ? n : store->spec.n_rows, confirmed, err);
    eg__h5_set_free(set);
    return status;
}

/* The dataset, with room for n rows. */
static enum eg_status make_room(struct eg_h5 *h5, size_t n, struct eg_h5_set **out, struct eg_error *err)
{
    struct eg_h5_set *set = NULL;
    const struct eg_h5_shape shape = {
        .kind = EG_H5_U8, .bytes = 1, .rank = 1, .dims = {n}, .chunk_rows = CHUNK};
    bool there = eg__h5_has(h5, name);
    enum eg_status status =
        there ? eg__h5_set_open(h5, name, &set, err) : eg__h5_set_create(h5, name, &shape, &set, err);
    if (status) return status;
    size_t had = there ? eg__h5_set_shape(set)->dims[0] : 0;
    if (!fits(set)) status = eg__fail(err, EG_E_FORMAT, "'confirmed' is not a byte a row");
    if (!status && there && had < n) status = eg__h5_extend(set, n, err);
    uint8_t *nothing = eg__zalloc(n, 1);
    if (!nothing) status = eg__fail_memory(err, "confirmed rows");
    if (!status && had < n) status = eg__h5_write(set, had, n - had, nothing, err);
    free(nothing);
    if (status)
        eg__h5_set_free(set);
    else
        *out = set;
    return status;
}

enum eg_status eg__confirmed_clear(struct eg_h5 *h5, const size_t *rows, size_t n, struct eg_error *err)
{
    struct eg_h5_set *set;
    const uint8_t no = 0;
    if (!n || !eg__h5_has(h5, name)) return EG_OK;
    enum eg_status status = eg__h5_set_open(h5, name, &set, err);
    if (status) return status;
    if (fits(set))
        for (size_t i = 0; i < n && !status; i++)
            if (rows[i] < eg__h5_set_shape(set)->dims[0]) status = eg__h5_write(set, rows[i], 1, &no, err);
    eg__h5_set_free(set);
    return status;
}

enum eg_status eg__store_confirm(const char *path, const size_t *rows, size_t n_rows, size_t n, bool right,
                                 struct eg_error *err)
{
    struct eg_h5 *h5;
    struct eg_h5_set *set = NULL;
    const uint8_t said = right;
    if (!n) return EG_OK;
    enum eg_status status = eg__h5_open(path, true, &h5, err);
    if (status) return status;
    status = eg__h5_stage(h5, err);
    if (!status) status = make_room(h5, n_rows, &set, err);
    for (size_t i = 0; i < n && !status; i++) status = eg__h5_write(set, rows[i], 1, &said, err);
    eg__h5_set_free(set);
    return eg__h5_settle(h5, status, err);
}
