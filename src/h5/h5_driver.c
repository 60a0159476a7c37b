/* A virtual file driver for libhdf5: pread and pwrite on one descriptor, with two additions.
 *
 * Staging: bytes below `base`, the end of the file at the last commit, are not changed in the
 * file but in pages held here; bytes past it are written at once, as nothing refers to them
 * yet. A commit (h5_journal.c) saves the old pages in a journal, then writes the new ones. So
 * a crash between commits leaves the file as the last commit made it.
 * Dead: after a write or a commit that failed all writing is swallowed and libhdf5 is told that
 * it went well: after a failed write it can be neither closed nor unloaded without a crash
 * (1.10.8). Who writes looks at the report instead.
 *
 * And a third: a master may join more files than a process may have open. libhdf5 keeps each that
 * it has read from; here those read longest ago lose their descriptor until they are read again. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "h5/h5_private.h"
#if H5_VERSION_GE(1, 13, 0)
#include <H5FDdevelop.h>
#endif

static const size_t LARGEST_CALL = 1u << 30;
enum { MOST_OPEN = 24 };

/* Under the room's lock, as libhdf5 itself: files to read that have a descriptor, the one used
 * last first; errno of the last file that could not be
 * opened. */
static struct driver_file *open_files;
static int open_failure;

void eg__h5_driver_forget_failure(void) { open_failure = 0; }
int eg__h5_driver_open_failure(void) { return open_failure; }

bool eg__full_read(int fd, void *bytes, size_t n, uint64_t offset)
{
    for (uint8_t *out = bytes; n;) {
        ssize_t got = pread(fd, out, n < LARGEST_CALL ? n : LARGEST_CALL, (off_t)offset);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return false;
        if (!got) {
            memset(out, 0, n);
            return true;
        }
        out += got;
        n -= (size_t)got;
        offset += (uint64_t)got;
    }
    return true;
}

bool eg__full_write(int fd, const void *bytes, size_t n, uint64_t offset)
{
    for (const uint8_t *in = bytes; n;) {
        ssize_t put = pwrite(fd, in, n < LARGEST_CALL ? n : LARGEST_CALL, (off_t)offset);
        if (put < 0 && errno == EINTR) continue;
        if (put <= 0) {
            if (!put) errno = ENOSPC;
            return false;
        }
        in += put;
        n -= (size_t)put;
        offset += (uint64_t)put;
    }
    return true;
}

static size_t page_slot(const struct driver_file *file, uint64_t page)
{
    size_t slot = (size_t)(page * 0x9e3779b97f4a7c15u) & (file->capacity - 1);
    while (file->pages[slot].bytes && file->pages[slot].page != page)
        slot = (slot + 1) & (file->capacity - 1);
    return slot;
}

static bool grow_pages(struct driver_file *file)
{
    if (file->capacity && file->n_pages * 2 < file->capacity) return true;
    struct driver_file grown = {.capacity = file->capacity ? file->capacity * 2 : 64};
    grown.pages = eg__zalloc(grown.capacity, sizeof *grown.pages);
    if (!grown.pages) return false;
    for (size_t i = 0; i < file->capacity; i++)
        if (file->pages[i].bytes) grown.pages[page_slot(&grown, file->pages[i].page)] = file->pages[i];
    free(file->pages);
    file->pages = grown.pages;
    file->capacity = grown.capacity;
    return true;
}

/* The page to change, brought in from the file when it is not here yet. */
static uint8_t *stage_page(struct driver_file *file, uint64_t page)
{
    if (!grow_pages(file)) {
        errno = ENOMEM;
        return NULL;
    }
    struct staged_page *slot = &file->pages[page_slot(file, page)];
    if (slot->bytes) return slot->bytes;
    uint8_t *bytes = eg__alloc(STAGE_PAGE, 1);
    if (!bytes) {
        errno = ENOMEM;
        return NULL;
    }
    if (!eg__full_read(file->fd, bytes, STAGE_PAGE, page * STAGE_PAGE)) {
        free(bytes);
        return NULL;
    }
    *slot = (struct staged_page){page, bytes};
    file->n_pages++;
    return bytes;
}

