/* extract.c: photos to rows of a feature file. Rows that are done are left alone, so a call
 * that was stopped goes on where it was. */
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "image/photo.h"
#include "pipeline/pipeline.h"

enum { DEFAULT_BATCH = 8 };

struct extraction {
    const struct eg_extract_options *options;
    struct eg_cut_plan plan;
    struct eg_run *run;
    struct eg_feeder feeder;
    struct eg_store *store;
    size_t *rows, batch;
    float **values; /* [cut][batch][length] */
    size_t n_done;  /* with those done before */
};

static enum eg_status prepare(struct extraction *e, const struct eg_net *net, const struct eg_dataset *images,
                              const struct eg_recipe *recipe, struct eg_error *err)
{
    const struct eg_extract_options *o = e->options;
    enum eg_status status =
        eg__feeder_init(net->has_recipe ? recipe : NULL, net->graph->name, e->plan.graph->nodes[0].shape,
                        images, e->batch, o->pool, &e->feeder, err);
    struct eg_run_options run_options = {.max_batch = e->batch};
    if (!status)
        status =
            eg__run_create(e->plan.graph, e->plan.outputs, e->plan.n, &run_options, o->pool, &e->run, err);
    if (status) return status;
    e->rows = eg__alloc(e->batch, sizeof *e->rows);
    e->values = eg__zalloc(e->plan.n, sizeof *e->values);
    if (!e->rows || !e->values) return eg__fail_memory(err, "a batch");
    for (size_t i = 0; i < e->plan.n; i++) {
        e->values[i] = eg__alloc(e->batch * e->plan.infos[i].length, sizeof **e->values);
        if (!e->values[i]) return eg__fail_memory(err, "features");
    }
    return EG_OK;
}

static void release(struct extraction *e)
{
    for (size_t i = 0; e->values && i < e->plan.n; i++) free(e->values[i]);
    free(e->values);
    free(e->rows);
    eg__run_free(e->run);
    eg__feeder_release(&e->feeder);
    eg__cuts_release(&e->plan);
}

/* ---- the file ------------------------------------------------------------------------ */

static enum eg_status open_store(struct extraction *e, const struct eg_net *net,
                                 const struct eg_dataset *images, const struct eg_recipe *recipe,
                                 const char *path, struct eg_error *err)
{
    const struct eg_extract_options *o = e->options;
    char hash[65] = "", *recipe_json = NULL;
    const char **paths = eg__alloc(images->n_items, sizeof *paths);
    int32_t *labels = eg__alloc(images->n_items, sizeof *labels);
    enum eg_status status = paths && labels ? EG_OK : eg__fail_memory(err, "the list of photos");
    if (!status && net->graph->weights_path) status = eg_net_weights_sha256(net, hash, err);
    if (!status && !(recipe_json = net->has_recipe ? eg__recipe_json(recipe) : strdup("")))
        status = eg__fail_memory(err, "a recipe");
    if (!status) {
        for (size_t i = 0; i < images->n_items; i++) {
            paths[i] = images->items[i].path;
            labels[i] = images->items[i].label;
        }
        for (size_t i = 0; i < e->plan.n; i++) e->plan.infos[i].half = o->half;
        struct eg_store_spec spec = {
            .network = eg_net_name(net),
            .weights_sha256 = hash,
            .recipe = recipe_json,
            .root = images->root,
            .command = o->command ? o->command : "",
            .model = net->model,
            .isa = eg_cpu(),
            .cuts = e->plan.infos,
            .n_cuts = e->plan.n,
            .paths = paths,
            .labels = labels,
            .n_rows = images->n_items,
            .classes = (const char *const *)images->classes,
            .n_classes = images->n_classes,
            .deflate = o->deflate,
        };
        status = eg__store_write(path, &spec, o->overwrite, &e->store, err);
    }
    free(recipe_json);
    free(labels);
    free(paths);
    return status;
}

/* Put a batch, in runs of rows that follow each other in the file. */
static enum eg_status put_batch(struct extraction *e, size_t n, struct eg_error *err)
{
    const float **values = eg__alloc(e->plan.n, sizeof *values);
    const char **reasons = eg__alloc(n, sizeof *reasons);
    enum eg_status status = values && reasons ? EG_OK : eg__fail_memory(err, "a batch");
    for (size_t i = 0, count; i < n && !status; i += count) {
        for (count = 1; i + count < n && e->rows[i + count] == e->rows[i] + count;) count++;
        for (size_t c = 0; c < e->plan.n; c++) values[c] = e->values[c] + i * e->plan.infos[c].length;
        for (size_t k = 0; k < count; k++)
            reasons[k] = e->feeder.reasons[i + k][0] ? e->feeder.reasons[i + k] : NULL;
        status = eg__store_put(e->store, e->rows[i], count, values,
                               (const uint8_t(*)[32])(e->feeder.hashes + i), reasons, err);
    }
    free(values);
    free(reasons);
    return status;
}

