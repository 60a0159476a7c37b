/* convnext_v2.c: ConvNeXt V2 (Woo et al. 2023), whose layers compete by their norms over the image, and
 * ConvNeXt as timm, its authors and transformers have it. timm's words, the others are dialects. */
#include <math.h>

#include "arch/build.h"
#include "base/fail.h"

struct convnext {
    uint32_t depth[4], width;
    bool second;
};

/* A dense layer, or the 1x1 convolution that is the same. */
static uint32_t dense(struct eg_builder *b, uint32_t x, const char *leaf, uint32_t out)
{
    const struct eg_tensor *in_file = eg__build_peek(b, path(b, "%s%s.weight", b->scope, leaf));
    if (in_file && in_file->rank == 4) return conv(b, x, leaf, .out = out, .bias = true);
    return linear(b, x, leaf, out, 0);
}

/* n numbers, which some files write as [1][1][1][n]. */
static const struct eg_tensor *numbers(struct eg_builder *b, const char *name, size_t n)
{
    const struct eg_tensor *in_file = eg__build_peek(b, path(b, "%s%s", b->scope, name));
    const bool four = in_file && in_file->rank == 4;
    const size_t dim[4] = {four ? 1 : n, 1, 1, n};
    const struct eg_tensor *found = eg__build_parameter(b, name, four ? 4 : 1, dim);
    if (!four || !found || b->status) return found;
    struct eg_tensor flat = {
        .name = found->name, .data = found->data, .dtype = found->dtype, .rank = 1, .dim = {n}};
    eg__tensor_pack_strides(&flat);
    found = eg__graph_tensor(b->graph, &flat);
    if (!found) b->status = eg__fail_memory(b->err, "a layer's parameters");
    return found;
}

/* x + bias + weight x n, where n is a channel's norm over the image, by the mean of all channels'. Here norms
 * are by the root of the number of pixels smaller, and so is what keeps them from 0. */
static uint32_t respond(struct eg_builder *b, uint32_t x)
{
    const uint32_t c = channels(b, x);
    const struct eg_map map = b->status ? (struct eg_map){1, 1, c} : eg__map(b->graph->nodes[x].shape);
    const float least = 1e-6f / sqrtf((float)(map.h * map.w));
    struct eg_node more = {.op = EG_OP_ADD}, by = {.op = EG_OP_DIV, .n_inputs = 2};
    struct eg_node weight = {.op = EG_OP_MUL, .params = {numbers(b, "mlp.grn.weight", c)}},
                   bias = {.op = EG_OP_ADD, .params = {numbers(b, "mlp.grn.bias", c)}};
    if (!b->status && !(more.params[0] = eg__graph_constant(b->graph, NULL, 0, NULL, &least)))
        b->status = eg__fail_memory(b->err, "a layer");
    uint32_t norm = apply(b, EG_OP_GLOBAL_AVG, multiply(b, x, x, "mlp.grn.square"), "mlp.grn.mean");
    norm = apply(b, EG_OP_SQRT, norm, "mlp.grn.norm");
    by.inputs[0] = norm;
    by.inputs[1] =
        eg__build_node(b, &more, apply(b, EG_OP_REDUCE_MEAN, norm, "mlp.grn.all"), "mlp.grn.least");
    norm = eg__build_node(b, &by, norm, "mlp.grn.share");
    uint32_t y = multiply(b, x, eg__build_node(b, &weight, norm, "mlp.grn.weighted"), "mlp.grn.mul");
    return add(b, x, eg__build_node(b, &bias, y, "mlp.grn.shifted"), "mlp.grn");
}

static uint32_t block(struct eg_builder *b, uint32_t x, bool second)
{
    const uint32_t width = channels(b, x);
    uint32_t y = conv(b, x, "conv_dw", .out = width, .kernel = 7, .pad = 3, .groups = width, .bias = true);
    y = dense(b, layer_norm(b, y, "norm", 1e-6f), "mlp.fc1", 4 * width);
    y = apply(b, EG_OP_GELU, y, "mlp.act");
    if (second) y = respond(b, y);
    y = dense(b, y, "mlp.fc2", width);
    if (second) return add(b, y, x, "add");
    struct eg_node scale = {.op = EG_OP_MUL, .params = {numbers(b, "gamma", width)}};
    return add(b, eg__build_node(b, &scale, y, "scaled"), x, "add");
}

static void describe(struct eg_builder *b, const void *variant)
{
    const struct convnext *net = variant;
    if (b->weights &&
        !eg__build_peek(b, path(b, "stages.0.blocks.0.%s", net->second ? "mlp.grn.weight" : "gamma")))
        eg__build_reject(b, "it is the other ConvNeXt");
    uint32_t x = conv(b, 0, "stem.0", .out = net->width, .kernel = 4, .stride = 4, .bias = true);
    x = layer_norm(b, x, "stem.1", 1e-6f);
    for (unsigned s = 0; s < 4; s++) {
        scope(b, "stages.%u.downsample.", s);
        if (s)
            x = conv(b, layer_norm(b, x, "0", 1e-6f), "1", .out = net->width << s, .kernel = 2, .stride = 2,
                     .bias = true);
        for (unsigned i = 0; i < net->depth[s]; i++) {
            scope(b, "stages.%u.blocks.%u.", s, i);
            x = block(b, x, net->second);
            alias(b, x, "stages.%u.blocks.%u", s, i);
        }
    }
    scope(b, "%s", "");
    x = layer_norm(b, apply(b, EG_OP_GLOBAL_AVG, x, "avgpool"), "head.norm", 1e-6f);
    default_cut(b, x);
    if (b->top) linear(b, x, "head.fc", b->n_classes, 0);
}

