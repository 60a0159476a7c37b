/* engraft train: a feature file, or photos, to a classifier in one ONNX file. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "training_choices.h"

double *parse_grid(const struct invocation *in, const char *list, size_t *n)
{
    double *grid = calloc(strlen(list) / 2 + 1, sizeof *grid);
    char *copy = strdup(list), *rest = NULL;
    bool good = grid && copy;
    *n = 0;
    for (char *word = copy ? strtok_r(copy, ",", &rest) : NULL; word && good;
         word = strtok_r(NULL, ",", &rest))
        good = parse_real(word, &grid[*n]) && grid[(*n)++] > 0;
    free(copy);
    if (good && *n) return grid;
    free(grid);
    usage_error(in, "--C '%s' is neither auto nor a list of numbers above 0", list);
    return NULL;
}

enum { COMPARED_SHOWN = 10 };

/* What --classifier auto chose from, and what that cost. */
static void print_compared(FILE *to, const struct eg_compared *compared, size_t n)
{
    double seconds = 0;
    for (size_t i = 0; i < n; i++) seconds += compared[i].seconds;
    if (!n) return;
    fprintf(to, "compared by cross-validation in %.1f s:\n\n", seconds);
    size_t columns = terminal_columns(stdout);
    bool wide = columns >= 100; /* else the chosen C alone is told, below */
    fprintf(to, "    accuracy  95 %%         classifier  scale   %s   length  cut\n",
            wide ? "         C" : "");
    for (size_t i = 0; i < n && i < COMPARED_SHOWN; i++) {
        const struct eg_compared *c = &compared[i];
        fprintf(to, "%s %.4f  %.3f-%.3f  %-10s  %-8s  ", i ? "    " : "  ->", c->cv_accuracy, c->cv_low,
                c->cv_high, c->classifier, c->scale);
        if (wide) fprintf(to, "%8.3g  ", c->c);
        fprintf(to, "%7zu  ", c->length);
        size_t width = text_width(c->features), room = columns > 70 ? columns - (wide ? 67 : 57) : 13;
        print_padded(to, c->features, width < room ? width : room, true);
        fputc('\n', to);
    }
    if (n > COMPARED_SHOWN) fprintf(to, "     and %zu more (--json lists all)\n", n - COMPARED_SHOWN);
    fputc('\n', to);
}

/* Scalings compared at a few C; the best went on to the whole grid. */
static void print_scales(FILE *to, const struct eg_train_report *report)
{
    if (!report->n_scales) return;
    if (isfinite(report->c))
        fprintf(to, "scalings, at %zu C each (the best went on to the whole grid):\n",
                report->scales[0].points);
    else
        fprintf(to, "scalings:\n");
    for (size_t i = 0; i < report->n_scales; i++)
        fprintf(to, "%12s  %.4f%s\n", report->scales[i].scale, report->scales[i].cv_accuracy,
                !strcmp(report->scales[i].scale, report->scale) ? "  <- chosen" : "");
    fputc('\n', to);
}

/* What the grid and the folds are judged by. */
static const char *measure(const struct eg_train_report *report)
{
    return report->target ? "R2" : report->thresholds ? "mean average precision" : "accuracy";
}

static void print_test(struct invocation *in, const struct eg_train_report *report)
{
    if (report->labels.n) {
        fprintf(in->out, "test report, on %zu photos it has not seen:\n\n", report->labels.n);
        print_text(in, eg_label_metrics_report(&report->labels, (const char *const *)report->classes));
    }
    if (report->numbers.n) print_text(in, eg_number_metrics_report(&report->numbers, report->target));
}

/* What other folds, and folds that had no part in the choice, say of the same figure. */
static void print_luck(FILE *to, const struct eg_train_report *report)
{
    if (report->n_repeated)
        fprintf(to, "by %zu draws of the folds: %s %.4f, standard deviation %.4f\n", report->n_repeated,
                measure(report), report->cv_mean, report->cv_deviation);
    if (report->has_nested)
        fprintf(to, "chosen anew outside of each fold (nested): %s %.4f\n", measure(report), report->nested);
}

