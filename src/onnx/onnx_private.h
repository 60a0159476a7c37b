/* onnx_private.h: what the files of the ONNX reader share.
 *
 *   onnx_wire.c      protobuf's wire format: fields in place, nothing copied
 *   onnx_tensor.c    TensorProto to a view of the mapped file
 *   onnx_functions.c calls of the file's own functions replaced by what these do
 *   onnx_order.c     nodes behind those that make their inputs
 *   onnx_expand*.c   operators that are read as several simpler ones
 *   onnx_read.c      the file, its inputs, outputs and names; which nodes run in which order
 *   onnx_value.c     values: constants, or layers whose dimensions are in the file's order
 *   onnx_fold*.c     nodes on constants, computed while loading
 *   onnx_lower.c     nodes on layers, one row an operator
 *   onnx_lower_rare.c  Resize, ConvTranspose, CumSum
 *   onnx_lower_two.c nodes on two or three values
 *   onnx_layout.c    nodes that only move or rename dimensions
 *   onnx_along.c     nodes that work along one dimension
 *   onnx_arrange.c   the layers that bring a value's axes in another order
 *   onnx_attention.c attention out of the products it is written as
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
/* Each behind those that make its inputs; as they are where that holds. */
EG_MUST_CHECK enum eg_status eg__nodes_sort(struct eg_onnx *onnx, struct eg_nodes *nodes);
/* Replace every call of one of the model's functions (FunctionProto, in order of the file) by its nodes. */
EG_MUST_CHECK enum eg_status eg__functions_inline(struct eg_onnx *onnx, const struct eg_span *functions,
                                                  size_t n_functions, struct eg_nodes *nodes);

/* ---- values -------------------------------------------------------------------- */

/* An axis of a layer's value, counted from its last: of a map the channels, the columns, the rows. */
enum { EG_AXIS_C, EG_AXIS_W, EG_AXIS_H, EG_AXIS_N = 31 /* the batch, which is none of them */ };

/* A dimension of an ONNX value runs over these parts of the layer's axes, the first slowest: {C} for
 * channels, {C, H, W} for a flattened image, none for a side of 1. A part is `extent` steps of `stride`
 * along its axis, so that a channel shuffle is a reordering of parts. The batch is kept as a part even
 * when it is 1; windows have it before an axis, {N, H}. */
