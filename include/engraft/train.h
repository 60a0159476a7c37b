/* engraft/train.h: classifiers from features, and fine-tuning.
 *
 * The conventions of engraft.h hold for every function here. */
#ifndef ENGRAFT_TRAIN_H
#define ENGRAFT_TRAIN_H

#include "engraft/report.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- training ------------------------------------------------------------------------ */

/* Which classes to learn, and under which names; all zeros: as they are. Lists may name a class as it is
 * or as it is renamed; several renamed alike become one. EG_E_NOT_FOUND: there is no such class. */
struct eg_class_rename {
    const char *from, *to;
};
struct eg_class_choice {
    const char *const *keep, *const *drop; /* keep: these alone; n_keep 0: all */
    size_t n_keep, n_drop;
    const struct eg_class_rename *renames;
    size_t n_renames;
};

struct eg_train_options {
    size_t size;            /* EG_SIZED(eg_train_options) */
    const char *classifier; /* NULL = "logistic", or "svm", "forest", "mlp", "auto": the best of
                               eg_features_compare */
    const double *c;        /* grid of C; n_c 0 = the default one */
    size_t n_c;
    unsigned folds;       /* 0 = 5, or as many as the smallest class has photos; 1 = no cross-validation */
    double test_fraction; /* 0 = 0.25; below 0: none, train on every row */
    const char *test;     /* a feature file or images to test on, in place of a part */
    const char *features; /* a cut in the file; NULL = the first, for classifier "auto" all are compared;
                             "auto": those that are better side by side, of all files */
    const char *group;    /* photos of one group stay on one side of every split: a POSIX extended regular
                             expression; the group is what its first parentheses, or all of it, matched in
                             the path; NULL = none */
    const char *scale;    /* NULL = "auto", or "none", "unit", "root", "standard" */
    bool hinge;           /* svm: hinge loss in place of squared hinge */
    bool balance;         /* weigh classes as if they had the same number of rows */
    size_t n_trees;       /* forest: 0 = 500 */
    size_t hidden;        /* mlp: 0 = 256 */
    const eg_net *from;   /* a model that engraft trained, to go on from: its classifier, scale and C unless
                             they are given; the result is that of training anew, sooner; NULL: none */
    double reject_rate;   /* answer "unknown" so often for known photos, by held-out folds; 0 = never */
    size_t memory_bytes;  /* 0 = half of what there is */
    bool overwrite;
    uint64_t seed;
    const char *command; /* provenance */
    eg_pool *pool;
    eg_progress_fn *progress;
    void *user;
    const struct eg_dataset_options *images; /* of photos to test on; NULL: none */
    struct eg_class_choice classes;          /* the model remembers them: evaluation does the same */
    bool multi_label; /* several labels a photo: those of the file's /label_sets, or the parts of its class
                         names; copies of a photo in several class folders have the labels of all. A
                         linear classifier a label (logistic or svm); C by mean average precision */
    const char *labels_sep; /* multi_label: between the parts of a name; NULL = ";" */
    unsigned repeats;       /* of the cross-validation of what was chosen, by other folds; 0, 1: none */
    bool nested;    /* choose anew outside of each fold, and judge in it: costs what training does, a fold */
    bool one_error; /* of the values of C that are no more than a standard error worse than the best the
                       smallest, the simplest (Breiman et al. 1984) */
    const char *target;        /* learn the file's numbers, which are of this column, by ridge regression */
    const char *const *joined; /* cuts whose features stand beside those of `features`, each */
    size_t n_joined;           /* scaled by itself */
    eg_features *const
        *others; /* feature files of other networks, joined by the photos' contents: of each the */
    const eg_net *const
        *other_nets; /* cuts named that it has, or its first; [n_others], each file's network. */
    size_t n_others; /* All see the same pixels; each has its own normalisation */
};
/* One of several cuts that a classifier was grown on side by side. */
struct eg_joined {
    char *network, *cut; /* network NULL: not known */
    size_t length;
    const char *scale;
    double factor; /* of its scaled rows beside the others */
};
struct eg_grid_point {
    double c, cv_accuracy;
};
/* A scaling, at the few C that it was tried with before one was chosen. */
struct eg_scale_tried {
    const char *scale;
    size_t points;         /* C tried; the scaling chosen was then tried with all of the grid */
    double c, cv_accuracy; /* its best */
};
/* What a classifier came to on a cut. */
struct eg_compared {
    char *features; /* the cut's name in the file */
    size_t length;
    const char *classifier, *scale;
    double c, cv_accuracy, cv_low, cv_high; /* Wilson, 95 % */
    double seconds;                         /* of the cross-validation */
};
/* One photo, byte for byte, under two labels. */
struct eg_twice {
    char *path, *other;
};
/* features "auto": the best cut, then what helped most beside those before it, the last perhaps not enough.
 */
