/* judge.c: what a classifier says, of photos (through a predictor) or of rows of features. */
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "base/unicode.h"
#include "flow/flow.h"
#include "model/predictor.h"

enum { DEFAULT_BATCH = 8, ROW_BATCH = 256, ROW_BATCH_BYTES = 4 << 20 };

/* A run that gives probabilities and, where the graph has one, the label. */
struct judge {
    struct eg_run *run;
    size_t k;
    float *probabilities, *answers; /* [batch][k], [batch]; answers NULL: the likeliest */
    int32_t *labels;                /* [batch] */
};

static enum eg_status judge_init(const struct eg_graph *graph, size_t batch, eg_pool *pool,
                                 struct judge *judge, struct eg_error *err)
{
    struct judge made = {0};
    uint32_t outputs[2] = {graph->output, graph->label_output};
    size_t n_outputs = graph->label_output && !eg__graph_says_labels(graph) ? 2 : 1;
    struct eg_run_options options = {.max_batch = batch};
    enum eg_status status = eg__run_create(graph, outputs, n_outputs, &options, pool, &made.run, err);
    if (status) return status;
    made.k = eg__shape_count(graph->nodes[graph->output].shape);
    made.probabilities = eg__alloc(batch * made.k, sizeof *made.probabilities);
    made.answers = n_outputs == 2 ? eg__alloc(batch, sizeof *made.answers) : NULL;
    made.labels = eg__alloc(batch, sizeof *made.labels);
    if (!made.probabilities || !made.labels || (n_outputs == 2 && !made.answers)) {
        eg__run_free(made.run);
        free(made.probabilities);
        free(made.answers);
        free(made.labels);
        return eg__fail_memory(err, "answers");
    }
    *judge = made;
    return EG_OK;
}

static void judge_release(struct judge *judge)
{
    eg__run_free(judge->run);
    free(judge->probabilities);
    free(judge->answers);
    free(judge->labels);
}

void eg__verdict_release(struct eg_verdict *verdict)
{
    free(verdict->probabilities);
    free(verdict->labels);
    free(verdict->hashes);
    for (size_t i = 0; verdict->reasons && i < verdict->n; i++) free(verdict->reasons[i]);
    free(verdict->reasons);
    *verdict = (struct eg_verdict){0};
}

static enum eg_status verdict_init(struct eg_verdict *verdict, size_t n, size_t k, struct eg_error *err)
{
    struct eg_verdict made = {.n = n, .k = k};
    size_t count;
    if (eg__mul(n, k, &count)) made.probabilities = eg__alloc(count, sizeof *made.probabilities);
    made.labels = eg__zalloc(n ? n : 1, sizeof *made.labels);
    made.hashes = eg__zalloc(n ? n : 1, sizeof *made.hashes);
    made.reasons = eg__zalloc(n ? n : 1, sizeof *made.reasons);
    if (!made.probabilities || !made.labels || !made.hashes || !made.reasons) {
        eg__verdict_release(&made);
        return eg__fail_memory(err, "answers");
    }
    *verdict = made;
    return EG_OK;
}

/* ---- photos ------------------------------------------------------------------------- */

/* No more is known than what has come. */
static enum eg_status each_of_stream(struct eg_predictor *p, const struct eg_dataset *dataset,
                                     const struct eg_judge_options *options, eg_batch_fn *take, void *context,
                                     struct eg_error *err)
{
    size_t batch = p->feeder.batch, done = 0, *rows = eg__alloc(batch, sizeof *rows);
    if (!rows) return eg__fail_memory(err, "a batch");
    enum eg_status status;
    while (!(status = eg__stream_next(dataset->stream, batch, NULL, NULL, err)) && dataset->n_items) {
        for (size_t at = 0, n; at < dataset->n_items && !status; at += n) {
            n = dataset->n_items - at < batch ? dataset->n_items - at : batch;
            for (size_t i = 0; i < n; i++) rows[i] = at + i;
            status = eg__predictor_read(p, rows, n, err);
            if (!status)
                status = take(context, &p->feeder, at, n, eg__predictor_probabilities(p), p->labels, err);
        }
        done += dataset->n_items;
        if (!status && options->progress && !options->progress(options->user, done, 0))
            status = eg__fail(err, EG_E_CANCELLED, "stopped");
        if (status) break;
    }
    free(rows);
    return status;
}

