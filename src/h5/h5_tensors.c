/* h5_tensors.c: the part of the HDF5 file format (version 3.0) that weights files use.
 *
 *   superblock 0..3 -> object header of the root group (version 1, or 2 "OHDR")
 *   object header   =  messages: dataspace 1, datatype 3, layout 8, attribute 12, continuation 16;
 *                      of a group: symbol table 17, or a link 6 for each member
 *   symbol table    =  "TREE" nodes down to "SNOD" lists of (name in "HEAP", header address)
 *   `name`          =  an attribute; its text is in place or in a "GCOL" global heap
 *
 * Every offset is checked before it is followed, every step is counted, groups are entered once.
 * The same walk looks a file over before libhdf5 opens it (each NULL): then what is not read here
 * passes, and every message is looked into (h5_messages.c). */
#include "h5/h5_tensors.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "base/text.h"
#include "h5/h5_private.h"

enum { STEPS_MAX = 1 << 20, DEPTH_MAX = 32, GROUPS_MAX = 1 << 14 };
#define NOWHERE UINT64_MAX

enum message {
    DATASPACE = 1,
    LINK_INFO = 2,
    DATATYPE = 3,
    LINK = 6,
    EXTERNAL_FILES = 7,
    LAYOUT = 8,
    ATTRIBUTE = 12,
    CONTINUATION = 16,
    SYMBOL_TABLE = 17
};

struct scan {
    const uint8_t *bytes;
    size_t size, steps;
    const char *file;
    eg_h5_tensor_fn *each;       /* NULL: the file is only looked over */
    size_t leaf_most, node_most; /* entries of a symbol table's leaf and node; 0: not known */
    void *context;
    struct eg_text path;
    uint64_t *entered; /* header addresses of groups */
    size_t n_entered, entered_capacity;
    struct eg_error *err;
    enum eg_status status;
};

struct object {
    bool has_space, has_layout, chunked, dense, has_symbols;
    size_t rank, dims[EG_H5_MAX_RANK];
    enum eg_h5_kind kind;
    uint64_t data, data_size; /* of contiguous or compact numbers; NOWHERE: none written */
    uint64_t tree, heap;
    uint64_t *links; /* where link messages are */
    size_t n_links, links_capacity;
    const uint8_t *name; /* attribute, not terminated */
    size_t name_length;
};

/* ---- words and bounds ------------------------------------------------------------------- */

__attribute__((format(printf, 3, 4))) static bool stop(struct scan *s, enum eg_status status,
                                                       const char *format, ...)
{
    char words[400], *printable = eg__printable(s->path.chars ? s->path.chars : "");
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(words, sizeof words, format, arguments);
    va_end(arguments);
    s->status = eg__fail(s->err, status, "cannot read '%.300s': '/%.200s' %s", s->file,
                         printable ? printable : "", words);
    free(printable);
    return false;
}

static bool damaged(struct scan *s, uint64_t at)
{
    return stop(s, EG_E_FORMAT, "is damaged at byte %llu (get the file again)", (unsigned long long)at);
}

/* Past what is read here: of weights refused; else the walk ends, and all is well so far. */
static bool enough(struct scan *s, const char *words) { return s->each && stop(s, EG_E_FORMAT, "%s", words); }

static bool step(struct scan *s) { return ++s->steps < STEPS_MAX || enough(s, "has too many parts"); }

static bool inside(const struct scan *s, uint64_t at, uint64_t n)
{
    return at <= s->size && n <= s->size - at;
}

/* n bytes at `at` are there, or the file is damaged. */
static bool need(struct scan *s, uint64_t at, uint64_t n) { return inside(s, at, n) || damaged(s, at); }

static uint64_t number(const uint8_t *bytes, size_t n)
{
    uint64_t value = 0;
    for (size_t i = 0; i < n; i++) value |= (uint64_t)bytes[i] << (8 * i);
    return value;
}

static uint64_t number_at(const struct scan *s, uint64_t at, size_t n) { return number(s->bytes + at, n); }

static bool signed_as(struct scan *s, uint64_t at, const char *signature, uint64_t n)
{
    return need(s, at, n) && (!memcmp(s->bytes + at, signature, 4) || damaged(s, at));
}

