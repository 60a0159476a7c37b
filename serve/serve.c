/* serve.c: from what is to be served to a running server. */
#include <stdlib.h>

#include "serve/http_private.h"
#include "serve/project.h"
#include "serve/serve.h"

struct serve {
    struct http *http;
    struct project *project;
};

enum eg_status serve_start(const struct serve_options *options, struct serve **made, struct eg_error *err)
{
    struct serve *serve = calloc(1, sizeof *serve);
    if (!serve) return serve_fail(err, EG_E_MEMORY, "out of memory");
    const struct project_options how = {options->folder, options->folders, options->threads};
    enum eg_status status = project_open(&how, &serve->project, err);
    if (!status)
        status =
            http_start(&options->http, project_routes, n_project_routes, serve->project, &serve->http, err);
    if (status) {
        serve_stop(serve);
        return status;
    }
    project_begin(serve->project, serve->http);
    *made = serve;
    return EG_OK;
}

struct http *serve_http(const struct serve *serve) { return serve->http; }

void serve_stop(struct serve *serve)
{
    if (!serve) return;
    http_stop(serve->http);
    project_close(serve->project);
    free(serve);
}
