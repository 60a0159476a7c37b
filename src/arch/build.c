/* build.c: each word of the vocabulary, and the search for parameters. */
#include "arch/build.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"

/* ---- names ------------------------------------------------------------------------ */

void eg__build_scope(struct eg_builder *b, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(b->scope, sizeof b->scope, format, arguments);
    va_end(arguments);
}

const char *eg__build_path(struct eg_builder *b, const char *format, ...)
{
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    const char *copy = b->status ? NULL : eg__graph_string(b->graph, text);
    if (!copy && !b->status) b->status = eg__fail_memory(b->err, "a layer's name");
    return copy ? copy : "";
}

void eg__build_alias(struct eg_builder *b, uint32_t x, const char *format, ...)
{
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (!b->status) b->status = eg__graph_alias(b->graph, x, text, b->err);
}

void eg__build_default_cut(struct eg_builder *b, uint32_t x)
{
    if (!b->status) b->graph->default_cut = x;
}

/* scope + leaf, or the first of leaf_1, leaf_2, ... that is free: as torch.fx numbers the
 * second call of a module. */
static const char *full_name(struct eg_builder *b, const char *leaf)
{
    const char *name = eg__build_path(b, "%s%s", b->scope, leaf);
    for (unsigned k = 1; !b->status; k++) {
        bool taken = false;
        for (uint32_t i = 0; i < b->graph->n_nodes && !taken; i++)
            taken = !strcmp(b->graph->nodes[i].name, name);
        if (!taken) break;
        name = eg__build_path(b, "%s%s_%u", b->scope, leaf, k);
    }
    return name;
}

/* ---- parameters --------------------------------------------------------------------- */

static void append_dims(struct eg_text *text, const size_t *dim, unsigned rank)
{
    eg__text_append(text, "[");
    for (unsigned i = 0; i < rank; i++) eg__text_append(text, i ? ",%zu" : "%zu", dim[i]);
    eg__text_append(text, "]");
}

/* The first few of a list by name, the others by number. */
static bool note(struct eg_misfits *misfits)
{
    if (++misfits->count > 5) return false;
    if (misfits->count > 1) eg__text_append(&misfits->text, ", ");
    return true;
}

static int compare_names(const void *key, const void *item)
{
    return strcmp(key, (*(const struct eg_tensor *const *)item)->name);
}

/* Keras 3 calls a depthwise kernel a kernel; a head of one's own is called dense. */
static const char *const keras_spellings[][2] = {
    {"depthwise_kernel", "kernel"}, {"predictions", "dense"}, {NULL, NULL}};

static char *respell(eg_spelling *spellings, const char *name)
{
    struct eg_text text = {0};
    bool changed = false;
    while (spellings && *name) {
        size_t i = 0;
        while (spellings[i][0] && strncmp(name, spellings[i][0], strlen(spellings[i][0]))) i++;
        if (spellings[i][0]) {
            eg__text_append(&text, "%s", spellings[i][1]);
            name += strlen(spellings[i][0]);
            changed = true;
        } else {
            eg__text_append_bytes(&text, name++, 1);
        }
    }
    if (changed && !text.failed) return text.chars;
    free(text.chars);
    return NULL;
}

/* "layer1" as its place in the list "conv1 bn1 relu maxpool layer1"; SIZE_MAX: it is not there. */
static size_t place_of(const char *children, const char *part, size_t length)
{
    for (size_t i = 0; *children; i++) {
        size_t n = strcspn(children, " ");
        if (n == length && !strncmp(children, part, length)) return i;
        children += n + (children[n] == ' ');
    }
    return SIZE_MAX;
}

static const struct eg_tensor **search(const struct eg_builder *b, const char *name)
{
    char text[256];
    if (b->by_position) {
        const char *children = b->row->children ? b->row->children : "features";
        size_t part = strcspn(name, "."), place = place_of(children, name, part);
        if (place == SIZE_MAX) return NULL;
        snprintf(text, sizeof text, "%s%zu%s", b->prefix, place, name + part);
        name = text;
    } else if (b->prefix && *b->prefix) {
        snprintf(text, sizeof text, "%s%s", b->prefix, name);
        name = text;
    }
    return bsearch(name, b->weights, b->n_weights, sizeof *b->weights, compare_names);
}

