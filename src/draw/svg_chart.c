/* svg_chart.c: curves over one axis. The legend stands beside the plot, never in it. */
#include "draw/svg_chart.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "draw/svg.h"

enum { WIDTH = 960, HEIGHT = 520, MOST_KEYS = 24 };
static const double TOP = 56, LEFT = 76, RIGHT = 24, KEY_LINE = 20, MOST_KEY = 230;

struct frame {
    const struct eg_chart *chart;
    double left, top, width, height; /* of the plot */
    double names;                    /* room for slanted names below */
    double x0, x1, y0, y1;
};

static double at_x(const struct eg_chart *chart, double x) { return chart->log_x ? log10(x) : x; }
static double place_x(const struct frame *f, double x)
{
    return f->left + f->width * (x - f->x0) / (f->x1 - f->x0);
}
static double place_y(const struct frame *f, double y)
{
    return f->top + f->height * (f->y1 - y) / (f->y1 - f->y0);
}

static void widen(struct frame *f, double x, double y)
{
    if (!isfinite(x) || !isfinite(y)) return;
    f->x0 = fmin(f->x0, x);
    f->x1 = fmax(f->x1, x);
    f->y0 = fmin(f->y0, y);
    f->y1 = fmax(f->y1, y);
}

/* 1, 2 or 5 times a power of ten, so that about five steps fill the range. */
static double round_step(double range)
{
    double step = pow(10, floor(log10(range / 5)));
    if (range / step > 25) return 5 * step;
    return range / step > 10 ? 2 * step : step;
}

static void find_limits(struct frame *f)
{
    const struct eg_chart *c = f->chart;
    f->x0 = f->y0 = INFINITY;
    f->x1 = f->y1 = -INFINITY;
    for (size_t s = 0; s < c->n_series; s++)
        for (size_t i = 0; i < c->series[s].n; i++) {
            const struct eg_chart_series *one = &c->series[s];
            widen(f, at_x(c, one->x[i]), one->y[i]);
            if (one->low) widen(f, at_x(c, one->x[i]), one->low[i]);
            if (one->high) widen(f, at_x(c, one->x[i]), one->high[i]);
        }
    if (!(f->x0 <= f->x1)) f->x0 = f->y0 = 0, f->x1 = f->y1 = 1;
    if (c->band[0] < c->band[1]) {
        f->y0 = fmin(f->y0, c->band[0]);
        f->y1 = fmax(f->y1, c->band[1]);
    }
    if (f->x1 - f->x0 <= 0) f->x0 -= 0.5, f->x1 += 0.5;
    if (f->y1 - f->y0 <= 0) f->y0 -= 0.5 * fabs(f->y0) + 0.01, f->y1 += 0.5 * fabs(f->y1) + 0.01;
    double step = round_step(f->y1 - f->y0);
    f->y0 = step * floor(f->y0 / step);
    f->y1 = step * ceil(f->y1 / step);
    if (c->x_range[0] < c->x_range[1]) f->x0 = c->x_range[0], f->x1 = c->x_range[1];
    if (c->y_range[0] < c->y_range[1]) {
        f->y0 = fmax(f->y0, c->y_range[0]);
        f->y1 = fmin(f->y1, c->y_range[1]);
    }
    if (f->y1 - f->y0 <= 0 || c->whole_y) f->y0 = c->y_range[0], f->y1 = c->y_range[1];
    if (c->n_ticks) f->x0 = -0.4, f->x1 = (double)c->n_ticks - 0.6; /* a margin at either side */
}

static size_t keys_of(const struct eg_chart *c)
{
    size_t n = (c->band[0] < c->band[1] && c->band_name) ? 1 : 0;
    for (size_t s = 0; s < c->n_series; s++) n += c->series[s].name != NULL;
    return n == 1 && !c->band_name && c->n_series == 1 ? 0 : n; /* one curve needs no key */
}

static void lay_out(struct frame *f)
{
    const struct eg_chart *c = f->chart;
    double keys = 0;
    for (size_t s = 0; s < c->n_series && keys_of(c); s++)
        if (c->series[s].name) keys = fmax(keys, eg__text_measure(c->series[s].name, 13));
    if (keys_of(c) && c->band_name) keys = fmax(keys, eg__text_measure(c->band_name, 13));
    keys = fmin(keys, MOST_KEY);
    for (size_t i = 0; i < c->n_ticks; i++)
        f->names = fmax(f->names, fmin(eg__text_measure(c->ticks[i], 12), 200));
    f->left = LEFT;
    f->top = TOP;
    f->width = WIDTH - LEFT - RIGHT - (keys > 0 ? keys + 44 : 0);
    f->height = HEIGHT - TOP - (c->n_ticks ? 44 + 0.71 * f->names : 58);
}

