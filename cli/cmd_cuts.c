/* engraft cuts: which cut is best for these photos, and which classifier on it. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "training_choices.h"

struct ranking {
    struct invocation *in;
    const eg_net *net;
    eg_features *features;
    struct eg_comparison *found;
    struct eg_extract_report *extracted;
    const char *file; /* of the features */
    bool keep;        /* it was asked for */
};

static struct eg_features_cut cut_of(const struct ranking *r, const struct eg_compared *c)
{
    size_t cut = 0;
    if (eg_features_find_cut(r->features, c->features, &cut, NULL)) cut = 0; /* it was found there */
    return eg_features_cut(r->features, cut);
}

/* ---- the table ------------------------------------------------------------------------ */

static const char *pool_of(struct eg_features_cut cut)
{
    bool vector = extent_of(cut.shape).h == 1 && extent_of(cut.shape).w == 1 && !strcmp(cut.pool, "flatten");
    return vector ? "-" : cut.pool;
}

/* Not clearly worse: its accuracy is inside the interval of the best. */
static const struct eg_compared *shortest_as_good(const struct eg_comparison *found)
{
    const struct eg_compared *best = found->compared, *pick = best;
    for (size_t i = 1; i < found->n_compared; i++) {
        const struct eg_compared *c = &found->compared[i];
        if (c->cv_accuracy >= best->cv_low && c->length < pick->length) pick = c;
    }
    return pick;
}

/* Is there room for C, depth and seconds too? --json always has them. */
static bool is_wide(void) { return terminal_columns(stdout) >= 100; }

static void print_row(const struct ranking *r, const struct eg_compared *c, size_t rank)
{
    FILE *to = r->in->out;
    struct eg_features_cut cut = cut_of(r, c);
    fprintf(to, "%3zu  ", rank);
    print_padded(to, cut.layer, 20, true);
    fprintf(to, " %-7s %6zu  %-8s %-8s ", pool_of(cut), c->length, c->classifier, c->scale);
    if (is_wide()) fprintf(to, "%7.3g ", c->c);
    fprintf(to, " %.4f  %.3f-%.3f", c->cv_accuracy, c->cv_low, c->cv_high);
    if (is_wide()) fprintf(to, " %4.0f%% %4.1f", 100 * eg_net_depth(r->net, cut.layer), c->seconds);
    fputc('\n', to);
}

/* A word as a shell takes it. */
static void print_word(FILE *to, const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:=,+@%";
    if (*word && word[strspn(word, plain)] == '\0') {
        fprintf(to, " %s", word);
        return;
    }
    fputs(" '", to);
    for (; *word; word++) fputs(*word == '\'' ? "'\\''" : (char[]){*word, '\0'}, to);
    fputc('\'', to);
}

static void repeat_option(const struct invocation *in, const char *name, FILE *to)
{
    if (!option_given(in, name)) return;
    fprintf(to, " --%s", name);
    print_word(to, option_text(in, name));
}

/* The command that trains on a cut, with the options that change its result. */
static void print_advice(const struct ranking *r, const struct eg_compared *c, const char *title)
{
    static const char *const repeated[] = {"cv", "seed", "test", "group"};
    static const char *const of_model[] = {"preprocess", "size"};
    const struct invocation *in = r->in;
    FILE *to = in->out;
    struct eg_features_cut cut = cut_of(r, c);
    fprintf(to, "\n%s (%zu numbers a photo, %.0f %% of the network's work):\n  engraft train", title,
            c->length, 100 * eg_net_depth(r->net, cut.layer));
    if (r->keep) {
        print_word(to, r->file);
        fputs(" --features", to);
        print_word(to, c->features);
    } else {
        size_t n;
        const char *const *folders = option_list(in, "models", &n), *pool = pool_of(cut);
        char *text = NULL;
        print_word(to, in->operands[1]);
        fputs(" --model", to);
        print_word(to, in->operands[0]);
        fputs(" --cut", to);
        if (asprintf(&text, *pool == '-' ? "%s" : "%s:%s", cut.layer, pool) > 0) print_word(to, text);
        free(text);
        for (size_t i = 0; i < n; i++) {
            fputs(" --models", to);
            print_word(to, folders[i]);
        }
        for (size_t i = 0; i < 2; i++) repeat_option(in, of_model[i], to);
    }
    fprintf(to, " \\\n      --classifier %s --scale %s", c->classifier, c->scale);
    for (size_t i = 0; i < sizeof repeated / sizeof *repeated; i++) repeat_option(in, repeated[i], to);
    if (option_flag(in, "balance")) fputs(" --balance", to);
    fputs(" -o best.onnx\n", to);
}

