/* flow.h: one verb a file; what the files of this room share. */
#ifndef EG_FLOW_PIPELINE_H
#define EG_FLOW_PIPELINE_H

#include "features/store.h"
#include "flow/joint.h"
#include "model/model.h"

/* ---- extracting: eg_extract in this process alone (extract.c), and as one of many ranks ----- */

EG_MUST_CHECK enum eg_status eg__extract_here(const struct eg_net *net, const struct eg_dataset *images,
                                              const char *path, const struct eg_extract_options *options,
                                              struct eg_extract_report *report, struct eg_error *err);
EG_MUST_CHECK enum eg_status eg__extract_ranks(const struct eg_net *net, const struct eg_dataset *images,
                                               const char *path, const struct eg_extract_options *options,
                                               struct eg_extract_report *report, struct eg_error *err);

/* About how many bytes a feature file of so many rows takes, uncompressed (estimate.c). */
uint64_t eg__extract_bytes(const struct eg_cut_info *cuts, size_t n_cuts, bool half, size_t n_rows);
/* Has the disk of path so many left, with what a file there has taken? EG_REASON_NO_ROOM */
EG_MUST_CHECK enum eg_status eg__extract_check_room(const char *path, uint64_t bytes, struct eg_error *err);

/* ---- judging (judge.c) ----------------------------------------------------------------- */

/* What a classifier says of some rows. */
struct eg_verdict {
    float *probabilities; /* [n][k] */
    int32_t *labels;      /* -1: rejected */
    uint8_t (*hashes)[32];
    char **reasons; /* NULL where it was read */
    size_t n, k;
};
void eg__verdict_release(struct eg_verdict *verdict);

/* Images of a dataset through a whole network, a batch at a time: item first+i has
 * probabilities[i][k], labels[i], and in feeder its hash and reason. */
typedef enum eg_status eg_batch_fn(void *context, const struct eg_feeder *feeder, size_t first, size_t n,
                                   const float *probabilities, const int32_t *labels, struct eg_error *err);
struct eg_judge_options {
    size_t batch; /* 0 = 8 */
    eg_pool *pool;
    eg_progress_fn *progress;
    void *user;
};
EG_MUST_CHECK enum eg_status eg__judge_each(const struct eg_net *net, const struct eg_dataset *dataset,
                                            const struct eg_judge_options *options, eg_batch_fn *take,
                                            void *context, struct eg_error *err);
EG_MUST_CHECK enum eg_status eg__judge_photos(const struct eg_net *net, const struct eg_dataset *dataset,
                                              const struct eg_judge_options *options,
                                              struct eg_verdict *verdict, struct eg_error *err);
/* Row `from` becomes row `to` (to <= from). */
void eg__verdict_keep(struct eg_verdict *verdict, size_t from, size_t to);
/* Rows of d features to put through a head at a time: some megabytes. */
size_t eg__row_batch(size_t d);
/* Any rows of a cut as [n][D]. EG_E_NUMERIC names one that is not finite. */
EG_MUST_CHECK enum eg_status eg__rows_gather(struct eg_store *store, size_t cut, const size_t *rows, size_t n,
                                             float *out, struct eg_error *err);
/* Rows of a feature file through a head. */
EG_MUST_CHECK enum eg_status eg__judge_rows(const struct eg_graph *head, const struct eg_joint *joint,
                                            const size_t *rows, size_t n, eg_pool *pool,
                                            struct eg_verdict *verdict, struct eg_error *err);

/* The data's labels as the model's, by class name: map[n_data]. EG_E_ARGUMENT names a class of
 * labels [n] (-1: none) that the model does not know. free(*map). */
EG_MUST_CHECK enum eg_status eg__class_map(char *const *model, size_t n_model, const char *const *data,
                                           size_t n_data, const int32_t *labels, size_t n, int32_t **map,
                                           struct eg_error *err);

/* ---- the trained file (trained.c) -------------------------------------------------------- */

/* ["a","b"]; free() it; NULL: no memory. */
char *eg__names_json(const char *const *names, size_t n);

/* EG_E_ARGUMENT where weights or recipes differ: what may not be mixed. */
EG_MUST_CHECK enum eg_status eg__same_source(const struct eg_store_spec *a, const struct eg_store_spec *b,
                                             const char *path, struct eg_error *err);

/* ---- what reports hold, freed; the report itself stays ----------------------------------------- */

void eg__extract_report_release(struct eg_extract_report *report);
void eg__check_report_release(struct eg_check_report *report);
void eg__train_report_release(struct eg_train_report *report);
void eg__evaluate_report_release(struct eg_evaluate_report *report);
void eg__tune_report_release(struct eg_tune_report *report);

/* Do these layers belong to one block ("layer1.0" of "layer1.0.conv2", "_blocks.5" of
 * "_blocks.5._bn2"), by their names? (candidate_cuts.c) */
bool eg__same_block(const char *a, const char *b);

/* ---- small things --------------------------------------------------------------------------- */

EG_MUST_CHECK enum eg_status eg__skip(struct eg_skipped **list, size_t *n, const char *path,
                                      const char *reason, struct eg_error *err);
void eg__skipped_free(struct eg_skipped *list, size_t n);
/* What moves came to, into a report; the result is released (photo_moves.c). */
struct eg_moves_result;
EG_MUST_CHECK enum eg_status eg__take_moved(struct eg_moves_result *result, size_t *done,
                                            struct eg_skipped **skipped, size_t *n_skipped,
                                            struct eg_error *err);
void eg__joined_free(struct eg_joined *list, size_t n);
void eg__selection_free(struct eg_selection *list, size_t n);
void eg__compared_free(struct eg_compared *list, size_t n);
bool eg__is_hdf5(const char *path); /* by its first bytes */
/* The file of a path that is printable text, below root where it is relative; free() it; NULL: no memory
 * (sort_photos.c). */
char *eg__file_of_path(const char *root, const char *path);

#endif
