/* page.c: what is known of a run, gathered for a page (page.h). */
#include "flow/page.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/versioned.h"
#include "eval/curves.h"
#include "eval/metrics.h"
#include "report/json_text.h"
#include "report/pictures.h"

static const size_t MOST_BYTES = 15000000, OWN_BYTES = 150000;

/* ---- who judged -------------------------------------------------------------------------------------- */

struct source {
    const char *id;
    const float *probabilities;
    const int32_t *truth;
    const struct eg_metrics *metrics;
    const char *const *classes;
};

static json_t *names_json(const char *const *names, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) json_array_append_new(list, eg__json_text(names[i]));
    return list;
}

static json_t *source_json(const struct source *s, const struct eg_class_curve *curves)
{
    const struct eg_metrics *m = s->metrics;
    json_t *confusion = json_array(), *per_class = json_array();
    for (size_t t = 0; t < m->n_classes; t++) {
        json_t *row = json_array();
        for (size_t c = 0; c < m->n_classes; c++)
            json_array_append_new(row, json_integer((json_int_t)m->confusion[t * m->n_classes + c]));
        json_array_append_new(confusion, row);
        const struct eg_class_metrics *one = &m->per_class[t];
        json_array_append_new(per_class,
                              json_pack("{s:o,s:o,s:o,s:o,s:I,s:o}", "label", eg__json_text(s->classes[t]),
                                        "precision", eg__json_number(one->precision), "recall",
                                        eg__json_number(one->recall), "f1", eg__json_number(one->f1),
                                        "support", (json_int_t)one->support, "average_precision",
                                        eg__json_number(curves[t].average)));
    }
    return json_pack("{s:s,s:I,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "id", s->id, "count", (json_int_t)m->n,
                     "accuracy", eg__json_number(m->accuracy), "accuracy_low",
                     eg__json_number(m->accuracy_low), "accuracy_high", eg__json_number(m->accuracy_high),
                     "calibration_error", eg__json_number(m->calibration_error), "classes",
                     names_json(s->classes, m->n_classes), "confusion", confusion, "per_class", per_class);
}

static void add_picture(json_t *pictures, const char *id, const char *title, char *svg)
{
    if (svg)
        json_array_append_new(pictures, json_pack("{s:s,s:s,s:s}", "id", id, "title", title, "svg", svg));
    free(svg);
}

/* Its curves, and the source as JSON. `pictures` NULL: none are drawn. */
static enum eg_status add_source(const struct source *s, json_t *sources, json_t *pictures,
                                 struct eg_error *err)
{
    const struct eg_metrics *m = s->metrics;
    const size_t n = m->n, k = m->n_classes;
    size_t cells;
    struct eg_class_curve *curves = eg__zalloc(k + 1, sizeof *curves);
    double *numbers = eg__mul(2 * k, n + 1, &cells) ? eg__alloc(cells, sizeof *numbers) : NULL;
    enum eg_status status = curves && numbers ? EG_OK : eg__fail_memory(err, "curves");
    for (size_t c = 0; c < k && !status; c++) {
        double *recall = numbers + 2 * c * (n + 1), *precision = recall + n + 1;
        curves[c] = (struct eg_class_curve){s->classes[c], recall, precision, 0, NAN};
        status = eg__precision_recall(s->probabilities, s->truth, n, k, c, recall, precision, &curves[c].n,
                                      &curves[c].average, err);
    }
    if (!status) json_array_append_new(sources, source_json(s, curves));
    if (!status && pictures) {
        struct eg_reliability reliability;
        eg__reliability(s->probabilities, s->truth, n, k, &reliability);
        add_picture(pictures, "reliability", "Can the probabilities be believed?",
                    eg__reliability_svg(&reliability, n, m->calibration_error));
        add_picture(pictures, "precision_recall", "Precision and recall by class",
                    eg__precision_recall_svg(curves, k));
    }
    free(curves);
    free(numbers);
    return status;
}

static enum eg_status add_folds(const struct page *p, json_t *sources, json_t *pictures, struct eg_error *err)
{
    const struct eg_audit *a = &p->audit;
    const size_t n = a->n_labelled, k = a->spec->n_classes;
    struct eg_metrics metrics = {0};
    int32_t *truth = eg__alloc(n + 1, sizeof *truth), *answers = eg__alloc(n + 1, sizeof *answers);
    enum eg_status status = truth && answers ? EG_OK : eg__fail_memory(err, "answers");
    for (size_t i = 0; i < n && !status; i++) {
        const float *row = a->probabilities + i * k;
        answers[i] = 0;
        truth[i] = a->labels[a->labelled[i]];
        for (size_t c = 1; c < k; c++)
            if (row[c] > row[answers[i]]) answers[i] = (int32_t)c;
    }
    if (!status) status = eg__metrics(truth, answers, a->probabilities, n, k, &metrics, err);
    const struct source source = {"fold", a->probabilities, truth, &metrics, a->spec->classes};
    if (!status) status = add_source(&source, sources, pictures, err);
    eg_metrics_release(&metrics);
    free(truth);
    free(answers);
    return status;
}

