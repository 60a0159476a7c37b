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

const char *const eg__learner_names[] = {"logistic", "svm", "forest", "mlp"};
const char *const eg__scaling_names[] = {"none", "unit", "root", "standard", "auto"};
enum { N_LEARNERS = 4, N_SCALINGS = 5 };

static int find_word(const char *const *words, int n, const char *word)
{
    for (int i = 0; i < n; i++)
        if (!strcmp(words[i], word)) return i;
    return -1;
}

/* ---- rows ---------------------------------------------------------------------------- */

static enum eg_status copy_classes(struct training *t, struct eg_error *err)
{
    t->report.classes = eg__zalloc(t->spec->n_classes + 1, sizeof *t->report.classes);
    if (!t->report.classes) return eg__fail_memory(err, "class names");
    for (size_t i = 0; i < t->spec->n_classes; i++) {
        if (!(t->report.classes[i] = strdup(t->spec->classes[i]))) return eg__fail_memory(err, "class names");
        t->report.n_classes++;
    }
    return EG_OK;
}

static enum eg_status choose_rows(struct training *t, struct eg_error *err)
{
    const uint8_t *status = eg__store_status(t->store);
    size_t n_rows = t->spec->n_rows, waiting = 0;
    t->rows = eg__alloc(n_rows + 1, sizeof *t->rows);
    t->labels = eg__alloc(n_rows + 1, sizeof *t->labels);
    if (!t->rows || !t->labels) return eg__fail_memory(err, "rows");
    for (size_t i = 0; i < n_rows; i++) {
        waiting += status[i] == EG_ROW_WAITING;
        if (status[i] != EG_ROW_DONE) continue;
        if (t->spec->labels[i] < 0) {
            t->report.n_unlabelled++;
            continue;
        }
        t->rows[t->n] = i;
        t->labels[t->n++] = t->spec->labels[i];
    }
    if (waiting)
        return eg__fail(err, EG_E_ARGUMENT,
                        "%zu of %zu rows are not computed yet: finish the extraction first", waiting, n_rows);
    if (!n_rows) return eg__fail(err, EG_E_ARGUMENT, "there are no rows to learn from");
    if (!t->n)
        return eg__fail(err, EG_E_ARGUMENT,
                        "no row has a label: photos are labelled by the folder they are in");
    return EG_OK;
}

static enum eg_status find_groups(struct training *t, struct eg_error *err)
{
    if (!t->options->group) return EG_OK;
    const char **paths = eg__alloc(t->n, sizeof *paths);
    t->groups = eg__alloc(t->n, sizeof *t->groups);
    enum eg_status status = paths && t->groups ? EG_OK : eg__fail_memory(err, "the groups");
    for (size_t i = 0; i < t->n && !status; i++) paths[i] = t->spec->paths[t->rows[i]];
    if (!status) status = eg__groups(t->options->group, paths, t->n, t->groups, err);
    free(paths);
    return status;
}

static int compare_hashes(const void *a, const void *b) { return memcmp(a, b, 32); }

/* Test rows whose contents were learned from. */
static void count_known(struct training *t, const uint8_t (*hashes)[32], size_t n)
{
    for (size_t i = 0; i < n; i++)
        t->report.n_test_known +=
            bsearch(hashes[i], t->known, t->n_train, sizeof *t->known, compare_hashes) != NULL;
}

