/* learn/: optima against plain gradient descent, the duality gap, invariances, bad input. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

#include "base/rng.h"
#include "learn/learn.h"
#include "learn/solve.h"
#include "net/net.h"

enum { N = 60, D = 12, K = 3 };

static float rows[N * D];
static int32_t labels[N];

static void fill_rows(uint64_t seed)
{
    struct eg_rng rng;
    eg__rng_init(&rng, seed, 0);
    for (int i = 0; i < N; i++) {
        labels[i] = i % K;
        for (int j = 0; j < D; j++)
            rows[i * D + j] = (float)(eg__rng_normal(&rng) + (j % K == labels[i] ? 0.8 : 0) + 0.3);
    }
}

static int make_rows(void **state)
{
    (void)state;
    fill_rows(11);
    return 0;
}

/* The primal objective at w [k_count][D + 1] as it is written in the contract, and its gradient. */
static double primal(enum eg_learner learner, int k_count, double c, const double *w, double *g)
{
    double sum = 0;
    memset(g, 0, (size_t)k_count * (D + 1) * sizeof *g);
    for (int k = 0; k < k_count; k++)
        for (int j = 0; j < D + (learner == EG_SVM); j++) {
            sum += w[k * (D + 1) + j] * w[k * (D + 1) + j] / 2;
            g[k * (D + 1) + j] = w[k * (D + 1) + j];
        }
    for (int i = 0; i < N; i++) {
        double f[K] = {0}, pull[K] = {0}, total = 0;
        for (int k = 0; k < k_count; k++) {
            f[k] = w[k * (D + 1) + D];
            for (int j = 0; j < D; j++) f[k] += w[k * (D + 1) + j] * (double)rows[i * D + j];
            total += exp(f[k]);
        }
        for (int k = 0; k < k_count; k++) {
            double y = labels[i] == k ? 1 : -1, margin = fmax(0, 1 - y * f[k]);
            if (learner == EG_SVM) {
                sum += c * margin * margin;
                pull[k] = -2 * c * y * margin;
            } else
                pull[k] = c * (exp(f[k]) / total - (labels[i] == k));
        }
        if (learner == EG_LOGISTIC) sum += c * (log(total) - f[labels[i]]);
        for (int k = 0; k < k_count; k++)
            for (int j = 0; j <= D; j++)
                g[k * (D + 1) + j] += pull[k] * (j < D ? (double)rows[i * D + j] : 1);
    }
    return sum;
}

/* Gradient descent with halving: slow, and nothing in common with what is tested. */
static double descend(enum eg_learner learner, double c)
{
    double w[K * (D + 1)] = {0}, g[K * (D + 1)], next[K * (D + 1)], scratch[K * (D + 1)], t = 1;
    double value = primal(learner, K, c, w, g);
    for (int round = 0; round < 60000; round++) {
        double square = 0;
        for (int j = 0; j < K * (D + 1); j++) square += g[j] * g[j];
        if (square < 1e-14 * value) break;
        for (t *= 2;; t /= 2) {
            for (int j = 0; j < K * (D + 1); j++) next[j] = w[j] - t * g[j];
            double there = primal(learner, K, c, next, scratch);
            if (there <= value - t * square / 4) {
                value = there;
                break;
            }
            if (t < 1e-18) return value;
        }
        memcpy(w, next, sizeof w);
        memcpy(g, scratch, sizeof g);
    }
    return value;
}

/* Labels repeat every K rows: folds that each have all of them. */
static const uint8_t *five_folds(const struct eg_learn_options *options, uint8_t fold[N])
{
    for (int i = 0; i < N; i++) fold[i] = (uint8_t)(i / K % 5);
    return options->folds == 1 ? NULL : fold;
}

static struct eg_learned learn(struct eg_learn_options options, const int32_t *classes, size_t n_classes)
{
    struct eg_rows_memory memory = {rows, N, D};
    struct eg_row_source source = eg__rows_in_memory(&memory);
    struct eg_learned learned;
    struct eg_error err;
    uint8_t fold[N];
    options.fold = five_folds(&options, fold);
    if (eg__learn(&source, classes, n_classes, &options, &learned, &err)) fail_msg("%s", err.message);
    return learned;
}

