/* net_slabs.c: which layers are one block in the picture of a network, told by its shape alone,
 * so that it works for any file: no names are looked at. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "draw/net_picture.h"

struct extent eg__extent_of(struct eg_shape shape)
{
    struct extent e = {1, 1, 1};
    if (shape.rank >= 1) e.c = shape.dim[shape.rank - 1];
    if (shape.rank >= 2) e.w = shape.dim[shape.rank - 2];
    for (size_t i = 0; i + 2 < shape.rank; i++) e.h *= shape.dim[i];
    return e;
}

static bool is(const struct eg_layer *layer, const char *op) { return !strcmp(layer->op, op); }

static bool same_map(struct extent a, struct extent b) { return a.h == b.h && a.w == b.w; }

static bool same_shape(struct extent a, struct extent b) { return same_map(a, b) && a.c == b.c; }

static bool is_activation(const struct eg_layer *layer)
{
    static const char *const ops[] = {"relu",         "leaky_relu", "clip",   "sigmoid",
                                      "hard_sigmoid", "hard_swish", "silu",   "gelu",
                                      "gelu_tanh",    "tanh",       "softmax"};
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
        if (is(layer, ops[i])) return true;
    return false;
}

/* Layer i after which nothing needs a layer before i. */
static bool *find_narrow(const eg_net *net, size_t n)
{
    bool *narrow = eg__zalloc(n, sizeof *narrow);
    size_t *last_use = eg__zalloc(n, sizeof *last_use), reach = 0;
    for (size_t i = 0; narrow && last_use && i < n; i++) {
        struct eg_layer layer = eg_net_layer(net, i);
        for (size_t k = 0; k < layer.n_inputs; k++) last_use[layer.inputs[k]] = i;
    }
    for (size_t i = 0; narrow && last_use && i < n; i++) {
        narrow[i] = reach <= i;
        if (last_use[i] > reach) reach = last_use[i];
    }
    if (!last_use) {
        free(narrow);
        narrow = NULL;
    }
    free(last_use);
    return narrow;
}

/* first..last, more than one layer, meet in `last`. */
static enum slab_kind kind_of_branches(const eg_net *net, size_t first, size_t last)
{
    struct eg_layer meeting = eg_net_layer(net, last);
    bool widens = false, depthwise = false; /* to more channels than the block gives */
    for (size_t i = first; i < last; i++) {
        struct eg_layer layer = eg_net_layer(net, i);
        if (!is(&layer, "conv2d") || eg__extent_of(layer.shape).c <= eg__extent_of(meeting.shape).c) continue;
        widens |= layer.kernel[0] == 1;
        depthwise |= layer.groups == eg__extent_of(layer.shape).c;
    }
    if (is(&meeting, "add")) return depthwise && widens ? SLAB_INVERTED : SLAB_RESIDUAL;
    if (!is(&meeting, "concat")) return SLAB_OTHER;
    for (size_t k = 0; k < meeting.n_inputs; k++)
        if (meeting.inputs[k] + 1 == first) return SLAB_DENSE; /* what came in goes on beside the new */
    return SLAB_PARALLEL;
}

static enum slab_kind kind_of_layer(const struct eg_layer *layer)
{
    if (!layer->n_inputs) return SLAB_INPUT;
    if (is(layer, "conv2d")) return SLAB_CONV;
    if (is(layer, "linear")) return SLAB_LINEAR;
    return strstr(layer->op, "pool") ? SLAB_POOL : SLAB_OTHER;
}

static struct slab make_slab(const eg_net *net, size_t first, size_t last)
{
    struct eg_layer layer = eg_net_layer(net, last);
    struct slab slab = {.first = first,
                        .last = last,
                        .made = last,
                        .shape = eg__extent_of(layer.shape),
                        .part = 1,
                        .repeat = 1};
    slab.kind = first == last ? kind_of_layer(&layer) : kind_of_branches(net, first, last);
    if (slab.kind == SLAB_CONV || slab.kind == SLAB_POOL)
        slab.kernel = layer.kernel[0] > layer.kernel[1] ? layer.kernel[0] : layer.kernel[1];
    if (slab.kind == SLAB_CONV) {
        slab.pointwise = slab.kernel == 1;
        slab.depthwise = layer.groups > 1 && layer.groups == eg__extent_of(layer.shape).c;
    }
    return slab;
}

/* Does it change nothing that the picture shows? Then it is part of the slab before. */
static bool goes_with(const struct slab *before, const struct slab *slab, const struct eg_layer *layer)
{
    if (is(layer, "pad")) return true;
    if (slab->kind == SLAB_POOL) return same_shape(before->shape, slab->shape);
    if (slab->kind != SLAB_OTHER) return false;
    return same_shape(before->shape, slab->shape) ||
           (slab->shape.h * slab->shape.w == 1 && before->shape.h * before->shape.w != 1) || /* flatten */
           slab->shape.c == 1;                                                               /* a label */
}

/* A depthwise convolution, the pointwise one after it, and the one that widened for them. */
static size_t merge_separable(struct slab *slabs, size_t n)
{
    size_t to = 0;
    for (size_t i = 0; i < n; i++) {
        if (slabs[i].kind == SLAB_CONV && slabs[i].depthwise && i + 1 < n && slabs[i + 1].kind == SLAB_CONV &&
            slabs[i + 1].pointwise) {
            struct slab made = slabs[i + 1];
            made.first = slabs[i].first;
            made.kind = SLAB_SEPARABLE;
            made.kernel = 0;
            bool widened = to && slabs[to - 1].kind == SLAB_CONV && slabs[to - 1].pointwise &&
                           slabs[to - 1].shape.c == slabs[i].shape.c;
            if (widened && !made.activated) {
                made.first = slabs[--to].first;
                made.kind = SLAB_INVERTED;
            }
            slabs[to++] = made;
            i++;
        } else {
            slabs[to++] = slabs[i];
        }
    }
    return to;
}

struct slab *eg__slabs_of(const eg_net *net, size_t *n)
{
    size_t n_layers = eg_net_layer_count(net), count = 0, first = 0;
    bool *narrow = find_narrow(net, n_layers);
    struct slab *slabs = narrow ? eg__zalloc(n_layers, sizeof *slabs) : NULL;
    for (size_t i = 0; slabs && i < n_layers; i++) {
        if (!narrow[i]) continue;
        struct slab slab = make_slab(net, first, i);
        first = i + 1;
        struct eg_layer layer = eg_net_layer(net, i);
        if (count && goes_with(&slabs[count - 1], &slab, &layer)) {
            slabs[count - 1].last = i;
            slabs[count - 1].activated |= is_activation(&layer);
        } else {
            slabs[count++] = slab;
        }
    }
    free(narrow);
    if (slabs) *n = merge_separable(slabs, count);
    return slabs;
}
