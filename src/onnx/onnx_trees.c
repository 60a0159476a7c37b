/* onnx_trees.c: TreeEnsembleClassifier as engraft writes it: trees one after another, each
 * with its nodes numbered from 0 in the order of a walk that goes left first, BRANCH_LEQ and
 * LEAF only, one weight for every class at every leaf, no post-transform.
 * Output 1 (the summed scores) is read; output 0 (its own label) is not. */
#include <string.h>

#include "base/mem.h"
#include "onnx/onnx_private.h"

static const EgOnnx__AttributeProto *ints_of(const struct eg_reading *step, const char *name, size_t *n)
{
    const EgOnnx__AttributeProto *attribute = eg__step_attribute(step, name);
    *n = attribute ? attribute->n_ints : 0;
    return attribute;
}

static bool is_mode(const ProtobufCBinaryData *mode, const char *text)
{
    return mode->len == strlen(text) && !memcmp(mode->data, text, mode->len);
}

/* Numbers of `name`, one per tree node. */
static enum eg_status node_ints(struct eg_reading *step, const char *name, size_t n, const int64_t **ints)
{
    size_t have;
    const EgOnnx__AttributeProto *attribute = ints_of(step, name, &have);
    if (!attribute || have != n)
        return eg__step_broken(step, "'%s' has %zu numbers for %zu tree nodes", name, have, n);
    *ints = attribute->ints;
    return EG_OK;
}

struct trees {
    const int64_t *tree, *id, *feature, *yes, *no; /* [n] */
    const float *threshold;
    const ProtobufCBinaryData *mode;
    size_t n, n_trees, n_leaves, n_classes;
};

static enum eg_status find_attributes(struct eg_reading *step, struct trees *trees)
{
    const EgOnnx__AttributeProto *tree = ints_of(step, "nodes_treeids", &trees->n);
    const EgOnnx__AttributeProto *values = eg__step_attribute(step, "nodes_values");
    const EgOnnx__AttributeProto *modes = eg__step_attribute(step, "nodes_modes");
    size_t n = trees->n;
    if (!n || n > INT32_MAX) return eg__step_broken(step, "it has no trees");
    if (!values || values->n_floats != n || !modes || modes->n_strings != n)
        return eg__step_refuse(step, "its thresholds or modes are not one for each of %zu tree nodes", n);
    trees->tree = tree->ints;
    trees->threshold = values->floats;
    trees->mode = modes->strings;
    enum eg_status status = node_ints(step, "nodes_nodeids", n, &trees->id);
    if (!status) status = node_ints(step, "nodes_featureids", n, &trees->feature);
    if (!status) status = node_ints(step, "nodes_truenodeids", n, &trees->yes);
    if (!status) status = node_ints(step, "nodes_falsenodeids", n, &trees->no);
    if (status) return status;
    ints_of(step, "classlabels_int64s", &trees->n_classes);
    if (!trees->n_classes || trees->n_classes > INT32_MAX)
        return eg__step_refuse(step, "its classes are not numbers");
    if ((eg__step_attribute(step, "post_transform") && !eg__step_is(step, "post_transform", "NONE")) ||
        eg__step_attribute(step, "base_values"))
        return eg__step_refuse(step, "post_transform and base_values are not supported");
    for (size_t i = 0; i < n; i++) {
        bool starts = !i || trees->tree[i] != trees->tree[i - 1];
        trees->n_trees += starts;
        if (trees->id[i] != (starts ? 0 : trees->id[i - 1] + 1))
            return eg__step_refuse(step, "its tree nodes are not numbered from 0 in each tree");
        if (is_mode(&trees->mode[i], "LEAF"))
            trees->n_leaves++;
        else if (!is_mode(&trees->mode[i], "BRANCH_LEQ"))
            return eg__step_refuse(step, "tree nodes other than BRANCH_LEQ and LEAF are not supported");
    }
    return EG_OK;
}

