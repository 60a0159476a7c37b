/* Which layers learn by default, and how fast: the last half of the blocks, whatever the network is made of.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

#include "flow/tuning.h"

static char *names[] = {"a", "b", "c"};

/* The network with a head on its default cut. */
static void build(const char *network, const char *unfreeze, struct tuning *t, eg_net **net)
{
    static struct eg_tune_options options;
    struct eg_net_options how = {EG_SIZED(eg_net_options), .no_weights = true};
    struct eg_error err;
    assert_int_equal(eg_net_load(network, &how, net, &err), EG_OK);
    options = (struct eg_tune_options){EG_SIZED(eg_tune_options), .unfreeze = unfreeze};
    *t = (struct tuning){.net = *net, .options = &options};
    t->report.train.classes = names;
    t->report.train.n_classes = 3;
    t->trained.report = &t->report.train;
    t->trained.weights_sha256 = "";
    enum eg_status status = eg__tuning_build(t, &err);
    if (status) fail_msg("%s: %s", network, err.message);
}

static void release(struct tuning *t, eg_net *net)
{
    eg__cuts_release(&t->plan);
    eg__graph_free(t->graph);
    eg__graph_free(t->head);
    free(t->trainable);
    free(t->rate_scale);
    eg_net_free(net);
}

static void half_of_the_blocks(void **state)
{
    (void)state;
    static const struct {
        const char *network, *first;
    } cases[] = {
        {"efficientnet-lite0", "_blocks.8._expand_conv"}, /* stem, 16 blocks, head */
        {"resnet18", "layer3.0.conv1"},                   /* stem, 8 blocks */
        {"mobilenet_v2", "features.10.conv.0.0"},         /* stem, 17 blocks, head */
        {"squeezenet1_1", "features.9.squeeze"},          /* stem, 8 fire modules */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tuning t;
        eg_net *net;
        build(cases[i].network, NULL, &t, &net);
        assert_string_equal(t.unfreeze_from, cases[i].first);
        bool learns = false;
        for (uint32_t n = 0; n < t.graph->n_nodes; n++) { /* from there on, all */
            learns = learns || !strcmp(t.graph->nodes[n].name, t.unfreeze_from);
            if (eg__node_parameters(t.graph, n)) assert_int_equal(t.trainable[n], learns);
        }
        release(&t, net);
    }
}

/* Lower layers learn slower, the head fastest. */
static void rates_fall_with_depth(void **state)
{
    (void)state;
    struct tuning t;
    eg_net *net;
    build("efficientnet-lite0", "all", &t, &net);
    float last = 0, first = 0;
    for (uint32_t n = 0; n <= t.cut; n++) {
        if (!eg__node_macs(t.graph, n)) continue;
        assert_true(t.rate_scale[n] >= last);
        last = t.rate_scale[n];
        if (!(first > 0)) first = last;
    }
    assert_float_equal(last, 0.2f, 1e-6);
    assert_float_equal(t.rate_scale[t.graph->n_nodes - 1], 1, 1e-6);
    assert_float_equal(first, (float)(0.2 * pow(2.0 / 3, 4)), 1e-6); /* 112 to 7 is four halvings */
    release(&t, net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(half_of_the_blocks),
                                       cmocka_unit_test(rates_fall_with_depth)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