struct eg_selection {
    char *network, *cut; /* network NULL: not known */
    size_t length;
    const char *scale;
    bool taken;         /* it brings more than its noise */
    double cv_accuracy; /* with it */
    double gain, noise; /* paired, on rows held out; noise: the standard error */
    double seconds;     /* of one cross-validation with it */
};
struct eg_train_report {
    char *cut; /* its name in the file */
    const char *classifier, *scale;
    double c; /* NAN: has none */
    struct eg_grid_point *grid;
    size_t n_grid;
    struct eg_scale_tried scales[4]; /* scale "auto": those that were compared */
    size_t n_scales;
    double cv_accuracy;    /* NAN: no cross-validation */
    double objective, gap; /* NAN: has none */
    double reject_rate;    /* share of the held-out rows that it refuses; 0: none */
    double seconds;
    char **classes; /* in label order */
    size_t n_classes, n_train, n_unlabelled;
    size_t n_left_out;             /* rows of classes that were not chosen */
    size_t n_test_known;           /* test photos that are, byte for byte, training photos too */
    struct eg_metrics test;        /* n = 0: no test rows */
    struct eg_skipped *unreadable; /* of `test` photos */
    size_t n_unreadable;
    struct eg_compared *compared; /* "auto": best first */
    size_t n_compared;
    char **empty; /* classes without photos, which are left out */
    size_t n_empty;
    struct eg_twice *twice; /* photos that contradict themselves: at most 100 */
    size_t n_twice;
    unsigned folds;   /* of the cross-validation; 1: none */
    double *repeated; /* [n_repeated] cv_accuracy by other folds; the first is the one above */
    size_t n_repeated;
    double cv_mean, cv_deviation; /* of them */
    double nested;                /* as cv_accuracy, the choices made outside of each fold; only has_nested */
    bool has_nested;
    /* multi_label: cv_accuracy and the grid's are mean average precisions */
    struct eg_label_metrics labels; /* of the test; n = 0: no test rows */
    float *thresholds;              /* [n_classes] a label is said from there on; NULL: one class a photo */
    char **rare;             /* labels on too few photos to be learned, or on all, which are left out */
    size_t n_rare, n_copies; /* photos whose contents another one has */
    /* numbers: cv_accuracy and the grid's are R2 of rows held out */
    struct eg_number_metrics numbers;      /* of the test; n = 0: no test rows */
    char *target;                          /* the column; NULL: not numbers */
    double *number_truth, *number_answers; /* [numbers.n] */
    double penalty;                        /* of ridge regression, 1 / (2 C); NAN: another */
    struct eg_joined *joined;              /* several cuts: what each is; NULL: one */
    size_t n_joined;
    struct eg_selection *selection; /* features "auto" */
    size_t n_selection;
};

/* A feature file to a classifier of photos: one ONNX file.
 * net         the network that made the features (eg_net_load_of); NULL: the classifier is
 *             written alone, to be fed with features */
EG_API EG_MUST_CHECK enum eg_status eg_train(eg_features *features, const eg_net *net, const char *path,
                                             const struct eg_train_options *options,
                                             struct eg_train_report **report, struct eg_error *err);
EG_API void eg_train_report_free(struct eg_train_report *report);

/* What can be told of photos before their features are computed: two classes, and enough photos of
 * each for the test and the folds. EG_E_ARGUMENT says what is missing. */
EG_API EG_MUST_CHECK enum eg_status
eg_train_check(const eg_dataset *images, const struct eg_train_options *options, struct eg_error *err);

/* What a classifier that has not seen it says of every labelled row: a table path,label,fold, then a
 * column of probabilities for each class, named by it. options as for eg_train; folds are of all rows,
 * the test's too. EG_E_EXISTS if path exists and !options->overwrite. */
EG_API EG_MUST_CHECK enum eg_status eg_out_of_fold_csv(eg_features *features,
                                                       const struct eg_train_options *options,
                                                       const char *path, struct eg_error *err);

/* The same as numbers: how good a classifier is on photos that it has not seen, and what it says of each. */
struct eg_held_out_report {
    struct eg_metrics metrics;
    const char *classifier, *scale;
    double c; /* NAN: has none */
    unsigned folds;
    char **classes;       /* [metrics.n_classes] */
    size_t *rows;         /* [metrics.n] of the file, from the first on */
    int32_t *truth;       /* [metrics.n] */
    int32_t *answers;     /* [metrics.n] the likeliest */
    float *probabilities; /* [metrics.n][metrics.n_classes], calibrated */
};
EG_API EG_MUST_CHECK enum eg_status eg_held_out(eg_features *features, const struct eg_train_options *options,
                                                struct eg_held_out_report **report, struct eg_error *err);
