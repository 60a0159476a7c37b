/* The grid over C: every class and fold from one Gram matrix, and the final classifier. */
#include "learn/linear.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "kernels/kernels.h"
#include "learn/stream.h"

enum { GRID_FROM = -2, GRID_TO = 4, GRID = GRID_TO - GRID_FROM + 1, POLISH_MOST = 4 };

static const double STREAM_FOLD_TOLERANCE = 1e-2, STREAM_TOLERANCE = 1e-3;
static const double FREE_CONSTANT = 100;   /* of the mean squared row: an intercept all but free */
static const double FOLD_TOLERANCE = 1e-4; /* cross-validation needs labels, not digits */

struct trainer {
    struct eg_matrix *matrix;
    const int32_t *labels;
    size_t n, n_classes, columns, fits; /* fits a fold: 1 multinomial, or one for each class */
    const struct eg_learn_options *options;
    const uint8_t *fold;
    unsigned folds;
    float *gram;
    struct eg_solver solver;
    double *c;                        /* [folds][n] */
    double *beta, *score, *intercept; /* [folds][columns][n], [folds][columns] */
    double *out_of_fold;              /* [columns][n] of the best so far */
    struct eg_fit *fit;               /* [folds][fits] */
    size_t steps_done, steps;
};

static enum eg_status solve(struct trainer *t, struct eg_fit *fits, size_t n_fits, struct eg_error *err)
{
    return t->gram ? eg__solve(&t->solver, fits, n_fits, err)
                   : eg__stream_solve(t->matrix, &t->solver, fits, n_fits, err);
}

static bool go_on(void *user)
{
    const struct trainer *t = user;
    return !t->options->progress || t->options->progress(t->options->user, t->steps_done, t->steps);
}

static enum eg_status step_done(struct trainer *t, struct eg_error *err)
{
    t->steps_done++;
    return go_on(t) ? EG_OK : eg__fail(err, EG_E_CANCELLED, "training was stopped");
}

/* The penalty of each row when fold `out` (-1: none) stays outside: C, or with --balance
 * C n / (K n_k) over the rows inside. */
static enum eg_status weigh(const struct trainer *t, double c, int out, double *weights, struct eg_error *err)
{
    size_t *count = eg__zalloc(t->n_classes, sizeof *count), inside = 0;
    if (!count) return eg__fail_memory(err, "class weights");
    for (size_t i = 0; i < t->n; i++)
        if (out < 0 || t->fold[i] != out) {
            count[t->labels[i]]++;
            inside++;
        }
    for (size_t i = 0; i < t->n; i++) {
        double even = (double)inside / ((double)t->n_classes * (double)count[t->labels[i]]);
        weights[i] = out >= 0 && t->fold[i] == out ? 0 : t->options->balance ? c * even : c;
    }
    free(count);
    return EG_OK;
}

static void set_fits(const struct trainer *t, struct eg_fit *fit, const double *c, double *beta,
                     double *score, double *intercept)
{
    size_t wide = t->columns / t->fits;
    for (size_t f = 0; f < t->fits; f++)
        fit[f] = (struct eg_fit){.c = c,
                                 .labels = t->labels,
                                 .positive = t->columns == 1 ? 1 : (int32_t)f,
                                 .columns = wide,
                                 .beta = beta + f * wide * t->n,
                                 .score = score + f * wide * t->n,
                                 .intercept = intercept + f * wide};
}

int32_t eg__linear_label(const double *scores, size_t n, size_t columns, size_t i)
{
    if (columns == 1) return scores[i] > 0;
    size_t best = 0;
    for (size_t k = 1; k < columns; k++)
        if (scores[k * n + i] > scores[best * n + i]) best = k;
    return (int32_t)best;
}

/* Score of a row for a fit's column k by the earlier classifier; of two classes, the second's over
 * the first's. */
