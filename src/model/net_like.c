/* net_like.c: one network more that sees what another sees. */
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "image/photo.h"
#include "model/model.h"

/* The other's pixels, its own normalisation. */
static char *recipe_like(const struct eg_recipe *own, const struct eg_recipe *like)
{
    struct eg_recipe made = *like;
    made.bgr = own->bgr;
    made.scale = own->scale;
    memcpy(made.mean, own->mean, sizeof made.mean);
    memcpy(made.std, own->std, sizeof made.std);
    return eg__recipe_json(&made);
}

enum eg_status eg_net_load_like(const char *model, const struct eg_net_options *options, const eg_net *like,
                                eg_net **out, struct eg_error *err)
{
    struct eg_net_options how = {.size = sizeof how, .folders = options->folders, .trunk = options->trunk};
    eg_net *own = NULL;
    enum eg_status status = eg_net_load(model, &how, &own, err);
    if (status) return status;
    char *recipe = NULL;
    if (!own->has_recipe || !like->has_recipe)
        status = eg__fail_for(err, EG_E_ARGUMENT, EG_REASON_NO_RECIPE,
                              "'%s' does not say how photos become its input",
                              eg_net_name(own->has_recipe ? like : own));
    else if (!(recipe = recipe_like(&own->recipe, &like->recipe)))
        status = eg__fail_memory(err, "a recipe");
    eg_net_free(own);
    how.preprocess = recipe;
    if (!status) status = eg_net_load(model, &how, out, err);
    free(recipe);
    return status;
}
