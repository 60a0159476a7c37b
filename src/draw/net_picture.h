/* net_picture.h: a network drawn as the blocks that its volumes are. */
#ifndef EG_DRAW_NET_PICTURE_H
#define EG_DRAW_NET_PICTURE_H

#include "engraft.h"

/* A value as [h][w][c]: tokens are one row, a vector one pixel. */
struct extent {
    size_t h, w, c;
};
struct extent eg__extent_of(struct eg_shape shape);

/* What a slab is made of, in the order of the legend: KIND(NAME, colour, "one", "more") */
#define SLAB_KINDS(KIND)                                                                                     \
    KIND(INPUT, 0x9aa5b1, "input", "inputs")                                                                 \
    KIND(CONV, 0x4a90d9, "convolution", "convolutions")                                                      \
    KIND(SEPARABLE, 0xe0a030, "separable convolution", "separable convolutions")                             \
    KIND(INVERTED, 0xd9812c, "inverted residual", "inverted residuals")                                      \
    KIND(RESIDUAL, 0x2a9d8f, "residual block", "residual blocks")                                            \
    KIND(DENSE, 0x7a5fc0, "dense layer", "dense layers")                                                     \
    KIND(PARALLEL, 0xa05fb0, "parallel block", "parallel blocks")                                            \
    KIND(POOL, 0xe0563b, "pooling", "poolings")                                                              \
    KIND(LINEAR, 0x5b9a4b, "fully connected", "fully connected")                                             \
    KIND(OTHER, 0xb0b0b0, "other", "others")

enum slab_kind {
#define KIND(name, ...) SLAB_##name,
    SLAB_KINDS(KIND)
#undef KIND
};

/* Layers drawn as one block: between two values that everything passes through, with what changes
 * no shape (activations, norms, gates). */
struct slab {
    enum slab_kind kind;
    size_t first, last, made; /* layers; made: the one that gave the volume */
    struct extent shape;
    uint32_t kernel; /* of a convolution */
    bool pointwise;  /* a 1x1 convolution */
    bool depthwise;  /* a depthwise one */
    bool activated;  /* an activation follows */
    double part;     /* of the layers: 1, or a half where the cut is within */
    size_t repeat;   /* alike slabs that this one stands for */
    bool left_out;   /* behind the cut */
};

/* free() it; NULL: no memory. */
struct slab *eg__slabs_of(const eg_net *net, size_t *n);

#endif