/* Split, note the digest of the training rows, and put those first. */
static enum eg_status split(struct training *t, struct eg_error *err)
{
    const struct eg_train_options *o = t->options;
    double fraction = o->test || o->test_fraction < 0 ? 0 : o->test_fraction > 0 ? o->test_fraction : 0.25;
    uint8_t(*hashes)[32] = eg__alloc(t->n, sizeof *hashes), *part = eg__zalloc(t->n, 1);
    size_t *rows = eg__alloc(t->n, sizeof *rows);
    int32_t *labels = eg__alloc(t->n, sizeof *labels), *groups = eg__alloc(t->n, sizeof *groups);
    enum eg_status status =
        hashes && part && rows && labels && groups ? EG_OK : eg__fail_memory(err, "the split");
    if (!status && fraction > 0)
        status = eg__split(t->labels, t->n, t->spec->n_classes, t->groups, fraction, o->seed, part, err);
    if (!status) status = eg__row_hashes(t->store, t->cut, t->rows, t->n, hashes, err);
    if (!status) status = eg__rows_digest((const uint8_t(*)[32])hashes, part, t->n, t->trained.digest, err);
    if (!status) {
        size_t at = 0;
        for (uint8_t p = 0; p < 2; p++) {
            for (size_t i = 0; i < t->n; i++)
                if (part[i] == p) {
                    rows[at] = t->rows[i];
                    groups[at] = t->groups ? t->groups[i] : 0;
                    labels[at++] = t->labels[i];
                }
            if (!p) t->n_train = at;
        }
        memcpy(t->rows, rows, t->n * sizeof *rows);
        memcpy(t->labels, labels, t->n * sizeof *labels);
        if (t->groups) memcpy(t->groups, groups, t->n * sizeof *groups);
        t->known = eg__alloc(t->n_train, sizeof *t->known);
        if (!t->known) status = eg__fail_memory(err, "the images' hashes");
        at = 0;
        for (size_t i = 0; i < t->n && !status; i++)
            if (!part[i]) memcpy(t->known[at++], hashes[i], sizeof *hashes);
        if (!status) qsort(t->known, t->n_train, sizeof *t->known, compare_hashes);
        for (size_t i = 0; i < t->n && !status; i++)
            if (part[i]) count_known(t, (const uint8_t(*)[32])hashes + i, 1);
        t->trained.test_fraction = fraction;
        t->trained.seed = o->seed;
        t->trained.group = o->group;
        t->report.n_train = t->n_train;
    }
    free(hashes);
    free(part);
    free(rows);
    free(labels);
    free(groups);
    return status;
}

/* Say by name what the learner would refuse by number. */
static enum eg_status check_classes(const struct training *t, struct eg_error *err)
{
    unsigned folds = t->options->folds ? t->options->folds : 5;
    size_t n_classes = t->spec->n_classes, *count = eg__zalloc(n_classes + 1, sizeof *count);
    size_t *first = eg__alloc(n_classes + 1, sizeof *first); /* training row of a class */
    bool *parted = eg__zalloc(n_classes + 1, sizeof *parted);
    enum eg_status status = count && first && parted ? EG_OK : eg__fail_memory(err, "classes");
    for (size_t i = 0; i < t->n_train && !status; i++) {
        int32_t k = t->labels[i];
        if (!count[k]++) first[k] = i;
        if (t->groups && t->groups[i] != t->groups[first[k]]) parted[k] = true;
    }
    if (!status && n_classes < 2)
        status = eg__fail(err, EG_E_ARGUMENT, "'%s' is the only class: a classifier needs two or more",
                          t->report.classes[0]);
    for (size_t k = 0; k < n_classes && !status; k++) {
        if (!count[k])
            status = eg__fail(err, EG_E_ARGUMENT,
                              "class '%s' has no photo to learn from (add some, or take it out)",
                              t->report.classes[k]);
        else if (folds > 1 && count[k] < folds)
            status = eg__fail_for(err, EG_E_ARGUMENT, EG_REASON_FEW_ROWS,
                                  "class '%s' has %zu training photos, fewer than the %u folds",
                                  t->report.classes[k], count[k], folds);
        else if (folds > 1 && t->groups && !parted[k])
            status =
                eg__fail_for(err, EG_E_ARGUMENT, EG_REASON_ONE_GROUP,
                             "all training photos of class '%s' are of one group, so no fold can both learn "
                             "and test it",
                             t->report.classes[k]);
    }
    free(count);
    free(first);
    free(parted);
    return status;
}

static enum eg_status gather(void *self, const size_t *rows, size_t count, float *out, struct eg_error *err)
{
    const struct training *t = self;
    size_t *places = eg__alloc(count, sizeof *places);
    if (!places) return eg__fail_memory(err, "rows");
    for (size_t i = 0; i < count; i++) places[i] = t->rows[rows[i]];
    enum eg_status status = eg__rows_gather(t->store, t->cut, places, count, out, err);
    free(places);
    return status;
}

/* ---- learning and testing ----------------------------------------------------------------- */

