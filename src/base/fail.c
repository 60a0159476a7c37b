#define EG_BASE_FAIL_C
#include "base/fail.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *eg_version(void) { return EG_VERSION; }

const char *eg_status_text(enum eg_status status)
{
    switch (status) {
#define XX(name, code, text)                                                                                 \
    case EG_##name: return text;
        EG_STATUS_MAP(XX)
#undef XX
    }
    return "unknown status";
}

const char *eg_reason_name(enum eg_reason reason)
{
    switch (reason) {
#define XX(name, code, text)                                                                                 \
    case EG_REASON_##name: return #name;
        EG_REASON_MAP(XX)
#undef XX
    }
    return "OTHER";
}

/* What the message quotes first. An apostrophe within a name is followed by a letter. */
static void find_subject(struct eg_error *err)
{
    const char *first = err->message;
    err->subject[0] = '\0';
    while ((first = strchr(first, '\'')) && first > err->message && isalnum((unsigned char)first[-1]))
        first++;
    if (!first) return;
    const char *last = ++first;
    while ((last = strchr(last, '\'')) && isalnum((unsigned char)last[1])) last++;
    if (last) snprintf(err->subject, sizeof err->subject, "%.*s", (int)(last - first), first);
}

static void fill(struct eg_error *err, enum eg_status status, enum eg_reason reason, const char *format,
                 va_list arguments)
{
    err->status = status;
    err->reason = reason;
    vsnprintf(err->message, sizeof err->message, format, arguments);
    find_subject(err);
}

enum eg_status eg__fail(struct eg_error *err, enum eg_status status, const char *format, ...)
{
    if (err) {
        va_list arguments;
        va_start(arguments, format);
        fill(err, status, EG_REASON_OTHER, format, arguments);
        va_end(arguments);
    }
    return status;
}

enum eg_status eg__fail_for(struct eg_error *err, enum eg_status status, enum eg_reason reason,
                            const char *format, ...)
{
    if (err) {
        va_list arguments;
        va_start(arguments, format);
        fill(err, status, reason, format, arguments);
        va_end(arguments);
    }
    return status;
}

enum eg_status eg__fail_memory(struct eg_error *err, const char *what)
{
    return eg__fail(err, EG_E_MEMORY, "out of memory for %s", what);
}

enum eg_status eg__fail_within(struct eg_error *err, enum eg_status status, const char *format, ...)
{
    if (!err) return status;
    char inner[sizeof err->message];
    memcpy(inner, err->message, sizeof inner);
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(err->message, sizeof err->message, format, arguments);
    va_end(arguments);
    size_t used = n < 0 ? 0 : (size_t)n < sizeof err->message ? (size_t)n : sizeof err->message - 1;
    if (snprintf(err->message + used, sizeof err->message - used, ": %s", inner) < 0)
        err->message[used] = '\0';
    return status;
}
