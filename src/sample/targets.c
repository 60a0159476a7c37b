/* Which rows have labels or numbers to learn, and the strata that they are split by. */
#include "sample/targets.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "base/text.h"

enum { HASH = 32, OWN_STRATUM = 8, TENTHS = 10 };

void eg__targets_free(struct eg_targets *t)
{
    free(t->rows);
    eg__class_names_free(t->labels, t->n_labels);
    free(t->sets);
    free(t->values);
    free(t->strata);
    eg__class_names_free(t->stratum_names, t->n_strata);
    *t = (struct eg_targets){0};
}

/* ---- labels ----------------------------------------------------------------------------------- */

/* Every row's labels by choice: chosen [n][*n_chosen]. */
static enum eg_status choose_labels(const struct eg_targets_source *from, const uint8_t *member,
                                    const char *const *parts, size_t n_parts,
                                    const struct eg_class_choice *choice, struct eg_targets *t,
                                    struct eg_error *err)
{
    int32_t *map = eg__alloc(n_parts + 1, sizeof *map);
    const char **names = NULL;
    size_t n_names = 0;
    enum eg_status status = map ? EG_OK : eg__fail_memory(err, "labels");
    for (size_t k = 0; k < n_parts && map; k++) map[k] = (int32_t)k;
    if (!status) status = eg__class_choice_check(choice, parts, n_parts, err);
    if (!status) status = eg__class_choose(choice, parts, n_parts, map, n_parts, &names, &n_names, err);
    t->labels = eg__zalloc(n_names + 1, sizeof *t->labels);
    t->sets = eg__zalloc(from->n + 1, n_names + 1);
    if (!status && (!t->labels || !t->sets)) status = eg__fail_memory(err, "labels");
    for (size_t k = 0; k < n_names && !status; k++, t->n_labels++)
        if (!(t->labels[k] = strdup(names[k]))) status = eg__fail_memory(err, "labels");
    for (size_t i = 0; i < from->n && !status; i++)
        for (size_t k = 0; k < n_parts; k++) {
            const bool has = from->sets
                                 ? from->sets[i * n_parts + k]
                                 : from->labels[i] >= 0 && member[(size_t)from->labels[i] * n_parts + k];
            const bool alone = from->sets && from->labels[i] == (int32_t)k;
            if ((has || alone) && map[k] >= 0) t->sets[i * n_names + (size_t)map[k]] = 1;
        }
    free(map);
    free(names);
    return status;
}

/* first[i]: the first row with the same contents, which gets the labels of them all. */
static enum eg_status join_copies(const struct eg_targets_source *from, struct eg_targets *t, size_t *first,
                                  struct eg_error *err)
{
    const size_t n = from->n;
    for (size_t i = 0; i < n; i++) first[i] = i;
    if (!from->hashes) return EG_OK;
    struct eg_hashed *seen = eg__alloc(n + 1, sizeof *seen);
    if (!seen) return eg__fail_memory(err, "photos");
    for (size_t i = 0; i < n; i++) seen[i] = (struct eg_hashed){from->hashes[i], i};
    qsort(seen, n, sizeof *seen, eg__compare_hashed);
    for (size_t i = 1; i < n; i++) {
        if (memcmp(seen[i].hash, seen[i - 1].hash, HASH) != 0) continue;
        const size_t own = seen[i].row, one = first[own] = first[seen[i - 1].row];
        for (size_t k = 0; k < t->n_labels; k++)
            t->sets[one * t->n_labels + k] |= t->sets[own * t->n_labels + k];
    }
    free(seen);
    return EG_OK;
}

static bool is_labelled(const struct eg_targets_source *from, size_t i)
{
    bool any = from->labels[i] >= 0;
    for (size_t k = 0; from->sets && k < from->n_classes && !any; k++)
        any = from->sets[i * from->n_classes + k] != 0;
    return any;
}

