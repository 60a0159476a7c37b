/* feeder.c: a batch on its way into a network. A photo that cannot be read keeps its place in the batch and
 * has a reason. */
#include "model/model.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/fail.h"
#include "base/mem.h"
#include "image/photo.h"

double eg__seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static enum eg_status check_photos(const struct eg_recipe *recipe, const char *network, struct eg_map shape,
                                   struct eg_error *err)
{
    if (!recipe)
        return eg__fail_for(err, EG_E_ARGUMENT, EG_REASON_NO_RECIPE,
                            "'%s' does not say how photos become its input", network);
    if (shape.c != 3)
        return eg__fail(err, EG_E_SHAPE, "'%s' takes %zu channels, photos have 3", network, shape.c);
    struct eg_recipe pixels;
    eg__recipe_of_pixels(recipe, &pixels);
    if (pixels.crop[0] != shape.h || pixels.crop[1] != shape.w)
        return eg__fail(err, EG_E_SHAPE, "the recipe gives %zux%zu, '%s' takes %zux%zu", pixels.crop[0],
                        pixels.crop[1], network, shape.h, shape.w);
    return EG_OK;
}

enum eg_status eg__feeder_start(const struct eg_recipe *recipe, const struct eg_graph *graph, bool is_array,
                                size_t batch, eg_pool *pool, struct eg_feeder *out, struct eg_error *err)
{
    struct eg_shape shape = graph->nodes[0].shape;
    enum eg_status status = is_array ? EG_OK : check_photos(recipe, graph->name, eg__map(shape), err);
    if (status) return status;
    struct eg_feeder feeder = {.graph = graph, .shape = shape, .batch = batch, .pool = pool};
    if (recipe) eg__recipe_of_pixels(recipe, &feeder.recipe);
    size_t n;
    bool fits = eg__mul(eg__shape_count(shape), batch, &n);
    if (fits && is_array)
        feeder.values = eg__alloc(n, sizeof *feeder.values);
    else if (fits)
        feeder.pixels = eg__alloc(n, 1);
    feeder.rows = eg__alloc(batch, sizeof *feeder.rows);
    feeder.hashes = eg__zalloc(batch, sizeof *feeder.hashes);
    feeder.reasons = eg__zalloc(batch, sizeof *feeder.reasons);
    if (!(feeder.values || feeder.pixels) || !feeder.rows || !feeder.hashes || !feeder.reasons) {
        eg__feeder_release(&feeder);
        return eg__fail_memory(err, "a batch of photos");
    }
    *out = feeder;
    return EG_OK;
}

void eg__feeder_release(struct eg_feeder *feeder)
{
    free(feeder->pixels);
    free(feeder->values);
    free(feeder->rows);
    free(feeder->hashes);
    free(feeder->reasons);
    free(feeder->thumbs);
    *feeder = (struct eg_feeder){0};
}

void eg__keep_reason(char reason[256], const struct eg_error *err)
{
    const char *cause = err->message, *quote;
    while ((quote = strstr(cause, "': "))) cause = quote + 3;
    snprintf(reason, 256, "%.255s", *cause ? cause : "cannot be read");
}

/* Photos first .. first+n-1 of the batch, all readable. */
static enum eg_status run_part(struct eg_feeder *f, struct eg_run *run, size_t first, size_t n,
                               float *const *out, struct eg_error *err)
{
    float *part[EG_INPUTS_MAX + 1];
    size_t n_outputs = eg__run_output_count(run), size = eg__shape_count(f->shape);
    assert(n_outputs <= sizeof part / sizeof *part);
    for (size_t k = 0; k < n_outputs; k++) part[k] = out[k] + first * eg__shape_count(eg__run_shape(run, k));
    struct eg_input input = {&f->recipe, f->pixels, f->values};
    char number[32];
    if (f->pixels) input.pixels += first * size;
    if (f->values) input.values += first * size;
    enum eg_status status = eg__input_forward(run, &input, n, part, err);
    for (size_t i = 0; i < n && !status; i++)
        for (size_t k = 0; k < n_outputs && !status; k++) {
            size_t length = eg__shape_count(eg__run_shape(run, k));
            if (eg__all_finite(part[k] + i * length, length)) continue;
            if (input.pixels) input.pixels += i * size;
            if (input.values) input.values += i * size;
            snprintf(number, sizeof number, "#%zu", first + i);
            const char *name = f->dataset ? f->dataset->items[f->rows[first + i]].path : number;
            status = eg__explain_infinity(f->graph, &input, name, err);
        }
    return status;
}

enum eg_status eg__feeder_run(struct eg_feeder *feeder, struct eg_run *run, size_t n, float *const *out,
                              struct eg_error *err)
{
    enum eg_status status = EG_OK;
    for (size_t first = 0, end; first < n && !status; first = end) {
        for (end = first; end < n && !feeder->reasons[end][0];) end++;
        if (end > first) {
            status = run_part(feeder, run, first, end - first, out, err);
            continue;
        }
        for (size_t k = 0; k < eg__run_output_count(run); k++) {
            size_t length = eg__shape_count(eg__run_shape(run, k));
            memset(out[k] + first * length, 0, length * sizeof **out);
        }
        end++;
    }
    return status;
}

/* ---- lists of what was skipped --------------------------------------------------- */

enum eg_status eg__skip(struct eg_skipped **list, size_t *n, const char *path, const char *reason,
                        struct eg_error *err)
{
    struct eg_skipped *grown = realloc(*list, (*n + 1) * sizeof *grown);
    if (!grown) return eg__fail_memory(err, "the list of unreadable photos");
    *list = grown;
    grown[*n] = (struct eg_skipped){strdup(path), strdup(reason)};
    if (!grown[*n].path || !grown[*n].reason) {
        free(grown[*n].path);
        free(grown[*n].reason);
        return eg__fail_memory(err, "the list of unreadable photos");
    }
    ++*n;
    return EG_OK;
}

void eg__skipped_free(struct eg_skipped *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(list[i].path);
        free(list[i].reason);
    }
    free(list);
}
