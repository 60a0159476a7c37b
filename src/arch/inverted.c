/* inverted.c: networks of inverted residuals as timm spells them: MobileNetV2 (Sandler et al. 2018), V3
 * (Howard et al. 2019) and V4 (Qin et al. 2024), EfficientNet (Tan and Le 2019) and EfficientNetV2 (2021);
 * the last by torchvision's and Keras's names too.
 *
 * A network is a list of pieces; what differs besides is in struct net. timm's ports of TensorFlow's
 * weights (tf_...) have the names and shapes of its own networks, but TensorFlow's padding and epsilon. */
#include <math.h>
#include <string.h>

#include "arch/build.h"

enum kind {
    SEPARABLE = 1, /* depthwise, then 1x1 */
    INVERTED,      /* 1x1 out, depthwise, 1x1 in */
    FUSED,         /* k x k out, 1x1 in */
    PLAIN,         /* one convolution */
    UNIVERSAL      /* MobileNetV4's: depthwise or not, 1x1 out, depthwise or not, 1x1 in */
};

struct piece {
    uint8_t stage, kind, repeat, start, kernel, stride; /* start: the first depthwise one of UNIVERSAL */
    float expand;
    uint16_t out;
    bool squeeze, relu, skip; /* relu: in place of the network's own; skip: a PLAIN one has a residual */
};

enum dialect { TIMM, TORCHVISION, KERAS };
enum head { CONV_HEAD, HEAD_BEHIND_POOL, HEAD_WITH_NORM };

struct net {
    const struct piece *pieces;
    double width, depth;
    uint16_t stem, features;
    enum eg_op act;
    enum head head;
    enum dialect dialect;
    bool tensorflow; /* its padding and epsilon */
    bool v3;         /* MobileNetV3's squeeze: of what is expanded, hard */
    bool up_only;    /* channels are never rounded below their number */
    bool fixed_head; /* the last convolution is not as wide as the network */
};

/* {stage, kind, repeat, first depthwise, kernel, stride, expansion, channels, squeeze, relu, skip} */
static const struct piece efficientnet_v1[] = {{0, SEPARABLE, 1, 0, 3, 1, 1, 16, true, false, false},
                                               {1, INVERTED, 2, 0, 3, 2, 6, 24, true, false, false},
                                               {2, INVERTED, 2, 0, 5, 2, 6, 40, true, false, false},
                                               {3, INVERTED, 3, 0, 3, 2, 6, 80, true, false, false},
                                               {4, INVERTED, 3, 0, 5, 1, 6, 112, true, false, false},
                                               {5, INVERTED, 4, 0, 5, 2, 6, 192, true, false, false},
                                               {6, INVERTED, 1, 0, 3, 1, 6, 320, true, false, false},
                                               {0, 0, 0, 0, 0, 0, 0, 0, false, false, false}};

#define V2(stage, kind, repeat, stride, expand, out, squeeze)                                                \
    {                                                                                                        \
        stage, kind, repeat, 0, 3, stride, expand, out, squeeze, false, (kind) == PLAIN                      \
    }
#define END                                                                                                  \
    {                                                                                                        \
        0, 0, 0, 0, 0, 0, 0, 0, false, false, false                                                          \
    }
static const struct piece v2_base[] = {V2(0, PLAIN, 1, 1, 1, 16, false),
                                       V2(1, FUSED, 2, 2, 4, 32, false),
                                       V2(2, FUSED, 2, 2, 4, 48, false),
                                       V2(3, INVERTED, 3, 2, 4, 96, true),
                                       V2(4, INVERTED, 5, 1, 6, 112, true),
                                       V2(5, INVERTED, 8, 2, 6, 192, true),
                                       END};
static const struct piece v2_s[] = {V2(0, PLAIN, 2, 1, 1, 24, false),
                                    V2(1, FUSED, 4, 2, 4, 48, false),
                                    V2(2, FUSED, 4, 2, 4, 64, false),
                                    V2(3, INVERTED, 6, 2, 4, 128, true),
                                    V2(4, INVERTED, 9, 1, 6, 160, true),
                                    V2(5, INVERTED, 15, 2, 6, 256, true),
                                    END};
