#include "base/csv_rows.h"

#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"

void eg__csv_begin(struct eg_csv *csv, const char *text, size_t n_bytes)
{
    bool mark = n_bytes >= 3 && !memcmp(text, "\xef\xbb\xbf", 3);
    *csv = (struct eg_csv){.at = text + (mark ? 3 : 0), .end = text + n_bytes, .next_line = 1};
}

void eg__csv_end(struct eg_csv *csv)
{
    free(csv->fields.chars);
    free(csv->starts);
    *csv = (struct eg_csv){0};
}

const char *eg__csv_field(const struct eg_csv *csv, size_t index)
{
    return csv->fields.chars + csv->starts[index];
}

size_t eg__csv_column(const struct eg_csv *csv, const char *name)
{
    size_t i = 0;
    while (i < csv->n_fields && strcmp(eg__csv_field(csv, i), name)) i++;
    return i;
}

static bool at_line_end(const struct eg_csv *csv)
{
    return *csv->at == '\n' || (*csv->at == '\r' && csv->end - csv->at > 1 && csv->at[1] == '\n');
}

/* One field; what ends it stays. */
static enum eg_status read_field(struct eg_csv *csv, struct eg_error *err)
{
    if (!eg__grow(&csv->starts, &csv->capacity, csv->n_fields + 1, sizeof *csv->starts))
        return eg__fail_memory(err, "a CSV file");
    csv->starts[csv->n_fields++] = csv->fields.length;
    bool quoted = csv->at < csv->end && *csv->at == '"', open = quoted;
    csv->at += quoted;
    while (csv->at < csv->end && (open || (!quoted && *csv->at != ',' && !at_line_end(csv)))) {
        char c = *csv->at++;
        if (!c) return eg__fail(err, EG_E_FORMAT, "line %zu holds a zero byte", csv->next_line);
        if (open && c == '"') {
            if (csv->at == csv->end || *csv->at != '"') {
                open = false;
                break;
            }
            csv->at++;
        }
        csv->next_line += c == '\n';
        eg__text_append_bytes(&csv->fields, &c, 1);
    }
    if (open) return eg__fail(err, EG_E_FORMAT, "a quote opened in line %zu is never closed", csv->line);
    if (csv->at < csv->end && *csv->at != ',' && !at_line_end(csv))
        return eg__fail(err, EG_E_FORMAT, "line %zu: text behind a closing quote", csv->next_line);
    eg__text_append_bytes(&csv->fields, "", 1);
    return csv->fields.failed ? eg__fail_memory(err, "a CSV file") : EG_OK;
}

enum eg_status eg__csv_next(struct eg_csv *csv, struct eg_error *err)
{
    do {
        csv->n_fields = csv->fields.length = 0;
        csv->line = csv->next_line;
        bool more = csv->at < csv->end;
        while (more) {
            enum eg_status status = read_field(csv, err);
            if (status) return status;
            more = csv->at < csv->end && *csv->at == ',';
            csv->at += more;
        }
        if (csv->at < csv->end) { /* at the end of a line */
            csv->at += *csv->at == '\r' ? 2 : 1;
            csv->next_line++;
        }
    } while (csv->n_fields == 1 && !csv->fields.chars[0] && csv->at < csv->end);
    if (csv->n_fields == 1 && !csv->fields.chars[0]) csv->n_fields = 0;
    return EG_OK;
}

void eg__csv_write(struct eg_text *text, const char *field)
{
    if (!field[strcspn(field, ",\"\r\n")]) {
        eg__text_append_bytes(text, field, strlen(field));
        return;
    }
    eg__text_append_bytes(text, "\"", 1);
    for (; *field; field++)
        eg__text_append_bytes(text, *field == '"' ? "\"\"" : field, *field == '"' ? 2 : 1);
    eg__text_append_bytes(text, "\"", 1);
}
