/* resnet.c: ResNet (He et al. 2016), ResNeXt (Xie et al. 2017), Wide ResNet (Zagoruyko and
 * Komodakis 2016). torchvision strides in the 3x3 convolution (v1.5); Keras strides in the
 * first 1x1 (v1), gives its convolutions biases, and has another epsilon. timm's: with three 3x3 for the
 * first 7x7 and means before their shortcuts (D; He et al. 2019), squeeze-and-excitation (Hu et al. 2018),
 * and the channels' attention of ECA-Net (Wang et al. 2020). */
#include "arch/build.h"
#include "base/fail.h"

struct resnet {
    uint32_t blocks[4];
    bool basic;             /* two 3x3 in place of 1x1, 3x3, 1x1 */
    uint32_t groups, width; /* 0: 1 group, 64 wide */
    uint32_t stem;          /* width of the first of three 3x3; 0: one 7x7 */
    bool means;             /* before the shortcuts' convolutions */
    enum { PLAIN, SQUEEZE, ECA } attention;
};

static uint32_t shortcut(struct eg_builder *b, uint32_t x, uint32_t out, uint32_t stride, bool first,
                         bool means)
{
    if (!first || (channels(b, x) == out && stride == 1)) return x;
    if (means && stride > 1)
        x = avg_pool(b, x, "downsample.0", .kernel = 2, .stride = stride, .ceil = true,
                     .leave_out_pad = true);
    if (means) return batch_norm(b, conv(b, x, "downsample.1", .out = out), "downsample.2");
    if (b->keras)
        return batch_norm(b, conv(b, x, "0_conv", .out = out, .stride = stride, .bias = true), "0_bn");
    return batch_norm(b, conv(b, x, "downsample.0", .out = out, .stride = stride), "downsample.1");
}

static uint32_t keras_block(struct eg_builder *b, uint32_t x, uint32_t mid, uint32_t stride, bool first)
{
    uint32_t y = relu(
        b, batch_norm(b, conv(b, x, "1_conv", .out = mid, .stride = stride, .bias = true), "1_bn"), "1_relu");
    y = relu(b,
             batch_norm(b, conv(b, y, "2_conv", .out = mid, .kernel = 3, .same = true, .bias = true), "2_bn"),
             "2_relu");
    uint32_t side = shortcut(b, x, 4 * mid, stride, first, false); /* here, as in Keras's order of layers */
    y = batch_norm(b, conv(b, y, "3_conv", .out = 4 * mid, .bias = true), "3_bn");
    return relu(b, add(b, side, y, "add"), "out");
}

/* A convolution of the channels' means, along the channels. */
static uint32_t gate_of_neighbours(struct eg_builder *b, uint32_t x)
{
    const uint32_t c = channels(b, x);
    size_t k = 0;
    for (uint32_t v = c; v > 1; v >>= 1) k++;
    k = (k + 1) / 2 | 1; /* half the logarithm, odd */
    const struct eg_tensor *found = eg__build_parameter(b, "se.conv.weight", 3, (size_t[]){1, 1, k});
    if (b->status || !found) return x;
    struct eg_tensor weight = {
        .name = found->name, .data = found->data, .dtype = found->dtype, .rank = 4, .dim = {1, 1, k, 1}};
    eg__tensor_pack_strides(&weight);
    struct eg_node along = {.op = EG_OP_CONV,
                            .groups = 1,
                            .window = {.kernel_h = 1,
                                       .kernel_w = (uint32_t)k,
                                       .stride_h = 1,
                                       .stride_w = 1,
                                       .dilation_h = 1,
                                       .dilation_w = 1,
                                       .pad_left = (uint32_t)k / 2,
                                       .pad_right = (uint32_t)k / 2}};
    if (!(along.params[0] = eg__graph_tensor(b->graph, &weight)))
        b->status = eg__fail_memory(b->err, "a layer");
    struct eg_node row = {.op = EG_OP_RESHAPE, .to = {3, {1, c, 1}}},
                   back = {.op = EG_OP_RESHAPE, .to = {1, {c}}};
    uint32_t y = eg__build_node(b, &row, apply(b, EG_OP_GLOBAL_AVG, x, "se.avgpool"), "se.row");
    y = eg__build_node(b, &back, eg__build_node(b, &along, y, "se.conv"), "se.flat");
    return multiply(b, x, apply(b, EG_OP_SIGMOID, y, "se.gate"), "se.mul");
}

