/* forward.c: a planned run at work: values to addresses, steps in order. Allocates nothing. */
#include <math.h>
#include <stdlib.h>
#include <time.h>

#include "base/fail.h"
#include "base/pool.h"
#include "net/plan.h"

struct eg_view eg__run_view(const struct eg_run *run, uint32_t value)
{
    const struct eg_value *v = &run->values[value], *root = &run->values[v->root];
    union {
        const float *read;
        float *write; /* only values a step makes are written */
    } data = {NULL};
    switch (root->place) {
    case EG_PLACE_NONE: break;
    case EG_PLACE_INPUT:
        data.read = run->images;
        if (run->pixels && run->input_float) data.write = run->arena + run->input_offset;
        break;
    case EG_PLACE_ARENA: data.write = run->arena + root->offset; break;
    case EG_PLACE_USER: data.write = run->out[root->offset]; break;
    }
    const size_t before = root->whole ? run->first * root->times * eg__shape_count(root->shape) : 0;
    return (struct eg_view){
        .data = data.write ? data.write + before + v->first : NULL,
        .h = eg__map(v->shape).h,
        .w = eg__map(v->shape).w,
        .c = eg__map(v->shape).c,
        .ld = eg__shape_count(root->shape) / (eg__map(v->shape).h * eg__map(v->shape).w),
    };
}

struct eg_epilogue eg__step_epilogue(const struct eg_run_step *step)
{
    return (struct eg_epilogue){.act = step->act, .a = step->act_a, .b = step->act_b};
}

static double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void run_steps(struct eg_run *run, size_t from, size_t to, size_t n)
{
    double before = run->timed ? seconds_now() : 0;
    for (size_t i = from; i < to; i++) {
        struct eg_run_step *step = &run->steps[i];
        run->scratch = run->arena + step->scratch_offset;
        run->scratch_thread = step->scratch_thread;
        run->shared = run->scratch + run->threads * step->scratch_thread;
        step->run(run, step, n * run->values[run->values[step->output].root].times);
        if (!run->timed) continue;
        double now = seconds_now();
        step->info.seconds += now - before;
        before = now;
    }
}

static void run_all(struct eg_run *run, size_t n)
{
    for (size_t i = 0; i < run->n_steps; i++) run->steps[i].info.seconds = 0;
    for (run->first = 0; run->chunk_steps && run->first < n; run->first += run->chunk_images) {
        size_t left = n - run->first;
        run_steps(run, 0, run->chunk_steps, left < run->chunk_images ? left : run->chunk_images);
    }
    run->first = 0;
    run_steps(run, run->chunk_steps, run->n_steps, n);
}

static enum eg_status check_batch(const struct eg_run *run, size_t n, struct eg_error *err)
{
    if (n <= run->max_batch) return EG_OK;
    return eg__fail(err, EG_E_ARGUMENT, "a batch of %zu images, the run was planned for %zu", n,
                    run->max_batch);
}

/* The run and its pool are this call's, or it is told that they are another's. */
static enum eg_status begin(struct eg_run *run, size_t n, bool *claimed, struct eg_error *err)
{
    enum eg_status status = check_batch(run, n, err);
    if (status) return status;
    if (atomic_exchange(&run->busy, true))
        return eg__fail(err, EG_E_ARGUMENT,
                        "the run is at work for another thread (give each thread a run of its own)");
    status = eg__pool_claim(run->pool, claimed, err);
    if (status) atomic_store(&run->busy, false);
    return status;
}

static void end(struct eg_run *run, bool claimed)
{
    eg__pool_release(run->pool, claimed);
    atomic_store(&run->busy, false);
}

enum eg_status eg__run_forward(struct eg_run *run, const float *images, size_t n, float *const *out,
                               struct eg_error *err)
{
    bool claimed;
    enum eg_status status = begin(run, n, &claimed, err);
    if (status) return status;
    run->images = images;
    run->pixels = NULL;
    run->out = out;
    if (n) run_all(run, n);
    end(run, claimed);
    return EG_OK;
}

enum eg_status eg__run_forward_pixels(struct eg_run *run, const uint8_t *pixels, const float scale[3],
                                      const float offset[3], bool bgr, size_t n, float *const *out,
                                      struct eg_error *err)
{
    bool claimed;
    const struct eg_map in = eg__map(run->values[0].shape);
    if (in.c != 3) return eg__fail(err, EG_E_ARGUMENT, "the network takes %zu channels, a photo has 3", in.c);
    enum eg_status status = begin(run, n, &claimed, err);
    if (status) return status;
    for (unsigned c = 0; c < 3; c++) {
        run->pixel_byte[c] = (uint8_t)(bgr ? 2 - c : c);
        for (unsigned i = 0; i < 256; i++) run->pixel_table[c][i] = fmaf((float)i, scale[c], offset[c]);
    }
    run->images = NULL;
    run->pixels = pixels;
    run->out = out;
    if (run->input_float) {
        float *to = run->arena + run->input_offset;
        for (size_t i = 0; i < n * in.h * in.w; i++, pixels += 3)
            for (unsigned c = 0; c < 3; c++) *to++ = run->pixel_table[c][pixels[run->pixel_byte[c]]];
    }
    if (n) run_all(run, n);
    end(run, claimed);
    return EG_OK;
}

size_t eg__run_output_count(const struct eg_run *run) { return run->n_outputs; }

struct eg_shape eg__run_shape(const struct eg_run *run, size_t output)
{
    return run->values[run->outputs[output]].shape;
}

size_t eg__run_bytes(const struct eg_run *run)
{
    return (run->arena_count + run->zeros_count) * sizeof(float) + run->weights_bytes;
}

void eg__run_time_steps(struct eg_run *run, bool on) { run->timed = on; }

size_t eg__run_step_count(const struct eg_run *run) { return run->n_steps; }

struct eg_step_info eg__run_step(const struct eg_run *run, size_t index) { return run->steps[index].info; }

static void release_step(struct eg_run_step *step)
{
    if (step->before) release_step(step->before);
    free(step->before);
    free(step->inputs);
    free(step->work);
}

void eg__run_free(struct eg_run *run)
{
    if (!run) return;
    free(run->arena);
    if (!run->twin) { /* the rest is the first one's alone */
        for (size_t i = 0; i < run->n_steps; i++) release_step(&run->steps[i]);
        for (size_t i = 0; i < run->n_slabs; i++) free(run->slabs[i]);
        free(run->slabs);
        free(run->outputs);
        free(run->names);
        free(run->zeros);
    }
    free(run->steps);
    free(run->values);
    free(run);
}
