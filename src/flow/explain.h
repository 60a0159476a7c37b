/* explain.h: which map of a network speaks for its classes, and how. */
#ifndef EG_FLOW_EXPLAIN_H
#define EG_FLOW_EXPLAIN_H

#include "model/model.h"

enum eg_row_scale { EG_ROW_PLAIN, EG_ROW_UNIT, EG_ROW_ROOT };

/* The way from a map to the classes' scores (before the softmax).
 * exact: score_k = w_k . u + b_k, u the vector x scaled, x the map averaged over its positions or flattened
 */
struct eg_score_path {
    const struct eg_graph *graph; /* borrowed */
    uint32_t map, score;          /* nodes */
    bool exact;
    enum eg_row_scale scale; /* u = x, x / |x|, or sign(x) sqrt|x| / sqrt(sum |x|) */
    bool averaged, chw;      /* chw: of a flattened map, its order */
    bool odds;               /* of two classes: the score is that of one less that of the other */
    float *w;                /* [k][d], b [k]; exact alone */
    double *b;
    size_t k, d;
};
/* Of a graph whose output are probabilities. EG_E_UNSUPPORTED: no map of positions leads to the answer, or
 * no gradient does (a forest). scale: of the card, may be NULL; odds: two classes are one problem */
EG_MUST_CHECK enum eg_status eg__score_path(const struct eg_graph *graph, const char *scale, bool odds,
                                            struct eg_score_path *path, struct eg_error *err);
void eg__score_path_release(struct eg_score_path *path);

/* The part of every position in class k's score: out [h][w], values [h][w][c] of the map node. The sum of
 * out and *bias is *score. */
EG_MUST_CHECK enum eg_status eg__exact_map(const struct eg_score_path *path, const float *values, size_t k,
                                           float *out, double *score, double *bias, struct eg_error *err);

/* Grad-CAM (Selvaraju et al., ICCV 2017): relu(sum_c mean(d score / d values_c) values_c). */
struct eg_grad_cam;
EG_MUST_CHECK enum eg_status eg__grad_cam_create(const struct eg_score_path *path, eg_pool *pool,
                                                 struct eg_grad_cam **cam, struct eg_error *err);
EG_MUST_CHECK enum eg_status eg__grad_cam(struct eg_grad_cam *cam, const float *values, size_t k, float *out,
                                          double *score, struct eg_error *err);
void eg__grad_cam_free(struct eg_grad_cam *cam);

/* As eg_explain, of some items of images in the order of rows; asked [n]: the class each is explained for,
 * SIZE_MAX: its likeliest; NULL: all alike, as options say. */
EG_MUST_CHECK enum eg_status eg__explain_rows(const eg_net *net, const struct eg_dataset *images,
                                              const size_t *rows, const size_t *asked, size_t n,
                                              const struct eg_explain_options *options,
                                              eg_explanation_fn *explanation, void *explanation_user,
                                              struct eg_error *err);

#endif
