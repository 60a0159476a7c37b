/* onnx_write.c: a graph to an ONNX file. Small messages are packed by protobuf-c; the model
 * and graph around them are framed here, so that a weight goes from its mapped file to the
 * new one without a copy of the network in memory. Values are [n][c][h][w] or [n][c]. */
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/half.h"
#include "base/mem.h"
#include "graph/checks.h"
#include "onnx/onnx_writer.h"

/* ---- building ------------------------------------------------------------------------- */

void eg__writer_fail(struct eg_onnx_writer *writer, enum eg_status status)
{
    if (!writer->status) writer->status = status;
}

static void *memory(struct eg_onnx_writer *writer, size_t n, size_t size)
{
    void *made = eg__graph_memory(writer->scratch, n, size);
    if (!made && !writer->status) writer->status = eg__fail_memory(writer->err, "an ONNX file");
    return made;
}

static char *copy_string(struct eg_onnx_writer *writer, const char *string)
{
    size_t n = strlen(string) + 1;
    char *copy = memory(writer, n, 1);
    if (copy) memcpy(copy, string, n);
    return copy;
}

static int compare_names(const void *a, const void *b) { return strcmp(a, b); }

const char *eg__writer_name(struct eg_onnx_writer *writer, const char *name)
{
    size_t size = strlen(name) + 12;
    char *made = memory(writer, size, 1);
    if (!made) return "";
    memcpy(made, name, strlen(name) + 1);
    for (unsigned suffix = 2; tfind(made, &writer->names, compare_names); suffix++)
        snprintf(made, size, "%s_%u", name, suffix);
    if (!tsearch(made, &writer->names, compare_names))
        eg__writer_fail(writer, eg__fail_memory(writer->err, "names"));
    return made;
}

const char *eg__writer_part(struct eg_onnx_writer *writer, const char *layer, const char *part)
{
    size_t size = strlen(layer) + strlen(part) + 2;
    char *made = memory(writer, size, 1);
    if (made) snprintf(made, size, "%s/%s", layer, part);
    return made ? made : "";
}

EgOnnx__NodeProto *eg__writer_node(struct eg_onnx_writer *writer, const char *op, const char *name,
                                   const char *output, unsigned n_inputs, const char *const *inputs)
{
    static EgOnnx__NodeProto nowhere; /* where calls after a failure write: never read */
    EgOnnx__NodeProto *node = memory(writer, 1, sizeof *node);
    char **in = memory(writer, n_inputs + 1, sizeof *in), **out = memory(writer, 1, sizeof *out);
    if (!node || !in || !out ||
        !eg__grow(&writer->nodes, &writer->node_capacity, writer->n_nodes + 1, sizeof *writer->nodes)) {
        eg__writer_fail(writer, eg__fail_memory(writer->err, "an ONNX file"));
        nowhere = (EgOnnx__NodeProto)EG_ONNX__NODE_PROTO__INIT;
        return &nowhere;
    }
    *node = (EgOnnx__NodeProto)EG_ONNX__NODE_PROTO__INIT;
    for (unsigned i = 0; i < n_inputs; i++) in[i] = copy_string(writer, inputs[i]);
    out[0] = copy_string(writer, output);
    node->input = in;
    node->n_input = n_inputs;
    node->output = out;
    node->n_output = 1;
    node->name = copy_string(writer, name);
    node->op_type = copy_string(writer, op);
    writer->nodes[writer->n_nodes++] = node;
    return node;
}

EgOnnx__AttributeProto *eg__writer_attribute(struct eg_onnx_writer *writer, EgOnnx__NodeProto *node,
                                             const char *name, int32_t type)
{
    EgOnnx__AttributeProto *attribute = memory(writer, 1, sizeof *attribute);
    EgOnnx__AttributeProto **list = memory(writer, node->n_attribute + 1, sizeof *list);
    static EgOnnx__AttributeProto nowhere;
    if (!attribute || !list) return &nowhere;
    *attribute = (EgOnnx__AttributeProto)EG_ONNX__ATTRIBUTE_PROTO__INIT;
    attribute->name = copy_string(writer, name);
    attribute->has_type = true;
    attribute->type = type;
    if (node->n_attribute) memcpy(list, node->attribute, node->n_attribute * sizeof *list);
    list[node->n_attribute++] = attribute;
    node->attribute = list;
    return attribute;
}

