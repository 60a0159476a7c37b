/* rank_metrics.h: how good answers are that are no single class: several labels, or a number. */
#ifndef EG_EVAL_RANK_METRICS_H
#define EG_EVAL_RANK_METRICS_H

#include "engraft.h"

/* The sum over the rows with the label, from the highest score down, of precision times the step in recall;
 * equal scores are one step. has [n]: 1 where a row has the label. NAN: none has it, or no memory.
 * Cost n log n. Source: scikit-learn's average_precision_score has the same definition */
double eg__average_precision(const double *scores, const uint8_t *has, size_t n);

/* The threshold with the best F1 of "score at or above it": half way to the next score below, of equals the
 * highest; *f1 what it comes to. None has the label: above every score. */
double eg__best_threshold(const double *scores, const uint8_t *has, size_t n, double *f1);

/* has [n][k]; probabilities [n][k]; thresholds [k] */
EG_MUST_CHECK enum eg_status eg__label_metrics(const uint8_t *has, const float *probabilities,
                                               const float *thresholds, size_t n, size_t k,
                                               struct eg_label_metrics *metrics, struct eg_error *err);

/* Intervals by the bootstrap: 95 % of 2,000 draws of n rows with replacement, as seed has it. */
EG_MUST_CHECK enum eg_status eg__number_metrics(const double *truth, const double *answers, size_t n,
                                                uint64_t seed, struct eg_number_metrics *metrics,
                                                struct eg_error *err);

#endif
