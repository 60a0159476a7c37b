/* Ridge regression in one space: factors, rows held out, the exact fit. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "base/pool.h"
#include "kernels/kernels.h"
#include "learn/ridge.h"
#include "learn/solve.h"

enum { STEPS_MOST = 200 };

void eg__ridge_close(struct eg_ridge_space *s)
{
    void *const all[] = {s->moment, s->z, s->mean, s->numbers};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
    *s = (struct eg_ridge_space){0};
}

/* ZZ' from XX': what the mean adds is taken away. */
static enum eg_status open_rows(struct eg_matrix *matrix, struct eg_ridge_space *s, struct eg_error *err)
{
    const size_t n = s->n;
    double *row = eg__zalloc(n, sizeof *row), all = 0;
    enum eg_status status =
        row ? eg__matrix_gram(matrix, NULL, NULL, s->moment, err) : eg__fail_memory(err, "the rows");
    for (size_t i = 0; i < n && !status; i++) {
        for (size_t j = 0; j < n; j++) row[i] += (double)s->moment[i * n + j] / (double)n;
        all += row[i] / (double)n;
    }
    for (size_t i = 0; i < n && !status; i++)
        for (size_t j = 0; j < n; j++)
            s->moment[i * n + j] = (float)((double)s->moment[i * n + j] - row[i] - row[j] + all);
    free(row);
    return status;
}

static enum eg_status open_features(struct eg_matrix *matrix, struct eg_ridge_space *s, struct eg_error *err)
{
    const size_t n = s->n, d = s->m;
    if (!(s->z = eg__alloc(n, d * sizeof *s->z))) return eg__fail_memory(err, "the rows");
    for (size_t at = 0, count; at < n; at += count) {
        const float *x;
        count = n - at < matrix->block_rows ? n - at : matrix->block_rows;
        enum eg_status status = eg__matrix_rows(matrix, at, count, 0, &x, err);
        if (status) return status;
        for (size_t i = 0; i < count; i++)
            for (size_t j = 0; j < d; j++)
                s->z[(at + i) * d + j] = (float)((double)x[i * d + j] * matrix->factor[at + i] - s->mean[j]);
    }
    return eg__gemm_tn(d, d, n, s->z, d, s->z, d, s->moment, d, false, matrix->pool, err);
}

enum eg_status eg__ridge_open(struct eg_matrix *matrix, const double *numbers, struct eg_ridge_space *out,
                              struct eg_error *err)
{
    const size_t n = matrix->n, d = matrix->d;
    struct eg_ridge_space s = {.n = n, .m = d < n ? d : n, .features = d < n};
    double *each = eg__alloc(n, sizeof *each);
    s.moment = eg__alloc(s.m, s.m * sizeof *s.moment);
    s.mean = eg__alloc(d, sizeof *s.mean);
    s.numbers = eg__alloc(n, sizeof *s.numbers);
    enum eg_status status =
        each && s.moment && s.mean && s.numbers ? EG_OK : eg__fail_memory(err, "the moments of the rows");
    for (size_t i = 0; i < n && !status; i++) {
        each[i] = 1 / (double)n;
        s.mean_number += numbers[i] / (double)n;
    }
    for (size_t i = 0; i < n && !status; i++) {
        s.numbers[i] = numbers[i] - s.mean_number;
        s.total += s.numbers[i] * s.numbers[i];
    }
    if (!status) status = eg__matrix_combine(matrix, each, 1, s.mean, err);
    if (!status) status = s.features ? open_features(matrix, &s, err) : open_rows(matrix, &s, err);
    for (size_t i = 0; i < s.m && !status; i++) s.mean_square += (double)s.moment[i * s.m + i] / (double)n;
    free(each);
    if (status)
        eg__ridge_close(&s);
    else
        *out = s;
    return status;
}

/* ---- factors --------------------------------------------------------------------------------------- */

