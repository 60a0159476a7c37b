/* image_api.c: photos and recipes as a library user meets them. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/mem.h"
#include "image/kinds.h"
#include "image/photo.h"

enum eg_status eg_image_decode(const void *bytes, size_t n_bytes, struct eg_image *image,
                               struct eg_error *err)
{
    static const struct eg_decode_options options;
    return eg__photo_decode(bytes, n_bytes, &options, image, err);
}

enum eg_status eg_image_size(const void *bytes, size_t n_bytes, size_t *width, size_t *height,
                             struct eg_error *err)
{
    return eg__photo_size(bytes, n_bytes, width, height, err);
}

void eg_image_release(struct eg_image *image)
{
    free(image->rgb);
    *image = (struct eg_image){0};
}

const char *eg_photo_kind(size_t index, bool *read)
{
    if (index >= eg__photo_kind_count()) return NULL;
    const struct eg_photo_kind *kind = eg__photo_kind(index);
    if (read) *read = kind->decode;
    return kind->name;
}

enum eg_status eg_image_pixels(const void *bytes, size_t n_bytes, const struct eg_recipe *recipe,
                               uint8_t *out, struct eg_error *err)
{
    struct eg_recipe of_pixels;
    eg__recipe_of_pixels(recipe, &of_pixels);
    return eg__photo_input(bytes, n_bytes, &of_pixels, out, err);
}

enum eg_status eg_image_input(const void *bytes, size_t n_bytes, const struct eg_recipe *recipe, float *out,
                              struct eg_error *err)
{
    struct eg_recipe of_pixels;
    eg__recipe_of_pixels(recipe, &of_pixels);
    size_t n = of_pixels.crop[0] * of_pixels.crop[1];
    uint8_t *pixels = eg__alloc(n, 3);
    if (!pixels) return eg__fail_memory(err, "a photo");
    enum eg_status status = eg__photo_input(bytes, n_bytes, &of_pixels, pixels, err);
    float scale[3], offset[3];
    eg__recipe_affine(recipe, scale, offset);
    for (size_t i = 0; i < n && !status; i++)
        for (size_t c = 0; c < 3; c++)
            out[3 * i + c] =
                __builtin_fmaf((float)pixels[3 * i + (recipe->bgr ? 2 - c : c)], scale[c], offset[c]);
    free(pixels);
    return status;
}

enum eg_status eg_recipe_load(const char *name, struct eg_recipe *recipe, struct eg_error *err)
{
    struct stat info;
    if (*name == '{' || stat(name, &info) || !S_ISREG(info.st_mode))
        return eg__recipe_parse(name, recipe, err);
    struct eg_mapping mapping;
    enum eg_status status = eg__map_file(name, &mapping, err);
    if (status) return status;
    char *text = mapping.size < 65536 ? strndup((const char *)mapping.bytes, mapping.size) : NULL;
    eg__unmap_file(&mapping);
    if (!text) return eg__fail(err, EG_E_FORMAT, "'%s' is no recipe", name);
    status = eg__recipe_parse(text, recipe, err);
    free(text);
    return status ? eg__fail_within(err, status, "'%s'", name) : EG_OK;
}

char *eg_recipe_json(const struct eg_recipe *recipe) { return eg__recipe_json(recipe); }
