/* h5.h: HDF5 files, ours and strangers': the only face of libhdf5 in the tree.
 *
 * Opening is safe: nothing outside the file is followed (h5_check.c). Every call may be made
 * from any thread; they take turns, libhdf5 not being safe for threads.
 * Writing is safe too (h5_driver.c): raw rows go straight to the file; changes of metadata are
 * staged in memory between eg__h5_stage and eg__h5_commit, and a commit that is cut short is
 * undone from a journal, FILE.journal, by whoever opens the file next. */
#ifndef EG_H5_H5_H
#define EG_H5_H5_H

#include "engraft.h"

struct eg_h5;     /* an open file */
struct eg_h5_set; /* an open dataset */

enum eg_h5_kind {
    EG_H5_OTHER,
    EG_H5_U8,
    EG_H5_I32,
    EG_H5_I64, /* when read: any other integer */
    EG_H5_F16,
    EG_H5_F32,
    EG_H5_F64,
    EG_H5_TEXT, /* fixed length */
    EG_H5_RECORD,
    EG_H5_VARIABLE_TEXT /* read by eg__h5_read_texts alone */
};

enum { EG_H5_MAX_RANK = 8 };

struct eg_h5_field {
    const char *name;
    enum eg_h5_kind kind; /* U8, I64, TEXT */
    size_t offset, bytes;
};

struct eg_h5_shape {
    enum eg_h5_kind kind;
    size_t bytes;                     /* of one element */
    const struct eg_h5_field *fields; /* of a record, when created */
    size_t n_fields;
    size_t rank, dims[EG_H5_MAX_RANK];
    size_t chunk_rows; /* 0: not chunked */
    unsigned deflate;  /* 0: none */
    bool compressed;   /* when read: any filter */
    bool is_virtual;   /* when read: rows live in other files */
};

/* ---- files ----------------------------------------------------------------------- */

/* A new file, laid out as PATH.part until it is published; closed before that it is removed.
 * EG_E_EXISTS when path exists and !overwrite; EG_E_IO when another program is writing it. */
EG_MUST_CHECK enum eg_status eg__h5_create(const char *path, bool overwrite, struct eg_h5 **h5,
                                           struct eg_error *err);
/* Make everything durable, give the file its name, and close it, whatever happens.
 * EG_E_EXISTS: somebody was faster. */
EG_MUST_CHECK enum eg_status eg__h5_publish(struct eg_h5 *h5, struct eg_error *err);
/* Undoes a cut-short commit first. write: EG_E_IO when another program is writing it. */
EG_MUST_CHECK enum eg_status eg__h5_open(const char *path, bool write, struct eg_h5 **h5,
                                         struct eg_error *err);
EG_MUST_CHECK enum eg_status eg__h5_close(struct eg_h5 *h5, struct eg_error *err);

/* Bytes of the file, and of those that its virtual datasets take rows from. */
uint64_t eg__h5_bytes(const struct eg_h5 *h5);

/* Flush libhdf5, then fdatasync. */
EG_MUST_CHECK enum eg_status eg__h5_sync(struct eg_h5 *h5, struct eg_error *err);

/* From here to eg__h5_unstage, what is below the file's end changes only in commits, each of
 * which happens wholly or not at all. EG_E_IO when somebody is reading the file. After a commit
 * that failed the file is as the last one left it, and nothing more can be written. */
EG_MUST_CHECK enum eg_status eg__h5_stage(struct eg_h5 *h5, struct eg_error *err);
EG_MUST_CHECK enum eg_status eg__h5_commit(struct eg_h5 *h5, struct eg_error *err);
EG_MUST_CHECK enum eg_status eg__h5_unstage(struct eg_h5 *h5, struct eg_error *err); /* commits */

/* What is staged is dropped and nothing more will be written: only close it. */
void eg__h5_abandon(struct eg_h5 *h5);
/* The end of a staged change that came to `status`: kept if that is EG_OK, else dropped; closed. Returns
 * the first failure. */
EG_MUST_CHECK enum eg_status eg__h5_settle(struct eg_h5 *h5, enum eg_status status, struct eg_error *err);

/* ---- objects and attributes; `object` is a path ------------------------------------- */

bool eg__h5_has(struct eg_h5 *h5, const char *object);
bool eg__h5_same_object(struct eg_h5 *h5, const char *a, const char *b);
/* Names in a group, in their order of creation where the file knows it, else of name; one
 * free(names) frees all. */
EG_MUST_CHECK enum eg_status eg__h5_children(struct eg_h5 *h5, const char *group, char ***names, size_t *n,
                                             struct eg_error *err);
EG_MUST_CHECK enum eg_status eg__h5_group(struct eg_h5 *h5, const char *group, struct eg_error *err);
EG_MUST_CHECK enum eg_status eg__h5_hard_link(struct eg_h5 *h5, const char *object, const char *link,
                                              struct eg_error *err);

EG_MUST_CHECK enum eg_status eg__h5_unlink(struct eg_h5 *h5, const char *object, struct eg_error *err);

