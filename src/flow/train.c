/* train.c: a feature file to a classifier: split, learn, test, write. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/mem.h"
#include "base/versioned.h"
#include "eval/metrics.h"
#include "flow/training.h"
#include "image/photo.h"
#include "learn/ridge.h"
#include "model/prepared.h"

const char *const eg__learner_names[] = {"logistic", "svm", "forest", "mlp", "centroid", "lda", "ridge"};
const char *const eg__scaling_names[] = {"none", "unit", "root", "standard", "auto"};
enum { N_LEARNERS = 6, /* to choose from: ridge is for numbers */ N_SCALINGS = 5 };

static int find_word(const char *const *words, int n, const char *word)
{
    for (int i = 0; i < n; i++)
        if (!strcmp(words[i], word)) return i;
    return -1;
}

static bool is_auto(const struct training *t)
{
    return t->options->classifier && !strcmp(t->options->classifier, "auto");
}

/* What was given, else the earlier model's, else the default. */
static const char *setting(const char *given, const char *earlier, const char *fallback)
{
    return given ? given : earlier ? earlier : fallback;
}

/* The earlier model has to be of these features. */
static enum eg_status check_from(const struct training *t, struct eg_error *err)
{
    const struct eg_net *from = t->options->from;
    if (!from) return EG_OK;
    if (!eg_net_is_trained(from))
        return eg__fail(err, EG_E_ARGUMENT, "'%s' is no classifier to go on from", eg_net_name(from));
    if (eg__training_selects(t))
        return eg__fail(err, EG_E_ARGUMENT, "an earlier classifier has its cuts: name them");
    if (t->options->n_others)
        return eg__fail(err, EG_E_UNSUPPORTED,
                        "a classifier of several networks does not go on from another");
    enum eg_status status = eg__net_check_class(from, "going on from a model", err);
    if (status) return status;
    return eg__model_source(from, t->spec, "the feature file", err);
}

static enum eg_status choose_how(struct training *t, struct eg_error *err)
{
    const struct eg_train_options *o = t->options;
    const struct eg_card earlier = o->from ? o->from->card : eg__card_empty();
    const char *classifier = setting(o->classifier, earlier.classifier, eg__learner_names[EG_LOGISTIC]);
    const char *scaling = setting(o->scale, earlier.scale, "auto");
    int learner =
        find_word(eg__learner_names, N_LEARNERS, is_auto(t) ? eg__learner_names[EG_LOGISTIC] : classifier);
    int scale = find_word(eg__scaling_names, N_SCALINGS, scaling);
    if (learner < 0) return eg__fail(err, EG_E_ARGUMENT, "classifier '%s' is not known", classifier);
    if (scale < 0) return eg__fail(err, EG_E_ARGUMENT, "scale '%s' is not known", scaling);
    if (eg__training_has_targets(t) && (is_auto(t) || learner > EG_SVM || o->from))
        return eg__fail(err, EG_E_UNSUPPORTED, "%s: not made for %s",
                        o->from ? "going on from an earlier model" : classifier,
                        o->target ? "numbers" : "several labels a photo");
    if (eg__training_has_targets(t) && eg__training_selects(t))
        return eg__fail(err, EG_E_UNSUPPORTED, "choosing among cuts: not made for %s (name them)",
                        o->target ? "numbers" : "several labels a photo");
    t->how = (struct eg_learn_options){
        .learner = (enum eg_learner)learner,
        .scale = (enum eg_scaling)scale,
        .c = o->c,
        .n_c = o->n_c,
        .fold = t->fold,
        .folds = t->report.folds,
        .hinge = o->hinge,
        .balance = o->balance,
        .sets = t->sets,
        .one_error = o->one_error,
        .reject_rate = o->reject_rate,
        .n_trees = o->n_trees,
        .memory_bytes = o->memory_bytes,
        .seed = o->seed,
        .pool = o->pool,
        .progress = o->progress,
        .user = o->user,
    };
    return EG_OK;
}

/* Of the same kind as the earlier model: its C and loss unless given, and its scores to start from. */
static enum eg_status go_on(struct training *t, struct eg_error *err)
{
    if (!t->options->from || is_auto(t)) return EG_OK;
    const struct eg_card *earlier = &t->options->from->card;
    if (strcmp(eg__learner_names[t->how.learner], earlier->classifier)) return EG_OK;
    t->c = isnan(earlier->c) ? 0 : earlier->c;
    if (!t->how.n_c && t->c > 0) {
        t->how.c = &t->c;
        t->how.n_c = 1;
    }
    t->how.hinge = t->how.hinge || (earlier->loss && !strcmp(earlier->loss, "hinge"));
    enum eg_status status =
        eg__model_scores(t->options->from, &t->joint, &t->sample, t->options->pool, &t->start, err);
    t->how.start = t->start;
    return status;
}

