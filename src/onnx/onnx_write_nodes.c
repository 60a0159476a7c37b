/* onnx_write_nodes.c: every operator of ours as ONNX nodes. The node that bears the layer's
 * name is the one the reader makes the layer from; helpers are "layer/part". Names depend on
 * layers and tensors only, so that a file read and written again has the same bytes. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "onnx/onnx_writer.h"

enum eg_status eg__layer_refuse(struct eg_written_layer *layer, const char *why)
{
    enum eg_status status =
        eg__fail(layer->writer->err, EG_E_UNSUPPORTED, "cannot write layer '%.200s' (%s) as ONNX: %s",
                 layer->name, eg__op_info[layer->node->op].text, why);
    eg__writer_fail(layer->writer, status);
    return status;
}

const char *eg__layer_part(struct eg_written_layer *layer, const char *name)
{
    return eg__writer_part(layer->writer, layer->name, name);
}

/* A helper node "layer/name" whose value has the same name. */
const char *eg__layer_helper(struct eg_written_layer *layer, const char *op, const char *name, unsigned n,
                             const char *const *inputs, EgOnnx__NodeProto **node)
{
    const char *value = eg__writer_name(layer->writer, eg__layer_part(layer, name));
    EgOnnx__NodeProto *made =
        eg__writer_node(layer->writer, op, eg__layer_part(layer, name), value, n, inputs);
    if (node) *node = made;
    return value;
}

/* The node that bears the layer's name and gives its value. */
EgOnnx__NodeProto *eg__layer_final(struct eg_written_layer *layer, const char *op, unsigned n,
                                   const char *const *inputs)
{
    return eg__writer_node(layer->writer, op, layer->name, layer->output, n, inputs);
}

/* A layer's own value, seen with `rank` sides behind the batch. */
static const char *with_rank(struct eg_written_layer *layer, unsigned i, const char *value, size_t have,
                             size_t rank)
{
    struct eg_onnx_writer *writer = layer->writer;
    char name[24];
    if (have >= rank) return value;
    snprintf(name, sizeof name, "sides%u", i);
    int64_t axes[EG_RANK_MAX];
    for (size_t k = 0; k < rank - have; k++) axes[k] = (int64_t)k + 1;
    const char *list = eg__writer_int_list(
        writer, eg__writer_part(writer, eg__layer_part(layer, name), "axes"), rank - have, axes);
    return eg__layer_helper(layer, "Unsqueeze", name, 2, (const char *[]){value, list}, NULL);
}

const char *eg__layer_array(struct eg_written_layer *layer, unsigned i, size_t rank)
{
    static const int64_t to_nhwc[4] = {0, 2, 3, 1};
    struct eg_onnx_writer *writer = layer->writer;
    const uint32_t from = layer->node->inputs[i];
    const size_t have = writer->graph->nodes[from].shape.rank;
    const char *value = writer->value[from];
    if (writer->form[from] == EG_FORM_VECTOR && have > 1) return with_rank(layer, i, value, 1, rank);
    if (writer->form[from] == EG_FORM_IMAGE) { /* of a map or a vector of one pixel */
        char name[24];
        EgOnnx__NodeProto *turn;
        snprintf(name, sizeof name, "nhwc%u", i);
        value = eg__layer_helper(layer, "Transpose", name, 1, &value, &turn);
        eg__writer_ints(writer, turn, "perm", 4, to_nhwc);
        return with_rank(layer, i, value, 3, rank);
    }
    return with_rank(layer, i, value, have, rank);
}

/* [n][h][w][c] or [n][t][c] as an image. */
static const char *array_as_image(struct eg_written_layer *layer, unsigned i)
{
    static const int64_t to_nchw[4] = {0, 3, 1, 2}, to_nct[3] = {0, 2, 1}, last = 3;
    struct eg_onnx_writer *writer = layer->writer;
    const uint32_t from = layer->node->inputs[i];
    const char *value = writer->value[from];
    const size_t rank = writer->graph->nodes[from].shape.rank;
    char name[24];
    EgOnnx__NodeProto *turn;
    if (rank != 2 && rank != 3) {
        eg__layer_refuse(layer, "its input is no map");
        return value;
    }
    snprintf(name, sizeof name, "nchw%u", i);
    value = eg__layer_helper(layer, "Transpose", name, 1, &value, &turn);
    eg__writer_ints(writer, turn, "perm", rank + 1, rank == 3 ? to_nchw : to_nct);
    if (rank == 3) return value;
    snprintf(name, sizeof name, "column%u", i);
    const char *list =
        eg__writer_int_list(writer, eg__writer_part(writer, eg__layer_part(layer, name), "axes"), 1, &last);
    return eg__layer_helper(layer, "Unsqueeze", name, 2, (const char *[]){value, list}, NULL);
}