/* Has one before it the same features? Of those the better classifier is shown. */
static bool is_repeated(const struct eg_comparison *found, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (!strcmp(found->compared[k].features, found->compared[i].features)) return true;
    return false;
}

static void print_report(const struct ranking *r)
{
    const struct eg_comparison *found = r->found;
    FILE *to = r->in->out;
    long long top = option_integer(r->in, "top");
    size_t rank = 0;
    fprintf(to, "%s: %zu cuts on %zu photos in %zu classes, %u folds", eg_net_name(r->net),
            r->extracted->n_cuts, found->n_train, found->n_classes, found->folds);
    if (found->n_kept) fprintf(to, "; %zu photos are kept for the test", found->n_kept);
    fprintf(to, "\n\n  #  %-20s %-7s %6s  %-8s %-8s ", "cut", "pool", "length", "by", "scale");
    if (is_wide()) fprintf(to, "%7s ", "C");
    fprintf(to, " %-6s  %-11s", "right", "95 %");
    if (is_wide()) fprintf(to, " %5s %4s", "depth", "s");
    fputc('\n', to);
    for (size_t i = 0; i < found->n_compared; i++) {
        if (is_repeated(found, i)) continue;
        if (!top || rank < (size_t)top) print_row(r, &found->compared[i], rank + 1);
        rank++;
    }
    if (top && rank > (size_t)top) fprintf(to, "     and %zu more (--top 0 shows all)\n", rank - (size_t)top);
    const struct eg_compared *best = found->compared, *shortest = shortest_as_good(found);
    print_advice(r, best, "the best");
    if (shortest != best) print_advice(r, shortest, "the shortest that is not clearly worse");
    if (found->n_selection) fputc('\n', to);
    print_selection(to, found->selection, found->n_selection);
    fprintf(to,
            "\nextraction took %.1f s, comparison %.1f s; the first of many is flattered by being first: the "
            "test report of engraft train, on photos not looked at here, is the number to quote\n",
            r->extracted->seconds, found->seconds);
}

/* ---- the work ---------------------------------------------------------------------------- */

static int stopped(const struct ranking *r, bool *remove_file)
{
    *remove_file = false;
    tell(r->in,
         "interrupted; the features computed so far are in '%s': run the same command again "
         "with -o %s to go on",
         r->file, r->file);
    return EXIT_INTERRUPTED;
}

static int extract(struct ranking *r, const eg_dataset *images, eg_pool *pool, bool *remove_file)
{
    struct invocation *in = r->in;
    size_t n_layers;
    const char *const *layers = option_list(in, "cut", &n_layers);
    struct eg_cut_list list;
    struct eg_error err;
    enum eg_status status =
        eg_net_list_cuts(r->net, layers, n_layers, (size_t)option_integer(in, "longest"), &list, &err);
    if (status) return report_error(in, status, &err);
    struct progress progress;
    progress_begin(&progress, in, "extract");
    struct eg_run_cuts cuts = {EG_SIZED(eg_run_cuts), .cuts = (const char *const *)list.cuts,
                               .n_cuts = list.n};
    struct eg_extract_options how = {EG_SIZED(eg_extract_options),
                                     .cuts = &cuts,
                                     .batch = (size_t)option_integer(in, "batch"),
                                     .overwrite = option_flag(in, "force"),
                                     .command = in->line,
                                     .pool = pool,
                                     .progress = progress_step,
                                     .user = &progress};
    status = eg_extract(r->net, images, r->file, &how, &r->extracted, &err);
    progress_end(&progress);
    eg_cut_list_release(&list);
    if (status == EG_E_CANCELLED) return stopped(r, remove_file);
    if (status) return report_error(in, status, &err);
    list_skipped(in, r->extracted->unreadable, r->extracted->n_unreadable);
    if (r->extracted->n_unreadable < r->extracted->rows) return EXIT_DONE;
    tell(in, "no photo could be read");
    return EXIT_FAILED;
}

