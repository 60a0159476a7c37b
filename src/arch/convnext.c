/* convnext.c: ConvNeXt (Liu et al. 2022). Channels are last here anyway, so torchvision's
 * permutations are no layers. */
#include "arch/build.h"

static uint32_t block(struct eg_builder *b, uint32_t x)
{
    uint32_t width = channels(b, x);
    uint32_t y = conv(b, x, "block.0", .out = width, .kernel = 7, .pad = 3, .groups = width, .bias = true);
    y = linear(b, layer_norm(b, y, "block.2", 1e-6f), "block.3", 4 * width, 0);
    y = linear(b, apply(b, EG_OP_GELU, y, "block.4"), "block.5", width, 0);
    return add(b, channel_scale(b, y, "mul", "layer_scale"), x, "add");
}

static void describe(struct eg_builder *b, const void *variant)
{
    const unsigned *depths = variant;
    uint32_t x = conv(b, 0, "features.0.0", .out = 96, .kernel = 4, .stride = 4, .bias = true);
    x = layer_norm(b, x, "features.0.1", 1e-6f);
    for (unsigned s = 0; s < 4; s++) {
        if (s) {
            scope(b, "features.%u.", 2 * s);
            x = conv(b, layer_norm(b, x, "0", 1e-6f), "1", .out = 96u << s, .kernel = 2, .stride = 2,
                     .bias = true);
        }
        for (unsigned i = 0; i < depths[s]; i++) {
            scope(b, "features.%u.%u.", 2 * s + 1, i);
            x = block(b, x);
        }
    }
    scope(b, "%s", "");
    x = apply(b, EG_OP_GLOBAL_AVG, x, "avgpool");
    default_cut(b, x);
    if (!b->top) return;
    x = flatten(b, layer_norm(b, x, "classifier.0", 1e-6f), "classifier.1");
    linear(b, x, "classifier.2", b->n_classes, 0);
}

#define CONVNEXT(name_, short_side, count, digits, ...)                                                      \
    {                                                                                                        \
        .arch = {.name = "convnext_" name_,                                                                  \
                 .title = "ConvNeXt " name_,                                                                 \
                 .recipe = "torchvision",                                                                    \
                 .size = 224,                                                                                \
                 .resize = short_side,                                                                       \
                 .parameters = count,                                                                        \
                 EG_TORCHVISION("convnext_" name_, digits)},                                                 \
        .describe = describe, .variant = (const unsigned[]){__VA_ARGS__}, .classifier = "classifier.2"       \
    }

const struct eg_arch_row eg__arch_convnext[] = {
    CONVNEXT("tiny", 236, 28589128, "983f1562", 3, 3, 9, 3),
    CONVNEXT("small", 230, 50223688, "0c510722", 3, 3, 27, 3),
    {.arch = {.name = NULL}},
};
