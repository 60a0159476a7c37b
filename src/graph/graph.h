/* graph.h: what a network IS: operators in topological order, each with one output, and the
 * tensors they hold. Nothing here computes an activation.
 *
 * A value has a logical shape of rank 1 to 8 (struct eg_shape), the batch left out: it is outermost in every
 * value, wherever the file has it. Maps are [h][w][c], tokens [t][c].
 * File formats with another order are turned into this one by their readers: a tensor is a
 * strided view, so no weight is copied or moved to do so.
 *
 * A graph is as in the file: nothing is fused or folded away that a cut could name.
 * It owns its nodes and names (one arena) and holds references to the mapped files behind
 * its tensors; copies and cuts share those. */
#ifndef EG_GRAPH_GRAPH_H
#define EG_GRAPH_GRAPH_H

#include "engraft.h"

enum { EG_INPUTS_MAX = 64, EG_PARAMS_MAX = 6, EG_VIEWS_MAX = 64 };

enum eg_op {
#define EG_OP(name, ...) EG_OP_##name,
#include "graph/ops.def"
#undef EG_OP
    EG_OP_COUNT
};

struct eg_op_info {
    const char *text, *onnx; /* onnx NULL: it is several operators there */
    uint8_t least_inputs, most_inputs;
    bool cut;                          /* features may be taken there */
    const char *params[EG_PARAMS_MAX]; /* NULL-terminated if fewer; "bias?" may be absent */
};
extern const struct eg_op_info eg__op_info[EG_OP_COUNT];

/* ---- tensors ---------------------------------------------------------------- */

enum eg_dtype { EG_F32, EG_F16, EG_BF16, EG_F64, EG_I64, EG_I32, EG_I16, EG_I8, EG_U8, EG_BOOL };
size_t eg__dtype_size(enum eg_dtype dtype);

/* A view of numbers in a mapped file or in a graph's arena. data may be unaligned. */
struct eg_tensor {
    const char *name; /* as in the weights file; NULL: none */
    const void *data; /* NULL: no values at hand (`inspect` without weights) */
    enum eg_dtype dtype;
    uint8_t rank;
    size_t dim[EG_RANK_MAX];       /* in the order the operator documents */
    ptrdiff_t stride[EG_RANK_MAX]; /* in elements, for that order */
};

size_t eg__tensor_count(const struct eg_tensor *tensor); /* product of dim; 1 for rank 0 */
/* All elements as float32, dense in the tensor's own order of dimensions. */
void eg__tensor_read(const struct eg_tensor *tensor, float *out);
/* Dense row-major strides for the dims set. */
void eg__tensor_pack_strides(struct eg_tensor *tensor);
/* The same values seen with dimension i of the result = dimension order[i] of tensor. */
struct eg_tensor eg__tensor_permuted(const struct eg_tensor *tensor, const uint8_t *order);
/* The same values with the last dimension (a convolution's input channels) back to front. */
struct eg_tensor eg__tensor_channels_reversed(const struct eg_tensor *tensor);

/* ---- shapes -------------------------------------------------------------------- */

/* A value seen as [h][w][c]: a map as it is, tokens as one column of pixels, a vector as one pixel;
 * of more dimensions the first ones are joined. */
struct eg_map {
    size_t h, w, c;
};
static inline struct eg_map eg__map(struct eg_shape shape)
{
    struct eg_map map = {1, 1, 1};
    if (shape.rank >= 1) map.c = shape.dim[shape.rank - 1];
    if (shape.rank >= 3) map.w = shape.dim[shape.rank - 2];
    if (shape.rank == 2) map.h = shape.dim[0];
    for (size_t i = 0; i + 2 < shape.rank; i++) map.h *= shape.dim[i];
    return map;
}
static inline struct eg_shape eg__map_shape(size_t h, size_t w, size_t c)
{
    return (struct eg_shape){3, {h, w, c}};
}
static inline struct eg_shape eg__vector_shape(size_t c) { return (struct eg_shape){1, {c}}; }
static inline size_t eg__map_count(struct eg_map map) { return map.h * map.w * map.c; }
bool eg__shape_is(struct eg_shape a, struct eg_shape b); /* the same */
size_t eg__shape_count(struct eg_shape shape);           /* product of the sides */

/* ---- nodes -------------------------------------------------------------------- */

enum eg_padding { EG_PAD_EXPLICIT, EG_PAD_SAME_UPPER, EG_PAD_SAME_LOWER };

/* pad_* are the numbers in force: for SAME_* shape inference computes them from the input
 * size. With ceil_mode the last window may hang over the padded edge; what lies outside
 * input + padding is never read and never counted. */
struct eg_window {
    uint32_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w;
    uint32_t pad_top, pad_left, pad_bottom, pad_right;
    enum eg_padding padding;
};

