/* report_json.c: each report of learning, extracting and judging as one JSON document. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report/json_text.h"

/* takes classes */
static json_t *json_metrics(const struct eg_metrics *m, json_t *classes)
{
    json_t *confusion = json_array(), *per_class = json_array();
    for (size_t t = 0; t < m->n_classes; t++) {
        json_t *row = json_array();
        for (size_t p = 0; p < m->n_classes; p++)
            json_array_append_new(row, json_integer((json_int_t)m->confusion[t * m->n_classes + p]));
        json_array_append_new(confusion, row);
        const struct eg_class_metrics *c = &m->per_class[t];
        json_array_append_new(
            per_class, json_pack("{s:O,s:o,s:o,s:o,s:I}", "label", json_array_get(classes, t), "precision",
                                 eg__json_number(c->precision), "recall", eg__json_number(c->recall), "f1",
                                 eg__json_number(c->f1), "support", (json_int_t)c->support));
    }
    return json_pack("{s:o,s:o,s:o,s:I,s:o,s:o,s:o,s:I,s:o,s:o,s:o}", "accuracy",
                     eg__json_number(m->accuracy), "accuracy_low", eg__json_number(m->accuracy_low),
                     "accuracy_high", eg__json_number(m->accuracy_high), "count", (json_int_t)m->n, "top5",
                     eg__json_number(m->top5), "log_loss", eg__json_number(m->log_loss), "calibration_error",
                     eg__json_number(m->calibration_error), "rejected", (json_int_t)m->n_rejected, "classes",
                     classes, "confusion", confusion, "per_class", per_class);
}

/* takes labels; the fields go beside the others */
static void add_label_metrics(json_t *json, const struct eg_label_metrics *m, json_t *labels)
{
    json_t *per_label = json_array();
    for (size_t k = 0; k < m->n_labels; k++) {
        const struct eg_label_figures *f = &m->per_label[k];
        json_array_append_new(
            per_label,
            json_pack("{s:O,s:o,s:o,s:o,s:o,s:o,s:I}", "label", json_array_get(labels, k), "precision",
                      eg__json_number(f->precision), "recall", eg__json_number(f->recall), "f1",
                      eg__json_number(f->f1), "average_precision", eg__json_number(f->average_precision),
                      "threshold", eg__json_number(f->threshold), "support", (json_int_t)f->support));
    }
    json_object_set_new(json, "mean_average_precision", eg__json_number(m->mean_average_precision));
    json_object_set_new(json, "micro_f1", eg__json_number(m->micro_f1));
    json_object_set_new(json, "macro_f1", eg__json_number(m->macro_f1));
    json_object_set_new(json, "exact_match", eg__json_number(m->exact));
    json_object_set_new(json, "per_label", per_label);
    json_decref(labels);
}

static void add_number_metrics(json_t *json, const struct eg_number_metrics *m)
{
    const double figures[] = {m->r2, m->r2_low, m->r2_high, m->mae, m->mae_low, m->mae_high, m->rmse};
    static const char *const names[] = {"r2", "r2_low", "r2_high", "mae", "mae_low", "mae_high", "rmse"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        json_object_set_new(json, names[i], eg__json_number(figures[i]));
    json_object_set_new(json, "interval", json_string("bootstrap over the photos, 95 %"));
}

static json_t *json_compared(const struct eg_compared *compared, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        const struct eg_compared *c = &compared[i];
        json_array_append_new(
            list, json_pack("{s:o,s:I,s:s,s:s,s:o,s:o,s:o}", "cut", eg__json_text(c->features), "length",
                            (json_int_t)c->length, "classifier", c->classifier, "scale", c->scale, "C",
                            eg__json_number(c->c), "cv_accuracy", eg__json_number(c->cv_accuracy), "seconds",
                            eg__json_number(c->seconds)));
    }
    return list;
}

/* Cuts side by side. */
static json_t *json_joined(const struct eg_train_report *report)
{
    json_t *list = json_array();
    for (size_t i = 0; i < report->n_joined; i++) {
        const struct eg_joined *j = &report->joined[i];
        json_array_append_new(list, json_pack("{s:o,s:o,s:I,s:s,s:f}", "network",
                                              j->network ? eg__json_text(j->network) : json_null(),
                                              "features", eg__json_text(j->cut), "length",
                                              (json_int_t)j->length, "scale", j->scale, "factor", j->factor));
    }
    return list;
}

