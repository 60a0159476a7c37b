/* dataset_stream.c: a tar that arrives once, through a pipe: its photos some at a time, in their order. A
 * photo waits until the next key comes, as its class may stand behind it (WebDataset). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "base/text.h"
#include "image/archive.h"
#include "image/dataset_build.h"
#include "image/tar_stream.h"

enum { MOST_OF_A_KEY = 64, MAX_SIDECAR_BYTES = 1 << 20, MAX_ARRIVED_BYTES = 1 << 30 };

struct arrived {
    char *name;
    uint8_t *bytes;
    size_t n_bytes;
    enum eg_status status; /* it could not be read: err tells */
    struct eg_error err;
};

struct eg_stream {
    struct eg_tar *tar;
    struct eg_dataset_options options;
    struct eg_dataset_builder builder;
    struct arrived waiting[MOST_OF_A_KEY]; /* of one key */
    size_t n_waiting;
    char *key, *class; /* what is known of them */
    struct arrived *ready;
    size_t n_ready, ready_capacity, n_come;
    enum eg_status ended; /* EG_E_NOT_FOUND: as it should */
    struct eg_error why;
};

static void arrived_release(struct arrived *a)
{
    free(a->name);
    free(a->bytes);
    *a = (struct arrived){0};
}

static void empty(struct eg_stream *s)
{
    struct eg_dataset *d = s->builder.dataset;
    for (size_t i = 0; i < d->n_items; i++) eg__dataset_free_item(&d->items[i]);
    for (size_t i = 0; i < s->n_ready; i++) arrived_release(&s->ready[i]);
    d->n_items = s->n_ready = 0;
}

void eg__stream_free(struct eg_stream *s)
{
    if (!s) return;
    for (size_t i = 0; i < s->n_ready; i++) arrived_release(&s->ready[i]);
    for (size_t i = 0; i < s->n_waiting; i++) arrived_release(&s->waiting[i]);
    eg__dataset_stop(&s->builder);
    eg__tar_close(s->tar);
    free(s->ready);
    free(s->key);
    free(s->class);
    free(s);
}

enum eg_status eg__dataset_stream(int fd, const struct eg_dataset_options *options, struct eg_dataset **out,
                                  struct eg_error *err)
{
    struct eg_stream *s = eg__zalloc(1, sizeof *s);
    if (!s) return eg__fail_memory(err, "a stream");
    s->options = *options;
    enum eg_status status = eg__dataset_begin(&s->builder, &s->options, err);
    struct eg_dataset *d = s->builder.dataset;
    if (!status && !(d->root = strdup("-"))) status = eg__fail_memory(err, "a stream");
    if (!status) status = eg__tar_open(&(struct eg_tar_source){.fd = fd, .pipe = true}, &s->tar, err);
    if (status) {
        eg__dataset_free(d);
        eg__stream_free(s);
        return status == EG_E_FORMAT ? eg__fail_within(err, status, "no tar comes") : status;
    }
    d->stream = s;
    *out = d;
    return EG_OK;
}

void eg__stream_wait(struct eg_stream *s, eg_wait_fn *go_on, void *user)
{
    eg__tar_wait(s->tar, go_on, user);
}

/* The photos of one key are known now. */
static enum eg_status settle(struct eg_stream *s, struct eg_error *err)
{
    struct eg_dataset *d = s->builder.dataset;
    enum eg_status status = EG_OK;
    for (size_t i = 0; i < s->n_waiting && !status; i++) {
        struct arrived *a = &s->waiting[i];
        int32_t label = -1;
        char *class = s->class               ? strdup(s->class)
                      : strchr(a->name, '/') ? strndup(a->name, strcspn(a->name, "/"))
                                             : NULL;
        if (class) status = eg__dataset_class(&s->builder, class, &label, err);
        free(class);
        if (!status) status = eg__dataset_add(&s->builder, a->name, label, err);
        if (!status && !eg__grow(&s->ready, &s->ready_capacity, s->n_ready + 1, sizeof *s->ready))
            status = eg__fail_memory(err, "photos of a stream");
        if (status) break;
        d->items[d->n_items - 1].member = s->n_ready;
        s->ready[s->n_ready++] = *a;
        *a = (struct arrived){0};
    }
    for (size_t i = 0; i < s->n_waiting; i++) arrived_release(&s->waiting[i]);
    s->n_waiting = 0;
    free(s->class);
    s->class = NULL;
    return status;
}