static const struct piece v2_rw_s[] = {V2(0, FUSED, 2, 1, 1, 24, false),
                                       V2(1, FUSED, 4, 2, 4, 48, false),
                                       V2(2, FUSED, 4, 2, 4, 64, false),
                                       V2(3, INVERTED, 6, 2, 4, 128, true),
                                       V2(4, INVERTED, 9, 1, 6, 160, true),
                                       V2(5, INVERTED, 15, 2, 6, 272, true),
                                       END};
static const struct piece v2_m[] = {
    V2(0, PLAIN, 3, 1, 1, 24, false),     V2(1, FUSED, 5, 2, 4, 48, false),
    V2(2, FUSED, 5, 2, 4, 80, false),     V2(3, INVERTED, 7, 2, 4, 160, true),
    V2(4, INVERTED, 14, 1, 6, 176, true), V2(5, INVERTED, 18, 2, 6, 304, true),
    V2(6, INVERTED, 5, 1, 6, 512, true),  END};
static const struct piece v2_l[] = {
    V2(0, PLAIN, 4, 1, 1, 32, false),     V2(1, FUSED, 7, 2, 4, 64, false),
    V2(2, FUSED, 7, 2, 4, 96, false),     V2(3, INVERTED, 10, 2, 4, 192, true),
    V2(4, INVERTED, 19, 1, 6, 224, true), V2(5, INVERTED, 25, 2, 6, 384, true),
    V2(6, INVERTED, 7, 1, 6, 640, true),  END};
static const struct piece v2_xl[] = {
    V2(0, PLAIN, 4, 1, 1, 32, false),     V2(1, FUSED, 8, 2, 4, 64, false),
    V2(2, FUSED, 8, 2, 4, 96, false),     V2(3, INVERTED, 16, 2, 4, 192, true),
    V2(4, INVERTED, 24, 1, 6, 256, true), V2(5, INVERTED, 32, 2, 6, 512, true),
    V2(6, INVERTED, 8, 1, 6, 640, true),  END};

#define MOBILE(stage, kind, repeat, kernel, stride, expand, out, squeeze, relu)                              \
    {                                                                                                        \
        stage, kind, repeat, 0, kernel, stride, expand, out, squeeze, relu, false                            \
    }
static const struct piece mobile_v2[] = {
    MOBILE(0, SEPARABLE, 1, 3, 1, 1, 16, false, false), MOBILE(1, INVERTED, 2, 3, 2, 6, 24, false, false),
    MOBILE(2, INVERTED, 3, 3, 2, 6, 32, false, false),  MOBILE(3, INVERTED, 4, 3, 2, 6, 64, false, false),
    MOBILE(4, INVERTED, 3, 3, 1, 6, 96, false, false),  MOBILE(5, INVERTED, 3, 3, 2, 6, 160, false, false),
    MOBILE(6, INVERTED, 1, 3, 1, 6, 320, false, false), END};
static const struct piece mobile_v3_large[] = {MOBILE(0, SEPARABLE, 1, 3, 1, 1, 16, false, true),
                                               MOBILE(1, INVERTED, 1, 3, 2, 4, 24, false, true),
                                               MOBILE(1, INVERTED, 1, 3, 1, 3, 24, false, true),
                                               MOBILE(2, INVERTED, 3, 5, 2, 3, 40, true, true),
                                               MOBILE(3, INVERTED, 1, 3, 2, 6, 80, false, false),
                                               MOBILE(3, INVERTED, 1, 3, 1, 2.5f, 80, false, false),
                                               MOBILE(3, INVERTED, 2, 3, 1, 2.3f, 80, false, false),
                                               MOBILE(4, INVERTED, 2, 3, 1, 6, 112, true, false),
                                               MOBILE(5, INVERTED, 3, 5, 2, 6, 160, true, false),
                                               MOBILE(6, PLAIN, 1, 1, 1, 1, 960, false, false),
                                               END};
static const struct piece mobile_v3_small[] = {MOBILE(0, SEPARABLE, 1, 3, 2, 1, 16, true, true),
                                               MOBILE(1, INVERTED, 1, 3, 2, 4.5f, 24, false, true),
                                               MOBILE(1, INVERTED, 1, 3, 1, 3.67f, 24, false, true),
                                               MOBILE(2, INVERTED, 1, 5, 2, 4, 40, true, false),
                                               MOBILE(2, INVERTED, 2, 5, 1, 6, 40, true, false),
                                               MOBILE(3, INVERTED, 2, 5, 1, 3, 48, true, false),
                                               MOBILE(4, INVERTED, 3, 5, 2, 6, 96, true, false),
                                               MOBILE(5, PLAIN, 1, 1, 1, 1, 576, false, false),
                                               END};

