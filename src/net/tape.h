/* tape.h: a graph at work while it learns: a forward pass that keeps what the backward pass
 * needs, and the backward pass (reverse-mode differentiation; Griewank & Walther 2008).
 *
 * Only what has to be is differentiated. The ACTIVE nodes are those that hold a parameter to
 * be learned or depend on one; what an active node reads from an inactive one is a BOUNDARY
 * value, computed once by a run (net.h) and fed in. Nothing below the boundary is touched.
 *
 * Parameters and gradients lie in two flat arrays, so an optimiser, a clip, a checkpoint and
 * an allreduce are loops over one array. Sums are added in an order that depends on the
 * shapes and the batch only: the same step gives the same bits with any number of threads. */
#ifndef EG_NET_TAPE_H
#define EG_NET_TAPE_H

#include "graph/graph.h"

struct eg_tape;

struct eg_tape_options {
    size_t max_batch;
    const bool *trainable;     /* [n_nodes]: the parameters of this node are learned */
    bool train_batch_norm;     /* trainable batch_norm nodes use and learn from the batch; otherwise
                                  they stay in inference mode and are not learned at all */
    float batch_norm_momentum; /* 0 = 0.1: weight of the batch in the running statistics */
    uint64_t seed;             /* of dropout */
    bool of_input;             /* the gradient of the input too: it is then a boundary value */
};

/* A learned tensor: one range of the flat arrays. */
struct eg_parameter {
    uint32_t node, slot; /* graph->nodes[node].params[slot] */
    size_t first, count; /* range in the flat arrays; dense, in the tensor's own order */
    bool decays;         /* weight decay applies: not to biases and norms */
};

/* Plan the tape for graph->output and take all its memory. The graph and pool must outlive
 * it; the parameters' values are copied. EG_E_UNSUPPORTED names a node that has no gradient;
 * EG_E_ARGUMENT: nothing to learn, or a tensor without values. */
EG_MUST_CHECK enum eg_status eg__tape_create(const struct eg_graph *graph,
                                             const struct eg_tape_options *options, eg_pool *pool,
                                             struct eg_tape **tape, struct eg_error *err);
void eg__tape_free(struct eg_tape *tape);

/* Nodes whose values forward takes, in this order. */
const uint32_t *eg__tape_boundary(const struct eg_tape *tape, size_t *n);
const struct eg_parameter *eg__tape_parameters(const struct eg_tape *tape, size_t *n);
float *eg__tape_values(struct eg_tape *tape, size_t *n); /* flat, [n] */
float *eg__tape_gradients(struct eg_tape *tape);         /* flat, of the last backward */
/* Running means and variances of trained batch norms, flat: learned without a gradient. */
float *eg__tape_statistics(struct eg_tape *tape, size_t *n);

/* inputs[b]: [n][h][w][c] of boundary node b; borrowed until the next forward. training: use
 * dropout (seeded by `step`) and batch statistics. The result, [n][h][w][c] of the output,
 * stays until the next forward. EG_E_ARGUMENT: n is 0 or past max_batch. */
EG_MUST_CHECK enum eg_status eg__tape_forward(struct eg_tape *tape, const float *const *inputs, size_t n,
                                              bool training, uint64_t step, const float **output,
                                              struct eg_error *err);
/* The images of the passes to come are images first, first + 1, ... of a batch that several
 * processes share: what dropout drops depends on it. */
void eg__tape_begin_at(struct eg_tape *tape, size_t first);
/* After a forward with training: all gradients of sum(d_output * output). */
EG_MUST_CHECK enum eg_status eg__tape_backward(struct eg_tape *tape, const float *d_output,
                                               struct eg_error *err);

/* [n][h][w][c] of the last backward; NULL: not planned with of_input. */
const float *eg__tape_input_gradient(const struct eg_tape *tape);

/* Write the learned values into graph (as new F32 tensors in its arena), which has the same
 * nodes as the one the tape was made from. */
EG_MUST_CHECK enum eg_status eg__tape_export(const struct eg_tape *tape, struct eg_graph *graph,
                                             struct eg_error *err);

#endif
