/* ONNX there and back: what a graph computes survives, every layer is found by its name, and
 * a file read and written again has the same bytes. Every operator is in one of the graphs. */
#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "base/rng.h"
#include "onnx/onnx.h"
#include "reference.h"

static struct eg_rng rng;
static bool seen[EG_OP_COUNT];

static struct eg_graph *new_graph(size_t h, size_t w, size_t c)
{
    struct eg_graph *graph;
    uint32_t index;
    assert_int_equal(eg__graph_create("tiny", &graph, NULL), EG_OK);
    struct eg_node input = {.op = EG_OP_INPUT, .name = "input", .shape = {3, {h, w, c}}};
    assert_int_equal(eg__graph_add(graph, &input, &index, NULL), EG_OK);
    return graph;
}

static const struct eg_tensor *numbers(struct eg_graph *graph, const char *name, uint8_t rank,
                                       const size_t *dim, float least)
{
    float x[4096];
    size_t n = 1;
    for (unsigned i = 0; i < rank; i++) n *= dim[i];
    assert_true(n <= 4096);
    for (size_t i = 0; i < n; i++) x[i] = least + (float)eg__rng_uniform(&rng) - (least > 0 ? 0.0f : 0.5f);
    struct eg_tensor *tensor = eg__graph_constant(graph, name, rank, dim, x);
    assert_non_null(tensor);
    return tensor;
}

static const struct eg_tensor *vector(struct eg_graph *graph, const char *name, size_t n, float least)
{
    return numbers(graph, name, 1, &n, least);
}

static uint32_t add(struct eg_graph *graph, struct eg_node node)
{
    uint32_t index;
    struct eg_error err = {0};
    if (!node.name) node.name = eg__op_info[node.op].text;
    if (eg__graph_add(graph, &node, &index, &err)) fail_msg("%s", err.message);
    seen[node.op] = true;
    return index;
}

static uint32_t one(struct eg_graph *graph, enum eg_op op, uint32_t from)
{
    return add(graph, (struct eg_node){.op = op,
                                       .n_inputs = 1,
                                       .inputs = {from},
                                       .alpha = op == EG_OP_CLIP || op == EG_OP_LEAKY_RELU ? 0.1f : 0.2f,
                                       .beta = 0.6f,
                                       .bias = 1,
                                       .size = 3,
                                       .groups = 2,
                                       .epsilon = 1e-3f,
                                       .end = 2});
}

static uint32_t two(struct eg_graph *graph, enum eg_op op, uint32_t a, uint32_t b)
{
    return add(graph, (struct eg_node){.op = op, .n_inputs = 2, .inputs = {a, b}});
}

static uint32_t conv(struct eg_graph *graph, uint32_t from, size_t out, uint32_t kernel, uint32_t groups,
                     enum eg_padding padding)
{
    struct eg_node node = {.op = EG_OP_CONV, .n_inputs = 1, .inputs = {from}, .groups = groups};
    node.window = (struct eg_window){kernel, kernel, 1, 2, 1, 1, 1, 0, 0, 1, padding};
    node.params[0] =
        numbers(graph, "conv.weight", 4,
                (size_t[]){out, kernel, kernel, eg__map(graph->nodes[from].shape).c / groups}, 0);
    node.params[1] = vector(graph, NULL, out, 0);
    return add(graph, node);
}

static uint32_t linear(struct eg_graph *graph, uint32_t from, size_t out)
{
    struct eg_node node = {.op = EG_OP_LINEAR, .n_inputs = 1, .inputs = {from}};
    node.params[0] = numbers(graph, NULL, 2, (size_t[]){out, eg__map(graph->nodes[from].shape).c}, 0);
    node.params[1] = vector(graph, "linear.bias", out, 0);
    return add(graph, node);
}