static double start_score(const struct trainer *t, size_t column, size_t i)
{
    const double *start = t->options->start;
    return t->columns == 1 ? start[t->n + i] - start[i] : start[column * t->n + i];
}

/* Back to 0 where that is the better place, as it may be with many new rows. */
static void keep_better(const struct trainer *t, struct eg_fit *fit)
{
    const size_t size = fit->columns * t->n;
    double square = 0, at_zero = 0;
    for (size_t i = 0; i < size; i++) square += fit->beta[i] * fit->score[i];
    for (size_t i = 0; i < t->n; i++) at_zero += fit->c[i];
    if (t->solver.loss == EG_LOSS_LOGISTIC) at_zero *= log((double)(fit->columns > 1 ? fit->columns : 2));
    if (square / 2 + eg__loss(fit, t->n, t->solver.loss, fit->score, NULL) <= at_zero) return;
    memset(fit->beta, 0, size * sizeof *fit->beta);
    memset(fit->score, 0, size * sizeof *fit->score);
    memset(fit->intercept, 0, fit->columns * sizeof *fit->intercept);
}

/* beta as it were at the optimum if the earlier classifier's scores were it: -c loss'. What it does
 * not know begins at 0: other columns, rows of other classes. */
static enum eg_status begin_warm(const struct trainer *t, struct eg_fit *fits, size_t n_fits,
                                 struct eg_error *err)
{
    const size_t n = t->n, wide = t->columns / t->fits;
    float *in = eg__alloc(wide, n * sizeof *in), *out = eg__alloc(wide, n * sizeof *out);
    enum eg_status status = in && out ? EG_OK : eg__fail_memory(err, "where to start from");
    for (size_t f = 0; f < n_fits && !status; f++) {
        struct eg_fit *fit = &fits[f];
        for (size_t k = 0; k < wide; k++)
            for (size_t i = 0; i < n; i++) {
                double score = start_score(t, f % t->fits * wide + k, i);
                bool hinge = t->solver.loss == EG_LOSS_HINGE, own = fit->labels[i] == fit->positive;
                fit->score[k * n + i] = isnan(score) ? -1e9 : score;
                if (hinge) fit->beta[i] = (own ? score : -score) < 1 ? (own ? fit->c[i] : -fit->c[i]) : 0;
            }
        if (t->solver.loss != EG_LOSS_HINGE) (void)eg__loss(fit, n, t->solver.loss, fit->score, fit->beta);
        for (size_t k = 0; k < wide; k++)
            for (size_t i = 0; i < n; i++) {
                size_t truth = wide > 1 ? (size_t)fit->labels[i] : f % t->fits;
                if (isnan(start_score(t, f % t->fits * wide + k, i)) || isnan(start_score(t, truth, i)))
                    fit->beta[k * n + i] = 0;
                in[k * n + i] = (float)fit->beta[k * n + i];
            }
        if (t->gram)
            status = eg__gemm_nt(n, wide, n, t->gram, n, in, n, out, wide, false, t->options->pool, err);
        for (size_t k = 0; k < wide && !status; k++) {
            double sum = 0;
            for (size_t i = 0; i < n; i++) sum += fit->beta[k * n + i];
            fit->intercept[k] = t->solver.constant * sum;
            for (size_t i = 0; i < n; i++)
                fit->score[k * n + i] = t->gram ? (double)out[i * wide + k] + fit->intercept[k] : 0;
        }
        if (t->gram && !status) keep_better(t, fit);
    }
    free(in);
    free(out);
    return status;
}

