/* onnx_read.c: an ONNX file to a graph. The file is mapped and stays so: weights are views of
 * it. Reads the model's frame (opset, input, outputs, metadata), then the nodes in order;
 * what each operator becomes is in onnx_lower.c.
 *
 *   ModelProto  7 graph, 8 opset_import, 14 metadata_props, 25 functions
 *   GraphProto  1 node, 5 initializer, 11 input, 12 output */
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "base/text.h"
#include "graph/checks.h"
#include "onnx/onnx.h"
#include "onnx/onnx_attributes.h"
#include "onnx/onnx_private.h"

enum { MODEL_GRAPH = 7, MODEL_OPSET = 8, MODEL_METADATA = 14, MODEL_FUNCTION = 25 };
enum { GRAPH_NODE = 1, GRAPH_INITIALIZER = 5, GRAPH_INPUT = 11, GRAPH_OUTPUT = 12 };
/* Opsets 22 to 28 change none of the operators that are read but for more types. */
enum { DEFAULT_SIDE = 224, OPSET_NEWEST = 28 };
#define NORMALIZE "engraft.normalize"

struct frame {
    struct eg_onnx *onnx;
    struct eg_span graph;
    struct eg_nodes nodes;
    struct eg_span *functions;
    size_t n_functions, function_capacity;
    struct made {
        const char *name;
        const EgOnnx__NodeProto *by;
    } * made; /* all values, by name */
    size_t n_made;
    struct eg_value **outputs, **left_out; /* left_out: what cannot be read or needs what cannot, sorted */
    size_t n_outputs, output_capacity, n_left_out, left_out_capacity;
    char reason[sizeof((struct eg_error *)0)->message]; /* why the first was; "": none is */
};

/* ---- values by name ------------------------------------------------------------------ */

static int compare_values(const void *a, const void *b)
{
    return strcmp(((const struct eg_value *)a)->name, ((const struct eg_value *)b)->name);
}

struct eg_value *eg__onnx_value(struct eg_onnx *onnx, const char *name)
{
    struct eg_value key = {.name = name};
    void *found = tfind(&key, &onnx->values, compare_values);
    if (found) return *(struct eg_value **)found;
    size_t length = strlen(name) + 1;
    struct eg_value *made = eg__zalloc(1, sizeof *made + length);
    if (!made) return NULL;
    char *copy = (char *)(made + 1);
    memcpy(copy, name, length);
    made->name = copy;
    if (tsearch(made, &onnx->values, compare_values)) return made;
    free(made);
    return NULL;
}

static struct eg_value *value_of_span(struct eg_onnx *onnx, struct eg_span name)
{
    char *text = strndup((const char *)name.bytes, name.size);
    struct eg_value *value = text ? eg__onnx_value(onnx, text) : NULL;
    free(text);
    return value;
}

/* ---- what is left out ----------------------------------------------------------------------- */

static int compare_pointers(const void *a, const void *b)
{
    const void *x = *(void *const *)a, *y = *(void *const *)b;
    return (x > y) - (x < y);
}

static bool is_left_out(const struct frame *frame, const struct eg_value *value)
{
    return frame->n_left_out &&
           bsearch(&value, frame->left_out, frame->n_left_out, sizeof(struct eg_value *), compare_pointers);
}

/* This value cannot be had, for the reason in onnx->err if it is the first; the rest is read. */
static enum eg_status leave_out(struct frame *frame, struct eg_value *value)
{
    if (!frame->reason[0] && frame->onnx->err)
        snprintf(frame->reason, sizeof frame->reason, "%s", frame->onnx->err->message);
    if (is_left_out(frame, value)) return EG_OK;
    if (!eg__grow(&frame->left_out, &frame->left_out_capacity, frame->n_left_out + 1,
                  sizeof(struct eg_value *)))
        return eg__fail_memory(frame->onnx->err, "values");
    size_t at = frame->n_left_out++;
    for (; at && frame->left_out[at - 1] > value; at--) frame->left_out[at] = frame->left_out[at - 1];
    frame->left_out[at] = value;
    return EG_OK;
}

static enum eg_status leave_out_node(struct frame *frame, const EgOnnx__NodeProto *node)
{
    enum eg_status status = EG_OK;
    for (size_t i = 0; i < node->n_output && !status; i++) {
        struct eg_value *value = node->output[i][0] ? eg__onnx_value(frame->onnx, node->output[i]) : NULL;
        if (value) status = leave_out(frame, value);
    }
    return status;
}

/* ---- frame ---------------------------------------------------------------------------- */