void eg__writer_int(struct eg_onnx_writer *writer, EgOnnx__NodeProto *node, const char *name, int64_t i)
{
    EgOnnx__AttributeProto *attribute = eg__writer_attribute(writer, node, name, 2);
    attribute->has_i = true;
    attribute->i = i;
}

void eg__writer_float(struct eg_onnx_writer *writer, EgOnnx__NodeProto *node, const char *name, float f)
{
    EgOnnx__AttributeProto *attribute = eg__writer_attribute(writer, node, name, 1);
    attribute->has_f = true;
    attribute->f = f;
}

void eg__writer_string(struct eg_onnx_writer *writer, EgOnnx__NodeProto *node, const char *name,
                       const char *s)
{
    EgOnnx__AttributeProto *attribute = eg__writer_attribute(writer, node, name, 3);
    attribute->has_s = true;
    attribute->s.data = (uint8_t *)copy_string(writer, s);
    attribute->s.len = strlen(s);
}

void eg__writer_ints(struct eg_onnx_writer *writer, EgOnnx__NodeProto *node, const char *name, size_t n,
                     const int64_t *ints)
{
    EgOnnx__AttributeProto *attribute = eg__writer_attribute(writer, node, name, 7);
    int64_t *copy = memory(writer, n, sizeof *copy);
    if (!copy) return;
    memcpy(copy, ints, n * sizeof *copy);
    attribute->ints = copy;
    attribute->n_ints = n;
}

/* ---- tensors -------------------------------------------------------------------------- */

static struct eg_written_tensor *add_tensor(struct eg_onnx_writer *writer, const char *name,
                                            const struct eg_tensor *view, int32_t data_type, size_t size)
{
    struct eg_written_tensor *made = memory(writer, 1, sizeof *made);
    int64_t *dims = memory(writer, view->rank + 1u, sizeof *dims);
    if (!made || !dims) return NULL;
    if (!eg__grow(&writer->tensors, &writer->tensor_capacity, writer->n_tensors + 1,
                  sizeof *writer->tensors)) {
        eg__writer_fail(writer, eg__fail_memory(writer->err, "an ONNX file"));
        return NULL;
    }
    made->proto = (EgOnnx__TensorProto)EG_ONNX__TENSOR_PROTO__INIT;
    made->view = *view;
    for (unsigned i = 0; i < view->rank; i++) dims[i] = (int64_t)view->dim[i];
    made->proto.dims = dims;
    made->proto.n_dims = view->rank;
    made->proto.has_data_type = true;
    made->proto.data_type = data_type;
    made->proto.name = copy_string(writer, name);
    made->proto.has_raw_data = true;
    made->proto.raw_data.len = eg__tensor_count(view) * size;
    writer->tensors[writer->n_tensors++] = made;
    return made;
}

const char *eg__writer_tensor(struct eg_onnx_writer *writer, const char *name, const struct eg_tensor *view,
                              bool weight)
{
    const char *value = eg__writer_name(writer, name);
    if (!view->data) {
        eg__writer_fail(writer,
                        eg__fail(writer->err, EG_E_ARGUMENT,
                                 "cannot write '%.100s': tensor '%.200s' has no values (load weights first)",
                                 writer->graph->name, name));
        return value;
    }
    bool half = weight && writer->options->half;
    add_tensor(writer, value, view, half ? EG_ONNX_FLOAT16 : EG_ONNX_FLOAT, half ? 2 : 4);
    if (!half) return value;
    const char *full = eg__writer_name(writer, eg__writer_part(writer, value, "f32"));
    EgOnnx__NodeProto *cast = eg__writer_node(writer, "Cast", full, full, 1, &value);
    eg__writer_int(writer, cast, "to", EG_ONNX_FLOAT);
    return full;
}

