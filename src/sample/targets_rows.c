/* Labels and numbers of a feature file's rows, and their split. */
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "sample/targets.h"

enum { HASH = 32 };

struct done_rows {
    size_t n, *rows;
    int32_t *labels;
    uint8_t (*hashes)[HASH], *sets;
    double *numbers;
    char *column;
};

static void done_rows_free(struct done_rows *d)
{
    free(d->rows);
    free(d->labels);
    free(d->hashes);
    free(d->sets);
    free(d->numbers);
    free(d->column);
}

static enum eg_status find_done(struct eg_store *store, struct done_rows *d, struct eg_error *err)
{
    const struct eg_store_spec *spec = eg__store_spec(store);
    const uint8_t *row_status = eg__store_status(store);
    size_t waiting = 0;
    d->rows = eg__alloc(spec->n_rows + 1, sizeof *d->rows);
    d->labels = eg__alloc(spec->n_rows + 1, sizeof *d->labels);
    d->hashes = eg__alloc(spec->n_rows + 1, sizeof *d->hashes);
    if (!d->rows || !d->labels || !d->hashes) return eg__fail_memory(err, "rows");
    for (size_t i = 0; i < spec->n_rows; i++) {
        waiting += row_status[i] == EG_ROW_WAITING;
        if (row_status[i] != EG_ROW_DONE) continue;
        d->labels[d->n] = spec->labels[i];
        d->rows[d->n++] = i;
    }
    if (waiting)
        return eg__fail(err, EG_E_ARGUMENT,
                        "%zu of %zu rows are not computed yet: finish the extraction first", waiting,
                        spec->n_rows);
    return d->n ? EG_OK : eg__fail(err, EG_E_ARGUMENT, "there are no rows to learn from");
}

static enum eg_status labels_of(struct eg_store *store, struct done_rows *d, const char *separator,
                                const struct eg_class_choice *choice, struct eg_targets *targets,
                                struct eg_error *err)
{
    const struct eg_store_spec *spec = eg__store_spec(store);
    enum eg_status status = eg__store_label_sets(store, &d->sets, err);
    for (size_t i = 0; d->sets && i < d->n; i++)
        memmove(d->sets + i * spec->n_classes, d->sets + d->rows[i] * spec->n_classes, spec->n_classes);
    const struct eg_targets_source source = {.rows = d->rows,
                                             .n = d->n,
                                             .labels = d->labels,
                                             .classes = spec->classes,
                                             .n_classes = spec->n_classes,
                                             .sets = d->sets,
                                             .hashes = spec->network ? (eg_hashes)d->hashes : NULL,
                                             .separator = separator};
    return status ? status : eg__targets_labels(&source, choice, targets, err);
}

static enum eg_status numbers_of(struct eg_store *store, struct done_rows *d, const char *number,
                                 struct eg_targets *targets, struct eg_error *err)
{
    enum eg_status status = eg__store_numbers(store, &d->numbers, &d->column, err);
    if (status) return status;
    if (d->column && strcmp(d->column, number) != 0)
        return eg__fail(err, EG_E_NOT_FOUND, "'%s' is not what was extracted: the numbers there are of '%s'",
                        number, d->column);
    for (size_t i = 0; i < d->n; i++) d->numbers[i] = d->numbers[d->rows[i]];
    const struct eg_targets_source source = {.rows = d->rows, .n = d->n, .numbers = d->numbers};
    return eg__targets_numbers(&source, targets, err);
}

enum eg_status eg__targets_of_store(struct eg_store *store, size_t cut, const char *separator,
                                    const struct eg_class_choice *choice, const char *number,
                                    struct eg_targets *targets, struct eg_error *err)
{
    struct done_rows d = {0};
    enum eg_status status = find_done(store, &d, err);
    if (!status) status = eg__row_hashes(store, cut, d.rows, d.n, d.hashes, err);
    if (!status)
        status = number ? numbers_of(store, &d, number, targets, err)
                        : labels_of(store, &d, separator, choice, targets, err);
    done_rows_free(&d);
    return status;
}

enum eg_status eg__targets_sample(const struct eg_targets *t, struct eg_store *store, size_t cut,
                                  const struct eg_sample_options *options, struct eg_sample *sample,
                                  size_t **place, struct eg_error *err)
{
    const struct eg_store_spec *spec = eg__store_spec(store);
    struct eg_sample_options how = *options;
    how.strata = true;
    uint8_t(*hashes)[HASH] = eg__alloc(t->n, sizeof *hashes);
    size_t *of_row = eg__alloc(spec->n_rows + 1, sizeof *of_row),
           *places = eg__alloc(t->n + 1, sizeof *places);
    enum eg_status status = hashes && of_row && places
                                ? eg__row_hashes(store, cut, t->rows, t->n, hashes, err)
                                : eg__fail_memory(err, "rows");
    const struct eg_labelled labelled = {.n = t->n,
                                         .rows = t->rows,
                                         .labels = t->strata,
                                         .hashes = (eg_hashes)hashes,
                                         .paths = spec->paths,
                                         .classes = (const char *const *)t->stratum_names,
                                         .n_classes = t->n_strata,
                                         .no_photos = !spec->network};
    if (!status) status = eg__sample_make(&labelled, &how, sample, err);
    for (size_t i = 0; i < t->n && !status; i++) of_row[t->rows[i]] = i;
    for (size_t i = 0; i < t->n && !status; i++) places[i] = of_row[sample->rows[i]];
    free(hashes);
    free(of_row);
    if (status)
        free(places);
    else
        *place = places;
    return status;
}
