/* Every operator's gradient against finite differences: a learned 1x1 convolution feeds the
 * operator, so its weights see the gradient of the operator's input; the operator's own
 * parameters are learned too. The derivative of sum(d y) along a random direction must be the
 * difference quotient. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "check.h"
#include "net/tape.h"

enum { H = 7, W = 6, C = 16, BATCH = 3 };

static struct eg_rng rng;

static float normal(void) { return (float)eg__rng_normal(&rng); }

static const struct eg_tensor *tensor(struct eg_graph *graph, uint8_t rank, const size_t *dim, float scale,
                                      float offset)
{
    size_t n = 1;
    for (uint8_t i = 0; i < rank; i++) n *= dim[i];
    float *values = malloc(n * sizeof *values);
    assert_non_null(values);
    for (size_t i = 0; i < n; i++) values[i] = offset + scale * normal();
    struct eg_tensor *made = eg__graph_constant(graph, NULL, rank, dim, values);
    free(values);
    assert_non_null(made);
    return made;
}

static uint32_t add(struct eg_graph *graph, struct eg_node node)
{
    uint32_t index = 0;
    struct eg_error err = {0};
    if (eg__graph_add(graph, &node, &index, &err)) fail_msg("%s", err.message);
    graph->output = index;
    return index;
}

static struct eg_window window(uint32_t kernel, uint32_t stride, uint32_t dilation, uint32_t pad)
{
    return (struct eg_window){kernel, kernel, stride, stride, dilation,       dilation,
                              pad,    pad,    pad,    pad,    EG_PAD_EXPLICIT};
}

/* input, then a learned convolution to `channels`: node 1. */
static struct eg_graph *start(size_t h, size_t w, size_t channels)
{
    struct eg_graph *graph;
    assert_int_equal(eg__graph_create("test", &graph, NULL), EG_OK);
    add(graph, (struct eg_node){.op = EG_OP_INPUT, .name = "input", .shape = {3, {h, w, 4}}});
    add(graph, (struct eg_node){.op = EG_OP_CONV,
                                .name = "first",
                                .n_inputs = 1,
                                .inputs = {0},
                                .groups = 1,
                                .window = window(1, 1, 1, 0),
                                .params = {tensor(graph, 4, (size_t[]){channels, 1, 1, 4}, 0.5f, 0),
                                           tensor(graph, 1, (size_t[]){channels}, 0.5f, 0)}});
    return graph;
}

static double loss(struct eg_tape *tape, const float *images, const float *d, size_t n_out)
{
    struct eg_error err;
    const float *y;
    if (eg__tape_forward(tape, &images, BATCH, true, 5, &y, &err)) fail_msg("%s", err.message);
    double sum = 0;
    for (size_t i = 0; i < n_out; i++) sum += (double)d[i] * (double)y[i];
    return sum;
}

/* The slope along random directions against (f(x + s v) - f(x - s v)) / 2s. */
static void compare_slopes(const char *what, struct eg_tape *tape, const float *found, const float *images,
                           const float *d, size_t n_out)
{
    size_t n;
    float *values = eg__tape_values(tape, &n), *direction = malloc(n * sizeof *direction),
          *at = malloc(n * sizeof *at);
    memcpy(at, values, n * sizeof *at);
    for (int trial = 0; trial < 3; trial++) {
        double slope = 0, size = 0;
        for (size_t i = 0; i < n; i++) {
            direction[i] = normal();
            slope += (double)direction[i] * (double)found[i];
            size += fabs((double)direction[i] * (double)found[i]);
        }
        double bound = 0.004 * size + 0.02, quotient = 0;
        /* where max or relu bends between the two points a smaller step does better, where
           float32 rounds a larger one does */
        static const float steps[] = {5e-4f, 1e-4f, 2e-5f};
        for (int k = 0; k < 3 && (!k || fabs(quotient - slope) > bound); k++) {
            for (size_t i = 0; i < n; i++) values[i] = at[i] + steps[k] * direction[i];
            double up = loss(tape, images, d, n_out);
            for (size_t i = 0; i < n; i++) values[i] = at[i] - steps[k] * direction[i];
            quotient = (up - loss(tape, images, d, n_out)) / (2 * (double)steps[k]);
        }
        memcpy(values, at, n * sizeof *at);
        if (!(fabs(quotient - slope) <= bound) || !(size > 0))
            fail_msg("%s, trial %d: gradient %g, difference quotient %g (bound %g)", what, trial, slope,
                     quotient, bound);
    }
    free(direction);
    free(at);
}