static int compare(struct ranking *r, eg_pool *pool, bool *remove_file)
{
    struct invocation *in = r->in;
    struct eg_error err;
    double *grid = NULL;
    size_t n_grid = 0;
    const char *c = option_text(in, "C");
    if (strcmp(c, "auto") && !(grid = parse_grid(in, c, &n_grid))) return EXIT_USAGE;
    struct progress progress;
    double part = option_real(in, "test");
    progress_begin(&progress, in, "compare");
    struct eg_train_options how = {EG_SIZED(eg_train_options),
                                   .features = "auto", /* together, too */
                                   .classifier = option_text(in, "classifier"),
                                   .c = grid,
                                   .n_c = n_grid,
                                   .folds = option_given(in, "cv") ? (unsigned)option_integer(in, "cv") : 0,
                                   .test_fraction = part > 0 ? part : -1,
                                   .group = option_text(in, "group"),
                                   .scale = option_text(in, "scale"),
                                   .balance = option_flag(in, "balance"),
                                   .memory_bytes = option_bytes(in, "memory"),
                                   .seed = (uint64_t)option_integer(in, "seed"),
                                   .pool = pool,
                                   .progress = progress_step,
                                   .user = &progress};
    enum eg_status status = eg_features_open(r->file, &r->features, &err);
    if (!status) status = eg_features_compare(r->features, &how, &r->found, &err);
    progress_end(&progress);
    free(grid);
    if (status == EG_E_CANCELLED) return stopped(r, remove_file);
    return status ? report_error(in, status, &err) : EXIT_DONE;
}

/* ---- the command --------------------------------------------------------------------------- */

static int finish(struct ranking *r)
{
    const char *svg = option_text(r->in, "svg");
    int code = EXIT_DONE;
    if (svg) code = write_svg(r->in, svg, eg_comparison_svg(r->found, r->net, r->features, r->found->folds));
    if (code) return code;
    if (option_given(r->in, "report")) {
        unsigned folds = (unsigned)option_integer(r->in, "cv");
        char *picture = eg_comparison_svg(r->found, r->net, r->features, folds),
             *json = eg_comparison_json(r->found, r->net, r->features, r->extracted, folds,
                                        r->keep ? r->file : NULL);
        struct eg_page_options page = {.report = json, .picture = picture};
        code = write_report(r->in, r->in->operands[1], &page);
        free(picture);
        free(json);
        if (code) return code;
    }
    if (option_flag(r->in, "json"))
        print_text(r->in, eg_comparison_json(r->found, r->net, r->features, r->extracted, r->found->folds,
                                             r->keep ? r->file : NULL));
    else
        print_report(r);
    return r->extracted->n_unreadable ? EXIT_SKIPPED : EXIT_DONE;
}

/* A folder for features that nobody asked to keep: in $TMPDIR or /var/tmp, as they may be large. */
static char *temporary_folder(const struct invocation *in)
{
    const char *folder = getenv("TMPDIR");
    char *path = NULL;
    if (asprintf(&path, "%s/engraft-cuts-XXXXXX", folder && *folder ? folder : "/var/tmp") < 0) return NULL;
    if (mkdtemp(path)) return path;
    tell(in, "cannot make a folder '%s': %s (set TMPDIR, or use -o)", path, strerror(errno));
    free(path);
    return NULL;
}

static int check_words(const struct invocation *in)
{
    const char *svg = option_text(in, "svg");
    if (option_integer(in, "cv") < 2) return usage_error(in, "--cv 1: nothing can be compared without folds");
    int code = check_report(in);
    if (code || !svg || option_flag(in, "force") || access(svg, F_OK)) return code;
    tell(in, "'%s' exists (use --force to overwrite it)", svg);
    return EXIT_FAILED;
}