static void print_head(FILE *to, const struct eg_train_report *report)
{
    fprintf(to, "%s, scale %s, %zu training photos", report->classifier, report->scale, report->n_train);
    if (report->target)
        fprintf(to, ", numbers of '%s'\n\n", report->target);
    else
        fprintf(to, " %s %zu %s\n\n", report->thresholds ? "with" : "in", report->n_classes,
                report->thresholds ? "labels" : "classes");
}

/* Cuts side by side. */
static void print_joined(FILE *to, const struct eg_train_report *report)
{
    if (!report->n_joined) return;
    fprintf(to, "side by side:\n\n  length  scale     factor  cut\n");
    for (size_t i = 0; i < report->n_joined; i++) {
        const struct eg_joined *j = &report->joined[i];
        fprintf(to, "%8zu  %-8s  %6.3g  %s%s%s%s\n", j->length, j->scale, j->factor, j->cut,
                j->network ? " of '" : "", j->network ? j->network : "", j->network ? "'" : "");
    }
    fputc('\n', to);
}

static int print_report(struct invocation *in, const char *output, const struct eg_train_report *report)
{
    FILE *to = in->out;
    print_compared(to, report->compared, report->n_compared);
    print_head(to, report);
    print_selection(to, report->selection, report->n_selection);
    print_joined(to, report);
    if (report->folds > 5 && !option_given(in, "cv"))
        fprintf(to, "photos are held out one by one: a class has fewer than 5\n\n");
    if (report->folds == 1 &&
        !strcmp(option_text(in, "classifier") ? option_text(in, "classifier") : "", "auto"))
        fprintf(
            to,
            "a class has one photo alone, so nothing can be compared: the nearest class mean is taken\n\n");
    if (report->folds > 1 && report->folds < 5 && !option_given(in, "cv"))
        fprintf(to, "%u folds: the smallest class has no more photos to learn from\n\n", report->folds);
    print_scales(to, report);
    if (report->n_grid > 1 || isfinite(report->cv_accuracy)) {
        if (isfinite(report->c)) fprintf(to, "%12s  cross-validated %s\n", "C", measure(report));
        for (size_t i = 0; i < report->n_grid && isfinite(report->c); i++)
            fprintf(to, "%12g  %.4f%s\n", report->grid[i].c, report->grid[i].cv_accuracy,
                    report->grid[i].c == report->c ? "  <- chosen" : "");
        if (isfinite(report->c)) fputc('\n', to);
        fprintf(to, "cross-validated %s %.4f", measure(report), report->cv_accuracy);
        if (isfinite(report->c)) fprintf(to, " at C = %g", report->c);
        fputc('\n', to);
    }
    print_luck(to, report);
    if (report->reject_rate > 0)
        fprintf(to, "\"unknown\" is answered for %.2f %% of the cross-validated photos\n",
                100 * report->reject_rate);
    int code = EXIT_DONE;
    if (report->test.n) {
        fprintf(to, "test report, on %zu photos it has not seen:\n\n", report->test.n);
        code = print_metrics(in, &report->test, (const char *const *)report->classes);
    }
    print_test(in, report);
    fprintf(to, "\n%s is written (%.1f s): engraft predict %s PHOTO.jpg\n", output, report->seconds, output);
    return code;
}

static void tell_empty(const struct invocation *in, const char *class)
{
    tell(in, "class '%s' has no photo and is left out", class);
}

/* Before the photos are computed. */
static void tell_empty_folders(const struct invocation *in, const eg_dataset *images)
{
    size_t n = eg_dataset_class_count(images);
    bool *has = calloc(n + 1, sizeof *has);
    for (size_t i = 0; has && i < eg_dataset_count(images); i++) {
        int32_t label;
        eg_dataset_path(images, i, &label);
        if (label >= 0) has[label] = true;
    }
    for (size_t k = 0; has && k < n && !option_flag(in, "quiet"); k++)
        if (!has[k]) tell_empty(in, eg_dataset_class_name(images, k));
    free(has);
}

void tell_empty_classes(const struct invocation *in, const struct eg_train_report *report)
{
    for (size_t i = 0; i < report->n_empty && !option_flag(in, "quiet"); i++)
        tell_empty(in, report->empty[i]);
}

