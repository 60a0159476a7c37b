/* augment.c: random views. Everything random is drawn before the first pixel comes, in a fixed
 * order, so that a view depends on (seed, image, epoch) and the photo's size only. */
#include "image/augment.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "base/rng.h"
#include "image/resample.h"

static const struct {
    const char *name;
    double min_area; /* of the crop, in the photo's */
    double degrees;  /* turned by up to this */
    double jitter;   /* brightness, contrast, saturation: factors 1 - jitter to 1 + jitter */
} levels[] = {
    [EG_AUGMENT_NONE] = {"none", 1, 0, 0},
    [EG_AUGMENT_LIGHT] = {"light", 0.5, 0, 0},
    [EG_AUGMENT_STANDARD] = {"standard", 0.35, 10, 0.2},
};
enum { N_LEVELS = sizeof levels / sizeof *levels };

enum eg_status eg__augment_parse(const char *name, enum eg_augment *level, struct eg_error *err)
{
    for (int i = 0; i < N_LEVELS; i++) {
        if (strcmp(name, levels[i].name)) continue;
        *level = (enum eg_augment)i;
        return EG_OK;
    }
    return eg__fail(err, EG_E_ARGUMENT, "unknown augmentation '%.60s' (want none, light or standard)", name);
}

static double between(struct eg_rng *rng, double low, double high)
{
    return low + (high - low) * eg__rng_uniform(rng);
}

/* Where to cut, in the oriented photo: an area and a ratio of sides at random, ten attempts; the
 * largest centred box of the input's ratio after that (torchvision's RandomResizedCrop). */
static struct eg_box random_box(struct eg_rng *rng, size_t width, size_t height, double input_ratio,
                                double min_area)
{
    const double reach = log(4.0 / 3);
    for (int attempt = 0; attempt < 10; attempt++) {
        double area = (double)width * (double)height * between(rng, min_area, 1);
        double ratio = input_ratio * exp(between(rng, -reach, reach));
        double w = round(sqrt(area * ratio)), h = round(sqrt(area / ratio));
        if (w < 1 || h < 1 || w > (double)width || h > (double)height) continue;
        struct eg_box box = {.width = (size_t)w, .height = (size_t)h};
        box.x = (size_t)eg__rng_below(rng, width - box.width + 1);
        box.y = (size_t)eg__rng_below(rng, height - box.height + 1);
        return box;
    }
    double w = fmin((double)width, round((double)height * input_ratio));
    double h = fmin((double)height, round((double)width / input_ratio));
    struct eg_box box = {.width = w < 1 ? 1 : (size_t)w, .height = h < 1 ? 1 : (size_t)h};
    box.x = (width - box.width) / 2;
    box.y = (height - box.height) / 2;
    return box;
}

/* A box of the oriented picture as one of the stored picture. */
static struct eg_box stored_box(struct eg_box box, const struct eg_photo_header *header)
{
    if (eg__orientation_transposes(header->orientation))
        box = (struct eg_box){box.y, box.x, box.height, box.width};
    if (eg__orientation_mirrors_x(header->orientation)) box.x = header->width - box.x - box.width;
    if (eg__orientation_mirrors_y(header->orientation)) box.y = header->height - box.y - box.height;
    return box;
}

struct view_sink {
    struct eg_photo_sink sink; /* first: the decoder knows it by this address */
    const struct eg_recipe *recipe;
    double min_area;
    struct eg_rng rng;
    struct eg_resampler resampler;
    uint8_t *out;
};

static enum eg_status view_begin(struct eg_photo_sink *sink, const struct eg_photo_header *header,
                                 struct eg_box *wanted, struct eg_error *err)
{
    struct view_sink *view = (struct view_sink *)sink;
    size_t h = view->recipe->crop[0], w = view->recipe->crop[1];
    bool transposed = eg__orientation_transposes(header->orientation);
    struct eg_box box =
        random_box(&view->rng, transposed ? header->height : header->width,
                   transposed ? header->width : header->height, (double)w / (double)h, view->min_area);
    bool mirrored = eg__rng_below(&view->rng, 2) == 1;
    struct eg_box stored = stored_box(box, header);
    /* orientations come in pairs, (1,2) (3,4) (5,6) (7,8), mirror images of each other */
    unsigned orientation = mirrored ? ((header->orientation - 1) ^ 1u) + 1 : header->orientation;
    struct eg_resample_window window = {w, h, 0, 0, w, h, view->out, 3 * w};
    enum eg_status status = eg__resampler_init(&view->resampler, stored.width, stored.height, orientation,
                                               &window, view->recipe->filter, view->recipe->antialias, err);
    if (status) return status;
    *wanted = view->resampler.box;
    wanted->x += stored.x;
    wanted->y += stored.y;
    return EG_OK;
}

static void view_row(struct eg_photo_sink *sink, const uint8_t *rgbx)
{
    eg__resampler_row(&((struct view_sink *)sink)->resampler, rgbx);
}