static enum eg_status damaged(struct eg_onnx *onnx)
{
    return eg__fail(onnx->err, EG_E_FORMAT,
                    "it is cut short or not an ONNX file (download or export it again)");
}

static enum eg_status read_opset(struct eg_onnx *onnx, struct eg_span span)
{
    EgOnnx__OperatorSetIdProto *opset = eg_onnx__operator_set_id_proto__unpack(NULL, span.size, span.bytes);
    if (!opset) return damaged(onnx);
    if (!opset->domain || !opset->domain[0] || !strcmp(opset->domain, "ai.onnx"))
        onnx->opset = opset->version;
    eg_onnx__operator_set_id_proto__free_unpacked(opset, NULL);
    return EG_OK;
}

static enum eg_status read_metadata(struct eg_onnx *onnx, struct eg_span span)
{
    EgOnnx__StringStringEntryProto *entry =
        eg_onnx__string_string_entry_proto__unpack(NULL, span.size, span.bytes);
    if (!entry) return damaged(onnx);
    enum eg_status status = EG_OK;
    if (entry->key && entry->value && strncmp(entry->key, EG_GRAPH_LOAD, sizeof EG_GRAPH_LOAD - 1))
        status = eg__graph_set_metadata(onnx->graph, entry->key, entry->value, onnx->err);
    eg_onnx__string_string_entry_proto__free_unpacked(entry, NULL);
    return status;
}

static enum eg_status read_initializer(struct eg_onnx *onnx, struct frame *frame, struct eg_span span)
{
    struct eg_span name = eg__onnx_tensor_name(span);
    struct eg_tensor tensor;
    if (!name.bytes) return eg__fail(onnx->err, EG_E_FORMAT, "an initializer has no name or is damaged");
    struct eg_value *value = value_of_span(onnx, name);
    if (!value) return eg__fail_memory(onnx->err, "a tensor");
    enum eg_status status = eg__onnx_tensor(onnx, span, &tensor);
    if (status == EG_E_UNSUPPORTED) return leave_out(frame, value);
    if (status) return status;
    char *shown = eg__printable(value->name);
    if (shown) tensor.name = eg__graph_string(onnx->graph, shown);
    free(shown);
    if (!tensor.name) return eg__fail_memory(onnx->err, "a tensor");
    value->is_constant = value->is_defined = true;
    value->tensor = tensor;
    return EG_OK;
}

/* ---- input ------------------------------------------------------------------------------ */

static size_t side_of(const EgOnnx__TensorShapeProto *shape, size_t i)
{
    const EgOnnx__TensorShapeProto__Dimension *dim = shape->dim[i];
    return dim->has_dim_value && dim->dim_value > 0 ? (size_t)dim->dim_value : 0;
}

static bool is_colours(size_t side) { return side == 1 || side == 3 || side == 4; }

static bool is_one_of(const char *text, const char *const *list)
{
    while (*list && strcmp(*list, text)) list++;
    return *list != NULL;
}

/* Does the network see its image as [n][h][w][c]? Told by the first node behind the image (and behind
 * what works value by value) that says: a convolution takes [n][c][h][w], exporters from TensorFlow
 * put a Transpose before it. Without any, by where 1, 3 or 4 stands. */
static bool is_channels_last(const struct frame *frame, const char *input,
                             const EgOnnx__TensorShapeProto *shape)
{
    static const char *const pointwise[] = {"Identity", "Cast", "Sub", "Add",     "Mul", "Div",
                                            "Clip",     "Relu", "Neg", "Dropout", NULL};
    static const char *const image[] = {
        "Conv", "MaxPool", "AveragePool", "BatchNormalization", "GlobalAveragePool", NULL};
    const char *at = input;
    for (size_t i = 0; i < frame->nodes.n; i++) {
        const EgOnnx__NodeProto *node = frame->nodes.node[i];
        size_t k = 0;
        while (k < node->n_input && strcmp(node->input[k], at)) k++;
        if (k == node->n_input) continue;
        if (is_one_of(node->op_type, image)) return false;
        if (is_one_of(node->op_type, pointwise) && node->n_output) at = node->output[0];
        if (strcmp(node->op_type, "Transpose")) continue;
        for (size_t a = 0; a < node->n_attribute; a++) {
            const EgOnnx__AttributeProto *perm = node->attribute[a];
            if (perm->n_ints == 4 && perm->ints[1] == 3 && perm->ints[2] == 1) return true;
        }
    }
    return !is_colours(side_of(shape, 1)) && is_colours(side_of(shape, 3));
}

