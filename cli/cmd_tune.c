/* engraft tune: a new FC head on the cut network, and as many layers below it as wanted. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "chart.h"
#include "cli.h"

struct watch {
    struct progress progress;
    bool quiet;
    double started;
};

static void show_epoch(void *user, const struct eg_epoch *e)
{
    struct watch *watch = user;
    if (watch->quiet) return;
    progress_end(&watch->progress);
    if (e->epoch == 1 && e->phase > 1)
        fprintf(stderr, "again without the photos of fold %u, to see what it brings\n", e->phase - 1);
    else if (e->epoch == 1)
        fprintf(stderr, "%s\n%9s %7s  %8s  %9s  %8s  %8s %7s\n",
                e->phase ? "layers and head" : "the head, on features computed once", "epoch", "loss",
                "accuracy", "val. loss", "accuracy", "rate", "seconds");
    char valid[48] = "        -         -";
    if (isfinite(e->valid_loss))
        snprintf(valid, sizeof valid, "%9.4f  %8.4f", e->valid_loss, e->valid_accuracy);
    fprintf(stderr, "%4u/%-4u %7.4f  %8.4f  %s  %8.2g %7.1f%s\n", e->epoch, e->epochs, e->train_loss,
            e->train_accuracy, valid, e->rate, e->seconds,
            e->best && isfinite(e->valid_loss) ? "  best" : "");
    if (e->seconds > 2 && e->epoch < e->epochs)
        fprintf(stderr, "%56s%.0f s left at most\n", "", e->seconds * (e->epochs - e->epoch));
}

static bool step(void *user, size_t done, size_t total)
{
    struct watch *watch = user;
    return progress_step(&watch->progress, done, total);
}

/* Loss by epoch, of the last phase. */
static void draw_losses(const struct eg_tune_report *r, FILE *to)
{
    size_t first = 0, n;
    while (first < r->n_epochs && r->epochs[first].phase != r->epochs[r->n_epochs - 1].phase) first++;
    n = r->n_epochs - first;
    double *numbers = malloc((3 * n + 1) * sizeof *numbers);
    if (!numbers) return;
    for (size_t i = 0; i < n; i++) {
        numbers[i] = r->epochs[first + i].epoch;
        numbers[n + i] = r->epochs[first + i].train_loss;
        numbers[2 * n + i] = r->epochs[first + i].valid_loss;
    }
    struct chart_series series[] = {{"training", numbers, numbers + n, n},
                                    {"validation", numbers, numbers + 2 * n, n}};
    struct chart chart = {
        .title = "loss by epoch", .x_name = "epoch", .series = series, .n_series = r->n_valid ? 2 : 1};
    if (n > 1) chart_print(&chart, to);
    free(numbers);
}

static void draw_rates(const struct eg_tune_report *r, FILE *to)
{
    double *numbers = malloc((2 * r->n_curve + 1) * sizeof *numbers);
    if (!numbers || !r->n_curve) {
        free(numbers);
        return;
    }
    for (size_t i = 0; i < r->n_curve; i++) {
        numbers[i] = r->curve[i].rate;
        numbers[r->n_curve + i] = r->curve[i].loss;
    }
    struct chart_series series = {"loss", numbers, numbers + r->n_curve, r->n_curve};
    struct chart chart = {.title = "the rate finder",
                          .x_name = "learning rate",
                          .log_x = true,
                          .series = &series,
                          .n_series = 1};
    chart_print(&chart, to);
    fprintf(to, "%11srate taken: %.3g\n", "", r->rate);
    free(numbers);
}

/* What it brought, on photos that it had not seen, and what that cost. */
static void print_evidence(const struct eg_tune_report *r, FILE *to)
{
    const struct eg_tune_evidence *e = &r->evidence;
    if (!e->from) {
        fprintf(to, "whether it is better than a linear classifier is not known:\nno photos were held out\n");
        return;
    }
    fprintf(to, "fine-tuning brought     %+.1f points (95 %%: %+.1f to %+.1f)\n", 100 * e->gain,
            100 * e->gain_low, 100 * e->gain_high);
    fprintf(to, "on %5zu photos, %s %.4f, a linear classifier %.4f\n", e->n,
            !strcmp(e->from, "folds")  ? "by folds:"
            : !strcmp(e->from, "test") ? "of the test:"
                                       : "of the validation:",
            e->tuned_accuracy, e->linear_accuracy);
}

static void print_outcome(const struct eg_tune_report *r, FILE *to)
{
    print_evidence(r, to);
    fprintf(to, "it cost                 %.0f s, and %.0f s to see what it brings\n", r->tuning_seconds,
            r->evidence.seconds);
    if (r->linear_written)
        fprintf(to, "written                 the linear classifier (%s; or --keep-tuned)\n",
                r->train.classifier);
    else if (r->share < 1)
        fprintf(to, "written                 weights %.0f %% of the way from the linear start\n",
                100 * r->share);
}

