/* googlenet.c: GoogLeNet (Szegedy et al. 2015) with batch norm, as torchvision has it: its 5x5
 * branch is 3x3, and its official weights want inputs of -1 to 1 (transform_input). */
#include "arch/build.h"

static uint32_t unit(struct eg_builder *b, uint32_t x, const char *leaf, uint32_t out, uint32_t kernel,
                     uint32_t stride)
{
    x = conv(b, x, path(b, "%s.conv", leaf), .out = out, .kernel = kernel, .stride = stride,
             .pad = kernel / 2);
    return relu(b, batch_norm(b, x, path(b, "%s.bn", leaf)), path(b, "%s.relu", leaf));
}

static const struct module {
    const char *name;
    uint32_t out1, squeeze2, out2, squeeze3, out3, out4;
} modules[] = {
    {"3a", 64, 96, 128, 16, 32, 32},     {"3b", 128, 128, 192, 32, 96, 64},
    {"4a", 192, 96, 208, 16, 48, 64},    {"4b", 160, 112, 224, 24, 64, 64},
    {"4c", 128, 128, 256, 24, 64, 64},   {"4d", 112, 144, 288, 32, 64, 64},
    {"4e", 256, 160, 320, 32, 128, 128}, {"5a", 256, 160, 320, 32, 128, 128},
    {"5b", 384, 192, 384, 48, 128, 128},
};

static uint32_t inception(struct eg_builder *b, uint32_t x, const struct module *m)
{
    scope(b, "inception%s.", m->name);
    uint32_t branches[4];
    branches[0] = unit(b, x, "branch1", m->out1, 1, 1);
    branches[1] = unit(b, unit(b, x, "branch2.0", m->squeeze2, 1, 1), "branch2.1", m->out2, 3, 1);
    branches[2] = unit(b, unit(b, x, "branch3.0", m->squeeze3, 1, 1), "branch3.1", m->out3, 3, 1);
    branches[3] = max_pool(b, x, "branch4.0", .kernel = 3, .stride = 1, .pad = 1, .ceil = true);
    branches[3] = unit(b, branches[3], "branch4.1", m->out4, 1, 1);
    return concat(b, branches, 4, "cat");
}

static void describe(struct eg_builder *b, const void *variant)
{
    (void)variant;
    b->epsilon = 1e-3f;
    uint32_t x = unit(b, 0, "conv1", 64, 7, 2);
    x = max_pool(b, x, "maxpool1", .kernel = 3, .stride = 2, .ceil = true);
    x = unit(b, unit(b, x, "conv2", 64, 1, 1), "conv3", 192, 3, 1);
    x = max_pool(b, x, "maxpool2", .kernel = 3, .stride = 2, .ceil = true);
    for (unsigned i = 0; i < sizeof modules / sizeof *modules; i++) {
        x = inception(b, x, &modules[i]);
        scope(b, "%s", "");
        if (modules[i].name[0] == '3' && modules[i].name[1] == 'b')
            x = max_pool(b, x, "maxpool3", .kernel = 3, .stride = 2, .ceil = true);
        if (modules[i].name[0] == '4' && modules[i].name[1] == 'e')
            x = max_pool(b, x, "maxpool4", .kernel = 2, .stride = 2, .ceil = true);
    }
    x = apply(b, EG_OP_GLOBAL_AVG, x, "avgpool");
    default_cut(b, x);
    if (!b->top) return;
    linear(b, dropout(b, flatten(b, x, "flatten"), "dropout", 0.2f), "fc", b->n_classes, 0);
}

const struct eg_arch_row eg__arch_googlenet[] = {
    {.arch = {.name = "googlenet",
              .title = "GoogLeNet",
              .recipe = EG_RECIPE_PLUS_MINUS_1("256", "224"),
              .size = 224,
              .resize = 256,
              .parameters = 6624904,
              EG_TORCHVISION("googlenet", "1378be20")},
     .describe = describe,
     .classifier = "fc",
     .ignored = "aux"},
    {.arch = {.name = NULL}},
};