static enum eg_status make_input(struct eg_onnx *onnx, const struct frame *frame,
                                 const EgOnnx__ValueInfoProto *info)
{
    struct eg_value *value = eg__onnx_value(onnx, info->name);
    char *shown = eg__printable(info->name);
    struct eg_node node = {.op = EG_OP_INPUT, .name = shown};
    const EgOnnx__TensorShapeProto *shape =
        info->type && info->type->tensor_type ? info->type->tensor_type->shape : NULL;
    size_t rank = shape ? shape->n_dim : 0;
    const char *order = rank == 2 ? "nc" : "nchw";
    enum eg_status status = EG_OK;
    uint32_t index;
    if (!value || !shown) {
        status = eg__fail_memory(onnx->err, "an input");
    } else if (rank == 4) {
        bool nhwc = is_channels_last(frame, info->name, shape);
        size_t c = nhwc ? 3 : 1, h = nhwc ? 1 : 2, w = nhwc ? 2 : 3;
        if (nhwc) order = "nhwc";
        struct eg_map map = {side_of(shape, h), side_of(shape, w), side_of(shape, c)};
        if (!map.h) map.h = map.w ? map.w : DEFAULT_SIDE;
        if (!map.w) map.w = map.h;
        if (!map.c) map.c = 3;
        node.shape = eg__map_shape(map.h, map.w, map.c);
        onnx->graph->input_nchw = !nhwc;
    } else if (rank == 2 && side_of(shape, 1)) {
        node.shape = eg__vector_shape(side_of(shape, 1));
    } else {
        status = eg__fail(onnx->err, EG_E_UNSUPPORTED,
                          "input '%.200s' is not a batch of images [n][c][h][w] or vectors [n][c]", shown);
    }
    for (size_t i = 0; i < rank && !status; i++)
        if (shape->dim[i]->has_dim_value && !shape->dim[i]->dim_value)
            status = eg__fail(onnx->err, EG_E_FORMAT, "dimension %zu of its input '%.200s' is 0", i, shown);
    size_t batch = rank ? side_of(shape, 0) : 0;
    if (batch && batch <= 65536) onnx->batch = batch;
    if (!status) status = eg__graph_add(onnx->graph, &node, &index, onnx->err);
    if (!status) eg__value_set(onnx, value, index, order);
    free(shown);
    return status;
}

static enum eg_status read_input(struct eg_onnx *onnx, struct frame *frame, struct eg_span span)
{
    EgOnnx__ValueInfoProto *info = eg_onnx__value_info_proto__unpack(NULL, span.size, span.bytes);
    enum eg_status status = EG_OK;
    if (!info || !info->name) {
        status = damaged(onnx);
    } else {
        struct eg_value *value = eg__onnx_value(onnx, info->name);
        if (!value)
            status = eg__fail_memory(onnx->err, "an input");
        else if (!value->is_defined && onnx->graph->n_nodes) {
            (void)eg__fail(onnx->err, EG_E_UNSUPPORTED,
                           "it has more than one input (engraft takes one image)");
            status = leave_out(frame, value);
        } else if (!value->is_defined)
            status = make_input(onnx, frame, info);
    }
    if (info) eg_onnx__value_info_proto__free_unpacked(info, NULL);
    return status;
}

/* ---- nodes ------------------------------------------------------------------------------ */

static int compare_made(const void *a, const void *b)
{
    return strcmp(((const struct made *)a)->name, ((const struct made *)b)->name);
}

/* The node's name, unless that is the name of a value which another node makes (other than by
 * moving this one's): the value's wins. */
static char *label_of(const struct frame *frame, const EgOnnx__NodeProto *node)
{
    static const char *const moves[] = {"Cast",    "Transpose", "Reshape", "Flatten",
                                        "Squeeze", "Unsqueeze", NULL};
    const char *output = node->n_output ? node->output[0] : "", *name = node->name ? node->name : "";
    const struct made key = {name, NULL}, *made = frame->n_made ? bsearch(&key, frame->made, frame->n_made,
                                                                          sizeof key, compare_made)
                                                                : NULL;
    bool other = made && made->by != node;
    if (other && is_one_of(made->by->op_type, moves) && made->by->n_input)
        other = strcmp(made->by->input[0], output) != 0;
    return eg__printable(!name[0] || (other && *output) ? output : name);
}

static bool is_known_domain(const EgOnnx__NodeProto *node)
{
    const char *domain = node->domain ? node->domain : "";
    return !*domain || !strcmp(domain, "ai.onnx") || !strcmp(domain, "ai.onnx.ml") ||
           (!strcmp(domain, "com.microsoft") && eg__expand_knows(node->op_type));
}

