/* tar_stream.c: tars by libarchive. Only formats and filters that are wanted are on: none of them runs a
 * program. A stream that unpacks to very much more than it is, is a bomb: photos hardly shrink. */
#include "image/tar_stream.h"

#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "image/kinds.h"

#define MAX_MEMBER_BYTES ((uint64_t)1 << 30)
enum { MAX_NAME_BYTES = 4096 };

bool eg__member_name_is_safe(const char *name)
{
    if (!*name || *name == '/' || strlen(name) > MAX_NAME_BYTES) return false;
    for (const char *part = name; part; part = strchr(part, '/') ? strchr(part, '/') + 1 : NULL) {
        size_t n = strcspn(part, "/");
        if (!n || (n == 1 && *part == '.') || (n == 2 && !memcmp(part, "..", 2))) return false;
    }
    return true;
}

#ifdef EG_WITH_ARCHIVE
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <poll.h>
#include <unistd.h>

enum { BLOCK_BYTES = 1 << 16, MOST_TIMES = 300, BOMB_BYTES = 256 << 20, PAUSE_MS = 200 };

struct eg_tar {
    struct archive *a;
    struct archive_entry *entry;
    struct eg_tar_source source;
    bool (*go_on)(void *user);
    void *user;
    bool stopped, opened;
    uint8_t *block;
    uint8_t head[EG_SNIFF_BYTES]; /* of the entry, peeked at */
    size_t n_head;
};

static enum eg_status say(const struct eg_tar *tar, struct eg_error *err)
{
    const char *words = archive_error_string(tar->a);
    if (tar->stopped) return eg__fail(err, EG_E_CANCELLED, "stopped");
    return eg__fail(err, EG_E_FORMAT, "the archive is damaged or cut off: %s", words ? words : "unknown");
}

/* What came in, and what it became. */
static bool is_bomb(const struct eg_tar *tar)
{
    int64_t in = archive_filter_bytes(tar->a, -1), out = archive_filter_bytes(tar->a, 0);
    return eg__tar_is_packed(tar) && out > BOMB_BYTES && out / MOST_TIMES > in;
}

static enum eg_status refuse_bomb(struct eg_error *err)
{
    return eg__fail(err, EG_E_UNSUPPORTED, "it unpacks to more than %d times its size: no archive of photos",
                    MOST_TIMES);
}

/* A pipe is waited for no longer than go_on says. */
static la_ssize_t read_pipe(struct archive *a, void *user, const void **bytes)
{
    struct eg_tar *tar = user;
    struct pollfd wanted = {.fd = tar->source.fd, .events = POLLIN};
    for (;;) {
        if (tar->go_on && !tar->go_on(tar->user)) {
            tar->stopped = true;
            archive_set_error(a, EINTR, "stopped");
            return -1;
        }
        if (poll(&wanted, 1, PAUSE_MS) <= 0) continue;
        ssize_t n = read(tar->source.fd, tar->block, BLOCK_BYTES);
        if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
        if (n < 0) archive_set_error(a, errno, "it cannot be read");
        *bytes = tar->block;
        return n;
    }
}

static enum eg_status open_now(struct eg_tar *tar, struct eg_error *err)
{
    int code;
    tar->opened = true;
    if (tar->source.pipe)
        code = archive_read_open(tar->a, tar, NULL, read_pipe, NULL);
    else
        code = archive_read_open_fd(tar->a, tar->source.fd, BLOCK_BYTES);
    if (code < ARCHIVE_WARN) return say(tar, err);
    if (archive_filter_count(tar->a) > 2)
        return eg__fail(err, EG_E_UNSUPPORTED, "it is compressed more than once");
    return EG_OK;
}

void eg__tar_wait(struct eg_tar *tar, bool (*go_on)(void *user), void *user)
{
    tar->go_on = go_on;
    tar->user = user;
}

