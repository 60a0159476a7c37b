/* grad_kernels.c: shares the loops of text_grad.h out over threads. Every task writes a range
 * of its own that does not depend on the number of threads. */
#include "kernels/grad_kernels.h"

#include <string.h>

#include "base/pool.h"
#include "kernels/grad_table.h"
#include "kernels/table.h"

enum { POINTS = 16384, ROW_FLOATS = 16384 }; /* about what one task of a pointwise pass takes */

static const struct eg_grad_loops *loops(void) { return eg__kernels()->grad; }

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

/* ---- rows ------------------------------------------------------------------------ */

struct rows_work {
    const float *x, *a, *b;
    float *y;
    size_t rows, c, rows_a_task;
    bool add;
};

static size_t rows_a_task(size_t c) { return c < ROW_FLOATS ? ROW_FLOATS / c : 1; }

static void add_row_task(void *context, size_t task, unsigned thread)
{
    (void)thread;
    const struct rows_work *w = context;
    size_t first = task * w->rows_a_task, n = least(w->rows_a_task, w->rows - first);
    loops()->add_row(w->y + first * w->c, w->a, n, w->c);
}

void eg__add_row(float *y, const float *row, size_t rows, size_t c, eg_pool *pool)
{
    struct rows_work work = {.y = y, .a = row, .rows = rows, .c = c, .rows_a_task = rows_a_task(c)};
    eg__pool_run(pool, (rows + work.rows_a_task - 1) / work.rows_a_task, add_row_task, &work);
}

static void affine_task(void *context, size_t task, unsigned thread)
{
    (void)thread;
    const struct rows_work *w = context;
    size_t first = task * w->rows_a_task, n = least(w->rows_a_task, w->rows - first);
    loops()->affine_rows(w->x + first * w->c, w->a, w->b, w->y + first * w->c, n, w->c, w->add);
}

void eg__affine_rows(const float *x, const float *a, const float *b, float *y, size_t rows, size_t c,
                     bool add, eg_pool *pool)
{
    struct rows_work work = {x, a, b, y, rows, c, rows_a_task(c), add};
    eg__pool_run(pool, (rows + work.rows_a_task - 1) / work.rows_a_task, affine_task, &work);
}

/* Sums over rows: bands of rows, the same whatever the threads, each summed by itself for a
 * block of columns, then the bands added in order. */
enum { BANDS = 16, COLUMNS = 128 };

struct sums_work {
    const float *x, *z;
    size_t rows, c;
    float *sums;
};

static void sums_task(void *context, size_t task, unsigned thread)
{
    (void)thread;
    const struct sums_work *w = context;
    size_t first = task * COLUMNS, n = least(COLUMNS, w->c - first), band = (w->rows + BANDS - 1) / BANDS;
    float part[COLUMNS], *sums = w->sums + first;
    for (size_t row = 0; row < w->rows; row += band) {
        loops()->column_sums(w->x + row * w->c + first, w->z ? w->z + row * w->c + first : NULL,
                             least(band, w->rows - row), n, w->c, row ? part : sums);
        for (size_t k = 0; row && k < n; k++) sums[k] += part[k];
    }
}

struct bands_work {
    struct sums_work all;
    float parts[BANDS][COLUMNS];
};

static void band_task(void *context, size_t task, unsigned thread)
{
    (void)thread;
    struct bands_work *w = context;
    size_t band = (w->all.rows + BANDS - 1) / BANDS, row = task * band, c = w->all.c;
    loops()->column_sums(w->all.x + row * c, w->all.z ? w->all.z + row * c : NULL,
                         least(band, w->all.rows - row), c, c, w->parts[task]);
}

void eg__column_dots(const float *x, const float *z, size_t rows, size_t c, float *sums, eg_pool *pool)
{
    if (c > COLUMNS) {
        struct sums_work work = {x, z, rows, c, sums};
        eg__pool_run(pool, (c + COLUMNS - 1) / COLUMNS, sums_task, &work);
        return;
    }
    struct bands_work work = {.all = {x, z, rows, c, sums}};
    size_t band = (rows + BANDS - 1) / BANDS, n = (rows + band - 1) / band;
    eg__pool_run(pool, n, band_task, &work);
    for (size_t k = 0; k < c; k++) {
        float sum = work.parts[0][k];
        for (size_t i = 1; i < n; i++) sum += work.parts[i][k];
        sums[k] = sum;
    }
}

void eg__column_sums(const float *x, size_t rows, size_t c, float *sums, eg_pool *pool)
{
    eg__column_dots(x, NULL, rows, c, sums, pool);
}

