/* Which layers learn by default, and how fast: the last half of the blocks, whatever the network is made of.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

#include "flow/tuning.h"

static char *names[] = {"a", "b", "c"};

static eg_net *load(const char *network)
{
    struct eg_net_options how = {EG_SIZED(eg_net_options), .no_weights = true};
    eg_net *net;
    assert_int_equal(eg_net_load(network, &how, &net, NULL), EG_OK);
    return net;
}

/* The network with a head on its default cut. */
static void build(const eg_net *net, const char *unfreeze, struct tuning *t)
{
    static struct eg_tune_options options;
    struct eg_error err;
    options = (struct eg_tune_options){EG_SIZED(eg_tune_options), .unfreeze = unfreeze};
    *t = (struct tuning){.net = net, .options = &options};
    t->report.train.classes = names;
    t->report.train.n_classes = 3;
    t->trained.report = &t->report.train;
    t->trained.weights_sha256 = "";
    if (eg__tuning_build(t, &err)) fail_msg("%s: %s", eg_net_name(net), err.message);
}

static void release(struct tuning *t)
{
    eg__cuts_release(&t->plan);
    eg__graph_free(t->graph);
    eg__graph_free(t->head);
    free(t->trainable);
    free(t->rate_scale);
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
        eg_net *net = load(cases[i].network);
        build(net, NULL, &t);
        assert_string_equal(t.unfreeze_from, cases[i].first);
        bool learns = false;
        for (uint32_t n = 0; n < t.graph->n_nodes; n++) { /* from there on, all */
            learns = learns || !strcmp(t.graph->nodes[n].name, t.unfreeze_from);
            if (eg__node_parameters(t.graph, n)) assert_int_equal(t.trainable[n], learns);
        }
        release(&t);
        eg_net_free(net);
    }
}

/* Lower layers learn slower, the head fastest. */
static void rates_fall_with_depth(void **state)
{
    (void)state;
    struct tuning t;
    eg_net *net = load("efficientnet-lite0");
    build(net, "all", &t);
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
    release(&t);
    eg_net_free(net);
}

/* Tokens stay as many: slower by a quarter at every block. */
static void rates_of_tokens_fall_by_the_block(void **state)
{
    (void)state;
    struct eg_graph *graph;
    uint32_t at;
    const size_t dim[2] = {8, 8};
    const float values[64] = {1};
    assert_int_equal(eg__graph_create("tokens", &graph, NULL), EG_OK);
    struct eg_node input = {.op = EG_OP_INPUT, .name = "tokens", .shape = {2, {16, 8}}};
    assert_int_equal(eg__graph_add(graph, &input, &at, NULL), EG_OK);
    for (int i = 0; i < 3; i++) {
        char name[32];
        snprintf(name, sizeof name, "blocks.%d.fc", i);
        struct eg_node node = {.op = EG_OP_LINEAR, .name = name, .n_inputs = 1, .inputs = {at}};
        node.params[0] = eg__graph_constant(graph, "weight", 2, dim, values);
        node.params[1] = eg__graph_constant(graph, "bias", 1, dim, values);
        assert_int_equal(eg__graph_add(graph, &node, &at, NULL), EG_OK);
    }
    graph->output = graph->default_cut = at;
    struct eg_net net = {.graph = graph, .card = eg__card_empty()};
    struct tuning t;
    build(&net, "all", &t);
    assert_float_equal(t.rate_scale[1], 0.2f * 0.75f * 0.75f, 1e-6);
    assert_float_equal(t.rate_scale[2], 0.2f * 0.75f, 1e-6);
    assert_float_equal(t.rate_scale[3], 0.2f, 1e-6);
    release(&t);
    build(&net, NULL, &t);
    assert_string_equal(t.unfreeze_from, "blocks.2.fc");
    release(&t);
    eg__graph_free(graph);
}

/* What the scale says happens: AdamW's first step changes a value by its rate, whatever the gradient. */
static void layers_move_by_their_rates(void **state)
{
    (void)state;
    struct eg_graph *graph;
    uint32_t at;
    const size_t dim[2] = {8, 8};
    float values[64];
    for (int i = 0; i < 64; i++) values[i] = (float)((i * 37 + 11) % 23) / 23 - 0.4f;
    assert_int_equal(eg__graph_create("vectors", &graph, NULL), EG_OK);
    struct eg_node input = {.op = EG_OP_INPUT, .name = "tokens", .shape = {2, {16, 8}}};
    assert_int_equal(eg__graph_add(graph, &input, &at, NULL), EG_OK);
    for (int i = 0; i < 3; i++) {
        char name[32];
        snprintf(name, sizeof name, "blocks.%d.fc", i);
        struct eg_node node = {.op = EG_OP_LINEAR, .name = name, .n_inputs = 1, .inputs = {at}};
        node.params[0] = eg__graph_constant(graph, "weight", 2, dim, values);
        assert_int_equal(eg__graph_add(graph, &node, &at, NULL), EG_OK);
    }
    graph->output = graph->default_cut = at;
    struct eg_net net = {.graph = graph, .card = eg__card_empty()};
    struct tuning t;
    struct eg_error err;
    eg_dataset *photos;
    size_t items[] = {0, 1};
    build(&net, "all", &t);
    assert_int_equal(eg_dataset_open(EG_SOURCE_DIR "/tests/golden/photos", &photos, NULL), EG_OK);
    t.dataset = photos;
    t.items = items;
    t.n = t.batch = t.head_batch = 2;
    t.d = 128;
    t.path = "/tmp/none.onnx";
    if (eg__tuning_trainers(&t, &err)) fail_msg("%s", err.message);
    assert_non_null(t.trainer);

    struct eg_tape *tape = eg__trainer_tape(t.trainer);
    size_t n, n_parameters;
    const struct eg_parameter *parameters = eg__tape_parameters(tape, &n_parameters);
    const float *now = eg__tape_values(tape, &n);
    float *before = malloc(n * sizeof *before), tokens[2][16][8];
    memcpy(before, now, n * sizeof *before);
    for (size_t i = 0; i < 256; i++) (&tokens[0][0][0])[i] = (float)((i * 61 + 7) % 31) / 31 - 0.3f;
    const struct eg_target targets[] = {{0, 0, 1}, {1, 1, 1}};
    const float *inputs[] = {&tokens[0][0][0]};
    struct eg_batch_result result;
    if (eg__trainer_step(t.trainer, inputs, targets, 2, 1e-3, 1, &result, &err)) fail_msg("%s", err.message);
    for (size_t i = 0; i < n_parameters; i++) {
        double most = 0, want = 1e-3 * (double)t.rate_scale[parameters[i].node];
        for (size_t k = 0; k < parameters[i].count; k++)
            most = fmax(most,
                        fabs((double)now[parameters[i].first + k] - (double)before[parameters[i].first + k]));
        assert_true(most > 0.95 * want && most < 1.05 * want);
    }
    assert_int_equal(n_parameters, 5); /* three layers and the head with its shift */
    free(before);
    free(t.report.unfrozen);
    free(t.pristine);
    free(t.start);
    eg__trainer_free(t.trainer);
    eg__trainer_free(t.head_trainer);
    eg__tune_source_release(&t.source);
    eg__tune_cache_release(&t.features);
    eg_dataset_free(photos);
    release(&t);
    eg__graph_free(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(half_of_the_blocks), cmocka_unit_test(rates_fall_with_depth),
        cmocka_unit_test(rates_of_tokens_fall_by_the_block), cmocka_unit_test(layers_move_by_their_rates)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
