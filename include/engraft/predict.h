/* engraft/predict.h: a network, its recipe, and running it: all that an application needs that
 * uses a finished model.
 *
 * The conventions of engraft.h hold for every function here. */
#ifndef ENGRAFT_PREDICT_H
#define ENGRAFT_PREDICT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifndef EG_API
#define EG_API __attribute__((visibility("default")))
#endif
#define EG_MUST_CHECK __attribute__((warn_unused_result))

#ifdef __cplusplus
extern "C" {
#endif

/* The version of these headers; eg_version() is that of the library. */
#define EG_VERSION_MAJOR 0
#define EG_VERSION_MINOR 1
#define EG_VERSION_PATCH 0
#define EG_VERSION_AT_LEAST(major, minor, patch)                                                             \
    ((EG_VERSION_MAJOR)*1000000 + (EG_VERSION_MINOR)*1000 + (EG_VERSION_PATCH) >=                            \
     (major)*1000000 + (minor)*1000 + (patch))

/* The first member of every struct of options, so that later versions of the library can add more
 * at its end: `struct eg_net_options how = {EG_SIZED(eg_net_options), .height = 128}`. Without it (0)
 * the struct is taken as that of the library's own version: for what is built together with it. */
#define EG_SIZED(type) .size = sizeof(struct type)

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

/* Why, where a caller can do something about it: advice and exceptions go by these. Numbers stay
 * what they are; an unknown one is to be taken as OTHER. */
#define EG_REASON_MAP(XX)                                                                                    \
    XX(OTHER, 0, "the status and the message say all")                                                       \
    XX(OUTPUT_EXISTS, 1, "an output is there and may not be replaced")                                       \
    XX(OUTPUT_FOREIGN, 2, "an output is there and is not one to go on with")                                 \
    XX(MADE_OTHERWISE, 3, "a feature file is of another network, recipe, cut or type")                       \
    XX(PHOTOS_CHANGED, 4, "a feature file is of other photos or classes")                                    \
    XX(PHOTOS_OTHER, 5, "a feature file shares fewer than half of its photos with the list")                 \
    XX(RUN_UNFINISHED, 6, "there is an unfinished run under that name")                                      \
    XX(NETWORK_UNKNOWN, 7, "no network of that name")                                                        \
    XX(WEIGHTS_MISSING, 8, "a built-in network's weights are not there")                                     \
    XX(LAYER_UNKNOWN, 9, "no layer of that name")                                                            \
    XX(NOT_A_CUT, 10, "a layer that gives no features")                                                      \
    XX(NO_DEFAULT_CUT, 11, "the network has no default cut")                                                 \
    XX(NO_RECIPE, 12, "the network does not say how photos become its input")                                \
    XX(NETWORK_ELSEWHERE, 13, "the network that made the features is not found")                             \
    XX(NETWORK_OTHER, 14, "a network is not the one that made the features")                                 \
    XX(FEW_ROWS, 15, "a class has fewer rows than there are folds")                                          \
    XX(ONE_GROUP, 16, "all rows of a class are of one group")                                                \
    XX(NOT_TRAINED_HERE, 17, "no rows that a model kept for its test")                                       \
    XX(LEARNED_ALL, 18, "every row is one that the model learned from")                                      \
    XX(RATE_TOO_HIGH, 19, "learning diverged")                                                               \
    XX(NO_ROOM, 20, "a disk has no room")                                                                    \
    XX(HALF_OVERFLOW, 21, "a number too large for float16")                                                  \
    XX(SHARD_ELSEWHERE, 22, "a shard is not in its master's folder")                                         \
    XX(ONE_PROCESS, 23, "something that one process does alone")                                             \
    XX(SPLIT_FOLDERS, 24, "a folder's classes are train, val, test")                                         \
    XX(PAST_THE_CUT, 25, "a layer that the cut takes away")                                                  \
    XX(NOTHING_LEARNS, 26, "nothing that could be learned is left")                                          \
    XX(CLASS_UNKNOWN, 27, "no class of that name")                                                           \
    XX(CUT_UNKNOWN, 28, "a feature file has no cut of that name")                                            \
    XX(NO_PHOTOS, 29, "no photos there")                                                                     \
    XX(NO_LABELS, 30, "no labels there, or one class alone")                                                 \
    XX(MANY_RANKS, 31, "one of many ranks, and built without MPI")                                           \
    XX(PHOTOS_ELSEWHERE, 32, "photos are not where they were")                                               \
    XX(OPERATOR_UNKNOWN, 33, "an operator that is not known")                                                \
    XX(NO_CLASSIFIER, 34, "a network that gives no classes")                                                 \
    XX(LIBRARY_MISSING, 35, "a library that is loaded when needed is not installed")                         \
    XX(OPTION_UNKNOWN, 36, "options of a later version of this library")

enum eg_reason {
#define XX(name, code, text) EG_REASON_##name = code,
    EG_REASON_MAP(XX)
#undef XX
};

struct eg_error {
    enum eg_status status;
    enum eg_reason reason;
    char subject[512];  /* the file, layer, class, ... that `message` quotes first; may be empty */
    char message[1000]; /* lower case, no full stop: "cannot open 'a.jpg': ..." */
};

EG_API const char *eg_version(void); /* "0.1.0" */
EG_API const char *eg_cpu(void);     /* the kernel set in use: "avx2", "portable", ... */
/* Kinds of photos: "JPEG", "TIFF", ...; *read (may be NULL): does this build read them? NULL: past the last.
 */
EG_API const char *eg_photo_kind(size_t index, bool *read);
EG_API bool eg_has_icc(void); /* built with lcms2: recipes may convert colours */
EG_API const char *eg_status_text(enum eg_status status);
EG_API const char *eg_reason_name(enum eg_reason reason); /* "OUTPUT_EXISTS" */

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
enum eg_filter { EG_FILTER_BILINEAR, EG_FILTER_BICUBIC, EG_FILTER_NEAREST };

/* The recipe: how a photo becomes a network's input. It travels with the
 * network and into every feature file and trained model. The value of a sample
 * is (x * scale - mean[c]) / std[c], x in 0..255, c in the order of `channels`. */
/* Views of a photo, whose features are averaged at the cut. EG_VIEWS_FIVE: the network's input is cut from
 * the four corners and the middle of the resized square, size x size, which is then what a photo becomes. */
enum eg_views { EG_VIEWS_NONE, EG_VIEWS_FLIP, EG_VIEWS_FIVE };

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
    bool xmp;         /* with exif: the orientation of XMP and of PNG's raw profiles too */
    bool icc_srgb;    /* colours of a photo with an ICC profile of RGB are converted to sRGB */
    enum eg_views views;
};