static uint8_t to_byte(float value) { return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value + 0.5f); }

/* Index i of a line of n, reflected at both ends. */
static ptrdiff_t reflected(ptrdiff_t i, ptrdiff_t n)
{
    if (i < 0) i = -i;
    if (i >= n) i = 2 * (n - 1) - i;
    return i < 0 ? 0 : i >= n ? n - 1 : i;
}

/* Turn the picture about its centre, bilinear; from and to do not overlap. */
static void rotate(const uint8_t *from, uint8_t *to, size_t height, size_t width, double angle)
{
    ptrdiff_t h = (ptrdiff_t)height, w = (ptrdiff_t)width;
    float c = (float)cos(angle), s = (float)sin(angle), middle_x = (float)(w - 1) / 2,
          middle_y = (float)(h - 1) / 2;
    for (ptrdiff_t y = 0; y < h; y++) {
        for (ptrdiff_t x = 0; x < w; x++, to += 3) {
            float dx = (float)x - middle_x, dy = (float)y - middle_y;
            float at_x = c * dx - s * dy + middle_x, at_y = s * dx + c * dy + middle_y;
            float x0 = floorf(at_x), y0 = floorf(at_y), fx = at_x - x0, fy = at_y - y0;
            ptrdiff_t left = reflected((ptrdiff_t)x0, w), right = reflected((ptrdiff_t)x0 + 1, w);
            const uint8_t *above = from + 3 * w * reflected((ptrdiff_t)y0, h);
            const uint8_t *below = from + 3 * w * reflected((ptrdiff_t)y0 + 1, h);
            for (int i = 0; i < 3; i++) {
                float top = above[3 * left + i] * (1 - fx) + above[3 * right + i] * fx;
                float bottom = below[3 * left + i] * (1 - fx) + below[3 * right + i] * fx;
                to[i] = to_byte(top * (1 - fy) + bottom * fy);
            }
        }
    }
}

static float grey_of(const uint8_t *rgb) { return 0.299f * rgb[0] + 0.587f * rgb[1] + 0.114f * rgb[2]; }

/* Brightness, then contrast about the mean grey, then saturation about each pixel's grey, rounded
 * once at the end. */
static void jitter_colours(uint8_t *rgb, size_t n_pixels, float brightness, float contrast, float saturation)
{
    double sum = 0;
    for (size_t i = 0; i < n_pixels; i++) sum += (double)grey_of(rgb + 3 * i);
    float mean = brightness * (float)(sum / (double)n_pixels);
    float gain = brightness * contrast, lift = (1 - contrast) * mean;
    for (size_t i = 0; i < n_pixels; i++, rgb += 3) {
        float grey = gain * grey_of(rgb) + lift;
        for (int c = 0; c < 3; c++) rgb[c] = to_byte(grey + saturation * (gain * rgb[c] + lift - grey));
    }
}

static enum eg_status turn(uint8_t *out, const struct eg_recipe *recipe, double angle, struct eg_error *err)
{
    size_t n = recipe->crop[0] * recipe->crop[1] * 3;
    uint8_t *straight = eg__alloc(n, 1);
    if (!straight) return eg__fail_memory(err, "a view of a photo");
    memcpy(straight, out, n);
    rotate(straight, out, recipe->crop[0], recipe->crop[1], angle);
    free(straight);
    return EG_OK;
}

enum eg_status eg__augment_input(const void *bytes, size_t n_bytes, const struct eg_recipe *recipe,
                                 enum eg_augment level, uint64_t seed, size_t image, size_t epoch,
                                 uint8_t *out, struct eg_error *err)
{
    if (level == EG_AUGMENT_NONE) return eg__photo_input(bytes, n_bytes, recipe, out, err);
    size_t longer = recipe->crop[0] > recipe->crop[1] ? recipe->crop[0] : recipe->crop[1];
    struct view_sink view = {.sink = {.exif = recipe->exif,
                                      .srgb = recipe->icc_srgb,
                                      .xmp = recipe->xmp,
                                      .fast_target = recipe->fast_decode ? 4 * longer : 0,
                                      .begin = view_begin,
                                      .row = view_row},
                             .recipe = recipe,
                             .min_area = levels[level].min_area,
                             .out = out};
    eg__rng_init(&view.rng, seed, (uint64_t)epoch << 40 ^ image);
    double spread = levels[level].jitter, factors[3];
    double angle = between(&view.rng, -1, 1) * levels[level].degrees * acos(-1) / 180;
    for (int i = 0; i < 3; i++) factors[i] = between(&view.rng, 1 - spread, 1 + spread);
    enum eg_status status = eg__photo_stream(bytes, n_bytes, &view.sink, err);
    eg__resampler_release(&view.resampler);
    if (!status && levels[level].degrees > 0) status = turn(out, recipe, angle, err);
    if (!status && spread > 0)
        jitter_colours(out, recipe->crop[0] * recipe->crop[1], (float)factors[0], (float)factors[1],
                       (float)factors[2]);
    return status;
}
