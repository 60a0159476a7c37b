/* exif.c: the one tag of EXIF that changes pixels, there or in XMP. */
#include <string.h>

#include "image/codecs.h"

enum { TAG_ORIENTATION = 0x0112, TYPE_SHORT = 3, TYPE_LONG = 4 };

static uint32_t number(const uint8_t *bytes, size_t size, bool big_endian)
{
    uint32_t value = 0;
    for (size_t i = 0; i < size; i++) value = value << 8 | bytes[big_endian ? i : size - 1 - i];
    return value;
}

unsigned eg__exif_orientation(const uint8_t *exif, size_t n)
{
    if (n >= 6 && !memcmp(exif, "Exif\0\0", 6)) {
        exif += 6;
        n -= 6;
    }
    if (n < 8 || (memcmp(exif, "II*\0", 4) && memcmp(exif, "MM\0*", 4))) return 0;
    bool big = exif[0] == 'M';
    size_t directory = number(exif + 4, 4, big);
    if (directory > n - 2) return 0;
    size_t count = number(exif + directory, 2, big);
    for (size_t i = 0; i < count; i++) {
        size_t at = directory + 2 + 12 * i;
        if (at + 12 > n) break;
        if (number(exif + at, 2, big) != TAG_ORIENTATION) continue;
        uint32_t type = number(exif + at + 2, 2, big), value = 0;
        if (type == TYPE_SHORT) value = number(exif + at + 8, 2, big);
        if (type == TYPE_LONG) value = number(exif + at + 8, 4, big);
        return value >= 1 && value <= 8 ? value : 1; /* Pillow leaves what it does not know */
    }
    return 0;
}

/* As Pillow looks for it: an attribute or an element of RDF, one digit. */
static unsigned xmp_orientation(const uint8_t *xmp, size_t n)
{
    static const char tag[] = "tiff:Orientation";
    const size_t n_tag = sizeof tag - 1;
    for (size_t at = 0; n >= n_tag && at <= n - n_tag; at++) {
        const uint8_t *found = memchr(xmp + at, 't', n - n_tag - at + 1);
        if (!found) return 0;
        at = (size_t)(found - xmp);
        if (memcmp(found, tag, n_tag)) continue;
        const uint8_t *value = found + n_tag;
        size_t left = n - n_tag - at;
        size_t sign = left >= 2 && !memcmp(value, "=\"", 2) ? 2 : left >= 1 && *value == '>' ? 1 : 0;
        if (sign && left > sign && value[sign] >= '0' && value[sign] <= '9')
            return value[sign] - (unsigned)'0';
    }
    return 0;
}

unsigned eg__orientation(const struct eg_photo_sink *sink, const struct eg_photo_notes *notes)
{
    unsigned orientation = 0;
    if (!sink->exif) return 1;
    if (notes->exif) orientation = eg__exif_orientation(notes->exif, notes->n_exif);
    if (!orientation && sink->xmp && notes->xmp) orientation = xmp_orientation(notes->xmp, notes->n_xmp);
    return orientation >= 1 && orientation <= 8 ? orientation : 1;
}
