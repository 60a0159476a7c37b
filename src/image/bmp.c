/* bmp.c: BMP, which no library that Debian keeps well reads alone. 1, 4, 8 bits with colours; 16,
 * 24, 32 bits with masks; not compressed; rows from below or from above. As Pillow gives them: five
 * bits become eight by x * 255 / 31, alpha counts where the header has a mask for it.
 *
 *   0  "BM", bytes, 0, where the pixels begin (4 each but the first, 2)
 *  14  header: its size, width, height (negative: from above), planes, bits, compression, ... colours
 *      with masks R, G, B (A) behind the first 40 bytes
 *      colours B, G, R (0); rows of whole 4 bytes */
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "image/codecs.h"

enum { PLAIN = 0, MASKS = 3, MASKS_ALPHA = 6, OLD_HEADER = 12, HEADER = 40, MAX_COLOURS = 256 };

struct mask {
    unsigned shift;
    uint32_t most; /* 0: none */
};

struct bmp {
    size_t width, height, bits, stride, pixels;
    bool from_above;
    struct mask masks[4];
    uint8_t colours[MAX_COLOURS][3];
    size_t n_colours;
};

static uint32_t u16(const uint8_t *b) { return (uint32_t)(b[0] | b[1] << 8); }

static uint32_t u32(const uint8_t *b) { return u16(b) | u16(b + 2) << 16; }

static enum eg_status damaged(const char *cause, struct eg_error *err)
{
    return eg__fail(err, EG_E_FORMAT, "damaged BMP: %s", cause);
}

static struct mask mask_of(uint32_t bits)
{
    if (!bits) return (struct mask){0, 0};
    unsigned shift = (unsigned)__builtin_ctz(bits);
    return (struct mask){shift, bits >> shift};
}

static enum eg_status read_masks(struct bmp *bmp, const uint8_t *bytes, size_t n, uint32_t header,
                                 uint32_t compression, struct eg_error *err)
{
    static const uint32_t usual[2][3] = {{0x7c00, 0x3e0, 0x1f}, {0xff0000, 0xff00, 0xff}};
    for (size_t c = 0; c < 3; c++) bmp->masks[c] = mask_of(usual[bmp->bits == 32][c]);
    if (compression == PLAIN) return EG_OK;
    bool alpha = header >= 56 || compression == MASKS_ALPHA;
    size_t end = 14 + HEADER + (alpha ? 16u : 12u);
    if (n < end || bmp->bits < 16 || bmp->bits == 24) return damaged("its masks are missing", err);
    for (size_t c = 0; c < (alpha ? 4u : 3u); c++) bmp->masks[c] = mask_of(u32(bytes + 14 + HEADER + 4 * c));
    return EG_OK;
}

static enum eg_status read_colours(struct bmp *bmp, const uint8_t *bytes, size_t n, uint32_t header,
                                   struct eg_error *err)
{
    size_t at = 14 + header, size = header == OLD_HEADER ? 3 : 4, most = (size_t)1 << bmp->bits;
    size_t used = header == OLD_HEADER ? 0 : u32(bytes + 46);
    bmp->n_colours = used && used < most ? used : most;
    if (at + size * bmp->n_colours > n) return damaged("its colours are missing", err);
    for (size_t i = 0; i < bmp->n_colours; i++)
        for (size_t c = 0; c < 3; c++) bmp->colours[i][c] = bytes[at + size * i + 2 - c];
    return EG_OK;
}

static enum eg_status read_header(struct bmp *bmp, const uint8_t *bytes, size_t n, struct eg_error *err)
{
    if (n < 26) return damaged("it ends early", err);
    uint32_t header = u32(bytes + 14), compression = PLAIN;
    if (header != OLD_HEADER && (header < HEADER || header > 124)) return damaged("no such header", err);
    if (n < 14 + header) return damaged("it ends early", err);
    if (header == OLD_HEADER) {
        bmp->width = u16(bytes + 18);
        bmp->height = u16(bytes + 20);
        bmp->bits = u16(bytes + 24);
    } else {
        int32_t height = (int32_t)u32(bytes + 22);
        bmp->width = u32(bytes + 18);
        bmp->from_above = height < 0;
        bmp->height = height < 0 ? -(size_t)height : (size_t)height;
        bmp->bits = u16(bytes + 28);
        compression = u32(bytes + 30);
    }
    enum eg_status status = eg__photo_check_size(bmp->width, bmp->height, err);
    if (status) return status;
    if (compression != PLAIN && compression != MASKS && compression != MASKS_ALPHA)
        return eg__fail(err, EG_E_UNSUPPORTED, "a compressed BMP (convert it to PNG)");
    bmp->pixels = u32(bytes + 10);
    bmp->stride = (bmp->width * bmp->bits + 31) / 32 * 4;
    if (bmp->bits == 1 || bmp->bits == 4 || bmp->bits == 8)
        status = read_colours(bmp, bytes, n, header, err);
    else if (bmp->bits == 16 || bmp->bits == 24 || bmp->bits == 32)
        status = read_masks(bmp, bytes, n, header, compression, err);
    else
        status = damaged("no such number of bits", err);
    if (!status && (bmp->pixels > n || n - bmp->pixels < bmp->stride * bmp->height))
        status = damaged("rows are missing", err);
    return status;
}

static void unpack_masked(const struct bmp *bmp, const uint8_t *from, uint8_t *to)
{
    uint32_t value = bmp->bits == 16 ? u16(from) : u32(from);
    for (size_t c = 0; c < 4; c++) {
        struct mask m = bmp->masks[c];
        uint64_t level = c == 3 ? 255 : 0;
        if (m.most) level = (uint64_t)(value >> m.shift & m.most) * 255 / m.most;
        to[c] = (uint8_t)level;
    }
}

static void unpack(const struct bmp *bmp, const uint8_t *row, size_t x, uint8_t *to)
{
    to[3] = 255;
    if (bmp->bits == 24) {
        for (size_t c = 0; c < 3; c++) to[c] = row[3 * x + 2 - c];
    } else if (bmp->bits > 8) {
        unpack_masked(bmp, row + x * bmp->bits / 8, to);
    } else {
        size_t bit = x * bmp->bits, number = (size_t)row[bit / 8] >> (8 - bmp->bits - bit % 8);
        number &= ((size_t)1 << bmp->bits) - 1;
        for (size_t c = 0; c < 3; c++) to[c] = number < bmp->n_colours ? bmp->colours[number][c] : 0;
    }
}

enum eg_status eg__bmp_decode(const uint8_t *bytes, size_t n, struct eg_photo_sink *sink,
                              struct eg_error *err)
{
    struct bmp bmp = {0};
    enum eg_status status = read_header(&bmp, bytes, n, err);
    if (status) return status;
    struct eg_photo_header header = {bmp.width, bmp.height, bmp.width, bmp.height, 1};
    struct eg_box box = {0, 0, bmp.width, bmp.height};
    status = sink->begin(sink, &header, &box, err);
    if (status) return status;
    uint8_t *row = eg__zalloc(4 * box.width + EG_ROW_PADDING, 1);
    if (!row) return eg__fail_memory(err, "a row of a BMP");
    for (size_t y = box.y; y < box.y + box.height; y++) {
        const uint8_t *from = bytes + bmp.pixels + bmp.stride * (bmp.from_above ? y : bmp.height - 1 - y);
        for (size_t x = 0; x < box.width; x++) unpack(&bmp, from, box.x + x, row + 4 * x);
        eg__rgba_on_white(row, box.width);
        sink->row(sink, row);
    }
    free(row);
    return EG_OK;
}
