/* Files: opening with locks, creating, publishing, closing; the room's lock; words for failures.
 *
 * Two bytes far past the end of every file carry the locks (open file description locks, which
 * die with their process): WRITER is held by who writes; SHAPE, shared by readers, alone by who
 * changes metadata. So a plain run may be watched while it goes on, and a run that appends or
 * compresses may not. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "h5/h5_private.h"

static pthread_mutex_t hdf5_lock = PTHREAD_MUTEX_INITIALIZER;
static H5E_auto2_t printer; /* both under the lock */
static void *printer_data;

enum { LOCK_WRITER, LOCK_SHAPE };
static const off_t LOCK_AT = (off_t)1 << 62;

void eg__h5_enter(void)
{
    pthread_mutex_lock(&hdf5_lock);
    H5Eget_auto2(H5E_DEFAULT, &printer, &printer_data);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

void eg__h5_leave(void)
{
    H5Eset_auto2(H5E_DEFAULT, printer, printer_data);
    pthread_mutex_unlock(&hdf5_lock);
}

static herr_t innermost(unsigned n, const H5E_error2_t *entry, void *words)
{
    if (!n) snprintf(words, 200, "%s", entry->desc ? entry->desc : "");
    return 0;
}

enum eg_status eg__h5_fail(struct eg_error *err, enum eg_status status, struct eg_h5 *h5, const char *format,
                           ...)
{
    char words[600], cause[200] = "";
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(words, sizeof words, format, arguments);
    va_end(arguments);
    int known = !h5 ? 0 : h5->cause ? h5->cause : h5->driver ? h5->driver->cause : 0;
    if (known) return eg__fail(err, EG_E_IO, "%s: %s", words, strerror(known));
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, innermost, cause);
    H5Eclear2(H5E_DEFAULT);
    char *printable = eg__printable(cause);
    enum eg_status said =
        eg__fail(err, status, "%s%s%s", words, cause[0] ? ": " : "", printable ? printable : "");
    free(printable);
    return said;
}

hid_t eg__h5_access_list(void)
{
    hid_t list = H5Pcreate(H5P_FILE_ACCESS);
    if (list < 0) return -1;
    if (H5Pset_driver(list, eg__h5_driver(), NULL) < 0 || H5Pset_fclose_degree(list, H5F_CLOSE_STRONG) < 0) {
        H5Pclose(list);
        return -1;
    }
    return list;
}

/* ---- locks --------------------------------------------------------------------------- */

static bool take_lock(int fd, int which, short kind)
{
    struct flock lock = {.l_type = kind, .l_whence = SEEK_SET, .l_start = LOCK_AT + which, .l_len = 1};
    int failed;
    do failed = fcntl(fd, F_OFD_SETLK, &lock);
    while (failed && errno == EINTR);
    /* A file system without locks: go on, as every other program there must. */
    return !failed || (errno != EAGAIN && errno != EACCES);
}

static enum eg_status lock_for_writing(struct eg_h5 *h5, struct eg_error *err)
{
    if (take_lock(h5->lock, LOCK_WRITER, F_WRLCK)) return EG_OK;
    return eg__fail(err, EG_E_IO, "'%s' is being written by another run (wait for it to end, or stop it)",
                    h5->path);
}

static enum eg_status lock_shape(struct eg_h5 *h5, bool alone, struct eg_error *err)
{
    if (take_lock(h5->lock, LOCK_SHAPE, alone ? F_WRLCK : F_RDLCK)) return EG_OK;
    if (alone)
        return eg__fail(err, EG_E_IO, "'%s' is being read by another program (try again when it has ended)",
                        h5->path);
    return eg__fail(err, EG_E_IO,
                    "'%s' is being appended to or compressed by another run (try again when it has ended)",
                    h5->path);
}

/* ---- the handle ------------------------------------------------------------------------ */

static void handle_free(struct eg_h5 *h5)
{
    if (!h5) return;
    if (h5->lock >= 0) close(h5->lock);
    if (h5->replaced >= 0) close(h5->replaced);
    if (h5->journal_fd >= 0) close(h5->journal_fd);
    free(h5->part);
    free(h5->path);
    free(h5->real);
    free(h5->journal);
    free(h5);
}

