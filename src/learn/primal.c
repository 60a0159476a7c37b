/* Many smooth linear classifiers in the space of the features, by Newton's method in lockstep.
 *
 * Every fit runs its own Newton iteration with preconditioned conjugate gradients inside. All it
 * ever asks for are the scores Z v of a vector and the sum Z'u that comes back: one round serves
 * every class and fold that is not done, whatever each is at, by two matrix products. */
#include "learn/primal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "base/pool.h"
#include "kernels/kernels.h"
#include "learn/rows_of_fits.h"

enum { NEWTON_MOST = 200, CG_MOST = 200, HALVINGS = 40, STALLS_MOST = 12, ALONE = 1 << 22 };
static const double METRIC_OFF = 3; /* a weight so far from the one wanted makes another root */

/* ---- the rows ---------------------------------------------------------------------------- */

double eg__primal_bytes(size_t n, size_t d)
{
    const double width = (double)d + 1;
    return 4 * width * ((double)n + 3 * width + 192);
}

double eg__primal_column_bytes(size_t n, size_t d) { return 16.0 * (double)n + 48.0 * (double)(d + 1) + 256; }

enum eg_status eg__primal_open(struct eg_matrix *matrix, struct eg_primal *primal, struct eg_error *err)
{
    struct eg_primal p = {.n = matrix->n, .width = matrix->d + 1};
    p.z = eg__alloc(p.n, p.width * sizeof *p.z);
    enum eg_status status = p.z ? EG_OK : eg__fail_memory(err, "the scaled rows");
    for (size_t at = 0, count; at < p.n && !status; at += count) {
        const float *x;
        count = p.n - at < matrix->block_rows ? p.n - at : matrix->block_rows;
        status = eg__matrix_rows(matrix, at, count, 0, &x, err);
        for (size_t i = at; i < at + count && !status; i++) {
            float *z = p.z + i * p.width, factor = (float)matrix->factor[i];
            for (size_t j = 0; j < matrix->d; j++) z[j] = x[(i - at) * matrix->d + j] * factor;
            z[matrix->d] = 1;
        }
    }
    if (!status) status = eg__metric_open(p.z, p.n, p.width, matrix->pool, &p.metric, err);
    if (status)
        eg__primal_close(&p);
    else
        *primal = p;
    return status;
}

void eg__primal_close(struct eg_primal *primal)
{
    eg__metric_close(&primal->metric);
    free(primal->z);
    *primal = (struct eg_primal){0};
}

enum eg_status eg__primal_combine(const struct eg_primal *p, const double *coefficients, size_t columns,
                                  double *w, eg_pool *pool, struct eg_error *err)
{
    float *in = eg__alloc(columns, p->n * sizeof *in), *out = eg__alloc(columns, p->width * sizeof *out);
    enum eg_status status = in && out ? EG_OK : eg__fail_memory(err, "where to start from");
    for (size_t i = 0; i < columns * p->n && !status; i++) in[i] = (float)coefficients[i];
    if (!status)
        status =
            eg__gemm_nn(columns, p->width, p->n, in, p->n, p->z, p->width, out, p->width, false, pool, err);
    for (size_t i = 0; i < columns * p->width && !status; i++) w[i] = (double)out[i];
    free(in);
    free(out);
    return status;
}

/* ---- one fit's iteration ------------------------------------------------------------------- */

/* All vectors [columns][width]. */
struct work {
    struct eg_rows_of_fit rows; /* what is known of each row, and how far along to look */
    double *gradient, *step, *residual, *ahead;
    size_t place;                    /* of its columns among the active ones */
    double square, cross, square_of; /* ridged: |w|^2, w . step, |step|^2 */
    double fall, objective, rho, rho_first, model, best_gap;
    unsigned newton, cg, stalls;
    bool begins, fresh, done, searching; /* fresh: conjugate gradients begin */
};

