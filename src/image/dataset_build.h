/* dataset_build.h: how folders, CSV files and arrays put a dataset together. */
#ifndef EG_IMAGE_DATASET_BUILD_H
#define EG_IMAGE_DATASET_BUILD_H

#include "image/dataset.h"

struct eg_dataset_builder {
    struct eg_dataset *dataset;
    const struct eg_dataset_options *options;
    size_t item_capacity, class_capacity, ignored_capacity;
    void *classes_by_name; /* tree of struct class_name, see dataset.c */
};

/* options: NULL, or to live as long as the builder */
EG_MUST_CHECK enum eg_status eg__dataset_begin(struct eg_dataset_builder *builder,
                                               const struct eg_dataset_options *options,
                                               struct eg_error *err);
/* On success the dataset is the caller's, else it is freed. Returns status. */
EG_MUST_CHECK enum eg_status eg__dataset_end(struct eg_dataset_builder *builder, enum eg_status status,
                                             struct eg_dataset **dataset);
/* file: its bytes are copied; label: -1 or what eg__dataset_class gave. */
EG_MUST_CHECK enum eg_status eg__dataset_add(struct eg_dataset_builder *builder, const char *file,
                                             int32_t label, struct eg_error *err);
/* The provisional label of a class (labels are put in byte order at the end). */
EG_MUST_CHECK enum eg_status eg__dataset_class(struct eg_dataset_builder *builder, const char *name,
                                               int32_t *label, struct eg_error *err);

/* Count a file or folder that was left out; advice: constant text or NULL. */
EG_MUST_CHECK enum eg_status eg__dataset_ignore(struct eg_dataset_builder *builder, const char *kind,
                                                const char *advice, const char *path, struct eg_error *err);
/* When all is in: the kinds in order, the remarks made. */
EG_MUST_CHECK enum eg_status eg__dataset_remarks(struct eg_dataset *dataset, struct eg_error *err);
/* Was it asked for that this path be left out? Patterns are matched with the whole path, with the
 * folders that it lies in and with the name of each. */
bool eg__dataset_excludes(const struct eg_dataset_builder *builder, const char *path);

bool eg__photo_name(const char *name); /* does its suffix say photo, of a kind that is read? */
/* Rubbish that systems leave beside photos: a name of a folder or of a thumbnail. */
bool eg__is_rubbish(const char *name);
/* Is it what people call a part of their photos: train, Validation, test_set? */
bool eg__is_split_name(const char *name);

/* Add the photos below folder; every file begins with prefix. labelled: first-level folders
 * are classes. */
EG_MUST_CHECK enum eg_status eg__scan_folder(struct eg_dataset_builder *builder, const char *folder,
                                             const char *prefix, bool labelled, struct eg_error *err);
/* Rows of a CSV file. */
EG_MUST_CHECK enum eg_status eg__scan_csv(struct eg_dataset_builder *builder, const char *text, size_t n,
                                          struct eg_error *err);

/* An array file, open; rows are read on demand. */
EG_MUST_CHECK enum eg_status eg__npy_open(const char *path, struct eg_npy **npy, struct eg_error *err);
void eg__npy_close(struct eg_npy *npy);
size_t eg__npy_rows(const struct eg_npy *npy);
void eg__npy_shape(const struct eg_npy *npy, size_t *h, size_t *w, size_t *c);
EG_MUST_CHECK enum eg_status eg__npy_read(const struct eg_npy *npy, size_t row, float *hwc,
                                          struct eg_error *err);

/* The dictionary of a .npy header, without the bytes before it. */
struct eg_npy_header {
    size_t shape[4], n_dims;
};
EG_MUST_CHECK enum eg_status eg__npy_parse(const char *text, size_t n, struct eg_npy_header *header,
                                           struct eg_error *err);

#endif
