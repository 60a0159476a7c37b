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
#include "model/prepared.h"

const char *const eg__learner_names[] = {"logistic", "svm", "forest", "mlp", "centroid", "lda"};
const char *const eg__scaling_names[] = {"none", "unit", "root", "standard", "auto"};
enum { N_LEARNERS = 6, N_SCALINGS = 5 };

static int find_word(const char *const *words, int n, const char *word)
{
    for (int i = 0; i < n; i++)
        if (!strcmp(words[i], word)) return i;
    return -1;
}

/* ---- rows ---------------------------------------------------------------------------- */

static int compare_hashes(const void *a, const void *b) { return memcmp(a, b, 32); }

/* Test rows whose contents were learned from. */
static void count_known(struct training *t, eg_hashes hashes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        t->report.n_test_known +=
            bsearch(hashes[i], t->known, t->sample.n_train, sizeof *t->known, compare_hashes) != NULL;
}

static enum eg_status copy_names(char **names, size_t n, char ***copies, size_t *n_copies,
                                 struct eg_error *err)
{
    *copies = eg__zalloc(n + 1, sizeof **copies);
    if (!*copies) return eg__fail_memory(err, "class names");
    for (; *n_copies < n; ++*n_copies)
        if (!((*copies)[*n_copies] = strdup(names[*n_copies]))) return eg__fail_memory(err, "class names");
    return EG_OK;
}

/* What the sample says of the rows, for the report and the file. */
static enum eg_status note_sample(struct training *t, struct eg_error *err)
{
    struct eg_sample *s = &t->sample;
    struct eg_train_report *r = &t->report;
    enum eg_status status = copy_names(s->classes, s->n_classes, &r->classes, &r->n_classes, err);
    if (!status) status = copy_names(s->empty, s->n_empty, &r->empty, &r->n_empty, err);
    if (status) return status;
    r->n_unlabelled = s->n_unlabelled;
    r->n_left_out = s->n_left_out;
    r->n_train = s->n_train;
    r->twice = s->twice;
    r->n_twice = s->n_twice;
    s->twice = NULL;
    s->n_twice = 0;
    t->trained.sample = s;
    t->known = eg__alloc(s->n_train, sizeof *t->known);
    if (!t->known) return eg__fail_memory(err, "the images' hashes");
    memcpy(t->known, s->hashes, s->n_train * sizeof *t->known);
    qsort(t->known, s->n_train, sizeof *t->known, compare_hashes);
    count_known(t, (eg_hashes)s->hashes + s->n_train, s->n - s->n_train);
    return EG_OK;
}

/* Classifiers that are worked out do without folds where a class has one photo. */
static bool needs_folds(const struct eg_train_options *o)
{
    return o->folds || !o->classifier || (strcmp(o->classifier, "centroid") && strcmp(o->classifier, "lda"));
}

static bool has_single(const struct eg_sample *s)
{
    size_t *count = eg__zalloc(s->n_classes, sizeof *count);
    bool single = false;
    for (size_t i = 0; count && i < s->n_train; i++) count[s->labels[i]]++;
    for (size_t k = 0; count && k < s->n_classes; k++) single = single || count[k] == 1;
    free(count);
    return single;
}

static enum eg_status choose_rows(struct training *t, struct eg_error *err)
{
    const struct eg_train_options *o = t->options;
    struct eg_sample_options how = {.test_fraction = o->test ? -1 : o->test_fraction,
                                    .seed = o->seed,
                                    .group = o->group,
                                    .classes = o->classes};
    enum eg_status status = eg__sample_of_store(t->store, t->cut, &how, &t->sample, err);
    if (!status) status = note_sample(t, err);
    if (status) return status;
    const unsigned folds =
        !needs_folds(o) && has_single(&t->sample)
            ? 1
            : eg__fold_count(o->folds, t->sample.labels, t->sample.n_train, t->sample.n_classes);
    t->report.folds = folds;
    if (folds < 2) return EG_OK;
    t->fold = eg__alloc(t->sample.n_train, 1);
    return t->fold ? eg__sample_folds(&t->sample, folds, t->fold, err) : eg__fail_memory(err, "the folds");
}