static enum eg_status find_inputs(struct eg_reading *step)
{
    const EgOnnx__NodeProto *node = step->proto;
    if (node->n_input > EG_INPUTS_MAX) return eg__step_refuse(step, "%zu inputs", node->n_input);
    step->n_in = node->n_input;
    for (size_t i = 0; i < step->n_in; i++) {
        step->in[i] = NULL;
        if (!node->input[i][0]) continue;
        step->in[i] = eg__onnx_value(step->onnx, node->input[i]);
        if (!step->in[i]) return eg__step_memory(step);
        if (!step->in[i]->is_defined) {
            char *shown = eg__printable(node->input[i]);
            enum eg_status status =
                eg__step_broken(step, "its input '%.200s' is made by no node before it", shown ? shown : "");
            free(shown);
            return status;
        }
    }
    return EG_OK;
}

/* Our own normalisation: the graph's input is behind it. */
static enum eg_status skip_normalization(struct eg_reading *step)
{
    if (!strncmp(step->label, NORMALIZE "_bgr", sizeof NORMALIZE "_bgr" - 1)) step->onnx->bgr = true;
    if (!step->n_in || !step->in[0] || step->in[0]->is_constant || step->in[0]->node != 0)
        return eg__step_broken(step, "normalisation must come first");
    struct eg_value *out = eg__step_output(step, 0);
    if (!out) return eg__step_memory(step);
    const char *name = out->name;
    *out = *step->in[0];
    out->name = name;
    return EG_OK;
}

/* What is not computed from constants is computed at work, of a constant that is a layer: then the operator
 * is lowered as any other (EG_E_NOT_FOUND). A first side of 1 is taken for the batch. */
static enum eg_status make_layer_of_constant(struct eg_reading *step)
{
    struct eg_value made, like = {.rank = 0};
    if (!step->n_in || !step->in[0]) return eg__step_broken(step, "input 0 is missing");
    const struct eg_tensor *tensor = &step->in[0]->tensor;
    if (tensor->rank && !eg__tensor_count(tensor)) return eg__step_broken(step, "its input is empty");
    like.rank = tensor->rank;
    if (tensor->rank > 1 && tensor->dim[0] == 1 && step->onnx->batch == 1)
        like.dim[0] = (struct eg_dimension){1, {{EG_AXIS_N, 1, 1}}};
    enum eg_status status = eg__value_of_constant(step, step->in[0], &like, &made);
    if (status) return status;
    step->own[0] = made;
    step->in[0] = &step->own[0];
    return EG_E_NOT_FOUND;
}

enum eg_status eg__step_read(struct eg_onnx *onnx, const EgOnnx__NodeProto *proto, const char *label)
{
    struct eg_reading step = {.onnx = onnx, .proto = proto, .label = label};
    enum eg_status status =
        is_known_domain(proto)
            ? EG_OK
            : eg__step_refuse(&step, "operators of '%.100s' are not supported", proto->domain);
    if (!status) status = eg__step_check_attributes(&step);
    if (!status) status = find_inputs(&step);
    if (!status) {
        if (!strncmp(label, NORMALIZE, sizeof NORMALIZE - 1))
            status = skip_normalization(&step);
        else if (eg__is_of_views(label))
            status = eg__read_views(&step);
        else
            status = eg__expand(&step);
        const bool constant = status == EG_E_NOT_FOUND && eg__fold_applies(&step);
        if (constant) status = eg__fold(&step);
        if (constant && status == EG_E_NOT_FOUND) status = make_layer_of_constant(&step);
        if (status == EG_E_NOT_FOUND) status = eg__lower(&step);
    }
    /* the tensors' names reach the layers too */
    for (size_t i = 0; i < proto->n_output && !status; i++) {
        struct eg_value *out = eg__step_output(&step, (unsigned)i);
        if (!out || out->is_constant || !out->is_defined || out->label || out->node == 0) continue;
        struct eg_value named = *out; /* in the order that the name means */
        if (!eg__value_names_layer(onnx, out)) status = eg__value_natural(&step, out, &named);
        if (status == EG_E_UNSUPPORTED) status = EG_OK; /* across a batch: as it is */
        char *shown = eg__printable(out->name);
        if (!status)
            status =
                shown ? eg__graph_alias(onnx->graph, named.node, shown, onnx->err) : eg__step_memory(&step);
        free(shown);
    }
    char quoted[240];
    snprintf(quoted, sizeof quoted, "'%.200s'", label);
    if (status && onnx->err && !strstr(onnx->err->message, quoted))
        status = eg__fail_within(onnx->err, status, "node '%.200s' (%.60s)", label, proto->op_type);
    return status;
}