/* In the span of the rows, and in the space of the features. */
static void objectives_are_optimal(void **state)
{
    (void)state;
    for (int learner = EG_LOGISTIC; learner <= EG_SVM; learner++)
        for (double c = 0.01; c < 200; c *= 10) {
            double best = descend((enum eg_learner)learner, c);
            for (int space = EG_IN_ROWS; space <= EG_IN_FEATURES; space++) {
                struct eg_learned l = learn((struct eg_learn_options){.learner = (enum eg_learner)learner,
                                                                      .space = (enum eg_spaces)space,
                                                                      .c = &c,
                                                                      .n_c = 1,
                                                                      .folds = 1,
                                                                      .tolerance = 1e-6},
                                            labels, K);
                if (fabs(l.objective - best) > 1e-5 * best)
                    fail_msg("learner %d, space %d, C %g: %.9g, not %.9g", learner, space, c, l.objective,
                             best);
                assert_true(l.gap >= -1e-9 * best && l.gap <= 1e-6 * best);
                assert_true(isnan(l.cv_accuracy));
                eg__learned_release(&l);
            }
        }
}

/* What a fold's classifier says of the rows that it has not seen is the same in both spaces. */
static void spaces_agree_on_held_out_rows(void **state)
{
    (void)state;
    const double c = 2;
    for (int learner = EG_LOGISTIC; learner <= EG_SVM; learner++)
        for (int scale = EG_SCALE_NONE; scale < EG_SCALE_AUTO; scale++) {
            struct eg_learned l[2];
            for (int space = EG_IN_ROWS; space <= EG_IN_FEATURES; space++)
                l[space - EG_IN_ROWS] = learn((struct eg_learn_options){.learner = (enum eg_learner)learner,
                                                                        .space = (enum eg_spaces)space,
                                                                        .scale = (enum eg_scaling)scale,
                                                                        .balance = scale == EG_SCALE_ROOT,
                                                                        .c = &c,
                                                                        .n_c = 1,
                                                                        .out_of_fold = true},
                                              labels, K);
            assert_true(fabs(l[0].cv_accuracy - l[1].cv_accuracy) < 1e-9);
            for (int i = 0; i < N * K; i++)
                if (fabsf(l[0].out_of_fold[i] - l[1].out_of_fold[i]) > 0.01f)
                    fail_msg("learner %d, scale %d, row %d: %g, %g", learner, scale, i / K,
                             (double)l[0].out_of_fold[i], (double)l[1].out_of_fold[i]);
            eg__learned_release(&l[0]);
            eg__learned_release(&l[1]);
        }
}

/* The best C lies beyond either end of the default grid, or between its powers of ten: the grid goes on. */
static void grids_go_on_past_their_ends(void **state)
{
    (void)state;
    enum { ROWS = 400, WIDE = 30 };
    float *many = calloc(ROWS * WIDE, sizeof *many);
    int32_t *two = calloc(ROWS, sizeof *two);
    uint8_t *fold = calloc(ROWS, 1);
    assert_true(many && two && fold);
    struct eg_rng rng;
    eg__rng_init(&rng, 5, 0);
    for (int i = 0; i < ROWS; i++) { /* one hardly visible column decides */
        two[i] = i % 2;
        fold[i] = (uint8_t)(i / 2 % 5);
        for (int j = 0; j < WIDE; j++)
            many[i * WIDE + j] = j ? (float)eg__rng_normal(&rng) : (float)two[i] * 1e-3f;
    }
    struct eg_rows_memory memory = {many, ROWS, WIDE};
    struct eg_row_source source = eg__rows_in_memory(&memory);
    struct eg_learn_options options = {.learner = EG_LOGISTIC, .fold = fold, .choose_only = true};
    struct eg_learned learned;
    struct eg_error err;
    if (eg__learn(&source, two, 2, &options, &learned, &err)) fail_msg("%s", err.message);
    assert_true(learned.n_grid > 7);
    assert_true(learned.grid[learned.n_grid - 1].c > 1e4 * 1.01 / WIDE); /* the default grid's end */
    for (size_t p = 1; p < learned.n_grid; p++) assert_true(learned.grid[p].c > learned.grid[p - 1].c);
    eg__learned_release(&learned);
    free(many);
    free(two);
    free(fold);
}

