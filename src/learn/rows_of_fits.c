/* Losses of rows, many fits side by side: the rows are shared out, sums are added part by part. */
#include "learn/rows_of_fits.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "base/pool.h"

enum { PART = 32 };

enum eg_status eg__rows_open(size_t n, size_t n_fits, size_t columns, enum eg_loss loss,
                             struct eg_rows_space *space, struct eg_error *err)
{
    struct eg_rows_space s = {.n = n, .stride = columns, .loss = loss};
    s.rows = eg__alloc(n_fits, sizeof(struct eg_rows_of_fit *));
    s.score = eg__zalloc(n, columns * sizeof *s.score);
    s.slope = eg__zalloc(n, columns * sizeof *s.slope);
    s.v = eg__alloc(n, columns * sizeof *s.v);
    s.sums = eg__alloc((n + PART - 1) / PART, n_fits * 2 * sizeof *s.sums);
    *space = s;
    if (s.rows && s.score && s.slope && s.v && s.sums) return EG_OK;
    return eg__fail_memory(err, "the solver's work space");
}

void eg__rows_close(struct eg_rows_space *space)
{
    free(space->rows);
    free(space->score);
    free(space->slope);
    free(space->v);
    free(space->sums);
    *space = (struct eg_rows_space){0};
}

void eg__rows_begin(struct eg_rows_space *space, struct eg_rows_of_fit *rows)
{
    const struct eg_fit *fit = rows->fit;
    for (size_t i = 0; i < space->n; i++) rows->weight += fit->c[i];
    rows->loss_at_zero = rows->weight;
    if (space->loss == EG_LOSS_LOGISTIC)
        rows->loss_at_zero *= log((double)(fit->columns > 1 ? fit->columns : 2));
    for (size_t k = 0; rows->known && k < fit->columns; k++)
        for (size_t i = 0; i < space->n; i++)
            space->score[i * space->stride + rows->first + k] = fit->score[k * space->n + i];
}

/* The slope at the truth is what the others have together, so that it keeps its digits near 0. */
static double look_at_all(const struct eg_rows_of_fit *r, int32_t label, const double *score, const float *v,
                          float *slope, double *bend)
{
    const size_t k_count = r->fit->columns, truth = (size_t)label;
    double most = -INFINITY, total = 0, squares = 0;
    for (size_t k = 0; k < k_count; k++) most = fmax(most, score[k] + r->along * (double)v[k]);
    for (size_t k = 0; k < k_count; k++) {
        slope[k] = expf((float)(score[k] + r->along * (double)v[k] - most));
        total += (double)slope[k];
    }
    const double own = (double)slope[truth], inverse = 1 / total;
    for (size_t k = 0; k < k_count; k++) {
        slope[k] *= (float)inverse;
        squares += (double)(slope[k] * slope[k]);
    }
    double others = total - own;
    if (others < 1e-6 * total) { /* rather than by a difference */
        others = 0;
        for (size_t k = 0; k < k_count; k++) others += k == truth ? 0 : (double)slope[k] * total;
    }
    slope[truth] = -(float)(others * inverse);
    *bend = fmax(1 - squares, 0) / (double)k_count;
    return log(total) + most - (score[truth] + r->along * (double)v[truth]);
}

static double look_at_one(enum eg_loss loss, double y, double score, float *slope, double *bend)
{
    const double margin = y * score;
    *slope = 0;
    *bend = 0;
    if (loss == EG_LOSS_LOGISTIC) {
        const double e = exp(-fabs(margin)), p = (margin < 0 ? 1 : e) / (1 + e);
        *slope = (float)(-y * p);
        *bend = p * (1 - p);
        return log1p(e) + (margin < 0 ? -margin : 0);
    }
    if (margin >= 1) return 0;
    *slope = (float)(-2 * y * (1 - margin));
    *bend = 2;
    return (1 - margin) * (1 - margin);
}

