/* colour.c: a photo's ICC profile, wherever its kind keeps it, and its colours to sRGB by it, row by row on
 * their way to the resampler (lcms2: perceptual, as Pillow's ImageCms.profileToProfile does by default). What
 * has no profile, or one that is damaged or not of RGB, stays as it is. */
#include "image/colour.h"

#ifdef EG_WITH_LCMS
#include <stdlib.h>
#include <string.h>

#include <lcms2.h>
#define ZLIB_CONST /* what is unpacked is not written to */
#include <zlib.h>

#include "base/fail.h"
#include "base/mem.h"

enum { MAX_PROFILE = 4 << 20, MIN_PROFILE = 128, SEGMENT_HEAD = 14, MAX_DEPTH = 4 };

struct profile {
    uint8_t *bytes; /* free() it */
    size_t n;
};

static uint32_t big(const uint8_t *b, size_t n)
{
    uint32_t value = 0;
    for (size_t i = 0; i < n; i++) value = value << 8 | b[i];
    return value;
}

static uint32_t little(const uint8_t *b, size_t n)
{
    uint32_t value = 0;
    while (n--) value = value << 8 | b[n];
    return value;
}

static void take(struct profile *p, const uint8_t *bytes, size_t n)
{
    uint8_t *grown = n && p->n + n <= MAX_PROFILE ? realloc(p->bytes, p->n + n) : NULL;
    if (!grown) return;
    memcpy(grown + p->n, bytes, n);
    p->bytes = grown;
    p->n += n;
}

/* ---- where it is ------------------------------------------------------------------------------- */

/* APP2 segments "ICC_PROFILE", number, count; in the order of their numbers. */
static void find_in_jpeg(const uint8_t *b, size_t n, struct profile *p)
{
    struct {
        const uint8_t *bytes;
        size_t n;
    } parts[256] = {0};
    for (size_t at = 2; at + 4 <= n && b[at] == 0xff;) {
        if (b[at + 1] == 0xff) { /* fill bytes */
            at++;
            continue;
        }
        size_t length = big(b + at + 2, 2);
        if (b[at + 1] == 0xda || length < 2 || length > n - at - 2) break;
        const uint8_t *segment = b + at + 4;
        if (b[at + 1] == 0xe2 && length >= SEGMENT_HEAD + 2 && !memcmp(segment, "ICC_PROFILE", 12)) {
            parts[segment[12]].bytes = segment + SEGMENT_HEAD;
            parts[segment[12]].n = length - 2 - SEGMENT_HEAD;
        }
        at += 2 + length;
    }
    for (size_t i = 1; i < 256 && parts[i].bytes; i++) take(p, parts[i].bytes, parts[i].n);
}

/* The chunk iCCP: a name, a NUL, the method 0, deflated bytes. */
static void find_in_png(const uint8_t *b, size_t n, struct profile *p)
{
    for (size_t at = 8; at + 12 <= n;) {
        size_t length = big(b + at, 4);
        if (length > n - at - 12 || !memcmp(b + at + 4, "IDAT", 4)) return;
        const uint8_t *name = b + at + 8, *end = memchr(name, 0, length < 80 ? length : 80);
        if (!memcmp(b + at + 4, "iCCP", 4) && end && (size_t)(end - name) + 2 < length) {
            uint8_t *made = eg__alloc(MAX_PROFILE, 1);
            uLongf size = MAX_PROFILE;
            uLong packed = (uLong)(length - (size_t)(end - name) - 2);
            if (made && uncompress2(made, &size, end + 2, &packed) == Z_OK) take(p, made, size);
            free(made);
            return;
        }
        at += 12 + length;
    }
}

static void find_in_webp(const uint8_t *b, size_t n, struct profile *p)
{
    for (size_t at = 12; at + 8 <= n;) {
        size_t length = little(b + at + 4, 4);
        if (length > n - at - 8) return;
        if (!memcmp(b + at, "ICCP", 4)) {
            take(p, b + at + 8, length);
            return;
        }
        at += 8 + length + length % 2;
    }
}

/* Tag 34675 of the first directory; not of a BigTIFF. */
static void find_in_tiff(const uint8_t *b, size_t n, struct profile *p)
{
    enum { TAG = 34675, ENTRY = 12 };
    if (n < 8) return;
    uint32_t (*number)(const uint8_t *, size_t) = b[0] == 'M' ? big : little;
    size_t at = number(b + 4, 4);
    if (number(b + 2, 2) != 42 || at > n - 2) return;
    size_t count = number(b + at, 2);
    for (at += 2; count-- && at + ENTRY <= n; at += ENTRY) {
        if (number(b + at, 2) != TAG) continue;
        size_t length = number(b + at + 4, 4), where = number(b + at + 8, 4);
        if (length > 4 && where <= n && length <= n - where) take(p, b + where, length);
        return;
    }
}

