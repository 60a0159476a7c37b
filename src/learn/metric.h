/* metric.h: the preconditioner of linear classifiers in their own space. Private to learn. */
#ifndef EG_LEARN_METRIC_H
#define EG_LEARN_METRIC_H

#include "engraft.h"

/* M = diag(ridge) + weight Z'Z, as the inverse of its Cholesky factor: M^-1 = root' root. */
struct eg_metric {
    size_t width;
    float *moment; /* [width][width] Z'Z, both triangles */
    float *root;   /* [width][width] lower triangular */
    double weight; /* that root was made for; 0: none yet */
};

/* Z [n][width]. Of very many rows a part is taken. Cost: n width^2. */
EG_MUST_CHECK enum eg_status eg__metric_open(const float *z, size_t n, size_t width, eg_pool *pool,
                                             struct eg_metric *metric, struct eg_error *err);
void eg__metric_close(struct eg_metric *metric);

/* Make the root for a weight; ridge 1, but `last_ridge` on the last coordinate. Cost: width^3. */
EG_MUST_CHECK enum eg_status eg__metric_set(struct eg_metric *metric, double weight, double last_ridge,
                                            eg_pool *pool, struct eg_error *err);

/* out[count][width] = M^-1 in; between [count][width] is work space. */
EG_MUST_CHECK enum eg_status eg__metric_apply(const struct eg_metric *metric, const float *in, size_t count,
                                              float *between, float *out, eg_pool *pool,
                                              struct eg_error *err);

#endif
