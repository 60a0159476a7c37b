/* frame.c: rows of a frame in memory as rows of R,G,B,any, pushed into the sink that decoders push into.
 * Nothing is allocated where the room is large enough. */
#include "image/frame.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "image/input_sink.h"

static size_t row_bytes(enum eg_pixels format, size_t width)
{
    switch (format) {
    case EG_PIXELS_RGB:
    case EG_PIXELS_BGR: return 3 * width;
    case EG_PIXELS_RGBA:
    case EG_PIXELS_BGRA: return 4 * width;
    case EG_PIXELS_GREY:
    case EG_PIXELS_NV12: return width;
    case EG_PIXELS_YUYV: return (width + 1) / 2 * 4;
    }
    return 0; /* no format */
}

static size_t stride_of(const struct eg_frame *f)
{
    return f->stride ? f->stride : row_bytes(f->format, f->width);
}

static size_t chroma_stride_of(const struct eg_frame *f)
{
    if (f->chroma_stride) return f->chroma_stride;
    return f->stride ? f->stride : (f->width + 1) / 2 * 2;
}

enum eg_status eg__frame_check(const struct eg_frame *f, struct eg_error *err)
{
    if (!f->pixels || !f->width || !f->height)
        return eg__fail(err, EG_E_ARGUMENT, "a frame of %zu x %zu has no pixels", f->width, f->height);
    if (f->width > EG_PHOTO_MAX_SIDE || f->height > EG_PHOTO_MAX_SIDE ||
        f->width * f->height > EG_PHOTO_MAX_PIXELS)
        return eg__fail(err, EG_E_ARGUMENT, "a frame of %zu x %zu is past the limit of %u million pixels",
                        f->width, f->height, EG_PHOTO_MAX_PIXELS / 1000000);
    const size_t row = row_bytes(f->format, f->width);
    if (!row) return eg__fail(err, EG_E_ARGUMENT, "there is no pixel format %d", (int)f->format);
    if (stride_of(f) < row)
        return eg__fail(err, EG_E_ARGUMENT, "a frame's stride is %zu bytes, its rows have %zu", f->stride,
                        row);
    if (f->format == EG_PIXELS_NV12 && chroma_stride_of(f) < (f->width + 1) / 2 * 2)
        return eg__fail(err, EG_E_ARGUMENT, "a frame's chroma stride is %zu bytes, its rows have %zu",
                        chroma_stride_of(f), (f->width + 1) / 2 * 2);
    if (f->orientation > 8)
        return eg__fail(err, EG_E_ARGUMENT, "there is no orientation %u (1 to 8, as EXIF has them)",
                        f->orientation);
    return EG_OK;
}

/* ---- colours ------------------------------------------------------------------------------ */

static uint8_t clamped(int value) { return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value); }

/* ITU-R BT.601 in fixed point, 16 bits behind the point. Full range: libjpeg's numbers and rounding. */
static void full_range(int y, int cb, int cr, uint8_t *rgb)
{
    rgb[0] = clamped(y + ((91881 * cr + 32768) >> 16));
    rgb[1] = clamped(y + ((-22554 * cb - 46802 * cr + 32768) >> 16));
    rgb[2] = clamped(y + ((116130 * cb + 32768) >> 16));
}

/* Luma 16..235, chroma 16..240, as video has them. */
static void video_range(int y, int cb, int cr, uint8_t *rgb)
{
    int luma = 76309 * (y - 16) + 32768;
    rgb[0] = clamped((luma + 104597 * cr) >> 16);
    rgb[1] = clamped((luma - 25675 * cb - 53279 * cr) >> 16);
    rgb[2] = clamped((luma + 132201 * cb) >> 16);
}

/* ---- chroma between its samples, as libjpeg's "fancy upsampling" ------------------------------- */

struct chroma {
    const uint8_t *near, *far; /* rows, [n] samples `step` bytes apart; far NULL: this row alone */
    size_t n, step;
};

/* The sample, or the column of two: three parts of the near row, one of the far one. */
static int column(const struct chroma *c, size_t i)
{
    int near = c->near[i * c->step];
    return c->far ? 3 * near + c->far[i * c->step] : near;
}

/* At pixel x of the row: three parts of its own sample, one of the neighbour on its side. */
static int chroma_at(const struct chroma *c, size_t x)
{
    const size_t i = x / 2;
    const bool right = x % 2;
    const int own = column(c, i), parts = c->far ? 4 : 1;
    if (c->n <= 2) return c->near[i * c->step]; /* libjpeg only repeats where there are so few */
    const bool border = right ? i + 1 == c->n : i == 0;
    const int other = border ? own : column(c, right ? i + 1 : i - 1);
    if (parts == 1) return border ? own : (3 * own + other + (right ? 2 : 1)) >> 2;
    return (3 * own + other + (right ? 7 : 8)) >> 4;
}

static void yuv_row(const struct eg_frame *f, const uint8_t *luma, size_t luma_step, const struct chroma c[2],
                    size_t from, size_t n, uint8_t *rgbx)
{
    for (size_t x = from; x < from + n; x++, rgbx += 4) {
        int y = luma[x * luma_step], cb = chroma_at(&c[0], x) - 128, cr = chroma_at(&c[1], x) - 128;
        if (f->full_range)
            full_range(y, cb, cr, rgbx);
        else
            video_range(y, cb, cr, rgbx);
    }
}