/* One point of the grid, going on from the one before. */
static enum eg_status cross_validate(struct trainer *t, double c, bool first, double *accuracy,
                                     struct eg_error *err)
{
    enum eg_status status = EG_OK;
    size_t size = t->columns * t->n, right = 0;
    for (unsigned f = 0; f < t->folds && !status; f++) {
        status = weigh(t, c, (int)f, t->c + f * t->n, err);
        set_fits(t, t->fit + f * t->fits, t->c + f * t->n, t->beta + f * size, t->score + f * size,
                 t->intercept + f * t->columns);
    }
    t->solver.tolerance = t->gram ? FOLD_TOLERANCE : STREAM_FOLD_TOLERANCE;
    if (!status && first && t->options->start) status = begin_warm(t, t->fit, t->folds * t->fits, err);
    if (!status) status = solve(t, t->fit, t->folds * t->fits, err);
    if (status) return status;
    for (size_t i = 0; i < t->n; i++)
        right += eg__linear_label(t->score + t->fold[i] * size, t->n, t->columns, i) == t->labels[i];
    *accuracy = (double)right / (double)t->n;
    return step_done(t, err);
}

/* |x_i|^2 of the scaled row. */
static double square_of(const struct trainer *t, size_t i)
{
    const struct eg_matrix *m = t->matrix;
    if (m->scale == EG_SCALE_STANDARD) return (double)m->d; /* on the average */
    return (m->scale == EG_SCALE_ROOT ? m->sum[i] : m->square[i]) * m->factor[i] * m->factor[i];
}

static double mean_square(const struct trainer *t)
{
    double mean = 0;
    for (size_t i = 0; i < t->n; i++) mean += square_of(t, i) / (double)t->n;
    return mean;
}

/* The default grid: powers of ten around 1 / (mean squared length of a row), 1 for unit rows. */
static double grid_c(const struct trainer *t, size_t point)
{
    if (t->options->n_c) return t->options->c[point];
    double mean = mean_square(t), centre = mean > 0 ? round(-log10(mean)) : 0;
    return pow(10, centre + GRID_FROM + (double)point);
}

static void keep_out_of_fold(struct trainer *t)
{
    for (size_t k = 0; k < t->columns; k++)
        for (size_t i = 0; i < t->n; i++)
            t->out_of_fold[k * t->n + i] = t->score[(t->fold[i] * t->columns + k) * t->n + i];
}

/* K of unit rows from K of the rows as they are. */
static void make_unit(struct trainer *t)
{
    eg__matrix_scale(t->matrix, EG_SCALE_UNIT);
    for (size_t i = 0; i < t->n; i++)
        for (size_t j = 0; j < t->n; j++)
            t->gram[i * t->n + j] =
                (float)((double)t->gram[i * t->n + j] * t->matrix->factor[i] * t->matrix->factor[j]);
}

static enum eg_status set_scale(struct trainer *t, enum eg_scaling scale, bool *have, struct eg_error *err)
{
    if (*have && t->matrix->scale == scale) return EG_OK;
    if (t->gram && *have && t->matrix->scale == EG_SCALE_NONE && scale == EG_SCALE_UNIT) {
        make_unit(t);
        return EG_OK;
    }
    eg__matrix_scale(t->matrix, scale);
    *have = true;
    if (t->solver.loss == EG_LOSS_LOGISTIC) t->solver.constant = t->gram ? 0 : FREE_CONSTANT * mean_square(t);
    if (!t->gram) return EG_OK;
    return eg__matrix_gram(t->matrix, t->gram, err);
}

struct choice {
    enum eg_scaling scale;
    double c, accuracy;
};

