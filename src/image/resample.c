/* resample.c: weights as Pillow's Resample.c defines them, and the streaming of rows. */
#include "image/resample.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"

static double bilinear(double x)
{
    x = fabs(x);
    return x < 1.0 ? 1.0 - x : 0.0;
}

/* Keys' cubic. a: -0.5 as Pillow, -0.75 as OpenCV and torch without antialiasing. */
static double bicubic(double x, double a)
{
    x = fabs(x);
    if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
    if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
    return 0.0;
}

static double filter_value(enum eg_filter filter, bool antialias, double x)
{
    return filter == EG_FILTER_BILINEAR ? bilinear(x) : bicubic(x, antialias ? -0.5 : -0.75);
}

/* Pillow's NEAREST, which Keras's load_img takes: the input under the middle of an output, the middles added
 * up one by one, as it does. */
static void nearest_taps(struct eg_taps *taps, size_t n_in, double scale, size_t first, bool mirrored)
{
    double middle = scale * 0.5;
    for (size_t i = 0; i < first; i++) middle += scale;
    for (size_t i = 0; i < taps->count; i++, middle += scale) {
        size_t at = (size_t)middle < n_in ? (size_t)middle : n_in - 1;
        if (mirrored) at = n_in - 1 - at;
        taps->weights[i * taps->stride] = 1 << EG_TAP_BITS;
        taps->start[i] = (uint32_t)at;
        taps->length[i] = 1;
        if (at < taps->low) taps->low = at;
        if (at + 1 > taps->high) taps->high = at + 1;
    }
}

/* Weights of one output with antialiasing: the filter stretched by the scale, cut at the
 * borders, normalised. Returns how many. */
static size_t antialiased_taps(size_t n_in, double scale, size_t index, enum eg_filter filter,
                               double *weights, size_t *start)
{
    double stretch = scale < 1.0 ? 1.0 : scale;
    double support = (filter == EG_FILTER_BILINEAR ? 1.0 : 2.0) * stretch;
    double center = ((double)index + 0.5) * scale, inverse = 1.0 / stretch, sum = 0;
    double low = center - support + 0.5, high = center + support + 0.5;
    size_t first = low < 0 ? 0 : (size_t)low, last = (size_t)high < n_in ? (size_t)high : n_in;
    for (size_t j = first; j < last; j++) {
        double w = filter_value(filter, true, ((double)j - center + 0.5) * inverse);
        weights[j - first] = w;
        sum += w;
    }
    for (size_t j = 0; j < last - first; j++)
        if (sum != 0) weights[j] /= sum;
    *start = first;
    return last - first;
}

/* Without: 2 or 4 neighbours whatever the scale; past the borders the last pixel repeats. */
static size_t plain_taps(size_t n_in, double scale, size_t index, enum eg_filter filter, double *weights,
                         size_t *start)
{
    int reach = filter == EG_FILTER_BILINEAR ? 1 : 2;
    double center = ((double)index + 0.5) * scale - 0.5, below = floor(center);
    double first = below - reach + 1;
    first = first < 0 ? 0 : first > (double)(n_in - 1) ? (double)(n_in - 1) : first;
    size_t used = 0;
    for (int j = 1 - reach; j <= reach; j++) {
        double at = below + j, w = filter_value(filter, false, center - at);
        double clamped = at < 0 ? 0 : at > (double)(n_in - 1) ? (double)(n_in - 1) : at;
        size_t slot = (size_t)(clamped - first);
        while (used <= slot) weights[used++] = 0;
        weights[slot] += w;
    }
    *start = (size_t)first;
    return used;
}

size_t eg__taps_longest(double scale, size_t n_in, enum eg_filter filter, bool antialias)
{
    if (filter == EG_FILTER_NEAREST) return 1;
    double reach = filter == EG_FILTER_BILINEAR ? 1.0 : 2.0;
    size_t longest = (size_t)ceil(reach * (antialias && scale > 1.0 ? scale : 1.0)) * 2 + 1;
    return longest > n_in ? n_in : longest;
}

