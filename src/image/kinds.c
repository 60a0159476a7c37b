/* kinds.c: which pictures there are, how they are told apart and what reads them. */
#include "image/kinds.h"

#include <string.h>
#include <strings.h>

static bool is_jpeg(const uint8_t *b, size_t n) { return n >= 3 && !memcmp(b, "\xff\xd8\xff", 3); }

static bool is_png(const uint8_t *b, size_t n) { return n >= 8 && !memcmp(b, "\x89PNG\r\n\x1a\n", 8); }

static bool is_webp(const uint8_t *b, size_t n)
{
    return n >= 12 && !memcmp(b, "RIFF", 4) && !memcmp(b + 8, "WEBP", 4);
}

static bool is_tiff(const uint8_t *b, size_t n)
{
    return n >= 8 && (!memcmp(b, "II*\0", 4) || !memcmp(b, "MM\0*", 4) || !memcmp(b, "II+\0", 4) ||
                      !memcmp(b, "MM\0+", 4));
}

/* "BM", and a header of a size that there is. */
static bool is_bmp(const uint8_t *b, size_t n)
{
    static const uint8_t sizes[] = {12, 40, 52, 56, 64, 108, 124};
    return n >= 18 && b[0] == 'B' && b[1] == 'M' && memchr(sizes, b[14], sizeof sizes) && !b[15] && !b[16] &&
           !b[17];
}

static bool is_gif(const uint8_t *b, size_t n)
{
    return n >= 6 && (!memcmp(b, "GIF87a", 6) || !memcmp(b, "GIF89a", 6));
}

/* One of the brands ("avifavis") that a file of ISO's container says it follows. */
static bool has_brand(const uint8_t *b, size_t n, const char *brands)
{
    if (n < 12 || memcmp(b + 4, "ftyp", 4)) return false;
    size_t size = (size_t)b[0] << 24 | (size_t)b[1] << 16 | (size_t)b[2] << 8 | b[3];
    size_t end = size < n ? size : n;
    for (size_t at = 8; at + 4 <= end; at += at == 8 ? 8 : 4) /* a version stands behind the first */
        for (const char *brand = brands; *brand; brand += 4)
            if (!memcmp(b + at, brand, 4)) return true;
    return false;
}

static bool is_avif(const uint8_t *b, size_t n) { return has_brand(b, n, "avifavis"); }

static bool is_heic(const uint8_t *b, size_t n)
{
    return has_brand(b, n, "heicheixhevchevxheimheismif1msf1");
}

static bool is_jpeg2000(const uint8_t *b, size_t n)
{
    return (n >= 12 && !memcmp(b + 4, "jP  \r\n\x87\n", 8)) || (n >= 4 && !memcmp(b, "\xff\x4f\xff\x51", 4));
}

static bool is_jxl(const uint8_t *b, size_t n)
{
    return (n >= 2 && !memcmp(b, "\xff\x0a", 2)) || (n >= 12 && !memcmp(b + 4, "JXL \r\n\x87\n", 8));
}

static bool is_photoshop(const uint8_t *b, size_t n) { return n >= 6 && !memcmp(b, "8BPS\0\1", 6); }

#ifdef EG_WITH_JPEG
#define JPEG_DECODER eg__jpeg_decode
#else
#define JPEG_DECODER NULL
#endif
#ifdef EG_WITH_PNG
#define PNG_DECODER eg__png_decode
#else
#define PNG_DECODER NULL
#endif
#ifdef EG_WITH_WEBP
#define WEBP_DECODER eg__webp_decode
#else
#define WEBP_DECODER NULL
#endif
#ifdef EG_WITH_HEIF
#define HEIC_DECODER eg__heif_decode
#else
#define HEIC_DECODER NULL
#endif
#ifdef EG_WITH_AVIF
#define AVIF_DECODER eg__avif_decode
#else
#define AVIF_DECODER HEIC_DECODER /* libheif may have a decoder of it */
#endif