static enum eg_status add_sources(const struct page *p, json_t *sources, json_t *pictures,
                                  struct eg_error *err)
{
    enum eg_status status = EG_OK;
    const struct eg_evaluate_report *e = p->evaluated;
    if (e) {
        const char **classes = eg__alloc(e->metrics.n_classes + 1, sizeof *classes);
        if (!classes) return eg__fail_memory(err, "classes");
        for (size_t c = 0; c < e->metrics.n_classes; c++)
            classes[c] = eg_net_class_name(p->options->model, c);
        const struct source test = {"test", e->probabilities, e->truth, &e->metrics, classes};
        status = add_source(&test, sources, pictures, err);
        free(classes);
    }
    if (!status && p->audited && p->audit.probabilities)
        status = add_folds(p, sources, e ? NULL : pictures, err);
    if (!status && p->audited && p->audit.n_curve > 1) {
        struct eg_learning_point points[8];
        for (size_t i = 0; i < p->audit.n_curve; i++) {
            const struct eg_curve_point *point = &p->audit.curve[i];
            points[i] =
                (struct eg_learning_point){(double)point->rows, point->accuracy, point->low, point->high};
        }
        add_picture(pictures, "learning_curve", "Would more photos help?",
                    eg__learning_curve_svg(points, p->audit.n_curve));
    }
    return status;
}

/* ---- how it was made ----------------------------------------------------------------------------------- */

static void add_fact(json_t *facts, const char *name, const char *value)
{
    if (value && *value) json_array_append_new(facts, json_pack("[s,o]", name, eg__json_text(value)));
}

static json_t *how_json(const struct page *p)
{
    enum { LONGEST = 2000 };
    const struct eg_page_options *o = p->options;
    json_t *facts = json_array(), *commands = json_array();
    for (size_t i = 0; o->model; i++) {
        const char *key = eg_net_metadata_key(o->model, i),
                   *value = key ? eg_net_metadata(o->model, key) : NULL;
        if (!key) break;
        if (!strncmp(key, "engraft.", 8) && value && strlen(value) < LONGEST) add_fact(facts, key + 8, value);
    }
    if (o->features) {
        struct eg_features_info info = eg_features_info(o->features);
        char number[32];
        snprintf(number, sizeof number, "%zu", info.n_rows);
        add_fact(facts, "features: rows", number);
        add_fact(facts, "features: network", info.network);
        add_fact(facts, "features: weights_sha256", info.weights_sha256);
        if (!o->model) add_fact(facts, "features: recipe", info.recipe);
        add_fact(facts, "features: command", info.command);
    }
    add_fact(facts, "engraft", eg_version());
    if (o->command) json_array_append_new(commands, eg__json_text(o->command));
    return json_pack("{s:o,s:o,s:o,s:o}", "facts", facts, "commands", commands, "model",
                     eg__json_text(o->model_path ? eg__path_last(o->model_path) : NULL), "features",
                     eg__json_text(o->features_path ? eg__path_last(o->features_path) : NULL));
}

static json_t *now_json(void)
{
    char text[32] = "";
    time_t now = time(NULL);
    struct tm parts;
    if (gmtime_r(&now, &parts)) strftime(text, sizeof text, "%Y-%m-%d %H:%M UTC", &parts);
    return json_string(text);
}

/* ---- all of it --------------------------------------------------------------------------------------------
 */

/* Names of the data's classes, then those that only the model has. */
static enum eg_status join_classes(struct page *p, struct eg_error *err)
{
    size_t own = p->audited ? p->audit.spec->n_classes : 0,
           more = p->evaluated ? p->evaluated->metrics.n_classes : 0;
    p->classes = eg__alloc(own + more + 1, sizeof *p->classes);
    p->class_of = eg__alloc(more + 1, sizeof *p->class_of);
    if (!p->classes || !p->class_of) return eg__fail_memory(err, "classes");
    for (size_t c = 0; c < own; c++) p->classes[p->n_classes++] = p->audit.spec->classes[c];
    for (size_t c = 0; c < more; c++) {
        const char *name = eg_net_class_name(p->options->model, c);
        size_t at = 0;
        while (at < p->n_classes && strcmp(p->classes[at], name) != 0) at++;
        if (at == p->n_classes) p->classes[p->n_classes++] = name;
        p->class_of[c] = (int32_t)at;
    }
    return EG_OK;
}

static enum eg_status run_audit(struct page *p, const struct eg_audit_options *how, struct eg_error *err)
{
    struct eg_error why;
    enum eg_status status = eg__audit_run(p->options->features, how, true, &p->audit, &why);
    p->audited = !status;
    if (status == EG_E_ARGUMENT) return EG_OK; /* too few rows to say anything of them */
    if (status && err) *err = why;
    return status;
}

