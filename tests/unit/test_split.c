/* sample/split.c: which side a photo is on is a function of the photo. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

#include "base/file.h"
#include "base/rng.h"
#include "sample/sample.h"

enum { N = 150, K = 4 };

static const char *const names[] = {"a", "b", "c", "d"};

/* The contents of photo number i. */
static void photo(int i, uint8_t hash[32]) { assert_int_equal(eg__sha256(&i, sizeof i, hash, NULL), EG_OK); }

static void make_rows(int32_t *labels, uint8_t (*hashes)[32])
{
    for (int i = 0; i < N; i++) {
        labels[i] = i < 70 ? 0 : i < 110 ? 1 : i < 147 ? 2 : 3;
        photo(i, hashes[i]);
    }
}

static void split_is_stratified(void **state)
{
    (void)state;
    int32_t labels[N];
    uint8_t part[N], other[N], hashes[N][32];
    int count[K][2] = {{0}};
    make_rows(labels, hashes);
    assert_int_equal(eg__split((eg_hashes)hashes, labels, N, K, 0.25, 7, part, NULL), EG_OK);
    for (int i = 0; i < N; i++) count[labels[i]][part[i]]++;
    assert_int_equal(count[0][1], 18); /* 17.5 */
    assert_int_equal(count[1][1], 10);
    assert_int_equal(count[2][1], 9); /* 9.25 */
    assert_int_equal(count[3][1], 1); /* 0.75 */
    assert_int_equal(eg__split((eg_hashes)hashes, labels, N, K, 0.25, 8, other, NULL), EG_OK);
    assert_memory_not_equal(part, other, N);
}

static void every_class_keeps_a_training_row(void **state)
{
    (void)state;
    int32_t labels[6] = {0, 0, 0, 0, 1, 1};
    uint8_t part[6], hashes[6][32];
    for (int i = 0; i < 6; i++) photo(i, hashes[i]);
    assert_int_equal(eg__split((eg_hashes)hashes, labels, 6, 2, 0.99, 1, part, NULL), EG_OK);
    assert_int_equal(part[0] + part[1] + part[2] + part[3], 3);
    assert_int_equal(part[4] + part[5], 1);
    /* class 1 only beside class 0, in one group of many */
    for (int i = 2; i < 6; i++) memcpy(hashes[i], hashes[5], 32);
    for (uint64_t seed = 0; seed < 16; seed++) {
        assert_int_equal(eg__split((eg_hashes)hashes, labels, 6, 2, 0.9, seed, part, NULL), EG_OK);
        assert_true(!part[4] && !part[5]);
    }
}

/* Rows of a thousand photos in any order, with any numbering of the classes. */
struct listing {
    int32_t labels[1000];
    int photos[1000];
    uint8_t hashes[1000][32], part[1000], fold[1000];
};

static void take_sides(struct listing *l)
{
    for (int i = 0; i < 1000; i++) photo(l->photos[i], l->hashes[i]);
    assert_int_equal(eg__split((eg_hashes)l->hashes, l->labels, 1000, K, 0.25, 3, l->part, NULL), EG_OK);
    assert_int_equal(eg__folds((eg_hashes)l->hashes, l->labels, 1000, names, K, 5, 3, l->fold, NULL), EG_OK);
}

static void order_is_nothing(void **state)
{
    (void)state;
    static struct listing one, other;
    size_t order[1000];
    struct eg_rng rng;
    eg__rng_init(&rng, 2, 0);
    for (int i = 0; i < 1000; i++) {
        one.photos[i] = i;
        one.labels[i] = i * i % K;
        order[i] = (size_t)i;
    }
    eg__rng_shuffle(&rng, order, 1000);
    for (int i = 0; i < 1000; i++) {
        other.photos[i] = (int)order[i];
        other.labels[i] = one.labels[order[i]];
    }
    take_sides(&one);
    take_sides(&other);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(other.part[i], one.part[order[i]]);
        assert_int_equal(other.fold[i], one.fold[order[i]]);
    }
}

/* 20 of 1000 photos are others or of another class: no more than one of those that stay changes
 * sides for each that came or went from a class. */
