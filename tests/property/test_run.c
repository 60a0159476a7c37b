/* The engine against the reference on every operator and on random networks, for every kernel
 * table; and its promises, bit for bit: an image's row does not depend on the batch, its place
 * in it or the threads; several outputs are the single outputs; pixels are the floats. */
#include <stdio.h>
#include <time.h>

#include "base/rng.h"
#include "kernels/table.h"
#include "net/net.h"
#include "reference.h"

static uint64_t seed;
static struct eg_rng rng;

static size_t below(size_t n) { return (size_t)eg__rng_below(&rng, n); }

static struct eg_graph *new_graph(size_t h, size_t w, size_t c)
{
    struct eg_graph *graph;
    uint32_t index;
    assert_int_equal(eg__graph_create("tiny", &graph, NULL), EG_OK);
    struct eg_node input = {.op = EG_OP_INPUT, .name = "input", .shape = {3, {h, w, c}}};
    assert_int_equal(eg__graph_add(graph, &input, &index, NULL), EG_OK);
    return graph;
}

static const struct eg_tensor *constant(struct eg_graph *graph, uint8_t rank, const size_t *dim, double scale,
                                        double least)
{
    size_t n = 1;
    for (unsigned i = 0; i < rank; i++) n *= dim[i];
    float *x = malloc(n * sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; i < n; i++) {
        double v = scale * eg__rng_normal(&rng);
        x[i] = (float)(least > 0 ? least + fabs(v) : v);
    }
    struct eg_tensor *tensor = eg__graph_constant(graph, "t", rank, dim, x);
    assert_non_null(tensor);
    free(x);
    return tensor;
}

static const struct eg_tensor *vector(struct eg_graph *graph, size_t n, double least)
{
    return constant(graph, 1, &n, 0.5, least);
}

static uint32_t add(struct eg_graph *graph, struct eg_node node)
{
    uint32_t index;
    struct eg_error err = {0};
    node.name = eg__op_info[node.op].text;
    if (eg__graph_add(graph, &node, &index, &err))
        fail_msg("%s (seed %llu)", err.message, (unsigned long long)seed);
    return index;
}

static uint32_t op1(struct eg_graph *graph, enum eg_op op, uint32_t from)
{
    return add(graph,
               (struct eg_node){.op = op, .n_inputs = 1, .inputs = {from}, .alpha = 0.1f, .beta = 0.5f});
}

static uint32_t op2(struct eg_graph *graph, enum eg_op op, uint32_t a, uint32_t b)
{
    return add(graph, (struct eg_node){.op = op, .n_inputs = 2, .inputs = {a, b}});
}

static uint32_t conv(struct eg_graph *graph, uint32_t from, size_t out, uint32_t kernel, uint32_t stride,
                     uint32_t pad, uint32_t dilation, uint32_t groups, bool bias)
{
    size_t in = eg__map(graph->nodes[from].shape).c;
    struct eg_node node = {.op = EG_OP_CONV, .n_inputs = 1, .inputs = {from}, .groups = groups};
    node.window = (struct eg_window){kernel, kernel, stride, stride, dilation,       dilation,
                                     pad,    pad,    pad,    pad,    EG_PAD_EXPLICIT};
    double scale = 1 / sqrt((double)(kernel * kernel * in / groups));
    node.params[0] = constant(graph, 4, (size_t[]){out, kernel, kernel, in / groups}, scale, 0);
    if (bias) node.params[1] = vector(graph, out, 0);
    return add(graph, node);
}

static uint32_t norm(struct eg_graph *graph, uint32_t from)
{
    size_t c = eg__map(graph->nodes[from].shape).c;
    struct eg_node node = {.op = EG_OP_BATCH_NORM, .n_inputs = 1, .inputs = {from}, .epsilon = 1e-3f};
    if (below(4)) node.params[0] = vector(graph, c, 0.5);
    if (below(4)) node.params[1] = vector(graph, c, 0);
    node.params[2] = vector(graph, c, 0);
    node.params[3] = vector(graph, c, 0.5);
    return add(graph, node);
}

