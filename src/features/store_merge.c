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

/* A shard is looked at and closed again, so that there may be more of them than files can be open. */
struct part {
    const char *name;             /* as given */
    char **paths, **reason_names; /* one block each */
    size_t n_rows, n_reason_names;
    int32_t *labels;
    uint8_t *status, *reasons; /* [n_rows] */
    struct eg_history *history;
    size_t n_history;
};

struct merge {
    const char *path;
    struct part *parts; /* in their order */
    size_t n;
    bool without_thumbs;    /* some have no small pictures */
    bool stamped;           /* all shards have stamps (those of version 0.1 do not) */
    struct eg_store *model; /* the shard that was given first, open: the others have to be like it */
    const char *model_name;
    struct eg_store_spec spec; /* of the whole; its strings are model's and the parts' */
    const char **paths;
    int32_t *labels;
    char **reason_names;
    uint8_t *reasons;
};

static void merge_release(struct merge *merge)
{
    for (size_t i = 0; merge->parts && i < merge->n; i++) {
        struct part *part = &merge->parts[i];
        free(part->paths);
        free(part->reason_names);
        free(part->labels);
        free(part->status);
        free(part->reasons);
        free(part->history);
    }
    free(merge->parts);
    if (merge->model) eg__store_discard(merge->model);
    free(merge->paths);
    free(merge->labels);
    free(merge->reason_names);
    free(merge->reasons);
}

static enum eg_status check_shard(const struct eg_store *shard, const char *name, struct eg_error *err)
{
    if (shard->foreign)
        return eg__fail(err, EG_E_FORMAT, "'%s' is another program's file, not a shard", name);
    if (eg__h5_set_shape(shard->cut_sets[0])->is_virtual)
        return eg__fail(err, EG_E_FORMAT, "'%s' joins shards itself (give those)", name);
    size_t waiting = 0;
    for (size_t i = 0; i < shard->spec.n_rows; i++) waiting += shard->status[i] == EG_ROW_WAITING;
    if (!waiting) return EG_OK;
    return eg__fail(err, EG_E_ARGUMENT,
                    "shard '%s' still has %zu of %zu images to do (run it to its end first)", name, waiting,
                    shard->spec.n_rows);
}

static enum eg_status check_alike(const struct merge *merge, const struct eg_store *shard, const char *name,
                                  struct eg_error *err)
{
    const struct eg_store_spec *first = &merge->model->spec;
    enum eg_status status = eg__store_compare_making(shard, first, err);
    if (status)
        return eg__fail_within(err, EG_E_ARGUMENT, "shards '%s' and '%s' do not fit together",
                               merge->model_name, name);
    bool same = shard->spec.n_classes == first->n_classes;
    for (size_t k = 0; same && k < first->n_classes; k++)
        same = !strcmp(first->classes[k], shard->spec.classes[k]);
    if (same) return EG_OK;
    return eg__fail(err, EG_E_ARGUMENT, "shards '%s' and '%s' have different classes", merge->model_name,
                    name);
}

/* Into the place that its own number says; files that are no shards, in the order given. What
 * the store knows of its rows moves over. */
static enum eg_status place(struct merge *merge, struct eg_store *shard, const char *name, size_t given,
                            struct eg_error *err)
{
    size_t at = shard->spec.n_shards ? shard->spec.shard : given;
    if (shard->spec.n_shards && shard->spec.n_shards != merge->n)
        return eg__fail(err, EG_E_ARGUMENT, "'%s' is shard %zu of %zu, and %zu were given (give all of them)",
                        name, shard->spec.shard, shard->spec.n_shards, merge->n);
    if (at >= merge->n || merge->parts[at].name)
        return eg__fail(err, EG_E_ARGUMENT, "'%s' and '%s' are the same shard, %zu", name,
                        at < merge->n ? merge->parts[at].name : "", at);
    struct part *part = &merge->parts[at];
    merge->stamped = merge->stamped && shard->stamps;
    merge->without_thumbs = merge->without_thumbs || !shard->thumbs;
    enum eg_status status = eg__store_history(shard, &part->history, &part->n_history, err);
    if (status) return status;
    *part = (struct part){.name = name,
                          .paths = shard->paths,
                          .reason_names = shard->reason_names,
                          .n_rows = shard->spec.n_rows,
                          .n_reason_names = shard->n_reason_names,
                          .labels = shard->labels,
                          .status = shard->status,
                          .reasons = shard->reasons,
                          .history = part->history,
                          .n_history = part->n_history};
    shard->paths = shard->reason_names = NULL;
    shard->labels = NULL;
    shard->status = shard->reasons = NULL;
    return EG_OK;
}

static enum eg_status read_shards(struct merge *merge, const char *const *names, struct eg_error *err)
{
    for (size_t i = 0; i < merge->n; i++) {
        struct eg_store *shard;
        enum eg_status status = eg__store_open(names[i], &shard, err);
        if (status) return status;
        status = check_shard(shard, names[i], err);
        if (!status && merge->model) status = check_alike(merge, shard, names[i], err);
        if (!status) status = place(merge, shard, names[i], i, err);
        if (status || merge->model) {
            eg__store_discard(shard);
        } else {
            merge->model = shard;
            merge->model_name = names[i];
        }
        if (status) return status;
    }
    return EG_OK;
}

