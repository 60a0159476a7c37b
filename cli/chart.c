/* chart.c: a few curves over one axis, in the terminal and as SVG. */
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

static void svg_label(FILE *to, double x, double y, const char *anchor, const char *more, const char *text)
{
    fprintf(to, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\"%s>", x, y, anchor, more);
    svg_text(to, text);
    fputs("</text>\n", to);
}

struct frame { /* where the axes are, pixels */
    double left, top, width, height;
    double total_width, total_height;
    struct limits limits;
};

static double place_x(const struct frame *f, double x)
{
    return f->left + f->width * (x - f->limits.x0) / (f->limits.x1 - f->limits.x0);
}

static double place_y(const struct frame *f, double y)
{
    return f->top + f->height * (f->limits.y1 - y) / (f->limits.y1 - f->limits.y0);
}

/* 1, 2 or 5 times a power of ten, so that about five steps fill the range. */
static double round_step(double range)
{
    double step = pow(10, floor(log10(range / 5)));
    if (range / step > 25) return 5 * step;
    return range / step > 10 ? 2 * step : step;
}

static struct frame frame_of(const struct chart *chart)
{
    struct frame f = {
        .left = 72, .top = 64, .total_width = 960, .total_height = 540, .limits = limits_of(chart)};
    size_t longest = 0;
    for (size_t i = 0; i < chart->n_ticks; i++)
        if (strlen(chart->ticks[i]) > longest) longest = strlen(chart->ticks[i]);
    double names = fmin(20 + 5.0 * (double)longest, 200); /* slanted by 45 degrees */
    f.width = f.total_width - f.left - 28;
    f.height = f.total_height - f.top - (chart->n_ticks ? names + 28 : 56);
    struct limits *l = &f.limits;
    if (chart->band[0] < chart->band[1]) {
        l->y0 = fmin(l->y0, chart->band[0]);
        l->y1 = fmax(l->y1, chart->band[1]);
    }
    double step = round_step(l->y1 - l->y0);
    l->y0 = step * floor(l->y0 / step);
    l->y1 = step * ceil(l->y1 / step);
    if (chart->n_ticks) { /* a margin at either side */
        l->x0 = -0.4;
        l->x1 = (double)chart->n_ticks - 0.6;
    }
    return f;
}

static void svg_axes(const struct chart *chart, const struct frame *f, FILE *to)
{
    const struct limits *l = &f->limits;
    double step = round_step(l->y1 - l->y0), bottom = f->top + f->height;
    char text[64];
    if (chart->band[0] < chart->band[1])
        fprintf(to, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"#f2e9c9\"/>\n",
                f->left, place_y(f, chart->band[1]), f->width,
                place_y(f, chart->band[0]) - place_y(f, chart->band[1]));
    const int n_lines = (int)((l->y1 - l->y0) / step + 1.5);
    for (int i = 0; i < n_lines; i++) {
        const double y = l->y0 + i * step;
        fprintf(to, "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"#ddd\"/>\n", f->left,
                f->left + f->width, place_y(f, y), place_y(f, y));
        snprintf(text, sizeof text, "%.4g", fabs(y) < step / 1e6 ? 0 : y);
        svg_label(to, f->left - 8, place_y(f, y) + 5, "end", "", text);
    }
    for (size_t i = 0; i < chart->n_ticks; i++) {
        double x = place_x(f, (double)i);
        fprintf(to, "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"#999\"/>\n", x, x, bottom,
                bottom + 5);
        snprintf(text, sizeof text, " transform=\"rotate(-45 %.1f %.1f)\" font-size=\"12\"", x + 4,
                 bottom + 16);
        svg_label(to, x + 4, bottom + 16, "end", text, chart->ticks[i]);
    }
    for (int i = 0; i <= 4 && !chart->n_ticks; i++) {
        double value = l->x0 + (l->x1 - l->x0) * i / 4;
        snprintf(text, sizeof text, "%.3g", chart->log_x ? pow(10, value) : value);
        svg_label(to, f->left + f->width * i / 4, bottom + 22, "middle", "", text);
    }
    fprintf(to, "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"#999\"/>\n", f->left,
            f->left + f->width, bottom, bottom);
    svg_label(to, f->left + f->width / 2, f->total_height - 10, "middle", "", chart->x_name);
    if (!chart->y_name) return;
    double middle = f->top + f->height / 2;
    snprintf(text, sizeof text, " transform=\"rotate(-90 18 %.1f)\"", middle);
    svg_label(to, 18, middle, "middle", text, chart->y_name);
}

static void svg_series(const struct chart_series *series, const struct chart *chart, const struct frame *f,
                       const char *colour, FILE *to)
{
    fprintf(to, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"2.5\" points=\"", colour);
    for (size_t i = 0; i < series->n; i++) {
        double x = at_x(chart, series->x[i]), y = series->y[i];
        if (isfinite(x) && isfinite(y)) fprintf(to, "%.1f,%.1f ", place_x(f, x), place_y(f, y));
    }
    fputs("\"/>\n", to);
    for (size_t i = 0; i < series->n && chart->n_ticks; i++) {
        double x = at_x(chart, series->x[i]), y = series->y[i];
        if (isfinite(x) && isfinite(y))
            fprintf(to, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\" fill=\"%s\"/>\n", place_x(f, x),
                    place_y(f, y), colour);
    }
}

/* A square and its name; gives where the next may begin. */
static double svg_key(FILE *to, double x, const char *colour, const char *name)
{
    fprintf(to, "<rect x=\"%.1f\" y=\"41\" width=\"11\" height=\"11\" fill=\"%s\"/>\n", x, colour);
    svg_label(to, x + 16, 51, "start", "", name);
    return x + 44 + 7.2 * (double)strlen(name);
}

void chart_svg(const struct chart *chart, FILE *to)
{
    static const char *const colours[] = {"#1f6feb", "#d1571b", "#2a9d5c", "#8250df"};
    struct frame f = frame_of(chart);
    fprintf(to,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" font-family=\"sans-serif\" "
            "font-size=\"14\">\n"
            "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n<g fill=\"#333\">\n",
            f.total_width, f.total_height);
    svg_label(to, f.left, 26, "start", " font-size=\"18\" font-weight=\"bold\"", chart->title);
    svg_axes(chart, &f, to);
    double key = f.left;
    for (size_t s = 0; s < chart->n_series; s++) {
        svg_series(&chart->series[s], chart, &f, colours[s % 4], to);
        key = svg_key(to, key, colours[s % 4], chart->series[s].name);
    }
    if (chart->band[0] < chart->band[1] && chart->band_name) svg_key(to, key, "#f2e9c9", chart->band_name);
    if (chart->mark_name) {
        double x = place_x(&f, chart->mark[0]), y = place_y(&f, chart->mark[1]);
        fprintf(
            to,
            "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"8\" fill=\"none\" stroke=\"#333\" stroke-width=\"2\"/>\n", x,
            y);
        svg_label(to, x, y - 14, "middle", " font-weight=\"bold\"", chart->mark_name);
    }
    fputs("</g>\n</svg>\n", to);
}
