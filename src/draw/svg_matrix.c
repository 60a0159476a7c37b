/* svg_matrix.c: a confusion matrix. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "draw/svg.h"
#include "draw/svg_chart.h"

enum { MOST_NUMBERS = 32, MOST_LISTED = 10 };
static const double MOST_NAME = 190, MARGIN = 24, TOP = 64;

struct matrix {
    const char *const *names;
    const size_t *counts;
    size_t n;
    double cell, left, top, letter; /* letter: size of the names */
};

static void draw_cell(const struct matrix *m, size_t t, size_t p, size_t row, struct eg_svg *svg)
{
    size_t count = m->counts[t * m->n + p];
    if (!count) return;
    double share = (double)count / (double)row, x = m->left + m->cell * (double)p,
           y = m->top + m->cell * (double)t;
    double least = m->n > MOST_NUMBERS ? 0.5 : 0.12, strength = least + (1 - least) * share;
    eg__text_append(&svg->out, "<g><title>");
    eg__svg_words(svg, m->names[t]);
    eg__text_append(&svg->out, " \xe2\x86\x92 ");
    eg__svg_words(svg, m->names[p]);
    eg__text_append(&svg->out,
                    ": %zu</title><rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" class=\"%s\" "
                    "fill-opacity=\"%.2f\"/>\n",
                    count, x, y, m->cell, m->cell, t == p ? "eg-f0" : "eg-f1", strength);
    if (m->n <= MOST_NUMBERS) {
        char text[32];
        snprintf(text, sizeof text, "%zu", count);
        double size = fmin(m->cell * 0.42, 1.6 * m->cell / (double)(strlen(text) + 1));
        eg__svg_label(svg, x + m->cell / 2, y + m->cell / 2 + size * 0.36, fmin(size, 15), 0,
                      strength > 0.62 ? "eg-on eg-middle" : "eg-ink eg-middle", text);
    }
    eg__text_append(&svg->out, "</g>\n");
}

static void draw_names(const struct matrix *m, struct eg_svg *svg)
{
    for (size_t i = 0; i < m->n && m->letter > 0; i++) {
        char *name = eg__text_fit(m->names[i], m->letter, MOST_NAME);
        double at = m->cell * ((double)i + 0.5);
        eg__svg_label(svg, m->left - 6, m->top + at + m->letter * 0.36, m->letter, 0, "eg-ink eg-end",
                      name ? name : "");
        eg__svg_label(svg, m->left + at + m->letter * 0.36, m->top - 6, m->letter, -90, "eg-ink",
                      name ? name : "");
        free(name);
    }
}

static void draw_grid(const struct matrix *m, struct eg_svg *svg)
{
    double side = m->cell * (double)m->n;
    size_t every = m->n > MOST_NUMBERS ? (m->n + 9) / 10 : 1;
    for (size_t i = 0; i <= m->n; i++) {
        if (i % every && i < m->n) continue;
        double at = m->cell * (double)i;
        eg__svg_line(svg, m->left, m->top + at, m->left + side, m->top + at, "eg-grid");
        eg__svg_line(svg, m->left + at, m->top, m->left + at, m->top + side, "eg-grid");
    }
}

/* The largest that are not on the diagonal, one a line; gives how many. */
static size_t list_largest(const struct matrix *m, double y, struct eg_svg *svg)
{
    size_t below = SIZE_MAX, last = 0, n = 0;
    for (; n < MOST_LISTED; n++) {
        size_t best = SIZE_MAX;
        for (size_t i = 0; i < m->n * m->n; i++) {
            size_t count = m->counts[i];
            bool next = count < below || (count == below && i > last);
            if (count && i / m->n != i % m->n && next && (best == SIZE_MAX || count > m->counts[best]))
                best = i;
        }
        if (best == SIZE_MAX) break;
        below = m->counts[best];
        last = best;
        if (!svg) continue;
        char *from = eg__text_fit(m->names[best / m->n], 13, 330),
             *to = eg__text_fit(m->names[best % m->n], 13, 330);
        struct eg_text line = {0};
        eg__text_append(&line, "%s \xe2\x86\x92 %s: %zu", from ? from : "?", to ? to : "?", below);
        eg__svg_label(svg, MARGIN, y + 20 * (double)n, 13, 0, "eg-ink", line.chars ? line.chars : "");
        free(line.chars);
        free(from);
        free(to);
    }
    return n;
}

char *eg__matrix_svg(const char *title, const char *const *names, const size_t *counts, size_t n)
{
    struct matrix m = {.names = names, .counts = counts, .n = n};
    struct eg_svg svg;
    double longest = 0;
    m.cell = fmin(fmax(640.0 / (double)(n ? n : 1), 3), 56);
    m.letter = m.cell >= 10 ? fmin(13, m.cell * 0.8) : 0;
    for (size_t i = 0; i < n && m.letter > 0; i++)
        longest = fmax(longest, fmin(eg__text_measure(names[i], m.letter), MOST_NAME));
    m.left = MARGIN + 22 + longest + 8;
    m.top = TOP + 20 + longest + 8;
    double side = m.cell * (double)n;
    size_t listed = n > MOST_NUMBERS ? list_largest(&m, 0, NULL) : 0;
    double foot = listed ? 44 + 20 * (double)listed : 0;
    double width =
        fmax(fmax(m.left + side + MARGIN, eg__text_measure(title, 18) + 2 * MARGIN), listed ? 760 : 360);
    width = fmin(width, fmax(m.left + side + MARGIN, 960));
    eg__svg_begin(&svg, width, m.top + side + MARGIN + foot, title);
    char *words = eg__text_fit(title, 18, width - 2 * MARGIN);
    eg__svg_label(&svg, MARGIN, 32, 18, 0, "eg-title", words ? words : "");
    free(words);
    eg__svg_label(&svg, m.left + side / 2, TOP + 6, 13, 0, "eg-soft eg-middle", "answer");
    eg__svg_label(&svg, MARGIN + 8, m.top + side / 2, 13, -90, "eg-soft eg-middle", "truth");
    draw_grid(&m, &svg);
    for (size_t t = 0; t < n; t++) {
        size_t row = 0;
        for (size_t p = 0; p < n; p++) row += counts[t * n + p];
        for (size_t p = 0; p < n; p++) draw_cell(&m, t, p, row, &svg);
    }
    draw_names(&m, &svg);
    if (listed) {
        eg__svg_label(&svg, MARGIN, m.top + side + 38, 14, 0, "eg-title", "most often confused");
        list_largest(&m, m.top + side + 60, &svg);
    }
    return eg__svg_end(&svg);
}
