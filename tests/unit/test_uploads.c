/* Uploads: forms and zips, the refused among them. */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "serve/http_private.h"

struct seen {
    size_t n;
    char text[600];
};

static bool note_part(void *user, const struct part *part)
{
    struct seen *seen = user;
    size_t at = strlen(seen->text);
    seen->n++;
    snprintf(seen->text + at, sizeof seen->text - at, "%s|%s|%s|%zu;", part->name ? part->name : "-",
             part->filename ? part->filename : "-", part->type ? part->type : "-", part->n_bytes);
    return true;
}

static bool note_file(void *user, const char *path, const void *bytes, size_t n)
{
    struct seen *seen = user;
    size_t at = strlen(seen->text);
    (void)bytes;
    seen->n++;
    snprintf(seen->text + at, sizeof seen->text - at, "%s|%zu;", path, n);
    return true;
}

static void forms(void **state)
{
    (void)state;
    static const struct {
        const char *type, *body, *expected;
        int status;
    } rows[] = {
        {"multipart/form-data; boundary=xyz",
         "--xyz\r\nContent-Disposition: form-data; name=\"photo\"; filename=\"a.jpg\"\r\nContent-Type: "
         "image/jpeg\r\n\r\nabc\r\n--xyz\r\nContent-Disposition: form-data; "
         "name=\"n\"\r\n\r\n\r\n--xyz--\r\n",
         "photo|a.jpg|image/jpeg|3;n|-|-|0;", 0},
        {"Multipart/Form-Data; a=b; boundary=\"x y\"",
         "--x y\r\ncontent-disposition: form-data; filename=\"%22q%22\"; name=p\r\n\r\n--x\r\n--x y--",
         "p|\"q\"|-|3;", 0},
        /* A boundary that begins another. */
        {"multipart/form-data; boundary=a", "--a\r\nA: b\r\n\r\n1\r\n--ab\r\n--a--", "-|-|-|1;", 400},
        {"multipart/form-data", "--a--", "", 400},
        {"multipart/form-data; boundary=", "----", "", 400},
        {"multipart/form-data; filename=boundary=a", "--a--", "", 400},
        {"image/jpeg", "--a--", "", 400},
        {NULL, "--a--", "", 400},
        {"multipart/form-data; boundary=a", "", "", 400},
        {"multipart/form-data; boundary=a", "--a", "", 400},
        {"multipart/form-data; boundary=a", "--a\r\nA: b\r\n\r\n1", "", 400},
        {"multipart/form-data; boundary=a", "--a\r\nA: b\r\n\r\n1\r\n--a", "-|-|-|1;", 400},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct seen seen = {0};
        char why[200] = "";
        int status = multipart_read(rows[i].type, rows[i].body, strlen(rows[i].body), note_part, &seen, why);
        assert_int_equal(status, rows[i].status);
        assert_string_equal(seen.text, rows[i].expected);
        assert_int_equal(status != 0, *why != '\0');
    }
}

static void form_of_too_many_parts(void **state)
{
    (void)state;
    char *text = NULL, why[200];
    size_t size;
    FILE *to = open_memstream(&text, &size);
    for (int i = 0; i < 10001; i++) fputs("--a\r\nA: b\r\n\r\n1\r\n", to);
    fputs("--a--", to);
    fclose(to);
    struct seen seen = {0};
    assert_int_equal(multipart_read("multipart/form-data; boundary=a", text, size, note_part, &seen, why),
                     400);
    assert_int_equal(seen.n, 10000);
    free(text);
}

static int unzip(const char *name, const struct unzip_limits *limits, struct seen *seen, char why[200])
{
    char path[500];
    snprintf(path, sizeof path, "%s/tests/fuzz/corpus/unzip/%s", EG_SOURCE_DIR, name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    static char zip[1 << 20];
    size_t n = fread(zip, 1, sizeof zip, file);
    fclose(file);
    *seen = (struct seen){0};
    *why = '\0';
    return unzip_read(zip, n, limits, note_file, seen, why);
}

/* Nothing of a zip that is refused for what its directory says is handed over. */
static void zips(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int status;
        const char *says, *seen;
    } rows[] = {
        {"good.zip", 0, "",
         "cats/a.jpg|5;dogs/b c.png|200;\xc3\xbc"
         "ber/\xe7\x8c\xab.jpg|1;"},
        {"stored.zip", 0, "", "a.jpg|3;"},
        {"empty.zip", 400, "", ""},
        {"parent.zip", 400, "leads out", ""},
        {"parent_inside.zip", 400, "leads out", ""},
        {"absolute.zip", 400, "leads out", ""},
        {"backslash.zip", 400, "leads out", ""},
        {"drive.zip", 400, "leads out", ""},
        {"control.zip", 400, "leads out", ""},
        {"link.zip", 400, "link", ""},
        {"device.zip", 400, "link or device", ""},
        {"encrypted.zip", 400, "encrypted", ""},
        {"bomb.zip", 413, "too much", ""},
        {"cut.zip", 400, "", ""},
        {"none.zip", 400, "", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct seen seen;
        char why[200];
        int status = unzip(rows[i].name, NULL, &seen, why);
        if (status != rows[i].status || !strstr(why, rows[i].says) || strcmp(seen.text, rows[i].seen))
            fail_msg("%s: %d '%s' '%s'", rows[i].name, status, why, seen.text);
    }
}

/* What lies about its size ends where it said it would. */
static void zip_that_lies(void **state)
{
    (void)state;
    struct seen seen;
    char why[200];
    assert_int_not_equal(unzip("lies.zip", NULL, &seen, why), 0);
    assert_string_equal(seen.text, "");
}

static void zip_limits(void **state)
{
    (void)state;
    struct seen seen;
    char why[200];
    assert_int_equal(unzip("many.zip", &(struct unzip_limits){.entries = 100}, &seen, why), 413);
    assert_int_equal(seen.n, 0);
    assert_int_equal(unzip("many.zip", &(struct unzip_limits){.entries = 101}, &seen, why), 0);
    assert_int_equal(seen.n, 101);
    assert_int_equal(unzip("good.zip", &(struct unzip_limits){.entry_bytes = 199}, &seen, why), 413);
    assert_int_equal(seen.n, 0);
}

static void names(void **state)
{
    (void)state;
    static const char *const good[] = {"cats", "a b", "\xc3\xbc", "a..b", "txt"};
    static const char *const bad[] = {"",     ".",    "..",    ".hidden",  "a/b",
                                      "a\nb", "\xff", "a\x7f", "\xc0\xaf", "\xed\xa0\x80"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) assert_true(safe_name(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_false(safe_name(bad[i]));
    char longest[202];
    memset(longest, 'a', 201);
    longest[201] = '\0';
    assert_false(safe_name(longest));
    assert_true(safe_name(longest + 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(forms),      cmocka_unit_test(form_of_too_many_parts),
                                       cmocka_unit_test(zips),       cmocka_unit_test(zip_that_lies),
                                       cmocka_unit_test(zip_limits), cmocka_unit_test(names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
