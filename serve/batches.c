/* batches.c: photos that wait, through the models, as many at a time as there are.
 *
 * Each thread has a predictor of each model and takes a share of what waits for one model, its oldest first:
 * alone a photo does not wait for others, and under load batches fill. */
#include <stdlib.h>
#include <string.h>

#include "serve/service_private.h"

enum { LATE_SECONDS = 30 };

void free_ask(struct ask *ask)
{
    for (size_t i = 0; i < ask->n; i++) {
        free(ask->jobs[i].path);
        free(ask->jobs[i].answer);
    }
    free(ask->jobs);
    free(ask);
}

bool queue_ask(struct service *service, struct ask *ask)
{
    pthread_mutex_lock(&service->lock);
    bool room = service->n_waiting + ask->n <= service->options.most_waiting;
    if (room) {
        for (size_t i = 0; i < ask->n; i++) {
            *service->last = &ask->jobs[i];
            service->last = &ask->jobs[i].next;
        }
        service->n_waiting += ask->n;
        if (ask->n > 1)
            pthread_cond_broadcast(&service->work);
        else
            pthread_cond_signal(&service->work);
    } else {
        service->refused++;
    }
    pthread_mutex_unlock(&service->lock);
    return room;
}

/* Under the lock: the oldest photo's model, and as many of it as are this thread's share. */
static size_t take_batch(struct worker *w)
{
    struct service *s = w->service;
    size_t n = 0, share = (s->n_waiting + s->options.threads - 1) / s->options.threads;
    if (share > s->options.batch) share = s->options.batch;
    for (struct job **at = &s->first; *at && n < share;) {
        struct job *job = *at;
        if (n && job->ask->model != w->jobs[0]->ask->model) {
            at = &job->next;
            continue;
        }
        w->jobs[n++] = job;
        *at = job->next;
    }
    s->last = &s->first;
    while (*s->last) s->last = &(*s->last)->next;
    s->n_waiting -= n;
    return n;
}

static char *error_json(const struct job *job, const char *error)
{
    return eg_answer_json(&(struct eg_answer){.path = job->path, .error = error});
}

/* As predict says it: the likeliest classes; of several labels those said beside them; or the number. */
static char *answer_json(const struct worker *w, const struct job *job, const eg_net *net,
                         const struct eg_prediction *said)
{
    struct eg_answer answer = {.path = job->path, .error = said->error};
    const enum eg_answer_kind kind = eg_net_answer(net);
    struct eg_guess *labels = NULL;
    if (kind == EG_ANSWER_VALUE && !said->error) {
        answer.value = (double)said->probability;
        return eg_answer_json(&answer);
    }
    answer.top = w->top;
    answer.n_top = eg_prediction_top(net, said, w->top, job->ask->top);
    if (kind == EG_ANSWER_LABELS) {
        if (!(labels = calloc(eg_net_class_count(net) + 1, sizeof *labels))) return NULL;
        answer.labels = labels;
        answer.n_labels = eg_prediction_labels(net, said, labels);
    }
    char *text = eg_answer_json(&answer);
    free(labels);
    return text;
}

/* Photos that are no photo, or too large, do not go into the batch. */
static size_t look_at_photos(struct worker *w, size_t n)
{
    size_t most = w->service->options.most_pixels, kept = 0;
    for (size_t i = 0; i < n; i++) {
        struct job *job = w->jobs[i];
        struct eg_error err = {.message = ""};
        size_t width, height;
        char text[200];
        if (eg_image_size(job->bytes, job->n_bytes, &width, &height, &err)) {
            job->answer = error_json(job, err.message);
        } else if (height && width > most / height) {
            snprintf(text, sizeof text, "too large: %zu x %zu pixels are more than %zu million", width,
                     height, most / 1000000);
            job->answer = error_json(job, text);
        } else {
            struct job *other = w->jobs[kept]; /* the batch's photos come first */
            w->jobs[kept] = job;
            w->jobs[i] = other;
            w->photos[kept++] = (struct eg_photo_bytes){job->bytes, job->n_bytes};
            continue;
        }
        job->failed = true;
    }
    return kept;
}

