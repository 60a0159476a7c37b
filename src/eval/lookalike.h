/* lookalike.h: is one photo a copy of another? A second look, at the pixels: features alone take two
 * photos of one motif for copies, and a copy in grey for another photo.
 *
 * A photo is seen as a square of luminance, squashed to EG_LOOK_SIDE pixels. Copies are found among
 * pairs by a coarse signature (a dot product), and confirmed by laying one over the other: scaled,
 * shifted, turned a little, as they are or mirrored, until they correlate as well as they can. */
#ifndef EG_EVAL_LOOKALIKE_H
#define EG_EVAL_LOOKALIKE_H

#include "engraft.h"

enum { EG_LOOK_SIDE = 64, EG_LOOK_BYTES = EG_LOOK_SIDE * EG_LOOK_SIDE, EG_LOOK_SIGNATURE = 144 };

/* Luminance of an RGB picture, means over the areas of a grid of EG_LOOK_SIDE squares. */
void eg__look_of(const uint8_t *rgb, size_t height, size_t width, uint8_t look[EG_LOOK_BYTES]);
/* A coarse picture of zero mean and length 1 (all 0 where there is nothing to see): the dot product
 * of two is their correlation. mirror: of the picture seen in a mirror. */
void eg__look_signature(const uint8_t look[EG_LOOK_BYTES], bool mirror, float signature[EG_LOOK_SIGNATURE]);
/* The best correlation of b laid over a, -1 to 1. A few hundred microseconds. */
double eg__look_same(const uint8_t a[EG_LOOK_BYTES], const uint8_t b[EG_LOOK_BYTES]);

#endif
