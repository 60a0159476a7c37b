/* onnx_write_nodes.c: every operator of ours as ONNX nodes. The node that bears the layer's
 * name is the one the reader makes the layer from; helpers are "layer/part". Names depend on
 * layers and tensors only, so that a file read and written again has the same bytes. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "onnx/onnx_writer.h"

/* One layer being written. */
struct layer {
    struct eg_onnx_writer *writer;
    const struct eg_node *node;
    const char *name, *output;
    struct eg_map in; /* of input 0 */
    bool is_vector;   /* of the result */
};

static enum eg_status refuse(struct layer *layer, const char *why)
{
    enum eg_status status =
        eg__fail(layer->writer->err, EG_E_UNSUPPORTED, "cannot write layer '%.200s' (%s) as ONNX: %s",
                 layer->name, eg__op_info[layer->node->op].text, why);
    eg__writer_fail(layer->writer, status);
    return status;
}

static const char *part(struct layer *layer, const char *name)
{
    return eg__writer_part(layer->writer, layer->name, name);
}

/* A helper node "layer/name" whose value has the same name. */
static const char *helper(struct layer *layer, const char *op, const char *name, unsigned n,
                          const char *const *inputs, EgOnnx__NodeProto **node)
{
    const char *value = eg__writer_name(layer->writer, part(layer, name));
    EgOnnx__NodeProto *made = eg__writer_node(layer->writer, op, part(layer, name), value, n, inputs);
    if (node) *node = made;
    return value;
}

/* The node that bears the layer's name and gives its value. */
static EgOnnx__NodeProto * final(struct layer *layer, const char *op, unsigned n, const char *const *inputs)
{
    return eg__writer_node(layer->writer, op, layer->name, layer->output, n, inputs);
}

/* Input i as [n][c] or [n][c][h][w]. */
static const char *input(struct layer *layer, unsigned i, bool as_vector)
{
    struct eg_onnx_writer *writer = layer->writer;
    uint32_t from = layer->node->inputs[i];
    const char *value = writer->value[from];
    if (writer->is_vector[from] == as_vector) return value;
    char name[24];
    snprintf(name, sizeof name, as_vector ? "flatten%u" : "unsqueeze%u", i);
    if (as_vector) {
        EgOnnx__NodeProto *made;
        value = helper(layer, "Flatten", name, 1, &value, &made);
        eg__writer_int(writer, made, "axis", 1);
        return value;
    }
    static const int64_t axes[2] = {2, 3};
    const char *list =
        eg__writer_int_list(writer, eg__writer_part(writer, part(layer, name), "axes"), 2, axes);
    return helper(layer, "Unsqueeze", name, 2, (const char *[]){value, list}, NULL);
}

/* A parameter under the tensor's own name, else "layer.param". */
static const char *parameter(struct layer *layer, unsigned i, const struct eg_tensor *view, bool weight)
{
    struct eg_onnx_writer *writer = layer->writer;
    const struct eg_tensor *tensor = layer->node->params[i];
    char kind[24];
    snprintf(kind, sizeof kind, "%s", eg__op_info[layer->node->op].params[i]);
    kind[strcspn(kind, "?")] = '\0';
    const char *name = tensor && tensor->name ? tensor->name : part(layer, kind);
    return eg__writer_tensor(writer, name, view, weight);
}

static const char *vector_or(struct layer *layer, unsigned i, size_t n, float otherwise)
{
    if (layer->node->params[i]) return parameter(layer, i, layer->node->params[i], false);
    float *numbers = eg__graph_memory(layer->writer->scratch, n, sizeof *numbers);
    if (!numbers) {
        eg__writer_fail(layer->writer, eg__fail_memory(layer->writer->err, "an ONNX file"));
        return "";
    }
    for (size_t k = 0; k < n; k++) numbers[k] = otherwise;
    struct eg_tensor view = {.data = numbers, .dtype = EG_F32, .rank = 1, .dim = {n}, .stride = {1}};
    return parameter(layer, i, &view, false);
}

