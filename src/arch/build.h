/* build.h: the vocabulary that architectures are described in.
 *
 * A description is a function from the input to the classifier. Each word adds one layer
 * behind `x` and gives its index; its name is the scope followed by the leaf, and its
 * parameters are that name's in the weights file ("layer1.0.conv1" + ".weight", or
 * "conv1_conv" + "/kernel"). With weights at hand every parameter is looked up and its shape
 * checked; what does not fit is noted and reported at the end. After a failure words do
 * nothing, so a description checks none of them.
 *
 * Names are those of torchvision.models.feature_extraction (a module used twice is "relu",
 * "relu_1"; a function is called by its own name, "add") or of Keras's layers. */
#ifndef EG_ARCH_BUILD_H
#define EG_ARCH_BUILD_H

#include "arch/arch.h"
#include "base/text.h"

struct eg_builder;

/* What one file writes for what a description says, {NULL} last. */
typedef const char *const eg_spelling[2];

/* One architecture: what others see of it, and its description. */
struct eg_arch_row {
    struct eg_arch arch; /* first: a pointer to it is one to the row */
    void (*describe)(struct eg_builder *b, const void *variant);
    const void *variant;
    const char *classifier; /* the layer that has one output a class */
    eg_spelling *spellings; /* what older files write for what; NULL: none */
    /* Whole dialects, each instead of `spellings`: the first in which the file has `probe` is the file's.
     * NULL last; the description's own words are one of them if it is listed as an empty one. */
    eg_spelling *const *dialects;
    const char *probe;
    bool sized;           /* what it computes depends on the image's size: it is described for that */
    const char *children; /* the network's parts in PyTorch's order, for files that count them;
                             NULL: "features" */
    const char *told_by;  /* words of a file's path without which this is not looked for: another
                             row has the same names; NULL: none needed */
    const char *ignored;  /* beginning of parameters that only training needs; NULL: none */
    bool keras;           /* names and order of dimensions of Keras, else of PyTorch */
    bool in_keras_order;  /* it makes layers of one class in the order of Keras's model.layers */
};

/* The families, each a table that ends with an empty row, in src/arch/NAME.c. */
/* clang-format off */
#define EG_ARCH_FAMILIES(XX) \
    XX(alexnet) \
    XX(convnext) \
    XX(convnext_v2) \
    XX(densenet) \
    XX(efficientnet) \
    XX(efficientnet_lite) \
    XX(googlenet) \
    XX(inception) \
    XX(inverted) \
    XX(mnasnet) \
    XX(mobilenet_v1) \
    XX(mobilenet_v2) \
    XX(mobilenet_v3) \
    XX(regnet) \
    XX(repvgg) \
    XX(resnet) \
    XX(shufflenet) \
    XX(squeezenet) \
    XX(vgg) \
    XX(vit) \
    XX(xception)
/* clang-format on */
#define XX(family) extern const struct eg_arch_row eg__arch_##family[];
EG_ARCH_FAMILIES(XX)
#undef XX

/* Row fields of torchvision's own weights; `digits` begin their SHA-256, as in the file's name. */
#define EG_TORCHVISION(stem, digits)                                                                         \
    .file = stem "-" digits ".pth", .sha256 = digits, .licence = "BSD-3-Clause",                             \
    .url = "https://download.pytorch.org/models/" stem "-" digits ".pth"
/* And of Keras's, which publishes MD5 sums. */
#define EG_KERAS_FILE(folder, name, digits)                                                                  \
    .file = name, .md5 = digits, .licence = "Apache-2.0",                                                    \
    .url = "https://storage.googleapis.com/tensorflow/keras-applications/" folder "/" name

/* torchvision's sizes with inputs of -1 to 1 */
#define EG_RECIPE_PLUS_MINUS_1(short_side, crop)                                                             \
    "{\"resize\":\"short\",\"size\":" short_side ",\"crop\":[" crop "," crop "],\"filter\":\"bilinear\","    \
    "\"antialias\":true,\"channels\":\"rgb\",\"scale\":0.00392156862745098,\"mean\":[0.5,0.5,0.5],"          \
    "\"std\":[0.5,0.5,0.5],\"exif\":true,\"alpha\":\"white\",\"decode\":\"exact\",\"xmp\":true}"

struct eg_misfits {
    struct eg_text text;
    size_t count;
};

