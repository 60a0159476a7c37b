/* net_load.c: from what a person calls a network to a graph with its weights: a built-in name
 * found on the model path, a file, or NAME=FILE. */
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arch/arch.h"
#include "base/fail.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/text.h"
#include "base/versioned.h"
#ifndef EG_ONLY_PREDICT
#include "formats/weight_files.h"
#endif
#include "image/photo.h"
#include "model/prepared.h"
#include "model/recipe_beside.h"
#include "onnx/onnx.h"

static const char *const imagenet[1000] = {
#include "model/imagenet.def"
};

static const char *const suffixes[] = {".onnx",        ".pth", ".pt",   ".bin",   ".ckpt",
                                       ".safetensors", ".h5",  ".hdf5", ".keras", ".index.json"};

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && !strcmp(text + n - m, end);
}

static bool looks_like_file(const char *model)
{
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++)
        if (ends_with(model, suffixes[i])) return true;
    return strchr(model, '/') != NULL;
}

/* ---- finding ----------------------------------------------------------------------- */

/* FOLDER/NAME+SUFFIX if it is a readable file; '-' and '_' are interchangeable in NAME. */
static char *try_file(const char *folder, size_t folder_length, const char *name, const char *suffix)
{
    for (int variant = 0; variant < 3; variant++) {
        char *path;
        if (asprintf(&path, "%.*s/%s%s", (int)folder_length, folder, name, suffix) < 0) return NULL;
        for (char *c = path + folder_length + 1; variant && *c; c++)
            if (*c == '-' || *c == '_') *c = variant == 1 ? '-' : '_';
        if (!access(path, R_OK)) return path;
        free(path);
    }
    return NULL;
}

static char *find_weights(const char *name, const struct eg_arch *arch, const char *folders)
{
    for (const char *folder = folders ? folders : ""; *folder;) {
        size_t n = strcspn(folder, ":");
        char *found = n && arch && arch->file ? try_file(folder, n, arch->file, "") : NULL;
        for (size_t i = 0; n && !found && i < sizeof suffixes / sizeof *suffixes; i++)
            found = try_file(folder, n, name, suffixes[i]);
        if (found) return found;
        folder += n + (folder[n] == ':');
    }
    return NULL;
}

size_t eg_known_net_count(void) { return eg__arch_count(); }

struct eg_known_net eg_known_net_at(size_t index)
{
    const struct eg_arch *a = eg__arch_at(index);
    return (struct eg_known_net){a->name, a->title, a->parameters, a->file, a->sha256, a->url, a->licence};
}

char *eg_known_net_find_weights(const char *name, const char *folders)
{
    const struct eg_arch *arch = eg__arch_find(name);
    return find_weights(arch ? arch->name : name, arch, folders);
}

/* ---- reading -------------------------------------------------------------------------- */

/* An ONNX model is a protobuf message whose first field is the small number ir_version. */
static enum eg_status is_onnx(const char *path, bool *onnx, struct eg_error *err)
{
    FILE *file = fopen(path, "rb");
    if (!file) return eg__fail(err, EG_E_IO, "cannot open '%s': %s", path, strerror(errno));
    unsigned char first[9] = {0};
    size_t n = fread(first, 1, sizeof first, file);
    fclose(file);
    *onnx = ends_with(path, ".onnx") || (n == sizeof first && first[0] == 0x08 && first[8] != '{');
    return EG_OK;
}

/* Another file's short names, Keras's names and default cut, for a file that engraft wrote of a
 * network it knows. */
static enum eg_status adopt_names(struct eg_graph *graph, struct eg_error *err)
{
    struct eg_card card;
    uint32_t cut;
    enum eg_status status = eg__card_read(graph, &card, err);
    if (status) return status;
    if (card.cut && !eg__graph_find(graph, card.cut, &cut, NULL)) graph->default_cut = cut;
    const struct eg_arch *arch = card.network ? eg__arch_find(card.network) : NULL;
    if (!arch) return EG_OK;
    struct eg_graph *known = NULL;
    status = eg__arch_build(arch, 0, true, 0, 0, &known, err);
    for (uint32_t i = 0; !status && i < known->n_nodes; i++) {
        const struct eg_node *node = &known->nodes[i];
        uint32_t index;
        if (eg__graph_find(graph, node->name, &index, NULL) || strcmp(graph->nodes[index].name, node->name))
            continue;
        for (uint32_t a = 0; a < node->n_aliases && !status; a++)
            status = eg__graph_alias(graph, index, node->aliases[a], err);
        if (known->default_cut == i && i) graph->default_cut = index;
    }
    eg__graph_free(known);
    return status;
}