enum eg_status eg__taps_init(struct eg_taps *taps, size_t n_in, size_t n_out, size_t first, size_t count,
                             enum eg_filter filter, bool antialias, bool mirrored, struct eg_room *room,
                             struct eg_error *err)
{
    double scale = (double)n_in / (double)n_out;
    size_t longest = eg__taps_longest(scale, n_in, filter, antialias), stride = (longest + 7) / 8 * 8;
    struct eg_taps made = {.count = count,
                           .low = n_in,
                           .longest = longest,
                           .stride = stride,
                           .descending = mirrored,
                           .borrowed = room != NULL};
    double *weights = eg__room_take(room, longest + 4, sizeof *weights);
    made.start = eg__room_take(room, count, sizeof *made.start);
    made.length = eg__room_take(room, count, sizeof *made.length);
    made.weights = eg__room_take(room, count, stride * sizeof *made.weights);
    if (!weights || !made.start || !made.length || !made.weights) {
        if (!room) free(weights);
        eg__taps_release(&made);
        return eg__fail_memory(err, "the weights of resizing");
    }
    memset(made.weights, 0, count * stride * sizeof *made.weights);
    if (filter == EG_FILTER_NEAREST) nearest_taps(&made, n_in, scale, first, mirrored);
    for (size_t i = 0; i < count && filter != EG_FILTER_NEAREST; i++) {
        size_t start, n = antialias ? antialiased_taps(n_in, scale, first + i, filter, weights, &start)
                                    : plain_taps(n_in, scale, first + i, filter, weights, &start);
        if (mirrored) start = n_in - start - n;
        for (size_t j = 0; j < n; j++) {
            double w = weights[mirrored ? n - 1 - j : j] * (1 << EG_TAP_BITS);
            made.weights[i * stride + j] = (int32_t)(w < 0 ? w - 0.5 : w + 0.5);
        }
        made.start[i] = (uint32_t)start;
        made.length[i] = (uint32_t)n;
        if (start < made.low) made.low = start;
        if (start + n > made.high) made.high = start + n;
    }
    for (size_t i = 0; i < count; i++) made.start[i] -= (uint32_t)made.low;
    if (!room) free(weights);
    *taps = made;
    return EG_OK;
}

void eg__taps_release(struct eg_taps *taps)
{
    if (!taps->borrowed) {
        free(taps->start);
        free(taps->length);
        free(taps->weights);
    }
    *taps = (struct eg_taps){0};
}

/* Lines are read and written in whole blocks of 32 bytes, and `across` reads a little more. */
static size_t line_bytes(size_t n_pixels) { return (4 * n_pixels + 31) / 32 * 32; }

enum eg_status eg__resampler_init(struct eg_resampler *resampler, size_t width, size_t height,
                                  unsigned orientation, const struct eg_resample_window *window,
                                  enum eg_filter filter, bool antialias, struct eg_error *err)
{
    return eg__resampler_init_in(resampler, width, height, orientation, window, filter, antialias, NULL, err);
}

/* What eg__resampler_init_in takes, each at most. */
size_t eg__resampler_bytes(size_t width, size_t window_side, size_t longest)
{
    enum { PIECES = 12, ALIGN = 64 };
    const size_t stride = (longest + 7) / 8 * 8, side = window_side > width ? window_side : width;
    size_t taps = (longest + 4) * sizeof(double) + window_side * (2 + stride) * sizeof(int32_t);
    size_t lines = longest * (line_bytes(side) + sizeof(void *));
    return 2 * taps + lines + 2 * (line_bytes(side) + EG_ROW_PADDING) + (size_t)PIECES * ALIGN;
}