static void photos_keep_their_sides(void **state)
{
    (void)state;
    static struct listing before, after;
    for (int i = 0; i < 1000; i++) {
        before.photos[i] = i;
        before.labels[i] = i % K;
    }
    take_sides(&before);
    int worst = 0;
    for (int trial = 0; trial < 20; trial++) {
        int moved = 0;
        after = before;
        for (int c = 0; c < 20; c++) {
            int i = (trial * 37 + c * 49) % 1000;
            if (c % 2)
                after.photos[i] = 10000 + trial * 100 + c;
            else
                after.labels[i] = (after.labels[i] + 1) % K;
        }
        take_sides(&after);
        for (int i = 0; i < 1000; i++)
            moved += after.photos[i] == before.photos[i] && after.labels[i] == before.labels[i] &&
                     after.part[i] != before.part[i];
        worst = moved > worst ? moved : worst;
    }
    assert_in_range(worst, 1, 20);
    /* one more photo: one of each class at the most */
    static uint8_t hashes[1001][32], part[1001];
    static int32_t labels[1001];
    memcpy(hashes, before.hashes, sizeof before.hashes);
    memcpy(labels, before.labels, sizeof before.labels);
    for (int extra = 0; extra < 50; extra++) {
        int moved = 0;
        photo(5000 + extra, hashes[1000]);
        labels[1000] = extra % K;
        assert_int_equal(eg__split((eg_hashes)hashes, labels, 1001, K, 0.25, 3, part, NULL), EG_OK);
        for (int i = 0; i < 1000; i++) moved += part[i] != before.part[i];
        assert_in_range(moved, 0, 1);
    }
}

static void copies_stay_together(void **state)
{
    (void)state;
    int32_t labels[N];
    uint8_t part[N], fold[N], hashes[N][32];
    make_rows(labels, hashes);
    for (int i = 0; i < N - 4; i += 2) memcpy(hashes[i + 1], hashes[i], 32);
    memcpy(hashes[100], hashes[20], 32); /* in two classes */
    memcpy(hashes[101], hashes[20], 32);
    for (uint64_t seed = 0; seed < 20; seed++) {
        int test = 0;
        assert_int_equal(eg__split((eg_hashes)hashes, labels, N, K, 0.25, seed, part, NULL), EG_OK);
        assert_int_equal(eg__folds((eg_hashes)hashes, labels, N, names, K, 3, seed, fold, NULL), EG_OK);
        for (int i = 0; i < N; i++) {
            test += part[i];
            for (int j = 0; j < i; j++)
                if (!memcmp(hashes[i], hashes[j], 32)) assert_true(part[i] == part[j] && fold[i] == fold[j]);
        }
        assert_in_range(test, 34, 42);
    }
}

static void folds_are_balanced(void **state)
{
    (void)state;
    int32_t labels[N];
    uint8_t fold[N], hashes[N][32];
    int count[K][5] = {{0}};
    make_rows(labels, hashes);
    labels[N - 4] = labels[N - 5] = 3;
    assert_int_equal(eg__folds((eg_hashes)hashes, labels, N, names, K, 5, 3, fold, NULL), EG_OK);
    for (int i = 0; i < N; i++) count[labels[i]][fold[i]]++;
    for (int f = 0; f < 5; f++) {
        assert_int_equal(count[0][f], 14);
        assert_int_equal(count[1][f], 8);
        assert_int_equal(count[2][f], 7);
        assert_int_equal(count[3][f], 1);
    }
    /* six photos in five folds: not the same fold has two in every class */
    enum { CLASSES = 200 };
    static int32_t many[CLASSES * 6];
    static uint8_t folds[CLASSES * 6], prints[CLASSES * 6][32];
    static char texts[CLASSES][8];
    const char *classes[CLASSES];
    int total[5] = {0};
    for (int i = 0; i < CLASSES * 6; i++) {
        many[i] = i / 6;
        photo(i, prints[i]);
        snprintf(texts[i / 6], sizeof texts[0], "c%d", i / 6);
        classes[i / 6] = texts[i / 6];
    }
    assert_int_equal(eg__folds((eg_hashes)prints, many, CLASSES * 6, classes, CLASSES, 5, 3, folds, NULL),
                     EG_OK);
    for (int i = 0; i < CLASSES * 6; i++) total[folds[i]]++;
    for (int f = 0; f < 5; f++) assert_in_range(total[f], 210, 270);
}

