/* engraft/features.h: data sets of photos, and their features in HDF5 files.
 *
 * The conventions of engraft.h hold for every function here. */
#ifndef ENGRAFT_FEATURES_H
#define ENGRAFT_FEATURES_H

#include "engraft/predict.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- dataset ------------------------------------------------------------- */

/* path        a folder (class = first folder below it), a CSV `path,label`, a .npy array, an archive (.tar,
 *             .zip, .tar.gz, .tar.zst, ...: class = first folder in it, or key.cls, key.json beside key.jpg),
 *             a folder in one ("x.tar/train"), or several ("shards/{000..127}.tar")
 * Photos in compressed tars come in their order there; reading them in another is slow. */
EG_API EG_MUST_CHECK enum eg_status eg_dataset_open(const char *path, eg_dataset **dataset,
                                                    struct eg_error *err);
/* Photos, or folders of them, without labels. */
EG_API EG_MUST_CHECK enum eg_status eg_dataset_list(const char *const *paths, size_t n_paths,
                                                    eg_dataset **dataset, struct eg_error *err);
struct eg_dataset_options {
    size_t size;                /* EG_SIZED(eg_dataset_options) */
    bool unlabelled;            /* as eg_dataset_list; several paths always are */
    const char *const *exclude; /* shell patterns ("*_mask.png", "old") of paths or names to leave out */
    size_t n_exclude;
    const char *several; /* a path may be listed more than once, with other labels: its class is then all of
                            them with this text between ("cat;indoors"); NULL: that is a mistake */
    const char *number;  /* a column of a CSV with a number for each photo (empty: none); NULL: not read */
};
EG_API EG_MUST_CHECK enum eg_status eg_dataset_scan(const char *const *paths, size_t n_paths,
                                                    const struct eg_dataset_options *options,
                                                    eg_dataset **dataset, struct eg_error *err);
/* A tar, compressed or not, that comes through a pipe (fd stays the caller's): what photos there are is known
 * only as they come, so that it is for eg_extract and eg_classify alone, once; until then it counts none.
 * Their names are those in the tar. What options point to is to live as long as the data set. */
EG_API EG_MUST_CHECK enum eg_status eg_dataset_stream(int fd, const struct eg_dataset_options *options,
                                                      eg_dataset **dataset, struct eg_error *err);
EG_API size_t eg_dataset_count(const eg_dataset *dataset);
/* What was left out: files that are no photos, or of a kind that is not read; folders of rubbish
 * (@eaDir, $RECYCLE.BIN, ...) as one each; what was excluded. */
EG_API size_t eg_dataset_ignored(const eg_dataset *dataset);
struct eg_ignored {
    const char *kind; /* "TIFF", ".txt", "@eaDir", "excluded" */
    size_t n;
    const char *example; /* one of them */
    const char *advice;  /* a picture that is not read: what would read it; else NULL */
};
EG_API size_t eg_dataset_ignored_kinds(const eg_dataset *dataset);
EG_API struct eg_ignored eg_dataset_ignored_kind(const eg_dataset *dataset, size_t index); /* most first */
/* Sentences that people had better read ("classes 'Bird' and 'bird' look alike"); NULL: past the last. */
EG_API const char *eg_dataset_remark(const eg_dataset *dataset, size_t index);
EG_API size_t eg_dataset_class_count(const eg_dataset *dataset);
EG_API const char *eg_dataset_class_name(const eg_dataset *dataset, size_t label);
/* label (may be NULL) gets -1 where there is none. */
EG_API const char *eg_dataset_path(const eg_dataset *dataset, size_t index, int32_t *label);
/* Leave out the images for which keep() says no; in order, once each. None may be left. Of a stream it is
 * asked when they come, and user is to live until then. */
typedef bool eg_keep_fn(void *user, size_t index);
EG_API void eg_dataset_keep(eg_dataset *dataset, eg_keep_fn *keep, void *user);
EG_API void eg_dataset_free(eg_dataset *dataset);

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
    const struct eg_guess *labels; /* several labels a photo: those said, the likeliest first; else NULL */
    size_t n_labels;
    double value; /* a number a photo, where top is NULL; else no meaning */
};
/* Called in order, once an image; pointers are good for the call. */
typedef void eg_answer_fn(void *user, const struct eg_answer *answer);

