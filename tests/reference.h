/* reference.h: every operator in double and in the plainest way, to test the engine against. */
#ifndef EG_TESTS_REFERENCE_H
#define EG_TESTS_REFERENCE_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "graph/graph.h"

static double *reference_param(const struct eg_node *node, unsigned i)
{
    if (!node->params[i]) return NULL;
    size_t n = eg__tensor_count(node->params[i]);
    float *f = malloc(n * sizeof *f + 1);
    double *d = malloc(n * sizeof *d + 1);
    assert_true(f && d);
    eg__tensor_read(node->params[i], f);
    for (size_t j = 0; j < n; j++) d[j] = (double)f[j];
    free(f);
    return d;
}

#include "reference_arrays.h"

struct reference_value {
    struct eg_map s;
    double *x;
};

/* Element (y, x, c) of a value that may be spread along sides of 1. */
static double reference_at(const struct reference_value *v, size_t y, size_t x, size_t c)
{
    y = v->s.h == 1 ? 0 : y;
    x = v->s.w == 1 ? 0 : x;
    c = v->s.c == 1 ? 0 : c;
    return v->x[(y * v->s.w + x) * v->s.c + c];
}

static double reference_unary(const struct eg_node *n, double x)
{
    double a = (double)n->alpha, b = (double)n->beta;
    switch (n->op) {
    case EG_OP_RELU: return x > 0 ? x : 0;
    case EG_OP_LEAKY_RELU: return x < 0 ? a * x : x;
    case EG_OP_CLIP: return x < a ? a : x > b ? b : x;
    case EG_OP_SIGMOID: return 1 / (1 + exp(-x));
    case EG_OP_HARD_SIGMOID: return fmax(0, fmin(1, a * x + b));
    case EG_OP_HARD_SWISH: return x * fmax(0, fmin(1, x / 6 + 0.5));
    case EG_OP_SILU: return x / (1 + exp(-x));
    case EG_OP_GELU: return x / 2 * (1 + erf(x / sqrt(2)));
    case EG_OP_GELU_TANH: return x / 2 * (1 + tanh(sqrt(2 / acos(-1)) * (x + 0.044715 * x * x * x)));
    case EG_OP_TANH: return tanh(x);
    case EG_OP_ERF: return erf(x);
    case EG_OP_EXP: return exp(x);
    case EG_OP_SQRT: return sqrt(x);
    case EG_OP_ABS: return fabs(x);
    case EG_OP_SIGN: return x > 0 ? 1 : x < 0 ? -1 : 0;
    case EG_OP_NEG: return -x;
    case EG_OP_CAST: return n->size == EG_BOOL ? x != 0 : trunc(x); /* to 64 bits */
    case EG_OP_POW: return pow(x, a);
    case EG_OP_LOG: return log(x);
    case EG_OP_SOFTPLUS: return log1p(exp(x));
    case EG_OP_SOFTSIGN: return x / (1 + fabs(x));
    case EG_OP_MISH: return x * tanh(log1p(exp(x)));
    case EG_OP_ELU: return x < 0 ? a * (exp(b * x) - 1) : x;
    case EG_OP_FLOOR: return floor(x);
    case EG_OP_CEIL: return ceil(x);
    case EG_OP_ROUND: return rint(x);
    case EG_OP_SIN: return sin(x);
    case EG_OP_COS: return cos(x);
    default: return x; /* identity, dropout */
    }
}

static double reference_binary(enum eg_op op, double a, double b)
{
    switch (op) {
    case EG_OP_ADD: return a + b;
    case EG_OP_SUB: return a - b;
    case EG_OP_MUL: return a * b;
    case EG_OP_DIV: return a / b;
    case EG_OP_MAX: return a > b ? a : b;
    case EG_OP_MIN: return a < b ? a : b;
    case EG_OP_EQUAL: return a == b;
    default: return a < b;
    }
}

