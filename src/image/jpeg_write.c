/* jpeg_write.c: pixels to JPEG by libjpeg-turbo. Nothing from outside comes here but pixels; the only
 * failure is memory, which libjpeg reports by longjmp. */
#include "image/jpeg_write.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include <jpeglib.h>

#include "base/fail.h"
#include "base/mem.h"
#include "image/photo.h"

struct writer {
    struct jpeg_compress_struct cinfo;
    struct jpeg_error_mgr errors;
    jmp_buf jump;
    unsigned char *bytes;
    unsigned long n_bytes;
};

static _Noreturn void on_error(j_common_ptr cinfo)
{
    struct writer *w = cinfo->client_data;
    longjmp(w->jump, 1);
}

static void on_message(j_common_ptr cinfo, int level)
{
    (void)cinfo;
    (void)level;
}

static void write_rows(struct writer *w, const uint8_t *rgb, size_t height, size_t width, int quality)
{
    struct jpeg_compress_struct *c = &w->cinfo;
    jpeg_create_compress(c);
    jpeg_mem_dest(c, &w->bytes, &w->n_bytes);
    c->image_width = (JDIMENSION)width;
    c->image_height = (JDIMENSION)height;
    c->input_components = 3;
    c->in_color_space = JCS_RGB;
    jpeg_set_defaults(c);
    jpeg_set_quality(c, quality, TRUE);
    c->optimize_coding = TRUE; /* of a small picture the tables are a large part */
    c->write_JFIF_header = FALSE;
    jpeg_start_compress(c, TRUE);
    while (c->next_scanline < c->image_height) {
        uint8_t *row = (uint8_t *)(rgb + (size_t)c->next_scanline * width * 3); /* it only reads */
        jpeg_write_scanlines(c, &row, 1);
    }
    jpeg_finish_compress(c);
}

enum eg_status eg__jpeg_write(const uint8_t *rgb, size_t height, size_t width, int quality,
                              struct eg_jpeg *jpeg, struct eg_error *err)
{
    struct writer *w = eg__zalloc(1, sizeof *w);
    if (!w) return eg__fail_memory(err, "a JPEG");
    w->cinfo.err = jpeg_std_error(&w->errors);
    w->errors.error_exit = on_error;
    w->errors.emit_message = on_message;
    w->cinfo.client_data = w;
    enum eg_status status = EG_OK;
    if (setjmp(w->jump))
        status = eg__fail_memory(err, "a JPEG");
    else
        write_rows(w, rgb, height, width, quality);
    jpeg_destroy_compress(&w->cinfo);
    if (status)
        free(w->bytes);
    else
        *jpeg = (struct eg_jpeg){w->bytes, w->n_bytes};
    free(w);
    return status;
}

enum eg_status eg__jpeg_shrunk(const struct eg_image *image, size_t side, int quality, struct eg_jpeg *jpeg,
                               struct eg_error *err)
{
    size_t longer = image->height > image->width ? image->height : image->width;
    if (longer <= side) return eg__jpeg_write(image->rgb, image->height, image->width, quality, jpeg, err);
    size_t h = (image->height * side + longer / 2) / longer, w = (image->width * side + longer / 2) / longer;
    if (!h) h = 1;
    if (!w) w = 1;
    uint8_t *small = eg__alloc(h * w, 3);
    enum eg_status status = small ? eg__resize(image, h, w, EG_FILTER_BILINEAR, true, small, err)
                                  : eg__fail_memory(err, "a small picture");
    if (!status) status = eg__jpeg_write(small, h, w, quality, jpeg, err);
    free(small);
    return status;
}
