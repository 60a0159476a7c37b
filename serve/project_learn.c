/* project_learn.c: features, classifier, judgement: the steps of the project's thread. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "serve/project_private.h"

/* So often a photo of a known class may be answered "unknown". */
static const double REJECT_RATE = 0.02, FIRST_C = 10;
static const char FIRST_SCALE[] = "unit", COMMAND[] = "engraft serve";
enum { MOST_SPREAD = 20000 }; /* waiting photos: of more it decides alone how sure the classifier is */

static enum eg_status no_memory(struct eg_error *err)
{
    if (err) *err = (struct eg_error){.status = EG_E_MEMORY, .message = "no memory for the project"};
    return EG_E_MEMORY;
}

static void replace_text(char **text, const char *fresh)
{
    free(*text);
    *text = fresh ? strdup(fresh) : NULL;
}

enum eg_status project_load_network(struct project *p, struct eg_error *err)
{
    struct eg_net_options how = {EG_SIZED(eg_net_options), .folders = p->folders};
    return eg_net_load(p->network, &how, &p->net, err);
}

/* ---- features ------------------------------------------------------------------------------------------ */

static void take_unreadable(struct project *p, struct eg_extract_report *report)
{
    pthread_rwlock_wrlock(&p->lock);
    struct eg_skipped *old = p->unreadable;
    size_t n_old = p->n_unreadable;
    p->unreadable = report->unreadable;
    p->n_unreadable = report->n_unreadable;
    pthread_rwlock_unlock(&p->lock);
    report->unreadable = old; /* go with the report */
    report->n_unreadable = n_old;
}

/* A file of another network or cut, or one that was damaged, is made again: photos are the only truth. */
static bool made_again(const struct eg_error *err)
{
    return err->reason == EG_REASON_MADE_OTHERWISE || err->reason == EG_REASON_OUTPUT_FOREIGN ||
           err->status == EG_E_FORMAT || err->status == EG_E_EXISTS;
}

enum eg_status project_extract(struct project *p, struct eg_error *err)
{
    eg_dataset *images = NULL;
    const char *folder = p->folder, *cut = p->cut;
    char *path = project_file(p, "features.h5");
    if (!path) return no_memory(err);
    struct eg_extract_report *report = NULL;
    enum eg_status status = eg_dataset_scan(&folder, 1, NULL, &images, err);
    if (!status) {
        struct eg_run_cuts cuts = {EG_SIZED(eg_run_cuts), .cuts = &cut, .n_cuts = cut ? 1 : 0};
        struct eg_extract_options how = {
            EG_SIZED(eg_extract_options), .cuts = &cuts,   .append = !access(path, F_OK),
            .command = COMMAND,           .pool = p->pool, .user = p,
            .progress = project_step};
        struct eg_error why = {.message = ""};
        project_enter(p, EXTRACTING, true);
        status = eg_extract(p->net, images, path, &how, &report, &why);
        if (status && made_again(&why)) {
            how.append = false;
            how.overwrite = true;
            status = eg_extract(p->net, images, path, &how, &report, &why);
        }
        if (status && err) *err = why;
    } else if (status == EG_E_NOT_FOUND) {
        unlink(path); /* no photo is left */
        status = EG_OK;
    }
    if (!status && report) take_unreadable(p, report);
    eg_extract_report_free(report);
    eg_dataset_free(images);
    free(path);
    return status;
}

/* ---- the classifier --------------------------------------------------------------------------------------
 */

static enum eg_status open_features(const struct project *p, eg_features **features, struct eg_error *err)
{
    char *path = project_file(p, "features.h5");
    enum eg_status status = path ? eg_features_open(path, features, err) : no_memory(err);
    free(path);
    return status;
}

/* Classes with photos; photos of the smallest of them. */
static size_t classes_to_learn(const struct project *p, size_t *smallest)
{
    const struct listing *l = p->listing;
    size_t classes = 0;
    *smallest = SIZE_MAX;
    for (size_t c = 0; c < l->n_classes; c++) {
        size_t count = l->first[c + 2] - l->first[c + 1];
        if (!count) continue;
        classes++;
        if (count < *smallest) *smallest = count;
    }
    return classes;
}

