/* onnx_write_trees.c: tree ensembles as TreeEnsembleClassifier; onnx_trees.c reads them. */
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "onnx/onnx_writer.h"

struct walk {
    int64_t *tree, *id, *feature, *yes, *no, *class_tree, *class_node, *class_id;
    float *threshold, *weight;
    ProtobufCBinaryData *mode;
    size_t n, n_weights;
};

static int32_t tree_int(const struct eg_tensor *tensor, size_t i)
{
    int32_t x;
    memcpy(&x, (const uint8_t *)tensor->data + (ptrdiff_t)i * tensor->stride[0] * (ptrdiff_t)sizeof x,
           sizeof x);
    return x;
}

/* Append tree `t` from node `root`, left first. `stack` has room for every node. False: a node
 * has two parents. */
static bool walk_tree(const struct eg_node *node, const float *threshold, const float *leaf, int64_t t,
                      int32_t root, int32_t (*stack)[2], size_t most, struct walk *walk)
{
    static uint8_t branch[] = "BRANCH_LEQ", end[] = "LEAF";
    size_t depth = 0, start = walk->n, n_classes = node->params[4]->dim[1];
    stack[depth][0] = root;
    stack[depth++][1] = -1; /* whose right child it is, in the new numbering */
    while (depth) {
        int32_t from = stack[--depth][0], parent = stack[depth][1];
        if (walk->n == most) return false;
        size_t at = walk->n++;
        int64_t id = (int64_t)(at - start);
        if (parent >= 0) walk->no[start + (size_t)parent] = id;
        int32_t feature = tree_int(node->params[0], (size_t)from),
                left = tree_int(node->params[2], (size_t)from);
        walk->tree[at] = t;
        walk->id[at] = id;
        walk->mode[at] = feature < 0 ? (ProtobufCBinaryData){4, end} : (ProtobufCBinaryData){10, branch};
        walk->feature[at] = feature < 0 ? 0 : feature;
        walk->threshold[at] = feature < 0 ? 0 : threshold[from];
        walk->yes[at] = feature < 0 ? 0 : id + 1;
        walk->no[at] = 0;
        if (feature >= 0) {
            stack[depth][0] = tree_int(node->params[3], (size_t)from);
            stack[depth++][1] = (int32_t)id;
            stack[depth][0] = left;
            stack[depth++][1] = -1;
            continue;
        }
        for (size_t c = 0; c < n_classes; c++, walk->n_weights++) {
            walk->class_tree[walk->n_weights] = t;
            walk->class_node[walk->n_weights] = id;
            walk->class_id[walk->n_weights] = (int64_t)c;
            walk->weight[walk->n_weights] = leaf[(size_t)left * n_classes + c];
        }
    }
    return true;
}

static void put_ints(struct eg_written_layer *layer, EgOnnx__NodeProto *made, const char *name, size_t n,
                     int64_t *values)
{
    EgOnnx__AttributeProto *attribute = eg__writer_attribute(layer->writer, made, name, 7);
    attribute->ints = values;
    attribute->n_ints = n;
}

static void put_floats(struct eg_written_layer *layer, EgOnnx__NodeProto *made, const char *name, size_t n,
                       float *values)
{
    EgOnnx__AttributeProto *attribute = eg__writer_attribute(layer->writer, made, name, 6);
    attribute->floats = values;
    attribute->n_floats = n;
}

