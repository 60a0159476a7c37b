/* Numbers from rows: scaling and penalty by rows held out, the fit, its head. */
#include "learn/ridge.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "learn/linear.h"
#include "learn/solve.h"

enum {
    GRID_FROM = -3, /* powers of ten of C, around 1 / mean |z|^2 */
    GRID_TO = 5,
    COARSE = 5,  /* C for each scaling */
    FURTHER = 4, /* past an end on which the best lies */
    THIRDS = 2,  /* on either side of the best */
    POINTS_MOST = GRID_TO - GRID_FROM + 1 + FURTHER + 2 * THIRDS
};

struct ridge {
    struct eg_matrix matrix;
    struct eg_ridge_space space;
    const double *numbers;
    const struct eg_learn_options *options;
    unsigned folds;
    double *held_out;             /* [POINTS_MOST or n_c][n] of the points tried last */
    double *best_held_out;        /* [n] */
    struct eg_grid_point *points; /* by C */
    size_t n_points, most;
    enum eg_scaling best_scale;
    double best_c, best_r2;
    size_t done, steps;
};

static enum eg_status step(struct ridge *t, struct eg_error *err)
{
    const struct eg_learn_options *o = t->options;
    if (t->done < t->steps) t->done++;
    return !o->progress || o->progress(o->user, t->done, t->steps)
               ? EG_OK
               : eg__fail(err, EG_E_CANCELLED, "training was stopped");
}

static enum eg_status set_scale(struct ridge *t, enum eg_scaling scale, struct eg_error *err)
{
    eg__ridge_close(&t->space);
    eg__matrix_scale(&t->matrix, scale);
    return eg__ridge_open(&t->matrix, t->numbers, &t->space, err);
}

static bool is_tried(const struct ridge *t, double c)
{
    for (size_t p = 0; p < t->n_points; p++)
        if (fabs(t->points[p].c - c) <= 1e-9 * c) return true;
    return false;
}

/* Points that are new; the best of all so far, of equals the smaller C. */
static enum eg_status try_points(struct ridge *t, const double *c, size_t count, struct eg_error *err)
{
    const size_t n = t->matrix.n;
    double *penalties = eg__alloc(count, 2 * sizeof *penalties);
    size_t fresh = 0;
    if (!penalties) return eg__fail_memory(err, "the grid");
    double *own = penalties + count; /* their C */
    for (size_t i = 0; i < count; i++)
        if (!is_tried(t, c[i])) {
            own[fresh] = c[i];
            penalties[fresh++] = 1 / (2 * c[i]);
        }
    enum eg_status status = eg__ridge_hold_out(&t->space, t->options->fold, t->folds, penalties, fresh,
                                               t->held_out, t->options->pool, err);
    for (size_t p = 0; p < fresh && !status; p++) {
        double squares = 0;
        for (size_t i = 0; i < n; i++) {
            const double off = t->held_out[p * n + i] - t->space.numbers[i];
            squares += off * off;
        }
        const double r2 = 1 - squares / t->space.total;
        size_t at = t->n_points++;
        for (; at && t->points[at - 1].c > own[p]; at--) t->points[at] = t->points[at - 1];
        t->points[at] = (struct eg_grid_point){own[p], r2};
        if (!(r2 > t->best_r2)) continue;
        t->best_r2 = r2;
        t->best_c = own[p];
        t->best_scale = t->matrix.scale;
        memcpy(t->best_held_out, t->held_out + p * n, n * sizeof *t->held_out);
    }
    free(penalties);
    return status ? status : step(t, err);
}

static double grid_c(const struct ridge *t, double exponent)
{
    const double mean = t->space.mean_square;
    return pow(10, (mean > 0 ? round(-log10(mean)) : 0) + exponent);
}

/* Every scaling at a few C, then the best one's grid. */
static enum eg_status choose_scale(struct ridge *t, struct eg_learned *learned, struct eg_error *err)
{
    const struct eg_learn_options *o = t->options;
    enum eg_status status = EG_OK;
    for (enum eg_scaling scale = EG_SCALE_NONE; scale < EG_SCALE_AUTO && !status; scale++) {
        double c[COARSE];
        size_t points = o->n_c && o->n_c < COARSE ? o->n_c : COARSE;
        status = set_scale(t, scale, err);
        for (size_t p = 0; p < points; p++)
            c[p] = o->n_c ? o->c[points > 1 ? p * (o->n_c - 1) / (points - 1) : 0]
                          : grid_c(t, GRID_FROM + 2 * (double)p);
        t->n_points = 0;
        if (!status) status = try_points(t, c, points, err);
        struct eg_scaling_tried *tried = &learned->tried[learned->n_tried++];
        *tried = (struct eg_scaling_tried){.scale = scale, .points = t->n_points, .cv_accuracy = -INFINITY};
        for (size_t p = 0; p < t->n_points && !status; p++)
            if (t->points[p].cv_accuracy > tried->cv_accuracy) {
                tried->cv_accuracy = t->points[p].cv_accuracy;
                tried->c = t->points[p].c;
            }
    }
    t->n_points = 0;
    t->best_r2 = -INFINITY; /* found again at the chosen scaling, with its held-out rows */
    return status ? status : set_scale(t, t->best_scale, err);
}

