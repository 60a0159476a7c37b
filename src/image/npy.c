/* npy.c: an array of network inputs in NumPy's format.
 *
 *   "\x93NUMPY" | major, minor | header length (2 bytes in version 1, 4 in 2 and 3, little-
 *   endian) | a Python dictionary: {'descr': '<f4', 'fortran_order': False,
 *   'shape': (10, 3, 224, 224), } | the numbers */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/half.h"
#include "base/mem.h"
#include "image/dataset_build.h"
#include "image/npy.h"

enum { MAX_HEADER = 1 << 16, HEAD = 12 };

struct eg_npy {
    int fd;
    size_t rows, channels, height, width;
    off_t data; /* where the numbers begin */
};

/* ---- the dictionary ---- */

struct cursor {
    const char *at, *end;
};

static void skip_space(struct cursor *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\n' || *c->at == '\t')) c->at++;
}

static bool accept(struct cursor *c, const char *token)
{
    skip_space(c);
    size_t n = strlen(token);
    if ((size_t)(c->end - c->at) < n || memcmp(c->at, token, n)) return false;
    c->at += n;
    return true;
}

static bool read_quoted(struct cursor *c, char *text, size_t capacity)
{
    skip_space(c);
    if (c->at == c->end || (*c->at != '\'' && *c->at != '"')) return false;
    char quote = *c->at++;
    const char *close = memchr(c->at, quote, (size_t)(c->end - c->at));
    if (!close || (size_t)(close - c->at) >= capacity) return false;
    memcpy(text, c->at, (size_t)(close - c->at));
    text[close - c->at] = '\0';
    c->at = close + 1;
    return true;
}

static bool read_shape(struct cursor *c, struct eg_npy_header *header)
{
    if (!accept(c, "(")) return false;
    header->n_dims = 0;
    while (!accept(c, ")")) {
        if (header->n_dims && !accept(c, ",")) return false;
        if (header->n_dims && accept(c, ")")) return true;
        if (header->n_dims == EG_RANK_MAX) return false;
        size_t value = 0, digits = 0;
        skip_space(c);
        for (; c->at < c->end && *c->at >= '0' && *c->at <= '9'; c->at++, digits++)
            if (!eg__mul(value, 10, &value) || __builtin_add_overflow(value, (size_t)(*c->at - '0'), &value))
                return false;
        if (!digits) return false;
        header->shape[header->n_dims++] = value;
    }
    return true;
}

enum eg_status eg__npy_parse(const char *text, size_t n, struct eg_npy_header *header, struct eg_error *err)
{
    struct cursor c = {text, text + n};
    struct eg_npy_header made = {0};
    bool has_type = false, has_order = false, has_shape = false;
    char key[16], value[16];
    if (!accept(&c, "{")) return eg__fail(err, EG_E_FORMAT, "damaged .npy header");
    while (!accept(&c, "}")) {
        if (!read_quoted(&c, key, sizeof key) || !accept(&c, ":"))
            return eg__fail(err, EG_E_FORMAT, "damaged .npy header");
        if (!strcmp(key, "descr")) {
            has_type = read_quoted(&c, value, sizeof value);
            if (!has_type || strcmp(value, "<f4"))
                return eg__fail(err, EG_E_UNSUPPORTED, "its numbers are not float32 (save x.astype('<f4'))");
        } else if (!strcmp(key, "fortran_order")) {
            has_order = accept(&c, "False");
            if (!has_order)
                return eg__fail(err, EG_E_UNSUPPORTED,
                                "it is in Fortran order (save numpy.ascontiguousarray(x))");
        } else if (!strcmp(key, "shape")) {
            has_shape = read_shape(&c, &made);
            if (!has_shape)
                return eg__fail(err, EG_E_SHAPE, "its shape is none of up to %d dimensions", EG_RANK_MAX);
        } else {
            return eg__fail(err, EG_E_FORMAT, "damaged .npy header: unknown key");
        }
        if (!accept(&c, ",") && !(skip_space(&c), c.at < c.end && *c.at == '}'))
            return eg__fail(err, EG_E_FORMAT, "damaged .npy header");
    }
    if (!has_type || !has_order || !has_shape)
        return eg__fail(err, EG_E_FORMAT, "damaged .npy header: a key is missing");
    *header = made;
    return EG_OK;
}

/* ---- the file ---- */

static bool read_at(int fd, void *out, size_t n, off_t offset)
{
    for (size_t done = 0; done < n;) {
        ssize_t got = pread(fd, (char *)out + done, n - done, offset + (off_t)done);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        done += (size_t)got;
    }
    return true;
}