const char *eg__layer_input(struct eg_written_layer *layer, unsigned i, bool as_vector)
{
    struct eg_onnx_writer *writer = layer->writer;
    uint32_t from = layer->node->inputs[i];
    const char *value = writer->value[from];
    if (writer->form[from] == (as_vector ? EG_FORM_VECTOR : EG_FORM_IMAGE)) return value;
    if (writer->form[from] == EG_FORM_ARRAY && !as_vector) return array_as_image(layer, i);
    char name[24];
    snprintf(name, sizeof name, as_vector ? "flatten%u" : "unsqueeze%u", i);
    if (as_vector) {
        EgOnnx__NodeProto *made;
        value = eg__layer_helper(layer, "Flatten", name, 1, &value, &made);
        eg__writer_int(writer, made, "axis", 1);
        return value;
    }
    static const int64_t axes[2] = {2, 3};
    const char *list =
        eg__writer_int_list(writer, eg__writer_part(writer, eg__layer_part(layer, name), "axes"), 2, axes);
    return eg__layer_helper(layer, "Unsqueeze", name, 2, (const char *[]){value, list}, NULL);
}

const char *eg__layer_alike(struct eg_written_layer *layer, unsigned i)
{
    if (layer->form == EG_FORM_ARRAY) return eg__layer_array(layer, i, layer->node->shape.rank);
    return eg__layer_input(layer, i, layer->form == EG_FORM_VECTOR);
}

int64_t eg__layer_axis(const struct eg_written_layer *layer)
{
    static const int64_t image[3] = {1, 3, 2};
    if (layer->form == EG_FORM_ARRAY) return (int64_t)layer->node->shape.rank - layer->node->axis;
    return layer->form == EG_FORM_IMAGE ? image[layer->node->axis % 3] : 1;
}

/* A parameter under the tensor's own name, else "layer.param". */
const char *eg__layer_parameter(struct eg_written_layer *layer, unsigned i, const struct eg_tensor *view,
                                bool weight)
{
    struct eg_onnx_writer *writer = layer->writer;
    const struct eg_tensor *tensor = layer->node->params[i];
    char kind[24];
    snprintf(kind, sizeof kind, "%s", eg__op_info[layer->node->op].params[i]);
    kind[strcspn(kind, "?")] = '\0';
    const char *name = tensor && tensor->name ? tensor->name : eg__layer_part(layer, kind);
    return eg__writer_tensor(writer, name, view, weight);
}

static const char *vector_or(struct eg_written_layer *layer, unsigned i, size_t n, float otherwise)
{
    if (layer->node->params[i]) return eg__layer_parameter(layer, i, layer->node->params[i], false);
    float *numbers = eg__graph_memory(layer->writer->scratch, n, sizeof *numbers);
    if (!numbers) {
        eg__writer_fail(layer->writer, eg__fail_memory(layer->writer->err, "an ONNX file"));
        return "";
    }
    for (size_t k = 0; k < n; k++) numbers[k] = otherwise;
    struct eg_tensor view = {.data = numbers, .dtype = EG_F32, .rank = 1, .dim = {n}, .stride = {1}};
    return eg__layer_parameter(layer, i, &view, false);
}

const char *eg__layer_number(struct eg_written_layer *layer, const char *name, float x)
{
    return eg__writer_number(layer->writer, eg__layer_part(layer, name), x);
}

const char *eg__layer_ints(struct eg_written_layer *layer, const char *name, size_t n, const int64_t *values)
{
    return eg__writer_int_list(layer->writer, eg__layer_part(layer, name), n, values);
}

/* ---- windows -------------------------------------------------------------------------- */

