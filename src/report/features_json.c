/* features_json.c: what a feature file holds, and what was found in one, as JSON documents. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "report/json_text.h"

static json_t *json_numbers(const size_t *numbers, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) json_array_append_new(list, json_integer((json_int_t)numbers[i]));
    return list;
}

static json_t *json_shard(const struct eg_shard_file *f)
{
    if (f->error)
        return json_pack("{s:o,s:o}", "file", eg__json_text(f->file), "error", eg__json_text(f->error));
    return json_pack("{s:o,s:o,s:b,s:I,s:I,s:I,s:I}", "file", eg__json_text(f->file), "shard",
                     f->whole ? json_null() : json_integer((json_int_t)f->shard), "made_otherwise",
                     f->made_otherwise, "rows", (json_int_t)f->rows, "done", (json_int_t)f->done, "waiting",
                     (json_int_t)f->waiting, "unreadable_count", (json_int_t)f->unreadable);
}

char *eg_shards_report_json(const struct eg_shards_report *r)
{
    json_t *files = json_array();
    for (size_t i = 0; i < r->n_files; i++) json_array_append_new(files, json_shard(&r->files[i]));
    return eg__json_document(json_pack(
        "{s:s,s:o,s:I,s:I,s:I,s:I,s:o,s:o,s:b,s:o}", "kind", "shards", "shards",
        r->n_shards ? json_integer((json_int_t)r->n_shards) : json_null(), "rows", (json_int_t)r->rows,
        "done", (json_int_t)r->done, "waiting", (json_int_t)r->waiting, "unreadable_count",
        (json_int_t)r->unreadable, "missing", json_numbers(r->missing, r->n_missing), "twice",
        json_numbers(r->twice, r->n_twice), "complete", r->complete, "files", files));
}

static enum eg_status give(json_t *json, char **text, struct eg_error *err)
{
    char *made = eg__json_document(json);
    if (!made) return eg__fail_memory(err, "a document");
    *text = made;
    return EG_OK;
}

/* ---- what it holds ------------------------------------------------------------------------------ */

double eg_features_cut_stored(struct eg_features_cut cut, size_t n_rows)
{
    return cut.stored_bytes && n_rows
               ? (double)cut.stored_bytes / ((double)cut.length * (cut.half ? 2 : 4)) / (double)n_rows
               : NAN;
}

static json_t *cuts_json(const eg_features *features, const struct eg_features_info *info)
{
    json_t *cuts = json_array();
    for (size_t i = 0; i < info->n_cuts; i++) {
        struct eg_features_cut cut = eg_features_cut(features, i);
        json_t *stored = cut.stored_bytes ? json_integer((json_int_t)cut.stored_bytes) : json_null();
        json_array_append_new(
            cuts, json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:I,s:s,s:i,s:o,s:o}", "name", eg__json_text(cut.name),
                            "layer", eg__json_text(cut.layer), "operator", eg__json_text(cut.op), "shape",
                            eg__json_shape(cut.shape), "order", eg__json_text(cut.order), "pool",
                            eg__json_text(cut.pool), "length", (json_int_t)cut.length, "type",
                            cut.half ? "f16" : "f32", "deflate", (int)cut.deflate, "stored_bytes", stored,
                            "compression",
                            eg__json_number(cut.deflate ? eg_features_cut_stored(cut, info->n_rows) : NAN)));
    }
    return cuts;
}

static json_t *runs_json(const struct eg_history *history, size_t n)
{
    json_t *runs = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(
            runs, json_pack("{s:o,s:o,s:o,s:o,s:I}", "date", eg__json_text(history[i].date), "command",
                            eg__json_text(history[i].command), "version", eg__json_text(history[i].version),
                            "isa", eg__json_text(history[i].isa), "rows", (json_int_t)history[i].rows));
    return runs;
}

/* counts [n_classes + 1]: the last of rows without a label. */
static json_t *classes_json(const struct eg_features_info *info, const size_t *counts)
{
    json_t *classes = json_array();
    for (size_t k = 0; k < info->n_classes; k++)
        json_array_append_new(classes, json_pack("{s:o,s:I}", "name", eg__json_text(info->classes[k]), "rows",
                                                 (json_int_t)counts[k]));
    return classes;
}

