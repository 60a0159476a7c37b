/* dataset_build.h: how folders, CSV files and arrays put a dataset together. */
#ifndef EG_IMAGE_DATASET_BUILD_H
#define EG_IMAGE_DATASET_BUILD_H

#include "image/dataset.h"

struct eg_dataset_builder {
    struct eg_dataset *dataset;
    size_t item_capacity, class_capacity;
    void *classes_by_name; /* tree of struct class_name, see dataset.c */
};

EG_MUST_CHECK enum eg_status eg__dataset_begin(struct eg_dataset_builder *builder, struct eg_error *err);
/* On success the dataset is the caller's, else it is freed. Returns status. */
EG_MUST_CHECK enum eg_status eg__dataset_end(struct eg_dataset_builder *builder, enum eg_status status,
                                             struct eg_dataset **dataset);
/* file: its bytes are copied; label: -1 or what eg__dataset_class gave. */
EG_MUST_CHECK enum eg_status eg__dataset_add(struct eg_dataset_builder *builder, const char *file,
                                             int32_t label, struct eg_error *err);
/* The provisional label of a class (labels are put in byte order at the end). */
EG_MUST_CHECK enum eg_status eg__dataset_class(struct eg_dataset_builder *builder, const char *name,
                                               int32_t *label, struct eg_error *err);

bool eg__photo_name(const char *name); /* does its suffix say photo? */

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
