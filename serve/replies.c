/* replies.c: what handlers say, kept until http.c sends it. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "serve/http_private.h"

enum eg_status serve_fail(struct eg_error *err, enum eg_status status, const char *format, ...)
{
    if (!err) return status;
    va_list arguments;
    va_start(arguments, format);
    *err = (struct eg_error){.status = status};
    vsnprintf(err->message, sizeof err->message, format, arguments);
    va_end(arguments);
    return status;
}

double serve_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void clear_content(struct reply *reply)
{
    free(reply->bytes);
    if (reply->kind == REPLY_FD) close(reply->fd);
    reply->bytes = NULL;
    reply->fixed = NULL;
    reply->n_bytes = 0;
    reply->kind = REPLY_NONE;
}

void reply_release(struct reply *reply)
{
    clear_content(reply);
    for (size_t i = 0; i < reply->n_headers; i++) {
        free(reply->headers[i][0]);
        free(reply->headers[i][1]);
    }
    reply->n_headers = 0;
}

static void begin(struct reply *reply, enum reply_kind kind, int status, const char *type)
{
    clear_content(reply);
    reply->kind = kind;
    reply->status = status;
    snprintf(reply->type, sizeof reply->type, "%s", type);
}

void reply_bytes(struct reply *reply, int status, const char *type, void *bytes, size_t n)
{
    begin(reply, REPLY_BYTES, status, type);
    reply->bytes = bytes;
    reply->n_bytes = bytes ? n : 0;
}

void reply_json(struct reply *reply, int status, json_t *json)
{
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    if (text)
        reply_bytes(reply, status, "application/json", text, strlen(text));
    else
        reply_error(reply, 500, "no_memory", "there is no memory for the answer");
}

void reply_error(struct reply *reply, int status, const char *reason, const char *format, ...)
{
    char message[1000];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    for (char *c = message; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f) *c = '?';
    json_t *text = json_string(message);
    json_t *json = json_pack("{s:o,s:s}", "error", text ? text : json_string("what failed is not UTF-8"),
                             "reason", reason);
    char *dumped = json ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    reply_bytes(reply, status, "application/json", dumped, dumped ? strlen(dumped) : 0);
    if (status == 429 || status == 503) reply_header(reply, "Retry-After", "1");
}

static bool same_etag(const struct reply *reply, const char *etag)
{
    const char *known = incoming_header(reply->incoming, "If-None-Match");
    return known && strstr(known, etag);
}

void reply_static(struct reply *reply, const char *type, const void *bytes, size_t n, const char *etag)
{
    begin(reply, REPLY_STATIC, 200, type);
    reply->fixed = bytes;
    reply->n_bytes = n;
    if (!etag) return;
    reply_header(reply, "ETag", etag);
    reply_header(reply, "Cache-Control", "no-cache");
    if (same_etag(reply, etag)) {
        reply->status = 304;
        reply->n_bytes = 0;
    }
}

void reply_fd(struct reply *reply, int fd, const char *type)
{
    struct stat st;
    if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
        close(fd);
        reply_error(reply, 404, "no_such_file", "there is no such file");
        return;
    }
    begin(reply, REPLY_FD, 200, type);
    reply->fd = fd;
    reply->n_bytes = (size_t)st.st_size;
}

void reply_file(struct reply *reply, int folder, const char *path, const char *type)
{
    struct stat st;
    char etag[64];
    int fd = safe_open(folder, path, O_RDONLY | O_NONBLOCK, 0);
    if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode)) {
        if (fd >= 0) close(fd);
        reply_error(reply, 404, "no_such_file", "there is no such file");
        return;
    }
    snprintf(etag, sizeof etag, "\"%llx-%llx-%lx\"", (unsigned long long)st.st_size,
             (unsigned long long)st.st_mtim.tv_sec, (unsigned long)st.st_mtim.tv_nsec);
    if (same_etag(reply, etag)) {
        close(fd);
        reply_static(reply, type, "", 0, etag);
        return;
    }
    reply_fd(reply, fd, type);
    reply_header(reply, "ETag", etag);
    reply_header(reply, "Cache-Control", "no-cache");
}

void reply_events(struct reply *reply)
{
    begin(reply, REPLY_EVENTS, 200, "text/event-stream");
    reply_header(reply, "Cache-Control", "no-store");
}

void reply_header(struct reply *reply, const char *name, const char *value)
{
    if (reply->n_headers == MOST_HEADERS || strpbrk(value, "\r\n")) return;
    char *copies[2] = {strdup(name), strdup(value)};
    if (copies[0] && copies[1]) {
        memcpy(reply->headers[reply->n_headers++], copies, sizeof copies);
        return;
    }
    free(copies[0]);
    free(copies[1]);
}

void reply_later(struct reply *reply) { reply->later = true; }
