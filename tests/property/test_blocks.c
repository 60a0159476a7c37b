/* learn/: blocks of columns, each scaled by itself: what is learned is what the columns would give that
 * were scaled and weighed by hand, in every space and by every learner. */
#include <math.h>
#include <string.h>

#include "check.h"

#include "base/rng.h"
#include "learn/learn.h"
#include "net/net.h"

enum { N = 90, D1 = 7, D2 = 13, D3 = 5, D = D1 + D2 + D3, K = 3, N_BLOCKS = 3 };

static const struct eg_row_block blocks[N_BLOCKS] = {
    {D1, EG_SCALE_ROOT, 0.5}, {D2, EG_SCALE_UNIT, 1}, {D3, EG_SCALE_STANDARD, 0.25}};
static float rows[N * D], by_hand[N * D];
static int32_t labels[N];
static uint8_t fold[N];

static void scale_standard(size_t first, size_t d, double factor)
{
    for (size_t j = first; j < first + d; j++) {
        double mean = 0, square = 0;
        for (size_t i = 0; i < N; i++) mean += (double)rows[i * D + j] / N;
        for (size_t i = 0; i < N; i++) square += pow((double)rows[i * D + j] - mean, 2) / N;
        for (size_t i = 0; i < N; i++)
            by_hand[i * D + j] = (float)(((double)rows[i * D + j] - mean) / sqrt(square) * factor);
    }
}

static void scale_rows(size_t first, size_t d, bool root, double factor)
{
    for (size_t i = 0; i < N; i++) {
        double square = 0;
        for (size_t j = first; j < first + d; j++) {
            double x = (double)rows[i * D + j];
            by_hand[i * D + j] = (float)(root ? copysign(sqrt(fabs(x)), x) : x);
            square += pow((double)by_hand[i * D + j], 2);
        }
        for (size_t j = first; j < first + d; j++)
            by_hand[i * D + j] = (float)((double)by_hand[i * D + j] / sqrt(square) * factor);
    }
}

static int make_rows(void **state)
{
    (void)state;
    struct eg_rng rng;
    eg__rng_init(&rng, 5, 0);
    for (int i = 0; i < N; i++) {
        labels[i] = i % K;
        fold[i] = (uint8_t)(i / K % 3);
        for (int j = 0; j < D; j++)
            rows[i * D + j] = (float)((eg__rng_normal(&rng) + (j % K == labels[i] ? 0.7 : 0)) * (1 + j % 4));
    }
    scale_rows(0, D1, true, blocks[0].factor);
    scale_rows(D1, D2, false, blocks[1].factor);
    scale_standard(D1 + D2, D3, blocks[2].factor);
    return 0;
}

static struct eg_learned learn(const float *from, bool in_blocks, struct eg_learn_options options)
{
    struct eg_rows_memory memory = {from, N, D};
    struct eg_row_source source = eg__rows_in_memory(&memory);
    struct eg_learned learned;
    struct eg_error err;
    if (in_blocks) {
        source.blocks = blocks;
        source.n_blocks = N_BLOCKS;
    }
    options.scale = EG_SCALE_NONE;
    options.fold = fold;
    options.folds = 3;
    if (eg__learn(&source, labels, K, &options, &learned, &err)) fail_msg("%s", err.message);
    return learned;
}

static void answers(const struct eg_learned *l, const float *from, float *probabilities)
{
    struct eg_run *run;
    struct eg_error err;
    struct eg_run_options options = {.max_batch = N};
    float *out[1] = {probabilities};
    if (eg__run_create(l->head, &l->head->output, 1, &options, NULL, &run, &err) ||
        eg__run_forward(run, from, N, out, &err))
        fail_msg("%s", err.message);
    eg__run_free(run);
}

