/* engraft/report.h: how good a classifier is.
 *
 * The conventions of engraft.h hold for every function here. */
#ifndef ENGRAFT_REPORT_H
#define ENGRAFT_REPORT_H

#include "engraft/features.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- metrics and evaluation ---------------------------------------------------------- */

struct eg_class_metrics {
    double precision, recall, f1;
    size_t support;
}; /* NAN: undefined */

struct eg_metrics {
    size_t n, n_classes;
    double accuracy, accuracy_low, accuracy_high; /* Wilson, 95 % */
    double top5;                                  /* NAN when n_classes <= 5 */
    double log_loss, calibration_error;           /* ECE, 15 equal-width bins */
    size_t n_rejected;                            /* answered "unknown" (predicted -1): wrong */
    size_t *confusion;                            /* [truth][predicted], owned */
    struct eg_class_metrics *per_class;           /* owned */
    struct eg_class_metrics macro, weighted;
};
EG_API void eg_metrics_release(struct eg_metrics *metrics);
/* In the layout scikit-learn's users know, then the confusion matrix; free() it. */
EG_API char *eg_metrics_report(const struct eg_metrics *metrics, const char *const *classes);
/* The same within so many columns (at least 60); eg_metrics_report: 80. Long names lose their beginning;
 * of more than 12 classes the ten largest confusions are listed in place of the matrix. */
EG_API char *eg_metrics_report_fit(const struct eg_metrics *metrics, const char *const *classes,
                                   size_t columns);

/* Several labels a photo. */
struct eg_label_figures {
    double precision, recall, f1, average_precision; /* NAN: undefined */
    double threshold; /* the label is said where its probability is at or above it */
    size_t support;   /* photos that have it */
};
struct eg_label_metrics {
    size_t n, n_labels;
    double mean_average_precision; /* over the labels that a photo has */
    double micro_precision, micro_recall, micro_f1, macro_f1;
    double exact;                       /* share of photos all of whose labels, and no others, are said */
    struct eg_label_figures *per_label; /* owned */
};
EG_API void eg_label_metrics_release(struct eg_label_metrics *metrics);
/* A line a label, then the sums; free() it. */
EG_API char *eg_label_metrics_report(const struct eg_label_metrics *metrics, const char *const *labels);

/* A number a photo. Intervals: 95 %, by the bootstrap over the photos. */
struct eg_number_metrics {
    size_t n;
    double r2, r2_low, r2_high, mae, mae_low, mae_high, rmse;
};
EG_API char *eg_number_metrics_report(const struct eg_number_metrics *metrics, const char *column);

enum eg_rows { EG_ROWS_AUTO, EG_ROWS_TEST, EG_ROWS_ALL };
struct eg_evaluate_options {
    size_t size;       /* EG_SIZED(eg_evaluate_options) */
    enum eg_rows rows; /* auto: the test rows of the file it was trained from, else all */
    size_t batch;
    eg_pool *pool;
    eg_progress_fn *progress;
    void *user;
    const struct eg_dataset_options *images; /* of photos to measure on; NULL: none */
};
struct eg_evaluate_report {
    struct eg_metrics metrics;
    bool trained_here; /* the data are those the model was trained from */
    enum eg_rows rows; /* what was measured */
    size_t n_known;    /* rows left out because the model learned from them */
    size_t n_unlabelled;
    struct eg_skipped *unreadable;
    size_t n_unreadable;
    char **paths;         /* [metrics.n] of the photos that count, as the data have them */
    int32_t *truth;       /* [metrics.n] */
    int32_t *answers;     /* [metrics.n] -1: rejected */
    float *probabilities; /* [metrics.n][metrics.n_classes] */
    /* of a model of several labels, or of numbers, in place of metrics, truth, answers */
    struct eg_label_metrics labels;
    struct eg_number_metrics numbers;
    double *number_truth, *number_answers; /* [numbers.n] */
};
/* data        a feature file or images */
EG_API EG_MUST_CHECK enum eg_status eg_evaluate(const eg_net *model, const char *data,
                                                const struct eg_evaluate_options *options,
                                                struct eg_evaluate_report **report, struct eg_error *err);
EG_API void eg_evaluate_report_free(struct eg_evaluate_report *report);

/* ---- photos that look alike ---------------------------------------------------------------- */