struct crew {
    struct eg_primal *primal;
    const struct eg_solver *solver;
    struct work *works, **active;
    size_t n_active, columns;
    double last_ridge;
    float *in, *out, *between; /* [columns][width] */
    struct eg_rows_space space;
};

static double ridged(const struct crew *crew, const struct work *w, const double *a, const double *b)
{
    const size_t width = crew->primal->width;
    double sum = 0;
    for (size_t k = 0; k < w->rows.fit->columns; k++) {
        const double *x = a + k * width, *y = b + k * width;
        sum += eg__dot_double(x, y, width - 1) + crew->last_ridge * x[width - 1] * y[width - 1];
    }
    return sum;
}

static size_t size_of(const struct crew *crew, const struct work *w)
{
    return w->rows.fit->columns * crew->primal->width;
}

/* What its next scores are wanted of. */
static void load(struct crew *crew, struct work *w)
{
    const double *from = w->rows.phase == EG_ROWS_CURVE ? w->ahead : w->begins ? w->rows.fit->beta : w->step;
    float *in = crew->in + w->place * crew->primal->width;
    const bool known = w->begins && w->rows.known;
    for (size_t i = 0; i < size_of(crew, w); i++) in[i] = known ? 0 : (float)from[i];
}

/* At w + t step: far enough down, else half as far. To begin with, 0 where that is better than what
 * was given. */
static void judge_step(struct crew *crew, struct work *w)
{
    struct eg_rows_of_fit *r = &w->rows;
    if (w->begins) {
        w->square = ridged(crew, w, r->fit->beta, r->fit->beta);
        w->searching = false;
        if (r->known || !(w->square > 0) || w->square / 2 + r->loss <= r->loss_at_zero) return;
        memset(r->fit->beta, 0, size_of(crew, w) * sizeof *r->fit->beta);
        w->square = r->along = 0;
        r->loss = r->loss_at_zero;
        w->searching = true; /* once more, for what is known of each row */
        w->begins = false;
        w->fall = INFINITY;
        memset(w->step, 0, size_of(crew, w) * sizeof *w->step);
        return;
    }
    double t = r->along, after = r->loss + (w->square + 2 * t * w->cross + t * t * w->square_of) / 2;
    w->searching = !(after <= w->objective + 1e-4 * t * w->fall + 1e-14 * fabs(w->objective));
    if (w->fall == INFINITY) w->searching = false;
    if (!w->searching) return;
    r->along = ++r->halvings > HALVINGS ? 0 : t / 2;
    if (r->halvings > HALVINGS + 1) w->searching = false;
}

static void begin_search(struct crew *crew, struct work *w)
{
    w->rows.along = 1;
    w->rows.halvings = 0;
    w->searching = true;
    if (w->begins) return;
    w->cross = ridged(crew, w, w->rows.fit->beta, w->step);
    w->square_of = ridged(crew, w, w->step, w->step);
    w->fall = eg__dot_double(w->gradient, w->step, size_of(crew, w));
}

/* A Newton iteration is over: the gradient X'(c loss') + w, and from it the gap: with the dual point
 * -c loss', primal - dual = |gradient|^2 / 2 (Fenchel), and of a free intercept what its own Newton
 * step would bring. */
