/* learn/split.c: exact stratified counts, whole groups, the same answer for the same seed. */
#include <string.h>

#include "check.h"

#include "base/rng.h"
#include "learn/learn.h"

enum { N = 150, K = 4 };

static void make_labels(int32_t *labels)
{
    for (int i = 0; i < N; i++) labels[i] = i < 70 ? 0 : i < 110 ? 1 : i < 147 ? 2 : 3;
}

static void split_is_stratified(void **state)
{
    (void)state;
    int32_t labels[N];
    uint8_t part[N], again[N], other[N];
    int count[K][2] = {{0}};
    make_labels(labels);
    assert_int_equal(eg__split(labels, N, K, NULL, 0.25, 7, part, NULL), EG_OK);
    for (int i = 0; i < N; i++) count[labels[i]][part[i]]++;
    /* 38 rows: scikit-learn's rounding up; shares 17.7 10.1 9.4 0.8 */
    assert_int_equal(count[0][1], 18);
    assert_int_equal(count[1][1], 10);
    assert_int_equal(count[2][1], 9);
    assert_int_equal(count[3][1], 1);
    assert_int_equal(eg__split(labels, N, K, NULL, 0.25, 7, again, NULL), EG_OK);
    assert_memory_equal(part, again, N);
    assert_int_equal(eg__split(labels, N, K, NULL, 0.25, 8, other, NULL), EG_OK);
    assert_memory_not_equal(part, other, N);
}

static void every_class_keeps_a_training_row(void **state)
{
    (void)state;
    int32_t labels[6] = {0, 0, 0, 0, 1, 1};
    uint8_t part[6];
    assert_int_equal(eg__split(labels, 6, 2, NULL, 0.99, 1, part, NULL), EG_OK);
    assert_int_equal(part[0] + part[1] + part[2] + part[3], 3);
    assert_int_equal(part[4] + part[5], 1);
}

static void folds_are_balanced(void **state)
{
    (void)state;
    int32_t labels[N];
    uint8_t fold[N];
    int count[K][5] = {{0}}, total[5] = {0};
    make_labels(labels);
    labels[N - 4] = labels[N - 5] = 3;
    assert_int_equal(eg__folds(labels, N, K, NULL, 5, 3, fold, NULL), EG_OK);
    for (int i = 0; i < N; i++) {
        count[labels[i]][fold[i]]++;
        total[fold[i]]++;
    }
    for (int f = 0; f < 5; f++) {
        assert_int_equal(total[f], N / 5);
        assert_int_equal(count[0][f], 14);
        assert_int_equal(count[1][f], 8);
        assert_int_equal(count[2][f], 7);
        assert_int_equal(count[3][f], 1);
    }
}

static void groups_stay_whole(void **state)
{
    (void)state;
    enum { ROWS = 600, GROUPS = 90 };
    int32_t labels[ROWS], groups[ROWS];
    uint8_t fold[ROWS], part[ROWS];
    struct eg_rng rng;
    eg__rng_init(&rng, 5, 0);
    for (int i = 0; i < ROWS; i++) {
        groups[i] = (int32_t)eg__rng_below(&rng, GROUPS) * 1000 - 7;
        labels[i] = groups[i] % 3 ? (groups[i] % 3 + 3) % 3 : (int32_t)(i % 3);
    }
    assert_int_equal(eg__folds(labels, ROWS, 3, groups, 5, 1, fold, NULL), EG_OK);
    assert_int_equal(eg__split(labels, ROWS, 3, groups, 0.25, 1, part, NULL), EG_OK);
    int total[5] = {0}, test = 0;
    for (int i = 0; i < ROWS; i++) {
        total[fold[i]]++;
        test += part[i];
        for (int j = 0; j < i; j++)
            if (groups[i] == groups[j]) {
                assert_int_equal(fold[i], fold[j]);
                assert_int_equal(part[i], part[j]);
            }
    }
    for (int f = 0; f < 5; f++) assert_in_range(total[f], 100, 140);
    assert_in_range(test, 135, 165);
}