/* The cut, classifier and scale that did best. */
static enum eg_status choose_best(struct training *t, struct eg_error *err)
{
    enum eg_status status = eg__training_compare(t, err);
    if (status) return status;
    const struct eg_compared *best = t->report.compared;
    t->how.learner = (enum eg_learner)find_word(eg__learner_names, N_LEARNERS, best->classifier);
    t->how.scale = (enum eg_scaling)find_word(eg__scaling_names, N_SCALINGS, best->scale);
    size_t cut = 0;
    if (eg__training_selects(t) || eg__training_is_joined(t)) return EG_OK;
    status = eg__store_find_cut(t->store, best->features, &cut, err);
    return status ? status : eg__training_take_cut(t, cut, err);
}

static enum eg_status learn(struct training *t, const char *path, struct eg_error *err)
{
    const bool alone = is_auto(t) && t->report.folds < 2; /* one photo of a class: nothing can be compared */
    if (alone) t->how.learner = EG_CENTROID;
    enum eg_status status = eg__training_selects(t) ? eg__training_select(t, err) : EG_OK;
    if (!status && !alone) status = is_auto(t) ? choose_best(t, err) : go_on(t, err);
    if (status) return status;
    struct eg_row_source source = eg__training_rows(t);
    if (t->numbers)
        status = eg__ridge_train(&source, t->numbers, &t->how, &t->learned, err);
    else if (t->how.learner == EG_MLP)
        status = eg__training_mlp(t, path, err);
    else
        status = eg__learn(&source, t->sample.labels, t->report.n_classes, &t->how, &t->learned, err);
    if (status) return status;
    if (t->how.learner == EG_SVM) t->trained.loss = t->how.hinge ? "hinge" : "squared-hinge";
    struct eg_train_report *r = &t->report;
    if (!(r->cut = eg__training_cut_names(t))) return eg__fail_memory(err, "the report");
    r->classifier = eg__learner_names[t->learned.learner];
    r->scale = eg__scaling_names[t->blocks[0].scale == EG_SCALE_AUTO ? t->learned.scale : t->blocks[0].scale];
    r->c = t->learned.c;
    r->cv_accuracy = t->learned.cv_accuracy;
    r->objective = t->learned.objective;
    r->gap = t->learned.gap;
    r->reject_rate = t->learned.reject_rate;
    r->penalty = t->numbers ? 1 / (2 * r->c) : (double)NAN;
    if (t->numbers && !(r->target = strdup(t->options->target))) return eg__fail_memory(err, "the report");
    r->thresholds = t->learned.thresholds;
    t->learned.thresholds = NULL;
    r->n_grid = t->learned.n_grid;
    r->grid = eg__alloc(r->n_grid + 1, sizeof *r->grid);
    if (!r->grid) return eg__fail_memory(err, "the report");
    r->n_scales = t->learned.n_tried;
    for (size_t i = 0; i < r->n_scales; i++) {
        const struct eg_scaling_tried *tried = &t->learned.tried[i];
        r->scales[i] = (struct eg_scale_tried){eg__scaling_names[tried->scale], tried->points, tried->c,
                                               tried->cv_accuracy};
    }
    if (r->n_grid) memcpy(r->grid, t->learned.grid, r->n_grid * sizeof *r->grid);
    status = eg__training_repeat(t, err);
    return status ? status : eg__training_nest(t, err);
}

/* ---- all of it --------------------------------------------------------------------------------- */

/* The network given must be the one that made the features, with the same recipe. */
static enum eg_status check_net(const struct eg_net *net, const struct eg_store_spec *spec,
                                struct eg_error *err)
{
    if (!net) return EG_OK;
    char hex[65] = "";
    enum eg_status status = net->graph->weights_path ? eg_net_weights_sha256(net, hex, err) : EG_OK;
    if (status) return status;
    if (!spec->weights_sha256 || strcmp(hex, spec->weights_sha256))
        return eg__fail(err, EG_E_ARGUMENT,
                        "the features were not made with the weights of '%s' (sha256 %.12s...)",
                        net->graph->name, hex);
    char *recipe = net->has_recipe ? eg__recipe_json(&net->recipe) : strdup("");
    if (!recipe) return eg__fail_memory(err, "a recipe");
    if (!eg__recipe_same(recipe, spec->recipe ? spec->recipe : ""))
        status =
            eg__fail(err, EG_E_ARGUMENT, "recipes may not be mixed: the features have %s, the network %s",
                     spec->recipe ? spec->recipe : "none", recipe);
    free(recipe);
    return status;
}

