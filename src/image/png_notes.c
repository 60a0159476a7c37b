/* png_notes.c: eXIf; XMP in iTXt; EXIF as ImageMagick writes it: text "Raw profile type exif" of
 * a name, a length and hexadecimal digits.
 *   tEXt  keyword NUL text
 *   zTXt  keyword NUL 0 deflated
 *   iTXt  keyword NUL is_deflated 0 language NUL translated keyword NUL text */
#include "image/png_notes.h"

#include <stdlib.h>
#include <string.h>

#include <zlib.h>

enum { MAX_TEXT_BYTES = 1 << 20 }; /* as Pillow's limit */

struct text {
    const uint8_t *bytes;
    size_t n;
};

static bool skip_past_nul(struct text *text)
{
    const uint8_t *end = memchr(text->bytes, 0, text->n);
    if (!end) return false;
    text->n -= (size_t)(end + 1 - text->bytes);
    text->bytes = end + 1;
    return true;
}

/* The text of a chunk of this keyword; *deflated: still to be unpacked. */
static bool find_text(const uint8_t *chunk, size_t length, const char *keyword, struct text *text,
                      bool *deflated)
{
    const uint8_t *kind = chunk + 4;
    *text = (struct text){chunk + 8, length};
    size_t n = strlen(keyword) + 1;
    if (length < n || memcmp(text->bytes, keyword, n)) return false;
    text->bytes += n;
    text->n -= n;
    *deflated = false;
    if (!memcmp(kind, "tEXt", 4)) return true;
    size_t flags = !memcmp(kind, "iTXt", 4) ? 2 : 1;
    if (text->n < flags) return false;
    *deflated = flags == 1 || text->bytes[0];
    text->bytes += flags;
    text->n -= flags;
    return flags == 1 || (skip_past_nul(text) && skip_past_nul(text));
}

/* A copy, unpacked; NULL: it cannot be, or is longer than MAX_TEXT_BYTES. */
static uint8_t *copy_text(struct text *text, bool deflated)
{
    uint8_t *made = NULL;
    if (!deflated) {
        if (text->n <= MAX_TEXT_BYTES && (made = malloc(text->n + 1))) memcpy(made, text->bytes, text->n);
        return made;
    }
    for (size_t room = 1 << 14; room <= MAX_TEXT_BYTES; room *= 4) {
        free(made);
        if (!(made = malloc(room))) return NULL;
        uLongf got = room;
        int code = uncompress(made, &got, text->bytes, text->n);
        if (code == Z_OK) {
            text->n = got;
            return made;
        }
        if (code != Z_BUF_ERROR) break;
    }
    free(made);
    return NULL;
}

/* The digits behind the third line's end, in place; how many bytes they are. */
static size_t read_digits(uint8_t *text, size_t n)
{
    size_t lines = 0, at = 0, n_digits = 0;
    while (at < n && lines < 3) lines += text[at++] == '\n';
    for (; at < n; at++) {
        uint8_t c = text[at];
        unsigned value = 16;
        if (c >= '0' && c <= '9') value = c - (unsigned)'0';
        if ((c | 32) >= 'a' && (c | 32) <= 'f') value = (unsigned)(c | 32) - (unsigned)'a' + 10;
        if (value > 15) continue;
        /* the digit lies behind the byte that it makes */
        text[n_digits / 2] = (uint8_t)(n_digits % 2 ? (unsigned)text[n_digits / 2] << 4 | value : value);
        n_digits++;
    }
    return n_digits / 2;
}

static void take_text(const uint8_t *chunk, size_t length, struct eg_png_notes *out)
{
    struct text text;
    bool deflated;
    if (!out->xmp && find_text(chunk, length, "XML:com.adobe.xmp", &text, &deflated)) {
        out->xmp = copy_text(&text, deflated);
        if (out->xmp) out->notes.n_xmp = text.n;
        out->notes.xmp = out->xmp;
    } else if (!out->profile && find_text(chunk, length, "Raw profile type exif", &text, &deflated)) {
        out->profile = copy_text(&text, deflated);
        if (out->profile && !out->notes.exif) {
            out->notes.n_exif = read_digits(out->profile, text.n);
            out->notes.exif = out->profile;
        }
    }
}

bool eg__png_notes(const uint8_t *bytes, size_t n, bool texts, struct eg_png_notes *out)
{
    size_t at = 8;
    bool has_chunk = false; /* an eXIf chunk goes before a profile as text */
    while (n - at >= 12) {
        const uint8_t *chunk = bytes + at, *kind = chunk + 4;
        size_t length = (size_t)chunk[0] << 24 | (size_t)chunk[1] << 16 | (size_t)chunk[2] << 8 | chunk[3];
        if (length > n - at - 12) return false;
        if (!memcmp(kind, "IEND", 4)) return true;
        if (!memcmp(kind, "eXIf", 4) && !has_chunk) {
            out->notes.exif = chunk + 8;
            out->notes.n_exif = length;
            has_chunk = true;
        } else if (texts &&
                   (!memcmp(kind, "tEXt", 4) || !memcmp(kind, "zTXt", 4) || !memcmp(kind, "iTXt", 4))) {
            take_text(chunk, length, out);
        }
        at += 12 + length;
    }
    return false;
}