static void take_model(struct project *p, eg_net *net, eg_predictor *predictor)
{
    pthread_mutex_lock(&p->predict_lock);
    eg_net *old = p->model;
    eg_predictor *old_predictor = p->predictor;
    p->model = net;
    p->predictor = predictor;
    pthread_mutex_unlock(&p->predict_lock);
    eg_predictor_free(old_predictor);
    eg_net_free(old);
}

static void forget_model(struct project *p)
{
    take_model(p, NULL, NULL);
    pthread_rwlock_wrlock(&p->lock);
    struct judged *judged = p->judged;
    p->judged = NULL;
    replace_text(&p->model_classifier, NULL);
    json_t *audit = p->audit;
    p->audit = NULL;
    p->report_revision++;
    pthread_rwlock_unlock(&p->lock);
    json_decref(audit);
    judged_free(judged);
}

bool project_load_model(struct project *p)
{
    char *path = project_file(p, "model.onnx");
    eg_net *net = NULL;
    eg_predictor *predictor = NULL;
    struct eg_predictor_options how = {EG_SIZED(eg_predictor_options), .probabilities = true};
    enum eg_status status = path ? eg_net_load(path, NULL, &net, NULL) : EG_E_MEMORY;
    if (!status) status = eg_predictor_create(net, &how, &predictor, NULL);
    free(path);
    if (status) {
        eg_net_free(net);
        return false;
    }
    take_model(p, net, predictor);
    return true;
}

static void take_report(struct project *p, const struct eg_train_report *report, bool searched)
{
    pthread_rwlock_wrlock(&p->lock);
    replace_text(&p->model_classifier, report->classifier);
    replace_text(&p->model_scale, report->scale);
    replace_text(&p->model_cut, report->cut);
    p->model_c = report->c;
    p->model_seconds = report->seconds;
    p->model_searched = searched;
    p->model_revision++;
    pthread_rwlock_unlock(&p->lock);
}

/* Soon: one fit; the model that is there goes on, where it is of these features, else from the first scale
 * and C. By the search: folds choose scale and C, and tell what is unknown. */
static enum eg_status train(struct project *p, eg_features *features, bool search,
                            struct eg_train_report **report, struct eg_error *err)
{
    char *path = project_file(p, "model.onnx");
    if (!path) return no_memory(err);
    struct eg_train_options how = {EG_SIZED(eg_train_options),
                                   .test_fraction = -1,
                                   .folds = search ? 0 : 1,
                                   .reject_rate = search ? REJECT_RATE : 0,
                                   .overwrite = true,
                                   .command = COMMAND,
                                   .pool = p->pool,
                                   .progress = project_step,
                                   .user = p};
    if (!search) {
        how.from = p->model;
        if (!how.from) {
            how.classifier = "logistic";
            how.scale = FIRST_SCALE;
            how.c = &FIRST_C;
            how.n_c = 1;
        }
    }
    enum eg_status status = eg_train(features, p->net, path, &how, report, err);
    if (status && status != EG_E_CANCELLED && how.from) { /* of another network or cut */
        how.from = NULL;
        how.classifier = "logistic";
        how.scale = FIRST_SCALE;
        how.c = &FIRST_C;
        how.n_c = 1;
        status = eg_train(features, p->net, path, &how, report, err);
    }
    free(path);
    return status;
}

static bool without_folds(const struct eg_error *err)
{
    return err->reason == EG_REASON_FEW_ROWS || err->reason == EG_REASON_ONE_GROUP;
}

