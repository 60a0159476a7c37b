/* store.h: the feature store: an HDF5 file of rows, one per image, one dataset per cut.
 * (The owner of this room draws the file's tree in store.c.) */
#ifndef EG_FEATURES_STORE_H
#define EG_FEATURES_STORE_H

#include "engraft.h"
#include "graph/cut_info.h"

enum eg_row_status { EG_ROW_WAITING, EG_ROW_DONE, EG_ROW_UNREADABLE, EG_ROW_VANISHED };

/* Do two recipes mean the same? */
typedef bool eg_same_recipe_fn(const char *a, const char *b);

/* Everything that must be equal for a run to resume a file; the first difference is named. */
struct eg_store_spec {
    const char *network, *weights_sha256, *recipe; /* recipe: JSON */
    const char *root, *command, *isa;              /* provenance, may differ */
    const char *model; /* the MODEL it came from, files by absolute path: where train looks; may differ */
    const struct eg_cut_info *cuts;
    size_t n_cuts;
    const char *const *paths; /* [n_rows], printable UTF-8, relative */
    const int32_t *labels;    /* [n_rows] */
    size_t n_rows;
    const char *const *classes;
    size_t n_classes;
    unsigned deflate;               /* 0 = none */
    size_t shard, n_shards;         /* this file is one of several; n_shards 0: it is whole */
    eg_same_recipe_fn *same_recipe; /* of a run that goes on; NULL: only by the same text */
    bool
        thumbnails; /* with small pictures of the photos; a file that has them gets them whatever this says */
    bool half_shared; /* eg__store_append: refuse a listing of which fewer than half are in the file */
};

struct eg_store;

/* Make the file, or open it to go on (same spec), with a writer's lock.
 * overwrite: begin anew. EG_E_EXISTS: exists with another spec (message: first difference)
 * or is no feature file; EG_E_IO: another writer holds it. */
EG_MUST_CHECK enum eg_status eg__store_write(const char *path, const struct eg_store_spec *spec,
                                             bool overwrite, struct eg_store **store, struct eg_error *err);
EG_MUST_CHECK enum eg_status eg__store_open(const char *path, struct eg_store **store,
                                            struct eg_error *err); /* to read */

/* Compression works on these threads; NULL: on the caller's. */
void eg__store_use_pool(struct eg_store *store, eg_pool *pool);

/* Go on with a file whose images have changed: spec is the listing as it is now (rows in the
 * file keep their order, new ones come behind them), hashes [n_rows][32] its images' contents.
 * Rows are told by path, then by contents: the same contents under another path is a moved
 * image and keeps its row; a row whose image is gone is marked vanished; classes that are new
 * come behind the old ones. Everything but the images must be as in the file. One commit:
 * after a crash it has happened or not. A path where there is no file is begun as by
 * eg__store_write. */
struct eg_append {
    size_t n; /* rows to compute: rows[i] from the listing's image images[i] */
    size_t *rows, *images;
    size_t *row_of; /* [listing] the row of every image; NULL: of a new file, the same number */
    size_t n_new, n_changed, n_moved, n_vanished;
};
EG_MUST_CHECK enum eg_status eg__store_append(const char *path, const struct eg_store_spec *spec,
                                              const uint8_t (*hashes)[32], struct eg_store **store,
                                              struct eg_append *append, struct eg_error *err);
void eg__append_release(struct eg_append *append);

/* A file of photos that come in a stream (store_grow.c): spec without paths and classes, n_rows: spare
 * ones to begin with (0: 128); its root tells such files from others. Begun, or gone on with. */
EG_MUST_CHECK enum eg_status eg__store_stream(const char *path, const struct eg_store_spec *spec,
                                              bool overwrite, struct eg_store **store, struct eg_error *err);
