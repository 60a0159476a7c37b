#include "eval/lookalike.h"

#include <math.h>
#include <string.h>

enum { S = EG_LOOK_SIDE, COARSE = 12, TINY = 16, SMALL = 32 };

void eg__look_of(const uint8_t *rgb, size_t height, size_t width, uint8_t look[EG_LOOK_BYTES])
{
    for (size_t y = 0; y < S; y++) {
        size_t y0 = y * height / S, y1 = (y + 1) * height / S;
        if (y1 == y0) y1 = y0 + 1;
        for (size_t x = 0; x < S; x++) {
            size_t x0 = x * width / S, x1 = (x + 1) * width / S;
            if (x1 == x0) x1 = x0 + 1;
            uint64_t sum = 0;
            for (size_t i = y0; i < y1; i++)
                for (size_t j = x0; j < x1; j++) {
                    const uint8_t *p = rgb + 3 * (i * width + j);
                    sum += 299u * p[0] + 587u * p[1] + 114u * p[2]; /* ITU-R BT.601, as Pillow's "L" */
                }
            look[y * S + x] = (uint8_t)((sum + 500 * (y1 - y0) * (x1 - x0)) / (1000 * (y1 - y0) * (x1 - x0)));
        }
    }
}

/* out [side][side]: means over squares of the look. */
static void shrink(const uint8_t *look, int side, bool mirror, float *out)
{
    for (int y = 0; y < side; y++)
        for (int x = 0; x < side; x++) {
            int y0 = y * S / side, y1 = (y + 1) * S / side, x0 = x * S / side, x1 = (x + 1) * S / side,
                sum = 0;
            for (int i = y0; i < y1; i++)
                for (int j = x0; j < x1; j++) sum += look[i * S + j];
            out[y * side + (mirror ? side - 1 - x : x)] = (float)sum / (float)((y1 - y0) * (x1 - x0));
        }
}

void eg__look_signature(const uint8_t look[EG_LOOK_BYTES], bool mirror, float signature[EG_LOOK_SIGNATURE])
{
    double mean = 0, square = 0;
    shrink(look, COARSE, mirror, signature);
    for (int i = 0; i < EG_LOOK_SIGNATURE; i++) mean += (double)signature[i] / EG_LOOK_SIGNATURE;
    for (int i = 0; i < EG_LOOK_SIGNATURE; i++)
        square += ((double)signature[i] - mean) * ((double)signature[i] - mean);
    for (int i = 0; i < EG_LOOK_SIGNATURE; i++)
        signature[i] = square > EG_LOOK_SIGNATURE ? (float)(((double)signature[i] - mean) / sqrt(square)) : 0;
}

/* How b lies over a: a's point (x, y), from the middle, is b's (sx c x - sy s y + tx, sx s x + sy c y + ty).
 */
enum { SX, SY, TX, TY, TURN, N_PLACE };

/* Correlation where both are, of sides `side`; -1 where less than half of a is covered. */
static double correlate(const float *a, const float *b, int side, const double place[N_PLACE])
{
    const float half = 0.5f * (float)side - 0.5f, c = (float)cos(place[TURN]), s = (float)sin(place[TURN]);
    const float xx = (float)place[SX] * c, xy = -(float)place[SY] * s, yx = (float)place[SX] * s,
                yy = (float)place[SY] * c, tx = (float)place[TX] * (float)side + half,
                ty = (float)place[TY] * (float)side + half, last = (float)side - 1.001f;
    float n = 0, sa = 0, sb = 0, saa = 0, sbb = 0, sab = 0;
    for (int y = 0; y < side; y++)
        for (int x = 0; x < side; x++) {
            float u = (float)x - half, v = (float)y - half, bx = xx * u + xy * v + tx,
                  by = yx * u + yy * v + ty;
            if (bx < 0 || by < 0 || bx > last || by > last) continue;
            int ix = (int)bx, iy = (int)by;
            float fx = bx - (float)ix, fy = by - (float)iy;
            const float *p = b + iy * side + ix;
            float q = (p[0] * (1 - fx) + p[1] * fx) * (1 - fy) + (p[side] * (1 - fx) + p[side + 1] * fx) * fy,
                  w = a[y * side + x];
            n++;
            sa += w;
            sb += q;
            saa += w * w;
            sbb += q * q;
            sab += w * q;
        }
    if (n < 0.5f * (float)(side * side)) return -1;
    double va = (double)saa - (double)sa * (double)sa / (double)n,
           vb = (double)sbb - (double)sb * (double)sb / (double)n;
    if (va < (double)n || vb < (double)n) return -1; /* nothing to see */
    return ((double)sab - (double)sa * (double)sb / (double)n) / sqrt(va * vb);
}

/* Climb along one axis after another, with steps that shrink; what is below least[round] after a round (NULL:
 * nothing) is given up. */
static double climb(const float *a, const float *b, int side, double place[N_PLACE], double step, int rounds,
                    const double *least)
{
    static const double unit[N_PLACE] = {1, 1, 0.5, 0.5, 0.6};
    double best = correlate(a, b, side, place);
    for (int round = 0; round < rounds; round++, step /= 2) {
        for (int axis = 0; axis < N_PLACE; axis++)
            for (int sign = -1; sign <= 1; sign += 2) {
                double tried[N_PLACE], value;
                memcpy(tried, place, sizeof tried);
                tried[axis] += sign * step * unit[axis];
                if ((value = correlate(a, b, side, tried)) <= best) continue;
                best = value;
                memcpy(place, tried, sizeof tried);
                sign -= 2 * (sign < 0); /* once more the same way */
                if (sign < -1) sign = -1;
            }
        if (least && best < least[round]) return best;
    }
    return best;
}

/* The best of a few beginnings on tiny pictures, then on small ones; below 0.7 it is never a copy. */
static double climb_small(const float *tiny_a, const float *tiny_b, const float *small_a,
                          const float *small_b, double place[N_PLACE])
{
    static const double scales[] = {1, 0.92, 1.09}, least[] = {0.1, 0.3, 0.5};
    double reached = -1;
    for (size_t i = 0; i < sizeof scales / sizeof *scales; i++) {
        double from[N_PLACE] = {scales[i], scales[i], 0, 0, 0};
        double value = climb(tiny_a, tiny_b, TINY, from, 0.06, 3, least);
        if (value <= reached) continue;
        reached = value;
        memcpy(place, from, N_PLACE * sizeof *place);
    }
    return reached < least[2] ? reached : climb(small_a, small_b, SMALL, place, 0.03, 4, NULL);
}

double eg__look_same(const uint8_t a[EG_LOOK_BYTES], const uint8_t b[EG_LOOK_BYTES])
{
    float tiny_a[TINY * TINY], tiny_b[TINY * TINY], small_a[SMALL * SMALL], small_b[SMALL * SMALL],
        whole_a[S * S], whole_b[S * S];
    double best = -1;
    shrink(a, TINY, false, tiny_a);
    shrink(a, SMALL, false, small_a);
    for (int mirror = 0; mirror < 2; mirror++) {
        double place[N_PLACE];
        shrink(b, TINY, mirror, tiny_b);
        shrink(b, SMALL, mirror, small_b);
        if (climb_small(tiny_a, tiny_b, small_a, small_b, place) < 0.7) continue;
        shrink(a, S, false, whole_a);
        shrink(b, S, mirror, whole_b);
        double value = climb(whole_a, whole_b, S, place, 0.01, 4, NULL);
        if (value > best) best = value;
    }
    return best;
}
