/* extent.h: a value seen as a map of pixels, for pictures and tables. */
#ifndef ENGRAFT_EXTENT_H
#define ENGRAFT_EXTENT_H

#include "engraft.h"

/* A value as [h][w][c]: tokens are one row, a vector one pixel. */
struct extent {
    size_t h, w, c;
};
struct extent extent_of(struct eg_shape shape);

#endif