static uint32_t pool(struct eg_graph *graph, enum eg_op op, uint32_t from, uint32_t kernel, uint32_t stride,
                     uint32_t pad, bool ceil_mode, bool include)
{
    struct eg_node node = {
        .op = op, .n_inputs = 1, .inputs = {from}, .ceil_mode = ceil_mode, .count_include_pad = include};
    node.window =
        (struct eg_window){kernel, kernel, stride, stride, 1, 1, pad, pad, pad, pad, EG_PAD_EXPLICIT};
    return add(graph, node);
}

static float *random_images(const struct eg_graph *graph, size_t n)
{
    size_t count = n * eg__shape_count(graph->nodes[0].shape);
    float *x = malloc(count * sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; i < count; i++) x[i] = (float)eg__rng_normal(&rng);
    return x;
}

/* Run the outputs on n images; out[k] is malloc'd. */
static void run(const struct eg_graph *graph, const uint32_t *outputs, size_t n_outputs, const float *images,
                size_t n, const struct eg_run_options *options, eg_pool *threads, float **out)
{
    struct eg_run *r;
    struct eg_error err = {0};
    if (eg__run_create(graph, outputs, n_outputs, options, threads, &r, &err)) fail_msg("%s", err.message);
    for (size_t k = 0; k < n_outputs; k++) {
        size_t count = eg__shape_count(graph->nodes[outputs[k]].shape);
        assert_int_equal(count, eg__shape_count(eg__run_shape(r, k)));
        out[k] = malloc(n * count * sizeof(float));
        assert_non_null(out[k]);
        for (size_t i = 0; i < n * count; i++) out[k][i] = NAN;
    }
    assert_int_equal(eg__run_forward(r, images, n, out, NULL), EG_OK);
    assert_true(eg__run_bytes(r) > 0 && eg__run_step_count(r) > 0);
    eg__run_free(r);
}

static void compare(const struct eg_graph *graph, uint32_t node, const struct reference_value *want,
                    const float *got, double tolerance)
{
    size_t count = eg__map_count(want->s);
    double most = 1e-3;
    for (size_t i = 0; i < count; i++)
        if (isfinite(want->x[i]) && fabs(want->x[i]) > most) most = fabs(want->x[i]);
    for (size_t i = 0; i < count; i++)
        if (!(fabs((double)got[i] - want->x[i]) <= tolerance * most) && (double)got[i] != want->x[i] &&
            !(isnan(want->x[i]) && isnan(got[i])))
            fail_msg("%s: node %u (%s) at %zu: %.9g, expected %.9g, largest %g (seed %llu)",
                     eg__kernels_name(), node, eg__op_info[graph->nodes[node].op].text, i, (double)got[i],
                     want->x[i], most, (unsigned long long)seed);
}

/* All nodes as outputs of one run, and each as the only one of another, against the reference
 * and each other. */
static void check_graph(struct eg_graph *graph, double tolerance, bool each)
{
    float *image = random_images(graph, 1), *out[256], *single;
    struct reference_value *want = reference_run(graph, image);
    uint32_t outputs[256];
    size_t n = graph->n_nodes - 1;
    for (uint32_t i = 0; i < n; i++) outputs[i] = i + 1;
    for (size_t isa = 0; eg__kernels_at(isa); isa++) {
        assert_true(eg__kernels_select(eg__kernels_at(isa)->name));
        run(graph, outputs, n, image, 1, NULL, NULL, out);
        for (uint32_t i = 0; i < n; i++) {
            compare(graph, i + 1, &want[i + 1], out[i], tolerance);
            if (each) {
                run(graph, &outputs[i], 1, image, 1, NULL, NULL, &single);
                if (memcmp(single, out[i], eg__map_count(want[i + 1].s) * sizeof(float)))
                    fail_msg("%s: node %u alone differs from among others (seed %llu)", eg__kernels_name(),
                             i + 1, (unsigned long long)seed);
                free(single);
            }
            free(out[i]);
        }
    }
    reference_free(graph, want);
    free(image);
    eg__graph_free(graph);
}