static int print_report(struct invocation *in, const char *output, const struct eg_tune_report *r)
{
    FILE *to = in->out;
    const struct eg_metrics *test = &r->train.test;
    int code = EXIT_DONE;
    draw_rates(r, to);
    draw_losses(r, to);
    fprintf(to, "\n%zu training and %zu validation photos in %zu classes\n", r->train.n_train, r->n_valid,
            r->train.n_classes);
    fprintf(to, "learned                 the head%s%s\n", r->unfrozen ? ", and the layers from " : "",
            r->unfrozen ? r->unfrozen : "");
    print_outcome(r, to);
    if (test->n) {
        fprintf(to, "held-out accuracy       %.4f (95 %%: %.3f to %.3f) on %zu photos\n", test->accuracy,
                test->accuracy_low, test->accuracy_high, test->n);
        fprintf(to, "                        tuned %.4f, linear %.4f\n\n", r->tuned_accuracy,
                r->linear_accuracy);
        code = print_metrics(in, test, (const char *const *)r->train.classes);
    }
    fprintf(to, "\n%s is written (%.1f s): engraft predict %s PHOTO.jpg\n", output, r->train.seconds, output);
    return code;
}

static int print_estimate(struct invocation *in, const struct eg_tune_report *r)
{
    double minutes = r->evidence.seconds_whole / 60;
    print_evidence(r, in->out);
    fprintf(in->out, "that is one fold; the whole takes about %.0f min: %+.1f points a minute\n",
            ceil(minutes), 100 * r->evidence.gain / minutes);
    return EXIT_DONE;
}

/* Can it be written? Better said before hours of work than after. */
static int try_svg(const struct invocation *in, const char *path)
{
    bool was_there = !access(path, F_OK);
    FILE *svg = fopen(path, "a");
    if (!svg) {
        tell(in, "cannot write '%s': %s", path, strerror(errno));
        return EXIT_FAILED;
    }
    fclose(svg);
    if (!was_there) remove(path);
    return EXIT_DONE;
}

static int make_page(struct invocation *in, const char *output, const struct eg_tune_report *r, eg_pool *pool)
{
    if (!option_given(in, "report")) return EXIT_DONE;
    eg_net *model = NULL;
    struct eg_error err;
    struct eg_net_options as_it_is = {EG_SIZED(eg_net_options)};
    struct eg_dataset_options listing = {EG_SIZED(eg_dataset_options)};
    listing.exclude = option_list(in, "exclude", &listing.n_exclude);
    enum eg_status status = eg_net_load(output, &as_it_is, &model, &err);
    if (status) return report_error(in, status, &err);
    char *json = eg_tune_report_json(r, output);
    struct eg_page_options page = {.report = json,
                                   .model = model,
                                   .data = r->train.test.n ? in->operands[1] : NULL,
                                   .images = &listing,
                                   .tuned = r,
                                   .model_path = output,
                                   .seed = (uint64_t)option_integer(in, "seed"),
                                   .pool = pool};
    int code = write_report(in, in->operands[1], &page);
    free(json);
    eg_net_free(model);
    return code;
}

static int finish(struct invocation *in, const char *output, const struct eg_tune_report *r, eg_pool *pool)
{
    int code = EXIT_DONE;
    if (r->evidence.from && r->evidence.gain < 0 && !r->linear_written && !option_flag(in, "estimate"))
        tell(in,
             "warning: fine-tuning did worse than a linear classifier (%.4f against %.4f) and is written as "
             "told",
             r->evidence.tuned_accuracy, r->evidence.linear_accuracy);
    if (option_text(in, "svg")) code = write_svg(in, option_text(in, "svg"), eg_tune_svg(r));
    if (!code) code = make_page(in, output, r, pool);
    if (!code && option_flag(in, "json"))
        print_text(in, eg_tune_report_json(r, output));
    else if (!code && option_flag(in, "estimate"))
        code = print_estimate(in, r);
    else if (!code)
        code = print_report(in, output, r);
    tell_empty_classes(in, &r->train);
    tell_twice(in, &r->train);
    list_skipped(in, r->train.unreadable, r->train.n_unreadable);
    return !code && r->train.n_unreadable ? EXIT_SKIPPED : code;
}

/* 0: the default; below 0: to be found. */
static int parse_rate(const struct invocation *in, double *rate)
{
    const char *text = option_text(in, "lr");
    *rate = 0;
    if (!text || !strcmp(text, "auto")) return EXIT_DONE;
    if (!strcmp(text, "find")) {
        *rate = -1;
        return EXIT_DONE;
    }
    if (parse_real(text, rate) && *rate > 0 && *rate < 100) return EXIT_DONE;
    return usage_error(in, "--lr '%s' is neither auto, find nor a number above 0 and below 100", text);
}