static enum eg_status grid(struct trainer *t, struct choice *best, struct eg_learned *learned,
                           struct eg_error *err)
{
    const struct eg_learn_options *o = t->options;
    enum eg_scaling first = o->scale == EG_SCALE_AUTO ? EG_SCALE_NONE : o->scale;
    enum eg_scaling last = o->scale == EG_SCALE_AUTO ? EG_SCALE_STANDARD : o->scale;
    size_t points = o->n_c ? o->n_c : GRID, size = t->folds * t->columns * t->n;
    bool have = false;
    struct eg_grid_point *found = eg__zalloc(points, sizeof *found);
    enum eg_status status = found ? EG_OK : eg__fail_memory(err, "the grid");
    best->accuracy = -1;
    t->steps = points * (size_t)(last - first + 1) + 1;
    for (enum eg_scaling scale = first; scale <= last && !status; scale++) {
        bool improved = false;
        status = set_scale(t, scale, &have, err);
        memset(t->beta, 0, size * sizeof *t->beta);
        memset(t->score, 0, size * sizeof *t->score);
        memset(t->intercept, 0, t->folds * t->columns * sizeof *t->intercept);
        for (size_t p = 0; p < points && !status; p++) {
            found[p].c = grid_c(t, p);
            status = cross_validate(t, found[p].c, !p, &found[p].cv_accuracy, err);
            if (status || !(found[p].cv_accuracy > best->accuracy)) continue;
            *best = (struct choice){scale, found[p].c, found[p].cv_accuracy};
            keep_out_of_fold(t);
            improved = true;
        }
        if (!status && improved) {
            if (!learned->grid) learned->grid = eg__alloc(points, sizeof *learned->grid);
            if (!learned->grid) status = eg__fail_memory(err, "the grid");
            learned->n_grid = points;
            if (!status) memcpy(learned->grid, found, points * sizeof *found);
        }
    }
    if (!status && !o->choose_only) status = set_scale(t, best->scale, &have, err);
    free(found);
    return status;
}

/* ---- the final classifier ----------------------------------------------------------- */

/* |v|^2 of v = sum_i coefficients_i x_i (and the constant column), from the rows themselves:
 * near the optimum it drowns in the rounding of K. */
static enum eg_status span_square(const struct trainer *t, const double *coefficients, double *square,
                                  struct eg_error *err)
{
    size_t n = t->n, d = t->matrix->d;
    double *v = eg__alloc(t->columns, d * sizeof *v);
    enum eg_status status =
        v ? eg__matrix_combine(t->matrix, coefficients, t->columns, v, err) : eg__fail_memory(err, "the gap");
    *square = 0;
    for (size_t k = 0; k < t->columns && !status; k++) {
        double sum = 0;
        for (size_t j = 0; j < d; j++) *square += v[k * d + j] * v[k * d + j];
        for (size_t i = 0; i < n; i++) sum += coefficients[k * n + i];
        if (t->solver.loss != EG_LOSS_LOGISTIC) *square += sum * sum;
    }
    free(v);
    return status;
}

/* Objective and gap of the classifier as it is: `exact` holds its true w . x_i, and the fits'
 * scores become exact + intercept. */
static enum eg_status judge(const struct trainer *t, struct eg_fit *fit, const double *exact,
                            struct eg_linear *linear, double *scratch, struct eg_error *err)
{
    const size_t n = t->n, wide = t->columns / t->fits;
    const enum eg_loss loss = t->solver.loss;
    double square = 0, losses = 0, dual = 0, away = 0;
    for (size_t f = 0; f < t->fits; f++) {
        for (size_t k = 0; k < wide; k++)
            for (size_t i = 0; i < n; i++)
                fit[f].score[k * n + i] = exact[(f * wide + k) * n + i] + fit[f].intercept[k];
        if (loss == EG_LOSS_LOGISTIC) eg__balance_intercept(&fit[f], n, scratch);
        double own = loss == EG_LOSS_LOGISTIC ? 0 : fit[f].intercept[0] * fit[f].intercept[0], most = 1,
               l1 = 0;
        for (size_t k = 0; k < wide; k++)
            for (size_t i = 0; i < n; i++) {
                double beta = fit[f].beta[k * n + i];
                own += beta * exact[(f * wide + k) * n + i];
                most = fmax(most, fabs(beta) / fit[f].c[i]);
                l1 += fabs(beta);
            }
        square += own;
        dual += l1 / most - own / (2 * most * most);
        double *slope = loss == EG_LOSS_HINGE ? NULL : scratch + f * wide * n;
        losses += eg__loss(&fit[f], n, loss, fit[f].score, slope);
        for (size_t i = 0; slope && i < wide * n; i++) slope[i] -= fit[f].beta[i];
    }
    linear->objective = square / 2 + losses;
    if (loss == EG_LOSS_HINGE) {
        linear->gap = linear->objective - dual;
        return EG_OK;
    }
    enum eg_status status = span_square(t, scratch, &away, err);
    linear->gap = away / 2;
    return status;
}

