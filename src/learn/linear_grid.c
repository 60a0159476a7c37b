/* The grid: which scaling, by a few C each, then which C, by all of them and what lies around. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "learn/fitting.h"
#include "learn/multi_label.h"

enum {
    GRID_FROM = -2, /* powers of ten */
    GRID_TO = 4,
    COARSE = 3,  /* C for each scaling */
    FURTHER = 4, /* past an end on which the best lies */
    THIRDS = 2,  /* on either side of the best */
    POINTS_MOST = GRID_TO - GRID_FROM + 1 + FURTHER + 2 * THIRDS
};

/* Cross-validation needs labels, not digits; to choose a scaling fewer still. */
static const double FOLD_TOLERANCE = 1e-4, COARSE_TOLERANCE = 1e-3, STREAM_FOLD_TOLERANCE = 1e-2;

struct grid {
    struct eg_grid_point *points; /* by C */
    size_t n_points, capacity;
    struct eg_choice *best;
    bool around;  /* the grid itself is done: a point has to be better */
    double start; /* C that the folds' classifiers are of; 0: none */
};

static void forget(struct eg_fitting *t, struct grid *grid)
{
    const size_t scores = (t->space == EG_SPACE_FEATURES ? 1 : t->folds) * t->columns * t->n;
    memset(t->beta, 0, t->folds * t->columns * t->coordinates * sizeof *t->beta);
    memset(t->score, 0, scores * sizeof *t->score);
    memset(t->intercept, 0, t->folds * t->columns * sizeof *t->intercept);
    grid->start = 0;
}

/* Row i's score by the classifier that has not seen it. */
static double *held_out(const struct eg_fitting *t, size_t column, size_t i)
{
    size_t fold = t->space == EG_SPACE_FEATURES ? 0 : t->fold[i];
    return &t->score[(fold * t->columns + column) * t->n + i];
}

static double held_out_score(const void *fitting, size_t column, size_t i)
{
    return *held_out(fitting, column, i);
}

/* One point, going on from the one before where that had a smaller C. */
static enum eg_status cross_validate(struct eg_fitting *t, struct grid *grid, double c, double tolerance,
                                     double *accuracy, struct eg_error *err)
{
    enum eg_status status = EG_OK;
    const size_t size = t->columns * t->n, each = t->space == EG_SPACE_FEATURES ? 0 : size;
    size_t right = 0;
    if (grid->start > c) forget(t, grid);
    for (unsigned f = 0; f < t->folds && !status; f++) {
        status = eg__fitting_weigh(t, c, (int)f, t->c + f * t->n, err);
        eg__fitting_fits(t, t->fit + f * t->fits, t->c + f * t->n, t->beta + f * t->columns * t->coordinates,
                         t->score + f * each, t->intercept + f * t->columns);
    }
    t->solver.tolerance = t->space == EG_SPACE_BLOCKS ? STREAM_FOLD_TOLERANCE : tolerance;
    if (!status && !(grid->start > 0) && t->options->start)
        status = eg__fitting_warm(t, t->fit, t->folds * t->fits, err);
    if (!status) status = eg__fitting_solve(t, t->fit, t->folds * t->fits, EG_SCORES_HELD, err);
    if (status) return status;
    for (size_t i = 0; i < t->n && !t->options->sets; i++)
        right += eg__linear_label(held_out(t, 0, i) - i, t->n, t->columns, i) == t->labels[i];
    *accuracy = (double)right / (double)t->n;
    if (t->options->sets)
        *accuracy = eg__sets_precision(t->options->sets, t->n, t->columns, held_out_score, t);
    if (isnan(*accuracy)) return eg__fail_memory(err, "held-out scores");
    grid->start = c;
    return eg__fitting_step(t, err);
}

