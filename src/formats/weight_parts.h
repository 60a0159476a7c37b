/* weight_parts.h: weights in several files. */
#ifndef EG_FORMATS_WEIGHT_PARTS_H
#define EG_FORMATS_WEIGHT_PARTS_H

#include "graph/weights.h"

struct eg_weight_parts {
    char *first;  /* what the whole is known by: the index, the first part, the one file */
    char **parts; /* paths, by name; n 0: `first` is all */
    size_t n;
};

/* What `path` stands for: itself; the files that "model.safetensors.index.json" lists; all of
 * "model-00001-of-00003.safetensors"; or, of a folder as Hugging Face's, the weights in it. */
EG_MUST_CHECK enum eg_status eg__weight_parts_find(const char *path, struct eg_weight_parts *parts,
                                                   struct eg_error *err);
void eg__weight_parts_release(struct eg_weight_parts *parts);

#endif