void tell_twice(const struct invocation *in, const struct eg_train_report *report)
{
    enum { SHOWN = 5 };
    if (option_flag(in, "quiet")) return;
    for (size_t i = 0; i < report->n_twice && i < SHOWN; i++)
        tell(in, "the same photo is in two classes: '%s' and '%s'", report->twice[i].path,
             report->twice[i].other);
    if (report->n_twice > SHOWN)
        tell(in, "%zu more photos are in two classes (--json lists them)", report->n_twice - SHOWN);
}

/* mine.onnx: mine.h5, of a second network mine.2.h5 */
static char *features_path(const char *output, size_t network)
{
    int n = (int)strlen(output);
    char *path = NULL, number[24] = "";
    if (n > 5 && !strcmp(output + n - 5, ".onnx")) n -= 5;
    if (network) snprintf(number, sizeof number, ".%zu", network + 1);
    return asprintf(&path, "%.*s%s.h5", n, output, number) < 0 ? NULL : path;
}

/* The page judges anew what the report counts, to show it photo by photo. */
static int make_page(struct invocation *in, eg_features *features, const struct eg_train_report *report,
                     eg_pool *pool, double fraction)
{
    const char *output = option_text(in, "output");
    if (!option_given(in, "report")) return EXIT_DONE;
    eg_net *model = NULL;
    const bool from_file = is_hdf5(in->operands[0]);
    char *beside = from_file ? strdup(in->operands[0]) : features_path(output, 0);
    const bool elsewhere = fraction < 0;
    size_t n_models;
    option_list(in, "model", &n_models);
    const bool several = !from_file && n_models > 1;
    struct eg_error err;
    struct eg_net_options as_it_is = {EG_SIZED(eg_net_options)};
    struct eg_dataset_options listing = {EG_SIZED(eg_dataset_options)};
    listing.exclude = option_list(in, "exclude", &listing.n_exclude);
    enum eg_status status = eg_net_load(output, &as_it_is, &model, &err);
    if (status || !beside) {
        free(beside);
        return status ? report_error(in, status, &err) : EXIT_FAILED;
    }
    char *json = eg_train_report_json(report, output);
    struct eg_page_options page = {.report = json,
                                   .features = features,
                                   .cut = report->n_joined ? report->joined[0].cut : report->cut,
                                   .model = model,
                                   .data = !report->test.n ? NULL
                                           : elsewhere     ? option_text(in, "test")
                                           : several ? in->operands[0] /* photos: one file has not all */
                                                     : beside,
                                   .rows = elsewhere ? EG_ROWS_ALL : EG_ROWS_AUTO,
                                   .same_data = !elsewhere,
                                   .images = &listing,
                                   .model_path = output,
                                   .features_path = beside,
                                   .test_fraction = fraction > 0 ? fraction : -1,
                                   .memory_bytes = option_bytes(in, "memory"),
                                   .seed = (uint64_t)option_integer(in, "seed"),
                                   .pool = pool};
    if (report->n_joined && !option_flag(in, "quiet"))
        tell(in, "the page looks for wrong labels and odd photos by the features of '%s' alone",
             report->joined[0].cut);
    int code = write_report(in, in->operands[0], &page);
    free(json);
    free(beside);
    eg_net_free(model);
    return code;
}

static int write_out_of_fold(struct invocation *in, eg_features *features, struct eg_train_options how)
{
    struct progress progress;
    struct eg_error err;
    progress_begin(&progress, in, "out of fold");
    how.user = &progress;
    enum eg_status status = eg_out_of_fold_csv(features, &how, option_text(in, "out-of-fold"), &err);
    progress_end(&progress);
    if (status == EG_E_CANCELLED) return EXIT_INTERRUPTED;
    return status ? report_error(in, status, &err) : EXIT_DONE;
}

