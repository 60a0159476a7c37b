/* file.h: files read by mapping, and files written whole or not at all. */
#ifndef EG_BASE_FILE_H
#define EG_BASE_FILE_H

#include <stdio.h>

#include "engraft.h"

struct eg_mapping {
    const uint8_t *bytes; /* NULL when size is 0 */
    size_t size;
};

/* Map a regular file for reading. EG_E_IO names the path and the cause. */
EG_MUST_CHECK enum eg_status eg__map_file(const char *path, struct eg_mapping *mapping, struct eg_error *err);
void eg__unmap_file(struct eg_mapping *mapping);

/* A file that appears under its final name only when committed: bytes go to a temporary
 * name in the same folder, then fsync, then rename (or link, when it may not overwrite). */
struct eg_outfile {
    FILE *stream;
    char *path, *temporary;
    bool overwrite;
};

/* EG_E_EXISTS if path exists and !overwrite. */
EG_MUST_CHECK enum eg_status eg__outfile_open(const char *path, bool overwrite, struct eg_outfile *file,
                                              struct eg_error *err);
/* Both end the use of file; commit removes the temporary on failure. */
EG_MUST_CHECK enum eg_status eg__outfile_commit(struct eg_outfile *file, struct eg_error *err);
void eg__outfile_abandon(struct eg_outfile *file);

/* The part of path after the last '/'. */
const char *eg__path_last(const char *path);

/* SHA-256 of bytes or of a whole file. hex: 64 digits and NUL. */
EG_MUST_CHECK enum eg_status eg__sha256(const void *bytes, size_t n, uint8_t digest[32],
                                        struct eg_error *err);
EG_MUST_CHECK enum eg_status eg__sha256_file(const char *path, uint8_t digest[32], struct eg_error *err);
void eg__hex(const uint8_t *bytes, size_t n, char *hex);

#endif
