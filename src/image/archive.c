/* archive.c: an archive's members. A plain tar is read from a member's header on, a zip from its data on:
 * each read opens the file for itself. A packed one has a reader of its own that only goes on. */
#include "image/archive.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#define ZLIB_CONST /* what is unpacked is not written to */
#include <zlib.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/zip_map.h"
#include "image/tar_stream.h"

#define MAX_MEMBER_BYTES ((uint64_t)1 << 30)
enum { DEFLATED = 8, LINK_MODE = 0120000, TYPE_MODE = 0170000, ZIP_PEEK = 1 << 20 };

struct member {
    char *name;
    uint64_t at; /* of a tar: its header; of a zip: its data */
    uint64_t size, stored_size;
    uint32_t crc;
    unsigned method;
    bool encrypted;
};

struct staged {
    size_t member;
    uint8_t *bytes;
    size_t n_bytes;
    enum eg_status status;
    struct eg_error err;
};

struct eg_archive {
    char *path;
    bool is_zip, is_packed;
    struct member *members; /* in the archive's order */
    size_t n_members, capacity, *by_name;
    struct stat info;
    /* of a packed one */
    pthread_mutex_t lock;
    int fd;
    struct eg_tar *reader;
    size_t next; /* the member that the reader comes to next */
    struct staged *staged;
    size_t n_staged;
};

static bool has_suffix(const char *path, const char *suffix)
{
    size_t n = strlen(path), m = strlen(suffix);
    return n > m && !strcasecmp(path + n - m, suffix);
}

bool eg__archive_packed_name(const char *path)
{
    static const char *const suffixes[] = {".tar.gz", ".tgz",    ".tar.zst", ".tzst", ".tar.bz2",
                                           ".tbz2",   ".tar.xz", ".txz",     ".tbz"};
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++)
        if (has_suffix(path, suffixes[i])) return true;
    return false;
}

bool eg__archive_name(const char *path)
{
    return has_suffix(path, ".tar") || has_suffix(path, ".zip") || eg__archive_packed_name(path);
}

static void unstage(struct eg_archive *a)
{
    for (size_t i = 0; i < a->n_staged; i++) free(a->staged[i].bytes);
    free(a->staged);
    a->staged = NULL;
    a->n_staged = 0;
}

void eg__archive_free(struct eg_archive *a)
{
    if (!a) return;
    unstage(a);
    eg__tar_close(a->reader);
    if (a->fd >= 0) close(a->fd);
    for (size_t i = 0; i < a->n_members; i++) free(a->members[i].name);
    free(a->members);
    free(a->by_name);
    free(a->path);
    pthread_mutex_destroy(&a->lock);
    free(a);
}

bool eg__archive_is_packed(const struct eg_archive *a) { return a->is_packed; }
const char *eg__archive_path(const struct eg_archive *a) { return a->path; }

void eg__archive_stamp(const struct eg_archive *a, size_t member, int64_t stamp[2])
{
    enum { GRAIN_SECONDS = 2 };
    struct timespec now;
    stamp[0] = stamp[1] = 0;
    clock_gettime(CLOCK_REALTIME, &now);
    if (member >= a->n_members || now.tv_sec - a->info.st_mtim.tv_sec <= GRAIN_SECONDS) return;
    stamp[0] = (int64_t)a->members[member].size;
    stamp[1] = (int64_t)a->info.st_mtim.tv_sec * 1000000000 + a->info.st_mtim.tv_nsec;
}

/* ---- listing ------------------------------------------------------------------------------------- */

static enum eg_status add(struct eg_archive *a, const struct member *member, const char *name, size_t *number,
                          struct eg_error *err)
{
    char *copy = strdup(name);
    if (!copy || !eg__grow(&a->members, &a->capacity, a->n_members + 1, sizeof *a->members)) {
        free(copy);
        return eg__fail_memory(err, "the members of an archive");
    }
    *number = a->n_members;
    a->members[a->n_members] = *member;
    a->members[a->n_members++].name = copy;
    return EG_OK;
}

static enum eg_status list_tar(struct eg_archive *a, int fd, eg_entry_fn *visit, void *user,
                               struct eg_error *err)
{
    struct eg_tar *tar;
    struct eg_entry entry;
    enum eg_status status =
        eg__tar_open(&(struct eg_tar_source){.fd = fd, .within = (uint64_t)a->info.st_size}, &tar, err);
    if (status) return status;
    a->is_packed = eg__tar_is_packed(tar);
    while (!(status = eg__tar_next(tar, &entry, err))) {
        struct member member = {.at = eg__tar_position(tar), .size = entry.size};
        if (entry.kind == EG_ENTRY_FILE) status = add(a, &member, entry.name, &entry.member, err);
        if (!status && visit) status = visit(user, &entry, err);
        if (status) break;
    }
    eg__tar_close(tar);
    return status == EG_E_NOT_FOUND ? EG_OK : status;
}

