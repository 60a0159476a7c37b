/* frame.h: frames in memory, as cameras and applications have them, to a network's input. */
#ifndef EG_IMAGE_FRAME_H
#define EG_IMAGE_FRAME_H

#include "base/mem.h"
#include "engraft/predict.h"

/* EG_E_ARGUMENT: what no frame can be. */
EG_MUST_CHECK enum eg_status eg__frame_check(const struct eg_frame *frame, struct eg_error *err);

/* Bytes of a room that are enough for every frame of at most this size, in any orientation. */
size_t eg__frame_bytes(size_t width, size_t height, const struct eg_recipe *recipe);

/* A checked frame's input, out [crop h][crop w][3]: as from a file that holds the same pixels. The room is
 * used from its start and grows where it is too small. */
EG_MUST_CHECK enum eg_status eg__frame_input(const struct eg_frame *frame, const struct eg_recipe *recipe,
                                             struct eg_room *room, uint8_t *out, struct eg_error *err);

#endif
