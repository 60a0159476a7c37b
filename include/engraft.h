/* engraft.h: the public interface of libengraft.
 *
 * A function, type or constant that is not in this file is not public.
 *
 * Data flows one way:  image -> network, cut -> features (HDF5) -> model -> metrics
 *
 * Conventions that hold for every function below, and so are not repeated:
 *   errors     Functions that can fail return enum eg_status and take a last
 *              parameter `struct eg_error *err`, which may be NULL. It is
 *              written only on failure. Out-parameters are written only on
 *              success.
 *   ownership  Arguments are borrowed for the call. X_create/open/load/fit
 *              pair with X_free or X_close; X_free(NULL) does nothing.
 *              A returned const pointer lives as long as its object.
 *   options    Zero means "default" for every member; NULL means all zero.
 *   layout     Dense float arrays are row-major; images are N,H,W,C.
 *   threads    Distinct objects may be used from distinct threads. An eg_net
 *              and an eg_model are immutable once made and may be shared.
 */
#ifndef ENGRAFT_H
#define ENGRAFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef EG_API
#define EG_API __attribute__((visibility("default")))
#endif
#define EG_MUST_CHECK __attribute__((warn_unused_result))

/* ---- status ------------------------------------------------------------ */

#define EG_STATUS_MAP(XX)                                                                                    \
    XX(OK, 0, "no error")                                                                                    \
    XX(E_ARGUMENT, 1, "an argument is outside its documented range")                                         \
    XX(E_MEMORY, 2, "out of memory")                                                                         \
    XX(E_IO, 3, "a file could not be read or written")                                                       \
    XX(E_FORMAT, 4, "a file is not what it claims to be")                                                    \
    XX(E_UNSUPPORTED, 5, "well formed, but uses something not implemented")                                  \
    XX(E_SHAPE, 6, "tensor shapes do not fit together")                                                      \
    XX(E_NOT_FOUND, 7, "no layer, class or dataset of that name")                                            \
    XX(E_NUMERIC, 8, "a computation produced NaN or infinity")                                               \
    XX(E_CANCELLED, 9, "the progress callback asked to stop")                                                \
    XX(E_SYSTEM, 10, "an operating-system or MPI call failed")                                               \
    XX(E_EXISTS, 11, "the output exists and may not be overwritten")

enum eg_status {
#define XX(name, code, text) EG_##name = code,
    EG_STATUS_MAP(XX)
#undef XX
};

struct eg_error {
    enum eg_status status;
    char message[1000]; /* lower case, no full stop: "cannot open 'a.jpg': ..." */
};

EG_API const char *eg_version(void); /* "0.1.0" */
EG_API const char *eg_cpu(void);     /* the kernel set in use: "avx2", "portable", ... */
EG_API const char *eg_status_text(enum eg_status status);

/* ---- handles (typedef = you may not look inside) --------------------------- */

typedef struct eg_pool eg_pool;       /* worker threads */
typedef struct eg_dataset eg_dataset; /* a folder, CSV or array of images and their labels */
typedef struct eg_net eg_net;         /* a network, trained by somebody else or by engraft */
typedef struct eg_run eg_run;         /* a network cut at some layers, with its memory */
typedef struct eg_store eg_features;  /* an HDF5 feature file, open for reading */

/* Called between steps of long work, always from the calling thread.
 * Return false to stop: the caller then gets EG_E_CANCELLED. */
typedef bool eg_progress_fn(void *user, size_t done, size_t total);

/* n_threads   0 = the CPUs this process may use */
EG_API EG_MUST_CHECK enum eg_status eg_pool_create(unsigned n_threads, eg_pool **pool, struct eg_error *err);
EG_API unsigned eg_pool_threads(const eg_pool *pool);
EG_API void eg_pool_free(eg_pool *pool);

/* ---- image --------------------------------------------------------------- */

struct eg_image {
    uint8_t *rgb;         /* [height][width][3], owned */
    size_t height, width; /* pixels */
};

enum eg_resize { EG_RESIZE_SHORT, EG_RESIZE_SQUASH, EG_RESIZE_NONE };
enum eg_filter { EG_FILTER_BILINEAR, EG_FILTER_BICUBIC };

/* The recipe: how a photo becomes a network's input. It travels with the
 * network and into every feature file and trained model. The value of a sample
 * is (x * scale - mean[c]) / std[c], x in 0..255, c in the order of `channels`. */
