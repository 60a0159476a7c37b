/* The public functions for one photo and for lists of photos: what a program gets that links the library. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"

#include "engraft.h"

#define PHOTOS EG_SOURCE_DIR "/tests/golden/photos"
static const char recipe_json[] =
    "{\"resize\": \"short\", \"size\": 40, \"crop\": [32, 24], \"channels\": \"bgr\", \"scale\": 0.5,"
    " \"mean\": [1, 2, 3], \"std\": [2, 4, 8]}";

static uint8_t *bytes_of(const char *path, size_t *n)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    uint8_t *bytes = malloc(1 << 20);
    *n = fread(bytes, 1, 1 << 20, file);
    fclose(file);
    return bytes;
}

static void a_photo_is_decoded_upright_and_its_header_says_its_size(void **state)
{
    (void)state;
    size_t n, n_upright, width, height;
    uint8_t *turned = bytes_of(PHOTOS "/exif.png", &n),
            *upright = bytes_of(PHOTOS "/upright-6.png", &n_upright);
    struct eg_image a, b;
    assert_int_equal(eg_image_decode(turned, n, &a, NULL), EG_OK);
    assert_int_equal(eg_image_decode(upright, n_upright, &b, NULL), EG_OK);
    assert_true(a.width == b.width && a.height == b.height && a.width != a.height);
    assert_memory_equal(a.rgb, b.rgb, 3 * a.width * a.height);
    assert_int_equal(eg_image_size(turned, n, &width, &height, NULL), EG_OK);
    assert_true(width == a.width && height == a.height);
    struct eg_error err;
    assert_int_equal(eg_image_decode("junk", 4, &b, &err), EG_E_FORMAT);
    assert_int_equal(eg_image_size("junk", 4, &width, &height, &err), EG_E_FORMAT);
    eg_image_release(&a);
    assert_null(a.rgb);
    eg_image_release(&b);
    free(turned);
    free(upright);
}

static void a_png_holds_every_pixel(void **state)
{
    (void)state;
    uint8_t pixels[5][7][3], *bytes;
    for (size_t i = 0; i < sizeof pixels; i++) (&pixels[0][0][0])[i] = (uint8_t)(37 * i + i / 5);
    const struct eg_image image = {.rgb = &pixels[0][0][0], .width = 7, .height = 5};
    struct eg_image again;
    struct eg_error err;
    char path[64];
    size_t n;
    snprintf(path, sizeof path, "/tmp/test_image_api.%d.png", (int)getpid());
    assert_int_equal(eg_image_save_png(&image, path, false, &err), EG_OK);
    assert_int_equal(eg_image_save_png(&image, path, false, &err), EG_E_EXISTS);
    assert_int_equal(eg_image_save_png(&image, path, true, &err), EG_OK);
    bytes = bytes_of(path, &n);
    assert_int_equal(eg_image_decode(bytes, n, &again, NULL), EG_OK);
    assert_true(again.width == 7 && again.height == 5);
    assert_memory_equal(again.rgb, pixels, sizeof pixels);
    eg_image_release(&again);
    free(bytes);
    unlink(path);
}

/* The input is the pixels, in the recipe's order of channels, (scale x - mean) / std. */
static void the_input_is_the_pixels_normalised(void **state)
{
    (void)state;
    struct eg_recipe recipe;
    size_t n;
    uint8_t *bytes = bytes_of(PHOTOS "/large-1.jpg", &n), pixels[32][24][3];
    float input[32][24][3];
    assert_int_equal(eg_recipe_load(recipe_json, &recipe, NULL), EG_OK);
    assert_int_equal(eg_image_pixels(bytes, n, &recipe, &pixels[0][0][0], NULL), EG_OK);
    assert_int_equal(eg_image_input(bytes, n, &recipe, &input[0][0][0], NULL), EG_OK);
    size_t differ = 0;
    for (size_t y = 0; y < 32; y++)
        for (size_t x = 0; x < 24; x++)
            for (size_t c = 0; c < 3; c++) {
                const double mean[] = {1, 2, 3}, std[] = {2, 4, 8};
                double want = (0.5 * pixels[y][x][2 - c] - mean[c]) / std[c];
                assert_true(fabs((double)input[y][x][c] - want) < 1e-4);
                differ += pixels[y][x][0] != pixels[y][x][2];
            }
    assert_true(differ > 100); /* the order could be seen */
    assert_int_equal(eg_image_pixels("junk", 4, &recipe, &pixels[0][0][0], NULL), EG_E_FORMAT);
    free(bytes);
}