static uint32_t pool(struct eg_graph *graph, enum eg_op op, uint32_t from, bool ceil_mode)
{
    struct eg_node node = {.op = op, .n_inputs = 1, .inputs = {from}, .ceil_mode = ceil_mode};
    node.window = (struct eg_window){3, 2, 2, 2, 1, 1, 1, 0, 1, 1, EG_PAD_EXPLICIT};
    node.count_include_pad = op == EG_OP_AVG_POOL && !ceil_mode;
    return add(graph, node);
}

static uint32_t with(struct eg_graph *graph, enum eg_op op, uint32_t from, const struct eg_tensor *constant,
                     bool swapped)
{
    struct eg_node node = {
        .op = op, .n_inputs = 1, .inputs = {from}, .swapped = swapped, .params = {constant}};
    return add(graph, node);
}

/* ---- there and back ------------------------------------------------------------------ */

static char folder[] = "/tmp/engraft-onnx-XXXXXX";

static struct eg_graph *load(const char *path)
{
    struct eg_graph *graph = NULL;
    struct eg_error err = {0};
    if (eg__onnx_load(path, &graph, &err)) fail_msg("%s", err.message);
    return graph;
}

static void save(const struct eg_graph *graph, const char *path, const struct eg_onnx_options *options)
{
    struct eg_error err = {0};
    if (eg__onnx_save(graph, path, options, &err)) fail_msg("%s", err.message);
}

static void assert_same_bytes(const char *a, const char *b)
{
    struct eg_mapping x, y;
    assert_int_equal(eg__map_file(a, &x, NULL), EG_OK);
    assert_int_equal(eg__map_file(b, &y, NULL), EG_OK);
    assert_int_equal(x.size, y.size);
    assert_memory_equal(x.bytes, y.bytes, x.size);
    eg__unmap_file(&x);
    eg__unmap_file(&y);
}

/* Values of every layer that the second graph has, within `tolerance` of the largest. */
static void assert_same_values(const struct eg_graph *graph, const struct eg_graph *again, double tolerance)
{
    size_t n = eg__shape_count(graph->nodes[0].shape), compared = 0;
    float *image = malloc(n * sizeof *image);
    assert_non_null(image);
    for (size_t i = 0; i < n; i++) image[i] = (float)eg__rng_normal(&rng);
    struct reference_value *a = reference_run(graph, image), *b = reference_run(again, image);
    for (uint32_t i = 0; i < graph->n_nodes; i++) {
        uint32_t at;
        if (i && eg__graph_find(again, graph->nodes[i].name, &at, NULL)) continue; /* nothing needed it */
        if (!i) at = 0;
        double largest = 1e-6;
        size_t count = eg__map_count(a[i].s);
        assert_int_equal(count, eg__map_count(b[at].s));
        for (size_t k = 0; k < count; k++) largest = fmax(largest, fabs(a[i].x[k]));
        for (size_t k = 0; k < count; k++)
            if (!(fabs(a[i].x[k] - b[at].x[k]) <= tolerance * largest))
                fail_msg("layer '%s': element %zu is %g, was %g", graph->nodes[i].name, k, b[at].x[k],
                         a[i].x[k]);
        compared++;
    }
    assert_true(compared > 1);
    reference_free(graph, a);
    reference_free(again, b);
    free(image);
}

static void round_trip(const struct eg_graph *graph, struct eg_onnx_options options, double tolerance,
                       bool same_bytes)
{
    char first[64], second[64];
    snprintf(first, sizeof first, "%s/first.onnx", folder);
    snprintf(second, sizeof second, "%s/second.onnx", folder);
    options.overwrite = true;
    save(graph, first, &options);
    struct eg_graph *again = load(first);
    save(again, second, &options);
    if (same_bytes) assert_same_bytes(first, second);
    assert_same_values(graph, again, tolerance);
    assert_string_equal(again->nodes[again->output].name, graph->nodes[graph->output].name);
    assert_int_equal(again->label_output != 0, graph->label_output != 0);
    eg__graph_free(again);
    unlink(first);
    unlink(second);
}

/* ---- graphs ---------------------------------------------------------------------------- */

