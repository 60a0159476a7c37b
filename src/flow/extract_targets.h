/* extract_targets.h: several labels a photo, or a number, in the feature file. Private to flow's extraction.
 */
#ifndef EG_FLOW_EXTRACT_TARGETS_H
#define EG_FLOW_EXTRACT_TARGETS_H

#include "flow/flow.h"

/* Classes are the parts of the data's class names; a photo's label is its only one, or -1. */
struct eg_extract_labels {
    char **classes;
    size_t n_classes;
    int32_t *labels; /* [n_items] */
    uint8_t *member; /* [classes of the data][n_classes] */
};
EG_MUST_CHECK enum eg_status eg__extract_split(const struct eg_dataset *images, const char *separator,
                                               struct eg_extract_labels *labels, struct eg_error *err);
void eg__extract_labels_free(struct eg_extract_labels *labels);

/* /label_sets or /targets, as options ask, of a file whose rows are done. */
EG_MUST_CHECK enum eg_status eg__extract_put_targets(const char *path, const struct eg_dataset *images,
                                                     const struct eg_extract_options *options,
                                                     struct eg_error *err);

#endif