static bool is_preset(const char *name)
{
    return *name != '{' && !looks_like_file(name) && !ends_with(name, ".json");
}

#ifndef EG_ONLY_PREDICT
/* The image's size as the options say it, else a whole recipe, else what lies beside the weights. */
static void wanted_size(const struct eg_net_options *o, const char *path, size_t *h, size_t *w)
{
    struct eg_recipe recipe;
    if (*h) return;
    if (o->preprocess ? is_preset(o->preprocess) || eg_recipe_load(o->preprocess, &recipe, NULL)
                      : !eg__recipe_beside(path, &recipe))
        return;
    *h = recipe.crop[0];
    *w = recipe.crop[1];
}
#endif

static enum eg_status load_file(const char *path, const struct eg_arch *arch, const struct eg_net_options *o,
                                struct eg_net *net, struct eg_error *err)
{
    bool onnx = false;
    enum eg_status status = is_onnx(path, &onnx, err);
    if (status) return status;
    if (onnx) {
        if (arch)
            return eg__fail(err, EG_E_ARGUMENT,
                            "'%s' is a whole network, not weights for '%s' (give it alone)", path,
                            arch->name);
        status = eg__onnx_load(path, &net->graph, err);
        return status ? status : adopt_names(net->graph, err);
    }
#ifdef EG_ONLY_PREDICT
    (void)o;
    return eg__fail(err, EG_E_UNSUPPORTED, "'%s' is no ONNX model, all that this build reads (convert it)",
                    path);
#else
    struct eg_weights *weights = NULL;
    status = eg__weights_load(path, &weights, err);
    if (status) return status;
    size_t h = o->height, w = o->width;
    wanted_size(o, path, &h, &w);
    status = eg__arch_load(arch, weights, o->trunk, h, w, &net->graph, err);
    if (status)
        eg__weights_free(weights);
    else
        net->built_in = eg__arch_find(net->graph->name);
    return status;
#endif
}

/* Values for every parameter that has none, scaled so that activations keep their size. */
static enum eg_status fill_random(struct eg_graph *graph, uint64_t seed, struct eg_error *err)
{
    for (uint32_t i = 0; i < graph->n_nodes; i++) {
        struct eg_node *node = &graph->nodes[i];
        for (size_t p = 0; p < EG_PARAMS_MAX; p++) {
            const struct eg_tensor *t = node->params[p];
            if (!t || t->data) continue;
            size_t n = eg__tensor_count(t), fan_in = t->rank > 1 && t->dim[0] ? n / t->dim[0] : 0;
            float *values = eg__alloc(n, sizeof *values);
            if (!values) return eg__fail_memory(err, "random weights");
            struct eg_rng rng;
            eg__rng_init(&rng, seed, (uint64_t)i * EG_PARAMS_MAX + p);
            double half_width = fan_in ? sqrt(6.0 / (double)fan_in) : 0; /* He et al. 2015, uniform */
            bool one = node->op == EG_OP_BATCH_NORM && (p == 0 || p == 3);
            for (size_t k = 0; k < n; k++)
                values[k] = fan_in ? (float)(half_width * (2 * eg__rng_uniform(&rng) - 1))
                            : one  ? 1.0f
                                   : 0.0f;
            node->params[p] = eg__graph_constant(graph, t->name, t->rank, t->dim, values);
            free(values);
            if (!node->params[p]) return eg__fail_memory(err, "random weights");
        }
    }
    return EG_OK;
}

/* ---- recipe and size ---------------------------------------------------------------------- */

static size_t scaled(size_t value, size_t to, size_t from)
{
    return from ? (value * to + from / 2) / from : value;
}

