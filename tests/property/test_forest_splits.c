/* learn/: the best split of a node, against all splits tried one by one. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

#include "base/rng.h"
#include "learn/forest.h"

enum { CLASSES = 7 };

/* Sum of squares over weight, left and right, if rows up to `rank` go left. */
static double score_of(const struct eg_drawn *rows, size_t n, const uint32_t *ranks, uint32_t rank,
                       const double *class_weight)
{
    double sums[2][CLASSES] = {{0}}, weight[2] = {0}, squares[2] = {0};
    for (size_t i = 0; i < n; i++) {
        size_t k = rows[i].payload >> EG_DRAWN_BITS, right = ranks[rows[i].row] > rank;
        double w = (rows[i].payload & 255) * class_weight[k];
        sums[right][k] += w;
        weight[right] += w;
    }
    for (size_t side = 0; side < 2; side++)
        for (size_t k = 0; k < CLASSES; k++) squares[side] += sums[side][k] * sums[side][k];
    if (!(weight[0] > 0) || !(weight[1] > 0)) return -INFINITY;
    return squares[0] / weight[0] + squares[1] / weight[1];
}

/* One node of n rows among `all`; a part of the ranks is one rank, as zeros are behind a ReLU. */
static void compare(struct eg_rng *rng, size_t n, size_t all, uint32_t distinct, double share_common,
                    bool wide)
{
    uint32_t *ranks = calloc(all, sizeof *ranks), common = (uint32_t)eg__rng_below(rng, distinct);
    uint16_t *narrow = calloc(all, sizeof *narrow);
    struct eg_drawn *rows = calloc(n, sizeof *rows);
    double class_weight[CLASSES], total[CLASSES] = {0}, weight = 0, squares = 0, best = -INFINITY;
    assert_true(ranks && narrow && rows);
    for (size_t k = 0; k < CLASSES; k++) class_weight[k] = k % 2 ? 1 : 0.7;
    for (size_t i = 0; i < all; i++) {
        ranks[i] = eg__rng_uniform(rng) < share_common ? common : (uint32_t)eg__rng_below(rng, distinct);
        narrow[i] = (uint16_t)ranks[i];
    }
    for (size_t i = 0; i < n; i++) {
        const uint32_t k = (uint32_t)eg__rng_below(rng, CLASSES), drawn = 1 + (uint32_t)eg__rng_below(rng, 4);
        rows[i] = (struct eg_drawn){(uint32_t)(i * (all / n)), k << EG_DRAWN_BITS | drawn};
        total[k] += drawn * class_weight[k];
    }
    for (size_t k = 0; k < CLASSES; k++) {
        weight += total[k];
        squares += total[k] * total[k];
    }
    for (uint32_t rank = 0; rank < distinct; rank++)
        best = fmax(best, score_of(rows, n, ranks, rank, class_weight));
    struct eg_ranks source = {
        .n = all, .d = 1, .wide = wide, .of = wide ? (void *)ranks : (void *)narrow, .common = &common};
    struct eg_node_rows node = {rows, n, total, weight, squares};
    struct eg_split_space space;
    assert_int_equal(eg__split_space_open(all, CLASSES, &space, NULL), EG_OK);
    for (int again = 0; again < 2; again++) { /* the work space is as it was */
        struct eg_split split = eg__split_find(&source, 0, &node, class_weight, CLASSES, &space);
        if (best == -INFINITY) {
            assert_true(split.score == -INFINITY);
            continue;
        }
        double there = score_of(rows, n, ranks, split.rank, class_weight);
        if (fabs(split.score - best) > 1e-9 * best || fabs(there - best) > 1e-9 * best)
            fail_msg("%zu rows, %u ranks: %.12g at %u, which is %.12g; the best is %.12g", n, distinct,
                     split.score, split.rank, there, best);
    }
    eg__split_space_close(&space);
    free(ranks);
    free(narrow);
    free(rows);
}

static void splits_are_the_best(void **state)
{
    (void)state;
    static const size_t sizes[] = {2, 3, 31, 32, 33, 200, 1000};
    struct eg_rng rng;
    eg__rng_init(&rng, 3, 0);
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (uint32_t distinct = 1; distinct <= 1000; distinct = distinct < 3 ? distinct + 1 : distinct * 7)
            for (int kind = 0; kind < 6; kind++)
                compare(&rng, sizes[s], 1000, distinct, kind % 3 * 0.45, kind > 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(splits_are_the_best),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
