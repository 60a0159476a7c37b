/* reference_arrays.h: operators on values of any rank in double, index by index (part of reference.h). */
#ifndef EG_TESTS_REFERENCE_ARRAYS_H
#define EG_TESTS_REFERENCE_ARRAYS_H

/* Place `flat` of a value of shape s as one number a side. */
static void reference_sides(struct eg_shape s, size_t flat, size_t at[EG_RANK_MAX])
{
    for (size_t i = s.rank; i-- > 0; flat /= s.dim[i]) at[i] = flat % s.dim[i];
}

/* Back, where `at` counts the sides of a shape of rank `rank` that s is spread over. */
static size_t reference_flat(struct eg_shape s, const size_t at[EG_RANK_MAX], size_t rank)
{
    size_t flat = 0;
    for (size_t i = 0; i < s.rank; i++) flat = flat * s.dim[i] + (s.dim[i] == 1 ? 0 : at[rank - s.rank + i]);
    return flat;
}

static struct eg_shape reference_tensor_shape(const struct eg_tensor *tensor)
{
    struct eg_shape s = {.rank = tensor->rank};
    memcpy(s.dim, tensor->dim, sizeof s.dim);
    return s;
}

/* One row of attention: queries q, keys and values from the places k, v on. */
static void reference_attend(const struct eg_node *n, const double *q, const double *k, const double *v,
                             const double *mask, size_t d, size_t s, size_t e, double *out)
{
    double p[256], sum = 0;
    assert_true(s <= 256);
    for (size_t j = 0; j < s; j++) {
        double dot = 0;
        for (size_t i = 0; i < d; i++) dot += q[i] * k[j * d + i];
        sum += p[j] = exp((double)n->alpha * dot + (mask ? mask[j] : 0));
    }
    for (size_t i = 0; i < e; i++) {
        out[i] = 0;
        for (size_t j = 0; j < s; j++) out[i] += p[j] / sum * v[j * e + i];
    }
}

static void reference_attention(const struct eg_graph *g, const struct eg_node *n, double *const *x,
                                double *out)
{
    const struct eg_shape q = g->nodes[n->inputs[0]].shape, k = g->nodes[n->inputs[1]].shape;
    const size_t r = q.rank, d = q.dim[r - 1], s = k.dim[r - 2], t = q.dim[r - 2], e = n->shape.dim[r - 1];
    double *constant = reference_param(n, 0), *row = malloc(s * sizeof *row);
    for (size_t i = 0; i < eg__shape_count(n->shape) / e; i++) {
        const double *mask = NULL;
        if (constant || n->n_inputs > 3) {
            struct eg_shape products = q, own = constant ? reference_tensor_shape(n->params[0])
                                                         : g->nodes[n->inputs[3]].shape;
            size_t at[EG_RANK_MAX];
            products.dim[r - 1] = s;
            for (size_t j = 0; j < s; j++) {
                reference_sides(products, i * s + j, at);
                row[j] = (constant ? constant : x[3])[reference_flat(own, at, r)];
            }
            mask = row;
        }
        reference_attend(n, x[0] + i * d, x[1] + i / t * s * d, x[2] + i / t * s * e, mask, d, s, e,
                         out + i * e);
    }
    free(constant);
    free(row);
}

static void reference_matmul(const struct eg_graph *g, const struct eg_node *n, double *const *x, double *out)
{
    const struct eg_shape a = g->nodes[n->inputs[0]].shape, b = g->nodes[n->inputs[1]].shape;
    const size_t depth = a.dim[a.rank - 1], r = n->shape.rank;
    for (size_t i = 0; i < eg__shape_count(n->shape); i++) {
        size_t at[EG_RANK_MAX], left[EG_RANK_MAX], right[EG_RANK_MAX];
        reference_sides(n->shape, i, at);
        memcpy(left, at, sizeof left);
        memcpy(right, at, sizeof right);
        out[i] = 0;
        for (size_t k = 0; k < depth; k++) {
            left[r - 1] = right[r - 2] = k;
            out[i] += x[0][reference_flat(a, left, r)] * x[1][reference_flat(b, right, r)];
        }
    }
}

/* Scattered, where the engine gathers. */
static void reference_conv_transpose(const struct eg_node *n, struct eg_map in, struct eg_map to,
                                     const double *x, double *out)
{
    double *weight = reference_param(n, 0), *bias = reference_param(n, 1);
    const struct eg_window *w = &n->window;
    const size_t each = to.c / n->groups, from = in.c / n->groups;
    for (size_t i = 0; i < to.h * to.w * to.c; i++) out[i] = bias ? bias[i % to.c] : 0;
    for (size_t y = 0; y < in.h; y++)
        for (size_t z = 0; z < in.w; z++)
            for (size_t c = 0; c < in.c; c++)
                for (size_t ky = 0; ky < w->kernel_h; ky++)
                    for (size_t kx = 0; kx < w->kernel_w; kx++) {
                        const size_t oy = y * w->stride_h + ky * w->dilation_h - w->pad_top;
                        const size_t ox = z * w->stride_w + kx * w->dilation_w - w->pad_left;
                        if (oy >= to.h || ox >= to.w) continue;
                        for (size_t o = 0; o < each; o++)
                            out[(oy * to.w + ox) * to.c + c / from * each + o] +=
                                x[(y * in.w + z) * in.c + c] *
                                weight[((c * w->kernel_h + ky) * w->kernel_w + kx) * each + o];
                    }
    free(weight);
    free(bias);
}

