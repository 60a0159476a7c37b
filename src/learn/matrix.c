/* The rows of a learner: read in blocks, scaled on the way, and their Gram matrix. */
#include "learn/matrix.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "base/pool.h"
#include "kernels/kernels.h"

static const float DIAGONAL_LIFT = 2e-6f;

enum { LANES = 8, BLOCK_BYTES = 128 << 20, COLUMN_PART = 1024, ROW_PART = 16, BAND_LEAST = 128 };
#define BAND_WORK 2e10 /* multiply-adds */

static enum eg_status gather(const struct eg_row_source *source, size_t first, size_t count, float *out,
                             struct eg_error *err)
{
    size_t *rows = eg__alloc(count, sizeof *rows);
    if (!rows) return eg__fail_memory(err, "a block of rows");
    for (size_t i = 0; i < count; i++) rows[i] = first + i;
    enum eg_status status = source->gather(source->self, rows, count, out, err);
    free(rows);
    return status;
}

/* ---- one look at every row ---------------------------------------------------------- */

struct look {
    struct eg_matrix *matrix;
    const float *rows;
    size_t first, count;
};

static void look_at_row(const float *x, size_t d, double *square_out, double *sum_out)
{
    double square[LANES] = {0}, sum[LANES] = {0};
    size_t j = 0;
    for (; j + LANES <= d; j += LANES)
        for (int l = 0; l < LANES; l++) {
            double v = (double)x[j + (size_t)l];
            square[l] += v * v;
            sum[l] += fabs(v);
        }
    for (; j < d; j++) {
        square[0] += (double)x[j] * (double)x[j];
        sum[0] += fabs((double)x[j]);
    }
    for (int l = 1; l < LANES; l++) {
        square[0] += square[l];
        sum[0] += sum[l];
    }
    *square_out = square[0]; /* infinite or NaN exactly if some x is */
    *sum_out = sum[0];
}

static void look_at_rows(void *context, size_t task, unsigned thread)
{
    (void)thread;
    const struct look *look = context;
    struct eg_matrix *m = look->matrix;
    for (size_t i = task * ROW_PART; i < look->count && i < (task + 1) * ROW_PART; i++) {
        const size_t row = look->first + i;
        const float *x = look->rows + i * m->d;
        look_at_row(x, m->d, &m->square[row], &m->sum[row]);
        for (size_t b = 0; b < m->n_blocks; b++) {
            const struct eg_block *block = &m->blocks[b];
            look_at_row(x + block->first, block->d, &block->square[row], &block->sum[row]);
        }
    }
}

struct moments {
    const struct look *look;
    const float *shift;   /* [d] the first row: keeps the sums small */
    double *sum, *square; /* [d] */
};

static void column_moments(void *context, size_t task, unsigned thread)
{
    (void)thread;
    const struct moments *t = context;
    size_t d = t->look->matrix->d, begin = task * COLUMN_PART;
    size_t end = begin + COLUMN_PART < d ? begin + COLUMN_PART : d;
    for (size_t i = 0; i < t->look->count; i++) {
        const float *x = t->look->rows + i * d;
        for (size_t j = begin; j < end; j++) {
            double v = (double)x[j] - (double)t->shift[j];
            t->sum[j] += v;
            t->square[j] += v * v;
        }
    }
}

/* Population deviation, and 1 for a constant column, as scikit-learn's StandardScaler. */
static void finish_moments(struct eg_matrix *m, const struct moments *t)
{
    for (size_t j = 0; j < m->d; j++) {
        double mean = t->sum[j] / (double)m->n, variance = t->square[j] / (double)m->n - mean * mean;
        double floor = 1e-12 * (t->square[j] / (double)m->n + 1e-30);
        m->mean[j] = (float)((double)t->shift[j] + mean);
        m->spread[j] = variance > floor ? (float)(1 / sqrt(variance)) : 1.0f;
    }
}

