/* tape_table.c: one row an operator: how it runs and how it is differentiated. */
#include "net/tape_ops.h"

#define UNARY(in_place, own_y)                                                                               \
    {                                                                                                        \
        eg__tape_unary_forward, eg__tape_unary_backward, in_place, own_y, NULL, NULL                         \
    }
#define BINARY                                                                                               \
    {                                                                                                        \
        eg__tape_binary_forward, eg__tape_binary_backward, false, false, NULL, NULL                          \
    }
#define MOVE                                                                                                 \
    {                                                                                                        \
        eg__tape_move_forward, eg__tape_move_backward, false, false, NULL, NULL                              \
    }
#define REDUCE                                                                                               \
    {                                                                                                        \
        eg__tape_reduce_forward, eg__tape_reduce_backward, false, false, NULL, NULL                          \
    }
#define AVERAGE                                                                                              \
    {                                                                                                        \
        eg__tape_avg_pool_forward, eg__tape_avg_pool_backward, false, false, NULL, NULL                      \
    }

/* clang-format off */
const struct eg_tape_op eg__tape_ops[EG_OP_COUNT] = {
    [EG_OP_CONV] = {eg__tape_conv_forward, eg__tape_conv_backward, false, false, eg__tape_conv_scratch, NULL},
    [EG_OP_LINEAR] = {eg__tape_linear_forward, eg__tape_linear_backward, false, false, NULL, NULL},
    [EG_OP_BATCH_NORM] = {eg__tape_batch_norm_forward, eg__tape_batch_norm_backward, true, false, NULL, eg__tape_batch_norm_saved},
    [EG_OP_LAYER_NORM] = {eg__tape_layer_norm_forward, eg__tape_layer_norm_backward, false, false, eg__tape_layer_norm_scratch, eg__tape_layer_norm_saved},
    [EG_OP_LRN] = {eg__tape_lrn_forward, eg__tape_lrn_backward, false, true, NULL, eg__tape_lrn_saved},
    [EG_OP_MAX_POOL] = {eg__tape_max_pool_forward, eg__tape_max_pool_backward, false, false, NULL, eg__tape_max_pool_saved},
    [EG_OP_AVG_POOL] = AVERAGE,
    [EG_OP_ADAPTIVE_POOL] = AVERAGE,
    [EG_OP_GLOBAL_AVG] = AVERAGE,
    [EG_OP_GLOBAL_MAX] = {eg__tape_global_pool_forward, eg__tape_global_pool_backward, false, true, NULL, NULL},
    [EG_OP_GLOBAL_GEM] = {eg__tape_global_pool_forward, eg__tape_global_pool_backward, false, true, NULL, NULL},
    [EG_OP_RELU] = UNARY(true, true),
    [EG_OP_LEAKY_RELU] = UNARY(false, false),
    [EG_OP_CLIP] = UNARY(true, true),
    [EG_OP_SIGMOID] = UNARY(false, true),
    [EG_OP_HARD_SIGMOID] = UNARY(false, false),
    [EG_OP_HARD_SWISH] = UNARY(false, false),
    [EG_OP_SILU] = UNARY(false, false),
    [EG_OP_GELU] = UNARY(false, false),
    [EG_OP_GELU_TANH] = UNARY(false, false),
    [EG_OP_TANH] = UNARY(false, true),
    [EG_OP_ERF] = UNARY(false, false),
    [EG_OP_EXP] = UNARY(false, true),
    [EG_OP_SQRT] = UNARY(false, true),
    [EG_OP_ABS] = UNARY(false, false),
    [EG_OP_SIGN] = UNARY(false, false),
    [EG_OP_NEG] = UNARY(false, false),
    [EG_OP_POW] = UNARY(false, false),
    [EG_OP_ADD] = BINARY,
    [EG_OP_SUB] = BINARY,
    [EG_OP_MUL] = BINARY,
    [EG_OP_DIV] = BINARY,
    [EG_OP_MAX] = BINARY,
    [EG_OP_MIN] = BINARY,
    [EG_OP_WHERE] = {eg__tape_where_forward, eg__tape_where_backward, false, false, NULL, NULL},
    [EG_OP_CONCAT] = MOVE,
    [EG_OP_SLICE] = MOVE,
    [EG_OP_CHANNEL_SHUFFLE] = MOVE,
    [EG_OP_PAD] = MOVE,
    [EG_OP_FLATTEN] = MOVE,
    [EG_OP_IDENTITY] = UNARY(true, false),
    [EG_OP_DROPOUT] = {eg__tape_dropout_forward, eg__tape_dropout_backward, true, false, NULL, eg__tape_dropout_saved},
    [EG_OP_SOFTMAX] = {eg__tape_softmax_forward, eg__tape_softmax_backward, false, true, NULL, NULL},
    [EG_OP_REDUCE_SUM] = REDUCE,
    [EG_OP_REDUCE_MEAN] = REDUCE,
    [EG_OP_REDUCE_MAX] = REDUCE,
    /* LESS, CAST, ARG_MAX and TREE_ENSEMBLE are steps: they have no gradient. */
};
/* clang-format on */
