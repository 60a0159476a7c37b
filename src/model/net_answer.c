/* What kind of answer a network gives, and from where on each of several labels is said. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "model/model.h"

enum eg_answer_kind eg_net_answer(const eg_net *net)
{
    const char *said = net->card.answer;
    if (!said) return EG_ANSWER_CLASS;
    return strcmp(said, "value") ? EG_ANSWER_LABELS : EG_ANSWER_VALUE;
}

float eg_net_threshold(const eg_net *net, size_t index)
{
    return net->thresholds && index < net->n_classes ? net->thresholds[index] : NAN;
}

enum eg_status eg__net_check_class(const struct eg_net *net, const char *what, struct eg_error *err)
{
    if (eg_net_answer(net) == EG_ANSWER_CLASS) return EG_OK;
    return eg__fail(err, EG_E_UNSUPPORTED, "'%s' answers with %s: %s is for one class a photo",
                    eg_net_name(net), eg_net_answer(net) == EG_ANSWER_VALUE ? "a number" : "several labels",
                    what);
}

enum eg_status eg__net_read_thresholds(struct eg_net *net, struct eg_error *err)
{
    if (eg_net_answer(net) != EG_ANSWER_LABELS) return EG_OK;
    const size_t n = net->n_classes;
    json_t *list = net->card.thresholds ? json_loads(net->card.thresholds, 0, NULL) : NULL;
    net->thresholds = eg__alloc(n + 1, sizeof *net->thresholds);
    bool fits = net->thresholds && json_array_size(list) == n;
    for (size_t k = 0; k < n && fits; k++) {
        fits = json_is_number(json_array_get(list, k));
        net->thresholds[k] = (float)json_number_value(json_array_get(list, k));
    }
    json_decref(list);
    return fits ? EG_OK
                : eg__fail(err, EG_E_FORMAT,
                           "'%s' has no threshold for each of its %zu labels (train it anew)",
                           eg_net_name(net), n);
}
