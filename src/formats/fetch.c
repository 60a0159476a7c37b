/* fetch.c: downloads by libcurl, which sees to proxies and certificates. A part that was cut
 * off is gone on with; only what has the right checksum gets the final name. */
#include "formats/fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/file.h"
#include "formats/curl_loaded.h"

enum { SIZE_MAX_GB = 8, REDIRECTS_MAX = 5, SECONDS_TO_CONNECT = 30, SECONDS_STALLED = 60 };

struct transfer {
    const struct eg_curl *curl;
    const struct eg_fetch_job *job;
    char *part;
    int fd;
    curl_off_t resumed; /* bytes that were there before */
    bool cancelled, write_failed;
    int cause; /* errno of a failed write */
};

static size_t on_bytes(char *bytes, size_t size, size_t n, void *context)
{
    struct transfer *t = context;
    size_t left = size * n;
    while (left) {
        ssize_t written = write(t->fd, bytes, left);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) {
            t->write_failed = true;
            t->cause = errno;
            return 0;
        }
        bytes += written;
        left -= (size_t)written;
    }
    return size * n;
}

static int on_progress(void *context, curl_off_t total, curl_off_t now, curl_off_t up_total,
                       curl_off_t up_now)
{
    struct transfer *t = context;
    (void)up_total, (void)up_now;
    if (!t->job->progress) return 0;
    size_t all = total > 0 ? (size_t)(total + t->resumed) : 0;
    t->cancelled = !t->job->progress(t->job->user, (size_t)(now + t->resumed), all);
    return t->cancelled;
}

/* Plain http that does not leave this machine. */
static bool is_loopback(const char *url)
{
    static const char *const hosts[] = {"http://127.0.0.1", "http://localhost", "http://[::1]"};
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        size_t n = strlen(hosts[i]);
        if (!strncasecmp(url, hosts[i], n) && (url[n] == ':' || url[n] == '/')) return true;
    }
    return false;
}

