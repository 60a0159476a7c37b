/* flow/out_of_fold.c: every learner says of every row what it thinks without having seen it. */
#include <math.h>

#include "check.h"

#include "flow/out_of_fold.h"

static const char *const learners[] = {"logistic", "svm", "forest", "mlp"};

static struct eg_out_of_fold judge(const char *classifier, bool hinge, size_t memory)
{
    eg_features *features;
    struct eg_error err;
    struct eg_out_of_fold out = {0};
    struct eg_train_options how = {
        EG_SIZED(eg_train_options), .classifier = classifier, .hinge = hinge, .n_trees = 50, .seed = 3,
        .memory_bytes = memory};
    if (eg_features_open(EG_SOURCE_DIR "/tests/golden/models/matrix_0.1.h5", &features, &err) ||
        eg__out_of_fold(features, &how, &out, &err))
        fail_msg("%s: %s", classifier, err.message);
    eg_features_close(features);
    return out;
}

static void every_learner_has_them(void **state)
{
    (void)state;
    for (int l = 0; l < 5; l++) {
        struct eg_out_of_fold out = judge(learners[l % 4], l == 4, 0);
        const size_t n = out.sample.n, k_count = out.sample.n_classes;
        size_t right = 0, sure = 0, in_fold[5] = {0};
        assert_int_equal(n, 80);
        assert_int_equal(out.sample.n_train, 80);
        assert_int_equal(k_count, 3);
        for (size_t i = 0; i < n; i++) {
            const float *p = out.probabilities + i * k_count;
            double sum = 0;
            size_t best = 0;
            for (size_t k = 0; k < k_count; k++) {
                assert_true(p[k] >= 0 && p[k] <= 1);
                sum += (double)p[k];
                if (p[k] > p[best]) best = k;
            }
            assert_true(fabs(sum - 1) < 1e-5);
            assert_int_equal(out.sample.rows[i], i);
            assert_int_equal(out.sample.labels[i], i % 3);
            right += best == (size_t)out.sample.labels[i];
            sure += p[best] > 0.999F;
            assert_in_range(out.fold[i], 0, 4);
            in_fold[out.fold[i]]++;
        }
        for (int f = 0; f < 5; f++) assert_in_range(in_fold[f], 13, 19);
        /* rows whose classes lie that near are not all told apart unseen: 0.6 to 0.85 */
        assert_in_range(right, 48, 68);
        assert_in_range(sure, 0, 20);
        if (l != 1 && l != 4) /* sigmoids of single classes may change the order */
            assert_true(fabs((double)right / (double)n - out.cv_accuracy) < 1e-9);
        eg__out_of_fold_release(&out);
    }
}

static void folds_are_needed(void **state)
{
    (void)state;
    eg_features *features;
    struct eg_error err;
    struct eg_out_of_fold out;
    const double c = 1;
    struct eg_train_options how = {EG_SIZED(eg_train_options), .folds = 1, .c = &c, .n_c = 1,
                                   .scale = "unit"};
    assert_int_equal(eg_features_open(EG_SOURCE_DIR "/tests/golden/models/matrix_0.1.h5", &features, NULL),
                     EG_OK);
    assert_int_equal(eg__out_of_fold(features, &how, &out, &err), EG_E_ARGUMENT);
    eg_features_close(features);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_learner_has_them),
        cmocka_unit_test(folds_are_needed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
