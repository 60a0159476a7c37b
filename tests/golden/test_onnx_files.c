/* Small files as other exporters write them (made by make_onnx.py) and what the reader makes of
 * them; and files that are no networks, each refused in words that say why. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"

#include "base/file.h"
#include "graph/checks.h"
#include "onnx/onnx.h"

#define CORPUS EG_SOURCE_DIR "/tests/fuzz/corpus/onnx/"

static struct eg_graph *load(const char *path)
{
    struct eg_graph *graph = NULL;
    struct eg_error err = {0};
    if (eg__onnx_load(path, &graph, &err)) fail_msg("%s", err.message);
    return graph;
}

static const struct eg_node *find(const struct eg_graph *graph, const char *name)
{
    uint32_t at = 0;
    if (eg__graph_find(graph, name, &at, NULL)) fail_msg("no layer '%s'", name);
    return &graph->nodes[at];
}

static void assert_shape(const struct eg_node *node, size_t h, size_t w, size_t c)
{
    assert_int_equal(eg__map(node->shape).h, h);
    assert_int_equal(eg__map(node->shape).w, w);
    assert_int_equal(eg__map(node->shape).c, c);
}

static void keras_files_are_channels_last_already(void **state)
{
    (void)state;
    struct eg_graph *graph = load(CORPUS "keras.onnx");
    assert_false(graph->input_nchw);
    assert_shape(&graph->nodes[0], 8, 8, 3);
    const struct eg_node *conv = find(graph, "block1_conv1"), *flat = find(graph, "flatten");
    assert_int_equal(conv->op, EG_OP_CONV);
    assert_int_equal(conv->window.padding, EG_PAD_SAME_UPPER);
    assert_int_equal(conv->window.pad_top, 0);
    assert_int_equal(conv->window.pad_bottom, 1);
    assert_int_equal(conv->params[0]->stride[3], 9); /* a view of [out][in][3][3] */
    assert_int_equal(flat->op, EG_OP_FLATTEN);
    assert_false(flat->order_chw);
    assert_shape(flat, 1, 1, 64);
    assert_ptr_equal(find(graph, "c2"), conv); /* a transposed value is the same layer */
    assert_int_equal(find(graph, "c3")->params[0]->rank, 1);
    assert_int_equal(graph->nodes[graph->output].op, EG_OP_SOFTMAX);
    assert_int_equal(eg__node_parameters(graph, (uint32_t)(find(graph, "p") - graph->nodes)), 0);
    assert_int_equal(eg__node_parameters(graph, (uint32_t)(find(graph, "q") - graph->nodes)), 64 * 3 + 3);
    eg__graph_free(graph);
}

static void shuffles_splits_and_quantised_weights(void **state)
{
    (void)state;
    struct eg_graph *graph = load(CORPUS "shuffle.onnx");
    const struct eg_node *conv = find(graph, "c"), *shuffle = find(graph, "shuffle");
    assert_int_equal(conv->params[0]->dtype, EG_F32);
    assert_int_equal(shuffle->op, EG_OP_CHANNEL_SHUFFLE);
    assert_int_equal(shuffle->groups, 2);
    assert_int_equal(find(graph, "right")->begin, 2);
    assert_int_equal(find(graph, "right")->end, 4);
    assert_int_equal(find(graph, "d")->params[0]->dtype, EG_F16); /* stays in the file as it is */
    assert_int_equal(find(graph, "g")->op, EG_OP_GLOBAL_AVG);
    assert_int_equal(eg__graph_resize(graph, 10, 12, NULL), EG_OK);
    assert_shape(find(graph, "j"), 10, 12, 4);
    eg__graph_free(graph);
}