static void end_newton(struct crew *crew, struct work *w)
{
    struct eg_fit *fit = w->rows.fit;
    const size_t width = crew->primal->width, size = size_of(crew, w);
    const float *image = crew->out + w->place * width;
    double gap = 0;
    for (size_t i = 0; !w->begins && i < size; i++) fit->beta[i] += w->rows.along * w->step[i];
    w->square = ridged(crew, w, fit->beta, fit->beta);
    for (size_t k = 0; k < fit->columns; k++)
        for (size_t j = 0; j < width; j++) {
            const size_t i = k * width + j;
            const bool free_one = j + 1 == width && crew->last_ridge == 0;
            w->gradient[i] = (double)image[i] + (free_one ? 0 : fit->beta[i]);
            double part = w->gradient[i] * w->gradient[i] / 2;
            gap += free_one ? part / fmax(w->rows.bend, 1e-12 * w->rows.weight) : part;
        }
    fit->objective = w->objective = w->square / 2 + w->rows.loss;
    fit->gap = gap;
    w->begins = false;
    w->stalls = gap < 0.5 * w->best_gap ? 0 : w->stalls + 1;
    w->best_gap = fmin(w->best_gap, gap);
    if (!isfinite(w->objective + gap) || gap <= crew->solver->tolerance * w->objective ||
        ++w->newton > NEWTON_MOST || w->stalls > STALLS_MOST) {
        w->done = true;
        return;
    }
    for (size_t i = 0; i < size; i++) w->residual[i] = -w->gradient[i];
    memset(w->step, 0, size * sizeof *w->step);
    w->cg = 0;
    w->model = 0;
    w->fresh = true;
    w->rows.phase = EG_ROWS_CURVE;
}

/* One step of conjugate gradients along `ahead`, whose image under the Hessian has come. Enough when
 * the model no longer gains (Nash and Sofer, Oper. Res. Lett. 9, 1990), and for squared hinge, which is
 * quadratic once its active rows are right, the residual is a hundredth. */
static void advance(struct crew *crew, struct work *w)
{
    const size_t width = crew->primal->width, size = size_of(crew, w);
    const float *image = crew->out + w->place * width;
    double curvature = ridged(crew, w, w->ahead, w->ahead);
    for (size_t i = 0; i < size; i++) curvature += w->ahead[i] * (double)image[i];
    const double alpha = curvature > 0 ? w->rho / curvature : 0;
    for (size_t i = 0; i < size; i++) {
        const double ridge = (i + 1) % width ? 1 : crew->last_ridge;
        w->step[i] += alpha * w->ahead[i];
        w->residual[i] -= alpha * ((double)image[i] + ridge * w->ahead[i]);
    }
    double gain = alpha * w->rho / 2;
    w->model += gain;
    w->cg++;
    bool enough = w->cg * gain <= 0.1 * w->model &&
                  (crew->solver->loss == EG_LOSS_LOGISTIC || w->rho <= 1e-4 * w->rho_first);
    if (!(alpha > 0) || enough || w->cg >= CG_MOST) w->rows.phase = EG_ROWS_MOVE;
}

/* The residuals, preconditioned, become directions. */
static void turn(struct crew *crew, struct work *w)
{
    const size_t size = size_of(crew, w);
    const float *z = crew->out + w->place * crew->primal->width;
    double rho = 0;
    for (size_t i = 0; i < size; i++) rho += w->residual[i] * (double)z[i];
    const double keep = w->fresh ? 0 : rho / w->rho;
    for (size_t i = 0; i < size; i++) w->ahead[i] = (double)z[i] + keep * w->ahead[i];
    w->rho = rho;
    if (w->fresh) w->rho_first = rho;
    w->fresh = false;
    if (!(rho > 0)) w->rows.phase = EG_ROWS_MOVE;
}

/* ---- all of them ------------------------------------------------------------------------------ */

/* The curvature that the fits have on the average; where the root in use is far from it, another:
 * conjugate gradients under way end with what they have. */
static enum eg_status renew_metric(struct crew *crew, eg_pool *pool, struct eg_error *err)
{
    struct eg_metric *metric = &crew->primal->metric;
    double wanted = 0;
    for (size_t a = 0; a < crew->n_active; a++)
        wanted += crew->active[a]->rows.bend / (double)(crew->primal->n * crew->n_active);
    if (!(wanted > 0)) wanted = 1e-12;
    if (wanted < METRIC_OFF * metric->weight && wanted * METRIC_OFF > metric->weight) return EG_OK;
    for (size_t a = 0; a < crew->n_active; a++)
        if (crew->active[a]->rows.phase == EG_ROWS_CURVE && !crew->active[a]->fresh)
            crew->active[a]->rows.phase = EG_ROWS_MOVE;
    return eg__metric_set(metric, wanted, fmax(crew->last_ridge, 1e-6), pool, err);
}