static void hinge_closes_its_gap(void **state)
{
    (void)state;
    for (double c = 0.01; c < 200; c *= 100) {
        struct eg_learned l =
            learn((struct eg_learn_options){.learner = EG_SVM, .hinge = true, .c = &c, .n_c = 1, .folds = 1},
                  labels, K);
        assert_true(l.gap >= -1e-9 * l.objective && l.gap <= 1e-5 * l.objective);
        eg__learned_release(&l);
    }
}

static void run_head(const struct eg_learned *l, size_t k_count, float *probabilities, float *found)
{
    struct eg_run *run;
    const uint32_t outputs[2] = {l->head->output, l->head->label_output};
    float *out[2] = {probabilities, found};
    struct eg_run_options options = {.max_batch = N};
    struct eg_error err;
    if (eg__run_create(l->head, outputs, 2, &options, NULL, &run, &err) ||
        eg__run_forward(run, rows, N, out, &err))
        fail_msg("%s", err.message);
    for (int i = 0; i < N; i++) {
        double sum = 0;
        for (size_t k = 0; k < k_count; k++) sum += (double)probabilities[(size_t)i * k_count + k];
        assert_true(fabs(sum - 1) < 1e-5);
    }
    eg__run_free(run);
}

static void heads_answer(void **state)
{
    (void)state;
    int32_t two[N];
    for (int i = 0; i < N; i++) two[i] = labels[i] == 2;
    for (int classes = 2; classes <= K; classes++)
        for (int learner = EG_LOGISTIC; learner <= EG_SVM; learner++)
            for (int scale = EG_SCALE_NONE; scale <= EG_SCALE_AUTO; scale++) {
                const int32_t *truth = classes == 2 ? two : labels;
                float probabilities[N * K], found[N];
                struct eg_learned l = learn((struct eg_learn_options){.learner = (enum eg_learner)learner,
                                                                      .scale = (enum eg_scaling)scale,
                                                                      .balance = scale == EG_SCALE_UNIT},
                                            truth, (size_t)classes);
                int right = 0;
                run_head(&l, (size_t)classes, probabilities, found);
                for (int i = 0; i < N; i++) right += (int32_t)found[i] == truth[i];
                assert_true(right >= N * 7 / 10);
                assert_true(l.cv_accuracy > 0.5 && l.n_grid >= 7 && l.gap <= 1e-5 * l.objective);
                assert_int_not_equal(l.scale, EG_SCALE_AUTO);
                eg__learned_release(&l);
            }
}

enum { MANY = 700 };

/* Enough rows that every solver shares its work out: Newton's steps on the Gram matrix too. */
static void threads_change_nothing(void **state)
{
    (void)state;
    struct eg_rng rng;
    float *many = calloc(MANY * D, sizeof *many);
    int32_t *classes = calloc(MANY, sizeof *classes);
    uint8_t *fold = calloc(MANY, 1);
    assert_true(many && classes && fold);
    eg__rng_init(&rng, 12, 0);
    for (int i = 0; i < MANY; i++) {
        classes[i] = i % K;
        fold[i] = (uint8_t)(i / K % 5);
        for (int j = 0; j < D; j++)
            many[i * D + j] = (float)(eg__rng_normal(&rng) + (j % K == classes[i] ? 0.8 : 0));
    }
    struct eg_rows_memory memory = {many, MANY, D};
    struct eg_row_source source = eg__rows_in_memory(&memory);
    const double c[2] = {0.01, 1};
    for (int learner = EG_LOGISTIC; learner <= EG_SVM; learner++)
        for (int space = EG_IN_ROWS; space <= EG_IN_FEATURES; space++) {
            struct eg_learned l[2];
            struct eg_error err;
            for (unsigned threads = 1; threads <= 3; threads += 2) {
                eg_pool *pool;
                assert_int_equal(eg_pool_create(threads, &pool, NULL), EG_OK);
                struct eg_learn_options options = {.learner = (enum eg_learner)learner,
                                                   .space = (enum eg_spaces)space,
                                                   .c = c,
                                                   .n_c = 2,
                                                   .fold = fold,
                                                   .scale = EG_SCALE_STANDARD,
                                                   .out_of_fold = true,
                                                   .pool = pool};
                if (eg__learn(&source, classes, K, &options, &l[threads / 2], &err))
                    fail_msg("%s", err.message);
                eg_pool_free(pool);
            }
            assert_memory_equal(l[0].out_of_fold, l[1].out_of_fold, MANY * K * sizeof(float));
            assert_true(l[0].objective == l[1].objective && l[0].gap == l[1].gap);
            eg__learned_release(&l[0]);
            eg__learned_release(&l[1]);
        }
    free(many);
    free(classes);
    free(fold);
}

