/* engraft models: what is built in, and which weights are at hand. */
#include <stdlib.h>
#include <string.h>

#include "cli.h"

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static int run(struct invocation *in)
{
    char *folders = model_folders(in);
    if (!folders) return EXIT_FAILED;
    if (option_flag(in, "json")) {
        print_text(in, eg_known_nets_json(folders));
        free(folders);
        return EXIT_DONE;
    }
    size_t n_found = 0;
    fprintf(in->out, "%-22s %13s  %-11s %s\n", "name", "parameters", "weights", "where");
    for (size_t i = 0; i < eg_known_net_count(); i++) {
        struct eg_known_net net = eg_known_net_at(i);
        char *found = eg_known_net_find_weights(net.name, folders);
        n_found += found != NULL;
        fprintf(in->out, "%-22s ", net.name);
        print_count(in->out, net.parameters, 13);
        fprintf(in->out, "  %-11s ", found ? "found" : "not here");
        print_path(in->out, found      ? found
                            : net.url  ? last_part(net.url)
                            : net.file ? net.file
                                       : "bring your own");
        free(found);
    }
    free(folders);
    fprintf(in->out, "\n%zu of %zu have their weights here; a file of your own: NAME=FILE, or an .onnx\n",
            n_found, eg_known_net_count());
    return EXIT_DONE;
}

static const struct option_row options[] = {
    {OPTION_LIST, "models", 0, "DIR", NULL, 0, 0, false,
     "look for weights here first, then in $ENGRAFT_MODELS and the usual folders"},
    OPTION_JSON_ROW,
    {0},
};

const struct command command_models = {
    .name = "models",
    .summary = "built-in networks: weights found or not, parameters, where they come from",
    .operands = "",
    .example = "engraft models",
    .options = options,
    .run = run,
};
