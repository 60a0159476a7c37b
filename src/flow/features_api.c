/* features_api.c: the feature file and lists of photos, as a library user meets them. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/versioned.h"
#include "flow/flow.h"
#include "image/photo.h"

/* ---- features ------------------------------------------------------------------ */

enum eg_status eg_features_open(const char *path, eg_features **features, struct eg_error *err)
{
    return eg__store_open(path, features, err);
}

enum eg_status eg_features_merge(const char *path, const char *const *shards, size_t n_shards, bool copy,
                                 bool overwrite, const char *command, struct eg_error *err)
{
    return eg__store_merge(path, shards, n_shards, copy, overwrite, command, err);
}

enum eg_status eg_features_duplicates(eg_features *features, size_t cut, double cosine, eg_pool *pool,
                                      eg_progress_fn *progress, void *user, struct eg_groups *groups,
                                      struct eg_error *err)
{
    if (cosine > 0)
        return eg__store_near_duplicates(features, cut, cosine, 0, pool, progress, user, groups, err);
    return eg__store_duplicates(features, groups, err);
}

enum eg_status eg_features_contradictions(eg_features *features, struct eg_contradiction **contradictions,
                                          size_t *n, struct eg_error *err)
{
    const struct eg_store_spec *spec = eg__store_spec(features);
    struct eg_groups groups = {0};
    struct eg_contradiction *list = NULL;
    size_t found = 0;
    enum eg_status status = spec->n_classes > 1 ? eg__store_duplicates(features, &groups, err) : EG_OK;
    if (status == EG_E_NOT_FOUND) status = EG_OK; /* another program's file: it has no hashes */
    if (status) return status;
    if (groups.n && !(list = eg__alloc(groups.starts[groups.n], sizeof *list)))
        status = eg__fail_memory(err, "a list of photos");
    for (size_t g = 0; !status && g < groups.n; g++) {
        size_t first = SIZE_MAX; /* with a label */
        for (size_t i = groups.starts[g]; i < groups.starts[g + 1]; i++) {
            size_t row = groups.rows[i];
            if (spec->labels[row] < 0) continue;
            if (first == SIZE_MAX) first = row;
            if (spec->labels[row] == spec->labels[first]) continue;
            list[found++] = (struct eg_contradiction){spec->paths[first], spec->paths[row],
                                                      spec->classes[spec->labels[first]],
                                                      spec->classes[spec->labels[row]]};
        }
    }
    eg_groups_release(&groups);
    if (status) return status;
    if (!found) {
        free(list);
        list = NULL;
    }
    *contradictions = list;
    *n = found;
    return EG_OK;
}

void eg_features_close(eg_features *features)
{
    if (features && eg__store_close(features, NULL)) return; /* nothing was written that could be lost */
}

struct eg_features_info eg_features_info(const eg_features *features)
{
    const struct eg_store_spec *s = eg__store_spec(features);
    struct eg_features_info info = {.network = s->network,
                                    .weights_sha256 = s->weights_sha256,
                                    .recipe = s->recipe,
                                    .root = s->root,
                                    .command = s->command,
                                    .n_rows = s->n_rows,
                                    .n_cuts = s->n_cuts,
                                    .n_classes = s->n_classes,
                                    .classes = s->classes};
    const uint8_t *status = eg__store_status(features);
    for (size_t i = 0; i < s->n_rows; i++) {
        info.n_done += status[i] == EG_ROW_DONE;
        info.n_waiting += status[i] == EG_ROW_WAITING;
        info.n_unreadable += status[i] == EG_ROW_UNREADABLE;
        info.n_vanished += status[i] == EG_ROW_VANISHED;
    }
    return info;
}

struct eg_features_cut eg_features_cut(const eg_features *features, size_t cut)
{
    const struct eg_cut_info *c = &eg__store_spec(features)->cuts[cut];
    return (struct eg_features_cut){.name = c->name,
                                    .layer = c->layer,
                                    .op = c->op,
                                    .shape = {3, {c->shape[0], c->shape[1], c->shape[2]}},
                                    .order = c->order,
                                    .pool = c->pool,
                                    .length = c->length,
                                    .half = c->half,
                                    .deflate = eg__store_spec(features)->deflate,
                                    .stored_bytes = eg__store_cut_bytes(features, cut)};
}

enum eg_status eg_features_find_cut(const eg_features *features, const char *name, size_t *cut,
                                    struct eg_error *err)
{
    return eg__store_find_cut(features, name, cut, err);
}

struct eg_features_row eg_features_row(const eg_features *features, size_t row)
{
    static const char *const names[] = {"waiting", "done", "unreadable", "vanished"};
    const struct eg_store_spec *s = eg__store_spec(features);
    uint8_t status = eg__store_status(features)[row];
    return (struct eg_features_row){.path = s->paths[row],
                                    .label = s->labels[row],
                                    .status = names[status],
                                    .reason =
                                        status == EG_ROW_UNREADABLE ? eg__store_reason(features, row) : NULL};
}

