/* eval/confident, lookalike, outliers on numbers made here. */
#include "check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "eval/confident.h"
#include "eval/lookalike.h"
#include "eval/outliers.h"

/* Thresholds are the classes' mean confidence: .6 and .8 (row 3 belongs to class 1). */
static void a_label_is_suspected_past_the_other_class_threshold(void **state)
{
    (void)state;
    static const float p[] = {0.9f, 0.1f, 0.1f, 0.9f, 0.8f, 0.2f, 0.05f, 0.95f, 0.35f, 0.65f, 0.2f, 0.8f};
    static const int32_t labels[] = {0, 0, 0, 1, 1, 1};
    struct eg_suspect *list;
    size_t n;
    assert_int_equal(eg__suspects(p, labels, 6, 2, NULL, &list, &n, NULL), EG_OK);
    assert_int_equal(n, 1); /* row 1: .9 is past .8 */
    assert_int_equal(list[0].row, 1);
    assert_int_equal(list[0].suggestion, 1);
    free(list);
    static const uint8_t confirmed[] = {0, 1, 0, 0, 0, 0};
    assert_int_equal(eg__suspects(p, labels, 6, 2, confirmed, &list, &n, NULL), EG_OK);
    assert_int_equal(n, 0);
    free(list);
}

static void quality_is_self_confidence(void **state)
{
    (void)state;
    static const float p[] = {0.5f, 0.3f, 0.2f, 0.1f, 0.2f, 0.7f};
    static const int32_t labels[] = {1, 0};
    float quality[2];
    eg__label_quality(p, labels, 2, 3, 1, quality);
    assert_float_equal(quality[0], 0.3, 1e-6);
    assert_float_equal(quality[1], 0.1, 1e-6);
    eg__label_quality(p, labels, 2, 3, 2, quality);
    assert_float_equal(quality[0], 0.09f / 0.38f, 1e-6);
}

enum { SIDE = 128 };

/* Smooth hills, different for each seed. */
static uint8_t *scene(int seed, double shift, double scale, bool mirror, double gain)
{
    uint8_t *rgb = malloc(3 * SIDE * SIDE);
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++) {
            double u = ((mirror ? SIDE - 1 - x : x) - 63.5) * scale + shift, v = (y - 63.5) * scale;
            double value = 120 + 40 * sin(u / (7 + seed) + seed) + 40 * cos(v / (9 + 2 * seed) - u / 31) +
                           30 * sin((u + v) / (13 + seed));
            for (int c = 0; c < 3; c++)
                rgb[3 * (y * SIDE + x) + c] = (uint8_t)fmax(0, fmin(255, value * gain));
        }
    return rgb;
}

static double same(uint8_t *a, uint8_t *b)
{
    uint8_t look_a[EG_LOOK_BYTES], look_b[EG_LOOK_BYTES];
    eg__look_of(a, SIDE, SIDE, look_a);
    eg__look_of(b, SIDE, SIDE, look_b);
    free(a);
    free(b);
    return eg__look_same(look_a, look_b);
}

static void copies_are_known_and_others_are_not(void **state)
{
    (void)state;
    assert_true(same(scene(1, 0, 1, false, 1), scene(1, 0, 1, true, 1)) > 0.99);
    assert_true(same(scene(1, 0, 1, false, 1), scene(1, 0, 1, false, 0.9)) > 0.99);
    assert_true(same(scene(1, 0, 1, false, 1), scene(1, 2, 0.95, false, 1)) > 0.97);
    assert_true(same(scene(1, 0, 1, false, 1), scene(4, 0, 1, false, 1)) < 0.9);
    uint8_t *plain = malloc(3 * SIDE * SIDE), *other = malloc(3 * SIDE * SIDE);
    memset(plain, 90, 3 * SIDE * SIDE);
    memset(other, 200, 3 * SIDE * SIDE);
    assert_true(same(plain, other) < 0); /* nothing to see is no likeness */
}

