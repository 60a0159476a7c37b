/* count_shards.c: shards of one listing added up, and what is missing before they can be joined. */
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/versioned.h"
#include "flow/flow.h"

/* Network, weights, recipe and cuts: what has to be the same in all. */
static char *making_of(const struct eg_store_spec *spec)
{
    struct eg_text text = {0};
    eg__text_append(&text, "%s %s %s", spec->network ? spec->network : "",
                    spec->weights_sha256 ? spec->weights_sha256 : "", spec->recipe ? spec->recipe : "");
    for (size_t i = 0; i < spec->n_cuts; i++)
        eg__text_append(&text, " %s %zu %d", spec->cuts[i].name, spec->cuts[i].length, spec->cuts[i].half);
    if (!text.failed) return text.chars;
    free(text.chars);
    return NULL;
}

struct count {
    struct eg_shards_report report;
    char *making; /* of the first that could be read */
};

static enum eg_status look_at(struct count *c, struct eg_shard_file *file, struct eg_error *err)
{
    struct eg_store *store;
    struct eg_error why = {.message = ""};
    if (eg__store_open(file->file, &store, &why)) {
        c->report.n_broken++;
        file->error = strdup(why.message);
        return file->error ? EG_OK : eg__fail_memory(err, "shards");
    }
    const struct eg_store_spec *spec = eg__store_spec(store);
    const struct eg_features_info info = eg_features_info(store);
    char *making = making_of(spec);
    file->whole = !spec->n_shards;
    file->shard = spec->shard;
    file->rows = info.n_rows;
    file->done = info.n_done;
    file->waiting = info.n_waiting;
    file->unreadable = info.n_unreadable;
    if (!c->report.n_shards) c->report.n_shards = spec->n_shards;
    file->made_otherwise = file->whole || spec->n_shards != c->report.n_shards ||
                           (making && c->making && strcmp(making, c->making));
    if (c->making || !making) /* the first says how */
        free(making);
    else
        c->making = making;
    enum eg_status status = c->making ? EG_OK : eg__fail_memory(err, "shards");
    enum eg_status closed = eg__store_close(store, status ? NULL : err);
    return status ? status : closed;
}

/* Which numbers are not there, and which more than once. */
static enum eg_status number(struct eg_shards_report *r, struct eg_error *err)
{
    uint8_t *seen = eg__zalloc(r->n_shards + 1, 1);
    r->missing = eg__alloc(r->n_shards + 1, sizeof *r->missing);
    r->twice = eg__alloc(r->n_files + 1, sizeof *r->twice);
    enum eg_status status = seen && r->missing && r->twice ? EG_OK : eg__fail_memory(err, "shards");
    for (size_t i = 0; i < r->n_files && !status; i++) {
        const struct eg_shard_file *file = &r->files[i];
        if (file->error || file->whole || file->shard >= r->n_shards) continue;
        if (seen[file->shard] == 1) r->twice[r->n_twice++] = file->shard;
        if (seen[file->shard] < 2) seen[file->shard]++;
    }
    for (size_t i = 0; i < r->n_shards && !status; i++)
        if (!seen[i]) r->missing[r->n_missing++] = i;
    free(seen);
    return status;
}

static void release(struct eg_shards_report *r)
{
    for (size_t i = 0; r->files && i < r->n_files; i++) {
        free(r->files[i].file);
        free(r->files[i].error);
    }
    free(r->files);
    free(r->missing);
    free(r->twice);
}

void eg_shards_report_free(struct eg_shards_report *report)
{
    if (report) release(report);
    free(report);
}

enum eg_status eg_features_count_shards(const char *const *files, size_t n, struct eg_shards_report **report,
                                        struct eg_error *err)
{
    struct count c = {.report = {.n_files = n, .files = eg__zalloc(n + 1, sizeof *c.report.files)}};
    struct eg_shards_report *r = &c.report;
    enum eg_status status = r->files ? EG_OK : eg__fail_memory(err, "shards");
    bool alike = true;
    for (size_t i = 0; i < n && !status; i++) {
        struct eg_shard_file *file = &r->files[i];
        file->file = strdup(files[i]);
        status = file->file ? look_at(&c, file, err) : eg__fail_memory(err, "shards");
        r->rows += file->rows;
        r->done += file->done;
        r->waiting += file->waiting;
        r->unreadable += file->unreadable;
        alike = alike && !file->made_otherwise;
    }
    if (!status) status = number(r, err);
    if (!status) {
        r->complete = r->n_shards && alike && !r->n_broken && !r->waiting && !r->n_missing && !r->n_twice;
        status = eg__hand_out(r, sizeof *r, report, err);
    }
    free(c.making);
    if (status) release(r);
    return status;
}