/* What the model says of rows it has not seen, where the caller has not asked it. */
static enum eg_status judge(struct page *p, struct eg_error *err)
{
    const struct eg_page_options *o = p->options;
    p->evaluated = o->evaluated;
    if (o->evaluated || !o->model || !o->data) return EG_OK;
    enum eg_status one = eg__net_check_class(o->model, "a page", err);
    if (one) return one;
    const struct eg_evaluate_options how = {
        EG_SIZED(eg_evaluate_options), .rows = o->rows, .pool = o->pool,
        .progress = o->progress,       .user = o->user, .images = o->images};
    struct eg_error why;
    enum eg_status status = eg_evaluate(o->model, o->data, &how, &p->made, &why);
    p->evaluated = p->made;
    if (status == EG_E_ARGUMENT) return EG_OK; /* it has learned from all of them */
    if (status && err) *err = why;
    return status;
}

static enum eg_status write_page(struct page *p, const char *path, struct eg_error *err)
{
    const struct eg_page_options *o = p->options;
    json_t *sources = json_array(), *pictures = json_array(), *photos = NULL;
    char *audit = p->audited ? eg__audit_json(&p->audit) : NULL;
    enum eg_status status = add_sources(p, sources, pictures, err);
    if (o->tuned) {
        add_picture(pictures, "loss", "Loss by epoch", eg_tune_svg(o->tuned));
        add_picture(pictures, "accuracy", "Accuracy by epoch", eg__tune_accuracy_svg(o->tuned));
    }
    if (o->picture) add_picture(pictures, "cuts", "Accuracy by cut", strdup(o->picture));
    if (!status && !(photos = eg__page_photos_json(p))) status = eg__fail_memory(err, "photos");
    char *sized = status ? NULL : json_dumps(photos, JSON_COMPACT | JSON_REAL_PRECISION(6));
    size_t most = o->most_bytes ? o->most_bytes : MOST_BYTES;
    size_t taken = OWN_BYTES + (sized ? strlen(sized) : 0) + (audit ? strlen(audit) : 0);
    free(sized);
    if (!status) status = eg__page_thumbs(p, most > taken ? most - taken : 0, err);
    json_decref(photos); /* made again, with the numbers of the pictures */
    if (!status && !(photos = eg__page_photos_json(p))) status = eg__fail_memory(err, "photos");
    if (status) {
        json_decref(sources);
        json_decref(pictures);
        free(audit);
        return status;
    }
    json_t *data = json_pack(
        "{s:s,s:s,s:o,s:o,s:o,s:o,s:o,s:o,s:{s:I,s:I},s:o,s:o,s:o}", "kind", o->kind, "version", eg_version(),
        "made", now_json(), "report", eg__json_parsed(o->report), "audit", eg__json_parsed(audit), "classes",
        names_json(p->classes, p->n_classes), "sources", sources, "photos", photos, "omitted", "photos",
        (json_int_t)(p->n_photos - p->n_shown), "pictures", (json_int_t)p->n_omitted_thumbs, "pictures",
        pictures, "how", how_json(p), "title", eg__json_text(o->title));
    struct eg_text title = {0};
    eg__text_append(&title, "%s: %s", o->title ? o->title : "engraft", o->kind);
    status = data && title.chars ? eg__page_write(path, o->overwrite, title.chars, data, &p->thumbs, err)
                                 : eg__fail_memory(err, "a page");
    json_decref(data);
    free(title.chars);
    if (o->audit && !status)
        *o->audit = audit;
    else
        free(audit);
    return status;
}

enum eg_status eg_report_page(const struct eg_page_options *options, const char *path, struct eg_error *err)
{
    struct eg_page_options own;
    enum eg_status status = eg__options(&own, sizeof own, options, err);
    if (status) return status;
    if (!own.kind) return eg__fail(err, EG_E_ARGUMENT, "a page needs to know what it reports");
    struct page p = {.options = &own};
    const struct eg_audit_options how = {EG_SIZED(eg_audit_options),
                                         .features = own.cut,
                                         .root = own.root,
                                         .test_fraction = own.test_fraction,
                                         .memory_bytes = own.memory_bytes,
                                         .seed = own.seed,
                                         .pool = own.pool,
                                         .progress = own.progress,
                                         .user = own.user};
    if (own.features) status = run_audit(&p, &how, err);
    if (!status) status = judge(&p, err);
    if (!status) status = join_classes(&p, err);
    if (!status) status = eg__page_photos(&p, err);
    if (!status) status = eg__page_heat(&p, err);
    if (!status) status = write_page(&p, path, err);
    eg__page_photos_release(&p);
    if (p.audited) eg__audit_release(&p.audit);
    eg_evaluate_report_free(p.made);
    free(p.classes);
    free(p.class_of);
    return status;
}
