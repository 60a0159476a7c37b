/* http.h: requests to handlers and their replies back, by a table of routes; libmicrohttpd is behind it.
 *
 * What comes in is bounded here: the size of bodies (413), how much waits (429), how long a body may take to
 * come. Host and Origin are checked (403), then the token (401: "Authorization: Bearer T", the cookie, or
 * ?token=T on a GET, which sets the cookie and sends the browser to "/"). A request by
 * cookie that changes something must carry the Origin that browsers send. Replies carry the
 * Content-Security-Policy and its kin. */
#ifndef ENGRAFT_HTTP_H
#define ENGRAFT_HTTP_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "engraft.h"

struct http;     /* a running server */
struct reply;    /* what becomes the answer to one request */
struct incoming; /* http.c's own */

struct request {
    const char *method, *path; /* path: without what follows '?', percent-decoded; foreign text */
    const char *rest;          /* of path: what follows the route's prefix */
    const void *body;          /* aligned as by malloc, or mapped; NULL: none */
    size_t body_bytes;
    struct incoming *incoming;
};
/* NULL: not there. Both live as long as the request. */
const char *request_query(const struct request *request, const char *name);
const char *request_header(const struct request *request, const char *name);
struct http *request_http(const struct request *request); /* the server it came to */

/* ---- replies: one of these a request; without any it is a 500 ------------------------------ */

void reply_json(struct reply *reply, int status, json_t *json); /* takes json */
/* {"error": text, "reason": "no_such_class"}: reason is for programs. 429 and 503 say Retry-After: 1. */
__attribute__((format(printf, 4, 5))) void reply_error(struct reply *reply, int status, const char *reason,
                                                       const char *format, ...);
void reply_bytes(struct reply *reply, int status, const char *type, void *bytes,
                 size_t n); /* free()s bytes */
/* Bytes that outlive the server; etag (quotes and all) may be NULL. */
void reply_static(struct reply *reply, const char *type, const void *bytes, size_t n, const char *etag);
/* A file beneath the folder (safe_open); 404 where it is none. An ETag of its size and time: 304. */
void reply_file(struct reply *reply, int folder, const char *path, const char *type);
void reply_fd(struct reply *reply, int fd, const char *type); /* a whole regular file; closes fd */
void reply_events(struct reply *reply);                       /* from now on what events_send sends */
void reply_header(struct reply *reply, const char *name, const char *value); /* besides any of these */
/* The reply comes later, by another thread: request and reply live until reply_done. */
void reply_later(struct reply *reply);
void reply_done(struct reply *reply);

/* To all windows: an event of the EventSource. Any thread; never blocks: a window that does not read loses
 * its stream, and its browser comes back. */
void events_send(struct http *http, const char *event, const char *json);

/* ---- routes --------------------------------------------------------------------------------- */

typedef void handler(void *state, const struct request *request, struct reply *reply);

enum {
    ROUTE_OPEN = 1,  /* without the token */
    ROUTE_QUICK = 2, /* runs on the network's own thread: it must not wait nor compute */
};
/* The longest prefix wins. "/api/thumb/" takes what begins so; "/api/state" that path alone. HEAD goes to
 * GET. Handlers run on a pool of threads, many at a time. */
struct route {
    const char *method, *prefix;
    handler *call;
    size_t body_limit; /* bytes; 0: no body is taken */
    unsigned flags;
};

struct http_options {
    const char *listen;     /* an address or name; NULL: 127.0.0.1 */
    unsigned port;          /* 0: a free one */
    const char *token;      /* NULL: a random one */
    unsigned threads;       /* that handlers run on; 0 = 8 */
    unsigned most_waiting;  /* requests that wait for a thread, then 429; 0 = 64 */
    size_t most_held_bytes; /* of bodies at one time, then 429; 0 = 2 GiB */
    const char *spool;      /* folder for bodies over a megabyte while they are here; NULL: /tmp */
};
/* routes and state outlive the server. EG_E_SYSTEM: the port is taken, or no such address. */
EG_MUST_CHECK enum eg_status http_start(const struct http_options *options, const struct route *routes,
                                        size_t n_routes, void *state, struct http **http,
                                        struct eg_error *err);
unsigned http_port(const struct http *http);
const char *http_token(const struct http *http);
/* "http://127.0.0.1:8000/?token=..."; lives as long as the server. */
const char *http_url(const struct http *http);
/* The same with a key that opens it once, in place of the token: for a browser's command line, which others
 * on the machine can read. */
const char *http_open_url(const struct http *http);
/* Counts since the start. */
struct http_counts {
    unsigned long long requests, errors[6]; /* by hundreds: errors[4] are the 4xx */
    double seconds;                         /* of all requests, from their last byte to the reply */
    unsigned long long buckets[12];         /* that took at most http_buckets[i]; [11]: all */
    size_t waiting, connections;
};
extern const double http_buckets[11];
struct http_counts http_counts(struct http *http);
/* Takes no more requests, answers what is here (30 s at most), ends. */
void http_stop(struct http *http); /* events may still be sent: nobody hears them */
void http_free(struct http *http); /* after http_stop, when nobody sends events any more */

/* ---- paths (safe_path.c) --------------------------------------------------------------------- */

/* open(2) of a path that must lie beneath the folder, whatever "..", links and mounts it has (openat2). -1
 * with errno. Links inside the folder to places inside it are followed where the
 * system has openat2, else none. */
int safe_open(int folder, const char *path, int flags, unsigned mode);
/* May this be the name of a file or class: not empty, no '/', not "." or "..", not hidden, no control
 * characters, UTF-8, at most 200 bytes. */
bool safe_name(const char *name);

/* ---- uploads (multipart.c, unzip.c) ------------------------------------------------------------ */

struct part {
    const char *name, *filename, *type; /* of the field; NULL: not said */
    const void *bytes;                  /* within the body */
    size_t n_bytes;
};
/* Each part of a multipart/form-data body; the callback's true goes on. 0 or the status to reply with, and
 * why. At most 10,000 parts. */
int multipart_read(const char *content_type, const void *body, size_t n,
                   bool (*take)(void *, const struct part *), void *user, char why[200]);

struct unzip_limits {
    size_t entries;     /* 0 = 10,000 */
    size_t entry_bytes; /* of one, unpacked; 0 = 256 MiB */
    size_t bytes;       /* of all, unpacked; 0 = 4 GiB */
};
/* Each file of a zip, unpacked in memory, by its path in it ("cats/a.jpg"). Nothing is written. An archive
 * with one path that is absolute or has "..", a link, a device, an encrypted entry or too much of anything is
 * refused before the first file is handed over; what cannot be told then (a bomb that lies about its size)
 * ends it later. take: false ends it. 0 or the status to reply with, and why. */
int unzip_read(const void *zip, size_t n, const struct unzip_limits *limits,
               bool (*take)(void *, const char *path, const void *bytes, size_t n), void *user,
               char why[200]);

#endif
