/* check_features.c: is a feature file sound, and do its photos and its network still give its rows? */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/half.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/versioned.h"
#include "flow/flow.h"

/* Rows computed on another instruction set differ in the last digits (docs/engine.md); rows that are
 * wrong differ in the first. */
static const double MOST_DIFFERENCE = 2e-3;
enum { MOST_LISTED = 1000, BATCH = 8 };

struct checking {
    eg_features *features;
    const struct eg_check_options *options;
    struct eg_check_report report;
    const char *root;
};

/* An eg_problem_fn. */
static enum eg_status add_problem(void *context, size_t row, const char *words)
{
    struct checking *c = context;
    if (c->report.n_problems++ >= MOST_LISTED) return EG_OK;
    const char *path = row == SIZE_MAX ? "" : eg__store_spec(c->features)->paths[row];
    return eg__skip(&c->report.problems, &c->report.n_listed, path, words, NULL);
}

void eg__check_report_release(struct eg_check_report *report)
{
    eg__skipped_free(report->problems, report->n_listed);
    *report = (struct eg_check_report){0};
}

/* ---- rows computed again -------------------------------------------------------------- */

/* Rows that are done, by chance but no two the same; in their order. */
static enum eg_status draw_rows(struct checking *c, size_t **out, size_t *n_out, struct eg_error *err)
{
    const struct eg_store_spec *spec = eg__store_spec(c->features);
    const uint8_t *status = eg__store_status(c->features);
    size_t left = 0, wanted = c->options->sample, n = 0;
    for (size_t i = 0; i < spec->n_rows; i++) left += status[i] == EG_ROW_DONE;
    if (wanted > left) wanted = left;
    size_t *rows = eg__alloc(wanted, sizeof *rows);
    if (!rows) return eg__fail_memory(err, "a sample of rows");
    struct eg_rng rng;
    eg__rng_init(&rng, c->options->seed, 0);
    for (size_t i = 0; i < spec->n_rows && n < wanted; i++) {
        if (status[i] != EG_ROW_DONE) continue;
        if (eg__rng_below(&rng, left--) < wanted - n) rows[n++] = i;
    }
    *out = rows;
    *n_out = n;
    return EG_OK;
}

/* The photos of some rows; of an array, all of it, and where in it the rows are. */
static enum eg_status open_photos(const struct checking *c, const size_t *rows, size_t n, size_t *items,
                                  eg_dataset **dataset, struct eg_error *err)
{
    const struct eg_store_spec *spec = eg__store_spec(c->features);
    const char *number = strstr(spec->paths[rows[0]], ".npy#");
    size_t root = strlen(c->root);
    const char *slash = root && c->root[root - 1] != '/' ? "/" : "";
    enum eg_status status = EG_OK;
    if (number) {
        char *path;
        if (asprintf(&path, "%s%s%.*s", c->root, slash, (int)(number + 4 - spec->paths[rows[0]]),
                     spec->paths[rows[0]]) < 0)
            return eg__fail_memory(err, "a path");
        status = eg__dataset_open(path, dataset, err);
        for (size_t i = 0; !status && i < n; i++) { /* "x.npy#17" */
            number = strrchr(spec->paths[rows[i]], '#');
            items[i] = number ? strtoull(number + 1, NULL, 10) : SIZE_MAX;
            if (items[i] < (*dataset)->n_items) continue;
            eg__dataset_free(*dataset);
            *dataset = NULL;
            status = eg__fail(err, EG_E_IO, "'%s' has no row for '%s'", path, spec->paths[rows[i]]);
        }
        free(path);
        return status;
    }
    char **paths = eg__zalloc(n, sizeof *paths);
    if (!paths) return eg__fail_memory(err, "paths");
    for (size_t i = 0; i < n && !status; i++) {
        const char *path = spec->paths[rows[i]];
        bool absolute = *path == '/';
        items[i] = i;
        if (asprintf(&paths[i], "%s%s%s", absolute ? "" : c->root, absolute ? "" : slash, path) < 0) {
            paths[i] = NULL;
            status = eg__fail_memory(err, "a path");
        }
    }
    if (!status) status = eg__dataset_list((const char *const *)paths, n, dataset, err);
    for (size_t i = 0; i < n; i++) free(paths[i]);
    free(paths);
    return status;
}

