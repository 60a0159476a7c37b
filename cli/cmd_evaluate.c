/* engraft evaluate: how good a trained model is on rows it has not learned from. */
#include <stdlib.h>
#include <string.h>

#include "cli.h"

/* classes of a model, borrowed from it; free() the list. */
static const char **classes_of(const eg_net *net)
{
    const char **classes = calloc(eg_net_class_count(net), sizeof *classes);
    for (size_t i = 0; classes && i < eg_net_class_count(net); i++) classes[i] = eg_net_class_name(net, i);
    return classes;
}

static int draw(struct invocation *in, const eg_net *net, const struct eg_evaluate_report *report)
{
    if (eg_net_answer(net) == EG_ANSWER_VALUE)
        return write_svg(in, option_text(in, "svg"),
                         eg_number_svg(&report->numbers, report->number_truth, report->number_answers,
                                       eg_net_class_name(net, 0)));
    const char **classes = classes_of(net);
    char *svg = classes ? eg_confusion_svg(&report->metrics, classes) : NULL;
    free(classes);
    return write_svg(in, option_text(in, "svg"), svg);
}

static double noted_number(const eg_net *net, const char *key, double fallback)
{
    double value;
    const char *text = eg_net_metadata(net, key);
    return text && parse_real(text, &value) ? value : fallback;
}

static int make_page(struct invocation *in, const eg_net *net, const struct eg_evaluate_report *report,
                     eg_pool *pool)
{
    const char *data = in->operands[in->n_operands - 1];
    if (!option_given(in, "report")) return EXIT_DONE;
    eg_features *features = NULL;
    struct eg_error err;
    enum eg_status status = is_hdf5(data) ? eg_features_open(data, &features, &err) : EG_OK;
    if (status) return report_error(in, status, &err);
    struct eg_dataset_options listing = {EG_SIZED(eg_dataset_options)};
    listing.exclude = option_list(in, "exclude", &listing.n_exclude);
    double fraction = noted_number(net, "engraft.test_fraction", 0);
    char *json = eg_evaluate_report_json(report, net);
    struct eg_page_options page = {.report = json,
                                   .features = features,
                                   .cut = features ? eg_net_metadata(net, "engraft.cut") : NULL,
                                   .model = net,
                                   .data = data,
                                   .same_data = true,
                                   .evaluated = report,
                                   .images = &listing,
                                   .model_path = in->operands[0],
                                   .features_path = features ? data : NULL,
                                   .test_fraction = fraction > 0 ? fraction : -1,
                                   .seed = (uint64_t)noted_number(net, "engraft.split_seed", 0),
                                   .pool = pool};
    size_t at;
    if (page.cut && eg_features_find_cut(features, page.cut, &at, NULL)) page.cut = NULL;
    int code = write_report(in, data, &page);
    free(json);
    eg_features_close(features);
    return code;
}

static int show(struct invocation *in, const eg_net *net, const struct eg_evaluate_report *report)
{
    const char *data = in->operands[in->n_operands - 1];
    bool test = report->rows == EG_ROWS_TEST;
    const enum eg_answer_kind kind = eg_net_answer(net);
    const size_t n = kind == EG_ANSWER_CLASS    ? report->metrics.n
                     : kind == EG_ANSWER_LABELS ? report->labels.n
                                                : report->numbers.n;
    if (option_flag(in, "json")) {
        print_text(in, eg_evaluate_report_json(report, net));
        return EXIT_DONE;
    }
    if (test && report->trained_here)
        fprintf(in->out, "'%s' is what the model was trained from: measured on its %zu test rows only\n\n",
                data, n);
    else if (test)
        fprintf(in->out,
                "'%s': %zu rows; %zu others are left out, the model learned from them (--rows all counts "
                "them)\n\n",
                data, n, report->n_known);
    else if (report->trained_here)
        fprintf(in->out,
                "'%s' is what the model was trained from: all %zu rows, those it learned from included\n\n",
                data, n);
    else
        fprintf(in->out, "'%s': all %zu labelled rows\n\n", data, n);
    if (kind == EG_ANSWER_VALUE) {
        print_text(in, eg_number_metrics_report(&report->numbers, eg_net_class_name(net, 0)));
        return EXIT_DONE;
    }
    const char **classes = classes_of(net);
    if (!classes) return EXIT_FAILED;
    if (kind == EG_ANSWER_LABELS) {
        print_text(in, eg_label_metrics_report(&report->labels, classes));
        free(classes);
        return EXIT_DONE;
    }
    int code = print_metrics(in, &report->metrics, classes);
    free(classes);
    return code;
}

/* Two models: whose answers are right, and whether that can be luck. */
static int show_pair(struct invocation *in, const eg_net *a, const eg_net *b,
                     const struct eg_pair_report *pair)
{
    if (option_flag(in, "json")) {
        print_text(in, eg_pair_report_json(pair, a, b));
        return EXIT_DONE;
    }
    const struct eg_metrics *one = &pair->a->metrics, *other = &pair->b->metrics;
    fprintf(in->out, "on %zu photos that neither has learned from:\n\n", one->n);
    fprintf(in->out, "  accuracy  95 %%         right where the other is wrong\n");
    fprintf(in->out, "    %.4f  %.3f-%.3f  %6zu  %s\n", one->accuracy, one->accuracy_low, one->accuracy_high,
            pair->only_a, in->operands[0]);
    fprintf(in->out, "    %.4f  %.3f-%.3f  %6zu  %s\n\n", other->accuracy, other->accuracy_low,
            other->accuracy_high, pair->only_b, in->operands[1]);
    fprintf(in->out, "p = %.3g (McNemar, exact): %s\n", pair->p_value,
            pair->p_value < 0.05 ? "more than luck" : "it can be luck");
    return EXIT_DONE;
}

