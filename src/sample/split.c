/* Which rows are for training and which for testing: ranked by chance that comes from the photos
 * themselves, so that neither order nor company changes a photo's side. */
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/mem.h"
#include "sample/sample.h"

enum { HASH = 32 };

/* The rows of one identity, which are never divided. */
struct unit {
    uint8_t chance[HASH]; /* SHA-256(seed, purpose, identity): its rank */
    size_t first, size;   /* its rows are members[first..] */
    size_t class;         /* of most of its rows; n_classes: of several alike */
};

struct member {
    const uint8_t *identity;
    int32_t label;
    size_t row;
};

struct ranking {
    struct member *members; /* [n] by identity, label, row */
    struct unit *units;     /* by class, chance */
    size_t n_units, n_classes;
};

static void ranking_free(struct ranking *r)
{
    free(r->members);
    free(r->units);
}

static int compare_members(const void *a, const void *b)
{
    const struct member *x = a, *y = b;
    int order = memcmp(x->identity, y->identity, HASH);
    if (order) return order;
    if (x->label != y->label) return x->label < y->label ? -1 : 1;
    return x->row < y->row ? -1 : x->row > y->row;
}

static int compare_units(const void *a, const void *b)
{
    const struct unit *x = a, *y = b;
    if (x->class != y->class) return x->class < y->class ? -1 : 1;
    return memcmp(x->chance, y->chance, HASH);
}

/* The class of most of its rows. */
static size_t main_class(const struct ranking *r, const struct unit *unit)
{
    const struct member *in = r->members + unit->first;
    size_t most = 0, class = r->n_classes;
    for (size_t i = 0, end; i < unit->size; i = end) {
        for (end = i; end < unit->size && in[end].label == in[i].label;) end++;
        if (end - i == most) class = r->n_classes;
        if (end - i > most) {
            most = end - i;
            class = (size_t)in[i].label;
        }
    }
    return class;
}

/* purpose: separates ranks that share a seed. */
static enum eg_status draw_chance(uint64_t seed, const char *purpose, const uint8_t *identity,
                                  uint8_t chance[HASH], struct eg_error *err)
{
    uint8_t text[8 + 16 + HASH];
    size_t n = 8, length = strlen(purpose);
    for (size_t i = 0; i < 8; i++) text[i] = (uint8_t)(seed >> 8 * i);
    memcpy(text + n, purpose, length);
    memcpy(text + n + length, identity, HASH);
    return eg__sha256(text, n + length + HASH, chance, err);
}

static enum eg_status rank(eg_hashes identity, const int32_t *labels, size_t n, size_t n_classes,
                           uint64_t seed, const char *purpose, struct ranking *out, struct eg_error *err)
{
    struct ranking r = {.n_classes = n_classes};
    r.members = eg__alloc(n, sizeof *r.members);
    r.units = eg__alloc(n, sizeof *r.units);
    enum eg_status status = r.members && r.units ? EG_OK : eg__fail_memory(err, "the split");
    for (size_t i = 0; i < n && !status; i++) {
        if (labels[i] < 0 || (size_t)labels[i] >= n_classes)
            status = eg__fail(err, EG_E_ARGUMENT, "row %zu has label %d, there are %zu classes", i, labels[i],
                              n_classes);
        r.members[i] = (struct member){identity[i], labels[i], i};
    }
    if (!status) qsort(r.members, n, sizeof *r.members, compare_members);
    for (size_t i = 0, end; i < n && !status; i = end) {
        for (end = i; end < n && !memcmp(r.members[end].identity, r.members[i].identity, HASH);) end++;
        struct unit *unit = &r.units[r.n_units++];
        *unit = (struct unit){.first = i, .size = end - i};
        unit->class = main_class(&r, unit);
        status = draw_chance(seed, purpose, r.members[i].identity, unit->chance, err);
    }
    if (status) {
        ranking_free(&r);
        return status;
    }
    qsort(r.units, r.n_units, sizeof *r.units, compare_units);
    *out = r;
    return EG_OK;
}

/* The end of the units of one class that begin at `from`, and how many rows they have. */
static size_t class_end(const struct ranking *r, size_t from, size_t *rows)
{
    size_t end = from;
    for (*rows = 0; end < r->n_units && r->units[end].class == r->units[from].class; end++)
        *rows += r->units[end].size;
    return end;
}

static void assign(const struct ranking *r, const struct unit *unit, uint8_t value, uint8_t *part)
{
    for (size_t i = 0; i < unit->size; i++) part[r->members[unit->first + i].row] = value;
}

static bool has_class(const struct ranking *r, const struct unit *unit, size_t class)
{
    for (size_t i = 0; i < unit->size; i++)
        if ((size_t)r->members[unit->first + i].label == class) return true;
    return false;
}