/* meta / iprp / ipco / colr of type prof or rICC. */
static void find_in_boxes(const uint8_t *b, size_t n, unsigned depth, struct profile *p)
{
    static const char *const path[] = {"meta", "iprp", "ipco", "colr"};
    for (size_t at = 0; at + 8 <= n && !p->n;) {
        size_t length = big(b + at, 4), head = 8;
        if (!length) length = n - at; /* to the end */
        if (length < head || length > n - at) return;
        if (!memcmp(b + at + 4, path[depth], 4)) {
            const uint8_t *inside = b + at + head;
            size_t left = length - head;
            if (!depth && left >= 4) inside += 4, left -= 4; /* version and flags */
            if (depth + 1 < MAX_DEPTH)
                find_in_boxes(inside, left, depth + 1, p);
            else if (left > 4 && (!memcmp(inside, "prof", 4) || !memcmp(inside, "rICC", 4)))
                take(p, inside + 4, left - 4);
        }
        at += length;
    }
}

static void find(const struct eg_photo_kind *kind, const uint8_t *b, size_t n, struct profile *p)
{
    static const struct {
        const char *kind;
        void (*find)(const uint8_t *, size_t, struct profile *);
    } finders[] = {
        {"JPEG", find_in_jpeg}, {"PNG", find_in_png}, {"WebP", find_in_webp}, {"TIFF", find_in_tiff}};
    for (size_t i = 0; i < sizeof finders / sizeof *finders; i++)
        if (!strcmp(kind->name, finders[i].kind)) finders[i].find(b, n, p);
    if (!strcmp(kind->name, "AVIF") || !strcmp(kind->name, "HEIC")) find_in_boxes(b, n, 0, p);
}

/* ---- the way through it ---------------------------------------------------------------------------- */

struct colour_sink {
    struct eg_photo_sink sink; /* first: the decoder knows it by this address */
    struct eg_photo_sink *inner;
    cmsHTRANSFORM transform;
    size_t width;
    uint8_t *row;
};

static enum eg_status begin(struct eg_photo_sink *sink, const struct eg_photo_header *header,
                            struct eg_box *wanted, struct eg_error *err)
{
    struct colour_sink *c = (struct colour_sink *)sink;
    enum eg_status status = c->inner->begin(c->inner, header, wanted, err);
    if (status) return status;
    c->width = wanted->width;
    c->row = eg__zalloc(4 * c->width + EG_ROW_PADDING, 1);
    return c->row ? EG_OK : eg__fail_memory(err, "a row of a photo");
}

static void push(struct eg_photo_sink *sink, const uint8_t *rgbx)
{
    struct colour_sink *c = (struct colour_sink *)sink;
    cmsDoTransform(c->transform, rgbx, c->row, (cmsUInt32Number)c->width);
    c->inner->row(c->inner, c->row);
}

static cmsHTRANSFORM transform_of(const struct profile *p)
{
    cmsHPROFILE from = p->n >= MIN_PROFILE ? cmsOpenProfileFromMem(p->bytes, (cmsUInt32Number)p->n) : NULL;
    if (!from) return NULL;
    cmsHTRANSFORM made = NULL;
    cmsHPROFILE to = cmsGetColorSpace(from) == cmsSigRgbData ? cmsCreate_sRGBProfile() : NULL;
    if (to) made = cmsCreateTransform(from, TYPE_RGBA_8, to, TYPE_RGBA_8, INTENT_PERCEPTUAL, 0);
    if (to) cmsCloseProfile(to);
    cmsCloseProfile(from);
    return made;
}

enum eg_status eg__colour_stream(const struct eg_photo_kind *kind, const uint8_t *bytes, size_t n,
                                 struct eg_photo_sink *sink, struct eg_error *err)
{
    struct profile p = {0};
    find(kind, bytes, n, &p);
    struct colour_sink c = {.sink = *sink, .inner = sink, .transform = transform_of(&p)};
    free(p.bytes);
    if (!c.transform) return kind->decode(bytes, n, sink, err);
    c.sink.begin = begin;
    c.sink.row = push;
    enum eg_status status = kind->decode(bytes, n, &c.sink, err);
    cmsDeleteTransform(c.transform);
    free(c.row);
    return status;
}
bool eg_has_icc(void) { return true; }
#else
#include "base/fail.h"

bool eg_has_icc(void) { return false; }

enum eg_status eg__colour_stream(const struct eg_photo_kind *kind, const uint8_t *bytes, size_t n,
                                 struct eg_photo_sink *sink, struct eg_error *err)
{
    (void)kind, (void)bytes, (void)n, (void)sink;
    return eg__fail(err, EG_E_UNSUPPORTED,
                    "its recipe wants colours converted by ICC profiles (icc), and this build lacks lcms2");
}
#endif