bool eg__h5_has_attribute(struct eg_h5 *h5, const char *object, const char *name);
/* A string, or an array of them, of fixed or variable length. One free() each. */
EG_MUST_CHECK enum eg_status eg__h5_text(struct eg_h5 *h5, const char *object, const char *name, char **text,
                                         struct eg_error *err);
EG_MUST_CHECK enum eg_status eg__h5_texts(struct eg_h5 *h5, const char *object, const char *name,
                                          char ***texts, size_t *n, struct eg_error *err);
EG_MUST_CHECK enum eg_status eg__h5_sizes(struct eg_h5 *h5, const char *object, const char *name,
                                          size_t *sizes, size_t n, struct eg_error *err);
EG_MUST_CHECK enum eg_status eg__h5_put_text(struct eg_h5 *h5, const char *object, const char *name,
                                             const char *text, struct eg_error *err);
/* Strings (NULL: all empty) of text_bytes each; an attribute of the same size is changed in place. */
EG_MUST_CHECK enum eg_status eg__h5_put_texts(struct eg_h5 *h5, const char *object, const char *name,
                                              const char *const *texts, size_t n, size_t text_bytes,
                                              struct eg_error *err);
EG_MUST_CHECK enum eg_status eg__h5_put_sizes(struct eg_h5 *h5, const char *object, const char *name,
                                              const size_t *sizes, size_t n, struct eg_error *err);

/* ---- datasets; rows are their first dimension ---------------------------------------- */

/* Space is allocated at once and never filled, so that writing rows changes no metadata; with
 * deflate chunks come as they are written, and what was never written reads as NaN. Chunked
 * datasets can be extended. */
EG_MUST_CHECK enum eg_status eg__h5_set_create(struct eg_h5 *h5, const char *path,
                                               const struct eg_h5_shape *shape, struct eg_h5_set **set,
                                               struct eg_error *err);
EG_MUST_CHECK enum eg_status eg__h5_set_open(struct eg_h5 *h5, const char *path, struct eg_h5_set **set,
                                             struct eg_error *err);
/* A dataset whose rows are those of the same dataset in other files of the same folder, one block
 * each, one after the other; what is missing reads as NaN, -1 or 0. shape.dims[0] is their sum. */
struct eg_h5_source {
    const char *name; /* of the file, without a folder */
    size_t rows;
};
EG_MUST_CHECK enum eg_status eg__h5_virtual_create(struct eg_h5 *h5, const char *path,
                                                   const struct eg_h5_shape *shape,
                                                   const struct eg_h5_source *sources, size_t n_sources,
                                                   struct eg_error *err);
/* A virtual dataset refers to files by such a name only: no folder, no pattern, not hidden. */
bool eg__h5_is_source_name(const char *name);
/* The files that the datasets of path take rows from, there or not, each once, in order; one
 * free(names) frees all. */
EG_MUST_CHECK enum eg_status eg__h5_sources(const char *path, char ***names, size_t *n, struct eg_error *err);
const struct eg_h5_shape *eg__h5_set_shape(const struct eg_h5_set *set);
size_t eg__h5_set_row_length(const struct eg_h5_set *set); /* elements, checked when opened */
uint64_t eg__h5_set_bytes(const struct eg_h5_set *set);    /* in the file; virtual: 0 */
void eg__h5_set_free(struct eg_h5_set *set);

/* As the kind asked for: numbers are converted (F16 to F32 by us, exactly); text and records
 * as they are, `as` being the dataset's own kind. */
EG_MUST_CHECK enum eg_status eg__h5_read(struct eg_h5_set *set, enum eg_h5_kind as, size_t first,
                                         size_t count, void *out, struct eg_error *err);
/* Whole dataset of strings, fixed or variable, into a new array: one free(*texts) frees all. Checked against
 * `limit` bytes before anything is allocated. */
EG_MUST_CHECK enum eg_status eg__h5_read_texts(struct eg_h5_set *set, size_t limit_bytes, char ***texts,
                                               size_t *n, struct eg_error *err);
/* Values in the dataset's own type. */
EG_MUST_CHECK enum eg_status eg__h5_write(struct eg_h5_set *set, size_t first, size_t count,
                                          const void *values, struct eg_error *err);
/* The bytes of one chunk of a deflated dataset: values [chunk_rows][row length] in, a new array
 * out. Needs no turn, so many threads may pack at once. */
EG_MUST_CHECK enum eg_status eg__h5_pack(const struct eg_h5_shape *shape, size_t row_length,
                                         const void *values, uint8_t **packed, size_t *n_packed,
                                         struct eg_error *err);
/* The chunk that begins at `row`, packed. */
EG_MUST_CHECK enum eg_status eg__h5_write_chunk(struct eg_h5_set *set, size_t row, const void *bytes,
                                                size_t n_bytes, struct eg_error *err);
EG_MUST_CHECK enum eg_status eg__h5_extend(struct eg_h5_set *set, size_t rows, struct eg_error *err);

#endif
