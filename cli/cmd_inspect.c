/* engraft inspect: every layer of a network, and where it can be cut. */
#include <stdlib.h>
#include <string.h>

#include "cli.h"

static const char bold[] = "\033[1m", dim[] = "\033[2m", red[] = "\033[1;31m", green[] = "\033[1;32m",
                  yellow[] = "\033[33m", cyan[] = "\033[36m", plain[] = "\033[0m";

/* "3x3/2 p1": kernel, stride, padding; "p0,1" where top/left and bottom/right differ. */
static void window_text(const struct eg_layer *layer, char text[32])
{
    *text = '\0';
    if (!layer->kernel[0]) return;
    int n = snprintf(text, 32, "%ux%u/%u", layer->kernel[0], layer->kernel[1], layer->stride[0]);
    const uint32_t *p = layer->padding;
    if (p[0] != p[2] || p[1] != p[3])
        n += snprintf(text + n, 32 - (size_t)n, " p%u,%u", p[0], p[2]);
    else if (p[0] != p[1])
        n += snprintf(text + n, 32 - (size_t)n, " p%ux%u", p[0], p[1]);
    else if (p[0])
        n += snprintf(text + n, 32 - (size_t)n, " p%u", p[0]);
    if (layer->groups > 1 && layer->groups == extent_of(layer->shape).c)
        snprintf(text + n, 32 - (size_t)n, " dw");
    else if (layer->groups > 1)
        snprintf(text + n, 32 - (size_t)n, " g%u", layer->groups);
}

static char *short_number(uint64_t value, char text[16])
{
    static const char units[] = " KMGT";
    double v = (double)value;
    size_t unit = 0;
    while (v >= 999.5 && unit < 4) {
        v /= 1000;
        unit++;
    }
    if (!value)
        snprintf(text, 16, "-");
    else if (!unit)
        snprintf(text, 16, "%.0f", v);
    else
        snprintf(text, 16, v < 9.995 ? "%.2f%c" : v < 99.95 ? "%.1f%c" : "%.0f%c", v, units[unit]);
    return text;
}

/* The name as people type it: the file's, and the shortest others beside it where there is room. */
static void full_name(const struct eg_layer *layer, size_t room, char *text, size_t size)
{
    size_t used = (size_t)snprintf(text, size, "%s", layer->name), shown = 0;
    for (size_t length = 1; used + 1 + length <= room; length++)
        for (size_t i = 0; i < layer->n_aliases; i++)
            if (strlen(layer->aliases[i]) == length && used + (shown ? 1 : 2) + length <= room)
                used += (size_t)snprintf(text + used, size - used, "%s%s", shown++ ? " " : "  ",
                                         layer->aliases[i]);
}

/* "212/32": pixels a value sees, and pixels to the next; of two sides the longer. */
static void field_text(const struct eg_layer *layer, char text[32])
{
    uint32_t field = layer->field[0] > layer->field[1] ? layer->field[0] : layer->field[1];
    uint32_t jump = layer->jump[0] > layer->jump[1] ? layer->jump[0] : layer->jump[1];
    if (extent_of(layer->shape).h * extent_of(layer->shape).w > 1)
        snprintf(text, 32, "%u/%u", field, jump);
    else
        snprintf(text, 32, "%u", field);
}

static size_t feature_length(const struct eg_layer *layer)
{
    return extent_of(layer->shape).h * extent_of(layer->shape).w * extent_of(layer->shape).c;
}

/* The table: as many columns as the terminal has and the names need; below 100 without what the
 * layers take in and see. */
struct table {
    FILE *to;
    bool colour, whole;
    int index_width;
    size_t name_width;
};

static struct table table_of(struct invocation *in, const eg_net *net)
{
    enum { WHOLE = 100, OTHERS = 75, LEFT_OUT = 20, LEAST = 22 };
    size_t n = eg_net_layer_count(net), longest = 0, columns = terminal_columns(stdout);
    struct table table = {in->out, colour_on(stdout), columns >= WHOLE, n > 1000 ? 4 : 3, 0};
    for (size_t i = 0; i < n; i++) {
        size_t length = strlen(eg_net_layer(net, i).name);
        if (length > longest) longest = length;
    }
    size_t others = OTHERS + (size_t)table.index_width - (table.whole ? 0 : LEFT_OUT);
    size_t room = columns > others + 10 ? columns - others : 10, least = LEAST < room ? LEAST : room;
    table.name_width = longest < least ? least : longest < room ? longest : room;
    return table;
}

