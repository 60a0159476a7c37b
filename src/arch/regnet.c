/* regnet.c: RegNet-Y (Radosavovic et al. 2020); widths and depths as its rule gives them. */
#include "arch/build.h"

struct regnet {
    uint32_t group_width, depths[4], widths[4];
};

static uint32_t block(struct eg_builder *b, uint32_t x, uint32_t out, uint32_t stride, uint32_t group_width)
{
    uint32_t in = channels(b, x), side = x;
    if (in != out || stride != 1) side = conv_norm(b, x, "proj", 0, .out = out, .stride = stride);
    uint32_t y = conv_norm(b, x, "f.a", EG_OP_RELU, .out = out);
    y = conv_norm(b, y, "f.b", EG_OP_RELU, .out = out, .kernel = 3, .stride = stride, .pad = 1,
                  .groups = out / group_width);
    y = squeeze_excite(b, y, "f.se", in / 4, EG_OP_RELU, EG_OP_SIGMOID);
    y = conv_norm(b, y, "f.c", 0, .out = out);
    return relu(b, add(b, side, y, "add"), "activation");
}

static void describe(struct eg_builder *b, const void *variant)
{
    const struct regnet *net = variant;
    uint32_t x = conv_norm(b, 0, "stem", EG_OP_RELU, .out = 32, .kernel = 3, .stride = 2, .pad = 1);
    for (unsigned s = 0; s < 4; s++)
        for (unsigned i = 0; i < net->depths[s]; i++) {
            scope(b, "trunk_output.block%u.block%u-%u.", s + 1, s + 1, i);
            x = block(b, x, net->widths[s], i ? 1 : 2, net->group_width);
        }
    scope(b, "%s", "");
    x = apply(b, EG_OP_GLOBAL_AVG, x, "avgpool");
    default_cut(b, x);
    if (b->top) linear(b, flatten(b, x, "flatten"), "fc", b->n_classes, 0);
}

#define REGNET(name_, title_, count, digits, ...)                                                            \
    {                                                                                                        \
        .arch = {.name = "regnet_y_" name_,                                                                  \
                 .title = "RegNet-Y " title_,                                                                \
                 .recipe = "torchvision",                                                                    \
                 .size = 224,                                                                                \
                 .resize = 256,                                                                              \
                 .parameters = count,                                                                        \
                 EG_TORCHVISION("regnet_y_" name_, digits)},                                                 \
        .describe = describe, .variant = &(const struct regnet)__VA_ARGS__, .classifier = "fc"               \
    }

const struct eg_arch_row eg__arch_regnet[] = {
    REGNET("400mf", "400MF", 4344144, "c65dace8", {8, {1, 3, 6, 6}, {48, 104, 208, 440}}),
    REGNET("800mf", "800MF", 6432512, "1b27b58c", {16, {1, 3, 8, 2}, {64, 144, 320, 784}}),
    {.arch = {.name = NULL}},
};
