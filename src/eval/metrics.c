/* How good a classifier is, from its answers; and the report scikit-learn's users know. */
#include "eval/metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "base/text.h"

enum { ECE_BINS = 15, MATRIX_MOST = 12, CONFUSIONS_LISTED = 10 };

/* Wilson, J. Am. Stat. Assoc. 22 (1927), with z = 1.96. */
void eg__wilson(size_t right, size_t n, double *low, double *high)
{
    const double z = 1.959963984540054;
    if (!n) {
        *low = 0;
        *high = 1;
        return;
    }
    double count = (double)n, p = (double)right / count, scale = 1 / (1 + z * z / count);
    double centre = (p + z * z / (2 * count)) * scale;
    double half = z * scale * sqrt(p * (1 - p) / count + z * z / (4 * count * count));
    *low = right ? fmax(0, centre - half) : 0;
    *high = right < n ? fmin(1, centre + half) : 1;
}

/* Undefined figures count as 0 in the averages, as scikit-learn has it. */
static double or_zero(double x) { return isnan(x) ? 0 : x; }

static void add_weighted(struct eg_class_metrics *sum, const struct eg_class_metrics *one, double weight)
{
    sum->precision += weight * or_zero(one->precision);
    sum->recall += weight * or_zero(one->recall);
    sum->f1 += weight * or_zero(one->f1);
}

static void class_figures(struct eg_metrics *m)
{
    size_t k_count = m->n_classes;
    for (size_t k = 0; k < k_count; k++) {
        size_t hits = m->confusion[k * k_count + k], predicted = 0;
        struct eg_class_metrics *c = &m->per_class[k]; /* support is set: it includes the rejected */
        for (size_t t = 0; t < k_count; t++) predicted += m->confusion[t * k_count + k];
        c->precision = predicted ? (double)hits / (double)predicted : NAN;
        c->recall = c->support ? (double)hits / (double)c->support : NAN;
        c->f1 = predicted + c->support ? 2 * (double)hits / (double)(predicted + c->support) : NAN;
        add_weighted(&m->macro, c, 1 / (double)k_count);
        if (m->n) add_weighted(&m->weighted, c, (double)c->support / (double)m->n);
    }
    m->macro.support = m->weighted.support = m->n;
}

/* Log loss, top-5 and the expected calibration error (Guo et al., ICML 2017): the mean over
 * equal-width bins of the most probable class's probability of |accuracy - confidence|. */
static void probability_figures(struct eg_metrics *m, const int32_t *truth, const float *probabilities)
{
    double loss = 0, confidence[ECE_BINS] = {0}, error = 0;
    size_t in_five = 0, count[ECE_BINS] = {0}, right[ECE_BINS] = {0};
    for (size_t i = 0; i < m->n; i++) {
        const float *p = probabilities + i * m->n_classes;
        size_t best = 0, above = 0, t = (size_t)truth[i];
        for (size_t k = 0; k < m->n_classes; k++) {
            if (p[k] > p[best]) best = k;
            above += p[k] > p[t] || (p[k] == p[t] && k < t);
        }
        in_five += above < 5;
        loss -= log(fmax((double)p[t], 1e-15));
        double top = fmin(fmax((double)p[best], 0), 1);
        size_t bin = (size_t)fmin(top * ECE_BINS, ECE_BINS - 1);
        count[bin]++;
        right[bin] += best == t;
        confidence[bin] += top;
    }
    for (int b = 0; b < ECE_BINS; b++) error += fabs((double)right[b] - confidence[b]);
    if (!m->n) return;
    m->log_loss = loss / (double)m->n;
    m->calibration_error = error / (double)m->n;
    if (m->n_classes > 5) m->top5 = (double)in_five / (double)m->n;
}

