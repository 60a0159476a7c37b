/* predictor.h: a predictor as flows use it: on a recipe, a pool and photos of their own. */
#ifndef EG_MODEL_PREDICTOR_H
#define EG_MODEL_PREDICTOR_H

#include <stdatomic.h>

#include "base/mem.h"
#include "model/prepared.h"

struct eg_predictor {
    const struct eg_net *net;
    struct eg_prepared *prepared; /* the plan: cuts first, then probabilities, then the label */
    struct eg_run *run;
    eg_pool *pool;
    bool owns_pool, keeps_probabilities;
    struct eg_feeder feeder; /* pixels, reasons, hashes of the batch */
    float **out;             /* [output][batch][length] */
    int32_t *labels;         /* [batch]; -1: rejected. NULL: no answer */
    const float **features;  /* [batch][cut], into out */
    struct eg_room *rooms;   /* [thread], for frames */
    size_t k, n_cuts;        /* classes, cuts */
    atomic_bool busy;
};

struct eg_predictor_make {
    const struct eg_net *net;
    const struct eg_recipe *recipe; /* NULL: the network's */
    bool of_arrays;                 /* values come, not photos */
    struct eg_prepare wanted;
    eg_pool *pool; /* borrowed */
};
EG_MUST_CHECK enum eg_status eg__predictor_make(const struct eg_predictor_make *how,
                                                struct eg_predictor **predictor, struct eg_error *err);
/* The feeder's pixels or values, and its reasons, are set: out, labels. */
EG_MUST_CHECK enum eg_status eg__predictor_run(struct eg_predictor *predictor, size_t n,
                                               struct eg_error *err);

/* For the items of a dataset (feeder_dataset.c). */
EG_MUST_CHECK enum eg_status eg__predictor_of_dataset(struct eg_predictor_make *how,
                                                      const struct eg_dataset *dataset,
                                                      struct eg_predictor **predictor, struct eg_error *err);
/* Items rows[0..n-1] of the dataset, n <= batch: out, labels, and the feeder's hashes and reasons. */
EG_MUST_CHECK enum eg_status eg__predictor_read(struct eg_predictor *predictor, const size_t *rows, size_t n,
                                                struct eg_error *err);
/* What the model says, where it has a say of its own (said [n], a threshold's; NULL: none); else the
 * likeliest of probabilities [n][k]. -1: rejected. */
void eg__settle_labels(const float *probabilities, const float *said, size_t n, size_t k, int32_t *labels);
/* [n][k]; NULL: no answer was asked for. */
float *eg__predictor_probabilities(const struct eg_predictor *predictor);

#endif
