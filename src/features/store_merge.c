/* One file out of shards. */
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/mem.h"
#include "features/store_private.h"

enum { COPY_BYTES = 1 << 22 };

void eg__shard_range(size_t n, size_t shard, size_t n_shards, size_t *first, size_t *count)
{
    size_t each = n / n_shards, more = n % n_shards; /* the first `more` shards have one more */
    *first = shard * each + (shard < more ? shard : more);
    *count = each + (shard < more);
}

struct merge {
    const char *path;
    struct eg_store **shards; /* in their order */
    const char **names;       /* as given, in the same order */
    size_t n;
    struct eg_store_spec spec;
    const char **paths;
    int32_t *labels;
    char **reason_names;
    uint8_t *reasons;
};

static void merge_release(struct merge *merge)
{
    for (size_t i = 0; merge->shards && i < merge->n; i++)
        if (merge->shards[i]) eg__store_discard(merge->shards[i]);
    free(merge->shards);
    free(merge->names);
    free(merge->paths);
    free(merge->labels);
    free(merge->reason_names);
    free(merge->reasons);
}

static enum eg_status check_finished(const struct eg_store *shard, const char *name, struct eg_error *err)
{
    size_t waiting = 0;
    for (size_t i = 0; i < shard->spec.n_rows; i++) waiting += shard->status[i] == EG_ROW_WAITING;
    if (!waiting) return EG_OK;
    return eg__fail(err, EG_E_ARGUMENT,
                    "shard '%s' still has %zu of %zu images to do (run it to its end first)", name, waiting,
                    shard->spec.n_rows);
}

/* Into the place that its own number says; files that are no shards, in the order given. */
static enum eg_status place(struct merge *merge, struct eg_store *shard, const char *name, size_t given,
                            struct eg_error *err)
{
    size_t at = shard->spec.n_shards ? shard->spec.shard : given;
    if (shard->spec.n_shards && shard->spec.n_shards != merge->n)
        return eg__fail(err, EG_E_ARGUMENT, "'%s' is shard %zu of %zu, and %zu were given (give all of them)",
                        name, shard->spec.shard, shard->spec.n_shards, merge->n);
    if (at >= merge->n || merge->shards[at])
        return eg__fail(err, EG_E_ARGUMENT, "'%s' and '%s' are the same shard, %zu", name,
                        at < merge->n ? merge->names[at] : "", at);
    merge->shards[at] = shard;
    merge->names[at] = name;
    return EG_OK;
}

static enum eg_status open_shards(struct merge *merge, const char *const *names, struct eg_error *err)
{
    for (size_t i = 0; i < merge->n; i++) {
        struct eg_store *shard;
        enum eg_status status = eg__store_open(names[i], &shard, err);
        if (status) return status;
        if (shard->foreign)
            status = eg__fail(err, EG_E_FORMAT, "'%s' is another program's file, not a shard", names[i]);
        else if (eg__h5_set_shape(shard->cut_sets[0])->is_virtual)
            status = eg__fail(err, EG_E_FORMAT, "'%s' joins shards itself (give those)", names[i]);
        if (!status) status = check_finished(shard, names[i], err);
        if (!status) status = place(merge, shard, names[i], i, err);
        if (status) {
            eg__store_discard(shard);
            return status;
        }
    }
    return EG_OK;
}

static enum eg_status check_alike(struct merge *merge, struct eg_error *err)
{
    const struct eg_store_spec *first = &merge->shards[0]->spec;
    for (size_t i = 1; i < merge->n; i++) {
        const struct eg_store *shard = merge->shards[i];
        enum eg_status status = eg__store_compare_making(shard, first, err);
        bool same = !status && shard->spec.n_classes == first->n_classes;
        for (size_t k = 0; same && k < first->n_classes; k++)
            same = !strcmp(first->classes[k], shard->spec.classes[k]);
        if (status)
            return eg__fail_within(err, EG_E_ARGUMENT, "shards '%s' and '%s' do not fit together",
                                   merge->names[0], merge->names[i]);
        if (!same)
            return eg__fail(err, EG_E_ARGUMENT, "shards '%s' and '%s' have different classes",
                            merge->names[0], merge->names[i]);
    }
    return EG_OK;
}

