/* onnx_expand_fused.c: attention and sums of products as whole operators, and what onnxruntime's optimizer
 * makes of several (domain com.microsoft). */
#include <math.h>
#include <string.h>

#include "onnx/onnx_expand.h"

static const char *in(const struct eg_emit *e, unsigned input) { return eg__emit_in(e, input); }
static bool has(const struct eg_emit *e, unsigned input) { return *in(e, input) != '\0'; }

/* ---- attention ---------------------------------------------------------------------------- */

/* [n][t][heads d] to [n][heads][t][d] */
static const char *by_head(struct eg_emit *e, const char *x, int64_t heads)
{
    x = emit(e, "Reshape", IN(x, ints(e, 0, 0, heads, -1)), NULL);
    return emit(e, "Transpose", IN(x), WITH(INTS("perm", LIST(0, 2, 1, 3), 4)));
}

/* softmax(scale q k' + mask) v, by head; scale is shared between q and k, as exporters write it */
static const char *attend(struct eg_emit *e, const char *q, const char *k, const char *v, float scale,
                          const char *mask)
{
    const char *turned = emit(e, "Transpose", IN(k), WITH(INTS("perm", LIST(0, 1, 3, 2), 4)));
    const char *product = emit2(e, "MatMul", q, turned);
    product = emit2(e, "Mul", product, eg__emit_number(e, scale));
    if (*mask) product = emit2(e, "Add", product, mask);
    return emit2(e, "MatMul", emit(e, "Softmax", IN(product), WITH(INT("axis", -1))), v);
}

/* Attention of opsets 23 and 24, without a cache. */
enum eg_status eg__expand_attention(struct eg_emit *e)
{
    const unsigned rank = eg__emit_rank(e, 0);
    const bool joined = rank == 3;
    int64_t heads = eg__step_int(e->step, "q_num_heads", 0),
            shared = eg__step_int(e->step, "kv_num_heads", heads);
    if ((rank != 3 && rank != 4) || !has(e, 2))
        return eg__step_broken(e->step, "its input has %u dimensions", rank);
    for (unsigned i = 4; i < e->step->n_in; i++)
        if (has(e, i)) return eg__step_refuse(e->step, "it keeps what came before");
    if (eg__step_int(e->step, "is_causal", 0) || eg__step_float(e->step, "softcap", 0) != 0)
        return eg__step_refuse(e->step, "it looks at earlier tokens only, or caps its products");
    for (unsigned i = 1; i < e->step->proto->n_output; i++)
        if (e->step->proto->output[i][0]) return eg__step_refuse(e->step, "its output %u is used", i);
    if (!joined) {
        heads = (int64_t)eg__emit_extent(e, 0, 1);
        shared = (int64_t)eg__emit_extent(e, 1, 1);
    }
    if (heads < 1 || heads != shared)
        return eg__step_refuse(e->step, "%lld heads share %lld", (long long)heads, (long long)shared);
    const size_t width = eg__emit_extent(e, 0, rank - 1) / (joined ? (size_t)heads : 1);
    const float scale = eg__step_float(e->step, "scale", 1 / sqrtf((float)(width ? width : 1)));
    const char *part[3], *mask = in(e, 3);
    for (unsigned i = 0; i < 3; i++) part[i] = joined ? by_head(e, in(e, i), heads) : in(e, i);
    if (*mask && e->step->in[3]->is_constant && e->step->in[3]->tensor.dtype == EG_BOOL)
        mask = emit(e, "Where", IN(mask, eg__emit_number(e, 0), eg__emit_number(e, -1e30f)), NULL);
    const char *y = attend(e, part[0], part[1], part[2], scale, mask);
    if (!joined) return eg__emit_as(e, 0, "Identity", IN(y), NULL);
    y = emit(e, "Transpose", IN(y), WITH(INTS("perm", LIST(0, 2, 1, 3), 4)));
    return eg__emit_as(e, 0, "Reshape", IN(y, ints(e, 0, 0, -1)), NULL);
}

