/* Rows in and out.
 *
 * A row's values go to the file at once, and only when they are surely there its status: rows,
 * flush, fdatasync, hashes with them, then reasons and status bytes. A status byte that is lost
 * costs the row's work again, no more. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/fail.h"
#include "base/half.h"
#include "base/mem.h"
#include "base/text.h"
#include "features/store_private.h"

static const double CHECKPOINT_SECONDS = 5;
enum { MOST_WAITING_BYTES = 64 << 20 }; /* in chunks to be compressed */
static const char OTHER_REASONS[] = "unreadable (see the messages of the run)";

/* ---- this run's record --------------------------------------------------------------------- */

static void copy_text(char *to, size_t n, const char *from)
{
    memset(to, 0, n);
    if (!from) return;
    size_t length = strnlen(from, n - 1);
    while (length && from[length] && ((unsigned char)from[length] & 0xc0) == 0x80)
        length--; /* whole characters */
    memcpy(to, from, length);
}

void eg__store_begin_run(struct eg_store *store, const struct eg_store_spec *spec)
{
    time_t now = time(NULL);
    struct tm utc;
    gmtime_r(&now, &utc);
    store->run = (struct eg_history){0};
    strftime(store->run.date, sizeof store->run.date, "%Y-%m-%dT%H:%M:%SZ", &utc);
    copy_text(store->run.command, sizeof store->run.command, spec->command);
    copy_text(store->run.version, sizeof store->run.version, EG_VERSION);
    copy_text(store->run.isa, sizeof store->run.isa, spec->isa);
}

/* In place: the records are there. The last one is used again when all are taken. */
static enum eg_status write_run(struct eg_store *store, struct eg_error *err)
{
    size_t slots = eg__h5_set_shape(store->history)->dims[0];
    for (size_t i = 0; !store->has_slot && i < slots; i++) {
        struct eg_history record;
        enum eg_status status = eg__h5_read(store->history, EG_H5_RECORD, i, 1, &record, err);
        if (status) return status;
        if (record.date[0] && i + 1 < slots) continue;
        store->run_slot = i;
        store->has_slot = true;
    }
    return store->has_slot ? eg__h5_write(store->history, store->run_slot, 1, &store->run, err) : EG_OK;
}

enum eg_status eg__store_history(struct eg_store *store, struct eg_history **out, size_t *n_out,
                                 struct eg_error *err)
{
    size_t slots = store->foreign ? 0 : eg__h5_set_shape(store->history)->dims[0], n = 0;
    if (slots > eg__h5_bytes(store->h5)) slots = 0;
    struct eg_history *records = eg__alloc(slots, sizeof *records);
    if (!records) return eg__fail_memory(err, "the history");
    enum eg_status status = slots ? eg__h5_read(store->history, EG_H5_RECORD, 0, slots, records, err) : EG_OK;
    if (status) {
        free(records);
        return status;
    }
    for (size_t i = 0; i < slots; i++) {
        struct eg_history *r = &records[i];
        if (!r->date[0]) continue;
        r->date[sizeof r->date - 1] = r->command[sizeof r->command - 1] = '\0';
        r->version[sizeof r->version - 1] = r->isa[sizeof r->isa - 1] = '\0';
        if (n != i) records[n] = *r;
        n++;
    }
    *out = records;
    *n_out = n;
    return EG_OK;
}

/* ---- writing ------------------------------------------------------------------------------- */

static enum eg_status check_writing(const struct eg_store *store, struct eg_error *err)
{
    if (!store->write) return eg__fail(err, EG_E_ARGUMENT, "'%s' is open for reading", store->path);
    if (store->failed)
        return eg__fail(err, EG_E_IO, "'%s' cannot be written any more after an earlier failure",
                        store->path);
    return EG_OK;
}

/* The place of a reason among n names, the last of which is for all that find no other. */
enum eg_status eg__store_add_reason(char ***names, size_t n, const char *reason, uint8_t *index,
                                    bool *changed, struct eg_error *err)
{
    char wanted[REASON_BYTES];
    copy_text(wanted, sizeof wanted, reason);
    size_t last = n < MAX_REASONS ? n : MAX_REASONS, i = 0;
    while (i + 1 < last && (*names)[i][0] && strcmp((*names)[i], wanted)) i++;
    *index = (uint8_t)i;
    if (i >= last || !strcmp((*names)[i], wanted)) return EG_OK;
    if (i + 1 == last) copy_text(wanted, sizeof wanted, OTHER_REASONS);
    char **grown = eg__alloc(n, sizeof *grown + REASON_BYTES);
    if (!grown) return eg__fail_memory(err, "the reasons");
    for (size_t j = 0; j < n; j++) {
        grown[j] = (char *)(grown + n) + j * REASON_BYTES;
        copy_text(grown[j], REASON_BYTES, j == i ? wanted : (*names)[j]);
    }
    free(*names);
    *names = grown;
    *changed = true;
    return EG_OK;
}

