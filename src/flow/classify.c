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
    struct eg_guess *top;
    size_t n_top, k;
};

/* The n_top likeliest, ties in class order; a rejected photo has "unknown" first. */
static void rank(struct answers *a, const float *p, int32_t label)
{
    size_t n = 0, room = a->n_top;
    if (label < 0) {
        a->top[0] = (struct eg_guess){"unknown", -1, 0};
        n = 1;
    }
    size_t from = n;
    for (size_t k = 0; k < a->k; k++) {
        size_t at = n;
        while (at > from && a->top[at - 1].probability < p[k]) at--;
        if (at >= room) continue;
        if (n < room) n++;
        memmove(a->top + at + 1, a->top + at, (n - at - 1) * sizeof *a->top);
        a->top[at] = (struct eg_guess){a->net->classes[k], (int32_t)k, p[k]};
    }
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
        } else {
            rank(a, probabilities + i * a->k, labels[i]);
            answer.top = a->top;
            answer.n_top = a->n_top;
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
    struct answers a = {.net = net, .answer = answer, .user = answer_user, .k = net->n_classes};
    a.n_top = o->top ? o->top : 5;
    if (a.n_top > a.k) a.n_top = a.k;
    a.top = eg__zalloc(a.n_top + 1, sizeof *a.top);
    if (!a.top) return eg__fail_memory(err, "answers");
    struct eg_judge_options how = {o->batch, o->pool, o->progress, o->user};
    status = eg__judge_each(net, images, &how, take, &a, err);
    free(a.top);
    return status;
}
