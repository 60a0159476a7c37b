/* Labelled rows: which count, split, said again by what is there twice. */
#include "sample/sample.h"

#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/mem.h"

enum { HASH = 32, TWICE_MOST = 100 };

void eg__class_names_free(char **names, size_t n)
{
    for (size_t i = 0; names && i < n; i++) free(names[i]);
    free(names);
}

void eg__twice_free(struct eg_twice *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(list[i].path);
        free(list[i].other);
    }
    free(list);
}

void eg__sample_release(struct eg_sample *s)
{
    free(s->rows);
    free(s->labels);
    free(s->hashes);
    free(s->identity);
    eg__class_names_free(s->classes, s->n_classes);
    eg__class_names_free(s->empty, s->n_empty);
    eg__twice_free(s->twice, s->n_twice);
    *s = (struct eg_sample){0};
}

/* ---- hashes --------------------------------------------------------------------------- */

static enum eg_status hash_features(struct eg_store *store, size_t cut, const size_t *rows, size_t n,
                                    uint8_t (*hashes)[32], struct eg_error *err)
{
    enum { BLOCK = 64 };
    const size_t d = eg__store_spec(store)->cuts[cut].length;
    float *block = eg__alloc(BLOCK, d * sizeof *block);
    enum eg_status status = block ? EG_OK : eg__fail_memory(err, "rows");
    for (size_t first = 0, count; first < n && !status; first += count) {
        count = n - first < BLOCK ? n - first : BLOCK;
        status = eg__store_gather(store, cut, rows + first, count, block, err);
        for (size_t i = 0; i < count && !status; i++)
            status = eg__sha256(block + i * d, d * sizeof *block, hashes[first + i], err);
    }
    free(block);
    return status;
}

enum eg_status eg__row_hashes(struct eg_store *store, size_t cut, const size_t *rows, size_t n,
                              uint8_t (*hashes)[32], struct eg_error *err)
{
    enum eg_status status = EG_OK;
    for (size_t i = 0, count; i < n && !status; i += count) {
        for (count = 1; i + count < n && rows[i + count] == rows[i] + count;) count++;
        status = eg__store_hashes(store, rows[i], count, hashes + i, err);
    }
    return status == EG_E_NOT_FOUND ? hash_features(store, cut, rows, n, hashes, err) : status;
}

static int compare_hashes(const void *a, const void *b) { return memcmp(a, b, HASH); }

enum eg_status eg__rows_digest(eg_hashes hashes, const uint8_t *part, size_t n, bool by_order, char hex[65],
                               struct eg_error *err)
{
    uint8_t(*kept)[HASH] = eg__alloc(n, sizeof *kept), digest[HASH];
    if (!kept) return eg__fail_memory(err, "a digest");
    size_t n_kept = 0;
    for (size_t i = 0; i < n; i++)
        if (!part[i]) memcpy(kept[n_kept++], hashes[i], sizeof *kept);
    if (!by_order) qsort(kept, n_kept, sizeof *kept, compare_hashes);
    enum eg_status status = eg__sha256(kept, n_kept * sizeof *kept, digest, err);
    if (!status) eg__hex(digest, sizeof digest, hex);
    free(kept);
    return status;
}

/* ---- classes ----------------------------------------------------------------------------- */

/* Classes with rows get the labels 0.. in the order they have; the others are told. */
static enum eg_status keep_classes(struct eg_sample *s, const struct eg_labelled *from, size_t least,
                                   struct eg_error *err)
{
    int32_t *map = eg__alloc(from->n_classes + 1, sizeof *map);
    bool *used = eg__zalloc(from->n_classes + 1, sizeof *used);
    s->classes = eg__zalloc(from->n_classes + 1, sizeof *s->classes);
    s->empty = eg__zalloc(from->n_classes + 1, sizeof *s->empty);
    enum eg_status status =
        map && used && s->classes && s->empty ? EG_OK : eg__fail_memory(err, "class names");
    for (size_t i = 0; i < s->n && !status; i++) used[s->labels[i]] = true;
    for (size_t k = 0; k < from->n_classes && !status; k++) {
        map[k] = (int32_t)s->n_classes;
        char *name = strdup(from->classes[k]);
        if (!name)
            status = eg__fail_memory(err, "class names");
        else if (used[k])
            s->classes[s->n_classes++] = name;
        else
            s->empty[s->n_empty++] = name;
    }
    for (size_t i = 0; i < s->n && !status; i++) s->labels[i] = map[s->labels[i]];
    free(map);
    free(used);
    if (!status && s->n_classes < least)
        status = eg__fail(err, EG_E_ARGUMENT, "'%s' is the only class: a classifier needs two or more",
                          s->classes[0]);
    return status;
}

