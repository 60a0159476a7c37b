/* engraft serve: a folder's page in the browser, or a prediction service. */
#include "cli.h"

static const struct option_row options[] = {
    {OPTION_INTEGER, "port", 0, "N", "8017, or a free one", 0, 65535, false, "the port; 0: a free one"},
    {OPTION_FLAG, "no-browser", 0, NULL, NULL, 0, 0, false, "do not open the page in a browser"},
    {OPTION_TEXT, "listen", 0, "ADDRESS", "127.0.0.1", 0, 0, false,
     "the address to listen on, with --token: whoever reaches it and has the token may do all that the page "
     "can, and nothing on the way is encrypted"},
    {OPTION_TEXT, "token", 0, "T", "a random one", 0, 0, false,
     "what a client must know: Authorization: Bearer T"},
    {OPTION_INTEGER, "batch", 0, "N", "2", 1, 4096, false,
     "photos that a thread computes at a time, at most (never changes a result)"},
    OPTION_JSON_ROW,
    OPTION_MODEL_ROWS,
    {0},
};

#ifdef EG_WITH_SERVE
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "serve/serve.h"

enum { USUAL_PORT = 8017 };

static bool is_folder(const char *path)
{
    struct stat st;
    return !stat(path, &st) && S_ISDIR(st.st_mode);
}

static int check(const struct invocation *in)
{
    if (option_given(in, "listen") && !option_given(in, "token"))
        return usage_error(
            in,
            "--listen '%s' needs --token T: whoever reaches that address and has the token may do "
            "all that the page can, and nothing on the way is encrypted",
            option_text(in, "listen"));
    for (size_t i = 0; in->n_operands > 1 && i < in->n_operands; i++)
        if (is_folder(in->operands[i]))
            return usage_error(in, "'%s' is a folder: one folder is served, or models", in->operands[i]);
    return EXIT_DONE;
}

/* The browser is started and left alone; that there is none is no failure. */
static void open_browser(const char *url)
{
    char *words[] = {"xdg-open", (char *)url, NULL};
    posix_spawn_file_actions_t actions;
    pid_t child;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawnp(&child, words[0], &actions, NULL, words, environ);
    posix_spawn_file_actions_destroy(&actions);
}

static enum eg_status start(const struct invocation *in, struct serve_options *how, struct serve **serve,
                            struct eg_error *err)
{
    bool given = option_given(in, "port");
    how->http.port = given ? (unsigned)option_integer(in, "port") : USUAL_PORT;
    enum eg_status status = serve_start(how, serve, err);
    if (status != EG_E_SYSTEM || given) return status;
    how->http.port = 0;
    return serve_start(how, serve, err);
}

static void announce(const struct invocation *in, const struct http *http)
{
    if (option_flag(in, "json")) {
        json_t *json = json_pack("{s:s,s:i,s:s}", "url", http_url(http), "port", (int)http_port(http),
                                 "token", http_token(http));
        json_dumpf(json, stdout, JSON_COMPACT);
        json_decref(json);
        putchar('\n');
    } else {
        puts(http_url(http));
    }
    fflush(stdout);
}

static int serve(struct invocation *in, struct serve_options *how)
{
    struct serve *serve = NULL;
    struct eg_error err;
    sigset_t ends;
    int which;
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &ends, NULL); /* for all threads to come; a signal of now waits for sigwait */
    signal(SIGPIPE, SIG_IGN);
    enum eg_status status = start(in, how, &serve, &err);
    if (status) return report_error(in, status, &err);
    announce(in, serve_http(serve));
    if (how->folder && !option_flag(in, "no-browser")) open_browser(http_open_url(serve_http(serve)));
    sigwait(&ends, &which);
    pthread_sigmask(SIG_UNBLOCK, &ends, NULL); /* the second one kills */
    serve_stop(serve);
    return EXIT_DONE;
}

/* What a model is asked for by: "flowers" of "models/flowers.onnx", "vgg16" of "vgg16=weights.pth". */
static char *name_of(const char *model)
{
    size_t n = strcspn(model, "=");
    const char *slash = model[n] ? NULL : strrchr(model, '/'), *last = slash ? slash + 1 : model;
    if (!model[n]) {
        const char *dot = strrchr(last, '.');
        n = dot && dot > last ? (size_t)(dot - last) : strlen(last);
    }
    return strndup(last, n);
}

static int name_model(const struct invocation *in, char **names, size_t i)
{
    names[i] = name_of(in->operands[i]);
    if (!names[i]) return EXIT_FAILED;
    for (size_t j = 0; j < i; j++)
        if (!strcmp(names[i], names[j]))
            return usage_error(in, "'%s' and '%s' would both be asked for as '%s' (rename one)",
                               in->operands[j], in->operands[i], names[i]);
    return EXIT_DONE;
}

static int serve_models(struct invocation *in, struct serve_options *how)
{
    size_t n = in->n_operands;
    eg_net **nets = calloc(n, sizeof *nets);
    char **names = calloc(n, sizeof *names);
    int code = nets && names ? EXIT_DONE : EXIT_FAILED;
    for (size_t i = 0; !code && i < n; i++) {
        code = name_model(in, names, i);
        if (!code) code = load_model(in, in->operands[i], &nets[i]);
    }
    if (!code) {
        how->nets = (const eg_net *const *)nets;
        how->names = (const char *const *)names;
        how->n_nets = n;
        code = serve(in, how);
    }
    for (size_t i = 0; i < n; i++) {
        if (nets) eg_net_free(nets[i]);
        if (names) free(names[i]);
    }
    free(nets);
    free(names);
    return code;
}

/* --threads, or the CPUs that this process may use. */
static int count_threads(const struct invocation *in, unsigned *threads)
{
    eg_pool *pool = NULL;
    int code = make_pool(in, &pool);
    if (!code) *threads = eg_pool_threads(pool);
    eg_pool_free(pool);
    return code;
}

static int run(struct invocation *in)
{
    struct serve_options how = {.batch = (size_t)option_integer(in, "batch")};
    int code = check(in);
    if (!code) code = count_threads(in, &how.threads);
    if (code) return code;
    char *folders = model_folders(in);
    how.folders = folders;
    how.http.listen = option_text(in, "listen");
    how.http.token = option_text(in, "token");
    if (!in->n_operands || is_folder(in->operands[0])) {
        how.folder = in->n_operands ? in->operands[0] : ".";
        code = serve(in, &how);
    } else {
        code = serve_models(in, &how);
    }
    free(folders);
    return code;
}
#else
static int run(struct invocation *in)
{
    tell(in,
         "this engraft was built without libmicrohttpd and libarchive, which serving needs (install their "
         "development packages and build again)");
    return EXIT_FAILED;
}
#endif

const struct command command_serve = {
    .name = "serve",
    .summary = "a page in the browser for a folder of photos; a prediction service for models",
    .operands = "[FOLDER|MODEL...]",
    .details =
        "A folder (the one you are in, when nothing is named) is opened in the browser: photos into "
        "classes, a classifier of them as you go. A model, or several, become a service: POST /v1/predict "
        "with a photo as the body or several as fields of a form, GET /v1/models, /healthz, /metrics and "
        "/openapi.json. It listens on this machine alone, and prints the address with its token.",
    .example = "engraft serve photos",
    .options = options,
    .run = run,
};
