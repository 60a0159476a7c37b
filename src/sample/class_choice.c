/* Classes by choice: some left out, some under another name, several under one. */
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "base/unicode.h"
#include "sample/sample.h"

static bool is_listed(const char *const *list, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (eg__same_name(list[i], name)) return true;
    return false;
}

/* The name it learns under; NULL: left out. Lists may have a class by either name. */
static const char *chosen_name(const struct eg_class_choice *choice, const char *name)
{
    const char *own = name;
    for (size_t i = 0; i < choice->n_renames; i++)
        if (eg__same_name(choice->renames[i].from, name)) own = choice->renames[i].to;
    if (is_listed(choice->drop, choice->n_drop, name) || is_listed(choice->drop, choice->n_drop, own))
        return NULL;
    if (!choice->n_keep || is_listed(choice->keep, choice->n_keep, name) ||
        is_listed(choice->keep, choice->n_keep, own))
        return own;
    return NULL;
}

static enum eg_status check_name(const struct eg_class_choice *choice, const char *name, bool new_too,
                                 const char *const *classes, size_t n_classes, struct eg_error *err)
{
    if (is_listed(classes, n_classes, name)) return EG_OK;
    for (size_t i = 0; new_too && i < choice->n_renames; i++)
        if (eg__same_name(choice->renames[i].to, name)) return EG_OK;
    return eg__fail(err, EG_E_NOT_FOUND, "there is no class '%s' (the first of the %zu classes is '%s')",
                    name, n_classes, n_classes ? classes[0] : "");
}

enum eg_status eg__class_choice_check(const struct eg_class_choice *choice, const char *const *classes,
                                      size_t n_classes, struct eg_error *err)
{
    enum eg_status status = EG_OK;
    for (size_t i = 0; i < choice->n_keep && !status; i++)
        status = check_name(choice, choice->keep[i], true, classes, n_classes, err);
    for (size_t i = 0; i < choice->n_drop && !status; i++)
        status = check_name(choice, choice->drop[i], true, classes, n_classes, err);
    for (size_t i = 0; i < choice->n_renames && !status; i++)
        status = check_name(choice, choice->renames[i].from, false, classes, n_classes, err);
    return status;
}

enum eg_status eg__class_choose(const struct eg_class_choice *choice, const char *const *classes,
                                size_t n_classes, int32_t *labels, size_t n, const char ***names,
                                size_t *n_names, struct eg_error *err)
{
    const char **list = eg__alloc(n_classes + 1, sizeof *list);
    int32_t *map = eg__alloc(n_classes + 1, sizeof *map);
    if (!list || !map) {
        free(list);
        free(map);
        return eg__fail_memory(err, "classes");
    }
    size_t count = 0;
    for (size_t k = 0; k < n_classes; k++) {
        const char *name = chosen_name(choice, classes[k]);
        size_t at = 0;
        while (name && at < count && !eg__same_name(list[at], name)) at++;
        if (name && at == count) list[count++] = name;
        map[k] = name ? (int32_t)at : -1;
    }
    for (size_t i = 0; i < n; i++) labels[i] = labels[i] < 0 ? labels[i] : map[labels[i]];
    free(map);
    *names = list;
    *n_names = count;
    return EG_OK;
}
