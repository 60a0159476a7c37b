/* serve.c: from what is to be served to a running server. */
#include <stdlib.h>

#include "serve/http_private.h"
#include "serve/project.h"
#include "serve/serve.h"
#include "serve/service.h"

struct serve {
    struct http *http;
    struct project *project; /* one of the two */
    struct service *service;
};

static enum eg_status start_project(const struct serve_options *o, struct serve *serve, struct eg_error *err)
{
    const struct project_options how = {o->folder, o->folders, o->threads};
    enum eg_status status = project_open(&how, &serve->project, err);
    if (!status)
        status = http_start(&o->http, project_routes, n_project_routes, serve->project, &serve->http, err);
    if (!status) project_begin(serve->project, serve->http);
    return status;
}

static enum eg_status start_service(const struct serve_options *o, struct serve *serve, struct eg_error *err)
{
    const struct service_options how = {
        .nets = o->nets, .names = o->names, .n_nets = o->n_nets, .threads = o->threads, .batch = o->batch};
    enum eg_status status = service_open(&how, &serve->service, err);
    if (!status)
        status = http_start(&o->http, service_routes, n_service_routes, serve->service, &serve->http, err);
    return status;
}

enum eg_status serve_start(const struct serve_options *options, struct serve **made, struct eg_error *err)
{
    struct serve *serve = calloc(1, sizeof *serve);
    if (!serve) return serve_fail(err, EG_E_MEMORY, "out of memory");
    enum eg_status status = (options->folder ? start_project : start_service)(options, serve, err);
    if (status)
        serve_stop(serve);
    else
        *made = serve;
    return status;
}

struct http *serve_http(const struct serve *serve) { return serve->http; }

void serve_stop(struct serve *serve)
{
    if (!serve) return;
    project_end(serve->project); /* its thread sends events */
    http_stop(serve->http);
    project_close(serve->project); /* its threads send events until then */
    service_close(serve->service);
    http_free(serve->http);
    free(serve);
}
