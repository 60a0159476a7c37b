/* eval/metrics.c against figures worked out by hand and by scikit-learn 1.2. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

#include "eval/metrics.h"

static void near_to(double x, double y) { assert_true(fabs(x - y) < 1e-9); }

static void wilson_interval(void **state)
{
    (void)state;
    double low, high;
    eg__wilson(36, 38, &low, &high); /* statsmodels proportion_confint(36, 38, method="wilson") */
    assert_true(fabs(low - 0.8271) < 1e-4 && fabs(high - 0.9854) < 1e-4);
    eg__wilson(0, 10, &low, &high);
    near_to(low, 0);
    assert_true(fabs(high - 0.2775) < 1e-4);
    eg__wilson(10, 10, &low, &high);
    near_to(high, 1);
}

static void figures_of_three_classes(void **state)
{
    (void)state;
    const int32_t truth[] = {0, 1, 2, 2, 2}, predicted[] = {0, 0, 2, 2, 1};
    struct eg_metrics m;
    assert_int_equal(eg__metrics(truth, predicted, NULL, 5, 3, &m, NULL), EG_OK);
    near_to(m.accuracy, 0.6);
    near_to(m.per_class[0].precision, 0.5);
    near_to(m.per_class[0].f1, 2.0 / 3);
    near_to(m.per_class[1].f1, 0);
    near_to(m.per_class[2].recall, 2.0 / 3);
    near_to(m.macro.f1, (2.0 / 3 + 0 + 0.8) / 3);
    near_to(m.weighted.precision, (0.5 + 0 + 3) / 5);
    const size_t confusion[] = {1, 0, 0, 1, 0, 0, 0, 1, 2};
    assert_memory_equal(m.confusion, confusion, sizeof confusion);
    assert_true(isnan(m.log_loss) && isnan(m.top5));
    const char *classes[] = {"class 0", "class 1", "class 2"};
    char *report = eg_metrics_report(&m, classes);
    /* scikit-learn's classification_report, byte for byte */
    const char *expected = "              precision    recall  f1-score   support\n"
                           "\n"
                           "     class 0       0.50      1.00      0.67         1\n"
                           "     class 1       0.00      0.00      0.00         1\n"
                           "     class 2       1.00      0.67      0.80         3\n"
                           "\n"
                           "    accuracy                           0.60         5\n"
                           "   macro avg       0.50      0.56      0.49         5\n"
                           "weighted avg       0.70      0.60      0.61         5\n";
    assert_memory_equal(report, expected, strlen(expected));
    assert_non_null(strstr(report, "             class 0 class 1 class 2\n"
                                   "     class 0       1       0       0\n"
                                   "     class 1       1       0       0\n"
                                   "     class 2       0       1       2\n"));
    free(report);
    const char *longer[] = {"class 0", "a class whose name has more letters than forty columns", "class 2"};
    report = eg_metrics_report_fit(&m, longer, 80);
    assert_non_null(strstr(report, " 1   2   3\n"));
    assert_non_null(strstr(report, "\n 2 ..."));
    for (const char *line = report; *line; line += strcspn(line, "\n") + 1)
        assert_true(strcspn(line, "\n") <= 80);
    free(report);
    eg_metrics_release(&m);
}

static void rejected_rows_are_wrong(void **state)
{
    (void)state;
    const int32_t truth[] = {0, 0, 1, 1}, predicted[] = {0, -1, 1, 0};
    struct eg_metrics m;
    assert_int_equal(eg__metrics(truth, predicted, NULL, 4, 2, &m, NULL), EG_OK);
    assert_int_equal(m.n_rejected, 1);
    near_to(m.accuracy, 0.5);
    near_to(m.per_class[0].recall, 0.5);
    assert_int_equal(m.per_class[0].support, 2);
    eg_metrics_release(&m);
}