/* Folds to see by what tuning brings. */
static int folds_of(const struct invocation *in)
{
    const char *effort = option_text(in, "effort");
    return !effort || !strcmp(effort, "good") ? 3 : !strcmp(effort, "best") ? 5 : -1;
}

/* --size auto: the network's own, or the usual shape of the photos. */
static int choose_size(struct invocation *in, const eg_dataset *images, const struct eg_tune_options *tune,
                       eg_net **net)
{
    eg_net *nets[2] = {*net, NULL};
    size_t size[2], best = 0;
    struct eg_error err;
    struct progress progress;
    struct eg_compared_input tried[2] = {0};
    enum eg_status status = eg_net_usual_size(*net, images, size, &err);
    if (status) return report_error(in, status, &err);
    int code = load_model_at(in, in->operands[0], size, &nets[1]);
    if (code || !nets[1]) return code; /* it has one size only */
    struct eg_train_options how = {EG_SIZED(eg_train_options), .test_fraction = tune->test_fraction,
                                   .group = tune->group,       .seed = tune->seed,
                                   .pool = tune->pool,         .progress = progress_step,
                                   .user = &progress};
    progress_begin(&progress, in, "size");
    if (later_rank()) progress.quiet = true;
    status = eg_inputs_compare((const eg_net *const *)nets, 2, images, option_text(in, "output"), &how,
                               tune->cut, tried, &best, &err);
    progress_end(&progress);
    if (!status && !option_flag(in, "quiet"))
        for (size_t i = 0; i < 2; i++)
            tell(in, "input %zux%zu: a linear classifier is right on %.4f (%.1f s)%s", tried[i].height,
                 tried[i].width, tried[i].cv_accuracy, tried[i].seconds, i == best ? ", taken" : "");
    eg_net_free(nets[!best]);
    *net = nets[best];
    return status ? report_error(in, status, &err) : EXIT_DONE;
}

static int run(struct invocation *in)
{
    const char *output = option_text(in, "output");
    struct watch watch = {.quiet = option_flag(in, "quiet") || later_rank()};
    double part = option_real(in, "test");
    struct eg_tune_options options = {
        EG_SIZED(eg_tune_options),
        .cut = option_text(in, "cut"),
        .hidden = (size_t)option_integer(in, "head"),
        .unfreeze = option_text(in, "unfreeze"),
        .epochs = option_given(in, "epochs") ? (unsigned)option_integer(in, "epochs") : 0,
        .optimizer = option_text(in, "optimizer"),
        .augment = option_text(in, "augment"),
        .views = (unsigned)option_integer(in, "views"),
        .valid_fraction = option_real(in, "valid"),
        .test_fraction = part > 0 ? part : -1,
        .group = option_text(in, "group"),
        .label_smoothing = option_real(in, "label-smoothing") > 0 ? option_real(in, "label-smoothing") : -1,
        .mixup = option_real(in, "mixup"),
        .train_batch_norm = option_flag(in, "train-batch-norm"),
        .batch = (size_t)option_integer(in, "batch"),
        .memory_bytes = option_bytes(in, "memory"),
        .resume = option_flag(in, "resume"),
        .overwrite = option_flag(in, "force"),
        .seed = (uint64_t)option_integer(in, "seed"),
        .ranks = under_mpi(),
        .command = in->line,
        .progress = step,
        .epoch = show_epoch,
        .user = &watch,
        .folds = folds_of(in),
        .keep_tuned = option_flag(in, "keep-tuned"),
        .estimate = option_flag(in, "estimate"),
    };
    int code = parse_rate(in, &options.rate);
    if (!code) code = check_writable(in, output);
    if (!code && option_text(in, "svg")) code = try_svg(in, option_text(in, "svg"));
    if (!code) code = check_report(in);
    eg_net *net = NULL;
    eg_dataset *images = NULL;
    if (!code) code = make_pool(in, &options.pool);
    if (!code) code = load_model(in, in->operands[0], &net);
    if (!code) code = open_images(in, in->operands[1], &images);
    if (!code && option_text(in, "size") && !strcmp(option_text(in, "size"), "auto"))
        code = choose_size(in, images, &options, &net);
    if (!code) {
        struct eg_tune_report *report;
        struct eg_error err;
        progress_begin(&watch.progress, in, "tune");
        if (later_rank()) watch.progress.quiet = true;
        enum eg_status status = eg_tune(net, images, output, &options, &report, &err);
        progress_end(&watch.progress);
        if (status) {
            code = report_error(in, status, &err);
            if (status == EG_E_CANCELLED) tell(in, "run the same command with --resume to go on");
        } else {
            if (!report->rank) code = finish(in, output, report, options.pool); /* the first speaks for all */
            eg_tune_report_free(report);
        }
    }
    eg_dataset_free(images);
    eg_net_free(net);
    eg_pool_free(options.pool);
    return code;
}

