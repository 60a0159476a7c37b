/* pos_embed.c: torch.nn.functional.interpolate(mode="bicubic", antialias=True), columns and then rows. */
#include "arch/pos_embed.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static double cubic(double x)
{
    const double a = -0.5;
    x = fabs(x);
    if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
    return 0;
}

/* One axis: from [outer][n][inner] to [outer][to_n][inner]. weight: room for n numbers. */
static void resample_axis(const float *from, size_t outer, size_t n, size_t inner, float *to, size_t to_n,
                          double *weight)
{
    const double scale = (double)n / (double)to_n, wide = scale > 1 ? scale : 1, support = 2 * wide;
    for (size_t i = 0; i < to_n; i++) {
        double centre = scale * ((double)i + 0.5), sum = 0;
        double low = floor(centre - support + 0.5), high = floor(centre + support + 0.5);
        size_t first = low > 0 ? (size_t)low : 0, end = high < (double)n ? (size_t)high : n;
        for (size_t k = first; k < end; k++) {
            weight[k] = cubic(((double)k - centre + 0.5) / wide);
            sum += weight[k];
        }
        for (size_t o = 0; o < outer; o++) {
            float *row = to + (o * to_n + i) * inner;
            memset(row, 0, inner * sizeof *row);
            for (size_t k = first; k < end; k++) {
                const float *x = from + (o * n + k) * inner, factor = (float)(weight[k] / sum);
                for (size_t j = 0; j < inner; j++) row[j] += factor * x[j];
            }
        }
    }
}

bool eg__resample_places(const float *from, size_t h, size_t w, size_t c, float *to, size_t to_h, size_t to_w)
{
    float *wide = eg__alloc(h * to_w * c, sizeof *wide);
    double *weight = eg__alloc(h > w ? h : w, sizeof *weight);
    if (wide && weight) {
        resample_axis(from, h, w, c, wide, to_w, weight);
        resample_axis(wide, 1, h, to_w * c, to, to_h, weight);
    }
    bool done = wide && weight;
    free(wide);
    free(weight);
    return done;
}