static enum eg_status begin_key(struct eg_stream *s, const char *name, struct eg_error *err)
{
    size_t n = (size_t)(eg__webdataset_suffix(name) - name);
    if (s->key && strlen(s->key) == n && !memcmp(s->key, name, n) && s->n_waiting < MOST_OF_A_KEY)
        return EG_OK;
    enum eg_status status = settle(s, err);
    free(s->key);
    s->key = strndup(name, n);
    return status ? status : s->key ? EG_OK : eg__fail_memory(err, "a name");
}

static enum eg_status take_class(struct eg_stream *s, const struct eg_entry *entry, struct eg_error *err)
{
    uint8_t *bytes;
    size_t n;
    enum eg_status status = eg__tar_read(s->tar, &bytes, &n, err);
    if (status) return status;
    char *class = eg__sidecar_class(entry->name, bytes, n);
    free(bytes);
    if (!class)
        return eg__dataset_ignore(&s->builder, eg__webdataset_suffix(entry->name), NULL, entry->name, err);
    free(s->class);
    s->class = class;
    return EG_OK;
}

/* A photo that is cut off is the stream's end, not a photo. */
static enum eg_status take_photo(struct eg_stream *s, const struct eg_entry *entry, struct eg_error *err)
{
    struct arrived a = {.name = strdup(entry->name)};
    if (!a.name) return eg__fail_memory(err, "a name");
    if (entry->size > MAX_ARRIVED_BYTES) a.status = eg__fail(&a.err, EG_E_UNSUPPORTED, "larger than 1 GiB");
    enum eg_status status = a.status ? EG_OK : eg__tar_read(s->tar, &a.bytes, &a.n_bytes, err);
    if (status)
        arrived_release(&a);
    else
        s->waiting[s->n_waiting++] = a;
    return status;
}

static enum eg_status take(struct eg_stream *s, eg_want_fn *want, void *user, struct eg_error *err)
{
    struct eg_entry entry;
    struct eg_entry_told told = {0};
    enum eg_status status = eg__tar_next(s->tar, &entry, err);
    if (!status) status = eg__entry_kind(&s->builder, &entry, "", &told, err);
    if (status || told.skip) return status;
    status = begin_key(s, entry.name, err);
    if (status) return status;
    if (!told.photo && entry.kind == EG_ENTRY_FILE && eg__is_sidecar(entry.name) &&
        entry.size <= MAX_SIDECAR_BYTES)
        return take_class(s, &entry, err);
    if (!told.photo) return eg__dataset_ignore(&s->builder, told.kind, told.advice, entry.name, err);
    s->n_come++;
    char *shown = eg__printable(entry.name);
    bool wanted = shown && (!want || want(user, shown));
    free(shown);
    return wanted ? take_photo(s, &entry, err) : EG_OK;
}

enum eg_status eg__stream_next(struct eg_stream *s, size_t most, eg_want_fn *want, void *user,
                               struct eg_error *err)
{
    struct eg_dataset *d = s->builder.dataset;
    do {
        empty(s);
        while (s->n_ready < most && !s->ended) {
            s->ended = take(s, want, user, &s->why);
            if (!s->ended) continue;
            if (s->ended != EG_E_NOT_FOUND && s->ended != EG_E_CANCELLED)
                s->ended = eg__fail_within(&s->why, s->ended, "'-'");
            enum eg_status status = settle(s, err); /* those that came whole */
            if (status) return status;
        }
        if (d->keep) eg__dataset_keep(d, d->keep, d->keep_user);
    } while (!d->n_items && !s->ended);
    if (d->n_items || s->ended == EG_E_NOT_FOUND) return EG_OK;
    if (err) *err = s->why;
    return s->ended;
}

size_t eg__stream_come(const struct eg_stream *s) { return s->n_come; }

enum eg_status eg__stream_read(const struct eg_stream *s, size_t place, uint8_t **bytes, size_t *n_bytes,
                               struct eg_error *err)
{
    const struct arrived *a = place < s->n_ready ? &s->ready[place] : NULL;
    if (!a) return eg__fail(err, EG_E_NOT_FOUND, "it has passed in its stream");
    if (a->status && err) *err = a->err;
    if (a->status) return a->status;
    uint8_t *copy = eg__alloc(a->n_bytes, 1);
    if (!copy) return eg__fail_memory(err, "a photo's bytes");
    if (a->n_bytes) memcpy(copy, a->bytes, a->n_bytes);
    *bytes = copy;
    *n_bytes = a->n_bytes;
    return EG_OK;
}