const char *eg__writer_number(struct eg_onnx_writer *writer, const char *name, float number)
{
    float *copy = memory(writer, 1, sizeof *copy);
    if (!copy) return "";
    *copy = number;
    struct eg_tensor view = {.data = copy, .dtype = EG_F32};
    return eg__writer_tensor(writer, name, &view, false);
}

const char *eg__writer_int_list(struct eg_onnx_writer *writer, const char *name, size_t n,
                                const int64_t *ints)
{
    int64_t *copy = memory(writer, n, sizeof *copy);
    const char *value = eg__writer_name(writer, name);
    if (!copy) return value;
    memcpy(copy, ints, n * sizeof *copy);
    struct eg_tensor view = {.data = copy, .dtype = EG_I64, .rank = 1, .dim = {n}, .stride = {1}};
    add_tensor(writer, value, &view, EG_ONNX_INT64, 8);
    return value;
}

/* ---- bytes ------------------------------------------------------------------------------ */

static size_t varint_size(uint64_t x)
{
    size_t n = 1;
    while (x >>= 7) n++;
    return n;
}

static void put_varint(FILE *file, uint64_t x)
{
    for (; x > 127; x >>= 7) putc((int)(x & 127) | 128, file);
    putc((int)x, file);
}

static void put_header(FILE *file, unsigned field, size_t size)
{
    put_varint(file, field << 3 | 2u);
    put_varint(file, size);
}

static size_t field_size(size_t size) { return 1 + varint_size(size) + size; } /* fields below 16 */

static bool put_message(FILE *file, const ProtobufCMessage *message)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    uint8_t *bytes = malloc(size + 1);
    if (!bytes) return false;
    protobuf_c_message_pack(message, bytes);
    fwrite(bytes, 1, size, file);
    free(bytes);
    return true;
}

static bool put_field(FILE *file, unsigned field, const ProtobufCMessage *message)
{
    put_header(file, field, protobuf_c_message_get_packed_size(message));
    return put_message(file, message);
}

/* As they lie where the view is dense and of the right type, else through a copy of this one. */
static bool put_numbers(FILE *file, const struct eg_written_tensor *tensor)
{
    const struct eg_tensor *view = &tensor->view;
    size_t count = eg__tensor_count(view), size = tensor->proto.raw_data.len / (count ? count : 1);
    struct eg_tensor dense = *view;
    eg__tensor_pack_strides(&dense);
    bool in_place = size == eg__dtype_size(view->dtype) && view->dtype != EG_I32 && view->dtype != EG_BF16 &&
                    view->dtype != EG_I16;
    for (unsigned i = 0; i < view->rank; i++)
        in_place &= view->dim[i] == 1 || view->stride[i] == dense.stride[i];
    if (in_place) {
        fwrite(view->data, size, count, file);
        return true;
    }
    float *numbers = eg__alloc(count, sizeof *numbers);
    if (!numbers) return false;
    eg__tensor_read(view, numbers);
    uint16_t *halves = (uint16_t *)(void *)numbers; /* each half lies before the float it is of */
    if (size == 2)
        for (size_t i = 0; i < count; i++) {
            uint16_t half = eg__f32_to_f16(numbers[i]);
            memcpy(&halves[i], &half, sizeof half);
        }
    fwrite(numbers, size, count, file);
    free(numbers);
    return true;
}

static bool put_tensor(FILE *file, unsigned field, const struct eg_written_tensor *tensor)
{
    EgOnnx__TensorProto head = tensor->proto;
    head.has_raw_data = false;
    size_t head_size = eg_onnx__tensor_proto__get_packed_size(&head), n = tensor->proto.raw_data.len;
    put_header(file, field, head_size + field_size(n));
    if (!put_message(file, &head.base)) return false;
    put_header(file, 9, n);
    return put_numbers(file, tensor);
}

static size_t tensor_size(const struct eg_written_tensor *tensor)
{
    EgOnnx__TensorProto head = tensor->proto;
    head.has_raw_data = false;
    return eg_onnx__tensor_proto__get_packed_size(&head) + field_size(tensor->proto.raw_data.len);
}

