/* Views of an image through a graph: what comes out is the mean of what each view gives alone, whatever the
 * batch and the threads; what is the same for every image is there for every view; and what no view may be.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

#include "base/rng.h"
#include "graph/graph.h"
#include "net/net.h"

enum { H = 9, W = 11, C = 3, N = 7, K = 5 };

static struct eg_graph *begin(size_t h, size_t w, uint32_t *image)
{
    struct eg_graph *g;
    struct eg_error err;
    struct eg_node input = {.op = EG_OP_INPUT, .name = "image", .shape = eg__map_shape(h, w, C)};
    if (eg__graph_create("views", &g, &err) || eg__graph_add(g, &input, image, &err))
        fail_msg("%s", err.message);
    return g;
}

static uint32_t add(struct eg_graph *g, struct eg_node node)
{
    struct eg_error err;
    uint32_t at = 0;
    if (eg__graph_add(g, &node, &at, &err)) fail_msg("%s", err.message);
    return at;
}

/* A convolution, a constant added (the same for every image), and a mean over the positions. */
static uint32_t add_trunk(struct eg_graph *g, uint32_t from)
{
    static float weight[K * 3 * 3 * C], shift[K];
    struct eg_rng rng;
    eg__rng_init(&rng, 3, 0);
    for (size_t i = 0; i < sizeof weight / sizeof *weight; i++) weight[i] = (float)eg__rng_normal(&rng);
    for (size_t i = 0; i < K; i++) shift[i] = (float)eg__rng_normal(&rng);
    struct eg_node conv = {.op = EG_OP_CONV,
                           .name = "conv",
                           .n_inputs = 1,
                           .inputs = {from},
                           .groups = 1,
                           .window = {3, 3, 1, 1, 1, 1, 1, 1, 1, 1, EG_PAD_EXPLICIT}};
    conv.params[0] = eg__graph_constant(g, "weight", 4, (size_t[]){K, 3, 3, C}, weight);
    const uint32_t made = add(g, conv);
    struct eg_node constant = {.op = EG_OP_CONSTANT, .name = "shift"};
    constant.params[0] = eg__graph_constant(g, "value", 3, (size_t[]){1, 1, K}, shift);
    const uint32_t same = add(g, constant);
    const uint32_t sum =
        add(g, (struct eg_node){.op = EG_OP_ADD, .name = "sum", .n_inputs = 2, .inputs = {made, same}});
    const uint32_t relu =
        add(g, (struct eg_node){.op = EG_OP_RELU, .name = "relu", .n_inputs = 1, .inputs = {sum}});
    return add(g, (struct eg_node){.op = EG_OP_GLOBAL_AVG, .name = "mean", .n_inputs = 1, .inputs = {relu}});
}

static struct eg_node views_node(struct eg_graph *g, uint32_t from, uint32_t n, size_t h, size_t w,
                                 const int32_t *places)
{
    int32_t *own = eg__graph_memory(g, 3 * (size_t)n, sizeof *own);
    memcpy(own, places, 3 * (size_t)n * sizeof *own);
    struct eg_tensor tensor = {.name = "places", .data = own, .dtype = EG_I32, .rank = 2, .dim = {n, 3}};
    eg__tensor_pack_strides(&tensor);
    struct eg_node node = {.op = EG_OP_VIEWS,
                           .name = "views",
                           .n_inputs = 1,
                           .inputs = {from},
                           .size = n,
                           .out_h = (uint32_t)h,
                           .out_w = (uint32_t)w};
    node.params[0] = eg__graph_tensor(g, &tensor);
    return node;
}

static void run(const struct eg_graph *g, uint32_t output, size_t batch, const float *images, size_t n,
                eg_pool *pool, float *out)
{
    struct eg_run *made;
    struct eg_error err;
    struct eg_run_options options = {.max_batch = batch};
    const size_t in = eg__shape_count(g->nodes[0].shape), each = eg__shape_count(g->nodes[output].shape);
    if (eg__run_create(g, &output, 1, &options, pool, &made, &err)) fail_msg("%s", err.message);
    for (size_t first = 0; first < n; first += batch) {
        float *to = out + first * each;
        if (eg__run_forward(made, images + first * in, n - first < batch ? n - first : batch, &to, &err))
            fail_msg("%s", err.message);
    }
    eg__run_free(made);
}