static enum eg_status read_node(struct eg_onnx *onnx, const struct frame *frame,
                                const EgOnnx__NodeProto *proto)
{
    char *label = label_of(frame, proto);
    if (!label) return eg__fail_memory(onnx->err, "a layer's name");
    enum eg_status status = eg__step_read(onnx, proto, label);
    free(label);
    return status;
}

static enum eg_status collect_node(struct eg_onnx *onnx, struct eg_span span, struct eg_nodes *nodes)
{
    EgOnnx__NodeProto *node = eg__wire_node(span, onnx->map.bytes);
    if (node && node->op_type) return eg__nodes_add(onnx, nodes, node);
    if (node) eg_onnx__node_proto__free_unpacked(node, NULL);
    return damaged(onnx);
}

static enum eg_status collect_function(struct eg_onnx *onnx, struct frame *frame, struct eg_span span)
{
    if (!eg__grow(&frame->functions, &frame->function_capacity, frame->n_functions + 1,
                  sizeof *frame->functions))
        return eg__fail_memory(onnx->err, "functions");
    frame->functions[frame->n_functions++] = span;
    return EG_OK;
}

static enum eg_status list_made(struct frame *frame)
{
    size_t capacity = 0;
    for (size_t i = 0; i < frame->nodes.n; i++) {
        const EgOnnx__NodeProto *node = frame->nodes.node[i];
        for (size_t k = 0; k < node->n_output; k++) {
            if (!eg__grow(&frame->made, &capacity, frame->n_made + 1, sizeof *frame->made))
                return eg__fail_memory(frame->onnx->err, "nodes");
            frame->made[frame->n_made++] = (struct made){node->output[k], node};
        }
    }
    if (frame->n_made) qsort(frame->made, frame->n_made, sizeof *frame->made, compare_made);
    return EG_OK;
}

/* What the file calls something is that, and no layer that engraft adds is called so. */
static enum eg_status keep_names(const struct frame *frame)
{
    enum eg_status status = EG_OK;
    for (size_t i = 0; i < frame->nodes.n && !status; i++) {
        const EgOnnx__NodeProto *node = frame->nodes.node[i];
        for (size_t k = 0; k <= node->n_output && !status; k++) {
            const char *name = k < node->n_output ? node->output[k] : node->name;
            char *shown = name && *name ? eg__printable(name) : NULL;
            if (shown) status = eg__graph_keep_free(frame->onnx->graph, shown, frame->onnx->err);
            free(shown);
        }
    }
    return status;
}

/* A node that cannot be read is left out with all that needs it; the network ends before it. */
static enum eg_status read_or_leave(struct frame *frame, const EgOnnx__NodeProto *node)
{
    struct eg_onnx *onnx = frame->onnx;
    for (size_t k = 0; k < node->n_input && frame->n_left_out; k++) {
        struct eg_value *value = eg__onnx_value(onnx, node->input[k]);
        if (value && is_left_out(frame, value)) return leave_out_node(frame, node);
    }
    enum eg_status status = read_node(onnx, frame, node);
    return status == EG_E_UNSUPPORTED || status == EG_E_SHAPE ? leave_out_node(frame, node) : status;
}

/* Nodes that no output needs are not read (and so cannot fail). */
static enum eg_status read_nodes(struct eg_onnx *onnx, struct frame *frame)
{
    const struct eg_nodes *nodes = &frame->nodes;
    bool *live = eg__zalloc(nodes->n, sizeof *live);
    if (!live) return eg__fail_memory(onnx->err, "nodes");
    enum eg_status status = EG_OK;
    for (size_t i = nodes->n; i-- > 0 && !status;) {
        const EgOnnx__NodeProto *node = nodes->node[i];
        for (size_t k = 0; k < node->n_output && !status; k++) {
            struct eg_value *value = node->output[k][0] ? eg__onnx_value(onnx, node->output[k]) : NULL;
            if (value && value->is_needed) live[i] = true;
        }
        for (size_t k = 0; k < node->n_input && live[i] && !status; k++) {
            struct eg_value *value = eg__onnx_value(onnx, node->input[k]);
            if (value)
                value->is_needed = true;
            else
                status = eg__fail_memory(onnx->err, "nodes");
        }
    }
    for (size_t i = 0; i < nodes->n && !status; i++)
        if (live[i]) status = read_or_leave(frame, nodes->node[i]);
    free(live);
    return status;
}

/* ---- outputs ------------------------------------------------------------------------------ */

