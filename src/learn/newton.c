/* Many smooth linear classifiers on one Gram matrix, by Newton's method in lockstep.
 *
 * Every fit runs its own Newton iteration with conjugate gradients inside; whenever a fit
 * needs K times a vector it waits, and all that wait are served by one matrix product. So
 * every class and fold of a grid point costs one pass over K an iteration. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "base/pool.h"
#include "kernels/kernels.h"
#include "learn/solve.h"

enum { NEWTON_MOST = 200, CG_MOST = 400, HALVINGS = 40, STALLS_MOST = 40, ALONE = 1 << 22 };

/* One fit at work. Vectors of the span are held as coefficients v (of sum_i v_i x_i) beside
 * their products K v; the inner product of u and v is u . K v. All [columns][n]. */
struct work {
    struct eg_fit *fit;
    double *slope;                                       /* -c loss' at the scores */
    double *residual;                                    /* of the Newton system, coefficients */
    double *step, *k_step;                               /* its solution so far */
    double *ahead, *k_ahead;                             /* the conjugate direction */
    double *k_beta;                                      /* K beta */
    double *small;                                       /* 6 [columns] for the intercept */
    double *b_residual, *b_step, *b_ahead, *b_curvature; /* [columns] the free intercept */
    const float *product; /* K residual, from the last lockstep product: element (c,i) at [i * stride + c] */
    size_t stride;
    double loss, square; /* at beta: sum of losses, |w|^2 */
    double rho, rho_first, model, best_gap;
    unsigned newton, cg, stalls;
    bool done;
};

struct crew {
    const struct eg_solver *solver;
    struct work *works, **active;
    size_t n_active, columns;
    float *in, *out;
};

static void add_scaled(double a, const double *x, double *y, size_t n)
{
    for (size_t i = 0; i < n; i++) y[i] += a * x[i];
}

/* y += c loss'' v along the rows, where v = k_v + b (the change of the scores). */
static void add_curvature(const struct work *w, const struct eg_solver *s, const double *k_v, const double *b,
                          double *y, double *y_sum)
{
    const struct eg_fit *fit = w->fit;
    const size_t n = s->n, k_count = fit->columns;
    memset(y_sum, 0, k_count * sizeof *y_sum);
    for (size_t i = 0; i < n; i++) {
        double c = fit->c[i];
        if (!(c > 0)) continue;
        if (k_count > 1) { /* c (diag p - p p') v, p = y - slope / c */
            double mean = 0;
            for (size_t k = 0; k < k_count; k++) {
                double p = (fit->labels[i] == (int32_t)k) - w->slope[k * n + i] / c;
                mean += p * (k_v[k * n + i] + b[k]);
            }
            for (size_t k = 0; k < k_count; k++) {
                double p = c * (fit->labels[i] == (int32_t)k) - w->slope[k * n + i];
                double part = p * (k_v[k * n + i] + b[k] - mean);
                y[k * n + i] += part;
                y_sum[k] += part;
            }
        } else {
            double p = fabs(w->slope[i]) / c; /* logistic: p or 1 - p of the row */
            double h = s->loss == EG_LOSS_LOGISTIC ? c * p * (1 - p) : p > 0 ? 2 * c : 0;
            double part = h * (k_v[i] + b[0]);
            y[i] += part;
            y_sum[0] += part;
        }
    }
}

