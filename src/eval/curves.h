/* curves.h: can probabilities be believed, and what do they cost and give: curves of a classifier. */
#ifndef EG_EVAL_CURVES_H
#define EG_EVAL_CURVES_H

#include "engraft.h"

enum { EG_BINS = 10 };

/* Answers by how sure they are, in EG_BINS bins of equal width. NAN: nothing is in the bin. */
struct eg_reliability {
    size_t count[EG_BINS];
    double confidence[EG_BINS], accuracy[EG_BINS], low[EG_BINS], high[EG_BINS]; /* Wilson, 95 % */
};
void eg__reliability(const float *probabilities, const int32_t *truth, size_t n, size_t k,
                     struct eg_reliability *out);

/* Precision and recall of one class, from the surest photo down; equal probabilities are one step.
 * recall, precision [n] get *n_points steps. Gives the average precision, sum of precision times
 * the step of recall, as scikit-learn has it; NAN: no photo of the class.
 * EG_E_MEMORY is the only failure. */
EG_MUST_CHECK enum eg_status eg__precision_recall(const float *probabilities, const int32_t *truth, size_t n,
                                                  size_t k, size_t class, double *recall, double *precision,
                                                  size_t *n_points, double *average, struct eg_error *err);

#endif