static void configure(CURL *curl, struct transfer *t)
{
    const struct eg_fetch_job *job = t->job;
    CURLcode (*set)(CURL *, CURLoption, ...) = t->curl->setopt;
    set(curl, CURLOPT_URL, job->url);
#if LIBCURL_VERSION_NUM >= 0x075500
    set(curl, CURLOPT_PROTOCOLS_STR, is_loopback(job->url) ? "http,https" : "https");
    set(curl, CURLOPT_REDIR_PROTOCOLS_STR, "https");
#else
    set(curl, CURLOPT_PROTOCOLS, is_loopback(job->url) ? CURLPROTO_HTTP | CURLPROTO_HTTPS : CURLPROTO_HTTPS);
    set(curl, CURLOPT_REDIR_PROTOCOLS, (long)CURLPROTO_HTTPS);
#endif
    if (is_loopback(job->url)) set(curl, CURLOPT_NOPROXY, "*");
    set(curl, CURLOPT_FOLLOWLOCATION, 1L);
    set(curl, CURLOPT_MAXREDIRS, (long)REDIRECTS_MAX);
    set(curl, CURLOPT_FAILONERROR, 1L);
    set(curl, CURLOPT_NOSIGNAL, 1L);
    set(curl, CURLOPT_CONNECTTIMEOUT, (long)SECONDS_TO_CONNECT);
    set(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    set(curl, CURLOPT_LOW_SPEED_TIME, (long)SECONDS_STALLED);
    set(curl, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)SIZE_MAX_GB << 30);
    set(curl, CURLOPT_USERAGENT, "engraft/" EG_VERSION);
    set(curl, CURLOPT_RESUME_FROM_LARGE, t->resumed);
    set(curl, CURLOPT_WRITEFUNCTION, on_bytes);
    set(curl, CURLOPT_WRITEDATA, t);
    set(curl, CURLOPT_NOPROGRESS, 0L);
    set(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    set(curl, CURLOPT_XFERINFODATA, t);
}

static enum eg_status describe_failure(const struct transfer *t, CURLcode code, long http, const char *words,
                                       struct eg_error *err)
{
    const struct eg_fetch_job *job = t->job;
    const char *name = eg__path_last(job->path);
    if (t->cancelled)
        return eg__fail(err, EG_E_CANCELLED, "download of '%s' stopped (run it again to go on)", name);
    if (t->write_failed) return eg__fail(err, EG_E_IO, "cannot write '%s': %s", t->part, strerror(t->cause));
    if (code == CURLE_HTTP_RETURNED_ERROR)
        return eg__fail(err, EG_E_IO,
                        "cannot download '%s': the server answered %ld (get it elsewhere and put it at '%s')",
                        job->url, http, job->path);
    if (code == CURLE_UNSUPPORTED_PROTOCOL)
        return eg__fail(
            err, EG_E_IO,
            "cannot download '%s': it is, or leads to, an address that is not https, which is refused",
            job->url);
    if (code == CURLE_PARTIAL_FILE || code == CURLE_RECV_ERROR || code == CURLE_OPERATION_TIMEDOUT)
        return eg__fail(err, EG_E_IO, "download of '%s' was cut off: %s (run it again to go on)", name,
                        words);
    return eg__fail(err, EG_E_IO,
                    "cannot download '%s': %s (without a network, get it elsewhere and put it at '%s')",
                    job->url, words, job->path);
}

/* One request for what is missing. *again: the part is of no use, begin anew. */
static enum eg_status request(struct transfer *t, bool *again, struct eg_error *err)
{
    char words[CURL_ERROR_SIZE] = "";
    long http = 0;
    struct stat info;
    *again = false;
    if (fstat(t->fd, &info)) return eg__fail(err, EG_E_IO, "cannot read '%s': %s", t->part, strerror(errno));
    t->resumed = (curl_off_t)info.st_size;
    CURL *curl = t->curl->init();
    if (!curl) return eg__fail_memory(err, "a download");
    configure(curl, t);
    t->curl->setopt(curl, CURLOPT_ERRORBUFFER, words);
    CURLcode code = t->curl->perform(curl);
    t->curl->getinfo(curl, CURLINFO_RESPONSE_CODE, &http);
    t->curl->cleanup(curl);
    if (!code) return EG_OK;
    if (t->resumed && (code == CURLE_RANGE_ERROR || http == 416)) {
        *again = true; /* the server cannot go on from there */
        return EG_OK;
    }
    return describe_failure(t, code, http, words[0] ? words : t->curl->strerror(code), err);
}

/* ---- the checksum ------------------------------------------------------------------------ */

static bool digest_file(int fd, const EVP_MD *kind, char *hex)
{
    uint8_t bytes[65536], digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good = context && EVP_DigestInit_ex(context, kind, NULL) && lseek(fd, 0, SEEK_SET) == 0;
    ssize_t n = 0;
    while (good && (n = read(fd, bytes, sizeof bytes)) > 0)
        good = EVP_DigestUpdate(context, bytes, (size_t)n);
    good = good && n == 0 && EVP_DigestFinal_ex(context, digest, &length);
    EVP_MD_CTX_free(context);
    if (good) eg__hex(digest, length, hex);
    return good;
}

static enum eg_status check(struct transfer *t, bool *right, struct eg_error *err)
{
    char hex[2 * EVP_MAX_MD_SIZE + 1];
    const char *wanted = t->job->sha256 ? t->job->sha256 : t->job->md5;
    if (!digest_file(t->fd, t->job->sha256 ? EVP_sha256() : EVP_md5(), hex))
        return eg__fail(err, EG_E_IO, "cannot read '%s'", t->part);
    *right = !strncasecmp(hex, wanted, strlen(wanted));
    if (*right) return EG_OK;
    return eg__fail(
        err, EG_E_FORMAT,
        "what came from '%s' has %s %.16s..., not %.16s... as published: it was thrown away (try again)",
        t->job->url, t->job->sha256 ? "SHA-256" : "MD5", hex, wanted);
}

static enum eg_status install(struct transfer *t, struct eg_error *err)
{
    int failed = fsync(t->fd) || renameat2(AT_FDCWD, t->part, AT_FDCWD, t->job->path, RENAME_NOREPLACE);
    if (failed && errno == EINVAL && !link(t->part, t->job->path)) failed = unlink(t->part);
    if (!failed) return EG_OK;
    if (errno == EEXIST) return eg__fail(err, EG_E_EXISTS, "'%s' has just been made", t->job->path);
    return eg__fail(err, EG_E_IO, "cannot write '%s': %s", t->job->path, strerror(errno));
}

/* ---- all of it ------------------------------------------------------------------------------ */

static enum eg_status transfer(struct transfer *t, struct eg_error *err)
{
    bool again, right = false;
    enum eg_status status = request(t, &again, err);
    if (!status && again) {
        /* A part that is whole already also ends here. */
        status = check(t, &right, NULL);
        if (right) return install(t, err);
        if (ftruncate(t->fd, 0))
            return eg__fail(err, EG_E_IO, "cannot write '%s': %s", t->part, strerror(errno));
        status = request(t, &again, err);
    }
    if (status) return status;
    status = check(t, &right, err);
    if (!right) {
        if (status == EG_E_FORMAT) unlink(t->part);
        return status;
    }
    return install(t, err);
}

enum eg_status eg__fetch(const struct eg_fetch_job *job, struct eg_error *err)
{
    struct transfer t = {.job = job};
    if (!job->sha256 && !job->md5)
        return eg__fail(err, EG_E_UNSUPPORTED,
                        "no checksum is known for '%s' (get it yourself and put it at '%s')", job->url,
                        job->path);
    if (!access(job->path, F_OK)) return eg__fail(err, EG_E_EXISTS, "'%s' is here already", job->path);
    if (asprintf(&t.part, "%s.part", job->path) < 0) return eg__fail_memory(err, "a file name");
    t.fd = open(t.part, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    enum eg_status status = eg__curl_load(&t.curl, err);
    if (status)
        ;
    else if (t.fd < 0)
        status = eg__fail(err, EG_E_IO, "cannot create '%s': %s", t.part, strerror(errno));
    else if (flock(t.fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK)
        status = eg__fail(err, EG_E_IO, "'%s' is being downloaded by another run", job->path);
    if (!status) status = transfer(&t, err);
    struct stat info;
    if (status && t.fd >= 0 && !fstat(t.fd, &info) && !info.st_size)
        unlink(t.part); /* nothing to go on with */
    if (t.fd >= 0) close(t.fd);
    free(t.part);
    return status;
}
