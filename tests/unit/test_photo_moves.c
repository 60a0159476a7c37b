/* Photos that change their place: where they came to is told, undone they are back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "engraft.h"

static char folder[] = "/tmp/photo_moves_XXXXXX", journal[64];

static void write_file(const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static bool is_there(const char *name, const char *text)
{
    char path[256], read[64] = "";
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "r");
    if (!file) return false;
    size_t n = fread(read, 1, sizeof read - 1, file);
    fclose(file);
    return n == strlen(text) && !memcmp(read, text, n);
}

static void test_moved_told_undone(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(journal, sizeof journal, "%s/a.moves", folder);
    write_file("one.jpg", "1");
    write_file("two.jpg", "2");
    struct eg_moves_report *report;
    struct eg_error err;
    const struct eg_photo_move moves[] = {{"one.jpg", "cat/photo.jpg"},
                                          {"two.jpg", "cat/photo.jpg"},
                                          {"none.jpg", "cat/none.jpg"},
                                          {"two.jpg", "../out.jpg"}};
    assert_int_equal(eg_moves_apply(folder, moves, 4, journal, &report, &err), EG_OK);
    assert_int_equal(report->done, 2);
    assert_string_equal(report->places[0], "cat/photo.jpg");
    assert_string_equal(report->places[1], "cat/photo-2.jpg"); /* the name was taken */
    assert_null(report->places[2]);
    assert_null(report->places[3]);
    assert_int_equal(report->n_skipped, 2);
    assert_string_equal(report->skipped[0].path, "none.jpg");
    eg_moves_report_free(report);
    assert_true(is_there("cat/photo.jpg", "1") && is_there("cat/photo-2.jpg", "2"));
    assert_int_equal(eg_moves_apply(folder, moves, 1, journal, &report, &err), EG_E_EXISTS);
    assert_int_equal(eg_moves_finish(folder, journal, &report, &err), EG_E_NOT_FOUND);
    assert_int_equal(eg_moves_undo(folder, journal, &report, &err), EG_OK);
    assert_int_equal(report->done, 2);
    eg_moves_report_free(report);
    assert_true(is_there("one.jpg", "1") && is_there("two.jpg", "2"));
    assert_false(is_there("cat/photo.jpg", "1"));
    char path[256];
    snprintf(path, sizeof path, "%s/one.jpg", folder);
    unlink(path);
    snprintf(path, sizeof path, "%s/two.jpg", folder);
    unlink(path);
    assert_int_equal(rmdir(folder), 0); /* the class's folder went, too */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_moved_told_undone)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
