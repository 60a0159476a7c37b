/* chart.h: a few curves over one axis. */
#ifndef ENGRAFT_CHART_H
#define ENGRAFT_CHART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct chart_series {
    const char *name;
    const double *x, *y; /* [n]; points that are not finite are left out */
    size_t n;
};
struct chart {
    const char *title, *x_name;
    bool log_x;
    const struct chart_series *series;
    size_t n_series;
    /* SVG alone; each may be left out */
    const char *y_name;
    const char *const *ticks; /* names of x = 0, 1, ... */
    size_t n_ticks;
    double band[2]; /* of y, shaded; equal: none */
    const char *band_name;
    double mark[2];        /* x, y of a point to show */
    const char *mark_name; /* NULL: none */
};
void chart_print(const struct chart *chart, FILE *to);
void chart_svg(const struct chart *chart, FILE *to);
void svg_text(FILE *to, const char *text); /* escaped */

#endif
