/* tune_learn.c: what learns: the head, and the layers below it. */
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "flow/tuning.h"

enum { HEAD_EPOCHS = EG_HEAD_EPOCHS, DEFAULT_EPOCHS = 10, PATIENCE = 5 };
/* PyTorch's fine-tuning of the same photos is as good at this rate, worse at a half and at twice it. */
#define ADAMW_RATE 5e-4
#define SGD_RATE 3e-3

unsigned eg__tuning_epochs(const struct tuning *t)
{
    return t->options->epochs ? t->options->epochs : t->trainable ? DEFAULT_EPOCHS : HEAD_EPOCHS;
}

struct eg_trainer *eg__tuning_last(const struct tuning *t)
{
    return t->trainer ? t->trainer : t->head_trainer;
}

struct eg_tune_phase eg__tuning_phase(struct tuning *t)
{
    const struct eg_tune_options *o = t->options;
    bool sgd = o->optimizer && !strcmp(o->optimizer, "sgd");
    return (struct eg_tune_phase){.trainer = eg__tuning_last(t),
                                  .dist = &t->dist,
                                  .source = t->trainer ? &t->source : NULL,
                                  .labels = t->labels,
                                  .train = t->rows,
                                  .valid = t->rows + t->n_train,
                                  .n_train = t->n_train,
                                  .n_valid = t->n_valid,
                                  .features = (const float *)(const void *)t->features.bytes,
                                  .d = t->d,
                                  .batch = t->trainer ? t->batch : t->head_batch,
                                  .epochs = eg__tuning_epochs(t),
                                  .patience = t->trainer ? PATIENCE : EG_HEAD_PATIENCE,
                                  .rate = o->rate < 0   ? 0
                                          : o->rate > 0 ? o->rate
                                          : sgd         ? SGD_RATE
                                                        : ADAMW_RATE,
                                  .mixup = o->mixup,
                                  .seed = o->seed,
                                  .number = t->trainer != NULL,
                                  .progress = o->progress,
                                  .epoch = o->epoch,
                                  .user = o->user,
                                  .report = &t->report};
}

/* All ranks begin with the weights of the first: another kind of processor may have found others. */
static enum eg_status begin_alike(struct tuning *t, struct eg_error *err)
{
    size_t n;
    float *values = eg__tape_values(eg__trainer_tape(t->head_trainer), &n);
    if (t->dist.rank) memset(values, 0, n * sizeof *values);
    return eg__dist_sum(&t->dist, values, n, err);
}

enum eg_status eg__tuning_begin(struct tuning *t, const struct eg_tune_phase *phase, struct eg_error *err)
{
    struct eg_trainer *last = eg__tuning_last(t);
    eg__trainer_set_state(last, t->pristine);
    enum eg_status status = eg__tuning_begin_head(t, phase->train, phase->n_train, err);
    status = eg__tune_agree(&t->dist, status, err);
    if (!status) status = begin_alike(t, err);
    if (status || !t->trainer) return status;
    /* the head's parameters are the last of all */
    size_t n, n_head;
    const float *head = eg__tape_values(eg__trainer_tape(t->head_trainer), &n_head);
    float *all = eg__tape_values(eg__trainer_tape(last), &n);
    memcpy(all + n - n_head, head, n_head * sizeof *all);
    return EG_OK;
}

enum eg_status eg__tuning_learn(struct tuning *t, struct eg_error *err)
{
    struct eg_tune_phase phase = eg__tuning_phase(t);
    phase.state_path = t->state_path;
    phase.identity = t->identity;
    phase.start = t->start;
    phase.resume = t->options->resume;
    double began = eg__seconds();
    enum eg_status status = phase.resume ? EG_OK : eg__tuning_begin(t, &phase, err);
    if (!status) status = eg__tune_phase(&phase, err);
    t->report.tuning_seconds = eg__seconds() - began;
    return status;
}
