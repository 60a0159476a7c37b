/* svg_chart.h: curves over one axis. */
#ifndef EG_DRAW_SVG_CHART_H
#define EG_DRAW_SVG_CHART_H

#include "engraft.h"

enum eg_series_kind { EG_SERIES_LINE, EG_SERIES_BARS, EG_SERIES_THIN, EG_SERIES_POINTS };

struct eg_chart_series {
    const char *name;    /* NULL: not in the legend */
    const double *x, *y; /* [n]; points that are not finite are left out */
    size_t n;
    enum eg_series_kind kind;
    bool marks;               /* every point has one */
    const double *low, *high; /* [n] an interval of each point; NULL: none */
};

struct eg_chart {
    const char *title, *x_name, *y_name;
    const struct eg_chart_series *series;
    size_t n_series;
    bool log_x, whole_x;           /* whole_x: only whole numbers stand at the axis */
    double x_range[2], y_range[2]; /* equal: as the points are; of y no more than this is shown */
    bool whole_y;                  /* all of y_range is shown */
    const char *key_title;         /* of the legend; NULL: none */
    bool diagonal;                 /* the line y = x */
    const char *const *ticks;      /* names of x = 0, 1, ... */
    size_t n_ticks;
    double band[2]; /* of y, shaded; equal: none */
    const char *band_name;
    double mark[2];        /* a point to show */
    const char *mark_name; /* NULL: none */
};

/* An SVG document; free() it; NULL: no memory. */
char *eg__chart_svg(const struct eg_chart *chart);

/* Counts, rows the truth: blue on the diagonal, orange beside it, by their share of the row; past some
 * classes without numbers, with the largest confusions below. counts [n][n]. */
char *eg__matrix_svg(const char *title, const char *const *names, const size_t *counts, size_t n);

#endif
