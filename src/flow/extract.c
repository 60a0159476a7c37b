/* extract.c: photos to rows of a feature file. Rows that are done are left alone, so a call
 * that was stopped goes on where it was. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/versioned.h"
#include "flow/extract_targets.h"
#include "flow/extraction.h"
#include "image/photo.h"

enum { DEFAULT_BATCH = 8 };

enum eg_status eg__extraction_prepare(struct eg_extraction *e, const struct eg_net *net,
                                      const struct eg_dataset *images, const struct eg_recipe *recipe,
                                      struct eg_error *err)
{
    static const struct eg_run_cuts default_cut;
    const struct eg_extract_options *o = e->options;
    e->batch = o->batch ? o->batch : DEFAULT_BATCH;
    struct eg_predictor_make how = {
        .net = net,
        .recipe = net->has_recipe ? recipe : NULL,
        .wanted = {.cuts = o->cuts ? o->cuts : &default_cut, .batch = e->batch},
        .pool = o->pool,
    };
    enum eg_status status = eg__predictor_of_dataset(&how, images, &e->predictor, err);
    if (status) return status;
    const struct eg_cut_plan *plan = &e->predictor->prepared->plan;
    e->feeder = &e->predictor->feeder;
    e->n_cuts = plan->n;
    e->infos = eg__alloc(plan->n, sizeof *e->infos);
    if (!e->infos) return eg__fail_memory(err, "cuts");
    memcpy(e->infos, plan->infos, plan->n * sizeof *e->infos);
    for (size_t i = 0; i < e->n_cuts; i++) e->infos[i].half = o->half;
    return EG_OK;
}

void eg__extraction_release(struct eg_extraction *e)
{
    eg__append_release(&e->todo);
    eg_predictor_free(e->predictor);
    free(e->infos);
    free(e->recipe_json);
}

/* ---- the file ------------------------------------------------------------------------ */

struct contents { /* of every photo, before it is known which are new */
    uint8_t (*hashes)[32];
    int64_t (*stamps)[2];
    bool *known; /* the file knows it by its stamp */
};

static void contents_release(struct contents *c)
{
    free(c->hashes);
    free(c->stamps);
    free(c->known);
}

static enum eg_status hash_photos(const struct eg_extract_options *o, const struct eg_dataset *images,
                                  struct contents *c, struct eg_error *err)
{
    enum eg_status status = EG_OK;
    for (size_t i = 0; i < images->n_items && !status; i++) {
        uint8_t *bytes;
        size_t n_bytes;
        /* unreadable: zeros, told later */
        if (!c->known[i] && !eg__dataset_read(images, i, &bytes, &n_bytes, NULL)) {
            status = eg__sha256(bytes, n_bytes, c->hashes[i], err);
            free(bytes);
        }
        if (!status && o->progress && !o->progress(o->user, 0, images->n_items))
            status = eg__fail(err, EG_E_CANCELLED, "stopped");
    }
    return status;
}

static enum eg_status know_photos(const struct eg_extract_options *o, const struct eg_store_spec *spec,
                                  const struct eg_dataset *images, const char *path, struct contents *c,
                                  struct eg_error *err)
{
    size_t n = images->n_items;
    if (images->is_array)
        return eg__fail(err, EG_E_UNSUPPORTED,
                        "an array cannot be appended: rows of it have no names that last");
    c->hashes = eg__zalloc(n, sizeof *c->hashes);
    c->stamps = eg__zalloc(n, sizeof *c->stamps);
    c->known = eg__zalloc(n, sizeof *c->known);
    if (!c->hashes || !c->stamps || !c->known) return eg__fail_memory(err, "the photos' hashes");
    for (size_t i = 0; i < n; i++) eg__dataset_stamp(images, i, c->stamps[i]);
    enum eg_status status =
        eg__store_known(path, spec->paths, n, (const int64_t(*)[2])c->stamps, c->hashes, c->known, err);
    return status ? status : hash_photos(o, images, c, err);
}

/* Rows that were read again only to be found the same: the next time they need not be. */
static enum eg_status keep_stamps(struct eg_extraction *e, const struct contents *c, size_t n,
                                  struct eg_error *err)
{
    enum eg_status status = EG_OK;
    for (size_t i = 0; !status && i < n; i++)
        if (!c->known[i]) {
            size_t row = e->todo.row_of ? e->todo.row_of[i] : i;
            status = eg__store_put_stamps(e->store, &row, 1, (const int64_t(*)[2])(c->stamps + i), err);
        }
    return status;
}