/* A recipe for another input: the border that the crop takes off keeps its proportion. */
static void resize_recipe(struct eg_recipe *recipe, size_t h, size_t w)
{
    if (recipe->crop[0] == h && recipe->crop[1] == w) return;
    size_t before = recipe->crop[0] < recipe->crop[1] ? recipe->crop[0] : recipe->crop[1];
    recipe->size = scaled(recipe->size, h < w ? h : w, before);
    recipe->crop[0] = h;
    recipe->crop[1] = w;
}

/* A network that was written with its views has them in its graph. */
static enum eg_status settle_views(struct eg_net *net, const struct eg_net_options *o,
                                   const struct eg_node *own, struct eg_error *err)
{
    if (o->views && !net->has_recipe)
        return eg__fail_for(err, EG_E_ARGUMENT, EG_REASON_NO_RECIPE,
                            "'%s' does not say how photos become its input, so there are no views of them",
                            net->graph->name);
    if (o->views && own && o->views != net->recipe.views)
        return eg__fail(err, EG_E_UNSUPPORTED, "'%s' has views of its own, which stay as they are",
                        net->graph->name);
    if (o->views) net->recipe.views = o->views;
    return net->has_recipe ? eg__recipe_check_views(&net->recipe, err) : EG_OK;
}

static enum eg_status check_same_size(const struct eg_net *net, size_t h, size_t w,
                                      const struct eg_map *input, struct eg_error *err)
{
    if (h == input->h && w == input->w) return EG_OK;
    return eg__fail(err, EG_E_UNSUPPORTED, "'%s' was written with its views: its size is %zux%zu",
                    net->graph->name, input->h, input->w);
}

static enum eg_status settle_recipe(struct eg_net *net, const struct eg_net_options *o, struct eg_error *err)
{
    const struct eg_node *views = eg__graph_views(net->graph); /* what it has, is of the size that is cut */
    const struct eg_map input = eg__map(views ? views->shape : net->graph->nodes[0].shape);
    const struct eg_arch *arch = net->card.recipe ? NULL : net->built_in;
    const char *own = arch ? arch->recipe : net->card.recipe;
    size_t h = o->height, w = o->width;
    enum eg_status status = EG_OK;
    if (o->preprocess) {
        status = eg_recipe_load(o->preprocess, &net->recipe, err);
        net->has_recipe = true;
        if (!h && !is_preset(o->preprocess)) { /* a whole recipe says its size */
            h = net->recipe.crop[0];
            w = net->recipe.crop[1];
        }
    } else if (!net->card.recipe && net->graph->weights_path &&
               (net->recipe_from = eg__recipe_beside(net->graph->weights_path, &net->recipe))) {
        net->has_recipe = true;
        if (!h) { /* it says its size */
            h = net->recipe.crop[0];
            w = net->recipe.crop[1];
        }
    } else if (own) {
        status = eg__recipe_parse(own, &net->recipe, err);
        if (!status && arch) {
            net->recipe.crop[0] = net->recipe.crop[1] = arch->size;
            net->recipe.size = arch->resize;
            net->recipe.resize = arch->resize ? EG_RESIZE_SHORT : EG_RESIZE_SQUASH;
        }
        net->has_recipe = true;
        /* Files of before it say nothing of XMP; only what was learned has to go by that. */
        if (!eg__graph_metadata(net->graph, "engraft.classifier")) net->recipe.xmp = true;
    }
    if (status) return status;
    if (!h) {
        h = input.h;
        w = input.w;
    }
    if (net->has_recipe) resize_recipe(&net->recipe, h, w);
    if (!status) status = settle_views(net, o, views, err);
    if (status || views) return status ? status : check_same_size(net, h, w, &input, err);
    if (h == input.h && w == input.w) return EG_OK;
    if (eg__graph_resize(net->graph, h, w, NULL)) { /* what fixes the size may be cut off later */
        net->height = h;
        net->width = w;
    }
    return EG_OK;
}

/* ---- remarks -------------------------------------------------------------------------------- */

__attribute__((format(printf, 3, 4))) static enum eg_status remark(struct eg_net *net, struct eg_error *err,
                                                                   const char *format, ...)
{
    struct eg_text text = {0};
    char line[900];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    eg__text_append(&text, "%s", line);
    if (text.failed) return eg__fail_memory(err, "a remark");
    net->remarks[net->n_remarks++] = text.chars;
    return EG_OK;
}