static enum eg_status gather(void *self, const size_t *rows, size_t count, float *out, struct eg_error *err)
{
    const struct training *t = self;
    size_t *places = eg__alloc(count, sizeof *places);
    if (!places) return eg__fail_memory(err, "rows");
    for (size_t i = 0; i < count; i++) places[i] = t->sample.rows[rows[i]];
    enum eg_status status = eg__rows_gather(t->store, t->cut, places, count, out, err);
    free(places);
    return status;
}

/* ---- learning and testing ----------------------------------------------------------------- */

struct eg_row_source eg__training_rows(struct training *t)
{
    return (struct eg_row_source){t->sample.n_train, t->spec->cuts[t->cut].length, gather, t};
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
    t->how = (struct eg_learn_options){
        .learner = (enum eg_learner)learner,
        .scale = (enum eg_scaling)scale,
        .c = o->c,
        .n_c = o->n_c,
        .fold = t->fold,
        .folds = t->report.folds,
        .hinge = o->hinge,
        .balance = o->balance,
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
        eg__model_scores(t->options->from, t->store, t->cut, &t->sample, t->options->pool, &t->start, err);
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
    return eg__store_find_cut(t->store, best->features, &t->cut, err);
}

static enum eg_status learn(struct training *t, const char *path, struct eg_error *err)
{
    enum eg_status status = is_auto(t) ? choose_best(t, err) : go_on(t, err);
    if (status) return status;
    struct eg_row_source source = eg__training_rows(t);
    if (t->how.learner == EG_MLP)
        status = eg__training_mlp(t, path, err);
    else
        status = eg__learn(&source, t->sample.labels, t->sample.n_classes, &t->how, &t->learned, err);
    if (status) return status;
    if (t->how.learner == EG_SVM) t->trained.loss = t->how.hinge ? "hinge" : "squared-hinge";
    struct eg_train_report *r = &t->report;
    if (!(r->cut = strdup(t->spec->cuts[t->cut].name))) return eg__fail_memory(err, "the report");
    r->classifier = eg__learner_names[t->learned.learner];
    r->scale = eg__scaling_names[t->learned.scale];
    r->c = t->learned.c;
    r->cv_accuracy = t->learned.cv_accuracy;
    r->objective = t->learned.objective;
    r->gap = t->learned.gap;
    r->reject_rate = t->learned.reject_rate;
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
    return EG_OK;
}

static enum eg_status test_rows(struct training *t, struct eg_store *store, size_t cut, const size_t *rows,
                                const int32_t *labels, size_t n, struct eg_error *err)
{
    struct eg_verdict verdict;
    enum eg_status status =
        eg__judge_rows(t->learned.head, store, cut, rows, n, t->options->pool, &verdict, err);
    if (status) return status;
    status = eg__metrics(labels, verdict.labels, verdict.probabilities, n, t->report.n_classes,
                         &t->report.test, err);
    eg__verdict_release(&verdict);
    return status;
}

/* Labels of other data as the model's; rows that have one. */
static enum eg_status test_file(struct training *t, const char *path, struct eg_error *err)
{
    struct eg_store *store = NULL;
    enum eg_status status = eg__store_open(path, &store, err);
    if (status) return status;
    const struct eg_store_spec *spec = eg__store_spec(store);
    const uint8_t *row_status = eg__store_status(store);
    int32_t *map = NULL, *labels = eg__alloc(spec->n_rows + 1, sizeof *labels);
    const char **classes = NULL;
    size_t n = 0, n_classes = 0, cut = 0, *rows = eg__alloc(spec->n_rows + 1, sizeof *rows);
    if (!labels || !rows) status = eg__fail_memory(err, "rows");
    if (!status) status = eg__store_find_cut(store, t->spec->cuts[t->cut].name, &cut, err);
    if (!status) status = eg__same_source(t->spec, spec, path, err);
    for (size_t i = 0; !status && i < spec->n_rows; i++)
        if (row_status[i] == EG_ROW_DONE && spec->labels[i] >= 0) {
            rows[n] = i;
            labels[n++] = spec->labels[i];
        }
    if (!status)
        status = eg__class_choose(&t->options->classes, spec->classes, spec->n_classes, labels, n, &classes,
                                  &n_classes, err);
    n = status ? n : eg__without_unlabelled(rows, labels, n);
    if (!status)
        status =
            eg__class_map(t->report.classes, t->report.n_classes, classes, n_classes, labels, n, &map, err);
    for (size_t i = 0; i < n && !status; i++) labels[i] = map[labels[i]];
    if (!status && !n) status = eg__fail(err, EG_E_ARGUMENT, "no row of '%s' has a label", path);
    uint8_t(*hashes)[32] = eg__alloc(n, sizeof *hashes);
    if (!status)
        status = hashes ? eg__row_hashes(store, cut, rows, n, hashes, err)
                        : eg__fail_memory(err, "the images' hashes");
    if (!status) count_known(t, (eg_hashes)hashes, n);
    if (!status) status = test_rows(t, store, cut, rows, labels, n, err);
    free(hashes);
    free(map);
    free(classes);
    free(labels);
    free(rows);
    if (eg__store_close(store, NULL) && !status) status = eg__fail(err, EG_E_IO, "cannot close '%s'", path);
    return status;
}

static enum eg_status test_photos(struct training *t, const char *path, struct eg_error *err)
{
    if (!t->net)
        return eg__fail(err, EG_E_ARGUMENT,
                        "photos cannot test a classifier that has no network: give a feature file");
    struct eg_dataset *images = NULL;
    enum eg_status status = eg__dataset_scan(&path, 1, t->options->images, &images, err);
    if (status) return status;
    int32_t *map = NULL, *truth = eg__alloc(images->n_items + 1, sizeof *truth);
    const char **classes = NULL;
    size_t n_classes = 0;
    struct eg_verdict verdict = {0};
    struct eg_net whole = {.graph = t->graph,
                           .recipe = t->net->recipe,
                           .has_recipe = t->net->has_recipe,
                           .classes = t->report.classes,
                           .n_classes = t->report.n_classes};
    struct eg_judge_options how = {
        .pool = t->options->pool, .progress = t->options->progress, .user = t->options->user};
    whole.shared = eg__shared_create(&whole);
    if (!truth || !whole.shared) status = eg__fail_memory(err, "labels");
    if (!status) status = eg__card_read(t->graph, &whole.card, err);
    for (size_t i = 0; i < images->n_items && !status; i++) truth[i] = images->items[i].label;
    if (!status)
        status = eg__class_choose(&t->options->classes, (const char *const *)images->classes,
                                  images->n_classes, truth, images->n_items, &classes, &n_classes, err);
    if (!status)
        status = eg__class_map(t->report.classes, t->report.n_classes, classes, n_classes, truth,
                               images->n_items, &map, err);
    if (!status) status = eg__judge_photos(&whole, images, &how, &verdict, err);
    size_t n = 0;
    for (size_t i = 0; !status && i < images->n_items; i++) {
        if (verdict.reasons[i]) {
            status = eg__skip(&t->report.unreadable, &t->report.n_unreadable, images->items[i].path,
                              verdict.reasons[i], err);
        } else if (truth[i] >= 0) {
            eg__verdict_keep(&verdict, i, n);
            truth[n++] = map[truth[i]];
        }
    }
    if (!status && !n)
        status = eg__fail(err, EG_E_ARGUMENT, "no photo of '%s' could be read and has a label", path);
    if (!status) count_known(t, (eg_hashes)verdict.hashes, n);
    if (!status)
        status = eg__metrics(truth, verdict.labels, verdict.probabilities, n, t->report.n_classes,
                             &t->report.test, err);
    eg__verdict_release(&verdict);
    eg__shared_free(whole.shared);
    free(map);
    free(classes);
    free(truth);
    eg__dataset_free(images);
    return status;
}

static enum eg_status test(struct training *t, struct eg_error *err)
{
    const char *path = t->options->test;
    if (!path) {
        const struct eg_sample *s = &t->sample;
        size_t n = s->n - s->n_train;
        return n ? test_rows(t, t->store, t->cut, s->rows + s->n_train, s->labels + s->n_train, n, err)
                 : EG_OK;
    }
    return eg__is_hdf5(path) ? test_file(t, path, err) : test_photos(t, path, err);
}

/* ---- all of it --------------------------------------------------------------------------------- */

/* The network given must be the one that made the features, with the same recipe. */
static enum eg_status check_net(const struct training *t, struct eg_error *err)
{
    if (!t->net) return EG_OK;
    char hex[65] = "";
    enum eg_status status = t->net->graph->weights_path ? eg_net_weights_sha256(t->net, hex, err) : EG_OK;
    if (status) return status;
    if (!t->spec->weights_sha256 || strcmp(hex, t->spec->weights_sha256))
        return eg__fail(err, EG_E_ARGUMENT,
                        "the features were not made with the weights of '%s' (sha256 %.12s...)",
                        t->net->graph->name, hex);
    char *recipe = t->net->has_recipe ? eg__recipe_json(&t->net->recipe) : strdup("");
    if (!recipe) return eg__fail_memory(err, "a recipe");
    if (!eg__recipe_same(recipe, t->spec->recipe ? t->spec->recipe : ""))
        status =
            eg__fail(err, EG_E_ARGUMENT, "recipes may not be mixed: the features have %s, the network %s",
                     t->spec->recipe ? t->spec->recipe : "none", recipe);
    free(recipe);
    return status;
}

enum eg_status eg__training_begin(struct training *t, struct eg_error *err)
{
    enum eg_status status = eg__store_find_cut(t->store, t->options->features, &t->cut, err);
    if (!status) status = check_net(t, err);
    if (!status) status = check_from(t, err);
    if (!status) status = choose_rows(t, err);
    if (!status) status = choose_how(t, err);
    return status;
}

void eg__training_release(struct training *t)
{
    eg__graph_free(t->graph);
    eg__learned_release(&t->learned);
    eg__sample_release(&t->sample);
    free(t->known);
    free(t->fold);
    free(t->start);
}

static enum eg_status train(struct training *t, const char *path, struct eg_error *err)
{
    enum eg_status status = eg__training_begin(t, err);
    if (!status) status = learn(t, path, err);
    if (status) return status;
    t->trained.report = &t->report;
    t->trained.cut = &t->spec->cuts[t->cut];
    t->trained.weights_sha256 = t->spec->weights_sha256;
    t->trained.command = t->options->command;
    t->trained.classes = &t->options->classes;
    if (t->options->test) { /* photos are judged by the whole network */
        status = eg__trained_build(t->net, &t->trained, t->learned.head, &t->graph, err);
        if (!status) status = test(t, err);
        eg__graph_free(t->graph);
        t->graph = NULL;
    } else {
        status = test(t, err);
    }
    if (!status) status = eg__trained_build(t->net, &t->trained, t->learned.head, &t->graph, err);
    if (!status) status = eg__trained_save(t->graph, t->net, path, t->options->overwrite, err);
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
    struct training t = {
        .store = features, .spec = eg__store_spec(features), .net = net ? &as_made : NULL, .options = &own};
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

enum eg_status eg_train_check(const eg_dataset *images, const struct eg_train_options *options,
                              struct eg_error *err)
{
    struct eg_train_options own, *o = &own;
    enum eg_status status = eg__options(&own, sizeof own, options, err);
    if (status) return status;
    int32_t *labels = eg__alloc(images->n_items, sizeof *labels);
    if (!labels) return eg__fail_memory(err, "labels");
    const char *const *all = (const char *const *)images->classes, **classes = NULL;
    size_t n_classes = 0;
    for (size_t i = 0; i < images->n_items; i++) labels[i] = images->items[i].label;
    status = eg__class_choice_check(&o->classes, all, images->n_classes, err);
    if (!status)
        status = eg__class_choose(&o->classes, all, images->n_classes, labels, images->n_items, &classes,
                                  &n_classes, err);
    if (!status)
        status =
            eg__sample_check(labels, images->n_items, classes, n_classes, o->test ? -1 : o->test_fraction,
                             o->folds         ? o->folds
                             : needs_folds(o) ? 2
                                              : 1,
                             err);
    free(classes);
    free(labels);
    return status;
}

void eg__train_report_release(struct eg_train_report *report)
{
    free(report->grid);
    free(report->cut);
    eg__compared_free(report->compared, report->n_compared);
    eg__class_names_free(report->classes, report->n_classes);
    eg__class_names_free(report->empty, report->n_empty);
    eg__twice_free(report->twice, report->n_twice);
    eg_metrics_release(&report->test);
    eg__skipped_free(report->unreadable, report->n_unreadable);
    *report = (struct eg_train_report){0};
}

void eg_train_report_free(struct eg_train_report *report)
{
    if (report) eg__train_report_release(report);
    free(report);
}
