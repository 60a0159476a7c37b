/* cut_tokens.c: features of tokens [t][c]: the class token, the mean of the patches, both. Tokens that stand
 * before the patches (class, registers) are told from the map that the patches were: the last map of pixels
 * before the cut that has as many pixels as there are tokens, or a few less. */
#include "model/cut_tokens.h"

#include <stdlib.h>

#include "base/fail.h"
#include "model/model.h"

enum { FIRST_TOKENS_MAX = 64 };

bool eg__first_tokens(const struct eg_graph *graph, uint32_t node, size_t *count)
{
    const struct eg_shape tokens = graph->nodes[node].shape;
    bool *needed = calloc(node + 1u, sizeof *needed), found = false;
    *count = 0;
    if (!needed) return false;
    needed[node] = true;
    for (uint32_t i = node + 1; i-- > 0 && !found;) {
        const struct eg_node *at = &graph->nodes[i];
        if (!needed[i]) continue;
        for (uint32_t k = 0; k < at->n_inputs; k++) needed[at->inputs[k]] = true;
        if (at->op != EG_OP_CONV) continue;
        const struct eg_map map = eg__map(at->shape);
        found = map.h * map.w <= tokens.dim[0] && tokens.dim[0] - map.h * map.w <= FIRST_TOKENS_MAX;
        if (found) *count = tokens.dim[0] - map.h * map.w;
        break;
    }
    free(needed);
    return found;
}

static enum eg_status add(struct eg_graph *graph, struct eg_node node, const char *name, const char *suffix,
                          uint32_t *index, struct eg_error *err)
{
    node.name = eg__join(graph, name, suffix);
    if (!node.name) return eg__fail_memory(err, "a layer's name");
    return eg__graph_add(graph, &node, index, err);
}

/* Rows [begin, end) of tokens. */
static enum eg_status add_rows(struct eg_graph *graph, uint32_t from, size_t begin, size_t end,
                               const char *name, const char *suffix, uint32_t *index, struct eg_error *err)
{
    struct eg_node node = {
        .op = EG_OP_SLICE, .n_inputs = 1, .inputs = {from}, .axis = 1, .begin = begin, .end = end};
    return add(graph, node, name, suffix, index, err);
}

static enum eg_status add_vector(struct eg_graph *graph, uint32_t from, const char *name, const char *suffix,
                                 uint32_t *index, struct eg_error *err)
{
    struct eg_node node = {.op = EG_OP_RESHAPE, .n_inputs = 1, .inputs = {from}};
    node.to = eg__vector_shape(eg__shape_count(graph->nodes[from].shape));
    return add(graph, node, name, suffix, index, err);
}

enum eg_status eg__token_pool(struct eg_graph *graph, uint32_t from, enum eg_op pool, bool cls, bool patches,
                              const char *typed, uint32_t *index, struct eg_error *err)
{
    const char *name = graph->nodes[from].name;
    const size_t t = graph->nodes[from].shape.dim[0];
    size_t first;
    uint32_t part[2], n = 0;
    const bool known = eg__first_tokens(graph, from, &first);
    enum eg_status status = EG_OK;
    if (cls && (!known || !first))
        return eg__fail(err, EG_E_ARGUMENT,
                        "layer '%.200s' has no class token before its %zu patches (pool avg)", name, t);
    if (cls) {
        status = add_rows(graph, from, 0, 1, name, ":first", &part[0], err);
        if (!status) status = add_vector(graph, part[0], name, patches ? ":class" : typed, &part[n++], err);
    }
    if (patches && !status) {
        struct eg_node mean = {.op = pool, .n_inputs = 1, .inputs = {from}, .alpha = 3, .beta = 1e-6f};
        if (first) status = add_rows(graph, from, first, t, name, ":patches", &mean.inputs[0], err);
        if (!status) status = add(graph, mean, name, cls ? ":mean" : typed, &part[n], err);
        if (!status && cls) status = add_vector(graph, part[n], name, ":mean of patches", &part[n], err);
        n++;
    }
    *index = part[0];
    if (status || n < 2) return status;
    struct eg_node both = {.op = EG_OP_CONCAT, .n_inputs = 2, .inputs = {part[0], part[1]}};
    return add(graph, both, name, typed, index, err);
}