static enum eg_status read_output_name(struct eg_onnx *onnx, struct eg_span span, struct eg_value **value)
{
    EgOnnx__ValueInfoProto *info = eg_onnx__value_info_proto__unpack(NULL, span.size, span.bytes);
    enum eg_status status = info && info->name ? EG_OK : damaged(onnx);
    if (!status && !(*value = eg__onnx_value(onnx, info->name)))
        status = eg__fail_memory(onnx->err, "an output");
    if (!status) (*value)->is_needed = true;
    if (info) eg_onnx__value_info_proto__free_unpacked(info, NULL);
    return status;
}

/* The network's answer is left out: what was read can be cut, not run to its end. */
static enum eg_status end_early(struct eg_onnx *onnx, const struct frame *frame)
{
    struct eg_graph *graph = onnx->graph;
    uint32_t last = graph->n_nodes - 1;
    while (last && !eg__node_is_cut(graph, last)) last--;
    if (!last) return eg__fail(onnx->err, EG_E_UNSUPPORTED, "%s", frame->reason);
    graph->output = last;
    graph->label_output = 0;
    return eg__graph_set_metadata(graph, EG_GRAPH_UNREAD, frame->reason, onnx->err);
}

/* A number that stands for a class: the place of the largest, that or another, one of two constants. */
static bool is_label(const struct eg_graph *graph, uint32_t index)
{
    const struct eg_node *node = &graph->nodes[index];
    if (node->op == EG_OP_ARG_MAX) return true;
    if (node->op != EG_OP_WHERE) return false;
    bool constant = true, label = false;
    for (unsigned i = 1; i < 3; i++) {
        const enum eg_op op = graph->nodes[node->inputs[i]].op;
        constant &= op == EG_OP_CONSTANT;
        label |= op == EG_OP_ARG_MAX;
    }
    return constant || label;
}

static enum eg_status set_outputs(struct eg_onnx *onnx, const struct frame *frame)
{
    struct eg_graph *graph = onnx->graph;
    bool have = false;
    graph->label_output = 0;
    for (size_t i = 0; i < frame->n_outputs; i++) {
        struct eg_value *value = frame->outputs[i];
        if (is_left_out(frame, value)) {
            if (have) continue;
            return end_early(onnx, frame);
        }
        if (!value->is_defined || value->is_constant) {
            char *shown = eg__printable(value->name);
            enum eg_status status = eg__fail(
                onnx->err, EG_E_FORMAT, "output '%.200s' is not computed from the input", shown ? shown : "");
            free(shown);
            return status;
        }
        EgOnnx__NodeProto outside = EG_ONNX__NODE_PROTO__INIT;
        outside.op_type = "output";
        struct eg_reading step = {.onnx = onnx, .label = value->name, .proto = &outside};
        enum eg_status status = EG_OK;
        struct eg_value made;
        if (!value->label && eg__value_can_settle(onnx, value))
            status = eg__value_settle(&step, value, value->name);
        else if (!(status = eg__value_natural(&step, value, &made)))
            value->node = made.node;
        if (status) return status;
        const bool said = graph->nodes[value->node].op == EG_OP_LESS && !strcmp(value->name, "labels");
        if (said || is_label(graph, value->node)) {
            if (!graph->label_output) graph->label_output = value->node;
        } else if (!have) {
            graph->output = value->node;
            have = true;
        }
    }
    if (!have && graph->label_output) {
        graph->output = graph->nodes[graph->label_output].inputs[0];
        have = true;
    }
    if (!have || !graph->output)
        return eg__fail(onnx->err, EG_E_FORMAT, "it computes nothing from its input");
    return EG_OK;
}

/* ---- the default cut ------------------------------------------------------------------------ */

static bool is_pool(enum eg_op op)
{
    return op == EG_OP_MAX_POOL || op == EG_OP_AVG_POOL || op == EG_OP_ADAPTIVE_POOL ||
           op == EG_OP_GLOBAL_AVG || op == EG_OP_GLOBAL_MAX || op == EG_OP_GLOBAL_GEM;
}

static bool is_weighted(enum eg_op op) { return op == EG_OP_CONV || op == EG_OP_LINEAR; }

/* The last pooling before the classifier; where the classifier is a convolution under that
 * pooling (SqueezeNet), what goes into it. */
