/* Downloads from a server of our own: resumed, cut off, wrong, missing, led elsewhere. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/file.h"
#include "check.h"
#include "formats/fetch.h"

enum { SIZE = 300000 };

static struct {
    int listener;
    unsigned port;
    uint8_t content[SIZE];
    char sha256[65], folder[40];
    unsigned requests;
    size_t last_from; /* where the last answer began */
} server;

static void answer(int client)
{
    char request[4096] = "", head[400];
    size_t have = 0;
    while (have < sizeof request - 1 && !strstr(request, "\r\n\r\n")) {
        ssize_t n = read(client, request + have, sizeof request - 1 - have);
        if (n <= 0) return;
        have += (size_t)n;
        request[have] = '\0';
    }
    server.requests++;
    size_t from = 0, send = SIZE;
    const char *range = strstr(request, "Range: bytes="), *status = "200 OK", *extra = "";
    if (range && !strstr(request, "/norange")) {
        from = strtoul(range + 13, NULL, 10);
        status = "206 Partial Content";
    }
    server.last_from = from;
    if (strstr(request, "GET /missing")) {
        status = "404 Not Found";
        from = SIZE;
    } else if (strstr(request, "GET /elsewhere")) {
        status = "302 Found";
        extra = "Location: http://example.org/file\r\n";
        from = SIZE;
    } else if (from >= SIZE) {
        status = "416 Range Not Satisfiable";
        from = SIZE;
    }
    char ranged[100] = "";
    if (from && from < SIZE)
        snprintf(ranged, sizeof ranged, "Content-Range: bytes %zu-%d/%d\r\n", from, SIZE - 1, SIZE);
    int n = snprintf(head, sizeof head, "HTTP/1.1 %s\r\nContent-Length: %zu\r\n%s%sConnection: close\r\n\r\n",
                     status, SIZE - from, ranged, extra);
    if (strstr(request, "GET /cut") && !range) send = SIZE / 2;
    if (write(client, head, (size_t)n) != n) return;
    while (from < send) {
        ssize_t sent = write(client, server.content + from, send - from);
        if (sent <= 0) return;
        from += (size_t)sent;
    }
}

static void *serve(void *unused)
{
    (void)unused;
    int client;
    while ((client = accept(server.listener, NULL, NULL)) >= 0) {
        answer(client);
        shutdown(client, SHUT_WR);
        close(client);
    }
    return NULL;
}

static int start(void **state)
{
    (void)state;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    pthread_t thread;
    uint8_t digest[32];
    for (size_t i = 0; i < SIZE; i++) server.content[i] = (uint8_t)(i * 7 + i / 251);
    if (eg__sha256(server.content, SIZE, digest, NULL)) return -1;
    eg__hex(digest, 32, server.sha256);
    strcpy(server.folder, "/tmp/test_fetch.XXXXXX");
    if (!mkdtemp(server.folder)) return -1;
    server.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (server.listener < 0 || bind(server.listener, (struct sockaddr *)&address, sizeof address) ||
        listen(server.listener, 8) || getsockname(server.listener, (struct sockaddr *)&address, &length) ||
        pthread_create(&thread, NULL, serve, NULL))
        return -1;
    server.port = ntohs(address.sin_port);
    return pthread_detach(thread);
}

static int stop(void **state)
{
    (void)state;
    return rmdir(server.folder); /* every test leaves it empty */
}

/* Fetch /WHAT into folder/file with the SHA-256 digits given. */
static enum eg_status fetch(const char *what, const char *digits, struct eg_error *err)
{
    char url[100], path[100];
    snprintf(url, sizeof url, "http://127.0.0.1:%u/%s", server.port, what);
    snprintf(path, sizeof path, "%s/file", server.folder);
    return eg__fetch(&(struct eg_fetch_job){.url = url, .path = path, .sha256 = digits}, err);
}

static char *in_folder(const char *name)
{
    static char path[100];
    snprintf(path, sizeof path, "%s/%s", server.folder, name);
    return path;
}

static void expect_installed(void)
{
    struct eg_mapping mapping;
    assert_int_equal(eg__map_file(in_folder("file"), &mapping, NULL), EG_OK);
    assert_int_equal(mapping.size, SIZE);
    assert_memory_equal(mapping.bytes, server.content, SIZE);
    eg__unmap_file(&mapping);
    assert_int_not_equal(access(in_folder("file.part"), F_OK), 0);
}

