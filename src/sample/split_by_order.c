/* The split of models of version 0.1, by which their test rows are found again: a shuffle in the
 * order of the rows, stratified by class, groups whole. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "base/rng.h"
#include "sample/sample.h"

enum { STREAM_SPLIT = 101 };

/* Row numbers sorted by class and shuffled within it; class k is order[start[k]..start[k+1]-1]. */
struct by_class {
    size_t *order, *start;
};

static void by_class_free(struct by_class *rows)
{
    free(rows->order);
    free(rows->start);
}

static enum eg_status by_class_make(const int32_t *labels, size_t n, size_t n_classes, struct eg_rng *rng,
                                    struct by_class *rows, struct eg_error *err)
{
    rows->order = eg__alloc(n, sizeof *rows->order);
    rows->start = eg__zalloc(n_classes + 1, sizeof *rows->start);
    if (!rows->order || !rows->start) return eg__fail_memory(err, "the split");
    for (size_t i = 0; i < n; i++) {
        if (labels[i] < 0 || (size_t)labels[i] >= n_classes)
            return eg__fail(err, EG_E_ARGUMENT, "row %zu has label %d, the classes are 0 to %zu", i,
                            labels[i], n_classes - 1);
        rows->start[labels[i] + 1]++;
    }
    for (size_t k = 0; k < n_classes; k++) rows->start[k + 1] += rows->start[k];
    for (size_t i = n; i-- > 0;) rows->order[--rows->start[labels[i] + 1]] = i;
    /* the loop above moved every start[k+1] down to where class k begins */
    memmove(rows->start, rows->start + 1, n_classes * sizeof *rows->start);
    rows->start[n_classes] = n;
    for (size_t k = 0; k < n_classes; k++)
        eg__rng_shuffle(rng, rows->order + rows->start[k], rows->start[k + 1] - rows->start[k]);
    return EG_OK;
}

/* ---- whole groups --------------------------------------------------------------- */

struct member {
    int32_t group, label;
    size_t row;
};

struct group {
    size_t first, size;
    uint64_t chance;
};

static int compare_members(const void *a, const void *b)
{
    const struct member *x = a, *y = b;
    if (x->group != y->group) return x->group < y->group ? -1 : 1;
    if (x->label != y->label) return x->label < y->label ? -1 : 1;
    return x->row < y->row ? -1 : x->row > y->row;
}

static int compare_groups(const void *a, const void *b)
{
    const struct group *x = a, *y = b;
    if (x->size != y->size) return x->size > y->size ? -1 : 1;
    return x->chance < y->chance ? -1 : x->chance > y->chance;
}

/* Deal out whole groups, the largest first, each to the part where it brings the class
 * shares nearest to `share` (the greedy rule of scikit-learn's StratifiedGroupKFold). */
