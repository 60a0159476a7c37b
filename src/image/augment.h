/* augment.h: a photo as training sees it: another view of it in every epoch. */
#ifndef EG_IMAGE_AUGMENT_H
#define EG_IMAGE_AUGMENT_H

#include "image/photo.h"

/* none      the recipe's own pixels, as eg__photo_input gives them
 * light     a crop of 50 to 100 % of the area, its sides' ratio off the input's by up to 3:4
 *           either way, resized to the input; mirrored left to right half of the time
 * standard  a crop of 35 to 100 %, mirrored half of the time; turned by up to 10 degrees (the
 *           corners filled by reflection); brightness, contrast and saturation each times 0.8
 *           to 1.2 */
enum eg_augment { EG_AUGMENT_NONE, EG_AUGMENT_LIGHT, EG_AUGMENT_STANDARD };

/* The level of that name; EG_E_ARGUMENT names the choices. */
EG_MUST_CHECK enum eg_status eg__augment_parse(const char *name, enum eg_augment *level,
                                               struct eg_error *err);

/* The view of a photo that belongs to (seed, image, epoch), always the same one: pixels of the
 * network's input before normalisation, out [crop h][crop w][3] RGB. */
EG_MUST_CHECK enum eg_status eg__augment_input(const void *bytes, size_t n_bytes,
                                               const struct eg_recipe *recipe, enum eg_augment level,
                                               uint64_t seed, size_t image, size_t epoch, uint8_t *out,
                                               struct eg_error *err);

#endif
