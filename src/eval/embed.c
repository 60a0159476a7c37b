/* embed.c: a map of rows (embed.h). */
#include "eval/embed.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/mem.h"
#include "base/rng.h"

enum { PCA_ROUNDS = 12, APART = 5 };
/* 1 / (1 + a r^2b) is nearest to 1 below min_dist 0.1, exp(0.1 - r) beyond. */
static const double A = 1.577, B = 0.895, PLANE = 10, CLIP = 4;

struct link {
    uint32_t a, b;
    float weight; /* 0 to 1 */
};

/* ---- two principal components ------------------------------------------------------------------ */

static double dot_row(const float *row, const double *v, size_t d)
{
    double sum = 0;
    for (size_t j = 0; j < d; j++) sum += (double)row[j] * v[j];
    return sum;
}

static void normalise(double *v, size_t d)
{
    double sum = 0;
    for (size_t j = 0; j < d; j++) sum += v[j] * v[j];
    for (size_t j = 0; j < d && sum > 0; j++) v[j] /= sqrt(sum);
}

static enum eg_status principal(const float *x, size_t n, size_t d, struct eg_rng *rng, float (*place)[2],
                                struct eg_error *err)
{
    double *room = eg__zalloc(5 * d + 1, sizeof *room);
    if (!room) return eg__fail_memory(err, "a map");
    double *v[2] = {room, room + d}, *next[2] = {room + 2 * d, room + 3 * d}, *mean = room + 4 * d;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < d; j++) mean[j] += (double)x[i * d + j] / (double)n;
    for (size_t j = 0; j < 2 * d; j++) room[j] = eg__rng_uniform(rng) - 0.5;
    for (int round = 0; round < PCA_ROUNDS; round++) {
        double along = 0, shift[2];
        normalise(v[0], d);
        for (size_t j = 0; j < d; j++) along += v[0][j] * v[1][j];
        for (size_t j = 0; j < d; j++) v[1][j] -= along * v[0][j];
        normalise(v[1], d);
        for (int c = 0; c < 2; c++) {
            shift[c] = 0;
            for (size_t j = 0; j < d; j++) shift[c] += mean[j] * v[c][j];
            memset(next[c], 0, d * sizeof *next[c]);
        }
        for (size_t i = 0; i < n; i++)
            for (int c = 0; c < 2; c++) {
                double score = dot_row(x + i * d, v[c], d) - shift[c];
                place[i][c] = (float)score;
                for (size_t j = 0; j < d; j++) next[c][j] += score * ((double)x[i * d + j] - mean[j]);
            }
        for (int c = 0; c < 2; c++) memcpy(v[c], next[c], d * sizeof *v[c]);
    }
    free(room);
    return EG_OK;
}

/* Both axes to -PLANE..PLANE, and a little apart where rows are the same. */
static void spread(float (*place)[2], size_t n, struct eg_rng *rng)
{
    double most = 0;
    for (size_t i = 0; i < n; i++)
        for (int c = 0; c < 2; c++) most = fmax(most, fabs((double)place[i][c]));
    for (size_t i = 0; i < n; i++)
        for (int c = 0; c < 2; c++) {
            double to = most > 0 ? PLANE * (double)place[i][c] / most : 0;
            place[i][c] = (float)(to + 0.001 * (eg__rng_uniform(rng) - 0.5));
        }
}

/* ---- the graph of neighbours -------------------------------------------------------------------- */

/* How near each neighbour is, exp(-(distance - nearest) / s), with s such that they sum to log2 k. */
static void smooth(const uint32_t *near, const float *distance, size_t k, float *weight)
{
    size_t count = 0;
    while (count < k && near[count] != UINT32_MAX) count++;
    double nearest = 0, low = 0, high = INFINITY, s = 1, target = log2((double)(count > 1 ? count : 2));
    for (size_t j = 0; j < count && nearest <= 0; j++) nearest = (double)distance[j];
    for (int round = 0; round < 64; round++) {
        double sum = 0;
        for (size_t j = 0; j < count; j++) sum += exp(-fmax(0, (double)distance[j] - nearest) / s);
        if (fabs(sum - target) < 1e-5) break;
        *(sum > target ? &high : &low) = s;
        s = isfinite(high) ? (low + high) / 2 : 2 * s;
    }
    for (size_t j = 0; j < k; j++)
        weight[j] = j < count ? (float)exp(-fmax(0, (double)distance[j] - nearest) / fmax(s, 1e-9)) : 0;
}

