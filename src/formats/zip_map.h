/* zip_map.h: where the stored (not deflated) entries of a zip file lie, for reading in place. */
#ifndef EG_FORMATS_ZIP_MAP_H
#define EG_FORMATS_ZIP_MAP_H

#include "engraft.h"

struct eg_zip_entry {
    const char *name; /* in the file, not terminated */
    size_t name_length;
    const uint8_t *bytes;
    size_t size;
    bool stored; /* false: compressed or encrypted, bytes are of no use */
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
