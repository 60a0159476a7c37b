/* multi_label.h: several labels a row: a linear classifier of each label against the rest, all from the same
 * Gram matrix. Private to learn.
 *
 * sets [n][k]: 1 where a row has a label. Scores become probabilities by a sigmoid for each label (Platt)
 * that was fitted on rows held out, and a label is said from the threshold on that is best by F1 there. */
#ifndef EG_LEARN_MULTI_LABEL_H
#define EG_LEARN_MULTI_LABEL_H

#include "learn/linear.h"

/* Every label is on some rows and not on others, also outside of each fold. EG_E_ARGUMENT. */
EG_MUST_CHECK enum eg_status eg__sets_check(const uint8_t *sets, size_t n, size_t k, const uint8_t *fold,
                                            unsigned folds, struct eg_error *err);
/* [k][n] of 0 and 1; NULL: no memory. */
int32_t *eg__sets_columns(const uint8_t *sets, size_t n, size_t k);
/* Mean average precision of scores that score(context, label, row) gives; NAN: no memory. */
double eg__sets_precision(const uint8_t *sets, size_t n, size_t k,
                          double (*score)(const void *context, size_t label, size_t row),
                          const void *context);
/* learned->thresholds, out_of_fold, head. */
EG_MUST_CHECK enum eg_status eg__sets_finish(const struct eg_matrix *matrix, const struct eg_linear *linear,
                                             const struct eg_learn_options *options,
                                             struct eg_learned *learned, struct eg_error *err);

#endif