enum eg_status eg_features_read(eg_features *features, size_t cut, size_t first, size_t count, float *out,
                                struct eg_error *err)
{
    return eg__store_read(features, cut, first, count, out, err);
}

enum eg_status eg_features_history(eg_features *features, struct eg_history **records, size_t *n,
                                   struct eg_error *err)
{
    return eg__store_history(features, records, n, err);
}

/* NPY 1.0: magic, version, length of the header, the header as a Python literal padded with
 * spaces to a multiple of 64, the numbers. */
static void write_npy_header(FILE *to, size_t n, size_t d)
{
    char header[128];
    int length = snprintf(header, sizeof header,
                          "{'descr': '<f4', 'fortran_order': False, 'shape': (%zu, %zu), }", n, d);
    int padded = (10 + length + 1 + 63) / 64 * 64 - 10;
    fwrite("\x93NUMPY\x01\x00", 1, 8, to);
    fputc(padded & 255, to);
    fputc(padded >> 8, to);
    fprintf(to, "%-*s\n", padded - 1, header);
}

enum eg_status eg_features_save_npy(eg_features *features, size_t cut, const size_t *rows, size_t n_rows,
                                    const char *path, bool overwrite, struct eg_error *err)
{
    enum { BLOCK = 64 };
    size_t d = eg__store_spec(features)->cuts[cut].length;
    float *block = eg__alloc(BLOCK * d, sizeof *block);
    if (!block) return eg__fail_memory(err, "rows");
    struct eg_outfile file;
    enum eg_status status = eg__outfile_open(path, overwrite, &file, err);
    if (status) {
        free(block);
        return status;
    }
    write_npy_header(file.stream, n_rows, d);
    for (size_t first = 0; first < n_rows && !status; first += BLOCK) {
        size_t count = n_rows - first < BLOCK ? n_rows - first : BLOCK;
        status = eg__store_gather(features, cut, rows + first, count, block, err);
        if (!status && fwrite(block, d * sizeof *block, count, file.stream) != count)
            status = eg__fail(err, EG_E_IO, "cannot write '%s': %s", path, strerror(errno));
    }
    free(block);
    if (status)
        eg__outfile_abandon(&file);
    else
        status = eg__outfile_commit(&file, err);
    return status;
}

/* ---- datasets -------------------------------------------------------------------- */

enum eg_status eg_dataset_open(const char *path, eg_dataset **dataset, struct eg_error *err)
{
    return eg__dataset_open(path, dataset, err);
}

enum eg_status eg_dataset_list(const char *const *paths, size_t n_paths, eg_dataset **dataset,
                               struct eg_error *err)
{
    return eg__dataset_list(paths, n_paths, dataset, err);
}

void eg_dataset_keep(eg_dataset *dataset, eg_keep_fn *keep, void *user)
{
    eg__dataset_keep(dataset, keep, user);
}

size_t eg_dataset_count(const eg_dataset *dataset) { return dataset->n_items; }
enum eg_status eg_dataset_scan(const char *const *paths, size_t n_paths,
                               const struct eg_dataset_options *options, eg_dataset **dataset,
                               struct eg_error *err)
{
    struct eg_dataset_options own;
    enum eg_status status = eg__options(&own, sizeof own, options, err);
    return status ? status : eg__dataset_scan(paths, n_paths, &own, dataset, err);
}

enum eg_status eg_dataset_stream(int fd, const struct eg_dataset_options *options, eg_dataset **dataset,
                                 struct eg_error *err)
{
    struct eg_dataset_options own;
    enum eg_status status = eg__options(&own, sizeof own, options, err);
    return status ? status : eg__dataset_stream(fd, &own, dataset, err);
}

size_t eg_dataset_ignored(const eg_dataset *dataset) { return dataset->n_ignored; }

size_t eg_dataset_ignored_kinds(const eg_dataset *dataset) { return dataset->n_ignored_kinds; }

struct eg_ignored eg_dataset_ignored_kind(const eg_dataset *dataset, size_t index)
{
    const struct eg_ignored_kind *k = &dataset->ignored[index];
    return (struct eg_ignored){k->kind, k->n, k->example, k->advice};
}

const char *eg_dataset_remark(const eg_dataset *dataset, size_t index)
{
    return index < dataset->n_remarks ? dataset->remarks[index] : NULL;
}
size_t eg_dataset_class_count(const eg_dataset *dataset) { return dataset->n_classes; }
const char *eg_dataset_class_name(const eg_dataset *dataset, size_t label) { return dataset->classes[label]; }

const char *eg_dataset_path(const eg_dataset *dataset, size_t index, int32_t *label)
{
    if (label) *label = dataset->items[index].label;
    return dataset->items[index].path;
}

void eg_dataset_free(eg_dataset *dataset) { eg__dataset_free(dataset); }
