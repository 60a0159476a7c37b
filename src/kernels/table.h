/* table.h: the kernel table: what kernels/ gives to net/. One table per instruction set, all
 * compiled from the same text (text_*.h over vec.h), chosen once by CPU features. Within one
 * table every kernel adds in an order given by its arguments' shapes alone. */
#ifndef EG_KERNELS_TABLE_H
#define EG_KERNELS_TABLE_H

#include "kernels/kernels.h"

enum { EG_TILE_ROWS_MAX = 12, EG_PANEL_MAX = 64 };

enum eg_activation {
    EG_ACT_NONE,
    EG_ACT_CLAMP,        /* min(max(x, a), b) */
    EG_ACT_LEAKY,        /* x < 0 ? a x : x */
    EG_ACT_HARD_SWISH,   /* x max(0, min(1, x/6 + 1/2)) */
    EG_ACT_HARD_SIGMOID, /* max(0, min(1, a x + b)) */
    EG_ACT_SIGMOID,
    EG_ACT_SILU,
};

/* What happens to a sum before it is stored: + bias, + residual, activation. */
struct eg_epilogue {
    const float *bias;     /* by column; NULL: none */
    const float *residual; /* rows like the output's; NULL: none */
    size_t ld_residual;
    enum eg_activation act;
    float a, b;
};

/* One tile of a matrix product whose rows of A are scattered: for i < rows, j < columns
 *     c[i ldc + j] (+)= sum over r < runs, k < run_length of
 *                       a[r tile_rows + i][k] * b[(r run_length + k) width + j]
 * width is `columns` rounded up to whole vectors; pointers of rows past `rows` are not read.
 * b may be read up to its rounded width; its padding columns may hold anything. */
struct eg_tile {
    size_t rows, columns;
    size_t runs, run_length;
    const float *const *a;
    const float *b;
    float *c;
    size_t ldc;
    bool accumulate;
    const struct eg_epilogue *epilogue; /* NULL: none; bias and residual are at the tile's corner */
};

struct eg_grad_loops; /* grad_table.h */

struct eg_kernels {
    const char *name;
    size_t lanes;     /* floats in a vector */
    size_t tile_rows; /* most rows of a gemm tile */
    size_t panel;     /* most columns of a gemm tile: the width of a packed panel */
#define EG_KERNEL(result, name, arguments) result(*name) arguments;
#include "kernels/kernels.def"
#undef EG_KERNEL
    const struct eg_grad_loops *grad; /* what only learning needs */
};

/* The table in use. */
const struct eg_kernels *eg__kernels(void);
/* For tests: take the table of that name from now on; false if this CPU or build has none. No
 * run made before may be used after. */
bool eg__kernels_select(const char *name);
/* Every table this CPU can run, the portable one first; NULL past the last. */
const struct eg_kernels *eg__kernels_at(size_t index);

/* Floats that n columns of depth k take when packed in panels (the last as narrow as whole
 * vectors allow). */
size_t eg__packed_count(const struct eg_kernels *kernels, size_t n, size_t k);
/* Pack columns [begin, end) of B (element (k, j) at b[k stride_k + j stride_n]) into panels;
 * begin is a multiple of the panel width. packed is the start of all panels. */
void eg__pack(const struct eg_kernels *kernels, size_t begin, size_t end, size_t n, size_t k, const float *b,
              size_t stride_k, size_t stride_n, float *packed);

#endif
