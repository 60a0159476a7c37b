/* Opening, creating and closing a feature file (its tree is drawn in store_layout.c). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/fail.h"
#include "base/mem.h"
#include "base/text.h"
#include "features/store_private.h"

enum { MAX_CUTS = 4096 };

double eg__store_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

void eg__store_free(struct eg_store *store)
{
    if (!store) return;
    for (size_t i = 0; store->cut_sets && i < store->spec.n_cuts; i++) eg__h5_set_free(store->cut_sets[i]);
    for (int i = 0; i < N_ROW_SETS; i++) eg__h5_set_free(store->row_sets[i]);
    eg__h5_set_free(store->history);
    eg__h5_set_free(store->stamps);
    eg__h5_set_free(store->thumbs);
    eg__growth_free(store->growth);
    for (size_t i = 0; i < store->n_owned; i++) free(store->owned[i]);
    free(store->owned);
    free(store->cut_sets);
    free(store->cuts);
    free(store->paths);
    free(store->classes);
    free(store->reason_names);
    free(store->labels);
    free(store->status);
    free(store->reasons);
    eg__chunks_free(store);
    free(store->pending);
    free(store->halves);
    free(store->path);
    free(store);
}

/* ---- what a file holds ------------------------------------------------------------------ */

static enum eg_status own(struct eg_store *store, char *text, const char **member, struct eg_error *err)
{
    if (!text || !eg__grow(&store->owned, &store->owned_capacity, store->n_owned + 1, sizeof *store->owned)) {
        free(text);
        return eg__fail_memory(err, "a feature file");
    }
    *member = store->owned[store->n_owned++] = text;
    return EG_OK;
}

static enum eg_status read_members(struct eg_store *store, const char *object,
                                   const struct text_member *members, size_t n, void *into,
                                   struct eg_error *err)
{
    for (size_t i = 0; i < n; i++) {
        const char *from = object ? object : members[i].object;
        if (!eg__h5_has_attribute(store->h5, from, members[i].attribute)) continue; /* stays NULL */
        char *text;
        const char *member;
        enum eg_status status = eg__h5_text(store->h5, from, members[i].attribute, &text, err);
        if (!status) status = own(store, text, &member, err);
        if (status) return status;
        memcpy((char *)into + members[i].offset, &member, sizeof member);
    }
    return EG_OK;
}

static enum eg_status describe_cut(struct eg_store *store, size_t i, const char *name, struct eg_error *err)
{
    struct eg_cut_info *cut = &store->cuts[i];
    char *object = NULL;
    const char *owned;
    if (asprintf(&object, "/cuts/%s", name) < 0) object = NULL;
    enum eg_status status = own(store, object, &owned, err);
    if (!status) status = eg__h5_set_open(store->h5, object, &store->cut_sets[i], err);
    if (status) return status;
    const struct eg_h5_shape *shape = eg__h5_set_shape(store->cut_sets[i]);
    if (shape->rank != 2 || (shape->kind != EG_H5_F32 && shape->kind != EG_H5_F16) ||
        shape->dims[0] != store->spec.n_rows || !shape->dims[1])
        return eg__fail(err, EG_E_FORMAT, "'%s' of '%s' is not %zu rows of floats", object, store->path,
                        store->spec.n_rows);
    cut->name = object + strlen("/cuts/");
    cut->length = shape->dims[1];
    cut->half = shape->kind == EG_H5_F16;
    if (!i) store->spec.deflate = shape->deflate;
    status = read_members(store, object, eg__cut_texts, N_CUT_TEXTS, cut, err);
    if (!status) status = eg__h5_sizes(store->h5, object, "shape", cut->shape, 3, err);
    return status;
}

static enum eg_status describe_cuts(struct eg_store *store, struct eg_error *err)
{
    char **names;
    size_t n;
    enum eg_status status = eg__h5_texts(store->h5, "/cuts", "names", &names, &n, err);
    if (status) return status;
    if (!n || n > MAX_CUTS) {
        free(names);
        return eg__fail(err, EG_E_FORMAT, "'%s' claims %zu cuts", store->path, n);
    }
    store->cuts = eg__zalloc(n, sizeof *store->cuts);
    store->cut_sets = eg__zalloc(n, sizeof(struct eg_h5_set *));
    if (!store->cuts || !store->cut_sets) status = eg__fail_memory(err, "a feature file");
    store->spec.cuts = store->cuts;
    store->spec.n_cuts = store->cut_sets ? n : 0;
    for (size_t i = 0; !status && i < n; i++) status = describe_cut(store, i, names[i], err);
    free(names);
    return status;
}