/* Check and free the graph. */
static void check(const char *what, struct eg_graph *graph)
{
    struct eg_error err = {0};
    bool trainable[64];
    memset(trainable, true, sizeof trainable);
    size_t n_in = BATCH * eg__shape_count(graph->nodes[0].shape);
    size_t n_out = BATCH * eg__shape_count(graph->nodes[graph->output].shape), n_values = 0;
    float *images = malloc(n_in * sizeof *images), *d = malloc(n_out * sizeof *d), *first = NULL;
    for (size_t i = 0; i < n_in; i++) images[i] = normal();
    for (size_t i = 0; i < n_out; i++) d[i] = normal();
    for (unsigned threads = 1; threads <= 3; threads += 2) { /* the same bits with one and three */
        eg_pool *pool;
        assert_int_equal(eg_pool_create(threads, &pool, NULL), EG_OK);
        struct eg_tape_options options = {
            .max_batch = BATCH, .trainable = trainable, .train_batch_norm = true, .seed = 3};
        struct eg_tape *tape;
        if (eg__tape_create(graph, &options, pool, &tape, &err)) fail_msg("%s: %s", what, err.message);
        eg__tape_values(tape, &n_values);
        loss(tape, images, d, n_out);
        assert_int_equal(eg__tape_backward(tape, d, &err), EG_OK);
        if (!first) {
            first = malloc(n_values * sizeof *first);
            memcpy(first, eg__tape_gradients(tape), n_values * sizeof *first);
            compare_slopes(what, tape, first, images, d, n_out);
        } else {
            assert_memory_equal(first, eg__tape_gradients(tape), n_values * sizeof *first);
        }
        eg__tape_free(tape);
        eg_pool_free(pool);
    }
    free(first);
    free(images);
    free(d);
    eg__graph_free(graph);
}

static void convolutions(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        size_t in, out;
        uint32_t kernel, stride, dilation, pad, groups;
    } cases[] = {
        {"1x1", 16, 8, 1, 1, 1, 0, 1},
        {"1x1 stride 2", 16, 8, 1, 2, 1, 0, 1},
        {"3x3 winograd", 16, 32, 3, 1, 1, 1, 1},
        {"3x3 winograd, no padding", 32, 16, 3, 1, 1, 0, 1},
        {"3x3 odd channels", 5, 7, 3, 1, 1, 1, 1},
        {"3x3 stride 2", 16, 16, 3, 2, 1, 1, 1},
        {"3x3 dilated", 16, 16, 3, 1, 2, 2, 1},
        {"5x5", 6, 6, 5, 1, 1, 2, 1},
        {"3x3 grouped", 16, 32, 3, 1, 1, 1, 4},
        {"3x3 stride 2 grouped", 12, 6, 3, 2, 1, 1, 3},
        {"depthwise", 16, 16, 3, 1, 1, 1, 16},
        {"depthwise stride 2", 20, 20, 3, 2, 1, 1, 20},
        {"depthwise 5x5 dilated", 8, 8, 5, 1, 1, 2, 8},
        {"depthwise, two filters each", 8, 16, 3, 1, 1, 1, 8},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct eg_graph *graph = start(H, W, cases[i].in);
        uint32_t k = cases[i].kernel;
        size_t weight[] = {cases[i].out, k, k, cases[i].in / cases[i].groups}, bias[] = {cases[i].out};
        add(graph,
            (struct eg_node){.op = EG_OP_CONV,
                             .name = "conv",
                             .n_inputs = 1,
                             .inputs = {1},
                             .groups = cases[i].groups,
                             .window = window(k, cases[i].stride, cases[i].dilation, cases[i].pad),
                             .params = {tensor(graph, 4, weight, 0.3f, 0), tensor(graph, 1, bias, 0.3f, 0)}});
        check(cases[i].what, graph);
    }
}

