/* model/feeder.c, infinity.c, cuts.c: photos that cannot be read are not run, numbers that are none
 * are refused by the layer's name, and a network without classes says so. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "model/model.h"

static char folder[] = "/tmp/engraft-feeder-XXXXXX";

static int enter_new_folder(void **state)
{
    (void)state;
    memcpy(folder + sizeof folder - 7, "XXXXXX", 6);
    return !mkdtemp(folder) || chdir(folder);
}

static int remove_folder(void **state)
{
    (void)state;
    static const char *const made[] = {"a.jpg", "b.jpg", "c.jpg", "x.npy"};
    for (size_t i = 0; i < sizeof made / sizeof *made; i++) unlink(made[i]);
    return chdir("/") || rmdir(folder);
}

static void put(const char *path, const void *bytes, size_t n)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, n, file), n);
    fclose(file);
}

static void put_photo(const char *path)
{
    static uint8_t bytes[1 << 18];
    FILE *file = fopen(EG_SOURCE_DIR "/tests/golden/photos/444.jpg", "rb");
    assert_non_null(file);
    size_t n = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    put(path, bytes, n);
}

static const struct eg_recipe plain = {.resize = EG_RESIZE_SQUASH,
                                       .crop = {4, 4},
                                       .antialias = true,
                                       .scale = 1,
                                       .std = {1, 1, 1},
                                       .exif = true};

static uint32_t add(struct eg_graph *graph, enum eg_op op, const char *name)
{
    struct eg_node node = {.op = op, .name = name, .n_inputs = 1, .inputs = {graph->n_nodes - 1}};
    struct eg_error err;
    uint32_t index;
    if (eg__graph_add(graph, &node, &index, &err)) fail_msg("%s", err.message);
    return index;
}

static struct eg_graph *image_graph(void)
{
    struct eg_graph *graph;
    uint32_t index;
    assert_int_equal(eg__graph_create("tiny", &graph, NULL), EG_OK);
    struct eg_node input = {.op = EG_OP_INPUT, .name = "x", .shape = {3, {4, 4, 3}}};
    assert_int_equal(eg__graph_add(graph, &input, &index, NULL), EG_OK);
    return graph;
}

static struct eg_run *run_of(struct eg_graph *graph, size_t batch)
{
    struct eg_run *run;
    struct eg_run_options options = {.max_batch = batch};
    assert_int_equal(eg__run_create(graph, &graph->output, 1, &options, NULL, &run, NULL), EG_OK);
    return run;
}

static void unreadable_photos_are_not_run(void **state)
{
    (void)state;
    put("a.jpg", "\xff\xd8\xff broken", 10);
    put_photo("b.jpg");
    put("c.jpg", "\xff\xd8\xff broken", 10);
    struct eg_dataset *dataset;
    const char *paths[] = {"a.jpg", "b.jpg", "c.jpg"};
    assert_int_equal(eg__dataset_list(paths, 3, &dataset, NULL), EG_OK);
    struct eg_graph *graph = image_graph();
    add(graph, EG_OP_GLOBAL_AVG, "mean");
    struct eg_feeder feeder;
    assert_int_equal(eg__feeder_init(&plain, graph, dataset, 3, NULL, &feeder, NULL), EG_OK);
    struct eg_run *run = run_of(graph, 3);
    float values[3][3] = {{7, 7, 7}, {7, 7, 7}, {7, 7, 7}}, *out = values[0];

    eg__feeder_load(&feeder, (size_t[]){0, 1, 2}, 3);
    assert_int_equal(eg__feeder_run(&feeder, run, 3, &out, NULL), EG_OK);
    assert_true(feeder.reasons[0][0] && !feeder.reasons[1][0] && feeder.reasons[2][0]);
    assert_true(values[1][0] > 1 && values[1][0] < 255);
    for (size_t c = 0; c < 3; c++) assert_true(values[0][c] == 0 && values[2][c] == 0);

    /* Where nothing is to be run, the run does not even look at its pool or its inputs. */
    eg_run_time_steps(run, true);
    assert_int_equal(eg__feeder_run(&feeder, run, 3, &out, NULL), EG_OK);
    assert_true(eg_run_step(run, 0).seconds > 0);
    struct eg_run *idle = run_of(graph, 3);
    eg_run_time_steps(idle, true);
    eg__feeder_load(&feeder, (size_t[]){0, 2, 2}, 3);
    assert_int_equal(eg__feeder_run(&feeder, idle, 3, &out, NULL), EG_OK);
    assert_true(eg_run_step(idle, 0).seconds == 0);

    eg__run_free(idle);
    eg__run_free(run);
    eg__feeder_release(&feeder);
    eg__graph_free(graph);
    eg__dataset_free(dataset);
}

/* x -> abs -> exp -> (negative) -> mean: of bytes of 89 and more exp is infinite. */
static void infinity_is_told_by_its_layer(void **state)
{
    (void)state;
    put_photo("b.jpg");
    struct eg_dataset *dataset;
    const char *path = "b.jpg";
    assert_int_equal(eg__dataset_list(&path, 1, &dataset, NULL), EG_OK);
    struct eg_graph *graph = image_graph();
    add(graph, EG_OP_ABS, "first");
    add(graph, EG_OP_EXP, "too much");
    add(graph, EG_OP_NEG, "after");
    add(graph, EG_OP_GLOBAL_AVG, "mean");
    struct eg_feeder feeder;
    assert_int_equal(eg__feeder_init(&plain, graph, dataset, 1, NULL, &feeder, NULL), EG_OK);
    struct eg_run *run = run_of(graph, 1);
    float values[3], *out = values;
    struct eg_error err;
    eg__feeder_load(&feeder, (size_t[]){0}, 1);
    assert_int_equal(eg__feeder_run(&feeder, run, 1, &out, &err), EG_E_NUMERIC);
    assert_non_null(strstr(err.message, "'too much'"));
    assert_non_null(strstr(err.message, "'b.jpg'"));
    assert_non_null(strstr(err.message, "'tiny'"));
    eg__run_free(run);
    eg__feeder_release(&feeder);
    eg__graph_free(graph);
    eg__dataset_free(dataset);
}

