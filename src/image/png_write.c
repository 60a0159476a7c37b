/* png_write.c: pixels to a PNG file. */
#include <spng.h>

#include "base/fail.h"
#include "base/file.h"

static enum eg_status encode(const struct eg_image *image, struct eg_outfile *file, struct eg_error *err)
{
    spng_ctx *context = spng_ctx_new(SPNG_CTX_ENCODER);
    if (!context) return eg__fail_memory(err, "a PNG");
    struct spng_ihdr ihdr = {.width = (uint32_t)image->width,
                             .height = (uint32_t)image->height,
                             .bit_depth = 8,
                             .color_type = SPNG_COLOR_TYPE_TRUECOLOR};
    int code = spng_set_png_file(context, file->stream);
    if (!code) code = spng_set_ihdr(context, &ihdr);
    if (!code)
        code = spng_encode_image(context, image->rgb, 3 * image->height * image->width, SPNG_FMT_PNG,
                                 SPNG_ENCODE_FINALIZE);
    spng_ctx_free(context);
    return code ? eg__fail(err, EG_E_IO, "cannot write '%.300s': %s", file->path, spng_strerror(code))
                : EG_OK;
}

enum eg_status eg_image_save_png(const struct eg_image *image, const char *path, bool overwrite,
                                 struct eg_error *err)
{
    if (!image->width || !image->height || image->width > INT32_MAX || image->height > INT32_MAX)
        return eg__fail(err, EG_E_ARGUMENT, "a picture of %zux%zu is none for PNG", image->width,
                        image->height);
    struct eg_outfile file;
    enum eg_status status = eg__outfile_open(path, overwrite, &file, err);
    if (status) return status;
    status = encode(image, &file, err);
    if (!status) return eg__outfile_commit(&file, err);
    eg__outfile_abandon(&file);
    return status;
}