static enum eg_status first_look(struct eg_matrix *m, bool standard, struct eg_error *err)
{
    enum eg_status status = EG_OK;
    struct look look = {.matrix = m};
    struct moments moments = {.look = &look};
    float *shift = NULL;
    if (standard) {
        m->mean = eg__alloc(m->d, sizeof *m->mean);
        m->spread = eg__alloc(m->d, sizeof *m->spread);
        moments.shift = shift = eg__alloc(m->d, sizeof *shift);
        moments.sum = eg__zalloc(m->d, sizeof *moments.sum);
        moments.square = eg__zalloc(m->d, sizeof *moments.square);
        if (!m->mean || !m->spread || !shift || !moments.sum || !moments.square)
            status = eg__fail_memory(err, "column moments");
    }
    for (size_t first = 0; !status && first < m->n; first += look.count) {
        look.first = first;
        look.count = m->n - first < m->block_rows ? m->n - first : m->block_rows;
        float *rows = m->cache ? m->cache + first * m->d : m->block[0];
        look.rows = rows;
        status = gather(&m->source, first, look.count, rows, err);
        if (status) break;
        eg__pool_run(m->pool, (look.count + ROW_PART - 1) / ROW_PART, look_at_rows, &look);
        for (size_t i = first; i < first + look.count && !status; i++)
            if (!isfinite(m->square[i]))
                status =
                    eg__fail(err, EG_E_NUMERIC, "row %zu of the features is not finite (NaN or infinity)", i);
        if (standard && !status) {
            if (!first) memcpy(shift, rows, m->d * sizeof *shift);
            eg__pool_run(m->pool, (m->d + COLUMN_PART - 1) / COLUMN_PART, column_moments, &moments);
        }
    }
    if (standard && !status) finish_moments(m, &moments);
    free(shift);
    free(moments.sum);
    free(moments.square);
    return status;
}

static enum eg_status open_blocks(const struct eg_row_source *source, struct eg_matrix *m, bool *standard,
                                  struct eg_error *err)
{
    size_t at = 0;
    if (!source->n_blocks) return EG_OK;
    m->blocks = eg__zalloc(source->n_blocks, sizeof *m->blocks);
    if (!m->blocks) return eg__fail_memory(err, "the blocks of features");
    for (; m->n_blocks < source->n_blocks; m->n_blocks++) {
        const struct eg_row_block *given = &source->blocks[m->n_blocks];
        struct eg_block *block = &m->blocks[m->n_blocks];
        *block = (struct eg_block){
            .first = at, .d = given->d, .own = given->scale, .weight = given->factor > 0 ? given->factor : 1};
        block->square = eg__alloc(m->n, 3 * sizeof *block->square);
        if (!block->square) return eg__fail_memory(err, "the blocks of features");
        block->sum = block->square + m->n;
        block->factor = block->sum + m->n;
        at += given->d;
        *standard = *standard || given->scale == EG_SCALE_STANDARD;
    }
    return at == m->d ? EG_OK
                      : eg__fail(err, EG_E_ARGUMENT, "the blocks have %zu features, the rows %zu", at, m->d);
}

enum eg_status eg__matrix_open(const struct eg_row_source *source, bool standard, size_t bytes, eg_pool *pool,
                               struct eg_matrix *matrix, struct eg_error *err)
{
    struct eg_matrix m = {.source = *source, .n = source->n, .d = source->d, .pool = pool};
    size_t row_bytes, all_bytes;
    if (!m.n || !m.d) return eg__fail(err, EG_E_ARGUMENT, "there are no features: %zu rows of %zu", m.n, m.d);
    if (!eg__mul(m.d, sizeof(float), &row_bytes) || !eg__mul(row_bytes, m.n, &all_bytes))
        return eg__fail_memory(err, "the features");
    size_t share = BLOCK_BYTES < bytes / 4 ? BLOCK_BYTES : bytes / 4;
    m.block_rows = share / row_bytes;
    if (m.block_rows < 1) m.block_rows = 1;
    if (m.block_rows > m.n) m.block_rows = m.n;
    if (bytes > 2 * share && all_bytes <= bytes - 2 * share) m.cache = eg__alloc(m.n, row_bytes);
    m.factor = eg__alloc(m.n, sizeof *m.factor);
    m.square = eg__alloc(m.n, sizeof *m.square);
    m.sum = eg__alloc(m.n, sizeof *m.sum);
    bool room = m.factor && m.square && m.sum;
    for (int b = 0; b < 2; b++) {
        m.block[b] = eg__alloc(m.block_rows, row_bytes);
        room = room && m.block[b];
    }
    enum eg_status status =
        room ? open_blocks(source, &m, &standard, err) : eg__fail_memory(err, "blocks of rows");
    if (!status) status = first_look(&m, standard, err);
    if (status) {
        eg__matrix_close(&m);
        return status;
    }
    eg__matrix_scale(&m, EG_SCALE_NONE);
    *matrix = m;
    return EG_OK;
}

