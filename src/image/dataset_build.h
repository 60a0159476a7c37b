/* dataset_build.h: how folders, CSV files and arrays put a dataset together. */
#ifndef EG_IMAGE_DATASET_BUILD_H
#define EG_IMAGE_DATASET_BUILD_H

#include "image/archive.h"
#include "image/dataset.h"
#include "image/npy.h"

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
/* What only building needs is freed. */
void eg__dataset_stop(struct eg_dataset_builder *builder);
void eg__dataset_free_item(struct eg_dataset_item *item);
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
/* A sentence that people had better read. */
__attribute__((format(printf, 3, 4))) EG_MUST_CHECK enum eg_status
eg__dataset_remark(struct eg_dataset *dataset, struct eg_error *err, const char *format, ...);
/* Sorted items that are listed more than once become one each (options->several). */
EG_MUST_CHECK enum eg_status eg__dataset_join_listed(struct eg_dataset_builder *builder,
                                                     struct eg_error *err);
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
/* Add the photos of an archive, those whose names begin with `below` ("" or "folder/"); every file begins
 * with prefix. labelled: by first folders, or by files beside the photos. */
EG_MUST_CHECK enum eg_status eg__scan_archive(struct eg_dataset_builder *builder, const char *path,
                                              const char *prefix, const char *below, bool labelled,
                                              struct eg_error *err);
/* The length of the part of path that names an archive that it leads into ("x.tar" of "x.tar/a/1.jpg");
 * 0: none. */
size_t eg__archive_prefix(const char *path);
/* The archive that the first `length` bytes of path name, listed once. */
EG_MUST_CHECK enum eg_status eg__archive_within(struct eg_dataset_builder *builder, const char *path,
                                                size_t length, struct eg_archive **archive,
                                                struct eg_error *err);
/* "a{00..12}.tar": several names in one. */
bool eg__has_range(const char *path);
EG_MUST_CHECK enum eg_status eg__expand_range(const char *path, char ***list, size_t *n,
                                              struct eg_error *err);

/* What an archive's entry is to a dataset. */
struct eg_entry_told {
    bool photo, skip;   /* skip: hidden, or not asked for */
    const char *kind;   /* neither: what it is counted as */
    const char *advice; /* see eg__dataset_ignore */
    char words[64];     /* room for kind */
};
EG_MUST_CHECK enum eg_status eg__entry_kind(const struct eg_dataset_builder *builder,
                                            const struct eg_entry *entry, const char *below,
                                            struct eg_entry_told *told, struct eg_error *err);
/* WebDataset: the part of a name behind its key (".jpg"); may a file say the class of the photo of its key
 * (key.cls, key.json); and which; NULL: none. free() it. */
const char *eg__webdataset_suffix(const char *name);
bool eg__is_sidecar(const char *name);
char *eg__sidecar_class(const char *name, const void *bytes, size_t n);

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

#endif
