/* tune_linear.c: the linear classifier on the rows of fine-tuning: where its head begins, and the mark
 * to beat. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "flow/tuning.h"

enum { FOLDS = 5 };

struct picked {
    const struct tuning *t;
    const size_t *rows;
};

static enum eg_status gather(void *self, const size_t *rows, size_t count, float *out, struct eg_error *err)
{
    (void)err;
    const struct picked *p = self;
    for (size_t i = 0; i < count; i++)
        memcpy(out + i * p->t->d,
               (const float *)(const void *)p->t->features.bytes + p->rows[rows[i]] * p->t->d,
               p->t->d * sizeof *out);
    return EG_OK;
}

/* As many folds as the classes have rows for; 1: there can be none. */
static unsigned divide(const struct tuning *t, uint8_t (*identity)[32], const int32_t *labels, size_t n,
                       uint8_t *fold)
{
    const struct eg_train_report *r = &t->report.train;
    unsigned k = FOLDS;
    while (k > 1 && eg__folds((eg_hashes)identity, labels, n, (const char *const *)r->classes, r->n_classes,
                              k, t->options->seed, fold, NULL))
        k--;
    return k;
}

/* One classifier, C by cross-validation; with too few rows for that C is 1. */
static enum eg_status learn(struct tuning *t, const size_t *rows, size_t n, enum eg_learner learner,
                            enum eg_scaling scale, struct eg_learned *learned, struct eg_error *err)
{
    static const double one = 1;
    struct picked picked = {t, rows};
    struct eg_row_source source = {.n = n, .d = t->d, .gather = gather, .self = &picked};
    int32_t *labels = eg__alloc(n, sizeof *labels);
    uint8_t(*identity)[32] = eg__alloc(n, sizeof *identity), *fold = eg__alloc(n, 1);
    enum eg_status status = labels && identity && fold ? EG_OK : eg__fail_memory(err, "labels");
    for (size_t i = 0; i < n && !status; i++) {
        labels[i] = t->labels[rows[i]];
        memcpy(identity[i], t->sample.identity[t->by_row[rows[i]]], sizeof *identity);
    }
    struct eg_learn_options how = {
        .learner = learner, .scale = scale, .seed = t->options->seed, .pool = t->options->pool};
    if (!status && (how.folds = divide(t, identity, labels, n, fold)) > 1)
        how.fold = fold;
    else {
        how.scale = scale == EG_SCALE_AUTO ? EG_SCALE_NONE : scale;
        how.c = &one;
        how.n_c = 1;
    }
    if (!status) status = eg__learn(&source, labels, t->report.train.n_classes, &how, learned, err);
    free(labels);
    free(identity);
    free(fold);
    return status;
}

enum eg_status eg__tuning_best_linear(struct tuning *t, const size_t *rows, size_t n,
                                      struct eg_learned *learned, struct eg_error *err)
{
    struct eg_learned best, other;
    enum eg_status status = learn(t, rows, n, EG_LOGISTIC, EG_SCALE_AUTO, &best, err);
    if (status) return status;
    if (!isnan(best.cv_accuracy)) {
        status = learn(t, rows, n, EG_SVM, EG_SCALE_AUTO, &other, err);
        if (status) {
            eg__learned_release(&best);
            return status;
        }
        struct eg_learned *worse = other.cv_accuracy > best.cv_accuracy ? &best : &other;
        eg__learned_release(worse);
        if (worse == &best) best = other;
    }
    *learned = best;
    return EG_OK;
}

enum eg_status eg__tuning_ask_linear(struct tuning *t, const struct eg_learned *learned, const size_t *rows,
                                     size_t n, float *probabilities, struct eg_error *err)
{
    struct eg_run *run;
    uint32_t output = learned->head->output;
    struct eg_run_options options = {.max_batch = 1};
    enum eg_status status = eg__run_create(learned->head, &output, 1, &options, t->options->pool, &run, err);
    if (status) return status;
    for (size_t i = 0; i < n && !status; i++) {
        float *out = probabilities + i * t->report.train.n_classes;
        status = eg__run_forward(run, (const float *)(const void *)t->features.bytes + rows[i] * t->d, 1,
                                 &out, err);
    }
    eg__run_free(run);
    return status;
}

