/* project.c: a folder, and what the page asks about it. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "serve/http_private.h"
#include "serve/page_files.h"
#include "serve/project.h"

struct project {
    char *path;
    int folder;
    struct http *http;
};

static void get_state(void *state, const struct request *request, struct reply *reply)
{
    (void)request;
    const struct project *project = state;
    reply_json(reply, 200, json_pack("{s:s}", "folder", project->path));
}

static void get_events(void *state, const struct request *request, struct reply *reply)
{
    (void)state;
    (void)request;
    reply_events(reply);
}

const struct route project_routes[] = {
    {"GET", "/api/state", get_state, 0, 0},
    {"GET", "/api/events", get_events, 0, ROUTE_QUICK},
    {"GET", "/", get_page_file, 0, ROUTE_QUICK},
};
const size_t n_project_routes = sizeof project_routes / sizeof *project_routes;

enum eg_status project_open(const struct project_options *options, struct project **made,
                            struct eg_error *err)
{
    struct project *project = calloc(1, sizeof *project);
    if (!project) return serve_fail(err, EG_E_MEMORY, "out of memory");
    project->path = realpath(options->folder, NULL);
    project->folder = project->path ? open(project->path, O_DIRECTORY | O_RDONLY | O_CLOEXEC) : -1;
    if (project->folder < 0) {
        serve_fail(err, EG_E_IO, "cannot open folder '%s': %s", options->folder, strerror(errno));
        project_close(project);
        return EG_E_IO;
    }
    *made = project;
    return EG_OK;
}

void project_begin(struct project *project, struct http *http) { project->http = http; }

void project_close(struct project *project)
{
    if (!project) return;
    if (project->folder >= 0) close(project->folder);
    free(project->path);
    free(project);
}
