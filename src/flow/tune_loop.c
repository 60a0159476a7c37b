/* tune_loop.c: epochs. The order of rows, dropout, mixup and augmentation depend on the seed and
 * the epoch alone, and all else that an epoch changes is in the trainer's state: saved after
 * every epoch, training goes on after a break as if there had been none.
 *
 * What is judged and kept is the weights' average over the last sixth or so of the steps (Polyak and
 * Juditsky 1992, with weights that fade), which is steadier than where the last step happens to end. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "base/rng.h"
#include "flow/tune_loop.h"

enum { DIVERGED = 20 /* times what a guess costs */ };
static const double AVERAGED = 1.0 / 6; /* of all steps */

/* ---- one batch ------------------------------------------------------------------------------ */

static void batches_release(struct eg_batches *b)
{
    free(b->order);
    free(b->own);
    free(b->next);
    free(b->features);
    free(b->targets);
    for (size_t i = 0; i < EG_INPUTS_MAX; i++) free(b->mixed[i]);
}

static enum eg_status batches_init(struct eg_batches *b, struct eg_tune_phase *phase, struct eg_error *err)
{
    *b = (struct eg_batches){.phase = phase};
    b->order = eg__alloc(phase->n_train, sizeof *b->order);
    b->own = eg__alloc(phase->batch, sizeof *b->own);
    b->next = eg__alloc(phase->batch, sizeof *b->next);
    b->targets = eg__alloc(phase->batch, sizeof *b->targets);
    b->features = eg__alloc(phase->batch * (phase->source ? 1 : phase->d), sizeof *b->features);
    bool made = b->order && b->own && b->next && b->targets && b->features;
    size_t n_boundary = phase->source ? phase->source->n_boundary : 1;
    for (size_t i = 0; phase->mixup > 0 && i < n_boundary; i++) {
        size_t count = phase->source ? phase->source->counts[i] : phase->d;
        made = (b->mixed[i] = eg__alloc(phase->batch * count, sizeof(float))) && made;
    }
    if (made) return EG_OK;
    batches_release(b);
    return eg__fail_memory(err, "a batch");
}

void eg__tune_shuffle(struct eg_batches *b, size_t epoch)
{
    struct eg_rng rng;
    eg__rng_init(&rng, b->phase->seed, ((uint64_t)b->phase->number << 40) + epoch);
    memcpy(b->order, b->phase->train, b->phase->n_train * sizeof *b->order);
    eg__rng_shuffle(&rng, b->order, b->phase->n_train);
}

/* Beta(a, a) by two gammas' ratio (Joehnk 1964), for small a. */
static double beta_variate(struct eg_rng *rng, double a)
{
    for (;;) {
        double u = pow(eg__rng_uniform(rng), 1 / a), v = pow(eg__rng_uniform(rng), 1 / a);
        if (u + v > 0 && u + v <= 1) return u / (u + v);
    }
}

/* Mixup (Zhang et al. 2018): every input with the one after it in the batch, the last with the
 * first. Of n_read inputs the first n are mixed. */
static void mix(struct eg_batches *b, uint64_t step, size_t n, size_t n_read, const float **inputs)
{
    struct eg_tune_phase *phase = b->phase;
    struct eg_rng rng;
    eg__rng_init(&rng, phase->seed ^ 0x6d69786d69786d69u, ((uint64_t)phase->number << 40) + step);
    float share = (float)beta_variate(&rng, phase->mixup);
    size_t n_boundary = phase->source ? phase->source->n_boundary : 1;
    for (size_t k = 0; k < n_boundary; k++) {
        size_t count = phase->source ? phase->source->counts[k] : phase->d;
        for (size_t i = 0; i < n; i++) {
            const float *x = inputs[k] + i * count, *y = inputs[k] + (i + 1) % n_read * count;
            for (size_t j = 0; j < count; j++) b->mixed[k][i * count + j] = share * x[j] + (1 - share) * y[j];
        }
        inputs[k] = b->mixed[k];
    }
    for (size_t i = 0; i < n; i++) {
        b->targets[i].other = phase->labels[b->own[(i + 1) % n_read]];
        b->targets[i].share = share;
    }
}

