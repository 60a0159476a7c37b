/* mobilenet_v3.c: MobileNetV3 (Howard et al. 2019), small and large. */
#include "arch/build.h"

struct block {
    uint32_t kernel, expand, out; /* expand: channels between */
    bool squeeze, swish;
    uint32_t stride;
};

struct mobilenet_v3 {
    uint32_t last; /* outputs of the classifier's first layer */
    struct block blocks[16];
};

static uint32_t block(struct eg_builder *b, uint32_t x, unsigned index, const struct block *m)
{
    enum eg_op activation = m->swish ? EG_OP_HARD_SWISH : EG_OP_RELU;
    uint32_t in = channels(b, x), y = x, number = 0;
    scope(b, "features.%u.", index);
    if (m->expand != in) y = conv_norm(b, y, path(b, "block.%u", number++), activation, .out = m->expand);
    y = conv_norm(b, y, path(b, "block.%u", number++), activation, .out = m->expand, .kernel = m->kernel,
                  .stride = m->stride, .pad = m->kernel / 2, .groups = m->expand);
    if (m->squeeze)
        y = squeeze_excite(b, y, path(b, "block.%u", number++), round_channels(m->expand / 4, 8), EG_OP_RELU,
                           EG_OP_HARD_SIGMOID);
    y = conv_norm(b, y, path(b, "block.%u", number), 0, .out = m->out);
    return m->stride == 1 && in == m->out ? add(b, y, x, "add") : y;
}

static void describe(struct eg_builder *b, const void *variant)
{
    const struct mobilenet_v3 *net = variant;
    b->epsilon = 1e-3f;
    uint32_t x =
        conv_norm(b, 0, "features.0", EG_OP_HARD_SWISH, .out = 16, .kernel = 3, .stride = 2, .pad = 1);
    unsigned index = 1;
    for (const struct block *m = net->blocks; m->kernel; m++) x = block(b, x, index++, m);
    scope(b, "%s", "");
    x = conv_norm(b, x, path(b, "features.%u", index), EG_OP_HARD_SWISH, .out = 6 * channels(b, x));
    x = apply(b, EG_OP_GLOBAL_AVG, x, "avgpool");
    default_cut(b, x);
    if (!b->top) return;
    x = linear(b, flatten(b, x, "flatten"), "classifier.0", net->last, 0);
    x = dropout(b, apply(b, EG_OP_HARD_SWISH, x, "classifier.1"), "classifier.2", 0.2f);
    linear(b, x, "classifier.3", b->n_classes, 0);
}

static const struct mobilenet_v3 large = {1280,
                                          {{3, 16, 16, false, false, 1},
                                           {3, 64, 24, false, false, 2},
                                           {3, 72, 24, false, false, 1},
                                           {5, 72, 40, true, false, 2},
                                           {5, 120, 40, true, false, 1},
                                           {5, 120, 40, true, false, 1},
                                           {3, 240, 80, false, true, 2},
                                           {3, 200, 80, false, true, 1},
                                           {3, 184, 80, false, true, 1},
                                           {3, 184, 80, false, true, 1},
                                           {3, 480, 112, true, true, 1},
                                           {3, 672, 112, true, true, 1},
                                           {5, 672, 160, true, true, 2},
                                           {5, 960, 160, true, true, 1},
                                           {5, 960, 160, true, true, 1}}};

static const struct mobilenet_v3 small = {1024,
                                          {{3, 16, 16, true, false, 2},
                                           {3, 72, 24, false, false, 2},
                                           {3, 88, 24, false, false, 1},
                                           {5, 96, 40, true, true, 2},
                                           {5, 240, 40, true, true, 1},
                                           {5, 240, 40, true, true, 1},
                                           {5, 120, 48, true, true, 1},
                                           {5, 144, 48, true, true, 1},
                                           {5, 288, 96, true, true, 2},
                                           {5, 576, 96, true, true, 1},
                                           {5, 576, 96, true, true, 1}}};

#define MOBILENET_V3(size_, count, digits)                                                                   \
    {                                                                                                        \
        .arch = {.name = "mobilenet_v3_" #size_,                                                             \
                 .title = "MobileNetV3 " #size_,                                                             \
                 .recipe = "torchvision",                                                                    \
                 .size = 224,                                                                                \
                 .resize = 256,                                                                              \
                 .parameters = count,                                                                        \
                 EG_TORCHVISION("mobilenet_v3_" #size_, digits)},                                            \
        .describe = describe, .variant = &size_, .classifier = "classifier.3"                                \
    }

const struct eg_arch_row eg__arch_mobilenet_v3[] = {
    MOBILENET_V3(small, 2542856, "047dcff4"),
    MOBILENET_V3(large, 5483032, "8738ca79"),
    {.arch = {.name = NULL}},
};