static void one_input(void **state)
{
    (void)state;
    static const struct eg_node nodes[] = {
        {.op = EG_OP_RELU, .name = "relu"},
        {.op = EG_OP_LEAKY_RELU, .name = "leaky", .alpha = 0.1f},
        {.op = EG_OP_CLIP, .name = "clip", .alpha = -0.5f, .beta = 1},
        {.op = EG_OP_SIGMOID, .name = "sigmoid"},
        {.op = EG_OP_HARD_SIGMOID, .name = "hard_sigmoid", .alpha = 0.2f, .beta = 0.5f},
        {.op = EG_OP_HARD_SWISH, .name = "hard_swish"},
        {.op = EG_OP_SILU, .name = "silu"},
        {.op = EG_OP_GELU, .name = "gelu"},
        {.op = EG_OP_GELU_TANH, .name = "gelu_tanh"},
        {.op = EG_OP_TANH, .name = "tanh"},
        {.op = EG_OP_ERF, .name = "erf"},
        {.op = EG_OP_EXP, .name = "exp"},
        {.op = EG_OP_ABS, .name = "abs"},
        {.op = EG_OP_NEG, .name = "neg"},
        {.op = EG_OP_POW, .name = "pow", .alpha = 2},
        {.op = EG_OP_IDENTITY, .name = "identity"},
        {.op = EG_OP_DROPOUT, .name = "dropout", .alpha = 0.4f},
        {.op = EG_OP_SOFTMAX, .name = "softmax"},
        {.op = EG_OP_REDUCE_SUM, .name = "sum"},
        {.op = EG_OP_REDUCE_MEAN, .name = "mean"},
        {.op = EG_OP_REDUCE_MAX, .name = "max"},
        {.op = EG_OP_SLICE, .name = "slice", .begin = 3, .end = 9},
        {.op = EG_OP_CHANNEL_SHUFFLE, .name = "shuffle", .groups = 4},
        {.op = EG_OP_FLATTEN, .name = "flatten_chw", .order_chw = true},
        {.op = EG_OP_FLATTEN, .name = "flatten_hwc"},
        {.op = EG_OP_PAD,
         .name = "pad",
         .window = {.pad_top = 1, .pad_left = 2, .pad_bottom = 3, .pad_right = 1}},
        {.op = EG_OP_GLOBAL_AVG, .name = "global_avg"},
        {.op = EG_OP_GLOBAL_MAX, .name = "global_max"},
        {.op = EG_OP_GLOBAL_GEM, .name = "gem", .alpha = 3, .beta = 1e-6f},
        {.op = EG_OP_ADAPTIVE_POOL, .name = "adaptive", .out_h = 3, .out_w = 4},
        {.op = EG_OP_LRN, .name = "lrn", .size = 5, .alpha = 0.5f, .beta = 0.75f, .bias = 1},
    };
    for (size_t i = 0; i < sizeof nodes / sizeof *nodes; i++) {
        struct eg_graph *graph = start(H, W, C);
        struct eg_node node = nodes[i];
        node.n_inputs = 1;
        node.inputs[0] = 1;
        add(graph, node);
        check(node.name, graph);
    }
    struct eg_graph *graph = start(H, W, C); /* sqrt of something positive */
    add(graph, (struct eg_node){.op = EG_OP_EXP, .name = "exp", .n_inputs = 1, .inputs = {1}});
    add(graph, (struct eg_node){.op = EG_OP_SQRT, .name = "sqrt", .n_inputs = 1, .inputs = {2}});
    check("sqrt", graph);
}

static void pools(void **state)
{
    (void)state;
    for (int i = 0; i < 12; i++) {
        struct eg_graph *graph = start(H, W, C);
        add(graph, (struct eg_node){.op = i % 2 ? EG_OP_MAX_POOL : EG_OP_AVG_POOL,
                                    .name = "pool",
                                    .n_inputs = 1,
                                    .inputs = {1},
                                    .window = window(i % 3 ? 3 : 2, i % 4 < 2 ? 2 : 1, 1, i % 3 ? 1 : 0),
                                    .ceil_mode = i >= 6,
                                    .count_include_pad = i % 4 < 2});
        check(i % 2 ? "max pool" : "average pool", graph);
    }
}