static enum eg_status to_halves(struct eg_store *store, const struct eg_cut_info *cut, size_t first,
                                size_t count, const float *values, struct eg_error *err)
{
    size_t n = count * cut->length;
    if (!eg__grow(&store->halves, &store->halves_capacity, n, sizeof *store->halves))
        return eg__fail_memory(err, "rows");
    for (size_t i = 0; i < n; i++) {
        store->halves[i] = eg__f32_to_f16(values[i]);
        if ((store->halves[i] & 0x7fffu) == 0x7c00u && values[i] - values[i] == 0) {
            size_t row = first + i / cut->length;
            return eg__fail_for(err, EG_E_NUMERIC, EG_REASON_HALF_OVERFLOW,
                                "row %zu of cut '%s' ('%s') holds %g, past float16's 65504", row, cut->name,
                                store->spec.paths[row], (double)values[i]);
        }
    }
    return EG_OK;
}

static enum eg_status write_values(struct eg_store *store, size_t cut, size_t first, size_t count,
                                   const float *values, struct eg_error *err)
{
    const void *bytes = values;
    if (store->cuts[cut].half) {
        enum eg_status status = to_halves(store, &store->cuts[cut], first, count, values, err);
        if (status) return status;
        bytes = store->halves;
    }
    return store->spec.deflate ? eg__chunks_put(store, cut, first, count, bytes, err)
                               : eg__h5_write(store->cut_sets[cut], first, count, bytes, err);
}

/* Rows that could not be read hold NaN. */
static enum eg_status write_unreadable(struct eg_store *store, size_t cut, size_t row, struct eg_error *err)
{
    size_t n = store->cuts[cut].length;
    float *nothing = eg__alloc(n, sizeof *nothing);
    if (!nothing) return eg__fail_memory(err, "a row");
    for (size_t i = 0; i < n; i++) nothing[i] = __builtin_nanf("");
    enum eg_status status = write_values(store, cut, row, 1, nothing, err);
    free(nothing);
    return status;
}

static enum eg_status put_rows(struct eg_store *store, size_t first, size_t count, const float *const *values,
                               const uint8_t (*hashes)[HASH_BYTES], const char *const *reasons,
                               struct eg_error *err)
{
    for (size_t i = 0; i < count;) { /* runs of rows that were read, single ones that were not */
        bool readable = !reasons || !reasons[i];
        size_t n = 1;
        while (readable && i + n < count && (!reasons || !reasons[i + n])) n++;
        for (size_t cut = 0; cut < store->spec.n_cuts; cut++) {
            enum eg_status status = readable ? write_values(store, cut, first + i, n,
                                                            values[cut] + i * store->cuts[cut].length, err)
                                             : write_unreadable(store, cut, first + i, err);
            if (status) return status;
        }
        i += n;
    }
    return eg__h5_write(store->row_sets[SET_HASHES], first, count, hashes, err);
}

static int by_row(const void *a, const void *b)
{
    size_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return x < y ? -1 : x > y;
}

static enum eg_status write_bytes(struct eg_store *store, enum row_set which, size_t n_rows,
                                  const uint8_t *bytes, struct eg_error *err)
{
    enum eg_status status = EG_OK;
    const size_t *rows = store->pending;
    for (size_t i = 0, n; !status && i < n_rows; i += n) {
        for (n = 1; i + n < n_rows && rows[i + n] - rows[i] <= n;) n++;
        status = eg__h5_write(store->row_sets[which], rows[i], rows[i + n - 1] - rows[i] + 1, bytes + rows[i],
                              err);
    }
    return status;
}

/* Pending rows in order, those whose values are not on their way to the disk behind. */
static size_t sort_pending(struct eg_store *store)
{
    size_t *rows = store->pending, n = 0;
    for (size_t i = 0; i < store->n_pending; i++) {
        size_t row = rows[i];
        if (eg__chunks_hold(store, row)) continue;
        rows[i] = rows[n];
        rows[n++] = row;
    }
    qsort(rows, n, sizeof *rows, by_row);
    return n;
}

/* all: chunks that are not full yet, too. */
static enum eg_status checkpoint(struct eg_store *store, bool all, struct eg_error *err)
{
    store->last_checkpoint = eg__store_clock();
    if (!store->n_pending) return EG_OK;
    enum eg_status status = EG_OK;
    if (store->reasons_changed)
        status = eg__h5_put_texts(store->h5, "reasons", "names", (const char *const *)store->reason_names,
                                  store->n_reason_names, REASON_BYTES, err);
    if (!status)
        status = store->spec.deflate ? eg__chunks_write(store, all, err) : eg__h5_sync(store->h5, err);
    if (status) return status;
    store->reasons_changed = false;
    size_t n = sort_pending(store);
    status = write_bytes(store, SET_REASONS, n, store->reasons, err);
    if (!status) status = write_bytes(store, SET_STATUS, n, store->status, err);
    if (status) return status;
    store->run.rows += n;
    store->n_pending -= n;
    memmove(store->pending, store->pending + n, store->n_pending * sizeof *store->pending);
    status = write_run(store, err);
    if (!status && store->spec.deflate) status = eg__h5_commit(store->h5, err);
    return status;
}

