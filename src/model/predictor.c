/* predictor.c: a network made ready to answer again and again. Every way in ends as pixels or a reason in
 * the feeder; from there on all are one: forward, look for NaN, settle the label. */
#include "model/predictor.h"

#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/pool.h"
#include "base/versioned.h"
#include "image/frame.h"
#include "image/photo.h"

/* ---- making ---------------------------------------------------------------------------------- */

static enum eg_status take_memory(struct eg_predictor *p, size_t batch, struct eg_error *err)
{
    const struct eg_cut_plan *plan = &p->prepared->plan;
    const unsigned threads = eg_pool_threads(p->pool);
    p->n_cuts = plan->n;
    p->out = eg__zalloc(plan->n_outputs, sizeof *p->out);
    p->rooms = eg__zalloc(threads, sizeof *p->rooms);
    p->features = eg__alloc(batch * (p->n_cuts + 1), sizeof *p->features);
    if (!p->out || !p->rooms || !p->features) return eg__fail_memory(err, "answers");
    for (size_t i = 0; i < plan->n_outputs; i++) {
        size_t length = eg__shape_count(eg__run_shape(p->run, i)), count;
        if (eg__mul(batch, length, &count)) p->out[i] = eg__alloc(count, sizeof **p->out);
        if (!p->out[i]) return eg__fail_memory(err, i < plan->n ? "features" : "answers");
        for (size_t k = 0; i < p->n_cuts && k < batch; k++)
            p->features[k * p->n_cuts + i] = p->out[i] + k * length;
    }
    if (!plan->answer) return EG_OK;
    p->k = eg__shape_count(eg__run_shape(p->run, plan->n));
    p->labels = eg__alloc(batch, sizeof *p->labels);
    return p->labels ? EG_OK : eg__fail_memory(err, "answers");
}

enum eg_status eg__predictor_make(const struct eg_predictor_make *how, struct eg_predictor **out,
                                  struct eg_error *err)
{
    const struct eg_net *net = how->net;
    const struct eg_recipe *recipe = how->recipe ? how->recipe : net->has_recipe ? &net->recipe : NULL;
    struct eg_predictor *p = eg__zalloc(1, sizeof *p);
    if (!p) return eg__fail_memory(err, "a predictor");
    p->net = net;
    p->pool = how->pool;
    enum eg_status status = eg__prepare(net, &how->wanted, &p->prepared, err);
    if (!status)
        status = eg__feeder_start(recipe, p->prepared->plan.graph, how->of_arrays, how->wanted.batch, p->pool,
                                  &p->feeder, err);
    if (!status) status = eg__run_twin(p->prepared->first, p->pool, &p->run, err);
    if (!status) status = take_memory(p, how->wanted.batch, err);
    if (status) {
        eg_predictor_free(p);
        return status;
    }
    *out = p;
    return EG_OK;
}

/* Memory for the largest frame, of every thread. */
static enum eg_status reserve(struct eg_predictor *p, size_t width, size_t height, struct eg_error *err)
{
    const struct eg_frame largest = {.pixels = (const uint8_t *)"", .width = width, .height = height};
    if (!width && !height) return EG_OK;
    enum eg_status status = eg__frame_check(&largest, err);
    for (unsigned i = 0; i < eg_pool_threads(p->pool) && !status; i++) {
        struct eg_room *room = &p->rooms[i];
        room->size = eg__frame_bytes(width, height, &p->feeder.recipe);
        room->bytes = eg__alloc(room->size, 1);
        if (!room->bytes) status = eg__fail_memory(err, "a frame's rows");
    }
    return status;
}

enum eg_status eg_predictor_create(const eg_net *net, const struct eg_predictor_options *options,
                                   eg_predictor **out, struct eg_error *err)
{
    struct eg_predictor_options own, *o = &own;
    enum eg_status status = eg__options(&own, sizeof own, options, err);
    if (status) return status;
    const bool answer = !o->features_only && (!o->features || eg_net_has_classifier(net));
    static const struct eg_run_cuts default_cut;
    struct eg_predictor_make how = {
        .net = net,
        .wanted = {.cuts = o->features ? o->features
                           : answer    ? NULL
                                       : &default_cut,
                   .answer = answer,
                   .batch = o->batch ? o->batch : 1},
    };
    eg_pool *pool = NULL;
    struct eg_predictor *p = NULL;
    if (o->threads > 1) status = eg_pool_create(o->threads, &pool, err);
    how.pool = pool;
    if (!status) status = eg__predictor_make(&how, &p, err);
    if (status) {
        eg_pool_free(pool);
        return status;
    }
    p->owns_pool = true;
    p->keeps_probabilities = o->probabilities;
    status = reserve(p, o->width, o->height, err);
    if (status) {
        eg_predictor_free(p);
        return status;
    }
    *out = p;
    return EG_OK;
}

void eg_predictor_free(eg_predictor *p)
{
    if (!p) return;
    for (size_t i = 0; p->out && i < p->prepared->plan.n_outputs; i++) free(p->out[i]);
    for (unsigned i = 0; p->rooms && i < eg_pool_threads(p->pool); i++) free(p->rooms[i].bytes);
    free(p->out);
    free(p->rooms);
    free(p->labels);
    free(p->features);
    eg__feeder_release(&p->feeder);
    eg__run_free(p->run);
    eg__unprepare(p->net, p->prepared);
    if (p->owns_pool) eg_pool_free(p->pool);
    free(p);
}

size_t eg_predictor_length(const eg_predictor *p, size_t cut)
{
    return cut < p->n_cuts ? eg__shape_count(eg__run_shape(p->run, cut)) : 0;
}