static enum eg_status check_rows(const struct eg_store *store, struct eg_error *err)
{
    for (size_t i = 0; i < store->spec.n_rows; i++) {
        /* Of a stream the label is written with the row, so half of one may be there; it comes again. */
        bool waits = store->status && store->status[i] == EG_ROW_WAITING;
        if (waits && store->labels[i] >= (int64_t)store->spec.n_classes) store->labels[i] = -1;
        if (waits && store->labels[i] < -1) store->labels[i] = -1;
        if (store->labels[i] < -1 || store->labels[i] >= (int64_t)store->spec.n_classes)
            return eg__fail(err, EG_E_FORMAT, "row %zu of '%s' has label %d, there are %zu classes", i,
                            store->path, store->labels[i], store->spec.n_classes);
        if (store->status && store->status[i] > EG_ROW_VANISHED)
            return eg__fail(err, EG_E_FORMAT, "row %zu of '%s' has status %d", i, store->path,
                            store->status[i]);
    }
    return EG_OK;
}

static enum eg_status describe_rows(struct eg_store *store, struct eg_error *err)
{
    enum eg_status status = EG_OK;
    size_t n = 0, limit = eg__h5_bytes(store->h5);
    for (int i = 0; !status && i < N_ROW_SETS; i++) {
        status = eg__h5_set_open(store->h5, eg__row_set_names[i], &store->row_sets[i], err);
        if (status) break;
        const struct eg_h5_shape *shape = eg__h5_set_shape(store->row_sets[i]);
        if (!i) n = shape->dims[0];
        if (shape->rank != (i == SET_HASHES ? 2 : 1) || shape->dims[0] != n || n > limit ||
            (i == SET_HASHES && (shape->dims[1] != HASH_BYTES || shape->kind != EG_H5_U8)))
            status = eg__fail(err, EG_E_FORMAT, "'%s' of '%s' does not fit its %zu rows",
                              eg__row_set_names[i], store->path, n);
    }
    if (status) return status;
    store->spec.n_rows = n;
    store->labels = eg__alloc(n, sizeof *store->labels);
    store->status = eg__alloc(n, 1);
    store->reasons = eg__alloc(n, 1);
    if (!store->labels || !store->status || !store->reasons) return eg__fail_memory(err, "a feature file");
    status = eg__h5_read(store->row_sets[SET_LABELS], EG_H5_I32, 0, n, store->labels, err);
    if (!status) status = eg__h5_read(store->row_sets[SET_STATUS], EG_H5_U8, 0, n, store->status, err);
    if (!status) status = eg__h5_read(store->row_sets[SET_REASONS], EG_H5_U8, 0, n, store->reasons, err);
    size_t n_paths;
    if (!status) status = eg__h5_read_texts(store->row_sets[SET_PATHS], limit, &store->paths, &n_paths, err);
    if (!status)
        status =
            eg__h5_texts(store->h5, "reasons", "names", &store->reason_names, &store->n_reason_names, err);
    if (!status) status = eg__stamps_open(store, err);
    if (!status) status = eg__thumbs_open(store, err);
    return status;
}

enum eg_status eg__store_read_classes(struct eg_store *store, struct eg_error *err)
{
    struct eg_h5_set *set;
    enum eg_status status = eg__h5_set_open(store->h5, "label_names", &set, err);
    if (status) return status;
    status = eg__h5_read_texts(set, eg__h5_bytes(store->h5) * MOST_INFLATED, &store->classes,
                               &store->spec.n_classes, err);
    eg__h5_set_free(set);
    return status;
}