struct eg_row_source eg__training_rows(struct training *t)
{
    return (struct eg_row_source){t->n_train, t->spec->cuts[t->cut].length, gather, t};
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
        .folds = o->folds,
        .hinge = o->hinge,
        .balance = o->balance,
        .groups = t->groups,
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
    enum eg_status status = eg__model_scores(t->options->from, t->store, t->cut, t->rows, t->n_train,
                                             t->options->pool, &t->start, err);
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
        status = eg__learn(&source, t->labels, t->spec->n_classes, &t->how, &t->learned, err);
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
    size_t n = 0, cut = 0, *rows = eg__alloc(spec->n_rows + 1, sizeof *rows);
    if (!labels || !rows) status = eg__fail_memory(err, "rows");
    if (!status) status = eg__store_find_cut(store, t->spec->cuts[t->cut].name, &cut, err);
    if (!status) status = eg__same_source(t->spec, spec, path, err);
    if (!status)
        status =
            eg__class_map(t->report.classes, t->report.n_classes, spec->classes, spec->n_classes, &map, err);
    for (size_t i = 0; !status && i < spec->n_rows; i++)
        if (row_status[i] == EG_ROW_DONE && spec->labels[i] >= 0) {
            rows[n] = i;
            labels[n++] = map[spec->labels[i]];
        }
    if (!status && !n) status = eg__fail(err, EG_E_ARGUMENT, "no row of '%s' has a label", path);
    uint8_t(*hashes)[32] = eg__alloc(n, sizeof *hashes);
    if (!status)
        status = hashes ? eg__row_hashes(store, cut, rows, n, hashes, err)
                        : eg__fail_memory(err, "the images' hashes");
    if (!status) count_known(t, (const uint8_t(*)[32])hashes, n);
    if (!status) status = test_rows(t, store, cut, rows, labels, n, err);
    free(hashes);
    free(map);
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
    struct eg_verdict verdict = {0};
    struct eg_net whole = {.graph = t->graph,
                           .recipe = t->net->recipe,
                           .has_recipe = t->net->has_recipe,
                           .classes = t->report.classes,
                           .n_classes = t->report.n_classes};
    struct eg_judge_options how = {
        .pool = t->options->pool, .progress = t->options->progress, .user = t->options->user};
    if (!truth) status = eg__fail_memory(err, "labels");
    if (!status) status = eg__card_read(t->graph, &whole.card, err);
    if (!status)
        status = eg__class_map(t->report.classes, t->report.n_classes, (const char *const *)images->classes,
                               images->n_classes, &map, err);
    if (!status) status = eg__judge_photos(&whole, images, &how, &verdict, err);
    size_t n = 0;
    for (size_t i = 0; !status && i < images->n_items; i++) {
        if (verdict.reasons[i]) {
            status = eg__skip(&t->report.unreadable, &t->report.n_unreadable, images->items[i].path,
                              verdict.reasons[i], err);
        } else if (images->items[i].label >= 0) {
            eg__verdict_keep(&verdict, i, n);
            truth[n++] = map[images->items[i].label];
        }
    }
    if (!status && !n)
        status = eg__fail(err, EG_E_ARGUMENT, "no photo of '%s' could be read and has a label", path);
    if (!status) count_known(t, (const uint8_t(*)[32])verdict.hashes, n);
    if (!status)
        status = eg__metrics(truth, verdict.labels, verdict.probabilities, n, t->report.n_classes,
                             &t->report.test, err);
    eg__verdict_release(&verdict);
    free(map);
    free(truth);
    eg__dataset_free(images);
    return status;
}

static enum eg_status test(struct training *t, struct eg_error *err)
{
    const char *path = t->options->test;
    if (!path) {
        size_t n = t->n - t->n_train;
        return n ? test_rows(t, t->store, t->cut, t->rows + t->n_train, t->labels + t->n_train, n, err)
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
    if (!status) status = copy_classes(t, err);
    if (!status) status = choose_rows(t, err);
    if (!status) status = find_groups(t, err);
    if (!status) status = split(t, err);
    if (!status) status = check_classes(t, err);
    if (!status) status = choose_how(t, err);
    return status;
}

void eg__training_release(struct training *t)
{
    eg__graph_free(t->graph);
    eg__learned_release(&t->learned);
    free(t->rows);
    free(t->labels);
    free(t->groups);
    free(t->known);
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
    struct eg_net as_made; /* the network as the features were made with it */
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

void eg__train_report_release(struct eg_train_report *report)
{
    free(report->grid);
    free(report->cut);
    eg__compared_free(report->compared, report->n_compared);
    for (size_t i = 0; i < report->n_classes; i++) free(report->classes[i]);
    free(report->classes);
    eg_metrics_release(&report->test);
    eg__skipped_free(report->unreadable, report->n_unreadable);
    *report = (struct eg_train_report){0};
}

void eg_train_report_free(struct eg_train_report *report)
{
    if (report) eg__train_report_release(report);
    free(report);
}
