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
    OPTION_BATCH_ROW,
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

extern char **environ;

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
    char *words[] = {"xdg-open", (char *)(uintptr_t)url, NULL};
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
    if (how->folder && !option_flag(in, "no-browser")) open_browser(http_url(serve_http(serve)));
    sigwait(&ends, &which);
    pthread_sigmask(SIG_UNBLOCK, &ends, NULL); /* the second one kills */
    serve_stop(serve);
    return EXIT_DONE;
}

static int run(struct invocation *in)
{
    int code = check(in);
    if (code) return code;
    char *folders = model_folders(in);
    struct serve_options how = {.folders = folders,
                                .threads = (unsigned)option_integer(in, "threads"),
                                .batch = (size_t)option_integer(in, "batch")};
    how.http.listen = option_text(in, "listen");
    how.http.token = option_text(in, "token");
    how.folder = in->n_operands ? in->operands[0] : ".";
    code = serve(in, &how);
    free(folders);
    return code;
}
#else
static int run(struct invocation *in)
{
    tell(in,
         "this engraft was built without libmicrohttpd, which serving needs (install its development package "
         "and build again)");
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
