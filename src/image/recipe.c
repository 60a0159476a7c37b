/* recipe.c: presets, and recipes as JSON. Keys, in this order: resize short|squash|none, size,
 * crop [h,w], filter, antialias, channels, scale, mean, std, exif, alpha, decode; then
 * those that came later, written only where they are not as before they came: xmp, icc, views. A key that is
 * missing has the value of the preset `plain`, of those that came later the one before. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/fail.h"
#include "base/text.h"
#include "image/photo.h"

enum { MAX_SIDE = 16384 };

#define IMAGENET_MEAN                                                                                        \
    {                                                                                                        \
        0.485, 0.456, 0.406                                                                                  \
    }
#define IMAGENET_STD                                                                                         \
    {                                                                                                        \
        0.229, 0.224, 0.225                                                                                  \
    }
#define COMMON .antialias = true, .exif = true, .xmp = true, .crop = {224, 224}

static const struct {
    const char *name;
    struct eg_recipe recipe;
} presets[] = {
    {"torchvision",
     {COMMON, .resize = EG_RESIZE_SHORT, .size = 256, .scale = 1.0 / 255, .mean = IMAGENET_MEAN,
      .std = IMAGENET_STD}},
    {"keras-caffe", /* keras.applications.imagenet_utils, mode "caffe" */
     {COMMON, .resize = EG_RESIZE_SQUASH, .bgr = true, .scale = 1, .mean = {103.939, 116.779, 123.68},
      .std = {1, 1, 1}}},
    {"keras-tf",
     {COMMON, .resize = EG_RESIZE_SQUASH, .scale = 1 / 127.5, .mean = {1, 1, 1}, .std = {1, 1, 1}}},
    {"timm-bicubic",
     {COMMON, .resize = EG_RESIZE_SHORT, .size = 256, .filter = EG_FILTER_BICUBIC, .scale = 1.0 / 255,
      .mean = IMAGENET_MEAN, .std = IMAGENET_STD}},
    {"efficientnet-lite",
     {COMMON, .resize = EG_RESIZE_SHORT, .size = 256, .filter = EG_FILTER_BICUBIC, .scale = 1,
      .mean = {127, 127, 127}, .std = {128, 128, 128}}},
    {"plain", {COMMON, .resize = EG_RESIZE_SQUASH, .scale = 1, .std = {1, 1, 1}}},
};
enum { N_PRESETS = sizeof presets / sizeof *presets };

static const struct eg_recipe *find_preset(const char *name)
{
    for (size_t i = 0; i < N_PRESETS; i++) {
        const char *a = presets[i].name, *b = name;
        while (*a && (*a == *b || (*a == '-' && *b == '_'))) a++, b++;
        if (!*a && !*b) return &presets[i].recipe;
    }
    return NULL;
}

/* ---- values ---- */

static enum eg_status bad_value(const char *key, const json_t *value, const char *want, struct eg_error *err)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    char *shown = text ? eg__printable(text) : NULL;
    enum eg_status status =
        eg__fail(err, EG_E_FORMAT, "recipe: '%s' is %.60s, want %s", key, shown ? shown : "?", want);
    free(text);
    free(shown);
    return status;
}

/* Choices are listed in the order of their enum, the words separated by '|'. */
static enum eg_status read_choice(const char *key, const json_t *value, const char *choices, int *choice,
                                  struct eg_error *err)
{
    const char *word = json_string_value(value), *at = choices;
    for (int i = 0; word && *at; i++) {
        size_t n = strcspn(at, "|");
        if (strlen(word) == n && !memcmp(word, at, n)) {
            *choice = i;
            return EG_OK;
        }
        at += n + (at[n] == '|');
    }
    return bad_value(key, value, choices, err);
}

static enum eg_status read_bool(const char *key, const json_t *value, bool *flag, struct eg_error *err)
{
    if (!json_is_boolean(value)) return bad_value(key, value, "true or false", err);
    *flag = json_is_true(value);
    return EG_OK;
}

static bool in_range(const json_t *value)
{
    return json_is_integer(value) && json_integer_value(value) >= 1 && json_integer_value(value) <= MAX_SIDE;
}

static enum eg_status read_size(const char *key, const json_t *value, size_t *size, struct eg_error *err)
{
    *size = 0;
    if (json_is_null(value)) return EG_OK; /* no short side: squash or none */
    if (!in_range(value)) return bad_value(key, value, "pixels, 1 to 16384", err);
    *size = (size_t)json_integer_value(value);
    return EG_OK;
}

static enum eg_status read_crop(const char *key, const json_t *value, size_t crop[2], struct eg_error *err)
{
    if (json_array_size(value) != 2 || !in_range(json_array_get(value, 0)) ||
        !in_range(json_array_get(value, 1)))
        return bad_value(key, value, "[height, width], each 1 to 16384", err);
    for (size_t i = 0; i < 2; i++) crop[i] = (size_t)json_integer_value(json_array_get(value, i));
    return EG_OK;
}

