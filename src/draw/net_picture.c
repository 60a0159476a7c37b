/* net_picture.c: a network as the classic picture of one: each volume a block, its height and depth in
 * proportion to the pixels of its map, its thickness to the channels.
 *
 * A block stands on an axis through its middle. Its front is drawn as it is; what lies behind goes
 * up and to the right (oblique projection). Blocks are painted from left to right, so that each
 * hides what is behind it. Below, blocks with one map size share a caption. */
#include "draw/net_picture.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "draw/svg.h"

enum { WIDTH = 1280, MARGIN = 36, TALLEST = 290, TITLE = 84, FOOT = 56, LINE = 16, MOST_SLABS = 30 };

static const double SLANT_X = 0.34, SLANT_Y = 0.30; /* of a depth: how far right and up it goes */
static const double GAP = 7, STAGE_GAP = 18, CUT_GAP = 48;

static const struct {
    unsigned colour;
    const char *one, *more;
} kinds[] = {
#define KIND(name, colour, one, more) {colour, one, more},
    SLAB_KINDS(KIND)
#undef KIND
};
enum { N_KINDS = sizeof kinds / sizeof *kinds };

/* Slabs first..end-1 with one map size, and their caption. */
struct stage {
    size_t first, end;
    char volume[64], name[64], lines[5][64];
    size_t n_lines;
    double caption; /* width */
    double x, width;
};

struct drawing {
    const eg_net *net;
    const struct eg_net_picture *picture;
    struct slab *slabs;
    struct stage *stages;
    double *x; /* [n_slabs] where a block starts on the axis */
    size_t n_slabs, n_stages;
    double pixel, channel; /* units of the picture */
    double axis, captions, width, height;
};

/* ---- which slabs ------------------------------------------------------------------------ */

/* Mark what the cut leaves out. A slab with more behind the cut than it shows becomes two: the
 * volume at the cut, and its own. */
static bool mark_cut(struct drawing *d)
{
    size_t at = d->picture->cut_layer, i = 0;
    if (at == SIZE_MAX) return true;
    while (i + 1 < d->n_slabs && d->slabs[i].last < at) i++;
    struct extent shape = eg__extent_of(eg_net_layer(d->net, at).shape);
    const struct slab *slab = &d->slabs[i];
    bool same = shape.c == slab->shape.c && shape.h == slab->shape.h && shape.w == slab->shape.w;
    if (slab->last != at && !(same && at >= slab->made)) {
        struct slab *grown = realloc(d->slabs, (d->n_slabs + 1) * sizeof *grown);
        if (!grown) return false;
        memmove(grown + i + 1, grown + i, (d->n_slabs++ - i) * sizeof *grown);
        grown[i].part = grown[i + 1].part = 0.5;
        grown[i].shape = shape;
        grown[i].last = at;
        grown[i + 1].first = at + 1;
        d->slabs = grown;
    }
    while (++i < d->n_slabs) d->slabs[i].left_out = true;
    return true;
}

static bool alike(const struct slab *a, const struct slab *b)
{
    bool grows = a->kind == SLAB_DENSE || a->kind == SLAB_PARALLEL;
    return a->kind == b->kind && a->shape.h == b->shape.h && a->shape.w == b->shape.w &&
           (a->shape.c == b->shape.c || grows) && a->part == b->part && a->left_out == b->left_out;
}

/* Of every run of alike slabs the last `most` stay, the first of them stands for the others too. */
static size_t thin(const struct slab *slabs, size_t n, size_t most, struct slab *out)
{
    size_t count = 0;
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && alike(&slabs[i], &slabs[end]);) end++;
        size_t stay = end - i < most ? end - i : most;
        for (size_t k = end - stay; out && k < end; k++) {
            out[count + k - (end - stay)] = slabs[k];
            out[count + k - (end - stay)].repeat = k == end - stay ? end - i - stay + 1 : 1;
        }
        count += stay;
    }
    return count;
}

/* ---- what is written below ----------------------------------------------------------------- */

