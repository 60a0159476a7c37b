/* reject.h: "none of these": when a classifier gives no answer. Private to learn. */
#ifndef EG_LEARN_REJECT_H
#define EG_LEARN_REJECT_H

#include "learn/matrix.h"

/* A row is refused where its best probability is below `confidence`, or its closeness
 *     max over k of  -|x - mean_k|^2 / spread_k
 * below `closeness`. */
struct eg_reject {
    size_t n_classes, d;
    double *mean, *spread; /* [n_classes][d]; [n_classes] mean square distance of the class's own rows */
    double confidence, closeness;
    double rate; /* of the held-out rows, what was refused */
};

/* confidence [n]: each row's best probability by a classifier that has not seen it; fold [n]. */
EG_MUST_CHECK enum eg_status eg__reject_fit(struct eg_matrix *matrix, const int32_t *labels, size_t n_classes,
                                            const uint8_t *fold, unsigned folds, const double *confidence,
                                            double rate, struct eg_reject *reject, struct eg_error *err);
void eg__reject_free(struct eg_reject *reject);

/* The label of a head whose scaled rows are at node `rows` and whose probabilities are at
 * `probabilities`: their ARG_MAX, or -1 where refused. reject NULL: never. */
EG_MUST_CHECK enum eg_status eg__head_label(struct eg_graph *head, uint32_t rows, uint32_t probabilities,
                                            const struct eg_reject *reject, uint32_t *label,
                                            struct eg_error *err);

#endif