static const char *number(struct layer *layer, const char *name, float x)
{
    return eg__writer_number(layer->writer, part(layer, name), x);
}

static const char *ints(struct layer *layer, const char *name, size_t n, const int64_t *values)
{
    return eg__writer_int_list(layer->writer, part(layer, name), n, values);
}

/* ---- windows -------------------------------------------------------------------------- */

static void put_window(struct layer *layer, EgOnnx__NodeProto *node, const struct eg_window *w,
                       bool dilations)
{
    struct eg_onnx_writer *writer = layer->writer;
    eg__writer_ints(writer, node, "kernel_shape", 2, (const int64_t[]){w->kernel_h, w->kernel_w});
    eg__writer_ints(writer, node, "strides", 2, (const int64_t[]){w->stride_h, w->stride_w});
    if (dilations)
        eg__writer_ints(writer, node, "dilations", 2, (const int64_t[]){w->dilation_h, w->dilation_w});
    if (w->padding == EG_PAD_EXPLICIT)
        eg__writer_ints(writer, node, "pads", 4,
                        (const int64_t[]){w->pad_top, w->pad_left, w->pad_bottom, w->pad_right});
    else
        eg__writer_string(writer, node, "auto_pad",
                          w->padding == EG_PAD_SAME_UPPER ? "SAME_UPPER" : "SAME_LOWER");
}

static void write_conv(struct layer *layer)
{
    static const uint8_t to_oihw[4] = {0, 3, 1, 2};
    const struct eg_node *node = layer->node;
    struct eg_tensor weight = *node->params[0];
    if (layer->writer->is_image[node->inputs[0]]) {
        if (node->groups != 1) {
            refuse(layer, "it works on B,G,R channels apart");
            return;
        }
        weight = eg__tensor_channels_reversed(&weight);
    }
    weight = eg__tensor_permuted(&weight, to_oihw);
    const char *inputs[3] = {input(layer, 0, false), parameter(layer, 0, &weight, true)};
    if (node->params[1]) inputs[2] = parameter(layer, 1, node->params[1], false);
    EgOnnx__NodeProto *made = final(layer, "Conv", node->params[1] ? 3 : 2, inputs);
    put_window(layer, made, &node->window, true);
    eg__writer_int(layer->writer, made, "group", node->groups);
}

/* Along c at every pixel: a product on vectors, a 1x1 convolution on maps. */
static void write_linear(struct layer *layer)
{
    const struct eg_node *node = layer->node;
    struct eg_tensor weight = *node->params[0];
    if (!layer->is_vector) {
        weight.rank = 4;
        weight.dim[2] = weight.dim[3] = 1;
        weight.stride[2] = weight.stride[3] = 1;
    }
    const char *inputs[3] = {input(layer, 0, layer->is_vector), parameter(layer, 0, &weight, true)};
    if (node->params[1]) inputs[2] = parameter(layer, 1, node->params[1], false);
    EgOnnx__NodeProto *made =
        final(layer, layer->is_vector ? "Gemm" : "Conv", node->params[1] ? 3 : 2, inputs);
    if (layer->is_vector) {
        eg__writer_int(layer->writer, made, "transB", 1);
    } else {
        static const struct eg_window one = {
            .kernel_h = 1, .kernel_w = 1, .stride_h = 1, .stride_w = 1, .dilation_h = 1, .dilation_w = 1};
        put_window(layer, made, &one, true);
        eg__writer_int(layer->writer, made, "group", 1);
    }
}

static void write_pool(struct layer *layer)
{
    const struct eg_node *node = layer->node;
    bool max = node->op == EG_OP_MAX_POOL,
         dilated = node->window.dilation_h != 1 || node->window.dilation_w != 1;
    if (!max && dilated) {
        refuse(layer, "opset 17 has no dilated average");
        return;
    }
    const char *in = input(layer, 0, false);
    EgOnnx__NodeProto *made = final(layer, max ? "MaxPool" : "AveragePool", 1, &in);
    put_window(layer, made, &node->window, max && dilated);
    if (node->ceil_mode) eg__writer_int(layer->writer, made, "ceil_mode", 1);
    if (!max && node->count_include_pad) eg__writer_int(layer->writer, made, "count_include_pad", 1);
}