struct eg_recipe {
    enum eg_resize resize;
    size_t size;    /* short side after resizing (EG_RESIZE_SHORT), pixels */
    size_t crop[2]; /* height, width of the network's input, pixels */
    enum eg_filter filter;
    bool antialias;
    bool bgr; /* channel order B,G,R instead of R,G,B */
    double scale;
    double mean[3], std[3];
    bool exif;        /* apply the EXIF orientation */
    bool fast_decode; /* scaled JPEG decoding allowed */
};

/* Decode a photo of any supported kind, told by its bytes, upright by its EXIF orientation.
 * EG_E_FORMAT: damaged or no image. EG_E_UNSUPPORTED: a kind that is not built in, or more
 * than 256 million pixels (refused before any memory is taken). */
EG_API EG_MUST_CHECK enum eg_status eg_image_decode(const void *bytes, size_t n_bytes, struct eg_image *image,
                                                    struct eg_error *err);
EG_API void eg_image_release(struct eg_image *image);

/* A photo's bytes to a network's input: out [crop[0]][crop[1]][3] floats, in the recipe's
 * channel order. */
EG_API EG_MUST_CHECK enum eg_status eg_image_input(const void *bytes, size_t n_bytes,
                                                   const struct eg_recipe *recipe, float *out,
                                                   struct eg_error *err);

/* A preset ("torchvision", "keras-caffe", "keras-tf", "timm-bicubic", "efficientnet-lite",
 * "plain"), a JSON object, or the path of a file that holds one. */
EG_API EG_MUST_CHECK enum eg_status eg_recipe_load(const char *name, struct eg_recipe *recipe,
                                                   struct eg_error *err);
/* As JSON; free() it; NULL: no memory. Equal recipes give equal strings. */
EG_API char *eg_recipe_json(const struct eg_recipe *recipe);

/* ---- dataset ------------------------------------------------------------- */

/* path        a folder (class = first folder below it), a CSV `path,label`, or a .npy array */
EG_API EG_MUST_CHECK enum eg_status eg_dataset_open(const char *path, eg_dataset **dataset,
                                                    struct eg_error *err);
/* Photos, or folders of them, without labels. */
EG_API EG_MUST_CHECK enum eg_status eg_dataset_list(const char *const *paths, size_t n_paths,
                                                    eg_dataset **dataset, struct eg_error *err);
EG_API size_t eg_dataset_count(const eg_dataset *dataset);
EG_API size_t eg_dataset_ignored(const eg_dataset *dataset); /* files that are no photos */
EG_API size_t eg_dataset_class_count(const eg_dataset *dataset);
EG_API const char *eg_dataset_class_name(const eg_dataset *dataset, size_t label);
/* label (may be NULL) gets -1 where there is none. */
EG_API const char *eg_dataset_path(const eg_dataset *dataset, size_t index, int32_t *label);
EG_API void eg_dataset_free(eg_dataset *dataset);

/* ---- network --------------------------------------------------------------- */

struct eg_net_options {
    const char *folders;    /* "DIR:DIR": where the weights of built-in networks are looked for */
    const char *preprocess; /* a recipe (as eg_recipe_load) in place of the network's own */
    size_t height, width;   /* of the input, in place of the network's own */
    bool no_weights;        /* the weights may be missing: to look at, not to run */
    bool random_weights;    /* none are read: random ones, to measure speed */
    uint64_t seed;          /* of the random weights */
};

/* model       "efficientnet-lite0" (a built-in network, its weights found in `folders`);
 *             "net.onnx"; "vgg16=weights.pth"; "weights.safetensors" (matched by its contents) */
EG_API EG_MUST_CHECK enum eg_status eg_net_load(const char *model, const struct eg_net_options *options,
                                                eg_net **net, struct eg_error *err);
/* The network whose features a file holds, with the recipe used there: found by its name in
 * `folders` or at the place it had, and checked by its hash. */
EG_API EG_MUST_CHECK enum eg_status eg_net_load_of(const eg_features *features, const char *folders,
                                                   eg_net **net, struct eg_error *err);
/* What is left when everything past a cut is taken away (NULL: nothing is; the input size asked
 * for is checked). Shares the weights. */
EG_API EG_MUST_CHECK enum eg_status eg_net_cut(const eg_net *net, const char *cut, eg_net **cut_net,
                                               struct eg_error *err);