static uint32_t attended(struct eg_builder *b, uint32_t x, const struct resnet *net)
{
    if (net->attention == ECA) return gate_of_neighbours(b, x);
    if (net->attention == SQUEEZE)
        return squeeze_excite(b, x, "se", round_channels(channels(b, x) / 16, 8), EG_OP_RELU, EG_OP_SIGMOID);
    return x;
}

static uint32_t basic_block(struct eg_builder *b, uint32_t x, uint32_t mid, uint32_t stride, bool first,
                            const struct resnet *net)
{
    uint32_t y = relu(
        b, batch_norm(b, conv(b, x, "conv1", .out = mid, .kernel = 3, .stride = stride, .pad = 1), "bn1"),
        "relu");
    y = attended(b, batch_norm(b, conv(b, y, "conv2", .out = mid, .kernel = 3, .pad = 1), "bn2"), net);
    return relu(b, add(b, y, shortcut(b, x, mid, stride, first, net->means), "add"), "relu");
}

static uint32_t bottleneck(struct eg_builder *b, uint32_t x, uint32_t mid, uint32_t stride, bool first,
                           const struct resnet *net)
{
    const uint32_t groups = net->groups ? net->groups : 1, width = net->width ? net->width : 64;
    uint32_t wide = mid * width / 64 * groups;
    uint32_t y = relu(b, batch_norm(b, conv(b, x, "conv1", .out = wide), "bn1"), "relu");
    y = conv(b, y, "conv2", .out = wide, .kernel = 3, .stride = stride, .pad = 1, .groups = groups);
    y = relu(b, batch_norm(b, y, "bn2"), "relu");
    y = attended(b, batch_norm(b, conv(b, y, "conv3", .out = 4 * mid), "bn3"), net);
    return relu(b, add(b, y, shortcut(b, x, 4 * mid, stride, first, net->means), "add"), "relu");
}

static uint32_t deep_stem(struct eg_builder *b, uint32_t width)
{
    uint32_t x = conv(b, 0, "conv1.0", .out = width, .kernel = 3, .stride = 2, .pad = 1);
    x = relu(b, batch_norm(b, x, "conv1.1"), "conv1.2");
    x = conv(b, x, "conv1.3", .out = 32, .kernel = 3, .pad = 1);
    x = relu(b, batch_norm(b, x, "conv1.4"), "conv1.5");
    return conv(b, x, "conv1.6", .out = 64, .kernel = 3, .pad = 1);
}

static void describe(struct eg_builder *b, const void *variant)
{
    const struct resnet *net = variant;
    if (b->keras) b->epsilon = eg__build_search(b, "res2a_branch2a/kernel") ? 1e-3f : 1.001e-5f;
    uint32_t x = net->stem ? deep_stem(b, net->stem)
                           : conv(b, 0, b->keras ? "conv1_conv" : "conv1", .out = 64, .kernel = 7,
                                  .stride = 2, .pad = 3, .bias = b->keras);
    x = relu(b, batch_norm(b, x, b->keras ? "conv1_bn" : "bn1"), b->keras ? "conv1_relu" : "relu");
    x = max_pool(b, x, b->keras ? "pool1_pool" : "maxpool", .kernel = 3, .stride = 2, .pad = 1);
    alias(b, x, "pool1");
    for (unsigned stage = 0; stage < 4; stage++) {
        for (unsigned i = 0; i < net->blocks[stage]; i++) {
            uint32_t mid = 64u << stage, stride = stage && !i ? 2 : 1;
            if (b->keras) {
                scope(b, "conv%u_block%u_", stage + 2, i + 1);
                x = keras_block(b, x, mid, stride, !i);
                alias(b, x, "conv%u_block%u", stage + 2, i + 1);
            } else {
                scope(b, "layer%u.%u.", stage + 1, i);
                x = (net->basic ? basic_block : bottleneck)(b, x, mid, stride, !i, net);
            }
        }
        if (b->keras) alias(b, x, "conv%u", stage + 2);
    }
    scope(b, "%s", "");
    x = apply(b, EG_OP_GLOBAL_AVG, x, b->keras ? "avg_pool" : "avgpool");
    alias(b, x, "avgpool");
    alias(b, x, "pool5");
    default_cut(b, x);
    if (!b->top) return;
    if (b->keras)
        linear(b, x, "predictions", b->n_classes, EG_OP_SOFTMAX);
    else
        linear(b, flatten(b, x, "flatten"), "fc", b->n_classes, 0);
}