static void test_every_operator(void **state)
{
    (void)state;
    struct eg_graph *g = new_graph(9, 11, 6);
    for (enum eg_op op = EG_OP_RELU; op <= EG_OP_NEG; op++) {
        uint32_t from = op == EG_OP_SQRT ? op1(g, EG_OP_ABS, 0) : 0;
        struct eg_node node = {.op = op, .n_inputs = 1, .inputs = {from}, .alpha = 0.2f, .beta = 0.5f};
        add(g, node);
    }
    uint32_t positive = op1(g, EG_OP_ABS, 0);
    add(g, (struct eg_node){.op = EG_OP_POW, .n_inputs = 1, .inputs = {positive}, .alpha = 1.7f});
    uint32_t row = op1(g, EG_OP_EXP, op1(g, EG_OP_GLOBAL_AVG, 0)); /* divisors away from 0 */
    uint32_t one = op1(g, EG_OP_EXP, op1(g, EG_OP_REDUCE_MEAN, 0)), other = op1(g, EG_OP_EXP, norm(g, 0));
    op1(g, EG_OP_REDUCE_SUM, 0);
    for (enum eg_op op = EG_OP_ADD; op <= EG_OP_LESS; op++) {
        op2(g, op, 0, other);
        op2(g, op, 0, row);
        op2(g, op, one, 0);
        op2(g, op, 0, op1(g, EG_OP_REDUCE_MAX, row));
        for (int swapped = 0; swapped < 2; swapped++) {
            struct eg_node node = {.op = op, .n_inputs = 1, .inputs = {0}, .swapped = swapped};
            node.params[0] = vector(g, 6, 0.5);
            add(g, node);
            node.params[0] = constant(g, 3, (size_t[]){9, 11, 1}, 1, 0.5);
            add(g, node);
            node.params[0] = constant(g, 0, NULL, 1, 0.5);
            add(g, node);
        }
    }
    uint32_t less = op2(g, EG_OP_LESS, 0, other);
    add(g, (struct eg_node){.op = EG_OP_WHERE, .n_inputs = 3, .inputs = {less, row, other}});
    op1(g, EG_OP_GLOBAL_MAX, 0);
    add(g, (struct eg_node){.op = EG_OP_GLOBAL_GEM, .n_inputs = 1, .inputs = {0}, .alpha = 3, .beta = 1e-6f});
    add(g,
        (struct eg_node){.op = EG_OP_ADAPTIVE_POOL, .n_inputs = 1, .inputs = {0}, .out_h = 4, .out_w = 13});
    add(g, (struct eg_node){.op = EG_OP_LRN,
                            .n_inputs = 1,
                            .inputs = {0},
                            .size = 4,
                            .alpha = 0.3f,
                            .beta = 0.75f,
                            .bias = 2});
    struct eg_node layer_norm = {.op = EG_OP_LAYER_NORM, .n_inputs = 1, .inputs = {0}, .epsilon = 1e-5f};
    add(g, layer_norm);
    layer_norm.params[0] = vector(g, 6, 0);
    layer_norm.params[1] = vector(g, 6, 0);
    add(g, layer_norm);
    op1(g, EG_OP_SOFTMAX, 0);
    op1(g, EG_OP_REDUCE_MEAN, 0);
    op1(g, EG_OP_ARG_MAX, 0);
    add(g, (struct eg_node){.op = EG_OP_CHANNEL_SHUFFLE, .n_inputs = 1, .inputs = {0}, .groups = 3});
    add(g, (struct eg_node){.op = EG_OP_PAD,
                            .n_inputs = 1,
                            .inputs = {0},
                            .alpha = 0.5f,
                            .window = {.pad_top = 1, .pad_left = 2, .pad_bottom = 3, .pad_right = 0}});
    uint32_t slice =
        add(g, (struct eg_node){.op = EG_OP_SLICE, .n_inputs = 1, .inputs = {0}, .begin = 1, .end = 4});
    op1(g, EG_OP_FLATTEN, slice);
    op1(g, EG_OP_FLATTEN, other);
    add(g, (struct eg_node){.op = EG_OP_FLATTEN, .n_inputs = 1, .inputs = {0}, .order_chw = true});
    op1(g, EG_OP_DROPOUT, op1(g, EG_OP_IDENTITY, slice));
    for (uint32_t i = 0; i < 8; i++) {
        uint32_t kernel = 2 + i % 3, stride = 1 + i / 2 % 2, pad = i % 2;
        pool(g, EG_OP_MAX_POOL, 0, kernel, stride + i / 6, pad, i % 2, false);
        pool(g, EG_OP_AVG_POOL, 0, kernel, stride + i / 6, pad, i / 4, i % 2);
    }
    struct eg_node linear = {.op = EG_OP_LINEAR, .n_inputs = 1, .inputs = {0}};
    linear.params[0] = constant(g, 2, (size_t[]){37, 6}, 0.4, 0);
    add(g, linear);
    linear.inputs[0] = op1(g, EG_OP_FLATTEN, 0);
    linear.params[0] = constant(g, 2, (size_t[]){21, 9 * 11 * 6}, 0.04, 0);
    linear.params[1] = vector(g, 21, 0);
    add(g, linear);
    check_graph(g, 3e-6, true);
}

