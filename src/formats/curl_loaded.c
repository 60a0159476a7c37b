#include "formats/curl_loaded.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

#include "base/fail.h"

static struct eg_curl loaded;
static bool complete;

static bool find(void *library, const char *name, void *function)
{
    void *symbol = dlsym(library, name);
    memcpy(function, &symbol, sizeof symbol); /* ISO C has no cast from void * to a function */
    return symbol != NULL;
}

static void load(void)
{
    static const char *const names[] = {"libcurl.so.4", "libcurl-gnutls.so.4", "libcurl.so"};
    void *library = NULL;
    for (size_t i = 0; !library && i < sizeof names / sizeof *names; i++)
        library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    if (!library) return;
    CURLcode (*start)(long);
    complete = find(library, "curl_global_init", &start) && find(library, "curl_easy_init", &loaded.init) &&
               find(library, "curl_easy_setopt", &loaded.setopt) &&
               find(library, "curl_easy_perform", &loaded.perform) &&
               find(library, "curl_easy_getinfo", &loaded.getinfo) &&
               find(library, "curl_easy_cleanup", &loaded.cleanup) &&
               find(library, "curl_easy_strerror", &loaded.strerror) && !start(CURL_GLOBAL_DEFAULT);
}

enum eg_status eg__curl_load(const struct eg_curl **curl, struct eg_error *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, load);
    if (!complete)
        return eg__fail_for(err, EG_E_UNSUPPORTED, EG_REASON_LIBRARY_MISSING,
                            "cannot download: 'libcurl.so.4' is not installed");
    *curl = &loaded;
    return EG_OK;
}
