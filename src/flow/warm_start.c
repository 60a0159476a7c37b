/* warm_start.c: an earlier classifier's scores, for a later one to start from. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "flow/trained.h"

/* Class names of the sample as the model's columns; -1: new ones. */
static enum eg_status match_classes(const struct eg_net *model, const struct eg_sample *sample,
                                    int32_t **columns, struct eg_error *err)
{
    int32_t *made = eg__alloc(sample->n_classes, sizeof *made);
    if (!made) return eg__fail_memory(err, "classes");
    for (size_t k = 0; k < sample->n_classes; k++) {
        made[k] = -1;
        for (size_t c = 0; c < model->n_classes; c++)
            if (!strcmp(model->classes[c], sample->classes[k])) made[k] = (int32_t)c;
    }
    *columns = made;
    return EG_OK;
}

static enum eg_status score_rows(struct eg_run *run, size_t k_count, bool svm, const struct eg_joint *joint,
                                 const struct eg_sample *sample, const int32_t *columns, double *scores,
                                 struct eg_error *err)
{
    const size_t d = joint->length, batch = eg__row_batch(d), n = sample->n_train;
    float *features = eg__alloc(batch, d * sizeof *features);
    float *found = eg__alloc(batch, k_count * sizeof *found);
    enum eg_status status = features && found ? EG_OK : eg__fail_memory(err, "features");
    for (size_t first = 0, count; first < n && !status; first += count) {
        count = n - first < batch ? n - first : batch;
        status = eg__joint_gather(joint, sample->rows + first, count, features, err);
        if (!status) status = eg__run_forward(run, features, count, &found, err);
        for (size_t i = 0; i < count && !status; i++) {
            float *row = found + i * k_count;
            if (svm && k_count == 2) row[0] = -row[1]; /* one vector for two classes */
            for (size_t k = 0; k < sample->n_classes; k++)
                scores[k * n + first + i] = columns[k] < 0 ? (double)NAN : (double)row[columns[k]];
        }
    }
    free(features);
    free(found);
    return status;
}

enum eg_status eg__model_scores(const struct eg_net *model, const struct eg_joint *joint,
                                const struct eg_sample *sample, eg_pool *pool, double **out,
                                struct eg_error *err)
{
    const char *classifier = model->card.classifier;
    struct eg_graph *head = NULL;
    struct eg_run *run = NULL;
    int32_t *columns = NULL;
    double *scores = NULL;
    uint32_t node = 0;
    enum eg_status status = eg__model_head(model, &head, err);
    if (status) return status;
    size_t d = eg__shape_count(head->nodes[0].shape);
    if (d != joint->length)
        status = eg__fail(err, EG_E_SHAPE,
                          "the model to go on from takes %zu features, those to learn from are %zu (take the "
                          "same cuts)",
                          d, joint->length);
    bool linear = !status && !eg__graph_find(head, "scores", &node, NULL) &&
                  head->nodes[node].op == EG_OP_LINEAR &&
                  eg__map(head->nodes[node].shape).c == model->n_classes;
    if (linear) {
        struct eg_run_options how = {.max_batch = eg__row_batch(d)};
        status = match_classes(model, sample, &columns, err);
        if (!status && !(scores = eg__alloc(sample->n_classes, sample->n_train * sizeof *scores)))
            status = eg__fail_memory(err, "scores");
        if (!status) status = eg__run_create(head, &node, 1, &how, pool, &run, err);
        if (!status)
            status = score_rows(run, model->n_classes, classifier && !strcmp(classifier, "svm"), joint,
                                sample, columns, scores, err);
    }
    eg__run_free(run);
    eg__graph_free(head);
    free(columns);
    if (status)
        free(scores);
    else
        *out = scores;
    return status;
}
