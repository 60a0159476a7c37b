/* graph/: building, shapes, names, cuts, attaching, resizing, tensors. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

#include "graph/graph.h"

static struct eg_graph *new_graph(size_t h, size_t w, size_t c)
{
    struct eg_graph *graph;
    uint32_t index;
    assert_int_equal(eg__graph_create("tiny", &graph, NULL), EG_OK);
    struct eg_node input = {.op = EG_OP_INPUT, .name = "input", .shape = {3, {h, w, c}}};
    assert_int_equal(eg__graph_add(graph, &input, &index, NULL), EG_OK);
    assert_int_equal(index, 0);
    return graph;
}

static uint32_t add(struct eg_graph *graph, const struct eg_node *node)
{
    uint32_t index;
    struct eg_error err = {0};
    if (eg__graph_add(graph, node, &index, &err)) fail_msg("%s", err.message);
    return index;
}

static struct eg_tensor *shaped(struct eg_graph *graph, const char *name, uint8_t rank, const size_t *dim)
{
    struct eg_tensor tensor = {.name = name, .dtype = EG_F32, .rank = rank};
    memcpy(tensor.dim, dim, rank * sizeof *dim);
    eg__tensor_pack_strides(&tensor);
    struct eg_tensor *copy = eg__graph_tensor(graph, &tensor);
    assert_non_null(copy);
    return copy;
}

static uint32_t conv(struct eg_graph *graph, const char *name, uint32_t from, size_t out, uint32_t kernel,
                     uint32_t stride, uint32_t pad)
{
    size_t in = eg__map(graph->nodes[from].shape).c;
    struct eg_node node = {.op = EG_OP_CONV, .name = name, .n_inputs = 1, .inputs = {from}, .groups = 1};
    node.window =
        (struct eg_window){kernel, kernel, stride, stride, 1, 1, pad, pad, pad, pad, EG_PAD_EXPLICIT};
    node.params[0] = shaped(graph, "weight", 4, (size_t[]){out, kernel, kernel, in});
    node.params[1] = shaped(graph, "bias", 1, (size_t[]){out});
    return add(graph, &node);
}

static uint32_t plain(struct eg_graph *graph, enum eg_op op, const char *name, uint32_t from)
{
    struct eg_node node = {.op = op, .name = name, .n_inputs = 1, .inputs = {from}};
    return add(graph, &node);
}

static uint32_t linear(struct eg_graph *graph, const char *name, uint32_t from, size_t out)
{
    struct eg_node node = {.op = EG_OP_LINEAR, .name = name, .n_inputs = 1, .inputs = {from}};
    node.params[0] = shaped(graph, "w", 2, (size_t[]){out, eg__map(graph->nodes[from].shape).c});
    return add(graph, &node);
}

static void assert_shape(const struct eg_graph *graph, uint32_t index, size_t h, size_t w, size_t c)
{
    struct eg_map shape = eg__map(graph->nodes[index].shape);
    assert_int_equal(shape.h, h);
    assert_int_equal(shape.w, w);
    assert_int_equal(shape.c, c);
}

static void convolutions_and_pools_have_the_shapes_of_torch_and_onnx(void **state)
{
    (void)state;
    struct eg_graph *graph = new_graph(15, 16, 3);
    assert_shape(graph, conv(graph, "a", 0, 8, 3, 2, 1), 8, 8, 8);
    assert_shape(graph, conv(graph, "b", 0, 8, 7, 1, 0), 9, 10, 8);

    struct eg_node same = {.op = EG_OP_MAX_POOL, .name = "same", .n_inputs = 1};
    same.window = (struct eg_window){3, 2, 2, 2, 1, 1, 0, 0, 0, 0, EG_PAD_SAME_UPPER};
    uint32_t at = add(graph, &same);
    assert_shape(graph, at, 8, 8, 3);
    assert_int_equal(graph->nodes[at].window.pad_top, 1);
    assert_int_equal(graph->nodes[at].window.pad_bottom, 1);
    assert_int_equal(graph->nodes[at].window.pad_left + graph->nodes[at].window.pad_right, 0);
    same.window.kernel_w = 3;
    same.window.padding = EG_PAD_SAME_LOWER;
    at = add(graph, &same);
    assert_int_equal(graph->nodes[at].window.pad_left, 1);
    assert_int_equal(graph->nodes[at].window.pad_right, 0);

    /* torch.nn.MaxPool2d(3, 2, ceil_mode=True): 15 -> 7, 16 -> 8; with padding 1: 15 -> 8, 16 -> 9;
     * MaxPool2d(2, 3, padding=1, ceil_mode=True) on 16 -> 6, and on 17 -> 6, not 7 */
    struct eg_node ceil = {.op = EG_OP_MAX_POOL, .name = "ceil", .n_inputs = 1, .ceil_mode = true};
    ceil.window = (struct eg_window){3, 3, 2, 2, 1, 1, 0, 0, 0, 0, EG_PAD_EXPLICIT};
    assert_shape(graph, add(graph, &ceil), 7, 8, 3);
    ceil.window = (struct eg_window){3, 3, 2, 2, 1, 1, 1, 1, 1, 1, EG_PAD_EXPLICIT};
    assert_shape(graph, add(graph, &ceil), 8, 9, 3);
    ceil.window = (struct eg_window){2, 2, 3, 3, 1, 1, 1, 1, 1, 1, EG_PAD_EXPLICIT};
    assert_shape(graph, add(graph, &ceil), 6, 6, 3);
    eg__graph_free(graph);
}