static enum eg_status look_around(struct ridge *t, struct eg_error *err)
{
    enum eg_status status = EG_OK;
    for (int more = 0; more < FURTHER && !status; more++) {
        const double first = t->points[0].c, last = t->points[t->n_points - 1].c;
        const double next = t->best_c == last ? 10 * last : first / 10;
        if (t->best_c != last && t->best_c != first) break;
        status = try_points(t, &next, 1, err);
    }
    double around[2 * THIRDS];
    size_t n = 0;
    for (int third = -THIRDS; third <= THIRDS; third++)
        if (third) around[n++] = t->best_c * pow(10, third / 3.0);
    return status ? status : try_points(t, around, n, err);
}

/* The smallest C whose mean squared error is within a standard error of the best's. */
static enum eg_status step_back(struct ridge *t, struct eg_error *err)
{
    const size_t n = t->matrix.n;
    const double mean = (1 - t->best_r2) * t->space.total / (double)n;
    double spread = 0;
    for (size_t i = 0; i < n; i++) {
        const double off = t->best_held_out[i] - t->space.numbers[i];
        spread += (off * off - mean) * (off * off - mean) / (double)n;
    }
    const double least = t->best_r2 - sqrt(spread / (double)n) * (double)n / t->space.total;
    for (size_t p = 0; p < t->n_points && t->points[p].c < t->best_c; p++) {
        if (t->points[p].cv_accuracy < least) continue;
        const double penalty = 1 / (2 * t->points[p].c);
        t->best_c = t->points[p].c;
        t->best_r2 = t->points[p].cv_accuracy;
        return eg__ridge_hold_out(&t->space, t->options->fold, t->folds, &penalty, 1, t->best_held_out,
                                  t->options->pool, err);
    }
    return EG_OK;
}

static enum eg_status choose(struct ridge *t, struct eg_learned *learned, struct eg_error *err)
{
    const struct eg_learn_options *o = t->options;
    double usual[GRID_TO - GRID_FROM + 1];
    enum eg_status status = EG_OK;
    if (o->scale == EG_SCALE_AUTO)
        status = choose_scale(t, learned, err);
    else
        status = set_scale(t, o->scale, err);
    for (int e = GRID_FROM; e <= GRID_TO; e++) usual[e - GRID_FROM] = grid_c(t, e);
    if (!status)
        status = o->n_c ? try_points(t, o->c, o->n_c, err)
                        : try_points(t, usual, sizeof usual / sizeof *usual, err);
    if (!status && !isfinite(t->best_r2))
        status =
            eg__fail(err, EG_E_NUMERIC, "no penalty of the grid could be judged (give other values of C)");
    if (!status && !o->n_c) status = look_around(t, err);
    if (!status && o->one_error) status = step_back(t, err);
    return status;
}

/* INPUT -> scaler -> LINEAR of one output. */
static enum eg_status make_head(const struct eg_matrix *m, const double *w, double b, struct eg_graph **head,
                                struct eg_error *err)
{
    struct eg_graph *g = NULL;
    uint32_t at = 0;
    const float bias = (float)b;
    float *rounded = eg__alloc(m->d, sizeof *rounded);
    enum eg_status status = rounded ? eg__head_begin(m, &g, &at, err) : eg__fail_memory(err, "the head");
    struct eg_node node = {.op = EG_OP_LINEAR, .name = "number", .n_inputs = 1, .inputs = {at}};
    for (size_t j = 0; j < m->d && !status; j++) rounded[j] = (float)w[j];
    if (!status) {
        node.params[0] = eg__graph_constant(g, "weight", 2, (size_t[]){1, m->d}, rounded);
        node.params[1] = eg__graph_constant(g, "bias", 1, (size_t[]){1}, &bias);
        status = node.params[0] && node.params[1] ? eg__graph_add(g, &node, &at, err)
                                                  : eg__fail_memory(err, "the head");
    }
    free(rounded);
    if (status) {
        eg__graph_free(g);
        return status;
    }
    g->output = at;
    *head = g;
    return EG_OK;
}

static enum eg_status finish(struct ridge *t, struct eg_learned *learned, struct eg_error *err)
{
    const size_t d = t->matrix.d, n = t->matrix.n;
    double *w = eg__alloc(d, sizeof *w), *score = eg__alloc(n, sizeof *score), b = 0, squares = 0;
    enum eg_status status = w && score ? EG_OK : eg__fail_memory(err, "the fit");
    if (!status && (!t->space.moment || t->matrix.scale != t->best_scale))
        status = set_scale(t, t->best_scale, err);
    if (!status) status = eg__ridge_fit(&t->matrix, &t->space, 1 / (2 * t->best_c), w, &b, err);
    if (!status) status = eg__matrix_project(&t->matrix, w, 1, score, err);
    for (size_t i = 0; i < n && !status; i++)
        squares += (score[i] + b - t->numbers[i]) * (score[i] + b - t->numbers[i]);
    if (!status) {
        learned->objective = eg__dot_double(w, w, d) / 2 + t->best_c * squares;
        learned->gap = 0;
        status = make_head(&t->matrix, w, b, &learned->head, err);
    }
    free(w);
    free(score);
    return status;
}

