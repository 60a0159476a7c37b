/* Decoding, orientation, resizing and the recipe's crop against what Pillow gives
 * (make_photos.py), and photos that are damaged. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

#include "base/file.h"
#include "base/rng.h"
#include "image/kinds.h"
#include "image/photo.h"

#define PHOTOS EG_SOURCE_DIR "/tests/golden/photos/"
#define RESIZED EG_SOURCE_DIR "/tests/golden/resized/"

static struct eg_mapping map(const char *path)
{
    struct eg_mapping mapping;
    struct eg_error err;
    if (eg__map_file(path, &mapping, &err)) fail_msg("%s", err.message);
    return mapping;
}

/* "P6 width height 255\n" and bytes. */
static struct eg_image read_ppm(const char *path)
{
    struct eg_image image;
    FILE *file = fopen(path, "rb");
    if (!file || fscanf(file, "P6 %zu %zu 255", &image.width, &image.height) != 2)
        fail_msg("no PPM '%s'", path);
    fgetc(file);
    size_t n = image.width * image.height * 3;
    image.rgb = malloc(n);
    assert_non_null(image.rgb);
    assert_int_equal(fread(image.rgb, 1, n, file), n);
    fclose(file);
    return image;
}

static struct eg_image decode(const char *path)
{
    struct eg_mapping file = map(path);
    struct eg_image image;
    struct eg_error err;
    if (eg__photo_decode(file.bytes, file.size, NULL, &image, &err)) fail_msg("%s: %s", path, err.message);
    eg__unmap_file(&file);
    return image;
}

static void expect_same(const char *what, const uint8_t *got, const uint8_t *wanted, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (got[i] != wanted[i]) fail_msg("%s: byte %zu is %u, not %u", what, i, got[i], wanted[i]);
}

/* Call test for every file of a folder whose name ends so. */
static size_t for_each(const char *folder, const char *suffix, void (*test)(const char *path))
{
    size_t n = 0;
    DIR *stream = opendir(folder);
    assert_non_null(stream);
    for (struct dirent *entry; (entry = readdir(stream));) {
        size_t length = strlen(entry->d_name), m = strlen(suffix);
        char path[1024];
        if (length <= m || strcmp(entry->d_name + length - m, suffix)) continue;
        snprintf(path, sizeof path, "%s%s", folder, entry->d_name);
        test(path);
        n++;
    }
    closedir(stream);
    return n;
}

static void expect_golden_pixels(const char *ppm)
{
    char photo[1024];
    snprintf(photo, sizeof photo, "%.*s", (int)(strlen(ppm) - 4), ppm);
    struct eg_image wanted = read_ppm(ppm), got = decode(photo);
    assert_int_equal(got.width, wanted.width);
    assert_int_equal(got.height, wanted.height);
    expect_same(photo, got.rgb, wanted.rgb, got.width * got.height * 3);
    free(wanted.rgb);
    free(got.rgb);
}

static void every_kind_decodes_as_pillow_does(void **state)
{
    (void)state;
    assert_true(for_each(PHOTOS, ".ppm", expect_golden_pixels) >= 40);
}

static void orientation_can_be_left_alone(void **state)
{
    (void)state;
    struct eg_image plain = decode(PHOTOS "exif-1.jpg");
    for (int o = 2; o <= 8; o++) {
        char path[1024];
        snprintf(path, sizeof path, PHOTOS "exif-%d.jpg", o);
        struct eg_mapping file = map(path);
        struct eg_decode_options options = {.no_exif = true};
        struct eg_image image;
        assert_int_equal(eg__photo_decode(file.bytes, file.size, &options, &image, NULL), EG_OK);
        assert_int_equal(image.width, plain.width);
        expect_same(path, image.rgb, plain.rgb, image.width * image.height * 3);
        free(image.rgb);
        eg__unmap_file(&file);
    }
    free(plain.rgb);
}

static void expect_golden_resize(const char *ppm)
{
    if (strstr(ppm, "source")) return;
    struct eg_image source = read_ppm(RESIZED "source.ppm"), wanted = read_ppm(ppm);
    enum eg_filter filter = strstr(ppm, "bicubic") ? EG_FILTER_BICUBIC : EG_FILTER_BILINEAR;
    size_t n = wanted.width * wanted.height * 3;
    uint8_t *got = malloc(n);
    assert_int_equal(eg__resize(&source, wanted.height, wanted.width, filter, true, got, NULL), EG_OK);
    expect_same(ppm, got, wanted.rgb, n);
    free(got);
    free(source.rgb);
    free(wanted.rgb);
}

