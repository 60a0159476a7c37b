/* report_pictures.c: what reports say, as pictures. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "draw/svg_chart.h"
#include "report/pictures.h"

/* ---- fine-tuning ---------------------------------------------------------------------------- */

struct epochs {
    const struct eg_epoch *first;
    size_t n, chosen; /* chosen: SIZE_MAX: none is better than others */
    double *numbers;  /* [5][n]: epoch, and the four curves */
};

/* Of the last phase. */
static bool take_epochs(const struct eg_tune_report *r, struct epochs *out)
{
    size_t first = 0, n;
    while (first < r->n_epochs && r->epochs[first].phase != r->epochs[r->n_epochs - 1].phase) first++;
    n = r->n_epochs - first;
    *out = (struct epochs){r->epochs + first, n, SIZE_MAX, eg__alloc(5 * n + 1, sizeof(double))};
    if (!out->numbers) return false;
    for (size_t i = 0; i < n; i++) {
        const struct eg_epoch *e = &out->first[i];
        const double values[5] = {e->epoch, e->train_loss, e->valid_loss, e->train_accuracy,
                                  e->valid_accuracy};
        for (size_t k = 0; k < 5; k++) out->numbers[k * n + i] = values[k];
        if (e->best) out->chosen = i;
    }
    return true;
}

static char *draw_epochs(const struct eg_tune_report *r, bool accuracy)
{
    struct epochs e;
    if (!take_epochs(r, &e)) return NULL;
    const size_t n = e.n, train = accuracy ? 3 : 1;
    const double *x = e.numbers, *learned = x + train * n, *held = learned + n;
    const struct eg_chart_series series[] = {
        {.name = "training", .x = x, .y = learned, .n = n, .marks = n < 60},
        {.name = "validation", .x = x, .y = held, .n = n, .marks = n < 60}};
    struct eg_chart chart = {.title = accuracy ? "Accuracy by epoch" : "Loss by epoch",
                             .x_name = "epoch",
                             .y_name = accuracy ? "accuracy" : "loss",
                             .whole_x = true,
                             .series = series,
                             .n_series = r->n_valid ? 2 : 1};
    if (accuracy) chart.y_range[1] = 1;
    char name[32];
    if (e.chosen != SIZE_MAX && r->n_valid) {
        snprintf(name, sizeof name, "epoch %u is taken", e.first[e.chosen].epoch);
        chart.mark[0] = x[e.chosen];
        chart.mark[1] = held[e.chosen];
        chart.mark_name = name;
    }
    char *svg = eg__chart_svg(&chart);
    free(e.numbers);
    return svg;
}

char *eg_tune_svg(const struct eg_tune_report *report) { return draw_epochs(report, false); }
char *eg__tune_accuracy_svg(const struct eg_tune_report *report) { return draw_epochs(report, true); }

/* ---- cuts -------------------------------------------------------------------------------------- */

static const char *const pools[] = {"flatten", "avg", "max", "gem"};
static const char *const pool_titles[] = {"whole", "average", "maximum", "generalised mean"};
enum { N_POOLS = sizeof pools / sizeof *pools };

struct ranking {
    const struct eg_comparison *found;
    eg_features *features;
    const char **layers; /* in the order of the network */
    size_t n_layers;
};

static struct eg_features_cut cut_of(const struct ranking *r, const struct eg_compared *c)
{
    size_t at = 0;
    if (eg_features_find_cut(r->features, c->features, &at, NULL)) at = 0; /* it was found there */
    return eg_features_cut(r->features, at);
}

/* Is there nothing to pool? Then it is its own pool of any kind. */
static bool is_vector(const struct eg_features_cut *cut)
{
    size_t values = 1;
    for (size_t i = 0; i + 1 < cut->shape.rank; i++) values *= cut->shape.dim[i];
    return values == 1 && cut->pool && !strcmp(cut->pool, "flatten");
}