static enum eg_status describe_ours(struct eg_store *store, struct eg_error *err)
{
    size_t version = 0;
    enum eg_status status = eg__h5_sizes(store->h5, "/", "format_version", &version, 1, err);
    if (!status && version != FORMAT_VERSION)
        status = eg__fail(err, EG_E_UNSUPPORTED, "'%s' has format version %zu, this program reads version %d",
                          store->path, version, FORMAT_VERSION);
    if (!status) status = describe_rows(store, err);
    if (!status) status = eg__store_read_classes(store, err);
    if (!status) status = describe_cuts(store, err);
    if (!status) status = eg__h5_set_open(store->h5, "history", &store->history, err);
    if (!status) {
        const struct eg_h5_shape *shape = eg__h5_set_shape(store->history);
        if (shape->kind != EG_H5_RECORD || shape->bytes != eg__history_shape.bytes || shape->rank != 1)
            status = eg__fail(err, EG_E_FORMAT, "the history of '%s' has another form", store->path);
    }
    if (!status) status = read_members(store, NULL, eg__spec_texts, N_SPEC_TEXTS, &store->spec, err);
    size_t shard[2] = {0, 0};
    if (!status && eg__h5_has_attribute(store->h5, "/", "shard"))
        status = eg__h5_sizes(store->h5, "/", "shard", shard, 2, err);
    store->spec.shard = shard[0];
    store->spec.n_shards = shard[1];
    return status;
}

enum eg_status eg__store_describe(struct eg_store *store, struct eg_error *err)
{
    char *format = NULL;
    enum eg_status status = EG_OK;
    if (eg__h5_has_attribute(store->h5, "/", "format"))
        status = eg__h5_text(store->h5, "/", "format", &format, err);
    if (status) return status;
    bool ours = format && !strcmp(format, "engraft-features");
    free(format);
    status = ours ? describe_ours(store, err) : eg__foreign_describe(store, err);
    store->spec.paths = (const char *const *)store->paths;
    store->spec.classes = (const char *const *)store->classes;
    store->spec.labels = store->labels;
    if (!status) status = check_rows(store, err);
    return status;
}

/* ---- opening and closing ----------------------------------------------------------------- */

/* What closing says adds nothing to the failure that led here. */
void eg__store_discard(struct eg_store *store)
{
    struct eg_h5 *h5 = store->h5;
    if (h5) eg__h5_abandon(h5);
    eg__store_free(store);
    enum eg_status ignored = eg__h5_close(h5, NULL);
    (void)ignored;
}

static enum eg_status open_store(const char *path, bool write, struct eg_store **out, struct eg_error *err)
{
    struct eg_store *store = eg__zalloc(1, sizeof *store);
    if (store) store->path = strdup(path);
    if (!store || !store->path) {
        free(store);
        return eg__fail_memory(err, "a feature file");
    }
    store->write = write;
    enum eg_status status = eg__h5_open(path, write, &store->h5, err);
    if (!status) status = eg__store_describe(store, err);
    if (status) {
        eg__store_discard(store);
        return status;
    }
    store->last_checkpoint = eg__store_clock();
    *out = store;
    return EG_OK;
}

enum eg_status eg__store_open(const char *path, struct eg_store **store, struct eg_error *err)
{
    return open_store(path, false, store, err);
}

static enum eg_status check_spec(const char *path, const struct eg_store_spec *spec, struct eg_error *err)
{
    if (!spec->n_rows) return eg__fail(err, EG_E_ARGUMENT, "cannot write '%s': there are no images", path);
    if (!spec->n_cuts || spec->n_cuts > MAX_CUTS)
        return eg__fail(err, EG_E_ARGUMENT, "cannot write '%s': %zu cuts", path, spec->n_cuts);
    for (size_t i = 0; i < spec->n_cuts; i++)
        for (size_t j = 0; j < i; j++)
            if (!strcmp(spec->cuts[i].name, spec->cuts[j].name))
                return eg__fail(err, EG_E_ARGUMENT, "cut '%s' is asked for twice", spec->cuts[i].name);
    if (spec->deflate > 9) return eg__fail(err, EG_E_ARGUMENT, "deflate %u is not 0 to 9", spec->deflate);
    return EG_OK;
}

static enum eg_status create_store(const char *path, const struct eg_store_spec *spec, bool overwrite,
                                   struct eg_error *err)
{
    struct eg_h5 *h5;
    enum eg_status status = eg__h5_create(path, overwrite, &h5, err);
    if (status) return status;
    status = eg__store_layout(h5, spec, NULL, 0, err);
    if (!status) return eg__h5_publish(h5, err);
    enum eg_status ignored = eg__h5_close(h5, NULL);
    (void)ignored;
    return status;
}