/* Solve on the Gram matrix, then look at the classifier on the rows themselves in double. What
 * the float32 Gram matrix got wrong of the scores becomes an offset, and the solver goes on:
 * iterative refinement, until the true gap is as small as was asked. */
static enum eg_status final_fit(struct trainer *t, double c, struct eg_linear *linear, struct eg_error *err)
{
    const size_t n = t->n, size = t->columns * n, wide = t->columns / t->fits;
    const double tolerance = t->options->tolerance > 0 ? t->options->tolerance : 1e-5;
    double *weights = eg__alloc(n, sizeof *weights), *beta = eg__zalloc(size, sizeof *beta);
    double *score = eg__zalloc(size, sizeof *score), *offset = eg__zalloc(size, sizeof *offset);
    double *exact = eg__alloc(size, sizeof *exact),
           *scratch = eg__alloc(size + 8 * t->columns, sizeof *scratch);
    struct eg_fit *fit = eg__zalloc(t->fits, sizeof *fit);
    bool room = weights && beta && score && offset && exact && scratch && fit;
    enum eg_status status = room ? weigh(t, c, -1, weights, err) : eg__fail_memory(err, "the classifier");
    if (!status) set_fits(t, fit, weights, beta, score, linear->b);
    if (!status && t->options->start) status = begin_warm(t, fit, t->fits, err);
    t->solver.tolerance = t->gram ? tolerance / 4 : STREAM_TOLERANCE / 2;
    for (int round = 0; !status && round < (t->gram ? POLISH_MOST : 1); round++) {
        for (size_t f = 0; f < t->fits; f++) fit[f].offset = t->gram ? offset + f * wide * n : NULL;
        status = solve(t, fit, t->fits, err);
        if (!status) status = eg__matrix_combine(t->matrix, beta, t->columns, linear->w, err);
        if (!status) status = eg__matrix_project(t->matrix, linear->w, t->columns, exact, err);
        for (size_t k = 0; k < t->columns && !status; k++)
            for (size_t i = 0; i < n; i++) /* exact - K beta, as far as the solver's K went */
                offset[k * n + i] += exact[k * n + i] + linear->b[k] - score[k * n + i];
        if (!status) status = judge(t, fit, exact, linear, scratch, err);
        if (!status && linear->gap <= tolerance * linear->objective) break;
    }
    if (!status && !isfinite(linear->objective))
        status = eg__fail(err, EG_E_NUMERIC, "the objective left the range of numbers (scale the features)");
    if (!status) {
        linear->in_fold = score;
        score = NULL;
    }
    free(weights);
    free(beta);
    free(score);
    free(offset);
    free(exact);
    free(scratch);
    free(fit);
    return status;
}

static enum eg_status trainer_open(struct trainer *t, bool in_core, struct eg_error *err)
{
    size_t per_fold = t->columns * t->n, size = t->folds * per_fold;
    bool room = true;
    if (in_core) {
        t->gram = eg__alloc(t->n, t->n * sizeof *t->gram);
        room = t->gram;
    }
    if (t->folds > 1) {
        t->c = eg__alloc(t->folds, t->n * sizeof *t->c);
        t->beta = eg__alloc(size, sizeof *t->beta);
        t->score = eg__alloc(size, sizeof *t->score);
        t->intercept = eg__alloc(t->folds, t->columns * sizeof *t->intercept);
        t->out_of_fold = eg__alloc(per_fold, sizeof *t->out_of_fold);
        t->fit = eg__alloc(t->folds, t->fits * sizeof *t->fit);
        room = room && t->c && t->beta && t->score && t->intercept && t->out_of_fold && t->fit;
    }
    return room ? EG_OK : eg__fail_memory(err, "the Gram matrix");
}

