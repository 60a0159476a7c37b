/* safe_path.c: no path of a request leaves its folder. */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "serve/http.h"

/* Where the system has no openat2: folder by folder, and no link is followed. */
static int walk(int folder, const char *path, int flags, unsigned mode)
{
    char name[256];
    int at = *path && *path != '/' ? fcntl(folder, F_DUPFD_CLOEXEC, 0) : -1, next = -1;
    if (at < 0) errno = *path == '/' ? EXDEV : ENOENT;
    while (at >= 0) {
        size_t n = strcspn(path, "/");
        bool last = !path[n];
        if (n >= sizeof name || (n == 2 && !memcmp(path, "..", 2))) {
            errno = n == 2 ? EXDEV : ENAMETOOLONG;
            next = -1;
        } else {
            snprintf(name, sizeof name, "%.*s", n ? (int)n : 1, n ? path : ".");
            next = openat(at, name, (last ? flags : O_PATH | O_DIRECTORY) | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY,
                          mode);
        }
        int error = errno;
        close(at);
        errno = error;
        if (last) return next;
        at = next;
        path += n + 1;
    }
    return -1;
}

int safe_open(int folder, const char *path, int flags, unsigned mode)
{
    struct open_how how = {.flags = (unsigned long long)flags | O_CLOEXEC | O_NOCTTY,
                           .mode = flags & (O_CREAT | __O_TMPFILE) ? mode : 0,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    for (;;) {
        long fd = syscall(SYS_openat2, folder, path, &how, sizeof how);
        if (fd < 0 && errno == ENOSYS) return walk(folder, path, flags, mode);
        if (fd >= 0 || (errno != EAGAIN && errno != EINTR)) return (int)fd; /* EAGAIN: a rename raced */
    }
}

/* The length of the code point at s; 0: that is not UTF-8. */
static size_t code_point(const unsigned char *s)
{
    size_t n = s[0] < 0x80                   ? 1
               : s[0] >= 0xc2 && s[0] < 0xe0 ? 2
               : (s[0] & 0xf0) == 0xe0       ? 3
               : s[0] >= 0xf0 && s[0] < 0xf5 ? 4
                                             : 0;
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80) return 0;
    if (n == 3 && ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f))) return 0;
    if (n == 4 && ((s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))) return 0;
    return n;
}

bool safe_name(const char *name)
{
    size_t length = strlen(name);
    if (!length || length > 200 || *name == '.') return false;
    for (const unsigned char *s = (const unsigned char *)name; *s;) {
        size_t n = code_point(s);
        if (!n || *s < ' ' || *s == 0x7f || *s == '/') return false;
        s += n;
    }
    return true;
}