static void test_trees(void **state)
{
    (void)state;
    struct eg_graph *g = new_graph(1, 1, 3);
    int32_t feature[] = {0, -1, 2, -1, -1, 1, -1, -1}, left[] = {1, 0, 3, 1, 2, 6, 0, 3};
    int32_t right[] = {2, 0, 4, 0, 0, 7, 0, 0}, roots[] = {0, 5};
    float threshold[] = {0, 0, 0.3f, 0, 0, -0.2f, 0, 0}, leaf[] = {1, 0, 0, 2, 3, 3, -1, 5};
    struct eg_tensor t[6] = {{.data = feature, .dtype = EG_I32, .rank = 1, .dim = {8}},
                             {.data = threshold, .dtype = EG_F32, .rank = 1, .dim = {8}},
                             {.data = left, .dtype = EG_I32, .rank = 1, .dim = {8}},
                             {.data = right, .dtype = EG_I32, .rank = 1, .dim = {8}},
                             {.data = leaf, .dtype = EG_F32, .rank = 2, .dim = {4, 2}},
                             {.data = roots, .dtype = EG_I32, .rank = 1, .dim = {2}}};
    struct eg_node node = {.op = EG_OP_TREE_ENSEMBLE, .n_inputs = 1};
    for (unsigned i = 0; i < 6; i++) {
        eg__tensor_pack_strides(&t[i]);
        node.params[i] = &t[i];
    }
    add(g, node);
    check_graph(g, 1e-6, true);
}

/* Every kind of convolution, with and without what can be fused behind it. */
static void test_convolutions(void **state)
{
    (void)state;
    static const struct {
        size_t side, in, out;
        uint32_t kernel, stride, pad, dilation, groups;
        double tolerance;
    } cases[] = {
        {13, 5, 7, 1, 1, 0, 1, 1, 3e-6},    {12, 70, 33, 1, 2, 0, 1, 1, 3e-6},
        {9, 1200, 40, 1, 1, 0, 1, 1, 3e-6}, {17, 3, 19, 7, 2, 3, 1, 1, 3e-6},
        {23, 3, 9, 11, 4, 2, 1, 1, 3e-6},   {15, 4, 64, 3, 1, 1, 1, 1, 3e-6},
        {11, 24, 24, 3, 1, 1, 1, 24, 3e-6}, {12, 19, 19, 5, 2, 2, 1, 19, 3e-6},
        {13, 16, 16, 3, 2, 4, 2, 16, 3e-6}, {10, 12, 18, 3, 1, 1, 1, 3, 3e-6},
        {10, 8, 16, 3, 1, 1, 1, 8, 3e-6},   {11, 130, 12, 3, 2, 1, 1, 1, 3e-6},
        {12, 9, 10, 3, 1, 2, 2, 1, 3e-6},   {14, 17, 35, 3, 1, 1, 1, 1, 1e-5},
        {9, 16, 16, 3, 1, 0, 1, 1, 1e-5},   {62, 20, 18, 3, 1, 1, 1, 1, 3e-5},
        {61, 16, 70, 3, 1, 1, 1, 1, 3e-5},  {15, 18, 33, 5, 1, 2, 1, 1, 3e-5},
        {7, 200, 40, 3, 1, 1, 1, 1, 3e-6},  {21, 3, 16, 3, 2, 1, 1, 1, 3e-6},
        {33, 40, 600, 3, 1, 1, 1, 1, 1e-5},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct eg_graph *g = new_graph(cases[i].side, cases[i].side + 2, cases[i].in);
        uint32_t c[8];
        for (unsigned k = 0; k < 6; k++)
            c[k] = conv(g, 0, cases[i].out, cases[i].kernel, cases[i].stride, cases[i].pad, cases[i].dilation,
                        cases[i].groups, k % 2);
        op1(g, EG_OP_RELU, c[0]);
        op1(g, EG_OP_SILU, norm(g, c[1]));
        op1(g, EG_OP_RELU, op2(g, EG_OP_ADD, c[2], norm(g, c[3])));
        if (eg__map(g->nodes[c[4]].shape).h > 1)
            pool(g, EG_OP_MAX_POOL, op1(g, EG_OP_RELU, c[4]), 2, 2, 0, false, false);
        check_graph(g, cases[i].tolerance, true);
    }
}