static void the_mean_of_what_each_gives(void **state)
{
    (void)state;
    const int32_t flip[6] = {0, 0, 0, 0, 0, 1}, crops[9] = {0, 0, 0, 2, 3, 0, 1, 0, 0};
    static float images[N * H * W * C], one[N * H * W * C], want[N * K], each[N * K], found[N * K];
    struct eg_rng rng;
    eg__rng_init(&rng, 5, 0);
    for (size_t i = 0; i < sizeof images / sizeof *images; i++) images[i] = (float)eg__rng_normal(&rng);
    eg_pool *pool;
    struct eg_error err;
    if (eg_pool_create(3, &pool, &err)) fail_msg("%s", err.message);
    for (int kind = 0; kind < 2; kind++) {
        const int32_t *places = kind ? crops : flip;
        const uint32_t n = kind ? 3 : 2;
        const size_t h = kind ? 7 : H, w = kind ? 8 : W;
        uint32_t image, at;
        struct eg_graph *plain = begin(h, w, &image);
        const uint32_t alone = add_trunk(plain, image);
        memset(want, 0, sizeof want);
        for (uint32_t v = 0; v < n; v++) {
            for (size_t i = 0; i < N; i++)
                for (size_t y = 0; y < h; y++)
                    for (size_t x = 0; x < w; x++) {
                        const size_t from = places[3 * v + 2] ? w - 1 - x : x;
                        memcpy(one + ((i * h + y) * w + x) * C,
                               images + ((i * H + y + (size_t)places[3 * v]) * W + from +
                                         (size_t)places[3 * v + 1]) *
                                            C,
                               C * sizeof *one);
                    }
            run(plain, alone, N, one, N, NULL, each);
            for (size_t i = 0; i < N * K; i++) want[i] += each[i] / (float)n;
        }
        struct eg_graph *g = begin(H, W, &image);
        at = add(g, views_node(g, image, n, kind ? h : 0, kind ? w : 0, places));
        assert_int_equal(g->nodes[at].times, n);
        at = add_trunk(g, at);
        assert_int_equal(g->nodes[at].times, n);
        at = add(
            g, (struct eg_node){.op = EG_OP_VIEWS_MEAN, .name = "views_mean", .n_inputs = 1, .inputs = {at}});
        assert_int_equal(g->nodes[at].times, 1);
        run(g, at, N, images, N, NULL, found);
        for (size_t i = 0; i < N * K; i++) assert_true(fabs((double)found[i] - (double)want[i]) < 1e-5);
        memcpy(each, found, sizeof each);
        for (size_t batch = 1; batch < N; batch += 2) { /* the same bits */
            run(g, at, batch, images, N, batch > 1 ? pool : NULL, found);
            assert_memory_equal(found, each, sizeof each);
        }
        eg__graph_free(g);
        eg__graph_free(plain);
    }
    eg_pool_free(pool);
}

/* Activations so large that steps run in chunks of the batch. */
static void chunks_are_of_images(void **state)
{
    (void)state;
    enum { SIDE = 400, BIG = 5 };
    const int32_t flip[6] = {0, 0, 0, 0, 0, 1};
    uint32_t image;
    struct eg_graph *g = begin(SIDE, SIDE, &image);
    uint32_t at = add_trunk(g, add(g, views_node(g, image, 2, 0, 0, flip)));
    at =
        add(g, (struct eg_node){.op = EG_OP_VIEWS_MEAN, .name = "views_mean", .n_inputs = 1, .inputs = {at}});
    float *images = malloc(sizeof(float) * BIG * SIDE * SIDE * C), one[BIG * K], all[BIG * K];
    assert_non_null(images);
    for (size_t i = 0; i < (size_t)BIG * SIDE * SIDE * C; i++)
        images[i] = (float)((i * 7919) % 1013) / 500 - 1;
    run(g, at, 1, images, BIG, NULL, one);
    run(g, at, BIG, images, BIG, NULL, all);
    assert_memory_equal(one, all, sizeof one);
    free(images);
    eg__graph_free(g);
}

static void what_no_view_may_be(void **state)
{
    (void)state;
    const int32_t outside[6] = {0, 0, 0, 5, 0, 0}, inside[6] = {0, 0, 0, 1, 1, 1};
    uint32_t image, at;
    struct eg_error err;
    struct eg_graph *g = begin(H, W, &image);
    struct eg_node node = views_node(g, image, 2, 7, 8, outside);
    assert_int_equal(eg__graph_add(g, &node, &at, &err), EG_E_SHAPE); /* 5 + 7 > 9 */
    node = views_node(g, image, 2, 7, 8, inside);
    node.size = 3; /* more than are said */
    assert_int_equal(eg__graph_add(g, &node, &at, &err), EG_E_SHAPE);
    node.size = 2;
    at = add(g, node);
    struct eg_node again = views_node(g, at, 2, 0, 0, (const int32_t[6]){0});
    uint32_t index;
    assert_int_equal(eg__graph_add(g, &again, &index, &err), EG_E_SHAPE); /* views of views */
    struct eg_node mean = {.op = EG_OP_VIEWS_MEAN, .name = "m", .n_inputs = 1, .inputs = {image}};
    assert_int_equal(eg__graph_add(g, &mean, &index, &err), EG_E_SHAPE); /* of one */
    struct eg_node pool = {.op = EG_OP_GLOBAL_AVG, .name = "a", .n_inputs = 1, .inputs = {at}};
    const uint32_t a = add(g, pool);
    pool.inputs[0] = image;
    pool.name = "b";
    const uint32_t b = add(g, pool);
    struct eg_node both = {.op = EG_OP_ADD, .name = "both", .n_inputs = 2, .inputs = {a, b}};
    assert_int_equal(eg__graph_add(g, &both, &index, &err), EG_E_SHAPE); /* two views and one image */
    struct eg_run *run_made;
    assert_int_equal(eg__run_create(g, &a, 1, NULL, NULL, &run_made, &err), EG_E_ARGUMENT);
    eg__graph_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_mean_of_what_each_gives),
        cmocka_unit_test(chunks_are_of_images),
        cmocka_unit_test(what_no_view_may_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
