/* pictures.h: pictures of reports that the page shows beside those of engraft.h. */
#ifndef EG_REPORT_PICTURES_H
#define EG_REPORT_PICTURES_H

#include "engraft.h"

/* SVG documents; free() each; NULL: no memory. */
char *eg__tune_accuracy_svg(const struct eg_tune_report *report);

#endif
