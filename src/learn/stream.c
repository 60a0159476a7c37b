/* Linear classifiers on more rows than a Gram matrix may have: passes over shuffled blocks. */
#include "learn/stream.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "base/rng.h"
#include "kernels/kernels.h"

enum {
    RUN = 8,
    PASSES_MOST = 60,
    PASSES_MOST_HINGE = 400,
    BLOCK_ROWS_MOST = 2048,
    ROWS_LEAST = 16,
    STREAM_BLOCKS = 302
};
enum { COLUMN_ROW_BYTES = 48 }; /* of the block's vectors below */

struct stream {
    struct eg_matrix *matrix;
    const struct eg_solver *solver;
    struct eg_fit *fits, *part; /* part: the same problems on one block */
    size_t n_fits, columns, n, d, rows;
    size_t *order, *list;              /* [n] rows in this pass's order; blocks are pieces of it */
    float *w, *image;                  /* [columns][d] the classifiers; sum slope x */
    float *gram, *scores, *change;     /* [rows][rows], [rows][columns] twice */
    double *beta, *score, *offset, *c; /* [columns][rows] thrice; [fits][rows] */
    int32_t *labels;                   /* [fits][rows] */
    double *total;                     /* [columns] sum of all beta */
};

static double *column(double *const values, size_t index, size_t n) { return values + index * n; }

/* Runs of neighbouring rows (a chunk of the file) in random order. */
static void shuffle(struct stream *t, struct eg_rng *rng)
{
    size_t runs = (t->n + RUN - 1) / RUN, at = 0;
    for (size_t r = 0; r < runs; r++) t->list[r] = r;
    eg__rng_shuffle(rng, t->list, runs);
    for (size_t r = 0; r < runs; r++)
        for (size_t i = t->list[r] * RUN; i < (t->list[r] + 1) * RUN && i < t->n; i++) t->order[at++] = i;
}

/* scores [count][columns] of a block's rows, without intercepts. */
static enum eg_status block_scores(struct stream *t, const size_t *rows, size_t count, const float **x,
                                   struct eg_error *err)
{
    enum eg_status status = eg__matrix_pick(t->matrix, rows, count, 0, x, err);
    if (status) return status;
    return eg__gemm_nt(count, t->columns, t->d, *x, t->d, t->w, t->d, t->scores, t->columns, false,
                       t->solver->pool, err);
}

/* One fit's labels of a block's rows. */
static const int32_t *block_labels(struct stream *t, size_t fit, const size_t *rows, size_t count)
{
    int32_t *labels = t->labels + fit * t->rows;
    for (size_t i = 0; i < count; i++) labels[i] = t->fits[fit].labels[rows[i]];
    return labels;
}

/* Bring one block's part of beta to its best, all else as it is. */
static enum eg_status block_step(struct stream *t, const size_t *rows, size_t count, struct eg_error *err)
{
    const double constant = t->solver->constant;
    const float *x;
    enum eg_status status = block_scores(t, rows, count, &x, err);
    if (!status) status = eg__syrk(count, t->d, x, t->d, t->gram, count, false, t->solver->pool, err);
    if (status) return status;
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < i; j++) t->gram[j * count + i] = t->gram[i * count + j];
    }
    for (size_t f = 0, first = 0; f < t->n_fits; first += t->fits[f++].columns) {
        const struct eg_fit *fit = &t->fits[f];
        struct eg_fit *part = &t->part[f];
        *part = *fit;
        part->c = column(t->c, f, count);
        part->labels = block_labels(t, f, rows, count);
        part->beta = column(t->beta, first, count);
        part->score = column(t->score, first, count);
        part->offset = column(t->offset, first, count);
        for (size_t i = 0; i < count; i++) column(t->c, f, count)[i] = fit->c[rows[i]];
        for (size_t k = 0; k < fit->columns; k++) {
            double *beta = column(part->beta, k, count), *offset = column(t->offset, first + k, count),
                   own = 0;
            for (size_t i = 0; i < count; i++) own += beta[i] = fit->beta[k * t->n + rows[i]];
            for (size_t i = 0; i < count; i++) {
                double inside = constant * own;
                for (size_t j = 0; j < count; j++) inside += (double)t->gram[i * count + j] * beta[j];
                part->score[k * count + i] =
                    (double)t->scores[i * t->columns + first + k] + constant * t->total[first + k];
                offset[i] = part->score[k * count + i] - inside;
            }
        }
    }
    struct eg_solver solver = *t->solver;
    solver.gram = t->gram;
    solver.n = count;
    solver.tolerance = t->solver->tolerance / 4; /* a looser block leaves the whole short of its goal */
    status = eg__solve(&solver, t->part, t->n_fits, err);
    if (status) return status;
    for (size_t f = 0, first = 0; f < t->n_fits; first += t->fits[f++].columns)
        for (size_t k = 0; k < t->fits[f].columns; k++)
            for (size_t i = 0; i < count; i++) {
                double *beta = &t->fits[f].beta[k * t->n + rows[i]], next = t->part[f].beta[k * count + i];
                t->change[i * t->columns + first + k] = (float)(next - *beta);
                t->total[first + k] += next - *beta;
                *beta = next;
            }
    return eg__gemm_tn(t->columns, t->d, count, t->change, t->columns, x, t->d, t->w, t->d, true,
                       t->solver->pool, err);
}