static void probabilities_are_judged(void **state)
{
    (void)state;
    const int32_t truth[] = {0, 5, 6}, predicted[] = {0, 1, 6};
    float p[3][7] = {{0.70f, 0.05f, 0.05f, 0.05f, 0.05f, 0.05f, 0.05f},
                     {0.10f, 0.50f, 0.10f, 0.10f, 0.10f, 0.05f, 0.05f},
                     {0.05f, 0.05f, 0.05f, 0.05f, 0.05f, 0.05f, 0.70f}};
    struct eg_metrics m;
    assert_int_equal(eg__metrics(truth, predicted, &p[0][0], 3, 7, &m, NULL), EG_OK);
    assert_true(fabs(m.log_loss - -(2 * log(0.7) + log(0.05)) / 3) < 1e-6);
    assert_true(fabs(m.calibration_error - (0.6 + 0.5) / 3) < 1e-6);
    near_to(m.top5, 2.0 / 3);
    eg_metrics_release(&m);
}

/* Fifteen bins of equal width: 0.62 and 0.68 are neighbours there, in ten bins one. An edge is the upper
 * bin's, 1 the last's. */
static void confidence_is_binned_by_fifteenths(void **state)
{
    (void)state;
    const int32_t truth[] = {0, 1}, predicted[] = {0, 0};
    const float p[2][2] = {{0.62f, 0.38f}, {0.68f, 0.32f}};
    struct eg_metrics m;
    assert_int_equal(eg__metrics(truth, predicted, &p[0][0], 2, 2, &m, NULL), EG_OK);
    assert_true(fabs(m.calibration_error - (0.38 + 0.68) / 2) < 1e-6);
    eg_metrics_release(&m);
    const float close[2][2] = {{0.61f, 0.39f}, {0.65f, 0.35f}}; /* one bin */
    assert_int_equal(eg__metrics(truth, predicted, &close[0][0], 2, 2, &m, NULL), EG_OK);
    assert_true(fabs(m.calibration_error - (0.63 - 0.5)) < 1e-6);
    eg_metrics_release(&m);
    const float sure[2][2] = {{1, 0}, {0.94f, 0.06f}}; /* and the last two */
    assert_int_equal(eg__metrics(truth, predicted, &sure[0][0], 2, 2, &m, NULL), EG_OK);
    assert_true(fabs(m.calibration_error - (0.97 - 0.5)) < 1e-6);
    eg_metrics_release(&m);
}

/* Twice the tail of fair coins, as scipy's binomtest. */
static void mcnemar_counts_coins(void **state)
{
    (void)state;
    near_to(eg__mcnemar(0, 5), 2.0 / 32);
    near_to(eg__mcnemar(9, 1), 2 * 11.0 / 1024);
    near_to(eg__mcnemar(3, 3), 1);
    near_to(eg__mcnemar(0, 0), 1);
}

static void unknown_classes_are_refused(void **state)
{
    (void)state;
    const int32_t truth[] = {0, 3}, predicted[] = {0, 1};
    struct eg_metrics m;
    struct eg_error err;
    assert_int_equal(eg__metrics(truth, predicted, NULL, 2, 3, &m, &err), EG_E_ARGUMENT);
    assert_non_null(strstr(err.message, "row 1 is of class 3"));
}

static void many_classes_list_their_confusions(void **state)
{
    (void)state;
    enum { K = 25 };
    int32_t truth[K], predicted[K];
    const char *classes[K];
    for (int i = 0; i < K; i++) {
        truth[i] = i;
        predicted[i] = i == 3 ? 4 : i;
        classes[i] = i == 3 ? "cat" : i == 4 ? "dog" : "other";
    }
    struct eg_metrics m;
    assert_int_equal(eg__metrics(truth, predicted, NULL, K, K, &m, NULL), EG_OK);
    char *report = eg_metrics_report(&m, classes);
    assert_non_null(strstr(report, "\n  cat -> dog: 1\n"));
    free(report);
    eg_metrics_release(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wilson_interval),
        cmocka_unit_test(figures_of_three_classes),
        cmocka_unit_test(rejected_rows_are_wrong),
        cmocka_unit_test(probabilities_are_judged),
        cmocka_unit_test(confidence_is_binned_by_fifteenths),
        cmocka_unit_test(mcnemar_counts_coins),
        cmocka_unit_test(unknown_classes_are_refused),
        cmocka_unit_test(many_classes_list_their_confusions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