static void write_adaptive_pool(struct layer *layer)
{
    const struct eg_node *node = layer->node;
    const char *in = input(layer, 0, false);
    if (node->out_h == 1 && node->out_w == 1) {
        final(layer, "GlobalAveragePool", 1, &in);
        return;
    }
    if (layer->in.h % node->out_h || layer->in.w % node->out_w) {
        refuse(layer, "its windows differ in size");
        return;
    }
    int64_t side[2] = {(int64_t)(layer->in.h / node->out_h), (int64_t)(layer->in.w / node->out_w)};
    static const int64_t none[4] = {0, 0, 0, 0};
    EgOnnx__NodeProto *made = final(layer, "AveragePool", 1, &in);
    eg__writer_ints(layer->writer, made, "kernel_shape", 2, side);
    eg__writer_ints(layer->writer, made, "strides", 2, side);
    eg__writer_ints(layer->writer, made, "pads", 4, none);
}

static void write_global_gem(struct layer *layer)
{
    const char *in = input(layer, 0, false), *floor = number(layer, "floor.value", layer->node->beta);
    const char *p = number(layer, "power/exponent", layer->node->alpha);
    const char *root = number(layer, "exponent", 1.0f / layer->node->alpha);
    const char *bounded = helper(layer, "Max", "floor", 2, (const char *[]){in, floor}, NULL);
    const char *power = helper(layer, "Pow", "power", 2, (const char *[]){bounded, p}, NULL);
    const char *mean = helper(layer, "GlobalAveragePool", "mean", 1, &power, NULL);
    final(layer, "Pow", 2, (const char *[]){mean, root});
}

static void write_pad(struct layer *layer)
{
    const struct eg_window *w = &layer->node->window;
    int64_t pads[8] = {0, 0, w->pad_top, w->pad_left, 0, 0, w->pad_bottom, w->pad_right};
    const char *inputs[3] = {input(layer, 0, false), ints(layer, "pads", 8, pads)};
    if (layer->node->alpha != 0) inputs[2] = number(layer, "value", layer->node->alpha);
    final(layer, "Pad", layer->node->alpha != 0 ? 3 : 2, inputs);
}

/* ---- normalisation ---------------------------------------------------------------------- */

static void write_batch_norm(struct layer *layer)
{
    const char *inputs[5] = {input(layer, 0, layer->is_vector)};
    for (unsigned i = 0; i < 4; i++) inputs[1 + i] = vector_or(layer, i, layer->in.c, i == 0 ? 1.0f : 0.0f);
    EgOnnx__NodeProto *made = final(layer, "BatchNormalization", 5, inputs);
    eg__writer_float(layer->writer, made, "epsilon", layer->node->epsilon);
}

static void write_layer_norm(struct layer *layer)
{
    static const int64_t to_nhwc[4] = {0, 2, 3, 1}, to_nchw[4] = {0, 3, 1, 2};
    const char *in = input(layer, 0, layer->is_vector), *output = layer->output;
    EgOnnx__NodeProto *turn;
    if (!layer->is_vector) {
        in = helper(layer, "Transpose", "nhwc", 1, &in, &turn);
        eg__writer_ints(layer->writer, turn, "perm", 4, to_nhwc);
        output = eg__writer_name(layer->writer, part(layer, "normal"));
    }
    const char *inputs[3] = {in, vector_or(layer, 0, layer->in.c, 1), vector_or(layer, 1, layer->in.c, 0)};
    EgOnnx__NodeProto *made =
        eg__writer_node(layer->writer, "LayerNormalization", layer->name, output, 3, inputs);
    eg__writer_float(layer->writer, made, "epsilon", layer->node->epsilon);
    if (layer->is_vector) return;
    turn = eg__writer_node(layer->writer, "Transpose", part(layer, "nchw"), layer->output, 1, &output);
    eg__writer_ints(layer->writer, turn, "perm", 4, to_nchw);
}

