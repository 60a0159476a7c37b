/* gif.c: the first frame of a GIF by giflib, where CMake found it. What the frame leaves free, and
 * what is transparent, is white. */
#ifdef EG_WITH_GIF
#include <stdlib.h>
#include <string.h>

#include <gif_lib.h>

#include "base/fail.h"
#include "base/mem.h"
#include "image/codecs.h"

struct gif_file {
    const uint8_t *bytes;
    size_t n, at;
};

static int read_some(GifFileType *gif, GifByteType *to, int n)
{
    struct gif_file *f = gif->UserData;
    size_t left = f->n - f->at, count = n < 0 ? 0 : (size_t)n < left ? (size_t)n : left;
    memcpy(to, f->bytes + f->at, count);
    f->at += count;
    return (int)count;
}

static enum eg_status damaged(const GifFileType *gif, struct eg_error *err)
{
    const char *cause = GifErrorString(gif->Error);
    return eg__fail(err, EG_E_FORMAT, "damaged GIF: %s", cause ? cause : "it ends early");
}

/* The colour that is none, of the control block before the frame; -1: all are seen. */
static enum eg_status to_first_frame(GifFileType *gif, int *transparent, struct eg_error *err)
{
    GifRecordType type;
    *transparent = -1;
    do {
        if (DGifGetRecordType(gif, &type) == GIF_ERROR) return damaged(gif, err);
        if (type == TERMINATE_RECORD_TYPE) return eg__fail(err, EG_E_FORMAT, "damaged GIF: no picture in it");
        if (type == IMAGE_DESC_RECORD_TYPE) continue;
        int code;
        GifByteType *block;
        if (DGifGetExtension(gif, &code, &block) == GIF_ERROR) return damaged(gif, err);
        if (code == GRAPHICS_EXT_FUNC_CODE && block && block[0] == 4 && block[1] & 1) *transparent = block[4];
        while (block)
            if (DGifGetExtensionNext(gif, &block) == GIF_ERROR) return damaged(gif, err);
    } while (type != IMAGE_DESC_RECORD_TYPE);
    return DGifGetImageDesc(gif) == GIF_ERROR ? damaged(gif, err) : EG_OK;
}

/* The frame's colour numbers [height][width], rows in their order. */
static enum eg_status read_frame(GifFileType *gif, size_t width, size_t height, GifByteType *numbers,
                                 struct eg_error *err)
{
    static const size_t from[] = {0, 4, 2, 1}, step[] = {8, 8, 4, 2};
    size_t n_passes = gif->Image.Interlace ? 4 : 1;
    for (size_t pass = 0; pass < n_passes; pass++)
        for (size_t y = n_passes > 1 ? from[pass] : 0; y<height; y += n_passes> 1 ? step[pass] : 1)
            if (DGifGetLine(gif, numbers + y * width, (int)width) == GIF_ERROR) return damaged(gif, err);
    return EG_OK;
}

struct frame {
    size_t x, y, width, height;
    const GifByteType *numbers;
    const ColorMapObject *colours;
    int transparent;
};

static void push_row(struct eg_photo_sink *sink, const struct frame *f, const struct eg_box *box, size_t y,
                     uint8_t *row)
{
    memset(row, 255, 4 * box->width);
    for (size_t i = 0; i < box->width && y >= f->y && y - f->y < f->height; i++) {
        size_t x = box->x + i;
        if (x < f->x || x - f->x >= f->width) continue;
        int number = f->numbers[(y - f->y) * f->width + x - f->x];
        if (number == f->transparent) continue;
        const GifColorType black = {0, 0, 0},
                           *c = number < f->colours->ColorCount ? &f->colours->Colors[number] : &black;
        row[4 * i] = c->Red;
        row[4 * i + 1] = c->Green;
        row[4 * i + 2] = c->Blue;
    }
    sink->row(sink, row);
}

static enum eg_status read_gif(GifFileType *gif, struct eg_photo_sink *sink, struct eg_error *err)
{
    int transparent;
    enum eg_status status = to_first_frame(gif, &transparent, err);
    if (status) return status;
    const GifImageDesc *desc = &gif->Image;
    if (desc->Left < 0 || desc->Top < 0 || desc->Width < 1 || desc->Height < 1)
        return eg__fail(err, EG_E_FORMAT, "damaged GIF: a frame of no size");
    struct frame f = {(size_t)desc->Left,
                      (size_t)desc->Top,
                      (size_t)desc->Width,
                      (size_t)desc->Height,
                      NULL,
                      desc->ColorMap ? desc->ColorMap : gif->SColorMap,
                      transparent};
    if (!f.colours) return eg__fail(err, EG_E_FORMAT, "damaged GIF: it has no colours");
    size_t width = (size_t)gif->SWidth, height = (size_t)gif->SHeight;
    if (f.x + f.width > width) width = f.x + f.width;
    if (f.y + f.height > height) height = f.y + f.height;
    status = eg__photo_check_size(width, height, err);
    if (status) return status;
    struct eg_photo_header header = {width, height, width, height, 1};
    struct eg_box box = {0, 0, width, height};
    status = sink->begin(sink, &header, &box, err);
    if (status) return status;
    GifByteType *numbers = eg__zalloc(f.width * f.height, 1);
    uint8_t *row = eg__zalloc(4 * box.width + EG_ROW_PADDING, 1);
    status =
        numbers && row ? read_frame(gif, f.width, f.height, numbers, err) : eg__fail_memory(err, "a GIF");
    f.numbers = numbers;
    for (size_t y = box.y; y < box.y + box.height && !status; y++) push_row(sink, &f, &box, y, row);
    free(numbers);
    free(row);
    return status;
}

enum eg_status eg__gif_decode(const uint8_t *bytes, size_t n, struct eg_photo_sink *sink,
                              struct eg_error *err)
{
    struct gif_file f = {bytes, n, 0};
    int cause = 0;
    GifFileType *gif = DGifOpen(&f, read_some, &cause);
    if (!gif) {
        const char *text = GifErrorString(cause);
        return eg__fail(err, EG_E_FORMAT, "damaged GIF: %s", text ? text : "it cannot be read");
    }
    enum eg_status status = read_gif(gif, sink, err);
    DGifCloseFile(gif, &cause);
    return status;
}
#else
typedef int eg_no_gif_here;
#endif
