/* arch.h: built-in architectures: a short description each, giving a graph and its names. */
#ifndef EG_ARCH_ARCH_H
#define EG_ARCH_ARCH_H

#include "graph/weights.h"

struct eg_arch {
    const char *name;         /* "resnet50", "keras-resnet50", "efficientnet-lite0" */
    const char *title;        /* "ResNet-50 (torchvision)" */
    const char *recipe;       /* preset name: "torchvision", "keras-caffe", ... */
    size_t size, resize;      /* crop side; short side before the crop (0: squash) */
    uint64_t parameters;      /* with 1000 classes */
    const char *file, *url;   /* the official weights; NULL: none known */
    const char *sha256, *md5; /* of that file: the SHA-256 or its first digits (torchvision's files
                                 have eight in their names), else the MD5 that Keras publishes */
    const char *licence;      /* of those weights */
};

size_t eg__arch_count(void);
const struct eg_arch *eg__arch_at(size_t index);
/* '-' and '_' are the same; NULL: none. */
const struct eg_arch *eg__arch_find(const char *name);

/* The graph with its parameter names and shapes and no values (n_classes 0 = 1000;
 * top false: without the FC layers). Sets metadata engraft.recipe to arch->recipe
 * (its sizes are the caller's to set from arch->size and resize), default_cut, aliases.
 * h, w: the image's size where the network depends on it (tokens); 0: as the weights have it. Others
 * have arch->size, and can be resized afterwards. */
EG_MUST_CHECK enum eg_status eg__arch_build(const struct eg_arch *arch, size_t n_classes, bool top, size_t h,
                                            size_t w, struct eg_graph **graph, struct eg_error *err);

/* Metadata of a loaded graph: the names in its file that belong to something else. */
#define EG_GRAPH_DROPPED "engraft.load.dropped"

/* The same with values: every parameter found by name and its shape checked. Number of
 * classes and presence of the FC layers are read from the weights, unless only the trunk is asked for;
 * FC layers of another make are left out. EG_E_SHAPE lists what is
 * missing, unexpected, of the wrong shape. weights is kept alive by the graph (ownership
 * passes on success). arch NULL: the one that fits. A Keras file given for 'vgg16' makes
 * 'keras-vgg16': graph->name says which row it became. */
EG_MUST_CHECK enum eg_status eg__arch_load(const struct eg_arch *arch, struct eg_weights *weights, bool trunk,
                                           size_t h, size_t w, struct eg_graph **graph, struct eg_error *err);

#endif
