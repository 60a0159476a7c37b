/* Average precision, thresholds, F1 of labels; R2 and errors of numbers. */
#include "eval/rank_metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/text.h"

enum { DRAWS = 2000, STREAM_BOOTSTRAP = 611 };

struct scored {
    double score;
    bool has;
};

static int compare_scored(const void *a, const void *b)
{
    double x = ((const struct scored *)a)->score, y = ((const struct scored *)b)->score;
    return (x < y) - (x > y);
}

/* From the highest down; NULL: no memory. */
static struct scored *sorted(const double *scores, const uint8_t *has, size_t n, size_t *positive)
{
    struct scored *list = eg__alloc(n + 1, sizeof *list);
    *positive = 0;
    for (size_t i = 0; i < n && list; i++) {
        list[i] = (struct scored){scores[i], has[i] != 0};
        *positive += has[i] != 0;
    }
    if (list && n) qsort(list, n, sizeof *list, compare_scored);
    return list;
}

double eg__average_precision(const double *scores, const uint8_t *has, size_t n)
{
    size_t positive, found = 0;
    struct scored *list = sorted(scores, has, n, &positive);
    double sum = 0;
    for (size_t i = 0, end; list && i < n; i = end) {
        const size_t before = found;
        found += list[i].has;
        for (end = i + 1; end < n && list[end].score == list[i].score; end++) found += list[end].has;
        sum += (double)(found - before) * (double)found / (double)end;
    }
    const double precision = list && positive ? sum / (double)positive : (double)NAN;
    free(list);
    return precision;
}

double eg__best_threshold(const double *scores, const uint8_t *has, size_t n, double *f1)
{
    size_t positive, found = 0;
    struct scored *list = sorted(scores, has, n, &positive);
    double threshold = (double)INFINITY;
    *f1 = 0;
    for (size_t i = 0, end; list && i < n; i = end) {
        found += list[i].has;
        for (end = i + 1; end < n && list[end].score == list[i].score; end++) found += list[end].has;
        const double reached = 2 * (double)found / (double)(end + positive);
        if (!(reached > *f1)) continue;
        *f1 = reached;
        threshold = end < n ? (list[i].score + list[end].score) / 2 : list[i].score;
    }
    free(list);
    return threshold;
}

static double ratio(size_t a, size_t b) { return b ? (double)a / (double)b : (double)NAN; }

void eg_label_metrics_release(struct eg_label_metrics *metrics)
{
    free(metrics->per_label);
    *metrics = (struct eg_label_metrics){0};
}

/* One label's figures; its hits and claims are added to the sums. */
static void judge_label(const uint8_t *has, const double *scores, size_t n, struct eg_label_figures *f,
                        size_t sums[3])
{
    size_t hits = 0, claims = 0, support = 0;
    for (size_t i = 0; i < n; i++) {
        const bool said = scores[i] >= f->threshold;
        hits += said && has[i];
        claims += said;
        support += has[i];
    }
    f->support = support;
    f->precision = ratio(hits, claims);
    f->recall = ratio(hits, support);
    f->f1 = ratio(2 * hits, claims + support);
    f->average_precision = eg__average_precision(scores, has, n);
    sums[0] += hits;
    sums[1] += claims;
    sums[2] += support;
}

enum eg_status eg__label_metrics(const uint8_t *has, const float *p, const float *thresholds, size_t n,
                                 size_t k, struct eg_label_metrics *out, struct eg_error *err)
{
    struct eg_label_metrics made = {.n = n, .n_labels = k};
    double *scores = eg__alloc(n + 1, sizeof *scores);
    uint8_t *own = eg__alloc(n + 1, 1);
    size_t sums[3] = {0}, known = 0, whole = 0;
    made.per_label = eg__zalloc(k + 1, sizeof *made.per_label);
    if (!scores || !own || !made.per_label) {
        free(scores);
        free(own);
        free(made.per_label);
        return eg__fail_memory(err, "the report");
    }
    for (size_t c = 0; c < k; c++) {
        struct eg_label_figures *f = &made.per_label[c];
        for (size_t i = 0; i < n; i++) {
            scores[i] = (double)p[i * k + c];
            own[i] = has[i * k + c];
        }
        f->threshold = (double)thresholds[c];
        judge_label(own, scores, n, f, sums);
        made.macro_f1 += isnan(f->f1) ? 0 : f->f1 / (double)k;
        if (isnan(f->average_precision)) continue;
        made.mean_average_precision += f->average_precision;
        known++;
    }
    made.mean_average_precision = known ? made.mean_average_precision / (double)known : (double)NAN;
    made.micro_precision = ratio(sums[0], sums[1]);
    made.micro_recall = ratio(sums[0], sums[2]);
    made.micro_f1 = ratio(2 * sums[0], sums[1] + sums[2]);
    for (size_t i = 0; i < n; i++) {
        size_t same = 0;
        for (size_t c = 0; c < k; c++) same += (p[i * k + c] >= thresholds[c]) == (has[i * k + c] != 0);
        whole += same == k;
    }
    made.exact = ratio(whole, n);
    free(scores);
    free(own);
    *out = made;
    return EG_OK;
}

/* ---- numbers ------------------------------------------------------------------------------------- */

struct errors {
    double r2, mae, rmse;
};

