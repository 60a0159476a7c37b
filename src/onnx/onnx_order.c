/* onnx_order.c: nodes in an order in which each comes behind those that make its inputs. ONNX asks for that,
 * and some converters put what they add at the end of the list all the same. */
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "onnx/onnx_private.h"

struct maker {
    const char *name;
    size_t node;
};

static int compare_makers(const void *a, const void *b)
{
    return strcmp(((const struct maker *)a)->name, ((const struct maker *)b)->name);
}

struct order {
    const struct eg_nodes *nodes;
    struct maker *makers; /* by name */
    size_t n_makers;
    bool *entered; /* [nodes] */
    size_t *next;  /* [nodes] the input to look at */
    size_t *path;  /* [nodes] from a node to what it waits for */
    EgOnnx__NodeProto **sorted;
};

static const struct maker *maker_of(const struct order *o, const char *name)
{
    const struct maker key = {name, 0};
    return o->n_makers ? bsearch(&key, o->makers, o->n_makers, sizeof key, compare_makers) : NULL;
}

static bool is_sorted(const struct order *o)
{
    for (size_t i = 0; i < o->nodes->n; i++)
        for (size_t k = 0; k < o->nodes->node[i]->n_input; k++) {
            const struct maker *by = maker_of(o, o->nodes->node[i]->input[k]);
            if (by && by->node >= i) return false;
        }
    return true;
}

/* Those that node `first` needs, then the node itself. Of a circle the one that closes it is not waited for:
 * it is refused when it is read. */
static size_t put(struct order *o, size_t first, size_t n_sorted)
{
    size_t depth = 0;
    if (o->entered[first]) return n_sorted;
    o->path[depth++] = first;
    o->entered[first] = true;
    while (depth) {
        const size_t at = o->path[depth - 1];
        EgOnnx__NodeProto *node = o->nodes->node[at];
        if (o->next[at] == node->n_input) {
            o->sorted[n_sorted++] = node;
            depth--;
            continue;
        }
        const struct maker *by = maker_of(o, node->input[o->next[at]++]);
        if (!by || o->entered[by->node]) continue;
        o->entered[by->node] = true;
        o->path[depth++] = by->node;
    }
    return n_sorted;
}

static bool list_makers(struct order *o)
{
    size_t capacity = 0;
    for (size_t i = 0; i < o->nodes->n; i++)
        for (size_t k = 0; k < o->nodes->node[i]->n_output; k++) {
            if (!o->nodes->node[i]->output[k][0]) continue;
            if (!eg__grow(&o->makers, &capacity, o->n_makers + 1, sizeof *o->makers)) return false;
            o->makers[o->n_makers++] = (struct maker){o->nodes->node[i]->output[k], i};
        }
    if (o->n_makers) qsort(o->makers, o->n_makers, sizeof *o->makers, compare_makers);
    return true;
}

enum eg_status eg__nodes_sort(struct eg_onnx *onnx, struct eg_nodes *nodes)
{
    struct order o = {.nodes = nodes};
    const size_t n = nodes->n;
    bool fine = list_makers(&o), sorted = fine && is_sorted(&o);
    if (fine && !sorted) {
        o.entered = eg__zalloc(n, sizeof *o.entered);
        o.next = eg__zalloc(n, sizeof *o.next);
        o.path = eg__zalloc(n, sizeof *o.path);
        o.sorted = eg__zalloc(n, sizeof *o.sorted);
        fine = o.entered && o.next && o.path && o.sorted;
    }
    if (fine && !sorted) {
        size_t n_sorted = 0;
        for (size_t i = 0; i < n; i++) n_sorted = put(&o, i, n_sorted);
        memcpy(nodes->node, o.sorted, n * sizeof *o.sorted);
    }
    free(o.makers);
    free(o.entered);
    free(o.next);
    free(o.path);
    free(o.sorted);
    return fine ? EG_OK : eg__fail_memory(onnx->err, "nodes");
}