static enum eg_status check(const struct eg_row_source *rows, const double *numbers,
                            const struct eg_learn_options *o, unsigned folds, struct eg_error *err)
{
    bool same = true;
    for (size_t i = 0; i < rows->n; i++) {
        if (!isfinite(numbers[i]))
            return eg__fail(err, EG_E_ARGUMENT, "the number of row %zu is not finite", i);
        same = same && numbers[i] == numbers[0];
        if (folds > 1 && o->fold[i] >= folds)
            return eg__fail(err, EG_E_ARGUMENT, "row %zu is in fold %d of %u", i, o->fold[i], folds);
    }
    if (rows->n < 2 || same)
        return eg__fail(err, EG_E_ARGUMENT, "all %zu numbers are the same: there is nothing to learn",
                        rows->n);
    for (size_t i = 0; i < o->n_c; i++)
        if (!(o->c[i] > 0) || !isfinite(o->c[i]))
            return eg__fail(err, EG_E_ARGUMENT, "C is %g, it must be above 0", o->c[i]);
    if (folds < 2 && (o->n_c != 1 || o->scale == EG_SCALE_AUTO))
        return eg__fail(err, EG_E_ARGUMENT, "without folds nothing can be chosen: give one C and a scaling");
    return EG_OK;
}

static enum eg_status train(struct ridge *t, const struct eg_row_source *rows, struct eg_learned *learned,
                            struct eg_error *err)
{
    const struct eg_learn_options *o = t->options;
    const size_t n = rows->n, budget = eg__learn_budget(o);
    const double threads = eg_pool_threads(o->pool), m = (double)(rows->d < n ? rows->d : n),
                 needed = threads * eg__ridge_work_bytes(n, rows->d, t->folds) + 4 * m * m +
                          (rows->d < n ? 4 * (double)n * m : 0) + 8.0 * (double)t->most * (double)n;
    if (needed > 0.9 * (double)budget)
        return eg__fail(err, EG_E_MEMORY,
                        "%zu rows of %zu features need %.0f MB for ridge regression, %.0f MB are allowed", n,
                        rows->d, ceil(needed * 1e-6), floor((double)budget * 1e-6));
    enum eg_status status = eg__matrix_open(rows, o->scale >= EG_SCALE_STANDARD, budget - (size_t)needed,
                                            o->pool, &t->matrix, err);
    if (status) return status;
    if (t->folds > 1) {
        status = choose(t, learned, err);
    } else {
        t->best_c = o->c[0];
        t->best_scale = o->scale;
    }
    if (!status && !o->choose_only) status = finish(t, learned, err);
    if (!status && o->out_of_fold && t->folds > 1) {
        learned->out_of_fold = eg__alloc(n, sizeof *learned->out_of_fold);
        if (!learned->out_of_fold) status = eg__fail_memory(err, "held-out rows");
        for (size_t i = 0; i < n && !status; i++)
            learned->out_of_fold[i] = (float)(t->best_held_out[i] + t->space.mean_number);
    }
    return status ? status : step(t, err);
}

enum eg_status eg__ridge_train(const struct eg_row_source *rows, const double *numbers,
                               const struct eg_learn_options *options, struct eg_learned *learned,
                               struct eg_error *err)
{
    struct ridge t = {.numbers = numbers,
                      .options = options,
                      .folds = !options->fold   ? 1
                               : options->folds ? options->folds
                                                : 5,
                      .most = options->n_c > POINTS_MOST ? options->n_c : POINTS_MOST,
                      .best_r2 = -INFINITY,
                      .steps = (options->scale == EG_SCALE_AUTO ? EG_SCALE_AUTO : 0) + 3};
    struct eg_learned made = {.learner = EG_RIDGE, .cv_accuracy = NAN, .oob_accuracy = NAN};
    enum eg_status status = check(rows, numbers, options, t.folds, err);
    if (status) return status;
    t.held_out = eg__alloc(t.most, rows->n * sizeof *t.held_out);
    t.best_held_out = eg__alloc(rows->n, sizeof *t.best_held_out);
    t.points = eg__alloc(t.most + COARSE, sizeof *t.points);
    status = t.held_out && t.best_held_out && t.points ? train(&t, rows, &made, err)
                                                       : eg__fail_memory(err, "the grid");
    made.scale = t.best_scale;
    made.c = t.best_c;
    if (t.folds > 1) made.cv_accuracy = t.best_r2;
    made.grid = t.points;
    made.n_grid = t.n_points;
    eg__ridge_close(&t.space);
    eg__matrix_close(&t.matrix);
    free(t.held_out);
    free(t.best_held_out);
    if (status)
        eg__learned_release(&made);
    else
        *learned = made;
    return status;
}
