/* input_sink.h: the end of every way in: rows of stored pixels to the pixels of a network's input. */
#ifndef EG_IMAGE_INPUT_SINK_H
#define EG_IMAGE_INPUT_SINK_H

#include "image/resample.h"

struct eg_input_sink {
    struct eg_photo_sink sink; /* first: the decoder knows it by this address */
    const struct eg_recipe *recipe;
    struct eg_resampler resampler; /* to be released, whatever comes */
    struct eg_room *room;          /* NULL: memory of its own */
    uint8_t *out;                  /* [crop h][crop w][3] */
};

struct eg_input_sink eg__input_sink(const struct eg_recipe *recipe, uint8_t *out, struct eg_room *room);

#endif
