/* onnx.h: ONNX files to and from a graph. */
#ifndef EG_ONNX_ONNX_H
#define EG_ONNX_ONNX_H

#include "graph/graph.h"

/* Map the file and read its graph; large initializers stay in the map. What the file is not
 * or what is unsupported is named with its node. Metadata becomes graph metadata. Nodes that
 * engraft wrote for normalisation ("engraft.normalize...") are left out: the recipe in the
 * metadata says the same, and the graph's input is always behind it. */
EG_MUST_CHECK enum eg_status eg__onnx_load(const char *path, struct eg_graph **graph, struct eg_error *err);

/* The same of a file's bytes in memory, which `release(object)` gives back when the graph is freed, or now
 * where it fails. `name` is the graph's. */
struct eg_onnx_bytes {
    const void *bytes;
    size_t n_bytes;
    void *object;
    void (*release)(void *object);
};
EG_MUST_CHECK enum eg_status eg__onnx_load_memory(const struct eg_onnx_bytes *model, const char *name,
                                                  struct eg_graph **graph, struct eg_error *err);

struct eg_onnx_options {
    bool overwrite;
    bool half;               /* weights as float16 initializers, each followed by a Cast */
    const char *input_name;  /* NULL = "image" */
    const char *output_name; /* NULL = "probabilities" */
    bool one_number;         /* the output is one number an image: [N], not [N][1] */
    bool vector_input;       /* the input is [N][c], not an image (a head alone) */
    /* Normalisation nodes put in front: (x * scale - mean) / std in R,G,B order, from pixels
     * 0..255; NULL = none. bgr: the graph wants B,G,R: the first convolution is permuted. */
    const struct eg_recipe *recipe;
};
/* Opset 17, ai.onnx.ml 3. Written whole or not at all. Bytes depend on the graph only. */
EG_MUST_CHECK enum eg_status eg__onnx_save(const struct eg_graph *graph, const char *path,
                                           const struct eg_onnx_options *options, struct eg_error *err);

#endif
