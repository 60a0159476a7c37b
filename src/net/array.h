/* array.h: values of any rank at work, seen through strides (private to net/). */
#ifndef EG_NET_ARRAY_H
#define EG_NET_ARRAY_H

#include "net/plan.h"

/* Element (i0, i1, ...) of image n is data[n image + i0 stride[0] + i1 stride[1] + ...]. */
struct eg_array {
    float *data;
    size_t rank, dim[EG_RANK_MAX], image;
    ptrdiff_t stride[EG_RANK_MAX];
};

/* The place of a value in this pass. */
struct eg_array eg__run_array(const struct eg_run *run, uint32_t value);
/* The same numbers in the other shape without moving any; false: it cannot be. */
bool eg__array_reshape(const struct eg_array *from, struct eg_shape to, struct eg_array *array);
/* Sides that `shape` has before or has not spread: strides of 0. */
void eg__array_spread(struct eg_array *array, struct eg_shape shape);
/* A dense tensor of the run's own seen as an array, the same for every image. */
struct eg_array eg__array_of_weights(float *weights, struct eg_shape shape);

/* Does the node read input i through strides, and does it write its value so? */
bool eg__reads_arrays(const struct eg_node *node, uint32_t input);
bool eg__writes_arrays(const struct eg_node *node);

/* What moves numbers: transpose, reshape, expand, gather, slice, concat, constant. */
EG_MUST_CHECK enum eg_status eg__plan_move(struct eg_run *run, struct eg_run_step *step,
                                           const struct eg_node *node, struct eg_error *err);
/* Two or three values that spread over each other in ways a map does not. */
EG_MUST_CHECK enum eg_status eg__plan_spread(struct eg_run *run, struct eg_run_step *step,
                                             const struct eg_node *node, struct eg_error *err);
bool eg__spreads_as_map(const struct eg_run *run, const struct eg_run_step *step, const struct eg_node *node);
EG_MUST_CHECK enum eg_status eg__plan_matmul(struct eg_run *run, struct eg_run_step *step,
                                             const struct eg_node *node, struct eg_error *err);
EG_MUST_CHECK enum eg_status eg__plan_attention(struct eg_run *run, struct eg_run_step *step,
                                                const struct eg_node *node, struct eg_error *err);

#endif