static struct eg_graph *convolutional(void)
{
    struct eg_graph *g = new_graph(13, 12, 3);
    uint32_t a = conv(g, 0, 8, 3, 1, EG_PAD_EXPLICIT), b, c;
    struct eg_node norm = {.op = EG_OP_BATCH_NORM, .n_inputs = 1, .inputs = {a}, .epsilon = 1e-3f};
    norm.params[0] = vector(g, "bn.weight", 8, 0);
    norm.params[2] = vector(g, "bn.running_mean", 8, 0);
    norm.params[3] = vector(g, "bn.running_var", 8, 0.5f);
    a = one(g, EG_OP_RELU, add(g, norm));
    b = one(g, EG_OP_CHANNEL_SHUFFLE, conv(g, a, 8, 3, 4, EG_PAD_SAME_UPPER));
    c = conv(g, a, 8, 1, 1, EG_PAD_SAME_LOWER);
    a = two(g, EG_OP_ADD, b, c);
    a = one(g, EG_OP_LRN, one(g, EG_OP_SILU, a));
    b = pool(g, EG_OP_MAX_POOL, a, true);
    c = pool(g, EG_OP_AVG_POOL, a, true);
    a = two(g, EG_OP_CONCAT, b, c);
    a = two(g, EG_OP_CONCAT, pool(g, EG_OP_AVG_POOL, a, false), pool(g, EG_OP_MAX_POOL, a, false));
    b = one(g, EG_OP_GLOBAL_AVG, a); /* squeeze and excitation, once over vectors */
    b = one(g, EG_OP_HARD_SIGMOID, linear(g, one(g, EG_OP_FLATTEN, b), 32));
    a = two(g, EG_OP_MUL, a, b);
    a = one(g, EG_OP_DROPOUT, one(g, EG_OP_IDENTITY, a));
    struct eg_node flat = {.op = EG_OP_FLATTEN, .n_inputs = 1, .inputs = {a}, .order_chw = true};
    b = one(g, EG_OP_FLATTEN, a);
    a = two(g, EG_OP_MAX, add(g, flat), b);
    a = one(g, EG_OP_SOFTMAX, linear(g, a, 5));
    g->label_output = one(g, EG_OP_ARG_MAX, a);
    g->output = a;
    return g;
}

