/* recipe_beside.c: how a network's photos were prepared, from the files that its makers put beside the
 * weights: Hugging Face's preprocessor_config.json, timm's part of config.json. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "model/recipe_beside.h"

static json_t *read_json(const char *weights, const char *name)
{
    char *path;
    int folder = (int)(eg__path_last(weights) - weights);
    if (asprintf(&path, "%.*s%s", folder, weights, name) < 0) return NULL;
    json_t *json = json_load_file(path, 0, NULL);
    free(path);
    return json;
}

static size_t side(const json_t *value)
{
    json_int_t n = json_integer_value(value);
    return n > 0 && n <= 16384 ? (size_t)n : 0;
}

static bool read_three(const json_t *list, double *out)
{
    if (json_array_size(list) != 3) return false;
    for (size_t i = 0; i < 3; i++) {
        if (!json_is_number(json_array_get(list, i))) return false;
        out[i] = json_number_value(json_array_get(list, i));
    }
    return true;
}

/* {"size": 224 | {"shortest_edge": 224} | {"height": 224, "width": 224}, "crop_size": the same,
 *  "do_center_crop", "crop_pct", "resample": Pillow's number, "image_mean", "image_std"} */
static bool from_preprocessor(const json_t *json, struct eg_recipe *recipe)
{
    enum { NEAREST = 0, BILINEAR = 2, BICUBIC = 3 };
    const json_t *size = json_object_get(json, "size"), *crop = json_object_get(json, "crop_size");
    const json_t *resample = json_object_get(json, "resample");
    if (!json_object_get(json, "image_mean") && !size) return false;
    size_t edge = side(json_object_get(size, "shortest_edge")), h = side(json_object_get(size, "height")),
           w = side(json_object_get(size, "width")), ch = side(json_object_get(crop, "height")),
           cw = side(json_object_get(crop, "width"));
    if (json_is_integer(size)) edge = h = w = side(size);
    if (json_is_integer(crop)) ch = cw = side(crop);
    bool crops = ch && cw && !json_is_false(json_object_get(json, "do_center_crop"));
    double share = json_number_value(json_object_get(json, "crop_pct"));
    if (edge && edge < 384 && share > 0 && share <= 1 && !crops) { /* ConvNeXt, as transformers has it */
        recipe->resize = EG_RESIZE_SHORT;
        recipe->size = (size_t)((double)edge / share);
        recipe->crop[0] = recipe->crop[1] = edge;
    } else if (crops && edge) {
        recipe->resize = EG_RESIZE_SHORT;
        recipe->size = edge;
        recipe->crop[0] = ch;
        recipe->crop[1] = cw;
    } else if ((h && w) || edge) { /* the whole picture into that size */
        recipe->resize = EG_RESIZE_SQUASH;
        recipe->crop[0] = h ? h : edge;
        recipe->crop[1] = w ? w : edge;
        recipe->size = 0;
    } else {
        return false;
    }
    if (json_integer_value(resample) == BILINEAR) recipe->filter = EG_FILTER_BILINEAR;
    if (json_integer_value(resample) == BICUBIC) recipe->filter = EG_FILTER_BICUBIC;
    if (json_is_integer(resample) && json_integer_value(resample) == NEAREST)
        recipe->filter = EG_FILTER_NEAREST;
    if (json_is_number(json_object_get(json, "rescale_factor")))
        recipe->scale = json_number_value(json_object_get(json, "rescale_factor"));
    if (json_is_false(json_object_get(json, "do_normalize"))) {
        for (unsigned i = 0; i < 3; i++) {
            recipe->mean[i] = 0;
            recipe->std[i] = 1;
        }
        return true;
    }
    (void)read_three(json_object_get(json, "image_mean"), recipe->mean);
    (void)read_three(json_object_get(json, "image_std"), recipe->std);
    return true;
}

/* {"pretrained_cfg": {"input_size": [3, h, w], "interpolation", "crop_pct", "crop_mode", "mean", "std"}},
 * in older files without the outer one. */
static bool from_timm(const json_t *json, struct eg_recipe *recipe)
{
    const json_t *inner = json_object_get(json, "pretrained_cfg"), *cfg = inner ? inner : json;
    const json_t *input = json_object_get(cfg, "input_size");
    const char *filter = json_string_value(json_object_get(cfg, "interpolation"));
    const char *mode = json_string_value(json_object_get(cfg, "crop_mode"));
    size_t h = side(json_array_get(input, 1)), w = side(json_array_get(input, 2));
    if (json_array_size(input) != 3 || !h || !w) return false;
    double share = json_number_value(json_object_get(cfg, "crop_pct"));
    if (!(share > 0 && share <= 1)) share = 0.875;
    bool squash = mode && !strcmp(mode, "squash") && share == 1;
    recipe->resize = squash ? EG_RESIZE_SQUASH : EG_RESIZE_SHORT;
    recipe->size = squash ? 0 : (size_t)floor((double)(h < w ? h : w) / share);
    recipe->crop[0] = h;
    recipe->crop[1] = w;
    if (filter && !strcmp(filter, "bilinear")) recipe->filter = EG_FILTER_BILINEAR;
    if (filter && !strcmp(filter, "bicubic")) recipe->filter = EG_FILTER_BICUBIC;
    if (filter && !strcmp(filter, "nearest")) recipe->filter = EG_FILTER_NEAREST;
    (void)read_three(json_object_get(cfg, "mean"), recipe->mean);
    (void)read_three(json_object_get(cfg, "std"), recipe->std);
    return true;
}

const char *eg__recipe_beside(const char *weights, struct eg_recipe *recipe)
{
    static const struct {
        const char *name;
        bool (*read)(const json_t *json, struct eg_recipe *recipe);
    } files[] = {{"preprocessor_config.json", from_preprocessor}, {"config.json", from_timm}};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        json_t *json = read_json(weights, files[i].name);
        struct eg_recipe made;
        bool found = json && !eg_recipe_load("timm-bicubic", &made, NULL) && files[i].read(json, &made);
        json_decref(json);
        for (unsigned k = 0; k < 3 && found; k++) found = made.std[k] > 0 && isfinite(made.mean[k]);
        if (!found) continue;
        made.bgr = false;
        *recipe = made;
        return files[i].name;
    }
    return NULL;
}
