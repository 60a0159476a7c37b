/* dataset.h: a folder, CSV or array of images with their labels, in byte order of path. */
#ifndef EG_IMAGE_DATASET_H
#define EG_IMAGE_DATASET_H

#include "engraft.h"

struct eg_dataset_item {
    const char *path; /* as stored in the feature file: relative, printable UTF-8; x.npy#0 for arrays */
    int32_t label;    /* -1: unlabelled */
    size_t array_row; /* of an array */
    double number;    /* of the column asked for; NAN: none */
    const char *file; /* the name that opens it, byte for byte, below root; NULL for arrays */
    struct eg_archive *archive; /* that it is in, as this member; NULL: a file of its own */
    size_t member;
};

struct eg_npy;
struct eg_archive;
struct eg_stream;

/* What was left out, of one kind. */
struct eg_ignored_kind {
    char *kind, *example;
    const char *advice;
    size_t n;
};

struct eg_dataset {
    char *root; /* folder that paths are relative to, as given; "" when paths stand alone */
    struct eg_dataset_item *items;
    size_t n_items; /* never 0, but where the caller left all out */
    char **classes; /* in label order: byte order of name; printable; a class may have no image */
    size_t n_classes;
    size_t n_ignored;                /* files that are no photos, folders of rubbish, what was excluded */
    struct eg_ignored_kind *ignored; /* the same by kind, most first */
    size_t n_ignored_kinds;
    char **remarks; /* what people had better know of it, a sentence each */
    size_t n_remarks;
    size_t n_per_class_min; /* of labelled classes; 0 when none */
    bool is_array;          /* items are rows of a .npy file */
    struct eg_npy *array;   /* private */
    bool is_stream;         /* some are in compressed archives: cheap in their order only */
    eg_keep_fn *keep;       /* of a stream: asked of what arrives */
    void *keep_user;
    struct eg_stream *stream; /* not NULL: items are what arrived last, at first none */
    struct eg_archive **archives;
    size_t n_archives;
};

/* As CLI.md says of IMAGES; one photo is a dataset of one unlabelled row. What has a photo's
 * name is an item, readable or not. Nothing found: EG_E_NOT_FOUND. A train/val/test folder:
 * EG_E_ARGUMENT. */
EG_MUST_CHECK enum eg_status eg__dataset_open(const char *path, struct eg_dataset **dataset,
                                              struct eg_error *err);
/* Image files, and folders, without labels (`classify`, `predict`): in the order given, a
 * folder's photos in byte order, each path beginning as given. A file that is named is an
 * item even if it does not exist. */
EG_MUST_CHECK enum eg_status eg__dataset_list(const char *const *paths, size_t n_paths,
                                              struct eg_dataset **dataset, struct eg_error *err);
/* Both, and what eg_dataset_scan says besides. */
EG_MUST_CHECK enum eg_status eg__dataset_scan(const char *const *paths, size_t n_paths,
                                              const struct eg_dataset_options *options,
                                              struct eg_dataset **dataset, struct eg_error *err);
/* A tar that comes through a pipe (dataset_stream.c); root "-", names as in the tar. go_on is asked while
 * nothing comes: false stops with EG_E_CANCELLED. */
typedef bool eg_wait_fn(void *user);
EG_MUST_CHECK enum eg_status eg__dataset_stream(int fd, const struct eg_dataset_options *options,
                                                struct eg_dataset **dataset, struct eg_error *err);
void eg__stream_wait(struct eg_stream *stream, eg_wait_fn *go_on, void *user);
/* The dataset's items become the next photos, at most `most` and a key's more; none: the stream has ended.
 * Those that want() says no to (by path) are passed over. EG_E_FORMAT: it broke off, and all before has been
 * given. */
typedef bool eg_want_fn(void *user, const char *path);
EG_MUST_CHECK enum eg_status eg__stream_next(struct eg_stream *stream, size_t most, eg_want_fn *want,
                                             void *user, struct eg_error *err);
size_t eg__stream_come(const struct eg_stream *stream); /* photos so far, wanted or not */
EG_MUST_CHECK enum eg_status eg__stream_read(const struct eg_stream *stream, size_t place, uint8_t **bytes,
                                             size_t *n_bytes, struct eg_error *err);
void eg__stream_free(struct eg_stream *stream);
/* As eg_dataset_keep. */
void eg__dataset_keep(struct eg_dataset *dataset, eg_keep_fn *keep, void *user);
void eg__dataset_free(struct eg_dataset *dataset);

/* The file's bytes, limited to 1 GiB. free(*bytes). EG_E_NOT_FOUND: it is gone, or a link that
 * leads nowhere. The message is a reason only; it does not name the file. */
EG_MUST_CHECK enum eg_status eg__dataset_read(const struct eg_dataset *dataset, size_t index, uint8_t **bytes,
                                              size_t *n_bytes, struct eg_error *err);
/* Before these are read, by whatever threads: what is cheap in order only is read now. */
void eg__dataset_stage(const struct eg_dataset *dataset, const size_t *rows, size_t n);
/* The name to open an item by (root and file joined), for messages and hashing; malloc'd,
 * NULL: no memory. */
char *eg__dataset_file(const struct eg_dataset *dataset, size_t index);
/* Bytes and mtime (ns) of an image's file; 0 0 where they tell nothing: not a file of its own, or
 * changed so lately that it may change again within the clock's grain. */
void eg__dataset_stamp(const struct eg_dataset *dataset, size_t index, int64_t stamp[2]);
/* is_array: item `index` as [h][w][c] floats. */
EG_MUST_CHECK enum eg_status eg__dataset_array_shape(const struct eg_dataset *dataset, size_t *h, size_t *w,
                                                     size_t *c, struct eg_error *err);
EG_MUST_CHECK enum eg_status eg__dataset_array_read(const struct eg_dataset *dataset, size_t index,
                                                    float *hwc, struct eg_error *err);

#endif