/* Rows with c = 0 take no part: the same classifier as without them. */
static void rows_outside_change_nothing(void **state)
{
    (void)state;
    enum { IN = 40 };
    float gram[N * N], part[IN * IN];
    double c[N], beta[N] = {0}, score[N] = {0}, b = 0, part_beta[IN] = {0}, part_score[IN] = {0}, part_b = 0;
    for (int i = 0; i < N; i++) {
        c[i] = i < IN ? 2 : 0;
        for (int j = 0; j < N; j++) {
            double sum = 0;
            for (int d = 0; d < D; d++) sum += (double)rows[i * D + d] * (double)rows[j * D + d];
            gram[i * N + j] = (float)sum;
            if (i < IN && j < IN) part[i * IN + j] = (float)sum;
        }
    }
    for (int loss = EG_LOSS_LOGISTIC; loss <= EG_LOSS_HINGE; loss++) {
        struct eg_solver whole = {.gram = gram,
                                  .n = N,
                                  .loss = (enum eg_loss)loss,
                                  .constant = loss != EG_LOSS_LOGISTIC,
                                  .tolerance = 1e-8};
        struct eg_solver small = {.gram = part,
                                  .n = IN,
                                  .loss = (enum eg_loss)loss,
                                  .constant = loss != EG_LOSS_LOGISTIC,
                                  .tolerance = 1e-8};
        struct eg_fit a = {c, labels, 1, 1, beta, score, &b, NULL, 0, 0};
        struct eg_fit z = {c, labels, 1, 1, part_beta, part_score, &part_b, NULL, 0, 0};
        memset(beta, 0, sizeof beta);
        memset(score, 0, sizeof score);
        memset(part_beta, 0, sizeof part_beta);
        memset(part_score, 0, sizeof part_score);
        b = part_b = 0;
        assert_int_equal(eg__solve(&whole, &a, 1, NULL), EG_OK);
        assert_int_equal(eg__solve(&small, &z, 1, NULL), EG_OK);
        assert_true(fabs(a.objective - z.objective) <= 1e-6 * z.objective);
        for (int i = 0; i < IN; i++) assert_true(fabs(score[i] - part_score[i]) < 1e-3);
        for (int i = IN; i < N; i++) assert_true(beta[i] == 0);
    }
}

static void refused(const float *features, const int32_t *classes, size_t n, size_t n_classes,
                    struct eg_learn_options options, enum eg_status status, const char *words)
{
    struct eg_rows_memory memory = {features, n, D};
    struct eg_row_source source = eg__rows_in_memory(&memory);
    struct eg_learned learned;
    struct eg_error err;
    uint8_t fold[N];
    options.fold = five_folds(&options, fold);
    assert_int_equal(eg__learn(&source, classes, n_classes, &options, &learned, &err), status);
    if (!strstr(err.message, words)) fail_msg("'%s' has no '%s'", err.message, words);
}

