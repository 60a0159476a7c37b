/* tune.c: fine-tuning (Yosinski et al. 2014). The FC layers are gone, a new FC head is on the
 * cut: first the head learns, on features computed once; then the layers from the cut down to
 * the one named learn with it, at lower rates. The test rows are looked at once, at the end. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/text.h"
#include "base/versioned.h"
#include "eval/metrics.h"
#include "flow/trained.h"
#include "flow/tune.h"
#include "image/photo.h"
#include "learn/learn.h"
#include "sample/sample.h"

enum {
    DEFAULT_BATCH = 16,
    HEAD_BATCH = EG_HEAD_BATCH,
    HEAD_EPOCHS = EG_HEAD_EPOCHS,
    DEFAULT_EPOCHS = 10,
    PATIENCE = 5,
    FOLDS = 5
};

struct tuning {
    const struct eg_net *net;
    const struct eg_dataset *dataset;
    const struct eg_tune_options *options;
    const char *path;
    struct eg_dist dist; /* processes that share every batch; the first one writes */
    char *state_path, identity[65], unfreeze_from[256];
    struct eg_cut_plan plan;
    struct eg_graph *head, *graph; /* the head alone; everything, with the head on it */
    uint32_t cut, logits;          /* in graph */
    enum eg_augment augment;
    bool *trainable; /* by node of graph */
    float *rate_scale;
    size_t *items;           /* readable labelled rows: items of the dataset */
    int32_t *label_of;       /* class of the dataset to label; -1: it has no photo */
    int32_t *labels;         /* [n] 0.. of the classes that have photos */
    struct eg_sample sample; /* of those rows: rows[i] is one of 0..n-1 */
    size_t *rows;            /* training rows, then validation, then test */
    size_t *by_row;          /* [n] where a row is in the sample */
    size_t n, n_train, n_valid, n_test;
    size_t batch, head_batch;      /* images of a step: of all, of the head alone */
    struct eg_tune_cache features; /* [n][d] at the cut */
    size_t d;
    struct eg_trainer *head_trainer, *trainer;
    struct eg_tune_source source;
    struct eg_trained trained;
    struct eg_tune_report report;
};

static bool is_none(const char *layer) { return !layer || !strcmp(layer, "none"); }

/* ---- the network with its new head ---------------------------------------------------------------- */

/* The learned layers: from the one named (for a block, its first) to the cut. */
static enum eg_status choose_layers(struct tuning *t, struct eg_error *err)
{
    const char *name = t->options->unfreeze;
    struct eg_graph *graph = t->graph;
    t->trainable = eg__zalloc(graph->n_nodes, sizeof *t->trainable);
    t->rate_scale = eg__zalloc(graph->n_nodes, sizeof *t->rate_scale);
    if (!t->trainable || !t->rate_scale) return eg__fail_memory(err, "the layers");
    uint32_t from = 0;
    if (strcmp(name, "all") != 0) {
        uint32_t somewhere;
        if (eg__graph_find(graph, name, &from, NULL) || from > t->cut) {
            enum eg_status status = eg__graph_find(t->net->graph, name, &somewhere, err);
            return status ? status
                          : eg__fail_for(err, EG_E_ARGUMENT, EG_REASON_PAST_THE_CUT,
                                         "layer '%s' is past the cut '%s': there is nothing of it left", name,
                                         t->plan.infos[0].name);
        }
        size_t length = strlen(name);
        for (uint32_t i = from; i-- > 0;)
            if (!strncmp(graph->nodes[i].name, name, length) && graph->nodes[i].name[length] == '.') from = i;
    }
    bool any = false;
    size_t smallest = 0; /* the last volume's height */
    for (uint32_t i = 0; i <= t->cut; i++)
        if (eg__map(graph->nodes[i].shape).h > 1) smallest = eg__map(graph->nodes[i].shape).h;
    for (uint32_t i = 0; i < graph->n_nodes; i++) {
        const struct eg_node *node = &graph->nodes[i];
        t->rate_scale[i] = 1;
        if (i > t->cut) {
            t->trainable[i] = true;
            continue;
        }
        t->trainable[i] = i >= from;
        bool learns = t->trainable[i] && eg__node_parameters(graph, i) > 0;
        if (learns && !any) snprintf(t->unfreeze_from, sizeof t->unfreeze_from, "%s", node->name);
        any |= learns;
        /* discriminative rates (Howard & Ruder 2018): a fifth of the head's at the top, less by
           a third at every halving of the map below */
        double halvings = smallest && eg__map(node->shape).h > smallest
                              ? log2((double)eg__map(node->shape).h / (double)smallest)
                              : 0;
        t->rate_scale[i] = (float)(0.2 * pow(2.0 / 3, halvings));
    }
    if (!any)
        return eg__fail_for(err, EG_E_ARGUMENT, EG_REASON_NOTHING_LEARNS,
                            "no layer from '%s' to the cut '%s' has parameters", name, t->plan.infos[0].name);
    return EG_OK;
}

