/* jpeg_write.h: small pictures of photos, as JPEG. */
#ifndef EG_IMAGE_JPEG_WRITE_H
#define EG_IMAGE_JPEG_WRITE_H

#include "engraft.h"

struct eg_jpeg {
    uint8_t *bytes; /* free() it */
    size_t n_bytes;
};
/* quality: 1 to 100, as libjpeg has it. */
EG_MUST_CHECK enum eg_status eg__jpeg_write(const uint8_t *rgb, size_t height, size_t width, int quality,
                                            struct eg_jpeg *jpeg, struct eg_error *err);
/* The photo no larger than `side` pixels on its longer side. */
EG_MUST_CHECK enum eg_status eg__jpeg_shrunk(const struct eg_image *image, size_t side, int quality,
                                             struct eg_jpeg *jpeg, struct eg_error *err);

#endif
