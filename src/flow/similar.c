/* similar.c: photos to the photos of a feature file that look most like them. */
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "base/versioned.h"
#include "flow/flow.h"
#include "flow/nearest_rows.h"

enum { DEFAULT_TOP = 5, BATCH = 8, QUERY_BYTES = 256 << 20 };

struct work {
    struct eg_store *store;
    size_t cut, d, top, at_a_time; /* photos looked for in one pass over the rows */
    const struct eg_similar_options *options;
    struct eg_cut_plan plan;
    struct eg_feeder feeder;
    struct eg_run *run;
    struct eg_similar_report report;
    float *queries; /* [at_a_time][d] */
    size_t *photos; /* [at_a_time] of the queries */
    struct eg_near *near;
};

static void release_report(struct eg_similar_report *report)
{
    for (size_t i = 0; report->photos && i < report->n_photos; i++) {
        free(report->photos[i].path);
        free(report->photos[i].error);
        free(report->photos[i].nearest);
    }
    free(report->photos);
    free(report->cut);
}

void eg_similar_report_free(struct eg_similar_report *report)
{
    if (report) release_report(report);
    free(report);
}

static void close_work(struct work *w)
{
    eg__run_free(w->run);
    eg__feeder_release(&w->feeder);
    eg__cuts_release(&w->plan);
    free(w->queries);
    free(w->photos);
    free(w->near);
}

static enum eg_status same_network(const struct eg_store_spec *spec, const eg_net *net, struct eg_error *err)
{
    char hash[65];
    enum eg_status status = eg_net_weights_sha256(net, hash, err);
    if (status || !strcmp(hash, spec->weights_sha256 ? spec->weights_sha256 : "")) return status;
    return eg__fail_for(err, EG_E_ARGUMENT, EG_REASON_NETWORK_OTHER,
                        "the weights of '%s' are not those that made the features", eg_net_name(net));
}

static enum eg_status open_work(struct work *w, const eg_net *net, const eg_dataset *photos,
                                struct eg_error *err)
{
    const struct eg_similar_options *o = w->options;
    enum eg_status status = eg__store_find_cut(w->store, o->features, &w->cut, err);
    if (!status) status = same_network(eg__store_spec(w->store), net, err);
    if (status) return status;
    const struct eg_cut_info *cut = &eg__store_spec(w->store)->cuts[w->cut];
    struct eg_run_cuts cuts = {.cuts = &cut->layer, .n_cuts = 1, .pool = cut->pool, .order = cut->order};
    status = eg__cuts_plan(net, &cuts, &w->plan, err);
    if (status) return status;
    w->d = cut->length;
    w->top = o->top ? o->top : DEFAULT_TOP;
    if (w->top > eg__store_spec(w->store)->n_rows) w->top = eg__store_spec(w->store)->n_rows;
    w->at_a_time = QUERY_BYTES / (w->d * sizeof(float));
    if (w->at_a_time < BATCH) w->at_a_time = BATCH;
    if (w->at_a_time > photos->n_items) w->at_a_time = photos->n_items;
    w->at_a_time += BATCH - w->at_a_time % BATCH;
    w->queries = eg__alloc(w->at_a_time, w->d * sizeof *w->queries);
    w->photos = eg__alloc(w->at_a_time, sizeof *w->photos);
    w->near = eg__alloc(w->at_a_time * w->top + 1, sizeof *w->near);
    w->report.photos = eg__zalloc(photos->n_items + 1, sizeof *w->report.photos);
    w->report.cut = strdup(cut->name);
    if (!w->queries || !w->photos || !w->near || !w->report.photos || !w->report.cut)
        status = eg__fail_memory(err, "the photos' features");
    struct eg_run_options how = {.max_batch = BATCH};
    if (!status && w->plan.infos[0].length != w->d)
        status = eg__fail(err, EG_E_SHAPE, "'%s' gives %zu features of '%s', the file has %zu",
                          eg_net_name(net), w->plan.infos[0].length, cut->name, w->d);
    if (!status) status = eg__run_create(w->plan.graph, w->plan.outputs, 1, &how, o->pool, &w->run, err);
    if (status) return status;
    return eg__feeder_init(net->has_recipe ? &net->recipe : NULL, w->plan.graph, photos, BATCH, o->pool,
                           &w->feeder, err);
}

