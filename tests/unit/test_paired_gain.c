/* flow/train_select.c: what changed answers bring, and its noise. */
#include <math.h>

#include "check.h"

#include "flow/training.h"

static void differences_photo_by_photo(void **state)
{
    (void)state;
    const uint8_t before[8] = {1, 1, 0, 0, 1, 0, 1, 1}, after[8] = {1, 1, 1, 1, 1, 0, 0, 1};
    double gain, noise;
    eg__paired_gain(before, after, 8, &gain, &noise);
    assert_true(fabs(gain - 1.0 / 8) < 1e-12); /* two won, one lost */
    assert_true(fabs(noise - sqrt((3.0 / 8 - 1.0 / 64) / 8)) < 1e-12);
    eg__paired_gain(before, before, 8, &gain, &noise);
    assert_true(gain == 0 && noise == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(differences_photo_by_photo)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