#define V4(stage, repeat, start, kernel, stride, expand, out)                                                \
    {                                                                                                        \
        stage, UNIVERSAL, repeat, start, kernel, stride, expand, out, false, false, false                    \
    }
static const struct piece mobile_v4_small[] = {MOBILE(0, PLAIN, 1, 3, 2, 1, 32, false, false),
                                               MOBILE(0, PLAIN, 1, 1, 1, 1, 32, false, false),
                                               MOBILE(1, PLAIN, 1, 3, 2, 1, 96, false, false),
                                               MOBILE(1, PLAIN, 1, 1, 1, 1, 64, false, false),
                                               V4(2, 1, 5, 5, 2, 3, 96),
                                               V4(2, 4, 0, 3, 1, 2, 96),
                                               V4(2, 1, 3, 0, 1, 4, 96),
                                               V4(3, 1, 3, 3, 2, 6, 128),
                                               V4(3, 1, 5, 5, 1, 4, 128),
                                               V4(3, 1, 0, 5, 1, 4, 128),
                                               V4(3, 1, 0, 5, 1, 3, 128),
                                               V4(3, 2, 0, 3, 1, 4, 128),
                                               MOBILE(4, PLAIN, 1, 1, 1, 1, 960, false, false),
                                               END};
static const struct piece mobile_v4_medium[] = {MOBILE(0, FUSED, 1, 3, 2, 4, 48, false, false),
                                                V4(1, 1, 3, 5, 2, 4, 80),
                                                V4(1, 1, 3, 3, 1, 2, 80),
                                                V4(2, 1, 3, 5, 2, 6, 160),
                                                V4(2, 2, 3, 3, 1, 4, 160),
                                                V4(2, 1, 3, 5, 1, 4, 160),
                                                V4(2, 1, 3, 3, 1, 4, 160),
                                                V4(2, 1, 3, 0, 1, 4, 160),
                                                V4(2, 1, 0, 0, 1, 2, 160),
                                                V4(2, 1, 3, 0, 1, 4, 160),
                                                V4(3, 1, 5, 5, 2, 6, 256),
                                                V4(3, 1, 5, 5, 1, 4, 256),
                                                V4(3, 2, 3, 5, 1, 4, 256),
                                                V4(3, 1, 0, 0, 1, 4, 256),
                                                V4(3, 1, 3, 0, 1, 4, 256),
                                                V4(3, 1, 3, 5, 1, 2, 256),
                                                V4(3, 1, 5, 5, 1, 4, 256),
                                                V4(3, 2, 0, 0, 1, 4, 256),
                                                V4(3, 1, 5, 0, 1, 2, 256),
                                                MOBILE(4, PLAIN, 1, 1, 1, 1, 960, false, false),
                                                END};
static const struct piece mobile_v4_large[] = {MOBILE(0, FUSED, 1, 3, 2, 4, 48, false, false),
                                               V4(1, 1, 3, 5, 2, 4, 96),
                                               V4(1, 1, 3, 3, 1, 4, 96),
                                               V4(2, 1, 3, 5, 2, 4, 192),
                                               V4(2, 3, 3, 3, 1, 4, 192),
                                               V4(2, 1, 3, 5, 1, 4, 192),
                                               V4(2, 5, 5, 3, 1, 4, 192),
                                               V4(2, 1, 3, 0, 1, 4, 192),
                                               V4(3, 4, 5, 5, 2, 4, 512),
                                               V4(3, 1, 5, 0, 1, 4, 512),
                                               V4(3, 1, 5, 3, 1, 4, 512),
                                               V4(3, 2, 5, 0, 1, 4, 512),
                                               V4(3, 1, 5, 3, 1, 4, 512),
                                               V4(3, 1, 5, 5, 1, 4, 512),
                                               V4(3, 3, 5, 0, 1, 4, 512),
                                               MOBILE(4, PLAIN, 1, 1, 1, 1, 960, false, false),
                                               END};

/* ---- layers ----------------------------------------------------------------------------------------- */

static uint32_t convolve(struct eg_builder *b, const struct net *net, uint32_t x, const char *leaf,
                         uint32_t out, uint32_t kernel, uint32_t stride, uint32_t groups)
{
    return conv(b, x, leaf, .out = out, .kernel = kernel, .stride = stride, .groups = groups,
                .same = net->tensorflow, .pad = net->tensorflow ? 0 : kernel / 2);
}

