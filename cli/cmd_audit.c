/* engraft audit: what is wrong with the data; corrections carried out, and undone. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

/* ---- what is printed ------------------------------------------------------------------------ */

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static double number_of(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

static void print_classes(FILE *to, const json_t *report)
{
    size_t i;
    json_t *class;
    fprintf(to, "%-24s %7s %9s  most often taken for\n", "class", "photos", "accuracy");
    json_array_foreach(json_object_get(report, "classes"), i, class)
    {
        const json_t *accuracy = json_object_get(class, "accuracy"),
                     *confused = json_array_get(json_object_get(class, "confused_with"), 0);
        print_padded(to, text_of(class, "label"), 24, true);
        fprintf(to, " %7.0f ", number_of(class, "count"));
        if (json_is_real(accuracy))
            fprintf(to, "%9.3f", json_real_value(accuracy));
        else
            fprintf(to, "%9s", "too few");
        if (confused) fprintf(to, "  %s (%.0f)", text_of(confused, "label"), number_of(confused, "count"));
        fputc('\n', to);
    }
}

static void print_more(FILE *to, size_t n, size_t shown)
{
    if (n > shown) fprintf(to, "  ... and %zu more (--top 0: all)\n", n - shown);
    fputc('\n', to);
}

static void print_suspects(FILE *to, const json_t *list, size_t most)
{
    size_t i;
    json_t *one;
    fprintf(to, "%zu labels look wrong\n", json_array_size(list));
    json_array_foreach(list, i, one)
    {
        if (i == most) break;
        fprintf(to, "  %s: rather %s (%.0f %%)\n", text_of(one, "path"), text_of(one, "suggestion"),
                100 * number_of(one, "probability"));
    }
    print_more(to, json_array_size(list), most);
}

static void print_copies(FILE *to, const json_t *list, size_t most)
{
    static const char *const meanings[][2] = {
        {"two_classes", "in two classes (a contradiction)"},
        {"train_and_test", "in training and test (the test is too good)"},
        {"one_class", "in one class (count once)"}};
    size_t i, j;
    json_t *one, *path;
    fprintf(to, "%zu photos are there more than once\n", json_array_size(list));
    json_array_foreach(list, i, one)
    {
        if (i == most) break;
        const char *words = "";
        for (size_t m = 0; m < 3; m++)
            if (!strcmp(text_of(one, "meaning"), meanings[m][0])) words = meanings[m][1];
        fprintf(to, "  %s, %s:\n", strcmp(text_of(one, "kind"), "exact") ? "nearly the same" : "the same",
                words);
        json_array_foreach(json_object_get(one, "paths"), j, path)
        {
            fprintf(to, "    %s\n", json_string_value(path));
        }
    }
    print_more(to, json_array_size(list), most);
}

static void print_odd(FILE *to, const json_t *list, size_t most)
{
    static const char *const words[][2] = {{"far", "unlike its class"},    {"dark", "very dark"},
                                           {"bright", "very bright"},      {"blurred", "blurred"},
                                           {"small", "very small"},        {"shape", "of extreme shape"},
                                           {"one_colour", "of one colour"}};
    size_t i;
    json_t *one;
    fprintf(to, "%zu photos are odd\n", json_array_size(list));
    json_array_foreach(list, i, one)
    {
        if (i == most) break;
        const char *reason = text_of(one, "reason");
        for (size_t w = 0; w < sizeof words / sizeof *words; w++)
            if (!strcmp(reason, words[w][0])) reason = words[w][1];
        fprintf(to, "  %s: %s\n", text_of(one, "path"), reason);
    }
    print_more(to, json_array_size(list), most);
}

static void print_curve(FILE *to, const json_t *curve)
{
    size_t i;
    json_t *point;
    if (!json_array_size(curve)) return;
    fprintf(to, "accuracy by the number of photos learned from\n");
    json_array_foreach(curve, i, point)
    {
        fprintf(to, "  %6.0f  %.3f  (%.3f to %.3f)\n", number_of(point, "rows"), number_of(point, "accuracy"),
                number_of(point, "low"), number_of(point, "high"));
    }
    fputc('\n', to);
}

static void print_findings(const struct invocation *in, const json_t *report)
{
    FILE *to = in->out;
    size_t most = (size_t)option_integer(in, "top");
    if (!most) most = SIZE_MAX;
    fprintf(to, "%.0f photos, %.0f with a label", number_of(report, "rows"), number_of(report, "labelled"));
    if (json_is_real(json_object_get(report, "accuracy")))
        fprintf(to, "; a classifier that has not seen a photo names its label in %.1f %%",
                100 * number_of(report, "accuracy"));
    fprintf(to, "\n\n");
    print_classes(to, report);
    fputc('\n', to);
    print_suspects(to, json_object_get(report, "suspects"), most);
    print_copies(to, json_object_get(report, "duplicates"), most);
    print_odd(to, json_object_get(report, "outliers"), most);
    print_curve(to, json_object_get(report, "learning_curve"));
    fprintf(to, "mend them: --apply FILE.csv (path,action,label; action "
                "move, delete "
                "or ok)\n");
}

static void csv_line(FILE *to, const char *path, const char *label, const char *issue, const char *suggestion,
                     double score)
{
    print_csv_text(to, path);
    fputc(',', to);
    print_csv_text(to, label);
    fprintf(to, ",%s,", issue);
    print_csv_text(to, suggestion);
    fprintf(to, ",%.6g\n", score);
}

static void print_csv(FILE *to, const json_t *report)
{
    size_t i, j;
    json_t *one, *path;
    fprintf(to, "path,label,issue,suggestion,score\n");
    json_array_foreach(json_object_get(report, "suspects"), i, one)
    {
        csv_line(to, text_of(one, "path"), text_of(one, "label"), "label", text_of(one, "suggestion"),
                 number_of(one, "quality"));
    }
    json_array_foreach(json_object_get(report, "duplicates"), i, one)
    {
        const json_t *paths = json_object_get(one, "paths"), *labels = json_object_get(one, "labels");
        char issue[64];
        snprintf(issue, sizeof issue, "%s_%s", text_of(one, "kind"), text_of(one, "meaning"));
        json_array_foreach(paths, j, path)
        {
            const char *label = json_string_value(json_array_get(labels, j));
            csv_line(to, json_string_value(path), label ? label : "", issue,
                     json_string_value(json_array_get(paths, !j)), (double)i);
        }
    }
    json_array_foreach(json_object_get(report, "outliers"), i, one)
    {
        csv_line(to, text_of(one, "path"), text_of(one, "label"), text_of(one, "reason"), "",
                 number_of(one, "score"));
    }
}

static int show(struct invocation *in, const char *text)
{
    json_t *report = json_loads(text, 0, NULL);
    if (!report) {
        tell(in, "out of memory");
        return EXIT_FAILED;
    }
    if (option_flag(in, "json")) {
        print_json(in, report);
        return EXIT_DONE;
    }
    if (option_flag(in, "csv"))
        print_csv(in->out, report);
    else
        print_findings(in, report);
    json_decref(report);
    return EXIT_DONE;
}

/* ---- the command ------------------------------------------------------------------------------ */

/* Features of the photos, made or brought up to date. */
static int extract(struct invocation *in, const char *path, eg_pool *pool, bool *skipped)
{
    eg_net *net = NULL;
    eg_dataset *images = NULL;
    const char *model = option_text(in, "model");
    int code = load_model(in, model ? model : "efficientnet-lite0", &net);
    if (!code) code = open_images(in, in->operands[0], &images);
    if (code) {
        eg_net_free(net);
        return code;
    }
    struct progress progress;
    progress_begin(&progress, in, "extract");
    struct eg_extract_options how = {
        EG_SIZED(eg_extract_options),  .command = in->line,       .pool = pool,
        .append = !access(path, F_OK), .progress = progress_step, .user = &progress};
    struct eg_extract_report *report;
    struct eg_error err;
    enum eg_status status = eg_extract(net, images, path, &how, &report, &err);
    progress_end(&progress);
    eg_dataset_free(images);
    eg_net_free(net);
    if (status == EG_E_CANCELLED) {
        tell(in, "interrupted; what was extracted is saved in '%s': run it again", path);
        return EXIT_INTERRUPTED;
    }
    if (status) return report_error(in, status, &err);
    list_skipped(in, report->unreadable, report->n_unreadable);
    *skipped = report->n_unreadable > 0;
    eg_extract_report_free(report);
    return EXIT_DONE;
}

/* The page has the whole audit in it; what is printed is taken from there. */
static int make_page(struct invocation *in, eg_features *features, const char *path, eg_pool *pool)
{
    char *found = NULL;
    double test = option_real(in, "test");
    struct eg_page_options page = {.features = features,
                                   .cut = option_text(in, "features"),
                                   .features_path = path,
                                   .audit = &found,
                                   .test_fraction = test > 0 ? test : -1,
                                   .memory_bytes = option_bytes(in, "memory"),
                                   .seed = (uint64_t)option_integer(in, "seed"),
                                   .pool = pool};
    int code = write_report(in, in->operands[0], &page);
    if (!code && found) code = show(in, found);
    if (!code && !found) fprintf(stderr, "engraft audit: there are too few rows for an audit\n");
    free(found);
    return code;
}

static int audit(struct invocation *in, eg_features *features, eg_pool *pool)
{
    struct progress progress;
    progress_begin(&progress, in, "audit");
    double test = option_real(in, "test");
    struct eg_audit_options how = {EG_SIZED(eg_audit_options),
                                   .features = option_text(in, "features"),
                                   .test_fraction = test > 0 ? test : -1,
                                   .seed = (uint64_t)option_integer(in, "seed"),
                                   .memory_bytes = option_bytes(in, "memory"),
                                   .pool = pool,
                                   .progress = progress_step,
                                   .user = &progress};
    char *text;
    struct eg_error err;
    enum eg_status status = eg_audit(features, &how, &text, &err);
    progress_end(&progress);
    if (status == EG_E_CANCELLED) {
        tell(in, "interrupted; nothing was written, run it again");
        return EXIT_INTERRUPTED;
    }
    if (status) return report_error(in, status, &err);
    int code = show(in, text);
    free(text);
    return code;
}

/* Where corrections go: the images, or what the feature file was made from. EXIT_DONE or a code. */
static int images_of(struct invocation *in, char **images)
{
    eg_features *features = NULL;
    const char *root = in->operands[0];
    int code = names_features(root) ? open_features(in, root, &features) : EXIT_DONE;
    if (code) return code;
    if (features) root = eg_features_info(features).root;
    *images = root ? strdup(root) : NULL;
    eg_features_close(features);
    if (*images) return EXIT_DONE;
    tell(in, "'%s' does not say where its photos are: give the folder in its place", in->operands[0]);
    return EXIT_FAILED;
}

static int tell_corrections(struct invocation *in, struct eg_corrections *done, bool undone)
{
    list_skipped(in, done->skipped, done->n_skipped);
    if (option_flag(in, "json"))
        print_text(in, eg_corrections_json(done));
    else if (undone)
        fprintf(in->out, "%zu files are back where they were\n", done->files);
    else
        fprintf(in->out,
                "%zu labels changed, %zu photos deleted (they are in .engraft/trash), %zu labels confirmed; "
                "engraft "
                "audit --undo takes it back\n",
                done->moved, done->deleted, done->confirmed);
    if (!undone && done->test_relabelled && !option_flag(in, "json"))
        fprintf(in->out,
                "%zu of them are test photos, relabelled after they were shown: the next test result is that "
                "much "
                "less of a surprise\n",
                done->test_relabelled);
    int code = done->n_skipped ? EXIT_SKIPPED : EXIT_DONE;
    eg_corrections_release(done);
    return code;
}

static int correct(struct invocation *in)
{
    char *images = NULL;
    int code = images_of(in, &images);
    if (code) return code;
    const char *features = names_features(in->operands[0]) ? in->operands[0] : option_text(in, "output");
    double test = option_real(in, "test");
    struct eg_audit_options how = {EG_SIZED(eg_audit_options), .test_fraction = test > 0 ? test : -1,
                                   .seed = (uint64_t)option_integer(in, "seed")};
    struct eg_corrections done;
    struct eg_error err;
    bool undo = option_flag(in, "undo");
    enum eg_status status =
        undo ? eg_audit_undo(images, &done, &err)
             : eg_audit_apply(images, features, option_text(in, "apply"), &how, &done, &err);
    free(images);
    return status ? report_error(in, status, &err) : tell_corrections(in, &done, undo);
}

static int run(struct invocation *in)
{
    const char *data = in->operands[0], *output = option_text(in, "output");
    bool file = names_features(data), skipped = false;
    if (option_flag(in, "undo") && option_given(in, "apply"))
        return usage_error(in, "--apply or --undo, not both");
    if ((option_flag(in, "undo") || option_given(in, "apply")) && option_given(in, "report"))
        return usage_error(in, "--report shows what is found: it is not for --apply and --undo");
    if (option_flag(in, "undo") || option_given(in, "apply")) return correct(in);
    if (file && (output || option_given(in, "model")))
        return usage_error(in, "'%s' is a feature file: -o and --model are for photos", data);
    if (!file && !output)
        return usage_error(in, "'%s' is no feature file; photos need -o FILE.h5 for their features", data);
    if (option_flag(in, "json") && option_flag(in, "csv"))
        return usage_error(in, "--json or --csv, not both");
    eg_features *features = NULL;
    eg_pool *pool = NULL;
    int code = check_report(in);
    if (!code && !file) code = check_data(in, data);
    if (!code) code = make_pool(in, &pool);
    if (!code && !file) code = extract(in, output, pool, &skipped);
    if (!code) code = open_features(in, file ? data : output, &features);
    if (!code)
        code = option_given(in, "report") ? make_page(in, features, file ? data : output, pool)
                                          : audit(in, features, pool);
    eg_features_close(features);
    eg_pool_free(pool);
    return !code && skipped ? EXIT_SKIPPED : code;
}

static const struct option_row options[] = {
    {OPTION_TEXT, "output", 'o', "FILE.h5", NULL, 0, 0, false,
     "of photos: where their features are kept, brought up to date every time"},
    {OPTION_TEXT, "model", 0, "MODEL", "efficientnet-lite0", 0, 0, false,
     "of photos: the network to look with"},
    {OPTION_TEXT, "features", 0, "NAME", "the first", 0, 0, false, "which cut of the file"},
    {OPTION_FLAG, "csv", 0, NULL, NULL, 0, 0, false, "print path,label,issue,suggestion,score"},
    {OPTION_TEXT, "apply", 0, "FILE.csv", NULL, 0, 0, false,
     "carry out corrections: path,action,label; action move (to the class label), delete or ok (it is right: "
     "do not "
     "ask again)"},
    {OPTION_FLAG, "undo", 0, NULL, NULL, 0, 0, false, "take back the last corrections"},
    {OPTION_INTEGER, "top", 0, "N", "10", 0, 1000000, false, "how many of each kind are printed; 0: all"},
    {OPTION_REAL, "test", 0, "PART", "0.25", 0, 0.99, false,
     "part that engraft train keeps for the test: copies on both sides are told; 0: none"},
    {OPTION_BYTES, "memory", 0, "SIZE", "half of the machine's", 0, 0, false,
     "memory training may take: 500M, 2G"},
    OPTION_REPORT_ROW,
    OPTION_EXCLUDE_ROW,
    OPTION_SEED_ROW,
    OPTION_FORCE_ROW,
    OPTION_JSON_ROW,
    OPTION_MODEL_ROWS,
    {0},
};

const struct command command_audit = {
    .name = "audit",
    .summary = "what is wrong with the data: labels that look wrong, the same photo twice, odd ones",
    .operands = "FILE.h5|IMAGES",
    .details = "A label looks wrong when a classifier that has not seen the photo is sure of another class. "
               "Copies are found by their features and confirmed on the pixels.",
    .example = "engraft audit photos -o photos.h5",
    .options = options,
    .run = run,
};