/* Of the rows that `of` lists; NULL: of all. */
static struct errors measure(const double *truth, const double *answers, const size_t *of, size_t n)
{
    double mean = 0, total = 0, squares = 0, size = 0;
    for (size_t i = 0; i < n; i++) mean += truth[of ? of[i] : i] / (double)n;
    for (size_t i = 0; i < n; i++) {
        const size_t row = of ? of[i] : i;
        const double off = answers[row] - truth[row], away = truth[row] - mean;
        squares += off * off;
        size += fabs(off);
        total += away * away;
    }
    return (struct errors){total > 0 ? 1 - squares / total : (double)NAN, size / (double)n,
                           sqrt(squares / (double)n)};
}

static int compare_numbers(const void *a, const void *b)
{
    double x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x > y) - (x < y);
}

static void middle_95(double *draws, size_t n, double *low, double *high)
{
    *low = *high = (double)NAN;
    if (!n) return;
    qsort(draws, n, sizeof *draws, compare_numbers);
    *low = draws[(size_t)(0.025 * (double)(n - 1) + 0.5)];
    *high = draws[(size_t)(0.975 * (double)(n - 1) + 0.5)];
}

enum eg_status eg__number_metrics(const double *truth, const double *answers, size_t n, uint64_t seed,
                                  struct eg_number_metrics *out, struct eg_error *err)
{
    struct eg_rng rng;
    size_t *of = eg__alloc(n + 1, sizeof *of), n_r2 = 0;
    double *r2 = eg__alloc(DRAWS, sizeof *r2), *mae = eg__alloc(DRAWS, sizeof *mae);
    if (!of || !r2 || !mae || !n) {
        free(of);
        free(r2);
        free(mae);
        return n ? eg__fail_memory(err, "the report") : eg__fail(err, EG_E_ARGUMENT, "no row has a number");
    }
    const struct errors found = measure(truth, answers, NULL, n);
    struct eg_number_metrics made = {.n = n, .r2 = found.r2, .mae = found.mae, .rmse = found.rmse};
    eg__rng_init(&rng, seed, STREAM_BOOTSTRAP);
    for (size_t d = 0; d < DRAWS; d++) {
        for (size_t i = 0; i < n; i++) of[i] = eg__rng_below(&rng, n);
        const struct errors drawn = measure(truth, answers, of, n);
        if (!isnan(drawn.r2)) r2[n_r2++] = drawn.r2;
        mae[d] = drawn.mae;
    }
    middle_95(r2, n_r2, &made.r2_low, &made.r2_high);
    middle_95(mae, DRAWS, &made.mae_low, &made.mae_high);
    free(of);
    free(r2);
    free(mae);
    *out = made;
    return EG_OK;
}

/* ---- reports --------------------------------------------------------------------------------------- */

static void figure(struct eg_text *text, double x)
{
    if (isnan(x))
        eg__text_append(text, " %9s", "-");
    else
        eg__text_append(text, " %9.2f", x);
}

static size_t columns_of(const char *s)
{
    size_t n = 0;
    for (; *s; s++) n += (*s & 0xc0) != 0x80;
    return n;
}

char *eg_label_metrics_report(const struct eg_label_metrics *m, const char *const *labels)
{
    struct eg_text text = {0};
    size_t width = strlen("micro avg");
    for (size_t k = 0; k < m->n_labels; k++)
        width = columns_of(labels[k]) > width ? columns_of(labels[k]) : width;
    eg__text_append(&text, "%*s  %9s %9s %9s %9s %9s %9s\n\n", (int)width, "", "precision", "recall",
                    "f1-score", "avg prec", "threshold", "support");
    for (size_t k = 0; k < m->n_labels; k++) {
        const struct eg_label_figures *f = &m->per_label[k];
        eg__text_append(&text, "%*s%s ", (int)(width - columns_of(labels[k])), "", labels[k]);
        figure(&text, f->precision);
        figure(&text, f->recall);
        figure(&text, f->f1);
        figure(&text, f->average_precision);
        eg__text_append(&text, " %9.3f %9zu\n", f->threshold, f->support);
    }
    eg__text_append(&text, "\n%*s ", (int)width, "micro avg");
    figure(&text, m->micro_precision);
    figure(&text, m->micro_recall);
    figure(&text, m->micro_f1);
    eg__text_append(&text, "\n%*s ", (int)width, "macro avg");
    eg__text_append(&text, " %9s %9s", "", "");
    figure(&text, m->macro_f1);
    eg__text_append(&text,
                    "\n\nmean average precision %.4f over %zu labels, %zu photos\n"
                    "all labels right, and no others, for %.1f %% of the photos\n",
                    m->mean_average_precision, m->n_labels, m->n, 100 * m->exact);
    if (!text.failed) return text.chars;
    free(text.chars);
    return NULL;
}

char *eg_number_metrics_report(const struct eg_number_metrics *m, const char *column)
{
    struct eg_text text = {0};
    eg__text_append(&text,
                    "%s, on %zu photos (95 %% intervals by the bootstrap over them):\n\n"
                    "                  R2  %.4f  (%.4f to %.4f)\n"
                    "  mean absolute error  %.6g  (%.6g to %.6g)\n"
                    "   root mean square    %.6g\n",
                    column, m->n, m->r2, m->r2_low, m->r2_high, m->mae, m->mae_low, m->mae_high, m->rmse);
    if (!text.failed) return text.chars;
    free(text.chars);
    return NULL;
}
