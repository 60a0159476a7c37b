/* vgg.c: VGG (Simonyan and Zisserman 2015): 3x3 convolutions, a pooling after each block. */
#include "arch/build.h"

struct vgg {
    const char *convolutions; /* how many in each block, a digit each */
    bool norm;
};

/* Name by torchvision's number or by Keras's block; the other is an alias of the layer's result. */
static uint32_t convolution(struct eg_builder *b, uint32_t x, const struct vgg *vgg, uint32_t *number,
                            unsigned block, unsigned which, uint32_t out)
{
    if (b->keras)
        return conv(b, x, path(b, "block%u_conv%u", block, which), .out = out, .kernel = 3, .same = true,
                    .bias = true, .activation = EG_OP_RELU);
    x = conv(b, x, path(b, "features.%u", (*number)++), .out = out, .kernel = 3, .pad = 1, .bias = true);
    if (vgg->norm) x = batch_norm(b, x, path(b, "features.%u", (*number)++));
    x = relu(b, x, path(b, "features.%u", (*number)++));
    alias(b, x, "block%u_conv%u", block, which);
    return x;
}

static void describe(struct eg_builder *b, const void *variant)
{
    static const uint32_t widths[] = {64, 128, 256, 512, 512};
    const struct vgg *vgg = variant;
    uint32_t x = 0, number = 0;
    for (unsigned block = 1; block <= 5; block++) {
        unsigned repeat = (unsigned)(vgg->convolutions[block - 1] - '0');
        for (unsigned i = 1; i <= repeat; i++) {
            x = convolution(b, x, vgg, &number, block, i, widths[block - 1]);
            alias(b, x, "conv%u_%u", block, i);
        }
        const char *name = b->keras ? path(b, "block%u_pool", block) : path(b, "features.%u", number++);
        x = max_pool(b, x, name, .kernel = 2, .stride = 2);
        alias(b, x, "block%u_pool", block);
        alias(b, x, "pool%u", block);
    }
    default_cut(b, x);
    if (!b->top) return;
    if (b->keras) {
        x = linear(b, flatten(b, x, "flatten"), "fc1", 4096, EG_OP_RELU);
        alias(b, x, "fc6");
        x = linear(b, x, "fc2", 4096, EG_OP_RELU);
        alias(b, x, "fc7");
        x = linear(b, x, "predictions", b->n_classes, EG_OP_SOFTMAX);
        return;
    }
    x = flatten(b, adaptive_avg_pool(b, x, "avgpool", 7), "flatten");
    scope(b, "classifier.");
    x = relu(b, linear(b, x, "0", 4096, 0), "1");
    alias(b, x, "fc6");
    alias(b, x, "fc1");
    x = relu(b, linear(b, dropout(b, x, "2", 0.5f), "3", 4096, 0), "4");
    alias(b, x, "fc7");
    alias(b, x, "fc2");
    x = linear(b, dropout(b, x, "5", 0.5f), "6", b->n_classes, 0);
    alias(b, x, "fc8");
}

#define VGG(name_, title_, count, blocks, with_norm, stem, digits)                                           \
    {                                                                                                        \
        .arch = {.name = name_,                                                                              \
                 .title = title_,                                                                            \
                 .recipe = "torchvision",                                                                    \
                 .size = 224,                                                                                \
                 .resize = 256,                                                                              \
                 .parameters = count,                                                                        \
                 EG_TORCHVISION(stem, digits)},                                                              \
        .describe = describe, .variant = &(const struct vgg){blocks, with_norm},                             \
        .classifier = "classifier.6"                                                                         \
    }

/* Keras's first release of these files is Keras 1's: 'block1_conv1/block1_conv1_W_1:0'. */
#define KERAS_VGG(name_, title_, count, blocks, folder, file_name, digits)                                   \
    {                                                                                                        \
        .arch = {.name = name_,                                                                              \
                 .title = title_,                                                                            \
                 .recipe = "keras-caffe",                                                                    \
                 .size = 224,                                                                                \
                 .parameters = count,                                                                        \
                 EG_KERAS_FILE(folder, file_name, digits)},                                                  \
        .describe = describe, .variant = &(const struct vgg){blocks, false}, .classifier = "predictions",    \
        .keras = true, .in_keras_order = true                                                                \
    }

const struct eg_arch_row eg__arch_vgg[] = {
    VGG("vgg11", "VGG-11", 132863336, "11222", false, "vgg11", "8a719046"),
    VGG("vgg11_bn", "VGG-11, batch norm", 132868840, "11222", true, "vgg11_bn", "6002323d"),
    VGG("vgg13", "VGG-13", 133047848, "22222", false, "vgg13", "19584684"),
    VGG("vgg13_bn", "VGG-13, batch norm", 133053736, "22222", true, "vgg13_bn", "abd245e5"),
    VGG("vgg16", "VGG-16", 138357544, "22333", false, "vgg16", "397923af"),
    VGG("vgg16_bn", "VGG-16, batch norm", 138365992, "22333", true, "vgg16_bn", "6c64b313"),
    VGG("vgg19", "VGG-19", 143667240, "22444", false, "vgg19", "dcbb9e9d"),
    VGG("vgg19_bn", "VGG-19, batch norm", 143678248, "22444", true, "vgg19_bn", "c79401a0"),
    KERAS_VGG("keras-vgg16", "VGG-16 (Keras)", 138357544, "22333", "vgg16",
              "vgg16_weights_tf_dim_ordering_tf_kernels.h5", "64373286793e3c8b2b4e3219cbf3544b"),
    KERAS_VGG("keras-vgg19", "VGG-19 (Keras)", 143667240, "22444", "vgg19",
              "vgg19_weights_tf_dim_ordering_tf_kernels.h5", "cbe5617147190e668d6c5d5026f83318"),
    {.arch = {.name = NULL}},
};
