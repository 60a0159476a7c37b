/* A file whose rows come from a stream: how many there will be is not known before its end.
 *
 * Spare rows are laid out ahead, a quarter of those that there are and no more than 256 MB, in one commit
 * that happens or not (h5_driver.c); a photo that arrives takes the next one. Its path and its label are raw
 * data like its values: they are on the disk before its status says so. A class that is new, and a path
 * longer than any before, are commits too. At the end what is spare is cut off. After a crash the spare
 * rows are there, waiting and without a path, and the next run takes them. */
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/mem.h"
#include "base/unicode.h"
#include "features/store_private.h"

enum {
    FIRST_ROWS = 128,
    LEAST_SPARE = 64,
    MOST_SPARE = 1 << 16,
    READER_TRIES = 300,
    READER_PAUSE_US = 100000
};
static const size_t MOST_BYTES = (size_t)256 << 20;

struct eg_growth {
    void *by_path; /* tree of paths: of rows that are done, or have arrived in this run */
    size_t next;   /* rows before it are taken */
    size_t n_used; /* rows up to the last that is taken */
    int32_t *label_of;
    size_t n_labels, labels_capacity;
};

static int by_path(const void *a, const void *b) { return strcmp(a, b); }

static void keep(void *path) { (void)path; } /* it is the store's */

void eg__growth_free(struct eg_growth *growth)
{
    if (!growth) return;
    if (growth->by_path) tdestroy(growth->by_path, keep);
    free(growth->label_of);
    free(growth);
}

static enum eg_status keep_name(struct eg_growth *growth, const char *path, struct eg_error *err)
{
    return tsearch(path, &growth->by_path, by_path) ? EG_OK : eg__fail_memory(err, "the rows' names");
}

bool eg__store_has_done(const struct eg_store *store, const char *path)
{
    return tfind(path, &store->growth->by_path, by_path) != NULL;
}

/* ---- changes of the layout ----------------------------------------------------------------- */

/* Somebody may be reading just now: that passes. */
static enum eg_status begin(struct eg_store *store, struct eg_error *err)
{
    enum eg_status status = eg__h5_stage(store->h5, err);
    for (int i = 0; status == EG_E_IO && i < READER_TRIES; i++) {
        usleep(READER_PAUSE_US);
        status = eg__h5_stage(store->h5, err);
    }
    return status;
}

/* Compressed files are staged all the time. */
static enum eg_status end(struct eg_store *store, enum eg_status status, struct eg_error *err)
{
    if (!status)
        status = store->spec.deflate ? eg__h5_commit(store->h5, err) : eg__h5_unstage(store->h5, err);
    if (status) store->failed = true;
    return status;
}

static size_t row_bytes(const struct eg_store_spec *spec)
{
    size_t bytes = 0;
    for (size_t i = 0; i < spec->n_cuts; i++) bytes += spec->cuts[i].length * sizeof(float);
    return bytes ? bytes : 1;
}

static size_t clamp(size_t n, size_t least, size_t most) { return n < least ? least : n > most ? most : n; }

/* Room for n rows in memory. */
static enum eg_status reserve(struct eg_store *store, size_t n, struct eg_error *err)
{
    int32_t *labels = realloc(store->labels, n * sizeof *labels);
    if (labels) store->labels = labels;
    uint8_t *status = realloc(store->status, n), *reasons = realloc(store->reasons, n);
    if (status) store->status = status;
    if (reasons) store->reasons = reasons;
    char **paths = eg__alloc(n, sizeof *paths);
    if (!labels || !status || !reasons || !paths ||
        !eg__grow(&store->owned, &store->owned_capacity, store->n_owned + 1, sizeof *store->owned)) {
        free(paths);
        return eg__fail_memory(err, "more rows");
    }
    if (store->spec.n_rows) memcpy(paths, store->paths, store->spec.n_rows * sizeof *paths);
    store->owned[store->n_owned++] = (char *)store->paths; /* the texts of the first ones are in it */
    store->paths = paths;
    store->spec.paths = (const char *const *)paths;
    store->spec.labels = labels;
    return EG_OK;
}

static enum eg_status grow(struct eg_store *store, struct eg_error *err)
{
    static char nothing[] = "";
    size_t n = store->spec.n_rows,
           most = clamp(MOST_BYTES / row_bytes(&store->spec), LEAST_SPARE, MOST_SPARE),
           more = clamp(n / 4, LEAST_SPARE, most);
    enum eg_status status = reserve(store, n + more, err);
    if (status) return status;
    for (size_t i = n; i < n + more; i++) {
        store->labels[i] = -1;
        store->status[i] = EG_ROW_WAITING;
        store->reasons[i] = 0;
        store->paths[i] = nothing;
    }
    struct eg_h5_set *paths = NULL;
    status = begin(store, err);
    if (status) return status;
    status = eg__store_add_rows(store, n, more, store->labels + n, err);
    if (!status)
        status = eg__store_add_texts(store->h5, "paths", store->spec.paths, n, store->spec.paths + n, more, 0,
                                     &paths, err);
    if (!status) {
        eg__h5_set_free(store->row_sets[SET_PATHS]);
        store->row_sets[SET_PATHS] = paths;
        store->spec.n_rows = n + more;
    }
    return end(store, status, err);
}