/* Everything about all rows but their values. */
static enum eg_status join(struct merge *merge, const char *command, struct eg_error *err)
{
    size_t n = 0;
    for (size_t i = 0; i < merge->n; i++) n += merge->shards[i]->spec.n_rows;
    merge->spec = merge->shards[0]->spec;
    merge->spec.n_rows = n;
    merge->spec.shard = merge->spec.n_shards = 0;
    if (command) merge->spec.command = command;
    merge->paths = eg__alloc(n, sizeof *merge->paths);
    merge->labels = eg__alloc(n, sizeof *merge->labels);
    merge->reasons = eg__zalloc(n, 1);
    merge->reason_names = eg__zalloc(MAX_REASONS, sizeof *merge->reason_names);
    if (!merge->paths || !merge->labels || !merge->reasons || !merge->reason_names)
        return eg__fail_memory(err, "the rows of all shards");
    static char empty[] = "";
    for (size_t i = 0; i < MAX_REASONS; i++) merge->reason_names[i] = empty;
    merge->spec.paths = merge->paths;
    merge->spec.labels = merge->labels;
    bool changed;
    size_t at = 0;
    for (size_t i = 0; i < merge->n; i++)
        for (size_t row = 0; row < merge->shards[i]->spec.n_rows; row++, at++) {
            merge->paths[at] = merge->shards[i]->paths[row];
            merge->labels[at] = merge->shards[i]->labels[row];
            const char *reason = eg__store_reason(merge->shards[i], row);
            enum eg_status status = reason ? eg__store_add_reason(&merge->reason_names, MAX_REASONS, reason,
                                                                  &merge->reasons[at], &changed, err)
                                           : EG_OK;
            if (status) return status;
        }
    return EG_OK;
}

/* Shards are named without a folder: they have to be where the master is. */
static enum eg_status check_folder(const struct merge *merge, struct eg_error *err)
{
    enum eg_status status = EG_OK;
    for (size_t i = 0; !status && i < merge->n; i++) {
        char *a = strdup(merge->path), *b = realpath(merge->names[i], NULL);
        char *home = a ? realpath(dirname(a), NULL) : NULL;
        if (!home || !b || strcmp(dirname(b), home))
            status = eg__fail(err, EG_E_ARGUMENT,
                              "shard '%s' is not in the folder of '%s' (put it there, or merge with --copy)",
                              merge->names[i], merge->path);
        free(a);
        free(b);
        free(home);
    }
    return status;
}

static enum eg_status write_reasons(struct eg_h5 *h5, const struct merge *merge, struct eg_error *err)
{
    struct eg_h5_set *set;
    enum eg_status status = eg__h5_set_open(h5, "reasons", &set, err);
    if (status) return status;
    status = eg__h5_write(set, 0, merge->spec.n_rows, merge->reasons, err);
    eg__h5_set_free(set);
    if (!status)
        status = eg__h5_put_texts(h5, "reasons", "names", (const char *const *)merge->reason_names,
                                  MAX_REASONS, REASON_BYTES, err);
    return status;
}

static enum eg_status write_history(struct eg_h5 *h5, const struct merge *merge, struct eg_error *err)
{
    struct eg_h5_set *set;
    size_t at = 0;
    enum eg_status status = eg__h5_set_open(h5, "history", &set, err);
    if (status) return status;
    for (size_t i = 0; !status && i < merge->n; i++) {
        struct eg_history *records = NULL;
        size_t n = 0;
        status = eg__store_history(merge->shards[i], &records, &n, err);
        if (!status && at + n > eg__h5_set_shape(set)->dims[0]) status = eg__h5_extend(set, at + n, err);
        if (!status) status = eg__h5_write(set, at, n, records, err);
        at += n;
        free(records);
    }
    eg__h5_set_free(set);
    return status;
}