/* Lower Cholesky factor in place of the lower triangle, its diagonal inverted; false: not positive. */
static bool factor(double *a, size_t m)
{
    for (size_t i = 0; i < m; i++) {
        double *row = a + i * m;
        for (size_t j = 0; j < i; j++) row[j] = (row[j] - eg__dot_double(row, a + j * m, j)) * a[j * m + j];
        const double pivot = row[i] - eg__dot_double(row, row, i);
        if (!(pivot > 0)) return false;
        row[i] = 1 / sqrt(pivot);
    }
    return true;
}

/* x = L^-1 x, of which the first `from` are 0. */
static void forward(const double *l, size_t m, size_t from, double *x)
{
    for (size_t i = from; i < m; i++)
        x[i] = (x[i] - eg__dot_double(l + i * m + from, x + from, i - from)) * l[i * m + i];
}

/* x = L'^-1 x */
static void backward(const double *l, size_t m, double *x)
{
    for (size_t i = m; i-- > 0;) {
        x[i] *= l[i * m + i];
        for (size_t j = 0; j < i; j++) x[j] -= l[i * m + j] * x[i];
    }
}

static bool factor_moment(const struct eg_ridge_space *s, double penalty, double *a)
{
    for (size_t i = 0; i < s->m; i++) {
        for (size_t j = 0; j <= i; j++) a[i * s->m + j] = (double)s->moment[i * s->m + j];
        a[i * s->m + i] += penalty;
    }
    return factor(a, s->m);
}

/* ---- rows held out ------------------------------------------------------------------------------------ */

struct room {
    double *a;      /* [m][m] */
    double *t;      /* [n][m] L^-1 of each row of Z, or of the unit matrix */
    double *target; /* [m] L^-1 Z'y, or of y */
    double *part;   /* [largest fold][largest fold] */
    double *off;    /* [largest fold] */
    size_t *rows;   /* [largest fold] */
};

struct holding {
    const struct eg_ridge_space *space;
    const uint8_t *fold;
    unsigned folds;
    const double *penalties;
    double *held_out;
    struct room *rooms;
    bool *failed;
};

static size_t largest_fold(const uint8_t *fold, size_t n, unsigned folds)
{
    size_t most = 0;
    for (unsigned f = 0; f < folds; f++) {
        size_t count = 0;
        for (size_t i = 0; i < n; i++) count += fold[i] == f;
        if (count > most) most = count;
    }
    return most;
}

double eg__ridge_work_bytes(size_t n, size_t d, unsigned folds)
{
    const double rows = (double)n, m = (double)(d < n ? d : n), part = rows / folds * 1.5;
    return 8 * (m * m + rows * m + part * part);
}

static void room_free(struct room *r)
{
    void *const all[] = {r->a, r->t, r->target, r->part, r->off, r->rows};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
}

static bool room_open(struct room *r, size_t n, size_t m, size_t most)
{
    r->a = eg__alloc(m, m * sizeof *r->a);
    r->t = eg__alloc(n, m * sizeof *r->t);
    r->target = eg__alloc(m, sizeof *r->target);
    r->part = eg__alloc(most, most * sizeof *r->part);
    r->off = eg__alloc(most, sizeof *r->off);
    r->rows = eg__alloc(most, sizeof *r->rows);
    return r->a && r->t && r->target && r->part && r->off && r->rows;
}

/* t_i = L^-1 z_i, or of the i-th unit vector; target = L^-1 Z'y, or of y. */
static void take_rows(const struct eg_ridge_space *s, struct room *r)
{
    const size_t m = s->m;
    for (size_t j = 0; j < m; j++) r->target[j] = s->features ? 0 : s->numbers[j];
    for (size_t i = 0; i < s->n; i++) {
        double *t = r->t + i * m;
        for (size_t j = 0; j < m; j++) t[j] = s->features ? (double)s->z[i * m + j] : j == i;
        for (size_t j = 0; j < m && s->features; j++) r->target[j] += t[j] * s->numbers[i];
        forward(r->a, m, s->features ? 0 : i, t);
    }
    forward(r->a, m, 0, r->target);
}