/* timm's BatchNormAct: the norm bears its name, the activation NAME.act. */
static uint32_t norm(struct eg_builder *b, uint32_t x, const char *leaf, enum eg_op act)
{
    x = batch_norm(b, x, leaf);
    return act ? apply(b, act, x, path(b, "%s.act", leaf)) : x;
}

static uint32_t squeeze(struct eg_builder *b, const struct net *net, uint32_t x, uint32_t in, enum eg_op act)
{
    uint32_t wide = channels(b, x);
    uint32_t few = net->v3 ? round_channels(wide * 0.25, 8) : (uint32_t)lrint(in * 0.25);
    uint32_t y = apply(b, EG_OP_GLOBAL_AVG, x, "se.pool");
    y = conv(b, y, "se.conv_reduce", .out = few, .bias = true);
    y = apply(b, net->v3 ? EG_OP_RELU : act, y, "se.act1");
    y = conv(b, y, "se.conv_expand", .out = wide, .bias = true);
    y = apply(b, net->v3 ? EG_OP_HARD_SIGMOID : EG_OP_SIGMOID, y, "se.gate");
    return multiply(b, x, y, "se");
}

static uint32_t timm_block(struct eg_builder *b, const struct net *net, const struct piece *p, uint32_t x,
                           uint32_t stride, uint32_t out)
{
    const enum eg_op act = p->relu ? EG_OP_RELU : net->act;
    const uint32_t in = channels(b, x), wide = round_channels((double)in * (double)p->expand, 8);
    uint32_t y = x;
    bool residual = stride == 1 && in == out;
    switch (p->kind) {
    case SEPARABLE:
        y = norm(b, convolve(b, net, y, "conv_dw", in, p->kernel, stride, in), "bn1", act);
        if (p->squeeze) y = squeeze(b, net, y, in, act);
        y = norm(b, convolve(b, net, y, "conv_pw", out, 1, 1, 1), "bn2", 0);
        break;
    case INVERTED:
        y = norm(b, convolve(b, net, y, "conv_pw", wide, 1, 1, 1), "bn1", act);
        y = norm(b, convolve(b, net, y, "conv_dw", wide, p->kernel, stride, wide), "bn2", act);
        if (p->squeeze) y = squeeze(b, net, y, in, act);
        y = norm(b, convolve(b, net, y, "conv_pwl", out, 1, 1, 1), "bn3", 0);
        break;
    case FUSED:
        y = norm(b, convolve(b, net, y, "conv_exp", wide, p->kernel, stride, 1), "bn1", act);
        y = norm(b, convolve(b, net, y, "conv_pwl", out, 1, 1, 1), "bn2", 0);
        break;
    case PLAIN:
        y = norm(b, convolve(b, net, y, "conv", out, p->kernel, stride, 1), "bn1", act);
        residual = residual && p->skip;
        break;
    default:
        if (p->start) {
            y = convolve(b, net, y, "dw_start.conv", in, p->start, p->kernel ? 1 : stride, in);
            y = norm(b, y, "dw_start.bn", 0);
        }
        y = norm(b, convolve(b, net, y, "pw_exp.conv", wide, 1, 1, 1), "pw_exp.bn", act);
        if (p->kernel)
            y = norm(b, convolve(b, net, y, "dw_mid.conv", wide, p->kernel, stride, wide), "dw_mid.bn", act);
        y = norm(b, convolve(b, net, y, "pw_proj.conv", out, 1, 1, 1), "pw_proj.bn", 0);
    }
    return residual ? add(b, y, x, "add") : y;
}

static uint32_t torch_block(struct eg_builder *b, const struct net *net, const struct piece *p, uint32_t x,
                            uint32_t stride, uint32_t out)
{
    const uint32_t in = channels(b, x), wide = round_channels((double)in * (double)p->expand, 8);
    const bool residual = stride == 1 && in == out;
    uint32_t y = x;
    if (p->kind == INVERTED) {
        y = conv_norm(b, y, "block.0", net->act, .out = wide);
        y = conv_norm(b, y, "block.1", net->act, .out = wide, .kernel = 3, .stride = stride, .pad = 1,
                      .groups = wide);
        y = squeeze_excite(b, y, "block.2", in / 4, EG_OP_SILU, EG_OP_SIGMOID);
        y = conv_norm(b, y, "block.3", 0, .out = out);
    } else {
        y = conv_norm(b, y, "block.0", net->act, .out = p->kind == PLAIN ? out : wide, .kernel = 3,
                      .stride = stride, .pad = 1);
        if (p->kind == FUSED) y = conv_norm(b, y, "block.1", 0, .out = out);
    }
    return residual ? add(b, y, x, "add") : y;
}

