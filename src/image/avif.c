/* avif.c: AVIF by libavif, the first picture of a file. Turned as the container says (irot, then imir), which
 * takes the place of EXIF's orientation there. */
#ifdef EG_WITH_AVIF
#include <stdlib.h>
#include <string.h>

#include <avif/avif.h>

#include "base/fail.h"
#include "base/mem.h"
#include "image/codecs.h"

static enum eg_status fail_avif(avifResult cause, struct eg_error *err)
{
    if (cause == AVIF_RESULT_OUT_OF_MEMORY) return eg__fail_memory(err, "an AVIF");
    enum eg_status status = cause == AVIF_RESULT_NO_CODEC_AVAILABLE || cause == AVIF_RESULT_NOT_IMPLEMENTED
                                ? EG_E_UNSUPPORTED
                                : EG_E_FORMAT;
    return eg__fail(err, status, "%s AVIF: %s", status == EG_E_FORMAT ? "damaged" : "a rare",
                    avifResultToString(cause));
}

/* [anticlockwise quarters][0: not mirrored, 1: top and bottom exchanged, 2: left and right] as EXIF has it */
static unsigned orientation_of(const avifImage *image)
{
    static const uint8_t orientations[4][3] = {{1, 4, 2}, {8, 5, 7}, {3, 2, 4}, {6, 7, 5}};
    unsigned angle = image->transformFlags & AVIF_TRANSFORM_IROT ? image->irot.angle & 3u : 0, mirror = 0;
    if (image->transformFlags & AVIF_TRANSFORM_IMIR)
#if AVIF_VERSION >= 1000000
        mirror = 1u + (image->imir.axis & 1u);
#else
        mirror = 1u + (image->imir.mode & 1u);
#endif
    return orientations[angle][mirror];
}

static enum eg_status push_rows(const avifRGBImage *rgb, const struct eg_box *box, struct eg_photo_sink *sink,
                                struct eg_error *err)
{
    uint8_t *row = eg__zalloc(4 * box->width + EG_ROW_PADDING, 1);
    if (!row) return eg__fail_memory(err, "a row of an AVIF");
    for (size_t y = box->y; y < box->y + box->height; y++) {
        memcpy(row, rgb->pixels + (size_t)rgb->rowBytes * y + 4 * box->x, 4 * box->width);
        eg__rgba_on_white(row, box->width);
        sink->row(sink, row);
    }
    free(row);
    return EG_OK;
}

static enum eg_status read_picture(avifDecoder *decoder, struct eg_photo_sink *sink, struct eg_error *err)
{
    const avifImage *image = decoder->image;
    enum eg_status status = eg__photo_check_size(image->width, image->height, err);
    if (status) return status;
    struct eg_photo_header header = {image->width, image->height, image->width, image->height,
                                     orientation_of(image)};
    struct eg_box box = {0, 0, header.width, header.height};
    status = sink->begin(sink, &header, &box, err);
    if (status) return status;
    avifResult cause = avifDecoderNextImage(decoder);
    if (cause != AVIF_RESULT_OK) return fail_avif(cause, err);
    if (image->width != header.width || image->height != header.height)
        return eg__fail(err, EG_E_FORMAT, "damaged AVIF: its picture is not of the size it states");
    avifRGBImage rgb;
    avifRGBImageSetDefaults(&rgb, image);
    rgb.format = AVIF_RGB_FORMAT_RGBA;
    rgb.depth = 8;
    rgb.rowBytes = 4 * rgb.width;
    rgb.pixels = eg__alloc(rgb.height, rgb.rowBytes);
    if (!rgb.pixels) return eg__fail_memory(err, "an AVIF's pixels");
    cause = avifImageYUVToRGB(image, &rgb);
    status = cause == AVIF_RESULT_OK ? push_rows(&rgb, &box, sink, err) : fail_avif(cause, err);
    free(rgb.pixels);
    return status;
}

enum eg_status eg__avif_decode(const uint8_t *bytes, size_t n, struct eg_photo_sink *sink,
                               struct eg_error *err)
{
    avifDecoder *decoder = avifDecoderCreate();
    if (!decoder) return eg__fail_memory(err, "an AVIF");
    decoder->maxThreads = 1; /* the caller has threads of its own */
    decoder->ignoreExif = decoder->ignoreXMP = AVIF_TRUE;
    decoder->imageSizeLimit = EG_PHOTO_MAX_PIXELS;
    decoder->strictFlags = AVIF_STRICT_DISABLED; /* as browsers do */
    avifResult cause = avifDecoderSetIOMemory(decoder, bytes, n);
    if (cause == AVIF_RESULT_OK) cause = avifDecoderParse(decoder);
    enum eg_status status =
        cause == AVIF_RESULT_OK ? read_picture(decoder, sink, err) : fail_avif(cause, err);
    avifDecoderDestroy(decoder);
    return status;
}
#else
typedef int eg_no_avif_here;
#endif