static const char *row_colour(const struct eg_layer *layer, bool is_cut)
{
    if (is_cut) return green;
    if (strstr(layer->op, "pool")) return yellow;
    if (layer->macs) return plain;
    return layer->n_inputs > 1 ? cyan : dim;
}

static void print_row(const struct table *table, const eg_net *net, size_t index, const char *colour,
                      bool is_cut)
{
    struct eg_layer layer = eg_net_layer(net, index);
    char window[32], volume[64], number[16], field[32], name[256], work[80];
    FILE *to = table->to;
    window_text(&layer, window);
    full_name(&layer, table->name_width, name, sizeof name);
    char *shown = printable(name);
    if (table->colour) fputs(colour, to);
    fprintf(to, "%*zu ", table->index_width, index);
    print_padded(to, shown ? shown : "?", table->name_width, true);
    fputc(' ', to);
    snprintf(work, sizeof work, strlen(window) > 9 ? "%s %s" : "%-10s %s", layer.op, window);
    print_padded(to, work, 20, false);
    if (table->whole)
        fprintf(to, " %11s",
                layer.n_inputs ? volume_text(eg_net_layer(net, layer.inputs[0]).shape, volume) : "");
    fprintf(to, " %11s", volume_text(layer.shape, volume));
    fprintf(to, " %5s", short_number(layer.parameters, number));
    fprintf(to, " %5s", short_number(layer.macs, number));
    field_text(&layer, field);
    if (table->whole) fprintf(to, " %7s", field);
    if (layer.cut) fprintf(to, " %7zu%s", feature_length(&layer), is_cut ? "*" : "");
    if (table->colour) fputs(plain, to);
    fputc('\n', to);
    free(shown);
}

static void print_head(const struct table *table)
{
    if (table->colour) fputs(bold, table->to);
    fprintf(table->to, "%*s ", table->index_width, "#");
    print_padded(table->to, "layer", table->name_width, false);
    fprintf(table->to, " %-10s %-9s", "operator", "window");
    if (table->whole) fprintf(table->to, " %11s", "input");
    fprintf(table->to, " %11s %5s %5s", "output", "param", "macs");
    if (table->whole) fprintf(table->to, " %7s", "field");
    fprintf(table->to, " %7s", "length");
    if (table->colour) fputs(plain, table->to);
    fputc('\n', table->to);
}

/* ---- the network, and what a cut leaves out of it -------------------------------------- */

/* whole       the network before the cut; NULL: there is no cut
 * kept        [layers of whole] */
struct totals {
    uint64_t parameters, macs;
};

struct view {
    const eg_net *net, *whole;
    const char *cut;
    bool *kept;
    size_t default_cut;
    struct totals totals, all;
};

static struct totals totals_of(const eg_net *net)
{
    struct totals totals = {0, 0};
    for (size_t i = 0; i < eg_net_layer_count(net); i++) {
        struct eg_layer layer = eg_net_layer(net, i);
        totals.parameters += layer.parameters;
        totals.macs += layer.macs;
    }
    return totals;
}

static bool look(struct view *view)
{
    const char *cut = eg_net_default_cut(view->net);
    if (!cut || eg_net_find(view->net, cut, &view->default_cut, NULL)) view->default_cut = SIZE_MAX;
    view->totals = view->all = totals_of(view->net);
    if (!view->whole) return true;
    size_t n = eg_net_layer_count(view->whole), at;
    view->all = totals_of(view->whole);
    if (!(view->kept = calloc(n, sizeof *view->kept))) return false;
    for (size_t i = 0; i < n; i++) {
        const char *name = eg_net_layer(view->whole, i).name;
        view->kept[i] =
            !eg_net_find(view->net, name, &at, NULL) && !strcmp(eg_net_layer(view->net, at).name, name);
    }
    return true;
}

static void print_layers(struct invocation *in, const struct view *view)
{
    struct table table = table_of(in, view->whole ? view->whole : view->net);
    print_head(&table);
    for (size_t i = 0; i < eg_net_layer_count(view->net); i++) {
        struct eg_layer layer = eg_net_layer(view->net, i);
        bool is_cut = i == view->default_cut;
        print_row(&table, view->net, i, row_colour(&layer, is_cut), is_cut);
    }
    if (!view->whole) return;
    struct eg_layer last = eg_net_layer(view->net, eg_net_layer_count(view->net) - 1);
    char *cut = printable(view->cut);
    if (table.colour) fputs(red, table.to);
    fprintf(table.to, "--- cut at %s: ", cut ? cut : "?");
    print_count(table.to, feature_length(&last), 0);
    fprintf(table.to, " features; below, what it leaves out ---%s\n", table.colour ? plain : "");
    for (size_t i = 0; i < eg_net_layer_count(view->whole); i++)
        if (!view->kept[i]) print_row(&table, view->whole, i, dim, false);
    free(cut);
}