static void reference_conv(const struct eg_node *n, const struct reference_value *in,
                           struct reference_value *out)
{
    double *weight = reference_param(n, 0), *bias = reference_param(n, 1);
    struct eg_window w = n->window;
    size_t groups = n->groups;
    if (n->op == EG_OP_LINEAR) {
        w = (struct eg_window){
            .kernel_h = 1, .kernel_w = 1, .stride_h = 1, .stride_w = 1, .dilation_h = 1, .dilation_w = 1};
        groups = 1;
    }
    size_t ic = in->s.c / groups, oc = out->s.c / groups;
    for (size_t y = 0; y < out->s.h; y++)
        for (size_t x = 0; x < out->s.w; x++)
            for (size_t o = 0; o < out->s.c; o++) {
                double sum = bias ? bias[o] : 0;
                for (size_t ky = 0; ky < w.kernel_h; ky++)
                    for (size_t kx = 0; kx < w.kernel_w; kx++) {
                        ptrdiff_t iy = (ptrdiff_t)(y * w.stride_h + ky * w.dilation_h) - (ptrdiff_t)w.pad_top;
                        ptrdiff_t ix =
                            (ptrdiff_t)(x * w.stride_w + kx * w.dilation_w) - (ptrdiff_t)w.pad_left;
                        if (iy < 0 || ix < 0 || iy >= (ptrdiff_t)in->s.h || ix >= (ptrdiff_t)in->s.w)
                            continue;
                        const double *from =
                            in->x + ((size_t)iy * in->s.w + (size_t)ix) * in->s.c + o / oc * ic;
                        const double *f = weight + ((o * w.kernel_h + ky) * w.kernel_w + kx) * ic;
                        for (size_t c = 0; c < ic; c++) sum += from[c] * f[c];
                    }
                out->x[(y * out->s.w + x) * out->s.c + o] = sum;
            }
    free(weight);
    free(bias);
}

static void reference_window(const struct eg_node *n, const struct reference_value *in,
                             struct reference_value *out)
{
    const struct eg_window *w = &n->window;
    for (size_t y = 0; y < out->s.h; y++)
        for (size_t x = 0; x < out->s.w; x++)
            for (size_t c = 0; c < out->s.c; c++) {
                double sum = 0, most = -INFINITY;
                size_t inside = 0, padded = 0;
                for (size_t ky = 0; ky < w->kernel_h; ky++)
                    for (size_t kx = 0; kx < w->kernel_w; kx++) {
                        ptrdiff_t iy =
                            (ptrdiff_t)(y * w->stride_h + ky * w->dilation_h) - (ptrdiff_t)w->pad_top;
                        ptrdiff_t ix =
                            (ptrdiff_t)(x * w->stride_w + kx * w->dilation_w) - (ptrdiff_t)w->pad_left;
                        if (iy < (ptrdiff_t)(in->s.h + w->pad_bottom) &&
                            ix < (ptrdiff_t)(in->s.w + w->pad_right))
                            padded++;
                        if (iy < 0 || ix < 0 || iy >= (ptrdiff_t)in->s.h || ix >= (ptrdiff_t)in->s.w)
                            continue;
                        double v = in->x[((size_t)iy * in->s.w + (size_t)ix) * in->s.c + c];
                        sum += v;
                        if (v > most) most = v;
                        inside++;
                    }
                size_t area = n->count_include_pad ? padded : inside;
                out->x[(y * out->s.w + x) * out->s.c + c] = n->op == EG_OP_MAX_POOL ? most
                                                            : area                  ? sum / (double)area
                                                                                    : 0;
            }
}

/* Pools over rows [y0, y1), columns [x0, x1). */
static double reference_pool(const struct eg_node *n, const struct reference_value *in, size_t y0, size_t y1,
                             size_t x0, size_t x1, size_t c)
{
    double sum = 0, most = -INFINITY;
    for (size_t y = y0; y < y1; y++)
        for (size_t x = x0; x < x1; x++) {
            double v = reference_at(in, y, x, c);
            most = v > most ? v : most;
            sum += n->op == EG_OP_GLOBAL_GEM ? pow(fmax(v, (double)n->beta), (double)n->alpha) : v;
        }
    double mean = sum / (double)((y1 - y0) * (x1 - x0));
    return n->op == EG_OP_GLOBAL_MAX   ? most
           : n->op == EG_OP_GLOBAL_GEM ? pow(mean, 1 / (double)n->alpha)
                                       : mean;
}