static void draw_x(const struct frame *f, struct eg_svg *svg)
{
    const struct eg_chart *c = f->chart;
    double bottom = f->top + f->height;
    char text[64];
    for (size_t i = 0; i < c->n_ticks; i++) {
        double x = place_x(f, (double)i);
        char *name = eg__text_fit(c->ticks[i], 12, 200);
        eg__svg_line(svg, x, bottom, x, bottom + 5, "eg-axis");
        eg__svg_label(svg, x + 4, bottom + 16, 12, -45, "eg-soft eg-end", name ? name : "");
        free(name);
    }
    double step = round_step(f->x1 - f->x0);
    if (c->whole_x) step = fmax(1, ceil(step));
    if (c->log_x) step = fmax(0.5, step);
    for (double k = ceil(f->x0 / step - 1e-9); !c->n_ticks && k * step <= f->x1 + step * 1e-6; k++) {
        double x = place_x(f, k * step);
        eg__svg_line(svg, x, bottom, x, bottom + 5, "eg-axis");
        snprintf(text, sizeof text, c->log_x ? "%.2g" : "%.6g",
                 c->log_x        ? pow(10, k * step)
                 : fabs(k) < 0.5 ? 0
                                 : k * step);
        eg__svg_label(svg, x, bottom + 21, 13, 0, "eg-soft eg-middle", text);
    }
    eg__svg_line(svg, f->left, bottom, f->left + f->width, bottom, "eg-axis");
    eg__svg_label(svg, f->left + f->width / 2, HEIGHT - 10, 14, 0, "eg-ink eg-middle", c->x_name);
}

static void draw_y(const struct frame *f, struct eg_svg *svg)
{
    const struct eg_chart *c = f->chart;
    double step = round_step(f->y1 - f->y0);
    char text[64];
    if (c->band[0] < c->band[1])
        eg__svg_rect(svg, f->left, place_y(f, c->band[1]), f->width,
                     place_y(f, c->band[0]) - place_y(f, c->band[1]), "eg-band");
    for (double k = ceil(f->y0 / step - 1e-9); k * step <= f->y1 + step * 1e-6; k++) {
        eg__svg_line(svg, f->left, place_y(f, k * step), f->left + f->width, place_y(f, k * step), "eg-grid");
        snprintf(text, sizeof text, "%.4g", fabs(k) < 0.5 ? 0 : k * step);
        eg__svg_label(svg, f->left - 8, place_y(f, k * step) + 5, 13, 0, "eg-soft eg-end", text);
    }
    if (!c->y_name) return;
    eg__svg_label(svg, 18, f->top + f->height / 2, 14, -90, "eg-ink eg-middle", c->y_name);
}

static void draw_bars(const struct frame *f, const struct eg_chart_series *s, size_t look, struct eg_svg *svg)
{
    char class[32];
    snprintf(class, sizeof class, "eg-f%zu", look % EG_SVG_COLOURS);
    double width = s->n ? 0.7 * f->width / (double)s->n : 0;
    eg__text_append(&svg->out, "<g opacity=\"0.35\">\n");
    for (size_t i = 0; i < s->n; i++) {
        if (!isfinite(s->y[i])) continue;
        double y = place_y(f, s->y[i]), bottom = place_y(f, f->y0);
        eg__svg_rect(svg, place_x(f, s->x[i]) - width / 2, y, width, bottom - y, class);
    }
    eg__text_append(&svg->out, "</g>\n");
}

