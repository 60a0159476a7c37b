/* tune_rows.c: the rows of fine-tuning: which photos, of which classes, on which side; and what lies
 * below the learned layers, computed once for each. */
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "flow/tuning.h"
#include "image/photo.h"

enum { DEFAULT_BATCH = 16, HEAD_BATCH = EG_HEAD_BATCH };

enum eg_status eg__tuning_classes(struct tuning *t, struct eg_error *err)
{
    const struct eg_dataset *images = t->dataset;
    const size_t n_classes = images->n_classes;
    struct eg_train_report *r = &t->report.train;
    int32_t *labels = eg__alloc(images->n_items + 1, sizeof *labels);
    t->label_of = eg__alloc(n_classes + 1, sizeof *t->label_of);
    r->classes = eg__zalloc(n_classes + 1, sizeof(char *));
    r->empty = eg__zalloc(n_classes + 1, sizeof(char *));
    bool room = labels && t->label_of && r->classes && r->empty;
    enum eg_status status = room ? EG_OK : eg__fail_memory(err, "class names");
    for (size_t k = 0; k < n_classes && room; k++) t->label_of[k] = -1;
    for (size_t i = 0; i < images->n_items && room; i++) {
        labels[i] = images->items[i].label;
        if (labels[i] >= 0) t->label_of[labels[i]] = 0;
    }
    if (!status)
        status = eg__sample_check(labels, images->n_items, (const char *const *)images->classes, n_classes,
                                  t->options->test_fraction, 1, err);
    for (size_t k = 0; k < n_classes && !status; k++) {
        char *name = strdup(images->classes[k]);
        if (!name)
            status = eg__fail_memory(err, "class names");
        else if (t->label_of[k] < 0)
            r->empty[r->n_empty++] = name;
        else {
            t->label_of[k] = (int32_t)r->n_classes;
            r->classes[r->n_classes++] = name;
        }
    }
    free(labels);
    return status;
}

enum eg_status eg__tuning_rows(struct tuning *t, struct eg_error *err)
{
    size_t n_items = t->dataset->n_items;
    t->items = eg__alloc(n_items + 1, sizeof *t->items);
    t->labels = eg__alloc(n_items + 1, sizeof *t->labels);
    if (!t->items || !t->labels) return eg__fail_memory(err, "rows");
    for (size_t i = 0; i < n_items; i++) {
        if (t->dataset->items[i].label < 0) {
            t->report.train.n_unlabelled++;
            continue;
        }
        t->items[t->n] = i;
        t->labels[t->n++] = t->label_of[t->dataset->items[i].label];
    }
    if (!t->n)
        return eg__fail(err, EG_E_ARGUMENT,
                        "no photo has a label: photos are labelled by the folder they are in");
    size_t asked = t->options->batch;
    t->batch = asked ? asked : DEFAULT_BATCH;
    t->head_batch = asked ? asked : HEAD_BATCH;
    if (t->batch > t->n) t->batch = t->n;
    if (t->head_batch > t->n) t->head_batch = t->n;
    return EG_OK;
}

/* Everything below the learned layers, once, for every row as it is. Photos that cannot be
 * read are left out. */
static enum eg_status compute_rows(struct tuning *t, uint8_t (*hashes)[32], struct eg_error *err)
{
    const struct eg_tune_options *o = t->options;
    struct eg_feeder feeder = {0};
    struct eg_run *run = NULL;
    uint32_t outputs[EG_INPUTS_MAX + 1] = {t->cut};
    float *out[EG_INPUTS_MAX + 1] = {0};
    size_t n_outputs = 1, batch = t->batch, kept = 0, *rows = eg__alloc(batch, sizeof *rows);
    size_t place[EG_INPUTS_MAX] = {0}; /* of a boundary node among the outputs */
    for (size_t b = 0; t->trainer && b < t->source.n_boundary; b++) {
        uint32_t node = t->source.boundary[b];
        for (place[b] = 0; place[b] < n_outputs && outputs[place[b]] != node; place[b]++) {
        }
        if (node && place[b] == n_outputs) outputs[n_outputs++] = node;
    }
    struct eg_run_options options = {.max_batch = batch};
    enum eg_status status = rows ? EG_OK : eg__fail_memory(err, "a batch");
    if (!status)
        status = eg__feeder_init(t->net->has_recipe ? &t->net->recipe : NULL, t->graph, t->dataset, batch,
                                 o->pool, &feeder, err);
    if (!status) status = eg__run_create(t->graph, outputs, n_outputs, &options, o->pool, &run, err);
    for (size_t k = 0; k < n_outputs && !status; k++)
        if (!(out[k] = eg__alloc(batch * eg__shape_count(t->graph->nodes[outputs[k]].shape), sizeof(float))))
            status = eg__fail_memory(err, "a batch");
    size_t n = t->n,
           input_bytes = eg__shape_count(t->graph->nodes[0].shape) * (feeder.values ? sizeof(float) : 1);
    for (size_t first = 0; first < n && !status; first += batch) {
        size_t count = n - first < batch ? n - first : batch;
        for (size_t i = 0; i < count; i++) rows[i] = t->items[first + i];
        eg__feeder_load(&feeder, rows, count);
        status = eg__feeder_run(&feeder, run, count, out, err);
        for (size_t i = 0; i < count && !status; i++) {
            if (feeder.reasons[i][0]) {
                status = eg__skip(&t->report.train.unreadable, &t->report.train.n_unreadable,
                                  t->dataset->items[rows[i]].path, feeder.reasons[i], err);
                continue;
            }
            memcpy((float *)(void *)t->features.bytes + kept * t->d, out[0] + i * t->d, t->d * sizeof(float));
            const void *input = (feeder.values ? (uint8_t *)feeder.values : feeder.pixels) + i * input_bytes;
            const float *boundary[EG_INPUTS_MAX] = {0};
            for (size_t b = 0; t->trainer && b < t->source.n_boundary; b++)
                if (t->source.boundary[b])
                    boundary[b] =
                        out[place[b]] + i * eg__shape_count(t->graph->nodes[t->source.boundary[b]].shape);
            if (t->trainer) eg__tune_source_keep(&t->source, kept, input, boundary);
            memcpy(hashes[kept], feeder.hashes[i], sizeof *hashes);
            t->items[kept] = rows[i];
            t->labels[kept++] = t->label_of[t->dataset->items[rows[i]].label];
        }
        if (!status && o->progress && !o->progress(o->user, first + count, n))
            status = eg__fail(err, EG_E_CANCELLED, "stopped");
    }
    t->n = kept;
    for (size_t k = 0; k < n_outputs; k++) free(out[k]);
    eg__run_free(run);
    eg__feeder_release(&feeder);
    free(rows);
    return status;
}