size_t eg__likeliest(const float *p, size_t k)
{
    size_t best = 0;
    for (size_t c = 1; c < k; c++)
        if (p[c] > p[best]) best = c;
    return best;
}

/* Where the tape has the parameters of a head's layer: weights, and the biases behind them. */
static float *values_of(struct tuning *t, const char *layer)
{
    struct eg_tape *tape = eg__trainer_tape(t->head_trainer);
    size_t n, n_values;
    const struct eg_parameter *parameters = eg__tape_parameters(tape, &n);
    float *values = eg__tape_values(tape, &n_values);
    for (size_t i = 0; i < n; i++)
        if (!strcmp(t->head->nodes[parameters[i].node].name, layer) && !parameters[i].slot)
            return values + parameters[i].first;
    return NULL;
}

/* Slope, by the factor s on all scores [n][k], of the loss that the head then learns by: cross-entropy
 * against smoothed labels. It rises with s. */
static double slope(const struct tuning *t, const size_t *rows, size_t n, const float *scores, double s)
{
    size_t k = t->report.train.n_classes;
    double smoothing = eg__tuning_smoothing(t), sum = 0;
    for (size_t i = 0; i < n; i++) {
        const float *z = scores + i * k;
        double most = (double)z[eg__likeliest(z, k)], all = 0, mean = 0, plain = 0;
        for (size_t c = 0; c < k; c++) {
            double p = exp(s * ((double)z[c] - most));
            all += p;
            mean += p * (double)z[c];
            plain += (double)z[c] / (double)k;
        }
        sum += mean / all - (1 - smoothing) * (double)z[t->labels[rows[i]]] - smoothing * plain;
    }
    return sum;
}

/* The head [classes][d] and its biases times what makes that loss smallest, but not more than `most`: one
 * that is far too sure has gradients that throw the layers below about. */
static enum eg_status soften(struct tuning *t, const size_t *rows, size_t n, double most, float *values,
                             struct eg_error *err)
{
    size_t k = t->report.train.n_classes, d = t->d;
    float *scores = eg__alloc(n, k * sizeof *scores);
    if (!scores) return eg__fail_memory(err, "scores");
    for (size_t i = 0; i < n; i++)
        for (size_t c = 0; c < k; c++) {
            const float *x = (const float *)(const void *)t->features.bytes + rows[i] * d,
                        *w = values + c * d;
            float sum = values[k * d + c];
            for (size_t j = 0; j < d; j++) sum += w[j] * x[j];
            scores[i * k + c] = sum;
        }
    double low = 0, high = most;
    for (int step = 0; step < 40 && slope(t, rows, n, scores, most) > 0; step++) {
        double middle = (low + high) / 2;
        *(slope(t, rows, n, scores, middle) > 0 ? &high : &low) = middle;
    }
    for (size_t i = 0; i < k * d + k; i++) values[i] *= (float)high;
    free(scores);
    return EG_OK;
}

enum eg_status eg__tuning_begin_head(struct tuning *t, const size_t *rows, size_t n, struct eg_error *err)
{
    struct eg_learned learned;
    enum eg_status status = learn(t, rows, n, EG_LOGISTIC, EG_SCALE_NONE, &learned, err);
    if (status) return status;
    const struct eg_graph *graph = learned.head;
    size_t classes = t->report.train.n_classes, n_weights = classes * t->d;
    float *values = values_of(t, EG_HEAD_LINEAR), temperature = 1;
    for (uint32_t i = 0; i < graph->n_nodes; i++) {
        const struct eg_node *node = &graph->nodes[i];
        if (node->op == EG_OP_LINEAR) {
            eg__tensor_read(node->params[0], values);
            eg__tensor_read(node->params[1], values + n_weights);
        } else if (node->op == EG_OP_MUL)
            eg__tensor_read(node->params[0], &temperature);
    }
    eg__learned_release(&learned);
    return soften(t, rows, n, (double)temperature, values, err);
}
