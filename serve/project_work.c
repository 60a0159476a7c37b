/* project_work.c: the thread that keeps a project up to date. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "serve/project_private.h"

/* A step lasts so long before newer changes may end it: what comes in a steady stream is learned from, too.
 */
static const double LEAST_SECONDS = 1.5, LEAST_EXTRACTING = 5, LOOK_SECONDS = 2, QUIET_SECONDS = 1.2,
                    TELL_SECONDS = 0.2;

void judged_free(struct judged *judged)
{
    if (!judged) return;
    for (size_t i = 0; judged->paths && i < judged->report->metrics.n; i++) free(judged->paths[i]);
    free(judged->paths);
    free(judged->by_path);
    eg_held_out_report_free(judged->report);
    free(judged);
}

void waiting_free(struct waiting *waiting)
{
    if (!waiting) return;
    for (size_t i = 0; i < waiting->n; i++) {
        free(waiting->paths[i]);
        if (waiting->guesses) free(waiting->guesses[i]);
    }
    free(waiting->paths);
    free(waiting->guesses);
    free(waiting->probabilities);
    free(waiting);
}

/* ---- telling ------------------------------------------------------------------------------------------ */

void project_tell(struct project *p)
{
    if (!p->http) return;
    pthread_rwlock_rdlock(&p->lock);
    json_t *state = project_state_json(p);
    pthread_rwlock_unlock(&p->lock);
    char *text = state ? json_dumps(state, JSON_COMPACT | JSON_REAL_PRECISION(6)) : NULL;
    json_decref(state);
    if (text) events_send(p->http, "state", text);
    free(text);
    p->told = project_clock();
}

void project_enter(struct project *p, enum phase phase, bool breakable)
{
    p->phase = (int)phase;
    p->phase_done = p->phase_total = 0;
    p->breakable = breakable;
    p->step_began = project_clock();
    if (phase != LOOKING) project_tell(p);
}

static bool wanted(struct project *p, double *since)
{
    pthread_mutex_lock(&p->wake_lock);
    bool newer = p->changes != p->taken, stop = p->stop, job = p->job != NULL;
    pthread_mutex_unlock(&p->wake_lock);
    *since = project_clock() - p->step_began;
    if (stop) return false;
    if (!p->breakable) return true;
    const int phase = p->phase;
    bool patient = phase == EXTRACTING || phase == LEARNING || phase == JUDGING;
    double least = phase == EXTRACTING ? LEAST_EXTRACTING : patient ? LEAST_SECONDS : 0;
    return !(newer && *since >= least) && !(job && !patient);
}

bool project_step(void *project, size_t done, size_t total)
{
    struct project *p = project;
    double since;
    if (!wanted(p, &since)) return false;
    p->phase_done = done;
    p->phase_total = total;
    if (since > TELL_SECONDS && project_clock() - p->told > TELL_SECONDS) project_tell(p);
    return true;
}

/* ---- the rounds ------------------------------------------------------------------------------------------
 */

static bool same_listing(const struct listing *a, const struct listing *b)
{
    if (!a || a->n != b->n || a->n_classes != b->n_classes) return false;
    for (size_t c = 0; c < a->n_classes; c++)
        if (strcmp(a->classes[c], b->classes[c])) return false;
    for (size_t i = 0; i < a->n; i++)
        if (strcmp(a->photos[i].path, b->photos[i].path) || a->photos[i].mtime_ns != b->photos[i].mtime_ns ||
            a->photos[i].bytes != b->photos[i].bytes)
            return false;
    return true;
}

/* *changed: the photos or classes are others than before. */
static enum eg_status look(struct project *p, bool *changed, struct eg_error *err)
{
    struct listing *fresh = NULL;
    p->folder_mark = project_folder_mark(p); /* before, so that a change meanwhile is seen the next time */
    project_enter(p, LOOKING, false);
    enum eg_status status = project_list(p, &fresh, err);
    if (status) return status;
    *changed = !same_listing(p->listing, fresh);
    fresh->revision = p->listing ? p->listing->revision + *changed : 1;
    pthread_rwlock_wrlock(&p->lock);
    struct listing *old = p->listing;
    p->listing = fresh;
    pthread_rwlock_unlock(&p->lock);
    listing_free(old);
    if (*changed) project_tell(p);
    return EG_OK;
}

