/* mobilenet_v2.c: MobileNetV2 (Sandler et al. 2018): inverted residuals. Keras pads as
 * TensorFlow does and has another epsilon. */
#include "arch/build.h"

static const struct {
    uint32_t expand, out, repeat, stride;
} stages[] = {{1, 16, 1, 1}, {6, 24, 2, 2},  {6, 32, 3, 2}, {6, 64, 4, 2},
              {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}};

static uint32_t torch_block(struct eg_builder *b, uint32_t x, unsigned index, uint32_t expand, uint32_t out,
                            uint32_t stride)
{
    uint32_t in = channels(b, x), y = x, number = 0;
    scope(b, "features.%u.", index + 1);
    if (expand != 1) y = conv_norm(b, y, path(b, "conv.%u", number++), EG_OP_CLIP, .out = in * expand);
    y = conv_norm(b, y, path(b, "conv.%u", number++), EG_OP_CLIP, .out = in * expand, .kernel = 3,
                  .stride = stride, .pad = 1, .groups = in * expand);
    y = conv(b, y, path(b, "conv.%u", number), .out = out);
    y = batch_norm(b, y, path(b, "conv.%u", number + 1));
    return stride == 1 && in == out ? add(b, x, y, "add") : y;
}

static uint32_t keras_block(struct eg_builder *b, uint32_t x, unsigned index, uint32_t expand, uint32_t out,
                            uint32_t stride)
{
    uint32_t in = channels(b, x), y = x;
    scope(b, index ? "block_%u_" : "expanded_conv_", index);
    if (expand != 1)
        y = relu6(b, batch_norm(b, conv(b, y, "expand", .out = in * expand), "expand_BN"), "expand_relu");
    y = conv(b, y, "depthwise", .out = in * expand, .kernel = 3, .stride = stride, .groups = in * expand,
             .same = true);
    y = relu6(b, batch_norm(b, y, "depthwise_BN"), "depthwise_relu");
    y = batch_norm(b, conv(b, y, "project", .out = out), "project_BN");
    return stride == 1 && in == out ? add(b, x, y, "add") : y;
}

static void describe(struct eg_builder *b, const void *variant)
{
    (void)variant;
    uint32_t x;
    if (b->keras) {
        b->epsilon = 1e-3f;
        x = conv(b, 0, "Conv1", .out = 32, .kernel = 3, .stride = 2, .same = true);
        x = relu6(b, batch_norm(b, x, "bn_Conv1"), "Conv1_relu");
    } else {
        x = conv_norm(b, 0, "features.0", EG_OP_CLIP, .out = 32, .kernel = 3, .stride = 2, .pad = 1);
    }
    unsigned index = 0;
    for (unsigned s = 0; s < sizeof stages / sizeof *stages; s++)
        for (unsigned r = 0; r < stages[s].repeat; r++, index++)
            x = (b->keras ? keras_block : torch_block)(b, x, index, stages[s].expand, stages[s].out,
                                                       r ? 1 : stages[s].stride);
    scope(b, "%s", "");
    if (b->keras)
        x = relu6(b, batch_norm(b, conv(b, x, "Conv_1", .out = 1280), "Conv_1_bn"), "out_relu");
    else
        x = conv_norm(b, x, "features.18", EG_OP_CLIP, .out = 1280);
    x = apply(b, EG_OP_GLOBAL_AVG, x, b->keras ? "global_average_pooling2d" : "avgpool");
    alias(b, x, "avgpool");
    default_cut(b, x);
    if (!b->top) return;
    if (b->keras)
        linear(b, x, "predictions", b->n_classes, EG_OP_SOFTMAX);
    else
        linear(b, dropout(b, flatten(b, x, "flatten"), "classifier.0", 0.2f), "classifier.1", b->n_classes,
               0);
}

static const char *const spellings[][2] = {{"predictions", "Logits"}, {NULL, NULL}};

const struct eg_arch_row eg__arch_mobilenet_v2[] = {
    {.arch = {.name = "mobilenet_v2",
              .title = "MobileNetV2",
              .recipe = "torchvision",
              .size = 224,
              .resize = 256,
              .parameters = 3504872,
              EG_TORCHVISION("mobilenet_v2", "b0353104")},
     .describe = describe,
     .classifier = "classifier.1"},
    {.arch = {.name = "keras-mobilenet_v2",
              .title = "MobileNetV2 (Keras)",
              .recipe = "keras-tf",
              .size = 224,
              .parameters = 3504872,
              .file = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224.h5",
              .url = "https://storage.googleapis.com/tensorflow/keras-applications/mobilenet_v2/"
                     "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224.h5",
              .licence = "Apache-2.0"},
     .describe = describe,
     .classifier = "predictions",
     .spellings = spellings,
     .keras = true,
     .in_keras_order = true},
    {.arch = {.name = NULL}},
};
