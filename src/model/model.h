/* model.h: a network as its user has it: a graph with its recipe, its cuts and its names, and photos
 * on their way into it. */
#ifndef EG_MODEL_MODEL_H
#define EG_MODEL_MODEL_H

#include "graph/cut_info.h"
#include "graph/graph.h"
#include "image/dataset.h"
#include "model/card.h"
#include "net/net.h"

struct eg_arch;

struct eg_net {
    struct eg_graph *graph;
    struct eg_card card; /* its strings are the graph's */
    struct eg_recipe recipe;
    bool has_recipe;
    const void *bytes; /* of a model that is no file; NULL: it is one */
    size_t n_bytes;
    const struct eg_arch *built_in; /* NULL: the file said what the network is */
    size_t height, width; /* not 0: the input's size asked for, which something at the end forbids */
    char *model;          /* as train finds it again: a name, or a file by absolute path */
    char **classes;
    size_t n_classes;
    float *thresholds;       /* [n_classes] of several labels a photo; NULL: another answer */
    const char *recipe_from; /* the file beside the weights that says it; NULL: none */
    char *remarks[2];
    size_t n_remarks;
    struct eg_shared *shared; /* what its predictors have in common (prepared.c) */
};

/* EG_E_UNSUPPORTED: it answers with several labels, or a number; what: what is done for one class alone. */
EG_MUST_CHECK enum eg_status eg__net_check_class(const struct eg_net *net, const char *what,
                                                 struct eg_error *err);
/* From the card, when the classes are known. EG_E_FORMAT. (net_answer.c) */
EG_MUST_CHECK enum eg_status eg__net_read_thresholds(struct eg_net *net, struct eg_error *err);
/* An empty network; eg_net_free. */
EG_MUST_CHECK enum eg_status eg__net_new(struct eg_net **net, struct eg_error *err);
void eg__net_release(struct eg_net *net); /* nobody holds it any more */

/* ---- cuts (cuts.c) -------------------------------------------------------------- */

/* A network cut at some places, each with its pooling as a node, at the size asked for. */
struct eg_cut_plan {
    struct eg_graph *graph;
    uint32_t *outputs;
    struct eg_cut_info *infos; /* half is false; strings live in graph */
    size_t n;                  /* cuts, or the answer alone */
    bool answer;      /* outputs[n] gives probabilities, and, where there is one, outputs[n + 1] the label */
    size_t n_outputs; /* of all that */
};
/* cuts NULL: the whole network, its answer as it is in the graph (infos NULL). */
EG_MUST_CHECK enum eg_status eg__cuts_plan(const struct eg_net *net, const struct eg_run_cuts *cuts,
                                           struct eg_cut_plan *plan, struct eg_error *err);
void eg__cuts_release(struct eg_cut_plan *plan);

/* Cuts (NULL: none) and, beside them, the whole network's answer as probabilities and label. */
EG_MUST_CHECK enum eg_status eg__answer_plan(const struct eg_net *net, const struct eg_run_cuts *cuts,
                                             struct eg_cut_plan *plan, struct eg_error *err);
/* The whole network, its answer probabilities: a softmax added where the graph ends without. */
EG_MUST_CHECK enum eg_status eg__probabilities_plan(const struct eg_net *net, struct eg_cut_plan *plan,
                                                    struct eg_error *err);

/* ---- photos to networks (feeder.c) ------------------------------------------------- */

/* A batch of images from a dataset, decoded by all threads, then run. */
struct eg_feeder {
    const struct eg_dataset *dataset; /* NULL: its owner fills in pixels and reasons */
    const struct eg_graph *graph;     /* what is run: to say where numbers go wrong */
    struct eg_recipe recipe;
    struct eg_shape shape;
    size_t batch;
    eg_pool *pool;
    size_t *rows;    /* items of the dataset that are loaded */
    uint8_t *pixels; /* [batch][h][w][3] */
    float *values;   /* arrays: [batch][h][w][c] */
    uint8_t (*hashes)[32];
    char (*reasons)[256]; /* "" where it was read */
    uint8_t *thumbs;      /* [batch][thumb_bytes], where wanted: see eg__thumbnail */
    size_t thumb_side, thumb_bytes;
};
/* For what its owner fills in: pixels, or values of arrays. */
EG_MUST_CHECK enum eg_status eg__feeder_start(const struct eg_recipe *recipe, const struct eg_graph *graph,
                                              bool is_array, size_t batch, eg_pool *pool,
                                              struct eg_feeder *feeder, struct eg_error *err);
/* (feeder_dataset.c) recipe NULL: the network carries none, so only arrays can be read. graph is what the
 * feeder's runs are planned from, and outlives it. */
EG_MUST_CHECK enum eg_status eg__feeder_init(const struct eg_recipe *recipe, const struct eg_graph *graph,
                                             const struct eg_dataset *dataset, size_t batch, eg_pool *pool,
                                             struct eg_feeder *feeder, struct eg_error *err);
/* From now on with small pictures of the photos. */
EG_MUST_CHECK enum eg_status eg__feeder_keep_thumbs(struct eg_feeder *feeder, size_t side, size_t bytes,
                                                    struct eg_error *err);
/* Items rows[0..n-1], n <= batch, to pixels, hashes and reasons. */
void eg__feeder_load(struct eg_feeder *feeder, const size_t *rows, size_t n);
/* Forward what was loaded. Rows that could not be read are not run: their outputs are 0.
 * EG_E_NUMERIC: a photo gives NaN or infinity; the layer is named where they begin. */
EG_MUST_CHECK enum eg_status eg__feeder_run(struct eg_feeder *feeder, struct eg_run *run, size_t n,
                                            float *const *out, struct eg_error *err);
void eg__feeder_release(struct eg_feeder *feeder);
/* The cause alone: what it is of stands beside it wherever a reason is shown. */
void eg__keep_reason(char reason[256], const struct eg_error *err);

/* ---- numbers (infinity.c) --------------------------------------------------------------- */

bool eg__all_finite(const float *values, size_t n);
/* An image as a network takes it: pixels [h][w][3] behind a recipe, or values [h][w][c]. */
struct eg_input {
    const struct eg_recipe *recipe;
    const uint8_t *pixels;
    const float *values;
};
EG_MUST_CHECK enum eg_status eg__input_forward(struct eg_run *run, const struct eg_input *input, size_t n,
                                               float *const *out, struct eg_error *err);
/* EG_E_NUMERIC: which layer of graph is the first to give NaN or infinity for an image known to. */
enum eg_status eg__explain_infinity(const struct eg_graph *graph, const struct eg_input *input,
                                    const char *path, struct eg_error *err);

/* a + b in the graph's memory; NULL: none left. */
const char *eg__join(struct eg_graph *graph, const char *a, const char *b);

double eg__seconds(void);

#endif
