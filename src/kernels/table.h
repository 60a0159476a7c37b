/* table.h: the kernel table: what kernels/ gives to net/. One table per instruction set, all
 * compiled from the same text (text_*.h over vec.h), chosen once by CPU features. Within one
 * table every kernel adds in an order given by its arguments' shapes alone. */
#ifndef EG_KERNELS_TABLE_H
#define EG_KERNELS_TABLE_H

#include "kernels/activations.h"
#include "kernels/kernels.h"

enum { EG_TILE_ROWS_MAX = 12, EG_PANEL_MAX = 64 };

enum eg_binary {
    EG_BIN_ADD,
    EG_BIN_SUB,
    EG_BIN_MUL,
    EG_BIN_DIV,
    EG_BIN_MAX,
    EG_BIN_MIN,
    EG_BIN_LESS,
    EG_BIN_EQUAL
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
 * width is `columns` rounded up to the granule; pointers of rows past `rows` are not read.
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

/* One row of a depthwise convolution, for all channels: for i < count
 *     y[i ldy + c] = act(bias[c] + sum over ky, kx of
 *                        rows[ky][x ld + c] weight[(ky kernel_w + kx) ldw + c])
 * with x = i stride + kx dilation - pad, over 0 <= x < width and rows that are not NULL. */
struct eg_depthwise {
    size_t channels, count;
    size_t kernel_h, kernel_w, stride, dilation, pad, width; /* along the row, in pixels */
    const float *const *rows;                                /* [kernel_h], at their first pixels */
    size_t ld;                                               /* floats from pixel to pixel */
    const float *weight;
    size_t ldw;
    float *y;
    size_t ldy;
    const struct eg_epilogue *epilogue; /* never NULL; residual strides as y's */
};

/* Winograd F(m x m, r x r), alpha = m + r - 1 (4, 6 or 8): the inverse transform of one tile.
 * sums[p stride + c] are the products at the alpha^2 points; the m x m results (only the first
 * rows x columns) go to y[i row + j pixel + c] behind the epilogue. pool: 2 x 2 maxima of them
 * instead, rows and columns counting pooled pixels. */
struct eg_wino_output {
    unsigned m, alpha;
    bool pool;
    const float *sums;
    size_t stride, channels;
    float *y;
    size_t row, pixel;
    size_t rows, columns;
    const struct eg_epilogue *epilogue; /* never NULL */
    size_t residual_row;                /* ld_residual is from pixel to pixel */
};

struct eg_kernels {
    const char *name;
    size_t granule;   /* a panel's width is a multiple of it */
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

/* Floats that n columns of depth k take when packed in panels (the last as narrow as the
 * granule allows). */
size_t eg__packed_count(const struct eg_kernels *kernels, size_t n, size_t k);
/* Pack columns [begin, end) of B (element (k, j) at b[k stride_k + j stride_n], one stride is 1) into panels;
 * begin is a multiple of the panel width. packed is the start of all panels. */
void eg__pack(const struct eg_kernels *kernels, size_t begin, size_t end, size_t n, size_t k, const float *b,
              size_t stride_k, size_t stride_n, float *packed);

#endif