static void look(void *context, size_t part, unsigned thread)
{
    (void)thread;
    struct eg_rows_space *s = context;
    double *sums = s->sums + part * s->n_fits * 2;
    memset(sums, 0, s->n_fits * 2 * sizeof *sums);
    for (size_t i = part * PART; i < s->n && i < (part + 1) * PART; i++)
        for (size_t f = 0; f < s->n_fits; f++) {
            const struct eg_rows_of_fit *r = s->rows[f];
            const double c = r->fit->c[i], *score = s->score + i * s->stride + r->first;
            if (!r->look || !(c > 0)) continue;
            const float *v = s->v + i * s->columns + r->place;
            float *slope = s->slope + i * s->stride + r->first;
            double bend, loss;
            if (r->fit->columns > 1)
                loss = look_at_all(r, r->fit->labels[i], score, v, slope, &bend);
            else
                loss = look_at_one(s->loss, r->fit->labels[i] == r->fit->positive ? 1 : -1,
                                   score[0] + r->along * (double)v[0], slope, &bend);
            sums[2 * f] += c * loss;
            sums[2 * f + 1] += c * bend;
        }
}

void eg__rows_look(struct eg_rows_space *space, eg_pool *pool)
{
    const size_t parts = (space->n + PART - 1) / PART;
    eg__pool_run(pool, parts, look, space);
    for (size_t f = 0; f < space->n_fits; f++) {
        struct eg_rows_of_fit *r = space->rows[f];
        if (!r->look) continue;
        r->loss = r->bend = 0;
        for (size_t p = 0; p < parts; p++) {
            r->loss += space->sums[(p * space->n_fits + f) * 2];
            r->bend += space->sums[(p * space->n_fits + f) * 2 + 1];
        }
    }
}

/* c (diag p - p p') v */
static void bend_all(double c, size_t k_count, size_t truth, const float *slope, float *v)
{
    double mean = (double)v[truth];
    for (size_t k = 0; k < k_count; k++) mean += (double)(slope[k] * v[k]);
    for (size_t k = 0; k < k_count; k++) {
        float p = slope[k] + (k == truth ? 1.0f : 0.0f);
        v[k] = (float)c * p * (v[k] - (float)mean);
    }
}

static void move(void *context, size_t part, unsigned thread)
{
    (void)thread;
    const struct eg_rows_space *s = context;
    for (size_t i = part * PART; i < s->n && i < (part + 1) * PART; i++)
        for (size_t f = 0; f < s->n_fits; f++) {
            const struct eg_rows_of_fit *r = s->rows[f];
            const double c = r->fit->c[i];
            const size_t k_count = r->fit->columns;
            const float *slope = s->slope + i * s->stride + r->first;
            float *v = s->v + i * s->columns + r->place;
            if (r->phase == EG_ROWS_MOVE) {
                double *score = s->score + i * s->stride + r->first;
                for (size_t k = 0; k < k_count; k++) {
                    score[k] += r->along * (double)v[k];
                    v[k] = (float)c * slope[k];
                }
            } else if (!(c > 0)) {
                memset(v, 0, k_count * sizeof *v);
            } else if (k_count > 1) {
                bend_all(c, k_count, (size_t)r->fit->labels[i], slope, v);
            } else if (s->loss == EG_LOSS_LOGISTIC) {
                float p = fabsf(slope[0]);
                v[0] *= (float)c * p * (1 - p);
            } else {
                v[0] *= fabsf(slope[0]) > 0 ? (float)(2 * c) : 0;
            }
        }
}

void eg__rows_move(struct eg_rows_space *space, eg_pool *pool)
{
    eg__pool_run(pool, (space->n + PART - 1) / PART, move, space);
}

void eg__rows_scores(const struct eg_rows_space *s, const struct eg_rows_of_fit *r, bool held_only)
{
    for (size_t k = 0; k < r->fit->columns; k++)
        for (size_t i = 0; i < s->n; i++)
            if (!held_only || !(r->fit->c[i] > 0))
                r->fit->score[k * s->n + i] = s->score[i * s->stride + r->first + k];
}
