/* train_choices.c: --effort, --size auto, --views auto: what training tries by itself, by cross-validation of
 * the rows that are not kept for the test. Everything is told before it begins. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "training_choices.h"

enum { CUTS_TOGETHER = 4, INPUTS_MOST = 3 };

static bool says(const struct invocation *in, const char *option, const char *word)
{
    const char *text = option_given(in, option) ? option_text(in, option) : NULL;
    return text && !strcmp(text, word);
}

static bool effort_is(const struct invocation *in, const char *word)
{
    const char *effort = option_text(in, "effort");
    return !strcmp(effort ? effort : "good", word);
}

static bool is_npy(const char *path)
{
    size_t n = strlen(path);
    return n > 4 && !strcmp(path + n - 4, ".npy");
}

void train_choices_free(struct train_choices *choices) { eg_cut_list_release(&choices->cuts); }

void more_networks_free(struct more_networks *more)
{
    for (size_t i = 0; i < more->n; i++) {
        eg_features_close(more->features[i]);
        eg_net_free(more->nets[i]);
    }
}

int check_choices(const struct invocation *in, bool from_file)
{
    size_t n_models, n_features;
    option_list(in, "model", &n_models);
    const char *const *features = option_list(in, "features", &n_features);
    if (n_models > NETWORKS_MOST || in->n_operands > NETWORKS_MOST)
        return usage_error(in, "at most %d networks", NETWORKS_MOST);
    if (!from_file && in->n_operands > 1)
        return usage_error(in,
                           "photos come from one place; several operands are feature files, one a network");
    if (from_file && n_models && n_models != in->n_operands)
        return usage_error(in, "%zu feature files and %zu --model: one for each", in->n_operands, n_models);
    for (size_t i = 0; i < n_features && n_features > 1; i++)
        if (!strcmp(features[i], "auto"))
            return usage_error(in, "--features auto chooses by itself: give it alone, or name the cuts");
    if (in->n_operands > 1 && option_given(in, "report"))
        return usage_error(in,
                           "--report shows photos by one network's features (train from photos with several "
                           "--model, or report on one file)");
    if (option_given(in, "from") && (n_models > 1 || in->n_operands > 1 || says(in, "features", "auto")))
        return usage_error(in, "--from goes on with the cuts of one network, by their names");
    if (says(in, "classifier", "mlp") && says(in, "features", "auto"))
        return usage_error(in, "--features auto is not for the classifier mlp (name the cuts)");
    if ((says(in, "size", "auto") || says(in, "views", "auto") || says(in, "features", "auto")) &&
        option_integer(in, "cv") == 1)
        return usage_error(in, "--cv 1 can choose nothing: auto needs 2 folds or more");
    return EXIT_DONE;
}

/* ---- the input --------------------------------------------------------------------------------- */

struct variant {
    size_t size[2]; /* 0: the network's own */
    enum eg_views views;
};

static int load_variant(const struct invocation *in, const char *model, const struct variant *v, eg_net **net)
{
    struct eg_net_options options;
    char *folders = NULL;
    int code = model_options(in, &options, &folders);
    if (code) return code;
    if (v->size[0]) {
        options.height = v->size[0];
        options.width = v->size[1];
    }
    if (v->views) options.views = v->views;
    if (eg_net_load(model, &options, net, NULL)) *net = NULL; /* it has one size, or is whole */
    free(folders);
    return EXIT_DONE;
}

static const char *views_name(enum eg_views views)
{
    return views == EG_VIEWS_FLIP ? ", mirrored too" : views == EG_VIEWS_FIVE ? ", five crops" : "";
}