static int train(struct invocation *in, eg_features *features, const eg_net *net, const eg_net *from,
                 eg_pool *pool, const double *grid, size_t n_grid, double fraction, bool told,
                 const struct eg_class_choice *classes, const struct more_networks *more,
                 const struct train_choices *choices)
{
    const char *output = option_text(in, "output"), *loss = option_text(in, "loss");
    struct progress progress;
    progress_begin(&progress, in, "train");
    struct eg_dataset_options listing = {EG_SIZED(eg_dataset_options)};
    listing.exclude = option_list(in, "exclude", &listing.n_exclude);
    size_t n_features = 0;
    const char *const *names = option_list(in, "features", &n_features);
    struct eg_train_options how = {
        EG_SIZED(eg_train_options),
        .images = &listing,
        .classes = *classes,
        .classifier = choices->classifier ? choices->classifier : option_text(in, "classifier"),
        .c = grid,
        .n_c = n_grid,
        .folds = option_given(in, "cv") ? (unsigned)option_integer(in, "cv") : 0,
        .features = choices->features ? choices->features
                    : n_features      ? names[0]
                                      : NULL,
        .joined = n_features ? names + 1 : NULL,
        .n_joined = n_features ? n_features - 1 : 0,
        .group = option_text(in, "group"),
        .scale = choices->scale ? choices->scale : option_text(in, "scale"),
        .others = (eg_features *const *)more->features,
        .other_nets = (const eg_net *const *)more->nets,
        .n_others = more->n,
        .hinge = loss && !strcmp(loss, "hinge"),
        .balance = option_flag(in, "balance"),
        .n_trees = (size_t)option_integer(in, "trees"),
        .hidden = (size_t)option_integer(in, "hidden"),
        .reject_rate = option_real(in, "reject"),
        .from = from,
        .multi_label = option_flag(in, "multi-label"),
        .labels_sep = option_text(in, "labels-sep"),
        .target = option_text(in, "regress"),
        .repeats = (unsigned)option_integer(in, "repeats"),
        .nested = option_flag(in, "nested"),
        .one_error = option_flag(in, "one-se"),
        .memory_bytes = option_bytes(in, "memory"),
        .overwrite = option_flag(in, "force"),
        .seed = (uint64_t)option_integer(in, "seed"),
        .command = in->line,
        .pool = pool,
        .progress = progress_step,
        .user = &progress,
    };
    if (fraction < 0)
        how.test = option_text(in, "test");
    else
        how.test_fraction = fraction > 0 ? fraction : -1;
    struct eg_train_report *report;
    struct eg_error err;
    enum eg_status status = eg_train(features, net, output, &how, &report, &err);
    progress_end(&progress);
    if (status == EG_E_CANCELLED) {
        tell(in, "interrupted; the features are kept, run the same command again");
        return EXIT_INTERRUPTED;
    }
    if (status) return report_error(in, status, &err);
    list_skipped(in, report->unreadable, report->n_unreadable);
    if (report->n_unlabelled && !option_flag(in, "quiet"))
        tell(in, "%zu rows without a label were not used", report->n_unlabelled);
    if (report->n_left_out && !option_flag(in, "quiet"))
        tell(in, "%zu photos of classes that were not chosen were left out", report->n_left_out);
    for (size_t i = 0; i < report->n_rare && !option_flag(in, "quiet"); i++)
        tell(in, "label '%s' is on too few of the training photos, or on all but one: it is left out",
             report->rare[i]);
    if (report->n_copies && !option_flag(in, "quiet"))
        tell(in, "%zu photos are in several folders, or twice: each counts once, with the labels of all",
             report->n_copies);
    if (!told) tell_empty_classes(in, report);
    if (!net) tell_twice(in, report); /* of photos tell_contradictions did */
    if (report->n_test_known && !option_flag(in, "quiet"))
        tell(in,
             "%zu of the %zu test photos are training photos too, so the test is too good "
             "(engraft info FILE.h5 --duplicates lists them; --group keeps photos together)",
             report->n_test_known, report->test.n);
    int code = make_page(in, features, report, pool, fraction);
    if (!code && option_given(in, "out-of-fold")) code = write_out_of_fold(in, features, how);
    if (!code && option_flag(in, "json"))
        print_text(in, eg_train_report_json(report, output));
    else if (!code)
        code = print_report(in, output, report);
    if (!code && report->n_unreadable) code = EXIT_SKIPPED;
    eg_train_report_free(report);
    return code;
}

/* One line: what the features hold, and what had changed since. */
static void tell_features(const char *path, const struct eg_extract_report *report)
{
    const size_t counts[] = {report->n_new, report->n_changed, report->n_moved, report->n_gone};
    static const char *const words[] = {"new", "changed", "moved", "gone"};
    char told[160] = "";
    size_t used = 0;
    for (size_t i = 0; i < 4; i++)
        if (counts[i])
            used += (size_t)snprintf(told + used, sizeof told - used, "%s%zu %s", used ? ", " : ": ",
                                     counts[i], words[i]);
    tell_more("features of %zu photos are in %s%s", report->resumed + report->done, path, told);
}