/* What one types to cut at a layer: the shortest of its names, and of its blocks' that mean it. */
static void short_name(const eg_net *net, size_t index, char *text, size_t size)
{
    struct eg_layer layer = eg_net_layer(net, index);
    size_t found, best = strlen(layer.name);
    snprintf(text, size, "%s", layer.name);
    for (size_t i = 0; i < layer.n_aliases; i++)
        if (strlen(layer.aliases[i]) < best) {
            best = strlen(layer.aliases[i]);
            snprintf(text, size, "%s", layer.aliases[i]);
        }
    char *block = strdup(layer.name), *dot;
    while (block && (dot = strrchr(block, '.'))) {
        *dot = '\0';
        if (strlen(block) < best && !eg_net_find(net, block, &found, NULL) && found == index) {
            best = strlen(block);
            snprintf(text, size, "%s", block);
        }
    }
    free(block);
}

/* Of a slab's layers that give the volume it shows: the default cut, or else the last. */
static size_t named_layer(const struct drawing *d, const struct slab *slab)
{
    const char *cut = eg_net_default_cut(d->net);
    size_t at, last = slab->last;
    if (cut && !eg_net_find(d->net, cut, &at, NULL) && at >= slab->first && at <= slab->last) return at;
    for (; last > slab->first; last--) {
        struct eg_layer layer = eg_net_layer(d->net, last);
        bool next_block = !strcmp(layer.op, "layer_norm"); /* a norm that comes first, as in ConvNeXt */
        struct extent a = eg__extent_of(layer.shape), b = slab->shape;
        if (!next_block && a.h == b.h && a.w == b.w && a.c == b.c) break;
    }
    return last;
}

/* "2 convolutions 3x3", "pooling", "23 residual blocks": slabs of a stage in their order, each kind once. */
static void describe(const struct drawing *d, struct stage *stage)
{
    bool done[N_KINDS] = {false};
    for (size_t i = stage->first; i < stage->end; i++) {
        const struct slab *slab = &d->slabs[i];
        if (done[slab->kind] || stage->n_lines == sizeof stage->lines / sizeof *stage->lines) continue;
        done[slab->kind] = true;
        double count = 0;
        bool one_kernel = slab->kernel > 0;
        for (size_t k = i; k < stage->end; k++) {
            if (d->slabs[k].kind != slab->kind) continue;
            count += (double)d->slabs[k].repeat * d->slabs[k].part;
            one_kernel &= d->slabs[k].kernel == slab->kernel;
        }
        char kernel[32] = "", *line = stage->lines[stage->n_lines++];
        if (one_kernel) snprintf(kernel, sizeof kernel, " %u×%u", slab->kernel, slab->kernel);
        if (count == 1)
            snprintf(line, sizeof *stage->lines, "%s%s", kinds[slab->kind].one, kernel);
        else
            snprintf(line, sizeof *stage->lines, "%g %s%s", count, kinds[slab->kind].more, kernel);
    }
}

/* "56 × 56 × 256"; vectors one behind the other: "4096 · 4096 · 1000". */
static void describe_volume(const struct drawing *d, struct stage *stage)
{
    struct extent shape = d->slabs[stage->end - 1].shape;
    if (shape.h * shape.w > 1) {
        snprintf(stage->volume, sizeof stage->volume, "%zu × %zu × %zu", shape.h, shape.w, shape.c);
        return;
    }
    size_t used = 0;
    for (size_t i = stage->first; i < stage->end && used + 24 < sizeof stage->volume; i++)
        used += (size_t)snprintf(stage->volume + used, sizeof stage->volume - used, "%s%zu",
                                 used ? " · " : "", d->slabs[i].shape.c);
}

static double text_room(const char *text, double size) { return eg__text_measure(text, size); }

static void caption(const struct drawing *d, struct stage *stage)
{
    describe_volume(d, stage);
    describe(d, stage);
    size_t named = named_layer(d, &d->slabs[stage->end - 1]);
    if (stage->first) short_name(d->net, named, stage->name, sizeof stage->name);
    stage->caption = fmax(text_room(stage->volume, 14.5), text_room(stage->name, 13));
    for (size_t i = 0; i < stage->n_lines; i++)
        stage->caption = fmax(stage->caption, text_room(stage->lines[i], 11));
}

/* ---- where everything stands ------------------------------------------------------------------ */

static double thickness(const struct drawing *d, const struct slab *slab)
{
    return fmax(2.5, d->channel * (double)slab->shape.c);
}

static double side(const struct drawing *d, size_t pixels) { return fmax(6, d->pixel * (double)pixels); }

/* Does the cut go before slab i? */
static bool cut_before(const struct drawing *d, size_t i)
{
    return i && d->slabs[i].left_out != d->slabs[i - 1].left_out;
}

