/* png.c: PNG by libspng: every colour type becomes 8-bit RGBA (16-bit samples keep the high
 * byte, gamma is ignored), then lies on white. */
#include <stdlib.h>
#include <string.h>

#include <spng.h>

#include "base/fail.h"
#include "base/mem.h"
#include "image/png_notes.h"

enum { MAX_CHUNK_BYTES = 1 << 26 };

static enum eg_status fail_png(int code, struct eg_error *err)
{
    if (code == SPNG_EMEM) return eg__fail_memory(err, "a PNG");
    if (code == SPNG_IO_EOF || code == SPNG_EIDAT_TOO_SHORT)
        return eg__fail(err, EG_E_FORMAT, "truncated PNG");
    return eg__fail(err, EG_E_FORMAT, "damaged PNG: %s", spng_strerror(code));
}

struct png_reader {
    spng_ctx *context;
    uint8_t *pixels; /* one row, or the whole picture when interlaced */
};

static enum eg_status read_rows(struct png_reader *r, const struct spng_ihdr *ihdr, const struct eg_box *box,
                                struct eg_photo_sink *sink, struct eg_error *err)
{
    bool interlaced = ihdr->interlace_method != 0;
    size_t row_bytes = 4 * (size_t)ihdr->width, rows = interlaced ? ihdr->height : 1;
    r->pixels = eg__alloc(rows * row_bytes + EG_ROW_PADDING, 1);
    if (!r->pixels) return eg__fail_memory(err, "a PNG's pixels");
    memset(r->pixels + rows * row_bytes, 0, EG_ROW_PADDING);
    int flags = SPNG_DECODE_TRNS | (interlaced ? 0 : SPNG_DECODE_PROGRESSIVE);
    int code = spng_decode_image(r->context, interlaced ? r->pixels : NULL, interlaced ? rows * row_bytes : 0,
                                 SPNG_FMT_RGBA8, flags);
    if (code) return fail_png(code, err);
    for (size_t y = 0; y < ihdr->height; y++) { /* to the end: the rows below may be missing */
        uint8_t *row = r->pixels + (interlaced ? y * row_bytes : 0);
        if (!interlaced) {
            code = spng_decode_row(r->context, row, row_bytes);
            if (code && (code != SPNG_EOI || y + 1 != ihdr->height)) return fail_png(code, err);
        }
        if (y < box->y || y >= box->y + box->height) continue;
        eg__rgba_on_white(row + 4 * box->x, box->width);
        sink->row(sink, row + 4 * box->x);
    }
    return EG_OK;
}

enum eg_status eg__png_decode(const uint8_t *bytes, size_t n, struct eg_photo_sink *sink,
                              struct eg_error *err)
{
    struct png_reader r = {.context = spng_ctx_new(0)};
    struct spng_ihdr ihdr;
    if (!r.context) return eg__fail_memory(err, "a PNG");
    int code = spng_set_png_buffer(r.context, bytes, n);
    if (!code) code = spng_set_crc_action(r.context, SPNG_CRC_ERROR, SPNG_CRC_DISCARD);
    if (!code) code = spng_set_chunk_limits(r.context, MAX_CHUNK_BYTES, MAX_CHUNK_BYTES);
    if (!code) code = spng_get_ihdr(r.context, &ihdr);
    enum eg_status status = code ? fail_png(code, err) : eg__photo_check_size(ihdr.width, ihdr.height, err);
    struct eg_png_notes notes = {0};
    if (!status && !eg__png_notes(bytes, n, sink->exif && sink->xmp, &notes))
        status = eg__fail(err, EG_E_FORMAT, "truncated PNG");
    if (!status) {
        struct eg_photo_header header = {ihdr.width, ihdr.height, ihdr.width, ihdr.height,
                                         eg__orientation(sink, &notes.notes)};
        struct eg_box box = {0, 0, ihdr.width, ihdr.height};
        status = sink->begin(sink, &header, &box, err);
        if (!status) status = read_rows(&r, &ihdr, &box, sink, err);
    }
    spng_ctx_free(r.context);
    free(r.pixels);
    free(notes.xmp);
    free(notes.profile);
    return status;
}