/* Query, key, value [n][t][c], bias [3 c]. */
enum eg_status eg__expand_multi_head(struct eg_emit *e)
{
    const int64_t heads = eg__step_int(e->step, "num_heads", 0);
    if (eg__emit_rank(e, 0) != 3 || eg__emit_rank(e, 1) != 3 || eg__emit_rank(e, 2) != 3 || heads < 1)
        return eg__step_refuse(e->step, "its queries, keys and values are not three values [n][t][c]");
    for (unsigned i = 4; i < e->step->n_in; i++)
        if (has(e, i) && i != 5)
            return eg__step_refuse(e->step, "it has a mask of its own kind, or keeps what came before");
    const int64_t c = (int64_t)eg__emit_extent(e, 0, 2);
    const float scale = eg__step_float(e->step, "scale", 0);
    const char *part[3];
    for (unsigned i = 0; i < 3; i++) {
        part[i] = in(e, i);
        if (has(e, 3)) {
            const char *bias =
                emit(e, "Slice", IN(in(e, 3), ints(e, i * c), ints(e, (i + 1) * c), ints(e, 0)), NULL);
            part[i] = emit2(e, "Add", part[i], bias);
        }
        part[i] = by_head(e, part[i], heads);
    }
    const char *y = attend(e, part[0], part[1], part[2],
                           scale != 0 ? scale : 1 / sqrtf((float)c / (float)heads), in(e, 5));
    y = emit(e, "Transpose", IN(y), WITH(INTS("perm", LIST(0, 2, 1, 3), 4)));
    return eg__emit_as(e, 0, "Reshape", IN(y, ints(e, 0, 0, -1)), NULL);
}

/* ---- fused element by element ------------------------------------------------------------------ */

enum eg_status eg__expand_skip_norm(struct eg_emit *e)
{
    const char *sum = emit2(e, "Add", in(e, 0), in(e, 1));
    if (has(e, 4)) sum = emit2(e, "Add", sum, in(e, 4));
    enum eg_status status =
        eg__emit_as(e, 0, "LayerNormalization", IN(sum, in(e, 2), in(e, 3)),
                    WITH(INT("axis", -1), FLOAT("epsilon", eg__step_float(e->step, "epsilon", 1e-12f))));
    return status ? status : eg__emit_as(e, 3, "Identity", IN(sum), NULL);
}

enum eg_status eg__expand_bias_gelu(struct eg_emit *e)
{
    const char *x = has(e, 1) ? emit2(e, "Add", in(e, 0), in(e, 1)) : in(e, 0);
    return eg__emit_as(e, 0, "Gelu", IN(x), NULL);
}

enum eg_status eg__expand_fast_gelu(struct eg_emit *e)
{
    const char *x = has(e, 1) ? emit2(e, "Add", in(e, 0), in(e, 1)) : in(e, 0);
    return eg__emit_as(e, 0, "Gelu", IN(x), WITH(TEXT("approximate", "tanh")));
}

enum eg_status eg__expand_quick_gelu(struct eg_emit *e)
{
    const char *scaled =
        emit2(e, "Mul", in(e, 0), eg__emit_number(e, eg__step_float(e->step, "alpha", 1.702f)));
    return eg__emit_as(e, 0, "Mul", IN(in(e, 0), emit1(e, "Sigmoid", scaled)), NULL);
}

/* ---- products and what follows them --------------------------------------------------------------- */

static const char *last_two_swapped(struct eg_emit *e, unsigned input)
{
    int64_t perm[EG_RANK_MAX];
    const unsigned rank = eg__emit_rank(e, input);
    if (rank < 2) return in(e, input);
    for (unsigned i = 0; i < rank; i++) perm[i] = i;
    perm[rank - 1] = rank - 2;
    perm[rank - 2] = rank - 1;
    return emit(e, "Transpose", IN(in(e, input)), WITH(INTS("perm", perm, rank)));
}

enum eg_status eg__expand_fused_matmul(struct eg_emit *e)
{
    if (eg__step_int(e->step, "transBatchA", 0) || eg__step_int(e->step, "transBatchB", 0))
        return eg__step_refuse(e->step, "transBatchA, transBatchB");
    const char *a = eg__step_int(e->step, "transA", 0) ? last_two_swapped(e, 0) : in(e, 0);
    const char *b = eg__step_int(e->step, "transB", 0) ? last_two_swapped(e, 1) : in(e, 1);
    const float alpha = eg__step_float(e->step, "alpha", 1);
    if (alpha == 1) return eg__emit_as(e, 0, "MatMul", IN(a, b), NULL);
    return eg__emit_as(e, 0, "Mul", IN(emit2(e, "MatMul", a, b), eg__emit_number(e, alpha)), NULL);
}

