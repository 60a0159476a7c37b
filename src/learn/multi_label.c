/* Several labels a row: what differs from one class each. */
#include "learn/multi_label.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "eval/rank_metrics.h"

enum eg_status eg__sets_check(const uint8_t *sets, size_t n, size_t k, const uint8_t *fold, unsigned folds,
                              struct eg_error *err)
{
    enum { NONE = -2, SEVERAL = -1 };
    if (!n || !k) return eg__fail(err, EG_E_ARGUMENT, "there are no rows, or no labels, to learn");
    for (size_t c = 0; c < k; c++) {
        int only[2] = {NONE, NONE}; /* the fold that all rows without, with the label are in */
        for (size_t i = 0; i < n; i++) {
            const bool has = sets[i * k + c] != 0;
            const int f = folds > 1 ? fold[i] : (int)(i % INT32_MAX);
            if (folds > 1 && (unsigned)f >= folds)
                return eg__fail(err, EG_E_ARGUMENT, "row %zu is in fold %d of %u", i, f, folds);
            only[has] = only[has] == NONE || only[has] == f ? f : SEVERAL;
        }
        for (int has = 0; has < 2; has++)
            if (only[has] == NONE || (folds > 1 && only[has] != SEVERAL))
                return eg__fail(err, EG_E_ARGUMENT, "label %zu is on %s%s", c, has ? "no row" : "every row",
                                folds > 1 ? " outside of one fold" : "");
    }
    return EG_OK;
}

int32_t *eg__sets_columns(const uint8_t *sets, size_t n, size_t k)
{
    int32_t *columns = eg__alloc(k, n * sizeof *columns);
    for (size_t c = 0; columns && c < k; c++)
        for (size_t i = 0; i < n; i++) columns[c * n + i] = sets[i * k + c] != 0;
    return columns;
}

double eg__sets_precision(const uint8_t *sets, size_t n, size_t k,
                          double (*score)(const void *context, size_t label, size_t row), const void *context)
{
    double *scores = eg__alloc(n, sizeof *scores), sum = 0;
    uint8_t *has = eg__alloc(n, 1);
    for (size_t c = 0; scores && has && c < k; c++) {
        for (size_t i = 0; i < n; i++) {
            scores[i] = score(context, c, i);
            has[i] = sets[i * k + c];
        }
        sum += eg__average_precision(scores, has, n) / (double)k;
    }
    const bool room = scores && has;
    free(scores);
    free(has);
    return room ? sum : (double)NAN;
}

/* ---- probabilities, thresholds, head ------------------------------------------------------------- */

struct ending {
    size_t n, k, d;
    const uint8_t *sets;
    int32_t *column; /* [k][n] */
    double *slope, *shift, *row;
    uint8_t *has;
};

static void ending_free(struct ending *e)
{
    void *const all[] = {e->column, e->slope, e->shift, e->row, e->has};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
}

/* A sigmoid that falls would turn the order round: held-out scores that say the opposite say nothing. */
static void flatten(const struct ending *e, size_t c)
{
    if (e->slope[c] > 0) return;
    double share = 1;
    for (size_t i = 0; i < e->n; i++) share += e->sets[i * e->k + c];
    share /= (double)e->n + 2;
    e->slope[c] = 1e-3;
    e->shift[c] = log(share / (1 - share));
}

/* float32, as the head gives them. */
static void find_thresholds(struct ending *e, const double *scores, struct eg_learned *learned)
{
    for (size_t c = 0; c < e->k; c++) {
        double f1;
        for (size_t i = 0; i < e->n; i++) {
            const double z = e->slope[c] * scores[c * e->n + i] + e->shift[c];
            const float p = (float)(1 / (1 + exp(-z)));
            e->row[i] = (double)p;
            e->has[i] = e->sets[i * e->k + c];
            if (learned->out_of_fold) learned->out_of_fold[i * e->k + c] = p;
        }
        learned->thresholds[c] = (float)eg__best_threshold(e->row, e->has, e->n, &f1);
    }
}