/* The best accuracy of each layer with a pooling; false: none has it. */
static bool fill_series(const struct ranking *r, const char *pool, double *y)
{
    bool any = false;
    for (size_t i = 0; i < r->n_layers; i++) y[i] = NAN;
    for (size_t k = 0; k < r->found->n_compared; k++) {
        const struct eg_compared *c = &r->found->compared[k];
        struct eg_features_cut cut = cut_of(r, c);
        bool pooled = cut.pool && !strcmp(cut.pool, pool);
        if (!pooled && !is_vector(&cut)) continue;
        any = any || !is_vector(&cut);
        for (size_t i = 0; i < r->n_layers; i++)
            if (!strcmp(r->layers[i], cut.layer)) y[i] = fmax(y[i], c->cv_accuracy);
    }
    return any;
}

static char *draw_ranking(struct ranking *r, const eg_net *net, unsigned folds, size_t n_cuts,
                          double *numbers)
{
    struct eg_chart_series series[N_POOLS];
    size_t n_series = 0;
    for (size_t i = 0; i < n_cuts; i++) {
        const char *layer = eg_features_cut(r->features, i).layer;
        if (!r->n_layers || strcmp(r->layers[r->n_layers - 1], layer) != 0) {
            numbers[r->n_layers] = (double)r->n_layers;
            r->layers[r->n_layers++] = layer;
        }
    }
    for (size_t p = 0; p < N_POOLS; p++) {
        double *y = numbers + (n_series + 1) * n_cuts;
        if (!fill_series(r, pools[p], y) && (p + 1 < N_POOLS || n_series)) continue;
        series[n_series++] = (struct eg_chart_series){
            .name = pool_titles[p], .x = numbers, .y = y, .n = r->n_layers, .marks = true};
    }
    const struct eg_compared *best = r->found->compared;
    const char *best_layer = cut_of(r, best).layer;
    struct eg_text title = {0};
    char mark[32];
    eg__text_append(&title, "Which cut of %s? %zu photos in %zu classes, %u folds", eg_net_name(net),
                    r->found->n_train, r->found->n_classes, folds);
    snprintf(mark, sizeof mark, "%.3f", best->cv_accuracy);
    struct eg_chart chart = {.title = title.chars ? title.chars : "",
                             .x_name = "cut, from the input up",
                             .y_name = "cross-validated accuracy",
                             .y_range = {0, 1},
                             .series = series,
                             .n_series = n_series,
                             .ticks = r->layers,
                             .n_ticks = r->n_layers,
                             .band = {best->cv_low, best->cv_high},
                             .band_name = "95 % interval of the best",
                             .mark = {0, best->cv_accuracy},
                             .mark_name = mark};
    for (size_t i = 0; i < r->n_layers; i++)
        if (!strcmp(r->layers[i], best_layer)) chart.mark[0] = (double)i;
    char *svg = eg__chart_svg(&chart);
    free(title.chars);
    return svg;
}

char *eg_comparison_svg(const struct eg_comparison *found, const eg_net *net, eg_features *features,
                        unsigned folds)
{
    size_t n_cuts = eg_features_info(features).n_cuts;
    struct ranking r = {.found = found, .features = features};
    r.layers = eg__alloc(n_cuts + 1, sizeof *r.layers);
    double *numbers = eg__alloc((N_POOLS + 1) * (n_cuts + 1), sizeof *numbers);
    char *svg =
        r.layers && numbers && found->n_compared ? draw_ranking(&r, net, folds, n_cuts, numbers) : NULL;
    free(r.layers);
    free(numbers);
    return svg;
}

/* ---- judging -------------------------------------------------------------------------------------- */

char *eg_confusion_svg(const struct eg_metrics *metrics, const char *const *classes)
{
    struct eg_text title = {0};
    eg__text_append(&title, "%.1f %% of %zu photos are right", 100 * metrics->accuracy, metrics->n);
    char *svg =
        title.chars ? eg__matrix_svg(title.chars, classes, metrics->confusion, metrics->n_classes) : NULL;
    free(title.chars);
    return svg;
}

