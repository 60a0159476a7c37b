/* densenet.c: DenseNet (Huang et al. 2017): every layer of a block sees all before it. The
 * concatenation grows by one piece a layer, so each is made of the one before. */
#include "arch/build.h"

struct densenet {
    uint32_t growth, stem, blocks[4];
};

static uint32_t layer(struct eg_builder *b, uint32_t x, uint32_t growth)
{
    x = relu(b, batch_norm(b, x, b->keras ? "0_bn" : "norm1"), b->keras ? "0_relu" : "relu1");
    x = conv(b, x, b->keras ? "1_conv" : "conv1", .out = 4 * growth);
    x = relu(b, batch_norm(b, x, b->keras ? "1_bn" : "norm2"), b->keras ? "1_relu" : "relu2");
    return conv(b, x, b->keras ? "2_conv" : "conv2", .out = growth, .kernel = 3, .pad = 1);
}

static uint32_t dense_block(struct eg_builder *b, uint32_t x, uint32_t growth, unsigned block, unsigned n)
{
    for (unsigned i = 1; i <= n; i++) {
        scope(b, b->keras ? "conv%u_block%u_" : "features.denseblock%u.denselayer%u.",
              b->keras ? block + 1 : block, i);
        uint32_t y = layer(b, x, growth);
        if (!b->keras && i < n) scope(b, "features.denseblock%u.denselayer%u.", block, i + 1);
        if (!b->keras && i == n) scope(b, "features.denseblock%u.", block);
        x = concat(b, (uint32_t[]){x, y}, 2, b->keras ? "concat" : "cat");
    }
    if (b->keras) alias(b, x, "conv%u", block + 1);
    return x;
}

static uint32_t transition(struct eg_builder *b, uint32_t x, unsigned block)
{
    scope(b, b->keras ? "pool%u_" : "features.transition%u.", b->keras ? block + 1 : block);
    x = relu(b, batch_norm(b, x, b->keras ? "bn" : "norm"), "relu");
    x = conv(b, x, "conv", .out = channels(b, x) / 2);
    return avg_pool(b, x, "pool", .kernel = 2, .stride = 2);
}

static void describe(struct eg_builder *b, const void *variant)
{
    const struct densenet *net = variant;
    if (b->keras) b->epsilon = 1.001e-5f;
    uint32_t x = conv(b, 0, b->keras ? "conv1_conv" : "features.conv0", .out = net->stem, .kernel = 7,
                      .stride = 2, .pad = 3);
    x = batch_norm(b, x, b->keras ? "conv1_bn" : "features.norm0");
    x = relu(b, x, b->keras ? "conv1_relu" : "features.relu0");
    x = max_pool(b, x, b->keras ? "pool1" : "features.pool0", .kernel = 3, .stride = 2, .pad = 1);
    for (unsigned block = 1; block <= 4; block++) {
        x = dense_block(b, x, net->growth, block, net->blocks[block - 1]);
        if (block < 4) x = transition(b, x, block);
    }
    scope(b, "%s", "");
    x = relu(b, batch_norm(b, x, b->keras ? "bn" : "features.norm5"), "relu");
    x = apply(b, EG_OP_GLOBAL_AVG, x, b->keras ? "avg_pool" : "avgpool");
    alias(b, x, "avgpool");
    default_cut(b, x);
    if (!b->top) return;
    if (b->keras)
        linear(b, x, "predictions", b->n_classes, EG_OP_SOFTMAX);
    else
        linear(b, flatten(b, x, "flatten"), "classifier", b->n_classes, 0);
}

/* The official files are of a time when module names could hold a dot. */
static const char *const spellings[][2] = {
    {"norm1", "norm.1"}, {"norm2", "norm.2"}, {"conv1", "conv.1"}, {"conv2", "conv.2"}, {NULL, NULL}};
static const char *const keras_spellings[][2] = {
    {"conv1_conv", "conv1/conv"}, {"conv1_bn", "conv1/bn"}, {"predictions", "fc1000"}, {NULL, NULL}};

#define DENSENET(depth, count, digits, ...)                                                                  \
    {                                                                                                        \
        .arch = {.name = "densenet" depth,                                                                   \
                 .title = "DenseNet-" depth,                                                                 \
                 .recipe = "torchvision",                                                                    \
                 .size = 224,                                                                                \
                 .resize = 256,                                                                              \
                 .parameters = count,                                                                        \
                 EG_TORCHVISION("densenet" depth, digits)},                                                  \
        .describe = describe, .variant = &(const struct densenet)__VA_ARGS__, .classifier = "classifier",    \
        .spellings = spellings                                                                               \
    }

#define KERAS_DENSENET(depth, count, digits, ...)                                                            \
    {                                                                                                        \
        .arch = {.name = "keras-densenet" depth,                                                             \
                 .title = "DenseNet-" depth " (Keras)",                                                      \
                 .recipe = "torchvision",                                                                    \
                 .size = 224,                                                                                \
                 .parameters = count,                                                                        \
                 EG_KERAS_FILE("densenet", "densenet" depth "_weights_tf_dim_ordering_tf_kernels.h5",        \
                               digits)},                                                                     \
        .describe = describe, .variant = &(const struct densenet)__VA_ARGS__, .classifier = "predictions",   \
        .spellings = keras_spellings, .keras = true, .in_keras_order = true                                  \
    }

const struct eg_arch_row eg__arch_densenet[] = {
    DENSENET("121", 7978856, "a639ec97", {32, 64, {6, 12, 24, 16}}),
    DENSENET("161", 28681000, "8d451a50", {48, 96, {6, 12, 36, 24}}),
    DENSENET("169", 14149480, "b2777c0a", {32, 64, {6, 12, 32, 32}}),
    DENSENET("201", 20013928, "c1103571", {32, 64, {6, 12, 48, 32}}),
    KERAS_DENSENET("121", 7978856, "9d60b8095a5708f2dcce2bca79d332c7", {32, 64, {6, 12, 24, 16}}),
    KERAS_DENSENET("169", 14149480, "d699b8f76981ab1b30698df4c175e90b", {32, 64, {6, 12, 32, 32}}),
    KERAS_DENSENET("201", 20013928, "1ceb130c1ea1b78c3bf6114dbdfd8807", {32, 64, {6, 12, 48, 32}}),
    {.arch = {.name = NULL}},
};