/* A class all of whose rows came to the test beside those of others gets its last one back. */
static enum eg_status leave_none_out(const struct ranking *r, const int32_t *labels, size_t n, uint8_t *part,
                                     struct eg_error *err)
{
    bool *learned = eg__zalloc(r->n_classes + 1, sizeof *learned), *there = eg__zalloc(r->n_classes + 1, 1);
    if (!learned || !there) {
        free(learned);
        free(there);
        return eg__fail_memory(err, "the split");
    }
    for (size_t i = 0; i < n; i++) {
        there[labels[i]] = true;
        if (!part[i]) learned[labels[i]] = true;
    }
    for (size_t k = 0; k < r->n_classes; k++)
        for (size_t u = r->n_units; u-- > 0 && there[k] && !learned[k];)
            if (has_class(r, &r->units[u], k)) {
                assign(r, &r->units[u], 0, part);
                learned[k] = true;
            }
    free(learned);
    free(there);
    return EG_OK;
}

/* The first of a class by rank, until their rows come to `share` of the class's: of single photos
 * round(share n). */
enum eg_status eg__split(eg_hashes identity, const int32_t *labels, size_t n, size_t n_classes, double share,
                         uint64_t seed, uint8_t *part, struct eg_error *err)
{
    if (!(share > 0 && share < 1))
        return eg__fail(err, EG_E_ARGUMENT, "the test fraction is %g, it must lie between 0 and 1", share);
    if (n < 2) return eg__fail(err, EG_E_ARGUMENT, "%zu rows cannot be split", n);
    struct ranking r;
    enum eg_status status = rank(identity, labels, n, n_classes, seed, "", &r, err);
    if (status) return status;
    for (size_t u = 0, end, rows; u < r.n_units; u = end) {
        end = class_end(&r, u, &rows);
        double before = 0;
        for (size_t i = u; i < end; before += (double)r.units[i++].size) {
            double middle = before + 0.5 * (double)r.units[i].size;
            assign(&r, &r.units[i], i + 1 < end && middle <= share * (double)rows + 1e-9, part);
        }
    }
    status = leave_none_out(&r, labels, n, part, err);
    ranking_free(&r);
    return status;
}

/* A class's count need not be a multiple of k, and all classes would favour the same folds: each
 * begins at one of its own, told by its name. */
static enum eg_status first_fold(const char *name, unsigned k, size_t *first, struct eg_error *err)
{
    uint8_t digest[HASH];
    enum eg_status status = eg__sha256(name, strlen(name), digest, err);
    *first = status ? 0 : (digest[0] | (size_t)digest[1] << 8) % k;
    return status;
}

/* Every class has rows outside every fold. */
static enum eg_status check_folds(const int32_t *labels, size_t n, const char *const *classes,
                                  size_t n_classes, unsigned k, const uint8_t *fold, struct eg_error *err)
{
    size_t *count = eg__zalloc(n_classes + 1, sizeof *count);
    int *only = eg__alloc(n_classes + 1, sizeof *only);
    enum eg_status status = count && only ? EG_OK : eg__fail_memory(err, "the folds");
    for (size_t i = 0; i < n && !status; i++) {
        int32_t c = labels[i];
        only[c] = !count[c]++ || only[c] == fold[i] ? fold[i] : -1;
    }
    for (size_t c = 0; c < n_classes && !status; c++) {
        if (count[c] && count[c] < k)
            status = eg__fail_for(err, EG_E_ARGUMENT, EG_REASON_FEW_ROWS,
                                  "class '%s' has %zu training photos, fewer than the %u folds", classes[c],
                                  count[c], k);
        else if (count[c] && only[c] >= 0)
            status =
                eg__fail_for(err, EG_E_ARGUMENT, EG_REASON_ONE_GROUP,
                             "all training photos of class '%s' are of one group or the same photo, so no "
                             "fold can both learn and test it",
                             classes[c]);
    }
    free(count);
    free(only);
    return status;
}

enum eg_status eg__fold_strata(eg_hashes identity, const int32_t *labels, size_t n,
                               const char *const *classes, size_t n_classes, unsigned k, uint64_t seed,
                               uint8_t *fold, struct eg_error *err)
{
    if (k < 2 || k > 255) return eg__fail(err, EG_E_ARGUMENT, "%u folds asked for, it must be 2 to 255", k);
    struct ranking r;
    enum eg_status status = rank(identity, labels, n, n_classes, seed, "folds", &r, err);
    if (status) return status;
    for (size_t u = 0, end, rows; u < r.n_units && !status; u = end) {
        size_t class = r.units[u].class, first = 0, before = 0;
        end = class_end(&r, u, &rows);
        if (class < n_classes) status = first_fold(classes[class], k, &first, err);
        for (size_t i = u; i < end; before += r.units[i++].size) {
            double middle = ((double)before + 0.5 * (double)r.units[i].size) / (double)rows;
            assign(&r, &r.units[i], (uint8_t)(((size_t)(middle * k) + first) % k), fold);
        }
    }
    ranking_free(&r);
    return status;
}

enum eg_status eg__folds(eg_hashes identity, const int32_t *labels, size_t n, const char *const *classes,
                         size_t n_classes, unsigned k, uint64_t seed, uint8_t *fold, struct eg_error *err)
{
    enum eg_status status = eg__fold_strata(identity, labels, n, classes, n_classes, k, seed, fold, err);
    return status ? status : check_folds(labels, n, classes, n_classes, k, fold, err);
}