/* What works on the channels of one pixel: x[c] to y. */
static void reference_vector(const struct eg_node *n, const double *x, size_t c, double *y)
{
    double *p0 = n->op == EG_OP_TREE_ENSEMBLE ? NULL : reference_param(n, 0);
    double *p1 = reference_param(n, 1), *p2 = reference_param(n, 2), *p3 = reference_param(n, 3);
    double sum = 0, squares = 0, most = x[0], least = x[0], product = 1;
    size_t best = 0;
    for (size_t i = 0; i < c; i++) {
        sum += x[i];
        product *= x[i];
        least = x[i] < least ? x[i] : least;
        if (x[i] > most) {
            most = x[i];
            best = i;
        }
    }
    for (size_t i = 0; i < c; i++) squares += (x[i] - sum / (double)c) * (x[i] - sum / (double)c);
    switch (n->op) {
    case EG_OP_BATCH_NORM:
        for (size_t i = 0; i < c; i++)
            y[i] = (x[i] - p2[i]) / sqrt(p3[i] + (double)n->epsilon) * (p0 ? p0[i] : 1) + (p1 ? p1[i] : 0);
        break;
    case EG_OP_LAYER_NORM:
        for (size_t i = 0; i < c; i++)
            y[i] =
                (x[i] - sum / (double)c) / sqrt(squares / (double)c + (double)n->epsilon) * (p0 ? p0[i] : 1) +
                (p1 ? p1[i] : 0);
        break;
    case EG_OP_LRN:
        for (size_t i = 0; i < c; i++) {
            double total = 0;
            for (size_t j = 0; j < c; j++)
                if (j + (n->size - 1) / 2 >= i && j <= i + n->size / 2) total += x[j] * x[j];
            y[i] = x[i] / pow((double)n->bias + (double)n->alpha / n->size * total, (double)n->beta);
        }
        break;
    case EG_OP_SOFTMAX: {
        double total = 0;
        for (size_t i = 0; i < c; i++) total += exp(x[i] - most);
        for (size_t i = 0; i < c; i++) y[i] = exp(x[i] - most) / total;
        break;
    }
    case EG_OP_REDUCE_SUM: y[0] = sum; break;
    case EG_OP_REDUCE_MEAN: y[0] = sum / (double)c; break;
    case EG_OP_REDUCE_MAX: y[0] = most; break;
    case EG_OP_REDUCE_MIN: y[0] = least; break;
    case EG_OP_REDUCE_PROD: y[0] = product; break;
    case EG_OP_ARG_MAX: y[0] = (double)best; break;
    case EG_OP_CHANNEL_SHUFFLE:
        for (size_t i = 0; i < c; i++) y[i] = x[i % n->groups * (c / n->groups) + i / n->groups];
        break;
    default: fail_msg("no reference for %s", eg__op_info[n->op].text);
    }
    free(p0);
    free(p1);
    free(p2);
    free(p3);
}

static void reference_trees(const struct eg_node *n, const double *x, struct reference_value *out)
{
    const int32_t *feature = n->params[0]->data, *left = n->params[2]->data, *right = n->params[3]->data;
    const float *threshold = n->params[1]->data, *leaf = n->params[4]->data;
    const int32_t *roots = n->params[5]->data;
    for (size_t k = 0; k < out->s.c; k++) out->x[k] = 0;
    for (size_t t = 0; t < n->params[5]->dim[0]; t++) {
        int32_t i = roots[t];
        while (feature[i] >= 0) i = x[feature[i]] <= (double)threshold[i] ? left[i] : right[i];
        for (size_t k = 0; k < out->s.c; k++) out->x[k] += (double)leaf[(size_t)left[i] * out->s.c + k];
    }
}

