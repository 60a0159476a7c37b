/* Values of any rank at work against the same in double: transposed, cut, gathered, spread, multiplied,
 * attended to, in windows as Swin has them; every layer asked for at once and alone, which takes views and
 * copies in turn; an image's row is the same bits whatever the batch and the threads. */
#include <stdio.h>

#include "base/rng.h"
#include "net/net.h"
#include "reference.h"

enum { BATCH = 3 };

static struct eg_rng rng;

static const struct eg_tensor *numbers(struct eg_graph *g, uint8_t rank, const size_t *dim)
{
    size_t n = 1;
    for (unsigned i = 0; i < rank; i++) n *= dim[i];
    float *x = eg__graph_memory(g, n, sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; i < n; i++) x[i] = (float)eg__rng_normal(&rng);
    const struct eg_tensor *made = eg__graph_constant(g, NULL, rank, dim, x);
    assert_non_null(made);
    return made;
}

static uint32_t add(struct eg_graph *g, enum eg_op op, uint32_t from, struct eg_node node)
{
    uint32_t index;
    struct eg_error err = {0};
    node.op = op;
    node.name = eg__op_info[op].text;
    if (!node.n_inputs && op != EG_OP_CONSTANT && op != EG_OP_INPUT) {
        node.n_inputs = 1;
        node.inputs[0] = from;
    }
    if (eg__graph_add(g, &node, &index, &err)) fail_msg("%s", err.message);
    g->output = index;
    return index;
}

static uint32_t two(struct eg_graph *g, enum eg_op op, uint32_t a, uint32_t b)
{
    return add(g, op, 0, (struct eg_node){.n_inputs = 2, .inputs = {a, b}});
}

static struct eg_graph *start(size_t h, size_t w, size_t c)
{
    struct eg_graph *g;
    assert_int_equal(eg__graph_create("arrays", &g, NULL), EG_OK);
    add(g, EG_OP_INPUT, 0, (struct eg_node){.shape = {3, {h, w, c}}});
    return g;
}

static uint32_t linear(struct eg_graph *g, uint32_t from, size_t in, size_t out)
{
    struct eg_node node = {.params = {numbers(g, 2, (size_t[]){out, in}), numbers(g, 1, (size_t[]){out})}};
    return add(g, EG_OP_LINEAR, from, node);
}

/* Shifted windows of 2 x 3 pixels in a map of 4 x 6 x 10, two heads, a mask a window, and back. */
static struct eg_graph *windows(void)
{
    struct eg_graph *g = start(4, 6, 10);
    uint32_t x = add(g, EG_OP_TANH, 0, (struct eg_node){.alpha = 0}), part[3], half[2];
    half[0] = add(g, EG_OP_SLICE, x, (struct eg_node){.axis = 2, .begin = 1, .end = 4});
    half[1] = add(g, EG_OP_SLICE, x, (struct eg_node){.axis = 2, .begin = 0, .end = 1});
    uint32_t y =
        add(g, EG_OP_CONCAT, 0, (struct eg_node){.n_inputs = 2, .inputs = {half[0], half[1]}, .axis = 2});
    y = add(g, EG_OP_RESHAPE, y, (struct eg_node){.to = {5, {2, 2, 2, 3, 10}}});
    y = add(g, EG_OP_TRANSPOSE, y, (struct eg_node){.order = {0, 2, 1, 3, 4}});
    y = add(g, EG_OP_RESHAPE, y, (struct eg_node){.to = {3, {4, 6, 10}}});
    y = add(g, EG_OP_LAYER_NORM, y, (struct eg_node){.epsilon = 1e-5f});
    y = linear(g, y, 10, 30);
    y = add(g, EG_OP_RESHAPE, y, (struct eg_node){.to = {5, {4, 6, 3, 2, 5}}});
    y = add(g, EG_OP_TRANSPOSE, y, (struct eg_node){.order = {2, 0, 3, 1, 4}});
    for (unsigned i = 0; i < 3; i++) {
        part[i] = add(g, EG_OP_SLICE, y, (struct eg_node){.axis = 4, .begin = i, .end = i + 1});
        part[i] = add(g, EG_OP_RESHAPE, part[i], (struct eg_node){.to = {4, {4, 2, 6, 5}}});
    }
    struct eg_node attend = {.n_inputs = 3, .inputs = {part[0], part[1], part[2]}, .alpha = 0.45f};
    attend.params[0] = numbers(g, 4, (size_t[]){4, 1, 6, 6});
    y = add(g, EG_OP_ATTENTION, 0, attend);
    y = add(g, EG_OP_TRANSPOSE, y, (struct eg_node){.order = {0, 2, 1, 3}});
    y = add(g, EG_OP_RESHAPE, y, (struct eg_node){.to = {5, {2, 2, 2, 3, 10}}});
    y = add(g, EG_OP_TRANSPOSE, y, (struct eg_node){.order = {0, 2, 1, 3, 4}});
    y = add(g, EG_OP_RESHAPE, y, (struct eg_node){.to = {3, {4, 6, 10}}});
    y = two(g, EG_OP_ADD, y, x);
    add(g, EG_OP_GLOBAL_AVG, y, (struct eg_node){.alpha = 0});
    return g;
}