/* What was not said by the file, and what of it is not used. */
static enum eg_status make_remarks(struct eg_net *net, const struct eg_net_options *o, struct eg_error *err)
{
    const char *dropped = eg__graph_metadata(net->graph, EG_GRAPH_DROPPED), *path = net->graph->weights_path;
    const struct eg_arch *arch = net->built_in;
    enum eg_status status = EG_OK;
    if (dropped)
        status = remark(net, err, "'%.200s' fits '%s'; not used: %.500s", eg__path_last(path), arch->name,
                        dropped);
    if (status || o->preprocess || !path || net->card.recipe) return status;
    if (net->recipe_from)
        return remark(net, err, "photos are prepared as '%s' beside '%.200s' says", net->recipe_from,
                      eg__path_last(path));
    if (!arch || (arch->file && !strcmp(arch->file, eg__path_last(path)))) return EG_OK;
    return remark(net, err, "nothing beside '%.200s' says how its photos were prepared: as '%s' is assumed",
                  eg__path_last(path), arch->recipe[0] == '{' ? arch->name : arch->recipe);
}

/* ---- classes -------------------------------------------------------------------------------- */

static enum eg_status add_class(struct eg_net *net, const char *name, struct eg_error *err)
{
    if (!(net->classes[net->n_classes] = strdup(name))) return eg__fail_memory(err, "class names");
    net->n_classes++;
    return EG_OK;
}

/* The file's own names, ImageNet's for a built-in network of 1000, else "class 0", ... */
static enum eg_status name_classes(struct eg_net *net, struct eg_error *err)
{
    size_t n = eg_net_unread(net) ? 0 : eg__shape_count(net->graph->nodes[net->graph->output].shape);
    const char *listed = net->card.classes;
    json_t *names = listed ? json_loads(listed, 0, NULL) : NULL;
    bool known = eg__arch_find(net->graph->name) && n == 1000;
    if (names && json_array_size(names) != n) {
        json_decref(names);
        names = NULL;
    }
    enum eg_status status = EG_OK;
    net->classes = eg__zalloc(n ? n : 1, sizeof *net->classes);
    if (!net->classes) status = eg__fail_memory(err, "class names");
    for (size_t i = 0; i < n && !status; i++) {
        const char *name = names ? json_string_value(json_array_get(names, i)) : known ? imagenet[i] : NULL;
        char made[32];
        snprintf(made, sizeof made, "class %zu", i);
        status = add_class(net, name ? name : made, err);
    }
    json_decref(names);
    return status ? status : eg__net_read_thresholds(net, err);
}

/* ---- loading --------------------------------------------------------------------------------- */

static char *absolute(const char *prefix, const char *path)
{
    char *whole = realpath(path, NULL), *joined = NULL;
    if (asprintf(&joined, "%s%s", prefix, whole ? whole : path) < 0) joined = NULL;
    free(whole);
    return joined;
}

static enum eg_status load_known(const struct eg_arch *arch, const char *name, const struct eg_net_options *o,
                                 struct eg_net *net, struct eg_error *err)
{
    net->model = strdup(arch ? arch->name : name);
    if (!net->model) return eg__fail_memory(err, "a name");
    char *path = o->random_weights ? NULL : find_weights(arch ? arch->name : name, arch, o->folders);
    if (path) {
        const struct eg_arch *given = ends_with(path, ".onnx") ? NULL : arch;
        enum eg_status status = load_file(path, given, o, net, err);
        free(path);
        return status;
    }
    if (!arch)
        return eg__fail_for(err, EG_E_NOT_FOUND, EG_REASON_NETWORK_UNKNOWN,
                            "there is no network '%s' (a file needs a '/' or its suffix)", name);
    if (!o->random_weights && !o->no_weights)
        return eg__fail_for(err, EG_E_IO, EG_REASON_WEIGHTS_MISSING, "no weights for '%s' on the model path",
                            arch->name);
    net->built_in = arch;
    enum eg_status status = eg__arch_build(arch, 0, true, o->height, o->width, &net->graph, err);
    if (!status && o->random_weights) status = fill_random(net->graph, o->seed, err);
    return status;
}

