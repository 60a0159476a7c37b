/* --help, the manual page and shell completion, all from the option tables. */
#include <ctype.h>
#include <string.h>

#include "cli.h"

static const char about[] =
    "takes a convolutional network somebody else trained, cuts it where you say, and grows your own "
    "classifier on the cut: photos in, one ONNX file out.";

void print_overview(FILE *to)
{
    fprintf(to, "engraft %s\nusage: engraft COMMAND ...\n\n", eg_version());
    for (size_t i = 0; i < n_commands; i++) {
        fprintf(to, "    %-10s ", commands[i]->name);
        print_wrapped(to, commands[i]->summary, 15, terminal_columns(stdout));
    }
    fprintf(to, "\nengraft COMMAND --help says more. To begin, with a folder of photos a class:\n\n"
                "    engraft train PHOTOS --model efficientnet-lite0 -o mine.onnx\n"
                "    engraft predict mine.onnx PHOTO.jpg\n");
}

static const char *default_of(const struct option_row *row, size_t *length)
{
    if (row->kind == OPTION_CHOICE && row->value && !row->fallback) {
        *length = strcspn(row->value, "|");
        return row->value;
    }
    *length = row->fallback ? strlen(row->fallback) : 0;
    return row->fallback;
}

static void print_option(FILE *to, const struct option_row *row)
{
    char left[160], right[600];
    snprintf(left, sizeof left, "%c%c%s--%s%s%s", row->letter ? '-' : ' ', row->letter ? row->letter : ' ',
             row->letter ? ", " : "  ", row->name, row->value ? " " : "", row->value ? row->value : "");
    size_t n;
    const char *fallback = default_of(row, &n);
    const char *mark = row->required ? " (required)" : row->kind == OPTION_LIST ? " (may be repeated)" : "";
    if (fallback)
        snprintf(right, sizeof right, "%s%s (default: %.*s)", row->help, mark, (int)n, fallback);
    else
        snprintf(right, sizeof right, "%s%s", row->help, mark);
    fprintf(to, "  %-28s", left);
    if (strlen(left) > 27) fprintf(to, "\n%30s", "");
    print_wrapped(to, right, 30, terminal_columns(stdout));
}

void print_help(const struct command *command, FILE *to)
{
    char usage[300];
    snprintf(usage, sizeof usage, "engraft %s%s%s [OPTION...]", command->name, *command->operands ? " " : "",
             command->operands);
    fputs("usage: ", to);
    print_wrapped(to, usage, 7, terminal_columns(stdout));
    fputc('\n', to);
    print_wrapped(to, command->summary, 0, terminal_columns(stdout));
    if (command->details) {
        fputc('\n', to);
        print_wrapped(to, command->details, 0, terminal_columns(stdout));
    }
    fprintf(to, "\noptions:\n");
    for (const struct option_row *row = command->options; row->kind; row++) print_option(to, row);
    for (const struct option_row *row = common_options; row->kind; row++) print_option(to, row);
    fprintf(to, "\nexample:\n  %s\n", command->example);
}

/* ---- manual page ------------------------------------------------------------------ */

static void print_roff(FILE *to, const char *text)
{
    for (; *text; text++) {
        if (*text == '\\')
            fputs("\\e", to);
        else if (*text == '-')
            fputs("\\-", to);
        else
            fputc(*text, to);
    }
}

static void print_roff_option(FILE *to, const struct option_row *row)
{
    fputs(".TP\n.B ", to);
    if (row->letter) fprintf(to, "\\-%c, ", row->letter);
    fputs("\\-\\-", to);
    print_roff(to, row->name);
    if (row->value) {
        fputs(" \\fI", to);
        print_roff(to, row->value);
        fputs("\\fR", to);
    }
    fputc('\n', to);
    print_roff(to, row->help);
    size_t n;
    const char *fallback = default_of(row, &n);
    if (fallback) fprintf(to, " (default: %.*s)", (int)n, fallback);
    fputs(".\n", to);
}

void print_manual(FILE *to)
{
    fprintf(to,
            ".TH ENGRAFT 1 \"\" \"engraft %s\" \"User Commands\"\n.SH NAME\nengraft \\- reuse pretrained "
            "networks: photos to features to a classifier\n.SH SYNOPSIS\n.B engraft\n.I COMMAND ...\n.SH "
            "DESCRIPTION\n.B engraft\n",
            eg_version());
    print_roff(to, about);
    fputs("\n.SH COMMANDS\n", to);
    for (size_t i = 0; i < n_commands; i++) {
        const struct command *command = commands[i];
        fprintf(to, ".SS engraft %s ", command->name);
        print_roff(to, command->operands);
        fputc('\n', to);
        print_roff(to, command->summary);
        fputs(".\n", to);
        if (command->details) {
            fputs(".PP\n", to);
            print_roff(to, command->details);
            fputc('\n', to);
        }
        for (const struct option_row *row = command->options; row->kind; row++) print_roff_option(to, row);
        fputs(".PP\nExample:\n.PP\n.RS\n", to);
        print_roff(to, command->example);
        fputs("\n.RE\n", to);
    }
    fputs(".SS Options of every command\n", to);
    for (const struct option_row *row = common_options; row->kind; row++) print_roff_option(to, row);
    fputs(".SH EXIT STATUS\n"
          ".TP\n.B 0\nDone.\n"
          ".TP\n.B 1\nThe work failed, or no input could be read.\n"
          ".TP\n.B 2\nThe command line is wrong.\n"
          ".TP\n.B 3\nDone, but some inputs were skipped; each is listed.\n"
          ".TP\n.B 130\nInterrupted; the work is saved, and how to resume was printed.\n"
          ".SH ENVIRONMENT\n.TP\n.B ENGRAFT_MODELS\n"
          "Folders, separated by colons, where the weights of built\\-in networks are looked for.\n"
          ".TP\n.B NO_COLOR\nNo colours, even on a terminal.\n",
          to);
}