struct frame {
    EgOnnx__ValueInfoProto *infos[3]; /* input, then outputs */
    size_t n_infos;
};

static enum eg_status put_model(struct eg_onnx_writer *writer, EgOnnx__ModelProto *model,
                                const struct frame *frame, FILE *file)
{
    static char network[] = "network";
    size_t size = field_size(strlen(network));
    for (size_t i = 0; i < writer->n_nodes; i++)
        size += field_size(eg_onnx__node_proto__get_packed_size(writer->nodes[i]));
    for (size_t i = 0; i < writer->n_tensors; i++) size += field_size(tensor_size(writer->tensors[i]));
    for (size_t i = 0; i < frame->n_infos; i++)
        size += field_size(eg_onnx__value_info_proto__get_packed_size(frame->infos[i]));
    if (size > INT32_MAX)
        return eg__fail(writer->err, EG_E_UNSUPPORTED,
                        "cannot write '%.100s': past 2 GB, ONNX's limit (write half-precision weights)",
                        writer->graph->name);
    bool fine = put_message(file, &model->base);
    put_header(file, 7, size);
    for (size_t i = 0; i < writer->n_nodes && fine; i++) fine = put_field(file, 1, &writer->nodes[i]->base);
    put_header(file, 2, strlen(network));
    fputs(network, file);
    for (size_t i = 0; i < writer->n_tensors && fine; i++) fine = put_tensor(file, 5, writer->tensors[i]);
    for (size_t i = 0; i < frame->n_infos && fine; i++)
        fine = put_field(file, i ? 12 : 11, &frame->infos[i]->base);
    return fine ? EG_OK : eg__fail_memory(writer->err, "an ONNX file");
}

/* ---- input, outputs ------------------------------------------------------------------------ */

static EgOnnx__ValueInfoProto *value_info(struct eg_onnx_writer *writer, const char *name, int32_t type,
                                          size_t rank, const size_t *dim)
{
    struct {
        EgOnnx__ValueInfoProto info;
        EgOnnx__TypeProto type;
        EgOnnx__TypeProto__Tensor tensor;
        EgOnnx__TensorShapeProto shape;
        EgOnnx__TensorShapeProto__Dimension dim[4], *dims[4];
    } *made = memory(writer, 1, sizeof *made);
    if (!made) return NULL;
    made->info = (EgOnnx__ValueInfoProto)EG_ONNX__VALUE_INFO_PROTO__INIT;
    made->type = (EgOnnx__TypeProto)EG_ONNX__TYPE_PROTO__INIT;
    made->tensor = (EgOnnx__TypeProto__Tensor)EG_ONNX__TYPE_PROTO__TENSOR__INIT;
    made->shape = (EgOnnx__TensorShapeProto)EG_ONNX__TENSOR_SHAPE_PROTO__INIT;
    made->info.name = copy_string(writer, name);
    made->info.type = &made->type;
    made->type.tensor_type = &made->tensor;
    made->tensor.has_elem_type = true;
    made->tensor.elem_type = type;
    made->tensor.shape = &made->shape;
    for (size_t i = 0; i < rank; i++) {
        made->dim[i] = (EgOnnx__TensorShapeProto__Dimension)EG_ONNX__TENSOR_SHAPE_PROTO__DIMENSION__INIT;
        if (!i) made->dim[i].dim_param = copy_string(writer, "N");
        made->dim[i].has_dim_value = i > 0;
        if (i) made->dim[i].dim_value = (int64_t)dim[i];
        made->dims[i] = &made->dim[i];
    }
    made->shape.dim = made->dims;
    made->shape.n_dim = rank;
    return &made->info;
}