/* Scores of every row, objective and gap of every fit: |sum (slope - beta) x|^2 / 2, as in newton.c (for
 * hinge from the dual). */
static enum eg_status judge(struct stream *t, bool *done, struct eg_error *err)
{
    const double constant = t->solver->constant;
    const bool smooth = t->solver->loss != EG_LOSS_HINGE;
    memset(t->image, 0, t->columns * t->d * sizeof *t->image);
    for (size_t f = 0; f < t->n_fits; f++) t->fits[f].objective = t->fits[f].gap = 0;
    double *away = t->total + t->columns; /* [columns] sum of slope - beta */
    memset(away, 0, t->columns * sizeof *away);
    for (size_t at = 0, count; at < t->n; at += count) {
        const float *x;
        count = t->n - at < t->rows ? t->n - at : t->rows;
        const size_t *rows = t->order + at;
        enum eg_status status = block_scores(t, rows, count, &x, err);
        for (size_t f = 0, first = 0; f < t->n_fits && !status; first += t->fits[f++].columns) {
            struct eg_fit part = t->fits[f];
            part.c = column(t->c, f, count);
            part.labels = block_labels(t, f, rows, count);
            for (size_t i = 0; i < count; i++) column(t->c, f, count)[i] = t->fits[f].c[rows[i]];
            double *slope = column(t->beta, first, count), *score = column(t->score, first, count);
            for (size_t k = 0; k < part.columns; k++)
                for (size_t i = 0; i < count; i++)
                    part.score[k * t->n + rows[i]] = score[k * count + i] =
                        (double)t->scores[i * t->columns + first + k] + constant * t->total[first + k];
            t->fits[f].objective += eg__loss(&part, count, t->solver->loss, score, smooth ? slope : NULL);
            for (size_t k = 0; k < part.columns; k++)
                for (size_t i = 0; i < count; i++) {
                    double beta = part.beta[k * t->n + rows[i]];
                    double step = smooth ? slope[k * count + i] - beta : 0;
                    t->change[i * t->columns + first + k] = (float)step;
                    away[first + k] += step;
                    if (!smooth) t->fits[f].gap -= fmin(fabs(beta), part.c[i]);
                }
        }
        if (!status)
            status = eg__gemm_tn(t->columns, t->d, count, t->change, t->columns, x, t->d, t->image, t->d,
                                 true, t->solver->pool, err);
        if (status) return status;
    }
    *done = true;
    for (size_t f = 0, first = 0; f < t->n_fits; first += t->fits[f++].columns) {
        double square = 0, miss = 0;
        for (size_t k = first; k < first + t->fits[f].columns; k++) {
            t->fits[f].intercept[k - first] = constant * t->total[k];
            square += constant * t->total[k] * t->total[k];
            miss += constant * away[k] * away[k];
            for (size_t j = 0; j < t->d; j++) {
                square += (double)t->w[k * t->d + j] * (double)t->w[k * t->d + j];
                miss += (double)t->image[k * t->d + j] * (double)t->image[k * t->d + j];
            }
        }
        t->fits[f].objective += square / 2;
        t->fits[f].gap = smooth ? miss / 2 : t->fits[f].gap + t->fits[f].objective + square / 2;
        if (!isfinite(t->fits[f].gap))
            return eg__fail(err, EG_E_NUMERIC, "a classifier's objective left the range of numbers");
        *done = *done && t->fits[f].gap <= t->solver->tolerance * t->fits[f].objective;
    }
    return EG_OK;
}

/* w from the beta given to start from. */
static enum eg_status begin(struct stream *t, struct eg_error *err)
{
    memset(t->w, 0, t->columns * t->d * sizeof *t->w);
    memset(t->total, 0, t->columns * sizeof *t->total);
    bool any = false;
    for (size_t f = 0, first = 0; f < t->n_fits; first += t->fits[f++].columns)
        for (size_t k = 0; k < t->fits[f].columns; k++)
            for (size_t i = 0; i < t->n; i++) {
                t->total[first + k] += t->fits[f].beta[k * t->n + i];
                any = any || t->fits[f].beta[k * t->n + i] != 0;
            }
    for (size_t at = 0, count; any && at < t->n; at += count) {
        const float *x;
        count = t->n - at < t->rows ? t->n - at : t->rows;
        enum eg_status status = eg__matrix_pick(t->matrix, t->order + at, count, 0, &x, err);
        for (size_t f = 0, first = 0; f < t->n_fits; first += t->fits[f++].columns)
            for (size_t k = 0; k < t->fits[f].columns; k++)
                for (size_t i = 0; i < count; i++)
                    t->change[i * t->columns + first + k] =
                        (float)t->fits[f].beta[k * t->n + t->order[at + i]];
        if (!status)
            status = eg__gemm_tn(t->columns, t->d, count, t->change, t->columns, x, t->d, t->w, t->d, true,
                                 t->solver->pool, err);
        if (status) return status;
    }
    return EG_OK;
}

