/* exif.c: the one tag of EXIF that changes pixels. */
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
    if (n < 8 || (memcmp(exif, "II*\0", 4) && memcmp(exif, "MM\0*", 4))) return 1;
    bool big = exif[0] == 'M';
    size_t directory = number(exif + 4, 4, big);
    if (directory > n - 2) return 1;
    size_t count = number(exif + directory, 2, big);
    for (size_t i = 0; i < count; i++) {
        size_t at = directory + 2 + 12 * i;
        if (at + 12 > n) break;
        if (number(exif + at, 2, big) != TAG_ORIENTATION) continue;
        uint32_t type = number(exif + at + 2, 2, big), value = 0;
        if (type == TYPE_SHORT) value = number(exif + at + 8, 2, big);
        if (type == TYPE_LONG) value = number(exif + at + 8, 4, big);
        return value >= 1 && value <= 8 ? value : 1;
    }
    return 1;
}
