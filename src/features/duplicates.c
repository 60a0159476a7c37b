/* Groups of images that are the same, by contents, or nearly so, by their features. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "base/pool.h"
#include "base/sets.h"
#include "features/store_private.h"

enum { DEFAULT_BYTES = 256 << 20, ROWS_A_TASK = 8 };

void eg_groups_release(struct eg_groups *groups)
{
    free(groups->starts);
    free(groups->rows);
    *groups = (struct eg_groups){0};
}

/* ---- sets of rows ---------------------------------------------------------------------------- */

/* Sets of two and more, in order. Counting, no sorting: a set's first row names it. */
static enum eg_status make_groups(size_t *parent, size_t n, struct eg_groups *out, struct eg_error *err)
{
    size_t *sizes = eg__zalloc(n, sizeof *sizes), n_groups = 0, n_rows = 0;
    if (!sizes) return eg__fail_memory(err, "groups of images");
    for (size_t row = 0; row < n; row++) sizes[eg__set_of(parent, row)]++;
    for (size_t row = 0; row < n; row++)
        if (sizes[row] > 1) {
            n_groups++;
            n_rows += sizes[row];
        }
    struct eg_groups made = {n_groups, eg__alloc(n_groups + 1, sizeof(size_t)),
                             eg__alloc(n_rows, sizeof(size_t))};
    if (!made.starts || !made.rows) {
        eg_groups_release(&made);
        free(sizes);
        return eg__fail_memory(err, "groups of images");
    }
    size_t at = 0, group = 0;
    for (size_t row = 0; row < n; row++) {
        size_t first = eg__set_of(parent, row);
        if (first == row) {
            size_t size = sizes[row];
            sizes[row] = SIZE_MAX; /* not in a group */
            if (size < 2) continue;
            made.starts[group++] = at;
            sizes[row] = at; /* where its next row goes */
            at += size;
        }
        if (sizes[first] != SIZE_MAX) made.rows[sizes[first]++] = row;
    }
    made.starts[n_groups] = at;
    free(sizes);
    *out = made;
    return EG_OK;
}

static size_t *every_row_alone(size_t n)
{
    size_t *parent = eg__alloc(n, sizeof *parent);
    for (size_t i = 0; parent && i < n; i++) parent[i] = i;
    return parent;
}

/* ---- the same contents ----------------------------------------------------------------------- */

static int by_hash(const void *a, const void *b, void *hashes)
{
    size_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    const uint8_t(*of)[HASH_BYTES] = hashes;
    int order = memcmp(of[x], of[y], HASH_BYTES);
    return order ? order : x < y ? -1 : x > y;
}

enum eg_status eg__store_duplicates(struct eg_store *store, struct eg_groups *groups, struct eg_error *err)
{
    size_t n = store->spec.n_rows, n_known = 0;
    uint8_t(*hashes)[HASH_BYTES] = eg__alloc(n, sizeof *hashes);
    size_t *order = eg__alloc(n, sizeof *order), *parent = every_row_alone(n);
    enum eg_status status = hashes && order && parent ? EG_OK : eg__fail_memory(err, "the images' hashes");
    if (!status) status = eg__store_hashes(store, 0, n, hashes, err);
    for (size_t row = 0; !status && row < n; row++)
        if (store->status[row] == EG_ROW_DONE) order[n_known++] = row;
    if (!status) {
        qsort_r(order, n_known, sizeof *order, by_hash, hashes);
        for (size_t i = 1; i < n_known; i++)
            if (!memcmp(hashes[order[i]], hashes[order[i - 1]], HASH_BYTES))
                eg__set_unite(parent, order[i - 1], order[i]);
        status = make_groups(parent, n, groups, err);
    }
    free(hashes);
    free(order);
    free(parent);
    return status;
}

/* ---- nearly the same --------------------------------------------------------------------------- */

struct block {
    float *rows; /* [n][d], of length 1; zeros for rows that are none */
    size_t first, n;
};

