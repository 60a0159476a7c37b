/* thumbnail.h: a photo in a few kilobytes, of a size known beforehand. */
#ifndef EG_IMAGE_THUMBNAIL_H
#define EG_IMAGE_THUMBNAIL_H

#include "engraft.h"

/* A JPEG of at most `side` pixels a side, upright where the recipe says so, in room [n_room] with zeros
 * behind it; zeros alone where the photo cannot be read or would not fit. */
void eg__thumbnail(const void *bytes, size_t n_bytes, const struct eg_recipe *recipe, size_t side,
                   uint8_t *room, size_t n_room);

#endif
