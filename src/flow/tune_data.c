/* tune_data.c: what the learned part of a network reads, batch by batch. The trunk below it is
 * computed once for every row as it is; with augmentation, once for every view. While the
 * pool computes, one more thread decodes and varies the photos of the next batch. */
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/mem.h"
#include "flow/tune.h"
#include "image/augment.h"
#include "image/photo.h"

/* ---- rows kept -------------------------------------------------------------------------- */

static enum eg_status map_nameless(struct eg_tune_cache *cache, size_t bytes, const char *path,
                                   struct eg_error *err)
{
    char *name;
    if (asprintf(&name, "%.*s.engraft-XXXXXX", (int)(eg__path_last(path) - path), path) < 0)
        return eg__fail_memory(err, "a file name");
    int fd = mkostemp(name, O_CLOEXEC);
    if (fd >= 0) unlink(name);
    void *map = MAP_FAILED;
    if (fd >= 0 && !posix_fallocate(fd, 0, (off_t)bytes))
        map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (fd >= 0) close(fd);
    free(name);
    if (map == MAP_FAILED)
        return eg__fail_for(err, EG_E_IO, EG_REASON_NO_ROOM, "no room for %zu MB of features beside '%s'",
                            bytes >> 20, path);
    cache->bytes = map;
    cache->in_file = true;
    return EG_OK;
}

enum eg_status eg__tune_cache_init(struct eg_tune_cache *cache, size_t n_rows, size_t row_bytes,
                                   size_t memory_bytes, const char *path, struct eg_error *err)
{
    size_t bytes;
    *cache = (struct eg_tune_cache){.row_bytes = row_bytes, .n_rows = n_rows};
    if (!eg__mul(n_rows, row_bytes, &bytes)) return eg__fail_memory(err, "features");
    if (bytes > memory_bytes) return map_nameless(cache, bytes, path, err);
    cache->bytes = eg__alloc(bytes, 1);
    return cache->bytes ? EG_OK : eg__fail_memory(err, "features");
}

void eg__tune_cache_release(struct eg_tune_cache *cache)
{
    if (cache->in_file)
        munmap(cache->bytes, cache->n_rows * cache->row_bytes);
    else
        free(cache->bytes);
    *cache = (struct eg_tune_cache){0};
}

/* ---- photos prepared ahead ------------------------------------------------------------------ */

struct eg_tune_ahead {
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t change;
    bool stop, wanted, ready;
    size_t epoch, n, *rows;
    uint8_t *pixels;
    enum eg_status status;
    struct eg_error err;
};

/* One photo with the chances of (seed, item, epoch). */
static enum eg_status vary(const struct eg_tune_source *s, size_t epoch, size_t row, uint8_t *pixels,
                           struct eg_error *err)
{
    uint8_t *bytes;
    size_t n_bytes, item = s->items[row];
    enum eg_status status = eg__dataset_read(s->dataset, item, &bytes, &n_bytes, err);
    if (!status) {
        status = eg__augment_input(bytes, n_bytes, s->recipe, s->augment, s->seed, item, epoch, pixels, err);
        free(bytes);
    }
    if (status)
        return eg__fail_within(err, EG_E_IO, "'%s' cannot be read any more", s->dataset->items[item].path);
    return EG_OK;
}

static enum eg_status vary_all(const struct eg_tune_source *s, size_t epoch, const size_t *rows, size_t n,
                               uint8_t *pixels, struct eg_error *err)
{
    enum eg_status status = EG_OK;
    for (size_t i = 0; i < n && !status; i++)
        status = vary(s, epoch, rows[i], pixels + i * eg__shape_count(s->in), err);
    return status;
}

static void *prepare(void *argument)
{
    struct eg_tune_source *s = argument;
    struct eg_tune_ahead *a = s->ahead;
    pthread_mutex_lock(&a->mutex);
    for (;;) {
        while (!a->stop && !a->wanted) pthread_cond_wait(&a->change, &a->mutex);
        if (a->stop) break;
        pthread_mutex_unlock(&a->mutex);
        enum eg_status status = vary_all(s, a->epoch, a->rows, a->n, a->pixels, &a->err);
        pthread_mutex_lock(&a->mutex);
        a->status = status;
        a->wanted = false;
        a->ready = true;
        pthread_cond_broadcast(&a->change);
    }
    pthread_mutex_unlock(&a->mutex);
    return NULL;
}

static enum eg_status ahead_start(struct eg_tune_source *s, struct eg_error *err)
{
    struct eg_tune_ahead *a = s->ahead = eg__zalloc(1, sizeof *a);
    if (!a) return eg__fail_memory(err, "a batch of photos");
    a->rows = eg__alloc(s->batch, sizeof *a->rows);
    a->pixels = eg__alloc(s->batch, eg__shape_count(s->in));
    pthread_mutex_init(&a->mutex, NULL);
    pthread_cond_init(&a->change, NULL);
    if (a->rows && a->pixels && !pthread_create(&a->thread, NULL, prepare, s)) return EG_OK;
    free(a->rows);
    free(a->pixels);
    free(a);
    s->ahead = NULL;
    return eg__fail_memory(err, "a batch of photos");
}