static void arrays_with_nan_are_unreadable(void **state)
{
    (void)state;
    static const char text[] = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3, 4, 4), }";
    struct {
        char head[128];
        float values[2][48];
    } npy = {0};
    memset(npy.head, ' ', sizeof npy.head);
    memcpy(npy.head, "\x93NUMPY\1\0\x76\0", 10);
    memcpy(npy.head + 10, text, sizeof text - 1);
    npy.head[127] = '\n';
    npy.values[1][47] = NAN;
    put("x.npy", &npy, sizeof npy);
    struct eg_dataset *dataset;
    struct eg_error err;
    if (eg__dataset_open("x.npy", &dataset, &err)) fail_msg("%s", err.message);
    struct eg_graph *graph = image_graph();
    add(graph, EG_OP_GLOBAL_AVG, "mean");
    struct eg_feeder feeder;
    assert_int_equal(eg__feeder_init(NULL, graph, dataset, 2, NULL, &feeder, NULL), EG_OK);
    eg__feeder_load(&feeder, (size_t[]){0, 1}, 2);
    assert_string_equal(feeder.reasons[0], "");
    assert_non_null(strstr(feeder.reasons[1], "NaN"));
    eg__feeder_release(&feeder);
    eg__graph_free(graph);
    eg__dataset_free(dataset);
}

/* ---- who has a classifier ------------------------------------------------------------------ */

static bool has_classifier(struct eg_graph *graph)
{
    struct eg_net net = {.graph = graph, .card = eg__card_empty()};
    struct eg_cut_plan plan;
    struct eg_error err;
    bool has = eg_net_has_classifier(&net);
    enum eg_status status = eg__probabilities_plan(&net, &plan, &err);
    assert_int_equal(status, has ? EG_OK : EG_E_ARGUMENT);
    if (has)
        eg__cuts_release(&plan);
    else
        assert_non_null(strstr(err.message, "'tiny' has no classifier"));
    eg__graph_free(graph);
    return has;
}

static struct eg_graph *with_weights(struct eg_graph *graph, enum eg_op op, size_t out)
{
    float zeros[64] = {0};
    struct eg_node node = {.op = op, .name = "w", .n_inputs = 1, .inputs = {graph->n_nodes - 1}, .groups = 1};
    size_t in = eg__map(graph->nodes[node.inputs[0]].shape).c, dim[4] = {out, 1, 1, in};
    node.window = (struct eg_window){1, 1, 1, 1, 1, 1, 0, 0, 0, 0, EG_PAD_EXPLICIT};
    if (op == EG_OP_LINEAR) dim[1] = in;
    node.params[0] = eg__graph_constant(graph, "w", op == EG_OP_LINEAR ? 2 : 4, dim, zeros);
    uint32_t index;
    struct eg_error err;
    if (eg__graph_add(graph, &node, &index, &err)) fail_msg("%s", err.message);
    return graph;
}

static struct eg_graph *ending(struct eg_graph *graph, enum eg_op op)
{
    add(graph, op, "end");
    return graph;
}

static void features_are_no_classes(void **state)
{
    (void)state;
    struct eg_graph *graph = ending(image_graph(), EG_OP_GLOBAL_AVG);
    graph->default_cut = graph->output;
    assert_false(has_classifier(graph));                                      /* a trunk */
    assert_false(has_classifier(with_weights(image_graph(), EG_OP_CONV, 5))); /* a map */
    assert_true(has_classifier(with_weights(ending(image_graph(), EG_OP_GLOBAL_AVG), EG_OP_LINEAR, 5)));
    graph = with_weights(ending(image_graph(), EG_OP_GLOBAL_AVG), EG_OP_LINEAR, 5);
    assert_true(has_classifier(ending(graph, EG_OP_SIGMOID)));
    graph = with_weights(ending(image_graph(), EG_OP_GLOBAL_AVG), EG_OP_LINEAR, 5);
    assert_false(has_classifier(ending(graph, EG_OP_RELU))); /* the hidden layer of a head cut off */

    graph = ending(with_weights(image_graph(), EG_OP_CONV, 5), EG_OP_GLOBAL_AVG); /* as SqueezeNet */
    assert_true(has_classifier(graph));
    graph =
        ending(with_weights(image_graph(), EG_OP_CONV, 5), EG_OP_GLOBAL_AVG); /* as a headless MobileNet */
    graph->default_cut = graph->output;
    assert_false(has_classifier(graph));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(unreadable_photos_are_not_run, enter_new_folder, remove_folder),
        cmocka_unit_test_setup_teardown(infinity_is_told_by_its_layer, enter_new_folder, remove_folder),
        cmocka_unit_test_setup_teardown(arrays_with_nan_are_unreadable, enter_new_folder, remove_folder),
        cmocka_unit_test(features_are_no_classes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
