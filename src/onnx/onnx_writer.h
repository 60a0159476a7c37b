/* onnx_writer.h: what the two files of the ONNX writer share.
 *
 *   onnx_write.c        the file: tensors, values, input, outputs, metadata, bytes
 *   onnx_write_nodes.c  one case an operator of ours: the ONNX nodes that do the same */
#ifndef EG_ONNX_ONNX_WRITER_H
#define EG_ONNX_ONNX_WRITER_H

#include "onnx/onnx.h"
#include "onnx_subset.pb-c.h"

enum { EG_ONNX_FLOAT = 1, EG_ONNX_INT64 = 7, EG_ONNX_BOOL = 9, EG_ONNX_FLOAT16 = 10 };

/* ONNX's number for a type. */
int64_t eg__onnx_data_type(enum eg_dtype dtype);

/* An initializer; its numbers are read from the view when the file is written. */
struct eg_written_tensor {
    EgOnnx__TensorProto proto;
    struct eg_tensor view;
};

struct eg_onnx_writer {
    const struct eg_graph *graph;
    const struct eg_onnx_options *options;
    struct eg_error *err;
    enum eg_status status;    /* of the first failure; later calls do nothing */
    struct eg_graph *scratch; /* its arena holds all that is made here */
    EgOnnx__NodeProto **nodes;
    size_t n_nodes, node_capacity;
    struct eg_written_tensor **tensors;
    size_t n_tensors, tensor_capacity;
    const char **value; /* [graph nodes] the value that holds each layer's output */
    bool *is_vector;    /* [graph nodes] that value is [n][c], not [n][c][h][w] */
    bool *is_image;     /* [graph nodes] still the input image, for B,G,R */
    void *names;        /* tsearch tree: names of values taken */
};

void eg__writer_fail(struct eg_onnx_writer *writer, enum eg_status status);
/* `name`, or the first of name_2, ... that no value has yet. */
const char *eg__writer_name(struct eg_onnx_writer *writer, const char *name);
/* "layer/part" */
const char *eg__writer_part(struct eg_onnx_writer *writer, const char *layer, const char *part);

/* A node with that name; its output value is `output`, which is returned. */
EgOnnx__NodeProto *eg__writer_node(struct eg_onnx_writer *writer, const char *op, const char *name,
                                   const char *output, unsigned n_inputs, const char *const *inputs);
void eg__writer_int(struct eg_onnx_writer *writer, EgOnnx__NodeProto *node, const char *name, int64_t i);
void eg__writer_float(struct eg_onnx_writer *writer, EgOnnx__NodeProto *node, const char *name, float f);
void eg__writer_string(struct eg_onnx_writer *writer, EgOnnx__NodeProto *node, const char *name,
                       const char *s);
void eg__writer_ints(struct eg_onnx_writer *writer, EgOnnx__NodeProto *node, const char *name, size_t n,
                     const int64_t *ints);
/* A new attribute to fill in; never NULL (writer->status says if there was no memory). */
EgOnnx__AttributeProto *eg__writer_attribute(struct eg_onnx_writer *writer, EgOnnx__NodeProto *node,
                                             const char *name, int32_t type);

/* Initializers; each gives the name of its value. A tensor's view is in ONNX's order. */
const char *eg__writer_tensor(struct eg_onnx_writer *writer, const char *name, const struct eg_tensor *view,
                              bool weight);
const char *eg__writer_number(struct eg_onnx_writer *writer, const char *name, float number);
const char *eg__writer_int_list(struct eg_onnx_writer *writer, const char *name, size_t n,
                                const int64_t *ints);

/* The nodes of layer `index`; sets value and is_vector of it. output (or NULL): the name of
 * its value, where that is the network's result as it stands. */
void eg__writer_layer(struct eg_onnx_writer *writer, uint32_t index, const char *output);

#endif
