/* project.h: a folder of class folders as the page sees it. */
#ifndef ENGRAFT_PROJECT_H
#define ENGRAFT_PROJECT_H

#include "serve/http.h"

struct project;
struct project_options {
    const char *folder;
    const char *folders; /* "DIR:DIR": where weights are looked for */
    unsigned threads;    /* that compute */
};

/* The routes' state is the project. */
extern const struct route project_routes[];
extern const size_t n_project_routes;

EG_MUST_CHECK enum eg_status project_open(const struct project_options *options, struct project **project,
                                          struct eg_error *err);
void project_begin(struct project *project, struct http *http); /* the server runs: events may be sent */
void project_close(struct project *project);                    /* the server has stopped */

#endif
