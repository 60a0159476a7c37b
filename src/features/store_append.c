/* Going on with a file whose images have changed: which rows stay, move, go, come. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fail.h"
#include "base/mem.h"
#include "base/unicode.h"
#include "features/store_private.h"

enum { NONE = -1 };
static const size_t NOWHERE = SIZE_MAX;

struct change {
    struct eg_store *store;
    const struct eg_store_spec *spec; /* the listing as it is now */
    const uint8_t (*hashes)[HASH_BYTES];
    size_t n_old;
    uint8_t (*old_hashes)[HASH_BYTES];
    size_t *image_of; /* [n_old] the listing's image of a row, or NOWHERE */
    size_t *row_of;   /* [listing] the other way round */
    size_t n_new;
    int32_t *labels; /* [listing] in the file's numbering */
    const char **new_classes;
    size_t n_new_classes;
    struct eg_append counts;
};

void eg__append_release(struct eg_append *append)
{
    free(append->rows);
    free(append->images);
    free(append->row_of);
    *append = (struct eg_append){0};
}

static void change_release(struct change *change)
{
    free(change->old_hashes);
    free(change->image_of);
    free(change->row_of);
    free(change->labels);
    free(change->new_classes);
}

/* ---- matching ----------------------------------------------------------------------------- */

static int by_text(const void *a, const void *b, void *texts)
{
    size_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    const char *const *of = texts;
    return strcmp(of[x], of[y]);
}

static int by_hash(const void *a, const void *b, void *hashes)
{
    size_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    const uint8_t(*of)[HASH_BYTES] = hashes;
    int order = memcmp(of[x], of[y], HASH_BYTES);
    return order ? order : x < y ? -1 : x > y;
}

static enum eg_status match_paths(struct change *change, struct eg_error *err)
{
    size_t n = change->n_old;
    size_t *order = eg__alloc(n, sizeof *order);
    if (!order) return eg__fail_memory(err, "the order of paths");
    for (size_t i = 0; i < n; i++) order[i] = i;
    char **paths = change->store->paths;
    qsort_r(order, n, sizeof *order, by_text, paths);
    for (size_t image = 0; image < change->spec->n_rows; image++) {
        size_t low = 0, high = n;
        while (low < high) {
            size_t middle = low + (high - low) / 2;
            if (strcmp(paths[order[middle]], change->spec->paths[image]) < 0)
                low = middle + 1;
            else
                high = middle;
        }
        if (low == n || strcmp(paths[order[low]], change->spec->paths[image])) continue;
        change->row_of[image] = order[low];
        change->image_of[order[low]] = image;
    }
    free(order);
    return EG_OK;
}

static bool is_known(const uint8_t hash[HASH_BYTES])
{
    for (int i = 0; i < HASH_BYTES; i++)
        if (hash[i]) return true;
    return false;
}

/* The same contents under a path that is new, of a row whose path is gone. */
static enum eg_status match_moved(struct change *change, struct eg_error *err)
{
    size_t *order = eg__alloc(change->n_old, sizeof *order), n = 0;
    if (!order) return eg__fail_memory(err, "the order of hashes");
    for (size_t row = 0; row < change->n_old; row++)
        if (change->image_of[row] == NOWHERE && change->store->status[row] != EG_ROW_WAITING &&
            is_known(change->old_hashes[row]))
            order[n++] = row;
    qsort_r(order, n, sizeof *order, by_hash, change->old_hashes);
    for (size_t image = 0; n && image < change->spec->n_rows; image++) {
        if (change->row_of[image] != NOWHERE) continue;
        size_t low = 0, high = n;
        while (low < high) {
            size_t middle = low + (high - low) / 2;
            if (memcmp(change->old_hashes[order[middle]], change->hashes[image], HASH_BYTES) < 0)
                low = middle + 1;
            else
                high = middle;
        }
        while (low < n && change->image_of[order[low]] != NOWHERE) low++; /* taken by an equal one */
        if (low == n || memcmp(change->old_hashes[order[low]], change->hashes[image], HASH_BYTES)) continue;
        change->row_of[image] = order[low];
        change->image_of[order[low]] = image;
        change->counts.n_moved++;
    }
    free(order);
    return EG_OK;
}