/* A random network with shortcuts, concatenations (nested, sharing prefixes), slices and pools. */
static struct eg_graph *random_graph(void)
{
    struct eg_graph *g = new_graph(10 + below(8), 10 + below(8), 3);
    uint32_t at = conv(g, 0, 4 + below(20), 3, 1, 1, 1, 1, true), dense[8] = {0}, n_dense = 0;
    for (size_t i = 0; i < 14; i++) {
        size_t c = eg__map(g->nodes[at].shape).c;
        switch (below(11)) {
        case 0: at = op1(g, EG_OP_RELU, norm(g, conv(g, at, 8 + below(20), 3, 1, 1, 1, 1, below(2)))); break;
        case 1: at = norm(g, conv(g, at, 4 + below(40), 1, 1, 0, 1, 1, true)); break;
        case 2: at = op1(g, EG_OP_CLIP, norm(g, conv(g, at, c, 3, 1, 1, 1, (uint32_t)c, false))); break;
        case 3: {
            uint32_t branch = norm(g, conv(g, at, c, 3, 1, 1, 1, 1, false));
            at = op1(g, EG_OP_RELU, below(2) ? op2(g, EG_OP_ADD, branch, at) : op2(g, EG_OP_ADD, at, branch));
            break;
        }
        case 4:
            if (eg__map(g->nodes[at].shape).h > 4)
                at = pool(g, below(2) ? EG_OP_MAX_POOL : EG_OP_AVG_POOL, at, 2 + (uint32_t)below(2), 2, 0,
                          below(2), true);
            break;
        case 5: { /* as DenseNet: each layer reads all before it */
            n_dense = 0;
            dense[n_dense++] = at;
            for (size_t k = 0; k < 3; k++) {
                struct eg_node concat = {.op = EG_OP_CONCAT, .n_inputs = n_dense};
                memcpy(concat.inputs, dense, sizeof dense);
                dense[n_dense++] =
                    conv(g, op1(g, EG_OP_RELU, norm(g, add(g, concat))), 3 + below(9), 3, 1, 1, 1, 1, false);
            }
            struct eg_node concat = {.op = EG_OP_CONCAT, .n_inputs = n_dense};
            memcpy(concat.inputs, dense, sizeof dense);
            at = add(g, concat);
            break;
        }
        case 6: { /* as SqueezeNet */
            uint32_t a = op1(g, EG_OP_RELU, conv(g, at, 7, 1, 1, 0, 1, 1, true));
            uint32_t b = op1(g, EG_OP_RELU, conv(g, at, 9, 3, 1, 1, 1, 1, true));
            at = add(g, (struct eg_node){
                            .op = EG_OP_CONCAT, .n_inputs = 3, .inputs = {a, op1(g, EG_OP_DROPOUT, b), a}});
            break;
        }
        case 7:
            if (c >= 4) { /* as ShuffleNet */
                uint32_t a =
                    add(g, (struct eg_node){
                               .op = EG_OP_SLICE, .n_inputs = 1, .inputs = {at}, .begin = 0, .end = c / 2});
                uint32_t b =
                    add(g, (struct eg_node){
                               .op = EG_OP_SLICE, .n_inputs = 1, .inputs = {at}, .begin = c / 2, .end = c});
                b = op1(g, EG_OP_RELU, conv(g, b, c / 2, 1, 1, 0, 1, 1, true));
                at = op2(g, EG_OP_CONCAT, a, b);
                at = add(g, (struct eg_node){.op = EG_OP_CHANNEL_SHUFFLE,
                                             .n_inputs = 1,
                                             .inputs = {at},
                                             .groups = eg__map(g->nodes[at].shape).c % 2 ? 1 : 2});
            }
            break;
        case 8:
            at = op2(g, EG_OP_MUL, at,
                     op1(g, EG_OP_SIGMOID, conv(g, op1(g, EG_OP_GLOBAL_AVG, at), c, 1, 1, 0, 1, 1, true)));
            break;
        case 9: at = op1(g, EG_OP_HARD_SWISH, norm(g, at)); break;
        default: at = op1(g, EG_OP_DROPOUT, at); break;
        }
    }
    struct eg_node flatten = {.op = EG_OP_FLATTEN, .n_inputs = 1, .inputs = {at}, .order_chw = below(2)};
    uint32_t flat = add(g, flatten);
    struct eg_node linear = {.op = EG_OP_LINEAR, .n_inputs = 1, .inputs = {flat}};
    linear.params[0] = constant(g, 2, (size_t[]){10, eg__map(g->nodes[flat].shape).c}, 0.05, 0);
    op1(g, EG_OP_SOFTMAX, add(g, linear));
    return g;
}