enum eg_status eg_features_json(eg_features *features, char **text, struct eg_error *err)
{
    struct eg_features_info info = eg_features_info(features);
    struct eg_history *history = NULL;
    size_t n_history = 0, *counts = eg__zalloc(info.n_classes + 1, sizeof *counts);
    if (!counts) return eg__fail_memory(err, "classes");
    enum eg_status status = eg_features_history(features, &history, &n_history, err);
    if (status) {
        free(counts);
        return status;
    }
    json_t *unreadable = json_array();
    for (size_t i = 0; i < info.n_rows; i++) {
        struct eg_features_row row = eg_features_row(features, i);
        counts[row.label < 0 ? info.n_classes : (size_t)row.label]++;
        if (!strcmp(row.status, "unreadable"))
            json_array_append_new(unreadable, json_pack("{s:o,s:o}", "path", eg__json_text(row.path),
                                                        "reason", eg__json_text(row.reason)));
    }
    json_t *json = json_pack(
        "{s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "kind", "features", "rows",
        (json_int_t)info.n_rows, "done", (json_int_t)info.n_done, "waiting", (json_int_t)info.n_waiting,
        "vanished", (json_int_t)info.n_vanished, "unlabelled", (json_int_t)counts[info.n_classes],
        "unreadable_count", (json_int_t)info.n_unreadable, "unreadable", unreadable, "classes",
        classes_json(&info, counts), "cuts", cuts_json(features, &info), "network",
        eg__json_text(info.network), "weights_sha256", eg__json_text(info.weights_sha256), "recipe",
        eg__json_parsed(info.recipe), "root", eg__json_text(info.root), "command",
        eg__json_text(info.command), "history", runs_json(history, n_history));
    free(counts);
    free(history);
    return give(json, text, err);
}

/* ---- what was found in it ---------------------------------------------------------------------------- */

static json_t *groups_json(const eg_features *features, const struct eg_groups *groups)
{
    json_t *list = json_array();
    for (size_t g = 0; g < groups->n; g++) {
        json_t *group = json_array();
        for (size_t i = groups->starts[g]; i < groups->starts[g + 1]; i++)
            json_array_append_new(group,
                                  json_pack("{s:I,s:o}", "row", (json_int_t)groups->rows[i], "path",
                                            eg__json_text(eg_features_row(features, groups->rows[i]).path)));
        json_array_append_new(list, group);
    }
    return list;
}

char *eg_duplicates_json(const eg_features *features, const struct eg_groups *exact,
                         const struct eg_groups *near, double cosine)
{
    return eg__json_document(json_pack("{s:o,s:f,s:o}", "exact", groups_json(features, exact), "cosine",
                                       cosine, "near", groups_json(features, near)));
}

char *eg_check_report_json(const struct eg_check_report *report)
{
    double largest = report->n_recomputed ? report->largest_difference : NAN;
    return eg__json_document(json_pack(
        "{s:s,s:I,s:I,s:I,s:o,s:I,s:o}", "kind", "check", "rows", (json_int_t)report->n_rows, "recomputed",
        (json_int_t)report->n_recomputed, "identical", (json_int_t)report->n_identical, "largest_difference",
        eg__json_number(largest), "problem_count", (json_int_t)report->n_problems, "problems",
        eg__json_skipped(report->problems, report->n_listed)));
}

char *eg_merge_json(const eg_features *merged, const char *output, size_t n_shards, bool copy)
{
    return eg__json_document(json_pack("{s:o,s:I,s:I,s:b}", "output", eg__json_text(output), "rows",
                                       (json_int_t)eg_features_info(merged).n_rows, "shards",
                                       (json_int_t)n_shards, "copy", copy));
}

/* ---- its rows ------------------------------------------------------------------------------------------ */

static json_t *row_json(const eg_features *features, const struct eg_features_info *info, size_t row,
                        const float *values, size_t length)
{
    struct eg_features_row r = eg_features_row(features, row);
    bool done = !strcmp(r.status, "done");
    json_t *numbers = done ? json_array() : json_null();
    for (size_t i = 0; done && i < length; i++)
        json_array_append_new(numbers, eg__json_number((double)values[i]));
    return json_pack("{s:I,s:o,s:o,s:s,s:o,s:o}", "row", (json_int_t)row, "path", eg__json_text(r.path),
                     "label", eg__json_text(r.label < 0 ? NULL : info->classes[r.label]), "status", r.status,
                     "reason", eg__json_text(r.reason), "features", numbers);
}

enum eg_status eg_features_rows_json(eg_features *features, size_t cut, const size_t *rows, size_t n_rows,
                                     char **text, struct eg_error *err)
{
    struct eg_features_info info = eg_features_info(features);
    size_t length = eg_features_cut(features, cut).length;
    float *values = eg__alloc(length + 1, sizeof *values);
    if (!values) return eg__fail_memory(err, "a row");
    json_t *list = json_array();
    enum eg_status status = EG_OK;
    for (size_t i = 0; i < n_rows && !status; i++) {
        status = eg_features_read(features, cut, rows[i], 1, values, err);
        if (!status) json_array_append_new(list, row_json(features, &info, rows[i], values, length));
    }
    free(values);
    if (!status) return give(list, text, err);
    json_decref(list);
    return status;
}
