/* project_private.h: what the files of a project share. */
#ifndef ENGRAFT_PROJECT_PRIVATE_H
#define ENGRAFT_PROJECT_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "serve/project.h"

struct photo {
    char *path; /* below the folder, as eg_dataset_path has it */
    int32_t label;
    int64_t mtime_ns;
    uint64_t bytes;
};

/* The photos that there are. order: by class (-1 first), in it the newest first; first[label + 1] is where a
 * class begins in it, first[n_classes + 1] its end. */
struct listing {
    struct photo *photos; /* [n] in byte order of path */
    size_t n, *order, *first;
    char **classes;
    size_t n_classes;
    uint64_t revision;
};

/* What a classifier that has not seen a photo says of it; paths [metrics.n] are of the feature file. */
struct judged {
    struct eg_held_out_report *report;
    char **paths;
    size_t *by_path; /* [metrics.n] in byte order of path */
    uint64_t revision;
};

/* Photos without labels, in the order in which they would teach most. */
struct waiting {
    size_t n;
    char **paths;
    char **guesses;       /* NULL: there is no classifier yet */
    float *probabilities; /* of the guess */
};

struct learned {
    eg_net *net; /* model.onnx */
    eg_predictor *predictor;
    char *scale, *classifier, *cut;
    double c, seconds;
    bool searched; /* by the whole search, not with the last scale and C */
    uint64_t revision;
};

static const char PROJECT_NETWORK[] = "efficientnet-lite0"; /* to begin with */

enum phase { READY, LOOKING, EXTRACTING, LEARNING, JUDGING, SEARCHING, AUDITING, COMPARING };

typedef enum eg_status job_fn(struct project *p, void *data, struct eg_error *err);

struct project {
    char *folder, *name, *folders;
    int fd, hidden_fd; /* the folder; .engraft in it */
    struct http *http;
    eg_pool *pool;
    eg_net *net;         /* makes the features */
    char *network, *cut; /* cut NULL: the default one */

    pthread_rwlock_t lock; /* of all up to the next blank line */
    struct listing *listing;
    struct judged *judged;
    struct waiting *waiting;
    json_t *audit;      /* eg_audit's, NULL: none yet */
    json_t *comparison; /* of networks and cuts, NULL: none yet */
    struct eg_skipped *unreadable;
    size_t n_unreadable;
    char *trouble; /* why there is no classifier: a message for people; NULL: none */
    char *model_scale, *model_classifier, *model_cut;
    double model_c, model_seconds;
    bool model_searched;
    uint64_t model_revision, report_revision;

    pthread_mutex_t predict_lock;
    eg_predictor *predictor; /* of the model; NULL: none */
    eg_net *model;           /* the same, for explain; NULL: none */

    pthread_mutex_t change_lock; /* who changes files; of `undo` */
    json_t *undo;                /* array, oldest first */
    json_int_t last_undo;

    pthread_mutex_t wake_lock;
    pthread_cond_t wake;
    uint64_t changes; /* counted; atomic reads are good enough to cancel by */
    uint64_t done;    /* changes that were taken up */
    bool look;        /* list again, somebody looks at the page */
    bool stop;
    bool running;
    struct job {
        job_fn *run;
        void *data;
        enum eg_status status;
        struct eg_error err;
        bool over;
    } * job;              /* to be done by the thread, whoever asks waits */
    _Atomic bool compare; /* asked for */
    pthread_t thread;

    _Atomic int phase;
    _Atomic size_t phase_done, phase_total;
    double step_began, told;                /* the thread's own */
    uint64_t taken;                         /* the changes that this round knows of; the thread's own */
    bool breakable;                         /* the step ends when there are newer changes; the thread's own */
    uint64_t folder_mark;                   /* of the folders' times; the thread's own */
    _Atomic bool wants_search, wants_audit; /* when nobody changes anything */
};

/* project.c */
void project_changed(struct project *p); /* files have changed: look, learn */
/* On the thread that owns the feature file. */
enum eg_status project_run(struct project *p, job_fn *run, void *data, struct eg_error *err);
char *project_file(const struct project *p, const char *below_hidden); /* .engraft/X; free() it */
double project_clock(void);                                            /* seconds */

/* project_listing.c */
enum eg_status project_list(struct project *p, struct listing **listing, struct eg_error *err);
void listing_free(struct listing *listing);
const struct photo *listing_find(const struct listing *listing, const char *path);
const char *listing_class(const struct listing *listing, const struct photo *photo); /* NULL: none */
int listing_label(const struct listing *listing, const char *name);                  /* -2: no such class */
uint64_t project_folder_mark(const struct project *p);
/* A file of the listing: fd, or -1 with errno. */
int project_open_photo(const struct project *p, const char *path);

/* project_work.c */
void *project_work(void *project);
void project_tell(struct project *p); /* the state, to all windows */
void judged_free(struct judged *judged);
void waiting_free(struct waiting *waiting);
/* Progress of the thread's steps: false where newer changes make it pointless. */
bool project_step(void *project, size_t done, size_t total);
void project_enter(struct project *p, enum phase phase, bool breakable);

/* project_learn.c: the thread's steps */
enum eg_status project_extract(struct project *p, struct eg_error *err);
enum eg_status project_learn(struct project *p, bool search, struct eg_error *err);
enum eg_status project_judge(struct project *p, struct eg_error *err);
enum eg_status project_audit(struct project *p, struct eg_error *err);
enum eg_status project_load_network(struct project *p, struct eg_error *err);
bool project_load_model(struct project *p); /* model.onnx, where there is one */
enum eg_status project_sort_waiting(struct project *p, struct eg_error *err);
/* project_compare.c */
enum eg_status project_compare(struct project *p, struct eg_error *err);

/* project_change.c: each writes its line for undo; counts come back. */
struct change {
    size_t done;
    struct eg_skipped *skipped;
    size_t n_skipped;
};
void change_release(struct change *change);
enum eg_status project_add(struct project *p, const char *class_name, const char *name, const void *bytes,
                           size_t n, const char *group, char **path, struct eg_error *err);
/* label NULL: to the trash; "": no label. */
enum eg_status project_move(struct project *p, const char *const *paths, size_t n, const char *label,
                            struct change *change, struct eg_error *err);
enum eg_status project_confirm(struct project *p, const char *const *paths, size_t n, struct eg_error *err);
enum eg_status project_add_class(struct project *p, const char *name, struct eg_error *err);
enum eg_status project_rename_class(struct project *p, const char *name, const char *to,
                                    struct change *change, struct eg_error *err);
enum eg_status project_remove_class(struct project *p, const char *name, struct change *change,
                                    struct eg_error *err);
enum eg_status project_undo(struct project *p, json_t **what, struct eg_error *err);
enum eg_status project_undo_open(struct project *p, struct eg_error *err); /* also finishes what was begun */
bool project_confirmed(const struct project *p, const char *path);         /* by a line that is not undone */

/* project_json.c; under p->lock for reading */
json_t *project_state_json(struct project *p);
json_t *project_report_json(const struct project *p);
json_t *text_json(const char *text);
json_t *number_json(double value);

/* project_thumb.c */
/* A photo of at most 64 million pixels, so that a few at once do not take all memory. */
enum eg_status project_bounded(const void *bytes, size_t n, struct eg_error *err);
void project_thumb(struct project *p, const char *path, struct reply *reply);

/* project_try.c, project_export.c: handlers */
handler post_predict, post_explain, get_export;

#endif