static int evaluate_pair(struct invocation *in, const eg_net *net, const struct eg_evaluate_options *how)
{
    eg_net *other = NULL;
    struct eg_pair_report *pair = NULL;
    struct eg_error err;
    if (option_given(in, "svg") || option_given(in, "report"))
        return usage_error(in, "--svg and --report show one model: evaluate the models one by one");
    int code = load_model(in, in->operands[1], &other);
    if (code) return code;
    enum eg_status status = eg_evaluate_pair(net, other, in->operands[2], how, &pair, &err);
    if (status == EG_E_CANCELLED) {
        tell(in, "interrupted; nothing was written, run it again");
        code = EXIT_INTERRUPTED;
    } else if (status) {
        code = report_error(in, status, &err);
    } else {
        list_skipped(in, pair->a->unreadable, pair->a->n_unreadable);
        code = show_pair(in, net, other, pair);
        if (!code && pair->a->n_unreadable) code = EXIT_SKIPPED;
    }
    eg_pair_report_free(pair);
    eg_net_free(other);
    return code;
}

/* What is made for one class a photo alone. */
static int check_answer(const struct invocation *in, const eg_net *net)
{
    static const char *const options[] = {"report", "svg"};
    const size_t n = eg_net_answer(net) == EG_ANSWER_VALUE ? 1 : 2; /* the residuals are drawn */
    if (in->n_operands > 2)
        return usage_error(in, "two models are compared photo by photo where each answers with one class");
    for (size_t i = 0; i < n; i++)
        if (option_given(in, options[i]))
            return usage_error(in, "--%s is of one class a photo; '%s' answers otherwise", options[i],
                               in->operands[0]);
    return EXIT_DONE;
}

static int run(struct invocation *in)
{
    eg_net *net = NULL;
    eg_pool *pool = NULL;
    const char *data = in->operands[in->n_operands - 1];
    int code = option_given(in, "svg") ? check_output(in, option_text(in, "svg")) : EXIT_DONE;
    if (!code) code = check_report(in);
    if (!code) code = load_model(in, in->operands[0], &net);
    if (!code && eg_net_answer(net) == EG_ANSWER_CLASS) code = check_data(in, data);
    if (!code && eg_net_answer(net) != EG_ANSWER_CLASS) code = check_answer(in, net);
    if (!code) code = make_pool(in, &pool);
    if (!code) {
        const char *rows = option_text(in, "rows");
        struct progress progress;
        progress_begin(&progress, in, "evaluate");
        struct eg_dataset_options listing = {EG_SIZED(eg_dataset_options)};
        listing.exclude = option_list(in, "exclude", &listing.n_exclude);
        struct eg_evaluate_options how = {EG_SIZED(eg_evaluate_options),
                                          .images = &listing,
                                          .rows = !rows                  ? EG_ROWS_AUTO
                                                  : strcmp(rows, "test") ? EG_ROWS_ALL
                                                                         : EG_ROWS_TEST,
                                          .batch = (size_t)option_integer(in, "batch"),
                                          .pool = pool,
                                          .progress = progress_step,
                                          .user = &progress};
        struct eg_evaluate_report *report;
        struct eg_error err;
        const bool pair = in->n_operands > 2;
        if (pair) code = evaluate_pair(in, net, &how);
        enum eg_status status = pair ? EG_OK : eg_evaluate(net, data, &how, &report, &err);
        progress_end(&progress);
        if (pair) {
            /* told already */
        } else if (status == EG_E_CANCELLED) {
            tell(in, "interrupted; nothing was written, run it again");
            code = EXIT_INTERRUPTED;
        } else if (status) {
            code = report_error(in, status, &err);
        } else {
            list_skipped(in, report->unreadable, report->n_unreadable);
            if (option_given(in, "svg")) code = draw(in, net, report);
            if (!code) code = make_page(in, net, report, pool);
            if (!code) code = show(in, net, report);
            if (!code && report->n_unreadable) code = EXIT_SKIPPED;
            eg_evaluate_report_free(report);
        }
    }
    eg_pool_free(pool);
    eg_net_free(net);
    return code;
}

static const struct option_row options[] = {
    {OPTION_CHOICE, "rows", 0, "test|all", "test on the data it was trained from, else all", 0, 0, false,
     "which rows to measure on"},
    {OPTION_TEXT, "svg", 0, "FILE", NULL, 0, 0, false, "draw the confusion matrix, of numbers the residuals"},
    OPTION_REPORT_ROW,
    OPTION_FORCE_ROW,
    OPTION_BATCH_ROW,
    OPTION_EXCLUDE_ROW,
    OPTION_JSON_ROW,
    OPTION_MODEL_ROWS,
    {0},
};

const struct command command_evaluate = {
    .name = "evaluate",
    .summary = "how good a trained model is, on a feature file or on photos",
    .operands = "MODEL.onnx [OTHER.onnx] FILE.h5|IMAGES",
    .details =
        "On the data the model was trained from, only the rows kept for the test are counted. Two models: "
        "the photos that neither has learned from, which of them only one gets right, and whether "
        "that can be luck.",
    .example = "engraft evaluate mine.onnx photos.h5",
    .options = options,
    .run = run,
};
