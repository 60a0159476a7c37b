/* onnx_write_views.c: several views of an image as ONNX; onnx_views.c says how, and reads them. */
#include <limits.h>
#include <stdio.h>

#include "onnx/onnx_writer.h"

static const char *write_view(struct eg_written_layer *layer, unsigned i, const char *image)
{
    const struct eg_node *node = layer->node;
    const int32_t *at = (const int32_t *)node->params[0]->data + (size_t)3 * i;
    const struct eg_map out = eg__map(node->shape);
    if (!at[2] && layer->in.h == out.h && layer->in.w == out.w) return image;
    char name[4][24];
    static const char *const words[4] = {"view", "starts", "ends", "axes"};
    for (unsigned k = 0; k < 4; k++) snprintf(name[k], sizeof name[k], "%s%u", words[k], i);
    const int64_t crop[3][2] = {{at[0], at[1]}, {at[0] + (int64_t)out.h, at[1] + (int64_t)out.w}, {2, 3}};
    const int64_t turn[4] = {-1, INT64_MIN + 1, 3, -1};
    const size_t n = at[2] ? 1 : 2;
    const char *inputs[5] = {image};
    for (unsigned k = 0; k < 3; k++)
        inputs[k + 1] = eg__layer_ints(layer, name[k + 1], n, at[2] ? &turn[k] : crop[k]);
    if (at[2]) inputs[4] = eg__layer_ints(layer, "steps", 1, &turn[3]);
    if (at[2] && (layer->in.h != out.h || layer->in.w != out.w))
        eg__layer_refuse(layer, "a view is cut out and mirrored");
    return eg__layer_helper(layer, "Slice", name[0], at[2] ? 5 : 4, inputs, NULL);
}

void eg__write_views(struct eg_written_layer *layer)
{
    const char *views[EG_VIEWS_MAX], *image = eg__layer_input(layer, 0, false);
    for (unsigned i = 0; i < layer->node->size; i++) views[i] = write_view(layer, i, image);
    eg__writer_int(layer->writer, eg__layer_final(layer, "Concat", layer->node->size, views), "axis", 0);
}

void eg__write_views_mean(struct eg_written_layer *layer)
{
    const struct eg_shape shape = layer->node->shape;
    const uint32_t views = layer->writer->graph->nodes[layer->node->inputs[0]].times;
    const char *in = eg__layer_alike(layer, 0);
    int64_t to[2 + EG_RANK_MAX] = {views, -1}, first = 0;
    size_t n = 2;
    if (layer->form == EG_FORM_ARRAY)
        for (size_t i = 0; i < shape.rank; i++) to[n++] = (int64_t)shape.dim[i];
    else
        to[n++] = (int64_t)eg__map(shape).c;
    if (layer->form == EG_FORM_IMAGE) {
        to[n++] = (int64_t)eg__map(shape).h;
        to[n++] = (int64_t)eg__map(shape).w;
    }
    const char *inputs[2] = {in, eg__layer_ints(layer, "shape", n, to)};
    const char *apart = eg__layer_helper(layer, "Reshape", "apart", 2, inputs, NULL);
    EgOnnx__NodeProto *mean = eg__layer_final(layer, "ReduceMean", 1, &apart);
    eg__writer_ints(layer->writer, mean, "axes", 1, &first);
    eg__writer_int(layer->writer, mean, "keepdims", 0);
}
