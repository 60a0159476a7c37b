/* onnx_lower_rare.c: Resize, ConvTranspose, CumSum. */
#include <math.h>
#include <string.h>

#include "onnx/onnx_private.h"

/* ---- resize ---------------------------------------------------------------------------- */

static bool find_word(const struct eg_reading *step, const char *attribute, const char *const *words,
                      unsigned *which)
{
    if (!eg__step_attribute(step, attribute)) return true;
    for (unsigned i = 0; words[i]; i++)
        if (eg__step_is(step, attribute, words[i])) {
            *which = i;
            return true;
        }
    return false;
}

static enum eg_status read_modes(struct eg_reading *step, struct eg_resizing *r)
{
    static const char *const modes[] = {"nearest", "linear", "cubic", NULL};
    static const char *const places[] = {"half_pixel",    "pytorch_half_pixel", "half_pixel_symmetric",
                                         "align_corners", "asymmetric",         NULL};
    static const char *const rounds[] = {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil", NULL};
    const bool old = step->onnx->opset < 10 || !strcmp(step->proto->op_type, "Upsample");
    unsigned mode = EG_RESIZE_NEAREST, place = old ? EG_PLACE_ASYMMETRIC : EG_PLACE_HALF_PIXEL,
             how = old || step->onnx->opset < 11 ? EG_ROUND_FLOOR : EG_ROUND_PREFER_FLOOR;
    if (step->onnx->opset < 11) place = EG_PLACE_ASYMMETRIC;
    if (!find_word(step, "mode", modes, &mode) || !find_word(step, "nearest_mode", rounds, &how))
        return eg__step_refuse(step, "its mode is none that engraft knows");
    if (!find_word(step, "coordinate_transformation_mode", places, &place))
        return eg__step_refuse(step, "its way of finding places is none that engraft knows");
    r->mode = (enum eg_resize_mode)mode;
    r->place = (enum eg_resize_place)place;
    r->round = (enum eg_resize_round)how;
    r->cubic_a = eg__step_float(step, "cubic_coeff_a", -0.75f);
    r->antialias = eg__step_int(step, "antialias", 0) != 0;
    r->exclude_outside = eg__step_int(step, "exclude_outside", 0) != 0;
    return EG_OK;
}

/* The constant list of four numbers, n c h w; NULL: none is given there. */
static const struct eg_tensor *four(const struct eg_reading *step, unsigned input)
{
    if (input >= step->n_in || !step->in[input] || !step->in[input]->is_constant) return NULL;
    const struct eg_tensor *tensor = &step->in[input]->tensor;
    return tensor->rank == 1 && tensor->dim[0] == 4 ? tensor : NULL;
}

static enum eg_status lower_resize_to(struct eg_reading *step, struct eg_value *in, struct eg_node *node)
{
    const bool old = step->onnx->opset < 11;
    const struct eg_tensor *scales = four(step, old ? 1 : 2), *sizes = old ? NULL : four(step, 3);
    const struct eg_map map = eg__map(step->onnx->graph->nodes[in->node].shape);
    const size_t side[2] = {map.h, map.w};
    double to[2];
    const EgOnnx__AttributeProto *policy = eg__step_attribute(step, "keep_aspect_ratio_policy");
    if (!scales && !sizes) return eg__step_refuse(step, "its sizes are not four constants, n, c, h, w");
    if (policy && !eg__step_is(step, "keep_aspect_ratio_policy", "stretch"))
        return eg__step_refuse(step, "a size that keeps the ratio of the sides");
    if (sizes ? eg__tensor_int_at(sizes, 1) != (int64_t)map.c
              : eg__tensor_number_at(scales, 0) != 1 || eg__tensor_number_at(scales, 1) != 1)
        return eg__step_refuse(step, "it resizes images or channels, not maps");
    for (unsigned i = 0; i < 2; i++) {
        const double scale = sizes ? 0 : eg__tensor_number_at(scales, 2 + i);
        to[i] = sizes ? (double)eg__tensor_int_at(sizes, 2 + i) : floor((double)side[i] * scale);
        if (!(to[i] >= 1) || to[i] > 1 << 24) return eg__step_broken(step, "a side of %g", to[i]);
        *(i ? &node->resize.scale_w : &node->resize.scale_h) = (float)scale;
    }
    node->out_h = (uint32_t)to[0];
    node->out_w = (uint32_t)to[1];
    return EG_OK;
}

enum eg_status eg__lower_resize(struct eg_reading *step)
{
    struct eg_value *in;
    struct eg_node node = {.op = EG_OP_RESIZE};
    enum eg_status status = eg__step_image(step, 0, &in);
    if (!status) status = read_modes(step, &node.resize);
    if (!status) status = lower_resize_to(step, in, &node);
    if (status) return status;
    const struct eg_map map = eg__map(step->onnx->graph->nodes[in->node].shape);
    const struct eg_resizing *r = &node.resize;
    const bool same = map.h == node.out_h && map.w == node.out_w && (r->scale_h == 0 || r->scale_h == 1) &&
                      (r->scale_w == 0 || r->scale_w == 1);
    return same ? eg__lower_identity(step) : eg__step_add_like(step, &node, in);
}

/* ---- transposed convolution ---------------------------------------------------------------- */

/* The padding of one side by the size of its output: `natural` without any, of which the rest goes. */
static bool pad_side(int64_t natural, int64_t wanted, bool upper, uint32_t *before, uint32_t *after,
                     int64_t *added)
{
    const int64_t total = natural - wanted;
    if (wanted < 1 || wanted > INT32_MAX || total > INT32_MAX || total < -INT32_MAX) return false;
    *before = *after = 0;
    if (total < 0) {
        *added -= total;
    } else {
        *before = (uint32_t)(upper ? total / 2 : total - total / 2);
        *after = (uint32_t)total - *before;
    }
    return true;
}

/* The size of the output is given, or as many times the input's as the step is long. */
static enum eg_status pads_by_size(struct eg_reading *step, struct eg_map in, const int64_t *wanted,
                                   int64_t added[2], struct eg_node *node)
{
    struct eg_window *w = &node->window;
    const bool upper = w->padding == EG_PAD_SAME_UPPER;
    const int64_t h = (int64_t)w->stride_h * (int64_t)(in.h - 1) + added[0] +
                      ((int64_t)w->kernel_h - 1) * w->dilation_h + 1,
                  width = (int64_t)w->stride_w * (int64_t)(in.w - 1) + added[1] +
                          ((int64_t)w->kernel_w - 1) * w->dilation_w + 1;
    w->padding = EG_PAD_EXPLICIT;
    if (!pad_side(h, wanted ? wanted[0] : (int64_t)in.h * w->stride_h, upper, &w->pad_top, &w->pad_bottom,
                  &added[0]) ||
        !pad_side(width, wanted ? wanted[1] : (int64_t)in.w * w->stride_w, upper, &w->pad_left, &w->pad_right,
                  &added[1]))
        return eg__step_broken(step, "the size of its output does not fit its input");
    return EG_OK;
}

/* What is added at the ends. */
static enum eg_status find_pads(struct eg_reading *step, struct eg_map in, struct eg_node *node)
{
    struct eg_window *w = &node->window;
    int64_t added[2] = {0, 0}, wanted[2];
    size_t n, n_wanted;
    enum eg_status status = eg__step_ints(step, "output_padding", EG_INPUTS_MAX, added, 2, &n);
    if (!status) status = eg__step_ints(step, "output_shape", EG_INPUTS_MAX, wanted, 2, &n_wanted);
    if (status) return status;
    if ((n && n != 2) || added[0] < 0 || added[1] < 0 || added[0] > INT32_MAX || added[1] > INT32_MAX)
        return eg__step_broken(step, "'output_padding' is not two sizes");
    if (n_wanted && n_wanted != 2) return eg__step_broken(step, "'output_shape' is not two sizes");
    if (n_wanted || w->padding != EG_PAD_EXPLICIT)
        status = pads_by_size(step, in, n_wanted ? wanted : NULL, added, node);
    if (status) return status;
    if (added[0] > INT32_MAX || added[1] > INT32_MAX)
        return eg__step_broken(step, "'output_padding' is not two sizes");
    node->out_h = (uint32_t)added[0];
    node->out_w = (uint32_t)added[1];
    return EG_OK;
}

enum eg_status eg__lower_conv_transpose(struct eg_reading *step)
{
    static const uint8_t from_iohw[4] = {0, 2, 3, 1};
    struct eg_node node = {.op = EG_OP_CONV_TRANSPOSE};
    struct eg_value *in;
    enum eg_status status = eg__step_image(step, 0, &in);
    if (!status) status = eg__step_filters(step, from_iohw, &node);
    if (!status) status = find_pads(step, eg__map(step->onnx->graph->nodes[in->node].shape), &node);
    return status ? status : eg__step_give_image(step, &node, in);
}

/* ---- running sums ---------------------------------------------------------------------------- */

enum eg_status eg__lower_cum_sum(struct eg_reading *step)
{
    struct eg_value *in;
    float axis;
    unsigned dimension;
    if (!step->n_in || !step->in[0]) return eg__step_broken(step, "input 0 is missing");
    enum eg_status status = eg__step_number(step, 1, 0, &axis);
    if (!status) status = eg__step_axis(step, (int64_t)axis, step->in[0]->rank, &dimension);
    if (!status) status = eg__step_last(step, 0, dimension, &in);
    if (status) return status;
    struct eg_node node = {.op = EG_OP_CUM_SUM,
                           .begin = eg__step_int(step, "exclusive", 0) != 0,
                           .swapped = eg__step_int(step, "reverse", 0) != 0};
    return eg__step_add_like(step, &node, in);
}
