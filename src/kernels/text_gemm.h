/* text_gemm.h: the matrix-product tile, dot and axpy; included once per instruction set.
 *
 * The tile keeps ROWS x VECTORS accumulators in registers and reads, for each k, one row of the
 * packed panel and one float of each row of A (Goto and van de Geijn 2008, with rows of A
 * found by pointer as in Dukhan 2019, so that neither a plain product nor a convolution
 * copies A). Every sum runs over k upwards from zero and is then added to C or to the bias. */

/* Floats of B fetched ahead into the second-level cache: 4 KB, 200 ns of a full tile. Panels lie one
 * behind another, so it reaches into the next one. (1 KB, 2 KB, 16 KB, and the first-level cache: less
 * gain or none on Zen 4.) */
enum { B_AHEAD = 1024 };

#ifdef TILE_HALVES
enum { GRANULE = VL / 2 };
#else
enum { GRANULE = VL };
typedef vf vh; /* none */
static inline vh vhload(const float *p) { return vload(p); }
static inline vh vhfma(vf a, vh b, vh c) { return vfma(a, b, c); }
static inline vf vwiden(vh x) { return x; }
#endif

/* width: of the panel; its last vector may be half a one. */
ALWAYS_INLINE void tile_body(const struct eg_tile *t, const size_t rows, const size_t width)
{
    const size_t vectors = (width + VL - 1) / VL, whole_vectors = width / VL;
    vh half[TILE_ROWS];
    vf sum[TILE_ROWS][TILE_VECTORS];
#pragma GCC unroll 16
    for (size_t i = 0; i < rows; i++)
#pragma GCC unroll 4
        for (size_t v = 0; v < vectors; v++) sum[i][v] = (vf){0};
#pragma GCC unroll 16
    for (size_t i = 0; i < rows; i++) half[i] = (vh){0};
    const float *restrict b = t->b;
    const float *const *pointers = t->a;
    const size_t length = t->run_length;
    for (size_t r = 0; r < t->runs; r++, pointers += TILE_ROWS) {
        const float *a[TILE_ROWS];
#pragma GCC unroll 16
        for (size_t i = 0; i < rows; i++) a[i] = pointers[i];
        for (size_t k = 0; k < length; k++, b += width) {
#pragma GCC unroll 4
            for (size_t line = 0; line < width; line += 64 / sizeof *b)
                __builtin_prefetch(b + B_AHEAD + line, 0, 2);
            vf column[TILE_VECTORS];
#pragma GCC unroll 4
            for (size_t v = 0; v < whole_vectors; v++) column[v] = vload(b + v * VL);
            vh half_column = whole_vectors < vectors ? vhload(b + whole_vectors * VL) : (vh){0};
#pragma GCC unroll 16
            for (size_t i = 0; i < rows; i++) {
                vf x = vset(a[i][k]);
#pragma GCC unroll 4
                for (size_t v = 0; v < whole_vectors; v++) sum[i][v] = vfma(x, column[v], sum[i][v]);
                if (whole_vectors < vectors) half[i] = vhfma(x, half_column, half[i]);
            }
        }
    }
    if (whole_vectors < vectors)
#pragma GCC unroll 16
        for (size_t i = 0; i < rows; i++) sum[i][vectors - 1] = vwiden(half[i]);

    const struct eg_epilogue *e = t->epilogue;
    const size_t last = t->columns - (vectors - 1) * VL; /* columns of the last vector */
    const bool whole = last == VL;
    float *c = t->c;
    if (t->accumulate) {
#pragma GCC unroll 16
        for (size_t i = 0; i < rows; i++)
#pragma GCC unroll 4
            for (size_t v = 0; v < vectors; v++) {
                const float *p = c + i * t->ldc + v * VL;
                sum[i][v] += whole || v + 1 < vectors ? vload(p) : vload_n(p, last);
            }
    }
    if (e && e->bias) {
#pragma GCC unroll 4
        for (size_t v = 0; v < vectors; v++) {
            vf bias = whole || v + 1 < vectors ? vload(e->bias + v * VL) : vload_n(e->bias + v * VL, last);
#pragma GCC unroll 16
            for (size_t i = 0; i < rows; i++) sum[i][v] += bias;
        }
    }
    if (e && e->residual) {
#pragma GCC unroll 16
        for (size_t i = 0; i < rows; i++)
#pragma GCC unroll 4
            for (size_t v = 0; v < vectors; v++) {
                const float *p = e->residual + i * e->ld_residual + v * VL;
                sum[i][v] += whole || v + 1 < vectors ? vload(p) : vload_n(p, last);
            }
    }
    if (e && e->act == EG_ACT_CLAMP) {
        vf low = vset(e->a), high = vset(e->b);
#pragma GCC unroll 16
        for (size_t i = 0; i < rows; i++)
#pragma GCC unroll 4
            for (size_t v = 0; v < vectors; v++) sum[i][v] = vmin(high, vmax(low, sum[i][v]));
    }
#pragma GCC unroll 16
    for (size_t i = 0; i < rows; i++)
#pragma GCC unroll 4
        for (size_t v = 0; v < vectors; v++) {
            float *p = c + i * t->ldc + v * VL;
            if (whole || v + 1 < vectors)
                vstore(p, sum[i][v]);
            else
                vstore_n(p, sum[i][v], last);
        }
    if (e && e->act > EG_ACT_CLAMP)
        for (size_t i = 0; i < rows; i++)
            activate(e->act, e->a, e->b, c + i * t->ldc, c + i * t->ldc, t->columns);
}

