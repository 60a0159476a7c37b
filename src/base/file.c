#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/mem.h"

enum eg_status eg__map_file(const char *path, struct eg_mapping *mapping, struct eg_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return eg__fail(err, EG_E_IO, "cannot open '%s': %s", path, strerror(errno));
    struct stat info;
    if (fstat(fd, &info) || !S_ISREG(info.st_mode)) {
        close(fd);
        return eg__fail(err, EG_E_IO, "cannot read '%s': not a regular file", path);
    }
    struct eg_mapping made = {NULL, (size_t)info.st_size};
    if (made.size) {
        void *bytes = mmap(NULL, made.size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (bytes == MAP_FAILED) {
            close(fd);
            return eg__fail(err, EG_E_IO, "cannot map '%s': %s", path, strerror(errno));
        }
        made.bytes = bytes;
    }
    close(fd);
    *mapping = made;
    return EG_OK;
}

void eg__unmap_file(struct eg_mapping *mapping)
{
    if (mapping->bytes) {
        void *bytes;
        memcpy(&bytes, &mapping->bytes, sizeof bytes);
        munmap(bytes, mapping->size);
    }
    *mapping = (struct eg_mapping){0};
}

/* mkstemp, but with the rights that the process gives to its new files: asking for its umask would
 * set it for a moment, in all threads. name ends in XXXXXX. */
static int create_beside(char *name)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    char *end = name + strlen(name) - 6;
    for (int tries = 0; tries < 100; tries++) {
        uint8_t random[6];
        if (getrandom(random, sizeof random, 0) != sizeof random) return -1;
        for (int i = 0; i < 6; i++) end[i] = letters[random[i] % (sizeof letters - 1)];
        int fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0 || errno != EEXIST) return fd;
    }
    return -1;
}

enum eg_status eg__outfile_open(const char *path, bool overwrite, struct eg_outfile *file,
                                struct eg_error *err)
{
    struct eg_outfile made = {.overwrite = overwrite};
    if (!overwrite && !access(path, F_OK))
        return eg__fail_for(err, EG_E_EXISTS, EG_REASON_OUTPUT_EXISTS, "'%s' exists", path);
    made.path = strdup(path);
    const char *last = eg__path_last(path);
    if (!made.path || asprintf(&made.temporary, "%.*s.%s.XXXXXX", (int)(last - path), path, last) < 0) {
        free(made.path);
        return eg__fail_memory(err, "a file name");
    }
    int fd = create_beside(made.temporary);
    if (fd >= 0) made.stream = fdopen(fd, "wb");
    if (!made.stream) {
        enum eg_status status = eg__fail(err, EG_E_IO, "cannot create '%s': %s", path, strerror(errno));
        if (fd >= 0) {
            close(fd);
            unlink(made.temporary);
        }
        free(made.path);
        free(made.temporary);
        return status;
    }
    *file = made;
    return EG_OK;
}

static void outfile_release(struct eg_outfile *file)
{
    free(file->path);
    free(file->temporary);
    *file = (struct eg_outfile){0};
}

enum eg_status eg__outfile_commit(struct eg_outfile *file, struct eg_error *err)
{
    bool written = !fflush(file->stream) && !ferror(file->stream) && !fsync(fileno(file->stream));
    int cause = errno;
    if (fclose(file->stream) && written) {
        written = false;
        cause = errno;
    }
    enum eg_status status = EG_OK;
    if (!written) {
        status = eg__fail(err, EG_E_IO, "cannot write '%s': %s", file->path, strerror(cause));
    } else if (file->overwrite
                   ? rename(file->temporary, file->path)
                   : renameat2(AT_FDCWD, file->temporary, AT_FDCWD, file->path, RENAME_NOREPLACE)) {
        if (errno == EEXIST)
            status = eg__fail_for(err, EG_E_EXISTS, EG_REASON_OUTPUT_EXISTS, "'%s' exists", file->path);
        else if (errno == EINVAL && !link(file->temporary, file->path)) /* no RENAME_NOREPLACE here */
            unlink(file->temporary);
        else
            status = eg__fail(err, EG_E_IO, "cannot write '%s': %s", file->path, strerror(errno));
    }
    if (status) unlink(file->temporary);
    outfile_release(file);
    return status;
}

void eg__outfile_abandon(struct eg_outfile *file)
{
    if (!file->stream) return;
    fclose(file->stream);
    unlink(file->temporary);
    outfile_release(file);
}

const char *eg__path_last(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

enum eg_status eg__sha256_file(const char *path, uint8_t digest[32], struct eg_error *err)
{
    struct eg_mapping mapping;
    enum eg_status status = eg__map_file(path, &mapping, err);
    if (status) return status;
    status = eg__sha256(mapping.bytes, mapping.size, digest, err);
    eg__unmap_file(&mapping);
    return status;
}

void eg__hex(const uint8_t *bytes, size_t n, char *hex)
{
    for (size_t i = 0; i < n; i++) {
        hex[2 * i] = "0123456789abcdef"[bytes[i] >> 4];
        hex[2 * i + 1] = "0123456789abcdef"[bytes[i] & 15];
    }
    hex[2 * n] = '\0';
}
