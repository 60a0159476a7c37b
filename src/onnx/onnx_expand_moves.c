/* onnx_expand_moves.c: numbers picked by tables, and padding that is no border of a map. */
#include <string.h>

#include "onnx/onnx_expand.h"

static const char *in(const struct eg_emit *e, unsigned input) { return eg__emit_in(e, input); }

/* Places in a table of several dimensions: picked as a row of them, which then gets the table's shape. A
 * value that was flattened with its batch of one (as_strided) is picked from image by image. */
enum eg_status eg__expand_gather(struct eg_emit *e)
{
    const struct eg_value *value = e->step->in[0], *table = e->step->n_in > 1 ? e->step->in[1] : NULL;
    unsigned axis, rank = eg__emit_rank(e, 0), n = 0;
    int64_t shape[2 * EG_RANK_MAX], all[1] = {-1};
    if (!table || !table->is_constant || table->tensor.rank < 2 || value->is_constant) return EG_E_NOT_FOUND;
    enum eg_status status = eg__step_axis(e->step, eg__step_int(e->step, "axis", 0), rank, &axis);
    if (status) return status;
    const char *x = in(e, 0), *row = emit(e, "Reshape", IN(in(e, 1), eg__emit_ints(e, all, 1)), NULL);
    const struct eg_dimension *dim = &value->dim[axis];
    const bool with_batch = dim->n > 1 && dim->part[0].axis == EG_AXIS_N && axis == 0;
    if (with_batch && (e->step->onnx->batch != 1 || table->tensor.dim[0] != 1))
        return eg__step_refuse(e->step, "it works across the images of a batch");
    if (with_batch) {
        shape[n++] = 1;
        shape[n++] = -1;
        for (unsigned i = 1; i < rank; i++) shape[n++] = (int64_t)eg__emit_extent(e, 0, i);
        x = emit(e, "Reshape", IN(x, eg__emit_ints(e, shape, n)), NULL);
        n = 0;
    }
    x = emit(e, "Gather", IN(x, row), WITH(INT("axis", axis + with_batch)));
    for (unsigned i = 0; i < axis; i++) shape[n++] = 0;
    for (unsigned i = 0; i < table->tensor.rank; i++) shape[n++] = (int64_t)table->tensor.dim[i];
    for (unsigned i = axis + 1; i < rank; i++) shape[n++] = (int64_t)eg__emit_extent(e, 0, i);
    if (n > EG_RANK_MAX) return eg__step_refuse(e->step, "%u dimensions", n);
    return eg__emit_as(e, 0, "Reshape", IN(x, eg__emit_ints(e, shape, n)), NULL);
}

/* ---- padding ---------------------------------------------------------------------------------- */

enum mode { CONSTANT, EDGE, REFLECT, WRAP, UNKNOWN };

static enum mode mode_of(const struct eg_reading *step)
{
    static const char *const modes[] = {"constant", "edge", "reflect", "wrap"};
    if (!eg__step_attribute(step, "mode")) return CONSTANT;
    for (unsigned i = 0; i < 4; i++)
        if (eg__step_is(step, "mode", modes[i])) return (enum mode)i;
    return UNKNOWN;
}

/* Where place i of a padded side of `size` comes from. */
static int64_t source_of(int64_t i, int64_t size, enum mode mode)
{
    if (mode == EDGE) return i < 0 ? 0 : i >= size ? size - 1 : i;
    if (mode == WRAP) return (i % size + size) % size;
    const int64_t period = size > 1 ? 2 * (size - 1) : 1;
    i = (i % period + period) % period;
    return i < size ? i : period - i;
}

/* A block of one number as long as x but for `axis`, where it is of `n`. */
static const char *block(struct eg_emit *e, unsigned axis, const int64_t *sides, int64_t n,
                         const char *number)
{
    int64_t shape[EG_RANK_MAX];
    const struct eg_value *value = e->step->in[0];
    const unsigned rank = eg__emit_rank(e, 0);
    for (unsigned i = 0; i < rank; i++)
        shape[i] = i == axis ? n : eg__dimension_is_batch(value, i) ? 1 : sides[i];
    return emit2(e, "Expand", number, eg__emit_ints(e, shape, rank));
}