static struct eg_graph *pointwise(void)
{
    struct eg_graph *g = new_graph(4, 5, 6);
    static const enum eg_op unary[] = {
        EG_OP_LEAKY_RELU, EG_OP_CLIP,      EG_OP_SIGMOID,  EG_OP_HARD_SIGMOID, EG_OP_HARD_SWISH, EG_OP_SILU,
        EG_OP_GELU,       EG_OP_GELU_TANH, EG_OP_TANH,     EG_OP_ERF,          EG_OP_EXP,        EG_OP_SIGN,
        EG_OP_NEG,        EG_OP_SOFTPLUS,  EG_OP_SOFTSIGN, EG_OP_MISH,         EG_OP_SIN,        EG_OP_COS,
        EG_OP_FLOOR,      EG_OP_CEIL,      EG_OP_ROUND,
    };
    uint32_t sum = one(g, EG_OP_ABS, 0);
    sum = two(g, EG_OP_ADD, sum, one(g, EG_OP_LOG, with(g, EG_OP_ADD, sum, vector(g, NULL, 1, 1), false)));
    sum = two(g, EG_OP_ADD, sum, one(g, EG_OP_SQRT, sum));
    for (size_t i = 0; i < sizeof unary / sizeof *unary; i++)
        sum = two(g, EG_OP_ADD, sum, one(g, unary[i], 0));
    for (unsigned celu = 0; celu < 2; celu++) {
        struct eg_node elu = {
            .op = EG_OP_ELU, .n_inputs = 1, .inputs = {0}, .alpha = 0.5f, .beta = celu ? 2 : 1};
        sum = two(g, EG_OP_ADD, sum, add(g, elu));
    }
    struct eg_node power = {.op = EG_OP_POW, .n_inputs = 1, .inputs = {0}, .alpha = 2};
    sum = two(g, EG_OP_SUB, sum, add(g, power));
    sum = with(g, EG_OP_SUB, sum, vector(g, "shift", 6, 0), true);
    sum = with(g, EG_OP_DIV, sum, numbers(g, NULL, 3, (size_t[]){4, 5, 6}, 1), false);
    sum = with(g, EG_OP_DIV, sum, numbers(g, NULL, 0, NULL, 1), true);
    sum = with(g, EG_OP_MIN, sum, numbers(g, NULL, 3, (size_t[]){4, 5, 1}, 1), false);
    sum = with(g, EG_OP_MAX, sum, vector(g, NULL, 1, 0), false);
    struct eg_node norm = {.op = EG_OP_LAYER_NORM, .n_inputs = 1, .inputs = {sum}, .epsilon = 1e-5f};
    norm.params[0] = vector(g, "ln.weight", 6, 0.5f);
    sum = linear(g, add(g, norm), 6); /* along c at every pixel */
    uint32_t slice = one(g, EG_OP_SLICE, sum), mean = one(g, EG_OP_REDUCE_MEAN, slice);
    mean = two(
        g, EG_OP_DIV, mean,
        with(g, EG_OP_ADD, one(g, EG_OP_ABS, one(g, EG_OP_REDUCE_MAX, sum)), vector(g, NULL, 1, 1), false));
    mean = two(g, EG_OP_MUL, sum, mean);
    uint32_t less = with(g, EG_OP_LESS, mean, vector(g, NULL, 1, 0), false);
    struct eg_node cast = {.op = EG_OP_CAST, .n_inputs = 1, .inputs = {mean}, .size = EG_I32};
    mean = two(g, EG_OP_ADD, mean, add(g, cast));
    sum = add(g, (struct eg_node){.op = EG_OP_WHERE, .n_inputs = 3, .inputs = {less, mean, sum}});
    struct eg_node pad = {.op = EG_OP_PAD, .n_inputs = 1, .inputs = {sum}, .alpha = 0.5f};
    pad.window = (struct eg_window){.pad_top = 1, .pad_right = 2};
    sum = add(g, pad);
    struct eg_node gem = {.op = EG_OP_GLOBAL_GEM, .n_inputs = 1, .inputs = {sum}, .alpha = 3, .beta = 1e-6f};
    uint32_t pooled = two(g, EG_OP_CONCAT, add(g, gem), one(g, EG_OP_GLOBAL_MAX, sum));
    pooled = two(g, EG_OP_DIV, pooled, one(g, EG_OP_REDUCE_SUM, one(g, EG_OP_EXP, pooled)));
    uint32_t fives = add(
        g, (struct eg_node){.op = EG_OP_ADAPTIVE_POOL, .n_inputs = 1, .inputs = {0}, .out_h = 2, .out_w = 5});
    two(g, EG_OP_ADD, one(g, EG_OP_REDUCE_MEAN, fives), one(g, EG_OP_REDUCE_SUM, pooled));
    return g;
}

static const struct eg_tensor *ints(struct eg_graph *g, size_t n, const int32_t *values)
{
    int32_t *copy = eg__graph_memory(g, n, sizeof *copy);
    assert_non_null(copy);
    memcpy(copy, values, n * sizeof *copy);
    struct eg_tensor tensor = {.data = copy, .dtype = EG_I32, .rank = 1, .dim = {n}, .stride = {1}};
    const struct eg_tensor *made = eg__graph_tensor(g, &tensor);
    assert_non_null(made);
    return made;
}

