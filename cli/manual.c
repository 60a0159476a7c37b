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
    for (size_t i = 0; i < n_commands; i++)
        fprintf(to, "    %-10s %s\n", commands[i]->name, commands[i]->summary);
    fprintf(to, "\nengraft COMMAND --help says more. To begin, with a folder of photos a class:\n\n"
                "    engraft train PHOTOS --model efficientnet-lite0 -o mine.onnx\n"
                "    engraft predict mine.onnx PHOTO.jpg\n");
}

/* Words wrapped to `width` columns, from column `indent`, the first line already there. */
static void print_wrapped(FILE *to, const char *text, size_t indent, size_t width)
{
    size_t column = indent;
    bool first = true;
    while (*text) {
        size_t n = strcspn(text, " \n");
        if (!first && column + 1 + n > width) {
            fprintf(to, "\n%*s", (int)indent, "");
            column = indent;
        } else if (!first) {
            fputc(' ', to);
            column++;
        }
        fprintf(to, "%.*s", (int)n, text);
        column += n;
        first = false;
        text += n + (text[n] != '\0');
    }
    fputc('\n', to);
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
    print_wrapped(to, right, 30, 98);
}

void print_help(const struct command *command, FILE *to)
{
    fprintf(to, "usage: engraft %s %s [OPTION...]\n\n", command->name, command->operands);
    print_wrapped(to, command->summary, 0, 98);
    if (command->details) {
        fputc('\n', to);
        print_wrapped(to, command->details, 0, 98);
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

/* ---- completion --------------------------------------------------------------------- */

static void print_flags(FILE *to, const struct command *command)
{
    const struct option_row *tables[] = {command->options, common_options};
    for (size_t t = 0; t < 2; t++)
        for (const struct option_row *row = tables[t]; row->kind; row++)
            fprintf(to, "%s--%s", row == command->options ? "" : " ", row->name);
}

static void print_choices(FILE *to, const char *choices)
{
    for (; *choices; choices++) fputc(*choices == '|' ? ' ' : *choices, to);
}

static void complete_bash(FILE *to)
{
    fputs("# bash completion of engraft, made by `engraft --completion bash`\n"
          "_engraft()\n{\n"
          "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} words=\n"
          "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n        words=\"",
          to);
    for (size_t i = 0; i < n_commands; i++) fprintf(to, "%s ", commands[i]->name);
    fputs("--help --version\"\n    else\n        case \"${COMP_WORDS[1]} $before\" in\n", to);
    for (size_t i = 0; i < n_commands; i++)
        for (const struct option_row *row = commands[i]->options; row->kind; row++)
            if (row->kind == OPTION_CHOICE) {
                fprintf(to, "        \"%s --%s\") words=\"", commands[i]->name, row->name);
                print_choices(to, row->value);
                fputs("\" ;;\n", to);
            }
    fputs("        esac\n        if [ -z \"$words\" ] && [[ $word == -* ]]; then\n"
          "            case ${COMP_WORDS[1]} in\n",
          to);
    for (size_t i = 0; i < n_commands; i++) {
        fprintf(to, "            %s) words=\"", commands[i]->name);
        print_flags(to, commands[i]);
        fputs("\" ;;\n", to);
    }
    fputs("            esac\n        fi\n    fi\n"
          "    if [ -n \"$words\" ]; then COMPREPLY=($(compgen -W \"$words\" -- \"$word\")); fi\n}\n"
          "complete -o default -F _engraft engraft\n",
          to);
}

/* Help texts inside single quotes: what would end them is left out. */
static void print_quoted(FILE *to, const char *text, const char *leave_out)
{
    for (; *text; text++)
        if (!strchr(leave_out, *text)) fputc(*text, to);
}

static void complete_zsh(FILE *to)
{
    fputs("#compdef engraft\n# made by `engraft --completion zsh`\n_engraft()\n{\n"
          "    if (( CURRENT == 2 )); then\n        local -a list\n        list=(\n",
          to);
    for (size_t i = 0; i < n_commands; i++) {
        fprintf(to, "            '%s:", commands[i]->name);
        print_quoted(to, commands[i]->summary, "':");
        fputs("'\n", to);
    }
    fputs("        )\n        _describe command list\n        return\n    fi\n    case ${words[2]} in\n", to);
    for (size_t i = 0; i < n_commands; i++) {
        fprintf(to, "    %s)\n        _arguments", commands[i]->name);
        const struct option_row *tables[] = {commands[i]->options, common_options};
        for (size_t t = 0; t < 2; t++)
            for (const struct option_row *row = tables[t]; row->kind; row++) {
                fprintf(to, " \\\n            '%s--%s[", row->kind == OPTION_LIST ? "*" : "", row->name);
                print_quoted(to, row->help, "'[]:");
                fputc(']', to);
                if (row->kind == OPTION_CHOICE) {
                    fprintf(to, ":%s:(", row->name);
                    print_choices(to, row->value);
                    fputc(')', to);
                } else if (row->kind != OPTION_FLAG) {
                    fprintf(to, ":%s:_files", row->name);
                }
                fputc('\'', to);
            }
        fputs(" \\\n            '*:file:_files' ;;\n", to);
    }
    fputs("    esac\n}\n_engraft \"$@\"\n", to);
}

static void complete_fish(FILE *to)
{
    fputs("# fish completion of engraft, made by `engraft --completion fish`\n", to);
    for (size_t i = 0; i < n_commands; i++) {
        fprintf(to, "complete -c engraft -n __fish_use_subcommand -a %s -d '", commands[i]->name);
        print_quoted(to, commands[i]->summary, "'\\");
        fputs("'\n", to);
        const struct option_row *tables[] = {commands[i]->options, common_options};
        for (size_t t = 0; t < 2; t++)
            for (const struct option_row *row = tables[t]; row->kind; row++) {
                fprintf(to, "complete -c engraft -n '__fish_seen_subcommand_from %s' -l %s",
                        commands[i]->name, row->name);
                if (row->letter) fprintf(to, " -s %c", row->letter);
                if (row->kind != OPTION_FLAG) fputs(" -r", to);
                if (row->kind == OPTION_CHOICE) {
                    fputs(" -f -a '", to);
                    print_choices(to, row->value);
                    fputc('\'', to);
                }
                fputs(" -d '", to);
                print_quoted(to, row->help, "'\\");
                fputs("'\n", to);
            }
    }
}

bool print_completion(const char *shell, FILE *to)
{
    static const struct {
        const char *name;
        void (*print)(FILE *);
    } shells[] = {{"bash", complete_bash}, {"zsh", complete_zsh}, {"fish", complete_fish}};
    for (size_t i = 0; i < sizeof shells / sizeof *shells; i++)
        if (!strcmp(shells[i].name, shell)) {
            shells[i].print(to);
            return true;
        }
    return false;
}