enum eg_status eg__tar_open(const struct eg_tar_source *source, struct eg_tar **out, struct eg_error *err)
{
    struct eg_tar *tar = eg__zalloc(1, sizeof *tar);
    if (tar) tar->a = archive_read_new();
    if (tar && source->pipe) tar->block = eg__alloc(BLOCK_BYTES, 1);
    if (!tar || !tar->a || (source->pipe && !tar->block)) {
        if (tar) archive_read_free(tar->a);
        free(tar);
        return eg__fail_memory(err, "an archive");
    }
    tar->source = *source;
    archive_read_support_format_tar(tar->a);
    archive_read_support_filter_gzip(tar->a);
    archive_read_support_filter_zstd(tar->a);
    archive_read_support_filter_bzip2(tar->a);
    archive_read_support_filter_xz(tar->a);
    enum eg_status status = EG_OK;
    if (!source->pipe) status = open_now(tar, err);
    if (status)
        eg__tar_close(tar);
    else
        *out = tar;
    return status;
}

void eg__tar_close(struct eg_tar *tar)
{
    if (!tar) return;
    archive_read_free(tar->a);
    free(tar->block);
    free(tar);
}

bool eg__tar_is_packed(const struct eg_tar *tar)
{
    return archive_filter_code(tar->a, 0) != ARCHIVE_FILTER_NONE;
}

uint64_t eg__tar_position(const struct eg_tar *tar) { return (uint64_t)archive_read_header_position(tar->a); }

static enum eg_status peek(const struct eg_entry *entry, void *bytes, size_t *n, struct eg_error *err)
{
    struct eg_tar *tar = entry->source;
    size_t done = 0;
    while (done < *n) {
        la_ssize_t got = archive_read_data(tar->a, (char *)bytes + done, *n - done);
        if (got < ARCHIVE_WARN) return say(tar, err);
        if (got <= 0) break;
        done += (size_t)got;
    }
    *n = done;
    if (done <= sizeof tar->head) { /* for who reads all of it after that */
        memcpy(tar->head, bytes, done);
        tar->n_head = done;
    }
    return EG_OK;
}

/* Skipping in a compressed tar is unpacking: a block at a time, so that a bomb is seen early. */
static enum eg_status skip_rest(struct eg_tar *tar, struct eg_error *err)
{
    const void *block;
    size_t n;
    la_int64_t offset;
    if (!tar->entry || !eg__tar_is_packed(tar)) return EG_OK;
    int code;
    while ((code = archive_read_data_block(tar->a, &block, &n, &offset)) == ARCHIVE_OK)
        if (is_bomb(tar)) return refuse_bomb(err);
    return code < ARCHIVE_WARN ? say(tar, err) : EG_OK;
}

/* The name as bytes: UTF-8 where the archive says so, whatever the locale. */
static const char *name_of(struct archive_entry *entry)
{
    const char *name = archive_entry_pathname_utf8(entry);
    if (!name) name = archive_entry_pathname(entry);
    while (name && name[0] == '.' && name[1] == '/') name += 2 + strspn(name + 2, "/");
    return name ? name : "";
}

static int kind_of(const struct eg_tar *tar, const char *name)
{
    struct archive_entry *entry = tar->entry;
    if (archive_entry_hardlink(entry) || archive_entry_filetype(entry) == AE_IFLNK) return EG_ENTRY_LINK;
    if (archive_entry_filetype(entry) != AE_IFREG) return EG_ENTRY_OTHER;
    return eg__member_name_is_safe(name) ? EG_ENTRY_FILE : EG_ENTRY_UNSAFE;
}

