/* Names of classes that are several in one: "cat;indoors". */
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "base/unicode.h"
#include "sample/targets.h"

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The next part of *at without the blanks around it; NULL: no more, or an empty one (*length 0). */
static const char *next_part(const char **at, const char *separator, size_t *length)
{
    const char *from = *at, *end = strstr(from, separator);
    if (!end) end = from + strlen(from);
    *at = *end ? end + strlen(separator) : NULL;
    while (from < end && (*from == ' ' || *from == '\t')) from++;
    while (end > from && (end[-1] == ' ' || end[-1] == '\t')) end--;
    *length = (size_t)(end - from);
    return from;
}

static bool is_known(char *const *list, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (eg__same_name(list[i], name)) return true;
    return false;
}

static enum eg_status collect(const char *name, const char *separator, char ***list, size_t *n, size_t *room,
                              struct eg_error *err)
{
    for (const char *at = name; at;) {
        size_t length;
        const char *part = next_part(&at, separator, &length);
        if (!length) continue;
        char *copy = strndup(part, length);
        if (!copy || !eg__grow(list, room, *n + 1, sizeof **list)) {
            free(copy);
            return eg__fail_memory(err, "labels");
        }
        if (is_known(*list, *n, copy))
            free(copy);
        else
            (*list)[(*n)++] = copy;
    }
    return EG_OK;
}

static void mark(const char *name, const char *separator, char *const *list, size_t n, uint8_t *member)
{
    for (const char *at = name; at;) {
        size_t length;
        const char *part = next_part(&at, separator, &length);
        char *copy = length ? strndup(part, length) : NULL;
        for (size_t k = 0; copy && k < n; k++)
            if (eg__same_name(list[k], copy)) member[k] = 1;
        free(copy);
    }
}

enum eg_status eg__names_split(const char *const *names, size_t n, const char *separator, char ***parts,
                               size_t *n_parts, uint8_t **member, struct eg_error *err)
{
    char **list = NULL;
    size_t count = 0, room = 0;
    if (!separator) separator = ";";
    if (!*separator) return eg__fail(err, EG_E_ARGUMENT, "the separator of labels is empty");
    enum eg_status status = EG_OK;
    for (size_t i = 0; i < n && !status; i++)
        status = collect(names[i], separator, &list, &count, &room, err);
    if (!status && count) qsort(list, count, sizeof *list, compare_names);
    uint8_t *made = status ? NULL : eg__zalloc(n + 1, count + 1);
    if (!status && !made) status = eg__fail_memory(err, "labels");
    if (status) {
        eg__class_names_free(list, count);
        return status;
    }
    for (size_t i = 0; i < n; i++) mark(names[i], separator, list, count, made + i * count);
    *parts = list;
    *n_parts = count;
    *member = made;
    return EG_OK;
}