static const struct option_row options[] = {
    OPTION_OUTPUT_ROW("MODEL.onnx", "the tuned network: one ONNX file, pixels to probabilities"),
    {OPTION_TEXT, "cut", 0, "CUT", "the network's default cut", 0, 0, false, "where the new head goes"},
    {OPTION_INTEGER, "head", 0, "N", "0", 0, 65536, false,
     "0: one FC layer, which begins as the logistic regression; N: FC N, ReLU, dropout, FC classes beside "
     "it"},
    {OPTION_TEXT, "unfreeze", 0, "half|LAYER|all|none", "half", 0, 0, false,
     "layers that learn with the head: the last half of the blocks below the cut; from the cut down to LAYER "
     "(a "
     "block: all of it)"},
    {OPTION_INTEGER, "epochs", 0, "N", "10, 30 for the head alone", 1, 100000, false,
     "passes over the photos"},
    {OPTION_CHOICE, "effort", 0, "good|fast|best", NULL, 0, 0, false,
     "tune 3, no or 5 times more, each time without some of the photos, to see on these what it brings"},
    {OPTION_FLAG, "keep-tuned", 0, NULL, NULL, 0, 0, false,
     "write the tuned network even where a linear classifier is better"},
    {OPTION_FLAG, "estimate", 0, NULL, NULL, 0, 0, false,
     "one fold only: what it would bring and how long it would take; nothing is written"},
    {OPTION_TEXT, "lr", 0, "auto|find|RATE", "auto", 0, 0, false,
     "peak learning rate of the head: 5e-4 (SGD 3e-3), found by trying, or this; layers below get a fifth "
     "and less"},
    {OPTION_CHOICE, "optimizer", 0, "adamw|sgd", NULL, 0, 0, false, "SGD has momentum 0.9"},
    {OPTION_CHOICE, "augment", 0, "standard|light|none", NULL, 0, 0, false,
     "random crops and mirroring; standard: and turns and colours"},
    {OPTION_INTEGER, "views", 0, "K", "0", 0, 1000, false,
     "keep K augmented views of each photo; 0: new ones every epoch"},
    {OPTION_REAL, "label-smoothing", 0, "E", "0.1", 0, 0.9, false,
     "part of the goal given to all classes alike"},
    {OPTION_REAL, "mixup", 0, "A", "0", 0, 10, false, "blend pairs of photos, beta(A, A); 0: no"},
    {OPTION_FLAG, "train-batch-norm", 0, NULL, NULL, 0, 0, false,
     "learn batch norms too; otherwise they stay as they are"},
    {OPTION_INTEGER, "batch", 0, "N", "16", 1, 4096, false, "photos a step"},
    {OPTION_REAL, "valid", 0, "PART", "0", 0, 0.9, false,
     "of the training photos, to choose the best epoch by; 0: all learn, and the weights of the last steps "
     "are averaged"},
    {OPTION_REAL, "test", 0, "PART", "0.25", 0, 0.9, false, "part of every class kept for the test; 0: none"},
    {OPTION_TEXT, "group", 0, "PATTERN", NULL, 0, 0, false,
     "keep photos of one group (a burst, a patient) together in the test, the validation, the training: a "
     "regular expression, whose (part), else all it matches, of the path names the group"},
    {OPTION_BYTES, "memory", 0, "SIZE", "half of what there is", 0, 0, false,
     "for values computed once: 500M, 2G"},
    {OPTION_FLAG, "resume", 0, NULL, NULL, 0, 0, false, "go on with a run that was stopped"},
    {OPTION_TEXT, "svg", 0, "FILE", NULL, 0, 0, false, "draw the loss by epoch"},
    OPTION_REPORT_ROW,
    OPTION_SEED_ROW,
    OPTION_FORCE_ROW,
    OPTION_JSON_ROW,
    OPTION_EXCLUDE_ROW,
    OPTION_MODEL_ROWS,
    {0},
};

const struct command command_tune = {
    .name = "tune",
    .summary = "a new FC head on the cut network, fine-tuned with as many layers as you like",
    .operands = "MODEL IMAGES",
    .details =
        "The head begins as the logistic regression on the cut's features; then it and the layers below it "
        "learn, those at lower rates. Folds say what that brought, and which weights between the start and "
        "the end are best; where the linear classifier is better, it is what is written. The test photos "
        "are looked at once, at the end. --size auto takes the network's own input or one in the usual shape "
        "of the photos, whichever is better for a linear classifier. "
        "After every epoch the state is saved beside the output: a run that was stopped goes on with "
        "--resume.",
    .example = "engraft tune efficientnet-lite0 photos --size auto -o tuned.onnx",
    .auto_size = true,
    .options = options,
    .run = run,
};
