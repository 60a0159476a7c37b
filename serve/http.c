/* http.c: libmicrohttpd's connections to requests, and replies back.
 *
 * One thread of libmicrohttpd's reads and writes all connections. A request that is whole is suspended and
 * waits for a thread of the pool (or is handed to a quick handler at once); when its reply is there it is
 * resumed, and libmicrohttpd's thread sends it. `lock` guards the queue, the windows and what is suspended;
 * nothing waits while it is held. */
#include <errno.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "serve/http_server.h"

enum {
    MOST_CONNECTIONS = 500,
    IDLE_SECONDS = 30,        /* without a byte */
    SPOOL_BYTES = 1 << 20,    /* larger bodies go to a file */
    DISCARD_BYTES = 16 << 20, /* read past a refusal, so that the client gets to read it */
    SLOWEST_BYTES = 64 << 10, /* a second, of a body, after the first minute */
    WINDOW_BYTES = 1 << 20,   /* of events that a window has not read */
    STOP_SECONDS = 30,
};

const double http_buckets[11] = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};

static const char *const standing_headers[][2] = {
    {"Content-Security-Policy",
     "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self' "
     "blob:; "
     "connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
    {"X-Content-Type-Options", "nosniff"},
    {"X-Frame-Options", "DENY"},
    {"Referrer-Policy", "no-referrer"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
    {"Cross-Origin-Opener-Policy", "same-origin"},
};

/* ---- requests ------------------------------------------------------------------------------------ */

const char *incoming_header(const struct incoming *incoming, const char *name)
{
    return MHD_lookup_connection_value(incoming->connection, MHD_HEADER_KIND, name);
}

const char *request_header(const struct request *request, const char *name)
{
    return incoming_header(request->incoming, name);
}

struct http *request_http(const struct request *request) { return request->incoming->http; }

const char *request_query(const struct request *request, const char *name)
{
    const char *value = NULL;
    size_t n = 0;
    if (MHD_lookup_connection_value_n(request->incoming->connection, MHD_GET_ARGUMENT_KIND, name,
                                      strlen(name), &value, &n) != MHD_YES ||
        !value || strlen(value) != n)
        return NULL;
    return value;
}

static bool matches(const struct route *route, const char *path)
{
    size_t n = strlen(route->prefix);
    return route->prefix[n - 1] == '/' ? !strncmp(route->prefix, path, n) : !strcmp(route->prefix, path);
}

/* The longest prefix of the method; other: the path is there for another one. */
static const struct route *find_route(const struct http *http, const char *method, const char *path,
                                      const char **other)
{
    const struct route *best = NULL;
    size_t longest = 0, longest_other = 0;
    if (!strcmp(method, "HEAD")) method = "GET";
    for (size_t i = 0; i < http->n_routes; i++) {
        const struct route *route = &http->routes[i];
        size_t n = strlen(route->prefix);
        if (!matches(route, path)) continue;
        if (!strcmp(route->method, method)) {
            if (n > longest) best = route;
            if (n > longest) longest = n;
        } else if (n > longest_other) {
            longest_other = n;
            *other = route->method;
        }
    }
    if (best && longest_other <= longest) *other = NULL;
    return *other && longest_other > longest ? NULL : best;
}

/* ---- admission ------------------------------------------------------------------------------------- */

static void refuse_token(struct incoming *in)
{
    static const char page[] =
        "<!doctype html><meta charset=utf-8><title>engraft</title><p>This page opens with the address that "
        "<code>engraft serve</code> printed: it has the token that says who you are.";
    const char *accept = incoming_header(in, "Accept");
    if (accept && strstr(accept, "text/html")) {
        reply_static(&in->reply, "text/html; charset=utf-8", page, sizeof page - 1, NULL);
        in->reply.status = 401;
    } else {
        reply_error(&in->reply, 401, "no_token",
                    "the token is missing or wrong (Authorization: Bearer TOKEN, as printed at the start)");
    }
    reply_header(&in->reply, "WWW-Authenticate", "Bearer");
}

static void set_cookie(struct incoming *in)
{
    char cookie[300];
    snprintf(cookie, sizeof cookie, "%s=%s; HttpOnly; SameSite=Strict; Path=/", in->http->guard.cookie,
             in->http->guard.token);
    /* Sent on from another site's page, the browser would leave out a strict cookie: this page asks anew. */
    static const char again[] =
        "<!doctype html><meta charset=utf-8><meta http-equiv=refresh content=\"0;url=/\">"
        "<title>engraft</title><a href=\"/\">engraft</a>";
    const char *from = incoming_header(in, "Sec-Fetch-Site");
    bool elsewhere = from && strcmp(from, "none") != 0 && strcmp(from, "same-origin") != 0;
    reply_static(&in->reply, "text/html; charset=utf-8", again, elsewhere ? sizeof again - 1 : 0, NULL);
    if (!elsewhere) {
        in->reply.status = 303;
        reply_header(&in->reply, "Location", "/");
    }
    reply_header(&in->reply, "Set-Cookie", cookie);
    reply_header(&in->reply, "Cache-Control", "no-store");
}

/* Is it to be answered at all? Else the reply is there. */
static bool admit(struct incoming *in)
{
    struct http *http = in->http;
    struct asked asked = {in->method,
                          incoming_header(in, "Host"),
                          incoming_header(in, "Origin"),
                          incoming_header(in, "Authorization"),
                          MHD_lookup_connection_value(in->connection, MHD_COOKIE_KIND, http->guard.cookie),
                          request_query(&in->request, "token"),
                          request_query(&in->request, "once")};
    switch (guard_admits(&http->guard, &asked, in->route && in->route->flags & ROUTE_OPEN)) {
    case ADMITTED: return true;
    case SET_COOKIE: set_cookie(in); return false;
    case NO_TOKEN: refuse_token(in); return false;
    case FOREIGN_HOST:
        reply_error(&in->reply, 403, "host",
                    "this server does not answer to that name (the Host of the request)");
        return false;
    default:
        reply_error(&in->reply, 403, "origin", "pages of another origin may not ask this server");
        return false;
    }
}

static bool body_fits(struct incoming *in)
{
    const char *length = incoming_header(in, "Content-Length");
    char *end = NULL;
    unsigned long long n = length ? strtoull(length, &end, 10) : 0;
    if (length && n > in->route->body_limit) {
        reply_error(&in->reply, 413, "too_large",
                    "a body of %llu bytes is more than the %zu that are taken here", n,
                    in->route->body_limit);
        return false;
    }
    if (atomic_load(&in->http->held) + n > in->http->options.most_held_bytes) {
        reply_error(&in->reply, 429, "busy", "there are too many bytes of other requests here");
        return false;
    }
    return true;
}

static bool check(struct incoming *in)
{
    const char *other = NULL;
    in->route = find_route(in->http, in->method, in->path, &other);
    if (!admit(in)) return false;
    if (!in->route) {
        if (other) {
            reply_error(&in->reply, 405, "method", "that is asked for by %s", other);
            reply_header(&in->reply, "Allow", other);
        } else {
            reply_error(&in->reply, 404, "no_such_path", "there is no '%s' here", in->path);
        }
        return false;
    }
    if (in->http->stopping) {
        reply_error(&in->reply, 503, "stopping", "the server is stopping");
        return false;
    }
    return body_fits(in);
}

static struct incoming *begin(struct http *http, struct MHD_Connection *connection, const char *path,
                              const char *method)
{
    struct incoming *in = calloc(1, sizeof *in);
    if (!in) return NULL;
    in->http = http;
    in->connection = connection;
    in->spool = -1;
    in->reply.incoming = in;
    in->begun = serve_seconds();
    in->method = strdup(method);
    in->path = strdup(path);
    in->request = (struct request){.method = in->method, .path = in->path, .incoming = in};
    if (!in->method || !in->path) {
        free(in->method);
        free(in->path);
        free(in);
        return NULL;
    }
    pthread_mutex_lock(&http->lock);
    http->n_open++;
    pthread_mutex_unlock(&http->lock);
    in->refused = !check(in);
    if (!in->refused) in->request.rest = in->path + strlen(in->route->prefix);
    return in;
}

/* ---- bodies ------------------------------------------------------------------------------------------ */

static void refuse_body(struct incoming *in, int status, const char *reason, const char *text)
{
    reply_error(&in->reply, status, reason, "%s", text);
    in->refused = true;
}

static bool write_all(int fd, const void *bytes, size_t n)
{
    for (const char *at = bytes; n;) {
        ssize_t wrote = write(fd, at, n);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote <= 0) return false;
        at += wrote;
        n -= (size_t)wrote;
    }
    return true;
}

/* To a file without a name, that is gone when the request is. */
static bool spool(struct incoming *in, const void *bytes, size_t n)
{
    if (in->spool < 0) {
        in->spool = open(in->http->spool, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
        if (in->spool < 0)
            in->spool = memfd_create("body", MFD_CLOEXEC); /* a file system without such files */
        if (in->spool < 0 || !write_all(in->spool, in->body, in->n)) return false;
        free(in->body);
        in->body = NULL;
        in->room = 0;
    }
    return write_all(in->spool, bytes, n);
}

static bool keep(struct incoming *in, const void *bytes, size_t n)
{
    if (in->n + n > SPOOL_BYTES) return spool(in, bytes, n);
    if (in->n + n > in->room) {
        size_t room = 2 * (in->n + n);
        uint8_t *more = realloc(in->body, room);
        if (!more) return false;
        in->body = more;
        in->room = room;
    }
    memcpy(in->body + in->n, bytes, n);
    return true;
}

/* A piece of the body. False: the connection is to be closed. */
static bool receive(struct incoming *in, const void *bytes, size_t n)
{
    double took = serve_seconds() - in->begun;
    if (took > 60 && (double)(in->n + in->discarded) < (took - 60) * SLOWEST_BYTES) return false;
    if (!in->refused && in->n + n > in->route->body_limit)
        refuse_body(in, 413, "too_large", "the body is larger than what is taken here");
    if (!in->refused) {
        atomic_fetch_add(&in->http->held, n);
        in->held += n;
        if (atomic_load(&in->http->held) > in->http->options.most_held_bytes)
            refuse_body(in, 429, "busy", "there are too many bytes of other requests here");
        else if (!keep(in, bytes, n))
            refuse_body(in, 507, "no_room", "there is no room for the body");
    }
    if (in->refused)
        in->discarded += n;
    else
        in->n += n;
    return in->discarded <= DISCARD_BYTES;
}

static bool body_is_whole(struct incoming *in)
{
    in->request.body = in->body;
    in->request.body_bytes = in->n;
    if (in->spool < 0) return true;
    void *mapped = mmap(NULL, in->n, PROT_READ, MAP_PRIVATE, in->spool, 0);
    if (mapped == MAP_FAILED) {
        refuse_body(in, 507, "no_room", "there is no room for the body");
        return false;
    }
    in->request.body = mapped;
    return true;
}

static void free_body(struct incoming *in)
{
    if (in->spool >= 0) {
        if (in->request.body) munmap((void *)in->request.body, in->n);
        close(in->spool);
    }
    free(in->body);
    atomic_fetch_sub(&in->http->held, in->held);
}

/* ---- replies ---------------------------------------------------------------------------------------------
 */

static struct MHD_Response *make_response(struct incoming *in)
{
    struct reply *reply = &in->reply;
    struct MHD_Response *response;
    void *bytes = reply->bytes;
    switch (reply->kind) {
    case REPLY_BYTES:
        response = MHD_create_response_from_buffer(reply->n_bytes, bytes ? bytes : "",
                                                   bytes ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
        if (response) reply->bytes = NULL;
        return response;
    case REPLY_STATIC:
        return MHD_create_response_from_buffer(reply->n_bytes, (void *)reply->fixed, MHD_RESPMEM_PERSISTENT);
    case REPLY_FD:
        response = MHD_create_response_from_fd64(reply->n_bytes, reply->fd);
        if (response) reply->kind = REPLY_NONE; /* the file is the response's */
        return response;
    case REPLY_EVENTS: return events_open(in);
    default: reply_error(reply, 500, "no_answer", "nothing answered"); return make_response(in);
    }
}

static void count(struct incoming *in)
{
    struct http *http = in->http;
    double seconds = in->whole > 0 ? serve_seconds() - in->whole : 0;
    size_t bucket = 0;
    while (bucket < 11 && seconds > http_buckets[bucket]) bucket++;
    pthread_mutex_lock(&http->lock);
    struct http_counts *c = &http->counts;
    c->requests++;
    if (in->reply.status < 600) c->errors[in->reply.status / 100]++;
    c->seconds += seconds;
    for (size_t i = bucket; i < 12; i++) c->buckets[i]++;
    pthread_mutex_unlock(&http->lock);
}

static enum MHD_Result send_reply(struct incoming *in)
{
    bool events = in->reply.kind == REPLY_EVENTS;
    struct MHD_Response *response = make_response(in);
    if (!response) return MHD_NO;
    bool known = in->reply.status != 304 && (in->reply.n_bytes || events);
    if (known) MHD_add_response_header(response, "Content-Type", in->reply.type);
    for (size_t i = 0; i < in->reply.n_headers; i++)
        MHD_add_response_header(response, in->reply.headers[i][0], in->reply.headers[i][1]);
    for (size_t i = 0; i < sizeof standing_headers / sizeof *standing_headers; i++)
        MHD_add_response_header(response, standing_headers[i][0], standing_headers[i][1]);
    if (in->http->stopping) MHD_add_response_header(response, "Connection", "close");
    if (!events) count(in);
    enum MHD_Result result = MHD_queue_response(in->connection, (unsigned)in->reply.status, response);
    MHD_destroy_response(response);
    in->sent = true;
    return result;
}

/* ---- handlers
 * ---------------------------------------------------------------------------------------------- */

/* Under the lock. From here on the request may be sent and freed by libmicrohttpd's thread. */
static void finish(struct incoming *in)
{
    struct http *http = in->http;
    http->n_in_flight--;
    if (in->suspended) MHD_resume_connection(in->connection);
    pthread_cond_broadcast(&http->change);
}

/* While its handler has not returned, the handler's thread still reads the request. */
void reply_done(struct reply *reply)
{
    struct incoming *in = reply->incoming;
    struct http *http = in->http;
    pthread_mutex_lock(&http->lock);
    in->done = true;
    if (!in->handled) finish(in);
    pthread_mutex_unlock(&http->lock);
}

static void call_handler(struct incoming *in) { in->route->call(in->http->state, &in->request, &in->reply); }

/* Under the lock, when the handler has returned. */
static void handler_returned(struct incoming *in)
{
    in->handled = false;
    if (!in->reply.later) in->done = true;
    if (in->done) finish(in);
}

static void *handle_requests(void *user)
{
    struct http *http = user;
    pthread_mutex_lock(&http->lock);
    for (;;) {
        struct incoming *in = http->first;
        if (!in && http->ended) break;
        if (!in) {
            pthread_cond_wait(&http->work, &http->lock);
            continue;
        }
        http->first = in->next;
        if (!http->first) http->last = &http->first;
        http->n_waiting--;
        pthread_mutex_unlock(&http->lock);
        call_handler(in);
        pthread_mutex_lock(&http->lock);
        handler_returned(in);
    }
    pthread_mutex_unlock(&http->lock);
    return NULL;
}

/* A quick handler's reply may be done by another thread before this one can suspend. */
static enum MHD_Result call_quick(struct incoming *in)
{
    struct http *http = in->http;
    pthread_mutex_lock(&http->lock);
    http->n_in_flight++;
    in->handled = true;
    pthread_mutex_unlock(&http->lock);
    call_handler(in);
    pthread_mutex_lock(&http->lock);
    handler_returned(in);
    bool done = in->done;
    if (!done) {
        MHD_suspend_connection(in->connection);
        in->suspended = true;
    }
    pthread_mutex_unlock(&http->lock);
    return done ? send_reply(in) : MHD_YES;
}

static enum MHD_Result call_on_thread(struct incoming *in)
{
    struct http *http = in->http;
    pthread_mutex_lock(&http->lock);
    bool room = http->n_waiting < http->options.most_waiting;
    if (room) {
        http->n_in_flight++;
        http->n_waiting++;
        in->handled = true;
        MHD_suspend_connection(in->connection);
        in->suspended = true;
        *http->last = in;
        http->last = &in->next;
        pthread_cond_signal(&http->work);
    }
    pthread_mutex_unlock(&http->lock);
    if (room) return MHD_YES;
    reply_error(&in->reply, 429, "busy", "too many requests are waiting");
    return send_reply(in);
}

/* libmicrohttpd's calls for one request: its headers; pieces of its body; its end; after it was resumed. */
static enum MHD_Result answer(void *user, struct MHD_Connection *connection, const char *path,
                              const char *method, const char *version, const char *bytes, size_t *n,
                              void **kept)
{
    (void)version;
    struct incoming *in = *kept;
    if (!in) {
        in = *kept = begin(user, connection, path, method);
        if (!in) return MHD_NO;
        const char *length = incoming_header(in, "Content-Length");
        /* A refused body that is large is not waited for. */
        bool large = length && strtoull(length, NULL, 10) > DISCARD_BYTES;
        return in->refused && large ? send_reply(in) : MHD_YES;
    }
    if (*n) {
        bool on = receive(in, bytes, *n);
        *n = 0;
        return on ? MHD_YES : MHD_NO;
    }
    if (in->sent) return MHD_YES;
    if (in->done) return send_reply(in);
    in->whole = serve_seconds();
    if (in->refused || !body_is_whole(in)) return send_reply(in);
    return in->route->flags & ROUTE_QUICK ? call_quick(in) : call_on_thread(in);
}

static void completed(void *user, struct MHD_Connection *connection, void **kept,
                      enum MHD_RequestTerminationCode code)
{
    (void)connection;
    (void)code;
    struct http *http = user;
    struct incoming *in = *kept;
    if (!in) return;
    *kept = NULL;
    free_body(in);
    reply_release(&in->reply);
    free(in->method);
    free(in->path);
    free(in);
    pthread_mutex_lock(&http->lock);
    http->n_open--;
    pthread_cond_broadcast(&http->change);
    pthread_mutex_unlock(&http->lock);
}

/* ---- start and stop
 * -------------------------------------------------------------------------------------------- */

static int open_socket(const char *address, unsigned port, bool *any, struct eg_error *err)
{
    char text[16];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *found = NULL;
    snprintf(text, sizeof text, "%u", port);
    int code = getaddrinfo(address, text, &hints, &found), fd = -1, on = 1;
    if (code) {
        serve_fail(err, EG_E_SYSTEM, "cannot listen on '%s': %s", address, gai_strerror(code));
        return -1;
    }
    fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (fd < 0 || bind(fd, found->ai_addr, found->ai_addrlen) || listen(fd, 512)) {
        serve_fail(err, EG_E_SYSTEM, "cannot listen on port %u of '%s': %s%s", port, address, strerror(errno),
                   errno == EADDRINUSE ? " (take another port, or 0 for a free one)" : "");
        if (fd >= 0) close(fd);
        fd = -1;
    }
    if (found->ai_family == AF_INET6)
        *any = IN6_IS_ADDR_UNSPECIFIED(&((struct sockaddr_in6 *)(void *)found->ai_addr)->sin6_addr);
    else
        *any = ((struct sockaddr_in *)(void *)found->ai_addr)->sin_addr.s_addr == htonl(INADDR_ANY);
    freeaddrinfo(found);
    return fd;
}

/* The names it answers to, and the address to open. */
static bool name_hosts(struct http *http, const char *address)
{
    struct guard *guard = &http->guard;
    char own[256] = "", bracketed[300];
    const char *shown = address;
    size_t n = 0;
    if (strchr(address, ':')) {
        snprintf(bracketed, sizeof bracketed, "[%s]", address);
        shown = bracketed;
    }
    bool local = !strcmp(address, "127.0.0.1") || !strcmp(address, "::1") || !strcmp(address, "localhost");
    guard->names[n++] = strdup(shown);
    if (local || guard->any_address) guard->names[n++] = strdup("localhost");
    if (!strcmp(address, "localhost")) guard->names[n++] = strdup("127.0.0.1");
    if (!local && !gethostname(own, sizeof own - 1) && *own) guard->names[n++] = strdup(own);
    for (size_t i = 0; i < n; i++)
        if (!guard->names[i]) return false;
    if (guard->any_address && *own) shown = own;
    snprintf(guard->cookie, sizeof guard->cookie, "engraft-%u", guard->port);
    return asprintf(&http->url, "http://%s:%u/?token=%s", shown, guard->port, guard->token) > 0 &&
           asprintf(&http->open_url, "http://%s:%u/?once=%s", shown, guard->port, guard->once) > 0;
}

static enum eg_status listen_on(struct http *http, struct eg_error *err)
{
    const char *address = http->options.listen ? http->options.listen : "127.0.0.1";
    struct sockaddr_storage bound;
    socklen_t length = sizeof bound;
    int fd = open_socket(address, http->options.port, &http->guard.any_address, err);
    if (fd < 0) return EG_E_SYSTEM;
    if (getsockname(fd, (struct sockaddr *)&bound, &length)) {
        close(fd);
        return serve_fail(err, EG_E_SYSTEM, "cannot listen: %s", strerror(errno));
    }
    http->guard.port = ntohs(bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&bound)->sin6_port
                                                         : ((struct sockaddr_in *)&bound)->sin_port);
    if (!name_hosts(http, address)) {
        close(fd);
        return serve_fail(err, EG_E_MEMORY, "out of memory");
    }
    http->daemon =
        MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, answer,
                         http, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
                         (unsigned)MOST_CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_SECONDS,
                         MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)65536, MHD_OPTION_NOTIFY_COMPLETED,
                         completed, http, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
    if (http->daemon) return EG_OK;
    close(fd);
    return serve_fail(err, EG_E_SYSTEM, "cannot start the server: %s", strerror(errno));
}

static enum eg_status start_threads(struct http *http, struct eg_error *err)
{
    http->threads = calloc(http->options.threads, sizeof *http->threads);
    if (!http->threads) return serve_fail(err, EG_E_MEMORY, "out of memory");
    for (; http->n_threads < http->options.threads; http->n_threads++)
        if (pthread_create(&http->threads[http->n_threads], NULL, handle_requests, http))
            return serve_fail(err, EG_E_SYSTEM, "cannot start a thread");
    http->ticking = !pthread_create(&http->ticker, NULL, events_tick, http);
    return http->ticking ? EG_OK : serve_fail(err, EG_E_SYSTEM, "cannot start a thread");
}

enum eg_status http_start(const struct http_options *options, const struct route *routes, size_t n_routes,
                          void *state, struct http **made, struct eg_error *err)
{
    struct http *http = calloc(1, sizeof *http);
    if (!http) return serve_fail(err, EG_E_MEMORY, "out of memory");
    *http = (struct http){.routes = routes, .n_routes = n_routes, .state = state, .options = *options};
    http->last = &http->first;
    if (!http->options.threads) http->options.threads = 8;
    if (!http->options.most_waiting) http->options.most_waiting = 64;
    if (!http->options.most_held_bytes) http->options.most_held_bytes = (size_t)2 << 30;
    pthread_mutex_init(&http->lock, NULL);
    pthread_cond_init(&http->work, NULL);
    pthread_cond_init(&http->change, NULL);
    http->spool = strdup(options->spool ? options->spool : "/tmp");
    enum eg_status status = EG_OK;
    if (!http->spool)
        status = serve_fail(err, EG_E_MEMORY, "out of memory");
    else if (!guard_token(&http->guard, options->token))
        status = serve_fail(err, EG_E_ARGUMENT, "the token is not 8 to 128 of A-Z, a-z, 0-9, - and _");
    if (!status) status = start_threads(http, err);
    if (!status) status = listen_on(http, err);
    if (status) {
        http_stop(http);
        http_free(http);
    } else {
        *made = http;
    }
    return status;
}

unsigned http_port(const struct http *http) { return http->guard.port; }
const char *http_token(const struct http *http) { return http->guard.token; }
const char *http_url(const struct http *http) { return http->url; }
const char *http_open_url(const struct http *http) { return http->open_url; }

struct http_counts http_counts(struct http *http)
{
    pthread_mutex_lock(&http->lock);
    struct http_counts counts = http->counts;
    counts.waiting = http->n_waiting;
    counts.connections = http->n_open;
    pthread_mutex_unlock(&http->lock);
    return counts;
}

/* Under the lock: until nothing is left, or the time is up. What is being answered is waited for in any case:
 * a suspended connection cannot be ended. */
static void wait_for_replies(struct http *http)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += STOP_SECONDS;
    bool late = false;
    while (http->n_in_flight || (http->n_open && !late)) {
        if (late)
            pthread_cond_wait(&http->change, &http->lock);
        else
            late = pthread_cond_timedwait(&http->change, &http->lock, &until) == ETIMEDOUT;
    }
}