/* One side: what is cut off first, then what is added. */
static const char *padded(struct eg_emit *e, const char *x, unsigned axis, int64_t *sides, int64_t before,
                          int64_t after, enum mode mode, const char *number)
{
    enum { PLACES_MAX = 4096 };
    const int64_t size = sides[axis], least = before < 0 ? -before : 0,
                  most = after < 0 ? size + after : size;
    if (least || most != size) {
        x = emit(e, "Slice", IN(x, ints(e, least), ints(e, most), ints(e, axis)), NULL);
        sides[axis] = most - least;
    }
    before = before < 0 ? 0 : before;
    after = after < 0 ? 0 : after;
    if (!before && !after) return x;
    if (mode == CONSTANT) {
        const char *parts[4] = {NULL};
        unsigned n = 0;
        if (before) parts[n++] = block(e, axis, sides, before, number);
        parts[n++] = x;
        if (after) parts[n++] = block(e, axis, sides, after, number);
        x = emit(e, "Concat", parts, WITH(INT("axis", axis)));
    } else {
        int64_t places[PLACES_MAX];
        const int64_t n = before + sides[axis] + after;
        if (n > PLACES_MAX) {
            if (!e->status) e->status = eg__step_refuse(e->step, "%lld places", (long long)n);
            return x;
        }
        for (int64_t i = 0; i < n; i++) places[i] = source_of(i - before, sides[axis], mode);
        x = emit(e, "Gather", IN(x, eg__emit_ints(e, places, (size_t)n)), WITH(INT("axis", axis)));
    }
    sides[axis] += before + after;
    return x;
}

/* Zeros around maps have a layer of their own (onnx_lower.c); all else is joined or picked, side by side. */
enum eg_status eg__expand_pad(struct eg_emit *e)
{
    int64_t pads[2 * EG_RANK_MAX], axes[EG_RANK_MAX], sides[EG_RANK_MAX];
    size_t n, n_axes = 0;
    const unsigned rank = eg__emit_rank(e, 0);
    const enum mode mode = mode_of(e->step);
    enum eg_status status = eg__step_ints(e->step, "pads", 1, pads, 2 * EG_RANK_MAX, &n);
    if (!status && e->step->n_in > 3) status = eg__step_ints(e->step, "axes", 3, axes, EG_RANK_MAX, &n_axes);
    if (status) return status;
    if (mode == UNKNOWN) return eg__step_refuse(e->step, "its mode is none that engraft knows");
    if (!n_axes)
        for (; n_axes < rank; n_axes++) axes[n_axes] = (int64_t)n_axes;
    if (n != 2 * n_axes) return eg__step_broken(e->step, "%zu paddings for %zu dimensions", n, n_axes);
    bool plain = mode == CONSTANT && e->step->n_in <= 3 && rank == 4, changes = false;
    for (size_t i = 0; i < n_axes; i++) {
        unsigned axis;
        if ((status = eg__step_axis(e->step, axes[i], rank, &axis))) return status;
        axes[i] = axis;
        const bool used = pads[i] || pads[n_axes + i];
        if (pads[i] > INT32_MAX || pads[i] < -INT32_MAX || pads[n_axes + i] > INT32_MAX ||
            pads[n_axes + i] < -INT32_MAX)
            return eg__step_broken(e->step, "a padding of %lld", (long long)pads[i]);
        changes |= used;
        plain &= pads[i] >= 0 && pads[n_axes + i] >= 0 && (axis >= 2 || !used);
        if (used && eg__dimension_is_batch(e->step->in[0], axis))
            return eg__step_refuse(e->step, "it adds images to a batch");
    }
    if (plain || !changes) return EG_E_NOT_FOUND;
    for (unsigned i = 0; i < rank; i++) sides[i] = (int64_t)eg__emit_extent(e, 0, i);
    const char *x = in(e, 0), *number = e->step->n_in > 2 && e->step->in[2]
                                            ? in(e, 2)
                                            : eg__emit_number(e, eg__step_float(e->step, "value", 0));
    for (size_t i = 0; i < n_axes; i++)
        x = padded(e, x, (unsigned)axes[i], sides, pads[i], pads[n_axes + i], mode, number);
    return eg__emit_as(e, 0, "Identity", IN(x), NULL);
}
