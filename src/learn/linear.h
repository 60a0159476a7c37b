/* linear.h: linear classifiers trained, and what makes a head of them. Private to learn. */
#ifndef EG_LEARN_LINEAR_H
#define EG_LEARN_LINEAR_H

#include "learn/matrix.h"
#include "learn/reject.h"
#include "learn/solve.h"

/* Where it is found. */
enum eg_space {
    EG_SPACE_ROWS,     /* a Gram matrix: betas are coefficients of rows */
    EG_SPACE_FEATURES, /* scaled rows: betas are the classifiers themselves; smooth losses */
    EG_SPACE_BLOCKS,   /* neither fits: coefficients of rows, by passes over blocks */
};

/* A trained linear classifier: scores w x + b, one column for two classes (above 0: the
 * second), else one for each class. */
struct eg_linear {
    enum eg_loss loss;
    enum eg_scaling scale; /* chosen */
    size_t n, d, n_classes, columns;
    double *w, *b;       /* [columns][d], [columns] */
    double *out_of_fold; /* [columns][n] scores of rows not trained on; NULL: no folds */
    double *in_fold;     /* [columns][n] scores of the final classifier on its rows */
    double c, cv_accuracy, objective, gap;
};
void eg__linear_free(struct eg_linear *linear);

/* The class that row i's scores [columns][n] speak for. */
int32_t eg__linear_label(const double *scores, size_t n, size_t columns, size_t i);

/* Bytes that training holds beside the rows, the Gram matrix and the solver's work space: what
 * does not shrink with the budget. n rows of d, `columns` of scores; folds 0: none. */
double eg__linear_bytes(size_t n, size_t d, size_t columns, unsigned folds, enum eg_space space);
/* What learning may take of memory. learn.c */
size_t eg__learn_budget(const struct eg_learn_options *options);
enum eg_loss eg__linear_loss(const struct eg_learn_options *options);

/* Grid over C by cross-validation, final fit, exact objective and gap. Sets learned->grid.
 * Blocks: to 1e-3 of the optimum.
 * scale may be EG_SCALE_AUTO; the matrix is left at the scale chosen. */
EG_MUST_CHECK enum eg_status eg__linear_train(struct eg_matrix *matrix, const int32_t *labels,
                                              size_t n_classes, const struct eg_learn_options *options,
                                              size_t budget, enum eg_space space, struct eg_linear *linear,
                                              struct eg_learned *learned, struct eg_error *err);

/* Probabilities from scores: sigmoids p = 1 / (1 + exp(-(slope score + shift))), normalised
 * (SVM: Platt), or softmax(score / temperature) (logistic). Fitted on out-of-fold scores
 * where there are any. slope, shift [columns]. */
struct eg_calibration {
    double *slope, *shift, temperature;
};
EG_MUST_CHECK enum eg_status eg__calibrate(const struct eg_linear *linear, const int32_t *labels,
                                           struct eg_calibration *calibration, struct eg_error *err);
/* Platt's sigmoid p = 1 / (1 + exp(-(slope f + shift))) of scores [n], rows labelled `positive` against the
 * rest. */
void eg__platt(const double *score, const int32_t *labels, int32_t positive, size_t n, double *slope,
               double *shift);
void eg__calibration_free(struct eg_calibration *calibration);

/* probabilities [n][n_classes] by the out-of-fold scores, which must be there. */
EG_MUST_CHECK enum eg_status eg__calibrated(const struct eg_linear *linear,
                                            const struct eg_calibration *calibration, float *probabilities,
                                            struct eg_error *err);

/* INPUT -> scaler -> LINEAR -> calibrated probabilities; label_output by eg__head_label. */
EG_MUST_CHECK enum eg_status eg__linear_head(const struct eg_matrix *matrix, const struct eg_linear *linear,
                                             const struct eg_calibration *calibration,
                                             const struct eg_reject *reject, struct eg_graph **head,
                                             struct eg_error *err);

/* Shared by heads: one node on `from` (and `second`, unless 0); the scaler's nodes on the input. */
EG_MUST_CHECK enum eg_status eg__head_node(struct eg_graph *graph, enum eg_op op, const char *name,
                                           uint32_t from, uint32_t second, const struct eg_tensor *constant,
                                           uint32_t *at, struct eg_error *err);
EG_MUST_CHECK enum eg_status eg__head_begin(const struct eg_matrix *matrix, struct eg_graph **head,
                                            uint32_t *at, struct eg_error *err);

#endif