static void unlist(struct driver_file *file)
{
    struct driver_file **at = &open_files;
    while (*at && *at != file) at = &(*at)->next;
    if (*at) *at = file->next;
    file->next = NULL;
}

static void enlist(struct driver_file *file)
{
    file->next = open_files;
    open_files = file;
    struct driver_file **at = &open_files;
    for (int i = 0; i < MOST_OPEN && *at; i++) at = &(*at)->next;
    if (!*at) return;
    struct driver_file *oldest = *at;
    *at = NULL; /* one came, one goes */
    close(oldest->fd);
    oldest->fd = -1;
}

/* A descriptor to read from, of the same file as before. */
static bool wake(struct driver_file *file)
{
    if (!file->name || file == open_files) return true; /* a writer keeps its own */
    if (file->fd >= 0) {
        unlist(file);
    } else {
        struct stat info;
        file->fd = open(file->name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (file->fd < 0) {
            open_failure = errno;
            return false;
        }
        if (fstat(file->fd, &info) || (uint64_t)info.st_dev != file->device ||
            (uint64_t)info.st_ino != file->inode) {
            close(file->fd);
            file->fd = -1;
            open_failure = errno = ESTALE;
            return false;
        }
    }
    enlist(file);
    return true;
}

static H5FD_t *driver_open(const char *name, unsigned flags, hid_t access, haddr_t largest)
{
    (void)access;
    (void)largest;
    int mode = (flags & H5F_ACC_RDWR ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK;
    if (flags & H5F_ACC_TRUNC) mode |= O_TRUNC;
    if (flags & H5F_ACC_CREAT) mode |= O_CREAT;
    if (flags & H5F_ACC_EXCL) mode |= O_EXCL;
    struct driver_file *file = eg__zalloc(1, sizeof *file);
    open_failure = ENOMEM;
    if (!file) return NULL;
    bool reads = !(flags & H5F_ACC_RDWR);
    if (reads) file->name = strdup(name);
    file->fd = !reads || file->name ? open(name, mode, 0666) : -1;
    struct stat info;
    if (file->fd < 0 || fstat(file->fd, &info) || !S_ISREG(info.st_mode)) {
        open_failure = errno ? errno : EINVAL;
        if (file->fd >= 0) close(file->fd);
        free(file->name);
        free(file);
        return NULL;
    }
    open_failure = 0;
    file->eof = (haddr_t)info.st_size;
    file->device = (uint64_t)info.st_dev;
    file->inode = (uint64_t)info.st_ino;
    if (reads) enlist(file);
    return &file->public;
}

void eg__h5_driver_clear_pages(struct driver_file *file)
{
    for (size_t i = 0; i < file->capacity; i++) free(file->pages[i].bytes);
    free(file->pages);
    file->pages = NULL;
    file->n_pages = file->capacity = 0;
}

static herr_t driver_close(H5FD_t *public)
{
    struct driver_file *file = (struct driver_file *)public;
    unlist(file);
    int failed = file->fd >= 0 ? close(file->fd) : 0;
    eg__h5_driver_clear_pages(file);
    free(file->name);
    free(file);
    return failed ? -1 : 0;
}

static int driver_compare(const H5FD_t *a, const H5FD_t *b)
{
    const struct driver_file *x = (const struct driver_file *)a, *y = (const struct driver_file *)b;
    if (x->device != y->device) return x->device < y->device ? -1 : 1;
    return x->inode < y->inode ? -1 : x->inode > y->inode;
}

static herr_t driver_query(const H5FD_t *public, unsigned long *flags)
{
    (void)public;
    *flags = H5FD_FEAT_AGGREGATE_METADATA | H5FD_FEAT_ACCUMULATE_METADATA | H5FD_FEAT_AGGREGATE_SMALLDATA;
    return 0;
}

static haddr_t driver_get_eoa(const H5FD_t *public, H5FD_mem_t type)
{
    (void)type;
    return ((const struct driver_file *)public)->eoa;
}

static herr_t driver_set_eoa(H5FD_t *public, H5FD_mem_t type, haddr_t address)
{
    (void)type;
    ((struct driver_file *)public)->eoa = address;
    return 0;
}

static haddr_t driver_get_eof(const H5FD_t *public, H5FD_mem_t type)
{
    (void)type;
    return ((const struct driver_file *)public)->eof;
}

static herr_t driver_handle(H5FD_t *public, hid_t access, void **handle)
{
    (void)access;
    *handle = public;
    return 0;
}

static bool in_file(const struct driver_file *file, haddr_t address, size_t n)
{
    return address != HADDR_UNDEF && address <= INT64_MAX && n <= (uint64_t)INT64_MAX - address &&
           address + n <= file->eoa;
}

static herr_t driver_read(H5FD_t *public, H5FD_mem_t type, hid_t transfer, haddr_t address, size_t n,
                          void *bytes)
{
    (void)type;
    (void)transfer;
    struct driver_file *file = (struct driver_file *)public;
    if (!in_file(file, address, n)) return -1;
    if (!wake(file) || !eg__full_read(file->fd, bytes, n, address)) {
        file->cause = errno;
        return -1;
    }
    if (!file->n_pages) return 0;
    uint64_t end = address + n < file->base ? address + n : file->base;
    for (uint64_t at = address; at < end;) {
        uint64_t page = at / STAGE_PAGE, page_end = (page + 1) * STAGE_PAGE;
        uint64_t upto = page_end < end ? page_end : end;
        const uint8_t *staged = file->pages[page_slot(file, page)].bytes;
        if (staged) memcpy((uint8_t *)bytes + (at - address), staged + (at - page * STAGE_PAGE), upto - at);
        at = upto;
    }
    return 0;
}

static herr_t write_failed(struct driver_file *file)
{
    file->cause = errno ? errno : EIO;
    file->dead = true;
    if (file->report && !*file->report) *file->report = file->cause;
    return 0;
}

static herr_t driver_write(H5FD_t *public, H5FD_mem_t type, hid_t transfer, haddr_t address, size_t n,
                           const void *bytes)
{
    (void)type;
    (void)transfer;
    struct driver_file *file = (struct driver_file *)public;
    if (file->dead) return 0;
    if (!in_file(file, address, n)) return -1;
    const uint8_t *in = bytes;
    uint64_t at = address, end = address + n;
    while (file->staging && at < end && at < file->base) {
        uint64_t page = at / STAGE_PAGE, upto = (page + 1) * STAGE_PAGE;
        if (upto > end) upto = end;
        if (upto > file->base) upto = file->base;
        uint8_t *staged = stage_page(file, page);
        if (!staged) return write_failed(file);
        memcpy(staged + (at - page * STAGE_PAGE), in, upto - at);
        in += upto - at;
        at = upto;
    }
    if (at < end && !eg__full_write(file->fd, in, end - at, at)) return write_failed(file);
    if (end > file->eof) file->eof = end;
    return 0;
}

static herr_t driver_truncate(H5FD_t *public, hid_t transfer, hbool_t closing)
{
    (void)transfer;
    (void)closing;
    struct driver_file *file = (struct driver_file *)public;
    if (file->dead || file->eof == file->eoa || (file->staging && file->eoa < file->base)) return 0;
    if (ftruncate(file->fd, (off_t)file->eoa)) return write_failed(file);
    file->eof = file->eoa;
    return 0;
}

static const H5FD_class_t driver_class = {
#if H5_VERSION_GE(1, 13, 0)
    .version = H5FD_CLASS_VERSION,
    .value = (H5FD_class_value_t)540,
#endif
    .name = "engraft",
    .maxaddr = INT64_MAX,
    .fc_degree = H5F_CLOSE_WEAK,
    .open = driver_open,
    .close = driver_close,
    .cmp = driver_compare,
    .query = driver_query,
    .get_eoa = driver_get_eoa,
    .set_eoa = driver_set_eoa,
    .get_eof = driver_get_eof,
    .get_handle = driver_handle,
    .read = driver_read,
    .write = driver_write,
    .truncate = driver_truncate,
    .fl_map = H5FD_FLMAP_DICHOTOMY,
};

hid_t eg__h5_driver(void)
{
    static hid_t id = -1; /* under the room's lock */
    if (id < 0 || H5Iget_type(id) != H5I_VFL) id = H5FDregister(&driver_class);
    return id;
}