/* ---- the same photo under two labels ------------------------------------------------------ */

int eg__compare_hashed(const void *a, const void *b)
{
    const struct eg_hashed *x = a, *y = b;
    int order = memcmp(x->hash, y->hash, HASH);
    return order ? order : (x->row > y->row) - (x->row < y->row);
}

static enum eg_status add_twice(struct eg_sample *s, const char *one, const char *other, struct eg_error *err)
{
    if (s->n_twice == TWICE_MOST) return EG_OK;
    struct eg_twice *pair = &s->twice[s->n_twice++];
    pair->path = strdup(one);
    pair->other = strdup(other);
    return pair->path && pair->other ? EG_OK : eg__fail_memory(err, "photos in two classes");
}

static enum eg_status find_twice(struct eg_sample *s, const char *const *paths, struct eg_error *err)
{
    struct eg_hashed *seen = eg__alloc(s->n, sizeof *seen);
    s->twice = eg__zalloc(TWICE_MOST, sizeof *s->twice);
    enum eg_status status = seen && s->twice ? EG_OK : eg__fail_memory(err, "photos in two classes");
    for (size_t i = 0; i < s->n && !status; i++) seen[i] = (struct eg_hashed){s->hashes[i], i};
    if (!status) qsort(seen, s->n, sizeof *seen, eg__compare_hashed);
    for (size_t i = 1; i < s->n && !status; i++) {
        size_t a = seen[i - 1].row, b = seen[i].row;
        if (!memcmp(seen[i - 1].hash, seen[i].hash, HASH) && s->labels[a] != s->labels[b])
            status = add_twice(s, paths[s->rows[a]], paths[s->rows[b]], err);
    }
    free(seen);
    return status;
}

/* ---- the split ----------------------------------------------------------------------------- */

static enum eg_status find_groups(struct eg_sample *s, const char *const *all_paths, struct eg_error *err)
{
    if (!s->group) return EG_OK;
    const char **paths = eg__alloc(s->n, sizeof *paths);
    int32_t *groups = eg__alloc(s->n, sizeof *groups);
    enum eg_status status = paths && groups ? EG_OK : eg__fail_memory(err, "the groups");
    for (size_t i = 0; i < s->n && !status; i++) paths[i] = all_paths[s->rows[i]];
    if (!status) status = eg__groups(s->group, paths, s->n, groups, s->identity, err);
    free(paths);
    free(groups);
    return status;
}

/* Training rows first, all else in its order. */
static enum eg_status put_in_order(struct eg_sample *s, const uint8_t *part, struct eg_error *err)
{
    struct eg_sample by_part = {.rows = eg__alloc(s->n, sizeof *s->rows),
                                .labels = eg__alloc(s->n, sizeof *s->labels),
                                .hashes = eg__alloc(s->n, sizeof *s->hashes),
                                .identity = eg__alloc(s->n, sizeof *s->identity)};
    bool room = by_part.rows && by_part.labels && by_part.hashes && by_part.identity;
    for (uint8_t p = 0; p < 2 && room; p++) {
        for (size_t i = 0; i < s->n; i++) {
            if (part[i] != p) continue;
            by_part.rows[by_part.n] = s->rows[i];
            by_part.labels[by_part.n] = s->labels[i];
            memcpy(by_part.hashes[by_part.n], s->hashes[i], HASH);
            memcpy(by_part.identity[by_part.n++], s->identity[i], HASH);
        }
        if (!p) s->n_train = by_part.n;
    }
    if (room) {
        struct eg_sample old = *s;
        s->rows = by_part.rows;
        s->labels = by_part.labels;
        s->hashes = by_part.hashes;
        s->identity = by_part.identity;
        by_part = (struct eg_sample){
            .rows = old.rows, .labels = old.labels, .hashes = old.hashes, .identity = old.identity};
    }
    eg__sample_release(&by_part);
    return room ? EG_OK : eg__fail_memory(err, "the split");
}