static void write_lrn(struct layer *layer)
{
    const char *in = input(layer, 0, false);
    EgOnnx__NodeProto *made = final(layer, "LRN", 1, &in);
    eg__writer_int(layer->writer, made, "size", layer->node->size);
    eg__writer_float(layer->writer, made, "alpha", layer->node->alpha);
    eg__writer_float(layer->writer, made, "beta", layer->node->beta);
    eg__writer_float(layer->writer, made, "bias", layer->node->bias);
}

/* ---- element by element ------------------------------------------------------------------- */

static EgOnnx__NodeProto *write_unary(struct layer *layer, const char *op)
{
    const char *in = input(layer, 0, layer->is_vector);
    return final(layer, op, 1, &in);
}

static void write_clip(struct layer *layer)
{
    const struct eg_node *node = layer->node;
    const char *inputs[3] = {input(layer, 0, layer->is_vector), "", ""};
    if (!isinf(node->alpha)) inputs[1] = number(layer, "min", node->alpha);
    if (!isinf(node->beta)) inputs[2] = number(layer, "max", node->beta);
    final(layer, "Clip", isinf(node->beta) ? isinf(node->alpha) ? 1 : 2 : 3, inputs);
}

static void write_silu(struct layer *layer)
{
    const char *in = input(layer, 0, layer->is_vector),
               *gate = helper(layer, "Sigmoid", "sigmoid", 1, &in, NULL);
    final(layer, "Mul", 2, (const char *[]){in, gate});
}

static void write_gelu(struct layer *layer)
{
    const char *in = input(layer, 0, layer->is_vector), *root = number(layer, "scaled.root2", 1.41421356f);
    const char *scaled = helper(layer, "Div", "scaled", 2, (const char *[]){in, root}, NULL);
    const char *erf = helper(layer, "Erf", "erf", 1, &scaled, NULL), *one = number(layer, "sum.one", 1);
    const char *sum = helper(layer, "Add", "sum", 2, (const char *[]){erf, one}, NULL);
    const char *twice = helper(layer, "Mul", "product", 2, (const char *[]){in, sum}, NULL);
    final(layer, "Mul", 2, (const char *[]){twice, number(layer, "half", 0.5f)});
}

/* x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) */
static void write_gelu_tanh(struct layer *layer)
{
    const char *in = input(layer, 0, layer->is_vector);
    const char *cube =
        helper(layer, "Pow", "cube", 2, (const char *[]){in, number(layer, "cube/exponent", 3)}, NULL);
    const char *small = helper(layer, "Mul", "small", 2,
                               (const char *[]){cube, number(layer, "small.factor", 0.044715f)}, NULL);
    const char *inner = helper(layer, "Add", "inner", 2, (const char *[]){in, small}, NULL);
    const char *scaled = helper(layer, "Mul", "scaled", 2,
                                (const char *[]){inner, number(layer, "scaled.factor", 0.79788456f)}, NULL);
    const char *tanh_value = helper(layer, "Tanh", "tanh", 1, &scaled, NULL);
    const char *sum =
        helper(layer, "Add", "sum", 2, (const char *[]){tanh_value, number(layer, "sum.one", 1)}, NULL);
    const char *twice = helper(layer, "Mul", "product", 2, (const char *[]){in, sum}, NULL);
    final(layer, "Mul", 2, (const char *[]){twice, number(layer, "half", 0.5f)});
}

static void write_pow(struct layer *layer)
{
    const char *in = input(layer, 0, layer->is_vector);
    final(layer, "Pow", 2, (const char *[]){in, number(layer, "exponent", layer->node->alpha)});
}

