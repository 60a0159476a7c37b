/* Any other program's matrix: `features` [N][...], and if there are, `labels`: whole numbers, whole
 * floats or strings, one a row, and `label_names`, `paths`. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "features/store_private.h"

/* ---- the classes -------------------------------------------------------------------------- */

/* Numbers as a file may have them: i64, with NaN as unlabelled. */
static enum eg_status read_numbers(struct eg_store *store, struct eg_h5_set *set, int64_t *numbers,
                                   struct eg_error *err)
{
    size_t n = store->spec.n_rows;
    enum eg_h5_kind kind = eg__h5_set_shape(set)->kind;
    if (kind <= EG_H5_I64) return eg__h5_read(set, EG_H5_I64, 0, n, numbers, err);
    double *values = eg__alloc(n, sizeof *values);
    enum eg_status status = values ? EG_OK : eg__fail_memory(err, "the labels");
    if (!status) status = eg__h5_read(set, EG_H5_F64, 0, n, values, err);
    for (size_t i = 0; i < n && !status; i++) {
        bool whole = values[i] == floor(values[i]) && fabs(values[i]) < 9e15; /* also when read back */
        if (!whole && !isnan(values[i]))
            status = eg__fail(err, EG_E_FORMAT,
                              "row %zu of 'labels' of '%s' is %g: a class is a whole number or a text", i,
                              store->path, values[i]);
        numbers[i] = whole ? (int64_t)values[i] : -1;
    }
    free(values);
    return status;
}

/* label_names, where the file has them: a name for each number from 0. */
static enum eg_status named_classes(struct eg_store *store, const int64_t *numbers, struct eg_error *err)
{
    enum eg_status status = eg__store_read_classes(store, err);
    for (size_t i = 0; i < store->spec.n_rows && !status; i++) {
        if (numbers[i] >= -1 && numbers[i] < (int64_t)store->spec.n_classes)
            store->labels[i] = (int32_t)numbers[i];
        else
            status = eg__fail(err, EG_E_FORMAT,
                              "row %zu of '%s' has label %" PRId64 ", and 'label_names' names %zu classes, "
                              "numbered from 0 (name every class, or take 'label_names' out)",
                              i, store->path, numbers[i], store->spec.n_classes);
    }
    return status;
}

struct seen {
    const char *text; /* NULL: a number */
    int64_t number;
    size_t row;
};

static int by_value(const void *pa, const void *pb)
{
    const struct seen *a = pa, *b = pb;
    if (a->text) return strcmp(a->text, b->text);
    return (a->number > b->number) - (a->number < b->number);
}

/* A class for each value there is, named by it, in the order of the values. */
static enum eg_status value_classes(struct eg_store *store, struct seen *seen, size_t n, struct eg_error *err)
{
    qsort(seen, n, sizeof *seen, by_value);
    size_t n_classes = 0, bytes = 0;
    for (size_t i = 0; i < n; i++)
        if (!i || by_value(&seen[i - 1], &seen[i])) {
            n_classes++;
            bytes += seen[i].text ? strlen(seen[i].text) + 1 : sizeof "-9223372036854775808";
        }
    if (n_classes > INT32_MAX || bytes > SIZE_MAX / 2)
        return eg__fail(err, EG_E_FORMAT, "'labels' of '%s' has too many values", store->path);
    char **classes = eg__alloc(n_classes * sizeof *classes + bytes + 1, 1);
    if (!classes) return eg__fail_memory(err, "the classes");
    char *name = (char *)(classes + n_classes);
    size_t k = 0;
    for (size_t i = 0; i < n; i++) {
        if (!i || by_value(&seen[i - 1], &seen[i])) {
            char number[sizeof "-9223372036854775808"];
            if (!seen[i].text) snprintf(number, sizeof number, "%" PRId64, seen[i].number);
            classes[k++] = name;
            name = stpcpy(name, seen[i].text ? seen[i].text : number) + 1;
        }
        store->labels[seen[i].row] = (int32_t)k - 1;
    }
    store->classes = classes;
    store->spec.n_classes = n_classes;
    return EG_OK;
}

static enum eg_status numbered_labels(struct eg_store *store, struct eg_h5_set *set, struct seen *seen,
                                      struct eg_error *err)
{
    size_t n = store->spec.n_rows, n_seen = 0;
    int64_t *numbers = eg__alloc(n, sizeof *numbers);
    enum eg_status status = numbers ? EG_OK : eg__fail_memory(err, "the labels");
    if (!status) status = read_numbers(store, set, numbers, err);
    if (!status && eg__h5_has(store->h5, "label_names")) {
        status = named_classes(store, numbers, err);
    } else if (!status) {
        for (size_t i = 0; i < n; i++)
            if (numbers[i] != -1) seen[n_seen++] = (struct seen){NULL, numbers[i], i};
        status = value_classes(store, seen, n_seen, err);
    }
    free(numbers);
    return status;
}

/* An empty text is a row without a label. */
static enum eg_status text_labels(struct eg_store *store, struct eg_h5_set *set, struct seen *seen,
                                  struct eg_error *err)
{
    char **texts;
    size_t n, n_seen = 0;
    enum eg_status status = eg__h5_read_texts(set, eg__h5_bytes(store->h5) * MOST_INFLATED, &texts, &n, err);
    if (status) return status;
    for (size_t i = 0; i < n; i++)
        if (*texts[i]) seen[n_seen++] = (struct seen){texts[i], 0, i};
    status = value_classes(store, seen, n_seen, err);
    free(texts);
    return status;
}