/* Paths of up to `length` bytes. */
static enum eg_status widen(struct eg_store *store, size_t length, struct eg_error *err)
{
    struct eg_h5_set *paths = NULL;
    if (length < eg__h5_set_shape(store->row_sets[SET_PATHS])->bytes) return EG_OK;
    enum eg_status status = begin(store, err);
    if (status) return status;
    eg__h5_set_free(store->row_sets[SET_PATHS]);
    store->row_sets[SET_PATHS] = NULL;
    status = eg__store_add_texts(store->h5, "paths", store->spec.paths, store->spec.n_rows, NULL, 0,
                                 length / 64 * 64 + 128, &paths, err);
    store->row_sets[SET_PATHS] = paths;
    return end(store, status, err);
}

static enum eg_status add_class(struct eg_store *store, const char *name, struct eg_error *err)
{
    struct eg_h5_set *set = NULL;
    struct eg_store_spec *spec = &store->spec;
    char *copy = strdup(name), **classes = eg__alloc(spec->n_classes + 1, sizeof *classes);
    if (!copy || !classes ||
        !eg__grow(&store->owned, &store->owned_capacity, store->n_owned + 2, sizeof *store->owned)) {
        free(copy);
        free(classes);
        return eg__fail_memory(err, "the classes");
    }
    if (spec->n_classes) memcpy(classes, store->classes, spec->n_classes * sizeof *classes);
    classes[spec->n_classes] = copy;
    store->owned[store->n_owned++] = (char *)store->classes;
    store->owned[store->n_owned++] = copy;
    store->classes = classes;
    spec->classes = (const char *const *)classes;
    enum eg_status status = begin(store, err);
    if (status) return status;
    const char *const *added = spec->classes + spec->n_classes;
    status = eg__store_add_texts(store->h5, "label_names", spec->classes, spec->n_classes, added, 1,
                                 eg__store_text_bytes(added, 1), &set, err);
    eg__h5_set_free(set);
    if (!status) spec->n_classes++;
    return end(store, status, err);
}

/* ---- what arrives ----------------------------------------------------------------------------- */

/* The stream's label in the file's numbering. */
static enum eg_status file_label(struct eg_store *store, const struct eg_arrivals *a, int32_t label,
                                 int32_t *of_file, struct eg_error *err)
{
    struct eg_growth *g = store->growth;
    *of_file = -1;
    if (label < 0) return EG_OK;
    while (g->n_labels <= (size_t)label) {
        const char *name = a->classes[g->n_labels];
        size_t k = 0;
        while (k < store->spec.n_classes && !eg__same_name(store->classes[k], name)) k++;
        if (!eg__grow(&g->label_of, &g->labels_capacity, g->n_labels + 1, sizeof *g->label_of))
            return eg__fail_memory(err, "the classes");
        enum eg_status status = k == store->spec.n_classes ? add_class(store, name, err) : EG_OK;
        if (status) return status;
        g->label_of[g->n_labels++] = (int32_t)k;
    }
    *of_file = g->label_of[label];
    return EG_OK;
}

/* The next row that waits, whatever a run before had meant it for: what was cut off there may have left half
 * a path. */
static enum eg_status take_row(struct eg_store *store, const char *path, size_t *row, struct eg_error *err)
{
    struct eg_growth *g = store->growth;
    char *copy = strdup(path);
    if (!copy || !eg__grow(&store->owned, &store->owned_capacity, store->n_owned + 1, sizeof *store->owned)) {
        free(copy);
        return eg__fail_memory(err, "the rows' names");
    }
    store->owned[store->n_owned++] = copy;
    while (g->next < store->spec.n_rows && store->status[g->next] != EG_ROW_WAITING) g->next++;
    enum eg_status status = g->next == store->spec.n_rows ? grow(store, err) : EG_OK;
    if (!status) status = widen(store, strlen(path), err);
    if (status) return status;
    *row = g->next++;
    if (g->n_used < g->next) g->n_used = g->next;
    store->paths[*row] = copy;
    status = eg__store_write_texts(store->row_sets[SET_PATHS], *row, store->spec.paths + *row, 1, err);
    return status ? status : keep_name(g, copy, err);
}

enum eg_status eg__store_arrive(struct eg_store *store, const struct eg_arrivals *a, size_t *rows,
                                struct eg_error *err)
{
    enum eg_status status = EG_OK;
    for (size_t i = 0; i < a->n && !status; i++) {
        int32_t label;
        rows[i] = SIZE_MAX;
        if (eg__store_has_done(store, a->paths[i])) continue;
        status = file_label(store, a, a->labels[i], &label, err);
        if (!status) status = take_row(store, a->paths[i], &rows[i], err);
        if (!status) status = eg__h5_write(store->row_sets[SET_LABELS], rows[i], 1, &label, err);
        if (!status) store->labels[rows[i]] = label;
    }
    return status;
}