static void bad_input_is_refused(void **state)
{
    (void)state;
    const double zero = 0, one = 1, tiny_grid[2] = {1, 2};
    float spoilt[N * D];
    int32_t single[N] = {0}, rare[N];
    for (int i = 0; i < N; i++) rare[i] = i % 5 == 4 && i / K % 5 == 1; /* in one fold */
    memcpy(spoilt, rows, sizeof spoilt);
    spoilt[17 * D + 5] = NAN;
    refused(spoilt, labels, N, K, (struct eg_learn_options){0}, EG_E_NUMERIC, "row 17 of the features");
    spoilt[17 * D + 5] = -INFINITY;
    refused(spoilt, labels, N, K, (struct eg_learn_options){.scale = EG_SCALE_STANDARD}, EG_E_NUMERIC,
            "row 17");
    refused(rows, single, N, 1, (struct eg_learn_options){0}, EG_E_ARGUMENT, "all rows are of one class");
    refused(rows, labels, N, K + 1, (struct eg_learn_options){0}, EG_E_ARGUMENT, "class 3 has no row");
    refused(rows, rare, N, 2, (struct eg_learn_options){0}, EG_E_ARGUMENT,
            "all rows of class 1 are in one fold");
    refused(rows, labels, N, K, (struct eg_learn_options){.c = &zero, .n_c = 1}, EG_E_ARGUMENT, "C is 0");
    refused(rows, labels, N, K, (struct eg_learn_options){.c = tiny_grid, .n_c = 2, .folds = 1},
            EG_E_ARGUMENT, "without folds");
    refused(rows, labels, N, 2, (struct eg_learn_options){.c = &one, .n_c = 1}, EG_E_ARGUMENT, "has label 2");
}

/* Stated behaviour: constant columns, constant rows and contradictory twins are learned from. */
static void odd_input_is_learned_from(void **state)
{
    (void)state;
    float kept[N * D], constant[N * D];
    memcpy(kept, rows, sizeof kept);
    for (int i = 0; i < N * D; i++) constant[i] = 3;
    for (int kind = 0; kind < 3; kind++) {
        for (int i = 0; i < N; i++) rows[i * D] = 7; /* a constant column */
        if (kind == 1) memcpy(rows, constant, sizeof rows);
        if (kind == 2) memset(rows, 0, sizeof rows);
        for (size_t k = 0; k < D; k++)
            rows[D + k] = rows[k]; /* rows 0 and 1 are equal, their classes are not */
        for (int scale = EG_SCALE_NONE; scale < EG_SCALE_AUTO; scale++)
            for (int learner = EG_LOGISTIC; learner <= EG_FOREST; learner++) {
                struct eg_learned l = learn((struct eg_learn_options){.learner = (enum eg_learner)learner,
                                                                      .n_trees = 10,
                                                                      .scale = (enum eg_scaling)scale},
                                            labels, K);
                float probabilities[N * K], found[N];
                run_head(&l, K, probabilities, found);
                eg__learned_release(&l);
            }
        memcpy(rows, kept, sizeof rows);
    }
}

enum { LITTLE = 120000 };

/* Too little memory for K (a quarter of it counts, the process has more already): the same optimum
 * by passes over blocks of rows, whatever rows they are and in whatever order they come. */
static void streams_reach_the_optimum(void **state)
{
    (void)state;
    enum { SEEDS = 16 };
    const double c = 0.5;
    float kept[N * D];
    memcpy(kept, rows, sizeof kept);
    for (int loss = EG_LOSS_LOGISTIC; loss <= EG_LOSS_HINGE; loss++)
        for (uint64_t seed = 0; seed < (loss == EG_LOSS_HINGE ? SEEDS : 3); seed++) {
            struct eg_learn_options options = {.learner = loss == EG_LOSS_LOGISTIC ? EG_LOGISTIC : EG_SVM,
                                               .hinge = loss == EG_LOSS_HINGE,
                                               .c = &c,
                                               .n_c = 1,
                                               .seed = seed,
                                               .folds = 1};
            fill_rows(11 + seed);
            struct eg_learned whole = learn(options, labels, K);
            options.memory_bytes = LITTLE;
            struct eg_learned blocks = learn(options, labels, K);
            if (fabs(blocks.objective - whole.objective) > 1e-3 * whole.objective)
                fail_msg("loss %d, seed %d: %g, not %g", loss, (int)seed, blocks.objective, whole.objective);
            assert_true(blocks.gap >= -1e-6 * whole.objective && blocks.gap <= 1e-3 * whole.objective);
            eg__learned_release(&whole);
            eg__learned_release(&blocks);
            if (seed) continue;
            options.n_c = 0; /* the grid and its folds as well */
            options.folds = 5;
            blocks = learn(options, labels, K);
            assert_true(blocks.cv_accuracy > 0.5 && blocks.n_grid >= 7);
            eg__learned_release(&blocks);
        }
    memcpy(rows, kept, sizeof kept);
}

static bool third_time_enough(void *user, size_t done, size_t total)
{
    (void)total;
    assert_true(done == 0); /* before the only fit is done */
    return ++*(int *)user < 3;
}

