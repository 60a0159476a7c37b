/* held_out.c: how good a classifier is on photos that it has not seen, and what it says of rows. */
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "base/versioned.h"
#include "eval/metrics.h"
#include "flow/out_of_fold.h"
#include "flow/trained.h"
#include "flow/training.h"
#include "image/jpeg_write.h"

static void release(struct eg_held_out_report *report)
{
    for (size_t i = 0; report->classes && i < report->metrics.n_classes; i++) free(report->classes[i]);
    free(report->classes);
    free(report->rows);
    free(report->truth);
    free(report->answers);
    free(report->probabilities);
    eg_metrics_release(&report->metrics);
}

void eg_held_out_report_free(struct eg_held_out_report *report)
{
    if (report) release(report);
    free(report);
}

static int32_t likeliest(const float *row, size_t k)
{
    size_t best = 0;
    for (size_t c = 1; c < k; c++)
        if (row[c] > row[best]) best = c;
    return (int32_t)best;
}

static enum eg_status fill(struct eg_out_of_fold *found, struct eg_held_out_report *report,
                           struct eg_error *err)
{
    const struct eg_sample *s = &found->sample;
    const size_t n = s->n, k = s->n_classes;
    *report = (struct eg_held_out_report){.classifier = eg__learner_names[found->learner],
                                          .scale = eg__scaling_names[found->scale],
                                          .c = found->c,
                                          .folds = found->folds,
                                          .rows = eg__alloc(n + 1, sizeof *report->rows),
                                          .truth = eg__alloc(n + 1, sizeof *report->truth),
                                          .answers = eg__alloc(n + 1, sizeof *report->answers),
                                          .classes = eg__zalloc(k + 1, sizeof *report->classes),
                                          .probabilities = found->probabilities};
    found->probabilities = NULL;
    if (!report->rows || !report->truth || !report->answers || !report->classes)
        return eg__fail_memory(err, "answers");
    for (size_t i = 0; i < n; i++) {
        report->rows[i] = s->rows[i];
        report->truth[i] = s->labels[i];
        report->answers[i] = likeliest(report->probabilities + i * k, k);
    }
    enum eg_status status =
        eg__metrics(report->truth, report->answers, report->probabilities, n, k, &report->metrics, err);
    for (size_t c = 0; c < k && !status; c++)
        if (!(report->classes[c] = strdup(s->classes[c]))) status = eg__fail_memory(err, "classes");
    return status;
}

enum eg_status eg_held_out(eg_features *features, const struct eg_train_options *options,
                           struct eg_held_out_report **report, struct eg_error *err)
{
    struct eg_train_options own;
    struct eg_out_of_fold found = {0};
    struct eg_held_out_report made = {0};
    enum eg_status status = eg__options(&own, sizeof own, options, err);
    if (!status) status = eg__out_of_fold(features, &own, &found, err);
    if (status) return status;
    status = fill(&found, &made, err);
    eg__out_of_fold_release(&found);
    if (!status) status = eg__hand_out(&made, sizeof made, report, err);
    if (status) release(&made);
    return status;
}

enum eg_status eg_features_confirm(const char *path, const size_t *rows, size_t n, bool right,
                                   struct eg_error *err)
{
    struct eg_store *store;
    enum eg_status status = eg__store_open(path, &store, err);
    if (status) return status;
    const size_t n_rows = eg__store_spec(store)->n_rows;
    for (size_t i = 0; i < n && !status; i++)
        if (rows[i] >= n_rows)
            status = eg__fail(err, EG_E_ARGUMENT, "'%s' has no row %zu: it has %zu", path, rows[i], n_rows);
    if (eg__store_close(store, status ? NULL : err) && !status) status = EG_E_IO;
    return status ? status : eg__store_confirm(path, rows, n_rows, n, right, err);
}

enum eg_status eg_features_judge(eg_features *features, const eg_net *model, const size_t *rows, size_t n,
                                 eg_pool *pool, float *probabilities, int32_t *labels, struct eg_error *err)
{
    const struct eg_store_spec *spec = eg__store_spec(features);
    struct eg_graph *head = NULL;
    struct eg_verdict verdict = {0};
    struct eg_joint joint = {0};
    for (size_t i = 0; i < n; i++)
        if (rows[i] >= spec->n_rows)
            return eg__fail(err, EG_E_ARGUMENT, "the features have no row %zu: they have %zu", rows[i],
                            spec->n_rows);
    enum eg_status status = eg__model_joint(model, features, "the feature file", &joint, err);
    if (!status) status = eg__model_source(model, spec, "the feature file", err);
    if (!status) status = eg__model_head(model, &head, err);
    if (!status) status = eg__judge_rows(head, &joint, rows, n, pool, &verdict, err);
    if (!status) memcpy(probabilities, verdict.probabilities, n * verdict.k * sizeof *probabilities);
    if (!status && labels) memcpy(labels, verdict.labels, n * sizeof *labels);
    eg__joint_release(&joint);
    eg__verdict_release(&verdict);
    eg__graph_free(head);
    return status;
}

enum eg_status eg_image_jpeg(const struct eg_image *image, size_t side, int quality, void **bytes,
                             size_t *n_bytes, struct eg_error *err)
{
    enum { USUAL_QUALITY = 80 };
    struct eg_jpeg jpeg;
    if (quality < 0 || quality > 100)
        return eg__fail(err, EG_E_ARGUMENT, "a quality of %d is outside 1 to 100", quality);
    enum eg_status status =
        eg__jpeg_shrunk(image, side ? side : SIZE_MAX, quality ? quality : USUAL_QUALITY, &jpeg, err);
    if (status) return status;
    *bytes = jpeg.bytes;
    *n_bytes = jpeg.n_bytes;
    return EG_OK;
}