static enum eg_status each_batch(struct eg_predictor *p, const struct eg_dataset *dataset,
                                 const struct eg_judge_options *options, eg_batch_fn *take, void *context,
                                 struct eg_error *err)
{
    size_t n_items = dataset->n_items, batch = p->feeder.batch, *rows = eg__alloc(batch, sizeof *rows);
    if (!rows) return eg__fail_memory(err, "a batch");
    enum eg_status status = EG_OK;
    for (size_t first = 0; first < n_items && !status; first += batch) {
        size_t n = n_items - first < batch ? n_items - first : batch;
        for (size_t i = 0; i < n; i++) rows[i] = first + i;
        status = eg__predictor_read(p, rows, n, err);
        if (!status)
            status = take(context, &p->feeder, first, n, eg__predictor_probabilities(p), p->labels, err);
        if (!status && options->progress && !options->progress(options->user, first + n, n_items))
            status = eg__fail(err, EG_E_CANCELLED, "stopped");
    }
    free(rows);
    return status;
}

enum eg_status eg__judge_each(const struct eg_net *net, const struct eg_dataset *dataset,
                              const struct eg_judge_options *options, eg_batch_fn *take, void *context,
                              struct eg_error *err)
{
    size_t batch = options->batch ? options->batch : DEFAULT_BATCH;
    if (dataset->n_items && batch > dataset->n_items) batch = dataset->n_items; /* less memory */
    struct eg_predictor_make how = {
        .net = net, .wanted = {.answer = true, .batch = batch}, .pool = options->pool};
    struct eg_predictor *p = NULL;
    enum eg_status status = eg__predictor_of_dataset(&how, dataset, &p, err);
    if (!status)
        status = (dataset->stream ? each_of_stream : each_batch)(p, dataset, options, take, context, err);
    eg_predictor_free(p);
    return status;
}

static enum eg_status collect(void *context, const struct eg_feeder *feeder, size_t first, size_t n,
                              const float *probabilities, const int32_t *labels, struct eg_error *err)
{
    struct eg_verdict *v = context;
    memcpy(v->probabilities + first * v->k, probabilities, n * v->k * sizeof *probabilities);
    memcpy(v->labels + first, labels, n * sizeof *labels);
    memcpy(v->hashes + first, feeder->hashes, n * sizeof *v->hashes);
    for (size_t i = 0; i < n; i++)
        if (feeder->reasons[i][0] && !(v->reasons[first + i] = strdup(feeder->reasons[i])))
            return eg__fail_memory(err, "a reason");
    return EG_OK;
}

enum eg_status eg__judge_photos(const struct eg_net *net, const struct eg_dataset *dataset,
                                const struct eg_judge_options *options, struct eg_verdict *verdict,
                                struct eg_error *err)
{
    struct eg_verdict made;
    size_t k = eg__shape_count(net->graph->nodes[net->graph->output].shape);
    enum eg_status status = verdict_init(&made, dataset->n_items, k, err);
    if (status) return status;
    status = eg__judge_each(net, dataset, options, collect, &made, err);
    if (status)
        eg__verdict_release(&made);
    else
        *verdict = made;
    return status;
}

size_t eg__row_batch(size_t d)
{
    size_t batch = ROW_BATCH_BYTES / sizeof(float) / (d ? d : 1);
    return batch < 1 ? 1 : batch < ROW_BATCH ? batch : ROW_BATCH;
}

/* ---- rows ----------------------------------------------------------------------------- */