static void nv12_row(const struct eg_frame *f, size_t y, size_t from, size_t n, uint8_t *rgbx)
{
    const size_t rows = (f->height + 1) / 2, near = y / 2, stride = chroma_stride_of(f);
    size_t far = y % 2 ? near + 1 : near - 1; /* wraps at the top */
    if (far >= rows) far = near;
    const uint8_t *plane = f->chroma ? f->chroma : f->pixels + f->height * stride_of(f);
    struct chroma c[2];
    for (size_t k = 0; k < 2; k++)
        c[k] = (struct chroma){plane + near * stride + k, plane + far * stride + k, (f->width + 1) / 2, 2};
    yuv_row(f, f->pixels + y * stride_of(f), 1, c, from, n, rgbx);
}

static void yuyv_row(const struct eg_frame *f, const uint8_t *row, size_t from, size_t n, uint8_t *rgbx)
{
    struct chroma c[2];
    for (size_t k = 0; k < 2; k++) c[k] = (struct chroma){row + 1 + 2 * k, NULL, (f->width + 1) / 2, 4};
    yuv_row(f, row, 2, c, from, n, rgbx);
}

/* ---- rows --------------------------------------------------------------------------------------- */

static void rgb_row(const uint8_t *p, size_t n, uint8_t *rgbx)
{
    for (; n > 1; n--, p += 3, rgbx += 4) memcpy(rgbx, p, 4); /* the fourth is any */
    if (n) memcpy(rgbx, p, 3);
}

/* Bytes first, first + 1, first + 2 (or backwards) of pixels that are `step` bytes. */
static void bytes_row(const uint8_t *p, size_t step, bool backwards, size_t n, uint8_t *rgbx)
{
    const size_t red = backwards ? 2 : 0;
    for (; n; n--, p += step, rgbx += 4) {
        rgbx[0] = p[red];
        rgbx[1] = p[1];
        rgbx[2] = p[2 - red];
        if (step == 4) rgbx[3] = p[3];
    }
}

static void frame_row(const struct eg_frame *f, size_t y, size_t from, size_t n, uint8_t *rgbx)
{
    const uint8_t *row = f->pixels + y * stride_of(f);
    switch (f->format) {
    case EG_PIXELS_RGB: rgb_row(row + 3 * from, n, rgbx); break;
    case EG_PIXELS_BGR: bytes_row(row + 3 * from, 3, true, n, rgbx); break;
    case EG_PIXELS_RGBA:
    case EG_PIXELS_BGRA:
        bytes_row(row + 4 * from, 4, f->format == EG_PIXELS_BGRA, n, rgbx);
        eg__rgba_on_white(rgbx, n);
        break;
    case EG_PIXELS_GREY:
        for (size_t i = 0; i < n; i++) memset(rgbx + 4 * i, row[from + i], 3);
        break;
    case EG_PIXELS_NV12: nv12_row(f, y, from, n, rgbx); break;
    case EG_PIXELS_YUYV: yuyv_row(f, row, from, n, rgbx); break;
    }
}

/* ---- memory ---------------------------------------------------------------------------------------- */

static size_t larger(size_t a, size_t b) { return a > b ? a : b; }

/* By how much an axis is made smaller at most, of all frames up to this size. */
static double largest_scale(size_t width, size_t height, const struct eg_recipe *r)
{
    const double shorter = (double)(width < height ? width : height), longer = (double)larger(width, height);
    const size_t crop = r->crop[0] < r->crop[1] ? r->crop[0] : r->crop[1];
    if (r->resize == EG_RESIZE_NONE) return 1;
    if (r->resize == EG_RESIZE_SQUASH) return longer / (double)crop;
    /* the longer side becomes floor(size long / short): of x pixels less than one is lost, and x >= size */
    return r->size < 2 ? longer : shorter / (double)(r->size - 1);
}

size_t eg__frame_bytes(size_t width, size_t height, const struct eg_recipe *recipe)
{
    const size_t side = larger(recipe->crop[0], recipe->crop[1]), row = 4 * width + EG_ROW_PADDING + 64;
    const size_t longest = eg__taps_longest(largest_scale(width, height, recipe), larger(width, height),
                                            recipe->filter, recipe->antialias);
    return row + eg__resampler_bytes(width, side, longest);
}

static enum eg_status grow(struct eg_room *room, size_t size, struct eg_error *err)
{
    room->used = 0;
    if (size <= room->size) return EG_OK;
    unsigned char *bytes = eg__alloc(size, 1);
    if (!bytes) return eg__fail_memory(err, "a frame's rows");
    free(room->bytes);
    room->bytes = bytes;
    room->size = size;
    return EG_OK;
}

enum eg_status eg__frame_input(const struct eg_frame *frame, const struct eg_recipe *recipe,
                               struct eg_room *room, uint8_t *out, struct eg_error *err)
{
    enum eg_status status = grow(room, eg__frame_bytes(frame->width, frame->height, recipe), err);
    if (status) return status;
    const size_t row_size = 4 * frame->width + EG_ROW_PADDING;
    uint8_t *row = eg__room_take(room, row_size, 1);
    if (!row) return eg__fail_memory(err, "a frame's rows");
    memset(row, 0, row_size);
    struct eg_input_sink input = eg__input_sink(recipe, out, room);
    struct eg_photo_header header = {frame->width, frame->height, frame->width, frame->height,
                                     frame->orientation ? frame->orientation : 1};
    struct eg_box box = {0, 0, frame->width, frame->height};
    status = input.sink.begin(&input.sink, &header, &box, err);
    for (size_t y = 0; y < box.height && !status; y++) {
        frame_row(frame, box.y + y, box.x, box.width, row);
        input.sink.row(&input.sink, row);
    }
    eg__resampler_release(&input.resampler);
    return status;
}
