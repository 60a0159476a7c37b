/* audit.h: what is wrong with the data, as the files of the audit share it.
 *
 * audit.c         the order of things: rows, pixels, pairs, folds, classifier, lists
 * audit_learn.c   folds, probabilities of rows not learned from, learning curve
 * audit_json.c    the report
 * audit_pairs.c   the same photo twice: candidates by matrix products, confirmed on the pixels
 * audit_apply.c   corrections carried out and undone */
#ifndef EG_FLOW_AUDIT_H
#define EG_FLOW_AUDIT_H

#include "eval/confident.h"
#include "eval/lookalike.h"
#include "eval/outliers.h"
#include "flow/flow.h"
#include "image/jpeg_write.h"

enum { EG_AUDIT_NEAR = 15, EG_THUMB_SIDE = 160 };

enum eg_copy_meaning { EG_COPY_TWO_CLASSES, EG_COPY_TRAIN_AND_TEST, EG_COPY_ONE_CLASS };

struct eg_copies { /* of one photo: rows[first..first + n) of an audit's copy_rows */
    size_t first, n;
    bool exact;
    enum eg_copy_meaning meaning;
};

struct eg_audited_class {
    size_t count, right; /* right: out of fold */
};

struct eg_curve_point {
    size_t rows; /* learned from */
    double accuracy, low, high;
};

/* Rows are those of the file that are done; indices below are into `rows`. */
struct eg_audit {
    struct eg_store *store;
    const struct eg_store_spec *spec;
    const struct eg_audit_options *options;
    size_t cut, n, d; /* d: of `vectors` */
    size_t *rows;     /* of the file */
    int32_t *labels;  /* -1: none */
    float *vectors;   /* [n][d] signed roots of the features, centred, of length 1 */
    uint8_t *looks;   /* [n][EG_LOOK_BYTES] */
    struct eg_photo_stats *stats;
    size_t n_seen;             /* photos that could be looked at */
    uint8_t *confirmed, *test; /* test: of the split that training makes */
    size_t *set;               /* copies of one photo have the same number */
    size_t *copy_rows;
    struct eg_copies *copies;
    size_t n_copies;
    uint32_t *near;     /* [n][EG_AUDIT_NEAR] the nearest of all, nearest first; UINT32_MAX: no more */
    float *near_cosine; /* [n][EG_AUDIT_NEAR] */
    float *nearest;     /* mean cosine of the nearest few of the class; NAN */
    size_t *labelled, n_labelled;
    float *probabilities; /* [n_labelled][k] out of fold */
    float *quality; /* [n_labelled] of the labels as they stand: 0 bad, 1 good; with the neighbours' votes */
    int32_t *other; /* [n_labelled] the likeliest other class, with them */
    struct eg_suspect *suspects;
    size_t n_suspects;
    struct eg_odd *odd;
    size_t n_odd;
    struct eg_audited_class *classes;
    size_t *confusion; /* [k][k] out of fold */
    struct eg_curve_point curve[8];
    size_t n_curve;
    double accuracy;
    const char *scale;
    double c;
    bool want_thumbs;       /* in: keep a small picture of each photo */
    struct eg_jpeg *thumbs; /* [n] EG_THUMB_SIDE pixels; bytes NULL: it could not be looked at */
};

/* All that is found; options must stay. With an error nothing is kept. */
EG_MUST_CHECK enum eg_status eg__audit_run(eg_features *features, const struct eg_audit_options *options,
                                           bool want_thumbs, struct eg_audit *audit, struct eg_error *err);
void eg__audit_release(struct eg_audit *audit);

/* set[], copies: photos that are the same or nearly so; and nearest[]. */
EG_MUST_CHECK enum eg_status eg__audit_pairs(struct eg_audit *audit, struct eg_error *err);
/* Out-of-fold probabilities, scale, C and the learning curve (audit_learn.c). */
EG_MUST_CHECK enum eg_status eg__audit_learn(struct eg_audit *audit, struct eg_error *err);
/* test[n_rows] = 1 where training would keep a row of the file for the test. */
EG_MUST_CHECK enum eg_status eg__audit_test_rows(struct eg_store *store,
                                                 const struct eg_audit_options *options, size_t cut,
                                                 uint8_t *test, struct eg_error *err);
/* As CLI.md has it; free() it; NULL: no memory. */
char *eg__audit_json(const struct eg_audit *audit);
/* The photo files of some rows, to be opened; a row that is no file's gives one that is not there. */
EG_MUST_CHECK enum eg_status eg__row_photos(const struct eg_store_spec *spec, const char *root,
                                            const size_t *rows, size_t n, struct eg_dataset **photos,
                                            struct eg_error *err);

#endif
