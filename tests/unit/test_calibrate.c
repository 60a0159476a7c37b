/* learn/calibrate.c: on scores whose best probabilities are known in closed form. */
#include <math.h>

#include "check.h"

#include "learn/linear.h"

static void near_to(double x, double y)
{
    if (!(fabs(x - y) < 1e-5)) fail_msg("%.9g is not %.9g", x, y);
}

static struct eg_calibration calibrated(struct eg_linear *linear, const int32_t *labels, float *p)
{
    struct eg_calibration how;
    assert_int_equal(eg__calibrate(linear, labels, &how, NULL), EG_OK);
    assert_int_equal(eg__calibrated(linear, &how, p, NULL), EG_OK);
    return how;
}

/* Scores of one size, right in 3 of 4: the loss is least where the probability of the answer is 3/4. */
static void a_temperature_makes_confidence_accuracy(void **state)
{
    (void)state;
    double scores[] = {4, 4, 4, -4, -4, -4, -4, 4};
    const int32_t labels[] = {1, 1, 1, 1, 0, 0, 0, 0};
    float p[8][2];
    struct eg_linear two = {
        .loss = EG_LOSS_LOGISTIC, .n = 8, .n_classes = 2, .columns = 1, .out_of_fold = scores};
    struct eg_calibration how = calibrated(&two, labels, &p[0][0]);
    near_to(how.temperature, 4 / log(3));
    for (int i = 0; i < 8; i++) {
        near_to((double)p[i][1], scores[i] > 0 ? 0.75 : 0.25);
        near_to((double)(p[i][0] + p[i][1]), 1);
    }
}

/* Three classes: e^(s / T) / (e^(s / T) + 2) = 4/5 where 4 of 5 are right. */
static void of_three_classes_too(void **state)
{
    (void)state;
    double scores[3][5] = {{0.5, 0.5, 0.5, 0.5, 0.5}, {0, 0, 0, 0, 0}, {0, 0, 0, 0, 0}};
    const int32_t labels[] = {0, 0, 0, 0, 2};
    float p[5][3];
    struct eg_linear three = {
        .loss = EG_LOSS_LOGISTIC, .n = 5, .n_classes = 3, .columns = 3, .out_of_fold = &scores[0][0]};
    struct eg_calibration how = calibrated(&three, labels, &p[0][0]);
    near_to(how.temperature, 0.5 / log(8));
    for (int i = 0; i < 5; i++) near_to((double)p[i][0], 0.8);
    near_to((double)p[0][1], 0.1);
}

/* Platt's sigmoid goes through the mean targets of two scores: (ups + 1) / (ups + 2) and 1 / (downs + 2). */
static void a_sigmoid_goes_through_two_points(void **state)
{
    (void)state;
    double scores[] = {3, 3, 3, 3, 1, 1, 1, 1};
    const int32_t labels[] = {1, 1, 1, 0, 0, 0, 0, 1};
    const double high = 5.0 / 6, low = 1.0 / 6, upper = (3 * high + low) / 4, lower = (high + 3 * low) / 4;
    float p[8][2];
    struct eg_linear svm = {
        .loss = EG_LOSS_SQUARED_HINGE, .n = 8, .n_classes = 2, .columns = 1, .out_of_fold = scores};
    struct eg_calibration how = calibrated(&svm, labels, &p[0][0]);
    near_to(3 * how.slope[0] + how.shift[0], log(upper / (1 - upper)));
    near_to(how.slope[0] + how.shift[0], log(lower / (1 - lower)));
    near_to((double)p[0][1], upper);
    near_to((double)p[4][1], lower);
    near_to((double)p[4][0], 1 - lower);
    eg__calibration_free(&how);
}

/* Of several classes each has a sigmoid of its own, and they are brought to the sum 1. */
static void sigmoids_of_three_classes_sum_to_one(void **state)
{
    (void)state;
    double scores[3][6] = {{2, 2, -2, -2, -2, -2}, {-1, -1, 1, 1, -1, -1}, {-4, -4, -4, -4, 4, 4}};
    const int32_t labels[] = {0, 0, 1, 1, 2, 2};
    const double up = 3.0 / 4, down = 1.0 / 6; /* 2 of 6: the targets are met */
    float p[6][3];
    struct eg_linear svm = {
        .loss = EG_LOSS_HINGE, .n = 6, .n_classes = 3, .columns = 3, .out_of_fold = &scores[0][0]};
    struct eg_calibration how = calibrated(&svm, labels, &p[0][0]);
    for (size_t i = 0; i < 6; i++)
        for (int32_t k = 0; k < 3; k++)
            near_to((double)p[i][k], (k == labels[i] ? up : down) / (up + 2 * down));
    eg__calibration_free(&how);
}

/* Without folds there is nothing to fit a temperature on; a sigmoid is fitted on what there is. */
static void without_folds(void **state)
{
    (void)state;
    double scores[] = {4, -4};
    const int32_t labels[] = {1, 0};
    struct eg_linear linear = {
        .loss = EG_LOSS_LOGISTIC, .n = 2, .n_classes = 2, .columns = 1, .in_fold = scores};
    struct eg_calibration how;
    assert_int_equal(eg__calibrate(&linear, labels, &how, NULL), EG_OK);
    near_to(how.temperature, 1);
    linear.loss = EG_LOSS_HINGE;
    assert_int_equal(eg__calibrate(&linear, labels, &how, NULL), EG_OK);
    near_to(4 * how.slope[0] + how.shift[0], log(2)); /* targets 2/3 and 1/3 */
    eg__calibration_free(&how);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_temperature_makes_confidence_accuracy),
        cmocka_unit_test(of_three_classes_too),
        cmocka_unit_test(a_sigmoid_goes_through_two_points),
        cmocka_unit_test(sigmoids_of_three_classes_sum_to_one),
        cmocka_unit_test(without_folds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