/* The same order of what a predictor of this network answered: top [n] gets the n likeliest, ties in the
 * order of the classes, "unknown" first where rejected; how many it got, at most the classes. The prediction
 * carries the probabilities of all classes and could be read, else 0. Labels are the network's. */
EG_API size_t eg_prediction_top(const eg_net *net, const struct eg_prediction *prediction,
                                struct eg_guess *top, size_t n);
/* Of several labels those said, the likeliest first: labels [eg_net_class_count(net)]; how many. */
EG_API size_t eg_prediction_labels(const eg_net *net, const struct eg_prediction *prediction,
                                   struct eg_guess *labels);

struct eg_classify_options {
    size_t size;  /* EG_SIZED(eg_classify_options) */
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

/* ---- photos into folders by what they are --------------------------------------------------- */

/* Photos moved (or linked) into folder/LABEL/, all by one plan that outlives a crash and can be undone. Where
 * a name is taken the photo gets a suffix ("1-2.jpg"); one that lies there already stays. What an earlier
 * call was stopped in is finished by eg_sorting_create. Several processes may sort into one folder. */
typedef struct eg_sorting eg_sorting;
/* The folder is made where it is not there. link: symbolic links to the photos, which stay. */
EG_API EG_MUST_CHECK enum eg_status eg_sorting_create(const char *folder, bool link, eg_sorting **sorting,
                                                      struct eg_error *err);
/* path as in an answer, relative to the working folder or not. A label that no folder can have is changed
 * ("/" to "_"). Nothing is moved yet. */
EG_API EG_MUST_CHECK enum eg_status eg_sorting_add(eg_sorting *sorting, const char *path, const char *label,
                                                   struct eg_error *err);
struct eg_sorted {
    size_t done;     /* photos that have a new place, or a link */
    size_t stayed;   /* that were there already */
    size_t finished; /* of an earlier call */
    char *journal;   /* for eg_sorting_undo; NULL: nothing was done */
    struct eg_skipped *skipped;
    size_t n_skipped;
};
/* Once, after all were added. Cost: a rename and some file look-ups a photo. */
EG_API EG_MUST_CHECK enum eg_status eg_sorting_apply(eg_sorting *sorting, struct eg_sorted *sorted,
                                                     struct eg_error *err);
EG_API void eg_sorting_free(eg_sorting *sorting);
/* Everything that a journal tells of goes back, as far as it is still there; then the journal goes.
 * EG_E_NOT_FOUND: there is none; EG_E_FORMAT: it is none. */
EG_API EG_MUST_CHECK enum eg_status eg_sorting_undo(const char *journal, struct eg_sorted *sorted,
                                                    struct eg_error *err);
EG_API void eg_sorted_release(struct eg_sorted *sorted);

/* ---- getting and writing networks ------------------------------------------------ */

struct eg_fetch_options {
    size_t size;              /* EG_SIZED(eg_fetch_options) */
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
    size_t size;     /* EG_SIZED(eg_convert_options) */
    const char *cut; /* NULL = the whole network */
    bool half;       /* weights as float16 */
    bool overwrite;
};
EG_API EG_MUST_CHECK enum eg_status eg_net_convert(const eg_net *net, const char *path,
                                                   const struct eg_convert_options *options,
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

/* ---- features (HDF5) -------------------------------------------------------------- */

struct eg_skipped {
    char *path, *reason;
};

struct eg_extract_options {
    size_t size;                    /* EG_SIZED(eg_extract_options) */
    const struct eg_run_cuts *cuts; /* NULL: the default cut */
    bool half;                      /* float16 on disk */
    size_t batch;                   /* 0 = 8 */
    unsigned deflate;               /* 1..9; 0 = none */
    bool no_exif, fast_decode;
    bool overwrite;
    bool append;            /* the images have changed: compute new and changed ones (eg_extract) */
    size_t shard, n_shards; /* only this part of the images, 0..n_shards-1; n_shards 0 = all */
    bool ranks;             /* under MPI: the images are divided among the ranks; built without: no meaning */
    const char *command;    /* provenance, written as given */
    eg_pool *pool;
    eg_progress_fn *progress;
    void *user;
    bool update;      /* as append, but a listing that shares fewer than half of its photos with the file
                         (EG_REASON_PHOTOS_OTHER) is refused */
    bool icc_srgb;    /* colours of photos with an ICC profile are converted to sRGB */
    bool thumbnails;  /* small pictures too, 4 KB a photo: /thumbnails, JPEG of at most 96 pixels a side */
    bool multi_label; /* classes are the parts of the data's class names, and /label_sets has all of a photo's
                       */
    const char *labels_sep; /* between the parts; NULL = ";" */
    const char *number;     /* the column that the data's numbers are of, which become /targets; NULL: none */
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
    /* with append or update: photos that were not in the file, have other contents, are under another
     * name, are no longer there */
    size_t n_new, n_changed, n_moved, n_gone;
};

/* Photos to a feature file. Rows reach the disk every few seconds; a call that was stopped
 * (by progress, a signal, a crash) goes on where it was when called again with the same
 * network, recipe, cuts, type and files. With append the photos may be others
 * than before: told by path, then by contents, moved ones keep their row, those that are gone are
 * marked vanished.
 * Of a stream (eg_dataset_stream) progress knows no total (0); photos that the file has by their names are
 * passed over. A stream that breaks off is EG_E_FORMAT: what came before is kept.
 * With ranks every rank of the MPI job makes this call, with the same arguments. "a.h5" on N > 1
 * ranks becomes the shards "a.0-of-N.h5", ..., one contiguous part each, and a.h5, which joins them
 * (eg_features_merge). A program that calls more than once starts and ends MPI itself. */
EG_API EG_MUST_CHECK enum eg_status eg_extract(const eg_net *net, const eg_dataset *images, const char *path,
                                               const struct eg_extract_options *options,
                                               struct eg_extract_report **report, struct eg_error *err);
EG_API bool eg_has_tar(void); /* built with libarchive: tars can be photos' folders */
EG_API bool eg_has_mpi(void); /* built with MPI: `ranks` has a meaning */
EG_API void eg_extract_report_free(struct eg_extract_report *report);

/* What eg_extract would cost here, from up to 256 photos spread over the listing (of the shard, where options
 * name one). Nothing is written. path: where the file would be; NULL: the working folder.
 * Cost        those photos, and one batch of them again */
struct eg_estimate {
    size_t photos, sampled, unreadable; /* unreadable: of the sample */
    double seconds;                     /* that the sample took */
    double hours, core_hours;           /* for all of them, on this machine, with this pool */
    uint64_t bytes;                     /* of the file, before compression */
    uint64_t free_bytes;                /* of the disk; UINT64_MAX: not known */
};
EG_API EG_MUST_CHECK enum eg_status eg_extract_estimate(const eg_net *net, const eg_dataset *images,
                                                        const char *path,
                                                        const struct eg_extract_options *options,
                                                        struct eg_estimate *estimate, struct eg_error *err);

/* One file out of the finished shards of one listing, given in any order: virtual datasets over
 * them (they stay, in the same folder) or, with copy, a plain file. */
EG_API EG_MUST_CHECK enum eg_status eg_features_merge(const char *path, const char *const *shards,
                                                      size_t n_shards, bool copy, bool overwrite,
                                                      const char *command, struct eg_error *err);

/* Shards added up, and what is missing before they can be merged. */
struct eg_shard_file {
    char *file, *error;  /* error NULL: it was read */
    bool whole;          /* no shard: a file of its own */
    bool made_otherwise; /* another network, recipe, cut or number of shards than the first; or whole */
    size_t shard;        /* from 0 */
    size_t rows, done, waiting, unreadable;
};
struct eg_shards_report {
    struct eg_shard_file *files; /* as given */
    size_t n_files, n_broken;    /* broken: could not be read */
    size_t n_shards;             /* as they say themselves; 0: none is a shard */
    size_t rows, done, waiting, unreadable;
    size_t *missing, n_missing, *twice, n_twice; /* numbers */
    bool complete;                               /* eg_features_merge can have them */
};
EG_API EG_MUST_CHECK enum eg_status eg_features_count_shards(const char *const *files, size_t n_files,
                                                             struct eg_shards_report **report,
                                                             struct eg_error *err);
EG_API void eg_shards_report_free(struct eg_shards_report *report);

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
    size_t size;       /* EG_SIZED(eg_check_options) */
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
                                                      struct eg_check_report **report, struct eg_error *err);
EG_API void eg_check_report_free(struct eg_check_report *report);

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
/* The same photo in two classes. free() the array; the paths and names are the file's. */
struct eg_contradiction {
    const char *path, *other_path;
    const char *label, *other_label;
};
EG_API EG_MUST_CHECK enum eg_status eg_features_contradictions(eg_features *features,
                                                               struct eg_contradiction **contradictions,
                                                               size_t *n, struct eg_error *err);
EG_API void eg_features_close(eg_features *features);

/* Say of rows [n] that a person has looked at their labels and they are right (an audit then leaves them
 * alone), or take that back. The file at path must not be open for writing elsewhere. */
EG_API EG_MUST_CHECK enum eg_status eg_features_confirm(const char *path, const size_t *rows, size_t n,
                                                        bool right, struct eg_error *err);
/* What a classifier that was trained on features of this file says of rows [n], without their photos.
 * probabilities [n][eg_net_class_count(model)]; labels [n] (may be NULL): the likeliest class, -1: rejected.
 * EG_E_ARGUMENT: the features are of other weights or another recipe. Cost: that of its last layers. */
EG_API EG_MUST_CHECK enum eg_status eg_features_judge(eg_features *features, const eg_net *model,
                                                      const size_t *rows, size_t n, eg_pool *pool,
                                                      float *probabilities, int32_t *labels,
                                                      struct eg_error *err);

/* The network whose features a file holds, with the recipe used there: found by its name in
 * `folders` or at the place it had, and checked by its hash. */
EG_API EG_MUST_CHECK enum eg_status eg_net_load_of(const eg_features *features, const char *folders,
                                                   eg_net **net, struct eg_error *err);

/* ---- photos that change their place --------------------------------------------------------- */

struct eg_photo_move {
    const char *from, *to; /* files; both below the folder */
};
struct eg_moves_report {
    size_t done;
    char **places; /* [n] where each came to, below the folder ("name-2.jpg" where the name was taken);
                      NULL: it was not moved. After eg_moves_undo and eg_moves_finish: none */
    size_t n;
    struct eg_skipped *skipped; /* and why not */
    size_t n_skipped;
};
/* Move files as one plan: `journal`, a file that is not there yet, is durable before the first file moves,
 * so that after a crash eg_moves_finish does what is left, and eg_moves_undo takes all of it back as far as
 * files are still those. Folders are made as they are needed. EG_E_EXISTS: the journal is there. */
EG_API EG_MUST_CHECK enum eg_status eg_moves_apply(const char *folder, const struct eg_photo_move *moves,
                                                   size_t n, const char *journal,
                                                   struct eg_moves_report **report, struct eg_error *err);
/* EG_E_NOT_FOUND: nothing was begun under this name. */
EG_API EG_MUST_CHECK enum eg_status eg_moves_finish(const char *folder, const char *journal,
                                                    struct eg_moves_report **report, struct eg_error *err);
EG_API EG_MUST_CHECK enum eg_status eg_moves_undo(const char *folder, const char *journal,
                                                  struct eg_moves_report **report, struct eg_error *err);
EG_API void eg_moves_report_free(struct eg_moves_report *report);

/* A picture as a JPEG file in memory, no larger than `side` pixels on its longer side (0: as it is).
 * quality 1 to 100 (0 = 80). *bytes: free() it. */
EG_API EG_MUST_CHECK enum eg_status eg_image_jpeg(const struct eg_image *image, size_t side, int quality,
                                                  void **bytes, size_t *n_bytes, struct eg_error *err);

#ifdef __cplusplus
}
#endif
#endif
