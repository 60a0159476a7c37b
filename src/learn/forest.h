/* forest.h: random forests. Private to learn. */
#ifndef EG_LEARN_FOREST_H
#define EG_LEARN_FOREST_H

#include "learn/matrix.h"

/* Grow options->n_trees (0: 500) trees; sets learned->head, oob_accuracy, importance and, with
 * folds, cv_accuracy and, when asked for, out_of_fold. budget: bytes for the columns in memory. */
EG_MUST_CHECK enum eg_status eg__forest_train(struct eg_matrix *matrix, const int32_t *labels,
                                              size_t n_classes, const struct eg_learn_options *options,
                                              size_t budget, struct eg_learned *learned,
                                              struct eg_error *err);

/* One tree, children after their parent; leaves have feature -1 and left = their number. */
struct eg_tree {
    int32_t *feature, *left, *right; /* [n_nodes] */
    float *threshold, *gain;         /* [n_nodes] gain: weighted fall of the impurity */
    float *leaf;                     /* [n_leaves][n_classes] shares of the classes */
    size_t n_nodes, n_leaves;
};
void eg__tree_free(struct eg_tree *tree);

struct eg_tree_task {
    const float *columns; /* [d][n] */
    const int32_t *labels;
    const double *class_weight; /* [n_classes] */
    size_t n, d, n_classes;
    const size_t *inside; /* rows to draw from */
    size_t n_inside;
    const size_t *along; /* rows that only ride along to their leaf; NULL: those not drawn */
    size_t n_along;
    uint64_t seed, number;
};

/* Grow one tree. votes [n][n_classes] gets, for rows that rode along, their leaf's shares in
 * units of 2^-32, by atomic addition: the same sum in whatever order trees finish. */
EG_MUST_CHECK enum eg_status eg__tree_grow(const struct eg_tree_task *task, uint64_t *votes,
                                           struct eg_tree *tree, struct eg_error *err);

#endif
