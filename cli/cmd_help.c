/* engraft help: as --help. */
#include "cli.h"

static int run(struct invocation *in)
{
    if (!in->n_operands) {
        print_overview(in->out);
        return EXIT_DONE;
    }
    const struct command *command = find_command(in->operands[0]);
    if (!command) return no_such_command(in->operands[0]);
    print_help(command, in->out);
    return EXIT_DONE;
}

static const struct option_row options[] = {{0}};

const struct command command_help = {
    .name = "help",
    .summary = "what a command does, its options and an example",
    .operands = "[COMMAND]",
    .example = "engraft help train",
    .options = options,
    .run = run,
};