static enum eg_status split(struct eg_sample *s, const char *const *paths, double fraction,
                            struct eg_error *err)
{
    uint8_t *part = eg__zalloc(s->n, 1);
    enum eg_status status = part ? find_groups(s, paths, err) : eg__fail_memory(err, "the split");
    s->test_fraction = fraction < 0 ? 0 : fraction > 0 ? fraction : 0.25;
    if (!status && s->test_fraction > 0)
        status = eg__split((eg_hashes)s->identity, s->labels, s->n, s->n_classes, s->test_fraction, s->seed,
                           part, err);
    if (!status) status = eg__rows_digest((eg_hashes)s->hashes, part, s->n, false, s->digest, err);
    if (!status) status = put_in_order(s, part, err);
    if (!status && s->group && s->test_fraction > 0 && s->n_train == s->n)
        status = eg__fail_for(err, EG_E_ARGUMENT, EG_REASON_ONE_GROUP,
                              "the groups leave nothing for the test: each class is one group");
    free(part);
    return status;
}

/* Equal rows of numbers are told apart by counting them. */
static enum eg_status tell_apart(uint8_t (*identity)[HASH], eg_hashes hashes, size_t n, struct eg_error *err)
{
    struct eg_hashed *places = eg__alloc(n, sizeof *places);
    enum eg_status status = places ? EG_OK : eg__fail_memory(err, "rows");
    for (size_t i = 0; i < n && places; i++) places[i] = (struct eg_hashed){hashes[i], i};
    if (places) qsort(places, n, sizeof *places, eg__compare_hashed);
    uint64_t before = 0;
    for (size_t i = 0; i < n && !status; i++) {
        before = i && !memcmp(places[i].hash, places[i - 1].hash, HASH) ? before + 1 : 0;
        uint8_t text[HASH + 8];
        memcpy(text, places[i].hash, HASH);
        for (size_t k = 0; k < 8; k++) text[HASH + k] = (uint8_t)(before >> 8 * k);
        if (before) status = eg__sha256(text, sizeof text, identity[places[i].row], err);
    }
    free(places);
    return status;
}

enum eg_status eg__sample_make(const struct eg_labelled *from, const struct eg_sample_options *options,
                               struct eg_sample *sample, struct eg_error *err)
{
    const size_t n = from->n;
    struct eg_sample s = {.n = n, .seed = options->seed, .group = options->group};
    if (!n)
        return eg__fail(err, EG_E_ARGUMENT,
                        "no row has a label: photos are labelled by the folder they are in");
    s.rows = eg__alloc(n, sizeof *s.rows);
    s.labels = eg__alloc(n, sizeof *s.labels);
    s.hashes = eg__alloc(n, sizeof *s.hashes);
    s.identity = eg__alloc(n, sizeof *s.identity);
    bool room = s.rows && s.labels && s.hashes && s.identity;
    enum eg_status status = room ? EG_OK : eg__fail_memory(err, "rows");
    if (room) {
        memcpy(s.rows, from->rows, n * sizeof *s.rows);
        memcpy(s.labels, from->labels, n * sizeof *s.labels);
        memcpy(s.hashes, from->hashes, n * sizeof *s.hashes);
        memcpy(s.identity, from->hashes, n * sizeof *s.identity);
    }
    if (!status && from->no_photos) status = tell_apart(s.identity, from->hashes, n, err);
    if (!status) status = keep_classes(&s, from, options->strata ? 1 : 2, err);
    if (!status && !options->strata) status = find_twice(&s, from->paths, err);
    if (!status) status = split(&s, from->paths, options->test_fraction, err);
    if (status)
        eg__sample_release(&s);
    else
        *sample = s;
    return status;
}

size_t eg__without_unlabelled(size_t *rows, int32_t *labels, size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (labels[i] >= 0) {
            rows[kept] = rows[i];
            labels[kept++] = labels[i];
        }
    return kept;
}

