#include "model/prepared.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/versioned.h"

struct eg_shared {
    pthread_mutex_t lock;
    struct eg_prepared *first;
    struct eg_net *net;
    size_t holders; /* its user, and predictors */
};

struct eg_shared *eg__shared_create(struct eg_net *net)
{
    struct eg_shared *shared = eg__zalloc(1, sizeof *shared);
    if (!shared) return NULL;
    pthread_mutex_init(&shared->lock, NULL);
    shared->net = net;
    shared->holders = 1;
    return shared;
}

bool eg__shared_leave(struct eg_shared *shared)
{
    pthread_mutex_lock(&shared->lock);
    const bool last = !--shared->holders;
    pthread_mutex_unlock(&shared->lock);
    return last;
}

void eg__shared_free(struct eg_shared *shared)
{
    if (!shared) return;
    pthread_mutex_destroy(&shared->lock);
    free(shared);
}

/* Equal wishes give equal keys: what could run into its neighbour has its length before it. */
static char *key_of(const struct eg_prepare *w, const struct eg_run_cuts *cuts)
{
    struct eg_text text = {0};
    eg__text_append(&text, "%zu %d %d", w->batch, w->answer, w->cuts != NULL);
    if (w->cuts) {
        const char *pool = cuts->pool ? cuts->pool : "flatten", *order = cuts->order ? cuts->order : "chw";
        eg__text_append(&text, " %d %zu %s %s", cuts->exact, strlen(pool), pool, order);
        for (size_t i = 0; i < cuts->n_cuts; i++)
            eg__text_append(&text, " %zu %s", strlen(cuts->cuts[i]), cuts->cuts[i]);
    }
    if (!text.failed) return text.chars;
    free(text.chars);
    return NULL;
}

static void release(struct eg_prepared *p)
{
    eg__run_free(p->first);
    eg__cuts_release(&p->plan);
    free(p->key);
    free(p);
}

static enum eg_status make(const struct eg_net *net, const struct eg_prepare *wanted,
                           const struct eg_run_cuts *cuts, struct eg_prepared *p, struct eg_error *err)
{
    const struct eg_run_cuts *asked = wanted->cuts ? cuts : NULL;
    enum eg_status status = wanted->answer ? eg__answer_plan(net, asked, &p->plan, err)
                                           : eg__cuts_plan(net, asked, &p->plan, err);
    struct eg_run_options options = {.max_batch = wanted->batch, .exact = cuts->exact, .plan_only = true};
    if (!status)
        status =
            eg__run_create(p->plan.graph, p->plan.outputs, p->plan.n_outputs, &options, NULL, &p->first, err);
    return status;
}

enum eg_status eg__prepare(const struct eg_net *net, const struct eg_prepare *wanted,
                           struct eg_prepared **out, struct eg_error *err)
{
    struct eg_run_cuts cuts;
    enum eg_status status = eg__options(&cuts, sizeof cuts, wanted->cuts, err);
    if (status) return status;
    struct eg_shared *shared = net->shared;
    char *key = key_of(wanted, &cuts);
    if (!key) return eg__fail_memory(err, "the plan");
    pthread_mutex_lock(&shared->lock);
    struct eg_prepared *p = shared->first;
    while (p && strcmp(p->key, key)) p = p->next;
    if (!p) {
        p = eg__zalloc(1, sizeof *p);
        status = p ? make(net, wanted, &cuts, p, err) : eg__fail_memory(err, "the plan");
        if (!status) {
            p->key = key;
            key = NULL;
            p->next = shared->first;
            shared->first = p;
        } else if (p) {
            release(p);
        }
    }
    if (!status) {
        p->users++;
        shared->holders++;
    }
    pthread_mutex_unlock(&shared->lock);
    free(key);
    if (!status) *out = p;
    return status;
}

void eg__unprepare(const struct eg_net *net, struct eg_prepared *prepared)
{
    if (!prepared) return;
    pthread_mutex_lock(&net->shared->lock);
    const bool last = !--prepared->users;
    struct eg_prepared **link = &net->shared->first;
    while (last && *link != prepared) link = &(*link)->next;
    if (last) *link = prepared->next;
    pthread_mutex_unlock(&net->shared->lock);
    if (last) release(prepared);
    if (eg__shared_leave(net->shared)) eg__net_release(net->shared->net);
}