/* From pixels and from the input a run gives the same, but for roundings on the way. */
static void a_run_takes_pixels_or_the_input(void **state)
{
    (void)state;
    eg_net *net;
    eg_run *run;
    eg_pool *pool;
    struct eg_error err;
    size_t n;
    uint8_t *bytes = bytes_of(PHOTOS "/large-1.jpg", &n);
    if (eg_net_load(EG_SOURCE_DIR "/models/efficientnet-lite0.onnx", NULL, &net, &err))
        fail_msg("%s", err.message);
    const struct eg_recipe *recipe = eg_net_recipe(net);
    size_t values = 3 * recipe->crop[0] * recipe->crop[1];
    uint8_t *pixels = malloc(values);
    float *input = malloc(values * sizeof *input);
    assert_int_equal(eg_pool_create(1, &pool, NULL), EG_OK);
    assert_int_equal(eg_run_create(net, NULL, 1, pool, &run, NULL), EG_OK);
    size_t length = eg_run_length(run, 0);
    float *a = malloc(2 * length * sizeof *a), *b = a + length;
    assert_int_equal(eg_image_pixels(bytes, n, recipe, pixels, NULL), EG_OK);
    assert_int_equal(eg_image_input(bytes, n, recipe, input, NULL), EG_OK);
    assert_int_equal(eg_run_forward_pixels(run, recipe, pixels, 1, &a, NULL), EG_OK);
    assert_int_equal(eg_run_forward(run, input, 1, &b, NULL), EG_OK);
    float most = 0;
    for (size_t i = 0; i < length; i++) {
        assert_true(fabsf(a[i] - b[i]) < 1e-4f);
        most = fmaxf(most, a[i]);
    }
    assert_true(length == 1000 && most > 0.01f);
    eg_run_free(run);
    eg_pool_free(pool);
    eg_net_free(net);
    free(a);
    free(input);
    free(pixels);
    free(bytes);
}

static void photos_are_listed_as_they_are_named(void **state)
{
    (void)state;
    const char *const paths[] = {PHOTOS "/upright-6.png", PHOTOS "/exif.png", "/nowhere/none.jpg"};
    eg_dataset *list;
    int32_t label = 7;
    assert_int_equal(eg_dataset_list(paths, 3, &list, NULL), EG_OK);
    assert_int_equal(eg_dataset_count(list), 3);
    for (size_t i = 0; i < 3; i++) assert_string_equal(eg_dataset_path(list, i, &label), paths[i]);
    assert_int_equal(label, -1);
    assert_int_equal(eg_dataset_ignored(list), 0);
    eg_dataset_free(list);
}

static void what_is_no_photo_is_counted(void **state)
{
    (void)state;
    char folder[] = "/tmp/test_image_api.XXXXXX", command[256];
    assert_non_null(mkdtemp(folder));
    static const char *const names[] = {"cat.jpg", "notes.txt", "more.txt", "table.csv"};
    for (size_t i = 0; i < 4; i++) {
        snprintf(command, sizeof command, "%s/%s", folder, names[i]);
        FILE *file = fopen(command, "w");
        fputs("text", file);
        fclose(file);
    }
    eg_dataset *photos;
    size_t n = 0;
    assert_int_equal(eg_dataset_open(folder, &photos, NULL), EG_OK);
    assert_int_equal(eg_dataset_count(photos), 1);
    assert_int_equal(eg_dataset_ignored(photos), 3);
    for (size_t i = 0; i < eg_dataset_ignored_kinds(photos); i++) n += eg_dataset_ignored_kind(photos, i).n;
    assert_int_equal(n, 3);
    assert_string_equal(eg_dataset_ignored_kind(photos, 0).kind, ".txt");
    eg_dataset_free(photos);
    for (size_t i = 0; i < 4; i++) {
        snprintf(command, sizeof command, "%s/%s", folder, names[i]);
        unlink(command);
    }
    rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_photo_is_decoded_upright_and_its_header_says_its_size),
        cmocka_unit_test(a_png_holds_every_pixel),
        cmocka_unit_test(the_input_is_the_pixels_normalised),
        cmocka_unit_test(a_run_takes_pixels_or_the_input),
        cmocka_unit_test(photos_are_listed_as_they_are_named),
        cmocka_unit_test(what_is_no_photo_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
