/* image/augment.c: views are reproducible, differ between epochs, and are of the photo. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

#include "base/file.h"
#include "image/augment.h"

enum { SIDE = 48, BYTES = SIDE * SIDE * 3 };
static const char recipe_json[] = "{\"resize\": \"short\", \"size\": 56, \"crop\": [48, 48]}";

static void view(const char *name, enum eg_augment level, uint64_t seed, size_t image, size_t epoch,
                 uint8_t *out)
{
    char path[1024];
    struct eg_mapping file;
    struct eg_recipe recipe;
    snprintf(path, sizeof path, EG_SOURCE_DIR "/tests/golden/photos/%s", name);
    assert_int_equal(eg__map_file(path, &file, NULL), EG_OK);
    assert_int_equal(eg__recipe_parse(recipe_json, &recipe, NULL), EG_OK);
    assert_int_equal(eg__augment_input(file.bytes, file.size, &recipe, level, seed, image, epoch, out, NULL),
                     EG_OK);
    eg__unmap_file(&file);
}

static double mean_difference(const uint8_t *a, const uint8_t *b)
{
    double sum = 0;
    for (size_t i = 0; i < BYTES; i++) sum += abs((int)a[i] - b[i]);
    return sum / BYTES;
}

static void a_view_belongs_to_seed_image_and_epoch(void **state)
{
    (void)state;
    uint8_t first[BYTES], again[BYTES], other[BYTES];
    for (enum eg_augment level = EG_AUGMENT_LIGHT; level <= EG_AUGMENT_STANDARD; level++) {
        view("large-1.jpg", level, 5, 17, 3, first);
        view("large-1.jpg", level, 5, 17, 3, again);
        assert_memory_equal(first, again, BYTES);
        view("large-1.jpg", level, 6, 17, 3, other);
        assert_true(mean_difference(first, other) > 1);
        view("large-1.jpg", level, 5, 18, 3, other);
        assert_true(mean_difference(first, other) > 1);
        view("large-1.jpg", level, 5, 17, 4, other);
        assert_true(mean_difference(first, other) > 1);
    }
}

static void none_is_the_recipe(void **state)
{
    (void)state;
    uint8_t plain[BYTES], first[BYTES], second[BYTES];
    struct eg_mapping file;
    struct eg_recipe recipe;
    assert_int_equal(eg__map_file(EG_SOURCE_DIR "/tests/golden/photos/large-1.jpg", &file, NULL), EG_OK);
    assert_int_equal(eg__recipe_parse(recipe_json, &recipe, NULL), EG_OK);
    assert_int_equal(eg__photo_input(file.bytes, file.size, &recipe, plain, NULL), EG_OK);
    eg__unmap_file(&file);
    view("large-1.jpg", EG_AUGMENT_NONE, 1, 2, 3, first);
    view("large-1.jpg", EG_AUGMENT_NONE, 4, 5, 6, second);
    assert_memory_equal(plain, first, BYTES);
    assert_memory_equal(plain, second, BYTES);
}

/* The same picture stored upright and stored turned gives the same views. */
static void the_photo_is_oriented_before_it_is_cut(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {{"exif.png", "upright-6.png"}, {"exif.webp", "upright-8.png"}};
    uint8_t turned[BYTES], upright[BYTES];
    for (size_t i = 0; i < 2; i++)
        for (enum eg_augment level = EG_AUGMENT_LIGHT; level <= EG_AUGMENT_STANDARD; level++)
            for (size_t epoch = 0; epoch < 12; epoch++) {
                view(pairs[i][0], level, 1, 0, epoch, turned);
                view(pairs[i][1], level, 1, 0, epoch, upright);
                assert_memory_equal(turned, upright, BYTES);
            }
}

static void standard_views_stay_near_the_photo(void **state)
{
    (void)state;
    uint8_t plain[BYTES], seen[BYTES];
    double mean_plain = 0, mean_seen = 0;
    view("large-1.jpg", EG_AUGMENT_NONE, 0, 0, 0, plain);
    for (size_t i = 0; i < BYTES; i++) mean_plain += plain[i];
    for (size_t epoch = 0; epoch < 40; epoch++) {
        view("large-1.jpg", EG_AUGMENT_STANDARD, 9, 0, epoch, seen);
        for (size_t i = 0; i < BYTES; i++) mean_seen += seen[i];
    }
    double ratio = mean_seen / 40 / mean_plain;
    assert_true(ratio > 0.85 && ratio < 1.15);
}