/* ---- messages ------------------------------------------------------------------------------- */

static bool read_space(struct scan *s, const uint8_t *data, size_t size, struct object *o)
{
    size_t head = size && data[0] == 1 ? 8 : 4;
    uint64_t at = (uint64_t)(data - s->bytes);
    if (size < head || (data[0] != 1 && data[0] != 2)) return damaged(s, at);
    size_t rank = data[1];
    if (size < head + 8 * rank) return damaged(s, at);
    if (rank > EG_H5_MAX_RANK || (data[0] == 2 && data[3] == 2)) return true; /* no weights of ours */
    for (size_t i = 0; i < rank; i++) o->dims[i] = (size_t)number(data + head + 8 * i, 8);
    o->rank = rank;
    o->has_space = true;
    return true;
}

static enum eg_h5_kind read_type(const uint8_t *data, size_t size)
{
    /* precision, exponent's place and length, mantissa's length, bias, bytes */
    static const struct {
        enum eg_h5_kind kind;
        uint32_t bytes, exponent_at, exponent, mantissa, bias;
    } kinds[] = {
        {EG_H5_F16, 2, 10, 5, 10, 15}, {EG_H5_F32, 4, 23, 8, 23, 127}, {EG_H5_F64, 8, 52, 11, 52, 1023}};
    if (size < 20 || (data[0] & 15) != 1 || data[1] & 0x41) return EG_H5_OTHER; /* a float, little-endian */
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (number(data + 4, 4) == kinds[i].bytes && number(data + 8, 2) == 0 &&
            number(data + 10, 2) == 8 * kinds[i].bytes && data[12] == kinds[i].exponent_at &&
            data[13] == kinds[i].exponent && data[14] == 0 && data[15] == kinds[i].mantissa &&
            number(data + 16, 4) == kinds[i].bias && data[2] == 8 * kinds[i].bytes - 1)
            return kinds[i].kind;
    return EG_H5_OTHER;
}

static bool read_layout(struct scan *s, const uint8_t *data, size_t size, struct object *o)
{
    uint64_t at = (uint64_t)(data - s->bytes);
    if (size < 2) return damaged(s, at);
    o->has_layout = true;
    if (data[0] < 3 || data[0] > 4 || data[1] > 1) {
        o->chunked = true; /* or virtual, or of before 2003 */
        return true;
    }
    if (data[1] == 0) { /* compact: the numbers are here */
        if (size < 4) return damaged(s, at);
        o->data = at + 4;
        o->data_size = number(data + 2, 2);
        return o->data_size <= size - 4 || damaged(s, at);
    }
    if (size < 18) return damaged(s, at);
    o->data = number(data + 2, 8);
    o->data_size = number(data + 10, 8);
    return true;
}

/* A string of variable length: 4 bytes of length, the heap's address, 4 bytes of index. */
static bool read_heap_text(struct scan *s, const uint8_t *reference, struct object *o)
{
    uint64_t length = number(reference, 4), heap = number(reference + 4, 8),
             index = number(reference + 12, 4);
    if (!signed_as(s, heap, "GCOL", 16)) return false;
    uint64_t size = number_at(s, heap + 8, 8);
    if (!need(s, heap, size)) return false;
    for (uint64_t at = heap + 16; at + 16 <= heap + size;) {
        uint64_t found = number_at(s, at, 2), bytes = number_at(s, at + 8, 8);
        if (!step(s)) return false;
        if (!found) break; /* the free space at the end */
        if (bytes > heap + size - at - 16) return damaged(s, at);
        if (found == index) {
            o->name = s->bytes + at + 16;
            o->name_length = (size_t)(length < bytes ? length : bytes);
            return true;
        }
        at += 16 + (bytes + 7) / 8 * 8;
    }
    return damaged(s, heap);
}