void eg__matrix_close(struct eg_matrix *matrix)
{
    for (size_t b = 0; b < matrix->n_blocks; b++) free(matrix->blocks[b].square);
    free(matrix->blocks);
    free(matrix->mean);
    free(matrix->spread);
    free(matrix->factor);
    free(matrix->square);
    free(matrix->sum);
    free(matrix->cache);
    free(matrix->block[0]);
    free(matrix->block[1]);
    *matrix = (struct eg_matrix){0};
}

static void set_factors(size_t n, enum eg_scaling scale, double weight, const double *square,
                        const double *sum, double *factor)
{
    for (size_t i = 0; i < n; i++) {
        double norm = scale == EG_SCALE_UNIT ? sqrt(square[i]) : scale == EG_SCALE_ROOT ? sqrt(sum[i]) : 1;
        factor[i] = norm > 0 ? weight / norm : weight;
    }
}

void eg__matrix_scale(struct eg_matrix *m, enum eg_scaling scale)
{
    m->scale = scale;
    set_factors(m->n, m->n_blocks ? EG_SCALE_NONE : scale, 1, m->square, m->sum, m->factor);
    for (size_t b = 0; b < m->n_blocks; b++) {
        struct eg_block *block = &m->blocks[b];
        block->scale = block->own == EG_SCALE_AUTO ? scale : block->own;
        set_factors(m->n, block->scale, block->weight, block->square, block->sum, block->factor);
    }
}

static double length_of(enum eg_scaling scale, size_t d, double square, double sum, double factor)
{
    /* standardised: on the average */
    return (scale == EG_SCALE_STANDARD ? (double)d : scale == EG_SCALE_ROOT ? sum : square) * factor * factor;
}

double eg__matrix_mean_square(const struct eg_matrix *m)
{
    double mean = 0;
    for (size_t i = 0; i < m->n && !m->n_blocks; i++)
        mean += length_of(m->scale, m->d, m->square[i], m->sum[i], m->factor[i]) / (double)m->n;
    for (size_t b = 0; b < m->n_blocks; b++) {
        const struct eg_block *k = &m->blocks[b];
        for (size_t i = 0; i < m->n; i++)
            mean += length_of(k->scale, k->d, k->square[i], k->sum[i], k->factor[i]) / (double)m->n;
    }
    return mean;
}

/* ---- scaled blocks ---------------------------------------------------------------- */

struct scaling {
    const struct eg_matrix *matrix;
    const float *in;
    float *out;
    size_t count, first;
    const size_t *list; /* rows to multiply by their factors; NULL: first.., not done here but of blocks */
};

/* Columns first .. first+d-1 of a row. */
static void scale_part(const struct eg_matrix *m, enum eg_scaling scale, size_t first, size_t d,
                       const float *x, float *y, const double *factor)
{
    if (scale == EG_SCALE_ROOT)
        for (size_t j = first; j < first + d; j++) y[j] = copysignf(sqrtf(fabsf(x[j])), x[j]);
    else if (scale == EG_SCALE_STANDARD)
        for (size_t j = first; j < first + d; j++) y[j] = (x[j] - m->mean[j]) * m->spread[j];
    else if (x != y)
        memcpy(y + first, x + first, d * sizeof *y);
    for (size_t j = first; factor && j < first + d; j++) y[j] *= (float)*factor;
}

static void scale_rows(void *context, size_t task, unsigned thread)
{
    (void)thread;
    const struct scaling *s = context;
    const struct eg_matrix *m = s->matrix;
    for (size_t i = task * ROW_PART; i < s->count && i < (task + 1) * ROW_PART; i++) {
        const size_t row = s->list ? s->list[i] : s->first + i;
        const float *x = s->in + i * m->d;
        float *y = s->out + i * m->d;
        if (!m->n_blocks) scale_part(m, m->scale, 0, m->d, x, y, s->list ? &m->factor[row] : NULL);
        for (size_t b = 0; b < m->n_blocks; b++) {
            const struct eg_block *k = &m->blocks[b];
            scale_part(m, k->scale, k->first, k->d, x, y, &k->factor[row]);
        }
    }
}

enum eg_status eg__matrix_rows(struct eg_matrix *m, size_t first, size_t count, int which, const float **rows,
                               struct eg_error *err)
{
    float *block = m->block[which];
    const float *raw = m->cache ? m->cache + first * m->d : block;
    if (!m->cache) {
        enum eg_status status = gather(&m->source, first, count, block, err);
        if (status) return status;
    }
    *rows = raw;
    if (m->n_blocks || m->scale == EG_SCALE_ROOT || m->scale == EG_SCALE_STANDARD) {
        struct scaling scaling = {m, raw, block, count, first, NULL};
        eg__pool_run(m->pool, (count + ROW_PART - 1) / ROW_PART, scale_rows, &scaling);
        *rows = block;
    }
    return EG_OK;
}