/* The pixels one value depends on, and how far they move from one value to the next. */
struct eg_receptive {
    uint32_t field_h, field_w, jump_h, jump_w;
};

/* How places of a resized map are found in its input, as ONNX Resize has it. */
enum eg_resize_mode { EG_RESIZE_NEAREST, EG_RESIZE_LINEAR, EG_RESIZE_CUBIC };
enum eg_resize_place {
    EG_PLACE_HALF_PIXEL,
    EG_PLACE_PYTORCH_HALF_PIXEL,
    EG_PLACE_HALF_PIXEL_SYMMETRIC,
    EG_PLACE_ALIGN_CORNERS,
    EG_PLACE_ASYMMETRIC
};
enum eg_resize_round { EG_ROUND_PREFER_FLOOR, EG_ROUND_PREFER_CEIL, EG_ROUND_FLOOR, EG_ROUND_CEIL };
struct eg_resizing {
    enum eg_resize_mode mode;
    enum eg_resize_place place;
    enum eg_resize_round round;
    float cubic_a, scale_h, scale_w; /* scale 0: output by input */
    bool exclude_outside, antialias;
};

struct eg_node {
    enum eg_op op;
    const char *name;           /* unique in the graph */
    const char *const *aliases; /* other names that reach this output */
    uint32_t n_aliases;
    uint32_t n_inputs;
    uint32_t inputs[EG_INPUTS_MAX];                /* indexes of earlier nodes */
    struct eg_shape shape;                         /* of the output, set by inference */
    struct eg_receptive receptive;                 /* the same */
    const struct eg_tensor *params[EG_PARAMS_MAX]; /* as named in ops.def; NULL: absent */
    /* attributes, each used by the operators that ops.def says */
    struct eg_window window;
    uint32_t groups;
    bool ceil_mode, count_include_pad, order_chw, swapped;
    bool absorbed; /* a later layer does this one's work: it has no parameters of its own */
    float alpha, beta, bias, epsilon;
    size_t begin, end;          /* slice */
    uint8_t axis;               /* that one works along, counted from the last: 0 is the channels */
    uint8_t order[EG_RANK_MAX]; /* transpose */
    struct eg_shape to;         /* reshape, expand */
    struct eg_resizing resize;
    uint32_t size; /* lrn; views: how many */
    uint32_t
        times; /* values of an image here, set by inference: 1, or its views; 0: the same for every image */
    uint32_t out_h, out_w; /* adaptive pool */
};

/* Tree ensemble (TREE_ENSEMBLE), all trees in one numbering: at inner node i go to left[i]
 * if x[feature[i]] <= threshold[i], else to right[i]; at a leaf feature[i] is -1 and the
 * class scores are leaf[left[i]][0..c-1]. roots[t] is where tree t starts; the output is
 * the sum over trees. feature, left, right, roots are I32 [n], threshold F32 [n],
 * leaf F32 [n_leaves][c]. */

struct eg_metadata {
    const char *key, *value;
};

struct eg_graph {
    struct eg_node *nodes; /* [n_nodes]; nodes[0] is the INPUT */
    uint32_t n_nodes, capacity;
    uint32_t output;                  /* the whole network's result (before any ArgMax) */
    uint32_t label_output;            /* ARG_MAX/WHERE node giving the label, LESS: which labels; 0: none */
    uint32_t default_cut;             /* 0: none known */
    const char *name;                 /* "vgg16", or the file's last part without suffix */
    const char *const *weights_parts; /* the files, where there are several */
    size_t n_weights_parts;
    const char *weights_path;     /* the file weights_sha256 is of; NULL: none */
    bool input_nchw;              /* order of the FILE's input tensor, for messages */
    struct eg_metadata *metadata; /* "engraft.recipe", "engraft.classes", ... */
    uint32_t n_metadata, metadata_capacity;
    struct eg_arena *arena; /* private */
    struct eg_hold *holds;  /* private */
    struct eg_names *names; /* private */
};

/* ---- making ------------------------------------------------------------------- */

EG_MUST_CHECK enum eg_status eg__graph_create(const char *name, struct eg_graph **graph,
                                              struct eg_error *err);
void eg__graph_free(struct eg_graph *graph);

/* Add node `node` (its inputs, params and attributes filled in; name and aliases are copied;
 * params must be in this graph's arena or static), infer its shape, and give its index.
 * An existing name gets a suffix "_2", ...  EG_E_SHAPE / EG_E_UNSUPPORTED name the node. */
EG_MUST_CHECK enum eg_status eg__graph_add(struct eg_graph *graph, const struct eg_node *node,
                                           uint32_t *index, struct eg_error *err);