/* ---- blocks ------------------------------------------------------------------------------ */

/* Of "layers.3.blocks.1.attn" or "/layers/layers.3/attn/Add" the "layers.3": up to the first number, which is
 * not the last of it. False: there is none. */
static bool block_of(const char *name, char block[96])
{
    const char *begin = name;
    for (const char *at = name; *at; at++) {
        if (*at == '/') begin = at + 1;
        const bool numbered = *at == '_' && at - begin >= 5 && !strncmp(at - 5, "layer", 5);
        if ((*at != '.' && !numbered) || at == begin) continue;
        const size_t digits = strspn(at + 1, "0123456789"), length = (size_t)(at - begin) + 1 + digits;
        if (!digits || (begin[length] != '.' && begin[length] != '/') || length >= 96) continue;
        snprintf(block, 96, "%.*s", (int)length, begin);
        return true;
    }
    return false;
}

/* Blocks one behind the other that differ in their numbers only. */
struct block_run {
    char first[96], last[96], volume[64];
};

static void print_run(FILE *to, const struct block_run *run, const char *before)
{
    char *first = printable(run->first), *last = printable(run->last);
    fprintf(to, "%s%s", before, first ? first : "?");
    if (strcmp(run->first, run->last)) fprintf(to, " to %s", last ? last : "?");
    fprintf(to, " (%s)", run->volume);
    free(first);
    free(last);
}

static bool goes_on(const struct block_run *run, const char *block, const char *volume)
{
    size_t stem = strlen(run->last), other = strlen(block);
    while (stem && strchr("0123456789", run->last[stem - 1])) stem--;
    while (other && strchr("0123456789", block[other - 1])) other--;
    return stem == other && !strncmp(run->last, block, stem) && !strcmp(run->volume, volume);
}

/* What a cut by a block's name is of. */
static void print_blocks(FILE *to, const eg_net *net)
{
    char block[96], volume[64];
    struct block_run run = {.first = ""};
    const char *before = "blocks: ";
    for (size_t i = 0, at; i < eg_net_layer_count(net); i++) {
        if (!block_of(eg_net_layer(net, i).name, block) || !strcmp(block, run.last)) continue;
        if (eg_net_find(net, block, &at, NULL) || !eg_net_layer(net, at).cut) continue;
        volume_text(eg_net_layer(net, at).shape, volume);
        if (!*run.first || !goes_on(&run, block, volume)) {
            if (*run.first) print_run(to, &run, before);
            if (*run.first) before = ", ";
            snprintf(run.first, sizeof run.first, "%s", block);
            snprintf(run.volume, sizeof run.volume, "%s", volume);
        }
        snprintf(run.last, sizeof run.last, "%s", block);
    }
    if (!*run.first) return;
    print_run(to, &run, before);
    fprintf(to, "; a block's name is a cut, at its output\n");
}

static void print_part(FILE *to, uint64_t part, uint64_t whole, const char *what, bool cut)
{
    print_count(to, part, 0);
    if (cut) fprintf(to, " of ");
    if (cut) print_count(to, whole, 0);
    fprintf(to, " %s", what);
    if (cut && whole) fprintf(to, " (%.1f %%)", 100.0 * (double)part / (double)whole);
}