static void resizing_equals_pillow(void **state)
{
    (void)state;
    assert_int_equal(for_each(RESIZED, ".ppm", expect_golden_resize), 17);
}

/* Without antialiasing a pixel is a mean of its 2 x 2 neighbours, whatever the scale. */
static void plain_bilinear_takes_the_neighbours(void **state)
{
    (void)state;
    struct eg_image source = read_ppm(RESIZED "source.ppm");
    size_t h = 9, w = 70;
    uint8_t *got = malloc(h * w * 3);
    assert_int_equal(eg__resize(&source, h, w, EG_FILTER_BILINEAR, false, got, NULL), EG_OK);
    for (size_t i = 0; i < h * w * 3; i++) {
        double y = ((double)(i / 3 / w) + 0.5) * (double)source.height / (double)h - 0.5;
        double x = ((double)(i / 3 % w) + 0.5) * (double)source.width / (double)w - 0.5;
        y = y < 0 ? 0 : y;
        x = x < 0 ? 0 : x;
        size_t y0 = (size_t)y, x0 = (size_t)x, c = i % 3;
        size_t y1 = y0 + 1 < source.height ? y0 + 1 : y0, x1 = x0 + 1 < source.width ? x0 + 1 : x0;
        double fy = y - (double)y0, fx = x - (double)x0;
#define AT(row, column) ((double)source.rgb[((row)*source.width + (column)) * 3 + c])
        double wanted = (1 - fy) * ((1 - fx) * AT(y0, x0) + fx * AT(y0, x1)) +
                        fy * ((1 - fx) * AT(y1, x0) + fx * AT(y1, x1));
        assert_true(got[i] >= wanted - 1.01 && got[i] <= wanted + 1.01);
    }
    free(got);
    free(source.rgb);
}

/* torchvision's CenterCrop: half to even, black where the picture is too small. */
static void center_crop(const uint8_t *rgb, size_t height, size_t width, const size_t crop[2], uint8_t *out)
{
    for (size_t y = 0; y < crop[0]; y++)
        for (size_t x = 0; x < crop[1]; x++)
            for (size_t c = 0; c < 3; c++) {
                ptrdiff_t from[2], side[2] = {(ptrdiff_t)height, (ptrdiff_t)width};
                const size_t at[2] = {y, x};
                for (int i = 0; i < 2; i++) {
                    ptrdiff_t spare = side[i] - (ptrdiff_t)crop[i];
                    ptrdiff_t offset = spare < 0 ? -(-spare / 2) : spare / 2 + (spare % 4 == 3);
                    from[i] = (ptrdiff_t)at[i] + offset;
                }
                bool inside = from[0] >= 0 && from[0] < side[0] && from[1] >= 0 && from[1] < side[1];
                out[(y * crop[1] + x) * 3 + c] =
                    inside ? rgb[(from[0] * side[1] + from[1]) * 3 + (ptrdiff_t)c] : 0;
            }
}

static const char *const recipes[] = {
    "{\"resize\": \"short\", \"size\": 64, \"crop\": [56, 56], \"filter\": \"bicubic\"}",
    "{\"resize\": \"short\", \"size\": 101, \"crop\": [40, 70]}",
    "{\"resize\": \"short\", \"size\": 20, \"crop\": [33, 25]}",
    "{\"resize\": \"squash\", \"crop\": [50, 31]}",
    "{\"resize\": \"squash\", \"crop\": [400, 500], \"filter\": \"bicubic\"}",
    "{\"resize\": \"none\", \"crop\": [111, 90]}",
    "{\"resize\": \"none\", \"crop\": [500, 16]}",
    "{\"resize\": \"short\", \"size\": 30, \"crop\": [22, 22], \"antialias\": false}",
    "{\"resize\": \"short\", \"size\": 60, \"crop\": [10, 10], \"antialias\": false, \"filter\": "
    "\"bicubic\"}",
    "{\"resize\": \"short\", \"size\": 64, \"crop\": [56, 56], \"exif\": false}",
    "{\"resize\": \"short\", \"size\": 70, \"crop\": [50, 60], \"decode\": \"fast\"}",
    "{\"resize\": \"short\", \"size\": 33, \"crop\": [20, 20], \"decode\": \"fast\", \"filter\": "
    "\"bicubic\"}",
};

