/* heif.c: HEIC and AVIF by libheif, where CMake found it. Turned as the container says (its own
 * transformations, which take the place of EXIF's orientation there). */
#ifdef EG_WITH_HEIF
#include <stdlib.h>
#include <string.h>

#include <libheif/heif.h>

#include "base/fail.h"
#include "base/mem.h"
#include "image/codecs.h"

static enum eg_status fail_heif(struct heif_error cause, struct eg_error *err)
{
    int line = (int)strcspn(cause.message, "\n"); /* libheif's may be several */
    switch (cause.code) {
    case heif_error_Memory_allocation_error: return eg__fail_memory(err, "a HEIC or AVIF");
    case heif_error_Unsupported_filetype:
    case heif_error_Unsupported_feature:
    case heif_error_Decoder_plugin_error:
        return eg__fail(err, EG_E_UNSUPPORTED, "a HEIC or AVIF that libheif here cannot decode: %s",
                        cause.message);
    default: return eg__fail(err, EG_E_FORMAT, "damaged HEIC or AVIF: %.*s", line, cause.message);
    }
}

static enum eg_status push_rows(const struct heif_image *image, const struct eg_box *box,
                                struct eg_photo_sink *sink, struct eg_error *err)
{
    int stride = 0;
    const uint8_t *pixels = heif_image_get_plane_readonly(image, heif_channel_interleaved, &stride);
    uint8_t *row = eg__zalloc(4 * box->width + EG_ROW_PADDING, 1);
    if (!row) return eg__fail_memory(err, "a row of a HEIC or AVIF");
    for (size_t y = box->y; y < box->y + box->height; y++) {
        memcpy(row, pixels + (size_t)stride * y + 4 * box->x, 4 * box->width);
        eg__rgba_on_white(row, box->width);
        sink->row(sink, row);
    }
    free(row);
    return EG_OK;
}

static enum eg_status read_image(const struct heif_image_handle *handle, struct eg_photo_sink *sink,
                                 struct eg_error *err)
{
    int width = heif_image_handle_get_width(handle), height = heif_image_handle_get_height(handle);
    enum eg_status status =
        eg__photo_check_size(width > 0 ? (size_t)width : 0, height > 0 ? (size_t)height : 0, err);
    if (status) return status;
    struct eg_photo_header header = {(size_t)width, (size_t)height, (size_t)width, (size_t)height, 1};
    struct eg_box box = {0, 0, header.width, header.height};
    status = sink->begin(sink, &header, &box, err);
    if (status) return status;
    struct heif_image *image = NULL;
    struct heif_error cause =
        heif_decode_image(handle, &image, heif_colorspace_RGB, heif_chroma_interleaved_RGBA, NULL);
    if (cause.code) return fail_heif(cause, err);
    if (heif_image_get_primary_width(image) != width || heif_image_get_primary_height(image) != height)
        status = eg__fail(err, EG_E_FORMAT, "damaged HEIC or AVIF: its picture is not of the size it states");
    else
        status = push_rows(image, &box, sink, err);
    heif_image_release(image);
    return status;
}

enum eg_status eg__heif_decode(const uint8_t *bytes, size_t n, struct eg_photo_sink *sink,
                               struct eg_error *err)
{
    struct heif_context *context = heif_context_alloc();
    if (!context) return eg__fail_memory(err, "a HEIC or AVIF");
    struct heif_image_handle *handle = NULL;
    heif_context_set_max_decoding_threads(context, 0); /* the caller has threads of its own */
    struct heif_error cause = heif_context_read_from_memory_without_copy(context, bytes, n, NULL);
    if (!cause.code) cause = heif_context_get_primary_image_handle(context, &handle);
    enum eg_status status = cause.code ? fail_heif(cause, err) : read_image(handle, sink, err);
    heif_image_handle_release(handle);
    heif_context_free(context);
    return status;
}
#else
typedef int eg_no_heif_here;
#endif