static void set_trouble(struct project *p, enum eg_status status, const struct eg_error *err)
{
    char *words = status && status != EG_E_CANCELLED ? strdup(err->message) : NULL;
    if (status == EG_E_CANCELLED) return; /* it goes on */
    pthread_rwlock_wrlock(&p->lock);
    free(p->trouble);
    p->trouble = words;
    pthread_rwlock_unlock(&p->lock);
}

static enum eg_status keep_up(struct project *p, struct eg_error *err)
{
    enum eg_status status = p->net ? EG_OK : project_load_network(p, err);
    if (!p->model && !p->done) project_load_model(p); /* of the last time, to go on from */
    if (!status) status = project_extract(p, err);
    if (!status) status = project_learn(p, false, err);
    if (!status) status = project_judge(p, err);
    if (!status) status = project_sort_waiting(p, err);
    p->wants_search = p->wants_audit = !status;
    return status;
}

/* What is done while nobody changes anything: false where there is nothing left. */
static bool idle_step(struct project *p)
{
    struct eg_error err;
    enum eg_status status = EG_OK;
    if (p->compare) {
        p->compare = false;
        status = project_compare(p, &err);
        set_trouble(p, status, &err);
    } else if (p->wants_search) {
        status = project_learn(p, true, &err);
        if (!status) status = project_judge(p, &err);
        if (!status) status = project_sort_waiting(p, &err);
        p->wants_search = status == EG_E_CANCELLED;
    } else if (p->wants_audit) {
        status = project_audit(p, &err);
        p->wants_audit = status == EG_E_CANCELLED;
    } else {
        return false;
    }
    project_enter(p, READY, true);
    return true;
}

static void do_job(struct project *p)
{
    struct job *job = p->job;
    pthread_mutex_unlock(&p->wake_lock);
    p->breakable = false;
    job->status = job->run(p, job->data, &job->err);
    pthread_mutex_lock(&p->wake_lock);
    p->job = NULL;
    job->over = true;
    pthread_cond_broadcast(&p->wake);
}

/* Called and returns with the lock held. */
static void round_of_work(struct project *p)
{
    bool forced = p->look, changed = false;
    p->taken = p->changes;
    p->look = false;
    pthread_mutex_unlock(&p->wake_lock);
    struct eg_error err = {.message = ""};
    enum eg_status status = look(p, &changed, &err);
    if (!status && (changed || p->taken != p->done)) status = keep_up(p, &err);
    if (status != EG_E_CANCELLED || !forced) set_trouble(p, status, &err);
    project_enter(p, READY, true);
    pthread_mutex_lock(&p->wake_lock);
    if (status != EG_E_CANCELLED) p->done = p->taken;
}

static void wait_for(struct project *p, double seconds)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)seconds;
    until.tv_nsec += (long)((seconds - (double)(time_t)seconds) * 1e9);
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    pthread_cond_timedwait(&p->wake, &p->wake_lock, &until);
}

void *project_work(void *project)
{
    struct project *p = project;
    double changed_at = project_clock(), looked_at = 0;
    pthread_mutex_lock(&p->wake_lock);
    while (!p->stop) {
        double now = project_clock();
        if (p->job) {
            do_job(p);
        } else if (p->changes != p->done || p->look) {
            if (p->changes != p->done) changed_at = now;
            round_of_work(p);
            looked_at = project_clock();
        } else if (now - changed_at > QUIET_SECONDS && (p->wants_search || p->wants_audit || p->compare)) {
            pthread_mutex_unlock(&p->wake_lock);
            idle_step(p);
            pthread_mutex_lock(&p->wake_lock);
        } else if (now - looked_at > LOOK_SECONDS) {
            looked_at = now;
            pthread_mutex_unlock(&p->wake_lock);
            bool other = project_folder_mark(p) != p->folder_mark;
            pthread_mutex_lock(&p->wake_lock);
            p->look |= other;
        } else {
            wait_for(p, 0.3);
        }
    }
    if (p->job) { /* whoever waits is let go */
        p->job->status = EG_E_CANCELLED;
        p->job->err = (struct eg_error){.status = EG_E_CANCELLED, .message = "the server ends"};
        p->job->over = true;
        p->job = NULL;
        pthread_cond_broadcast(&p->wake);
    }
    pthread_mutex_unlock(&p->wake_lock);
    return NULL;
}