static int by_ends(const void *a, const void *b)
{
    const struct link *x = a, *y = b;
    if (x->a != y->a) return x->a < y->a ? -1 : 1;
    return x->b < y->b ? -1 : x->b > y->b;
}

/* Links that either end has: of two, w + v - w v. */
static enum eg_status make_links(const uint32_t *near, const float *distance, size_t n, size_t k,
                                 struct link **out, size_t *n_links, struct eg_error *err)
{
    struct link *links = eg__alloc(n * k + 1, sizeof *links);
    float *weight = eg__alloc(k + 1, sizeof *weight);
    size_t count = 0, kept = 0;
    if (!links || !weight) {
        free(links);
        free(weight);
        return eg__fail_memory(err, "a map");
    }
    for (size_t i = 0; i < n; i++) {
        smooth(near + i * k, distance + i * k, k, weight);
        for (size_t j = 0; j < k; j++) {
            uint32_t a = (uint32_t)i, b = near[i * k + j];
            if (b == UINT32_MAX) break;
            links[count++] = (struct link){a < b ? a : b, a < b ? b : a, weight[j]};
        }
    }
    free(weight);
    qsort(links, count, sizeof *links, by_ends);
    for (size_t i = 0; i < count; i++) {
        struct link *last = kept ? &links[kept - 1] : NULL;
        if (last && last->a == links[i].a && last->b == links[i].b)
            last->weight = last->weight + links[i].weight - last->weight * links[i].weight;
        else
            links[kept++] = links[i];
    }
    *out = links;
    *n_links = kept;
    return EG_OK;
}

/* ---- the plane ------------------------------------------------------------------------------------ */

static float clipped(double step) { return (float)fmin(fmax(step, -CLIP), CLIP); }

static void pull(float *p, float *q, double rate)
{
    double dx = (double)p[0] - (double)q[0], dy = (double)p[1] - (double)q[1], r2 = dx * dx + dy * dy;
    if (r2 <= 0) return;
    double power = pow(r2, B), force = -2 * A * B * power / r2 / (1 + A * power);
    float x = (float)rate * clipped(force * dx), y = (float)rate * clipped(force * dy);
    p[0] += x;
    p[1] += y;
    q[0] -= x;
    q[1] -= y;
}

static void push(float *p, const float *q, double rate)
{
    double dx = (double)p[0] - (double)q[0], dy = (double)p[1] - (double)q[1], r2 = dx * dx + dy * dy;
    if (r2 <= 0) return;
    double force = 2 * B / ((0.001 + r2) * (1 + A * pow(r2, B)));
    p[0] += (float)rate * clipped(force * dx);
    p[1] += (float)rate * clipped(force * dy);
}

static void settle(float (*place)[2], size_t n, struct link *links, size_t n_links, size_t rounds,
                   struct eg_rng *rng)
{
    float most = 0;
    for (size_t i = 0; i < n_links; i++) most = fmaxf(most, links[i].weight);
    for (size_t round = 0; round < rounds; round++) {
        double rate = 1 - (double)round / (double)rounds;
        for (size_t i = 0; i < n_links; i++) {
            /* a link has its turn as often as it is strong */
            double share = (double)links[i].weight / (double)most;
            double due = floor((double)(round + 1) * share) - floor((double)round * share);
            if (due < 1) continue;
            pull(place[links[i].a], place[links[i].b], rate);
            for (int k = 0; k < APART; k++) {
                size_t end = k & 1 ? links[i].a : links[i].b, other = eg__rng_below(rng, n);
                if (other != end) push(place[end], place[other], rate);
            }
        }
    }
}

enum eg_status eg__embed(const float *x, size_t n, size_t d, const uint32_t *near, const float *distance,
                         size_t k, uint64_t seed, float (*place)[2], struct eg_error *err)
{
    struct eg_rng rng;
    struct link *links = NULL;
    size_t n_links = 0;
    eg__rng_init(&rng, seed, 11);
    enum eg_status status = principal(x, n, d, &rng, place, err);
    if (status) return status;
    spread(place, n, &rng);
    status = make_links(near, distance, n, k, &links, &n_links, err);
    if (!status) settle(place, n, links, n_links, n < 5000 ? 500 : 200, &rng);
    free(links);
    return status;
}
