/* prepared.h: what predictors that are made alike have in common: the plan and the packed weights. They
 * hang on the network, counted. */
#ifndef EG_MODEL_PREPARED_H
#define EG_MODEL_PREPARED_H

#include "model/model.h"

struct eg_prepared {
    struct eg_prepared *next;
    char *key; /* what was asked for, as text */
    size_t users;
    struct eg_cut_plan plan;
    struct eg_run *first; /* the run whose twins do the work */
};

struct eg_prepare {
    const struct eg_run_cuts *cuts; /* NULL: none */
    bool answer;                    /* the whole network's, too */
    size_t batch;
};

/* One more user; made under the network's lock where nobody uses it yet. Until eg__unprepare. */
EG_MUST_CHECK enum eg_status eg__prepare(const struct eg_net *net, const struct eg_prepare *wanted,
                                         struct eg_prepared **prepared, struct eg_error *err);
void eg__unprepare(const struct eg_net *net, struct eg_prepared *prepared);

/* Of a network, which holds it, as every predictor does; NULL: no memory. */
struct eg_shared *eg__shared_create(struct eg_net *net);
/* One holder less. Was it the last? The network is then to be released. */
bool eg__shared_leave(struct eg_shared *shared);
void eg__shared_free(struct eg_shared *shared);

#endif