size_t eg__tune_batch_end(const struct eg_tune_phase *phase, size_t first)
{
    size_t end = first + phase->batch;
    return end < phase->n_train ? end : phase->n_train;
}

static size_t batch_count(const struct eg_tune_phase *phase)
{
    return (phase->n_train + phase->batch - 1) / phase->batch;
}

/* This rank's rows of the batch that begins at `first`: n of them from *at on; of n_read the last
 * is the next rank's first, for mixup. */
static size_t own_rows(const struct eg_batches *b, size_t first, size_t *rows, size_t *at, size_t *n_read)
{
    const struct eg_tune_phase *phase = b->phase;
    size_t count = eg__tune_batch_end(phase, first) - first, n;
    eg__shard_range(count, phase->dist->rank, phase->dist->n_ranks, at, &n);
    *n_read = n + (phase->mixup > 0 && n && n < count);
    for (size_t i = 0; i < *n_read; i++) rows[i] = b->order[first + (*at + i) % count];
    return n;
}

static enum eg_status read_rows(struct eg_batches *b, size_t epoch, size_t n, size_t n_next,
                                const float **inputs, struct eg_error *err)
{
    struct eg_tune_phase *phase = b->phase;
    if (phase->source)
        return eg__tune_source_varied(phase->source, epoch, b->own, n, b->next, n_next, inputs, err);
    for (size_t i = 0; i < n; i++)
        memcpy(b->features + i * phase->d, phase->features + b->own[i] * phase->d, phase->d * sizeof(float));
    inputs[0] = b->features;
    return EG_OK;
}

enum eg_status eg__tune_agree(const struct eg_dist *dist, enum eg_status status, struct eg_error *err)
{
    if (dist->n_ranks == 1) return status;
    bool failed = status != EG_OK;
    enum eg_status agreed = eg__dist_agree(dist, &failed, status ? NULL : err);
    if (status || agreed) return status ? status : agreed;
    return failed ? eg__fail(err, EG_E_CANCELLED, "another process stopped (it says why)") : EG_OK;
}

enum eg_status eg__tune_step(struct eg_batches *b, size_t epoch, size_t first, double rate, uint64_t step,
                             struct eg_batch_result *sum, struct eg_error *err)
{
    struct eg_tune_phase *phase = b->phase;
    const float *inputs[EG_INPUTS_MAX] = {0};
    size_t at, unused, n_read, n_next, n = own_rows(b, first, b->own, &at, &n_read);
    own_rows(b, eg__tune_batch_end(phase, first), b->next, &unused, &n_next);
    enum eg_status status = n ? read_rows(b, epoch, n_read, n_next, inputs, err) : EG_OK;
    status = eg__tune_agree(phase->dist, status, err);
    if (status) return status;
    for (size_t i = 0; i < n; i++) b->targets[i] = (struct eg_target){phase->labels[b->own[i]], 0, 1};
    if (phase->mixup > 0 && eg__tune_batch_end(phase, first) - first > 1) mix(b, step, n, n_read, inputs);
    struct eg_batch_result result;
    eg__tape_begin_at(eg__trainer_tape(phase->trainer), at);
    status = eg__trainer_step(phase->trainer, inputs, b->targets, n, rate, step, &result, err);
    if (status) return status;
    double loss = result.loss / result.weight, ignorance = log((double)phase->report->train.n_classes);
    if (loss > DIVERGED * (1 + ignorance))
        return eg__fail_for(
            err, EG_E_NUMERIC, EG_REASON_RATE_TOO_HIGH,
            "the loss diverged: it is %.4g at step %llu with rate %.3g, and %.2g for who knows "
            "nothing",
            loss, (unsigned long long)step, rate, ignorance);
    sum->loss += result.loss;
    sum->weight += result.weight;
    sum->right += result.right;
    return EG_OK;
}

