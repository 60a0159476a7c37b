/* Commits: all staged changes of a file, or none.
 *
 *   FILE.journal   "EGJRNL01"  u64 base  u64 n  sha256 of all that follows and of base and n
 *                  n times: u64 page, 4096 bytes as they were
 *
 * A commit syncs the bytes past base, writes the journal, syncs it, writes the staged pages,
 * syncs them, and empties the journal: that is the moment it has happened. A journal that is
 * whole tells that a commit was cut short: its pages are put back and the file is cut to base.
 * One that is not whole was itself cut short, before the file was touched. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/mem.h"
#include "h5/h5_private.h"

static const char MAGIC[8] = "EGJRNL01";
struct head {
    char magic[8];
    uint8_t digest[32];
    uint64_t base, n;
};
enum { DIGEST_FROM = 40, ENTRY = 8 + STAGE_PAGE };
_Static_assert(sizeof(struct head) == 56, "the journal's head is packed");

static uint64_t page_bytes(uint64_t page, uint64_t base)
{
    uint64_t left = base - page * STAGE_PAGE;
    return left < STAGE_PAGE ? left : STAGE_PAGE;
}

enum eg_status eg__h5_journal_recover(const char *path, const char *journal, struct eg_error *err)
{
    struct eg_mapping old;
    enum eg_status status = eg__map_file(journal, &old, err);
    if (status) return status;
    struct head head;
    uint8_t digest[32];
    bool whole = old.size >= sizeof head;
    if (whole) {
        memcpy(&head, old.bytes, sizeof head);
        whole = !memcmp(head.magic, MAGIC, sizeof MAGIC) && head.n == (old.size - sizeof head) / ENTRY &&
                head.n * ENTRY + sizeof head == old.size && head.base <= INT64_MAX;
    }
    if (whole) {
        status = eg__sha256(old.bytes + DIGEST_FROM, old.size - DIGEST_FROM, digest, err);
        whole = !status && !memcmp(digest, head.digest, sizeof digest);
    }
    int fd = -1;
    if (whole && !status) {
        fd = open(path, O_RDWR | O_CLOEXEC);
        struct stat info;
        bool done = fd >= 0 && !fstat(fd, &info) && (uint64_t)info.st_size >= head.base;
        for (uint64_t i = 0; done && i < head.n; i++) {
            const uint8_t *entry = old.bytes + sizeof head + i * ENTRY;
            uint64_t page;
            memcpy(&page, entry, sizeof page);
            if (page >= (head.base + STAGE_PAGE - 1) / STAGE_PAGE) continue;
            done = eg__full_write(fd, entry + sizeof page, page_bytes(page, head.base), page * STAGE_PAGE);
        }
        if (!done || ftruncate(fd, (off_t)head.base) || fdatasync(fd))
            status = eg__fail(err, EG_E_IO, "cannot repair '%s': %s", path, strerror(errno ? errno : EIO));
    }
    eg__unmap_file(&old);
    if (fd >= 0) close(fd);
    if (!status && unlink(journal))
        status = eg__fail(err, EG_E_IO, "cannot remove '%s': %s", journal, strerror(errno));
    if (!status) status = eg__sync_folder(path, err);
    return status;
}

static int by_page(const void *a, const void *b)
{
    const struct staged_page *x = a, *y = b;
    return x->page < y->page ? -1 : x->page > y->page;
}

/* The staged pages in order at the front of the table, which is then a plain list. */
static void list_pages(struct driver_file *file)
{
    size_t n = 0;
    for (size_t i = 0; i < file->capacity; i++)
        if (file->pages[i].bytes) file->pages[n++] = file->pages[i];
    for (size_t i = n; i < file->capacity; i++) file->pages[i].bytes = NULL;
    qsort(file->pages, n, sizeof *file->pages, by_page);
}

