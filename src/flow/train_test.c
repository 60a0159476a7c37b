/* train_test.c: a classifier before rows it has not seen: those kept, another file's, or photos. */
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "eval/metrics.h"
#include "flow/training.h"
#include "image/photo.h"
#include "model/prepared.h"

static enum eg_status test_rows(struct training *t, const struct eg_joint *joint, const size_t *rows,
                                const int32_t *labels, size_t n, struct eg_error *err)
{
    struct eg_verdict verdict;
    enum eg_status status = eg__judge_rows(t->learned.head, joint, rows, n, t->options->pool, &verdict, err);
    if (status) return status;
    status = eg__metrics(labels, verdict.labels, verdict.probabilities, n, t->report.n_classes,
                         &t->report.test, err);
    eg__verdict_release(&verdict);
    return status;
}

/* The same cuts of another file. */
static enum eg_status find_cuts(const struct training *t, struct eg_store *store, const char *path,
                                struct eg_joint *joint, struct eg_error *err)
{
    enum eg_status status = eg__same_source(t->spec, eg__store_spec(store), path, err);
    if (!status && t->options->n_others)
        status =
            eg__fail(err, EG_E_UNSUPPORTED,
                     "a file with one network's features cannot test a classifier of several: give photos");
    for (size_t p = 0; p < t->joint.n && !status; p++) {
        size_t cut = 0;
        status = eg__store_find_cut(store, t->spec->cuts[t->joint.parts[p].cut].name, &cut, err);
        if (!status) status = eg__joint_add(joint, store, cut, NULL, err);
    }
    return status;
}

/* Labels of other data as the model's; rows that have one. */
static enum eg_status test_file(struct training *t, const char *path, struct eg_error *err)
{
    struct eg_store *store = NULL;
    enum eg_status status = eg__store_open(path, &store, err);
    if (status) return status;
    const struct eg_store_spec *spec = eg__store_spec(store);
    const uint8_t *row_status = eg__store_status(store);
    int32_t *map = NULL, *labels = eg__alloc(spec->n_rows + 1, sizeof *labels);
    const char **classes = NULL;
    struct eg_joint joint = {0};
    size_t n = 0, n_classes = 0, *rows = eg__alloc(spec->n_rows + 1, sizeof *rows);
    if (!labels || !rows) status = eg__fail_memory(err, "rows");
    if (!status) status = find_cuts(t, store, path, &joint, err);
    for (size_t i = 0; !status && i < spec->n_rows; i++)
        if (row_status[i] == EG_ROW_DONE && spec->labels[i] >= 0) {
            rows[n] = i;
            labels[n++] = spec->labels[i];
        }
    if (!status)
        status = eg__class_choose(&t->options->classes, spec->classes, spec->n_classes, labels, n, &classes,
                                  &n_classes, err);
    n = status ? n : eg__without_unlabelled(rows, labels, n);
    if (!status)
        status =
            eg__class_map(t->report.classes, t->report.n_classes, classes, n_classes, labels, n, &map, err);
    for (size_t i = 0; i < n && !status; i++) labels[i] = map[labels[i]];
    if (!status && !n) status = eg__fail(err, EG_E_ARGUMENT, "no row of '%s' has a label", path);
    uint8_t(*hashes)[32] = eg__alloc(n, sizeof *hashes);
    if (!status)
        status = hashes ? eg__row_hashes(store, joint.parts[0].cut, rows, n, hashes, err)
                        : eg__fail_memory(err, "the images' hashes");
    if (!status) eg__training_count_known(t, (eg_hashes)hashes, n);
    if (!status) status = test_rows(t, &joint, rows, labels, n, err);
    eg__joint_release(&joint);
    free(hashes);
    free(map);
    free(classes);
    free(labels);
    free(rows);
    if (eg__store_close(store, NULL) && !status) status = eg__fail(err, EG_E_IO, "cannot close '%s'", path);
    return status;
}

static enum eg_status test_photos(struct training *t, const char *path, struct eg_error *err)
{
    if (!t->net)
        return eg__fail(err, EG_E_ARGUMENT,
                        "photos cannot test a classifier that has no network: give a feature file");
    struct eg_dataset *images = NULL;
    enum eg_status status = eg__dataset_scan(&path, 1, t->options->images, &images, err);
    if (status) return status;
    int32_t *map = NULL, *truth = eg__alloc(images->n_items + 1, sizeof *truth);
    const char **classes = NULL;
    size_t n_classes = 0;
    struct eg_verdict verdict = {0};
    struct eg_net whole = {.graph = t->graph,
                           .recipe = t->whole->recipe,
                           .has_recipe = t->whole->has_recipe,
                           .classes = t->report.classes,
                           .n_classes = t->report.n_classes};
    struct eg_judge_options how = {
        .pool = t->options->pool, .progress = t->options->progress, .user = t->options->user};
    whole.shared = eg__shared_create(&whole);
    if (!truth || !whole.shared) status = eg__fail_memory(err, "labels");
    if (!status) status = eg__card_read(t->graph, &whole.card, err);
    for (size_t i = 0; i < images->n_items && !status; i++) truth[i] = images->items[i].label;
    if (!status)
        status = eg__class_choose(&t->options->classes, (const char *const *)images->classes,
                                  images->n_classes, truth, images->n_items, &classes, &n_classes, err);
    if (!status)
        status = eg__class_map(t->report.classes, t->report.n_classes, classes, n_classes, truth,
                               images->n_items, &map, err);
    if (!status) status = eg__judge_photos(&whole, images, &how, &verdict, err);
    size_t n = 0;
    for (size_t i = 0; !status && i < images->n_items; i++) {
        if (verdict.reasons[i]) {
            status = eg__skip(&t->report.unreadable, &t->report.n_unreadable, images->items[i].path,
                              verdict.reasons[i], err);
        } else if (truth[i] >= 0) {
            eg__verdict_keep(&verdict, i, n);
            truth[n++] = map[truth[i]];
        }
    }
    if (!status && !n)
        status = eg__fail(err, EG_E_ARGUMENT, "no photo of '%s' could be read and has a label", path);
    if (!status) eg__training_count_known(t, (eg_hashes)verdict.hashes, n);
    if (!status)
        status = eg__metrics(truth, verdict.labels, verdict.probabilities, n, t->report.n_classes,
                             &t->report.test, err);
    eg__verdict_release(&verdict);
    eg__shared_free(whole.shared);
    free(map);
    free(classes);
    free(truth);
    eg__dataset_free(images);
    return status;
}

enum eg_status eg__training_test(struct training *t, struct eg_error *err)
{
    const char *path = t->options->test;
    if (eg__training_has_targets(t)) return eg__training_test_targets(t, err);
    if (!path) {
        const struct eg_sample *s = &t->sample;
        size_t n = s->n - s->n_train;
        return n ? test_rows(t, &t->joint, s->rows + s->n_train, s->labels + s->n_train, n, err) : EG_OK;
    }
    return eg__is_hdf5(path) ? test_file(t, path, err) : test_photos(t, path, err);
}
