/* verify_match.c: which layers of two networks do the same work. Names rarely agree between a weights file
 * and somebody's export of it, so layers are known by what leads to them: the operator, its window, the
 * shape it gives and, in the same way, its inputs. What passes values on (or is folded away by exporters,
 * as batch norm is) leaves that mark as it is; of such a chain the last ones are compared. */
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "flow/flow.h"
#include "flow/verify.h"

/* ---- marks ------------------------------------------------------------------------------------- */

static uint64_t mix(uint64_t mark, uint64_t value)
{
    mark = (mark ^ value) * 0x9e3779b97f4a7c15u;
    return mark ^ mark >> 29;
}

static struct eg_shape without_ones(struct eg_shape shape)
{
    struct eg_shape kept = {0};
    for (size_t i = 0; i < shape.rank; i++)
        if (shape.dim[i] != 1) kept.dim[kept.rank++] = shape.dim[i];
    return kept;
}

bool eg__shape_like(struct eg_shape a, struct eg_shape b)
{
    return eg__shape_is(without_ones(a), without_ones(b));
}

static bool passes_on(enum eg_op op)
{
    return op == EG_OP_IDENTITY || op == EG_OP_DROPOUT || op == EG_OP_BATCH_NORM || op == EG_OP_FLATTEN;
}

/* One number for operators that are written in several ways. */
static uint64_t kind_of(const struct eg_node *node)
{
    const struct eg_map out = eg__map(node->shape);
    switch (node->op) {
    case EG_OP_LINEAR: return EG_OP_CONV;
    case EG_OP_ADAPTIVE_POOL:
    case EG_OP_AVG_POOL:
    case EG_OP_REDUCE_MEAN: return out.h * out.w == 1 ? EG_OP_GLOBAL_AVG : node->op;
    default: return node->op;
    }
}

static bool any_order(enum eg_op op)
{
    return op == EG_OP_ADD || op == EG_OP_MUL || op == EG_OP_MAX || op == EG_OP_MIN;
}

static uint64_t mark_of(const struct eg_node *node, const uint64_t *marks)
{
    if (passes_on(node->op)) return marks[node->inputs[0]];
    uint64_t mark = mix(kind_of(node), node->n_inputs), together = 0;
    const struct eg_shape shape = without_ones(node->shape);
    for (size_t i = 0; i < shape.rank; i++) mark = mix(mark, shape.dim[i]);
    if (node->op == EG_OP_CONV) mark = mix(mark, node->groups);
    if ((node->op == EG_OP_CONV && node->window.kernel_h * node->window.kernel_w > 1) ||
        node->op == EG_OP_MAX_POOL)
        mark = mix(mix(mark, node->window.kernel_h), node->window.kernel_w);
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        if (any_order(node->op))
            together += mix(1, marks[node->inputs[i]]);
        else
            mark = mix(mark, marks[node->inputs[i]]);
    }
    return mix(mark, together);
}

struct marked {
    uint64_t mark;
    uint32_t node;
};

static int compare_marked(const void *a, const void *b)
{
    const struct marked *x = a, *y = b;
    if (x->mark != y->mark) return x->mark < y->mark ? -1 : 1;
    return x->node < y->node ? -1 : x->node > y->node;
}

/* What of a graph can be compared, in order of mark, then of node. */
static struct marked *mark_all(const struct eg_graph *graph, size_t *n)
{
    uint64_t *marks = eg__alloc(graph->n_nodes, sizeof *marks);
    struct marked *list = eg__alloc(graph->n_nodes, sizeof *list);
    if (!marks || !list) {
        free(marks);
        free(list);
        return NULL;
    }
    *n = 0;
    for (uint32_t i = 0; i < graph->n_nodes; i++) {
        marks[i] = mark_of(&graph->nodes[i], marks);
        if (eg__node_is_cut(graph, i)) list[(*n)++] = (struct marked){marks[i], i};
    }
    free(marks);
    qsort(list, *n, sizeof *list, compare_marked);
    return list;
}

/* ---- pairs ------------------------------------------------------------------------------------- */

struct matching {
    const struct eg_graph *a, *b;
    bool *a_taken, *b_taken;
    struct eg_layer_pairs *pairs;
};