/* The start of a file: where its dictionary lies. */
static enum eg_status find_header(const uint8_t head[HEAD], uint64_t file_size, size_t *at, size_t *length,
                                  struct eg_error *err)
{
    if (file_size < HEAD || memcmp(head, "\x93NUMPY", 6))
        return eg__fail(err, EG_E_FORMAT, "not a .npy file");
    bool wide = head[6] > 1;
    if (head[6] < 1 || head[6] > 3) return eg__fail(err, EG_E_UNSUPPORTED, ".npy version %u", head[6]);
    *at = wide ? 12 : 10;
    *length = (size_t)head[8] | (size_t)head[9] << 8;
    if (wide) *length |= (size_t)head[10] << 16 | (size_t)head[11] << 24;
    if (*length > MAX_HEADER || *at + *length > file_size)
        return eg__fail(err, EG_E_FORMAT, "truncated .npy header");
    return EG_OK;
}

/* Is room [bytes] what the shape takes? */
static enum eg_status check_room(const struct eg_npy_header *header, uint64_t room, struct eg_error *err)
{
    size_t bytes = sizeof(float);
    for (size_t i = 0; i < header->n_dims; i++)
        if (!eg__mul(bytes, header->shape[i], &bytes)) bytes = SIZE_MAX;
    if (bytes != room)
        return eg__fail(err, EG_E_FORMAT, "its size does not fit the shape it states (truncated?)");
    return EG_OK;
}

enum eg_status eg__npy_view(const uint8_t *bytes, size_t n_bytes, struct eg_npy_header *header,
                            const uint8_t **numbers, struct eg_error *err)
{
    static const uint8_t none[HEAD];
    size_t at, length;
    struct eg_npy_header made;
    enum eg_status status = find_header(n_bytes < HEAD ? none : bytes, n_bytes, &at, &length, err);
    if (!status) status = eg__npy_parse((const char *)bytes + at, length, &made, err);
    if (!status) status = check_room(&made, n_bytes - at - length, err);
    if (status) return status;
    *header = made;
    *numbers = bytes + at + length;
    return EG_OK;
}

static enum eg_status read_header(struct eg_npy *npy, uint64_t file_size, struct eg_error *err)
{
    uint8_t head[HEAD];
    size_t at, length;
    if (file_size < sizeof head || !read_at(npy->fd, head, sizeof head, 0))
        return eg__fail(err, EG_E_FORMAT, "not a .npy file");
    enum eg_status status = find_header(head, file_size, &at, &length, err);
    if (status) return status;
    char *text = eg__alloc(length, 1);
    if (!text) return eg__fail_memory(err, "a .npy header");
    struct eg_npy_header header;
    status = read_at(npy->fd, text, length, (off_t)at) ? eg__npy_parse(text, length, &header, err)
                                                       : eg__fail(err, EG_E_IO, "truncated .npy header");
    free(text);
    if (status) return status;
    const size_t *chw = header.shape + header.n_dims - 3;
    if (header.n_dims < 3 || header.n_dims > 4 || !chw[0] || !chw[1] || !chw[2])
        return eg__fail(err, EG_E_SHAPE, "its shape is not [N][C][H][W] or [C][H][W]");
    npy->rows = header.n_dims == 4 ? header.shape[0] : 1;
    npy->channels = chw[0];
    npy->height = chw[1];
    npy->width = chw[2];
    npy->data = (off_t)(at + length);
    return check_room(&header, file_size - at - length, err);
}

enum eg_status eg__npy_open(const char *path, struct eg_npy **npy, struct eg_error *err)
{
    struct eg_npy *made = eg__zalloc(1, sizeof *made);
    if (!made) return eg__fail_memory(err, "an array");
    struct stat info;
    enum eg_status status;
    made->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (made->fd < 0 || fstat(made->fd, &info))
        status = eg__fail(err, EG_E_IO, "cannot open it: %s", strerror(errno));
    else if (!S_ISREG(info.st_mode))
        status = eg__fail(err, EG_E_IO, "not a regular file");
    else
        status = read_header(made, (uint64_t)info.st_size, err);
    if (status) {
        eg__npy_close(made);
        return status;
    }
    *npy = made;
    return EG_OK;
}

void eg__npy_close(struct eg_npy *npy)
{
    if (!npy) return;
    if (npy->fd >= 0) close(npy->fd);
    free(npy);
}

size_t eg__npy_rows(const struct eg_npy *npy) { return npy->rows; }

void eg__npy_shape(const struct eg_npy *npy, size_t *h, size_t *w, size_t *c)
{
    *h = npy->height;
    *w = npy->width;
    *c = npy->channels;
}

enum eg_status eg__npy_read(const struct eg_npy *npy, size_t row, float *hwc, struct eg_error *err)
{
    size_t plane = npy->height * npy->width, bytes = plane * npy->channels * sizeof(float);
    uint32_t *chw = eg__alloc(plane, npy->channels * sizeof(float));
    if (!chw) return eg__fail_memory(err, "a row of an array");
    if (!read_at(npy->fd, chw, bytes, npy->data + (off_t)(row * bytes))) {
        free(chw);
        return eg__fail(err, EG_E_IO, "the array file was cut short");
    }
    for (size_t c = 0; c < npy->channels; c++)
        for (size_t i = 0; i < plane; i++)
            hwc[i * npy->channels + c] = eg__bits_f32(le32toh(chw[c * plane + i]));
    free(chw);
    return EG_OK;
}
