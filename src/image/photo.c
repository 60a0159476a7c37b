/* photo.c: which decoder a photo needs, and the photo whole: oriented, 8-bit RGB. */
#include "image/photo.h"

#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "image/colour.h"
#include "image/kinds.h"

enum eg_status eg__photo_check_size(size_t width, size_t height, struct eg_error *err)
{
    if (!width || !height) return eg__fail(err, EG_E_FORMAT, "damaged photo: it has no pixels");
    if (width > EG_PHOTO_MAX_SIDE || height > EG_PHOTO_MAX_SIDE || width * height > EG_PHOTO_MAX_PIXELS)
        return eg__fail(err, EG_E_UNSUPPORTED, "too large: past the limit of %u million pixels",
                        EG_PHOTO_MAX_PIXELS / 1000000);
    return EG_OK;
}

void eg__rgba_on_white(uint8_t *rgba, size_t n_pixels)
{
    for (size_t i = 0; i < n_pixels; i++, rgba += 4) {
        unsigned alpha = rgba[3];
        for (int c = 0; c < 3; c++) {
            unsigned sum = rgba[c] * alpha + 255 * (255 - alpha) + 128;
            rgba[c] = (uint8_t)((sum + (sum >> 8)) >> 8);
        }
    }
}

bool eg__photo_sniff(const void *bytes, size_t n_bytes)
{
    const struct eg_photo_kind *kind = eg__kind_of_bytes(bytes, n_bytes);
    return kind && kind->decode;
}

enum eg_status eg__photo_stream(const void *bytes, size_t n_bytes, struct eg_photo_sink *sink,
                                struct eg_error *err)
{
    if (!n_bytes) return eg__fail(err, EG_E_FORMAT, "empty file");
    const struct eg_photo_kind *kind = eg__kind_of_bytes(bytes, n_bytes);
    if (!kind) return eg__fail(err, EG_E_FORMAT, "not a photo: its first bytes are of no kind that is read");
    if (!kind->decode)
        return eg__fail(err, EG_E_UNSUPPORTED, "a picture of kind %s: %s", kind->name, eg__kind_advice(kind));
    if (sink->srgb) return eg__colour_stream(kind, bytes, n_bytes, sink, err);
    return kind->decode(bytes, n_bytes, sink, err);
}

/* ---- its size ---- */

struct size_sink {
    struct eg_photo_sink sink; /* first: the decoder knows it by this address */
    size_t width, height;
    bool known;
};

/* Stops the decoder when the header is read. */
static enum eg_status size_begin(struct eg_photo_sink *sink, const struct eg_photo_header *header,
                                 struct eg_box *wanted, struct eg_error *err)
{
    (void)wanted;
    struct size_sink *size = (struct size_sink *)sink;
    bool transposed = eg__orientation_transposes(header->orientation);
    size->width = transposed ? header->full_height : header->full_width;
    size->height = transposed ? header->full_width : header->full_height;
    size->known = true;
    return eg__fail(err, EG_E_CANCELLED, "the header was enough");
}

static void no_row(struct eg_photo_sink *sink, const uint8_t *rgbx)
{
    (void)sink;
    (void)rgbx;
}

enum eg_status eg__photo_size(const void *bytes, size_t n_bytes, size_t *width, size_t *height,
                              struct eg_error *err)
{
    struct size_sink size = {.sink = {.exif = true, .begin = size_begin, .row = no_row}};
    enum eg_status status = eg__photo_stream(bytes, n_bytes, &size.sink, err);
    if (!size.known) return status ? status : eg__fail(err, EG_E_FORMAT, "damaged photo: no header");
    *width = size.width;
    *height = size.height;
    return EG_OK;
}

/* ---- a photo as a whole ---- */

struct whole_sink {
    struct eg_photo_sink sink; /* first: the decoder knows it by this address */
    struct eg_image image;
    size_t width;             /* stored */
    uint8_t *next;            /* where the next stored row begins in the oriented picture */
    ptrdiff_t step_x, step_y; /* bytes from stored column to column, row to row */
};

static enum eg_status whole_begin(struct eg_photo_sink *sink, const struct eg_photo_header *header,
                                  struct eg_box *wanted, struct eg_error *err)
{
    (void)wanted;
    struct whole_sink *whole = (struct whole_sink *)sink;
    bool transposed = eg__orientation_transposes(header->orientation);
    size_t w = header->width, h = header->height;
    whole->width = w;
    whole->image.width = transposed ? h : w;
    whole->image.height = transposed ? w : h;
    whole->image.rgb = eg__alloc(w * h, 3);
    if (!whole->image.rgb) return eg__fail_memory(err, "a photo's pixels");
    ptrdiff_t across = 3, down = 3 * (ptrdiff_t)whole->image.width;
    whole->step_x = transposed ? down : across;
    whole->step_y = transposed ? across : down;
    whole->next = whole->image.rgb;
    if (eg__orientation_mirrors_x(header->orientation)) {
        whole->next += (ptrdiff_t)(w - 1) * whole->step_x;
        whole->step_x = -whole->step_x;
    }
    if (eg__orientation_mirrors_y(header->orientation)) {
        whole->next += (ptrdiff_t)(h - 1) * whole->step_y;
        whole->step_y = -whole->step_y;
    }
    return EG_OK;
}

static void whole_row(struct eg_photo_sink *sink, const uint8_t *rgbx)
{
    struct whole_sink *whole = (struct whole_sink *)sink;
    uint8_t *out = whole->next;
    for (size_t i = 0; i < whole->width; i++, out += whole->step_x, rgbx += 4) {
        out[0] = rgbx[0];
        out[1] = rgbx[1];
        out[2] = rgbx[2];
    }
    whole->next += whole->step_y;
}

enum eg_status eg__photo_decode(const void *bytes, size_t n_bytes, const struct eg_decode_options *options,
                                struct eg_image *image, struct eg_error *err)
{
    struct whole_sink whole = {.sink = {.exif = !(options && options->no_exif),
                                        .xmp = !(options && options->no_xmp),
                                        .fast_target = options ? options->fast_target : 0,
                                        .begin = whole_begin,
                                        .row = whole_row}};
    enum eg_status status = eg__photo_stream(bytes, n_bytes, &whole.sink, err);
    if (status)
        free(whole.image.rgb);
    else
        *image = whole.image;
    return status;
}