static void groups_stay_whole(void **state)
{
    (void)state;
    enum { ROWS = 600, GROUPS = 90 };
    static uint8_t identity[ROWS][32];
    int32_t labels[ROWS], groups[ROWS];
    uint8_t fold[ROWS], part[ROWS];
    struct eg_rng rng;
    eg__rng_init(&rng, 5, 0);
    for (int i = 0; i < ROWS; i++) {
        groups[i] = (int32_t)eg__rng_below(&rng, GROUPS) * 1000 - 7;
        labels[i] = groups[i] % 3 ? (groups[i] % 3 + 3) % 3 : (int32_t)(i % 3);
        photo(groups[i], identity[i]);
    }
    assert_int_equal(eg__folds((eg_hashes)identity, labels, ROWS, names, 3, 5, 1, fold, NULL), EG_OK);
    assert_int_equal(eg__split((eg_hashes)identity, labels, ROWS, 3, 0.25, 1, part, NULL), EG_OK);
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
    assert_in_range(test, 130, 170);
}

static void groups_are_told_by_paths(void **state)
{
    (void)state;
    const char *const paths[] = {"a/p12_1.png", "b/p3_2.png", "b/p12_2.png",
                                 "b/q.png",     "a/p3_9.png", "c/q.png"};
    int32_t groups[6];
    uint8_t identity[6][32] = {{0}}, p12[32], none[32] = {0};
    assert_int_equal(eg__groups("(p[0-9]+)_", paths, 6, groups, identity, NULL), EG_OK);
    const int32_t patients[6] = {0, 1, 0, 2, 1, 3}; /* "p12", "p3", then those that do not match */
    assert_memory_equal(groups, patients, sizeof groups);
    assert_int_equal(eg__sha256("p12", 3, p12, NULL), EG_OK);
    assert_memory_equal(identity[0], p12, 32);
    assert_memory_equal(identity[2], p12, 32);
    assert_memory_equal(identity[3], none, 32);
    assert_memory_equal(identity[1], identity[4], 32);
    assert_int_equal(eg__groups("^[ab]/.{1,2}", paths, 6, groups, NULL, NULL), EG_OK);
    const int32_t starts[6] = {0, 3, 2, 4, 1, 5}; /* "a/p1", "a/p3", "b/p1", "b/p3", "b/q.", none */
    assert_memory_equal(groups, starts, sizeof groups);
    assert_int_equal(eg__groups("^(x)?.*q", paths, 6, groups, NULL, NULL), EG_OK);
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
        assert_true(eg__groups(bad[i].pattern, paths, 2, groups, NULL, &err));
        if (!strstr(err.message, bad[i].says)) fail_msg("'%s' has no '%s'", err.message, bad[i].says);
    }
}

static void bad_input_is_refused(void **state)
{
    (void)state;
    int32_t labels[4] = {0, 1, 0, 2};
    uint8_t part[4], hashes[6][32];
    struct eg_error err;
    for (int i = 0; i < 6; i++) photo(i, hashes[i]);
    eg_hashes h = (eg_hashes)hashes;
    assert_int_equal(eg__split(h, labels, 4, 2, 0.5, 0, part, &err), EG_E_ARGUMENT);
    assert_non_null(strstr(err.message, "label 2"));
    assert_int_equal(eg__split(h, labels, 4, 3, 1.5, 0, part, &err), EG_E_ARGUMENT);
    assert_int_equal(eg__split(h, labels, 1, 3, 0.5, 0, part, &err), EG_E_ARGUMENT);
    assert_int_equal(eg__folds(h, labels, 4, names, 3, 1, 0, part, &err), EG_E_ARGUMENT);
    assert_int_equal(eg__folds(h, labels, 4, names, 3, 5, 0, part, &err), EG_E_ARGUMENT);
    assert_int_equal(eg__folds(h, labels, 4, names, 3, 2, 0, part, &err), EG_E_ARGUMENT);
    assert_non_null(strstr(err.message, "class 'b' has 1 training photos, fewer than the 2"));
    int32_t two[6] = {0, 0, 1, 1, 1, 1};
    uint8_t fold[6];
    memcpy(hashes[1], hashes[0], 32);
    assert_int_equal(eg__folds(h, two, 6, names, 2, 2, 0, fold, &err), EG_E_ARGUMENT);
    assert_non_null(strstr(err.message, "class 'a' are of one group or the same photo"));
}