enum eg_status eg__tune_measure(struct eg_tune_phase *phase, const size_t *rows, size_t n, float *logits,
                                struct eg_batch_result *out, struct eg_error *err)
{
    struct eg_batch_result sum = {0}, result;
    int32_t *labels = eg__alloc(phase->batch, sizeof *labels);
    float *features = phase->source ? NULL : eg__alloc(phase->batch * phase->d, sizeof *features);
    size_t classes = phase->report->train.n_classes;
    enum eg_status status = labels && (features || phase->source) ? EG_OK : eg__fail_memory(err, "a batch");
    size_t begin = 0;
    if (!logits) eg__shard_range(n, phase->dist->rank, phase->dist->n_ranks, &begin, &n);
    rows += begin;
    for (size_t first = 0; first < n && !status; first += phase->batch) {
        const float *inputs[EG_INPUTS_MAX] = {features};
        size_t count = n - first < phase->batch ? n - first : phase->batch;
        for (size_t i = 0; i < count; i++) {
            labels[i] = phase->labels[rows[first + i]];
            if (features)
                memcpy(features + i * phase->d, phase->features + rows[first + i] * phase->d,
                       phase->d * sizeof(float));
        }
        if (phase->source) eg__tune_source_still(phase->source, rows + first, count, inputs);
        status = eg__trainer_evaluate(phase->trainer, inputs, labels, count,
                                      logits ? logits + first * classes : NULL, &result, err);
        if (status) break;
        sum.loss += result.loss;
        sum.weight += result.weight;
        sum.right += result.right;
    }
    free(labels);
    free(features);
    if (!status && !logits) status = eg__trainer_sum_results(phase->trainer, &sum, err);
    if (!status) *out = sum;
    return status;
}

/* The average takes the place of the values, and the values its. */
static void exchange_average(const struct eg_tune_phase *phase, struct eg_phase_progress *p)
{
    size_t n;
    float *values = eg__tape_values(eg__trainer_tape(phase->trainer), &n);
    for (size_t i = 0; i < n; i++) {
        float value = values[i];
        values[i] = p->average[i];
        p->average[i] = value;
    }
}

static void add_to_average(const struct eg_tune_phase *phase, struct eg_phase_progress *p, size_t total)
{
    size_t n;
    const float *values = eg__tape_values(eg__trainer_tape(phase->trainer), &n);
    float share = (float)(1 / fmax(1, AVERAGED * (double)total));
    for (size_t i = 0; i < n; i++) p->average[i] += share * (values[i] - p->average[i]);
}

/* ---- epochs ----------------------------------------------------------------------------------------------
 */

static enum eg_status record(struct eg_tune_phase *phase, const struct eg_epoch *epoch, struct eg_error *err)
{
    struct eg_tune_report *report = phase->report;
    struct eg_epoch *grown = realloc(report->epochs, (report->n_epochs + 1) * sizeof *grown);
    if (!grown) return eg__fail_memory(err, "the epochs");
    report->epochs = grown;
    grown[report->n_epochs++] = *epoch;
    if (phase->epoch) phase->epoch(phase->user, epoch);
    return EG_OK;
}

