/* archive.h: photos in archives: which members there are, and the bytes of one. Plain tars and zips are read
 * at any place, by any number of threads; compressed tars (packed) from front to back. Nothing is
 * unpacked to disk, and no name of a member is used to open a file. */
#ifndef EG_IMAGE_ARCHIVE_H
#define EG_IMAGE_ARCHIVE_H

#include "engraft.h"

enum { EG_ENTRY_FILE, EG_ENTRY_LINK, EG_ENTRY_OTHER, EG_ENTRY_UNSAFE };

/* What stands in an archive, as it comes; the name is good for the call. */
struct eg_entry {
    const char *name; /* relative, without "./" before it; UNSAFE: as it is */
    int kind;
    uint64_t size;
    size_t member; /* of a file: its number */
    /* The first bytes of a file, at most *n; *n gets how many there are. Once an entry. */
    enum eg_status (*peek)(const struct eg_entry *entry, void *bytes, size_t *n, struct eg_error *err);
    void *source;
};
typedef enum eg_status eg_entry_fn(void *user, const struct eg_entry *entry, struct eg_error *err);

struct eg_archive;

bool eg__archive_name(const char *path);        /* does its suffix say archive? */
bool eg__archive_packed_name(const char *path); /* a compressed tar */
/* List the archive; visit (may be NULL) is called for each entry but folders. A packed one is listed for
 * visit only. EG_E_FORMAT: damaged, cut off, a bomb. */
EG_MUST_CHECK enum eg_status eg__archive_open(const char *path, eg_entry_fn *visit, void *user,
                                              struct eg_archive **archive, struct eg_error *err);
void eg__archive_free(struct eg_archive *archive);
bool eg__archive_is_packed(const struct eg_archive *archive);
const char *eg__archive_path(const struct eg_archive *archive);
size_t eg__archive_find(const struct eg_archive *archive, const char *name); /* SIZE_MAX: none */

/* A member's bytes, at most 1 GiB; free(*bytes). The message is a reason only. Of a packed archive
 * members come cheaply in their order only: going back is reading it again from its start. */
EG_MUST_CHECK enum eg_status eg__archive_read(struct eg_archive *archive, size_t member, uint8_t **bytes,
                                              size_t *n_bytes, struct eg_error *err);
/* Of a packed archive: read these members (ascending) now, each to be asked for once by any thread. */
void eg__archive_stage(struct eg_archive *archive, const size_t *members, size_t n);
/* Size of the member and mtime (ns) of the archive; 0 0: unknown. */
void eg__archive_stamp(const struct eg_archive *archive, size_t member, int64_t stamp[2]);

#endif
