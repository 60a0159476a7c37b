/* extraction.h: what extracting from a listing and from a stream share. */
#ifndef EG_FLOW_EXTRACTION_H
#define EG_FLOW_EXTRACTION_H

#include "flow/flow.h"
#include "model/predictor.h"

struct eg_extraction {
    const struct eg_extract_options *options;
    struct eg_predictor *predictor;
    const struct eg_feeder *feeder; /* the predictor's */
    struct eg_cut_info *infos;      /* of the cuts, as the file has them */
    size_t n_cuts;
    struct eg_store *store;
    size_t batch;
    struct eg_append todo; /* rows to compute, each with its image */
    size_t n_done;         /* with those done before */
    char hash[65], *recipe_json;
};

/* The recipe that the options and the file at path, where it is gone on with, make of the network's. */
struct eg_recipe eg__extraction_recipe(const struct eg_net *net, const char *path,
                                       const struct eg_extract_options *options);
EG_MUST_CHECK enum eg_status eg__extraction_prepare(struct eg_extraction *e, const struct eg_net *net,
                                                    const struct eg_dataset *images,
                                                    const struct eg_recipe *recipe, struct eg_error *err);
/* All but the images; its strings are the extraction's. */
EG_MUST_CHECK enum eg_status eg__extraction_spec(struct eg_extraction *e, const struct eg_net *net,
                                                 const struct eg_recipe *recipe, struct eg_store_spec *spec,
                                                 struct eg_error *err);
/* What is to do, in batches; total: what progress is told of, 0 where nobody knows. */
EG_MUST_CHECK enum eg_status eg__extraction_compute(struct eg_extraction *e, size_t total,
                                                    struct eg_extract_report *report, struct eg_error *err);
EG_MUST_CHECK enum eg_status eg__extraction_report(struct eg_extraction *e, struct eg_extract_report *report,
                                                   struct eg_error *err);
void eg__extraction_release(struct eg_extraction *e);

/* extract_stream.c */
EG_MUST_CHECK enum eg_status eg__extract_stream(const struct eg_net *net, const struct eg_dataset *images,
                                                const char *path, const struct eg_extract_options *options,
                                                struct eg_extract_report *report, struct eg_error *err);

#endif
