/* page_files.c: the files of the page, from the program itself. */
#include <stdint.h>
#include <string.h>

#include "serve/page_files.h"

static const char *type_of(const char *name)
{
    static const char *const types[][2] = {{".html", "text/html; charset=utf-8"},
                                           {".css", "text/css; charset=utf-8"},
                                           {".js", "text/javascript; charset=utf-8"},
                                           {".svg", "image/svg+xml"},
                                           {".png", "image/png"},
                                           {".json", "application/json"}};
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < sizeof types / sizeof *types; i++)
        if (!strcmp(dot, types[i][0])) return types[i][1];
    return "application/octet-stream";
}

void get_page_file(void *state, const struct request *request, struct reply *reply)
{
    (void)state;
    const char *name = request->path[1] ? request->path + 1 : "index.html";
    for (const struct page_file *file = page_files; file->name; file++)
        if (!strcmp(file->name, name)) {
            uint64_t hash = 14695981039346656037u; /* FNV-1a */
            char etag[24];
            for (const unsigned char *at = file->bytes; at < file->end; at++)
                hash = (hash ^ *at) * 1099511628211u;
            snprintf(etag, sizeof etag, "\"%016llx\"", (unsigned long long)hash);
            reply_static(reply, type_of(name), file->bytes, (size_t)(file->end - file->bytes), etag);
            return;
        }
    reply_error(reply, 404, "no_such_path", "there is no '%s' here", request->path);
}