static void assert_receptive(const struct eg_graph *graph, uint32_t index, uint32_t field, uint32_t jump)
{
    assert_int_equal(graph->nodes[index].receptive.field_h, field);
    assert_int_equal(graph->nodes[index].receptive.jump_h, jump);
}

static void receptive_fields_follow_the_widest_path(void **state)
{
    (void)state;
    struct eg_graph *graph = new_graph(64, 64, 8);
    uint32_t stem = conv(graph, "stem", 0, 8, 7, 2, 3), wide = conv(graph, "wide", stem, 8, 3, 1, 1);
    assert_receptive(graph, 0, 1, 1);
    assert_receptive(graph, stem, 7, 2);
    assert_receptive(graph, wide, 11, 2);
    struct eg_node dilated = graph->nodes[wide];
    dilated.name = "dilated";
    dilated.window.dilation_h = dilated.window.dilation_w = 4;
    dilated.window.pad_top = dilated.window.pad_bottom = dilated.window.pad_left = dilated.window.pad_right =
        4;
    uint32_t wider = add(graph, &dilated);
    assert_receptive(graph, wider, 7 + 8 * 2, 2);
    struct eg_node sum = {.op = EG_OP_ADD, .name = "sum", .n_inputs = 2, .inputs = {stem, wide}};
    assert_receptive(graph, add(graph, &sum), 11, 2);
    sum = (struct eg_node){.op = EG_OP_CONCAT, .name = "cat", .n_inputs = 3, .inputs = {stem, wider, wide}};
    assert_receptive(graph, add(graph, &sum), 23, 2);

    uint32_t mean = plain(graph, EG_OP_GLOBAL_AVG, "mean", wide);
    assert_receptive(graph, mean, 11 + 31 * 2, 64);
    assert_receptive(graph, plain(graph, EG_OP_FLATTEN, "flat", wide), 11 + 31 * 2, 64);
    struct eg_node gate = {.op = EG_OP_MUL, .name = "gate", .n_inputs = 2, .inputs = {mean, wide}};
    assert_receptive(graph, add(graph, &gate), 11, 2);
    struct eg_node adaptive = {.op = EG_OP_ADAPTIVE_POOL, .name = "8", .n_inputs = 1, .inputs = {wide}};
    adaptive.out_h = adaptive.out_w = 8; /* of 32: windows of 4 */
    assert_receptive(graph, add(graph, &adaptive), 11 + 3 * 2, 8);
    eg__graph_free(graph);
}