/* Decode a photo of any supported kind, told by its bytes, upright by its EXIF orientation.
 * EG_E_FORMAT: damaged or no image. EG_E_UNSUPPORTED: a kind that is not built in, or more
 * than 256 million pixels (refused before any memory is taken). */
EG_API EG_MUST_CHECK enum eg_status eg_image_decode(const void *bytes, size_t n_bytes, struct eg_image *image,
                                                    struct eg_error *err);
EG_API void eg_image_release(struct eg_image *image);
/* Its size upright, pixels, from its header alone: whether to decode it. Errors as eg_image_decode. */
EG_API EG_MUST_CHECK enum eg_status eg_image_size(const void *bytes, size_t n_bytes, size_t *width,
                                                  size_t *height, struct eg_error *err);
/* As a PNG file, which has its name only when it is whole. EG_E_EXISTS: it is there, !overwrite. */
EG_API EG_MUST_CHECK enum eg_status eg_image_save_png(const struct eg_image *image, const char *path,
                                                      bool overwrite, struct eg_error *err);

/* A photo's bytes to a network's input: out [crop[0]][crop[1]][3] floats, in the recipe's
 * channel order. */
EG_API EG_MUST_CHECK enum eg_status eg_image_input(const void *bytes, size_t n_bytes,
                                                   const struct eg_recipe *recipe, float *out,
                                                   struct eg_error *err);

/* The same before normalisation: out [crop[0]][crop[1]][3] bytes R,G,B, for eg_run_forward_pixels. */
EG_API EG_MUST_CHECK enum eg_status eg_image_pixels(const void *bytes, size_t n_bytes,
                                                    const struct eg_recipe *recipe, uint8_t *out,
                                                    struct eg_error *err);

/* A preset ("torchvision", "keras-caffe", "keras-tf", "timm-bicubic", "efficientnet-lite",
 * "plain"), a JSON object, or the path of a file that holds one. */
EG_API EG_MUST_CHECK enum eg_status eg_recipe_load(const char *name, struct eg_recipe *recipe,
                                                   struct eg_error *err);
/* As JSON; free() it; NULL: no memory. Equal recipes give equal strings. */
EG_API char *eg_recipe_json(const struct eg_recipe *recipe);

/* ---- network --------------------------------------------------------------- */

