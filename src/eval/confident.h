/* confident.h: labels that look wrong, from probabilities of a classifier that has not seen the rows. */
#ifndef EG_EVAL_CONFIDENT_H
#define EG_EVAL_CONFIDENT_H

#include "engraft.h"

enum { EG_SHARPNESS = 2 };

struct eg_suspect {
    size_t row;
    int32_t suggestion; /* the class that fits better */
    float probability;  /* of the suggestion */
    float quality;      /* of the label as it is: 0 bad, 1 good */
};

/* quality[n]: the probability of the label as it stands (self-confidence), small is bad, of
 * probabilities raised to the power `sharpness` and normalised again; 1: as they are. */
void eg__label_quality(const float *probabilities, const int32_t *labels, size_t n, size_t k,
                       double sharpness, float *quality);

/* Rows whose label is confidently another: past the mean confidence t_j that rows of some class j have
 * in j, while that class is likelier than their own label. Worst quality first, ties by row; the quality is
 * taken at EG_SHARPNESS, which finds as many wrong labels as 1 where classes are hard to tell apart and
 * more where they are many (docs/audit.md).
 * probabilities [n][k]; confirmed [n] or NULL: rows that a person has said are right, never listed
 * Cost    O(n k)
 * Source  Northcutt, Jiang, Chuang, J. Artificial Intelligence Research 70 (2021), equations 1 and 2 */
EG_MUST_CHECK enum eg_status eg__suspects(const float *probabilities, const int32_t *labels, size_t n,
                                          size_t k, const uint8_t *confirmed, struct eg_suspect **suspects,
                                          size_t *n_suspects, struct eg_error *err);

#endif
