/* alexnet.c: AlexNet in one column (Krizhevsky 2014). */
#include "arch/build.h"

static void describe(struct eg_builder *b, const void *variant)
{
    (void)variant;
    scope(b, "features.");
    uint32_t x = relu(b, conv(b, 0, "0", .out = 64, .kernel = 11, .stride = 4, .pad = 2, .bias = true), "1");
    alias(b, x, "conv1");
    x = max_pool(b, x, "2", .kernel = 3, .stride = 2);
    alias(b, x, "pool1");
    x = relu(b, conv(b, x, "3", .out = 192, .kernel = 5, .pad = 2, .bias = true), "4");
    alias(b, x, "conv2");
    x = max_pool(b, x, "5", .kernel = 3, .stride = 2);
    alias(b, x, "pool2");
    x = relu(b, conv(b, x, "6", .out = 384, .kernel = 3, .pad = 1, .bias = true), "7");
    alias(b, x, "conv3");
    x = relu(b, conv(b, x, "8", .out = 256, .kernel = 3, .pad = 1, .bias = true), "9");
    alias(b, x, "conv4");
    x = relu(b, conv(b, x, "10", .out = 256, .kernel = 3, .pad = 1, .bias = true), "11");
    alias(b, x, "conv5");
    x = max_pool(b, x, "12", .kernel = 3, .stride = 2);
    alias(b, x, "pool5");
    default_cut(b, x);
    if (!b->top) return;
    scope(b, "%s", "");
    x = flatten(b, adaptive_avg_pool(b, x, "avgpool", 6), "flatten");
    scope(b, "classifier.");
    x = relu(b, linear(b, dropout(b, x, "0", 0.5f), "1", 4096, 0), "2");
    alias(b, x, "fc6");
    x = relu(b, linear(b, dropout(b, x, "3", 0.5f), "4", 4096, 0), "5");
    alias(b, x, "fc7");
    x = linear(b, x, "6", b->n_classes, 0);
    alias(b, x, "fc8");
}

const struct eg_arch_row eg__arch_alexnet[] = {
    {.arch = {.name = "alexnet",
              .title = "AlexNet",
              .recipe = "torchvision",
              .size = 224,
              .resize = 256,
              .parameters = 61100840,
              EG_TORCHVISION("alexnet-owt", "7be5be79")},
     .describe = describe,
     .classifier = "classifier.6"},
    {.arch = {.name = NULL}},
};