enum eg_status eg__resampler_init_in(struct eg_resampler *resampler, size_t width, size_t height,
                                     unsigned orientation, const struct eg_resample_window *window,
                                     enum eg_filter filter, bool antialias, struct eg_room *room,
                                     struct eg_error *err)
{
    bool transposed = eg__orientation_transposes(orientation);
    struct eg_resampler made = {
        .transposed = transposed, .out = window->out, .out_stride = window->out_stride};
    /* stored columns are the picture's columns, or its rows when transposed */
    size_t over_columns[3] = {window->resized_width, window->x, window->width};
    size_t over_rows[3] = {window->resized_height, window->y, window->height};
    const size_t *c = transposed ? over_rows : over_columns, *r = transposed ? over_columns : over_rows;
    enum eg_status status = eg__taps_init(&made.columns, width, c[0], c[1], c[2], filter, antialias,
                                          eg__orientation_mirrors_x(orientation), room, err);
    if (!status)
        status = eg__taps_init(&made.rows, height, r[0], r[1], r[2], filter, antialias,
                               eg__orientation_mirrors_y(orientation), room, err);
    if (status) {
        eg__resampler_release(&made);
        return status;
    }
    made.box = (struct eg_box){made.columns.low, made.rows.low, made.columns.high - made.columns.low,
                               made.rows.high - made.rows.low};
    size_t kept = transposed ? made.box.width : made.columns.count; /* pixels of a row in the ring */
    size_t longest = made.columns.count > kept ? made.columns.count : kept;
    made.ring_rows = made.rows.longest;
    made.ring_stride = line_bytes(kept);
    made.ring = eg__room_take(room, made.ring_rows, made.ring_stride);
    made.ring_order = eg__room_take(room, made.ring_rows, sizeof *made.ring_order);
    made.line = eg__room_take(room, line_bytes(longest) + EG_ROW_PADDING, 1);
    made.strip = eg__room_take(room, line_bytes(longest) + EG_ROW_PADDING, 1);
    if (!made.ring || !made.ring_order || !made.line || !made.strip) {
        eg__resampler_release(&made);
        return eg__fail_memory(err, "the rows of a photo");
    }
    /* the padding of a line is summed too, though nothing looks at it */
    memset(made.ring, 0, made.ring_rows * made.ring_stride);
    memset(made.line, 0, line_bytes(longest) + EG_ROW_PADDING);
    *resampler = made;
    return EG_OK;
}

void eg__resampler_release(struct eg_resampler *resampler)
{
    if (!resampler->columns.borrowed) {
        free(resampler->ring);
        free(resampler->ring_order);
        free(resampler->line);
        free(resampler->strip);
    }
    eg__taps_release(&resampler->columns);
    eg__taps_release(&resampler->rows);
    *resampler = (struct eg_resampler){0};
}

/* One output along the stored rows: a row of the window, or a column of it. */
static void finish_output(struct eg_resampler *s, size_t index, const struct eg_line_kernels *kernels)
{
    size_t n = s->rows.length[index], start = s->rows.start[index];
    for (size_t j = 0; j < n; j++) s->ring_order[j] = s->ring + (start + j) % s->ring_rows * s->ring_stride;
    kernels->down(s->ring_order, s->rows.weights + index * s->rows.stride, n, s->ring_stride, s->line);
    const uint8_t *pixels = s->line;
    if (s->transposed) {
        kernels->across(&s->columns, s->line, s->strip);
        pixels = s->strip;
    }
    uint8_t *out = s->out + (s->transposed ? 3 * index : s->out_stride * index);
    size_t step = s->transposed ? s->out_stride : 3;
    for (size_t i = 0; i < s->columns.count; i++, out += step, pixels += 4) {
        out[0] = pixels[0];
        out[1] = pixels[1];
        out[2] = pixels[2];
    }
}

void eg__resampler_row(struct eg_resampler *s, const uint8_t *rgbx)
{
    const struct eg_line_kernels *kernels = eg__line_kernels();
    size_t row = s->row++, count = s->rows.count;
    size_t next = s->rows.descending ? count - 1 - s->done : s->done;
    if (s->done == count || row < s->rows.start[next]) return; /* between outputs that do not touch */
    uint8_t *slot = s->ring + row % s->ring_rows * s->ring_stride;
    if (s->transposed)
        memcpy(slot, rgbx, 4 * s->box.width);
    else
        kernels->across(&s->columns, rgbx, slot);
    while (s->done < count) {
        next = s->rows.descending ? count - 1 - s->done : s->done;
        if (s->rows.start[next] + s->rows.length[next] > s->row) break;
        finish_output(s, next, kernels);
        s->done++;
    }
}
