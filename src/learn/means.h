/* means.h: classifiers that are worked out rather than searched for, for few rows. Private to learn. */
#ifndef EG_LEARN_MEANS_H
#define EG_LEARN_MEANS_H

#include "learn/linear.h"

/* The nearest class mean, or (learner EG_LDA) the nearest by the covariance that all classes share,
 * shrunk towards a multiple of the identity. scale may be EG_SCALE_AUTO: chosen by the folds, unit where
 * there are none. The matrix is left at the scale chosen. */
EG_MUST_CHECK enum eg_status eg__means_train(struct eg_matrix *matrix, const int32_t *labels,
                                             size_t n_classes, const struct eg_learn_options *options,
                                             struct eg_linear *linear, struct eg_learned *learned,
                                             struct eg_error *err);

#endif
