/* Linear classifiers: every class and fold from one Gram matrix, or from the rows where they are
 * more than the features; and the final classifier. */
#include "learn/linear.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "learn/fitting.h"
#include "learn/multi_label.h"
#include "learn/stream.h"

enum { POLISH_MOST = 4 };

static const double STREAM_TOLERANCE = 1e-3;
static const double FREE_CONSTANT = 100; /* of the mean squared row: an intercept all but free */

enum eg_status eg__fitting_solve(struct eg_fitting *t, struct eg_fit *fits, size_t n_fits,
                                 enum eg_primal_scores scores, struct eg_error *err)
{
    switch (t->space) {
    case EG_SPACE_FEATURES: return eg__primal_solve(&t->primal, &t->solver, fits, n_fits, scores, err);
    case EG_SPACE_ROWS: return eg__solve(&t->solver, fits, n_fits, err);
    default: return eg__stream_solve(t->matrix, &t->solver, fits, n_fits, err);
    }
}

static bool go_on(void *user)
{
    const struct eg_fitting *t = user;
    return !t->options->progress || t->options->progress(t->options->user, t->steps_done, t->steps);
}

enum eg_status eg__fitting_step(struct eg_fitting *t, struct eg_error *err)
{
    t->steps_done++;
    return go_on(t) ? EG_OK : eg__fail(err, EG_E_CANCELLED, "training was stopped");
}