const struct eg_tensor **eg__build_search(const struct eg_builder *b, const char *name)
{
    if (!b->n_weights) return NULL;
    const struct eg_tensor **found = search(b, name);
    eg_spelling *spellings[] = {b->spellings, b->row->keras ? keras_spellings : NULL};
    for (unsigned i = 0; i < 2 && !found; i++) {
        char *other = respell(spellings[i], name);
        if (other) found = search(b, other);
        free(other);
        for (size_t k = 0; spellings[i] && spellings[i][k][0] && !found; k++) { /* or one of them alone */
            const char *const alone[][2] = {{spellings[i][k][0], spellings[i][k][1]}, {NULL, NULL}};
            other = respell(alone, name);
            if (other) found = search(b, other);
            free(other);
        }
    }
    if (!found && b->row->dialects && b->prefix && *b->prefix &&
        !strncmp(name, b->row->classifier,
                 strlen(b->row->classifier))) { /* "vit.encoder..." beside "classifier" */
        struct eg_builder outside = *b;
        outside.prefix = NULL;
        found = eg__build_search(&outside, name);
    }
    return found;
}

/* Keras's classes of layers with weights, as its files number them. */
enum layer_class { CONV2D, DEPTHWISE, SEPARABLE, NORM, DENSE };

/* A layer of that class comes. */
static void count_layer(struct eg_builder *b, enum layer_class class)
{
    static const char *const names[] = {"conv2d", "depthwise_conv2d", "separable_conv2d",
                                        "batch_normalization", "dense"};
    unsigned k = b->counts[class]++;
    if (k)
        snprintf(b->stand_in, sizeof b->stand_in, "%s_%u", names[class], k);
    else
        snprintf(b->stand_in, sizeof b->stand_in, "%s", names[class]);
}

static const struct eg_tensor *find(struct eg_builder *b, const char *name)
{
    char numbered[128];
    const char *variable = strrchr(name, '/');
    if (b->numbered && variable) {
        snprintf(numbered, sizeof numbered, "%s%s", b->stand_in, variable);
        name = numbered;
    }
    const struct eg_tensor **found = eg__build_search(b, name);
    if (!found) return NULL;
    b->used[found - b->weights] = true;
    return *found;
}

/* The parameter of that name: file dimensions `dim`, seen in the operator's order, where dimension i is
 * the file's order[i]. */
static const struct eg_tensor *named(struct eg_builder *b, const char *name, uint8_t rank, const size_t *dim,
                                     const uint8_t *order)
{
    if (b->status) return NULL;
    struct eg_tensor tensor = {.rank = rank, .name = name};
    for (unsigned i = 0; i < rank; i++) tensor.dim[i] = dim[i];
    eg__tensor_pack_strides(&tensor);
    if (b->weights) {
        const struct eg_tensor *found = find(b, tensor.name);
        if (!found) {
            if (note(&b->missing)) {
                eg__text_append(&b->missing.text, "'%s' ", tensor.name);
                append_dims(&b->missing.text, dim, rank);
            }
        } else if (found->rank != rank || memcmp(found->dim, tensor.dim, rank * sizeof *dim)) {
            if (note(&b->misshapen)) {
                eg__text_append(&b->misshapen.text, "'%s' is ", found->name);
                append_dims(&b->misshapen.text, found->dim, found->rank);
                eg__text_append(&b->misshapen.text, " and should be ");
                append_dims(&b->misshapen.text, dim, rank);
            }
        } else {
            tensor = *found;
        }
    }
    if (order) tensor = eg__tensor_permuted(&tensor, order);
    const struct eg_tensor *kept = eg__graph_tensor(b->graph, &tensor);
    if (!kept && !b->status) b->status = eg__fail_memory(b->err, "a layer's parameters");
    return kept;
}

/* The same of a layer. */
static const struct eg_tensor *parameter(struct eg_builder *b, const char *layer, const char *name,
                                         uint8_t rank, const size_t *dim, const uint8_t *order)
{
    return named(b, eg__build_path(b, b->keras ? "%s%s/%s" : "%s%s.%s", b->scope, layer, name), rank, dim,
                 order);
}

const struct eg_tensor *eg__build_peek(const struct eg_builder *b, const char *name)
{
    const struct eg_tensor **found = b->weights ? eg__build_search(b, name) : NULL;
    return found ? *found : NULL;
}

const struct eg_tensor *eg__build_parameter(struct eg_builder *b, const char *name, uint8_t rank,
                                            const size_t *dim)
{
    return named(b, eg__build_path(b, "%s%s", b->scope, name), rank, dim, NULL);
}

void eg__build_reject(struct eg_builder *b, const char *why)
{
    enum { OF_ANOTHER = 1000 };
    if (note(&b->misshapen)) eg__text_append(&b->misshapen.text, "%s", why);
    b->misshapen.count += OF_ANOTHER;
}