static uint32_t keras_block(struct eg_builder *b, const struct net *net, const struct piece *p, uint32_t x,
                            uint32_t stride, uint32_t out)
{
    const uint32_t in = channels(b, x), wide = (uint32_t)((double)in * (double)p->expand);
    uint32_t y = x;
    if (p->kind != PLAIN) {
        y = convolve(b, net, y, "expand_conv", wide, p->kind == FUSED ? 3 : 1, p->kind == FUSED ? stride : 1,
                     1);
        y = apply(b, net->act, batch_norm(b, y, "expand_bn"), "expand_activation");
    }
    if (p->kind == INVERTED) {
        y = convolve(b, net, y, "dwconv2", wide, 3, stride, wide);
        y = apply(b, net->act, batch_norm(b, y, "bn"), "activation");
    }
    if (p->squeeze) {
        uint32_t gate = apply(b, EG_OP_GLOBAL_AVG, y, "se_squeeze");
        gate = conv(b, gate, "se_reduce", .out = in / 4 ? in / 4 : 1, .bias = true, .activation = EG_OP_SILU);
        gate = conv(b, gate, "se_expand", .out = wide, .bias = true, .activation = EG_OP_SIGMOID);
        y = multiply(b, y, gate, "se_excite");
    }
    y = convolve(b, net, y, "project_conv", out, p->kind == PLAIN ? 3 : 1, p->kind == PLAIN ? stride : 1, 1);
    y = batch_norm(b, y, "project_bn");
    if (p->kind == PLAIN) y = apply(b, net->act, y, "project_activation");
    return stride == 1 && in == out ? add(b, y, x, "add") : y;
}

/* ---- networks ---------------------------------------------------------------------------------------- */

static uint32_t width_of(const struct net *net, double c)
{
    uint32_t rounded = round_channels(c * net->width, 8);
    if (!net->up_only) return rounded;
    rounded = (uint32_t)((c * net->width + 4) / 8) * 8; /* and to 8, whatever is lost */
    return rounded < 8 ? 8 : rounded;
}

static uint32_t timm_head(struct eg_builder *b, const struct net *net, uint32_t x)
{
    const uint32_t features = net->fixed_head ? net->features : width_of(net, net->features);
    if (net->head == CONV_HEAD)
        x = norm(b, convolve(b, net, x, "conv_head", features, 1, 1, 1), "bn2", net->act);
    x = apply(b, EG_OP_GLOBAL_AVG, x, "global_pool");
    alias(b, x, "avgpool");
    default_cut(b, x);
    if (!b->top) return x; /* what lies behind the pooling belongs to the classifier */
    if (net->head == HEAD_WITH_NORM)
        x = norm(b, conv(b, x, "conv_head", .out = features), "norm_head", net->act);
    if (net->head == HEAD_BEHIND_POOL)
        x = apply(b, net->act, conv(b, x, "conv_head", .out = features, .bias = true), "act2");
    return linear(b, x, "classifier", b->n_classes, 0);
}

static uint32_t head(struct eg_builder *b, const struct net *net, uint32_t x, unsigned stages)
{
    if (net->dialect == TIMM) return timm_head(b, net, x);
    const bool keras = net->dialect == KERAS;
    if (keras)
        x = apply(b, net->act,
                  batch_norm(b, convolve(b, net, x, "top_conv", width_of(net, 1280), 1, 1, 1), "top_bn"),
                  "top_activation");
    else
        x = conv_norm(b, x, path(b, "features.%u", stages + 1), net->act, .out = net->features);
    x = apply(b, EG_OP_GLOBAL_AVG, x, keras ? "avg_pool" : "avgpool");
    alias(b, x, "avgpool");
    default_cut(b, x);
    if (!b->top) return x;
    if (keras)
        return linear(b, dropout(b, x, "top_dropout", 0.2f), "predictions", b->n_classes, EG_OP_SOFTMAX);
    return linear(b, dropout(b, flatten(b, x, "flatten"), "classifier.0", 0.2f), "classifier.1", b->n_classes,
                  0);
}