/* Place the stages for one scale of the channels; gives the whole width. */
static double place(struct drawing *d)
{
    double x = MARGIN + SLANT_X / 2 * side(d, d->slabs[0].shape.w);
    for (size_t s = 0; s < d->n_stages; s++) {
        struct stage *stage = &d->stages[s];
        if (s) x += cut_before(d, stage->first) ? CUT_GAP : STAGE_GAP;
        double inner = 0;
        for (size_t i = stage->first; i < stage->end; i++) {
            if (i > stage->first) inner += cut_before(d, i) ? CUT_GAP : GAP;
            d->x[i] = x + inner;
            inner += thickness(d, &d->slabs[i]);
        }
        stage->x = x;
        stage->width = fmax(inner, stage->caption);
        for (size_t i = stage->first; i < stage->end; i++) d->x[i] += (stage->width - inner) / 2;
        x += stage->width;
    }
    return x + MARGIN;
}

static void lay_out(struct drawing *d)
{
    size_t tallest = 1, lines = 0;
    double highest = 0;
    for (size_t i = 0; i < d->n_slabs; i++) {
        if (d->slabs[i].shape.h > tallest) tallest = d->slabs[i].shape.h;
        if (d->slabs[i].shape.w > tallest) tallest = d->slabs[i].shape.w;
    }
    d->pixel = TALLEST / (double)tallest;
    for (size_t i = 0; i < d->n_slabs; i++)
        highest = fmax(highest, side(d, d->slabs[i].shape.h) + SLANT_Y * side(d, d->slabs[i].shape.w));
    for (size_t s = 0; s < d->n_stages; s++) {
        caption(d, &d->stages[s]);
        if (d->stages[s].n_lines > lines) lines = d->stages[s].n_lines;
    }
    double low = 0.02, high = 0.25;
    for (int i = 0; i < 40; i++) {
        d->channel = sqrt(low * high);
        *(place(d) > WIDTH ? &high : &low) = d->channel;
    }
    d->channel = low;
    d->width = fmax(WIDTH, place(d));
    d->axis = TITLE + 30 + highest / 2;
    d->captions = d->axis + highest / 2 + 16;
    d->height = d->captions + LINE * (double)(lines + 3) + FOOT;
}

/* ---- drawing ------------------------------------------------------------------------------------ */

static unsigned mixed(unsigned colour, unsigned with, double share)
{
    unsigned out = 0;
    for (unsigned shift = 0; shift < 24; shift += 8) {
        double a = (double)(colour >> shift & 255), b = (double)(with >> shift & 255);
        out |= (unsigned)lround(a + (b - a) * share) << shift;
    }
    return out;
}

static void quad(struct eg_svg *to, const double xy[8], unsigned fill)
{
    eg__text_append(&to->out, "<path d=\"M%.1f %.1fL%.1f %.1fL%.1f %.1fL%.1f %.1fZ\" fill=\"#%06x\"/>\n",
                    xy[0], xy[1], xy[2], xy[3], xy[4], xy[5], xy[6], xy[7], fill);
}

__attribute__((format(printf, 6, 7))) static void
label(struct eg_svg *to, double x, double y, const char *style, const char *class, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    eg__text_append(&to->out, "<text x=\"%.1f\" y=\"%.1f\" class=\"%s\"%s>", x, y, class, style);
    eg__svg_words(to, text);
    eg__text_append(&to->out, "</text>\n");
}

static void draw_block(const struct drawing *d, size_t i, struct eg_svg *to)
{
    const struct slab *slab = &d->slabs[i];
    unsigned colour = kinds[slab->kind].colour;
    double h = side(d, slab->shape.h), deep = side(d, slab->shape.w), t = thickness(d, slab);
    double right = SLANT_X * deep, up = SLANT_Y * deep;
    double x0 = d->x[i] - right / 2, x1 = x0 + t, y1 = d->axis + (h + up) / 2, y0 = y1 - h;
    quad(to, (double[]){x0, y0, x0 + right, y0 - up, x1 + right, y0 - up, x1, y0},
         mixed(colour, 0xffffff, 0.45));
    quad(to, (double[]){x1, y0, x1 + right, y0 - up, x1 + right, y1 - up, x1, y1},
         mixed(colour, 0x000000, 0.12));
    quad(to, (double[]){x0, y0, x1, y0, x1, y1, x0, y1}, mixed(colour, 0xffffff, 0.15));
    if (slab->repeat > 1) label(to, x0 + right + t / 2, y0 - up - 5, "", "count", "×%zu", slab->repeat);
}