static enum eg_status begin_append(struct eg_extraction *e, const struct eg_store_spec *spec,
                                   const struct eg_dataset *images, const char *path, struct eg_error *err)
{
    struct contents c = {0};
    enum eg_status status = know_photos(e->options, spec, images, path, &c, err);
    if (!status)
        status = eg__store_append(path, spec, (const uint8_t(*)[32])c.hashes, &e->store, &e->todo, err);
    if (!status) status = keep_stamps(e, &c, spec->n_rows, err);
    contents_release(&c);
    return status;
}

static enum eg_status begin_plain(struct eg_extraction *e, const struct eg_store_spec *spec,
                                  size_t first_image, const char *path, struct eg_error *err)
{
    enum eg_status status = eg__store_write(path, spec, e->options->overwrite, &e->store, err);
    if (status) return status;
    e->todo.rows = eg__alloc(spec->n_rows, sizeof *e->todo.rows);
    e->todo.images = eg__alloc(spec->n_rows, sizeof *e->todo.images);
    if (!e->todo.rows || !e->todo.images) return eg__fail_memory(err, "the list of rows");
    for (size_t i = 0; i < spec->n_rows; i++)
        if (eg__store_status(e->store)[i] == EG_ROW_WAITING) {
            e->todo.rows[e->todo.n] = i;
            e->todo.images[e->todo.n++] = first_image + i;
        }
    return EG_OK;
}

/* Said before hours of work rather than after. How far rows can be compressed nobody knows yet. */
static enum eg_status check_room(const struct eg_extraction *e, const char *path, size_t n_rows,
                                 struct eg_error *err)
{
    if (e->options->deflate) return EG_OK;
    return eg__extract_check_room(path, eg__extract_bytes(e->infos, e->n_cuts, e->options->half, n_rows),
                                  err);
}

enum eg_status eg__extraction_spec(struct eg_extraction *e, const struct eg_net *net,
                                   const struct eg_recipe *recipe, struct eg_store_spec *spec,
                                   struct eg_error *err)
{
    const struct eg_extract_options *o = e->options;
    if (net->graph->weights_path || net->bytes) {
        enum eg_status status = eg_net_weights_sha256(net, e->hash, err);
        if (status) return status;
    }
    e->recipe_json = net->has_recipe ? eg__recipe_json(recipe) : strdup("");
    if (!e->recipe_json) return eg__fail_memory(err, "a recipe");
    *spec = (struct eg_store_spec){
        .network = eg_net_name(net),
        .weights_sha256 = e->hash,
        .recipe = e->recipe_json,
        .command = o->command ? o->command : "",
        .model = net->model,
        .isa = eg_cpu(),
        .cuts = e->infos,
        .n_cuts = e->n_cuts,
        .deflate = o->deflate,
        .same_recipe = eg__recipe_same,
        .half_shared = o->update,
        .thumbnails = o->thumbnails,
    };
    return EG_OK;
}

static enum eg_status open_store(struct eg_extraction *e, const struct eg_net *net,
                                 const struct eg_dataset *images, const struct eg_recipe *recipe,
                                 const char *path, struct eg_error *err)
{
    const struct eg_extract_options *o = e->options;
    size_t first = 0, count = images->n_items;
    if (o->n_shards) eg__shard_range(images->n_items, o->shard, o->n_shards, &first, &count);
    bool append = (o->append || (o->update && !images->is_array)) && !o->overwrite;
    if (o->n_shards && (append || !count))
        return eg__fail(err, EG_E_ARGUMENT,
                        append ? "a shard cannot be appended to (extract it anew)"
                               : "shard %zu of %zu has no photos (use fewer shards)",
                        o->shard, o->n_shards);
    const char **paths = eg__alloc(count, sizeof *paths);
    int32_t *labels = eg__alloc(count, sizeof *labels);
    struct eg_store_spec spec;
    struct eg_extract_labels split = {0};
    enum eg_status status = paths && labels ? EG_OK : eg__fail_memory(err, "the list of photos");
    if (!status && o->multi_label) status = eg__extract_split(images, o->labels_sep, &split, err);
    if (!status) status = eg__extraction_spec(e, net, recipe, &spec, err);
    if (!status) {
        for (size_t i = 0; i < count; i++) {
            paths[i] = images->items[first + i].path;
            labels[i] = o->multi_label ? split.labels[first + i] : images->items[first + i].label;
        }
        spec.root = images->root;
        spec.paths = paths;
        spec.labels = labels;
        spec.n_rows = count;
        spec.classes = (const char *const *)(o->multi_label ? split.classes : images->classes);
        spec.n_classes = o->multi_label ? split.n_classes : images->n_classes;
        spec.shard = o->shard;
        spec.n_shards = o->n_shards;
        /* Shards of ranks lie together: the first time there must be room for all. */
        bool together = o->ranks && access(path, F_OK);
        status = append ? EG_OK : check_room(e, path, together ? images->n_items : count, err);
        if (!status)
            status =
                append ? begin_append(e, &spec, images, path, err) : begin_plain(e, &spec, first, path, err);
        if (!status && append && e->todo.n)
            status = check_room(e, path, eg__store_spec(e->store)->n_rows, err);
    }
    if (!status) eg__store_use_pool(e->store, o->pool);
    eg__extract_labels_free(&split);
    free(labels);
    free(paths);
    return status;
}