static void blocks_are_columns_scaled_by_hand(void **state)
{
    (void)state;
    const double c = 3;
    const struct eg_learn_options ways[] = {
        {.learner = EG_LOGISTIC, .space = EG_IN_ROWS},
        {.learner = EG_LOGISTIC, .space = EG_IN_FEATURES},
        {.learner = EG_SVM, .space = EG_IN_ROWS},
        {.learner = EG_SVM, .space = EG_IN_FEATURES},
        {.learner = EG_SVM, .hinge = true},
        {.learner = EG_CENTROID},
        {.learner = EG_LDA},
        {.learner = EG_FOREST, .n_trees = 40},
        {.learner = EG_LOGISTIC, .reject_rate = 0.1},
        {.learner = EG_LOGISTIC, .out_of_fold = true},
    };
    for (size_t w = 0; w < sizeof ways / sizeof *ways; w++) {
        struct eg_learn_options how = ways[w];
        const bool linear = how.learner == EG_LOGISTIC || how.learner == EG_SVM;
        if (linear) {
            how.c = &c;
            how.n_c = 1;
        }
        struct eg_learned joined = learn(rows, true, how), hand = learn(by_hand, false, how);
        float a[N * K], b[N * K];
        answers(&joined, rows, a);
        answers(&hand, by_hand, b);
        for (size_t i = 0; i < N * K; i++)
            if (fabs((double)a[i] - (double)b[i]) > 2e-4)
                fail_msg("way %zu: %g by blocks, %g by hand", w, (double)a[i], (double)b[i]);
        if (linear && fabs(joined.objective - hand.objective) > 1e-4 * hand.objective)
            fail_msg("way %zu: objective %g, %g", w, joined.objective, hand.objective);
        assert_true(fabs(joined.cv_accuracy - hand.cv_accuracy) < 1e-9);
        for (size_t i = 0; joined.out_of_fold && i < N * K; i++)
            assert_true(fabs((double)joined.out_of_fold[i] - (double)hand.out_of_fold[i]) < 2e-3);
        eg__learned_release(&joined);
        eg__learned_release(&hand);
    }
}

/* A scaling that is left to the learner is tried for every block by itself: unit rows of a block are not
 * unit rows of all. */
static void an_open_scale_is_each_blocks_own(void **state)
{
    (void)state;
    struct eg_row_block open[N_BLOCKS];
    const double c = 3;
    struct eg_rows_memory memory = {rows, N, D};
    struct eg_row_source source = eg__rows_in_memory(&memory), hand = source;
    struct eg_learned a, b;
    struct eg_error err;
    struct eg_learn_options how = {.scale = EG_SCALE_UNIT, .c = &c, .n_c = 1, .fold = fold, .folds = 3};
    for (size_t i = 0; i < N_BLOCKS; i++) open[i] = (struct eg_row_block){blocks[i].d, EG_SCALE_AUTO, 0};
    source.blocks = open;
    source.n_blocks = N_BLOCKS;
    if (eg__learn(&source, labels, K, &how, &a, &err)) fail_msg("%s", err.message);
    scale_rows(0, D1, false, 1);
    scale_rows(D1, D2, false, 1);
    scale_rows(D1 + D2, D3, false, 1);
    memory.rows = by_hand;
    how.scale = EG_SCALE_NONE;
    if (eg__learn(&hand, labels, K, &how, &b, &err)) fail_msg("%s", err.message);
    assert_true(fabs(a.objective - b.objective) < 1e-4 * b.objective);
    eg__learned_release(&a);
    eg__learned_release(&b);
    make_rows(NULL);
}

static void widths_have_to_fit(void **state)
{
    (void)state;
    const struct eg_row_block narrow = {D - 1, EG_SCALE_AUTO, 0};
    const double c = 1;
    struct eg_rows_memory memory = {rows, N, D};
    struct eg_row_source source = eg__rows_in_memory(&memory);
    struct eg_learned learned;
    struct eg_error err;
    struct eg_learn_options how = {.scale = EG_SCALE_UNIT, .c = &c, .n_c = 1, .fold = fold, .folds = 3};
    source.blocks = &narrow;
    source.n_blocks = 1;
    assert_int_equal(eg__learn(&source, labels, K, &how, &learned, &err), EG_E_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_columns_scaled_by_hand),
        cmocka_unit_test(an_open_scale_is_each_blocks_own),
        cmocka_unit_test(widths_have_to_fit),
    };
    return cmocka_run_group_tests(tests, make_rows, NULL);
}
