/* Do the messages of an object header hold what they say? libhdf5 1.10 believes the lengths and
 * counts inside them and reads on past their end; so a file is looked over before it is opened
 * (eg__h5_look_over). Only what is surely damaged is refused: kinds and versions that are not
 * known here pass. Source: HDF5 File Format Specification 3.0, IV.A.2. */
#include <string.h>

#include "base/mem.h"
#include "h5/h5_private.h"

enum { RANK_MAX = 32, NESTED_MAX = 32, FILTERS_MAX = 32 };

struct bytes {
    const uint8_t *at, *end;
};

static size_t left(const struct bytes *b) { return (size_t)(b->end - b->at); }

static bool skip(struct bytes *b, uint64_t n)
{
    if (n > left(b)) return false;
    b->at += n;
    return true;
}

static bool take(struct bytes *b, size_t n, uint64_t *value)
{
    if (n > left(b)) return false;
    *value = 0;
    for (size_t i = 0; i < n; i++) *value |= (uint64_t)b->at[i] << (8 * i);
    b->at += n;
    return true;
}

/* A string and its NUL, then up to a multiple of `pad` bytes. */
static bool skip_text(struct bytes *b, size_t pad)
{
    const uint8_t *end = memchr(b->at, 0, left(b));
    return end && skip(b, ((size_t)(end - b->at) + 1 + pad - 1) / pad * pad);
}

/* ---- datatypes, which hold others --------------------------------------------------------- */

static bool type_fits(struct bytes *b, unsigned depth, uint64_t *size);

static bool compound_fits(struct bytes *b, unsigned version, uint64_t n, uint64_t size, unsigned depth)
{
    size_t width = 4;
    if (version >= 3)
        for (width = 1; width < 4 && size >> (8 * width);) width++;
    for (uint64_t i = 0; i < n; i++) {
        uint64_t offset, bytes;
        if (!skip_text(b, version >= 3 ? 1 : 8) || !take(b, width, &offset)) return false;
        if (version == 1 && !skip(b, 28)) return false;
        if (!type_fits(b, depth, &bytes)) return false;
        if (version != 1 && (offset > size || bytes > size - offset)) return false; /* 1: times its array */
    }
    return true;
}

static bool enum_fits(struct bytes *b, unsigned version, uint64_t n, unsigned depth)
{
    uint64_t bytes, all;
    if (!type_fits(b, depth, &bytes)) return false;
    for (uint64_t i = 0; i < n; i++)
        if (!skip_text(b, version >= 3 ? 1 : 8)) return false;
    return !__builtin_mul_overflow(n, bytes, &all) && skip(b, all);
}

static bool array_fits(struct bytes *b, unsigned version, unsigned depth)
{
    uint64_t rank, bytes;
    return take(b, 1, &rank) && rank <= RANK_MAX && (version >= 3 || skip(b, 3)) &&
           skip(b, (version >= 3 ? 4 : 8) * rank) && type_fits(b, depth, &bytes);
}

static bool type_fits(struct bytes *b, unsigned depth, uint64_t *size)
{
    enum { FIXED, FLOAT, TIME, STRING, BITS, OPAQUE, COMPOUND, REFERENCE, ENUM, VARIABLE, ARRAY };
    uint64_t kind, flags, base;
    if (depth >= NESTED_MAX || !take(b, 1, &kind) || !take(b, 3, &flags) || !take(b, 4, size)) return false;
    unsigned version = (unsigned)kind >> 4;
    switch (kind & 15) {
    case FIXED:
    case BITS: return skip(b, 4);
    case FLOAT: return skip(b, 12);
    case TIME: return skip(b, 2);
    case OPAQUE: return skip(b, flags & 0xff);
    case COMPOUND: return compound_fits(b, version, flags & 0xffff, *size, depth + 1);
    case ENUM: return enum_fits(b, version, flags & 0xffff, depth + 1);
    case VARIABLE: return type_fits(b, depth + 1, &base);
    case ARRAY: return array_fits(b, version, depth + 1);
    default: return true;
    }
}

/* ---- the other messages ---------------------------------------------------------------------- */

/* count: of elements; UINT64_MAX: not known here. */
static bool space_fits(struct bytes b, uint64_t *count)
{
    uint64_t version, rank, flags, kind = 1;
    if (!take(&b, 1, &version) || !take(&b, 1, &rank) || !take(&b, 1, &flags)) return false;
    *count = UINT64_MAX;
    if (version < 1 || version > 2) return true;
    if (rank > RANK_MAX || !take(&b, 1, &kind) || (version == 1 && !skip(&b, 4))) return false;
    if (left(&b) < 8 * rank * (1 + (flags & 1))) return false;
    *count = version == 2 && kind == 2 ? 0 : 1;
    for (uint64_t i = 0, dim; i < rank; i++)
        if (!take(&b, 8, &dim) || __builtin_mul_overflow(*count, dim, count)) return false;
    return true;
}

