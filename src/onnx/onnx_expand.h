/* onnx_expand.h: operators that are read as several simpler ones of ONNX, as a function of the standard would
 * be: what each of them becomes is onnx_lower.c's and onnx_fold.c's to say, so constants are computed here
 * too. */
#ifndef EG_ONNX_ONNX_EXPAND_H
#define EG_ONNX_ONNX_EXPAND_H

#include "onnx/onnx_private.h"

/* The nodes written so far for one; after a failure nothing is written any more. */
struct eg_emit {
    struct eg_reading *step;
    unsigned n;
    enum eg_status status;
};

/* A whole number, a list of them, a number or a text, by which of them is set. */
struct eg_with {
    const char *name;
    int64_t i;
    const int64_t *ints;
    size_t n_ints;
    float f;
    const char *s;
    bool is_float;
};

/* Write node `op` behind inputs in[] (NULL last); gives its output's name, "" after a failure. with[]: {0}
 * last. */
const char *eg__emit(struct eg_emit *e, const char *op, const char *const *in, const struct eg_with *with);
/* The last of them: its output is output `output` of the operator itself. */
enum eg_status eg__emit_as(struct eg_emit *e, unsigned output, const char *op, const char *const *in,
                           const struct eg_with *with);
/* Constants, by name. */
const char *eg__emit_ints(struct eg_emit *e, const int64_t *ints, size_t n);
const char *eg__emit_number(struct eg_emit *e, float number);

#define IN(...)                                                                                              \
    (const char *const[]) { __VA_ARGS__, NULL }
#define WITH(...)                                                                                            \
    (const struct eg_with[])                                                                                 \
    {                                                                                                        \
        __VA_ARGS__, { 0 }                                                                                   \
    }
#define INT(name_, i_)                                                                                       \
    {                                                                                                        \
        .name = name_, .i = i_                                                                               \
    }
#define INTS(name_, list, n_)                                                                                \
    {                                                                                                        \
        .name = name_, .ints = list, .n_ints = n_                                                            \
    }
#define FLOAT(name_, f_)                                                                                     \
    {                                                                                                        \
        .name = name_, .f = f_, .is_float = true                                                             \
    }
#define TEXT(name_, s_)                                                                                      \
    {                                                                                                        \
        .name = name_, .s = s_                                                                               \
    }
#define emit(e, op, ...) eg__emit(e, op, __VA_ARGS__)
#define emit1(e, op, x) eg__emit(e, op, IN(x), NULL)
#define emit2(e, op, x, y) eg__emit(e, op, IN(x, y), NULL)
#define LIST(...)                                                                                            \
    (const int64_t[]) { __VA_ARGS__ }
#define ints(e, ...) eg__emit_ints(e, LIST(__VA_ARGS__), sizeof(LIST(__VA_ARGS__)) / sizeof(int64_t))

/* Inputs of the operator: name ("" where it is not given), dimensions, extents. */
const char *eg__emit_in(const struct eg_emit *e, unsigned input);
unsigned eg__emit_rank(const struct eg_emit *e, unsigned input);
size_t eg__emit_extent(const struct eg_emit *e, unsigned input, unsigned dimension);

/* Rows; EG_E_NOT_FOUND: it is not to be expanded after all. */
typedef enum eg_status eg_expand_fn(struct eg_emit *e);
eg_expand_fn eg__expand_quantize, eg__expand_dequantize, eg__expand_quantized_conv,
    eg__expand_quantized_matmul, eg__expand_dynamic_quantize, eg__expand_matmul_integer,
    eg__expand_conv_integer, eg__expand_quantized_two, eg__expand_quantized_one,
    eg__expand_quantized_gemm; /* onnx_expand_quantized.c */
eg_expand_fn eg__expand_attention, eg__expand_multi_head, eg__expand_skip_norm, eg__expand_bias_gelu,
    eg__expand_fast_gelu, eg__expand_quick_gelu, eg__expand_fused_matmul, eg__expand_fused_conv,
    eg__expand_fused_gemm, eg__expand_einsum;   /* onnx_expand_fused.c */
eg_expand_fn eg__expand_gather, eg__expand_pad; /* onnx_expand_moves.c */

#endif
