/* class_rules.h: which classes a model was trained on, and under which names, in its card. */
#ifndef EG_FLOW_CLASS_RULES_H
#define EG_FLOW_CLASS_RULES_H

#include <jansson.h>

#include "engraft.h"

/* *text NULL: nothing was chosen; else free() it. */
EG_MUST_CHECK enum eg_status eg__class_rules_write(const struct eg_class_choice *choice, char **text,
                                                   struct eg_error *err);

struct eg_class_rules {
    struct eg_class_choice choice;
    json_t *json; /* owns the names */
};
/* text NULL: nothing was chosen. EG_E_FORMAT. */
EG_MUST_CHECK enum eg_status eg__class_rules_read(const char *text, struct eg_class_rules *rules,
                                                  struct eg_error *err);
void eg__class_rules_release(struct eg_class_rules *rules);

#endif