struct eg_similar_options {
    size_t size;          /* EG_SIZED(eg_similar_options) */
    const char *features; /* a cut of the file; NULL = the first */
    size_t top;           /* 0 = 5 */
    eg_pool *pool;
    eg_progress_fn *progress;
    void *user;
};
struct eg_similar_row {
    size_t row;
    const char *path, *label; /* the feature file's, which stays open; label NULL: none */
    double similarity;        /* cosine */
};
struct eg_similar_photo {
    char *path;
    char *error;                    /* NULL: it was read */
    struct eg_similar_row *nearest; /* most similar first; of equals the lower row */
    size_t n_nearest;
};
struct eg_similar_report {
    struct eg_similar_photo *photos; /* as listed */
    size_t n_photos, n_unreadable;
    char *cut;
    double seconds;
};
/* The rows of a feature file whose features are nearest to those of photos, all rows looked at.
 * net         what made the features (eg_net_load_of); EG_E_ARGUMENT if it has other weights
 * Cost        a forward pass a photo; one pass over the rows for as many photos as 256 MB of features
 *             hold, 2 * photos * rows * length operations */
EG_API EG_MUST_CHECK enum eg_status eg_similar(eg_features *features, const eg_net *net,
                                               const eg_dataset *photos,
                                               const struct eg_similar_options *options,
                                               struct eg_similar_report **report, struct eg_error *err);
EG_API void eg_similar_report_free(struct eg_similar_report *report);
EG_API char *eg_similar_report_json(const struct eg_similar_report *report); /* as those below */

/* ---- the network against yours -------------------------------------------------------------- */

/* One of `other` and `values` is given. Arrays enter behind the recipe, in the network's channel order. */
struct eg_verify_options {
    size_t size;       /* EG_SIZED(eg_verify_options) */
    const char *input; /* x.npy, float32 [N][C][H][W] or [C][H][W]; or a photo; NULL: noise made of `seed` */
    const eg_net *other; /* the same input goes through it (a photo by its own recipe, where it has one) */
    const char *values;  /* what another program made of `input`: float32 arrays [N][C][H][W], [N][H][W][C],
                          * [N][T][C] or [N][C], an .npz of them by names of layers, or one as .npy */
    const char *layer;   /* of the .npy; NULL: the network's answer */
    uint64_t seed;
    eg_pool *pool;
    eg_progress_fn *progress;
    void *user;
};
struct eg_verified_layer {
    char *name, *other; /* here, and on the other side */
    struct eg_shape shape;
    double difference; /* largest absolute over the other's largest absolute value; infinite: NaN, or only
                        * the other is 0 throughout */
};
struct eg_verify_report {
    struct eg_verified_layer
        *layers; /* in the network's order; a photo's own input first, where it differs */
    size_t n_layers, n_images;
    const char *parts_at;         /* the first layer past 1e-3; NULL: none */
    struct eg_skipped *unmatched; /* layers of the other side that none here was found for, and why */
    size_t n_unmatched;
    double seconds;
};
/* The same input through this network and yours: where they part. Layers of another network are known again
 * by the operators that lead to them, else by name. EG_E_SHAPE: nothing fits together.
 * Cost        a forward pass of each for as many layers as 64 MB of values hold, times the images */
EG_API EG_MUST_CHECK enum eg_status eg_verify(const eg_net *net, const struct eg_verify_options *options,
                                              struct eg_verify_report **report, struct eg_error *err);
EG_API void eg_verify_report_free(struct eg_verify_report *report);
EG_API char *eg_verify_report_json(const struct eg_verify_report *report); /* as those below */

/* ---- what spoke for a class ------------------------------------------------------------------ */

enum eg_explain_method { EG_EXPLAIN_AUTO, EG_EXPLAIN_EXACT, EG_EXPLAIN_GRAD_CAM };
struct eg_explain_options {
    size_t size;                   /* EG_SIZED(eg_explain_options) */
    const char *label;             /* the class to explain; NULL = each photo's likeliest */
    enum eg_explain_method method; /* auto: exact where the score is a sum over positions, else Grad-CAM */
    eg_pool *pool;
    eg_progress_fn *progress;
    void *user;
};
/* Good for the call alone. map [height][width]: the part that each position of the last map of the network
 * has in the score of the class, before the softmax (of two classes: its score less the other's).
 * exact: the sum of map and bias is the score; signed. Grad-CAM: not below 0, and no parts of a whole. */
