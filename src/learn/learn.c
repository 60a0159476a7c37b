/* Classifiers on rows of numbers: what is asked is checked here, then handed to a learner. */
#include "learn/learn.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/limits.h"
#include "base/mem.h"
#include "learn/forest.h"
#include "learn/linear.h"
#include "learn/means.h"
#include "learn/multi_label.h"
#include "learn/primal.h"

/* What is allowed is for the whole process: less what it holds already, yet never nothing. */
static size_t left_of(size_t allowed)
{
    unsigned long pages = 0;
    long page = sysconf(_SC_PAGESIZE);
    FILE *file = fopen("/proc/self/statm", "r"); /* second number: pages resident */
    if (file && fscanf(file, "%*u %lu", &pages) != 1) pages = 0;
    if (file) fclose(file);
    size_t held = page > 0 ? pages * (size_t)page : 0;
    return held < allowed / 4 * 3 ? allowed - held : allowed / 4;
}

size_t eg__learn_budget(const struct eg_learn_options *o)
{
    return o->memory_bytes ? left_of(o->memory_bytes) : eg__usable_memory() / 2;
}

/* Outside every fold every class has rows: class `only[k]` fold or, -1, several. */
static enum eg_status check_folds(const int32_t *labels, size_t n, size_t n_classes,
                                  const struct eg_learn_options *o, unsigned folds, struct eg_error *err)
{
    enum { NONE = -2, SEVERAL = -1 };
    if (folds < 2) return EG_OK;
    int *only = eg__alloc(n_classes, sizeof *only);
    enum eg_status status = only ? EG_OK : eg__fail_memory(err, "the folds");
    for (size_t k = 0; k < n_classes && !status; k++) only[k] = NONE;
    for (size_t i = 0; i < n && !status; i++) {
        int *k = &only[labels[i]], f = o->fold[i];
        if ((unsigned)f >= folds)
            status = eg__fail(err, EG_E_ARGUMENT, "row %zu is in fold %d of %u", i, f, folds);
        *k = *k == NONE || *k == f ? f : SEVERAL;
    }
    for (size_t k = 0; k < n_classes && !status; k++)
        if (only[k] != SEVERAL)
            status = eg__fail(err, EG_E_ARGUMENT, "all rows of class %zu are in one fold", k);
    free(only);
    return status;
}

static enum eg_status check_labels(const struct eg_row_source *rows, const int32_t *labels, size_t n_classes,
                                   const struct eg_learn_options *o, unsigned folds, struct eg_error *err)
{
    size_t *count = eg__zalloc(n_classes + 1, sizeof *count), seen = 0;
    enum eg_status status = count ? EG_OK : eg__fail_memory(err, "class counts");
    for (size_t i = 0; i < rows->n && !status; i++) {
        if (labels[i] < 0 || (size_t)labels[i] >= n_classes)
            status = eg__fail(err, EG_E_ARGUMENT, "row %zu has label %d, there are %zu classes", i, labels[i],
                              n_classes);
        else
            seen += !count[labels[i]]++;
    }
    if (!status && seen < 2)
        status = eg__fail(err, EG_E_ARGUMENT, "%s: a classifier needs rows of two classes or more",
                          seen ? "all rows are of one class" : "there are no rows");
    for (size_t k = 0; k < n_classes && !status; k++)
        if (!count[k]) status = eg__fail(err, EG_E_ARGUMENT, "class %zu has no row to learn from", k);
    if (!status) status = check_folds(labels, rows->n, n_classes, o, folds, err);
    free(count);
    return status;
}

/* What is not made for several labels a row. */
static enum eg_status check_sets(const struct eg_row_source *rows, size_t k, const struct eg_learn_options *o,
                                 unsigned folds, struct eg_error *err)
{
    if (o->learner > EG_SVM)
        return eg__fail(err, EG_E_UNSUPPORTED,
                        "several labels are learned by logistic regression and the linear SVM alone");
    if (o->balance || o->reject_rate > 0 || o->start)
        return eg__fail(err, EG_E_UNSUPPORTED, "%s: not with several labels a photo",
                        o->balance           ? "classes of equal weight"
                        : o->reject_rate > 0 ? "answering \"unknown\""
                                             : "going on from an earlier model");
    return eg__sets_check(o->sets, rows->n, k, o->fold, folds, err);
}