static void ahead_stop(struct eg_tune_ahead *a)
{
    if (!a) return;
    pthread_mutex_lock(&a->mutex);
    a->stop = true;
    pthread_cond_broadcast(&a->change);
    pthread_mutex_unlock(&a->mutex);
    pthread_join(a->thread, NULL);
    pthread_cond_destroy(&a->change);
    pthread_mutex_destroy(&a->mutex);
    free(a->rows);
    free(a->pixels);
    free(a);
}

/* The pixels of these rows: from the thread if it was told of them, else here and now. */
static enum eg_status ahead_take(struct eg_tune_source *s, size_t epoch, const size_t *rows, size_t n,
                                 uint8_t *pixels, struct eg_error *err)
{
    struct eg_tune_ahead *a = s->ahead;
    pthread_mutex_lock(&a->mutex);
    while (a->wanted) pthread_cond_wait(&a->change, &a->mutex);
    bool mine = a->ready && a->epoch == epoch && a->n == n && !memcmp(a->rows, rows, n * sizeof *rows);
    a->ready = false;
    pthread_mutex_unlock(&a->mutex);
    if (!mine) return vary_all(s, epoch, rows, n, pixels, err);
    if (a->status) {
        if (err) *err = a->err;
        return a->status;
    }
    memcpy(pixels, a->pixels, n * eg__shape_count(s->in));
    return EG_OK;
}

static void ahead_ask(struct eg_tune_ahead *a, size_t epoch, const size_t *rows, size_t n)
{
    if (!n) return;
    pthread_mutex_lock(&a->mutex);
    a->epoch = epoch;
    a->n = n;
    memcpy(a->rows, rows, n * sizeof *rows);
    a->wanted = true;
    pthread_cond_broadcast(&a->change);
    pthread_mutex_unlock(&a->mutex);
}

/* ---- the source --------------------------------------------------------------------------------- */

static bool needs_photos(const struct eg_tune_source *s) { return s->augment != EG_AUGMENT_NONE; }

static enum eg_status plan_run(struct eg_tune_source *s, struct eg_error *err)
{
    if (s->pixels || !needs_photos(s)) return EG_OK;
    struct eg_run_options options = {.max_batch = s->batch};
    return eg__run_create(s->graph, s->boundary, s->n_boundary, &options, s->pool, &s->run, err);
}

/* What an epoch sees is the same for all folds: kept, it is computed once. */
static void keep_epochs(struct eg_tune_source *s, size_t row_bytes)
{
    size_t one = s->n * row_bytes; /* fits: the rows as they are do */
    s->folds_keep = needs_photos(s) && !s->views && s->epochs && !s->still.in_file &&
                    s->epochs < s->memory_bytes / (one ? one : 1);
    if (s->folds_keep) s->views = s->epochs;
}

enum eg_status eg__tune_source_init(struct eg_tune_source *s, const char *path, struct eg_error *err)
{
    s->in = s->graph->nodes[0].shape;
    s->pixels = s->n_boundary == 1 && s->boundary[0] == 0 && !s->dataset->is_array;
    for (size_t b = 0; b < s->n_boundary; b++)
        if (s->boundary[b] == 0 && s->n_boundary > 1)
            return eg__fail(err, EG_E_UNSUPPORTED,
                            "the layers to unfreeze read the photo and other layers: unfreeze all, or fewer");
    size_t floats = 0;
    for (size_t b = 0; b < s->n_boundary; b++) {
        s->counts[b] = eg__shape_count(s->graph->nodes[s->boundary[b]].shape);
        floats += s->counts[b];
        if (!(s->values[b] = eg__alloc(s->batch * s->counts[b], sizeof(float))))
            return eg__fail_memory(err, "a batch");
    }
    size_t row_bytes = s->pixels ? s->counts[0] : floats * sizeof(float);
    enum eg_status status = eg__tune_cache_init(&s->still, s->n, row_bytes, s->memory_bytes, path, err);
    if (!status) status = plan_run(s, err);
    keep_epochs(s, row_bytes);
    if (!status && needs_photos(s) && s->views) {
        s->have = eg__zalloc(s->n * s->views, sizeof *s->have);
        status = s->have ? eg__tune_cache_init(
                               &s->seen, s->n * s->views, row_bytes,
                               s->memory_bytes > s->n * row_bytes ? s->memory_bytes - s->n * row_bytes : 0,
                               path, err)
                         : eg__fail_memory(err, "the views");
    }
    if (!status && needs_photos(s)) status = ahead_start(s, err);
    return status;
}