enum eg_status eg__store_open_to_write(const char *path, const struct eg_store_spec *spec,
                                       struct eg_store **out, struct eg_error *err)
{
    struct eg_store *store;
    struct eg_error why;
    enum eg_status status = open_store(path, true, &store, &why);
    if (status == EG_E_FORMAT || status == EG_E_UNSUPPORTED || status == EG_E_NOT_FOUND)
        return eg__fail_for(err, EG_E_EXISTS, EG_REASON_OUTPUT_FOREIGN,
                            "'%s' exists and no run can go on with it: %s", path, why.message);
    if (status) return eg__fail(err, status, "%s", why.message);
    if (store->foreign)
        status = eg__fail_for(err, EG_E_EXISTS, EG_REASON_OUTPUT_FOREIGN,
                              "'%s' exists and is another program's file", path);
    else if (eg__h5_set_shape(store->cut_sets[0])->is_virtual)
        status = eg__fail_for(err, EG_E_EXISTS, EG_REASON_OUTPUT_FOREIGN,
                              "'%s' joins shards: write those and merge again", path);
    if (status) {
        eg__store_discard(store);
        return status;
    }
    eg__store_begin_run(store, spec);
    *out = store;
    return EG_OK;
}

enum eg_status eg__store_write(const char *path, const struct eg_store_spec *spec, bool overwrite,
                               struct eg_store **out, struct eg_error *err)
{
    enum eg_status status = check_spec(path, spec, err);
    if (status) return status;
    struct stat info;
    if (overwrite || stat(path, &info)) {
        status = create_store(path, spec, overwrite, err);
        if (status && (overwrite || status != EG_E_EXISTS)) return status;
    }
    struct eg_store *store;
    status = eg__store_open_to_write(path, spec, &store, err);
    if (status) return status;
    status = eg__store_compare(store, spec, err);
    if (!status && store->spec.deflate) status = eg__h5_stage(store->h5, err);
    if (status) {
        eg__store_discard(store);
        return status;
    }
    *out = store;
    return EG_OK;
}

enum eg_status eg__store_close(struct eg_store *store, struct eg_error *err)
{
    if (!store) return EG_OK;
    enum eg_status status = store->write && !store->failed ? eg__store_finish(store, err) : EG_OK;
    struct eg_h5 *h5 = store->h5;
    eg__store_free(store);
    enum eg_status closed = eg__h5_close(h5, status ? NULL : err);
    return status ? status : closed;
}

/* ---- small questions ---------------------------------------------------------------------- */

const struct eg_store_spec *eg__store_spec(const struct eg_store *store) { return &store->spec; }
const uint8_t *eg__store_status(const struct eg_store *store) { return store->status; }

uint64_t eg__store_cut_bytes(const struct eg_store *store, size_t cut)
{
    return eg__h5_set_bytes(store->cut_sets[cut]);
}

const char *eg__store_reason(const struct eg_store *store, size_t row)
{
    if (store->foreign || row >= store->spec.n_rows || store->status[row] != EG_ROW_UNREADABLE) return NULL;
    size_t reason = store->reasons[row];
    return reason < store->n_reason_names && store->reason_names[reason][0] ? store->reason_names[reason]
                                                                            : "unreadable";
}

enum eg_status eg__store_find_cut(const struct eg_store *store, const char *name, size_t *cut,
                                  struct eg_error *err)
{
    if (!name || !strcmp(name, "features")) {
        *cut = 0;
        return EG_OK;
    }
    for (size_t i = 0; i < 2 * store->spec.n_cuts;
         i++) { /* names first: one layer may be there pooled twice */
        const struct eg_cut_info *at = &store->cuts[i % store->spec.n_cuts];
        const char *known = i < store->spec.n_cuts ? at->name : at->layer;
        if (!known || strcmp(known, name)) continue;
        *cut = i % store->spec.n_cuts;
        return EG_OK;
    }
    struct eg_text names = {0};
    for (size_t i = 0; i < store->spec.n_cuts; i++)
        eg__text_append(&names, "%s%s", i ? ", " : "", store->cuts[i].name);
    enum eg_status status = eg__fail(err, EG_E_NOT_FOUND, "'%s' has no features '%s' (it has %s)",
                                     store->path, name, names.failed ? "others" : names.chars);
    free(names.chars);
    return status;
}