static void what_does_not_fit_is_named(void **state)
{
    (void)state;
    struct eg_graph *graph = new_graph(8, 8, 4);
    struct eg_error err;
    uint32_t index, small = conv(graph, "small", 0, 6, 3, 2, 1);
    struct eg_node sum = {.op = EG_OP_ADD, .name = "sum", .n_inputs = 2, .inputs = {0, small}};
    assert_int_equal(eg__graph_add(graph, &sum, &index, &err), EG_E_SHAPE);
    assert_non_null(strstr(err.message, "layer 'sum' (add)"));
    assert_non_null(strstr(err.message, "8x8x4 and 4x4x6"));
    sum.n_inputs = 1;
    assert_int_equal(eg__graph_add(graph, &sum, &index, &err), EG_E_SHAPE);

    struct eg_node bad = graph->nodes[small];
    bad.groups = 3;
    assert_int_equal(eg__graph_add(graph, &bad, &index, &err), EG_E_SHAPE);
    bad.groups = 1;
    bad.params[1] = shaped(graph, "bias", 1, (size_t[]){5});
    assert_int_equal(eg__graph_add(graph, &bad, &index, &err), EG_E_SHAPE);
    bad.params[1] = NULL;
    bad.window.stride_h = 0;
    assert_int_equal(eg__graph_add(graph, &bad, &index, &err), EG_E_SHAPE);
    bad = graph->nodes[small];
    bad.window.pad_top = 0xffffffff;
    assert_int_equal(eg__graph_add(graph, &bad, &index, &err), EG_E_SHAPE);
    bad = graph->nodes[small];
    bad.params[0] = NULL;
    assert_int_equal(eg__graph_add(graph, &bad, &index, &err), EG_E_SHAPE);
    assert_non_null(strstr(err.message, "weight is missing"));
    struct eg_node slice = {.op = EG_OP_SLICE, .n_inputs = 1, .begin = 2, .end = 5};
    assert_int_equal(eg__graph_add(graph, &slice, &index, &err), EG_E_SHAPE);
    struct eg_node later = {.op = EG_OP_RELU, .n_inputs = 1, .inputs = {99}};
    assert_int_equal(eg__graph_add(graph, &later, &index, &err), EG_E_SHAPE);
    struct eg_node huge = {.op = EG_OP_PAD, .n_inputs = 1};
    huge.window.pad_top = huge.window.pad_left = 1 << 20;
    assert_int_equal(eg__graph_add(graph, &huge, &index, &err), EG_E_SHAPE);
    assert_int_equal(graph->n_nodes, 2);
    eg__graph_free(graph);
}

static void values_are_broadcast(void **state)
{
    (void)state;
    struct eg_graph *graph = new_graph(8, 9, 4);
    uint32_t mean = plain(graph, EG_OP_REDUCE_MEAN, "mean", 0),
             pooled = plain(graph, EG_OP_GLOBAL_AVG, "p", 0);
    assert_shape(graph, mean, 8, 9, 1);
    struct eg_node mul = {.op = EG_OP_MUL, .n_inputs = 2, .inputs = {mean, 0}};
    assert_shape(graph, add(graph, &mul), 8, 9, 4);
    mul.inputs[0] = pooled;
    assert_shape(graph, add(graph, &mul), 8, 9, 4);
    mul.n_inputs = 1;
    mul.inputs[0] = 0;
    mul.params[0] = shaped(graph, "scale", 1, (size_t[]){4});
    uint32_t scaled = add(graph, &mul);
    assert_shape(graph, scaled, 8, 9, 4);
    assert_int_equal(eg__node_parameters(graph, scaled), 4);
    mul.params[0] = shaped(graph, "map", 3, (size_t[]){8, 9, 1});
    assert_shape(graph, add(graph, &mul), 8, 9, 4);
    mul.params[0] = shaped(graph, "wrong", 1, (size_t[]){3});
    uint32_t index;
    assert_int_equal(eg__graph_add(graph, &mul, &index, NULL), EG_E_SHAPE);
    eg__graph_free(graph);
}

