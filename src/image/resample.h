/* resample.h: Pillow's resampling, as a stream: stored rows go in from top to bottom, the
 * wanted window of the resized, oriented picture comes out. Bit for bit what
 * Image.resize gives: 22-bit weights, oriented columns first, rounded to 8 bits between. */
#ifndef EG_IMAGE_RESAMPLE_H
#define EG_IMAGE_RESAMPLE_H

#include "base/mem.h"
#include "image/codecs.h"

/* Along one axis: output i is the sum over j of weights[i][j] * input[start[i] + j]. */
struct eg_taps {
    size_t count;     /* outputs */
    size_t low, high; /* the inputs that any of them needs; start counts from low */
    size_t longest;   /* length */
    size_t stride;    /* of weights: longest, up to a multiple of 8; zeros follow */
    uint32_t *start, *length;
    int32_t *weights; /* times 2^EG_TAP_BITS */
    bool descending;  /* start falls as the output index grows */
    bool borrowed;    /* its memory is a room's */
};
enum { EG_TAP_BITS = 22 };

/* Outputs first..first+count of an axis resized from n_in to n_out. mirrored: the input is
 * stored backwards. room NULL: memory of its own. */
EG_MUST_CHECK enum eg_status eg__taps_init(struct eg_taps *taps, size_t n_in, size_t n_out, size_t first,
                                           size_t count, enum eg_filter filter, bool antialias, bool mirrored,
                                           struct eg_room *room, struct eg_error *err);
/* The most inputs that one output needs, of an axis made smaller by `scale`. */
size_t eg__taps_longest(double scale, size_t n_in, enum eg_filter filter, bool antialias);
void eg__taps_release(struct eg_taps *taps);

/* Window of the resized picture and where it goes. */
struct eg_resample_window {
    size_t resized_width, resized_height;
    size_t x, y, width, height; /* the window in it */
    uint8_t *out;               /* its first pixel, RGB */
    size_t out_stride;          /* bytes from row to row of out */
};

struct eg_resampler {
    struct eg_taps columns, rows; /* over the stored columns and rows */
    bool transposed;
    struct eg_box box; /* the stored pixels it needs */
    uint8_t *ring;     /* the last ring_rows rows that came, [row % ring_rows] */
    const uint8_t **ring_order;
    size_t ring_rows, ring_stride;
    uint8_t *line, *strip;
    size_t row, done; /* rows that came, outputs along `rows` that are done */
    uint8_t *out;
    size_t out_stride;
};

EG_MUST_CHECK enum eg_status eg__resampler_init(struct eg_resampler *resampler, size_t width, size_t height,
                                                unsigned orientation, const struct eg_resample_window *window,
                                                enum eg_filter filter, bool antialias, struct eg_error *err);
/* The same in memory taken beforehand. EG_E_MEMORY: it has too little of it. */
EG_MUST_CHECK enum eg_status eg__resampler_init_in(struct eg_resampler *resampler, size_t width,
                                                   size_t height, unsigned orientation,
                                                   const struct eg_resample_window *window,
                                                   enum eg_filter filter, bool antialias,
                                                   struct eg_room *room, struct eg_error *err);
/* Bytes of a room that are enough for windows no larger than this on either side, rows stored no longer than
 * `width`, and outputs that need no more than `longest` inputs. */
size_t eg__resampler_bytes(size_t width, size_t window_side, size_t longest);
/* The next row of resampler->box. */
void eg__resampler_row(struct eg_resampler *resampler, const uint8_t *rgbx);
void eg__resampler_release(struct eg_resampler *resampler);

/* The two passes over a line of bytes, compiled once per instruction set; all give the same. */
struct eg_line_kernels {
    /* out pixel i = sum_j weights[i][j] * pixels[start[i] + j], 4 bytes a pixel, and
     * EG_ROW_PADDING more that are read and not used. */
    void (*across)(const struct eg_taps *taps, const uint8_t *pixels, uint8_t *out);
    /* out[i] = sum_j weights[j] * lines[j][i]; n_bytes a multiple of 32 */
    void (*down)(const uint8_t *const *lines, const int32_t *weights, size_t n_lines, size_t n_bytes,
                 uint8_t *out);
};
extern const struct eg_line_kernels eg__lines_portable, eg__lines_avx2;
const struct eg_line_kernels *eg__line_kernels(void);

#endif