void eg__layer_put_window(struct eg_written_layer *layer, EgOnnx__NodeProto *node, const struct eg_window *w,
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

static void write_conv(struct eg_written_layer *layer)
{
    static const uint8_t to_oihw[4] = {0, 3, 1, 2};
    const struct eg_node *node = layer->node;
    struct eg_tensor weight = *node->params[0];
    if (layer->writer->is_image[node->inputs[0]]) {
        if (node->groups != 1) {
            eg__layer_refuse(layer, "it works on B,G,R channels apart");
            return;
        }
        weight = eg__tensor_channels_reversed(&weight);
    }
    weight = eg__tensor_permuted(&weight, to_oihw);
    const char *inputs[3] = {eg__layer_input(layer, 0, false), eg__layer_parameter(layer, 0, &weight, true)};
    if (node->params[1]) inputs[2] = eg__layer_parameter(layer, 1, node->params[1], false);
    EgOnnx__NodeProto *made = eg__layer_final(layer, "Conv", node->params[1] ? 3 : 2, inputs);
    eg__layer_put_window(layer, made, &node->window, true);
    eg__writer_int(layer->writer, made, "group", node->groups);
}

/* On values of other ranks: MatMul, and Add for the bias. */
static void write_product(struct eg_written_layer *layer)
{
    static const uint8_t turned[2] = {1, 0};
    const struct eg_node *node = layer->node;
    const struct eg_tensor weight = eg__tensor_permuted(node->params[0], turned);
    const char *inputs[2] = {eg__layer_alike(layer, 0), eg__layer_parameter(layer, 0, &weight, true)};
    if (!node->params[1]) {
        eg__layer_final(layer, "MatMul", 2, inputs);
        return;
    }
    const char *product = eg__layer_helper(layer, "MatMul", "product", 2, inputs, NULL);
    eg__layer_final(layer, "Add", 2,
                    (const char *[]){product, eg__layer_parameter(layer, 1, node->params[1], false)});
}

/* Along c at every pixel: a product on vectors, a 1x1 convolution on maps. */
static void write_linear(struct eg_written_layer *layer)
{
    const struct eg_node *node = layer->node;
    struct eg_tensor weight = *node->params[0];
    if (layer->form == EG_FORM_ARRAY) {
        write_product(layer);
        return;
    }
    if (layer->form == EG_FORM_IMAGE) {
        weight.rank = 4;
        weight.dim[2] = weight.dim[3] = 1;
        weight.stride[2] = weight.stride[3] = 1;
    }
    const char *inputs[3] = {eg__layer_alike(layer, 0), eg__layer_parameter(layer, 0, &weight, true)};
    if (node->params[1]) inputs[2] = eg__layer_parameter(layer, 1, node->params[1], false);
    EgOnnx__NodeProto *made = eg__layer_final(layer, layer->form == EG_FORM_VECTOR ? "Gemm" : "Conv",
                                              node->params[1] ? 3 : 2, inputs);
    if (layer->form == EG_FORM_VECTOR) {
        eg__writer_int(layer->writer, made, "transB", 1);
    } else {
        static const struct eg_window one = {
            .kernel_h = 1, .kernel_w = 1, .stride_h = 1, .stride_w = 1, .dilation_h = 1, .dilation_w = 1};
        eg__layer_put_window(layer, made, &one, true);
        eg__writer_int(layer->writer, made, "group", 1);
    }
}

static void write_pool(struct eg_written_layer *layer)
{
    const struct eg_node *node = layer->node;
    bool max = node->op == EG_OP_MAX_POOL,
         dilated = node->window.dilation_h != 1 || node->window.dilation_w != 1;
    if (!max && dilated) {
        eg__layer_refuse(layer, "opset 17 has no dilated average");
        return;
    }
    const char *in = eg__layer_input(layer, 0, false);
    EgOnnx__NodeProto *made = eg__layer_final(layer, max ? "MaxPool" : "AveragePool", 1, &in);
    eg__layer_put_window(layer, made, &node->window, max && dilated);
    if (node->ceil_mode) eg__writer_int(layer->writer, made, "ceil_mode", 1);
    if (!max && node->count_include_pad) eg__writer_int(layer->writer, made, "count_include_pad", 1);
}

static void write_adaptive_pool(struct eg_written_layer *layer)
{
    const struct eg_node *node = layer->node;
    const char *in = eg__layer_input(layer, 0, false);
    if (node->out_h == 1 && node->out_w == 1) {
        eg__layer_final(layer, "GlobalAveragePool", 1, &in);
        return;
    }
    if (layer->in.h % node->out_h || layer->in.w % node->out_w) {
        eg__layer_refuse(layer, "its windows differ in size");
        return;
    }
    int64_t side[2] = {(int64_t)(layer->in.h / node->out_h), (int64_t)(layer->in.w / node->out_w)};
    static const int64_t none[4] = {0, 0, 0, 0};
    EgOnnx__NodeProto *made = eg__layer_final(layer, "AveragePool", 1, &in);
    eg__writer_ints(layer->writer, made, "kernel_shape", 2, side);
    eg__writer_ints(layer->writer, made, "strides", 2, side);
    eg__writer_ints(layer->writer, made, "pads", 4, none);
}

static void write_global_gem(struct eg_written_layer *layer)
{
    const char *in = eg__layer_input(layer, 0, false),
               *floor = eg__layer_number(layer, "floor.value", layer->node->beta);
    const char *p = eg__layer_number(layer, "power/exponent", layer->node->alpha);
    const char *root = eg__layer_number(layer, "exponent", 1.0f / layer->node->alpha);
    const char *bounded = eg__layer_helper(layer, "Max", "floor", 2, (const char *[]){in, floor}, NULL);
    const char *power = eg__layer_helper(layer, "Pow", "power", 2, (const char *[]){bounded, p}, NULL);
    const char *mean = eg__layer_helper(layer, "GlobalAveragePool", "mean", 1, &power, NULL);
    eg__layer_final(layer, "Pow", 2, (const char *[]){mean, root});
}

static void write_pad(struct eg_written_layer *layer)
{
    const struct eg_window *w = &layer->node->window;
    int64_t pads[8] = {0, 0, w->pad_top, w->pad_left, 0, 0, w->pad_bottom, w->pad_right};
    const char *inputs[3] = {eg__layer_input(layer, 0, false), eg__layer_ints(layer, "pads", 8, pads)};
    if (layer->node->alpha != 0) inputs[2] = eg__layer_number(layer, "value", layer->node->alpha);
    eg__layer_final(layer, "Pad", layer->node->alpha != 0 ? 3 : 2, inputs);
}

/* ---- normalisation ---------------------------------------------------------------------- */

static void write_batch_norm(struct eg_written_layer *layer)
{
    const char *inputs[5] = {eg__layer_alike(layer, 0)};
    for (unsigned i = 0; i < 4; i++) inputs[1 + i] = vector_or(layer, i, layer->in.c, i == 0 ? 1.0f : 0.0f);
    EgOnnx__NodeProto *made = eg__layer_final(layer, "BatchNormalization", 5, inputs);
    eg__writer_float(layer->writer, made, "epsilon", layer->node->epsilon);
}

static void write_layer_norm(struct eg_written_layer *layer)
{
    static const int64_t to_nhwc[4] = {0, 2, 3, 1}, to_nchw[4] = {0, 3, 1, 2};
    const char *in = eg__layer_alike(layer, 0), *output = layer->output;
    EgOnnx__NodeProto *turn;
    if (layer->form == EG_FORM_IMAGE) {
        in = eg__layer_helper(layer, "Transpose", "nhwc", 1, &in, &turn);
        eg__writer_ints(layer->writer, turn, "perm", 4, to_nhwc);
        output = eg__writer_name(layer->writer, eg__layer_part(layer, "normal"));
    }
    const char *inputs[3] = {in, vector_or(layer, 0, layer->in.c, 1), vector_or(layer, 1, layer->in.c, 0)};
    EgOnnx__NodeProto *made =
        eg__writer_node(layer->writer, "LayerNormalization", layer->name, output, 3, inputs);
    eg__writer_float(layer->writer, made, "epsilon", layer->node->epsilon);
    if (layer->form != EG_FORM_IMAGE) return;
    turn =
        eg__writer_node(layer->writer, "Transpose", eg__layer_part(layer, "nchw"), layer->output, 1, &output);
    eg__writer_ints(layer->writer, turn, "perm", 4, to_nchw);
}

static void write_lrn(struct eg_written_layer *layer)
{
    const char *in = eg__layer_input(layer, 0, false);
    EgOnnx__NodeProto *made = eg__layer_final(layer, "LRN", 1, &in);
    eg__writer_int(layer->writer, made, "size", layer->node->size);
    eg__writer_float(layer->writer, made, "alpha", layer->node->alpha);
    eg__writer_float(layer->writer, made, "beta", layer->node->beta);
    eg__writer_float(layer->writer, made, "bias", layer->node->bias);
}

/* ---- element by element ------------------------------------------------------------------- */

/* The operator of the same name. */
static void write_unary(struct eg_written_layer *layer)
{
    const struct eg_node *node = layer->node;
    const bool map = node->op == EG_OP_GLOBAL_AVG || node->op == EG_OP_GLOBAL_MAX;
    const char *in = map ? eg__layer_input(layer, 0, false) : eg__layer_alike(layer, 0);
    EgOnnx__NodeProto *made = eg__layer_final(layer, eg__op_info[node->op].onnx, 1, &in);
    if (node->op == EG_OP_LEAKY_RELU || node->op == EG_OP_HARD_SIGMOID)
        eg__writer_float(layer->writer, made, "alpha", node->alpha);
    if (node->op == EG_OP_HARD_SIGMOID) eg__writer_float(layer->writer, made, "beta", node->beta);
}

/* a (e^(b x) - 1): Elu where b is 1, Celu where b is 1/a. */
static void write_elu(struct eg_written_layer *layer)
{
    const struct eg_node *node = layer->node;
    const char *in = eg__layer_alike(layer, 0);
    const bool elu = node->beta == 1;
    if (!elu && node->beta != 1 / node->alpha) {
        eg__layer_refuse(layer, "its constants are neither Elu's nor Celu's");
        return;
    }
    eg__writer_float(layer->writer, eg__layer_final(layer, elu ? "Elu" : "Celu", 1, &in), "alpha",
                     node->alpha);
}

static void write_mish(struct eg_written_layer *layer)
{
    const char *in = eg__layer_alike(layer, 0),
               *soft = eg__layer_helper(layer, "Softplus", "softplus", 1, &in, NULL);
    const char *gate = eg__layer_helper(layer, "Tanh", "tanh", 1, &soft, NULL);
    eg__layer_final(layer, "Mul", 2, (const char *[]){in, gate});
}

static void write_clip(struct eg_written_layer *layer)
{
    const struct eg_node *node = layer->node;
    const char *inputs[3] = {eg__layer_alike(layer, 0), "", ""};
    if (!isinf(node->alpha)) inputs[1] = eg__layer_number(layer, "min", node->alpha);
    if (!isinf(node->beta)) inputs[2] = eg__layer_number(layer, "max", node->beta);
    eg__layer_final(layer, "Clip", isinf(node->beta) ? isinf(node->alpha) ? 1 : 2 : 3, inputs);
}

static void write_silu(struct eg_written_layer *layer)
{
    const char *in = eg__layer_alike(layer, 0),
               *gate = eg__layer_helper(layer, "Sigmoid", "sigmoid", 1, &in, NULL);
    eg__layer_final(layer, "Mul", 2, (const char *[]){in, gate});
}

static void write_gelu(struct eg_written_layer *layer)
{
    const char *in = eg__layer_alike(layer, 0), *root = eg__layer_number(layer, "scaled.root2", 1.41421356f);
    const char *scaled = eg__layer_helper(layer, "Div", "scaled", 2, (const char *[]){in, root}, NULL);
    const char *erf = eg__layer_helper(layer, "Erf", "erf", 1, &scaled, NULL),
               *one = eg__layer_number(layer, "sum.one", 1);
    const char *sum = eg__layer_helper(layer, "Add", "sum", 2, (const char *[]){erf, one}, NULL);
    const char *twice = eg__layer_helper(layer, "Mul", "product", 2, (const char *[]){in, sum}, NULL);
    eg__layer_final(layer, "Mul", 2, (const char *[]){twice, eg__layer_number(layer, "half", 0.5f)});
}

/* x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) */
static void write_gelu_tanh(struct eg_written_layer *layer)
{
    const char *in = eg__layer_alike(layer, 0);
    const char *cube = eg__layer_helper(
        layer, "Pow", "cube", 2, (const char *[]){in, eg__layer_number(layer, "cube/exponent", 3)}, NULL);
    const char *small =
        eg__layer_helper(layer, "Mul", "small", 2,
                         (const char *[]){cube, eg__layer_number(layer, "small.factor", 0.044715f)}, NULL);
    const char *inner = eg__layer_helper(layer, "Add", "inner", 2, (const char *[]){in, small}, NULL);
    const char *scaled = eg__layer_helper(
        layer, "Mul", "scaled", 2,
        (const char *[]){inner, eg__layer_number(layer, "scaled.factor", 0.79788456f)}, NULL);
    const char *tanh_value = eg__layer_helper(layer, "Tanh", "tanh", 1, &scaled, NULL);
    const char *sum = eg__layer_helper(
        layer, "Add", "sum", 2, (const char *[]){tanh_value, eg__layer_number(layer, "sum.one", 1)}, NULL);
    const char *twice = eg__layer_helper(layer, "Mul", "product", 2, (const char *[]){in, sum}, NULL);
    eg__layer_final(layer, "Mul", 2, (const char *[]){twice, eg__layer_number(layer, "half", 0.5f)});
}

static void write_pow(struct eg_written_layer *layer)
{
    const char *in = eg__layer_alike(layer, 0);
    eg__layer_final(layer, "Pow", 2,
                    (const char *[]){in, eg__layer_number(layer, "exponent", layer->node->alpha)});
}

static void write_dropout(struct eg_written_layer *layer)
{
    const char *in = eg__layer_alike(layer, 0);
    eg__layer_final(layer, "Dropout", 2,
                    (const char *[]){in, eg__layer_number(layer, "ratio", layer->node->alpha)});
}

/* ---- two values --------------------------------------------------------------------------- */

/* The constant of a two-value layer: [c] or [h][w][c] to the result's order. */
static const char *constant(struct eg_written_layer *layer)
{
    const struct eg_tensor *tensor = layer->node->params[0];
    struct eg_tensor view = *tensor;
    if (layer->form == EG_FORM_ARRAY) return eg__layer_parameter(layer, 0, tensor, false);
    size_t dim[3] = {1, 1, 1};
    ptrdiff_t stride[3] = {1, 1, 1};
    for (unsigned i = 0; i < tensor->rank; i++) {
        dim[3 - tensor->rank + i] = tensor->dim[i];
        stride[3 - tensor->rank + i] = tensor->stride[i];
    }
    const bool vector = layer->form == EG_FORM_VECTOR;
    view.rank = vector ? 1 : 3;
    static const uint8_t chw[3] = {2, 0, 1};
    for (unsigned i = 0; i < view.rank; i++) {
        view.dim[i] = dim[vector ? 2 : chw[i]];
        view.stride[i] = stride[vector ? 2 : chw[i]];
    }
    if (eg__tensor_count(&view) == 1) view.rank = tensor->rank ? 1 : 0;
    return eg__layer_parameter(layer, 0, &view, false);
}

static void write_binary(struct eg_written_layer *layer)
{
    const struct eg_node *node = layer->node;
    const char *op = eg__op_info[node->op].onnx;
    const char *inputs[2] = {eg__layer_alike(layer, 0)};
    inputs[1] = node->n_inputs == 2 ? eg__layer_alike(layer, 1) : constant(layer);
    if (node->swapped && node->n_inputs == 1) {
        const char *swap = inputs[0];
        inputs[0] = inputs[1];
        inputs[1] = swap;
    }
    if (node->op != EG_OP_LESS && node->op != EG_OP_EQUAL) {
        eg__layer_final(layer, op, 2, inputs);
        return;
    }
    const char *truth = eg__writer_name(layer->writer, eg__layer_part(layer, "bool"));
    eg__writer_node(layer->writer, op, layer->name, truth, 2, inputs);
    EgOnnx__NodeProto *cast =
        eg__writer_node(layer->writer, "Cast", eg__layer_part(layer, "float"), layer->output, 1, &truth);
    eg__writer_int(layer->writer, cast, "to", EG_ONNX_FLOAT);
}

static void write_cast(struct eg_written_layer *layer)
{
    const char *in = eg__layer_alike(layer, 0),
               *narrow = eg__writer_name(layer->writer, eg__layer_part(layer, "narrow"));
    EgOnnx__NodeProto *there = eg__writer_node(layer->writer, "Cast", layer->name, narrow, 1, &in);
    eg__writer_int(layer->writer, there, "to", eg__onnx_data_type((enum eg_dtype)layer->node->size));
    EgOnnx__NodeProto *back =
        eg__writer_node(layer->writer, "Cast", eg__layer_part(layer, "float"), layer->output, 1, &narrow);
    eg__writer_int(layer->writer, back, "to", EG_ONNX_FLOAT);
}

static void write_where(struct eg_written_layer *layer)
{
    EgOnnx__NodeProto *cast;
    const char *inputs[3];
    for (unsigned i = 0; i < 3; i++) inputs[i] = eg__layer_alike(layer, i);
    inputs[0] = eg__layer_helper(layer, "Cast", "condition", 1, &inputs[0], &cast);
    eg__writer_int(layer->writer, cast, "to", EG_ONNX_BOOL);
    eg__layer_final(layer, "Where", 3, inputs);
}

/* ---- channels ----------------------------------------------------------------------------- */

static void write_concat(struct eg_written_layer *layer)
{
    const char *inputs[EG_INPUTS_MAX];
    struct eg_onnx_writer *writer = layer->writer;
    const uint32_t n = layer->node->n_inputs;
    uint32_t varies = 0;
    while (varies + 1 < n && writer->constant[layer->node->inputs[varies]]) varies++;
    for (unsigned i = 0; i < n; i++) inputs[i] = eg__layer_alike(layer, i);
    for (unsigned i = 0; i < n; i++)
        if (writer->constant[layer->node->inputs[i]])
            inputs[i] = eg__layer_for_each(layer, i, inputs[i], inputs[varies]);
    eg__writer_int(writer, eg__layer_final(layer, "Concat", n, inputs), "axis", eg__layer_axis(layer));
}

static void write_slice(struct eg_written_layer *layer)
{
    int64_t begin = (int64_t)layer->node->begin, end = (int64_t)layer->node->end,
            axis = eg__layer_axis(layer);
    const char *inputs[4] = {eg__layer_alike(layer, 0), eg__layer_ints(layer, "starts", 1, &begin),
                             eg__layer_ints(layer, "ends", 1, &end), eg__layer_ints(layer, "axes", 1, &axis)};
    eg__layer_final(layer, "Slice", 4, inputs);
}

/* Over the channels. */
static int64_t channels(const struct eg_written_layer *layer)
{
    return layer->form == EG_FORM_ARRAY ? (int64_t)layer->node->shape.rank : 1;
}

static void write_softmax(struct eg_written_layer *layer)
{
    const char *in = eg__layer_alike(layer, 0);
    eg__writer_int(layer->writer, eg__layer_final(layer, "Softmax", 1, &in), "axis", channels(layer));
}

static void write_cum_sum(struct eg_written_layer *layer)
{
    const int64_t axis = channels(layer);
    const char *inputs[2] = {eg__layer_alike(layer, 0), eg__layer_ints(layer, "axis", 1, &axis)};
    EgOnnx__NodeProto *made = eg__layer_final(layer, "CumSum", 2, inputs);
    eg__writer_int(layer->writer, made, "exclusive", layer->node->begin != 0);
    eg__writer_int(layer->writer, made, "reverse", layer->node->swapped);
}

static void write_shuffle(struct eg_written_layer *layer)
{
    static const int64_t perm[5] = {0, 2, 1, 3, 4};
    struct eg_map s = layer->in;
    int64_t g = layer->node->groups, h = (int64_t)s.h, w = (int64_t)s.w, c = (int64_t)s.c;
    const char *in = eg__layer_input(layer, 0, false);
    const char *to_groups = eg__layer_ints(layer, "groups.shape", 5, (const int64_t[]){0, g, c / g, h, w});
    const char *to_map = eg__layer_ints(layer, "shape", 4, (const int64_t[]){0, c, h, w});
    EgOnnx__NodeProto *turn;
    const char *groups =
        eg__layer_helper(layer, "Reshape", "groups", 2, (const char *[]){in, to_groups}, NULL);
    const char *turned = eg__layer_helper(layer, "Transpose", "turned", 1, &groups, &turn);
    eg__writer_ints(layer->writer, turn, "perm", 5, perm);
    eg__layer_final(layer, "Reshape", 2, (const char *[]){turned, to_map});
}

static void write_flatten(struct eg_written_layer *layer)
{
    struct eg_onnx_writer *writer = layer->writer;
    const uint32_t from = layer->node->inputs[0];
    const bool one = layer->in.h * layer->in.w == 1;
    const char *in = writer->value[from];
    if (layer->node->order_chw && writer->form[from] == EG_FORM_ARRAY && !one)
        in = eg__layer_input(layer, 0, false);
    if (!layer->node->order_chw && writer->form[from] == EG_FORM_IMAGE && !one)
        in = eg__layer_array(layer, 0, 3);
    eg__writer_int(writer, eg__layer_final(layer, "Flatten", 1, &in), "axis", 1);
}

static void write_reduce(struct eg_written_layer *layer)
{
    const char *op = eg__op_info[layer->node->op].onnx;
    int64_t axis = channels(layer);
    const char *inputs[2] = {eg__layer_alike(layer, 0)};
    bool as_input = layer->node->op == EG_OP_REDUCE_SUM; /* since opset 13; the others since 18 */
    if (as_input) inputs[1] = eg__layer_ints(layer, "axes", 1, &axis);
    EgOnnx__NodeProto *made = eg__layer_final(layer, op, as_input ? 2 : 1, inputs);
    if (!as_input) eg__writer_ints(layer->writer, made, "axes", 1, &axis);
    eg__writer_int(layer->writer, made, "keepdims", 1);
}

static void write_arg_max(struct eg_written_layer *layer)
{
    const char *in = eg__layer_alike(layer, 0);
    const char *whole = eg__writer_name(layer->writer, eg__layer_part(layer, "index"));
    EgOnnx__NodeProto *made = eg__writer_node(layer->writer, "ArgMax", layer->name, whole, 1, &in);
    eg__writer_int(layer->writer, made, "axis", channels(layer));
    eg__writer_int(layer->writer, made, "keepdims", 1);
    EgOnnx__NodeProto *cast =
        eg__writer_node(layer->writer, "Cast", eg__layer_part(layer, "float"), layer->output, 1, &whole);
    eg__writer_int(layer->writer, cast, "to", EG_ONNX_FLOAT);
}

/* ---- the layer ------------------------------------------------------------------------------- */

/* Vectors stay so; one pixel becomes one at a product or a flatten. Maps are images but behind what works on
 * arrays; whatever has another rank is one. */
static enum eg_form form_of(const struct eg_onnx_writer *writer, const struct eg_node *node)
{
    struct eg_map in = eg__map(writer->graph->nodes[node->inputs[0]].shape);
    const size_t rank = node->shape.rank;
    switch (node->op) {
    case EG_OP_FLATTEN:
    case EG_OP_TREE_ENSEMBLE: return EG_FORM_VECTOR;
    case EG_OP_CONV:
    case EG_OP_CONV_TRANSPOSE:
    case EG_OP_RESIZE:
    case EG_OP_LRN:
    case EG_OP_MAX_POOL:
    case EG_OP_AVG_POOL:
    case EG_OP_ADAPTIVE_POOL:
    case EG_OP_GLOBAL_AVG:
    case EG_OP_GLOBAL_MAX:
    case EG_OP_GLOBAL_GEM:
    case EG_OP_CHANNEL_SHUFFLE:
    case EG_OP_PAD: return EG_FORM_IMAGE;
    case EG_OP_VIEWS: return EG_FORM_IMAGE;
    case EG_OP_VIEWS_MEAN: return writer->form[node->inputs[0]];
    case EG_OP_CONSTANT:
    case EG_OP_TRANSPOSE:
    case EG_OP_RESHAPE:
    case EG_OP_EXPAND:
    case EG_OP_GATHER:
    case EG_OP_MATMUL:
    case EG_OP_ATTENTION: return rank == 1 ? EG_FORM_VECTOR : EG_FORM_ARRAY;
    default: break;
    }
    bool vectors = true, arrays = rank == 2 || rank > 3;
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        vectors &= writer->form[node->inputs[i]] == EG_FORM_VECTOR;
        arrays |= writer->form[node->inputs[i]] == EG_FORM_ARRAY;
    }
    if (arrays) return rank == 1 ? EG_FORM_VECTOR : EG_FORM_ARRAY;
    if (node->op == EG_OP_LINEAR) return in.h == 1 && in.w == 1 ? EG_FORM_VECTOR : EG_FORM_IMAGE;
    return eg__map(node->shape).h == 1 && eg__map(node->shape).w == 1 && vectors ? EG_FORM_VECTOR
                                                                                 : EG_FORM_IMAGE;
}

