/* zip_map.c: a zip file's directory, read in the mapping (PKWARE APPNOTE 4.3, 4.5.3).
 *
 *   local header, name, extra, DATA | ... | central directory: one record an entry |
 *   [zip64 end record, its locator] | end record, comment
 *
 * libzip gives an entry's bytes only by copying them; weights stay where they are. */
#include "base/zip_map.h"

#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"

enum { END_SIZE = 22, END64_SIZE = 56, LOCATOR_SIZE = 20, CENTRAL_SIZE = 46, LOCAL_SIZE = 30, UNIX = 3 };

static uint64_t number(const uint8_t *bytes, size_t n)
{
    uint64_t value = 0;
    for (size_t i = 0; i < n; i++) value |= (uint64_t)bytes[i] << (8 * i);
    return value;
}

/* The end record: from the back, over a comment of at most 65,535 bytes. */
static const uint8_t *find_end(const uint8_t *bytes, size_t size)
{
    for (size_t back = END_SIZE; back <= size && back <= END_SIZE + 65535; back++)
        if (!memcmp(bytes + size - back, "PK\5\6", 4)) return bytes + size - back;
    return NULL;
}

/* Where the central directory lies, by the end record or, past 4 GiB, the zip64 one. */
static bool find_directory(const uint8_t *bytes, size_t size, uint64_t *offset, uint64_t *length,
                           uint64_t *count)
{
    const uint8_t *end = find_end(bytes, size);
    if (!end) return false;
    *count = number(end + 10, 2);
    *length = number(end + 12, 4);
    *offset = number(end + 16, 4);
    if (end - bytes >= LOCATOR_SIZE && !memcmp(end - LOCATOR_SIZE, "PK\6\7", 4)) {
        uint64_t at = number(end - LOCATOR_SIZE + 8, 8);
        if (at > size || size - at < END64_SIZE || memcmp(bytes + at, "PK\6\6", 4)) return false;
        *count = number(bytes + at + 32, 8);
        *length = number(bytes + at + 40, 8);
        *offset = number(bytes + at + 48, 8);
    }
    return *offset <= size && *length <= size - *offset && *count <= *length / CENTRAL_SIZE;
}

/* Sizes and offset that did not fit 32 bits are in the extra field, in this order. */
static bool read_zip64(const uint8_t *extra, size_t length, uint64_t *size, uint64_t *packed,
                       uint64_t *offset)
{
    while (length >= 4) {
        size_t id = (size_t)number(extra, 2), n = (size_t)number(extra + 2, 2);
        if (n > length - 4) return false;
        if (id == 1) {
            const uint8_t *at = extra + 4;
            uint64_t *fields[] = {size, packed, offset};
            for (size_t i = 0; i < 3; i++) {
                if (*fields[i] != UINT32_MAX) continue;
                if (n < 8) return false;
                *fields[i] = number(at, 8);
                at += 8;
                n -= 8;
            }
            return true;
        }
        extra += 4 + n;
        length -= 4 + n;
    }
    return true;
}

/* The entry whose central record is at `record`; *length: of the record. */
static bool read_entry(const uint8_t *bytes, size_t size, const uint8_t *record, size_t room, size_t *length,
                       struct eg_zip_entry *entry)
{
    if (room < CENTRAL_SIZE || memcmp(record, "PK\1\2", 4)) return false;
    size_t name_length = (size_t)number(record + 28, 2), extra_length = (size_t)number(record + 30, 2);
    *length = CENTRAL_SIZE + name_length + extra_length + (size_t)number(record + 32, 2);
    if (*length > room) return false;
    uint64_t packed = number(record + 20, 4), unpacked = number(record + 24, 4),
             offset = number(record + 42, 4);
    if (!read_zip64(record + CENTRAL_SIZE + name_length, extra_length, &unpacked, &packed, &offset))
        return false;
    if (offset > size || size - offset < LOCAL_SIZE || memcmp(bytes + offset, "PK\3\4", 4)) return false;
    uint64_t data = offset + LOCAL_SIZE + number(bytes + offset + 26, 2) + number(bytes + offset + 28, 2);
    if (data > size || packed > size - data) return false;
    bool encrypted = number(record + 8, 2) & 1, stored = !number(record + 10, 2) && !encrypted;
    if (stored && packed != unpacked) return false;
    *entry = (struct eg_zip_entry){.name = (const char *)record + CENTRAL_SIZE,
                                   .name_length = name_length,
                                   .bytes = bytes + data,
                                   .size = (size_t)packed,
                                   .stored = stored,
                                   .encrypted = encrypted,
                                   .method = (unsigned)number(record + 10, 2),
                                   .unpacked_size = unpacked,
                                   .crc = (uint32_t)number(record + 16, 4),
                                   .unix_mode = record[5] == UNIX ? (unsigned)number(record + 40, 2) : 0};
    return true;
}

static int compare(const char *a, size_t a_length, const char *b, size_t b_length)
{
    int order = memcmp(a, b, a_length < b_length ? a_length : b_length);
    return order ? order : (a_length > b_length) - (a_length < b_length);
}

static int compare_entries(const void *a, const void *b)
{
    const struct eg_zip_entry *x = a, *y = b;
    return compare(x->name, x->name_length, y->name, y->name_length);
}

enum eg_status eg__zip_open(const uint8_t *bytes, size_t size, struct eg_zip *zip, struct eg_error *err)
{
    uint64_t offset, length, count;
    if (!find_directory(bytes, size, &offset, &length, &count))
        return eg__fail(err, EG_E_FORMAT, "zip file has no directory: it is truncated (get it again)");
    struct eg_zip made = {eg__zalloc((size_t)count, sizeof *made.entries), (size_t)count};
    if (!made.entries) return eg__fail_memory(err, "a zip directory");
    size_t at = (size_t)offset, end = (size_t)(offset + length), used;
    for (size_t i = 0; i < made.n_entries; i++) {
        if (!read_entry(bytes, size, bytes + at, end - at, &used, &made.entries[i])) {
            eg__zip_release(&made);
            return eg__fail(err, EG_E_FORMAT, "zip file's directory is damaged at byte %zu (get it again)",
                            at);
        }
        at += used;
    }
    qsort(made.entries, made.n_entries, sizeof *made.entries, compare_entries);
    *zip = made;
    return EG_OK;
}

void eg__zip_release(struct eg_zip *zip)
{
    free(zip->entries);
    *zip = (struct eg_zip){0};
}

const struct eg_zip_entry *eg__zip_find(const struct eg_zip *zip, const char *name, size_t name_length)
{
    struct eg_zip_entry key = {.name = name, .name_length = name_length};
    return zip->n_entries ? bsearch(&key, zip->entries, zip->n_entries, sizeof *zip->entries, compare_entries)
                          : NULL;
}