static uint32_t stem(struct eg_builder *b, const struct net *net)
{
    const uint32_t out = width_of(net, net->stem);
    if (net->dialect == TORCHVISION)
        return conv_norm(b, 0, "features.0", net->act, .out = out, .kernel = 3, .stride = 2, .pad = 1);
    if (net->dialect == TIMM) return norm(b, convolve(b, net, 0, "conv_stem", out, 3, 2, 1), "bn1", net->act);
    return apply(b, net->act, batch_norm(b, convolve(b, net, 0, "stem_conv", out, 3, 2, 1), "stem_bn"),
                 "stem_activation");
}

static void describe(struct eg_builder *b, const void *variant)
{
    static uint32_t (*const blocks[])(struct eg_builder *, const struct net *, const struct piece *, uint32_t,
                                      uint32_t, uint32_t) = {timm_block, torch_block, keras_block};
    static const char *const scopes[] = {"blocks.%u.%u.", "features.%u.%u."};
    const struct net *net = variant;
    if (net->tensorflow || net->dialect == TORCHVISION) b->epsilon = 1e-3f;
    uint32_t x = stem(b, net);
    unsigned in_stage = 0, stage = 0;
    for (const struct piece *p = net->pieces; p->repeat; p++) {
        unsigned repeat = (unsigned)ceil(p->repeat * net->depth);
        if (p->stage != stage) in_stage = 0;
        stage = p->stage;
        for (unsigned r = 0; r < repeat; r++, in_stage++) {
            if (net->dialect == KERAS)
                scope(b, "block%u%c_", stage + 1, 'a' + (int)in_stage);
            else if (net->dialect == TIMM)
                scope(b, scopes[0], stage, in_stage);
            else
                scope(b, scopes[1], stage + 1, in_stage);
            x = blocks[net->dialect](b, net, p, x, r ? 1 : p->stride, width_of(net, p->out));
        }
    }
    scope(b, "%s", "");
    head(b, net, x, stage + 1);
}

#define PLUS_MINUS_1_BICUBIC(short_side, crop)                                                               \
    "{\"resize\":\"short\",\"size\":" short_side ",\"crop\":[" crop "," crop                                 \
    "],\"filter\":\"bicubic\",\"antialias\":true,\"channels\":\"rgb\",\"scale\":0.00392156862745098,"        \
    "\"mean\":[0.5,0.5,0.5],\"std\":[0.5,0.5,0.5],\"exif\":true,\"alpha\":\"white\",\"decode\":\"exact\"}"

#define ROW(name_, title_, recipe_, side, short_side, count, told, classifier_, ...)                         \
    {                                                                                                        \
        .arch = {.name = name_,                                                                              \
                 .title = title_,                                                                            \
                 .recipe = recipe_,                                                                          \
                 .size = side,                                                                               \
                 .resize = short_side,                                                                       \
                 .parameters = count,                                                                        \
                 .licence = "Apache-2.0"},                                                                   \
        .describe = describe, .variant = &(const struct net){__VA_ARGS__}, .classifier = classifier_,        \
        .told_by = told                                                                                      \
    }
#define TIMM_ROW(name, title, recipe, side, short_side, count, told, ...)                                    \
    ROW(name, title, recipe, side, short_side, count, told, "classifier", __VA_ARGS__)
#define EFFICIENTNET(n, side, short_side, count, width_, depth_)                                             \
    TIMM_ROW("tf_efficientnet_b" n, "EfficientNet-B" n " (timm's port)", "timm-bicubic", side, short_side,   \
             count, "tf_", .pieces = efficientnet_v1, .width = width_, .depth = depth_, .stem = 32,          \
             .features = 1280, .act = EG_OP_SILU, .tensorflow = true),                                       \
        TIMM_ROW("timm-efficientnet_b" n, "EfficientNet-B" n " (timm)", "timm-bicubic", side, short_side,    \
                 count, NULL, .pieces = efficientnet_v1, .width = width_, .depth = depth_, .stem = 32,       \
                 .features = 1280, .act = EG_OP_SILU)
