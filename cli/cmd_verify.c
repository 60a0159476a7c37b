/* engraft verify: the same input through this network and yours. */
#include <stdlib.h>
#include <string.h>

#include "cli.h"

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n > m && !strcmp(text + n - m, end);
}

static void print_layers(const struct invocation *in, const struct eg_verify_report *report)
{
    FILE *to = in->out;
    char shape[64];
    fprintf(to, "difference  %-14s layer\n", "shape");
    for (size_t i = 0; i < report->n_layers; i++) {
        const struct eg_verified_layer *layer = &report->layers[i];
        fprintf(to, "%10.1e  %-14s ", layer->difference, volume_text(layer->shape, shape));
        char *name = printable(layer->name), *other = printable(layer->other);
        if (name && other && strcmp(name, other))
            fprintf(to, "%s (%s)", name, other);
        else
            fputs(name ? name : "", to);
        fputs(layer->name == report->parts_at ? "   <- they part here\n" : "\n", to);
        free(name);
        free(other);
    }
    if (report->n_unmatched)
        fprintf(to, "%zu layers of the other side were not compared (--json lists them)\n",
                report->n_unmatched);
    if (report->parts_at) {
        char *name = printable(report->parts_at);
        fprintf(to, "they part at %s\n", name ? name : "");
        free(name);
    } else {
        fprintf(to, "they agree within 1e-3 in all %zu layers compared\n", report->n_layers);
    }
}

static int verify(struct invocation *in, const eg_net *net, struct eg_verify_options *how)
{
    struct progress progress;
    progress_begin(&progress, in, "verify");
    how->progress = progress_step;
    how->user = &progress;
    struct eg_verify_report *report;
    struct eg_error err;
    enum eg_status status = eg_verify(net, how, &report, &err);
    progress_end(&progress);
    if (status == EG_E_CANCELLED) {
        tell(in, "interrupted; nothing was written, run it again");
        return EXIT_INTERRUPTED;
    }
    if (status) return report_error(in, status, &err);
    if (option_flag(in, "json"))
        print_text(in, eg_verify_report_json(report));
    else
        print_layers(in, report);
    eg_verify_report_free(report);
    return EXIT_DONE;
}

static int run(struct invocation *in)
{
    const char *against = option_text(in, "against"), *second = in->n_operands > 1 ? in->operands[1] : NULL;
    if (!against)
        return usage_error(in, "say against what: --against x.npy y.npy (an input, and what it gave), or "
                               "--against OTHER.onnx");
    const bool values = ends_with(against, ".npy") || (second && ends_with(second, ".npz"));
    if (values && !second)
        return usage_error(in, "'%s' is the input: what did it give (--against x.npy y.npy, or values.npz)?",
                           against);
    if (!values && option_given(in, "cut"))
        return usage_error(in, "--cut says which layer y.npy is of: it means nothing with another network");
    struct eg_verify_options how = {EG_SIZED(eg_verify_options), .input = values ? against : second,
                                    .values = values ? second : NULL, .layer = option_text(in, "cut"),
                                    .seed = (uint64_t)option_integer(in, "seed")};
    if (option_given(in, "preprocess") && (!how.input || ends_with(how.input, ".npy")))
        return usage_error(in, "--preprocess means nothing without a photo: an array is taken as it is");
    if (option_given(in, "seed") && how.input)
        return usage_error(in, "--seed means nothing with an input of your own");
    eg_net *net = NULL, *other = NULL;
    int code = load_model(in, in->operands[0], &net);
    if (!code && !values) code = load_model(in, against, &other);
    if (!code) code = make_pool(in, &how.pool);
    how.other = other;
    if (!code) code = verify(in, net, &how);
    eg_net_free(net);
    eg_net_free(other);
    eg_pool_free(how.pool);
    return code;
}

static const struct option_row options[] = {
    {OPTION_TEXT, "against", 0, "x.npy|MODEL", NULL, 0, 0, false,
     "the input that y.npy or values.npz was made from, or another network"},
    {OPTION_TEXT, "cut", 0, "LAYER", "the answer", 0, 0, false, "the layer that y.npy is of"},
    {OPTION_INTEGER, "seed", 0, "N", "0", 0, 4294967295, false,
     "of the noise that is the input where none is given"},
    OPTION_JSON_ROW,
    OPTION_MODEL_ROWS,
    {0},
};

const struct command command_verify = {
    .name = "verify",
    .summary = "the same input through this network and yours: where they part",
    .operands = "MODEL [y.npy|values.npz|INPUT]",
    .details =
        "--against x.npy y.npy: the array x (float32 [N][3][H][W], resized and normalised) and what your "
        "program "
        "made of it; values.npz (numpy.savez) holds many layers by their names. --against OTHER.onnx "
        "[x.npy|PHOTO]: "
        "another network, layer by layer. A layer's difference is the largest absolute one over the largest "
        "absolute value; they part at the first past 1e-3.",
    .example = "engraft verify efficientnet-lite0 --against efficientnet-lite0",
    .options = options,
    .run = run,
};
