/* Who is answered by a server, and which paths are opened beneath a folder. */
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "serve/http_private.h"

static const char token[] = "a-token-of-the-tests";

static struct guard make(bool any, char *name)
{
    struct guard guard = {.port = 8017, .any_address = any, .names = {name, "localhost"}};
    assert_true(guard_token(&guard, token));
    return guard;
}

static void hosts(void **state)
{
    (void)state;
    static const struct {
        const char *host;
        bool local,
            any; /* admitted by a server of this machine alone; by one that listens on all addresses */
    } rows[] = {
        {"127.0.0.1:8017", true, true},
        {"localhost:8017", true, true},
        {"LOCALHOST:8017", true, true},
        {"192.168.1.7:8017", false, true},
        {"[fe80::1]:8017", false, true},
        {"[::1]:8017", false, true},
        {NULL, false, false},
        {"", false, false},
        {":8017", false, false},
        {"127.0.0.1", false, false},
        {"127.0.0.1:80", false, false},
        {"127.0.0.1:8017x", false, false},
        {"127.0.0.1:8017:8017", false, false},
        {"127.0.0.1.evil.example:8017", false, false},
        {"evil.example:8017", false, false},
        {"localhost.evil.example:8017", false, false},
        {"[::1", false, false},
        {"[evil.example]:8017", false, false},
        {"user@localhost:8017", false, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int any = 0; any < 2; any++) {
            struct guard guard = make(any, "127.0.0.1");
            struct asked asked = {.method = "GET", .host = rows[i].host};
            bool admitted = guard_admits(&guard, &asked, true) == ADMITTED;
            if (admitted != (any ? rows[i].any : rows[i].local))
                fail_msg("'%s', any %d", rows[i].host ? rows[i].host : "NULL", any);
        }
}

static void tokens(void **state)
{
    (void)state;
    static const char host[] = "127.0.0.1:8017", own[] = "http://127.0.0.1:8017",
                      bearer[] = "Bearer a-token-of-the-tests";
    static const struct {
        struct asked asked;
        enum admission expected;
    } rows[] = {
        {{"GET", host, NULL, bearer, NULL, NULL, NULL}, ADMITTED},
        {{"POST", host, NULL, bearer, NULL, NULL, NULL}, ADMITTED},
        {{"POST", host, own, bearer, NULL, NULL, NULL}, ADMITTED},
        {{"GET", host, NULL, "bearer a-token-of-the-tests", NULL, NULL, NULL}, ADMITTED},
        {{"GET", host, NULL, "Bearer a-token-of-the-test", NULL, NULL, NULL}, NO_TOKEN},
        {{"GET", host, NULL, "Bearer ", NULL, NULL, NULL}, NO_TOKEN},
        {{"GET", host, NULL, "Bearer", token, NULL, NULL}, NO_TOKEN},
        {{"GET", host, NULL, "Bearer a-token-of-the-testsa-token-of-the-tests", NULL, NULL, NULL}, NO_TOKEN},
        {{"GET", host, NULL, NULL, NULL, NULL, NULL}, NO_TOKEN},
        {{"GET", host, NULL, NULL, NULL, "", NULL}, NO_TOKEN},
        {{"GET", host, NULL, NULL, NULL, token, NULL}, SET_COOKIE},
        {{"POST", host, own, NULL, NULL, token, NULL},
         NO_TOKEN}, /* an address is no place for a token to act */
        {{"GET", host, NULL, NULL, token, NULL, NULL}, ADMITTED},
        {{"GET", host, NULL, NULL, "", NULL, NULL}, NO_TOKEN},
        {{"POST", host, own, NULL, token, NULL, NULL}, ADMITTED},
        {{"POST", host, NULL, NULL, token, NULL, NULL}, FOREIGN_ORIGIN},
        {{"POST", host, "https://127.0.0.1:8017", NULL, token, NULL, NULL}, FOREIGN_ORIGIN},
        {{"POST", host, "http://127.0.0.1:8018", NULL, token, NULL, NULL}, FOREIGN_ORIGIN},
        {{"POST", host, "http://localhost:8017", NULL, token, NULL, NULL}, FOREIGN_ORIGIN},
        {{"GET", host, "null", NULL, token, NULL, NULL}, FOREIGN_ORIGIN},
        {{"GET", host, "", NULL, token, NULL, NULL}, FOREIGN_ORIGIN},
        {{"DELETE", host, NULL, NULL, token, NULL, NULL}, FOREIGN_ORIGIN},
        {{"GET", "evil.example:8017", "http://evil.example:8017", bearer, token, token, NULL}, FOREIGN_HOST},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct guard guard = make(false, "127.0.0.1");
        enum admission got = guard_admits(&guard, &rows[i].asked, false);
        if (got != rows[i].expected) fail_msg("row %zu: %d, not %d", i, (int)got, (int)rows[i].expected);
    }
}

static void keys(void **state)
{
    (void)state;
    struct guard guard = make(false, "127.0.0.1"), other = {.port = 1};
    char key[64];
    snprintf(key, sizeof key, "%s", guard.once);
    struct asked asked = {.method = "GET", .host = "127.0.0.1:8017", .once = key};
    assert_int_equal(guard_admits(&guard, &asked, false), SET_COOKIE);
    assert_int_equal(guard_admits(&guard, &asked, false), NO_TOKEN); /* once */
    asked.once = "";
    assert_int_equal(guard_admits(&guard, &asked, false), NO_TOKEN);
    assert_true(guard_token(&other, NULL));
    assert_true(strlen(other.token) >= 43 && strcmp(other.token, other.once) && strcmp(other.once, key));
    assert_false(guard_token(&other, "short"));
    assert_false(guard_token(&other, "with a blank"));
    assert_false(guard_token(&other, "line\r\nX: y"));
}

static void write_file(const char *folder, const char *name)
{
    char path[500];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
}

static void paths(void **state)
{
    (void)state;
    char folder[] = "/tmp/engraft-guard-XXXXXX", path[500];
    assert_non_null(mkdtemp(folder));
    write_file(folder, "secret");
    snprintf(path, sizeof path, "%s/root", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    write_file(path, "a");
    int root = open(path, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
    assert_true(root >= 0);
    assert_int_equal(symlinkat("../secret", root, "out"), 0);
    assert_int_equal(symlinkat("/etc", root, "etc"), 0);
    static const struct {
        const char *path;
        bool opens;
    } rows[] = {{"a", true},
                {"./a", true},
                {"out", false},
                {"../secret", false},
                {"etc/passwd", false},
                {"/etc/passwd", false},
                {"x/../../secret", false},
                {"", false},
                {"b", false},
                {"a/", false},
                {"..", false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int fd = safe_open(root, rows[i].path, O_RDONLY, 0);
        if ((fd >= 0) != rows[i].opens) fail_msg("'%s' gave %d", rows[i].path, fd);
        if (fd >= 0) close(fd);
    }
    int made = safe_open(root, "made", O_WRONLY | O_CREAT | O_EXCL, 0600);
    assert_true(made >= 0);
    close(made);
    assert_true(safe_open(root, "../made", O_WRONLY | O_CREAT | O_EXCL, 0600) < 0);
    assert_true(safe_open(root, "out", O_WRONLY | O_TRUNC, 0) < 0);
    close(root);
    char command[600];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(hosts), cmocka_unit_test(tokens),
                                       cmocka_unit_test(keys), cmocka_unit_test(paths)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
