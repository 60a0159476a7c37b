/* png_notes.h: what a PNG says beside its pixels. */
#ifndef EG_IMAGE_PNG_NOTES_H
#define EG_IMAGE_PNG_NOTES_H

#include "image/codecs.h"

struct eg_png_notes {
    struct eg_photo_notes notes;
    uint8_t *xmp, *profile; /* unpacked; free() both */
};

/* Walk the chunks behind the signature to the end, as what is looked for may stand behind the
 * pixels: false when the file stops before IEND. */
bool eg__png_notes(const uint8_t *bytes, size_t n, bool texts, struct eg_png_notes *notes);

#endif