static void find_places(struct crew *crew)
{
    size_t left = 0, columns = 0;
    for (size_t a = 0; a < crew->n_active; a++) {
        struct work *w = crew->active[a];
        if (w->done) continue;
        w->place = columns;
        columns += w->rows.fit->columns;
        crew->active[left++] = w;
    }
    crew->n_active = left;
    crew->columns = columns;
}

static enum eg_status precondition(struct crew *crew, eg_pool *pool, struct eg_error *err)
{
    const size_t width = crew->primal->width;
    enum eg_status status = renew_metric(crew, pool, err);
    if (status) return status;
    for (size_t a = 0; a < crew->n_active; a++) {
        const struct work *w = crew->active[a];
        for (size_t i = 0; i < size_of(crew, w); i++) crew->in[w->place * width + i] = (float)w->residual[i];
    }
    status =
        eg__metric_apply(&crew->primal->metric, crew->in, crew->columns, crew->between, crew->out, pool, err);
    for (size_t a = 0; a < crew->n_active && !status; a++)
        if (crew->active[a]->rows.phase == EG_ROWS_CURVE) turn(crew, crew->active[a]);
    return status;
}

/* Scores there, what the rows make of them, and back. */
static enum eg_status round_trip(struct crew *crew, eg_pool *pool, struct eg_error *err)
{
    const struct eg_primal *p = crew->primal;
    struct eg_rows_space *space = &crew->space;
    bool any = false;
    for (size_t a = 0; a < crew->n_active; a++) {
        struct work *w = crew->active[a];
        load(crew, w);
        w->rows.place = w->place;
        space->rows[a] = &w->rows;
        w->searching = false;
        if (w->rows.phase == EG_ROWS_MOVE) begin_search(crew, w);
        any = any || w->searching;
    }
    space->n_fits = crew->n_active;
    space->columns = crew->columns;
    enum eg_status status = eg__gemm_nt(p->n, crew->columns, p->width, p->z, p->width, crew->in, p->width,
                                        space->v, crew->columns, false, pool, err);
    if (status) return status;
    while (any) {
        for (size_t a = 0; a < crew->n_active; a++) crew->active[a]->rows.look = crew->active[a]->searching;
        eg__rows_look(space, pool);
        any = false;
        for (size_t a = 0; a < crew->n_active; a++) {
            struct work *w = crew->active[a];
            if (w->searching) judge_step(crew, w);
            any = any || w->searching;
        }
    }
    eg__rows_move(space, pool);
    return eg__gemm_tn(crew->columns, p->width, p->n, space->v, crew->columns, p->z, p->width, crew->out,
                       p->width, false, pool, err);
}

static enum eg_status run_crew(struct crew *crew, struct eg_error *err)
{
    const struct eg_solver *s = crew->solver;
    const struct eg_primal *p = crew->primal;
    enum eg_status status = EG_OK;
    for (find_places(crew); crew->n_active && !status; find_places(crew)) {
        /* as in newton.c: what is over before other threads have woken is done alone */
        eg_pool *pool = crew->columns * p->n * p->width < ALONE ? NULL : s->pool;
        status = round_trip(crew, pool, err);
        for (size_t a = 0; a < crew->n_active && !status; a++) {
            struct work *w = crew->active[a];
            if (w->rows.phase == EG_ROWS_MOVE)
                end_newton(crew, w);
            else
                advance(crew, w);
        }
        find_places(crew);
        if (!status && crew->n_active) status = precondition(crew, pool, err);
        if (!status && s->go_on && !s->go_on(s->user))
            status = eg__fail(err, EG_E_CANCELLED, "training was stopped");
    }
    return status;
}

enum { VECTORS = 4 };

static void free_crew(struct crew *crew, double *vectors)
{
    eg__rows_close(&crew->space);
    free(crew->works);
    free(crew->active);
    free(crew->in);
    free(crew->out);
    free(crew->between);
    free(vectors);
}