/* The default grid: powers of ten around 1 / (mean squared length of a row), 1 for unit rows. */
static double grid_c(const struct eg_fitting *t, double exponent)
{
    double mean = eg__matrix_mean_square(t->matrix), centre = mean > 0 ? round(-log10(mean)) : 0;
    return pow(10, centre + exponent);
}

/* The best so far: its out-of-fold scores, and where the final fit is to begin. */
static void keep(struct eg_fitting *t)
{
    for (size_t k = 0; k < t->columns; k++)
        for (size_t i = 0; i < t->n; i++) t->out_of_fold[k * t->n + i] = *held_out(t, k, i);
    const size_t size = t->columns * t->coordinates;
    for (size_t i = 0; t->near && i < size; i++) {
        t->near[i] = 0;
        for (size_t f = 0; f < t->folds; f++) t->near[i] += t->beta[f * size + i] / t->folds;
    }
}

static struct eg_grid_point *find(const struct grid *grid, double c)
{
    for (size_t p = 0; p < grid->n_points; p++)
        if (fabs(grid->points[p].c - c) <= 1e-9 * c) return &grid->points[p];
    return NULL;
}

/* Cross-validate at C unless that is done. Of equals the smallest C is taken, and the first scaling. */
static enum eg_status try_point(struct eg_fitting *t, struct grid *grid, double c, double tolerance,
                                struct eg_error *err)
{
    struct eg_choice *best = grid->best;
    struct eg_grid_point point = {.c = c};
    if (find(grid, c)) return EG_OK;
    enum eg_status status = cross_validate(t, grid, c, tolerance, &point.cv_accuracy, err);
    if (status) return status;
    size_t at = grid->n_points++;
    for (; at && grid->points[at - 1].c > c; at--) grid->points[at] = grid->points[at - 1];
    grid->points[at] = point;
    const bool same = !grid->around && best->scale == t->matrix->scale && point.cv_accuracy == best->accuracy;
    if (!(point.cv_accuracy > best->accuracy) && !(same && c < best->c)) return EG_OK;
    *best = (struct eg_choice){t->matrix->scale, c, point.cv_accuracy};
    keep(t);
    return EG_OK;
}

static double given_c(const struct eg_learn_options *o, size_t i) { return o->c[i]; }

/* A few C of the grid for every scaling; what the best one found stays in the grid. */
static enum eg_status choose_scale(struct eg_fitting *t, struct grid *grid, bool *have,
                                   struct eg_learned *learned, struct eg_error *err)
{
    const struct eg_learn_options *o = t->options;
    struct eg_grid_point kept[COARSE];
    size_t n_kept = 0;
    enum eg_status status = EG_OK;
    for (enum eg_scaling scale = EG_SCALE_NONE; scale < EG_SCALE_AUTO && !status; scale++) {
        const size_t points = o->n_c && o->n_c < COARSE ? o->n_c : COARSE;
        double before = grid->best->accuracy;
        status = eg__fitting_scale(t, scale, have, err);
        forget(t, grid);
        grid->n_points = 0;
        for (size_t p = 0; p < points && !status; p++) {
            double c = o->n_c ? given_c(o, points > 1 ? p * (o->n_c - 1) / (points - 1) : 0)
                              : grid_c(t, GRID_FROM + 1 + 2 * (double)p);
            status = try_point(t, grid, c, COARSE_TOLERANCE, err);
        }
        struct eg_scaling_tried *tried = &learned->tried[learned->n_tried++];
        *tried = (struct eg_scaling_tried){.scale = scale, .points = grid->n_points, .cv_accuracy = -1};
        for (size_t p = 0; p < grid->n_points; p++)
            if (grid->points[p].cv_accuracy > tried->cv_accuracy) {
                tried->cv_accuracy = grid->points[p].cv_accuracy;
                tried->c = grid->points[p].c;
            }
        if (!(grid->best->accuracy > before)) continue;
        n_kept = grid->n_points;
        memcpy(kept, grid->points, n_kept * sizeof *kept);
    }
    if (!status) status = eg__fitting_scale(t, grid->best->scale, have, err);
    grid->n_points = n_kept;
    memcpy(grid->points, kept, n_kept * sizeof *kept);
    forget(t, grid);
    return status;
}