/* Divisors may not be 0. */
static bool read_number(const json_t *value, bool divisor, double *number)
{
    if (!json_is_number(value)) return false;
    *number = json_number_value(value);
    return isfinite(*number) && !(divisor && *number == 0);
}

static enum eg_status read_numbers(const char *key, const json_t *value, bool divisor, double numbers[3],
                                   struct eg_error *err)
{
    const char *want = divisor ? "three numbers, none 0" : "three numbers";
    if (json_array_size(value) != 3) return bad_value(key, value, want, err);
    for (size_t i = 0; i < 3; i++)
        if (!read_number(json_array_get(value, i), divisor, &numbers[i]))
            return bad_value(key, value, want, err);
    return EG_OK;
}

static enum eg_status read_member(const char *key, const json_t *value, struct eg_recipe *recipe,
                                  struct eg_error *err)
{
    int choice = 0;
    enum eg_status status;
    if (!strcmp(key, "resize")) {
        status = read_choice(key, value, "short|squash|none", &choice, err);
        recipe->resize = (enum eg_resize)choice;
    } else if (!strcmp(key, "size")) {
        status = read_size(key, value, &recipe->size, err);
    } else if (!strcmp(key, "crop")) {
        status = read_crop(key, value, recipe->crop, err);
    } else if (!strcmp(key, "filter")) {
        status = read_choice(key, value, "bilinear|bicubic|nearest", &choice, err);
        recipe->filter = (enum eg_filter)choice;
    } else if (!strcmp(key, "antialias")) {
        status = read_bool(key, value, &recipe->antialias, err);
    } else if (!strcmp(key, "channels")) {
        status = read_choice(key, value, "rgb|bgr", &choice, err);
        recipe->bgr = choice == 1;
    } else if (!strcmp(key, "scale")) {
        status = read_number(value, true, &recipe->scale)
                     ? EG_OK
                     : bad_value(key, value, "a number that is not 0", err);
    } else if (!strcmp(key, "mean")) {
        status = read_numbers(key, value, false, recipe->mean, err);
    } else if (!strcmp(key, "std")) {
        status = read_numbers(key, value, true, recipe->std, err);
    } else if (!strcmp(key, "exif")) {
        status = read_bool(key, value, &recipe->exif, err);
    } else if (!strcmp(key, "xmp")) {
        status = read_bool(key, value, &recipe->xmp, err);
    } else if (!strcmp(key, "icc")) {
        status = read_choice(key, value, "none|srgb", &choice, err);
        recipe->icc_srgb = choice == 1;
    } else if (!strcmp(key, "views")) {
        status = read_choice(key, value, "none|flip|five", &choice, err);
        recipe->views = (enum eg_views)choice;
    } else if (!strcmp(key, "alpha")) {
        status = read_choice(key, value, "white", &choice, err);
    } else if (!strcmp(key, "decode")) {
        status = read_choice(key, value, "exact|fast", &choice, err);
        recipe->fast_decode = choice == 1;
    } else {
        char *shown = eg__printable(key);
        status = eg__fail(err, EG_E_FORMAT, "recipe: unknown key '%.60s'", shown ? shown : "?");
        free(shown);
    }
    return status;
}

enum eg_status eg__recipe_check_views(const struct eg_recipe *recipe, struct eg_error *err)
{
    if (recipe->views != EG_VIEWS_FIVE ||
        (recipe->resize == EG_RESIZE_SHORT && recipe->size >= recipe->crop[0] &&
         recipe->size >= recipe->crop[1]))
        return EG_OK;
    return eg__fail(
        err, EG_E_ARGUMENT,
        "five views are cut from a square that is larger than the network's input: the recipe has "
        "none (resize the short side past the crop)");
}

void eg__recipe_of_pixels(const struct eg_recipe *recipe, struct eg_recipe *pixels)
{
    struct eg_recipe made = *recipe;
    if (recipe->views == EG_VIEWS_FIVE) made.crop[0] = made.crop[1] = recipe->size;
    made.views = EG_VIEWS_NONE;
    *pixels = made;
}

static enum eg_status parse_json(const char *text, struct eg_recipe *recipe, struct eg_error *err)
{
    json_error_t where;
    json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, &where);
    if (!root) {
        char *shown = eg__printable(where.text);
        enum eg_status status = eg__fail(err, EG_E_FORMAT, "recipe: line %d is not JSON: %.100s", where.line,
                                         shown ? shown : "?");
        free(shown);
        return status;
    }
    enum eg_status status = EG_OK;
    if (!json_is_object(root)) status = eg__fail(err, EG_E_FORMAT, "recipe: want a JSON object");
    struct eg_recipe made = *find_preset("plain");
    made.xmp = false;
    const char *key;
    json_t *value;
    json_object_foreach(root, key, value)
    {
        status = read_member(key, value, &made, err);
        if (status) break;
    }
    if (!status && made.resize == EG_RESIZE_SHORT && !made.size)
        status = eg__fail(err, EG_E_FORMAT, "recipe: 'resize' is short, and 'size' (its pixels) is missing");
    json_decref(root);
    if (status) return status;
    if (made.resize != EG_RESIZE_SHORT) made.size = 0;
    if ((status = eg__recipe_check_views(&made, err))) return status;
    *recipe = made;
    return EG_OK;
}

