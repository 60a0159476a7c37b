/* onnx_write_arrays.c: operators on values of any rank as ONNX nodes; the batch is ONNX's first side. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "onnx/onnx_writer.h"

const char *eg__layer_for_each(struct eg_written_layer *layer, unsigned i, const char *value,
                               const char *like)
{
    const size_t rank = layer->form == EG_FORM_ARRAY   ? layer->node->shape.rank
                        : layer->form == EG_FORM_IMAGE ? 3
                                                       : 1;
    int64_t ones[EG_RANK_MAX], first[2] = {0, 1};
    char name[4][24];
    for (size_t k = 0; k < rank; k++) ones[k] = 1;
    snprintf(name[0], sizeof name[0], "shape%u", i);
    snprintf(name[1], sizeof name[1], "images%u", i);
    snprintf(name[2], sizeof name[2], "to%u", i);
    snprintf(name[3], sizeof name[3], "each%u", i);
    const char *shape = eg__layer_helper(layer, "Shape", name[0], 1, &like, NULL);
    const char *range[3] = {shape, eg__layer_ints(layer, "images.first", 1, first),
                            eg__layer_ints(layer, "images.end", 1, first + 1)};
    const char *images = eg__layer_helper(layer, "Slice", name[1], 3, range, NULL);
    EgOnnx__NodeProto *join;
    const char *sides[2] = {images, eg__layer_ints(layer, "to.ones", rank, ones)};
    const char *to = eg__layer_helper(layer, "Concat", name[2], 2, sides, &join);
    eg__writer_int(layer->writer, join, "axis", 0);
    return eg__layer_helper(layer, "Expand", name[3], 2, (const char *[]){value, to}, NULL);
}

void eg__write_constant(struct eg_written_layer *layer)
{
    struct eg_tensor view = *layer->node->params[0];
    if (view.rank == EG_RANK_MAX) {
        eg__layer_refuse(layer, "it has too many sides");
        return;
    }
    for (unsigned i = view.rank; i-- > 0;) {
        view.dim[i + 1] = view.dim[i];
        view.stride[i + 1] = view.stride[i];
    }
    view.dim[0] = 1;
    view.stride[0] = (ptrdiff_t)eg__tensor_count(layer->node->params[0]);
    view.rank++;
    layer->output = eg__layer_parameter(layer, 0, &view, false);
}

void eg__write_transpose(struct eg_written_layer *layer)
{
    const struct eg_node *node = layer->node;
    const char *in = eg__layer_array(layer, 0, 0);
    int64_t perm[1 + EG_RANK_MAX] = {0};
    for (size_t i = 0; i < node->shape.rank; i++) perm[i + 1] = node->order[i] + 1;
    EgOnnx__NodeProto *made = eg__layer_final(layer, "Transpose", 1, &in);
    eg__writer_ints(layer->writer, made, "perm", node->shape.rank + 1, perm);
}

/* [n] and the shape's sides; `n` 0 where it stays, 1 where it spreads. */
static const char *sides_of(struct eg_written_layer *layer, struct eg_shape shape, int64_t n)
{
    int64_t to[1 + EG_RANK_MAX] = {n};
    for (size_t i = 0; i < shape.rank; i++) to[i + 1] = (int64_t)shape.dim[i];
    return eg__layer_ints(layer, "shape", shape.rank + 1, to);
}

void eg__write_reshape(struct eg_written_layer *layer)
{
    const char *inputs[2] = {eg__layer_array(layer, 0, 0), sides_of(layer, layer->node->to, 0)};
    eg__layer_final(layer, "Reshape", 2, inputs);
}

void eg__write_expand(struct eg_written_layer *layer)
{
    const struct eg_shape shape = layer->node->shape;
    const char *inputs[2] = {eg__layer_array(layer, 0, shape.rank), sides_of(layer, shape, 1)};
    eg__layer_final(layer, "Expand", 2, inputs);
}

void eg__write_gather(struct eg_written_layer *layer)
{
    const struct eg_tensor *places = layer->node->params[0];
    const size_t n = places->dim[0];
    int64_t *list = eg__graph_memory(layer->writer->scratch, n, sizeof *list);
    if (!list) {
        eg__writer_fail(layer->writer, eg__fail_memory(layer->writer->err, "an ONNX file"));
        return;
    }
    for (size_t i = 0; i < n; i++) {
        int32_t place;
        memcpy(&place, (const char *)places->data + (ptrdiff_t)i * places->stride[0] * 4, sizeof place);
        list[i] = place;
    }
    const char *inputs[2] = {eg__layer_array(layer, 0, 0), eg__layer_ints(layer, "places", n, list)};
    EgOnnx__NodeProto *made = eg__layer_final(layer, "Gather", 2, inputs);
    eg__writer_int(layer->writer, made, "axis", (int64_t)layer->node->shape.rank - layer->node->axis);
}

void eg__write_matmul(struct eg_written_layer *layer)
{
    const size_t rank = layer->node->shape.rank;
    const char *inputs[2] = {eg__layer_array(layer, 0, rank), eg__layer_array(layer, 1, rank)};
    eg__layer_final(layer, "MatMul", 2, inputs);
}

