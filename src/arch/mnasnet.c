/* mnasnet.c: MNASNet-B1 (Tan et al. 2019), all widths scaled by `width`. */
#include "arch/build.h"

static const struct {
    uint32_t out, kernel, stride, expand, repeat;
} stacks[] = {{24, 3, 2, 3, 3}, {40, 5, 2, 3, 3},  {80, 5, 2, 6, 3},
              {96, 3, 1, 6, 2}, {192, 5, 2, 6, 4}, {320, 3, 1, 6, 1}};

static uint32_t residual(struct eg_builder *b, uint32_t x, uint32_t expand, uint32_t out, uint32_t kernel,
                         uint32_t stride)
{
    uint32_t in = channels(b, x), wide = in * expand, y = x;
    y = relu(b, batch_norm(b, conv(b, y, "layers.0", .out = wide), "layers.1"), "layers.2");
    y = conv(b, y, "layers.3", .out = wide, .kernel = kernel, .stride = stride, .pad = kernel / 2,
             .groups = wide);
    y = relu(b, batch_norm(b, y, "layers.4"), "layers.5");
    y = batch_norm(b, conv(b, y, "layers.6", .out = out), "layers.7");
    return stride == 1 && in == out ? add(b, y, x, "add") : y;
}

static void describe(struct eg_builder *b, const void *variant)
{
    double width = *(const double *)variant;
    uint32_t stem = round_channels(32 * width, 8);
    scope(b, "layers.");
    uint32_t x =
        relu(b, batch_norm(b, conv(b, 0, "0", .out = stem, .kernel = 3, .stride = 2, .pad = 1), "1"), "2");
    x = relu(b, batch_norm(b, conv(b, x, "3", .out = stem, .kernel = 3, .pad = 1, .groups = stem), "4"), "5");
    x = batch_norm(b, conv(b, x, "6", .out = round_channels(16 * width, 8)), "7");
    for (unsigned s = 0; s < sizeof stacks / sizeof *stacks; s++)
        for (unsigned r = 0; r < stacks[s].repeat; r++) {
            scope(b, "layers.%u.%u.", s + 8, r);
            x = residual(b, x, stacks[s].expand, round_channels(stacks[s].out * width, 8), stacks[s].kernel,
                         r ? 1 : stacks[s].stride);
        }
    scope(b, "layers.");
    x = relu(b, batch_norm(b, conv(b, x, "14", .out = 1280), "15"), "16");
    scope(b, "%s", "");
    x = apply(b, EG_OP_GLOBAL_AVG, x, "avgpool");
    alias(b, x, "mean");
    default_cut(b, x);
    if (!b->top) return;
    linear(b, dropout(b, x, "classifier.0", 0.2f), "classifier.1", b->n_classes, 0);
}

#define MNASNET(name_, width, count, stem, digits)                                                           \
    {                                                                                                        \
        .arch = {.name = "mnasnet" name_,                                                                    \
                 .title = "MNASNet " #width,                                                                 \
                 .recipe = "torchvision",                                                                    \
                 .size = 224,                                                                                \
                 .resize = 256,                                                                              \
                 .parameters = count,                                                                        \
                 EG_TORCHVISION(stem, digits)},                                                              \
        .describe = describe, .variant = &(const double){width}, .classifier = "classifier.1",               \
        .children = "layers"                                                                                 \
    }

const struct eg_arch_row eg__arch_mnasnet[] = {
    MNASNET("0_5", 0.5, 2218512, "mnasnet0.5_top1_67.823", "3ffadce67e"),
    MNASNET("1_0", 1.0, 4383312, "mnasnet1.0_top1_73.512", "f206786ef8"),
    {.arch = {.name = NULL}},
};