/* The folds have done their work: their room is for the final fit. */
static void release_folds(struct trainer *t)
{
    free(t->c);
    free(t->beta);
    free(t->score);
    free(t->intercept);
    free(t->fit);
    t->c = t->beta = t->score = t->intercept = NULL;
    t->fit = NULL;
}

static void trainer_close(struct trainer *t)
{
    release_folds(t);
    free(t->gram);
    free(t->out_of_fold);
}

double eg__linear_bytes(size_t n, size_t d, size_t columns, unsigned folds)
{
    const double rows = (double)n, scores = rows * (double)columns, weights = (double)d * (double)columns;
    double in_folds = folds ? folds * (rows + 2 * scores) + scores : 0; /* doubles */
    double at_end = (folds ? 7 : 6) * scores + weights;
    return 8 * (fmax(in_folds, at_end) + weights + 3 * rows + 4 * (double)d);
}

enum eg_status eg__linear_train(struct eg_matrix *matrix, const int32_t *labels, size_t n_classes,
                                const struct eg_learn_options *options, size_t budget, bool in_core,
                                struct eg_linear *linear, struct eg_learned *learned, struct eg_error *err)
{
    const enum eg_loss loss = options->learner == EG_LOGISTIC ? EG_LOSS_LOGISTIC
                              : options->hinge                ? EG_LOSS_HINGE
                                                              : EG_LOSS_SQUARED_HINGE;
    size_t columns = n_classes == 2 ? 1 : n_classes;
    const uint8_t *fold = options->fold;
    struct trainer t = {.matrix = matrix,
                        .labels = labels,
                        .n = matrix->n,
                        .n_classes = n_classes,
                        .columns = columns,
                        .fits = loss == EG_LOSS_LOGISTIC ? 1 : columns,
                        .options = options,
                        .fold = fold,
                        .folds = fold ? (options->folds ? options->folds : 5) : 1};
    struct eg_linear made = {.loss = loss,
                             .n = matrix->n,
                             .d = matrix->d,
                             .n_classes = n_classes,
                             .columns = columns,
                             .cv_accuracy = NAN};
    made.w = eg__alloc(columns, matrix->d * sizeof *made.w);
    made.b = eg__zalloc(columns, sizeof *made.b);
    struct choice choice = {options->scale, options->n_c ? options->c[0] : NAN, NAN};
    enum eg_status status =
        made.w && made.b ? trainer_open(&t, in_core, err) : eg__fail_memory(err, "the classifier");
    t.solver = (struct eg_solver){.gram = t.gram,
                                  .n = t.n,
                                  .loss = loss,
                                  .constant = loss == EG_LOSS_LOGISTIC ? 0 : 1,
                                  .work_bytes = budget,
                                  .go_on = go_on,
                                  .user = &t,
                                  .seed = options->seed,
                                  .pool = options->pool};
    t.steps = 1;
    if (!status && fold)
        status = grid(&t, &choice, learned, err);
    else if (!status) {
        bool have = false;
        status = set_scale(&t, choice.scale, &have, err);
    }
    if (!status) {
        made.c = choice.c;
        made.cv_accuracy = choice.accuracy;
        made.out_of_fold = t.out_of_fold;
        made.scale = choice.scale;
        t.out_of_fold = NULL;
        release_folds(&t);
        if (!options->choose_only) status = final_fit(&t, choice.c, &made, err);
    }
    if (!status) status = step_done(&t, err);
    trainer_close(&t);
    if (status) {
        eg__linear_free(&made);
        return status;
    }
    *linear = made;
    return EG_OK;
}

void eg__linear_free(struct eg_linear *linear)
{
    free(linear->w);
    free(linear->b);
    free(linear->out_of_fold);
    free(linear->in_fold);
    *linear = (struct eg_linear){0};
}
