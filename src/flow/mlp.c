/* mlp.c: train --classifier mlp: the FC head of fine-tuning, learned on the features of a file. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/limits.h"
#include "base/mem.h"
#include "flow/training.h"
#include "flow/tune.h"

static const double VALID_FRACTION = 0.15; /* of the rows learned from: they choose the epoch, as in tune */

struct mlp {
    struct training *t;
    struct eg_tune_cache cache; /* [n_train][d] */
    size_t n, d, n_classes, hidden;
    const uint8_t *fold; /* [n]; NULL: none */
    unsigned folds;
    size_t *rows; /* training rows, then validation */
    size_t n_learn, n_valid;
    float *class_weights; /* NULL: all 1 */
    struct eg_dist alone;
    size_t epochs_done, epochs_total;
};

static const float *features(const struct mlp *m) { return (const float *)(const void *)m->cache.bytes; }

static enum eg_status read_features(struct mlp *m, const char *beside, struct eg_error *err)
{
    enum { BLOCK = 64 };
    struct eg_row_source source = eg__training_rows(m->t);
    size_t memory = m->t->how.memory_bytes ? m->t->how.memory_bytes : eg__usable_memory() / 2, rows[BLOCK];
    enum eg_status status =
        eg__tune_cache_init(&m->cache, m->n, m->d * sizeof(float), memory / 2, beside, err);
    for (size_t first = 0; first < m->n && !status; first += BLOCK) {
        size_t count = m->n - first < BLOCK ? m->n - first : BLOCK;
        float *block = (float *)(void *)m->cache.bytes + first * m->d;
        for (size_t i = 0; i < count; i++) rows[i] = first + i;
        status = source.gather(source.self, rows, count, block, err);
    }
    return status;
}

/* Rows outside fold `out` (folds: none is outside), a part of every class of them to validate. */
static enum eg_status divide(struct mlp *m, unsigned out, struct eg_error *err)
{
    const struct eg_sample *s = &m->t->sample;
    size_t n = 0, at = 0, *inside = eg__alloc(m->n, sizeof *inside);
    int32_t *labels = eg__alloc(m->n, sizeof *labels);
    uint8_t(*identity)[32] = eg__alloc(m->n, sizeof *identity), *part = eg__zalloc(m->n, 1);
    enum eg_status status = inside && labels && identity && part ? EG_OK : eg__fail_memory(err, "the rows");
    for (size_t i = 0; i < m->n && !status; i++) {
        if (m->fold && m->fold[i] == out) continue;
        labels[n] = s->labels[i];
        memcpy(identity[n], s->identity[i], sizeof *identity);
        inside[n++] = i;
    }
    if (!status)
        status = eg__split((eg_hashes)identity, labels, n, m->n_classes, VALID_FRACTION, m->t->how.seed + 1,
                           part, err);
    for (uint8_t p = 0; p < 2 && !status; p++) {
        for (size_t i = 0; i < n; i++)
            if (part[i] == p) m->rows[at++] = inside[i];
        if (!p) m->n_learn = at;
    }
    m->n_valid = at - m->n_learn;
    free(inside);
    free(labels);
    free(identity);
    free(part);
    return status;
}

/* Progress counts epochs of all heads; the loop's own steps only ask whether to stop. */
static bool watch(void *user, size_t done, size_t total)
{
    (void)done;
    (void)total;
    const struct mlp *m = user;
    const struct eg_learn_options *how = &m->t->how;
    return !how->progress || how->progress(how->user, m->epochs_done, m->epochs_total);
}

static void count_epoch(void *user, const struct eg_epoch *epoch)
{
    (void)epoch;
    ((struct mlp *)user)->epochs_done++;
}

/* A head learned on the rows at hand; right: of the rows of fold `out`, and their probabilities in
 * p [n][n_classes] (NULL: not wanted). */