static enum eg_status build(struct tuning *t, struct eg_error *err)
{
    const struct eg_tune_options *o = t->options;
    struct eg_run_cuts cuts = {.cuts = &o->cut, .n_cuts = o->cut != NULL};
    enum eg_status status = eg__cuts_plan(t->net, &cuts, &t->plan, err);
    if (status) return status;
    t->d = t->plan.infos[0].length;
    t->trained.cut = &t->plan.infos[0];
    size_t hidden = o->linear_head ? 0 : o->hidden ? o->hidden : EG_HEAD_HIDDEN;
    status = eg__tune_head(t->d, hidden, t->report.train.n_classes, o->seed, &t->head, err);
    if (!status) status = eg__trained_build(t->net, &t->trained, t->head, &t->graph, err);
    if (status) return status;
    t->logits = t->graph->nodes[t->graph->output].inputs[0];
    t->cut = t->graph->output;
    for (uint32_t i = t->head->n_nodes - 1; i > 0; i--)
        t->cut = t->graph->nodes[t->cut].inputs[0]; /* a chain */
    t->graph->output = t->logits;
    t->head->output = t->head->nodes[t->head->output].inputs[0];
    return is_none(o->unfreeze) ? EG_OK : choose_layers(t, err);
}

static enum eg_status sum_over_ranks(void *user, float *values, size_t n, struct eg_error *err)
{
    return eg__dist_sum(user, values, n, err);
}

static enum eg_status make_trainer(struct tuning *t, const struct eg_graph *graph, const bool *trainable,
                                   const float *rate_scale, size_t batch, struct eg_trainer **trainer,
                                   struct eg_error *err)
{
    const struct eg_tune_options *o = t->options;
    struct eg_trainer_options options = {
        .tape = {.max_batch = batch,
                 .trainable = trainable,
                 .train_batch_norm = o->train_batch_norm,
                 .seed = o->seed},
        .optimizer = o->optimizer && !strcmp(o->optimizer, "sgd") ? EG_SGD : EG_ADAMW,
        .weight_decay = -1,
        .momentum = -1,
        .clip_norm = EG_TUNE_CLIP,
        .label_smoothing = o->label_smoothing < 0   ? 0
                           : o->label_smoothing > 0 ? o->label_smoothing
                                                    : EG_TUNE_SMOOTHING,
        .rate_scale = rate_scale,
        .sum_over_ranks = t->dist.n_ranks > 1 ? sum_over_ranks : NULL,
        .user = &t->dist,
    };
    return eg__trainer_create(graph, &options, o->pool, trainer, err);
}

/* ---- rows ------------------------------------------------------------------------------------------------
 */

static enum eg_status list_rows(struct tuning *t, struct eg_error *err)
{
    size_t n_items = t->dataset->n_items;
    t->items = eg__alloc(n_items + 1, sizeof *t->items);
    t->labels = eg__alloc(n_items + 1, sizeof *t->labels);
    if (!t->items || !t->labels) return eg__fail_memory(err, "rows");
    for (size_t i = 0; i < n_items; i++) {
        if (t->dataset->items[i].label < 0) {
            t->report.train.n_unlabelled++;
            continue;
        }
        t->items[t->n] = i;
        t->labels[t->n++] = t->label_of[t->dataset->items[i].label];
    }
    if (!t->n)
        return eg__fail(err, EG_E_ARGUMENT,
                        "no photo has a label: photos are labelled by the folder they are in");
    size_t asked = t->options->batch;
    t->batch = asked ? asked : DEFAULT_BATCH;
    t->head_batch = asked ? asked : HEAD_BATCH;
    if (t->batch > t->n) t->batch = t->n;
    if (t->head_batch > t->n) t->head_batch = t->n;
    return EG_OK;
}

/* Everything below the learned layers, once, for every row as it is. Photos that cannot be
 * read are left out. */