enum eg_status eg__fitting_weigh(const struct eg_fitting *t, double c, int out, double *weights,
                                 struct eg_error *err)
{
    size_t *count = eg__zalloc(t->n_classes, sizeof *count), inside = 0;
    if (t->options->sets) { /* weights of classes are for one label a row */
        for (size_t i = 0; i < t->n; i++) weights[i] = out >= 0 && t->fold[i] == out ? 0 : c;
        free(count);
        return EG_OK;
    }
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

void eg__fitting_fits(const struct eg_fitting *t, struct eg_fit *fit, const double *c, double *beta,
                      double *score, double *intercept)
{
    size_t wide = t->columns / t->fits;
    for (size_t f = 0; f < t->fits; f++)
        fit[f] = (struct eg_fit){.c = c,
                                 .labels = t->options->sets ? t->labels + f * t->n : t->labels,
                                 .positive = t->columns == 1 || t->options->sets ? 1 : (int32_t)f,
                                 .columns = wide,
                                 .beta = beta + f * wide * t->coordinates,
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

/* K of unit rows from K of the rows as they are. */
static void make_unit(struct eg_fitting *t)
{
    eg__matrix_scale(t->matrix, EG_SCALE_UNIT);
    for (size_t i = 0; i < t->n; i++)
        for (size_t j = 0; j < t->n; j++)
            t->gram[i * t->n + j] =
                (float)((double)t->gram[i * t->n + j] * t->matrix->factor[i] * t->matrix->factor[j]);
}

enum eg_status eg__fitting_scale(struct eg_fitting *t, enum eg_scaling scale, bool *have,
                                 struct eg_error *err)
{
    if (*have && t->matrix->scale == scale) return EG_OK;
    if (t->gram && *have && !t->matrix->n_blocks && t->matrix->scale == EG_SCALE_NONE &&
        scale == EG_SCALE_UNIT) {
        make_unit(t);
        return EG_OK;
    }
    eg__matrix_scale(t->matrix, scale);
    *have = true;
    if (t->solver.loss == EG_LOSS_LOGISTIC)
        t->solver.constant =
            t->space == EG_SPACE_BLOCKS ? FREE_CONSTANT * eg__matrix_mean_square(t->matrix) : 0;
    switch (t->space) {
    case EG_SPACE_ROWS: return eg__matrix_gram(t->matrix, go_on, t, t->gram, err);
    case EG_SPACE_FEATURES: eg__primal_close(&t->primal); return eg__primal_open(t->matrix, &t->primal, err);
    default: return EG_OK;
    }
}

/* ---- the final classifier ----------------------------------------------------------- */

/* |v|^2 of v = sum_i coefficients_i x_i (and the constant column), from the rows themselves:
 * near the optimum it drowns in the rounding of K. */
static enum eg_status span_square(const struct eg_fitting *t, const double *coefficients, double *square,
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
static enum eg_status judge(const struct eg_fitting *t, struct eg_fit *fit, const double *exact,
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
static enum eg_status fit_by_rows(struct eg_fitting *t, double c, struct eg_linear *linear,
                                  struct eg_error *err)
{
    const size_t n = t->n, size = t->columns * n, wide = t->columns / t->fits;
    const double tolerance = t->options->tolerance > 0 ? t->options->tolerance : 1e-5;
    double *weights = eg__alloc(n, sizeof *weights), *beta = eg__zalloc(size, sizeof *beta);
    double *score = eg__zalloc(size, sizeof *score), *offset = eg__zalloc(size, sizeof *offset);
    double *exact = eg__alloc(size, sizeof *exact),
           *scratch = eg__alloc(size + 8 * t->columns, sizeof *scratch);
    struct eg_fit *fit = eg__zalloc(t->fits, sizeof *fit);
    bool room = weights && beta && score && offset && exact && scratch && fit;
    enum eg_status status =
        room ? eg__fitting_weigh(t, c, -1, weights, err) : eg__fail_memory(err, "the classifier");
    if (!status) eg__fitting_fits(t, fit, weights, beta, score, linear->b);
    if (!status && t->options->start) status = eg__fitting_warm(t, fit, t->fits, err);
    t->solver.tolerance = t->gram ? tolerance / 4 : STREAM_TOLERANCE / 2;
    for (int round = 0; !status && round < (t->gram ? POLISH_MOST : 1); round++) {
        for (size_t f = 0; f < t->fits; f++) fit[f].offset = t->gram ? offset + f * wide * n : NULL;
        status = eg__fitting_solve(t, fit, t->fits, EG_SCORES_ALL, err);
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

/* The classifier's own scores of the rows, in double. */
static enum eg_status exact_scores(struct eg_fitting *t, const double *w, double *score,
                                   struct eg_linear *linear, struct eg_error *err)
{
    const size_t d = t->matrix->d;
    for (size_t k = 0; k < t->columns; k++) {
        memcpy(linear->w + k * d, w + k * (d + 1), d * sizeof *linear->w);
        linear->b[k] = w[k * (d + 1) + d];
    }
    if (!score) return EG_OK;
    enum eg_status status = eg__matrix_project(t->matrix, linear->w, t->columns, score, err);
    for (size_t k = 0; k < t->columns && !status; k++)
        for (size_t i = 0; i < t->n; i++) score[k * t->n + i] += linear->b[k];
    return status;
}

/* Solve with scores from float32 products, then go on from those of the rows in double. */
static enum eg_status fit_by_features(struct eg_fitting *t, double c, struct eg_linear *linear,
                                      struct eg_error *err)
{
    const size_t size = t->columns * t->coordinates;
    const double tolerance = t->options->tolerance > 0 ? t->options->tolerance : 1e-5;
    double *weights = eg__alloc(t->n, sizeof *weights), *w = eg__zalloc(size, sizeof *w);
    double *score = eg__zalloc(t->columns, t->n * sizeof *score);
    struct eg_fit *fit = eg__zalloc(t->fits, sizeof *fit);
    bool room = weights && w && score && fit;
    enum eg_status status =
        room ? eg__fitting_weigh(t, c, -1, weights, err) : eg__fail_memory(err, "the classifier");
    if (!status) {
        eg__fitting_fits(t, fit, weights, w, score, linear->b);
        if (t->near) memcpy(w, t->near, size * sizeof *w);
        if (t->options->start) status = eg__fitting_warm(t, fit, t->fits, err);
    }
    t->solver.tolerance = tolerance / 2;
    for (int known = 0; known < 2 && !status; known++) {
        status = eg__fitting_solve(t, fit, t->fits, known ? EG_SCORES_KNOWN : EG_SCORES_ALL, err);
        if (!status) status = exact_scores(t, w, known ? NULL : score, linear, err);
    }
    linear->objective = linear->gap = 0;
    for (size_t f = 0; f < t->fits && !status; f++) {
        linear->objective += fit[f].objective;
        linear->gap += fit[f].gap;
    }
    if (!status) {
        linear->in_fold = score;
        score = NULL;
    }
    free(weights);
    free(w);
    free(score);
    free(fit);
    return status;
}

static enum eg_status fitting_open(struct eg_fitting *t, struct eg_error *err)
{
    const bool features = t->space == EG_SPACE_FEATURES;
    const size_t rows = t->columns * t->n, coordinates = t->columns * t->coordinates;
    bool room = true;
    if (t->space == EG_SPACE_ROWS) {
        t->gram = eg__alloc(t->n, t->n * sizeof *t->gram);
        room = t->gram;
    }
    if (t->folds > 1) {
        t->c = eg__alloc(t->folds, t->n * sizeof *t->c);
        t->beta = eg__alloc(t->folds, coordinates * sizeof *t->beta);
        t->score = eg__alloc(features ? 1 : t->folds, rows * sizeof *t->score);
        t->intercept = eg__alloc(t->folds, t->columns * sizeof *t->intercept);
        t->out_of_fold = eg__alloc(rows, sizeof *t->out_of_fold);
        t->fit = eg__alloc(t->folds, t->fits * sizeof *t->fit);
        if (features) t->near = eg__alloc(coordinates, sizeof *t->near);
        room = room && t->c && t->beta && t->score && t->intercept && t->out_of_fold && t->fit &&
               (t->near || !features);
    }
    return room ? EG_OK : eg__fail_memory(err, "the Gram matrix");
}

/* The folds have done their work: their room is for the final fit. */
static void release_folds(struct eg_fitting *t)
{
    free(t->c);
    free(t->beta);
    free(t->score);
    free(t->intercept);
    free(t->fit);
    t->c = t->beta = t->score = t->intercept = NULL;
    t->fit = NULL;
}

static void fitting_close(struct eg_fitting *t)
{
    release_folds(t);
    eg__primal_close(&t->primal);
    free(t->gram);
    free(t->near);
    free(t->out_of_fold);
}

double eg__linear_bytes(size_t n, size_t d, size_t columns, unsigned folds, enum eg_space space)
{
    const double rows = (double)n, scores = rows * (double)columns, weights = (double)d * (double)columns;
    if (space == EG_SPACE_FEATURES) {
        double kept = folds ? 2 * scores + folds * (rows + weights) + weights : 0;
        return 8 * (kept + scores + 2 * weights + 4 * rows + 4 * (double)d);
    }
    double in_folds = folds ? folds * (rows + 2 * scores) + scores : 0; /* doubles */
    double at_end = (folds ? 7 : 6) * scores + weights;
    return 8 * (fmax(in_folds, at_end) + weights + 3 * rows + 4 * (double)d);
}

static enum eg_status train(struct eg_fitting *t, struct eg_linear *made, struct eg_learned *learned,
                            struct eg_error *err)
{
    const struct eg_learn_options *o = t->options;
    struct eg_choice choice = {o->scale, o->n_c ? o->c[0] : NAN, NAN};
    bool have = false;
    enum eg_status status = fitting_open(t, err);
    t->solver.gram = t->gram;
    t->steps = 1;
    if (!status && t->fold)
        status = eg__fitting_choose(t, &choice, learned, err);
    else if (!status)
        status = eg__fitting_scale(t, choice.scale, &have, err);
    if (status) return status;
    made->c = choice.c;
    made->cv_accuracy = choice.accuracy;
    made->out_of_fold = t->out_of_fold;
    made->scale = choice.scale;
    t->out_of_fold = NULL;
    release_folds(t);
    if (!o->choose_only)
        status = t->space == EG_SPACE_FEATURES ? fit_by_features(t, choice.c, made, err)
                                               : fit_by_rows(t, choice.c, made, err);
    return status ? status : eg__fitting_step(t, err);
}

enum eg_loss eg__linear_loss(const struct eg_learn_options *options)
{
    return options->learner == EG_LOGISTIC ? EG_LOSS_LOGISTIC
           : options->hinge                ? EG_LOSS_HINGE
                                           : EG_LOSS_SQUARED_HINGE;
}

enum eg_status eg__linear_train(struct eg_matrix *matrix, const int32_t *labels, size_t n_classes,
                                const struct eg_learn_options *options, size_t budget, enum eg_space space,
                                struct eg_linear *linear, struct eg_learned *learned, struct eg_error *err)
{
    const enum eg_loss loss = eg__linear_loss(options);
    const bool sets = options->sets != NULL;
    int32_t *own = sets ? eg__sets_columns(options->sets, matrix->n, n_classes) : NULL;
    size_t columns = n_classes == 2 && !sets ? 1 : n_classes;
    struct eg_fitting t = {.matrix = matrix,
                           .labels = sets ? own : labels,
                           .n = matrix->n,
                           .n_classes = n_classes,
                           .columns = columns,
                           .coordinates = space == EG_SPACE_FEATURES ? matrix->d + 1 : matrix->n,
                           .fits = loss == EG_LOSS_LOGISTIC && !sets ? 1 : columns,
                           .options = options,
                           .fold = options->fold,
                           .folds = options->fold ? (options->folds ? options->folds : 5) : 1,
                           .space = space};
    struct eg_linear made = {.loss = loss,
                             .n = matrix->n,
                             .d = matrix->d,
                             .n_classes = n_classes,
                             .columns = columns,
                             .cv_accuracy = NAN};
    made.w = eg__alloc(columns, matrix->d * sizeof *made.w);
    made.b = eg__zalloc(columns, sizeof *made.b);
    t.solver = (struct eg_solver){.n = t.n,
                                  .loss = loss,
                                  .constant = loss == EG_LOSS_LOGISTIC ? 0 : 1,
                                  .work_bytes = budget,
                                  .go_on = go_on,
                                  .user = &t,
                                  .seed = options->seed,
                                  .pool = options->pool};
    enum eg_status status = made.w && made.b && (own || !sets) ? train(&t, &made, learned, err)
                                                               : eg__fail_memory(err, "the classifier");
    fitting_close(&t);
    free(own);
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
