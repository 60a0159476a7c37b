/* train_select.c: which cuts to learn from side by side. Greedily from the best one: the cut that helps most
 * is taken where what it brings, photo by photo on rows held out, is more than its noise; a gain that is
 * less is what choosing the best of several gives by chance. The test rows are not looked at. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "flow/training.h"

enum { ENERGY_ROWS = 256, CANDIDATES_MOST = 8 };

/* The caller's progress counts cuts; the learner's steps only ask whether to stop. */
struct watched {
    const struct training *t;
};

static bool watch(void *user, size_t done, size_t total)
{
    (void)done;
    (void)total;
    const struct training *t = ((const struct watched *)user)->t;
    return !t->options->progress ||
           t->options->progress(t->options->user, t->cuts_done, t->cuts_total ? t->cuts_total : 1);
}

static size_t likeliest(const float *p, size_t n)
{
    size_t best = 0;
    for (size_t k = 1; k < n; k++)
        if (p[k] > p[best]) best = k;
    return best;
}

enum eg_status eg__training_held_out(struct training *t, struct eg_held_out *out, struct eg_error *err)
{
    const size_t n = t->sample.n_train, k_count = t->sample.n_classes;
    struct eg_learn_options how = t->how;
    struct eg_learned learned;
    struct eg_row_source source = eg__training_rows(t);
    struct watched watched = {t};
    const double start = eg__seconds();
    how.choose_only = how.out_of_fold = true;
    how.reject_rate = 0;
    if (how.progress) {
        how.progress = watch;
        how.user = &watched;
    }
    if (!t->fold) return eg__fail(err, EG_E_ARGUMENT, "nothing can be chosen without folds (give 2 or more)");
    if (how.learner == EG_MLP)
        return eg__fail(err, EG_E_UNSUPPORTED,
                        "what to learn from is not chosen with an mlp (name the cuts)");
    struct eg_held_out made = {.right = eg__zalloc(n, 1)};
    if (!made.right) return eg__fail_memory(err, "the comparison");
    enum eg_status status = eg__learn(&source, t->sample.labels, k_count, &how, &learned, err);
    if (status) {
        free(made.right);
        return status;
    }
    for (size_t i = 0; i < n; i++) {
        made.right[i] = likeliest(learned.out_of_fold + i * k_count, k_count) == (size_t)t->sample.labels[i];
        made.accuracy += made.right[i] / (double)n;
    }
    made.scale = learned.scale;
    made.seconds = eg__seconds() - start;
    eg__learned_release(&learned);
    *out = made;
    return EG_OK;
}

void eg__paired_gain(const uint8_t *before, const uint8_t *after, size_t n, double *gain, double *noise)
{
    double sum = 0, square = 0;
    for (size_t i = 0; i < n; i++) {
        const double d = (double)after[i] - (double)before[i];
        sum += d;
        square += d * d;
    }
    *gain = sum / (double)n;
    *noise = sqrt(fmax(0, square / (double)n - *gain * *gain) / (double)n);
}

/* ---- the search --------------------------------------------------------------------------------- */

struct candidate {
    struct eg_part part;
    enum eg_scaling scale;
    double factor, alone; /* alone: its accuracy */
    bool taken, left_out;
};

struct search {
    struct training *t;
    struct candidate *list; /* [n] */
    size_t n, *order, n_taken;
    struct eg_held_out now; /* of those taken */
};

/* Scaled rows of all blocks are of one length, on the average. */
static enum eg_status find_factor(struct training *t, struct candidate *c, struct eg_error *err)
{
    const size_t n = t->sample.n_train < ENERGY_ROWS ? t->sample.n_train : ENERGY_ROWS, d = c->part.length;
    c->factor = c->scale == EG_SCALE_STANDARD ? 1 / sqrt((double)d) : 1;
    if (c->scale != EG_SCALE_NONE) return EG_OK;
    float *row = eg__alloc(d, sizeof *row);
    double square = 0;
    enum eg_status status = row ? EG_OK : eg__fail_memory(err, "rows");
    for (size_t i = 0; i < n && !status; i++) {
        const size_t own = t->sample.rows[i * t->sample.n_train / n];
        const size_t at = c->part.rows ? c->part.rows[own] : own;
        status = eg__rows_gather(c->part.store, c->part.cut, &at, 1, row, err);
        for (size_t j = 0; j < d && !status; j++) square += (double)row[j] * (double)row[j] / (double)n;
    }
    free(row);
    c->factor = square > 0 ? 1 / sqrt(square) : 1;
    return status;
}

/* t->joint and its blocks become those taken, and `more` (NULL: none). */
static enum eg_status set_joint(struct search *s, const struct candidate *more, struct eg_error *err)
{
    struct training *t = s->t;
    eg__joint_release(&t->joint);
    free(t->blocks);
    t->blocks = eg__zalloc(s->n_taken + 1, sizeof *t->blocks);
    enum eg_status status = t->blocks ? EG_OK : eg__fail_memory(err, "the cuts");
    for (size_t i = 0; i < s->n_taken + (more != NULL) && !status; i++) {
        const struct candidate *c = i < s->n_taken ? &s->list[s->order[i]] : more;
        t->blocks[i] = (struct eg_row_block){c->part.length, c->scale, c->factor};
        status = eg__joint_add(&t->joint, c->part.store, c->part.cut, c->part.rows, err);
    }
    if (!status) t->cut = t->joint.parts[0].cut;
    return status;
}