static const char *reason_of(const struct part *part, size_t row)
{
    if (part->status[row] != EG_ROW_UNREADABLE) return NULL;
    size_t reason = part->reasons[row];
    return reason < part->n_reason_names && part->reason_names[reason][0] ? part->reason_names[reason]
                                                                          : "unreadable";
}

/* Everything about all rows but their values. */
static enum eg_status join(struct merge *merge, const char *command, struct eg_error *err)
{
    size_t n = 0;
    for (size_t i = 0; i < merge->n; i++) n += merge->parts[i].n_rows;
    merge->spec = merge->model->spec;
    merge->spec.n_rows = n;
    merge->spec.thumbnails = !merge->without_thumbs;
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
        for (size_t row = 0; row < merge->parts[i].n_rows; row++, at++) {
            merge->paths[at] = merge->parts[i].paths[row];
            merge->labels[at] = merge->parts[i].labels[row];
            const char *reason = reason_of(&merge->parts[i], row);
            enum eg_status status = reason ? eg__store_add_reason(&merge->reason_names, MAX_REASONS, reason,
                                                                  &merge->reasons[at], &changed, err)
                                           : EG_OK;
            if (status) return status;
        }
    return EG_OK;
}

enum eg_status eg__store_check_shard_names(const char *const *shards, size_t n_shards, struct eg_error *err)
{
    for (size_t i = 0; i < n_shards; i++)
        if (!eg__h5_is_source_name(eg__path_last(shards[i])))
            return eg__fail(
                err, EG_E_ARGUMENT,
                "a file cannot join '%s' by that name (no '%%', no '.' in front, at most 255 bytes)",
                shards[i]);
    return EG_OK;
}

/* Shards are named without a folder: they have to be where the master is. */
static enum eg_status check_folder(const struct merge *merge, struct eg_error *err)
{
    enum eg_status status = EG_OK;
    for (size_t i = 0; !status && i < merge->n; i++) {
        const char *name = merge->parts[i].name;
        char *a = strdup(merge->path), *b = realpath(name, NULL);
        char *home = a ? realpath(dirname(a), NULL) : NULL;
        if (!home || !b || strcmp(dirname(b), home))
            status = eg__fail_for(err, EG_E_ARGUMENT, EG_REASON_SHARD_ELSEWHERE,
                                  "shard '%s' is not in the folder of '%s'", name, merge->path);
        if (!status) status = eg__store_check_shard_names(&name, 1, err);
        free(a);
        free(b);
        free(home);
    }
    return status;
}

enum eg_status eg__store_joins(const char *path, const char *const *shards, size_t n_shards, bool *joins)
{
    char **names;
    size_t n;
    enum eg_status status = eg__h5_sources(path, &names, &n, NULL);
    if (status) return status;
    bool same = n == n_shards;
    for (size_t i = 0; same && i < n; i++) same = !strcmp(names[i], eg__path_last(shards[i]));
    free(names);
    *joins = same;
    return EG_OK;
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
        size_t n = merge->parts[i].n_history;
        if (at + n > eg__h5_set_shape(set)->dims[0]) status = eg__h5_extend(set, at + n, err);
        if (!status) status = eg__h5_write(set, at, n, merge->parts[i].history, err);
        at += n;
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
        struct eg_h5 *shard;
        struct eg_h5_set *from = NULL;
        status = eg__h5_open(merge->parts[i].name, false, &shard, err);
        if (status) break;
        status = eg__h5_set_open(shard, name, &from, err);
        if (!status && eg__h5_set_row_length(from) * eg__h5_set_shape(from)->bytes != row_bytes)
            status = eg__fail(err, EG_E_IO, "shard '%s' has just been changed (merge again)",
                              merge->parts[i].name);
        size_t n = merge->parts[i].n_rows;
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
        enum eg_status closed = eg__h5_close(shard, status ? NULL : err);
        if (!status) status = closed;
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
        sources[i] = (struct eg_h5_source){eg__path_last(merge->parts[i].name), merge->parts[i].n_rows};
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
    if (!status && copy && merge->spec.thumbnails) status = copy_set(h5, merge, "thumbnails", err);
    if (!status && merge->stamped) status = copy_set(h5, merge, "stamps", err);
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
    struct merge merge = {
        .path = path, .n = n_shards, .stamped = true, .parts = eg__zalloc(n_shards, sizeof *merge.parts)};
    enum eg_status status = merge.parts ? EG_OK : eg__fail_memory(err, "the shards");
    if (!status) status = read_shards(&merge, shards, err);
    if (!status && !copy) status = check_folder(&merge, err);
    if (!status) status = join(&merge, command, err);
    if (!status) status = write_merged(&merge, copy, overwrite, err);
    merge_release(&merge);
    return status;
}
