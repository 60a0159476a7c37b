/* input_size.c: the shape of a network's input that suits the photos: a car is twice as wide as high,
 * and what a square leaves of it may be worth less than all its pixels. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/versioned.h"
#include "flow/training.h"
#include "image/photo.h"

enum { LOOKED_AT = 64, STEP = 32 /* what networks halve five times */ };

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static size_t round_side(double side)
{
    double steps = floor(side / STEP + 0.5);
    return STEP * (size_t)(steps < 1 ? 1 : steps);
}

enum eg_status eg_net_usual_size(const eg_net *net, const eg_dataset *images, size_t size[2],
                                 struct eg_error *err)
{
    double ratios[LOOKED_AT];
    size_t n = 0, items = images->n_items, count = items < LOOKED_AT ? items : LOOKED_AT;
    if (!net->has_recipe || images->is_array)
        return eg__fail(err, EG_E_ARGUMENT, "an array has the network's shape: there is nothing to choose");
    for (size_t i = 0; i < count; i++) {
        uint8_t *bytes;
        size_t n_bytes;
        size_t width, height;
        if (eg__dataset_read(images, i * items / count, &bytes, &n_bytes, NULL)) continue;
        if (!eg__photo_size(bytes, n_bytes, &width, &height, NULL) && height)
            ratios[n++] = (double)width / (double)height;
        free(bytes);
    }
    if (!n) return eg__fail(err, EG_E_IO, "no photo could be read to see its shape");
    qsort(ratios, n, sizeof *ratios, compare_doubles);
    double area = (double)net->recipe.crop[0] * (double)net->recipe.crop[1];
    double ratio = fmax(0.25, fmin(4, ratios[n / 2]));
    size[0] = round_side(sqrt(area / ratio));
    size[1] = round_side(sqrt(area * ratio));
    return EG_OK;
}

/* What a linear classifier makes of an input, photo by photo. */
struct tried {
    struct eg_held_out held;
    uint8_t (*hashes)[32];
    size_t n;
};

static void forget(struct tried *t)
{
    free(t->held.right);
    free(t->hashes);
    *t = (struct tried){0};
}

static enum eg_status judge(eg_features *features, const struct eg_train_options *options, struct tried *out,
                            struct eg_error *err)
{
    struct eg_train_options how = *options;
    how.features = NULL; /* the one cut that was made */
    how.joined = NULL;
    how.n_joined = how.n_others = 0;
    if (!how.classifier || (strcmp(how.classifier, "logistic") && strcmp(how.classifier, "svm")))
        how.classifier = "logistic";
    struct training t = {.store = features, .spec = eg__store_spec(features), .options = &how};
    struct tried made = {0};
    enum eg_status status = eg__training_begin(&t, err);
    if (!status) status = eg__training_held_out(&t, &made.held, err);
    if (!status) {
        made.n = t.sample.n_train;
        made.hashes = t.sample.hashes;
        t.sample.hashes = NULL;
        *out = made;
    }
    eg__training_release(&t);
    eg__train_report_release(&t.report);
    return status;
}

/* Features of one input in a file that is there for as long as it is asked. */
static enum eg_status try_input(const eg_net *net, const eg_dataset *images, const char *path,
                                const struct eg_train_options *options, const struct eg_run_cuts *cuts,
                                struct eg_compared_input *out, struct tried *tried, struct eg_error *err)
{
    double start = eg__seconds();
    struct eg_extract_options how = {
        EG_SIZED(eg_extract_options),  .cuts = cuts,         .overwrite = true, .pool = options->pool,
        .progress = options->progress, .user = options->user};
    struct eg_extract_report *extracted;
    eg_features *features = NULL;
    enum eg_status status = eg_extract(net, images, path, &how, &extracted, err);
    if (!status) {
        eg_extract_report_free(extracted);
        status = eg_features_open(path, &features, err);
    }
    if (!status) status = judge(features, options, tried, err);
    if (!status)
        *out = (struct eg_compared_input){.height = net->recipe.crop[0],
                                          .width = net->recipe.crop[1],
                                          .cv_accuracy = tried->held.accuracy,
                                          .seconds = eg__seconds() - start,
                                          .views = net->recipe.views};
    eg_features_close(features);
    unlink(path);
    return status;
}

/* Is it better than the best so far by more than its noise? */
static bool is_better(const struct tried *best, const struct tried *next, struct eg_compared_input *told)
{
    if (best->n == next->n && !memcmp(best->hashes, next->hashes, best->n * sizeof *best->hashes))
        eg__paired_gain(best->held.right, next->held.right, best->n, &told->gain, &told->noise);
    else { /* not all could be read in the same way */
        const double a = best->held.accuracy, b = next->held.accuracy;
        told->gain = b - a;
        told->noise = sqrt(a * (1 - a) / (double)best->n + b * (1 - b) / (double)next->n);
    }
    return told->gain > told->noise;
}

enum eg_status eg_inputs_compare(const eg_net *const *nets, size_t n, const eg_dataset *images,
                                 const char *path, const struct eg_train_options *options, const char *cut,
                                 struct eg_compared_input *compared, size_t *best, struct eg_error *err)
{
    struct eg_train_options own;
    enum eg_status status = eg__options(&own, sizeof own, options, err);
    char *beside = NULL;
    if (!status && asprintf(&beside, "%s.input.h5", path) < 0) {
        beside = NULL;
        status = eg__fail_memory(err, "a file name");
    }
    struct eg_run_cuts cuts = {.size = sizeof cuts, .cuts = &cut, .n_cuts = cut != NULL};
    struct tried now = {0};
    size_t first = 0;
    for (size_t i = 0; i < n && !status; i++) {
        struct tried next = {0};
        status = try_input(nets[i], images, beside, &own, &cuts, &compared[i], &next, err);
        if (!status && (!i || is_better(&now, &next, &compared[i]))) {
            struct tried swap = now;
            now = next;
            next = swap;
            first = i;
        }
        forget(&next);
    }
    forget(&now);
    if (!status) *best = first;
    free(beside);
    return status;
}
