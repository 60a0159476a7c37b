/* svg.c: marks of pictures as SVG. */
#include "draw/svg.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Series: of Okabe and Ito, some made darker on white and lighter on black until lines have a
 * contrast of 3 against the paper. */
static const char *const light[EG_SVG_COLOURS] = {"#0072b2", "#c84e00", "#008a63", "#b4578f",
                                                  "#a87400", "#2f86b8", "#6f6a00", "#555b63"};
static const char *const dark[EG_SVG_COLOURS] = {"#58aee6", "#ff9152", "#3fc79c", "#e6a0c6",
                                                 "#f0b73c", "#9bd3f2", "#d6cb52", "#b4bac2"};
static const char *const dashes[EG_SVG_COLOURS] = {"",    "7 3",     "2 3",  "9 3 2 3",
                                                   "4 4", "1 3 6 3", "12 4", "3 2 1 2"};

static void colours(struct eg_text *out, const char *const series[EG_SVG_COLOURS], const char *paper,
                    const char *ink, const char *soft, const char *grid, const char *axis, const char *band)
{
    eg__text_append(out,
                    ".eg-paper,.eg-on{fill:%s}.eg-ink,.eg-title{fill:%s}.eg-soft{fill:%s}.eg-grid{stroke:%s}"
                    ".eg-axis{stroke:%s}.eg-band{fill:%s}",
                    paper, ink, soft, grid, axis, band);
    for (size_t i = 0; i < EG_SVG_COLOURS; i++)
        eg__text_append(out, ".eg-l%zu{stroke:%s}.eg-f%zu{fill:%s}", i, series[i], i, series[i]);
}

static void style(struct eg_text *out)
{
    eg__text_append(out,
                    "<style>.eg-l{fill:none;stroke-width:2.2;stroke-linejoin:round}.eg-thin{stroke-width:1;"
                    "opacity:.45}.eg-grid,.eg-axis{stroke-width:1}.eg-title{font-weight:bold}"
                    ".eg-middle{text-anchor:middle}.eg-end{text-anchor:end}");
    colours(out, light, "#ffffff", "#1f2328", "#57606a", "#e1e5ea", "#8c959f", "#f3ead0");
    eg__text_append(out, "@media(prefers-color-scheme:dark){");
    colours(out, dark, "#0f1318", "#e6e9ee", "#a5adb8", "#2b323b", "#6f7985", "#3a3420");
    eg__text_append(out, "}@media print{");
    colours(out, light, "#ffffff", "#1f2328", "#57606a", "#e1e5ea", "#8c959f", "#f3ead0");
    eg__text_append(out, "}</style>\n");
}

void eg__svg_begin(struct eg_svg *svg, double width, double height, const char *title)
{
    *svg = (struct eg_svg){.width = width, .height = height};
    eg__text_append(&svg->out,
                    "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" width=\"%.0f\" "
                    "height=\"%.0f\" role=\"img\" font-family=\"Helvetica, Arial, 'Liberation Sans', 'DejaVu "
                    "Sans', sans-serif\">\n<title>",
                    width, height, width, height);
    eg__svg_words(svg, title);
    eg__text_append(&svg->out, "</title>\n");
    style(&svg->out);
    eg__svg_rect(svg, 0, 0, width, height, "eg-paper");
}

char *eg__svg_end(struct eg_svg *svg)
{
    eg__text_append(&svg->out, "</svg>\n");
    if (!svg->out.failed) return svg->out.chars;
    free(svg->out.chars);
    return NULL;
}

void eg__svg_line(struct eg_svg *svg, double x0, double y0, double x1, double y1, const char *class)
{
    eg__text_append(&svg->out, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" class=\"%s\"/>\n", x0,
                    y0, x1, y1, class);
}

void eg__svg_rect(struct eg_svg *svg, double x, double y, double width, double height, const char *class)
{
    eg__text_append(&svg->out, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" class=\"%s\"/>\n",
                    x, y, width, height, class);
}

void eg__svg_words(struct eg_svg *svg, const char *text)
{
    char *clean = eg__printable(text);
    if (!clean) svg->out.failed = true;
    for (const char *c = clean; c && *c; c++) {
        const char *entity = *c == '&' ? "&amp;" : *c == '<' ? "&lt;" : *c == '>' ? "&gt;" : NULL;
        if (entity)
            eg__text_append(&svg->out, "%s", entity);
        else
            eg__text_append_bytes(&svg->out, c, 1);
    }
    free(clean);
}