char *eg__reliability_svg(const struct eg_reliability *found, size_t n, double error)
{
    double middle[EG_BINS], share[EG_BINS];
    for (size_t b = 0; b < EG_BINS; b++) {
        middle[b] = ((double)b + 0.5) / EG_BINS;
        share[b] = n ? (double)found->count[b] / (double)n : NAN;
    }
    char title[96];
    snprintf(title, sizeof title, "Right as often as sure? Expected calibration error %.3f", error);
    const struct eg_chart_series series[] = {
        {.name = "right, with 95 % interval",
         .x = found->confidence,
         .y = found->accuracy,
         .low = found->low,
         .high = found->high,
         .n = EG_BINS,
         .marks = true},
        {.name = "share of the photos", .x = middle, .y = share, .n = EG_BINS, .kind = EG_SERIES_BARS}};
    const struct eg_chart chart = {.title = title,
                                   .x_name = "probability of the answer",
                                   .y_name = "share that is right",
                                   .x_range = {0, 1},
                                   .y_range = {0, 1},
                                   .whole_y = true,
                                   .diagonal = true,
                                   .series = series,
                                   .n_series = 2};
    return eg__chart_svg(&chart);
}

static int worst_first(const void *a, const void *b)
{
    const struct eg_class_curve *x = *(const struct eg_class_curve *const *)a,
                                *y = *(const struct eg_class_curve *const *)b;
    double p = isfinite(x->average) ? x->average : 2, q = isfinite(y->average) ? y->average : 2;
    return p < q ? -1 : p > q ? 1 : strcmp(x->name, y->name);
}

char *eg__precision_recall_svg(const struct eg_class_curve *curves, size_t n)
{
    enum { NAMED = 8, NAME = 160 };
    const struct eg_class_curve **order = eg__alloc(n + 1, sizeof *order);
    struct eg_chart_series *series = eg__zalloc(n + 1, sizeof *series);
    char(*names)[NAME] = eg__alloc(n + 1, sizeof *names), *svg = NULL;
    for (size_t i = 0; order && i < n; i++) order[i] = &curves[i];
    if (order && n) qsort(order, n, sizeof *order, worst_first);
    for (size_t i = 0; i < n && order && series && names; i++) {
        snprintf(names[i], NAME, "%.3f  %s", order[i]->average, order[i]->name);
        series[i] =
            (struct eg_chart_series){.name = i < NAMED && isfinite(order[i]->average) ? names[i] : NULL,
                                     .x = order[i]->recall,
                                     .y = order[i]->precision,
                                     .n = order[i]->n,
                                     .kind = i < NAMED ? EG_SERIES_LINE : EG_SERIES_THIN};
    }
    const struct eg_chart chart = {
        .title = n > NAMED ? "The classes that are hardest to find, and (thin) the others"
                           : "Precision and recall by class",
        .x_name = "recall: share of the class that is found",
        .y_name = "precision: share of what is found",
        .x_range = {0, 1},
        .y_range = {0, 1},
        .whole_y = true,
        .key_title = "average precision",
        .series = series,
        .n_series = n};
    if (order && series && names) svg = eg__chart_svg(&chart);
    free(order);
    free(series);
    free(names);
    return svg;
}

char *eg__learning_curve_svg(const struct eg_learning_point *points, size_t n)
{
    double *numbers = eg__alloc(4 * n + 1, sizeof *numbers);
    if (!numbers) return NULL;
    for (size_t i = 0; i < n; i++) {
        numbers[i] = points[i].rows;
        numbers[n + i] = points[i].accuracy;
        numbers[2 * n + i] = points[i].low;
        numbers[3 * n + i] = points[i].high;
    }
    const struct eg_chart_series series = {.x = numbers,
                                           .y = numbers + n,
                                           .low = numbers + 2 * n,
                                           .high = numbers + 3 * n,
                                           .n = n,
                                           .marks = true};
    const struct eg_chart chart = {.title =
                                       "Accuracy by the number of photos learned from, with 95 % intervals",
                                   .x_name = "photos learned from",
                                   .y_name = "accuracy on others",
                                   .y_range = {0, 1},
                                   .whole_x = true,
                                   .series = &series,
                                   .n_series = 1};
    char *svg = eg__chart_svg(&chart);
    free(numbers);
    return svg;
}