/* Attention over 12 pixels in 2 heads, a class token before them, as exporters write it; then maps again. */
static struct eg_graph *arrays(void)
{
    struct eg_graph *g = new_graph(2, 6, 8);
    struct eg_node flat = {.op = EG_OP_RESHAPE, .n_inputs = 1, .inputs = {0}, .to = {2, {12, 8}}};
    struct eg_node token = {.op = EG_OP_CONSTANT, .name = "token"};
    token.params[0] = numbers(g, "token", 2, (size_t[]){1, 8}, 0);
    uint32_t first = add(g, token), pixels = add(g, flat);
    struct eg_node join = {.op = EG_OP_CONCAT, .n_inputs = 2, .inputs = {first, pixels}, .axis = 1};
    uint32_t x = add(g, join), part[3], sum;
    x = with(g, EG_OP_ADD, x, numbers(g, "places", 2, (size_t[]){13, 8}, 0), false);
    uint32_t qkv = linear(g, x, 24);
    for (unsigned i = 0; i < 3; i++) {
        struct eg_node cut = {
            .op = EG_OP_SLICE, .n_inputs = 1, .inputs = {qkv}, .begin = 8 * i, .end = 8 * i + 8};
        struct eg_node heads = {.op = EG_OP_RESHAPE, .n_inputs = 1, .to = {3, {13, 2, 4}}};
        struct eg_node turn = {.op = EG_OP_TRANSPOSE, .n_inputs = 1, .order = {1, 0, 2}};
        heads.inputs[0] = add(g, cut);
        turn.inputs[0] = add(g, heads);
        part[i] = add(g, turn);
    }
    struct eg_node attention = {.op = EG_OP_ATTENTION, .n_inputs = 3, .inputs = {part[0], part[1], part[2]}};
    attention.alpha = 0.5f;
    uint32_t plain = add(g, attention);
    attention.params[0] = numbers(g, "mask", 3, (size_t[]){2, 1, 13}, 0);
    uint32_t masked = add(g, attention);
    struct eg_node gram = {.op = EG_OP_TRANSPOSE, .n_inputs = 1, .inputs = {part[1]}, .order = {0, 2, 1}};
    uint32_t table = two(g, EG_OP_MATMUL, plain, add(g, gram));
    table = one(g, EG_OP_CUM_SUM, one(g, EG_OP_SOFTMAX, table));
    sum = two(g, EG_OP_ADD, two(g, EG_OP_MATMUL, table, masked), plain);
    struct eg_node back = {.op = EG_OP_TRANSPOSE, .n_inputs = 1, .inputs = {sum}, .order = {1, 0, 2}};
    struct eg_node whole = {.op = EG_OP_RESHAPE, .n_inputs = 1, .to = {2, {13, 8}}};
    whole.inputs[0] = add(g, back);
    x = two(g, EG_OP_ADD, x, one(g, EG_OP_SOFTSIGN, add(g, whole)));
    struct eg_node some = {.op = EG_OP_GATHER, .n_inputs = 1, .inputs = {x}, .axis = 1};
    some.params[0] = ints(g, 6, (int32_t[]){1, 12, 3, 3, 0, 7});
    uint32_t gathered = add(g, some);
    gathered = two(g, EG_OP_MUL, gathered, one(g, EG_OP_REDUCE_MIN, gathered));
    gathered = two(g, EG_OP_ADD, gathered, one(g, EG_OP_REDUCE_PROD, gathered));
    struct eg_node map = {.op = EG_OP_RESHAPE, .n_inputs = 1, .inputs = {gathered}, .to = {3, {2, 3, 8}}};
    uint32_t small = add(g, map);
    struct eg_node larger = {.op = EG_OP_RESIZE, .n_inputs = 1, .inputs = {small}, .out_h = 5, .out_w = 6};
    larger.resize.mode = EG_RESIZE_LINEAR;
    struct eg_node up = {.op = EG_OP_CONV_TRANSPOSE, .n_inputs = 1, .inputs = {add(g, larger)}, .groups = 2};
    up.window = (struct eg_window){3, 2, 2, 1, 1, 1, 1, 0, 0, 1, EG_PAD_EXPLICIT};
    up.out_h = 1;
    up.params[0] = numbers(g, "up.weight", 4, (size_t[]){8, 3, 2, 3}, 0);
    up.params[1] = vector(g, "up.bias", 6, 0);
    x = add(g, up);
    struct eg_node tokens = {
        .op = EG_OP_RESHAPE, .n_inputs = 1, .inputs = {one(g, EG_OP_GLOBAL_AVG, x)}, .to = {2, {1, 6}}};
    struct eg_node spread = {
        .op = EG_OP_EXPAND, .n_inputs = 1, .inputs = {add(g, tokens)}, .to = {3, {2, 3, 6}}};
    x = add(g, spread);
    uint32_t equal = with(g, EG_OP_EQUAL, one(g, EG_OP_ROUND, x), vector(g, NULL, 1, -0.4f), false);
    one(g, EG_OP_RELU, two(g, EG_OP_ADD, x, equal));
    return g;
}

