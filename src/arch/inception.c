/* inception.c: Inception-v3 (Szegedy et al. 2016). torchvision names its layers; Keras numbers
 * them in the same order, has no scale in its batch norms, and leaves padding out of its means. */
#include "arch/build.h"

static const char *numbered(struct eg_builder *b, const char *kind)
{
    return b->n_numbered ? path(b, "%s_%u", kind, b->n_numbered) : kind;
}

#define unit(b, x, leaf, ...) convolution(b, x, leaf, &(const struct eg_conv){__VA_ARGS__})

static uint32_t convolution(struct eg_builder *b, uint32_t x, const char *leaf, const struct eg_conv *spec)
{
    if (!b->keras) {
        x = eg__build_conv(b, x, path(b, "%s.conv", leaf), spec);
        return relu(b, batch_norm(b, x, path(b, "%s.bn", leaf)), path(b, "%s.relu", leaf));
    }
    x = eg__build_conv(b, x, numbered(b, "conv2d"), spec);
    x = relu(b, batch_norm(b, x, numbered(b, "batch_normalization")), numbered(b, "activation"));
    b->n_numbered++;
    return x;
}

static uint32_t join(struct eg_builder *b, const uint32_t *branches, size_t n, unsigned mixed)
{
    uint32_t x = concat(b, branches, n, b->keras ? path(b, "mixed%u", mixed) : "cat");
    scope(b, "%s", "");
    return x;
}

static uint32_t mean_branch(struct eg_builder *b, uint32_t x, uint32_t out)
{
    x = avg_pool(b, x, b->keras ? "average_pooling2d" : "avg_pool2d", .kernel = 3, .stride = 1, .pad = 1,
                 .leave_out_pad = b->keras);
    return unit(b, x, "branch_pool", .out = out);
}

static uint32_t mixed_a(struct eg_builder *b, uint32_t x, uint32_t pool, unsigned mixed)
{
    uint32_t y[4];
    y[0] = unit(b, x, "branch1x1", .out = 64);
    y[1] = unit(b, unit(b, x, "branch5x5_1", .out = 48), "branch5x5_2", .out = 64, .kernel = 5, .pad = 2);
    y[2] =
        unit(b, unit(b, x, "branch3x3dbl_1", .out = 64), "branch3x3dbl_2", .out = 96, .kernel = 3, .pad = 1);
    y[2] = unit(b, y[2], "branch3x3dbl_3", .out = 96, .kernel = 3, .pad = 1);
    y[3] = mean_branch(b, x, pool);
    return join(b, y, 4, mixed);
}

static uint32_t mixed_b(struct eg_builder *b, uint32_t x)
{
    uint32_t y[3];
    y[0] = unit(b, x, "branch3x3", .out = 384, .kernel = 3, .stride = 2);
    y[1] =
        unit(b, unit(b, x, "branch3x3dbl_1", .out = 64), "branch3x3dbl_2", .out = 96, .kernel = 3, .pad = 1);
    y[1] = unit(b, y[1], "branch3x3dbl_3", .out = 96, .kernel = 3, .stride = 2);
    y[2] = max_pool(b, x, b->keras ? "max_pooling2d" : "max_pool2d", .kernel = 3, .stride = 2);
    return join(b, y, 3, 3);
}

static uint32_t mixed_c(struct eg_builder *b, uint32_t x, uint32_t mid, unsigned mixed)
{
    uint32_t y[4];
    y[0] = unit(b, x, "branch1x1", .out = 192);
    y[1] = unit(b, x, "branch7x7_1", .out = mid);
    y[1] = unit(b, y[1], "branch7x7_2", .out = mid, .kernel = 1, .kernel_w = 7, .pad_w = 3);
    y[1] = unit(b, y[1], "branch7x7_3", .out = 192, .kernel = 7, .pad = 3, .kernel_w = 1);
    y[2] = unit(b, x, "branch7x7dbl_1", .out = mid);
    y[2] = unit(b, y[2], "branch7x7dbl_2", .out = mid, .kernel = 7, .pad = 3, .kernel_w = 1);
    y[2] = unit(b, y[2], "branch7x7dbl_3", .out = mid, .kernel = 1, .kernel_w = 7, .pad_w = 3);
    y[2] = unit(b, y[2], "branch7x7dbl_4", .out = mid, .kernel = 7, .pad = 3, .kernel_w = 1);
    y[2] = unit(b, y[2], "branch7x7dbl_5", .out = 192, .kernel = 1, .kernel_w = 7, .pad_w = 3);
    y[3] = mean_branch(b, x, 192);
    return join(b, y, 4, mixed);
}

