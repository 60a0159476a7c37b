/* project_json.c: a project as the page reads it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "serve/project_private.h"

enum { MOST_SHOWN = 3000, TOP = 5 }; /* photos of a report; answers of a photo */

json_t *text_json(const char *text)
{
    json_t *made = text ? json_string(text) : json_null();
    return made ? made : json_string("?");
}

json_t *number_json(double value) { return isfinite(value) ? json_real(value) : json_null(); }

/* ---- the state -------------------------------------------------------------------------------------------
 */

static const char *phase_name(int phase)
{
    static const char *const names[] = {"ready",   "looking",   "extracting", "learning",
                                        "judging", "searching", "auditing",   "comparing"};
    return names[phase];
}

/* Right, of those that were judged, by class name. */
static json_t *recall_json(const struct judged *judged, const char *name)
{
    if (!judged) return json_null();
    const struct eg_metrics *m = &judged->report->metrics;
    for (size_t c = 0; c < m->n_classes; c++)
        if (!strcmp(judged->report->classes[c], name)) return number_json(m->per_class[c].recall);
    return json_null();
}

static json_t *classes_json(const struct project *p)
{
    json_t *list = json_array();
    const struct listing *l = p->listing;
    for (size_t c = 0; l && c < l->n_classes; c++)
        json_array_append_new(list, json_pack("{s:o,s:I,s:o}", "name", text_json(l->classes[c]), "count",
                                              (json_int_t)(l->first[c + 2] - l->first[c + 1]), "recall",
                                              recall_json(p->judged, l->classes[c])));
    return list;
}

static json_t *accuracy_json(const struct judged *judged)
{
    if (!judged) return json_null();
    const struct eg_metrics *m = &judged->report->metrics;
    return json_pack("{s:o,s:o,s:o,s:I,s:i}", "value", number_json(m->accuracy), "low",
                     number_json(m->accuracy_low), "high", number_json(m->accuracy_high), "count",
                     (json_int_t)m->n, "folds", (int)judged->report->folds);
}

static json_t *model_json(const struct project *p)
{
    if (!p->model_classifier) return json_null();
    return json_pack("{s:o,s:o,s:o,s:o,s:o,s:b,s:I}", "classifier", text_json(p->model_classifier), "scale",
                     text_json(p->model_scale), "cut", text_json(p->model_cut), "C", number_json(p->model_c),
                     "seconds", number_json(p->model_seconds), "searched", p->model_searched, "revision",
                     (json_int_t)p->model_revision);
}

