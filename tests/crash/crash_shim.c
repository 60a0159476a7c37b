/* Preloaded: counts every write, sync, truncation, rename, new folder or link and removal, and at the k-th
 *   kill      dies before it
 *   torn      writes half of it, then dies
 *   drop      takes back all that no sync has made durable, then dies: a power cut
 *   reorder   the same, but the newest half of the writes had reached the disk
 *   full      this and every later write finds no space
 *   error     this one fails with EIO
 * CRASH_MODE, CRASH_AT (from 1; 0: never); CRASH_COUNT: a file that gets the number of calls. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

enum { MOST = 100000 };

static struct undo {
    enum { WRITE, TRUNCATE, RENAME } kind;
    dev_t device;
    ino_t inode;
    int fd; /* a duplicate */
    off_t offset, old_size;
    size_t n;
    uint8_t *old;
    char *from, *to;
} undo[MOST];
static size_t n_undo;
static long count, at = -1;
static char mode[16];

#define REAL(type, name, ...)                                                                                \
    static type (*real)(__VA_ARGS__);                                                                        \
    if (!real) {                                                                                             \
        void *symbol = dlsym(RTLD_NEXT, name);                                                               \
        memcpy(&real, &symbol, sizeof real);                                                                 \
    }

static ssize_t real_pwrite(int fd, const void *bytes, size_t n, off_t offset)
{
    REAL(ssize_t, "pwrite64", int, const void *, size_t, off_t)
    return real(fd, bytes, n, offset);
}

static int real_truncate(int fd, off_t size)
{
    REAL(int, "ftruncate64", int, off_t)
    return real(fd, size);
}

static int real_rename(const char *from, const char *to)
{
    REAL(int, "rename", const char *, const char *)
    return real(from, to);
}

__attribute__((destructor)) static void tell(void)
{
    const char *path = getenv("CRASH_COUNT");
    FILE *file = path ? fopen(path, "w") : NULL;
    if (!file) return;
    fprintf(file, "%ld\n", count);
    fclose(file);
}

static void die(void) { kill(getpid(), SIGKILL); }

static void power_cut(void)
{
    size_t keep = strcmp(mode, "reorder") ? n_undo : n_undo / 2;
    for (size_t i = n_undo; i--;) {
        const struct undo *u = &undo[i];
        if (i >= keep && u->kind == WRITE) continue;
        if (u->kind == RENAME) {
            if (real_rename(u->to, u->from)) abort();
            continue;
        }
        if (u->n && real_pwrite(u->fd, u->old, u->n, u->offset) < 0) abort();
        struct stat info;
        bool longer = !fstat(u->fd, &info) && info.st_size > u->old_size;
        if ((u->kind == TRUNCATE || (longer && keep == n_undo)) && real_truncate(u->fd, u->old_size)) abort();
    }
    die();
}

/* True: the k-th call, which has to fail (errno is set). */
static bool step(bool writes)
{
    if (at < 0) {
        const char *wanted = getenv("CRASH_AT"), *how = getenv("CRASH_MODE");
        at = wanted ? strtol(wanted, NULL, 10) : 0;
        snprintf(mode, sizeof mode, "%s", how ? how : "kill");
    }
    count++;
    if (!at || count < at) return false;
    if (!strcmp(mode, "full")) {
        errno = ENOSPC;
        return writes;
    }
    if (count > at) return false;
    if (!strcmp(mode, "kill")) die();
    if (!strcmp(mode, "drop") || !strcmp(mode, "reorder")) power_cut();
    if (!strcmp(mode, "torn")) {
        if (!writes) die();
        return true;
    }
    errno = EIO;
    return !strcmp(mode, "error");
}

static void remember(int fd, bool truncates, off_t offset, size_t n)
{
    struct stat info;
    if (n_undo == MOST || fstat(fd, &info) || !S_ISREG(info.st_mode)) return;
    struct undo u = {.kind = truncates ? TRUNCATE : WRITE,
                     .device = info.st_dev,
                     .inode = info.st_ino,
                     .old_size = info.st_size};
    char name[64];
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    u.fd = open(name, O_RDWR | O_CLOEXEC);
    if (u.fd < 0) return;
    u.offset = offset;
    if (truncates) n = info.st_size > offset ? (size_t)(info.st_size - offset) : 0;
    u.old = malloc(n + 1);
    ssize_t got = n ? pread(u.fd, u.old, n, offset) : 0;
    u.n = got > 0 ? (size_t)got : 0;
    undo[n_undo++] = u;
}

static void forget(int fd)
{
    struct stat info;
    if (fstat(fd, &info)) return;
    size_t n = 0;
    for (size_t i = 0; i < n_undo; i++) {
        struct undo *u = &undo[i];
        bool durable = S_ISDIR(info.st_mode)
                           ? u->kind == RENAME
                           : u->kind != RENAME && u->device == info.st_dev && u->inode == info.st_ino;
        if (!durable) {
            undo[n++] = *u;
            continue;
        }
        if (u->kind != RENAME) close(u->fd);
        free(u->old);
        free(u->from);
        free(u->to);
    }
    n_undo = n;
}

ssize_t pwrite64(int fd, const void *bytes, size_t n, off_t offset)
{
    if (step(true)) {
        if (strcmp(mode, "torn")) return -1;
        real_pwrite(fd, bytes, n / 2, offset);
        die();
    }
    remember(fd, false, offset, n);
    return real_pwrite(fd, bytes, n, offset);
}
ssize_t pwrite(int fd, const void *bytes, size_t n, off_t offset) { return pwrite64(fd, bytes, n, offset); }

int ftruncate64(int fd, off_t size)
{
    if (step(false)) return -1;
    remember(fd, true, size, 0);
    return real_truncate(fd, size);
}
int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }

int fsync(int fd)
{
    if (step(false)) return -1;
    forget(fd); /* from now on it counts as durable; the disk itself need not be waited for */
    return 0;
}

int fdatasync(int fd) { return fsync(fd); }

static int renamed(int failed, const char *from, const char *to)
{
    if (!failed && n_undo < MOST)
        undo[n_undo++] = (struct undo){.kind = RENAME, .from = strdup(from), .to = strdup(to)};
    return failed;
}

int rename(const char *from, const char *to)
{
    if (step(false)) return -1;
    return renamed(real_rename(from, to), from, to);
}

int renameat2(int a, const char *from, int b, const char *to, unsigned flags)
{
    REAL(int, "renameat2", int, const char *, int, const char *, unsigned)
    if (step(false)) return -1;
    return renamed(real(a, from, b, to, flags), from, to);
}

int mkdir(const char *path, mode_t access_mode)
{
    REAL(int, "mkdir", const char *, mode_t)
    if (step(true)) return -1;
    return real(path, access_mode);
}

int rmdir(const char *path)
{
    REAL(int, "rmdir", const char *)
    if (step(false)) return -1;
    return real(path);
}

int symlink(const char *target, const char *path)
{
    REAL(int, "symlink", const char *, const char *)
    if (step(true)) return -1;
    return real(target, path);
}

int unlink(const char *path)
{
    REAL(int, "unlink", const char *)
    if (step(false)) return -1;
    return real(path);
}
