/* Is a feature file what it claims? Opening has compared the sizes of its datasets and the ranges
 * of labels and states; here every row is read. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "features/store_private.h"

enum { BLOCK_BYTES = 4 << 20 };

struct check {
    struct eg_store *store;
    eg_problem_fn *problem;
    void *context;
    eg_progress_fn *progress;
    void *user;
    size_t n_done, n_total; /* rows read, of all datasets */
};

__attribute__((format(printf, 3, 4))) static enum eg_status tell(struct check *check, size_t row,
                                                                 const char *format, ...)
{
    char words[400];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(words, sizeof words, format, arguments);
    va_end(arguments);
    return check->problem(check->context, row, words);
}

static enum eg_status step(struct check *check, size_t rows, struct eg_error *err)
{
    check->n_done += rows;
    if (!check->progress || check->progress(check->user, check->n_done, check->n_total)) return EG_OK;
    return eg__fail(err, EG_E_CANCELLED, "stopped");
}

static enum eg_status check_values(struct check *check, size_t cut, size_t row, const float *values)
{
    const struct eg_store *store = check->store;
    size_t n = store->cuts[cut].length, finite = 0, nan = 0;
    for (size_t i = 0; i < n; i++) {
        finite += isfinite(values[i]) != 0;
        nan += isnan(values[i]) != 0;
    }
    if (store->status[row] == EG_ROW_DONE && finite < n)
        return tell(check, row, "is done, and %zu of its %zu values of '%s' are no numbers", n - finite, n,
                    store->cuts[cut].name);
    if (store->status[row] == EG_ROW_UNREADABLE && nan < n)
        return tell(check, row, "could not be read, and has values of '%s'", store->cuts[cut].name);
    return EG_OK;
}

static enum eg_status check_cut(struct check *check, size_t cut, struct eg_error *err)
{
    struct eg_store *store = check->store;
    const struct eg_cut_info *info = &store->cuts[cut];
    size_t n = store->spec.n_rows, rows = BLOCK_BYTES / sizeof(float) / info->length;
    if (!rows) rows = 1;
    if (rows > n) rows = n;
    float *block = eg__alloc(rows, info->length * sizeof *block);
    if (!block) return eg__fail_memory(err, "a block of rows");
    enum eg_status status = EG_OK;
    if (!store->foreign && info->shape[0] * info->shape[1] * info->shape[2] != info->length)
        status = tell(check, SIZE_MAX, "cut '%s' has rows of %zu values, and says %zu x %zu x %zu",
                      info->name, info->length, info->shape[0], info->shape[1], info->shape[2]);
    for (size_t first = 0, count; !status && first < n; first += count) {
        struct eg_error why;
        count = n - first < rows ? n - first : rows;
        if (eg__store_read(store, cut, first, count, block, &why)) {
            status = tell(check, first, "%s", why.message);
        } else {
            for (size_t i = 0; !status && i < count; i++)
                status = check_values(check, cut, first + i, block + i * info->length);
        }
        if (!status) status = step(check, count, err);
    }
    free(block);
    return status;
}

static enum eg_status check_hashes(struct check *check, struct eg_error *err)
{
    enum { ROWS = 1 << 16 };
    static const uint8_t nothing[HASH_BYTES];
    struct eg_store *store = check->store;
    uint8_t(*hashes)[HASH_BYTES] = eg__alloc(ROWS, sizeof *hashes);
    if (!hashes) return eg__fail_memory(err, "hashes");
    enum eg_status status = EG_OK;
    for (size_t first = 0, count; !status && first < store->spec.n_rows; first += count) {
        struct eg_error why;
        count = store->spec.n_rows - first < ROWS ? store->spec.n_rows - first : ROWS;
        if (eg__store_hashes(store, first, count, hashes, &why)) {
            status = tell(check, first, "%s", why.message);
            continue;
        }
        for (size_t i = 0; !status && i < count; i++)
            if (store->status[first + i] == EG_ROW_DONE && !memcmp(hashes[i], nothing, sizeof nothing))
                status = tell(check, first + i, "is done, and has no hash of its photo");
    }
    free(hashes);
    return status;
}

static enum eg_status check_rows(struct check *check)
{
    const struct eg_store *store = check->store;
    enum eg_status status = EG_OK;
    for (size_t row = 0; !status && row < store->spec.n_rows; row++) {
        size_t reason = store->reasons[row];
        bool spare = store->status[row] == EG_ROW_WAITING; /* of a stream that was cut off */
        if (!store->paths[row][0] && !spare) status = tell(check, row, "has no path");
        if (!status && store->status[row] == EG_ROW_UNREADABLE &&
            (reason >= store->n_reason_names || !store->reason_names[reason][0]))
            status = tell(check, row, "could not be read, and has no reason");
    }
    return status;
}

static int by_name(const void *a, const void *b)
{
    const char *x, *y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return strcmp(x, y);
}

static enum eg_status check_classes(struct check *check, struct eg_error *err)
{
    const struct eg_store_spec *spec = &check->store->spec;
    const char **sorted = eg__alloc(spec->n_classes, sizeof *sorted);
    if (!sorted) return eg__fail_memory(err, "the classes");
    enum eg_status status = EG_OK;
    for (size_t i = 0; i < spec->n_classes; i++) sorted[i] = spec->classes[i];
    qsort(sorted, spec->n_classes, sizeof *sorted, by_name);
    for (size_t i = 0; !status && i < spec->n_classes; i++) {
        if (!sorted[i][0]) status = tell(check, SIZE_MAX, "a class has no name");
        if (!status && i && !strcmp(sorted[i - 1], sorted[i]))
            status = tell(check, SIZE_MAX, "two classes are named '%s'", sorted[i]);
    }
    free(sorted);
    return status;
}

static enum eg_status check_links(struct check *check)
{
    struct eg_store *store = check->store;
    char first[512];
    snprintf(first, sizeof first, "/cuts/%s", store->cuts[0].name);
    if (!eg__h5_same_object(store->h5, "/features", first))
        return tell(check, SIZE_MAX, "/features is not the first cut, '%s'", first);
    for (size_t i = 0; i < N_SPEC_TEXTS; i++) {
        const char *text;
        memcpy(&text, (const char *)&store->spec + eg__spec_texts[i].offset, sizeof text);
        if (text || !eg__spec_texts[i].must_equal) continue;
        enum eg_status status = tell(check, SIZE_MAX, "%s has no attribute '%s'", eg__spec_texts[i].object,
                                     eg__spec_texts[i].attribute);
        if (status) return status;
    }
    return EG_OK;
}

enum eg_status eg__store_check(struct eg_store *store, eg_problem_fn *problem, void *context,
                               eg_progress_fn *progress, void *user, struct eg_error *err)
{
    struct check check = {
        store, problem, context, progress, user, 0, store->spec.n_rows * store->spec.n_cuts};
    enum eg_status status = check_classes(&check, err);
    if (!status && !store->foreign) status = check_links(&check);
    if (!status && !store->foreign) status = check_rows(&check);
    if (!status && !store->foreign) status = check_hashes(&check, err);
    for (size_t cut = 0; !status && cut < store->spec.n_cuts; cut++) status = check_cut(&check, cut, err);
    return status;
}