/* ---- pointwise --------------------------------------------------------------------- */

struct unary_work {
    enum eg_activation f;
    float alpha, beta;
    const float *x, *y, *dy;
    float *out;
    size_t n;
    bool add;
};

static void unary_task(void *context, size_t task, unsigned thread)
{
    (void)thread;
    const struct unary_work *w = context;
    size_t first = task * POINTS;
    loops()->unary(w->f, w->alpha, w->beta, w->x + first, w->out + first, least(POINTS, w->n - first));
}

void eg__unary(enum eg_activation f, float alpha, float beta, const float *x, float *y, size_t n,
               eg_pool *pool)
{
    struct unary_work work = {.f = f, .alpha = alpha, .beta = beta, .x = x, .out = y, .n = n};
    eg__pool_run(pool, (n + POINTS - 1) / POINTS, unary_task, &work);
}

static void unary_gradient_task(void *context, size_t task, unsigned thread)
{
    (void)thread;
    const struct unary_work *w = context;
    size_t first = task * POINTS;
    loops()->unary_gradient(w->f, w->alpha, w->beta, w->x + first, w->y + first, w->dy + first,
                            w->out + first, least(POINTS, w->n - first), w->add);
}

void eg__unary_gradient(enum eg_activation f, float alpha, float beta, const float *x, const float *y,
                        const float *dy, float *dx, size_t n, bool add, eg_pool *pool)
{
    struct unary_work work = {f, alpha, beta, x, y, dy, dx, n, add};
    eg__pool_run(pool, (n + POINTS - 1) / POINTS, unary_gradient_task, &work);
}

/* ---- convolutions as columns ----------------------------------------------------------- */

struct conv_work {
    const struct eg_conv_geometry *g;
    const float *x, *weight, *bias;
    float *y;
    size_t n, first, c, plane, tiles;
    bool add;
};

static size_t image_in(const struct eg_conv_geometry *g) { return g->in_h * g->in_w * g->in_c; }
static size_t image_out(const struct eg_conv_geometry *g) { return g->out_h * g->out_w * g->out_c; }

/* One line of outputs of one image. */
static void to_columns_task(void *context, size_t task, unsigned thread)
{
    (void)thread;
    const struct conv_work *w = context;
    const struct eg_conv_geometry *g = w->g;
    size_t image = task / g->out_h, oy = task % g->out_h, row = g->kernel_h * g->kernel_w * w->c;
    const float *x = w->x + image * image_in(g) + w->first;
    float *to = w->y + task * g->out_w * row;
    for (size_t ox = 0; ox < g->out_w; ox++)
        for (size_t ky = 0; ky < g->kernel_h; ky++) {
            size_t iy = oy * g->stride_h + ky * g->dilation_h - g->pad_top; /* wraps past in_h when above */
            for (size_t kx = 0; kx < g->kernel_w; kx++, to += w->c) {
                size_t ix = ox * g->stride_w + kx * g->dilation_w - g->pad_left;
                if (iy < g->in_h && ix < g->in_w)
                    memcpy(to, x + (iy * g->in_w + ix) * g->in_c, w->c * sizeof *to);
                else
                    memset(to, 0, w->c * sizeof *to);
            }
        }
}

void eg__image_to_columns(const struct eg_conv_geometry *g, size_t first, size_t c, const float *x, size_t n,
                          float *columns, eg_pool *pool)
{
    struct conv_work work = {.g = g, .x = x, .y = columns, .first = first, .c = c};
    eg__pool_run(pool, n * g->out_h, to_columns_task, &work);
}

/* One line of inputs of one image: gathers what its pixels were copied to. */
static void to_image_task(void *context, size_t task, unsigned thread)
{
    (void)thread;
    const struct conv_work *w = context;
    const struct eg_conv_geometry *g = w->g;
    size_t image = task / g->in_h, iy = task % g->in_h, row = g->kernel_h * g->kernel_w * w->c;
    const float *columns = w->x + image * g->out_h * g->out_w * row;
    float *dx = w->y + image * image_in(g) + iy * g->in_w * g->in_c + w->first;
    for (size_t ix = 0; !w->add && ix < g->in_w; ix++) memset(dx + ix * g->in_c, 0, w->c * sizeof *dx);
    for (size_t ky = 0; ky < g->kernel_h; ky++) {
        size_t at = iy + g->pad_top, offset = ky * g->dilation_h;
        if (at < offset || (at - offset) % g->stride_h || (at - offset) / g->stride_h >= g->out_h) continue;
        const float *line = columns + (at - offset) / g->stride_h * g->out_w * row;
        for (size_t ox = 0; ox < g->out_w; ox++)
            for (size_t kx = 0; kx < g->kernel_w; kx++) {
                size_t ix = ox * g->stride_w + kx * g->dilation_w - g->pad_left;
                if (ix < g->in_w)
                    loops()->add_row(dx + ix * g->in_c, line + ox * row + (ky * g->kernel_w + kx) * w->c, 1,
                                     w->c);
            }
    }
}