void eg__tune_source_release(struct eg_tune_source *s)
{
    ahead_stop(s->ahead);
    for (size_t b = 0; b < s->n_boundary; b++) free(s->values[b]);
    eg__run_free(s->run);
    eg__tune_cache_release(&s->still);
    eg__tune_cache_release(&s->seen);
    free(s->have);
}

void eg__tune_source_keep(struct eg_tune_source *s, size_t row, const void *input,
                          const float *const *boundary)
{
    uint8_t *to = s->still.bytes + row * s->still.row_bytes;
    if (s->boundary[0] == 0) {
        memcpy(to, input, s->still.row_bytes);
        return;
    }
    for (size_t b = 0; b < s->n_boundary; b++) {
        memcpy(to, boundary[b], s->counts[b] * sizeof(float));
        to += s->counts[b] * sizeof(float);
    }
}

/* Pixels to the network's input values. */
static void normalise(const struct eg_tune_source *s, const uint8_t *pixels, float *values)
{
    float scale[3], offset[3];
    eg__recipe_affine(s->recipe, scale, offset);
    for (size_t i = 0; i < eg__shape_count(s->in); i += 3)
        for (size_t c = 0; c < 3; c++)
            values[i + c] =
                __builtin_fmaf((float)pixels[i + (s->recipe->bgr ? 2 - c : c)], scale[c], offset[c]);
}

/* Row i of the batch from a cached row. */
static void unpack(struct eg_tune_source *s, const uint8_t *row, size_t i)
{
    if (s->pixels) {
        normalise(s, row, s->values[0] + i * s->counts[0]);
        return;
    }
    for (size_t b = 0; b < s->n_boundary; b++) {
        memcpy(s->values[b] + i * s->counts[b], row, s->counts[b] * sizeof(float));
        row += s->counts[b] * sizeof(float);
    }
}

void eg__tune_source_still(struct eg_tune_source *s, const size_t *rows, size_t n, const float **inputs)
{
    for (size_t i = 0; i < n; i++) unpack(s, s->still.bytes + rows[i] * s->still.row_bytes, i);
    for (size_t b = 0; b < s->n_boundary; b++) inputs[b] = s->values[b];
}

/* Rows with fresh chances, to s->values. */
static enum eg_status compute(struct eg_tune_source *s, size_t epoch, const size_t *rows, size_t n,
                              const size_t *next, size_t n_next, uint8_t *pixels, struct eg_error *err)
{
    enum eg_status status = ahead_take(s, epoch, rows, n, pixels, err);
    if (status) return status;
    ahead_ask(s->ahead, epoch, next, n_next);
    if (s->pixels) {
        for (size_t i = 0; i < n; i++)
            normalise(s, pixels + i * s->counts[0], s->values[0] + i * s->counts[0]);
        return EG_OK;
    }
    float scale[3], offset[3];
    eg__recipe_affine(s->recipe, scale, offset);
    return eg__run_forward_pixels(s->run, pixels, scale, offset, s->recipe->bgr, n, s->values, err);
}

static void remember(struct eg_tune_source *s, size_t view, const size_t *rows, size_t n,
                     const uint8_t *pixels)
{
    for (size_t i = 0; i < n; i++) {
        size_t place = rows[i] * s->views + view;
        uint8_t *to = s->seen.bytes + place * s->seen.row_bytes;
        s->have[place] = true;
        if (s->pixels) memcpy(to, pixels + i * s->counts[0], s->counts[0]);
        for (size_t b = 0; !s->pixels && b < s->n_boundary; b++) {
            memcpy(to, s->values[b] + i * s->counts[b], s->counts[b] * sizeof(float));
            to += s->counts[b] * sizeof(float);
        }
    }
}

enum eg_status eg__tune_source_varied(struct eg_tune_source *s, size_t epoch, const size_t *rows, size_t n,
                                      const size_t *next, size_t n_next, const float **inputs,
                                      struct eg_error *err)
{
    if (!needs_photos(s)) {
        eg__tune_source_still(s, rows, n, inputs);
        return EG_OK;
    }
    bool kept = s->views && (!s->folds_keep || epoch < s->views);
    size_t view = kept ? epoch % s->views : epoch;
    bool known = kept;
    for (size_t i = 0; known && i < n; i++) known = s->have[rows[i] * s->views + view];
    enum eg_status status = EG_OK;
    if (known) {
        for (size_t i = 0; i < n; i++)
            unpack(s, s->seen.bytes + (rows[i] * s->views + view) * s->seen.row_bytes, i);
    } else {
        uint8_t *pixels = eg__alloc(n, eg__shape_count(s->in));
        status = pixels ? compute(s, view, rows, n, next, kept && epoch >= s->views ? 0 : n_next, pixels, err)
                        : eg__fail_memory(err, "a batch of photos");
        if (!status && kept) remember(s, view, rows, n, pixels);
        free(pixels);
    }
    for (size_t b = 0; b < s->n_boundary; b++) inputs[b] = s->values[b];
    return status;
}