/* The feature file beside the model: made, or brought up to date; *skipped: some photos were. */
static int extract(struct invocation *in, const eg_net *net, const eg_dataset *images, const char *path,
                   eg_pool *pool, const struct eg_cut_list *chosen, bool *skipped)
{
    int code = EXIT_DONE;
    struct eg_error err;
    enum eg_status status;
    struct progress progress;
    progress_begin(&progress, in, "extract");
    struct eg_run_cuts cuts = {EG_SIZED(eg_run_cuts), .pool = option_text(in, "pool")};
    cuts.cuts = option_list(in, "cut", &cuts.n_cuts);
    if (chosen && chosen->n) {
        cuts.cuts = (const char *const *)chosen->cuts;
        cuts.n_cuts = chosen->n;
    }
    struct eg_extract_options how = {EG_SIZED(eg_extract_options),
                                     .cuts = &cuts,
                                     .batch = (size_t)option_integer(in, "batch"),
                                     .overwrite = option_flag(in, "fresh"),
                                     .update = true,
                                     .multi_label = option_flag(in, "multi-label"),
                                     .labels_sep = option_text(in, "labels-sep"),
                                     .number = option_text(in, "regress"),
                                     .command = in->line,
                                     .pool = pool,
                                     .progress = progress_step,
                                     .user = &progress};
    struct eg_extract_report *report;
    status = eg_extract(net, images, path, &how, &report, &err);
    progress_end(&progress);
    if (status == EG_E_CANCELLED) {
        tell(in,
             "interrupted; what was extracted is saved in '%s': run the same command "
             "again to go on",
             path);
        return EXIT_INTERRUPTED;
    }
    if (status) return report_error(in, status, &err);
    list_skipped(in, report->unreadable, report->n_unreadable);
    *skipped = *skipped || report->n_unreadable > 0;
    if (!report->resumed && !report->done) {
        tell(in, "no photo could be read");
        code = EXIT_FAILED;
    } else if (!option_flag(in, "quiet")) {
        tell_features(path, report);
    }
    eg_extract_report_free(report);
    return code;
}

/* The part of the rows to test on; -1: --test names data. */
static int test_fraction(const struct invocation *in, double *fraction)
{
    const char *test = option_text(in, "test");
    *fraction = -1;
    if (parse_real(test, fraction) && !(*fraction >= 0 && *fraction < 1))
        return usage_error(in, "--test %s is neither in 0 to 1 nor a file or folder", test);
    return EXIT_DONE;
}

/* of: " svm auto " */
static int not_for(const struct invocation *in, const char *option, const char *word, const char *of)
{
    char list[64] = "";
    size_t used = 0;
    for (const char *at = of + 1; *at; at += strcspn(at, " ") + 1) {
        size_t n = strcspn(at, " ");
        const char *before = !used ? "" : at[n + 1] ? ", " : " and ";
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%.*s", before, (int)n, at);
    }
    return usage_error(in, "--%s is not for the classifier%s(it is for %s)", option, word, list);
}

/* Options that mean nothing to the classifier asked for. */
static int check_classifier(const struct invocation *in)
{
    static const struct {
        const char *option, *of; /* classifiers, " a b " */
    } rows[] = {{"C", " logistic svm auto "}, {"scale", " logistic svm forest centroid lda auto "},
                {"loss", " svm auto "},       {"trees", " forest "},
                {"hidden", " mlp "},          {"reject", " logistic svm forest centroid lda auto "}};
    const char *classifier = option_text(in, "classifier");
    if (!option_given(in, "classifier") && option_given(in, "from")) return EXIT_DONE; /* the earlier one's */
    char word[32];
    snprintf(word, sizeof word, " %s ", classifier ? classifier : "logistic");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (option_given(in, rows[i].option) && !strstr(rows[i].of, word))
            return not_for(in, rows[i].option, word, rows[i].of);
    if (option_integer(in, "cv") > 1) return EXIT_DONE;
    if (!strcmp(word, " auto "))
        return usage_error(in, "--cv 1 can choose nothing: --classifier auto needs 2 folds or more");
    const char *scale = option_text(in, "scale"), *c = option_text(in, "C");
    bool chosen = c && strcmp(c, "auto") && !strchr(c, ',') && scale && strcmp(scale, "auto");
    if (!chosen && strstr(" logistic svm ", word))
        return usage_error(in,
                           "--cv 1 can choose nothing: give one --C and one --scale, as --C 1 --scale unit");
    return EXIT_DONE;
}