static enum eg_status deal_groups(const int32_t *labels, size_t n, size_t n_classes, const int32_t *ids,
                                  size_t n_parts, const double *share, struct eg_rng *rng, uint8_t *part,
                                  struct eg_error *err)
{
    struct member *members = eg__alloc(n, sizeof *members);
    struct group *groups = eg__alloc(n, sizeof *groups);
    double *filled = NULL, *total = eg__zalloc(n_parts, sizeof *total);
    size_t *support = eg__zalloc(n_classes, sizeof *support), cells, n_groups = 0;
    enum eg_status status = EG_OK;
    if (eg__mul(n_parts, n_classes, &cells)) filled = eg__zalloc(cells, sizeof *filled);
    if (!members || !groups || !filled || !total || !support) {
        status = eg__fail_memory(err, "the groups");
        goto done;
    }
    for (size_t i = 0; i < n; i++) {
        members[i] = (struct member){ids[i], labels[i], i};
        support[labels[i]]++;
    }
    qsort(members, n, sizeof *members, compare_members);
    for (size_t i = 0; i < n; i++) {
        if (!i || members[i].group != members[i - 1].group)
            groups[n_groups++] = (struct group){i, 0, eg__rng_u64(rng)};
        groups[n_groups - 1].size++;
    }
    if (n_groups < n_parts) {
        status =
            eg__fail(err, EG_E_ARGUMENT, "%zu groups cannot be dealt out to %zu parts", n_groups, n_parts);
        goto done;
    }
    qsort(groups, n_groups, sizeof *groups, compare_groups);
    for (size_t g = 0; g < n_groups; g++) {
        const struct member *in = members + groups[g].first;
        size_t best = 0;
        double best_cost = INFINITY;
        for (size_t p = 0; p < n_parts; p++) {
            double cost = 1e-9 * (total[p] / (double)n - share[p]); /* ties: the emptier part */
            for (size_t i = 0, end; i < groups[g].size; i = end) {
                for (end = i; end < groups[g].size && in[end].label == in[i].label;) end++;
                size_t k = (size_t)in[i].label;
                double step = (double)(end - i) / (double)support[k];
                cost += step * (step + 2 * (filled[p * n_classes + k] - share[p]));
            }
            if (cost < best_cost) {
                best_cost = cost;
                best = p;
            }
        }
        for (size_t i = 0; i < groups[g].size; i++) {
            part[in[i].row] = (uint8_t)best;
            filled[best * n_classes + (size_t)in[i].label] += 1.0 / (double)support[in[i].label];
        }
        total[best] += (double)groups[g].size;
    }
done:
    free(members);
    free(groups);
    free(filled);
    free(total);
    free(support);
    return status;
}

/* ---- single rows -------------------------------------------------------------------- */

/* How many rows of each class go to the test: `total` shared out by largest remainder, at
 * least one row of every class staying behind. */
static void test_quotas(const size_t *start, size_t n_classes, size_t total, size_t *quota)
{
    size_t n = start[n_classes], given = 0;
    for (size_t k = 0; k < n_classes; k++) {
        size_t size = start[k + 1] - start[k];
        quota[k] = (size_t)((double)size * (double)total / (double)n);
        if (size && quota[k] > size - 1) quota[k] = size - 1;
        given += quota[k];
    }
    while (given < total) {
        size_t best = n_classes;
        double most = -INFINITY;
        for (size_t k = 0; k < n_classes; k++) {
            size_t size = start[k + 1] - start[k];
            double rest = (double)size * (double)total / (double)n - (double)quota[k];
            if (quota[k] + 1 < size && rest > most) {
                most = rest;
                best = k;
            }
        }
        if (best == n_classes) return;
        quota[best]++;
        given++;
    }
}

enum eg_status eg__split_by_order(const int32_t *labels, size_t n, size_t n_classes, const int32_t *groups,
                                  double test_fraction, uint64_t seed, uint8_t *part, struct eg_error *err)
{
    if (!(test_fraction > 0 && test_fraction < 1))
        return eg__fail(err, EG_E_ARGUMENT, "the test fraction is %g, it must lie between 0 and 1",
                        test_fraction);
    if (n < 2) return eg__fail(err, EG_E_ARGUMENT, "%zu rows cannot be split", n);
    struct eg_rng rng;
    eg__rng_init(&rng, seed, STREAM_SPLIT);
    struct by_class rows = {0};
    size_t *quota = eg__alloc(n_classes, sizeof *quota);
    enum eg_status status =
        quota ? by_class_make(labels, n, n_classes, &rng, &rows, err) : eg__fail_memory(err, "the split");
    if (!status && groups) {
        const double share[2] = {1 - test_fraction, test_fraction};
        status = deal_groups(labels, n, n_classes, groups, 2, share, &rng, part, err);
    } else if (!status) {
        test_quotas(rows.start, n_classes, (size_t)ceil(test_fraction * (double)n - 1e-9), quota);
        memset(part, 0, n);
        for (size_t k = 0; k < n_classes; k++)
            for (size_t i = 0; i < quota[k]; i++) part[rows.order[rows.start[k] + i]] = 1;
    }
    by_class_free(&rows);
    free(quota);
    return status;
}