/* What each cut brought beside those before it. */
static json_t *json_selection(const struct eg_selection *selection, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        const struct eg_selection *s = &selection[i];
        json_array_append_new(list,
                              json_pack("{s:o,s:o,s:I,s:s,s:b,s:f,s:f,s:f,s:f}", "network",
                                        s->network ? eg__json_text(s->network) : json_null(), "features",
                                        eg__json_text(s->cut), "length", (json_int_t)s->length, "scale",
                                        s->scale, "taken", (int)s->taken, "cv_accuracy", s->cv_accuracy,
                                        "gain", s->gain, "noise", s->noise, "seconds", s->seconds));
    }
    return list;
}

static json_t *json_train(const struct eg_train_report *report, const char *output)
{
    json_t *grid = json_array(), *classes = json_array();
    for (size_t i = 0; i < report->n_grid; i++)
        json_array_append_new(grid, json_pack("{s:o,s:o}", "C", eg__json_number(report->grid[i].c),
                                              "cv_accuracy", eg__json_number(report->grid[i].cv_accuracy)));
    for (size_t i = 0; i < report->n_classes; i++)
        json_array_append_new(classes, eg__json_text(report->classes[i]));
    const struct eg_metrics *test = &report->test;
    json_t *json = json_pack(
        "{s:o,s:o,s:s,s:s,s:o,s:o,s:o,s:o,s:I,s:I,s:I,s:I,s:O,s:o,s:o,s:o}", "output", eg__json_text(output),
        "cut", eg__json_text(report->cut), "classifier", report->classifier, "scale", report->scale, "C",
        eg__json_number(report->c), "grid", grid, "cv_accuracy", eg__json_number(report->cv_accuracy),
        "test_accuracy", eg__json_number(test->n ? test->accuracy : NAN), "test_count", (json_int_t)test->n,
        "test_known", (json_int_t)report->n_test_known, "train_count", (json_int_t)report->n_train, "folds",
        (json_int_t)report->folds, "classes", classes, "objective", eg__json_number(report->objective), "gap",
        eg__json_number(report->gap), "seconds", eg__json_number(report->seconds));
    json_t *empty = json_array(), *twice = json_array(), *scales = json_array();
    for (size_t i = 0; i < report->n_scales; i++) {
        const struct eg_scale_tried *tried = &report->scales[i];
        json_array_append_new(scales, json_pack("{s:s,s:I,s:o,s:o}", "scale", tried->scale, "points",
                                                (json_int_t)tried->points, "C", eg__json_number(tried->c),
                                                "cv_accuracy", eg__json_number(tried->cv_accuracy)));
    }
    json_object_set_new(json, "scales", scales);
    if (report->n_joined) json_object_set_new(json, "joined", json_joined(report));
    if (report->n_selection)
        json_object_set_new(json, "selection", json_selection(report->selection, report->n_selection));
    json_object_set_new(json, "left_out", json_integer((json_int_t)report->n_left_out));
    for (size_t i = 0; i < report->n_empty; i++)
        json_array_append_new(empty, eg__json_text(report->empty[i]));
    for (size_t i = 0; i < report->n_twice; i++)
        json_array_append_new(twice, json_pack("[o,o]", eg__json_text(report->twice[i].path),
                                               eg__json_text(report->twice[i].other)));
    json_object_set_new(json, "empty_classes", empty);
    json_object_set_new(json, "in_two_classes", twice);
    json_object_set_new(json, "reject_rate",
                        eg__json_number(report->reject_rate > 0 ? report->reject_rate : NAN));
    if (report->n_compared)
        json_object_set_new(json, "compared", json_compared(report->compared, report->n_compared));
    if (report->thresholds || report->target) {
        json_t *rare = json_array();
        for (size_t i = 0; i < report->n_rare; i++)
            json_array_append_new(rare, eg__json_text(report->rare[i]));
        json_object_set_new(json, "rare_labels", rare);
        json_object_set_new(json, "copies", json_integer((json_int_t)report->n_copies));
        json_object_set_new(
            json, "test_count",
            json_integer((json_int_t)(report->target ? report->numbers.n : report->labels.n)));
    }
    if (report->n_repeated) {
        json_t *repeated = json_array();
        for (size_t i = 0; i < report->n_repeated; i++)
            json_array_append_new(repeated, eg__json_number(report->repeated[i]));
        json_object_set_new(json, "repeats", repeated);
        json_object_set_new(json, "cv_mean", eg__json_number(report->cv_mean));
        json_object_set_new(json, "cv_deviation", eg__json_number(report->cv_deviation));
    }
    if (report->has_nested) json_object_set_new(json, "nested", eg__json_number(report->nested));
    if (report->labels.n) add_label_metrics(json, &report->labels, json_incref(classes));
    if (report->target) {
        json_object_set_new(json, "target", eg__json_text(report->target));
        json_object_set_new(json, "penalty", eg__json_number(report->penalty));
    }
    if (report->numbers.n) add_number_metrics(json, &report->numbers);
    if (test->n)
        json_object_set_new(json, "test", json_metrics(test, classes));
    else
        json_decref(classes);
    return json;
}

