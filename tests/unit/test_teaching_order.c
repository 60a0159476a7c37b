/* Which photos to label next: unsure ones first, and not the same one over and over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engraft.h"

enum { N = 6, K = 3 };
/* margins .8, .1, .1, .1, .5, 0 */
static const float probabilities[N][K] = {{.9F, .1F, 0},     {.5F, .4F, .1F}, {.5F, .4F, .1F},
                                          {.45F, .35F, .2F}, {.7F, .2F, .1F}, {.5F, .5F, 0}};

static void test_the_least_sure_come_first(void **state)
{
    (void)state;
    size_t order[N];
    assert_int_equal(eg_teaching_order(probabilities[0], N, K, NULL, 0, 0, order, NULL), EG_OK);
    assert_int_equal(order[0], 5); /* then 1, 2 and 3, whose margins differ by rounding at most */
    assert_int_equal(order[4], 4);
    assert_int_equal(order[5], 0);
}

/* 1 and 2 are one photo twice; 3 is as unsure and looks otherwise. */
static void test_alike_ones_wait(void **state)
{
    (void)state;
    const float features[N][2] = {{1, 0}, {0, 2}, {0, 1}, {1, 0}, {1, 1}, {0, 3}};
    size_t order[N];
    assert_int_equal(eg_teaching_order(probabilities[0], N, K, features[0], 2, 2, order, NULL), EG_OK);
    assert_int_equal(order[0], 5);
    assert_int_equal(order[1], 3); /* 1, 2 look as 5 does */
    bool seen[N] = {false};
    for (size_t i = 0; i < N; i++) {
        assert_false(seen[order[i]]);
        seen[order[i]] = true;
    }
    assert_int_equal(order[5], 0);
}

static void test_ends(void **state)
{
    (void)state;
    struct eg_error err;
    size_t order[1];
    assert_int_equal(eg_teaching_order(NULL, 0, K, NULL, 0, 0, order, &err), EG_OK);
    assert_int_equal(eg_teaching_order(probabilities[0], 1, 0, NULL, 0, 0, order, &err), EG_E_ARGUMENT);
    assert_int_equal(eg_teaching_order(probabilities[0], 1, 1, NULL, 0, 0, order, &err), EG_OK);
    assert_int_equal(order[0], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_the_least_sure_come_first),
                                       cmocka_unit_test(test_alike_ones_wait), cmocka_unit_test(test_ends)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