static struct eg_h5 *handle_new(const char *path)
{
    struct eg_h5 *h5 = eg__zalloc(1, sizeof *h5);
    if (!h5) return NULL;
    h5->file = -1;
    h5->lock = h5->replaced = h5->journal_fd = -1;
    h5->path = strdup(path);
    h5->real = realpath(path, NULL);
    if (!h5->real) h5->real = strdup(path); /* not there yet */
    if (!h5->real || asprintf(&h5->journal, "%s.journal", h5->real) < 0) h5->journal = NULL;
    if (h5->path && h5->journal) return h5;
    handle_free(h5);
    return NULL;
}

enum eg_status eg__h5_sound(struct eg_h5 *h5, struct eg_error *err)
{
    return h5->cause ? eg__h5_fail(err, EG_E_IO, h5, "cannot write '%s'", h5->path) : EG_OK;
}

static enum eg_status close_hdf5(struct eg_h5 *h5, struct eg_error *err)
{
    eg__h5_enter();
    bool closed = H5Fclose(h5->file) >= 0;
    h5->driver = NULL;
    enum eg_status status = eg__h5_sound(h5, err);
    if (!closed && !status) status = eg__h5_fail(err, EG_E_IO, NULL, "cannot close '%s'", h5->path);
    eg__h5_leave();
    return status;
}

static bool find_driver(struct eg_h5 *h5)
{
    void *handle = NULL;
    if (H5Fget_vfd_handle(h5->file, H5P_DEFAULT, &handle) < 0) return false;
    h5->driver = handle;
    if (h5->write) h5->driver->report = &h5->cause;
    return true;
}

enum eg_status eg__sync_folder(const char *path, struct eg_error *err)
{
    char *copy = strdup(path);
    if (!copy) return eg__fail_memory(err, "a folder's name");
    enum eg_status status = EG_OK;
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || (fsync(fd) && errno != EINVAL && errno != EROFS))
        status = eg__fail(err, EG_E_IO, "cannot sync the folder of '%s': %s", path, strerror(errno));
    if (fd >= 0) close(fd);
    free(copy);
    return status;
}