/* The quick way, which leaves out what the crop discards, gives the pixels of the plain way. */
static void expect_same_input(const char *path)
{
    struct eg_mapping file = map(path);
    for (size_t i = 0; i < sizeof recipes / sizeof *recipes; i++) {
        struct eg_recipe recipe;
        struct eg_image image;
        assert_int_equal(eg__recipe_parse(recipes[i], &recipe, NULL), EG_OK);
        struct eg_decode_options options = {.no_exif = !recipe.exif, .no_xmp = !recipe.xmp};
        assert_int_equal(eg__photo_decode(file.bytes, file.size, &options, &image, NULL), EG_OK);
        size_t h = image.height, w = image.width, shorter = h < w ? h : w;
        if (recipe.resize == EG_RESIZE_SQUASH) {
            h = recipe.crop[0];
            w = recipe.crop[1];
        } else if (recipe.resize == EG_RESIZE_SHORT) {
            h = recipe.size * h / shorter;
            w = recipe.size * w / shorter;
        }
        if (recipe.fast_decode) { /* the same shape, from fewer pixels */
            free(image.rgb);
            options.fast_target = 2 * recipe.size;
            assert_int_equal(eg__photo_decode(file.bytes, file.size, &options, &image, NULL), EG_OK);
        }
        size_t n = recipe.crop[0] * recipe.crop[1] * 3;
        uint8_t *resized = malloc(h * w * 3), *wanted = malloc(n), *got = malloc(n);
        assert_int_equal(eg__resize(&image, h, w, recipe.filter, recipe.antialias, resized, NULL), EG_OK);
        center_crop(resized, h, w, recipe.crop, wanted);
        memset(got, 77, n);
        assert_int_equal(eg__photo_input(file.bytes, file.size, &recipe, got, NULL), EG_OK);
        expect_same(path, got, wanted, n);
        free(image.rgb);
        free(resized);
        free(wanted);
        free(got);
    }
    eg__unmap_file(&file);
}

static void input_equals_decode_resize_crop(void **state)
{
    (void)state;
    assert_true(for_each(PHOTOS, ".jpg", expect_same_input) >= 20);
    assert_true(for_each(PHOTOS, ".png", expect_same_input) >= 18);
    assert_true(for_each(PHOTOS, ".webp", expect_same_input) >= 5);
}

static void fast_decoding_stays_close_and_large_enough(void **state)
{
    (void)state;
    struct eg_mapping file = map(PHOTOS "large-1.jpg"); /* 401 x 300 */
    static const struct {
        size_t target, width, height;
    } cases[] = {{0, 401, 300}, {151, 401, 300}, {150, 201, 150}, {75, 101, 75}, {37, 51, 38}, {1, 51, 38}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct eg_decode_options options = {.fast_target = cases[i].target};
        struct eg_image image;
        assert_int_equal(eg__photo_decode(file.bytes, file.size, &options, &image, NULL), EG_OK);
        assert_int_equal(image.width, cases[i].width);
        assert_int_equal(image.height, cases[i].height);
        free(image.rgb);
    }
    struct eg_recipe recipe;
    assert_int_equal(
        eg__recipe_parse("{\"resize\": \"short\", \"size\": 37, \"crop\": [32, 32]}", &recipe, NULL), 0);
    uint8_t exact[32 * 32 * 3], fast[32 * 32 * 3];
    assert_int_equal(eg__photo_input(file.bytes, file.size, &recipe, exact, NULL), EG_OK);
    recipe.fast_decode = true;
    assert_int_equal(eg__photo_input(file.bytes, file.size, &recipe, fast, NULL), EG_OK);
    double sum = 0;
    for (size_t i = 0; i < sizeof fast; i++) sum += abs((int)fast[i] - exact[i]);
    assert_true(sum > 0 && sum / sizeof fast < 6); /* a scaled decode it was, of the same picture */
    eg__unmap_file(&file);
}

/* rgb.heic and rgb.avif were made of rgb.png by heif-enc (libheif 1.15.1: -L -p chroma=444, and
 * -A -q 90 -p chroma=444); how exactly they decode is their decoders' affair. */