/* Cuts worth comparing, as "LAYER:POOL" for eg_run_cuts, from the input up: the ends of layers or
 * blocks that all of what follows goes through (of many, some spread evenly over the work),
 * each with every pooling that makes no more than `longest` features.
 * layers      only these; n_layers 0 = all that are worth it
 * longest     0 = 32768, and the default cut whatever its length */
struct eg_cut_list {
    char **cuts;
    size_t n;
};
EG_API EG_MUST_CHECK enum eg_status eg_net_list_cuts(const eg_net *net, const char *const *layers,
                                                     size_t n_layers, size_t longest,
                                                     struct eg_cut_list *list, struct eg_error *err);
EG_API void eg_cut_list_release(struct eg_cut_list *list);
EG_API void eg_net_free(eg_net *net);

struct eg_shape {
    size_t h, w, c;
}; /* of one image's value; a vector is {1,1,c} */

struct eg_layer {
    const char *name; /* as in the weights file */
    const char *const *aliases;
    size_t n_aliases;
    const char *op;         /* "conv2d", "max_pool", ... */
    const uint32_t *inputs; /* layers; none for the input itself */
    size_t n_inputs;
    struct eg_shape shape;                      /* of the output */
    uint32_t kernel[2], stride[2], dilation[2]; /* 0 where the operator has none */
    uint32_t padding[4];                        /* top, left, bottom, right */
    uint32_t field[2]; /* receptive field: the pixels (height, width) that one value depends on */
    uint32_t jump[2];  /* pixels from one value to the next */
    uint32_t groups;
    uint64_t parameters; /* trainable */
    uint64_t macs;       /* multiply-adds for one image */
    bool cut;            /* features may be taken here */
};

EG_API const char *eg_net_name(const eg_net *net);
EG_API size_t eg_net_layer_count(const eg_net *net);
EG_API struct eg_layer eg_net_layer(const eg_net *net, size_t index);
/* By name, alias or "#31". EG_E_NOT_FOUND lists the nearest. */
EG_API EG_MUST_CHECK enum eg_status eg_net_find(const eg_net *net, const char *layer, size_t *index,
                                                struct eg_error *err);
EG_API const char *eg_net_default_cut(const eg_net *net);        /* NULL: none known */
EG_API const struct eg_recipe *eg_net_recipe(const eg_net *net); /* NULL: the file carries none */
EG_API size_t eg_net_class_count(const eg_net *net);             /* length of the answer */
EG_API const char *eg_net_class_name(const eg_net *net, size_t index);
EG_API bool eg_net_is_trained(const eg_net *net); /* a classifier made by engraft */
/* "engraft.cut", "engraft.classifier", ... of a file; NULL: none. Keys by index for listing. */
EG_API const char *eg_net_metadata(const eg_net *net, const char *key);
EG_API const char *eg_net_metadata_key(const eg_net *net, size_t index); /* NULL: past the last */
EG_API const char *eg_net_weights_path(const eg_net *net);               /* NULL: none */
/* Of the weights file's bytes, 64 digits and NUL: it is read for this. */
EG_API EG_MUST_CHECK enum eg_status eg_net_weights_sha256(const eg_net *net, char hex[65],
                                                          struct eg_error *err);

/* Built-in networks. */
struct eg_known_net {
    const char *name, *title;
    uint64_t parameters;
    const char *file, *sha256, *url, *licence; /* of the official weights; NULL: none known */
};
EG_API size_t eg_known_net_count(void);
EG_API struct eg_known_net eg_known_net_at(size_t index);
/* The weights eg_net_load would use; free() it; NULL: not found. */
EG_API char *eg_known_net_find_weights(const char *name, const char *folders);

struct eg_fetch_options {
    const char *folder;       /* that is there, to put the file into */
    const char *mirror;       /* the URL of a folder to get it from; NULL: its maker */
    eg_progress_fn *progress; /* bytes; NULL: none */
    void *user;
};
/* Download the official weights of a built-in network over HTTPS and check them by their
 * published checksum; what was cut off is gone on with. path (free() it) gets the file, also
 * with EG_E_EXISTS: it is there already. */
EG_API EG_MUST_CHECK enum eg_status eg_fetch(const char *name, const struct eg_fetch_options *options,
                                             char **path, struct eg_error *err);

