/* forest.h: random forests. Private to learn. */
#ifndef EG_LEARN_FOREST_H
#define EG_LEARN_FOREST_H

#include "learn/matrix.h"

/* Grow options->n_trees (0: 500) trees; sets learned->head, oob_accuracy and, with folds, cv_accuracy
 * and, when asked for, out_of_fold. budget: bytes for the columns in memory. */
EG_MUST_CHECK enum eg_status eg__forest_train(struct eg_matrix *matrix, const int32_t *labels,
                                              size_t n_classes, const struct eg_learn_options *options,
                                              size_t budget, struct eg_learned *learned,
                                              struct eg_error *err);

/* ---- values as ranks (forest_ranks.c) ------------------------------------------------------ */

/* Every column's values as their place among the column's distinct values: all that a split needs. */
struct eg_ranks {
    size_t n, d;
    bool wide;        /* 32 bits a rank, else 16 */
    void *of;         /* [d][n] */
    uint32_t *common; /* [d] a rank that a quarter of the rows or more have; EG_NO_RANK: none */
};
#define EG_NO_RANK UINT32_MAX
EG_MUST_CHECK enum eg_status eg__ranks_make(struct eg_matrix *matrix, struct eg_ranks *ranks,
                                            struct eg_error *err);
void eg__ranks_free(struct eg_ranks *ranks);

/* ---- splits (forest_splits.c) --------------------------------------------------------------- */

/* A row drawn for a tree: its class << EG_DRAWN_BITS | how often it was drawn, at most 255. */
struct eg_drawn {
    uint32_t row, payload;
};
enum { EG_DRAWN_BITS = 8 };

struct eg_split {
    double score;           /* sum of squares / weight, left + right: the larger the purer; -INFINITY: none */
    uint32_t feature, rank; /* rows up to this rank go left */
};

struct eg_node_rows {
    const struct eg_drawn *rows;
    size_t n;
    const double *total; /* [n_classes] weights of the classes here */
    double weight, squares;
};

/* Work space of one thread. */
struct eg_split_space {
    uint64_t *bits, *kept;
    uint32_t *slot, *next;
    double *left, *seen; /* [n_classes] all 0 between calls */
};
EG_MUST_CHECK enum eg_status eg__split_space_open(size_t n, size_t n_classes, struct eg_split_space *space,
                                                  struct eg_error *err);
void eg__split_space_close(struct eg_split_space *space);

/* The best threshold of one feature among a node's rows. */
struct eg_split eg__split_find(const struct eg_ranks *ranks, uint32_t feature,
                               const struct eg_node_rows *node, const double *class_weight, size_t n_classes,
                               struct eg_split_space *space);

/* ---- trees (tree.c) ------------------------------------------------------------------------- */

/* One tree, children after their parent; leaves have feature -1 and left = their number. */
struct eg_tree {
    int32_t *feature, *left, *right; /* [n_nodes] */
    uint32_t *rank;                  /* [n_nodes] the split in ranks; gone once there are thresholds */
    float *threshold;                /* [n_nodes] */
    float *leaf;                     /* [n_leaves][n_classes] shares of the classes */
    size_t n_nodes, n_leaves;
};
void eg__tree_free(struct eg_tree *tree);

/* Half way between the neighbouring values of a column on either side of each split. */
EG_MUST_CHECK enum eg_status eg__trees_thresholds(struct eg_matrix *matrix, struct eg_tree *trees,
                                                  size_t n_trees, struct eg_error *err);

struct eg_tree_task {
    const struct eg_ranks *ranks;
    const int32_t *labels;
    const double *class_weight; /* [n_classes] */
    size_t n_classes;
    const size_t *inside; /* rows to draw from */
    size_t n_inside;
    const size_t *along; /* rows that only ride along to their leaf; NULL: those not drawn */
    size_t n_along;
    uint64_t seed;
    eg_pool *pool;
    bool (*go_on)(void *user); /* asked now and then; false: EG_E_CANCELLED */
    void *user;
};

/* Grow trees number first .. first+count-1 together. votes [n][n_classes] gets, for rows that rode
 * along, their leaf's shares in units of 2^-32, by atomic addition: the same sum in whatever order. */
EG_MUST_CHECK enum eg_status eg__trees_grow(const struct eg_tree_task *task, uint64_t first, size_t count,
                                            uint64_t *votes, struct eg_tree *trees, struct eg_error *err);

#endif