enum eg_status eg__matrix_pick(struct eg_matrix *m, const size_t *list, size_t count, int which,
                               const float **rows, struct eg_error *err)
{
    float *block = m->block[which];
    if (m->cache)
        for (size_t i = 0; i < count; i++)
            memcpy(block + i * m->d, m->cache + list[i] * m->d, m->d * sizeof *block);
    else {
        enum eg_status status = m->source.gather(m->source.self, list, count, block, err);
        if (status) return status;
    }
    struct scaling scaling = {m, block, block, count, 0, list};
    eg__pool_run(m->pool, (count + ROW_PART - 1) / ROW_PART, scale_rows, &scaling);
    *rows = block;
    return EG_OK;
}

/* ---- the Gram matrix ----------------------------------------------------------------- */

struct mirror {
    const struct eg_matrix *matrix;
    float *gram;
};

static void mirror_rows(void *context, size_t task, unsigned thread)
{
    (void)thread;
    const struct mirror *t = context;
    size_t n = t->matrix->n, begin = task * ROW_PART, end = begin + ROW_PART < n ? begin + ROW_PART : n;
    const double *factor = t->matrix->factor;
    for (size_t i = begin; i < end; i++) /* below the diagonal: rows of our own */
        for (size_t j = 0; j <= i; j++)
            t->gram[i * n + j] = (float)((double)t->gram[i * n + j] * factor[i] * factor[j]);
}

static void mirror_columns(void *context, size_t task, unsigned thread)
{
    (void)thread;
    const struct mirror *t = context;
    size_t n = t->matrix->n, begin = task * ROW_PART, end = begin + ROW_PART < n ? begin + ROW_PART : n;
    for (size_t j = begin; j < n; j++)
        for (size_t i = begin; i < end && i < j; i++) t->gram[i * n + j] = t->gram[j * n + i];
}

enum eg_status eg__matrix_gram(struct eg_matrix *m, bool (*go_on)(void *user), void *user, float *gram,
                               struct eg_error *err)
{
    const bool whole = m->cache && !m->n_blocks && (m->scale == EG_SCALE_NONE || m->scale == EG_SCALE_UNIT);
    size_t n = m->n, d = m->d, step = m->block_rows;
    if (whole) { /* bands of well below a second, all that is before them at once */
        step = (size_t)(BAND_WORK / ((double)n * (double)d));
        step = step < BAND_LEAST ? BAND_LEAST : step < n ? step : n;
    }
    enum eg_status status = EG_OK;
    for (size_t i = 0; i < n && !status; i += step) {
        size_t rows = n - i < step ? n - i : step, across = whole ? i : step;
        const float *a, *b;
        status = eg__matrix_rows(m, i, rows, 0, &a, err);
        if (!status) status = eg__syrk(rows, d, a, d, gram + i * n + i, n, false, m->pool, err);
        for (size_t j = 0; j < i && !status; j += across) {
            status = eg__matrix_rows(m, j, across, 1, &b, err);
            if (!status)
                status = eg__gemm_nt(rows, across, d, a, d, b, d, gram + i * n + j, n, false, m->pool, err);
            if (!status && go_on && !go_on(user))
                status = eg__fail(err, EG_E_CANCELLED, "training was stopped");
        }
    }
    if (status) return status;
    struct mirror mirror = {m, gram};
    eg__pool_run(m->pool, (n + ROW_PART - 1) / ROW_PART, mirror_rows, &mirror);
    eg__pool_run(m->pool, (n + ROW_PART - 1) / ROW_PART, mirror_columns, &mirror);
    /* float32 leaves the null space of K with eigenvalues of either sign: lifted, none is negative.
     * What is found is measured and mended on the rows themselves (linear.c). */
    for (size_t i = 0; i < n; i++) gram[i * n + i] *= 1 + DIAGONAL_LIFT;
    return EG_OK;
}

/* ---- in double --------------------------------------------------------------------- */

struct product {
    const struct eg_matrix *matrix;
    const float *rows;
    size_t first, count, columns;
    const double *beta, *w;
    double *sums, *score;
};

