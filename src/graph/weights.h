/* weights.h: named tensors of a file that holds no graph. */
#ifndef EG_GRAPH_WEIGHTS_H
#define EG_GRAPH_WEIGHTS_H

#include "graph/graph.h"

enum eg_weights_kind { EG_WEIGHTS_TORCH, EG_WEIGHTS_SAFETENSORS, EG_WEIGHTS_KERAS };

/* Tensors in the file's own order of dimensions (torch OIHW, Keras HWIO), viewing the mapped
 * file. Names: "features.0.weight"; for Keras "block1_conv1/kernel" (":0" and repeated
 * layer groups stripped). */
struct eg_weights {
    enum eg_weights_kind kind;
    struct eg_tensor *tensors;
    size_t n_tensors;
    bool numbered; /* Keras: layers are named by class and number alone, "conv2d_3" */
    char *path;
    const char **parts; /* the files, where there are several and `path` is their index */
    size_t n_parts;
    void *owner; /* the mapping and the names */
    void (*release_owner)(void *);
};

/* NULL: no such tensor. */
const struct eg_tensor *eg__weights_find(const struct eg_weights *weights, const char *name);
void eg__weights_free(struct eg_weights *weights);

#endif