/* Only the attribute `name`, and only if it is one string. */
static bool read_attribute(struct scan *s, const uint8_t *data, size_t size, struct object *o)
{
    if (size < 9 || data[0] < 1 || data[0] > 3) return true;
    size_t sizes[3], starts[3], at = data[0] == 3 ? 9 : 8;
    for (size_t i = 0; i < 3; i++) {
        sizes[i] = (size_t)number(data + 2 + 2 * i, 2);
        starts[i] = at;
        at += data[0] == 1 ? (sizes[i] + 7) / 8 * 8 : sizes[i];
    }
    if (at > size) return damaged(s, (uint64_t)(data - s->bytes));
    if (sizes[0] != 5 || memcmp(data + starts[0], "name", 5) || sizes[1] < 8) return true;
    const uint8_t *type = data + starts[1];
    size_t bytes = (size_t)number(type + 4, 4), left = size - at;
    bool variable = (type[0] & 15) == 9 && (type[1] & 15) == 1, fixed = (type[0] & 15) == 3;
    if (variable && left >= 16) return read_heap_text(s, data + at, o);
    if (fixed && bytes <= left) {
        o->name = data + at;
        o->name_length = strnlen((const char *)data + at, bytes);
    }
    return true;
}

static bool read_link_info(struct scan *s, const uint8_t *data, size_t size, struct object *o)
{
    size_t at = size > 1 && data[1] & 1 ? 10 : 2;
    if (size < at + 8) return damaged(s, (uint64_t)(data - s->bytes));
    if (number(data + at, 8) != NOWHERE) o->dense = true;
    return true;
}

static bool on_message(struct scan *s, unsigned type, unsigned flags, const uint8_t *data, size_t size,
                       struct object *o)
{
    if (flags & 2) return true; /* shared: a named type or such, of no weights */
    if (!s->each) {
        if (!eg__h5_message_fits(type, data, size)) return damaged(s, (uint64_t)(data - s->bytes));
        if (type == EXTERNAL_FILES || type == ATTRIBUTE) return true;
    }
    switch (type) {
    case DATASPACE: return read_space(s, data, size, o);
    case DATATYPE: o->kind = read_type(data, size); return true;
    case LAYOUT: return read_layout(s, data, size, o);
    case ATTRIBUTE: return read_attribute(s, data, size, o);
    case LINK_INFO: return read_link_info(s, data, size, o);
    case EXTERNAL_FILES: return stop(s, EG_E_FORMAT, "keeps its data outside the file, which is refused");
    case LINK:
        if (!eg__grow(&o->links, &o->links_capacity, o->n_links + 1, sizeof *o->links)) {
            s->status = eg__fail_memory(s->err, "a list of members");
            return false;
        }
        o->links[o->n_links++] = (uint64_t)(data - s->bytes);
        return true;
    case SYMBOL_TABLE:
        if (size < 16) return damaged(s, (uint64_t)(data - s->bytes));
        o->has_symbols = true;
        o->tree = number(data, 8);
        o->heap = number(data + 8, 8);
        return true;
    }
    return true;
}

/* ---- object headers --------------------------------------------------------------------------- */

struct block {
    uint64_t at, end; /* of messages */
};

/* The messages of a block; continuations are put behind it in blocks[*n]. */
static bool read_block(struct scan *s, struct block block, unsigned version, unsigned header_flags,
                       struct object *o, struct block **blocks, size_t *n, size_t *capacity)
{
    size_t head = version == 1 ? 8 : header_flags & 4 ? 6 : 4;
    while (block.at + head <= block.end) {
        const uint8_t *message = s->bytes + block.at;
        unsigned type = (unsigned)(version == 1 ? number(message, 2) : message[0]);
        size_t size = (size_t)number(message + (version == 1 ? 2 : 1), 2);
        unsigned flags = message[version == 1 ? 4 : 3];
        if (!step(s)) return false;
        if (size > block.end - block.at - head) return damaged(s, block.at);
        const uint8_t *data = message + head;
        if (type == CONTINUATION) {
            if (size < 16) return damaged(s, block.at);
            struct block next = {number(data, 8), number(data + 8, 8)};
            if (!need(s, next.at, next.end)) return false;
            next.end += next.at;
            if (version == 2) {
                if (!signed_as(s, next.at, "OCHK", 8) || next.end - next.at < 8) return damaged(s, next.at);
                next.at += 4;
                next.end -= 4;
            }
            if (!eg__grow(blocks, capacity, *n + 1, sizeof **blocks)) {
                s->status = eg__fail_memory(s->err, "an object's parts");
                return false;
            }
            (*blocks)[(*n)++] = next;
        } else if (!on_message(s, type, flags, data, size, o)) {
            return false;
        }
        block.at += head + size;
    }
    return true;
}

