/* A trained classifier as a small graph: scaler, scores, probabilities, label. */
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "learn/linear.h"

enum eg_status eg__head_node(struct eg_graph *graph, enum eg_op op, const char *name, uint32_t from,
                             uint32_t second, const struct eg_tensor *constant, uint32_t *at,
                             struct eg_error *err)
{
    struct eg_node node = {.op = op, .name = name, .n_inputs = second ? 2 : 1, .inputs = {from, second}};
    node.params[0] = constant;
    return eg__graph_add(graph, &node, at, err);
}

static const struct eg_tensor *vector(struct eg_graph *graph, const char *name, size_t n, const float *values)
{
    return eg__graph_constant(graph, name, 1, &n, values);
}

static const struct eg_tensor *vector_of(struct eg_graph *graph, const char *name, size_t n,
                                         const double *values)
{
    float *rounded = eg__alloc(n, sizeof *rounded);
    for (size_t i = 0; rounded && i < n; i++) rounded[i] = (float)values[i];
    const struct eg_tensor *tensor = rounded ? vector(graph, name, n, rounded) : NULL;
    free(rounded);
    return tensor;
}

/* x / sqrt(max(total, tiny)): a row of zeros stays one. */
static enum eg_status divide_by_norm(struct eg_graph *graph, uint32_t x, uint32_t squares, uint32_t *at,
                                     struct eg_error *err)
{
    const float tiny = 1e-30f;
    const struct eg_tensor *least = vector(graph, "tiny", 1, &tiny);
    if (!least) return eg__fail_memory(err, "the head");
    enum eg_status status = eg__head_node(graph, EG_OP_REDUCE_SUM, "norm/sum", squares, 0, NULL, at, err);
    if (!status) status = eg__head_node(graph, EG_OP_MAX, "norm/floor", *at, 0, least, at, err);
    if (!status) status = eg__head_node(graph, EG_OP_SQRT, "norm", *at, 0, NULL, at, err);
    if (!status) status = eg__head_node(graph, EG_OP_DIV, "scaled", x, *at, NULL, at, err);
    return status;
}

/* Columns first .. first+d-1, at node x, scaled. */
static enum eg_status add_scaler(struct eg_graph *g, const struct eg_matrix *m, enum eg_scaling scale,
                                 size_t first, size_t d, uint32_t *at, struct eg_error *err)
{
    uint32_t x = *at, y = 0;
    enum eg_status status = EG_OK;
    if (scale == EG_SCALE_UNIT) {
        struct eg_node square = {.op = EG_OP_MUL, .name = "square", .n_inputs = 2, .inputs = {x, x}};
        status = eg__graph_add(g, &square, &y, err);
        if (!status) status = divide_by_norm(g, x, y, &x, err);
    } else if (scale == EG_SCALE_ROOT) {
        uint32_t size = 0, sign = 0;
        status = eg__head_node(g, EG_OP_ABS, "abs", x, 0, NULL, &size, err);
        if (!status) status = eg__head_node(g, EG_OP_SQRT, "root", size, 0, NULL, &y, err);
        if (!status) status = eg__head_node(g, EG_OP_SIGN, "sign", x, 0, NULL, &sign, err);
        if (!status) status = eg__head_node(g, EG_OP_MUL, "signed_root", y, sign, NULL, &x, err);
        if (!status) status = divide_by_norm(g, x, size, &x, err);
    } else if (scale == EG_SCALE_STANDARD) {
        const struct eg_tensor *mean = vector(g, "mean", d, m->mean + first);
        const struct eg_tensor *spread = vector(g, "inverse_deviation", d, m->spread + first);
        status = mean && spread ? eg__head_node(g, EG_OP_SUB, "centred", x, 0, mean, &x, err)
                                : eg__fail_memory(err, "the head");
        if (!status) status = eg__head_node(g, EG_OP_MUL, "scaled", x, 0, spread, &x, err);
    }
    *at = x;
    return status;
}

/* Each block cut out, scaled, weighed; then side by side again. */
static enum eg_status add_blocks(struct eg_graph *g, const struct eg_matrix *m, uint32_t *at,
                                 struct eg_error *err)
{
    struct eg_node all = {.op = EG_OP_CONCAT, .name = "blocks", .n_inputs = (uint32_t)m->n_blocks};
    enum eg_status status = m->n_blocks <= EG_INPUTS_MAX
                                ? EG_OK
                                : eg__fail(err, EG_E_UNSUPPORTED, "%zu blocks of features, at most %d",
                                           m->n_blocks, EG_INPUTS_MAX);
    for (size_t b = 0; b < m->n_blocks && !status; b++) {
        const struct eg_block *block = &m->blocks[b];
        struct eg_node part = {.op = EG_OP_SLICE,
                               .name = "block",
                               .n_inputs = 1,
                               .inputs = {*at},
                               .begin = block->first,
                               .end = block->first + block->d};
        uint32_t x = 0;
        status = eg__graph_add(g, &part, &x, err);
        if (!status) status = add_scaler(g, m, block->scale, block->first, block->d, &x, err);
        if (!status && block->weight != 1) {
            const struct eg_tensor *weight = vector_of(g, "block_factor", 1, &block->weight);
            status = weight ? eg__head_node(g, EG_OP_MUL, "weighed", x, 0, weight, &x, err)
                            : eg__fail_memory(err, "the head");
        }
        all.inputs[b] = x;
    }
    return status ? status : eg__graph_add(g, &all, at, err);
}