static const struct eg_tensor *vector(struct eg_builder *b, const char *layer, const char *name, size_t n)
{
    return parameter(b, layer, name, 1, &n, NULL);
}

/* ---- layers -------------------------------------------------------------------------- */

uint32_t eg__build_node(struct eg_builder *b, struct eg_node *node, uint32_t x, const char *leaf)
{
    if (b->status) return 0;
    node->name = full_name(b, leaf);
    if (!node->n_inputs) {
        node->n_inputs = 1;
        node->inputs[0] = x;
    }
    uint32_t index = 0;
    if (!b->status) b->status = eg__graph_add(b->graph, node, &index, b->err);
    return index;
}

/* A layer that includes its activation, as in Keras: the name is the result's, and what the
 * weights give is called as TensorFlow calls it. */
static uint32_t activated(struct eg_builder *b, struct eg_node *layer, uint32_t x, const char *leaf,
                          enum eg_op activation)
{
    if (!activation) return eg__build_node(b, layer, x, leaf);
    x = eg__build_node(b, layer, x, eg__build_path(b, "%s/BiasAdd", leaf));
    return eg__build_apply(b, activation, x, leaf);
}

uint32_t eg__build_channels(const struct eg_builder *b, uint32_t x)
{
    return b->status ? 1 : (uint32_t)eg__map(b->graph->nodes[x].shape).c;
}

uint32_t eg__build_round_channels(double v, uint32_t divisor)
{
    uint32_t rounded = (uint32_t)((v + divisor / 2.0) / divisor) * divisor;
    if (rounded < divisor) rounded = divisor;
    return rounded < 0.9 * v ? rounded + divisor : rounded;
}

static struct eg_window window(uint32_t kernel_h, uint32_t kernel_w, uint32_t stride, uint32_t pad_h,
                               uint32_t pad_w, bool same)
{
    stride = stride ? stride : 1;
    return (struct eg_window){.kernel_h = kernel_h,
                              .kernel_w = kernel_w,
                              .stride_h = stride,
                              .stride_w = stride,
                              .dilation_h = 1,
                              .dilation_w = 1,
                              .pad_top = pad_h,
                              .pad_bottom = pad_h,
                              .pad_left = pad_w,
                              .pad_right = pad_w,
                              .padding = same ? EG_PAD_SAME_UPPER : EG_PAD_EXPLICIT};
}

/* The image has as many channels as the file's first convolution takes. */
static void take_channels(struct eg_builder *b, const char *leaf)
{
    if (b->status || !b->weights || b->numbered) return;
    const char *name = eg__build_path(b, b->keras ? "%s%s/kernel" : "%s%s.weight", b->scope, leaf);
    const struct eg_tensor **found = eg__build_search(b, name);
    struct eg_node *input = &b->graph->nodes[0];
    const size_t *side = input->shape.dim;
    if (found && (*found)->rank == 4)
        input->shape = eg__map_shape(side[0], side[1], (*found)->dim[b->keras ? 2 : 1]);
}

uint32_t eg__build_conv(struct eg_builder *b, uint32_t x, const char *leaf, const struct eg_conv *conv)
{
    if (!x) take_channels(b, leaf);
    size_t in = eg__build_channels(b, x), out = conv->out, groups = conv->groups ? conv->groups : 1;
    uint32_t kernel_h = conv->kernel ? conv->kernel : 1,
             kernel_w = conv->kernel_w ? conv->kernel_w : kernel_h;
    uint32_t pad_w = conv->kernel_w ? conv->pad_w : conv->pad;
    struct eg_node layer = {.op = EG_OP_CONV, .groups = (uint32_t)groups};
    layer.window = window(kernel_h, kernel_w, conv->stride, conv->pad, pad_w, conv->same);
    count_layer(b, groups > 1 && groups == in ? DEPTHWISE : CONV2D);
    if (conv->pad_end) layer.window.pad_bottom = layer.window.pad_right = 1;
    if (!b->keras)
        layer.params[0] = parameter(b, leaf, "weight", 4, (size_t[]){out, in / groups, kernel_h, kernel_w},
                                    (const uint8_t[]){0, 2, 3, 1});
    else if (groups > 1 && groups == in)
        layer.params[0] =
            parameter(b, leaf, "depthwise_kernel", 4, (size_t[]){kernel_h, kernel_w, in, out / in},
                      (const uint8_t[]){2, 0, 1, 3});
    else
        layer.params[0] = parameter(b, leaf, "kernel", 4, (size_t[]){kernel_h, kernel_w, in / groups, out},
                                    (const uint8_t[]){3, 0, 1, 2});
    if (conv->bias) layer.params[1] = vector(b, leaf, "bias", out);
    return activated(b, &layer, x, leaf, conv->activation);
}

