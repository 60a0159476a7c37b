/* Curves of a classifier by hand, and a map on which groups stay groups. */
#include "check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "eval/curves.h"
#include "eval/embed.h"

static void precision_and_recall(void **state)
{
    (void)state;
    /* class 1, the surest first: yes, no, yes (two equal: no), yes; scikit-learn's
     * average_precision_score([1,0,1,0,1], [.9,.8,.6,.6,.1]) = 1/3 + 1/3 * 2/4 + 1/3 * 3/5 */
    const float p[] = {0.1f, 0.9f, 0.2f, 0.8f, 0.4f, 0.6f, 0.4f, 0.6f, 0.9f, 0.1f};
    const int32_t truth[] = {1, 0, 1, 0, 1};
    double recall[5], precision[5], average;
    size_t n;
    assert_int_equal(eg__precision_recall(p, truth, 5, 2, 1, recall, precision, &n, &average, NULL), EG_OK);
    assert_int_equal(n, 4);
    assert_true(fabs(average - (1 + 0.5 + 0.6) / 3) < 1e-12);
    assert_true(fabs(precision[2] - 0.5) < 1e-12 && fabs(recall[2] - 2.0 / 3) < 1e-12);
    const int32_t none[] = {0, 0, 0, 0, 0};
    assert_int_equal(eg__precision_recall(p, none, 5, 2, 1, recall, precision, &n, &average, NULL), EG_OK);
    assert_true(n == 0 && isnan(average));
}

static void reliability(void **state)
{
    (void)state;
    const float p[] = {0.05f, 0.95f, 0.08f, 0.92f, 0.55f, 0.45f, 1, 0};
    const int32_t truth[] = {1, 0, 0, 0};
    struct eg_reliability found;
    eg__reliability(p, truth, 4, 2, &found);
    assert_int_equal(found.count[9], 3); /* 1 belongs to the last bin */
    assert_int_equal(found.count[5], 1);
    assert_true(fabs(found.accuracy[9] - 2.0 / 3) < 1e-12 && fabs(found.accuracy[5] - 1) < 1e-12);
    assert_true(fabs(found.confidence[9] - (0.95 + 0.92 + 1) / 3) < 1e-6);
    assert_true(isnan(found.accuracy[0]) && found.low[9] < found.accuracy[9]);
}

/* Three groups of rows around corners far apart: on the plane, too, a row's nearest is of its group. */
static void groups_stay_groups_on_the_map(void **state)
{
    (void)state;
    enum { N = 90, D = 8, K = 6 };
    static float x[N][D], place[N][2], again[N][2], distance[N][K];
    static uint32_t near[N][K];
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < D; j++)
            x[i][j] = (float)((i * 37 + j * 101) % 17) / 17 + (j == i % 3 ? 10.0f : 0.0f);
    for (size_t i = 0; i < N; i++) {
        for (size_t k = 0; k < K; k++) near[i][k] = UINT32_MAX;
        for (size_t j = 0; j < N; j++) {
            float far = 0;
            for (size_t c = 0; c < D; c++) far += (x[i][c] - x[j][c]) * (x[i][c] - x[j][c]);
            if (j == i || (near[i][K - 1] != UINT32_MAX && far >= distance[i][K - 1])) continue;
            size_t at = K - 1;
            for (; at && (near[i][at - 1] == UINT32_MAX || far < distance[i][at - 1]); at--) {
                near[i][at] = near[i][at - 1];
                distance[i][at] = distance[i][at - 1];
            }
            near[i][at] = (uint32_t)j;
            distance[i][at] = far;
        }
    }
    assert_int_equal(eg__embed(&x[0][0], N, D, &near[0][0], &distance[0][0], K, 1, place, NULL), EG_OK);
    assert_int_equal(eg__embed(&x[0][0], N, D, &near[0][0], &distance[0][0], K, 1, again, NULL), EG_OK);
    assert_memory_equal(place, again, sizeof place);
    for (size_t i = 0; i < N; i++) {
        size_t best = i ? 0 : 1;
        float least = INFINITY;
        for (size_t j = 0; j < N; j++) {
            float dx = place[i][0] - place[j][0], dy = place[i][1] - place[j][1], far = dx * dx + dy * dy;
            assert_true(isfinite(far));
            if (j == i || far >= least) continue;
            least = far;
            best = j;
        }
        assert_int_equal(best % 3, i % 3);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(precision_and_recall),
        cmocka_unit_test(reliability),
        cmocka_unit_test(groups_stay_groups_on_the_map),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
