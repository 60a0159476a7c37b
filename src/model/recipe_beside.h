/* recipe_beside.h: how a network's photos were prepared, from the files beside its weights. */
#ifndef EG_MODEL_RECIPE_BESIDE_H
#define EG_MODEL_RECIPE_BESIDE_H

#include "engraft.h"

/* The recipe that preprocessor_config.json or config.json in the folder of `weights` gives; which of them,
 * or NULL: neither does. */
const char *eg__recipe_beside(const char *weights, struct eg_recipe *recipe);

#endif
