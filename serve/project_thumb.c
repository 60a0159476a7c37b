/* project_thumb.c: small pictures of photos, kept in .engraft/thumbs. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "serve/http_private.h"
#include "serve/project_private.h"

enum { SIDE = 256, QUALITY = 78, MOST_BYTES = 1 << 28, MOST_PIXELS = 64000000 };

enum eg_status project_bounded(const void *bytes, size_t n, struct eg_error *err)
{
    size_t width, height;
    enum eg_status status = eg_image_size(bytes, n, &width, &height, err);
    if (status || !height || width <= MOST_PIXELS / height) return status;
    return serve_fail(err, EG_E_UNSUPPORTED, "too large: %zu x %zu pixels are more than %d million", width,
                      height, MOST_PIXELS / 1000000);
}

/* thumbs/ab/HASH.jpg, by path, time and size: a photo that changed has another. */
char *thumb_name(const struct photo *photo)
{
    uint64_t hash = 0xcbf29ce484222325ULL; /* FNV-1a */
    for (const unsigned char *c = (const unsigned char *)photo->path; *c; c++)
        hash = (hash ^ *c) * 0x100000001b3ULL;
    hash = (hash ^ (uint64_t)photo->mtime_ns) * 0x100000001b3ULL;
    hash = (hash ^ photo->bytes) * 0x100000001b3ULL;
    char *name;
    return asprintf(&name, "thumbs/%02x/%016llx.jpg", (unsigned)(hash & 255), (unsigned long long)hash) < 0
               ? NULL
               : name;
}

/* A whole photo; free(). NULL with errno. */
static void *read_photo(const struct project *p, const char *path, size_t *n)
{
    struct stat info;
    int fd = project_open_photo(p, path);
    if (fd < 0) return NULL;
    void *bytes = NULL;
    if (!fstat(fd, &info) && S_ISREG(info.st_mode) && info.st_size <= MOST_BYTES) {
        size_t size = (size_t)info.st_size, got = 0;
        bytes = malloc(size + 1);
        for (ssize_t some; bytes && got < size && (some = read(fd, (char *)bytes + got, size - got)) > 0;)
            got += (size_t)some;
        *n = got;
    }
    close(fd);
    return bytes;
}

static bool shrink(const void *bytes, size_t n, void **small, size_t *n_small, struct eg_error *err)
{
    struct eg_image image;
    if (project_bounded(bytes, n, err) || eg_image_decode(bytes, n, &image, err)) return false;
    enum eg_status status = eg_image_jpeg(&image, SIDE, QUALITY, small, n_small, err);
    eg_image_release(&image);
    return !status;
}

static void keep(const struct project *p, const char *name, const void *bytes, size_t n)
{
    static _Atomic unsigned count;
    char folder[16], made[64];
    snprintf(folder, sizeof folder, "%.9s", name);
    snprintf(made, sizeof made, "thumbs/new-%u-%ld", ++count, (long)getpid());
    mkdirat(p->hidden_fd, folder, 0777);
    int fd = openat(p->hidden_fd, made, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (fd < 0) return;
    bool good = write(fd, bytes, n) == (ssize_t)n;
    if (close(fd) || !good || renameat(p->hidden_fd, made, p->hidden_fd, name))
        unlinkat(p->hidden_fd, made, 0);
}

static void answer(struct reply *reply, int fd)
{
    reply_fd(reply, fd, "image/jpeg");
    reply_header(reply, "Cache-Control",
                 "private, max-age=31536000, immutable"); /* the address has its time */
}

void project_thumb(struct project *p, const char *path, struct reply *reply)
{
    pthread_rwlock_rdlock(&p->lock);
    const struct photo *photo = listing_find(p->listing, path);
    char *name = photo ? thumb_name(photo) : NULL;
    pthread_rwlock_unlock(&p->lock);
    if (!name) {
        reply_error(reply, 404, "no_such_photo", "there is no photo '%s'", path);
        return;
    }
    int fd = openat(p->hidden_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd >= 0) {
        answer(reply, fd);
        free(name);
        return;
    }
    struct eg_error err = {.message = "it cannot be opened"};
    size_t n = 0, n_small;
    void *bytes = read_photo(p, path, &n), *small = NULL;
    if (bytes && shrink(bytes, n, &small, &n_small, &err)) {
        keep(p, name, small, n_small);
        reply_bytes(reply, 200, "image/jpeg", small, n_small);
        reply_header(reply, "Cache-Control", "private, max-age=31536000, immutable");
    } else {
        reply_error(reply, 422, "unreadable", "%s", err.message);
    }
    free(bytes);
    free(name);
}
