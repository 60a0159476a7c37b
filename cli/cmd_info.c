/* engraft info: what a feature file or a model holds. */
#include <stdlib.h>
#include <string.h>

#include "cli.h"

/* ---- feature files --------------------------------------------------------------- */

static void count_classes(const eg_features *features, const struct eg_features_info *info, size_t *counts,
                          size_t *n_unlabelled)
{
    *n_unlabelled = 0;
    for (size_t i = 0; i < info->n_rows; i++) {
        int32_t label = eg_features_row(features, i).label;
        if (label < 0)
            ++*n_unlabelled;
        else
            counts[label]++;
    }
}

static void print_line(FILE *to, const char *what, const char *text)
{
    char *shown = text ? printable(text) : NULL;
    if (shown) fprintf(to, "%-10s %s\n", what, shown);
    free(shown);
}

static void print_features(FILE *to, const char *path, const eg_features *features,
                           const struct eg_features_info *info, const size_t *counts, size_t n_unlabelled,
                           const struct eg_history *history, size_t n_history)
{
    fprintf(to, "%s: a feature file\n\n%-10s %zu: %zu done", path, "rows", info->n_rows, info->n_done);
    if (info->n_waiting) fprintf(to, ", %zu waiting", info->n_waiting);
    if (info->n_unreadable) fprintf(to, ", %zu unreadable", info->n_unreadable);
    if (info->n_vanished) fprintf(to, ", %zu vanished", info->n_vanished);
    fputc('\n', to);
    print_line(to, "network", info->network);
    print_line(to, "sha256", info->weights_sha256);
    struct eg_recipe recipe;
    if (info->recipe && !eg_recipe_load(info->recipe, &recipe, NULL)) {
        fprintf(to, "%-10s ", "recipe");
        print_recipe(to, &recipe, 11);
    }
    print_line(to, "root", info->root);
    fputs("\ncuts\n", to);
    for (size_t i = 0; i < info->n_cuts; i++) {
        struct eg_features_cut cut = eg_features_cut(features, i);
        char volume[64];
        fprintf(to, "  %-24s %8zu features  %s", cut.name, cut.length, cut.half ? "f16" : "f32");
        if (cut.op) fprintf(to, "  %s %s", cut.op, volume_text(cut.shape, volume));
        if (cut.pool) fprintf(to, "  %s %s", cut.pool, cut.order ? cut.order : "");
        if (cut.deflate && cut.stored_bytes)
            fprintf(to, "  deflate %u: %.1f %%", cut.deflate,
                    100 * eg_features_cut_stored(cut, info->n_rows));
        fputc('\n', to);
    }
    fputs("\nclasses\n", to);
    for (size_t i = 0; i < info->n_classes; i++) {
        fputs("  ", to);
        print_padded(to, info->classes[i], 24, false);
        fprintf(to, " %8zu\n", counts[i]);
    }
    if (n_unlabelled) fprintf(to, "  %-24s %8zu\n", "(unlabelled)", n_unlabelled);
    if (info->n_unreadable) fputs("\nunreadable\n", to);
    for (size_t i = 0; i < info->n_rows && info->n_unreadable; i++) {
        struct eg_features_row row = eg_features_row(features, i);
        if (!strcmp(row.status, "unreadable"))
            fprintf(to, "  %s: %s\n", row.path, row.reason ? row.reason : "");
    }
    if (n_history) fputs("\nhistory\n", to);
    for (size_t i = 0; i < n_history; i++)
        fprintf(to, "  %s  %llu rows  engraft %s %s  %s\n", history[i].date,
                (unsigned long long)history[i].rows, history[i].version, history[i].isa, history[i].command);
}

/* ---- the same photo twice ----------------------------------------------------------- */

static const double NEAR = 0.99; /* cosine of the first cut's features */

static void print_groups(FILE *to, const char *what, const eg_features *features,
                         const struct eg_groups *groups)
{
    fprintf(to, "%s: %zu groups\n", what, groups->n);
    for (size_t g = 0; g < groups->n; g++)
        for (size_t i = groups->starts[g]; i < groups->starts[g + 1]; i++) {
            fprintf(to, "%s %7zu  ", i == groups->starts[g] ? "  -" : "   ", groups->rows[i]);
            print_path(to, eg_features_row(features, groups->rows[i]).path);
        }
}

