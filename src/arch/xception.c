/* xception.c: Xception (Chollet 2017) with Keras's names; torchvision has none. */
#include "arch/build.h"

static uint32_t separable(struct eg_builder *b, uint32_t x, unsigned block, unsigned index, uint32_t out)
{
    x = separable_conv(b, x, path(b, "block%u_sepconv%u", block, index), out, 3);
    return batch_norm(b, x, path(b, "block%u_sepconv%u_bn", block, index));
}

static uint32_t act(struct eg_builder *b, uint32_t x, unsigned block, unsigned index)
{
    return relu(b, x, path(b, "block%u_sepconv%u_act", block, index));
}

/* Two convolutions and a pooling, beside a strided 1x1. */
static uint32_t shrinking(struct eg_builder *b, uint32_t x, unsigned block, uint32_t first, uint32_t out)
{
    uint32_t side = conv(b, x, b->n_numbered ? path(b, "conv2d_%u", b->n_numbered) : "conv2d", .out = out,
                         .stride = 2, .same = true);
    side = batch_norm(
        b, side, b->n_numbered ? path(b, "batch_normalization_%u", b->n_numbered) : "batch_normalization");
    b->n_numbered++;
    if (block > 2) x = act(b, x, block, 1);
    x = act(b, separable(b, x, block, 1, first), block, 2);
    x = separable(b, x, block, 2, out);
    x = max_pool(b, x, path(b, "block%u_pool", block), .kernel = 3, .stride = 2, .same = true);
    x = add(b, x, side, "add");
    alias(b, x, "block%u", block);
    return x;
}

static void describe(struct eg_builder *b, const void *variant)
{
    (void)variant;
    b->epsilon = 1e-3f;
    uint32_t x =
        batch_norm(b, conv(b, 0, "block1_conv1", .out = 32, .kernel = 3, .stride = 2), "block1_conv1_bn");
    x = conv(b, relu(b, x, "block1_conv1_act"), "block1_conv2", .out = 64, .kernel = 3);
    x = relu(b, batch_norm(b, x, "block1_conv2_bn"), "block1_conv2_act");
    for (unsigned block = 2; block <= 4; block++) {
        uint32_t out = block == 2 ? 128 : block == 3 ? 256 : 728;
        x = shrinking(b, x, block, out, out);
    }
    for (unsigned block = 5; block <= 12; block++) {
        uint32_t y = x;
        for (unsigned i = 1; i <= 3; i++) y = separable(b, act(b, y, block, i), block, i, 728);
        x = add(b, y, x, "add");
        alias(b, x, "block%u", block);
    }
    x = shrinking(b, x, 13, 728, 1024);
    x = act(b, separable(b, x, 14, 1, 1536), 14, 1);
    x = act(b, separable(b, x, 14, 2, 2048), 14, 2);
    x = apply(b, EG_OP_GLOBAL_AVG, x, "avg_pool");
    alias(b, x, "avgpool");
    default_cut(b, x);
    if (b->top) linear(b, x, "predictions", b->n_classes, EG_OP_SOFTMAX);
}

const struct eg_arch_row eg__arch_xception[] = {
    {.arch = {.name = "keras-xception",
              .title = "Xception (Keras)",
              .recipe = "keras-tf",
              .size = 299,
              .parameters = 22855952,
              EG_KERAS_FILE("xception", "xception_weights_tf_dim_ordering_tf_kernels.h5",
                            "0a58e3b7378bc2990ea3b43d5981f1f6")},
     .describe = describe,
     .classifier = "predictions",
     .keras = true},
    {.arch = {.name = NULL}},
};
