/* graph_ops.c: what is known of every operator without running it. */
#include "graph/graph.h"

const struct eg_op_info eg__op_info[EG_OP_COUNT] = {
#define EG_OP(name, text, onnx, least, most, shape, run, grad, write, cut, ...)                              \
    [EG_OP_##name] = {text, onnx, least, most, cut, {__VA_ARGS__}},
#include "graph/ops.def"
#undef EG_OP
};

size_t eg__shape_count(struct eg_shape shape)
{
    size_t count = 1;
    for (size_t i = 0; i < shape.rank; i++) count *= shape.dim[i];
    return count;
}

bool eg__shape_is(struct eg_shape a, struct eg_shape b)
{
    if (a.rank != b.rank) return false;
    for (size_t i = 0; i < a.rank; i++)
        if (a.dim[i] != b.dim[i]) return false;
    return true;
}

static uint64_t parameter_count(const struct eg_node *node, unsigned param)
{
    return node->params[param] ? eg__tensor_count(node->params[param]) : 0;
}

uint64_t eg__node_parameters(const struct eg_graph *graph, uint32_t index)
{
    const struct eg_node *node = &graph->nodes[index];
    if (node->absorbed) return 0;
    switch (node->op) {
    case EG_OP_CONV:
    case EG_OP_LINEAR:
    case EG_OP_BATCH_NORM:
    case EG_OP_LAYER_NORM: return parameter_count(node, 0) + parameter_count(node, 1);
    case EG_OP_ADD:
    case EG_OP_SUB:
    case EG_OP_MUL:
    case EG_OP_DIV:
    case EG_OP_CONSTANT: /* a named vector was learned (layer scale); a bare number was not */
        return node->params[0] && node->params[0]->name && parameter_count(node, 0) > 1
                   ? parameter_count(node, 0)
                   : 0;
    default: return 0;
    }
}

uint64_t eg__node_macs(const struct eg_graph *graph, uint32_t index)
{
    const struct eg_node *node = &graph->nodes[index];
    if (node->absorbed || (node->op != EG_OP_CONV && node->op != EG_OP_LINEAR)) return 0;
    return (node->times > 1 ? node->times : 1) * (uint64_t)eg__map(node->shape).h * eg__map(node->shape).w *
           parameter_count(node, 0);
}

const struct eg_node *eg__graph_views(const struct eg_graph *graph)
{
    for (uint32_t i = 1; i < graph->n_nodes; i++)
        if (graph->nodes[i].op == EG_OP_VIEWS) return &graph->nodes[i];
    return NULL;
}

bool eg__node_is_cut(const struct eg_graph *graph, uint32_t index)
{
    return eg__op_info[graph->nodes[index].op].cut && (!graph->label_output || index != graph->label_output);
}
