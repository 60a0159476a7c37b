/* Any bytes as a zip: no path that leads out of it comes through, and no more bytes than the limits. */
#include <stdlib.h>
#include <string.h>

#include "serve/http.h"

enum { MOST = 1 << 20 };

static bool take(void *user, const char *path, const void *bytes, size_t n)
{
    size_t *sum = user;
    if (*path == '/' || !strcmp(path, "..") || !strncmp(path, "../", 3) || strstr(path, "/../")) abort();
    if (n && !bytes) abort();
    *sum += n;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char why[200];
    size_t sum = 0;
    struct unzip_limits limits = {100, MOST, MOST};
    int status = unzip_read(data, size, &limits, take, &sum, why);
    if (status && (status < 400 || status > 599 || !*why)) abort();
    if (sum > MOST) abort();
    return 0;
}