/* Long rows of products, cut in blocks; keys that are turned; a mask that is a layer. */
static struct eg_graph *products(void)
{
    struct eg_graph *g = start(10, 10, 12);
    uint32_t x = add(g, EG_OP_RESHAPE, 0, (struct eg_node){.to = {2, {100, 12}}});
    uint32_t turned = add(g, EG_OP_TRANSPOSE, x, (struct eg_node){.order = {1, 0}});
    uint32_t table = two(g, EG_OP_MATMUL, x, turned), small = two(g, EG_OP_MATMUL, turned, x);
    table = add(g, EG_OP_SOFTMAX, table, (struct eg_node){.alpha = 0});
    uint32_t y = two(g, EG_OP_MATMUL, table, two(g, EG_OP_MATMUL, x, small));
    uint32_t heads = add(g, EG_OP_RESHAPE, y, (struct eg_node){.to = {3, {100, 3, 4}}});
    heads = add(g, EG_OP_TRANSPOSE, heads, (struct eg_node){.order = {1, 0, 2}});
    heads = add(g, EG_OP_LAYER_NORM, heads, (struct eg_node){.epsilon = 1e-5f});
    uint32_t mask = add(g, EG_OP_REDUCE_MEAN, x, (struct eg_node){.alpha = 0});
    uint32_t attended =
        add(g, EG_OP_ATTENTION, 0,
            (struct eg_node){.n_inputs = 4, .inputs = {heads, heads, heads, mask}, .alpha = 0.5f});
    /* one matrix for all heads; one side spread */
    struct eg_node shared = {.params = {numbers(g, 2, (size_t[]){4, 5})}};
    uint32_t matrix = add(g, EG_OP_CONSTANT, 0, shared);
    y = two(g, EG_OP_MATMUL, attended, matrix);
    uint32_t row = add(g, EG_OP_SLICE, y, (struct eg_node){.axis = 2, .begin = 2, .end = 3});
    y = two(g, EG_OP_SUB, y, row);
    uint32_t column = add(g, EG_OP_SLICE, y, (struct eg_node){.axis = 1, .begin = 7, .end = 8});
    uint32_t outer = two(g, EG_OP_MUL, column, add(g, EG_OP_REDUCE_MAX, y, (struct eg_node){.alpha = 0}));
    add(g, EG_OP_RELU, two(g, EG_OP_MAX, outer, y), (struct eg_node){.alpha = 0});
    return g;
}

static void assert_row(const struct eg_graph *g, uint32_t node, const float *got, const double *want)
{
    const size_t n = eg__shape_count(g->nodes[node].shape);
    double largest = 1e-6;
    for (size_t i = 0; i < n; i++) largest = fmax(largest, fabs(want[i]));
    for (size_t i = 0; i < n; i++)
        if (!(fabs((double)got[i] - want[i]) <= 2e-5 * largest))
            fail_msg("layer '%s' at %zu of %zu: %g, not %g", g->nodes[node].name, i, n, (double)got[i],
                     want[i]);
}

/* Layers `list` of BATCH images in one run of `batch` images at a time, into out[i] [BATCH][length]. */
static void run(const struct eg_graph *g, const uint32_t *list, size_t n, size_t batch, unsigned threads,
                const float *images, float **out)
{
    struct eg_error err = {0};
    struct eg_run *made;
    eg_pool *pool;
    float *at[64];
    const size_t in = eg__shape_count(g->nodes[0].shape);
    assert_true(n <= 64);
    assert_int_equal(eg_pool_create(threads, &pool, NULL), EG_OK);
    if (eg__run_create(g, list, n, &(struct eg_run_options){.max_batch = batch}, pool, &made, &err))
        fail_msg("%s", err.message);
    for (size_t first = 0; first < BATCH; first += batch) {
        for (size_t i = 0; i < n; i++) at[i] = out[i] + first * eg__shape_count(g->nodes[list[i]].shape);
        assert_int_equal(eg__run_forward(made, images + first * in, batch, at, NULL), EG_OK);
    }
    eg__run_free(made);
    eg_pool_free(pool);
}

static void check(struct eg_graph *g)
{
    const size_t in = eg__shape_count(g->nodes[0].shape);
    float *images = malloc(BATCH * in * sizeof *images), *all[64], *one[64];
    struct reference_value *want[BATCH];
    uint32_t list[64], n = 0;
    for (size_t i = 0; i < BATCH * in; i++) images[i] = (float)eg__rng_normal(&rng);
    for (size_t i = 0; i < BATCH; i++) want[i] = reference_run(g, images + i * in);
    for (uint32_t i = 1; i < g->n_nodes; i++, n++) {
        list[n] = i;
        all[n] = malloc(BATCH * eg__shape_count(g->nodes[i].shape) * sizeof(float));
        one[n] = malloc(BATCH * eg__shape_count(g->nodes[i].shape) * sizeof(float));
    }
    run(g, list, n, BATCH, 2, images, all);
    for (uint32_t i = 0; i < n; i++) {
        const size_t count = eg__shape_count(g->nodes[list[i]].shape);
        for (size_t b = 0; b < BATCH; b++) assert_row(g, list[i], all[i] + b * count, want[b][list[i]].x);
        run(g, &list[i], 1, 1, 1, images, &one[i]); /* alone, image by image */
        assert_memory_equal(one[i], all[i], BATCH * count * sizeof(float));
        run(g, &list[i], 1, BATCH, 3, images, &one[i]);
        assert_memory_equal(one[i], all[i], BATCH * count * sizeof(float));
    }
    for (size_t i = 0; i < BATCH; i++) reference_free(g, want[i]);
    for (uint32_t i = 0; i < n; i++) {
        free(all[i]);
        free(one[i]);
    }
    free(images);
    eg__graph_free(g);
}

static void windows_as_in_double(void **state)
{
    (void)state;
    check(windows());
}

static void products_as_in_double(void **state)
{
    (void)state;
    check(products());
}

int main(void)
{
    eg__rng_init(&rng, 11, 0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_as_in_double),
        cmocka_unit_test(products_as_in_double),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