static bool attribute_fits(struct bytes b)
{
    uint64_t version, flags, sizes[3], count = UINT64_MAX, bytes = 0, all;
    if (!take(&b, 1, &version) || !take(&b, 1, &flags)) return false;
    if (version < 1 || version > 3) return true;
    for (int i = 0; i < 3; i++)
        if (!take(&b, 2, &sizes[i])) return false;
    if (version == 3 && !skip(&b, 1)) return false;
    if (version == 1) flags = 0;
    struct bytes part[3];
    for (int i = 0; i < 3; i++) {
        part[i] = (struct bytes){b.at, b.at};
        if (sizes[i] > left(&b)) return false;
        part[i].end += sizes[i];
        if (!skip(&b, version == 1 ? (sizes[i] + 7) / 8 * 8 : sizes[i])) return false;
    }
    if (!memchr(part[0].at, 0, left(&part[0]))) return false;
    if (!(flags & 1) && !type_fits(&part[1], 0, &bytes)) return false;
    if (!(flags & 2) && !space_fits(part[2], &count)) return false;
    if (flags & 3 || count == UINT64_MAX) return true;
    return !__builtin_mul_overflow(count, bytes, &all) && all <= left(&b);
}

static bool filters_fit(struct bytes b)
{
    uint64_t version, n;
    if (!take(&b, 1, &version) || !take(&b, 1, &n)) return false;
    if (version < 1 || version > 2) return true;
    if (n > FILTERS_MAX || (version == 1 && !skip(&b, 6))) return false;
    for (uint64_t i = 0; i < n; i++) {
        uint64_t id, name = 0, n_values;
        if (!take(&b, 2, &id) || ((version == 1 || id >= 256) && !take(&b, 2, &name)) || !skip(&b, 2) ||
            !take(&b, 2, &n_values))
            return false;
        if (version == 1) name = (name + 7) / 8 * 8;
        if (name > left(&b) || (name && !memchr(b.at, 0, (size_t)name)) || !skip(&b, name)) return false;
        if (!skip(&b, 4 * (n_values + (version == 1 ? n_values & 1 : 0)))) return false;
    }
    return true;
}

static bool fill_fits(struct bytes b, bool old)
{
    uint64_t version = 0, flags, defined = 1, size;
    if (!old) {
        if (!take(&b, 1, &version)) return false;
        if (version < 1 || version > 3) return true;
        if (version == 3) {
            if (!take(&b, 1, &flags)) return false;
            defined = flags & 0x20;
        } else if (!skip(&b, 2) || !take(&b, 1, &defined)) {
            return false;
        }
        if (version == 1) defined = 1;
    }
    return !defined || (take(&b, 4, &size) && (size > INT32_MAX || size <= left(&b))); /* negative: none */
}

static bool layout_fits(struct bytes b)
{
    enum { COMPACT, CONTIGUOUS, CHUNKED };
    uint64_t version, kind, rank, size;
    if (!take(&b, 1, &version) || !take(&b, 1, &kind)) return false;
    if (version == 1 || version == 2) {
        rank = kind;
        if (!take(&b, 1, &kind) || !skip(&b, 5) || (kind != COMPACT && !skip(&b, 8))) return false;
        if (rank > RANK_MAX + 1 || !skip(&b, 4 * rank)) return false;
        return kind != COMPACT || (take(&b, 4, &size) && size <= left(&b));
    }
    if (version != 3) return true;
    switch (kind) {
    case COMPACT: return take(&b, 2, &size) && size <= left(&b);
    case CONTIGUOUS: return left(&b) >= 16;
    case CHUNKED:
        if (!take(&b, 1, &rank) || rank < 1 || rank > RANK_MAX + 1 || !skip(&b, 8)) return false;
        for (uint64_t i = 0; i < rank; i++)
            if (!take(&b, 4, &size) || !size) return false;
        return true;
    default: return true;
    }
}

static bool external_fits(struct bytes b)
{
    uint64_t allocated, used;
    return skip(&b, 4) && take(&b, 2, &allocated) && take(&b, 2, &used) && used <= allocated &&
           left(&b) >= 8 + 24 * used;
}

bool eg__h5_message_fits(unsigned type, const uint8_t *data, size_t size)
{
    enum { SPACE = 1, LINKS = 2, TYPE = 3, OLD_FILL = 4, FILL = 5, EXTERNAL = 7, LAYOUT = 8, GROUP = 10 };
    enum { FILTERS = 11, ATTRIBUTE = 12, COMMENT = 13, OLD_TIME = 14, TIME = 18, B_TREE = 19, DRIVER = 20 };
    enum { ATTRIBUTES = 21, REFERENCES = 22 };
    struct bytes b = {data, data + size};
    uint64_t value;
    unsigned flags = size > 1 ? data[1] : 0;
    switch (type) {
    case SPACE: return space_fits(b, &value);
    case LINKS: return size >= 18 + (flags & 1 ? 8u : 0) + (flags & 2 ? 8u : 0);
    case TYPE: return type_fits(&b, 0, &value);
    case OLD_FILL:
    case FILL: return fill_fits(b, type == OLD_FILL);
    case EXTERNAL: return external_fits(b);
    case LAYOUT: return layout_fits(b);
    case GROUP: return size >= 2 + (flags & 1 ? 4u : 0) + (flags & 2 ? 4u : 0);
    case FILTERS: return filters_fit(b);
    case ATTRIBUTE: return attribute_fits(b);
    case COMMENT: return memchr(data, 0, size);
    case OLD_TIME: return size >= 14;
    case TIME: return size >= 8;
    case B_TREE: return size >= 7;
    case DRIVER: return size >= 11 && size - 11 >= ((size_t)data[9] | (size_t)data[10] << 8);
    case ATTRIBUTES: return size >= 18 + (flags & 1 ? 2u : 0) + (flags & 2 ? 8u : 0);
    case REFERENCES: return size >= 5;
    default: return true;
    }
}