static enum eg_status note(struct search *s, const struct candidate *c, bool taken,
                           const struct eg_held_out *with, double gain, double noise, struct eg_error *err)
{
    struct eg_train_report *r = &s->t->report;
    const struct eg_store_spec *spec = eg__store_spec(c->part.store);
    struct eg_selection *more = realloc(r->selection, (r->n_selection + 1) * sizeof *more);
    if (!more) return eg__fail_memory(err, "the report");
    r->selection = more;
    struct eg_selection *made = &r->selection[r->n_selection];
    *made = (struct eg_selection){.cut = strdup(spec->cuts[c->part.cut].name),
                                  .network = spec->network ? strdup(spec->network) : NULL,
                                  .length = c->part.length,
                                  .scale = eg__scaling_names[c->scale],
                                  .taken = taken,
                                  .cv_accuracy = with->accuracy,
                                  .gain = gain,
                                  .noise = noise,
                                  .seconds = with->seconds};
    if (!made->cut) return eg__fail_memory(err, "the report");
    r->n_selection++;
    return EG_OK;
}

static void take(struct search *s, size_t index, struct eg_held_out *with)
{
    free(s->now.right);
    s->now = *with;
    with->right = NULL;
    s->list[index].taken = true;
    s->order[s->n_taken++] = index;
}

static bool tell(struct search *s, size_t done)
{
    const size_t n = s->n < CANDIDATES_MOST ? s->n : CANDIDATES_MOST, steps = n * (n - 1) / 2;
    s->t->cuts_total = s->n + steps;
    s->t->cuts_done = done;
    const struct eg_train_options *o = s->t->options;
    return !o->progress || o->progress(o->user, done, s->t->cuts_total);
}

/* Every cut alone, at the scaling that suits it; the best is taken, of those that are no better than by
 * chance the first. */
static enum eg_status begin(struct search *s, struct eg_error *err)
{
    struct eg_held_out best = {0};
    size_t first = 0;
    enum eg_status status = EG_OK;
    for (size_t i = 0; i < s->n && !status; i++) {
        struct eg_held_out found = {0};
        s->list[i].scale = EG_SCALE_AUTO;
        s->list[i].factor = 1;
        status = set_joint(s, &s->list[i], err);
        if (!status) status = eg__training_held_out(s->t, &found, err);
        if (!status) {
            s->list[i].scale = found.scale;
            s->list[i].alone = found.accuracy;
            status = find_factor(s->t, &s->list[i], err);
        }
        double gain = 1, noise = 0;
        if (!status && best.right)
            eg__paired_gain(best.right, found.right, s->t->sample.n_train, &gain, &noise);
        if (!status && gain > noise) {
            struct eg_held_out swap = best;
            best = found;
            found = swap;
            first = i;
        }
        free(found.right);
        if (!status && !tell(s, i + 1)) status = eg__fail(err, EG_E_CANCELLED, "training was stopped");
    }
    if (!status) status = note(s, &s->list[first], true, &best, 0, 0, err);
    if (!status) take(s, first, &best);
    free(best.right);
    return status;
}

/* Of many cuts those that are best alone go on. */
static void thin(struct search *s)
{
    for (size_t i = 0; i < s->n; i++) {
        size_t better = 0;
        for (size_t k = 0; k < s->n; k++)
            better += s->list[k].alone > s->list[i].alone || (s->list[k].alone == s->list[i].alone && k < i);
        s->list[i].left_out = better >= CANDIDATES_MOST;
    }
}

/* The cut that helps most beside those taken; *more: it stays. */
static enum eg_status step(struct search *s, size_t *done, bool *more, struct eg_error *err)
{
    struct eg_held_out best = {0};
    size_t which = 0;
    double gain = 0, noise = 0;
    enum eg_status status = EG_OK;
    for (size_t i = 0; i < s->n && !status; i++) {
        struct eg_held_out found = {0};
        if (s->list[i].taken || s->list[i].left_out) continue;
        status = set_joint(s, &s->list[i], err);
        if (!status) status = eg__training_held_out(s->t, &found, err);
        if (!status && (!best.right || found.accuracy > best.accuracy)) {
            struct eg_held_out swap = best;
            best = found;
            found = swap;
            which = i;
        }
        free(found.right);
        if (!status && !tell(s, ++*done)) status = eg__fail(err, EG_E_CANCELLED, "training was stopped");
    }
    *more = false;
    if (!status && best.right) {
        eg__paired_gain(s->now.right, best.right, s->t->sample.n_train, &gain, &noise);
        *more = gain > noise;
        status = note(s, &s->list[which], *more, &best, gain, noise, err);
        if (!status && *more) take(s, which, &best);
    }
    free(best.right);
    return status;
}

enum eg_status eg__training_select(struct training *t, struct eg_error *err)
{
    struct search s = {.t = t, .n = t->joint.n};
    const enum eg_scaling asked = t->how.scale;
    s.list = eg__zalloc(s.n, sizeof *s.list);
    s.order = eg__zalloc(s.n, sizeof *s.order);
    enum eg_status status = s.list && s.order ? EG_OK : eg__fail_memory(err, "the cuts");
    for (size_t i = 0; i < s.n && !status; i++) s.list[i].part = t->joint.parts[i];
    if (!status) status = begin(&s, err);
    t->how.scale = EG_SCALE_NONE; /* each has its own */
    size_t done = s.n;
    thin(&s);
    for (bool more = true; more && s.n_taken < s.n && !status;) status = step(&s, &done, &more, err);
    if (!status) status = set_joint(&s, NULL, err);
    if (!status && t->joint.n == 1) { /* nothing beside it: as if it had been asked for alone */
        t->how.scale = asked;
        t->blocks[0] = (struct eg_row_block){t->joint.length, EG_SCALE_AUTO, 1};
    }
    free(s.now.right);
    free(s.list);
    free(s.order);
    return status;
}

void eg__selection_free(struct eg_selection *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(list[i].cut);
        free(list[i].network);
    }
    free(list);
}