char *eg_train_report_json(const struct eg_train_report *report, const char *output)
{
    return eg__json_document(json_train(report, output));
}

/* What fine-tuning brought, and on which photos; null: none were held out. */
static json_t *json_evidence(const struct eg_tune_evidence *e)
{
    if (!e->from) return json_null();
    json_t *shares = json_array();
    for (size_t i = 0; i < EG_TUNE_SHARES; i++)
        if (strcmp(e->from, "test"))
            json_array_append_new(shares, json_pack("{s:o,s:o,s:o}", "share", eg__json_number(e->share[i]),
                                                    "accuracy", eg__json_number(e->share_accuracy[i]), "loss",
                                                    eg__json_number(e->share_loss[i])));
    return json_pack("{s:s,s:i,s:I,s:o,s:o,s:o,s:o,s:o,s:o}", "from", e->from, "folds", (int)e->folds,
                     "count", (json_int_t)e->n, "tuned_accuracy", eg__json_number(e->tuned_accuracy),
                     "linear_accuracy", eg__json_number(e->linear_accuracy), "gain", eg__json_number(e->gain),
                     "gain_low", eg__json_number(e->gain_low), "gain_high", eg__json_number(e->gain_high),
                     "shares", shares);
}

char *eg_tune_report_json(const struct eg_tune_report *r, const char *output)
{
    json_t *json = json_train(&r->train, output), *epochs = json_array(), *curve = json_array();
    for (size_t i = 0; i < r->n_epochs; i++) {
        const struct eg_epoch *e = &r->epochs[i];
        json_array_append_new(
            epochs,
            json_pack("{s:s,s:i,s:o,s:o,s:o,s:o,s:o,s:o}", "phase", e->phase ? "layers" : "head", "epoch",
                      (int)e->epoch, "train_loss", eg__json_number(e->train_loss), "train_accuracy",
                      eg__json_number(e->train_accuracy), "valid_loss", eg__json_number(e->valid_loss),
                      "valid_accuracy", eg__json_number(e->valid_accuracy), "rate", eg__json_number(e->rate),
                      "seconds", eg__json_number(e->seconds)));
    }
    for (size_t i = 0; i < r->n_curve; i++)
        json_array_append_new(curve, json_pack("{s:o,s:o}", "rate", eg__json_number(r->curve[i].rate), "loss",
                                               eg__json_number(r->curve[i].loss)));
    json_object_set_new(json, "epochs", epochs);
    json_object_set_new(json, "rate_curve", curve);
    json_object_set_new(json, "rate", eg__json_number(r->rate));
    json_object_set_new(json, "train_count", json_integer((json_int_t)r->train.n_train));
    json_object_set_new(json, "valid_count", json_integer((json_int_t)r->n_valid));
    json_object_set_new(json, "linear_accuracy", eg__json_number(r->linear_accuracy));
    json_object_set_new(json, "tuned_accuracy", eg__json_number(r->tuned_accuracy));
    json_object_set_new(json, "written", json_string(r->linear_written ? "linear" : "tuned"));
    json_object_set_new(json, "unfrozen", r->unfrozen ? json_string(r->unfrozen) : json_null());
    json_object_set_new(json, "input", json_pack("[I,I]", (json_int_t)r->input[0], (json_int_t)r->input[1]));
    json_object_set_new(json, "share", eg__json_number(r->share));
    json_object_set_new(json, "evidence", json_evidence(&r->evidence));
    json_object_set_new(json, "tuning_seconds", eg__json_number(r->tuning_seconds));
    json_object_set_new(json, "evidence_seconds", eg__json_number(r->evidence.seconds));
    if (r->evidence.seconds_whole > 0)
        json_object_set_new(json, "estimated_seconds", eg__json_number(r->evidence.seconds_whole));
    return eg__json_document(json);
}