enum eg_status eg__metrics(const int32_t *truth, const int32_t *predicted, const float *probabilities,
                           size_t n, size_t n_classes, struct eg_metrics *metrics, struct eg_error *err)
{
    struct eg_metrics m = {
        .n = n, .n_classes = n_classes, .top5 = NAN, .log_loss = NAN, .calibration_error = NAN};
    size_t right = 0, cells;
    if (!n_classes) return eg__fail(err, EG_E_ARGUMENT, "there are no classes to measure");
    for (size_t i = 0; i < n; i++) {
        if (truth[i] < 0 || (size_t)truth[i] >= n_classes)
            return eg__fail(err, EG_E_ARGUMENT, "row %zu is of class %d, the classifier knows 0 to %zu", i,
                            truth[i], n_classes - 1);
        if (predicted[i] < -1 || (predicted[i] >= 0 && (size_t)predicted[i] >= n_classes))
            return eg__fail(err, EG_E_ARGUMENT, "row %zu was predicted as class %d of %zu", i, predicted[i],
                            n_classes);
    }
    if (eg__mul(n_classes, n_classes, &cells)) m.confusion = eg__zalloc(cells, sizeof *m.confusion);
    m.per_class = eg__zalloc(n_classes, sizeof *m.per_class);
    if (!m.confusion || !m.per_class) {
        eg_metrics_release(&m);
        return eg__fail_memory(err, "the confusion matrix");
    }
    for (size_t i = 0; i < n; i++) {
        m.per_class[truth[i]].support++;
        if (predicted[i] < 0)
            m.n_rejected++;
        else
            m.confusion[(size_t)truth[i] * n_classes + (size_t)predicted[i]]++;
        right += predicted[i] == truth[i];
    }
    m.accuracy = n ? (double)right / (double)n : NAN;
    eg__wilson(right, n, &m.accuracy_low, &m.accuracy_high);
    class_figures(&m);
    if (probabilities) probability_figures(&m, truth, probabilities);
    *metrics = m;
    return EG_OK;
}

void eg_metrics_release(struct eg_metrics *metrics)
{
    free(metrics->confusion);
    free(metrics->per_class);
    *metrics = (struct eg_metrics){0};
}

/* ---- the report --------------------------------------------------------------------- */

static size_t columns_of(const char *s)
{
    size_t n = 0;
    for (; *s; s++) n += (*s & 0xc0) != 0x80;
    return n;
}

/* Right-aligned; of a longer one the end, behind "...". */
static void right_aligned(struct eg_text *text, const char *s, size_t width)
{
    size_t n = columns_of(s);
    if (n <= width) {
        eg__text_append(text, "%*s%s", (int)(width - n), "", s);
        return;
    }
    for (size_t skip = n - (width - 3); skip; skip--) do
            s++;
        while ((*s & 0xc0) == 0x80);
    eg__text_append(text, "...%s", s);
}

static void figure(struct eg_text *text, double x)
{
    if (isnan(x))
        eg__text_append(text, " %9s", "-");
    else
        eg__text_append(text, " %9.2f", x);
}

static void line(struct eg_text *text, const char *name, size_t width, const struct eg_class_metrics *c)
{
    right_aligned(text, name, width);
    eg__text_append(text, " ");
    figure(text, c->precision);
    figure(text, c->recall);
    figure(text, c->f1);
    eg__text_append(text, " %9zu\n", c->support);
}

/* Digits of the largest count, at least 3. */
static size_t cell_width(const struct eg_metrics *m)
{
    size_t width = 3;
    for (size_t i = 0; i < m->n_classes * m->n_classes; i++)
        while (width < 20 && (double)m->confusion[i] >= pow(10, (double)width)) width++;
    return width;
}

/* Columns are headed by the classes' names or, where these are too long for it, by their numbers.
 * columns     of the whole; false: it has no room */
static bool confusion_matrix(struct eg_text *text, const struct eg_metrics *m, const char *const *classes,
                             size_t width, size_t columns)
{
    enum { NUMBER = 3 }; /* "12 " */
    size_t cell = cell_width(m), named = cell;
    for (size_t k = 0; k < m->n_classes; k++)
        if (columns_of(classes[k]) > named) named = columns_of(classes[k]);
    bool numbered = width + m->n_classes * (named + 1) > columns;
    if (!numbered) cell = named;
    if (numbered && width + NUMBER + m->n_classes * (cell + 1) > columns) return false;
    eg__text_append(text, "\nconfusion (rows: truth, columns: predicted)\n\n");
    eg__text_append(text, "%*s", (int)(width + (numbered ? NUMBER : 0)), "");
    for (size_t k = 0; k < m->n_classes; k++) {
        eg__text_append(text, " ");
        if (numbered)
            eg__text_append(text, "%*zu", (int)cell, k + 1);
        else
            right_aligned(text, classes[k], cell);
    }
    eg__text_append(text, "\n");
    for (size_t t = 0; t < m->n_classes; t++) {
        if (numbered) eg__text_append(text, "%2zu ", t + 1);
        right_aligned(text, classes[t], width);
        for (size_t k = 0; k < m->n_classes; k++)
            eg__text_append(text, " %*zu", (int)cell, m->confusion[t * m->n_classes + k]);
        eg__text_append(text, "\n");
    }
    return true;
}

