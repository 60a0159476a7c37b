/* The audit of rows alone: more of them than choose among all scalings, wrong labels among them, neighbours
 * that have a say. */
#include <hdf5.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "check.h"

#include "base/rng.h"
#include "flow/audit.h"

static char path[64];

static void write_set(hid_t file, const char *name, hid_t type, int rank, const hsize_t *dims,
                      const void *values)
{
    hid_t space = H5Screate_simple(rank, dims, NULL);
    hid_t set = H5Dcreate2(file, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(set >= 0 && H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
    H5Dclose(set);
    H5Sclose(space);
}

static eg_features *matrix(const float *x, size_t n, size_t d, const int32_t *labels)
{
    eg_features *features;
    struct eg_error err;
    snprintf(path, sizeof path, "/tmp/test_audit_rows.%d.h5", (int)getpid());
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    write_set(file, "features", H5T_NATIVE_FLOAT, 2, (hsize_t[]){n, d}, x);
    write_set(file, "labels", H5T_NATIVE_INT32, 1, (hsize_t[]){n}, labels);
    H5Fclose(file);
    if (eg_features_open(path, &features, &err)) fail_msg("%s", err.message);
    return features;
}

/* Clouds of rows around the corners of a simplex; every `step`th row is labelled as the next class. */
static eg_features *clouds(size_t n, size_t k, size_t step)
{
    enum { D = 64 };
    float *x = malloc(n * D * sizeof *x);
    int32_t *labels = malloc(n * sizeof *labels);
    struct eg_rng rng;
    eg__rng_init(&rng, 4, 0);
    for (size_t i = 0; i < n; i++) {
        labels[i] = (int32_t)(i % k);
        for (size_t j = 0; j < D; j++)
            x[i * D + j] = (float)(eg__rng_uniform(&rng) + eg__rng_uniform(&rng)) + (j == i % k ? 6.0f : 0);
        if (i % step == step / 2) labels[i] = (int32_t)((i + 1) % k);
    }
    eg_features *features = matrix(x, n, D, labels);
    free(x);
    free(labels);
    return features;
}

/* Quality of a label where four parts of five are said by the classifier and one by the ten nearest. */
static float with_votes(const struct eg_audit *audit, size_t i)
{
    double votes[3] = {0}, sum = 0;
    float p[3], quality;
    for (size_t j = 0; j < 10; j++) {
        size_t near = i * EG_AUDIT_NEAR + j;
        double vote = exp(8 * (double)audit->near_cosine[near]);
        votes[audit->labels[audit->near[near]]] += vote;
        sum += vote;
    }
    for (size_t c = 0; c < 3; c++)
        p[c] = (float)(0.8 * (double)audit->probabilities[3 * i + c] + 0.2 * votes[c] / sum);
    eg__label_quality(p, &audit->labels[i], 1, 3, EG_SHARPNESS, &quality);
    return quality;
}

static void wrong_labels_are_found(size_t n, size_t step)
{
    eg_features *features = clouds(n, 3, step);
    const struct eg_audit_options how = {EG_SIZED(eg_audit_options)};
    struct eg_audit audit;
    struct eg_error err;
    if (eg__audit_run(features, &how, false, &audit, &err)) fail_msg("%s", err.message);
    const size_t wrong = (n - step / 2 + step - 1) / step;
    assert_in_range(audit.n_suspects, wrong * 3 / 4, wrong); /* those that are sure enough of another class */
    for (size_t i = 0; i < audit.n_suspects; i++) {
        size_t row = audit.suspects[i].row;
        assert_int_equal(row % step, step / 2);
        assert_int_equal(audit.suspects[i].suggestion, row % 3);
        assert_true(audit.suspects[i].probability > 0.5f);
    }
    assert_true(fabs(audit.accuracy - (1 - (double)wrong / (double)n)) < 0.005);
    for (size_t i = 0; i < audit.n_labelled; i++) { /* one division or three: a distribution */
        double sum = 0;
        for (size_t c = 0; c < 3; c++) sum += (double)audit.probabilities[3 * i + c];
        assert_true(fabs(sum - 1) < 1e-4);
        assert_int_equal(audit.other[i] == audit.labels[i], 0);
        float voted = with_votes(&audit, i);
        assert_true(fabsf(audit.quality[i] - voted) < 1e-4f);
        assert_true((audit.quality[i] < 0.5f) == (i % step == step / 2));
    }
    assert_int_equal(audit.curve[audit.n_curve - 1].rows, n * 4 / 5);
    eg__audit_release(&audit);
    eg_features_close(features);
    unlink(path);
}

static void of_a_few_rows(void **state)
{
    (void)state;
    wrong_labels_are_found(300, 25);
}

static void of_more_rows_than_choose_the_scaling(void **state)
{
    (void)state;
    wrong_labels_are_found(3300, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(of_a_few_rows),
                                       cmocka_unit_test(of_more_rows_than_choose_the_scaling)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
