/* tune_loop.h: what the files of the loop share: a batch at hand, and how far a phase has come. */
#ifndef EG_FLOW_TUNE_LOOP_H
#define EG_FLOW_TUNE_LOOP_H

#include "flow/tune.h"

struct eg_batches {
    struct eg_tune_phase *phase;
    size_t *order;      /* the training rows, shuffled */
    size_t *own, *next; /* [batch]: this rank's rows of the batch at hand, and of the one after */
    float *mixed[EG_INPUTS_MAX];
    float *features; /* [batch][d] */
    struct eg_target *targets;
};

struct eg_phase_progress {
    size_t epoch; /* the next */
    unsigned waited;
    size_t best_epoch;
    double best_loss, best_accuracy;
    float *state, *best;
    float *average; /* of the values that learn */
    size_t n_state, n_values;
};

/* ---- batches (tune_loop.c) ------------------------------------------------------------------ */

/* The training rows in the order of an epoch. */
void eg__tune_shuffle(struct eg_batches *b, size_t epoch);
/* The end of the batch that begins at `first`, in that order. */
size_t eg__tune_batch_end(const struct eg_tune_phase *phase, size_t first);
EG_MUST_CHECK enum eg_status eg__tune_step(struct eg_batches *b, size_t epoch, size_t first, double rate,
                                           uint64_t step, struct eg_batch_result *sum, struct eg_error *err);

/* ---- the rate finder (tune_rate.c) -------------------------------------------------------------- */

/* phase->rate and the curve of the report; the trainer is put back as it was. */
EG_MUST_CHECK enum eg_status eg__tune_find_rate(struct eg_batches *b, struct eg_error *err);

/* ---- states (tune_state.c) ------------------------------------------------------------------------ */

EG_MUST_CHECK enum eg_status eg__tune_save(const struct eg_tune_phase *phase, struct eg_phase_progress *p,
                                           struct eg_error *err);
EG_MUST_CHECK enum eg_status eg__tune_restore(struct eg_tune_phase *phase, struct eg_phase_progress *p,
                                              struct eg_error *err);

#endif