static void compute(struct worker *w, size_t n)
{
    size_t model = w->jobs[0]->ask->model, kept = look_at_photos(w, n);
    const struct model *m = &w->service->models[model];
    struct eg_error err = {.message = ""};
    enum eg_status status =
        kept ? eg_predict_bytes(w->predictors[model], w->photos, kept, w->answers, &err) : EG_OK;
    for (size_t i = 0; i < kept; i++) {
        struct job *job = w->jobs[i];
        const char *error = status ? err.message : w->answers[i].error;
        job->failed = error != NULL;
        job->answer = error ? error_json(job, error) : answer_json(w, job, m->net, &w->answers[i]);
    }
}

/* [{...},{...}]: as one request asked, though its photos were in several batches. */
static void reply_answers(struct ask *ask)
{
    char *text = NULL;
    size_t size = 0, failed = 0, missing = 0;
    FILE *to = open_memstream(&text, &size);
    for (size_t i = 0; to && i < ask->n; i++) {
        failed += ask->jobs[i].failed;
        missing += !ask->jobs[i].answer;
        fprintf(to, "%s%s", i ? "," : "[", ask->jobs[i].answer ? ask->jobs[i].answer : "null");
    }
    if (to) fputs("]\n", to);
    if (!to || fclose(to) || missing) {
        free(text);
        reply_error(ask->reply, 500, "no_memory", "there is no memory for the answer");
    } else {
        reply_bytes(ask->reply, failed == ask->n ? 422 : 200, "application/json", text, size);
    }
}

/* Photos of a request that waited too long are not computed. */
static bool is_late(const struct ask *ask) { return serve_seconds() - ask->since > LATE_SECONDS; }

static size_t drop_late(struct worker *w, size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        struct job *job = w->jobs[i];
        if (is_late(job->ask)) continue;
        w->jobs[i] = w->jobs[kept];
        w->jobs[kept++] = job;
    }
    return kept;
}

/* Under the lock: the batch's counts, and its requests that are complete, which are linked by their first
 * job. */
static struct job *settle(struct worker *w, size_t n, size_t computed, double seconds)
{
    struct model *m = &w->service->models[w->jobs[0]->ask->model];
    struct job *complete = NULL;
    m->batches += computed > 0;
    m->seconds += seconds;
    for (size_t i = 0; i < n; i++) {
        struct job *job = w->jobs[i];
        m->photos++;
        m->unreadable += job->failed;
        if (--job->ask->left) continue;
        job->ask->jobs[0].next = complete;
        complete = &job->ask->jobs[0];
    }
    return complete;
}

static void reply_ask(struct service *service, struct ask *ask)
{
    struct reply *reply = ask->reply;
    bool late = false;
    for (size_t i = 0; i < ask->n; i++) late |= !ask->jobs[i].answer;
    if (late && is_late(ask)) {
        reply_error(reply, 503, "late", "the photos waited for more than %d seconds", LATE_SECONDS);
        pthread_mutex_lock(&service->lock);
        service->late++;
        pthread_mutex_unlock(&service->lock);
    } else {
        reply_answers(ask);
    }
    free_ask(ask);
    reply_done(reply);
}

static void work_on(struct worker *w, size_t n)
{
    struct service *s = w->service;
    double begun = serve_seconds();
    size_t computed = drop_late(w, n);
    if (computed) compute(w, computed);
    double seconds = serve_seconds() - begun;
    pthread_mutex_lock(&s->lock);
    struct job *complete = settle(w, n, computed, seconds);
    pthread_mutex_unlock(&s->lock);
    while (complete) {
        struct job *next = complete->next;
        reply_ask(s, complete->ask);
        complete = next;
    }
}

void *work_on_batches(void *user)
{
    struct worker *w = user;
    struct service *s = w->service;
    pthread_mutex_lock(&s->lock);
    while (s->first || !s->ended) {
        if (!s->first) {
            pthread_cond_wait(&s->work, &s->lock);
            continue;
        }
        size_t n = take_batch(w);
        pthread_mutex_unlock(&s->lock);
        work_on(w, n);
        pthread_mutex_lock(&s->lock);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}
