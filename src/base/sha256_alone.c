/* sha256_alone.c: FIPS 180-4, for builds without libcrypto: slower, the same digest. */
#include <math.h>
#include <string.h>

#include "base/file.h"

static uint32_t turned(uint32_t x, unsigned n) { return x >> n | x << (32 - n); }

/* The first 32 bits behind the point of a root of the i-th prime. */
static uint32_t root_bits(unsigned i, bool cube)
{
    unsigned prime = 1;
    for (unsigned found = 0; found <= i;) {
        prime++;
        unsigned d = 2;
        while (d * d <= prime && prime % d) d++;
        found += d * d > prime;
    }
    long double root = cube ? cbrtl(prime) : sqrtl(prime);
    return (uint32_t)((root - floorl(root)) * 4294967296.0L);
}

static void block(const uint8_t *bytes, const uint32_t k[64], uint32_t h[8])
{
    uint32_t w[64], s[8];
    for (unsigned i = 0; i < 16; i++)
        w[i] = (uint32_t)bytes[4 * i] << 24 | (uint32_t)bytes[4 * i + 1] << 16 |
               (uint32_t)bytes[4 * i + 2] << 8 | bytes[4 * i + 3];
    for (unsigned i = 16; i < 64; i++)
        w[i] = w[i - 16] + w[i - 7] + (turned(w[i - 15], 7) ^ turned(w[i - 15], 18) ^ w[i - 15] >> 3) +
               (turned(w[i - 2], 17) ^ turned(w[i - 2], 19) ^ w[i - 2] >> 10);
    memcpy(s, h, sizeof s);
    for (unsigned i = 0; i < 64; i++) {
        uint32_t one = s[7] + (turned(s[4], 6) ^ turned(s[4], 11) ^ turned(s[4], 25)) +
                       ((s[4] & s[5]) ^ (~s[4] & s[6])) + k[i] + w[i];
        uint32_t two = (turned(s[0], 2) ^ turned(s[0], 13) ^ turned(s[0], 22)) +
                       ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
        memmove(s + 1, s, 7 * sizeof *s);
        s[4] += one;
        s[0] = one + two;
    }
    for (unsigned i = 0; i < 8; i++) h[i] += s[i];
}

enum eg_status eg__sha256(const void *data, size_t n, uint8_t digest[32], struct eg_error *err)
{
    (void)err;
    const uint8_t *bytes = data;
    uint32_t k[64], h[8];
    for (unsigned i = 0; i < 64; i++) k[i] = root_bits(i, true);
    for (unsigned i = 0; i < 8; i++) h[i] = root_bits(i, false);
    size_t whole = n / 64 * 64;
    for (size_t at = 0; at < whole; at += 64) block(bytes + at, k, h);
    uint8_t last[128] = {0};
    size_t left = n - whole, end = left < 56 ? 64 : 128;
    if (left) memcpy(last, bytes + whole, left);
    last[left] = 0x80;
    for (unsigned i = 0; i < 8; i++) last[end - 1 - i] = (uint8_t)((uint64_t)n * 8 >> (8 * i));
    for (size_t at = 0; at < end; at += 64) block(last + at, k, h);
    for (unsigned i = 0; i < 32; i++) digest[i] = (uint8_t)(h[i / 4] >> (24 - 8 * (i % 4)));
    return EG_OK;
}