/* Where the first block of messages is. */
static bool read_prefix(struct scan *s, uint64_t at, struct block *block, unsigned *version, unsigned *flags)
{
    if (!need(s, at, 16)) return false;
    const uint8_t *header = s->bytes + at;
    *flags = 0;
    if (header[0] == 1) {
        *version = 1;
        *block = (struct block){at + 16, number(header + 8, 4)};
    } else {
        if (memcmp(header, "OHDR\2", 5)) return damaged(s, at);
        *version = 2;
        *flags = header[5];
        size_t width = (size_t)1 << (*flags & 3),
               start = 6u + (*flags & 0x20 ? 16u : 0) + (*flags & 0x10 ? 4u : 0);
        if (!need(s, at, start + width)) return false;
        *block = (struct block){at + start + width, number(header + start, width)};
    }
    if (!need(s, block->at, block->end)) return false;
    block->end += block->at;
    return true;
}

static bool read_object(struct scan *s, uint64_t at, struct object *o)
{
    struct block first = {0}, *blocks = NULL;
    unsigned version = 0, flags = 0;
    size_t n = 0, capacity = 0;
    if (!read_prefix(s, at, &first, &version, &flags)) return false;
    bool good = read_block(s, first, version, flags, o, &blocks, &n, &capacity);
    for (size_t i = 0; good && i < n; i++)
        good = read_block(s, blocks[i], version, flags, o, &blocks, &n, &capacity);
    free(blocks);
    return good;
}

/* ---- datasets and groups -------------------------------------------------------------------------- */

static bool give(struct scan *s, const struct object *o, const char *name)
{
    if (!s->each) return true;
    struct eg_h5_tensor tensor = {.path = s->path.chars, .name = name, .kind = o->kind, .rank = o->rank};
    size_t bytes = o->kind == EG_H5_F64 ? 8 : o->kind == EG_H5_F32 ? 4 : 2;
    if (o->chunked)
        return stop(s, EG_E_UNSUPPORTED,
                    "is in chunks, which is not read of weights (repack it: h5repack -l CONTI)");
    for (size_t i = 0; i < o->rank; i++) {
        tensor.dims[i] = o->dims[i];
        if (!eg__mul(bytes, o->dims[i], &bytes)) return stop(s, EG_E_FORMAT, "is too large to be true");
    }
    if (!bytes) return true;
    if (o->data == NOWHERE) return stop(s, EG_E_FORMAT, "has no numbers");
    if (bytes > o->data_size || !inside(s, o->data, bytes)) return damaged(s, o->data);
    tensor.bytes = s->bytes + o->data;
    s->status = s->each(s->context, &tensor, s->err);
    return !s->status;
}

static bool visit(struct scan *s, uint64_t at, const char *name, unsigned depth);

static bool visit_member(struct scan *s, uint64_t at, const char *member, size_t length, const char *name,
                         unsigned depth)
{
    size_t before = s->path.length;
    eg__text_append(&s->path, before ? "/" : "");
    eg__text_append_bytes(&s->path, member, length);
    if (s->path.failed) {
        s->status = eg__fail_memory(s->err, "the names of weights");
        return false;
    }
    bool good = depth >= DEPTH_MAX ? enough(s, "lies too deep") : visit(s, at, name, depth + 1);
    s->path.length = before;
    s->path.chars[before] = '\0';
    return good;
}

/* A string of a heap's data has its NUL there. */
static bool ends_inside(const struct scan *s, uint64_t heap, uint64_t heap_size, uint64_t offset)
{
    return offset < heap_size && memchr(s->bytes + heap + offset, 0, (size_t)(heap_size - offset));
}

