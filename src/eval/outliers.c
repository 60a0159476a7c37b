#include "eval/outliers.h"

#include <math.h>
#include <stdlib.h>

#include "base/fail.h"
#include "base/mem.h"

const char *const eg__oddity_names[] = {"far", "dark", "bright", "blurred", "small", "shape", "one_colour"};

enum { FEWEST = 8 };

/* Past these a photo is odd whatever the others are like. "far" and "blurred" are measured against the
 * class and the set: their median less so many median deviations (a normal's deviation is 1.48 of one). */
static const double DARK = 22, BRIGHT = 238, SMALL_PX = 48, LONG_SHAPE = 4, ONE_COLOUR = 4,
                    FAR_DEVIATIONS = 5, BLURRED_PART = 0.3;

void eg__photo_stats(const uint8_t *rgb, size_t height, size_t width, struct eg_photo_stats *stats)
{
    const size_t n = height * width;
    double sum = 0, square = 0, channel[3] = {0}, channel_square = 0, edges = 0;
    for (size_t i = 0; i < n; i++) {
        const uint8_t *p = rgb + 3 * i;
        double y = 0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2];
        sum += y;
        square += y * y;
        for (int c = 0; c < 3; c++) {
            channel[c] += p[c];
            channel_square += (double)p[c] * p[c];
        }
    }
    for (size_t y = 1; y + 1 < height; y++)
        for (size_t x = 1; x + 1 < width; x++) {
            const uint8_t *p = rgb + 3 * (y * width + x) + 1; /* green: most of the luminance */
            edges += fabs(4.0 * p[0] - p[-3] - p[3] - *(p - 3 * width) - p[3 * width]);
        }
    double mean = sum / (double)n, colours = channel_square / (double)n;
    for (int c = 0; c < 3; c++) colours -= channel[c] / (double)n * channel[c] / (double)n;
    double spread = sqrt(fmax(0, square / (double)n - mean * mean));
    double inner = (double)(height > 2 ? height - 2 : 1) * (double)(width > 2 ? width - 2 : 1);
    stats->mean = (float)mean;
    stats->spread = (float)spread;
    stats->detail = (float)(edges / inner / fmax(spread, 1));
    stats->colours = (float)sqrt(fmax(0, colours / 3));
    stats->read = true;
}

static int compare_odd(const void *a, const void *b)
{
    const struct eg_odd *x = a, *y = b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    return x->row < y->row ? -1 : x->row > y->row ? 1 : (int)x->reason - (int)y->reason;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Median, and median distance from it; sorts values. */
static void middle(double *values, size_t n, double *median, double *deviation)
{
    qsort(values, n, sizeof *values, compare_doubles);
    *median = values[n / 2];
    for (size_t i = 0; i < n; i++) values[i] = fabs(values[i] - *median);
    qsort(values, n, sizeof *values, compare_doubles);
    *deviation = values[n / 2];
}

struct listing {
    struct eg_odd *odd;
    size_t n, capacity;
    bool failed;
};

static void add(struct listing *list, size_t row, enum eg_oddity reason, double score)
{
    if (list->failed || !(score >= 1)) return;
    if (!eg__grow(&list->odd, &list->capacity, list->n + 1, sizeof *list->odd))
        list->failed = true;
    else
        list->odd[list->n++] = (struct eg_odd){row, reason, score};
}

static void add_far(struct listing *list, const float *nearest, const int32_t *labels, size_t n,
                    size_t n_classes, double *values)
{
    for (size_t k = 0; k < n_classes; k++) {
        size_t count = 0;
        for (size_t i = 0; i < n; i++)
            if (labels[i] == (int32_t)k && !isnan(nearest[i])) values[count++] = (double)nearest[i];
        if (count < FEWEST) continue;
        double median, deviation;
        middle(values, count, &median, &deviation);
        double limit = FAR_DEVIATIONS * fmax(deviation, 0.01);
        for (size_t i = 0; i < n; i++)
            if (labels[i] == (int32_t)k && !isnan(nearest[i]))
                add(list, i, EG_ODD_FAR, (median - (double)nearest[i]) / limit);
    }
}

static void add_photo_oddities(struct listing *list, const struct eg_photo_stats *stats, size_t n,
                               double *values)
{
    size_t count = 0;
    double detail = 0, deviation;
    for (size_t i = 0; i < n; i++)
        if (stats[i].read) values[count++] = (double)stats[i].detail;
    if (count >= FEWEST) middle(values, count, &detail, &deviation);
    for (size_t i = 0; i < n; i++) {
        const struct eg_photo_stats *s = &stats[i];
        if (!s->read) continue;
        double side = (double)(s->width < s->height ? s->width : s->height),
               other = (double)(s->width < s->height ? s->height : s->width);
        bool plain = (double)s->colours < ONE_COLOUR; /* nothing to be dark, bright or blurred in */
        add(list, i, EG_ODD_ONE_COLOUR, plain ? ONE_COLOUR / fmax((double)s->colours, 0.1) : 0);
        add(list, i, EG_ODD_DARK, plain ? 0 : DARK / fmax((double)s->mean, 1));
        add(list, i, EG_ODD_BRIGHT, plain ? 0 : (255 - BRIGHT) / fmax(255 - (double)s->mean, 1));
        add(list, i, EG_ODD_BLURRED, plain ? 0 : BLURRED_PART * detail / fmax((double)s->detail, 1e-6));
        add(list, i, EG_ODD_SMALL, SMALL_PX / side);
        add(list, i, EG_ODD_SHAPE, other / side / LONG_SHAPE);
    }
}

enum eg_status eg__outliers(const float *nearest, const int32_t *labels, size_t n, size_t n_classes,
                            const struct eg_photo_stats *stats, struct eg_odd **odd, size_t *n_odd,
                            struct eg_error *err)
{
    struct listing list = {0};
    double *values = eg__alloc(n + 1, sizeof *values);
    if (values) {
        add_far(&list, nearest, labels, n, n_classes, values);
        if (stats) add_photo_oddities(&list, stats, n, values);
    }
    if (!values || list.failed) {
        free(values);
        free(list.odd);
        return eg__fail_memory(err, "odd photos");
    }
    free(values);
    if (list.n) qsort(list.odd, list.n, sizeof *list.odd, compare_odd);
    *odd = list.odd;
    *n_odd = list.n;
    return EG_OK;
}