static enum eg_status run_batch(struct eg_primal *p, const struct eg_solver *s, struct eg_fit *fits,
                                size_t n_fits, size_t columns, enum eg_primal_scores scores,
                                struct eg_error *err)
{
    struct crew crew = {.primal = p, .solver = s, .n_active = n_fits, .last_ridge = s->constant > 0};
    const size_t wide = columns * p->width;
    crew.works = eg__zalloc(n_fits, sizeof *crew.works);
    crew.active = eg__alloc(n_fits, sizeof(struct work *));
    crew.in = eg__alloc(wide, sizeof *crew.in);
    crew.out = eg__alloc(wide, sizeof *crew.out);
    crew.between = eg__alloc(wide, sizeof *crew.between);
    double *vectors = eg__zalloc(wide, VECTORS * sizeof *vectors), *next = vectors;
    enum eg_status status = EG_OK;
    if (!crew.works || !crew.active || !crew.in || !crew.out || !crew.between || !vectors)
        status = eg__fail_memory(err, "the solver's work space");
    if (!status) status = eg__rows_open(p->n, n_fits, columns, s->loss, &crew.space, err);
    size_t first = 0;
    for (size_t f = 0; f < n_fits && !status; f++) {
        struct work *w = crew.active[f] = &crew.works[f];
        *w = (struct work){.begins = true, .best_gap = INFINITY};
        w->rows =
            (struct eg_rows_of_fit){.fit = &fits[f], .first = first, .known = scores == EG_SCORES_KNOWN};
        eg__rows_begin(&crew.space, &w->rows);
        double **own[VECTORS] = {&w->gradient, &w->step, &w->residual, &w->ahead};
        for (size_t v = 0; v < VECTORS; v++, next += fits[f].columns * p->width) *own[v] = next;
        first += fits[f].columns;
    }
    if (!status) status = run_crew(&crew, err);
    for (size_t f = 0; f < n_fits && !status; f++) {
        if (!isfinite(fits[f].gap))
            status = eg__fail(err, EG_E_NUMERIC, "a classifier's objective left the range of numbers");
        eg__rows_scores(&crew.space, &crew.works[f].rows, scores == EG_SCORES_HELD);
        for (size_t k = 0; k < fits[f].columns; k++)
            fits[f].intercept[k] = fits[f].beta[(k + 1) * p->width - 1];
    }
    free_crew(&crew, vectors);
    return status;
}

/* Newton's method with conjugate gradients for logistic loss and squared hinge, preconditioned by
 * (I + a Z'Z)^-1, a the mean curvature of the losses at the time: where all rows are curved alike,
 * that is the inverse of the Hessian itself.
 * Stops   gap <= tolerance * objective for every fit, or no progress
 * Errors  EG_E_MEMORY; EG_E_NUMERIC: not finite; EG_E_CANCELLED
 * Cost    4 n width for each column and round, as matrix products, and 4 width^2 for the
 *         preconditioner
 * Sources Lin, Weng, Keerthi, JMLR 9 (2008); Hsia, Chiang, Lin, ACML 2018 (preconditioning) */
enum eg_status eg__primal_solve(struct eg_primal *p, const struct eg_solver *s, struct eg_fit *fits,
                                size_t n_fits, enum eg_primal_scores scores, struct eg_error *err)
{
    const double column_bytes = eg__primal_column_bytes(p->n, p->width - 1);
    for (size_t first = 0, count; first < n_fits; first += count) {
        size_t columns = 0;
        for (count = 0; first + count < n_fits; count++) {
            const size_t more = columns + fits[first + count].columns;
            if (count && (double)more * column_bytes > (double)s->work_bytes) break;
            columns = more;
        }
        enum eg_status status = run_batch(p, s, fits + first, count, columns, scores, err);
        if (status) return status;
    }
    return EG_OK;
}