EG_API void eg_held_out_report_free(struct eg_held_out_report *report);

/* ---- which photos to label next --------------------------------------------------------- */

/* Photos without labels in the order in which they would teach most: the least sure ones (whose likeliest
 * class has the smallest probability), each unlike those before it.
 * probabilities [n][k] what a classifier says of them; NULL: there is none, each unlike those before
 * features      [n][d], or NULL: the least sure first, however alike
 * most          so many are chosen with care, the rest follows by how sure it is; 0 = 64
 * order         [n] out
 * Cost          O(n log n + most^2 * d), without probabilities O(most * n * d) */
EG_API EG_MUST_CHECK enum eg_status eg_teaching_order(const float *probabilities, size_t n, size_t k,
                                                      const float *features, size_t d, size_t most,
                                                      size_t *order, struct eg_error *err);

/* Which cut, and which classifier on it: every cut of the file (options->features: that one),
 * each with logistic regression and the linear SVM (options->classifier: that one), at its best
 * scale and C by cross-validation on the training rows. The rows that eg_train would keep for
 * the test with the same options are not looked at. */
struct eg_comparison {
    struct eg_compared *compared; /* best first; of equals the shorter */
    size_t n_compared;
    size_t n_train, n_kept, n_unlabelled, n_classes; /* kept: for the test */
    unsigned folds;
    double seconds;
    struct eg_selection *selection; /* options->features "auto": of the best cuts those that are better side
                                       by side */
    size_t n_selection;
};
EG_API EG_MUST_CHECK enum eg_status eg_features_compare(eg_features *features,
                                                        const struct eg_train_options *options,
                                                        struct eg_comparison **comparison,
                                                        struct eg_error *err);
EG_API void eg_comparison_free(struct eg_comparison *comparison);

/* ---- the size of the network's input ------------------------------------------------------ */

/* size[2]: height and width of an input with as many pixels as net's, in the usual shape of the photos
 * (the median of 64 of them), its sides multiples of 32. EG_E_ARGUMENT: the images are an array. */
EG_API EG_MUST_CHECK enum eg_status eg_net_usual_size(const eg_net *net, const eg_dataset *images,
                                                      size_t size[2], struct eg_error *err);
struct eg_compared_input {
    size_t height, width;
    double cv_accuracy, seconds;
    enum eg_views views;
    double gain, noise; /* over the best before it, paired; noise: the standard error */
};
/* A network loaded with n sizes of its input, or views of it: with which does a linear classifier on `cut`
 * (NULL: the default one) do best, by cross-validation of the rows that are not kept for the test? Later
 * ones are taken where what they bring is more than its noise. Features are kept in PATH.input.h5 meanwhile.
 * options: as for eg_features_compare. compared[n], *best: out. Cost: a forward pass a photo and size. */
EG_API EG_MUST_CHECK enum eg_status eg_inputs_compare(const eg_net *const *nets, size_t n,
                                                      const eg_dataset *images, const char *path,
                                                      const struct eg_train_options *options, const char *cut,
                                                      struct eg_compared_input *compared, size_t *best,
                                                      struct eg_error *err);

/* ---- fine-tuning ---------------------------------------------------------------------- */

struct eg_epoch {
    unsigned phase; /* 0: the head alone, 1: with the unfrozen layers; 2 and up: fold phase - 1 of the
                       evidence, which is told to eg_epoch_fn but is not in the report */
    unsigned epoch, epochs;
    double train_loss, train_accuracy, valid_loss, valid_accuracy; /* NAN: no validation rows */
    double rate;                                                   /* of the last step */
    double seconds;
    bool best; /* the best so far */
};
typedef void eg_epoch_fn(void *user, const struct eg_epoch *epoch);

