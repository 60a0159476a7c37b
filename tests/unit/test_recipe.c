/* image/recipe.c: presets, JSON in and out, and what is refused. */
#include <stdlib.h>
#include <string.h>

#include "check.h"

#include "image/photo.h"

static const char *const presets[] = {"torchvision",  "keras-caffe",       "keras-tf",
                                      "timm-bicubic", "efficientnet-lite", "plain"};

static void presets_round_trip_through_json(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof presets / sizeof *presets; i++) {
        struct eg_recipe recipe, again;
        assert_int_equal(eg__recipe_parse(presets[i], &recipe, NULL), EG_OK);
        char *json = eg__recipe_json(&recipe);
        assert_non_null(json);
        assert_int_equal(eg__recipe_parse(json, &again, NULL), EG_OK);
        char *twice = eg__recipe_json(&again);
        assert_string_equal(json, twice);
        assert_true(recipe.scale == again.scale);
        assert_memory_equal(recipe.mean, again.mean, sizeof recipe.mean);
        assert_memory_equal(recipe.std, again.std, sizeof recipe.std);
        free(json);
        free(twice);
    }
}

static void json_is_canonical(void **state)
{
    (void)state;
    struct eg_recipe recipe;
    assert_int_equal(eg__recipe_parse("efficientnet_lite", &recipe, NULL), EG_OK);
    char *json = eg__recipe_json(&recipe);
    assert_string_equal(
        json,
        "{\"resize\":\"short\",\"size\":256,\"crop\":[224,224],\"filter\":\"bicubic\","
        "\"antialias\":true,\"channels\":\"rgb\",\"scale\":1.0,\"mean\":[127.0,127.0,127.0],"
        "\"std\":[128.0,128.0,128.0],\"exif\":true,\"alpha\":\"white\",\"decode\":\"exact\",\"xmp\":true}");
    free(json);
    assert_int_equal(eg__recipe_parse("{\"std\": [0.229, 2, 3], \"resize\": \"squash\", \"size\": 7,"
                                      " \"crop\": [3, 5], \"channels\": \"bgr\", \"exif\": false,"
                                      " \"antialias\": false, \"decode\": \"fast\", \"scale\": 1e-3}",
                                      &recipe, NULL),
                     EG_OK);
    json = eg__recipe_json(&recipe);
    assert_string_equal(json,
                        "{\"resize\":\"squash\",\"size\":null,\"crop\":[3,5],\"filter\":\"bilinear\","
                        "\"antialias\":false,\"channels\":\"bgr\",\"scale\":0.001,\"mean\":[0.0,0.0,0.0],"
                        "\"std\":[0.229,2.0,3.0],\"exif\":false,\"alpha\":\"white\",\"decode\":\"fast\"}");
    free(json);
}

/* A key that is missing means its default, and of those that came later what was before them. */
static void recipes_are_compared_by_value(void **state)
{
    (void)state;
    static const char full[] = "{\"resize\":\"squash\",\"size\":null,\"crop\":[224,224],\"filter\":"
                               "\"bilinear\",\"antialias\":true,\"channels\":\"rgb\",\"scale\":1.0,"
                               "\"mean\":[0.0,0.0,0.0],\"std\":[1.0,1.0,1.0],\"exif\":true,"
                               "\"alpha\":\"white\",\"decode\":\"exact\"}";
    assert_true(eg__recipe_same(full, "{}"));
    assert_true(eg__recipe_same(full, "{ \"xmp\": false, \"scale\": 1, \"size\": 99 }"));
    assert_false(eg__recipe_same(full, "{\"xmp\": true}"));
    assert_true(eg__recipe_same(full, "{\"icc\": \"none\", \"scale\": 1}"));
    assert_false(eg__recipe_same(full, "{\"icc\": \"srgb\"}"));
    assert_false(eg__recipe_same(full, "{\"filter\": \"nearest\"}"));
    assert_false(eg__recipe_same(full, "{\"exif\": false}"));
    assert_false(eg__recipe_same(full, "plain")); /* which knows XMP */
    assert_false(eg__recipe_same(full, ""));
    assert_true(eg__recipe_same("", ""));
}

static void an_older_recipe_keeps_its_meaning(void **state)
{
    (void)state;
    struct eg_recipe recipe;
    assert_int_equal(eg__recipe_parse("plain", &recipe, NULL), EG_OK);
    assert_true(recipe.xmp);
    eg__recipe_adopt(&recipe, "{\"filter\": \"bicubic\"}"); /* another: not adopted */
    assert_true(recipe.xmp && recipe.filter == EG_FILTER_BILINEAR);
    eg__recipe_adopt(&recipe, "{}");
    assert_false(recipe.xmp);
}

static void normalisation_is_one_multiplication_and_one_sum(void **state)
{
    (void)state;
    struct eg_recipe recipe;
    float scale[3], offset[3];
    assert_int_equal(eg__recipe_parse("torchvision", &recipe, NULL), EG_OK);
    eg__recipe_affine(&recipe, scale, offset);
    assert_float_equal(200 * scale[1] + offset[1], (200.0f / 255 - 0.456f) / 0.224f, 1e-6f);
    assert_int_equal(eg__recipe_parse("keras-caffe", &recipe, NULL), EG_OK);
    eg__recipe_affine(&recipe, scale, offset);
    assert_true(recipe.bgr);
    assert_float_equal(offset[0], -103.939f, 1e-5f); /* blue comes first */
}

static void what_is_wrong_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *json, *named;
    } cases[] = {
        {"{\"colour\": 1}", "unknown key 'colour'"},
        {"{\"resize\": \"long\"}", "'resize' is \"long\", want short|squash|none"},
        {"{\"resize\": \"short\"}", "'size'"},
        {"{\"resize\": \"short\", \"size\": 0}", "'size' is 0"},
        {"{\"resize\": \"short\", \"size\": 1e99}", "'size'"},
        {"{\"crop\": 224}", "'crop' is 224"},
        {"{\"crop\": [224]}", "'crop'"},
        {"{\"crop\": [224, 99999]}", "'crop'"},
        {"{\"filter\": \"lanczos\"}", "want bilinear|bicubic"},
        {"{\"antialias\": 1}", "want true or false"},
        {"{\"channels\": \"grey\"}", "want rgb|bgr"},
        {"{\"scale\": 0}", "'scale' is 0"},
        {"{\"mean\": [1, 2]}", "'mean'"},
        {"{\"std\": [1, 0, 1]}", "'std'"},
        {"{\"exif\": \"yes\"}", "'exif'"},
        {"{\"alpha\": \"black\"}", "want white"},
        {"{\"decode\": \"quick\"}", "want exact|fast"},
        {"{\"scale\": 1, \"scale\": 2}", "JSON"},
        {"{\"scale\": ", "JSON"},
        {"[]", "JSON object"},
        {"imagenet", "unknown recipe 'imagenet'"},
        {"", "unknown recipe ''"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct eg_recipe recipe;
        struct eg_error err;
        assert_int_not_equal(eg__recipe_parse(cases[i].json, &recipe, &err), EG_OK);
        if (!strstr(err.message, cases[i].named)) fail_msg("%s: '%s'", cases[i].json, err.message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(presets_round_trip_through_json),
        cmocka_unit_test(json_is_canonical),
        cmocka_unit_test(recipes_are_compared_by_value),
        cmocka_unit_test(an_older_recipe_keeps_its_meaning),
        cmocka_unit_test(normalisation_is_one_multiplication_and_one_sum),
        cmocka_unit_test(what_is_wrong_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
