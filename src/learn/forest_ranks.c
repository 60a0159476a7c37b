/* Columns of the matrix as ranks, and thresholds from ranks. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/half.h"
#include "base/mem.h"
#include "base/pool.h"
#include "learn/forest.h"

enum { COLUMNS_IN_TASK = 256, NARROW_MOST = 1 << 16, COMMON_PART = 4 };

/* ---- columns ------------------------------------------------------------------------ */

struct turning {
    const struct eg_matrix *matrix;
    const float *rows;
    size_t first, count;
    float *columns;
};

static void turn(void *context, size_t task, unsigned thread)
{
    (void)thread;
    enum { SIDE = 16 };
    const struct turning *t = context;
    size_t n = t->matrix->n, d = t->matrix->d, begin = task * COLUMNS_IN_TASK;
    size_t end = begin + COLUMNS_IN_TASK < d ? begin + COLUMNS_IN_TASK : d;
    for (size_t i0 = 0; i0 < t->count; i0 += SIDE)
        for (size_t j = begin; j < end; j++)
            for (size_t i = i0; i < i0 + SIDE && i < t->count; i++)
                t->columns[j * n + t->first + i] =
                    t->rows[i * d + j] * (float)t->matrix->factor[t->first + i];
}

static enum eg_status make_columns(struct eg_matrix *m, float *columns, struct eg_error *err)
{
    struct turning t = {.matrix = m, .columns = columns};
    for (t.first = 0; t.first < m->n; t.first += t.count) {
        t.count = m->n - t.first < m->block_rows ? m->n - t.first : m->block_rows;
        enum eg_status status = eg__matrix_rows(m, t.first, t.count, 0, &t.rows, err);
        if (status) return status;
        eg__pool_run(m->pool, (m->d + COLUMNS_IN_TASK - 1) / COLUMNS_IN_TASK, turn, &t);
    }
    return EG_OK;
}

/* ---- sorting ------------------------------------------------------------------------- */

static uint32_t ordered(float x)
{
    uint32_t bits = eg__f32_bits(x + 0.0f); /* one zero only */
    return bits ^ (bits >> 31 ? 0xffffffffu : 0x80000000u);
}

static float from_ordered(uint32_t key)
{
    return eg__bits_f32(key ^ (key >> 31 ? 0x80000000u : 0xffffffffu));
}

/* Radix by the upper 32 bits, byte by byte, leaving out bytes that all share. */
static void sort_keys(uint64_t *keys, uint64_t *spare, size_t n)
{
    uint32_t count[4][256] = {{0}};
    for (size_t i = 0; i < n; i++)
        for (int b = 0; b < 4; b++) count[b][keys[i] >> (32 + 8 * b) & 255]++;
    uint64_t *from = keys, *to = spare;
    for (int b = 0; b < 4; b++) {
        uint32_t at = 0;
        if (count[b][from[0] >> (32 + 8 * b) & 255] == n) continue;
        for (int v = 0; v < 256; v++) {
            uint32_t here = count[b][v];
            count[b][v] = at;
            at += here;
        }
        for (size_t i = 0; i < n; i++) to[count[b][from[i] >> (32 + 8 * b) & 255]++] = from[i];
        uint64_t *swap = from;
        from = to;
        to = swap;
    }
    if (from != keys) memcpy(keys, from, n * sizeof *keys);
}

/* Work on columns, each by one thread with keys of its own. */
struct sorting {
    float *columns;
    size_t n;
    uint64_t **keys; /* [threads][2 n] */
    struct eg_ranks *ranks;
    struct eg_tree *trees;
    const size_t *first; /* [d + 1] */
    const uint32_t (*nodes)[2];
};

static uint64_t *sorted(const struct sorting *s, size_t column, unsigned thread)
{
    uint64_t *keys = s->keys[thread];
    const float *values = s->columns + column * s->n;
    for (size_t i = 0; i < s->n; i++) keys[i] = (uint64_t)ordered(values[i]) << 32 | i;
    sort_keys(keys, keys + s->n, s->n);
    return keys;
}

static enum eg_status with_keys(struct sorting *s, size_t d, eg_pool *pool, eg_task_fn *work,
                                struct eg_error *err)
{
    const unsigned threads = pool ? eg_pool_threads(pool) : 1;
    bool room = (s->keys = eg__zalloc(threads, sizeof *s->keys));
    for (unsigned t = 0; room && t < threads; t++)
        room = (s->keys[t] = eg__alloc(s->n, 2 * sizeof **s->keys));
    if (room) eg__pool_run(pool, d, work, s);
    for (unsigned t = 0; s->keys && t < threads; t++) free(s->keys[t]);
    free(s->keys);
    return room ? EG_OK : eg__fail_memory(err, "the forest");
}

/* ---- ranks ------------------------------------------------------------------------------ */