enum eg_status eg__head_begin(const struct eg_matrix *m, struct eg_graph **head, uint32_t *at,
                              struct eg_error *err)
{
    struct eg_graph *g;
    enum eg_status status = eg__graph_create("head", &g, err);
    if (status) return status;
    struct eg_node input = {.op = EG_OP_INPUT, .name = "features", .shape = {3, {1, 1, m->d}}};
    uint32_t x = 0;
    status = eg__graph_add(g, &input, &x, err);
    if (!status)
        status = m->n_blocks ? add_blocks(g, m, &x, err) : add_scaler(g, m, m->scale, 0, m->d, &x, err);
    if (status) {
        eg__graph_free(g);
        return status;
    }
    *head = g;
    *at = x;
    return EG_OK;
}

/* Two classes with one vector: scores 0 and w x + b, of which softmax makes the sigmoid. */
static enum eg_status add_scores(struct eg_graph *g, const struct eg_linear *linear, uint32_t from,
                                 uint32_t *at, struct eg_error *err)
{
    size_t k_count = linear->n_classes, first = k_count - linear->columns, d = linear->d;
    float *w = eg__zalloc(k_count * d, sizeof *w), *b = eg__zalloc(k_count, sizeof *b);
    enum eg_status status = EG_OK;
    struct eg_node node = {.op = EG_OP_LINEAR, .name = "scores", .n_inputs = 1, .inputs = {from}};
    if (w && b) {
        for (size_t k = first; k < k_count; k++) {
            b[k] = (float)linear->b[k - first];
            for (size_t j = 0; j < d; j++) w[k * d + j] = (float)linear->w[(k - first) * d + j];
        }
        node.params[0] = eg__graph_constant(g, "weight", 2, (size_t[]){k_count, d}, w);
        node.params[1] = vector(g, "bias", k_count, b);
    }
    status = node.params[0] && node.params[1] ? eg__graph_add(g, &node, at, err)
                                              : eg__fail_memory(err, "the head");
    free(w);
    free(b);
    return status;
}

static enum eg_status add_probabilities(struct eg_graph *g, const struct eg_linear *linear,
                                        const struct eg_calibration *how, uint32_t *at, struct eg_error *err)
{
    enum eg_status status = EG_OK;
    if (linear->loss == EG_LOSS_LOGISTIC) {
        const double inverse = 1 / how->temperature;
        const struct eg_tensor *cooler = vector_of(g, "inverse_temperature", 1, &inverse);
        if (!cooler) return eg__fail_memory(err, "the head");
        if (how->temperature != 1)
            status = eg__head_node(g, EG_OP_MUL, "calibrated", *at, 0, cooler, at, err);
        if (!status) status = eg__head_node(g, EG_OP_SOFTMAX, "probabilities", *at, 0, NULL, at, err);
        return status;
    }
    bool two = linear->columns == 1;
    const double slopes[2] = {0, how->slope[0]}, shifts[2] = {0, how->shift[0]};
    const struct eg_tensor *slope = vector_of(g, "slope", linear->n_classes, two ? slopes : how->slope);
    const struct eg_tensor *shift = vector_of(g, "shift", linear->n_classes, two ? shifts : how->shift);
    if (!slope || !shift) return eg__fail_memory(err, "the head");
    status = eg__head_node(g, EG_OP_MUL, "sloped", *at, 0, slope, at, err);
    if (!status) status = eg__head_node(g, EG_OP_ADD, "calibrated", *at, 0, shift, at, err);
    if (two) return status ? status : eg__head_node(g, EG_OP_SOFTMAX, "probabilities", *at, 0, NULL, at, err);
    const float tiny = 1e-30f;
    const struct eg_tensor *least = vector(g, "tiny", 1, &tiny);
    uint32_t each = 0, total = 0;
    if (!least) return eg__fail_memory(err, "the head");
    if (!status) status = eg__head_node(g, EG_OP_SIGMOID, "each", *at, 0, NULL, &each, err);
    if (!status) status = eg__head_node(g, EG_OP_MAX, "each/floor", each, 0, least, &each, err);
    if (!status) status = eg__head_node(g, EG_OP_REDUCE_SUM, "total", each, 0, NULL, &total, err);
    if (!status) status = eg__head_node(g, EG_OP_DIV, "probabilities", each, total, NULL, at, err);
    return status;
}

enum eg_status eg__linear_head(const struct eg_matrix *m, const struct eg_linear *linear,
                               const struct eg_calibration *calibration, const struct eg_reject *reject,
                               struct eg_graph **head, struct eg_error *err)
{
    struct eg_graph *g = NULL;
    uint32_t rows = 0, at = 0, label = 0;
    enum eg_status status = eg__head_begin(m, &g, &rows, err);
    if (status) return status;
    status = add_scores(g, linear, rows, &at, err);
    if (!status) status = add_probabilities(g, linear, calibration, &at, err);
    if (!status) status = eg__head_label(g, rows, at, reject, &label, err);
    if (status) {
        eg__graph_free(g);
        return status;
    }
    g->output = at;
    g->label_output = label;
    *head = g;
    return EG_OK;
}