static enum eg_status compare_row(struct checking *c, size_t cut, size_t row, const float *now,
                                  const float *then, bool *same)
{
    const struct eg_cut_info *info = &eg__store_spec(c->features)->cuts[cut];
    double most = 0, off = 0;
    *same = true;
    for (size_t i = 0; i < info->length; i++) {
        double a = info->half ? eg__f16_to_f32(eg__f32_to_f16(now[i])) : now[i], b = then[i];
        if (a != b) *same = false;
        off = fmax(off, fabs(a - b));
        most = fmax(most, fabs(b));
    }
    double difference = *same ? 0 : most > 0 ? off / most : INFINITY;
    c->report.largest_difference = fmax(c->report.largest_difference, difference);
    if (difference <= MOST_DIFFERENCE) return EG_OK;
    char words[200];
    snprintf(words, sizeof words, "its photo gives other values of '%.100s': off by %.2g of the largest",
             info->name, difference);
    return add_problem(c, row, words);
}

/* As the file was made: all its cuts at once, as which layers become one step depends on that. */
static enum eg_status plan_cuts(const struct checking *c, const eg_net *net, struct eg_cut_plan *plan,
                                struct eg_error *err)
{
    const struct eg_store_spec *spec = eg__store_spec(c->features);
    char **names = eg__zalloc(spec->n_cuts, sizeof *names);
    if (!names) return eg__fail_memory(err, "the cuts' names");
    enum eg_status status = EG_OK;
    for (size_t i = 0; i < spec->n_cuts && !status; i++)
        if (!spec->cuts[i].layer || !spec->cuts[i].pool ||
            asprintf(&names[i], "%s:%s", spec->cuts[i].layer, spec->cuts[i].pool) < 0) {
            names[i] = NULL;
            status =
                eg__fail(err, EG_E_FORMAT, "cut '%s' does not say what it is a cut of", spec->cuts[i].name);
        }
    const struct eg_run_cuts how = {
        .cuts = (const char *const *)names, .n_cuts = spec->n_cuts, .order = spec->cuts[0].order};
    if (!status) status = eg__cuts_plan(net, &how, plan, err);
    for (size_t i = 0; i < spec->n_cuts; i++) free(names[i]);
    free(names);
    for (size_t i = 0; !status && i < spec->n_cuts; i++)
        if (plan->infos[i].length != spec->cuts[i].length) {
            status = eg__fail(err, EG_E_SHAPE, "cut '%s' has %zu values in the file and %zu in the network",
                              spec->cuts[i].name, spec->cuts[i].length, plan->infos[i].length);
            eg__cuts_release(plan);
        }
    return status;
}

struct again {
    struct eg_cut_plan plan;
    struct eg_run *run;
    struct eg_feeder feeder;
    eg_dataset *dataset;
    size_t *items;
    float **now, *then; /* [cut][BATCH][length], [the longest] */
};

static void again_release(struct again *a)
{
    for (size_t i = 0; a->now && i < a->plan.n; i++) free(a->now[i]);
    free(a->now);
    free(a->then);
    free(a->items);
    eg__feeder_release(&a->feeder);
    eg__run_free(a->run);
    eg__dataset_free(a->dataset);
    eg__cuts_release(&a->plan);
}

static enum eg_status again_init(struct checking *c, const size_t *rows, size_t n, struct again *a,
                                 struct eg_error *err)
{
    const struct eg_net *net = c->options->net;
    const struct eg_run_options options = {.max_batch = BATCH};
    size_t longest = 0;
    enum eg_status status = plan_cuts(c, net, &a->plan, err);
    if (status) return status;
    a->items = eg__alloc(n, sizeof *a->items);
    a->now = eg__zalloc(a->plan.n, sizeof *a->now);
    if (!a->items || !a->now) return eg__fail_memory(err, "rows to compare");
    for (size_t i = 0; i < a->plan.n; i++) {
        size_t length = a->plan.infos[i].length;
        a->now[i] = eg__alloc(BATCH * length, sizeof **a->now);
        if (!a->now[i]) return eg__fail_memory(err, "rows to compare");
        if (length > longest) longest = length;
    }
    a->then = eg__alloc(longest, sizeof *a->then);
    if (!a->then) return eg__fail_memory(err, "rows to compare");
    status = open_photos(c, rows, n, a->items, &a->dataset, err);
    if (!status)
        status = eg__run_create(a->plan.graph, a->plan.outputs, a->plan.n, &options, c->options->pool,
                                &a->run, err);
    if (status) return status;
    return eg__feeder_init(net->has_recipe ? &net->recipe : NULL, a->plan.graph, a->dataset, BATCH,
                           c->options->pool, &a->feeder, err);
}