/* What is made for one class a photo alone. */
static int check_answer(const struct invocation *in)
{
    static const char *const options[] = {"balance", "reject", "from", "out-of-fold", "report"};
    static const char *const of_classes[] = {"classes", "drop", "rename", "merge", "loss"};
    const bool several = option_flag(in, "multi-label"), numbers = option_given(in, "regress");
    const char *classifier = option_text(in, "classifier"), *what = numbers ? "regress" : "multi-label";
    if (several && numbers) return usage_error(in, "--multi-label and --regress exclude each other");
    for (size_t i = 0; i < sizeof options / sizeof *options && (several || numbers); i++)
        if (option_given(in, options[i]))
            return usage_error(in, "--%s is not made for --%s", options[i], what);
    for (size_t i = 0; i < sizeof of_classes / sizeof *of_classes && numbers; i++)
        if (option_given(in, of_classes[i]))
            return usage_error(in, "--%s is of classes, --regress of numbers", of_classes[i]);
    if (numbers && option_given(in, "classifier"))
        return usage_error(in, "--regress is ridge regression: no --classifier");
    if (several && classifier && strcmp(classifier, "logistic") != 0 && strcmp(classifier, "svm") != 0)
        return usage_error(in, "--classifier %s is not made for --multi-label (logistic and svm are)",
                           classifier);
    return EXIT_DONE;
}

static int check_words(struct invocation *in, bool from_file)
{
    const char *source = in->operands[0], *output = option_text(in, "output");
    if (!from_file && !option_given(in, "model"))
        return usage_error(in, "'%s' is no feature file; photos need --model MODEL", source);
    if (option_given(in, "out-of-fold") && option_integer(in, "cv") < 2)
        return usage_error(in, "--cv 1: nothing is out of fold without folds");
    int code = check_output(in, output);
    if (!code) code = check_answer(in);
    if (!code) code = check_choices(in, from_file);
    if (!code) code = check_report(in);
    if (!code && option_given(in, "out-of-fold")) code = check_output(in, option_text(in, "out-of-fold"));
    return code ? code : check_classifier(in);
}

/* Photos, of which is told what cannot be learned from before they are computed. */
static int open_photos(struct invocation *in, const struct eg_train_options *checks, eg_dataset **images)
{
    int code = open_images(in, in->operands[0], images);
    if (code) return code;
    struct eg_error err;
    enum eg_status status = eg_train_check(*images, checks, &err);
    if (status) return report_error(in, status, &err);
    tell_empty_folders(in, *images);
    return EXIT_DONE;
}

/* The networks beside the first: from photos each with features of its own, from files as they are. */
static int add_networks(struct invocation *in, const eg_net *first, const eg_dataset *images, eg_pool *pool,
                        bool *skipped, struct more_networks *more)
{
    size_t n_models;
    const char *const *models = option_list(in, "model", &n_models);
    const bool from_file = !images;
    const size_t n = from_file ? in->n_operands : n_models;
    int code = EXIT_DONE;
    for (size_t i = 1; i < n && !code; i++) {
        char *path = from_file ? strdup(in->operands[i]) : features_path(option_text(in, "output"), i);
        eg_net **net = &more->nets[more->n];
        eg_features **features = &more->features[more->n++];
        if (!path) code = EXIT_FAILED;
        if (!code && i < n_models) code = load_model_like(in, models[i], first, net);
        if (!code && !from_file) code = extract(in, *net, images, path, pool, NULL, skipped);
        if (!code) code = open_features(in, path, features);
        if (!code && !*net) code = net_of(in, *features, net);
        free(path);
    }
    return code;
}