/* Put a batch, in runs of rows that follow each other in the file. */
static enum eg_status put_batch(struct eg_extraction *e, const size_t *rows, size_t n, struct eg_error *err)
{
    const float **values = eg__alloc(e->n_cuts, sizeof *values);
    const char **reasons = eg__alloc(n, sizeof *reasons);
    enum eg_status status = values && reasons ? EG_OK : eg__fail_memory(err, "a batch");
    for (size_t i = 0, count; i < n && !status; i += count) {
        for (count = 1; i + count < n && rows[i + count] == rows[i] + count;) count++;
        for (size_t c = 0; c < e->n_cuts; c++) values[c] = e->predictor->out[c] + i * e->infos[c].length;
        for (size_t k = 0; k < count; k++)
            reasons[k] = e->feeder->reasons[i + k][0] ? e->feeder->reasons[i + k] : NULL;
        status = eg__store_put(e->store, rows[i], count, values,
                               (const uint8_t(*)[32])(e->feeder->hashes + i), reasons, err);
    }
    free(values);
    free(reasons);
    return status;
}

enum eg_status eg__extraction_compute(struct eg_extraction *e, size_t total, struct eg_extract_report *report,
                                      struct eg_error *err)
{
    const struct eg_extract_options *o = e->options;
    enum eg_status status = EG_OK;
    int64_t(*stamps)[2] = eg__alloc(e->batch, sizeof *stamps);
    if (!stamps) return eg__fail_memory(err, "the photos' stamps");
    if (eg__store_spec(e->store)->thumbnails)
        status = eg__feeder_keep_thumbs(&e->predictor->feeder, EG_THUMBNAIL_SIDE, EG_THUMBNAIL_BYTES, err);
    for (size_t at = 0, n; !status && at < e->todo.n; at += n) {
        n = e->todo.n - at < e->batch ? e->todo.n - at : e->batch;
        for (size_t i = 0; i < n; i++)
            eg__dataset_stamp(e->feeder->dataset, e->todo.images[at + i], stamps[i]);
        status = eg__predictor_read(e->predictor, e->todo.images + at, n, err);
        if (!status)
            status = eg__store_put_stamps(e->store, e->todo.rows + at, n, (const int64_t(*)[2])stamps, err);
        if (!status && e->feeder->thumbs)
            status = eg__store_put_thumbs(e->store, e->todo.rows + at, n,
                                          (const uint8_t(*)[EG_THUMBNAIL_BYTES])e->feeder->thumbs, err);
        if (!status) status = put_batch(e, e->todo.rows + at, n, err);
        if (status) break;
        for (size_t i = 0; i < n; i++) report->done += !e->feeder->reasons[i][0];
        e->n_done += n;
        if (o->progress && !o->progress(o->user, e->n_done, total))
            status = eg__fail(err, EG_E_CANCELLED, "stopped");
    }
    free(stamps);
    return status;
}

enum eg_status eg__extraction_report(struct eg_extraction *e, struct eg_extract_report *report,
                                     struct eg_error *err)
{
    const uint8_t *row_status = eg__store_status(e->store);
    report->cuts = eg__zalloc(e->n_cuts, sizeof *report->cuts);
    if (!report->cuts) return eg__fail_memory(err, "the report");
    for (size_t i = 0; i < e->n_cuts; i++) {
        report->cuts[i] = (struct eg_extracted_cut){strdup(e->infos[i].name), e->infos[i].length};
        report->n_cuts++;
        if (!report->cuts[i].name) return eg__fail_memory(err, "the report");
    }
    enum eg_status status = EG_OK;
    for (size_t i = 0; i < report->rows && !status; i++)
        if (row_status[i] == EG_ROW_UNREADABLE) {
            const char *reason = eg__store_reason(e->store, i);
            status = eg__skip(&report->unreadable, &report->n_unreadable, eg__store_spec(e->store)->paths[i],
                              reason ? reason : "cannot be read", err);
        }
    return status;
}