/* softmax(alpha q k' + mask) v */
void eg__write_attention(struct eg_written_layer *layer)
{
    const struct eg_node *node = layer->node;
    const size_t rank = node->shape.rank;
    const char *q = eg__layer_array(layer, 0, rank), *k = eg__layer_array(layer, 1, rank);
    const char *v = eg__layer_array(layer, 2, rank), *mask = NULL;
    int64_t perm[1 + EG_RANK_MAX];
    for (size_t i = 0; i <= rank; i++) perm[i] = (int64_t)i;
    perm[rank] = (int64_t)rank - 1;
    perm[rank - 1] = (int64_t)rank;
    EgOnnx__NodeProto *turn, *normal;
    const char *turned = eg__layer_helper(layer, "Transpose", "keys", 1, &k, &turn);
    eg__writer_ints(layer->writer, turn, "perm", rank + 1, perm);
    const char *products =
        eg__layer_helper(layer, "MatMul", "products", 2, (const char *[]){q, turned}, NULL);
    if (node->alpha != 1)
        products =
            eg__layer_helper(layer, "Mul", "scaled", 2,
                             (const char *[]){products, eg__layer_number(layer, "scale", node->alpha)}, NULL);
    if (node->params[0])
        mask = eg__layer_parameter(layer, 0, node->params[0], false);
    else if (node->n_inputs > 3)
        mask = eg__layer_array(layer, 3, rank);
    if (mask) products = eg__layer_helper(layer, "Add", "masked", 2, (const char *[]){products, mask}, NULL);
    const char *rows = eg__layer_helper(layer, "Softmax", "softmax", 1, &products, &normal);
    eg__writer_int(layer->writer, normal, "axis", (int64_t)rank);
    eg__layer_final(layer, "MatMul", 2, (const char *[]){rows, v});
}

/* ---- maps -------------------------------------------------------------------------------- */

/* A factor that gives `to` sides from `from` when cut short. */
static float factor(size_t from, size_t to)
{
    float scale = (float)to / (float)from;
    while (floorf((float)from * scale) < (float)to) scale = nextafterf(scale, INFINITY);
    return scale;
}

void eg__write_resize(struct eg_written_layer *layer)
{
    static const char *const modes[] = {"nearest", "linear", "cubic"};
    static const char *const places[] = {"half_pixel", "pytorch_half_pixel", "half_pixel_symmetric",
                                         "align_corners", "asymmetric"};
    static const char *const rounds[] = {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"};
    const struct eg_node *node = layer->node;
    const struct eg_resizing *r = &node->resize;
    if (r->place == EG_PLACE_HALF_PIXEL_SYMMETRIC || r->antialias) {
        eg__layer_refuse(layer, "opset 17 does not resize so");
        return;
    }
    float *scales = eg__graph_memory(layer->writer->scratch, 4, sizeof *scales);
    if (!scales) {
        eg__writer_fail(layer->writer, eg__fail_memory(layer->writer->err, "an ONNX file"));
        return;
    }
    scales[0] = scales[1] = 1;
    scales[2] = r->scale_h > 0 ? r->scale_h : factor(layer->in.h, node->out_h);
    scales[3] = r->scale_w > 0 ? r->scale_w : factor(layer->in.w, node->out_w);
    struct eg_tensor view = {.data = scales, .dtype = EG_F32, .rank = 1, .dim = {4}, .stride = {1}};
    const char *list = eg__writer_tensor(layer->writer, eg__layer_part(layer, "scales"), &view, false);
    const char *inputs[3] = {eg__layer_input(layer, 0, false), "", list};
    EgOnnx__NodeProto *made = eg__layer_final(layer, "Resize", 3, inputs);
    eg__writer_string(layer->writer, made, "mode", modes[r->mode]);
    eg__writer_string(layer->writer, made, "coordinate_transformation_mode", places[r->place]);
    eg__writer_string(layer->writer, made, "nearest_mode", rounds[r->round]);
    if (r->mode == EG_RESIZE_CUBIC) eg__writer_float(layer->writer, made, "cubic_coeff_a", r->cubic_a);
    eg__writer_int(layer->writer, made, "exclude_outside", r->exclude_outside);
}

void eg__write_conv_transpose(struct eg_written_layer *layer)
{
    static const uint8_t to_iohw[4] = {0, 3, 1, 2};
    const struct eg_node *node = layer->node;
    const struct eg_tensor weight = eg__tensor_permuted(node->params[0], to_iohw);
    const char *inputs[3] = {eg__layer_input(layer, 0, false), eg__layer_parameter(layer, 0, &weight, true)};
    if (node->params[1]) inputs[2] = eg__layer_parameter(layer, 1, node->params[1], false);
    EgOnnx__NodeProto *made = eg__layer_final(layer, "ConvTranspose", node->params[1] ? 3 : 2, inputs);
    eg__layer_put_window(layer, made, &node->window, true);
    eg__writer_int(layer->writer, made, "group", node->groups);
    eg__writer_ints(layer->writer, made, "output_padding", 2, (const int64_t[]){node->out_h, node->out_w});
}