struct eg_part {
    uint32_t axis;
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
    bool is_array;           /* its layer is no map: an order of dimensions is part of what a name means */
    const char *label; /* name for it in the file's own order, should it be made; NULL: it has its names */
    uint32_t natural;  /* its layer in the file's order of dimensions, once that was asked for; 0: not yet */
    struct eg_dimension dim[EG_RANK_MAX];
    struct eg_view_of { /* what one of our own views is of the layer; h 0: it is none */
        size_t top, left, h, w;
        bool mirrored;
    } view;
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

enum { EG_STEP_OWN = 4 };

/* One node being read. */
struct eg_reading {
    struct eg_onnx *onnx;
    const EgOnnx__NodeProto *proto;
    const char *label;                  /* for messages and as the layer's name */
    struct eg_value *in[EG_INPUTS_MAX]; /* NULL: not given */
    size_t n_in;
    struct eg_value own[EG_STEP_OWN]; /* inputs in another order than the file's other nodes see them */
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

/* Read one node whose inputs are there; `label` is its layer's name. */
EG_MUST_CHECK enum eg_status eg__step_read(struct eg_onnx *onnx, const EgOnnx__NodeProto *proto,
                                           const char *label);

/* Layers. */
size_t eg__value_extent(const struct eg_onnx *onnx, const struct eg_value *value, unsigned dimension);
bool eg__dimension_is(const struct eg_onnx *onnx, const struct eg_value *value, unsigned dimension,
                      uint32_t axis);
/* Is the dimension the batch and nothing else? */
bool eg__dimension_is_batch(const struct eg_value *value, unsigned dimension);
/* The one axis that the dimension is the whole of, a side of 1 too; false: it is none. */
bool eg__dimension_axis(const struct eg_onnx *onnx, const struct eg_value *value, unsigned dimension,
                        uint32_t *axis);
/* Set value to layer `node` with dimensions named by letters of "nchw". */
void eg__value_set(struct eg_onnx *onnx, struct eg_value *value, uint32_t node, const char *order);
/* The same dimensions as `like` over another layer; `channels` (or -1) is its dimension of c. */
void eg__value_set_like(struct eg_onnx *onnx, struct eg_value *value, uint32_t node,
                        const struct eg_value *like, int channels);
/* The same, where the layer is as long along `axis` as that says, and `dimension` is that axis. */
void eg__value_set_along(struct eg_onnx *onnx, struct eg_value *value, uint32_t node,
                         const struct eg_value *like, unsigned dimension, uint32_t axis);
/* Drop that dimension, of side 1. */
void eg__value_drop(struct eg_value *value, unsigned dimension);
/* Make each dimension one of whole axes: a FLATTEN or CHANNEL_SHUFFLE is added if its order asks for one. */
bool eg__value_is_settled(const struct eg_onnx *onnx, const struct eg_value *value);
bool eg__value_can_settle(const struct eg_onnx *onnx, const struct eg_value *value);
EG_MUST_CHECK enum eg_status eg__value_settle(struct eg_reading *step, struct eg_value *value,
                                              const char *name);
/* *made: value over a layer whose axes are its dimensions in the order given (but for the batch), those
 * from order[joined] on as one last axis. RESHAPE and TRANSPOSE are added where they are needed. */
EG_MUST_CHECK enum eg_status eg__value_arrange(struct eg_reading *step, const struct eg_value *value,
                                               const uint8_t order[], unsigned joined, struct eg_value *made);
/* The same in the file's own order; made once for all that ask. */
EG_MUST_CHECK enum eg_status eg__value_natural(struct eg_reading *step, struct eg_value *value,
                                               struct eg_value *made);
/* Does a name of the value reach its layer's numbers in their order? Of a map they are channels, rows,
 * columns for every name, as features are. */
bool eg__value_names_layer(const struct eg_onnx *onnx, const struct eg_value *value);
/* A constant as a layer; the dimension which is the batch in `like` (they count from the last) is left out.
 */
EG_MUST_CHECK enum eg_status eg__value_of_constant(struct eg_reading *step, const struct eg_value *constant,
                                                   const struct eg_value *like, struct eg_value *made);

/* Input `input` as a layer whose dimensions are whole axes. */
EG_MUST_CHECK enum eg_status eg__step_layer(struct eg_reading *step, unsigned input, struct eg_value **value);
/* The same, [n][c][h][w] (or [n][c]). */
EG_MUST_CHECK enum eg_status eg__step_image(struct eg_reading *step, unsigned input, struct eg_value **value);
/* The same in the file's order of dimensions; a constant too, as it lies beside `like` (or NULL: none is). */
EG_MUST_CHECK enum eg_status eg__step_natural(struct eg_reading *step, unsigned input,
                                              const struct eg_value *like, struct eg_value **value);
/* The same, where `dimension` is one whole axis, or (last) the channels. */
EG_MUST_CHECK enum eg_status eg__step_along(struct eg_reading *step, unsigned input, unsigned dimension,
                                            struct eg_value **value, uint32_t *axis);
EG_MUST_CHECK enum eg_status eg__step_last(struct eg_reading *step, unsigned input, unsigned dimension,
                                           struct eg_value **value);
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
/* Where element `index`, counted in the order of its dimensions, lies. */
const uint8_t *eg__tensor_element(const struct eg_tensor *tensor, size_t index);
double eg__tensor_number_at(const struct eg_tensor *tensor, size_t index);

/* Is this node computed while loading (constants only, or what asks for a shape or type alone)? */
bool eg__fold_applies(const struct eg_reading *step);
/* EG_E_NOT_FOUND: there is no row for it. */
EG_MUST_CHECK enum eg_status eg__fold(struct eg_reading *step);

/* Read it as several simpler nodes; EG_E_NOT_FOUND: it is none of those (onnx_expand.c). */
EG_MUST_CHECK enum eg_status eg__expand(struct eg_reading *step);
/* Is it one of onnxruntime's own that are read so? */
bool eg__expand_knows(const char *op);

EG_MUST_CHECK enum eg_status eg__lower(struct eg_reading *step);
/* Rows of onnx_layout.c. */
typedef enum eg_status eg_lower_fn(struct eg_reading *step);
eg_lower_fn eg__lower_reshape, eg__lower_flatten, eg__lower_transpose, eg__lower_squeeze, eg__lower_unsqueeze,
    eg__lower_identity, eg__lower_trees, eg__lower_expand;
/* of onnx_along.c */
eg_lower_fn eg__lower_concat, eg__lower_split, eg__lower_slice, eg__lower_gather, eg__lower_reduce,
    eg__lower_arg_max, eg__lower_softmax;
/* of onnx_lower_two.c */
eg_lower_fn eg__lower_binary, eg__lower_where, eg__lower_matmul, eg__lower_gemm, eg__lower_prelu;

/* Nodes that engraft wrote for views, by their names (onnx_views.c). */
bool eg__is_of_views(const char *label);
EG_MUST_CHECK enum eg_status eg__read_views(struct eg_reading *step);

/* of onnx_lower_rare.c */
eg_lower_fn eg__lower_resize, eg__lower_conv_transpose, eg__lower_cum_sum;

/* What rows share. */
struct eg_slice_list { /* of a Slice, axes and steps filled in where it has none */
    size_t n;
    int64_t starts[EG_RANK_MAX], ends[EG_RANK_MAX], axes[EG_RANK_MAX], steps[EG_RANK_MAX];
};
EG_MUST_CHECK enum eg_status eg__step_slices(struct eg_reading *step, struct eg_slice_list *slices);
EG_MUST_CHECK enum eg_status eg__step_window(struct eg_reading *step, struct eg_window *window);
EG_MUST_CHECK enum eg_status eg__step_filters(struct eg_reading *step, const uint8_t order[4],
                                              struct eg_node *node);
/* Add node with the one input; output 0 is an image. */
EG_MUST_CHECK enum eg_status eg__step_give_image(struct eg_reading *step, struct eg_node *node,
                                                 struct eg_value *in);
bool eg__step_given(const struct eg_reading *step, unsigned input);
/* Input `input` as a constant of that rank, in the arena with dimensions permuted (NULL: as they are). */
EG_MUST_CHECK enum eg_status eg__step_parameter(struct eg_reading *step, unsigned input, unsigned rank,
                                                const uint8_t *order, const struct eg_tensor **tensor);
/* "features.0" as a name of the layer whose weight is "features.0.weight". */
EG_MUST_CHECK enum eg_status eg__step_alias_by_weight(struct eg_reading *step, uint32_t index,
                                                      const struct eg_tensor *weight);
/* Add node with one layer input; output 0 sees it in the same dimensions. */
EG_MUST_CHECK enum eg_status eg__step_add_like(struct eg_reading *step, struct eg_node *node,
                                               struct eg_value *in);
/* One of several layers that an operator becomes, "label/operator"; only the last has its name. */
EG_MUST_CHECK enum eg_status eg__step_add_part(struct eg_reading *step, enum eg_op op, uint32_t input,
                                               const struct eg_tensor *constant, uint32_t *index);
/* Are the numbers of a node whole, or (truths) 0 and 1, whatever the image? `depth` bounds the look back. */
bool eg__is_whole(const struct eg_graph *graph, uint32_t index, bool truths, unsigned depth);

/* The product of softmax(a q k' + mask) at `rows` and `values` as one layer; EG_E_NOT_FOUND: it is none. */
EG_MUST_CHECK enum eg_status eg__recognize_attention(struct eg_reading *step, uint32_t rows, uint32_t values,
                                                     uint32_t *index);
EG_MUST_CHECK enum eg_status eg__recognize(struct eg_graph *graph, struct eg_error *err);

#endif
