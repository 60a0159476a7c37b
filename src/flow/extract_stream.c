/* extract_stream.c: photos that come through a pipe to a feature file that grows with them. What has come is
 * saved as ever; run again with the same stream, photos that the file has are passed over by their names. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fail.h"
#include "base/mem.h"
#include "flow/extraction.h"

struct streaming {
    struct eg_extraction e;
    const char *path;
    struct eg_store_spec spec;
    bool begun; /* the file is open */
};

static bool go_on(void *user)
{
    const struct streaming *s = user;
    const struct eg_extract_options *o = s->e.options;
    return !o->progress || o->progress(o->user, s->e.n_done, 0);
}

static bool is_wanted(void *user, const char *path)
{
    const struct streaming *s = user;
    return !s->begun || !eg__store_has_done(s->e.store, path);
}

static enum eg_status open_store(struct streaming *s, struct eg_extract_report *report, struct eg_error *err)
{
    enum eg_status status = eg__store_stream(s->path, &s->spec, s->e.options->overwrite, &s->e.store, err);
    if (status) return status;
    s->begun = true;
    eg__store_use_pool(s->e.store, s->e.options->pool);
    const struct eg_store_spec *spec = eg__store_spec(s->e.store);
    for (size_t i = 0; i < spec->n_rows; i++) {
        report->resumed += eg__store_status(s->e.store)[i] == EG_ROW_DONE;
        s->e.n_done += eg__store_status(s->e.store)[i] != EG_ROW_WAITING;
    }
    return EG_OK;
}

/* Rows of the file for what has come; those that it had are left out. */
static enum eg_status give_rows(struct streaming *s, const struct eg_dataset *images, struct eg_error *err)
{
    size_t n = images->n_items;
    struct eg_append *todo = &s->e.todo;
    eg__append_release(todo);
    const char **paths = eg__alloc(n, sizeof *paths);
    int32_t *labels = eg__alloc(n, sizeof *labels);
    todo->rows = eg__alloc(n, sizeof *todo->rows);
    todo->images = eg__alloc(n, sizeof *todo->images);
    enum eg_status status =
        paths && labels && todo->rows && todo->images ? EG_OK : eg__fail_memory(err, "the list of photos");
    if (!status) {
        for (size_t i = 0; i < n; i++) {
            paths[i] = images->items[i].path;
            labels[i] = images->items[i].label;
        }
        const struct eg_arrivals arrivals = {n, paths, labels, (const char *const *)images->classes};
        status = eg__store_arrive(s->e.store, &arrivals, todo->rows, err);
    }
    for (size_t i = 0; i < n && !status; i++)
        if (todo->rows[i] != SIZE_MAX) {
            todo->rows[todo->n] = todo->rows[i];
            todo->images[todo->n++] = i;
        }
    free(paths);
    free(labels);
    return status;
}

static enum eg_status take_all(struct streaming *s, const struct eg_dataset *images,
                               struct eg_extract_report *report, struct eg_error *err)
{
    struct stat info;
    enum eg_status status = EG_OK;
    if (!s->e.options->overwrite && !stat(s->path, &info)) status = open_store(s, report, err);
    while (!status) {
        status = eg__stream_next(images->stream, s->e.batch, is_wanted, s, err);
        if (status || !images->n_items) break;
        if (!s->begun) status = open_store(s, report, err);
        if (!status) status = give_rows(s, images, err);
        if (!status) status = eg__extraction_compute(&s->e, 0, report, err);
    }
    if (!go_on(s) && status == EG_E_FORMAT) /* who stopped us stopped the sender too */
        status = eg__fail(err, EG_E_CANCELLED, "stopped");
    return status;
}

enum eg_status eg__extract_stream(const eg_net *net, const eg_dataset *images, const char *path,
                                  const struct eg_extract_options *options, struct eg_extract_report *out,
                                  struct eg_error *err)
{
    struct streaming s = {.e = {.options = options}, .path = path};
    struct eg_recipe recipe = eg__extraction_recipe(net, path, options);
    struct eg_extract_report report = {.n_ranks = 1};
    double start = eg__seconds();
    if (options->append || options->update || options->n_shards || options->ranks)
        return eg__fail_for(err, EG_E_ARGUMENT, EG_REASON_ONE_PROCESS,
                            "a stream comes once, to one process: no part of it, and nothing but going on");
    eg__stream_wait(images->stream, go_on, &s);
    enum eg_status status = eg__extraction_prepare(&s.e, net, images, &recipe, err);
    if (!status) status = eg__extraction_spec(&s.e, net, &recipe, &s.spec, err);
    s.spec.root = images->root;
    if (!status) status = take_all(&s, images, &report, err);
    size_t n_come = eg__stream_come(images->stream);
    if (!status && !n_come)
        status = eg__fail_for(err, EG_E_NOT_FOUND, EG_REASON_NO_PHOTOS, "no photos have come");
    if (status == EG_E_FORMAT && !n_come)
        status = eg__fail_within(err, status, "no archive of photos comes");
    else if (status == EG_E_FORMAT)
        status =
            eg__fail_within(err, status, "the stream broke off after %zu photos, which are kept", n_come);
    if (s.begun) {
        enum eg_status trimmed = eg__store_trim(s.e.store, !status, status ? NULL : err);
        if (!status) status = trimmed;
        report.rows = eg__store_spec(s.e.store)->n_rows;
        report.ignored = images->n_ignored;
        if (!status) status = eg__extraction_report(&s.e, &report, err);
        enum eg_status closed = eg__store_close(s.e.store, status ? NULL : err);
        if (!status) status = closed;
    }
    eg__stream_wait(images->stream, NULL, NULL);
    eg__extraction_release(&s.e);
    report.seconds = eg__seconds() - start;
    if (status)
        eg__extract_report_release(&report);
    else
        *out = report;
    return status;
}