static json_t *json_ignored(const eg_dataset *images)
{
    json_t *list = json_array();
    for (size_t i = 0; i < eg_dataset_ignored_kinds(images); i++) {
        struct eg_ignored k = eg_dataset_ignored_kind(images, i);
        json_array_append_new(list, json_pack("{s:o,s:I,s:o}", "kind", eg__json_text(k.kind), "count",
                                              (json_int_t)k.n, "example", eg__json_text(k.example)));
    }
    return list;
}

char *eg_extract_report_json(const struct eg_extract_report *report, const eg_dataset *images,
                             const char *output)
{
    json_t *cuts = json_array();
    for (size_t i = 0; i < report->n_cuts; i++)
        json_array_append_new(cuts, json_pack("{s:o,s:I}", "name", eg__json_text(report->cuts[i].name),
                                              "length", (json_int_t)report->cuts[i].length));
    return eg__json_document(json_pack(
        "{s:o,s:I,s:I,s:I,s:I,s:o,s:o,s:o,s:o,s:o}", "output", eg__json_text(output), "rows",
        (json_int_t)report->rows, "resumed", (json_int_t)report->resumed, "done", (json_int_t)report->done,
        "ignored", (json_int_t)report->ignored, "ignored_kinds", json_ignored(images), "unreadable",
        eg__json_skipped(report->unreadable, report->n_unreadable), "cuts", cuts, "seconds",
        eg__json_number(report->seconds), "images_per_second",
        eg__json_number((double)report->done / report->seconds)));
}

char *eg_sorted_json(const struct eg_sorted *sorted)
{
    return eg__json_document(json_pack("{s:I,s:I,s:o,s:o}", "files", (json_int_t)sorted->done, "stayed",
                                       (json_int_t)sorted->stayed, "journal", eg__json_text(sorted->journal),
                                       "skipped", eg__json_skipped(sorted->skipped, sorted->n_skipped)));
}

char *eg_estimate_json(const struct eg_estimate *e)
{
    return eg__json_document(json_pack(
        "{s:I,s:I,s:I,s:o,s:o,s:o,s:o,s:I,s:o,s:o}", "photos", (json_int_t)e->photos, "sampled",
        (json_int_t)e->sampled, "unreadable", (json_int_t)e->unreadable, "seconds",
        eg__json_number(e->seconds), "images_per_second", eg__json_number((double)e->sampled / e->seconds),
        "hours", eg__json_number(e->hours), "core_hours", eg__json_number(e->core_hours), "bytes",
        (json_int_t)e->bytes, "gigabytes", eg__json_number((double)e->bytes / 1e9), "free_gigabytes",
        eg__json_number(e->free_bytes == UINT64_MAX ? NAN : (double)e->free_bytes / 1e9)));
}

static json_t *json_evaluate(const struct eg_evaluate_report *report, const eg_net *model)
{
    json_t *classes = json_array();
    for (size_t i = 0; i < eg_net_class_count(model); i++)
        json_array_append_new(classes, eg__json_text(eg_net_class_name(model, i)));
    const enum eg_answer_kind kind = eg_net_answer(model);
    json_t *json;
    if (kind == EG_ANSWER_CLASS) {
        json = json_metrics(&report->metrics, classes);
    } else {
        const size_t n = kind == EG_ANSWER_LABELS ? report->labels.n : report->numbers.n;
        json = json_pack("{s:I,s:o}", "count", (json_int_t)n, "classes", classes);
        if (kind == EG_ANSWER_LABELS)
            add_label_metrics(json, &report->labels, json_incref(classes));
        else
            add_number_metrics(json, &report->numbers);
    }
    json_object_set_new(json, "rows", eg__json_text(report->rows == EG_ROWS_TEST ? "test" : "all"));
    json_object_set_new(json, "trained_here", json_boolean(report->trained_here));
    json_object_set_new(json, "left_out", json_integer((json_int_t)report->n_known));
    json_object_set_new(json, "unreadable", eg__json_skipped(report->unreadable, report->n_unreadable));
    return json;
}

