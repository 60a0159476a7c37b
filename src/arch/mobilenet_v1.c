/* mobilenet_v1.c: MobileNet (Howard et al. 2017) with Keras's names; torchvision has none. */
#include "arch/build.h"

static void describe(struct eg_builder *b, const void *variant)
{
    static const struct {
        uint32_t out, stride;
    } blocks[] = {{64, 1},  {128, 2}, {128, 1}, {256, 2}, {256, 1},  {512, 2}, {512, 1},
                  {512, 1}, {512, 1}, {512, 1}, {512, 1}, {1024, 2}, {1024, 1}};
    (void)variant;
    b->epsilon = 1e-3f;
    uint32_t x = conv(b, 0, "conv1", .out = 32, .kernel = 3, .stride = 2, .same = true);
    x = relu6(b, batch_norm(b, x, "conv1_bn"), "conv1_relu");
    for (unsigned i = 0; i < sizeof blocks / sizeof *blocks; i++) {
        uint32_t in = channels(b, x);
        scope(b, "conv_dw_%u", i + 1);
        if (blocks[i].stride == 1)
            x = conv(b, x, "", .out = in, .kernel = 3, .groups = in, .same = true);
        else
            x = conv(b, x, "", .out = in, .kernel = 3, .groups = in, .stride = 2, .pad_end = true);
        x = relu6(b, batch_norm(b, x, "_bn"), "_relu");
        scope(b, "conv_pw_%u", i + 1);
        x = conv(b, x, "", .out = blocks[i].out);
        x = relu6(b, batch_norm(b, x, "_bn"), "_relu");
    }
    scope(b, "%s", "");
    x = apply(b, EG_OP_GLOBAL_AVG, x, "global_average_pooling2d");
    alias(b, x, "avgpool");
    default_cut(b, x);
    if (!b->top) return;
    x = dropout(b, x, "dropout", 1e-3f);
    x = conv(b, x, "conv_preds", .out = (uint32_t)b->n_classes, .bias = true);
    apply(b, EG_OP_SOFTMAX, x, "predictions");
}

const struct eg_arch_row eg__arch_mobilenet_v1[] = {
    {.arch = {.name = "keras-mobilenet",
              .title = "MobileNet (Keras)",
              .recipe = "keras-tf",
              .size = 224,
              .parameters = 4231976,
              .file = "mobilenet_1_0_224_tf.h5",
              .url = "https://storage.googleapis.com/tensorflow/keras-applications/mobilenet/"
                     "mobilenet_1_0_224_tf.h5",
              .licence = "Apache-2.0"},
     .describe = describe,
     .classifier = "conv_preds",
     .keras = true,
     .in_keras_order = true},
    {.arch = {.name = NULL}},
};