enum eg_status project_learn(struct project *p, bool search, struct eg_error *err)
{
    size_t smallest;
    if (classes_to_learn(p, &smallest) < 2) {
        forget_model(p);
        return EG_OK;
    }
    if (search && smallest < 2) return EG_OK;
    eg_features *features = NULL;
    struct eg_train_report *report = NULL;
    struct eg_error why = {.message = ""};
    project_enter(p, search ? SEARCHING : LEARNING, true);
    enum eg_status status = open_features(p, &features, err);
    if (status) return status;
    status = train(p, features, search, &report, &why);
    if (status && search && without_folds(&why)) status = EG_OK; /* too few photos to choose by */
    eg_features_close(features);
    if (status && err) *err = why;
    if (!status && report && project_load_model(p)) take_report(p, report, search);
    eg_train_report_free(report);
    return status;
}

/* ---- how good it is ---------------------------------------------------------------------------------------
 */

static int by_its_path(const void *a, const void *b, void *paths)
{
    char *const *list = paths;
    return strcmp(list[*(const size_t *)a], list[*(const size_t *)b]);
}

static struct judged *judged_of(eg_features *features, struct eg_held_out_report *report)
{
    const size_t n = report->metrics.n;
    struct judged *made = calloc(1, sizeof *made);
    if (!made) {
        eg_held_out_report_free(report);
        return NULL;
    }
    made->report = report;
    made->paths = calloc(n + 1, sizeof *made->paths);
    made->by_path = malloc((n + 1) * sizeof *made->by_path);
    bool good = made->paths && made->by_path;
    for (size_t i = 0; i < n && good; i++) {
        made->by_path[i] = i;
        good = (made->paths[i] = strdup(eg_features_row(features, report->rows[i]).path));
    }
    if (good && n) qsort_r(made->by_path, n, sizeof *made->by_path, by_its_path, made->paths);
    if (good) return made;
    judged_free(made);
    return NULL;
}

enum eg_status project_judge(struct project *p, struct eg_error *err)
{
    size_t smallest;
    if (!p->model || classes_to_learn(p, &smallest) < 2) return EG_OK;
    eg_features *features = NULL;
    struct eg_held_out_report *report = NULL;
    struct judged *fresh = NULL;
    struct eg_error why = {.message = ""};
    project_enter(p, JUDGING, true);
    enum eg_status status = open_features(p, &features, err);
    if (status) return status;
    struct eg_train_options how = {EG_SIZED(eg_train_options),
                                   .classifier = p->model_classifier,
                                   .scale = p->model_scale,
                                   .c = &p->model_c,
                                   .n_c = isfinite(p->model_c) ? 1 : 0,
                                   .pool = p->pool,
                                   .progress = project_step,
                                   .user = p};
    status = smallest < 2 ? EG_OK : eg_held_out(features, &how, &report, &why);
    if (status && without_folds(&why)) status = EG_OK; /* too few photos to tell */
    if (status && err) *err = why;
    if (!status && report && !(fresh = judged_of(features, report))) status = no_memory(err);
    eg_features_close(features);
    if (status) return status;
    pthread_rwlock_wrlock(&p->lock);
    struct judged *old = p->judged;
    p->judged = fresh;
    p->report_revision++;
    pthread_rwlock_unlock(&p->lock);
    judged_free(old);
    return EG_OK;
}

enum eg_status project_audit(struct project *p, struct eg_error *err)
{
    size_t smallest;
    if (!p->judged || classes_to_learn(p, &smallest) < 2) return EG_OK;
    eg_features *features = NULL;
    char *text = NULL;
    project_enter(p, AUDITING, true);
    enum eg_status status = open_features(p, &features, err);
    if (status) return status;
    struct eg_audit_options how = {
        EG_SIZED(eg_audit_options), .root = p->folder, .test_fraction = -1, .pool = p->pool, .user = p,
        .progress = project_step};
    status = eg_audit(features, &how, &text, err);
    eg_features_close(features);
    if (status) return status;
    json_t *fresh = json_loads(text, 0, NULL);
    free(text);
    pthread_rwlock_wrlock(&p->lock);
    json_t *old = p->audit;
    p->audit = fresh;
    p->report_revision++;
    pthread_rwlock_unlock(&p->lock);
    json_decref(old);
    return EG_OK;
}

/* ---- photos without labels
 * ----------------------------------------------------------------------------------- */

