/* multipart.c: the parts of a form with files (RFC 7578).
 *
 *     --BOUNDARY CRLF  header: value CRLF ...  CRLF  bytes  CRLF--BOUNDARY ... CRLF--BOUNDARY-- */
#include <string.h>
#include <strings.h>

#include "serve/http.h"

enum { MOST_PARTS = 10000, MOST_HEADER = 8192, MOST_BOUNDARY = 70 };

/* The parameter of "form-data; name=\"a\"; filename=\"b.jpg\"", to `value`. Browsers write '"' as %22, curl
 * as \". */
static bool parameter(const char *text, const char *name, char *value, size_t room)
{
    size_t n = strlen(name), length = 0;
    const char *at = strchr(text, ';');
    while (at) {
        at += 1 + strspn(at + 1, " \t");
        bool found = !strncasecmp(at, name, n) && at[n] == '=';
        const char *equals = at + strcspn(at, "=;");
        if (*equals != '=') {
            at = *equals ? equals : NULL;
            continue;
        }
        bool quoted = equals[1] == '"';
        for (at = equals + 1 + quoted; *at && (quoted ? *at != '"' : *at != ';'); at++) {
            char c = *at;
            if (quoted && c == '\\' && (at[1] == '"' || at[1] == '\\')) c = *++at;
            if (quoted && !strncmp(at, "%22", 3)) {
                c = '"';
                at += 2;
            }
            if (found && length + 1 < room) value[length++] = c;
        }
        if (found) {
            value[length] = '\0';
            return true;
        }
        at = strchr(at, ';');
    }
    return false;
}

static const char *find(const char *at, const char *end, const char *what, size_t n)
{
    return memmem(at, (size_t)(end - at), what, n);
}

struct fields {
    char header[MOST_HEADER + 1], name[256], filename[1024], type[128];
};

/* The lines of a part's header, which is cut up. */
static void read_header(struct fields *f, struct part *part)
{
    char *next;
    for (char *line = f->header; line; line = next) {
        next = strstr(line, "\r\n");
        if (next) {
            *next = '\0';
            next += 2;
        }
        char *value = strchr(line, ':');
        if (!value) continue;
        *value++ = '\0';
        value += strspn(value, " \t");
        if (!strcasecmp(line, "content-disposition")) {
            if (parameter(value, "name", f->name, sizeof f->name)) part->name = f->name;
            if (parameter(value, "filename", f->filename, sizeof f->filename)) part->filename = f->filename;
        } else if (!strcasecmp(line, "content-type")) {
            snprintf(f->type, sizeof f->type, "%s", value);
            part->type = f->type;
        }
    }
}

/* From behind a boundary's line to the next boundary: the part; NULL: it is damaged. */
static const char *read_part(const char *at, const char *end, const char *delimiter, size_t n_delimiter,
                             struct fields *f, struct part *part)
{
    const char *blank = find(at, end, "\r\n\r\n", 4);
    if (!blank || blank - at > MOST_HEADER) return NULL;
    size_t n = (size_t)(blank - at);
    memcpy(f->header, at, n);
    f->header[n] = '\0';
    if (strlen(f->header) != n) return NULL;
    *part = (struct part){.bytes = blank + 4};
    read_header(f, part);
    const char *next = find(blank + 4, end, delimiter, n_delimiter);
    if (next) part->n_bytes = (size_t)(next - (blank + 4));
    return next;
}

static int refuse(char why[200], const char *text)
{
    snprintf(why, 200, "%s", text);
    return 400;
}

int multipart_read(const char *content_type, const void *body, size_t n,
                   bool (*take)(void *, const struct part *), void *user, char why[200])
{
    char boundary[MOST_BOUNDARY + 2], delimiter[MOST_BOUNDARY + 6];
    if (!content_type || strncasecmp(content_type, "multipart/form-data", 19) ||
        !parameter(content_type, "boundary", boundary, sizeof boundary))
        return refuse(why, "the body is no form with a boundary (multipart/form-data)");
    if (!*boundary || strlen(boundary) > MOST_BOUNDARY) return refuse(why, "the form's boundary is none");
    size_t m = (size_t)snprintf(delimiter, sizeof delimiter, "\r\n--%s", boundary);
    const char *at = body, *end = at + n;
    if (n < m - 2 || memcmp(at, delimiter + 2, m - 2))
        return refuse(why, "the form does not begin with its boundary");
    at += m - 2;
    struct fields fields;
    for (size_t parts = 0;; parts++) {
        if (end - at < 2) return refuse(why, "the form is cut off");
        if (at[0] == '-' && at[1] == '-') return 0;
        while (at < end && (*at == ' ' || *at == '\t')) at++;
        if (end - at < 2 || at[0] != '\r' || at[1] != '\n') return refuse(why, "the form is damaged");
        if (parts == MOST_PARTS) return refuse(why, "the form has more than 10,000 parts");
        struct part part;
        at = read_part(at + 2, end, delimiter, m, &fields, &part);
        if (!at) return refuse(why, "a part of the form is damaged or cut off");
        at += m;
        if (!take(user, &part)) return 0;
    }
}