static void draw_cut(const struct drawing *d, size_t kept, struct eg_svg *to)
{
    const struct slab *last = &d->slabs[kept - 1];
    double x = d->x[kept - 1] + thickness(d, last);
    x = kept < d->n_slabs ? (x + d->x[kept]) / 2 : x + CUT_GAP / 2;
    double size = fmin(fmax(side(d, last->shape.h) + 40, 130), TALLEST);
    double right = SLANT_X * size, up = SLANT_Y * size, x0 = x - right / 2, y1 = d->axis + (size + up) / 2;
    eg__text_append(
        &to->out,
        "<path class=\"cut\" d=\"M%.1f %.1fV%.1fL%.1f %.1fV%.1fZ\" fill=\"#c00\" fill-opacity=\"0.10\" "
        "stroke=\"#c00\" stroke-width=\"1.5\" stroke-dasharray=\"6 4\"/>\n",
        x0, y1, y1 - size, x0 + right, y1 - size - up, y1 - up);
    bool far = x > 0.75 * d->width;
    double at = far ? x0 + right : x, y = y1 - size - up - 12;
    const char *anchor = far ? " text-anchor=\"end\"" : " text-anchor=\"middle\"";
    char name[64];
    short_name(d->net, d->picture->cut_layer, name, sizeof name);
    label(to, at, y - LINE, anchor, "red", d->picture->cut ? "cut at %s" : "default cut: %s",
          d->picture->cut ? d->picture->cut : name);
    label(to, at, y, anchor, "red small", "%zu features", d->picture->n_features);
}

static void draw_caption(const struct drawing *d, const struct stage *stage, struct eg_svg *to)
{
    double x = stage->x + stage->width / 2, y = d->captions;
    eg__text_append(&to->out, "<path d=\"M%.1f %.1fv4H%.1fv-4\" fill=\"none\" stroke=\"#aaa\"/>\n", stage->x,
                    y, stage->x + stage->width);
    label(to, x, y += 22, "", "volume", "%s", stage->volume);
    for (size_t i = 0; i < stage->n_lines; i++) label(to, x, y += LINE, "", "content", "%s", stage->lines[i]);
    if (*stage->name) label(to, x, y + LINE, "", "name", "%s", stage->name);
}

/* "15.5 billion", "138 million", "3970" */
static const char *large_number(double value, char text[32])
{
    if (value >= 1e9)
        snprintf(text, 32, "%.3g billion", value / 1e9);
    else if (value >= 1e6)
        snprintf(text, 32, "%.3g million", value / 1e6);
    else
        snprintf(text, 32, "%.0f", value);
    return text;
}

static void draw_title(const struct drawing *d, struct eg_svg *to)
{
    const struct eg_net_picture *p = d->picture;
    label(to, MARGIN, 40, "", "title", "%s", eg_net_name(d->net));
    double parameters = (double)p->parameters, macs = (double)p->macs;
    double kept_parameters = (double)p->kept_parameters, kept_macs = (double)p->kept_macs;
    char first[32], second[32];
    label(to, MARGIN, 62, "", "sub", "%s parameters, %s multiply-adds an image",
          large_number(parameters, first), large_number(macs, second));
    if (p->cut && parameters > 0 && macs > 0)
        label(to, MARGIN, 80, "", "sub", "before the cut: %s (%.1f %%), %s (%.1f %%)",
              large_number(kept_parameters, first), 100 * kept_parameters / parameters,
              large_number(kept_macs, second), 100 * kept_macs / macs);
}

static void draw_legend(const struct drawing *d, struct eg_svg *to)
{
    double x = MARGIN, y = d->height - 24;
    for (size_t k = 0; k < N_KINDS; k++) {
        bool used = false;
        for (size_t i = 0; i < d->n_slabs; i++) used |= (size_t)d->slabs[i].kind == k;
        if (!used) continue;
        eg__text_append(&to->out, "<rect x=\"%.1f\" y=\"%.1f\" width=\"11\" height=\"11\" fill=\"#%06x\"/>\n",
                        x, y - 10, mixed(kinds[k].colour, 0xffffff, 0.15));
        label(to, x + 16, y, "", "key", "%s", kinds[k].one);
        x += 16 + text_room(kinds[k].one, 12) + 18;
    }
    label(to, d->width - MARGIN, y, " text-anchor=\"end\"", "key",
          "height and depth: pixels of the map; thickness: channels");
}

