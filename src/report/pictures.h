/* pictures.h: pictures of reports that the page shows beside those of engraft.h. */
#ifndef EG_REPORT_PICTURES_H
#define EG_REPORT_PICTURES_H

#include "engraft.h"
#include "eval/curves.h"

struct eg_class_curve {
    const char *name;
    const double *recall, *precision; /* [n] */
    size_t n;
    double average; /* average precision; NAN: no photo of the class */
};
struct eg_learning_point {
    double rows, accuracy, low, high;
};

/* SVG documents; free() each; NULL: no memory. */
char *eg__tune_accuracy_svg(const struct eg_tune_report *report);
/* n: of all photos; error: expected calibration error. */
char *eg__reliability_svg(const struct eg_reliability *found, size_t n, double error);
/* The classes of least average precision by name, the others thin. */
char *eg__precision_recall_svg(const struct eg_class_curve *curves, size_t n);
char *eg__learning_curve_svg(const struct eg_learning_point *points, size_t n);

#endif