static enum eg_status check_nets(const struct training *t, struct eg_error *err)
{
    const struct eg_train_options *o = t->options;
    enum eg_status status = check_net(t->net, t->spec, err);
    for (size_t k = 0; t->net && k < o->n_others && !status; k++)
        status = check_net(o->other_nets[k], eg__store_spec(o->others[k]), err);
    return status;
}

enum eg_status eg__training_begin(struct training *t, struct eg_error *err)
{
    enum eg_status status = eg__training_join(t, err);
    if (!status) status = check_nets(t, err);
    if (!status) status = check_from(t, err);
    if (!status) status = eg__training_choose_rows(t, err);
    if (!status) status = choose_how(t, err);
    return status;
}

void eg__training_release(struct training *t)
{
    eg__graph_free(t->graph);
    eg__learned_release(&t->learned);
    eg__sample_release(&t->sample);
    eg__joint_release(&t->joint);
    for (size_t k = 0; t->maps && k < t->options->n_others; k++) free(t->maps[k]);
    free(t->maps);
    free(t->blocks);
    free(t->parts);
    free(t->known);
    free(t->fold);
    free(t->start);
    eg__targets_free(&t->targets);
    free(t->place);
    free(t->sets);
    free(t->numbers);
}

static enum eg_status train(struct training *t, const char *path, struct eg_error *err)
{
    enum eg_status status = eg__training_begin(t, err);
    if (!status) status = learn(t, path, err);
    if (!status) status = eg__training_parts(t, err);
    if (status) return status;
    t->trained.report = &t->report;
    t->trained.cut = &t->spec->cuts[t->cut];
    t->trained.weights_sha256 = t->spec->weights_sha256;
    t->trained.command = t->options->command;
    t->trained.classes = &t->options->classes;
    t->trained.answer = t->options->target ? "value" : t->options->multi_label ? "labels" : NULL;
    t->trained.labels_separator = t->options->labels_sep ? t->options->labels_sep : ";";
    if (t->options->test) { /* photos are judged by the whole network */
        status = eg__trained_build(t->whole, &t->trained, t->learned.head, &t->graph, err);
        if (!status) status = eg__training_test(t, err);
        eg__graph_free(t->graph);
        t->graph = NULL;
    } else {
        status = eg__training_test(t, err);
    }
    if (!status) status = eg__trained_build(t->whole, &t->trained, t->learned.head, &t->graph, err);
    if (!status) status = eg__trained_save(t->graph, t->whole, path, t->options->overwrite, err);
    return status;
}

enum eg_status eg_train(eg_features *features, const eg_net *net, const char *path,
                        const struct eg_train_options *options, struct eg_train_report **report,
                        struct eg_error *err)
{
    struct eg_train_options own;
    enum eg_status status = eg__options(&own, sizeof own, options, err);
    if (status) return status;
    struct eg_net as_made = {0}; /* the network as the features were made with it */
    if (net) {
        const char *made_with = eg__store_spec(features)->recipe;
        as_made = *net;
        if (net->has_recipe && made_with) eg__recipe_adopt(&as_made.recipe, made_with);
    }
    struct training t = {.store = features,
                         .spec = eg__store_spec(features),
                         .net = net ? &as_made : NULL,
                         .options = &own,
                         .path = path};
    t.whole = t.net;
    if (!t.options->overwrite && !access(path, F_OK))
        return eg__fail_for(err, EG_E_EXISTS, EG_REASON_OUTPUT_EXISTS, "'%s' exists", path);
    double start = eg__seconds();
    status = train(&t, path, err);
    t.report.seconds = eg__seconds() - start;
    eg__training_release(&t);
    if (!status) status = eg__hand_out(&t.report, sizeof t.report, report, err);
    if (status) eg__train_report_release(&t.report);
    return status;
}

void eg__train_report_release(struct eg_train_report *report)
{
    free(report->grid);
    free(report->cut);
    eg__selection_free(report->selection, report->n_selection);
    eg__joined_free(report->joined, report->n_joined);
    eg__compared_free(report->compared, report->n_compared);
    eg__class_names_free(report->classes, report->n_classes);
    eg__class_names_free(report->empty, report->n_empty);
    eg__twice_free(report->twice, report->n_twice);
    eg_metrics_release(&report->test);
    eg_label_metrics_release(&report->labels);
    free(report->thresholds);
    free(report->repeated);
    eg__class_names_free(report->rare, report->n_rare);
    free(report->target);
    free(report->number_truth);
    free(report->number_answers);
    eg__skipped_free(report->unreadable, report->n_unreadable);
    *report = (struct eg_train_report){0};
}

void eg_train_report_free(struct eg_train_report *report)
{
    if (report) eg__train_report_release(report);
    free(report);
}