static enum eg_status run_epoch(struct eg_batches *b, struct eg_phase_progress *p, struct eg_error *err)
{
    struct eg_tune_phase *phase = b->phase;
    double start = eg__seconds();
    size_t n_batches = batch_count(phase), total = n_batches * phase->epochs;
    struct eg_batch_result train = {0}, valid = {0};
    struct eg_epoch epoch = {
        .phase = phase->number, .epoch = (unsigned)p->epoch + 1, .epochs = phase->epochs};
    enum eg_status status = EG_OK;
    eg__tune_shuffle(b, p->epoch);
    for (size_t first = 0, i = 0; first < phase->n_train && !status;
         first = eg__tune_batch_end(phase, first), i++) {
        size_t step = p->epoch * n_batches + i;
        epoch.rate = phase->rate * eg__one_cycle(step, total);
        status = eg__tune_step(b, p->epoch, first, epoch.rate, step, &train, err);
        if (!status) add_to_average(phase, p, total);
        if (!status && phase->progress && !phase->progress(phase->user, i + 1, n_batches))
            status = eg__fail(err, EG_E_CANCELLED, "stopped in epoch %zu", p->epoch + 1);
        if (!status || status == EG_E_CANCELLED) status = eg__tune_agree(phase->dist, status, err);
    }
    if (status) return status;
    exchange_average(phase, p);
    if (phase->n_valid) status = eg__tune_measure(phase, phase->valid, phase->n_valid, NULL, &valid, err);
    epoch.train_loss = train.loss / train.weight;
    epoch.train_accuracy = (double)train.right / (double)phase->n_train;
    epoch.valid_loss = phase->n_valid ? valid.loss / valid.weight : NAN;
    epoch.valid_accuracy = phase->n_valid ? (double)valid.right / (double)phase->n_valid : NAN;
    /* the best by the validation rows, a tie by their loss; without them, the last */
    bool better = !phase->n_valid || p->best_epoch == SIZE_MAX || epoch.valid_accuracy > p->best_accuracy ||
                  (epoch.valid_accuracy == p->best_accuracy && epoch.valid_loss < p->best_loss);
    if (better && !status) {
        eg__trainer_get_state(phase->trainer, p->best);
        p->best_epoch = p->epoch;
        p->best_accuracy = epoch.valid_accuracy;
        p->best_loss = epoch.valid_loss;
    }
    exchange_average(phase, p);
    if (status) return status;
    p->waited = better ? 0 : p->waited + 1;
    epoch.best = better;
    epoch.seconds = eg__seconds() - start;
    p->epoch++;
    status = record(phase, &epoch, err);
    if (!status) status = eg__tune_save(phase, p, err);
    return eg__tune_agree(phase->dist, status, err);
}

enum eg_status eg__tune_phase(struct eg_tune_phase *phase, struct eg_error *err)
{
    struct eg_batches batches;
    struct eg_phase_progress p = {.best_epoch = SIZE_MAX, .n_state = eg__trainer_state_count(phase->trainer)};
    enum eg_status status = batches_init(&batches, phase, err);
    if (status) return status;
    const float *values = eg__tape_values(eg__trainer_tape(phase->trainer), &p.n_values);
    p.state = eg__alloc(p.n_state, sizeof *p.state);
    p.best = eg__alloc(p.n_state, sizeof *p.best);
    p.average = eg__alloc(p.n_values, sizeof *p.average);
    float *start = phase->start ? NULL : eg__alloc(p.n_values, sizeof *start);
    if (start) phase->start = start;
    if (!p.state || !p.best || !p.average || !phase->start)
        status = eg__fail_memory(err, "the training state");
    if (!status) {
        eg__trainer_get_state(phase->trainer, p.best);
        memcpy(p.average, values, p.n_values * sizeof *values);
        memcpy(phase->start, values, p.n_values * sizeof *values);
    }
    if (!status && phase->resume) status = eg__tune_restore(phase, &p, err);
    if (!status && !phase->resume && !(phase->rate > 0)) status = eg__tune_find_rate(&batches, err);
    while (!status && p.epoch < phase->epochs &&
           !(phase->n_valid && phase->patience && p.waited >= phase->patience))
        status = run_epoch(&batches, &p, err);
    if (!status || status == EG_E_CANCELLED) eg__trainer_set_state(phase->trainer, p.best);
    phase->report->rate = phase->rate;
    free(p.state);
    free(p.best);
    free(p.average);
    if (start) phase->start = NULL;
    free(start);
    batches_release(&batches);
    return status;
}
