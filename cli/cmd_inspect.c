/* engraft inspect: every layer of a network, and where it can be cut. */
#include <stdlib.h>
#include <string.h>

#include "cli.h"

static const char bold[] = "\033[1m", green[] = "\033[32m", plain[] = "\033[0m";

static struct eg_shape input_shape(const eg_net *net, const struct eg_layer *layer, size_t i)
{
    return i < layer->n_inputs ? eg_net_layer(net, layer->inputs[i]).shape : layer->shape;
}

static json_t *layer_json(const eg_net *net, size_t index)
{
    struct eg_layer layer = eg_net_layer(net, index);
    json_t *aliases = json_array(), *inputs = json_array(), *shapes = json_array();
    for (size_t i = 0; i < layer.n_aliases; i++) json_array_append_new(aliases, json_text(layer.aliases[i]));
    for (size_t i = 0; i < layer.n_inputs; i++) {
        json_array_append_new(inputs, json_integer(layer.inputs[i]));
        json_array_append_new(shapes, json_shape(input_shape(net, &layer, i)));
    }
    json_t *json = json_pack("{s:I,s:o,s:o,s:s,s:o,s:o,s:o,s:o,s:I,s:I,s:b,s:I}", "index", (json_int_t)index,
                             "name", json_text(layer.name), "aliases", aliases, "op", layer.op, "inputs",
                             inputs, "input_shape", json_shape(input_shape(net, &layer, 0)), "input_shapes",
                             shapes, "output_shape", json_shape(layer.shape), "parameters",
                             (json_int_t)layer.parameters, "macs", (json_int_t)layer.macs, "cut", layer.cut,
                             "feature_length", (json_int_t)(layer.shape.h * layer.shape.w * layer.shape.c));
    if (layer.kernel[0])
        json_object_update_new(
            json, json_pack("{s:[i,i],s:[i,i],s:[i,i],s:[i,i,i,i],s:i}", "kernel", layer.kernel[0],
                            layer.kernel[1], "stride", layer.stride[0], layer.stride[1], "dilation",
                            layer.dilation[0], layer.dilation[1], "padding", layer.padding[0],
                            layer.padding[1], layer.padding[2], layer.padding[3], "groups", layer.groups));
    return json;
}

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
    if (layer->groups > 1 && layer->groups == layer->shape.c)
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
static void full_name(const struct eg_layer *layer, char *text, size_t size)
{
    enum { ROOM = 26 };
    size_t used = (size_t)snprintf(text, size, "%s", layer->name), shown = 0;
    for (size_t length = 1; used + 1 + length <= ROOM; length++)
        for (size_t i = 0; i < layer->n_aliases; i++)
            if (strlen(layer->aliases[i]) == length && used + (shown ? 1 : 2) + length <= ROOM)
                used += (size_t)snprintf(text + used, size - used, "%s%s", shown++ ? " " : "  ",
                                         layer->aliases[i]);
}

static void print_layers(struct invocation *in, const eg_net *net, size_t default_cut)
{
    bool colour = colour_on(stdout);
    FILE *to = in->out;
    fprintf(to, "%s%4s %-26s %-10s %-10s %11s %11s %6s %6s %8s%s\n", colour ? bold : "", "#", "layer",
            "operator", "window", "input", "output", "params", "macs", "features", colour ? plain : "");
    for (size_t i = 0; i < eg_net_layer_count(net); i++) {
        struct eg_layer layer = eg_net_layer(net, i);
        char window[32], volume[64], number[16], name[256];
        window_text(&layer, window);
        full_name(&layer, name, sizeof name);
        char *shown = printable(name);
        if (i == default_cut && colour) fputs(green, to);
        fprintf(to, "%4zu ", i);
        print_padded(to, shown ? shown : "?", 26, true);
        fputc(' ', to);
        char work[80];
        snprintf(work, sizeof work, strlen(window) > 10 ? "%s %s" : "%-10s %s", layer.op, window);
        print_padded(to, work, 21, true);
        fprintf(to, " %11s", layer.n_inputs ? volume_text(input_shape(net, &layer, 0), volume) : "");
        fprintf(to, " %11s", volume_text(layer.shape, volume));
        fprintf(to, " %6s", short_number(layer.parameters, number));
        fprintf(to, " %6s", short_number(layer.macs, number));
        if (layer.cut) fprintf(to, " %8zu", layer.shape.h * layer.shape.w * layer.shape.c);
        if (i == default_cut) fprintf(to, colour ? plain : "*");
        fputc('\n', to);
        free(shown);
    }
}