static int show_duplicates(struct invocation *in, eg_features *features)
{
    struct eg_groups exact = {0}, near = {0};
    struct eg_error err;
    struct progress progress;
    eg_pool *pool = NULL;
    int code = make_pool(in, &pool);
    if (code) return code;
    progress_begin(&progress, in, "compare");
    enum eg_status status = EG_OK;
    bool hashed = eg_features_info(features).network;
    if (hashed) status = eg_features_duplicates(features, 0, 0, pool, NULL, NULL, &exact, &err);
    if (!status)
        status = eg_features_duplicates(features, 0, NEAR, pool, progress_step, &progress, &near, &err);
    progress_end(&progress);
    eg_pool_free(pool);
    if (status == EG_E_CANCELLED)
        code = EXIT_INTERRUPTED;
    else if (status)
        code = report_error(in, status, &err);
    else if (option_flag(in, "json"))
        print_text(in, eg_duplicates_json(features, &exact, &near, NEAR));
    else {
        if (hashed) print_groups(in->out, "the same contents", features, &exact);
        print_groups(in->out, "nearly the same (cosine of features at least 0.99)", features, &near);
    }
    eg_groups_release(&exact);
    eg_groups_release(&near);
    return code;
}

/* ---- is it sound? ---------------------------------------------------------------------- */

static int report_check(struct invocation *in, const struct eg_check_report *report)
{
    for (size_t i = 0; i < report->n_listed; i++) {
        char *path = printable(report->problems[i].path), *words = printable(report->problems[i].reason);
        tell_more("%s%s%s", path ? path : "", path && *path ? ": " : "", words ? words : "?");
        free(path);
        free(words);
    }
    if (report->n_problems) {
        tell(in, "'%s' has %zu faults in %zu rows%s", in->operands[0], report->n_problems, report->n_rows,
             report->n_listed < report->n_problems ? " (the first are listed)" : "");
        return EXIT_FAILED;
    }
    if (option_flag(in, "json")) {
        print_text(in, eg_check_report_json(report));
        return EXIT_DONE;
    }
    fprintf(in->out, "%s: sound, all %zu rows were read\n", in->operands[0], report->n_rows);
    if (report->n_recomputed)
        fprintf(in->out, "  %zu rows computed again from their photos, %zu the same bit for bit",
                report->n_recomputed, report->n_identical);
    if (report->n_identical < report->n_recomputed)
        fprintf(in->out, ", the others within %.1g", report->largest_difference);
    if (report->n_recomputed) fputc('\n', in->out);
    return EXIT_DONE;
}

static int check_features(struct invocation *in, eg_features *features)
{
    struct progress progress;
    struct eg_check_options how = {
        EG_SIZED(eg_check_options),      .sample = (size_t)option_integer(in, "recompute"),
        .root = option_text(in, "root"), .seed = (uint64_t)option_integer(in, "seed"),
        .progress = progress_step,       .user = &progress};
    struct eg_error err;
    eg_net *net = NULL;
    int code = make_pool(in, &how.pool);
    if (!code && how.sample) {
        char *folders = model_folders(in);
        enum eg_status status = eg_net_load_of(features, folders, &net, &err);
        free(folders);
        if (status) code = report_error(in, status, &err);
        how.net = net;
    }
    if (!code) {
        struct eg_check_report *report;
        progress_begin(&progress, in, "check");
        enum eg_status status = eg_features_check(features, &how, &report, &err);
        progress_end(&progress);
        code = status ? report_error(in, status, &err) : report_check(in, report);
        if (!status) eg_check_report_free(report);
    }
    eg_pool_free(how.pool);
    eg_net_free(net);
    return code;
}

static int show_features(struct invocation *in, eg_features *features)
{
    if (option_given(in, "check") || option_given(in, "recompute")) return check_features(in, features);
    if (option_flag(in, "duplicates")) return show_duplicates(in, features);
    struct eg_features_info info = eg_features_info(features);
    struct eg_history *history = NULL;
    struct eg_error err;
    size_t n_history = 0, n_unlabelled;
    if (option_flag(in, "json")) {
        char *json;
        enum eg_status told = eg_features_json(features, &json, &err);
        if (told) return report_error(in, told, &err);
        print_text(in, json);
        return EXIT_DONE;
    }
    enum eg_status status = eg_features_history(features, &history, &n_history, &err);
    if (status) return report_error(in, status, &err);
    size_t *counts = calloc(info.n_classes + 1, sizeof *counts);
    if (!counts) {
        free(history);
        return EXIT_FAILED;
    }
    count_classes(features, &info, counts, &n_unlabelled);
    print_features(in->out, in->operands[0], features, &info, counts, n_unlabelled, history, n_history);
    free(counts);
    free(history);
    return EXIT_DONE;
}