static void worst_confusions(struct eg_text *text, const struct eg_metrics *m, const char *const *classes)
{
    eg__text_append(text, "\nmost frequent confusions (truth -> predicted)\n\n");
    size_t below = SIZE_MAX, listed = 0;
    while (listed < CONFUSIONS_LISTED) {
        size_t next = 0; /* the largest count below the last one listed */
        for (size_t t = 0; t < m->n_classes; t++)
            for (size_t k = 0; k < m->n_classes; k++) {
                size_t count = m->confusion[t * m->n_classes + k];
                if (t != k && count < below && count > next) next = count;
            }
        if (!next && !listed) eg__text_append(text, "  none\n");
        if (!next) return;
        for (size_t t = 0; t < m->n_classes && listed < CONFUSIONS_LISTED; t++)
            for (size_t k = 0; k < m->n_classes && listed < CONFUSIONS_LISTED; k++)
                if (t != k && m->confusion[t * m->n_classes + k] == next) {
                    eg__text_append(text, "  %s -> %s: %zu\n", classes[t], classes[k], next);
                    listed++;
                }
        below = next;
    }
}

char *eg_metrics_report(const struct eg_metrics *m, const char *const *classes)
{
    return eg_metrics_report_fit(m, classes, 80);
}

char *eg_metrics_report_fit(const struct eg_metrics *m, const char *const *classes, size_t columns)
{
    enum { FIGURES = 42 };
    struct eg_text text = {0};
    size_t width = strlen("weighted avg");
    for (size_t k = 0; k < m->n_classes; k++) {
        size_t n = columns_of(classes[k]);
        if (n > width) width = n;
    }
    if (width + FIGURES > columns) width = columns > FIGURES + 12 ? columns - FIGURES : 12;
    right_aligned(&text, "", width);
    eg__text_append(&text, "  %9s %9s %9s %9s\n\n", "precision", "recall", "f1-score", "support");
    for (size_t k = 0; k < m->n_classes; k++) line(&text, classes[k], width, &m->per_class[k]);
    eg__text_append(&text, "\n");
    right_aligned(&text, "accuracy", width);
    eg__text_append(&text, " %9s %9s ", "", "");
    figure(&text, m->accuracy);
    eg__text_append(&text, " %9zu\n", m->n);
    line(&text, "macro avg", width, &m->macro);
    line(&text, "weighted avg", width, &m->weighted);
    if (m->n_classes > MATRIX_MOST || !confusion_matrix(&text, m, classes, width, columns))
        worst_confusions(&text, m, classes);
    eg__text_append(&text, "\naccuracy %.4f, 95 %% interval %.4f to %.4f (Wilson, %zu rows)\n", m->accuracy,
                    m->accuracy_low, m->accuracy_high, m->n);
    if (!isnan(m->top5)) eg__text_append(&text, "right among the first five %.4f\n", m->top5);
    if (!isnan(m->calibration_error))
        eg__text_append(&text, "log loss %.4f, expected calibration error %.4f\n", m->log_loss,
                        m->calibration_error);
    if (m->n_rejected) eg__text_append(&text, "answered \"unknown\" %zu (counted as wrong)\n", m->n_rejected);
    if (text.failed) {
        free(text.chars);
        return NULL;
    }
    return text.chars;
}

/* Two-sided binomial: twice the smaller tail of n fair coins, term by term from the middle of logs. */
double eg__mcnemar(size_t only_one, size_t only_other)
{
    const size_t n = only_one + only_other, least = only_one < only_other ? only_one : only_other;
    double term = -(double)n * log(2), tail = 0;
    for (size_t i = 0; i <= least; i++) {
        tail += exp(term);
        term += log((double)(n - i)) - log((double)(i + 1));
    }
    return fmin(2 * tail, 1);
}