#ifdef EG_WITH_TIFF
#define TIFF_DECODER eg__tiff_decode
#else
#define TIFF_DECODER NULL
#endif
#ifdef EG_WITH_GIF
#define GIF_DECODER eg__gif_decode
#else
#define GIF_DECODER NULL
#endif

static const struct eg_photo_kind kinds[] = {
    {"JPEG", " jpg jpeg jpe jfif ", is_jpeg, JPEG_DECODER, "libjpeg-turbo"},
    {"PNG", " png ", is_png, PNG_DECODER, "libspng"},
    {"WebP", " webp ", is_webp, WEBP_DECODER, "libwebp"},
    {"TIFF", " tif tiff ", is_tiff, TIFF_DECODER, "libtiff"},
    {"BMP", " bmp dib ", is_bmp, eg__bmp_decode, "engraft"},
    {"GIF", " gif ", is_gif, GIF_DECODER, "giflib"},
    {"AVIF", " avif ", is_avif, AVIF_DECODER, "libavif"},
    {"HEIC", " heic heif hif ", is_heic, HEIC_DECODER, "libheif"},
    {"JPEG 2000", " jp2 j2k jpf jpx j2c jpm ", is_jpeg2000, NULL, NULL},
    {"JPEG XL", " jxl ", is_jxl, NULL, NULL},
    {"Photoshop", " psd psb ", is_photoshop, NULL, NULL},
    /* TIFF by their first bytes, but what stands first in them is a thumbnail. */
    {"camera raw", " dng cr2 cr3 nef nrw arw sr2 orf rw2 raf pef srw raw ", NULL, NULL, NULL},
    {"SVG", " svg svgz ", NULL, NULL, NULL},
    {"PDF", " pdf ", NULL, NULL, NULL},
    {"DICOM", " dcm dicom ", NULL, NULL, NULL},
    {"OpenEXR or HDR", " exr hdr ", NULL, NULL, NULL},
    {"PNM", " pnm ppm pgm pbm pam ", NULL, NULL, NULL},
    {"TGA", " tga ", NULL, NULL, NULL},
    {"icon", " ico cur ", NULL, NULL, NULL},
    {"video", " mp4 mov avi mkv webm m4v mpg mpeg wmv ", NULL, NULL, NULL},
};
enum { N_KINDS = sizeof kinds / sizeof *kinds };

size_t eg__photo_kind_count(void) { return N_KINDS; }

const struct eg_photo_kind *eg__photo_kind(size_t index) { return &kinds[index]; }

const struct eg_photo_kind *eg__kind_of_bytes(const void *bytes, size_t n)
{
    for (size_t i = 0; i < N_KINDS; i++)
        if (kinds[i].sniff && kinds[i].sniff(bytes, n)) return &kinds[i];
    return NULL;
}

static bool has_suffix(const char *suffixes, const char *suffix)
{
    size_t n = strlen(suffix);
    for (const char *at = suffixes; *at; at += strcspn(at, " ")) {
        at += strspn(at, " ");
        if (n && strcspn(at, " ") == n && !strncasecmp(at, suffix, n)) return true;
    }
    return false;
}

const struct eg_photo_kind *eg__kind_of_name(const char *name)
{
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < N_KINDS; i++)
        if (has_suffix(kinds[i].suffixes, dot + 1)) return &kinds[i];
    return NULL;
}

const char *eg__kind_advice(const struct eg_photo_kind *kind)
{
    if (!kind->library) return "nothing here reads it (convert it to JPEG or PNG)";
    if (!strcmp(kind->library, "libtiff")) return "this build lacks libtiff (build with it, or convert it)";
    if (!strcmp(kind->library, "giflib")) return "this build lacks giflib (build with it, or convert it)";
    if (strcmp(kind->library, "libavif") && strcmp(kind->library, "libheif"))
        return "this build lacks the library that reads it (build with its codec)";
    if (!strcmp(kind->library, "libavif")) return "this build lacks libavif (build with it, or convert it)";
    return "this build lacks libheif (build with it, or convert it to JPEG)";
}
