/* codecs.h: what the decoders share. A decoder reads the header, asks the sink which part of
 * the stored picture it wants, and pushes that part row by row, top to bottom; so a photo is
 * resized while its rows are still in the cache and never stands in memory as a whole. */
#ifndef EG_IMAGE_CODECS_H
#define EG_IMAGE_CODECS_H

#include "engraft.h"

#define EG_PHOTO_MAX_PIXELS 256000000u
#define EG_PHOTO_MAX_SIDE 1000000u
#define EG_ROW_PADDING 32u /* bytes; rows are read in blocks of eight pixels */

struct eg_box {
    size_t x, y, width, height;
};

struct eg_photo_header {
    size_t width, height; /* of the pixels that come: stored order, scaled decoding applied */
    size_t full_width, full_height;
    unsigned orientation; /* EXIF, 1..8 */
};

struct eg_photo_sink {
    bool exif;          /* false: orientation is reported as 1 */
    bool xmp;           /* with exif: looked for in XMP and in raw profiles too, where EXIF has none */
    bool srgb;          /* colours are converted to sRGB by the photo's ICC profile */
    size_t fast_target; /* see struct eg_decode_options */
    /* `wanted` comes as the whole picture and may be made smaller, not empty. */
    enum eg_status (*begin)(struct eg_photo_sink *sink, const struct eg_photo_header *header,
                            struct eg_box *wanted, struct eg_error *err);
    /* The next row of the box: box.width pixels R,G,B,any, and EG_ROW_PADDING initialised bytes,
     * whatever their value. */
    void (*row)(struct eg_photo_sink *sink, const uint8_t *rgbx);
};

typedef enum eg_status eg_decoder(const uint8_t *bytes, size_t n, struct eg_photo_sink *sink,
                                  struct eg_error *err);
eg_decoder eg__jpeg_decode, eg__png_decode, eg__webp_decode, eg__heif_decode, eg__tiff_decode, eg__gif_decode,
    eg__bmp_decode, eg__avif_decode;

/* The photo's rows, by the decoder that its first bytes call for. */
EG_MUST_CHECK enum eg_status eg__photo_stream(const void *bytes, size_t n_bytes, struct eg_photo_sink *sink,
                                              struct eg_error *err);

/* The limits on width and height; every decoder calls it before it allocates. */
EG_MUST_CHECK enum eg_status eg__photo_check_size(size_t width, size_t height, struct eg_error *err);

/* Orientation in an EXIF block (with or without "Exif\0\0" before it); 0 when there is none. */
unsigned eg__exif_orientation(const uint8_t *exif, size_t n);

/* What stands beside the pixels of a photo; NULL: it has none. */
struct eg_photo_notes {
    const uint8_t *exif, *xmp;
    size_t n_exif, n_xmp;
};
/* The orientation that a sink wants of them, 1..8. */
unsigned eg__orientation(const struct eg_photo_sink *sink, const struct eg_photo_notes *notes);

/* RGBA over white, in place, rounded as Pillow's paste does. */
void eg__rgba_on_white(uint8_t *rgba, size_t n_pixels);

/* EXIF: transposed first (5..8), then mirrored along the stored columns and rows. */
static inline bool eg__orientation_transposes(unsigned o) { return o >= 5; }
static inline bool eg__orientation_mirrors_x(unsigned o) { return o == 2 || o == 3 || o == 7 || o == 8; }
static inline bool eg__orientation_mirrors_y(unsigned o) { return o == 3 || o == 4 || o == 6 || o == 7; }

#endif
