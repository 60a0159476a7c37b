/* class_rules.c: classes by choice as a model's card has them. */
#include <jansson.h>
#include <stdlib.h>

#include "base/fail.h"
#include "base/mem.h"
#include "flow/class_rules.h"

static json_t *names(const char *const *list, size_t n)
{
    json_t *json = json_array();
    for (size_t i = 0; i < n; i++) json_array_append_new(json, json_string(list[i]));
    return json;
}

enum eg_status eg__class_rules_write(const struct eg_class_choice *choice, char **text, struct eg_error *err)
{
    *text = NULL;
    if (!choice->n_keep && !choice->n_drop && !choice->n_renames) return EG_OK;
    json_t *renames = json_array();
    for (size_t i = 0; i < choice->n_renames; i++)
        json_array_append_new(renames, json_pack("[s,s]", choice->renames[i].from, choice->renames[i].to));
    json_t *json = json_pack("{s:o,s:o,s:o}", "keep", names(choice->keep, choice->n_keep), "drop",
                             names(choice->drop, choice->n_drop), "rename", renames);
    *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    return *text ? EG_OK : eg__fail(err, EG_E_FORMAT, "class names are not UTF-8 (rename them)");
}

static const char *const *read_names(json_t *list, size_t *n)
{
    const size_t count = json_array_size(list);
    const char **names = eg__alloc(count + 1, sizeof *names);
    *n = 0;
    for (size_t i = 0; names && i < count; i++)
        if (json_is_string(json_array_get(list, i)))
            names[(*n)++] = json_string_value(json_array_get(list, i));
    return names;
}

enum eg_status eg__class_rules_read(const char *text, struct eg_class_rules *rules, struct eg_error *err)
{
    *rules = (struct eg_class_rules){0};
    if (!text) return EG_OK;
    struct eg_class_choice *choice = &rules->choice;
    json_t *json = rules->json = json_loads(text, 0, NULL), *list = json_object_get(json, "rename");
    const size_t n = json_array_size(list);
    struct eg_class_rename *renames = eg__alloc(n + 1, sizeof *renames);
    choice->keep = read_names(json_object_get(json, "keep"), &choice->n_keep);
    choice->drop = read_names(json_object_get(json, "drop"), &choice->n_drop);
    choice->renames = renames;
    for (size_t i = 0; renames && i < n; i++) {
        const char *from = json_string_value(json_array_get(json_array_get(list, i), 0)),
                   *to = json_string_value(json_array_get(json_array_get(list, i), 1));
        if (from && to) renames[choice->n_renames++] = (struct eg_class_rename){from, to};
    }
    if (json && renames && choice->keep && choice->drop) return EG_OK;
    eg__class_rules_release(rules);
    return eg__fail(err, EG_E_FORMAT, "the model's choice of classes cannot be read: '%.80s'", text);
}

void eg__class_rules_release(struct eg_class_rules *rules)
{
    free((void *)rules->choice.keep);
    free((void *)rules->choice.drop);
    free((void *)rules->choice.renames);
    json_decref(rules->json);
    *rules = (struct eg_class_rules){0};
}