bool eg__store_has_done(const struct eg_store *store, const char *path); /* or it has arrived in this run */
struct eg_arrivals {
    size_t n;
    const char *const *paths;
    const int32_t *labels; /* -1, or of classes: of the stream; those that there are keep their number */
    const char *const *classes;
};
/* rows[i]: where to put them; SIZE_MAX: it is there already. */
EG_MUST_CHECK enum eg_status eg__store_arrive(struct eg_store *store, const struct eg_arrivals *arrivals,
                                              size_t *rows, struct eg_error *err);
/* The file gets as many rows as there are photos. ended: no more will come. */
EG_MUST_CHECK enum eg_status eg__store_trim(struct eg_store *store, bool ended, struct eg_error *err);

/* Small pictures (store_thumbs.c): a JPEG and zeros behind it, or zeros alone. */
enum { EG_THUMBNAIL_BYTES = 4096, EG_THUMBNAIL_SIDE = 96 };
EG_MUST_CHECK enum eg_status eg__store_put_thumbs(struct eg_store *store, const size_t *rows, size_t n,
                                                  const uint8_t (*thumbs)[EG_THUMBNAIL_BYTES],
                                                  struct eg_error *err);
bool eg__store_thumb(struct eg_store *store, size_t row, uint8_t jpeg[EG_THUMBNAIL_BYTES]);

/* Before an append: of images [n] whose files have these stamps (bytes and mtime in ns; 0 0:
 * unknown) known[i] is set where the file at `path` knows the contents by path and stamp
 * (hashes[i] gets them), or has not computed them yet. No such file: nothing is known. */
EG_MUST_CHECK enum eg_status eg__store_known(const char *path, const char *const *paths, size_t n,
                                             const int64_t (*stamps)[2], uint8_t (*hashes)[32], bool *known,
                                             struct eg_error *err);
/* The stamps of rows, taken before their photos were read. */
EG_MUST_CHECK enum eg_status eg__store_put_stamps(struct eg_store *store, const size_t *rows, size_t n,
                                                  const int64_t (*stamps)[2], struct eg_error *err);

/* Rows [*first, *first + *count) of n are shard `shard` of n_shards. */
void eg__shard_range(size_t n, size_t shard, size_t n_shards, size_t *first, size_t *count);

/* One file out of finished shards: virtual datasets over them (they stay, in the same folder),
 * or with `copy` a plain file. Shards may be given in any order; one missing, given twice, not
 * finished or made otherwise is refused by name. */
EG_MUST_CHECK enum eg_status eg__store_merge(const char *path, const char *const *shards, size_t n_shards,
                                             bool copy, bool overwrite, const char *command,
                                             struct eg_error *err);

/* EG_E_ARGUMENT: a file of such a name cannot be referred to by a master. */
EG_MUST_CHECK enum eg_status eg__store_check_shard_names(const char *const *shards, size_t n_shards,
                                                         struct eg_error *err);
/* Is the file what a merge without copy makes of just these shards, there or not? */
EG_MUST_CHECK enum eg_status eg__store_joins(const char *path, const char *const *shards, size_t n_shards,
                                             bool *joins);

/* The spec as found in the file, strings owned by the store. */
const struct eg_store_spec *eg__store_spec(const struct eg_store *store);
const uint8_t *eg__store_status(const struct eg_store *store);          /* [n_rows] */
const char *eg__store_reason(const struct eg_store *store, size_t row); /* of an unreadable row */

/* Put `count` finished rows at first..: values[cut] is [count][D] floats; hashes [count][32];
 * reasons[i] NULL = done, else unreadable and why (its values are ignored). Buffered;
 * durable after checkpoint, which eg__store_put calls by itself every few seconds. */
EG_MUST_CHECK enum eg_status eg__store_put(struct eg_store *store, size_t first, size_t count,
                                           const float *const *values, const uint8_t (*hashes)[32],
                                           const char *const *reasons, struct eg_error *err);
EG_MUST_CHECK enum eg_status eg__store_checkpoint(struct eg_store *store, struct eg_error *err);

/* Bytes of a cut in the file, after compression; 0: its rows are in other files. */
uint64_t eg__store_cut_bytes(const struct eg_store *store, size_t cut);