#define V2_BASE(n, recipe, side, short_side, count, width_, depth_)                                          \
    TIMM_ROW("tf_efficientnetv2_b" n, "EfficientNetV2-B" n " (timm's port)", recipe, side, short_side,       \
             count, NULL, .pieces = v2_base, .width = width_, .depth = depth_, .stem = 32, .features = 1280, \
             .act = EG_OP_SILU, .tensorflow = true, .up_only = true)
#define V2_LARGER(n, side, text, pieces_, stem_, count)                                                      \
    TIMM_ROW("tf_efficientnetv2_" n, "EfficientNetV2-" n " (timm's port)", PLUS_MINUS_1_BICUBIC(text, text), \
             side, side, count, NULL, .pieces = pieces_, .width = 1, .depth = 1, .stem = stem_,              \
             .features = 1280, .act = EG_OP_SILU, .tensorflow = true)
#define TORCHVISION_V2(n, recipe_, side, short_side, pieces_, stem_, count, digits)                          \
    {                                                                                                        \
        .arch = {.name = "efficientnet_v2_" n,                                                               \
                 .title = "EfficientNetV2-" n,                                                               \
                 .recipe = recipe_,                                                                          \
                 .size = side,                                                                               \
                 .resize = short_side,                                                                       \
                 .parameters = count,                                                                        \
                 EG_TORCHVISION("efficientnet_v2_" n, digits)},                                              \
        .describe = describe,                                                                                \
        .variant = &(const struct net){.pieces = pieces_,                                                    \
                                       .width = 1,                                                           \
                                       .depth = 1,                                                           \
                                       .stem = stem_,                                                        \
                                       .features = 1280,                                                     \
                                       .act = EG_OP_SILU,                                                    \
                                       .dialect = TORCHVISION},                                              \
        .classifier = "classifier.1"                                                                         \
    }
#define KERAS_V2(n, text, side, pieces_, stem_, count, ...)                                                  \
    {                                                                                                        \
        .arch = {.name = "keras-efficientnet_v2_" n,                                                         \
                 .title = "EfficientNetV2-" n " (Keras)",                                                    \
                 .recipe = text,                                                                             \
                 .size = side,                                                                               \
                 .parameters = count,                                                                        \
                 .licence = "Apache-2.0"},                                                                   \
        .describe = describe,                                                                                \
        .variant = &(const struct net){.pieces = pieces_,                                                    \
                                       .stem = stem_,                                                        \
                                       .features = 1280,                                                     \
                                       .act = EG_OP_SILU,                                                    \
                                       .dialect = KERAS,                                                     \
                                       .tensorflow = true,                                                   \
                                       __VA_ARGS__},                                                         \
        .classifier = "predictions", .ignored = "normalization", .keras = true, .in_keras_order = true       \
    }
#define MOBILENET(name, title, recipe, side, short_side, count, pieces_, ...)                                \
    TIMM_ROW(name, title, recipe, side, short_side, count, NULL, .pieces = pieces_, .width = 1, .depth = 1,  \
             __VA_ARGS__)

