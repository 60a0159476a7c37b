/* audit_json.c: the audit's report. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>

#include "flow/audit.h"

enum { MOST_CONFUSED = 3 };
static const char *const meanings[] = {"two_classes", "train_and_test", "one_class"};

static json_t *number(double value) { return isfinite(value) ? json_real(value) : json_null(); }

/* Paths and names are printable UTF-8 in the file; a stranger's may not be. */
static json_t *text(const char *chars)
{
    json_t *made = chars ? json_string(chars) : json_null();
    return made ? made : json_string("?");
}

static json_t *path_of(const struct eg_audit *a, size_t row) { return text(a->spec->paths[a->rows[row]]); }

static json_t *label_of(const struct eg_audit *a, size_t row)
{
    return a->labels[row] < 0 ? json_null() : text(a->spec->classes[a->labels[row]]);
}

static json_t *classes_json(const struct eg_audit *a)
{
    json_t *list = json_array();
    const size_t k = a->spec->n_classes;
    for (size_t c = 0; c < k; c++) {
        json_t *confused = json_array();
        size_t below = SIZE_MAX, last = 0; /* the next largest, of equals the next class */
        for (int i = 0; i < MOST_CONFUSED; i++) {
            size_t best = k;
            for (size_t j = 0; j < k; j++) {
                size_t count = a->confusion[c * k + j];
                bool next = count < below || (count == below && j > last);
                if (j != c && count && next && (best == k || count > a->confusion[c * k + best])) best = j;
            }
            if (best == k) break;
            below = a->confusion[c * k + best];
            last = best;
            json_array_append_new(confused, json_pack("{s:o,s:I}", "label", text(a->spec->classes[best]),
                                                      "count", (json_int_t)below));
        }
        const struct eg_audited_class *own = &a->classes[c];
        double accuracy = a->probabilities && own->count ? (double)own->right / (double)own->count : NAN;
        json_array_append_new(list, json_pack("{s:o,s:I,s:o,s:o}", "label", text(a->spec->classes[c]),
                                              "count", (json_int_t)own->count, "accuracy", number(accuracy),
                                              "confused_with", confused));
    }
    return list;
}

static json_t *suspects_json(const struct eg_audit *a)
{
    json_t *list = json_array();
    for (size_t i = 0; i < a->n_suspects; i++) {
        const struct eg_suspect *s = &a->suspects[i];
        json_array_append_new(
            list, json_pack("{s:o,s:o,s:o,s:o,s:o}", "path", path_of(a, s->row), "label", label_of(a, s->row),
                            "suggestion", text(a->spec->classes[s->suggestion]), "probability",
                            number((double)s->probability), "quality", number((double)s->quality)));
    }
    return list;
}

static json_t *copies_json(const struct eg_audit *a)
{
    json_t *list = json_array();
    for (size_t i = 0; i < a->n_copies; i++) {
        const struct eg_copies *set = &a->copies[i];
        json_t *paths = json_array(), *labels = json_array();
        for (size_t j = 0; j < set->n; j++) {
            json_array_append_new(paths, path_of(a, a->copy_rows[set->first + j]));
            json_array_append_new(labels, label_of(a, a->copy_rows[set->first + j]));
        }
        json_array_append_new(list,
                              json_pack("{s:s,s:s,s:o,s:o}", "kind", set->exact ? "exact" : "near", "meaning",
                                        meanings[set->meaning], "paths", paths, "labels", labels));
    }
    return list;
}

static json_t *odd_json(const struct eg_audit *a)
{
    json_t *list = json_array();
    for (size_t i = 0; i < a->n_odd; i++)
        json_array_append_new(list, json_pack("{s:o,s:o,s:s,s:o}", "path", path_of(a, a->odd[i].row), "label",
                                              label_of(a, a->odd[i].row), "reason",
                                              eg__oddity_names[a->odd[i].reason], "score",
                                              number(a->odd[i].score)));
    return list;
}

char *eg__audit_json(const struct eg_audit *a)
{
    json_t *curve = json_array(), *confusion = json_array();
    const size_t k = a->spec->n_classes;
    for (size_t i = 0; i < a->n_curve; i++)
        json_array_append_new(curve, json_pack("{s:I,s:o,s:o,s:o}", "rows", (json_int_t)a->curve[i].rows,
                                               "accuracy", number(a->curve[i].accuracy), "low",
                                               number(a->curve[i].low), "high", number(a->curve[i].high)));
    for (size_t i = 0; a->probabilities && i < k; i++) {
        json_t *row = json_array();
        for (size_t j = 0; j < k; j++)
            json_array_append_new(row, json_integer((json_int_t)a->confusion[i * k + j]));
        json_array_append_new(confusion, row);
    }
    json_t *report = json_pack(
        "{s:I,s:I,s:I,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "rows", (json_int_t)a->n, "labelled",
        (json_int_t)a->n_labelled, "looked_at", (json_int_t)a->n_seen, "accuracy", number(a->accuracy),
        "scale", a->scale ? json_string(a->scale) : json_null(), "C", number(a->c), "classes",
        classes_json(a), "confusion", confusion, "suspects", suspects_json(a), "duplicates", copies_json(a),
        "outliers", odd_json(a), "learning_curve", curve, "root", text(a->spec->root));
    char *made = report ? json_dumps(report, JSON_COMPACT | JSON_REAL_PRECISION(6)) : NULL;
    json_decref(report);
    return made;
}