static int run(struct invocation *in)
{
    struct ranking r = {.in = in, .file = option_text(in, "output")};
    r.keep = r.file;
    eg_net *net = NULL;
    eg_pool *pool = NULL;
    eg_dataset *images = NULL;
    char *folder = NULL, *file = NULL;
    bool remove_file = !r.keep;
    int code = check_words(in);
    if (!code) code = load_model(in, in->operands[0], &net);
    if (!code) code = open_images(in, in->operands[1], &images);
    if (!code) code = make_pool(in, &pool);
    r.net = net;
    if (!code && !r.keep) {
        folder = temporary_folder(in);
        if (!folder || asprintf(&file, "%s/cuts.h5", folder) < 0) code = EXIT_FAILED;
        r.file = file;
    }
    if (!code) code = extract(&r, images, pool, &remove_file);
    if (!code) code = compare(&r, pool, &remove_file);
    if (!code) code = finish(&r);
    eg_features_close(r.features);
    if (folder && remove_file) {
        if (file) unlink(file);
        rmdir(folder);
    }
    eg_comparison_free(r.found);
    eg_extract_report_free(r.extracted);
    eg_dataset_free(images);
    eg_pool_free(pool);
    eg_net_free(net);
    free(folder);
    free(file);
    return code;
}

static const struct option_row options[] = {
    {OPTION_LIST, "cut", 0, "CUT[:POOL]", NULL, 0, 0, false,
     "only these (without POOL: with every pooling); default: the ends of layers and blocks, 16 at most"},
    {OPTION_INTEGER, "longest", 0, "N", "32768, and the default cut", 1, 100000000, false,
     "leave out cuts with more features than this"},
    {OPTION_CHOICE, "classifier", 0, "auto|logistic|svm", NULL, 0, 0, false, "auto: both"},
    {OPTION_TEXT, "C", 0, "auto|LIST", "auto", 0, 0, false,
     "inverse regularisation: the grid to choose from"},
    {OPTION_INTEGER, "cv", 0, "FOLDS", "5", 2, 100, false, "folds of the cross-validation"},
    {OPTION_CHOICE, "scale", 0, "auto|none|unit|root|standard", NULL, 0, 0, false,
     "as for engraft train; auto: the best of the four"},
    {OPTION_REAL, "test", 0, "PART", "0.25", 0, 0.9, false,
     "leave out the part of every class that engraft train tests on; 0: use every photo"},
    OPTION_GROUP_ROW,
    {OPTION_FLAG, "balance", 0, NULL, NULL, 0, 0, false, "weigh classes as if they had equal numbers"},
    {OPTION_TEXT, "output", 'o', "FILE.h5", NULL, 0, 0, false,
     "keep the features of all cuts: a run that was stopped goes on, engraft train takes one by --features"},
    {OPTION_TEXT, "svg", 0, "FILE", NULL, 0, 0, false, "draw accuracy by depth"},
    {OPTION_INTEGER, "top", 0, "N", "20", 0, 100000, false, "rows of the table, one for each cut; 0: all"},
    {OPTION_BYTES, "memory", 0, "SIZE", "half of what there is", 0, 0, false,
     "memory the comparison may take: 500M, 2G"},
    OPTION_REPORT_ROW,
    OPTION_BATCH_ROW,
    OPTION_EXCLUDE_ROW,
    OPTION_SEED_ROW,
    OPTION_FORCE_ROW,
    OPTION_JSON_ROW,
    OPTION_MODEL_ROWS,
    {0},
};

const struct command command_cuts = {
    .name = "cuts",
    .summary = "which cut is best for these photos: cross-validated accuracy of every reasonable one, ranked",
    .operands = "MODEL IMAGES",
    .details =
        "Every cut is computed in one pass over the photos, then linear classifiers are cross-validated on "
        "each. "
        "The photos that engraft train with the same --seed tests on are left out, so that its report stays "
        "honest. Without -o the features go to a file in $TMPDIR (or /var/tmp) that is removed at the end.",
    .example = "engraft cuts efficientnet-lite0 photos --svg depth.svg",
    .options = options,
    .run = run,
};