struct eg_builder {
    struct eg_graph *graph;
    const struct eg_arch_row *row;
    bool keras, top;
    eg_spelling *spellings; /* in force: the row's, or those of the file's dialect */
    size_t dialect;         /* its number, from 1; 0: none */
    size_t h, w;            /* the image's size that is asked for; 0: as the weights have it */
    bool numbered;          /* the weights' layers are "conv2d", "conv2d_1", ...: the k-th of its class */
    unsigned counts[5];     /* of each class so far */
    char stand_in[48];      /* what the layer at hand is called then */
    size_t n_classes;
    float epsilon;       /* of batch_norm; 1e-5 */
    bool no_gamma;       /* batch_norm has no scale */
    unsigned n_numbered; /* layers that Keras numbered */
    char scope[128];
    const char *file;                 /* their path; NULL: none at hand */
    const char *prefix;               /* what the file's names have in front; NULL: nothing */
    bool by_position;                 /* the file counts row->children */
    const struct eg_tensor **weights; /* [n_weights] sorted by name; NULL: none at hand */
    bool *used;                       /* [n_weights] */
    size_t n_weights;
    struct eg_misfits missing, misshapen;
    enum eg_status status;
    struct eg_error *err;
};

/* ---- rows ----------------------------------------------------------------------- */

const struct eg_arch_row *eg__arch_row_at(size_t index); /* NULL: past the last */
bool eg__arch_same_name(const char *a, const char *b);
/* b->graph of b->row; b is to be released whatever it returns. */
EG_MUST_CHECK enum eg_status eg__arch_describe(struct eg_builder *b, struct eg_error *err);
void eg__arch_release(struct eg_builder *b);

/* ---- names ---------------------------------------------------------------------- */

/* Where in b->weights `name` is, by any spelling of it; NULL: nowhere. */
const struct eg_tensor **eg__build_search(const struct eg_builder *b, const char *name);

/* The file's tensor by its whole name; NULL: it has none, or no file is at hand. */
const struct eg_tensor *eg__build_peek(const struct eg_builder *b, const char *name);
/* The parameter `scope + name`; its dimensions in the file's order. */
const struct eg_tensor *eg__build_parameter(struct eg_builder *b, const char *name, uint8_t rank,
                                            const size_t *dim);
/* The file is of another network altogether, however many of its names there are. */
void eg__build_reject(struct eg_builder *b, const char *why);

/* What goes before every leaf from here on: "layer1.0.", "conv2_block1_", "". */
__attribute__((format(printf, 2, 3))) void eg__build_scope(struct eg_builder *b, const char *format, ...);
/* A name made up for the occasion; lives as long as the graph. */
__attribute__((format(printf, 2, 3))) const char *eg__build_path(struct eg_builder *b, const char *format,
                                                                 ...);
/* One more name for x, not in the scope. */
__attribute__((format(printf, 3, 4))) void eg__build_alias(struct eg_builder *b, uint32_t x,
                                                           const char *format, ...);
/* Here the features are taken unless somebody says otherwise. */
void eg__build_default_cut(struct eg_builder *b, uint32_t x);

/* ---- layers --------------------------------------------------------------------- */

struct eg_conv {
    uint32_t out, kernel, stride, pad, groups; /* 0: 1 (pad 0) */
    uint32_t kernel_w, pad_w;                  /* where they differ from kernel and pad */
    bool same, bias;                           /* same: TensorFlow's padding */
    bool pad_end;                              /* one row below and one column right */
    enum eg_op activation;                     /* part of the layer, as in Keras; 0: none */
};
struct eg_pooling {
    uint32_t kernel, stride, pad;
    bool same, ceil, leave_out_pad; /* leave_out_pad: the mean is over the image's pixels only */
};

/* conv_norm: PyTorch's Conv2dNormActivation, leaf.0 the convolution, leaf.1 its norm, leaf.2 the
 * activation, if any. */
#define conv(b, x, leaf, ...) eg__build_conv(b, x, leaf, &(const struct eg_conv){__VA_ARGS__})
#define conv_norm(b, x, leaf, activation, ...)                                                               \
    eg__build_conv_norm(b, x, leaf, activation, &(const struct eg_conv){__VA_ARGS__})
#define max_pool(b, x, leaf, ...)                                                                            \
    eg__build_pool(b, EG_OP_MAX_POOL, x, leaf, &(const struct eg_pooling){__VA_ARGS__})
#define avg_pool(b, x, leaf, ...)                                                                            \
    eg__build_pool(b, EG_OP_AVG_POOL, x, leaf, &(const struct eg_pooling){__VA_ARGS__})

uint32_t eg__build_conv(struct eg_builder *b, uint32_t x, const char *leaf, const struct eg_conv *conv);
uint32_t eg__build_conv_norm(struct eg_builder *b, uint32_t x, const char *leaf, enum eg_op activation,
                             const struct eg_conv *conv);
/* Keras's SeparableConv2D: leaf/depthwise, then leaf. */
uint32_t eg__build_separable_conv(struct eg_builder *b, uint32_t x, const char *leaf, uint32_t out,
                                  uint32_t kernel);