/* ---- models ------------------------------------------------------------------------- */

static int show_model(struct invocation *in, const eg_net *net)
{
    char hash[65] = "", volume[64];
    uint64_t parameters = 0;
    struct eg_error err;
    enum eg_status status = EG_OK;
    if (option_flag(in, "json")) {
        char *json;
        status = eg_net_about_json(net, &json, &err);
        if (status) return report_error(in, status, &err);
        print_text(in, json);
        return EXIT_DONE;
    }
    if (eg_net_weights_path(net)) status = eg_net_weights_sha256(net, hash, &err);
    if (status) return report_error(in, status, &err);
    for (size_t i = 0; i < eg_net_layer_count(net); i++) parameters += eg_net_layer(net, i).parameters;
    const struct eg_recipe *recipe = eg_net_recipe(net);
    const char *key;
    size_t n_classes = eg_net_has_classifier(net) ? eg_net_class_count(net) : 0;
    FILE *to = in->out;
    fprintf(to, "%s: %s\n\n", in->operands[0],
            eg_net_is_trained(net) ? "a classifier trained by engraft" : "a network");
    print_line(to, "name", eg_net_name(net));
    print_line(to, "input", volume_text(eg_net_layer(net, 0).shape, volume));
    fprintf(to, "%-10s ", "parameters");
    print_count(to, parameters, 0);
    fputc('\n', to);
    print_line(to, "file", eg_net_weights_path(net));
    print_line(to, "sha256", *hash ? hash : NULL);
    fprintf(to, "%-10s ", "recipe");
    if (recipe)
        print_recipe(to, recipe, 11);
    else
        fputs("none: photos need --preprocess\n", to);
    print_line(to, "default cut", eg_net_default_cut(net));
    fprintf(to, "%-10s %zu%s", "classes", n_classes, n_classes ? ":" : ", its answer is features");
    for (size_t i = 0; i < n_classes && i < 20; i++)
        fprintf(to, "%s %s", i ? "," : "", eg_net_class_name(net, i));
    fputs(n_classes > 20 ? ", ...\n" : "\n", to);
    for (size_t i = 0; (key = eg_net_metadata_key(net, i)); i++)
        if (strcmp(key, "engraft.classes") && strcmp(key, "engraft.recipe"))
            print_line(to, key, eg_net_metadata(net, key));
    return EXIT_DONE;
}

static int run(struct invocation *in)
{
    const char *path = in->operands[0];
    struct eg_error err;
    if (in->n_operands > 1) return info_shards(in);
    if (is_hdf5(path)) { /* features, or the weights of a Keras network */
        eg_features *features = NULL;
        enum eg_status status = eg_features_open(path, &features, &err);
        if (!status) {
            int code = show_features(in, features);
            eg_features_close(features);
            return code;
        }
        eg_net *keras = NULL;
        if (eg_net_load(path, NULL, &keras, NULL)) return report_error(in, status, &err);
        int code = show_model(in, keras);
        eg_net_free(keras);
        return code;
    }
    eg_net *net = NULL;
    int code = load_model(in, path, &net);
    if (!code) code = show_model(in, net);
    eg_net_free(net);
    return code;
}

static const struct option_row options[] = {
    {OPTION_FLAG, "check", 0, NULL, NULL, 0, 0, false, "read every row of a feature file: is it sound?"},
    {OPTION_INTEGER, "recompute", 0, "N", "0", 0, 1e9, false,
     "the same, and compute N rows again from their photos"},
    {OPTION_TEXT, "root", 0, "DIR", NULL, 0, 0, false, "where the photos are now (without: where they were)"},
    OPTION_SEED_ROW,
    {OPTION_FLAG, "duplicates", 0, NULL, NULL, 0, 0, false,
     "photos of a feature file that are the same, by contents and by features"},
    OPTION_JSON_ROW,
    OPTION_MODEL_ROWS,
    {0},
};

const struct command command_info = {
    .name = "info",
    .summary = "what a feature file or a model holds: rows, classes, cuts, recipe, hashes, history",
    .operands = "FILE...",
    .details = "Several feature files are taken as shards of one listing (extract --shard): their rows are "
               "added up, and "
               "it is said what is missing before engraft merge can join them.",
    .example = "engraft info photos.h5",
    .options = options,
    .run = run,
};