static void norms(void **state)
{
    (void)state;
    for (int layer = 0; layer < 2; layer++) {
        struct eg_graph *graph = start(H, W, C);
        size_t c[] = {C};
        struct eg_node norm = {.op = layer ? EG_OP_LAYER_NORM : EG_OP_BATCH_NORM,
                               .name = "norm",
                               .n_inputs = 1,
                               .inputs = {1},
                               .epsilon = 1e-3f,
                               .params = {tensor(graph, 1, c, 0.3f, 1), tensor(graph, 1, c, 0.3f, 0)}};
        if (!layer) {
            norm.params[2] = tensor(graph, 1, c, 0.3f, 0);
            norm.params[3] = tensor(graph, 1, c, 0, 1);
        }
        add(graph, norm);
        if (!layer)
            add(graph, (struct eg_node){.op = EG_OP_RELU, .name = "relu", .n_inputs = 1, .inputs = {2}});
        check(layer ? "layer_norm" : "batch_norm", graph);
    }
}

static void two_inputs(void **state)
{
    (void)state;
    static const enum eg_op ops[] = {EG_OP_ADD, EG_OP_SUB, EG_OP_MUL, EG_OP_DIV, EG_OP_MAX, EG_OP_MIN};
    for (size_t i = 0; i < 6; i++)
        for (int kind = 0; kind < 5; kind++) {
            struct eg_graph *graph = start(H, W, C);
            struct eg_node node = {.op = ops[i], .name = "op", .n_inputs = 2, .inputs = {2, 3}};
            add(graph, (struct eg_node){.op = EG_OP_TANH, .name = "left", .n_inputs = 1, .inputs = {1}});
            /* away from zero, so that dividing by it is tame */
            add(graph, (struct eg_node){.op = EG_OP_SIGMOID, .name = "right", .n_inputs = 1, .inputs = {1}});
            if (kind == 1) { /* squeeze-and-excitation's shape */
                add(graph,
                    (struct eg_node){.op = EG_OP_GLOBAL_AVG, .name = "avg", .n_inputs = 1, .inputs = {3}});
                node.inputs[1] = 4;
            } else if (kind == 2) {
                add(graph,
                    (struct eg_node){.op = EG_OP_REDUCE_MEAN, .name = "mean", .n_inputs = 1, .inputs = {3}});
                node.inputs[1] = 4;
            } else if (kind >= 3) {
                node.n_inputs = 1;
                node.swapped = kind == 4;
                if (kind == 4) node.inputs[0] = 3;
                node.params[0] = tensor(graph, 1, (size_t[]){C}, 0.1f, 1);
            }
            add(graph, node);
            check(eg__op_info[ops[i]].text, graph);
        }
}