static enum eg_status keep_rows(const struct eg_targets_source *from, struct eg_targets *t,
                                struct eg_error *err)
{
    size_t *first = eg__alloc(from->n + 1, sizeof *first);
    bool *labelled = eg__zalloc(from->n + 1, sizeof *labelled);
    t->rows = eg__alloc(from->n + 1, sizeof *t->rows);
    enum eg_status status =
        first && labelled && t->rows ? join_copies(from, t, first, err) : eg__fail_memory(err, "rows");
    for (size_t i = 0; i < from->n && !status; i++)
        if (is_labelled(from, i)) labelled[first[i]] = true;
    for (size_t i = 0; i < from->n && !status; i++) {
        if (first[i] != i) {
            t->n_copies++;
        } else if (!labelled[i]) {
            t->n_unlabelled++;
        } else {
            memmove(t->sets + t->n * t->n_labels, t->sets + i * t->n_labels, t->n_labels);
            t->rows[t->n++] = from->rows[i];
        }
    }
    free(first);
    free(labelled);
    return status;
}

/* ---- strata ------------------------------------------------------------------------------------- */

static int compare_sets(const void *a, const void *b, void *context)
{
    const struct eg_targets *t = context;
    size_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    int order = memcmp(t->sets + x * t->n_labels, t->sets + y * t->n_labels, t->n_labels);
    return order ? order : x < y ? -1 : x > y;
}

static enum eg_status add_stratum(struct eg_targets *t, char *name, int32_t *stratum, struct eg_error *err)
{
    if (!name) return eg__fail_memory(err, "the strata");
    *stratum = (int32_t)t->n_strata;
    t->stratum_names[t->n_strata++] = name;
    return EG_OK;
}

/* "cat;indoors" */
static char *set_name(const struct eg_targets *t, const uint8_t *set)
{
    struct eg_text text = {0};
    eg__text_append(&text, "=");
    for (size_t k = 0; k < t->n_labels; k++)
        if (set[k]) eg__text_append(&text, "%s;", t->labels[k]);
    if (!text.failed) return text.chars;
    free(text.chars);
    return NULL;
}

static enum eg_status label_strata(struct eg_targets *t, struct eg_error *err)
{
    const size_t n = t->n, k_count = t->n_labels;
    size_t *order = eg__alloc(n + 1, sizeof *order), *count = eg__zalloc(k_count + 1, sizeof *count);
    int32_t *rare = eg__alloc(k_count + 1, sizeof *rare);
    t->strata = eg__alloc(n + 1, sizeof *t->strata);
    t->stratum_names = eg__zalloc(n + 1, sizeof *t->stratum_names);
    enum eg_status status =
        order && count && rare && t->strata && t->stratum_names ? EG_OK : eg__fail_memory(err, "the strata");
    for (size_t k = 0; k <= k_count && !status; k++) rare[k] = -1;
    for (size_t i = 0; i < n && !status; i++) {
        order[i] = i;
        for (size_t k = 0; k < k_count; k++) count[k] += t->sets[i * k_count + k];
    }
    if (!status) qsort_r(order, n, sizeof *order, compare_sets, t);
    for (size_t at = 0, end; at < n && !status; at = end) {
        const uint8_t *set = t->sets + order[at] * k_count;
        size_t rarest = k_count; /* no label at all */
        for (end = at; end < n && !memcmp(t->sets + order[end] * k_count, set, k_count);) end++;
        for (size_t k = 0; k < k_count; k++)
            if (set[k] && (rarest == k_count || count[k] < count[rarest])) rarest = k;
        int32_t own = -1, *stratum = end - at >= OWN_STRATUM ? &own : &rare[rarest];
        if (*stratum < 0)
            status = add_stratum(
                t, stratum == &own ? set_name(t, set) : strdup(rarest < k_count ? t->labels[rarest] : ""),
                stratum, err);
        for (size_t i = at; i < end && !status; i++) t->strata[order[i]] = *stratum;
    }
    free(order);
    free(count);
    free(rare);
    return status;
}

