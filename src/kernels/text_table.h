/* text_table.h: all kernels and the table of one instruction set. The including file has
 * included its vec_ISA.h and defines ISA_NAME (text) and ISA_TABLE (symbol). */
#include "kernels/table.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))

#include "kernels/text_math.h"

#include "kernels/text_depthwise.h"
#include "kernels/text_gemm.h"
#ifndef EG_ONLY_PREDICT
#include "kernels/text_grad.h"
#endif
#include "kernels/text_rows.h"
#include "kernels/text_winograd.h"

extern const struct eg_kernels ISA_TABLE;
const struct eg_kernels ISA_TABLE = {
    .name = ISA_NAME,
    .granule = GRANULE,
    .tile_rows = TILE_ROWS,
    .panel = TILE_VECTORS * VL,
#define EG_KERNEL(result, name, arguments) .name = name,
#include "kernels/kernels.def"
#undef EG_KERNEL
#ifndef EG_ONLY_PREDICT
    .grad = &grad_loops,
#endif
};

_Static_assert(TILE_ROWS <= EG_TILE_ROWS_MAX && TILE_VECTORS * VL <= EG_PANEL_MAX, "tile size");