/* ---- beginning and end --------------------------------------------------------------------------- */

static enum eg_status begin_growth(struct eg_store *store, struct eg_error *err)
{
    store->growth = eg__zalloc(1, sizeof *store->growth);
    if (!store->growth) return eg__fail_memory(err, "the rows' names");
    enum eg_status status = EG_OK;
    for (size_t row = 0; row < store->spec.n_rows && !status; row++) {
        if (store->status[row] == EG_ROW_WAITING) continue;
        store->growth->n_used = row + 1;
        status = keep_name(store->growth, store->paths[row], err);
    }
    return status;
}

static enum eg_status create(const char *path, const struct eg_store_spec *spec, bool overwrite,
                             struct eg_store **store, struct eg_error *err)
{
    struct eg_store_spec first = *spec;
    if (!first.n_rows) first.n_rows = FIRST_ROWS;
    const char **paths = eg__alloc(first.n_rows, sizeof *paths);
    int32_t *labels = eg__alloc(first.n_rows, sizeof *labels);
    for (size_t i = 0; paths && labels && i < first.n_rows; i++) {
        paths[i] = "";
        labels[i] = -1;
    }
    first.paths = paths;
    first.labels = labels;
    first.n_classes = 0;
    enum eg_status status = paths && labels ? eg__store_write(path, &first, overwrite, store, err)
                                            : eg__fail_memory(err, "a feature file");
    free(paths);
    free(labels);
    return status;
}

static enum eg_status go_on(const char *path, const struct eg_store_spec *spec, struct eg_store **out,
                            struct eg_error *err)
{
    struct eg_store *store;
    enum eg_status status = eg__store_open_to_write(path, spec, &store, err);
    if (status) return status;
    status = eg__store_compare_making(store, spec, err);
    if (!status && (!store->spec.root || strcmp(store->spec.root, spec->root)))
        status = eg__fail_for(err, EG_E_EXISTS, EG_REASON_MADE_OTHERWISE,
                              "'%s' was made otherwise: of photos in '%s', not of a stream", path,
                              store->spec.root ? store->spec.root : "");
    if (!status && store->spec.n_shards)
        status = eg__fail_for(err, EG_E_EXISTS, EG_REASON_MADE_OTHERWISE, "'%s' is a shard", path);
    if (!status && store->spec.deflate) status = eg__h5_stage(store->h5, err);
    if (status)
        eg__store_discard(store);
    else
        *out = store;
    return status;
}

enum eg_status eg__store_stream(const char *path, const struct eg_store_spec *spec, bool overwrite,
                                struct eg_store **out, struct eg_error *err)
{
    struct stat info;
    struct eg_store *store;
    enum eg_status status = overwrite || stat(path, &info) ? create(path, spec, overwrite, &store, err)
                                                           : go_on(path, spec, &store, err);
    if (status) return status;
    status = begin_growth(store, err);
    if (status)
        eg__store_discard(store);
    else
        *out = store;
    return status;
}

/* Rows that a run before had given to photos that have not come again. */
static enum eg_status give_up_holes(struct eg_store *store, struct eg_error *err)
{
    static const uint8_t vanished = EG_ROW_VANISHED;
    enum eg_status status = EG_OK;
    for (size_t row = 0; row < store->growth->n_used && !status; row++) {
        if (store->status[row] != EG_ROW_WAITING) continue;
        const char *path = store->paths[row][0] ? store->paths[row] : "?";
        status = eg__store_write_texts(store->row_sets[SET_PATHS], row, &path, 1, err);
        if (!status) status = eg__h5_write(store->row_sets[SET_STATUS], row, 1, &vanished, err);
        store->status[row] = vanished;
    }
    return status;
}

enum eg_status eg__store_trim(struct eg_store *store, bool ended, struct eg_error *err)
{
    enum eg_status status = eg__store_checkpoint(store, err);
    size_t n = store->growth->n_used;
    if (!status && ended) status = give_up_holes(store, err);
    if (status || !n || n == store->spec.n_rows) return status;
    status = begin(store, err);
    if (status) return status;
    for (size_t cut = 0; !status && cut < store->spec.n_cuts; cut++)
        status = eg__h5_extend(store->cut_sets[cut], n, err);
    for (int i = 0; !status && i < N_ROW_SETS; i++) status = eg__h5_extend(store->row_sets[i], n, err);
    if (!status && store->stamps) status = eg__h5_extend(store->stamps, n, err);
    if (!status && store->thumbs) status = eg__h5_extend(store->thumbs, n, err);
    if (!status) store->spec.n_rows = n;
    return end(store, status, err);
}