static enum eg_status load_graph(const char *model, const struct eg_net_options *o, struct eg_net *net,
                                 struct eg_error *err)
{
    const char *equals = strchr(model, '='), *slash = strchr(model, '/');
    if (equals && (!slash || equals < slash)) {
        char *name = strndup(model, (size_t)(equals - model));
        const struct eg_arch *arch = name ? eg__arch_find(name) : NULL;
        free(name);
        if (!arch && access(model, F_OK))
            return eg__fail_for(err, EG_E_NOT_FOUND, EG_REASON_NETWORK_UNKNOWN,
                                "there is no built-in network '%.*s'", (int)(equals - model), model);
        if (arch) {
            char prefix[128];
            snprintf(prefix, sizeof prefix, "%s=", arch->name);
            net->model = absolute(prefix, equals + 1);
            if (!net->model) return eg__fail_memory(err, "a file name");
            return load_file(equals + 1, arch, o, net, err);
        }
    }
    if (!looks_like_file(model)) return load_known(eg__arch_find(model), model, o, net, err);
    net->model = absolute("", model);
    if (!net->model) return eg__fail_memory(err, "a file name");
    return load_file(model, NULL, o, net, err);
}

enum eg_status eg__net_new(struct eg_net **out, struct eg_error *err)
{
    struct eg_net *net = eg__zalloc(1, sizeof *net);
    if (net) net->shared = eg__shared_create(net);
    if (!net || !net->shared) {
        free(net);
        return eg__fail_memory(err, "a network");
    }
    *out = net;
    return EG_OK;
}

/* What follows from the graph and the options. */
static enum eg_status settle(struct eg_net *net, const struct eg_net_options *o, struct eg_error *err)
{
    enum eg_status status = eg__card_read(net->graph, &net->card, err);
    if (!status) status = settle_recipe(net, o, err);
    if (!status) status = name_classes(net, err);
    if (!status) status = make_remarks(net, o, err);
    return status;
}

enum eg_status eg_net_load(const char *model, const struct eg_net_options *options, eg_net **out,
                           struct eg_error *err)
{
    struct eg_net_options own;
    struct eg_net *net = NULL;
    enum eg_status status = eg__options(&own, sizeof own, options, err);
    if (!status) status = eg__net_new(&net, err);
    if (status) return status;
    status = load_graph(model, &own, net, err);
    if (!status) status = settle(net, &own, err);
    if (status) {
        eg_net_free(net);
        return status;
    }
    *out = net;
    return EG_OK;
}

static void keep(void *bytes) { (void)bytes; }

enum eg_status eg_net_load_memory(const void *bytes, size_t n_bytes, const struct eg_net_options *options,
                                  eg_net **out, struct eg_error *err)
{
    static const char name[] = "model in memory";
    static char nobodys;
    struct eg_net_options own;
    struct eg_net *net = NULL;
    enum eg_status status = eg__options(&own, sizeof own, options, err);
    if (!status) status = eg__net_new(&net, err);
    if (status) return status;
    void *copy = own.borrow ? NULL : eg__alloc(n_bytes, 1);
    if (copy && n_bytes) memcpy(copy, bytes, n_bytes);
    net->bytes = own.borrow ? bytes : copy;
    net->n_bytes = n_bytes;
    net->model = strdup(name);
    struct eg_onnx_bytes model = {net->bytes, n_bytes, own.borrow ? &nobodys : copy,
                                  own.borrow ? keep : free};
    if (!net->model || (!copy && !own.borrow)) {
        free(copy);
        status = eg__fail_memory(err, "a network");
    } else {
        status = eg__onnx_load_memory(&model, name, &net->graph, err);
    }
    if (!status) status = adopt_names(net->graph, err);
    if (!status) status = settle(net, &own, err);
    if (status) {
        eg_net_free(net);
        return status;
    }
    *out = net;
    return EG_OK;
}

void eg_net_free(eg_net *net)
{
    if (net && (!net->shared || eg__shared_leave(net->shared))) eg__net_release(net);
}

void eg__net_release(struct eg_net *net)
{
    for (size_t i = 0; i < net->n_classes; i++) free(net->classes[i]);
    free(net->classes);
    free(net->thresholds);
    for (size_t i = 0; i < net->n_remarks; i++) free(net->remarks[i]);
    free(net->model);
    eg__graph_free(net->graph);
    eg__shared_free(net->shared);
    free(net);
}