enum eg_status eg__sample_of_store(struct eg_store *store, size_t cut,
                                   const struct eg_sample_options *options, struct eg_sample *sample,
                                   struct eg_error *err)
{
    const struct eg_store_spec *spec = eg__store_spec(store);
    const uint8_t *row_status = eg__store_status(store);
    const size_t n_rows = spec->n_rows;
    size_t n = 0, waiting = 0, unlabelled = 0, n_classes = 0, *rows = eg__alloc(n_rows + 1, sizeof *rows);
    int32_t *labels = eg__alloc(n_rows + 1, sizeof *labels);
    uint8_t(*hashes)[HASH] = eg__alloc(n_rows + 1, sizeof *hashes);
    enum eg_status status = rows && labels && hashes ? EG_OK : eg__fail_memory(err, "rows");
    for (size_t i = 0; i < n_rows && !status; i++) {
        waiting += row_status[i] == EG_ROW_WAITING;
        if (row_status[i] != EG_ROW_DONE) continue;
        if (spec->labels[i] < 0) {
            unlabelled++;
            continue;
        }
        rows[n] = i;
        labels[n++] = spec->labels[i];
    }
    if (!status && waiting)
        status =
            eg__fail(err, EG_E_ARGUMENT, "%zu of %zu rows are not computed yet: finish the extraction first",
                     waiting, n_rows);
    if (!status && !n_rows) status = eg__fail(err, EG_E_ARGUMENT, "there are no rows to learn from");
    const char **classes = NULL;
    const size_t all = n;
    if (!status) status = eg__class_choice_check(&options->classes, spec->classes, spec->n_classes, err);
    if (!status)
        status = eg__class_choose(&options->classes, spec->classes, spec->n_classes, labels, n, &classes,
                                  &n_classes, err);
    if (!status) n = eg__without_unlabelled(rows, labels, n);
    if (!status && all && !n)
        status =
            eg__fail(err, EG_E_ARGUMENT, "no class is left: all %zu photos are of classes left out", all);
    if (!status) status = eg__row_hashes(store, cut, rows, n, hashes, err);
    struct eg_labelled labelled = {n,           rows,    labels,    (eg_hashes)hashes,
                                   spec->paths, classes, n_classes, !spec->network};
    if (!status) status = eg__sample_make(&labelled, options, sample, err);
    if (!status) {
        sample->n_unlabelled = unlabelled;
        sample->n_left_out = all - n;
    }
    free(classes);
    free(rows);
    free(labels);
    free(hashes);
    return status;
}

enum eg_status eg__sample_folds(const struct eg_sample *s, unsigned k, uint8_t *fold, struct eg_error *err)
{
    return eg__folds((eg_hashes)s->identity, s->labels, s->n_train, (const char *const *)s->classes,
                     s->n_classes, k, s->seed, fold, err);
}

unsigned eg__fold_count(unsigned asked, const int32_t *labels, size_t n, size_t n_classes)
{
    enum { USUAL = 5, LEAST = 2 };
    if (asked) return asked;
    size_t *count = eg__zalloc(n_classes + 1, sizeof *count), folds = USUAL;
    if (!count) return USUAL; /* whoever needs the folds next fails and says so */
    for (size_t i = 0; i < n; i++) count[labels[i]]++;
    for (size_t k = 0; k < n_classes; k++)
        if (count[k] && count[k] < folds) folds = count[k];
    free(count);
    return folds < LEAST ? LEAST : (unsigned)folds;
}

enum eg_status eg__sample_check(const int32_t *labels, size_t n, const char *const *classes, size_t n_classes,
                                double test_fraction, unsigned folds, struct eg_error *err)
{
    const double share = test_fraction < 0 ? 0 : test_fraction > 0 ? test_fraction : 0.25;
    size_t *count = eg__zalloc(n_classes + 1, sizeof *count), seen = 0, last = 0;
    enum eg_status status = count ? EG_OK : eg__fail_memory(err, "classes");
    for (size_t i = 0; i < n && !status; i++)
        if (labels[i] >= 0 && !count[labels[i]]++) {
            seen++;
            last = (size_t)labels[i];
        }
    if (!status && !seen)
        status = eg__fail(err, EG_E_ARGUMENT,
                          "no photo has a label: photos are labelled by the folder they are in");
    if (!status && seen < 2)
        status = eg__fail(err, EG_E_ARGUMENT, "'%s' is the only class: a classifier needs two or more",
                          classes[last]);
    for (size_t k = 0; k < n_classes && !status; k++) {
        size_t left = count[k] - (size_t)(share * (double)count[k] + 0.5);
        if (folds > 1 && count[k] && left < folds)
            status = eg__fail_for(
                err, EG_E_ARGUMENT, EG_REASON_FEW_ROWS,
                "class '%s' has %zu photos, which leaves %zu to learn from: fewer than the %u folds",
                classes[k], count[k], left, folds);
    }
    free(count);
    return status;
}