void eg__svg_label(struct eg_svg *svg, double x, double y, double size, double turned, const char *class,
                   const char *text)
{
    eg__text_append(&svg->out, "<text x=\"%.1f\" y=\"%.1f\" font-size=\"%.4g\" class=\"%s\"", x, y, size,
                    class);
    if (turned < 0 || turned > 0)
        eg__text_append(&svg->out, " transform=\"rotate(%.0f %.1f %.1f)\"", turned, x, y);
    eg__text_append(&svg->out, ">");
    eg__svg_words(svg, text);
    eg__text_append(&svg->out, "</text>\n");
}

void eg__svg_curve(struct eg_svg *svg, const double (*points)[2], size_t n, size_t series, bool thin)
{
    size_t look = series % EG_SVG_COLOURS;
    eg__text_append(&svg->out, "<polyline class=\"eg-l eg-l%zu%s\"", look, thin ? " eg-thin" : "");
    if (*dashes[look] && !thin) eg__text_append(&svg->out, " stroke-dasharray=\"%s\"", dashes[look]);
    eg__text_append(&svg->out, " points=\"");
    for (size_t i = 0; i < n; i++)
        eg__text_append(&svg->out, "%s%.1f,%.1f", i ? " " : "", points[i][0], points[i][1]);
    eg__text_append(&svg->out, "\"/>\n");
}

void eg__svg_mark(struct eg_svg *svg, double x, double y, double r, size_t series)
{
    size_t look = series % EG_SVG_COLOURS;
    struct eg_text *out = &svg->out;
    switch (series % 4) {
    case 0: eg__text_append(out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\"", x, y, r); break;
    case 1:
        eg__text_append(out, "<path d=\"M%.1f %.1fh%.1fv%.1fh%.1fz\"", x - r, y - r, 2 * r, 2 * r, -2 * r);
        break;
    case 2:
        eg__text_append(out, "<path d=\"M%.1f %.1fl%.1f %.1fh%.1fz\"", x, y - 1.2 * r, 1.2 * r, 2.2 * r,
                        -2.4 * r);
        break;
    default:
        eg__text_append(out, "<path d=\"M%.1f %.1fl%.1f %.1fl%.1f %.1fl%.1f %.1fz\"", x, y - 1.3 * r, 1.3 * r,
                        1.3 * r, -1.3 * r, 1.3 * r, -1.3 * r, -1.3 * r);
    }
    eg__text_append(out, " class=\"eg-f%zu\"/>\n", look);
}

/* Advance widths of ' ' to '~' in Helvetica, thousandths of the size; other fonts that may stand in
 * for it are up to an eighth wider. */
static const short advances[95] = {
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333,  278, 278, 556, 556, 556,
    556, 556, 556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667,
    611, 778, 722, 278, 500, 667, 556, 833, 722, 778, 667, 778, 722, 667,  611, 722, 667, 944, 667,
    667, 611, 278, 278, 278, 469, 556, 333, 556, 556, 500, 556, 556, 278,  556, 556, 222, 222, 500,
    222, 833, 556, 556, 556, 556, 333, 500, 278, 556, 500, 722, 500, 500,  500, 334, 260, 334, 584};

double eg__text_measure(const char *text, double size)
{
    double sum = 0;
    for (const char *c = text; *c;) {
        size_t n = eg__utf8_length(c);
        unsigned char first = (unsigned char)*c;
        if (n <= 1)
            sum += first >= ' ' && first <= '~' ? advances[first - ' '] : 1000;
        else
            sum += n == 2 ? 640 : n == 3 ? 1000 : 1250;
        c += n ? n : 1;
    }
    return 1.12 * size * sum / 1000;
}

char *eg__text_fit(const char *text, double size, double room)
{
    char *whole = eg__printable(text);
    if (!whole || eg__text_measure(whole, size) <= room) return whole;
    size_t length = strlen(whole), head = length, tail = length;
    char *made = malloc(length + 4);
    for (size_t keep = length; made && keep > 0; keep--) { /* more of the beginning than of the end */
        head = (2 * keep + 2) / 3;
        tail = length - (keep - head);
        while (head && (whole[head] & 0xc0) == 0x80) head--;
        while (tail < length && (whole[tail] & 0xc0) == 0x80) tail++;
        memcpy(made, whole, head);
        memcpy(made + head, "\xe2\x80\xa6", 3);
        memcpy(made + head + 3, whole + tail, length - tail + 1);
        if (eg__text_measure(made, size) <= room) break;
    }
    free(whole);
    return made;
}