void eg__columns_to_image(const struct eg_conv_geometry *g, size_t first, size_t c, const float *columns,
                          size_t n, float *dx, bool add, eg_pool *pool)
{
    struct conv_work work = {.g = g, .x = columns, .y = dx, .first = first, .c = c, .add = add};
    eg__pool_run(pool, n * g->in_h, to_image_task, &work);
}

/* ---- depthwise ------------------------------------------------------------------------- */

static void depthwise_task(void *context, size_t task, unsigned thread)
{
    (void)thread;
    const struct conv_work *w = context;
    size_t image = task / w->g->out_h, oy = task % w->g->out_h;
    loops()->depthwise_line(w->g, w->x + image * image_in(w->g), w->weight, w->bias,
                            w->y + task * w->g->out_w * w->g->out_c, oy);
}

void eg__depthwise(const struct eg_conv_geometry *g, const float *x, const float *weight, const float *bias,
                   float *y, size_t n, eg_pool *pool)
{
    struct conv_work work = {.g = g, .x = x, .weight = weight, .bias = bias, .y = y};
    eg__pool_run(pool, n * g->out_h, depthwise_task, &work);
}

static void depthwise_input_gradient_task(void *context, size_t task, unsigned thread)
{
    (void)thread;
    const struct conv_work *w = context;
    size_t image = task / w->g->in_h, iy = task % w->g->in_h;
    loops()->depthwise_input_gradient_line(w->g, w->x + image * image_out(w->g), w->weight,
                                           w->y + task * w->g->in_w * w->g->in_c, iy, w->add);
}

void eg__depthwise_input_gradient(const struct eg_conv_geometry *g, const float *dy, const float *weight,
                                  float *dx, size_t n, bool add, eg_pool *pool)
{
    struct conv_work work = {.g = g, .x = dy, .weight = weight, .y = dx, .add = add};
    eg__pool_run(pool, n * g->in_h, depthwise_input_gradient_task, &work);
}

struct depthwise_gradient_work {
    const struct eg_conv_geometry *g;
    const float *x, *dy;
    float *partial;
    size_t count;
};

static void depthwise_weight_gradient_task(void *context, size_t image, unsigned thread)
{
    (void)thread;
    const struct depthwise_gradient_work *w = context;
    loops()->depthwise_weight_gradient_image(w->g, w->x + image * image_in(w->g),
                                             w->dy + image * image_out(w->g), w->partial + image * w->count);
}

void eg__depthwise_weight_gradient(const struct eg_conv_geometry *g, const float *x, const float *dy,
                                   float *partial, float *gradient, size_t n, eg_pool *pool)
{
    struct depthwise_gradient_work work = {g, x, dy, partial, g->kernel_h * g->kernel_w * g->in_c};
    eg__pool_run(pool, n, depthwise_weight_gradient_task, &work);
    memcpy(gradient, partial, work.count * sizeof *gradient);
    if (n > 1) loops()->column_sums(partial, NULL, n, work.count, work.count, gradient);
}

/* ---- Winograd -------------------------------------------------------------------------- */

static size_t tile_lines(const struct eg_conv_geometry *g) { return (g->out_h + 3) / 4; }
static size_t tile_columns(const struct eg_conv_geometry *g) { return (g->out_w + 3) / 4; }
size_t eg__winograd_tiles(const struct eg_conv_geometry *g) { return tile_lines(g) * tile_columns(g); }

static void weight_task(void *context, size_t k, unsigned thread)
{
    (void)thread;
    const struct conv_work *w = context;
    loops()->winograd_weight_row(w->g, w->weight, w->y, k);
}

void eg__winograd_weight(const struct eg_conv_geometry *g, const float *weight, float *u, eg_pool *pool)
{
    struct conv_work work = {.g = g, .weight = weight, .y = u};
    eg__pool_run(pool, g->out_c, weight_task, &work);
}