static int run(struct invocation *in)
{
    const char *source = in->operands[0], *model = option_text(in, "model"), *c = option_text(in, "C");
    bool from_file = names_features(source), skipped = false;
    double *grid = NULL, fraction = 0;
    size_t n_grid = 0;
    if (strcmp(c, "auto") && !(grid = parse_grid(in, c, &n_grid))) return EXIT_USAGE;
    eg_net *net = NULL, *from = NULL;
    eg_pool *pool = NULL;
    eg_features *features = NULL;
    eg_dataset *images = NULL;
    char *beside = from_file ? NULL : features_path(option_text(in, "output"), 0);
    struct class_choice classes;
    struct more_networks more = {0};
    struct train_choices choices = {0};
    int code = class_options(in, &classes);
    if (!code) code = test_fraction(in, &fraction);
    if (!code) code = check_words(in, from_file);
    if (!code && fraction < 0) code = check_data(in, option_text(in, "test"));
    if (!code) code = make_pool(in, &pool);
    if (!code && option_given(in, "from")) code = load_model(in, option_text(in, "from"), &from);
    if (!code && model) code = load_model(in, model, &net);
    const struct eg_train_options checks = {
        EG_SIZED(eg_train_options),
        .folds = option_given(in, "cv") ? (unsigned)option_integer(in, "cv") : 0,
        .classifier = option_text(in, "classifier"),
        .test = fraction < 0 ? "" : NULL,
        .multi_label = option_flag(in, "multi-label"),
        .target = option_text(in, "regress"),
        .test_fraction = fraction > 0 ? fraction : -1,
        .group = option_text(in, "group"),
        .seed = (uint64_t)option_integer(in, "seed"),
        .classes = classes.choice};
    if (!code && !from_file) code = open_photos(in, &checks, &images);
    if (!code && images) code = choose_for_training(in, model, images, beside, &checks, pool, &net, &choices);
    if (!code && images) code = extract(in, net, images, beside, pool, &choices.cuts, &skipped);
    if (!code) code = open_features(in, from_file ? source : beside, &features);
    if (!code) tell_contradictions(in, features);
    if (!code && !net) code = net_of(in, features, &net);
    if (!code) code = add_networks(in, net, images, pool, &skipped, &more);
    if (!code)
        code = train(in, features, net, from, pool, grid, n_grid, fraction, !from_file, &classes.choice,
                     &more, &choices);
    if (!code && skipped) code = EXIT_SKIPPED;
    eg_dataset_free(images);
    eg_features_close(features);
    more_networks_free(&more);
    train_choices_free(&choices);
    eg_net_free(net);
    eg_net_free(from);
    eg_pool_free(pool);
    class_options_free(&classes);
    free(beside);
    free(grid);
    return code;
}