static enum eg_status check(const struct eg_row_source *rows, const int32_t *labels, size_t n_classes,
                            const struct eg_learn_options *o, unsigned folds, struct eg_error *err)
{
    enum eg_status status = o->sets ? check_sets(rows, n_classes, o, folds, err)
                                    : check_labels(rows, labels, n_classes, o, folds, err);
    for (size_t i = 0; i < o->n_c && !status; i++)
        if (!(o->c[i] > 0) || !isfinite(o->c[i]))
            status = eg__fail(err, EG_E_ARGUMENT, "C is %g, it must be above 0", o->c[i]);
    if (!status && folds < 2 && o->learner <= EG_SVM && (o->n_c != 1 || o->scale == EG_SCALE_AUTO))
        status =
            eg__fail(err, EG_E_ARGUMENT, "without folds nothing can be chosen: give one C and a scaling");
    if (!status && !(o->reject_rate >= 0 && o->reject_rate < 1))
        status =
            eg__fail(err, EG_E_ARGUMENT, "the rate to reject is %g, it must lie in 0 to 1", o->reject_rate);
    if (!status && (o->reject_rate > 0 || o->out_of_fold) && folds < 2)
        status = eg__fail(err, EG_E_ARGUMENT, "%s: ask for 2 folds or more",
                          o->out_of_fold ? "out-of-fold probabilities need folds"
                                         : "what to reject is found on held-out folds");
    return status;
}

static enum eg_status fit_reject(struct eg_matrix *matrix, const int32_t *labels,
                                 const struct eg_learn_options *o, const struct eg_linear *linear,
                                 const struct eg_calibration *calibration, struct eg_reject *reject,
                                 struct eg_error *err)
{
    const size_t k_count = linear->n_classes;
    double *confidence = eg__zalloc(matrix->n, sizeof *confidence);
    float *p = eg__alloc(matrix->n, k_count * sizeof *p);
    enum eg_status status =
        confidence && p ? eg__calibrated(linear, calibration, p, err) : eg__fail_memory(err, "confidences");
    for (size_t i = 0; i < matrix->n && !status; i++)
        for (size_t k = 0; k < k_count; k++) confidence[i] = fmax(confidence[i], (double)p[i * k_count + k]);
    free(p);
    if (!status)
        status = eg__reject_fit(matrix, labels, linear->n_classes, o->fold, o->folds ? o->folds : 5,
                                confidence, o->reject_rate, reject, err);
    free(confidence);
    return status;
}

/* Where to solve, and who gets how much of the memory. */
struct plan {
    enum eg_space space;
    size_t for_solver, for_rows;
};

enum { BLOCKS_LEAST = 64, WORK_BYTES = 80 };

/* The smaller of the two spaces, if it fits; else the other; else neither. What it holds whole is
 * beside one fit's vectors and blocks of rows to make it from. */
static enum eg_status make_plan(const struct eg_row_source *rows, size_t n_classes,
                                const struct eg_learn_options *o, double budget, struct plan *plan,
                                struct eg_error *err)
{
    const double n = (double)rows->n, row_bytes = 4 * (double)rows->d,
                 columns = n_classes == 2 && !o->sets ? 1 : (double)n_classes;
    const unsigned folds = o->fold ? o->folds ? o->folds : 5 : 0;
    const bool smooth = eg__linear_loss(o) != EG_LOSS_HINGE;
    enum eg_space order[3] = {EG_SPACE_ROWS, EG_SPACE_BLOCKS, EG_SPACE_BLOCKS};
    if (smooth && (o->space == EG_IN_FEATURES || (o->space == EG_IN_EITHER && rows->d < rows->n))) {
        order[0] = EG_SPACE_FEATURES;
        order[1] = EG_SPACE_ROWS;
    }
    double held = 0, whole = 0, work = 0, least = 0;
    for (int i = 0; i < 3; i++) {
        const enum eg_space space = order[i];
        const bool features = space == EG_SPACE_FEATURES;
        held = eg__linear_bytes(rows->n, rows->d, (size_t)columns, folds, space);
        least = held + BLOCKS_LEAST * row_bytes + columns * 8 * (row_bytes / 4);
        whole = space == EG_SPACE_BLOCKS ? 0 : features ? eg__primal_bytes(rows->n, rows->d) : 4 * n * n;
        work = columns * (features ? eg__primal_column_bytes(rows->n, rows->d) : n * WORK_BYTES);
        plan->space = space;
        if (space != EG_SPACE_BLOCKS && whole + work + least <= 0.9 * budget) break;
    }
    if (least > budget)
        return eg__fail(
            err, EG_E_MEMORY,
            "%zu rows of %zu features in %zu classes need %.0f MB to learn from, %.0f MB are allowed",
            rows->n, rows->d, n_classes, ceil(least * 1e-6), floor(budget * 1e-6));
    const double rest = budget - held - whole;
    plan->for_solver = (size_t)(plan->space == EG_SPACE_BLOCKS ? rest * 0.4 : fmax(work, rest * 0.4));
    plan->for_rows = ((size_t)rest - plan->for_solver) / 10 * 9;
    return EG_OK;
}