/* The lock, on the file that path still names once it is locked. */
static enum eg_status open_locked(struct eg_h5 *h5, bool write, struct eg_error *err)
{
    for (int attempt = 0; attempt < 10; attempt++) {
        h5->lock = open(h5->path, (write ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK);
        struct stat mine, named;
        if (h5->lock < 0 || fstat(h5->lock, &mine))
            return eg__fail(err, EG_E_IO, "cannot open '%s': %s", h5->path, strerror(errno));
        if (!S_ISREG(mine.st_mode))
            return eg__fail(err, EG_E_IO, "cannot open '%s': not a regular file", h5->path);
        enum eg_status status = write ? lock_for_writing(h5, err) : lock_shape(h5, false, err);
        if (status) return status;
        if (!stat(h5->path, &named) && named.st_ino == mine.st_ino && named.st_dev == mine.st_dev)
            return EG_OK;
        close(h5->lock);
        h5->lock = -1;
    }
    return eg__fail(err, EG_E_IO, "cannot open '%s': it keeps being replaced", h5->path);
}

/* The file that is to be replaced, held so that nobody writes it meanwhile. */
static enum eg_status hold_replaced(struct eg_h5 *h5, bool overwrite, struct eg_error *err)
{
    struct stat info;
    if (stat(h5->path, &info)) return EG_OK;
    if (!overwrite) return eg__fail_for(err, EG_E_EXISTS, EG_REASON_OUTPUT_EXISTS, "'%s' exists", h5->path);
    enum eg_status status = open_locked(h5, true, err);
    h5->replaced = h5->lock;
    h5->lock = -1;
    return status;
}

static enum eg_status create_part(struct eg_h5 *h5, struct eg_error *err)
{
    h5->lock = open(h5->part, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (h5->lock < 0) return eg__fail(err, EG_E_IO, "cannot create '%s': %s", h5->path, strerror(errno));
    enum eg_status status = lock_for_writing(h5, err);
    if (status) return status;
    eg__h5_enter();
    hid_t access = eg__h5_access_list();
    h5->file = H5Fcreate(h5->part, H5F_ACC_TRUNC, H5P_DEFAULT, access);
    if (h5->file < 0 || !find_driver(h5)) {
        status = eg__h5_fail(err, EG_E_IO, h5, "cannot create '%s'", h5->path);
        if (h5->file >= 0) H5Fclose(h5->file);
        unlink(h5->part);
    }
    if (access >= 0) H5Pclose(access);
    eg__h5_leave();
    return status;
}

enum eg_status eg__h5_create(const char *path, bool overwrite, struct eg_h5 **out, struct eg_error *err)
{
    struct eg_h5 *h5 = handle_new(path);
    if (!h5 || asprintf(&h5->part, "%s.part", path) < 0) {
        handle_free(h5);
        return eg__fail_memory(err, "a feature file");
    }
    h5->write = true;
    enum eg_status status = hold_replaced(h5, overwrite, err);
    if (!status) status = create_part(h5, err);
    if (status) {
        handle_free(h5);
        return status;
    }
    *out = h5;
    return EG_OK;
}

static enum eg_status give_name(struct eg_h5 *h5, struct eg_error *err)
{
    if (fsync(h5->lock)) return eg__fail(err, EG_E_IO, "cannot write '%s': %s", h5->path, strerror(errno));
    bool replace = h5->replaced >= 0;
    if (replace && !unlink(h5->journal)) { /* what it would repair is going; nor may it come back */
        enum eg_status status = eg__sync_folder(h5->path, err);
        if (status) return status;
    }
    int failed = replace ? rename(h5->part, h5->path)
                         : renameat2(AT_FDCWD, h5->part, AT_FDCWD, h5->path, RENAME_NOREPLACE);
    if (failed && !replace && errno == EINVAL && !link(h5->part, h5->path)) failed = unlink(h5->part);
    if (failed && errno == EEXIST) return eg__fail(err, EG_E_EXISTS, "'%s' has just been made", h5->path);
    if (failed) return eg__fail(err, EG_E_IO, "cannot write '%s': %s", h5->path, strerror(errno));
    free(h5->part);
    h5->part = NULL;
    return eg__sync_folder(h5->path, err);
}

/* Nothing is written once it has its name: closing may move the file's end. */
enum eg_status eg__h5_publish(struct eg_h5 *h5, struct eg_error *err)
{
    enum eg_status status = close_hdf5(h5, err);
    if (!status) status = give_name(h5, err);
    if (h5->part) unlink(h5->part);
    handle_free(h5);
    return status;
}

/* A reader undoes a commit that was cut short. */
static enum eg_status recover(const char *path, struct eg_error *err)
{
    struct eg_h5 *h5 = handle_new(path);
    if (!h5) return eg__fail_memory(err, "a feature file");
    enum eg_status status = open_locked(h5, true, err);
    if (!status) status = lock_shape(h5, true, err);
    if (!status) status = eg__h5_journal_recover(h5->real, h5->journal, err);
    handle_free(h5);
    return status;
}

static enum eg_status open_hdf5(struct eg_h5 *h5, struct eg_h5_sources *sources, struct eg_error *err)
{
    hid_t access = eg__h5_access_list();
    h5->file = H5Fopen(h5->real, h5->write ? H5F_ACC_RDWR : H5F_ACC_RDONLY, access);
    enum eg_status status = EG_OK;
    if (h5->file < 0 || !find_driver(h5))
        status = eg__h5_fail(err, EG_E_FORMAT, NULL, "cannot open '%s' as HDF5", h5->path);
    if (access >= 0) H5Pclose(access);
    if (status) return status;
    h5->bytes = h5->driver->eof;
    return eg__h5_check(h5->file, h5->path, sources, err);
}

uint64_t eg__h5_bytes(const struct eg_h5 *h5) { return h5->bytes; }

/* With the lock in hand: the journal is nobody else's. */
static enum eg_status settle_journal(struct eg_h5 *h5, struct eg_error *err)
{
    struct stat info;
    if (stat(h5->journal, &info)) return EG_OK;
    if (!info.st_size) {
        if (h5->write) unlink(h5->journal);
        return EG_OK;
    }
    enum eg_status status;
    if (h5->write) {
        status = lock_shape(h5, true, err);
        if (!status) status = eg__h5_journal_recover(h5->real, h5->journal, err);
        take_lock(h5->lock, LOCK_SHAPE, F_UNLCK);
    } else {
        close(h5->lock);
        h5->lock = -1;
        status = recover(h5->path, err);
        if (!status) status = open_locked(h5, false, err);
    }
    if (!status) return EG_OK;
    return eg__fail_within(err, status, "'%s' was cut off while it was changed and has to be repaired",
                           h5->path);
}

static enum eg_status look_over(const struct eg_h5 *h5, struct eg_error *err)
{
    struct eg_mapping file;
    enum eg_status status = eg__map_file(h5->real, &file, err);
    if (status) return status;
    status = eg__h5_look_over(file.bytes, file.size, h5->path, err);
    eg__unmap_file(&file);
    return status;
}

static enum eg_status open_one(const char *path, bool write, struct eg_h5_sources *sources,
                               struct eg_h5 **out, struct eg_error *err)
{
    struct eg_h5 *h5 = handle_new(path);
    if (!h5) return eg__fail_memory(err, "a feature file");
    h5->write = write;
    enum eg_status status = open_locked(h5, write, err);
    if (!status) status = settle_journal(h5, err);
    if (!status) status = look_over(h5, err);
    if (!status) {
        eg__h5_enter();
        status = open_hdf5(h5, sources, err);
        if (status && h5->file >= 0) H5Fclose(h5->file);
        eg__h5_leave();
    }
    if (status) {
        handle_free(h5);
        return status;
    }
    *out = h5;
    return EG_OK;
}

static char *source_path(const char *path, const char *name)
{
    char *source;
    return asprintf(&source, "%.*s%s", (int)(eg__path_last(path) - path), path, name) < 0 ? NULL : source;
}

/* Each file that rows are taken from: there, whole, safe. HDF5 itself would give fill values. */
static enum eg_status check_sources(const char *path, const struct eg_h5_sources *sources, uint64_t *bytes,
                                    struct eg_error *err)
{
    const char *absent = NULL;
    size_t n_absent = 0;
    for (size_t i = 0; i < sources->n; i++) {
        char *source = source_path(path, sources->names[i]);
        if (!source) return eg__fail_memory(err, "a shard's name");
        if (access(source, F_OK)) absent = n_absent++ ? absent : sources->names[i];
        free(source);
    }
    if (absent)
        return eg__fail_for(
            err, EG_E_IO, EG_REASON_SHARD_ELSEWHERE,
            "cannot read '%s', which needs all its shards beside it: %zu of %zu are not there, '%s' "
            "%s",
            path, n_absent, sources->n, absent, n_absent > 1 ? "the first" : "alone");
    for (size_t i = 0; i < sources->n; i++) {
        char *source = source_path(path, sources->names[i]);
        if (!source) return eg__fail_memory(err, "a shard's name");
        struct eg_h5 *h5;
        enum eg_status status = open_one(source, false, NULL, &h5, err);
        free(source);
        if (status) return eg__fail_within(err, status, "cannot read '%s', which needs all its shards", path);
        *bytes += h5->bytes;
        status = eg__h5_close(h5, err);
        if (status) return status;
    }
    return EG_OK;
}

enum eg_status eg__h5_open(const char *path, bool write, struct eg_h5 **out, struct eg_error *err)
{
    struct eg_h5_sources sources = {0};
    struct eg_h5 *h5 = NULL;
    enum eg_status status = open_one(path, write, &sources, &h5, err);
    if (!status) status = check_sources(h5->real, &sources, &h5->bytes, err);
    if (status && h5 && eg__h5_close(h5, NULL)) h5 = NULL;
    eg__h5_sources_release(&sources);
    if (!status) *out = h5;
    return status;
}

enum eg_status eg__h5_sources(const char *path, char ***out, size_t *n, struct eg_error *err)
{
    struct eg_h5_sources sources = {0};
    struct eg_h5 *h5 = NULL;
    enum eg_status status = open_one(path, false, &sources, &h5, err);
    if (!status) status = eg__h5_close(h5, err);
    if (!status && !(*out = eg__h5_pack_texts(sources.names, sources.n)))
        status = eg__fail_memory(err, "the names of shards");
    if (!status) *n = sources.n;
    eg__h5_sources_release(&sources);
    return status;
}

enum eg_status eg__h5_sync(struct eg_h5 *h5, struct eg_error *err)
{
    enum eg_status status = EG_OK;
    eg__h5_enter();
    if (H5Fflush(h5->file, H5F_SCOPE_LOCAL) < 0)
        status = eg__h5_fail(err, EG_E_IO, h5, "cannot write '%s'", h5->path);
    if (!status) status = eg__h5_sound(h5, err);
    eg__h5_leave();
    if (!status && fdatasync(h5->driver->fd))
        status = eg__fail(err, EG_E_IO, "cannot write '%s': %s", h5->path, strerror(errno));
    return status;
}

/* ---- staging ---------------------------------------------------------------------------- */

enum eg_status eg__h5_stage(struct eg_h5 *h5, struct eg_error *err)
{
    if (h5->driver->staging) return EG_OK;
    enum eg_status status = lock_shape(h5, true, err);
    if (!status) status = eg__h5_sync(h5, err);
    if (status) return status;
    struct driver_file *driver = h5->driver;
    if (driver->eof > driver->eoa) { /* left by a commit that never came */
        if (ftruncate(driver->fd, (off_t)driver->eoa))
            return eg__fail(err, EG_E_IO, "cannot write '%s': %s", h5->path, strerror(errno));
        driver->eof = driver->eoa;
    }
    driver->base = driver->eoa;
    driver->staging = true;
    return EG_OK;
}

enum eg_status eg__h5_commit(struct eg_h5 *h5, struct eg_error *err)
{
    enum eg_status status = EG_OK;
    eg__h5_enter();
    if (h5->driver->dead)
        status = eg__fail(err, EG_E_IO, "'%s' cannot be written any more after an earlier failure", h5->path);
    else if (H5Fflush(h5->file, H5F_SCOPE_LOCAL) < 0)
        status = eg__h5_fail(err, EG_E_IO, h5, "cannot write '%s'", h5->path);
    if (!status) status = eg__h5_sound(h5, err);
    if (!status) status = eg__h5_journal_commit(h5, err);
    if (status) h5->driver->dead = true;
    eg__h5_leave();
    return status;
}

enum eg_status eg__h5_unstage(struct eg_h5 *h5, struct eg_error *err)
{
    if (!h5->driver->staging) return EG_OK;
    enum eg_status status = eg__h5_commit(h5, err);
    if (status) return status;
    h5->driver->staging = false;
    eg__h5_journal_end(h5);
    take_lock(h5->lock, LOCK_SHAPE, F_UNLCK);
    return EG_OK;
}

void eg__h5_abandon(struct eg_h5 *h5) { h5->driver->dead = true; }

enum eg_status eg__h5_settle(struct eg_h5 *h5, enum eg_status status, struct eg_error *err)
{
    if (!status)
        status = eg__h5_unstage(h5, err);
    else
        eg__h5_abandon(h5);
    enum eg_status closed = eg__h5_close(h5, status ? NULL : err);
    return status ? status : closed;
}

enum eg_status eg__h5_close(struct eg_h5 *h5, struct eg_error *err)
{
    if (!h5) return EG_OK;
    enum eg_status status = EG_OK;
    if (h5->write && !h5->part) {
        if (!h5->driver->dead) status = h5->driver->staging ? eg__h5_unstage(h5, err) : eg__h5_sync(h5, err);
        /* What closing would still write is of no use: it moves the file's end about. */
        h5->driver->dead = true;
        eg__h5_journal_end(h5);
    }
    enum eg_status closed = close_hdf5(h5, status ? NULL : err);
    if (h5->part) unlink(h5->part);
    handle_free(h5);
    return status ? status : closed;
}