void eg__write_trees(struct eg_written_layer *layer)
{
    const struct eg_node *node = layer->node;
    struct eg_graph *scratch = layer->writer->scratch;
    size_t n = node->params[0]->dim[0], n_classes = node->params[4]->dim[1], n_leaf_nodes = 0;
    for (unsigned i = 0; i < 6; i++)
        if (!node->params[i]->data) {
            eg__layer_refuse(layer, "its trees have no values");
            return;
        }
    for (size_t i = 0; i < n; i++) n_leaf_nodes += tree_int(node->params[0], i) < 0;
    size_t n_weights;
    struct walk walk = {0};
    int64_t **arrays[5] = {&walk.tree, &walk.id, &walk.feature, &walk.yes, &walk.no};
    int64_t **class_arrays[3] = {&walk.class_tree, &walk.class_node, &walk.class_id};
    bool fine = eg__mul(n_leaf_nodes, n_classes, &n_weights);
    for (unsigned i = 0; i < 5; i++)
        fine &= (*arrays[i] = eg__graph_memory(scratch, n, sizeof(int64_t))) != NULL;
    for (unsigned i = 0; i < 3 && fine; i++)
        fine &= (*class_arrays[i] = eg__graph_memory(scratch, n_weights, sizeof(int64_t))) != NULL;
    walk.threshold = eg__graph_memory(scratch, n, sizeof(float));
    walk.mode = eg__graph_memory(scratch, n, sizeof *walk.mode);
    walk.weight = fine ? eg__graph_memory(scratch, n_weights, sizeof(float)) : NULL;
    float *threshold = eg__graph_memory(scratch, n, sizeof *threshold);
    float *leaf = eg__graph_memory(scratch, eg__tensor_count(node->params[4]), sizeof *leaf);
    int32_t(*stack)[2] = eg__graph_memory(scratch, n + 2, sizeof *stack);
    if (!fine || !walk.threshold || !walk.mode || !walk.weight || !threshold || !leaf || !stack) {
        eg__writer_fail(layer->writer, eg__fail_memory(layer->writer->err, "trees"));
        return;
    }
    eg__tensor_read(node->params[1], threshold);
    eg__tensor_read(node->params[4], leaf);
    for (size_t t = 0; t < node->params[5]->dim[0]; t++) {
        if (walk_tree(node, threshold, leaf, (int64_t)t, tree_int(node->params[5], t), stack, n, &walk))
            continue;
        eg__layer_refuse(layer, "a node of its trees has two parents");
        return;
    }
    const char *in = eg__layer_input(layer, 0, true);
    EgOnnx__NodeProto *made = eg__layer_final(layer, "TreeEnsembleClassifier", 1, &in);
    static char domain[] = "ai.onnx.ml";
    made->domain = domain;
    char **outputs = eg__graph_memory(scratch, 2, sizeof *outputs);
    int64_t *labels = eg__graph_memory(scratch, n_classes, sizeof *labels);
    if (!outputs || !labels) {
        eg__writer_fail(layer->writer, eg__fail_memory(layer->writer->err, "trees"));
        return;
    }
    const char *label = eg__writer_name(layer->writer, eg__layer_part(layer, "label"));
    outputs[0] = eg__graph_string(scratch, label);
    outputs[1] = made->output[0];
    if (!outputs[0]) eg__writer_fail(layer->writer, eg__fail_memory(layer->writer->err, "trees"));
    made->output = outputs;
    made->n_output = 2;
    for (size_t c = 0; c < n_classes; c++) labels[c] = (int64_t)c;
    put_ints(layer, made, "nodes_treeids", walk.n, walk.tree);
    put_ints(layer, made, "nodes_nodeids", walk.n, walk.id);
    put_ints(layer, made, "nodes_featureids", walk.n, walk.feature);
    put_floats(layer, made, "nodes_values", walk.n, walk.threshold);
    put_ints(layer, made, "nodes_truenodeids", walk.n, walk.yes);
    put_ints(layer, made, "nodes_falsenodeids", walk.n, walk.no);
    EgOnnx__AttributeProto *modes = eg__writer_attribute(layer->writer, made, "nodes_modes", 8);
    modes->strings = walk.mode;
    modes->n_strings = walk.n;
    put_ints(layer, made, "class_treeids", walk.n_weights, walk.class_tree);
    put_ints(layer, made, "class_nodeids", walk.n_weights, walk.class_node);
    put_ints(layer, made, "class_ids", walk.n_weights, walk.class_id);
    put_floats(layer, made, "class_weights", walk.n_weights, walk.weight);
    put_ints(layer, made, "classlabels_int64s", n_classes, labels);
    eg__writer_string(layer->writer, made, "post_transform", "NONE");
}
