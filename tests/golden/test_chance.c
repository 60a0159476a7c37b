/* Chance is the same for ever: the generator, the split and the folds give the numbers that
 * make_chance.py, which shares no code with them, has printed. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "check.h"

#include "base/file.h"
#include "base/rng.h"
#include "sample/sample.h"

static void generator(void **state)
{
    (void)state;
    static const uint64_t whole[] = {0xa848ad16cc749e70u, 0xbd0203f482df07bu, 0x3bb27e38e5c171ccu,
                                     0x2d6edf3b5a292b4fu};
    static const uint64_t below[] = {756, 940, 503, 143, 534, 359};
    static const size_t shuffled[] = {6, 0, 1, 8, 4, 7, 2, 3, 5, 9};
    size_t items[10];
    struct eg_rng rng;
    eg__rng_init(&rng, 42, 7);
    for (size_t i = 0; i < 4; i++) assert_true(eg__rng_u64(&rng) == whole[i]);
    for (size_t i = 0; i < 6; i++) assert_true(eg__rng_below(&rng, 1000) == below[i]);
    assert_true(eg__rng_uniform(&rng) == 0x1.103422ac1a654p-3);
    assert_true(eg__rng_uniform(&rng) == 0x1.96f9415bdb46ap-1);
    assert_true(fabs(eg__rng_normal(&rng) - 1.6000172103284638) < 1e-12);
    for (size_t i = 0; i < 10; i++) items[i] = i;
    eg__rng_shuffle(&rng, items, 10);
    assert_memory_equal(items, shuffled, sizeof items);
}

static void split_and_folds(void **state)
{
    (void)state;
    enum { N = 40, SEED = 5, FOLDS = 4 };
    static const char *const classes[] = {"a", "b", "c"};
    static const char parts[] = "0000100001101001010000000000000000011110",
                      folds[] = "1311320213003232321100233010002101132023";
    uint8_t identity[N][32], part[N], fold[N];
    int32_t labels[N];
    char name[16];
    for (int i = 0; i < N; i++) {
        labels[i] = i % 3;
        snprintf(name, sizeof name, "row %d", i);
        assert_int_equal(eg__sha256(name, strlen(name), identity[i], NULL), EG_OK);
    }
    assert_int_equal(eg__split((eg_hashes)identity, labels, N, 3, 0.25, SEED, part, NULL), EG_OK);
    assert_int_equal(eg__folds((eg_hashes)identity, labels, N, classes, 3, FOLDS, SEED, fold, NULL), EG_OK);
    for (int i = 0; i < N; i++) {
        assert_int_equal(part[i], parts[i] - '0');
        assert_int_equal(fold[i], folds[i] - '0');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(generator),
        cmocka_unit_test(split_and_folds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