uint32_t eg__build_linear(struct eg_builder *b, uint32_t x, const char *leaf, size_t out,
                          enum eg_op activation)
{
    size_t in = eg__build_channels(b, x);
    struct eg_node layer = {.op = EG_OP_LINEAR};
    count_layer(b, DENSE);
    layer.params[0] = b->keras ? parameter(b, leaf, "kernel", 2, (size_t[]){in, out}, (const uint8_t[]){1, 0})
                               : parameter(b, leaf, "weight", 2, (size_t[]){out, in}, NULL);
    layer.params[1] = vector(b, leaf, "bias", out);
    return activated(b, &layer, x, leaf, activation);
}

uint32_t eg__build_batch_norm(struct eg_builder *b, uint32_t x, const char *leaf)
{
    static const char *const names[2][4] = {{"weight", "bias", "running_mean", "running_var"},
                                            {"gamma", "beta", "moving_mean", "moving_variance"}};
    struct eg_node layer = {.op = EG_OP_BATCH_NORM, .epsilon = b->epsilon};
    count_layer(b, NORM);
    for (unsigned i = b->no_gamma ? 1 : 0; i < 4; i++)
        layer.params[i] = vector(b, leaf, names[b->keras][i], eg__build_channels(b, x));
    return eg__build_node(b, &layer, x, leaf);
}

uint32_t eg__build_layer_norm(struct eg_builder *b, uint32_t x, const char *leaf, float epsilon)
{
    struct eg_node layer = {.op = EG_OP_LAYER_NORM, .epsilon = epsilon};
    layer.params[0] = vector(b, leaf, "weight", eg__build_channels(b, x));
    layer.params[1] = vector(b, leaf, "bias", eg__build_channels(b, x));
    return eg__build_node(b, &layer, x, leaf);
}

uint32_t eg__build_channel_scale(struct eg_builder *b, uint32_t x, const char *leaf, const char *name)
{
    /* PyTorch's [c][1][1] is our [1][1][c]; the parameter belongs to the scope itself */
    struct eg_node layer = {.op = EG_OP_MUL};
    size_t length = strlen(b->scope);
    if (length) b->scope[length - 1] = '\0'; /* without its last '.' */
    layer.params[0] =
        parameter(b, "", name, 3, (size_t[]){eg__build_channels(b, x), 1, 1}, (const uint8_t[]){1, 2, 0});
    if (length) b->scope[length - 1] = '.';
    return eg__build_node(b, &layer, x, leaf);
}

uint32_t eg__build_separable_conv(struct eg_builder *b, uint32_t x, const char *leaf, uint32_t out,
                                  uint32_t kernel)
{
    size_t in = eg__build_channels(b, x);
    struct eg_node depthwise = {
        .op = EG_OP_CONV, .groups = (uint32_t)in, .window = window(kernel, kernel, 1, 0, 0, true)};
    count_layer(b, SEPARABLE);
    struct eg_node pointwise = {.op = EG_OP_CONV, .groups = 1, .window = window(1, 1, 1, 0, 0, false)};
    depthwise.params[0] = parameter(b, leaf, "depthwise_kernel", 4, (size_t[]){kernel, kernel, in, 1},
                                    (const uint8_t[]){2, 0, 1, 3});
    pointwise.params[0] =
        parameter(b, leaf, "pointwise_kernel", 4, (size_t[]){1, 1, in, out}, (const uint8_t[]){3, 0, 1, 2});
    return eg__build_node(b, &pointwise,
                          eg__build_node(b, &depthwise, x, eg__build_path(b, "%s/depthwise", leaf)), leaf);
}

uint32_t eg__build_conv_norm(struct eg_builder *b, uint32_t x, const char *leaf, enum eg_op activation,
                             const struct eg_conv *conv)
{
    x = eg__build_conv(b, x, eg__build_path(b, "%s.0", leaf), conv);
    x = eg__build_batch_norm(b, x, eg__build_path(b, "%s.1", leaf));
    return activation ? eg__build_apply(b, activation, x, eg__build_path(b, "%s.2", leaf)) : x;
}

uint32_t eg__build_squeeze_excite(struct eg_builder *b, uint32_t x, const char *leaf, uint32_t squeeze,
                                  enum eg_op activation, enum eg_op gate)
{
    uint32_t in = eg__build_channels(b, x),
             y = eg__build_apply(b, EG_OP_GLOBAL_AVG, x, path(b, "%s.avgpool", leaf));
    y = conv(b, y, path(b, "%s.fc1", leaf), .out = squeeze, .bias = true);
    y = apply(b, activation, y, path(b, "%s.activation", leaf));
    y = conv(b, y, path(b, "%s.fc2", leaf), .out = in, .bias = true);
    y = apply(b, gate, y, path(b, "%s.scale_activation", leaf));
    return multiply(b, x, y, path(b, "%s.mul", leaf));
}

