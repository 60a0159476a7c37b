/* repvgg.c: RepVGG (Ding et al. 2021) as it is trained: every layer the sum of a 3x3, a 1x1 and, where it can
 * be, the input itself, each with a norm. timm's words; the authors' are a dialect. */
#include "arch/build.h"

struct repvgg {
    uint32_t depth[4], width[4], stem;
};

static uint32_t block(struct eg_builder *b, uint32_t x, uint32_t out, uint32_t stride)
{
    uint32_t y = conv(b, x, "conv_kxk.conv", .out = out, .kernel = 3, .stride = stride, .pad = 1);
    y = batch_norm(b, y, "conv_kxk.bn");
    uint32_t z = batch_norm(b, conv(b, x, "conv_1x1.conv", .out = out, .stride = stride), "conv_1x1.bn");
    y = add(b, y, z, "add");
    if (stride == 1 && channels(b, x) == out) y = add(b, y, batch_norm(b, x, "identity"), "add");
    return relu(b, y, "act");
}

static void describe(struct eg_builder *b, const void *variant)
{
    const struct repvgg *net = variant;
    scope(b, "stem.");
    uint32_t x = block(b, 0, net->stem, 2);
    for (unsigned s = 0; s < 4; s++)
        for (unsigned i = 0; i < net->depth[s]; i++) {
            scope(b, "stages.%u.%u.", s, i);
            x = block(b, x, net->width[s], i ? 1 : 2);
            alias(b, x, "stages.%u.%u", s, i);
        }
    scope(b, "%s", "");
    x = apply(b, EG_OP_GLOBAL_AVG, x, "avgpool");
    default_cut(b, x);
    if (b->top) linear(b, x, "head.fc", b->n_classes, 0);
}

static eg_spelling of_the_authors[] = {{"stages.0.", "stage1."},  {"stages.1.", "stage2."},
                                       {"stages.2.", "stage3."},  {"stages.3.", "stage4."},
                                       {"stem.", "stage0."},      {"conv_kxk.", "rbr_dense."},
                                       {"conv_1x1.", "rbr_1x1."}, {"identity.", "rbr_identity."},
                                       {"head.fc.", "linear."},   {NULL, NULL}};

#define REPVGG(n, count, ...)                                                                                \
    {                                                                                                        \
        .arch = {.name = "repvgg_" n,                                                                        \
                 .title = "RepVGG-" n,                                                                       \
                 .recipe = "torchvision",                                                                    \
                 .size = 224,                                                                                \
                 .resize = 256,                                                                              \
                 .parameters = count},                                                                       \
        .describe = describe, .variant = &(const struct repvgg){__VA_ARGS__}, .classifier = "head.fc",       \
        .spellings = of_the_authors                                                                          \
    }

const struct eg_arch_row eg__arch_repvgg[] = {
    REPVGG("a0", 9108968, {2, 4, 14, 1}, {48, 96, 192, 1280}, 48),
    REPVGG("a1", 14092264, {2, 4, 14, 1}, {64, 128, 256, 1280}, 64),
    REPVGG("a2", 28210600, {2, 4, 14, 1}, {96, 192, 384, 1408}, 64),
    REPVGG("b0", 15817960, {4, 6, 16, 1}, {64, 128, 256, 1280}, 64),
    REPVGG("b1", 57415016, {4, 6, 16, 1}, {128, 256, 512, 2048}, 64),
    REPVGG("b2", 89022376, {4, 6, 16, 1}, {160, 320, 640, 2560}, 64),
    {.arch = {.name = NULL}},
};
