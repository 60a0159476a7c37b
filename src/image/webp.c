/* webp.c: WebP by libwebp, the first frame on the canvas of an animation. */
#include <stdlib.h>
#include <string.h>

#include <webp/decode.h>
#include <webp/demux.h>

#include "base/fail.h"
#include "base/mem.h"
#include "image/codecs.h"

static enum eg_status fail_webp(VP8StatusCode code, struct eg_error *err)
{
    if (code == VP8_STATUS_OUT_OF_MEMORY) return eg__fail_memory(err, "a WebP");
    if (code == VP8_STATUS_NOT_ENOUGH_DATA || code == VP8_STATUS_SUSPENDED)
        return eg__fail(err, EG_E_FORMAT, "truncated WebP");
    return eg__fail(err, EG_E_FORMAT, "damaged WebP: its compressed data does not decode");
}

static enum eg_status read_frame(const WebPIterator *frame, size_t width, size_t height,
                                 struct eg_photo_sink *sink, const struct eg_box *box, uint8_t **pixels,
                                 struct eg_error *err)
{
    size_t x = (size_t)frame->x_offset, y = (size_t)frame->y_offset, stride = 4 * width;
    WebPBitstreamFeatures features;
    VP8StatusCode code = WebPGetFeatures(frame->fragment.bytes, frame->fragment.size, &features);
    if (code != VP8_STATUS_OK) return fail_webp(code, err);
    if (frame->x_offset < 0 || frame->y_offset < 0 || x + (size_t)features.width > width ||
        y + (size_t)features.height > height)
        return eg__fail(err, EG_E_FORMAT, "damaged WebP: a frame lies outside the picture");
    *pixels = eg__zalloc(stride * height + EG_ROW_PADDING, 1); /* what no frame covers is transparent */
    if (!*pixels) return eg__fail_memory(err, "a WebP's pixels");
    WebPDecoderConfig config;
    if (!WebPInitDecoderConfig(&config)) return eg__fail(err, EG_E_SYSTEM, "libwebp is of another version");
    size_t first = stride * y + 4 * x;
    config.output.colorspace = MODE_RGBA;
    config.output.is_external_memory = 1;
    config.output.u.RGBA.rgba = *pixels + first;
    config.output.u.RGBA.stride = (int)stride;
    config.output.u.RGBA.size = stride * height - first;
    code = WebPDecode(frame->fragment.bytes, frame->fragment.size, &config);
    WebPFreeDecBuffer(&config.output);
    if (code != VP8_STATUS_OK) return fail_webp(code, err);
    for (size_t row = 0; row < box->height; row++) {
        uint8_t *start = *pixels + stride * (box->y + row) + 4 * box->x;
        eg__rgba_on_white(start, box->width);
        sink->row(sink, start);
    }
    return EG_OK;
}

static unsigned orientation_of(const WebPDemuxer *demuxer, const struct eg_photo_sink *sink)
{
    struct eg_photo_notes notes = {0};
    WebPChunkIterator exif, xmp; /* their bytes are the file's own */
    if (WebPDemuxGetChunk(demuxer, "EXIF", 1, &exif)) {
        notes.exif = exif.chunk.bytes;
        notes.n_exif = exif.chunk.size;
        WebPDemuxReleaseChunkIterator(&exif);
    }
    if (WebPDemuxGetChunk(demuxer, "XMP ", 1, &xmp)) {
        notes.xmp = xmp.chunk.bytes;
        notes.n_xmp = xmp.chunk.size;
        WebPDemuxReleaseChunkIterator(&xmp);
    }
    return eg__orientation(sink, &notes);
}

enum eg_status eg__webp_decode(const uint8_t *bytes, size_t n, struct eg_photo_sink *sink,
                               struct eg_error *err)
{
    WebPData data = {bytes, n};
    WebPDemuxState state;
    WebPDemuxer *demuxer = WebPDemuxPartial(&data, &state);
    if (!demuxer || state != WEBP_DEMUX_DONE) {
        WebPDemuxDelete(demuxer);
        return eg__fail(err, EG_E_FORMAT,
                        state == WEBP_DEMUX_PARSE_ERROR ? "damaged WebP" : "truncated WebP");
    }
    size_t width = WebPDemuxGetI(demuxer, WEBP_FF_CANVAS_WIDTH);
    size_t height = WebPDemuxGetI(demuxer, WEBP_FF_CANVAS_HEIGHT);
    WebPIterator frame;
    uint8_t *pixels = NULL;
    enum eg_status status = eg__photo_check_size(width, height, err);
    if (!status && !WebPDemuxGetFrame(demuxer, 1, &frame))
        status = eg__fail(err, EG_E_FORMAT, "damaged WebP: it has no frame");
    if (!status) {
        struct eg_photo_header header = {width, height, width, height, orientation_of(demuxer, sink)};
        struct eg_box box = {0, 0, width, height};
        status = sink->begin(sink, &header, &box, err);
        if (!status) status = read_frame(&frame, width, height, sink, &box, &pixels, err);
        WebPDemuxReleaseIterator(&frame);
    }
    WebPDemuxDelete(demuxer);
    free(pixels);
    return status;
}
