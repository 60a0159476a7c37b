/* base/: pool, half precision, random numbers, files, text. */
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"

#include "base/fail.h"
#include "base/file.h"
#include "base/half.h"
#include "base/mem.h"
#include "base/pool.h"
#include "base/rng.h"
#include "base/text.h"

static void count_task(void *context, size_t task, unsigned thread)
{
    (void)thread;
    atomic_fetch_add(&((atomic_int *)context)[task], 1);
}

static void every_task_runs_once(void **state)
{
    (void)state;
    for (unsigned n = 1; n <= 4; n++) {
        eg_pool *pool;
        assert_int_equal(eg_pool_create(n, &pool, NULL), EG_OK);
        for (int round = 0; round < 200; round++) {
            atomic_int counts[37] = {0};
            eg__pool_run(pool, 37, count_task, counts);
            for (int i = 0; i < 37; i++) assert_int_equal(atomic_load(&counts[i]), 1);
        }
        eg_pool_free(pool);
    }
}

struct patience {
    int asked, least;
};

static bool lose_patience(void *user)
{
    struct patience *p = user;
    return ++p->asked < p->least;
}

static void pool_stops_when_asked_to(void **state)
{
    (void)state;
    for (unsigned n = 1; n <= 5; n += 2) {
        eg_pool *pool;
        assert_int_equal(eg_pool_create(n, &pool, NULL), EG_OK);
        for (int round = 0; round < 50; round++) {
            enum { TASKS = 100000 };
            static atomic_int counts[TASKS];
            memset(counts, 0, sizeof counts);
            struct patience patience = {0, 3};
            bool whole = eg__pool_run_while(pool, TASKS, count_task, counts, lose_patience, &patience);
            int run = 0;
            for (int i = 0; i < TASKS; i++) {
                assert_true(atomic_load(&counts[i]) <= 1);
                run += atomic_load(&counts[i]);
            }
            if (n == 1) assert_true(!whole && run == 3);
            assert_true(whole ? run == TASKS && patience.asked < 3
                              : patience.asked == 3); /* or others were faster */
            memset(counts, 0, sizeof counts);
            eg__pool_run(pool, 37, count_task, counts);
            for (int i = 0; i < 37; i++) assert_int_equal(atomic_load(&counts[i]), 1);
        }
        eg_pool_free(pool);
    }
}

static void half_round_trips(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 65536; h++) {
        float f = eg__f16_to_f32((uint16_t)h);
        if (isnan(f))
            assert_true(isnan(eg__f16_to_f32(eg__f32_to_f16(f))));
        else
            assert_int_equal(eg__f32_to_f16(f), h);
    }
    assert_int_equal(eg__f32_to_f16(65519.0f), 0x7bff);
    assert_int_equal(eg__f32_to_f16(65520.0f), 0x7c00);
    assert_int_equal(eg__f32_to_f16(1.0f + 0x1p-11f), 0x3c00); /* tie to even */
    assert_int_equal(eg__f32_to_f16(1.0f + 0x1.8p-10f), 0x3c02);
    assert_int_equal(eg__f32_to_f16(0x1p-25f), 0);
}

static void random_numbers_are_reproducible(void **state)
{
    (void)state;
    struct eg_rng a, b;
    eg__rng_init(&a, 7, 1);
    eg__rng_init(&b, 7, 1);
    size_t seen[10] = {0};
    for (int i = 0; i < 10000; i++) {
        uint64_t x = eg__rng_below(&a, 10);
        assert_int_equal(x, eg__rng_below(&b, 10));
        seen[x]++;
    }
    for (int i = 0; i < 10; i++) assert_in_range(seen[i], 850, 1150);
}

static void output_files_are_whole_or_absent(void **state)
{
    (void)state;
    char folder[] = "/tmp/engraft-test-XXXXXX", path[64];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/out", folder);
    struct eg_outfile file;
    assert_int_equal(eg__outfile_open(path, false, &file, NULL), EG_OK);
    fputs("abc", file.stream);
    assert_int_not_equal(access(path, F_OK), 0);
    assert_int_equal(eg__outfile_commit(&file, NULL), EG_OK);
    uint8_t digest[32];
    char hex[65];
    assert_int_equal(eg__sha256_file(path, digest, NULL), EG_OK);
    eg__hex(digest, 32, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    struct eg_error err;
    assert_int_equal(eg__outfile_open(path, false, &file, &err), EG_E_EXISTS);
    assert_int_equal(eg__outfile_open(path, true, &file, NULL), EG_OK);
    eg__outfile_abandon(&file);
    struct eg_mapping mapping;
    assert_int_equal(eg__map_file(path, &mapping, NULL), EG_OK);
    assert_int_equal(mapping.size, 3);
    eg__unmap_file(&mapping);
    unlink(path);
    assert_int_equal(rmdir(folder), 0); /* nothing else was left in it */
}

static void foreign_names_print_on_one_line(void **state)
{
    (void)state;
    char *text = eg__printable("a\nb\xff"
                               "caf\xc3\xa9\xed\xa0\x80");
    assert_string_equal(text, "a\\x0ab\\xff"
                              "caf\xc3\xa9\\xed\\xa0\\x80");
    free(text);
}

static void sizes_that_overflow_are_refused(void **state)
{
    (void)state;
    assert_null(eg__alloc(SIZE_MAX / 2, 4));
    struct eg_error err;
    assert_int_equal(eg__fail(&err, EG_E_IO, "cannot read '%s'", "x"), EG_E_IO);
    assert_int_equal(eg__fail_within(&err, EG_E_IO, "row %d", 3), EG_E_IO);
    assert_string_equal(err.message, "row 3: cannot read 'x'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_task_runs_once),
        cmocka_unit_test(pool_stops_when_asked_to),
        cmocka_unit_test(half_round_trips),
        cmocka_unit_test(random_numbers_are_reproducible),
        cmocka_unit_test(output_files_are_whole_or_absent),
        cmocka_unit_test(foreign_names_print_on_one_line),
        cmocka_unit_test(sizes_that_overflow_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
