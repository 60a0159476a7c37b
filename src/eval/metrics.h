/* metrics.h: how good a classifier is, from its answers. */
#ifndef EG_EVAL_METRICS_H
#define EG_EVAL_METRICS_H

#include "engraft.h"

/* truth, predicted [n] (predicted -1: rejected); probabilities [n][k] or NULL. */
EG_MUST_CHECK enum eg_status eg__metrics(const int32_t *truth, const int32_t *predicted,
                                         const float *probabilities, size_t n, size_t n_classes,
                                         struct eg_metrics *metrics, struct eg_error *err);
/* McNemar's exact test: how likely counts so far apart are where both are right equally often. */
double eg__mcnemar(size_t only_one, size_t only_other);
void eg__wilson(size_t right, size_t n, double *low, double *high);

#endif
