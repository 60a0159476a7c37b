/* evaluate_pair.c: two models before the same labelled data, photo by photo. */
#include <stdlib.h>

#include "base/fail.h"
#include "base/mem.h"
#include "base/versioned.h"
#include "eval/metrics.h"
#include "flow/trial.h"

/* Rows that count for both: places rise in both. */
static size_t keep_common(struct eg_trial *a, struct eg_trial *b)
{
    size_t n = 0;
    for (size_t i = 0, j = 0; i < a->n && j < b->n;) {
        if (a->places[i] != b->places[j]) {
            if (a->places[i] < b->places[j])
                i++;
            else
                j++;
            continue;
        }
        eg__verdict_keep(&a->verdict, i, n);
        eg__verdict_keep(&b->verdict, j, n);
        a->places[n] = a->places[i];
        b->places[n] = b->places[j];
        a->truth[n] = a->truth[i++];
        b->truth[n++] = b->truth[j++];
    }
    a->report.n_known += a->n - n; /* or of a class that the other does not have */
    b->report.n_known += b->n - n;
    return a->n = b->n = n;
}

static enum eg_status measure(struct eg_trial *t, struct eg_error *err)
{
    return eg__metrics(t->truth, t->verdict.labels, t->verdict.probabilities, t->n, t->model->n_classes,
                       &t->report.metrics, err);
}

static enum eg_status compare(struct eg_trial *a, struct eg_trial *b, const char *data,
                              struct eg_pair_report *pair, struct eg_error *err)
{
    enum eg_status status = eg__trial_hold(a, data, err);
    if (!status) status = eg__trial_hold(b, data, err);
    if (status) return status;
    if (!keep_common(a, b))
        return eg__fail(err, EG_E_ARGUMENT, "'%s' has no photo that neither model has learned from", data);
    for (size_t i = 0; i < a->n; i++) {
        const bool one = a->verdict.labels[i] == a->truth[i], other = b->verdict.labels[i] == b->truth[i];
        pair->only_a += one && !other;
        pair->only_b += other && !one;
    }
    pair->p_value = eg__mcnemar(pair->only_a, pair->only_b);
    status = measure(a, err);
    return status ? status : measure(b, err);
}

enum eg_status eg_evaluate_pair(const eg_net *a, const eg_net *b, const char *data,
                                const struct eg_evaluate_options *options, struct eg_pair_report **report,
                                struct eg_error *err)
{
    struct eg_evaluate_options own;
    enum eg_status status = eg__options(&own, sizeof own, options, err);
    if (!status) status = eg__net_check_class(a, "a paired comparison", err);
    if (!status) status = eg__net_check_class(b, "a paired comparison", err);
    if (status) return status;
    struct eg_trial one = {.model = a, .options = &own}, other = {.model = b, .options = &own};
    struct eg_pair_report pair = {0};
    status = compare(&one, &other, data, &pair, err);
    status = eg__trial_release(&one, data, status, err);
    status = eg__trial_release(&other, data, status, err);
    if (!status) status = eg__hand_out(&one.report, sizeof one.report, &pair.a, err);
    if (status) eg__evaluate_report_release(&one.report);
    if (!status) status = eg__hand_out(&other.report, sizeof other.report, &pair.b, err);
    if (status) eg__evaluate_report_release(&other.report);
    if (!status) status = eg__hand_out(&pair, sizeof pair, report, err);
    if (!status) return EG_OK;
    eg_evaluate_report_free(pair.a);
    eg_evaluate_report_free(pair.b);
    return status;
}

void eg_pair_report_free(struct eg_pair_report *report)
{
    if (!report) return;
    eg_evaluate_report_free(report->a);
    eg_evaluate_report_free(report->b);
    free(report);
}
