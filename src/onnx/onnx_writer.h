/* onnx_writer.h: what the files of the ONNX writer share.
 *
 *   onnx_write.c        the file: tensors, values, input, outputs, metadata, bytes
 *   onnx_write_nodes.c  one function an operator of ours: the ONNX nodes that do the same
 *   onnx_write_arrays.c those of operators on values of any rank
 *   onnx_write_trees.c  tree ensembles */
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

/* How a value lies in the file: [n][c][h][w] of a map, [n][c], or [n] and the layer's own sides. */
enum eg_form { EG_FORM_IMAGE, EG_FORM_VECTOR, EG_FORM_ARRAY };

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
    enum eg_form *form; /* [graph nodes] how it lies there */
    bool *constant;     /* [graph nodes] the same for every image: n is 1 */
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

/* The nodes of layer `index`; sets value and form of it. output (or NULL): the name of
 * its value, where that is the network's result as it stands. */
void eg__writer_layer(struct eg_onnx_writer *writer, uint32_t index, const char *output);

/* ---- one layer ------------------------------------------------------------------ */

struct eg_written_layer {
    struct eg_onnx_writer *writer;
    const struct eg_node *node;
    const char *name, *output;
    struct eg_map in;  /* of input 0 */
    enum eg_form form; /* of the result */
};

enum eg_status eg__layer_refuse(struct eg_written_layer *layer, const char *why);
/* "layer/name" */
const char *eg__layer_part(struct eg_written_layer *layer, const char *name);
/* A helper node "layer/name" whose value has the same name. */
const char *eg__layer_helper(struct eg_written_layer *layer, const char *op, const char *name, unsigned n,
                             const char *const *inputs, EgOnnx__NodeProto **node);
/* The node that bears the layer's name and gives its value. */
EgOnnx__NodeProto *eg__layer_final(struct eg_written_layer *layer, const char *op, unsigned n,
                                   const char *const *inputs);
/* Input i as [n][c] or [n][c][h][w]; as [n] and `rank` sides; in the result's form. */
const char *eg__layer_input(struct eg_written_layer *layer, unsigned i, bool as_vector);
const char *eg__layer_array(struct eg_written_layer *layer, unsigned i, size_t rank);
const char *eg__layer_alike(struct eg_written_layer *layer, unsigned i);
/* ONNX's index of node->axis in the result's form. */
int64_t eg__layer_axis(const struct eg_written_layer *layer);
/* A value that is the same for every image, as often as there are images in `like`. */
const char *eg__layer_for_each(struct eg_written_layer *layer, unsigned i, const char *value,
                               const char *like);
/* A parameter under the tensor's own name, else "layer.param". */
const char *eg__layer_parameter(struct eg_written_layer *layer, unsigned i, const struct eg_tensor *view,
                                bool weight);
const char *eg__layer_number(struct eg_written_layer *layer, const char *name, float x);
const char *eg__layer_ints(struct eg_written_layer *layer, const char *name, size_t n, const int64_t *values);

/* Rows of other files. */
void eg__write_trees(struct eg_written_layer *layer);
void eg__write_views(struct eg_written_layer *layer);
void eg__write_views_mean(struct eg_written_layer *layer);
void eg__write_constant(struct eg_written_layer *layer);
void eg__write_transpose(struct eg_written_layer *layer);
void eg__write_reshape(struct eg_written_layer *layer);
void eg__write_expand(struct eg_written_layer *layer);
void eg__write_gather(struct eg_written_layer *layer);
void eg__write_matmul(struct eg_written_layer *layer);
void eg__write_attention(struct eg_written_layer *layer);
void eg__write_resize(struct eg_written_layer *layer);
void eg__write_conv_transpose(struct eg_written_layer *layer);
/* Attributes of a window. */
void eg__layer_put_window(struct eg_written_layer *layer, EgOnnx__NodeProto *node, const struct eg_window *w,
                          bool dilations);

#endif
