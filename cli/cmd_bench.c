/* engraft bench: how fast this machine runs a network. */
#include <stdlib.h>
#include <string.h>

#include "cli.h"

static int by_time(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

struct bench {
    const eg_net *net;
    const char *cut; /* as asked for, or the default */
    eg_run *run;
    size_t batch, repeat;
    float *images, *out;
    double *times;
    uint64_t macs;
};

static enum eg_status measure(struct invocation *in, struct bench *b, struct eg_error *err)
{
    struct progress progress;
    progress_begin(&progress, in, "bench");
    float *out[] = {b->out};
    enum eg_status status = eg_run_forward(b->run, b->images, b->batch, out, err); /* warm-up */
    for (size_t i = 0; i < b->repeat && !status; i++) {
        double start = seconds_now();
        status = eg_run_forward(b->run, b->images, b->batch, out, err);
        b->times[i] = seconds_now() - start;
        if (!status && !progress_step(&progress, i + 1, b->repeat)) {
            snprintf(err->message, sizeof err->message, "interrupted; nothing was written");
            status = EG_E_CANCELLED;
        }
    }
    progress_end(&progress);
    return status;
}

static void print_layers(struct invocation *in, const struct bench *b, json_t *json)
{
    json_t *layers = json ? json_array() : NULL;
    double total = 0;
    for (size_t i = 0; i < eg_run_step_count(b->run); i++) total += eg_run_step(b->run, i).seconds;
    if (!json)
        fprintf(in->out, "%-28s %-24s %9s %9s %6s\n", "layer (last of those fused)", "algorithm", "ms/image",
                "GFLOP/s", "share");
    for (size_t i = 0; i < eg_run_step_count(b->run); i++) {
        struct eg_step step = eg_run_step(b->run, i);
        double ms = 1e3 * step.seconds / (double)b->batch;
        double gflops = ms > 0 ? 2e-6 * (double)step.macs / ms : 0;
        if (json) {
            json_array_append_new(layers, json_pack("{s:o,s:o,s:I,s:o,s:o}", "name", json_text(step.name),
                                                    "algorithm", json_text(step.algorithm), "macs",
                                                    (json_int_t)step.macs, "ms_per_image", json_number(ms),
                                                    "gflops", json_number(gflops)));
            continue;
        }
        print_padded(in->out, step.name, 28, true);
        fputc(' ', in->out);
        print_padded(in->out, step.algorithm, 24, true);
        fprintf(in->out, " %9.3f ", ms);
        if (step.macs)
            fprintf(in->out, "%9.1f", gflops);
        else
            fprintf(in->out, "%9s", "");
        fprintf(in->out, " %5.1f%%\n", total > 0 ? 100 * step.seconds / total : 0);
    }
    if (json)
        json_object_set_new(json, "layers", layers);
    else
        fputc('\n', in->out);
}

static void show(struct invocation *in, struct bench *b, const eg_pool *pool)
{
    bool layers = option_flag(in, "layers");
    qsort(b->times, b->repeat, sizeof *b->times, by_time);
    double middle =
        b->repeat % 2 ? b->times[b->repeat / 2] : (b->times[b->repeat / 2 - 1] + b->times[b->repeat / 2]) / 2;
    double ms = 1e3 * middle / (double)b->batch, least = 1e3 * b->times[0] / (double)b->batch;
    double gflops = 2e-6 * (double)b->macs / ms;
    if (option_flag(in, "json")) {
        json_t *json =
            json_pack("{s:o,s:o,s:I,s:i,s:s,s:o,s:o,s:o,s:o,s:I}", "name", json_text(eg_net_name(b->net)),
                      "cut", json_text(b->cut), "batch", (json_int_t)b->batch, "threads",
                      eg_pool_threads(pool), "isa", eg_cpu(), "ms_per_image", json_number(ms), "ms_min",
                      json_number(least), "images_per_second", json_number(1e3 / ms), "gflops",
                      json_number(gflops), "memory_bytes", (json_int_t)eg_run_bytes(b->run));
        if (layers) print_layers(in, b, json);
        print_json(in, json);
        return;
    }
    if (layers) print_layers(in, b, NULL);
    fprintf(in->out, "%s to %s, batch %zu, %u threads, %s\n", eg_net_name(b->net),
            b->cut ? b->cut : "the end", b->batch, eg_pool_threads(pool), eg_cpu());
    fprintf(in->out, "%.2f ms an image (median of %zu; least %.2f), %.1f images/s, %.1f GFLOP/s, %.0f MB\n",
            ms, b->repeat, least, 1e3 / ms, gflops, (double)eg_run_bytes(b->run) / 1e6);
}

static int bench(struct invocation *in, struct bench *b, eg_pool *pool)
{
    struct eg_error err;
    char last[32];
    snprintf(last, sizeof last, "#%zu", eg_net_layer_count(b->net) - 1);
    const char *cut = b->cut ? b->cut : last;
    struct eg_run_cuts cuts = {EG_SIZED(eg_run_cuts), .cuts = &cut, .n_cuts = 1,
                               .exact = option_flag(in, "exact")};
    enum eg_status status = eg_run_create(b->net, &cuts, b->batch, pool, &b->run, &err);
    if (status) return report_error(in, status, &err);
    struct extent shape = extent_of(eg_net_layer(b->net, 0).shape);
    size_t n = b->batch * shape.h * shape.w * shape.c;
    b->images = malloc(n * sizeof *b->images);
    b->out = malloc((b->batch * eg_run_length(b->run, 0) + 1) * sizeof *b->out);
    b->times = malloc(b->repeat * sizeof *b->times);
    if (!b->images || !b->out || !b->times) {
        tell(in, "out of memory for %zu images (use a smaller --batch)", b->batch);
        return EXIT_FAILED;
    }
    uint32_t state = 1;
    for (size_t i = 0; i < n; i++) {
        state = state * 1664525u + 1013904223u;
        b->images[i] = (float)(state >> 8) / 8388608.0f - 1.0f;
    }
    eg_run_time_steps(b->run, option_flag(in, "layers"));
    status = measure(in, b, &err);
    if (status) return report_error(in, status, &err);
    show(in, b, pool);
    return EXIT_DONE;
}

static int run(struct invocation *in)
{
    struct bench b = {.batch = (size_t)option_integer(in, "batch"),
                      .repeat = (size_t)option_integer(in, "repeat"),
                      .cut = option_text(in, "cut")};
    struct eg_net_options how;
    char *folders = NULL;
    int code = model_options(in, &how, &folders);
    if (code) return code;
    how.random_weights = option_flag(in, "random-weights");
    how.seed = (uint64_t)option_integer(in, "seed");
    struct eg_error err;
    eg_net *net = NULL, *cut_net = NULL;
    eg_pool *pool = NULL;
    enum eg_status status = eg_net_load(in->operands[0], &how, &net, &err);
    if (!status && !b.cut) b.cut = eg_net_default_cut(net);
    if (!status && b.cut) status = eg_net_cut(net, b.cut, &cut_net, &err);
    code = status ? report_error(in, status, &err) : make_pool(in, &pool);
    if (!code) {
        const eg_net *measured = cut_net ? cut_net : net;
        for (size_t i = 0; i < eg_net_layer_count(measured); i++) b.macs += eg_net_layer(measured, i).macs;
        b.net = net;
        code = bench(in, &b, pool);
    }
    free(b.images);
    free(b.out);
    free(b.times);
    eg_run_free(b.run);
    eg_pool_free(pool);
    eg_net_free(cut_net);
    eg_net_free(net);
    free(folders);
    return code;
}

static const struct option_row options[] = {
    {OPTION_TEXT, "cut", 0, "CUT[:POOL]", "the network's default cut", 0, 0, false, "run to this layer"},
    {OPTION_INTEGER, "batch", 0, "N", "1", 1, 4096, false, "images a forward pass"},
    {OPTION_INTEGER, "repeat", 0, "N", "20", 1, 1000000, false, "forward passes; the median is reported"},
    {OPTION_FLAG, "random-weights", 0, NULL, NULL, 0, 0, false,
     "run a built-in network with no weights at hand"},
    {OPTION_FLAG, "layers", 0, NULL, NULL, 0, 0, false, "time of every layer, as fused"},
    {OPTION_FLAG, "exact", 0, NULL, NULL, 0, 0, false, "no Winograd: slower, last digits differ"},
    OPTION_SEED_ROW,
    OPTION_JSON_ROW,
    OPTION_MODEL_ROWS,
    {0},
};

const struct command command_bench = {
    .name = "bench",
    .summary = "how fast this machine runs a network, per layer on request",
    .operands = "MODEL",
    .example = "engraft bench efficientnet-lite0 --repeat 3",
    .options = options,
    .run = run,
};
