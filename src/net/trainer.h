/* trainer.h: a tape, a loss and an optimiser: what happens to one mini-batch. Which batches,
 * at which rate, and when to stop is the caller's. */
#ifndef EG_NET_TRAINER_H
#define EG_NET_TRAINER_H

#include "net/tape.h"

struct eg_trainer;

enum eg_optimizer { EG_ADAMW, EG_SGD };

struct eg_trainer_options {
    struct eg_tape_options tape;
    enum eg_optimizer optimizer;
    double weight_decay;        /* negative = 0.01 (adamw) or 1e-4 (sgd); not on biases and norms */
    double momentum;            /* sgd; negative = 0.9 */
    bool nesterov;              /* sgd */
    double clip_norm;           /* largest length of the whole gradient; 0 = no limit */
    double label_smoothing;     /* Szegedy et al. 2016 */
    const float *class_weights; /* [classes]; NULL = all 1 */
    const float *rate_scale;    /* [n_nodes] factors on the rate, by node; NULL = all 1 */
    /* Add up an array over all ranks, in place; NULL = one rank. */
    enum eg_status (*sum_over_ranks)(void *user, float *values, size_t n, struct eg_error *err);
    void *user;
};

/* What an image should be: `label`, or with mixup `share` of it and the rest `other`. */
struct eg_target {
    int32_t label, other;
    float share;
};

struct eg_batch_result {
    double loss;   /* sum of the images' weighted losses */
    double weight; /* sum of their weights: the mean loss is loss / weight */
    size_t right;
};

EG_MUST_CHECK enum eg_status eg__trainer_create(const struct eg_graph *graph,
                                                const struct eg_trainer_options *options, eg_pool *pool,
                                                struct eg_trainer **trainer, struct eg_error *err);
void eg__trainer_free(struct eg_trainer *trainer);
struct eg_tape *eg__trainer_tape(struct eg_trainer *trainer);

/* One step at `rate`: forward, softmax cross-entropy averaged over the batch (all ranks'),
 * backward, clip, update. `step` seeds dropout. n may be 0 where ranks share a batch; the
 * result is that of all ranks. EG_E_NUMERIC, on every rank: the loss is not finite (the
 * weights are then as before the step). */
EG_MUST_CHECK enum eg_status eg__trainer_step(struct eg_trainer *trainer, const float *const *inputs,
                                              const struct eg_target *targets, size_t n, double rate,
                                              uint64_t step, struct eg_batch_result *result,
                                              struct eg_error *err);

/* Loss and answers of this rank's images in inference mode; logits [n][classes] may be NULL. */
EG_MUST_CHECK enum eg_status eg__trainer_evaluate(struct eg_trainer *trainer, const float *const *inputs,
                                                  const int32_t *labels, size_t n, float *logits,
                                                  struct eg_batch_result *result, struct eg_error *err);

/* Sum a result over all ranks. */
EG_MUST_CHECK enum eg_status eg__trainer_sum_results(struct eg_trainer *trainer,
                                                     struct eg_batch_result *result, struct eg_error *err);

/* All that a step changes, as one array: to go back to, or to go on from after a break. */
size_t eg__trainer_state_count(const struct eg_trainer *trainer);
void eg__trainer_get_state(const struct eg_trainer *trainer, float *state);
void eg__trainer_set_state(struct eg_trainer *trainer, const float *state);

/* Rate of step t of `total` as a factor of the peak. One-cycle (Smith & Topin 2018): up from
 * 1/25 over the first 30 %, then down to nearly 0, both along a cosine, as torch's OneCycleLR. */
double eg__one_cycle(size_t t, size_t total);

#endif
