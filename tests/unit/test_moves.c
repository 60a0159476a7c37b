/* base/moves: plans, clashes, undo, journals from outside. What happens at a crash: tests/crash. */
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/moves.h"

#define assert_ok(call, err)                                                                                 \
    do {                                                                                                     \
        if (call) fail_msg("%s", (err).message);                                                             \
    } while (0)

static char root[64], journal[80];

static const char *in_root(const char *name)
{
    static char paths[4][512];
    static int turn;
    char *path = paths[turn++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", root, name);
    return path;
}

static void put(const char *name, const char *text)
{
    FILE *file = fopen(in_root(name), "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static const char *get(const char *name)
{
    static char text[64];
    FILE *file = fopen(in_root(name), "r");
    if (!file) return NULL;
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    return text;
}

static int begin(void **state)
{
    (void)state;
    snprintf(root, sizeof root, "/tmp/engraft-moves-XXXXXX");
    if (!mkdtemp(root)) return -1;
    snprintf(journal, sizeof journal, "%s/journal", root);
    return mkdir(in_root("a"), 0777) || mkdir(in_root("b"), 0777);
}

static int end(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -r '%s'", root);
    return system(command);
}

static void add(struct eg_moves *plan, const char *from, const char *to)
{
    struct eg_error err;
    char source[512];
    snprintf(source, sizeof source, "%s", in_root(from));
    assert_ok(eg__moves_add(plan, EG_MOVE_FILE, source, in_root(to), &err), err);
}

static void names_that_are_taken_get_a_number(void **state)
{
    (void)state;
    struct eg_error err;
    struct eg_moves plan;
    struct eg_moves_result result;
    char name[64];
    put("b/x.jpg", "old");
    assert_ok(eg__moves_init(&plan, root, &err), err);
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "a/%d.jpg", i);
        put(name, name);
        add(&plan, name, "b/x.jpg");
    }
    assert_string_equal(plan.moves[0].to, "b/x-2.jpg");
    assert_string_equal(plan.moves[99].to, "b/x-101.jpg");
    put("b/x-50.jpg", "came after the plan");
    assert_ok(eg__moves_apply(&plan, journal, &result, &err), err);
    assert_int_equal(result.done, 99);
    assert_int_equal(result.n_skipped, 1);
    assert_string_equal(result.skipped[0].path, in_root("a/48.jpg"));
    eg__moves_result_release(&result);
    assert_string_equal(get("b/x.jpg"), "old");
    assert_string_equal(get("b/x-101.jpg"), "a/99.jpg");
    assert_int_equal(eg__moves_apply(&plan, journal, &result, &err), EG_E_EXISTS);
    eg__moves_release(&plan);
    assert_ok(eg__moves_undo(root, journal, &result, &err), err);
    assert_int_equal(result.n_skipped, 0);
    eg__moves_result_release(&result);
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "a/%d.jpg", i);
        assert_string_equal(get(name), name);
    }
    assert_string_equal(get("b/x-50.jpg"), "came after the plan");
    assert_int_not_equal(access(journal, F_OK), 0);
}

static void undo_leaves_what_is_another_file(void **state)
{
    (void)state;
    struct eg_error err;
    struct eg_moves plan;
    struct eg_moves_result result;
    put("a/1", "one");
    put("a/2", "two");
    put("a/3\n%\t", "three");
    assert_ok(eg__moves_init(&plan, root, &err), err);
    add(&plan, "a/1", "c/d/1");
    add(&plan, "a/2", "c/2");
    add(&plan, "a/3\n%\t", "c/3\n%\t");
    assert_ok(eg__moves_apply(&plan, journal, &result, &err), err);
    eg__moves_release(&plan);
    put("c/new", "another, of other size");
    assert_int_equal(rename(in_root("c/new"), in_root("c/2")), 0);
    put("a/1", "came back");
    assert_ok(eg__moves_undo(root, journal, &result, &err), err);
    assert_int_equal(result.done, 1);
    assert_int_equal(result.n_skipped, 2);
    eg__moves_result_release(&result);
    assert_string_equal(get("c/2"), "another, of other size");
    assert_string_equal(get("a/1"), "came back");
    assert_string_equal(get("c/d/1"), "one");
    assert_string_equal(get("a/3\n%\t"), "three");
    assert_int_equal(unlink(in_root("a/1")), 0); /* the way is free */
    assert_ok(eg__moves_undo(root, journal, &result, &err), err);
    assert_string_equal(get("a/1"), "one");
    eg__moves_result_release(&result);
}