/* These vectors are a promise: models of today have to find their test rows with every later version. */
static void splits_are_those_of_always(void **state)
{
    (void)state;
    int32_t labels[40], groups[40];
    uint8_t part[41] = {0}, fold[41] = {0}, old[41] = {0}, old_groups[41] = {0}, hashes[40][32];
    for (int i = 0; i < 40; i++) {
        labels[i] = i % 3;
        groups[i] = i / 4;
        memset(hashes[i], i, 32);
    }
    assert_int_equal(eg__split((eg_hashes)hashes, labels, 40, 3, 0.25, 5, part, NULL), EG_OK);
    assert_int_equal(eg__folds((eg_hashes)hashes, labels, 40, names, 3, 5, 5, fold, NULL), EG_OK);
    assert_int_equal(eg__split_by_order(labels, 40, 3, NULL, 0.25, 5, old, NULL), EG_OK);
    assert_int_equal(eg__split_by_order(labels, 40, 3, groups, 0.25, 5, old_groups, NULL), EG_OK);
    for (int i = 0; i < 40; i++) {
        part[i] = (uint8_t)(part[i] + '0');
        fold[i] = (uint8_t)(fold[i] + '0');
        old[i] = (uint8_t)(old[i] + '0');
        old_groups[i] = (uint8_t)(old_groups[i] + '0');
    }
    assert_string_equal((char *)part, "1010001000000101000010000000000111100000");
    assert_string_equal((char *)fold, "0301234414220202444131403013111332143022");
    assert_string_equal((char *)old, "1101000000100001010000010000010101000000");
    assert_string_equal((char *)old_groups, "0000000011110000000000000000111100001111");
}

static void filters_know_their_rows(void **state)
{
    (void)state;
    enum { ROWS = 2000 };
    static uint8_t hashes[ROWS][32], others[ROWS][32], known[ROWS];
    char *filter;
    struct eg_error err;
    for (int i = 0; i < ROWS; i++) {
        photo(i, hashes[i]);
        photo(-1 - i, others[i]);
    }
    assert_int_equal(eg__filter_make((eg_hashes)hashes, ROWS, &filter, NULL), EG_OK);
    assert_in_range(strlen(filter), ROWS * 10 / 4, ROWS * 10 / 4 + 20);
    assert_int_equal(eg__filter_find(filter, (eg_hashes)hashes, ROWS, known, NULL), EG_OK);
    for (int i = 0; i < ROWS; i++) assert_int_equal(known[i], 1);
    int wrong = 0;
    assert_int_equal(eg__filter_find(filter, (eg_hashes)others, ROWS, known, NULL), EG_OK);
    for (int i = 0; i < ROWS; i++) wrong += known[i];
    assert_in_range(wrong, 2, 40); /* 0.8 % */
    filter[7] = 'x';
    assert_int_equal(eg__filter_find(filter, (eg_hashes)others, 1, known, &err), EG_E_FORMAT);
    assert_int_equal(eg__filter_find("", (eg_hashes)others, 1, known, &err), EG_E_FORMAT);
    free(filter);
    assert_int_equal(eg__filter_make((eg_hashes)hashes, 0, &filter, NULL), EG_OK);
    assert_int_equal(eg__filter_find(filter, (eg_hashes)hashes, 1, known, NULL), EG_OK);
    assert_int_equal(known[0], 0);
    free(filter);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(split_is_stratified),        cmocka_unit_test(every_class_keeps_a_training_row),
        cmocka_unit_test(order_is_nothing),           cmocka_unit_test(photos_keep_their_sides),
        cmocka_unit_test(copies_stay_together),       cmocka_unit_test(folds_are_balanced),
        cmocka_unit_test(groups_stay_whole),          cmocka_unit_test(groups_are_told_by_paths),
        cmocka_unit_test(bad_patterns_are_refused),   cmocka_unit_test(bad_input_is_refused),
        cmocka_unit_test(splits_are_those_of_always), cmocka_unit_test(filters_know_their_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
