/* Any bytes as a form: the line of its Content-Type, then its body. */
#include <stdlib.h>
#include <string.h>

#include "serve/http.h"

struct bounds {
    const char *begin, *end;
    size_t sum;
};

static bool take(void *user, const struct part *part)
{
    const struct bounds *within = user;
    const char *bytes = part->bytes;
    if (bytes < within->begin || bytes + part->n_bytes > within->end) abort();
    return !part->name || strcmp(part->name, "stop") != 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char why[200], *type;
    const uint8_t *line = size ? memchr(data, '\n', size) : NULL;
    if (!line || !(type = strndup((const char *)data, (size_t)(line - data)))) return 0;
    struct bounds within = {(const char *)line + 1, (const char *)data + size, 0};
    int status = multipart_read(type, within.begin, (size_t)(within.end - within.begin), take, &within, why);
    if (status && (status < 400 || status > 599 || !*why)) abort();
    free(type);
    return 0;
}