static uint32_t find_default_cut(const struct eg_graph *graph)
{
    uint32_t cut, pool = graph->output;
    bool weights_after = false;
    for (; pool && !is_pool(graph->nodes[pool].op); pool--)
        weights_after |= is_weighted(graph->nodes[pool].op);
    if (!pool) {
        for (cut = graph->output; cut && !is_weighted(graph->nodes[cut].op);) cut--;
        return cut ? graph->nodes[cut].inputs[0] : 0;
    }
    if (weights_after) return pool;
    cut = graph->nodes[pool].inputs[0];
    while (cut && graph->nodes[cut].op == EG_OP_RELU) cut = graph->nodes[cut].inputs[0];
    if (graph->nodes[cut].op != EG_OP_CONV || graph->nodes[cut].window.kernel_h != 1) return pool;
    uint32_t before = graph->nodes[cut].inputs[0];
    if (graph->nodes[before].op == EG_OP_DROPOUT) before = graph->nodes[before].inputs[0];
    return graph->nodes[before].op == EG_OP_CONCAT ? before : pool;
}

/* ---- B,G,R ------------------------------------------------------------------------------------ */

/* The file takes R,G,B; the network's own order is B,G,R: turn its first convolutions back. */
static enum eg_status turn_first_convolutions(struct eg_onnx *onnx)
{
    struct eg_graph *graph = onnx->graph;
    bool *is_image = eg__zalloc(graph->n_nodes, sizeof *is_image);
    if (!is_image) return eg__fail_memory(onnx->err, "a network");
    enum eg_status status = EG_OK;
    is_image[0] = true;
    for (uint32_t i = 1; i < graph->n_nodes && !status; i++) {
        struct eg_node *node = &graph->nodes[i];
        if (!node->n_inputs || !is_image[node->inputs[0]]) continue;
        if (node->op == EG_OP_PAD || node->op == EG_OP_IDENTITY || node->op == EG_OP_DROPOUT ||
            node->op == EG_OP_VIEWS) {
            is_image[i] = true;
        } else if (node->op != EG_OP_CONV || node->groups != 1) {
            status =
                eg__fail(onnx->err, EG_E_FORMAT,
                         "layer '%.200s' is where its normalisation ends, not a convolution", node->name);
        } else {
            struct eg_tensor turned = eg__tensor_channels_reversed(node->params[0]);
            node->params[0] = eg__graph_tensor(graph, &turned);
            if (!node->params[0]) status = eg__fail_memory(onnx->err, "a network");
        }
    }
    free(is_image);
    return status;
}

/* ---- the whole ----------------------------------------------------------------------------- */

static enum eg_status read_model(struct eg_onnx *onnx, struct frame *frame)
{
    struct eg_span model = {onnx->map.bytes, onnx->map.size};
    struct eg_field field;
    enum eg_status status = EG_OK;
    while (!status && eg__wire_next(&model, &field)) {
        if (field.type != 2) continue;
        if (field.number == MODEL_GRAPH) frame->graph = field.span;
        if (field.number == MODEL_OPSET) status = read_opset(onnx, field.span);
        if (field.number == MODEL_METADATA) status = read_metadata(onnx, field.span);
        if (field.number == MODEL_FUNCTION) status = collect_function(onnx, frame, field.span);
    }
    if (status) return status;
    if (!model.bytes || !frame->graph.bytes) return damaged(onnx);
    if (onnx->opset < 7 || onnx->opset > OPSET_NEWEST)
        return eg__fail(onnx->err, EG_E_UNSUPPORTED,
                        "it is of opset %lld, engraft reads 7 to %d (export it again)",
                        (long long)onnx->opset, OPSET_NEWEST);
    return EG_OK;
}

/* Initializers first: an input of the same name only gives its type; nodes say how the input lies. */
static enum eg_status read_graph(struct eg_onnx *onnx, struct frame *frame)
{
    enum eg_status status = EG_OK;
    for (unsigned pass = 0; pass < 3; pass++) {
        struct eg_span graph = frame->graph;
        struct eg_field field;
        while (!status && eg__wire_next(&graph, &field)) {
            if (field.type != 2) continue;
            if (pass == 0 && field.number == GRAPH_INITIALIZER)
                status = read_initializer(onnx, frame, field.span);
            if (pass == 2 && field.number == GRAPH_INPUT) status = read_input(onnx, frame, field.span);
            if (pass == 1 && field.number == GRAPH_NODE)
                status = collect_node(onnx, field.span, &frame->nodes);
            if (pass == 1 && field.number == GRAPH_OUTPUT) {
                struct eg_value *value = NULL;
                status = read_output_name(onnx, field.span, &value);
                if (!status && !eg__grow(&frame->outputs, &frame->output_capacity, frame->n_outputs + 1,
                                         sizeof(struct eg_value *)))
                    status = eg__fail_memory(onnx->err, "outputs");
                if (!status) frame->outputs[frame->n_outputs++] = value;
            }
        }
        if (!status && !graph.bytes) status = damaged(onnx);
        if (!status && pass == 1)
            status = eg__functions_inline(onnx, frame->functions, frame->n_functions, &frame->nodes);
        if (!status && pass == 1) status = eg__nodes_sort(onnx, &frame->nodes);
        if (status) return status;
    }
    if (!onnx->graph->n_nodes) return eg__fail(onnx->err, EG_E_FORMAT, "it has no input");
    if (!frame->n_outputs) return eg__fail(onnx->err, EG_E_FORMAT, "it has no output");
    status = list_made(frame);
    if (!status) status = keep_names(frame);
    if (!status) status = read_nodes(onnx, frame);
    if (!status && frame->n_left_out)
        status = eg__graph_set_metadata(onnx->graph, EG_GRAPH_LEFT_OUT, frame->reason, onnx->err);
    if (!status) status = set_outputs(onnx, frame);
    if (!status) status = eg__recognize(onnx->graph, onnx->err);
    if (!status && onnx->bgr) status = turn_first_convolutions(onnx);
    if (!status && !eg__graph_metadata(onnx->graph, EG_GRAPH_UNREAD))
        onnx->graph->default_cut = find_default_cut(onnx->graph);
    return status;
}

