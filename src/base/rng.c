#include "base/rng.h"

#include <math.h>

static uint64_t splitmix(uint64_t *x)
{
    uint64_t z = (*x += 0x9e3779b97f4a7c15u);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

void eg__rng_init(struct eg_rng *rng, uint64_t seed, uint64_t stream)
{
    uint64_t x = seed, y = stream ^ 0xd1b54a32d192ed03u;
    for (int i = 0; i < 4; i++) rng->state[i] = splitmix(&x) ^ splitmix(&y);
    if (!(rng->state[0] | rng->state[1] | rng->state[2] | rng->state[3])) rng->state[0] = 1;
}

static uint64_t rotate_left(uint64_t x, int k) { return x << k | x >> (64 - k); }

uint64_t eg__rng_u64(struct eg_rng *rng)
{
    uint64_t *s = rng->state, result = rotate_left(s[1] * 5, 7) * 9, t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

uint64_t eg__rng_below(struct eg_rng *rng, uint64_t n)
{
    uint64_t threshold = -n % n, x;
    do x = eg__rng_u64(rng);
    while (x < threshold);
    return x % n;
}

double eg__rng_uniform(struct eg_rng *rng) { return (double)(eg__rng_u64(rng) >> 11) * 0x1p-53; }

double eg__rng_normal(struct eg_rng *rng)
{
    double u = 1.0 - eg__rng_uniform(rng), v = eg__rng_uniform(rng);
    return sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v);
}

void eg__rng_shuffle(struct eg_rng *rng, size_t *items, size_t n)
{
    for (size_t i = n; i > 1; i--) {
        size_t j = (size_t)eg__rng_below(rng, i), item = items[i - 1];
        items[i - 1] = items[j];
        items[j] = item;
    }
}