struct eg_explanation {
    const char *path, *error; /* error NULL: it was read, all below is set */
    const char *label;        /* of the class explained */
    int32_t index;
    float probability;
    bool exact;
    double score, bias; /* bias NAN: Grad-CAM */
    const char *layer;  /* whose values the map is of */
    const float *map;
    size_t height, width;
    const uint8_t *seen; /* what the network saw, RGB [seen_height][seen_width][3]; NULL: an array */
    size_t seen_height, seen_width;
    /* Rejected, because its probability or its nearness to the classes is out of bounds. Distance: to the
     * nearest class, in parts of what is usual there. NAN: a model that rejects nothing */
    bool unknown;
    double confidence, confidence_least, distance, distance_most;
};
typedef void eg_explanation_fn(void *user, const struct eg_explanation *explanation);
/* A map for each photo, in order. EG_E_NOT_FOUND: no such class; EG_E_UNSUPPORTED: a network without a map
 * of positions, without a gradient (a forest), or without the exactness asked for.
 * Cost        a forward pass a photo; Grad-CAM: and one forward and backward from the map on */
EG_API EG_MUST_CHECK enum eg_status eg_explain(const eg_net *net, const eg_dataset *images,
                                               const struct eg_explain_options *options,
                                               eg_explanation_fn *explanation, void *explanation_user,
                                               struct eg_error *err);
/* The map over what the network saw, twice its size: red speaks for the class, blue against it.
 * EG_E_ARGUMENT: it saw an array. */
EG_API EG_MUST_CHECK enum eg_status eg_explanation_picture(const struct eg_explanation *explanation,
                                                           struct eg_image *picture, struct eg_error *err);
/* One photo's. picture: the file it was written to, NULL: none; similar: its nearest photos, NULL: none */
EG_API char *eg_explanation_json(const struct eg_explanation *explanation, const char *picture,
                                 const struct eg_similar_photo *similar);
/* Two models on the same data: the rows that neither has learned from. */
struct eg_pair_report {
    struct eg_evaluate_report *a, *b; /* each model's own figures, on those rows */
    size_t only_a, only_b;            /* rows that only one gets right */
    double p_value;                   /* McNemar, exact, two-sided */
};
EG_API EG_MUST_CHECK enum eg_status eg_evaluate_pair(const eg_net *a, const eg_net *b, const char *data,
                                                     const struct eg_evaluate_options *options,
                                                     struct eg_pair_report **report, struct eg_error *err);
EG_API void eg_pair_report_free(struct eg_pair_report *report);

/* ---- how fast ------------------------------------------------------------------------------- */

struct eg_bench_options {
    size_t size;     /* EG_SIZED(eg_bench_options) */
    const char *cut; /* run to this layer; NULL = the network's default cut */
    size_t batch;    /* images a forward pass; 0 = 1 */
    size_t repeat;   /* forward passes, after one that does not count; 0 = 20 */
    bool exact;      /* as eg_run_cuts has it */
    bool layers;     /* time every step */
    eg_pool *pool;
    eg_progress_fn *progress;
    void *user;
};
struct eg_bench_layer { /* what layers became after fusion, in the last pass */
    char *name;
    const char *algorithm;
    uint64_t macs;      /* an image */
    double seconds, ms; /* ms: an image */
    double gflops;
};
struct eg_bench_report {
    char *name, *cut; /* cut NULL: to the end */
    size_t batch, repeat;
    unsigned threads;
    const char *isa;
    double ms, ms_least; /* an image: the median, the least */
    double gflops;       /* two operations a multiply-add, at the median */
    size_t memory_bytes;
    struct eg_bench_layer *layers;
    size_t n_layers; /* 0: not asked for */
};
/* How fast this machine runs a network, on numbers by chance. */
EG_API EG_MUST_CHECK enum eg_status eg_bench(const eg_net *net, const struct eg_bench_options *options,
                                             struct eg_bench_report **report, struct eg_error *err);
EG_API void eg_bench_report_free(struct eg_bench_report *report);

/* ---- reports as JSON -------------------------------------------------------------------- */

/* One document, its fields those of the program's --json; free() it; NULL: no memory.
 * output      the file that was written; NULL: none */
struct eg_tune_report;
struct eg_train_report;
struct eg_comparison;
EG_API char *eg_extract_report_json(const struct eg_extract_report *report, const eg_dataset *images,
                                    const char *output);
