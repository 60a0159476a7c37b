/* page_write.c: the parts of the page, put together. */
#include "report/page_write.h"

#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/file.h"
#include "page_parts.h" /* made by page/bundle.cmake */

/* Inside <script> nothing but "<" could end it. */
static void write_inside(const char *json, FILE *to)
{
    for (const char *c = json; *c; c++) {
        if (*c == '<')
            fputs("\\u003c", to);
        else
            fputc(*c, to);
    }
}

static void write_escaped(const char *text, FILE *to)
{
    char *clean = eg__printable(text);
    for (const char *c = clean ? clean : ""; *c; c++) {
        const char *entity = *c == '&' ? "&amp;" : *c == '<' ? "&lt;" : NULL;
        if (entity)
            fputs(entity, to);
        else
            fputc(*c, to);
    }
    free(clean);
}

enum eg_status eg__page_write(const char *path, bool overwrite, const char *title, const json_t *data,
                              const struct eg_text *thumbs, struct eg_error *err)
{
    struct eg_outfile file;
    char *json = json_dumps(data, JSON_COMPACT | JSON_REAL_PRECISION(6));
    if (!json || thumbs->failed) {
        free(json);
        return eg__fail_memory(err, "a page");
    }
    enum eg_status status = eg__outfile_open(path, overwrite, &file, err);
    if (!status) {
        FILE *to = file.stream; /* commit asks whether all was written */
        fwrite(page_before_title, 1, sizeof page_before_title, to);
        write_escaped(title, to);
        fwrite(page_before_data, 1, sizeof page_before_data, to);
        write_inside(json, to);
        fputs("</script>\n<script type=\"application/json\" id=\"thumbs\">", to);
        write_inside(thumbs->chars ? thumbs->chars : "[]", to);
        fwrite(page_after_data, 1, sizeof page_after_data, to);
        status = eg__outfile_commit(&file, err);
    }
    free(json);
    return status;
}

void eg__base64(struct eg_text *text, const uint8_t *bytes, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    eg__text_append_bytes(text, "\"", 1);
    for (size_t i = 0; i < n; i += 3) {
        size_t some = n - i < 3 ? n - i : 3;
        uint32_t word = (uint32_t)bytes[i] << 16;
        if (some > 1) word |= (uint32_t)bytes[i + 1] << 8;
        if (some > 2) word |= bytes[i + 2];
        char out[4];
        for (size_t k = 0; k < 4; k++) out[k] = k <= some ? digits[word >> (18 - 6 * k) & 63] : '=';
        eg__text_append_bytes(text, out, 4);
    }
    eg__text_append_bytes(text, "\"", 1);
}
