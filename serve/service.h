/* service.h: models that answer over HTTP. */
#ifndef ENGRAFT_SERVICE_H
#define ENGRAFT_SERVICE_H

#include "serve/http.h"

struct service;
struct service_options {
    const eg_net *const *nets; /* they outlive the service */
    const char *const *names;
    size_t n_nets;
    unsigned threads;    /* that compute, each a batch of its own */
    size_t batch;        /* photos, at most */
    size_t most_waiting; /* photos; 0 = 512 */
    size_t most_pixels;  /* of a photo; 0 = 64 million */
};

/* The routes' state is the service. */
extern const struct route service_routes[];
extern const size_t n_service_routes;

EG_MUST_CHECK enum eg_status service_open(const struct service_options *options, struct service **service,
                                          struct eg_error *err);
void service_close(struct service *service); /* the server has stopped */

#endif
