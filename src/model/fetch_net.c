/* fetch_net.c: the official weights of a built-in network, from their maker to a folder. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arch/arch.h"
#include "base/fail.h"
#include "base/versioned.h"
#include "formats/fetch.h"

/* FILE at the end of the maker's URL, or of the mirror's. */
static char *source_of(const struct eg_arch *arch, const char *mirror)
{
    char *url = NULL;
    if (!mirror) return strdup(arch->url);
    size_t length = strlen(mirror);
    while (length && mirror[length - 1] == '/') length--;
    return asprintf(&url, "%.*s/%s", (int)length, mirror, arch->file) < 0 ? NULL : url;
}

enum eg_status eg_fetch(const char *name, const struct eg_fetch_options *options, char **path,
                        struct eg_error *err)
{
    struct eg_fetch_options own;
    enum eg_status status = eg__options(&own, sizeof own, options, err);
    if (status) return status;
    const struct eg_arch *arch = eg__arch_find(name);
    if (!arch)
        return eg__fail_for(err, EG_E_NOT_FOUND, EG_REASON_NETWORK_UNKNOWN,
                            "no built-in network is called '%.100s'", name);
    if (!arch->file || !arch->url)
        return eg__fail(err, EG_E_UNSUPPORTED,
                        "no official weights are known for '%s' (bring a file of your own: '%s=FILE')",
                        arch->name, arch->name);
    char *url = source_of(arch, own.mirror), *target = NULL;
    if (!url || asprintf(&target, "%s/%s", own.folder, arch->file) < 0) {
        free(url);
        return eg__fail_memory(err, "a file name");
    }
    struct eg_fetch_job job = {.url = url,
                               .path = target,
                               .sha256 = arch->sha256,
                               .md5 = arch->md5,
                               .progress = own.progress,
                               .user = own.user};
    status = eg__fetch(&job, err);
    free(url);
    if (status && status != EG_E_EXISTS)
        free(target);
    else
        *path = target;
    return status;
}