static void groups_are_told_by_paths(void **state)
{
    (void)state;
    const char *const paths[] = {"a/p12_1.png", "b/p3_2.png", "b/p12_2.png",
                                 "b/q.png",     "a/p3_9.png", "c/q.png"};
    int32_t groups[6];
    assert_int_equal(eg__groups("(p[0-9]+)_", paths, 6, groups, NULL), EG_OK);
    const int32_t patients[6] = {0, 1, 0, 2, 1, 3}; /* "p12", "p3", then those that do not match */
    assert_memory_equal(groups, patients, sizeof groups);
    assert_int_equal(eg__groups("^[ab]/.{1,2}", paths, 6, groups, NULL), EG_OK);
    const int32_t starts[6] = {0, 3, 2, 4, 1, 5}; /* "a/p1", "a/p3", "b/p1", "b/p3", "b/q.", none */
    assert_memory_equal(groups, starts, sizeof groups);
    assert_int_equal(eg__groups("^(x)?.*q", paths, 6, groups, NULL), EG_OK);
    assert_true(groups[3] != groups[5]); /* the parentheses took no part: all that matched */
}

static void bad_patterns_are_refused(void **state)
{
    (void)state;
    const char *const paths[] = {"a/1.png", "a/2.png"};
    char long_one[300];
    memset(long_one, 'a', sizeof long_one);
    long_one[299] = 0;
    const struct {
        const char *pattern, *says;
    } bad[] = {{"", "1 to 255"},
               {long_one, "1 to 255"},
               {"(a", "no regular expression"},
               {"(a)\\1", "refers back"},
               {"((a{20}){20})", "multiply"},
               {"a{300}", "multiply"},
               {"a{-1}", "multiply"},
               {"zebra", "matches no path ('a/1.png' is one)"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int32_t groups[2];
        struct eg_error err;
        assert_true(eg__groups(bad[i].pattern, paths, 2, groups, &err));
        if (!strstr(err.message, bad[i].says)) fail_msg("'%s' has no '%s'", err.message, bad[i].says);
    }
}

static void bad_input_is_refused(void **state)
{
    (void)state;
    int32_t labels[4] = {0, 1, 0, 2}, groups[4] = {1, 1, 1, 1};
    uint8_t part[4];
    struct eg_error err;
    assert_int_equal(eg__split(labels, 4, 2, NULL, 0.5, 0, part, &err), EG_E_ARGUMENT);
    assert_non_null(strstr(err.message, "label 2"));
    assert_int_equal(eg__split(labels, 4, 3, NULL, 1.5, 0, part, &err), EG_E_ARGUMENT);
    assert_int_equal(eg__split(labels, 4, 3, groups, 0.5, 0, part, &err), EG_E_ARGUMENT);
    assert_non_null(strstr(err.message, "1 groups"));
    int32_t three[6] = {0, 0, 1, 1, 1, 1}, of_three[6] = {1, 1, 2, 2, 3, 3};
    uint8_t fold[6];
    assert_int_equal(eg__folds(three, 6, 2, of_three, 2, 0, fold, &err), EG_E_ARGUMENT);
    assert_non_null(strstr(err.message, "class 0 in one fold"));
    assert_int_equal(eg__folds(labels, 4, 3, NULL, 1, 0, part, &err), EG_E_ARGUMENT);
    assert_int_equal(eg__folds(labels, 4, 3, NULL, 5, 0, part, &err), EG_E_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(split_is_stratified),      cmocka_unit_test(every_class_keeps_a_training_row),
        cmocka_unit_test(folds_are_balanced),       cmocka_unit_test(groups_stay_whole),
        cmocka_unit_test(groups_are_told_by_paths), cmocka_unit_test(bad_patterns_are_refused),
        cmocka_unit_test(bad_input_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
