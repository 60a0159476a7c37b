#include "base/versioned.h"

#include <stdlib.h>
#include <string.h>

#include "base/fail.h"

enum eg_status eg__options(void *own, size_t own_size, const void *given, struct eg_error *err)
{
    size_t size = 0;
    if (given) memcpy(&size, given, sizeof size);
    if (!size) size = own_size;
    if (size < sizeof size)
        return eg__fail(err, EG_E_ARGUMENT, "options of %zu bytes: their member size was not set", size);
    const char *bytes = given;
    for (size_t i = own_size; given && i < size; i++)
        if (bytes[i])
            return eg__fail_for(err, EG_E_UNSUPPORTED, EG_REASON_OPTION_UNKNOWN,
                                "an option that version %s of the library does not have is asked for",
                                EG_VERSION);
    memset(own, 0, own_size);
    if (given) memcpy(own, given, size < own_size ? size : own_size);
    memcpy(own, &own_size, sizeof own_size);
    return EG_OK;
}

enum eg_status eg__hand_out(const void *report, size_t size, void *out, struct eg_error *err)
{
    void *copy = malloc(size);
    if (!copy) return eg__fail_memory(err, "a report");
    memcpy(copy, report, size);
    memcpy(out, &copy, sizeof copy);
    return EG_OK; /* cppcheck-suppress memleak; it is the caller's now */
}