size_t eg_predictor_bytes(const eg_predictor *p)
{
    size_t bytes = eg__run_bytes(p->run), batch = p->feeder.batch;
    for (size_t i = 0; i < p->prepared->plan.n_outputs; i++)
        bytes += batch * eg__shape_count(eg__run_shape(p->run, i)) * sizeof(float);
    for (unsigned i = 0; i < eg_pool_threads(p->pool); i++) bytes += p->rooms[i].size;
    return bytes + batch * eg__shape_count(p->feeder.shape);
}

/* ---- answering ----------------------------------------------------------------------------------- */

float *eg__predictor_probabilities(const struct eg_predictor *p)
{
    return p->labels ? p->out[p->n_cuts] : NULL;
}

void eg__settle_labels(const float *probabilities, const float *said, size_t n, size_t k, int32_t *labels)
{
    for (size_t i = 0; i < n; i++, probabilities += k) {
        size_t best = 0;
        for (size_t j = 1; j < k; j++)
            if (probabilities[j] > probabilities[best]) best = j;
        labels[i] = (int32_t)best;
        if (said) labels[i] = said[i] >= 0 && said[i] < (float)k ? (int32_t)said[i] : -1;
    }
}

enum eg_status eg__predictor_run(struct eg_predictor *p, size_t n, struct eg_error *err)
{
    enum eg_status status = eg__feeder_run(&p->feeder, p->run, n, p->out, err);
    const bool says = p->prepared->plan.n_outputs > p->n_cuts + 1;
    if (!status && p->labels)
        eg__settle_labels(p->out[p->n_cuts], says ? p->out[p->n_cuts + 1] : NULL, n, p->k, p->labels);
    return status;
}

static void fill(const struct eg_predictor *p, size_t i, struct eg_prediction *answer)
{
    *answer = (struct eg_prediction){.index = -1};
    if (p->feeder.reasons[i][0]) {
        answer->error = p->feeder.reasons[i];
        return;
    }
    if (p->n_cuts) answer->features = p->features + i * p->n_cuts;
    if (!p->labels) return;
    const float *probabilities = eg__predictor_probabilities(p) + i * p->k;
    answer->index = p->labels[i];
    answer->rejected = answer->index < 0;
    answer->label = answer->rejected ? "unknown" : p->net->classes[answer->index];
    answer->probability = answer->rejected ? 0 : probabilities[answer->index];
    if (!p->keeps_probabilities) return;
    answer->probabilities = probabilities;
    answer->n_probabilities = p->k;
}

/* ---- ways in ---------------------------------------------------------------------------------------- */

struct batch {
    struct eg_predictor *p;
    const struct eg_frame *frames;
    const struct eg_photo_bytes *photos;
    atomic_int status; /* of the frames: the worst */
};

static uint8_t *pixels_of(const struct eg_predictor *p, size_t i)
{
    return p->feeder.pixels + i * eg__shape_count(p->feeder.shape);
}

static void frame_task(void *context, size_t i, unsigned thread)
{
    struct batch *b = context;
    struct eg_predictor *p = b->p;
    enum eg_status status =
        eg__frame_input(&b->frames[i], &p->feeder.recipe, &p->rooms[thread], pixels_of(p, i), NULL);
    p->feeder.reasons[i][0] = '\0';
    if (status) atomic_store(&b->status, (int)status);
}

static void photo_task(void *context, size_t i, unsigned thread)
{
    (void)thread;
    const struct batch *b = context;
    struct eg_predictor *p = b->p;
    struct eg_error err = {.message = ""};
    p->feeder.reasons[i][0] = '\0';
    if (eg__photo_input(b->photos[i].bytes, b->photos[i].n_bytes, &p->feeder.recipe, pixels_of(p, i), &err))
        eg__keep_reason(p->feeder.reasons[i], &err);
}

/* This call's from here on, or another thread's. */
static enum eg_status begin(struct eg_predictor *p, size_t n, struct eg_error *err)
{
    if (n > p->feeder.batch)
        return eg__fail(err, EG_E_ARGUMENT, "%zu at once, the predictor was made for %zu", n,
                        p->feeder.batch);
    if (!atomic_exchange(&p->busy, true)) return EG_OK;
    return eg__fail(err, EG_E_ARGUMENT,
                    "the predictor is at work for another thread (make each thread one of its own)");
}

static enum eg_status answer(struct eg_predictor *p, size_t n, struct eg_prediction *answers,
                             struct eg_error *err)
{
    enum eg_status status = n ? eg__predictor_run(p, n, err) : EG_OK;
    for (size_t i = 0; i < n && !status; i++) fill(p, i, &answers[i]);
    return status;
}

enum eg_status eg_predict_pixels(eg_predictor *p, const struct eg_frame *frames, size_t n,
                                 struct eg_prediction *answers, struct eg_error *err)
{
    enum eg_status status = EG_OK;
    for (size_t i = 0; i < n && !status; i++) status = eg__frame_check(&frames[i], err);
    if (!status) status = begin(p, n, err);
    if (status) return status;
    struct batch batch = {.p = p, .frames = frames};
    eg__pool_run(p->pool, n, frame_task, &batch);
    status = (enum eg_status)atomic_load(&batch.status);
    status = status ? eg__fail_memory(err, "a frame's rows") : answer(p, n, answers, err);
    atomic_store(&p->busy, false);
    return status;
}

enum eg_status eg_predict_bytes(eg_predictor *p, const struct eg_photo_bytes *photos, size_t n,
                                struct eg_prediction *answers, struct eg_error *err)
{
    enum eg_status status = begin(p, n, err);
    if (status) return status;
    struct batch batch = {.p = p, .photos = photos};
    eg__pool_run(p->pool, n, photo_task, &batch);
    status = answer(p, n, answers, err);
    atomic_store(&p->busy, false);
    return status;
}
