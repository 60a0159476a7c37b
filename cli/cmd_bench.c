/* engraft bench: how fast this machine runs a network. */
#include <stdlib.h>

#include "cli.h"

static void print_layers(FILE *to, const struct eg_bench_report *r)
{
    double total = 0;
    for (size_t i = 0; i < r->n_layers; i++) total += r->layers[i].seconds;
    fprintf(to, "%-28s %-24s %9s %9s %6s\n", "layer (last of those fused)", "algorithm", "ms/image",
            "GFLOP/s", "share");
    for (size_t i = 0; i < r->n_layers; i++) {
        const struct eg_bench_layer *layer = &r->layers[i];
        print_padded(to, layer->name, 28, true);
        fputc(' ', to);
        print_padded(to, layer->algorithm, 24, true);
        fprintf(to, " %9.3f ", layer->ms);
        if (layer->macs)
            fprintf(to, "%9.1f", layer->gflops);
        else
            fprintf(to, "%9s", "");
        fprintf(to, " %5.1f%%\n", total > 0 ? 100 * layer->seconds / total : 0);
    }
    fputc('\n', to);
}

static void print_bench(FILE *to, const struct eg_bench_report *r)
{
    if (r->n_layers) print_layers(to, r);
    fprintf(to, "%s to %s, batch %zu, %u threads, %s\n", r->name, r->cut ? r->cut : "the end", r->batch,
            r->threads, r->isa);
    fprintf(to, "%.2f ms an image (median of %zu; least %.2f), %.1f images/s, %.1f GFLOP/s, %.0f MB\n", r->ms,
            r->repeat, r->ms_least, 1e3 / r->ms, r->gflops, (double)r->memory_bytes / 1e6);
}

static int bench(struct invocation *in, const eg_net *net)
{
    struct progress progress;
    struct eg_bench_options how = {EG_SIZED(eg_bench_options),
                                   .cut = option_text(in, "cut"),
                                   .batch = (size_t)option_integer(in, "batch"),
                                   .repeat = (size_t)option_integer(in, "repeat"),
                                   .exact = option_flag(in, "exact"),
                                   .layers = option_flag(in, "layers"),
                                   .progress = progress_step,
                                   .user = &progress};
    int code = make_pool(in, &how.pool);
    if (code) return code;
    struct eg_bench_report *report;
    struct eg_error err;
    progress_begin(&progress, in, "bench");
    enum eg_status status = eg_bench(net, &how, &report, &err);
    progress_end(&progress);
    eg_pool_free(how.pool);
    if (status) return report_error(in, status, &err);
    if (option_flag(in, "json"))
        print_text(in, eg_bench_report_json(report));
    else
        print_bench(in->out, report);
    eg_bench_report_free(report);
    return EXIT_DONE;
}

static int run(struct invocation *in)
{
    struct eg_net_options how;
    char *folders = NULL;
    int code = model_options(in, &how, &folders);
    if (code) return code;
    how.random_weights = option_flag(in, "random-weights");
    how.seed = (uint64_t)option_integer(in, "seed");
    struct eg_error err;
    eg_net *net = NULL;
    enum eg_status status = eg_net_load(in->operands[0], &how, &net, &err);
    code = status ? report_error(in, status, &err) : check_trunk(in, in->operands[0], net);
    if (!code) code = bench(in, net);
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