/* (x scale - mean) / std as a product and a sum, in R,G,B order. */
static void write_normalization(struct eg_onnx_writer *writer, const char *input, const char *output)
{
    const struct eg_recipe *recipe = writer->options->recipe;
    const char *layer = recipe->bgr ? "engraft.normalize_bgr" : "engraft.normalize";
    float *numbers = memory(writer, 6, sizeof *numbers);
    if (!numbers) return;
    for (unsigned rgb = 0; rgb < 3; rgb++) {
        unsigned c = recipe->bgr ? 2 - rgb : rgb;
        numbers[rgb] = (float)(recipe->scale / recipe->std[c]);
        numbers[3 + rgb] = (float)(-recipe->mean[c] / recipe->std[c]);
    }
    static const char *const ops[2] = {"Mul", "Add"}, *const parts[2] = {"scale", "offset"};
    const char *from = input;
    for (unsigned i = 0; i < 2; i++) {
        struct eg_tensor view = {
            .data = numbers + 3 * i, .dtype = EG_F32, .rank = 3, .dim = {3, 1, 1}, .stride = {1, 1, 1}};
        const char *name = eg__writer_part(writer, layer, parts[i]);
        const char *constant =
            eg__writer_tensor(writer, eg__writer_part(writer, name, "constant"), &view, false);
        const char *to = i ? output : eg__writer_name(writer, name);
        eg__writer_node(writer, ops[i], name, to, 2, (const char *[]){from, constant});
        from = to;
    }
}

static void write_input(struct eg_onnx_writer *writer, struct frame *frame)
{
    struct eg_map shape = eg__map(writer->graph->nodes[0].shape);
    const char *wanted = writer->options->input_name ? writer->options->input_name : "image";
    const char *input = eg__writer_name(writer, wanted), *behind = input;
    size_t image[4] = {0, shape.c, shape.h, shape.w}, vector[2] = {0, shape.c};
    bool is_vector = writer->options->vector_input;
    if (is_vector && (shape.h != 1 || shape.w != 1))
        eg__writer_fail(writer,
                        eg__fail(writer->err, EG_E_ARGUMENT, "cannot write '%.100s': its input is an image",
                                 writer->graph->name));
    frame->infos[frame->n_infos++] =
        value_info(writer, input, EG_ONNX_FLOAT, is_vector ? 2 : 4, is_vector ? vector : image);
    if (writer->options->recipe) {
        if (shape.c != 3)
            eg__writer_fail(writer,
                            eg__fail(writer->err, EG_E_ARGUMENT,
                                     "cannot write '%.100s': a recipe is for 3 channels, its input has %zu",
                                     writer->graph->name, shape.c));
        behind = eg__writer_name(writer, "engraft.normalized");
        write_normalization(writer, input, behind);
    }
    writer->value[0] = behind;
    writer->form[0] = is_vector ? EG_FORM_VECTOR : EG_FORM_IMAGE;
    writer->is_image[0] = writer->options->recipe && writer->options->recipe->bgr;
}

/* Which labels are said: bool [n][c]. */
static void write_labels(struct eg_onnx_writer *writer, struct frame *frame, const char *name)
{
    uint32_t index = writer->graph->label_output;
    const char *layer = writer->graph->nodes[index].name, *from = writer->value[index];
    const size_t dim[2] = {0, eg__map(writer->graph->nodes[index].shape).c};
    if (writer->form[index] != EG_FORM_VECTOR) {
        const char *flat = eg__writer_name(writer, eg__writer_part(writer, layer, "flat"));
        EgOnnx__NodeProto *made = eg__writer_node(writer, "Flatten", flat, flat, 1, &from);
        eg__writer_int(writer, made, "axis", 1);
        from = flat;
    }
    EgOnnx__NodeProto *cast =
        eg__writer_node(writer, "Cast", eg__writer_part(writer, layer, "labels"), name, 1, &from);
    eg__writer_int(writer, cast, "to", EG_ONNX_BOOL);
    frame->infos[frame->n_infos++] = value_info(writer, name, EG_ONNX_BOOL, 2, dim);
}

