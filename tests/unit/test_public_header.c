/* The cross-cutting promises of the public headers: versions, errors, options and reports. */
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "engraft.h"

#include "base/fail.h"
#include "base/versioned.h"

static void the_headers_are_of_the_library_s_version(void **state)
{
    (void)state;
    char text[32];
    snprintf(text, sizeof text, "%d.%d.%d", EG_VERSION_MAJOR, EG_VERSION_MINOR, EG_VERSION_PATCH);
    assert_string_equal(text, eg_version());
    assert_true(EG_VERSION_AT_LEAST(EG_VERSION_MAJOR, EG_VERSION_MINOR, EG_VERSION_PATCH));
    assert_false(EG_VERSION_AT_LEAST(EG_VERSION_MAJOR, EG_VERSION_MINOR + 1, 0));
}

static void errors_name_their_reason_and_subject(void **state)
{
    (void)state;
    struct eg_error err;
    assert_int_equal(
        eg__fail_for(&err, EG_E_EXISTS, EG_REASON_OUTPUT_EXISTS, "'%s' exists", "it's mine/b.h5"),
        EG_E_EXISTS);
    assert_int_equal(err.reason, EG_REASON_OUTPUT_EXISTS);
    assert_string_equal(err.subject, "it's mine/b.h5");
    assert_int_equal(eg__fail_within(&err, EG_E_EXISTS, "in '%s'", "folder"), EG_E_EXISTS);
    assert_int_equal(err.reason, EG_REASON_OUTPUT_EXISTS);
    assert_string_equal(err.message, "in 'folder': 'it's mine/b.h5' exists");
    (void)eg__fail(&err, EG_E_IO, "cannot read '%s': it says '%s'", "a", "b");
    assert_int_equal(err.reason, EG_REASON_OTHER);
    assert_string_equal(err.subject, "a");
    (void)eg__fail(&err, EG_E_MEMORY, "out of memory");
    assert_string_equal(err.subject, "");
    assert_string_equal(eg_reason_name(EG_REASON_WEIGHTS_MISSING), "WEIGHTS_MISSING");
    assert_string_equal(eg_reason_name((enum eg_reason)9999), "OTHER");
}

struct own_options {
    size_t size;
    const char *a;
    int b;
};
struct later_options {
    struct own_options own;
    int c;
};

static void options_of_any_version_are_taken(void **state)
{
    (void)state;
    struct own_options own, given = {.a = "x", .b = 3};
    assert_int_equal(eg__options(&own, sizeof own, NULL, NULL), EG_OK);
    assert_null(own.a);
    assert_int_equal(eg__options(&own, sizeof own, &given, NULL), EG_OK); /* 0: this version's */
    assert_string_equal(own.a, "x");
    assert_int_equal(own.b, 3);
    given.size = offsetof(struct own_options, b); /* an earlier version, without b */
    assert_int_equal(eg__options(&own, sizeof own, &given, NULL), EG_OK);
    assert_string_equal(own.a, "x");
    assert_int_equal(own.b, 0);
    struct later_options later = {.own = {.size = sizeof later, .a = "x"}};
    struct eg_error err;
    assert_int_equal(eg__options(&own, sizeof own, &later, &err), EG_OK);
    later.c = 1; /* a later version's option that is asked for is not ignored */
    assert_int_equal(eg__options(&own, sizeof own, &later, &err), EG_E_UNSUPPORTED);
    assert_int_equal(err.reason, EG_REASON_OPTION_UNKNOWN);
    given.size = 1;
    assert_int_equal(eg__options(&own, sizeof own, &given, &err), EG_E_ARGUMENT);
}

static void entries_take_the_size(void **state)
{
    (void)state;
    struct {
        struct eg_net_options own;
        int later;
    } given = {.own = {.size = sizeof given, .no_weights = true}, .later = 1};
    eg_net *net = NULL;
    struct eg_error err;
    assert_int_equal(eg_net_load("vgg16", &given.own, &net, &err), EG_E_UNSUPPORTED);
    given.later = 0;
    assert_int_equal(eg_net_load("vgg16", &given.own, &net, &err), EG_OK);
    struct eg_run_cuts cuts = {.size = 3};
    eg_run *run = NULL;
    assert_int_equal(eg_run_create(net, &cuts, 1, NULL, &run, &err), EG_E_ARGUMENT);
    eg_net_free(net);
}

static void nothing_can_be_freed(void **state)
{
    (void)state;
    eg_extract_report_free(NULL);
    eg_check_report_free(NULL);
    eg_evaluate_report_free(NULL);
    eg_train_report_free(NULL);
    eg_tune_report_free(NULL);
    eg_comparison_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_headers_are_of_the_library_s_version),
        cmocka_unit_test(errors_name_their_reason_and_subject),
        cmocka_unit_test(options_of_any_version_are_taken),
        cmocka_unit_test(entries_take_the_size),
        cmocka_unit_test(nothing_can_be_freed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