static void weight_gradient_task(void *context, size_t k, unsigned thread)
{
    (void)thread;
    const struct conv_work *w = context;
    loops()->winograd_weight_gradient_row(w->g, w->x, w->y, k);
}

void eg__winograd_weight_gradient(const struct eg_conv_geometry *g, const float *du, float *dweight,
                                  eg_pool *pool)
{
    struct conv_work work = {.g = g, .x = du, .y = dweight};
    eg__pool_run(pool, g->out_c, weight_gradient_task, &work);
}

static void input_task(void *context, size_t task, unsigned thread)
{
    (void)thread;
    const struct conv_work *w = context;
    size_t image = task / tile_lines(w->g), ty = task % tile_lines(w->g);
    loops()->winograd_input_line(w->g, w->x + image * image_in(w->g),
                                 w->y + task * tile_columns(w->g) * w->g->in_c, w->plane, ty);
}

void eg__winograd_input(const struct eg_conv_geometry *g, const float *x, size_t n, float *v, eg_pool *pool)
{
    struct conv_work work = {.g = g, .x = x, .y = v, .plane = n * eg__winograd_tiles(g) * g->in_c};
    eg__pool_run(pool, n * tile_lines(g), input_task, &work);
}

/* Tiles overlap, so one task takes a whole image. */
static void input_gradient_task(void *context, size_t image, unsigned thread)
{
    (void)thread;
    const struct conv_work *w = context;
    const struct eg_conv_geometry *g = w->g;
    float *dx = w->y + image * image_in(g);
    if (!w->add) memset(dx, 0, image_in(g) * sizeof *dx);
    for (size_t ty = 0; ty < tile_lines(g); ty++)
        loops()->winograd_input_gradient_line(
            g, w->x + (image * eg__winograd_tiles(g) + ty * tile_columns(g)) * g->in_c, dx, w->plane, ty);
}

void eg__winograd_input_gradient(const struct eg_conv_geometry *g, const float *dv, size_t n, float *dx,
                                 bool add, eg_pool *pool)
{
    struct conv_work work = {
        .g = g, .x = dv, .y = dx, .plane = n * eg__winograd_tiles(g) * g->in_c, .add = add};
    eg__pool_run(pool, n, input_gradient_task, &work);
}

static void output_task(void *context, size_t task, unsigned thread)
{
    (void)thread;
    const struct conv_work *w = context;
    size_t image = task / tile_lines(w->g), ty = task % tile_lines(w->g);
    loops()->winograd_output_line(w->g, w->x + task * tile_columns(w->g) * w->g->out_c, w->bias,
                                  w->y + image * image_out(w->g), w->plane, ty);
}

void eg__winograd_output(const struct eg_conv_geometry *g, const float *m, const float *bias, size_t n,
                         float *y, eg_pool *pool)
{
    struct conv_work work = {
        .g = g, .x = m, .bias = bias, .y = y, .plane = n * eg__winograd_tiles(g) * g->out_c};
    eg__pool_run(pool, n * tile_lines(g), output_task, &work);
}

static void output_gradient_task(void *context, size_t task, unsigned thread)
{
    (void)thread;
    const struct conv_work *w = context;
    size_t image = task / tile_lines(w->g), ty = task % tile_lines(w->g);
    loops()->winograd_output_gradient_line(w->g, w->x + image * image_out(w->g),
                                           w->y + task * tile_columns(w->g) * w->g->out_c, w->plane, ty);
}

void eg__winograd_output_gradient(const struct eg_conv_geometry *g, const float *dy, size_t n, float *dm,
                                  eg_pool *pool)
{
    struct conv_work work = {.g = g, .x = dy, .y = dm, .plane = n * eg__winograd_tiles(g) * g->out_c};
    eg__pool_run(pool, n * tile_lines(g), output_gradient_task, &work);
}

/* ---- optimisers ------------------------------------------------------------------------- */

void eg__sgd_update(float *w, const float *gradient, float *velocity, size_t n, float rate, float momentum,
                    float decay, bool nesterov, float gradient_scale)
{
    loops()->sgd(w, gradient, velocity, n, rate, momentum, decay, nesterov, gradient_scale);
}

void eg__adamw_update(float *w, const float *gradient, float *m, float *v, size_t n, float rate, float beta1,
                      float beta2, float epsilon, float decay, float correction1, float correction2,
                      float gradient_scale)
{
    loops()->adamw(w, gradient, m, v, n, rate, beta1, beta2, epsilon, decay, correction1, correction2,
                   gradient_scale);
}

double eg__sum_of_squares(const float *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)x[i] * (double)x[i];
    return sum;
}
