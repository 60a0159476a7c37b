#include "net/trainer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "kernels/grad_kernels.h"

struct eg_trainer {
    struct eg_trainer_options options;
    struct eg_tape *tape;
    size_t n_values, n_statistics, classes;
    float *moments;        /* [2][n_values]: momentum, and for adamw the second moment */
    float *parameter_rate; /* by parameter */
    float *class_weights;
    float *d_logits;
    double t; /* steps taken */
};

enum eg_status eg__trainer_create(const struct eg_graph *graph, const struct eg_trainer_options *options,
                                  eg_pool *pool, struct eg_trainer **out, struct eg_error *err)
{
    struct eg_trainer *trainer = eg__zalloc(1, sizeof *trainer);
    if (!trainer) return eg__fail_memory(err, "the optimiser");
    trainer->options = *options;
    if (options->weight_decay < 0) trainer->options.weight_decay = options->optimizer == EG_SGD ? 1e-4 : 0.01;
    if (options->momentum < 0) trainer->options.momentum = 0.9;
    trainer->classes = eg__shape_count(graph->nodes[graph->output].shape);
    enum eg_status status = eg__tape_create(graph, &options->tape, pool, &trainer->tape, err);
    if (status) {
        eg__trainer_free(trainer);
        return status;
    }
    size_t n_parameters, batch = options->tape.max_batch ? options->tape.max_batch : 1;
    const struct eg_parameter *parameters = eg__tape_parameters(trainer->tape, &n_parameters);
    eg__tape_values(trainer->tape, &trainer->n_values);
    eg__tape_statistics(trainer->tape, &trainer->n_statistics);
    trainer->moments = eg__zalloc(trainer->n_values, 2 * sizeof *trainer->moments);
    trainer->parameter_rate = eg__zalloc(n_parameters, sizeof *trainer->parameter_rate);
    trainer->class_weights = eg__zalloc(trainer->classes, sizeof *trainer->class_weights);
    trainer->d_logits = eg__alloc(batch * trainer->classes, sizeof *trainer->d_logits);
    if (!trainer->moments || !trainer->parameter_rate || !trainer->class_weights || !trainer->d_logits) {
        eg__trainer_free(trainer);
        return eg__fail_memory(err, "the optimiser");
    }
    for (size_t i = 0; i < n_parameters; i++)
        trainer->parameter_rate[i] = options->rate_scale ? options->rate_scale[parameters[i].node] : 1;
    for (size_t k = 0; k < trainer->classes; k++)
        trainer->class_weights[k] = options->class_weights ? options->class_weights[k] : 1;
    *out = trainer;
    return EG_OK;
}

void eg__trainer_free(struct eg_trainer *trainer)
{
    if (!trainer) return;
    eg__tape_free(trainer->tape);
    free(trainer->moments);
    free(trainer->parameter_rate);
    free(trainer->class_weights);
    free(trainer->d_logits);
    free(trainer);
}

struct eg_tape *eg__trainer_tape(struct eg_trainer *trainer) { return trainer->tape; }

/* Softmax cross-entropy of one image against one label, as torch's CrossEntropyLoss with
 * weights w and smoothing e:  -(1 - e) w_y log p_y - e/K sum_k w_k log p_k. The loss and its
 * gradient, each times `share`, are added to. */
static double cross_entropy(const struct eg_trainer *trainer, const float *logits, int32_t label,
                            double share, double smoothing, float *d)
{
    size_t classes = trainer->classes;
    const float *w = trainer->class_weights;
    double largest = (double)logits[0], sum = 0, loss = 0, all = 0;
    for (size_t k = 1; k < classes; k++) largest = fmax(largest, (double)logits[k]);
    for (size_t k = 0; k < classes; k++) sum += exp((double)logits[k] - largest);
    double log_sum = largest + log(sum);
    for (size_t k = 0; k < classes; k++) {
        double goal = (k == (size_t)label ? (1 - smoothing) * (double)w[label] : 0) +
                      smoothing * (double)w[k] / (double)classes;
        loss -= goal * ((double)logits[k] - log_sum);
        all += goal;
        if (d) d[k] -= (float)(share * goal);
    }
    for (size_t k = 0; d && k < classes; k++) d[k] += (float)(share * all * exp((double)logits[k] - log_sum));
    return share * loss;
}