static void draw(const struct drawing *d, struct eg_svg *to)
{
    eg__text_append(
        &to->out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" width=\"%.0f\" height=\"%.0f\" "
        "font-family=\"Helvetica, Arial, 'DejaVu Sans', sans-serif\">\n"
        "<style>text{fill:#333;font-size:12px}.volume,.content,.name,.count{text-anchor:middle}"
        ".volume{font-size:13px;font-weight:bold}.content{font-size:11px;fill:#666}"
        ".name{font-family:monospace;fill:#1a5fb4}.count{font-weight:bold}"
        ".title{font-size:22px;font-weight:bold}.sub{font-size:13px;fill:#666}.key{fill:#666}"
        ".red{fill:#c00;font-weight:bold;font-size:14px}.small{font-weight:normal;font-size:12px}"
        "path{stroke-linejoin:round}.paper{fill:#fff}"
        "@media(prefers-color-scheme:dark){.paper{fill:#0f1318}text{fill:#e6e9ee}.sub,.key,.content{fill:#"
        "a5adb8}"
        ".name{fill:#7db7ff}.red{fill:#ff7b72}}</style>\n"
        "<rect width=\"100%%\" height=\"100%%\" class=\"paper\"/>\n",
        d->width, d->height, d->width, d->height);
    draw_title(d, to);
    size_t kept = 0;
    while (kept < d->n_slabs && !d->slabs[kept].left_out) kept++;
    bool marked = d->picture->cut_layer != SIZE_MAX;
    bool fade = d->picture->cut != NULL;
    eg__text_append(&to->out, "<g stroke=\"#fff\" stroke-width=\"0.6\">\n");
    for (size_t i = 0; i < kept; i++) draw_block(d, i, to);
    eg__text_append(&to->out, "</g>\n");
    if (marked) draw_cut(d, kept, to);
    eg__text_append(&to->out, "<g stroke=\"#fff\" stroke-width=\"0.6\"%s>\n",
                    fade ? " opacity=\"0.28\"" : "");
    for (size_t i = kept; i < d->n_slabs; i++) draw_block(d, i, to);
    eg__text_append(&to->out, "</g>\n");
    for (size_t s = 0; s < d->n_stages; s++) {
        bool gone = fade && d->slabs[d->stages[s].first].left_out;
        if (gone) eg__text_append(&to->out, "<g opacity=\"0.45\">\n");
        draw_caption(d, &d->stages[s], to);
        if (gone) eg__text_append(&to->out, "</g>\n");
    }
    draw_legend(d, to);
    eg__text_append(&to->out, "</svg>\n");
}

static bool make_stages(struct drawing *d)
{
    d->stages = eg__zalloc(d->n_slabs + 1, sizeof *d->stages);
    d->x = eg__zalloc(d->n_slabs + 1, sizeof *d->x);
    if (!d->stages || !d->x) return false;
    for (size_t i = 0; i < d->n_slabs; i++) {
        struct extent a = d->slabs[i].shape, b = d->slabs[i ? i - 1 : 0].shape;
        if (i < 2 || a.h != b.h || a.w != b.w || (d->picture->cut && cut_before(d, i)))
            d->stages[d->n_stages++].first = i;
        d->stages[d->n_stages - 1].end = i + 1;
    }
    return true;
}

char *eg_net_svg(const eg_net *net, const struct eg_net_picture *picture)
{
    struct drawing d = {.net = net, .picture = picture};
    struct eg_svg svg = {0};
    size_t n = 0, most = 64;
    bool good = (d.slabs = eg__slabs_of(net, &d.n_slabs)) && mark_cut(&d);
    struct slab *thinned = NULL;
    if (good) {
        while (most > 1 && (n = thin(d.slabs, d.n_slabs, most, NULL)) > MOST_SLABS) most /= 2;
        thinned = eg__zalloc(d.n_slabs + 1, sizeof *thinned);
        good = thinned != NULL;
    }
    if (good) {
        d.n_slabs = thin(d.slabs, d.n_slabs, most, thinned);
        free(d.slabs);
        d.slabs = thinned;
        good = make_stages(&d);
    }
    if (good) {
        lay_out(&d);
        draw(&d, &svg);
    }
    free(d.slabs);
    free(d.stages);
    free(d.x);
    if (good && !svg.out.failed) return svg.out.chars;
    free(svg.out.chars);
    return NULL;
}