static enum eg_status compute_rows(struct tuning *t, uint8_t (*hashes)[32], struct eg_error *err)
{
    const struct eg_tune_options *o = t->options;
    struct eg_feeder feeder = {0};
    struct eg_run *run = NULL;
    uint32_t outputs[EG_INPUTS_MAX + 1] = {t->cut};
    float *out[EG_INPUTS_MAX + 1] = {0};
    size_t n_outputs = 1, batch = t->batch, kept = 0, *rows = eg__alloc(batch, sizeof *rows);
    size_t place[EG_INPUTS_MAX] = {0}; /* of a boundary node among the outputs */
    for (size_t b = 0; t->trainer && b < t->source.n_boundary; b++) {
        uint32_t node = t->source.boundary[b];
        for (place[b] = 0; place[b] < n_outputs && outputs[place[b]] != node; place[b]++) {
        }
        if (node && place[b] == n_outputs) outputs[n_outputs++] = node;
    }
    struct eg_run_options options = {.max_batch = batch};
    enum eg_status status = rows ? EG_OK : eg__fail_memory(err, "a batch");
    if (!status)
        status = eg__feeder_init(t->net->has_recipe ? &t->net->recipe : NULL, t->graph, t->dataset, batch,
                                 o->pool, &feeder, err);
    if (!status) status = eg__run_create(t->graph, outputs, n_outputs, &options, o->pool, &run, err);
    for (size_t k = 0; k < n_outputs && !status; k++)
        if (!(out[k] = eg__alloc(batch * eg__shape_count(t->graph->nodes[outputs[k]].shape), sizeof(float))))
            status = eg__fail_memory(err, "a batch");
    size_t n = t->n,
           input_bytes = eg__shape_count(t->graph->nodes[0].shape) * (feeder.values ? sizeof(float) : 1);
    for (size_t first = 0; first < n && !status; first += batch) {
        size_t count = n - first < batch ? n - first : batch;
        for (size_t i = 0; i < count; i++) rows[i] = t->items[first + i];
        eg__feeder_load(&feeder, rows, count);
        status = eg__feeder_run(&feeder, run, count, out, err);
        for (size_t i = 0; i < count && !status; i++) {
            if (feeder.reasons[i][0]) {
                status = eg__skip(&t->report.train.unreadable, &t->report.train.n_unreadable,
                                  t->dataset->items[rows[i]].path, feeder.reasons[i], err);
                continue;
            }
            memcpy((float *)(void *)t->features.bytes + kept * t->d, out[0] + i * t->d, t->d * sizeof(float));
            const void *input = (feeder.values ? (uint8_t *)feeder.values : feeder.pixels) + i * input_bytes;
            const float *boundary[EG_INPUTS_MAX] = {0};
            for (size_t b = 0; t->trainer && b < t->source.n_boundary; b++)
                if (t->source.boundary[b])
                    boundary[b] =
                        out[place[b]] + i * eg__shape_count(t->graph->nodes[t->source.boundary[b]].shape);
            if (t->trainer) eg__tune_source_keep(&t->source, kept, input, boundary);
            memcpy(hashes[kept], feeder.hashes[i], sizeof *hashes);
            t->items[kept] = rows[i];
            t->labels[kept++] = t->label_of[t->dataset->items[rows[i]].label];
        }
        if (!status && o->progress && !o->progress(o->user, first + count, n))
            status = eg__fail(err, EG_E_CANCELLED, "stopped");
    }
    t->n = kept;
    for (size_t k = 0; k < n_outputs; k++) free(out[k]);
    eg__run_free(run);
    eg__feeder_release(&feeder);
    free(rows);
    return status;
}

/* Some of the training rows to validate on, class by class. */
static enum eg_status take_validation(struct tuning *t, struct eg_error *err)
{
    const struct eg_tune_options *o = t->options;
    const struct eg_sample *s = &t->sample;
    double valid = o->valid_fraction < 0 ? 0 : o->valid_fraction > 0 ? o->valid_fraction : 0.15;
    uint8_t *part = eg__zalloc(s->n, 1);
    enum eg_status status = part ? EG_OK : eg__fail_memory(err, "the split");
    for (size_t i = s->n_train; i < s->n && !status; i++) part[i] = 2;
    if (!status && valid > 0)
        status = eg__split((eg_hashes)s->identity, s->labels, s->n_train, s->n_classes, valid, o->seed + 1,
                           part, err);
    size_t at = 0, counts[3] = {0};
    for (uint8_t p = 0; p < 3 && !status; p++)
        for (size_t i = 0; i < s->n; i++)
            if (part[i] == p) {
                t->rows[at++] = s->rows[i];
                t->by_row[s->rows[i]] = i;
                counts[p]++;
            }
    t->n_train = t->report.train.n_train = counts[0];
    t->n_valid = t->report.n_valid = counts[1];
    t->n_test = counts[2];
    free(part);
    return status;
}