/* The best of variants, of which the first is *net as it is. */
static int compare(struct invocation *in, const char *model, const eg_dataset *images,
                   const struct eg_train_options *checks, eg_pool *pool, const struct variant *variants,
                   size_t n, const char *without, eg_net **net)
{
    eg_net *nets[INPUTS_MOST] = {*net};
    struct eg_compared_input tried[INPUTS_MOST] = {0};
    size_t loaded = 1, best = 0, n_cuts = 0;
    int code = EXIT_DONE;
    for (size_t i = 1; i < n && !code; i++) {
        code = load_variant(in, model, &variants[i], &nets[loaded]);
        loaded += nets[loaded] != NULL;
    }
    const char *const *cuts = option_list(in, "cut", &n_cuts);
    if (loaded > 1 && !code) {
        for (size_t i = 0; i < loaded && !option_flag(in, "quiet"); i++) {
            const struct eg_recipe *r = eg_net_recipe(nets[i]);
            tell(in, "%s input %zux%zu%s", i ? "and" : "trying by cross-validation", r->crop[0], r->crop[1],
                 views_name(r->views));
        }
        if (!option_flag(in, "quiet"))
            tell(in, "that is %zu passes over %zu photos before those of the features (%s does without)",
                 loaded, eg_dataset_count(images), without);
        struct progress progress;
        struct eg_error err;
        struct eg_train_options how = *checks;
        how.pool = pool;
        how.progress = progress_step;
        how.user = &progress;
        progress_begin(&progress, in, "inputs");
        enum eg_status status =
            eg_inputs_compare((const eg_net *const *)nets, loaded, images, option_text(in, "output"), &how,
                              n_cuts ? cuts[0] : NULL, tried, &best, &err);
        progress_end(&progress);
        if (status) code = status == EG_E_CANCELLED ? EXIT_INTERRUPTED : report_error(in, status, &err);
        for (size_t i = 0; i < loaded && !code && !option_flag(in, "quiet"); i++) {
            char gain[60] = "";
            if (i) snprintf(gain, sizeof gain, " (%+.4f, noise %.4f)", tried[i].gain, tried[i].noise);
            tell(in, "input %zux%zu%s: right on %.4f%s, %.1f s%s", tried[i].height, tried[i].width,
                 views_name(tried[i].views), tried[i].cv_accuracy, gain, tried[i].seconds,
                 i == best ? ", taken" : "");
        }
    }
    for (size_t i = 0; i < loaded; i++)
        if (i != best) eg_net_free(nets[i]);
    *net = nets[best];
    return code;
}

static bool far_from_square(const size_t size[2])
{
    return 2 * size[1] >= 3 * size[0] || 2 * size[0] >= 3 * size[1];
}

/* Sizes worth trying beside the network's own: the usual shape of the photos, and 9/7 of the own (288 for
 * 224). */
static size_t list_sizes(const struct invocation *in, const eg_net *net, const eg_dataset *images,
                         struct variant *variants)
{
    const bool every = says(in, "size", "auto") || (effort_is(in, "best") && !option_given(in, "size"));
    const struct eg_recipe *own = eg_net_recipe(net);
    size_t n = 1, usual[2];
    if (!every && (!effort_is(in, "good") || option_given(in, "size"))) return n;
    if (eg_net_usual_size(net, images, usual, NULL)) return n;
    const bool other = usual[0] != own->crop[0] || usual[1] != own->crop[1];
    if (other && (every || far_from_square(usual)))
        variants[n++] = (struct variant){.size = {usual[0], usual[1]}, .views = own->views};
    if (every)
        variants[n++] =
            (struct variant){.size = {own->crop[0] * 9 / 7, own->crop[1] * 9 / 7}, .views = own->views};
    return n;
}

/* Features that an earlier run left, made with one of the variants, were made with what it chose. */
static bool chosen_before(struct invocation *in, const char *beside, const struct variant *variants, size_t n,
                          bool open_views, eg_net **net)
{
    eg_features *features = NULL;
    eg_net *made = NULL;
    if (option_flag(in, "fresh") || access(beside, F_OK) || eg_features_open(beside, &features, NULL))
        return false;
    char *folders = model_folders(in);
    bool found = folders && !eg_net_load_of(features, folders, &made, NULL) &&
                 !strcmp(eg_net_name(made), eg_net_name(*net)) && eg_net_recipe(made);
    free(folders);
    eg_features_close(features);
    if (found) {
        const struct eg_recipe *own = eg_net_recipe(*net), *then = eg_net_recipe(made);
        bool size = then->crop[0] == own->crop[0] && then->crop[1] == own->crop[1];
        for (size_t i = 1; i < n; i++)
            size = size || (then->crop[0] == variants[i].size[0] && then->crop[1] == variants[i].size[1]);
        found = size && (then->views == own->views || (open_views && then->views == EG_VIEWS_FLIP));
    }
    if (!found) {
        eg_net_free(made);
        return false;
    }
    eg_net_free(*net);
    *net = made;
    return true;
}

