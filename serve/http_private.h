/* http_private.h: what http.c, replies.c and auth.c share. */
#ifndef ENGRAFT_HTTP_PRIVATE_H
#define ENGRAFT_HTTP_PRIVATE_H

#include <pthread.h>
#include <stdint.h>

#include "serve/http.h"

/* ---- who may ask (auth.c) ---------------------------------------------------------------------- */

struct guard {
    char token[129];
    char once[64];   /* admits one GET, and is gone; "": none */
    char cookie[24]; /* its name: cookies do not tell ports apart */
    unsigned port;
    bool any_address; /* listens on all: any literal address is this machine's */
    char *names[4];   /* hosts that may be asked for; NULL: no more */
};
struct asked { /* what of a request its admission depends on; NULL: not there */
    const char *method, *host, *origin, *authorization, *cookie, *token, *once;
};
enum admission { ADMITTED, SET_COOKIE, FOREIGN_HOST, FOREIGN_ORIGIN, NO_TOKEN };
/* open: a route that takes no token. */
enum admission guard_admits(struct guard *guard, const struct asked *asked, bool open);
/* false: no randomness, or the token given is not one. */
bool guard_token(struct guard *guard, const char *given);

/* ---- replies (replies.c) -------------------------------------------------------------------------- */

enum reply_kind { REPLY_NONE, REPLY_BYTES, REPLY_STATIC, REPLY_FD, REPLY_EVENTS };
enum { MOST_HEADERS = 8 };
struct reply {
    enum reply_kind kind;
    int status, fd;
    char type[80];
    void *bytes;
    const void *fixed;
    size_t n_bytes;
    char *headers[MOST_HEADERS][2];
    size_t n_headers;
    bool later;
    struct incoming *incoming;
};
void reply_release(struct reply *reply);
const char *incoming_header(const struct incoming *incoming, const char *name);

/* Writes the error where there is one to write; gives the status. */
__attribute__((format(printf, 3, 4))) enum eg_status serve_fail(struct eg_error *err, enum eg_status status,
                                                                const char *format, ...);
double serve_seconds(void); /* of a clock that never goes back */

#endif
