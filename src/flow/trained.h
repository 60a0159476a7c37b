/* trained.h: a classifier on a cut network, as one graph and one file. */
#ifndef EG_FLOW_TRAINED_H
#define EG_FLOW_TRAINED_H

#include "flow/flow.h"
#include "sample/sample.h"

/* One of the cuts side by side that a classifier is grown on. */
struct eg_trained_part {
    const struct eg_net *net; /* NULL: the head is written alone */
    const struct eg_cut_info *cut;
    const char *network, *weights_sha256, *scale;
    double factor;
};

struct eg_trained { /* what the file says of its making */
    const struct eg_train_report *report;
    const struct eg_cut_info *cut;
    const char *weights_sha256, *command;
    const struct eg_trained_part *parts; /* [n_parts] in the place of `cut` where they are several */
    size_t n_parts;
    const struct eg_sample *sample;
    const struct eg_class_choice *classes; /* NULL: as they are */
    const char *loss;                      /* of an SVM; NULL: another classifier */
    const char *answer;                    /* "labels", "value"; NULL: a class */
    const char *labels_separator;
};

/* The network to the cut, the head on it, and the metadata. net NULL: the head alone. */
EG_MUST_CHECK enum eg_status eg__trained_build(const struct eg_net *net, const struct eg_trained *trained,
                                               const struct eg_graph *head, struct eg_graph **graph,
                                               struct eg_error *err);
/* The networks to their cuts, and these side by side as node `at`; the recipe of the one image that all
 * of them see. trained_parts.c */
EG_MUST_CHECK enum eg_status eg__parts_graph(const struct eg_trained_part *parts, size_t n,
                                             struct eg_graph **graph, uint32_t *at, struct eg_error *err);
/* They see the same pixels: EG_E_ARGUMENT says in what they differ. Own normalisations apart. */
EG_MUST_CHECK enum eg_status eg__parts_recipe(const struct eg_trained_part *parts, size_t n,
                                              struct eg_recipe *recipe, struct eg_error *err);
char *eg__parts_json(const struct eg_trained_part *parts, size_t n); /* free() it; NULL: no memory */
/* The features of `store` that the model takes, as its card has them. */
EG_MUST_CHECK enum eg_status eg__model_joint(const struct eg_net *model, struct eg_store *store,
                                             const char *path, struct eg_joint *joint, struct eg_error *err);
EG_MUST_CHECK enum eg_status eg__trained_save(const struct eg_graph *graph, const struct eg_net *net,
                                              const char *path, bool overwrite, struct eg_error *err);

/* ---- a trained model taken up again (evaluate.c, warm_start.c) ------------------------------ */

/* The classifier without its network, its input the cut's features. */
EG_MUST_CHECK enum eg_status eg__model_head(const struct eg_net *model, struct eg_graph **head,
                                            struct eg_error *err);
/* EG_E_ARGUMENT where the features are of other weights or another recipe than the model's. */
EG_MUST_CHECK enum eg_status eg__model_source(const struct eg_net *model, const struct eg_store_spec *spec,
                                              const char *path, struct eg_error *err);
/* Scores [n_classes][n_train] of a linear model for the training rows, its classes matched by name
 * to the sample's; NAN for those it does not know. *scores NULL: it has none (a forest). */
EG_MUST_CHECK enum eg_status eg__model_scores(const struct eg_net *model, const struct eg_joint *joint,
                                              const struct eg_sample *sample, eg_pool *pool, double **scores,
                                              struct eg_error *err);

#endif