/* Unpack deflated bytes to just n. */
static enum eg_status inflate_all(const uint8_t *packed, size_t n_packed, uint8_t *bytes, size_t n,
                                  bool to_end, struct eg_error *err)
{
    z_stream z = {.next_in = (const Bytef *)packed,
                  .avail_in = (uInt)n_packed,
                  .next_out = bytes,
                  .avail_out = (uInt)n};
    if (inflateInit2(&z, -MAX_WBITS) != Z_OK) return eg__fail_memory(err, "unpacking");
    int code = inflate(&z, Z_FINISH);
    bool good = (code == Z_STREAM_END || !to_end) && !z.avail_out;
    inflateEnd(&z);
    return good ? EG_OK : eg__fail(err, EG_E_FORMAT, "damaged in its archive: it does not unpack");
}

static enum eg_status peek_zip(const struct eg_entry *entry, void *bytes, size_t *n, struct eg_error *err)
{
    const struct eg_zip_entry *z = entry->source;
    if (*n > z->unpacked_size) *n = (size_t)z->unpacked_size;
    if (z->encrypted || (z->method && z->method != DEFLATED)) *n = 0;
    if (!*n) return EG_OK;
    if (z->stored) {
        memcpy(bytes, z->bytes, *n);
        return EG_OK;
    }
    size_t some = z->size < ZIP_PEEK ? z->size : ZIP_PEEK;
    return inflate_all(z->bytes, some, bytes, *n, false, err);
}

static int by_place(const void *a, const void *b)
{
    const struct eg_zip_entry *x = a, *y = b;
    return x->bytes < y->bytes ? -1 : x->bytes > y->bytes;
}

static enum eg_status visit_zip(struct eg_archive *a, const struct eg_mapping *map, struct eg_zip_entry *z,
                                eg_entry_fn *visit, void *user, struct eg_error *err)
{
    char *name = strndup(z->name, z->name_length);
    if (!name) return eg__fail_memory(err, "a name");
    const char *plain = name;
    while (plain[0] == '.' && plain[1] == '/') plain += 2 + strspn(plain + 2, "/");
    bool folder = z->name_length && z->name[z->name_length - 1] == '/';
    bool safe = strlen(name) == z->name_length && eg__member_name_is_safe(plain);
    struct eg_entry entry = {.name = plain,
                             .kind = (z->unix_mode & TYPE_MODE) == LINK_MODE ? EG_ENTRY_LINK
                                     : safe                                  ? EG_ENTRY_FILE
                                                                             : EG_ENTRY_UNSAFE,
                             .size = z->unpacked_size,
                             .peek = peek_zip,
                             .source = z};
    struct member member = {.at = (uint64_t)(z->bytes - map->bytes),
                            .size = z->unpacked_size,
                            .stored_size = z->size,
                            .crc = z->crc,
                            .method = z->method,
                            .encrypted = z->encrypted};
    enum eg_status status = EG_OK;
    if (!folder && entry.kind == EG_ENTRY_FILE) status = add(a, &member, plain, &entry.member, err);
    if (!status && !folder && visit) status = visit(user, &entry, err);
    free(name);
    return status;
}

/* In the order in which the members lie: so they are read from front to back. */
static enum eg_status list_zip(struct eg_archive *a, const struct eg_mapping *map, eg_entry_fn *visit,
                               void *user, struct eg_error *err)
{
    struct eg_zip zip;
    enum eg_status status = eg__zip_open(map->bytes, map->size, &zip, err);
    if (status) return status;
    if (zip.n_entries) qsort(zip.entries, zip.n_entries, sizeof *zip.entries, by_place);
    for (size_t i = 0; i < zip.n_entries && !status; i++) {
        struct eg_zip_entry *z = &zip.entries[i];
        if (i && z[-1].size && z[-1].bytes + z[-1].size > z->bytes)
            status = eg__fail(err, EG_E_UNSUPPORTED, "members of the zip overlap: no archive of photos");
        if (!status) status = visit_zip(a, map, z, visit, user, err);
    }
    eg__zip_release(&zip);
    return status;
}

static int by_name(const void *x, const void *y, void *context)
{
    const struct member *members = context;
    size_t a, b;
    memcpy(&a, x, sizeof a);
    memcpy(&b, y, sizeof b);
    int order = strcmp(members[a].name, members[b].name);
    return order ? order : (a > b) - (a < b);
}

