/* tiff.c: TIFF by libtiff, where CMake found it. The first picture of the file, in stored order;
 * 16-bit samples keep their high byte, as those of PNG do. */
#ifdef EG_WITH_TIFF
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tiffio.h>

#include "base/fail.h"
#include "base/mem.h"
#include "image/codecs.h"

enum { MAX_ALLOCATION = 1 << 30 }; /* of libtiff, at a time */

struct tiff_file {
    const uint8_t *bytes;
    size_t n, at;
    char cause[160]; /* libtiff's first complaint */
};

static tmsize_t read_some(thandle_t handle, void *to, tmsize_t n)
{
    struct tiff_file *f = handle;
    size_t left = f->at < f->n ? f->n - f->at : 0, count = n < 0 ? 0 : (size_t)n < left ? (size_t)n : left;
    if (count) memcpy(to, f->bytes + f->at, count);
    f->at += count;
    return (tmsize_t)count;
}

static tmsize_t write_none(thandle_t handle, void *from, tmsize_t n)
{
    (void)handle;
    (void)from;
    (void)n;
    return 0;
}

static toff_t seek(thandle_t handle, toff_t offset, int whence)
{
    struct tiff_file *f = handle;
    size_t from = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? f->at : f->n;
    if (__builtin_add_overflow(from, (size_t)offset, &f->at)) f->at = SIZE_MAX;
    return f->at;
}

static int close_none(thandle_t handle)
{
    (void)handle;
    return 0;
}

static toff_t file_size(thandle_t handle) { return ((struct tiff_file *)handle)->n; }

__attribute__((format(printf, 4, 0))) static int note_error(TIFF *tiff, void *user, const char *module,
                                                            const char *format, va_list arguments)
{
    (void)tiff;
    (void)module;
    struct tiff_file *f = user;
    if (!*f->cause) vsnprintf(f->cause, sizeof f->cause, format, arguments);
    return 1; /* said; libtiff need not print it */
}

__attribute__((format(printf, 4, 0))) static int no_warning(TIFF *tiff, void *user, const char *module,
                                                            const char *format, va_list arguments)
{
    (void)tiff;
    (void)user;
    (void)module;
    (void)format;
    (void)arguments;
    return 1;
}

static enum eg_status damaged(const struct tiff_file *f, struct eg_error *err)
{
    return eg__fail(err, EG_E_FORMAT, "damaged TIFF: %s", *f->cause ? f->cause : "it cannot be read");
}

/* What the samples behind the colours are. */
enum alpha { ALPHA_NONE, ALPHA_STRAIGHT, ALPHA_MULTIPLIED };

/* libtiff multiplies straight alpha into the colours and rounds; told that this has been done, it
 * gives them as they are. */
static enum alpha find_alpha(TIFF *tiff)
{
    uint16_t n = 0, *kinds = NULL, multiplied = EXTRASAMPLE_ASSOCALPHA;
    if (!TIFFGetField(tiff, TIFFTAG_EXTRASAMPLES, &n, &kinds) || !n) return ALPHA_NONE;
    if (kinds[0] == EXTRASAMPLE_ASSOCALPHA) return ALPHA_MULTIPLIED;
    if (kinds[0] != EXTRASAMPLE_UNASSALPHA || n != 1) return ALPHA_NONE;
    return TIFFSetField(tiff, TIFFTAG_EXTRASAMPLES, 1, &multiplied) ? ALPHA_STRAIGHT : ALPHA_MULTIPLIED;
}

static void push_row(struct eg_photo_sink *sink, const uint32_t *from, size_t n, enum alpha alpha,
                     uint8_t *row)
{
    for (size_t x = 0; x < n; x++) {
        uint8_t *p = row + 4 * x, white = alpha == ALPHA_MULTIPLIED ? (uint8_t)(255 - TIFFGetA(from[x])) : 0;
        unsigned rgb[3] = {TIFFGetR(from[x]), TIFFGetG(from[x]), TIFFGetB(from[x])};
        for (size_t c = 0; c < 3; c++) p[c] = (uint8_t)(rgb[c] + white > 255 ? 255 : rgb[c] + white);
        p[3] = alpha == ALPHA_STRAIGHT ? (uint8_t)TIFFGetA(from[x]) : 255;
    }
    if (alpha == ALPHA_STRAIGHT) eg__rgba_on_white(row, n);
    sink->row(sink, row);
}