/* The test rows are those `train` keeps with the same seed and groups; the validation rows are some
 * of the others. */
static enum eg_status split_rows(struct tuning *t, const uint8_t (*hashes)[32], struct eg_error *err)
{
    const struct eg_tune_options *o = t->options;
    const struct eg_dataset *images = t->dataset;
    size_t *rows = eg__alloc(t->n, sizeof *rows);
    const char **paths = eg__alloc(t->n, sizeof *paths);
    t->rows = eg__alloc(t->n, sizeof *t->rows);
    t->by_row = eg__alloc(t->n, sizeof *t->by_row);
    bool room = rows && paths && t->rows && t->by_row;
    for (size_t i = 0; i < t->n && room; i++) {
        rows[i] = i;
        paths[i] = images->items[t->items[i]].path;
    }
    struct eg_labelled labelled = {t->n,
                                   rows,
                                   t->labels,
                                   hashes,
                                   paths,
                                   (const char *const *)t->report.train.classes,
                                   t->report.train.n_classes,
                                   t->dataset->is_array};
    struct eg_sample_options how = {.test_fraction = o->test_fraction, .seed = o->seed, .group = o->group};
    enum eg_status status =
        room ? eg__sample_make(&labelled, &how, &t->sample, err) : eg__fail_memory(err, "the split");
    if (!status && t->sample.n_empty)
        status =
            eg__fail(err, EG_E_IO, "no photo of class '%s' could be read (mend them, or take the class out)",
                     t->sample.empty[0]);
    t->trained.sample = &t->sample;
    if (!status) status = take_validation(t, err);
    struct eg_train_report *r = &t->report.train;
    r->twice = t->sample.twice;
    r->n_twice = t->sample.n_twice;
    t->sample.twice = NULL;
    t->sample.n_twice = 0;
    free(rows);
    free(paths);
    return status;
}

/* What a saved state must be of: everything that decides the weights. */
static enum eg_status identify(struct tuning *t, struct eg_error *err)
{
    const struct eg_tune_options *o = t->options;
    struct eg_text text = {0};
    uint8_t digest[32];
    eg__text_append(&text, "%s %s %s %s %zu %d %zu %zu %u %.9g %s %u %u %.9g %.9g %.9g %d %.9g %llu",
                    eg_version(), t->trained.weights_sha256, t->sample.digest, t->plan.infos[0].name, t->d,
                    o->linear_head, o->hidden, t->batch, o->epochs, o->rate, o->optimizer ? o->optimizer : "",
                    (unsigned)t->augment, o->views, o->label_smoothing, o->mixup, o->valid_fraction,
                    o->train_batch_norm, o->test_fraction, (unsigned long long)o->seed);
    eg__text_append(&text, " %s %s", o->unfreeze ? o->unfreeze : "none", eg_cpu());
    for (size_t i = 0; i < t->n; i++)
        eg__text_append(&text, " %d:%zu", t->labels[t->rows[i]], t->items[t->rows[i]]);
    enum eg_status status = text.failed ? eg__fail_memory(err, "the run's identity")
                                        : eg__sha256(text.chars, text.length, digest, err);
    if (!status) eg__hex(digest, sizeof digest, t->identity);
    free(text.chars);
    return status;
}

/* ---- a linear classifier on the same rows: the start of a linear head, and the mark to beat --------- */

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

static enum eg_status learn_linear(struct tuning *t, const size_t *rows, size_t n, enum eg_scaling scale,
                                   struct eg_learned *learned, struct eg_error *err)
{
    struct picked picked = {t, rows};
    struct eg_row_source source = {n, t->d, gather, &picked};
    const struct eg_train_report *r = &t->report.train;
    int32_t *labels = eg__alloc(n, sizeof *labels);
    uint8_t(*identity)[32] = eg__alloc(n, sizeof *identity), *fold = eg__alloc(n, 1);
    enum eg_status status = labels && identity && fold ? EG_OK : eg__fail_memory(err, "labels");
    for (size_t i = 0; i < n && !status; i++) {
        labels[i] = t->labels[rows[i]];
        memcpy(identity[i], t->sample.identity[t->by_row[rows[i]]], sizeof *identity);
    }
    if (!status)
        status = eg__folds((eg_hashes)identity, labels, n, (const char *const *)r->classes, r->n_classes,
                           FOLDS, t->options->seed, fold, err);
    struct eg_learn_options how = {
        .scale = scale, .fold = fold, .folds = FOLDS, .seed = t->options->seed, .pool = t->options->pool};
    if (!status) status = eg__learn(&source, labels, r->n_classes, &how, learned, err);
    free(labels);
    free(identity);
    free(fold);
    return status;
}

