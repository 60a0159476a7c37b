/* The hinge SVM, whose loss has a kink where Newton's method needs a curvature. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "base/pool.h"
#include "base/rng.h"
#include "learn/solve.h"

enum { ROUNDS_MOST = 5000, EPOCHS_IN_ROUND = 8, FACE_STEPS = 4, FACE_MOST = 1536, STREAM_DUAL = 301 };

struct ascent {
    const struct eg_solver *solver;
    struct eg_fit *fits;
    bool *no_memory;
};

/* The objective at t beta for one row's hinges; its derivative in t. */
static double stretched_slope(const struct eg_fit *fit, size_t n, double square, double t)
{
    double slope = t * square;
    for (size_t i = 0; i < n; i++) {
        double offset = fit->offset ? fit->offset[i] : 0;
        double y = fit->labels[i] == fit->positive ? 1 : -1, pull = y * (fit->score[i] - offset);
        if (fit->c[i] > 0 && t * pull + y * offset < 1) slope -= fit->c[i] * pull;
    }
    return slope;
}

/* Primal - dual for beta in its box. As primal point the best multiple of beta is taken:
 * where C is large the objective is C times margins that are short by the last digits of
 * beta, and a hair's stretch mends them all. Returns the multiple. */
static double look(struct eg_fit *fit, const struct eg_solver *s, double *stretched)
{
    double square = 0, linear = 0, low = 0.5, high = 2;
    for (size_t i = 0; i < s->n; i++) {
        double offset = fit->offset ? fit->offset[i] : 0;
        square += fit->beta[i] * (fit->score[i] - offset);
        linear += fabs(fit->beta[i]) - fit->beta[i] * offset;
    }
    for (int halving = 0; halving < 40 && square > 0; halving++) {
        double t = (low + high) / 2;
        if (stretched_slope(fit, s->n, square, t) < 0)
            low = t;
        else
            high = t;
    }
    for (size_t i = 0; i < s->n; i++) {
        double offset = fit->offset ? fit->offset[i] : 0;
        stretched[i] = high * (fit->score[i] - offset) + offset;
    }
    if (!(square > 0)) high = 1;
    fit->objective = high * high * square / 2 + eg__loss(fit, s->n, s->loss, stretched, NULL);
    fit->gap = fit->objective - (linear - square / 2);
    return high;
}

/* score += change * column i of K + constant */
static void move(struct eg_fit *fit, const struct eg_solver *s, size_t i, double change)
{
    const float *row = s->gram + i * s->n;
    fit->beta[i] += change;
    for (size_t j = 0; j < s->n; j++) fit->score[j] += change * ((double)row[j] + s->constant);
}

static void epoch(struct eg_fit *fit, const struct eg_solver *s, size_t *order, size_t n_in,
                  struct eg_rng *rng)
{
    eg__rng_shuffle(rng, order, n_in);
    for (size_t o = 0; o < n_in; o++) {
        size_t i = order[o];
        double y = fit->labels[i] == fit->positive ? 1 : -1, alpha = y * fit->beta[i];
        double next = alpha - (y * fit->score[i] - 1) / ((double)s->gram[i * s->n + i] + s->constant);
        next = fmin(fmax(next, 0), fit->c[i]);
        if (next != alpha) move(fit, s, i, y * next - fit->beta[i]);
    }
}

/* ---- the face ----------------------------------------------------------------------------- */

struct face {
    size_t *rows; /* [n] strictly inside their box */
    size_t count;
    double *matrix;        /* [count][count] K + constant among them, then its factor */
    double *step, *change; /* [n] */
};

static void find_face(const struct eg_fit *fit, const size_t *order, size_t n_in, struct face *face)
{
    face->count = 0;
    for (size_t o = 0; o < n_in; o++) {
        size_t i = order[o];
        double alpha = fit->labels[i] == fit->positive ? fit->beta[i] : -fit->beta[i];
        if (alpha > 0 && alpha < fit->c[i]) face->rows[face->count++] = i;
    }
}

/* step = (K + constant)^-1 (y - score) on the face, by Cholesky. False: not positive. */
static bool solve_face(const struct eg_fit *fit, const struct eg_solver *s, struct face *face)
{
    const size_t m = face->count;
    double *l = face->matrix, *x = face->step;
    for (size_t i = 0; i < m; i++) {
        const float *row = s->gram + face->rows[i] * s->n;
        double *li = l + i * m;
        for (size_t j = 0; j < i; j++)
            li[j] =
                ((double)row[face->rows[j]] + s->constant - eg__dot_double(li, l + j * m, j)) * l[j * m + j];
        double pivot = (double)row[face->rows[i]] + s->constant - eg__dot_double(li, li, i);
        if (!(pivot > 1e-9 * ((double)row[face->rows[i]] + s->constant))) return false;
        li[i] = 1 / sqrt(pivot);
        double y = fit->labels[face->rows[i]] == fit->positive ? 1 : -1;
        x[i] = (y - fit->score[face->rows[i]] - eg__dot_double(li, x, i)) * li[i];
    }
    for (size_t i = m; i-- > 0;) {
        x[i] *= l[i * m + i];
        for (size_t j = 0; j < i; j++) x[j] -= l[i * m + j] * x[i];
    }
    return true;
}

/* Rows strictly inside their box form a face, on which the dual is an unbounded quadratic: to its
 * top, bent at the bounds, half as far and so on until it gains. False: it has nothing to give. */
