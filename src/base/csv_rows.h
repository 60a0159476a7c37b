/* csv_rows.h: records of a CSV text (RFC 4180), one after the other, and fields written as such. */
#ifndef EG_BASE_CSV_ROWS_H
#define EG_BASE_CSV_ROWS_H

#include "base/text.h"
#include "engraft.h"

struct eg_csv {
    const char *at, *end;
    size_t line, next_line; /* of the record that was read, from 1 */
    struct eg_text fields;  /* NUL after each */
    size_t *starts, n_fields, capacity;
};

void eg__csv_begin(struct eg_csv *csv, const char *text, size_t n_bytes); /* a byte-order mark is skipped */
/* The next record that is no empty line; n_fields 0 at the end. EG_E_FORMAT names the line. */
EG_MUST_CHECK enum eg_status eg__csv_next(struct eg_csv *csv, struct eg_error *err);
const char *eg__csv_field(const struct eg_csv *csv, size_t index);
/* n_fields where there is none of that name in the record, which is the first. */
size_t eg__csv_column(const struct eg_csv *csv, const char *name);
void eg__csv_end(struct eg_csv *csv);

void eg__csv_write(struct eg_text *text, const char *field); /* quoted where it has to be */

#endif