static bool draw_line(const struct frame *f, const struct eg_chart_series *s, size_t look, struct eg_svg *svg)
{
    double(*points)[2] = eg__alloc(s->n + 1, sizeof *points);
    size_t n = 0;
    if (!points) return false;
    char class[32];
    snprintf(class, sizeof class, "eg-l%zu", look % EG_SVG_COLOURS);
    for (size_t i = 0; i < s->n; i++) {
        double x = at_x(f->chart, s->x[i]);
        if (!isfinite(x) || !isfinite(s->y[i])) continue;
        points[n][0] = place_x(f, x);
        points[n][1] = place_y(f, s->y[i]);
        if (s->low && s->high)
            eg__svg_line(svg, points[n][0], place_y(f, fmax(s->low[i], f->y0)), points[n][0],
                         place_y(f, fmin(s->high[i], f->y1)), class);
        n++;
    }
    const bool alone = s->kind == EG_SERIES_POINTS;
    if (!alone) eg__svg_curve(svg, (const double(*)[2])points, n, look, s->kind == EG_SERIES_THIN);
    for (size_t i = 0; i < n && (s->marks || alone || n == 1); i++)
        eg__svg_mark(svg, points[i][0], points[i][1], alone ? 3 : 4, look);
    free(points);
    return true;
}

static void draw_key(const struct frame *f, size_t place, const char *name, size_t look, bool band,
                     struct eg_svg *svg)
{
    double x = f->left + f->width + 20, y = f->top + KEY_LINE * (double)place;
    char *words = eg__text_fit(name, 13, MOST_KEY);
    double points[2][2] = {{x, y + 5}, {x + 24, y + 5}};
    const struct eg_chart_series *series = &f->chart->series[look];
    char class[32];
    snprintf(class, sizeof class, "eg-f%zu\" opacity=\"0.35", look % EG_SVG_COLOURS);
    if (!band && series->kind == EG_SERIES_BARS)
        eg__svg_rect(svg, x, y - 1, 24, 12, class);
    else if (band)
        eg__svg_rect(svg, x, y - 1, 24, 12, "eg-band");
    else
        eg__svg_curve(svg, (const double(*)[2])points, 2, look, false);
    eg__svg_label(svg, x + 30, y + 10, 13, 0, "eg-ink", words ? words : "");
    free(words);
}

static void draw_keys(const struct frame *f, struct eg_svg *svg)
{
    const struct eg_chart *c = f->chart;
    size_t place = 0;
    if (!keys_of(c)) return;
    if (c->key_title)
        eg__svg_label(svg, f->left + f->width + 20, f->top + 10 + KEY_LINE * (double)place++, 13, 0,
                      "eg-soft", c->key_title);
    for (size_t s = 0; s < c->n_series && place < MOST_KEYS; s++)
        if (c->series[s].name) draw_key(f, place++, c->series[s].name, s, false, svg);
    if (c->band[0] < c->band[1] && c->band_name) draw_key(f, place, c->band_name, 0, true, svg);
}

char *eg__chart_svg(const struct eg_chart *chart)
{
    struct frame f = {.chart = chart};
    struct eg_svg svg;
    find_limits(&f);
    lay_out(&f);
    eg__svg_begin(&svg, WIDTH, HEIGHT, chart->title);
    char *title = eg__text_fit(chart->title, 18, WIDTH - LEFT - RIGHT);
    eg__svg_label(&svg, f.left, 30, 18, 0, "eg-title", title ? title : "");
    free(title);
    draw_y(&f, &svg);
    draw_x(&f, &svg);
    if (chart->diagonal)
        eg__svg_line(&svg, place_x(&f, fmax(f.x0, f.y0)), place_y(&f, fmax(f.x0, f.y0)),
                     place_x(&f, fmin(f.x1, f.y1)), place_y(&f, fmin(f.x1, f.y1)), "eg-axis");
    bool good = true;
    for (size_t s = chart->n_series; s-- > 0;) /* the first on top */
        if (chart->series[s].kind == EG_SERIES_BARS)
            draw_bars(&f, &chart->series[s], s, &svg);
        else
            good &= draw_line(&f, &chart->series[s], s, &svg);
    if (chart->mark_name) {
        double x = place_x(&f, at_x(chart, chart->mark[0])), y = place_y(&f, chart->mark[1]);
        double room = eg__text_measure(chart->mark_name, 13) / 2;
        double at = fmin(fmax(x, f.left + room), f.left + f.width - room);
        eg__text_append(
            &svg.out,
            "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"8\" fill=\"none\" stroke-width=\"2\" class=\"eg-axis\"/>\n",
            x, y);
        eg__svg_label(&svg, at, y - 14 < f.top - 6 ? y + 26 : y - 14, 13, 0, "eg-title eg-middle",
                      chart->mark_name);
    }
    draw_keys(&f, &svg);
    if (!good) svg.out.failed = true;
    return eg__svg_end(&svg);
}