static enum eg_status match_classes(struct change *change, struct eg_error *err)
{
    const struct eg_store_spec *spec = change->spec, *old = &change->store->spec;
    int32_t *number = eg__alloc(spec->n_classes, sizeof *number);
    size_t *order = eg__alloc(old->n_classes, sizeof *order);
    change->new_classes = eg__alloc(spec->n_classes, sizeof *change->new_classes);
    change->labels = eg__alloc(spec->n_rows, sizeof *change->labels);
    if (!number || !order || !change->new_classes || !change->labels) {
        free(number);
        free(order);
        return eg__fail_memory(err, "the classes");
    }
    for (size_t i = 0; i < old->n_classes; i++) order[i] = i;
    qsort_r(order, old->n_classes, sizeof *order, by_text, change->store->classes);
    for (size_t k = 0; k < spec->n_classes; k++) {
        size_t low = 0, high = old->n_classes;
        while (low < high) {
            size_t middle = low + (high - low) / 2;
            if (strcmp(old->classes[order[middle]], spec->classes[k]) < 0)
                low = middle + 1;
            else
                high = middle;
        }
        if (low < old->n_classes && !strcmp(old->classes[order[low]], spec->classes[k])) {
            number[k] = (int32_t)order[low];
            continue;
        }
        size_t alike = 0; /* in an older file a name may be written in another normal form */
        while (alike < old->n_classes && !eg__same_name(old->classes[alike], spec->classes[k])) alike++;
        if (alike < old->n_classes) {
            number[k] = (int32_t)alike;
        } else {
            number[k] = (int32_t)(old->n_classes + change->n_new_classes);
            change->new_classes[change->n_new_classes++] = spec->classes[k];
        }
    }
    for (size_t i = 0; i < spec->n_rows; i++) {
        int32_t label = spec->labels[i];
        change->labels[i] = label < 0 || (size_t)label >= spec->n_classes ? NONE : number[label];
    }
    free(number);
    free(order);
    return EG_OK;
}

/* Is this still the same collection? The same contents, or a row that is not computed yet. */
static enum eg_status check_shared(const struct change *change, struct eg_error *err)
{
    size_t n = change->spec->n_rows, shared = 0;
    for (size_t i = 0; i < n; i++) {
        size_t row = change->row_of[i];
        if (row == NOWHERE) continue;
        shared += change->store->status[row] == EG_ROW_WAITING ||
                  !memcmp(change->old_hashes[row], change->hashes[i], HASH_BYTES);
    }
    if (2 * shared >= n) return EG_OK;
    return eg__fail_for(err, EG_E_EXISTS, EG_REASON_PHOTOS_OTHER,
                        "'%s' is of other photos: it has %zu of the %zu that are here now",
                        change->store->path, shared, n);
}

static enum eg_status match(struct change *change, struct eg_error *err)
{
    size_t n = change->spec->n_rows;
    change->n_old = change->store->spec.n_rows;
    change->old_hashes = eg__alloc(change->n_old, sizeof *change->old_hashes);
    change->image_of = eg__alloc(change->n_old, sizeof *change->image_of);
    change->row_of = eg__alloc(n, sizeof *change->row_of);
    if (!change->old_hashes || !change->image_of || !change->row_of)
        return eg__fail_memory(err, "the rows' places");
    for (size_t i = 0; i < change->n_old; i++) change->image_of[i] = NOWHERE;
    for (size_t i = 0; i < n; i++) change->row_of[i] = NOWHERE;
    enum eg_status status = eg__store_hashes(change->store, 0, change->n_old, change->old_hashes, err);
    if (!status) status = match_classes(change, err);
    if (!status) status = match_paths(change, err);
    if (!status) status = match_moved(change, err);
    if (!status && change->spec->half_shared) status = check_shared(change, err);
    for (size_t i = 0; !status && i < n; i++)
        if (change->row_of[i] == NOWHERE) change->row_of[i] = change->n_old + change->n_new++;
    change->counts.n_new = change->n_new;
    return status;
}

/* ---- the change to the file ---------------------------------------------------------------- */

enum eg_status eg__store_add_texts(struct eg_h5 *h5, const char *name, const char *const *old, size_t n_old,
                                   const char *const *added, size_t n_added, size_t width,
                                   struct eg_h5_set **out, struct eg_error *err)
{
    struct eg_h5_set *set;
    enum eg_status status = eg__h5_set_open(h5, name, &set, err);
    if (status) return status;
    struct eg_h5_shape shape = *eg__h5_set_shape(set);
    if (width <= shape.bytes) {
        status = eg__h5_extend(set, n_old + n_added, err);
    } else {
        eg__h5_set_free(set);
        set = NULL;
        shape.bytes = width;
        shape.dims[0] = n_old + n_added;
        status = eg__h5_unlink(h5, name, err);
        if (!status) status = eg__h5_set_create(h5, name, &shape, &set, err);
        if (!status) status = eg__store_write_texts(set, 0, old, n_old, err);
    }
    if (!status) status = eg__store_write_texts(set, n_old, added, n_added, err);
    if (status) {
        eg__h5_set_free(set);
        return status;
    }
    *out = set;
    return EG_OK;
}