#define RESNET(name_, title_, count, stem, digits, ...)                                                      \
    {                                                                                                        \
        .arch = {.name = name_,                                                                              \
                 .title = title_,                                                                            \
                 .recipe = "torchvision",                                                                    \
                 .size = 224,                                                                                \
                 .resize = 256,                                                                              \
                 .parameters = count,                                                                        \
                 EG_TORCHVISION(stem, digits)},                                                              \
        .describe = describe, .variant = &(const struct resnet){__VA_ARGS__}, .classifier = "fc",            \
        .children = "conv1 bn1 relu maxpool layer1 layer2 layer3 layer4 avgpool fc"                          \
    }

#define TIMM(name_, title_, side, short_side, count, ...)                                                    \
    {                                                                                                        \
        .arch = {.name = name_,                                                                              \
                 .title = title_ " (timm)",                                                                  \
                 .recipe = "timm-bicubic",                                                                   \
                 .size = side,                                                                               \
                 .resize = short_side,                                                                       \
                 .parameters = count},                                                                       \
        .describe = describe, .variant = &(const struct resnet){__VA_ARGS__}, .classifier = "fc"             \
    }

/* Up to Keras 2.2.4 ResNet-50's layers had the names of Caffe's. */
#define OLD_LAYER(stage, block, letter, which, branch)                                                       \
    {"conv" stage "_block" block "_" which "_conv", "res" stage letter "_branch" branch},                    \
    {                                                                                                        \
        "conv" stage "_block" block "_" which "_bn", "bn" stage letter "_branch" branch                      \
    }
#define OLD_BLOCK(stage, block, letter)                                                                      \
    OLD_LAYER(stage, block, letter, "0", "1"), OLD_LAYER(stage, block, letter, "1", "2a"),                   \
        OLD_LAYER(stage, block, letter, "2", "2b"), OLD_LAYER(stage, block, letter, "3", "2c")
#define OLD_STAGE(stage) OLD_BLOCK(stage, "1", "a"), OLD_BLOCK(stage, "2", "b"), OLD_BLOCK(stage, "3", "c")

static const char *const spellings[][2] = {{"predictions", "probs"},
                                           {"predictions", "fc1000"},
                                           {"conv1_conv", "conv1"},
                                           {"conv1_bn", "bn_conv1"},
                                           OLD_STAGE("2"),
                                           OLD_STAGE("3"),
                                           OLD_BLOCK("3", "4", "d"),
                                           OLD_STAGE("4"),
                                           OLD_BLOCK("4", "4", "d"),
                                           OLD_BLOCK("4", "5", "e"),
                                           OLD_BLOCK("4", "6", "f"),
                                           OLD_STAGE("5"),
                                           {NULL, NULL}};

#define KERAS_RESNET(depth, count, digits, ...)                                                              \
    {                                                                                                        \
        .arch = {.name = "keras-resnet" depth,                                                               \
                 .title = "ResNet-" depth " (Keras, v1)",                                                    \
                 .recipe = "keras-caffe",                                                                    \
                 .size = 224,                                                                                \
                 .parameters = count,                                                                        \
                 EG_KERAS_FILE("resnet", "resnet" depth "_weights_tf_dim_ordering_tf_kernels.h5", digits)},  \
        .describe = describe, .variant = &(const struct resnet){__VA_ARGS__}, .classifier = "predictions",   \
        .spellings = spellings, .keras = true, .in_keras_order = true                                        \
    }