/* ---- what a view does, seen on pictures of two colours ---------------------------------------------- */

enum { WIDE = 200, FILE_BYTES = 54 + WIDE * WIDE * 3 };

/* A BMP, left of the middle of one colour and right of the other. */
static void make_halves(const uint8_t left[3], const uint8_t right[3], uint8_t *file)
{
    const uint32_t size = FILE_BYTES, at = 54, header = 40, side = WIDE;
    memset(file, 0, 54);
    memcpy(file, "BM", 2);
    memcpy(file + 2, &size, 4);
    memcpy(file + 10, &at, 4);
    memcpy(file + 14, &header, 4);
    memcpy(file + 18, &side, 4);
    memcpy(file + 22, &side, 4);
    file[26] = 1;
    file[28] = 24;
    for (size_t i = 0; i < WIDE * WIDE; i++)
        for (size_t c = 0; c < 3; c++) file[54 + 3 * i + c] = (i % WIDE < WIDE / 2 ? left : right)[2 - c];
}

static void view_of(const uint8_t *file, enum eg_augment level, size_t epoch, uint8_t out[SIDE][SIDE][3])
{
    struct eg_recipe recipe;
    assert_int_equal(eg__recipe_parse(recipe_json, &recipe, NULL), EG_OK);
    assert_int_equal(eg__augment_input(file, FILE_BYTES, &recipe, level, 3, 0, epoch, &out[0][0][0], NULL),
                     EG_OK);
}

/* Where the colours meet in a row, from the left: how much of it is above the middle of both. */
static double bright_part(uint8_t row[SIDE][3], double low, double high)
{
    double sum = 0;
    for (size_t x = 0; x < SIDE; x++) sum += ((double)row[x][1] - low) / (high - low);
    return sum;
}

static void half_of_the_views_are_mirrored(void **state)
{
    (void)state;
    static uint8_t file[FILE_BYTES], out[SIDE][SIDE][3];
    make_halves((const uint8_t[3]){40, 40, 40}, (const uint8_t[3]){200, 200, 200}, file);
    for (enum eg_augment level = EG_AUGMENT_LIGHT; level <= EG_AUGMENT_STANDARD; level++) {
        int mirrored = 0, seen = 0;
        for (size_t epoch = 0; epoch < 100; epoch++) {
            view_of(file, level, epoch, out);
            int left = out[SIDE / 2][0][0], right = out[SIDE / 2][SIDE - 1][0];
            seen += left != right;
            mirrored += left > right;
        }
        assert_true(seen > 80); /* more than a third of the photo is in a view, mostly with the middle */
        assert_in_range(mirrored, 35 * seen / 100, 65 * seen / 100);
    }
}

static void standard_views_are_turned_and_light_ones_are_not(void **state)
{
    (void)state;
    static uint8_t file[FILE_BYTES], out[SIDE][SIDE][3];
    make_halves((const uint8_t[3]){40, 40, 40}, (const uint8_t[3]){200, 200, 200}, file);
    double least = 0, most = 0;
    for (size_t epoch = 0; epoch < 100; epoch++) {
        view_of(file, EG_AUGMENT_LIGHT, epoch, out);
        assert_true(fabs(bright_part(out[4], 40, 200) - bright_part(out[SIDE - 5], 40, 200)) < 0.02);
        view_of(file, EG_AUGMENT_STANDARD, epoch, out);
        double low = out[SIDE / 2][0][1], high = out[SIDE / 2][SIDE - 1][1];
        if (fabs(low - high) < 60) continue; /* the edge is not in it */
        double at = bright_part(out[SIDE / 2], low, high);
        if (at < 10 || at > SIDE - 10) continue; /* reflections at the sides would count */
        double slope = (bright_part(out[SIDE - 5], low, high) - bright_part(out[4], low, high)) / (SIDE - 9);
        least = fmin(least, slope);
        most = fmax(most, slope);
    }
    const double steepest = tan(10 * acos(-1) / 180);
    assert_true(most > 0.7 * steepest && most < 1.05 * steepest);
    assert_true(least < -0.7 * steepest && least > -1.05 * steepest);
}

/* On a picture of one colour contrast changes nothing but how far the colour is from its grey: brightness is
 * the grey, and what is left of the difference of two channels is contrast times saturation. On two greys the
 * difference is brightness times contrast. */