static void names_reach_layers(void **state)
{
    (void)state;
    struct eg_graph *graph = new_graph(32, 32, 3);
    struct eg_error err;
    uint32_t a = conv(graph, "layer3.1.conv1", 0, 8, 3, 1, 1),
             b = plain(graph, EG_OP_RELU, "layer3.1.relu", a);
    uint32_t at = 99, c = conv(graph, "layer3.10.conv1", b, 8, 3, 1, 1);
    uint32_t d = plain(graph, EG_OP_RELU, "/features/features.2/Relu", c);
    uint32_t e = plain(graph, EG_OP_RELU, "layer3.1.relu", d);
    assert_string_equal(graph->nodes[e].name, "layer3.1.relu_2");
    e = plain(graph, EG_OP_RELU, "layer3.1.relu", e);
    assert_string_equal(graph->nodes[e].name, "layer3.1.relu_3");
    assert_int_equal(eg__graph_alias(graph, d, "pool5", NULL), EG_OK);
    assert_int_equal(eg__graph_alias(graph, d, "block5_pool", NULL), EG_OK);
    assert_int_equal(eg__graph_alias(graph, a, "pool5", NULL), EG_OK); /* taken: left alone */
    assert_int_equal(graph->nodes[a].n_aliases, 0);

    assert_int_equal(eg__graph_find(graph, "layer3.1.conv1", &at, NULL), EG_OK);
    assert_int_equal(at, a);
    assert_int_equal(eg__graph_find(graph, "pool5", &at, NULL), EG_OK);
    assert_int_equal(at, d);
    assert_int_equal(eg__graph_find(graph, "#2", &at, NULL), EG_OK);
    assert_int_equal(at, 2);
    assert_int_equal(eg__graph_find(graph, "layer3.10", &at, NULL), EG_OK);
    assert_int_equal(at, c);
    assert_int_equal(eg__graph_find(graph, "features.2", &at, NULL), EG_OK);
    assert_int_equal(at, d);
    assert_int_equal(eg__graph_find(graph, "layer3", &at, NULL), EG_OK);
    assert_int_equal(at, e);

    assert_int_equal(eg__graph_find(graph, "poll5", &at, &err), EG_E_NOT_FOUND);
    assert_non_null(strstr(err.message, "no layer 'poll5' in 'tiny' (nearest: pool5, "));
    assert_int_equal(eg__graph_find(graph, "#99", &at, &err), EG_E_NOT_FOUND);
    assert_int_equal(eg__graph_find(graph, "#", &at, &err), EG_E_NOT_FOUND);
    assert_int_equal(eg__graph_find(graph, "", &at, &err), EG_E_NOT_FOUND);
    assert_int_equal(eg__graph_find(graph, "ayer3", &at, &err), EG_E_NOT_FOUND); /* no whole component */
    for (unsigned i = 0; i < 600; i++) { /* the table of names grows */
        char name[32];
        snprintf(name, sizeof name, "extra%u", i);
        e = plain(graph, EG_OP_RELU, name, e);
    }
    assert_int_equal(eg__graph_find(graph, "extra417", &at, NULL), EG_OK);
    assert_string_equal(graph->nodes[at].name, "extra417");
    eg__graph_free(graph);
}

