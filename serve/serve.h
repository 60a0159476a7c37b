/* serve.h: what the program's command `serve` starts: a page of a folder, or a service of models. */
#ifndef ENGRAFT_SERVE_H
#define ENGRAFT_SERVE_H

#include "serve/http.h"

struct serve;

struct serve_options {
    struct http_options http;
    const char *folder;        /* of the page; NULL: the service */
    const char *folders;       /* "DIR:DIR": where weights are looked for */
    const eg_net *const *nets; /* of the service; they outlive it */
    const char *const *names;  /* that they are asked for by */
    size_t n_nets;
    unsigned threads; /* that compute */
    size_t batch;     /* photos computed at a time, at most */
};

EG_MUST_CHECK enum eg_status serve_start(const struct serve_options *options, struct serve **serve,
                                         struct eg_error *err);
struct http *serve_http(const struct serve *serve);
void serve_stop(struct serve *serve); /* answers what is here, then ends */

#endif