/* One function per size, so that each is compiled with its sizes known. */
#define TILE_FUNCTION(R, V)                                                                                  \
    static __attribute__((noinline)) void tile_##R##_##V(const struct eg_tile *t)                            \
    {                                                                                                        \
        tile_body(t, R, (V)*GRANULE);                                                                        \
    }
#define TILE_SIZES_1(X, R) X(R, 1)
#define TILE_SIZES_2(X, R) X(R, 1) X(R, 2)
#define TILE_SIZES_3(X, R) X(R, 1) X(R, 2) X(R, 3)
#define TILE_SIZES_4(X, R) X(R, 1) X(R, 2) X(R, 3) X(R, 4)

#if defined(TILE_HALVES)
#define TILE_COLUMNS(X, R) TILE_SIZES_4(X, R)
#elif TILE_VECTORS == 3
#define TILE_COLUMNS(X, R) TILE_SIZES_3(X, R)
#else
#define TILE_COLUMNS(X, R) TILE_SIZES_2(X, R)
#endif
#if TILE_ROWS == 12
#define TILE_ALL(X)                                                                                          \
    TILE_COLUMNS(X, 1)                                                                                       \
    TILE_COLUMNS(X, 2)                                                                                       \
    TILE_COLUMNS(X, 3)                                                                                       \
    TILE_COLUMNS(X, 4)                                                                                       \
    TILE_COLUMNS(X, 5)                                                                                       \
    TILE_COLUMNS(X, 6)                                                                                       \
    TILE_COLUMNS(X, 7)                                                                                       \
    TILE_COLUMNS(X, 8) TILE_COLUMNS(X, 9) TILE_COLUMNS(X, 10) TILE_COLUMNS(X, 11) TILE_COLUMNS(X, 12)
#elif TILE_ROWS == 8
#define TILE_ALL(X)                                                                                          \
    TILE_COLUMNS(X, 1)                                                                                       \
    TILE_COLUMNS(X, 2)                                                                                       \
    TILE_COLUMNS(X, 3)                                                                                       \
    TILE_COLUMNS(X, 4) TILE_COLUMNS(X, 5) TILE_COLUMNS(X, 6) TILE_COLUMNS(X, 7) TILE_COLUMNS(X, 8)
#elif TILE_ROWS == 6
#define TILE_ALL(X)                                                                                          \
    TILE_COLUMNS(X, 1)                                                                                       \
    TILE_COLUMNS(X, 2) TILE_COLUMNS(X, 3) TILE_COLUMNS(X, 4) TILE_COLUMNS(X, 5) TILE_COLUMNS(X, 6)
#else
#define TILE_ALL(X) TILE_COLUMNS(X, 1) TILE_COLUMNS(X, 2) TILE_COLUMNS(X, 3) TILE_COLUMNS(X, 4)
#endif

TILE_ALL(TILE_FUNCTION)

#define TILE_ENTRY(R, V) [(R)-1][(V)-1] = tile_##R##_##V,

static void gemm_tile(const struct eg_tile *tile)
{
    static void (*const sizes[TILE_ROWS][TILE_VECTORS * VL / GRANULE])(const struct eg_tile *) = {
        TILE_ALL(TILE_ENTRY)};
    sizes[tile->rows - 1][(tile->columns - 1) / GRANULE](tile);
}

/* Four sums of vectors, added in a fixed tree. */
static float dot(const float *a, const float *b, size_t n)
{
    vf sum[4] = {{0}};
    size_t i = 0;
    for (; i + 4 * VL <= n; i += 4 * VL)
        for (size_t v = 0; v < 4; v++) sum[v] = vfma(vload(a + i + v * VL), vload(b + i + v * VL), sum[v]);
    for (; i + VL <= n; i += VL) sum[0] = vfma(vload(a + i), vload(b + i), sum[0]);
    if (i < n) sum[1] = vfma(vload_n(a + i, n - i), vload_n(b + i, n - i), sum[1]);
    return vsum((sum[0] + sum[1]) + (sum[2] + sum[3]));
}

static void axpy(float alpha, const float *x, float *y, size_t n)
{
    vf factor = vset(alpha);
    size_t i = 0;
    for (; i + VL <= n; i += VL) vstore(y + i, vfma(factor, vload(x + i), vload(y + i)));
    if (i < n) vstore_n(y + i, vfma(factor, vload_n(x + i, n - i), vload_n(y + i, n - i)), n - i);
}
