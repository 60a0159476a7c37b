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
};
void chart_print(const struct chart *chart, FILE *to);

#endif
