/* thumbnail.c: a photo in a few kilobytes: as good a JPEG as fits. */
#include "image/thumbnail.h"

#include <stdlib.h>
#include <string.h>

#include "image/jpeg_write.h"
#include "image/photo.h"

void eg__thumbnail(const void *bytes, size_t n_bytes, const struct eg_recipe *recipe, size_t side,
                   uint8_t *room, size_t n_room)
{
    static const int qualities[] = {85, 70, 50, 30, 10};
    const struct eg_decode_options how = {
        .no_exif = !recipe->exif, .no_xmp = !recipe->xmp, .fast_target = 2 * side};
    struct eg_image image;
    bool fits = false;
    memset(room, 0, n_room);
    if (eg__photo_decode(bytes, n_bytes, &how, &image, NULL)) return;
    for (size_t i = 0; i < sizeof qualities / sizeof *qualities && !fits; i++) {
        struct eg_jpeg jpeg;
        if (eg__jpeg_shrunk(&image, side, qualities[i], &jpeg, NULL)) break;
        fits = jpeg.n_bytes <= n_room;
        if (fits) memcpy(room, jpeg.bytes, jpeg.n_bytes);
        free(jpeg.bytes);
    }
    free(image.rgb);
}