static void old_files_and_chains_that_are_one_operator(void **state)
{
    (void)state;
    struct eg_graph *graph = load(CORPUS "old.onnx");
    const struct eg_node *norm = find(graph, "nb"), *gelu = find(graph, "gelu");
    assert_shape(find(graph, "p"), 6, 6, 3);
    assert_true(find(graph, "p")->alpha == 0.5f);
    assert_int_equal(find(graph, "one")->end, 2);
    assert_int_equal(norm->op, EG_OP_LAYER_NORM);
    assert_non_null(norm->params[0]);
    assert_non_null(norm->params[1]);
    assert_true(norm->epsilon == 1e-6f);
    assert_int_equal(norm->inputs[0], (uint32_t)(find(graph, "l") - graph->nodes));
    assert_int_equal(gelu->op, EG_OP_GELU);
    assert_ptr_equal(&graph->nodes[gelu->inputs[0]], norm);
    assert_int_equal(find(graph, "sd")->op, EG_OP_SQRT); /* a cut may still name it */
    uint64_t parameters = 0;
    for (uint32_t i = 0; i < graph->n_nodes; i++) parameters += eg__node_parameters(graph, i);
    assert_int_equal(parameters, 54 + 6 + 6); /* once each */
    assert_true(find(graph, "dr")->alpha == 0.3f);
    assert_shape(find(graph, "y"), 1, 1, 5);
    eg__graph_free(graph);
}

/* ---- what is refused ------------------------------------------------------------------- */

static void assert_refused(const char *path, enum eg_status status, const char *words)
{
    struct eg_graph *graph;
    struct eg_error err = {0};
    assert_int_equal(eg__onnx_load(path, &graph, &err), status);
    if (!strstr(err.message, words)) fail_msg("'%s' does not say '%s'", err.message, words);
}

static void write_bytes(const char *path, const void *bytes, size_t n)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, n, file), n);
    fclose(file);
}

/* The bytes of a file with the first `from` replaced by `to`, of the same length. */
static void write_changed(const char *path, const char *source, const char *from, const char *to)
{
    struct eg_mapping map;
    assert_int_equal(eg__map_file(source, &map, NULL), EG_OK);
    uint8_t *bytes = malloc(map.size);
    assert_non_null(bytes);
    memcpy(bytes, map.bytes, map.size);
    uint8_t *at = memmem(bytes, map.size, from, strlen(from));
    assert_non_null(at);
    memcpy(at, to, strlen(to));
    write_bytes(path, bytes, map.size);
    eg__unmap_file(&map);
    free(bytes);
}

static void every_cut_short_file_is_refused(void **state)
{
    (void)state;
    char path[] = "/tmp/engraft-onnx-short-XXXXXX";
    close(mkstemp(path));
    struct eg_mapping map;
    assert_int_equal(eg__map_file(CORPUS "keras.onnx", &map, NULL), EG_OK);
    for (size_t n = 0; n < map.size; n += n < 64 ? 1 : 13) {
        struct eg_graph *graph;
        struct eg_error err = {0};
        write_bytes(path, map.bytes, n);
        enum eg_status status = eg__onnx_load(path, &graph, &err);
        assert_true(status == EG_E_FORMAT || status == EG_E_UNSUPPORTED);
        assert_non_null(strstr(err.message, path));
    }
    eg__unmap_file(&map);
    unlink(path);
}

static void refusals_name_the_node_and_the_operator(void **state)
{
    (void)state;
    char path[] = "/tmp/engraft-onnx-bad-XXXXXX";
    close(mkstemp(path));
    write_bytes(path, "hello, world\n", 13);
    assert_refused(path, EG_E_FORMAT, "not an ONNX file");
    assert_refused("/nonexistent/x.onnx", EG_E_IO, "/nonexistent/x.onnx");
    struct eg_graph *part;
    write_changed(path, CORPUS "keras.onnx", "Softmax", "Upsampl");
    part = load(path); /* up to there */
    assert_non_null(
        strstr(eg__graph_metadata(part, EG_GRAPH_UNREAD), "(Upsampl): engraft does not know this operator"));
    assert_int_equal(part->default_cut, 0);
    struct eg_graph *cut;
    assert_int_equal(eg__graph_cut(part, part->output, &cut, NULL), EG_OK);
    assert_null(eg__graph_metadata(cut, EG_GRAPH_UNREAD));
    eg__graph_free(cut);
    eg__graph_free(part);
    write_changed(path, CORPUS "keras.onnx", "block1_conv1/BiasAdd",
                  "block1\nconv1/BiasAdd"); /* prints on one line */
    struct eg_graph *graph = load(path);
    assert_string_equal(graph->nodes[1].name, "block1\\x0aconv1/BiasAdd");
    eg__graph_free(graph);
    write_changed(path, CORPUS "keras.onnx", "SAME_UPPER", "SAME_UPPES");
    assert_refused(path, EG_E_FORMAT, "node 'block1_conv1/BiasAdd' (Conv): its 'auto_pad'");
    unlink(path);
}