static void stream_free(struct stream *t)
{
    void *const all[] = {t->order, t->list,  t->w,      t->image, t->gram,   t->scores, t->change,
                         t->beta,  t->score, t->offset, t->c,     t->labels, t->total,  t->part};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
}

static enum eg_status solve_together(struct eg_matrix *matrix, const struct eg_solver *solver,
                                     struct eg_fit *fits, size_t n_fits, size_t rows, struct eg_error *err)
{
    struct stream t = {
        .matrix = matrix, .solver = solver, .fits = fits, .n_fits = n_fits, .n = matrix->n, .d = matrix->d};
    for (size_t f = 0; f < n_fits; f++) t.columns += fits[f].columns;
    t.rows = rows;
    t.order = eg__alloc(t.n, sizeof *t.order);
    t.list = eg__alloc(t.n / RUN + 1, sizeof *t.list);
    t.w = eg__alloc(t.columns, t.d * sizeof *t.w);
    t.image = eg__alloc(t.columns, t.d * sizeof *t.image);
    t.gram = eg__alloc(t.rows, t.rows * sizeof *t.gram);
    t.scores = eg__alloc(t.rows, t.columns * sizeof *t.scores);
    t.change = eg__alloc(t.rows, t.columns * sizeof *t.change);
    t.beta = eg__alloc(t.rows, t.columns * sizeof *t.beta);
    t.score = eg__alloc(t.rows, t.columns * sizeof *t.score);
    t.offset = eg__alloc(t.rows, t.columns * sizeof *t.offset);
    t.c = eg__alloc(t.rows, n_fits * sizeof *t.c);
    t.labels = eg__alloc(t.rows, n_fits * sizeof *t.labels);
    t.total = eg__alloc(t.columns, 2 * sizeof *t.total);
    t.part = eg__alloc(n_fits, sizeof *t.part);
    bool room = t.order && t.list && t.w && t.image && t.gram && t.scores && t.change && t.beta && t.score &&
                t.offset && t.c && t.labels && t.total && t.part,
         done = false;
    enum eg_status status = room ? EG_OK : eg__fail_memory(err, "a block of rows");
    struct eg_rng rng;
    eg__rng_init(&rng, solver->seed, STREAM_BLOCKS);
    if (!status) {
        shuffle(&t, &rng);
        status = begin(&t, err);
    }
    /* a loss with a kink takes its last digits slowly */
    const int passes = solver->loss == EG_LOSS_HINGE ? PASSES_MOST_HINGE : PASSES_MOST;
    for (int pass = 1; pass <= passes && !status && !done; pass++) {
        for (size_t at = 0, count; at < t.n && !status; at += count) {
            count = t.n - at < t.rows ? t.n - at : t.rows;
            status = block_step(&t, t.order + at, count, err);
            if (!status && solver->go_on && !solver->go_on(solver->user))
                status = eg__fail(err, EG_E_CANCELLED, "training was stopped");
        }
        if (!status && (pass % 2 == 0 || t.rows == t.n)) status = judge(&t, &done, err);
        shuffle(&t, &rng);
    }
    stream_free(&t);
    return status;
}

/* Block coordinate ascent on the dual: a block's rows are brought to their best all at once,
 * by the solvers of the Gram matrix on the block's own, with the scores that all other rows
 * cause as offsets; classes and folds share the reading and the products, as many of them at a
 * time as work_bytes has room for.
 * Stops   gap <= tolerance * objective for every fit, looked at after every second pass, or
 *         60 passes, of hinge 400
 * Cost    a pass: n d (columns + block rows) multiply-adds, one reading of the rows
 * Source  Yu, Hsieh, Chang, Lin, KDD 2010 */
enum eg_status eg__stream_solve(struct eg_matrix *matrix, const struct eg_solver *solver, struct eg_fit *fits,
                                size_t n_fits, struct eg_error *err)
{
    const size_t part =
        solver->work_bytes / 4; /* the block's matrix; its solver; the columns have the rest */
    size_t rows = matrix->block_rows < BLOCK_ROWS_MOST ? matrix->block_rows : BLOCK_ROWS_MOST;
    while (rows > ROWS_LEAST && rows * rows * sizeof(float) > part) rows -= rows / 4;
    const size_t column_bytes = 2 * sizeof(float) * matrix->d + rows * COLUMN_ROW_BYTES;
    struct eg_solver inner = *solver;
    inner.work_bytes = part;
    enum eg_status status = EG_OK;
    for (size_t first = 0, count; first < n_fits && !status; first += count) {
        size_t columns = fits[first].columns;
        for (count = 1; first + count < n_fits; count++) {
            columns += fits[first + count].columns;
            if (columns * column_bytes > 2 * part) break;
        }
        status = solve_together(matrix, &inner, fits + first, count, rows, err);
    }
    return status;
}