static int choose_input(struct invocation *in, const char *model, const eg_dataset *images,
                        const char *beside, const struct eg_train_options *checks, eg_pool *pool,
                        eg_net **net)
{
    const bool open_views =
        says(in, "views", "auto") || (effort_is(in, "best") && !option_given(in, "views"));
    struct variant variants[INPUTS_MOST] = {{.views = eg_net_recipe(*net)->views}};
    int code = EXIT_DONE;
    size_t n = list_sizes(in, *net, images, variants);
    if ((n > 1 || open_views) && chosen_before(in, beside, variants, n, open_views, net)) return code;
    if (n > 1)
        code = compare(in, model, images, checks, pool, variants, n,
                       says(in, "size", "auto") ? "a --size" : "--size, or --effort fast,", net);
    if (!code && open_views && !eg_net_recipe(*net)->views) {
        const struct eg_recipe *now = eg_net_recipe(*net);
        variants[1] = (struct variant){.size = {now->crop[0], now->crop[1]}, .views = EG_VIEWS_FLIP};
        code = compare(in, model, images, checks, pool, variants, 2, "--views none", net);
    }
    return code;
}

/* ---- all --------------------------------------------------------------------------------------- */

/* The last places worth cutting at, and the default cut. */
static int choose_cuts(struct invocation *in, const eg_net *net, struct train_choices *choices)
{
    struct eg_error err;
    enum eg_status status = eg_net_list_cuts(net, NULL, 0, 0, &choices->cuts, &err);
    if (status) return report_error(in, status, &err);
    struct eg_cut_list *list = &choices->cuts;
    while (list->n > CUTS_TOGETHER) {
        free(list->cuts[0]);
        memmove(list->cuts, list->cuts + 1, --list->n * sizeof *list->cuts);
    }
    if (!option_flag(in, "quiet"))
        for (size_t i = 0; i < list->n; i++)
            tell(in, "%s %s", i ? "and" : "trying side by side the features of", list->cuts[i]);
    return EXIT_DONE;
}

int choose_for_training(struct invocation *in, const char *model, const eg_dataset *images,
                        const char *beside, const struct eg_train_options *checks, eg_pool *pool,
                        eg_net **net, struct train_choices *choices)
{
    const bool best = effort_is(in, "best"), from = option_given(in, "from");
    const bool open =
        !from && (says(in, "size", "auto") || says(in, "views", "auto") || !effort_is(in, "fast"));
    const bool photos = !is_npy(in->operands[0]) && strcmp(in->operands[0], "-") && eg_net_recipe(*net) &&
                        option_integer(in, "cv") != 1;
    int code = EXIT_DONE;
    if (effort_is(in, "fast") && !option_given(in, "scale") && !from) choices->scale = "root";
    if (open && photos) code = choose_input(in, model, images, beside, checks, pool, net);
    if (code || !best || from || option_integer(in, "cv") == 1) return code;
    if (!option_given(in, "classifier")) choices->classifier = "auto";
    if (option_given(in, "features") || option_given(in, "cut") || says(in, "classifier", "mlp")) return code;
    choices->features = "auto";
    return choose_cuts(in, *net, choices);
}

void print_selection(FILE *to, const struct eg_selection *selection, size_t n)
{
    if (!n) return;
    fprintf(to, "cuts side by side, by cross-validation (one stays where it brings more than its noise):\n\n"
                "  accuracy    gain  noise    seconds  cut\n");
    for (size_t i = 0; i < n; i++) {
        const struct eg_selection *s = &selection[i];
        char gain[40] = "              ";
        if (i) snprintf(gain, sizeof gain, "%+.4f  %.4f", s->gain, s->noise);
        fprintf(to, "    %.4f %s  %8.1f  %s%s%s%s%s\n", s->cv_accuracy, gain, s->seconds, s->cut,
                s->network ? " of '" : "", s->network ? s->network : "", s->network ? "'" : "",
                s->taken ? "" : ": not taken");
    }
    fputc('\n', to);
}