static void joins(void **state)
{
    (void)state;
    struct eg_graph *graph = start(H, W, C);
    add(graph, (struct eg_node){.op = EG_OP_TANH, .name = "a", .n_inputs = 1, .inputs = {1}});
    add(graph, (struct eg_node){.op = EG_OP_RELU, .name = "b", .n_inputs = 1, .inputs = {2}});
    add(graph, (struct eg_node){.op = EG_OP_CONCAT, .name = "concat", .n_inputs = 3, .inputs = {2, 3, 2}});
    check("concat", graph);

    graph = start(H, W, C); /* a residual block: two consumers of one value */
    size_t c[] = {C}, w[] = {C, 3, 3, C}, head[] = {5, C}, classes[] = {5};
    add(graph, (struct eg_node){.op = EG_OP_RELU, .name = "relu", .n_inputs = 1, .inputs = {1}});
    add(graph, (struct eg_node){.op = EG_OP_CONV,
                                .name = "conv",
                                .n_inputs = 1,
                                .inputs = {2},
                                .groups = 1,
                                .window = window(3, 1, 1, 1),
                                .params = {tensor(graph, 4, w, 0.2f, 0)}});
    add(graph, (struct eg_node){.op = EG_OP_BATCH_NORM,
                                .name = "bn",
                                .n_inputs = 1,
                                .inputs = {3},
                                .epsilon = 1e-5f,
                                .params = {tensor(graph, 1, c, 0.2f, 1), tensor(graph, 1, c, 0.2f, 0),
                                           tensor(graph, 1, c, 0.2f, 0), tensor(graph, 1, c, 0, 1)}});
    add(graph, (struct eg_node){.op = EG_OP_ADD, .name = "add", .n_inputs = 2, .inputs = {4, 2}});
    add(graph, (struct eg_node){.op = EG_OP_RELU, .name = "out", .n_inputs = 1, .inputs = {5}});
    add(graph, (struct eg_node){.op = EG_OP_GLOBAL_AVG, .name = "avg", .n_inputs = 1, .inputs = {6}});
    add(graph,
        (struct eg_node){.op = EG_OP_LINEAR,
                         .name = "fc",
                         .n_inputs = 1,
                         .inputs = {7},
                         .params = {tensor(graph, 2, head, 0.3f, 0), tensor(graph, 1, classes, 0.3f, 0)}});
    check("residual block", graph);
}

static uint32_t move(struct eg_graph *graph, enum eg_op op, uint32_t from, struct eg_node node)
{
    node.op = op;
    node.n_inputs = 1;
    node.inputs[0] = from;
    node.name = eg__op_info[op].text;
    return add(graph, node);
}

/* Tokens [43][16] of the pixels one of them twice, as [2 heads][43][8] of queries, keys and values. */
static struct eg_graph *heads(uint32_t part[3])
{
    struct eg_graph *graph = start(H, W, C);
    const uint32_t pixels = move(graph, EG_OP_RESHAPE, 1, (struct eg_node){.to = {2, {H * W, C}}});
    const uint32_t first =
        move(graph, EG_OP_SLICE, pixels, (struct eg_node){.axis = 1, .begin = 3, .end = 4});
    const uint32_t x =
        add(graph,
            (struct eg_node){
                .op = EG_OP_CONCAT, .name = "tokens", .n_inputs = 2, .inputs = {first, pixels}, .axis = 1});
    struct eg_node qkv = {.params = {tensor(graph, 2, (size_t[]){3 * C, C}, 0.3f, 0)}};
    const uint32_t all = move(graph, EG_OP_LINEAR, x, qkv);
    for (unsigned i = 0; i < 3; i++) {
        uint32_t at = move(graph, EG_OP_SLICE, all, (struct eg_node){.begin = C * i, .end = C * i + C});
        at = move(graph, EG_OP_RESHAPE, at, (struct eg_node){.to = {3, {H * W + 1, 2, C / 2}}});
        part[i] = move(graph, EG_OP_TRANSPOSE, at, (struct eg_node){.order = {1, 0, 2}});
    }
    return graph;
}

/* What cannot be learned through is said, not left out. */
static void check_refused(struct eg_graph *graph)
{
    struct eg_error err = {0};
    struct eg_tape *tape;
    eg_pool *pool;
    bool trainable[64];
    memset(trainable, true, sizeof trainable);
    assert_int_equal(eg_pool_create(1, &pool, NULL), EG_OK);
    assert_int_equal(eg__tape_create(graph, &(struct eg_tape_options){.max_batch = 1, .trainable = trainable},
                                     pool, &tape, &err),
                     EG_E_UNSUPPORTED);
    assert_non_null(strstr(err.message, "has no gradient"));
    eg_pool_free(pool);
    eg__graph_free(graph);
}