static void print_summary(struct invocation *in, const struct view *view)
{
    FILE *to = in->out;
    const eg_net *net = view->net;
    char *name = printable(eg_net_name(net)), volume[64];
    fprintf(to, "\n%s: ", name ? name : "?");
    free(name);
    print_part(to, view->totals.parameters, view->all.parameters, "parameters", view->whole);
    fprintf(to, view->whole ? ",\n  " : ", ");
    print_part(to, view->totals.macs, view->all.macs, "multiply-adds an image", view->whole);
    fputc('\n', to);
    fprintf(to, "input:  %s", volume_text(eg_net_layer(net, 0).shape, volume));
    const struct eg_recipe *recipe = eg_net_recipe(net);
    fputs(recipe ? "\nrecipe: " : "; no recipe: photos need --preprocess\n", to);
    if (recipe) print_recipe(to, recipe, 8);
    print_blocks(to, net);
    if (view->default_cut != SIZE_MAX) {
        struct eg_layer layer = eg_net_layer(net, view->default_cut);
        fprintf(to, "default cut (*): %s (#%zu), ", layer.name, view->default_cut);
        print_count(to, feature_length(&layer), 0);
        fprintf(to, " features; every row with a length can be cut\n");
    }
    if (!eg_net_unread(net)) return;
    char *why = printable(eg_net_unread(net));
    fprintf(to, "read no further than this, for %s\n", why ? why : "?");
    fprintf(to, "every row with a length can be cut; without --cut nothing can be run\n");
    free(why);
}

/* The whole network, with the cut marked: the one asked for or else the default one. */
static int draw(struct invocation *in, const struct view *view, const char *path)
{
    const eg_net *net = view->whole ? view->whole : view->net;
    struct eg_net_picture picture = {.cut = view->cut,
                                     .cut_layer = view->default_cut,
                                     .parameters = view->all.parameters,
                                     .macs = view->all.macs,
                                     .kept_parameters = view->totals.parameters,
                                     .kept_macs = view->totals.macs};
    for (size_t i = 0; view->whole && i < eg_net_layer_count(net); i++)
        if (view->kept[i]) picture.cut_layer = i; /* the last one kept */
    struct eg_layer cut = {.n_inputs = 0};
    if (view->whole) cut = eg_net_layer(view->net, eg_net_layer_count(view->net) - 1);
    if (!view->whole && picture.cut_layer != SIZE_MAX) cut = eg_net_layer(net, picture.cut_layer);
    picture.n_features = feature_length(&cut);
    return write_svg(in, path, eg_net_svg(net, &picture));
}

static int show(struct invocation *in, struct view *view)
{
    if (!look(view)) {
        tell(in, "out of memory");
        return EXIT_FAILED;
    }
    if (option_flag(in, "json")) {
        print_text(in, eg_net_json(view->net, view->whole));
    } else {
        print_layers(in, view);
        print_summary(in, view);
    }
    const char *svg = option_text(in, "svg");
    int code = svg ? draw(in, view, svg) : EXIT_DONE;
    free(view->kept);
    return code;
}

static int run(struct invocation *in)
{
    struct eg_net_options net_options;
    char *folders = NULL;
    int code = option_given(in, "svg") ? check_output(in, option_text(in, "svg")) : EXIT_DONE;
    if (!code) code = model_options(in, &net_options, &folders);
    if (code) return code;
    net_options.no_weights = true;
    struct eg_error err;
    eg_net *net = NULL, *cut_net = NULL;
    enum eg_status status = eg_net_load(in->operands[0], &net_options, &net, &err);
    const char *cut = option_text(in, "cut");
    if (!status && (cut || net_options.height)) status = eg_net_cut(net, cut, &cut_net, &err);
    struct view view = {.net = cut_net ? cut_net : net, .whole = cut ? net : NULL, .cut = cut};
    code = status ? report_error(in, status, &err) : check_trunk(in, in->operands[0], net);
    if (!code) code = show(in, &view);
    eg_net_free(cut_net);
    eg_net_free(net);
    free(folders);
    return code;
}

static const struct option_row options[] = {
    {OPTION_TEXT, "cut", 0, "CUT[:POOL]", NULL, 0, 0, false, "show the network as it is after this cut"},
    {OPTION_TEXT, "svg", 0, "FILE", NULL, 0, 0, false, "draw the volumes as blocks, the cut marked"},
    OPTION_FORCE_ROW,
    OPTION_JSON_ROW,
    OPTION_MODEL_ROWS,
    {0},
};

const struct command command_inspect = {
    .name = "inspect",
    .summary = "every layer of a network: volumes, parameters, multiply-adds, and where it can be cut",
    .operands = "MODEL",
    .details =
        "A built-in network needs no weights for this. The window column reads kernel/stride, p padding "
        "(top,bottom where they differ), g groups, dw depthwise; the field column (from 100 columns on) the "
        "receptive field, pixels a value sees/pixels to the next value; the length column the features that "
        "a cut there "
        "gives, flattened. With --cut the layers that it leaves out are listed below.",
    .example = "engraft inspect efficientnet-lite0",
    .options = options,
    .run = run,
};