static void write_none(struct eg_written_layer *layer) { eg__layer_refuse(layer, "it is no operator"); }

/* Those of other files under the names of the table. */
#define write_compare write_binary
#define write_trees eg__write_trees
#define write_constant eg__write_constant
#define write_views eg__write_views
#define write_views_mean eg__write_views_mean
#define write_transpose eg__write_transpose
#define write_reshape eg__write_reshape
#define write_expand eg__write_expand
#define write_gather eg__write_gather
#define write_matmul eg__write_matmul
#define write_attention eg__write_attention
#define write_resize eg__write_resize
#define write_conv_transpose eg__write_conv_transpose

static void write_operator(struct eg_written_layer *layer)
{
    static void (*const writers[EG_OP_COUNT])(struct eg_written_layer *) = {
#define EG_OP(name, text, onnx, least, most, shape, run, grad, write, cut, ...)                              \
    [EG_OP_##name] = write_##write,
#include "graph/ops.def"
#undef EG_OP
    };
    writers[layer->node->op](layer);
}

void eg__writer_layer(struct eg_onnx_writer *writer, uint32_t index, const char *output)
{
    const struct eg_node *node = &writer->graph->nodes[index];
    struct eg_written_layer layer = {.writer = writer,
                                     .node = node,
                                     .name = node->name,
                                     .in = eg__map(writer->graph->nodes[node->inputs[0]].shape),
                                     .form = form_of(writer, node)};
    bool one_pixel = eg__map(node->shape).h == 1 && eg__map(node->shape).w == 1;
    layer.output =
        output && (layer.form == EG_FORM_VECTOR || !one_pixel) ? output : eg__writer_name(writer, node->name);
    bool keeps_image = node->op == EG_OP_PAD || node->op == EG_OP_IDENTITY || node->op == EG_OP_DROPOUT ||
                       node->op == EG_OP_VIEWS;
    bool constant = node->op != EG_OP_INPUT;
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        constant &= writer->constant[node->inputs[i]];
        if (!writer->is_image[node->inputs[i]]) continue;
        writer->is_image[index] = keeps_image;
        if (!keeps_image && node->op != EG_OP_CONV) {
            eg__layer_refuse(&layer, "the order B,G,R cannot be undone before it (only in a convolution)");
            return;
        }
    }
    write_operator(&layer);
    writer->value[index] = layer.output;
    writer->form[index] = layer.form;
    writer->constant[index] = constant;
}