/* A weight beside the file is read; one outside its folder never is. */
static void external_data_stays_in_the_folder(void **state)
{
    (void)state;
    static const uint8_t head[] = {
        0x08, 8, 0x42, 2, 0x10, 17, /* ir_version, opset_import {version 17} */
    };
    char folder[] = "/tmp/engraft-onnx-external-XXXXXX", path[100], data[100], text[64];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/net.onnx", folder);
    snprintf(data, sizeof data, "%s/weights", folder);
    write_bytes(data, (float[]){0, 1, 2, 3}, 16);
    static const char *const places[] = {"weights", "../weights", "/etc/passwd", "link", "missing"};
    char link[100];
    snprintf(link, sizeof link, "%s/link", folder);
    assert_int_equal(symlink("/etc/passwd", link), 0);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        uint8_t bytes[512], *at = bytes;
        size_t n = strlen(places[i]);
        /* GraphProto: node Gemm(x, w) -> y; initializer w [2][2] external; input x [n][2]; output y */
        uint8_t tensor[128], *t = tensor;
        static const uint8_t dims[] = {0x08, 2, 0x08, 2, 0x10, 1, 0x42, 1, 'w'};
        memcpy(t, dims, sizeof dims);
        t += sizeof dims;
        *t++ = 0x6a; /* external_data {key "location", value} */
        *t++ = (uint8_t)(12 + n);
        memcpy(t, "\x0a\x08location\x12", 11);
        t += 11;
        *t++ = (uint8_t)n;
        memcpy(t, places[i], n);
        t += n;
        *t++ = 0x70; /* data_location EXTERNAL */
        *t++ = 1;
        static const uint8_t node[] = {0x0a, 15,  0x0a, 1, 'x', 0x0a, 1,   'w', 0x12,
                                       1,    'y', 0x22, 4, 'G', 'e',  'm', 'm'};
        static const uint8_t ends[] = {0x5a, 19,   0x0a, 1,    'x',  0x12, 14,   0x0a, 12,
                                       0x08, 1,    0x12, 8,    0x0a, 2,    0x12, 0,    0x0a,
                                       2,    0x08, 2,    0x62, 3,    0x0a, 1,    'y'};
        uint8_t graph_bytes[300], *g = graph_bytes;
        memcpy(g, node, sizeof node);
        g += sizeof node;
        *g++ = 0x2a;
        *g++ = (uint8_t)(t - tensor);
        memcpy(g, tensor, (size_t)(t - tensor));
        g += t - tensor;
        memcpy(g, ends, sizeof ends);
        g += sizeof ends;
        memcpy(at, head, sizeof head);
        at += sizeof head;
        *at++ = 0x3a;
        size_t size = (size_t)(g - graph_bytes);
        if (size > 127) *at++ = (uint8_t)(size | 128);
        *at++ = (uint8_t)(size > 127 ? size >> 7 : size);
        memcpy(at, graph_bytes, size);
        at += size;
        write_bytes(path, bytes, (size_t)(at - bytes));
        if (i) {
            snprintf(text, sizeof text, "'%s' is not in the folder", places[i]);
            assert_refused(path, EG_E_IO, text);
            continue;
        }
        struct eg_graph *graph = load(path);
        float numbers[4];
        eg__tensor_read(graph->nodes[1].params[0], numbers);
        assert_true(numbers[0] == 0 && numbers[1] == 2 && numbers[2] == 1 && numbers[3] == 3);
        eg__graph_free(graph);
        write_bytes(data, (float[]){0, 1, 2}, 12);
        assert_refused(path, EG_E_FORMAT, "too short");
    }
    unlink(link);
    unlink(data);
    unlink(path);
    assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keras_files_are_channels_last_already),
        cmocka_unit_test(shuffles_splits_and_quantised_weights),
        cmocka_unit_test(old_files_and_chains_that_are_one_operator),
        cmocka_unit_test(every_cut_short_file_is_refused),
        cmocka_unit_test(refusals_name_the_node_and_the_operator),
        cmocka_unit_test(external_data_stays_in_the_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
