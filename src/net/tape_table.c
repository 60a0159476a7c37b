/* tape_table.c: one row an operator: how it runs while learning and how it is differentiated
 * (the column `grad` of graph/ops.def). */
#include "net/tape_ops.h"

/* clang-format off */
#define TAPE_none {NULL, NULL, false, false, NULL, NULL} /* a step, or too rare to be learned through */
#define TAPE_unary {eg__tape_unary_forward, eg__tape_unary_backward, false, false, NULL, NULL}
#define TAPE_unary_of_y {eg__tape_unary_forward, eg__tape_unary_backward, false, true, NULL, NULL}
#define TAPE_unary_in_place {eg__tape_unary_forward, eg__tape_unary_backward, true, true, NULL, NULL}
#define TAPE_pass {eg__tape_unary_forward, eg__tape_unary_backward, true, false, NULL, NULL}
#define TAPE_binary {eg__tape_binary_forward, eg__tape_binary_backward, false, false, NULL, NULL}
#define TAPE_move {eg__tape_move_forward, eg__tape_move_backward, false, false, NULL, NULL}
#define TAPE_reduce {eg__tape_reduce_forward, eg__tape_reduce_backward, false, false, NULL, NULL}
#define TAPE_average {eg__tape_avg_pool_forward, eg__tape_avg_pool_backward, false, false, NULL, NULL}
#define TAPE_conv {eg__tape_conv_forward, eg__tape_conv_backward, false, false, eg__tape_conv_scratch, NULL}
#define TAPE_linear {eg__tape_linear_forward, eg__tape_linear_backward, false, false, NULL, NULL}
#define TAPE_batch_norm {eg__tape_batch_norm_forward, eg__tape_batch_norm_backward, true, false, NULL, eg__tape_batch_norm_saved}
#define TAPE_layer_norm {eg__tape_layer_norm_forward, eg__tape_layer_norm_backward, false, false, eg__tape_layer_norm_scratch, eg__tape_layer_norm_saved}
#define TAPE_lrn {eg__tape_lrn_forward, eg__tape_lrn_backward, false, true, NULL, eg__tape_lrn_saved}
#define TAPE_max_pool {eg__tape_max_pool_forward, eg__tape_max_pool_backward, false, false, NULL, eg__tape_max_pool_saved}
#define TAPE_global_pool {eg__tape_global_pool_forward, eg__tape_global_pool_backward, false, true, NULL, NULL}
#define TAPE_where {eg__tape_where_forward, eg__tape_where_backward, false, false, NULL, NULL}
#define TAPE_dropout {eg__tape_dropout_forward, eg__tape_dropout_backward, true, false, NULL, eg__tape_dropout_saved}
#define TAPE_softmax {eg__tape_softmax_forward, eg__tape_softmax_backward, false, true, NULL, NULL}
#define TAPE_array {eg__tape_array_forward, eg__tape_array_backward, false, false, NULL, NULL}
#define TAPE_matmul {eg__tape_matmul_forward, eg__tape_matmul_backward, false, false, NULL, NULL}
#define TAPE_attention {eg__tape_attention_forward, eg__tape_attention_backward, false, false, eg__tape_attention_scratch, eg__tape_attention_saved}
/* clang-format on */

const struct eg_tape_op eg__tape_ops[EG_OP_COUNT] = {
#define EG_OP(name, text, onnx, least, most, shape, run, grad, write, cut, ...) [EG_OP_##name] = TAPE_##grad,
#include "graph/ops.def"
#undef EG_OP
};
