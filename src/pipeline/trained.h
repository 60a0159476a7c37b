/* trained.h: a classifier on a cut network, as one graph and one file. */
#ifndef EG_PIPELINE_TRAINED_H
#define EG_PIPELINE_TRAINED_H

#include "pipeline/pipeline.h"

struct eg_trained { /* what the file says of its making */
    const struct eg_train_report *report;
    const struct eg_cut_info *cut;
    const char *weights_sha256, *command;
    char digest[65];
    uint64_t seed;
    double test_fraction; /* 0: none */
    const char *group;    /* pattern the split was made by; NULL: none */
};

/* The network to the cut, the head on it, and the metadata. net NULL: the head alone. */
EG_MUST_CHECK enum eg_status eg__trained_build(const struct eg_net *net, const struct eg_trained *trained,
                                               const struct eg_graph *head, struct eg_graph **graph,
                                               struct eg_error *err);
EG_MUST_CHECK enum eg_status eg__trained_save(const struct eg_graph *graph, const struct eg_net *net,
                                              const char *path, bool overwrite, struct eg_error *err);

#endif