/* One ONNX file: pixels 0..255 to probabilities, or to the features of a cut. */
struct eg_convert_options {
    const char *cut; /* NULL = the whole network */
    bool half;       /* weights as float16 */
    bool overwrite;
};
EG_API EG_MUST_CHECK enum eg_status eg_net_convert(const eg_net *net, const char *path,
                                                   const struct eg_convert_options *options,
                                                   struct eg_error *err);

/* ---- run --------------------------------------------------------------------- */

/* A cut is "LAYER" or "LAYER:POOL", POOL one of flatten, avg, max, gem. */
struct eg_run_cuts {
    const char *const *cuts;
    size_t n_cuts;     /* 0 = the network's default cut */
    const char *pool;  /* for cuts that name none; NULL = "flatten" */
    const char *order; /* of flattened volumes: NULL = "chw", or "hwc" */
    bool exact;        /* sums of products alone, no Winograd: slower, last digits differ */
};

/* Plan a forward pass that gives some cuts (NULL: the whole network's answer), and take all
 * its memory: later calls allocate nothing. The pool must outlive the run; the net need not.
 * A run belongs to one thread at a time. */
EG_API EG_MUST_CHECK enum eg_status eg_run_create(const eg_net *net, const struct eg_run_cuts *cuts,
                                                  size_t max_batch, eg_pool *pool, eg_run **run,
                                                  struct eg_error *err);
EG_API size_t eg_run_length(const eg_run *run, size_t cut); /* floats an image */
EG_API size_t eg_run_bytes(const eg_run *run);
/* images      [n][h][w][c] behind the recipe, n <= max_batch
 * out         for each cut [n][length] */
EG_API EG_MUST_CHECK enum eg_status eg_run_forward(eg_run *run, const float *images, size_t n,
                                                   float *const *out, struct eg_error *err);
/* The same from 8-bit RGB pixels [n][h][w][3]; the recipe's normalisation is done on the way. */
EG_API EG_MUST_CHECK enum eg_status eg_run_forward_pixels(eg_run *run, const struct eg_recipe *recipe,
                                                          const uint8_t *pixels, size_t n, float *const *out,
                                                          struct eg_error *err);

struct eg_step { /* what layers became after fusion */
    const char *name, *algorithm;
    uint64_t macs;
    double seconds; /* in the last forward pass */
};
EG_API void eg_run_time_steps(eg_run *run, bool on);
EG_API size_t eg_run_step_count(const eg_run *run);
EG_API struct eg_step eg_run_step(const eg_run *run, size_t index);
EG_API void eg_run_free(eg_run *run);

/* ---- classify ------------------------------------------------------------------ */

struct eg_guess {
    const char *label; /* "unknown" where rejected */
    int32_t index;     /* -1 where rejected */
    float probability;
};
struct eg_answer {
    const char *path;
    const char *error; /* NULL: it was read */
    const struct eg_guess *top;
    size_t n_top;
};
/* Called in order, once an image; pointers are good for the call. */
typedef void eg_answer_fn(void *user, const struct eg_answer *answer);

struct eg_classify_options {
    size_t top;   /* 0 = 5 */
    size_t batch; /* 0 = 8 */
    eg_pool *pool;
    eg_progress_fn *progress;
    void *user;
};
EG_API EG_MUST_CHECK enum eg_status eg_classify(const eg_net *net, const eg_dataset *images,
                                                const struct eg_classify_options *options,
                                                eg_answer_fn *answer, void *answer_user,
                                                struct eg_error *err);

/* ---- features (HDF5) -------------------------------------------------------------- */

struct eg_skipped {
    char *path, *reason;
};

struct eg_extract_options {
    struct eg_run_cuts cuts;
    bool half;        /* float16 on disk */
    size_t batch;     /* 0 = 8 */
    unsigned deflate; /* 1..9; 0 = none */
    bool no_exif, fast_decode;
    bool overwrite;
    bool append;            /* the images have changed: compute new and changed ones (eg_extract) */
    size_t shard, n_shards; /* only this part of the images, 0..n_shards-1; n_shards 0 = all */
    bool ranks;             /* under MPI: the images are divided among the ranks; built without: no meaning */
    const char *command;    /* provenance, written as given */
    eg_pool *pool;
    eg_progress_fn *progress;
    void *user;
};
struct eg_extracted_cut {
    char *name;
    size_t length;
};
struct eg_extract_report {
    size_t rows, resumed, done, ignored;
    struct eg_skipped *unreadable;
    size_t n_unreadable;
    struct eg_extracted_cut *cuts;
    size_t n_cuts;
    double seconds;
    size_t rank, n_ranks; /* n_ranks 1: alone; unreadable is of all rows where rank is 0, else of its own */
};