/* Two trees whose nodes lie in another order than the walk. */
static struct eg_graph *forest(void)
{
    struct eg_graph *g = new_graph(1, 1, 4);
    struct eg_node node = {.op = EG_OP_TREE_ENSEMBLE, .n_inputs = 1};
    node.params[0] = ints(g, 8, (int32_t[]){2, 1, -1, 0, -1, -1, -1, -1});
    node.params[1] = eg__graph_constant(g, NULL, 1, (size_t[]){8}, (float[]){.1f, -.2f, 0, .3f, 0, 0, 0, 0});
    node.params[2] = ints(g, 8, (int32_t[]){2, 5, 0, 4, 1, 2, 3, 0});
    node.params[3] = ints(g, 8, (int32_t[]){3, 6, 0, 7, 0, 0, 0, 0});
    node.params[4] = numbers(g, NULL, 2, (size_t[]){4, 3}, 0);
    node.params[5] = ints(g, 2, (int32_t[]){0, 1});
    uint32_t trees = add(g, node);
    g->label_output = one(g, EG_OP_ARG_MAX, trees);
    g->output = trees;
    return g;
}

/* ---- tests ------------------------------------------------------------------------------- */

/* An image, its mirror; a convolution of both; their mean. */
static struct eg_graph *views(void)
{
    struct eg_graph *g = new_graph(6, 5, 3);
    struct eg_tensor places = *ints(g, 6, (const int32_t[6]){0, 0, 0, 0, 0, 1});
    places.rank = 2;
    places.dim[0] = 2;
    places.dim[1] = 3;
    eg__tensor_pack_strides(&places);
    struct eg_node node = {.op = EG_OP_VIEWS, .name = "engraft.views", .n_inputs = 1, .size = 2};
    node.params[0] = eg__graph_tensor(g, &places);
    assert_non_null(node.params[0]);
    uint32_t at = add(g, node);
    struct eg_node conv = {.op = EG_OP_CONV,
                           .n_inputs = 1,
                           .inputs = {at},
                           .groups = 1,
                           .window = {3, 3, 1, 1, 1, 1, 1, 1, 1, 1, EG_PAD_EXPLICIT}};
    conv.params[0] = numbers(g, "views.weight", 4, (size_t[]){4, 3, 3, 3}, 0);
    at = one(g, EG_OP_GLOBAL_AVG, add(g, conv));
    at = add(g, (struct eg_node){
                    .op = EG_OP_VIEWS_MEAN, .name = "engraft.views.mean", .n_inputs = 1, .inputs = {at}});
    one(g, EG_OP_SOFTMAX, at);
    return g;
}

/* What the reference cannot show: the file read back is of the same views, and writes the same bytes. */
static void views_survive(void)
{
    char first[64], second[64];
    snprintf(first, sizeof first, "%s/views.onnx", folder);
    snprintf(second, sizeof second, "%s/views2.onnx", folder);
    struct eg_graph *g = views(), *again;
    save(g, first, NULL);
    again = load(first);
    const struct eg_node *had = eg__graph_views(g), *has = eg__graph_views(again);
    assert_non_null(has);
    assert_int_equal(has->size, had->size);
    assert_memory_equal(has->params[0]->data, had->params[0]->data, 6 * sizeof(int32_t));
    assert_int_equal(again->nodes[again->output].times, 1);
    save(again, second, NULL);
    assert_same_bytes(first, second);
    eg__graph_free(g);
    eg__graph_free(again);
}

