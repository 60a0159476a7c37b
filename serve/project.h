/* project.h: a folder of photos on its way to a classifier.
 *
 * All that matters is in files that the command line uses, too: class folders (photos that lie in the folder
 * itself have no label yet), and in FOLDER/.engraft
 *
 *   features.h5   model.onnx   what `train FOLDER` makes
 *   project.json  the network and cut that were chosen
 *   undo.jsonl    what was changed, a line each, newest last; undo/N.moves are journals of moved files
 *   trash/        what was deleted    incoming/ what is on its way in    thumbs/ small pictures
 *
 * One thread (project_work.c) keeps features, classifier and judgement up to date; whoever changes
 * something only says so. What it has found is swapped in under a lock that readers hold briefly. */
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

/* The folder is there and can be written; its hidden one is made. */
EG_MUST_CHECK enum eg_status project_open(const struct project_options *options, struct project **project,
                                          struct eg_error *err);
void project_begin(struct project *project, struct http *http); /* the server runs: events may be sent */
void project_end(struct project *project); /* no more events, no more learning; requests are still answered */
void project_close(struct project *project); /* the server has stopped */

#endif