enum eg_status eg__recipe_parse(const char *name_or_json, struct eg_recipe *recipe, struct eg_error *err)
{
    const char *start = name_or_json + strspn(name_or_json, " \t\r\n");
    if (*start == '{' || *start == '[') return parse_json(start, recipe, err);
    const struct eg_recipe *preset = find_preset(name_or_json);
    if (preset) {
        *recipe = *preset;
        return EG_OK;
    }
    struct eg_text names = {0};
    for (size_t i = 0; i < N_PRESETS; i++) eg__text_append(&names, "%s%s", i ? ", " : "", presets[i].name);
    char *shown = eg__printable(name_or_json);
    enum eg_status status =
        eg__fail(err, EG_E_NOT_FOUND, "unknown recipe '%.200s' (want %s, or a JSON object)",
                 shown ? shown : "?", names.failed ? "a preset" : names.chars);
    free(shown);
    free(names.chars);
    return status;
}

/* The shortest decimal that reads back as the same double (jansson minds the locale). */
static void append_number(struct eg_text *text, double number)
{
    for (size_t digits = 1; digits <= 17; digits++) {
        json_t *value = json_real(number);
        char *shown = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(digits));
        json_decref(value);
        json_t *again = shown ? json_loads(shown, JSON_DECODE_ANY, NULL) : NULL;
        bool same = again && json_number_value(again) == number;
        json_decref(again);
        if (same) eg__text_append(text, "%s", shown);
        free(shown);
        if (same) return;
    }
    text->failed = true; /* no memory: finite numbers need at most 17 digits */
}

static void append_numbers(struct eg_text *text, const char *key, const double numbers[3])
{
    for (int i = 0; i < 3; i++) {
        if (i)
            eg__text_append(text, ",");
        else
            eg__text_append(text, ",\"%s\":[", key);
        append_number(text, numbers[i]);
    }
    eg__text_append(text, "]");
}

char *eg__recipe_json(const struct eg_recipe *recipe)
{
    static const char *const resize[] = {"short", "squash", "none"}, *const filter[] = {"bilinear", "bicubic",
                                                                                        "nearest"};
    struct eg_text text = {0};
    eg__text_append(&text, "{\"resize\":\"%s\",\"size\":", resize[recipe->resize]);
    if (recipe->resize == EG_RESIZE_SHORT)
        eg__text_append(&text, "%zu", recipe->size);
    else
        eg__text_append(&text, "null");
    eg__text_append(&text,
                    ",\"crop\":[%zu,%zu],\"filter\":\"%s\",\"antialias\":%s,\"channels\":\"%s\",\"scale\":",
                    recipe->crop[0], recipe->crop[1], filter[recipe->filter],
                    recipe->antialias ? "true" : "false", recipe->bgr ? "bgr" : "rgb");
    append_number(&text, recipe->scale);
    append_numbers(&text, "mean", recipe->mean);
    append_numbers(&text, "std", recipe->std);
    eg__text_append(&text, ",\"exif\":%s,\"alpha\":\"white\",\"decode\":\"%s\"",
                    recipe->exif ? "true" : "false", recipe->fast_decode ? "fast" : "exact");
    if (recipe->xmp) eg__text_append(&text, ",\"xmp\":true");
    if (recipe->icc_srgb) eg__text_append(&text, ",\"icc\":\"srgb\"");
    if (recipe->views)
        eg__text_append(&text, ",\"views\":\"%s\"", recipe->views == EG_VIEWS_FLIP ? "flip" : "five");
    eg__text_append(&text, "}");
    if (text.failed) {
        free(text.chars);
        return NULL;
    }
    return text.chars;
}

bool eg__recipe_same(const char *a, const char *b)
{
    struct eg_recipe x, y;
    if (!strcmp(a, b)) return true;
    if (!*a || !*b || eg__recipe_parse(a, &x, NULL) || eg__recipe_parse(b, &y, NULL)) return false;
    char *one = eg__recipe_json(&x), *other = eg__recipe_json(&y);
    bool same = one && other && !strcmp(one, other);
    free(one);
    free(other);
    return same;
}

void eg__recipe_adopt(struct eg_recipe *recipe, const char *older)
{
    struct eg_recipe parsed, made = *recipe;
    if (eg__recipe_parse(older, &parsed, NULL)) return;
    made.xmp = parsed.xmp;
    char *json = eg__recipe_json(&made);
    if (json && eg__recipe_same(json, older)) *recipe = made;
    free(json);
}

void eg__recipe_affine(const struct eg_recipe *recipe, float scale[3], float offset[3])
{
    for (int c = 0; c < 3; c++) {
        scale[c] = (float)(recipe->scale / recipe->std[c]);
        offset[c] = (float)(-recipe->mean[c] / recipe->std[c]);
    }
}
