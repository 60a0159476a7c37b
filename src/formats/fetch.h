/* fetch.h: a file from the network, whole and checked, or not at all. */
#ifndef EG_FORMATS_FETCH_H
#define EG_FORMATS_FETCH_H

#include "engraft.h"

struct eg_fetch_job {
    const char *url;          /* https; plain http only to this machine itself (a mirror, a test) */
    const char *path;         /* where it goes; what has come so far is in PATH.part */
    const char *sha256, *md5; /* first digits of the one, or all of the other; one is needed */
    eg_progress_fn *progress; /* bytes; may be NULL */
    void *user;
};

/* Goes on with PATH.part if there is one. EG_E_FORMAT: the checksum differs, and what came is
 * thrown away; EG_E_IO: the transfer failed (run again to go on), EG_E_EXISTS: path is there. */
EG_MUST_CHECK enum eg_status eg__fetch(const struct eg_fetch_job *job, struct eg_error *err);

#endif