static const struct option_row options[] = {
    OPTION_OUTPUT_ROW("MODEL.onnx", "the classifier: one ONNX file, pixels to probabilities"),
    {OPTION_LIST, "model", 0, "MODEL", NULL, 0, 0, false,
     "extract from IMAGES with this network first, to MODEL.h5 beside the output (kept, and brought up to "
     "date by the next run); given again: several networks side by side, which see the same pixels"},
    {OPTION_CHOICE, "effort", 0, "good|fast|best", NULL, 0, 0, false,
     "what is tried from IMAGES: good: the scalings, and where photos are far from square an input of their "
     "shape; fast: neither; best: sizes, mirrored views, the last cuts side by side and the linear "
     "classifiers (told before it begins)"},
    {OPTION_CHOICE, "views", 0, "none|flip|five|auto", NULL, 0, 0, false,
     "from IMAGES: average the features of a photo and its mirror, or of five crops; auto: mirrored where "
     "cross-validation gains"},
    {OPTION_LIST, "cut", 0, "CUT[:POOL]", NULL, 0, 0, false,
     "with --model: where (without: the default cut)"},
    {OPTION_CHOICE, "pool", 0, "flatten|avg|max|gem|cls|cls-avg", NULL, 0, 0, false,
     "with --model: pool volumes at cuts"},
    {OPTION_CHOICE, "classifier", 0, "logistic|svm|forest|mlp|centroid|lda|auto", NULL, 0, 0, false,
     "multinomial logistic, linear SVM, random forest, a network with one hidden layer, or for few photos "
     "the "
     "nearest class mean, without or with the covariance that classes share; auto: the linear "
     "one, and of a file with several cuts the cut, that is best by cross-validation"},
    {OPTION_TEXT, "C", 0, "auto|LIST", "auto", 0, 0, false,
     "inverse regularisation; of a list the best by cross-validation is taken"},
    {OPTION_INTEGER, "cv", 0, "FOLDS", "5", 1, 100, false,
     "folds of the cross-validation, fewer if a class has too few photos and none are asked for; 1: none"},
    {OPTION_TEXT, "test", 0, "PART|FILE.h5|IMAGES", "0.25", 0, 0, false,
     "part of every class kept for the test, or data to test on; 0: train on every row"},
    {OPTION_LIST, "classes", 0, "A,B,...", NULL, 0, 0, false, "learn these classes alone"},
    {OPTION_LIST, "drop", 0, "C,...", NULL, 0, 0, false, "leave these classes out"},
    {OPTION_LIST, "rename", 0, "OLD=NEW", NULL, 0, 0, false, "learn a class under another name"},
    {OPTION_LIST, "merge", 0, "A+B=NEW", NULL, 0, 0, false, "learn several classes as one"},
    OPTION_GROUP_ROW,
    {OPTION_LIST, "features", 0, "NAME", NULL, 0, 0, false,
     "which cut of the file, without it the first (--classifier auto: all are compared); given again: learn "
     "from them side by side; auto: from those that cross-validation says are better so"},
    {OPTION_CHOICE, "scale", 0, "auto|none|unit|root|standard", NULL, 0, 0, false,
     "rows as they are, of length 1, of signed square roots, or columns standardised; auto: the best by "
     "cross-validation"},
    {OPTION_CHOICE, "loss", 0, "squared-hinge|hinge", NULL, 0, 0, false, "of the SVM"},
    {OPTION_INTEGER, "trees", 0, "N", "500", 1, 100000, false, "of the forest"},
    {OPTION_INTEGER, "hidden", 0, "N", "256", 1, 65536, false, "units of the hidden layer of mlp"},
    {OPTION_REAL, "reject", 0, "RATE", "0", 0, 0.999, false,
     "answer \"unknown\" where a photo is like none of the classes: so often for known ones, by "
     "cross-validation"},
    {OPTION_TEXT, "from", 0, "MODEL.onnx", NULL, 0, 0, false,
     "go on from this classifier, on more photos or classes: its kind, scaling and C unless they are given; "
     "the result is that of training anew, sooner"},
    {OPTION_FLAG, "balance", 0, NULL, NULL, 0, 0, false, "weigh classes as if they had equal numbers"},
    OPTION_TARGET_ROWS,
    {OPTION_INTEGER, "repeats", 0, "N", "1", 1, 1000, false,
     "cross-validate what was chosen so often, by other folds each time: how much is luck"},
    {OPTION_FLAG, "nested", 0, NULL, NULL, 0, 0, false,
     "choose everything anew outside of each fold, and judge in it: a figure that no choice flatters"},
    {OPTION_FLAG, "one-se", 0, NULL, NULL, 0, 0, false,
     "the smallest C that is no more than a standard error worse than the best"},
    {OPTION_BYTES, "memory", 0, "SIZE", "half of what there is", 0, 0, false,
     "memory training may take: 500M, 2G"},
    {OPTION_FLAG, "fresh", 0, NULL, NULL, 0, 0, false,
     "with --model: compute all features again, not only those of photos that are new or changed"},
    OPTION_REPORT_ROW,
    {OPTION_TEXT, "out-of-fold", 0, "FILE.csv", NULL, 0, 0, false,
     "what a classifier that has not seen it says of every photo: path,label,fold, a probability a class"},
    OPTION_BATCH_ROW,
    OPTION_EXCLUDE_ROW,
    OPTION_SEED_ROW,
    {OPTION_FLAG, "force", 0, NULL, NULL, 0, 0, false,
     "overwrite a model that exists (its features are kept and brought up to date)"},
    OPTION_JSON_ROW,
    OPTION_MODEL_ROWS,
    {0},
};

const struct command command_train = {
    .name = "train",
    .summary = "a feature file, or photos and a network, to a classifier with its test report",
    .operands = "FILE.h5|IMAGES...",
    .auto_size = true,
    .details =
        "C is chosen by cross-validation on the training rows, the classifier is fitted on all of them, and "
        "the report is of rows it has not seen. Several feature files are several networks', joined by the "
        "photos' contents.",
    .example = "engraft train photos --model efficientnet-lite0 -o mine.onnx",
    .options = options,
    .run = run,
};