/* Photos to a feature file. Rows reach the disk every few seconds; a call that was stopped
 * (by progress, a signal, a crash) goes on where it was when called again with the same
 * network, recipe, cuts, type and files. With append the photos may be others
 * than before: told by path, then by contents, moved ones keep their row, those that are gone are
 * marked vanished.
 * With ranks every rank of the MPI job makes this call, with the same arguments. "a.h5" on N > 1
 * ranks becomes the shards "a.0-of-N.h5", ..., one contiguous part each, and a.h5, which joins them
 * (eg_features_merge). A program that calls more than once starts and ends MPI itself. */
EG_API EG_MUST_CHECK enum eg_status eg_extract(const eg_net *net, const eg_dataset *images, const char *path,
                                               const struct eg_extract_options *options,
                                               struct eg_extract_report *report, struct eg_error *err);
EG_API void eg_extract_report_release(struct eg_extract_report *report);

/* One file out of the finished shards of one listing, given in any order: virtual datasets over
 * them (they stay, in the same folder) or, with copy, a plain file. */
EG_API EG_MUST_CHECK enum eg_status eg_features_merge(const char *path, const char *const *shards,
                                                      size_t n_shards, bool copy, bool overwrite,
                                                      const char *command, struct eg_error *err);

struct eg_features_info {
    const char *network, *weights_sha256, *recipe; /* NULL: another program's file */
    const char *root, *command;
    size_t n_rows, n_cuts, n_classes;
    size_t n_done, n_waiting, n_unreadable, n_vanished;
    const char *const *classes;
};
struct eg_features_cut {
    const char *name, *layer, *op;
    struct eg_shape shape;
    const char *order, *pool;
    size_t length;
    bool half;
    unsigned deflate;
    uint64_t stored_bytes; /* of its rows, after compression; 0: they are in other files */
};
struct eg_features_row {
    const char *path;
    int32_t label;      /* -1: none */
    const char *status; /* "done", "waiting", "unreadable", "vanished" */
    const char *reason; /* NULL unless unreadable */
};

EG_API EG_MUST_CHECK enum eg_status eg_features_open(const char *path, eg_features **features,
                                                     struct eg_error *err);
EG_API struct eg_features_info eg_features_info(const eg_features *features);
EG_API struct eg_features_cut eg_features_cut(const eg_features *features, size_t cut);
EG_API EG_MUST_CHECK enum eg_status eg_features_find_cut(const eg_features *features, const char *name,
                                                         size_t *cut, struct eg_error *err);
EG_API struct eg_features_row eg_features_row(const eg_features *features, size_t row);
/* out         [count][length] */
EG_API EG_MUST_CHECK enum eg_status eg_features_read(eg_features *features, size_t cut, size_t first,
                                                     size_t count, float *out, struct eg_error *err);
/* Rows of a cut as a NumPy file, float32 [n_rows][length]. */
EG_API EG_MUST_CHECK enum eg_status eg_features_save_npy(eg_features *features, size_t cut,
                                                         const size_t *rows, size_t n_rows, const char *path,
                                                         bool overwrite, struct eg_error *err);
/* Runs that made the file; free() records. */
struct eg_history {
    char date[32], command[256], version[32], isa[32];
    uint64_t rows;
};
EG_API EG_MUST_CHECK enum eg_status eg_features_history(eg_features *features, struct eg_history **records,
                                                        size_t *n, struct eg_error *err);
/* Is the file sound? Every row is read: those that are done are finite and know their photo's
 * hash, those that could not be read say why, names are there and told apart. With `sample` some
 * rows that are done are computed again from their photos. */
struct eg_check_options {
    size_t sample;     /* rows to compute again, drawn by seed; 0 = none */
    const eg_net *net; /* with sample: what made the features (eg_net_load_of) */
    const char *root;  /* where the photos are now; NULL = where they were */
    uint64_t seed;
    eg_pool *pool;
    eg_progress_fn *progress;
    void *user;
};
struct eg_check_report {
    size_t n_rows, n_problems;
    struct eg_skipped *problems; /* of a row or, path "", of the file; at most 1000 */
    size_t n_listed;
    size_t n_recomputed, n_identical; /* bit for bit */
    double largest_difference;        /* of a recomputed value, in parts of its row's largest */
};
EG_API EG_MUST_CHECK enum eg_status eg_features_check(eg_features *features,
                                                      const struct eg_check_options *options,
                                                      struct eg_check_report *report, struct eg_error *err);