static enum eg_status change_old_rows(struct change *change, struct eg_error *err)
{
    struct eg_store *store = change->store;
    size_t n_doubted = 0, *doubted = eg__alloc(change->n_old + 1, sizeof *doubted);
    enum eg_status status = doubted ? EG_OK : eg__fail_memory(err, "changed rows");
    for (size_t row = 0; !status && row < change->n_old; row++) {
        size_t image = change->image_of[row];
        uint8_t was = store->status[row], is = was;
        if (image == NOWHERE) {
            is = EG_ROW_VANISHED;
            if (was != is) change->counts.n_vanished++;
        } else if (was != EG_ROW_WAITING &&
                   memcmp(change->old_hashes[row], change->hashes[image], HASH_BYTES)) {
            is = EG_ROW_WAITING; /* other contents; its old values are not to be taken for them */
            change->counts.n_changed++;
        } else if (was == EG_ROW_VANISHED) {
            is = EG_ROW_DONE; /* it is back */
        }
        if (is == EG_ROW_VANISHED && was == EG_ROW_UNREADABLE) { /* should it come back, try again */
            static const uint8_t unknown[1][HASH_BYTES];
            status = eg__h5_write(store->row_sets[SET_HASHES], row, 1, unknown, err);
        }
        store->status[row] = is;
        if (!status && is != was) status = eg__h5_write(store->row_sets[SET_STATUS], row, 1, &is, err);
        if (image == NOWHERE || status) continue;
        bool relabelled = store->labels[row] != change->labels[image];
        if (relabelled || is == EG_ROW_WAITING) doubted[n_doubted++] = row;
        if (relabelled)
            status = eg__h5_write(store->row_sets[SET_LABELS], row, 1, &change->labels[image], err);
    }
    if (!status) status = eg__confirmed_clear(store->h5, doubted, n_doubted, err);
    free(doubted);
    return status;
}

/* Paths of moved and of new rows. */
static enum eg_status change_paths(struct change *change, const char *const *added, struct eg_error *err)
{
    struct eg_store *store = change->store;
    if (!change->counts.n_moved && !change->n_new) return EG_OK;
    size_t width = eg__store_text_bytes(added, change->n_new);
    for (size_t row = 0; row < change->n_old; row++) {
        size_t image = change->image_of[row];
        size_t one = image == NOWHERE ? 0 : eg__store_text_bytes(&change->spec->paths[image], 1);
        if (one > width) width = one;
    }
    eg__h5_set_free(store->row_sets[SET_PATHS]);
    store->row_sets[SET_PATHS] = NULL;
    struct eg_h5_set *set;
    enum eg_status status = eg__store_add_texts(store->h5, "paths", store->spec.paths, change->n_old, added,
                                                change->n_new, width, &set, err);
    if (status) return status;
    for (size_t row = 0; !status && row < change->n_old; row++) {
        size_t image = change->image_of[row];
        if (image != NOWHERE && strcmp(store->paths[row], change->spec->paths[image]))
            status = eg__store_write_texts(set, row, &change->spec->paths[image], 1, err);
    }
    eg__h5_set_free(set);
    return status;
}

static enum eg_status add_classes(struct change *change, struct eg_error *err)
{
    struct eg_h5_set *set;
    if (!change->n_new_classes) return EG_OK;
    enum eg_status status =
        eg__store_add_texts(change->store->h5, "label_names", change->store->spec.classes,
                            change->store->spec.n_classes, change->new_classes, change->n_new_classes,
                            eg__store_text_bytes(change->new_classes, change->n_new_classes), &set, err);
    if (!status) eg__h5_set_free(set);
    return status;
}

enum eg_status eg__store_add_rows(struct eg_store *store, size_t n_old, size_t n_new, const int32_t *labels,
                                  struct eg_error *err)
{
    size_t n_all = n_old + n_new;
    if (store->stamps) {
        enum eg_status extended = eg__h5_extend(store->stamps, n_all, err);
        if (!extended) extended = eg__stamps_clear(store->stamps, n_old, n_new, err);
        if (extended) return extended;
    }
    enum eg_status status = EG_OK;
    if (store->thumbs) {
        status = eg__h5_extend(store->thumbs, n_all, err);
        if (!status) status = eg__thumbs_clear(store->thumbs, n_old, n_new, err);
    }
    for (size_t cut = 0; !status && cut < store->spec.n_cuts; cut++)
        status = eg__h5_extend(store->cut_sets[cut], n_all, err);
    for (int i = 0; !status && i < N_ROW_SETS; i++)
        if (i != SET_PATHS) status = eg__h5_extend(store->row_sets[i], n_all, err);
    uint8_t(*nothing)[HASH_BYTES] = eg__zalloc(n_new, sizeof *nothing);
    if (!status && !nothing) status = eg__fail_memory(err, "new rows");
    if (!status) status = eg__h5_write(store->row_sets[SET_LABELS], n_old, n_new, labels, err);
    if (!status) status = eg__h5_write(store->row_sets[SET_HASHES], n_old, n_new, nothing, err);
    if (!status) status = eg__h5_write(store->row_sets[SET_STATUS], n_old, n_new, nothing, err);
    if (!status) status = eg__h5_write(store->row_sets[SET_REASONS], n_old, n_new, nothing, err);
    free(nothing);
    return status;
}

