/* engraft merge: shards to one feature file. */
#include "cli.h"

static int run(struct invocation *in)
{
    const char *output = option_text(in, "output");
    struct eg_error err;
    eg_features *features;
    bool copy = option_flag(in, "copy");
    enum eg_status status = eg_features_merge(output, (const char *const *)in->operands, in->n_operands, copy,
                                              option_flag(in, "force"), in->line, &err);
    if (!status) status = eg_features_open(output, &features, &err);
    if (status) return report_error(in, status, &err);
    struct eg_features_info info = eg_features_info(features);
    if (option_flag(in, "json"))
        print_text(in, eg_merge_json(features, output, in->n_operands, copy));
    else
        fprintf(in->out, "%s: %zu rows of %zu shards%s\n", output, info.n_rows, in->n_operands,
                copy ? "" : ", which it needs beside it");
    eg_features_close(features);
    return EXIT_DONE;
}

static const struct option_row options[] = {
    OPTION_OUTPUT_ROW("FILE.h5", "the merged feature file"),
    {OPTION_FLAG, "copy", 0, NULL, NULL, 0, 0, false,
     "one plain file in place of one that refers to the shards"},
    OPTION_FORCE_ROW,
    OPTION_JSON_ROW,
    {0},
};

const struct command command_merge = {
    .name = "merge",
    .summary = "the shards of extract --shard to one feature file",
    .operands = "SHARD.h5...",
    .example = "engraft merge -o photos.h5 photos-0.h5 photos-1.h5",
    .options = options,
    .run = run,
};
