/* Which photos to label next: unsure ones first, and not the same one over and over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engraft.h"

enum { N = 6, K = 3 };
static const float probabilities[N][K] = {{.9F, .1F, 0},     {.5F, .4F, .1F}, {.5F, .4F, .1F},
                                          {.45F, .35F, .2F}, {.7F, .2F, .1F}, {.5F, .5F, 0}};

static void test_the_least_sure_come_first(void **state)
{
    (void)state;
    size_t order[N];
    assert_int_equal(eg_teaching_order(probabilities[0], N, K, NULL, 0, 0, order, NULL), EG_OK);
    const size_t expected[N] = {3, 1, 2, 5, 4, 0}; /* of equals the earlier */
    assert_memory_equal(order, expected, sizeof order);
}

/* 1 and 2 look as 3 does, which is the least sure; 5 is as sure as they are and looks otherwise. */
static void test_alike_ones_wait(void **state)
{
    (void)state;
    const float features[N][2] = {{1, 0}, {0, 2}, {0, 1}, {0, 3}, {1, 1}, {1, 0}};
    const size_t expected[N] = {3, 5, 1, 2, 4, 0}, unlike[N] = {0, 1, 4, 2, 3, 5};
    size_t order[N];
    assert_int_equal(eg_teaching_order(probabilities[0], N, K, features[0], 2, 2, order, NULL), EG_OK);
    assert_memory_equal(order, expected, sizeof order);
    assert_int_equal(eg_teaching_order(NULL, N, 0, features[0], 2, 3, order, NULL), EG_OK);
    assert_memory_equal(order, unlike,
                        sizeof order); /* nothing is known: two that differ, what lies between */
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