/* The activation that a fused operator names; its numbers are its own. */
static enum eg_status activated(struct eg_emit *e, const char *x, float first, float second)
{
    static const char *const plain[] = {"Relu", "Tanh", "Sigmoid"};
    for (unsigned i = 0; i < 3; i++)
        if (eg__step_is(e->step, "activation", plain[i])) return eg__emit_as(e, 0, plain[i], IN(x), NULL);
    if (eg__step_is(e->step, "activation", "LeakyRelu"))
        return eg__emit_as(e, 0, "LeakyRelu", IN(x), WITH(FLOAT("alpha", first)));
    if (eg__step_is(e->step, "activation", "HardSigmoid"))
        return eg__emit_as(e, 0, "HardSigmoid", IN(x), WITH(FLOAT("alpha", first), FLOAT("beta", second)));
    if (eg__step_is(e->step, "activation", "Clip"))
        return eg__emit_as(e, 0, "Clip", IN(x, eg__emit_number(e, first), eg__emit_number(e, second)), NULL);
    if (!eg__step_attribute(e->step, "activation")) return eg__emit_as(e, 0, "Identity", IN(x), NULL);
    return eg__step_refuse(e->step, "its activation is none that engraft knows");
}

enum eg_status eg__expand_fused_conv(struct eg_emit *e)
{
    static const char *const lists[] = {"kernel_shape", "strides", "dilations", "pads"};
    int64_t numbers[4][4];
    struct eg_with with[7] = {{0}};
    unsigned n = 0;
    for (unsigned i = 0; i < 4; i++) {
        size_t length;
        enum eg_status status = eg__step_ints(e->step, lists[i], EG_INPUTS_MAX, numbers[i], 4, &length);
        if (status) return status;
        if (length) with[n++] = (struct eg_with)INTS(lists[i], numbers[i], length);
    }
    const EgOnnx__AttributeProto *own = eg__step_attribute(e->step, "auto_pad");
    if (own && !eg__step_is(e->step, "auto_pad", "NOTSET")) return eg__step_refuse(e->step, "auto_pad");
    with[n] = (struct eg_with)INT("group", eg__step_int(e->step, "group", 1));
    const char *x = emit(e, "Conv", IN(in(e, 0), in(e, 1), in(e, 2)), with);
    if (has(e, 3)) x = emit2(e, "Add", x, in(e, 3));
    const EgOnnx__AttributeProto *params = eg__step_attribute(e->step, "activation_params");
    return activated(e, x, params && params->n_floats ? params->floats[0] : 0,
                     params && params->n_floats > 1 ? params->floats[1] : 0);
}

enum eg_status eg__expand_fused_gemm(struct eg_emit *e)
{
    const char *x = emit(e, "Gemm", IN(in(e, 0), in(e, 1), in(e, 2)),
                         WITH(INT("transA", eg__step_int(e->step, "transA", 0)),
                              INT("transB", eg__step_int(e->step, "transB", 0)),
                              FLOAT("alpha", eg__step_float(e->step, "alpha", 1)),
                              FLOAT("beta", eg__step_float(e->step, "beta", 1))));
    return activated(e, x, eg__step_float(e->step, "activation_alpha", 0.01f),
                     eg__step_float(e->step, "activation_beta", 0));
}

/* ---- einsum --------------------------------------------------------------------------------------- */

/* An equation of two operands: letters of each and of the result. */
struct equation {
    char term[3][EG_RANK_MAX + 1];
};

static bool parse_equation(struct eg_reading *step, struct equation *q)
{
    const EgOnnx__AttributeProto *a = eg__step_attribute(step, "equation");
    unsigned term = 0, n = 0;
    memset(q, 0, sizeof *q);
    for (size_t i = 0; a && a->has_s && i < a->s.len; i++) {
        const char c = (char)a->s.data[i];
        if (c == ' ') continue;
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) {
            if (n == EG_RANK_MAX || strchr(q->term[term], c)) return false; /* too many, or a diagonal */
            q->term[term][n++] = c;
        } else if ((c == ',' && term == 0) ||
                   (c == '-' && term == 1 && i + 1 < a->s.len && a->s.data[i + 1] == '>')) {
            term++;
            n = 0;
            i += c == '-';
        } else {
            return false;
        }
    }
    return term == 2;
}