static enum eg_status read_block(struct eg_store *store, size_t cut, size_t first, size_t n,
                                 struct block *block, struct eg_error *err)
{
    size_t d = store->cuts[cut].length;
    enum eg_status status = eg__store_read(store, cut, first, n, block->rows, err);
    if (status) return status;
    block->first = first;
    block->n = n;
    for (size_t i = 0; i < n; i++) {
        float *row = block->rows + i * d;
        double sum = 0;
        for (size_t k = 0; k < d; k++) sum += (double)row[k] * row[k];
        bool usable = store->status[first + i] == EG_ROW_DONE && sum > 0 && isfinite(sum);
        float scale = usable ? (float)(1 / sqrt(sum)) : 0;
        for (size_t k = 0; k < d; k++) row[k] = usable ? row[k] * scale : 0;
    }
    return EG_OK;
}

/* A task's rows of one block against the whole other block; near[i][j] is set for pairs. */
struct comparison {
    const struct block *a, *b;
    size_t d;
    float cosine;
    uint8_t *near; /* [a->n][b->n] */
};

static float dot(const float *x, const float *y, size_t d)
{
    float sums[8] = {0};
    size_t k = 0;
    for (; k + 8 <= d; k += 8)
        for (int j = 0; j < 8; j++) sums[j] += x[k + (size_t)j] * y[k + (size_t)j];
    for (; k < d; k++) sums[0] += x[k] * y[k];
    return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

static void compare(void *context, size_t task, unsigned thread)
{
    (void)thread;
    struct comparison *c = context;
    size_t end = (task + 1) * ROWS_A_TASK < c->a->n ? (task + 1) * ROWS_A_TASK : c->a->n;
    for (size_t i = task * ROWS_A_TASK; i < end; i++)
        for (size_t j = c->a == c->b ? i + 1 : 0; j < c->b->n; j++)
            c->near[i * c->b->n + j] = dot(c->a->rows + i * c->d, c->b->rows + j * c->d, c->d) >= c->cosine;
}

static void compare_blocks(struct comparison *c, size_t *parent, eg_pool *pool)
{
    memset(c->near, 0, c->a->n * c->b->n);
    eg__pool_run(pool, (c->a->n + ROWS_A_TASK - 1) / ROWS_A_TASK, compare, c);
    for (size_t i = 0; i < c->a->n; i++)
        for (size_t j = 0; j < c->b->n; j++)
            if (c->near[i * c->b->n + j]) eg__set_unite(parent, c->a->first + i, c->b->first + j);
}

enum eg_status eg__store_near_duplicates(struct eg_store *store, size_t cut, double cosine,
                                         size_t memory_bytes, eg_pool *pool, eg_progress_fn *progress,
                                         void *user, struct eg_groups *groups, struct eg_error *err)
{
    if (cut >= store->spec.n_cuts)
        return eg__fail(err, EG_E_ARGUMENT, "'%s' has no cut %zu", store->path, cut);
    size_t n = store->spec.n_rows, d = store->cuts[cut].length;
    size_t most = (memory_bytes ? memory_bytes : DEFAULT_BYTES) / 2 / (d * sizeof(float));
    if (most < 16) most = 16;
    if (most > 4096) most = 4096; /* so that `near` stays small */
    if (most > n) most = n;
    struct block a = {eg__alloc(most, d * sizeof(float)), 0, 0},
                 b = {eg__alloc(most, d * sizeof(float)), 0, 0};
    uint8_t *near = eg__alloc(most, most);
    size_t *parent = every_row_alone(n);
    enum eg_status status =
        a.rows && b.rows && near && parent ? EG_OK : eg__fail_memory(err, "two blocks of rows");
    size_t n_blocks = most ? (n + most - 1) / most : 0, done = 0, total = n_blocks * (n_blocks + 1) / 2;
    for (size_t i = 0; !status && i < n_blocks; i++) {
        status = read_block(store, cut, i * most, n - i * most < most ? n - i * most : most, &a, err);
        for (size_t j = i; !status && j < n_blocks; j++) {
            if (j > i)
                status = read_block(store, cut, j * most, n - j * most < most ? n - j * most : most, &b, err);
            if (status) break;
            struct comparison c = {&a, j > i ? &b : &a, d, (float)cosine, near};
            compare_blocks(&c, parent, pool);
            if (progress && !progress(user, ++done, total)) status = eg__fail(err, EG_E_CANCELLED, "stopped");
        }
    }
    if (!status) status = make_groups(parent, n, groups, err);
    free(a.rows);
    free(b.rows);
    free(near);
    free(parent);
    return status;
}
