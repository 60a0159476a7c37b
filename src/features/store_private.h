/* store_private.h: what the files of this room share. */
#ifndef EG_FEATURES_STORE_PRIVATE_H
#define EG_FEATURES_STORE_PRIVATE_H

#include "features/store.h"
#include "h5/h5.h"

enum { HASH_BYTES = 32, REASON_BYTES = 128, MAX_REASONS = 255, HISTORY_SLOTS = 32, FORMAT_VERSION = 1 };

/* A row takes a byte of the file at least; deflate makes at most about 1,032 of one. */
enum { MOST_INFLATED = 1100 };

/* The datasets that have a row per image besides the cuts. */
enum row_set { SET_LABELS, SET_PATHS, SET_HASHES, SET_STATUS, SET_REASONS, N_ROW_SETS };
extern const char *const eg__row_set_names[N_ROW_SETS];

struct eg_store {
    struct eg_h5 *h5;
    char *path;
    bool write, foreign; /* foreign: another program's matrix */
    struct eg_store_spec spec;
    struct eg_cut_info *cuts;
    char **paths, **classes, **reason_names; /* one block each */
    size_t n_reason_names;
    int32_t *labels;
    uint8_t *status, *reasons; /* [n_rows], as put, on disk or not */
    char **owned;              /* the other strings of spec and cuts */
    size_t n_owned, owned_capacity;
    struct eg_h5_set **cut_sets, *row_sets[N_ROW_SETS], *history;
    struct eg_h5_set *stamps; /* NULL: it has none */
    struct eg_h5_set *thumbs; /* the same */

    /* writing */
    size_t *pending; /* rows put since the last checkpoint */
    size_t n_pending, pending_capacity;
    bool reasons_changed, failed;
    double last_checkpoint; /* seconds, monotonic */
    uint16_t *halves;       /* one put's rows as float16 */
    size_t halves_capacity;
    struct store_chunk {
        size_t cut, number;
        uint8_t *values; /* [chunk_rows][D] as on disk */
    } * chunks;          /* deflate: not written yet */
    size_t n_chunks, chunks_capacity, chunk_bytes;
    eg_pool *pool;
    struct eg_history run; /* this run's record */
    size_t run_slot;
    bool has_slot;
    struct eg_growth *growth; /* of a stream; else NULL */
};

/* Strings of the spec and of a cut that are attributes: where they stand, and whether a run
 * must have the same to go on. */
struct text_member {
    const char *object, *attribute;
    size_t offset;
    bool must_equal;
};
enum { N_SPEC_TEXTS = 6, N_CUT_TEXTS = 5 };
extern const struct text_member eg__spec_texts[N_SPEC_TEXTS], eg__cut_texts[N_CUT_TEXTS];

/* store.c */
enum eg_status eg__store_describe(struct eg_store *store, struct eg_error *err);
void eg__store_free(struct eg_store *store);
enum eg_status eg__store_open_to_write(const char *path, const struct eg_store_spec *spec,
                                       struct eg_store **store, struct eg_error *err); /* ours, of any spec */
void eg__store_discard(struct eg_store *store); /* after a failure: what is staged is dropped */
double eg__store_clock(void);
enum eg_status eg__store_read_classes(struct eg_store *store, struct eg_error *err); /* label_names */

/* foreign.c: another program's matrix */
enum eg_status eg__foreign_describe(struct eg_store *store, struct eg_error *err);

/* store_stamps.c */
enum eg_status eg__stamps_open(struct eg_store *store, struct eg_error *err);
enum eg_status eg__stamps_create(struct eg_h5 *h5, size_t n_rows, struct eg_h5_set **set,
                                 struct eg_error *err);
enum eg_status eg__stamps_clear(struct eg_h5_set *set, size_t first, size_t n, struct eg_error *err);

/* store_thumbs.c */
enum eg_status eg__thumbs_open(struct eg_store *store, struct eg_error *err);
enum eg_status eg__thumbs_create(struct eg_h5 *h5, size_t n_rows, const struct eg_h5_source *sources,
                                 size_t n_sources, struct eg_error *err);
enum eg_status eg__thumbs_clear(struct eg_h5_set *set, size_t first, size_t n, struct eg_error *err);

/* store_append.c, staged. Strings behind those that are there; a dataset narrower than `width` is made anew.
 * Rows behind the others, waiting; their paths are added apart. */
enum eg_status eg__store_add_texts(struct eg_h5 *h5, const char *name, const char *const *old, size_t n_old,
                                   const char *const *added, size_t n_added, size_t width,
                                   struct eg_h5_set **out, struct eg_error *err);
enum eg_status eg__store_add_rows(struct eg_store *store, size_t n_old, size_t n_new, const int32_t *labels,
                                  struct eg_error *err);

/* store_grow.c */
void eg__growth_free(struct eg_growth *growth);

/* store_confirmed.c: rows whose label or contents are others now are no longer confirmed */
enum eg_status eg__confirmed_clear(struct eg_h5 *h5, const size_t *rows, size_t n, struct eg_error *err);

/* store_rows.c */
void eg__store_begin_run(struct eg_store *store, const struct eg_store_spec *spec);
enum eg_status eg__store_finish(struct eg_store *store, struct eg_error *err);

/* store_chunks.c: rows of compressed cuts wait in their chunks. */
enum eg_status eg__chunks_put(struct eg_store *store, size_t cut, size_t first, size_t count,
                              const void *values, struct eg_error *err);
/* Those whose rows are all there, or all of them. */
enum eg_status eg__chunks_write(struct eg_store *store, bool all, struct eg_error *err);
bool eg__chunks_hold(const struct eg_store *store, size_t row);
void eg__chunks_free(struct eg_store *store);

enum eg_status eg__store_add_reason(char ***names, size_t n, const char *reason, uint8_t *index,
                                    bool *changed, struct eg_error *err);

/* store_compare.c: EG_OK, or EG_E_EXISTS naming the first difference. */
enum eg_status eg__store_compare_making(const struct eg_store *found, const struct eg_store_spec *wanted,
                                        struct eg_error *err); /* all but the images */
enum eg_status eg__store_compare(const struct eg_store *found, const struct eg_store_spec *wanted,
                                 struct eg_error *err);

/* store_layout.c */
enum eg_status eg__store_layout(struct eg_h5 *h5, const struct eg_store_spec *spec,
                                const struct eg_h5_source *sources, size_t n_sources, struct eg_error *err);
size_t eg__store_chunk_rows(size_t row_bytes, size_t n_rows, size_t least);
size_t eg__store_text_bytes(const char *const *texts, size_t n);
enum eg_status eg__store_write_texts(struct eg_h5_set *set, size_t first, const char *const *texts, size_t n,
                                     struct eg_error *err);
extern const struct eg_h5_shape eg__history_shape;

#endif