static void a_cut_keeps_what_it_needs(void **state)
{
    (void)state;
    struct eg_graph *graph = new_graph(32, 32, 3), *cut, *again;
    uint32_t a = conv(graph, "a", 0, 8, 3, 1, 1), side = plain(graph, EG_OP_RELU, "side", a);
    uint32_t b = plain(graph, EG_OP_SIGMOID, "b", a), at;
    struct eg_node sum = {.op = EG_OP_MUL, .name = "product", .n_inputs = 2, .inputs = {b, a}};
    uint32_t product = add(graph, &sum);
    linear(graph, "fc", plain(graph, EG_OP_GLOBAL_AVG, "avgpool", product), 5);
    (void)side;
    graph->default_cut = product;
    assert_int_equal(eg__graph_alias(graph, product, "gate", NULL), EG_OK);
    assert_int_equal(eg__graph_set_metadata(graph, "k", "1", NULL), EG_OK);
    assert_int_equal(eg__graph_set_metadata(graph, "k", "2", NULL), EG_OK);
    assert_int_equal(eg__graph_cut(graph, product, &cut, NULL), EG_OK);
    eg__graph_free(graph); /* the cut lives on */
    assert_int_equal(cut->n_nodes, 4);
    assert_int_equal(cut->output, 3);
    assert_int_equal(cut->default_cut, 3);
    assert_int_equal(cut->nodes[3].inputs[0], 2);
    assert_int_equal(cut->nodes[3].inputs[1], 1);
    assert_int_equal(eg__graph_find(cut, "gate", &at, NULL), EG_OK);
    assert_int_equal(at, 3);
    assert_int_equal(eg__graph_find(cut, "side", &at, NULL), EG_E_NOT_FOUND);
    assert_string_equal(eg__graph_metadata(cut, "k"), "2");
    assert_null(eg__graph_metadata(cut, "none"));
    assert_int_equal(cut->nodes[1].params[0]->dim[0], 8);
    assert_int_equal(eg__graph_cut(cut, 1, &again, NULL), EG_OK);
    assert_int_equal(eg__graph_share(cut, again, NULL), EG_OK); /* both ways: no cycle keeps them */
    eg__graph_free(cut);
    assert_string_equal(again->nodes[1].name, "a");
    eg__graph_free(again);
}

static void a_head_goes_on_a_cut(void **state)
{
    (void)state;
    struct eg_graph *graph = new_graph(16, 16, 3), *head = new_graph(1, 1, 8), *wrong = new_graph(1, 1, 9);
    struct eg_error err;
    uint32_t a = conv(graph, "a", 0, 8, 3, 1, 1), pool = plain(graph, EG_OP_GLOBAL_AVG, "pool", a), at;
    uint32_t fc = linear(head, "a", 0, 4), soft = plain(head, EG_OP_SOFTMAX, "probabilities", fc);
    head->label_output = plain(head, EG_OP_ARG_MAX, "label", soft);
    head->output = soft;
    assert_int_equal(eg__graph_attach(graph, pool, wrong, &err), EG_E_SHAPE);
    assert_non_null(strstr(err.message, "1x1x9, not 1x1x8"));
    assert_int_equal(eg__graph_attach(graph, pool, head, NULL), EG_OK);
    eg__graph_free(head);
    eg__graph_free(wrong);
    assert_int_equal(graph->n_nodes, 6);
    assert_int_equal(eg__graph_find(graph, "a_2", &at, NULL), EG_OK);
    assert_int_equal(at, 3);
    assert_int_equal(graph->nodes[at].inputs[0], pool);
    assert_int_equal(graph->output, 4);
    assert_int_equal(graph->label_output, 5);
    assert_false(eg__node_is_cut(graph, 5));
    assert_true(eg__node_is_cut(graph, pool));
    assert_false(eg__node_is_cut(graph, 0));
    assert_int_equal(eg__node_parameters(graph, a), 8 * 27 + 8);
    assert_int_equal(eg__node_macs(graph, a), 16 * 16 * 8 * 27);
    eg__graph_free(graph);
}

