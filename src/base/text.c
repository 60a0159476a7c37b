#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

void eg__text_append_bytes(struct eg_text *text, const char *bytes, size_t n)
{
    if (text->failed || !eg__grow(&text->chars, &text->capacity, text->length + n + 1, 1)) {
        text->failed = true;
        return;
    }
    if (n) memcpy(text->chars + text->length, bytes, n);
    text->length += n;
    text->chars[text->length] = '\0';
}

void eg__text_append(struct eg_text *text, const char *format, ...)
{
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int n = vsnprintf(NULL, 0, format, arguments);
    if (n < 0 || text->failed || !eg__grow(&text->chars, &text->capacity, text->length + (size_t)n + 1, 1)) {
        text->failed = true;
    } else {
        vsnprintf(text->chars + text->length, (size_t)n + 1, format, again);
        text->length += (size_t)n;
    }
    va_end(again);
    va_end(arguments);
}

size_t eg__utf8_length(const char *s)
{
    const unsigned char *u = (const unsigned char *)s;
    if (u[0] < 0x80) return u[0] ? 1 : 0;
    size_t n = u[0] >= 0xf0 ? 4 : u[0] >= 0xe0 ? 3 : 2;
    if (u[0] < 0xc2 || u[0] > 0xf4) return 0;
    for (size_t i = 1; i < n; i++)
        if ((u[i] & 0xc0) != 0x80) return 0;
    if (u[0] == 0xe0 && u[1] < 0xa0) return 0; /* overlong */
    if (u[0] == 0xed && u[1] > 0x9f) return 0; /* surrogate */
    if (u[0] == 0xf0 && u[1] < 0x90) return 0; /* overlong */
    if (u[0] == 0xf4 && u[1] > 0x8f) return 0; /* past U+10FFFF */
    return n;
}

char *eg__printable(const char *foreign)
{
    struct eg_text text = {0};
    eg__text_append_bytes(&text, "", 0);
    while (*foreign) {
        size_t n = eg__utf8_length(foreign);
        unsigned char first = (unsigned char)*foreign;
        bool control =
            first < 0x20 || first == 0x7f || (n == 2 && first == 0xc2 && (unsigned char)foreign[1] < 0xa0);
        if (n && !control) {
            eg__text_append_bytes(&text, foreign, n);
            foreign += n;
        } else {
            eg__text_append(&text, "\\x%02x", first);
            foreign++;
        }
    }
    return text.failed ? NULL : text.chars;
}