static enum eg_status read_labels(struct eg_store *store, struct eg_error *err)
{
    size_t n = store->spec.n_rows;
    struct eg_h5_set *set;
    enum eg_status status = eg__h5_set_open(store->h5, "labels", &set, err);
    if (status) return status;
    const struct eg_h5_shape *shape = eg__h5_set_shape(set);
    bool text = shape->kind == EG_H5_TEXT || shape->kind == EG_H5_VARIABLE_TEXT;
    if (eg__h5_set_row_length(set) != 1 || !shape->rank || shape->dims[0] != n)
        status = eg__fail(err, EG_E_FORMAT, "'labels' of '%s' is not one for each of its %zu rows",
                          store->path, n);
    else if (!text && (shape->kind < EG_H5_U8 || shape->kind > EG_H5_F64))
        status = eg__fail(err, EG_E_FORMAT, "'labels' of '%s' is neither numbers nor strings", store->path);
    struct seen *seen = status ? NULL : eg__alloc(n + 1, sizeof *seen);
    if (!status && !seen) status = eg__fail_memory(err, "the labels");
    if (!status) status = text ? text_labels(store, set, seen, err) : numbered_labels(store, set, seen, err);
    free(seen);
    eg__h5_set_free(set);
    return status;
}

/* ---- the rows ------------------------------------------------------------------------------ */

static enum eg_status name_rows(struct eg_store *store, struct eg_error *err)
{
    size_t n = store->spec.n_rows, n_bytes = sizeof "row 18446744073709551615";
    if (eg__h5_has(store->h5, "paths")) {
        struct eg_h5_set *set;
        size_t n_paths = 0;
        if (!eg__h5_set_open(store->h5, "paths", &set, NULL)) {
            bool read = !eg__h5_read_texts(set, eg__h5_bytes(store->h5) * MOST_INFLATED, &store->paths,
                                           &n_paths, NULL);
            eg__h5_set_free(set);
            if (read && n_paths == n) return EG_OK;
            free(store->paths);
            store->paths = NULL;
        }
    }
    char **paths = eg__alloc(n, sizeof *paths + n_bytes);
    if (!paths) return eg__fail_memory(err, "the rows' names");
    for (size_t i = 0; i < n; i++) {
        paths[i] = (char *)(paths + n) + i * n_bytes;
        snprintf(paths[i], n_bytes, "row %zu", i);
    }
    store->paths = paths;
    return EG_OK;
}

/* What is there instead, since it may only have another name. */
static enum eg_status no_features(struct eg_store *store, struct eg_error *err)
{
    char **names = NULL, list[200] = "nothing";
    size_t n = 0, length = 0;
    if (eg__h5_children(store->h5, "/", &names, &n, NULL)) n = 0;
    for (size_t i = 0; i < n && length + 4 < sizeof list; i++) {
        int wrote = snprintf(list + length, sizeof list - length, "%s'%.40s'", i ? ", " : "", names[i]);
        length += wrote > 0 ? (size_t)wrote : 0;
    }
    free(names);
    return eg__fail(err, EG_E_FORMAT,
                    "'%s' is not a feature file: it has no dataset 'features', but %s (a matrix of floats "
                    "named 'features' and its classes, named 'labels', are read)",
                    store->path, list);
}

enum eg_status eg__foreign_describe(struct eg_store *store, struct eg_error *err)
{
    store->foreign = true;
    if (!eg__h5_has(store->h5, "features")) return no_features(store, err);
    store->cuts = eg__zalloc(1, sizeof *store->cuts);
    store->cut_sets = eg__zalloc(1, sizeof(struct eg_h5_set *));
    if (!store->cuts || !store->cut_sets) return eg__fail_memory(err, "a feature file");
    store->spec.cuts = store->cuts;
    store->spec.n_cuts = 1;
    enum eg_status status = eg__h5_set_open(store->h5, "features", &store->cut_sets[0], err);
    if (status) return status;
    const struct eg_h5_shape *shape = eg__h5_set_shape(store->cut_sets[0]);
    size_t n = shape->dims[0], length = eg__h5_set_row_length(store->cut_sets[0]);
    if (shape->rank < 2 || shape->kind < EG_H5_F16 || shape->kind > EG_H5_F64 || !length)
        return eg__fail(err, EG_E_FORMAT, "'features' of '%s' is not rows of floats ([N][D])", store->path);
    if (n > eg__h5_bytes(store->h5) * MOST_INFLATED)
        return eg__fail(err, EG_E_FORMAT, "'features' of '%s' claims %zu rows", store->path, n);
    store->spec.n_rows = n;
    store->spec.deflate = shape->deflate;
    store->cuts[0] = (struct eg_cut_info){
        .name = "features", .shape = {1, 1, length}, .length = length, .half = shape->kind == EG_H5_F16};
    store->status = eg__alloc(n, 1);
    store->labels = eg__alloc(n, sizeof *store->labels);
    if (!store->status || !store->labels) return eg__fail_memory(err, "a feature file");
    memset(store->status, EG_ROW_DONE, n);
    for (size_t i = 0; i < n; i++) store->labels[i] = -1;
    status = eg__h5_has(store->h5, "labels") ? read_labels(store, err) : EG_OK;
    if (!status) status = name_rows(store, err);
    return status;
}