static void odd_photos_are_told_why(void **state)
{
    (void)state;
    enum { N = 12 };
    float nearest[N];
    int32_t labels[N] = {0};
    struct eg_photo_stats stats[N];
    for (int i = 0; i < N; i++) {
        nearest[i] = 0.80f + 0.005f * (float)(i % 5);
        stats[i] = (struct eg_photo_stats){300, 200, 120, 50, 0.4f, 60, true};
    }
    nearest[3] = 0.1f;
    stats[5].mean = 8;
    stats[7].width = 2000;
    stats[9].detail = 0.05f;
    stats[10].colours = 1;
    stats[11].read = false;
    struct eg_odd *odd;
    size_t n, seen[7] = {0};
    assert_int_equal(eg__outliers(nearest, labels, N, 1, stats, &odd, &n, NULL), EG_OK);
    assert_int_equal(n, 5);
    for (size_t i = 0; i < n; i++) seen[odd[i].reason] = odd[i].row;
    assert_int_equal(seen[EG_ODD_FAR], 3);
    assert_int_equal(seen[EG_ODD_DARK], 5);
    assert_int_equal(seen[EG_ODD_SHAPE], 7);
    assert_int_equal(seen[EG_ODD_BLURRED], 9);
    assert_int_equal(seen[EG_ODD_ONE_COLOUR], 10);
    for (size_t i = 1; i < n; i++) assert_true(odd[i].score <= odd[i - 1].score);
    free(odd);
}

/* Another class has to be as sure as its own rows are in the mean: 0.6 is not, where they have 0.9. */
static void a_label_is_doubted_by_what_is_sure_enough(void **state)
{
    (void)state;
    const float p[] = {0.9f, 0.1f, 0.9f, 0.1f, 0.4f, 0.6f, 0.1f, 0.9f, 0.1f, 0.9f, 0.05f, 0.95f};
    const int32_t labels[] = {0, 0, 0, 1, 1, 0};
    struct eg_suspect *list;
    size_t n;
    assert_int_equal(eg__suspects(p, labels, 6, 2, NULL, &list, &n, NULL), EG_OK);
    assert_int_equal(n, 1);
    assert_int_equal(list[0].row, 5);
    assert_int_equal(list[0].suggestion, 1);
    free(list);
}

/* A chessboard of 0 and 100: half the squares each, and every inner one differs from its four neighbours. */
static void photos_are_measured(void **state)
{
    (void)state;
    uint8_t board[4][4][3], plain[3][5][3];
    struct eg_photo_stats stats = {0};
    for (size_t i = 0; i < 16; i++)
        for (size_t c = 0; c < 3; c++) board[i / 4][i % 4][c] = (i / 4 + i % 4) % 2 ? 100 : 0;
    eg__photo_stats(&board[0][0][0], 4, 4, &stats);
    assert_float_equal(stats.mean, 50, 1e-3);
    assert_float_equal(stats.spread, 50, 1e-3);
    assert_float_equal(stats.detail, 400 / 50, 1e-3);
    assert_float_equal(stats.colours, 50, 1e-3);
    assert_true(stats.read);
    for (size_t i = 0; i < 15; i++) memcpy(plain[i / 5][i % 5], ((const uint8_t[3]){200, 100, 50}), 3);
    eg__photo_stats(&plain[0][0][0], 3, 5, &stats);
    assert_float_equal(stats.mean, 0.299f * 200 + 0.587f * 100 + 0.114f * 50, 1e-3);
    assert_float_equal(stats.spread, 0, 1e-2);
    assert_float_equal(stats.detail, 0, 1e-3);
    assert_float_equal(stats.colours, 0, 1e-2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_label_is_suspected_past_the_other_class_threshold),
        cmocka_unit_test(quality_is_self_confidence),
        cmocka_unit_test(copies_are_known_and_others_are_not),
        cmocka_unit_test(a_label_is_doubted_by_what_is_sure_enough),
        cmocka_unit_test(photos_are_measured),
        cmocka_unit_test(odd_photos_are_told_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