uint32_t eg__build_pool(struct eg_builder *b, enum eg_op op, uint32_t x, const char *leaf,
                        const struct eg_pooling *pooling)
{
    struct eg_node layer = {.op = op, .ceil_mode = pooling->ceil};
    layer.count_include_pad = op == EG_OP_AVG_POOL && !pooling->leave_out_pad && !pooling->same;
    layer.window =
        window(pooling->kernel, pooling->kernel, pooling->stride, pooling->pad, pooling->pad, pooling->same);
    return eg__build_node(b, &layer, x, leaf);
}

uint32_t eg__build_apply(struct eg_builder *b, enum eg_op op, uint32_t x, const char *leaf)
{
    struct eg_node layer = {.op = op};
    if (op == EG_OP_CLIP) layer.beta = 6;
    if (op == EG_OP_HARD_SIGMOID) {
        layer.alpha = 1.0f / 6;
        layer.beta = 0.5f;
    }
    return eg__build_node(b, &layer, x, leaf);
}

uint32_t eg__build_relu(struct eg_builder *b, uint32_t x, const char *leaf)
{
    return eg__build_apply(b, EG_OP_RELU, x, leaf);
}

uint32_t eg__build_relu6(struct eg_builder *b, uint32_t x, const char *leaf)
{
    return eg__build_apply(b, EG_OP_CLIP, x, leaf);
}

uint32_t eg__build_adaptive_avg_pool(struct eg_builder *b, uint32_t x, const char *leaf, uint32_t side)
{
    struct eg_node layer = {.op = EG_OP_ADAPTIVE_POOL, .out_h = side, .out_w = side};
    return eg__build_node(b, &layer, x, leaf);
}

static uint32_t binary(struct eg_builder *b, enum eg_op op, uint32_t x, uint32_t y, const char *leaf)
{
    struct eg_node layer = {.op = op, .n_inputs = 2, .inputs = {x, y}};
    return eg__build_node(b, &layer, x, leaf);
}

uint32_t eg__build_add(struct eg_builder *b, uint32_t x, uint32_t y, const char *leaf)
{
    return binary(b, EG_OP_ADD, x, y, leaf);
}

uint32_t eg__build_multiply(struct eg_builder *b, uint32_t x, uint32_t y, const char *leaf)
{
    return binary(b, EG_OP_MUL, x, y, leaf);
}

uint32_t eg__build_concat(struct eg_builder *b, const uint32_t *xs, size_t n, const char *leaf)
{
    struct eg_node layer = {.op = EG_OP_CONCAT, .n_inputs = (uint32_t)n};
    memcpy(layer.inputs, xs, n * sizeof *xs);
    return eg__build_node(b, &layer, 0, leaf);
}

uint32_t eg__build_slice(struct eg_builder *b, uint32_t x, const char *leaf, size_t begin, size_t end)
{
    struct eg_node layer = {.op = EG_OP_SLICE, .begin = begin, .end = end};
    return eg__build_node(b, &layer, x, leaf);
}

uint32_t eg__build_channel_shuffle(struct eg_builder *b, uint32_t x, const char *leaf, uint32_t groups)
{
    struct eg_node layer = {.op = EG_OP_CHANNEL_SHUFFLE, .groups = groups};
    return eg__build_node(b, &layer, x, leaf);
}

uint32_t eg__build_zero_pad(struct eg_builder *b, uint32_t x, const char *leaf, uint32_t top_left,
                            uint32_t bottom_right)
{
    struct eg_node layer = {.op = EG_OP_PAD};
    layer.window.pad_top = layer.window.pad_left = top_left;
    layer.window.pad_bottom = layer.window.pad_right = bottom_right;
    return eg__build_node(b, &layer, x, leaf);
}

uint32_t eg__build_flatten(struct eg_builder *b, uint32_t x, const char *leaf)
{
    struct eg_node layer = {.op = EG_OP_FLATTEN, .order_chw = !b->keras};
    return eg__build_node(b, &layer, x, leaf);
}

uint32_t eg__build_dropout(struct eg_builder *b, uint32_t x, const char *leaf, float ratio)
{
    struct eg_node layer = {.op = EG_OP_DROPOUT, .alpha = ratio};
    return eg__build_node(b, &layer, x, leaf);
}
