/* input_size.c: the shape of a network's input that suits the photos: a car is twice as wide as high,
 * and what a square leaves of it may be worth less than all its pixels. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/versioned.h"
#include "flow/flow.h"
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

/* Features of one input in a file that is there for as long as it is asked, and what a linear
 * classifier makes of them. */
static enum eg_status try_input(const eg_net *net, const eg_dataset *images, const char *path,
                                const struct eg_train_options *options, const struct eg_run_cuts *cuts,
                                struct eg_compared_input *out, struct eg_error *err)
{
    double start = eg__seconds();
    struct eg_extract_options how = {
        EG_SIZED(eg_extract_options),  .cuts = cuts,         .overwrite = true, .pool = options->pool,
        .progress = options->progress, .user = options->user};
    struct eg_extract_report *extracted;
    eg_features *features = NULL;
    struct eg_comparison *found = NULL;
    enum eg_status status = eg_extract(net, images, path, &how, &extracted, err);
    if (!status) {
        eg_extract_report_free(extracted);
        status = eg_features_open(path, &features, err);
    }
    if (!status) status = eg_features_compare(features, options, &found, err);
    if (!status)
        *out = (struct eg_compared_input){net->recipe.crop[0], net->recipe.crop[1],
                                          found->compared[0].cv_accuracy, eg__seconds() - start};
    eg_comparison_free(found);
    eg_features_close(features);
    unlink(path);
    return status;
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
    size_t first = 0;
    for (size_t i = 0; i < n && !status; i++) {
        status = try_input(nets[i], images, beside, &own, &cuts, &compared[i], err);
        if (!status && compared[i].cv_accuracy > compared[first].cv_accuracy) first = i;
    }
    if (!status) *best = first;
    free(beside);
    return status;
}
