/* The table of subcommands, and the way to them. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

#define COMMAND(name) extern const struct command command_##name;
#include "commands.def"
#undef COMMAND

const struct command *const commands[] = {
#define COMMAND(name) &command_##name,
#include "commands.def"
#undef COMMAND
};
const size_t n_commands = sizeof commands / sizeof *commands;

const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < n_commands; i++)
        if (!strcmp(commands[i]->name, name)) return commands[i];
    return NULL;
}

int no_such_command(const char *name)
{
    struct nearest nearest;
    char text[200], *shown = printable(name);
    nearest_begin(&nearest, name);
    for (size_t i = 0; i < n_commands; i++) nearest_add(&nearest, commands[i]->name);
    nearest_text(&nearest, "did you mean ", "", text);
    tell_more("engraft: there is no command '%s' (%s%ssee engraft --help)", shown ? shown : "?", text,
              *text ? "? " : "");
    free(shown);
    return EXIT_USAGE;
}

/* What a program reads is printed as it is. */
static bool is_data(const struct invocation *in)
{
    static const char *const names[] = {"json", "csv"};
    for (const struct option_row *row = in->command->options; row->kind; row++)
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
            if (!strcmp(row->name, names[i]) && option_given(in, names[i])) return true;
    return false;
}

/* Results were gathered in memory; they are printed only when the work was done. */
static int print_results(const struct invocation *in, int code, const char *results, size_t size)
{
    if (code != EXIT_DONE && code != EXIT_SKIPPED) return code;
    if (is_data(in))
        fwrite(results, 1, size, stdout);
    else
        print_folded(stdout, results, size, terminal_columns(stdout), isatty(STDOUT_FILENO));
    if (fflush(stdout) || ferror(stdout)) {
        fprintf(stderr, "engraft: cannot write to standard output\n");
        return EXIT_FAILED;
    }
    return code;
}

static int run_command(const struct command *command, int argc, char **argv)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--"); i++)
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
            print_help(command, stdout);
            return EXIT_DONE;
        }
    struct invocation in = {.command = command};
    int code = invocation_parse(&in, argc, argv);
    if (code == EXIT_DONE) code = check_meanings(&in);
    if (code == EXIT_DONE) code = check_alone(&in);
    char *results = NULL;
    size_t size = 0;
    if (code == EXIT_DONE) {
        in.out = open_memstream(&results, &size);
        code = EXIT_FAILED;
        if (in.out) {
            code = command->run(&in);
            if (fclose(in.out)) code = EXIT_FAILED;
            code = print_results(&in, code, results, size);
        }
    }
    free(results);
    invocation_release(&in);
    return code;
}

static void print_kinds(const char *title, bool which)
{
    const char *name;
    bool read, first = true;
    printf("%s", title);
    for (size_t i = 0; (name = eg_photo_kind(i, &read)); i++)
        if (read == which) {
            printf("%s %s", first ? "" : ",", name);
            first = false;
        }
    putchar('\n');
}

/* The first line is for scripts; the rest is what this build has. */
static void print_version(void)
{
    printf("engraft %s\nkernels: %s\nMPI: %s\n", eg_version(), eg_cpu(), eg_has_mpi() ? "yes" : "no");
    print_kinds("reads:", true);
    print_kinds("does not read:", false);
#ifdef EG_WITH_SERVE
    const bool serves = true;
#else
    const bool serves = false;
#endif
    printf("archives: zip%s\nICC profiles: %s\nserve: %s\n", eg_has_tar() ? ", tar, tar.gz, tar.zst" : "",
           eg_has_icc() ? "lcms2" : "no", serves ? "yes" : "no");
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_overview(stderr);
        return EXIT_USAGE;
    }
    const char *first = argv[1];
    if (!strcmp(first, "--help") || !strcmp(first, "-h")) {
        print_overview(stdout);
        return EXIT_DONE;
    }
    if (!strcmp(first, "--version")) {
        print_version();
        return EXIT_DONE;
    }
    if (!strcmp(first, "--man")) {
        print_manual(stdout);
        return EXIT_DONE;
    }
    if (!strcmp(first, "--completion")) {
        if (argc > 2 && print_completion(argv[2], stdout)) return EXIT_DONE;
        fprintf(stderr, "engraft: --completion takes bash, zsh or fish\n");
        return EXIT_USAGE;
    }
    if (!strcmp(first, "--complete")) {
        print_candidates(argc - 2, argv + 2);
        return EXIT_DONE;
    }
    const struct command *command = find_command(first);
    if (!command) return no_such_command(first);
    return run_command(command, argc - 2, argv + 2);
}
