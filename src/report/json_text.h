/* json_text.h: values of reports as JSON, the same everywhere. */
#ifndef EG_REPORT_JSON_TEXT_H
#define EG_REPORT_JSON_TEXT_H

#include <jansson.h>

#include "engraft.h"

json_t *eg__json_text(const char *text);       /* NULL gives null; not UTF-8: escaped */
json_t *eg__json_number(double value);         /* NAN and infinities give null */
json_t *eg__json_shape(struct eg_shape shape); /* a map of one pixel is told as a vector */
json_t *eg__json_parsed(const char *text);     /* a document inside; NULL or none gives null */
size_t eg__shape_values(struct eg_shape shape);
json_t *eg__json_skipped(const struct eg_skipped *skipped, size_t n);

/* The document as text, two blanks a level; takes json; free() it; NULL: no memory. */
char *eg__json_document(json_t *json);

#endif
