/* tape_ops.h: private to the tape: what the operators' forward and backward see. */
#ifndef EG_NET_TAPE_OPS_H
#define EG_NET_TAPE_OPS_H

#include "graph/graph.h"
#include "net/tape.h"

struct eg_tape_node {
    const struct eg_node *node;
    bool active;      /* differentiated */
    bool in_place;    /* y and dy are those of input 0 */
    bool batch_stats; /* a batch norm that learns from the batch */
    uint32_t n_consumers;
    size_t count;                /* floats of one image's output */
    float *y, *dy;               /* [n][count]; dy NULL for a boundary node */
    float *param[EG_PARAMS_MAX]; /* dense float values, NULL: absent */
    float *grad[EG_PARAMS_MAX];  /* NULL: not learned */
    size_t param_count[EG_PARAMS_MAX];
    bool add_dx[EG_INPUTS_MAX]; /* a later consumer wrote this input's dy already */
    void *saved;                /* what forward leaves for backward */
};

/* Everything an operator may use. */
struct eg_tape_step {
    struct eg_tape_node *nodes;
    eg_pool *pool;
    float *scratch; /* as many floats as the operator's scratch rule asked for */
    size_t n;       /* images of this pass */
    size_t first;   /* the number of its first in the whole batch */
    bool training;
    uint64_t seed, step;
    float momentum; /* of batch statistics */
    uint32_t index; /* of the node at work */
};

typedef enum eg_status eg_tape_fn(struct eg_tape_step *step, struct eg_tape_node *node, struct eg_error *err);

/* One row an operator. */
struct eg_tape_op {
    eg_tape_fn *forward, *backward; /* backward NULL: no gradient */
    bool may_be_in_place;           /* y may overwrite x, dx may overwrite dy */
    bool reads_y;                   /* backward reads its own y: a consumer may not overwrite it */
    /* floats of shared scratch, and bytes kept from forward to backward; NULL: none */
    size_t (*scratch)(const struct eg_tape_node *nodes, const struct eg_tape_node *node, size_t max_batch);
    size_t (*saved_bytes)(const struct eg_tape_node *nodes, const struct eg_tape_node *node,
                          size_t max_batch);
};
extern const struct eg_tape_op eg__tape_ops[EG_OP_COUNT];

static inline struct eg_tape_node *eg__tape_input(struct eg_tape_step *step, struct eg_tape_node *node,
                                                  uint32_t i)
{
    return &step->nodes[node->node->inputs[i]];
}

/* dx of input i, or NULL when nobody needs it. */
static inline float *eg__tape_dx(struct eg_tape_step *step, struct eg_tape_node *node, uint32_t i)
{
    struct eg_tape_node *input = eg__tape_input(step, node, i);
    return input->active ? input->dy : NULL;
}

eg_tape_fn eg__tape_conv_forward, eg__tape_conv_backward;
size_t eg__tape_conv_scratch(const struct eg_tape_node *nodes, const struct eg_tape_node *node,
                             size_t max_batch);
eg_tape_fn eg__tape_linear_forward, eg__tape_linear_backward;
eg_tape_fn eg__tape_batch_norm_forward, eg__tape_batch_norm_backward;
size_t eg__tape_batch_norm_saved(const struct eg_tape_node *nodes, const struct eg_tape_node *node,
                                 size_t max_batch);
eg_tape_fn eg__tape_layer_norm_forward, eg__tape_layer_norm_backward;
size_t eg__tape_layer_norm_saved(const struct eg_tape_node *nodes, const struct eg_tape_node *node,
                                 size_t max_batch);
size_t eg__tape_layer_norm_scratch(const struct eg_tape_node *nodes, const struct eg_tape_node *node,
                                   size_t max_batch);
eg_tape_fn eg__tape_lrn_forward, eg__tape_lrn_backward;
size_t eg__tape_lrn_saved(const struct eg_tape_node *nodes, const struct eg_tape_node *node,
                          size_t max_batch);
eg_tape_fn eg__tape_max_pool_forward, eg__tape_max_pool_backward;
size_t eg__tape_max_pool_saved(const struct eg_tape_node *nodes, const struct eg_tape_node *node,
                               size_t max_batch);
eg_tape_fn eg__tape_avg_pool_forward, eg__tape_avg_pool_backward;       /* avg, adaptive, global avg */
eg_tape_fn eg__tape_global_pool_forward, eg__tape_global_pool_backward; /* global max, gem */
eg_tape_fn eg__tape_unary_forward, eg__tape_unary_backward;
eg_tape_fn eg__tape_binary_forward, eg__tape_binary_backward;
eg_tape_fn eg__tape_where_forward, eg__tape_where_backward;
eg_tape_fn eg__tape_move_forward, eg__tape_move_backward; /* concat, slice, shuffle, pad, flatten */
eg_tape_fn eg__tape_dropout_forward, eg__tape_dropout_backward;
size_t eg__tape_dropout_saved(const struct eg_tape_node *nodes, const struct eg_tape_node *node,
                              size_t max_batch);
eg_tape_fn eg__tape_softmax_forward, eg__tape_softmax_backward;
eg_tape_fn eg__tape_array_forward, eg__tape_array_backward; /* any rank: transpose, reshape, ... */
eg_tape_fn eg__tape_matmul_forward, eg__tape_matmul_backward;
eg_tape_fn eg__tape_attention_forward, eg__tape_attention_backward;
size_t eg__tape_attention_saved(const struct eg_tape_node *nodes, const struct eg_tape_node *node,
                                size_t max_batch);
size_t eg__tape_attention_scratch(const struct eg_tape_node *nodes, const struct eg_tape_node *node,
                                  size_t max_batch);
eg_tape_fn eg__tape_reduce_forward, eg__tape_reduce_backward;

#endif