char *eg_evaluate_report_json(const struct eg_evaluate_report *report, const eg_net *model)
{
    return eg__json_document(json_evaluate(report, model));
}

char *eg_pair_report_json(const struct eg_pair_report *report, const eg_net *a, const eg_net *b)
{
    return eg__json_document(json_pack("{s:I,s:I,s:I,s:o,s:o,s:o}", "count", (json_int_t)report->a->metrics.n,
                                       "only_a", (json_int_t)report->only_a, "only_b",
                                       (json_int_t)report->only_b, "p_value",
                                       eg__json_number(report->p_value), "a", json_evaluate(report->a, a),
                                       "b", json_evaluate(report->b, b)));
}

static json_t *json_guesses(const struct eg_guess *guesses, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_pack("{s:o,s:i,s:o}", "label", eg__json_text(guesses[i].label),
                                              "index", guesses[i].index, "probability",
                                              eg__json_number(guesses[i].probability)));
    return list;
}

char *eg_answer_json(const struct eg_answer *answer)
{
    json_t *item = json_pack("{s:o}", "path", eg__json_text(answer->path));
    if (answer->error) {
        json_object_set_new(item, "error", eg__json_text(answer->error));
    } else if (!answer->top) {
        json_object_set_new(item, "value", eg__json_number(answer->value));
    } else {
        json_object_set_new(item, "top", json_guesses(answer->top, answer->n_top));
        if (answer->labels)
            json_object_set_new(item, "labels", json_guesses(answer->labels, answer->n_labels));
    }
    char *line = item ? json_dumps(item, JSON_COMPACT) : NULL;
    json_decref(item);
    return line;
}

/* Share of the network's multiply-adds that lead to a layer. */
double eg_net_depth(const eg_net *net, const char *layer)
{
    size_t at = 0, n = eg_net_layer_count(net);
    double total = 0, below = 0;
    if (eg_net_find(net, layer, &at, NULL)) return NAN;
    for (size_t i = 0; i < n; i++) {
        double macs = (double)eg_net_layer(net, i).macs;
        total += macs;
        if (i <= at) below += macs;
    }
    return total > 0 ? below / total : NAN;
}

char *eg_comparison_json(const struct eg_comparison *found, const eg_net *net, eg_features *features,
                         const struct eg_extract_report *extracted, unsigned folds, const char *output)
{
    json_t *list = json_array();
    for (size_t i = 0; i < found->n_compared; i++) {
        const struct eg_compared *c = &found->compared[i];
        size_t at = 0;
        if (eg_features_find_cut(features, c->features, &at, NULL)) at = 0; /* it was found there */
        struct eg_features_cut cut = eg_features_cut(features, at);
        json_t *row = json_pack(
            "{s:I,s:o,s:o,s:o,s:I,s:s,s:s,s:o,s:o,s:o,s:o,s:o,s:o}", "rank", (json_int_t)i + 1, "cut",
            eg__json_text(c->features), "layer", eg__json_text(cut.layer), "pool", eg__json_text(cut.pool),
            "length", (json_int_t)c->length, "classifier", c->classifier, "scale", c->scale, "C",
            eg__json_number(c->c), "cv_accuracy", eg__json_number(c->cv_accuracy), "accuracy_low",
            eg__json_number(c->cv_low), "accuracy_high", eg__json_number(c->cv_high), "depth",
            eg__json_number(eg_net_depth(net, cut.layer)), "seconds", eg__json_number(c->seconds));
        json_array_append_new(list, row);
    }
    return eg__json_document(
        json_pack("{s:o,s:o,s:o,s:I,s:I,s:I,s:o,s:o,s:o,s:o}", "network", eg__json_text(eg_net_name(net)),
                  "side_by_side", json_selection(found->selection, found->n_selection), "cuts", list,
                  "train_count", (json_int_t)found->n_train, "kept_for_test", (json_int_t)found->n_kept,
                  "folds", (json_int_t)folds, "output", eg__json_text(output), "unreadable",
                  eg__json_skipped(extracted->unreadable, extracted->n_unreadable), "extract_seconds",
                  eg__json_number(extracted->seconds), "seconds",
                  eg__json_number(extracted->seconds + found->seconds)));
}