static void write_dropout(struct layer *layer)
{
    const char *in = input(layer, 0, layer->is_vector);
    final(layer, "Dropout", 2, (const char *[]){in, number(layer, "ratio", layer->node->alpha)});
}

/* ---- two values --------------------------------------------------------------------------- */

/* The constant of a two-value layer: [c] or [h][w][c] to the result's order. */
static const char *constant(struct layer *layer)
{
    const struct eg_tensor *tensor = layer->node->params[0];
    struct eg_tensor view = *tensor;
    size_t dim[3] = {1, 1, 1};
    ptrdiff_t stride[3] = {1, 1, 1};
    for (unsigned i = 0; i < tensor->rank; i++) {
        dim[3 - tensor->rank + i] = tensor->dim[i];
        stride[3 - tensor->rank + i] = tensor->stride[i];
    }
    view.rank = layer->is_vector ? 1 : 3;
    static const uint8_t chw[3] = {2, 0, 1};
    for (unsigned i = 0; i < view.rank; i++) {
        view.dim[i] = dim[layer->is_vector ? 2 : chw[i]];
        view.stride[i] = stride[layer->is_vector ? 2 : chw[i]];
    }
    if (eg__tensor_count(&view) == 1) view.rank = tensor->rank ? 1 : 0;
    return parameter(layer, 0, &view, false);
}

static void write_binary(struct layer *layer, const char *op)
{
    const struct eg_node *node = layer->node;
    const char *inputs[2] = {input(layer, 0, layer->is_vector)};
    inputs[1] = node->n_inputs == 2 ? input(layer, 1, layer->is_vector) : constant(layer);
    if (node->swapped && node->n_inputs == 1) {
        const char *swap = inputs[0];
        inputs[0] = inputs[1];
        inputs[1] = swap;
    }
    if (node->op != EG_OP_LESS) {
        final(layer, op, 2, inputs);
        return;
    }
    const char *truth = eg__writer_name(layer->writer, part(layer, "bool"));
    eg__writer_node(layer->writer, op, layer->name, truth, 2, inputs);
    EgOnnx__NodeProto *cast =
        eg__writer_node(layer->writer, "Cast", part(layer, "float"), layer->output, 1, &truth);
    eg__writer_int(layer->writer, cast, "to", EG_ONNX_FLOAT);
}

static void write_cast(struct layer *layer)
{
    const char *in = input(layer, 0, layer->is_vector),
               *narrow = eg__writer_name(layer->writer, part(layer, "narrow"));
    EgOnnx__NodeProto *there = eg__writer_node(layer->writer, "Cast", layer->name, narrow, 1, &in);
    eg__writer_int(layer->writer, there, "to", eg__onnx_data_type((enum eg_dtype)layer->node->size));
    EgOnnx__NodeProto *back =
        eg__writer_node(layer->writer, "Cast", part(layer, "float"), layer->output, 1, &narrow);
    eg__writer_int(layer->writer, back, "to", EG_ONNX_FLOAT);
}

static void write_where(struct layer *layer)
{
    EgOnnx__NodeProto *cast;
    const char *inputs[3];
    for (unsigned i = 0; i < 3; i++) inputs[i] = input(layer, i, layer->is_vector);
    inputs[0] = helper(layer, "Cast", "condition", 1, &inputs[0], &cast);
    eg__writer_int(layer->writer, cast, "to", EG_ONNX_BOOL);
    final(layer, "Where", 3, inputs);
}

/* ---- channels ----------------------------------------------------------------------------- */

static void write_concat(struct layer *layer)
{
    const char *inputs[EG_INPUTS_MAX];
    for (unsigned i = 0; i < layer->node->n_inputs; i++) inputs[i] = input(layer, i, layer->is_vector);
    eg__writer_int(layer->writer, final(layer, "Concat", layer->node->n_inputs, inputs), "axis", 1);
}

