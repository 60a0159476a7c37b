/* pos_embed.h: embeddings of places, which belong to one size of image, for another. */
#ifndef EG_ARCH_POS_EMBED_H
#define EG_ARCH_POS_EMBED_H

#include <stdbool.h>
#include <stddef.h>

/* from [h][w][c] to [to_h][to_w][c], as timm's resample_abs_pos_embed has it: bicubic (a = -1/2), antialiased
 * where it shrinks, half pixels. False: no memory. Cost O(c to_h to_w (h / to_h + w / to_w)). */
bool eg__resample_places(const float *from, size_t h, size_t w, size_t c, float *to, size_t to_h,
                         size_t to_w);

#endif
