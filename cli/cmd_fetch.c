/* engraft fetch: official weights to the model path. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli.h"

/* Where weights are kept when no folder is named: the first of the model path. */
static char *own_folder(const struct invocation *in)
{
    size_t n;
    const char *const *given = option_list(in, "models", &n);
    if (n) return strdup(given[0]);
    char *folders = model_folders(in);
    if (!folders) return NULL;
    folders[strcspn(folders, ":")] = '\0';
    return folders;
}

/* FOLDER and those above it. */
static int make_folders(const struct invocation *in, char *folder)
{
    for (char *at = folder + 1; at; at = at ? at + 1 : NULL) {
        at = strchr(at, '/');
        if (at) *at = '\0';
        int failed = mkdir(folder, 0777) && errno != EEXIST;
        int cause = errno;
        if (failed) tell(in, "cannot make '%s': %s", folder, strerror(cause));
        if (at) *at = '/';
        if (failed) return EXIT_FAILED;
        if (!at) break;
    }
    return EXIT_DONE;
}

/* made: gets the path, which stays its own. */
static int fetch(struct invocation *in, const char *folder, struct eg_fetched *made)
{
    struct progress progress;
    progress_begin(&progress, in, made->name);
    progress.bytes = true;
    struct eg_fetch_options how = {EG_SIZED(eg_fetch_options), .folder = folder,
                                   .mirror = option_text(in, "mirror"), .progress = progress_step,
                                   .user = &progress};
    struct eg_error err;
    char *path = NULL;
    enum eg_status status = eg_fetch(made->name, &how, &path, &err);
    progress_end(&progress);
    made->path = path;
    made->was_there = status == EG_E_EXISTS;
    if (status == EG_E_CANCELLED) {
        tell(in, "interrupted; what came is kept: run the same command again to go on");
        return EXIT_INTERRUPTED;
    }
    if (status && status != EG_E_EXISTS) return report_error(in, status, &err);
    if (!option_flag(in, "json"))
        fprintf(in->out, "%s: %s%s\n", made->name, path, made->was_there ? " (it was there)" : "");
    return EXIT_DONE;
}

static int run(struct invocation *in)
{
    struct eg_fetched *made = calloc(in->n_operands + 1, sizeof *made);
    char *folder = own_folder(in);
    int code = folder && made ? make_folders(in, folder) : EXIT_FAILED;
    for (size_t i = 0; i < in->n_operands && !code; i++) {
        made[i].name = in->operands[i];
        code = fetch(in, folder, &made[i]);
    }
    if (!code && option_flag(in, "json")) print_text(in, eg_fetched_json(made, in->n_operands));
    for (size_t i = 0; made && i < in->n_operands; i++) free((char *)made[i].path);
    free(made);
    free(folder);
    return code;
}

static const struct option_row options[] = {
    {OPTION_LIST, "models", 0, "DIR", "the first of the model path", 0, 0, false, "put the files here"},
    {OPTION_TEXT, "mirror", 0, "URL", "where its makers keep it", 0, 0, false,
     "get the files from this folder"},
    OPTION_JSON_ROW,
    {0},
};

const struct command command_fetch = {
    .name = "fetch",
    .summary = "download official weights, check their SHA-256, put them on the model path",
    .operands = "NAME...",
    .details =
        "The model path: --models, $ENGRAFT_MODELS, then the user's data folder. A download that was cut off "
        "is gone on with.",
    .example = "engraft fetch squeezenet1_1",
    .options = options,
    .run = run,
};