/* (I - H)_FF r = e_F; what row i is predicted is y_i - r_i. */
static bool hold_fold(const struct eg_ridge_space *s, struct room *r, const uint8_t *fold, unsigned f,
                      double penalty, double *held_out)
{
    const size_t m = s->m;
    size_t count = 0;
    for (size_t i = 0; i < s->n; i++)
        if (fold[i] == f) r->rows[count++] = i;
    for (size_t a = 0; a < count; a++) {
        const double *t = r->t + r->rows[a] * m, reached = eg__dot_double(t, r->target, m);
        r->off[a] = s->features ? s->numbers[r->rows[a]] - reached : penalty * reached;
        for (size_t b = 0; b <= a; b++) {
            const double both = eg__dot_double(t, r->t + r->rows[b] * m, m);
            r->part[a * count + b] = (s->features ? (a == b) - both : penalty * both) - 1 / (double)s->n;
        }
    }
    if (!factor(r->part, count)) return false;
    forward(r->part, count, 0, r->off);
    backward(r->part, count, r->off);
    for (size_t a = 0; a < count; a++) held_out[r->rows[a]] = s->numbers[r->rows[a]] - r->off[a];
    return true;
}

static void hold_task(void *context, size_t task, unsigned thread)
{
    struct holding *h = context;
    struct room *r = &h->rooms[thread];
    const struct eg_ridge_space *s = h->space;
    double *held_out = h->held_out + task * s->n;
    bool fine = factor_moment(s, h->penalties[task], r->a);
    if (fine) take_rows(s, r);
    for (unsigned f = 0; f < h->folds && fine; f++)
        fine = hold_fold(s, r, h->fold, f, h->penalties[task], held_out);
    for (size_t i = 0; i < s->n && !fine; i++) held_out[i] = (double)NAN; /* too small a penalty to tell */
}

enum eg_status eg__ridge_hold_out(const struct eg_ridge_space *s, const uint8_t *fold, unsigned folds,
                                  const double *penalties, size_t count, double *held_out, eg_pool *pool,
                                  struct eg_error *err)
{
    const unsigned threads = eg_pool_threads(pool);
    const size_t most = largest_fold(fold, s->n, folds);
    struct holding h = {
        .space = s, .fold = fold, .folds = folds, .penalties = penalties, .held_out = held_out};
    h.rooms = eg__zalloc(threads, sizeof *h.rooms);
    bool room = h.rooms != NULL;
    for (unsigned i = 0; i < threads && room; i++) room = room_open(&h.rooms[i], s->n, s->m, most);
    if (room) eg__pool_run(pool, count, hold_task, &h);
    for (unsigned i = 0; i < threads && h.rooms; i++) room_free(&h.rooms[i]);
    free(h.rooms);
    return room ? EG_OK : eg__fail_memory(err, "the folds");
}

/* ---- the fit ------------------------------------------------------------------------------------------ */

struct fitting {
    struct eg_matrix *matrix;
    const struct eg_ridge_space *space;
    double penalty, *l;
    double *of_rows, *of_features; /* [n], [d] work space */
};

static void centre(double *x, size_t n)
{
    double mean = 0;
    for (size_t i = 0; i < n; i++) mean += x[i] / (double)n;
    for (size_t i = 0; i < n; i++) x[i] -= mean;
}