static void write_slice(struct layer *layer)
{
    int64_t begin = (int64_t)layer->node->begin, end = (int64_t)layer->node->end, axis = 1;
    const char *inputs[4] = {input(layer, 0, layer->is_vector), ints(layer, "starts", 1, &begin),
                             ints(layer, "ends", 1, &end), ints(layer, "axes", 1, &axis)};
    final(layer, "Slice", 4, inputs);
}

static void write_shuffle(struct layer *layer)
{
    static const int64_t perm[5] = {0, 2, 1, 3, 4};
    struct eg_map s = layer->in;
    int64_t g = layer->node->groups, h = (int64_t)s.h, w = (int64_t)s.w, c = (int64_t)s.c;
    const char *in = input(layer, 0, false);
    const char *to_groups = ints(layer, "groups.shape", 5, (const int64_t[]){0, g, c / g, h, w});
    const char *to_map = ints(layer, "shape", 4, (const int64_t[]){0, c, h, w});
    EgOnnx__NodeProto *turn;
    const char *groups = helper(layer, "Reshape", "groups", 2, (const char *[]){in, to_groups}, NULL);
    const char *turned = helper(layer, "Transpose", "turned", 1, &groups, &turn);
    eg__writer_ints(layer->writer, turn, "perm", 5, perm);
    final(layer, "Reshape", 2, (const char *[]){turned, to_map});
}

static void write_flatten(struct layer *layer)
{
    static const int64_t perm[4] = {0, 2, 3, 1};
    struct eg_onnx_writer *writer = layer->writer;
    const char *in = writer->value[layer->node->inputs[0]];
    if (!layer->node->order_chw && layer->in.h * layer->in.w > 1) {
        EgOnnx__NodeProto *turn;
        in = helper(layer, "Transpose", "nhwc", 1, &in, &turn);
        eg__writer_ints(writer, turn, "perm", 4, perm);
    }
    eg__writer_int(writer, final(layer, "Flatten", 1, &in), "axis", 1);
}

static void write_reduce(struct layer *layer, const char *op)
{
    int64_t axis = 1;
    const char *inputs[2] = {input(layer, 0, layer->is_vector)};
    bool as_input = layer->node->op == EG_OP_REDUCE_SUM; /* since opset 13; the others since 18 */
    if (as_input) inputs[1] = ints(layer, "axes", 1, &axis);
    EgOnnx__NodeProto *made = final(layer, op, as_input ? 2 : 1, inputs);
    if (!as_input) eg__writer_ints(layer->writer, made, "axes", 1, &axis);
    eg__writer_int(layer->writer, made, "keepdims", 1);
}

static void write_arg_max(struct layer *layer)
{
    const char *in = input(layer, 0, layer->is_vector);
    const char *whole = eg__writer_name(layer->writer, part(layer, "index"));
    EgOnnx__NodeProto *made = eg__writer_node(layer->writer, "ArgMax", layer->name, whole, 1, &in);
    eg__writer_int(layer->writer, made, "axis", 1);
    eg__writer_int(layer->writer, made, "keepdims", 1);
    EgOnnx__NodeProto *cast =
        eg__writer_node(layer->writer, "Cast", part(layer, "float"), layer->output, 1, &whole);
    eg__writer_int(layer->writer, cast, "to", EG_ONNX_FLOAT);
}

/* ---- trees: see onnx_trees.c for the order --------------------------------------------------- */

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

static void put_ints(struct layer *layer, EgOnnx__NodeProto *made, const char *name, size_t n,
                     int64_t *values)
{
    EgOnnx__AttributeProto *attribute = eg__writer_attribute(layer->writer, made, name, 7);
    attribute->ints = values;
    attribute->n_ints = n;
}

static void put_floats(struct layer *layer, EgOnnx__NodeProto *made, const char *name, size_t n,
                       float *values)
{
    EgOnnx__AttributeProto *attribute = eg__writer_attribute(layer->writer, made, name, 6);
    attribute->floats = values;
    attribute->n_floats = n;
}

