/* chart.c: a few curves over one axis, in the terminal. */
#include "chart.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS = 64, LINES = 12 };

static double at_x(const struct chart *chart, double x) { return chart->log_x ? log10(x) : x; }

struct limits {
    double x0, x1, y0, y1;
};

static struct limits limits_of(const struct chart *chart)
{
    struct limits l = {INFINITY, -INFINITY, INFINITY, -INFINITY};
    for (size_t s = 0; s < chart->n_series; s++)
        for (size_t i = 0; i < chart->series[s].n; i++) {
            double x = at_x(chart, chart->series[s].x[i]), y = chart->series[s].y[i];
            if (!isfinite(x) || !isfinite(y)) continue;
            l.x0 = fmin(l.x0, x);
            l.x1 = fmax(l.x1, x);
            l.y0 = fmin(l.y0, y);
            l.y1 = fmax(l.y1, y);
        }
    if (!(l.x0 <= l.x1)) l = (struct limits){0, 1, 0, 1};
    if (l.x0 == l.x1) l.x1 = l.x0 + 1;
    double margin = l.y0 == l.y1 ? 0.5 * fabs(l.y0) + 0.01 : 0.05 * (l.y1 - l.y0);
    l.y0 -= margin;
    l.y1 += margin;
    return l;
}

void chart_print(const struct chart *chart, FILE *to)
{
    static const char marks[] = "*o+x";
    char grid[LINES][COLUMNS + 1];
    struct limits l = limits_of(chart);
    for (int r = 0; r < LINES; r++) {
        memset(grid[r], ' ', COLUMNS);
        grid[r][COLUMNS] = '\0';
    }
    for (size_t s = 0; s < chart->n_series; s++)
        for (size_t i = 0; i < chart->series[s].n; i++) {
            double x = at_x(chart, chart->series[s].x[i]), y = chart->series[s].y[i];
            if (!isfinite(x) || !isfinite(y)) continue;
            int column = (int)lround((x - l.x0) / (l.x1 - l.x0) * (COLUMNS - 1));
            int row = (int)lround((l.y1 - y) / (l.y1 - l.y0) * (LINES - 1));
            grid[row][column] = marks[s % (sizeof marks - 1)];
        }
    fprintf(to, "\n%s  (", chart->title);
    for (size_t s = 0; s < chart->n_series; s++)
        fprintf(to, "%s%c %s", s ? ", " : "", marks[s % (sizeof marks - 1)], chart->series[s].name);
    fprintf(to, ")\n");
    for (int r = 0; r < LINES; r++) {
        bool labelled = r == 0 || r == LINES - 1 || r == LINES / 2;
        if (labelled)
            fprintf(to, "%9.4g |", l.y1 - (l.y1 - l.y0) * r / (LINES - 1));
        else
            fprintf(to, "%9s |", "");
        fprintf(to, "%s\n", grid[r]);
    }
    fprintf(to, "%9s +", "");
    for (int i = 0; i < COLUMNS; i++) fputc('-', to);
    char first[32], last[32];
    snprintf(first, sizeof first, "%.4g", chart->log_x ? pow(10, l.x0) : l.x0);
    snprintf(last, sizeof last, "%.4g", chart->log_x ? pow(10, l.x1) : l.x1);
    fprintf(to, "\n%11s%s%*s%s  %s\n", "", first, (int)(COLUMNS - strlen(first) - strlen(last)), "", last,
            chart->x_name);
}