/* A Newton iteration begins: the residual is minus the gradient, slope - beta. */
static void begin_newton(struct work *w, const struct eg_solver *s)
{
    struct eg_fit *fit = w->fit;
    const size_t n = s->n, size = fit->columns * n;
    if (!(s->constant > 0)) eg__balance_intercept(fit, n, w->slope);
    w->loss = eg__loss(fit, n, s->loss, fit->score, w->slope);
    for (size_t k = 0; k < fit->columns; k++) {
        double shift = fit->intercept[k];
        if (s->constant > 0) shift = 0; /* it is inside K + constant */
        for (size_t i = 0; i < n; i++)
            w->k_beta[k * n + i] = fit->score[k * n + i] - shift - (fit->offset ? fit->offset[k * n + i] : 0);
        w->b_residual[k] = w->b_curvature[k] = 0;
        w->b_step[k] = w->b_ahead[k] = 0;
    }
    if (!(s->constant > 0))
        for (size_t k = 0; k < fit->columns; k++)
            for (size_t i = 0; i < n; i++) {
                double c = fit->c[i], slope = w->slope[k * n + i];
                if (!(c > 0)) continue;
                double p = fabs(slope) / c;
                w->b_residual[k] += slope;
                w->b_curvature[k] += c * p * (1 - p);
            }
    w->square = eg__dot_double(fit->beta, w->k_beta, size);
    for (size_t i = 0; i < size; i++) w->residual[i] = w->slope[i] - fit->beta[i];
    memset(w->step, 0, size * sizeof *w->step);
    memset(w->k_step, 0, size * sizeof *w->k_step);
    w->cg = 0;
    w->model = 0;
    w->newton++;
}

/* Go along the Newton step as far as the objective falls enough (Armijo). */
static void end_newton(struct work *w, const struct eg_solver *s)
{
    struct eg_fit *fit = w->fit;
    const size_t n = s->n, size = fit->columns * n;
    double cross = eg__dot_double(fit->beta, w->k_step, size),
           square = eg__dot_double(w->step, w->k_step, size);
    double before = w->square / 2 + w->loss, fall = cross, t = 1, moved = 0;
    for (size_t k = 0; k < fit->columns; k++)
        for (size_t i = 0; i < n; i++) fall -= w->slope[k * n + i] * (w->k_step[k * n + i] + w->b_step[k]);
    for (int halving = 0; halving < HALVINGS; halving++, t /= 2) {
        for (size_t k = 0; k < fit->columns; k++)
            for (size_t i = 0; i < n; i++)
                fit->score[k * n + i] += (t - moved) * (w->k_step[k * n + i] + w->b_step[k]);
        moved = t;
        double loss = eg__loss(fit, n, s->loss, fit->score, NULL);
        double after = (w->square + 2 * t * cross + t * t * square) / 2 + loss;
        if (after <= before + 1e-4 * t * fall + 1e-14 * fabs(before)) break;
    }
    add_scaled(moved, w->step, fit->beta, size);
    for (size_t k = 0; k < fit->columns; k++) {
        fit->intercept[k] += moved * w->b_step[k];
        if (s->constant > 0) {
            fit->intercept[k] = 0;
            for (size_t i = 0; i < n; i++) fit->intercept[k] += s->constant * fit->beta[k * n + i];
        }
    }
}

/* One step of conjugate gradients for (I + C loss'' K) step = residual, which is symmetric
 * and at least 1 in the inner product u . K v, so that the gap is known: with the dual point
 * slope, primal - dual = |slope - beta|_K^2 / 2 (Fenchel), that is rho / 2 at the first step.
 * The free intercept goes along as one more coordinate, scaled by its curvature. */
