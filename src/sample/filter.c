/* What a model remembers of the rows it learned from: a Bloom filter (Comm. ACM 13, 1970) of their
 * contents' hashes. Its places are taken from the hash itself, which is even as it is. */
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/mem.h"
#include "sample/sample.h"

enum { BITS_A_ROW = 10, PLACES = 7, LEAST_BYTES = 8 }; /* 0.8 % are taken for known wrongly */

static uint64_t number(const uint8_t *bytes)
{
    uint64_t x = 0;
    for (int i = 0; i < 8; i++) x |= (uint64_t)bytes[i] << 8 * i;
    return x;
}

static size_t place(const uint8_t hash[32], size_t which, size_t n_bits)
{
    return (size_t)((number(hash) + which * (number(hash + 8) | 1)) % n_bits);
}

enum eg_status eg__filter_make(eg_hashes hashes, size_t n, char **text, struct eg_error *err)
{
    size_t bits = 0;
    if (!eg__mul(n, BITS_A_ROW, &bits)) return eg__fail_memory(err, "the filter of the training rows");
    size_t bytes = bits / 8 + 1 < LEAST_BYTES ? LEAST_BYTES : bits / 8 + 1;
    uint8_t *filter = eg__zalloc(bytes, 1);
    char *hex = filter ? malloc(2 * bytes + 1) : NULL;
    if (hex) {
        for (size_t i = 0; i < n; i++)
            for (size_t p = 0; p < PLACES; p++) {
                size_t at = place(hashes[i], p, 8 * bytes);
                filter[at / 8] |= (uint8_t)(1 << at % 8);
            }
        eg__hex(filter, bytes, hex);
        *text = hex;
    }
    free(filter);
    return hex ? EG_OK : eg__fail_memory(err, "the filter of the training rows");
}

static int digit(char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; }

enum eg_status eg__filter_find(const char *text, eg_hashes hashes, size_t n, uint8_t *known,
                               struct eg_error *err)
{
    size_t length = strlen(text);
    if (length < 2 * LEAST_BYTES || length % 2 || strspn(text, "0123456789abcdef") != length)
        return eg__fail(err, EG_E_FORMAT,
                        "what the model says of its training rows cannot be read (train it again)");
    for (size_t i = 0; i < n; i++) {
        known[i] = 1;
        for (size_t p = 0; p < PLACES && known[i]; p++) {
            size_t at = place(hashes[i], p, 4 * length), byte = at / 8;
            int value = digit(text[2 * byte]) << 4 | digit(text[2 * byte + 1]);
            known[i] = value >> at % 8 & 1;
        }
    }
    return EG_OK;
}
