/* kinds.h: the kinds of pictures there are, read or not: one row each in kinds.c. */
#ifndef EG_IMAGE_KINDS_H
#define EG_IMAGE_KINDS_H

#include "image/codecs.h"

enum { EG_SNIFF_BYTES = 64 }; /* of a file are enough to tell */

struct eg_photo_kind {
    const char *name;                              /* "JPEG" */
    const char *suffixes;                          /* " jpg jpeg " */
    bool (*sniff)(const uint8_t *bytes, size_t n); /* NULL: told by its name alone */
    eg_decoder *decode;                            /* NULL: not read by this build */
    const char *library;                           /* that reads it: NULL: none does here */
};

size_t eg__photo_kind_count(void);
const struct eg_photo_kind *eg__photo_kind(size_t index);
/* By a file's first bytes, or by its name's ending; NULL: none. */
const struct eg_photo_kind *eg__kind_of_bytes(const void *bytes, size_t n);
const struct eg_photo_kind *eg__kind_of_name(const char *name);
/* What would read a kind that is not read: "this build lacks libtiff: ..." */
const char *eg__kind_advice(const struct eg_photo_kind *kind);

#endif