static void write_label(struct eg_onnx_writer *writer, struct frame *frame, const char *name)
{
    uint32_t index = writer->graph->label_output;
    struct eg_map shape = eg__map(writer->graph->nodes[index].shape);
    const char *layer = writer->graph->nodes[index].name;
    if (eg__map_count(shape) != 1)
        eg__writer_fail(writer, eg__fail(writer->err, EG_E_SHAPE,
                                         "cannot write '%.100s': label '%.200s' is not one number an image",
                                         writer->graph->name, layer));
    const char *whole = eg__writer_name(writer, eg__writer_part(writer, layer, "int64"));
    EgOnnx__NodeProto *cast = eg__writer_node(writer, "Cast", whole, whole, 1, &writer->value[index]);
    eg__writer_int(writer, cast, "to", EG_ONNX_INT64);
    int64_t all = -1;
    const char *shape_name =
        eg__writer_int_list(writer, eg__writer_part(writer, layer, "label.shape"), 1, &all);
    eg__writer_node(writer, "Reshape", eg__writer_part(writer, layer, "label"), name, 2,
                    (const char *[]){whole, shape_name});
    frame->infos[frame->n_infos++] = value_info(writer, name, EG_ONNX_INT64, 1, NULL);
}

/* The result is [n][c] where it is one pixel. */
static void write_output(struct eg_onnx_writer *writer, struct frame *frame, const char *name)
{
    uint32_t index = writer->graph->output;
    struct eg_map shape = eg__map(writer->graph->nodes[index].shape);
    size_t dim[4] = {0, shape.c, shape.h, shape.w};
    bool flat = shape.h == 1 && shape.w == 1;
    if (writer->options->one_number) { /* [n] */
        const char *layer = eg__writer_part(writer, writer->graph->nodes[index].name, "number");
        int64_t all = -1;
        const char *inputs[2] = {
            writer->value[index],
            eg__writer_int_list(writer, eg__writer_part(writer, layer, "shape"), 1, &all)};
        eg__writer_node(writer, "Reshape", layer, name, 2, inputs);
        frame->infos[frame->n_infos++] = value_info(writer, name, EG_ONNX_FLOAT, 1, NULL);
        return;
    }
    if (flat && writer->form[index] != EG_FORM_VECTOR) {
        const char *layer = eg__writer_part(writer, writer->graph->nodes[index].name, "flatten");
        EgOnnx__NodeProto *made = eg__writer_node(writer, "Flatten", layer, name, 1, &writer->value[index]);
        eg__writer_int(writer, made, "axis", 1);
    }
    if (!flat && writer->form[index] == EG_FORM_ARRAY) {
        const struct eg_shape *own = &writer->graph->nodes[index].shape;
        size_t sides[1 + EG_RANK_MAX] = {0};
        memcpy(sides + 1, own->dim, own->rank * sizeof *sides);
        frame->infos[frame->n_infos++] =
            value_info(writer, name, EG_ONNX_FLOAT, (unsigned)own->rank + 1, sides);
        return;
    }
    frame->infos[frame->n_infos++] = value_info(writer, name, EG_ONNX_FLOAT, flat ? 2 : 4, dim);
}

/* ---- the whole ------------------------------------------------------------------------------- */

static bool *find_live(const struct eg_graph *graph)
{
    bool *live = eg__zalloc(graph->n_nodes, sizeof *live);
    if (!live) return NULL;
    live[0] = live[graph->output] = live[graph->label_output] = true;
    for (uint32_t i = graph->n_nodes; i-- > 0;)
        for (uint32_t k = 0; live[i] && k < graph->nodes[i].n_inputs; k++)
            live[graph->nodes[i].inputs[k]] = true;
    return live;
}

static void build(struct eg_onnx_writer *writer, struct frame *frame, const bool *live)
{
    const struct eg_graph *graph = writer->graph;
    const char *wanted = writer->options->output_name ? writer->options->output_name : "probabilities";
    write_input(writer, frame);
    const char *output = eg__writer_name(writer, wanted);
    const bool several = eg__graph_says_labels(graph);
    const char *label = graph->label_output ? eg__writer_name(writer, several ? "labels" : "label") : NULL;
    for (uint32_t i = 1; i < graph->n_nodes && !writer->status; i++) {
        if (!live[i]) continue;
        eg__writer_layer(writer, i, i == graph->output && !writer->options->one_number ? output : NULL);
    }
    if (writer->status) return;
    if (label) (several ? write_labels : write_label)(writer, frame, label);
    write_output(writer, frame, output);
}

