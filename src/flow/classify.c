/* classify.c: the likeliest classes of photos, one answer each. */
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "base/versioned.h"
#include "flow/flow.h"

struct answers {
    const struct eg_net *net;
    eg_answer_fn *answer;
    void *user;
    struct eg_guess *top, *labels;
    size_t n_top, k;
    enum eg_answer_kind kind;
};

/* The n likeliest, ties in class order; a rejected photo has "unknown" first. Gives how many. */
static size_t rank(const struct eg_net *net, const float *p, bool rejected, struct eg_guess *top, size_t room)
{
    size_t n = 0;
    if (room && rejected) top[n++] = (struct eg_guess){"unknown", -1, 0};
    size_t from = n;
    for (size_t k = 0; k < net->n_classes; k++) {
        size_t at = n;
        while (at > from && top[at - 1].probability < p[k]) at--;
        if (at >= room) continue;
        if (n < room) n++;
        memmove(top + at + 1, top + at, (n - at - 1) * sizeof *top);
        top[at] = (struct eg_guess){net->classes[k], (int32_t)k, p[k]};
    }
    return n;
}

size_t eg_prediction_top(const eg_net *net, const struct eg_prediction *prediction, struct eg_guess *top,
                         size_t n)
{
    if (prediction->error || prediction->n_probabilities != net->n_classes) return 0;
    if (n > net->n_classes) n = net->n_classes;
    return rank(net, prediction->probabilities, prediction->rejected, top, n);
}

static int compare_guesses(const void *a, const void *b)
{
    const struct eg_guess *x = a, *y = b;
    if (x->probability != y->probability) return x->probability < y->probability ? 1 : -1;
    return x->index - y->index;
}

/* All labels at or above their thresholds. */
static size_t say_labels(const struct eg_net *net, const float *p, struct eg_guess *labels)
{
    size_t n = 0;
    for (size_t k = 0; k < net->n_classes; k++)
        if (p[k] >= net->thresholds[k]) labels[n++] = (struct eg_guess){net->classes[k], (int32_t)k, p[k]};
    qsort(labels, n, sizeof *labels, compare_guesses);
    return n;
}

size_t eg_prediction_labels(const eg_net *net, const struct eg_prediction *prediction,
                            struct eg_guess *labels)
{
    if (prediction->error || prediction->n_probabilities != net->n_classes || !net->thresholds) return 0;
    return say_labels(net, prediction->probabilities, labels);
}

static enum eg_status take(void *context, const struct eg_feeder *feeder, size_t first, size_t n,
                           const float *probabilities, const int32_t *labels, struct eg_error *err)
{
    (void)err;
    struct answers *a = context;
    for (size_t i = 0; i < n; i++) {
        struct eg_answer answer = {.path = feeder->dataset->items[first + i].path};
        if (feeder->reasons[i][0]) {
            answer.error = feeder->reasons[i];
        } else if (a->kind == EG_ANSWER_VALUE) {
            answer.value = (double)probabilities[i * a->k];
        } else {
            answer.top = a->top;
            answer.n_top = rank(a->net, probabilities + i * a->k, labels[i] < 0, a->top, a->n_top);
            answer.labels = a->labels;
            if (a->labels) answer.n_labels = say_labels(a->net, probabilities + i * a->k, a->labels);
        }
        a->answer(a->user, &answer);
    }
    return EG_OK;
}

enum eg_status eg_classify(const eg_net *net, const eg_dataset *images,
                           const struct eg_classify_options *options, eg_answer_fn *answer, void *answer_user,
                           struct eg_error *err)
{
    struct eg_classify_options own, *o = &own;
    enum eg_status status = eg__options(&own, sizeof own, options, err);
    if (status) return status;
    struct answers a = {
        .net = net, .answer = answer, .user = answer_user, .k = net->n_classes, .kind = eg_net_answer(net)};
    a.n_top = o->top ? o->top : 5;
    if (a.n_top > a.k) a.n_top = a.k;
    a.top = eg__zalloc(a.n_top + 1, sizeof *a.top);
    if (a.kind == EG_ANSWER_LABELS) a.labels = eg__zalloc(a.k + 1, sizeof *a.labels);
    if (!a.top || (a.kind == EG_ANSWER_LABELS && !a.labels)) {
        free(a.top);
        return eg__fail_memory(err, "answers");
    }
    struct eg_judge_options how = {o->batch, o->pool, o->progress, o->user};
    status = eg__judge_each(net, images, &how, take, &a, err);
    free(a.top);
    free(a.labels);
    return status;
}
