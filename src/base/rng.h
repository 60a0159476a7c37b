/* rng.h: reproducible random numbers: xoshiro256** (Blackman and Vigna 2018), seeded by
 * splitmix64. Same seed, same stream, on every machine. */
#ifndef EG_BASE_RNG_H
#define EG_BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

struct eg_rng {
    uint64_t state[4];
};

/* `stream` separates uses that share a seed (a fold, a tree, an image and epoch). */
void eg__rng_init(struct eg_rng *rng, uint64_t seed, uint64_t stream);
uint64_t eg__rng_u64(struct eg_rng *rng);
uint64_t eg__rng_below(struct eg_rng *rng, uint64_t n); /* uniform in [0,n), n > 0, unbiased */
double eg__rng_uniform(struct eg_rng *rng);             /* [0,1), 53 bits */
double eg__rng_normal(struct eg_rng *rng);              /* mean 0, variance 1 (Box-Muller) */
void eg__rng_shuffle(struct eg_rng *rng, size_t *items, size_t n);

#endif