struct eg_net_options {
    size_t size;            /* EG_SIZED(eg_net_options) */
    const char *folders;    /* "DIR:DIR": where the weights of built-in networks are looked for */
    const char *preprocess; /* a recipe (as eg_recipe_load) in place of the network's own */
    size_t height, width;   /* of the input, in place of the network's own */
    bool no_weights;        /* the weights may be missing: to look at, not to run */
    bool random_weights;    /* none are read: random ones, to measure speed */
    uint64_t seed;          /* of the random weights */
    bool trunk;             /* weights for a built-in network: its classifier is left out */
    bool
        borrow; /* eg_net_load_memory: the bytes outlive the network and its predictors, and are not copied */
    enum eg_views views; /* of every photo, in place of the recipe's own; none: as that says */
};

/* model       "efficientnet-lite0" (a built-in network, its weights found in `folders`);
 *             "net.onnx"; "vgg16=weights.pth"; "weights.safetensors" (matched by its contents) */
EG_API EG_MUST_CHECK enum eg_status eg_net_load(const char *model, const struct eg_net_options *options,
                                                eg_net **net, struct eg_error *err);
/* A model that is not a file: the bytes of an ONNX file, of which `options` takes preprocess, height, width
 * and borrow. EG_E_FORMAT: they are none. Cost: a copy of the bytes, unless they are borrowed. */
EG_API EG_MUST_CHECK enum eg_status eg_net_load_memory(const void *bytes, size_t n_bytes,
                                                       const struct eg_net_options *options, eg_net **net,
                                                       struct eg_error *err);
/* One more network of a classifier: from a photo it is given the pixels that `like` is given (its size, crop
 * and views), behind its own normalisation. Of options folders and trunk count. EG_E_SHAPE: it does not take
 * that size. */
EG_API EG_MUST_CHECK enum eg_status eg_net_load_like(const char *model, const struct eg_net_options *options,
                                                     const eg_net *like, eg_net **net, struct eg_error *err);
/* What is left when everything past a cut is taken away (NULL: nothing is; the input size asked
 * for is checked). Shares the weights. */
EG_API EG_MUST_CHECK enum eg_status eg_net_cut(const eg_net *net, const char *cut, eg_net **cut_net,
                                               struct eg_error *err);
EG_API void eg_net_free(eg_net *net);

enum { EG_RANK_MAX = 8 };
/* Of one image's value, the batch left out: [h][w][c] of an image or a map, [t][c] of tokens, [c] of a
 * vector; anything else in the order its file has it. */
struct eg_shape {
    size_t rank, dim[EG_RANK_MAX];
};

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
EG_API const char *eg_net_default_cut(const eg_net *net); /* NULL: none known */
/* Why a file could be read up to some layers only ("node 'x' (Op): ..."): those can be cut, the whole
 * network cannot be run. NULL: all of it was read. */
EG_API const char *eg_net_unread(const eg_net *net);
/* What its user should know of how it was read, a line each: weights that were not used, where the recipe
 * comes from. NULL: no more. */
EG_API const char *eg_net_remark(const eg_net *net, size_t index);
EG_API const struct eg_recipe *eg_net_recipe(const eg_net *net); /* NULL: the file carries none */
EG_API size_t eg_net_class_count(const eg_net *net);             /* length of the answer */
EG_API const char *eg_net_class_name(const eg_net *net, size_t index);
EG_API bool eg_net_is_trained(const eg_net *net); /* a classifier made by engraft */
/* Is its answer classes? False: features, as of a network that was cut or never had a last layer. */
EG_API bool eg_net_has_classifier(const eg_net *net);
/* What it answers: one class a photo; several labels, each with a probability of its own; a number, whose
 * name is that of its only class, and which stands where the probabilities do. */
enum eg_answer_kind { EG_ANSWER_CLASS, EG_ANSWER_LABELS, EG_ANSWER_VALUE };
EG_API enum eg_answer_kind eg_net_answer(const eg_net *net);
/* Of several labels: one is said where its probability is at or above this. NAN: another answer. */
EG_API float eg_net_threshold(const eg_net *net, size_t index);
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

/* ---- predictor --------------------------------------------------------------- */

/* A network made ready to answer again and again: planned, packed, its memory taken. A predictor works for
 * one thread at a time (two calls at once: EG_E_ARGUMENT); any number of them, one a thread, share one
 * network and, where they are made alike, one copy of its packed weights. */
typedef struct eg_predictor eg_predictor;

enum eg_pixels {
    EG_PIXELS_RGB,
    EG_PIXELS_BGR,
    EG_PIXELS_RGBA, /* put on white, as photos are */
    EG_PIXELS_BGRA,
    EG_PIXELS_GREY,
    EG_PIXELS_NV12, /* a plane of luma, then one of Cb, Cr in turn, half as high and wide, rounded up */
    EG_PIXELS_YUYV  /* Y Cb Y Cr: two pixels */
};