static EgOnnx__StringStringEntryProto **write_metadata(struct eg_onnx_writer *writer)
{
    const struct eg_graph *graph = writer->graph;
    EgOnnx__StringStringEntryProto **list = memory(writer, graph->n_metadata + 1u, sizeof *list);
    EgOnnx__StringStringEntryProto *entry = memory(writer, graph->n_metadata + 1u, sizeof *entry);
    for (uint32_t i = 0; list && entry && i < graph->n_metadata; i++) {
        entry[i] = (EgOnnx__StringStringEntryProto)EG_ONNX__STRING_STRING_ENTRY_PROTO__INIT;
        entry[i].key = copy_string(writer, graph->metadata[i].key);
        entry[i].value = copy_string(writer, graph->metadata[i].value);
        list[i] = &entry[i];
    }
    return list;
}

static enum eg_status write_file(struct eg_onnx_writer *writer, const char *path, const struct frame *frame)
{
    static char producer[] = "engraft", version[] = EG_VERSION, main_domain[] = "",
                ml_domain[] = "ai.onnx.ml";
    EgOnnx__ModelProto model = EG_ONNX__MODEL_PROTO__INIT;
    EgOnnx__OperatorSetIdProto opset = EG_ONNX__OPERATOR_SET_ID_PROTO__INIT, ml = opset,
                               *opsets[2] = {&opset, &ml};
    model.has_ir_version = true;
    model.ir_version = 8;
    model.producer_name = producer;
    model.producer_version = version;
    opset.domain = main_domain;
    opset.has_version = ml.has_version = true;
    opset.version = 17;
    ml.domain = ml_domain;
    ml.version = 3;
    model.opset_import = opsets;
    model.n_opset_import = 2;
    model.metadata_props = write_metadata(writer);
    model.n_metadata_props = writer->graph->n_metadata;
    if (writer->status) return writer->status;
    struct eg_outfile file;
    enum eg_status status = eg__outfile_open(path, writer->options->overwrite, &file, writer->err);
    if (status) return status;
    status = put_model(writer, &model, frame, file.stream);
    if (status) {
        eg__outfile_abandon(&file);
        return status;
    }
    return eg__outfile_commit(&file, writer->err);
}

static void keep_name(void *name) { (void)name; /* it is in the arena */ }

enum eg_status eg__onnx_save(const struct eg_graph *graph, const char *path,
                             const struct eg_onnx_options *options, struct eg_error *err)
{
    static const struct eg_onnx_options defaults;
    struct eg_onnx_writer writer = {.graph = graph, .options = options ? options : &defaults, .err = err};
    struct frame frame = {0};
    if (!graph->output)
        return eg__fail(err, EG_E_ARGUMENT, "cannot write '%.100s': it has no layers", graph->name);
    writer.status = eg__graph_create("scratch", &writer.scratch, err);
    if (writer.status) return writer.status;
    bool *live = find_live(graph);
    if (live) writer.status = eg__graph_check_finite(graph, live, err);
    writer.value = eg__zalloc(graph->n_nodes, sizeof *writer.value);
    writer.form = eg__zalloc(graph->n_nodes, sizeof *writer.form);
    writer.constant = eg__zalloc(graph->n_nodes, sizeof *writer.constant);
    writer.is_image = eg__zalloc(graph->n_nodes, sizeof *writer.is_image);
    if (!live || !writer.value || !writer.form || !writer.constant || !writer.is_image)
        eg__writer_fail(&writer, eg__fail_memory(err, "an ONNX file"));
    else if (!writer.status)
        build(&writer, &frame, live);
    enum eg_status status = writer.status ? writer.status : write_file(&writer, path, &frame);
    tdestroy(writer.names, keep_name);
    free(live);
    free(writer.value);
    free(writer.form);
    free(writer.constant);
    free(writer.is_image);
    free(writer.nodes);
    free(writer.tensors);
    eg__graph_free(writer.scratch);
    return status;
}
