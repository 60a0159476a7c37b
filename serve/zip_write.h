/* zip_write.h: files as one zip, stored as they are (photos do not get smaller); of any number and size
 * (zip64). */
#ifndef ENGRAFT_ZIP_WRITE_H
#define ENGRAFT_ZIP_WRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct zip_entry {
    char *name;
    uint64_t offset, bytes;
    uint32_t crc;
    uint32_t dos_time; /* date above, time below */
};
struct zip {
    int fd; /* written from its beginning on; not closed */
    uint64_t offset;
    struct zip_entry *entries;
    size_t n, capacity;
    bool failed; /* a write or memory: nothing more is written */
};
/* The bytes of file `from`, up to its end, under this name (UTF-8, '/' between folders). False: see failed,
 * or `from` could not be read: then the archive has an entry that is cut short. */
bool zip_add(struct zip *zip, const char *name, int from);
bool zip_end(struct zip *zip); /* the directory; true: all is written */
void zip_release(struct zip *zip);

#endif
