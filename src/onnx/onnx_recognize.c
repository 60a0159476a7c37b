/* onnx_recognize.c: some operators of ours are chains in ONNX (SiLU, GELU, layer norm). The
 * last node of such a chain becomes the operator, on the chain's input; the nodes before it
 * stay, so that their names still reach a cut, but nothing needs them any more. */
#include <math.h>

#include "base/fail.h"
#include "onnx/onnx_private.h"

static const struct eg_node *input(const struct eg_graph *graph, const struct eg_node *node, unsigned i)
{
    return &graph->nodes[node->inputs[i]];
}

/* Is node `op` with the one constant x? */
static bool with_number(const struct eg_node *node, enum eg_op op, double x)
{
    const struct eg_tensor *constant = node->params[0];
    return node->op == op && node->n_inputs == 1 && !node->swapped && constant &&
           eg__tensor_count(constant) == 1 && fabs(eg__tensor_number_at(constant, 0) - x) < 1e-4 * fabs(x);
}

static void become(struct eg_node *node, enum eg_op op, uint32_t from)
{
    node->op = op;
    node->n_inputs = 1;
    node->inputs[0] = from;
    node->params[0] = node->params[1] = NULL;
}

static bool is_product(const struct eg_node *node) { return node->op == EG_OP_MUL && node->n_inputs == 2; }

/* x sigmoid(x), x hard_sigmoid(x) */
static bool gated(const struct eg_graph *graph, struct eg_node *node)
{
    for (unsigned i = 0; i < 2 && is_product(node); i++) {
        const struct eg_node *gate = input(graph, node, i);
        uint32_t x = node->inputs[1 - i];
        if (gate->n_inputs != 1 || gate->inputs[0] != x) continue;
        if (gate->op == EG_OP_SIGMOID) {
            become(node, EG_OP_SILU, x);
            return true;
        }
        if (gate->op == EG_OP_HARD_SIGMOID && fabsf(gate->alpha - 1.0f / 6) < 1e-6f && gate->beta == 0.5f) {
            become(node, EG_OP_HARD_SWISH, x);
            return true;
        }
    }
    return false;
}

/* Is `node` 1 + erf(x / sqrt 2)? */
static bool is_erf_term(const struct eg_graph *graph, const struct eg_node *node, uint32_t x)
{
    if (!with_number(node, EG_OP_ADD, 1)) return false;
    const struct eg_node *erf = input(graph, node, 0);
    if (erf->op != EG_OP_ERF) return false;
    const struct eg_node *scaled = input(graph, erf, 0);
    return (with_number(scaled, EG_OP_DIV, 1.4142135) || with_number(scaled, EG_OP_MUL, 0.70710678)) &&
           scaled->inputs[0] == x;
}

/* (x (1 + erf)) / 2 or (x / 2) (1 + erf) */
static bool gelu(const struct eg_graph *graph, struct eg_node *node)
{
    bool halves = with_number(node, EG_OP_MUL, 0.5);
    const struct eg_node *product = halves ? input(graph, node, 0) : node;
    for (unsigned i = 0; i < 2 && is_product(product); i++) {
        uint32_t x = product->inputs[1 - i];
        if (!halves) {
            const struct eg_node *half = &graph->nodes[x];
            if (!with_number(half, EG_OP_MUL, 0.5)) continue;
            x = half->inputs[0];
        }
        if (!is_erf_term(graph, input(graph, product, i), x)) continue;
        become(node, EG_OP_GELU, x);
        return true;
    }
    return false;
}

/* d = x - mean(x) over c */
static bool is_centred(const struct eg_graph *graph, const struct eg_node *d)
{
    return d->op == EG_OP_SUB && d->n_inputs == 2 && input(graph, d, 1)->op == EG_OP_REDUCE_MEAN &&
           input(graph, d, 1)->inputs[0] == d->inputs[0];
}

/* d / sqrt(mean(d^2) + epsilon) */
static bool layer_norm(const struct eg_graph *graph, struct eg_node *node)
{
    if (node->op != EG_OP_DIV || node->n_inputs != 2) return false;
    const struct eg_node *d = input(graph, node, 0), *root = input(graph, node, 1);
    if (root->op != EG_OP_SQRT || !is_centred(graph, d)) return false;
    const struct eg_node *sum = input(graph, root, 0);
    if (sum->op != EG_OP_ADD || sum->n_inputs != 1 || eg__tensor_count(sum->params[0]) != 1) return false;
    const struct eg_node *mean = input(graph, sum, 0);
    if (mean->op != EG_OP_REDUCE_MEAN) return false;
    const struct eg_node *square = input(graph, mean, 0);
    bool squares =
        (square->op == EG_OP_POW && square->alpha == 2 && square->inputs[0] == node->inputs[0]) ||
        (is_product(square) && square->inputs[0] == node->inputs[0] && square->inputs[1] == node->inputs[0]);
    if (!squares) return false;
    float epsilon = (float)eg__tensor_number_at(sum->params[0], 0);
    become(node, EG_OP_LAYER_NORM, d->inputs[0]);
    node->epsilon = epsilon;
    return true;
}

/* The scale, then the shift, of a layer norm found before. */
static bool layer_norm_affine(struct eg_graph *graph, struct eg_node *node)
{
    const struct eg_tensor *vector = node->params[0];
    if ((node->op != EG_OP_MUL && node->op != EG_OP_ADD) || node->n_inputs != 1 || vector->rank != 1 ||
        vector->dim[0] != eg__map(node->shape).c)
        return false;
    struct eg_node *norm = &graph->nodes[node->inputs[0]];
    if (norm->op != EG_OP_LAYER_NORM || norm->params[1] ||
        (node->op == EG_OP_MUL) == (norm->params[0] != NULL))
        return false;
    unsigned place = node->op == EG_OP_ADD;
    become(node, EG_OP_LAYER_NORM, norm->inputs[0]);
    node->params[0] = norm->params[0];
    node->params[place] = vector;
    node->epsilon = norm->epsilon;
    norm->absorbed = true;
    return true;
}

/* A product's bias, that is added behind it. */
static bool linear_bias(struct eg_graph *graph, struct eg_node *node)
{
    const struct eg_tensor *bias = node->params[0];
    if (node->op != EG_OP_ADD || node->n_inputs != 1 || bias->rank != 1) return false;
    struct eg_node *product = &graph->nodes[node->inputs[0]];
    if (product->op != EG_OP_LINEAR || product->params[1] || bias->dim[0] != product->params[0]->dim[0])
        return false;
    become(node, EG_OP_LINEAR, product->inputs[0]);
    node->params[0] = product->params[0];
    node->params[1] = bias;
    product->absorbed = true;
    return true;
}

enum eg_status eg__recognize(struct eg_graph *graph, struct eg_error *err)
{
    for (uint32_t i = 1; i < graph->n_nodes; i++) {
        struct eg_node *node = &graph->nodes[i];
        if (!gated(graph, node) && !gelu(graph, node) && !layer_norm(graph, node) &&
            !layer_norm_affine(graph, node) && !linear_bias(graph, node))
            continue;
        enum eg_status status = eg__infer(graph, node, err);
        if (status) return status;
    }
    return EG_OK;
}
