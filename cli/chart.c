/* chart.c: a few curves over one axis, in the terminal and as SVG. */
#include "chart.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS = 64, LINES = 12, WIDTH = 640, HEIGHT = 360, LEFT = 64, RIGHT = 24, TOP = 40, BOTTOM = 48 };

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

void svg_text(FILE *to, const char *text)
{
    for (; *text; text++) {
        if (*text == '&')
            fputs("&amp;", to);
        else if (*text == '<')
            fputs("&lt;", to);
        else
            fputc(*text, to);
    }
}

static void svg_label(FILE *to, double x, double y, const char *anchor, const char *text)
{
    fprintf(to, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", x, y, anchor);
    svg_text(to, text);
    fputs("</text>\n", to);
}

void chart_svg(const struct chart *chart, FILE *to)
{
    static const char *const colours[] = {"#1f6feb", "#d1571b", "#2a9d5c", "#8250df"};
    struct limits l = limits_of(chart);
    double w = WIDTH - LEFT - RIGHT, h = HEIGHT - TOP - BOTTOM;
    fprintf(to,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" font-family=\"sans-serif\" "
            "font-size=\"12\">\n"
            "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n<g fill=\"#333\">\n",
            WIDTH, HEIGHT);
    svg_label(to, LEFT, 20, "start", chart->title);
    for (int i = 0; i <= 4; i++) {
        char text[32];
        double y = TOP + h * i / 4, x = LEFT + w * i / 4;
        fprintf(to, "<line x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"#ddd\"/>\n", LEFT,
                WIDTH - RIGHT, y, y);
        snprintf(text, sizeof text, "%.3g", l.y1 - (l.y1 - l.y0) * i / 4);
        svg_label(to, LEFT - 8, y + 4, "end", text);
        double value = l.x0 + (l.x1 - l.x0) * i / 4;
        snprintf(text, sizeof text, "%.3g", chart->log_x ? pow(10, value) : value);
        svg_label(to, x, HEIGHT - BOTTOM + 18, "middle", text);
    }
    svg_label(to, LEFT + w / 2, HEIGHT - 10, "middle", chart->x_name);
    for (size_t s = 0; s < chart->n_series; s++) {
        const struct chart_series *series = &chart->series[s];
        const char *colour = colours[s % 4];
        fprintf(to, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"2\" points=\"", colour);
        for (size_t i = 0; i < series->n; i++) {
            double x = at_x(chart, series->x[i]), y = series->y[i];
            if (isfinite(x) && isfinite(y))
                fprintf(to, "%.1f,%.1f ", LEFT + w * (x - l.x0) / (l.x1 - l.x0),
                        TOP + h * (l.y1 - y) / (l.y1 - l.y0));
        }
        double x = WIDTH - RIGHT - 110.0 * (double)(chart->n_series - s);
        fprintf(to, "\"/>\n<rect x=\"%.1f\" y=\"12\" width=\"10\" height=\"10\" fill=\"%s\"/>\n", x, colour);
        svg_label(to, x + 14, 21, "start", series->name);
    }
    fputs("</g>\n</svg>\n", to);
}