/* Share of right answers of the linear classifier on the test rows; NAN when it cannot be had
 * (too few rows to choose C): it is a comparison, not the work. */
static enum eg_status measure_linear(struct tuning *t, struct eg_error *err)
{
    t->report.linear_accuracy = NAN;
    if (!t->n_test) return EG_OK;
    struct eg_learned learned;
    if (learn_linear(t, t->rows, t->n_train + t->n_valid, EG_SCALE_AUTO, &learned, NULL)) return EG_OK;
    struct eg_run *run;
    uint32_t output = learned.head->output;
    size_t classes = t->report.train.n_classes, right = 0;
    struct eg_run_options options = {.max_batch = 1};
    enum eg_status status = eg__run_create(learned.head, &output, 1, &options, t->options->pool, &run, err);
    float *scores = eg__alloc(classes, sizeof *scores);
    if (!status && !scores) status = eg__fail_memory(err, "scores");
    const size_t *test = t->rows + t->n_train + t->n_valid;
    for (size_t i = 0; i < t->n_test && !status; i++) {
        status = eg__run_forward(run, (const float *)(const void *)t->features.bytes + test[i] * t->d, 1,
                                 &scores, err);
        size_t best = 0;
        for (size_t k = 1; k < classes; k++)
            if (scores[k] > scores[best]) best = k;
        right += best == (size_t)t->labels[test[i]];
    }
    if (!status) t->report.linear_accuracy = (double)right / (double)t->n_test;
    eg__run_free(run);
    free(scores);
    eg__learned_release(&learned);
    return status;
}

/* ---- learning ------------------------------------------------------------------------------------------ */

static struct eg_tune_phase phase_of(struct tuning *t)
{
    const struct eg_tune_options *o = t->options;
    return (struct eg_tune_phase){.dist = &t->dist,
                                  .labels = t->labels,
                                  .train = t->rows,
                                  .valid = t->rows + t->n_train,
                                  .n_train = t->n_train,
                                  .n_valid = t->n_valid,
                                  .features = (const float *)(const void *)t->features.bytes,
                                  .d = t->d,
                                  .patience = PATIENCE,
                                  .mixup = o->mixup,
                                  .seed = o->seed,
                                  .state_path = t->state_path,
                                  .identity = t->identity,
                                  .progress = o->progress,
                                  .epoch = o->epoch,
                                  .user = o->user,
                                  .report = &t->report};
}

/* A head of one FC layer begins as the logistic regression on its training rows: layers below it
 * that learn from a head which knows nothing lose what they know (Kumar et al., ICLR 2022).
 * false: it could not be learned (too few rows to choose C), the head is as it was. */
static bool begin_linear(struct tuning *t)
{
    struct eg_learned learned;
    if (learn_linear(t, t->rows, t->n_train, EG_SCALE_NONE, &learned, NULL)) return false;
    const struct eg_graph *graph = learned.head;
    size_t n, classes = t->report.train.n_classes, n_weights = classes * t->d;
    float *values = eg__tape_values(eg__trainer_tape(t->head_trainer), &n), temperature = 1;
    for (uint32_t i = 0; i < graph->n_nodes; i++) {
        const struct eg_node *node = &graph->nodes[i];
        if (node->op == EG_OP_LINEAR) {
            eg__tensor_read(node->params[0], values);
            eg__tensor_read(node->params[1], values + n_weights);
        } else if (node->op == EG_OP_MUL)
            eg__tensor_read(node->params[0], &temperature);
    }
    for (size_t i = 0; i < n; i++) values[i] *= temperature;
    eg__learned_release(&learned);
    return true;
}

/* All ranks begin with the weights of the first: another kind of processor may have found others. */
static enum eg_status begin_alike(struct tuning *t, struct eg_error *err)
{
    size_t n;
    float *values = eg__tape_values(eg__trainer_tape(t->head_trainer), &n);
    if (t->dist.rank) memset(values, 0, n * sizeof *values);
    return eg__dist_sum(&t->dist, values, n, err);
}

