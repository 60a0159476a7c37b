/* onnx_private.h: what the files of the ONNX reader share.
 *
 *   onnx_wire.c      protobuf's wire format: fields in place, nothing copied
 *   onnx_tensor.c    TensorProto to a view of the mapped file
 *   onnx_functions.c calls of the file's own functions replaced by what these do
 *   onnx_read.c      the file, its inputs, outputs and names; which nodes run in which order
 *   onnx_value.c     values: constants, or layers whose dimensions are in the file's order
 *   onnx_fold*.c     nodes on constants, computed while loading
 *   onnx_lower.c     nodes on layers, one row an operator
 *   onnx_layout.c    nodes that only move or rename dimensions
 *   onnx_recognize.c chains of operators that are one operator of ours */
#ifndef EG_ONNX_ONNX_PRIVATE_H
#define EG_ONNX_ONNX_PRIVATE_H

#include "base/file.h"
#include "graph/graph.h"
#include "onnx_subset.pb-c.h"

/* ---- wire ---------------------------------------------------------------------- */

struct eg_span {
    const uint8_t *bytes;
    size_t size;
};

struct eg_field {
    uint32_t number, type; /* type: 0 varint, 1 eight bytes, 2 a span, 5 four bytes */
    uint64_t number_value; /* types 0, 1, 5 */
    struct eg_span span;   /* type 2 */
};

/* The next field of a message, which is shortened by it; false at its end or on nonsense,
 * where `message->bytes` becomes NULL. */
bool eg__wire_next(struct eg_span *message, struct eg_field *field);
/* A varint at the start of span, which is shortened by it. */
bool eg__wire_varint(struct eg_span *span, uint64_t *value);
/* A NodeProto with every tensor in its attributes left in the file; NULL: broken or no memory. */
EgOnnx__NodeProto *eg__wire_node(struct eg_span node, const uint8_t *file);

/* The same of one AttributeProto. */
EgOnnx__AttributeProto *eg__wire_attribute(struct eg_span attribute, const uint8_t *file);

/* ---- nodes ---------------------------------------------------------------------- */

enum { EG_NODES_MAX = 50000 };

struct eg_nodes {
    EgOnnx__NodeProto **node; /* owned */
    size_t n, capacity;
};

struct eg_onnx;
/* Add node, which is owned from now on, whatever comes back. */
EG_MUST_CHECK enum eg_status eg__nodes_add(struct eg_onnx *onnx, struct eg_nodes *nodes,
                                           EgOnnx__NodeProto *node);
void eg__nodes_free(struct eg_nodes *nodes);
/* Replace every call of one of the model's functions (FunctionProto, in order of the file) by its nodes. */
EG_MUST_CHECK enum eg_status eg__functions_inline(struct eg_onnx *onnx, const struct eg_span *functions,
                                                  size_t n_functions, struct eg_nodes *nodes);

/* ---- values -------------------------------------------------------------------- */

enum eg_axis { EG_AXIS_N, EG_AXIS_H, EG_AXIS_W, EG_AXIS_C };

/* A dimension of an ONNX value runs over these parts of the layer's [h][w][c], the first
 * slowest: {C} for channels, {C, H, W} for a flattened image, none for a side of 1. A part
 * is `extent` steps of `stride` along its axis, so that a channel shuffle is a reordering
 * of parts. The batch is kept as a part even when it is 1. */
struct eg_part {
    enum eg_axis axis;
    size_t extent, stride;
};
enum { EG_PARTS_MAX = 6 };
struct eg_dimension {
    uint32_t n;
    struct eg_part part[EG_PARTS_MAX];
};

struct eg_value {
    const char *name; /* first: the key */
    bool is_constant, is_defined, is_needed;
    struct eg_tensor tensor; /* of a constant, in ONNX's order of dimensions */
    uint32_t node, rank;     /* of a layer */
    struct eg_dimension dim[EG_RANK_MAX];
};

struct eg_onnx {
    const char *path;
    struct eg_mapping map;
    struct eg_graph *graph;
    struct eg_error *err;
    int64_t opset;
    size_t batch;                                 /* as in the file; 1 where it is free */
    void *values;                                 /* tsearch tree of struct eg_value */
    size_t folded_bytes, folded_work, folded_max; /* of constants: made, numbers looked at, most of each */
    bool bgr;                                     /* our normalisation nodes were made for B,G,R */
    struct eg_external *external;
};

/* One node being read. */
struct eg_reading {
    struct eg_onnx *onnx;
    const EgOnnx__NodeProto *proto;
    const char *label;                  /* for messages and as the layer's name */
    struct eg_value *in[EG_INPUTS_MAX]; /* NULL: not given */
    size_t n_in;
};

/* The value of that name, made if new; NULL: no memory, or too many. */
struct eg_value *eg__onnx_value(struct eg_onnx *onnx, const char *name);

/* "node 'NAME' (Op) ...": EG_E_UNSUPPORTED or EG_E_FORMAT. */
__attribute__((format(printf, 2, 3))) enum eg_status eg__step_refuse(struct eg_reading *step,
                                                                     const char *format, ...);
__attribute__((format(printf, 2, 3))) enum eg_status eg__step_broken(struct eg_reading *step,
                                                                     const char *format, ...);
