/* jpeg.c: JPEG by libjpeg-turbo's libjpeg interface, which can skip rows and crop columns.
 * libjpeg reports errors by longjmp: everything that must be freed hangs on struct reader,
 * and the sink's functions run between libjpeg's calls, never inside one. */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include <jerror.h>

#include "base/fail.h"
#include "base/mem.h"
#include "image/codecs.h"

/* A progressive file may hold thousands of scans over the same pixels, each as slow as the
 * whole photo; real ones have about ten. */
enum { MAX_SCANS = 200, CROP_MARGIN = 4, CROP_GAIN = 64 };

/* libjpeg-turbo writes aligned rows past the cache (movntdq), and the next thing we do is read
 * them: a third of the time for a small photo. It does not for a row that begins off a vector. */
enum { UNALIGN = 4 };

struct reader {
    struct jpeg_decompress_struct cinfo;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf jump;
    enum eg_status status;
    const char *words; /* what failed, before libjpeg's own message */
    char detail[JMSG_LENGTH_MAX];
    uint8_t *line;
};

static _Noreturn void give_up(struct reader *r, enum eg_status status, const char *words)
{
    r->status = status;
    r->words = words;
    longjmp(r->jump, 1);
}

static _Noreturn void on_error(j_common_ptr cinfo)
{
    struct reader *r = cinfo->client_data;
    cinfo->err->format_message(cinfo, r->detail);
    switch (cinfo->err->msg_code) {
    case JERR_OUT_OF_MEMORY: r->detail[0] = '\0'; give_up(r, EG_E_MEMORY, "out of memory for a JPEG");
    case JERR_BAD_PRECISION:
    case JERR_SOF_UNSUPPORTED:
    case JERR_ARITH_NOTIMPL:
    case JERR_CONVERSION_NOTIMPL: give_up(r, EG_E_UNSUPPORTED, "a JPEG of a rare kind: ");
    case JERR_INPUT_EMPTY:
    case JERR_INPUT_EOF: r->detail[0] = '\0'; give_up(r, EG_E_FORMAT, "truncated JPEG");
    default: give_up(r, EG_E_FORMAT, "damaged JPEG: ");
    }
}

/* Warnings after which pixels are made up are errors; those about odd but whole files pass. */
static void on_message(j_common_ptr cinfo, int level)
{
    struct reader *r = cinfo->client_data;
    if (level >= 0) return;
    switch (cinfo->err->msg_code) {
    case JWRN_JPEG_EOF: give_up(r, EG_E_FORMAT, "truncated JPEG");
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_ARITH_BAD_CODE:
    case JWRN_MUST_RESYNC: give_up(r, EG_E_FORMAT, "damaged JPEG: its compressed data does not decode");
    default: break;
    }
}

static void on_progress(j_common_ptr cinfo)
{
    struct reader *r = cinfo->client_data;
    if (r->cinfo.input_scan_number > MAX_SCANS) give_up(r, EG_E_UNSUPPORTED, "a JPEG of too many scans");
}

static unsigned orientation_of(const struct jpeg_decompress_struct *cinfo, const struct eg_photo_sink *sink)
{
    static const char xmp[] = "http://ns.adobe.com/xap/1.0/"; /* its NUL belongs to it */
    struct eg_photo_notes notes = {0};
    for (jpeg_saved_marker_ptr m = cinfo->marker_list; m; m = m->next) {
        if (m->marker != JPEG_APP0 + 1) continue;
        if (!notes.exif && m->data_length >= 6 && !memcmp(m->data, "Exif\0\0", 6)) {
            notes.exif = m->data;
            notes.n_exif = m->data_length;
        } else if (m->data_length >= sizeof xmp && !memcmp(m->data, xmp, sizeof xmp)) {
            notes.xmp = m->data + sizeof xmp;
            notes.n_xmp = m->data_length - sizeof xmp;
        }
    }
    return eg__orientation(sink, &notes);
}

/* The smallest scale of 1/8, 1/4, 1/2 that leaves both sides at least target. */
static void choose_scale(struct jpeg_decompress_struct *cinfo, size_t target)
{
    cinfo->scale_num = cinfo->scale_denom = 1;
    for (unsigned denom = 8; target && denom > 1; denom /= 2) {
        if (cinfo->image_width / denom < target || cinfo->image_height / denom < target) continue;
        cinfo->scale_denom = denom;
        return;
    }
}

/* Pillow takes every four-channel JPEG for Adobe's: stored inverted. */
static void cmyk_to_rgbx(uint8_t *pixels, size_t n)
{
    for (size_t i = 0; i < n; i++, pixels += 4) {
        unsigned black = pixels[3]; /* 255 minus K */
        for (int c = 0; c < 3; c++) {
            unsigned ink = 255u - pixels[c], covered = ink * black + 128;
            int value = (int)black - (int)((covered + (covered >> 8)) >> 8);
            pixels[c] = (uint8_t)(value < 0 ? 0 : value);
        }
    }
}

