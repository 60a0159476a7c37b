/* http_server.h: a server and its requests, as http.c and http_events.c have them. */
#ifndef ENGRAFT_HTTP_SERVER_H
#define ENGRAFT_HTTP_SERVER_H

#include <microhttpd.h>
#include <stdatomic.h>

#include "serve/http_private.h"

struct incoming {
    struct http *http;
    struct MHD_Connection *connection;
    const struct route *route;
    struct request request;
    struct reply reply;
    char *method, *path;
    uint8_t *body;
    size_t n, room, held; /* of the body; held: counted against most_held_bytes */
    size_t discarded;
    int spool;                                    /* file of a large body; -1: none */
    bool refused, suspended, handled, done, sent; /* handled: a handler has it */
    double begun, whole;
    struct incoming *next;
};

struct http {
    struct MHD_Daemon *daemon;
    const struct route *routes;
    size_t n_routes;
    void *state;
    struct http_options options;
    struct guard guard;
    char *spool, *url, *open_url;
    pthread_mutex_t lock;
    pthread_cond_t work, change; /* there is work; something ended */
    struct incoming *first, **last;
    struct window *windows;
    pthread_t *threads, ticker;
    unsigned n_threads;
    size_t n_waiting, n_open, n_in_flight; /* in the queue; begun; being answered */
    atomic_size_t held;
    atomic_bool stopping;
    bool ended, ticking;
    struct http_counts counts;
};

/* Windows (http_events.c). */
struct MHD_Response *events_open(struct incoming *in); /* NULL: no memory */
void *events_tick(void *http);                         /* a thread's, until the server stops */
void events_end(struct http *http);                    /* under the lock: all windows, when they have read */

#endif
