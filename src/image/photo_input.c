/* photo_input.c: a photo to the pixels of a network's input, by its recipe. */
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "image/input_sink.h"
#include "image/photo.h"

/* One axis of the centre crop: which part of the resized side is seen, and where it goes.
 * A side shorter than the crop is padded with black, the odd pixel at the end. */
struct crop {
    size_t from, count, to;
};

static struct crop center_crop(size_t side, size_t crop)
{
    if (side < crop) return (struct crop){0, side, (crop - side) / 2};
    size_t spare = side - crop, from = spare / 2;
    if (spare % 2 && from % 2) from++; /* a half rounds to even */
    return (struct crop){from, crop, 0};
}

static enum eg_status input_begin(struct eg_photo_sink *sink, const struct eg_photo_header *header,
                                  struct eg_box *wanted, struct eg_error *err)
{
    struct eg_input_sink *input = (struct eg_input_sink *)sink;
    const struct eg_recipe *recipe = input->recipe;
    bool transposed = eg__orientation_transposes(header->orientation);
    size_t width = transposed ? header->full_height : header->full_width;
    size_t height = transposed ? header->full_width : header->full_height;
    if (recipe->resize == EG_RESIZE_SQUASH) {
        height = recipe->crop[0];
        width = recipe->crop[1];
    } else if (recipe->resize == EG_RESIZE_SHORT) {
        size_t *shorter = width < height ? &width : &height, *longer = width < height ? &height : &width;
        *longer = recipe->size * *longer / *shorter;
        *shorter = recipe->size;
    }
    struct crop rows = center_crop(height, recipe->crop[0]), columns = center_crop(width, recipe->crop[1]);
    size_t stride = 3 * recipe->crop[1];
    if (rows.count < recipe->crop[0] || columns.count < recipe->crop[1])
        memset(input->out, 0, recipe->crop[0] * stride);
    struct eg_resample_window window = {.resized_width = width,
                                        .resized_height = height,
                                        .x = columns.from,
                                        .y = rows.from,
                                        .width = columns.count,
                                        .height = rows.count,
                                        .out = input->out + rows.to * stride + 3 * columns.to,
                                        .out_stride = stride};
    enum eg_status status =
        eg__resampler_init_in(&input->resampler, header->width, header->height, header->orientation, &window,
                              recipe->filter, recipe->antialias, input->room, err);
    if (!status) *wanted = input->resampler.box;
    return status;
}

static void input_row(struct eg_photo_sink *sink, const uint8_t *rgbx)
{
    eg__resampler_row(&((struct eg_input_sink *)sink)->resampler, rgbx);
}

/* Scaled decoding leaves at least twice the side that resizing aims at. */
static size_t fast_target(const struct eg_recipe *recipe)
{
    if (!recipe->fast_decode || recipe->resize == EG_RESIZE_NONE) return 0;
    if (recipe->resize == EG_RESIZE_SHORT) return 2 * recipe->size;
    return 2 * (recipe->crop[0] > recipe->crop[1] ? recipe->crop[0] : recipe->crop[1]);
}

struct eg_input_sink eg__input_sink(const struct eg_recipe *recipe, uint8_t *out, struct eg_room *room)
{
    return (struct eg_input_sink){.sink = {.exif = recipe->exif,
                                           .xmp = recipe->xmp,
                                           .srgb = recipe->icc_srgb,
                                           .fast_target = fast_target(recipe),
                                           .begin = input_begin,
                                           .row = input_row},
                                  .recipe = recipe,
                                  .room = room,
                                  .out = out};
}

enum eg_status eg__photo_input(const void *bytes, size_t n_bytes, const struct eg_recipe *recipe,
                               uint8_t *out, struct eg_error *err)
{
    struct eg_input_sink input = eg__input_sink(recipe, out, NULL);
    enum eg_status status = eg__photo_stream(bytes, n_bytes, &input.sink, err);
    eg__resampler_release(&input.resampler);
    return status;
}

enum eg_status eg__resize(const struct eg_image *image, size_t h, size_t w, enum eg_filter filter,
                          bool antialias, uint8_t *out, struct eg_error *err)
{
    struct eg_resample_window window = {w, h, 0, 0, w, h, out, 3 * w};
    struct eg_resampler resampler;
    uint8_t *row = eg__zalloc(4 * image->width + EG_ROW_PADDING, 1);
    if (!row) return eg__fail_memory(err, "a row of a photo");
    enum eg_status status =
        eg__resampler_init(&resampler, image->width, image->height, 1, &window, filter, antialias, err);
    if (status) {
        free(row);
        return status;
    }
    const uint8_t *rgb = image->rgb;
    size_t first = resampler.box.y, last = first + resampler.box.height;
    for (size_t y = first; y < last; y++) {
        const uint8_t *from = rgb + 3 * image->width * y;
        for (size_t x = 0; x < image->width; x++) memcpy(row + 4 * x, from + 3 * x, 3);
        eg__resampler_row(&resampler, row + 4 * resampler.box.x);
    }
    eg__resampler_release(&resampler);
    free(row);
    return EG_OK;
}
