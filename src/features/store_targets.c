/* What rows have beside a class: /label_sets [N][K] u8, 1 where the photo has the label; /targets [N] f64,
 * NaN where there is no number, with the attribute `column` that they are of. They are written whole, in
 * one commit, when the rows are done; rows and classes that came later have nothing there. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "features/store_private.h"

static const char sets_name[] = "label_sets", numbers_name[] = "targets", column_name[] = "column";

enum eg_status eg__store_label_sets(struct eg_store *store, uint8_t **out, struct eg_error *err)
{
    struct eg_h5_set *set;
    const size_t n = store->spec.n_rows, k = store->spec.n_classes;
    *out = NULL;
    if (!eg__h5_has(store->h5, sets_name)) return EG_OK;
    enum eg_status status = eg__h5_set_open(store->h5, sets_name, &set, err);
    if (status) return status;
    const struct eg_h5_shape *shape = eg__h5_set_shape(set);
    const size_t rows = shape->dims[0] < n ? shape->dims[0] : n,
                 width = shape->rank == 2 ? shape->dims[1] : 0;
    size_t bytes;
    uint8_t *found = NULL, *made = NULL;
    if (!width || shape->kind != EG_H5_U8 || width > k || !eg__mul(n, k, &bytes) ||
        bytes > eg__h5_bytes(store->h5) * MOST_INFLATED)
        status = eg__fail(err, EG_E_FORMAT, "'label_sets' of '%s' is not a byte for each of its %zu classes",
                          store->path, k);
    if (!status) {
        found = eg__alloc(rows + 1, width);
        made = eg__zalloc(n + 1, k);
        status = !found || !made ? eg__fail_memory(err, "sets of labels")
                 : rows          ? eg__h5_read(set, EG_H5_U8, 0, rows, found, err)
                                 : EG_OK;
    }
    for (size_t i = 0; i < rows && !status; i++)
        for (size_t c = 0; c < width; c++) made[i * k + c] = found[i * width + c] != 0;
    free(found);
    eg__h5_set_free(set);
    if (status)
        free(made);
    else
        *out = made;
    return status;
}

enum eg_status eg__store_numbers(struct eg_store *store, double **out, char **column, struct eg_error *err)
{
    struct eg_h5_set *set;
    const size_t n = store->spec.n_rows;
    if (!eg__h5_has(store->h5, numbers_name))
        return eg__fail(err, EG_E_NOT_FOUND, "'%s' has no numbers to learn: none were extracted with it",
                        store->path);
    enum eg_status status = eg__h5_set_open(store->h5, numbers_name, &set, err);
    if (status) return status;
    const struct eg_h5_shape *shape = eg__h5_set_shape(set);
    const size_t rows = shape->dims[0] < n ? shape->dims[0] : n;
    double *made = eg__alloc(n + 1, sizeof *made);
    char *name = NULL;
    if (!made) status = eg__fail_memory(err, "numbers");
    if (!status && (shape->rank != 1 || shape->kind < EG_H5_U8 || shape->kind > EG_H5_F64))
        status = eg__fail(err, EG_E_FORMAT, "'targets' of '%s' is not a number a row", store->path);
    for (size_t i = 0; i < n && !status; i++) made[i] = (double)NAN;
    if (!status && rows) status = eg__h5_read(set, EG_H5_F64, 0, rows, made, err);
    for (size_t i = 0; i < rows && !status; i++)
        if (isinf(made[i]))
            status = eg__fail(err, EG_E_FORMAT, "row %zu of 'targets' of '%s' is infinite", i, store->path);
    if (!status && eg__h5_has_attribute(store->h5, numbers_name, column_name))
        status = eg__h5_text(store->h5, numbers_name, column_name, &name, err);
    eg__h5_set_free(set);
    if (status) {
        free(made);
        return status;
    }
    *out = made;
    *column = name;
    return EG_OK;
}

/* The dataset as it is now, in place of the one before. */
static enum eg_status put(const char *path, const char *name, const struct eg_h5_shape *shape,
                          const void *values, const char *column, struct eg_error *err)
{
    struct eg_h5 *h5;
    struct eg_h5_set *set = NULL;
    enum eg_status status = eg__h5_open(path, true, &h5, err);
    if (status) return status;
    status = eg__h5_stage(h5, err);
    if (!status && eg__h5_has(h5, name)) status = eg__h5_unlink(h5, name, err);
    if (!status) status = eg__h5_set_create(h5, name, shape, &set, err);
    if (!status) status = eg__h5_write(set, 0, shape->dims[0], values, err);
    if (!status && column) status = eg__h5_put_text(h5, name, column_name, column, err);
    eg__h5_set_free(set);
    return eg__h5_settle(h5, status, err);
}

enum eg_status eg__store_put_label_sets(const char *path, const uint8_t *sets, size_t n_rows,
                                        size_t n_classes, struct eg_error *err)
{
    const struct eg_h5_shape shape = {.kind = EG_H5_U8,
                                      .bytes = 1,
                                      .rank = 2,
                                      .dims = {n_rows, n_classes},
                                      .chunk_rows = eg__store_chunk_rows(n_classes, n_rows, 256)};
    return put(path, sets_name, &shape, sets, NULL, err);
}

enum eg_status eg__store_put_numbers(const char *path, const double *numbers, size_t n_rows,
                                     const char *column, struct eg_error *err)
{
    const struct eg_h5_shape shape = {.kind = EG_H5_F64,
                                      .bytes = sizeof(double),
                                      .rank = 1,
                                      .dims = {n_rows},
                                      .chunk_rows = eg__store_chunk_rows(sizeof(double), n_rows, 256)};
    return put(path, numbers_name, &shape, numbers, column, err);
}
