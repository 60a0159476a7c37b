#define EG_BASE_FAIL_C
#include "base/fail.h"

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

enum eg_status eg__fail(struct eg_error *err, enum eg_status status, const char *format, ...)
{
    if (err) {
        va_list arguments;
        va_start(arguments, format);
        err->status = status;
        vsnprintf(err->message, sizeof err->message, format, arguments);
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
    snprintf(err->message + used, sizeof err->message - used, ": %s", inner);
    return status;
}