EG_API void eg_check_report_release(struct eg_check_report *report);

/* Groups of the same or nearly the same images: rows[starts[g]] up to rows[starts[g + 1]]. */
struct eg_groups {
    size_t n, *starts, *rows;
};
/* cosine      0 = the same file contents; else of the cut's features, every pair looked at */
EG_API EG_MUST_CHECK enum eg_status eg_features_duplicates(eg_features *features, size_t cut, double cosine,
                                                           eg_pool *pool, eg_progress_fn *progress,
                                                           void *user, struct eg_groups *groups,
                                                           struct eg_error *err);
EG_API void eg_groups_release(struct eg_groups *groups);
EG_API void eg_features_close(eg_features *features);

/* ---- training and evaluation -------------------------------------------------------- */

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

struct eg_train_options {
    const char *classifier; /* NULL = "logistic", or "svm", "forest", "mlp", "auto": the best of
                               eg_features_compare */
    const double *c;        /* grid of C; n_c 0 = the default one */
    size_t n_c;
    unsigned folds;       /* 0 = 5; 1 = no cross-validation */
    double test_fraction; /* 0 = 0.25; below 0: none, train on every row */
    const char *test;     /* a feature file or images to test on, in place of a part */
    const char *features; /* a cut in the file; NULL = the first, for "auto" all are compared */
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
    size_t memory_bytes;  /* 0 = half of the machine's */
    bool overwrite;
    uint64_t seed;
    const char *command; /* provenance */
    eg_pool *pool;
    eg_progress_fn *progress;
    void *user;
};
struct eg_grid_point {
    double c, cv_accuracy;
};
/* What a classifier came to on a cut. */
struct eg_compared {
    char *features; /* the cut's name in the file */
    size_t length;
    const char *classifier, *scale;
    double c, cv_accuracy, cv_low, cv_high; /* Wilson, 95 % */
    double seconds;                         /* of the cross-validation */
};
struct eg_train_report {
    char *cut; /* its name in the file */
    const char *classifier, *scale;
    double c; /* NAN: has none */
    struct eg_grid_point *grid;
    size_t n_grid;
    double cv_accuracy;    /* NAN: no cross-validation */
    double objective, gap; /* NAN: has none */
    double reject_rate;    /* share of the held-out rows that it refuses; 0: none */
    double seconds;
    char **classes; /* in label order */
    size_t n_classes, n_train, n_unlabelled;
    size_t n_test_known;           /* test photos that are, byte for byte, training photos too */
    struct eg_metrics test;        /* n = 0: no test rows */
    struct eg_skipped *unreadable; /* of `test` photos */
    size_t n_unreadable;
    struct eg_compared *compared; /* "auto": best first */
    size_t n_compared;
};

/* A feature file to a classifier of photos: one ONNX file.
 * net         the network that made the features (eg_net_load_of); NULL: the classifier is
 *             written alone, to be fed with features */
EG_API EG_MUST_CHECK enum eg_status eg_train(eg_features *features, const eg_net *net, const char *path,
                                             const struct eg_train_options *options,
                                             struct eg_train_report *report, struct eg_error *err);
EG_API void eg_train_report_release(struct eg_train_report *report);

/* Which cut, and which classifier on it: every cut of the file (options->features: that one),
 * each with logistic regression and the linear SVM (options->classifier: that one), at its best
 * scale and C by cross-validation on the training rows. The rows that eg_train would keep for
 * the test with the same options are not looked at. */
struct eg_comparison {
    struct eg_compared *compared; /* best first; of equals the shorter */
    size_t n_compared;
    size_t n_train, n_kept, n_unlabelled, n_classes; /* kept: for the test */
    double seconds;
};
EG_API EG_MUST_CHECK enum eg_status eg_features_compare(eg_features *features,
                                                        const struct eg_train_options *options,
                                                        struct eg_comparison *comparison,
                                                        struct eg_error *err);
EG_API void eg_comparison_release(struct eg_comparison *comparison);

