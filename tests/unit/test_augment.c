/* image/augment.c: views are reproducible, differ between epochs, and are of the photo. */
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
        cmocka_unit_test(levels_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