/* out = A x, by the rows themselves. */
static enum eg_status apply(struct fitting *f, const double *x, double *out, struct eg_error *err)
{
    const struct eg_ridge_space *s = f->space;
    enum eg_status status;
    if (s->features) {
        status = eg__matrix_project(f->matrix, x, 1, f->of_rows, err);
        centre(f->of_rows, s->n);
        if (!status) status = eg__matrix_combine(f->matrix, f->of_rows, 1, out, err);
    } else {
        memcpy(f->of_rows, x, s->n * sizeof *x);
        centre(f->of_rows, s->n);
        status = eg__matrix_combine(f->matrix, f->of_rows, 1, f->of_features, err);
        if (!status) status = eg__matrix_project(f->matrix, f->of_features, 1, out, err);
        centre(out, s->n);
    }
    for (size_t i = 0; i < s->m && !status; i++) out[i] += f->penalty * x[i];
    return status;
}

/* Solves  A x = y for one right side
 * Stops   |A x - y| <= 1e-13 |y|, no more progress, or 200 steps
 * Cost    4 n d a step; few, as the preconditioner is A up to float32
 * Source  Hestenes & Stiefel 1952 */
static enum eg_status conjugate(struct fitting *f, const double *y, double *x, struct eg_error *err)
{
    const size_t m = f->space->m;
    double *space = eg__zalloc(m, 4 * sizeof *space);
    if (!space) return eg__fail_memory(err, "the fit");
    double *r = space, *z = r + m, *p = z + m, *q = p + m, rho = 0, best = INFINITY;
    const double goal = 1e-26 * eg__dot_double(y, y, m);
    enum eg_status status = EG_OK;
    memcpy(r, y, m * sizeof *r);
    memset(x, 0, m * sizeof *x);
    for (int step = 0; step < STEPS_MOST && !status; step++) {
        const double size = eg__dot_double(r, r, m), before = rho;
        if (size <= goal || (step > 20 && size > best)) break;
        best = fmin(best, size);
        memcpy(z, r, m * sizeof *z);
        forward(f->l, m, 0, z);
        backward(f->l, m, z);
        rho = eg__dot_double(r, z, m);
        for (size_t i = 0; i < m; i++) p[i] = z[i] + (step ? rho / before : 0) * p[i];
        status = apply(f, p, q, err);
        const double curvature = eg__dot_double(p, q, m);
        if (!(curvature > 0)) break;
        for (size_t i = 0; i < m; i++) {
            x[i] += rho / curvature * p[i];
            r[i] -= rho / curvature * q[i];
        }
    }
    free(space);
    return status;
}

enum eg_status eg__ridge_fit(struct eg_matrix *matrix, const struct eg_ridge_space *s, double penalty,
                             double *w, double *b, struct eg_error *err)
{
    const size_t n = s->n, d = matrix->d, m = s->m;
    struct fitting f = {.matrix = matrix, .space = s, .penalty = penalty};
    double *y = eg__alloc(m > d ? m : d, sizeof *y), *x = eg__alloc(m, sizeof *x);
    f.l = eg__alloc(m, m * sizeof *f.l);
    f.of_rows = eg__alloc(n, sizeof *f.of_rows);
    f.of_features = eg__alloc(d, sizeof *f.of_features);
    enum eg_status status =
        y && x && f.l && f.of_rows && f.of_features ? EG_OK : eg__fail_memory(err, "the fit");
    if (!status && !factor_moment(s, penalty, f.l))
        status = eg__fail(err, EG_E_NUMERIC,
                          "a penalty of %g is too small for these rows to tell (ask for more)", penalty);
    if (!status && s->features)
        status = eg__matrix_combine(matrix, s->numbers, 1, y, err);
    else if (!status)
        memcpy(y, s->numbers, n * sizeof *y);
    if (!status) status = conjugate(&f, y, x, err);
    if (!status && s->features) memcpy(w, x, d * sizeof *w);
    if (!status && !s->features) {
        centre(x, n);
        status = eg__matrix_combine(matrix, x, 1, w, err);
    }
    if (!status) *b = s->mean_number - eg__dot_double(w, s->mean, d);
    free(y);
    free(x);
    free(f.l);
    free(f.of_rows);
    free(f.of_features);
    return status;
}