enum eg_rows { EG_ROWS_AUTO, EG_ROWS_TEST, EG_ROWS_ALL };
struct eg_evaluate_options {
    enum eg_rows rows; /* auto: the test rows of the file it was trained from, else all */
    size_t batch;
    eg_pool *pool;
    eg_progress_fn *progress;
    void *user;
};
struct eg_evaluate_report {
    struct eg_metrics metrics;
    bool trained_here; /* the data are those the model was trained from */
    enum eg_rows rows; /* what was measured */
    size_t n_unlabelled;
    struct eg_skipped *unreadable;
    size_t n_unreadable;
};
/* data        a feature file or images */
EG_API EG_MUST_CHECK enum eg_status eg_evaluate(const eg_net *model, const char *data,
                                                const struct eg_evaluate_options *options,
                                                struct eg_evaluate_report *report, struct eg_error *err);
EG_API void eg_evaluate_report_release(struct eg_evaluate_report *report);

/* ---- fine-tuning ---------------------------------------------------------------------- */

struct eg_epoch {
    unsigned phase; /* 0: the head alone, 1: with the unfrozen layers */
    unsigned epoch, epochs;
    double train_loss, train_accuracy, valid_loss, valid_accuracy; /* NAN: no validation rows */
    double rate;                                                   /* of the last step */
    double seconds;
    bool best; /* the best so far */
};
typedef void eg_epoch_fn(void *user, const struct eg_epoch *epoch);

struct eg_tune_options {
    const char *cut;        /* where the new head goes; NULL = the network's default cut */
    size_t hidden;          /* of the head: FC hidden, ReLU, dropout, FC classes; 0 = 256 */
    bool linear_head;       /* one FC layer */
    const char *unfreeze;   /* NULL or "none": the head alone; a layer or block: from there up; "all" */
    unsigned epochs;        /* 0 = 10, or 30 for the head alone */
    double rate;            /* of the head, at its peak; 0 = found by trying */
    const char *optimizer;  /* NULL = "adamw", or "sgd" */
    const char *augment;    /* NULL = "standard", or "light", "none" */
    unsigned views;         /* augmented views of a photo kept; 0 = new ones every epoch */
    double valid_fraction;  /* of the training rows; 0 = 0.15; below 0: none, the last epoch is taken */
    double test_fraction;   /* 0 = 0.25; below 0: none */
    const char *group;      /* as in eg_train_options: of the test's and the validation's split */
    double label_smoothing; /* 0 = 0.1; below 0: none */
    double mixup;           /* alpha of its beta distribution; 0 = none */
    bool train_batch_norm;  /* learn batch norms of the unfrozen layers; otherwise as they are */
    size_t batch;           /* 0 = 16 */
    size_t memory_bytes; /* for values computed once; past it they go to a file; 0 = half of the machine's */
    bool resume, overwrite;
    bool ranks; /* under MPI: every batch is divided among the ranks; built without: no meaning */
    uint64_t seed;
    const char *command; /* provenance */
    eg_pool *pool;
    eg_progress_fn *progress;
    eg_epoch_fn *epoch;
    void *user;
};
struct eg_rate_point {
    double rate, loss;
};
struct eg_tune_report {
    struct eg_train_report train; /* classifier "mlp"; its test is of the tuned network */
    struct eg_epoch *epochs;
    size_t n_epochs, n_valid;
    struct eg_rate_point *curve; /* of the rate finder; n_curve 0: it did not run */
    size_t n_curve;
    double rate;
    double linear_accuracy; /* of a linear classifier on the same rows; NAN: not measured */
    size_t rank;            /* the same is reported on every rank; the first has written the file */
};

/* Photos to a classifier whose new FC head, and the layers from the cut down to `unfreeze`,
 * are learned. After every epoch the state is saved to PATH.tuning: with `resume` a run that
 * was stopped goes on and ends with the same weights, bit for bit. EG_E_CANCELLED: the best so
 * far is in path. Cost: a forward and about two backward passes of the unfrozen layers per photo
 * and epoch; what lies below them is computed once, or once a view.
 * With ranks every rank of the MPI job makes this call, with the same arguments and a folder of
 * PATH that all can read; gradients are summed, so that the batch and the losses are those of one. */
EG_API EG_MUST_CHECK enum eg_status eg_tune(const eg_net *net, const eg_dataset *images, const char *path,
                                            const struct eg_tune_options *options,
                                            struct eg_tune_report *report, struct eg_error *err);
EG_API void eg_tune_report_release(struct eg_tune_report *report);

#ifdef __cplusplus
}
#endif
#endif