static void links_are_made_and_taken_away(void **state)
{
    (void)state;
    struct eg_error err;
    struct eg_moves plan;
    struct eg_moves_result result;
    put("a/1", "one");
    assert_ok(eg__moves_init(&plan, NULL, &err), err);
    assert_ok(eg__moves_add(&plan, EG_MOVE_LINK, in_root("a/1"), in_root("c/1"), &err), err);
    assert_ok(eg__moves_apply(&plan, journal, &result, &err), err);
    eg__moves_release(&plan);
    assert_string_equal(get("c/1"), "one");
    assert_ok(eg__moves_undo(NULL, journal, &result, &err), err);
    assert_null(get("c/1"));
    assert_int_not_equal(access(in_root("c"), F_OK), 0);
    assert_string_equal(get("a/1"), "one");
}

/* /dev/shm is, where there is one, another device than /tmp. */
static void across_devices_a_file_is_copied(void **state)
{
    (void)state;
    struct stat here, there;
    char far[64] = "/dev/shm/engraft-moves-XXXXXX", to[80];
    if (stat(root, &here) || stat("/dev/shm", &there) || here.st_dev == there.st_dev || !mkdtemp(far)) skip();
    struct eg_error err;
    struct eg_moves plan;
    struct eg_moves_result result;
    put("a/1", "one");
    snprintf(to, sizeof to, "%s/1", far);
    assert_int_equal(chmod(in_root("a/1"), 0640), 0);
    assert_int_equal(stat(in_root("a/1"), &here), 0);
    assert_ok(eg__moves_init(&plan, NULL, &err), err);
    assert_ok(eg__moves_add(&plan, EG_MOVE_FILE, in_root("a/1"), to, &err), err);
    assert_ok(eg__moves_apply(&plan, journal, &result, &err), err);
    eg__moves_release(&plan);
    assert_int_equal(result.done, 1);
    assert_null(get("a/1"));
    assert_int_equal(stat(to, &there), 0);
    assert_int_equal(there.st_mode, here.st_mode);
    assert_int_equal(there.st_mtim.tv_nsec, here.st_mtim.tv_nsec);
    assert_ok(eg__moves_undo(NULL, journal, &result, &err), err);
    assert_string_equal(get("a/1"), "one");
    assert_int_equal(rmdir(far), 0);
}

static void nothing_outside_the_root(void **state)
{
    (void)state;
    struct eg_error err;
    struct eg_moves plan;
    put("a/1", "one");
    assert_ok(eg__moves_init(&plan, in_root("a"), &err), err);
    assert_int_equal(eg__moves_add(&plan, EG_MOVE_FILE, in_root("a/1"), in_root("b/1"), &err), EG_E_ARGUMENT);
    assert_int_equal(eg__moves_add(&plan, EG_MOVE_FILE, in_root("a/1"), in_root("a/../b/1"), &err),
                     EG_E_ARGUMENT);
    eg__moves_release(&plan);
    static const char *const bad[] = {
        "engraft moves 1\nmove\t1\t1\t1\t../x\ty\n",
        "engraft moves 1\nmove\t1\t1\t1\tx\t/etc/y\n",
        "engraft moves 1\nmove\t1\t1\t1\tx\ta%2f../..\n",
        "engraft moves 1\nfolder\t..\n",
        "engraft moves 1\nmove\t1\t1\t1\tx\n",
        "engraft moves 1\nmove\t1\t1\t1\tx\ty\tz\n",
        "engraft moves 1\nmove\t1\t-1\t1\tx\ty\n",
        "engraft moves 1\nmove\t1\t1\t1\tx\ty%00\n",
        "engraft moves 1\nmove\t1\t1\t1\tx\ty",
        "engraft moves 2\n",
        "",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(eg__moves_parse(bad[i], strlen(bad[i]), root, &plan, &err), EG_E_FORMAT);
    const char *good = "engraft moves 1\nfolder\tc\nmove\t5\t1\t-7\tx%0a\ty%25\n";
    assert_ok(eg__moves_parse(good, strlen(good), root, &plan, &err), err);
    assert_string_equal(plan.moves[0].from, "x\n");
    assert_string_equal(plan.moves[0].to, "y%");
    assert_int_equal(plan.moves[0].mtime_ns, -7);
    eg__moves_release(&plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(names_that_are_taken_get_a_number, begin, end),
        cmocka_unit_test_setup_teardown(undo_leaves_what_is_another_file, begin, end),
        cmocka_unit_test_setup_teardown(links_are_made_and_taken_away, begin, end),
        cmocka_unit_test_setup_teardown(across_devices_a_file_is_copied, begin, end),
        cmocka_unit_test_setup_teardown(nothing_outside_the_root, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