static void combine_columns(void *context, size_t task, unsigned thread)
{
    (void)thread;
    const struct product *t = context;
    size_t n = t->matrix->n, d = t->matrix->d, begin = task * COLUMN_PART;
    size_t width = d - begin < COLUMN_PART ? d - begin : COLUMN_PART;
    for (size_t i = 0; i < t->count; i++) {
        const float *restrict x = t->rows + i * d + begin;
        for (size_t c = 0; c < t->columns; c++) {
            double b = t->beta[c * n + t->first + i] * t->matrix->factor[t->first + i];
            double *restrict w = t->sums + c * d + begin;
            if (b != 0)
                for (size_t j = 0; j < width; j++) w[j] += b * (double)x[j];
        }
    }
}

static void project_rows(void *context, size_t task, unsigned thread)
{
    (void)thread;
    const struct product *t = context;
    size_t n = t->matrix->n, d = t->matrix->d;
    for (size_t i = task * ROW_PART; i < t->count && i < (task + 1) * ROW_PART; i++) {
        const float *x = t->rows + i * d;
        for (size_t c = 0; c < t->columns; c++) {
            const double *w = t->w + c * d;
            double sum[LANES] = {0};
            size_t j = 0;
            for (; j + LANES <= d; j += LANES)
                for (int l = 0; l < LANES; l++) sum[l] += w[j + (size_t)l] * (double)x[j + (size_t)l];
            for (; j < d; j++) sum[0] += w[j] * (double)x[j];
            for (int l = 1; l < LANES; l++) sum[0] += sum[l];
            t->score[c * n + t->first + i] = sum[0] * t->matrix->factor[t->first + i];
        }
    }
}

static void square_rows(void *context, size_t task, unsigned thread)
{
    (void)thread;
    const struct product *t = context;
    size_t d = t->matrix->d;
    for (size_t i = task * ROW_PART; i < t->count && i < (task + 1) * ROW_PART; i++) {
        const float *x = t->rows + i * d;
        double sum = 0, factor = t->matrix->factor[t->first + i];
        for (size_t j = 0; j < d; j++) sum += (double)x[j] * (double)x[j];
        t->score[t->first + i] = sum * factor * factor;
    }
}

/* by_column: `work` is given parts of the columns, else parts of the block's rows. */
static enum eg_status each_block(struct eg_matrix *m, struct product *product, eg_task_fn *work,
                                 bool by_column, struct eg_error *err)
{
    for (size_t first = 0; first < m->n; first += product->count) {
        product->first = first;
        product->count = m->n - first < m->block_rows ? m->n - first : m->block_rows;
        enum eg_status status = eg__matrix_rows(m, first, product->count, 0, &product->rows, err);
        if (status) return status;
        size_t parts =
            by_column ? (m->d + COLUMN_PART - 1) / COLUMN_PART : (product->count + ROW_PART - 1) / ROW_PART;
        eg__pool_run(m->pool, parts, work, product);
    }
    return EG_OK;
}

enum eg_status eg__matrix_combine(struct eg_matrix *m, const double *beta, size_t columns, double *w,
                                  struct eg_error *err)
{
    memset(w, 0, columns * m->d * sizeof *w);
    struct product product = {.matrix = m, .columns = columns, .beta = beta, .sums = w};
    return each_block(m, &product, combine_columns, true, err);
}

enum eg_status eg__matrix_project(struct eg_matrix *m, const double *w, size_t columns, double *score,
                                  struct eg_error *err)
{
    struct product product = {.matrix = m, .columns = columns, .w = w, .score = score};
    return each_block(m, &product, project_rows, false, err);
}

enum eg_status eg__matrix_squares(struct eg_matrix *m, double *square, struct eg_error *err)
{
    struct product product = {.matrix = m, .score = square};
    return each_block(m, &product, square_rows, false, err);
}

/* ---- rows in memory -------------------------------------------------------------------- */

static enum eg_status gather_memory(void *self, const size_t *rows, size_t count, float *out,
                                    struct eg_error *err)
{
    (void)err;
    const struct eg_rows_memory *memory = self;
    for (size_t i = 0; i < count; i++)
        memcpy(out + i * memory->d, memory->rows + rows[i] * memory->d, memory->d * sizeof *out);
    return EG_OK;
}

struct eg_row_source eg__rows_in_memory(struct eg_rows_memory *memory)
{
    return (struct eg_row_source){.n = memory->n, .d = memory->d, .gather = gather_memory, .self = memory};
}