static bool face_step(struct eg_fit *fit, const struct eg_solver *s, struct face *face)
{
    if (!face->count || !solve_face(fit, s, face)) return false;
    double t = 1;
    for (int halving = 0; halving < 5; halving++, t /= 2) {
        double gain = 0, total = 0;
        for (size_t a = 0; a < face->count; a++) {
            size_t i = face->rows[a];
            double y = fit->labels[i] == fit->positive ? 1 : -1;
            face->change[a] =
                y * fmin(fmax(y * (fit->beta[i] + t * face->step[a]), 0), fit->c[i]) - fit->beta[i];
            total += face->change[a];
        }
        for (size_t a = 0; a < face->count; a++) {
            size_t i = face->rows[a];
            const float *row = s->gram + i * s->n;
            double y = fit->labels[i] == fit->positive ? 1 : -1, image = s->constant * total;
            for (size_t b = 0; b < face->count; b++) image += (double)row[face->rows[b]] * face->change[b];
            gain += face->change[a] * (y - fit->score[i] - image / 2);
        }
        if (!(gain > 0)) continue;
        for (size_t a = 0; a < face->count; a++)
            if (face->change[a] != 0) move(fit, s, face->rows[a], face->change[a]);
        return true;
    }
    return false;
}

static void ascend(void *context, size_t task, unsigned thread)
{
    (void)thread;
    struct ascent *a = context;
    const struct eg_solver *s = a->solver;
    struct eg_fit *fit = &a->fits[task];
    size_t n_in = 0, *order = eg__alloc(s->n, 2 * sizeof *order), most = s->n < FACE_MOST ? s->n : FACE_MOST;
    double *space = eg__alloc(s->n, 3 * sizeof *space);
    while (s->work_bytes && most > 64 && 2 * most * most * sizeof(double) > s->work_bytes) most -= most / 4;
    struct face face = {.rows = order + s->n, .step = space + s->n, .change = space + 2 * s->n};
    face.matrix = eg__alloc(most, most * sizeof *face.matrix);
    struct eg_rng rng;
    a->no_memory[task] = !order || !space || !face.matrix;
    for (size_t i = 0; i < s->n && !a->no_memory[task]; i++)
        if (fit->c[i] > 0) order[n_in++] = i;
    eg__rng_init(&rng, s->seed, STREAM_DUAL);
    double stretch = 1;
    for (size_t o = 0; o < n_in; o++) { /* where we are to start from may lie outside the box */
        double y = fit->labels[order[o]] == fit->positive ? 1 : -1, beta = fit->beta[order[o]];
        double inside = y * fmin(fmax(y * beta, 0), fit->c[order[o]]);
        if (inside != beta) move(fit, s, order[o], inside - beta);
    }
    for (int round = 0; round < ROUNDS_MOST && !a->no_memory[task]; round++) {
        stretch = look(fit, s, space);
        if (fit->gap <= s->tolerance * fit->objective) break;
        for (int e = 0; e < EPOCHS_IN_ROUND; e++) epoch(fit, s, order, n_in, &rng);
        for (int step = 0; round > 0 && step < FACE_STEPS; step++) {
            size_t before = face.count;
            find_face(fit, order, n_in, &face);
            if (face.count > most || (step && face.count == before) || !face_step(fit, s, &face)) break;
        }
    }
    for (size_t i = 0; i < s->n && !a->no_memory[task]; i++) {
        fit->beta[i] *= stretch;
        fit->score[i] = space[i];
    }
    fit->intercept[0] = 0;
    for (size_t i = 0; i < s->n; i++) fit->intercept[0] += s->constant * fit->beta[i];
    free(order);
    free(space);
    free(face.matrix);
}

/* Dual coordinate ascent on the Gram matrix: one alpha = y beta in [0, c] after another is
 * set to its best, the scores kept up to date, so that a row that need not move costs O(1);
 * every eighth epoch is followed by Newton steps over the face of the box that it found, which do
 * what coordinates cannot where C is large and K badly conditioned.
 * Stops   gap <= tolerance * objective, or 5000 rounds
 * Errors  EG_E_MEMORY; EG_E_CANCELLED, asked after each fit
 * Cost    n for each row that moves; a third of the cube of the face's rows for each step over it,
 *         and their square of scratch for each thread (faces of more than 1536 rows are left to
 *         the coordinates)
 * Sources Hsieh et al., ICML 2008; Bertsekas, SIAM J. Control Optim. 20 (1982) */
enum eg_status eg__dual_ascent(const struct eg_solver *s, struct eg_fit *fits, size_t n_fits,
                               struct eg_error *err)
{
    struct ascent ascent = {s, fits, eg__zalloc(n_fits, sizeof(bool))};
    bool no_memory = !ascent.no_memory;
    bool whole = no_memory || eg__pool_run_while(s->pool, n_fits, ascend, &ascent, s->go_on, s->user);
    for (size_t f = 0; f < n_fits && !no_memory; f++) no_memory = ascent.no_memory[f];
    free(ascent.no_memory);
    if (!whole) return eg__fail(err, EG_E_CANCELLED, "training was stopped");
    if (no_memory) return eg__fail_memory(err, "the solver's work space");
    return EG_OK;
}

enum eg_status eg__solve(const struct eg_solver *s, struct eg_fit *fits, size_t n_fits, struct eg_error *err)
{
    return (s->loss == EG_LOSS_HINGE ? eg__dual_ascent : eg__newton)(s, fits, n_fits, err);
}