/* A file that is gone on with keeps the meaning that its recipe had. */
static void adopt_recipe(struct eg_recipe *recipe, const char *path)
{
    struct eg_store *store;
    if (eg__store_open(path, &store, NULL)) return; /* opening it to write will tell */
    const char *made_with = eg__store_spec(store)->recipe;
    if (made_with) eg__recipe_adopt(recipe, made_with);
    if (eg__store_close(store, NULL)) return;
}

struct eg_recipe eg__extraction_recipe(const struct eg_net *net, const char *path,
                                       const struct eg_extract_options *options)
{
    struct eg_recipe recipe = net->recipe;
    if (options->no_exif) recipe.exif = false;
    if (options->fast_decode) recipe.fast_decode = true;
    if (options->icc_srgb) recipe.icc_srgb = true;
    if (net->has_recipe && !options->overwrite) adopt_recipe(&recipe, path);
    return recipe;
}

enum eg_status eg__extract_here(const eg_net *net, const eg_dataset *images, const char *path,
                                const struct eg_extract_options *options, struct eg_extract_report *out,
                                struct eg_error *err)
{
    struct eg_extraction e = {.options = options};
    struct eg_recipe recipe = eg__extraction_recipe(net, path, options);
    struct eg_extract_report report = {.rows = images->n_items, .ignored = images->n_ignored, .n_ranks = 1};
    double start = eg__seconds();
    if (!images->n_items) return eg__fail(err, EG_E_IO, "there are no photos in '%s'", images->root);
    enum eg_status status = eg__extraction_prepare(&e, net, images, &recipe, err);
    if (!status) status = open_store(&e, net, images, &recipe, path, err);
    if (!status) {
        const uint8_t *row_status = eg__store_status(e.store);
        report.rows = eg__store_spec(e.store)->n_rows;
        for (size_t i = 0; i < report.rows; i++) {
            report.resumed += row_status[i] == EG_ROW_DONE;
            e.n_done += row_status[i] != EG_ROW_WAITING;
        }
        report.n_new = e.todo.n_new;
        report.n_changed = e.todo.n_changed;
        report.n_moved = e.todo.n_moved;
        report.n_gone = e.todo.n_vanished;
        status = eg__extraction_compute(&e, report.rows, &report, err);
        if (!status) status = eg__extraction_report(&e, &report, err);
        enum eg_status closing = eg__store_close(e.store, status ? NULL : err);
        if (!status) status = closing;
    } else if (e.store && eg__store_close(e.store, NULL)) {
        status = EG_E_MEMORY; /* begun, but the list of rows found no room */
    }
    eg__extraction_release(&e);
    report.seconds = eg__seconds() - start;
    if (status)
        eg__extract_report_release(&report);
    else
        *out = report;
    return status;
}

enum eg_status eg_extract(const eg_net *net, const eg_dataset *images, const char *path,
                          const struct eg_extract_options *options, struct eg_extract_report **report,
                          struct eg_error *err)
{
    struct eg_extract_options own;
    struct eg_extract_report made;
    enum eg_status status = eg__options(&own, sizeof own, options, err);
    const bool targets = own.multi_label || own.number;
    if (!status && targets && (own.n_shards || own.ranks))
        status = eg__fail(err, EG_E_UNSUPPORTED, "%s: not made for shards or ranks (extract in one process)",
                          own.number ? "numbers" : "several labels a photo");
    if (!status)
        status = images->stream ? eg__extract_stream(net, images, path, &own, &made, err)
                 : own.ranks    ? eg__extract_ranks(net, images, path, &own, &made, err)
                                : eg__extract_here(net, images, path, &own, &made, err);
    if (status) return status;
    if (targets) status = eg__extract_put_targets(path, images, &own, err);
    if (!status) status = eg__hand_out(&made, sizeof made, report, err);
    if (status) eg__extract_report_release(&made);
    return status;
}

void eg__extract_report_release(struct eg_extract_report *report)
{
    eg__skipped_free(report->unreadable, report->n_unreadable);
    for (size_t i = 0; i < report->n_cuts; i++) free(report->cuts[i].name);
    free(report->cuts);
    *report = (struct eg_extract_report){0};
}

void eg_extract_report_free(struct eg_extract_report *report)
{
    if (report) eg__extract_report_release(report);
    free(report);
}