/* While the best lies on an end of the default grid, that end is moved; then around it by thirds of a
 * power of ten. */
static enum eg_status look_around(struct eg_fitting *t, struct grid *grid, struct eg_error *err)
{
    enum eg_status status = EG_OK;
    grid->around = true;
    for (int more = 0; more < FURTHER && !status && grid->best->accuracy < 1; more++) {
        const double first = grid->points[0].c, last = grid->points[grid->n_points - 1].c;
        if (grid->best->c == last)
            status = try_point(t, grid, 10 * last, FOLD_TOLERANCE, err);
        else if (grid->best->c == first)
            status = try_point(t, grid, first / 10, FOLD_TOLERANCE, err);
        else
            break;
    }
    const double centre = grid->best->c;
    for (int third = -THIRDS; third <= THIRDS && !status; third++)
        if (third && grid->best->accuracy < 1)
            status = try_point(t, grid, centre * pow(10, third / 3.0), FOLD_TOLERANCE, err);
    return status;
}

/* The smallest C that is no more than a standard error (of a share of n rows) worse than the best. */
static enum eg_status step_back(struct eg_fitting *t, struct grid *grid, struct eg_error *err)
{
    struct eg_choice *best = grid->best;
    const double p = best->accuracy, error = sqrt(fmax(p * (1 - p), 0) / (double)t->n);
    for (size_t i = 0; i < grid->n_points; i++) {
        const struct eg_grid_point *point = &grid->points[i];
        if (point->c >= best->c) return EG_OK;
        if (point->cv_accuracy < p - error) continue;
        best->c = point->c;
        enum eg_status status = cross_validate(t, grid, best->c, FOLD_TOLERANCE, &best->accuracy, err);
        if (!status) keep(t);
        return status;
    }
    return EG_OK;
}

enum eg_status eg__fitting_choose(struct eg_fitting *t, struct eg_choice *best, struct eg_learned *learned,
                                  struct eg_error *err)
{
    const struct eg_learn_options *o = t->options;
    const size_t points = o->n_c ? o->n_c : POINTS_MOST, coarse = o->n_c && o->n_c < COARSE ? o->n_c : COARSE;
    struct grid grid = {.best = best};
    bool have = false;
    grid.points = eg__alloc(points + COARSE, sizeof *grid.points);
    enum eg_status status = grid.points ? EG_OK : eg__fail_memory(err, "the grid");
    *best = (struct eg_choice){.scale = o->scale, .c = NAN, .accuracy = -1};
    t->steps = (o->scale == EG_SCALE_AUTO ? coarse * (EG_SCALE_AUTO - 1) : 0) + points + 1;
    if (!status && o->scale == EG_SCALE_AUTO)
        status = choose_scale(t, &grid, &have, learned, err);
    else if (!status) {
        status = eg__fitting_scale(t, o->scale, &have, err);
        forget(t, &grid);
    }
    for (size_t p = 0; p < o->n_c && !status; p++)
        status = try_point(t, &grid, given_c(o, p), FOLD_TOLERANCE, err);
    for (int e = GRID_FROM; e <= GRID_TO && !o->n_c && !status; e++)
        status = try_point(t, &grid, grid_c(t, e), FOLD_TOLERANCE, err);
    if (!status && !o->n_c) status = look_around(t, &grid, err);
    if (!status && o->one_error) status = step_back(t, &grid, err);
    if (t->steps_done < t->steps) t->steps_done = t->steps - 1; /* ends that were not moved */
    if (status) {
        free(grid.points);
        return status;
    }
    learned->grid = grid.points;
    learned->n_grid = grid.n_points;
    return EG_OK;
}