/* The part of a baseline file behind the last row that was wanted: not decoded, but a file
 * that was cut off has no end marker there. */
static bool has_end_marker(const uint8_t *bytes, size_t n)
{
    while (n >= 2) {
        const uint8_t *marker = memchr(bytes, 0xff, n - 1);
        if (!marker) return false;
        if (marker[1] == JPEG_EOI) return true;
        n -= (size_t)(marker + 1 - bytes);
        bytes = marker + 1;
    }
    return false;
}

static enum eg_status read_rows(struct reader *r, struct eg_photo_sink *sink, const struct eg_box *box,
                                struct eg_error *err)
{
    struct jpeg_decompress_struct *cinfo = &r->cinfo;
    JDIMENSION left = 0, width = cinfo->output_width;
    if (box->width + CROP_GAIN < width) { /* upsampling is off at a cropped edge: keep a margin */
        left = (JDIMENSION)(box->x > CROP_MARGIN ? box->x - CROP_MARGIN : 0);
        size_t right = box->x + box->width + CROP_MARGIN;
        width = (JDIMENSION)(right < width ? right : width) - left;
        jpeg_crop_scanline(cinfo, &left, &width);
    }
    r->line = eg__zalloc(UNALIGN + 4 * (size_t)cinfo->output_width + EG_ROW_PADDING, 1);
    if (!r->line) return eg__fail_memory(err, "a row of a JPEG");
    uint8_t *line = r->line + UNALIGN, *wanted = line + 4 * (box->x - left);
    if (box->y) jpeg_skip_scanlines(cinfo, (JDIMENSION)box->y);
    for (size_t y = 0; y < box->height; y++) {
        JSAMPROW row = line;
        jpeg_read_scanlines(cinfo, &row, 1);
        if (cinfo->out_color_space == JCS_CMYK) cmyk_to_rgbx(wanted, box->width);
        sink->row(sink, wanted);
    }
    if (cinfo->output_scanline == cinfo->output_height)
        jpeg_finish_decompress(cinfo);
    else if (!jpeg_input_complete(cinfo) && cinfo->unread_marker != JPEG_EOI &&
             !has_end_marker(cinfo->src->next_input_byte, cinfo->src->bytes_in_buffer))
        return eg__fail(err, EG_E_FORMAT, "truncated JPEG");
    return EG_OK;
}

static enum eg_status read_photo(struct reader *r, const uint8_t *bytes, size_t n, struct eg_photo_sink *sink,
                                 struct eg_error *err)
{
    struct jpeg_decompress_struct *cinfo = &r->cinfo;
    if (setjmp(r->jump)) return eg__fail(err, r->status, "%s%s", r->words, r->detail);
    jpeg_create_decompress(cinfo);
    cinfo->client_data = r;
    cinfo->progress = &r->progress;
    jpeg_mem_src(cinfo, bytes, n);
    if (sink->exif) jpeg_save_markers(cinfo, JPEG_APP0 + 1, 0xffff);
    jpeg_read_header(cinfo, TRUE);
    enum eg_status status = eg__photo_check_size(cinfo->image_width, cinfo->image_height, err);
    if (status) return status;
    if (cinfo->num_components == 4)
        cinfo->out_color_space = JCS_CMYK;
    else if (cinfo->num_components == 1 || cinfo->num_components == 3)
        cinfo->out_color_space = JCS_EXT_RGBX;
    else
        return eg__fail(err, EG_E_UNSUPPORTED, "a JPEG of a rare kind: %d channels", cinfo->num_components);
    choose_scale(cinfo, sink->fast_target);
    jpeg_calc_output_dimensions(cinfo);
    struct eg_photo_header header = {cinfo->output_width, cinfo->output_height, cinfo->image_width,
                                     cinfo->image_height, orientation_of(cinfo, sink)};
    struct eg_box box = {0, 0, header.width, header.height};
    status = sink->begin(sink, &header, &box, err);
    if (status) return status;
    jpeg_start_decompress(cinfo);
    return read_rows(r, sink, &box, err);
}

enum eg_status eg__jpeg_decode(const uint8_t *bytes, size_t n, struct eg_photo_sink *sink,
                               struct eg_error *err)
{
    struct reader r = {.status = EG_OK};
    r.cinfo.client_data = &r;
    r.cinfo.err = jpeg_std_error(&r.errors);
    r.errors.error_exit = on_error;
    r.errors.emit_message = on_message;
    r.progress.progress_monitor = on_progress;
    enum eg_status status = read_photo(&r, bytes, n, sink, err);
    jpeg_destroy_decompress(&r.cinfo);
    free(r.line);
    return status;
}