static enum eg_status learn_head(struct mlp *m, unsigned out, struct eg_graph **made, size_t *right, float *p,
                                 struct eg_error *err)
{
    const struct training *t = m->t;
    struct eg_graph *head = NULL;
    struct eg_trainer *trainer = NULL;
    struct eg_tune_report report = {.train.n_classes = m->n_classes};
    size_t begun = m->epochs_done, n_out = 0;
    const struct eg_head_shape shape = {.d = m->d, .hidden = m->hidden, .classes = m->n_classes};
    enum eg_status status = divide(m, out, err);
    if (!status) status = eg__tune_head(&shape, t->how.seed, &head, err);
    if (status) return status;
    bool *all = eg__alloc(head->n_nodes, sizeof *all);
    for (uint32_t i = 0; all && i < head->n_nodes; i++) all[i] = true;
    uint32_t probabilities = head->output;
    head->output = head->nodes[probabilities].inputs[0]; /* the logits, while it learns */
    struct eg_trainer_options options = {
        .tape = {.max_batch = EG_HEAD_BATCH, .trainable = all, .seed = t->how.seed},
        .optimizer = EG_ADAMW,
        .weight_decay = -1,
        .momentum = -1,
        .clip_norm = EG_TUNE_CLIP,
        .label_smoothing = EG_TUNE_SMOOTHING,
        .class_weights = m->class_weights,
    };
    status = all ? eg__trainer_create(head, &options, t->how.pool, &trainer, err)
                 : eg__fail_memory(err, "the head");
    free(all);
    struct eg_tune_phase phase = {.trainer = trainer,
                                  .dist = &m->alone,
                                  .features = features(m),
                                  .d = m->d,
                                  .labels = t->sample.labels,
                                  .train = m->rows,
                                  .valid = m->rows + m->n_learn,
                                  .n_train = m->n_learn,
                                  .n_valid = m->n_valid,
                                  .batch = EG_HEAD_BATCH,
                                  .epochs = EG_HEAD_EPOCHS,
                                  .patience = EG_HEAD_PATIENCE,
                                  .seed = t->how.seed,
                                  .progress = watch,
                                  .epoch = count_epoch,
                                  .user = m,
                                  .report = &report};
    if (!status) status = eg__tune_phase(&phase, err);
    m->epochs_done = begun + EG_HEAD_EPOCHS; /* patience may have ended it */
    for (size_t i = 0; i < m->n && right; i++)
        if (m->fold[i] == out) m->rows[n_out++] = i;
    struct eg_batch_result result = {0};
    float *logits = p ? eg__alloc(n_out, m->n_classes * sizeof *logits) : NULL;
    if (!status && p && !logits) status = eg__fail_memory(err, "probabilities");
    if (!status && right) status = eg__tune_measure(&phase, m->rows, n_out, logits, &result, err);
    for (size_t i = 0; i < n_out && logits && !status; i++)
        eg__softmax(logits + i * m->n_classes, m->n_classes, p + m->rows[i] * m->n_classes);
    free(logits);
    if (!status && right) *right += result.right;
    head->output = probabilities;
    if (!status && made) status = eg__tape_export(eg__trainer_tape(trainer), head, err);
    eg__trainer_free(trainer);
    free(report.epochs);
    free(report.curve);
    if (!status && made)
        *made = head;
    else
        eg__graph_free(head);
    return status;
}

static enum eg_status weigh_classes(struct mlp *m, struct eg_error *err)
{
    if (!m->t->how.balance) return EG_OK;
    size_t *count = eg__zalloc(m->n_classes, sizeof *count);
    m->class_weights = eg__alloc(m->n_classes, sizeof *m->class_weights);
    if (count && m->class_weights) {
        for (size_t i = 0; i < m->n; i++) count[m->t->sample.labels[i]]++;
        for (size_t k = 0; k < m->n_classes; k++)
            m->class_weights[k] = (float)((double)m->n / ((double)m->n_classes * (double)count[k]));
    }
    free(count);
    return m->class_weights ? EG_OK : eg__fail_memory(err, "class weights");
}

enum eg_status eg__training_mlp(struct training *t, const char *beside, struct eg_error *err)
{
    const struct eg_learn_options *how = &t->how;
    if (how->scale != EG_SCALE_AUTO && how->scale != EG_SCALE_NONE)
        return eg__fail(err, EG_E_ARGUMENT, "an mlp takes features as they are: scale '%s' is for the others",
                        eg__scaling_names[how->scale]);
    if (how->n_c) return eg__fail(err, EG_E_ARGUMENT, "an mlp has no C");
    if (how->reject_rate > 0) return eg__fail(err, EG_E_UNSUPPORTED, "an mlp does not reject");
    struct mlp m = {.t = t,
                    .n = t->sample.n_train,
                    .d = t->joint.length,
                    .n_classes = t->sample.n_classes,
                    .hidden = t->options->hidden ? t->options->hidden : EG_HEAD_HIDDEN,
                    .fold = t->fold,
                    .folds = !t->fold     ? 1
                             : how->folds ? how->folds
                                          : 5,
                    .alone = {.n_ranks = 1}};
    struct eg_learned made = {.learner = EG_MLP,
                              .scale = EG_SCALE_NONE,
                              .c = NAN,
                              .cv_accuracy = NAN,
                              .objective = NAN,
                              .gap = NAN,
                              .oob_accuracy = NAN};
    size_t right = 0;
    m.epochs_total = EG_HEAD_EPOCHS * (size_t)(m.folds > 1 ? m.folds + 1 : 1);
    m.rows = eg__alloc(m.n, sizeof *m.rows);
    enum eg_status status = m.rows ? weigh_classes(&m, err) : eg__fail_memory(err, "rows");
    if (!status) status = read_features(&m, beside, err);
    if (!status && how->out_of_fold) {
        made.out_of_fold = eg__alloc(m.n, m.n_classes * sizeof *made.out_of_fold);
        if (!made.out_of_fold) status = eg__fail_memory(err, "probabilities");
    }
    if (!status && m.folds > 1) {
        for (unsigned f = 0; f < m.folds && !status; f++)
            status = learn_head(&m, f, NULL, &right, made.out_of_fold, err);
        made.cv_accuracy = (double)right / (double)m.n;
    }
    if (!status && !how->choose_only) status = learn_head(&m, UINT8_MAX, &made.head, NULL, NULL, err);
    if (status)
        eg__learned_release(&made);
    else
        t->learned = made;
    eg__tune_cache_release(&m.cache);
    free(m.class_weights);
    free(m.rows);
    return status;
}