/* Which probabilities lie above `below` [k]. */
static enum eg_status add_said(struct eg_graph *g, uint32_t from, size_t k, const float *below, uint32_t *at,
                               struct eg_error *err)
{
    struct eg_node node = {
        .op = EG_OP_LESS, .name = "said", .n_inputs = 1, .inputs = {from}, .swapped = true};
    node.params[0] = eg__graph_constant(g, "threshold", 1, &k, below);
    return node.params[0] ? eg__graph_add(g, &node, at, err) : eg__fail_memory(err, "the head");
}

/* INPUT -> scaler -> LINEAR with the sigmoids' slopes and shifts in it -> SIGMOID; threshold < probability.
 */
static enum eg_status make_head(const struct eg_matrix *m, const struct eg_linear *linear,
                                const struct ending *e, const float *thresholds, struct eg_graph **head,
                                struct eg_error *err)
{
    struct eg_graph *g = NULL;
    uint32_t at = 0, said = 0;
    float *w = eg__alloc(e->k, e->d * sizeof *w), *b = eg__alloc(e->k, sizeof *b),
          *below = eg__alloc(e->k, sizeof *below);
    enum eg_status status =
        w && b && below ? eg__head_begin(m, &g, &at, err) : eg__fail_memory(err, "the head");
    for (size_t c = 0; c < e->k && !status; c++) {
        b[c] = (float)(e->slope[c] * linear->b[c] + e->shift[c]);
        below[c] = nextafterf(thresholds[c], -1); /* at or above */
        for (size_t j = 0; j < e->d; j++) w[c * e->d + j] = (float)(e->slope[c] * linear->w[c * e->d + j]);
    }
    struct eg_node scores = {.op = EG_OP_LINEAR, .name = "scores", .n_inputs = 1, .inputs = {at}};
    if (!status) {
        scores.params[0] = eg__graph_constant(g, "weight", 2, (size_t[]){e->k, e->d}, w);
        scores.params[1] = eg__graph_constant(g, "bias", 1, &e->k, b);
        status = scores.params[0] && scores.params[1] ? eg__graph_add(g, &scores, &at, err)
                                                      : eg__fail_memory(err, "the head");
    }
    if (!status) status = eg__head_node(g, EG_OP_SIGMOID, "probabilities", at, 0, NULL, &at, err);
    if (!status) status = add_said(g, at, e->k, below, &said, err);
    free(w);
    free(b);
    free(below);
    if (status) {
        eg__graph_free(g);
        return status;
    }
    g->output = at;
    g->label_output = said;
    *head = g;
    return EG_OK;
}

enum eg_status eg__sets_finish(const struct eg_matrix *matrix, const struct eg_linear *linear,
                               const struct eg_learn_options *o, struct eg_learned *learned,
                               struct eg_error *err)
{
    const size_t n = linear->n, k = linear->n_classes;
    const double *scores = linear->out_of_fold ? linear->out_of_fold : linear->in_fold;
    if (!scores) return EG_OK; /* only the choice was asked for */
    struct ending e = {.n = n, .k = k, .d = linear->d, .sets = o->sets};
    e.column = eg__sets_columns(o->sets, n, k);
    e.slope = eg__alloc(k, sizeof *e.slope);
    e.shift = eg__alloc(k, sizeof *e.shift);
    e.row = eg__alloc(n, sizeof *e.row);
    e.has = eg__alloc(n, 1);
    learned->thresholds = eg__alloc(k, sizeof *learned->thresholds);
    if (o->out_of_fold) learned->out_of_fold = eg__alloc(n, k * sizeof *learned->out_of_fold);
    bool room = e.column && e.slope && e.shift && e.row && e.has && learned->thresholds &&
                (learned->out_of_fold || !o->out_of_fold);
    enum eg_status status = room ? EG_OK : eg__fail_memory(err, "thresholds");
    for (size_t c = 0; c < k && !status; c++) {
        eg__platt(scores + c * n, e.column + c * n, 1, n, &e.slope[c], &e.shift[c]);
        flatten(&e, c);
    }
    if (!status) find_thresholds(&e, scores, learned);
    if (!status && !o->choose_only)
        status = make_head(matrix, linear, &e, learned->thresholds, &learned->head, err);
    ending_free(&e);
    return status;
}