static void arrays(void **state)
{
    (void)state;
    uint32_t part[3];
    for (unsigned kind = 0; kind < 4;
         kind++) { /* plain; a constant mask; one that is learned; itself thrice */
        struct eg_graph *graph = heads(part);
        struct eg_node node = {.op = EG_OP_ATTENTION, .name = "attention", .n_inputs = 3, .alpha = 0.4f};
        for (unsigned i = 0; i < 3; i++) node.inputs[i] = part[kind == 3 ? 0 : i];
        if (kind == 1) node.params[0] = tensor(graph, 3, (size_t[]){2, 1, H * W + 1}, 1, 0);
        if (kind == 2) {
            node.n_inputs = 4;
            node.inputs[3] = move(graph, EG_OP_REDUCE_MEAN, part[2], (struct eg_node){.alpha = 0});
        }
        add(graph, node);
        if (kind == 2) {
            check_refused(graph);
            continue;
        }
        check("attention", graph);
    }
    struct eg_graph *graph = heads(part);
    const uint32_t turned = move(graph, EG_OP_TRANSPOSE, part[1], (struct eg_node){.order = {0, 2, 1}});
    struct eg_node product = {
        .op = EG_OP_MATMUL, .name = "products", .n_inputs = 2, .inputs = {part[0], turned}};
    const uint32_t rows = move(graph, EG_OP_SOFTMAX, add(graph, product), (struct eg_node){.alpha = 0});
    product.inputs[0] = rows;
    product.inputs[1] = part[2];
    add(graph, product);
    check("matmul", graph);

    graph = heads(part);
    struct eg_node places = {.axis = 1};
    int32_t *list = eg__graph_memory(graph, 4, sizeof *list);
    assert_non_null(list);
    for (int i = 0; i < 4; i++) list[i] = (int32_t[]){5, 0, 42, 5}[i];
    struct eg_tensor index = {.data = list, .dtype = EG_I32, .rank = 1, .dim = {4}, .stride = {1}};
    places.params[0] = eg__graph_tensor(graph, &index);
    uint32_t at = move(graph, EG_OP_GATHER, part[0], places);
    at = move(graph, EG_OP_SLICE, at, (struct eg_node){.axis = 2, .begin = 1, .end = 2});
    at = move(graph, EG_OP_EXPAND, at, (struct eg_node){.to = {3, {3, 4, C / 2}}});
    at = move(graph, EG_OP_SOFTSIGN, at, (struct eg_node){.alpha = 0});
    at = move(graph, EG_OP_RESHAPE, at, (struct eg_node){.to = {4, {3, 2, 2, C / 2}}});
    struct eg_node wide = {.params = {tensor(graph, 4, (size_t[]){3, 1, 2, 1}, 1, 2)}};
    at = move(graph, EG_OP_MUL, at, wide);
    check("gather, slice, expand, reshape", graph);
    static const enum eg_op more[] = {EG_OP_SOFTPLUS, EG_OP_SOFTSIGN, EG_OP_MISH, EG_OP_SIN, EG_OP_COS};
    for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
        graph = start(H, W, C);
        move(graph, more[i], 1, (struct eg_node){.alpha = 0});
        check(eg__op_info[more[i]].text, graph);
    }
    graph = start(H, W, C);
    move(graph, EG_OP_ELU, 1, (struct eg_node){.alpha = 0.7f, .beta = 1.3f});
    check("elu", graph);
}

static void what_has_no_gradient_is_named(void **state)
{
    (void)state;
    struct eg_graph *graph = start(H, W, C);
    add(graph, (struct eg_node){.op = EG_OP_ARG_MAX, .name = "the_label", .n_inputs = 1, .inputs = {1}});
    bool trainable[8] = {false, true};
    struct eg_tape_options options = {.max_batch = 1, .trainable = trainable};
    struct eg_tape *tape;
    struct eg_error err = {0};
    assert_int_equal(eg__tape_create(graph, &options, NULL, &tape, &err), EG_E_UNSUPPORTED);
    assert_non_null(strstr(err.message, "the_label"));
    trainable[1] = false;
    assert_int_equal(eg__tape_create(graph, &options, NULL, &tape, &err), EG_E_ARGUMENT);
    eg__graph_free(graph);
}

int main(void)
{
    eg__rng_init(&rng, 20261124, 0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(convolutions), cmocka_unit_test(one_input),
        cmocka_unit_test(pools),        cmocka_unit_test(norms),
        cmocka_unit_test(two_inputs),   cmocka_unit_test(joins),
        cmocka_unit_test(arrays),       cmocka_unit_test(what_has_no_gradient_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