static void advance(void *context, size_t task, unsigned thread)
{
    (void)thread;
    struct crew *crew = context;
    const struct eg_solver *s = crew->solver;
    struct work *w = crew->active[task];
    struct eg_fit *fit = w->fit;
    const size_t n = s->n, k_count = fit->columns, size = k_count * n;
    const bool add_one = s->constant > 0;
    double rho = 0, b_sum[1] = {0}, *b_image = k_count == 1 ? b_sum : w->small;
    /* K residual (and the constant column): the one thing not at hand */
    double *k_residual = w->slope + size; /* scratch beside slope */
    for (size_t k = 0; k < k_count; k++) {
        double sum = 0;
        if (add_one)
            for (size_t i = 0; i < n; i++) sum += s->constant * w->residual[k * n + i];
        for (size_t i = 0; i < n; i++) {
            double v = (double)w->product[i * w->stride + k] + sum;
            k_residual[k * n + i] = v;
            rho += v * w->residual[k * n + i];
        }
    }
    rho = fmax(rho, 0);
    if (!w->cg) {
        double objective = w->square / 2 + w->loss;
        fit->objective = objective;
        fit->gap = rho / 2;
        if (!isfinite(objective + rho)) {
            w->done = true;
            return;
        }
        w->stalls = fit->gap < 0.5 * w->best_gap ? 0 : w->stalls + 1;
        w->best_gap = fmin(w->best_gap, fit->gap);
        if (fit->gap <= s->tolerance * objective || w->newton > NEWTON_MOST || w->stalls > STALLS_MOST) {
            w->done = true;
            return;
        }
        w->rho_first = rho;
    }
    for (size_t k = 0; k < k_count; k++)
        if (w->b_curvature[k] > 0) rho += w->b_residual[k] * w->b_residual[k] / w->b_curvature[k];
    double keep = w->cg ? rho / w->rho : 0;
    w->rho = rho;
    for (size_t i = 0; i < size; i++) {
        w->ahead[i] = w->residual[i] + (w->cg ? keep * w->ahead[i] : 0);
        w->k_ahead[i] = k_residual[i] + (w->cg ? keep * w->k_ahead[i] : 0);
    }
    for (size_t k = 0; k < k_count; k++)
        w->b_ahead[k] =
            (w->b_curvature[k] > 0 ? w->b_residual[k] / w->b_curvature[k] : 0) + keep * w->b_ahead[k];
    double *image = k_residual; /* its values are in k_ahead by now */
    memcpy(image, w->ahead, size * sizeof *image);
    add_curvature(w, s, w->k_ahead, w->b_ahead, image, b_image);
    double curvature = eg__dot_double(w->k_ahead, image, size);
    for (size_t k = 0; k < k_count; k++) curvature += w->b_ahead[k] * b_image[k];
    /* The operator is at least 1 but for the intercept: a curvature so far below is the rounding of
     * K, whose null space has some of either sign, and ends the step. */
    bool lost = !(curvature > 1e-6 * rho);
    double alpha = lost ? 0 : rho / curvature;
    add_scaled(alpha, w->ahead, w->step, size);
    add_scaled(alpha, w->k_ahead, w->k_step, size);
    add_scaled(-alpha, image, w->residual, size);
    if (!add_one) {
        add_scaled(alpha, w->b_ahead, w->b_step, k_count);
        add_scaled(-alpha, b_image, w->b_residual, k_count);
    }
    w->cg++;
    /* Enough when the model no longer gains (Nash and Sofer, Oper. Res. Lett. 9, 1990). Squared
     * hinge is quadratic once its active rows are right: there a more exact step is worth it
     * (measured on VGG-16 rows at C = 1e4: half the products of the plain rule). */
    double gain = alpha * rho / 2;
    w->model += gain;
    bool enough =
        w->cg * gain <= 0.1 * w->model && (s->loss == EG_LOSS_LOGISTIC || rho <= 1e-4 * w->rho_first);
    if (!(alpha > 0) || enough || w->cg >= CG_MOST) {
        end_newton(w, s);
        begin_newton(w, s);
    }
}

static void load_columns(void *context, size_t task, unsigned thread)
{
    (void)thread;
    struct crew *crew = context;
    const size_t n = crew->solver->n;
    size_t first = 0;
    for (size_t a = 0; a < task; a++) first += crew->active[a]->fit->columns;
    struct work *w = crew->active[task];
    for (size_t i = 0; i < w->fit->columns * n; i++) crew->in[first * n + i] = (float)w->residual[i];
    w->product = crew->out + first;
    w->stride = crew->columns;
}

static void begin_task(void *context, size_t task, unsigned thread)
{
    (void)thread;
    struct crew *crew = context;
    begin_newton(crew->active[task], crew->solver);
}