struct sorting {
    eg_features *features;
    size_t n, k, d, cut, *rows, *order;
    float *probabilities, *values;
};

static bool find_rows(struct sorting *s)
{
    const size_t n_rows = eg_features_info(s->features).n_rows;
    s->rows = malloc((n_rows + 1) * sizeof *s->rows);
    for (size_t i = 0; s->rows && i < n_rows; i++) {
        struct eg_features_row row = eg_features_row(s->features, i);
        if (row.label < 0 && !strcmp(row.status, "done")) s->rows[s->n++] = i;
    }
    return s->rows;
}

static enum eg_status put_in_order(struct project *p, struct sorting *s, struct eg_error *err)
{
    s->order = malloc((s->n + 1) * sizeof *s->order);
    if (!s->order) return no_memory(err);
    if (!s->n) return EG_OK;
    enum eg_status status = EG_OK;
    s->k = p->model ? eg_net_class_count(p->model) : 0;
    s->d = eg_features_cut(s->features, s->cut).length;
    s->probabilities = p->model ? calloc(s->n * s->k + 1, sizeof *s->probabilities) : NULL;
    s->values = s->n <= MOST_SPREAD ? calloc(s->n * s->d + 1, sizeof *s->values) : NULL;
    if (p->model && !s->probabilities) return no_memory(err);
    if (p->model)
        status =
            eg_features_judge(s->features, p->model, s->rows, s->n, p->pool, s->probabilities, NULL, err);
    for (size_t i = 0, run; s->values && i < s->n && !status; i += run) {
        for (run = 1; i + run < s->n && s->rows[i + run] == s->rows[i] + run; run++) continue;
        status = eg_features_read(s->features, s->cut, s->rows[i], run, s->values + i * s->d, err);
    }
    if (!status) status = eg_teaching_order(s->probabilities, s->n, s->k, s->values, s->d, 0, s->order, err);
    return status;
}

static struct waiting *waiting_of(const struct project *p, const struct sorting *s)
{
    struct waiting *made = calloc(1, sizeof *made);
    if (!made) return NULL;
    made->paths = calloc(s->n + 1, sizeof *made->paths);
    made->guesses = s->probabilities ? calloc(s->n + 1, sizeof *made->guesses) : NULL;
    made->probabilities = s->probabilities ? calloc(s->n + 1, sizeof *made->probabilities) : NULL;
    bool good = made->paths && (!s->probabilities || (made->guesses && made->probabilities));
    for (; good && made->n < s->n; made->n++) {
        size_t at = s->order[made->n], best = 0;
        made->paths[made->n] = strdup(eg_features_row(s->features, s->rows[at]).path);
        if (!s->probabilities) continue;
        const float *row = s->probabilities + at * s->k;
        for (size_t c = 1; c < s->k; c++)
            if (row[c] > row[best]) best = c;
        made->guesses[made->n] = strdup(eg_net_class_name(p->model, best));
        made->probabilities[made->n] = row[best];
        good = made->paths[made->n] && made->guesses[made->n];
    }
    if (good) return made;
    waiting_free(made);
    return NULL;
}

enum eg_status project_sort_waiting(struct project *p, struct eg_error *err)
{
    struct sorting s = {0};
    struct waiting *fresh = NULL;
    enum eg_status status = EG_OK;
    if (p->listing->n) { /* else there is no feature file */
        status = open_features(p, &s.features, err);
        if (status) return status;
        if (!find_rows(&s)) status = no_memory(err);
        if (!status) status = put_in_order(p, &s, err);
        if (!status && !(fresh = waiting_of(p, &s))) status = no_memory(err);
        eg_features_close(s.features);
        free(s.rows);
        free(s.order);
        free(s.probabilities);
        free(s.values);
        if (status) return status;
    }
    pthread_rwlock_wrlock(&p->lock);
    struct waiting *old = p->waiting;
    p->waiting = fresh;
    pthread_rwlock_unlock(&p->lock);
    waiting_free(old);
    return EG_OK;
}