static enum eg_status sort_names(struct eg_archive *a, struct eg_error *err)
{
    a->by_name = eg__alloc(a->n_members, sizeof *a->by_name);
    if (!a->by_name) return eg__fail_memory(err, "the members of an archive");
    for (size_t i = 0; i < a->n_members; i++) a->by_name[i] = i;
    qsort_r(a->by_name, a->n_members, sizeof *a->by_name, by_name, a->members);
    return EG_OK;
}

/* Of several with one name the last, as unpacking would leave it. */
size_t eg__archive_find(const struct eg_archive *a, const char *name)
{
    size_t low = 0, high = a->n_members;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(a->members[a->by_name[middle]].name, name) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low && !strcmp(a->members[a->by_name[low - 1]].name, name) ? a->by_name[low - 1] : SIZE_MAX;
}

static enum eg_status list(struct eg_archive *a, eg_entry_fn *visit, void *user, struct eg_error *err)
{
    int fd = open(a->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &a->info)) {
        int cause = errno;
        if (fd >= 0) close(fd);
        return eg__fail(err, EG_E_IO, "cannot be opened: %s", strerror(cause));
    }
    char first[4] = "";
    ssize_t n = S_ISREG(a->info.st_mode) ? pread(fd, first, sizeof first, 0) : -1;
    a->is_zip = n == 4 && (!memcmp(first, "PK\3\4", 4) || !memcmp(first, "PK\5\6", 4));
    enum eg_status status = EG_OK;
    struct eg_mapping map;
    if (n < 0) {
        status = eg__fail(err, EG_E_FORMAT, "not a regular file");
    } else if (!a->is_zip) {
        /* Listing a packed one is unpacking it: not only to look for a name. */
        a->is_packed = eg__archive_packed_name(a->path);
        if (visit || !a->is_packed) status = list_tar(a, fd, visit, user, err);
    } else if (!(status = eg__map_file(a->path, &map, err))) {
        status = list_zip(a, &map, visit, user, err);
        eg__unmap_file(&map);
    }
    close(fd);
    return status ? status : sort_names(a, err);
}

enum eg_status eg__archive_open(const char *path, eg_entry_fn *visit, void *user, struct eg_archive **out,
                                struct eg_error *err)
{
    struct eg_archive *a = eg__zalloc(1, sizeof *a);
    if (!a) return eg__fail_memory(err, "an archive");
    a->fd = -1;
    pthread_mutex_init(&a->lock, NULL);
    a->path = strdup(path);
    enum eg_status status = a->path ? list(a, visit, user, err) : eg__fail_memory(err, "an archive");
    if (status)
        eg__archive_free(a);
    else
        *out = a;
    return status;
}

/* ---- a member at any place ------------------------------------------------------------------------ */

static enum eg_status changed(struct eg_error *err)
{
    return eg__fail(err, EG_E_IO, "its archive has changed since it was listed");
}

static enum eg_status read_at(int fd, uint64_t at, uint8_t *bytes, size_t n, struct eg_error *err)
{
    for (size_t done = 0; done < n;) {
        ssize_t got = pread(fd, bytes + done, n - done, (off_t)(at + done));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return eg__fail(err, EG_E_IO, "cannot be read: %s", strerror(errno));
        if (!got) return changed(err);
        done += (size_t)got;
    }
    return EG_OK;
}

static enum eg_status read_zip(int fd, const struct member *m, uint8_t **bytes, size_t *n_bytes,
                               struct eg_error *err)
{
    if (m->encrypted) return eg__fail(err, EG_E_UNSUPPORTED, "encrypted in its zip");
    if (m->method && m->method != DEFLATED)
        return eg__fail(err, EG_E_UNSUPPORTED, "packed in its zip by method %u (zip it again)", m->method);
    /* Deflate makes at most 1,032 bytes of one. */
    if (m->size > MAX_MEMBER_BYTES || m->stored_size > MAX_MEMBER_BYTES)
        return eg__fail(err, EG_E_UNSUPPORTED, "larger than 1 GiB");
    if (m->method && m->size / 1100 > m->stored_size + 1)
        return eg__fail(err, EG_E_FORMAT, "damaged in its archive: its size cannot be");
    size_t n = (size_t)m->size, n_stored = (size_t)m->stored_size;
    uint8_t *made = eg__alloc(n, 1), *packed = m->method ? eg__alloc(n_stored, 1) : NULL;
    enum eg_status status = made && (packed || !m->method) ? EG_OK : eg__fail_memory(err, "a photo's bytes");
    if (!status) status = read_at(fd, m->at, m->method ? packed : made, n_stored, err);
    if (!status && m->method) status = inflate_all(packed, n_stored, made, n, true, err);
    if (!status && crc32_z(0, made, n) != m->crc)
        status = eg__fail(err, EG_E_FORMAT, "damaged in its archive: its checksum differs");
    free(packed);
    if (status) {
        free(made);
        return status;
    }
    *bytes = made;
    *n_bytes = n;
    return EG_OK;
}

