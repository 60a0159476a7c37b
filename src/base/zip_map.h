/* zip_map.h: where the entries of a zip file lie: stored ones (not deflated) are read in place. */
#ifndef EG_BASE_ZIP_MAP_H
#define EG_BASE_ZIP_MAP_H

#include "engraft.h"

struct eg_zip_entry {
    const char *name; /* in the file, not terminated */
    size_t name_length;
    const uint8_t *bytes;
    size_t size;
    bool stored; /* false: compressed or encrypted, bytes are of no use as they are */
    bool encrypted;
    unsigned method; /* 0 stored, 8 deflated */
    uint64_t unpacked_size;
    uint32_t crc;
    unsigned unix_mode; /* 0: made elsewhere */
};

struct eg_zip {
    struct eg_zip_entry *entries; /* sorted by name */
    size_t n_entries;
};

EG_MUST_CHECK enum eg_status eg__zip_open(const uint8_t *bytes, size_t size, struct eg_zip *zip,
                                          struct eg_error *err);
void eg__zip_release(struct eg_zip *zip);

/* The entry of that name; NULL: none. */
const struct eg_zip_entry *eg__zip_find(const struct eg_zip *zip, const char *name, size_t name_length);

#endif