static void heic_and_avif_decode_where_built_in(void **state)
{
    (void)state;
    static const char *const photos[] = {PHOTOS "rgb.heic", PHOTOS "rgb.avif"};
    struct eg_image wanted = decode(PHOTOS "rgb.png");
    for (size_t i = 0; i < 2; i++) {
        struct eg_mapping file = map(photos[i]);
        struct eg_image image = {0};
        struct eg_error err;
        enum eg_status status = eg__photo_decode(file.bytes, file.size, NULL, &image, &err);
        if (!eg__kind_of_bytes(file.bytes, file.size)->decode) {
            assert_int_equal(status, EG_E_UNSUPPORTED);
            assert_non_null(strstr(err.message, "this build lacks lib"));
            eg__unmap_file(&file);
            continue;
        }
        assert_int_equal(status, EG_OK);
        assert_int_equal(image.width, wanted.width);
        assert_int_equal(image.height, wanted.height);
        size_t n = 3 * image.width * image.height, sum = 0;
        for (size_t j = 0; j < n; j++) sum += (size_t)abs((int)image.rgb[j] - wanted.rgb[j]);
        assert_true(sum / n < 10);
        for (size_t cut = 1; cut < file.size; cut += 50)
            assert_int_not_equal(eg__photo_decode(file.bytes, file.size - cut, NULL, &image, &err), EG_OK);
        free(image.rgb);
        eg__unmap_file(&file);
    }
    free(wanted.rgb);
}

/* ---- damage ---- */

static void refuse(const void *bytes, size_t n, enum eg_status status, const char *named)
{
    struct eg_image image = {0};
    struct eg_error err;
    assert_int_equal(eg__photo_decode(bytes, n, NULL, &image, &err), status);
    assert_null(image.rgb);
    if (!strstr(err.message, named)) fail_msg("no '%s' in: %s", named, err.message);
}