static void put_part(size_t n, const uint8_t *bytes)
{
    FILE *file = fopen(in_folder("file.part"), "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, n, file), n);
    fclose(file);
}

static void whole_file(void **state)
{
    (void)state;
    struct eg_error err = {0};
    if (fetch("good", server.sha256, &err)) fail_msg("%s", err.message);
    expect_installed();
    assert_int_equal(fetch("good", server.sha256, &err), EG_E_EXISTS);
    unlink(in_folder("file"));
    char digits[9];
    snprintf(digits, sizeof digits, "%.8s", server.sha256);
    assert_int_equal(fetch("good", digits, &err), EG_OK);
    unlink(in_folder("file"));
}

static void cut_off_then_resumed(void **state)
{
    (void)state;
    struct eg_error err = {0};
    assert_int_equal(fetch("cut", server.sha256, &err), EG_E_IO);
    assert_non_null(strstr(err.message, "run it again"));
    assert_int_equal(access(in_folder("file.part"), F_OK), 0);
    assert_int_not_equal(access(in_folder("file"), F_OK), 0);
    if (fetch("cut", server.sha256, &err)) fail_msg("%s", err.message);
    assert_int_equal(server.last_from, SIZE / 2);
    expect_installed();
    unlink(in_folder("file"));
}

static void whole_part_or_no_ranges(void **state)
{
    (void)state;
    struct eg_error err = {0};
    put_part(SIZE, server.content); /* all of it came, but was not installed */
    if (fetch("good", server.sha256, &err)) fail_msg("%s", err.message);
    expect_installed();
    unlink(in_folder("file"));
    put_part(1000, server.content);
    if (fetch("norange", server.sha256, &err)) fail_msg("%s", err.message);
    expect_installed();
    unlink(in_folder("file"));
}

static void wrong_checksum_is_thrown_away(void **state)
{
    (void)state;
    struct eg_error err = {0};
    assert_int_equal(fetch("good", "0123456789", &err), EG_E_FORMAT);
    assert_non_null(strstr(err.message, "SHA-256"));
    assert_int_not_equal(access(in_folder("file.part"), F_OK), 0);
    assert_int_not_equal(access(in_folder("file"), F_OK), 0);
    put_part(1000, server.content + 5); /* another file's part: the join is wrong, the next try begins anew */
    assert_int_equal(fetch("good", server.sha256, &err), EG_E_FORMAT);
    assert_int_equal(fetch("good", server.sha256, &err), EG_OK);
    unlink(in_folder("file"));
}

static void refusals(void **state)
{
    (void)state;
    struct eg_error err = {0};
    assert_int_equal(fetch("missing", server.sha256, &err), EG_E_IO);
    assert_non_null(strstr(err.message, "404"));
    assert_int_equal(fetch("elsewhere", server.sha256, &err), EG_E_IO);
    assert_non_null(strstr(err.message, "not https"));
    assert_int_equal(fetch("good", NULL, &err), EG_E_UNSUPPORTED);
    struct eg_fetch_job job = {
        .url = "http://example.org/file", .path = in_folder("file"), .sha256 = server.sha256};
    assert_int_equal(eg__fetch(&job, &err), EG_E_IO);
    assert_non_null(strstr(err.message, "not https"));
    job.url = "http://127.0.0.1.example.org/file";
    assert_int_equal(eg__fetch(&job, &err), EG_E_IO);
    assert_non_null(strstr(err.message, "not https"));
    job.url = "file:///etc/passwd";
    assert_int_equal(eg__fetch(&job, &err), EG_E_IO);
}

static bool stop_at_once(void *user, size_t done, size_t total)
{
    (void)user, (void)total;
    return done < SIZE / 4;
}

static void can_be_stopped(void **state)
{
    (void)state;
    struct eg_error err = {0};
    char url[100];
    snprintf(url, sizeof url, "http://127.0.0.1:%u/good", server.port);
    struct eg_fetch_job job = {
        .url = url, .path = in_folder("file"), .sha256 = server.sha256, .progress = stop_at_once};
    assert_int_equal(eg__fetch(&job, &err), EG_E_CANCELLED);
    assert_int_not_equal(access(in_folder("file"), F_OK), 0);
    unlink(in_folder("file.part"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_file),
        cmocka_unit_test(cut_off_then_resumed),
        cmocka_unit_test(whole_part_or_no_ranges),
        cmocka_unit_test(wrong_checksum_is_thrown_away),
        cmocka_unit_test(refusals),
        cmocka_unit_test(can_be_stopped),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
