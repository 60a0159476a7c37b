/* efficientnet.c: EfficientNet (Tan and Le 2019). Keras pads as TensorFlow does, has another
 * epsilon, and keeps its normalisation in the network; ours is in the recipe. */
#include <math.h>

#include "arch/build.h"

struct efficientnet {
    double width, depth;
    float dropout;
};

static const struct {
    uint32_t expand, kernel, stride, out, repeat;
} stages[] = {{1, 3, 1, 16, 1},  {6, 3, 2, 24, 2},  {6, 5, 2, 40, 2}, {6, 3, 2, 80, 3},
              {6, 5, 1, 112, 3}, {6, 5, 2, 192, 4}, {6, 3, 1, 320, 1}};
enum { N_STAGES = sizeof stages / sizeof *stages };

static uint32_t torch_block(struct eg_builder *b, uint32_t x, unsigned s, uint32_t out, uint32_t stride)
{
    uint32_t in = channels(b, x), wide = round_channels(in * stages[s].expand, 8), kernel = stages[s].kernel;
    uint32_t y = x, number = 0;
    if (wide != in) y = conv_norm(b, y, path(b, "block.%u", number++), EG_OP_SILU, .out = wide);
    y = conv_norm(b, y, path(b, "block.%u", number++), EG_OP_SILU, .out = wide, .kernel = kernel,
                  .stride = stride, .pad = kernel / 2, .groups = wide);
    y = squeeze_excite(b, y, path(b, "block.%u", number++), in / 4, EG_OP_SILU, EG_OP_SIGMOID);
    y = conv_norm(b, y, path(b, "block.%u", number), 0, .out = out);
    return stride == 1 && in == out ? add(b, y, x, "add") : y;
}

static uint32_t keras_block(struct eg_builder *b, uint32_t x, unsigned s, uint32_t out, uint32_t stride)
{
    uint32_t in = channels(b, x), wide = in * stages[s].expand, y = x;
    if (wide != in)
        y = apply(b, EG_OP_SILU, batch_norm(b, conv(b, y, "expand_conv", .out = wide), "expand_bn"),
                  "expand_activation");
    y = conv(b, y, "dwconv", .out = wide, .kernel = stages[s].kernel, .stride = stride, .groups = wide,
             .same = true);
    y = apply(b, EG_OP_SILU, batch_norm(b, y, "bn"), "activation");
    uint32_t gate = apply(b, EG_OP_GLOBAL_AVG, y, "se_squeeze");
    gate = conv(b, gate, "se_reduce", .out = in / 4, .bias = true, .activation = EG_OP_SILU);
    gate = conv(b, gate, "se_expand", .out = wide, .bias = true, .activation = EG_OP_SIGMOID);
    y = multiply(b, y, gate, "se_excite");
    y = batch_norm(b, conv(b, y, "project_conv", .out = out), "project_bn");
    return stride == 1 && in == out ? add(b, y, x, "add") : y;
}

static void describe(struct eg_builder *b, const void *variant)
{
    const struct efficientnet *net = variant;
    uint32_t x, stem = round_channels(32 * net->width, 8);
    if (b->keras) {
        b->epsilon = 1e-3f;
        x = conv(b, 0, "stem_conv", .out = stem, .kernel = 3, .stride = 2, .same = true);
        x = apply(b, EG_OP_SILU, batch_norm(b, x, "stem_bn"), "stem_activation");
    } else {
        x = conv_norm(b, 0, "features.0", EG_OP_SILU, .out = stem, .kernel = 3, .stride = 2, .pad = 1);
    }
    for (unsigned s = 0; s < N_STAGES; s++) {
        uint32_t out = round_channels(stages[s].out * net->width, 8);
        unsigned repeat = (unsigned)ceil(stages[s].repeat * net->depth);
        for (unsigned r = 0; r < repeat; r++) {
            if (b->keras)
                scope(b, "block%u%c_", s + 1, 'a' + (int)r);
            else
                scope(b, "features.%u.%u.", s + 1, r);
            x = (b->keras ? keras_block : torch_block)(b, x, s, out, r ? 1 : stages[s].stride);
        }
    }
    scope(b, "%s", "");
    if (b->keras)
        x = apply(
            b, EG_OP_SILU,
            batch_norm(b, conv(b, x, "top_conv", .out = round_channels(1280 * net->width, 8)), "top_bn"),
            "top_activation");
    else
        x = conv_norm(b, x, "features.8", EG_OP_SILU, .out = 4 * channels(b, x));
    x = apply(b, EG_OP_GLOBAL_AVG, x, b->keras ? "avg_pool" : "avgpool");
    alias(b, x, "avgpool");
    default_cut(b, x);
    if (!b->top) return;
    if (b->keras)
        linear(b, dropout(b, x, "top_dropout", net->dropout), "predictions", b->n_classes, EG_OP_SOFTMAX);
    else
        linear(b, dropout(b, flatten(b, x, "flatten"), "classifier.0", net->dropout), "classifier.1",
               b->n_classes, 0);
}

#define EFFICIENTNET(n, side, short_side, count, stem, digits, ...)                                          \
    {                                                                                                        \
        .arch = {.name = "efficientnet_b" n,                                                                 \
                 .title = "EfficientNet-B" n,                                                                \
                 .recipe = "timm-bicubic",                                                                   \
                 .size = side,                                                                               \
                 .resize = short_side,                                                                       \
                 .parameters = count,                                                                        \
                 EG_TORCHVISION(stem, digits)},                                                              \
        .describe = describe, .variant = &(const struct efficientnet){__VA_ARGS__},                          \
        .classifier = "classifier.1"                                                                         \
    }

const struct eg_arch_row eg__arch_efficientnet[] = {
    EFFICIENTNET("0", 224, 256, 5288548, "efficientnet_b0_rwightman", "3dd342df", 1.0, 1.0, 0.2f),
    EFFICIENTNET("1", 240, 256, 7794184, "efficientnet_b1_rwightman", "533bc792", 1.0, 1.1, 0.2f),
    EFFICIENTNET("2", 288, 288, 9109994, "efficientnet_b2_rwightman", "bcdf34b7", 1.1, 1.2, 0.3f),
    EFFICIENTNET("3", 300, 320, 12233232, "efficientnet_b3_rwightman", "cf984f9c", 1.2, 1.4, 0.3f),
    EFFICIENTNET("4", 380, 384, 19341616, "efficientnet_b4_rwightman", "7eb33cd5", 1.4, 1.8, 0.4f),
    {.arch = {.name = "keras-efficientnet_b0",
              .title = "EfficientNet-B0 (Keras)",
              .recipe = "torchvision",
              .size = 224,
              .parameters = 5288548,
              .file = "efficientnetb0.h5",
              .md5 = "902e53a9f72be733fc0bcb005b3ebbac",
              .url = "https://storage.googleapis.com/keras-applications/efficientnetb0.h5",
              .licence = "Apache-2.0"},
     .describe = describe,
     .variant = &(const struct efficientnet){1.0, 1.0, 0.2f},
     .classifier = "predictions",
     .ignored = "normalization",
     .keras = true,
     .in_keras_order = true},
    {.arch = {.name = NULL}},
};