const struct eg_arch_row eg__arch_inverted[] = {
    EFFICIENTNET("0", 224, 256, 5288548, 1.0, 1.0),
    EFFICIENTNET("1", 240, 272, 7794184, 1.0, 1.1),
    EFFICIENTNET("2", 260, 292, 9109994, 1.1, 1.2),
    EFFICIENTNET("3", 300, 332, 12233232, 1.2, 1.4),
    EFFICIENTNET("4", 380, 412, 19341616, 1.4, 1.8),
    V2_BASE("0", "timm-bicubic", 224, 256, 7139704, 1.0, 1.0),
    V2_BASE("1", "timm-bicubic", 240, 272, 8141052, 1.0, 1.1),
    V2_BASE("2", "timm-bicubic", 260, 292, 10096086, 1.1, 1.2),
    V2_BASE("3", PLUS_MINUS_1_BICUBIC("333", "300"), 300, 333, 14358406, 1.2, 1.4),
    V2_LARGER("s", 384, "384", v2_s, 24, 21458488),
    V2_LARGER("m", 480, "480", v2_m, 24, 54139356),
    V2_LARGER("l", 480, "480", v2_l, 32, 118515272),
    V2_LARGER("xl", 512, "512", v2_xl, 32, 208119808),
    TIMM_ROW("efficientnetv2_rw_t", "EfficientNetV2-T (timm)", "timm-bicubic", 288, 288, 13649388, NULL,
             .pieces = v2_s, .width = 0.8, .depth = 0.9, .stem = 24, .features = 1280, .act = EG_OP_SILU),
    TIMM_ROW("efficientnetv2_rw_s", "EfficientNetV2-S (timm)", "timm-bicubic", 384, 384, 23941296, NULL,
             .pieces = v2_rw_s, .width = 1, .depth = 1, .stem = 24, .features = 1792, .act = EG_OP_SILU),
    TORCHVISION_V2("s", "torchvision", 384, 384, v2_s, 24, 21458488, "dd5fe13b"),
    TORCHVISION_V2("m", "torchvision", 480, 480, v2_m, 24, 54139356, "dc08266a"),
    TORCHVISION_V2("l", PLUS_MINUS_1_BICUBIC("480", "480"), 480, 480, v2_l, 32, 118515272, "59c71312"),
    KERAS_V2("b0", "torchvision", 224, v2_base, 32, 7139704, .width = 1, .depth = 1, .up_only = true),
    KERAS_V2("b1", "torchvision", 240, v2_base, 32, 8141052, .width = 1, .depth = 1.1, .up_only = true),
    KERAS_V2("b2", "torchvision", 260, v2_base, 32, 10096086, .width = 1.1, .depth = 1.2, .up_only = true),
    KERAS_V2("b3", "torchvision", 300, v2_base, 32, 14358406, .width = 1.2, .depth = 1.4, .up_only = true),
    KERAS_V2("s", "keras-tf", 384, v2_s, 24, 21458488, .width = 1, .depth = 1),
    KERAS_V2("m", "keras-tf", 480, v2_m, 24, 54139356, .width = 1, .depth = 1),
    KERAS_V2("l", "keras-tf", 480, v2_l, 32, 118515272, .width = 1, .depth = 1),
    MOBILENET("mobilenetv2_100", "MobileNetV2 (timm)", "timm-bicubic", 224, 256, 3504872, mobile_v2,
              .stem = 32, .features = 1280, .act = EG_OP_CLIP),
    TIMM_ROW("tf_mobilenetv3_large_100", "MobileNetV3 large (timm's port)",
             EG_RECIPE_PLUS_MINUS_1("256", "224"), 224, 256, 5483032, "tf_", .pieces = mobile_v3_large,
             .width = 1, .depth = 1, .stem = 16, .features = 1280, .act = EG_OP_HARD_SWISH,
             .head = HEAD_BEHIND_POOL, .v3 = true, .tensorflow = true),
    TIMM_ROW("tf_mobilenetv3_small_100", "MobileNetV3 small (timm's port)",
             EG_RECIPE_PLUS_MINUS_1("256", "224"), 224, 256, 2542856, "tf_", .pieces = mobile_v3_small,
             .width = 1, .depth = 1, .stem = 16, .features = 1024, .act = EG_OP_HARD_SWISH,
             .head = HEAD_BEHIND_POOL, .v3 = true, .tensorflow = true),
    MOBILENET("mobilenetv3_large_100", "MobileNetV3 large (timm)", "timm-bicubic", 224, 256, 5483032,
              mobile_v3_large, .stem = 16, .features = 1280, .act = EG_OP_HARD_SWISH,
              .head = HEAD_BEHIND_POOL, .v3 = true),
    MOBILENET("mobilenetv3_small_100", "MobileNetV3 small (timm)", "timm-bicubic", 224, 256, 2542856,
              mobile_v3_small, .stem = 16, .features = 1024, .act = EG_OP_HARD_SWISH,
              .head = HEAD_BEHIND_POOL, .v3 = true),
    MOBILENET("mobilenetv4_conv_small", "MobileNetV4 conv small (timm)", "timm-bicubic", 224, 256, 3774024,
              mobile_v4_small, .stem = 32, .features = 1280, .act = EG_OP_RELU, .head = HEAD_WITH_NORM),
    MOBILENET("mobilenetv4_conv_medium", "MobileNetV4 conv medium (timm)", "timm-bicubic", 256, 269, 9715512,
              mobile_v4_medium, .stem = 32, .features = 1280, .act = EG_OP_RELU, .head = HEAD_WITH_NORM),
    MOBILENET("mobilenetv4_conv_large", "MobileNetV4 conv large (timm)", "timm-bicubic", 384, 404, 32590864,
              mobile_v4_large, .stem = 24, .features = 1280, .act = EG_OP_RELU, .head = HEAD_WITH_NORM),
    {.arch = {.name = NULL}},
};