static enum eg_status train_head(struct tuning *t, bool resume, struct eg_error *err)
{
    bool known = t->options->linear_head && !resume && begin_linear(t);
    enum eg_status status = begin_alike(t, err);
    if (status || (known && t->trainer)) return status;
    struct eg_tune_phase phase = phase_of(t);
    bool alone = !t->trainer;
    phase.trainer = t->head_trainer;
    phase.batch = t->head_batch;
    phase.epochs = alone && t->options->epochs ? t->options->epochs : HEAD_EPOCHS;
    phase.rate = alone ? t->options->rate : 0;
    phase.patience = EG_HEAD_PATIENCE;
    phase.resume = resume;
    return eg__tune_phase(&phase, err);
}

static enum eg_status train_all(struct tuning *t, bool resume, struct eg_error *err)
{
    /* the head's parameters are the last of all */
    size_t n, n_head;
    const float *head = eg__tape_values(eg__trainer_tape(t->head_trainer), &n_head);
    float *all = eg__tape_values(eg__trainer_tape(t->trainer), &n);
    memcpy(all + n - n_head, head, n_head * sizeof *all);
    struct eg_tune_phase phase = phase_of(t);
    phase.number = 1;
    phase.trainer = t->trainer;
    phase.source = &t->source;
    phase.batch = t->batch;
    phase.epochs = t->options->epochs ? t->options->epochs : DEFAULT_EPOCHS;
    phase.rate = t->options->rate;
    phase.resume = resume;
    return eg__tune_phase(&phase, err);
}

static enum eg_status learn(struct tuning *t, struct eg_error *err)
{
    int saved = -1;
    enum eg_status status = EG_OK;
    if (t->options->resume) status = eg__tune_saved_phase(t->state_path, t->identity, &saved, err);
    if (!status && saved < 1) status = train_head(t, saved == 0, err);
    if (!status && t->trainer) status = train_all(t, saved == 1, err);
    return status;
}

/* ---- test and file ---------------------------------------------------------------------------------------
 */

static enum eg_status test(struct tuning *t, struct eg_error *err)
{
    if (!t->n_test) return EG_OK;
    size_t k = t->report.train.n_classes;
    const size_t *rows = t->rows + t->n_train + t->n_valid;
    struct eg_tune_phase phase = phase_of(t);
    phase.trainer = t->trainer ? t->trainer : t->head_trainer;
    phase.source = t->trainer ? &t->source : NULL;
    phase.batch = t->trainer ? t->batch : t->head_batch;
    float *p = eg__alloc(t->n_test * k, sizeof *p);
    int32_t *truth = eg__alloc(t->n_test, sizeof *truth), *said = eg__alloc(t->n_test, sizeof *said);
    struct eg_batch_result result;
    enum eg_status status = p && truth && said ? eg__tune_measure(&phase, rows, t->n_test, p, &result, err)
                                               : eg__fail_memory(err, "the test");
    for (size_t i = 0; i < t->n_test && !status; i++) {
        float *row = p + i * k;
        size_t best = 0;
        for (size_t c = 1; c < k; c++)
            if (row[c] > row[best]) best = c;
        eg__softmax(row, k, row);
        truth[i] = t->labels[rows[i]];
        said[i] = (int32_t)best;
    }
    if (!status) status = eg__metrics(truth, said, p, t->n_test, k, &t->report.train.test, err);
    free(p);
    free(truth);
    free(said);
    return status;
}

static enum eg_status note_tuned(struct eg_graph *graph, const char *from, const char *weights,
                                 struct eg_error *err)
{
    struct eg_card card;
    enum eg_status status = eg__card_read(graph, &card, err);
    if (status) return status;
    card.tuned_from = from;
    card.weights_sha256 = weights;
    return eg__card_write(graph, &card, err);
}

static enum eg_status write_file(struct tuning *t, struct eg_error *err)
{
    const struct eg_tune_options *o = t->options;
    struct eg_graph *graph = NULL;
    t->head->output = t->head->n_nodes - 1; /* the softmax again */
    enum eg_status status = eg__tape_export(eg__trainer_tape(t->head_trainer), t->head, err);
    if (!status) status = eg__trained_build(t->net, &t->trained, t->head, &graph, err);
    if (!status && t->trainer) {
        status = eg__tape_export(eg__trainer_tape(t->trainer), graph, err);
        /* not the weights any more that feature files of the network were made with */
        char hex[65], mark[80];
        uint8_t digest[32];
        size_t n;
        const float *values = eg__tape_values(eg__trainer_tape(t->trainer), &n);
        if (!status) status = eg__sha256(values, n * sizeof *values, digest, err);
        if (!status) {
            eg__hex(digest, sizeof digest, hex);
            snprintf(mark, sizeof mark, "tuned:%s", hex);
            status = note_tuned(graph, t->unfreeze_from, mark, err);
        }
    }
    if (!status && !t->dist.rank)
        status = eg__trained_save(graph, t->net, t->path, o->overwrite || o->resume, err);
    eg__graph_free(graph);
    return eg__tune_agree(&t->dist, status, err);
}