static size_t largest_of(const float *x, size_t n)
{
    size_t best = 0;
    for (size_t k = 1; k < n; k++)
        if (x[k] > x[best]) best = k;
    return best;
}

static double length_of_gradient(const float *gradients, size_t n, double scale)
{
    return sqrt(eg__sum_of_squares(gradients, n)) * scale;
}

static void update(struct eg_trainer *trainer, double rate, double scale)
{
    const struct eg_trainer_options *o = &trainer->options;
    size_t n;
    const struct eg_parameter *parameters = eg__tape_parameters(trainer->tape, &n);
    float *values = eg__tape_values(trainer->tape, &trainer->n_values),
          *gradients = eg__tape_gradients(trainer->tape);
    double correction1 = 1 / (1 - pow(0.9, trainer->t)), correction2 = 1 / (1 - pow(0.999, trainer->t));
    for (size_t i = 0; i < n; i++) {
        const struct eg_parameter *p = &parameters[i];
        float decay = p->decays ? (float)o->weight_decay : 0,
              here = (float)(rate * (double)trainer->parameter_rate[i]);
        float *m = trainer->moments + p->first, *v = m + trainer->n_values;
        if (o->optimizer == EG_SGD)
            eg__sgd_update(values + p->first, gradients + p->first, m, p->count, here, (float)o->momentum,
                           decay, o->nesterov, (float)scale);
        else
            eg__adamw_update(values + p->first, gradients + p->first, m, v, p->count, here, 0.9f, 0.999f,
                             1e-8f, decay, (float)correction1, (float)correction2, (float)scale);
    }
}

enum eg_status eg__trainer_sum_results(struct eg_trainer *trainer, struct eg_batch_result *result,
                                       struct eg_error *err)
{
    const struct eg_trainer_options *o = &trainer->options;
    if (!o->sum_over_ranks) return EG_OK;
    float sums[3] = {(float)result->loss, (float)result->weight, (float)result->right};
    enum eg_status status = o->sum_over_ranks(o->user, sums, 3, err);
    if (!status)
        *result = (struct eg_batch_result){(double)sums[0], (double)sums[1], (size_t)lrintf(sums[2])};
    return status;
}

/* The loss of images whose logits are known, and its gradient in d_logits. */
static struct eg_batch_result judge(struct eg_trainer *trainer, const float *logits,
                                    const struct eg_target *targets, size_t n)
{
    size_t classes = trainer->classes;
    struct eg_batch_result result = {0};
    memset(trainer->d_logits, 0, n * classes * sizeof *trainer->d_logits);
    for (size_t i = 0; i < n; i++) {
        const float *row = logits + i * classes;
        float *d = trainer->d_logits + i * classes;
        const struct eg_target *target = &targets[i];
        bool mixed = target->share < 1;
        double smoothing = trainer->options.label_smoothing, share = mixed ? (double)target->share : 1;
        result.loss += cross_entropy(trainer, row, target->label, share, smoothing, d);
        result.weight += share * (double)trainer->class_weights[target->label];
        if (mixed) {
            result.loss += cross_entropy(trainer, row, target->other, 1 - share, smoothing, d);
            result.weight += (1 - share) * (double)trainer->class_weights[target->other];
        }
        result.right +=
            largest_of(row, classes) == (size_t)(mixed && share < 0.5 ? target->other : target->label);
    }
    return result;
}