enum eg_status eg__targets_labels(const struct eg_targets_source *from, const struct eg_class_choice *choice,
                                  struct eg_targets *targets, struct eg_error *err)
{
    struct eg_targets made = {0};
    char **parts = NULL;
    size_t n_parts = from->n_classes;
    uint8_t *member = NULL;
    enum eg_status status = EG_OK;
    if (!from->sets)
        status =
            eg__names_split(from->classes, from->n_classes, from->separator, &parts, &n_parts, &member, err);
    const char *const *names = from->sets ? from->classes : (const char *const *)parts;
    if (!status) status = choose_labels(from, member, names, n_parts, choice, &made, err);
    if (!status) status = keep_rows(from, &made, err);
    if (!status && !made.n)
        status =
            eg__fail(err, EG_E_ARGUMENT, "no row has a label: photos are labelled by the folder they are in");
    if (!status && !made.n_labels) status = eg__fail(err, EG_E_ARGUMENT, "no label is left");
    if (!status) status = label_strata(&made, err);
    eg__class_names_free(parts, from->sets ? 0 : n_parts);
    free(member);
    if (status)
        eg__targets_free(&made);
    else
        *targets = made;
    return status;
}

/* ---- numbers ------------------------------------------------------------------------------------- */

static int compare_numbers(const void *a, const void *b)
{
    double x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x > y) - (x < y);
}

/* Tenths of the numbers in their order; equal ones in the first of theirs. */
static enum eg_status number_strata(struct eg_targets *t, struct eg_error *err)
{
    const size_t n = t->n, tenths = n / TENTHS < TENTHS ? n / TENTHS + 1 : TENTHS;
    double *sorted = eg__alloc(n + 1, sizeof *sorted);
    int32_t *number = eg__alloc(TENTHS + 1, sizeof *number);
    t->strata = eg__alloc(n + 1, sizeof *t->strata);
    t->stratum_names = eg__zalloc(TENTHS + 1, sizeof *t->stratum_names);
    enum eg_status status =
        sorted && number && t->strata && t->stratum_names ? EG_OK : eg__fail_memory(err, "the strata");
    if (!status) {
        memcpy(sorted, t->values, n * sizeof *sorted);
        qsort(sorted, n, sizeof *sorted, compare_numbers);
    }
    for (size_t b = 0; b <= TENTHS && !status; b++) number[b] = -1;
    for (size_t i = 0; i < n && !status; i++) {
        size_t low = 0, high = n;
        while (low < high) {
            size_t middle = low + (high - low) / 2;
            if (sorted[middle] < t->values[i])
                low = middle + 1;
            else
                high = middle;
        }
        const size_t tenth = low * tenths / n;
        char name[24];
        snprintf(name, sizeof name, "%zu", tenth);
        if (number[tenth] < 0) status = add_stratum(t, strdup(name), &number[tenth], err);
        t->strata[i] = number[tenth];
    }
    free(sorted);
    free(number);
    return status;
}

enum eg_status eg__targets_numbers(const struct eg_targets_source *from, struct eg_targets *targets,
                                   struct eg_error *err)
{
    struct eg_targets made = {0};
    made.rows = eg__alloc(from->n + 1, sizeof *made.rows);
    made.values = eg__alloc(from->n + 1, sizeof *made.values);
    enum eg_status status = made.rows && made.values ? EG_OK : eg__fail_memory(err, "numbers");
    for (size_t i = 0; i < from->n && !status; i++) {
        if (isnan(from->numbers[i])) {
            made.n_unlabelled++;
            continue;
        }
        made.rows[made.n] = from->rows[i];
        made.values[made.n++] = from->numbers[i];
    }
    if (!status && made.n < 2)
        status = eg__fail(err, EG_E_ARGUMENT, "%zu rows have a number: too few", made.n);
    if (!status) status = number_strata(&made, err);
    if (status)
        eg__targets_free(&made);
    else
        *targets = made;
    return status;
}