/* ---- all of it
 * --------------------------------------------------------------------------------------------- */

/* Classes that have photos, before any of these is read. */
static enum eg_status list_classes(struct tuning *t, struct eg_error *err)
{
    const struct eg_dataset *images = t->dataset;
    const size_t n_classes = images->n_classes;
    struct eg_train_report *r = &t->report.train;
    int32_t *labels = eg__alloc(images->n_items + 1, sizeof *labels);
    t->label_of = eg__alloc(n_classes + 1, sizeof *t->label_of);
    r->classes = eg__zalloc(n_classes + 1, sizeof(char *));
    r->empty = eg__zalloc(n_classes + 1, sizeof(char *));
    bool room = labels && t->label_of && r->classes && r->empty;
    enum eg_status status = room ? EG_OK : eg__fail_memory(err, "class names");
    for (size_t k = 0; k < n_classes && room; k++) t->label_of[k] = -1;
    for (size_t i = 0; i < images->n_items && room; i++) {
        labels[i] = images->items[i].label;
        if (labels[i] >= 0) t->label_of[labels[i]] = 0;
    }
    if (!status)
        status = eg__sample_check(labels, images->n_items, (const char *const *)images->classes, n_classes,
                                  t->options->test_fraction, 1, err);
    for (size_t k = 0; k < n_classes && !status; k++) {
        char *name = strdup(images->classes[k]);
        if (!name)
            status = eg__fail_memory(err, "class names");
        else if (t->label_of[k] < 0)
            r->empty[r->n_empty++] = name;
        else {
            t->label_of[k] = (int32_t)r->n_classes;
            r->classes[r->n_classes++] = name;
        }
    }
    free(labels);
    return status;
}

static enum eg_status prepare(struct tuning *t, char sha256[65], struct eg_error *err)
{
    const struct eg_tune_options *o = t->options;
    enum eg_status status = list_classes(t, err);
    if (!status) status = eg__augment_parse(o->augment ? o->augment : "standard", &t->augment, err);
    if (status) return status;
    if (t->dataset->is_array) t->augment = EG_AUGMENT_NONE; /* no photos to vary */
    t->report.train.classifier = "mlp";
    t->report.train.scale = "none";
    t->report.train.c = t->report.train.cv_accuracy = t->report.train.objective = t->report.train.gap = NAN;
    if (t->net->graph->weights_path && (status = eg_net_weights_sha256(t->net, sha256, err))) return status;
    t->trained.report = &t->report.train;
    t->trained.weights_sha256 = sha256;
    t->trained.command = o->command;
    if (asprintf(&t->state_path, "%s.tuning", t->path) < 0) {
        t->state_path = NULL;
        return eg__fail_memory(err, "a file name");
    }
    if (o->resume && access(t->state_path, F_OK))
        return eg__fail(err, EG_E_ARGUMENT, "there is no run to go on with: '%s' is not there",
                        t->state_path);
    if (!o->resume && !o->overwrite && !access(t->state_path, F_OK))
        return eg__fail_for(err, EG_E_EXISTS, EG_REASON_RUN_UNFINISHED, "'%s' is of an unfinished run",
                            t->state_path);
    if (!t->dist.rank && !status) { /* a folder that cannot be written to: better said now */
        struct eg_outfile file;
        status = eg__outfile_open(t->state_path, true, &file, err);
        if (!status) eg__outfile_abandon(&file);
    }
    if (!status) status = list_rows(t, err);
    return status ? status : build(t, err);
}