/* Who waits for a long fit hears of it in between, and can end it. */
static void streams_can_be_stopped(void **state)
{
    (void)state;
    const double c = 0.5;
    int asked = 0;
    struct eg_learn_options options = {.learner = EG_SVM,
                                       .c = &c,
                                       .n_c = 1,
                                       .folds = 1,
                                       .memory_bytes = LITTLE,
                                       .progress = third_time_enough,
                                       .user = &asked};
    struct eg_rows_memory memory = {rows, N, D};
    struct eg_row_source source = eg__rows_in_memory(&memory);
    struct eg_learned learned;
    struct eg_error err;
    assert_int_equal(eg__learn(&source, labels, K, &options, &learned, &err), EG_E_CANCELLED);
    assert_int_equal(asked, 3);
}

/* Scores of an earlier classifier, one class unknown to it: another way to the same place. */
static void warm_starts_reach_the_optimum(void **state)
{
    (void)state;
    const double c = 1;
    double start[K * N];
    for (int loss = EG_LOSS_LOGISTIC; loss <= EG_LOSS_HINGE; loss++)
        for (size_t memory = 0; memory <= LITTLE; memory += LITTLE) {
            struct eg_learn_options options = {.learner = loss == EG_LOSS_LOGISTIC ? EG_LOGISTIC : EG_SVM,
                                               .hinge = loss == EG_LOSS_HINGE,
                                               .c = &c,
                                               .n_c = 1,
                                               .memory_bytes = memory,
                                               .scale = EG_SCALE_UNIT};
            struct eg_learned cold = learn(options, labels, K);
            for (int i = 0; i < N * K; i++)
                start[i] = i >= (K - 1) * N ? (double)NAN : i % N % 5 ? 2 * (labels[i % N] == i / N) - 1 : 40;
            options.start = start;
            struct eg_learned warm = learn(options, labels, K);
            double tolerance = memory ? 1e-3 : 1e-4;
            if (fabs(warm.objective - cold.objective) > tolerance * cold.objective)
                fail_msg("loss %d: %g, not %g", loss, warm.objective, cold.objective);
            assert_true(fabs(warm.cv_accuracy - cold.cv_accuracy) < 0.02);
            eg__learned_release(&cold);
            eg__learned_release(&warm);
        }
}

static void forests_grow(void **state)
{
    (void)state;
    float one[N * K], many[N * K], found[N];
    for (unsigned threads = 1; threads <= 3; threads += 2) {
        eg_pool *pool;
        int right = 0;
        assert_int_equal(eg_pool_create(threads, &pool, NULL), EG_OK);
        struct eg_learned l =
            learn((struct eg_learn_options){.learner = EG_FOREST, .n_trees = 60, .pool = pool}, labels, K);
        run_head(&l, K, threads == 1 ? one : many, found);
        for (int i = 0; i < N; i++) right += (int32_t)found[i] == labels[i];
        assert_int_equal(right, N); /* grown to pure leaves, two thirds of the trees saw a row */
        assert_true(l.oob_accuracy > 0.5 && l.oob_accuracy < 1 && l.cv_accuracy > 0.5 && l.cv_accuracy < 1);
        assert_true(isnan(l.c) && isnan(l.objective) && isnan(l.gap));
        eg__learned_release(&l);
        eg_pool_free(pool);
    }
    assert_memory_equal(one, many, sizeof one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objectives_are_optimal),
        cmocka_unit_test(spaces_agree_on_held_out_rows),
        cmocka_unit_test(grids_go_on_past_their_ends),
        cmocka_unit_test(hinge_closes_its_gap),
        cmocka_unit_test(heads_answer),
        cmocka_unit_test(threads_change_nothing),
        cmocka_unit_test(rows_outside_change_nothing),
        cmocka_unit_test(bad_input_is_refused),
        cmocka_unit_test(odd_input_is_learned_from),
        cmocka_unit_test(warm_starts_reach_the_optimum),
        cmocka_unit_test(forests_grow),
        cmocka_unit_test(streams_reach_the_optimum),
        cmocka_unit_test(streams_can_be_stopped),
    };
    return cmocka_run_group_tests(tests, make_rows, NULL);
}
