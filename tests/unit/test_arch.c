/* Every built-in architecture, without weights: it builds, has the parameters it says, and its
 * names resolve. */
#include <string.h>

#include "arch/arch.h"
#include "check.h"

static void builds_with_the_parameters_it_says(void **state)
{
    (void)state;
    assert_true(eg__arch_count() > 0);
    for (size_t i = 0; i < eg__arch_count(); i++) {
        const struct eg_arch *arch = eg__arch_at(i);
        struct eg_graph *graph;
        struct eg_error err = {0};
        if (eg__arch_build(arch, 0, true, 0, 0, &graph, &err)) fail_msg("%s: %s", arch->name, err.message);
        uint64_t parameters = 0;
        for (uint32_t n = 0; n < graph->n_nodes; n++) parameters += eg__node_parameters(graph, n);
        if (parameters != arch->parameters)
            fail_msg("%s has %llu parameters, its table says %llu", arch->name,
                     (unsigned long long)parameters, (unsigned long long)arch->parameters);
        assert_true(graph->default_cut > 0);
        assert_int_equal(eg__map(graph->nodes[graph->output].shape).c, 1000);
        eg__graph_free(graph);

        assert_int_equal(eg__arch_build(arch, 5, true, 0, 0, &graph, &err), EG_OK);
        assert_int_equal(eg__map(graph->nodes[graph->output].shape).c, 5);
        eg__graph_free(graph);

        assert_int_equal(eg__arch_build(arch, 0, false, 0, 0, &graph, &err), EG_OK);
        assert_int_equal(graph->output, graph->default_cut);
        eg__graph_free(graph);
    }
}

static void is_found_by_either_spelling(void **state)
{
    (void)state;
    assert_non_null(eg__arch_find("efficientnet-lite0"));
    assert_ptr_equal(eg__arch_find("efficientnet_lite0"), eg__arch_find("efficientnet-lite0"));
    assert_null(eg__arch_find("efficientnet-lite"));
    assert_null(eg__arch_find("efficientnet-lite01"));
    assert_null(eg__arch_find(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(builds_with_the_parameters_it_says),
        cmocka_unit_test(is_found_by_either_spelling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
