#include "base/unicode.h"

#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

static bool is_ascii(const char *s)
{
    while (*s > 0) s++;
    return !*s;
}

static char *mapped(const char *name, utf8proc_option_t options)
{
    utf8proc_uint8_t *made;
    utf8proc_ssize_t n = utf8proc_map((const utf8proc_uint8_t *)name, 0, &made,
                                      (utf8proc_option_t)(UTF8PROC_NULLTERM | UTF8PROC_STABLE | options));
    if (n >= 0) return (char *)made;
    return n == UTF8PROC_ERROR_NOMEM ? NULL : strdup(name);
}

char *eg__nfc(const char *name) { return is_ascii(name) ? strdup(name) : mapped(name, UTF8PROC_COMPOSE); }

bool eg__same_name(const char *a, const char *b)
{
    if (!strcmp(a, b)) return true;
    if (is_ascii(a) && is_ascii(b)) return false;
    char *x = eg__nfc(a), *y = eg__nfc(b);
    bool same = x && y && !strcmp(x, y);
    free(x);
    free(y);
    return same;
}

char *eg__likeness(const char *name)
{
    char *made = mapped(
        name, (utf8proc_option_t)(UTF8PROC_COMPOSE | UTF8PROC_COMPAT | UTF8PROC_CASEFOLD | UTF8PROC_IGNORE));
    if (!made) return NULL;
    char *to = made;
    for (const char *from = made; *from; from++)
        if (*from != ' ' && *from != '\t') *to++ = *from;
    *to = '\0';
    return made;
}
