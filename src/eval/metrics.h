/* metrics.h: how good a classifier is, from its answers. */
#ifndef EG_EVAL_METRICS_H
#define EG_EVAL_METRICS_H

#include "engraft.h"

struct eg_class_metrics { double precision, recall, f1; size_t support; }; /* NAN: undefined */

struct eg_metrics {
    size_t n, n_classes;
    double accuracy, accuracy_low, accuracy_high; /* Wilson, 95 % */
    double top5;                                  /* NAN when n_classes <= 5 */
    double log_loss, calibration_error;           /* ECE, 15 equal-width bins */
    size_t n_rejected;                            /* answered "unknown" (predicted -1): wrong */
    size_t *confusion;                            /* [truth][predicted], owned */
    struct eg_class_metrics *per_class;           /* owned */
    struct eg_class_metrics macro, weighted;
};

/* truth, predicted [n] (predicted -1: rejected); probabilities [n][k] or NULL. */
EG_MUST_CHECK enum eg_status
eg__metrics(const int32_t *truth, const int32_t *predicted, const float *probabilities, size_t n,
            size_t n_classes, struct eg_metrics *metrics, struct eg_error *err);
void eg__metrics_release(struct eg_metrics *metrics);
void eg__wilson(size_t right, size_t n, double *low, double *high);
/* scikit-learn's classification_report layout, then the confusion matrix; malloc'd text. */
char *eg__metrics_report(const struct eg_metrics *metrics, const char *const *classes);

#endif
