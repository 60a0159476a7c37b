/* extract_ranks.c: photos to a feature file by all ranks of an MPI job. Each writes a shard, one
 * contiguous part of the listing; when all are done the first joins them. Ranks meet at three
 * places, and each comes to every one of them, failed or not, so that none waits for ever. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/mem.h"
#include "dist/dist.h"
#include "flow/flow.h"

struct job {
    struct eg_dist dist;
    const char *path;
    char **shards;
    size_t n_shards; /* no more than images; ranks past them have nothing to do */
};

static void job_release(struct job *job)
{
    for (size_t i = 0; job->shards && i < job->n_shards; i++) free(job->shards[i]);
    free(job->shards);
    eg__dist_release(&job->dist);
}

/* "a.h5" of 4 ranks: "a.0-of-4.h5" */
static enum eg_status name_shards(struct job *job, struct eg_error *err)
{
    const char *name = eg__path_last(job->path), *dot = strrchr(name, '.');
    if (!dot || dot == name) dot = name + strlen(name);
    job->shards = eg__zalloc(job->n_shards, sizeof *job->shards);
    if (!job->shards) return eg__fail_memory(err, "the shards' names");
    for (size_t i = 0; i < job->n_shards; i++)
        if (asprintf(&job->shards[i], "%.*s.%zu-of-%zu%s", (int)(dot - job->path), job->path, i,
                     job->n_shards, dot) < 0) {
            job->shards[i] = NULL;
            return eg__fail_memory(err, "the shards' names");
        }
    return eg__store_check_shard_names((const char *const *)job->shards, job->n_shards, err);
}

/* Every rank's outcome becomes the same: failed where any was. */
static enum eg_status agree(const struct job *job, enum eg_status mine, struct eg_error *err)
{
    bool failed = mine != EG_OK;
    enum eg_status status = eg__dist_agree(&job->dist, &failed, mine ? NULL : err);
    if (mine || status || !failed) return mine ? mine : status;
    return eg__fail(err, EG_E_SYSTEM,
                    "another rank of this job has failed (run the same command again to go on)");
}

/* Before hours are spent: the file must be free, or be this job's own. */
static enum eg_status check_output(const struct job *job, bool overwrite, struct eg_error *err)
{
    struct stat info;
    if (job->dist.rank || overwrite || stat(job->path, &info)) return EG_OK;
    bool ours;
    enum eg_status status =
        eg__store_joins(job->path, (const char *const *)job->shards, job->n_shards, &ours);
    if (status || !ours)
        return eg__fail_for(err, EG_E_EXISTS, EG_REASON_OUTPUT_FOREIGN,
                            "'%s' exists and is not what this job of %zu ranks makes", job->path,
                            job->dist.n_ranks);
    return EG_OK;
}

static enum eg_status write_shard(const struct job *job, const eg_net *net, const eg_dataset *images,
                                  const struct eg_extract_options *options, struct eg_extract_report *report,
                                  struct eg_error *err)
{
    if (job->dist.rank >= job->n_shards) return EG_OK;
    struct eg_extract_options part = *options;
    part.shard = job->dist.rank;
    part.n_shards = job->n_shards;
    return eg__extract_here(net, images, job->shards[job->dist.rank], &part, report, err);
}

/* Rank 0: what could not be read, in the shards of all. */
static enum eg_status list_unreadable(const struct job *job, struct eg_extract_report *report,
                                      struct eg_error *err)
{
    struct eg_store *store;
    enum eg_status status = eg__store_open(job->path, &store, err);
    if (status) return status;
    eg__skipped_free(report->unreadable, report->n_unreadable);
    report->unreadable = NULL;
    report->n_unreadable = 0;
    const struct eg_store_spec *spec = eg__store_spec(store);
    for (size_t row = 0; row < spec->n_rows && !status; row++)
        if (eg__store_status(store)[row] == EG_ROW_UNREADABLE)
            status = eg__skip(&report->unreadable, &report->n_unreadable, spec->paths[row],
                              eg__store_reason(store, row), err);
    enum eg_status closed = eg__store_close(store, status ? NULL : err);
    return status ? status : closed;
}

static enum eg_status join_shards(const struct job *job, const struct eg_extract_options *options,
                                  struct eg_extract_report *report, struct eg_error *err)
{
    if (job->dist.rank) return EG_OK;
    struct stat info;
    bool made = !report->done && !options->overwrite && !stat(job->path, &info);
    enum eg_status status = made ? EG_OK
                                 : eg__store_merge(job->path, (const char *const *)job->shards, job->n_shards,
                                                   false, true, options->command, err);
    return status ? status : list_unreadable(job, report, err);
}

static enum eg_status add_up(const struct job *job, struct eg_extract_report *report, struct eg_error *err)
{
    uint64_t resumed = report->resumed, done = report->done;
    enum eg_status status = eg__dist_total(&job->dist, &resumed, err);
    if (!status) status = eg__dist_total(&job->dist, &done, err);
    report->resumed = (size_t)resumed;
    report->done = (size_t)done;
    return status;
}

enum eg_status eg__extract_ranks(const eg_net *net, const eg_dataset *images, const char *path,
                                 const struct eg_extract_options *options, struct eg_extract_report *out,
                                 struct eg_error *err)
{
    struct job job = {.path = path};
    enum eg_status status = eg__dist_init(&job.dist, err);
    if (status) return status;
    struct eg_extract_report report = {0};
    if (job.dist.n_ranks == 1) {
        status = eg__extract_here(net, images, path, options, out, err);
        job_release(&job);
        return status;
    }
    double start = eg__seconds();
    job.n_shards = images->n_items < job.dist.n_ranks ? images->n_items : job.dist.n_ranks;
    if (options->append || options->n_shards)
        status = eg__fail_for(err, EG_E_ARGUMENT, EG_REASON_ONE_PROCESS,
                              "'%s' is written by %zu ranks: %s is for one process alone", path,
                              job.dist.n_ranks, options->append ? "going on with other photos" : "a shard");
    if (!status) status = name_shards(&job, err);
    if (!status) status = check_output(&job, options->overwrite, err);
    status = agree(&job, status, err);
    if (!status) {
        status = write_shard(&job, net, images, options, &report, err);
        status = agree(&job, status, err);
    }
    if (!status) status = add_up(&job, &report, err);
    if (!status) {
        status = join_shards(&job, options, &report, err);
        status = agree(&job, status, err);
    }
    report.rows = images->n_items;
    report.ignored = images->n_ignored;
    report.seconds = eg__seconds() - start;
    report.rank = job.dist.rank;
    report.n_ranks = job.dist.n_ranks;
    job_release(&job);
    if (status)
        eg__extract_report_release(&report);
    else
        *out = report;
    return status;
}
