/* camera_v4l2.c: frames of a camera by Video4Linux2, in YUYV, from memory that the driver fills. */
#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "camera.h"

enum { BUFFERS = 4 };

struct source {
    int device;
    struct v4l2_format format;
    struct {
        void *start;
        size_t length;
    } buffers[BUFFERS];
    unsigned n, held; /* buffers; 1 + the one that the caller has */
};

/* A signal may interrupt any of them. */
static bool ask(const struct source *s, unsigned long request, void *argument)
{
    int result;
    do result = ioctl(s->device, request, argument);
    while (result < 0 && errno == EINTR);
    return result >= 0;
}

static struct v4l2_buffer buffer(unsigned index)
{
    return (struct v4l2_buffer){
        .index = index, .type = V4L2_BUF_TYPE_VIDEO_CAPTURE, .memory = V4L2_MEMORY_MMAP};
}

static bool start(struct source *s, size_t width, size_t height)
{
    struct v4l2_pix_format *pix = &s->format.fmt.pix;
    s->format.type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    pix->width = (uint32_t)width;
    pix->height = (uint32_t)height;
    pix->pixelformat = V4L2_PIX_FMT_YUYV;
    pix->field = V4L2_FIELD_NONE;
    if (!ask(s, VIDIOC_S_FMT, &s->format) || pix->pixelformat != V4L2_PIX_FMT_YUYV) return false;
    struct v4l2_requestbuffers wanted = {
        .count = BUFFERS, .type = V4L2_BUF_TYPE_VIDEO_CAPTURE, .memory = V4L2_MEMORY_MMAP};
    if (!ask(s, VIDIOC_REQBUFS, &wanted) || !wanted.count) return false;
    for (unsigned i = 0; i < wanted.count && i < BUFFERS; i++) {
        struct v4l2_buffer b = buffer(i);
        if (!ask(s, VIDIOC_QUERYBUF, &b)) return false;
        void *memory = mmap(NULL, b.length, PROT_READ | PROT_WRITE, MAP_SHARED, s->device, b.m.offset);
        if (memory == MAP_FAILED) return false;
        s->buffers[s->n].start = memory;
        s->buffers[s->n++].length = b.length;
        if (!ask(s, VIDIOC_QBUF, &b)) return false;
    }
    int type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    return ask(s, VIDIOC_STREAMON, &type);
}

struct source *camera_open(const char *device, size_t width, size_t height)
{
    struct source *s = calloc(1, sizeof *s);
    if (!s) return NULL;
    s->device = open(device, O_RDWR | O_CLOEXEC);
    if (s->device >= 0 && start(s, width, height)) return s;
    fprintf(stderr, "'%s' gives no YUYV frames: %s\n", device, strerror(errno));
    camera_close(s);
    return NULL;
}

bool camera_next(struct source *s, struct eg_frame *frame)
{
    const struct v4l2_pix_format *pix = &s->format.fmt.pix;
    if (s->held) { /* the driver may fill it again */
        struct v4l2_buffer last = buffer(s->held - 1);
        if (!ask(s, VIDIOC_QBUF, &last)) return false;
        s->held = 0;
    }
    struct v4l2_buffer b = buffer(0);
    if (!ask(s, VIDIOC_DQBUF, &b) || b.index >= s->n) return false;
    s->held = b.index + 1;
    *frame = (struct eg_frame){.pixels = s->buffers[b.index].start,
                               .width = pix->width,
                               .height = pix->height,
                               .stride = pix->bytesperline,
                               .format = EG_PIXELS_YUYV,
                               .full_range = pix->quantization == V4L2_QUANTIZATION_FULL_RANGE};
    return true;
}

void camera_close(struct source *s)
{
    for (unsigned i = 0; i < s->n; i++) munmap(s->buffers[i].start, s->buffers[i].length);
    if (s->device >= 0) close(s->device);
    free(s);
}