static void release_map(void *object)
{
    struct eg_mapping *map = object;
    eg__unmap_file(map);
    free(map);
}

static enum eg_status open_file(struct eg_onnx *onnx)
{
    const char *last = eg__path_last(onnx->path), *dot = strrchr(last, '.');
    char *name = strndup(last, dot && dot != last ? (size_t)(dot - last) : strlen(last));
    char *shown = name ? eg__printable(name) : NULL;
    enum eg_status status =
        shown ? eg__graph_create(shown, &onnx->graph, onnx->err) : eg__fail_memory(onnx->err, "a network");
    free(name);
    free(shown);
    if (status) return status;
    struct eg_mapping *held = malloc(sizeof *held);
    if (!held || !(onnx->graph->weights_path = eg__graph_string(onnx->graph, onnx->path))) {
        free(held);
        return eg__fail_memory(onnx->err, "a network");
    }
    if ((status = eg__map_file(onnx->path, held, onnx->err))) {
        free(held);
        return status;
    }
    onnx->map = *held;
    onnx->folded_max = 8 * onnx->map.size + ((size_t)1 << 26);
    return eg__graph_hold(onnx->graph, held, release_map, onnx->err);
}

static enum eg_status open_memory(struct eg_onnx *onnx, const struct eg_onnx_bytes *model, const char *name)
{
    enum eg_status status = eg__graph_create(name, &onnx->graph, onnx->err);
    if (status) {
        model->release(model->object);
        return status;
    }
    onnx->map = (struct eg_mapping){model->bytes, model->n_bytes};
    onnx->folded_max = 8 * onnx->map.size + ((size_t)1 << 26);
    return eg__graph_hold(onnx->graph, model->object, model->release, onnx->err);
}

/* What was opened, read; all of onnx but its graph is given back. */
static enum eg_status read_opened(struct eg_onnx *onnx, const char *name, struct eg_graph **graph)
{
    struct frame frame = {.onnx = onnx};
    enum eg_status status = read_model(onnx, &frame);
    if (!status) status = read_graph(onnx, &frame);
    if (status) {
        char *shown = eg__printable(name);
        status = eg__fail_within(onnx->err, status, "cannot use '%.200s'", shown ? shown : "");
        free(shown);
    }
    eg__nodes_free(&frame.nodes);
    free(frame.functions);
    free(frame.made);
    free(frame.outputs);
    free(frame.left_out);
    tdestroy(onnx->values, free);
    if (!status) *graph = onnx->graph;
    return status;
}

enum eg_status eg__onnx_load(const char *path, struct eg_graph **graph, struct eg_error *err)
{
    struct eg_error own = {0};
    /* what is left out is told in the error's words */
    struct eg_onnx onnx = {.path = path, .err = err ? err : &own, .batch = 1};
    enum eg_status status = open_file(&onnx);
    if (!status) status = read_opened(&onnx, path, graph);
    if (status) eg__graph_free(onnx.graph);
    return status;
}

enum eg_status eg__onnx_load_memory(const struct eg_onnx_bytes *model, const char *name,
                                    struct eg_graph **graph, struct eg_error *err)
{
    struct eg_error own = {0};
    struct eg_onnx onnx = {.err = err ? err : &own, .batch = 1};
    enum eg_status status = open_memory(&onnx, model, name);
    if (!status) status = read_opened(&onnx, name, graph);
    if (status) eg__graph_free(onnx.graph);
    return status;
}