/* A leaf of a symbol table: names lie in the heap's data, [heap, heap + heap_size). */
static bool visit_symbols(struct scan *s, uint64_t at, uint64_t heap, uint64_t heap_size, const char *name,
                          unsigned depth)
{
    enum { ENTRY = 40, SOFT = 2 };
    if (!signed_as(s, at, "SNOD", 8)) return false;
    uint64_t n = number_at(s, at + 6, 2);
    if (s->leaf_most && n > s->leaf_most) return damaged(s, at);
    if (!need(s, at + 8, n * ENTRY)) return false;
    for (uint64_t i = 0; i < n; i++) {
        const uint8_t *entry = s->bytes + at + 8 + i * ENTRY;
        uint64_t offset = number(entry, 8), header = number(entry + 8, 8);
        if (!step(s)) return false;
        if (!s->each && !ends_inside(s, heap, heap_size, offset)) return damaged(s, at);
        if (number(entry + 16, 4) == SOFT) {
            if (!s->each && !ends_inside(s, heap, heap_size, number(entry + 24, 4))) return damaged(s, at);
            continue;
        }
        if (offset >= heap_size) return damaged(s, at);
        const char *member = (const char *)s->bytes + heap + offset;
        size_t length = strnlen(member, (size_t)(heap_size - offset));
        if (!visit_member(s, header, member, length, name, depth)) return false;
    }
    return true;
}

static bool visit_tree(struct scan *s, uint64_t at, unsigned above, uint64_t heap, uint64_t heap_size,
                       const char *name, unsigned depth)
{
    if (!step(s) || !signed_as(s, at, "TREE", 24)) return false;
    unsigned level = s->bytes[at + 5];
    uint64_t n = number_at(s, at + 6, 2);
    if (s->bytes[at + 4] || level >= above || (s->node_most && n > s->node_most)) return damaged(s, at);
    if (!need(s, at + 24, 8 + 16 * n)) return false;
    for (uint64_t i = 0; i < n; i++) {
        uint64_t child = number_at(s, at + 24 + 8 + 16 * i, 8);
        if (!step(s)) return false;
        if (!(level ? visit_tree(s, child, level, heap, heap_size, name, depth)
                    : visit_symbols(s, child, heap, heap_size, name, depth)))
            return false;
    }
    return true;
}

/* Free blocks of a heap: where the next one is, and how long this one is; 1: no more. */
static bool free_list_fits(struct scan *s, uint64_t data, uint64_t size, uint64_t at)
{
    for (size_t blocks = 0; at != 1 && at != NOWHERE; blocks++) {
        if (size < 16 || at > size - 16 || blocks > size / 16) return false;
        uint64_t next = number_at(s, data + at, 8), bytes = number_at(s, data + at + 8, 8);
        if (bytes < 16 || bytes > size - at) return false;
        at = next;
    }
    return true;
}

static bool visit_table(struct scan *s, const struct object *o, const char *name, unsigned depth)
{
    enum { LEVELS_MAX = 16 };
    if (o->tree == NOWHERE && s->each) return true;
    if (!signed_as(s, o->heap, "HEAP", 32)) return false;
    uint64_t size = number_at(s, o->heap + 8, 8), data = number_at(s, o->heap + 24, 8);
    if (!need(s, data, size)) return false;
    if (!s->each && !free_list_fits(s, data, size, number_at(s, o->heap + 16, 8))) return damaged(s, o->heap);
    return o->tree == NOWHERE || visit_tree(s, o->tree, LEVELS_MAX, data, size, name, depth);
}

/* A link message: version 1, flags, [type], [order], [charset], length of name, name, target. */
static bool visit_link(struct scan *s, uint64_t at, const char *name, unsigned depth)
{
    enum { HARD = 0, SOFT = 1 };
    if (!need(s, at, 2)) return false;
    unsigned flags = s->bytes[at + 1], type = HARD;
    uint64_t from = at + 2;
    size_t width = (size_t)1 << (flags & 3);
    if (s->bytes[at] != 1 || !need(s, from, 1 + 8 + 1 + width)) return damaged(s, at);
    if (flags & 8) type = s->bytes[from++];
    if (flags & 4) from += 8;
    if (flags & 16) from++;
    uint64_t length = number_at(s, from, width);
    from += width;
    if (!need(s, from, length)) return false;
    if (type == SOFT || (!s->each && type != HARD)) return true;
    if (type != HARD)
        return stop(s, EG_E_FORMAT,
                    "has a member '%.*s' that is a link to outside the file, which is refused",
                    length < 100 ? (int)length : 100, (const char *)s->bytes + from);
    if (!need(s, from + length, 8)) return false;
    return visit_member(s, number_at(s, from + length, 8), (const char *)s->bytes + from,
                        strnlen((const char *)s->bytes + from, (size_t)length), name, depth);
}