static uint32_t mixed_d(struct eg_builder *b, uint32_t x)
{
    uint32_t y[3];
    y[0] =
        unit(b, unit(b, x, "branch3x3_1", .out = 192), "branch3x3_2", .out = 320, .kernel = 3, .stride = 2);
    y[1] = unit(b, x, "branch7x7x3_1", .out = 192);
    y[1] = unit(b, y[1], "branch7x7x3_2", .out = 192, .kernel = 1, .kernel_w = 7, .pad_w = 3);
    y[1] = unit(b, y[1], "branch7x7x3_3", .out = 192, .kernel = 7, .pad = 3, .kernel_w = 1);
    y[1] = unit(b, y[1], "branch7x7x3_4", .out = 192, .kernel = 3, .stride = 2);
    y[2] = max_pool(b, x, b->keras ? "max_pooling2d" : "max_pool2d", .kernel = 3, .stride = 2);
    return join(b, y, 3, 8);
}

/* 1x3 beside 3x1 */
static uint32_t split(struct eg_builder *b, uint32_t x, const char *first, const char *second,
                      const char *name)
{
    uint32_t y[2];
    y[0] = unit(b, x, first, .out = 384, .kernel = 1, .kernel_w = 3, .pad_w = 1);
    y[1] = unit(b, x, second, .out = 384, .kernel = 3, .pad = 1, .kernel_w = 1);
    return concat(b, y, 2, b->keras ? name : "cat");
}

static uint32_t mixed_e(struct eg_builder *b, uint32_t x, unsigned mixed)
{
    uint32_t y[4];
    y[0] = unit(b, x, "branch1x1", .out = 320);
    y[1] = unit(b, x, "branch3x3_1", .out = 384);
    y[1] = split(b, y[1], "branch3x3_2a", "branch3x3_2b", path(b, "mixed9_%u", mixed - 9));
    y[2] = unit(b, unit(b, x, "branch3x3dbl_1", .out = 448), "branch3x3dbl_2", .out = 384, .kernel = 3,
                .pad = 1);
    y[2] = split(b, y[2], "branch3x3dbl_3a", "branch3x3dbl_3b", "concatenate");
    y[3] = mean_branch(b, x, 192);
    return join(b, y, 4, mixed);
}

static void enter(struct eg_builder *b, const char *block)
{
    if (!b->keras) scope(b, "%s.", block);
}

static void describe(struct eg_builder *b, const void *variant)
{
    static const uint32_t pools[] = {32, 64, 64}, mids[] = {128, 160, 160, 192};
    (void)variant;
    b->epsilon = 1e-3f;
    b->no_gamma = b->keras;
    uint32_t x = unit(b, 0, "Conv2d_1a_3x3", .out = 32, .kernel = 3, .stride = 2);
    x = unit(b, x, "Conv2d_2a_3x3", .out = 32, .kernel = 3);
    x = unit(b, x, "Conv2d_2b_3x3", .out = 64, .kernel = 3, .pad = 1);
    x = max_pool(b, x, b->keras ? "max_pooling2d" : "maxpool1", .kernel = 3, .stride = 2);
    x = unit(b, unit(b, x, "Conv2d_3b_1x1", .out = 80), "Conv2d_4a_3x3", .out = 192, .kernel = 3);
    x = max_pool(b, x, b->keras ? "max_pooling2d" : "maxpool2", .kernel = 3, .stride = 2);
    for (unsigned i = 0; i < 3; i++) {
        enter(b, path(b, "Mixed_5%c", 'b' + i));
        x = mixed_a(b, x, pools[i], i);
    }
    enter(b, "Mixed_6a");
    x = mixed_b(b, x);
    for (unsigned i = 0; i < 4; i++) {
        enter(b, path(b, "Mixed_6%c", 'b' + i));
        x = mixed_c(b, x, mids[i], 4 + i);
    }
    enter(b, "Mixed_7a");
    x = mixed_d(b, x);
    for (unsigned i = 0; i < 2; i++) {
        enter(b, path(b, "Mixed_7%c", 'b' + i));
        x = mixed_e(b, x, 9 + i);
    }
    x = apply(b, EG_OP_GLOBAL_AVG, x, b->keras ? "avg_pool" : "avgpool");
    alias(b, x, "avgpool");
    default_cut(b, x);
    if (!b->top) return;
    if (b->keras)
        linear(b, x, "predictions", b->n_classes, EG_OP_SOFTMAX);
    else
        linear(b, flatten(b, dropout(b, x, "dropout", 0.5f), "flatten"), "fc", b->n_classes, 0);
}

const struct eg_arch_row eg__arch_inception[] = {
    {.arch = {.name = "inception_v3",
              .title = "Inception-v3",
              .recipe = EG_RECIPE_PLUS_MINUS_1("342", "299"),
              .size = 299,
              .resize = 342,
              .parameters = 23834568,
              EG_TORCHVISION("inception_v3_google", "0cc3c7bd")},
     .describe = describe,
     .classifier = "fc",
     .ignored = "AuxLogits."},
    {.arch = {.name = "keras-inception_v3",
              .title = "Inception-v3 (Keras)",
              .recipe = "keras-tf",
              .size = 299,
              .parameters = 23817352,
              EG_KERAS_FILE("inception_v3", "inception_v3_weights_tf_dim_ordering_tf_kernels.h5",
                            "9a0d58056eeedaa3f26cb7ebd46da564")},
     .describe = describe,
     .classifier = "predictions",
     .keras = true},
    {.arch = {.name = NULL}},
};
