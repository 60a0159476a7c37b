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
    json_t *list = option_flag(in, "json") ? json_array() : NULL;
    size_t n_found = 0;
    if (!list) fprintf(in->out, "%-22s %13s  %-11s %s\n", "name", "parameters", "weights", "where");
    for (size_t i = 0; i < eg_known_net_count(); i++) {
        struct eg_known_net net = eg_known_net_at(i);
        char *found = eg_known_net_find_weights(net.name, folders);
        n_found += found != NULL;
        if (list) {
            json_array_append_new(list, json_pack("{s:s,s:o,s:I,s:b,s:o,s:o,s:o,s:o,s:o}", "name", net.name,
                                                  "title", json_text(net.title), "parameters",
                                                  (json_int_t)net.parameters, "found", found != NULL, "path",
                                                  json_text(found), "file", json_text(net.file), "sha256",
                                                  json_text(net.sha256), "url", json_text(net.url), "licence",
                                                  json_text(net.licence)));
        } else {
            fprintf(in->out, "%-22s ", net.name);
            print_count(in->out, net.parameters, 13);
            fprintf(in->out, "  %-11s ", found ? "found" : "not here");
            print_path(in->out, found      ? found
                                : net.url  ? last_part(net.url)
                                : net.file ? net.file
                                           : "bring your own");
        }
        free(found);
    }
    free(folders);
    if (list)
        print_json(in, list);
    else
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