static enum eg_status add_rows(struct change *change, struct eg_error *err)
{
    int32_t *labels = eg__alloc(change->n_new, sizeof *labels);
    if (!labels) return eg__fail_memory(err, "new rows");
    for (size_t i = 0; i < change->spec->n_rows; i++)
        if (change->row_of[i] >= change->n_old) labels[change->row_of[i] - change->n_old] = change->labels[i];
    enum eg_status status = eg__store_add_rows(change->store, change->n_old, change->n_new, labels, err);
    free(labels);
    return status;
}

static enum eg_status apply(struct change *change, struct eg_error *err)
{
    struct eg_store *store = change->store;
    enum eg_status status = eg__h5_stage(store->h5, err);
    const char **added = eg__alloc(change->n_new, sizeof *added);
    if (!status && !added) status = eg__fail_memory(err, "new paths");
    for (size_t i = 0; !status && i < change->spec->n_rows; i++)
        if (change->row_of[i] >= change->n_old)
            added[change->row_of[i] - change->n_old] = change->spec->paths[i];
    if (!status) status = change_old_rows(change, err);
    if (!status && change->n_new) status = add_rows(change, err);
    if (!status && !store->stamps) /* a file of version 0.1 */
        status = eg__stamps_create(store->h5, change->n_old + change->n_new, &store->stamps, err);
    if (!status) status = change_paths(change, added, err);
    if (!status) status = add_classes(change, err);
    if (!status && change->spec->root)
        status = eg__h5_put_text(store->h5, "/", "root", change->spec->root, err);
    free(added);
    return status;
}

/* ---- from outside -------------------------------------------------------------------------- */

/* Rows to compute, in their order. */
static enum eg_status list_waiting(const struct eg_store *store, const size_t *row_of, size_t n_images,
                                   struct eg_append *append, struct eg_error *err)
{
    size_t n_rows = store->spec.n_rows;
    append->rows = eg__alloc(n_images, sizeof *append->rows);
    append->images = eg__alloc(n_images, sizeof *append->images);
    size_t *image_of = eg__alloc(n_rows, sizeof *image_of);
    if (!append->rows || !append->images || !image_of) {
        eg__append_release(append);
        free(image_of);
        return eg__fail_memory(err, "the list of rows");
    }
    for (size_t row = 0; row < n_rows; row++) image_of[row] = NOWHERE;
    for (size_t image = 0; image < n_images; image++) image_of[row_of ? row_of[image] : image] = image;
    for (size_t row = 0; row < n_rows; row++) {
        if (image_of[row] == NOWHERE || store->status[row] != EG_ROW_WAITING) continue;
        append->rows[append->n] = row;
        append->images[append->n++] = image_of[row];
    }
    free(image_of);
    return EG_OK;
}

static enum eg_status go_on(struct change *change, struct eg_error *err)
{
    enum eg_status status = eg__store_compare_making(change->store, change->spec, err);
    if (!status) status = match(change, err);
    if (!status) status = apply(change, err);
    if (status) {
        eg__store_discard(change->store);
        return status;
    }
    return eg__store_close(change->store, err); /* the commit */
}

enum eg_status eg__store_append(const char *path, const struct eg_store_spec *spec,
                                const uint8_t (*hashes)[HASH_BYTES], struct eg_store **out,
                                struct eg_append *append, struct eg_error *err)
{
    struct stat info;
    struct change change = {.spec = spec, .hashes = hashes};
    struct eg_store *store;
    enum eg_status status;
    if (stat(path, &info)) {
        status = eg__store_write(path, spec, false, &store, err);
    } else {
        status = eg__store_open_to_write(path, spec, &change.store, err);
        if (!status) status = go_on(&change, err);
        if (!status) status = eg__store_open_to_write(path, spec, &store, err);
    }
    if (!status) {
        if (store->spec.deflate) status = eg__h5_stage(store->h5, err);
        if (!status) status = list_waiting(store, change.row_of, spec->n_rows, &change.counts, err);
        if (status) eg__store_discard(store);
    }
    if (!status) {
        *append = change.counts;
        append->row_of = change.row_of;
        change.row_of = NULL;
        *out = store;
    }
    change_release(&change);
    return status;
}