static void reference_node(const struct eg_graph *g, uint32_t index, struct reference_value *v)
{
    const struct eg_node *n = &g->nodes[index];
    struct reference_value *out = &v[index], *in = n->n_inputs ? &v[n->inputs[0]] : NULL,
                           operand[2] = {{{0}, NULL}};
    size_t h = out->s.h, w = out->s.w, c = out->s.c;
    double *x_of[EG_INPUTS_MAX] = {NULL};
    for (uint32_t i = 0; i < n->n_inputs; i++) x_of[i] = v[n->inputs[i]].x;
    if (reference_array(g, index, x_of, out->x)) return;
    bool reduces = (n->op >= EG_OP_REDUCE_SUM && n->op <= EG_OP_ARG_MAX) || n->op == EG_OP_REDUCE_MIN ||
                   n->op == EG_OP_REDUCE_PROD;
    switch (n->op) {
    case EG_OP_CONV:
    case EG_OP_LINEAR: reference_conv(n, in, out); return;
    case EG_OP_MAX_POOL:
    case EG_OP_AVG_POOL: reference_window(n, in, out); return;
    case EG_OP_TREE_ENSEMBLE: reference_trees(n, in->x, out); return;
    case EG_OP_FLATTEN:
        for (size_t i = 0; i < c; i++) {
            size_t pixels = in->s.h * in->s.w;
            out->x[i] = n->order_chw ? in->x[i % pixels * in->s.c + i / pixels] : in->x[i];
        }
        return;
    default: break;
    }
    bool binary = (n->op >= EG_OP_ADD && n->op <= EG_OP_LESS) || n->op == EG_OP_EQUAL;
    if (binary && !n->params[0]) {
        const struct eg_shape a = g->nodes[n->inputs[0]].shape, b = g->nodes[n->inputs[1]].shape;
        for (size_t i = 0; i < eg__shape_count(n->shape); i++) {
            size_t at[EG_RANK_MAX];
            reference_sides(n->shape, i, at);
            out->x[i] = reference_binary(n->op, in->x[reference_flat(a, at, n->shape.rank)],
                                         x_of[1][reference_flat(b, at, n->shape.rank)]);
        }
        return;
    }
    if (binary) {
        operand[0] = *in;
        if (n->params[0]) {
            size_t side[3] = {1, 1, 1};
            unsigned rank = n->params[0]->rank;
            for (unsigned i = 0; i < rank; i++) side[3 - rank + i] = n->params[0]->dim[i];
            operand[1] = (struct reference_value){{side[0], side[1], side[2]}, reference_param(n, 0)};
        }
    }
    for (size_t y = 0; y < h; y++)
        for (size_t x = 0; x < w; x++) {
            double *to = out->x + (y * w + x) * c;
            if (n->op == EG_OP_BATCH_NORM || n->op == EG_OP_LAYER_NORM || n->op == EG_OP_LRN ||
                n->op == EG_OP_SOFTMAX || n->op == EG_OP_CHANNEL_SHUFFLE || reduces) {
                reference_vector(n, in->x + (y * w + x) * in->s.c, in->s.c, to);
                continue;
            }
            for (size_t k = 0; k < c; k++) {
                if (binary) {
                    double a = reference_at(&operand[0], y, x, k), b = reference_at(&operand[1], y, x, k);
                    to[k] = n->swapped ? reference_binary(n->op, b, a) : reference_binary(n->op, a, b);
                } else if (n->op == EG_OP_WHERE) {
                    bool yes = reference_at(in, y, x, k) != 0;
                    to[k] = reference_at(&v[n->inputs[yes ? 1 : 2]], y, x, k);
                } else if (n->op == EG_OP_PAD) {
                    size_t iy = y - n->window.pad_top, ix = x - n->window.pad_left;
                    to[k] =
                        iy < in->s.h && ix < in->s.w ? in->x[(iy * in->s.w + ix) * c + k] : (double)n->alpha;
                } else if (n->op == EG_OP_ADAPTIVE_POOL) {
                    to[k] = reference_pool(n, in, y * in->s.h / h, ((y + 1) * in->s.h + h - 1) / h,
                                           x * in->s.w / w, ((x + 1) * in->s.w + w - 1) / w, k);
                } else if (n->op >= EG_OP_GLOBAL_AVG && n->op <= EG_OP_GLOBAL_GEM) {
                    to[k] = reference_pool(n, in, 0, in->s.h, 0, in->s.w, k);
                } else {
                    to[k] = reference_unary(n, reference_at(in, y, x, k));
                }
            }
        }
    if (binary && n->params[0]) free(operand[1].x);
}

/* All values of one image; free with reference_free. */
static struct reference_value *reference_run(const struct eg_graph *g, const float *image)
{
    struct reference_value *v = calloc(g->n_nodes, sizeof *v);
    assert_non_null(v);
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        v[i].s = eg__map(g->nodes[i].shape);
        v[i].x = malloc(eg__map_count(v[i].s) * sizeof(double) + 1);
        assert_non_null(v[i].x);
        if (i)
            reference_node(g, i, v);
        else
            for (size_t j = 0; j < eg__map_count(v[0].s); j++) v[0].x[j] = (double)image[j];
    }
    return v;
}

static void reference_free(const struct eg_graph *g, struct reference_value *v)
{
    for (uint32_t i = 0; i < g->n_nodes; i++) free(v[i].x);
    free(v);
}

#endif