/* class_nodeids, class_ids, class_weights: the classes of the first leaf, of the second, ... */
static enum eg_status read_leaves(struct eg_reading *step, const struct trees *trees, float *leaf)
{
    size_t n, count = 0;
    const EgOnnx__AttributeProto *ids = ints_of(step, "class_ids", &n);
    const EgOnnx__AttributeProto *weights = eg__step_attribute(step, "class_weights");
    const int64_t *tree = NULL, *node = NULL;
    if (!eg__mul(trees->n_leaves, trees->n_classes, &count) || n != count || !ids || !weights ||
        weights->n_floats != n)
        return eg__step_refuse(step, "it has %zu class weights, not one for every class at every leaf", n);
    enum eg_status status = node_ints(step, "class_treeids", n, &tree);
    if (!status) status = node_ints(step, "class_nodeids", n, &node);
    if (status) return status;
    size_t at = 0;
    for (size_t i = 0; i < trees->n; i++) {
        if (!is_mode(&trees->mode[i], "LEAF")) continue;
        for (size_t c = 0; c < trees->n_classes; c++, at++) {
            if (tree[at] != trees->tree[i] || node[at] != trees->id[i] || ids->ints[at] != (int64_t)c)
                return eg__step_refuse(step, "its class weights are not in the order of its leaves");
            leaf[at] = weights->floats[at];
        }
    }
    return EG_OK;
}

enum eg_status eg__lower_trees(struct eg_reading *step)
{
    struct trees trees = {0};
    struct eg_value *in;
    enum eg_status status = eg__step_layer(step, 0, &in);
    if (!status) status = find_attributes(step, &trees);
    if (status) return status;
    if (in->rank != 2 || !eg__dimension_is(step->onnx, in, 1, EG_AXIS_C))
        return eg__step_refuse(step, "its input is not one vector an image");
    size_t n = trees.n, dims[6] = {n, n, n, n, trees.n_leaves, trees.n_trees};
    struct eg_node node = {.op = EG_OP_TREE_ENSEMBLE, .n_inputs = 1, .inputs = {in->node}};
    void *data[6];
    for (unsigned i = 0; i < 6; i++) {
        struct eg_tensor tensor;
        size_t dim[2] = {dims[i], trees.n_classes};
        status = eg__onnx_new_tensor(step->onnx, i == 1 || i == 4 ? EG_F32 : EG_I32, i == 4 ? 2 : 1, dim,
                                     &tensor, &data[i]);
        if (status) return status;
        if (!(node.params[i] = eg__graph_tensor(step->onnx->graph, &tensor))) return eg__step_memory(step);
    }
    int32_t *feature = data[0], *left = data[2], *right = data[3], *root = data[5];
    float *threshold = data[1];
    if ((status = read_leaves(step, &trees, data[4]))) return status;
    size_t start = 0, n_roots = 0, n_leaves = 0;
    for (size_t i = 0; i < n; i++) {
        if (trees.id[i] == 0) root[n_roots++] = (int32_t)(start = i);
        threshold[i] = trees.threshold[i];
        if (is_mode(&trees.mode[i], "LEAF")) {
            feature[i] = -1;
            left[i] = (int32_t)n_leaves++;
            right[i] = 0;
            continue;
        }
        /* left first: the left child is the next node, and every node has one parent */
        size_t last = n - 1 - start;
        if (trees.yes[i] != trees.id[i] + 1 || trees.no[i] <= trees.yes[i] || (uint64_t)trees.no[i] > last ||
            trees.feature[i] < 0 || trees.feature[i] > INT32_MAX)
            return eg__step_refuse(step,
                                   "its tree nodes are not in the order of a walk that goes left first");
        feature[i] = (int32_t)trees.feature[i];
        left[i] = (int32_t)(start + (size_t)trees.yes[i]);
        right[i] = (int32_t)(start + (size_t)trees.no[i]);
    }
    uint32_t index;
    status = eg__step_add(step, &node, &index);
    struct eg_value *out = eg__step_output(step, 1);
    if (status || !out) return status;
    eg__value_set(step->onnx, out, index, "nc");
    return EG_OK;
}