static void test_random_networks(void **state)
{
    (void)state;
    for (int round = 0; round < 12; round++) check_graph(random_graph(), 1e-4, round < 6);
}

static void test_promises(void **state)
{
    (void)state;
    enum { N = 5 };
    eg_pool *threads;
    assert_int_equal(eg_pool_create(3, &threads, NULL), EG_OK);
    for (size_t isa = 0; eg__kernels_at(isa); isa++) {
        assert_true(eg__kernels_select(eg__kernels_at(isa)->name));
        for (int round = 0; round < 8; round++) {
            struct eg_graph *g = random_graph();
            uint32_t outputs[3] = {g->n_nodes - 1, 1 + (uint32_t)below(g->n_nodes - 4), g->n_nodes - 2};
            if (outputs[1] == outputs[2]) outputs[1] = 1;
            struct eg_run_options options = {.max_batch = N};
            float *images = random_images(g, N), *all[3], *one[3];
            size_t image = eg__shape_count(g->nodes[0].shape);
            run(g, outputs, 3, images, N, &options, threads, all);
            for (size_t i = 0; i < N; i++) {
                run(g, outputs, 3, images + i * image, 1, NULL, i % 2 ? threads : NULL, one);
                for (unsigned k = 0; k < 3; k++) {
                    size_t count = eg__shape_count(g->nodes[outputs[k]].shape);
                    if (memcmp(one[k], all[k] + i * count, count * sizeof(float)))
                        fail_msg("%s: image %zu, output %u: alone and in a batch differ (seed %llu)",
                                 eg__kernels_name(), i, k, (unsigned long long)seed);
                    free(one[k]);
                }
            }
            for (unsigned k = 0; k < 3; k++) free(all[k]);
            free(images);
            eg__graph_free(g);
        }
    }
    eg_pool_free(threads);
}

static void test_pixels(void **state)
{
    (void)state;
    const float scale[3] = {0.017f, 0.018f, 0.0174f}, offset[3] = {-2.1f, -2.03f, -1.8f};
    for (size_t isa = 0; eg__kernels_at(isa); isa++) {
        assert_true(eg__kernels_select(eg__kernels_at(isa)->name));
        for (int round = 0; round < 6; round++) {
            struct eg_graph *g = random_graph();
            if (round == 3) op1(g, EG_OP_RELU, 0); /* reads the input itself */
            uint32_t output = round == 4 ? 0 : g->n_nodes - 1;
            size_t count = 2 * eg__shape_count(g->nodes[0].shape),
                   length = eg__shape_count(g->nodes[output].shape);
            uint8_t *pixels = malloc(count);
            float *images = malloc(count * sizeof *images), *a = malloc(2 * length * sizeof *a),
                  *b = malloc(2 * length * sizeof *b);
            assert_true(pixels && images && a && b);
            for (size_t i = 0; i < count; i++) pixels[i] = (uint8_t)below(256);
            bool bgr = round % 2;
            for (size_t i = 0; i < count; i++)
                images[i] = fmaf((float)pixels[bgr ? i - i % 3 + 2 - i % 3 : i], scale[i % 3], offset[i % 3]);
            struct eg_run *r;
            struct eg_run_options options = {.max_batch = 2};
            assert_int_equal(eg__run_create(g, &output, 1, &options, NULL, &r, NULL), EG_OK);
            assert_int_equal(eg__run_forward(r, images, 2, &a, NULL), EG_OK);
            assert_int_equal(eg__run_forward_pixels(r, pixels, scale, offset, bgr, 2, &b, NULL), EG_OK);
            assert_memory_equal(a, b, 2 * length * sizeof *a);
            assert_int_equal(eg__run_forward(r, images, 3, &a, NULL), EG_E_ARGUMENT);
            eg__run_free(r);
            free(pixels);
            free(images);
            free(a);
            free(b);
            eg__graph_free(g);
        }
    }
}