/* What undo would take back: the last change, or all of its group. */
static json_t *undo_json(const struct project *p)
{
    size_t n = json_array_size(p->undo);
    if (!n) return json_null();
    const json_t *last = json_array_get(p->undo, n - 1);
    const char *group = json_string_value(json_object_get(last, "group"));
    json_int_t count = 0;
    do {
        const json_t *line = json_array_get(p->undo, --n), *own = json_object_get(line, "group");
        if (line != last && (!json_string_value(own) || strcmp(json_string_value(own), group))) break;
        count += json_integer_value(json_object_get(line, "count"));
    } while (n && group && *group);
    json_t *made = json_object();
    static const char *const keys[] = {"id", "kind", "name", "to"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        json_object_set_new(made, keys[i], json_deep_copy(json_object_get(last, keys[i])));
    json_object_set_new(made, "count", json_integer(count));
    return made;
}

json_t *project_state_json(struct project *p)
{
    const struct listing *l = p->listing;
    return json_pack("{s:o,s:o,s:o,s:I,s:I,s:s,s:I,s:I,s:o,s:o,s:o,s:o,s:o,s:o,s:I,s:I,s:O,s:s,s:b}", "name",
                     text_json(p->name), "folder", text_json(p->folder), "classes", classes_json(p), "photos",
                     (json_int_t)(l ? l->n : 0), "inbox", (json_int_t)(l ? l->first[1] : 0), "phase",
                     phase_name(p->phase), "done", (json_int_t)p->phase_done, "total",
                     (json_int_t)p->phase_total, "accuracy", accuracy_json(p->judged), "model", model_json(p),
                     "trouble", text_json(p->trouble), "undo", undo_json(p), "network", text_json(p->network),
                     "cut", text_json(p->cut), "listing_revision", (json_int_t)(l ? l->revision : 0),
                     "report_revision", (json_int_t)p->report_revision, "comparison",
                     p->comparison ? p->comparison : json_null(), "version", eg_version(), "pending",
                     p->wants_search || p->wants_audit);
}

/* ---- the report: as report/page_write.h draws it
 * ------------------------------------------------------------------ */

static json_t *top_json(const float *row, size_t k)
{
    json_t *list = json_array();
    size_t taken[TOP];
    for (size_t t = 0; t < TOP && t < k; t++) {
        size_t best = k;
        for (size_t c = 0; c < k; c++) {
            bool used = false;
            for (size_t u = 0; u < t; u++) used |= taken[u] == c;
            if (!used && (best == k || row[c] > row[best])) best = c;
        }
        taken[t] = best;
        if (t && row[best] < 5e-4F) break;
        json_array_append_new(
            list, json_pack("[I,o]", (json_int_t)best, number_json(round((double)row[best] * 1e4) / 1e4)));
    }
    return list;
}

static json_t *source_json(const struct eg_held_out_report *r)
{
    const struct eg_metrics *m = &r->metrics;
    const size_t k = m->n_classes;
    json_t *confusion = json_array(), *per_class = json_array(), *names = json_array();
    for (size_t t = 0; t < k; t++) {
        json_t *row = json_array();
        for (size_t c = 0; c < k; c++)
            json_array_append_new(row, json_integer((json_int_t)m->confusion[t * k + c]));
        json_array_append_new(confusion, row);
        json_array_append_new(names, text_json(r->classes[t]));
        const struct eg_class_metrics *one = &m->per_class[t];
        json_array_append_new(per_class,
                              json_pack("{s:o,s:o,s:o,s:o,s:I,s:n}", "label", text_json(r->classes[t]),
                                        "precision", number_json(one->precision), "recall",
                                        number_json(one->recall), "f1", number_json(one->f1), "support",
                                        (json_int_t)one->support, "average_precision"));
    }
    return json_pack("{s:s,s:I,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "id", "fold", "count", (json_int_t)m->n,
                     "accuracy", number_json(m->accuracy), "accuracy_low", number_json(m->accuracy_low),
                     "accuracy_high", number_json(m->accuracy_high), "calibration_error",
                     number_json(m->calibration_error), "classes", names, "confusion", confusion, "per_class",
                     per_class);
}

struct weighed {
    size_t at;
    double weight;
};

static int heavier_first(const void *a, const void *b)
{
    const struct weighed *x = a, *y = b;
    if (x->weight > y->weight) return -1;
    if (x->weight < y->weight) return 1;
    return (x->at > y->at) - (x->at < y->at);
}

/* Wrong ones first, then the least sure. */
static struct weighed *weigh(const struct eg_held_out_report *r)
{
    const size_t n = r->metrics.n, k = r->metrics.n_classes;
    struct weighed *list = malloc((n + 1) * sizeof *list);
    for (size_t i = 0; list && i < n; i++) {
        const float *row = r->probabilities + i * k;
        double best = (double)row[r->answers[i]], own = (double)row[r->truth[i]];
        list[i] = (struct weighed){i, r->answers[i] == r->truth[i] ? 1 - best : 3 + best - own};
    }
    if (list && n) qsort(list, n, sizeof *list, heavier_first);
    return list;
}

static void add_photo(const struct project *p, json_t *photos, const char *path, int label, json_t *top)
{
    const struct photo *photo = listing_find(p->listing, path);
    if (!photo) {
        json_decref(top);
        return;
    }
    json_t *made = json_pack("{s:o,s:i,s:n,s:i,s:n,s:I}", "path", text_json(path), "label", label, "part",
                             "thumb", -1, "at", "version", (json_int_t)(photo->mtime_ns / 1000000));
    if (top) json_object_set_new(made, "fold", top);
    json_array_append_new(photos, made);
}

/* Those that the audit speaks of are wanted, too, however right and sure they are. */
static void want_audited(const json_t *audit, json_t *wanted)
{
    static const char *const lists[] = {"suspects", "outliers"};
    size_t i, j;
    json_t *one, *path;
    for (size_t l = 0; l < 2; l++) json_array_foreach(json_object_get(audit, lists[l]), i, one)
        {
            json_object_set_new(wanted, json_string_value(json_object_get(one, "path")), json_true());
        }
    json_array_foreach(json_object_get(audit, "duplicates"), i, one)
    {
        json_array_foreach(json_object_get(one, "paths"), j, path)
        {
            json_object_set_new(wanted, json_string_value(path), json_true());
        }
    }
}

static json_t *photos_json(const struct project *p, json_t *wanted)
{
    const struct judged *judged = p->judged;
    const struct eg_held_out_report *r = judged->report;
    const size_t k = r->metrics.n_classes;
    json_t *photos = json_array();
    struct weighed *list = weigh(r);
    for (size_t i = 0, shown = 0; list && i < r->metrics.n; i++) {
        size_t at = list[i].at;
        bool audited = json_object_get(wanted, judged->paths[at]);
        if (shown >= MOST_SHOWN && !audited) continue;
        shown++;
        add_photo(p, photos, judged->paths[at], r->truth[at], top_json(r->probabilities + at * k, k));
        if (audited) json_object_del(wanted, judged->paths[at]);
    }
    free(list);
    const char *path;
    json_t *nothing;
    json_object_foreach(wanted, path, nothing) { add_photo(p, photos, path, -1, NULL); }
    return photos;
}

/* What is said of photos that are gone, or that a person said is right, is left out. */
static json_t *audit_json(const struct project *p)
{
    json_t *audit = p->audit ? json_copy(p->audit) : NULL, *one;
    if (!audit) return json_null();
    static const char *const lists[] = {"suspects", "outliers"};
    size_t i;
    for (size_t l = 0; l < 2; l++) {
        json_t *kept = json_array();
        json_array_foreach(json_object_get(audit, lists[l]), i, one)
        {
            const char *path = json_string_value(json_object_get(one, "path"));
            if (path && listing_find(p->listing, path) && !(l == 0 && project_confirmed(p, path)))
                json_array_append(kept, one);
        }
        json_object_set_new(audit, lists[l], kept);
    }
    json_t *classes = json_array(); /* the feature file keeps the names of those that are gone */
    json_array_foreach(json_object_get(audit, "classes"), i, one)
    {
        if (json_integer_value(json_object_get(one, "count"))) json_array_append(classes, one);
    }
    json_object_set_new(audit, "classes", classes);
    json_t *kept = json_array();
    json_array_foreach(json_object_get(audit, "duplicates"), i, one)
    {
        size_t j, there = 0;
        json_t *path;
        json_array_foreach(json_object_get(one, "paths"), j, path)
        {
            there += listing_find(p->listing, json_string_value(path)) != NULL;
        }
        if (there > 1) json_array_append(kept, one);
    }
    json_object_set_new(audit, "duplicates", kept);
    return audit;
}

json_t *project_report_json(const struct project *p)
{
    json_t *sources = json_array(), *classes = json_array(), *photos, *wanted = json_object(),
           *audit = audit_json(p), *unreadable = json_array();
    for (size_t c = 0; p->judged && c < p->judged->report->metrics.n_classes; c++)
        json_array_append_new(classes, text_json(p->judged->report->classes[c]));
    want_audited(audit, wanted);
    if (p->judged) json_array_append_new(sources, source_json(p->judged->report));
    photos = p->judged ? photos_json(p, wanted) : json_array();
    json_decref(wanted);
    for (size_t i = 0; i < p->n_unreadable; i++)
        json_array_append_new(unreadable, json_pack("{s:o,s:o}", "path", text_json(p->unreadable[i].path),
                                                    "reason", text_json(p->unreadable[i].reason)));
    return json_pack("{s:s,s:o,s:o,s:o,s:o,s:o,s:{s:o},s:{s:i,s:i},s:[],s:{s:[],s:[],s:n,s:n},s:I}", "kind",
                     "serve", "title", text_json(p->name), "classes", classes, "sources", sources, "photos",
                     photos, "audit", audit, "report", "unreadable", unreadable, "omitted", "photos", 0,
                     "pictures", 0, "pictures", "how", "facts", "commands", "model", "features", "revision",
                     (json_int_t)p->report_revision);
}