/* Photos first.. to queries, until there are at_a_time of them; *next: the first not looked at. */
static enum eg_status fill(struct work *w, size_t first, size_t *next, size_t *n_queries,
                           struct eg_error *err)
{
    const struct eg_dataset *photos = w->feeder.dataset;
    size_t rows[BATCH], n = 0;
    enum eg_status status = EG_OK;
    while (first < photos->n_items && n + BATCH <= w->at_a_time && !status) {
        size_t count = photos->n_items - first < BATCH ? photos->n_items - first : BATCH;
        float *out[] = {w->queries + n * w->d};
        for (size_t i = 0; i < count; i++) rows[i] = first + i;
        eg__feeder_load(&w->feeder, rows, count);
        status = eg__feeder_run(&w->feeder, w->run, count, out, err);
        for (size_t i = 0; i < count && !status; i++) {
            struct eg_similar_photo *photo = &w->report.photos[first + i];
            photo->path = strdup(photos->items[first + i].path);
            if (!photo->path) status = eg__fail_memory(err, "the report");
            if (!w->feeder.reasons[i][0]) {
                memmove(w->queries + n * w->d, out[0] + i * w->d, w->d * sizeof(float));
                w->photos[n++] = first + i;
                continue;
            }
            w->report.n_unreadable++;
            photo->error = strdup(w->feeder.reasons[i]);
            if (!photo->error) status = eg__fail_memory(err, "the report");
        }
        first += count;
        if (!status && w->options->progress &&
            !w->options->progress(w->options->user, first, photos->n_items))
            status = eg__fail(err, EG_E_CANCELLED, "stopped");
    }
    *next = first;
    *n_queries = n;
    return status;
}

static enum eg_status report_rows(struct work *w, size_t n_queries, size_t n_near, struct eg_error *err)
{
    const struct eg_store_spec *spec = eg__store_spec(w->store);
    for (size_t q = 0; q < n_queries; q++) {
        struct eg_similar_photo *photo = &w->report.photos[w->photos[q]];
        photo->nearest = eg__alloc(n_near + 1, sizeof *photo->nearest);
        if (!photo->nearest) return eg__fail_memory(err, "the report");
        photo->n_nearest = n_near;
        for (size_t i = 0; i < n_near; i++) {
            struct eg_near near = w->near[q * w->top + i];
            int32_t label = spec->labels[near.row];
            photo->nearest[i] =
                (struct eg_similar_row){near.row, spec->paths[near.row],
                                        label < 0 ? NULL : spec->classes[label], (double)near.similarity};
        }
    }
    return EG_OK;
}

enum eg_status eg_similar(eg_features *features, const eg_net *net, const eg_dataset *photos,
                          const struct eg_similar_options *options, struct eg_similar_report **report,
                          struct eg_error *err)
{
    struct eg_similar_options own;
    enum eg_status status = eg__options(&own, sizeof own, options, err);
    if (status) return status;
    double start = eg__seconds();
    struct work w = {.store = features, .options = &own};
    status = open_work(&w, net, photos, err);
    if (!status) w.report.n_photos = photos->n_items;
    for (size_t next = 0; next < photos->n_items && !status;) {
        size_t n_queries = 0, n_near = 0;
        status = fill(&w, next, &next, &n_queries, err);
        if (!status && n_queries)
            status = eg__nearest_rows(features, w.cut, w.queries, n_queries, w.top, own.pool, own.progress,
                                      own.user, w.near, &n_near, err);
        if (!status) status = report_rows(&w, n_queries, n_near, err);
    }
    close_work(&w);
    w.report.seconds = eg__seconds() - start;
    if (!status) status = eg__hand_out(&w.report, sizeof w.report, report, err);
    if (status) release_report(&w.report);
    return status;
}
