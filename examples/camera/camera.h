/* camera.h: where frames come from. */
#ifndef CAMERA_H
#define CAMERA_H

#include <engraft/predict.h>

struct source;

/* NULL, with a word on stderr: there is none. */
struct source *camera_open(const char *device, size_t width, size_t height);
struct source *folder_open(const char *folder);

/* The next frame, the source's until the next call; false: no more. */
bool camera_next(struct source *source, struct eg_frame *frame);
bool folder_next(struct source *source, struct eg_frame *frame);

void camera_close(struct source *source);
void folder_close(struct source *source);

#endif