static bool enter_group(struct scan *s, uint64_t at, bool *again)
{
    for (size_t i = 0; i < s->n_entered; i++)
        if (s->entered[i] == at) {
            *again = true;
            return true;
        }
    *again = false;
    if (s->n_entered >= GROUPS_MAX) return enough(s, "is one group too many");
    if (!eg__grow(&s->entered, &s->entered_capacity, s->n_entered + 1, sizeof *s->entered)) {
        s->status = eg__fail_memory(s->err, "a list of groups");
        return false;
    }
    s->entered[s->n_entered++] = at;
    return true;
}

static bool visit_group(struct scan *s, uint64_t at, const struct object *o, unsigned depth)
{
    bool again;
    if (!enter_group(s, at, &again)) return false;
    if (again) return true;
    if (o->dense && !s->each) return true;
    if (o->dense)
        return stop(s, EG_E_UNSUPPORTED,
                    "is a group of a kind that is not read of weights (repack it: h5repack)");
    char *name = o->name ? strndup((const char *)o->name, o->name_length < 200 ? o->name_length : 200) : NULL;
    bool good = !o->has_symbols || visit_table(s, o, name, depth);
    for (size_t i = 0; good && i < o->n_links; i++) good = step(s) && visit_link(s, o->links[i], name, depth);
    free(name);
    return good;
}

/* The object whose header is at `at`; name: of the group it was found in. */
static bool visit(struct scan *s, uint64_t at, const char *name, unsigned depth)
{
    struct object o = {.data = NOWHERE};
    bool good = step(s) && read_object(s, at, &o);
    if (good && o.has_layout)
        good = o.kind == EG_H5_OTHER || !o.has_space || give(s, &o, name);
    else if (good)
        good = visit_group(s, at, &o, depth);
    free(o.links);
    return good;
}

/* The root group's header; sizes of offsets and lengths must be 8, as h5py writes them. */
static bool find_root(struct scan *s, uint64_t *root)
{
    static const uint8_t signature[] = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'};
    if (s->size < 96 || memcmp(s->bytes, signature, sizeof signature)) return s->each && damaged(s, 0);
    unsigned version = s->bytes[8];
    const uint8_t *widths = s->bytes + (version < 2 ? 13 : 9);
    uint64_t base = number_at(s, version < 2 ? 24 + 4 * version : 12, 8);
    if (version > 3 || widths[0] != 8 || widths[1] != 8 || (base && s->each))
        return stop(s, EG_E_UNSUPPORTED, "is HDF5 of a kind that is not read here (repack it: h5repack)");
    if (version < 2) {
        s->leaf_most = 2 * (size_t)number_at(s, 16, 2);
        s->node_most = 2 * (size_t)number_at(s, 18, 2);
    }
    *root = number_at(s, version < 2 ? 64 + 4 * version : 36, 8);
    return true;
}

enum eg_status eg__h5_tensors(const void *image, size_t size, const char *path, eg_h5_tensor_fn *each,
                              void *context, struct eg_error *err)
{
    struct scan s = {
        .bytes = image, .size = size, .file = path, .each = each, .context = context, .err = err};
    uint64_t root = 0;
    eg__text_append_bytes(&s.path, "", 0);
    if (s.path.failed)
        s.status = eg__fail_memory(err, "the names of weights");
    else if (find_root(&s, &root))
        visit(&s, root, NULL, 0);
    free(s.path.chars);
    free(s.entered);
    return s.status;
}

/* The superblock may come behind another program's block of 512 bytes, 1024, 2048, ..., and
 * addresses count from it. */
enum eg_status eg__h5_look_over(const void *image, size_t size, const char *path, struct eg_error *err)
{
    const uint8_t *bytes = image;
    for (size_t at = 0; at < size && size - at >= 8; at = at ? 2 * at : 512)
        if (!memcmp(bytes + at, "\x89HDF", 4))
            return eg__h5_tensors(bytes + at, size - at, path, NULL, NULL, err);
    return EG_OK; /* none: libhdf5 says so */
}
