/* shufflenet.c: ShuffleNet v2 (Ma et al. 2018). */
#include "arch/build.h"

static uint32_t long_branch(struct eg_builder *b, uint32_t x, uint32_t half, uint32_t stride)
{
    x = relu(b, batch_norm(b, conv(b, x, "branch2.0", .out = half), "branch2.1"), "branch2.2");
    x = conv(b, x, "branch2.3", .out = half, .kernel = 3, .stride = stride, .pad = 1, .groups = half);
    x = conv(b, batch_norm(b, x, "branch2.4"), "branch2.5", .out = half);
    return relu(b, batch_norm(b, x, "branch2.6"), "branch2.7");
}

static uint32_t unit(struct eg_builder *b, uint32_t x, uint32_t out, uint32_t stride)
{
    uint32_t in = channels(b, x), half = out / 2, left, right;
    if (stride == 1) {
        left = slice(b, x, "getitem", 0, half);
        right = long_branch(b, slice(b, x, "getitem", half, out), half, 1);
    } else {
        left = conv(b, x, "branch1.0", .out = in, .kernel = 3, .stride = stride, .pad = 1, .groups = in);
        left = conv(b, batch_norm(b, left, "branch1.1"), "branch1.2", .out = half);
        left = relu(b, batch_norm(b, left, "branch1.3"), "branch1.4");
        right = long_branch(b, x, half, stride);
    }
    return channel_shuffle(b, concat(b, (uint32_t[]){left, right}, 2, "cat"), "channel_shuffle", 2);
}

static void describe(struct eg_builder *b, const void *variant)
{
    static const unsigned repeats[] = {4, 8, 4};
    const uint32_t *widths = variant;
    uint32_t x = relu(
        b, batch_norm(b, conv(b, 0, "conv1.0", .out = 24, .kernel = 3, .stride = 2, .pad = 1), "conv1.1"),
        "conv1.2");
    x = max_pool(b, x, "maxpool", .kernel = 3, .stride = 2, .pad = 1);
    for (unsigned s = 0; s < 3; s++)
        for (unsigned r = 0; r < repeats[s]; r++) {
            scope(b, "stage%u.%u.", s + 2, r);
            x = unit(b, x, widths[s], r ? 1 : 2);
        }
    scope(b, "%s", "");
    x = relu(b, batch_norm(b, conv(b, x, "conv5.0", .out = 1024), "conv5.1"), "conv5.2");
    x = apply(b, EG_OP_GLOBAL_AVG, x, "avgpool");
    alias(b, x, "mean");
    default_cut(b, x);
    if (b->top) linear(b, x, "fc", b->n_classes, 0);
}

#define SHUFFLENET(name_, title_, count, stem, digits, ...)                                                  \
    {                                                                                                        \
        .arch = {.name = "shufflenet_v2_" name_,                                                             \
                 .title = "ShuffleNet v2 " title_,                                                           \
                 .recipe = "torchvision",                                                                    \
                 .size = 224,                                                                                \
                 .resize = 256,                                                                              \
                 .parameters = count,                                                                        \
                 EG_TORCHVISION(stem, digits)},                                                              \
        .describe = describe, .variant = (const uint32_t[]){__VA_ARGS__}, .classifier = "fc"                 \
    }

const struct eg_arch_row eg__arch_shufflenet[] = {
    SHUFFLENET("x0_5", "x0.5", 1366792, "shufflenetv2_x0.5", "f707e7126e", 48, 96, 192),
    SHUFFLENET("x1_0", "x1.0", 2278604, "shufflenetv2_x1", "5666bf0f80", 116, 232, 464),
    {.arch = {.name = NULL}},
};
