/* colour.h: colours to sRGB by a photo's ICC profile. */
#ifndef EG_IMAGE_COLOUR_H
#define EG_IMAGE_COLOUR_H

#include "image/kinds.h"

/* As kind->decode, with the rows' colours converted. EG_E_UNSUPPORTED: built without lcms2. */
EG_MUST_CHECK enum eg_status eg__colour_stream(const struct eg_photo_kind *kind, const uint8_t *bytes,
                                               size_t n, struct eg_photo_sink *sink, struct eg_error *err);

#endif
