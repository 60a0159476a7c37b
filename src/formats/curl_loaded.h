/* curl_loaded.h: libcurl, loaded when the first download begins and not before: who never
 * downloads need not have it. */
#ifndef EG_FORMATS_CURL_LOADED_H
#define EG_FORMATS_CURL_LOADED_H

#include <curl/curl.h>

#include "engraft.h"

#undef curl_easy_setopt /* type-checking macros around the functions that are linked */
#undef curl_easy_getinfo

struct eg_curl {
    CURL *(*init)(void);
    CURLcode (*setopt)(CURL *, CURLoption, ...);
    CURLcode (*perform)(CURL *);
    CURLcode (*getinfo)(CURL *, CURLINFO, ...);
    void (*cleanup)(CURL *);
    const char *(*strerror)(CURLcode);
};

/* EG_E_UNSUPPORTED, reason LIBRARY_MISSING, where there is none. */
EG_MUST_CHECK enum eg_status eg__curl_load(const struct eg_curl **curl, struct eg_error *err);

#endif
