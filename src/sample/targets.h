/* targets.h: what is to be learned of rows beside one class each: several labels, or a number.
 *
 * A row's labels are those of /label_sets, where the feature file has them, else the parts of its class's
 * name ("cat;indoors"). The same photo in several class folders, told by its contents, has the labels of
 * all of them and counts once.
 *
 * Splits are made by strata: rows of one set of labels, if there are enough of them, else rows whose
 * rarest label is the same; of numbers, tenths of the rows in their order. */
#ifndef EG_SAMPLE_TARGETS_H
#define EG_SAMPLE_TARGETS_H

#include "sample/sample.h"

struct eg_targets {
    size_t *rows, n; /* rows of the source that count, in its order */
    size_t n_unlabelled, n_copies;
    char **labels; /* several labels: their names, in the order of their bytes or of the file */
    size_t n_labels;
    uint8_t *sets;   /* [n][n_labels] */
    double *values;  /* [n] numbers; else NULL */
    int32_t *strata; /* [n] */
    char **stratum_names;
    size_t n_strata;
};
void eg__targets_free(struct eg_targets *targets);

/* Rows as a source has them; all borrowed. */
struct eg_targets_source {
    const size_t *rows; /* [n] numbers of the rows */
    size_t n;
    const int32_t *labels; /* [n] of classes; -1: none */
    const char *const *classes;
    size_t n_classes;
    const uint8_t *sets;   /* [n][n_classes]; NULL: they are in the classes' names */
    const double *numbers; /* [n] */
    eg_hashes hashes;      /* [n]; NULL: rows are no photos, and equal ones no copies */
    const char *separator; /* between the parts of a name */
};
/* EG_E_ARGUMENT: nothing has a label. choice: labels by choice; rows that had others alone stay, with none.
 */
EG_MUST_CHECK enum eg_status eg__targets_labels(const struct eg_targets_source *source,
                                                const struct eg_class_choice *choice,
                                                struct eg_targets *targets, struct eg_error *err);
/* Rows whose number is not NAN. */
EG_MUST_CHECK enum eg_status eg__targets_numbers(const struct eg_targets_source *source,
                                                 struct eg_targets *targets, struct eg_error *err);

/* Done rows of a feature file. number: the column its numbers are of; NULL: labels are asked for. */
EG_MUST_CHECK enum eg_status eg__targets_of_store(struct eg_store *store, size_t cut, const char *separator,
                                                  const struct eg_class_choice *choice, const char *number,
                                                  struct eg_targets *targets, struct eg_error *err);
/* Their split. sample->rows are rows of the file; place [sample->n]: which of the targets each is. */
EG_MUST_CHECK enum eg_status eg__targets_sample(const struct eg_targets *targets, struct eg_store *store,
                                                size_t cut, const struct eg_sample_options *options,
                                                struct eg_sample *sample, size_t **place,
                                                struct eg_error *err);

/* The parts of names, blanks around them cut off: in the order of their bytes, each once.
 * member [n][n_parts]: 1 where the name has the part. Each to be freed (names by eg__class_names_free). */
EG_MUST_CHECK enum eg_status eg__names_split(const char *const *names, size_t n, const char *separator,
                                             char ***parts, size_t *n_parts, uint8_t **member,
                                             struct eg_error *err);

#endif
