/* Which cuts of a network are worth comparing. */
#include <stdlib.h>
#include <string.h>

#include "check.h"

#include "engraft.h"

static struct eg_cut_list list_of(const char *model, const char *const *layers, size_t n_layers,
                                  size_t longest)
{
    struct eg_net_options options = {.no_weights = true};
    struct eg_cut_list list;
    struct eg_error err = {0};
    eg_net *net = NULL;
    if (eg_net_load(model, &options, &net, &err)) fail_msg("%s", err.message);
    if (eg_net_list_cuts(net, layers, n_layers, longest, &list, &err)) fail_msg("%s", err.message);
    for (size_t i = 0; i < list.n; i++) { /* each is a cut, and none is given twice */
        eg_net *cut = NULL;
        if (eg_net_cut(net, list.cuts[i], &cut, &err)) fail_msg("%s", err.message);
        eg_net_free(cut);
        for (size_t k = 0; k < i; k++) assert_string_not_equal(list.cuts[k], list.cuts[i]);
    }
    eg_net_free(net);
    return list;
}

static bool has(const struct eg_cut_list *list, const char *cut)
{
    for (size_t i = 0; i < list->n; i++)
        if (!strcmp(list->cuts[i], cut)) return true;
    return false;
}

static void assert_list(const char *model, const char *const *wanted, const char *const *unwanted)
{
    struct eg_cut_list list = list_of(model, NULL, 0, 0);
    for (; *wanted; wanted++)
        if (!has(&list, *wanted)) fail_msg("%s: '%s' is missing", model, *wanted);
    for (; *unwanted; unwanted++)
        if (has(&list, *unwanted)) fail_msg("%s: '%s' is there", model, *unwanted);
    eg_cut_list_release(&list);
}

static void the_ends_of_residual_blocks_are_cuts_and_their_insides_are_not(void **state)
{
    (void)state;
    assert_list("resnet18",
                (const char *const[]){"maxpool:avg", "layer1.0.relu_1:avg", "layer3.1.relu_1:max",
                                      "layer4.1.relu_1:flatten", "avgpool", NULL},
                (const char *const[]){"layer1.0.conv1:avg", "layer1.0.relu:avg", "layer1.0.add:avg",
                                      "relu:avg", "layer4.1.relu_1:avg", /* which is avgpool */
                                      "layer1.0.relu_1:flatten" /* too long */, "fc", NULL});
}

static void a_plain_chain_is_cut_behind_activations_and_pools(void **state)
{
    (void)state;
    assert_list("vgg16",
                (const char *const[]){"features.30:flatten", "features.30:avg", "features.23:avg",
                                      "classifier.1", "classifier.4", NULL},
                (const char *const[]){"features.0:avg", "features.29:avg", "classifier.0", "classifier.2",
                                      "classifier.6", "avgpool:avg", NULL});
    assert_list("squeezenet1_1", (const char *const[]){"features.12.cat:flatten", "features.5:avg", NULL},
                (const char *const[]){"features.12.squeeze_activation:avg", "classifier.1:avg", NULL});
}

static void branches_and_dense_blocks_are_cut_where_they_meet(void **state)
{
    (void)state;
    assert_list("googlenet", (const char *const[]){"inception5a.cat:avg", "maxpool4:max", "avgpool", NULL},
                (const char *const[]){"inception5a.branch1.relu:avg", "inception4e.cat:avg", NULL});
    struct eg_cut_list list = list_of("densenet121", NULL, 0, 0);
    assert_in_range(list.n, 10, 40);
    eg_cut_list_release(&list);
}

static void of_many_blocks_some_are_taken_and_the_last_of_every_size(void **state)
{
    (void)state;
    struct eg_cut_list list = list_of("resnet152", NULL, 0, 0);
    size_t layers = 0;
    for (size_t i = 0; i < list.n; i++) {
        size_t n = strcspn(list.cuts[i], ":");
        layers += !i || strncmp(list.cuts[i], list.cuts[i - 1], n + 1) != 0;
    }
    assert_in_range(layers, 10, 16);
    assert_true(has(&list, "layer1.2.relu_2:avg") && has(&list, "layer2.7.relu_2:avg"));
    assert_true(has(&list, "layer3.35.relu_2:avg") && has(&list, "avgpool"));
    eg_cut_list_release(&list);
}

/* Of many blocks those go whose neighbours are closest: what is left is spread over the work, where taking
 * the first or the last would leave a gap. */
static void what_is_left_is_spread_over_the_work(void **state)
{
    (void)state;
    static const struct {
        const char *network;
        double gap; /* in parts of the work */
    } cases[] = {{"resnet152", 0.13}, {"resnet101", 0.13}};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        struct eg_net_options options = {.no_weights = true};
        struct eg_error err;
        eg_net *net;
        if (eg_net_load(cases[c].network, &options, &net, &err)) fail_msg("%s", err.message);
        struct eg_cut_list list = list_of(cases[c].network, NULL, 0, 0);
        double last = 0, gap = 0;
        for (size_t i = 0; i < list.n; i++) {
            char layer[128] = "";
            strncpy(layer, list.cuts[i], sizeof layer - 1);
            layer[strcspn(layer, ":")] = '\0';
            double depth = eg_net_depth(net, layer);
            assert_true(depth >= last);
            if (depth - last > gap) gap = depth - last;
            last = depth;
        }
        if (!(gap < cases[c].gap && last > 0.98))
            fail_msg("%s: a gap of %.3f, the last at %.3f", cases[c].network, gap, last);
        eg_cut_list_release(&list);
        eg_net_free(net);
    }
}

static void layers_that_are_named_come_with_every_pooling_that_is_short_enough(void **state)
{
    (void)state;
    const char *const layers[] = {"pool5", "pool1:max", "fc7"};
    struct eg_cut_list list = list_of("vgg16", layers, 3, 30000);
    const char *const wanted[] = {"pool5:avg", "pool5:max", "pool5:flatten", "pool1:max", "fc7"};
    assert_int_equal(list.n, 5);
    for (size_t i = 0; i < 5; i++) assert_string_equal(list.cuts[i], wanted[i]);
    eg_cut_list_release(&list);
    list = list_of("vgg16", layers, 1, 1000);
    assert_int_equal(list.n, 2); /* 25,088 are too many */
    eg_cut_list_release(&list);

    struct eg_net_options options = {.no_weights = true};
    eg_net *net;
    struct eg_error err = {0};
    assert_int_equal(eg_net_load("vgg16", &options, &net, &err), EG_OK);
    assert_int_equal(eg_net_list_cuts(net, NULL, 0, 10, &list, &err), EG_E_ARGUMENT);
    assert_non_null(strstr(err.message, "10 features or fewer"));
    eg_net_free(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_ends_of_residual_blocks_are_cuts_and_their_insides_are_not),
        cmocka_unit_test(a_plain_chain_is_cut_behind_activations_and_pools),
        cmocka_unit_test(branches_and_dense_blocks_are_cut_where_they_meet),
        cmocka_unit_test(of_many_blocks_some_are_taken_and_the_last_of_every_size),
        cmocka_unit_test(what_is_left_is_spread_over_the_work),
        cmocka_unit_test(layers_that_are_named_come_with_every_pooling_that_is_short_enough),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
