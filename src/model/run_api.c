/* run_api.c: a run as a library user makes it: from a network and names of cuts. */
#include "model/model.h"

#include "image/photo.h"

enum eg_status eg_run_create(const eg_net *net, const struct eg_run_cuts *cuts, size_t max_batch,
                             eg_pool *pool, eg_run **run, struct eg_error *err)
{
    struct eg_cut_plan plan;
    enum eg_status status = eg__cuts_plan(net, cuts, &plan, err);
    if (status) return status;
    struct eg_run_options options = {.max_batch = max_batch, .exact = cuts && cuts->exact};
    status = eg__run_create(plan.graph, plan.outputs, plan.n, &options, pool, run, err);
    eg__cuts_release(&plan);
    return status;
}

size_t eg_run_length(const eg_run *run, size_t cut) { return eg__shape_count(eg__run_shape(run, cut)); }

size_t eg_run_bytes(const eg_run *run) { return eg__run_bytes(run); }

enum eg_status eg_run_forward(eg_run *run, const float *images, size_t n, float *const *out,
                              struct eg_error *err)
{
    return eg__run_forward(run, images, n, out, err);
}

enum eg_status eg_run_forward_pixels(eg_run *run, const struct eg_recipe *recipe, const uint8_t *pixels,
                                     size_t n, float *const *out, struct eg_error *err)
{
    float scale[3], offset[3];
    eg__recipe_affine(recipe, scale, offset);
    return eg__run_forward_pixels(run, pixels, scale, offset, recipe->bgr, n, out, err);
}

void eg_run_time_steps(eg_run *run, bool on) { eg__run_time_steps(run, on); }

size_t eg_run_step_count(const eg_run *run) { return eg__run_step_count(run); }

struct eg_step eg_run_step(const eg_run *run, size_t index)
{
    struct eg_step_info info = eg__run_step(run, index);
    return (struct eg_step){info.name, info.algorithm, info.macs, info.seconds};
}

void eg_run_free(eg_run *run) { eg__run_free(run); }
