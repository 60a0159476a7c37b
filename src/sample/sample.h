/* sample.h: labelled rows, wherever they come from: a feature file, photos, another program's
 * matrix. Which count, which are the test's, which fold a row is in, what is there twice.
 *
 * The split is a function of the photos and not of their order. Every row has an identity: its
 * contents (SHA-256 of the photo's bytes; where there is no photo, of the row's features, equal ones
 * counted), or with groups its group's name. Rows of one identity are never divided. Within a class
 * identities are ranked by SHA-256(seed, identity); the first of them are the test. So a photo
 * keeps its side when others come, go or change their class. */
#ifndef EG_SAMPLE_SAMPLE_H
#define EG_SAMPLE_SAMPLE_H

#include "features/store.h"
#include "image/dataset.h"

typedef const uint8_t (*eg_hashes)[32];

/* A row and its contents; for qsort: by the contents, of equal ones by the row. */
struct eg_hashed {
    const uint8_t *hash;
    size_t row;
};
int eg__compare_hashed(const void *a, const void *b);

/* ---- splits (split.c) -------------------------------------------------------------------- */

/* part[i] = 1: a test row, else 0. A class keeps an identity to learn from. */
EG_MUST_CHECK enum eg_status eg__split(eg_hashes identity, const int32_t *labels, size_t n, size_t n_classes,
                                       double share, uint64_t seed, uint8_t *part, struct eg_error *err);
/* fold[i] in 0..k-1. EG_E_ARGUMENT names a class with fewer rows than folds, or of one identity
 * alone. classes [n_classes]: their names. */
EG_MUST_CHECK enum eg_status eg__folds(eg_hashes identity, const int32_t *labels, size_t n,
                                       const char *const *classes, size_t n_classes, unsigned k,
                                       uint64_t seed, uint8_t *fold, struct eg_error *err);
/* The same where rows need not be enough for every fold to have each class. */
EG_MUST_CHECK enum eg_status eg__fold_strata(eg_hashes identity, const int32_t *strata, size_t n,
                                             const char *const *names, size_t n_strata, unsigned k,
                                             uint64_t seed, uint8_t *fold, struct eg_error *err);
/* The split of models of version 0.1: a shuffle in the order of the rows. groups NULL: none. */
EG_MUST_CHECK enum eg_status eg__split_by_order(const int32_t *labels, size_t n, size_t n_classes,
                                                const int32_t *groups, double test_fraction, uint64_t seed,
                                                uint8_t *part, struct eg_error *err);

/* ---- groups (groups.c) --------------------------------------------------------------------- */

/* Groups by path: the pattern is a POSIX extended regular expression, the group what its first
 * parentheses matched, or all of it where there are none; a row whose path does not match is a
 * group of its own. groups [n] gets numbers in the order of the groups' texts; identity [n] (NULL:
 * not wanted) the SHA-256 of the text for rows whose path matches, and stays as it is for others.
 * EG_E_ARGUMENT: no regular expression, or no path matches. */
EG_MUST_CHECK enum eg_status eg__groups(const char *pattern, const char *const *paths, size_t n,
                                        int32_t *groups, uint8_t (*identity)[32], struct eg_error *err);

/* ---- rows ------------------------------------------------------------------------------------- */

/* Labelled rows as a source has them, all borrowed. */
struct eg_labelled {
    size_t n;
    const size_t *rows;       /* [n] their numbers in the source */
    const int32_t *labels;    /* [n] 0..n_classes-1 */
    eg_hashes hashes;         /* [n] */
    const char *const *paths; /* of the source: paths[rows[i]] */
    const char *const *classes;
    size_t n_classes;
    bool no_photos; /* hashes are of the rows' values: equal ones need not be copies of one photo */
};

struct eg_sample_options {
    double test_fraction; /* 0 = 0.25; below 0: none */
    uint64_t seed;
    const char *group;              /* pattern; NULL: none */
    struct eg_class_choice classes; /* eg__sample_of_store only */
    bool strata;                    /* labels are strata of another answer (targets.h): one alone will do */
};

/* Rows whose label is not -1 come to the front; how many they are. */
size_t eg__without_unlabelled(size_t *rows, int32_t *labels, size_t n);

/* ---- classes by choice (class_choice.c) ------------------------------------------------------- */