/* Linear, between centres of pixels: the one that the graphs here have. */
static void reference_resize(struct eg_map in, struct eg_map to, const double *x, double *out)
{
    for (size_t i = 0; i < to.h * to.w * to.c; i++) {
        double y = ((double)(i / to.c / to.w) + 0.5) * (double)in.h / (double)to.h - 0.5;
        double z = ((double)(i / to.c % to.w) + 0.5) * (double)in.w / (double)to.w - 0.5;
        y = fmin(fmax(y, 0), (double)in.h - 1);
        z = fmin(fmax(z, 0), (double)in.w - 1);
        const size_t y0 = (size_t)y, z0 = (size_t)z, y1 = y0 + (y0 + 1 < in.h), z1 = z0 + (z0 + 1 < in.w);
        const double *c = x + i % to.c, u = y - (double)y0, v = z - (double)z0;
        out[i] = (1 - u) * ((1 - v) * c[(y0 * in.w + z0) * in.c] + v * c[(y0 * in.w + z1) * in.c]) +
                 u * ((1 - v) * c[(y1 * in.w + z0) * in.c] + v * c[(y1 * in.w + z1) * in.c]);
    }
}

/* What moves one number to one place. */
static void reference_move(const struct eg_graph *g, const struct eg_node *n, double *const *x, double *out)
{
    const struct eg_shape s = n->shape;
    double *constant = n->op == EG_OP_CONSTANT ? reference_param(n, 0) : NULL;
    for (size_t i = 0; i < eg__shape_count(s); i++) {
        size_t at[EG_RANK_MAX] = {0}, from[EG_RANK_MAX], input = 0, axis = s.rank - 1 - n->axis;
        reference_sides(s, i, at);
        memcpy(from, at, sizeof from);
        if (n->op == EG_OP_TRANSPOSE)
            for (size_t k = 0; k < s.rank; k++) from[n->order[k]] = at[k];
        if (n->op == EG_OP_SLICE) from[axis] += n->begin;
        if (n->op == EG_OP_GATHER) from[axis] = (size_t)((const int32_t *)n->params[0]->data)[at[axis]];
        while (n->op == EG_OP_CONCAT && from[axis] >= g->nodes[n->inputs[input]].shape.dim[axis])
            from[axis] -= g->nodes[n->inputs[input++]].shape.dim[axis];
        if (constant)
            out[i] = constant[i];
        else if (n->op == EG_OP_RESHAPE)
            out[i] = x[0][i];
        else
            out[i] = x[input][reference_flat(g->nodes[n->inputs[input]].shape, from, s.rank)];
    }
    free(constant);
}

static void reference_cum_sum(const struct eg_node *n, const double *x, double *out)
{
    const size_t c = n->shape.dim[n->shape.rank - 1];
    for (size_t i = 0; i < eg__shape_count(n->shape); i++) {
        out[i] = 0;
        for (size_t k = 0; k < c; k++)
            if (n->swapped ? k > i % c || (k == i % c && !n->begin) : k < i % c || (k == i % c && !n->begin))
                out[i] += x[i / c * c + k];
    }
}

/* Node `index` given its inputs' values x, if it is one of these. */
static bool reference_array(const struct eg_graph *g, uint32_t index, double *const *x, double *out)
{
    const struct eg_node *n = &g->nodes[index];
    const struct eg_map to = eg__map(n->shape), in = n->n_inputs ? eg__map(g->nodes[n->inputs[0]].shape) : to;
    switch (n->op) {
    case EG_OP_CONSTANT:
    case EG_OP_TRANSPOSE:
    case EG_OP_RESHAPE:
    case EG_OP_EXPAND:
    case EG_OP_GATHER:
    case EG_OP_SLICE:
    case EG_OP_CONCAT: reference_move(g, n, x, out); return true;
    case EG_OP_MATMUL: reference_matmul(g, n, x, out); return true;
    case EG_OP_ATTENTION: reference_attention(g, n, x, out); return true;
    case EG_OP_RESIZE: reference_resize(in, to, x[0], out); return true;
    case EG_OP_CONV_TRANSPOSE: reference_conv_transpose(n, in, to, x[0], out); return true;
    case EG_OP_CUM_SUM: reference_cum_sum(n, x[0], out); return true;
    default: return false;
    }
}

#endif