static enum eg_status push_rows(struct eg_photo_sink *sink, TIFFRGBAImage *image, enum alpha alpha,
                                const struct eg_box *box, const struct tiff_file *f, struct eg_error *err)
{
    size_t width = image->width, height = box->y + box->height; /* the rows below are not needed */
    uint32_t *pixels = eg__zalloc(width * height, sizeof *pixels);
    uint8_t *row = eg__zalloc(4 * box->width + EG_ROW_PADDING, 1);
    enum eg_status status = pixels && row ? EG_OK : eg__fail_memory(err, "a TIFF");
    if (!status && !TIFFRGBAImageGet(image, pixels, image->width, (uint32_t)height)) status = damaged(f, err);
    for (size_t y = box->y; y < height && !status; y++)
        push_row(sink, pixels + y * width + box->x, box->width, alpha, row);
    free(pixels);
    free(row);
    return status;
}

static enum eg_status read_tiff(TIFF *tiff, const struct tiff_file *f, struct eg_photo_sink *sink,
                                struct eg_error *err)
{
    uint32_t width = 0, height = 0;
    uint16_t orientation = 1;
    TIFFGetField(tiff, TIFFTAG_IMAGEWIDTH, &width);
    TIFFGetField(tiff, TIFFTAG_IMAGELENGTH, &height);
    enum eg_status status = eg__photo_check_size(width, height, err);
    if (status) return status;
    TIFFGetFieldDefaulted(tiff, TIFFTAG_ORIENTATION, &orientation);
    enum alpha alpha = find_alpha(tiff);
    TIFFRGBAImage image;
    char cause[1024] = "";
    if (!TIFFRGBAImageOK(tiff, cause) || !TIFFRGBAImageBegin(&image, tiff, 1, cause))
        return eg__fail(err, EG_E_UNSUPPORTED, "a TIFF that libtiff cannot show: %.160s", cause);
    for (size_t i = 0; image.Bitdepth16To8 && i < 65536; i++) image.Bitdepth16To8[i] = (uint8_t)(i >> 8);
    image.req_orientation = image.orientation; /* as stored: the sink turns it */
    struct eg_photo_header header = {width, height, width, height,
                                     sink->exif && orientation >= 1 && orientation <= 8 ? orientation : 1};
    struct eg_box box = {0, 0, width, height};
    status = sink->begin(sink, &header, &box, err);
    if (!status) status = push_rows(sink, &image, alpha, &box, f, err);
    TIFFRGBAImageEnd(&image);
    return status;
}

enum eg_status eg__tiff_decode(const uint8_t *bytes, size_t n, struct eg_photo_sink *sink,
                               struct eg_error *err)
{
    struct tiff_file f = {.bytes = bytes, .n = n};
    TIFFOpenOptions *options = TIFFOpenOptionsAlloc();
    if (!options) return eg__fail_memory(err, "a TIFF");
    TIFFOpenOptionsSetMaxSingleMemAlloc(options, MAX_ALLOCATION);
    TIFFOpenOptionsSetErrorHandlerExtR(options, note_error, &f);
    TIFFOpenOptionsSetWarningHandlerExtR(options, no_warning, &f);
    TIFF *tiff = TIFFClientOpenExt("photo", "rm", &f, read_some, write_none, seek, close_none, file_size,
                                   NULL, NULL, options);
    enum eg_status status = tiff ? read_tiff(tiff, &f, sink, err) : damaged(&f, err);
    if (tiff) TIFFClose(tiff);
    TIFFOpenOptionsFree(options);
    return status;
}
#else
typedef int eg_no_tiff_here;
#endif