/* A column's ranks come to the beginning of where its values were. */
static void rank_column(void *context, size_t column, unsigned thread)
{
    const struct sorting *s = context;
    const uint64_t *keys = sorted(s, column, thread);
    uint32_t *wide = (uint32_t *)(void *)(s->columns + column * s->n), rank = 0;
    uint16_t *narrow = (uint16_t *)(void *)wide;
    size_t run = 0, longest = 0;
    for (size_t i = 0; i < s->n; i++) {
        const bool same = i && keys[i] >> 32 == keys[i - 1] >> 32;
        rank += i && !same;
        run = same ? run + 1 : 1;
        if (run > longest) {
            longest = run;
            s->ranks->common[column] = rank;
        }
        const uint32_t row = (uint32_t)keys[i];
        if (s->ranks->wide)
            wide[row] = rank;
        else
            narrow[row] = (uint16_t)rank;
    }
    if (longest < s->n / COMMON_PART) s->ranks->common[column] = EG_NO_RANK;
}

enum eg_status eg__ranks_make(struct eg_matrix *m, struct eg_ranks *ranks, struct eg_error *err)
{
    struct eg_ranks made = {.n = m->n, .d = m->d, .wide = m->n > NARROW_MOST};
    float *columns = eg__alloc(m->d, m->n * sizeof *columns);
    made.of = columns;
    made.common = eg__alloc(m->d, sizeof *made.common);
    enum eg_status status =
        columns && made.common ? make_columns(m, columns, err) : eg__fail_memory(err, "the forest");
    struct sorting sorting = {.columns = columns, .n = m->n, .ranks = &made};
    if (!status) status = with_keys(&sorting, m->d, m->pool, rank_column, err);
    if (status) {
        eg__ranks_free(&made);
        return status;
    }
    if (!made.wide) {
        uint16_t *narrow = made.of;
        for (size_t j = 1; j < m->d; j++)
            memmove(narrow + j * m->n, narrow + 2 * j * m->n, m->n * sizeof *narrow);
        void *smaller = realloc(made.of, m->d * m->n * sizeof *narrow);
        if (smaller) made.of = smaller;
    }
    *ranks = made;
    return EG_OK;
}

void eg__ranks_free(struct eg_ranks *ranks)
{
    free(ranks->of);
    free(ranks->common);
    *ranks = (struct eg_ranks){0};
}

/* ---- thresholds ---------------------------------------------------------------------------- */

static void set_thresholds(void *context, size_t column, unsigned thread)
{
    const struct sorting *s = context;
    if (s->first[column] == s->first[column + 1]) return;
    uint64_t *keys = sorted(s, column, thread);
    size_t distinct = 0;
    for (size_t i = 0; i < s->n; i++)
        if (!i || keys[i] >> 32 != keys[distinct - 1] >> 32) keys[distinct++] = keys[i];
    for (size_t at = s->first[column]; at < s->first[column + 1]; at++) {
        struct eg_tree *tree = &s->trees[s->nodes[at][0]];
        const size_t node = s->nodes[at][1];
        const float low = from_ordered((uint32_t)(keys[tree->rank[node]] >> 32)),
                    high = from_ordered((uint32_t)(keys[tree->rank[node] + 1] >> 32));
        const float middle = low / 2 + high / 2;
        tree->threshold[node] = middle >= low && middle < high ? middle : low;
    }
}

enum eg_status eg__trees_thresholds(struct eg_matrix *m, struct eg_tree *trees, size_t n_trees,
                                    struct eg_error *err)
{
    size_t total = 0, *first = eg__zalloc(m->d + 2, sizeof *first);
    bool room = first;
    for (size_t t = 0; t < n_trees; t++) {
        total += trees[t].n_nodes;
        room = room && (trees[t].threshold = eg__zalloc(trees[t].n_nodes, sizeof *trees[t].threshold));
        for (size_t i = 0; room && i < trees[t].n_nodes; i++)
            if (trees[t].feature[i] >= 0) first[trees[t].feature[i] + 2]++;
    }
    uint32_t(*nodes)[2] = eg__alloc(total + 1, sizeof *nodes);
    float *columns = eg__alloc(m->d, m->n * sizeof *columns);
    enum eg_status status =
        room && nodes && columns ? make_columns(m, columns, err) : eg__fail_memory(err, "the forest");
    for (size_t j = 2; !status && j < m->d + 2; j++) first[j] += first[j - 1];
    for (size_t t = 0; t < n_trees && !status; t++)
        for (size_t i = 0; i < trees[t].n_nodes; i++)
            if (trees[t].feature[i] >= 0) {
                uint32_t *node = nodes[first[trees[t].feature[i] + 1]++];
                node[0] = (uint32_t)t;
                node[1] = (uint32_t)i;
            }
    struct sorting sorting = {
        .columns = columns, .n = m->n, .trees = trees, .first = first, .nodes = (const uint32_t(*)[2])nodes};
    if (!status) status = with_keys(&sorting, m->d, m->pool, set_thresholds, err);
    free(columns);
    free(nodes);
    free(first);
    return status;
}
