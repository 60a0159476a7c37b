/* sample/sample.c: what is refused before learning, and the digest of the rows that are learned from. */
#include <string.h>

#include "check.h"

#include "sample/sample.h"

static const char *const classes[] = {"cat", "dog", "cow"};

static enum eg_status check(const int32_t *labels, size_t n, unsigned folds, struct eg_error *err)
{
    return eg__sample_check(labels, n, classes, 3, 0, folds, err);
}

static void what_cannot_be_learned_is_refused_by_name(void **state)
{
    (void)state;
    struct eg_error err;
    const int32_t none[] = {-1, -1, -1}, one[] = {1, 1, -1, 1},
                  few[] = {0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 2, 2, 2, 2};
    assert_int_equal(check(none, 3, 2, &err), EG_E_ARGUMENT);
    assert_non_null(strstr(err.message, "no photo has a label"));
    assert_int_equal(check(one, 4, 2, &err), EG_E_ARGUMENT);
    assert_non_null(strstr(err.message, "'dog' is the only class"));
    assert_int_equal(check(few, 14, 5, &err), EG_E_ARGUMENT); /* of 6 cows a quarter, 2, is kept */
    assert_int_equal(err.reason, EG_REASON_FEW_ROWS);
    assert_non_null(strstr(err.message, "class 'cow' has 6 photos, which leaves 4"));
    assert_int_equal(check(few, 14, 4, &err), EG_OK);
    assert_int_equal(check(few, 14, 0, &err), EG_OK);
}

static void the_digest_is_of_the_rows_that_count_in_any_order(void **state)
{
    (void)state;
    uint8_t hashes[4][32], swapped[4][32];
    const uint8_t all[4] = {0}, last_not[4] = {0, 0, 0, 1};
    char whole[65], part[65], other[65];
    for (size_t i = 0; i < sizeof hashes; i++) (&hashes[0][0])[i] = (uint8_t)(i * 41 + i / 7);
    memcpy(swapped, hashes, sizeof hashes);
    memcpy(swapped[0], hashes[2], 32);
    memcpy(swapped[2], hashes[0], 32);
    eg_hashes a = (eg_hashes)hashes, b = (eg_hashes)swapped;
    assert_int_equal(eg__rows_digest(a, all, 4, false, whole, NULL), EG_OK);
    assert_int_equal(eg__rows_digest(a, last_not, 4, false, part, NULL), EG_OK);
    assert_string_not_equal(whole, part);
    assert_int_equal(eg__rows_digest(a, all, 3, false, other, NULL), EG_OK); /* as if it were not there */
    assert_string_equal(part, other);
    assert_int_equal(eg__rows_digest(b, all, 4, false, other, NULL), EG_OK);
    assert_string_equal(whole, other);
    assert_int_equal(eg__rows_digest(a, all, 4, true, whole, NULL), EG_OK); /* the old rule */
    assert_int_equal(eg__rows_digest(b, all, 4, true, other, NULL), EG_OK);
    assert_string_not_equal(whole, other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_cannot_be_learned_is_refused_by_name),
        cmocka_unit_test(the_digest_is_of_the_rows_that_count_in_any_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
