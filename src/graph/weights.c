/* weights.c: looking up and freeing the named tensors of a file. */
#include "graph/weights.h"

#include <stdlib.h>
#include <string.h>

const struct eg_tensor *eg__weights_find(const struct eg_weights *weights, const char *name)
{
    for (size_t i = 0; i < weights->n_tensors; i++)
        if (!strcmp(weights->tensors[i].name, name)) return &weights->tensors[i];
    return NULL;
}

void eg__weights_free(struct eg_weights *weights)
{
    if (!weights) return;
    if (weights->release_owner) weights->release_owner(weights->owner);
    free(weights->tensors);
    free(weights->parts);
    free(weights->path);
    free(weights);
}