struct group {
    char letter[EG_RANK_MAX + 1];
    size_t n, total;
};

static void take(struct group *group, char letter, size_t extent)
{
    group->letter[group->n++] = letter;
    group->total *= extent;
}

/* Input `input` with its letters in the order of first, second, third; the last two groups one dimension
 * each. */
static const char *ordered(struct eg_emit *e, unsigned input, const char *term, const struct group *batch,
                           const struct group *second, const struct group *third)
{
    const struct group *groups[3] = {batch, second, third};
    int64_t perm[EG_RANK_MAX], shape[EG_RANK_MAX + 2];
    unsigned n = 0;
    for (unsigned g = 0; g < 3; g++)
        for (size_t k = 0; k < groups[g]->n; k++) perm[n++] = strchr(term, groups[g]->letter[k]) - term;
    for (unsigned i = 0; i < batch->n; i++) shape[i] = (int64_t)eg__emit_extent(e, input, (unsigned)perm[i]);
    shape[batch->n] = (int64_t)second->total;
    shape[batch->n + 1] = (int64_t)third->total;
    const char *x = emit(e, "Transpose", IN(in(e, input)), WITH(INTS("perm", perm, n)));
    return emit(e, "Reshape", IN(x, eg__emit_ints(e, shape, batch->n + 2)), NULL);
}

enum eg_status eg__expand_einsum(struct eg_emit *e)
{
    struct equation q;
    struct group batch = {.total = 1}, left = batch, right = batch, summed = batch;
    size_t extent[128] = {0};
    if (e->step->n_in != 2 || !has(e, 1) || !parse_equation(e->step, &q) ||
        strlen(q.term[0]) != eg__emit_rank(e, 0) || strlen(q.term[1]) != eg__emit_rank(e, 1))
        return eg__step_refuse(e->step, "its equation is none of two values that engraft knows");
    for (unsigned t = 0; t < 2; t++)
        for (unsigned i = 0; q.term[t][i]; i++)
            extent[(unsigned char)q.term[t][i]] = eg__emit_extent(e, t, i);
    for (const char *c = q.term[0]; *c; c++) {
        const bool other = strchr(q.term[1], *c), out = strchr(q.term[2], *c);
        if (!other && !out) return eg__step_refuse(e->step, "its equation sums over one value alone");
        take(other ? out ? &batch : &summed : &left, *c, extent[(unsigned char)*c]);
    }
    for (const char *c = q.term[1]; *c; c++) {
        if (strchr(q.term[0], *c)) continue;
        if (!strchr(q.term[2], *c)) return eg__step_refuse(e->step, "its equation sums over one value alone");
        take(&right, *c, extent[(unsigned char)*c]);
    }
    if (strlen(q.term[2]) != batch.n + left.n + right.n || batch.n + 2 > EG_RANK_MAX)
        return eg__step_refuse(e->step, "its equation is none that engraft knows");
    const char *y = emit2(e, "MatMul", ordered(e, 0, q.term[0], &batch, &left, &summed),
                          ordered(e, 1, q.term[1], &batch, &summed, &right));
    const struct group *groups[3] = {&batch, &left, &right};
    char made[EG_RANK_MAX + 1] = {0};
    int64_t shape[EG_RANK_MAX], perm[EG_RANK_MAX];
    unsigned n = 0;
    for (unsigned g = 0; g < 3; g++)
        for (size_t k = 0; k < groups[g]->n; k++) {
            made[n] = groups[g]->letter[k];
            shape[n] = (int64_t)extent[(unsigned char)made[n]];
            n++;
        }
    for (unsigned i = 0; i < n; i++) {
        const char *at = strchr(made, q.term[2][i]);
        if (!at) return eg__step_refuse(e->step, "its equation is none that engraft knows");
        perm[i] = at - made;
    }
    y = emit(e, "Reshape", IN(y, eg__emit_ints(e, shape, n)), NULL);
    return eg__emit_as(e, 0, "Transpose", IN(y), WITH(INTS("perm", perm, n)));
}