static void print_summary(struct invocation *in, const eg_net *net, size_t default_cut, uint64_t parameters,
                          uint64_t macs)
{
    FILE *to = in->out;
    char *name = printable(eg_net_name(net)), volume[64];
    fprintf(to, "\n%s: ", name ? name : "?");
    free(name);
    print_count(to, parameters, 0);
    fprintf(to, " parameters, ");
    print_count(to, macs, 0);
    fprintf(to, " multiply-adds an image\n");
    fprintf(to, "input:  %s", volume_text(eg_net_layer(net, 0).shape, volume));
    const struct eg_recipe *recipe = eg_net_recipe(net);
    fputs(recipe ? "\nrecipe: " : "; no recipe: photos need --preprocess\n", to);
    if (recipe) print_recipe(to, recipe, 8);
    if (default_cut != SIZE_MAX) {
        struct eg_layer layer = eg_net_layer(net, default_cut);
        fprintf(to,
                "default cut: %s (#%zu), %zu features; any row with a number under features is a cut point\n",
                layer.name, default_cut, layer.shape.h * layer.shape.w * layer.shape.c);
    }
}

static int show(struct invocation *in, const eg_net *net)
{
    size_t n = eg_net_layer_count(net), default_cut = SIZE_MAX;
    uint64_t parameters = 0, macs = 0;
    for (size_t i = 0; i < n; i++) {
        struct eg_layer layer = eg_net_layer(net, i);
        parameters += layer.parameters;
        macs += layer.macs;
    }
    const char *cut = eg_net_default_cut(net);
    if (cut && eg_net_find(net, cut, &default_cut, NULL)) default_cut = SIZE_MAX;
    if (!option_flag(in, "json")) {
        print_layers(in, net, default_cut);
        print_summary(in, net, default_cut, parameters, macs);
        return EXIT_DONE;
    }
    json_t *layers = json_array();
    for (size_t i = 0; i < n; i++) json_array_append_new(layers, layer_json(net, i));
    const struct eg_recipe *recipe = eg_net_recipe(net);
    char *recipe_text = recipe ? eg_recipe_json(recipe) : NULL;
    print_json(in, json_pack("{s:o,s:o,s:I,s:I,s:I,s:o,s:o}", "name", json_text(eg_net_name(net)),
                             "default_cut", json_text(cut), "parameters", (json_int_t)parameters, "macs",
                             (json_int_t)macs, "classes", (json_int_t)eg_net_class_count(net), "recipe",
                             recipe_text ? json_loads(recipe_text, 0, NULL) : json_null(), "layers", layers));
    free(recipe_text);
    return EXIT_DONE;
}

static int run(struct invocation *in)
{
    struct eg_net_options net_options;
    char *folders = NULL;
    int code = model_options(in, &net_options, &folders);
    if (code) return code;
    net_options.no_weights = true;
    struct eg_error err;
    eg_net *net = NULL, *cut_net = NULL;
    enum eg_status status = eg_net_load(in->operands[0], &net_options, &net, &err);
    const char *cut = option_text(in, "cut");
    if (!status && (cut || net_options.height)) status = eg_net_cut(net, cut, &cut_net, &err);
    code = status ? report_error(in, status, &err) : show(in, cut_net ? cut_net : net);
    eg_net_free(cut_net);
    eg_net_free(net);
    free(folders);
    return code;
}

static const struct option_row options[] = {
    {OPTION_TEXT, "cut", 0, "CUT[:POOL]", NULL, 0, 0, false, "show the network as it is after this cut"},
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
        "(top,bottom where they differ), g groups, dw depthwise.",
    .example = "engraft inspect efficientnet-lite0",
    .options = options,
    .run = run,
};
