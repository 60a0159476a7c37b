/* text.h: strings that grow, and strings from outside made fit to print. */
#ifndef EG_BASE_TEXT_H
#define EG_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* Starts as {0}; after a failed append it stays `failed` and holds what it had. */
struct eg_text {
    char *chars; /* NUL-terminated once anything was appended; free() it */
    size_t length, capacity;
    bool failed;
};

__attribute__((format(printf, 2, 3))) void eg__text_append(struct eg_text *text, const char *format, ...);
void eg__text_append_bytes(struct eg_text *text, const char *bytes, size_t n);

/* A file name or other foreign string as valid UTF-8 on one line: control characters and
 * bytes that are not UTF-8 become \xNN, a backslash stays. malloc'd; NULL: no memory. */
char *eg__printable(const char *foreign);

/* Length of the valid UTF-8 sequence at s (1 to 4), 0 if it is none. */
size_t eg__utf8_length(const char *s);

#endif