static void input_size_changes_where_nothing_fixes_it(void **state)
{
    (void)state;
    struct eg_graph *graph = new_graph(32, 32, 3), *cut;
    struct eg_error err;
    uint32_t a = conv(graph, "a", 0, 8, 3, 2, 1), flat = plain(graph, EG_OP_FLATTEN, "flat", a);
    linear(graph, "fc", flat, 5);
    assert_shape(graph, flat, 1, 1, 16 * 16 * 8);
    assert_int_equal(eg__graph_resize(graph, 48, 32, &err), EG_E_SHAPE);
    assert_non_null(strstr(err.message, "layer 'fc'"));
    assert_shape(graph, a, 16, 16, 8);
    assert_int_equal(eg__graph_cut(graph, flat, &cut, NULL), EG_OK);
    assert_int_equal(eg__graph_resize(cut, 48, 32, NULL), EG_OK);
    assert_shape(cut, a, 24, 16, 8);
    assert_shape(cut, flat, 1, 1, 24 * 16 * 8);
    assert_int_equal(eg__graph_resize(cut, 0, 32, NULL), EG_E_SHAPE);
    eg__graph_free(graph);
    eg__graph_free(cut);
}

static struct eg_node trees(struct eg_graph *graph, int32_t *feature, int32_t *left, int32_t *right,
                            int32_t *roots)
{
    static const float threshold[3] = {0.5f, 0, 0}, leaf[4] = {1, 0, 0, 1};
    struct eg_node node = {.op = EG_OP_TREE_ENSEMBLE, .name = "forest", .n_inputs = 1};
    const void *data[6] = {feature, threshold, left, right, leaf, roots};
    for (unsigned i = 0; i < 6; i++) {
        struct eg_tensor tensor = {.data = data[i],
                                   .dtype = i == 1 || i == 4 ? EG_F32 : EG_I32,
                                   .rank = i == 4 ? 2 : 1,
                                   .dim = {i == 5   ? 1
                                           : i == 4 ? 2
                                                    : 3,
                                           2}};
        eg__tensor_pack_strides(&tensor);
        node.params[i] = eg__graph_tensor(graph, &tensor);
        assert_non_null(node.params[i]);
    }
    return node;
}

static void trees_that_point_outside_are_refused(void **state)
{
    (void)state;
    struct eg_graph *graph = new_graph(1, 1, 4);
    int32_t feature[3] = {3, -1, -1}, left[3] = {1, 0, 1}, right[3] = {2, 0, 0}, roots[1] = {0};
    struct eg_node node = trees(graph, feature, left, right, roots);
    uint32_t index;
    assert_int_equal(eg__graph_add(graph, &node, &index, NULL), EG_OK);
    assert_shape(graph, index, 1, 1, 2);
#define REFUSED(place, value)                                                                                \
    do {                                                                                                     \
        int32_t kept = place;                                                                                \
        place = value;                                                                                       \
        assert_int_equal(eg__graph_add(graph, &node, &index, NULL), EG_E_SHAPE);                             \
        place = kept;                                                                                        \
    } while (0)
    REFUSED(feature[0], 4);
    REFUSED(feature[0], -2);
    REFUSED(left[0], 0); /* a walk that never ends */
    REFUSED(right[0], 3);
    REFUSED(left[1], 2);
    REFUSED(roots[0], 3);
    REFUSED(roots[0], -1);
#undef REFUSED
    eg__graph_free(graph);
}