/* EG_E_NOT_FOUND: a class that is named is not there. */
EG_MUST_CHECK enum eg_status eg__class_choice_check(const struct eg_class_choice *choice,
                                                    const char *const *classes, size_t n_classes,
                                                    struct eg_error *err);
/* labels [n] become those of *names, a list to free() of borrowed names; -1: left out. */
EG_MUST_CHECK enum eg_status eg__class_choose(const struct eg_class_choice *choice,
                                              const char *const *classes, size_t n_classes, int32_t *labels,
                                              size_t n, const char ***names, size_t *n_names,
                                              struct eg_error *err);

struct eg_sample {
    size_t n, n_train;
    size_t *rows;    /* [n] in the source: training rows first, then test rows, each in the source's order */
    int32_t *labels; /* [n] 0..n_classes-1 */
    uint8_t (*hashes)[32], (*identity)[32]; /* [n] */
    char **classes;                         /* those with rows, in the source's order */
    size_t n_classes;
    char **empty; /* classes without rows */
    size_t n_empty;
    size_t n_unlabelled, n_left_out; /* left out: of classes that were not chosen */
    struct eg_twice *twice;          /* the same photo under two labels: at most 100 */
    size_t n_twice;
    double test_fraction; /* what it came to; 0: none */
    uint64_t seed;
    const char *group; /* borrowed */
    char digest[65];   /* of the training rows, whatever their order */
};
void eg__sample_release(struct eg_sample *sample);
void eg__twice_free(struct eg_twice *list, size_t n);
void eg__class_names_free(char **names, size_t n);

EG_MUST_CHECK enum eg_status eg__sample_make(const struct eg_labelled *labelled,
                                             const struct eg_sample_options *options,
                                             struct eg_sample *sample, struct eg_error *err);
/* Done and labelled rows of a feature file, told apart by their contents at `cut` where it has no
 * hashes. EG_E_ARGUMENT: rows wait to be computed, or none has a label. */
EG_MUST_CHECK enum eg_status eg__sample_of_store(struct eg_store *store, size_t cut,
                                                 const struct eg_sample_options *options,
                                                 struct eg_sample *sample, struct eg_error *err);
/* Folds of the training rows: fold[n_train]. */
EG_MUST_CHECK enum eg_status eg__sample_folds(const struct eg_sample *sample, unsigned k, uint8_t *fold,
                                              struct eg_error *err);
/* As many as asked for; 0: 5, or what the smallest class can fill, at least 2. */
unsigned eg__fold_count(unsigned asked, const int32_t *labels, size_t n, size_t n_classes);

/* What can be told of classes before any row is computed: labels [n] (-1: none) of n_classes. Two
 * classes, and as many photos of each (0 apart) as the folds and the test need. */
EG_MUST_CHECK enum eg_status eg__sample_check(const int32_t *labels, size_t n, const char *const *classes,
                                              size_t n_classes, double test_fraction, unsigned folds,
                                              struct eg_error *err);

/* Content hashes of rows; of their features where the file has none (another program's). */
EG_MUST_CHECK enum eg_status eg__row_hashes(struct eg_store *store, size_t cut, const size_t *rows, size_t n,
                                            uint8_t (*hashes)[32], struct eg_error *err);
/* SHA-256 over the content hashes of rows with part 0, sorted, or (by_order, as models of version
 * 0.1 have it) in the order of the rows; 64 digits and NUL. */
EG_MUST_CHECK enum eg_status eg__rows_digest(eg_hashes hashes, const uint8_t *part, size_t n, bool by_order,
                                             char hex[65], struct eg_error *err);

/* ---- what a model remembers of its rows (filter.c) ------------------------------------------- */

/* A Bloom filter of content hashes, 10 bits a row: who is in it is always known, of a hundred
 * others one is taken for known. As hexadecimal digits; free() it. */
EG_MUST_CHECK enum eg_status eg__filter_make(eg_hashes hashes, size_t n, char **text, struct eg_error *err);
/* known[i]: the hash is in it. EG_E_FORMAT: no filter. */
EG_MUST_CHECK enum eg_status eg__filter_find(const char *text, eg_hashes hashes, size_t n, uint8_t *known,
                                             struct eg_error *err);

#endif
