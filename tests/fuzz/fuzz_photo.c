/* Any bytes as a photo. The sink takes small pictures only, and asks for a part of them, so that
 * skipping rows and cropping columns is exercised too. */
#include <stdlib.h>

#include "image/codecs.h"
#include "image/resample.h"

struct small_sink {
    struct eg_photo_sink sink;
    struct eg_resampler resampler;
    size_t divisor; /* the window is 1/divisor of each side */
    uint8_t out[40 * 40 * 3];
};

static enum eg_status begin(struct eg_photo_sink *sink, const struct eg_photo_header *header,
                            struct eg_box *wanted, struct eg_error *err)
{
    (void)err;
    struct small_sink *small = (struct small_sink *)sink;
    if (header->width > 2000 || header->height > 2000) return EG_E_UNSUPPORTED;
    if (!header->width || !header->height || header->orientation < 1 || header->orientation > 8) abort();
    size_t part = 40 / small->divisor, from = (40 - part) / 2;
    struct eg_resample_window window = {40, 40, from, from, part, part, small->out, sizeof small->out / 40};
    enum eg_status status = eg__resampler_init(&small->resampler, header->width, header->height,
                                               header->orientation, &window, EG_FILTER_BICUBIC, true, NULL);
    if (!status) *wanted = small->resampler.box;
    return status;
}

static void row(struct eg_photo_sink *sink, const uint8_t *rgbx)
{
    eg__resampler_row(&((struct small_sink *)sink)->resampler, rgbx);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (size_t divisor = 1; divisor <= 8; divisor *= 8) {
        struct small_sink small = {.sink = {.exif = true, .begin = begin, .row = row}, .divisor = divisor};
        small.sink.srgb = divisor == 8;
        small.sink.fast_target = divisor == 8 && size % 2 ? 100 : 0;
        struct eg_error err;
        if (!eg__photo_stream(data, size, &small.sink, &err) &&
            small.resampler.done != small.resampler.rows.count)
            abort(); /* no error, and rows are missing */
        eg__resampler_release(&small.resampler);
    }
    return 0;
}
