/* page_write.h: a report as one HTML file that needs nothing else.
 *
 * Its views are the JavaScript modules of report/page/, put into the library when it is built
 * (page/bundle.cmake). They are filled from one JSON document:
 *
 *   kind         "train", "tune", "evaluate", "cuts", "audit"      version, made
 *   report       as the command's --json, null where there is none
 *   audit        as audit's --json, or null
 *   classes      names that numbers below mean
 *   sources      who judged: list of id ("test", "fold"), title, count, accuracy, accuracy_low,
 *                accuracy_high, classes, confusion, per_class (with average_precision)
 *   photos       list of path, label (class or -1), part ("train", "test", null), thumb (or -1),
 *                at [x, y] on the map or null, near (photos), test and fold (list of [class, probability],
 *                the surest first, -1: unknown), map (rows of a heat-map of what spoke for class map_of, to
 *                the largest as 99; not given: none), seen ([x, y, width, height] of what the map covers, in
 *                parts of the photo; not given: all)
 *   omitted      photos, pictures: how many are not in the page
 *   pictures     list of id, title, svg
 *   how          facts (list of [name, value]), commands, model (file name or null)
 * and an array of JPEGs in base64. */
#ifndef EG_REPORT_PAGE_WRITE_H
#define EG_REPORT_PAGE_WRITE_H

#include <jansson.h>

#include "base/text.h"
#include "engraft.h"

/* thumbs: the array as JSON text. Bytes of the file beside thumbs: about those of data and 100 kB. */
EG_MUST_CHECK enum eg_status eg__page_write(const char *path, bool overwrite, const char *title,
                                            const json_t *data, const struct eg_text *thumbs,
                                            struct eg_error *err);
/* "...": bytes in base64, quoted. */
void eg__base64(struct eg_text *text, const uint8_t *bytes, size_t n);

#endif