/* Large activations: the first steps run in chunks of the batch, and nothing shows it. */
static void test_chunks(void **state)
{
    (void)state;
    enum { N = 6 };
    const float scale[3] = {0.017f, 0.018f, 0.0174f}, offset[3] = {-2.1f, -2.03f, -1.8f};
    for (int round = 0; round < 3; round++) {
        struct eg_graph *g = new_graph(128, 128, 3);
        uint32_t early = pool(g, EG_OP_AVG_POOL, 0, 4, 4, 0, false, false); /* used early and late */
        uint32_t at = op1(g, EG_OP_RELU, conv(g, 0, 32, 3, 1, 1, 1, 1, true)), wide = at;
        at = pool(g, EG_OP_MAX_POOL, conv(g, at, 32, 3, 1, 1, 1, 1, true), 2, 2, 0, false, false);
        uint32_t kept = pool(g, EG_OP_MAX_POOL, at, 2, 2, 0, false, false);
        at = op2(g, EG_OP_CONCAT, conv(g, kept, 12, 1, 1, 0, 1, 1, true), early);
        at = op2(g, EG_OP_CONCAT, conv(g, at, 20, 3, 1, 1, 1, 1, true), kept);
        uint32_t outputs[3] = {op1(g, EG_OP_GLOBAL_AVG, at), op1(g, EG_OP_GLOBAL_MAX, wide), kept};
        size_t image = eg__shape_count(g->nodes[0].shape);
        uint8_t *pixels = malloc(N * image);
        float *images = malloc(N * image * sizeof *images), *all[3], *one[3], *from_pixels[3];
        assert_true(pixels && images);
        for (size_t i = 0; i < N * image; i++) {
            pixels[i] = (uint8_t)below(256);
            images[i] = fmaf((float)pixels[i], scale[i % 3], offset[i % 3]);
        }
        struct eg_run_options options = {.max_batch = N};
        run(g, outputs, 3, images, N, &options, NULL, all);
        run(g, outputs, 3, images, N, &options, NULL, from_pixels);
        struct eg_run *r;
        assert_int_equal(eg__run_create(g, outputs, 3, &options, NULL, &r, NULL), EG_OK);
        assert_int_equal(eg__run_forward_pixels(r, pixels, scale, offset, false, N, from_pixels, NULL),
                         EG_OK);
        assert_true(eg__run_bytes(r) < 2 * N * 128 * 128 * 32 * sizeof(float)); /* not the whole batch */
        eg__run_free(r);
        for (size_t i = 0; i < N; i++) {
            run(g, outputs, 3, images + i * image, 1, NULL, NULL, one);
            for (unsigned k = 0; k < 3; k++) {
                size_t count = eg__shape_count(g->nodes[outputs[k]].shape);
                assert_memory_equal(one[k], all[k] + i * count, count * sizeof(float));
                assert_memory_equal(one[k], from_pixels[k] + i * count, count * sizeof(float));
                free(one[k]);
            }
        }
        for (unsigned k = 0; k < 3; k++) {
            free(all[k]);
            free(from_pixels[k]);
        }
        free(images);
        free(pixels);
        eg__graph_free(g);
    }
}

/* A large 1 x 1 convolution made row by row inside the depthwise one behind it: same bits as on its own,
 * for any threads and place in a batch. */
