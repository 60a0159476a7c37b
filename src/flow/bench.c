/* bench.c: how fast this machine runs a network up to a cut. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "base/pool.h"
#include "base/versioned.h"
#include "model/model.h"

struct bench {
    struct eg_bench_options o;
    eg_run *run;
    float *images, *out;
    double *times;
};

static int by_time(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static enum eg_status make_room(struct bench *b, size_t n_values, struct eg_error *err)
{
    size_t n, n_out;
    bool fits = eg__mul(b->o.batch, n_values, &n) && eg__mul(b->o.batch, eg_run_length(b->run, 0), &n_out);
    b->images = fits ? eg__alloc(n, sizeof *b->images) : NULL;
    b->out = fits ? eg__alloc(n_out, sizeof *b->out) : NULL;
    b->times = eg__alloc(b->o.repeat, sizeof *b->times);
    if (!b->images || !b->out || !b->times)
        return eg__fail(err, EG_E_MEMORY, "out of memory for %zu images (use a smaller batch)", b->o.batch);
    uint32_t state = 1;
    for (size_t i = 0; i < n; i++) {
        state = state * 1664525u + 1013904223u;
        b->images[i] = (float)(state >> 8) / 8388608.0f - 1.0f;
    }
    return EG_OK;
}

static enum eg_status measure(struct bench *b, struct eg_error *err)
{
    float *out[] = {b->out};
    enum eg_status status = eg_run_forward(b->run, b->images, b->o.batch, out, err); /* warm-up */
    for (size_t i = 0; i < b->o.repeat && !status; i++) {
        double start = eg__seconds();
        status = eg_run_forward(b->run, b->images, b->o.batch, out, err);
        b->times[i] = eg__seconds() - start;
        if (!status && b->o.progress && !b->o.progress(b->o.user, i + 1, b->o.repeat))
            status = eg__fail(err, EG_E_CANCELLED, "interrupted; nothing was written");
    }
    return status;
}

static double gflops_of(uint64_t macs, double ms) { return ms > 0 ? 2e-6 * (double)macs / ms : 0; }

static bool tell_layers(const struct bench *b, struct eg_bench_report *r)
{
    size_t n = eg_run_step_count(b->run);
    if (!(r->layers = eg__zalloc(n + 1, sizeof *r->layers))) return false;
    for (; r->n_layers < n; r->n_layers++) {
        struct eg_step step = eg_run_step(b->run, r->n_layers);
        struct eg_bench_layer *layer = &r->layers[r->n_layers];
        double ms = 1e3 * step.seconds / (double)b->o.batch;
        *layer = (struct eg_bench_layer){strdup(step.name),       step.algorithm, step.macs, step.seconds, ms,
                                         gflops_of(step.macs, ms)};
        if (!layer->name) return false;
    }
    return true;
}

static enum eg_status tell(const struct bench *b, const char *name, const char *cut, uint64_t macs,
                           struct eg_bench_report **out, struct eg_error *err)
{
    const size_t n = b->o.repeat;
    struct eg_bench_report *r = eg__zalloc(1, sizeof *r);
    if (!r) return eg__fail_memory(err, "a report");
    qsort(b->times, n, sizeof *b->times, by_time);
    double middle = (b->times[(n - 1) / 2] + b->times[n / 2]) / 2, unit = 1e3 / (double)b->o.batch;
    r->name = strdup(name);
    r->cut = cut ? strdup(cut) : NULL;
    r->batch = b->o.batch;
    r->repeat = n;
    r->threads = eg_pool_threads(b->o.pool);
    r->isa = eg_cpu();
    r->ms = unit * middle;
    r->ms_least = unit * b->times[0];
    r->gflops = gflops_of(macs, r->ms);
    r->memory_bytes = eg_run_bytes(b->run);
    if (!r->name || (cut && !r->cut) || (b->o.layers && !tell_layers(b, r))) {
        eg_bench_report_free(r);
        return eg__fail_memory(err, "a report");
    }
    *out = r;
    return EG_OK;
}

void eg_bench_report_free(struct eg_bench_report *r)
{
    if (!r) return;
    for (size_t i = 0; r->layers && i < r->n_layers; i++) free(r->layers[i].name);
    free(r->layers);
    free(r->name);
    free(r->cut);
    free(r);
}

enum eg_status eg_bench(const eg_net *net, const struct eg_bench_options *options,
                        struct eg_bench_report **report, struct eg_error *err)
{
    struct bench b = {0};
    enum eg_status status = eg__options(&b.o, sizeof b.o, options, err);
    if (status) return status;
    if (!b.o.batch) b.o.batch = 1;
    if (!b.o.repeat) b.o.repeat = 20;
    const char *cut = b.o.cut ? b.o.cut : eg_net_default_cut(net);
    char last[32];
    snprintf(last, sizeof last, "#%zu", eg_net_layer_count(net) - 1);
    const char *ends[] = {cut ? cut : last};
    eg_net *cut_net = NULL;
    if (cut) status = eg_net_cut(net, cut, &cut_net, err);
    const eg_net *measured = cut_net ? cut_net : net;
    uint64_t macs = 0;
    for (size_t i = 0; i < eg_net_layer_count(measured) && !status; i++)
        macs += eg_net_layer(measured, i).macs;
    eg_net_free(cut_net);
    const struct eg_run_cuts cuts = {EG_SIZED(eg_run_cuts), .cuts = ends, .n_cuts = 1, .exact = b.o.exact};
    if (!status) status = eg_run_create(net, &cuts, b.o.batch, b.o.pool, &b.run, err);
    if (!status) status = make_room(&b, eg__shape_count(net->graph->nodes[0].shape), err);
    if (!status) {
        eg_run_time_steps(b.run, b.o.layers);
        status = measure(&b, err);
    }
    if (!status) status = tell(&b, eg_net_name(net), cut, macs, report, err);
    free(b.images);
    free(b.out);
    free(b.times);
    eg_run_free(b.run);
    return status;
}
