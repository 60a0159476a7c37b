/* The hinge SVM, whose loss has a kink where Newton's method needs a curvature. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "base/pool.h"
#include "base/rng.h"
#include "learn/solve.h"

enum { ROUNDS_MOST = 2000, EPOCHS_IN_ROUND = 20, FACE_STEPS = 100, STREAM_DUAL = 301 };

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

/* out = (K + constant) v on the rows of the list, v being zero elsewhere. */
static void face_product(const struct eg_solver *s, const size_t *list, size_t count, const double *v,
                         double *out)
{
    double total = 0;
    for (size_t a = 0; a < count; a++) total += v[list[a]];
    for (size_t a = 0; a < count; a++) {
        const float *row = s->gram + list[a] * s->n;
        double sum[4] = {0};
        size_t j = 0;
        for (; j + 4 <= s->n; j += 4)
            for (size_t l = 0; l < 4; l++) sum[l] += (double)row[j + l] * v[j + l];
        for (; j < s->n; j++) sum[0] += (double)row[j] * v[j];
        out[list[a]] = (sum[0] + sum[1]) + (sum[2] + sum[3]) + s->constant * total;
    }
}

/* Rows strictly inside their box form a face, on which the dual is an unbounded quadratic:
 * conjugate gradients there, then along their step, bent at the bounds, as far as it gains.
 * space   [5][n] */
static void face_step(struct eg_fit *fit, const struct eg_solver *s, const size_t *order, size_t n_in,
                      size_t *face, double *space)
{
    const size_t n = s->n;
    double *residual = space, *step = space + n, *ahead = space + 2 * n, *image = space + 3 * n;
    double *change = space + 4 * n, rho = 0, first;
    size_t count = 0;
    memset(space, 0, 5 * n * sizeof *space);
    for (size_t o = 0; o < n_in; o++) {
        size_t i = order[o];
        double y = fit->labels[i] == fit->positive ? 1 : -1, alpha = y * fit->beta[i];
        if (!(alpha > 0 && alpha < fit->c[i])) continue;
        face[count++] = i;
        ahead[i] = residual[i] = y - fit->score[i];
        rho += residual[i] * residual[i];
    }
    first = rho;
    for (int turn = 0; turn < FACE_STEPS && rho > 1e-14 * first; turn++) {
        double curvature = 0, next = 0;
        face_product(s, face, count, ahead, image);
        for (size_t a = 0; a < count; a++) curvature += ahead[face[a]] * image[face[a]];
        if (!(curvature > 0)) break;
        for (size_t a = 0; a < count; a++) {
            size_t i = face[a];
            step[i] += rho / curvature * ahead[i];
            residual[i] -= rho / curvature * image[i];
            next += residual[i] * residual[i];
        }
        for (size_t a = 0; a < count; a++) ahead[face[a]] = residual[face[a]] + next / rho * ahead[face[a]];
        rho = next;
    }
    double t = 1;
    for (int halving = 0; halving < 7; halving++, t /= 2) {
        double gain = 0;
        for (size_t a = 0; a < count; a++) {
            size_t i = face[a];
            double y = fit->labels[i] == fit->positive ? 1 : -1;
            change[i] = y * fmin(fmax(y * (fit->beta[i] + t * step[i]), 0), fit->c[i]) - fit->beta[i];
        }
        face_product(s, face, count, change, image);
        for (size_t a = 0; a < count; a++) {
            size_t i = face[a];
            double y = fit->labels[i] == fit->positive ? 1 : -1;
            gain += change[i] * (y - fit->score[i] - image[i] / 2);
        }
        if (!(gain > 0)) continue;
        for (size_t a = 0; a < count; a++) move(fit, s, face[a], change[face[a]]);
        return;
    }
}

static void ascend(void *context, size_t task, unsigned thread)
{
    (void)thread;
    struct ascent *a = context;
    const struct eg_solver *s = a->solver;
    struct eg_fit *fit = &a->fits[task];
    size_t n_in = 0, *order = eg__alloc(s->n, 2 * sizeof *order), *face = order + s->n;
    double *space = eg__alloc(s->n, 5 * sizeof *space);
    struct eg_rng rng;
    a->no_memory[task] = !order || !space;
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
        if (round > 1) face_step(fit, s, order, n_in, face, space);
        for (int e = 0; e < EPOCHS_IN_ROUND; e++) epoch(fit, s, order, n_in, &rng);
    }
    for (size_t i = 0; i < s->n && !a->no_memory[task]; i++) {
        fit->beta[i] *= stretch;
        fit->score[i] = space[i];
    }
    fit->intercept[0] = 0;
    for (size_t i = 0; i < s->n; i++) fit->intercept[0] += s->constant * fit->beta[i];
    free(order);
    free(space);
}

/* Dual coordinate ascent on the Gram matrix: one alpha = y beta in [0, c] after another is
 * set to its best, the scores kept up to date, so that a row that need not move costs O(1);
 * every twentieth epoch is followed by a step over the face of the box that it found, which does
 * what coordinates cannot where C is large and K badly conditioned.
 * Stops   gap <= tolerance * objective, or 2000 rounds
 * Errors  EG_E_MEMORY
 * Cost    n for each row that moves; n times the face's rows for each step over it
 * Sources Hsieh et al., ICML 2008; More and Toraldo, SIAM J. Optim. 1 (1991) */
enum eg_status eg__dual_ascent(const struct eg_solver *s, struct eg_fit *fits, size_t n_fits,
                               struct eg_error *err)
{
    struct ascent ascent = {s, fits, eg__zalloc(n_fits, sizeof(bool))};
    bool no_memory = !ascent.no_memory;
    if (!no_memory) eg__pool_run(s->pool, n_fits, ascend, &ascent);
    for (size_t f = 0; f < n_fits && !no_memory; f++) no_memory = ascent.no_memory[f];
    free(ascent.no_memory);
    if (no_memory) return eg__fail_memory(err, "the solver's work space");
    return EG_OK;
}

enum eg_status eg__solve(const struct eg_solver *s, struct eg_fit *fits, size_t n_fits, struct eg_error *err)
{
    return (s->loss == EG_LOSS_HINGE ? eg__dual_ascent : eg__newton)(s, fits, n_fits, err);
}
