/* tar_stream.h: a tar from front to back, plain or compressed, from a file or a pipe. */
#ifndef EG_IMAGE_TAR_STREAM_H
#define EG_IMAGE_TAR_STREAM_H

#include "image/archive.h"

struct eg_tar;

/* fd stays the caller's; reading begins where it stands. */
struct eg_tar_source {
    int fd;
    uint64_t within; /* bytes of the file, so that a member past its end is seen; 0: not known */
    bool pipe;       /* it may keep us waiting; nothing can be passed over unread */
};
EG_MUST_CHECK enum eg_status eg__tar_open(const struct eg_tar_source *source, struct eg_tar **tar,
                                          struct eg_error *err);
/* Of a pipe: asked while nothing comes; false: EG_E_CANCELLED. */
void eg__tar_wait(struct eg_tar *tar, bool (*go_on)(void *user), void *user);
void eg__tar_close(struct eg_tar *tar);
/* The next entry that is no folder. EG_E_NOT_FOUND: there is none. */
EG_MUST_CHECK enum eg_status eg__tar_next(struct eg_tar *tar, struct eg_entry *entry, struct eg_error *err);
/* The entry's bytes, all of them; free(*bytes). */
EG_MUST_CHECK enum eg_status eg__tar_read(struct eg_tar *tar, uint8_t **bytes, size_t *n_bytes,
                                          struct eg_error *err);
uint64_t eg__tar_position(const struct eg_tar *tar); /* of the entry's header, in the tar as it is unpacked */
bool eg__tar_is_packed(const struct eg_tar *tar);

/* Is a member's name one that stays below the folder it would be unpacked in? */
bool eg__member_name_is_safe(const char *name);

#endif