EG_API char *eg_sorted_json(const struct eg_sorted *sorted);
EG_API char *eg_shards_report_json(const struct eg_shards_report *report);
EG_API char *eg_estimate_json(const struct eg_estimate *estimate);
EG_API char *eg_train_report_json(const struct eg_train_report *report, const char *output);
EG_API char *eg_tune_report_json(const struct eg_tune_report *report, const char *output);
EG_API char *eg_evaluate_report_json(const struct eg_evaluate_report *report, const eg_net *model);
EG_API char *eg_pair_report_json(const struct eg_pair_report *report, const eg_net *a, const eg_net *b);
EG_API char *eg_comparison_json(const struct eg_comparison *found, const eg_net *net, eg_features *features,
                                const struct eg_extract_report *extracted, unsigned folds,
                                const char *output);
/* One photo's answer on one line. */
EG_API char *eg_answer_json(const struct eg_answer *answer);
/* Every layer. whole: the network that `net` was cut from: what the cut leaves out; may be NULL. */
EG_API char *eg_net_json(const eg_net *net, const eg_net *whole);
/* What a feature file holds: rows, classes, cuts, recipe, history. free(*json). */
EG_API EG_MUST_CHECK enum eg_status eg_features_json(eg_features *features, char **json,
                                                     struct eg_error *err);
/* Rows of a cut with their numbers; what has none is null. */
EG_API EG_MUST_CHECK enum eg_status eg_features_rows_json(eg_features *features, size_t cut,
                                                          const size_t *rows, size_t n_rows, char **json,
                                                          struct eg_error *err);
/* Bytes in the file for each byte of numbers of a cut; NAN: they are in other files. */
EG_API double eg_features_cut_stored(struct eg_features_cut cut, size_t n_rows);
/* Groups of eg_features_duplicates: the same contents, and nearly so at a cosine. */
EG_API char *eg_duplicates_json(const eg_features *features, const struct eg_groups *exact,
                                const struct eg_groups *near, double cosine);
EG_API char *eg_check_report_json(const struct eg_check_report *report);
/* merged: the file that eg_features_merge made of shards. */
EG_API char *eg_merge_json(const eg_features *merged, const char *output, size_t n_shards, bool copy);
/* What a model holds: classes, recipe, default cut, hash of its weights, its card. free(*json). */
EG_API EG_MUST_CHECK enum eg_status eg_net_about_json(const eg_net *net, char **json, struct eg_error *err);
/* The built-in networks, and where in `folders` their weights are. */
EG_API char *eg_known_nets_json(const char *folders);
struct eg_fetched {
    const char *name, *path;
    bool was_there; /* and was not loaded again */
};
EG_API char *eg_fetched_json(const struct eg_fetched *fetched, size_t n);
EG_API char *eg_bench_report_json(const struct eg_bench_report *report);
/* The share of a network's multiply-adds that lead to a layer; NAN: no such layer. */
EG_API double eg_net_depth(const eg_net *net, const char *layer);

/* ---- pictures --------------------------------------------------------------------------- */

/* SVG documents, for light and dark; free() each; NULL: no memory. */

/* Counts by truth and answer; classes [metrics->n_classes]. */
EG_API char *eg_confusion_svg(const struct eg_metrics *metrics, const char *const *classes);
/* What was answered of each photo less the truth, over the truth. */
EG_API char *eg_number_svg(const struct eg_number_metrics *metrics, const double *truth,
                           const double *answers, const char *column);
/* Loss by epoch, of the last phase. */
EG_API char *eg_tune_svg(const struct eg_tune_report *report);
/* Accuracy by cut, from the input up. features: the file that was compared. */
EG_API char *eg_comparison_svg(const struct eg_comparison *found, const eg_net *net, eg_features *features,
                               unsigned folds);
/* A network as the blocks that its volumes are, the cut marked. */
struct eg_net_picture {
    const char *cut;   /* as typed; NULL: nothing is left out, and the default cut is marked */
    size_t cut_layer;  /* of net; SIZE_MAX: none */
    size_t n_features; /* at the cut */
    uint64_t parameters, macs, kept_parameters, kept_macs; /* kept: by the cut */
};
EG_API char *eg_net_svg(const eg_net *net, const struct eg_net_picture *picture);

/* ---- what is wrong with the data --------------------------------------------------------- */

