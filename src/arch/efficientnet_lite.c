/* efficientnet_lite.c: EfficientNet without squeeze-and-excitation, ReLU6 for swish, stem and
 * head unscaled, so that it runs well with 8 bits (Liu 2020; Tan and Le 2019). Names are those
 * of efficientnet_lite_pytorch, TensorFlow's padding and epsilon those it was trained with. */
#include <math.h>
#include <string.h>

#include "arch/build.h"

struct lite {
    double width, depth;
    float dropout;
    bool symmetric; /* timm's own */
};

static const struct {
    uint32_t kernel, stride, expand, out, repeat;
} stages[] = {{3, 1, 1, 16, 1},  {3, 2, 6, 24, 2},  {5, 2, 6, 40, 2}, {3, 2, 6, 80, 3},
              {5, 1, 6, 112, 3}, {5, 2, 6, 192, 4}, {3, 1, 6, 320, 1}};
enum { N_STAGES = sizeof stages / sizeof *stages };

/* What the layers are called: by efficientnet_lite_pytorch, or by timm. timm's ports (tf_efficientnet_lite0
 * to 4) are the same networks; its own efficientnet_lite0 has the same names and shapes but PyTorch's
 * padding, epsilon and recipe, so that only a file's name tells the two apart. */
struct words {
    const char *stem, *stem_norm, *head, *head_norm, *classifier;
    const char *expand, *expand_norm, *depthwise, *depthwise_norm, *project, *project_norm;
};
static const struct words own = {"_conv_stem", "_bn0",          "_conv_head", "_bn1",
                                 "_fc",        "_expand_conv",  "_bn0",       "_depthwise_conv",
                                 "_bn1",       "_project_conv", "_bn2"};
static const struct words timm = {"conv_stem", "bn1",     "conv_head", "bn2",      "classifier", "conv_pw",
                                  "bn1",       "conv_dw", "bn2",       "conv_pwl", "bn3"};
static const struct words timm_first = {
    .depthwise = "conv_dw", .depthwise_norm = "bn1", .project = "conv_pw", .project_norm = "bn2"};

static uint32_t block(struct eg_builder *b, uint32_t x, const struct words *words, bool same, uint32_t kernel,
                      uint32_t stride, uint32_t expand, uint32_t out)
{
    uint32_t in = channels(b, x), wide = in * expand, y = x;
    if (expand != 1) {
        y = conv(b, y, words->expand, .out = wide);
        y = relu6(b, batch_norm(b, y, words->expand_norm), "_relu0");
    }
    y = conv(b, y, words->depthwise, .out = wide, .kernel = kernel, .stride = stride, .groups = wide,
             .same = same, .pad = same ? 0 : kernel / 2);
    y = relu6(b, batch_norm(b, y, words->depthwise_norm), "_relu1");
    y = conv(b, y, words->project, .out = out);
    y = batch_norm(b, y, words->project_norm);
    return stride == 1 && in == out ? add(b, y, x, "add") : y;
}

static void describe(struct eg_builder *b, const void *variant)
{
    const struct lite *lite = variant;
    const bool ported = lite->depth > 1 || (b->file && strstr(b->file, "tf_"));
    const bool is_timm = lite->symmetric || (ported && eg__build_search(b, "conv_stem.weight"));
    const bool same = !lite->symmetric;
    const struct words *words = is_timm ? &timm : &own;
    if (same) b->epsilon = 1e-3f;
    uint32_t index = 0, x = conv(b, 0, words->stem, .out = 32, .kernel = 3, .stride = 2, .same = same,
                                 .pad = same ? 0 : 1);
    x = relu6(b, batch_norm(b, x, words->stem_norm), "_relu0");
    for (unsigned s = 0; s < N_STAGES; s++) {
        bool end = s == 0 || s == N_STAGES - 1;
        uint32_t out = round_channels(stages[s].out * lite->width, 8);
        uint32_t repeat = end ? stages[s].repeat : (uint32_t)ceil(stages[s].repeat * lite->depth);
        for (uint32_t r = 0; r < repeat; r++, index++) {
            if (is_timm)
                scope(b, "blocks.%u.%u.", s, r);
            else
                scope(b, "_blocks.%u.", index);
            x = block(b, x, is_timm && !s ? &timm_first : words, same, stages[s].kernel,
                      r ? 1 : stages[s].stride, stages[s].expand, out);
        }
    }
    scope(b, "%s", "");
    x = conv(b, x, words->head, .out = 1280);
    x = relu6(b, batch_norm(b, x, words->head_norm), "_relu1");
    x = apply(b, EG_OP_GLOBAL_AVG, x, "avgpool");
    alias(b, x, "_avg_pooling");
    default_cut(b, x);
    if (!b->top) return;
    x = dropout(b, x, "_dropout", lite->dropout);
    linear(b, x, words->classifier, b->n_classes, 0);
}

static const char *const spellings[][2] = {{"_fc", "classifier"}, {NULL, NULL}};

#define LITE(n, side, short_side, count, file_name, hash, ...)                                               \
    {                                                                                                        \
        .arch = {.name = "efficientnet-lite" n,                                                              \
                 .title = "EfficientNet-Lite" n,                                                             \
                 .recipe = "efficientnet-lite",                                                              \
                 .size = side,                                                                               \
                 .resize = short_side,                                                                       \
                 .parameters = count,                                                                        \
                 .file = file_name,                                                                          \
                 .sha256 = hash,                                                                             \
                 .licence = "Apache-2.0"},                                                                   \
        .describe = describe, .variant = &(const struct lite){__VA_ARGS__}, .classifier = "_fc",             \
        .spellings = spellings                                                                               \
    }

const struct eg_arch_row eg__arch_efficientnet_lite[] = {
    LITE("0", 224, 256, 4652008, "efficientnet-lite0-57934424.pth",
         "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db", 1.0, 1.0, 0.2f, false),
    LITE("1", 240, 272, 5416680, NULL, NULL, 1.0, 1.1, 0.2f, false),
    LITE("2", 260, 292, 6092072, NULL, NULL, 1.1, 1.2, 0.3f, false),
    LITE("3", 280, 312, 8197096, NULL, NULL, 1.2, 1.4, 0.3f, false),
    LITE("4", 300, 332, 13006568, NULL, NULL, 1.4, 1.8, 0.3f, false),
    {.arch = {.name = "timm-efficientnet-lite0",
              .title = "EfficientNet-Lite0 (timm's own)",
              .recipe = "timm-bicubic",
              .size = 224,
              .resize = 256,
              .parameters = 4652008,
              .licence = "Apache-2.0"},
     .describe = describe,
     .variant = &(const struct lite){1.0, 1.0, 0.2f, true},
     .classifier = "classifier"},
    {.arch = {.name = NULL}},
};