static enum eg_status learn_linear(const struct eg_row_source *rows, const int32_t *labels, size_t n_classes,
                                   const struct eg_learn_options *o, size_t budget,
                                   struct eg_learned *learned, struct eg_error *err)
{
    bool standard = o->scale == EG_SCALE_STANDARD || o->scale == EG_SCALE_AUTO;
    struct eg_matrix matrix = {0};
    struct eg_linear linear = {0};
    struct eg_calibration calibration = {0};
    struct plan plan = {0};
    enum eg_status status = make_plan(rows, n_classes, o, (double)budget, &plan, err);
    if (!status) status = eg__matrix_open(rows, standard, plan.for_rows, o->pool, &matrix, err);
    if (!status && o->learner >= EG_CENTROID)
        status = eg__means_train(&matrix, labels, n_classes, o, &linear, learned, err);
    else if (!status)
        status = eg__linear_train(&matrix, labels, n_classes, o, plan.for_solver, plan.space, &linear,
                                  learned, err);
    const bool whole = !o->choose_only && !o->sets, one = !o->sets;
    if (!status && o->sets) status = eg__sets_finish(&matrix, &linear, o, learned, err);
    if (!status && (whole || (one && o->out_of_fold)))
        status = eg__calibrate(&linear, labels, &calibration, err);
    if (!status && one && o->out_of_fold) {
        learned->out_of_fold = eg__alloc(rows->n, n_classes * sizeof *learned->out_of_fold);
        status = learned->out_of_fold ? eg__calibrated(&linear, &calibration, learned->out_of_fold, err)
                                      : eg__fail_memory(err, "probabilities");
    }
    struct eg_reject reject = {0};
    if (!status && whole && o->reject_rate > 0)
        status = fit_reject(&matrix, labels, o, &linear, &calibration, &reject, err);
    if (!status && whole)
        status = eg__linear_head(&matrix, &linear, &calibration, reject.mean ? &reject : NULL, &learned->head,
                                 err);
    if (reject.mean) learned->reject_rate = reject.rate;
    eg__reject_free(&reject);
    learned->scale = linear.scale;
    learned->c = linear.c;
    learned->cv_accuracy = linear.cv_accuracy;
    learned->objective = linear.objective;
    learned->gap = linear.gap;
    eg__calibration_free(&calibration);
    eg__linear_free(&linear);
    eg__matrix_close(&matrix);
    return status;
}

static enum eg_status learn_forest(const struct eg_row_source *rows, const int32_t *labels, size_t n_classes,
                                   const struct eg_learn_options *o, size_t budget,
                                   struct eg_learned *learned, struct eg_error *err)
{
    struct eg_matrix matrix = {0};
    enum eg_scaling scale = o->scale == EG_SCALE_AUTO ? EG_SCALE_NONE : o->scale; /* splits need none */
    enum eg_status status =
        eg__matrix_open(rows, scale == EG_SCALE_STANDARD, budget / 16, o->pool, &matrix, err);
    if (status) return status;
    eg__matrix_scale(&matrix, scale);
    learned->scale = scale;
    status = eg__forest_train(&matrix, labels, n_classes, o, budget / 8 * 7, learned, err);
    eg__matrix_close(&matrix);
    return status;
}

enum eg_status eg__learn(const struct eg_row_source *rows, const int32_t *labels, size_t n_classes,
                         const struct eg_learn_options *options, struct eg_learned *learned,
                         struct eg_error *err)
{
    const unsigned folds = !options->fold ? 1 : options->folds ? options->folds : 5;
    const size_t budget = eg__learn_budget(options);
    struct eg_learned made = {.learner = options->learner,
                              .scale = options->scale,
                              .c = NAN,
                              .cv_accuracy = NAN,
                              .objective = NAN,
                              .gap = NAN,
                              .oob_accuracy = NAN};
    enum eg_status status = check(rows, labels, n_classes, options, folds, err);
    if (status) return status;
    switch (options->learner) {
    case EG_LOGISTIC:
    case EG_CENTROID:
    case EG_LDA:
    case EG_SVM: status = learn_linear(rows, labels, n_classes, options, budget, &made, err); break;
    case EG_FOREST: status = learn_forest(rows, labels, n_classes, options, budget, &made, err); break;
    default:
        status = eg__fail(err, EG_E_UNSUPPORTED, "this classifier is not learned from rows alone");
        break;
    }
    if (status) {
        eg__learned_release(&made);
        return status;
    }
    *learned = made;
    return EG_OK;
}

void eg__learned_release(struct eg_learned *learned)
{
    eg__graph_free(learned->head);
    free(learned->grid);
    free(learned->out_of_fold);
    free(learned->thresholds);
    *learned = (struct eg_learned){0};
}