static enum eg_status make_trainers(struct tuning *t, struct eg_error *err)
{
    const struct eg_tune_options *o = t->options;
    size_t memory = o->memory_bytes ? o->memory_bytes : eg__usable_memory() / 2;
    bool *all = eg__alloc(t->head->n_nodes, sizeof *all);
    if (!all) return eg__fail_memory(err, "the layers");
    memset(all, true, t->head->n_nodes * sizeof *all);
    enum eg_status status = make_trainer(t, t->head, all, NULL, t->head_batch, &t->head_trainer, err);
    free(all);
    if (!status)
        status = eg__tune_cache_init(&t->features, t->n, t->d * sizeof(float), memory / 2, t->path, err);
    if (status || is_none(o->unfreeze)) return status;
    status = make_trainer(t, t->graph, t->trainable, t->rate_scale, t->batch, &t->trainer, err);
    if (status) return status;
    t->source = (struct eg_tune_source){.dataset = t->dataset,
                                        .recipe = &t->net->recipe,
                                        .graph = t->graph,
                                        .items = t->items,
                                        .n = t->n,
                                        .batch = t->batch,
                                        .pool = o->pool,
                                        .seed = o->seed,
                                        .augment = t->augment,
                                        .views = o->views,
                                        .memory_bytes = memory / 2};
    t->source.boundary = eg__tape_boundary(eg__trainer_tape(t->trainer), &t->source.n_boundary);
    if (t->source.n_boundary > EG_INPUTS_MAX)
        return eg__fail(err, EG_E_UNSUPPORTED,
                        "the layers to unfreeze read %zu others: unfreeze more, or fewer",
                        t->source.n_boundary);
    return eg__tune_source_init(&t->source, t->path, err);
}

static enum eg_status tune(struct tuning *t, struct eg_error *err)
{
    char sha256[65] = "";
    enum eg_status status = prepare(t, sha256, err);
    if (!status) status = make_trainers(t, err);
    uint8_t(*hashes)[32] = status ? NULL : eg__zalloc(t->n, sizeof *hashes);
    if (!status && !hashes) status = eg__fail_memory(err, "hashes");
    if (!status) status = compute_rows(t, hashes, err);
    status = eg__tune_agree(&t->dist, status, err);
    if (!status && !t->n) status = eg__fail(err, EG_E_IO, "no labelled photo could be read");
    if (!status) status = split_rows(t, (const uint8_t(*)[32])hashes, err);
    free(hashes);
    if (!status) status = identify(t, err);
    if (!status) status = measure_linear(t, err);
    if (status) return status;
    status = learn(t, err);
    if (status == EG_E_CANCELLED && t->report.n_epochs) { /* the best so far is kept, the run can go on */
        enum eg_status wrote = write_file(t, NULL);
        return wrote ? wrote : eg__fail(err, EG_E_CANCELLED, "stopped; the best so far is in '%s'", t->path);
    }
    if (!status) status = test(t, err);
    if (!status) status = write_file(t, err);
    /* what diverged would do so again */
    if ((!status || status == EG_E_NUMERIC) && !t->dist.rank) unlink(t->state_path);
    return status;
}

enum eg_status eg_tune(const eg_net *net, const eg_dataset *images, const char *path,
                       const struct eg_tune_options *options, struct eg_tune_report **report,
                       struct eg_error *err)
{
    struct eg_tune_options own;
    enum eg_status status = eg__options(&own, sizeof own, options, err);
    if (status) return status;
    struct tuning t = {.net = net, .dataset = images, .path = path, .options = &own, .dist = {.n_ranks = 1}};
    if (!t.options->overwrite && !t.options->resume && !access(path, F_OK))
        return eg__fail_for(err, EG_E_EXISTS, EG_REASON_OUTPUT_EXISTS, "'%s' exists", path);
    double start = eg__seconds();
    status = t.options->ranks ? eg__dist_init(&t.dist, err) : EG_OK;
    if (!status && t.dist.n_ranks > 1 && t.options->train_batch_norm)
        status = eg__fail(err, EG_E_UNSUPPORTED,
                          "batch norms would learn from a part of each batch only: with several processes "
                          "leave them as they are");
    if (!status) status = tune(&t, err);
    t.report.train.seconds = eg__seconds() - start;
    eg__tune_source_release(&t.source);
    eg__trainer_free(t.trainer);
    eg__trainer_free(t.head_trainer);
    eg__tune_cache_release(&t.features);
    eg__cuts_release(&t.plan);
    eg__graph_free(t.graph);
    eg__graph_free(t.head);
    free(t.state_path);
    free(t.trainable);
    free(t.rate_scale);
    free(t.items);
    free(t.labels);
    free(t.label_of);
    free(t.rows);
    free(t.by_row);
    eg__sample_release(&t.sample);
    t.report.rank = t.dist.rank;
    eg__dist_release(&t.dist);
    if (!status) status = eg__hand_out(&t.report, sizeof t.report, report, err);
    if (status) eg__tune_report_release(&t.report);
    return status;
}

void eg__tune_report_release(struct eg_tune_report *report)
{
    eg__train_report_release(&report->train);
    free(report->epochs);
    free(report->curve);
    *report = (struct eg_tune_report){0};
}

void eg_tune_report_free(struct eg_tune_report *report)
{
    if (report) eg__tune_report_release(report);
    free(report);
}