enum eg_status eg__store_checkpoint(struct eg_store *store, struct eg_error *err)
{
    enum eg_status status = check_writing(store, err);
    return status ? status : checkpoint(store, true, err);
}

void eg__store_use_pool(struct eg_store *store, eg_pool *pool) { store->pool = pool; }

enum eg_status eg__store_put(struct eg_store *store, size_t first, size_t count, const float *const *values,
                             const uint8_t (*hashes)[HASH_BYTES], const char *const *reasons,
                             struct eg_error *err)
{
    enum eg_status status = check_writing(store, err);
    if (status) return status;
    if (first > store->spec.n_rows || count > store->spec.n_rows - first)
        return eg__fail(err, EG_E_ARGUMENT, "'%s' has %zu rows, %zu from row %zu were given", store->path,
                        store->spec.n_rows, count, first);
    if (!eg__grow(&store->pending, &store->pending_capacity, store->n_pending + count,
                  sizeof *store->pending))
        return eg__fail_memory(err, "the rows' status");
    status = put_rows(store, first, count, values, hashes, reasons, err);
    for (size_t i = 0; !status && i < count; i++) {
        uint8_t reason = 0;
        bool readable = !reasons || !reasons[i];
        if (!readable)
            status = eg__store_add_reason(&store->reason_names, store->n_reason_names, reasons[i], &reason,
                                          &store->reasons_changed, err);
        if (status) break;
        store->status[first + i] = readable ? EG_ROW_DONE : EG_ROW_UNREADABLE;
        store->reasons[first + i] = reason;
        store->pending[store->n_pending++] = first + i;
    }
    bool full = store->chunk_bytes > MOST_WAITING_BYTES;
    if (!status && (full || eg__store_clock() - store->last_checkpoint > CHECKPOINT_SECONDS)) {
        status = checkpoint(store, false, err);
        if (!status && store->chunk_bytes > MOST_WAITING_BYTES) status = checkpoint(store, true, err);
    }
    return status;
}

enum eg_status eg__store_finish(struct eg_store *store, struct eg_error *err)
{
    enum eg_status status = eg__store_checkpoint(store, err);
    if (!status && store->run.rows && !store->spec.deflate) status = eg__h5_sync(store->h5, err);
    return status;
}

/* ---- reading ------------------------------------------------------------------------------- */

static enum eg_status check_cut(const struct eg_store *store, size_t cut, struct eg_error *err)
{
    if (cut < store->spec.n_cuts) return EG_OK;
    return eg__fail(err, EG_E_ARGUMENT, "'%s' has %zu cuts, cut %zu was asked for", store->path,
                    store->spec.n_cuts, cut);
}

enum eg_status eg__store_read(struct eg_store *store, size_t cut, size_t first, size_t count, float *out,
                              struct eg_error *err)
{
    enum eg_status status = check_cut(store, cut, err);
    return status ? status : eg__h5_read(store->cut_sets[cut], EG_H5_F32, first, count, out, err);
}

struct wanted_row {
    size_t row, place;
};

static int by_wanted_row(const void *a, const void *b)
{
    const struct wanted_row *x = a, *y = b;
    return x->row < y->row ? -1 : x->row > y->row;
}

enum eg_status eg__store_gather(struct eg_store *store, size_t cut, const size_t *rows, size_t count,
                                float *out, struct eg_error *err)
{
    enum eg_status status = check_cut(store, cut, err);
    if (status) return status;
    struct wanted_row *wanted = eg__alloc(count, sizeof *wanted);
    if (!wanted) return eg__fail_memory(err, "the order of rows");
    for (size_t i = 0; i < count; i++) wanted[i] = (struct wanted_row){rows[i], i};
    qsort(wanted, count, sizeof *wanted, by_wanted_row);
    size_t length = store->cuts[cut].length;
    for (size_t i = 0, n; !status && i < count; i += n) {
        /* Neighbours that are also neighbours in `out` are one read. */
        for (n = 1; i + n < count && wanted[i + n].row == wanted[i].row + n &&
                    wanted[i + n].place == wanted[i].place + n;)
            n++;
        status = eg__h5_read(store->cut_sets[cut], EG_H5_F32, wanted[i].row, n,
                             out + wanted[i].place * length, err);
    }
    free(wanted);
    return status;
}

enum eg_status eg__store_hashes(struct eg_store *store, size_t first, size_t count,
                                uint8_t (*hashes)[HASH_BYTES], struct eg_error *err)
{
    if (store->foreign) return eg__fail(err, EG_E_NOT_FOUND, "'%s' holds no hashes of images", store->path);
    return eg__h5_read(store->row_sets[SET_HASHES], EG_H5_U8, first, count, hashes, err);
}