/* Rows first.. of a cut as [count][D] floats; or any list of rows (sorted by us for disk). */
EG_MUST_CHECK enum eg_status eg__store_read(struct eg_store *store, size_t cut, size_t first, size_t count,
                                            float *out, struct eg_error *err);
EG_MUST_CHECK enum eg_status eg__store_gather(struct eg_store *store, size_t cut, const size_t *rows,
                                              size_t count, float *out, struct eg_error *err);
EG_MUST_CHECK enum eg_status eg__store_hashes(struct eg_store *store, size_t first, size_t count,
                                              uint8_t (*hashes)[32], struct eg_error *err);

/* Labels that a person has said are right (store_confirmed.c): confirmed [n_rows]; and say so of rows
 * of the file at path, which has n_rows, or (right: false) take it back. */
EG_MUST_CHECK enum eg_status eg__store_confirmed(struct eg_store *store, uint8_t *confirmed,
                                                 struct eg_error *err);
EG_MUST_CHECK enum eg_status eg__store_confirm(const char *path, const size_t *rows, size_t n_rows, size_t n,
                                               bool right, struct eg_error *err);

/* Several labels a row: sets [n_rows][n_classes], to be freed; NULL: the file has none. Numbers to learn
 * [n_rows], NAN: none; column (NULL: not said): what they are of; EG_E_NOT_FOUND: the file has none. And
 * written whole, to a file that is not open (store_targets.c). */
EG_MUST_CHECK enum eg_status eg__store_label_sets(struct eg_store *store, uint8_t **sets,
                                                  struct eg_error *err);
EG_MUST_CHECK enum eg_status eg__store_numbers(struct eg_store *store, double **numbers, char **column,
                                               struct eg_error *err);
EG_MUST_CHECK enum eg_status eg__store_put_label_sets(const char *path, const uint8_t *sets, size_t n_rows,
                                                      size_t n_classes, struct eg_error *err);
EG_MUST_CHECK enum eg_status eg__store_put_numbers(const char *path, const double *numbers, size_t n_rows,
                                                   const char *column, struct eg_error *err);

/* "pool5", a cut's name; NULL or "features": the first. */
EG_MUST_CHECK enum eg_status eg__store_find_cut(const struct eg_store *store, const char *name, size_t *cut,
                                                struct eg_error *err);

EG_MUST_CHECK enum eg_status eg__store_history(struct eg_store *store, struct eg_history **records, size_t *n,
                                               struct eg_error *err);

/* Ends writing with a history record; can fail: it flushes. */
EG_MUST_CHECK enum eg_status eg__store_close(struct eg_store *store, struct eg_error *err);

/* Reads every row, and tells of each thing that is not as it has to be: row SIZE_MAX: not of one
 * row. A status other than EG_OK from `problem` stops. */
typedef enum eg_status eg_problem_fn(void *context, size_t row, const char *words);
EG_MUST_CHECK enum eg_status eg__store_check(struct eg_store *store, eg_problem_fn *problem, void *context,
                                             eg_progress_fn *progress, void *user, struct eg_error *err);

/* Images that are the same or nearly so: groups' rows in ascending order, groups by first row. */
/* The same bytes: equal hashes. n log n. */
EG_MUST_CHECK enum eg_status eg__store_duplicates(struct eg_store *store, struct eg_groups *groups,
                                                  struct eg_error *err);
/* Nearly: cosine of a cut's features at least `cosine`, and so on from row to row. Every pair is
 * looked at, in blocks of rows that fit memory_bytes (0: 256 MiB); n^2 d / 2 multiplications. */
EG_MUST_CHECK enum eg_status eg__store_near_duplicates(struct eg_store *store, size_t cut, double cosine,
                                                       size_t memory_bytes, eg_pool *pool,
                                                       eg_progress_fn *progress, void *user,
                                                       struct eg_groups *groups, struct eg_error *err);
#endif