static void what_is_no_photo_is_named(void **state)
{
    (void)state;
    refuse("", 0, EG_E_FORMAT, "empty file");
    refuse("GIF87", 5, EG_E_FORMAT, "not a photo");
    refuse("8BPS\0\1", 6, EG_E_UNSUPPORTED, "Photoshop");
    refuse("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16, EG_E_FORMAT, "not a photo");
    refuse("\xff\xd8\xff", 3, EG_E_FORMAT, "JPEG");
    refuse("\x89PNG\r\n\x1a\n", 8, EG_E_FORMAT, "truncated PNG");
    refuse("RIFF\4\0\0\0WEBP", 12, EG_E_FORMAT, "WebP");
    assert_true(eg__photo_sniff("\xff\xd8\xff\xe0", 4));
    assert_false(eg__photo_sniff("BM", 2));
}

/* Refused by their header: nothing of that size could be allocated here. */
static void headers_past_the_pixel_limit_are_refused(void **state)
{
    (void)state;
    static const uint8_t png[] =
        "\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\xea\x60\0\0\xea\x60\x08\x02\0\0\0\x0f\xb0\xe2\x15";
    refuse(png, sizeof png - 1, EG_E_UNSUPPORTED, "256 million");
    static const uint8_t jpeg[] = "\xff\xd8\xff\xc0\0\x11\x08\xea\x60\xea\x60\3\1\x22\0\2\x11\1\3\x11\1"
                                  "\xff\xda\0\x0c\3\1\0\2\x11\3\x11\0\x3f\0";
    refuse(jpeg, sizeof jpeg - 1, EG_E_UNSUPPORTED, "256 million");
    static const uint8_t webp[] =
        "RIFF\x1a\0\0\0WEBPVP8L\x0d\0\0\0\x2f\xff\xff\xff\x0f\0\0\0\0\0\0\0\0"; /* 16384 x 16384 */
    refuse(webp, sizeof webp, EG_E_UNSUPPORTED, "256 million");
}

/* A deflate stream that ends in good order, with fewer rows than the header says. */
static void a_png_whose_data_end_early_is_refused(void **state)
{
    (void)state;
    struct eg_mapping file = map(PHOTOS "../short-data.png");
    struct eg_recipe recipe; /* whose crop needs none of the rows that are missing */
    assert_int_equal(eg__recipe_parse("{\"resize\": \"none\", \"crop\": [4, 4]}", &recipe, NULL), EG_OK);
    uint8_t out[4 * 4 * 3];
    struct eg_error err;
    refuse(file.bytes, file.size, EG_E_FORMAT, "truncated PNG");
    assert_int_equal(eg__photo_input(file.bytes, file.size, &recipe, out, &err), EG_E_FORMAT);
    eg__unmap_file(&file);
}

static void refuse_every_prefix(const char *path)
{
    if (strstr(path, "large")) return;
    struct eg_mapping file = map(path);
    struct eg_recipe recipe;
    assert_int_equal(eg__recipe_parse(recipes[0], &recipe, NULL), EG_OK);
    uint8_t input[56 * 56 * 3];
    for (size_t n = 0; n < file.size; n++) {
        uint8_t *exact = malloc(n ? n : 1); /* so that a read past the end is seen */
        memcpy(exact, file.bytes, n);
        struct eg_image image = {0};
        struct eg_error err = {0};
        if (!eg__photo_decode(exact, n, NULL, &image, &err)) fail_msg("%s: %zu bytes decode", path, n);
        if (!*err.message) fail_msg("%s: no message", path);
        if (!eg__photo_input(exact, n, &recipe, input, NULL)) fail_msg("%s: %zu bytes are an input", path, n);
        free(exact);
    }
    eg__unmap_file(&file);
}

static void every_truncated_photo_is_refused(void **state)
{
    (void)state;
    for_each(PHOTOS, ".jpg", refuse_every_prefix);
    for_each(PHOTOS, ".png", refuse_every_prefix);
    for_each(PHOTOS, ".webp", refuse_every_prefix);
}

/* Also where the crop has let the last rows be: the end of the file is looked for. */
static void a_truncated_end_that_the_crop_discards_is_seen(void **state)
{
    (void)state;
    struct eg_mapping file = map(PHOTOS "large-1.jpg");
    struct eg_recipe recipe;
    struct eg_error err;
    static uint8_t out[100 * 100 * 3];
    assert_int_equal(eg__recipe_parse("{\"resize\": \"none\", \"crop\": [100, 100]}", &recipe, NULL), EG_OK);
    assert_int_equal(eg__photo_input(file.bytes, file.size, &recipe, out, NULL), EG_OK);
    for (size_t cut = 1; cut < file.size / 4; cut += 97) {
        assert_int_equal(eg__photo_input(file.bytes, file.size - cut, &recipe, out, &err), EG_E_FORMAT);
        assert_string_equal(err.message, "truncated JPEG");
    }
    eg__unmap_file(&file);
}

static void spoil(const char *path)
{
    if (strstr(path, "large") || strstr(path, "16-bit")) return;
    struct eg_mapping file = map(path);
    struct eg_recipe recipe;
    assert_int_equal(eg__recipe_parse(recipes[0], &recipe, NULL), EG_OK);
    uint8_t *bytes = malloc(file.size), out[56 * 56 * 3];
    struct eg_rng rng;
    eg__rng_init(&rng, file.size, 0);
    for (int round = 0; round < 200; round++) {
        memcpy(bytes, file.bytes, file.size);
        for (int i = 0; i < 3; i++) bytes[eg__rng_below(&rng, file.size)] = (uint8_t)eg__rng_u64(&rng);
        struct eg_error err = {0};
        enum eg_status status = eg__photo_input(bytes, file.size, &recipe, out, &err);
        if (status && !*err.message) fail_msg("%s: no message", path);
    }
    free(bytes);
    eg__unmap_file(&file);
}

static void spoilt_photos_do_no_harm(void **state)
{
    (void)state;
    for_each(PHOTOS, ".jpg", spoil);
    for_each(PHOTOS, ".png", spoil);
    for_each(PHOTOS, ".webp", spoil);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_decodes_as_pillow_does),
        cmocka_unit_test(orientation_can_be_left_alone),
        cmocka_unit_test(resizing_equals_pillow),
        cmocka_unit_test(plain_bilinear_takes_the_neighbours),
        cmocka_unit_test(input_equals_decode_resize_crop),
        cmocka_unit_test(fast_decoding_stays_close_and_large_enough),
        cmocka_unit_test(heic_and_avif_decode_where_built_in),
        cmocka_unit_test(what_is_no_photo_is_named),
        cmocka_unit_test(a_png_whose_data_end_early_is_refused),
        cmocka_unit_test(headers_past_the_pixel_limit_are_refused),
        cmocka_unit_test(every_truncated_photo_is_refused),
        cmocka_unit_test(a_truncated_end_that_the_crop_discards_is_seen),
        cmocka_unit_test(spoilt_photos_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