struct eg_tune_options {
    size_t size;            /* EG_SIZED(eg_tune_options) */
    const char *cut;        /* where the new head goes; NULL = the network's default cut */
    size_t hidden;          /* 0 = the head is one FC layer, which begins as the logistic regression on the
                               training photos; else FC hidden, ReLU, dropout, FC classes are added to it, the
                               last of them 0 at first */
    const char *unfreeze;   /* NULL or "half": the last half of the blocks below the cut; a layer or block:
                               from there up; "all"; "none": the head alone */
    unsigned epochs;        /* 0 = 10, or 30 for the head alone */
    double rate;            /* of the head, at its peak; 0 = 5e-4 (SGD: 3e-3); below 0: found by trying */
    const char *optimizer;  /* NULL = "adamw", or "sgd" */
    const char *augment;    /* NULL = "standard", or "light", "none" */
    unsigned views;         /* augmented views of a photo kept; 0 = new ones every epoch */
    double valid_fraction;  /* of the training rows, to choose the epoch by; 0 = none: all learn, and the
                               weights' average over the last steps is taken */
    double test_fraction;   /* 0 = 0.25; below 0: none */
    const char *group;      /* as in eg_train_options: of the test's and the validation's split */
    double label_smoothing; /* 0 = 0.1; below 0: none */
    double mixup;           /* alpha of its beta distribution; 0 = none */
    bool train_batch_norm;  /* learn batch norms of the unfrozen layers; otherwise as they are */
    size_t batch;           /* 0 = 16 */
    size_t memory_bytes; /* for values computed once; past it they go to a file; 0 = half of what there is */
    bool resume, overwrite;
    bool ranks; /* under MPI: every batch is divided among the ranks; built without: no meaning */
    uint64_t seed;
    const char *command; /* provenance */
    eg_pool *pool;
    eg_progress_fn *progress;
    eg_epoch_fn *epoch;
    void *user;
    int folds;       /* of the training rows, tuned again on the others to see what it brings: 0 = 3;
                        below 0: none; each costs less than learning once */
    bool keep_tuned; /* write the tuned network even where the linear classifier was better */
    bool estimate;   /* one fold alone, to see what it brings; nothing is written */
};
struct eg_rate_point {
    double rate, loss;
};
enum { EG_TUNE_SHARES = 5 };
/* What fine-tuning brought on photos that neither it nor the linear classifier had seen. */
struct eg_tune_evidence {
    const char *from; /* "folds", "validation", "test" (the two were chosen by it: its accuracy is a little
                         too good), or NULL: there was none */
    unsigned folds;
    size_t n;               /* photos judged */
    double tuned_accuracy;  /* the share chosen by the other folds */
    double linear_accuracy; /* of the better of logistic regression and SVM, as `auto` of eg_train */
    double gain, gain_low, gain_high; /* tuned minus linear, paired, 95 % */
    double seconds;                   /* that it took */
    double seconds_whole;             /* estimate: that all would take */
    /* Weights so far on the way from the linear start to the end (Wortsman et al. 2022). */
    double share[EG_TUNE_SHARES], share_accuracy[EG_TUNE_SHARES], share_loss[EG_TUNE_SHARES];
};
struct eg_tune_report {
    struct eg_train_report train; /* of what is written: classifier "mlp", or the linear one's name */
    struct eg_epoch *epochs;
    size_t n_epochs, n_valid;
    struct eg_rate_point *curve; /* of the rate finder; n_curve 0: it did not run */
    size_t n_curve;
    double rate;
    double linear_accuracy; /* of the linear classifier on the test rows; NAN: not measured */
    size_t rank;            /* the same is reported on every rank; the first has written the file */
    size_t input[2];        /* height and width of the network's input */
    char *unfrozen;         /* the lowest layer that learned; NULL: the head alone */
    double tuned_accuracy;  /* of the tuned network on the test rows; NAN: no test */
    double share;           /* of the way from the linear start to the end, which the tuned weights are */
    bool linear_written;    /* the linear classifier was better, and is in the file */
    double tuning_seconds;  /* of the epochs in `epochs` */
    struct eg_tune_evidence evidence;
};

/* Photos to a classifier whose new FC head, and the layers from the cut down to `unfreeze`,
 * are learned. The linear classifier on the same rows is a candidate: where fine-tuning was worse by the
 * evidence it is what is written (unless keep_tuned). After every epoch the state is saved to PATH.tuning:
 * with `resume` a run that was stopped goes on and ends with the same weights, bit for bit. EG_E_CANCELLED:
 * the best so far is in path. Cost: a forward and about two backward passes of the unfrozen layers per photo
 * and epoch, for the folds again; what lies below them is computed once a view.
 * With ranks every rank of the MPI job makes this call, with the same arguments and a folder of
 * PATH that all can read; gradients are summed, so that the batch and the losses are those of one. */
EG_API EG_MUST_CHECK enum eg_status eg_tune(const eg_net *net, const eg_dataset *images, const char *path,
                                            const struct eg_tune_options *options,
                                            struct eg_tune_report **report, struct eg_error *err);
EG_API void eg_tune_report_free(struct eg_tune_report *report);

#ifdef __cplusplus
}
#endif
#endif