static void end_connections(struct http *http)
{
    MHD_socket listening = MHD_quiesce_daemon(http->daemon);
    if (listening != MHD_INVALID_SOCKET) close(listening);
    pthread_mutex_lock(&http->lock);
    events_end(http);
    wait_for_replies(http);
    pthread_mutex_unlock(&http->lock);
    MHD_stop_daemon(http->daemon);
}

void http_stop(struct http *http)
{
    if (!http) return;
    pthread_mutex_lock(&http->lock);
    http->stopping = true;
    pthread_cond_broadcast(&http->change);
    pthread_mutex_unlock(&http->lock);
    if (http->ticking) pthread_join(http->ticker, NULL);
    if (http->daemon) end_connections(http);
    pthread_mutex_lock(&http->lock);
    http->ended = true;
    pthread_cond_broadcast(&http->work);
    pthread_mutex_unlock(&http->lock);
    for (unsigned i = 0; i < http->n_threads; i++) pthread_join(http->threads[i], NULL);
}

void http_free(struct http *http)
{
    if (!http) return;
    free(http->threads);
    for (size_t i = 0; i < sizeof http->guard.names / sizeof *http->guard.names; i++)
        free(http->guard.names[i]);
    free(http->spool);
    free(http->url);
    free(http->open_url);
    pthread_mutex_destroy(&http->lock);
    pthread_cond_destroy(&http->work);
    pthread_cond_destroy(&http->change);
    free(http);
}
