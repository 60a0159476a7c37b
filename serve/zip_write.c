/* zip_write.c: local header, bytes, ..., central directory (PKWARE's APPNOTE 6.3.9). Sizes and checksum are
 * put into the local header when the bytes are written; all entries have zip64 fields, so that one way is
 * enough. */
#include "serve/zip_write.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

enum { VERSION = 45, UTF8 = 1 << 11, LOCAL = 30, CENTRAL = 46, LOCAL_EXTRA = 20, CENTRAL_EXTRA = 28 };

static void put(unsigned char *to, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++) to[i] = (unsigned char)(value >> 8 * i);
}

static void write_at(struct zip *zip, const void *bytes, size_t n, uint64_t at)
{
    const char *from = bytes;
    while (n && !zip->failed) {
        ssize_t some = pwrite(zip->fd, from, n, (off_t)at);
        if (some < 0 && errno == EINTR) continue;
        if (some <= 0) {
            zip->failed = true;
            return;
        }
        from += some;
        at += (uint64_t)some;
        n -= (size_t)some;
    }
}

static void append(struct zip *zip, const void *bytes, size_t n)
{
    write_at(zip, bytes, n, zip->offset);
    zip->offset += n;
}

static uint32_t dos_time(time_t when)
{
    struct tm t;
    if (!localtime_r(&when, &t) || t.tm_year < 80) return 0x00210000; /* 1980-01-01 */
    uint32_t date = (uint32_t)((t.tm_year - 80) << 9 | (t.tm_mon + 1) << 5 | t.tm_mday);
    return date << 16 | (uint32_t)(t.tm_hour << 11 | t.tm_min << 5 | t.tm_sec / 2);
}

/* version, flags, method, time, checksum, sizes (in the extra field), length of the name: as both headers
 * have. */
static void put_common(unsigned char *to, const struct zip_entry *e, int extra)
{
    put(to, VERSION, 2);
    put(to + 2, UTF8, 2);
    put(to + 4, 0, 2);
    put(to + 6, e->dos_time, 4);
    put(to + 10, e->crc, 4);
    put(to + 14, UINT32_MAX, 4);
    put(to + 18, UINT32_MAX, 4);
    put(to + 22, strlen(e->name), 2);
    put(to + 24, (uint64_t)extra, 2);
}

static void put_local(unsigned char header[LOCAL + LOCAL_EXTRA], const struct zip_entry *e, bool extra_only)
{
    if (!extra_only) {
        put(header, 0x04034b50, 4);
        put_common(header + 4, e, LOCAL_EXTRA);
    }
    unsigned char *extra = header + LOCAL;
    put(extra, 1, 2);
    put(extra + 2, LOCAL_EXTRA - 4, 2);
    put(extra + 4, e->bytes, 8);
    put(extra + 12, e->bytes, 8);
}

static void write_local(struct zip *zip, const struct zip_entry *e)
{
    unsigned char header[LOCAL + LOCAL_EXTRA] = {0};
    put_local(header, e, false);
    write_at(zip, header, LOCAL, e->offset);
    write_at(zip, e->name, strlen(e->name), e->offset + LOCAL);
    write_at(zip, header + LOCAL, LOCAL_EXTRA, e->offset + LOCAL + strlen(e->name));
}

static struct zip_entry *new_entry(struct zip *zip, const char *name)
{
    if (zip->n == zip->capacity) {
        size_t capacity = zip->capacity ? 2 * zip->capacity : 256;
        struct zip_entry *more = realloc(zip->entries, capacity * sizeof *more);
        if (!more) return NULL;
        zip->entries = more;
        zip->capacity = capacity;
    }
    struct zip_entry *made = &zip->entries[zip->n];
    *made = (struct zip_entry){.name = strdup(name), .offset = zip->offset};
    if (!made->name || strlen(name) > UINT16_MAX) {
        free(made->name);
        return NULL;
    }
    zip->n++;
    return made;
}

bool zip_add(struct zip *zip, const char *name, int from)
{
    struct stat info;
    unsigned char block[1 << 16];
    struct zip_entry *e = zip->failed ? NULL : new_entry(zip, name);
    if (!e) {
        zip->failed = true;
        return false;
    }
    e->dos_time = dos_time(fstat(from, &info) ? 0 : info.st_mtime);
    zip->offset += LOCAL + strlen(name) + LOCAL_EXTRA;
    uLong crc = crc32(0, NULL, 0);
    ssize_t some = 0;
    while (!zip->failed && ((some = read(from, block, sizeof block)) > 0 || (some < 0 && errno == EINTR))) {
        if (some < 0) continue;
        crc = crc32(crc, block, (uInt)some);
        append(zip, block, (size_t)some);
        e->bytes += (uint64_t)some;
    }
    e->crc = (uint32_t)crc;
    write_local(zip, e);
    return !zip->failed && some == 0;
}

static void write_central(struct zip *zip, const struct zip_entry *e)
{
    unsigned char header[CENTRAL + CENTRAL_EXTRA] = {0}, *extra = header + CENTRAL;
    put(header, 0x02014b50, 4);
    put(header + 4, 3 << 8 | VERSION, 2); /* made on Unix */
    put_common(header + 6, e, CENTRAL_EXTRA);
    put(header + 38, (uint64_t)0100644 << 16, 4);
    put(header + 42, UINT32_MAX, 4);
    put(extra, 1, 2);
    put(extra + 2, CENTRAL_EXTRA - 4, 2);
    put(extra + 4, e->bytes, 8);
    put(extra + 12, e->bytes, 8);
    put(extra + 20, e->offset, 8);
    append(zip, header, CENTRAL);
    append(zip, e->name, strlen(e->name));
    append(zip, extra, CENTRAL_EXTRA);
}

bool zip_end(struct zip *zip)
{
    const uint64_t start = zip->offset;
    for (size_t i = 0; i < zip->n && !zip->failed; i++) write_central(zip, &zip->entries[i]);
    const uint64_t end = zip->offset;
    unsigned char last[56 + 20 + 22] = {0}, *locator = last + 56, *plain = locator + 20;
    put(last, 0x06064b50, 4);
    put(last + 4, 44, 8);
    put(last + 12, 3 << 8 | VERSION, 2);
    put(last + 14, VERSION, 2);
    put(last + 24, zip->n, 8);
    put(last + 32, zip->n, 8);
    put(last + 40, end - start, 8);
    put(last + 48, start, 8);
    put(locator, 0x07064b50, 4);
    put(locator + 8, end, 8);
    put(locator + 16, 1, 4);
    put(plain, 0x06054b50, 4);
    put(plain + 8, UINT16_MAX, 2);
    put(plain + 10, UINT16_MAX, 2);
    put(plain + 12, UINT32_MAX, 4);
    put(plain + 16, UINT32_MAX, 4);
    append(zip, last, sizeof last);
    return !zip->failed;
}

void zip_release(struct zip *zip)
{
    for (size_t i = 0; i < zip->n; i++) free(zip->entries[i].name);
    free(zip->entries);
    *zip = (struct zip){.fd = -1};
}
