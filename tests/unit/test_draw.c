/* Pictures: what is drawn stays within what was measured, and names from outside stay text. */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "draw/svg.h"
#include "draw/svg_chart.h"

static void test_text_is_measured_and_shortened(void **state)
{
    (void)state;
    const char *name = "a rather long name of a class that nobody should have given";
    double whole = eg__text_measure(name, 13);
    assert_true(whole > 300 && whole < 600);
    assert_true(eg__text_measure("\xe6\xbc\xa2\xe5\xad\x97", 10) >= 20); /* two wide letters */
    char *fit = eg__text_fit(name, 13, 120), *same = eg__text_fit(name, 13, whole + 1);
    assert_true(eg__text_measure(fit, 13) <= 120);
    assert_true(!strncmp(fit, "a rath", 6) && strstr(fit, "\xe2\x80\xa6") && strstr(fit, "ven"));
    assert_string_equal(same, name);
    free(fit);
    free(same);
    char *greek = eg__text_fit("\xce\xb1\xce\xb2\xce\xb3\xce\xb4\xce\xb5\xce\xb6\xce\xb7\xce\xb8", 13, 40);
    for (const char *c = greek; *c; c += eg__utf8_length(c)) assert_true(eg__utf8_length(c) > 0);
    free(greek);
}

static void test_names_stay_text(void **state)
{
    (void)state;
    const char *const names[] = {"<script>alert(1)</script>", "a & b\n\xff"};
    const size_t counts[] = {3, 1, 0, 4};
    char *svg = eg__matrix_svg("</svg><b>", names, counts, 2);
    assert_non_null(svg);
    assert_null(strstr(svg, "<script"));
    assert_null(strstr(svg, "<b>"));
    assert_non_null(strstr(svg, "&lt;script&gt;"));
    assert_non_null(strstr(svg, "a &amp; b\\x0a\\xff"));
    free(svg);
}

/* Number n (from 0) that follows `key` in the text. */
static double number_after(const char *svg, const char *key, size_t n)
{
    const char *at = svg;
    for (size_t i = 0; i <= n; i++) {
        at = strstr(at, key);
        assert_non_null(at);
        at += strlen(key);
    }
    return strtod(at, NULL);
}

static void test_curves_stay_in_the_plot(void **state)
{
    (void)state;
    const double x[] = {1, 2, 3}, y[] = {0.5, 0.9, 1.0};
    const struct eg_chart_series series[] = {{.name = "one", .x = x, .y = y, .n = 3, .marks = true},
                                             {.name = "two", .x = x, .y = x, .n = 0}};
    const struct eg_chart chart = {.title = "t",
                                   .x_name = "epoch",
                                   .y_name = "accuracy",
                                   .whole_x = true,
                                   .y_range = {0, 1},
                                   .series = series,
                                   .n_series = 2};
    char *svg = eg__chart_svg(&chart);
    assert_non_null(svg);
    assert_null(strstr(svg, ">1.5<")); /* half an epoch */
    assert_null(strstr(svg, ">1.1<")); /* more than all are right */
    assert_non_null(strstr(svg, ">2<"));
    for (size_t i = 0; i < 3; i++) {
        double cx = number_after(svg, "<circle cx=\"", i);
        assert_true(cx >= 76 && cx < 960);
    }
    assert_true(number_after(svg, "<circle cx=\"", 0) < number_after(svg, "<circle cx=\"", 2));
    free(svg);
}

static void test_many_classes_list_the_largest_confusions(void **state)
{
    (void)state;
    enum { N = 200 };
    static size_t counts[N * N];
    static char text[N][16];
    const char *names[N];
    for (size_t i = 0; i < N; i++) {
        counts[i * N + i] = 9;
        snprintf(text[i], sizeof text[i], "class %zu", i);
        names[i] = text[i];
    }
    counts[17 * N + 4] = 7;
    counts[4 * N + 5] = 8;
    char *svg = eg__matrix_svg("many", names, counts, N);
    assert_non_null(svg);
    const char *first = strstr(svg, "class 4 \xe2\x86\x92 class 5: 8</text>"),
               *second = strstr(svg, "class 17 \xe2\x86\x92 class 4: 7</text>");
    assert_true(first && second && first < second);
    free(svg);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_is_measured_and_shortened),
        cmocka_unit_test(test_names_stay_text),
        cmocka_unit_test(test_curves_stay_in_the_plot),
        cmocka_unit_test(test_many_classes_list_the_largest_confusions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
