/* sha256.c: by libcrypto, which knows the processor's own instructions for it. */
#include <openssl/evp.h>

#include "base/fail.h"
#include "base/file.h"

enum eg_status eg__sha256(const void *bytes, size_t n, uint8_t digest[32], struct eg_error *err)
{
    if (!EVP_Digest(bytes, n, digest, NULL, EVP_sha256(), NULL))
        return eg__fail(err, EG_E_SYSTEM, "SHA-256 failed");
    return EG_OK;
}