static void write_trees(struct layer *layer)
{
    const struct eg_node *node = layer->node;
    struct eg_graph *scratch = layer->writer->scratch;
    size_t n = node->params[0]->dim[0], n_classes = node->params[4]->dim[1], n_leaf_nodes = 0;
    for (unsigned i = 0; i < 6; i++)
        if (!node->params[i]->data) {
            refuse(layer, "its trees have no values");
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
        refuse(layer, "a node of its trees has two parents");
        return;
    }
    const char *in = input(layer, 0, true);
    EgOnnx__NodeProto *made = final(layer, "TreeEnsembleClassifier", 1, &in);
    static char domain[] = "ai.onnx.ml";
    made->domain = domain;
    char **outputs = eg__graph_memory(scratch, 2, sizeof *outputs);
    int64_t *labels = eg__graph_memory(scratch, n_classes, sizeof *labels);
    if (!outputs || !labels) {
        eg__writer_fail(layer->writer, eg__fail_memory(layer->writer->err, "trees"));
        return;
    }
    const char *label = eg__writer_name(layer->writer, part(layer, "label"));
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

/* ---- the layer ------------------------------------------------------------------------------- */

/* Is the result [n][c]? Vectors stay so; one pixel becomes one at a product or a flatten. */
static bool gives_vector(const struct eg_onnx_writer *writer, const struct eg_node *node)
{
    struct eg_map in = eg__map(writer->graph->nodes[node->inputs[0]].shape);
    switch (node->op) {
    case EG_OP_FLATTEN:
    case EG_OP_TREE_ENSEMBLE: return true;
    case EG_OP_LINEAR: return in.h == 1 && in.w == 1;
    case EG_OP_CONV:
    case EG_OP_LRN:
    case EG_OP_MAX_POOL:
    case EG_OP_AVG_POOL:
    case EG_OP_ADAPTIVE_POOL:
    case EG_OP_GLOBAL_AVG:
    case EG_OP_GLOBAL_MAX:
    case EG_OP_GLOBAL_GEM:
    case EG_OP_CHANNEL_SHUFFLE:
    case EG_OP_PAD: return false;
    default: break;
    }
    if (eg__map(node->shape).h != 1 || eg__map(node->shape).w != 1) return false;
    for (uint32_t i = 0; i < node->n_inputs; i++)
        if (!writer->is_vector[node->inputs[i]]) return false;
    return true;
}

static void write_operator(struct layer *layer)
{
    const struct eg_node *node = layer->node;
    EgOnnx__NodeProto *made;
    switch (node->op) {
    case EG_OP_CONV: write_conv(layer); break;
    case EG_OP_LINEAR: write_linear(layer); break;
    case EG_OP_BATCH_NORM: write_batch_norm(layer); break;
    case EG_OP_LAYER_NORM: write_layer_norm(layer); break;
    case EG_OP_LRN: write_lrn(layer); break;
    case EG_OP_MAX_POOL:
    case EG_OP_AVG_POOL: write_pool(layer); break;
    case EG_OP_ADAPTIVE_POOL: write_adaptive_pool(layer); break;
    case EG_OP_GLOBAL_AVG: write_unary(layer, "GlobalAveragePool"); break;
    case EG_OP_GLOBAL_MAX: write_unary(layer, "GlobalMaxPool"); break;
    case EG_OP_GLOBAL_GEM: write_global_gem(layer); break;
    case EG_OP_RELU: write_unary(layer, "Relu"); break;
    case EG_OP_LEAKY_RELU:
        eg__writer_float(layer->writer, write_unary(layer, "LeakyRelu"), "alpha", node->alpha);
        break;
    case EG_OP_CLIP: write_clip(layer); break;
    case EG_OP_SIGMOID: write_unary(layer, "Sigmoid"); break;
    case EG_OP_HARD_SIGMOID:
        made = write_unary(layer, "HardSigmoid");
        eg__writer_float(layer->writer, made, "alpha", node->alpha);
        eg__writer_float(layer->writer, made, "beta", node->beta);
        break;
    case EG_OP_HARD_SWISH: write_unary(layer, "HardSwish"); break;
    case EG_OP_SILU: write_silu(layer); break;
    case EG_OP_GELU: write_gelu(layer); break;
    case EG_OP_GELU_TANH: write_gelu_tanh(layer); break;
    case EG_OP_TANH: write_unary(layer, "Tanh"); break;
    case EG_OP_ERF: write_unary(layer, "Erf"); break;
    case EG_OP_EXP: write_unary(layer, "Exp"); break;
    case EG_OP_SQRT: write_unary(layer, "Sqrt"); break;
    case EG_OP_ABS: write_unary(layer, "Abs"); break;
    case EG_OP_SIGN: write_unary(layer, "Sign"); break;
    case EG_OP_NEG: write_unary(layer, "Neg"); break;
    case EG_OP_POW: write_pow(layer); break;
    case EG_OP_ADD: write_binary(layer, "Add"); break;
    case EG_OP_SUB: write_binary(layer, "Sub"); break;
    case EG_OP_MUL: write_binary(layer, "Mul"); break;
    case EG_OP_DIV: write_binary(layer, "Div"); break;
    case EG_OP_MAX: write_binary(layer, "Max"); break;
    case EG_OP_MIN: write_binary(layer, "Min"); break;
    case EG_OP_LESS: write_binary(layer, "Less"); break;
    case EG_OP_CAST: write_cast(layer); break;
    case EG_OP_WHERE: write_where(layer); break;
    case EG_OP_CONCAT: write_concat(layer); break;
    case EG_OP_SLICE: write_slice(layer); break;
    case EG_OP_CHANNEL_SHUFFLE: write_shuffle(layer); break;
    case EG_OP_PAD: write_pad(layer); break;
    case EG_OP_FLATTEN: write_flatten(layer); break;
    case EG_OP_IDENTITY: write_unary(layer, "Identity"); break;
    case EG_OP_DROPOUT: write_dropout(layer); break;
    case EG_OP_SOFTMAX: eg__writer_int(layer->writer, write_unary(layer, "Softmax"), "axis", 1); break;
    case EG_OP_REDUCE_SUM: write_reduce(layer, "ReduceSum"); break;
    case EG_OP_REDUCE_MEAN: write_reduce(layer, "ReduceMean"); break;
    case EG_OP_REDUCE_MAX: write_reduce(layer, "ReduceMax"); break;
    case EG_OP_ARG_MAX: write_arg_max(layer); break;
    case EG_OP_TREE_ENSEMBLE: write_trees(layer); break;
    case EG_OP_INPUT:
    case EG_OP_COUNT: refuse(layer, "it is no operator"); break;
    }
}

void eg__writer_layer(struct eg_onnx_writer *writer, uint32_t index, const char *output)
{
    const struct eg_node *node = &writer->graph->nodes[index];
    struct layer layer = {.writer = writer,
                          .node = node,
                          .name = node->name,
                          .in = eg__map(writer->graph->nodes[node->inputs[0]].shape),
                          .is_vector = gives_vector(writer, node)};
    bool one_pixel = eg__map(node->shape).h == 1 && eg__map(node->shape).w == 1;
    layer.output = output && (layer.is_vector || !one_pixel) ? output : eg__writer_name(writer, node->name);
    bool keeps_image = node->op == EG_OP_PAD || node->op == EG_OP_IDENTITY || node->op == EG_OP_DROPOUT;
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        if (!writer->is_image[node->inputs[i]]) continue;
        writer->is_image[index] = keeps_image;
        if (!keeps_image && node->op != EG_OP_CONV) {
            refuse(&layer, "the order B,G,R cannot be undone before it (only in a convolution)");
            return;
        }
    }
    write_operator(&layer);
    writer->value[index] = layer.output;
    writer->is_vector[index] = layer.is_vector;
}