enum eg_status eg__tar_next(struct eg_tar *tar, struct eg_entry *entry, struct eg_error *err)
{
    enum eg_status opened = tar->opened ? EG_OK : open_now(tar, err);
    if (opened) return opened;
    tar->n_head = 0;
    do {
        enum eg_status status = skip_rest(tar, err);
        if (status) return status;
        int code = archive_read_next_header(tar->a, &tar->entry);
        if (code == ARCHIVE_EOF) return EG_E_NOT_FOUND;
        if (code < ARCHIVE_WARN) return say(tar, err);
        if (is_bomb(tar)) return refuse_bomb(err);
    } while (archive_entry_filetype(tar->entry) == AE_IFDIR);
    int64_t size = archive_entry_size(tar->entry);
    const char *name = name_of(tar->entry);
    *entry = (struct eg_entry){.name = name,
                               .kind = kind_of(tar, name),
                               .size = size > 0 ? (uint64_t)size : 0,
                               .peek = peek,
                               .source = tar};
    /* A seek goes past the end of a file without a word. */
    bool whole =
        !tar->source.within || eg__tar_is_packed(tar) ||
        (entry->size <= tar->source.within && eg__tar_position(tar) <= tar->source.within - entry->size) ||
        archive_entry_sparse_count(tar->entry) > 0;
    if (whole) return EG_OK;
    return eg__fail(err, EG_E_FORMAT, "the archive is cut off in '%.200s' (get it again)", name);
}

enum eg_status eg__tar_read(struct eg_tar *tar, uint8_t **bytes, size_t *n_bytes, struct eg_error *err)
{
    int64_t size = archive_entry_size(tar->entry);
    if (size < 0 || (uint64_t)size > MAX_MEMBER_BYTES)
        return eg__fail(err, EG_E_UNSUPPORTED, "larger than 1 GiB");
    /* What it claims need not be there: memory grows with what comes. */
    size_t room = (size_t)size < BLOCK_BYTES * 16 ? (size_t)size : BLOCK_BYTES * 16, done = 0;
    uint8_t *made = eg__alloc(room, 1);
    if (!made) return eg__fail_memory(err, "a photo's bytes");
    enum eg_status status = EG_OK;
    done = tar->n_head <= room ? tar->n_head : 0;
    memcpy(made, tar->head, done);
    while (done < (size_t)size && !status) {
        if (done == room && !eg__grow(&made, &room, done + 1, 1)) {
            status = eg__fail_memory(err, "a photo's bytes");
            break;
        }
        size_t wanted = room - done < (size_t)size - done ? room - done : (size_t)size - done;
        la_ssize_t got = archive_read_data(tar->a, made + done, wanted);
        if (got < 0)
            status = say(tar, err);
        else if (is_bomb(tar))
            status = refuse_bomb(err);
        else if (!got)
            status = eg__fail(err, EG_E_FORMAT, "the archive is cut off in it");
        else
            done += (size_t)got;
    }
    if (status) {
        free(made);
        return status;
    }
    *bytes = made;
    *n_bytes = done;
    return EG_OK;
}

bool eg_has_tar(void) { return true; }

#else

bool eg_has_tar(void) { return false; }

static enum eg_status lacking(struct eg_error *err)
{
    return eg__fail(err, EG_E_UNSUPPORTED, "this build lacks libarchive (build with it, or unpack it)");
}

enum eg_status eg__tar_open(const struct eg_tar_source *source, struct eg_tar **tar, struct eg_error *err)
{
    (void)source, (void)tar;
    return lacking(err);
}

void eg__tar_close(struct eg_tar *tar) { (void)tar; }

void eg__tar_wait(struct eg_tar *tar, bool (*go_on)(void *user), void *user)
{
    (void)tar, (void)go_on, (void)user;
}

enum eg_status eg__tar_next(struct eg_tar *tar, struct eg_entry *entry, struct eg_error *err)
{
    (void)tar, (void)entry;
    return lacking(err);
}

enum eg_status eg__tar_read(struct eg_tar *tar, uint8_t **bytes, size_t *n_bytes, struct eg_error *err)
{
    (void)tar, (void)bytes, (void)n_bytes;
    return lacking(err);
}

uint64_t eg__tar_position(const struct eg_tar *tar)
{
    (void)tar;
    return 0;
}

bool eg__tar_is_packed(const struct eg_tar *tar)
{
    (void)tar;
    return false;
}
#endif
