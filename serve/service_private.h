/* service_private.h: what service.c (requests in) and batches.c (photos through the models) share. */
#ifndef ENGRAFT_SERVICE_PRIVATE_H
#define ENGRAFT_SERVICE_PRIVATE_H

#include <pthread.h>

#include "serve/http_private.h"
#include "serve/service.h"

struct ask;
struct job { /* one photo */
    struct ask *ask;
    char *path; /* as the answer names it */
    const void *bytes;
    size_t n_bytes;
    char *answer; /* JSON; NULL: none yet */
    bool failed;
    struct job *next;
};

struct ask { /* one request */
    struct reply *reply;
    size_t model, top;
    double since;
    size_t n, room, left; /* left: photos without an answer */
    struct job *jobs;     /* [room] */
};

struct model {
    const eg_net *net;
    const char *name;
    unsigned long long photos, unreadable, batches;
    double seconds; /* of computing */
};

struct worker {
    struct service *service;
    pthread_t thread;
    eg_predictor **predictors; /* [n_models] */
    struct eg_photo_bytes *photos;
    struct eg_prediction *answers;
    struct job **jobs;
    struct eg_guess *top;
    bool runs;
};

struct service {
    struct service_options options;
    struct model *models;
    struct worker *workers;
    pthread_mutex_t lock; /* of the queue and the counts */
    pthread_cond_t work;
    struct job *first, **last;
    size_t n_waiting;
    unsigned long long refused, late;
    bool ended;
};

/* Takes the ask: its photos wait for a worker. False: there is no room for so many. */
bool queue_ask(struct service *service, struct ask *ask);
void *work_on_batches(void *worker); /* a thread's */
void free_ask(struct ask *ask);

/* /metrics (service_metrics.c) */
handler get_metrics;

#endif
