/* project.c: a project opened and closed; who may do what when (project.h). */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "serve/project_private.h"

double project_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

char *project_file(const struct project *p, const char *below_hidden)
{
    char *path;
    return asprintf(&path, "%s/.engraft/%s", p->folder, below_hidden) < 0 ? NULL : path;
}

/* ---- what was chosen before --------------------------------------------------------------------- */

static void read_choice(struct project *p)
{
    char *path = project_file(p, "project.json");
    json_t *choice = path ? json_load_file(path, 0, NULL) : NULL;
    const char *network = json_string_value(json_object_get(choice, "network")),
               *cut = json_string_value(json_object_get(choice, "cut"));
    if (network) {
        free(p->network);
        p->network = strdup(network);
        p->cut = cut ? strdup(cut) : NULL;
    }
    json_decref(choice);
    free(path);
}

static enum eg_status fail_system(struct eg_error *err, const char *what, const char *subject)
{
    if (err) {
        *err = (struct eg_error){.status = EG_E_IO};
        snprintf(err->subject, sizeof err->subject, "%s", subject);
        snprintf(err->message, sizeof err->message, "%s '%s': %s", what, subject, strerror(errno));
    }
    return EG_E_IO;
}

static enum eg_status make_folders(struct project *p, struct eg_error *err)
{
    static const char *const names[] = {"undo", "trash", "incoming", "thumbs"};
    p->fd = open(p->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (p->fd < 0) return fail_system(err, "cannot open", p->folder);
    if (mkdirat(p->fd, ".engraft", 0777) && errno != EEXIST)
        return fail_system(err, "cannot write in", p->folder);
    p->hidden_fd = openat(p->fd, ".engraft", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (p->hidden_fd < 0) return fail_system(err, "cannot open '.engraft' in", p->folder);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (mkdirat(p->hidden_fd, names[i], 0777) && errno != EEXIST)
            return fail_system(err, "cannot write in", p->folder);
    return EG_OK;
}

enum eg_status project_open(const struct project_options *options, struct project **project,
                            struct eg_error *err)
{
    const char *folder = options->folder;
    struct project *p = calloc(1, sizeof *p);
    if (!p) return fail_system(err, "no memory for", folder);
    p->fd = p->hidden_fd = -1;
    p->changes = 1; /* the first look */
    pthread_rwlock_init(&p->lock, NULL);
    pthread_mutex_init(&p->predict_lock, NULL);
    pthread_mutex_init(&p->change_lock, NULL);
    pthread_mutex_init(&p->wake_lock, NULL);
    pthread_condattr_t steady;
    pthread_condattr_init(&steady);
    pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
    pthread_cond_init(&p->wake, &steady);
    pthread_condattr_destroy(&steady);
    p->folder = realpath(folder, NULL);
    p->network = strdup(PROJECT_NETWORK);
    p->folders = options->folders ? strdup(options->folders) : NULL;
    enum eg_status status = p->folder ? EG_OK : fail_system(err, "cannot open", folder);
    if (!status) {
        const char *slash = strrchr(p->folder, '/');
        p->name = strdup(slash && slash[1] ? slash + 1 : p->folder);
        status = make_folders(p, err);
    }
    if (!status) read_choice(p);
    if (!status) status = project_undo_open(p, err);
    if (!status) status = eg_pool_create(options->threads, &p->pool, err);
    if (!status && (!p->network || !p->name)) status = fail_system(err, "no memory for", folder);
    if (status) {
        project_close(p);
        return status;
    }
    *project = p;
    return EG_OK;
}

void project_begin(struct project *p, struct http *http)
{
    p->http = http;
    p->running = !pthread_create(&p->thread, NULL, project_work, p);
    if (!p->running) p->trouble = strdup("there is no thread to learn on");
}

void project_end(struct project *p)
{
    if (!p) return;
    pthread_mutex_lock(&p->wake_lock);
    p->stop = true;
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->wake_lock);
    if (p->running) pthread_join(p->thread, NULL);
    p->running = false;
}

void project_close(struct project *p)
{
    if (!p) return;
    project_end(p);
    listing_free(p->listing);
    judged_free(p->judged);
    waiting_free(p->waiting);
    json_decref(p->audit);
    json_decref(p->comparison);
    json_decref(p->undo);
    eg_predictor_free(p->predictor);
    eg_net_free(p->model);
    eg_net_free(p->net);
    eg_pool_free(p->pool);
    for (size_t i = 0; i < p->n_unreadable; i++) {
        free(p->unreadable[i].path);
        free(p->unreadable[i].reason);
    }
    char *const texts[] = {p->folder,  p->name,        p->folders,          p->network,  p->cut,
                           p->trouble, p->model_scale, p->model_classifier, p->model_cut};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) free(texts[i]);
    free(p->unreadable);
    if (p->fd >= 0) close(p->fd);
    if (p->hidden_fd >= 0) close(p->hidden_fd);
    pthread_rwlock_destroy(&p->lock);
    pthread_mutex_destroy(&p->predict_lock);
    pthread_mutex_destroy(&p->change_lock);
    pthread_mutex_destroy(&p->wake_lock);
    pthread_cond_destroy(&p->wake);
    free(p);
}

void project_changed(struct project *p)
{
    pthread_mutex_lock(&p->wake_lock);
    p->changes++;
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->wake_lock);
}

enum eg_status project_run(struct project *p, job_fn *run, void *data, struct eg_error *err)
{
    struct job job = {.run = run, .data = data};
    pthread_mutex_lock(&p->wake_lock);
    while (p->job && !p->stop) pthread_cond_wait(&p->wake, &p->wake_lock);
    if (p->stop) {
        pthread_mutex_unlock(&p->wake_lock);
        if (err) *err = (struct eg_error){.status = EG_E_CANCELLED, .message = "the server ends"};
        return EG_E_CANCELLED;
    }
    p->job = &job;
    pthread_cond_broadcast(&p->wake);
    while (!job.over) pthread_cond_wait(&p->wake, &p->wake_lock);
    pthread_mutex_unlock(&p->wake_lock);
    if (job.status && err) *err = job.err;
    return job.status;
}