static void every_operator_survives(void **state)
{
    (void)state;
    views_survive();
    struct eg_graph *graphs[4] = {convolutional(), pointwise(), forest(), arrays()};
    static const struct eg_onnx_options vectors = {.vector_input = true}, plain;
    seen[EG_OP_INPUT] = true;
    for (unsigned op = 0; op < EG_OP_COUNT; op++)
        if (!seen[op]) fail_msg("no graph here has %s", eg__op_info[op].text);
    for (unsigned i = 0; i < 4; i++) {
        round_trip(graphs[i], i == 2 ? vectors : plain, 1e-6, i < 3);
        eg__graph_free(graphs[i]);
    }
}

static void half_weights_survive(void **state)
{
    (void)state;
    struct eg_graph *graph = convolutional();
    round_trip(graph, (struct eg_onnx_options){.half = true}, 0.02, true);
    eg__graph_free(graph);
}

/* The graph read back is behind the recipe, in its own channel order. */
static void normalisation_is_left_out_again(void **state)
{
    (void)state;
    for (unsigned bgr = 0; bgr < 2; bgr++) {
        struct eg_recipe recipe = {
            .scale = 1.0 / 255, .mean = {.1, .2, .3}, .std = {.5, .6, .7}, .bgr = bgr != 0};
        struct eg_graph *graph = convolutional();
        assert_int_equal(eg__graph_set_metadata(graph, "engraft.recipe", "{}", NULL), EG_OK);
        round_trip(graph, (struct eg_onnx_options){.recipe = &recipe}, 1e-6, true);
        eg__graph_free(graph);
    }
    struct eg_recipe recipe = {.scale = 1, .std = {1, 1, 1}, .bgr = true};
    struct eg_graph *graph = new_graph(4, 4, 3);
    struct eg_error err;
    char path[64];
    snprintf(path, sizeof path, "%s/none.onnx", folder);
    one(graph, EG_OP_RELU, 0);
    assert_int_equal(eg__onnx_save(graph, path, &(struct eg_onnx_options){.recipe = &recipe}, &err),
                     EG_E_UNSUPPORTED);
    assert_non_null(strstr(err.message, "'relu'"));
    assert_int_not_equal(access(path, F_OK), 0);
    eg__graph_free(graph);
}

static void names_metadata_and_sizes_survive(void **state)
{
    (void)state;
    char path[64];
    snprintf(path, sizeof path, "%s/net.onnx", folder);
    struct eg_graph *graph = convolutional(), *again;
    assert_int_equal(eg__graph_set_metadata(graph, "engraft.classes", "[\"a\"]", NULL), EG_OK);
    save(graph, path, NULL);
    struct eg_error err;
    assert_int_equal(eg__onnx_save(graph, path, NULL, &err), EG_E_EXISTS);
    again = load(path);
    eg__graph_free(graph);
    assert_string_equal(eg__graph_metadata(again, "engraft.classes"), "[\"a\"]");
    assert_string_equal(again->name, "net");
    uint32_t at;
    assert_int_equal(eg__graph_find(again, "conv", &at, NULL), EG_OK); /* "conv.weight" is its weight */
    assert_int_equal(again->nodes[at].op, EG_OP_CONV);
    assert_int_equal(eg__graph_resize(again, 26, 24, &err), EG_E_SHAPE); /* the linear layer fixes it */
    struct eg_graph *cut;
    assert_int_equal(eg__graph_find(again, "lrn", &at, NULL), EG_OK);
    assert_int_equal(eg__graph_cut(again, at, &cut, NULL), EG_OK);
    assert_int_equal(eg__graph_resize(cut, 26, 24, NULL), EG_OK);
    eg__graph_free(cut);
    eg__graph_free(again);
    unlink(path);
}

static int make_folder(void **state)
{
    (void)state;
    eg__rng_init(&rng, 11, 0);
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_operator_survives),
        cmocka_unit_test(half_weights_survive),
        cmocka_unit_test(normalisation_is_left_out_again),
        cmocka_unit_test(names_metadata_and_sizes_survive),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
