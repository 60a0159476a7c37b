/* number_picture.c: where numbers are answered too high or too low. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "draw/svg_chart.h"

char *eg_number_svg(const struct eg_number_metrics *m, const double *truth, const double *answers,
                    const char *column)
{
    double *off = eg__alloc(m->n + 1, sizeof *off), ends[2] = {INFINITY, -INFINITY};
    const double zero[2] = {0, 0};
    if (!off) return NULL;
    for (size_t i = 0; i < m->n; i++) {
        off[i] = answers[i] - truth[i];
        ends[0] = fmin(ends[0], truth[i]);
        ends[1] = fmax(ends[1], truth[i]);
    }
    char title[200];
    snprintf(title, sizeof title, "%.80s: R2 %.3f (%.3f to %.3f), mean absolute error %.4g", column, m->r2,
             m->r2_low, m->r2_high, m->mae);
    const struct eg_chart_series series[] = {
        {.x = truth, .y = off, .n = m->n, .kind = EG_SERIES_POINTS},
        {.x = ends, .y = zero, .n = 2, .kind = EG_SERIES_THIN},
    };
    const struct eg_chart chart = {
        .title = title, .x_name = column, .y_name = "answer less truth", .series = series, .n_series = 2};
    char *svg = eg__chart_svg(&chart);
    free(off);
    return svg;
}