static void tensors_are_read_in_any_order_and_type(void **state)
{
    (void)state;
    enum { O = 37, I = 41, H = 3, W = 2 };
    float *values = malloc(sizeof(float) * O * I * H * W), *out = malloc(sizeof(float) * O * I * H * W);
    for (int i = 0; i < O * I * H * W; i++) values[i] = (float)i;
    struct eg_tensor oihw = {.data = values, .dtype = EG_F32, .rank = 4, .dim = {O, I, H, W}};
    eg__tensor_pack_strides(&oihw);
    static const uint8_t orders[4][4] = {{0, 2, 3, 1}, {3, 2, 1, 0}, {0, 1, 2, 3}, {1, 0, 2, 3}};
    for (unsigned k = 0; k < 4; k++) {
        struct eg_tensor seen = eg__tensor_permuted(&oihw, orders[k]);
        eg__tensor_read(&seen, out);
        size_t at[4], n = 0;
        for (at[0] = 0; at[0] < seen.dim[0]; at[0]++)
            for (at[1] = 0; at[1] < seen.dim[1]; at[1]++)
                for (at[2] = 0; at[2] < seen.dim[2]; at[2]++)
                    for (at[3] = 0; at[3] < seen.dim[3]; at[3]++) {
                        size_t source = 0;
                        for (unsigned d = 0; d < 4; d++) source += at[d] * (size_t)seen.stride[d];
                        assert_true(out[n++] == (float)source);
                    }
    }
    struct eg_tensor one = {.data = values + 7, .dtype = EG_F32};
    eg__tensor_read(&one, out);
    assert_true(out[0] == 7.0f);
    uint8_t unaligned[1 + 4 * 2];
    const uint16_t halves[4] = {0x3c00, 0xc000, 0x0000, 0x7bff};
    memcpy(unaligned + 1, halves, sizeof halves);
    struct eg_tensor half = {
        .data = unaligned + 1, .dtype = EG_F16, .rank = 2, .dim = {2, 2}, .stride = {1, 2}};
    eg__tensor_read(&half, out);
    assert_true(out[0] == 1.0f && out[1] == 0.0f && out[2] == -2.0f && out[3] == 65504.0f);
    const int64_t longs[2] = {-3, 1 << 20};
    struct eg_tensor whole = {.data = longs, .dtype = EG_I64, .rank = 1, .dim = {2}, .stride = {1}};
    eg__tensor_read(&whole, out);
    assert_true(out[0] == -3.0f && out[1] == 1048576.0f);
    free(values);
    free(out);
}

static int released;
static void count_release(void *object)
{
    (void)object;
    released++;
}

static void held_objects_are_released_once_by_the_last_graph(void **state)
{
    (void)state;
    released = 0;
    struct eg_graph *a = new_graph(1, 1, 1), *b = new_graph(1, 1, 1);
    assert_int_equal(eg__graph_hold(a, &released, count_release, NULL), EG_OK);
    assert_int_equal(eg__graph_share(b, a, NULL), EG_OK);
    assert_int_equal(eg__graph_share(b, a, NULL), EG_OK);
    assert_int_equal(eg__graph_share(a, b, NULL), EG_OK);
    eg__graph_free(a);
    assert_int_equal(released, 0);
    eg__graph_free(b);
    assert_int_equal(released, 1);
    eg__graph_free(NULL);

    struct eg_graph *graph = new_graph(1, 1, 1);
    for (size_t n = 1; n < 100000; n = n * 3 + 1) {
        uint8_t *memory = eg__graph_memory(graph, n, 1);
        assert_non_null(memory);
        assert_int_equal((uintptr_t)memory % 64, 0);
        memset(memory, 1, n);
    }
    assert_null(eg__graph_memory(graph, SIZE_MAX / 2, 3));
    assert_null(eg__graph_memory(graph, SIZE_MAX - 10, 1));
    eg__graph_free(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(convolutions_and_pools_have_the_shapes_of_torch_and_onnx),
        cmocka_unit_test(receptive_fields_follow_the_widest_path),
        cmocka_unit_test(what_does_not_fit_is_named),
        cmocka_unit_test(values_are_broadcast),
        cmocka_unit_test(names_reach_layers),
        cmocka_unit_test(a_cut_keeps_what_it_needs),
        cmocka_unit_test(a_head_goes_on_a_cut),
        cmocka_unit_test(input_size_changes_where_nothing_fixes_it),
        cmocka_unit_test(trees_that_point_outside_are_refused),
        cmocka_unit_test(tensors_are_read_in_any_order_and_type),
        cmocka_unit_test(held_objects_are_released_once_by_the_last_graph),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
