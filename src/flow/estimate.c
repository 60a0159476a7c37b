/* estimate.c: what extracting will cost, from some of the photos; and whether its file has room. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/versioned.h"
#include "flow/flow.h"
#include "model/predictor.h"

enum { SAMPLE = 256, ROW_BESIDE = 256 }; /* a row's path, hash, stamps, label, status: about so many bytes */

uint64_t eg__extract_bytes(const struct eg_cut_info *cuts, size_t n_cuts, bool half, size_t n_rows)
{
    uint64_t row = ROW_BESIDE, total;
    for (size_t i = 0; i < n_cuts; i++) row += cuts[i].length * (half ? 2u : 4u);
    return __builtin_mul_overflow(row, (uint64_t)n_rows, &total) ? UINT64_MAX : total;
}

/* Of the disk that path is on, or will be; UINT64_MAX: not known. */
static uint64_t free_bytes(const char *path)
{
    struct statvfs disk;
    size_t n = (size_t)(eg__path_last(path) - path);
    char *folder = n ? strndup(path, n) : strdup(".");
    bool known = folder && !statvfs(folder, &disk) && disk.f_blocks; /* some of networks say 0 */
    free(folder);
    return known ? (uint64_t)disk.f_bavail * disk.f_frsize : UINT64_MAX;
}

enum eg_status eg__extract_check_room(const char *path, uint64_t bytes, struct eg_error *err)
{
    struct stat there;
    uint64_t room = free_bytes(path);
    if (room != UINT64_MAX && !stat(path, &there)) room += (uint64_t)there.st_blocks * 512;
    if (bytes <= room) return EG_OK;
    return eg__fail_for(
        err, EG_E_IO, EG_REASON_NO_ROOM,
        "'%s' has no room: its features take %.1f GB, and %.1f GB are left (pool the cut, take "
        "float16 numbers, or write elsewhere)",
        path, (double)bytes / 1e9, (double)room / 1e9);
}

/* ---- how long ----------------------------------------------------------------------------------- */

static double cpu_seconds(void)
{
    struct timespec now;
    return clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now) ? 0 : (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

struct sample {
    size_t first, count, n; /* n photos, spread evenly over count of the listing */
    size_t *rows;           /* of a batch */
};

static enum eg_status run_batch(struct eg_predictor *p, const struct sample *s, size_t at, size_t n,
                                struct eg_error *err)
{
    for (size_t i = 0; i < n; i++)
        s->rows[i] = s->first + (size_t)((unsigned __int128)s->count * (at + i) / s->n);
    return eg__predictor_read(p, s->rows, n, err);
}

static enum eg_status measure(struct eg_predictor *p, const struct sample *s,
                              const struct eg_extract_options *o, struct eg_estimate *e, struct eg_error *err)
{
    const size_t batch = p->feeder.batch < s->n ? p->feeder.batch : s->n;
    enum eg_status status = run_batch(p, s, 0, batch, err); /* weights and pages come in: not counted */
    const double start = eg__seconds(), cpu = cpu_seconds();
    for (size_t at = 0, n; at < s->n && !status; at += n) {
        n = s->n - at < batch ? s->n - at : batch;
        status = run_batch(p, s, at, n, err);
        for (size_t i = 0; i < n && !status; i++) e->unreadable += p->feeder.reasons[i][0] != '\0';
        if (!status && o->progress && !o->progress(o->user, at + n, s->n))
            status = eg__fail(err, EG_E_CANCELLED, "stopped");
    }
    const double scale = (double)s->count / (double)s->n / 3600;
    e->sampled = s->n;
    e->seconds = eg__seconds() - start;
    e->hours = e->seconds * scale;
    e->core_hours = (cpu_seconds() - cpu) * scale;
    return status;
}

enum eg_status eg_extract_estimate(const eg_net *net, const eg_dataset *images, const char *path,
                                   const struct eg_extract_options *options, struct eg_estimate *estimate,
                                   struct eg_error *err)
{
    struct eg_extract_options own;
    enum eg_status status = eg__options(&own, sizeof own, options, err);
    if (status) return status;
    static const struct eg_run_cuts default_cut;
    struct eg_recipe recipe = net->recipe;
    if (own.no_exif) recipe.exif = false;
    if (own.fast_decode) recipe.fast_decode = true;
    struct sample s = {.count = images->n_items};
    if (own.n_shards) eg__shard_range(images->n_items, own.shard, own.n_shards, &s.first, &s.count);
    if (!s.count) return eg__fail(err, EG_E_IO, "there are no photos in '%s'", images->root);
    s.n = s.count < SAMPLE ? s.count : SAMPLE;
    const size_t batch = own.batch ? own.batch : 8;
    struct eg_predictor_make how = {.net = net,
                                    .recipe = net->has_recipe ? &recipe : NULL,
                                    .wanted = {.cuts = own.cuts ? own.cuts : &default_cut, .batch = batch},
                                    .pool = own.pool};
    struct eg_predictor *p = NULL;
    struct eg_estimate made = {.photos = s.count};
    s.rows = eg__alloc(batch, sizeof *s.rows);
    status = s.rows ? eg__predictor_of_dataset(&how, images, &p, err) : eg__fail_memory(err, "a batch");
    if (!status) status = measure(p, &s, &own, &made, err);
    if (!status) {
        const struct eg_cut_plan *plan = &p->prepared->plan;
        made.bytes = eg__extract_bytes(plan->infos, plan->n, own.half, s.count);
        made.free_bytes = free_bytes(path ? path : "");
        *estimate = made;
    }
    eg_predictor_free(p);
    free(s.rows);
    return status;
}