static eg_spelling of_timm[] = {{NULL, NULL}};
static eg_spelling of_the_authors[] = {{"stem.", "downsample_layers.0."},
                                       {"stages.1.downsample.", "downsample_layers.1."},
                                       {"stages.2.downsample.", "downsample_layers.2."},
                                       {"stages.3.downsample.", "downsample_layers.3."},
                                       {"blocks.", ""},
                                       {"conv_dw", "dwconv"},
                                       {"mlp.fc1", "pwconv1"},
                                       {"mlp.fc2", "pwconv2"},
                                       {"mlp.grn.weight", "grn.gamma"},
                                       {"mlp.grn.bias", "grn.beta"},
                                       {"head.norm", "norm"},
                                       {"head.fc", "head"},
                                       {NULL, NULL}};
static eg_spelling of_transformers[] = {{"stem.0", "embeddings.patch_embeddings"},
                                        {"stem.1", "embeddings.layernorm"},
                                        {"stages.", "encoder.stages."},
                                        {"downsample.", "downsampling_layer."},
                                        {"blocks.", "layers."},
                                        {"conv_dw", "dwconv"},
                                        {"mlp.fc1", "pwconv1"},
                                        {"mlp.fc2", "pwconv2"},
                                        {"mlp.grn.", "grn."},
                                        {"gamma", "layer_scale_parameter"},
                                        {"head.norm", "layernorm"},
                                        {"head.fc", "classifier"},
                                        {"norm.", "layernorm."},
                                        {NULL, NULL}};
static eg_spelling *const dialects[] = {of_timm, of_the_authors, of_transformers, NULL};

#define CONVNEXT(name_, title_, side_before, count, ...)                                                     \
    {                                                                                                        \
        .arch = {.name = name_,                                                                              \
                 .title = title_,                                                                            \
                 .recipe = "timm-bicubic",                                                                   \
                 .size = 224,                                                                                \
                 .resize = side_before,                                                                      \
                 .parameters = count},                                                                       \
        .describe = describe, .variant = &(const struct convnext){__VA_ARGS__}, .classifier = "head.fc",     \
        .dialects = dialects, .probe = "stages.0.blocks.0.conv_dw.weight", .sized = true                     \
    }

const struct eg_arch_row eg__arch_convnext_v2[] = {
    CONVNEXT("convnextv2_atto", "ConvNeXt V2 atto", 256, 3708400, {2, 2, 6, 2}, 40, true),
    CONVNEXT("convnextv2_femto", "ConvNeXt V2 femto", 256, 5233240, {2, 2, 6, 2}, 48, true),
    CONVNEXT("convnextv2_pico", "ConvNeXt V2 pico", 256, 9066280, {2, 2, 6, 2}, 64, true),
    CONVNEXT("convnextv2_nano", "ConvNeXt V2 nano", 256, 15623800, {2, 2, 8, 2}, 80, true),
    CONVNEXT("convnextv2_tiny", "ConvNeXt V2 tiny", 256, 28635496, {3, 3, 9, 3}, 96, true),
    CONVNEXT("convnextv2_base", "ConvNeXt V2 base", 256, 88717800, {3, 3, 27, 3}, 128, true),
    CONVNEXT("convnextv2_large", "ConvNeXt V2 large", 256, 197956840, {3, 3, 27, 3}, 192, true),
    CONVNEXT("convnext_atto", "ConvNeXt atto", 256, 3695520, {2, 2, 6, 2}, 40, false),
    CONVNEXT("convnext_femto", "ConvNeXt femto", 256, 5217784, {2, 2, 6, 2}, 48, false),
    CONVNEXT("convnext_pico", "ConvNeXt pico", 256, 9045672, {2, 2, 6, 2}, 64, false),
    CONVNEXT("convnext_nano", "ConvNeXt nano", 236, 15593560, {2, 2, 8, 2}, 80, false),
    CONVNEXT("timm-convnext_tiny", "ConvNeXt tiny (timm)", 236, 28589128, {3, 3, 9, 3}, 96, false),
    CONVNEXT("timm-convnext_small", "ConvNeXt small (timm)", 236, 50223688, {3, 3, 27, 3}, 96, false),
    CONVNEXT("timm-convnext_base", "ConvNeXt base (timm)", 256, 88591464, {3, 3, 27, 3}, 128, false),
    CONVNEXT("timm-convnext_large", "ConvNeXt large (timm)", 256, 197767336, {3, 3, 27, 3}, 192, false),
    {.arch = {.name = NULL}},
};
