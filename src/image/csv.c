/* csv.c: a dataset as CSV (RFC 4180): a header naming the columns path and label, in any order
 * and among others; line ends CRLF or LF; a byte-order mark is skipped. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "base/text.h"
#include "image/dataset_build.h"

struct csv {
    const char *at, *end;
    size_t line; /* of the record that is read, from 1 */
    size_t next_line;
    struct eg_text fields; /* NUL after each */
    size_t *starts, n_fields, start_capacity;
};

/* One field, the separator behind it left in place. */
static enum eg_status read_field(struct csv *csv, struct eg_error *err)
{
    if (!eg__grow(&csv->starts, &csv->start_capacity, csv->n_fields + 1, sizeof *csv->starts))
        return eg__fail_memory(err, "a CSV file");
    csv->starts[csv->n_fields++] = csv->fields.length;
    bool quoted = csv->at < csv->end && *csv->at == '"';
    if (quoted) csv->at++;
    while (csv->at < csv->end) {
        char c = *csv->at;
        if (!c) return eg__fail(err, EG_E_FORMAT, "line %zu holds a zero byte", csv->next_line);
        if (quoted && c == '"') {
            csv->at++;
            if (csv->at == csv->end || *csv->at != '"') {
                quoted = false;
                break;
            }
        } else if (!quoted &&
                   (c == ',' || c == '\n' || (c == '\r' && csv->end - csv->at > 1 && csv->at[1] == '\n'))) {
            break;
        }
        if (c == '\n') csv->next_line++;
        eg__text_append_bytes(&csv->fields, &c, 1);
        csv->at++;
    }
    eg__text_append_bytes(&csv->fields, "", 1);
    if (csv->fields.failed) return eg__fail_memory(err, "a CSV file");
    if (quoted) return eg__fail(err, EG_E_FORMAT, "a quote opened in line %zu is never closed", csv->line);
    return EG_OK;
}

/* The next record that is not an empty line; n_fields 0 at the end. */
static enum eg_status read_record(struct csv *csv, struct eg_error *err)
{
    do {
        csv->n_fields = csv->fields.length = 0;
        csv->line = csv->next_line;
        while (csv->at < csv->end) {
            enum eg_status status = read_field(csv, err);
            if (status) return status;
            if (csv->at < csv->end && *csv->at == ',') {
                csv->at++;
                if (csv->at < csv->end) continue;
                status = read_field(csv, err); /* the file ends behind a comma */
                if (status) return status;
            }
            if (csv->at < csv->end && *csv->at == '\r') csv->at++;
            if (csv->at < csv->end && *csv->at != '\n')
                return eg__fail(err, EG_E_FORMAT, "line %zu: text behind a closing quote", csv->next_line);
            if (csv->at < csv->end) csv->at++;
            csv->next_line++;
            break;
        }
    } while (csv->n_fields == 1 && !csv->fields.chars[0]);
    return EG_OK;
}

static const char *field(const struct csv *csv, size_t index)
{
    return csv->fields.chars + csv->starts[index];
}

/* Without the blanks around it, in place: "bird " is no class of its own. */
static char *trimmed(const struct csv *csv, size_t index)
{
    char *text = csv->fields.chars + csv->starts[index];
    text += strspn(text, " \t");
    size_t n = strlen(text);
    while (n && strchr(" \t\r", text[n - 1])) text[--n] = '\0';
    return text;
}

/* Of the column asked for; empty: NAN. */
static enum eg_status read_number(const struct csv *csv, size_t column, double *number, struct eg_error *err)
{
    const char *text = trimmed(csv, column);
    char *end;
    *number = (double)NAN;
    if (!*text) return EG_OK;
    *number = strtod(text, &end);
    if (end != text && !*end && isfinite(*number)) return EG_OK;
    return eg__fail(err, EG_E_FORMAT, "line %zu: '%.40s' is no number", csv->line, text);
}

/* Where a column is; n_columns: nowhere. */
static size_t find_column(const struct csv *csv, const char *name)
{
    for (size_t i = 0; i < csv->n_fields; i++)
        if (!strcmp(trimmed(csv, i), name)) return i;
    return csv->n_fields;
}

static enum eg_status read_rows(struct csv *csv, struct eg_dataset_builder *builder, struct eg_error *err)
{
    enum eg_status status = read_record(csv, err);
    if (status) return status;
    const char *wanted = builder->options ? builder->options->number : NULL;
    const size_t n_columns = csv->n_fields, path = find_column(csv, "path"),
                 label = find_column(csv, "label"), number = wanted ? find_column(csv, wanted) : n_columns;
    if (path < n_columns && wanted && number == n_columns)
        return eg__fail(err, EG_E_FORMAT, "its first line names no column '%.100s'", wanted);
    if (path == n_columns || (label == n_columns && !wanted))
        return eg__fail(err, EG_E_FORMAT, "its first line must be 'path,label'");
    for (;;) {
        status = read_record(csv, err);
        if (status || !csv->n_fields) return status;
        if (csv->n_fields != n_columns)
            return eg__fail(err, EG_E_FORMAT, "line %zu has %zu fields, the first line %zu", csv->line,
                            csv->n_fields, n_columns);
        if (!*field(csv, path)) return eg__fail(err, EG_E_FORMAT, "line %zu has no path", csv->line);
        if (eg__dataset_excludes(builder, field(csv, path))) {
            status = eg__dataset_ignore(builder, "excluded", NULL, field(csv, path), err);
            if (status) return status;
            continue;
        }
        int32_t class = -1;
        const char *name = label < n_columns ? trimmed(csv, label) : "";
        double value = (double)NAN;
        if (wanted) status = read_number(csv, number, &value, err);
        if (!status && *name) status = eg__dataset_class(builder, name, &class, err);
        if (!status) status = eg__dataset_add(builder, field(csv, path), class, err);
        if (!status) builder->dataset->items[builder->dataset->n_items - 1].number = value;
        if (status) return status;
    }
}

enum eg_status eg__scan_csv(struct eg_dataset_builder *builder, const char *text, size_t n,
                            struct eg_error *err)
{
    if (n >= 3 && !memcmp(text, "\xef\xbb\xbf", 3)) {
        text += 3;
        n -= 3;
    }
    struct csv csv = {.at = text, .end = n ? text + n : text, .next_line = 1};
    enum eg_status status = read_rows(&csv, builder, err);
    free(csv.fields.chars);
    free(csv.starts);
    return status;
}
