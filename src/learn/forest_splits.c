/* The best split of one node on one feature, exactly: rows in the order of their ranks, and the gini
 * impurity on either side of every step. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "learn/forest.h"

enum { FEW = 32 };

enum eg_status eg__split_space_open(size_t n, size_t n_classes, struct eg_split_space *space,
                                    struct eg_error *err)
{
    struct eg_split_space s;
    s.bits = eg__zalloc(n / 64 + 1, sizeof *s.bits);
    s.slot = eg__alloc(n, sizeof *s.slot);
    s.next = eg__alloc(n, sizeof *s.next);
    s.kept = eg__alloc(n, sizeof *s.kept);
    s.left = eg__zalloc(n_classes, sizeof *s.left);
    s.seen = eg__zalloc(n_classes, sizeof *s.seen);
    *space = s;
    return s.bits && s.slot && s.next && s.kept && s.left && s.seen ? EG_OK
                                                                    : eg__fail_memory(err, "the forest");
}

void eg__split_space_close(struct eg_split_space *space)
{
    free(space->bits);
    free(space->slot);
    free(space->next);
    free(space->kept);
    free(space->left);
    free(space->seen);
    *space = (struct eg_split_space){0};
}

/* What lies left of the step that a scan has come to. Right of it are the totals T less what is
 * left: sum (T - L)^2 = sum T^2 - 2 sum T L + sum L^2. */
struct sweep {
    const double *total, *class_weight;
    double *left;
    double weight, squares;                        /* of the node */
    double left_weight, left_squares, left_totals; /* sum L, L^2, T L */
    double best, best_share;                       /* the best score is their quotient */
    uint32_t last, rank;
    bool any, found;
};

static inline void come_to(struct sweep *s, uint32_t rank)
{
    if (s->any) {
        const double right_weight = s->weight - s->left_weight,
                     right_squares = s->squares - 2 * s->left_totals + s->left_squares,
                     score = s->left_squares * right_weight + right_squares * s->left_weight,
                     share = s->left_weight * right_weight;
        if (score * s->best_share > s->best * share) {
            s->best = score;
            s->best_share = share;
            s->rank = s->last + (rank - s->last) / 2;
            s->found = true;
        }
    }
    s->last = rank;
    s->any = true;
}

static inline void add(struct sweep *s, uint32_t payload)
{
    const uint32_t k = payload >> EG_DRAWN_BITS;
    const double w = (payload & 255) * s->class_weight[k], before = s->left[k];
    s->left_squares += w * (2 * before + w);
    s->left_totals += w * s->total[k];
    s->left_weight += w;
    s->left[k] = before + w;
}

static void few(struct sweep *s, const struct eg_node_rows *node, const uint32_t *ranks)
{
    uint64_t keys[FEW];
    for (size_t i = 0; i < node->n; i++) {
        uint64_t key = (uint64_t)ranks[i] << 32 | node->rows[i].payload;
        size_t j = i;
        for (; j && keys[j - 1] > key; j--) keys[j] = keys[j - 1];
        keys[j] = key;
    }
    for (size_t i = 0; i < node->n; i++) {
        const uint32_t rank = (uint32_t)(keys[i] >> 32);
        if (!i || rank != s->last) come_to(s, rank);
        add(s, (uint32_t)keys[i]);
    }
}

/* All rows of the common rank at once: what the others leave of the totals. */
static void add_common(struct sweep *s, uint32_t common, double *seen, size_t n_classes)
{
    come_to(s, common);
    s->left_weight = s->left_squares = s->left_totals = 0;
    for (size_t k = 0; k < n_classes; k++) {
        const double left = s->left[k] += s->total[k] - seen[k];
        s->left_weight += left;
        s->left_squares += left * left;
        s->left_totals += left * s->total[k];
    }
}

/* Ranks that occur are bits of a map, rows of one rank a chain; read in order, the map sorts. */
static inline __attribute__((always_inline)) void many(struct sweep *s, const struct eg_node_rows *node,
                                                       const void *column, bool wide, uint32_t common,
                                                       size_t n_classes, struct eg_split_space *space)
{
    const uint32_t none = EG_NO_RANK;
    size_t low = SIZE_MAX, high = 0, kept = 0;
    for (size_t i = 0; i < node->n; i++) { /* without a branch that nobody can foresee */
        const uint32_t row = node->rows[i].row,
                       rank = wide ? ((const uint32_t *)column)[row] : ((const uint16_t *)column)[row];
        space->kept[kept] = (uint64_t)rank << 32 | i;
        kept += rank != common;
    }
    for (size_t at = 0; at < kept; at++) {
        const uint32_t rank = (uint32_t)(space->kept[at] >> 32), i = (uint32_t)space->kept[at];
        const size_t word = rank / 64;
        const uint64_t bit = (uint64_t)1 << rank % 64, there = space->bits[word];
        space->next[i] = there & bit ? space->slot[rank] : none;
        space->slot[rank] = i;
        space->bits[word] = there | bit;
        low = word < low ? word : low;
        high = word > high ? word : high;
    }
    bool pending = kept < node->n;
    for (size_t at = 0; pending && at < kept; at++) {
        const uint32_t payload = node->rows[(uint32_t)space->kept[at]].payload, k = payload >> EG_DRAWN_BITS;
        space->seen[k] += (payload & 255) * s->class_weight[k];
    }
    for (size_t word = low; word <= high && low != SIZE_MAX; word++) {
        for (uint64_t bits = space->bits[word]; bits; bits &= bits - 1) {
            const uint32_t rank = (uint32_t)(word * 64 + (size_t)__builtin_ctzll(bits));
            if (pending && rank > common) {
                add_common(s, common, space->seen, n_classes);
                pending = false;
            }
            come_to(s, rank);
            for (uint32_t i = space->slot[rank]; i != none; i = space->next[i]) add(s, node->rows[i].payload);
        }
        space->bits[word] = 0;
    }
    if (pending) come_to(s, common);
    if (kept < node->n) memset(space->seen, 0, n_classes * sizeof *space->seen);
}

struct eg_split eg__split_find(const struct eg_ranks *ranks, uint32_t feature,
                               const struct eg_node_rows *node, const double *class_weight, size_t n_classes,
                               struct eg_split_space *space)
{
    const size_t at = (size_t)feature * ranks->n;
    const uint16_t *narrow = (const uint16_t *)ranks->of + at;
    const uint32_t *wide = (const uint32_t *)ranks->of + at;
    struct sweep s = {.total = node->total,
                      .class_weight = class_weight,
                      .left = space->left,
                      .weight = node->weight,
                      .squares = node->squares,
                      .best = -1,
                      .best_share = 1};
    if (node->n < FEW) {
        uint32_t own[FEW];
        for (size_t i = 0; i < node->n; i++)
            own[i] = ranks->wide ? wide[node->rows[i].row] : narrow[node->rows[i].row];
        few(&s, node, own);
    } else if (ranks->wide)
        many(&s, node, wide, true, ranks->common[feature], n_classes, space);
    else
        many(&s, node, narrow, false, ranks->common[feature], n_classes, space);
    if (node->n < n_classes && node->n < FEW)
        for (size_t i = 0; i < node->n; i++) space->left[node->rows[i].payload >> EG_DRAWN_BITS] = 0;
    else
        memset(space->left, 0, n_classes * sizeof *space->left);
    return (struct eg_split){s.found ? s.best / s.best_share : -INFINITY, feature, s.rank};
}