static enum eg_status pair_up(struct matching *m, uint32_t a, uint32_t b, struct eg_error *err)
{
    if (m->a_taken[a] || m->b_taken[b] || !eg__shape_like(m->a->nodes[a].shape, m->b->nodes[b].shape))
        return EG_OK;
    m->a_taken[a] = m->b_taken[b] = true;
    return eg__pairs_add(m->pairs, &(struct eg_layer_pair){.node = a, .other = b}, m->b->nodes[b].name, err);
}

/* Layers of one mark: as many in both are the same ones, else the last ones are. */
static enum eg_status pair_marked(struct matching *m, const struct marked *a, size_t n_a,
                                  const struct marked *b, size_t n_b, struct eg_error *err)
{
    enum eg_status status = EG_OK;
    for (size_t i = 0; i < n_a && n_a == n_b && !status; i++) status = pair_up(m, a[i].node, b[i].node, err);
    for (size_t i = n_a; n_a != n_b && i-- && !status;)
        for (size_t k = n_b; k-- && !status && !m->a_taken[a[i].node];)
            if (!m->b_taken[b[k].node]) status = pair_up(m, a[i].node, b[k].node, err);
    return status;
}

static size_t run_of(const struct marked *list, size_t n, size_t from)
{
    size_t to = from;
    while (to < n && list[to].mark == list[from].mark) to++;
    return to - from;
}

static enum eg_status by_structure(struct matching *m, struct eg_error *err)
{
    size_t n_a = 0, n_b = 0;
    struct marked *a = mark_all(m->a, &n_a), *b = mark_all(m->b, &n_b);
    enum eg_status status = a && b ? EG_OK : eg__fail_memory(err, "marks of layers");
    for (size_t i = 0, k = 0; !status && i < n_a && k < n_b;) {
        size_t more_a = run_of(a, n_a, i), more_b = run_of(b, n_b, k);
        if (a[i].mark == b[k].mark) status = pair_marked(m, a + i, more_a, b + k, more_b, err);
        const bool a_first = a[i].mark <= b[k].mark, b_first = b[k].mark <= a[i].mark;
        if (a_first) i += more_a;
        if (b_first) k += more_b;
    }
    free(a);
    free(b);
    return status;
}

static enum eg_status by_name(struct matching *m, uint32_t b, struct eg_error *err)
{
    const struct eg_node *node = &m->b->nodes[b];
    uint32_t a;
    for (uint32_t i = 0; i <= node->n_aliases; i++) {
        const char *name = i ? node->aliases[i - 1] : node->name;
        if (eg__graph_find(m->a, name, &a, NULL) || !eg__node_is_cut(m->a, a)) continue;
        enum eg_status status = pair_up(m, a, b, err);
        if (status || m->b_taken[b]) return status;
    }
    return EG_OK;
}

static int compare_pairs(const void *a, const void *b)
{
    const struct eg_layer_pair *x = a, *y = b;
    return x->node < y->node ? -1 : x->node > y->node;
}

enum eg_status eg__pairs_of_nets(const struct eg_graph *a, const struct eg_graph *b,
                                 struct eg_layer_pairs *pairs, struct eg_error *err)
{
    struct matching m = {a, b, eg__zalloc(a->n_nodes, 1), eg__zalloc(b->n_nodes, 1), pairs};
    enum eg_status status = m.a_taken && m.b_taken ? by_structure(&m, err) : eg__fail_memory(err, "layers");
    for (uint32_t i = 1; i < b->n_nodes && !status; i++)
        if (!m.b_taken[i] && eg__node_is_cut(b, i)) status = by_name(&m, i, err);
    if (!status && !pairs->n && b->output && a->output) status = pair_up(&m, a->output, b->output, err);
    for (uint32_t i = 1; i < b->n_nodes && !status; i++)
        if (!m.b_taken[i] && eg__node_is_cut(b, i) && !passes_on(b->nodes[i].op))
            status = eg__skip(&pairs->unmatched, &pairs->n_unmatched, b->nodes[i].name,
                              "no layer does the same", err);
    if (!status && !pairs->n)
        status = eg__fail(err, EG_E_SHAPE, "no layer of '%s' does what one of '%s' does", b->name, a->name);
    if (!status) qsort(pairs->list, pairs->n, sizeof *pairs->list, compare_pairs);
    free(m.a_taken);
    free(m.b_taken);
    return status;
}
