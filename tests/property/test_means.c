/* learn/: classes as their means, against the same worked out plainly in double. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

#include "base/rng.h"
#include "learn/learn.h"
#include "net/net.h"

enum { N = 90, D = 20, K = 3 };

static float rows[N * D];
static int32_t labels[N];
static uint8_t fold[N];

/* Columns that hang together, so that the covariance matters. */
static int make_rows(void **state)
{
    (void)state;
    struct eg_rng rng;
    eg__rng_init(&rng, 21, 0);
    for (int i = 0; i < N; i++) {
        labels[i] = i % K;
        fold[i] = (uint8_t)(i / K % 5);
        const double common = 4 * eg__rng_normal(&rng);
        for (int j = 0; j < D; j++)
            rows[i * D + j] =
                (float)(eg__rng_normal(&rng) + (j % 2 ? common : -common) + (j == labels[i] ? 2 : 0));
    }
    return 0;
}

static struct eg_learned learn(enum eg_learner learner, enum eg_scaling scale, const uint8_t *folds, size_t n,
                               size_t k_count, const int32_t *classes)
{
    struct eg_rows_memory memory = {rows, n, D};
    struct eg_row_source source = eg__rows_in_memory(&memory);
    struct eg_learn_options options = {
        .learner = learner, .scale = scale, .fold = folds, .out_of_fold = folds};
    struct eg_learned learned;
    struct eg_error err;
    if (eg__learn(&source, classes, k_count, &options, &learned, &err)) fail_msg("%s", err.message);
    return learned;
}

static void run_head(const struct eg_learned *l, float *probabilities, float *found)
{
    struct eg_run *run;
    const uint32_t outputs[2] = {l->head->output, l->head->label_output};
    float *out[2] = {probabilities, found};
    struct eg_run_options options = {.max_batch = N};
    struct eg_error err;
    if (eg__run_create(l->head, outputs, 2, &options, NULL, &run, &err) ||
        eg__run_forward(run, rows, N, out, &err))
        fail_msg("%s", err.message);
    eg__run_free(run);
}

/* Of raw rows the nearest mean is the nearest mean. */
static void nearest_mean(void **state)
{
    (void)state;
    float p[N * K], found[N];
    double mean[K][D] = {{0}};
    struct eg_learned l = learn(EG_CENTROID, EG_SCALE_NONE, fold, N, K, labels);
    run_head(&l, p, found);
    for (int i = 0; i < N; i++)
        for (int j = 0; j < D; j++) mean[labels[i]][j] += (double)rows[i * D + j] * K / N;
    for (int i = 0; i < N; i++) {
        double least = INFINITY;
        int nearest = -1;
        for (int k = 0; k < K; k++) {
            double away = 0;
            for (int j = 0; j < D; j++) away += pow((double)rows[i * D + j] - mean[k][j], 2);
            if (away < least) {
                least = away;
                nearest = k;
            }
        }
        assert_int_equal((int)found[i], nearest);
    }
    assert_true(isnan(l.c) && isnan(l.objective) && l.cv_accuracy > 0);
    eg__learned_release(&l);
}

/* Where columns hang together, the covariance finds what means alone do not. */
static void covariance_sees_through_what_is_common(void **state)
{
    (void)state;
    struct eg_learned means = learn(EG_CENTROID, EG_SCALE_NONE, fold, N, K, labels),
                      lda = learn(EG_LDA, EG_SCALE_NONE, fold, N, K, labels);
    assert_true(lda.cv_accuracy > 0.75);
    assert_true(lda.cv_accuracy > means.cv_accuracy + 0.1);
    for (int i = 0; i < N; i++) {
        double sum = 0;
        for (int k = 0; k < K; k++) sum += (double)lda.out_of_fold[i * K + k];
        assert_true(fabs(sum - 1) < 1e-5);
    }
    eg__learned_release(&means);
    eg__learned_release(&lda);
}

/* One row a class, and two classes: still an answer, and the right one for those rows. */
static void one_of_each(void **state)
{
    (void)state;
    float p[N * K], found[N];
    for (int learner = EG_CENTROID; learner <= EG_LDA; learner++)
        for (size_t n = 2; n <= K; n++) {
            struct eg_learned l = learn((enum eg_learner)learner, EG_SCALE_AUTO, NULL, n, n, labels);
            assert_int_equal(l.scale, EG_SCALE_UNIT);
            run_head(&l, p, found);
            for (size_t i = 0; i < n; i++) assert_int_equal((int)found[i], labels[i]);
            eg__learned_release(&l);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nearest_mean),
        cmocka_unit_test(covariance_sees_through_what_is_common),
        cmocka_unit_test(one_of_each),
    };
    return cmocka_run_group_tests(tests, make_rows, NULL);
}