static void test_made_before(void **state)
{
    (void)state;
    enum { N = 2 };
    eg_pool *threads;
    assert_int_equal(eg_pool_create(3, &threads, NULL), EG_OK);
    for (uint32_t round = 0; round < 4; round++) {
        const uint32_t kernel = 3 + round / 2 * 2, stride = 1 + round % 2;
        struct eg_graph *g = new_graph(91, 77, 5);
        uint32_t wide = op1(g, EG_OP_CLIP, norm(g, conv(g, 0, 24, 1, 1, 0, 1, 1, false)));
        uint32_t last = op1(g, EG_OP_RELU, conv(g, wide, 24, kernel, stride, round, 1, 24, true));
        struct eg_run_options options = {.max_batch = N};
        float *images = random_images(g, N), *fused, *apart[2], *alone;
        size_t image = eg__shape_count(g->nodes[0].shape), n = eg__shape_count(g->nodes[last].shape);
        struct eg_run *r;
        assert_int_equal(eg__run_create(g, &last, 1, &options, threads, &r, NULL), EG_OK);
        assert_int_equal(eg__run_step_count(r), 1);
        eg__run_free(r);
        run(g, &last, 1, images, N, &options, threads, &fused);
        run(g, (uint32_t[]){wide, last}, 2, images, N, &options, NULL, apart);
        run(g, &last, 1, images + image, 1, NULL, NULL, &alone);
        assert_memory_equal(fused, apart[1], N * n * sizeof(float));
        assert_memory_equal(fused + n, alone, n * sizeof(float));
        free(fused);
        free(apart[0]);
        free(apart[1]);
        free(alone);
        free(images);
        check_graph(g, 3e-6, true);
    }
    eg_pool_free(threads);
}

/* A value joined with itself as often as a node allows: each member that is no part of its memory is a
 * step of the plan, and has a name. */
static void test_joined_with_itself(void **state)
{
    (void)state;
    struct eg_graph *g = new_graph(3, 3, 2);
    struct eg_node concat = {.op = EG_OP_CONCAT, .n_inputs = EG_INPUTS_MAX};
    op1(g, EG_OP_GLOBAL_MAX, add(g, concat));
    struct eg_run *r;
    assert_int_equal(eg__run_create(g, (uint32_t[]){2}, 1, NULL, NULL, &r, NULL), EG_OK);
    size_t n = eg__run_step_count(r);
    assert_true(n >= EG_INPUTS_MAX);
    for (size_t i = 0; i < n; i++)
        assert_string_equal(eg__run_step(r, i).name, i + 1 < n ? "concat" : "global_max_pool");
    eg__run_free(r);
    check_graph(g, 1e-5, true);
}

/* Layers past the deepest output are not needed, not even their weights. */
static void test_cut(void **state)
{
    (void)state;
    struct eg_graph *g = new_graph(8, 8, 3);
    uint32_t first = conv(g, 0, 8, 3, 1, 1, 1, 1, true), second = conv(g, first, 8, 3, 1, 1, 1, 1, true);
    struct eg_tensor missing = *g->nodes[second].params[0];
    missing.data = NULL;
    g->nodes[second].params[0] = &missing;
    struct eg_run *r;
    assert_int_equal(eg__run_create(g, &second, 1, NULL, NULL, &r, NULL), EG_E_ARGUMENT);
    assert_int_equal(eg__run_create(g, &first, 1, NULL, NULL, &r, NULL), EG_OK);
    assert_int_equal(eg__run_step_count(r), 1);
    eg__run_free(r);
    uint32_t twice[2] = {first, first}, none = 99;
    assert_int_equal(eg__run_create(g, twice, 2, NULL, NULL, &r, NULL), EG_E_ARGUMENT);
    assert_int_equal(eg__run_create(g, &none, 1, NULL, NULL, &r, NULL), EG_E_ARGUMENT);
    assert_int_equal(eg__run_create(g, &first, 0, NULL, NULL, &r, NULL), EG_E_ARGUMENT);
    eg__graph_free(g);
}

int main(int argc, char **argv)
{
    seed = argc > 1 ? strtoull(argv[1], NULL, 10) : (uint64_t)time(NULL);
    printf("seed %llu\n", (unsigned long long)seed);
    eg__rng_init(&rng, seed, 0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_operator),
        cmocka_unit_test(test_trees),
        cmocka_unit_test(test_convolutions),
        cmocka_unit_test(test_random_networks),
        cmocka_unit_test(test_promises),
        cmocka_unit_test(test_pixels),
        cmocka_unit_test(test_chunks),
        cmocka_unit_test(test_made_before),
        cmocka_unit_test(test_joined_with_itself),
        cmocka_unit_test(test_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