/* Any node behind x; its inputs may be set. */
uint32_t eg__build_node(struct eg_builder *b, struct eg_node *node, uint32_t x, const char *leaf);
uint32_t eg__build_pool(struct eg_builder *b, enum eg_op op, uint32_t x, const char *leaf,
                        const struct eg_pooling *pooling);
uint32_t eg__build_linear(struct eg_builder *b, uint32_t x, const char *leaf, size_t out,
                          enum eg_op activation);
uint32_t eg__build_batch_norm(struct eg_builder *b, uint32_t x, const char *leaf);
uint32_t eg__build_layer_norm(struct eg_builder *b, uint32_t x, const char *leaf, float epsilon);
uint32_t eg__build_channel_scale(struct eg_builder *b, uint32_t x, const char *leaf, const char *parameter);
/* Any operator without parameters: relu, silu, global_avg_pool, softmax, ...; clip is ReLU6,
 * hard_sigmoid max(0, min(1, x/6 + 1/2)). */
uint32_t eg__build_apply(struct eg_builder *b, enum eg_op op, uint32_t x, const char *leaf);
uint32_t eg__build_relu(struct eg_builder *b, uint32_t x, const char *leaf);
uint32_t eg__build_relu6(struct eg_builder *b, uint32_t x, const char *leaf);
uint32_t eg__build_adaptive_avg_pool(struct eg_builder *b, uint32_t x, const char *leaf, uint32_t side);
uint32_t eg__build_add(struct eg_builder *b, uint32_t x, uint32_t y, const char *leaf);
uint32_t eg__build_multiply(struct eg_builder *b, uint32_t x, uint32_t y, const char *leaf);
uint32_t eg__build_concat(struct eg_builder *b, const uint32_t *xs, size_t n, const char *leaf);
uint32_t eg__build_slice(struct eg_builder *b, uint32_t x, const char *leaf, size_t begin, size_t end);
uint32_t eg__build_channel_shuffle(struct eg_builder *b, uint32_t x, const char *leaf, uint32_t groups);
uint32_t eg__build_zero_pad(struct eg_builder *b, uint32_t x, const char *leaf, uint32_t top_left,
                            uint32_t bottom_right);
uint32_t eg__build_flatten(struct eg_builder *b, uint32_t x, const char *leaf);
uint32_t eg__build_dropout(struct eg_builder *b, uint32_t x, const char *leaf, float ratio);

/* Squeeze-and-excitation as torchvision spells it: leaf.avgpool, .fc1, .activation, .fc2,
 * .scale_activation, .mul. */
uint32_t eg__build_squeeze_excite(struct eg_builder *b, uint32_t x, const char *leaf, uint32_t squeeze,
                                  enum eg_op activation, enum eg_op gate);

/* Channels of x. */
uint32_t eg__build_channels(const struct eg_builder *b, uint32_t x);
/* v to the nearest multiple of `divisor`, never below 0.9 v (MobileNet's rule). */
uint32_t eg__build_round_channels(double v, uint32_t divisor);

/* The words as descriptions write them. */
#define scope(...) eg__build_scope(__VA_ARGS__)
#define path(...) eg__build_path(__VA_ARGS__)
#define alias(...) eg__build_alias(__VA_ARGS__)
#define default_cut(...) eg__build_default_cut(__VA_ARGS__)
#define linear(...) eg__build_linear(__VA_ARGS__)
#define batch_norm(...) eg__build_batch_norm(__VA_ARGS__)
#define layer_norm(...) eg__build_layer_norm(__VA_ARGS__)
#define channel_scale(...) eg__build_channel_scale(__VA_ARGS__)
#define apply(...) eg__build_apply(__VA_ARGS__)
#define relu(...) eg__build_relu(__VA_ARGS__)
#define relu6(...) eg__build_relu6(__VA_ARGS__)
#define adaptive_avg_pool(...) eg__build_adaptive_avg_pool(__VA_ARGS__)
#define add(...) eg__build_add(__VA_ARGS__)
#define multiply(...) eg__build_multiply(__VA_ARGS__)
#define concat(...) eg__build_concat(__VA_ARGS__)
#define slice(...) eg__build_slice(__VA_ARGS__)
#define channel_shuffle(...) eg__build_channel_shuffle(__VA_ARGS__)
#define zero_pad(...) eg__build_zero_pad(__VA_ARGS__)
#define flatten(...) eg__build_flatten(__VA_ARGS__)
#define dropout(...) eg__build_dropout(__VA_ARGS__)
#define separable_conv(...) eg__build_separable_conv(__VA_ARGS__)
#define squeeze_excite(...) eg__build_squeeze_excite(__VA_ARGS__)
#define channels(...) eg__build_channels(__VA_ARGS__)
#define round_channels(...) eg__build_round_channels(__VA_ARGS__)

#endif