enum eg_status eg__rows_gather(struct eg_store *store, size_t cut, const size_t *rows, size_t n, float *out,
                               struct eg_error *err)
{
    const struct eg_store_spec *spec = eg__store_spec(store);
    size_t d = spec->cuts[cut].length;
    enum eg_status status = eg__store_gather(store, cut, rows, n, out, err);
    for (size_t i = 0; i < n && !status; i++) {
        if (eg__all_finite(out + i * d, d)) continue;
        status =
            spec->network
                ? eg__fail(err, EG_E_NUMERIC,
                           "the features of '%s' (row %zu) are not finite: NaN or infinity (take "
                           "the photo out, or extract anew)",
                           spec->paths[rows[i]], rows[i])
                : eg__fail(err, EG_E_NUMERIC,
                           "row %zu of the features is not finite: NaN or infinity (take it out)", rows[i]);
    }
    return status;
}

enum eg_status eg__judge_rows(const struct eg_graph *head, const struct eg_joint *joint, const size_t *rows,
                              size_t n, eg_pool *pool, struct eg_verdict *verdict, struct eg_error *err)
{
    size_t d = joint->length;
    if (eg__shape_count(head->nodes[0].shape) != d)
        return eg__fail(err, EG_E_SHAPE, "the classifier takes %zu features, the file has %zu",
                        eg__shape_count(head->nodes[0].shape), d);
    struct judge judge = {0};
    const size_t batch = eg__row_batch(d);
    enum eg_status status = judge_init(head, batch, pool, &judge, err);
    if (status) return status;
    struct eg_verdict made = {0};
    float *features = eg__alloc(batch * d, sizeof *features);
    status = features ? verdict_init(&made, n, judge.k, err) : eg__fail_memory(err, "features");
    for (size_t first = 0; first < n && !status; first += batch) {
        size_t count = n - first < batch ? n - first : batch;
        float *out[2] = {judge.probabilities, judge.answers};
        status = eg__joint_gather(joint, rows + first, count, features, err);
        if (!status) status = eg__run_forward(judge.run, features, count, out, err);
        if (status) break;
        eg__settle_labels(judge.probabilities, judge.answers, count, judge.k, judge.labels);
        memcpy(made.probabilities + first * judge.k, judge.probabilities, count * judge.k * sizeof(float));
        memcpy(made.labels + first, judge.labels, count * sizeof *made.labels);
    }
    free(features);
    judge_release(&judge);
    if (status)
        eg__verdict_release(&made);
    else
        *verdict = made;
    return status;
}

/* Models of version 0.1 call the numbered classes of another program's matrix "class 7". */
static bool named_by_number(const char *model, const char *data)
{
    return !strncmp(model, "class ", 6) && !strcmp(model + 6, data) &&
           strspn(data, "0123456789") == strlen(data);
}

enum eg_status eg__class_map(char *const *model, size_t n_model, const char *const *data, size_t n_data,
                             const int32_t *labels, size_t n, int32_t **out, struct eg_error *err)
{
    int32_t *map = eg__alloc(n_data ? n_data : 1, sizeof *map);
    bool *used = eg__zalloc(n_data ? n_data : 1, sizeof *used);
    if (!map || !used) {
        free(map);
        free(used);
        return eg__fail_memory(err, "classes");
    }
    for (size_t i = 0; i < n; i++)
        if (labels[i] >= 0) used[labels[i]] = true;
    for (size_t i = 0; i < n_data; i++) {
        size_t k = 0;
        while (k < n_model && !eg__same_name(model[k], data[i]) && !named_by_number(model[k], data[i])) k++;
        if (k == n_model && used[i]) {
            free(map);
            free(used);
            return eg__fail(err, EG_E_ARGUMENT,
                            "class '%s' is not one that the model has learned (take its photos out)",
                            data[i]);
        }
        map[i] = k < n_model ? (int32_t)k : -1;
    }
    free(used);
    *out = map;
    return EG_OK;
}