const struct eg_arch_row eg__arch_resnet[] = {
    RESNET("resnet18", "ResNet-18", 11689512, "resnet18", "f37072fd", .blocks = {2, 2, 2, 2}, .basic = true),
    RESNET("resnet34", "ResNet-34", 21797672, "resnet34", "b627a593", .blocks = {3, 4, 6, 3}, .basic = true),
    RESNET("resnet50", "ResNet-50", 25557032, "resnet50", "0676ba61", .blocks = {3, 4, 6, 3}),
    RESNET("resnet101", "ResNet-101", 44549160, "resnet101", "63fe2227", .blocks = {3, 4, 23, 3}),
    RESNET("resnet152", "ResNet-152", 60192808, "resnet152", "394f9c45", .blocks = {3, 8, 36, 3}),
    RESNET("resnext50_32x4d", "ResNeXt-50 32x4d", 25028904, "resnext50_32x4d", "7cdf4587", {3, 4, 6, 3},
           .groups = 32, .width = 4),
    RESNET("resnext101_32x8d", "ResNeXt-101 32x8d", 88791336, "resnext101_32x8d", "8ba56ff5", {3, 4, 23, 3},
           .groups = 32, .width = 8),
    RESNET("wide_resnet50_2", "Wide ResNet-50-2", 68883240, "wide_resnet50_2", "95faca4d", {3, 4, 6, 3},
           .width = 128),
    RESNET("wide_resnet101_2", "Wide ResNet-101-2", 126886696, "wide_resnet101_2", "32ee1156", {3, 4, 23, 3},
           .width = 128),
    TIMM("resnet26d", "ResNet-26-D", 224, 256, 16014408, .blocks = {2, 2, 2, 2}, .stem = 32, .means = true),
    TIMM("resnet50d", "ResNet-50-D", 224, 256, 25576264, .blocks = {3, 4, 6, 3}, .stem = 32, .means = true),
    TIMM("resnet101d", "ResNet-101-D", 256, 269, 44568392, .blocks = {3, 4, 23, 3}, .stem = 32,
         .means = true),
    TIMM("seresnet50", "SE-ResNet-50", 224, 236, 28088024, .blocks = {3, 4, 6, 3}, .attention = SQUEEZE),
    TIMM("seresnext50_32x4d", "SE-ResNeXt-50 32x4d", 224, 256, 27559896, .blocks = {3, 4, 6, 3}, .groups = 32,
         .width = 4, .attention = SQUEEZE),
    TIMM("seresnext26d_32x4d", "SE-ResNeXt-26-D 32x4d", 224, 256, 16809512, .blocks = {2, 2, 2, 2},
         .groups = 32, .width = 4, .stem = 32, .means = true, .attention = SQUEEZE),
    TIMM("ecaresnet26t", "ECA-ResNet-26-T", 256, 293, 16011916, .blocks = {2, 2, 2, 2}, .stem = 24,
         .means = true, .attention = ECA),
    TIMM("ecaresnet50t", "ECA-ResNet-50-T", 256, 293, 25573814, .blocks = {3, 4, 6, 3}, .stem = 24,
         .means = true, .attention = ECA),
    TIMM("ecaresnet50d", "ECA-ResNet-50-D", 224, 256, 25576350, .blocks = {3, 4, 6, 3}, .stem = 32,
         .means = true, .attention = ECA),
    TIMM("ecaresnet101d", "ECA-ResNet-101-D", 224, 256, 44568563, .blocks = {3, 4, 23, 3}, .stem = 32,
         .means = true, .attention = ECA),
    KERAS_RESNET("50", 25583592, "2cb95161c43110f7111970584f804107", .blocks = {3, 4, 6, 3}),
    KERAS_RESNET("101", 44601832, "f1aeb4b969a6efcfb50fad2f0c20cfc5", .blocks = {3, 4, 23, 3}),
    KERAS_RESNET("152", 60268520, "100835be76be38e30d865e96f2aaae62", .blocks = {3, 8, 36, 3}),
    {.arch = {.name = NULL}},
};