/* Up to a batch of waiting rows from *next on. */
static size_t next_rows(struct extraction *e, const uint8_t *row_status, size_t n_rows, size_t *next)
{
    size_t n = 0;
    while (n < e->batch && *next < n_rows) {
        if (row_status[*next] == EG_ROW_WAITING) e->rows[n++] = *next;
        ++*next;
    }
    return n;
}

static enum eg_status compute(struct extraction *e, struct eg_extract_report *report, struct eg_error *err)
{
    const struct eg_extract_options *o = e->options;
    size_t n_rows = e->feeder.dataset->n_items, next = 0, n;
    enum eg_status status = EG_OK;
    while (!status && (n = next_rows(e, eg__store_status(e->store), n_rows, &next))) {
        eg__feeder_load(&e->feeder, e->rows, n);
        status = eg__feeder_run(&e->feeder, e->run, n, e->values, err);
        if (!status) status = put_batch(e, n, err);
        if (status) break;
        for (size_t i = 0; i < n; i++) report->done += !e->feeder.reasons[i][0];
        e->n_done += n;
        if (o->progress && !o->progress(o->user, e->n_done, n_rows))
            status = eg__fail(err, EG_E_CANCELLED, "stopped");
    }
    return status;
}

static enum eg_status fill_report(struct extraction *e, struct eg_extract_report *report,
                                  struct eg_error *err)
{
    const uint8_t *row_status = eg__store_status(e->store);
    report->cuts = eg__zalloc(e->plan.n, sizeof *report->cuts);
    if (!report->cuts) return eg__fail_memory(err, "the report");
    for (size_t i = 0; i < e->plan.n; i++) {
        report->cuts[i] = (struct eg_extracted_cut){strdup(e->plan.infos[i].name), e->plan.infos[i].length};
        report->n_cuts++;
        if (!report->cuts[i].name) return eg__fail_memory(err, "the report");
    }
    enum eg_status status = EG_OK;
    for (size_t i = 0; i < report->rows && !status; i++)
        if (row_status[i] == EG_ROW_UNREADABLE) {
            const char *reason = eg__store_reason(e->store, i);
            status = eg__skip(&report->unreadable, &report->n_unreadable, e->feeder.dataset->items[i].path,
                              reason ? reason : "cannot be read", err);
        }
    return status;
}

enum eg_status eg_extract(const eg_net *net, const eg_dataset *images, const char *path,
                          const struct eg_extract_options *options, struct eg_extract_report *out,
                          struct eg_error *err)
{
    static const struct eg_extract_options defaults;
    struct extraction e = {.options = options ? options : &defaults};
    struct eg_recipe recipe = net->recipe;
    if (e.options->no_exif) recipe.exif = false;
    if (e.options->fast_decode) recipe.fast_decode = true;
    e.batch = e.options->batch ? e.options->batch : DEFAULT_BATCH;
    struct eg_extract_report report = {.rows = images->n_items, .ignored = images->n_ignored};
    double start = eg__seconds();
    if (!images->n_items) return eg__fail(err, EG_E_IO, "there are no photos in '%s'", images->root);
    enum eg_status status = eg__cuts_plan(net, &e.options->cuts, &e.plan, err);
    if (!status) status = prepare(&e, net, images, &recipe, err);
    if (!status) status = open_store(&e, net, images, &recipe, path, err);
    if (!status) {
        const uint8_t *row_status = eg__store_status(e.store);
        for (size_t i = 0; i < report.rows; i++) {
            report.resumed += row_status[i] == EG_ROW_DONE;
            e.n_done += row_status[i] != EG_ROW_WAITING;
        }
        status = compute(&e, &report, err);
        if (!status) status = fill_report(&e, &report, err);
        enum eg_status closing = eg__store_close(e.store, status ? NULL : err);
        if (!status) status = closing;
    }
    release(&e);
    report.seconds = eg__seconds() - start;
    if (status)
        eg_extract_report_release(&report);
    else
        *out = report;
    return status;
}

void eg_extract_report_release(struct eg_extract_report *report)
{
    eg__skipped_free(report->unreadable, report->n_unreadable);
    for (size_t i = 0; i < report->n_cuts; i++) free(report->cuts[i].name);
    free(report->cuts);
    *report = (struct eg_extract_report){0};
}