struct eg_audit_options {
    size_t size;          /* EG_SIZED(eg_audit_options) */
    const char *features; /* a cut of the file; NULL = the first */
    const char *root;     /* where the photos are now; NULL = where they were */
    double test_fraction; /* of the split that eg_train would make: 0 = 0.25; below 0: none */
    size_t memory_bytes;  /* of the classifier; 0 = half of the machine's */
    uint64_t seed;
    eg_pool *pool;
    eg_progress_fn *progress;
    void *user;
};
/* Labels that look wrong (by a classifier that has not seen the photo), the same photo twice, odd
 * ones, classes that are confused, a learning curve. json (free() it) gets the report: rows,
 * classes, suspects, duplicates, outliers, learning_curve. Photos that cannot be opened are judged
 * by their features alone. */
EG_API EG_MUST_CHECK enum eg_status eg_audit(eg_features *features, const struct eg_audit_options *options,
                                             char **json, struct eg_error *err);

/* Corrections, a CSV path,action,label with action move, delete or ok: photos move between class
 * folders, or rows change in the data's CSV; deleted ones go to FOLDER/.engraft/trash; "ok" is noted in
 * the feature file (NULL: not). One plan, which after a crash is finished by the next call.
 * images      a folder of classes or a CSV; anything else is EG_E_UNSUPPORTED, and nothing is done */
struct eg_corrections {
    size_t moved, deleted, confirmed;
    size_t test_relabelled; /* of moved: photos of the test part */
    size_t files;           /* that changed their place */
    struct eg_skipped *skipped;
    size_t n_skipped;
};
EG_API EG_MUST_CHECK enum eg_status eg_audit_apply(const char *images, const char *features,
                                                   const char *corrections,
                                                   const struct eg_audit_options *options,
                                                   struct eg_corrections *done, struct eg_error *err);
/* The last corrections of these images taken back, as far as the files are still those. */
EG_API EG_MUST_CHECK enum eg_status eg_audit_undo(const char *images, struct eg_corrections *done,
                                                  struct eg_error *err);
EG_API void eg_corrections_release(struct eg_corrections *done);
EG_API char *eg_corrections_json(const struct eg_corrections *done); /* free() it; NULL: no memory */

/* ---- a report as a page ------------------------------------------------------------------ */

struct eg_page_options {
    size_t size;           /* EG_SIZED(eg_page_options) */
    const char *kind;      /* "train", "tune", "evaluate", "cuts", "audit" */
    const char *title;     /* of whose photos; NULL: none */
    const char *report;    /* the report as JSON; NULL: none */
    eg_features *features; /* of the photos: what is wrong with them, and the map; NULL: none */
    const char *cut;       /* of features; NULL = the first */
    const char *root;      /* where their photos are now; NULL = where they were */
    const eg_net *model;   /* the classifier; NULL: none */
    const char *data;      /* a feature file or images that model is judged on; NULL: none */
    enum eg_rows rows;     /* of data */
    bool same_data;        /* data are the photos of features, or their file */
    const struct eg_evaluate_report *evaluated; /* model on data, where that is known already; NULL: not */
    const struct eg_dataset_options *images;    /* of data; NULL: none */
    const struct eg_tune_report *tuned;         /* for its curves; NULL: none */
    const char *picture;                        /* an SVG of the report: of cuts; NULL: none */
    char **audit; /* gets what eg_audit says of features, to be freed; NULL where it says nothing */
    const char *command, *model_path, *features_path; /* provenance; NULL: not known */
    double test_fraction; /* of the split that eg_train made: 0 = 0.25; below 0: none */
    size_t memory_bytes;  /* of learning; 0 = half of the machine's */
    size_t most_bytes; /* of the page, about; 0 = 15 million. Pictures are left out for it, and it says so */
    bool overwrite;
    uint64_t seed;
    eg_pool *pool;
    eg_progress_fn *progress;
    void *user;
};
/* One HTML file that needs nothing else and asks nothing of any network: the answer, confusions with
 * their photos, errors, doubtful labels, copies, a map of the photos, curves, how it was made. Works from
 * a disk. Cost: that of eg_audit where features are given, of eg_evaluate where model and data are.
 * EG_E_EXISTS if path exists and !overwrite. */
EG_API EG_MUST_CHECK enum eg_status eg_report_page(const struct eg_page_options *options, const char *path,
                                                   struct eg_error *err);

#ifdef __cplusplus
}
#endif
#endif