static enum eg_status read_tar(int fd, const struct member *m, uint8_t **bytes, size_t *n_bytes,
                               struct eg_error *err)
{
    struct eg_tar *tar;
    struct eg_entry entry;
    if (lseek(fd, (off_t)m->at, SEEK_SET) < 0)
        return eg__fail(err, EG_E_IO, "cannot be read: %s", strerror(errno));
    if (eg__tar_open(&(struct eg_tar_source){.fd = fd}, &tar, NULL)) return changed(err);
    enum eg_status status = eg__tar_next(tar, &entry, NULL);
    if (status || strcmp(entry.name, m->name) || entry.size != m->size)
        status = changed(err);
    else
        status = eg__tar_read(tar, bytes, n_bytes, err);
    eg__tar_close(tar);
    return status;
}

/* ---- a packed one --------------------------------------------------------------------------------- */

static enum eg_status rewind_reader(struct eg_archive *a, struct eg_error *err)
{
    eg__tar_close(a->reader);
    a->reader = NULL;
    a->next = 0;
    if (a->fd < 0) a->fd = open(a->path, O_RDONLY | O_CLOEXEC);
    if (a->fd < 0 || lseek(a->fd, 0, SEEK_SET) < 0)
        return eg__fail(err, EG_E_IO, "cannot be opened: %s", strerror(errno));
    return eg__tar_open(&(struct eg_tar_source){.fd = a->fd}, &a->reader, err);
}

static enum eg_status read_packed(struct eg_archive *a, size_t member, uint8_t **bytes, size_t *n_bytes,
                                  struct eg_error *err)
{
    enum eg_status status = EG_OK;
    if (member >= a->n_members)
        return eg__fail(err, EG_E_UNSUPPORTED,
                        "it is in a compressed archive, which is not read again at need");
    if (!a->reader || a->next > member) status = rewind_reader(a, err);
    while (!status) {
        struct eg_entry entry;
        status = eg__tar_next(a->reader, &entry, err);
        if (status == EG_E_NOT_FOUND) status = changed(err);
        if (status || entry.kind != EG_ENTRY_FILE) continue;
        if (a->next++ != member) continue;
        status = strcmp(entry.name, a->members[member].name) ? changed(err)
                                                             : eg__tar_read(a->reader, bytes, n_bytes, err);
        break;
    }
    return status;
}

void eg__archive_stage(struct eg_archive *a, const size_t *members, size_t n)
{
    if (!a->is_packed) return;
    unstage(a);
    a->staged = eg__zalloc(n, sizeof *a->staged);
    if (!a->staged) return; /* then they are read one by one */
    for (size_t i = 0; i < n; i++) {
        struct staged *s = &a->staged[i];
        s->member = members[i];
        s->status = read_packed(a, s->member, &s->bytes, &s->n_bytes, &s->err);
    }
    a->n_staged = n;
}

static bool take_staged(struct eg_archive *a, size_t member, uint8_t **bytes, size_t *n_bytes,
                        enum eg_status *status, struct eg_error *err)
{
    for (size_t i = 0; i < a->n_staged; i++) {
        struct staged *s = &a->staged[i];
        if (s->member != member || (!s->bytes && !s->status)) continue;
        *status = s->status;
        if (s->status && err) *err = s->err;
        if (!s->status) {
            *bytes = s->bytes;
            *n_bytes = s->n_bytes;
            s->bytes = NULL;
        }
        return true;
    }
    return false;
}

enum eg_status eg__archive_read(struct eg_archive *a, size_t member, uint8_t **bytes, size_t *n_bytes,
                                struct eg_error *err)
{
    enum eg_status status;
    if (a->is_packed) {
        pthread_mutex_lock(&a->lock);
        if (!take_staged(a, member, bytes, n_bytes, &status, err))
            status = read_packed(a, member, bytes, n_bytes, err);
        pthread_mutex_unlock(&a->lock);
        return status;
    }
    if (member >= a->n_members) return eg__fail(err, EG_E_NOT_FOUND, "it is not in its archive");
    int fd = open(a->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return eg__fail(err, EG_E_IO, "its archive cannot be opened: %s", strerror(errno));
    const struct member *m = &a->members[member];
    status = a->is_zip ? read_zip(fd, m, bytes, n_bytes, err) : read_tar(fd, m, bytes, n_bytes, err);
    close(fd);
    return status;
}