/* One more name for a node's output; a name already taken by another node is left alone. */
EG_MUST_CHECK enum eg_status eg__graph_alias(struct eg_graph *graph, uint32_t index, const char *alias,
                                             struct eg_error *err);

/* No layer made from now on is called so unless it is added under this very name: it is to come, and
 * another's `name_2` would stand in its place. */
EG_MUST_CHECK enum eg_status eg__graph_keep_free(struct eg_graph *graph, const char *name,
                                                 struct eg_error *err);

/* n bytes that live as long as the graph, 64-byte aligned; NULL: no memory. */
void *eg__graph_memory(struct eg_graph *graph, size_t n, size_t size);
char *eg__graph_string(struct eg_graph *graph, const char *string);
/* A copy of *tensor's description (not of its values) in the arena; NULL: no memory. */
struct eg_tensor *eg__graph_tensor(struct eg_graph *graph, const struct eg_tensor *tensor);
/* A dense F32 tensor with its own values, copied. */
struct eg_tensor *eg__graph_constant(struct eg_graph *graph, const char *name, uint8_t rank,
                                     const size_t *dim, const float *values);

/* Keep `object` until the last graph that shares it is freed, then release(object). On
 * failure object is released at once. */
EG_MUST_CHECK enum eg_status eg__graph_hold(struct eg_graph *graph, void *object, void (*release)(void *),
                                            struct eg_error *err);
/* Let `to` share everything `from` holds (arena included), so it may point to its tensors. */
EG_MUST_CHECK enum eg_status eg__graph_share(struct eg_graph *to, const struct eg_graph *from,
                                             struct eg_error *err);

EG_MUST_CHECK enum eg_status eg__graph_set_metadata(struct eg_graph *graph, const char *key,
                                                    const char *value, struct eg_error *err);
const char *eg__graph_metadata(const struct eg_graph *graph, const char *key); /* NULL: none */

/* ---- shapes, names, cuts ------------------------------------------------------- */

/* All shapes again for another input size; checks everything. */
EG_MUST_CHECK enum eg_status eg__graph_resize(struct eg_graph *graph, size_t h, size_t w,
                                              struct eg_error *err);
/* The shape rule of one node. */
EG_MUST_CHECK enum eg_status eg__infer(const struct eg_graph *graph, struct eg_node *node,
                                       struct eg_error *err);

/* By name, alias, or "#31". EG_E_NOT_FOUND lists the nearest names. */
EG_MUST_CHECK enum eg_status eg__graph_find(const struct eg_graph *graph, const char *name, uint32_t *index,
                                            struct eg_error *err);

/* A new graph of `node` and all it needs, in order; shares holds. keep_name: metadata too. */
EG_MUST_CHECK enum eg_status eg__graph_cut(const struct eg_graph *graph, uint32_t node, struct eg_graph **cut,
                                           struct eg_error *err);
/* The same for several nodes; their places in the new graph are written to `nodes`, the last of
 * them is its output. */
EG_MUST_CHECK enum eg_status eg__graph_keep(const struct eg_graph *graph, uint32_t *nodes, size_t n,
                                            struct eg_graph **kept, struct eg_error *err);
/* What comes after `node`, whose value is the new graph's input. EG_E_SHAPE if some of it
 * needs more than that. */
EG_MUST_CHECK enum eg_status eg__graph_rest(const struct eg_graph *graph, uint32_t node,
                                            struct eg_graph **rest, struct eg_error *err);
/* Put graph `head` (whose INPUT shape equals `at`'s shape) on node `at` of graph; head's
 * output and label_output become graph's. Tensors are shared. */
EG_MUST_CHECK enum eg_status eg__graph_attach(struct eg_graph *graph, uint32_t at,
                                              const struct eg_graph *head, struct eg_error *err);

/* The same, graph's own outputs left as they are; nodes [n] of head become those of graph. */
EG_MUST_CHECK enum eg_status eg__graph_graft(struct eg_graph *graph, uint32_t at, const struct eg_graph *head,
                                             uint32_t *nodes, size_t n, struct eg_error *err);

/* The node where an image becomes several; NULL: there is none. */
const struct eg_node *eg__graph_views(const struct eg_graph *graph);

uint64_t eg__node_parameters(const struct eg_graph *graph, uint32_t index); /* trainable */
uint64_t eg__node_macs(const struct eg_graph *graph, uint32_t index);       /* conv, linear */
/* Does it answer with several labels an image (label_output is a LESS)? */
static inline bool eg__graph_says_labels(const struct eg_graph *graph)
{
    return graph->label_output && graph->nodes[graph->label_output].op == EG_OP_LESS;
}
/* May a feature vector be taken here (a float value, not argmax/less/...)? */
bool eg__node_is_cut(const struct eg_graph *graph, uint32_t index);

#endif
