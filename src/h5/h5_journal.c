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