struct eg_frame {
    const uint8_t *pixels;
    size_t width, height; /* pixels */
    size_t stride;        /* bytes from row to row; 0: the rows follow each other */
    enum eg_pixels format;
    unsigned orientation;  /* 1 to 8 as EXIF has them; 0 = 1, upright */
    const uint8_t *chroma; /* NV12's second plane; NULL: right behind the first */
    size_t chroma_stride;  /* 0: that of luma */
    bool full_range;       /* NV12, YUYV (BT.601): 0..255, as JPEG; else 16..235, as video */
};

struct eg_photo_bytes { /* an encoded photo: the bytes of its file */
    const void *bytes;
    size_t n_bytes;
};

struct eg_predictor_options {
    size_t size;          /* EG_SIZED(eg_predictor_options) */
    unsigned threads;     /* of its own; 0 = 1, the caller's alone */
    size_t batch;         /* most frames or photos of a call; 0 = 1 */
    size_t width, height; /* of the largest frame: up to it eg_predict_pixels allocates nothing */
    bool probabilities;   /* answers carry those of all classes */
    const struct eg_run_cuts *features; /* answers carry the features at these cuts; NULL: none */
    bool features_only;                 /* no classification: what lies past the cuts is not run */
};

/* Its strings and arrays are the predictor's, until its next call. */
struct eg_prediction {
    const char *label; /* of the likeliest class; "unknown" where rejected; NULL: no classification */
    int32_t index;     /* of the class, as eg_net_class_name counts; -1: rejected or none */
    float probability; /* of the likeliest class; 0 where rejected; of EG_ANSWER_VALUE the number */
    bool rejected;     /* by a model that was taught to (the status is EG_OK all the same) */
    const char *error; /* not NULL: why the photo could not be read; all else is empty */
    const float *probabilities;   /* [n_probabilities], in order of the classes */
    size_t n_probabilities;       /* 0: not asked for */
    const float *const *features; /* [cut][eg_predictor_length(cut)]; NULL: not asked for */
    const void *reserved[3];
};

/* Plan, pack and take memory. The network may be freed before the predictor. EG_E_ARGUMENT: the network says
 * not how photos become its input, or has no classifier and no features are asked for. */
EG_API EG_MUST_CHECK enum eg_status eg_predictor_create(const eg_net *net,
                                                        const struct eg_predictor_options *options,
                                                        eg_predictor **predictor, struct eg_error *err);
EG_API size_t eg_predictor_length(const eg_predictor *predictor, size_t cut); /* floats */
EG_API size_t eg_predictor_bytes(const eg_predictor *predictor); /* its own memory, and the shared weights */
/* answers [n], n at most the batch. The recipe is applied as to a file with the same pixels, bit for bit.
 * EG_E_ARGUMENT: a frame that can be none, more than a batch, or the predictor is at work elsewhere. */
EG_API EG_MUST_CHECK enum eg_status eg_predict_pixels(eg_predictor *predictor, const struct eg_frame *frames,
                                                      size_t n, struct eg_prediction *answers,
                                                      struct eg_error *err);
/* The same of encoded photos. One that cannot be read is no failure: its answer says why. */
EG_API EG_MUST_CHECK enum eg_status eg_predict_bytes(eg_predictor *predictor,
                                                     const struct eg_photo_bytes *photos, size_t n,
                                                     struct eg_prediction *answers, struct eg_error *err);
EG_API void eg_predictor_free(eg_predictor *predictor);

/* ---- run --------------------------------------------------------------------- */

/* A cut is "LAYER" or "LAYER:POOL", POOL one of flatten, avg, max, gem; of tokens [t][c] avg, max and gem are
 * of the patches alone, "cls" is the class token, "cls-avg" both joined. */
struct eg_run_cuts {
    size_t size; /* EG_SIZED(eg_run_cuts) */
    const char *const *cuts;
    size_t n_cuts;     /* 0 = the network's default cut */
    const char *pool;  /* for cuts that name none; NULL = "flatten" */
    const char *order; /* of flattened volumes: NULL = "chw", or "hwc" */
    bool exact;        /* sums of products alone, no Winograd: slower, last digits differ */
};

/* Plan a forward pass that gives some cuts (NULL: the whole network's answer), and take all
 * its memory: later calls allocate nothing. The pool must outlive the run; the net need not.
 * A run, and its pool, belong to one thread at a time: two calls at once are EG_E_ARGUMENT. */
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

#ifdef __cplusplus
}
#endif
#endif