/* With several ranks nothing returns between two sums but what all of them see alike. */
enum eg_status eg__trainer_step(struct eg_trainer *trainer, const float *const *inputs,
                                const struct eg_target *targets, size_t n, double rate, uint64_t step,
                                struct eg_batch_result *out, struct eg_error *err)
{
    const struct eg_trainer_options *o = &trainer->options;
    const float *logits;
    struct eg_batch_result result = {0};
    enum eg_status status = n ? eg__tape_forward(trainer->tape, inputs, n, true, step, &logits, err) : EG_OK;
    if (!status && n) result = judge(trainer, logits, targets, n);
    if (!status) status = eg__trainer_sum_results(trainer, &result, err);
    if (status) return status;
    if (!isfinite(result.loss))
        return eg__fail_for(err, EG_E_NUMERIC, EG_REASON_RATE_TOO_HIGH,
                            "the loss became %g at step %llu with rate %g", result.loss,
                            (unsigned long long)step, rate);
    float *gradients = eg__tape_gradients(trainer->tape);
    if (n)
        status = eg__tape_backward(trainer->tape, trainer->d_logits, err);
    else
        memset(gradients, 0, trainer->n_values * sizeof *gradients);
    if (!status && o->sum_over_ranks) status = o->sum_over_ranks(o->user, gradients, trainer->n_values, err);
    if (status) return status;
    double scale = result.weight > 0 ? 1 / result.weight : 0, limit = o->clip_norm;
    double length = length_of_gradient(gradients, trainer->n_values, scale);
    if (!isfinite(length))
        return eg__fail_for(err, EG_E_NUMERIC, EG_REASON_RATE_TOO_HIGH,
                            "the gradient became %g at step %llu with rate %g", length,
                            (unsigned long long)step, rate);
    if (limit > 0 && length > limit) scale *= limit / length;
    trainer->t++;
    update(trainer, rate, scale);
    *out = result;
    return EG_OK;
}

enum eg_status eg__trainer_evaluate(struct eg_trainer *trainer, const float *const *inputs,
                                    const int32_t *labels, size_t n, float *out,
                                    struct eg_batch_result *result, struct eg_error *err)
{
    const float *logits;
    enum eg_status status = eg__tape_forward(trainer->tape, inputs, n, false, 0, &logits, err);
    if (status) return status;
    *result = (struct eg_batch_result){0};
    for (size_t i = 0; i < n; i++) {
        const float *row = logits + i * trainer->classes;
        result->loss += cross_entropy(trainer, row, labels[i], 1, 0, NULL);
        result->weight += (double)trainer->class_weights[labels[i]];
        result->right += largest_of(row, trainer->classes) == (size_t)labels[i];
    }
    if (out) memcpy(out, logits, n * trainer->classes * sizeof *out);
    return EG_OK;
}

/* ---- state: values, statistics, moments, and the number of steps in two floats ---------------- */

size_t eg__trainer_state_count(const struct eg_trainer *trainer)
{
    return 3 * trainer->n_values + trainer->n_statistics + 2;
}

void eg__trainer_get_state(const struct eg_trainer *trainer, float *state)
{
    size_t n = trainer->n_values, s = trainer->n_statistics, ignored;
    memcpy(state, eg__tape_values(trainer->tape, &ignored), n * sizeof *state);
    memcpy(state + n, eg__tape_statistics(trainer->tape, &ignored), s * sizeof *state);
    memcpy(state + n + s, trainer->moments, 2 * n * sizeof *state);
    memcpy(state + 3 * n + s, &trainer->t, sizeof trainer->t);
}

void eg__trainer_set_state(struct eg_trainer *trainer, const float *state)
{
    size_t n = trainer->n_values, s = trainer->n_statistics, ignored;
    memcpy(eg__tape_values(trainer->tape, &ignored), state, n * sizeof *state);
    memcpy(eg__tape_statistics(trainer->tape, &ignored), state + n, s * sizeof *state);
    memcpy(trainer->moments, state + n + s, 2 * n * sizeof *state);
    memcpy(&trainer->t, state + 3 * n + s, sizeof trainer->t);
}

/* ---- rates ------------------------------------------------------------------------------------- */

static double along_cosine(double from, double to, double part)
{
    return to + (from - to) * (1 + cos(3.14159265358979323846 * part)) / 2;
}

double eg__one_cycle(size_t t, size_t total)
{
    const double start = 1.0 / 25, end = start / 1e4;
    double up = 0.3 * (double)total - 1, last = (double)total - 1, at = (double)t;
    if (up < 1) up = 1;
    if (last <= up) last = up + 1;
    return at <= up ? along_cosine(start, 1, at / up)
                    : along_cosine(1, end, fmin(1, (at - up) / (last - up)));
}