/* Some of the training rows to validate on, class by class. */
static enum eg_status take_validation(struct tuning *t, struct eg_error *err)
{
    const struct eg_tune_options *o = t->options;
    const struct eg_sample *s = &t->sample;
    uint8_t *part = eg__zalloc(s->n, 1);
    enum eg_status status = part ? EG_OK : eg__fail_memory(err, "the split");
    for (size_t i = s->n_train; i < s->n && !status; i++) part[i] = 2;
    if (!status && o->valid_fraction > 0)
        status = eg__split((eg_hashes)s->identity, s->labels, s->n_train, s->n_classes, o->valid_fraction,
                           o->seed + 1, part, err);
    size_t at = 0, counts[3] = {0};
    for (uint8_t p = 0; p < 3 && !status; p++)
        for (size_t i = 0; i < s->n; i++)
            if (part[i] == p) {
                t->rows[at++] = s->rows[i];
                t->by_row[s->rows[i]] = i;
                counts[p]++;
            }
    t->n_train = t->report.train.n_train = counts[0];
    t->n_valid = t->report.n_valid = counts[1];
    t->n_test = counts[2];
    free(part);
    return status;
}

/* The test rows are those `train` keeps with the same seed and groups; the validation rows are some
 * of the others. */
static enum eg_status split_rows(struct tuning *t, const uint8_t (*hashes)[32], struct eg_error *err)
{
    const struct eg_tune_options *o = t->options;
    const struct eg_dataset *images = t->dataset;
    size_t *rows = eg__alloc(t->n, sizeof *rows);
    const char **paths = eg__alloc(t->n, sizeof *paths);
    t->rows = eg__alloc(t->n, sizeof *t->rows);
    t->by_row = eg__alloc(t->n, sizeof *t->by_row);
    bool room = rows && paths && t->rows && t->by_row;
    for (size_t i = 0; i < t->n && room; i++) {
        rows[i] = i;
        paths[i] = images->items[t->items[i]].path;
    }
    struct eg_labelled labelled = {t->n,
                                   rows,
                                   t->labels,
                                   hashes,
                                   paths,
                                   (const char *const *)t->report.train.classes,
                                   t->report.train.n_classes,
                                   t->dataset->is_array};
    struct eg_sample_options how = {.test_fraction = o->test_fraction, .seed = o->seed, .group = o->group};
    enum eg_status status =
        room ? eg__sample_make(&labelled, &how, &t->sample, err) : eg__fail_memory(err, "the split");
    if (!status && t->sample.n_empty)
        status =
            eg__fail(err, EG_E_IO, "no photo of class '%s' could be read (mend them, or take the class out)",
                     t->sample.empty[0]);
    t->trained.sample = &t->sample;
    if (!status) status = take_validation(t, err);
    struct eg_train_report *r = &t->report.train;
    r->twice = t->sample.twice;
    r->n_twice = t->sample.n_twice;
    t->sample.twice = NULL;
    t->sample.n_twice = 0;
    free(rows);
    free(paths);
    return status;
}

enum eg_status eg__tuning_compute(struct tuning *t, struct eg_error *err)
{
    uint8_t(*hashes)[32] = eg__zalloc(t->n, sizeof *hashes);
    enum eg_status status = hashes ? compute_rows(t, hashes, err) : eg__fail_memory(err, "hashes");
    status = eg__tune_agree(&t->dist, status, err);
    if (!status && !t->n) status = eg__fail(err, EG_E_IO, "no labelled photo could be read");
    if (!status) status = split_rows(t, (const uint8_t(*)[32])hashes, err);
    free(hashes);
    return status;
}
