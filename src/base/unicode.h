/* unicode.h: when two names are one, and when they only look alike. */
#ifndef EG_BASE_UNICODE_H
#define EG_BASE_UNICODE_H

#include <stdbool.h>

/* The name in normal form C, as most systems write it (macOS takes letters and their accents
 * apart); what is not UTF-8 stays as it is. malloc'd; NULL: no memory. */
char *eg__nfc(const char *name);
/* Equal in normal form C. */
bool eg__same_name(const char *a, const char *b);
/* What names that look alike have in common: without case, blanks and the variants of letters.
 * malloc'd; NULL: no memory. */
char *eg__likeness(const char *name);

#endif
