/* tune.h: what the files of fine-tuning share.
 *
 *     photos -> trunk (run, computed once) -> boundary values -> tape (learned) -> logits
 *
 * tuning.h      the whole story: rows, layers, head, learning, evidence, test, file
 * tune_data.c   what the learned part reads: cached values, or augmented photos prepared ahead
 * tune_head.c   the new FC head, another of which train --classifier mlp learns alone (mlp.c)
 * tune_loop.c   epochs: order, rates, watching the validation rows
 * tune_state.c  what goes on after a break
 * tune_rate.c   the rate finder */
#ifndef EG_FLOW_TUNE_H
#define EG_FLOW_TUNE_H

#include "dist/dist.h"
#include "flow/flow.h"
#include "image/augment.h"
#include "net/trainer.h"

/* ---- the head ----------------------------------------------------------------------- */

enum { EG_HEAD_HIDDEN = 256, EG_HEAD_BATCH = 32, EG_HEAD_EPOCHS = 30, EG_HEAD_PATIENCE = 10 };
#define EG_TUNE_CLIP 5.0
#define EG_TUNE_SMOOTHING 0.1

#define EG_HEAD_LINEAR "head.fc"

/* On d features: FC classes, softmax. With hidden: FC hidden, ReLU, dropout before it; or, skip, beside it
 * with an FC of zeros behind them, and the sum of both: it begins as the linear one is. Its other weights
 * are random. */
struct eg_head_shape {
    size_t d, hidden, classes;
    bool skip;
};
EG_MUST_CHECK enum eg_status eg__tune_head(const struct eg_head_shape *shape, uint64_t seed,
                                           struct eg_graph **head, struct eg_error *err);

/* ---- data -------------------------------------------------------------------------- */

/* Rows of fixed size, in memory or, past a limit, in a file without a name. */
struct eg_tune_cache {
    uint8_t *bytes;
    size_t row_bytes, n_rows;
    bool in_file;
};
/* folder: where the file would be. */
EG_MUST_CHECK enum eg_status eg__tune_cache_init(struct eg_tune_cache *cache, size_t n_rows, size_t row_bytes,
                                                 size_t memory_bytes, const char *path, struct eg_error *err);
void eg__tune_cache_release(struct eg_tune_cache *cache);

/* What the learned part reads of a row: the values of its boundary nodes, one after the other.
 * Where the boundary is the network's input, a row is its 8-bit pixels. */
struct eg_tune_source {
    const struct eg_dataset *dataset;
    const struct eg_recipe *recipe;
    const struct eg_graph *graph;
    const size_t *items; /* [n]: row to item of the dataset */
    size_t n, batch;
    eg_pool *pool;
    uint64_t seed;
    enum eg_augment augment;
    unsigned views;  /* 0 = new ones every epoch */
    unsigned epochs; /* with views 0: so many will be gone through more than once; 0: only once */
    size_t memory_bytes;
    const uint32_t *boundary;
    size_t n_boundary;
    /* from here on private to tune_data.c */
    struct eg_shape in;
    bool pixels;                  /* the boundary is the input, as bytes */
    bool folds_keep;              /* there is room for what every epoch sees: views is their number */
    struct eg_run *run;           /* photos to boundary values; NULL when pixels */
    float *values[EG_INPUTS_MAX]; /* [batch][count] of each boundary node */
    size_t counts[EG_INPUTS_MAX];
    struct eg_tune_cache still;  /* all rows as they are */
    struct eg_tune_cache seen;   /* with views: [n][views] */
    bool *have;                  /* [n][views] */
    struct eg_tune_ahead *ahead; /* photos being prepared for the next batch */
};
/* Takes the run and the buffers; still is filled by eg__tune_source_keep, row by row. */
EG_MUST_CHECK enum eg_status eg__tune_source_init(struct eg_tune_source *source, const char *path,
                                                  struct eg_error *err);
void eg__tune_source_release(struct eg_tune_source *source);
/* A row as it is: its pixels (or array), and the boundary values of a forward pass. */
void eg__tune_source_keep(struct eg_tune_source *source, size_t row, const void *input,
                          const float *const *boundary);
/* inputs[b]: the boundary values of rows[0..n-1] as they are. */
void eg__tune_source_still(struct eg_tune_source *source, const size_t *rows, size_t n, const float **inputs);
/* The same with the augmentation of an epoch. next, n_next: the rows asked for after these,
 * which are prepared meanwhile. */
EG_MUST_CHECK enum eg_status eg__tune_source_varied(struct eg_tune_source *source, size_t epoch,
                                                    const size_t *rows, size_t n, const size_t *next,
                                                    size_t n_next, const float **inputs,
                                                    struct eg_error *err);

/* ---- loop ------------------------------------------------------------------------------ */

struct eg_tune_phase {
    struct eg_trainer *trainer;
    const struct eg_dist *dist;    /* ranks share every batch, in order */
    struct eg_tune_source *source; /* NULL: rows of `features` are the input */
    const float *features;         /* [n][d] */
    size_t d;
    const int32_t *labels;
    const size_t *train, *valid;
    size_t n_train, n_valid, batch;
    unsigned epochs, patience;
    double rate; /* 0: found by trying */
    double mixup;
    uint64_t seed;
    unsigned number;        /* 0, 1: separates chance and saved states */
    const char *state_path; /* written after every epoch; NULL: none */
    const char *identity;   /* what a saved state must be of, 64 digits */
    bool resume;
    float *start; /* out: the values it began with; NULL: not wanted */
    eg_progress_fn *progress;
    eg_epoch_fn *epoch;
    void *user;
    struct eg_tune_report *report; /* epochs, curve, rate are added to it */
};
/* Train; the trainer ends with the best weights by the validation rows. EG_E_CANCELLED: so it
 * does too, and a later call with resume goes on. */
EG_MUST_CHECK enum eg_status eg__tune_phase(struct eg_tune_phase *phase, struct eg_error *err);
/* Loss, accuracy and logits [n][classes] of rows as they are. logits NULL: ranks share the rows. */
EG_MUST_CHECK enum eg_status eg__tune_measure(struct eg_tune_phase *phase, const size_t *rows, size_t n,
                                              float *logits, struct eg_batch_result *result,
                                              struct eg_error *err);

/* Logits to probabilities; p may be the logits. */
void eg__softmax(const float *logits, size_t n, float *p);

/* The same outcome on every rank: what failed on one has failed on all. */
EG_MUST_CHECK enum eg_status eg__tune_agree(const struct eg_dist *dist, enum eg_status status,
                                            struct eg_error *err);

#endif