enum eg_status eg__step_memory(struct eg_reading *step);

/* Attributes. */
const EgOnnx__AttributeProto *eg__step_attribute(const struct eg_reading *step, const char *name);
int64_t eg__step_int(const struct eg_reading *step, const char *name, int64_t otherwise);
float eg__step_float(const struct eg_reading *step, const char *name, float otherwise);
/* Is the string attribute equal to `text`? False when absent. */
bool eg__step_is(const struct eg_reading *step, const char *name, const char *text);
/* Integers that are an attribute in old opsets and input `input` in new ones (UINT_MAX:
 * never). *n 0 when absent. EG_E_FORMAT when more than `most` or not constant. */
EG_MUST_CHECK enum eg_status eg__step_ints(struct eg_reading *step, const char *name, unsigned input,
                                           int64_t *ints, size_t most, size_t *n);
/* Input `input` as one constant number; `otherwise` when absent. */
EG_MUST_CHECK enum eg_status eg__step_number(struct eg_reading *step, unsigned input, float otherwise,
                                             float *number);
/* A dimension's index from ONNX's (negative counts from the end). */
EG_MUST_CHECK enum eg_status eg__step_axis(struct eg_reading *step, int64_t axis, size_t rank,
                                           unsigned *index);

/* Layers. */
size_t eg__value_extent(const struct eg_onnx *onnx, const struct eg_value *value, unsigned dimension);
bool eg__dimension_is(const struct eg_onnx *onnx, const struct eg_value *value, unsigned dimension,
                      enum eg_axis axis);
/* Every dimension one whole axis, or a side of 1. */
bool eg__value_is_plain(const struct eg_onnx *onnx, const struct eg_value *value);
/* Set value to layer `node` with dimensions named by letters of "nchw". */
void eg__value_set(struct eg_onnx *onnx, struct eg_value *value, uint32_t node, const char *order);
/* The same dimensions as `like` over another layer; `channels` (or -1) is its dimension of c. */
void eg__value_set_like(struct eg_onnx *onnx, struct eg_value *value, uint32_t node,
                        const struct eg_value *like, int channels);
/* Make the value plain: a FLATTEN or CHANNEL_SHUFFLE is added if its order asks for one. */
bool eg__value_can_settle(const struct eg_onnx *onnx, const struct eg_value *value);
EG_MUST_CHECK enum eg_status eg__value_settle(struct eg_reading *step, struct eg_value *value,
                                              const char *name);

/* Input `input` as a layer, settled. */
EG_MUST_CHECK enum eg_status eg__step_layer(struct eg_reading *step, unsigned input, struct eg_value **value);
/* The same, [n][c][h][w] (or [n][c]). */
EG_MUST_CHECK enum eg_status eg__step_image(struct eg_reading *step, unsigned input, struct eg_value **value);
/* Add node (named after the step) and give its index. */
EG_MUST_CHECK enum eg_status eg__step_add(struct eg_reading *step, struct eg_node *node, uint32_t *index);
/* Output `output`; NULL (no error) when it has no name. */
struct eg_value *eg__step_output(struct eg_reading *step, unsigned output);
/* Output 0 is input's layer under other dimensions; both names become aliases. */
EG_MUST_CHECK enum eg_status eg__step_alias(struct eg_reading *step, struct eg_value *out);

/* ---- constants ----------------------------------------------------------------- */

/* TensorProto at `span` to a view. */
EG_MUST_CHECK enum eg_status eg__onnx_tensor(struct eg_onnx *onnx, struct eg_span span,
                                             struct eg_tensor *tensor);
struct eg_span eg__onnx_tensor_name(struct eg_span span);
EG_MUST_CHECK enum eg_status eg__onnx_dtype(struct eg_onnx *onnx, int64_t data_type, enum eg_dtype *dtype);
/* Dense room for a new constant in the graph's arena, its size charged to the reader. */
EG_MUST_CHECK enum eg_status eg__onnx_new_tensor(struct eg_onnx *onnx, enum eg_dtype dtype, unsigned rank,
                                                 const size_t *dim, struct eg_tensor *tensor, void **data);
/* Element `index` in row-major order. */
int64_t eg__tensor_int_at(const struct eg_tensor *tensor, size_t index);
double eg__tensor_number_at(const struct eg_tensor *tensor, size_t index);

/* Is this node computed while loading (constants only, or what asks for a shape or type alone)? */
bool eg__fold_applies(const struct eg_reading *step);
EG_MUST_CHECK enum eg_status eg__fold(struct eg_reading *step);

EG_MUST_CHECK enum eg_status eg__lower(struct eg_reading *step);
/* Rows of onnx_layout.c. */
typedef enum eg_status eg_lower_fn(struct eg_reading *step);
eg_lower_fn eg__lower_reshape, eg__lower_flatten, eg__lower_transpose, eg__lower_squeeze, eg__lower_unsqueeze,
    eg__lower_identity, eg__lower_concat, eg__lower_split, eg__lower_slice, eg__lower_gather,
    eg__lower_reduce, eg__lower_trees;

EG_MUST_CHECK enum eg_status eg__recognize(struct eg_graph *graph, struct eg_error *err);

#endif