/* The i-th of the batch against its row. */
static enum eg_status compare(struct checking *c, const struct again *a, size_t i, size_t row,
                              struct eg_error *err)
{
    uint8_t hash[1][32];
    bool all_same = true;
    enum eg_status status = eg__store_hashes(c->features, row, 1, hash, err);
    if (status) return status;
    if (a->feeder.reasons[i][0]) return add_problem(c, row, a->feeder.reasons[i]);
    if (memcmp(hash[0], a->feeder.hashes[i], sizeof hash[0]))
        return add_problem(c, row, "its photo has been changed since");
    for (size_t cut = 0; !status && cut < a->plan.n; cut++) {
        bool same = true;
        status = eg__store_read(c->features, cut, row, 1, a->then, err);
        if (!status)
            status = compare_row(c, cut, row, a->now[cut] + i * a->plan.infos[cut].length, a->then, &same);
        all_same = all_same && same;
    }
    c->report.n_recomputed++;
    c->report.n_identical += all_same;
    return status;
}

static enum eg_status recompute(struct checking *c, const size_t *rows, size_t n, struct eg_error *err)
{
    struct again a = {0};
    enum eg_status status = again_init(c, rows, n, &a, err);
    for (size_t at = 0, count; !status && at < n; at += count) {
        count = n - at < BATCH ? n - at : BATCH;
        eg__feeder_load(&a.feeder, a.items + at, count);
        status = eg__feeder_run(&a.feeder, a.run, count, a.now, err);
        for (size_t i = 0; i < count && !status; i++) status = compare(c, &a, i, rows[at + i], err);
        if (!status && c->options->progress && !c->options->progress(c->options->user, at + count, n))
            status = eg__fail(err, EG_E_CANCELLED, "stopped");
    }
    again_release(&a);
    return status;
}

static enum eg_status recompute_sample(struct checking *c, struct eg_error *err)
{
    size_t *rows = NULL, n = 0;
    if (!eg__store_spec(c->features)->network || !c->options->net)
        return eg__fail(err, EG_E_ARGUMENT, "no network is known that made these rows");
    enum eg_status status = draw_rows(c, &rows, &n, err);
    if (!status && n) status = recompute(c, rows, n, err);
    free(rows);
    return status;
}

enum eg_status eg_features_check(eg_features *features, const struct eg_check_options *options,
                                 struct eg_check_report **report, struct eg_error *err)
{
    struct eg_check_options own;
    enum eg_status status = eg__options(&own, sizeof own, options, err);
    if (status) return status;
    struct checking c = {.features = features, .options = &own};
    const struct eg_store_spec *spec = eg__store_spec(features);
    c.root = c.options->root ? c.options->root : spec->root ? spec->root : "";
    c.report.n_rows = spec->n_rows;
    status = eg__store_check(features, add_problem, &c, c.options->progress, c.options->user, err);
    if (status == EG_E_MEMORY) status = eg__fail_memory(err, "a list of problems");
    struct eg_recipe recipe;
    if (!status && spec->recipe && *spec->recipe && eg_recipe_load(spec->recipe, &recipe, NULL))
        status = add_problem(&c, SIZE_MAX, "its recipe cannot be read");
    if (!status && c.options->sample) status = recompute_sample(&c, err);
    if (!status) status = eg__hand_out(&c.report, sizeof c.report, report, err);
    if (status) eg__check_report_release(&c.report);
    return status;
}

void eg_check_report_free(struct eg_check_report *report)
{
    if (report) eg__check_report_release(report);
    free(report);
}