/* All shards' rows of a dataset, block by block. */
static enum eg_status copy_set(struct eg_h5 *h5, const struct merge *merge, const char *name,
                               struct eg_error *err)
{
    struct eg_h5_set *to;
    enum eg_status status = eg__h5_set_open(h5, name, &to, err);
    if (status) return status;
    const struct eg_h5_shape *shape = eg__h5_set_shape(to);
    size_t row_bytes = shape->bytes * eg__h5_set_row_length(to), at = 0;
    size_t block = COPY_BYTES / row_bytes / shape->chunk_rows * shape->chunk_rows; /* whole chunks */
    if (!block) block = shape->chunk_rows;
    uint8_t *rows = eg__alloc(block, row_bytes);
    if (!rows) status = eg__fail_memory(err, "rows");
    size_t filled = 0;
    for (size_t i = 0; !status && i < merge->n; i++) {
        struct eg_h5_set *from;
        status = eg__h5_set_open(merge->shards[i]->h5, name, &from, err);
        if (status) break;
        size_t n = merge->shards[i]->spec.n_rows;
        for (size_t row = 0, count; !status && row < n; row += count) {
            count = n - row < block - filled ? n - row : block - filled;
            status = eg__h5_read(from, shape->kind, row, count, rows + filled * row_bytes, err);
            filled += count;
            if (status || filled < block) continue;
            status = eg__h5_write(to, at, filled, rows, err);
            at += filled;
            filled = 0;
        }
        eg__h5_set_free(from);
    }
    if (!status) status = eg__h5_write(to, at, filled, rows, err);
    free(rows);
    eg__h5_set_free(to);
    return status;
}

static enum eg_status lay_out(struct eg_h5 *h5, const struct merge *merge, bool copy, struct eg_error *err)
{
    struct eg_h5_source *sources = eg__alloc(merge->n, sizeof *sources);
    if (!sources) return eg__fail_memory(err, "the shards' names");
    for (size_t i = 0; i < merge->n; i++)
        sources[i] = (struct eg_h5_source){eg__path_last(merge->names[i]), merge->shards[i]->spec.n_rows};
    enum eg_status status =
        eg__store_layout(h5, &merge->spec, copy ? NULL : sources, copy ? 0 : merge->n, err);
    free(sources);
    if (!status) status = write_reasons(h5, merge, err);
    if (!status) status = write_history(h5, merge, err);
    for (size_t cut = 0; !status && copy && cut < merge->spec.n_cuts; cut++) {
        char name[512];
        snprintf(name, sizeof name, "/cuts/%s", merge->spec.cuts[cut].name);
        status = copy_set(h5, merge, name, err);
    }
    if (!status && copy) status = copy_set(h5, merge, "hashes", err);
    if (!status && copy) status = copy_set(h5, merge, "status", err);
    return status;
}

static enum eg_status write_merged(struct merge *merge, bool copy, bool overwrite, struct eg_error *err)
{
    struct eg_h5 *h5;
    if (!copy) merge->spec.deflate = 0;
    enum eg_status status = eg__h5_create(merge->path, overwrite, &h5, err);
    if (status) return status;
    status = lay_out(h5, merge, copy, err);
    if (!status) return eg__h5_publish(h5, err);
    enum eg_status ignored = eg__h5_close(h5, NULL);
    (void)ignored;
    return status;
}

enum eg_status eg__store_merge(const char *path, const char *const *shards, size_t n_shards, bool copy,
                               bool overwrite, const char *command, struct eg_error *err)
{
    if (!n_shards) return eg__fail(err, EG_E_ARGUMENT, "no shards were given to merge");
    struct merge merge = {.path = path,
                          .n = n_shards,
                          .shards = eg__zalloc(n_shards, sizeof(struct eg_store *)),
                          .names = eg__zalloc(n_shards, sizeof(char *))};
    enum eg_status status = merge.shards && merge.names ? EG_OK : eg__fail_memory(err, "the shards");
    if (!status) status = open_shards(&merge, shards, err);
    if (!status) status = check_alike(&merge, err);
    if (!status && !copy) status = check_folder(&merge, err);
    if (!status) status = join(&merge, command, err);
    if (!status) status = write_merged(&merge, copy, overwrite, err);
    merge_release(&merge);
    return status;
}
