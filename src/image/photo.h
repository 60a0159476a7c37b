/* photo.h: bytes of a photo to 8-bit RGB, and to a network's input by its recipe. */
#ifndef EG_IMAGE_PHOTO_H
#define EG_IMAGE_PHOTO_H

#include "engraft.h"

struct eg_decode_options {
    bool no_exif, no_xmp;
    size_t fast_target; /* not 0: a scaled JPEG decode no smaller than this on both sides */
};

/* Sniffed from the bytes. EG_E_FORMAT: damaged or not an image; EG_E_UNSUPPORTED: a kind not
 * built in, or past the pixel limit of 256 million (checked before any allocation). */
EG_MUST_CHECK enum eg_status eg__photo_decode(const void *bytes, size_t n_bytes,
                                              const struct eg_decode_options *options, struct eg_image *image,
                                              struct eg_error *err);
/* Width and height as it is shown, of a photo whose header can be read. */
EG_MUST_CHECK enum eg_status eg__photo_size(const void *bytes, size_t n_bytes, size_t *width, size_t *height,
                                            struct eg_error *err);
bool eg__photo_sniff(const void *bytes, size_t n_bytes); /* do the first bytes say photo? */

/* The pixels of the network's input by the recipe, before normalisation:
 * out [crop h][crop w][3] RGB bytes. Decodes, orients, resizes, crops; only what the crop
 * keeps need be finished. */
EG_MUST_CHECK enum eg_status eg__photo_input(const void *bytes, size_t n_bytes,
                                             const struct eg_recipe *recipe, uint8_t *out,
                                             struct eg_error *err);

/* Pillow's antialiased resampling, two passes on 8-bit values. out [h][w][3]. */
EG_MUST_CHECK enum eg_status eg__resize(const struct eg_image *image, size_t h, size_t w,
                                        enum eg_filter filter, bool antialias, uint8_t *out,
                                        struct eg_error *err);

/* A preset's name or the JSON of a recipe (unknown keys and values refused by name). */
EG_MUST_CHECK enum eg_status eg__recipe_parse(const char *name_or_json, struct eg_recipe *recipe,
                                              struct eg_error *err);
/* Canonical JSON, keys in DESIGN's order; malloc'd. Equal recipes give equal strings. */
char *eg__recipe_json(const struct eg_recipe *recipe);
/* Do two recipes as JSON, or two that are none (""), mean the same? */
bool eg__recipe_same(const char *a, const char *b);
/* Where `recipe` and the one as JSON are the same but for a key that came later and whose default
 * was set anew since, the old meaning: xmp. */
void eg__recipe_adopt(struct eg_recipe *recipe, const char *older);
/* value = byte * scale + offset, per channel of the network's order. */
/* EG_E_ARGUMENT: views that the recipe leaves no room for. */
EG_MUST_CHECK enum eg_status eg__recipe_check_views(const struct eg_recipe *recipe, struct eg_error *err);
/* What a photo becomes: for five views the square that they are cut from. */
void eg__recipe_of_pixels(const struct eg_recipe *recipe, struct eg_recipe *pixels);
void eg__recipe_affine(const struct eg_recipe *recipe, float scale[3], float offset[3]);

#endif
