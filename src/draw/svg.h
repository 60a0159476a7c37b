/* svg.h: the vocabulary of pictures. A mark has a class, whose colours follow light and dark and
 * print light; colours are told apart by people who do not see them all (Okabe, Ito 2008), and lines
 * differ in their dashes and marks too. Text is measured before it is placed. */
#ifndef EG_DRAW_SVG_H
#define EG_DRAW_SVG_H

#include "base/text.h"
#include "engraft.h"

enum { EG_SVG_COLOURS = 8 };

struct eg_svg {
    struct eg_text out;
    double width, height;
};

/* title: what a screen reader says. */
void eg__svg_begin(struct eg_svg *svg, double width, double height, const char *title);
/* The document; free() it; NULL: no memory. */
char *eg__svg_end(struct eg_svg *svg);

/* Classes of lines and areas: "eg-grid", "eg-axis", "eg-band"; of text: "eg-ink", "eg-soft",
 * "eg-title", with "eg-middle" or "eg-end" for what stands at x. */
void eg__svg_line(struct eg_svg *svg, double x0, double y0, double x1, double y1, const char *class);
void eg__svg_rect(struct eg_svg *svg, double x, double y, double width, double height, const char *class);
/* turned: degrees around (x, y). */
void eg__svg_label(struct eg_svg *svg, double x, double y, double size, double turned, const char *class,
                   const char *text);
/* Escaped; what is not printable UTF-8 becomes \xNN. */
void eg__svg_words(struct eg_svg *svg, const char *text);

/* The n-th series: a line through points, and a mark. */
void eg__svg_curve(struct eg_svg *svg, const double (*points)[2], size_t n, size_t series, bool thin);
void eg__svg_mark(struct eg_svg *svg, double x, double y, double size, size_t series);

/* Width in pixels, at least, of UTF-8 in a sans-serif font. */
double eg__text_measure(const char *text, double size);
/* The text, its middle left out where it is longer than `room`; free() it; NULL: no memory. */
char *eg__text_fit(const char *text, double size, double room);

#endif
