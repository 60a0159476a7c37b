/* plain.h: operators that are computed line by line (private to net/). */
#ifndef EG_NET_PLAIN_H
#define EG_NET_PLAIN_H

#include "net/plan.h"

struct eg_plain_pass {
    struct eg_run *run;
    const struct eg_run_step *step;
    struct eg_view in[3]; /* a constant has ld 0 and is dense */
    struct eg_view out;
};

/* Make row y of the output of one image. */
typedef void eg_plain_line(const struct eg_plain_pass *pass, size_t image, size_t y, float *scratch);

struct eg_plain_work {
    eg_plain_line *line;
    bool constant; /* one operand is step->weights */
    struct eg_view constant_view;
    int32_t *feature, *left, *right, *roots; /* trees: threshold in step->scale, leaf in step->shift */
    size_t n_roots;
};

/* over the channels of a pixel (step_vector.c) */
eg_plain_line eg__line_layer_norm, eg__line_lrn, eg__line_softmax, eg__line_reduce, eg__line_arg_max,
    eg__line_trees;
EG_MUST_CHECK enum eg_status eg__plan_trees(struct eg_run *run, struct eg_run_step *step,
                                            const struct eg_node *node, struct eg_error *err);

EG_MUST_CHECK enum eg_status eg__plan_resize(struct eg_run *run, struct eg_run_step *step,
                                             const struct eg_node *node, struct eg_error *err);
eg_plain_line eg__line_cum_sum, eg__line_conv_transpose;
EG_MUST_CHECK enum eg_status eg__plan_conv_transpose(struct eg_run *run, struct eg_run_step *step,
                                                     const struct eg_node *node, struct eg_error *err);

/* The kernel's name of a two-value operator. */
enum eg_binary eg__binary_of(enum eg_op op);
/* The kernel activation that node is; false: it is none. */
bool eg__node_activation(const struct eg_node *node, enum eg_activation *act, float *a, float *b);
/* y = x scale + shift, c numbers each; false: no memory. */
bool eg__batch_norm_factors(const struct eg_node *node, size_t c, float *scale, float *shift);

#endif
