/* extract_targets.c: several labels a photo, or a number, in the feature file. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "base/unicode.h"
#include "flow/extract_targets.h"
#include "sample/targets.h"

void eg__extract_labels_free(struct eg_extract_labels *l)
{
    eg__class_names_free(l->classes, l->n_classes);
    free(l->labels);
    free(l->member);
    *l = (struct eg_extract_labels){0};
}

enum eg_status eg__extract_split(const struct eg_dataset *images, const char *separator,
                                 struct eg_extract_labels *out, struct eg_error *err)
{
    struct eg_extract_labels made = {0};
    enum eg_status status = eg__names_split((const char *const *)images->classes, images->n_classes,
                                            separator, &made.classes, &made.n_classes, &made.member, err);
    if (!status && !(made.labels = eg__alloc(images->n_items + 1, sizeof *made.labels)))
        status = eg__fail_memory(err, "labels");
    for (size_t i = 0; i < images->n_items && !status; i++) {
        const int32_t class = images->items[i].label;
        size_t count = 0;
        made.labels[i] = -1;
        for (size_t k = 0; class >= 0 && k < made.n_classes; k++)
            if (made.member[(size_t) class * made.n_classes + k]) {
                made.labels[i] = (int32_t)k;
                count++;
            }
        if (count != 1) made.labels[i] = -1;
    }
    if (status)
        eg__extract_labels_free(&made);
    else
        *out = made;
    return status;
}

/* ---- when the rows are there ------------------------------------------------------------------------- */

static int by_path(const void *a, const void *b, void *paths)
{
    size_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    const char *const *of = paths;
    const int order = strcmp(of[x], of[y]);
    return order ? order : x < y ? -1 : x > y;
}

/* row_of [n_items]: the row of each image, SIZE_MAX: none. */
static enum eg_status find_rows(const struct eg_store_spec *spec, const struct eg_dataset *images,
                                size_t *row_of, struct eg_error *err)
{
    const size_t n = spec->n_rows;
    size_t *order = eg__alloc(n + 1, sizeof *order);
    const char **paths = eg__alloc(n + 1, sizeof *paths);
    enum eg_status status = order && paths ? EG_OK : eg__fail_memory(err, "the order of paths");
    for (size_t i = 0; i < n && !status; i++) {
        order[i] = i;
        paths[i] = spec->paths[i];
    }
    if (!status) qsort_r(order, n, sizeof *order, by_path, paths);
    for (size_t i = 0; i < images->n_items && !status; i++) {
        size_t low = 0, high = n;
        while (low < high) {
            const size_t middle = low + (high - low) / 2;
            if (strcmp(paths[order[middle]], images->items[i].path) < 0)
                low = middle + 1;
            else
                high = middle;
        }
        const bool found = low < n && !strcmp(paths[order[low]], images->items[i].path);
        row_of[i] = found ? order[low] : SIZE_MAX;
    }
    free(order);
    free(paths);
    return status;
}

/* The same photo in several class folders has the labels of all. */
static enum eg_status join_copies(struct eg_store *store, uint8_t *sets, struct eg_error *err)
{
    const struct eg_store_spec *spec = eg__store_spec(store);
    const uint8_t *row_status = eg__store_status(store);
    const size_t n = spec->n_rows, k = spec->n_classes;
    uint8_t(*hashes)[32] = eg__alloc(n + 1, sizeof *hashes);
    struct eg_hashed *seen = eg__alloc(n + 1, sizeof *seen);
    enum eg_status status = hashes && seen ? eg__store_hashes(store, 0, n, hashes, err)
                                           : eg__fail_memory(err, "the photos' hashes");
    size_t count = 0;
    for (size_t i = 0; i < n && !status; i++)
        if (row_status[i] == EG_ROW_DONE) seen[count++] = (struct eg_hashed){hashes[i], i};
    if (!status) qsort(seen, count, sizeof *seen, eg__compare_hashed);
    for (size_t i = 0, end; i < count && !status; i = end) {
        uint8_t *first = sets + seen[i].row * k;
        for (end = i + 1; end < count && !memcmp(seen[end].hash, seen[i].hash, 32); end++)
            for (size_t c = 0; c < k; c++) first[c] |= sets[seen[end].row * k + c];
        for (size_t j = i + 1; j < end; j++) memcpy(sets + seen[j].row * k, first, k);
    }
    free(hashes);
    free(seen);
    return status;
}

static enum eg_status make_sets(struct eg_store *store, const struct eg_dataset *images, const size_t *row_of,
                                const char *separator, uint8_t **out, struct eg_error *err)
{
    const struct eg_store_spec *spec = eg__store_spec(store);
    struct eg_extract_labels labels;
    const size_t k = spec->n_classes;
    enum eg_status status = eg__extract_split(images, separator, &labels, err);
    if (status) return status;
    uint8_t *sets = eg__zalloc(spec->n_rows + 1, k + 1);
    size_t *place = eg__alloc(labels.n_classes + 1, sizeof *place);
    if (!sets || !place) status = eg__fail_memory(err, "sets of labels");
    for (size_t c = 0; c < labels.n_classes && !status; c++)
        for (place[c] = 0; place[c] < k && !eg__same_name(spec->classes[place[c]], labels.classes[c]);)
            place[c]++;
    for (size_t i = 0; i < images->n_items && !status; i++) {
        const int32_t class = images->items[i].label;
        for (size_t c = 0; class >= 0 && row_of[i] < SIZE_MAX && c < labels.n_classes; c++)
            if (labels.member[(size_t) class * labels.n_classes + c] && place[c] < k)
                sets[row_of[i] * k + place[c]] = 1;
    }
    if (!status) status = join_copies(store, sets, err);
    free(place);
    eg__extract_labels_free(&labels);
    if (status)
        free(sets);
    else
        *out = sets;
    return status;
}

enum eg_status eg__extract_put_targets(const char *path, const struct eg_dataset *images,
                                       const struct eg_extract_options *o, struct eg_error *err)
{
    struct eg_store *store = NULL;
    uint8_t *sets = NULL;
    double *numbers = NULL;
    size_t *row_of = eg__alloc(images->n_items + 1, sizeof *row_of);
    if (!row_of) return eg__fail_memory(err, "the list of photos");
    enum eg_status status = eg__store_open(path, &store, err);
    const struct eg_store_spec *spec = status ? NULL : eg__store_spec(store);
    const size_t n = spec ? spec->n_rows : 0, k = spec ? spec->n_classes : 0;
    if (!status) status = find_rows(spec, images, row_of, err);
    if (!status && o->multi_label) status = make_sets(store, images, row_of, o->labels_sep, &sets, err);
    if (!status && o->number && !(numbers = eg__alloc(n + 1, sizeof *numbers)))
        status = eg__fail_memory(err, "numbers");
    for (size_t i = 0; i < n && numbers; i++) numbers[i] = (double)NAN;
    for (size_t i = 0; i < images->n_items && numbers; i++)
        if (row_of[i] < SIZE_MAX) numbers[row_of[i]] = images->items[i].number;
    enum eg_status closed = eg__store_close(store, NULL);
    if (!status && closed) status = eg__fail(err, EG_E_IO, "cannot close '%s'", path);
    if (!status && sets && k) status = eg__store_put_label_sets(path, sets, n, k, err);
    if (!status && numbers) status = eg__store_put_numbers(path, numbers, n, o->number, err);
    free(sets);
    free(numbers);
    free(row_of);
    return status;
}