static enum eg_status run_crew(struct crew *crew, struct eg_error *err)
{
    const struct eg_solver *s = crew->solver;
    eg__pool_run(s->pool, crew->n_active, begin_task, crew);
    while (crew->n_active) {
        crew->columns = 0;
        for (size_t a = 0; a < crew->n_active; a++) crew->columns += crew->active[a]->fit->columns;
        /* A step of less than half a millisecond is over before other threads have woken: measured on
         * two busy cores, 109 rows of 4 classes in 0.4 s by one thread, in 14 s by two. */
        eg_pool *pool = crew->columns * s->n * s->n < ALONE ? NULL : s->pool;
        eg__pool_run(pool, crew->n_active, load_columns, crew);
        enum eg_status status = eg__gemm_nt(s->n, crew->columns, s->n, s->gram, s->n, crew->in, s->n,
                                            crew->out, crew->columns, false, pool, err);
        if (status) return status;
        eg__pool_run(pool, crew->n_active, advance, crew);
        size_t left = 0;
        for (size_t a = 0; a < crew->n_active; a++)
            if (!crew->active[a]->done) crew->active[left++] = crew->active[a];
        crew->n_active = left;
        if (s->go_on && !s->go_on(s->user)) return eg__fail(err, EG_E_CANCELLED, "training was stopped");
    }
    return EG_OK;
}

enum { VECTORS = 8 }; /* doubles a row and column */

static enum eg_status run_batch(const struct eg_solver *s, struct eg_fit *fits, size_t n_fits, size_t columns,
                                struct eg_error *err)
{
    const size_t n = s->n;
    struct crew crew = {.solver = s, .n_active = n_fits};
    crew.works = eg__zalloc(n_fits, sizeof *crew.works);
    crew.active = eg__alloc(n_fits, sizeof(struct work *));
    crew.in = eg__alloc(columns * n, sizeof *crew.in);
    crew.out = eg__alloc(columns * n, sizeof *crew.out);
    double *space = eg__alloc(columns, (VECTORS * n + 10) * sizeof *space), *next = space;
    enum eg_status status = EG_OK;
    if (!crew.works || !crew.active || !crew.in || !crew.out || !space)
        status = eg__fail_memory(err, "the solver's work space");
    for (size_t f = 0; f < n_fits && !status; f++) {
        struct work *w = crew.active[f] = &crew.works[f];
        size_t k_count = fits[f].columns, size = k_count * n;
        *w = (struct work){.fit = &fits[f], .best_gap = INFINITY};
        double **vectors[] = {&w->slope,  NULL,      &w->residual, &w->step,
                              &w->k_step, &w->ahead, &w->k_ahead,  &w->k_beta};
        for (size_t v = 0; v < VECTORS; v++, next += size)
            if (vectors[v]) *vectors[v] = next;
        w->small = next;
        w->b_residual = next + 6 * k_count;
        w->b_step = w->b_residual + k_count;
        w->b_ahead = w->b_step + k_count;
        w->b_curvature = w->b_ahead + k_count;
        next += 10 * k_count;
    }
    if (!status) status = run_crew(&crew, err);
    for (size_t f = 0; f < n_fits && !status; f++)
        if (!isfinite(fits[f].gap))
            status = eg__fail(err, EG_E_NUMERIC, "a classifier's objective left the range of numbers");
    free(crew.works);
    free(crew.active);
    free(crew.in);
    free(crew.out);
    free(space);
    return status;
}

/* Newton's method with conjugate gradients for logistic loss and squared hinge.
 * Stops   gap <= tolerance * objective for every fit, or no progress
 * Errors  EG_E_MEMORY; EG_E_NUMERIC: not finite
 * Cost    2 n^2 for each column and inner step, as matrix products; 8 n doubles and 2 n
 *         floats of scratch a column
 * Sources Chapelle, Neural Computation 19 (2007); Lin, Weng, Keerthi, JMLR 9 (2008) */
enum eg_status eg__newton(const struct eg_solver *s, struct eg_fit *fits, size_t n_fits, struct eg_error *err)
{
    const size_t column_bytes = s->n * (VECTORS * sizeof(double) + 2 * sizeof(float));
    for (size_t first = 0, count; first < n_fits; first += count) {
        size_t columns = 0;
        for (count = 0; first + count < n_fits; count++) {
            if (count && (columns + fits[first + count].columns) * column_bytes > s->work_bytes) break;
            columns += fits[first + count].columns;
        }
        enum eg_status status = run_batch(s, fits + first, count, columns, err);
        if (status) return status;
    }
    return EG_OK;
}