static void standard_views_are_brighter_or_duller(void **state)
{
    (void)state;
    static uint8_t one[FILE_BYTES], two[FILE_BYTES], out[SIDE][SIDE][3];
    make_halves((const uint8_t[3]){150, 110, 70}, (const uint8_t[3]){150, 110, 70}, one);
    make_halves((const uint8_t[3]){80, 80, 80}, (const uint8_t[3]){160, 160, 160}, two);
    double bright[2] = {9, 0}, contrast[2] = {9, 0}, colour[2] = {9, 0};
    for (size_t epoch = 0; epoch < 200; epoch++) {
        view_of(one, EG_AUGMENT_LIGHT, epoch, out);
        assert_memory_equal(out[0][0], ((const uint8_t[3]){150, 110, 70}), 3);
        view_of(one, EG_AUGMENT_STANDARD, epoch, out);
        const uint8_t *p = out[SIDE / 2][SIDE / 2];
        double b = (0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2]) / (0.299 * 150 + 0.587 * 110 + 0.114 * 70);
        double rest = ((double)p[0] - p[2]) / 80 / b, c = 0;
        bright[0] = fmin(bright[0], b);
        bright[1] = fmax(bright[1], b);
        view_of(two, EG_AUGMENT_STANDARD, epoch, out); /* the same factors */
        double difference = fabs((double)out[SIDE / 2][0][1] - out[SIDE / 2][SIDE - 1][1]);
        if (difference < 40) continue;
        c = difference / 80 / b;
        contrast[0] = fmin(contrast[0], c);
        contrast[1] = fmax(contrast[1], c);
        colour[0] = fmin(colour[0], rest / c);
        colour[1] = fmax(colour[1], rest / c);
    }
    const double *const factors[] = {bright, contrast, colour};
    for (int i = 0; i < 3; i++) {
        assert_true(factors[i][0] > 0.77 && factors[i][0] < 0.85);
        assert_true(factors[i][1] < 1.23 && factors[i][1] > 1.15);
    }
}

/* Half of the area at least (light), 35 % (standard), of a square as large as the input: how much smaller the
 * photo's parts can be. */
static void views_are_of_a_part_of_the_photo(void **state)
{
    (void)state;
    static uint8_t file[FILE_BYTES], out[SIDE][SIDE][3];
    make_halves((const uint8_t[3]){0, 0, 0}, (const uint8_t[3]){250, 250, 250}, file);
    int cut = 0, seen = 0;
    double least = SIDE, most = 0;
    for (size_t epoch = 0; epoch < 100; epoch++) {
        view_of(file, EG_AUGMENT_LIGHT, epoch, out);
        double at = bright_part(out[SIDE / 2], 0, 250);
        least = fmin(least, at);
        most = fmax(most, at);
        cut += fabs(at - SIDE / 2.0) > 3;
        seen++;
    }
    assert_true(cut > seen / 5); /* not always the middle */
    assert_true(least >= 0 && most <= SIDE);
    assert_true(least > SIDE * 0.1 &&
                most < SIDE * 0.9); /* of half the area 61 % of a side is left at least */
}

static void levels_have_names(void **state)
{
    (void)state;
    enum eg_augment level;
    struct eg_error err;
    assert_int_equal(eg__augment_parse("standard", &level, NULL), EG_OK);
    assert_int_equal(level, EG_AUGMENT_STANDARD);
    assert_int_equal(eg__augment_parse("heavy", &level, &err), EG_E_ARGUMENT);
    assert_non_null(strstr(err.message, "'heavy'"));
    struct eg_recipe recipe;
    uint8_t out[BYTES];
    assert_int_equal(eg__recipe_parse(recipe_json, &recipe, NULL), EG_OK);
    assert_int_equal(eg__augment_input("junk", 4, &recipe, EG_AUGMENT_LIGHT, 0, 0, 0, out, &err),
                     EG_E_FORMAT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_view_belongs_to_seed_image_and_epoch),
        cmocka_unit_test(none_is_the_recipe),
        cmocka_unit_test(the_photo_is_oriented_before_it_is_cut),
        cmocka_unit_test(standard_views_stay_near_the_photo),
        cmocka_unit_test(half_of_the_views_are_mirrored),
        cmocka_unit_test(standard_views_are_turned_and_light_ones_are_not),
        cmocka_unit_test(standard_views_are_brighter_or_duller),
        cmocka_unit_test(views_are_of_a_part_of_the_photo),
        cmocka_unit_test(levels_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
