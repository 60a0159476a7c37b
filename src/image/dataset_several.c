/* A photo that is listed more than once, with other labels: one photo with several. */
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/text.h"
#include "image/dataset_build.h"

/* "cat;indoors" of the classes of items first .. end-1, which are the same photo. */
static enum eg_status join_labels(struct eg_dataset_builder *builder, size_t first, size_t end,
                                  int32_t *label, struct eg_error *err)
{
    const struct eg_dataset *d = builder->dataset;
    struct eg_text text = {0};
    for (size_t i = first; i < end; i++) {
        const int32_t one = d->items[i].label;
        bool known = one < 0;
        for (size_t j = first; j < i; j++) known = known || d->items[j].label == one;
        if (!known)
            eg__text_append(&text, "%s%s", text.length ? builder->options->several : "", d->classes[one]);
    }
    *label = -1;
    enum eg_status status = text.failed ? eg__fail_memory(err, "labels") : EG_OK;
    if (!status && text.length) status = eg__dataset_class(builder, text.chars, label, err);
    free(text.chars);
    return status;
}

/* The last of its listings: those before are gone when it is asked about. */
static bool keep_last(void *user, size_t index)
{
    const struct eg_dataset *d = user;
    return index + 1 == d->n_items || strcmp(d->items[index].file, d->items[index + 1].file) != 0;
}

enum eg_status eg__dataset_join_listed(struct eg_dataset_builder *builder, struct eg_error *err)
{
    struct eg_dataset *d = builder->dataset;
    bool any = false;
    for (size_t i = 0, end; i < d->n_items; i = end) {
        for (end = i + 1; end < d->n_items && !strcmp(d->items[end].file, d->items[i].file);) end++;
        int32_t label;
        if (end == i + 1) continue;
        enum eg_status status = join_labels(builder, i, end, &label, err);
        if (status) return status;
        for (size_t j = i; j < end; j++) d->items[j].label = label;
        any = true;
    }
    if (any) eg__dataset_keep(d, keep_last, d);
    return EG_OK;
}