static uint8_t *make_journal(const struct driver_file *file, size_t *n_bytes, struct eg_error *err)
{
    size_t entries, all;
    if (!eg__mul(file->n_pages, ENTRY, &entries) ||
        __builtin_add_overflow(entries, sizeof(struct head), &all))
        return NULL;
    uint8_t *bytes = eg__alloc(all, 1);
    if (!bytes) return NULL;
    struct head head = {.base = file->base, .n = file->n_pages};
    memcpy(head.magic, MAGIC, sizeof MAGIC);
    bool read = true;
    for (size_t i = 0; read && i < file->n_pages; i++) {
        uint8_t *entry = bytes + sizeof head + i * ENTRY;
        memcpy(entry, &file->pages[i].page, sizeof file->pages[i].page);
        read = eg__full_read(file->fd, entry + sizeof file->pages[i].page, STAGE_PAGE,
                             file->pages[i].page * STAGE_PAGE);
    }
    memcpy(bytes, &head, sizeof head);
    if (!read || eg__sha256(bytes + DIGEST_FROM, all - DIGEST_FROM, head.digest, err)) {
        free(bytes);
        return NULL;
    }
    memcpy(bytes, &head, sizeof head);
    *n_bytes = all;
    return bytes;
}

static bool open_journal(struct eg_h5 *h5, struct eg_error *err)
{
    if (h5->journal_fd >= 0) return true;
    h5->journal_fd = open(h5->journal, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    return h5->journal_fd >= 0 && !eg__sync_folder(h5->journal, err);
}

/* Writes the new pages, neighbours together. */
static bool write_pages(const struct driver_file *file)
{
    bool written = true;
    for (size_t i = 0; written && i < file->n_pages; i++)
        written = eg__full_write(file->fd, file->pages[i].bytes, page_bytes(file->pages[i].page, file->base),
                                 file->pages[i].page * STAGE_PAGE);
    return written;
}

/* Inside, after a flush of libhdf5. */
enum eg_status eg__h5_journal_commit(struct eg_h5 *h5, struct eg_error *err)
{
    struct driver_file *file = h5->driver;
    if (file->n_pages) {
        list_pages(file);
        size_t n_bytes = 0;
        uint8_t *journal = make_journal(file, &n_bytes, err);
        if (!journal) return eg__fail(err, EG_E_IO, "cannot write '%s': no journal could be made", h5->path);
        errno = 0;
        bool safe = !fdatasync(file->fd) && open_journal(h5, err) &&
                    eg__full_write(h5->journal_fd, journal, n_bytes, 0) && !fdatasync(h5->journal_fd);
        int cause = errno;
        free(journal);
        if (!safe) { /* the file is untouched */
            unlink(h5->journal);
            return eg__fail(err, EG_E_IO, "cannot write '%s': %s", h5->journal, strerror(cause));
        }
        bool done = write_pages(file) && !fdatasync(file->fd);
        cause = errno;
        if (done) done = !ftruncate(h5->journal_fd, 0) && !fdatasync(h5->journal_fd);
        if (!done) {
            enum eg_status status =
                eg__fail(err, EG_E_IO, "cannot write '%s': %s", h5->path, strerror(cause));
            if (!eg__h5_journal_recover(h5->real, h5->journal, NULL)) eg__h5_journal_end(h5);
            return status;
        }
        eg__h5_driver_clear_pages(file);
    } else if (fdatasync(file->fd)) {
        return eg__fail(err, EG_E_IO, "cannot write '%s': %s", h5->path, strerror(errno));
    }
    file->base = file->eoa;
    return EG_OK;
}

/* An empty journal, or one that was never whole, is not needed; a whole one stays for who opens
 * the file next. */
void eg__h5_journal_end(struct eg_h5 *h5)
{
    if (h5->journal_fd < 0) return;
    close(h5->journal_fd);
    h5->journal_fd = -1;
    struct stat info;
    if (!stat(h5->journal, &info) && !info.st_size) unlink(h5->journal);
}
